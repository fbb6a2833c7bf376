#!/usr/bin/perl

# Copyright (C) the ngx_http_iclock_module authors

# Punches of months that have no partition yet.  t/sql/partitions.sql shows
# which partitions one session makes; here terminals upload, reports read and
# dumps hold locks while partitions are made.

use strict;
use warnings;

use FindBin;
use POSIX qw/ strftime /;
use Test::More;

use lib "$FindBin::Bin/lib";
use Test::IClock;
use Test::IClock::Load;
use Test::IClock::Process qw/ spawn /;

my $t = Test::IClock->new;
my $pg = $t->pg;


# the first of a month, counted from this one

sub month {
    my ($n) = @_;

    my @now = gmtime;

    return strftime('%Y-%m', 0, 0, 12, 1, $now[4] + $n, $now[5]);
}


sub upload { $t->device('PART0001')->punches(map { "7\t$_\t0\t1" } @_)->text }


# where the punches of a time are: names of tables

sub tables {
    my ($like) = @_;

    return $t->psql("SELECT string_agg(DISTINCT tableoid::regclass::text, ',')"
                    . " FROM iclock.punch WHERE local_time::text LIKE"
                    . " '$like%'");
}


sub partition { 'iclock.punch_' . $_[0] =~ s/-/_/r }


sub maintain { $t->psql('SELECT iclock.maintain()') }


# how often in a row the partitions could not be locked

sub failures {
    return $t->psql("SELECT failures FROM iclock.maintenance"
                    . " WHERE task = 'partitions'");
}


# a lock that is held for long is asked for ever more seldom

$t->psql("INSERT INTO iclock.device (serial_number, status)"
         . " VALUES ('PART0001', 'active');"
         . " INSERT INTO iclock.punch (device_id, local_time, pin)"
         . " SELECT id, '" . month(-8) . "-01', '7' FROM iclock.device");

my $reader = $pg->hold('SELECT count(*) FROM iclock.punch');
my @pause;

for (1 .. 10) {
    $t->psql("UPDATE iclock.maintenance SET not_before = '-infinity'");
    push @pause, maintain();
}

is("@pause", '1 2 4 8 16 32 64 128 256 300', 'seconds to the next attempt');
cmp_ok(maintain(), '>', 200, 'called again before that');
is(failures(), 10, 'nothing is attempted');
$reader->release();
cmp_ok(maintain(), '>', 200, 'the lock is released, still nothing');
$t->psql("UPDATE iclock.maintenance SET not_before = '-infinity'");
is(maintain(), 3600, 'after the time: done');
is(failures(), 0, 'the count begins anew');
is(tables(month(-8)), partition(month(-8)), 'the punch has moved');


# an upload that waits for a lock of maintain() fails after this time

$t->start($t->device_server(pool => 'timeout=15s'));

ok($t->wait_log(qr/listening for notifications/), 'listening');
is(upload(month(0) . '-01 08:00:00'), '200 OK: 1', 'a punch of now');
is(tables(month(0)), partition(month(0)), 'it is in its partition');
is($t->psql('SELECT count(*) FROM iclock.punch_default'), 0,
   'the default partition is empty');


# an old month: a device that was offline for long

my $old = month(-9);

is(tables($old), '', 'nothing is there');
is(upload("$old-05 08:00:00", "$old-06 08:00:00"), '200 OK: 2',
   'punches of an old month');
ok(wait_until(300, sub { tables($old) eq partition($old) }),
   'they get a partition');
is(upload("$old-07 08:00:00"), '200 OK: 1', 'another one');
is(tables($old), partition($old), 'goes there');


# clocks that are far off

is(upload('1999-01-01 00:00:01', '2099-12-31 23:59:59'), '200 OK: 2',
   'punches of devices without a clock');

my $older = month(-20);

is(upload("$older-01 08:00:00"), '200 OK: 1', 'punches of another month');
ok(wait_until(300, sub { tables($older) eq partition($older) }),
   'get a partition all the same');
is(tables($_), 'iclock.punch_default', "$_ stays in the default partition")
    for 1999, 2099;
is(upload('1999-01-01 00:00:01', '1999-01-01 00:00:02'), '200 OK: 2',
   'sent again');
is($t->psql("SELECT count(*) FROM iclock.punch"
            . " WHERE local_time < '2000-01-01'"), 2, 'each is stored once');


# 64 terminals while partitions are made

my $load = Test::IClock::Load->start(port => $t->port, pause => 0.2);
my @month = map { month(-$_) } 21 .. 40;
my $count = sub { $t->psql('SELECT count(*) FROM iclock.punch') };
my $before = $count->();

wait_until(60, sub { $count->() > $before + 100 });

my @text = map { upload("$_-15 08:00:00", "$_-16 08:00:00") } @month;

is(scalar(grep { $_ eq '200 OK: 2' } @text), scalar @month,
   'punches of 20 months under load');
ok(wait_until(300, sub {
    $t->psql("SELECT count(*) FROM iclock.punch WHERE tableoid::regclass::text"
             . " = to_char(local_time, '\"iclock.punch_\"YYYY_MM')"
             . " AND local_time < '$month[0]-20'"
             . " AND local_time > '$month[-1]-01'") == 2 * @month
}), 'all get their partitions');

my $report = $load->stop();

Test::IClock::Load::is_good($t, $report, 'the others');
is($report->{refused}, 0, 'none is refused');


# somebody reads the default partition for long: inserts go on

