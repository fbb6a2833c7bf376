#!/usr/bin/perl

# Copyright (C) the ngx_http_iclock_module authors

# Many terminals: who is enrolled on one is present on all of the site, and
# punches that did not arrive are asked for.  t/sql/fleet.sql shows which
# commands SQL queues for that; here terminals execute them, so that an echo
# that goes in circles, or a template that a terminal refuses, would be seen.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Test::IClock;

my $t = Test::IClock->new;

$t->start();
ok($t->wait_log(qr/listening for notifications/), 'listening');

# all terminals poll, so many times

sub rounds {
    my ($n, @terminal) = @_;

    my $got = 0;

    for (1 .. $n) {
        $t->notified();
        $got += $_->work() for @terminal;
    }

    return $got;
}


# Until nobody has anything to do; returns the number of commands, which is
# what went in circles if there are many.

sub settle {
    my (@terminal) = @_;

    my $sum = 0;

    for (1 .. 30) {
        my $n = rounds(1, @terminal) or return $sum;

        $sum += $n;
    }

    return 'no end';
}


sub waiting {
    return $t->psql("SELECT count(*) FROM iclock.command"
                    . " WHERE status IN ('queued', 'sent')");
}


# that of the harness has commands of its own

sub queued {
    return $t->psql("SELECT count(*) FROM iclock.command c"
                    . " JOIN iclock.device d ON d.id = c.device_id"
                    . " WHERE serial_number <> 'SENTINEL'");
}


# what a terminal holds of somebody, in one line

sub holds {
    my ($terminal, $pin) = @_;

    my $user = $terminal->user($pin) or return 'nothing';

    return join ' ', "$user->{name}/$user->{card}", $terminal->templates($pin),
                     map { defined $terminal->photo_of($pin, $_) ? $_ : () }
                     qw/ USERPIC BIOPHOTO /;
}


# a site of six

my $jpeg = "\xff\xd8\xff\xe0" . "\0\1" x 500 . "\xff\xd9";
my $name = "Mar\xc3\xada de la Concepci\xc3\xb3n Gonz\xc3\xa1lez";

my %model = (
    HQAA01 => { algorithms => { 1 => 10, 8 => 12, 9 => 40 } },
    HQAA02 => { algorithms => { 1 => 10, 8 => 12, 9 => 40 } },
    HQAA03 => { algorithms => { 1 => 10, 9 => 40 }, echoes => 1,
                eol => "\r\n" },
    HQAA04 => { algorithms => { 1 => 10 }, dialect => '3.2', echoes => 1 },
    HQAA05 => { algorithms => { 1 => 9, 9 => 40 }, eol => 'mixed' },
    HQAA06 => { algorithms => { 1 => 10, 9 => 35 }, echoes => 1,
                name_bytes => 12 },
);
my @sn = sort keys %model;

$t->psql("SELECT iclock.set_site('HQ', share_people => true)");
$t->psql("SELECT iclock.register_device('$_', site => 'HQ', dialect => '"
         . ($model{$_}{dialect} || '2.4') . "')") for @sn;

my %terminal = map { $_ => $t->terminal($_, %{$model{$_}}) } @sn;
my @terminal = @terminal{@sn};

$_->online() for @terminal;
is(settle(@terminal), 0, 'nothing to do');


# enrolled on one, present on five within two polls

my %person = (name => $name, card => 1234, pri => 0, passwd => 99, grp => 1,
              fingers => { 6 => 'finger six' x 50, 7 => 'finger seven' x 50 },
              bio => { '9/0/0' => 'face' x 200, '8/1/2' => 'palm' x 100 },
              photo => $jpeg, face => $jpeg);

$terminal[0]->enroll(77, %person);

cmp_ok(rounds(2, @terminal[1 .. 5]), '>=', 5, 'enrolled on one terminal');

my $fingers = '1/6/0/10 1/7/0/10';

is(holds($terminal[1], 77), "$name/1234 $fingers 8/1/2/12 9/0/0/40"
                            . " USERPIC BIOPHOTO",
   'after two polls: on one that is alike');
is(holds($terminal[2], 77), "$name/1234 $fingers 9/0/0/40 USERPIC BIOPHOTO",
   'on one without an algorithm for palms');
is(holds($terminal[3], 77), "$name/1234 $fingers USERPIC",
   'on one of dialect 3.2');
is(holds($terminal[4], 77), "$name/1234 9/0/0/40 USERPIC BIOPHOTO",
   'on one with another algorithm for fingers');
is(holds($terminal[5], 77), substr($name, 0, 12)
                            . "/1234 $fingers USERPIC BIOPHOTO",
   'on one with another algorithm for faces');

