#!/usr/bin/perl

# Copyright (C) the ngx_http_iclock_module authors

# Status and metrics: each counter moves by what terminals and programs have
# done, both formats say the same, and nobody who looks makes nginx ask the
# database; see status_faults.t for what may get lost.

use strict;
use warnings;

use FindBin;
use JSON::PP ();
use Test::More;
use Time::HiRes qw/ sleep time /;

use lib "$FindBin::Bin/lib";
use Test::IClock;
use Test::IClock::API;
use Test::IClock::Metrics;
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

my $m = Test::IClock::Metrics->new($t);


# The values of the JSON under the names that the text has for them: the table
# of docs/metrics.md says where they are.

my (%path, %labels, %of);

for (slurp("$root/docs/metrics.md")
     =~ /^\| (`iclock_\w+` \|.*) \|$/mg)
{
    my @cell = split / \| /;
    my ($name, $path) = map { s/`//gr } @cell[0, 5];

    $path{$name} = $path;
    $labels{$name} = [ $cell[2] =~ /`(\w+)`/g ];
    $of{$name} = $cell[3];
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

    my $value = Test::IClock::Metrics::values_of($text);

    return { map { my $v = $value->{$_};
                   (s/[{]/,/r =~ s/[}]//r) => $v }
             grep { !/^iclock_build_info|le="\+Inf"/ } keys %$value };
}


# the directive

for (map { "location /x { $_ }" } 'iclock_status xml;', 'iclock_status "";',
     'iclock_status json json;', 'iclock_status; iclock_status;')
{
    my ($status, $said) = $t->nginx_t($t->device_server(server => $_));

    isnt($status, 0, "nginx -t refuses $_");
    like($said, qr/"?iclock_status"?.* in .*\.conf:\d+/, 'and says where');
}


# everything is configured

$t->start($t->device_server(
    pool => 'timeout=1m',
    http => 'iclock_webhooks on; iclock_webhook_http on;'
            . ' iclock_api_pool timeout=1m;',
    server => $m->locations() . 'location /v1 { iclock_api; }'));

my $device = $t->device('STATUS01');

wait_until(30, sub { $m->value('statistics_timestamp_seconds') });

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

my $before = $m->mark();

is_deeply($m->moved(), {}, 'nobody who looks is counted');
is($before->{iclock_database_up}, 1, 'the database is there');
is($before->{iclock_workers}, 2, 'workers');
is($before->{iclock_schema_version}, $before->{iclock_schema_version_required},
   'the schema is as this module needs it');
ok(wait_until(30, sub { $m->value('listener_up') }), 'notifications arrive');

$m->mark();
$device->handshake();
$m->counted('a handshake',
            { 'requests_total{endpoint="cdata",code="200"}' => 1 });

my @punch = ([ 1001, '2026-11-20 08:00:00', 0, 1 ],
             [ 1002, '2026-11-20 08:00:01', 0, 1 ],
             [ 1003, '2026-11-20 08:00:02', 0, 1 ]);

$device->punches(@punch);
my $bytes = length join '', map { join("\t", @$_) . "\n" } @punch;
$m->counted('three punches',
            { 'requests_total{endpoint="cdata",code="200"}' => 1,
              'request_body_bytes_total' => $bytes,
              'records_total{kind="punch",result="stored"}' => 3 });

# these, whatever else there is

sub moved {
    my ($name, $expected) = @_;

    my $moved = $m->moved_by($expected);

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    is_deeply({ map { $_ => $moved->{$_} } keys %$expected }, $expected, $name);
}

$device->punches($punch[0], [ 1004, '2026-11-20 08:00:03', 0, 1 ],
                 "1005\tyesterday\t0\t1",
                 "\xff\xfe\t2026-11-20 08:00:04\t0\t1");
moved('one that is new, one as before, and two that can never be stored',
      { 'records_total{kind="punch",result="stored"}' => 1,
        'records_total{kind="punch",result="duplicate"}' => 1,
        'records_total{kind="punch",result="rejected"}' => 2,
        'rejected_lines_total{cause="date"}' => 1,
        'rejected_lines_total{cause="encoding"}' => 1 });

$device->options('~FWVersion=Ver 8.0', 'UserCount=3');
$device->options('~FWVersion=Ver 8.0', 'UserCount=4');
moved('options that are new, and as before',
      { 'records_total{kind="option",result="stored"}' => 3,
        'records_total{kind="option",result="duplicate"}' => 1 });
$m->mark();

# the first one may find a mark
$device->poll() for 1 .. 3;
$m->counted('polls',
            { 'requests_total{endpoint="getrequest",code="200"}' => 3 });

$t->get('/iclock/nothing?SN=STATUS01');
$t->get('/iclock/cdata?SN=no');
$t->_http('DELETE', '/iclock/cdata?SN=STATUS01', undef);
$m->counted('what is refused at once',
            { 'requests_total{endpoint="other",code="404"}' => 1,
              'requests_total{endpoint="cdata",code="400"}' => 1,
              'requests_total{endpoint="cdata",code="405"}' => 1,
              'refusals_total{reason="path"}' => 1,
              'refusals_total{reason="serial"}' => 1,
              'refusals_total{reason="method"}' => 1 });

$t->request("POST /iclock/cdata?SN=STATUS01&table=ATTLOG HTTP/1.1\r\n"
            . "Host: localhost\r\nContent-Length: 99999999\r\n"
            . "Connection: close\r\n\r\n");
$m->counted('what is too large',
            { 'requests_total{endpoint="cdata",code="413"}' => 1,
              'refusals_total{reason="size"}' => 1 });

$t->device('STATUS02')->poll();
$t->psql("UPDATE iclock.device SET status = 'blocked'"
         . " WHERE serial_number = 'STATUS02'");
wait_until(30, sub { $t->device('STATUS02')->poll()->status == 403 });
$m->mark();
$t->device('STATUS02')->poll();
$m->counted('a device that is blocked',
            { 'requests_total{endpoint="getrequest",code="403"}' => 1,
              'refusals_total{reason="blocked"}' => 1 });


# a command, from the queue to its answer

$t->psql("SELECT iclock.reboot('STATUS01')");

my $id;
wait_until(30, sub { ($id) = $device->poll()->body =~ /^C:(\d+):/; $id });
moved('a command is given, after some time',
      { commands_handed_out_total => 1, command_delivery_seconds_count => 1 });

$device->ack($id, 0, 'REBOOT');
moved('it is answered, after some time',
      { 'requests_total{endpoint="devicecmd",code="200"}' => 1,
        'commands_finished_total{result="done"}' => 1,
        command_answer_seconds_count => 1 });

$device->ack($id, 0, 'REBOOT');
is($m->moved_by({ 'requests_total{endpoint="devicecmd",code="200"}' => 1 })
       ->{'commands_finished_total{result="done"}'}, undef,
   'which is counted once');


# programs

my $client = Test::IClock::API->new($t);

$m->mark();
$client->get('/devices');
$client->get('/devices/NOBODY00');
$client->get('/nothing');
$t->get('/v1/devices');
$m->counted('requests of programs',
            { 'api_requests_total{operation="devices_list",class="2xx"}' => 1,
              'api_requests_total{operation="devices_list",class="4xx"}' => 1,
              'api_requests_total{operation="devices_get",class="4xx"}' => 1,
              'api_requests_total{operation="other",class="4xx"}' => 1,
              'api_rejected_total{reason="no_key"}' => 1 });


$id = $t->psql("SELECT iclock.queue_command('STATUS02', 'CHECK')");
$m->mark();
$client->delete("/commands/$id");
$client->delete("/commands/$id");
$m->counted('a command is cancelled',
            { 'api_requests_total{operation="commands_delete",class="2xx"}'
                  => 1,
              'api_requests_total{operation="commands_delete",class="4xx"}'
                  => 1,
              'commands_finished_total{result="cancelled"}' => 1 });


# what a device is called, and what it sends as names

$t->psql("SELECT iclock.set_device('STATUS01', name => 'Gate 7',"
         . " site => 'Nashik')");
is($t->get('/iclock/Nashik%22%7D?SN=STATUS01')->status, 404,
   'a path that nobody knows');
is($t->post('/iclock/cdata?SN=STATUS01&table=Nashik%22%7D&Stamp=1',
            "1\n")->status, 200, 'a table that nobody knows');
is($client->get('/Nashik')->status, 404, 'an operation that is none');


# both formats say the same

my ($text, %of_text, %of_json, @differ);

# nginx goes on meanwhile, and a turn of the loop is counted by each look

wait_until(30, sub {
    $text = $m->text();
    %of_text = %{flat_text($text)};
    %of_json = %{flat($json->decode($t->get('/status')->body))};

    delete @$_{grep { /event_loop/ } keys %$_} for \%of_text, \%of_json;

    @differ = grep { abs($of_text{$_} - ($of_json{$_} // 0)) > 1e-6 }
              sort keys %of_text;

    return !@differ;
});

cmp_ok(scalar keys %of_text, '>', 500, 'there are many series');
cmp_ok(scalar keys %of_text, '<=', 1500, 'but not too many');
is(join(' ', grep { !defined $of_json{$_} } sort keys %of_text), '',
   'JSON has all that the text has');
is(join(' ', grep { !defined $of_text{$_} } sort keys %of_json), '',
   'and the text has all that JSON has');
is(join(' ', @differ), '', 'they are equal');


# histograms: the bounds grow, so do the buckets, and the last one has all

my $values = Test::IClock::Metrics::values_of($text);
my (%bucket, @wrong);

for (split /\n/, $text) {
    my ($name, $pairs, $bound, $n)
        = /^(\w+)_bucket\{(.*?),?le="([^"]+)"\} (\d+)\z/ or next;
    my $last = $bucket{$name}{$pairs} || [ 0, 0 ];

    push @wrong, $_ if $last->[0] eq '+Inf' || $n < $last->[1]
                       || ($bound ne '+Inf' && $bound <= $last->[0]);
    $bucket{$name}{$pairs} = [ $bound, $n ];
}

cmp_ok(scalar keys %bucket, '>=', 10, 'there are histograms');

for my $name (sort keys %bucket) {
    for my $pairs (sort keys %{$bucket{$name}}) {
        my ($bound, $n) = @{$bucket{$name}{$pairs}};
        my $count = "${name}_count" . ($pairs eq '' ? '' : "{$pairs}");

        push @wrong, $count if $bound ne '+Inf' || $n != $values->{$count};
    }
}

is(join("\n", @wrong), '', 'their buckets are in order, +Inf is the count');


# the schema

is($m->schema_errors($t->get('/status')->body, $root), '',
   'JSON is as its schema says');
like($m->schema_errors('{"schema":1}', $root), qr/required/,
     'which refuses others');

# a member that the schema does not have, outside and in a room

for my $place ('"schema":1,', '"zone":{') {
    my $body = $t->get('/status')->body;

    ok($body =~ s/\Q$place\E/$place"more":1,/, "$place is there");
    like($m->schema_errors($body, $root), qr/additional properties/,
         'one member more is refused');
}

$m->promtool('all of them', $text);


# no label holds what is of a device or a person

# a value may have any digits

my $labels = join "\n", $text =~ /\{(.*)\}/g;

like($labels, qr/result="/, 'labels');
unlike($labels, qr/STATUS0|1001|127\.0\.0\.1|ik_live|Nashik|Gate/,
       'no serial number, no PIN, no site');
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

# of each statement that nginx sends

sub statements {
    return map { split / / } $t->psql_lines(
        "SELECT queryid || ' ' || sum(calls) FROM pg_stat_statements s"
        . ' JOIN pg_roles r ON r.oid = s.userid'
        . " WHERE rolname = 'iclock_nginx' GROUP BY queryid");
}

my $calls = calls();
my %before = statements();
my $start = time;
my @answer = $t->concurrently([ map { [ 'GET', $_ % 2 ? '/status'
                                                      : '/metrics' ] }
                                1 .. 400 ], connections => 20);
is(scalar(grep { $_ && $_->status == 200 } @answer), 400, '400 looks');
cmp_ok(calls() - $calls, '<=', 1 + (time - $start) / 30,
       'and at most one reading in 30 seconds');

my %after = statements();

is(join(' ', grep { $after{$_} - ($before{$_} || 0) >= 200 } keys %after), '',
   'no statement goes with them');


# Each value of the database is shown under its own label: here all of them
# differ.  What they are is tested by sql/statistics.sql.

$t->psql('ALTER FUNCTION iclock.statistics() RENAME TO real_statistics');
$t->psql(<<'SQL');
CREATE FUNCTION iclock.statistics()
    RETURNS TABLE (name text, label text, value double precision)
    LANGUAGE sql VOLATILE SECURITY DEFINER AS $$
    SELECT s.name, s.label,
           1000 + row_number() OVER (ORDER BY s.name, s.label)::float8
      FROM iclock.real_statistics() s
$$;
SQL
$t->psql('GRANT EXECUTE ON FUNCTION iclock.statistics() TO PUBLIC');
$t->reload();

my %told;

for ($t->psql_lines('SELECT name, label, value FROM iclock.statistics()')) {
    my ($name, $label, $value) = split /\|/;

    $name = "iclock_$name";
    $name .= "{$labels{$name}[0]=\"$label\"}" if $label ne '';
    $told{$name} = $value;
}

cmp_ok(scalar keys %told, '>', 30, 'the database tells of much');

my ($now, @other);

wait_until(90, sub {
    $now = $m->now();
    @other = grep { ($now->{$_} // '') ne $told{$_} } sort keys %told;

    return !@other;
});

is(join(' ', @other), '', 'each value stands under its label');
is(join(' ', grep { my ($name) = /^(\w+)/;
                    ($of{$name} // '') eq 'database' && !exists $told{$_} }
             sort keys %$now),
   'iclock_statistics_timestamp_seconds', 'and there are no others');

$t->done();
