#!/usr/bin/perl

# Copyright (C) the ngx_http_iclock_module authors

# A standby: what it says of itself, and that it takes over.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Test::IClock;
use Test::IClock::Load;

my $t = Test::IClock->new;
my $primary = $t->pg;
my $standby = $primary->standby($t->dir . '/standby');
my $minute = 0;


sub upload {
    $minute++;

    return $t->device('REPL0001')->punches(sprintf
        "7\t2026-03-01 %02d:%02d:00\t0\t1", $minute / 60, $minute % 60);
}


sub configuration {
    my ($host, $attrs) = @_;

    return $t->device_server(pool => 'timeout=10s connect_timeout=5s',
                             database => $t->conninfo(host => $host,
                                 target_session_attrs => $attrs));
}


# alone

$t->start(configuration($standby->{dir}));

for my $name ('handshake', 'upload') {
    my $response = $name eq 'upload'
                   ? upload() : $t->device('REPL0001')->handshake();

    is($response->status . ' ' . $response->header('Retry-After'), '503 30',
       "standby: $name");
}

my $advice = 'the server is read-only: add target_session_attrs=read-write';

ok($t->wait_log(qr/\[error\].*SQLSTATE 25006: cannot execute.*, \Q$advice\E/),
   'standby: it tells what to do');
ok($t->wait_log(qr/\[error\].*refuses to listen.*during recovery/),
   'standby: it cannot be listened to either');
is($t->quit(), 0, 'standby: nginx exits');


# with the server that can write, which is not the first one, and fails

my $logged = length $t->error_log();

$t->start(configuration("$standby->{dir},$primary->{dir}", 'read-write'));
is(upload()->text, '200 OK: 1', 'both: upload');
unlike(substr($t->error_log(), $logged), qr/\[error\]/, 'both: nothing to say');
is($t->psql('SELECT DISTINCT pg_is_in_recovery() FROM pg_stat_activity'
            . " WHERE application_name LIKE 'iclock%'"), 'f',
   'both: on the one that can write');

my $load = Test::IClock::Load->start(port => $t->port, prefix => 'REPL');

ok(wait_until(60, sub { $t->psql('SELECT count(*) FROM iclock.punch') > 100 }),
   'failover: terminals upload');
$primary->stop('immediate');
$standby->promote();
$t->{pg} = $standby;
ok(wait_until(60, sub { upload()->status == 200 }), 'failover: uploads work');

my $report = $load->stop();

Test::IClock::Load::is_good($t, $report, 'failover');
cmp_ok($t->psql('SELECT count(DISTINCT p.device_id) FROM iclock.punch p'
                . ' LEFT JOIN iclock.device d ON d.id = p.device_id'
                . ' WHERE d.id IS NULL'), '==', 0,
       'failover: each punch has its device');

$t->done();
