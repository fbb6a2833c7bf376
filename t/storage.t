#!/usr/bin/perl

# Copyright (C) the ngx_http_iclock_module authors

# Punches beside transactions of others: read by a cursor, deleted with their
# device, dropped by month.  t/sql/storage.sql shows the same within one
# session, which has no transactions of others beside it.

use strict;
use warnings;

use FindBin;
use POSIX qw/ strftime /;
use Test::More;

use lib "$FindBin::Bin/lib";
use Test::IClock;
use Test::IClock::Postgres;
use Test::IClock::Process qw/ command slurp /;

my $t = Test::IClock->new;
my $pg = $t->pg;

sub upload { $t->device($_[0])->punches(map { "7\t$_\t0\t1" }
                                        @_[1 .. $#_])->text }

my @now = gmtime;

sub month {
    my ($n) = @_;

    return strftime('%Y-%m', 0, 0, 12, 1, $now[4] + $n, $now[5]);
}


# Eight writers whose transactions end in another order than they begin, and
# have parts that are undone, one that stays open for long, and a reader that
# follows by the cursor.

$t->psql("INSERT INTO iclock.device (serial_number, status)"
         . " VALUES ('STOR0001', 'active')");
$t->psql(<<'SQL');
CREATE TABLE seen (place bigint GENERATED ALWAYS AS IDENTITY, pin text,
                   page integer);
CREATE TABLE finished (writer integer);

CREATE PROCEDURE write(writer integer) LANGUAGE plpgsql AS $$
BEGIN
    FOR i IN 1 .. 60 LOOP
        INSERT INTO iclock.punch (device_id, local_time, pin)
        SELECT d.id, timestamp '2026-01-01' + i * interval '1 hour'
                     + n * interval '1 second',
               writer || '-' || i || '-' || n
          FROM iclock.device d, generate_series(1, 1 + i % 3) AS n
         WHERE d.serial_number = 'STOR0001';
        BEGIN
            INSERT INTO iclock.punch (device_id, local_time, pin)
            SELECT d.id, timestamp '2026-01-01' + i * interval '1 hour',
                   writer || '-' || i || '-part'
              FROM iclock.device d
             WHERE d.serial_number = 'STOR0001';
            IF i % 5 = 0 THEN
                RAISE EXCEPTION 'undone';
            END IF;
        EXCEPTION WHEN raise_exception THEN
            NULL;
        END;
        PERFORM pg_sleep(random() * 0.03);
        IF i % 7 = 0 THEN
            ROLLBACK;
        ELSE
            COMMIT;
        END IF;
    END LOOP;
    INSERT INTO finished VALUES (writer);
END
$$;

CREATE PROCEDURE follow() LANGUAGE plpgsql AS $$
DECLARE
    place  text;
    last   boolean;
    found  record;
    page   integer := 0;
BEGIN
    LOOP
        last := (SELECT count(*) = 9 FROM finished);
        page := page + 1;
        FOR found IN SELECT * FROM iclock.punches_since(place, 50) LOOP
            INSERT INTO seen (pin, page) VALUES (found.pin, page);
            place := found.cursor;
        END LOOP;
        COMMIT;
        -- nothing is held back for a transaction of anybody else
        EXIT WHEN last AND NOT EXISTS (
            SELECT FROM iclock.punches_since(place))
            AND txid_snapshot_xmin(txid_current_snapshot())
                = txid_snapshot_xmax(txid_current_snapshot());
        PERFORM pg_sleep(0.01);
    END LOOP;
END
$$;
SQL

my $long = $pg->background(
    'BEGIN; INSERT INTO iclock.punch (device_id, local_time, pin)'
    . " SELECT id, '2026-02-01', 'long' FROM iclock.device; SAVEPOINT a;"
    . ' INSERT INTO iclock.punch (device_id, local_time, pin)'
    . " SELECT id, '2026-02-01', 'undone' FROM iclock.device;"
    . ' ROLLBACK TO a; SELECT pg_sleep(1.5); INSERT INTO finished VALUES (9);'
    . ' COMMIT');

my @writer = map { $pg->background("CALL write($_)") } 1 .. 8;
my $reader = $pg->background('CALL follow()');

$_->wait() for @writer, $long, $reader;

is($t->psql('SELECT count(*) FROM iclock.punch'), 8 * 144 + 1,
   'what the writers have committed');
is($t->psql('SELECT count(*) FROM seen'), 8 * 144 + 1,
   'the reader has seen as many');
is($t->psql('SELECT count(DISTINCT pin) FROM seen'), 8 * 144 + 1,
   'each of them once');
cmp_ok($t->psql('SELECT max(page) FROM seen'), '>', 10, 'in many steps');


# A dump is restored into another cluster, where transactions have smaller
# numbers.  Clusters of tests are copies, so the identifier is made another.

sub readable {
    my ($server) = @_;

    return $server->psql('SELECT count(*), count(DISTINCT pin) FROM'
                         . ' iclock.punches_since(NULL, 100000)');
}


# a transaction of anybody else, of an autovacuum say, holds back what is newer

sub is_readable {
    my ($server, $n, $name) = @_;
    my $seen;

    wait_until(30, sub { ($seen = readable($server)) eq "$n|$n" });
    is($seen, "$n|$n", $name);
}

is_readable($pg, 8 * 144 + 1, 'what is read at one go');

my $cursor = $t->psql('SELECT cursor FROM iclock.punches_since(NULL, 100000)'
                      . ' WITH ORDINALITY ORDER BY ordinality DESC LIMIT 1');

sub add {
    my ($server, @pin) = @_;

    $server->psql('INSERT INTO iclock.punch (device_id, local_time, pin)'
                  . " SELECT id, '2026-02-02', '$_' FROM iclock.device"
                  . " WHERE serial_number = 'STOR0001'") for @pin;
}

sub since {
    my ($server, $after) = @_;

    return $server->psql('SELECT string_agg(pin, \' \' ORDER BY n) FROM'
        . ' iclock.punches_since(' . ($after ? "'$after'" : 'NULL')
        . ", 10) WITH ORDINALITY AS s (cursor, device_id, serial_number,"
        . " local_time, pin, status, verify, punched_at, work_code,"
        . " record_type, mask, temperature, job_codes, tip_codes, received_at,"
        . " n)");
}

sub is_since {
    my ($server, $after, $pins, $name) = @_;
    my $seen;

    wait_until(30, sub { ($seen = since($server, $after)) eq $pins });
    is($seen, $pins, $name);
}

add($pg, 'unread');
$t->psql('DO $$ BEGIN FOR i IN 1 .. 5000 LOOP PERFORM txid_current(); COMMIT;'
         . ' END LOOP; END $$');
add($pg, 'later');
is_since($pg, $cursor, 'unread later', 'two are left to read');
$t->psql('UPDATE iclock.punch_state SET cluster = 1');

SKIP: {
    skip('pg_dump is older than the server', 17) if !$pg->pg_dump();

    # roles are not in the dump, and not all of them are there

    $t->psql("CREATE ROLE $_") for qw/ limited gone /;
    $t->psql("INSERT INTO iclock.role_site (role, site)"
             . " VALUES ('gone', 'Delhi'), ('limited', 'Pune')");
    $t->psql('UPDATE iclock.role_site SET cluster = 1');

    my $dump = $t->dir . '/dump.sql';

    is(command({ out => $dump }, $pg->pg_dump(), '-d',
               $pg->conninfo(user => 'postgres')), 0, 'a dump');
    $t->psql('UPDATE iclock.punch_state SET cluster = iclock.cluster()');

    my $dir = $t->dir . '/other';
    mkdir $dir or die "$dir: $!\n";
    chmod 0755, $dir;

    my $other = Test::IClock::Postgres->new($dir);

    $other->psql('DROP DATABASE iclock', database => 'postgres');
    $other->psql('CREATE DATABASE iclock', database => 'postgres');
    $other->psql('CREATE ROLE limited; GRANT iclock_reader TO limited');
    $other->psql_file($dump);
    is($other->psql('SET ROLE limited; SELECT iclock.visible_sites()'),
       '{Pune}',
       'who was limited to a site is, although another such role is missing');
    cmp_ok($other->psql('SELECT max(txid) - txid_current() FROM iclock.punch'),
           '>', 1000, 'restored where the numbers are smaller');

    my ($failed, undef, $why) = $other->psql_try(
        "SELECT * FROM iclock.punches_since('$cursor')");

    isnt($failed, 0, 'it cannot be read at once');
    like($why, qr/restored from a dump.*Call iclock\.maintain/s,
         'it says why, and what to do');
    add($other, 'early');
    $other->psql('BEGIN; SAVEPOINT a; INSERT INTO iclock.punch (device_id,'
                 . " local_time, pin) SELECT id, '2026-02-02', 'part'"
                 . ' FROM iclock.device'
                 . " WHERE serial_number = 'STOR0001'; COMMIT");

    # somebody reads punches, which keeps maintain() from that and nothing else

    my $last = 'iclock.' . $other->psql("SELECT iclock.partition_name("
        . "date_trunc('month', localtimestamp) + interval '3 months')");

    # it is not there if the month has just begun
    $other->psql("DROP TABLE IF EXISTS $last");

    my $reader = $other->hold('LOCK TABLE ONLY iclock.punch'
                              . ' IN ACCESS SHARE MODE');

    ok(wait_until(30, sub {
        $other->psql('SELECT iclock.maintain()');
        return $other->psql("SELECT to_regclass('$last') IS NOT NULL") eq 't';
    }), 'maintain() adds a month while punches are read');
    is($other->psql('SELECT cluster FROM iclock.punch_state'), 1,
       'and numbers them later');
    $reader->release();

    ok(wait_until(30, sub { $other->psql('SELECT iclock.maintain()') == 3600 }),
       'maintain() mends it');
    is($other->psql('ALTER ROLE limited RENAME TO renamed; SET ROLE renamed;'
                    . ' SELECT iclock.visible_sites()'), '{Pune}',
       'who was limited is by another name');
    is_since($other, $cursor, 'unread later early part',
             'the cursor of old goes on, also to what came before that');
    add($other, 'last');
    is_since($other, $cursor, 'unread later early part last',
             'and to what comes after');
    is_readable($other, 8 * 144 + 1 + 5,
                'from the beginning: all of them, each once');

    # those that come while they are numbered, by later transactions

    $other->psql('UPDATE iclock.punch_state SET cluster = 1');

    my $state = $other->hold('SELECT FROM iclock.punch_state FOR UPDATE');
    my $rebase = $other->background('SELECT iclock.rebase_punches()');

    ok(wait_until(30, sub { $other->psql('SELECT count(*) FROM pg_locks'
                                         . ' WHERE NOT granted') }),
       'it has begun');
    add($other, 'beside');
    $state->release();
    $rebase->wait();
    is($other->psql('SELECT count(*) FROM iclock.punch, iclock.punch_state'
                    . " WHERE pin = 'beside' AND txid > txid_base"), 1,
       'what comes meanwhile is numbered, too');
    $other->stop();

    # who makes backups reads everything, and still not by policies

    $t->psql('CREATE ROLE saver LOGIN;'
             . ' GRANT USAGE ON SCHEMA iclock, iclock_api TO saver;'
             . ' GRANT SELECT ON ALL TABLES IN SCHEMA iclock TO saver;'
             . ' GRANT SELECT ON ALL SEQUENCES IN SCHEMA iclock TO saver');

    my $saved = $t->dir . '/saved.sql';
    my @save = ($pg->pg_dump(), '-n', 'iclock', '-d',
                $pg->conninfo(user => 'saver'));

    isnt(command({ out => $saved }, @save), 0, 'a backup by another role');
    like(slurp($saved), qr/would be affected by row-level security policy/,
         'fails for the policies');
    $t->psql('ALTER ROLE saver BYPASSRLS');
    is(command({ out => '/dev/null' }, @save), 0, 'but not with BYPASSRLS');
}


# pg_upgrade brings a database into another cluster, too, but with its numbers:
# the tables are as they were, and what the catalog has of them is new.

sub upgrade {
    $t->psql('ALTER TABLE iclock.punch_state'
             . ' DROP CONSTRAINT punch_state_pkey,'
             . ' ADD CONSTRAINT punch_state_pkey PRIMARY KEY (single)');
    $t->psql('UPDATE iclock.punch_state SET cluster = 1');
    return;
}

sub is_maintained {
    my ($name) = @_;

    ok(wait_until(30, sub {
        $t->psql('SELECT iclock.maintain()');
        return $t->psql('SELECT cluster = iclock.cluster()'
                        . ' FROM iclock.punch_state') eq 't';
    }), $name);
    return;
}

# also where there was no dump
$t->psql('UPDATE iclock.punch_state SET cluster = iclock.cluster()');

$cursor = $t->psql('SELECT cursor FROM iclock.punches_since(NULL, 100000)'
                   . ' WITH ORDINALITY ORDER BY ordinality DESC LIMIT 1');
upgrade();
add($pg, 'early');
is_maintained('upgraded, and a punch came first');
is_since($pg, $cursor, 'early', 'the cursor of before goes on');
add($pg, 'then');
upgrade();
is_maintained('upgraded once more, by itself');
add($pg, 'late');
is_since($pg, $cursor, 'early then late', 'and that does no harm');


# what is not to be kept goes, but for a row that somebody has locked

$t->psql("UPDATE iclock.retention SET age = '1 day'");
$t->psql("INSERT INTO iclock.command (device_id, body, status, finished_at)"
         . " SELECT d.id, 'SET OPTION A=secret' || n, 'done',"
         . " now() - interval '50 hours' + n * interval '1 minute'"
         . " FROM iclock.device d, generate_series(1, 1200) AS n;"
         . " UPDATE iclock.retention SET age = NULL WHERE kind = 'command';"
         . " INSERT INTO iclock.operation (device_id, local_time, code,"
         . " received_at) SELECT d.id, '2026-01-01', 4,"
         . " now() - interval '2 days' FROM iclock.device d");

my $locked = $pg->hold("SELECT * FROM iclock.command"
                       . " WHERE body LIKE '%secret5' FOR UPDATE");
my $secrets = sub {
    return $t->psql("SELECT string_agg(body, ',') FROM iclock.command"
                    . " WHERE body LIKE '%secret%'");
};

$t->psql('SELECT iclock.maintain()') for 1 .. 4;
is($secrets->(), 'SET OPTION A=secret5', 'all bodies but one are cleared');
is($t->psql('SELECT count(*) FROM iclock.operation'), 0,
   'and old operations deleted');
$locked->release();
$t->psql('SELECT iclock.maintain()') for 1 .. 3;
is($secrets->(), '', 'it is cleared afterwards');
is($t->psql('SELECT count(*) FROM iclock.retention'
            . ' WHERE skipped_at IS NOT NULL'), 0, 'nothing is left to do');

# nor does a table that somebody has locked keep the others from it

$t->psql("INSERT INTO iclock.device_error (device_id, received_at)"
         . " SELECT d.id, now() - interval '2 days' FROM iclock.device d");
$locked = $pg->hold('LOCK TABLE iclock.photo');
$t->psql("SET lock_timeout = '300ms'; SELECT iclock.maintain_retention()");
is($t->psql('SELECT count(*) FROM iclock.device_error'), 0,
   'errors are deleted while photos are locked');
$locked->release();


# a device is not deleted while its punches are being stored

$t->start($t->device_server(pool => 'timeout=1m'));
ok($t->wait_log(qr/listening for notifications/), 'nginx runs');
$t->get("/iclock/cdata?SN=STOR000$_&options=all") for 2 .. 4;

# a lock on a later table keeps the transaction of the upload open

my $lock = $pg->hold('LOCK TABLE iclock.upload_stamp IN EXCLUSIVE MODE');
my $upload = $t->connect();

$upload->write("POST /iclock/cdata?SN=STOR0002&table=ATTLOG&Stamp=1"
              . " HTTP/1.1\r\nHost: a\r\nContent-Length: 24\r\n\r\n"
              . "7\t2026-03-01 08:00:00\t0\t1");
ok($pg->wait_blocked(), 'punches are stored, not committed');

my $delete = $pg->background("SET application_name = 'deleter';"
                             . " SELECT iclock.delete_device('STOR0002');");

ok(wait_until(30, sub {
    $t->psql("SELECT count(*) FROM pg_stat_activity WHERE application_name"
             . " = 'deleter' AND wait_event_type = 'Lock'")
}), 'to delete the device has to wait');
$lock->release();
is($upload->read()->text, '200 OK: 1', 'the upload is acknowledged');
$delete->wait();
is($t->psql("SELECT count(*) FROM iclock.punch p"
            . " JOIN iclock.device d ON d.id = p.device_id"
            . " WHERE d.serial_number = 'STOR0002'"), 1,
   'the punch and its device are there');
my ($status, $out, $err) = $pg->psql_try("BEGIN ISOLATION LEVEL REPEATABLE"
    . " READ; SELECT iclock.delete_device('STOR0003')");
like($err, qr/isolation level "read committed"/,
     'an older snapshot would not see all punches');


# and the other way round: the upload waits, and is not acknowledged as stored

my $deleter = $pg->session();

$deleter->query("BEGIN; SELECT iclock.delete_device('STOR0004')");
$upload = $t->connect();
$upload->write("POST /iclock/cdata?SN=STOR0004&table=ATTLOG&Stamp=1"
              . " HTTP/1.1\r\nHost: a\r\nContent-Length: 24\r\n\r\n"
              . "7\t2026-03-01 08:00:00\t0\t1");
ok($pg->wait_blocked(), 'punches wait for a device that is being deleted');
$deleter->query('COMMIT');

my $answer = $upload->read()->text;

is($t->psql('SELECT count(*) FROM iclock.punch p WHERE NOT EXISTS (SELECT'
            . ' FROM iclock.device d WHERE d.id = p.device_id)'), 0,
   'no punch without a device');
unlike($answer, qr/^200/, 'the terminal must upload it again');


# months are dropped, but not beside a reader

my $old = month(-24);

my @others = map { month($_) . '-05 08:00:00' } -37 .. -25, -23 .. -20;

is(upload('STOR0001', "$old-05 08:00:00", "$old-06 08:00:00"), '200 OK: 2',
   'punches of an old month');
is(upload('STOR0001', @others), '200 OK: 17', 'and of 17 others');

my $partition = 'iclock.punch_' . $old =~ s/-/_/r;
my $there = sub { $t->psql("SELECT to_regclass('$partition')") };

my $partitions = sub {
    return $t->psql('SELECT count(*) FROM iclock.punch_partitions()'
                    . " WHERE starts < '" . month(-12) . "-01'");
};

# Who reads the default partition is in the way of what is waited for, which
# is tried ever more seldom then: nobody does before the old ones are there.

ok(wait_until(300, sub {
    $partitions->() >= 18
    && $t->psql('SELECT count(*) FROM iclock.punch_default') == 0
}), 'they get partitions');

$lock = $pg->hold("SELECT count(*) FROM $partition");
my $drop = $pg->background("SELECT iclock.drop_before('" . month(-12)
                           . "-01')");
is(upload('STOR0001', month(0) . "-01 08:00:0$_"), '200 OK: 1',
   "upload $_ meanwhile") for 1 .. 5;
cmp_ok($drop->wait(), '>=', 1, 'a report reads one: it is left');
# others, too, if uploads were in the way for long
ok(wait_until(300, sub { $partitions->() == 1 }),
   'and in the end no other one');
ok($there->(), 'it is there');
is(upload('STOR0001', month(0) . "-01 09:00:0$_"), '200 OK: 1',
   "upload $_ after that") for 1 .. 5;
$lock->release();
ok(wait_until(300, sub { !$there->() }), 'nginx drops it when that has ended');
is(upload('STOR0001', "$old-05 08:00:00", "$old-07 08:00:00"), '200 OK: 2',
   'its punches are acknowledged when they come again');
is($t->psql("SELECT count(*) FROM iclock.punch WHERE local_time::text"
            . " LIKE '$old%'"), 0, 'and not stored');
is($there->(), '', 'nor is the partition made again');


# Nor are months that are dropped while maintain() waits to move their punches,
# or to add one of them: it has read before that what there is to do.  It waits
# as long as it has to here, and everything before is dropped already.

$t->quit();
$t->psql('ALTER FUNCTION iclock.lock_punch(boolean) SET lock_timeout = 0');
$t->psql("SELECT iclock.drop_before('" . month(-3) . "-01')");
ok(wait_until(60, sub {
    $t->psql("UPDATE iclock.maintenance SET not_before = '-infinity';"
             . ' SELECT iclock.maintain()');
    return $t->psql('SELECT dropping FROM iclock.punch_state') eq '{}';
}), 'nothing is left to drop');

sub punch {
    my ($month) = @_;

    $t->psql('INSERT INTO iclock.punch (device_id, local_time, pin)'
             . " SELECT id, '$month-05', '7' FROM iclock.device"
             . " WHERE serial_number = 'STOR0001'");
}

# the month that gets no partition, that of a punch, the first one that is kept
for ([ -3, -3, -2 ], [ -1, -2, 0 ]) {
    my ($dropped, $punch, $kept) = map { month($_) } @$_;
    my $table = 'iclock.punch_' . $dropped =~ s/-/_/r;

    $t->psql("DROP TABLE IF EXISTS $table");
    punch($punch);

    my $dropper = $pg->session();

    $dropper->query("BEGIN; SELECT iclock.drop_before('$kept-01')");

    my $maintain = $pg->background("SET timezone = 'UTC';"
                                   . ' SELECT iclock.maintain()');

    ok(wait_until(60, sub {
        $t->psql('SELECT count(*) FROM pg_locks WHERE NOT granted'
                 . " AND relation IN ('iclock.punch'::regclass,"
                 . " 'iclock.punch_default'::regclass)"
                 . " AND mode = 'AccessExclusiveLock'")
    }), "month $_->[0]: maintain() waits while it is dropped");
    $dropper->query('COMMIT');
    like($maintain->wait(), qr/^\d+$/, "month $_->[0]: it goes on");
    is($t->psql("SELECT to_regclass('$table')"), '',
       "month $_->[0]: it has no partition");
    punch($dropped);
    is($t->psql('SELECT count(*) FROM iclock.punch'
                . " WHERE local_time < '$kept-01'"), 0,
       "month $_->[0]: its punches are not stored");
}

$t->done();
