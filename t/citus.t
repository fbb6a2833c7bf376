#!/usr/bin/perl

# Copyright (C) the ngx_http_iclock_module authors

# Punches on a Citus cluster, a coordinator and two workers: what sql/citus.sql
# moves there, that all views show the same as before, that uploads bear workers
# that restart, and the demo of "make run".  "make citus" runs it; PG_BINDIR
# names the programs of a PostgreSQL that has the extension.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Test::IClock;
use Test::IClock::API;
use Test::IClock::Load;
use Test::IClock::Process qw/ command slurp /;

my @settings = (
    [ shared_preload_libraries => 'citus' ],
    [ max_prepared_transactions => 200 ],
    [ max_connections => 200 ],
    [ 'citus.node_conninfo' => 'sslmode=prefer' ],
    [ 'citus.enable_statistics_collection' => 'off' ],
    [ 'citus.shard_count' => 4 ],
    [ 'citus.recover_2pc_interval' => '1s' ],
);

my $t = Test::IClock->new(tcp => 1, settings => \@settings);
my $sql = $ENV{TEST_TREE} || "$FindBin::Bin/..";
my @worker;

# their databases are empty, and they know no role: what they hold is Citus'
# affair

for my $n (1, 2) {
    my $dir = $t->dir() . "/worker$n";

    mkdir $dir or die "$dir: $!\n";
    chmod 0755, $dir;

    my $worker = Test::IClock::Postgres->new($dir, tcp => 1,
        port => $t->nginx->free_port(), settings => \@settings);

    $worker->psql($_, database => 'postgres')
        for 'DROP DATABASE iclock', 'CREATE DATABASE iclock';
    $worker->psql("DROP ROLE $_", database => 'postgres')
        for $worker->psql_lines("SELECT rolname FROM pg_roles"
                                . " WHERE rolname LIKE 'iclock%'",
                                database => 'postgres');
    $worker->psql('CREATE EXTENSION citus');
    push @worker, $worker;
}

sub schema {
    my ($file) = @_;

    return $t->pg->psql_file("$sql/sql/$file.sql");
}

# what nobody's clock changes

my %shown = (
    attendance => '*',
    daily_attendance => '*',
    shift_attendance => '*',
    monthly_attendance => '*',
    present_now => 'site, pin, user_name, local_time, direction, punches,'
                   . ' serial_number',
    device_status => 'serial_number, status, site, clock_skew, user_count',
    device_storage => '*',
);

my %between = (
    daily_attendance_between => q/'2026-03-02', '2026-03-04'/,
    shift_attendance_between => q/'2026-03-02', '2026-03-04'/,
    monthly_attendance_between => q/'2026-02-01', '2026-04-30'/,
);

sub rows {
    my ($from, $columns, %option) = @_;

    return $t->psql("SELECT coalesce(string_agg(r::text, E'\\n'"
                    . " ORDER BY r::text), '') FROM (SELECT "
                    . ($columns || '*') . " FROM iclock.$from) AS r", %option);
}

sub all_rows {
    return {
        (map { ($_ => rows($_, $shown{$_})) } keys %shown),
        (map { ($_ => rows("$_($between{$_})")) } keys %between),
        since => $t->psql('SELECT count(DISTINCT cursor)'
                          . ' FROM iclock.punches_since(NULL, 100000)'),
        last => $t->psql("SELECT iclock.last_punch(d.id, '7')"
                         . ' FROM iclock.device d'
                         . " WHERE serial_number = 'CITY0001'"),
        service => $t->psql("SELECT iclock.self_service('CITY0001', '7',"
                            . " '1')"),
    };
}


# a database that is in use, before it gets too small

my @sn = map { "CITY000$_" } 1 .. 6;
my $minute = 0;

# of a device a person punches twice each day, by two kinds

