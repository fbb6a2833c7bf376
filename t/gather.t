#!/usr/bin/perl

# Copyright (C) the ngx_http_iclock_module authors

# When the next transaction begins: at once while nobody else is there, and
# otherwise with all who are, with thirty-two requests, or as many as are under
# way if those are more, or after 2 ms.  What is not begun waits for ever here:
# the timers of nginx stand still, unless this test lets time pass.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Test::IClock;
use Test::IClock::Clock;
use Test::IClock::HTTP;

my $t = Test::IClock->new;
my $pg = $t->pg;
my $clock = Test::IClock::Clock->new($t->dir(), "$FindBin::Bin/clock/clock.c",
                                     time);

$t->nginx->{env} = { %{$clock->environment()}, CLOCK_STILL => 1 };
$t->psql("ALTER TABLE iclock.punch ADD CONSTRAINT not_666"
         . " CHECK (pin <> '666')");

my @sn = map { sprintf 'GATHER%02d', $_ } 0 .. 9;
my $day = 0;

# a device that is new would be looked up once more when nginx is told of it

$t->psql('INSERT INTO iclock.device (serial_number, status)'
         . " VALUES ('$_', 'active')") for @sn;


# Punches of a day of their own, so that there were none of them before; the
# last one may be of another PIN.

sub upload_later {
    my ($sn, $n, $pin) = @_;

    my $c = $t->connect(timeout => 120);

    $n ||= 1;
    $day++;
    $c->write(Test::IClock::HTTP::format_request('POST',
        "/iclock/cdata?SN=$sn&table=ATTLOG&Stamp=9999",
        join '', map { sprintf "%s\t%s 08:%02d:%02d\t0\t1\n",
                       $_ < $n ? 7 : $pin || 7, date($day), $_ / 60, $_ % 60 }
                 1 .. $n));

    return $c;
}


sub date { sprintf '2026-%02d-%02d', 1 + $_[0] / 28, 1 + $_[0] % 28 }


sub upload { return upload_later(@_)->read->text }


# nginx has read what was sent before this: there is one worker

sub settled {
    my ($name) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    is($t->device($sn[9])->poll()->text, '200 OK', $name);
}


# by the last n uploads: which share a transaction, as "1 1 2"

sub transactions {
    my ($n) = @_;

    my @xmin = $pg->psql_lines(
        "SELECT string_agg(DISTINCT xmin::text, '+') FROM iclock.punch"
        . " WHERE local_time >= '" . date($day - $n + 1) . "'"
        . ' GROUP BY local_time::date ORDER BY local_time::date');

    my (%number, $numbers);

    $number{$_} ||= ++$numbers for @xmin;

    return join ' ', map { $number{$_} } @xmin;
}


# Transactions are under way that wait for a lock: one of each list, with an
# upload of each of these devices.  Those after the first one begin when time
# passes, and for that nginx must have opened a connection.

my (@lock, @held);

sub under_way {
    my (@list) = @_;

    @lock = map { $pg->hold("SELECT FROM iclock.device WHERE serial_number ="
                            . " '$sn[$_->[0]]' FOR UPDATE") } @list;
    for my $n (1 .. @list) {
        for (@{$list[$n - 1]}) {
            push @held, upload_later($sn[$_]);
            settled("under way: $_ is read");
        }
        ok(wait_until(60, sub {
            $clock->pass(2) if $n > 1;
            $pg->blocked() >= $n;
        }), "under way: transaction $n");
    }
}


sub release {
    my ($name) = @_;

    $_->release() for splice @lock;
    is($_->read->text, '200 OK: 1', "$name: what was under way is stored")
        for splice @held;
}


# they end, and nginx does, which has to wait for clients a little

sub over {
    my ($name) = @_;

    release($name);

    kill 'QUIT', $t->nginx->{pid};
    ok(wait_until(60, sub { $clock->pass(1000); !$t->nginx->running() }),
       "$name: nginx ends");
    is($t->nginx->{status}, 0, "$name: with status 0");
}


sub start {
    my ($pool) = @_;

    my $before = length $t->error_log();

    $t->start($t->device_server(pool => "$pool timeout=10m"), workers => 1);
    ok(wait_until(60, sub {
        substr($t->error_log(), $before) =~ /iclock: listening for notif/ }),
       "$pool: nginx listens");

    # From now on it knows what it has asked; and no clock has to go on for
    # these, nothing is under way.  What nginx itself asks now may take a place
    # in the queue.

    for my $sn (@sn) {
        ok(wait_until(60, sub { $t->device($sn)->poll()->text eq '200 OK' }),
           "at once: poll of $sn");
        ok(wait_until(60, sub { upload($sn) eq '200 OK: 1' }),
           "at once: upload of $sn");
    }
}


