#!/usr/bin/perl

# Copyright (C) the ngx_http_iclock_module authors

# Somebody sets the clock of the machine: turns of the event loop take no longer
# for that, what is done every 15 seconds goes on, and terminals are online, or
# refused, by the clock of PostgreSQL.

use strict;
use warnings;

use FindBin;
use POSIX ();
use Test::More;
use Time::HiRes qw/ sleep time /;

use lib "$FindBin::Bin/lib";
use Test::IClock;
use Test::IClock::Clock;
use Test::IClock::Metrics;

my $t = Test::IClock->new();
my $m = Test::IClock::Metrics->new($t);
my $clock = Test::IClock::Clock->new($t->dir(), "$FindBin::Bin/clock/clock.c",
                                     time);

# of nginx alone, and only the time of day

$t->{nginx}{env} = { %{$clock->environment()}, CLOCK_WALL => 1 };
$t->start($t->device_server(server => $m->locations()));

ok($t->get('/metrics')->body =~ /event_loop_turn_max_seconds/, 'turns count');

# workers are busy meanwhile

my $pid = fork // die "fork: $!";

if ($pid == 0) {
    my $end = time + 60;
    eval { $t->get('/metrics') } while time < $end;
    POSIX::_exit(0);
}

my ($start, $turns, $moved) = (time, 0, 0);

while ($moved < 400 || $turns < 200) {
    $clock->to(time + (++$moved % 2 ? 3600 : -3600));
    sleep 0.003;
    next if $moved % 100;
    $turns = $m->value('event_loop_turn_duration_seconds_count');
    last if time - $start > 40;
}

kill KILL => $pid;
waitpid $pid, 0;

$clock->to(time);
my $now = $m->now();

cmp_ok($turns, '>=', 200, "turns while the clock is set $moved times");
cmp_ok($now->{iclock_event_loop_turn_max_seconds}, '<', 60,
       'none takes an hour');
cmp_ok($now->{iclock_event_loop_turn_max_seconds}, '>', 0,
       'the longest is known all the same');
cmp_ok($now->{iclock_event_loop_turn_duration_seconds_sum}, '<', 600,
       'nor do all together');

# the machine comes up a day ahead, then its clock is set

is($t->quit(), 0, 'nginx leaves');

sub asked {
    my ($n) = @_;

    return wait_until(60, sub {
        $clock->pass(1000);
        $t->psql("SELECT count(*) FROM iclock.command WHERE body = 'CHECK'")
            >= $n;
    });
}

sub move {
    $t->psql("UPDATE iclock.device SET timezone = '$_[0]';"
             . " UPDATE iclock.command SET status = 'cancelled'");
}

$clock->to(time + 86400);
$t->{nginx}{env} = { %{$clock->environment()}, CLOCK_STILL => 1 };
$t->start($t->device_server());

is($t->device('MOVED001')->handshake()->status, 200, 'a handshake');
move('Asia/Kolkata');
ok(asked(1), 'a day ahead: another time zone makes it ask again');

$clock->to(time);
move('Asia/Tokyo');
ok(asked(2), 'and so it does when the clock has been set back');


# nginx is an hour behind PostgreSQL, and then a day ahead

is($t->quit(), 0, 'nginx leaves again');

sub presence {
    my ($sn, $what) = @_;

    return $t->psql("SELECT $what FROM iclock.device_presence p"
                    . ' JOIN iclock.device d ON d.id = p.device_id'
                    . " WHERE d.serial_number = '$sn'");
}

sub seen {
    my ($sn, $what) = @_;

    return wait_until(60, sub { presence($sn, $what) eq 't' });
}

# what there was before, or was written by the clock that PostgreSQL had
sub ahead {
    my ($sn) = @_;

    $t->psql("UPDATE iclock.$_ SET last_seen = now() + interval '1 day'"
             . ($_ eq 'device'
                ? ", first_seen = now() + interval '1 day' WHERE id"
                : ' WHERE device_id')
             . ' = (SELECT id FROM iclock.device'
             . " WHERE serial_number = '$sn')")
        for qw/ device_presence device /;
}

sub conditions {
    my ($sn) = @_;

    return $t->psql('SELECT string_agg(c.condition, \' \')'
                    . ' FROM iclock.device_conditions() c'
                    . ' JOIN iclock.device d ON d.id = c.device_id'
                    . " WHERE d.serial_number = '$sn'");
}

$clock->to(time - 3600);
$t->{nginx}{env} = { %{$clock->environment()}, CLOCK_WALL => 1 };
$t->start($t->device_server(http => 'iclock_presence_interval 100ms;'));

is($t->device('BEHIND01')->handshake()->status, 200, 'an hour behind');
ok(seen('BEHIND01', 'true'), 'presence is written');
is(presence('BEHIND01', "p.last_seen > now() - interval '30 minutes'"), 't',
   'it has called just now, all the same');

$clock->to(time + 86400);
is($t->device('AHEAD001')->handshake()->status, 200, 'a day ahead');
ok(seen('AHEAD001', 'true'), 'presence is written');
is(presence('AHEAD001', 'p.last_seen <= now() AND d.last_seen <= now()'), 't',
   'it has not called tomorrow');

ahead('BEHIND01');
ok(wait_until(60, sub {
    $t->device('BEHIND01')->poll();
    presence('BEHIND01', 'p.last_seen <= now() AND d.last_seen <= now()'
                         . ' AND d.first_seen <= now()')
        eq 't'
}), 'one that was seen tomorrow was seen today');

# the clock is set back, and a terminal is refused from then on

$clock->to(time);
$t->psql("UPDATE iclock.device SET comm_key = 'secret'"
         . " WHERE serial_number = 'AHEAD001'");
ok(wait_until(60, sub {
    $t->device('AHEAD001')->handshake('pushcommkey=wrong')->status == 403
}), 'a terminal has another key');
ok(wait_until(60, sub { conditions('AHEAD001') eq 'key' }),
   'it was refused after it was served') or diag(conditions('AHEAD001'));

my $served = presence('AHEAD001', 'p.last_seen');

ok(wait_until(60, sub {
    $t->device('AHEAD001')->handshake('pushcommkey=wrong');
    $t->psql('SELECT last_at > first_at FROM iclock.device_refusal') eq 't'
}), 'and again');
is(presence('AHEAD001', 'p.last_seen'), $served, 'it was not served again');

$t->done();
