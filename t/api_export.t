#!/usr/bin/perl

# Copyright (C) the ngx_http_iclock_module authors

# A million rows for a client that reads a kilobyte in a second: they take
# neither memory of the worker nor a connection of the pool nor a transaction.
# The rows are made up; t/api_people.t has punches.

use strict;
use warnings;

use FindBin;
use IO::Select;
use Socket qw/ SOL_SOCKET SO_RCVBUF /;
use Test::More;
use Time::HiRes qw/ sleep /;

use lib "$FindBin::Bin/lib";
use Test::IClock;
use Test::IClock::API;

use constant ROWS => 1_000_000;
use constant READERS => 8;

my $t = Test::IClock->new;

$t->psql('GRANT iclock_api TO iclock_nginx');
$t->psql(sprintf <<'EOFQ', ROWS);
    CREATE OR REPLACE FUNCTION iclock_api.logs_list(request jsonb)
        RETURNS iclock_api.reply LANGUAGE sql AS $$
        SELECT row(200, '{"Content-Type": "application/x-ndjson"}',
                   (SELECT string_agg(format('{"row":%%s,"text":"%%s"}', i,
                                             repeat('x', 200)), E'\n') || E'\n'
                      FROM generate_series(n + 1, n + 5000) AS i),
                   jsonb_build_object('rows', 5000, 'next',
                       CASE WHEN n + 5000 < %d THEN (n + 5000)::text END)
               )::iclock_api.reply
          FROM (SELECT coalesce((request -> 'query' ->> 'cursor')::integer, 0)
                       AS n) AS n
    $$;
EOFQ
$t->own_operations('logs_list');

$t->start(Test::IClock::API::server($t, listen => 'sndbuf=32k',
    pool => 'connections=2 timeout=55s',
    http => 'iclock_api_rate off;'), workers => 1);

my $api = Test::IClock::API->new($t);
my ($worker) = $t->workers();


sub kilobytes { $t->nginx->rss($worker) / 1024 }

sub states {
    return $t->psql("SELECT coalesce(string_agg(DISTINCT state, ','), '')"
                    . ' FROM pg_stat_activity'
                    . " WHERE application_name LIKE 'iclock/%/api'");
}


is($api->get('/devices')->status, 200, 'a worker that has begun');

# what a page takes while it is made and sent, the worker has seen once

my $one = $t->connect(timeout => 20);
$one->write($api->format('GET', '/logs?format=ndjson'));
$one->take(65536) for 1 .. 30;
$one->close();
sleep 0.3;

my $before = kilobytes();

my @reader = map {
    my $c = $t->connect(timeout => 60);
    setsockopt $c->{socket}, SOL_SOCKET, SO_RCVBUF, 4096;
    $c->write($api->format('GET', '/logs?format=ndjson'));
    $c;
} 1 .. READERS;

my ($most, $read, $idle) = (0, 0, 0);

# each of them has its first page
ok(wait_until(30, sub {
    (grep { !IO::Select->new($_->{socket})->can_read(0) } @reader) == 0
    && states() eq 'idle';
}), 'they have begun');

for (1 .. 4) {
    sleep 0.5;
    $read += length $_->take(1024) for @reader;

    my $more = kilobytes() - $before;

    $most = $more if $more > $most;

    # a page that one of them has just asked for is on its way
    $idle++ if wait_until(30, sub { states() eq 'idle' });
}

cmp_ok($read, '>', 2 * 1024 * READERS, 'they read a kilobyte at a time');
# a page each, and one while it is made; the answers are 220 MB each
cmp_ok($most, '<', 3 * 1024 * READERS,
       "a worker takes $most kB more for all of them");
is($idle, 4, 'no connection of the pool is held');
is($api->get('/devices')->status, 200, 'others are served');

$_->close() for @reader;


# one that reads quickly: memory stays the same, page by page

my $c = $t->connect(timeout => 20);

$c->write($api->format('GET', '/logs?format=ndjson'));
$before = kilobytes();

my ($size, $grown) = (0, 0);

while ($size < 4e6) {
    my $text = $c->take(1 << 20);
    last if $text eq '';
    $size += length $text;
}

$grown = kilobytes() - $before;
cmp_ok($size, '>', 1e6, 'one reads quickly');
cmp_ok($grown, '<', 8 * 1024, "$grown kB more for " . int($size / 1e6)
                              . ' MB of rows');
$c->close();

$t->done();
