package IClock::Simulator::Loop;

# Copyright (C) the ngx_http_iclock_module authors

# Timers and connections of one process: each request has a connection of its
# own, as terminals have it, and nothing waits for anything else.

use strict;
use warnings;

use Errno qw/ EINPROGRESS EAGAIN EINTR /;
use Fcntl qw/ F_GETFL F_SETFL O_NONBLOCK /;
use Socket qw/ getaddrinfo IPPROTO_TCP SOCK_STREAM TCP_NODELAY /;
use Time::HiRes qw/ time /;


# Options: host, port, tls, connections (at once), timeout (of a request, in
# seconds), local (an address to come from).

sub new {
    my ($class, %option) = @_;

    my ($error, @address) = getaddrinfo($option{host}, $option{port},
                                        { socktype => SOCK_STREAM });

    die "$option{host}: $error\n" if $error || !@address;

    if ($option{tls}) {
        eval { require IO::Socket::SSL; 1 }
            or die "https needs IO::Socket::SSL (Debian:"
                   . " libio-socket-ssl-perl)\n";
    }

    return bless {
        connections => 256, timeout => 60, %option, address => $address[0],
        heap => [], serial => 0, waiting => [], open => {}, reading => '',
        writing => '', connected => 0, number => scalar @address,
    }, $class;
}


# timers: a heap of [ when, serial number, code ]

sub after {
    my ($self, $seconds, $code) = @_;

    my $heap = $self->{heap};
    my $timer = [ time + $seconds, $self->{serial}++, $code ];
    my $i = @$heap;

    push @$heap, $timer;

    while ($i > 0) {
        my $up = ($i - 1) >> 1;

        last if $heap->[$up][0] <= $timer->[0];
        $heap->[$i] = $heap->[$up];
        $heap->[$i = $up] = $timer;
    }

    return $timer;
}


# it stays in the heap, and does nothing

sub cancel {
    my ($self, $timer) = @_;

    $timer->[2] = undef if $timer;

    return;
}


sub _pop {
    my ($self) = @_;

    my $heap = $self->{heap};
    my $first = $heap->[0];
    my $last = pop @$heap;

    return $first if !@$heap;

    my ($i, $n) = (0, scalar @$heap);

    while ((my $down = 2 * $i + 1) < $n) {
        $down++ if $down + 1 < $n && $heap->[$down + 1][0] < $heap->[$down][0];

        last if $heap->[$down][0] >= $last->[0];
        $heap->[$i] = $heap->[$down];
        $i = $down;
    }

    $heap->[$i] = $last;

    return $first;
}


sub stop { $_[0]{stopped} = 1 }


# a handle that somebody else reads from, such as standard input

sub watch {
    my ($self, $handle, $code) = @_;

    my $fd = fileno $handle;

    $self->{open}{$fd} = { watch => $code };
    vec($self->{reading}, $fd, 1) = 1;

    return;
}


sub unwatch {
    my ($self, $handle) = @_;

    $self->_forget(fileno $handle);

    return;
}


sub run {
    my ($self) = @_;

    local $SIG{PIPE} = 'IGNORE';

    my $heap = $self->{heap};

    while (!$self->{stopped}) {

        while (@$heap && $heap->[0][0] <= time) {
            my $timer = $self->_pop();

            $timer->[2]->() if $timer->[2];
            last if $self->{stopped};
        }

        last if $self->{stopped};

        $self->_open_waiting();

        my $wait = @$heap ? $heap->[0][0] - time : 1;
        my ($readable, $writable) = ($self->{reading}, $self->{writing});

        $wait = $wait < 0 ? 0 : $wait > 1 ? 1 : $wait;

        next if select($readable, $writable, undef, $wait) <= 0;

        $self->_serve($readable, $writable);
    }

    return;
}


# bits of the two sets, and whose they are

sub _serve {
    my ($self, $readable, $writable) = @_;

    my $bits = unpack 'b*', $readable | $writable;
    my $at = -1;

    while (($at = index $bits, '1', $at + 1) >= 0) {
        my $c = $self->{open}{$at} or next;

        if ($c->{watch}) {
            $c->{watch}->();

        } elsif ($c->{handshake}) {
            $self->_handshake($at, $c);

        } else {
            $self->_write($at, $c) if vec $writable, $at, 1;
            $self->_read($at, $c) if $self->{open}{$at}
                                     && vec $readable, $at, 1;
        }
    }

    return;
}


# Sends bytes on a connection of their own.  The code gets the response, or
# undef and what went wrong.

sub request {
    my ($self, $bytes, $code) = @_;

    push @{$self->{waiting}}, [ $bytes, $code ];

    return;
}


sub _open_waiting {
    my ($self) = @_;

    while (@{$self->{waiting}}
           && $self->{connected} < $self->{connections})
    {
        $self->_connect(@{shift @{$self->{waiting}}});
    }

    return;
}