start('connections=4');
under_way([ 0 ], [ 1 ], [ 2, 3 ]);
is(scalar($pg->blocked()), 3, 'four uploads in three transactions');

my @waiting;

sub one_waits {
    my ($name) = @_;

    @waiting = upload_later($sn[4]);
    settled("$name: one waits");
}


# from now on there is a connection that is idle

is($t->get("/iclock/cdata?SN=$sn[5]&type=LastPunch&PIN=7")->status, 200,
   'a question does not wait');

one_waits('gather');
$clock->pass(1);
push @waiting, upload_later($sn[4 + $_ % 4])
    and settled("gather: another one is read") for 1 .. 31;
is($_->read->text, '200 OK: 1', 'gather: as many wait as share the cost')
    for @waiting;
is(transactions(32), join(' ', (1) x 32), 'gather: they share a transaction');

one_waits('2 ms');
$clock->pass(1);
settled('2 ms: one is over, and two since those before began to wait');
push @waiting, upload_later($sn[5]);
settled('2 ms: two wait');
$clock->pass(1);
is($_->read->text, '200 OK: 1', '2 ms: are over') for @waiting;
is(transactions(2), '1 1', '2 ms: they share a transaction');

one_waits('again');
push @waiting, upload_later($sn[5]);
settled('again: for 2 ms of their own');
$clock->pass(2);
is($_->read->text, '200 OK: 1', 'again: are over') for @waiting;
is(transactions(2), '1 1', 'again: they share a transaction');


# what others could not join

one_waits('alone');
is($t->get("/iclock/cdata?SN=$sn[5]&type=LastPunch&PIN=7")->status, 200,
   'alone: a question does not wait');
is($waiting[0]->read->text, '200 OK: 1', 'alone: nor what is before it');

one_waits('many');
is(upload($sn[5], 512), '200 OK: 512', 'many: records do not wait');
is($waiting[0]->read->text, '200 OK: 1', 'many: nor what is before them');

is(upload($sn[5], 512, 666), '200 OK: 512',
   'halves: what is run again does not wait');

is(scalar($pg->blocked()), 3, 'all that while three were under way');


# Those under way end: whoever was answered may have more at once.  Nobody has
# been answered for 2 ms before.

$clock->pass(2);
one_waits('back');
release('back');
push @waiting, upload_later($sn[$_]) and settled("back: $_ is read") for 0 .. 3;
is($_->read->text, '200 OK: 1', 'back: all are back') for @waiting;
is(transactions(5), '1 1 1 1 1', 'back: they share a transaction');

one_waits('away');
push @waiting, upload_later($sn[5]);
settled('away: two of five are back');
$clock->pass(2);
is($_->read->text, '200 OK: 1', 'away: 2 ms are over') for @waiting;
is(transactions(2), '1 1', 'away: they share a transaction');

$clock->pass(2);
is(upload($sn[4]), '200 OK: 1', 'away: nobody is expected any more');
# Nobody waits for what nginx asks of its own accord.  It has one such question
# that shares transactions: which commands are due.  All connections are open
# and idle, so none has to be opened while time passes by.

$clock->pass(2);

my $held = $pg->hold('LOCK TABLE iclock.command');

$clock->pass(15_000);
ok(wait_until(60, sub {
    $pg->psql_lines("SELECT pid FROM pg_stat_activity"
                    . " WHERE application_name LIKE 'iclock%'"
                    . " AND wait_event_type = 'Lock'"
                    . " AND query ~ 'iclock.due_devices'");
}), 'its own: nginx asks what is due');
is(upload($sn[4]), '200 OK: 1', 'its own: nobody waits for the answer');
$held->release();
over('its own');


# no more fit into the queue

start('connections=4 queue=3');
under_way([ 0 ], [ 1 ], [ 2, 3 ]);
one_waits('queue');
push @waiting, upload_later($sn[$_]) for 5, 6;
is($_->read->text, '200 OK: 1', 'queue: nobody waits where no more can')
    for @waiting;
over('queue');


# many are under way, and then a worker leaves

start('connections=4');
under_way([ 0 ], [ (1) x 32 ], [ 2 ]);
one_waits('more');
push @waiting, upload_later($sn[4 + $_ % 4])
    and settled("more: another one is read") for 1 .. 33;
is($_->read->text, '200 OK: 1', 'more: as many wait as are under way')
    for @waiting;
is(transactions(34), join(' ', (1) x 34), 'more: they share a transaction');

one_waits('leaving');
kill 'QUIT', $t->nginx->{pid};
ok(wait_until(60, sub { !$t->workers() }), 'leaving: the worker knows');
$clock->pass(2);
is($waiting[0]->read->text, '200 OK: 1', 'leaving: it is stored');
over('leaving');

$t->done();