is($terminal[1]{templates}{77}{$_}{data}, $terminal[0]{templates}{77}{$_}{data},
   "the same bytes: $_") for $terminal[0]->templates(77);
is($terminal[$_]->photo_of(77, 'USERPIC'), $jpeg, "the same photo")
    for 1 .. 5;

is(scalar(grep { $_ < 0 } map { values %{$_->returned} } @terminal), 0,
   'no terminal got what it cannot use');
is(scalar $terminal[0]->done(), 0, 'the first one got nothing back');

my $before = queued();
is(settle(@terminal), 0, 'and nothing goes in circles');
is(waiting(), 0, 'nothing waits');
is(queued(), $before, 'nothing was queued');
is($t->psql("SELECT string_agg(DISTINCT status, ' ') FROM iclock.command"),
   'done', 'every copy was confirmed');


# a change on another one

$terminal[2]->enroll(77, card => 5678);
is(settle(@terminal), 5, 'a change goes to the five others');
is(join(' ', map { $_->user(77)->{card} } @terminal),
   join(' ', (5678) x 6), 'and arrives');
is($terminal[5]->user(77)->{name}, substr($name, 0, 12), 'a short name stays');
is($terminal[0]->user(77)->{name}, $name, 'where it is, and goes nowhere');

# a terminal of dialect 3.2, and one that cuts names off, tell others

$terminal[3]->enroll(78, name => 'Jonas', fingers => { 1 => 'one' });
$terminal[5]->enroll(79, name => 'Zoe', bio => { '9/0/0' => 'other face' });
cmp_ok(settle(@terminal), '<', 30, 'two more people');
is(join(' ', map { holds($_, 78) } @terminal),
   join(' ', map { $_ == 4 ? 'Jonas/' : 'Jonas/ 1/1/0/10' } 0 .. 5),
   'enrolled on one of dialect 3.2');
is(join(' ', map { holds($_, 79) } @terminal),
   join(' ', map { $_ == 5 ? 'Zoe/ 9/0/0/35' : 'Zoe/' } 0 .. 5),
   'enrolled on one with an algorithm of its own');

# the same person at two terminals at once

$terminal[$_]->enroll(80, name => "Two $_") for 0, 1;
cmp_ok(settle(@terminal), '<', 30, 'enrolled on two at once comes to an end');
is(scalar(grep { !$_->user(80) } @terminal), 0, 'and is present on all');

# enrolment that an operator begins

$t->psql("SELECT iclock.enroll_fingerprint('HQAA02', '81', 3)");
cmp_ok(settle(@terminal), '<', 20, 'a finger put on a terminal');
is(join(' ', map { (() = $_->templates(81)) ? 'yes' : 'no' } @terminal),
   'yes yes yes yes no yes', 'ENROLL_FP: present on those that can use it');


# one by one

$t->psql("SELECT iclock.register_device('ALONE1')");
my $alone = $t->terminal('ALONE1', algorithms => { 1 => 10, 9 => 35 });
$alone->online();
rounds(1, $alone);

my @copied = $t->psql_lines("SELECT what, skipped_reason,"
                            . " command_id IS NULL FROM iclock.copy_user("
                            . "'77', 'HQAA01', 'ALONE1')");

is_deeply(\@copied, [
    'user||f',
    'fingerprint 6 index 0 version 10||f',
    'fingerprint 7 index 0 version 10||f',
    'palm vein 1 index 2 version 12|the terminal has no algorithm for it|t',
    'visible light face 0 index 0 version 40|it is of version 40 of the'
    . ' algorithm, the terminal has version 35|t',
    'user photo||f',
    'comparison photo||f',
], 'copy_user says what it sends');
settle($alone);
is(holds($alone, 77), "$name/5678 $fingers USERPIC BIOPHOTO",
   'and it arrives');
is(scalar(grep { $_ < 0 } values %{$alone->returned}), 0,
   'nothing it cannot use');


# a terminal comes to the site

$t->psql("SELECT iclock.set_device('ALONE1', site => 'HQ')");
$alone->enroll(90, name => 'Ninety');
settle(@terminal, $alone);
$t->psql("SELECT count(*) FROM iclock.sync_site('HQ')");
cmp_ok(settle(@terminal, $alone), '<', 60, 'sync_site');
is(join(' ', map { join ',', sort keys %{$_->{users}} } @terminal, $alone),
   join(' ', ('77,78,79,80,81,90') x 7), 'all hold the same people');
is($t->psql("SELECT count(*) FROM iclock.sync_site('HQ')"
            . " WHERE command_id IS NOT NULL"), 0, 'nothing is left to do');
