#!/usr/bin/perl

# Copyright (C) the ngx_http_iclock_module authors

# What nginx knows of devices without asking PostgreSQL.

use strict;
use warnings;

use FindBin;
use Test::More;
use Time::HiRes qw/ sleep /;

use lib "$FindBin::Bin/lib";
use Test::IClock;
use Test::IClock::Metrics;
use Test::IClock::Process qw/ slurp /;

my $t = Test::IClock->new;
my $pg = $t->pg;
my $m = Test::IClock::Metrics->new($t);


# one request for each of the serial numbers, 64 at a time

sub each_of {
    my ($request, @sn) = @_;

    return $t->concurrently([ map { $request->($_) } @sn ], connections => 64);
}


sub poll_of { [ 'GET', "/iclock/getrequest?SN=$_[0]" ] }
sub handshake_of { [ 'GET', "/iclock/cdata?SN=$_[0]&options=all" ] }


sub upload_of {
    [ 'POST', "/iclock/cdata?SN=$_[0]&table=ATTLOG&Stamp=9999",
      "1\t2026-03-01 08:00:00\t0\t1\n" ]
}


sub good { scalar grep { $_ && $_->status == 200 } @_ }


# what nginx has asked PostgreSQL until now, apart from what it asks from time
# to time

sub statements {
    return scalar grep { m!iclock/\d+ LOG:  execute!
                         && !/due_devices|maintain|verify_due
                              |refresh_timezones|watch_events/x }
                  split /\n/, slurp($pg->{log});
}


# Polls a device until nothing is left to be asked: there is no command.

sub settle {
    my (@sn) = @_;

    each_of(\&handshake_of, @sn);
    each_of(\&poll_of, @sn) for 1 .. 2;
}


# idle polls need no statements, whichever worker answers them

$t->psql("ALTER ROLE iclock_nginx SET log_statement = 'all'");
$t->start($t->device_server(http => 'iclock_presence_interval 1h;'),
          workers => 4);

my @device = map { sprintf 'ZONE%04d', $_ } 1 .. 64;

is(good(each_of(\&handshake_of, @device)), 64, 'handshakes');
# who listens forgets all, and each device once more when it has been registered
ok($t->wait_log(qr/listening for notifications/), 'listening');
$t->notified();
settle(@device);

my $before = statements();
my $good = 0;

cmp_ok($before, '>', 1, 'statements are counted');

for my $c (map { $t->connect() } 1 .. 10) {
    for (1 .. 100) {
        $good += $c->get("/iclock/getrequest?SN=$device[$_ % 64]")->text
                 eq '200 OK';
    }
}

is($good, 1000, '1000 polls');

# commands that fall due are looked for now and then
cmp_ok(statements() - $before, '<', 10, 'nothing was asked for them');


# PostgreSQL is not there: what is known stays known, after a reload, too

$pg->stop();
is(good(each_of(\&poll_of, @device)), 64, 'polls without PostgreSQL');
$t->reload(undef, wait => 1);
is(good(each_of(\&poll_of, @device)), 64, 'after a reload');
$t->reload($t->device_server(
    database => 'application_name=another ' . $t->conninfo()), wait => 1);
is(good(each_of(\&poll_of, @device)), 64,
   'after a reload with another connection string for the same database');
is(scalar(grep { $_->status == 503 && $_->header('Retry-After') }
               each_of(\&poll_of, map { "NOBODY$_" } 1 .. 8)), 8,
   'others are unknown');
is(scalar(grep { $_->status == 503 } each_of(\&upload_of, @device)), 64,
   'uploads have to wait');
$pg->start();
ok(wait_until(30, sub { good(each_of(\&upload_of, @device)) == 64 }),
   'uploads when it is back');


# another size: nothing is known, nothing fails

is(join(' ', sort $t->reload($t->device_server(zone => 'iclock:2m'),
                             wait => 1)) ne '', 1, 'another size of the zone');