my $lock = $pg->hold('LOCK TABLE iclock.punch_default IN ACCESS SHARE MODE');
my $late = month(-41);

is(upload("$late-15 08:00:00"), '200 OK: 1', 'while a backup runs');
is(upload(month(0) . "-02 08:00:0$_"), '200 OK: 1', "punch $_ of now")
    for 1 .. 5;
is(upload('1999-02-01 00:00:01'), '200 OK: 1', 'a stray one');
$lock->release();
ok(wait_until(300, sub { upload("$late-16 08:00:00");
                         tables($late) eq partition($late) }),
   'the partition is made later');

# an operator's transaction that has read everything, and stays open

$lock = $pg->hold('SELECT count(*) FROM iclock.attendance');
my $later = month(-42);
my @served = map { upload("$later-10 08:00:0$_") } 0 .. 9;

is(scalar(grep { $_ eq '200 OK: 1' } @served), 10,
   'uploads beside an open transaction');
ok(wait_until(60, sub { failures() > 0 }), 'it is in the way of a partition');
is(upload("$later-11 08:00:00"), '200 OK: 1', 'not of uploads');
$lock->release();
ok(wait_until(300, sub { tables($later) eq partition($later) }),
   'the partition is made after it');


# a dump, which stands still since nobody reads what it writes

SKIP: {
    skip('pg_dump is older than the server', 7) if !$pg->pg_dump();

    $t->psql("CREATE TABLE bulk AS SELECT repeat('x', 1000) AS x"
             . ' FROM generate_series(1, 2000)');

    my $fifo = $t->dir . '/dump';
    system('mkfifo', '-m', '666', $fifo) == 0 or die "mkfifo: $!\n";

    my $dump = spawn({ out => '/dev/null' }, $pg->pg_dump(),
                     '-d', $pg->conninfo(user => 'postgres'), '-f', $fifo);

    open my $out, '<', $fifo or die "$fifo: $!\n";
    ok(wait_until(60, sub {
        $t->psql("SELECT count(*) FROM pg_locks l JOIN pg_stat_activity a"
                 . " USING (pid) WHERE a.application_name = 'pg_dump'"
                 . " AND l.relation = 'iclock.punch_default'::regclass")
    }), 'a dump has locked the tables');

    my $dumped = month(-43);

    @served = map { upload("$dumped-10 08:00:0$_") } 0 .. 9;
    is(scalar(grep { $_ eq '200 OK: 1' } @served), 10, 'uploads beside it');
    ok(wait_until(60, sub { failures() > 0 }), 'a partition has to wait');
    is(upload("$dumped-11 08:00:00"), '200 OK: 1', 'uploads do not');

    my $text = do { local $/; readline $out };

    waitpid $dump, 0;
    is($?, 0, 'the dump succeeds');
    like($text, qr/^-- PostgreSQL database dump complete$/m, 'it is complete');
    ok(wait_until(300, sub { tables($dumped) eq partition($dumped) }),
       'and then the partition is made');
}


# more punches than can be moved at once, beside 64 terminals

$load = Test::IClock::Load->start(port => $t->port, prefix => 'MORE',
                                   pause => 0.2);

my $first = month(-47);

$t->psql("INSERT INTO iclock.punch (device_id, local_time, pin)"
         . " SELECT d.id, '$first-01'::timestamp"
         . " + n / 10 * interval '10 minutes', n::text"
         . " FROM iclock.device d, generate_series(1, 60000) AS n"
         . " WHERE d.serial_number = 'PART0001'");

ok(wait_until(300, sub {
    !$t->psql("SELECT count(*) FROM iclock.punch_default"
              . " WHERE local_time BETWEEN '2000-01-01' AND '2090-01-01'")
}), 'all of 60,000 find a place');
cmp_ok($t->psql("SELECT count(DISTINCT p.xmin::text) FROM iclock.punch p"
                . " WHERE p.local_time BETWEEN '$first-01'"
                . " AND '$first-01'::timestamp + interval '2 months'"
                . " AND p.pin::bigint BETWEEN 8 AND 60000"), '>', 1,
       'not all by one transaction');

$report = $load->stop();

Test::IClock::Load::is_good($t, $report, 'the terminals meanwhile');
is($report->{refused}, 0, 'none has to wait for too long');
is($t->psql("SELECT count(*) FROM iclock.punch p"
            . " JOIN iclock.device d ON d.id = p.device_id"
            . " WHERE d.serial_number = 'PART0001'"
            . " AND p.local_time >= '$first-01'"
            . " AND p.pin::bigint BETWEEN 8 AND 60000"), 59993,
   'each of them is there once');


# it fails, and is notified meanwhile: a pause that grows stays as long

$t->quit();
$t->psql(<<'END');
    CREATE SEQUENCE iclock.called MINVALUE 0;
    CREATE OR REPLACE FUNCTION iclock.maintain() RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER AS $$
    BEGIN
        PERFORM setval('iclock.called',
                       extract(epoch FROM clock_timestamp())::bigint);
        PERFORM pg_sleep(1.5);
        RAISE 'it fails';
    END
    $$;
END
$t->start(undef, workers => 1);

my @called = (0);

ok(wait_until(300, sub {
    my $at = $t->psql('NOTIFY iclock_maintain;'
                      . ' SELECT last_value FROM iclock.called');

    push @called, $at if $at != $called[-1];

    return @called > 3;
}), 'it is called again when it fails');
cmp_ok($called[3] - $called[2], '>=', 10, 'not before the pause is over');

$t->done();
