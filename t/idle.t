#!/usr/bin/perl

# Copyright (C) the ngx_http_iclock_module authors

# A poll of a device without commands costs no SQL; nor does the stamp of an
# upload, if it is stored already.

use strict;
use warnings;

use FindBin;
use Test::More;
use Time::HiRes qw/ sleep time /;

use lib "$FindBin::Bin/lib";
use Test::IClock;

use constant DEVICES => 50;
use constant POLLS => 20;           # of each device

my $t = Test::IClock->new(settings => [
    [ shared_preload_libraries => 'pg_stat_statements' ],
    [ 'pg_stat_statements.track' => 'top' ],
]);

$t->psql('CREATE EXTENSION pg_stat_statements');

# presence is written once at the end, what is due is looked for all along
my $conf = $t->device_server(http => 'iclock_presence_interval 1h;',
    location => 'iclock_serial_pattern "^[A-Z0-9]{4,64}$";');

$t->start($conf);
ok($t->wait_log(qr/listening for notifications/), 'notifications');

my @sn = map { sprintf 'IDLE%04d', $_ } 1 .. DEVICES;


# Calls of all statements of nginx, by what they are about.

sub calls {
    my %calls;

    for ($t->psql_lines("SELECT calls, regexp_replace(query, E'[\\\\r\\\\n]+',"
                        . " ' ', 'g') FROM pg_stat_statements s"
                        . " JOIN pg_roles r ON r.oid = s.userid"
                        . " WHERE rolname = 'iclock_nginx'"))
    {
        my ($n, $query) = split /\|/, $_, 2;

        # begins every transaction, or connection, whatever it is about
        next if $query =~ /other_database/;
        next if $query =~ /^SET |set_config|iclock_identity/;

        # the self-probe of the listener, and what only time brings about
        my $what = $query =~ /pg_notify|NOTIFY|LISTEN/i ? 'listener'
                 : $query =~ /due_devices|maintain|verify_due
                              |refresh_timezones|watch_events/x ? 'periodic'
                 : $query =~ /dequeue_commands/ ? 'dequeue'
                 : $query =~ /unnest|INSERT|BEGIN|COMMIT/ ? 'requests'
                 : 'other';

        $calls{$what} += $n;
    }

    return \%calls;
}


sub polls {
    my ($rounds, $query) = @_;

    my @response = $t->concurrently(
        [ map { my $sn = $_; map { [ 'GET', "/iclock/getrequest?SN=$sn"
                                            . ($query || '') ] } 1 .. $rounds }
          @sn ], connections => 50);

    return \@response;
}


$t->device($_)->handshake() for @sn;

# the first poll tells that nothing waits, and stores INFO
my $info = '&INFO=Ver%208.0.4.3,3,1,8,192.168.1.201,10,7,15,0,111';
polls(2, $info) for 1 .. 3;

# that a device is new is notified, and then it is asked for once more
$t->notified();
polls(2, $info);

# what is stored may be counted after the reply
my $before = calls();
ok(wait_until(30, sub {
       my $last = $before;

       $before = calls();
       return "@$last{sort keys %$last}" eq "@$before{sort keys %$before}";
   }), 'the statements come to rest');
cmp_ok($before->{dequeue}, '>=', 1, 'the statements are counted');

my $since = time;
my $response = polls(POLLS);
my $again = polls(POLLS, $info);
my $seconds = time - $since;
my $after = calls();

is(scalar(grep { $_ && $_->text eq '200 OK' } @$response, @$again),
   2 * DEVICES * POLLS, 2 * DEVICES * POLLS . ' polls are answered');

for my $what (qw/ dequeue requests other /) {
    is(($after->{$what} || 0) - ($before->{$what} || 0), 0,
       "no SQL by them: $what");
}

# at most one look for what is due in 15 s, and one for zones
cmp_ok(($after->{periodic} || 0) - ($before->{periodic} || 0), '<=',
       3 + 2 * $seconds / 15 + $seconds / 60,
       'what is periodic depends on time only');


# nor do they lead to any later

sleep 1;
is(calls()->{$_} || 0, $before->{$_} || 0, "nor later: $_")
    for qw/ dequeue requests other /;


# it is not that nobody looks: a command is in the very next poll

for my $n (1 .. 20) {
    my $sn = $sn[$n * 7 % DEVICES];

    $t->psql("SELECT iclock.queue_command('$sn', 'CHECK')");

    # it was notified within the commit; the worker has to read it
    $t->notified();

    my $before = calls()->{dequeue};

    like($t->device($sn)->poll()->body, qr/^C:\d+:CHECK\n\z/,
         "a command is in the very next poll: $sn");
    cmp_ok(calls()->{dequeue} - $before, '==', 1, 'which asks once');
    is($t->device($sn)->poll()->body, 'OK', 'and then no more');
    $t->device($sn)->poll();
}

$t->notified();
polls(2);
$before = calls()->{dequeue};
polls(2);
is(calls()->{dequeue}, $before, 'and asks no longer');


# stamps

sub stamp_calls {
    return $t->psql("SELECT coalesce(sum(calls), 0) FROM pg_stat_statements s"
                    . " JOIN pg_roles r ON r.oid = s.userid"
                    . " WHERE rolname = 'iclock_nginx'"
                    . " AND query LIKE 'INSERT INTO iclock.upload_stamp %'");
}