ok(wait_until(30, sub { good(each_of(\&upload_of, @device)) == 64 }),
   'uploads after a change of the size');
settle(@device);
$pg->stop();
is(good(each_of(\&poll_of, @device)), 64, 'polls without PostgreSQL');
$pg->start();


# more devices than there is room for

is($t->quit(), 0, 'quit');
$t->start($t->device_server(zone => 'iclock:64k', server => $m->locations()));

my @many = map { sprintf 'MANY%05d', $_ } 1 .. 2000;

ok(wait_until(30, sub { good(each_of(\&handshake_of, 'MANY00001')) }), 'ready');
is(good(each_of(\&handshake_of, @many)), 2000, 'small zone: 2000 handshakes');
is(good(each_of(\&poll_of, @many)), 2000, 'small zone: 2000 polls');
is(good(each_of(\&upload_of, @many)), 2000, 'small zone: 2000 uploads');
is($t->psql("SELECT count(*) FROM iclock.punch p JOIN iclock.device d"
            . " ON d.id = p.device_id WHERE serial_number LIKE 'MANY%'"), 2000,
   'small zone: all are stored');


my @last = @many[-32 .. -1];

settle(@last);
$pg->stop();
is(good(each_of(\&poll_of, @last)), 32, 'small zone: the last ones are known');
cmp_ok(good(each_of(\&poll_of, @many[0 .. 31])), '<', 32,
       'small zone: others are not');
$pg->start();


# who has called last is given up last

my $room = $m->value('zone_devices');
my @caller = @many[0 .. 31];
my @silent = @many[32 .. 31 + int $room / 2];
my @more = @many[1000 .. 1000 + $room - 65];

cmp_ok($room, '>=', 128, 'small zone: there is room for some');
ok(wait_until(30, sub { good(each_of(\&handshake_of, @caller)) == 32 }),
   'small zone: devices that go on calling');
# who listens has forgotten all by then
$t->notified();
settle(@caller);
is(good(each_of(\&handshake_of, @silent)), scalar @silent,
   'small zone: those that do not');
# a device is not moved twice in a second
sleep 1.5;
is(good(each_of(\&poll_of, @caller)), 32, 'small zone: they call again');
is(good(each_of(\&handshake_of, @more)), scalar @more, 'small zone: more come');
$pg->stop();
is(good(each_of(\&poll_of, @caller)), 32, 'small zone: who called is known');
cmp_ok(good(each_of(\&poll_of, @silent)), '<', scalar @silent,
       'small zone: who was silent is not');
$pg->start();


# those whom nobody has registered do not drive out those who are

is($t->quit(), 0, 'quit');
$t->start($t->device_server(zone => 'iclock:64k', unknown => 'hold'));
ok(wait_until(30, sub { good(each_of(\&handshake_of, 'ZONE0001')) }), 'ready');
settle(@device);

my @stranger = map { sprintf 'STRANGER%05d', $_ } 1 .. 5000;
my @response = each_of(\&poll_of, @stranger);

is(scalar(grep { $_ && $_->status == 503 && $_->header('Retry-After') }
               @response), 5000, 'strangers are kept waiting');
is($t->psql("SELECT count(*) FROM iclock.device WHERE status = 'pending'"),
   1000, 'and recorded up to the limit');

$pg->stop();
is(good(each_of(\&poll_of, @device)), 64,
   'registered devices are known among 5000 strangers');
$pg->start();

unlike($t->error_log(), qr/no memory|could not allocate/,
       'a full zone is nothing to complain of');


# Presence is saved to the database that it is of.  A worker that has not been
# connected yet knows of none, and waits.

sub seen {
    my ($sn, $database) = @_;

    return $t->psql('SELECT last_seen IS NOT NULL FROM iclock.device'
                    . " WHERE serial_number = '$sn'", database => $database);
}

is($t->quit(), 0, 'quit');

