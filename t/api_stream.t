#!/usr/bin/perl

# Copyright (C) the ngx_http_iclock_module authors

# The live stream: who gets it, what it shows, and that nothing is missing
# whatever ends it.

use strict;
use warnings;

use FindBin;
use JSON::PP qw/ decode_json /;
use Test::More;
use Time::HiRes qw/ sleep /;

use lib "$FindBin::Bin/lib";
use Test::IClock;
use Test::IClock::Metrics;
use Test::IClock::Postgres;
use Test::IClock::Process qw/ slurp /;
use Test::IClock::Stream;

use constant CLIENTS => 7;

my $t = Test::IClock->new;
my $m = Test::IClock::Metrics->new($t);
my $uri = '/v1/events';
my $access = $t->dir() . '/access.log';

$t->psql('GRANT iclock_api TO ' . Test::IClock::Postgres::LOGIN());

my $http = $t->device_server(
    http => 'iclock_api_pool timeout=55s;'
            . ' iclock_stream clients=' . CLIENTS . ' heartbeat=1s;'
            . ' log_format uri "$request $request_uri $args $arg_token";',
    server => "access_log $access uri;" . $m->locations());

$http =~ s/\}\s*\z//;
$http =~ s/listen 127.0.0.1:%%PORT%%;/listen 127.0.0.1:%%PORT%% sndbuf=32k;/;
$http .= '    location /v1 { iclock_api; iclock_api_rate off; } }';

# the first key has events written: nobody else may have the table of punches
my $key = make_key();

$t->start($http);


# keys and devices

sub make_key {
    my ($more) = @_;

    return $t->psql("SELECT iclock.create_api_key('test',"
                    . " array['events:read']" . ($more ? ", $more" : '')
                    . ')');
}


sub id { (split /_/, $_[0])[2] }


# nginx may not have seen yet that others are gone: it is asked again then

sub clients {
    my ($n) = @_;

    return wait_until(30, sub { $m->value('stream_clients') == $n });
}


sub stream {
    my ($key, %option) = @_;

    my $args = delete $option{args};
    my $last = delete $option{last};
    my $once = delete $option{once};
    my $header = delete $option{header} || [];
    my $s;

    for (1 .. 600) {
        $s = Test::IClock::Stream->new(
            port => $t->port(), uri => $uri . ($args ? "?$args" : ''),
            header => [ $key ? (Authorization => "Bearer $key") : (),
                        $last ? ('Last-Event-ID' => $last) : (),
                        @$header ], %option);

        last if $once || $s->status() != 429 && $s->status() != 503;

        $s->close();
        sleep 0.05;
    }

    return $s;
}


my $second = 0;

# a punch each second of one day, so that each is another one

sub punch {
    my ($device, $pin, $n) = @_;

    my @line;

    for (1 .. $n || 1) {
        my $s = $second++;
        push @line, sprintf "%s\t2026-03-%02d %02d:%02d:%02d\t0\t1",
                            $pin, 2 + $s / 86400, $s / 3600 % 24,
                            $s / 60 % 60, $s % 60;
    }

    # a worker that leaves may have taken the connection, and not the request
    wait_until(60, sub { ($device->punches(@line)->status || 0) == 200 });
}


sub pin { decode_json($_[0]{data})->{user}{id} }


# The PIN of the next event.  One that comes again may see the last one before
# once more, if a transaction of others was open then.

sub after {
    my ($s, $before) = @_;

    my $e;

    do { $e = $s->next(30) } while $e && pin($e) eq $before;

    return $e ? pin($e) : 'nothing';
}

my $device = $t->device('STREAM0001');
my $southern = $t->device('STREAM0002');

$_->handshake() for $device, $southern;
$t->psql(q{UPDATE iclock.device SET site = CASE serial_number
           WHEN 'STREAM0001' THEN 'North' ELSE 'South' END});


# what it looks like

my $s = stream($key);

is($s->status(), 200, 'the stream is open');
like($s->head(), qr!^Content-Type: text/event-stream\r$!m, 'its type');
like($s->head(), qr!^Cache-Control: no-store\r$!m, 'nobody keeps it');
like($s->head(), qr!^X-Accel-Buffering: no\r$!m, 'nor holds it back');

punch($device, 'FIRST');

my $e = $s->next(30);

is($s->retry(), 3000, 'when to connect again');
is($e->{event}, 'attendance.punch', 'an event by its name');
like($e->{id}, qr/^[0-9a-f]{16}_[0-9a-f]{16}\z/, 'with a cursor');
is(decode_json($e->{data})->{type}, 'attendance.punch', 'its payload');
is(pin($e), 'FIRST', 'the punch');
unlike($e->{data}, qr/[:,] /, 'without blanks');


# clients of HTTP/1.0, and those that want to know only what there is

