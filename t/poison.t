#!/usr/bin/perl

# Copyright (C) the ngx_http_iclock_module authors

# Records that can never be stored: they must not hold up anything else, or
# the device would send them again for ever.  Some are found by the parsers;
# for those that only PostgreSQL can see constraints are added here.

use strict;
use warnings;

use Digest::MD5 qw/ md5_hex /;
use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Test::IClock;
use Test::IClock::HTTP;

my $t = Test::IClock->new;

$t->psql(<<'SQL');
ALTER TABLE iclock.punch ADD CONSTRAINT not_666 CHECK (pin <> '666');
ALTER TABLE iclock.device_user ADD CONSTRAINT no_mallory
    CHECK (name <> 'Mallory');
ALTER TABLE iclock.operation ADD CONSTRAINT no_99 CHECK (code <> 99);
ALTER TABLE iclock.photo ADD CONSTRAINT small
    CHECK (octet_length(content) <> 13);
ALTER TABLE iclock.device_option ADD CONSTRAINT no_evil
    CHECK (name <> 'Evil');

-- another class of data errors: 22012, division by zero
CREATE FUNCTION public.divide() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN PERFORM 1 / (new.pin::bigint - 1313); RETURN new;
     EXCEPTION WHEN invalid_text_representation THEN RETURN new; END';
CREATE TRIGGER divide BEFORE INSERT ON iclock.template
    FOR EACH ROW EXECUTE FUNCTION public.divide();

-- and an error that is nobody's data: it must not be taken for poison
CREATE FUNCTION public.refuse() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN IF new.code = ''no'' THEN RAISE ''not today''; END IF;
     RETURN new; END';
CREATE TRIGGER refuse BEFORE INSERT ON iclock.work_code
    FOR EACH ROW EXECUTE FUNCTION public.refuse();
SQL

# what is checked at the end of a transaction only
$t->psql(<<'SQL');
CREATE FUNCTION public.late() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN IF new.name = ''Late'' THEN
         RAISE check_violation USING message = ''too late''; END IF;
     RETURN NULL; END';
CREATE CONSTRAINT TRIGGER late AFTER INSERT OR UPDATE ON iclock.device_user
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION public.late();
SQL

# the connection is lost when this operation is stored for the second time
$t->psql(<<'SQL');
CREATE SEQUENCE public.stored;
CREATE FUNCTION public.lose() RETURNS trigger LANGUAGE plpgsql
    SECURITY DEFINER AS
    'BEGIN IF new.code = 77 AND nextval(''public.stored'') = 2 THEN
         PERFORM pg_terminate_backend(pg_backend_pid()); END IF;
     RETURN new; END';
CREATE TRIGGER lose BEFORE INSERT ON iclock.operation
    FOR EACH ROW EXECUTE FUNCTION public.lose();
SQL

# one worker with one connection: what waits shares a transaction
my $conf = $t->device_server(pool => 'connections=1 timeout=1m');

$t->start($conf, workers => 1);

# cheaper than psql()
my $session = $t->pg->session();

sub sql { join "\n", $session->query(@_) }


sub time_of { sprintf '2026-09-22 %02d:%02d:%02d', $_[0] / 3600,
                      $_[0] / 60 % 60, $_[0] % 60 }

sub punches_of {
    my ($sn) = @_;

    return sql("SELECT count(*) FROM iclock.punch p"
               . " JOIN iclock.device d ON d.id = p.device_id"
               . " WHERE d.serial_number LIKE '$sn'");
}

# rejected lines as text and their reasons, in the order they arrived

sub rejected_of {
    my ($sn) = @_;

    return sql("SELECT r.table_name, encode(r.line, 'escape'), r.reason"
               . " FROM iclock.rejected_line r"
               . " JOIN iclock.device d ON d.id = r.device_id"
               . " WHERE d.serial_number LIKE '$sn' ORDER BY r.id");
}


# what the parsers find: a batch of 500

my @line = map { sprintf "%d\t%s\t0\t1\t0\t0\t0\n", 1000 + $_, time_of($_) }
           0 .. 499;

$line[17] = "9\t2026-09-22 09:31:00\t0\t1\t0\0\t0\t0\n";
$line[250] = "12\t2026-02-30 10:00:00\t0\t1\t0\t0\t0\n";
$line[499] = "\xc3\x28\t2026-09-22 09:31:05\t0\t1\t0\t0\t0\n";

my $d = $t->device('POISON0001');

