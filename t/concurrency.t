#!/usr/bin/perl

# Copyright (C) the ngx_http_iclock_module authors

# The same records at the same time on many connections, each time in another
# order, as when terminals send everything again after a loss: transactions
# wait for each other, none is refused.

use strict;
use warnings;

use FindBin;
use List::Util qw/ shuffle /;
use Test::More;

use lib "$FindBin::Bin/lib";
use Test::IClock;

my $t = Test::IClock->new(settings => [ [ deadlock_timeout => '50ms' ] ]);

srand 42;

$t->start($t->device_server(pool => 'timeout=1m'));
$t->device('SAME000001')->handshake();


# what PostgreSQL complained of, but that those who hold locks were ended

sub complaints {
    open my $log, '<', $t->pg->{log} or die "$t->{pg}{log}: $!";
    return join '', grep { /ERROR|FATAL/ && !/holder \d+ FATAL/
                           && !/canceling autovacuum task/ } <$log>;
}

sub same {
    my ($name, $table, $lines, $count, $expected) = @_;

    my @response = $t->concurrently([ map {
        [ 'POST', "/iclock/cdata?SN=SAME000001&table=$table&Stamp=$_",
          join '', shuffle @$lines ] } 1 .. 128 ], connections => 64);

    is(scalar(grep { $_ && $_->status == 200 } @response), 128, $name);
    is($t->psql($count), $expected, "$name: each is stored once");
    is(complaints(), '', "$name: nothing to complain of");
}


# Two uploads of the same lines in opposite orders: one waits for what somebody
# else stores meanwhile, then the other comes.

sub meet {
    my ($name, $table, $held, @line) = @_;

    my $hold = $t->pg->hold($held);
    my @later;

    for my $lines (join('', @line), join('', reverse @line)) {
        my $c = Test::IClock::HTTP->new(port => $t->port);

        $c->write(Test::IClock::HTTP::format_request(POST =>
            "/iclock/cdata?SN=SAME000001&table=$table&Stamp=1", $lines));
        push @later, $c;
        ok(wait_until(30, sub {
            $t->psql("SELECT count(*) FROM pg_stat_activity WHERE"
                     . " wait_event_type = 'Lock' AND query LIKE"
                     . " '%INSERT INTO iclock.device_error%'") >= @later;
        }), "$name: " . @later . ' waits');
    }

    $hold->release();
    is($_->read->status, 200, "$name: is stored") for @later;
    is(complaints(), '', "$name: in one order");
}


# pictures, which are statements of their own, on connections that have not
# prepared any yet

my @photo = $t->concurrently([ map {
    [ 'POST', '/iclock/cdata?SN=SAME000001&table=ATTPHOTO',
      sprintf "PIN=20261001%06d-%d.jpg\nSN=SAME000001\nsize=4\n"
              . "CMD=uploadphoto\0\xff\xd8\1\2", $_, $_ ] } 1 .. 256 ],
    connections => 64);

is(scalar(grep { $_ && $_->text eq '200 OK' } @photo), 256, 'pictures');
is($t->psql('SELECT count(*) FROM iclock.photo'), 256, 'are stored');
is(complaints(), '', 'nothing to complain of');

same('punches', 'ATTLOG',
     [ map { sprintf "%d\t2026-10-01 %02d:%02d:00\t0\t1\n", $_, $_ / 60,
                     $_ % 60 } 1 .. 300 ],
     'SELECT count(*) FROM iclock.punch', 300);

same('users', 'OPERLOG',
     [ map { "USER PIN=$_\tName=N$_\tPri=0\n" } 1 .. 200 ],
     'SELECT count(*) FROM iclock.device_user', 200);

same('operations', 'OPERLOG',
     [ map { sprintf "OPLOG 4\t%d\t2026-10-01 08:00:00\t0\t0\t0\t0\n", $_ }
       1 .. 200 ],
     'SELECT count(*) FROM iclock.operation', 200);

same('templates', 'OPERLOG',
     [ map { "FP PIN=$_\tFID=0\tValid=1\tTMP=SghTUw==\n" } 1 .. 100 ],
     'SELECT count(*) FROM iclock.template', 100);