my $old = stream($key, header => [ -version => '1.0' ]);

is($old->status(), 200, 'HTTP/1.0');
unlike($old->head(), qr/^Transfer-Encoding/mi, 'without chunks');
like($old->head(), qr/^Connection: close\r$/mi, 'until it is closed');
punch($device, 'OLD');
is(pin($old->next(30)), 'OLD', 'shows the same');
is(pin($s->next(30)), 'OLD', 'as others');
$old->close();

my $head = $t->request("HEAD $uri HTTP/1.1\r\nHost: localhost\r\n"
                       . "Accept: text/event-stream\r\n"
                       . "X-API-Key: $key\r\nConnection: close\r\n\r\n");

is($head->status(), 200, 'HEAD ends at once');


# how soon is measured by t/bench/stream

for (1 .. 3) {
    punch($device, "SOON$_");
    is(pin($s->next(30)), "SOON$_", 'the next one');
}

wait_until(30, sub { $s->next(0.1); $s->comments() });
is(($s->comments())[0], 'ping', 'a sign of life while nothing happens');


# an open transaction hides what is younger from lists, not from a stream

$t->settled();

my $hold = $t->pg()->hold('SELECT pg_current_xact_id()');
my $settled = $t->psql('SELECT iclock.event_cursor()');

punch($device, 'AHEAD');
$e = $s->next(30);
is(pin($e), 'AHEAD', 'a stream looks ahead');
is($e->{id}, $settled, 'and its cursor stays where all is settled');

my $again = stream($key, last => $e->{id});

is(pin($again->next(30)), 'AHEAD', 'which may show an event once more');
$again->close();

$hold->release();
$t->settled();
punch($device, 'BEHIND');
$e = $s->next(30);
is(pin($e), 'BEHIND', 'and then the next one, none twice');
cmp_ok($e->{id}, 'gt', $settled, 'with a cursor of its own');


# what a stream shows

my $devices = stream($key, args => 'types=device.blocked,device.approved');
my $south = stream($key, args => 'site=South');
my $limited = stream(make_key("sites => array['South']"));
my $test = stream(make_key("mode => 'test'"));

is(join(' ', map { $_->status() } $devices, $south, $limited, $test),
   '200 200 200 200', 'filters');

sleep 0.3;
punch($device, 'NORTH');
$t->psql(q{SELECT iclock.block_device('STREAM0001')});
$t->psql(q{SELECT iclock.approve_device('STREAM0001')});

is(pin($s->next(30)), 'NORTH', 'everything');
is($devices->next(30)->{event}, 'device.blocked', 'types');
is($_->[0]->next(0.3), undef, $_->[1])
    for [ $south, 'another site' ], [ $limited, 'a key of another site' ],
        [ $test, 'a test key' ];

punch($southern, 'SOUTH');
is(pin($south->next(30)), 'SOUTH', 'the site');
is(pin($limited->next(30)), 'SOUTH', 'and the key');

# not before they have read: what they show goes by where devices are
$t->psql(q{UPDATE iclock.device SET site = 'South'});

$_->close() for $devices, $south, $limited, $test;


# what is called for is one name, whatever lines it has

for my $case (
    [ 'site', make_key("mode => 'test'"),
      "x\nmode live\nsite South\nsites {South}\ny" ],
    [ 'device_id', make_key("sites => array['North']"),
      "x\nsite South\nsites {South}\ndevices {STREAM0001}\n"
      . "device STREAM0001\ny" ],
    [ 'site', make_key("devices => array['OTHER']"),
      "x\nsite South\nsites {South}\ndevice STREAM0001\ny" ])
{
    my ($name, $limits, $value) = @$case;

    $value =~ s/([^\w])/sprintf '%%%02X', ord $1/ge;

    my $sly = stream($limits, args => "$name=$value");

    is($sly->status(), 200, "lines in $name");
    sleep 0.2;
    punch($device, 'HIDDEN');
    is($sly->next(0.5), undef, 'show nothing more');
    $sly->close();
}

1 while $s->next(0.3);

my $bad = stream($key, args => 'types=nothing');
is($bad->status(), 400, 'a type that there is not') or diag($bad->body());
is(stream($key, args => 'after=x')->status(), 400, 'no cursor');
is(stream($key, args => 'since=x')->status(), 400, 'no parameter');
is(stream($t->psql(q{SELECT iclock.create_api_key('x',
                     array['logs:read'])}))->status(), 403, 'no right');


# tokens, for browsers that cannot send a key

my $r = $t->post('/v1/stream-tokens', '{}',
                 Authorization => "Bearer $key",
                 'Content-Type' => 'application/json');

is($r->status(), 201, 'a token');

my $token = decode_json($r->body())->{token};
my $browser = stream(undef, args => "token=$token");

is($browser->status(), 200, 'opens a stream');

