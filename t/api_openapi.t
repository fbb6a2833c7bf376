#!/usr/bin/perl

# Copyright (C) the ngx_http_iclock_module authors

# openapi.json: valid for a linter of others, complete, and true of answers.

use strict;
use warnings;

use FindBin;
use JSON::PP ();
use Test::More;

use lib "$FindBin::Bin/lib";
use Test::IClock;
use Test::IClock::API;
use Test::IClock::Process qw/ command slurp /;

my $root = "$FindBin::Bin/..";
my $t = Test::IClock->new;
my $json = JSON::PP->new->canonical->utf8;

command({ out => $t->dir . '/npm.log' }, "$root/tools/npm/fetch",
        "$root/build/npm") == 0
    or die "no packages of npm: " . slurp($t->dir . '/npm.log');

$t->psql('GRANT iclock_api TO iclock_nginx');
$t->start(Test::IClock::API::server($t, http => 'iclock_api_rate off;',
    location => 'iclock_api_base https://iclock.org/v1;',
    server => 'location /iclock { iclock; iclock_unknown_devices accept; }'));

my $api = Test::IClock::API->new($t);
my $tester = Test::IClock::API->new($t, mode => 'test');
my $r = Test::IClock::API->new($t, key => undef)->get('/openapi.json');
my $api_doc = $r->json;

is($r->status, 200, 'needs no key');
is($api_doc->{openapi}, '3.1.0', 'version 3.1');
is($api_doc->{servers}[0]{url}, 'https://iclock.org/v1', 'the server');


# a program in a file, with what it reads; what it writes

sub node {
    my ($program, $input) = @_;

    my $dir = $t->dir;

    unlink "$dir/output";

    for ([ 'program.js', $program ], [ 'input.json', $input ]) {
        open my $out, '>:raw', "$dir/$_->[0]" or die;
        print $out $_->[1];
        close $out;
    }

    command({ out => "$dir/output", env => {
                  %ENV, NODE_PATH => "$root/build/npm/node_modules" } },
            'node', "$dir/program.js", "$dir/input.json");

    return slurp("$dir/output");
}


my $lint = <<'EOFJ';
    const core = require('@redocly/openapi-core');
    const file = process.argv[2];

    (async () => {
        const source = require('fs').readFileSync(file, 'utf8');
        const config = await core.createConfig({ extends: ['recommended'] });
        const problems = await core.lintFromString({
            source, absoluteRef: file, config });

        for (const p of problems)
            console.log(p.severity, p.ruleId, p.message,
                        p.location[0].pointer);
        console.log('problems:', problems.length);
    })();
EOFJ

is(node($lint, $r->body), "problems: 0\n", 'a linter has nothing to say');

(my $broken = $r->body) =~ s/"operationId":"devices_list"/"operationid":"x"/;

like(node($lint, $broken), qr/error.*operationid/, 'but it can say something');


# each route is there, and nothing that is not served

my @route = map { my $path = $_; map { [ uc $_, $path ] }
                  keys %{$api_doc->{paths}{$path}} }
            sort keys %{$api_doc->{paths}};

cmp_ok(scalar @route, '>', 40, 'routes');

my @lost = grep {
    my ($method, $path) = @$_;
    $path =~ s/\{\w+\}/x/g;

    my $said = Test::IClock::API->new($t, key => undef)
                   ->request($method, $path)->said;

    $said !~ /^(?:401 no_key|200)\z/;
} @route;

is(join(' ', map { "@$_" } @lost), '', 'all of them are served');


# answers

my @answer;

sub try {
    my ($who, $method, $path, $route, $body) = @_;

    my $r = $who->request($method, $path, $body);
    my $operation = $api_doc->{paths}{$route}{lc $method};
    my $status = $r->status;

    my $response = $operation->{responses}{$status}
                || $operation->{responses}{substr($status, 0, 1) . 'XX'};

    ok($response, "$method $path: $status is documented") or return;
    return if $status == 204;

    $response = $api_doc->{components}{responses}{Problem}
        if $response->{'$ref'};

    my $type = $r->header('Content-Type');

    ok($response->{content}{$type}, "and $type") or return;

    push @answer, { name => "$method $path", body => $r->json,
                    schema => $response->{content}{$type}{schema} };

    return $r;
}

my $device = $t->device('OPEN0001');

$device->handshake();
$device->punches("1\t2026-11-21 08:00:00\t0\t1");

try($api, GET => '/', '/');
try($api, GET => '/health', '/health');
try($api, GET => '/devices', '/devices');
try($api, GET => '/devices/OPEN0001', '/devices/{sn}');
try($api, GET => '/devices/none', '/devices/{sn}');
try($api, GET => '/devices?x=1', '/devices');
try($api, POST => '/devices', '/devices',
    { serial_number => 'OPEN0002', name => 'x' });
try($api, POST => '/devices', '/devices', '{');
try($api, POST => '/devices/OPEN0001/reboot', '/devices/{sn}/reboot');
try($api, PATCH => '/devices/OPEN0001', '/devices/{sn}', { name => 'y' });
try($api, POST => '/users', '/users',
    { device_id => 'OPEN0001', user_id => '7', name => 'z' });
try($api, GET => '/users', '/users');
try($api, GET => '/users/7', '/users/{id}');
try($api, PUT => '/users/7', '/users/{id}', { department => 'd' });
try($api, POST => '/users/batch', '/users/batch',
    { device_id => 'OPEN0001', users => [ { user_id => '8' } ] });
try($api, GET => '/users/7/templates', '/users/{id}/templates');
try($api, GET => '/devices/OPEN0001/users', '/devices/{sn}/users');
try($api, GET => '/logs', '/logs');
try($api, GET => '/attendance/daily?start_date=2026-11-21',
    '/attendance/daily');
try($api, GET => '/commands', '/commands');
try($api, GET => '/events?after=0', '/events');
try($api, POST => '/webhooks', '/webhooks',
    { url => 'https://iclock.org/hook' });
try($api, GET => '/webhooks', '/webhooks');
try($api, DELETE => '/users/7', '/users/{id}');
try($api, DELETE => '/devices/OPEN0001', '/devices/{sn}');
try($tester, POST => '/sandbox/devices', '/sandbox/devices', {});

my $check = <<'EOFJ';
    const Ajv = require('ajv/dist/2020').default;
    const { doc, answers } =
        JSON.parse(require('fs').readFileSync(process.argv[2], 'utf8'));
    const ajv = new Ajv({ strict: false });

    require('ajv-formats').default(ajv);
    ajv.addSchema({ $id: 'doc', components: doc.components });

    for (const a of answers) {
        const valid = ajv.compile({ $ref: 'doc' + a.schema.$ref });

        if (!valid(a.body))
            console.log(a.name, ajv.errorsText(valid.errors));
    }

    console.log('answers:', answers.length);
EOFJ

my $said = node($check, $json->encode({ doc => $api_doc,
                                        answers => \@answer }));

is($said, 'answers: ' . @answer . "\n", 'answers are what it says');

$t->done();
