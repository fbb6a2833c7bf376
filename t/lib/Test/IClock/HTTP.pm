package Test::IClock::HTTP;

# Copyright (C) the ngx_http_iclock_module authors

# HTTP over a plain socket with control of every byte: what is written, in
# which pieces, and when.  A connection object keeps its socket, so that it
# serves for keepalive and pipelining, too.

use strict;
use warnings;

use Carp qw/ croak /;
use IO::Select;
use IO::Socket::INET;
use List::Util qw/ max /;
use Socket qw/ IPPROTO_TCP TCP_NODELAY SOL_SOCKET SO_LINGER /;
use Time::HiRes qw/ sleep time /;

use Test::IClock::Answers ();


# options: host, port, local (address to come from), timeout (seconds, of
# each wait), tls

sub new {
    my ($class, %option) = @_;

    local $SIG{PIPE} = 'IGNORE';

    my $self = bless {
        host => '127.0.0.1', timeout => 120, buffer => '', %option
    }, $class;

    my @where = (PeerAddr => $self->{host}, PeerPort => $self->{port},
                 Timeout => $self->{timeout},
                 $self->{local} ? (LocalAddr => $self->{local}) : ());

    if ($self->{tls}) {
        require IO::Socket::SSL;
        $self->{socket} = IO::Socket::SSL->new(@where);

    } else {
        $self->{socket} = IO::Socket::INET->new(@where, Proto => 'tcp');
    }

    croak "cannot connect to $self->{host}:$self->{port}: $@"
        if !$self->{socket};

    setsockopt $self->{socket}, IPPROTO_TCP, TCP_NODELAY, 1;
    binmode $self->{socket};

    return $self;
}


# The bytes of a request.  Header names that begin with "-" are options:
# -version ("1.1"), -method, -host (undef: none), -keepalive, -length
# (undef: no Content-Length).

sub format_request {
    my ($method, $uri, $body, %header) = @_;

    my %option = map { $_ => delete $header{$_} } grep /^-/, keys %header;

    $method = $option{-method} if $option{-method};

    my $version = $option{-version} || '1.1';
    my %default = ('User-Agent' => 'iClock Proxy/1.09', 'Accept' => '*/*');

    my $host = exists $option{-host} ? $option{-host} : 'localhost';

    $default{'Host'} = $host if defined $host;
    $default{'Connection'} = 'close' if !$option{-keepalive};

    if (defined $body) {
        $default{'Content-Type'} = 'text/plain';

        my $length = exists $option{-length} ? $option{-length} : length $body;
        $default{'Content-Length'} = $length if defined $length;
    }

    for my $name (keys %default) {
        $header{$name} = $default{$name}
            if !grep { lc $_ eq lc $name } keys %header;
    }

    my $request = "$method $uri HTTP/$version\r\n";

    for my $name (sort keys %header) {
        my $value = $header{$name};
        next if !defined $value;
        $request .= "$name: $_\r\n" for ref $value ? @$value : $value;
    }

    return $request . "\r\n" . (defined $body ? $body : '');
}


# Writes bytes.  Options: split (bytes a write), delay (seconds between
# writes).  Returns false when the peer has closed.

sub write {
    my ($self, $bytes, %option) = @_;

    local $SIG{PIPE} = 'IGNORE';

    $self->{heard} ||= Test::IClock::Answers->listen($bytes);
    $self->{heard}->asked($bytes) if $self->{heard};

    my $step = $option{split} || 65536;
    my $select = IO::Select->new($self->{socket});

    for (my $at = 0; $at < length $bytes; ) {

        return 0 if !$select->can_write($self->{timeout});

        my $n = syswrite $self->{socket}, $bytes,
                         $step < length($bytes) - $at
                         ? $step : length($bytes) - $at, $at;

        return 0 if !defined $n;

        $at += $n;

        sleep $option{delay} if $option{delay} && $at < length $bytes;
    }

    return 1;
}


# Appends what has arrived to the buffer.  Returns the number of bytes, 0 at
# the end of the stream, undef after the timeout.

