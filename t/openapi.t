#!/usr/bin/perl

# Copyright (C) the ngx_http_iclock_module authors

# The description of the API, /openapi.json: a linter of others accepts it, and
# what the API answers is what it says, for every operation that it has.

use strict;
use warnings;

use FindBin;
use JSON::PP;
use Test::More;

use lib "$FindBin::Bin/lib";
use Test::IClock;
use Test::IClock::Process qw/ command slurp /;

my $root = "$FindBin::Bin/..";
my $t = Test::IClock->new();
my $modules = "$root/build/npm/node_modules";
my $json = JSON::PP->new->ascii->canonical;

command({ out => $t->dir . '/npm.log' }, "$root/tools/npm/fetch",
        "$root/build/npm") == 0
    or die "no packages of npm: " . slurp($t->dir . '/npm.log');

sub put {
    my ($name, $text) = @_;

    my $file = $t->dir . "/$name";

    open my $f, '>:raw', $file or die "$file: $!";
    print $f $text;
    close $f;

    return $file;
}

sub node {
    my ($name, $program, @argument) = @_;

    my $out = $t->dir . "/$name.out";

    unlink $out;

    my $status = command({ out => $out, err => "$out.err", env => {
                               NODE_PATH => $modules, NODE_ENV => 'test' } },
                         'node', put("$name.js", $program), @argument);

    diag(slurp("$out.err")) if $status != 0;

    return $status == 0 ? slurp($out) : 'node failed';
}


$t->pg->psql('GRANT iclock_api TO ' . Test::IClock::Postgres::LOGIN());
$t->start($t->device_server(http => <<'END', server => <<'END'));
    iclock_api_pool timeout=55s;
END
        location /v1 {
            iclock_api;
        }
        location /base {
            iclock_api;
            iclock_api_base https://iclock.org/v1;
        }
END


# the document

my $answer = $t->get('/v1/openapi.json');

is($answer->status, 200, 'GET /v1/openapi.json, without a key');

my $document = $json->decode($answer->body);
my $file = put('openapi.json', $answer->body);

like($document->{openapi}, qr/^3\.1\./, 'OpenAPI 3.1');

# as it is, as servers of others would have it, and with a mistake in it

my $based = $t->get('/base/openapi.json')->body;
my $broken = $based =~ s/"operationId":"devices_list"/"operationid":"x"/r;

is($json->decode($based)->{servers}[0]{url}, 'https://iclock.org/v1',
   'the server');

my @file = ($file, put('based.json', $based), put('broken.json', $broken));
my $problems = node('lint', <<'END', @file);
const { lint, createConfig } = require('@redocly/openapi-core');

(async () => {
    const config = await createConfig({ extends: ['recommended'] });

    for (const ref of process.argv.slice(2)) {
        for (const p of await lint({ ref, config })) {
            const file = ref.match(/(\w+)\.json$/)[1];

            console.log(`${file}: ${p.severity}: ${p.ruleId}: ${p.message} at `
                        + `${p.location[0].pointer}`);
        }
    }
})();
END

is(join("\n", $problems =~ /^(openapi: error.*)/mg), '',
   'the linter finds no error');
is(join("\n", $problems =~ /^(based.*)/mg), '', 'it has nothing to say');
like($problems, qr/^broken: error.*operationid/m, 'but it can say something');


# nothing that is not served

my @route = map { my $path = $_; map { [ uc $_, $path ] }
                  keys %{$document->{paths}{$path}} }
            sort keys %{$document->{paths}};

cmp_ok(scalar @route, '>', 40, 'routes');

is(join(', ', map { "@$_" } grep {
       my ($method, $path) = @$_;

       $t->_http($method, '/v1' . $path =~ s/\{\w+\}/x/gr, undef)->status
           !~ /^(?:401|200)\z/;
   } @route), '', 'all of them are served');


# what reads is asked by keys that see less, see there

my $sites = slurp("$root/t/sql/api_sites.sql");
my @reads = grep { !$_->{security} }
            map { $_->{get} || () } values %{$document->{paths}};

