#!/usr/bin/perl

# Copyright (C) the ngx_http_iclock_module authors

# The HTTP interface: which requests reach an operation, what the others are
# told, and what an operation's answer looks like.  Operations that a test
# needs are functions of its database.

use strict;
use warnings;

use FindBin;
use IO::Select;
use Test::More;
use Time::HiRes qw/ sleep /;

use lib "$FindBin::Bin/lib";
use Test::IClock;
use Test::IClock::API;

my $t = Test::IClock->new(settings => [
    [ shared_preload_libraries => 'pg_stat_statements' ],
]);

$t->psql('CREATE EXTENSION pg_stat_statements');
$t->psql('GRANT iclock_api TO iclock_nginx');

# operations answer with what they were asked
$t->psql(<<'EOFQ');
    CREATE OR REPLACE FUNCTION iclock_api.devices_list(request jsonb)
        RETURNS iclock_api.reply LANGUAGE sql AS $$
        SELECT row(200, null, (request - 'key')::text,
                   '{"rows": 3, "next": "abc_-"}')::iclock_api.reply
    $$;
    CREATE OR REPLACE FUNCTION iclock_api.devices_create(request jsonb)
        RETURNS iclock_api.reply LANGUAGE sql AS $$
        SELECT row(201, jsonb_build_object('Location', '/x', 'X-Bad',
                       E'a\r\nSet-Cookie: b', 'Content-Length', '3'),
                   '{ "a b" : [ 1, "x \" y", { } ] , "n": null }',
                   null)::iclock_api.reply
    $$;
    CREATE OR REPLACE FUNCTION iclock_api.users_get(request jsonb)
        RETURNS iclock_api.reply LANGUAGE plpgsql AS $$
    BEGIN
        PERFORM iclock_api.fail(422, 'invalid', 'it is "wrong"',
            '[{"pointer": "#/a", "detail": "b"}]');
    END $$;
    CREATE OR REPLACE FUNCTION iclock_api.users_list(request jsonb)
        RETURNS iclock_api.reply LANGUAGE plpgsql AS $$
    BEGIN
        RAISE division_by_zero;
    END $$;
EOFQ
$t->own_operations(qw/ devices_list devices_create /);

my $server = Test::IClock::API::server($t,
    http => 'log_format api "$request_method $iclock_api_key'
            . ' $iclock_api_operation $iclock_api_code $iclock_api_rows";'
            . "\n    iclock_api_rate rate=100000r/m;"
            . ' limit_req_zone $server_name zone=limit:1m rate=1r/m;',
    server => "access_log %%PREFIX%%/access.log api;\n"
              . 'client_max_body_size 1m;'
              . ' location /cors { iclock_api;'
              . ' iclock_api_cors https://a.example https://b.example:8443; }'
              . ' location /base { iclock_api;'
              . ' iclock_api_base https://api.example/v2; }'
              . ' location /limited { iclock_api; limit_req zone=limit;'
              . ' limit_req_status 429; }'
              . ' location /r { rewrite ^/r(/.*)$ /v1$1 last; }');

$t->start($server, level => 'debug');

my $api = Test::IClock::API->new($t);
my $nobody = Test::IClock::API->new($t, key => undef);


# routes

is($api->get("/$_")->said, '404 no_route', "/$_")
    for 'nowhere', 'devices/', '/devices', 'devices//users', 'devices/A/b',
        'devices.aspx', 'devices/A.aspx', 'devices/%2e%2e', 'devices/..%2f',
        'devices/%2e%2e/devices', 'users/../devices', './devices',
        'devices/a%2fb', 'devices/a%5cb', 'devices/a%0ab',
        'devices/%ff', 'Devices', 'devices/A/users/b/c/d/e';

is(Test::IClock::API->new($t, prefix => '', key => $api->key)
       ->get('/v%31/devices')->said, '404 no_route', 'the prefix is itself');

is($api->get('')->status, 200, 'the prefix alone');
is($api->get('/')->status, 200, 'and with a slash');
is($nobody->get('/')->json->{service}, 'iclock', 'needs no key');

# connections are made when nginx has started
my $health;

wait_until(30, sub {
    $health = $nobody->get('/health')->json;
    return $health->{database} && $health->{listening};
});
is_deeply($health,
          { database => JSON::PP::true(), listening => JSON::PP::true(),
            webhooks => JSON::PP::false() }, 'health needs none, either');
is($nobody->get('/health?from=a')->status, 200, 'and looks at no parameter');

my $r = $api->delete('/devices');

