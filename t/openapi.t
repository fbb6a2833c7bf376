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
use Test::IClock::Answers;
use Test::IClock::Process qw/ command slurp /;
use Test::IClock::Stream;

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

my (@done, @headless);

# status and headers, but for those of one answer alone, and how the body comes

sub head_of {
    my ($r) = @_;

    my %h = %{$r->headers};

    delete $h{'transfer-encoding'};

    for my $name (qw/ date ratelimit x-request-id /) {
        $h{$name} = '' if exists $h{$name};
    }

    return join "\n", $r->status, map { "$_: $h{$_}" } sort keys %h;
}

# the schema that a part of the document names or is

sub resolved {
    my ($schema) = @_;

    my ($name) = ($schema->{'$ref'} // '') =~ m!/(\w+)\z!;

    return $name ? $document->{components}{schemas}{$name} : $schema;
}

# that of the body of a request

sub input_of {
    my ($method, $template) = @_;

    my $body = $document->{paths}{$template}{lc $method}{requestBody};

    return $body && resolved($body->{content}{'application/json'}{schema});
}

# each member that it tells, and one that it does not

sub and_nosuch {
    my ($schema) = @_;

    return { nosuch => 1, map { $_ => undef } keys %{$schema->{properties}} };
}

# what is wrong with a body, by the answer

sub pointers {
    my ($said) = @_;

    return join ' ', $said->{code} // 'no code',
                map { $_->{pointer} } @{$said->{errors} || []};
}

# members of a body that its schema does not tell

sub untold {
    my ($schema, $value, $at) = @_;

    $schema = resolved($schema || {});

    if (ref $value eq 'ARRAY') {
        return map { untold($schema->{items}, $value->[$_], "$at/$_") }
               0 .. $#$value;
    }

    return if ref $value ne 'HASH' || !$schema->{properties};

    return map {
        my $member = $schema->{properties}{$_};

        $member ? untold($member, $value->{$_}, "$at/$_") : "$at/$_"
    } sort keys %$value;
}

# runs a request; the names of its path are those of the document

sub call {
    my ($method, $template, $path, $body, %header) = @_;

    my $key = delete $header{-key} || $key{key};
    my @rest = ("/v1$path", $body, Authorization => "Bearer $key",
                defined $body ? ('Content-Type' => 'application/json')
                              : (), %header);
    my $r = $t->_http($method, @rest);

    push @done, { method => lc $method, template => $template,
                  path => $path, sent => $body, status => $r->status,
                  type => ($r->header('content-type') // '')
                          =~ s/;.*//r, body => $r->body };

    push @headless, $path if $method eq 'GET' && !has_head($r, @rest);

    return eval { $json->decode($r->body) } || {};
}

# whether HEAD has the headers of GET; what is said may have become longer since

sub has_head {
    my ($r, @rest) = @_;

    for (1 .. 5) {
        return 1 if head_of($t->_http('HEAD', @rest)) eq head_of($r);
        $r = $t->_http('GET', @rest);
    }

    return 0;
}

call('GET', '/', '/');
call('GET', '/health', '/health');
call('GET', '/openapi.json', '/openapi.json');

call('POST', '/devices', '/devices', '{"serial_number":"OPENAPI02",'
     . '"name":"Door","site":"Pune","timezone":"Asia/Kolkata"}');
call('POST', '/devices', '/devices', '{"serial_number":"OPENAPI02"}');
call('POST', '/devices', '/devices', '{"serial":"OPENAPI03"}');
$t->psql("UPDATE iclock.device SET status = 'pending'"
         . " WHERE serial_number = 'OPENAPI02'");
call('POST', '/devices', '/devices', '{"serial_number":"OPENAPI02"}');
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
     $_ eq 'reupload' ? '{"table":"ATTLOG"}' : undef)
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
call('POST', '/users/batch', '/users/batch', '{"device_id":"OPENAPI01",'
     . '"partial":true,"users":[{"user_id":"9"},{"user_id":"?"}]}');
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
call('GET', '/attendance/daily', "/attendance/daily?$span&format=csv");
call('GET', '/attendance/daily', "/attendance/daily?$span&format=ndjson");

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

my %with = (resume => '{"from_now":false}',
            'rotate-secret' => '{"overlap":3600}');

call('POST', "/webhooks/{id}/$_", "/webhooks/$hook/$_", $with{$_})
    for qw/ test pause resume rotate-secret /;
call('POST', '/webhooks/{id}/resend', "/webhooks/$hook/resend",
     '{"state":"dead"}');
call('GET', "/webhooks/{id}/$_", "/webhooks/$hook/$_") for qw/ attempts dead /;

# What nobody knows is refused, in the query as in the body, before anything is
# done: a slip of the pen must not have a program change more than it means to.

my %place = (devices => 'OPENAPI01', users => 7, commands => $id,
             webhooks => $hook, events => 'evt_none', sandbox => 'BOX1');
my @lax;

for my $route (@route) {
    my ($method, $template) = @$route;

    # what needs no key knows no parameters
    next if $document->{paths}{$template}{lc $method}{security};

    my ($kind) = $template =~ m!^/(\w+)!;
    my $path = $template =~ s/\{\w+\}/$place{$kind}/r;
    my $bodied = $method !~ /^(?:GET|DELETE)\z/;
    my @key = $kind eq 'sandbox' ? (-key => $key{test}) : ();
    my $said = call($method, $template, "$path?nosuch=1",
                    $bodied ? '{}' : undef, @key);

    push @lax, "$method $template: a parameter"
        if ($said->{code} // '') ne 'bad_request'
           || ($said->{detail} // '') !~ /"nosuch"/;

    next if !$bodied;

    # all that the document tells of is known

    $said = call($method, $template, $path,
                 $json->encode(and_nosuch(input_of($method, $template))),
                 @key);

    push @lax, "$method $template: a member: " . pointers($said)
        if pointers($said) ne 'unknown_field #/nosuch';
}

is(join(', ', @lax), '', 'what is not known is refused, by each operation');

call('DELETE', '/webhooks/{id}', "/webhooks/$hook");

call('POST', '/sandbox/devices', '/sandbox/devices',
     '{"serial_number":"BOX1"}', -key => $key{test});
call('POST', '/sandbox/devices/{sn}/punches', '/sandbox/devices/BOX1/punches',
     '{"punches":[{"user_id":"7","name":"Asha","type":"CheckIn",'
     . '"timestamp":"2026-03-01T08:00:00","method":"Face","work_code":"1",'
     . '"temperature":36.5,"mask_detected":false}]}', -key => $key{test});
call('POST', '/sandbox/devices', '/sandbox/devices', '{}');
call('GET', '/devices', '/devices', undef, Authorization => 'Bearer ik_no');

# the same in lists of a body

for my $case ([ '/users', 'templates',
                { device_id => 'OPENAPI01', user_id => '8' } ],
              [ '/users/batch', 'users', { device_id => 'OPENAPI01' } ],
              [ '/sandbox/devices/{sn}/punches', 'punches', {},
                -key => $key{test} ])
{
    my ($template, $list, $body, @key) = @$case;
    my $schema = input_of('POST', $template)->{properties}{$list}{items};

    is(pointers(call('POST', $template, $template =~ s/\{sn\}/BOX1/r,
                     $json->encode({ %$body, $list =>
                         [ and_nosuch(resolved($schema)) ] }), @key)),
       "unknown_field #/$list/0/nosuch",
       "$template: what is not known in $list is refused, and nothing else");
}

is(join(', ', map {
       my $done = $_;

       map { "$done->{method} $done->{template} $_" }
           untold(input_of(@$done{qw/ method template /}),
                  $json->decode($done->{sent}), '#')
   } grep { defined $_->{sent} && $_->{status} =~ /^2/ } @done), '',
   'members that were taken are in the document');


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
is(join(', ', @headless), '', 'HEAD has the headers of GET');

# a success that cannot be would keep a wrong one from being noticed

my %can = map { my $done = $_; map { ("$_ $done" => 1) }
                grep { /^2/ } keys %{$document->{paths}
                                     {$done =~ s/^\w+ //r}
                                     {$done =~ s/ .*//r}{responses}} }
          keys %told;
my %was = map { ("$_->{status} $_->{method} $_->{template}" => 1) } @done;

is(join(', ', grep { !$was{$_} } sort keys %can), '',
   'every success of the document was answered');

my @failed = grep { $_->{status} >= 500 } @done;

is(join(', ', map { "$_->{method} $_->{path}: $_->{status} $_->{body}" }
              @failed), '', 'no operation fails');


# Those answers, and those of every other test, are what the document says:
# done() looks.  Here: what is not is told, with method, path, status and what
# is wrong.

my $id_of = 'X-Request-Id: 00';

sub faults {
    my (@answer) = @_;

    my $name = put('faults', join '', map {
        my ($method, $path, $status, $type, $body, @header) = @$_;

        Test::IClock::Answers::packed($method, $path, 0, join("\r\n",
            "HTTP/1.1 $status", "Content-Type: $type", @header, '', ''), $body)
    } @answer);

    return (Test::IClock::Answers::wrong($name))[1];
}

my ($device) = map { $_->{body} } grep { $_->{path} eq '/devices/OPENAPI01'
                                         && $_->{method} eq 'get' } @done;
my ($event) = map { $_->{body} } grep { $_->{template} eq '/events/{event_id}' }
                                 @done;
my ($log) = map { $_->{body} =~ /\[(\{.*?\})[],]/ }
            grep { $_->{path} =~ /^\/logs.*user_id/ } @done;

sub changed {
    my ($body, $name, @value) = @_;

    my $object = $json->decode($body);

    delete $object->{$name};
    $object->{$name} = $value[0] if @value;

    return $json->encode($object);
}

my $path = '/devices/OPENAPI01';
my @told = (200, 'application/json');
my $problem = '{"type":"","title":"","status":429,"code":"rate",'
              . '"detail":null,"error":null,"instance":""}';

my @case = (
    [ "GET $path: 200: body must have required property 'status'",
      'GET', $path, @told, changed($device, 'status'), $id_of ],
    [ "GET $path: 200: body/status must be string",
      'GET', $path, @told, changed($device, 'status', 7), $id_of ],
    [ "GET $path: 200: body must NOT have additional properties like more",
      'GET', $path, @told, changed($device, 'more', 7), $id_of ],
    [ "GET $path: 200: no JSON: {",
      'GET', $path, @told, '{', $id_of ],
    [ "GET $path: 200: no header X-Request-Id",
      'GET', $path, @told, $device ],
    [ "GET $path: 200: the document does not tell the type text/plain",
      'GET', $path, 200, 'text/plain', $device, $id_of ],
    [ "GET $path: 203: the document does not tell the status",
      'GET', $path, 203, 'application/json', $device, $id_of ],
    [ "POST /users: 200: the document does not tell the status",
      'POST', '/users', @told, '{}', $id_of ],
    [ "DELETE $path: 204: there is a body",
      'DELETE', $path, 204, 'text/plain', 'x', $id_of ],
    [ "HEAD $path: 200: there is a body",
      'HEAD', $path, @told, 'x', $id_of ],
    [ "GET $path: 429: no header Retry-After",
      'GET', $path, 429, 'application/problem+json', $problem, $id_of ],
    [ "GET $path: 429: header Retry-After: x: body must be integer",
      'GET', $path, 429, 'application/problem+json', $problem, $id_of,
      'Retry-After: x' ],
    [ "GET $path: 400: body must have required property 'type'",
      'GET', $path, 400, 'application/problem+json', changed($problem, 'type'),
      $id_of ],
    [ "GET $path: 404: no header X-Request-Id",
      'GET', $path, 404, 'text/html', '<hr><center>nginx' ],
    [ 'GET /nowhere: 200: no problem, but the document has no such operation',
      'GET', '/nowhere', @told, '{}', $id_of ],
    [ 'GET /logs: 200: line 2: body must have required property'
      . " 'local_time'",
      'GET', '/logs', 200, 'application/x-ndjson',
      "$log\n" . changed($log, 'local_time') . "\n", $id_of ],
    [ 'GET /logs: 200: line 1: 1 values, not 2',
      'GET', '/logs', 200, 'text/csv', "id,user_id\r\n7\r\n", $id_of ],
    [ 'GET /logs: 200: no CSV: "7"7,7',
      'GET', '/logs', 200, 'text/csv', "id,user_id\r\n7,7\r\n\"7\"7,7\r\n",
      $id_of ],
    [ 'GET /logs: 200: no member who',
      'GET', '/logs', 200, 'text/csv', "id,who\r\n7,7\r\n", $id_of ],
    [ "GET /events: 200: line 1: body must have required property 'event_id'",
      'GET', '/events', 200, 'text/event-stream', "id: 1\nevent: x\ndata: "
      . changed($event, 'event_id') . "\n\n", $id_of ],
);

is(faults(map { [ @$_[1 .. $#$_] ] } @case),
   join('', map { "$_->[0]\n" } @case), 'what is not is told');
is(faults([ 'GET', $path, @told, $device, $id_of ],
          [ 'GET', '/logs', 200, 'application/x-ndjson', "$log\n", $id_of ],
          [ 'GET', '/events', 200, 'text/event-stream',
            ": ping\n\nid: 1\ndata: $event\n\nevent: bye\ndata: {}\n\n",
            $id_of ]), '', 'and nothing else');


# whichever way an answer comes

my $c = $t->connect();

$c->write(join '', map { Test::IClock::HTTP::format_request('GET',
                             "/v1/way/pipe$_", undef, -keepalive => 1) } 1, 2);
$c->read() for 1, 2;
$c->get('/v1/way/again');
$c->close();

$c = $t->connect();
$c->write(Test::IClock::HTTP::format_request('GET', '/v1/way/unread'));
$c->fill();
undef $c;

$t->get('/base/way/base?a=b');
$t->_http('HEAD', '/v1/way/head');
$t->post('/v1/way/chunks', "1\r\nx\r\n0\r\n\r\n", -length => undef,
         'Transfer-Encoding' => 'chunked');
$t->concurrently([ map { [ 'GET', "/v1/way/many$_" ] } 1, 2 ]);
$t->parallel(2, sub { $t->get("/v1/way/process$_[0]")->status });
command({ out => '/dev/null' }, 'curl', '-s', map { 'http://127.0.0.1:'
            . "$_->[0]/v1/way/$_->[1]" } [ $t->overheard, 'curl' ]);

Test::IClock::Stream->new(port => $t->port, uri => '/v1/events?site=way',
                          header => [ 'X-API-Key' => $key{key} ])->close();

is(join("\n", sort grep { /way/ } Test::IClock::Answers::heard()),
   join("\n", 'GET /events?site=way 200', (map { "GET /way/$_ 404" }
        qw/ again base?a=b curl many1 many2 pipe1 pipe2 process0 process1
            unread /), 'HEAD /way/head 404', 'POST /way/chunks 404'),
   'the harness hears it');

$t->done();