punch($device, 'BROWSER');
is(pin($browser->next(30)), 'BROWSER', 'that shows events');
$browser->close();

is(stream(undef, args => "token=$token")->status(), 401, 'once');
is(stream(undef, args => 'token=ist_wrong')->status(), 401, 'a wrong one');
is($t->get("/v1/events?token=$token")->status(), 401, 'not the list');


# No event is missing after cuts, nor while nginx is reloaded: a stream ends
# with a good bye then, which is none.

sub catch_up {
    my ($cuts, $each) = @_;

    my ($from, %seen) = $second;
    my $see = sub {
        my $id = decode_json($_[0]{data})->{event_id};
        $seen{$id}++ if defined $id;
    };

    $t->settled();

    my $last = $t->psql('SELECT iclock.event_cursor()');
    my $cut = stream($key, last => $last);
    my $pid = fork;

    if ($pid == 0) {
        my $many = $t->device('STREAM0001');

        for (1 .. $cuts) {
            punch($many, 'CUT', $each);
            sleep 0.01;
        }

        POSIX::_exit(0);
    }

    for my $i (1 .. $cuts) {
        my $n = int rand 6;

        $t->reload() if $i % 25 == 0 && $i < $cuts;

        while ($n-- && (my $e = $cut->next(1))) {
            $see->($e);
        }

        $last = $cut->last_id() || $last;
        rand() < 0.5 ? $cut->abort() : $cut->close();
        $cut = stream($key, last => $last);
    }

    waitpid $pid, 0;
    $second = $from + $cuts * $each;

    # a stream that has ended is one more cut
    wait_until(120, sub {
        while (my $e = $cut->next(keys %seen < $cuts * $each ? 30 : 0.2)) {
            $see->($e);
        }

        return 1 if keys %seen >= $cuts * $each || !$cut->eof();

        $last = $cut->last_id() || $last;
        $cut = stream($key, last => $last);

        return 0;
    });

    $cut->close();

    return scalar keys %seen;
}


1 while $s->next(0.3);
is(catch_up(100, 3), 300,
   'a stream that is cut 100 times, and thrice by a reload, misses nothing');


# as many as there may be

$s->close();
ok(clients(0), 'all are gone');

my @many = map { stream($key, once => $_ == 6) } 1 .. 6;

is(join(' ', map { $_->status() } @many), '200 200 200 200 200 429',
   'a key has five streams');
$_->close() for @many;
clients(0);

my @crowd;

for (1 .. 2 * CLIENTS + 1) {
    push @crowd, stream(make_key(), once => 1);
    last if $crowd[-1]->status() != 200;
}

is($crowd[-1]->status(), 503, 'a worker has so many');
cmp_ok(scalar @crowd, '>', CLIENTS, 'as was said');
$_->close() for @crowd;


# a key that ends, and one whose sites change

my $doomed = make_key();

$s = stream($doomed);
$t->psql("SELECT iclock.revoke_api_key('" . id($doomed) . "')");
ok($s->ended(30), 'a revoked key ends its streams');
is($s->next(30)->{event}, 'bye', 'which are told so');
is(stream($doomed)->status(), 401, 'and opens none');


# a client that does not read

$s = stream($key);

my ($slow, $got, $sent) = (undef, 0, 0);

# one that has yet to catch up has as much time as it takes: the next one then
my $left = wait_until(90, sub {
    $slow->close() if $slow;
    $slow = stream($key, rcvbuf => 4096);

    for (1 .. 16) {
        punch($device, 'BULK', 250);
        $sent += 250;
        $got++ while $got < $sent && $s->next(30);
    }

    return $t->wait_log(qr/stream is closed, the client reads too slowly/, 3);
});

is($got, $sent, 'who reads gets everything');
ok($left, 'who does not is left behind');
$slow->close();


# a reload

$t->settled();
punch($device, 'BEFORE');
is(pin($s->next(30)), 'BEFORE', 'before a reload');

my $last = $s->last_id();

$t->reload($http =~ s/clients=/buffer=64k clients=/r);

my $bye;

while (my $e = $s->next(30)) {
    $bye = $e->{event} if $e->{event} eq 'bye';
}

is($bye, 'bye', 'the old worker says good bye');
is($s->retry(), 500, 'the client is to come again soon');
ok($s->eof(), 'and it ends');

punch($device, 'BETWEEN');
$s = stream($key, last => $last);
is(after($s, 'BEFORE'), 'BETWEEN', 'the new one goes on where it ended');


# a ring that is too small for what comes at once

punch($device, 'MANY', 50) for 1 .. 30;

punch($device, 'END');

my %many;

while (my $e = $s->next(30)) {
    last if pin($e) eq 'END';
    $many{decode_json($e->{data})->{event_id}}++;
}