my $error = "ErrCode=D01E%04d\tErrMsg=\tDataOrigin=dev\tCmdId=\tAdditional=\n";

same('errors', 'ERRORLOG', [ map { sprintf $error, $_ } 1 .. 200 ],
     'SELECT count(*) FROM iclock.device_error', 200);

meet('errors', 'ERRORLOG', 'INSERT INTO iclock.device_error (device_id, code,'
     . " origin) SELECT id, 'D01E1002', 'dev' FROM iclock.device",
     map { sprintf $error, $_ } 1003, 1002, 1001);
is($t->psql("SELECT string_agg(right(code, 1), ' ' ORDER BY id)"
            . ' FROM iclock.device_error'
            . " WHERE code BETWEEN 'D01E1001' AND 'D01E1003'"), '3 2 1',
   'errors: ids are in the order of the upload');

same('lines that are rejected', 'ATTLOG',
     [ map { "$_\tyesterday\t0\t1\n" } 1 .. 200 ],
     'SELECT count(*) FROM iclock.rejected_line', 200);

my @pairs = map { "Key$_=$_" } 1 .. 60;
my @response = $t->concurrently([ map {
    [ 'POST', '/iclock/cdata?SN=SAME000001&table=options',
      join ',', shuffle @pairs, "UserCount=$_" ] } 1 .. 128 ],
    connections => 64);

is(scalar(grep { $_ && $_->text eq '200 OK' } @response), 128, 'options');
is($t->psql('SELECT count(*) FROM iclock.device_option'), 61,
   'options: each is stored once');
is(complaints(), '', 'options: nothing to complain of');

# answers to commands about people, while the same people are uploaded

my @pin = shuffle 1 .. 120;

$t->psql('DELETE FROM iclock.command');
$t->psql(join ';', map {
    "SELECT iclock.queue_command('SAME000001',"
    . " E'DATA UPDATE USERINFO PIN=$_\\tName=C$_'),"
    . " iclock.queue_command('SAME000001',"
    . " E'DATA UPDATE FINGERTMP PIN=$_\\tFID=0\\tSize=4\\tValid=1\\tTMP=SghT')"
    } @pin);

my %sent;

for (1 .. 40) {
    my $body = $t->device('SAME000001')->poll()->body;
    my @id = $body =~ /^C:(\d+):/mg or last;
    $sent{$_} = 1 for @id;
}

is(scalar keys %sent, 240, 'commands about people');

my @id = shuffle keys %sent;
my @requests;

while (my @some = splice @id, 0, 6) {
    push @requests,
        [ 'POST', '/iclock/devicecmd?SN=SAME000001',
          join '', map { "ID=$_&Return=0&CMD=DATA\n" } @some ],
        [ 'POST', '/iclock/cdata?SN=SAME000001&table=OPERLOG&Stamp=1',
          join '', shuffle map { ("USER PIN=$_\tName=U" . rand() . "\tPri=0\n",
              "FP PIN=$_\tFID=0\tValid=1\tTMP=" . (qw/ SghT U0doVFN3 /)[rand 2]
              . "\n") } (shuffle 1 .. 120)[0 .. 9] ];
}

@response = $t->concurrently(\@requests, connections => 64);

is(scalar(grep { $_ && $_->status == 200 } @response), 80,
   'answers beside uploads of the same people');
is($t->psql("SELECT count(*) FROM iclock.command WHERE status = 'done'"), 240,
   'all answers are stored');
is(complaints(), '', 'answers beside uploads: nothing to complain of');

# two change the same people, each in an order of its own

$t->psql("INSERT INTO iclock.person (pin) SELECT i::text"
         . ' FROM generate_series(3, 1, -1) AS i');

my $held = $t->pg->hold("SELECT FROM iclock.person WHERE pin = '2'"
                        . ' FOR NO KEY UPDATE');
my $people = 'SET application_name = %s; SELECT iclock_api.note_persons('
             . "array_fill('{\"name\":\"%s\"}'::jsonb, array[3]), '{%s}',"
             . " array[row(d.*)::iclock.device]) FROM iclock.device d"
             . " WHERE serial_number = 'SAME000001'";
