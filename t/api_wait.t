#!/usr/bin/perl

# Copyright (C) the ngx_http_iclock_module authors

# Answers of the HTTP interface that are held: events until there are some,
# commands until they have ended.

use strict;
use warnings;

use FindBin;
use Test::More;
use Time::HiRes qw/ sleep time /;

use lib "$FindBin::Bin/lib";
use Test::IClock;
use Test::IClock::API;

my $t = Test::IClock->new;

$t->psql('GRANT iclock_api TO iclock_nginx');

my $server = Test::IClock::API::server($t, http => 'iclock_api_rate off;',
    server => 'location /iclock { iclock; iclock_unknown_devices accept; }');

$t->start($server, level => 'debug');

my $api = Test::IClock::API->new($t);
my $device = $t->device('WAIT0001');

$device->handshake();
$device->poll();

sub event {
    return $t->psql("SELECT iclock.event_write('device.online', id)"
                    . " FROM iclock.device;"
                    . " SELECT pg_notify('iclock_event', '')");
}


# Sends a request, and returns the connection.  It is not read from for so long
# as an answer may be held: what comes after that is none.

sub ask {
    my ($method, $path, %header) = @_;

    my $c = $t->connect(timeout => 20);
    $c->write($api->format($method, $path, undef, %header));

    return $c;
}


# The same, and nginx holds the answer.

sub hold {
    my $n = held();
    my $c = ask(@_);

    wait_until(30, sub { held() > $n });

    return $c;
}


sub held { return scalar(() = $t->error_log() =~ /iclock api wait: \d+ ms/g) }


# a cursor behind all that there is

sub behind {
    $t->settled();

    return $api->get('/events');
}


sub answer { return Test::IClock::API::response($_[0]->read($_[1] || 'GET')) }


# events

my $r = behind();
my $cursor = $r->json->{next_cursor};

is($r->status, 200, 'where it begins');
ok($cursor, 'a cursor');

my @waiting = map { hold('GET', "/events?after=$cursor&wait=30") } 1 .. 8;

ok(!grep({ defined $_->fill(0) } @waiting), 'nothing new: no answer');
ok(wait_until(30, sub {
       $t->psql("SELECT count(*) FROM pg_stat_activity"
                . " WHERE application_name ~ '/api' AND state <> 'idle'") == 0
   }), 'and no connection is held');

event();

my @answer = map { answer($_) } @waiting;

is(scalar(grep { $_ && $_->status == 200 && @{$_->json->{data}} == 1 }
          @answer), 8, 'an event wakes them in every worker');

$cursor = $answer[0]->json->{next_cursor};

my $start = time;

$r = $api->get("/events?after=$cursor&wait=1");
cmp_ok(time - $start, '>', 0.9, 'the time is up');
is($r->status, 200, 'an answer all the same');
is_deeply($r->json->{data}, [], 'an empty one');
is($r->json->{next_cursor}, $cursor, 'with the same cursor');

$r = answer(ask('GET', "/events?after=0&wait=30"));
ok($r && @{$r->json->{data}}, 'old ones are there at once');
is($api->get('/events?wait=31')->said, '400 bad_request', 'more than 30 s');

# an event that an older transaction holds back, when that has ended

$cursor = behind()->json->{next_cursor};

my $held = hold('GET', "/events?after=$cursor&wait=30");
my $older = $t->pg->session();

$older->query('BEGIN; SELECT pg_current_xact_id()');
event();
sleep 0.6;
ok(!defined $held->fill(0), 'an event that is not settled wakes nobody');

$older->query('COMMIT');
is(scalar @{answer($held)->json->{data}}, 1, 'until it is');

# an event that comes while the first query of a request runs

my $late = 0;

$cursor = behind()->json->{next_cursor};

for my $i (1 .. 40) {
    $held = ask('GET', "/events?after=$cursor&wait=30&types=attendance.punch");
    sleep $i % 15 / 1000;
    $t->post('/iclock/cdata?SN=WAIT0001&table=ATTLOG&Stamp=9999',
             sprintf "7\t2026-11-20 08:00:%02d\t0\t1\n", $i);

    $r = answer($held);
    $late++ if !$r;
    $cursor = $r->json->{next_cursor} if $r;
}

is($late, 0, 'nor is one overlooked that comes meanwhile');

# clients that leave
my @gone = map { hold('GET', "/events?after=$cursor&wait=30") } 1 .. 4;

$_->abort() for splice @gone, 0, 2;
$_->close() for @gone;
event();

is($api->get('/health')->status, 200, 'clients that leave harm nobody');

# a reload: the worker that ends answers now
$cursor = behind()->json->{next_cursor};

my $c = hold('GET', "/events?after=$cursor&wait=30");

$t->reload();

$r = answer($c);
is($r && $r->status, 200, 'a reload ends the wait');


# commands

sub reboot { return ask('POST', '/devices/WAIT0001/reboot', @_) }

$c = hold('POST', '/devices/WAIT0001/reboot',
          Prefer => 'respond-async, wait=30');
ok(!defined $c->fill(0), 'Prefer: wait');

my @command;

wait_until(30, sub { @command = $device->poll()->commands() });
is(scalar @command, 1, 'the terminal gets it');
$device->ack($command[0][0], 0);

$r = answer($c, 'POST');
is($r && $r->status, 202, 'its answer is the answer');
is($r->header('Preference-Applied'), 'wait=30', 'Preference-Applied');
is($r->json->{commands}[0]{status}, 'done', 'the command is done');

$start = time;
$r = answer(reboot(Prefer => 'wait=1'), 'POST');
cmp_ok(time - $start, '>', 0.9, 'a terminal that is silent');
is($r->status, 202, 'also ends in an answer');
is($r->json->{commands}[0]{status}, 'queued', 'the command waits');

$r = answer(reboot(), 'POST');
is($r && $r->status, 202, 'without Prefer there is an answer at once');
is($r->header('Preference-Applied'), undef, 'which says so');

like($t->error_log(), qr/iclock api wait: \d+ ms/, 'the debug log says so');

$t->done();
