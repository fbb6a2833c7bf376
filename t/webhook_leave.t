#!/usr/bin/perl

# Copyright (C) the ngx_http_iclock_module authors

# A worker that sends webhooks leaves: it waits for the lease and the look for
# work that are under way, and stores what came of its requests, but not for
# ever.

use strict;
use warnings;

use FindBin;
use Test::More;
use Time::HiRes qw/ sleep /;

use lib "$FindBin::Bin/lib";
use Test::IClock;

use constant ENDPOINTS => 300;

my $t = Test::IClock->new;
my $receiver = $t->receiver();

$t->psql('GRANT iclock_api TO iclock_nginx');


sub hooks {
    my ($n, $url) = @_;

    return $t->psql("SELECT count(iclock.create_webhook('$url/' || n,"
                    . " '{user.updated}')) FROM generate_series(1, $n) AS n");
}

# waits until that many more were taken since the last time

my $taken = 0;

sub ours {
    my ($n) = @_;

    $taken += $n;

    return wait_until(30, sub {
        (() = $t->error_log() =~ /is ours/g) >= $taken;
    });
}

sub events {
    my ($n) = @_;

    return $t->psql("SELECT count(iclock.event_write('user.updated', null,"
                    . " json_build_object('id', n::text)))"
                    . " FROM generate_series(1, $n) AS n");
}

# the worker that has taken the last one

sub sender { ($t->error_log() =~ /(\d+)#\d+: .*is ours/g)[-1] }

# what one worker has said of its webhooks

sub said {
    my ($pid) = @_;

    return $t->error_log() =~ /\ $pid\#.*?\ (looked\ for\ work|told\ results
                               |given\ back|not\ given\ back\ in\ time)/gx;
}


sub server {
    my ($timeout, $patience) = @_;

    return $t->device_server(
        http => 'iclock_webhooks on; iclock_webhook_http on;'
                . ' iclock_webhook_allow 127.0.0.1/32;'
                . " iclock_webhook_limits timeout=$timeout"
                . ' connect_timeout=1s;'
                . " iclock_api_pool timeout=$patience;");
}

sub leased {
    return $t->psql('SELECT count(leased_by) FROM iclock.webhook_endpoint');
}


# a lease comes to a worker that leaves: what it has brought is given back at
# once, also while a request to another endpoint is on its way

$t->psql(<<'END');
CREATE FUNCTION public.later() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN PERFORM pg_advisory_xact_lock_shared(42); RETURN new; END $$;
CREATE TRIGGER later BEFORE UPDATE ON iclock.webhook_endpoint FOR EACH ROW
WHEN (old.leased_by IS NULL AND new.leased_by IS NOT NULL)
EXECUTE FUNCTION public.later();
END

my $held;

$t->start(server('300s', '60s'), level => 'debug');
$receiver->answer('/hangs/1', { action => 'hang' });
hooks(1, 'http://127.0.0.1:' . $receiver->port . '/hangs');
ok(ours(1), 'nginx takes an endpoint');
events(1);
ok($receiver->wait_for(1, '/hangs/1'), 'a request hangs');

$held = $t->pg->hold('SELECT pg_advisory_lock(42)');
hooks(1, 'http://127.0.0.1:' . $receiver->port . '/other');
ok(wait_until(30, sub {
    $t->psql("SELECT count(*) FROM pg_stat_activity"
             . " WHERE wait_event = 'advisory'") > 0
}), 'a lease has to wait');
$t->reload($t->device_server());
$held->release();
ok(ours(1), 'the lease comes');
ok(wait_until(30, sub { leased() == 1 }), 'what it has brought is given back');
like($t->psql('SELECT url FROM iclock.webhook_endpoint'
              . ' WHERE leased_by IS NOT NULL'),
     qr{/hangs/1\z}, 'but what is under way');
ok(wait_until(30, sub { 1 == (() = $t->nginx->old_workers()) }),
   'which the worker waits for');

$receiver->down();
ok(wait_until(30, sub { !$t->nginx->old_workers() }), 'it leaves');
is(leased(), 0, 'and has given back all');

$receiver->up();
$t->psql('SELECT iclock.delete_webhook(id) FROM iclock.webhook_endpoint;'
         . ' DROP TRIGGER later ON iclock.webhook_endpoint');
$t->reload(server('1s', '5s'), level => 'debug');


# what a look brings to a worker that leaves is given back with the endpoints

hooks(1, $receiver->url(''));
ok(ours(1), 'nginx takes an endpoint');

my $sender = sender();

$held = $t->pg->hold('LOCK TABLE iclock.event_type');

ok(wait_until(30, sub { scalar(() = $t->pg->blocked()) }),
   'a look has to wait');
$t->reload();
sleep 0.5;
$held->release();
ok(wait_until(30, sub { !$t->nginx->old_workers() }),
   'the worker that looks leaves');
is(join(', ', (said($sender))[-2, -1]), 'looked for work, given back',
   'when it has looked');
$t->psql('SELECT iclock.delete_webhook(id) FROM iclock.webhook_endpoint');


# PostgreSQL stores results more slowly than they come: a hundred of them in
# three seconds, however fast the machine is; a worker that leaves has eleven

sub attempts {
    return scalar(() = $t->error_log() =~ /"wh_\w+" failed, outcome/g);
}

$t->psql(<<'END');
CREATE FUNCTION public.slowly() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN PERFORM pg_sleep(3); RETURN null; END $$;
CREATE TRIGGER slowly BEFORE INSERT ON iclock.webhook_attempt
FOR EACH STATEMENT EXECUTE FUNCTION public.slowly();
END

hooks(ENDPOINTS, 'http://127.0.0.1:' . $t->nginx->free_port());
ok(ours(ENDPOINTS), 'nginx takes endpoints that answer nothing');
events(6);
$sender = sender();
ok(wait_until(60, sub {
    attempts() >= 1000 + $t->psql('SELECT count(*)'
                                  . ' FROM iclock.webhook_attempt')
}), 'they get events');
$t->reload($t->device_server());
ok(wait_until(60, sub { !$t->nginx->old_workers() }),
   'the worker leaves, which has more to tell than it has time for');

my @said = said($sender);

shift @said while @said && $said[0] ne 'not given back in time';
cmp_ok(scalar(@said), '>', 0, 'it says so');
cmp_ok(scalar(grep { $_ eq 'told results' } @said), '<=', 1,
       'and tells no more');

# a lease that was under way may be taken after the others were given back
ok(wait_until(60, sub {
    $t->psql('SELECT count(*) FROM iclock.webhook_endpoint'
             . ' WHERE leased_by IS NOT NULL AND leased_until > now()') == 0
}), 'what is left is for others');

$t->done();
