#!/usr/bin/perl

# Copyright (C) the ngx_http_iclock_module authors

# Programs that were written for another such service work here as they are:
# the requests and the samples of a guide that many follow, in
# t/fixtures/samples.  Only the address and the key in them are replaced, and
# what they leave to the reader (a database, a scanner) is filled in.

use strict;
use warnings;

use FindBin;
use JSON::PP;
use MIME::Base64 qw/ encode_base64 /;
use Test::More;

use lib "$FindBin::Bin/lib";
use Test::IClock;
use Test::IClock::Process qw/ command slurp spawn /;

my $root = "$FindBin::Bin/..";
my $t = Test::IClock->new();
my $r = $t->receiver();
my $out = $t->dir . '/out';

command({ out => $out }, "$root/tools/npm/fetch", "$root/build/npm") == 0
    or die "no packages of npm: " . slurp($out);

$t->pg->psql('GRANT iclock_api TO ' . Test::IClock::Postgres::LOGIN());

# a slow machine has a minute for a statement

$t->start($t->device_server(http => <<'END', server => <<'END'));
    iclock_pool timeout=1m;
    iclock_api_pool timeout=1m;
    iclock_presence_interval 1s;
    iclock_webhooks on;
    iclock_webhook_http on;
    iclock_webhook_allow 127.0.0.0/8;
END
        location /v1 {
            iclock_api;
        }
END

# months that nginx need not make while somebody reads them

$t->psql(<<'END');
SELECT format('CREATE TABLE iclock.%I PARTITION OF iclock.punch'
              ' FOR VALUES FROM (%L) TO (%L)',
              iclock.partition_name(m), m, m + interval '1 month')
  FROM unnest('{2026-03-01,2026-04-01}'::timestamp[]) AS m \gexec
END

my $base = 'http://127.0.0.1:' . $t->overheard . '/v1';
my $key = $t->psql("SELECT iclock.create_api_key('samples', ARRAY["
    . join(',', map { "'$_'" } qw/ devices:read devices:write users:read
                                   users:write logs:read events:read
                                   commands:read webhooks:manage /) . '])');

like($key, qr/^ik_live_[a-z2-7]{12}_[\w-]{43}\z/, 'a key');


# a request as it stands in the guide; the body is JSON text

sub api {
    my ($method, $path, $body) = @_;

    my $answer = $t->_http($method, $path, $body,
                           Authorization => "Bearer $key",
                           defined $body
                           ? ('Content-Type' => 'application/json') : ());

    my $json = eval { decode_json($answer->body) };

    note("$method $path: " . $answer->text) if $answer->status >= 400;

    return wantarray ? ($answer->status, $json, $answer) : $json;
}

sub put {
    my ($name, $text) = @_;

    my $file = $t->dir . "/$name";

    open my $f, '>:raw', $file or die "$file: $!";
    print $f $text;
    close $f;

    return $file;
}

# a sample, with what it leaves to the reader before and after

sub sample {
    my ($name, $before, $after) = @_;

    my $text = slurp("$root/t/fixtures/samples/$name");

    $text =~ s!https://api\.example\.com/v1!$base!g;
    $text =~ s/your_api_key_here|YOUR_API_KEY/$key/g;

    return put($name, ($before || '') . $text . ($after || ''));
}

# what a program says, decoded

sub said {
    my (@command) = @_;

    unlink $out;

    my $status = command({ out => $out, err => "$out.err", env => {
        PYTHONIOENCODING => 'utf-8' } }, @command);

    diag(slurp("$out.err")) if $status != 0;

    return slurp($out);
}

# python3 may be one that has no requests, which Debian's has

my ($python) = grep { -x $_ && command({ out => '/dev/null' }, $_, '-c',
                                       'import requests') == 0 }
               '/usr/bin/python3', map { "$_/python3" } split /:/, $ENV{PATH};

$python or die "no python3 with requests, \"make deps\" installs it\n";


# devices

my ($status, $body, $answer) = api('POST', '/v1/devices',
    '{"serial_number": "AKJD193840129","name": "Main Office Entrance",'
    . '"location": "Building A, Floor 1"}');

is($status, 201, 'POST /v1/devices');
like($answer->header('location'), qr!^http://[^/]+/v1/devices/AKJD193840129\z!,
     'Location');
is("$body->{id} $body->{name}, $body->{location}",
   'AKJD193840129 Main Office Entrance, Building A, Floor 1', 'its answer');

$t->psql("SELECT iclock.set_device('AKJD193840129',"
         . " timezone => 'Asia/Kolkata')");

my $terminal = $t->terminal('AKJD193840129');