is($d->punches(@line)->text, '200 OK: 500', '500 lines, 3 of them poison');
is(punches_of('POISON0001'), 497, '497 are stored');
is(rejected_of('POISON0001'), <<'ROWS' =~ s/\n\z//r, '3 are kept');
ATTLOG|9	2026-09-22 09:31:00	0	1	0\000	0	0|NUL byte in the line
ATTLOG|12	2026-02-30 10:00:00	0	1	0	0	0|local_time is not a date and time
ATTLOG|\303(	2026-09-22 09:31:05	0	1	0	0	0|pin is invalid UTF-8
ROWS
is($d->punches("1\t2026-09-22 10:00:00\t0\t1")->text, '200 OK: 1',
   'the next upload works');
is(punches_of('POISON0001'), 498, 'it is stored');
is($d->punches(@line)->text, '200 OK: 500', 'the batch again');
is(punches_of('POISON0001'), 498, 'nothing is stored twice');
is(scalar(split /\n/, rejected_of('POISON0001')), 3, 'nor kept twice');


# what only PostgreSQL sees: first, middle, last, alone, all

my $refused = 'new row for relation "punch_YYYY" violates check constraint'
              . ' "not_666"';

for my $case ([ 'first', 0 ], [ 'middle', 3 ], [ 'last', 6 ],
              [ 'two side by side', 2, 3 ], [ 'both ends', 0, 6 ],
              [ 'all', 0 .. 6 ])
{
    my ($name, @bad) = @$case;
    my $sn = 'CHECK-' . join '', @bad;
    my %bad = map { $_ => 1 } @bad;
    my $dev = $t->device($sn);

    my @punch = map { [ $bad{$_} ? 666 : $_ + 1, time_of($_), 0, 1 ] } 0 .. 6;

    is($dev->punches(@punch)->text, '200 OK: 7', "poison: $name");
    is(punches_of($sn), 7 - @bad, "$name: the others are stored");

    my $got = rejected_of($sn) =~ s/"punch_\w+"/"punch_YYYY"/gr;

    is($got, join("\n", map { 'ATTLOG|' . join("\t", @{$punch[$_]})
                              . "|23514: $refused" } @bad),
       "$name: the poison is kept with its SQLSTATE");
    is($dev->punches(@punch)->text, '200 OK: 7', "$name: again");
    is(punches_of($sn), 7 - @bad, "$name: no duplicates");
}

my $alone = $t->device('CHECK-ALONE');

is($alone->punches("666\t2026-09-22 09:00:00")->text, '200 OK: 1',
   'poison alone');
is(punches_of('CHECK-ALONE'), 0, 'it is not stored');
like(rejected_of('CHECK-ALONE'), qr/^ATTLOG\|666\t.*\|23514: /,
     'it is kept');

is(sql("SELECT stamp FROM iclock.upload_stamp s JOIN iclock.device d"
       . " ON d.id = s.device_id WHERE serial_number = 'CHECK-ALONE'"),
   9999, 'the stamp of such an upload is stored');


# a value that no parser limits and an index cannot hold

my $long = $t->device('LONG');

is($long->punches([ 'x' x 1500, '2026-09-22 09:00:00' ],
                  [ 7, '2026-09-22 09:00:01' ])->text, '200 OK: 2',
   'a PIN of 1500 bytes');
is(punches_of('LONG'), 1, 'does not hold up the next one');
like(rejected_of('LONG'), qr/^ATTLOG\|x{1500}\t[^\n]*\|pin is too long$/,
     'it is kept');


# every kind of record, each among good ones

my $kinds = $t->device('KINDS');

is($kinds->operations("USER PIN=1\tName=Asha", "USER PIN=2\tName=Mallory",
                      "OPLOG 4\t14\t2026-09-22 10:22:34\t0\t0\t0\t0",
                      "OPLOG 99\t14\t2026-09-22 10:22:35\t0\t0\t0\t0",
                      "FP PIN=1\tFID=1\tTMP=AAAA",
                      "FP PIN=1313\tFID=1\tTMP=AAAA",
                      "USERPIC PIN=1\tContent=" . 'QUFB' x 4,
                      "USERPIC PIN=2\tContent=QUFBQUFBQUFBQUFBQQ==",
                      "USER PIN=3\tName=Ben")->text, '200 OK: 9',
   'poison of four kinds in one body');
is(sql("SELECT (SELECT string_agg(name, ',' ORDER BY pin)"
       . " FROM iclock.device_user),"
       . " (SELECT string_agg(code::text, ',') FROM iclock.operation),"
       . " (SELECT string_agg(pin, ',') FROM iclock.template),"
       . " (SELECT string_agg(pin, ',') FROM iclock.photo)"),
   'Asha,Ben|4|1|1', 'all others are stored');
is(join(' ', map { /^OPERLOG\|(\w+)[^|]*\|(\w+): / ? "$1=$2" : $_ }
             split /\n/, rejected_of('KINDS')),
   'USER=23514 OPLOG=23514 FP=22012 USERPIC=23514', 'with their SQLSTATEs');

is($kinds->options('Good=1', 'Evil=2', 'FWVersion=Ver 9')->text, '200 OK',
   'poison among options');
is(sql("SELECT string_agg(name || '=' || value, ',' ORDER BY name)"
       . " FROM iclock.device_option"), 'FWVersion=Ver 9,Good=1',
   'the others are stored');
is(sql("SELECT firmware FROM iclock.device"
       . " WHERE serial_number = 'KINDS'"), 'Ver 9',
   'what the device row shows is derived from them');
is($kinds->options('~MaxAttLogCount=' . join '', map { md5_hex($_) } 1 .. 200)
     ->text, '200 OK', 'one of any length, which an index could not hold');
is(sql("SELECT octet_length(value) FROM iclock.device_option"
       . " WHERE name = 'MaxAttLogCount'"), 6400, 'it is stored');
is($t->get('/iclock/getrequest?SN=KINDS&INFO=Ver%208,1,2,3')->text, '200 OK',
   'a poll afterwards');

is($kinds->upload('WORKCODE', "Code=1\tName=a\nCode=no\tName=b\n")->status,
   503, 'an error that is not one of data is not taken for poison');
is(sql("SELECT count(*) FROM iclock.work_code"), 0,
   'nothing of that upload is stored');
# nor does it concern those who share the transaction, even if it looks like a
# plan that is out of date

sql(<<'SQL');
CREATE OR REPLACE FUNCTION public.refuse() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN IF new.code = ''no'' THEN RAISE ''not today''; END IF;
     IF new.code = ''never'' THEN RAISE feature_not_supported; END IF;
     RETURN new; END';
SQL

for my $code (qw/ no never /) {
    my $lock = $t->pg->hold('LOCK TABLE iclock.punch IN SHARE ROW EXCLUSIVE'
                            . ' MODE');
    my @c = map { $t->connect() } 0 .. 2;
    my @send = map { Test::IClock::HTTP::format_request(@$_) } (
        [ 'POST', '/iclock/cdata?SN=KINDS&table=ATTLOG&Stamp=1',
          "1\t2026-09-22 09:01:00\t0\t1" ],
        [ 'POST', '/iclock/cdata?SN=KINDS&table=WORKCODE&Stamp=1',
          "Code=$code\tName=b\n" ],
        [ 'POST', '/iclock/cdata?SN=KINDS&table=WORKCODE&Stamp=1',
          "Code=2$code\tName=c\n" ],
    );

    $c[0]->write($send[0]);
    $t->pg->wait_blocked();
    $c[$_]->write($send[$_]) for 1, 2;
    is($t->get('/iclock/ping?SN=KINDS')->text, '200 OK', 'both were read');
    $lock->release();
    is(join(' ', map { $_->read->status } @c), '200 503 200',
       "an error that is raised for \"$code\" fails no one else");
}

sql("DELETE FROM iclock.work_code");
sql('DROP TRIGGER refuse ON iclock.work_code');
# the connection is lost: a new one need not be made at once
is($t->device('KINDS', patience => 60)
     ->upload('WORKCODE', "Code=1\tName=a\nCode=no\tName=b\n")->text,
   '200 OK: 2', 'it passes when the error has gone');
is(sql("SELECT count(*) FROM iclock.work_code"), 2, 'and is stored');


# what is noticed at the commit only

my $late = $t->device('LATE0001');

is($late->operations("USER PIN=1\tName=Anna", "USER PIN=2\tName=Late",
                     "USER PIN=3\tName=Carl")->text, '200 OK: 3',
   'poison that a deferred constraint finds');
is(sql("SELECT string_agg(u.name, ',' ORDER BY pin)"
       . " FROM iclock.device_user u JOIN iclock.device d"
       . " ON d.id = u.device_id WHERE serial_number = 'LATE0001'"),
   'Anna,Carl', 'the others are stored');
is(rejected_of('LATE0001'),
   "OPERLOG|USER PIN=2\tName=Late|23514: too late", 'it is kept');
unlike($t->error_log(), qr/connection to PostgreSQL is lost/,
       'it is no lost connection');


# halves of an upload, the first of which the module sends again: the order of
# the lines stays

my $halves = $t->device('HALVES01');

# a connection that is lost within its first second is not replaced at once
sleep 2;
is($halves->operations("USER PIN=1\tName=first", "USER PIN=2\tName=Mallory",
                       "OPLOG 77\t14\t2026-09-22 10:22:34\t0\t0\t0\t0",
                       "USER PIN=3\tName=Mallory", "USER PIN=4\tName=Mallory",
                       "USER PIN=1\tName=last")->text, '200 OK: 6',
   'a connection is lost while poison is looked for');
like($t->error_log(), qr/connection to PostgreSQL is lost/, 'it was');
is(sql("SELECT string_agg(pin || u.name, ',' ORDER BY pin)"
       . " FROM iclock.device_user u JOIN iclock.device d"
       . " ON d.id = u.device_id WHERE serial_number = 'HALVES01'"),
   '1last', 'what came last has won');
is(join(' ', map { /^OPERLOG\|USER PIN=(\d)/ } split /\n/,
             rejected_of('HALVES01')), '2 3 4', 'the poison is kept');


# ten poison records in an upload of 3000 lines

my %poison = map { $_ => 1 } 0, 1, 2, 777, 1499, 1500, 2047, 2048, 2500, 2999;
my $big = $t->device('BIG0001');

@line = map { [ $poison{$_} ? 666 : $_ + 5000, time_of($_), 0, 1 ] }
        0 .. 2999;

is($big->punches(@line)->text, '200 OK: 3000', '3000 lines');
is(punches_of('BIG0001'), 2990, '2990 are stored');
is(join(' ', map { /\t(\S+ \S+)\t/ } split /\n/, rejected_of('BIG0001')),
   join(' ', map { time_of($_) } sort { $a <=> $b } keys %poison),
   'exactly the ten are kept');


# 64 devices at once, three of them with poison, in one transaction: they
# wait behind one upload that a lock holds up

my @sn = map { sprintf 'DEV%04d', $_ } 1 .. 64;

is(scalar(grep { $_ && $_->status == 200 }
          $t->concurrently([ map { [ 'GET', "/iclock/cdata?SN=$_&options=all" ]
                                 } @sn ])), 64, '64 devices');

my $lock = $t->pg->background(<<'SQL');
BEGIN;
LOCK TABLE iclock.punch;
DO $$ BEGIN
    WHILE NOT EXISTS (SELECT FROM pg_locks
                       WHERE relation = 'iclock.punch'::regclass
                         AND NOT granted)
    LOOP
        PERFORM pg_sleep(0.05);
    END LOOP;
    PERFORM pg_sleep(1);
END $$;
COMMIT;
SQL

ok(wait_until(30, sub { sql("SELECT count(*) FROM pg_locks"
       . " WHERE relation = 'iclock.punch'::regclass AND granted"
       . " AND mode = 'AccessExclusiveLock'") }), 'a lock is held');

my @request = map {
    my $n = $_;
    [ 'POST', "/iclock/cdata?SN=$sn[$n]&table=ATTLOG&Stamp=1",
      join '', map { my $pin = $n % 20 == 7 && $_ == 1 ? 666 : $_;
                     "$pin\t" . time_of($n) . "\t0\t1\n" } 0 .. 2 ]
} 0 .. 63;

my @response = $t->concurrently(\@request);

$lock->wait();

is(join(',', grep { !$response[$_] || $response[$_]->text ne '200 OK: 3' }
             0 .. 63), '', 'each gets its OK');
is(punches_of('DEV%'), 64 * 3 - 3, 'all others are stored');
is(join(' ', map { /^ATTLOG\|(\d+)\t.*\|(\w+): / ? "$1=$2" : $_ }
             split /\n/, rejected_of('DEV%')), '666=23514 666=23514 666=23514',
   'only the poison is kept');
is(sql("SELECT count(*) FROM iclock.rejected_line r JOIN iclock.device d"
       . " ON d.id = r.device_id"
       . " WHERE serial_number IN ('DEV0008', 'DEV0028', 'DEV0048')"), 3,
   'each for its own device');
cmp_ok(sql("SELECT count(DISTINCT p.received_at) FROM iclock.punch p"
           . " JOIN iclock.device d ON d.id = p.device_id"
           . " WHERE serial_number LIKE 'DEV%'"), '<', 40,
       'they did share transactions');


# the same with more connections, of two workers, and poison in half of them

$t->reload($t->device_server(pool => 'timeout=1m'), workers => 2, wait => 1);

@request = map {
    my $n = $_;
    [ 'POST', "/iclock/cdata?SN=$sn[$n % 64]&table=ATTLOG&Stamp=2",
      join '', map { my $pin = $n % 2 && $_ == 4 ? 666 : $_;
                     "$pin\t" . time_of(10000 + $n) . "\t0\t1\n" } 0 .. 9 ]
} 0 .. 255;

@response = $t->concurrently(\@request, connections => 64);

is(join(',', grep { !$response[$_] || $response[$_]->text ne '200 OK: 10' }
             0 .. 255), '', '256 uploads, 128 with poison: each gets its OK');
is(punches_of('DEV%'), 64 * 3 - 3 + 2560 - 128, 'all others are stored');
is(scalar(grep { /^ATTLOG\|666\t.*\|23514: / } split /\n/, rejected_of('DEV%')),
   3 + 128, 'the poison is kept');

$d = $t->device('POISON0001');
is($d->punches("2\t2026-09-22 10:00:01\t0\t1")->text, '200 OK: 1',
   'and the next upload works');

# the line itself must not get into the log
unlike($t->error_log(), qr/Mallory/, 'no data in the log');

$t->done();
