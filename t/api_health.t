#!/usr/bin/perl

# Copyright (C) the ngx_http_iclock_module authors

# A database that answers, and does not serve: without the grant, or with an
# older schema.  /health says so, though nobody calls anything else, and the log
# tells of each reason.  And keys that change while nothing is notified.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Test::IClock;
use Test::IClock::API;
use Test::IClock::Stream;

my $t = Test::IClock->new;
my $begin = time;
my $nobody = Test::IClock::API->new($t, key => undef);

$t->start(Test::IClock::API::server($t, http => 'iclock_api_key_cache 3s;'));


sub health {
    my ($status) = @_;

    return wait_until(30, sub { $nobody->get('/health')->status == $status });
}


# each worker learns it by itself

sub health_says {
    my ($database) = @_;

    return wait_until(30, sub {
        $nobody->get('/health')->json->{database} == $database
    });
}


# before it there may be no connection yet

ok($t->wait_log(qr/SQLSTATE 42501: .* grant the role iclock_module/),
   'the log says why');

ok(health(503), 'without the grant');
ok(health_says(JSON::PP::false()), 'the database is not there for us');

$t->psql('GRANT iclock_api TO iclock_nginx');
ok(health(200), 'with it');
ok(health_says(JSON::PP::true()), 'it is there');

$t->psql('ALTER FUNCTION iclock.keep_events RENAME TO keep_no_events');
ok(health(503), 'without a function');
ok($t->wait_log(qr/SQLSTATE 42883: .* upgrade the schema/),
   'another reason is logged within the same minute');

my $logged = () = $t->error_log() =~ /\[error\].*SQLSTATE/g;

ok($logged >= 2 && $logged <= 2 + 2 * int((time - $begin) / 60),
   'each once a minute') or diag($logged);

$t->psql('ALTER FUNCTION iclock.keep_no_events RENAME TO keep_events');
ok(health(200), 'with it');


# A key is believed for so long as iclock_api_key_cache says, if no notification
# tells of what has changed.  The database itself looks at the key whenever
# something is asked; who only listens asks nothing.

my $api = Test::IClock::API->new($t, rate => 6000);


sub unnoticed {
    my ($change) = @_;

    $t->psql('SET session_replication_role = replica;'
             . " UPDATE iclock.api_key SET $change");

    return;
}


# what nginx goes by

sub policy {
    return $api->get('/devices')->header('RateLimit-Policy') || '';
}


ok(wait_until(30, sub { policy() =~ /q=6000;/ }), 'a key');

unnoticed('rate = 7000');
ok(wait_until(60, sub { policy() =~ /q=7000;/ }),
   'is changed, and nothing is notified: nginx asks for it again');

my $stream;

ok(wait_until(30, sub {
    $stream = Test::IClock::Stream->new(port => $t->port(),
        uri => '/v1/events',
        header => [ Authorization => 'Bearer ' . $api->key ]);

    return $stream->status() == 200;
}), 'a stream');

unnoticed('revoked_at = now()');
ok($stream->ended(60), 'ends with its key, though nothing is notified');
is(($stream->next(0) || {})->{event}, 'bye', 'and is told so');
is($api->get('/devices')->said, '401 bad_key', 'so does what is asked');


$t->psql('REVOKE iclock_api FROM iclock_nginx');
ok(health(503), 'when the grant is taken away');

$t->allow(qr/SQLSTATE 42/);
$t->done();
