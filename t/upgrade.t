#!/usr/bin/perl

# Copyright (C) the ngx_http_iclock_module authors

# sql/install.sql upgrades a database that an earlier release has made, while
# 64 connections upload to it as that release's nginx did.  t/sql/upgrade.sql
# shows in one session what an upgrade makes of the rows of migration 1.

use strict;
use warnings;

use FindBin;
use IO::Uncompress::Gunzip qw/ gunzip /;
use Test::More;

use lib "$FindBin::Bin/lib";
use Test::IClock;
use Test::IClock::Load;
use Test::IClock::Process qw/ slurp /;

my $install = "$FindBin::Bin/../sql/install.sql";
my $t = Test::IClock->new(settings => [ [ max_connections => 120 ],
                                        [ autovacuum => 'on' ],
                                        [ autovacuum_naptime => '1s' ] ]);
my $pg = $t->pg;


# the database of the harness gives way to the old one

sub sql { return $pg->psql(@_) }

gunzip("$FindBin::Bin/fixtures/schema-2.sql.gz" => \my $dump)
    or die "cannot read the fixture\n";

$pg->psql('DROP DATABASE iclock', database => 'postgres');
$pg->psql('CREATE DATABASE iclock', database => 'postgres');
$pg->psql($dump);

is(sql('SELECT max(version) FROM iclock.schema_version'), 2, 'an old schema');


# what is in the tables

my @table = qw/ device device_option upload_stamp punch operation device_user
                template photo device_error rejected_line command
                attendance_check site /;

sql('CREATE SCHEMA kept;'
    . join ' ', map { "CREATE TABLE kept.$_ AS SELECT * FROM iclock.$_;" }
                @table);

sql('CREATE TABLE kept.files AS SELECT oid, relfilenode FROM pg_class'
    . " WHERE relnamespace = 'iclock'::regnamespace AND relkind = 'r'");


# the rows that differ, as far as the columns are still the same ones

sub differences {
    my ($table) = @_;

    my $columns = sql("SELECT string_agg(format('%I', o.attname), ', ')"
        . ' FROM pg_attribute o JOIN pg_attribute n USING (attname)'
        . " WHERE o.attrelid = 'kept.$table'::regclass AND o.attnum > 0"
        . " AND n.attrelid = 'iclock.$table'::regclass"
        . ' AND NOT n.attisdropped');

    return sql("SELECT count(*) FROM ("
               . " (SELECT $columns FROM kept.$table"
               . "  EXCEPT ALL SELECT $columns FROM iclock.$table)"
               . ' UNION ALL'
               . " (SELECT $columns FROM iclock.$table"
               . "  EXCEPT ALL SELECT $columns FROM kept.$table)) AS x");
}


# What one of 64 connections does: the statements of the earlier release's
# transactions, one after the other.  Errors are counted, and the longest time
# from the beginning to the end of a transaction, before the upgrade and since
# it has begun.

$pg->psql(<<'SQL');
CREATE TABLE uploader (n int PRIMARY KEY, uploads int, errors int,
                       before interval, slowest interval, error text);
CREATE TABLE upgrade (begun boolean);
CREATE TABLE stop (now boolean);

CREATE PROCEDURE upload(client integer) LANGUAGE plpgsql AS $$
DECLARE
    device   bigint := 1 + client % 2;
    pin      text := 'p' || client;
    at       timestamp := '2026-03-01';
    began    timestamptz;
    before   interval := '0';
    slowest  interval := '0';
    uploads  integer := 0;
    errors   integer := 0;
    error    text;
