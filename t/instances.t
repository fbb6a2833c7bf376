#!/usr/bin/perl

# Copyright (C) the ngx_http_iclock_module authors

# Two nginx on one database: each command goes out once, and none is lost
# when workers are killed.

use strict;
use warnings;

use FindBin;
use Test::More;
use Time::HiRes qw/ sleep time /;

use lib "$FindBin::Bin/lib";
use Test::IClock;

use constant DEVICES => 20;
use constant PROCESSES => 4;        # that play the devices
use constant QUIET => 1000;         # commands while nobody is killed
use constant ROUGH => 5000;         # and meanwhile

my $t = Test::IClock->new;

sub configuration {
    my ($timeout) = @_;

    return $t->device_server(location => <<"END_OF_LOCATION");
            iclock_command_limit count=10;
            iclock_command_timeout $timeout;
            iclock_command_attempts 20;
END_OF_LOCATION
}

# nobody is so slow that a command is sent to him again
my $http = configuration('10m');

my $other = Test::IClock::Nginx->new($t->dir() . '/other');
my @nginx = ($t->nginx(), $other);

# the second one must not stay behind, whatever happens
END { $other->kill_all() if $other && $other->{creator} == $$ }

$t->start($http);
$other->start($http);

is($t->pg->backends('iclock/listen'), 2, 'both listen')
    if wait_until(10, sub { $t->pg->backends('iclock/listen') == 2 });

my @sn = map { sprintf 'TWIN%04d', $_ } 1 .. DEVICES;

for my $sn (@sn) {
    for my $nginx (@nginx) {
        my $device = $t->device($sn, port => $nginx->port());

        $device->handshake();
        $device->poll();
    }
}


sub queue {
    my ($n) = @_;

    $t->psql("SELECT count(iclock.queue_command('TWIN' || lpad((1 + n % "
             . DEVICES . ")::text, 4, '0'), 'LOG ' || n))"
             . " FROM generate_series(1, $n) AS n");

    return;
}


sub open_commands {
    return $t->psql("SELECT count(*) FROM iclock.command"
                    . " WHERE status IN ('queued', 'sent')");
}


# One poll of each of these at the same time.

sub polls {
    my (@device) = @_;

    my @c = map { eval { Test::IClock::HTTP->new(port => $_->{port},
                                                 timeout => 60) } || () }
            @device;

    $_->write(Test::IClock::HTTP::format_request('GET',
                  '/iclock/getrequest?SN=' . $device[0]->sn)) for @c;

    return grep { defined } map { $_->read('GET') } @c;
}


# Plays some devices until there is a file: each polls one nginx and the
# other in turn, or both at once, and keeps an answer until it is taken.  One
# answer of "forget" never leaves it.  Returns { id => how often it arrived }.

sub play {
    my ($i, $stop, $both, $forget) = @_;

    my @mine = grep { $_ % PROCESSES == $i } 0 .. $#sn;
    my @device = map { my $sn = $sn[$_];
                       [ map { $t->device($sn, port => $_->port(),
                                          timeout => 60) } @nginx ] } @mine;
    my (%arrived, %forgotten, @answer);
    my $turn = 0;

    while (!-e $stop) {
        my $busy = 0;

        $turn++;

        for my $n (0 .. $#device) {
            my @to = $both ? @{$device[$n]}
                           : $device[$n][($turn + $n) % 2];

            for (map { $_->commands() } polls(@to)) {
                my $id = $_->[0];

                $arrived{$id}++;
                $busy++;

                next if $forget && $id % $forget == 0 && !$forgotten{$id}++;

                push @{$answer[$n]}, [ $id, 0, 'LOG' ];
            }

            next if !@{$answer[$n] || []};

            $answer[$n] = []
                if $device[$n][$turn % 2]->ack(@{$answer[$n]})->status == 200;
        }

        sleep 0.05 if !$busy;
    }

    return \%arrived;
}


# the devices in processes of their own, and the code in another one

sub together {
    my ($both, $forget, $code) = @_;

    my $stop = $t->dir() . '/stop';
    unlink $stop;

    my @result = $t->parallel(PROCESSES + 1, sub {
        my ($i) = @_;

        return play($i, $stop, $both, $forget) if $i < PROCESSES;

        my $result = eval { $code->() };
        my $error = $@;

        open my $out, '>', $stop;
        close $out;

        die $error if $error;
        return $result;
    });

    my $result = pop @result;

    return ($result, { map { %{$_ || {}} } @result });
}


# nobody is killed: each command arrives once, also when a device asks both
# at the same time

my ($left, $arrived) = together(1, 0, sub {
    queue(QUIET / 5) for 1 .. 5;
    wait_until(60, sub { open_commands() == 0 });
    return open_commands();
});

is($left, 0, 'every command is answered');
is(scalar keys %$arrived, QUIET, 'every command has arrived');
is(scalar(grep { $_ != 1 } values %$arrived), 0, 'each once');
is($t->psql("SELECT status || attempts || return_code, count(*)"
            . " FROM iclock.command GROUP BY 1"), 'done10|' . QUIET,
   'each was sent once');


# workers are killed all the time, and terminals forget answers

$t->psql('DELETE FROM iclock.command');
$_->reload(configuration('3s')) for @nginx;

# which process died of it is what this is about
$t->allow(qr/exited on signal 9/);

my $since = time;
my $result;

($result, $arrived) = together(0, 97, sub {
    my $kills = 0;

    for (1 .. 20) {
        queue(ROUGH / 20);

        my $nginx = $nginx[$_ % 2];
        my @worker = $nginx->workers();

        # the one that listens, too
        $nginx->kill_worker($worker[$_ / 2 % @worker]);
        $kills++;
        sleep 0.2;
    }

    wait_until(120, sub { open_commands() == 0 });

    return { kills => $kills, open => open_commands() };
});

diag(sprintf '%d workers killed, %.1f s', $result->{kills}, time - $since);

is($result->{kills}, 20, 'workers were killed');
is($result->{open}, 0, 'every command is answered');
is($t->psql("SELECT status || return_code, count(*) FROM iclock.command"
            . ' GROUP BY 1'), 'done0|' . ROUGH, 'none failed, none is lost');
is(scalar keys %$arrived, ROUGH, 'every command has arrived');

my %attempts = map { split /\|/ } $t->psql_lines(
    'SELECT id, attempts FROM iclock.command');

my @uncounted = grep { $arrived->{$_} > $attempts{$_} } keys %$arrived;
is("@uncounted", '', 'whatever arrived was counted');

my @forgotten = grep { $_ % 97 == 0 } keys %attempts;
cmp_ok(scalar @forgotten, '>', 30, 'answers were forgotten');
is(scalar(grep { $attempts{$_} < 2 || $arrived->{$_} < 2 } @forgotten), 0,
   'their commands were sent again, and that was counted');

my $again = grep { $attempts{$_} > 1 } keys %attempts;
my $lost = grep { $attempts{$_} > ($arrived->{$_} || 0) } keys %attempts;
diag("$again commands were sent again, $lost of them lost on the way");
cmp_ok($again, '<', ROUGH / 2, 'no more were sent again than had to be');

my $complaints = $other->complaints();
is($other->stop(), 0, 'the other nginx exits with status 0');
unlike($complaints, qr/Sanitizer|runtime error:/, 'and without complaints');
# some die with a lock of the zone: the master takes it, and says so
my $killed = qr/exited on signal 9|zone "iclock\/\d+" was locked by/;
unlike($other->error_log() =~ s/.*$killed.*\n//gr,
       qr/\[(?:alert|crit|emerg)\]|open socket #/,
       'nothing bad in its error log');

$t->done();