sub _connect {
    my ($self, $bytes, $code) = @_;

    my $where = $self->{address};
    my $fail = sub {
        my $error = shift;

        $self->after(0, sub { $code->(undef, $error) });
    };

    socket(my $socket, $where->{family}, SOCK_STREAM, 0)
        or return $fail->("socket: $!");

    fcntl $socket, F_SETFL, fcntl($socket, F_GETFL, 0) | O_NONBLOCK;
    setsockopt $socket, IPPROTO_TCP, TCP_NODELAY, 1;

    if (!connect($socket, $where->{addr}) && $! != EINPROGRESS) {
        return $fail->("connect: $!");
    }

    my $fd = fileno $socket;
    my $c = { socket => $socket, out => $bytes, in => '', code => $code };

    if ($self->{tls}) {
        $c->{socket} = IO::Socket::SSL->start_SSL($socket,
            SSL_startHandshake => 0, SSL_hostname => $self->{host},
            %{$self->{tls}});
        $c->{handshake} = 1;
    }

    $c->{timer} = $self->after($self->{timeout},
                               sub { $self->_end($fd, $c, 'timeout') });
    $self->{open}{$fd} = $c;
    $self->{connected}++;
    vec($self->{writing}, $fd, 1) = 1;

    return;
}


sub _handshake {
    my ($self, $fd, $c) = @_;

    if ($c->{socket}->connect_SSL()) {
        delete $c->{handshake};
        vec($self->{reading}, $fd, 1) = 0;
        vec($self->{writing}, $fd, 1) = 1;
        return;
    }

    no warnings 'once';

    my $error = $IO::Socket::SSL::SSL_ERROR;
    my $read = $error == IO::Socket::SSL::SSL_WANT_READ();

    return $self->_end($fd, $c, "TLS: $error")
        if !$read && $error != IO::Socket::SSL::SSL_WANT_WRITE();

    vec($self->{reading}, $fd, 1) = $read ? 1 : 0;
    vec($self->{writing}, $fd, 1) = $read ? 0 : 1;

    return;
}


sub _write {
    my ($self, $fd, $c) = @_;

    my $n = syswrite $c->{socket}, $c->{out};

    if (!defined $n) {
        return if $! == EAGAIN || $! == EINTR;
        # what the server has said before it closed counts
        return $self->_read($fd, $c, 1);
    }

    substr $c->{out}, 0, $n, '';

    if ($c->{out} eq '') {
        vec($self->{writing}, $fd, 1) = 0;
        vec($self->{reading}, $fd, 1) = 1;
    }

    return;
}


sub _read {
    my ($self, $fd, $c, $last) = @_;

    my $n = sysread $c->{socket}, $c->{in}, 65536, length $c->{in};

    return if !defined $n && !$last && ($! == EAGAIN || $! == EINTR);

    my $response = parse($c->{in}, !$n);

    return $self->_end($fd, $c, undef, $response) if $response;
    return $self->_end($fd, $c, $c->{in} eq '' ? 'no answer' : 'cut off')
        if !$n;

    # what TLS has decrypted already is not in the socket any more
    return $self->_read($fd, $c)
        if $self->{tls} && $c->{socket}->pending();

    return;
}


sub _forget {
    my ($self, $fd) = @_;

    delete $self->{open}{$fd};
    vec($self->{reading}, $fd, 1) = 0;
    vec($self->{writing}, $fd, 1) = 0;

    return;
}


sub _end {
    my ($self, $fd, $c, $error, $response) = @_;

    return if !$self->{open}{$fd} || $self->{open}{$fd} != $c;

    $self->_forget($fd);
    $self->cancel($c->{timer});
    $self->{connected}--;
    close $c->{socket};

    $c->{code}->($response, $error);

    return;
}


# A response, once it is complete: { status, head, headers, body }.  Terminals
# know Content-Length and the end of the connection.

sub parse {
    my ($text, $eof) = @_;

    # 100 Continue and its like are not the answer
    $text =~ s!\AHTTP/1\.[01] 1\d\d.*?\r\n\r\n!!s;

    my $end = index $text, "\r\n\r\n";

    return undef if $end < 0;

    my ($status) = $text =~ m!\AHTTP/1\.[01] (\d\d\d)! or return undef;
    my $head = substr $text, 0, $end + 2;
    my $body = substr $text, $end + 4;
    my %header;

    while ($head =~ /^([\w-]+):[ \t]*(.*?)[ \t]*\r\n/mg) {
        $header{lc $1} = $2;
    }

    my $length = $header{'content-length'};

    return undef if defined $length ? length $body < $length : !$eof;

    $body = substr $body, 0, $length if defined $length;

    return { status => $status, head => $head, headers => \%header,
             body => $body };
}


1;