BEGIN
    PERFORM set_config('lock_timeout', '9s', false);

    LOOP
        began := clock_timestamp();
        BEGIN
            EXECUTE format('EXECUTE iclock_punch(ARRAY[%s], ARRAY[''UTC''],'
                ' ARRAY[%L], ARRAY[%L]::timestamp[], ARRAY[0], ARRAY[1],'
                ' ARRAY[''''], ARRAY[''''], ARRAY[-1], ARRAY[-1],'
                ' ARRAY[NULL], ARRAY[NULL], ARRAY[NULL], ARRAY[NULL])',
                device, pin, at);
            EXECUTE format('EXECUTE iclock_operation(ARRAY[%s],'
                ' ARRAY[''UTC''], ARRAY[%L]::timestamp[], ARRAY[%s],'
                ' ARRAY[''new''], ARRAY[NULL], ARRAY[NULL], ARRAY[NULL],'
                ' ARRAY[NULL])', device, at, client);
            EXECUTE format('EXECUTE iclock_user(ARRAY[%s], ARRAY[%L],'
                ' ARRAY[%L], ARRAY[0], ARRAY[NULL], ARRAY[NULL],'
                ' ARRAY[NULL]::integer[], ARRAY[NULL],'
                ' ARRAY[NULL]::integer[], ARRAY[NULL],'
                ' ARRAY[NULL]::timestamp[], ARRAY[NULL]::timestamp[])',
                device, pin, 'name ' || uploads);
            EXECUTE format('EXECUTE iclock_template(ARRAY[%s], ARRAY[%L],'
                ' ARRAY[1], ARRAY[0], ARRAY[0], ARRAY[10], ARRAY[0], ARRAY[0],'
                ' ARRAY[1], ARRAY[0], ARRAY[''FP''], ARRAY[%L]::bytea[])',
                device, pin, 'template ' || uploads);
            EXECUTE format('EXECUTE iclock_stamp(ARRAY[%s], ARRAY[%L],'
                ' ARRAY[%L])', device, pin, uploads);
            uploads := uploads + 1;
            at := at + interval '1 hour';
        EXCEPTION WHEN OTHERS THEN
            errors := errors + 1;
            error := SQLERRM;
        END;
        COMMIT;
        IF EXISTS (SELECT FROM upgrade) THEN
            slowest := greatest(slowest, clock_timestamp() - began);
        ELSE
            before := greatest(before, clock_timestamp() - began);
        END IF;
        EXIT WHEN EXISTS (SELECT FROM stop);
        PERFORM pg_sleep(0.2 + random() * 0.4);
        COMMIT;
    END LOOP;

    INSERT INTO uploader VALUES (client, uploads, errors, before,
                                 slowest, error);
END
$$;
SQL

my $prepare = slurp("$FindBin::Bin/fixtures/statements-2.sql");
my @session = map { $pg->background("$prepare; CALL upload($_)") } 1 .. 64;

sub stored { return sql("SELECT count(*) FROM iclock.punch"
                        . " WHERE pin LIKE 'p%'") }

# goes on until the connections have uploaded some more

sub uploads_go_on {
    my ($more) = (@_, 200);
    my $n = stored();

    return wait_until(60, sub { stored() > $n + $more });
}

ok(uploads_go_on(), '64 connections upload');


# Somebody has started the present module before the upgrade.  Terminals hold on
# to their punches.

$t->allow(qr/upgrade the schema: psql -f sql\/install\.sql/);
$t->start($t->device_server());

my $load = Test::IClock::Load->start(port => $t->port, clients => 8,
                                     devices => 4, pause => 0.2);

ok($t->wait_log(qr/upgrade the schema: psql -f/), 'nginx needs the new one');
ok(uploads_go_on(800), 'uploads before the upgrade');
sql('INSERT INTO upgrade VALUES (true)');


# What takes long is done first, while the functions of before go on serving.

my $dir = "$FindBin::Bin/../sql";

# runs install.sql up to the first line that is this

sub run_up_to {
    my ($line, @after) = @_;

    my ($text) = slurp($install) =~ /\A(.*?)^\Q$line\E$/ms;
    my $file = $t->dir . '/part.sql';

    open my $handle, '>', $file or die "$file: $!\n";
    print $handle $text =~ s!\\ir !\\ir $dir/!gr, map { "$_\n" } @after;
    close $handle;

    return $pg->_psql($file);
}


# Runs something that is not to fail.  Where all is slow, uploads may be in the
# way: install.sql says so, and is to be run again.

sub patiently {
    my ($run) = @_;

    my @result;

    for (1 .. 5) {
        @result = $run->();
        last if $result[2] !~ /run install\.sql\s+again|\bin use\b/;
    }

    return @result;
}


# commands that wait, of which one is a copy, and some ended by hand or waiting
# anew

sql(<<'SQL');
INSERT INTO iclock.device (id, serial_number, status)
VALUES (801, 'QUEUE1', 'active'), (802, 'QUEUE2', 'active'),
       (803, 'QUEUE3', 'active');
INSERT INTO iclock.command (id, device_id, body, status, attempts, sent_at,
                            finished_at, subject)
