#!/usr/bin/perl

# Copyright (C) the ngx_http_iclock_module authors

# The HTTP interface when the database is away, frozen or busy, while nginx is
# reloaded, and with clients that read slowly; and what terminals notice of
# all that.

use strict;
use warnings;

use FindBin;
use Socket qw/ SOL_SOCKET SO_RCVBUF /;
use Test::More;
use Time::HiRes qw/ sleep time /;

use lib "$FindBin::Bin/lib";
use Test::IClock;
use Test::IClock::API;

use constant ROWS => 60_000;        # of the long result
use constant READERS => 64;

my $t = Test::IClock->new;

$t->psql('GRANT iclock_api TO iclock_nginx');
$t->psql(sprintf <<'EOFQ', ROWS);
    CREATE OR REPLACE FUNCTION iclock_api.users_list(request jsonb)
        RETURNS iclock_api.reply LANGUAGE plpgsql AS $$
    BEGIN
        IF request -> 'query' ->> 'q' = 'lock' THEN
            PERFORM pg_advisory_xact_lock(1);
        ELSE
            PERFORM pg_sleep((request -> 'query' ->> 'q')::float8);
        END IF;
        RETURN row(200, null, '{}', null)::iclock_api.reply;
    END $$;
    CREATE OR REPLACE FUNCTION iclock_api.logs_list(request jsonb)
        RETURNS iclock_api.reply LANGUAGE sql AS $$
        SELECT row(200, '{"Content-Type": "application/x-ndjson"}',
                   (SELECT string_agg(format('{"row":%%s,"%%s":"%%s"}', i,
                                      coalesce(request ->> 'continued',
                                               'first'),
                                      repeat('x', 150)), E'\n') || E'\n'
                      FROM generate_series(n + 1, n + 5000) AS i),
                   jsonb_build_object('rows', 5000, 'next',
                       CASE WHEN n + 5000 < %d THEN (n + 5000)::text END)
               )::iclock_api.reply
          FROM (SELECT coalesce((request -> 'query' ->> 'cursor')::integer, 0)
                       AS n) AS n
    $$;
EOFQ
$t->own_operations(qw/ logs_list users_list /);

# patient, where nothing has to be given up

my $server = Test::IClock::API::server($t,
    pool => 'connections=2 timeout=55s', listen => 'sndbuf=64k',
    http => 'iclock_api_rate off; log_format api "$iclock_api_rows";'
            . ' iclock_api_key_cache 1h;',
    server => 'access_log %%PREFIX%%/access.log api;'
              . ' send_timeout 300s;'
              . ' location /limited { iclock_api; limit_rate 8m; }'
              . ' location /iclock { iclock; iclock_unknown_devices accept; }');

my $hasty = $server =~ s/timeout=55s/timeout=3s/r;

$t->start($server);

my $api = Test::IClock::API->new($t);
my $device = $t->device('FAULT0001');

$device->handshake();


sub poll {
    return $t->get('/iclock/getrequest?SN=FAULT0001')->text;
}


# n requests that take a while

sub ask {
    my ($n, $how) = @_;

    my @c = map { $t->connect(timeout => 60) } 1 .. $n;

    $_->write($api->format('GET', "/users?q=$how")) for @c;

    return @c;
}


# what is said to them, and how often

sub said {
    my %n;

    $n{Test::IClock::API::response($_->read('GET'))->said}++ for @_;

    return \%n;
}


# programs are served, and terminals without PostgreSQL

sub served {
    return wait_until(30, sub {
        $api->get('/devices')->status == 200 && poll() eq '200 OK'
        && $t->pg->backends('iclock/listen%')
    });
}


ok(served(), 'all is well');
is($api->get('/health')->status, 200, 'health says so');


# rows, page by page

my $r = Test::IClock::API::response(
            $t->request($api->format('GET', '/logs?format=ndjson', undef,
                                     -version => '1.0')));

is($r->status, 200, 'a long result');
is($r->header('Content-Type'), 'application/x-ndjson', 'Content-Type');
is($r->header('Content-Length'), undef, 'nobody knows how long it is');

my @row = split /\n/, $r->body;

