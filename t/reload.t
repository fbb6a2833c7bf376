#!/usr/bin/perl

# Copyright (C) the ngx_http_iclock_module authors

# 64 terminals upload single punches while nginx is reloaded and PostgreSQL
# restarted: what was acknowledged is stored, each punch once.  Then the
# database is exchanged for another one.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Test::IClock;
use Test::IClock::Load;
use Test::IClock::Process qw/ command slurp /;

my $t = Test::IClock->new;

my $stored = sub {
    return $t->psql_lines(
        "SELECT d.serial_number, p.pin, p.local_time FROM iclock.punch p"
        . " JOIN iclock.device d ON d.id = p.device_id");
};

# descriptors of the workers apart from their connections to the database

my $descriptors = sub {
    my $n = -$t->pg->backends();

    $n += $t->nginx->fds($_) for $t->workers();

    return $n;
};

$t->start($t->device_server(pool => 'timeout=1m connect_timeout=1m'));

my $load = Test::IClock::Load->start(port => $t->port, prefix => 'WARM');
wait_until(30, sub { $stored->() > 200 });
my $report = $load->stop();
is("@{$report->{bad}}", '', 'without a fault all goes well');
is($report->{refused} + $report->{closed}, 0, 'nothing is refused');

# clients that have left may be noticed later, and so may backends that end
my $before;
ok(wait_until(30, sub {
       my $last = $before // -1;

       $before = $descriptors->();
       return $before == $last;
   }), 'descriptors come to rest');

$load = Test::IClock::Load->start(port => $t->port);

for my $n (1 .. 5) {
    my $count = $stored->();

    $t->reload();

    ok(wait_until(30, sub { $stored->() > $count + 100 }),
       "punches are stored after reload $n");

    if ($n == 5) {
        $t->pg->restart();

        $count = $stored->();
        ok(wait_until(30, sub { $stored->() > $count + 100 }),
           'punches are stored after a restart of PostgreSQL');
    }
}

my $again = $load->stop();

is("@{$again->{bad}}", '', 'every reply is OK or 503 with Retry-After');
cmp_ok(@{$again->{acknowledged}}, '>', 500, 'punches were acknowledged');

my %sent = map { $_ => 1 } @{$report->{sent}}, @{$again->{sent}};
my %stored;

$stored{$_}++ for $stored->();

is(scalar(grep { !$stored{$_} } @{$report->{acknowledged}},
          @{$again->{acknowledged}}), 0, 'what was acknowledged is stored');
is(scalar(grep { $_ != 1 } values %stored), 0, 'each once');
is(scalar(grep { !$sent{$_} } keys %stored), 0, 'nothing else is stored');

ok(wait_until(30, sub { !$t->nginx->old_workers() }), 'old workers are gone');
ok(wait_until(30, sub { $t->pg->backends() <= 2 * 4 + 1 }),
   'connections to the database');
ok(wait_until(30, sub { $descriptors->() <= $before }), 'descriptors')
    or diag($descriptors->() . " of $before");


# Another database, in which the same ids are those of other devices.  The
# listener does not notice: nobody answers it.

my $listen = 'iclock_listen_database "host=127.0.0.1 port='
             . $t->nginx->free_port() . ' dbname=x user=y";';
my @device = map { "SAME000$_" } 1 .. 8;

$t->psql("TRUNCATE iclock.punch; DELETE FROM iclock.device");
$t->quit();

$t->psql('DROP DATABASE IF EXISTS other', database => 'postgres');
ok(wait_until(30, sub { ($t->pg->psql_try(
       'CREATE DATABASE other TEMPLATE iclock', database => 'postgres'))[0]
                        == 0 }), 'another database');

sub register {
    my ($database, @sn) = @_;

    $t->psql('ALTER TABLE iclock.device ALTER COLUMN id RESTART WITH 1000',
             database => $database);
    $t->psql("INSERT INTO iclock.device (serial_number, status)"
             . " VALUES ('$_', 'active')", database => $database) for @sn;
}

register(iclock => @device);
register(other => reverse @device);

my %conf = map { $_ => $t->device_server(database => $t->conninfo(dbname => $_),
                     http => $listen, zone => 'iclock:1m') }
           qw/ iclock other /;
my $minute = 0;

sub upload {
    my ($sn) = @_;

    return $t->post("/iclock/cdata?SN=$sn&table=ATTLOG&Stamp=1",
                    sprintf("%s\t2026-03-01 %02d:%02d:00\n", $sn =~ /(\d)\z/,
                            int($minute / 60), $minute++ % 60));
}

# whether all punches are stored under the device that sent them, and any

sub right {
    my ($database) = @_;

    return $t->psql("SELECT count(*) = count(*) FILTER (WHERE pin ="
                    . " right(serial_number, 1)), count(*) > 0"
                    . " FROM iclock.punch p JOIN iclock.device d"
                    . " ON d.id = p.device_id", database => $database);
}

