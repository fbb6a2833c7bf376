#!/usr/bin/perl

# Copyright (C) the ngx_http_iclock_module authors

# The live stream over TLS and HTTP/2, as browsers have it: what is sent goes
# out at once, and a worker that exits ends it.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Test::IClock;
use Test::IClock::API;
use Test::IClock::Answers;
use Test::IClock::Postgres;
use Test::IClock::Process qw/ slurp spawn /;

my $t = Test::IClock->new;
my $dir = $t->dir();

system("openssl req -x509 -newkey ec -pkeyopt"
       . " ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost"
       . " -keyout $dir/key.pem -out $dir/cert.pem 2>/dev/null") == 0
    or die "openssl failed";

$t->psql('GRANT iclock_api TO ' . Test::IClock::Postgres::LOGIN());

my $http = $t->device_server(
    http => 'iclock_api_pool timeout=55s; iclock_stream heartbeat=1s;',
    server => 'listen 127.0.0.1:%%PORT_2%% http2;'
              . ' listen 127.0.0.1:%%PORT_3%% ssl http2;'
              . " ssl_certificate $dir/cert.pem;"
              . " ssl_certificate_key $dir/key.pem;");

$http =~ s/\}\s*\z//;
$t->start("$http location /v1 { iclock_api; } }");

my $device = $t->device('STREAM0001');

$device->handshake();

my $key = Test::IClock::API::create_key($t, scopes => ['events:read']);
my @way = (
    [ 'HTTP/2', '--http2-prior-knowledge', 'http', $t->port(2) ],
    [ 'TLS', '--http1.1', 'https', $t->port(3) ],
    [ 'HTTP/2 over TLS', '--http2', 'https', $t->port(3) ],
);

for my $way (@way) {
    my ($name, $option, $scheme, $port) = @$way;

    push @$way, "$dir/$port$option";
    spawn({ out => $way->[-1] }, 'curl', '-skNi', $option,
          '-H', 'Accept: text/event-stream', '-H', "X-API-Key: $key",
          "$scheme://127.0.0.1:$port/v1/events");
}

sub seen {
    my ($way, $pattern) = @_;

    return wait_until(30, sub { slurp($way->[-1]) =~ /$pattern/m });
}

ok(seen($_, '^retry: 3000$'), "$_->[0]: a stream") for @way;

$device->punches("PIN7\t2026-03-02 08:00:00\t0\t1");

ok(seen($_, '"id":"PIN7"'), "$_->[0]: an event") for @way;
ok(seen($_, '^: ping$'), "$_->[0]: a sign of life") for @way;

$t->reload();

ok(seen($_, '^event: bye$'), "$_->[0]: the end") for @way;

Test::IClock::Answers::told('GET', '/events', slurp($_->[-1])) for @way;

$t->done();
