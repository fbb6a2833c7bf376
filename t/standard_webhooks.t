#!/usr/bin/perl

# Copyright (C) the ngx_http_iclock_module authors

# Webhooks as their receivers see them: the official library of Standard
# Webhooks takes every delivery as it is and refuses what was changed; so do
# the functions of docs/integrate.md.

use strict;
use warnings;

use FindBin;
use JSON::PP;
use MIME::Base64 qw/ encode_base64 /;
use Test::More;

use lib "$FindBin::Bin/lib";
use Test::IClock;
use Test::IClock::Process qw/ command slurp /;
use Test::IClock::Receiver;

my $root = "$FindBin::Bin/..";
my $t = Test::IClock->new();
my $r = $t->receiver();
my $pg = $t->pg;

command({ out => $t->dir . '/npm.log' }, "$root/tools/npm/fetch",
        "$root/build/npm") == 0
    or die "no packages of npm: " . slurp($t->dir . '/npm.log');


# programs: each reads a file of requests and secrets and writes, for each of
# them, what it says

my $doc = slurp("$root/docs/integrate.md");

sub sample {
    my ($language, $name) = @_;

    my ($code) = $doc =~ /^```$language\n((?:\#|\/\/) \Q$name\E\n.*?)^```$/ms
        or die "docs/integrate.md has no $name\n";

    return $code;
}

sub put {
    my ($name, $text) = @_;

    my $file = $t->dir . "/$name";

    open my $out, '>:raw', $file or die "$file: $!";
    print $out $text;
    close $out;

    return $file;
}

put('verify.js', sample('js', 'verify.js'));
put('verify.py', sample('python', 'verify.py'));

my %program = (
    'the official library' => [ 'node', put('official.js', <<'END') ],
const { Webhook } = require(process.argv[3] + '/standardwebhooks');
const requests = JSON.parse(require('fs').readFileSync(process.argv[2]));

for (const { headers, body, secret } of requests) {
    let said;

    try {
        const event = new Webhook(secret)
            .verify(Buffer.from(body, 'base64'), headers);
        said = 'yes ' + event.type;
    } catch (e) {
        said = e.message;
    }

    console.log(said);
}
END
    'the JavaScript of docs/integrate.md' => [ 'node', put('js.js', <<'END') ],
const { verify } = require('./verify.js');
const requests = JSON.parse(require('fs').readFileSync(process.argv[2]));

for (const { headers, body, secret } of requests) {
    const raw = Buffer.from(body, 'base64');
    console.log(verify(headers, raw, secret)
                ? 'yes ' + JSON.parse(raw).type : 'no');
}
END
    'the Python of docs/integrate.md' => [ 'python3', put('py.py', <<'END') ],
import base64, json, sys
from verify import verify

for request in json.load(open(sys.argv[1])):
    body = base64.b64decode(request['body'])
    print('yes ' + json.loads(body)['type']
          if verify(request['headers'], body, request['secret']) else 'no')
END
);

# what a program says of requests: a list

sub ask {
    my ($who, @request) = @_;

    # headers are texts
    my $in = put('requests.json', JSON::PP->new->ascii->encode(
        [ map { my $h = $_->{headers};
                { headers => { map { $_ => "$h->{$_}" } keys %$h },
                  secret => $_->{secret},
                  body => encode_base64($_->{body}, '') } } @request ]));
    my $out = $t->dir . '/said';

    unlink $out;
    command({ out => $out, err => "$out.err" }, @{$program{$who}}, $in,
            "$root/build/npm/node_modules") == 0
        or diag(slurp("$out.err"));

    return split /\n/, slurp($out);
}

sub changed {
    my ($request, %change) = @_;

    my %headers = (%{$request->{headers}}, %{delete $change{headers} || {}});

    return { %$request, %change, headers => \%headers };
}

# a request that was right six minutes ago

sub late {
    my ($request) = @_;

    my $then = $request->{headers}{'webhook-timestamp'} - 360;
    my ($v1) = Test::IClock::Receiver::signature($request->{secret},
        $request->{headers}{'webhook-id'}, $then, $request->{body});

    return changed($request, headers => { 'webhook-timestamp' => $then,
                                          'webhook-signature' => $v1 });
}


# deliveries

$pg->psql('GRANT iclock_api TO ' . Test::IClock::Postgres::LOGIN());

$t->start($t->device_server(http => <<'END'));
    iclock_webhooks on;
    iclock_webhook_http on;
    iclock_webhook_allow 127.0.0.0/8;
END

my ($id, $secret) = split /\|/, $t->psql(
    "SELECT id, secret FROM iclock.create_webhook('" . $r->url('/hook') . "')");

like($secret, qr/^whsec_[A-Za-z0-9+\/]{32,}=*\z/, 'a secret');

my $terminal = $t->terminal('WEBHOOK0001');

$terminal->online();

# names that are hard to write in JSON, as terminals send them

my @name = ('Asha "A" \\ Rao', "J\x{fc}rgen \x{1f600}", "line\x{2028}end",
            "</script>&<b>", "\x{dc}\x{7f}\x{1}", '1.50', '   ');

for my $i (0 .. $#name) {
    my $name = $name[$i];

    utf8::encode($name);
    $t->post('/iclock/cdata?SN=WEBHOOK0001&table=OPERLOG',
             sprintf "USER PIN=%d\tName=%s\tPri=0\n", 100 + $i, $name);
}

