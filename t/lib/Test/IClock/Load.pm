package Test::IClock::Load;

# Copyright (C) the ngx_http_iclock_module authors

# Terminals that upload single punches as fast as they are answered, from a
# process of their own, while the test does something to nginx or to
# PostgreSQL.  As terminals do, they send a punch again until it has been
# acknowledged.
#
#   my $load = Test::IClock::Load->start(port => $t->port);
#   $t->reload();
#   my $report = $load->stop();
#   Test::IClock::Load::is_good($t, $report, 'reload');
#
# The report: sent and acknowledged (punches as "serial|pin|time"), refused
# (replies with 503), closed (connections without a reply), and bad, a list
# of what must not happen.

use strict;
use warnings;

use Carp qw/ croak /;
use IO::Select;
use IO::Socket::INET;
use JSON::PP ();
use POSIX qw/ strftime /;
use Test::More ();
use Time::HiRes qw/ sleep time /;

use Test::IClock::HTTP ();


# options: port; clients (64), of which every second keeps its connection and
# every second pair writes slowly; devices (16); prefix of the serial numbers;
# pause (0): seconds from an acknowledgement to the next punch

sub start {
    my ($class, %option) = @_;

    %option = (clients => 64, devices => 16, prefix => 'LOAD', patience => 60,
               pause => 0,
               %option);

    pipe my $in, my $out or croak "pipe: $!";
    pipe my $stop, my $control or croak "pipe: $!";

    my $pid = fork;
    croak "fork: $!" if !defined $pid;

    if ($pid == 0) {
        close $in;
        close $control;
        $SIG{INT} = $SIG{TERM} = 'DEFAULT';
        $SIG{PIPE} = 'IGNORE';
        my $report = eval { _run($stop, \%option) };
        print $out JSON::PP::encode_json($report || { bad => [ "$@" ] });
        close $out;
        POSIX::_exit(0);
    }

    close $out;
    close $stop;

    return bless { pid => $pid, report => $in, control => $control,
                   creator => $$ }, $class;
}


# begins no new punches, waits for those under way

sub stop {
    my ($self) = @_;

    close $self->{control};

    my $text = do { local $/; readline $self->{report} };

    waitpid delete $self->{pid}, 0;

    return JSON::PP::decode_json($text);
}


# Tests what must be true whatever happened meanwhile.

sub is_good {
    my ($t, $report, $name) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    Test::More::is("@{$report->{bad}}", '', "$name: nothing but OK and 503");
    Test::More::is(missing($t, $report), 0,
                   "$name: what was acknowledged is stored");

    return;
}


# how many punches of reports were acknowledged and are not stored

sub missing {
    my ($t, @report) = @_;

    my %stored = map { $_ => 1 } $t->psql_lines(
        "SELECT d.serial_number, p.pin, p.local_time FROM iclock.punch p"
        . " JOIN iclock.device d ON d.id = p.device_id");

    return scalar grep { !$stored{$_} } map { @{$_->{acknowledged}} } @report;
}


sub DESTROY {
    my ($self) = @_;

    return if !$self->{pid} || $self->{creator} != $$;

    local ($?, $!);
    kill 'KILL', $self->{pid};
    waitpid $self->{pid}, 0;
}


sub _next_punch {
    my ($client, $report) = @_;

    my $n = $client->{n}++;
    my $local = strftime('%Y-%m-%d %H:%M:%S', gmtime(1773000000 + $n));

    $client->{punch} = "$client->{sn}|$client->{pin}|$local";
    $client->{request} = Test::IClock::HTTP::format_request('POST',
        "/iclock/cdata?SN=$client->{sn}&table=ATTLOG&Stamp=9999",
        "$client->{pin}\t$local\t0\t1\n", -keepalive => $client->{keepalive});

    push @{$report->{sent}}, $client->{punch};
}


sub _hang_up {
    my ($client, $after) = @_;

    close delete $client->{socket} if $client->{socket};

    $client->{at} = time + $after;
}


# sends the punch from its beginning, on the connection there is or a new one