VALUES (811, 801, E'DATA UPDATE USERINFO PIN=8\tName=Old', 'sent', 1,
        '2026-01-01', NULL, NULL),
       (812, 801, E'DATA UPDATE USERINFO PIN=9\tName=Ben', 'queued', 0,
        NULL, NULL, 'user 9'),
       (813, 801, 'DATA DELETE USERINFO PIN=8', 'queued', 0, NULL, NULL, NULL),
       (814, 801, 'CHECK', 'failed', 1, '2026-01-02', NULL, NULL),
       (815, 801, 'INFO', 'queued', 0, NULL, '2026-01-03', NULL),
       (816, 801, 'DATA UPDATE USERINFO PIN=8', 'cancelled', 0, NULL, NULL,
        NULL);
INSERT INTO iclock.command (id, device_id, body, status, finished_at,
                            return_code)
VALUES (821, 803, 'CHECK', 'queued', '2026-01-03', -1),
       (822, 803, 'INFO', 'sent', NULL, NULL);
INSERT INTO iclock.command (id, device_id, body)
SELECT 1000 + n, 802, 'SET OPTION O' || n || '=1'
  FROM generate_series(1, 1200) AS n;
SELECT setval('iclock.command_id_seq', 3000);
INSERT INTO iclock.attendance_check (id, device_id, starts, ends, max_attempts)
SELECT n, 801, '2026-01-01', '2026-01-02', 3
  FROM generate_series(801, 803) AS n;
SQL

# commands that have not been told, or not right, what they are about

sub untold {
    my ($subject) = @_;

    return sql('SELECT count(*) FROM iclock.command c'
               . " WHERE (c.status IN ('queued', 'sent')"
               . "        AND (c.$subject, c.deletes) IS DISTINCT FROM"
               . '            (iclock.command_subject(c.body),'
               . '             iclock.is_deletion(c.body)))'
               . " OR (c.finished_at IS NULL) <> (c.status IN ('queued',"
               . " 'sent'))");
}

sub indexes {
    return sql("SELECT string_agg(relname, ' ' ORDER BY relname)"
               . ' FROM pg_index JOIN pg_class c ON c.oid = indexrelid'
               . " WHERE indrelid = 'iclock.command'::regclass AND indisvalid"
               . " AND relname ~ 'open|deletion|about|subject'");
}

# a vacuum that takes long gives way

sql('ALTER TABLE iclock.command SET (autovacuum_vacuum_threshold = 0,'
    . ' autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_cost_limit = 1,'
    . ' autovacuum_vacuum_cost_delay = 100)');
sql('DELETE FROM iclock.command WHERE device_id = 802 AND id > 2190');

ok(wait_until(60, sub {
    sql("SELECT count(*) FROM pg_stat_activity WHERE query"
        . " LIKE 'autovacuum: VACUUM%iclock.command'")
}), 'commands are vacuumed');

my ($status, $out, $err) = patiently(sub { run_up_to('begin;') });

is("$status$err", '0', 'the upgrade is prepared');
sql('ALTER TABLE iclock.command SET (autovacuum_vacuum_scale_factor = 0.02),'
    . ' RESET (autovacuum_vacuum_threshold, autovacuum_vacuum_cost_limit,'
    . ' autovacuum_vacuum_cost_delay)');
sql("ALTER SYSTEM SET autovacuum_naptime = '1min'");
sql('SELECT pg_reload_conf()');
is(sql('SELECT max(version) FROM iclock.schema_version'), 2,
   'the schema is the one of before');
is(untold('about'), 0, 'commands know what they are about');
is(sql('SELECT id FROM iclock.command WHERE copied'), 812, 'and copies');
is(sql('SELECT finished_at::date FROM iclock.command WHERE id = 814'),
   '2026-01-02', 'what was ended by hand has ended when it was sent');
is(sql("SELECT string_agg(format('%s %s %s', id, status, sent_at IS NULL),"
       . " ', ' ORDER BY id) FROM iclock.command WHERE device_id = 803"
       . ' AND return_code IS NULL'), '821 queued t, 822 sent f',
   'what was queued or sent by hand may be answered, and is due');
is(indexes(), 'command_about_idx command_deletion_idx command_open_idx'
   . ' command_subject_idx', 'the indexes are there');

# the functions of before

my $polled = sql("SELECT string_agg(id::text, ' ') FROM"
    . " iclock.dequeue_commands('{801}', '{2}', '{10000}', '{60}', '{3}')");