is($r->said, '405 method', 'another method');
is($r->header('Allow'), 'GET, HEAD, POST', 'and those that there are');
is($api->request('OPTIONS', '/devices')->said, '405 method', 'OPTIONS');
is($api->request('TRACE', '/devices')->status, 405, 'TRACE');

my $asked = $api->get('/devices?q=a%20b+c%2B%26&x=&y&status=%C3%A4')->json;

is_deeply($asked->{query},
          { q => 'a b c+&', x => '', y => '', status => "\x{e4}" },
          'parameters are decoded once');
is($asked->{route}, '/devices', 'the route');
is($asked->{scope}, 'devices:read', 'its scope');
is($asked->{base}, 'http://localhost/v1', 'the base');
is($asked->{address}, '127.0.0.1', 'the address');
is("@$asked{qw/ page_default page_max batch_max event_retention /}",
   '100 1000 1000 604800', 'what is set');

$r = Test::IClock::API->new($t, prefix => '/r', key => $api->key)
     ->get('/devices');
is($r->status, 200, 'a request that was rewritten');

$r = Test::IClock::API->new($t, prefix => '/base', key => $api->key)
     ->get('/devices?q=%3e&cursor=old');
is($r->json->{base}, 'https://api.example/v2', 'iclock_api_base');
is($r->header('Link'),
   '<https://api.example/v2/devices?q=%3E&cursor=abc_->; rel="next"',
   'Link leads to the next page');

is($api->get("/devices?$_")->said, '400 bad_request', "?$_")
    for 'a=1&a=2', 'a=%zz', 'a=%00', 'a=%ff', 'a=%e',
        join '&', map { "p$_=1" } 1 .. 65;


# answers

$r = $api->get('/devices');
is($r->header('Content-Type'), 'application/json', 'Content-Type');
is($r->header('Cache-Control'), 'no-store', 'Cache-Control');
like($r->header('X-Request-Id'), qr/^[0-9a-f]{32}\z/, 'X-Request-Id');
is($r->json->{request_id}, $r->header('X-Request-Id'),
   'which the database knows, too');