sub upload {
    my ($sn, @day) = @_;

    return $t->device($sn)->punches(map {
        my $day = $_;
        map { my $pin = $_;
              ("$pin\t$day 08:0$pin:00\t0\t1", "$pin\t$day 17:0$pin:00\t1\t15")
            } 6 .. 8;
    } @day)->text;
}

$t->psql('GRANT iclock_api TO iclock_nginx');

my $server = $t->device_server(
    server => 'location /v1 { iclock_api; }');
my $api = Test::IClock::API->new($t);
my @limited = map { Test::IClock::API->new($t, @$_) }
              [ sites => [ 'south' ] ], [ devices => [ 'CITY0001' ] ];

# what programs get

sub answers {
    return [ map { my $r = $api->get($_);
                   [ $_, $r->status, $r->json->{data} ] }
             '/logs?start_date=2026-03-02&end_date=2026-03-04',
             '/logs?user_id=7&limit=5',
             '/logs?type=CheckIn&order=asc&limit=7',
             '/logs?method=Face&site=south&limit=7',
             '/logs?device_id=CITY0002&limit=40',
             '/attendance/daily?start_date=2026-03-01&end_date=2026-03-05' ];
}

# what programs get that see all, a site, and a terminal: punches of today, and
# of the last day

sub summaries {
    return join '; ', map {
        my $r = $_->get('/summary');
        my $sum = 0;

        $sum += $_ for @{$r->json->{punches}{per_5min} || []};

        join ' ', $r->status, $r->json->{punches}{today}, $sum;
    } $api, @limited;
}

# what a program reads of a terminal, by its punches

sub shown {
    my $device = $api->get('/devices/CITY0001')->json;

    return join ' ', map { defined $_ ? $_ : 'none' }
                     @$device{qw/ logs clock_skew_seconds /};
}

$t->start($server);

for my $sn (@sn) {
    is($t->device($sn)->handshake()->status, 200, "$sn: handshake");
    is(upload($sn, map { "2026-03-0$_" } 1 .. 5), '200 OK: 30',
       "$sn: uploads");
}

my $today = $t->psql("SELECT to_char(now(), 'YYYY-MM-DD')");

# before punches of today are counted, whenever that is
$t->psql("SELECT iclock.set_device('CITY000$_', site => 'north')") for 1 .. 3;
$t->psql("SELECT iclock.set_device('CITY000$_', site => 'south')") for 4 .. 6;
$t->psql("SELECT iclock.move_device('CITY0004', 'north',"
         . " '$today 00:00:01')");

is(upload('CITY0001', $today), '200 OK: 6', 'today');
is($t->device('CITY0004')->punches([ 9, "$today 00:00:00", 0, 1 ],
                                   [ 9, "$today 00:00:02", 1, 1 ])->text,
   '200 OK: 2', 'of a terminal that moves between them');
is($t->device('CITY0001')->upload('OPERLOG',
       "USER PIN=7\tName=Asha\nUSER PIN=8\tName=Ben")->text, '200 OK: 2',
   'names');
is($t->device('CITY0002')->upload('OPERLOG', "USER PIN=7\tName=Cid")->text,
   '200 OK: 1', 'at another terminal');

$t->psql("SELECT iclock.move_device('CITY0002', 'south', '2026-03-03')");
$t->psql("UPDATE iclock.site SET day_starts = '04:00'");
$t->psql('CREATE ROLE reader LOGIN IN ROLE iclock_reader');
$t->psql('CREATE ROLE southern LOGIN IN ROLE iclock_reader');
$t->psql("INSERT INTO iclock.role_site (role, site)"
         . " VALUES ('southern', 'south')");

my $answers = answers();

is(join(' ', map { $_->[1] } @$answers), '200 200 200 200 200 200',
   'programs, too');
cmp_ok(scalar @{$_->[2]}, '>=', 5, "rows: $_->[0]") for @$answers;

my $summaries = summaries();
my $shown = shown();

is($summaries, '200 8 8; 200 1 1; 200 6 6', 'of today');
like($shown, qr/\A36 -?\d+\z/, 'and of a terminal');
is($t->quit(), 0, 'nginx stops');