my %presence = map { $_ => $t->device_server(
                         database => $t->conninfo(dbname => $_),
                         http => 'iclock_presence_interval 1s;') }
               qw/ iclock other /;

$t->start($t->device_server(http => 'iclock_presence_interval 1h;'));
ok(wait_until(30, sub { good(each_of(\&handshake_of, 'ZONE0001')) }), 'ready');
settle('ZONE0001');
$t->psql('UPDATE iclock.device SET last_seen = NULL');
$pg->freeze();
$t->reload($presence{iclock}, wait => 1);
sleep 2;    # it is time to save it, and nobody is connected
$pg->thaw();
ok(wait_until(30, sub { seen('ZONE0001', 'iclock') eq 't' }),
   'presence from before a reload while PostgreSQL was silent');

# more than a flush takes, of what is another database now

$t->quit();
$t->psql('DROP DATABASE IF EXISTS other', database => 'postgres');
# connections of nginx may be there for a while
ok(wait_until(30, sub {
    ($pg->psql_try('CREATE DATABASE other TEMPLATE iclock',
                   database => 'postgres'))[0] == 0
}), 'another database');
$t->start($t->device_server(http => 'iclock_presence_interval 1h;'));
ok(wait_until(30, sub { good(each_of(\&handshake_of, 'ZONE0001')) }), 'ready');
is(good(each_of(\&handshake_of, @many)), 2000, '2000 devices are present');
$t->reload($presence{other}, wait => 1);
ok(wait_until(30, sub { good(each_of(\&handshake_of, 'PRESENT1')) }),
   'and one at another database');
ok(wait_until(30, sub { seen('PRESENT1', 'other') eq 't' }),
   'it is saved that it was seen');
is($t->psql("SELECT count(last_seen) FROM iclock.device WHERE serial_number"
            . " LIKE 'MANY%'", database => 'other'), 0,
   'but nothing of the others');
$t->quit();
$t->psql('DROP DATABASE other WITH (FORCE)', database => 'postgres');


# When a device has called is known to a second, and who is served after he was
# refused is not refused any more, however soon.

sub poll_with {
    return $t->get("/iclock/getrequest?SN=ZONE0001&pushcommkey=$_[0]")->status;
}

$t->start($t->device_server(http => 'iclock_presence_interval 1h;'),
          workers => 1);
$t->psql("UPDATE iclock.device SET comm_key = 'sample1'"
         . " WHERE serial_number = 'ZONE0001'");
ok(wait_until(30, sub { poll_with('wrong') == 403 }), 'a device has a key');
ok(wait_until(30, sub { good(each_of(\&poll_of, 'ZONE0002')) }),
   'another one has none');
is(poll_with('sample1'), 200, 'it is served');
is(poll_with('wrong'), 403, 'refused');
# moments are two milliseconds
sleep 0.05;
is(poll_with('sample1'), 200, 'and served again');
sleep 1.2;

my $now = $t->psql('SELECT clock_timestamp()');

is(good(each_of(\&poll_of, 'ZONE0002')), 1, 'the other one calls again');
$t->reload($t->device_server(http => 'iclock_presence_interval 1s;'),
           wait => 1);
ok(wait_until(60, sub {
    $t->psql('SELECT count(*) FROM iclock.device_refusal')
}), 'that it was refused is saved');
ok(wait_until(60, sub {
    $t->psql('SELECT count(*) FROM iclock.device_conditions()'
             . " WHERE condition = 'key'") eq '0'
}), 'and that it was served since');
ok(wait_until(60, sub {
    $t->psql("SELECT p.last_seen > timestamptz '$now' - interval '1100 ms'"
             . ' FROM iclock.device_presence p JOIN iclock.device d'
             . " ON d.id = p.device_id WHERE d.serial_number = 'ZONE0002'")
        eq 't'
}), 'and that the other one has called again');

$t->done();
