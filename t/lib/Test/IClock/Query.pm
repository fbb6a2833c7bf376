package Test::IClock::Query;

# Copyright (C) the ngx_http_iclock_module authors

# Statements by PostgreSQL's protocol: what psql does, for less.  Tests ask
# thousands of times, and to start a program each time would take more than what
# it asks, and so would a backend of the server.  The connection stays for the
# next ones when all that was done on it is to read, or to call functions, and
# DISCARD ALL makes it a new one again.

use strict;
use warnings;

use Errno;
use Exporter qw/ import /;
use IO::Select;
use IO::Socket::UNIX;
use List::Util qw/ max /;
use Time::HiRes qw/ time /;

our @EXPORT_OK = qw/ forget query statements /;

# how long the server may take for letting us in; a statement may take any time
use constant CONNECT => 30;


# The statements of a text; none if it takes psql to tell them apart.

sub statements {
    my ($sql) = @_;

    $sql =~ s/;\s*\z//;

    return if $sql =~ /\\|^\s*copy\b/im;
    return $sql if $sql !~ /;/;
    return if $sql =~ m{--|/\*|[\$"]};

    my @found = $sql =~ /\G ( (?: [^';] | '[^']*' )+ ) (?: ; | \z )/gx;

    return join(';', @found) eq $sql ? @found : ();
}


# The connection that stays, by the path of the socket: there is no second one,
# so nobody finds it in a database that is to be dropped but who asked there
# last.
my %kept;

# What a session may leave behind that DISCARD ALL does not take away, or that
# is not told before a session ends.
my $lasting = qr/\b(?:set_config|setseed|pg_reload_conf|into)\b/i;


# Takes the path of the socket, statements, and what a connection begins with
# (user, database, TimeZone...).  Returns status, output and messages as psql
# -At does, which ends with the first statement that fails; nothing when the
# server wants to know who this is.

sub query {
    my ($path, $statements, %parameter) = @_;

    local $SIG{PIPE} = 'IGNORE';

    my $hello = join('', map { "$_\0$parameter{$_}\0" } sort keys %parameter)
                . "\0";
    my $self = reuse($path, $hello);

    if (!$self) {
        my $socket = IO::Socket::UNIX->new(Peer => $path)
            or return (2 << 8, '', "connection to $path failed: $!\n");

        $self = bless { socket => $socket, in => '', hello => $hello,
                        creator => $$, out => '', err => '',
                        until => time + CONNECT }, __PACKAGE__;

        $self->send(pack('N N', 8 + length $hello, 3 << 16) . $hello);

        my $asked = $self->answer() or return;
        return (2 << 8, '', $self->{err}) if $asked < 0;

        delete $self->{until};
    }

    my $asked;

    for my $sql (@$statements) {
        $asked = $self->ask($sql);
        last if $asked < 0 || $self->{failed};
    }

    my @result = ($asked < 0 ? 2 << 8 : $self->{failed} ? 3 << 8 : 0,
                  $self->{out}, $self->{err});

    if ($result[0] == 0
        && !grep({ !/^\s*(?:select|show)\b/i || $_ =~ $lasting } @$statements)
        && $self->{state} eq 'I'
        && $self->ask('DISCARD ALL') > 0 && !$self->{failed})
    {
        $kept{$path} = $self;

    } else {
        $self->finish();
    }

    return @result;
}


# The connection that has stayed, if it is one of this process, begins with the
# same, and the server has not ended it.

sub reuse {
    my ($path, $hello) = @_;

    my $self = delete $kept{$path} or return;

    return if $self->{creator} != $$;

    # what is not asked for is the end of the session, or about settings

    if ($self->{hello} ne $hello || $self->{in} ne ''
        || IO::Select->new($self->{socket})->can_read(0))
    {
        $self->finish();
        return;
    }

    @$self{qw/ out err /} = ('', '');

    return $self;
}


# No connection stays: before the server stops, say.

sub forget {
    my ($path) = @_;

    my $self = delete $kept{$path} or return;

    # at the end of the program the socket may have been closed already

    $self->finish() if $self->{creator} == $$
                       && ${^GLOBAL_PHASE} ne 'DESTRUCT';

    return;
}


# until the backend has gone

sub finish {
    my ($self) = @_;

    local $SIG{PIPE} = 'IGNORE';

    $self->send('X' . pack('N', 4));
    1 while $self->more();

    return;
}


sub ask {
    my ($self, $sql) = @_;

    $self->send('Q' . pack('N', 5 + length $sql) . "$sql\0");

    return $self->answer();
}


sub send {
    my ($self, $bytes) = @_;

    while (length $bytes) {
        my $n = syswrite $self->{socket}, $bytes;
        return if !defined $n;
        substr $bytes, 0, $n, '';
    }

    return;
}


# reads once; whether there was something

sub more {
    my ($self) = @_;

    if ($self->{until}
        && !IO::Select->new($self->{socket})->can_read(
                max(0, $self->{until} - time)))
    {
        $self->{err} .= "timeout expired\n";
        return 0;
    }

    my $n;

    do {
        $n = sysread $self->{socket}, $self->{in}, 65536, length $self->{in};
    } while (!defined $n && $!{EINTR});

    return $n;
}


# Messages until the server waits for a statement: 1; -1 if it ends the
# connection, 0 if it asks for a password.

sub answer {
    my ($self) = @_;

    while (1) {
        while (length $self->{in} >= 5) {
            my ($type, $length) = unpack 'a N', $self->{in};

            last if length $self->{in} < 1 + $length;

            my $body = substr substr($self->{in}, 0, 1 + $length, ''), 5;

            if ($type eq 'Z') {
                $self->{state} = $body;
                return 1;

            } elsif ($type eq 'D') {
                $self->row($body);

            } elsif ($type eq 'E' || $type eq 'N') {
                $self->{failed} = 1 if $type eq 'E';
                $self->message($type, $body);

            } elsif ($type eq 'A') {
                $self->notification($body);

            } elsif ($type eq 'R' && unpack('N', $body) != 0) {
                return 0;
            }
        }

        if (!$self->more()) {
            $self->{err} .= "server closed the connection unexpectedly\n"
                if $self->{err} eq '';
            return -1;
        }
    }
}


sub row {
    my ($self, $body) = @_;

    my $columns = unpack 'n', $body;
    my $at = 2;
    my @value;

    for (1 .. $columns) {
        my $length = unpack 'l>', substr $body, $at, 4;

        $at += 4;
        push @value, $length < 0 ? '' : substr $body, $at, $length;
        $at += max(0, $length);
    }

    $self->{out} .= join('|', @value) . "\n";

    return;
}


sub notification {
    my ($self, $body) = @_;

    my ($pid, $channel, $payload) = unpack 'N Z* Z*', $body;

    $self->{out} .= "Asynchronous notification \"$channel\" "
                    . ($payload eq '' ? '' : "with payload \"$payload\" ")
                    . "received from server process with PID $pid.\n";

    return;
}


sub message {
    my ($self, $type, $body) = @_;

    my %field = map { substr($_, 0, 1) => substr $_, 1 } split /\0/, $body;

    $self->{err} .= "psql: $field{S}:  $field{M}\n";
    $self->{err} .= "DETAIL:  $field{D}\n" if defined $field{D};
    $self->{err} .= "HINT:  $field{H}\n" if defined $field{H};
    $self->{err} .= "CONTEXT:  $field{W}\n" if defined $field{W}
                                                && $type eq 'E';

    return;
}


1;
