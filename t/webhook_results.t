#!/usr/bin/perl

# Copyright (C) the ngx_http_iclock_module authors

# What has come of webhooks while PostgreSQL does not store it: nginx keeps so
# much of that and no more, and sends nothing meanwhile.

use strict;
use warnings;

use FindBin;
use JSON::PP ();
use Test::More;
use Time::HiRes qw/ sleep /;

use lib "$FindBin::Bin/lib";
use Test::IClock;
use Test::IClock::Metrics;

use constant EVENTS => 2500;

# as many fit in 8 MB: a character may take six bytes
use constant RESULTS => 1275;

my $t = Test::IClock->new;
my $m = Test::IClock::Metrics->new($t);
my $receiver = $t->receiver();

$t->psql('GRANT iclock_api TO iclock_nginx');
$t->psql("SELECT iclock.create_webhook('" . $receiver->url('/hook')
         . "', '{user.updated}')");
$receiver->answer('/hook', { status => 200, body => 'x' x 1024 });

$t->start($t->device_server(
    http => 'iclock_webhooks on; iclock_webhook_http on;'
            . ' iclock_webhook_allow 127.0.0.1/32;'
            . ' iclock_api_pool timeout=10m;',
    server => $m->locations()), level => 'debug');

ok(wait_until(30, sub { $t->error_log() =~ /is ours/ }), 'nginx takes it');

# nothing can be inserted

my $session = $t->pg->session();

$session->query('BEGIN');
$session->query('LOCK TABLE iclock.webhook_attempt IN SHARE MODE');

$t->psql("SELECT count(iclock.event_write('user.updated', null,"
         . " json_build_object('id', n::text)))"
         . ' FROM generate_series(1, ' . EVENTS . ') AS n');

my $bytes;

ok(wait_until(120, sub {
    ($bytes) = $t->error_log() =~ /results are to be stored first, (\d+) b/;
}), 'results wait');
cmp_ok($bytes // 'inf', '<', 8.1 * 1024 * 1024, 'in so much memory');
ok(wait_until(60, sub { $m->value('webhook_connections') == 0 }),
   'what was on its way has come to an end');

my $count = $receiver->count('/hook');

cmp_ok($count, '>', RESULTS / 2, 'until then events are sent');
cmp_ok($count, '<', RESULTS + 10, 'and no more');
sleep 2;
is($receiver->count('/hook'), $count, 'none while they are not stored');

$session->query('COMMIT');
ok($receiver->wait_for(EVENTS, '/hook', 120), 'then the others');
ok(wait_until(30, sub {
    $t->psql('SELECT count(*) FROM iclock.webhook_attempt') == EVENTS
}), 'all are stored');

my %seen;
$seen{JSON::PP::decode_json($_->{body})->{user}{id}}++
    for $receiver->requests('/hook');
is(keys %seen, EVENTS, 'all have come');
is((grep { $_ != 1 } values %seen), 0, 'each once');


# One is asked for again while its result is not stored: what is stored then is
# not of this, though nginx has been given it meanwhile and has dropped it.

my $event = JSON::PP::decode_json(($receiver->requests('/hook'))[0]{body})
            ->{event_id};

sub resend {
    return $t->psql('SELECT iclock.resend_webhook(id,'
                    . " ARRAY['$event']) FROM iclock.webhook_endpoint");
}

sub retries { $t->psql('SELECT taken FROM iclock.webhook_retry') // '' }

$session->query('BEGIN');
$session->query('LOCK TABLE iclock.webhook_attempt IN SHARE MODE');
is(resend(), 1, 'one is asked for');
ok($receiver->wait_for(EVENTS + 1, '/hook', 60), 'it comes');
is(resend(), 1, 'and is asked for again');
ok(wait_until(60, sub { retries() eq 't' }), 'nginx is given it');
$session->query('COMMIT');
is($receiver->wait_for(EVENTS + 2, '/hook', 60), EVENTS + 2, 'it comes again');
ok(wait_until(60, sub { retries() eq '' }), 'until that is stored');
is($receiver->count('/hook'), EVENTS + 2, 'and no more');


# What ends a webhook may be stored after a lease has told that it is not ours.

my $id = $t->psql("SELECT id FROM iclock.create_webhook('"
                  . $receiver->url('/gone') . "', '{user.enrolled}')");

$receiver->answer('/gone', { status => 410 });
ok($t->wait_log(qr/"\Q$id\E" is ours/, 60), 'nginx takes another one');

$session->query('BEGIN');
$session->query('LOCK TABLE iclock.webhook_attempt IN SHARE MODE');
$t->psql("SELECT iclock.event_write('user.enrolled', null, '{}')");
ok($receiver->wait_for(1, '/gone', 60), 'it is gone');

$t->psql("UPDATE iclock.webhook_endpoint SET leased_by = 'another',"
         . " leased_until = now() + interval '1 hour' WHERE id = '$id'");
ok($t->wait_log(qr/"\Q$id\E" is not ours/, 60), 'and is not ours any more');

$session->query('COMMIT');
ok($t->wait_log(qr/\[error\].*webhook "\Q$id\E" was given up/, 60),
   'the log says so');
is($t->psql("SELECT status FROM iclock.webhook_endpoint WHERE id = '$id'"),
   'disabled', 'as does the database');


# What PostgreSQL refuses again and again is told no more, nor is then where the
# endpoint stands: an event that was refused must not be passed over.

sub enrolled {
    my ($id) = @_;

    return $t->psql("SELECT iclock.event_write('user.enrolled', null,"
                    . " json_build_object('id', '$id'))");
}

sub delivered {
    my ($id) = @_;

    return grep { $_->{status} == 200
                  && JSON::PP::decode_json($_->{body})->{user}{id} eq $id }
                $receiver->requests('/lost');
}

$t->settled();
$id = $t->psql("SELECT id FROM iclock.create_webhook('"
               . $receiver->url('/lost') . "', '{user.enrolled}')");

$receiver->answer('/lost', { status => 500 }, { status => 200 });
ok($t->wait_log(qr/"\Q$id\E" is ours/, 60), 'nginx takes a third one');

my $results = 'EXECUTE ON FUNCTION iclock.webhook_results(text, jsonb)';

$t->psql("REVOKE $results FROM iclock_api");
enrolled('first');
ok($receiver->wait_for(1, '/lost', 60), 'an event is refused');
enrolled('second');
ok($receiver->wait_for(2, '/lost', 60), 'the next one is not');
ok($t->wait_log(qr/\[error\].*results of webhooks were not stored/, 120),
   'PostgreSQL does not store that');

$t->psql("GRANT $results TO iclock_api");
ok(wait_until(60, sub { delivered('first') }), 'the first one comes again');

$t->done();
