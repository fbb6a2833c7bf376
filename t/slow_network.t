#!/usr/bin/perl

# Copyright (C) the ngx_http_iclock_module authors

# A bad network between nginx and PostgreSQL: single bytes, stalls, and resets
# in every phase of a connection.

use strict;
use warnings;

use FindBin;
use Test::More;
use Time::HiRes qw/ sleep /;

use lib "$FindBin::Bin/lib";
use Test::IClock;
use Test::IClock::Load;

my $t = Test::IClock->new;
my $proxy = $t->proxy();
my $minute = 0;
my %acknowledged;


sub upload {
    my ($sn) = @_;

    $minute++;

    my $local = sprintf '2026-03-01 %02d:%02d:00', int($minute / 60),
                        $minute % 60;
    my $response = $t->device($sn)->punches("7\t$local\t0\t1");

    if ($response->text eq '200 OK: 1') {
        $acknowledged{"$sn|7|$local"} = 1;
        return 1;
    }

    # the listed replies are all that a terminal may see
    fail('upload') or diag($response->text)
        if $response->status != 503 || !$response->header('Retry-After');

    return 0;
}


sub uploads_work {
    my ($name) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    ok(wait_until(300, sub { upload('SLOW0001') }), "uploads work $name");
}


sub under_load {
    my ($name, $code, %option) = @_;

    my $load = Test::IClock::Load->start(port => $t->port, %option);

    $code->();

    my $report = $load->stop();

    Test::IClock::Load::is_good($t, $report, $name);

    return $report;
}


sub configuration {
    my ($pool) = @_;

    return $t->device_server(pool => "connections=4 $pool",
        database => $t->conninfo(host => '127.0.0.1', port => $proxy->port),
        http => 'iclock_listen_database "' . $t->conninfo() . '";');
}


$t->start(configuration('timeout=10m connect_timeout=10m'), workers => 1);

uploads_work('through the proxy');


# single bytes

$proxy->mode('byte');
$proxy->reset_all();
uploads_work('byte by byte');

$t->psql("SELECT count(iclock.queue_command('SLOW0001', 'DATA QUERY ' || n))"
         . ' FROM generate_series(1, 150) n');

my @command;

wait_until(300, sub {
    push @command, $t->device('SLOW0001', timeout => 300)->poll()->commands();
    @command >= 150;
});

is(join(' ', map { $_->[1] =~ /(\d+)$/ } @command), join(' ', 1 .. 150),
   'commands arrive byte by byte');

my $report = under_load('bytes', sub {
    ok(wait_until(300, sub {
        $t->psql("SELECT count(*) FROM iclock.punch p JOIN iclock.device d"
                 . " ON d.id = p.device_id WHERE serial_number LIKE 'BYTE%'")
            >= 32
    }), 'bytes: punches are stored');
}, prefix => 'BYTE', clients => 16, patience => 300);
cmp_ok(@{$report->{acknowledged}}, '>=', 32, 'bytes: punches are acknowledged');

$proxy->mode('byte', dir => 'up');
uploads_work('byte by byte to the server');
$proxy->mode('byte', dir => 'down');
uploads_work('byte by byte from the server');


# how much goes over a connection until its first punch is stored

$proxy->mode('pass');
$proxy->reset_all();
$t->reload(configuration('timeout=1s connect_timeout=1s'), wait => 1);
uploads_work('again');
sleep 1.1;

my $before = $proxy->stats();
$proxy->reset_all();
uploads_work('on a new connection');
my $after = $proxy->stats();
my %bytes = map { $_ => $after->{$_} - $before->{$_} } qw/ up down /;

cmp_ok($bytes{$_}, '>', 500, "bytes $_") for sort keys %bytes;


# resets on the way

for my $dir (qw/ up down /) {
    for my $n (1, map { int $bytes{$dir} * $_ / 6 } 1 .. 6) {
        $proxy->reset_all();
        $proxy->mode('reset', after => $n, dir => $dir);
        upload('SLOW0002') for 1 .. 2;
        $proxy->mode('pass');
        uploads_work("after a reset behind $n bytes $dir");
    }
}

# the same while 64 terminals speak

under_load('resets', sub {
    for my $n (1 .. 12) {
        $proxy->mode('reset', dir => $n % 2 ? 'up' : 'down',
                     after => 1 + int rand 4000);
        sleep 0.1;
        $proxy->mode('pass');
        sleep 0.1;
    }
}, prefix => 'RSET');


# connections that stay open and say nothing

for my $n (0, int $bytes{down} / 2) {
    $proxy->mode('cut', after => $n, dir => 'down');
    ok(!upload('SLOW0003'), "503 when nothing arrives behind $n bytes")
        if $n == 0;
    upload('SLOW0003') if $n;
    $proxy->mode('pass');
    $proxy->reset_all();
    uploads_work("after silence behind $n bytes");
}

$proxy->mode('cut', after => 0, dir => 'down');

my $connections = $proxy->stats()->{connections};

ok(wait_until(30, sub {
    upload('SLOW0003');
    $proxy->stats()->{connections} > $connections + 2
}), 'connections that say nothing are given up');

$proxy->mode('pass');

under_load('stall', sub {
    sleep 0.3;
    $proxy->mode('stall');
    ok(!upload('SLOW0003'), '503 while everything is stalled');
    is($t->device('SLOW0001')->poll()->text, '200 OK', 'a poll is answered');
    $proxy->mode('pass');
    uploads_work('after a stall');
}, prefix => 'STAL');


# nobody listens behind the port

$proxy->mode('drop');
ok(wait_until(30, sub { !upload('SLOW0003') }), '503 without a server');
$proxy->mode('pass');
uploads_work('when it is there again');


my %stored = map { $_ => 1 } $t->psql_lines(
    "SELECT d.serial_number, p.pin, p.local_time FROM iclock.punch p"
    . " JOIN iclock.device d ON d.id = p.device_id");

is(scalar(grep { !$stored{$_} } keys %acknowledged), 0,
   'all that was acknowledged is stored');
ok(wait_until(30, sub { $t->pg->backends() <= 5 }), 'connections')
    or diag($t->pg->backends());

$t->done();