sub fill {
    my ($self, $timeout) = @_;

    $timeout = $self->{timeout} if !defined $timeout;

    if (!($self->{tls} && $self->{socket}->pending())) {
        return undef
            if !IO::Select->new($self->{socket})->can_read($timeout);
    }

    my $n = sysread $self->{socket}, my $bytes, 65536;

    $self->{buffer} .= $bytes if $n;
    $self->{heard}->answered($bytes) if $n && $self->{heard};

    return defined $n ? $n : 0;
}


# What there is, so many bytes at most, and does not keep it.

sub take {
    my ($self, $size) = @_;

    my $bytes = '';
    my $n = sysread $self->{socket}, $bytes, $size;

    $self->{heard}->answered($bytes) if $n && $self->{heard};

    return $bytes;
}


# Reads one response; undef if there is none within the timeout.

sub read {
    my ($self, $method) = @_;

    my $until = time + $self->{timeout};

    while (1) {
        my ($response, $rest)
            = Test::IClock::HTTP::Response->parse($self->{buffer},
                  $self->{eof}, $method);

        if ($response) {
            $self->{buffer} = $rest;

            # 100 Continue and its like are not the answer
            next if $response->status < 200;

            return $response;
        }

        return undef if $self->{eof};

        # what has come while this process stood still is there
        my $n = $self->fill(max(0, $until - time));

        return undef if !defined $n;

        $self->{eof} = 1 if $n == 0;
    }
}


# Sends bytes as they are and reads the response.

sub request {
    my ($self, $bytes, %option) = @_;

    $self->write($bytes, %option);

    return $self->read($bytes =~ /^(\w+)/ ? $1 : undef);
}


sub get {
    my ($self, $uri, %header) = @_;

    return $self->request(format_request('GET', $uri, undef,
                                         -keepalive => 1, %header));
}


sub post {
    my ($self, $uri, $body, %header) = @_;

    return $self->request(format_request('POST', $uri, $body,
                                         -keepalive => 1, %header));
}


# true when the peer has closed the connection

sub closed {
    my ($self, $timeout) = @_;

    return 1 if $self->{eof};

    my $n = $self->fill(defined $timeout ? $timeout : 1);

    return $self->{eof} = defined $n && $n == 0;
}


sub close {
    my ($self) = @_;

    $self->{heard}->end() if $self->{heard};
    $self->{socket}->close() if $self->{socket};
    delete $self->{socket};

    return;
}


sub DESTROY {
    my ($self) = @_;

    local ($?, $!, $@);
    $self->{heard}->end() if $self->{heard};

    return;
}


# closes with a RST

sub abort {
    my ($self) = @_;

    setsockopt $self->{socket}, SOL_SOCKET, SO_LINGER, pack 'll', 1, 0;

    return $self->close();
}


# Sends many requests over as many connections at once (at most "connections"
# at a time) and returns their responses in order; undef for those that got
# none.  One process with a select loop, so that they arrive together.

