package Test::IClock::Proxy;

# Copyright (C) the ngx_http_iclock_module authors

# A proxy between nginx and PostgreSQL, in a process of its own, that does
# to the bytes what networks do.  Modes, changed at any time:
#
#   pass            bytes go on as they come
#   byte            bytes go on one at a time
#   stall           bytes are left unread, nothing goes on
#   reset, N        after N more bytes the connection is reset on both sides
#   cut, N          after N more bytes nothing goes on, and it stays open
#   deaf            notifications of the server are left out, as poolers do;
#                   of connections without TLS that are opened in this mode
#   garble          a row of a result that has this word is one column short,
#                   which libpq cannot read; of such connections, too
#   drop            connections are closed at once, new ones on accept
#
# byte, stall, reset and cut take a direction: "down" is from the server,
# "up" is to the server, "both" (the default).

use strict;
use warnings;

use Carp qw/ croak /;
use IO::Select;
use IO::Socket::INET;
use IO::Socket::UNIX;
use POSIX ();
use Socket qw/ IPPROTO_TCP TCP_NODELAY SOL_SOCKET SO_LINGER AF_UNIX
               SOCK_STREAM PF_UNSPEC /;
use Time::HiRes qw/ sleep /;

use constant BUFFER => 65536;


# options: port (to listen on), to (a path of a unix socket or "host:port"),
# delay (seconds between bytes in mode byte)

sub new {
    my ($class, %option) = @_;

    my $listen = IO::Socket::INET->new(LocalAddr => '127.0.0.1',
                     LocalPort => $option{port}, Listen => 128,
                     ReuseAddr => 1, Proto => 'tcp')
        or croak "proxy cannot listen on port $option{port}: $!";

    my ($parent, $child);

    socketpair $parent, $child, AF_UNIX, SOCK_STREAM, PF_UNSPEC
        or croak "socketpair: $!";

    my $pid = fork;
    croak "fork: $!" if !defined $pid;

    if ($pid == 0) {
        close $parent;
        $SIG{INT} = $SIG{TERM} = 'DEFAULT';
        $SIG{PIPE} = 'IGNORE';
        eval { _serve($listen, $child, \%option) } or warn "proxy: $@";
        POSIX::_exit(0);
    }

    close $child;
    close $listen;
    $parent->autoflush(1);

    return bless { pid => $pid, control => $parent, port => $option{port},
                   creator => $$ }, $class;
}


sub port { $_[0]{port} }


sub _ask {
    my ($self, $line) = @_;

    print {$self->{control}} "$line\n";

    my $answer = readline $self->{control};
    croak "the proxy is gone" if !defined $answer;

    chomp $answer;

    return $answer;
}


# mode('reset', after => 100, dir => 'down')

sub mode {
    my ($self, $mode, %option) = @_;

    croak "no such mode: $mode"
        if $mode !~ /^(?:pass|byte|stall|reset|cut|deaf|garble|drop)$/;

    $self->_ask(join ' ', 'mode', $mode, $option{dir} || 'both',
                $option{after} || 0);

    return $self;
}


# { connections, open, up, down }: connections since the start, open ones,
# bytes each way

sub stats {
    my ($self) = @_;

    my @value = split / /, $self->_ask('stats');

    return { map { $_ => shift @value } qw/ connections open up down / };
}


# resets the connections there are; the mode stays

sub reset_all {
    my ($self) = @_;

    $self->_ask('reset');

    return $self;
}


sub stop {
    my ($self) = @_;

    return if !$self->{pid} || $self->{creator} != $$;

    local ($?, $!);
    kill 'KILL', $self->{pid};
    waitpid $self->{pid}, 0;
    delete $self->{pid};

    return;
}


sub DESTROY { $_[0]->stop() }


sub _connect {
    my ($to) = @_;

    return IO::Socket::UNIX->new(Peer => $to, Type => SOCK_STREAM)
        if $to =~ m!^/!;

    return IO::Socket::INET->new(PeerAddr => $to, Proto => 'tcp');
}