my @both = map { $t->pg->background(sprintf $people, @$_) }
               [ 'people1', 'A', '3,2,1' ], [ 'people2', 'B', '1,2,3' ];

ok(wait_until(30, sub { $t->psql('SELECT count(*) FROM pg_stat_activity'
       . " WHERE application_name LIKE 'people_'"
       . " AND wait_event_type = 'Lock'") == 2 }), 'people: both wait');
is($t->psql('SELECT pin FROM iclock.person ORDER BY pin'
            . ' FOR NO KEY UPDATE SKIP LOCKED'), 3,
   'people: for the first of them, and the one that is held');
$held->release();
$_->wait() for @both;
is($t->psql("SELECT count(DISTINCT name) FROM iclock.person"), 1,
   'people: one after the other');
is(complaints(), '', 'people: nothing to complain of');

# two end the removal of a person each, and then upload something of the other's

$t->psql(<<'END');
INSERT INTO iclock.device (serial_number, status, site)
VALUES ('PAIR000001', 'active', 'Pair'), ('PAIR000002', 'active', 'Pair');
SELECT iclock.set_site('Pair', true);
INSERT INTO iclock.device_user (device_id, pin)
SELECT id, pin FROM iclock.device, unnest(array['9001', '9002']) AS pin
 WHERE site = 'Pair';
SELECT iclock.delete_user_from_site('Pair', pin)
  FROM unnest(array['9001', '9002']) AS pin;
INSERT INTO iclock.removed_from (device_id, pin)
SELECT id, pin FROM iclock.device, unnest(array['9001', '9002']) AS pin
 WHERE site = 'Pair';
UPDATE iclock.removed_person SET removed_at = now() - interval '1 hour';
UPDATE iclock.removed_from SET deleted_at = now() - interval '1 hour';
DELETE FROM iclock.command;
END

my $other = $t->pg->background(<<'END');
    SET application_name = 'other';
    BEGIN;
    UPDATE iclock.device_user u SET name = 'Anew' FROM iclock.device d
     WHERE d.id = u.device_id AND d.serial_number = 'PAIR000002'
       AND u.pin = '9002';
    SELECT set_config('application_name', 'other has it', false);
    DO $$
    BEGIN
        FOR i IN 1 .. 1000 LOOP
            EXIT WHEN EXISTS (SELECT FROM iclock.template WHERE pin = '9002');
            PERFORM pg_sleep(0.01);
        END LOOP;
    END
    $$;
    COMMIT;
    SELECT 'committed';
END

wait_until(10, sub { $t->psql("SELECT count(*) FROM pg_stat_activity"
                              . " WHERE application_name = 'other has it'") });

$t->psql(<<'END');
BEGIN;
SET LOCAL lock_timeout = '5s';
UPDATE iclock.device_user u SET name = 'Anew' FROM iclock.device d
 WHERE d.id = u.device_id AND d.serial_number = 'PAIR000001' AND u.pin = '9001';
INSERT INTO iclock.template (device_id, pin, type, no, index, major_version,
                             minor_version, format, valid, duress, source, data)
SELECT id, '9002', 1, 3, 0, 10, 0, 0, 1, 0, 'FP', 'fp'
  FROM iclock.device WHERE serial_number = 'PAIR000001';
COMMIT;
END

like($other->wait(), qr/committed/, 'two end the removal of each other\'s');
is($t->psql('SELECT count(*) FROM iclock.removed_person'), 0,
   'two: nobody is removed');
is($t->psql('SELECT string_agg(d.serial_number || left(body, 21), \',\''
            . ' ORDER BY d.serial_number, c.id) FROM iclock.command c'
            . ' JOIN iclock.device d ON d.id = c.device_id'),
   'PAIR000001DATA UPDATE USERINFO ,PAIR000002DATA UPDATE USERINFO ,'
   . 'PAIR000002DATA UPDATE FINGERTMP',
   'two: each has the other\'s');
is(complaints(), '', 'two: nothing to complain of');

$t->done();