$terminal->online();
$terminal->punches([ 'EMP_001', '2026-03-02 08:30:12', 0, 1 ],
                   [ 'EMP_001', '2026-03-02 17:01:00', 1, 15 ],
                   [ 'EMP_002', '2026-03-03 08:00:00', 0, 1 ],
                   [ 'EMP_001', '2026-04-01 08:00:00', 0, 1 ]);

ok(wait_until(30, sub {
       ($status, $body) = api('GET', '/v1/devices/AKJD193840129');
       return $status == 200 && $body->{status} eq 'online';
   }), 'GET /v1/devices/AKJD193840129: status');
ok(exists $body->{$_}, $_) for qw/ users logs storage /;


# users

my $template = encode_base64(join('', map { chr($_ * 37 % 256) } 1 .. 480),
                             '');

($status, $body) = api('POST', '/v1/users',
    '{"device_id": "AKJD193840129","user_id": "EMP_001","name": "John Doe",'
    . '"templates": [{"type": "fingerprint","data": "' . $template
    . '","index": 0}]}');

is($status, 201, 'POST /v1/users');
is($body->{user_id}, 'EMP_001', 'the id to be stored');

ok(wait_until(30, sub { $terminal->work_off() }), 'the terminal gets it');
is($t->psql("SELECT name FROM iclock.device_user WHERE pin = 'EMP_001'"),
   'John Doe', 'and has the user');

($status) = api('PUT', '/v1/users/EMP_001',
                '{ "name": "John A. Doe", "department": "Engineering" }');
is($status, 200, 'PUT /v1/users/EMP_001');

$body = api('GET', '/v1/users/EMP_001');
is("$body->{name}, $body->{department}", 'John A. Doe, Engineering',
   'is what it is now');

my $users = join ',', map { my ($id, $name) = @$_;
    qq({ "user_id": "$id", "name": "$name", "templates": [)
    . qq({"type":"fingerprint","data":"$template","index":0}] }) }
    [ 'EMP_001', 'John Doe' ], [ 'EMP_002', 'Jane Smith' ];

($status, $body) = api('POST', '/v1/users/batch',
    qq({"device_id": "AKJD193840129","users": [$users]}));
is($status, 201, 'POST /v1/users/batch');
is(join(' ', map { "$_->{user_id}:$_->{status}" } @{$body->{results}}),
   'EMP_001:201 EMP_002:201', 'each of them');


# samples: logs

my $logs = "EMP_001 \xe2\x86\x92 CheckIn at 2026-03-02T03:00:12Z\n"
           . "EMP_001 \xe2\x86\x92 CheckOut at 2026-03-02T11:31:00Z\n";

sub sorted { return join '', sort map { "$_\n" } split /\n/, $_[0] }

is(sorted(said($python, sample('fetch_logs.py'))), $logs,
   'fetch_logs.py prints the logs');
