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
        PERFORM pg_sleep((request -> 'query' ->> 'q')::float8);
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

my $server = Test::IClock::API::server($t,
    pool => 'connections=2 timeout=2s', listen => 'sndbuf=64k',
    http => 'iclock_api_rate off; log_format api "$iclock_api_rows";'
            . ' iclock_api_key_cache 1h;',
    server => 'access_log %%PREFIX%%/access.log api;'
              . ' send_timeout 30s;'
              . ' location /limited { iclock_api; limit_rate 8m; }'
              . ' location /iclock { iclock; iclock_unknown_devices accept; }');

$t->start($server);

my $api = Test::IClock::API->new($t);
my $device = $t->device('FAULT0001');

$device->handshake();


# seconds that a piece of code takes, and what it returns

sub timed {
    my ($code) = @_;

    my $start = time;
    my $value = $code->();

    return (time - $start, $value);
}


sub poll {
    return $t->get('/iclock/getrequest?SN=FAULT0001')->text;
}


is($api->get('/devices')->status, 200, 'all is well');
is($api->get('/health')->status, 200, 'health says so');
wait_until(5, sub { poll() eq '200 OK' });


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
         ->get('/logs?format=ndjson', -timeout => 10);
is(scalar(() = ($r ? $r->body : '') =~ /\n/g), ROWS, 'limit_rate: all rows');

$r = $api->head('/logs?format=ndjson');
is($r->status, 200, 'HEAD');
is($r->header('Content-Type'), 'application/x-ndjson', 'and its headers');


# slow readers: they read nothing but the beginning

my $worker = ($t->workers())[0];
my $before = $t->nginx->rss($worker);
my @reader = map { $t->connect(timeout => 20) } 1 .. READERS;

setsockopt $_->{socket}, SOL_SOCKET, SO_RCVBUF, 16384 for @reader;
$_->write($api->format('GET', '/logs?format=ndjson', undef,
                       -version => '1.0')) for @reader;

my $begun = wait_until(15, sub {
    !grep { $_->{buffer} eq '' && !$_->fill(0.01) } @reader;
});

ok($begun, READERS . ' slow readers');
ok(wait_until(5, sub {
       $t->psql("SELECT count(*) FROM pg_stat_activity"
                . " WHERE application_name ~ '/api'"
                . " AND state NOT LIKE 'idle'") == 0;
   }), 'hold no connection and no transaction');

my ($took) = timed(sub { is($api->get('/devices')->status, 200,
                            'others are served') });
cmp_ok($took, '<', 5, 'at once');

my $grown = ($t->nginx->rss($worker) - $before) / 1048576;

# with sanitizers all takes more
cmp_ok($grown, '<', ($ENV{TEST_SANITIZE} ? 10 : 3) * READERS / 2,
       'a page each is in memory');

# one of them comes back to life
my $slow = pop @reader;

$_->abort() for @reader;
$slow->{timeout} = 60;

my $end = $slow->read('GET');

is(scalar(() = ($end ? $end->body : '') =~ /\n/g), ROWS,
   'one that reads after all has every row');


# a busy pool: terminals have another one

my @busy = map { $t->connect() } 1 .. 12;

$_->write($api->format('GET', '/users?q=1.2')) for @busy;
sleep 0.1;

($took, $r) = timed(sub { $device->punches("1\t2026-11-21 08:00:00\t0\t1") });
cmp_ok($took, '<', 1.5, 'a terminal does not wait for them')
    or diag($took);

my %said;
$said{Test::IClock::API::response($_->read('GET'))->said}++ for @busy;

ok($said{200} && $said{'503 unavailable'} && keys %said == 2,
   'those that waited: some of them for too long')
    or diag(explain(\%said));


# frozen

$t->pg->freeze();

($took, $r) = timed(sub { $api->get('/devices') });
is($r->said, '503 unavailable', 'a frozen database');
is($r->header('Retry-After'), 1, 'Retry-After');
ok($took > 1.5 && $took < 5, 'after the timeout of the pool') or diag($took);
is(poll(), '200 OK', 'terminals poll as before');

$t->pg->thaw();
ok(wait_until(10, sub { $api->get('/devices')->status == 200 }), 'it thaws');


# down

$t->pg->stop();

ok(wait_until(10, sub { $api->get('/health')->status == 503 }),
   'a database that is down: health');

for my $path ('/devices', '/health') {
    ($took, $r) = timed(sub { $api->get($path) });
    is($r->status, 503, $path);
    is($r->header('Retry-After'), 1, 'Retry-After');
    cmp_ok($took, '<', 1.5, 'at once');
}

is($api->get('/devices')->said, '503 unavailable', 'a problem');
is(poll(), '200 OK', 'terminals poll as before');
is(Test::IClock::API->new($t, key => 'ik_live_' . 'c' x 12 . '_' . 'A' x 43)
       ->get('/devices')->said, '503 unavailable',
   'a key that nobody can look up');

$t->pg->start();
ok(wait_until(15, sub { $api->get('/devices')->status == 200 }),
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
