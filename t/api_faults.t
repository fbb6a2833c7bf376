#!/usr/bin/perl

# Copyright (C) the ngx_http_iclock_module authors

# The HTTP interface when the database is away, frozen or busy, while nginx is
# reloaded, and with clients that read slowly; and what terminals notice of
# all that.

use strict;
use warnings;

use FindBin;
use IO::Select;
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

# patient, where nothing has to be given up; but terminals are answered, though
# the database is frozen

my $server = Test::IClock::API::server($t,
    pool => 'connections=2 timeout=55s', device_pool => '',
    listen => 'sndbuf=64k',
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
# each worker by itself
ok(wait_until(30, sub { $api->get('/health')->status == 200 }),
   'health says so');


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


# A connection is killed when it has committed, and before it could say so: what
# is not idempotent is not done twice, unless it has a name.

# what nginx saves of its own accord may wait on the same connection, before it
sub stalled {
    $t->psql("SELECT pg_cancel_backend(pid) FROM pg_stat_activity"
             . " WHERE wait_event = 'SyncRep'"
             . " AND query NOT LIKE '%iclock_api.call%'");

    return $t->psql("SELECT pid FROM pg_stat_activity WHERE wait_event"
                    . " = 'SyncRep' AND query LIKE '%iclock_api.call%'");
}

sub standby {
    my ($name) = @_;

    $t->pg->set(synchronous_standby_names => $name);
    $t->psql('SELECT pg_reload_conf()');
}

# PostgreSQL takes a while until commits wait
sub commits_wait {
    my $c = $t->connect(timeout => 60);
    my $answered = IO::Select->new($c->{socket});

    standby('nobody');

    return wait_until(30, sub {
        $c->write($api->format('POST', '/stream-tokens', undef,
                               -keepalive => 1));
        wait_until(30, sub { stalled() || $answered->can_read(0) });

        my $pid = stalled();

        $t->psql("SELECT pg_cancel_backend($pid)") if $pid;
        $c->read('POST');

        return $pid;
    });
}

sub killed {
    my ($what, @request) = @_;

    # a connection that lives for less than a second is not replaced at once
    served();
    wait_until(30, sub {
        $t->psql("SELECT count(DISTINCT application_name) = 2"
                 . " AND bool_and(backend_start < now() - interval '2 s')"
                 . ' FROM pg_stat_activity'
                 . " WHERE application_name ~ '^iclock/[01]/api'") eq 't'
    });

    ok(commits_wait(), "$what: commits wait for a standby");

    my ($c, $victim) = $t->connect(timeout => 60);

    $c->write($api->format(@request));
    ok(wait_until(30, sub { $victim = stalled() }), "$what: it is committed");
    $t->psql("SELECT pg_terminate_backend($victim)");
    wait_until(30, sub { !kill 0, $victim });
    standby('');

    return Test::IClock::API::response($c->read($request[0]));
}

my $hook = { url => 'https://a.example/' };
my $hooks = 'SELECT count(*) FROM iclock.webhook_endpoint';

$r = killed('POST', 'POST', '/webhooks', $hook);
is($r->said, '503 unavailable', 'POST: no answer');
like($r->json->{detail}, qr/nobody knows whether this was done/,
     'POST: and what that means');
is($t->psql($hooks), 1, 'POST: done once');

$r = killed('a name', 'POST', '/webhooks', $hook, 'Idempotency-Key' => 'a');
is($r->status, 201, 'a name: it is answered');
is($r->header('Idempotency-Replayed'), 'true', 'a name: by what was kept');
is($t->psql($hooks), 2, 'a name: done once');

# that has none
$r = killed('DELETE', 'DELETE', '/webhooks/' . $r->json->{id}, undef,
            'Idempotency-Key' => 'b');
like($r->json->{detail}, qr/nobody knows/, 'DELETE: no answer, either');
is($t->psql($hooks), 1, 'DELETE: done');

$r = killed('PATCH', 'PATCH',
            '/webhooks/' . $api->get('/webhooks')->json->{data}[0]{id},
            { description => 'A' });
is($r->status, 200, 'PATCH: idempotent, so that it is sent again');

# what libpq cannot read is an error, too, and it is committed all the same

my $proxy = $t->proxy()->mode('garble');
my $direct = $t->conninfo();
my $garbled = $t->conninfo(host => '127.0.0.1', port => $proxy->port,
                             sslmode => 'disable');

$t->reload($server =~ s/\Q$direct\E/$garbled/r, wait => 1);
ok(served(), 'PostgreSQL behind a proxy');

$r = $api->post('/webhooks', { url => 'https://garble.example/' });
is($r->said, '503 unavailable', 'a result that cannot be read');
like($r->json->{detail}, qr/nobody knows whether this was done/,
     'it may have been done');
is($t->psql("$hooks WHERE url ~ 'garble'"), 1, 'and not twice');
$t->reload($server, wait => 1);


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
ok(served(), 'PostgreSQL is there');

my $said;

ok(wait_until(60, sub {
    $said = said(ask(40, 0.4));
    return $said->{200} && $said->{'503 unavailable'} && keys %$said == 2;
}), 'those that waited: some of them for too long')
    or diag(explain($said));


# frozen

ok(served(), 'all is well');
$t->pg->freeze();

my $start = time;
my $write = $t->connect(timeout => 60);

$write->write($api->format('POST', '/stream-tokens'));
$r = $api->get('/devices');
is($r->said, '503 unavailable', 'a frozen database');
is($r->header('Retry-After'), 1, 'Retry-After');
cmp_ok(time - $start, '>', 2.5, 'after the timeout of the pool');
like(Test::IClock::API::response($write->read('POST'))->json->{detail},
     qr/nobody knows/, 'what was to be written may be so');
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
