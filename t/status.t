#!/usr/bin/perl

# Copyright (C) the ngx_http_iclock_module authors

# Status and metrics: each counter moves by what terminals have done, both
# formats say the same, reloads and workers that die lose nothing, and nobody
# who looks makes nginx ask the database.

use strict;
use warnings;

use FindBin;
use JSON::PP ();
use Test::More;
use Time::HiRes qw/ sleep time /;

use lib "$FindBin::Bin/lib";
use Test::IClock;
use Test::IClock::API;
use Test::IClock::Process qw/ command slurp /;

my $root = "$FindBin::Bin/..";
my $json = JSON::PP->new->utf8->canonical;
my $t = Test::IClock->new(settings => [
    [ shared_preload_libraries => 'pg_stat_statements' ],
    [ 'pg_stat_statements.track' => 'top' ],
]);
my $dir = $t->dir();

$t->psql('CREATE EXTENSION pg_stat_statements');
$t->psql('GRANT iclock_api TO ' . Test::IClock::Postgres::LOGIN());

my $places = <<'END';
        location = /status { iclock_status; }
        location = /metrics { iclock_status prometheus; }
END

sub server { return $t->device_server(server => $places . ($_[0] || ''),
                                      http => $_[1] || '') }

my $api = 'location /v1 { iclock_api; }';


# Values by name and labels.  A worker gives out what it has written for a
# tenth of a second.

sub text {
    sleep 0.11;

    return $t->get('/metrics')->body;
}


sub values_of {
    my ($text) = @_;

    return { map { /^(\S+) (\S+)\z/ ? ($1 => $2) : () } split /\n/, $text };
}


sub now { return values_of(text()) }

my $before;

# what has changed since $before, without what changes by itself

