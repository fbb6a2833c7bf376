#!/usr/bin/perl

# Copyright (C) the ngx_http_iclock_module authors

# The event feed beside others: readers while transactions end in any order, a
# transaction of another database, locks, nginx that wakes readers, another
# cluster.  t/sql/events.sql shows what one session can.

use strict;
use warnings;

use FindBin;
use Test::More;
use Time::HiRes qw/ sleep time /;

use lib "$FindBin::Bin/lib";
use Test::IClock;
use Test::IClock::Postgres;
use Test::IClock::Process qw/ command slurp /;

use constant WRITERS => 8;

my $t = Test::IClock->new;
my $pg = $t->pg;
my $http = $t->device_server(
    location => 'iclock_command_limit count=10;',
    http => 'iclock_event_retention 3d;',
    server => 'location /v1 { iclock_api; }');

$t->psql('GRANT iclock_api TO iclock_nginx');
$t->start($http, workers => 2);

my $listener = $pg->session();
$listener->query('LISTEN iclock_event');


# Triggers are made while nobody holds a punch: maintain() of nginx may, or an
# upload.

sub enable {
    return wait_until(60, sub {
        ($pg->psql_try('SELECT iclock.enable_events()'))[0] == 0;
    });
}

# How many notifications have come.

sub woken { scalar grep { /Asynchronous notification "iclock_event"/ }
                   map { $listener->query('SELECT 1') } 1 .. 2 }

sub waits_for_wake {
    my ($seconds) = @_;

    my $began = time;

    while (time < $began + $seconds) {
        return time - $began if woken();
        sleep 0.002;
    }

    return undef;
}