my $before = all_rows();
my $southern = rows('attendance', '*', user => 'southern');
my $anybody = rows('attendance', '*', user => 'reader');

cmp_ok($t->psql('SELECT count(*) FROM iclock.attendance'), '==', 188, 'rows');


# it grows

$t->psql('CREATE EXTENSION citus');
$t->psql("SELECT citus_set_coordinator_host('127.0.0.1', "
         . $t->pg->{port} . ')');
$t->psql("SELECT citus_add_node('127.0.0.1', $_->{port})") for @worker;

my ($status, undef, $error);

$t->psql('SELECT iclock.enable_events()');
ok(!eval { schema('citus'); 1 }, 'not while events are written');
like($@, qr/the event feed is enabled/, 'and says so');
$t->psql('SELECT iclock.disable_events()');

schema('citus');

is($t->psql('SELECT count(DISTINCT nodename || nodeport) FROM citus_shards'
            . " WHERE table_name::text = 'iclock.punch'"), 2,
   'punches are on both workers');
is($t->psql('SELECT count(*) FROM iclock.punch'), 188, 'all of them');
is_deeply(all_rows(), $before, 'all views show the same');
is(rows('attendance', '*', user => 'reader'), $anybody, 'readers, too');
is(rows('attendance', '*', user => 'southern'), $southern,
   'and those of a site');
isnt($southern, $anybody, 'who see less');
is(rows("attendance_between('2026-03-02', '2026-03-04')"),
   rows("attendance WHERE local_time >= '2026-03-02'"
        . " AND local_time < '2026-03-04'"), 'some days of attendance');

is($t->psql('SELECT count(DISTINCT cursor)'
            . ' FROM iclock.punches_since(NULL, 1000)', user => 'reader'), 188,
   'punches in the order of their transactions');
($status, undef, $error) = $t->pg->psql_try(
    'SELECT iclock.punches_since()', user => 'southern');
like($error, qr/limited to sites/, 'but not for those of a site');

for my $query ('* FROM iclock.punch', 'pin FROM iclock.punch',
               '* FROM iclock.attendance_spread')
{
    ($status, undef, $error) = $t->pg->psql_try("SELECT $query",
                                                user => 'reader');
    like($error, qr/permission denied/, "readers: $query");
}

for my $file ('citus', 'install') {
    schema($file);
    is_deeply(all_rows(), $before, "after $file.sql once more");
}

($status, undef, $error)
    = $t->pg->psql_try('SELECT iclock.enable_events()');
like($error, qr/distributed by Citus leave no events/, 'no events');

($status, undef, $error) = $t->pg->psql_try(
    "DELETE FROM iclock.device WHERE serial_number = 'CITY0001'");
like($error, qr/has punches and cannot be deleted/,
     'terminals that have punches stay');

is($t->psql("SELECT string_agg(outcome || ' ' || coalesce(number, line), ', ')"
            . " FROM iclock.import_rows('CITY0001', '"
            . '["99\\t2026-03-08 09:00:00", "99\\t2026-03-08 09:00:00",'
            . ' "99\\t2026-02-31 09:00:00"]' . "', 1)"),
   'stored 1, known 1, bad 1',
   'punches of a file');


# nginx does not notice

$t->start($server);

is_deeply(answers(), $answers, 'programs get the same');
is(summaries(), $summaries, 'and of today');
is(shown(), $shown =~ s!\A36!37!r, 'and of a terminal');

my $r = $api->get('/events');

is($r->status . ' ' . @{$r->json->{data}}, '200 0', 'programs: no events');

for my $r ($api->get('/events', Accept => 'text/event-stream'),
           $api->post('/webhooks', { url => 'https://example.com/' }))
{
    is($r->status, 409, 'nothing waits for some');
    like($r->body, qr/distributed by Citus leave no events/, 'which is said');
}

my $sandbox = Test::IClock::API->new($t, mode => 'test',
                                     scopes => [ 'devices:write' ]);