is($polled, '811 812', 'commands are handed out meanwhile');
sql("SELECT iclock.answer_commands('{801}', '{812}', '{0}', '{NULL}');"
    . " SELECT iclock.queue_copy(801, 'user 10',"
    . "   'DATA UPDATE USERINFO PIN=10');"
    . " SELECT iclock.queue_copy(801, 'user 10',"
    . "   E'DATA UPDATE USERINFO PIN=10\tName=Eva');"
    . " INSERT INTO iclock.command (device_id, body)"
    . "   VALUES (801, 'DATA DELETE USERINFO PIN=11');"
    . " UPDATE iclock.command SET status = 'cancelled' WHERE id = 815");
is(untold('about'), 0, 'the new ones know, too');
is(sql("SELECT count(*) FROM iclock.command WHERE copied AND about LIKE"
       . " E'user\t%'"), 2, 'of copies, it is known that they are');

# one that was broken off

sql('ALTER TABLE iclock.command DISABLE TRIGGER command_prepared;'
    . " INSERT INTO iclock.command (device_id, body)"
    . "   VALUES (801, 'DATA DELETE USERINFO PIN=12');"
    . ' ALTER TABLE iclock.command ENABLE TRIGGER command_prepared;'
    . ' UPDATE pg_index SET indisvalid = false'
    . "  WHERE indexrelid = 'iclock.command_open_idx'::regclass");

my $writer = $pg->hold('LOCK TABLE iclock.command IN ROW SHARE MODE');
($status, $out, $err) = $pg->_psql($install);