cmp_ok(scalar @reads, '>', 15, 'operations that read');
is(join(' ', grep { $sites !~ /'\Q$_\E'/ }
             map { $_->{operationId} } @reads), '',
   't/sql/api_sites.sql has each of them');


# What the API answers: each line is a request, the operation first.

my %key = map { my ($name, $mode) = @$_;
    $name => $t->psql("SELECT iclock.create_api_key('$name', ARRAY["
        . join(',', map { "'$_'" } qw/ devices:read devices:write users:read
                users:write templates:read logs:read events:read commands:read
                commands:write webhooks:manage /)
        . "], mode => '$mode', rate => 100000, burst => 1000)") }
    [ key => 'live' ], [ test => 'test' ];

my $terminal = $t->terminal('OPENAPI01');

$terminal->online();
$t->post('/iclock/cdata?SN=OPENAPI01&table=OPERLOG',
         "USER PIN=7\tName=Asha\tPri=0\n"
         . "FP PIN=7\tFID=0\tSize=8\tValid=1\tTMP=AAECAwQFBgc=\n");
$terminal->punches(map { [ 7, "2026-03-0$_ 08:00:00", 0, 1 ] } 1 .. 9);

my (@done, %last);

# runs a request; the names of its path are those of the document

sub call {
    my ($method, $template, $path, $body, %header) = @_;

    my $key = delete $header{-key} || $key{key};
    my $r = $t->_http($method, "/v1$path", $body,
                      Authorization => "Bearer $key",
                      defined $body ? ('Content-Type' => 'application/json')
                                    : (), %header);

    push @done, { method => lc $method, template => $template,
                  path => $path, status => $r->status,
                  type => ($r->header('content-type') // '')
                          =~ s/;.*//r, body => $r->body };

    return eval { $json->decode($r->body) } || {};
}

call('GET', '/', '/');
call('GET', '/health', '/health');
call('GET', '/openapi.json', '/openapi.json');

call('POST', '/devices', '/devices', '{"serial_number":"OPENAPI02",'
     . '"name":"Door","site":"Pune","timezone":"Asia/Kolkata"}');
call('POST', '/devices', '/devices', '{"serial_number":"OPENAPI02"}');
call('POST', '/devices', '/devices', '{"serial":"OPENAPI03"}');
call('POST', '/devices', '/devices', '{');
call('GET', '/devices', '/devices');
call('GET', '/devices', '/devices?limit=1&status=online');
call('GET', '/devices', '/devices?fields=compact&condition=never');
call('GET', '/key', '/key');
call('GET', '/summary', '/summary');
call('GET', '/summary', '/summary?x=1');
call('GET', '/devices', '/devices?limit=many');
call('GET', '/devices/{sn}', '/devices/OPENAPI01');
call('GET', '/devices/{sn}', '/devices/NOBODY');
call('PATCH', '/devices/{sn}', '/devices/OPENAPI02', '{"name":"Gate"}');
call('PUT', '/devices/{sn}', '/devices/OPENAPI02', '{"location":"Hall"}');
call('POST', "/devices/{sn}/$_", "/devices/OPENAPI01/$_",
     $_ eq 'reupload' ? '{"table":"punches"}' : undef)
    for qw/ approve reboot sync-time reupload /;
call('POST', '/devices/{sn}/block', '/devices/OPENAPI02/block');
call('DELETE', '/devices/{sn}', '/devices/OPENAPI02');
call('GET', '/devices/{sn}/users', '/devices/OPENAPI01/users');
call('POST', '/devices/{sn}/verify', '/devices/OPENAPI01/verify',
     '{"starts":"2026-03-01","ends":"2026-03-31"}');
$t->post('/iclock/cdata?SN=OPENAPI01&table=ERRORLOG',
         "ERRORLOG ErrCode=D01E0001\tErrMsg=no face\tDataOrigin=dev\n");
$t->post('/iclock/cdata?SN=OPENAPI01&table=OPERLOG',
         "OPLOG 4\t1\t2026-03-01 08:00:00\t0\t0\t0\t0\n");
call('GET', "/devices/{sn}/$_", "/devices/OPENAPI01/$_")
    for qw/ errors operations settings /;
$t->post('/iclock/cdata?SN=OPENAPI01&table=ATTLOG',
         "7\t2026-02-30 08:00:00\t0\t1\n");
call('GET', '/rejected', '/rejected');
call('GET', '/rejected', '/rejected?reason=why');
call('GET', '/reconciliation', '/reconciliation');

call('POST', '/users', '/users', '{"device_id":"OPENAPI01","user_id":"8",'
     . '"name":"John","department":"Engineering","templates":'
     . '[{"type":"fingerprint","index":0,"data":"AAECAwQFBgc="}]}');
call('POST', '/users', '/users', '{"device_id":"OPENAPI01","user_id":"8",'
     . '"templates":[{"type":"fingerprint","index":0,"data":"!"}]}');
call('POST', '/users/batch', '/users/batch', '{"device_id":"OPENAPI01",'
     . '"users":[{"user_id":"9","name":"Jane"}]}');
call('GET', '/users', '/users');
call('GET', '/users/{id}', '/users/7');
call('PUT', '/users/{id}', '/users/7', '{"name":"Asha R"}');
call('PATCH', '/users/{id}', '/users/7', '{"department":"HR"}');
call('POST', '/users/{id}/enroll', '/users/7/enroll',
     '{"device_id":"OPENAPI01","type":"fingerprint","index":1}');
call('GET', '/users/{id}/templates', '/users/7/templates?include=data');
call('DELETE', '/users/{id}', '/users/8?device_id=OPENAPI01');
call('DELETE', '/users/{id}', '/users/nobody');

my $span = 'start_date=2026-03-01&end_date=2026-03-31';

call('GET', '/logs', "/logs?$span&user_id=7&limit=4");
call('GET', '/logs', "/logs?$span&format=csv");
call('GET', '/logs', "/logs?$span&format=ndjson");
call('GET', '/logs', "/logs?$span&what=7");
call('GET', '/attendance/daily', "/attendance/daily?$span");

my $events = call('GET', '/events', '/events?after=0&limit=5');

$terminal->punches([ 7, '2026-03-10 08:00:00', 0, 1 ]);
ok(wait_until(30, sub {
       $events = call('GET', '/events', '/events?after=0&limit=100');
       return @{$events->{data} || []};
   }), 'there are events');
call('GET', '/events/{event_id}',
     "/events/$events->{data}[0]{event_id}") if @{$events->{data} || []};
call('POST', '/stream-tokens', '/stream-tokens');

my $commands = call('GET', '/commands', '/commands?limit=2');
my $id = $commands->{data}[0]{id} // 0;

call('GET', '/commands/{id}', "/commands/$id");
call('DELETE', '/commands/{id}', "/commands/$id");
call('POST', '/commands/{id}/repeat', "/commands/$id/repeat");

my $hook = call('POST', '/webhooks', '/webhooks',
    '{"url":"https://hr.example.com/punches","types":["attendance.punch"],'
    . '"description":"HR"}')->{id} // 'wh_none';

call('GET', '/webhooks', '/webhooks');
call('GET', '/webhooks/{id}', "/webhooks/$hook");
call('PATCH', '/webhooks/{id}', "/webhooks/$hook", '{"batch":10}');
call('POST', "/webhooks/{id}/$_", "/webhooks/$hook/$_")
    for qw/ test pause resume rotate-secret /;
call('POST', '/webhooks/{id}/resend', "/webhooks/$hook/resend",
     '{"state":"dead"}');
call('GET', "/webhooks/{id}/$_", "/webhooks/$hook/$_") for qw/ attempts dead /;
call('DELETE', '/webhooks/{id}', "/webhooks/$hook");

call('POST', '/sandbox/devices', '/sandbox/devices',
     '{"serial_number":"BOX1"}', -key => $key{test});
call('POST', '/sandbox/devices/{sn}/punches', '/sandbox/devices/BOX1/punches',
     '{"punches":[{"user_id":"7"}]}', -key => $key{test});
call('POST', '/sandbox/devices', '/sandbox/devices', '{}');
call('GET', '/devices', '/devices', undef, Authorization => 'Bearer ik_no');


# none left out, none that is not there

my %told = map { my $path = $_; map { ("$_ $path" => 1) }
                 grep { /^(?:get|put|post|patch|delete)\z/ }
                 keys %{$document->{paths}{$path}} }
           keys %{$document->{paths}};
my %did = map { ("$_->{method} $_->{template}" => 1) } @done;

is(join(', ', grep { !$did{$_} } sort keys %told), '',
   'every operation of the document was asked');
is(join(', ', grep { !$told{$_} } sort keys %did), '',
   'and the document has each that was');

my @failed = grep { $_->{status} >= 500 } @done;

is(join(', ', map { "$_->{method} $_->{path}: $_->{status} $_->{body}" }
              @failed), '', 'no operation fails');


# answers

my $conform = <<'END';
const fs = require('fs');
const Ajv = require('ajv/dist/2020').default;
const formats = require('ajv-formats').default;
const doc = JSON.parse(fs.readFileSync(process.argv[2]));
const ajv = new Ajv({ strict: false, allErrors: true });

// a member that is not told is wrong, too
(function close(schema) {
    for (const name in schema) {
        if (schema[name] && typeof schema[name] === 'object') {
            close(schema[name]);
        }
    }
    if (schema.type && [].concat(schema.type).includes('object')
        && Object.keys(schema.properties || {}).length
        && schema.additionalProperties === undefined)
    {
        schema.additionalProperties = false;
    }
})(doc.components.schemas);

formats(ajv);
ajv.addSchema(doc, 'doc');

const part = text => encodeURIComponent(text.replace(/~/g, '~0')
                                            .replace(/\//g, '~1'));

function wrong(a) {
    const operation = doc.paths[a.template][a.method];
    const name = [String(a.status), String(a.status)[0] + 'XX', 'default']
                 .find(n => operation.responses[n]);
    let at = ['paths', a.template, a.method, 'responses', name];
    let response = operation.responses[name];

    // what is no success may be told once for all
    if (!response || name === 'default' && a.status < 300) {
        return 'the status is not told';
    }

    if (response.$ref) {
        at = response.$ref.slice(2).split('/');
        response = at.reduce((o, name) => o[name], doc);
    }

    if (!response.content) {
        return a.body === '' ? '' : 'there should be no body';
    }

    if (!response.content[a.type]) {
        return `the type ${a.type} is not told`;
    }

    if (!/[/+]json$/.test(a.type)) {
        return '';
    }

    const check = ajv.compile({ $ref: 'doc#/'
        + at.concat('content', a.type, 'schema').map(part).join('/') });

    return check(JSON.parse(a.body)) ? '' : ajv.errorsText(check.errors);
}

for (const a of JSON.parse(fs.readFileSync(process.argv[3]))) {
    const said = wrong(a);

    if (said) {
        console.log(`${a.method} ${a.path}: ${a.status}: ${said}`);
    }
}
END

is(node('conform', $conform, $file, put('done.json', $json->encode(\@done))),
   '', 'answers are what the document says');

# and the schemas tell something: one member less, one of another type, one more

my ($device) = grep { $_->{template} eq '/devices/{sn}'
                      && $_->{method} eq 'get' && $_->{status} == 200 } @done;
my ($event) = grep { $_->{template} eq '/events/{event_id}' } @done;
my @bad;

for ([ $device, 'status', 7 ], [ $event, 'event_id', undef ]) {
    my ($done, $name, $value) = @$_;
    next if !$done;

    for my $how ('less', 'other', 'more') {
        my $body = $json->decode($done->{body});

        delete $body->{$name} if $how ne 'more';
        $body->{$name} = $value if $how eq 'other';
        $body->{more} = $value if $how eq 'more';
        push @bad, { %$done, body => $json->encode($body) };
    }
}

is(scalar(split /\n/, node('conform', $conform, $file,
                           put('done.json', $json->encode(\@bad)))), 6,
   'what is not is told');

$t->done();