sub concurrently {
    my ($class, $requests, %option) = @_;

    local $SIG{PIPE} = 'IGNORE';

    my $limit = delete $option{connections} || 256;
    my @waiting = (0 .. $#$requests);
    my @response = (undef) x @$requests;
    my ($select_r, $select_w) = (IO::Select->new, IO::Select->new);
    my %job;
    my $until = time + ($option{timeout} || 300);

    while (@waiting || %job) {

        while (@waiting && keys %job < $limit) {
            my $i = shift @waiting;
            my $c = eval { $class->new(%option) } or next;

            $c->{socket}->blocking(0);

            $c->{heard} = Test::IClock::Answers->listen($requests->[$i]);
            $c->{heard}->asked($requests->[$i]) if $c->{heard};

            $job{fileno $c->{socket}}
                = { i => $i, c => $c, out => $requests->[$i] };
            $select_r->add($c->{socket});
            $select_w->add($c->{socket});
        }

        last if time > $until;

        my ($readable, $writable)
            = IO::Select->select($select_r, $select_w, undef, 1);

        for my $socket (@{$writable || []}) {
            my $job = $job{fileno $socket};
            my $n = syswrite $socket, $job->{out};

            substr $job->{out}, 0, $n, '' if $n;

            $select_w->remove($socket)
                if $job->{out} eq '' || !defined $n && !$!{EAGAIN};
        }

        for my $socket (@{$readable || []}) {
            my $fd = fileno $socket;
            my $job = $job{$fd};
            my $c = $job->{c};
            my $n = sysread $socket, my $bytes, 65536;

            next if !defined $n && $!{EAGAIN};

            $c->{buffer} .= $bytes if $n;
            $c->{heard}->answered($bytes) if $n && $c->{heard};

            my ($response) = Test::IClock::HTTP::Response->parse(
                                 $c->{buffer}, !$n);

            next if $n && !$response;

            $response[$job->{i}] = $response;
            $select_r->remove($socket);
            $select_w->remove($socket);
            delete $job{$fd};
            $c->close();
        }
    }

    return @response;
}


package Test::IClock::HTTP::Response;

use strict;
use warnings;


# Takes one response from the beginning of the text.  Returns it and the
# rest, or nothing when it is not complete yet.

sub parse {
    my ($class, undef, $eof, $method) = @_;

    # what is long and not complete yet is not copied each time
    my $text = \$_[1];
    my $end = index $$text, "\r\n\r\n";
    return if $end < 0;

    my @line = split /\r\n/, substr $$text, 0, $end;
    my $from = $end + 4;
    my $length = length($$text) - $from;

    return if $line[0] !~ m!^HTTP/(\d\.\d) (\d\d\d) ?(.*)!;

    my $self = bless {
        version => $1, status => $2, reason => $3, headers => {},
        head => substr($$text, 0, $from), body => '',
    }, $class;

    for (@line[1 .. $#line]) {
        my ($name, $value) = /^([^:]+):\s*(.*?)\s*$/ or next;
        my $old = $self->{headers}{lc $name};
        $self->{headers}{lc $name} = defined $old ? "$old, $value" : $value;
    }

    my $h = $self->{headers};

    if ($self->{status} < 200 || $self->{status} == 204
        || $self->{status} == 304 || defined $method && $method eq 'HEAD')
    {
        return ($self, substr $$text, $from);
    }

    if (($h->{'transfer-encoding'} || '') =~ /chunked/i) {

        my @chunk;

        pos($$text) = $from;

        while ($$text =~ /\G([0-9A-Fa-f]+)[^\r\n]*\r\n/gc) {
            my ($at, $size) = (pos $$text, hex $1);

            return if length $$text < $at + $size + 2;

            if ($size == 0) {
                $self->{body} = join '', map { substr $$text, $_->[0], $_->[1] }
                                         @chunk;
                return ($self, substr $$text, $at + 2);
            }

            push @chunk, [ $at, $size ];
            pos($$text) = $at + $size + 2;
        }

        return;
    }

    if (defined $h->{'content-length'}) {

        my $size = $h->{'content-length'};

        return if $length < $size && !$eof;

        $self->{truncated} = $length < $size;
        $self->{body} = substr $$text, $from, $size;

        return ($self, $length > $size ? substr $$text, $from + $size : '');
    }

    return if !$eof;

    $self->{body} = substr $$text, $from;

    return ($self, '');
}


sub status { $_[0]{status} }
sub reason { $_[0]{reason} }
sub body { $_[0]{body} }
sub head { $_[0]{head} }
sub headers { $_[0]{headers} }
sub header { $_[0]{headers}{lc $_[1]} }
sub truncated { $_[0]{truncated} }


# status and body in one string: handy in is()

sub text { "$_[0]{status} $_[0]{body}" }


# the commands of a poll: a list of [ id, text ]

sub commands {
    my ($self) = @_;

    return map { /^C:(\d+):(.*)$/s ? [ $1, $2 ] : () }
           split /\r?\n/, $self->{body};
}


1;
