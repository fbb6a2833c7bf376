#!/usr/bin/perl

# Copyright (C) the ngx_http_iclock_module authors

# A worker that sends webhooks leaves: it waits for the look for work that is
# under way, and stores what came of its requests, but not for ever.

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

sub ours {
    my ($n) = @_;

    return wait_until(30, sub {
        (() = $t->error_log() =~ /is ours/g) >= $n;
    });
}

sub events {
    my ($n) = @_;

    return $t->psql("SELECT count(iclock.event_write('user.updated', null,"
                    . " json_build_object('id', n::text)))"
                    . " FROM generate_series(1, $n) AS n");
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
ok(ours(1 + ENDPOINTS), 'nginx takes endpoints that answer nothing');
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