is($sandbox->post('/sandbox/devices', { serial_number => 'BOX1' })->status,
   201, 'a simulated device');

for my $stored (2, 0) {
    $r = $sandbox->post('/sandbox/devices/BOX1/punches', { punches => [
             { user_id => '7', timestamp => '2026-03-02T08:00:00' },
             { user_id => '8', timestamp => '2026-03-02T08:00:00' } ] });
    is($r->json->{stored}, $stored, 'punches of it');
}

is($t->device('CITY0007')->handshake()->status, 200, 'an unknown device');
is(upload('CITY0007', '2026-03-06'), '200 OK: 6', 'uploads');
is(upload('CITY0007', '2026-03-06'), '200 OK: 6', 'uploads again');
is($t->psql("SELECT count(*) FROM iclock.punch p JOIN (SELECT d.id"
            . ' FROM iclock.device d OFFSET 0) AS d ON d.id = p.device_id'
            . " WHERE p.local_time >= '2026-03-06'"
            . " AND p.local_time < '2026-03-07'"), 6, 'each once');

# by the dozen: nothing is tried that would have to be undone on all workers

is($t->psql("SELECT prosrc ~ 'unique_violation' FROM pg_proc"
            . " WHERE proname = 'store_punches'"), 'f', 'many are as few');
is(upload('CITY0007', map { "2026-04-1$_" } 0 .. 7), '200 OK: 48', 'many');
is(upload('CITY0007', map { "2026-04-1$_" } 1 .. 8), '200 OK: 48',
   'most of them again');
is($t->psql("SELECT count(*) FROM iclock.punch p"
            . " WHERE p.local_time >= '2026-04-10'"
            . " AND p.local_time < '2026-04-19'"), 54, 'each once');

my $terminal = $t->terminal('CITY0008');

$terminal->online();
$t->psql("SELECT iclock.put_user('CITY0008', '7', 'Asha')");
ok(wait_until(30, sub { $terminal->work_off() }), 'a command');

# who follows the punches misses none, and gets each once

my ($cursor) = $t->psql_lines('SELECT max(cursor)'
                              . ' FROM iclock.punches_since(NULL, 100000)');
my %followed;

# while a worker is away it fails
sub follow {
    my @row = eval {
        $t->psql_lines('SELECT serial_number, pin, local_time, cursor'
                       . " FROM iclock.punches_since('$cursor', 1000)")
    };

    for (@row) {
        /^(.*)\|(.*)\z/ or die "no cursor: $_";
        $followed{$1}++;
        $cursor = $2;
    }

    return scalar @row;
}

# what is prepared may have been committed before what they would read
$worker[0]->psql('BEGIN; SELECT txid_current();'
                 . " PREPARE TRANSACTION 'citus_9_test'");
($status, undef, $error) = $t->pg->psql_try(
    "SELECT count(*) FROM iclock.punches_since('$cursor', 1000)");
like($error, qr/workers have not come to their end/, 'it waits for workers');
$worker[0]->psql("ROLLBACK PREPARED 'citus_9_test'");
is(follow(), 0, 'and goes on');

# workers go away, one in good order and one not, while terminals upload

my $count = sub { $t->psql('SELECT count(*) FROM iclock.punch') };
my $load = Test::IClock::Load->start(port => $t->port, prefix => 'WIDE',
                                     patience => 300);

for my $n (0, 1) {
    my $stored = $count->();

    ok(wait_until(60, sub { follow(); $count->() > $stored + 100 }),
       'terminals upload');
    $n ? $worker[$n]->kill()->start() : $worker[$n]->restart();
}

# what a crash has left prepared is seen to by the coordinator
ok(wait_until(120, sub {
       my $stored = eval { $count->() };
       return defined $stored && wait_until(10, sub {
                  follow();
                  (eval { $count->() } || 0) > $stored + 100 });
   }), 'and go on');

my $report = $load->stop();

