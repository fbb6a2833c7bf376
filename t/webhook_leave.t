#!/usr/bin/perl

# Copyright (C) the ngx_http_iclock_module authors

# A worker that sends webhooks leaves: it waits for the look for work that is
# under way.

use strict;
use warnings;

use FindBin;
use Test::More;
use Time::HiRes qw/ sleep /;

use lib "$FindBin::Bin/lib";
use Test::IClock;

my $t = Test::IClock->new;
my $receiver = $t->receiver();

$t->psql('GRANT iclock_api TO iclock_nginx');


sub hooks {
    my ($n, $url) = @_;

    return $t->psql("SELECT count(iclock.create_webhook('$url/' || n,"
                    . " '{user.updated}')) FROM generate_series(1, $n) AS n");
}

sub ours {
    my ($n) = @_;

    return wait_until(30, sub {
        (() = $t->error_log() =~ /is ours/g) >= $n;
    });
}

# the worker that sends also listens for notifications

sub sender { ($t->error_log() =~ /(\d+)#\d+: iclock: listening for/g)[-1] }

# what one worker has said of its webhooks

sub said {
    my ($pid) = @_;

    return $t->error_log() =~ /\ $pid\#.*?\ (looked\ for\ work|told\ results
                               |given\ back|not\ given\ back\ in\ time)/gx;
}


$t->start($t->device_server(
    http => 'iclock_webhooks on; iclock_webhook_http on;'
            . ' iclock_webhook_allow 127.0.0.1/32;'
            . ' iclock_webhook_limits timeout=1s connect_timeout=1s;'),
    level => 'debug');


# what a look brings to a worker that leaves is given back with the endpoints

hooks(1, $receiver->url(''));
ok(ours(1), 'nginx takes an endpoint');

my $sender = sender();
my $held = $t->pg->hold('LOCK TABLE iclock.event_type');

ok(wait_until(30, sub { scalar(() = $t->pg->blocked()) }),
   'a look has to wait');
$t->reload();
sleep 0.5;
$held->release();
ok(wait_until(30, sub { !$t->nginx->old_workers() }),
   'the worker that looks leaves');
is(join(', ', (said($sender))[-2, -1]), 'looked for work, given back',
   'when it has looked');

$t->done();
