#!/usr/bin/perl

# Copyright (C) the ngx_http_iclock_module authors

# Punches of months that have no partition yet.

use strict;
use warnings;

use FindBin;
use POSIX qw/ strftime /;
use Test::More;

use lib "$FindBin::Bin/lib";
use Test::IClock;
use Test::IClock::Load;

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


$t->start();

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
ok(wait_until(10, sub { tables($old) eq partition($old) }),
   'they get a partition');
is(upload("$old-07 08:00:00"), '200 OK: 1', 'another one');
is(tables($old), partition($old), 'goes there');


# clocks that are far off

is(upload('1999-01-01 00:00:01', '2099-12-31 23:59:59'), '200 OK: 2',
   'punches of devices without a clock');

my $older = month(-20);

is(upload("$older-01 08:00:00"), '200 OK: 1', 'punches of another month');
ok(wait_until(10, sub { tables($older) eq partition($older) }),
   'get a partition all the same');
is(tables($_), 'iclock.punch_default', "$_ stays in the default partition")
    for 1999, 2099;
is(upload('1999-01-01 00:00:01', '1999-01-01 00:00:02'), '200 OK: 2',
   'sent again');
is($t->psql("SELECT count(*) FROM iclock.punch"
            . " WHERE local_time < '2000-01-01'"), 2, 'each is stored once');


# 64 terminals while partitions are made

my $load = Test::IClock::Load->start(port => $t->port);
my @month = map { month(-$_) } 21 .. 40;
my $count = sub { $t->psql('SELECT count(*) FROM iclock.punch') };
my $before = $count->();

wait_until(10, sub { $count->() > $before + 100 });

my @text = map { upload("$_-15 08:00:00", "$_-16 08:00:00") } @month;

is(scalar(grep { $_ eq '200 OK: 2' } @text), scalar @month,
   'punches of 20 months under load');
ok(wait_until(15, sub { !grep { tables($_) ne partition($_) } @month }),
   'all get their partitions');

my $report = $load->stop();

is("@{$report->{bad}}", '', 'the others are served');
is($report->{refused}, 0, 'none is refused');
is(Test::IClock::Load::missing($t, $report), 0, 'all is stored');


# somebody reads the default partition for long: inserts go on

my $lock = $pg->hold('LOCK TABLE iclock.punch_default IN ACCESS SHARE MODE');
my $late = month(-41);

is(upload("$late-15 08:00:00"), '200 OK: 1', 'while a backup runs');
is(upload(month(0) . "-02 08:00:0$_"), '200 OK: 1', "punch $_ of now")
    for 1 .. 5;
is(upload('1999-02-01 00:00:01'), '200 OK: 1', 'a stray one');
$lock->release();
ok(wait_until(10, sub { upload("$late-16 08:00:00");
                        tables($late) eq partition($late) }),
   'the partition is made later');

$t->done();