sub moved {
    my $now = now();

    my %moved = map { my $d = $now->{$_} - ($before->{$_} // 0);
                      $d ? ("$_" => $d) : () }
                grep { /_total|_count/
                       && !/event_loop|commit|queue_wait|pool_|statistics/ }
                sort keys %$now;

    $before = $now;

    return { map { s/^iclock_//r => $moved{$_} } keys %moved };
}


sub promtool {
    my ($name, $text) = @_;

    open my $f, '>', "$dir/metrics.txt" or die "$dir/metrics.txt: $!";
    print $f $text;
    close $f;

    unlink "$dir/promtool.log";

    is(command({ out => "$dir/promtool.log" }, 'sh', '-c',
               'promtool check metrics < "$1"', 'sh', "$dir/metrics.txt"), 0,
       "promtool takes them: $name") or diag(slurp("$dir/promtool.log"));
}


# The values of the JSON under the names that the text has for them: the table
# of docs/metrics.md says where they are.

my (%path, %labels);

for (slurp("$root/docs/metrics.md")
     =~ /^\| (`iclock_\w+` \|.*) \|$/mg)
{
    my @cell = split / \| /;
    my ($name, $path) = map { s/`//gr } @cell[0, 5];

    $path{$name} = $path;
    $labels{$name} = [ $cell[2] =~ /`(\w+)`/g ];
}

sub flat {
    my ($document) = @_;

    my %value;

    for my $name (keys %path) {
        my $v = $document;

        $v = ref $v ? $v->{$_} : undef for split /\./, $path{$name};
        labelled(\%value, $name, $v, [], @{$labels{$name}});
    }

    return \%value;
}


sub labelled {
    my ($value, $name, $v, $pairs, $label, @rest) = @_;

    if (defined $label) {
        labelled($value, $name, $v->{$_}, [ @$pairs, "$label=\"$_\"" ], @rest)
            for ref $v ? keys %$v : ();
        return;
    }

    if (ref $v) {
        my $unit = $name =~ /_seconds\z/ ? '_seconds' : '';

        $value->{join ',', "${name}_bucket", @$pairs, "le=\"$_->[0]\""}
            = $_->[1] for @{$v->{buckets}};
        $value->{join ',', "${name}_count", @$pairs} = $v->{count};
        $value->{join ',', "${name}_sum", @$pairs} = $v->{"sum$unit"};
        return;
    }

    $value->{join ',', $name, @$pairs} = $v if defined $v;
}


sub flat_text {
    my ($text) = @_;

    my $value = values_of($text);

    return { map { my $v = $value->{$_};
                   (s/[{]/,/r =~ s/[}]//r) => $v }
             grep { !/^iclock_build_info|le="\+Inf"/ } keys %$value };
}


# everything is configured

my $full = server($api, 'iclock_webhooks on; iclock_webhook_http on;');

$t->start($full);

my $device = $t->device('STATUS01');

wait_until(20, sub { now()->{iclock_statistics_timestamp_seconds} });

is($t->get('/status')->status, 200, 'JSON');
is($t->get('/status')->header('Content-Type'), 'application/json',
   'and its type');
is($t->get('/metrics')->header('Content-Type'),
   'text/plain; version=0.0.4; charset=utf-8', 'the type of the text');
is($t->get('/status')->header('Cache-Control'), 'no-store', 'is not kept');
like($t->get('/status?format=prometheus')->body, qr/^# HELP iclock_build_info /,
     'format=prometheus');
like($t->get('/metrics?format=json')->body, qr/^\{"schema":1,/, 'format=json');
is($t->get('/status?format=xml')->status, 400, 'no other format');
is($t->post('/status', 'x')->status, 405, 'no other method');


# what terminals do is counted, to the last one

$before = now();
is_deeply(moved(), {}, 'nobody who looks is counted');

is($before->{iclock_database_up}, 1, 'the database is there');
wait_until(10, sub { now()->{iclock_listener_up} });
is(now()->{iclock_listener_up}, 1, 'notifications arrive');
is($before->{iclock_workers}, 2, 'workers');
is($before->{iclock_schema_version}, $before->{iclock_schema_version_required},
   'the schema is as this module needs it');

$before = now();
$device->handshake();

sub counted {
    my ($name, $expected) = @_;

    my $moved = moved();

    # how long it took is another matter
    delete $moved->{$_} for grep { /_bucket|duration_seconds/ } keys %$moved;

    is_deeply($moved, $expected, $name) or diag(explain($moved));
}

$before = now();
$device->handshake();
counted('a handshake',
        { 'requests_total{endpoint="cdata",code="200"}' => 1 });

my @punch = ([ 1001, '2026-11-20 08:00:00', 0, 1 ],
             [ 1002, '2026-11-20 08:00:01', 0, 1 ],
             [ 1003, '2026-11-20 08:00:02', 0, 1 ]);

$device->punches(@punch);
my $bytes = length join '', map { join("\t", @$_) . "\n" } @punch;
counted('three punches',
        { 'requests_total{endpoint="cdata",code="200"}' => 1,
          'request_body_bytes_total' => $bytes,
          'records_total{kind="punch",result="stored"}' => 3 });

$device->punches($punch[0], [ 1004, '2026-11-20 08:00:03', 0, 1 ],
                 "1005\tyesterday\t0\t1", "\xff\xfe");
my $moved = moved();
is($moved->{'records_total{kind="punch",result="stored"}'}, 1, 'one is new');
is($moved->{'records_total{kind="punch",result="duplicate"}'}, 1,
   'one is stored already');
is($moved->{'records_total{kind="punch",result="rejected"}'}, 2,
   'two can never be stored');
is($moved->{'rejected_lines_total{cause="date"}'}, 1, 'one for its date');

$device->options('~FWVersion=Ver 8.0', 'UserCount=3');
$device->options('~FWVersion=Ver 8.0', 'UserCount=4');
$moved = moved();
is($moved->{'records_total{kind="option",result="stored"}'}, 3,
   'options that are new');
is($moved->{'records_total{kind="option",result="duplicate"}'}, 1,
   'and as before');

# the first one may find a mark
$device->poll() for 1 .. 3;
counted('polls', { 'requests_total{endpoint="getrequest",code="200"}' => 3 });

$t->get('/iclock/nothing?SN=STATUS01');
$t->get('/iclock/cdata?SN=no');
$t->_http('DELETE', '/iclock/cdata?SN=STATUS01', undef);
counted('what is refused at once',
        { 'requests_total{endpoint="other",code="404"}' => 1,
          'requests_total{endpoint="cdata",code="400"}' => 1,
          'requests_total{endpoint="cdata",code="405"}' => 1,
          'refusals_total{reason="path"}' => 1,
          'refusals_total{reason="serial"}' => 1,
          'refusals_total{reason="method"}' => 1 });

$t->request("POST /iclock/cdata?SN=STATUS01&table=ATTLOG HTTP/1.1\r\n"
            . "Host: localhost\r\nContent-Length: 99999999\r\n"
            . "Connection: close\r\n\r\n");
counted('what is too large',
        { 'requests_total{endpoint="cdata",code="413"}' => 1,
          'refusals_total{reason="size"}' => 1 });

$t->device('STATUS02')->poll();
$t->psql("UPDATE iclock.device SET status = 'blocked'"
         . " WHERE serial_number = 'STATUS02'");
wait_until(10, sub { $t->device('STATUS02')->poll()->status == 403 });
$before = now();
$t->device('STATUS02')->poll();
counted('a device that is blocked',
        { 'requests_total{endpoint="getrequest",code="403"}' => 1,
          'refusals_total{reason="blocked"}' => 1 });


# a command, from the queue to its answer

$t->psql("SELECT iclock.reboot('STATUS01')");

my $id;
wait_until(10, sub { ($id) = $device->poll()->body =~ /^C:(\d+):/; $id });
$before->{'iclock_requests_total{endpoint="getrequest",code="200"}'} =
    now()->{'iclock_requests_total{endpoint="getrequest",code="200"}'};
counted('a command is given',
        { 'commands_handed_out_total' => 1,
          'command_delivery_seconds_count' => 1 });

$device->ack($id, 0, 'REBOOT');
$moved = moved();
is($moved->{'commands_finished_total{result="done"}'}, 1, 'it is answered');
is($moved->{'command_answer_seconds_count'}, 1, 'after some time');

$device->ack($id, 0, 'REBOOT');
$moved = moved();
is($moved->{'commands_finished_total{result="done"}'}, undef,
   'which is counted once');


# programs

my $client = Test::IClock::API->new($t);

$before = now();
$client->get('/devices');
$client->get('/devices/NOBODY00');
$client->get('/nothing');
$t->get('/v1/devices');
$moved = moved();
delete $moved->{$_} for grep { /_bucket/ } keys %$moved;
is_deeply($moved, {
    'api_requests_total{operation="devices_list",class="2xx"}' => 1,
    'api_requests_total{operation="devices_list",class="4xx"}' => 1,
    'api_requests_total{operation="devices_get",class="4xx"}' => 1,
    'api_requests_total{operation="other",class="4xx"}' => 1,
    'api_rejected_total{reason="no_key"}' => 1,
    'api_request_duration_seconds_count{kind="page"}' => 2,
    'api_request_duration_seconds_count{kind="read"}' => 2,
}, 'requests of programs') or diag(explain($moved));


# both formats say the same

my ($document, $text);

for (1 .. 20) {
    sleep 0.11;
    my $first = text();
    $document = $json->decode($t->get('/status')->body);
    sleep 0.11;
    $text = text();

    # what went on meanwhile is of no interest
    last if !grep { flat_text($first)->{$_} ne flat_text($text)->{$_} }
            grep { !/event_loop/ } keys %{flat_text($text)};
}

my %of_text = %{flat_text($text)};
my %of_json = %{flat($document)};

delete @$_{grep { /event_loop/ } keys %$_} for \%of_text, \%of_json;

cmp_ok(scalar keys %of_text, '>', 500, 'there are many series');
cmp_ok(scalar keys %of_text, '<=', 1500, 'but not too many');
is(join(' ', grep { !defined $of_json{$_} } sort keys %of_text), '',
   'JSON has all that the text has');
is(join(' ', grep { !defined $of_text{$_} } sort keys %of_json), '',
   'and the text has all that JSON has');
is(join(' ', grep { abs($of_text{$_} - ($of_json{$_} // 0)) > 1e-6 }
             sort keys %of_text), '', 'they are equal');


# the schema

sub schema_errors {
    my ($body) = @_;

    my $file = "$dir/status.json";

    open my $f, '>:raw', $file or die "$file: $!";
    print $f $body;
    close $f;

    open $f, '>', "$dir/schema.js" or die "$dir/schema.js: $!";
    print $f <<'END';
const Ajv = require('ajv/dist/2020').default;
const ajv = new Ajv({ strict: false, allErrors: true });
const fs = require('fs');
require('ajv-formats').default(ajv);
const read = (name) => JSON.parse(fs.readFileSync(name));
const valid = ajv.compile(read(process.argv[2]));
if (!valid(read(process.argv[3]))) console.log(ajv.errorsText(valid.errors));
END
    close $f;

    unlink "$dir/schema.log";

    command({ out => "$dir/schema.log", env => {
                  NODE_PATH => "$root/build/npm/node_modules" } },
            'node', "$dir/schema.js", "$root/docs/status.schema.json", $file)
        == 0 or return 'node failed: ' . slurp("$dir/schema.log");

    return slurp("$dir/schema.log");
}


command({ out => "$dir/npm.log" }, "$root/tools/npm/fetch", "$root/build/npm")
    == 0 or die 'no packages of npm: ' . slurp("$dir/npm.log");

is(schema_errors($t->get('/status')->body), '', 'JSON is as its schema says');
like(schema_errors('{"schema":1}'), qr/required/, 'which refuses others');

promtool('all of them', $text);


# no label holds what is of a device or a person

unlike($text, qr/STATUS0|1001|127\.0\.0\.1|ik_live/, 'no serial number, no PIN');
is(join(' ', grep { !/^iclock_\w+(?:\{(?:\w+="[\w.+ -]*",?)+\})? [\d.]+\z/ }
             grep { !/^# (?:HELP|TYPE) / } split /\n/, $text), '',
   'every line is well formed');
my %helped;
$helped{$_}++ for $text =~ /^# TYPE (\S+)/mg;
is(join(' ', grep { $helped{$_} > 1 } keys %helped), '', 'HELP and TYPE once');


# who looks asks nothing of the database

sub calls {
    return $t->psql('SELECT coalesce(sum(calls), 0) FROM pg_stat_statements s'
                    . ' JOIN pg_roles r ON r.oid = s.userid'
                    . " WHERE rolname = 'iclock_nginx' AND query ~ 'statistics'"
                    );
}

my $calls = calls();
my @answer = $t->concurrently([ map { [ 'GET', $_ % 2 ? '/status'
                                                      : '/metrics' ] }
                                1 .. 400 ], connections => 20);
is(scalar(grep { $_ && $_->status == 200 } @answer), 400, '400 looks');
cmp_ok(calls() - $calls, '<=', 1, 'and at most one reading');


# nothing is lost

sub kept {
    my ($name, $changed) = @_;

    my $old = now();

    $changed->();

    my $new = now();

    is(join(' ', grep { ($new->{$_} // 0) < $old->{$_} }
                 grep { /_total|_count|_bucket|_sum/ } sort keys %$old), '',
       "nothing is lost: $name");
    is($new->{'iclock_records_total{kind="punch",result="stored"}'},
       $old->{'iclock_records_total{kind="punch",result="stored"}'},
       'nor counted twice');
    is($new->{iclock_start_time_seconds}, $old->{iclock_start_time_seconds},
       'since the same time');
}


# of all states

sub connections {
    my ($pool) = @_;

    my $now = now();
    my $n = 0;

    $n += $now->{$_} for grep { /^iclock_pool_connections[{]pool="$pool"/ }
                         keys %$now;

    return $n;
}


kept('a reload', sub { $t->reload() });
ok(wait_until(20, sub { now()->{iclock_workers} == 2 }),
   'workers that are gone are not counted');
ok(wait_until(20, sub { connections('listen') == 2 }),
   'nor are their connections');

$t->allow(qr/exited on signal 9/);
kept('workers that are killed', sub { $t->kill_worker() for 1 .. 2 });
ok(wait_until(20, sub { now()->{iclock_workers} == 2 }),
   'others take their places');
ok(wait_until(20, sub { connections('device') >= 2 }),
   'with their own connections');

$before = now();
$device->poll() for 1 .. 20;
$moved = moved();
is($moved->{'requests_total{endpoint="getrequest",code="200"}'}, 20,
   'and they count on');


# with some of it

$t->reload(server());
wait_until(20, sub { now()->{iclock_workers} == 2 });
$text = text();
promtool('devices alone', $text);
unlike($text, qr/iclock_(?:api|webhook|stream|events)_/, 'nothing of the rest');
unlike($text, qr/pool="api"/, 'nor of its pool');
$document = $json->decode($t->get('/status')->body);
is($document->{$_}, undef, "$_ is null") for qw/ api events webhooks stream /;
is(schema_errors($t->get('/status')->body), '', 'as the schema allows');

$t->reload("    server { listen 127.0.0.1:%%PORT%%; $places }");
$text = text();
promtool('nothing else', $text);
$document = $json->decode($t->get('/status')->body);
is($document->{$_}, undef, "$_ is null")
    for qw/ requests database devices commands zone /;
is(schema_errors($t->get('/status')->body), '', 'as the schema allows');

$t->done();