sub _send {
    my ($client, $option) = @_;

    if (!$client->{socket}) {
        $client->{socket} = IO::Socket::INET->new(Proto => 'tcp',
            PeerAddr => '127.0.0.1', PeerPort => $option->{port});

        return _hang_up($client, 0.02) if !$client->{socket};

        $client->{socket}->blocking(0);
    }

    $client->{out} = $client->{request};
    $client->{in} = '';
    $client->{asked} = time;
    $client->{at} = 0;
}


sub _write {
    my ($client) = @_;

    # slow ones need several pieces, the last of which is in the body
    my $size = $client->{slow} ? 60 : length $client->{out};

    my $n = syswrite $client->{socket}, $client->{out}, $size;

    if (!defined $n) {
        # a reply may have come before the connection was closed
        $client->{out} = '' if !$!{EAGAIN};
        return;
    }

    substr $client->{out}, 0, $n, '';

    $client->{at} = time + 0.003 if $client->{slow};
}


# what arrived; true when the client has to go on with a request

sub _read {
    my ($client, $report, $option) = @_;

    my $n = sysread $client->{socket}, $client->{in}, 65536,
                    length $client->{in};

    return if !defined $n && $!{EAGAIN};

    my ($response) = Test::IClock::HTTP::Response->parse($client->{in}, !$n);

    if (!$response) {
        if (!$n) {
            $report->{closed}++;
            _hang_up($client, 0.01);
        }
        return;
    }

    if ($response->text eq '200 OK: 1') {
        push @{$report->{acknowledged}}, $client->{punch};
        delete $client->{punch};

    } elsif ($response->status == 503) {
        $report->{refused}++;
        push @{$report->{bad}}, '503 without Retry-After'
            if ($response->header('Retry-After') || '') !~ /^\d+\z/;

    } else {
        push @{$report->{bad}}, $response->text;
    }

    # nginx may answer before it has read all of a request
    _hang_up($client, 0) if !$n || !$client->{keepalive}
        || $client->{out} ne ''
        || ($response->header('Connection') || '') eq 'close';

    $client->{asked} = 0;
    $client->{at} = time + ($response->status == 200 ? $option->{pause} : 0.05);
}


sub _run {
    my ($stop, $option) = @_;

    my %report = (sent => [], acknowledged => [], refused => 0, closed => 0,
                  bad => []);

    my @client = map {
        { pin => 1 + $_, n => 0, at => 0, asked => 0,
          sn => sprintf('%s%04d', $option->{prefix}, $_ % $option->{devices}),
          keepalive => $_ % 2, slow => $_ % 4 > 1 }
    } 0 .. $option->{clients} - 1;

    my $deadline;

    while (1) {
        my $now = time;

        if (!$deadline && IO::Select->new($stop)->can_read(0)) {
            $deadline = $now + $option->{patience};
        }

        my ($readable, $writable) = (IO::Select->new, IO::Select->new);
        my %of;

        for my $client (@client) {

            if (!$client->{asked} && $client->{at} <= $now
                && ($client->{punch} || !$deadline))
            {
                _next_punch($client, \%report) if !$client->{punch};
                _send($client, $option);
            }

            next if !$client->{socket} || !$client->{asked};

            if ($now - $client->{asked} > $option->{patience}) {
                push @{$report{bad}}, 'no reply';
                $client->{asked} = 0;
                _hang_up($client, 0);
                next;
            }

            $of{fileno $client->{socket}} = $client;
            $readable->add($client->{socket});
            $writable->add($client->{socket})
                if $client->{out} ne '' && $client->{at} <= $now;
        }

        my @left = grep { $_->{punch} } @client;

        if ($deadline && (!@left || $now > $deadline)) {
            push @{$report{bad}}, ('never acknowledged') x @left;
            last;
        }

        if (!%of) {
            sleep 0.005;
            next;
        }

        my ($r, $w) = IO::Select->select($readable, $writable, undef, 0.003);

        _write($of{fileno $_}) for @{$w || []};

        for my $socket (@{$r || []}) {
            my $client = $of{fileno $socket};

            _read($client, \%report, $option);

            $client->{asked} = 0 if !$client->{socket};
        }
    }

    return \%report;
}


1;
