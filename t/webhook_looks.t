#!/usr/bin/perl

# Copyright (C) the ngx_http_iclock_module authors

# Looks for what waits for webhooks: endpoints that could fill one do not make
# the sender look again at once, nor do they keep others out; nor is a look that
# PostgreSQL refuses repeated at once.

use strict;
use warnings;

use FindBin;
use Test::More;
use Time::HiRes qw/ sleep time /;

use lib "$FindBin::Bin/lib";
use Test::IClock;

my $t = Test::IClock->new;
my $receiver = $t->receiver();

$t->psql('GRANT iclock_api TO iclock_nginx');


sub looks { return scalar(() = $t->error_log() =~ /looked for work: /g) }

# how often the sender looks in three seconds, which may become more

sub looks_meanwhile {
    my $began = time;
    my $before = looks();

    sleep 3;

    return (looks() - $before) * 3 / (time - $began);
}

sub hook {
    my ($path) = @_;

    return $t->psql("SELECT id FROM iclock.create_webhook('"
                    . $receiver->url($path) . "', '{user.updated}',"
                    . ' batch => 500, concurrency => 4)');
}

sub ours {
    my ($n) = @_;

    return wait_until(30, sub {
        (() = $t->error_log() =~ /is ours/g) >= $n;
    });
}

sub event {
    return $t->psql(q{SELECT iclock.event_write('user.updated', null,
                             '{"id":"1"}')});
}


hook("/all$_") for 1 .. 3;
$t->start($t->device_server(
    http => 'iclock_webhooks on; iclock_webhook_http on;'
            . ' iclock_webhook_allow 127.0.0.1/32;'), level => 'debug');

ok(ours(3), 'nginx takes endpoints');
sleep 1;
cmp_ok(looks_meanwhile(), '<', 40, 'who has nothing to send does not hurry');

event();
ok(wait_until(30, sub { $receiver->requests("/all$_") }), "/all$_ is served")
    for 1 .. 3;

hook('/new');
ok(ours(4), 'one more');
event();
ok(wait_until(30, sub { $receiver->requests('/new') }), 'it is served, too');


# A lease that is not renewed ends, and another nginx may have the endpoints.

my $lease = 'EXECUTE ON FUNCTION iclock.webhook_lease(text, integer, text[])';
my $over = qr/nothing is sent before a lease/;

$t->psql("REVOKE $lease FROM iclock_api");
ok($t->wait_log(qr/webhooks: leased: -1,.*$over/s, 120),
   'a sender knows that its leases may have ended');

my $sent = $receiver->count();

event();
ok($t->wait_log(qr/$over.*looked for work: 0, events: [2-9].*$over/s, 60),
   'what it gets then');
is($receiver->count(), $sent, 'is not sent');
$t->psql("GRANT $lease TO iclock_api");
ok($receiver->wait_for($sent + 4, undef, 60), 'before the next one');


$t->psql('REVOKE EXECUTE ON FUNCTION iclock.webhook_work(text, jsonb)'
         . ' FROM iclock_api');
sleep 1;
cmp_ok(looks_meanwhile(), '<', 40, 'what is refused is not asked at once');

$t->done();
