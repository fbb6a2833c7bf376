#!/usr/bin/perl

# Copyright (C) the ngx_http_iclock_module authors

# Terminals by way of the HTTP interface, while they call: registered, changed,
# made to start, removed.  t/sql/api_devices.sql has what the database answers.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Test::IClock;
use Test::IClock::API;

my $t = Test::IClock->new;

$t->psql('GRANT iclock_api TO iclock_nginx');
$t->start(Test::IClock::API::server($t,
    http => 'iclock_api_rate off; iclock_presence_interval 1s;',
    server => 'location /iclock { iclock; iclock_unknown_devices hold; }'));

my $api = Test::IClock::API->new($t);


# the requests of an article about interfaces like this one, as they stand

my $sn = 'AKJD193840129';
my $r = $api->post('/devices', '{"serial_number": "AKJD193840129",'
    . '"name": "Main Office Entrance","location": "Building A, Floor 1"}');

is($r->status, 201, 'a terminal is registered');
like($r->header('Location'), qr!^http://.*/v1/devices/\Q$sn\E\z!,
     'and has an address');
is($r->json->{name}, 'Main Office Entrance', 'its name');
is($r->json->{status}, 'offline', 'it has not called yet');
unlike($r->body, qr/" :|: "|, "/, 'without blanks');

$r = $api->get("/devices/$sn");
is($r->status, 200, 'its status is asked for');
is($r->json->{$_}, $api->get("/devices/$sn")->json->{$_}, $_)
    for qw/ status users logs storage /;

my $terminal = $t->terminal($sn);

is($terminal->handshake()->status, 200, 'the terminal is served');
ok(Test::IClock::wait_until(30, sub {
    $api->get("/devices/$sn")->json->{status} eq 'online';
}), 'and is online');
$terminal->online();
$terminal->work_off();

is($api->delete("/devices/$sn")->status, 204, 'it is removed');
is($api->get("/devices/$sn")->said, '404 not_found', 'it is gone');


# one that waits to be admitted

my $gate = $t->device('GATE0001');

isnt($gate->handshake()->body, '', 'an unknown terminal calls');
is($api->get('/devices/GATE0001')->json->{status}, 'pending', 'it waits');

$r = $api->post('/devices', { serial_number => 'GATE0001', name => 'Gate' });
is($r->status, 200, 'it is approved');
ok(Test::IClock::wait_until(30, sub {
    $gate->handshake()->body =~ /^GET OPTION FROM: GATE0001/;
}), 'and served');
is($api->post('/devices', { serial_number => 'GATE0001' })->said,
   '409 exists', 'once');

is($api->patch('/devices/GATE0001', { location => 'Yard' })->json->{location},
   'Yard', 'it is changed');
is($api->put('/devices/GATE0001', { nmae => 'x' })->said,
   '400 unknown_field', 'not by a slip of the pen');
is($api->get('/devices?limits=5')->said, '400 bad_request', 'nor a list');


# commands, and an answer that waits for them

$r = $api->post('/devices/GATE0001/reboot');
is($r->status, 202, 'it is to start anew');

my $id = $r->json->{commands}[0]{id};

is($api->get("/commands/$id")->json->{status}, 'queued', 'the command waits');
is($api->delete("/commands/$id")->json->{status}, 'cancelled', 'no more');
is($api->delete("/commands/$id")->said, '409 conflict', 'once');

my $watch = $t->connect(timeout => 25);

$watch->write($api->format('POST', '/devices/GATE0001/reboot', undef,
                           Prefer => 'wait=30'));

# the answer would come by itself after 30 s
ok(Test::IClock::wait_until(30, sub {
    my ($command) = $gate->poll()->body =~ /^C:(\d+):REBOOT/ or return;
    $gate->ack($command, 0, 'REBOOT');
    return 1;
}), 'the terminal starts anew');

$r = Test::IClock::API::response($watch->read('POST'));
is($r && $r->status, 202, 'the answer comes');
is($r->json->{commands}[0]{status}, 'done', 'with what became of it');
is($r->header('Preference-Applied'), 'wait=30', 'as was asked for');


# a request that comes twice

my @twice = map { $api->post('/devices', { serial_number => 'TWICE1' },
                             'Idempotency-Key' => '"7f3a"') } 1 .. 2;

is(join(' ', map { $_->status } @twice), '201 201', 'a request twice');
is($twice[1]->body, $twice[0]->body, 'has the same answer');
is($twice[1]->header('Idempotency-Replayed'), 'true', 'which says so');
is($api->post('/devices', { serial_number => 'TWICE2' },
              'Idempotency-Key' => '"7f3a"')->said, '422 reused_key',
   'another one may not have its name');

my @ten = $t->concurrently([
    ($api->format('POST', '/devices', { serial_number => 'TEN1' },
                  'Idempotency-Key' => 'ten')) x 10 ]);
my %seen;

$seen{join ' ', Test::IClock::API::response($_)->said,
      $_->header('Idempotency-Replayed') || ()}++ for @ten;

is(delete $seen{201}, 1, 'of ten at the same time one is done');
is(join(' ', grep { !/^(?:201 true|409 busy_key)\z/ } sort keys %seen), '',
   'the others get its answer, or are told that it is under way');


# what has punches stays, out of sight

$gate->punches([ 7, '2026-11-02 08:00:00', 0, 1 ]);
is($api->delete('/devices/GATE0001')->status, 204, 'it is removed');
is($api->get('/devices/GATE0001')->said, '404 not_found', 'and not seen');
ok(Test::IClock::wait_until(30, sub { $gate->handshake()->status == 403 }),
   'the terminal is refused');
is($t->psql("SELECT count(*) FROM iclock.punch WHERE pin = '7'"), 1,
   'its punches are there');

is($api->post('/devices', { serial_number => 'GATE0001' })->status, 201,
   'it is registered again');
ok(Test::IClock::wait_until(30, sub { $gate->handshake()->status == 200 }),
   'and served');


# pages by their links

$api->post('/devices', { serial_number => "PAGE$_", site => 'Pune' })
    for 1 .. 5;

my ($path, @seen) = '/devices?site=Pune&limit=2';

while (defined $path && @seen < 9) {
    $r = $api->get($path);
    push @seen, map { $_->{id} } @{$r->json->{data}};
    ($path) = ($r->header('Link') || '') =~ m!^<http://[^/]+/v1(\S+)>!;
}

is("@seen", 'PAGE1 PAGE2 PAGE3 PAGE4 PAGE5', 'pages by their links');


# keys that see less

my $pune = Test::IClock::API->new($t, sites => [ 'Pune' ]);
my $test = Test::IClock::API->new($t, mode => 'test');

is($pune->get('/devices/GATE0001')->said, '404 not_found',
   'a key of a site does not see the others');
is(scalar @{$pune->get('/devices')->json->{data}}, 5, 'but its own');
is($test->get('/devices/PAGE1')->said, '404 not_found',
   'a test key sees no live terminal');
is($test->post('/devices', { serial_number => 'TRY1' })->status, 201,
   'it makes its own');
is($api->get('/devices/TRY1')->said, '404 not_found',
   'which live keys do not see');
is(Test::IClock::API->new($t, scopes => [ 'logs:read' ])
       ->get('/devices')->said, '403 scope', 'a key of another scope');

$t->done();
