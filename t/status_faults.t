#!/usr/bin/perl

# Copyright (C) the ngx_http_iclock_module authors

# Status and metrics: a reload and workers that are killed lose nothing, what
# is shown while the database is away, and of what is not configured.

use strict;
use warnings;

use FindBin;
use JSON::PP ();
use Test::More;

use lib "$FindBin::Bin/lib";
use Test::IClock;
use Test::IClock::Metrics;

my $root = "$FindBin::Bin/..";
my $json = JSON::PP->new->utf8->canonical;
my $t = Test::IClock->new();
my $m = Test::IClock::Metrics->new($t);

$t->start($t->device_server(server => $m->locations()));

my $device = $t->device('STATUS01');

$device->punches([ 1001, '2026-11-20 08:00:00', 0, 1 ],
                 [ 1002, '2026-11-20 08:00:01', 0, 1 ]);
ok(wait_until(30, sub { $m->value('listener_up') }), 'notifications arrive');


# nothing is lost

sub kept {
    my ($name, $changed) = @_;

    my $old = $m->now();

    $changed->();

    my $new = $m->now();

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

    my $now = $m->now();
    my $n = 0;

    $n += $now->{$_} for grep { /^iclock_pool_connections[{]pool="$pool"/ }
                         keys %$now;

    return $n;
}


kept('a reload', sub { $t->reload() });
ok(wait_until(30, sub { $m->value('workers') == 2 }),
   'workers that are gone are not counted');
ok(wait_until(30, sub { connections('listen') == 1 }),
   'nor are their connections');

$t->allow(qr/exited on signal 9/);
kept('workers that are killed', sub { $t->kill_worker() for 1 .. 2 });
ok(wait_until(30, sub { $m->value('workers') == 2 }),
   'others take their places');
ok(wait_until(30, sub { connections('device') >= 2 }),
   'with their own connections');

$m->mark();
$device->poll() for 1 .. 20;
my $poll = 'requests_total{endpoint="getrequest",code="200"}';
is($m->moved_by({ $poll => 20 })->{$poll}, 20, 'and they count on');


# while the database is away

$m->mark();
$t->allow(qr/PostgreSQL|\[alert\]|connect|terminating/);
$t->pg->stop();
ok(wait_until(30, sub { !$m->value('database_up') }),
   'the database is away');
is($device->punches([ 1009, '2026-11-20 09:00:00', 0, 1 ])->status, 503,
   'an upload is refused');
my %refused = ('requests_total{endpoint="cdata",code="503"}' => 1,
               'refusals_total{reason="database"}' => 1);
my $moved = $m->moved_by(\%refused);
is_deeply({ map { $_ => $moved->{$_} } keys %refused }, \%refused,
          'which is counted, with its reason');
is($t->get('/status')->status, 200, 'status needs no database');
$t->pg->start();
ok(wait_until(30, sub { $m->value('database_up') }), 'it is back');
ok(wait_until(30, sub { $m->value('listener_up') }),
   'and notifications arrive');


# with some of it

$t->reload($t->device_server(server => $m->locations()));
wait_until(30, sub { $m->value('workers') == 2 });
my $text = $m->text();
$m->promtool('devices alone', $text);
unlike($text, qr/iclock_(?:api|webhook|stream|events)_/, 'nothing of the rest');
unlike($text, qr/pool="api"/, 'nor of its pool');
my $document = $json->decode($t->get('/status')->body);
is($document->{$_}, undef, "$_ is null") for qw/ api events webhooks stream /;
is($m->schema_errors($t->get('/status')->body, $root), '',
   'as the schema allows');

$t->reload('    server { listen 127.0.0.1:%%PORT%%; '
           . $m->locations() . ' }');
$text = $m->text();
$m->promtool('nothing else', $text);
$document = $json->decode($t->get('/status')->body);
is($document->{$_}, undef, "$_ is null")
    for qw/ requests database devices commands zone /;
is($m->schema_errors($t->get('/status')->body, $root), '',
   'as the schema allows');

$t->done();