is("@{$report->{bad}}", '', 'nothing but OK and 503');
cmp_ok(@{$report->{acknowledged}}, '>', 200, 'punches were acknowledged');

# the join with a local table is one of a subquery
my %stored;

$stored{$_}++ for $t->psql_lines(
    'SELECT d.serial_number, a.pin, a.local_time FROM iclock.attendance a'
    . ' JOIN iclock.device d ON d.id = a.device_id');

is(scalar(grep { !$stored{$_} } @{$report->{acknowledged}}), 0,
   'what was acknowledged is stored');
is(scalar(grep { $_ != 1 } values %stored), 0, 'each once');

ok(wait_until(60, sub {
       !grep { $_->psql('SELECT count(*) FROM pg_prepared_xacts') } @worker
   }), 'no transaction is left prepared');

while (follow()) { }

is(scalar(grep { !$followed{$_} } @{$report->{acknowledged}}), 0,
   'it was followed');
is(scalar(grep { $_ != 1 } values %followed), 0, 'each once');


# maintain(): months that come late, and months that go

is(upload('CITY0001', '2024-02-03', '2024-03-03'), '200 OK: 12',
   'old punches');
ok(wait_until(60, sub { $t->psql('SELECT iclock.maintain()') == 3600 }),
   'maintain() comes to an end');
is($t->psql('SELECT count(*) FROM iclock.punch_2024_02'), 6,
   'they have a partition');
is($t->psql("SELECT count(*) FROM iclock.punch WHERE local_time"
            . " < '2025-01-01'"), 12, 'and are there');
is($t->psql("SELECT iclock.drop_before('2024-03-01')"), 0, 'a month goes');
is($t->psql("SELECT to_regclass('iclock.punch_2024_02') IS NULL"), 't',
   'its partition');
is(upload('CITY0001', '2024-02-03'), '200 OK: 6', 'it comes again');
ok(wait_until(60, sub { $t->psql('SELECT iclock.maintain()') == 3600 }),
   'maintain()');
is($t->psql("SELECT count(*) FROM iclock.punch WHERE local_time"
            . " < '2024-03-01'"), 0, 'and goes again');
is($t->psql("SELECT iclock.tally_punches('0')"), 't', 'punches are counted');
cmp_ok($t->psql('SELECT count(*) FROM iclock.statistics()'), '>', 20,
       'statistics()');


# the demo: what "make run" does with a database that there is

is($t->quit(), 0, 'nginx stops again');

my $demo = $t->dir() . '/demo';

mkdir $demo or die "$demo: $!\n";
chmod 0777, $demo;

$status = command({ out => "$demo.out", env => {
                        ONCE => 1, ICLOCK_RUN => $demo,
                        ICLOCK_PORT => $t->nginx->free_port(),
                        ICLOCK_DATABASE => $t->conninfo(user => 'postgres') } },
                  "$FindBin::Bin/../tools/run");

my $said = slurp("$demo.out");

is($status, 0, 'a demo') or diag($said);
like($said, qr/^==> three .*, and [1-9]\d+ punches of a week are stored$/m,
     'the punches of a week');
like($said, qr/^==> command \d+, a new user, is done$/m, 'a command');
like($said, qr/^==> 10\d\d has punched at the gate; there are no webhooks/m,
     'a punch, and why no webhook tells of it');
like($said, qr/^\| \w{3} [\d:]{8} \| Gate +\| 10\d\d \| \w+ \w+ +\|/m,
     'it is shown');
like($said, qr/^==> all of it has arrived$/m, 'all has arrived');
is($t->psql('SELECT count(*) FROM iclock.punch p JOIN (SELECT d.id'
            . " FROM iclock.device d WHERE d.serial_number LIKE 'DEMO%'"
            . ' OFFSET 0) AS d ON d.id = p.device_id') - 1,
   $said =~ /(\d+) punches of a week/ ? $1 : -1, 'the punches are there');

$_->stop('immediate') for @worker;

$t->done();