unlike($r->body, qr/"[:,] /, 'without blanks');

my $head = $api->head('/devices');
is($head->status, 200, 'HEAD');
is($head->body, '', 'has no body');
is($head->header($_), $r->header($_), "but $_")
    for qw/ Content-Type Content-Length Cache-Control Link /;

$r = $api->post('/devices', { a => 1 });
is($r->text, '201 {"a b":[1,"x \" y",{}],"n":null}', 'a body is compact');
is($r->header('Location'), '/x', 'a header of the operation');
is($r->header('X-Bad'), undef, 'none that would be two');
is($r->header('Set-Cookie'), undef, 'nor the second one');

$r = $api->get('/users/%C3%A4%20b');
is($r->said, '422 invalid', 'a problem of an operation');
is($r->header('X-Request-Id'), substr($r->json->{instance}, 12), 'its name');
is_deeply({ %{$r->json}, instance => '' },
          { type => 'urn:iclock:problem:invalid', status => 422, instance => '',
            code => 'invalid', title => 'A value is not valid',
            detail => 'it is "wrong"', error => 'it is "wrong"',
            errors => [ { pointer => '#/a', detail => 'b' } ] },
          'the whole of it');

$r = $api->get('/users');
is($r->said, '500 internal', 'an operation that fails');
unlike($r->body, qr/division/i, 'says nothing');
like($t->error_log(), qr/\[error\].*operation "users_list" failed.*22012/,
     'but the log does');


my $limited = Test::IClock::API->new($t, prefix => '/limited',
                                     key => $api->key);

is($limited->get('/devices')->status, 200, 'nginx limits requests, too');
is($limited->get('/devices')->said, '429 rate',
   'what it refuses is a problem document');


# bodies

sub body {
    my ($body, %header) = @_;
    return $api->post('/devices', $body, %header)->said;
}

is(body('{}', 'Content-Type' => $_), '415 media_type', $_)
    for 'application/xml', 'text/json', 'application/jsonx', '+json',
        'application/json; charset=latin1', 'application/x-www-form-urlencoded';
is(body('{}', 'Content-Type' => $_), '201', $_)
    for 'application/json', 'application/merge-patch+json',
        'Application/JSON; charset=UTF-8', '';
is(body('{}', 'Content-Encoding' => 'gzip'), '415 media_type', 'gzip');

is(body($_), '400 bad_json', "body $_")
    for '', '{', '[]', '1', 'null', '{"a":1}}', '{"a":1},', '{"a":}', '{a:1}',
        '{"a":1,}', '{"a" 1}', '{"a":[1,]}', '{"a":01}', '{"a":1.}',
        '{"a":.5}', '{"a":-}', '{"a":1e}', '{"a":tru}', '{"a":"\x"}',
        '{"a":"\u12g4"}', '{"a":"\u0000"}', '{"a":"\ud800"}',
        '{"a":"\udc00\ud800"}', "{\"a\":\"\t\"}", "{\"a\":\"\xff\"}",
        "{\"a\":\"\0\"}", '{"a":"', '{"a":"\\', "{\"a\":\"\xc0\xaf\"}";
is(body($_), '201', "body $_")
    for '{}', ' { "a" : [ ] } ', '{"a":-0.5e+10}', '{"a":"\ud83d\ude00"}',
        "{\"a\":\"\xc3\xa4\"}", '{"a":[{},[],true,false,null,"\"\\\/"]}';

is(body('{"a":' . '[' x 31 . ']' x 31 . '}'), '201', '32 levels');
$r = $api->post('/devices', '{"a":' . '[' x 32 . ']' x 32 . '}');
is($r->said, '400 bad_json', '33 levels');
like($r->json->{detail}, qr/^too deep, at byte 36$/, 'and where');

my $large = '{"a":"' . 'x' x (1048576 - 8) . '"}';

is(body($large), '201', '1 MB');
is(body("$large "), '413 too_large', 'a byte more');
is($nobody->post('/devices', "$large ")->said, '401 no_key',
   'a key is asked for before');
is($api->post('/devices', chunked("$large "), -length => undef,
              'Transfer-Encoding' => 'chunked')->said, '413 too_large',
   'in chunks, too');
is($api->post('/devices', chunked('{"a":1}', 3), -length => undef,
              'Transfer-Encoding' => 'chunked')->said, '201', 'chunks');
is($api->post('/devices/A/reboot', undef)->said, '404 not_found',
   'an action needs no body');


sub chunked {
    my ($text, $size) = @_;

    return join('', map { sprintf "%x\r\n%s\r\n", length, $_ }
                    $text =~ /(.{1,@{[$size || 65000]}})/gs) . "0\r\n\r\n";
}


# headers

is(body('{}', 'Idempotency-Key' => $_), '400 bad_idempotency_key', "key $_")
    for '', '""', '"a', '"a"b', 'x' x 256, "a\tb", "a\xff";
is(body('{}', 'Idempotency-Key' => $_), '201', "key $_")
    for 'a', '"b c"', 'x' x 255, '"\"\\\\"';

is($api->post('/devices', '{}', 'Idempotency-Key' => '"a"')
       ->header('Idempotency-Replayed'), 'true', 'quoted or bare: the same');
is(body('{"a":1}', 'Idempotency-Key' => 'a'), '422 reused_key',
   'for another body');

my $other = Test::IClock::API->new($t, prefix => '/cors', key => $api->key);

$r = $other->get('/devices', Origin => 'https://a.example');
is($r->header('Access-Control-Allow-Origin'), 'https://a.example',
   'iclock_api_cors');
is($r->header('Vary'), 'Origin', 'caches have to know');

$r = $other->get('/devices', Origin => 'https://c.example');
is($r->header('Access-Control-Allow-Origin'), undef, 'another origin');

$r = Test::IClock::API->new($t, prefix => '/cors', key => undef)
     ->request('OPTIONS', '/devices/A', undef,
               Origin => 'https://b.example:8443',
               'Access-Control-Request-Method' => 'PATCH');
is($r->status, 204, 'a preflight needs no key');
is($r->header('Access-Control-Allow-Methods'),
   'GET, HEAD, PUT, PATCH, DELETE', 'methods');
like($r->header('Access-Control-Allow-Headers'), qr/Authorization/, 'headers');
is($api->get('/devices', Origin => 'https://a.example')->header('Vary'),
   undef, 'off');


# keys

$r = $nobody->get('/devices');
is($r->said, '401 no_key', 'no key');
is($r->header('WWW-Authenticate'), 'Bearer realm="iclock"',
   'WWW-Authenticate');

is($nobody->get('/devices', 'X-API-Key' => $api->key)->status, 200,
   'X-API-Key');
is($api->get('/devices', Authorization => "bearer  $api->{key}")->status, 200,
   'in small letters');
is($nobody->get('/devices', Authorization => 'Basic eDp5',
                'X-API-Key' => $api->key)->status, 200,
   'beside a password for a proxy');

my %key = (
    'unknown' => 'ik_live_aaaaaaaaaaaa_' . 'A' x 43,
    'wrong' => substr($api->key, 0, -1) . (substr($api->key, -1) eq 'A'
                                           ? 'B' : 'A'),
    'no key at all' => 'sk_live_abc123def456',
    'expired' => Test::IClock::API::create_key($t, expires => '1 ms'),
    'revoked' => Test::IClock::API::create_key($t),
);

$t->psql("SELECT iclock.revoke_api_key('" . (split /_/, $key{revoked})[2]
         . "')");
sleep 0.05;

my %answer;

for my $what (sort keys %key) {
    $r = $nobody->get('/devices', Authorization => "Bearer $key{$what}");
    is($r->said, '401 bad_key', $what);

    my $text = $r->head . $r->body;
    my $id = $r->header('X-Request-Id');

    $text =~ s/\Q$id\E/id/g;
    $text =~ s/^Date: .*\r\n//m;
    $answer{$text}++;
}

is(keys %answer, 1, 'all the same, but for the request');

my $reader = Test::IClock::API->new($t, scopes => [ 'devices:read' ]);

$r = $reader->post('/devices', '{}');
is($r->said, '403 scope', 'another scope');
like($r->json->{detail}, qr/devices:write/, 'and which');
is($reader->get('/devices')->status, 200, 'its own');

my $away = Test::IClock::API->new($t, allowed_networks => [ '127.0.0.2/32' ]);

is($away->get('/devices')->said, '403 address', 'from another address');
is($away->get('/devices', -local => '127.0.0.2')->status, 200, 'from its own');

my $leaver = Test::IClock::API->new($t);

is($leaver->get('/devices')->status, 200, 'a key that works');
$t->psql("SELECT iclock.revoke_api_key('" . $leaver->id . "')");
ok(wait_until(30, sub { $leaver->get('/devices')->status == 401 }),
   'is refused as soon as nginx is notified');

my $old = Test::IClock::API->new($t);
my $new = $t->psql("SELECT iclock.rotate_api_key('" . $old->id
                   . "', '1 hour')");

is($old->get('/devices')->status, 200, 'a key that was rotated');
is($old->get('/devices', Authorization => "Bearer $new")->status, 200,
   'and the one in its place');


# what costs no SQL

sub statements {
    return $t->psql("SELECT coalesce(sum(calls), 0) FROM pg_stat_statements s"
                    . " JOIN pg_roles r ON r.oid = s.userid"
                    . " WHERE rolname = 'iclock_nginx'"
                    . " AND query ~ 'iclock_api'");
}

# what is notified meanwhile is asked for again

sub cost {
    my ($requests) = @_;

    my $before = statements();

    $requests->();

    return statements() - $before;
}

sub refused {
    $nobody->get($_) for '/devices', '/', '/health', '/nowhere';
    $nobody->get('/devices', Authorization => 'Bearer x');
    $nobody->get('/devices', Authorization => "Bearer $key{wrong}");
    $api->post('/devices', '{');
    $reader->post('/devices', '{}');
}

my $cost;

ok(wait_until(30, sub { ($cost = cost(\&refused)) == 0 }),
   'what is refused here costs no SQL') or diag($cost);
ok(wait_until(30, sub {
    $cost = cost(sub { $api->get('/devices') for 1 .. 5 });
    return $cost == 5;
}), 'a request costs one statement') or diag($cost);

$t->psql("UPDATE iclock.api_key SET expires_at = now() + interval '1 s'"
         . " WHERE id = '" . $old->id . "'");
ok(wait_until(30, sub { $old->get('/devices')->said eq '401 bad_key' }),
   'the overlap ends');


# variables and logs

my $id = $api->id;

$t->quit();

open my $in, '<', $t->dir . '/nginx/access.log';
my $access = do { local $/; <$in> };

like($access, qr/^GET \Q$id\E devices_list - 3$/m, 'variables');
like($access, qr/^GET - devices_list bad_key 0$/m,
     'no key in them until it is verified');
like($access, qr/^GET - - no_route 0$/m, 'without a route');
like($access, qr/^POST \Q$id\E devices_create bad_json 0$/m, 'a bad body');

my $log = $t->error_log() . $access;

like($log, qr/http header: "Authorization: Bearer ik_live_\w{12}_\*{43}"/,
     'keys are masked where nginx shows headers');

for my $text ($api->key, $new, values %key) {
    my $secret = (split /_/, $text, 4)[3] or next;
    ok(index($log, $secret) < 0, 'no secret in a log');
}

like($log, qr/iclock api $_/, "a line of the debug log: $_")
    for 'route: 0, "devices_list"', 'key: "\w{12}", zone: ',
        'key: state:2, right:1', 'rate: ', 'body: 2 bytes',
        'query: \d+, submit: 0', 'query done: 0', 'problem: "bad_json", 400',
        'reply: 201';

$t->done();