sub stamp {
    my ($sn, $table) = @_;

    return $t->psql("SELECT stamp FROM iclock.upload_stamp s"
                    . " JOIN iclock.device d ON d.id = s.device_id"
                    . " WHERE serial_number = '$sn' AND table_name = '"
                    . ($table || 'ATTLOG') . "'");
}

# look-ups of devices

sub asked {
    return $t->psql("SELECT coalesce(sum(calls), 0) FROM pg_stat_statements"
                    . " WHERE query LIKE '%u (serial_number, zone, address%'");
}

my $minute = 0;

sub upload {
    my ($sn, $stamp) = @_;

    my $reply = $t->post("/iclock/cdata?SN=$sn&table=ATTLOG&Stamp=$stamp",
                         sprintf "7\t2026-11-01 %02d:%02d:00\t0\t1\n",
                                 $minute / 60, $minute % 60)->text;

    $minute++;

    return $reply eq '200 OK: 1';
}

# one more by the clock, since what is believed is believed for a while; another
# may be counted late

for my $sn ('IDLE0001', 'L' x 56) {
    my $name = length($sn) . ' letters';

    ok(upload($sn, 9999), "$name: an upload");
    is(stamp($sn), 9999, "$name: its stamp");

    my $before = stamp_calls();

    is(scalar(grep { upload($sn, 9999) } 1 .. 6), 6,
       "$name: six with that stamp");
    ok(upload($sn, 10000), "$name: one with another");
    ok(wait_until(30, sub { stamp_calls() > $before }),
       "$name: which is counted");
    cmp_ok(stamp_calls() - $before, '<', 5, "$name: and those are not");
    is(stamp($sn), 10000, "$name: it is stored");
}

for my $sn ('IDLE0002', 'M' x 56, 'N' x 57, 'O' x 64) {
    my $name = length($sn) . ' letters';

    for my $stamp (1, 2, 2, 1, 1) {
        ok(upload($sn, $stamp), "$name: an upload, $stamp");
        is(stamp($sn), $stamp, "$name: its stamp");
    }

    is($t->post("/iclock/cdata?SN=$sn&table=OPERLOG&OpStamp=1", '')->text,
       '200 OK: 0', "$name: another table, the same stamp");
    is(stamp($sn, 'OPERLOG'), 1, "$name: is stored");
    is(stamp($sn), 1, "$name: and that of the first stays");

    # what somebody else does to it is known with the next handshake

    $t->psql("DELETE FROM iclock.upload_stamp");
    $t->device($sn)->handshake();
    ok(upload($sn, 1), "$name: an upload after a handshake");
    is(stamp($sn), 1, "$name: its stamp is stored again");
    is($t->psql("SELECT count(*) FROM iclock.device"
                . " WHERE serial_number = '$sn'"), 1, "$name: one device");

    # that it is new was notified, too

    $t->notified();
    $t->device($sn)->poll();

    my $asked = asked();

    $t->device($sn)->poll() for 1 .. 3;
    ok(upload($sn, 2), "$name: an upload after polls");
    cmp_ok($asked, '>', 0, "$name: it was asked for");
    is(asked(), $asked, "$name: and is known");
}

# nothing is believed of an upload of which only the first part was stored

my $large = join '', map { sprintf "%d\t2026-10-01 08:00:00\t0\t1\n", $_ }
                         1 .. 600;

ok(upload('IDLE0004', 1), 'in parts: an upload before');
$t->psql(<<'END');
CREATE FUNCTION public.refuse() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN RAISE insufficient_privilege; END';
CREATE TRIGGER refuse BEFORE INSERT ON iclock.punch FOR EACH ROW
    WHEN (new.pin = '600') EXECUTE FUNCTION public.refuse();
END
is($t->post('/iclock/cdata?SN=IDLE0004&table=ATTLOG&Stamp=2', $large)->status,
   503, 'in parts: the second one fails');
is($t->psql("SELECT count(*) FROM iclock.punch p JOIN iclock.device d"
            . " ON d.id = p.device_id WHERE serial_number = 'IDLE0004'"),
   513, 'in parts: the first one is stored');
is(stamp('IDLE0004'), 1, 'in parts: the stamp is not');
$t->psql('DROP TRIGGER refuse ON iclock.punch; DROP FUNCTION public.refuse');
is($t->post('/iclock/cdata?SN=IDLE0004&table=ATTLOG&Stamp=2', $large)->text,
   '200 OK: 600', 'in parts: all of it comes again');
is(stamp('IDLE0004'), 2, 'in parts: now the stamp is stored');

# who knows no device reads what is stored with the device

my @stamped = @sn[10 .. 29];

is(scalar(grep { upload($_, 1) } @stamped), 20, 'twenty devices');
$t->quit();
$t->start($conf);

$before = stamp_calls();
is(scalar(grep { upload($_, 1) } @stamped), 20, 'after a restart');
ok(upload('IDLE0003', 5), 'and one of another');
ok(wait_until(30, sub { stamp_calls() > $before }), 'which is counted');
cmp_ok(stamp_calls() - $before, '<', 5, 'and those are not');

$t->done();