sub count_in { $t->psql('SELECT count(*) FROM iclock.punch',
                        database => $_[0]) }

$t->start($conf{iclock});
ok(wait_until(30, sub { upload($device[0])->status == 200 }), 'ready');
is(upload($_)->status, 200, "$_ is known") for @device, @device;

for my $database (qw/ other iclock other /) {
    my $count = count_in($database);
    my $sent = 0;

    $t->reload($conf{$database});

    for (1 .. 5) {
        for my $sn (@device) {
            my $status = upload($sn)->status;

            $sent++ if $status == 200;
            ok($status == 200 || $status == 503, "$database: $status");
        }
    }

    ok(wait_until(30, sub { !$t->nginx->old_workers() }), "$database: reload");
    is(upload($_)->status, 200, "$database: $_") for @device;
    is(right($_), 't|t', "$database: all are right in $_")
        for qw/ iclock other /;
}

# a restored backup: the same connection string, another database behind it

is(upload($_)->status, 200, "before: $_") for @device;

$t->psql("UPDATE pg_database SET datallowconn = false WHERE datname = 'other'",
         database => 'postgres');
ok(wait_until(60, sub {
    $t->psql('SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity'
             . " WHERE datname IN ('other', 'iclock')"
             . " AND backend_type = 'client backend'",
             database => 'postgres') == 0 }), 'nobody is there');
$t->psql($_, database => 'postgres')
    for 'ALTER DATABASE other RENAME TO gone',
        'ALTER DATABASE iclock RENAME TO other';

for my $sn (@device) {
    ok(wait_until(30, sub { upload($sn)->status == 200 }),
       "a restored backup: $sn");
}

is(right('other'), 't|t', 'a restored backup: all are right');
like($t->get('/iclock/getrequest?SN=' . $device[0])->text, qr/^200 /,
     'a restored backup: polls');

# A backup is restored in place, below connections that live on: the same ids
# are those of other devices.

my $dump = $t->dir . '/restore.sql';
my $swap = "UPDATE iclock.device SET serial_number = 'X' || serial_number;"
           . " UPDATE iclock.device SET serial_number = 'SAME000'"
           . ' || 9 - right(serial_number, 1)::integer';

sub other { $t->psql($_[0], database => 'other') }

sub dump_other {
    my (@what) = @_;

    unlink $dump;
    is(command({ out => $dump }, $t->pg->{bin} . '/pg_dump',
               @what ? @what : ('-n', 'iclock'),
               '-d', $t->conninfo(dbname => 'other', user => 'postgres')), 0,
       'a backup');
}

sub restore_other {
    other('SET client_min_messages = error; BEGIN; DROP SCHEMA iclock CASCADE;'
          . ' ' . slurp($dump) . ' COMMIT');
}

other('TRUNCATE iclock.punch');
other($swap);
dump_other();
other($swap);

for my $sn (@device) {
    ok(wait_until(30, sub { upload($sn)->status == 200 }), "in place: $sn");
}

restore_other();
upload($_) for @device, @device;

for my $sn (@device) {
    ok(wait_until(30, sub { upload($sn)->status == 200 }),
       "restored in place: $sn");
}

is(right('other'), 't|t', 'restored in place: all are right');

# into the tables that are there

other($swap);
dump_other(qw/ -a -t iclock.device /);
other($swap);

for my $sn (@device) {
    ok(wait_until(30, sub { upload($sn)->status == 200 }), "refilled: $sn");
}

other('SET client_min_messages = error; BEGIN;'
      . ' TRUNCATE iclock.punch, iclock.device CASCADE; ' . slurp($dump)
      . ' COMMIT');
upload($_) for @device, @device;

for my $sn (@device) {
    ok(wait_until(30, sub { upload($sn)->status == 200 }),
       "refilled in place: $sn");
}

is(right('other'), 't|t', 'refilled in place: all are right');

# an older backup, in which newer devices are missing

my @newer = qw/ NEWER001 NEWER002 /;

dump_other();

for my $sn (@newer) {
    $t->device($sn)->handshake();
    ok(wait_until(30, sub { upload($sn)->status == 200 }), "newer: $sn");
}

restore_other();
upload($_) for @newer;
$t->device($_)->handshake() for qw/ OTHER003 OTHER004 /;
upload($_) for @newer;

is(right('other'), 't|t', 'a device is missing: nobody is taken for it');

for my $sn (@newer) {
    $t->device($sn)->handshake();
    ok(wait_until(30, sub { upload($sn)->status == 200 }),
       "a device is missing: $sn shakes hands");
}

is(right('other'), 't|t', 'a device is missing: all are right');

# as the harness wants it

$t->quit();
ok(wait_until(30, sub { ($t->pg->psql_try(
       'ALTER DATABASE other RENAME TO iclock', database => 'postgres'))[0]
                        == 0 }), 'its name as before');

$t->done();