is(settle(@terminal, $alone), 0, 'and nothing is done');

# and somebody leaves it

$t->psql("SELECT iclock.delete_user_from_site('HQ', '80')");
is(settle(@terminal, $alone), 7, 'delete_user_from_site');
is(scalar(grep { $_->user(80) } @terminal, $alone), 0, 'is gone everywhere');
is($t->psql("SELECT count(*) FROM iclock.device_user WHERE pin = '80'"), 0,
   'from the table as well');
is(scalar(grep { !$_->user(77) } @terminal), 0, 'and nobody else is');


# a site that does not share

$t->psql("SELECT iclock.register_device('OWN00$_', site => 'Own')")
    for 1, 2;
my @own = map { $t->terminal("OWN00$_") } 1, 2;
$_->online() for @own;
$own[0]->enroll(5, name => 'Five');
is(settle(@own), 0, 'another site keeps its people apart');
is(holds($own[1], 5), 'nothing', 'unless it shares them');


# reconciliation

# Terminals do not only upload what they are asked for: the next question
# waits a little.  Not here.

sub reconcile {
    my ($terminal, $rounds) = @_;

    my $sn = $terminal->sn;

    for (1 .. $rounds || 12) {
        $t->notified();
        $terminal->work();

        return if $t->psql(
            "WITH due AS (UPDATE iclock.command c SET not_before = NULL"
            . " FROM iclock.device d WHERE d.id = c.device_id"
            . " AND serial_number = '$sn' AND c.status = 'queued')"
            . " SELECT count(*) FROM iclock.reconciliation"
            . " WHERE serial_number = '$sn' AND finished_at IS NULL") == 0;
    }

    return;
}


sub checks {
    return join ' ', $t->psql_lines(
        "SELECT status, device_count, stored_count, missing, attempts"
        . " FROM iclock.reconciliation WHERE serial_number = '$_[0]'"
        . " ORDER BY id");
}


sub stored {
    return $t->psql("SELECT count(*) FROM iclock.punch p"
                    . " JOIN iclock.device d ON d.id = p.device_id"
                    . " WHERE serial_number = '$_[0]'");
}


sub verify {
    my ($sn, $attempts) = @_;

    return $t->psql("SELECT iclock.verify_attendance('$sn', '2026-03-01',"
                    . " '2026-03-31 23:59:59'"
                    . ($attempts ? ", attempts => $attempts)" : ')'));
}


for ([ RECON001 => {} ],
     [ RECON002 => { count_name => 'AttlogCount', eol => "\r\n" } ])
{
    my ($sn, $model) = @$_;

    $t->psql("SELECT iclock.register_device('$sn')");

    my $terminal = $t->terminal($sn, %$model);
    $terminal->online();

    # eight of twenty were lost on the way
    $terminal->punch(100 + $_, sprintf('2026-03-%02d 08:00:00', $_),
                     withhold => $_ % 5 < 2) for 1 .. 20;
    $terminal->punch(1, '2026-04-01 08:00:00', withhold => 1);
    is(stored($sn), 12, "$sn: punches that did not arrive");

    verify($sn);
    is(checks($sn), 'asking||||0', "$sn: the view: asking");
    reconcile($terminal, 1);
    is(checks($sn), 'filling|20|12|8|1', "$sn: the counts differ");
    reconcile($terminal, 1);
    is(stored($sn), 20, "$sn: the range was asked for");
    is(checks($sn), 'asking|20|12|8|1', "$sn: and counted again");
    reconcile($terminal);
    is(checks($sn), 'agreed|20|20|0|1', "$sn: they agree");
    is(join(' ', map { /^(\w+ \w+)/ } grep { /ATTLOG/ } $terminal->done()),
       'VERIFY SUM DATA QUERY VERIFY SUM', "$sn: by three commands");
    is(waiting(), 0, "$sn: no more");

    # what was deleted on the terminal is still here
    verify($sn);
    splice @{$terminal->{punches}}, 0, 5;
    reconcile($terminal);
    is(checks($sn), 'agreed|20|20|0|1 surplus|15|20|0|1',
       "$sn: a terminal that holds fewer");
    is(stored($sn), 20, "$sn: nothing is lost");
}

# one of push SDK 3.2.0, which has no VERIFY SUM

$t->psql("SELECT iclock.register_device('RECON006', dialect => '3.2')");

my $mute = $t->terminal('RECON006', dialect => '3.2',
                        cannot => [ 'VERIFY SUM' ]);
