#!/usr/bin/perl

# Copyright (C) the ngx_http_iclock_module authors

# How everything is doing, by way of the HTTP interface: the key, the summary
# that a worker keeps for a moment, terminals and what is wrong with them.
# t/sql/api_status.sql has what the database answers.

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
    http => 'iclock_presence_interval 1s; iclock_api_rate rate=50000r/m;',
    server => 'location /iclock { iclock; iclock_delay 1h; }'));

my $api = Test::IClock::API->new($t);


# the key

my $r = $api->get('/key');

is($r->status, 200, 'a key asks what it is');
is($r->json->{id}, $api->id, 'its id');
is($r->json->{rate}{limit}, 50000, 'its rate');
is($r->json->{server}{schema}, $r->json->{server}{schema_required},
   'the schema is the one that nginx needs');
like($r->json->{server}{nginx}, qr/^\d+\.\d+/, 'the version of nginx');
like($r->json->{server}{version}, qr/^\d+\.\d+\.\d+\z/, 'and of the module');
ok($r->header('Date'), 'the time of the server');
is(Test::IClock::API->new($t, scopes => [ 'logs:read' ])->get('/key')->status,
   200, 'with any scope');
is(Test::IClock::API->new($t, key => undef)->get('/key')->said, '401 no_key',
   'not without a key');


# the summary

$r = $api->get('/summary');
is($r->json->{devices}{total}, 0, 'no terminal');
is(scalar @{$r->json->{punches}{per_5min}}, 288, 'a day');

# one worker, asked on one connection; what it keeps may be old already

my $c = $t->connect();
my $n = 0;

sub total {
    return Test::IClock::API::response($c->request(
               $api->format('GET', '/summary', undef, -keepalive => 1)))
           ->json->{devices}{total};
}

ok(Test::IClock::wait_until(30, sub {
    my $total = total();

    $n++;
    $t->psql("INSERT INTO iclock.device (serial_number, status, site)"
             . " VALUES ('GATE000$n', 'active', 'Pune')");
    return $total < $n && total() == $total;
}), 'a worker keeps what it has said');
is($api->get('/summary?x=1')->said, '400 bad_request', 'of that alone');
is(Test::IClock::API->new($t, sites => [ 'Pune' ])
       ->get('/summary')->json->{devices}{total}, $n, 'another key asks anew');
ok(Test::IClock::wait_until(30, sub {
    total() == $n
}), 'not for long');
$c->close();
$t->psql("DELETE FROM iclock.device WHERE serial_number <> 'GATE0001'");
is(Test::IClock::API->new($t, scopes => [ 'logs:read' ])
       ->get('/summary')->said, '403 scope', 'not for everybody');


# a terminal comes, which calls once an hour

my $never = $api->get('/devices?condition=never')->json->{data};

is($never->[0]{id}, 'GATE0001', 'it has never called');

my $gate = $t->device('GATE0001');

like($gate->handshake()->body, qr/^Delay=3600\r?$/m, 'it does');
is($t->psql("SELECT told_delay FROM iclock.device"), 3600,
   'what it was told is known');
ok(Test::IClock::wait_until(30, sub {
    !@{$api->get('/devices/GATE0001')->json->{conditions}}
}), 'now nothing is wrong');

# what nginx has not counted yet is looked for in the last five weeks
my $day = $t->psql("SELECT to_char(now() AT TIME ZONE 'UTC'"
                   . " - interval '5 days', 'YYYY-MM-DD')");

$gate->punches([ 7, "$day 08:00:00", 0, 1 ]);

sub seen {
    my ($ago) = @_;

    return $t->psql(join ' ', map {
        "UPDATE iclock.$_ SET last_seen = now() - interval '$ago';"
    } qw/ device_presence device /);
}

$r = $api->get('/devices?fields=compact')->json->{data};
is($r->[0]{status}, 'online', 'it is online');
is($r->[0]{last_punch_at}, "${day}T08:00:00Z", 'with its punch');

seen('2 hours');
is($api->get('/devices?status=online')->json->{data}[0]{id}, 'GATE0001',
   'two hours later, too');

# what nginx has seen it writes a second later
ok(Test::IClock::wait_until(30, sub {
    seen('4 hours');
    return @{$api->get('/devices?condition=silent')->json->{data}};
}), 'then it is silent');


# it is refused: for its key, for its network, and not any more

sub wrong {
    my ($sn) = @_;

    return join ' ', map { $_->{name} }
                     @{$api->get("/devices/$sn")->json->{conditions}};
}

ok(Test::IClock::wait_until(30, sub {
    $gate->poll()->status == 200 && wrong('GATE0001') eq ''
}), 'it calls');

$t->psql("UPDATE iclock.device SET comm_key = 'secret'");
ok(Test::IClock::wait_until(30, sub {
    $gate->handshake('pushcommkey=wrong')->status == 403
}), 'it has another key');
ok(Test::IClock::wait_until(30, sub { wrong('GATE0001') eq 'key' }),
   'which is told') or diag(wrong('GATE0001'));
is($t->psql('SELECT host(address) FROM iclock.device_refusal'), '127.0.0.1',
   'and from where it called');

my $first = $t->psql('SELECT first_at FROM iclock.device_refusal');

ok(Test::IClock::wait_until(30, sub {
    $gate->handshake('pushcommkey=wrong');
    $t->psql('SELECT last_at > first_at FROM iclock.device_refusal') eq 't'
}), 'again');
is($t->psql('SELECT first_at FROM iclock.device_refusal'), $first,
   'since when is known');

$t->psql("UPDATE iclock.device SET comm_key = NULL,"
         . " allowed_networks = '{192.0.2.0/24}'");
ok(Test::IClock::wait_until(30, sub {
    $gate->handshake()->status == 403 && wrong('GATE0001') eq 'network'
}), 'its network is another one');

$t->psql('UPDATE iclock.device SET allowed_networks = NULL');
ok(Test::IClock::wait_until(30, sub {
    $gate->handshake()->status == 200 && wrong('GATE0001') eq ''
}), 'it is served again');

my $stranger = $t->device('NEVER0001');

$t->psql("INSERT INTO iclock.device (serial_number, status, comm_key)"
         . " VALUES ('NEVER0001', 'active', 'secret')");
$stranger->handshake('pushcommkey=wrong');
ok(Test::IClock::wait_until(30, sub { wrong('NEVER0001') eq 'key never' }),
   'one that was never served') or diag(wrong('NEVER0001'));
is($t->psql('SELECT count(*) FROM iclock.device_presence'), 1,
   'has not been seen');

# a summary that had parameters, as one of a later schema may: nobody else
# gets it

$t->psql('CREATE OR REPLACE FUNCTION iclock_api.summary_get(request jsonb)'
         . ' RETURNS iclock_api.reply LANGUAGE sql AS $$ SELECT'
         . " iclock_api.reply(200, (request -> 'query')::json) \$\$");
$t->own_operations('summary_get');
$api = Test::IClock::API->new($t);
is($api->get('/summary?x=1')->json->{x}, 1, 'a summary by parameters');
is($api->get('/summary')->body, '{}', 'is not kept');

$t->done();