is(sorted(said('node', sample('fetch_logs.mjs')) =~ s/^EMP_002.*\n//mr), $logs,
   'fetch_logs.mjs');

$body = decode_json(said('sh', sample('fetch_logs.sh')));
is(scalar @{$body->{data}}, 3, 'curl');


# samples: a user from an enrolment station

$t->terminal('DEVICE_12345')->online();

is(said($python, sample('enroll.py', <<'END')),

import base64


def capture_fingerprint_from_scanner():
    return bytes(i * 7 % 256 for i in range(500))


def capture_backup_finger():
    return base64.b64encode(bytes(range(250))).decode()


END
   "\xe2\x9c\x93 User EMP_001 enrolled\n", 'enroll.py');
is($t->psql("SELECT count(*) FROM iclock.command c JOIN iclock.device d"
            . " ON d.id = c.device_id WHERE serial_number = 'DEVICE_12345'"
            . " AND body LIKE 'DATA UPDATE FINGERTMP%'"), 2,
   'its fingerprints wait for the terminal');

# an error tells what is wrong where the sample looks for it

like(said($python, sample('enroll.py', "import base64\n"
          . "capture_fingerprint_from_scanner = lambda: b'x'\n"
          . "capture_backup_finger = lambda: '!'\n")),
     qr/^\xe2\x9c\x97 Error: \S/, 'enroll.py, an error');


# samples: try again after 429

my $slow = $t->psql("SELECT iclock.create_api_key('slow',"
                    . " ARRAY['users:write'], rate => 10, burst => 1)");

like(said($python, sample('api_request.py', '', <<"END")),

for name in ('One', 'Two'):
    api_request('$base/users', {'Authorization': 'Bearer $slow'},
                {'device_id': 'DEVICE_12345', 'user_id': '77', 'name': name})
    print(name)
END
     qr/^One\n(?:Retrying in \ds \(HTTP 429\)\.\.\.\n)+Two\n\z/,
     'api_request.py waits and goes on');


# samples: a handler of webhooks, with express and a database of two arrays

my $port = $t->nginx->free_port();
my $got = put('got', '');
my ($hook, $secret) = split /\|/, $t->psql(
    "SELECT id, secret FROM iclock.create_webhook("
    . "'http://127.0.0.1:$port/webhooks/attendance',"
    . " types => ARRAY['attendance.punch'])");

put('around.js', <<'END');
const fs = require('fs');
const http = require('http');
const listen = http.Server.prototype.listen;

// not port 3000, which may be taken
http.Server.prototype.listen = function () {
    return listen.call(this, +process.env.TEST_PORT, '127.0.0.1');
};

const processed = [];

globalThis.db = {
    async query(sql, values) {
        if (/^SELECT/.test(sql)) {
            return processed.filter(id => id === values[0]);
        }
        if (/processed_events/.test(sql)) {
            processed.push(values[0]);
        } else {
            fs.appendFileSync(process.env.TEST_GOT, values.join(' ') + '\n');
        }
    }
};
END

my $handler = spawn({ out => $t->dir . '/handler.log', env => {
                          NODE_PATH => "$root/build/npm/node_modules",
                          WEBHOOK_SECRET => $secret, TEST_PORT => $port,
                          TEST_GOT => $got } },
                    'setpriv', '--pdeathsig', 'KILL', '--',
                    'node', '-r', $t->dir . '/around.js',
                    sample('webhook_handler.js'));

ok(wait_until(30, sub { eval { $t->connect(port => $port)->close(); 1 } }),
   'webhook_handler.js listens') or diag(slurp($t->dir . '/handler.log'));

# names that a handler which signs what it has parsed stumbles over

$t->psql("UPDATE iclock.device SET name = e'Main \\u2028 \"Entr\\\\ance\" \\n'"
         . " WHERE serial_number = 'AKJD193840129'");
$terminal->punches([ 'EMP_001', '2026-03-27 14:00:12', 0, 1 ]);

ok(wait_until(30, sub { slurp($got) ne '' }), 'it takes a punch');
is(slurp($got), "EMP_001 CheckIn 2026-03-27T08:30:12Z AKJD193840129\n",
   'and stores it');

is($t->post('/webhooks/attendance', '{}', -port => $port, 'Content-Type'
            => 'application/json', 'X-Signature' => '0' x 64)->status, 401,
   'it refuses another signature');

my $event = wait_until(30, sub { $t->psql(
    "SELECT event_id FROM iclock.webhook_attempt WHERE endpoint_id = '$hook'"
    . " LIMIT 1") });

($status, $body) = api('POST', "/v1/webhooks/$hook/resend",
                       qq({"event_ids":["$event"]}));
is("$status $body->{count}", '202 1', 'the same event once more');
ok(wait_until(30, sub {
       $t->psql("SELECT count(*) FROM iclock.webhook_attempt WHERE"
                . " response LIKE '%already_processed%'") == 1 }),
   'is known to it');
is(slurp($got) =~ tr/\n//, 1, 'and is stored once');

kill 'KILL', $handler;
waitpid $handler, 0;


# samples: the check of a signature in Python

$t->settled();
($status, $body) = api('POST', '/v1/webhooks',
                       '{"url":"' . $r->url('/python') . '"}');
is($status, 201, 'a webhook, made through the API');
$terminal->punches([ 'EMP_002', '2026-03-27 14:01:00', 1, 4 ]);
is($r->wait_for(1, '/python', 30), 1, 'it is called');

my ($request) = $r->requests('/python');

is(said($python, sample('verify_webhook.py', '', <<"END"),

import sys

payload = open(sys.argv[1], encoding='utf-8').read()
print(verify_webhook(payload, sys.argv[2], '$body->{secret}'),
      verify_webhook(payload + ' ', sys.argv[2], '$body->{secret}'))
END
        put('payload', $request->{body}),
        $request->{headers}{'x-signature'}), "True False\n",
   'verify_webhook.py takes it, and not with one byte more');


# the end of a user and of a device

is((api('DELETE', '/v1/users/EMP_001?device_id=AKJD193840129'))[0], 202,
   'DELETE /v1/users/EMP_001?device_id=AKJD193840129');
ok(wait_until(30, sub { $terminal->work_off(); $t->psql(
       "SELECT count(*) FROM iclock.device_user u JOIN iclock.device d"
       . " ON d.id = u.device_id WHERE serial_number = 'AKJD193840129'"
       . " AND pin = 'EMP_001'") == 0 }), 'the terminal has it no more');
is((api('DELETE', '/v1/devices/AKJD193840129'))[0], 204,
   'DELETE /v1/devices/AKJD193840129');
is((api('GET', '/v1/devices/AKJD193840129'))[0], 404, 'is gone');
is($t->psql("SELECT count(*) FROM iclock.punch"), 6, 'its punches are not');

$t->done();