$mute->online();
$mute->punch(1, "2026-03-0$_ 08:00:00", withhold => $_ < 3) for 1 .. 4;
is(stored('RECON006'), 2, '3.2: punches that did not arrive');
verify('RECON006');
is(checks('RECON006'), 'filling||||1', '3.2: the range is asked for');
reconcile($mute);
is(checks('RECON006'), 'resent||||1', '3.2: and nothing is waited for');
is(stored('RECON006'), 4, '3.2: the punches arrive');

# two who begin the same check at the same moment

{
    my $check = "SELECT iclock.verify_attendance('RECON001', '2026-04-01',"
                . " '2026-04-30')";
    my $gate = $t->pg->hold('SELECT pg_advisory_lock(4711)');
    my @session;

    for my $n (1, 2) {
        push @session, $t->pg->background(
            "SET application_name = 'checker'; BEGIN; $check;"
            . ($n == 1 ? ' SELECT pg_advisory_xact_lock(4711);' : '')
            . ' COMMIT');
        ok(wait_until(60, sub {
            $t->psql("SELECT count(*) FROM pg_stat_activity WHERE"
                     . " application_name = 'checker'"
                     . " AND wait_event_type = 'Lock'") == $n
        }), $n == 1 ? 'the first is not committed' : 'the second waits for it');
    }

    $gate->release();

    my ($first, $second) = map { ($_->wait() =~ /^([0-9]+)/)[0] } @session;

    ok($first, 'one check is begun');
    is($second, $first, 'the second gets the command of the first');
    is($t->psql("SELECT count(*) FROM iclock.attendance_check"
                . " WHERE starts = '2026-04-01'"), 1, 'once');
    $t->psql("SELECT iclock.cancel_command($first)");
}

# one that never uploads them

my $stubborn = $t->terminal('RECON003');
$stubborn->online();
$stubborn->punch(1, "2026-03-0$_ 08:00:00", withhold => 1) for 1 .. 3;
{
    no warnings 'redefine';
    local *Test::IClock::Terminal::_send_punches = sub { };
    verify('RECON003', 2);
    reconcile($stubborn);
}
is(checks('RECON003'), 'differs|3|0|3|2', 'at most so many attempts');

# one that does not know the command

my $old = $t->terminal('RECON004', cannot => [ 'VERIFY SUM' ]);
$old->online();
verify('RECON004');
reconcile($old);
is(checks('RECON004'), 'failed||||0', 'a model that cannot count');


# at intervals

$t->psql('DELETE FROM iclock.attendance_check');
is($t->quit(), 0, 'quit');
$t->psql("UPDATE iclock.device SET status = 'blocked'"
         . " WHERE serial_number NOT IN ('RECON005', 'SENTINEL');"
         . " SELECT iclock.register_device('RECON005')");
$t->start($t->device_server(http => 'iclock_verify_interval 1h;'));

my $late = $t->terminal('RECON005');
my $hour = $t->psql("SELECT to_char(now() AT TIME ZONE 'UTC'"
                    . " - interval '1 hour', 'YYYY-MM-DD HH24:')");

$late->online();
$late->punch($_, "${hour}00:0$_", withhold => $_ > 2) for 1 .. 5;
is(stored('RECON005'), 2, 'some punches did not arrive');
ok(wait_until(60, sub { checks('RECON005') }), 'a check begins on its own');
reconcile($late);
is(checks('RECON005'), 'agreed|5|5|0|1', 'and they do arrive');
is(stored('RECON005'), 5, 'all of them');

# once a day: each at its own time of the night

is($t->quit(), 0, 'quit');
$t->psql("DELETE FROM iclock.attendance_check;"
         . " UPDATE iclock.job SET last_run_at = '-infinity';"
         . " SELECT iclock.register_device('NIGHT' || n, timezone =>"
         . " (ARRAY['Asia/Kolkata', 'America/Bogota'])[1 + n % 2])"
         . " FROM generate_series(100, 119) AS n");
$t->start($t->device_server(http => 'iclock_verify_interval 1d;'));

ok(wait_until(60, sub { $t->psql("SELECT count(*) FROM iclock.reconciliation"
                                 . " WHERE serial_number LIKE 'NIGHT%'")
                        == 20 }), 'a check of each device');
is($t->psql("SELECT count(*), count(DISTINCT c.not_before) > 15,"
            . " bool_and(extract(hour FROM c.not_before AT TIME ZONE"
            . " d.timezone) BETWEEN 1 AND 4),"
            . " bool_and(c.not_before < now() + interval '1 day')"
            . " FROM iclock.command c JOIN iclock.device d"
            . " ON d.id = c.device_id WHERE serial_number LIKE 'NIGHT%'"),
   '20|t|t|t', 'spread over its night');

$t->done();