isnt($status, 0, 'commands are in use');
like($err, qr/commands are in use\. In the way: pid \d+ \(postgres, holder/,
     'it says by whom');
is(untold('about'), 1, 'nothing is done then');
$writer->release();

($status, $out, $err) = patiently(sub { run_up_to('begin;') });
is("$status$err", '0', 'the next one goes on');
is(untold('about'), 0, 'with what is left');
like(indexes(), qr/command_open_idx/, 'with the index, too');
ok(uploads_go_on(), 'uploads go on');


# A report that takes long is in the way: it is named, and nothing else waits.

my $report = $pg->hold('SELECT count(*) FROM iclock.attendance');
($status, $out, $err) = $pg->_psql($install);

isnt($status, 0, 'an installation beside a long report fails');
like($err, qr/tables of the schema are in use/, 'it says why');
like($err, qr/In the way: pid \d+ \(postgres, holder \d\), since 2/,
     'and who is in the way');
like($err, qr/run install\.sql\s+again/, 'and what to do');
is(sql('SELECT max(version) FROM iclock.schema_version'), 2,
   'nothing has changed');
ok(uploads_go_on(), 'uploads go on');
$report->release();


# The upgrade, at first up to its commit: the queue is in order by then.

($status, $out, $err) = patiently(sub { run_up_to('commit;', 'commit;') });

is("$status$err", '0', 'all that needs locks is done');
is(untold('subject'), 0, 'all commands know what they are about');
is(indexes(), 'command_deletion_idx command_open_idx command_subject_idx',
   'their indexes are there');
is(sql('SELECT string_agg(status, \' \' ORDER BY id)'
       . ' FROM iclock.attendance_check WHERE device_id = 801'),
   'failed failed asking', 'of the same checks the youngest goes on');
is(sql("SELECT string_agg(id::text, ' ' ORDER BY id) FROM"
       . " iclock.dequeue_commands('{801}', '{100}', '{10000}', '{0}', '{3}')"
       . ' WHERE id < 1000'), '813', 'the queue goes on');
is(sql('SELECT status, reason FROM iclock.command WHERE id = 811'),
   'cancelled|superseded by command 813', 'the deletion supersedes');
sql("SELECT iclock.answer_commands('{801}', '{811}', '{0}', '{NULL}')");
is(sql('SELECT count(*) FROM iclock.device_user WHERE device_id = 801'
       . " AND pin = '8'"), 1, 'a late answer counts');
sql("SELECT iclock.answer_commands('{801}', '{813}', '{0}', '{NULL}')");
is(sql('SELECT count(*) FROM iclock.device_user WHERE device_id = 801'
       . " AND pin = '8'"), 0, 'that of the deletion, too');
like(sql('SET enable_seqscan = off; SET enable_bitmapscan = off;'
         . ' SET enable_sort = off; EXPLAIN SELECT id FROM iclock.command'
         . " WHERE device_id = 802 AND subject = E'option\tO7'"
         . ' AND finished_at IS NULL AND - id > -9 ORDER BY - id'
         . ' LIMIT (SELECT 1)'), qr/command_open_idx/,
     'and are looked into');


# the rest, also beside a rule of the site that its rows do not keep

sql('ALTER TABLE iclock.command ADD CONSTRAINT own_rule CHECK (id <> 1001)'
    . ' NOT VALID');

# meanwhile a transaction for which the building of an index has to wait asks
# for a lock of the same table, as maintain() does for its statistics

my $statistics = $pg->background(<<'SQL');
SET application_name = 'statistics';
SET statement_timeout = '10min';
SET deadlock_timeout = '1min';
BEGIN ISOLATION LEVEL REPEATABLE READ;
DO $$
BEGIN
    WHILE NOT EXISTS (SELECT FROM pg_locks l
                      WHERE l.relation = 'iclock.command'::regclass
                        AND l.mode = 'ShareUpdateExclusiveLock' AND l.granted
                        AND pg_backend_pid() = ANY (pg_blocking_pids(l.pid)))
    LOOP
        PERFORM pg_sleep(0.01);
    END LOOP;

    PERFORM set_config('lock_timeout', '300ms', true);
    ANALYZE iclock.command;
EXCEPTION WHEN lock_not_available THEN
    NULL;
END
$$;
COMMIT;
SELECT 'it has met an index';
SQL

wait_until(60, sub {
    sql("SELECT count(*) FROM pg_stat_activity WHERE application_name"
        . " = 'statistics' AND wait_event = 'PgSleep'")
}) or die "nobody waits for an index\n";

($status, $out, $err) = patiently(sub { $pg->_psql($install) });

is($status, 0, 'the installation is run again') or diag($err);
is($err, '', 'no messages');
is($statistics->wait(), 'it has met an index', 'statistics meanwhile');
ok(uploads_go_on(), 'uploads go on after it');
sql('ALTER TABLE iclock.command DROP CONSTRAINT own_rule');

# who has seen the old version, and comes too late

($status, $out, $err) = run_up_to('\if :prepare', "\\ir $dir/004_prepare.sql");

isnt($status, 0, 'what has been upgraded is not prepared for it');
like($err, qr/another session has upgraded the schema/, 'it says why');
is(sql('SELECT count(*) FROM pg_attribute WHERE attrelid ='
       . " 'iclock.command'::regclass AND attname = 'about'"), 0,
   'nothing has changed by it');

ok(wait_until(30, sub {
    sql('SELECT count(*) FROM iclock.punch p JOIN iclock.device d'
        . " ON d.id = p.device_id WHERE d.serial_number LIKE 'LOAD%'") > 20
}), 'the present module stores punches, without a reload');

sql('INSERT INTO stop VALUES (true)');
$_->wait() for @session;

is(sql('SELECT count(*) FROM uploader'), 64, 'all have come to an end');
is(sql('SELECT sum(errors) FROM uploader'), 0, 'no upload has failed')
    or diag(sql('SELECT DISTINCT error FROM uploader'));
is(stored(), sql('SELECT sum(uploads) FROM uploader'),
   'what was acknowledged is stored');
is(sql("SELECT count(*) FROM iclock.operation WHERE operator = 'new'"),
   sql('SELECT sum(uploads) FROM uploader'), 'in the other table, too');

my $terminals = $load->stop();

cmp_ok($terminals->{refused}, '>', 0, 'terminals were refused before');
is("@{$terminals->{bad}}", '', 'and served in the end');
is(Test::IClock::Load::missing($t, $terminals), 0,
   'what was acknowledged to them is stored');

# none has waited nine seconds for a lock, or it would have failed; for how long
# in truth is left to the reader, as busy machines take longer

my ($before, $slowest) = split /\|/,
    sql('SELECT extract(epoch FROM max(before)),'
        . ' extract(epoch FROM max(slowest)) FROM uploader');

diag(sprintf('the slowest of %d uploads took %.3f s before the upgrade,'
             . ' %.3f s from then on',
             sql('SELECT sum(uploads) FROM uploader'), $before, $slowest));


# nothing is lost

sql("DELETE FROM iclock.punch WHERE pin LIKE 'p%';"
    . " DELETE FROM iclock.operation WHERE operator = 'new';"
    . " DELETE FROM iclock.upload_stamp WHERE table_name LIKE 'p%';"
    . " DELETE FROM iclock.template WHERE pin LIKE 'p%';"
    . " DELETE FROM iclock.device_user WHERE pin LIKE 'p%';"
    . " DELETE FROM iclock.punch WHERE device_id IN (SELECT id FROM"
    . "  iclock.device WHERE serial_number LIKE 'LOAD%');"
    . " DELETE FROM iclock.device WHERE serial_number LIKE 'LOAD%'"
    . " OR serial_number LIKE 'QUEUE_'");

is(sql("SELECT string_agg(body, '') FROM iclock.command"
       . ' WHERE cleared_at IS NOT NULL'), 'DATA UPDATE USERINFO PIN=6',
   'the body of a command that is done has been cleared');
sql("UPDATE kept.command SET body = 'DATA UPDATE USERINFO PIN=6'"
    . " WHERE status = 'done'");

# what a command is about is told in a new way
sql('ALTER TABLE kept.command DROP COLUMN subject');

is(differences($_), 0, "$_ is as it was") for @table;

is(sql('SELECT string_agg(oid::regclass::text, E\'\n\') FROM kept.files f'
       . ' JOIN pg_class c USING (oid) WHERE c.relfilenode <> f.relfilenode'),
   '', 'no table has been rewritten');
is(sql("SELECT string_agg(indexrelid::regclass::text, ' ') FROM pg_index"
       . ' WHERE NOT indisvalid'), '', 'all indexes are valid');

# as if it had been installed anew

sub definitions {
    my ($database) = @_;

    return $pg->psql("SELECT indexdef FROM pg_indexes"
        . " WHERE schemaname = 'iclock' AND tablename !~ '^punch_2'"
        . ' UNION ALL'
        . " SELECT concat(conrelid::regclass, ' ', conname, ' ',"
        . '               pg_get_constraintdef(oid)) FROM pg_constraint'
        . " WHERE connamespace = 'iclock'::regnamespace AND conrelid::regclass"
        . "::text !~ 'punch_2' AND contype <> 'n'"
        . ' UNION ALL SELECT pg_get_triggerdef(t.oid) FROM pg_trigger t'
        . ' JOIN pg_class c ON c.oid = tgrelid WHERE NOT tgisinternal'
        . " AND relnamespace = 'iclock'::regnamespace"
        . " AND relname !~ '^punch_2'"
        # a function that is replaced keeps its grants
        . " UNION ALL SELECT concat(oid::regprocedure, ' ', (SELECT"
        . "     string_agg(a::text, ' ' ORDER BY a::text)"
        . '     FROM unnest(proacl) AS a)) FROM pg_proc'
        . " WHERE pronamespace = 'iclock'::regnamespace"
        . ' ORDER BY 1', database => $database);
}

$pg->psql('CREATE DATABASE fresh', database => 'postgres');
$pg->psql_file($install, database => 'fresh');

is(definitions('iclock'), definitions('fresh'),
   'indexes, constraints, triggers and rights are those of a fresh one');

is(sql('SELECT count(*) FROM pg_inherits h WHERE'
       . " h.inhparent = 'iclock.punch'::regclass AND NOT EXISTS (SELECT"
       . ' FROM pg_index i JOIN pg_inherits a ON a.inhrelid = i.indexrelid'
       . " WHERE i.indrelid = h.inhrelid"
       . " AND a.inhparent = 'iclock.punch_brin_idx'::regclass)"), 0,
   'each partition has the new one');
is(sql('SELECT max(txid) FROM iclock.punch'), 0,
   'old punches have no number of a transaction');

($status, $out, $err) = $pg->_psql($install);
is("$status$err", '0', 'run once more: nothing to do');


# the present module works with it

is($t->device('OLD0001')->punches("1\t2026-11-01 08:00:00\t0\t1")->text,
   '200 OK: 1', 'a terminal uploads');

my $commands = $t->device('OLD0001')->poll()->body;

like($commands, qr/^C:\d+:DATA UPDATE USERINFO PIN=6\tName=Asha/m,
     'it gets the command that waited');


# an older installation

sql("INSERT INTO iclock.schema_version VALUES (1000, 'of the future')");
($status, $out, $err) = $pg->_psql($install);
isnt($status, 0, 'an installation older than the schema fails');
like($err, qr/of version 1000, newer than this install\.sql/, 'it says why');

$t->done();