is(scalar @row, ROWS, 'all rows');
is(scalar(grep { $row[$_] !~ /^\{"row":@{[$_ + 1]},/ } 0 .. $#row), 0,
   'in order');
is(scalar(grep { /"first"/ } @row), 5000, 'the first page is known as such');

$r = Test::IClock::API->new($t, key => $api->key, prefix => '/limited')
         ->get('/logs?format=ndjson', -timeout => 60);
is(scalar(() = ($r ? $r->body : '') =~ /\n/g), ROWS, 'limit_rate: all rows');

$r = $api->head('/logs?format=ndjson');
is($r->status, 200, 'HEAD');
is($r->header('Content-Type'), 'application/x-ndjson', 'and its headers');


# slow readers: they read nothing but the beginning

my $worker = ($t->workers())[0];
my $before = $t->nginx->rss($worker);
my @reader = map { $t->connect(timeout => 60) } 1 .. READERS;

setsockopt $_->{socket}, SOL_SOCKET, SO_RCVBUF, 16384 for @reader;
$_->write($api->format('GET', '/logs?format=ndjson', undef,
                       -version => '1.0')) for @reader;

my $begun = wait_until(30, sub {
    !grep { $_->{buffer} eq '' && !$_->fill(0.01) } @reader;
});

ok($begun, READERS . ' slow readers');
ok(wait_until(30, sub {
       $t->psql("SELECT count(*) FROM pg_stat_activity"
                . " WHERE application_name ~ '^iclock/[0-9]'"
                . " AND state NOT LIKE 'idle'") == 0;
   }), 'hold no connection of either pool, and no transaction');

is($api->get('/devices')->status, 200, 'others are served');
is($device->punches("1\t2026-11-21 07:00:00\t0\t1")->status, 200,
   'terminals, too');

my $grown = ($t->nginx->rss($worker) - $before) / 1048576;

# with sanitizers all takes more
cmp_ok($grown, '<', ($ENV{TEST_SANITIZE} ? 10 : 3) * READERS / 2,
       'a page each is in memory');

# one of them comes back to life
my $slow = pop @reader;

$_->abort() for @reader;
my $end = $slow->read('GET');

is(scalar(() = ($end ? $end->body : '') =~ /\n/g), ROWS,
   'one that reads after all has every row');


# a busy pool: terminals have another one

my $hold = $t->pg->hold('SELECT pg_advisory_xact_lock(1)');
my @busy = ask(12, 'lock');

ok($t->pg->wait_blocked(2), 'a pool is busy');
is($device->punches("1\t2026-11-21 08:00:00\t0\t1")->status, 200,
   'a terminal is served');
is(scalar(grep { defined $_->fill(0) } @busy), 0, 'while they wait');
$hold->release();
is_deeply(said(@busy), { 200 => 12 }, 'for their turn');

# at most four at a time: the last ones would wait for four seconds

$t->reload($hasty, wait => 1);

my $said = said(ask(40, 0.4));

ok($said->{200} && $said->{'503 unavailable'} && keys %$said == 2,
   'those that waited: some of them for too long')
    or diag(explain($said));


# frozen

ok(served(), 'all is well');
$t->pg->freeze();

my $start = time;

$r = $api->get('/devices');
is($r->said, '503 unavailable', 'a frozen database');
is($r->header('Retry-After'), 1, 'Retry-After');
cmp_ok(time - $start, '>', 2.5, 'after the timeout of the pool');
is(poll(), '200 OK', 'terminals poll as before');

$t->pg->thaw();
ok(wait_until(30, sub { $api->get('/devices')->status == 200 }), 'it thaws');


# down: nobody waits for the timeout of the pool

$t->reload($server, wait => 1);
ok(served(), 'all is well');
$t->pg->stop();

ok(wait_until(30, sub { $api->get('/health')->status == 503 }),
   'a database that is down: health');

for my $path ('/devices', '/health') {
    $r = $api->get($path, -timeout => 30);
    is($r && $r->status, 503, $path);
    is($r && $r->header('Retry-After'), 1, 'Retry-After');
}

is($api->get('/devices')->said, '503 unavailable', 'a problem');
is(poll(), '200 OK', 'terminals poll as before');
is(Test::IClock::API->new($t, key => 'ik_live_' . 'c' x 12 . '_' . 'A' x 43)
       ->get('/devices')->said, '503 unavailable',
   'a key that nobody can look up');

$t->pg->start();
ok(wait_until(30, sub { $api->get('/devices')->status == 200 }),
   'it is there again');


# reloads under load; a worker that has lost the database tries again later
$t->reload(undef, wait => 1);

my @answers = $t->parallel(5, sub {
    my ($i) = @_;
    my %n;

    if ($i == 0) {
        for (1 .. 3) {
            sleep 0.4;
            $t->reload();
        }

        return \%n;
    }

    for (my $until = time + 2; time < $until; ) {
        my $r = eval { $api->get($i % 2 ? '/devices' : '/users?q=0.05') };
        $n{$r ? $r->said : 'none'}++;
    }

    return \%n;
});

my %all;

for my $n (@answers) {
    $all{$_} += $n->{$_} for keys %$n;
}

is(join(' ', keys %all), '200', 'reloads lose no request')
    or diag(explain(\%all));

$t->quit();

open my $in, '<', $t->dir . '/nginx/access.log';
ok(scalar(grep { /^@{[ROWS]}$/ } <$in>), '$iclock_api_rows');

$t->allow(qr/iclock: /);
$t->done();
