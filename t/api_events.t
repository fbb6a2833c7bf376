#!/usr/bin/perl

# Copyright (C) the ngx_http_iclock_module authors

# Events by HTTP: from the upload of a terminal to the answer that waits for it,
# pages, filters, what a key sees, and cursors of what is not kept any more.

use strict;
use warnings;

use FindBin;
use Test::More;
use Time::HiRes qw/ sleep /;

use lib "$FindBin::Bin/lib";
use Test::IClock;
use Test::IClock::API;

my $t = Test::IClock->new;

$t->psql('GRANT iclock_api TO iclock_nginx');

$t->start(Test::IClock::API::server($t,
    http => 'iclock_api_rate off; iclock_event_retention 2d;',
    server => 'location /iclock { iclock; iclock_unknown_devices accept; }'),
    workers => 2);

my $api = Test::IClock::API->new($t);
my @device = map { $t->device($_) } qw/ FEED0001 FEED0002 /;

$_->handshake() for @device;
$t->psql("UPDATE iclock.device SET site = CASE serial_number"
         . " WHEN 'FEED0001' THEN 'Pune' ELSE 'Delhi' END, name = 'A \"B\"'");

my $day = $t->psql("SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD')");

sub upload { $_[0]->punches(map { "$_[1]\t$_\t0\t1" } @_[2 .. $#_]) }

# behind all that there is

sub cursor {
    $t->settled();

    return $api->get('/events')->json->{next_cursor};
}

sub pins { join ' ', map { $_->{user}{id} } @{$_[0]->json->{data}} }


# the worker learns that a key that reads events was made

ok(wait_until(30, sub {
    my $cursor = cursor();
    my $c = $t->connect(timeout => 30);
    $c->write($api->format('GET', "/events?after=$cursor&wait=2"));
    sleep 0.05;
    upload($device[0], 'warm', sprintf "$day 00:00:%02d", rand 60);
    my $r = Test::IClock::API::response($c->read('GET'));
    return $r && @{$r->json->{data}};
}), 'an upload ends the wait of a reader');


# From the upload to the reader, who leaves before nginx would answer without
# an event.

my @got;

for my $n (1 .. 12) {
    my $cursor = cursor();
    my $c = $t->connect(timeout => 20);

    $c->write($api->format('GET', "/events?after=$cursor&wait=30"));
    sleep 0.06;
    upload($device[$n % 2], "P$n", sprintf "$day 01:00:%02d", $n);

    my $r = Test::IClock::API::response($c->read('GET'));

    push @got, pins($r) if $r;
}

is("@got", join(' ', map { "P$_" } 1 .. 12),
   'each punch reaches the reader who waits');


# pages

my $cursor = cursor();
upload($device[0], 'page', map { sprintf "$day 02:00:%02d", $_ } 1 .. 10);
upload($device[1], 'other', "$day 02:30:00");

# what an older transaction holds back comes when that has ended
ok(wait_until(30, sub { @{$api->get("/events?after=$cursor")->json->{data}}
                        == 11 }), 'a list has them');

my (@seen, $more);
my $at = $cursor;

do {
    my $r = $api->get("/events?after=$at&limit=4");

    push @seen, map { $_->{sequence} } @{$r->json->{data}};
    $at = $r->json->{next_cursor};
    $more = $r->json->{has_more};
    is($r->header('Link') ? 1 : 0, $more ? 1 : 0, 'Link: as long as there is '
       . 'more');
} while ($more);

is(scalar @seen, 11, 'all in pages of 4');
is_deeply(\@seen, [ sort { $a <=> $b } @seen ], 'in order');
is($at, cursor(), 'the last one ends where the feed does');

my $next = "/events?cursor=$cursor&limit=4";
my @linked;

for (1 .. 3) {
    my $r = $api->get($next);

    push @linked, map { $_->{sequence} } @{$r->json->{data}};
    ($next) = ($r->header('Link') || '') =~ m!/v1(/events[^>]+)>! or last;
}

is_deeply(\@linked, \@seen, 'by "cursor", as other lists, and Link');
is(pins($api->get("/events?after=$cursor&site=Delhi")), 'other', 'of a site');
is(pins($api->get("/events?after=$cursor&device_id=FEED0002")), 'other',
   'of a device');
is(pins($api->get("/events?after=$cursor&types=device.pending")), '',
   'of a type that did not come');


# one event, and its bytes

my $r = $api->get("/events?after=$cursor&limit=1");
my $event = $r->json->{data}[0];
my $one = $api->get("/events/$event->{event_id}");

is_deeply($one->json, $event, 'one event');
unlike($one->body, qr/[^"\\][:,{] | [:,}]/, 'without blanks');
$t->psql("SELECT iclock.event_write('door.event', id,"
         . " json_build_object('no', 1, 'text', 'a : b'))"
         . " FROM iclock.device WHERE serial_number = 'FEED0001'");
wait_until(30, sub { $r = $api->get("/events?after=$at");
                     @{$r->json->{data}} });
like($r->body,
     qr/,"door":\{"no":1,"text":"a : b"\}\}\]/,
     'nor in what others have written');
is($api->get('/events/evt_0000000000000003_0000000000000001')->said,
   '404 not_found', 'none');


# keys

my $pune = Test::IClock::API->new($t, name => 'pune', sites => [ 'Pune' ]);

is(pins($pune->get("/events?after=$cursor&types=attendance.punch")),
   join(' ', ('page') x 10), 'a key of a site');
my ($foreign) = @{$api->get("/events?after=$cursor&site=Delhi")->json->{data}};
is($pune->get("/events/$foreign->{event_id}")->said, '404 not_found',
   'does not see those of others');
is(pins(Test::IClock::API->new($t, name => 'try', mode => 'test')
            ->get("/events?after=$cursor")), '',
   'a test key sees none of real terminals');
is(Test::IClock::API->new($t, name => 'no', scopes => [ 'logs:read' ])
       ->get('/events')->said, '403 scope', 'without the scope');


# cursors

is($api->get("/events?after=$_")->said, '400 bad_cursor', "no cursor: $_")
    for 'x', '1', '0' x 33, '7' . '0' x 15 . '_' . '0' x 17;
is($api->get('/events?types=attendance.lunch')->said, '400 bad_request',
   'a type that does not exist');
is($api->get('/events?after=7fffffffffffffff_0000000000000001')->said,
   '410 gone', 'one of another cluster');

# nginx would drop it at once
my $calm = $t->pg->hold(
    q{SELECT pg_advisory_xact_lock(hashtext('iclock.maintain'))});

$t->psql(<<'SQL');
CREATE TABLE iclock.event_2020_01_01 (LIKE iclock.event INCLUDING INDEXES);
ALTER TABLE iclock.event ATTACH PARTITION iclock.event_2020_01_01
    FOR VALUES FROM ('2020-01-01 00:00Z') TO ('2020-01-02 00:00Z');
INSERT INTO iclock.event (xid, created_at, type)
VALUES ('5', '2020-01-01 12:00Z', 18), ('6', '2020-01-01 12:00Z', 18);
SQL
my $old = $api->get('/events?after=0&limit=1')->json->{next_cursor};
is($api->get("/events?after=$old&limit=1")->status, 200, 'an old cursor');
$calm->release();
ok(wait_until(30, sub {
    $t->psql('SELECT iclock.maintain()');
    return $t->psql("SELECT to_regclass('iclock.event_2020_01_01')") eq '' }),
   'maintain() drops a day');
$r = $api->get("/events?after=$old");
is($r->said, '410 gone', 'its cursors are gone');
is($api->get('/events?after=' . $r->json->{oldest})->status, 200,
   'the oldest that is there');
is($api->get('/events?after=' . $r->json->{oldest} . '&limit=1')->body,
   $api->get('/events?after=0&limit=1')->body, 'begins with the oldest event');

$t->done();