is(scalar keys %many, 1500,
   'a stream that the ring has left behind reads the feed');


# worker 0, which fills the ring, is killed

$t->allow(qr/exited on signal 9/);
$s->close();

my @stream = map { stream($key) } 1 .. 5;
my ($killed) = sort { $a <=> $b } $t->workers();

$t->settled();
punch($device, 'ALIVE');
is(join(' ', map { pin($_->next(30)) } @stream), join(' ', ('ALIVE') x 5),
   'all streams');

$t->kill_worker($killed);

# those of worker 0 have ended

for (0 .. $#stream) {
    $stream[$_] = stream($key, last => $stream[$_]->last_id())
        if $stream[$_]->ended(0.2);
}

punch($device, 'RESTORED');
is(join(' ', map { after($_, 'ALIVE') } @stream), join(' ', ('RESTORED') x 5),
   'its successor goes on, for all');

$s = pop @stream;
$_->close() for @stream;


# events that are dropped before nginx could read them: settled ones, that is
# while no older transaction runs

ok(wait_until(60, sub { eval { $t->psql(q{DO $$ BEGIN
INSERT INTO iclock.punch (device_id, local_time, pin, status, verify,
                          punched_at)
SELECT id, '2026-05-01 08:00', 'LOST', 0, 1, '2026-05-01 08:00+00'
  FROM iclock.device;
UPDATE iclock.event_state SET (dropped_xid, dropped_seq) =
    (SELECT xid, seq FROM iclock.event ORDER BY xid DESC, seq DESC LIMIT 1);
IF pg_snapshot_xmin(pg_current_snapshot()) <> pg_current_xact_id() THEN
    RAISE 'an older transaction';
END IF;
PERFORM pg_notify('iclock_event', '');
END $$}); 1 } }), 'events are dropped');

is($s->next(30)->{event}, 'reset', 'a stream says that something is missing');
punch($device, 'AGAIN');
is(pin($s->next(30)), 'AGAIN', 'and goes on');


# what is not kept any more

$t->settled();
$t->psql('UPDATE iclock.event_state SET (dropped_xid, dropped_seq) ='
         . ' (SELECT xid, seq FROM iclock.event'
         . ' ORDER BY xid DESC, seq DESC LIMIT 1)');

my $late = stream($key, last => $e->{id});

$e = $late->next(30);
is($e->{event}, 'reset', 'a place that is not kept any more');
like(decode_json($e->{data})->{oldest}, qr/^[0-9a-f]{16}_[0-9a-f]{16}\z/,
     'and which one is');

punch($device, 'LIVE');
is(after($late, 'AGAIN'), 'LIVE', 'it goes on live');
$_->close() for $late, $s;


# More than is read ahead, and an older transaction is open: a stream that
# begins before that waits, and what comes then does not pass over it.

$t->psql('ALTER ROLE ' . Test::IClock::Postgres::LOGIN()
         . " SET track_functions = 'pl'");
$t->reload($http, level => 'debug');
$t->settled();

$hold = $t->pg()->hold('SELECT pg_current_xact_id()');
$settled = $t->psql('SELECT iclock.event_cursor()');

$t->psql('INSERT INTO iclock.event (type, data)'
         . q{ SELECT 10, json_build_object('id', n::text, 'name', null)}
         . ' FROM generate_series(1, 65600) AS n');

$s = stream($key, args => 'types=user.updated', last => $settled);

ok($t->wait_log(qr/stream: read, rc: 0, rows: 65536,/, 120),
   'a stream looks as far ahead as it may');
$t->psql(q{SELECT iclock.event_write('user.updated', null,
                                     '{"id":"newest","name":null}')});
is($s->next(5), undef, 'and shows nothing yet');

$hold->release();
$e = $s->next(60);
is($e ? pin($e) : 'nothing', 1, 'then all, from the first one on');
$s->close();

# of the feed it is asked once for each page, not for each event of it

sub asked {
    return $t->psql('SELECT coalesce(sum(calls), 0) FROM'
                    . " pg_stat_user_functions WHERE funcname = 'event_gone'");
}

ok(wait_until(60, sub { asked() > 0 }), 'what is not kept is asked for');
cmp_ok(asked(), '<', 10000, 'page by page');


# without notifications

$t->allow(qr/no connection to PostgreSQL for notifications/);
$t->reload('iclock_listen_database "host=127.0.0.1 port=1 dbname=x user=x";'
           . $http);

$s = stream($key);
punch($device, 'DEAF');
is(pin($s->next(30)), 'DEAF', 'nginx looks itself while nothing is notified');
$s->close();

my $log = slurp($access);

like($log, qr/token=\*+/, 'the access log has no token');
unlike($log, qr/\Q$token/, 'in no form');
unlike($t->error_log(), qr/\Q$token/, 'nor has the error log');

$t->done();