sub _serve {
    my ($listen, $control, $option) = @_;

    my %mode = (up => 'pass', down => 'pass');
    my %left = (up => 0, down => 0);
    my %count = (up => 0, down => 0);
    my ($accepted, $drop) = (0, 0);
    my %pair;       # fileno => its connection
    my $command = '';

    my $close = sub {
        my ($pair, $reset) = @_;

        for my $side (qw/ client server /) {
            my $socket = delete $pair->{$side} or next;

            delete $pair{fileno $socket};
            setsockopt $socket, SOL_SOCKET, SO_LINGER, pack 'll', 1, 0
                if $reset;
            close $socket;
        }
    };

    my $move = sub {
        my ($pair, $dir) = @_;

        my ($from, $to) = $dir eq 'up' ? qw/ client server /
                                       : qw/ server client /;

        return if !$pair->{$from} || !$pair->{$to};

        my $size = BUFFER;
        my $m = $mode{$dir};

        if ($m eq 'reset' || $m eq 'cut') {
            if ($left{$dir} == 0) {
                $close->($pair, 1) if $m eq 'reset';
                return;
            }

            $size = $left{$dir} if $left{$dir} < $size;
        }

        my $bytes;
        my $n = sysread $pair->{$from}, $bytes, $size;

        return if !defined $n && $!{EAGAIN};

        return $close->($pair, 0) if !$n;

        $left{$dir} -= $n if $m eq 'reset' || $m eq 'cut';
        $count{$dir} += $n;

        if (($m eq 'deaf' || $m eq 'garble') && $dir eq 'down') {
            $pair->{held} .= $bytes;
            $bytes = '';

            while (length $pair->{held} >= 5) {
                my $size = 1 + unpack 'x N', $pair->{held};
                last if length $pair->{held} < $size;

                my $message = substr $pair->{held}, 0, $size, '';
                next if $m eq 'deaf' && $message =~ /^A/;

                substr($message, 5, 2) ^= "\x00\x01"
                    if $m eq 'garble' && $message =~ /^D.*garble/s;

                $bytes .= $message;
            }

            $n = length $bytes;
        }

        my $step = $m eq 'byte' ? 1 : $n;

        $pair->{$to}->blocking(1);

        for (my $at = 0; $at < $n; ) {
            my $w = syswrite $pair->{$to}, $bytes,
                             $step < $n - $at ? $step : $n - $at, $at;

            return $close->($pair, 1) if !defined $w;

            $at += $w;

            if ($m eq 'byte') {
                $option->{delay} ? sleep $option->{delay}
                                 : select undef, undef, undef, 0.00005;
            }
        }

        $pair->{$to}->blocking(0);

        $close->($pair, 1) if $m eq 'reset' && $left{$dir} == 0;
    };

    while (1) {
        my $select = IO::Select->new($listen, $control);

        for my $fd (keys %pair) {
            my ($pair, $dir) = @{$pair{$fd}};

            # do not wait for a side that the mode leaves unread
            next if $mode{$dir} eq 'stall';
            next if $mode{$dir} eq 'cut' && $left{$dir} == 0;

            $select->add($dir eq 'up' ? $pair->{client} : $pair->{server});
        }

        for my $socket ($select->can_read()) {

            if ($socket == $listen) {
                my $client = $listen->accept() or next;

                $accepted++;

                my $server = $drop ? undef : _connect($option->{to});

                if (!$server) {
                    close $client;
                    next;
                }

                setsockopt $client, IPPROTO_TCP, TCP_NODELAY, 1;
                $_->blocking(0) for $client, $server;

                my $pair = { client => $client, server => $server };
                $pair{fileno $client} = [ $pair, 'up' ];
                $pair{fileno $server} = [ $pair, 'down' ];

            } elsif ($socket == $control) {
                my $n = sysread $control, $command, 4096, length $command;

                POSIX::_exit(0) if !$n;

                while ($command =~ s/^(.*)\n//) {
                    my ($verb, @argument) = split / /, $1;

                    if ($verb eq 'mode') {
                        my ($m, $dir, $after) = @argument;

                        $drop = $m eq 'drop';
                        %mode = (up => 'pass', down => 'pass');

                        for my $d ($dir eq 'both' ? qw/ up down / : $dir) {
                            $mode{$d} = $drop ? 'pass' : $m;
                            $left{$d} = $after;
                        }
                    }

                    if ($verb eq 'reset' || $drop) {
                        my @all = map { $_->[0] } values %pair;

                        $close->($_, $verb eq 'reset') for @all;
                    }

                    syswrite $control,
                             join(' ', $accepted, keys(%pair) / 2,
                                  $count{up}, $count{down}) . "\n";
                }

            } else {
                my $entry = defined fileno $socket && $pair{fileno $socket};
                $move->(@$entry) if $entry;
            }
        }
    }
}


1;