sub upload { $t->device($_[0])->punches(map { "$_[1]\t$_\t0\t1" }
                                        @_[2 .. $#_])->text }

sub feed {
    my ($server, $after, %option) = @_;

    return $server->psql("SELECT string_agg(e.payload::json #>> '{user,id}',"
        . " ' ' ORDER BY e.cursor COLLATE \"C\")"
        . " FROM iclock.read_events('$after', look_ahead => "
        . ($option{ahead} ? 'true' : 'false')
        . ') e');
}

# The feed shows what is settled: a moment later than it was stored, as long as
# another transaction goes on, that of presence, say.

sub is_fed {
    my ($expected, $name, $server, $after, %option) = @_;

    my $fed;

    wait_until(30, sub {
        $fed = feed($server, $after, %option);
        return $fed eq $expected;
    });

    return is($fed, $expected, $name);
}

# a cursor behind everything that was stored until now

sub cursor {
    return wait_until(30, sub {
        $t->psql('SELECT c FROM iclock.event_cursor() AS c WHERE NOT EXISTS'
                 . ' (SELECT FROM iclock.read_events(c, look_ahead => true))')
    });
}

my $day = $t->psql("SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD')");


# the directive reaches the database

ok(wait_until(30, sub {
    $t->psql("SELECT age FROM iclock.retention WHERE kind = 'event'")
        eq '3 days' }), 'iclock_event_retention');


# nobody listens

my $device = $t->device('FEED0001');
$device->handshake();

is(upload('FEED0001', 1, "$day 00:00:01"), '200 OK: 1', 'an upload');
sleep 0.3;
is(woken(), 0, 'nobody is woken while events are disabled');
is($t->psql("SELECT count(*) FROM pg_stat_activity WHERE application_name"
            . " ~ '^iclock/[0-9]' AND query ~ 'pg_notify'"), 0,
   'nor tried to be');


# enabling waits for no one for long, and nobody waits for it

my $hold = $pg->hold("INSERT INTO iclock.punch (device_id, local_time, pin)"
                     . " SELECT id, '$day 01:00', '1' FROM iclock.device");
my $began = time;
my $enabling = $pg->background('SELECT iclock.enable_events()');
my $slowest = 0;

for my $n (1 .. 8) {
    my $sent = time;
    upload('FEED0001', 2, sprintf "$day 02:00:%02d", $n);
    $slowest = time - $sent if time - $sent > $slowest;
    sleep 0.1;
}

# who waited for it would wait for a minute, as it does
cmp_ok($slowest, '<', 30, 'uploads do not wait for it');
$enabling->wait();
cmp_ok(time - $began, '<', 50, 'it gives up in the end');
is($t->psql('SELECT iclock.events_enabled()'), 'f', 'and nothing has changed');
$hold->release();

enable();
is($t->psql('SELECT iclock.events_enabled()'), 't',
   'enabled when nobody is in the way');


# nginx wakes readers

my $cursor = cursor();
woken();

ok(wait_until(30, sub {
    upload('FEED0001', 3, sprintf "$day 03:00:%02d", $began++ % 60);
    return waits_for_wake(0.2);
}), 'nginx has learnt that events are written');

sleep 0.1;
woken();
$cursor = cursor();
is(upload('FEED0001', 'A', "$day 04:00:00"), '200 OK: 1', 'a punch');
ok(defined waits_for_wake(30), 'wakes readers at once');
is_fed('A', 'who find it', $pg, $cursor);

is(upload('FEED0001', 'A', "$day 04:00:00"), '200 OK: 1', 'uploaded again');
is(feed($pg, $cursor), 'A', 'it is no second event');

sleep 0.1;
woken();
$began = time;
$t->concurrently([ map { [ 'POST', '/iclock/cdata?SN=FEED0001&table=ATTLOG'
                                   . '&Stamp=1',
                           sprintf("B\t$day 05:%02d:%02d\t0\t1\n",
                                   int($_ / 60), $_ % 60) ] } 1 .. 400 ],
                 connections => 20);
my $n = 0;
wait_until(30, sub { $n += woken() });
cmp_ok($n, '>', 0, '400 uploads wake them');
cmp_ok($n, '<=', 2 * (1 + (time - $began) / 0.02),
       'every 20 ms at most, each worker');
ok(wait_until(30, sub {
    $t->psql("SELECT count(*) FROM iclock.read_events('$cursor')") == 401
}), 'all of them are events');

# an answer to a command

$t->psql("SELECT iclock.reboot('FEED0001')");
my ($command) = $device->poll()->commands();
sleep 0.1;
woken();
$cursor = cursor();
$device->ack($command->[0], 0);
ok(waits_for_wake(30), 'an answer to a command wakes readers');
ok(wait_until(30, sub {
    $t->psql("SELECT string_agg(type, ' ') FROM iclock.read_events('$cursor')")
        eq 'command.finished'
}), 'the command has ended');

# what others store

woken();
$cursor = cursor();
$t->psql("INSERT INTO iclock.punch (device_id, local_time, pin)"
         . " SELECT id, '$day 06:00', 'C' FROM iclock.device");
ok(waits_for_wake(30), 'so does what others store, at its commit');


# The horizon: a transaction of another database.

$cursor = cursor();
$hold = $pg->background("\\c postgres\nSET application_name = 'far away';"
                        . ' BEGIN; SELECT pg_current_xact_id();'
                        . ' SELECT pg_sleep(60)');
wait_until(30, sub {
    $t->psql("SELECT count(*) FROM pg_stat_activity WHERE application_name"
             . " = 'far away' AND backend_xid IS NOT NULL") });
upload('FEED0001', 'D', "$day 07:00:00");

is(feed($pg, $cursor), '', 'an open transaction elsewhere holds the feed back');
is(feed($pg, $cursor, ahead => 1), 'D', 'but not who looks ahead');
ok(wait_until(30, sub {
    $t->psql('SELECT holder FROM iclock.event_status')
        =~ /^pid \d+ \(postgres, far away\), database postgres, since 20/
}), 'event_status says who it is');
cmp_ok($t->psql('SELECT extract(epoch FROM horizon_age) FROM'
                . ' iclock.event_status'), '>', 0, 'and for how long');

my $ahead = $t->psql('SELECT iclock.event_cursor(true)');
upload('FEED0001', 'E', "$day 07:00:01");
is(feed($pg, $ahead, ahead => 1), 'E',
   'a reader who says what he has seen gets the rest');
$pg->terminate('far away');
$hold->wait();
ok(wait_until(30, sub { feed($pg, $cursor) eq 'D E' }),
   'then nothing is missing');


# Eight writers whose 1,024 transactions end in another order than they begin,
# two readers that follow: by settled cursors, and looking ahead.

$t->psql(<<'SQL');
CREATE PROCEDURE write(writer integer) LANGUAGE plpgsql AS $$
BEGIN
    FOR i IN 1 .. 128 LOOP
        INSERT INTO iclock.punch (device_id, local_time, pin)
        SELECT d.id, timestamp '2026-01-01' + i * interval '1 hour'
                     + n * interval '1 second', writer || '-' || i || '-' || n
          FROM iclock.device d, generate_series(1, 1 + i % 3) AS n
         WHERE d.serial_number = 'FEED0001';
        PERFORM pg_sleep(random() * 0.01);
        IF i % 10 = 0 THEN ROLLBACK; ELSE COMMIT; END IF;
    END LOOP;
END $$;
SQL

$cursor = $ahead = $t->psql('SELECT iclock.event_cursor()');

my @writer = map { $pg->background("CALL write($_)") } 1 .. WRITERS;
my $reader = $pg->session();
my (@settled, @seen);
my $done = 0;

sub follow {
    my @row = $reader->query("SELECT c.head, e.cursor,"
        . " e.payload::json ->> 'sequence' FROM (SELECT"
        . " iclock.event_cursor() AS head) c LEFT JOIN"
        . " iclock.read_events('$cursor', max => 37) e ON true");

    @row = map { [ split /\|/ ] } @row;

    for my $row (grep { $_->[1] } @row) {
        push @settled, "$row->[1] $row->[2]";
        $cursor = $row->[1];
    }

    $cursor = $row[0][0] if @row < 37;

    for (map { [ split /\|/ ] } $reader->query("SELECT c.head, e.cursor,"
             . " e.payload::json ->> 'sequence' FROM (SELECT"
             . " iclock.event_cursor(true) AS head) c LEFT JOIN"
             . " iclock.read_events('$ahead', max => 100000,"
             . " look_ahead => true) e ON true"))
    {
        $ahead = $_->[0];
        push @seen, $_->[2] if $_->[1];
    }
}

wait_until(30, sub {
    $t->psql("SELECT count(*) FROM pg_stat_activity"
             . " WHERE query LIKE 'CALL write%'");
});

while (!$done) {
    $done = $t->psql("SELECT count(*) FROM pg_stat_activity"
                     . " WHERE query LIKE 'CALL write%'") == 0;
    follow();
}

$_->wait() for @writer;

# others may hold the horizon: until they end what is left is not shown

wait_until(30, sub {
    follow();
    return $t->psql("SELECT NOT EXISTS (SELECT FROM iclock.read_events("
                    . "'$cursor', look_ahead => true))") eq 't';
});

my $stored = $t->psql("SELECT string_agg(e.payload::json ->> 'sequence', ' '"
                      . " ORDER BY (e.payload::json ->> 'sequence')::bigint)"
                      . " FROM iclock.read_events('0', max => 100000) e"
                      . " WHERE e.payload LIKE '%\"id\":\"_-%'");
my @number = map { (split / /)[1] } @settled;

cmp_ok(scalar @settled, '>', 1000, 'punches of 928 transactions');
is(join(' ', sort { $a <=> $b } @number), $stored, 'each is read, and once');
is_deeply(\@settled, [ sort @settled ], 'in the order of their cursors');
is(join(' ', sort { $a <=> $b } @seen), $stored,
   'also by who looks ahead');


# The bytes: a receiver that writes the JSON anew gets the same ones.

SKIP: {
    my ($node) = grep { -x "$_/node" } split /:/, $ENV{PATH};
    skip('no node', 1) if !$node;

    $t->psql(<<'SQL');
INSERT INTO iclock.device_user (device_id, pin, name)
SELECT d.id, 'odd' || n, string_agg(chr(c), '')
  FROM iclock.device d, generate_series(0, 9) AS n,
       unnest(ARRAY[1, 8, 9, 10, 12, 13, 31, 34, 39, 47, 60, 92, 127, 128, 159,
                    160, 173, 8232, 8233, 55295, 57344, 65279, 65535, 65536,
                    128512, 1114111]) WITH ORDINALITY AS u (c, o)
 WHERE o % 10 = n OR n = 0
 GROUP BY d.id, n;
SQL
    $t->psql("INSERT INTO iclock.punch (device_id, local_time, pin,"
             . " temperature, status) SELECT d.id, '2026-02-02 10:00',"
             . " u.pin, v, 0 FROM iclock.device d, iclock.device_user u,"
             . " unnest(ARRAY[36.500, 37, 0.10, 100, -0.00, 36.123456789,"
             . " 1e-9, 1e20]) WITH ORDINALITY AS w (v, o)"
             . " WHERE u.pin = 'odd' || o - 1");

    my ($in, $out) = map { $t->dir . "/payloads.$_" } qw/ in out /;

    open my $handle, '>:raw', $in or die "$in: $!\n";
    print $handle $t->psql("SELECT payload FROM iclock.read_events('0',"
                           . " max => 100000)"), "\n";
    close $handle;

    command({ out => $out }, "$node/node", '-e', <<'JS', $in);
let bad = 0, n = 0;
const text = require('fs').readFileSync(process.argv[1], 'utf8');
for (const b of text.split('\n')) {
    if (b === '') continue;
    n++;
    if (JSON.stringify(JSON.parse(b)) !== b) { bad++; console.log(b); }
}
console.log(n > 500 ? 'many' : n, bad, 'differ');
JS
    is(slurp($out), "many 0 differ\n", 'JSON.stringify(JSON.parse(b)) === b');
}


# off again

my $report = $pg->hold('SELECT count(*) FROM iclock.punch');

$t->psql('SELECT iclock.disable_events()');
is($t->psql('SELECT iclock.events_enabled()'), 'f',
   'disabled while somebody reads punches');
$report->release();

# while nginx calls it, it has nothing to do here

ok(wait_until(30, sub {
    $t->psql('SELECT iclock.maintain()');
    return $t->psql("SELECT count(*) FROM pg_trigger"
                    . " WHERE tgname = 'punch_event'") == 0;
}), 'maintain() takes away what was left of it');

$cursor = cursor();
ok(wait_until(30, sub {
    upload('FEED0001', 'off', sprintf "$day 08:00:%02d", $n++ % 60);
    sleep 0.1;
    return !woken();
}), 'nobody is woken any more');
is(feed($pg, $cursor), '', 'nothing is written');


# A dump is restored into another cluster, where transactions have smaller
# numbers.

enable();

sub add {
    my ($server, $pin) = @_;

    $server->psql("INSERT INTO iclock.punch (device_id, local_time, pin)"
                  . " SELECT id, '2026-02-02', '$pin' FROM iclock.device");
}

$t->psql('DO $$ BEGIN FOR i IN 1 .. 5000 LOOP PERFORM pg_current_xact_id();'
         . ' COMMIT; END LOOP; END $$');
add($pg, 'read');
$cursor = cursor();
my $read = $t->psql("SELECT event_id FROM iclock.read_events('0',"
                    . " max => 100000) ORDER BY cursor COLLATE \"C\" DESC"
                    . " LIMIT 1");
add($pg, 'unread');

SKIP: {
    skip('pg_dump is older than the server', 14) if !$pg->pg_dump();

    my ($dump, $dir) = ($t->dir . '/dump.sql', $t->dir . '/other');

    is(command({ out => $dump }, $pg->pg_dump(), '-d',
               $pg->conninfo(user => 'postgres')), 0, 'a dump');
    mkdir $dir or die "$dir: $!\n";
    chmod 0755, $dir;

    my $other = Test::IClock::Postgres->new($dir);

    $other->psql('DROP DATABASE iclock', database => 'postgres');
    $other->psql('CREATE DATABASE iclock', database => 'postgres');
    $other->psql_file($dump);

    # the clusters of tests are copies of one

    $other->psql('UPDATE iclock.event_state SET cluster = 1');
    is($other->psql('SELECT iclock.events_enabled()'), 't', 'still enabled');
    add($other, 'early');
    my $meanwhile = $other->psql('SELECT iclock.event_cursor(true)');

    # somebody reads it, which keeps maintain() from that and from nothing else

    my $last = $other->psql('SELECT relation FROM iclock.event_partitions()'
                            . ' ORDER BY starts DESC LIMIT 1');

    $other->psql("DROP TABLE $last");

    my $reader = $other->hold('LOCK TABLE ONLY iclock.event'
                              . ' IN ACCESS SHARE MODE');

    ok(wait_until(30, sub { $other->psql('SELECT iclock.maintain()') == 30 }),
       'maintain() is to be called again soon');
    is($other->psql("SELECT to_regclass('$last')"), $last,
       'and does what else there is to do');
    is($other->psql('SELECT iclock.events_restored()'), 't', 'but not that');
    $reader->release();

    is($other->psql('SELECT iclock.rebase_events()'), 't', 'rebase_events()');
    is($other->psql('SELECT iclock.rebase_events()'), 'f', 'once');
    is_fed('unread early', 'a cursor of old goes on', $other, $cursor);
    add($other, 'late');
    is_fed('unread early late', 'and to what is written now', $other, $cursor);
    is_fed('unread early late', 'an identifier of old is as good', $other,
           $read);
    is_fed('early late', 'who came before that gets nothing of old again',
           $other, $meanwhile);
    is($other->psql("SELECT iclock.event_gone('$cursor')"), '',
       'it is not gone');
    is($other->psql("SELECT event_id FROM iclock.read_events('0',"
                    . " max => 100000) WHERE event_id = '$read'"), $read,
       'and what it is of is called as it was');
    is($other->psql('SELECT count(*) - count(DISTINCT e.cursor) FROM'
                    . " iclock.read_events('0', max => 100000) e"), 0,
       'each has a place of its own');
    $other->stop();
}

# pg_upgrade brings a database into another cluster, too, but with its numbers:
# the tables are as they were, and what the catalog has of them is new

$cursor = cursor();
$t->psql('ALTER TABLE iclock.event_state DROP CONSTRAINT event_state_pkey,'
         . ' ADD CONSTRAINT event_state_pkey PRIMARY KEY (single)');
$t->psql('UPDATE iclock.event_state SET cluster = 1');
add($pg, 'upgraded');
ok(wait_until(60, sub {
    $t->psql('SELECT iclock.maintain()');
    return $t->psql('SELECT iclock.events_restored()') eq 'f';
}), 'maintain() sees to events that pg_upgrade has brought');
add($pg, 'after');
is_fed('upgraded after', 'a cursor of before goes on', $pg, $cursor);

$t->done();