$terminal->punches(map { [ 100 + $_, "2026-11-20 08:00:0$_", $_, 1 ] }
                   0 .. $#name);
$t->psql("SELECT iclock.test_webhook('$id')");

my $punches = sub {
    grep { $_->{headers}{'iclock-event'} eq 'attendance.punch' }
         $r->requests('/hook');
};

ok(wait_until(30, sub { $punches->() >= @name
       && grep { $_->{body} =~ /"type":"webhook\.test"/ }
               $r->requests('/hook') }),
   'punches and a test event arrive') or diag(scalar $r->requests('/hook'));

my @request = map { { %$_, secret => $secret } } $r->requests('/hook');
my @expected = map { 'yes ' . decode_json($_->{body})->{type} } @request;

is(scalar(grep { $r->verified($_, $secret) } @request), scalar @request,
   'all are signed, X-Signature too');
is(scalar(grep { decode_json($_->{body})->{event_id}
                 eq $_->{headers}{'webhook-id'} } @request), scalar @request,
   'the id is that of the event');
is(scalar(grep { abs($_->{time} - $_->{headers}{'webhook-timestamp'}) < 30 }
          @request), scalar @request, 'the time is that of the attempt');

my $one = (grep { $_->{body} =~ /attendance\.punch/ } @request)[0];
my $tampered = $one->{body} =~ s/("status":)\d/${1}9/r;
my $other = 'whsec_' . encode_base64('x' x 32, '');

isnt($tampered, $one->{body}, 'one byte will be another');

for my $who (sort keys %program) {
    is_deeply([ ask($who, @request) ], \@expected, "$who: verifies each");

    my @said = ask($who, $one, changed($one, body => $tampered),
                   changed($one, secret => $other), late($one),
                   changed($one, headers => { 'webhook-id' => 'evt_1' }),
                   changed($one, headers => { 'webhook-signature' => 'v1,' }));

    is(shift @said, 'yes attendance.punch', "$who: as it is");

    for my $what ('another byte', 'another secret', 'six minutes old',
                  'another id', 'no signature')
    {
        unlike(shift(@said) // 'yes', qr/^yes/, "$who: refuses $what");
    }
}


# bytes: who signs what JSON.stringify() makes of the body gets the same

my $strings = put('strings.js', <<'END');
const requests = JSON.parse(require('fs').readFileSync(process.argv[2]));
for (const r of requests) {
    const body = Buffer.from(r.body, 'base64').toString();
    console.log(JSON.stringify(JSON.parse(body)) === body ? 'same' : body);
}
END

$program{strings} = [ 'node', $strings ];
is(join(' ', ask('strings', @request)), join(' ', ('same') x @request),
   'JSON.stringify(JSON.parse(body)) is the body');


# rotation: either secret is right for a while

my $next = $t->psql("SELECT iclock.rotate_webhook_secret('$id')");

like($next, qr/^whsec_/, 'another secret');
isnt($next, $secret, 'is another one');

my $signatures = 0;

ok(wait_until(30, sub {
       $t->psql("SELECT iclock.test_webhook('$id')");
       sleep 1;
       my ($last) = ($r->requests('/hook'))[-1];
       $one = { %$last, secret => $secret };
       $signatures = split / /, $last->{headers}{'webhook-signature'};
       return $signatures == 2;
   }), 'two signatures') or diag($signatures);

is(join('|', ask('the official library', $one,
                 changed($one, secret => $next))),
   'yes webhook.test|yes webhook.test', 'either secret verifies');
ok($r->verified($one, $next), 'X-Signature is of the new one');

$t->psql("UPDATE iclock.webhook_endpoint SET previous_until = now()");
ok(wait_until(30, sub {
       $t->psql("SELECT iclock.test_webhook('$id')");
       sleep 1;
       my ($last) = ($r->requests('/hook'))[-1];
       $one = { %$last, secret => $secret };
       return $last->{headers}{'webhook-signature'} !~ / /;
   }), 'one signature after the overlap');
is(join('|', map { /^yes/ ? 'yes' : 'no' }
             ask('the official library', $one,
                 changed($one, secret => $next))), 'no|yes',
   'of the new secret');


# batches

($id, $secret) = split /\|/, $t->psql(
    "SELECT id, secret FROM iclock.create_webhook('" . $r->url('/batch')
    . "', batch => 50)");

$terminal->punches([ 200, '2026-11-20 09:00:00', 0, 1 ]);
is($r->wait_for(1, '/batch', 30), 1, 'an endpoint that takes batches');
$terminal->punches(map { [ 200 + $_, sprintf('2026-11-20 09:00:%02d', $_), 0,
                           1 ] } 1 .. 40);

my $count = sub {
    my $n = 0;
    for ($r->requests('/batch')) {
        my $body = decode_json($_->{body});
        $n += $body->{type} eq 'batch' ? @{$body->{data}} : 1;
    }
    return $n;
};

ok(wait_until(30, sub { $count->() >= 41 }), 'batches arrive');
@request = map { { %$_, secret => $secret } } $r->requests('/batch');
is(scalar(grep { /^yes/ } ask('the official library', @request)),
   scalar @request, 'are verified');
like($request[-1]{headers}{'webhook-id'}, qr/^batch_evt_\w+_\d+\z/,
     'have an id of their own');
cmp_ok(scalar(@request), '<', 41, 'and are fewer than punches');

$t->done();
