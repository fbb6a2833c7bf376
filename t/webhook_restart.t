#!/usr/bin/perl

# Copyright (C) the ngx_http_iclock_module authors

# PostgreSQL is restarted, and loses its connections, while events are written
# and webhooks are sent: what was committed arrives.

use strict;
use warnings;

use FindBin;
use JSON::PP ();
use POSIX ();
use Test::More;
use Time::HiRes qw/ sleep time /;

use lib "$FindBin::Bin/lib";
use Test::IClock;

use constant EVENTS => 60;
use constant RESTARTS => 2;

my $t = Test::IClock->new;
my $receiver = $t->receiver();
my ($done, $restarted) = map { $t->dir() . "/$_" } qw/ done restarted /;

$t->psql('GRANT iclock_api TO iclock_nginx');
$t->psql("SELECT iclock.create_webhook('" . $receiver->url('/in')
         . "', '{user.updated}')");
$t->start($t->device_server(http => 'iclock_webhooks on;'
    . ' iclock_webhook_http on; iclock_webhook_allow 127.0.0.1/32;'));


sub touch { open my $f, '>', $_[0] or die "$_[0]: $!" }

# Writes an event until that was committed, perhaps twice; half of them after
# the first restart, whoever is faster.

sub writer {
    for my $n (1 .. EVENTS) {
        wait_until(120, sub { -e $restarted }) if $n == EVENTS / 2;
        sleep 0.05 while ($t->pg->psql_try("SELECT iclock.event_write("
            . "'user.updated', null, json_build_object('id', '$n'))"))[0] != 0;
    }

    touch($done);
    POSIX::_exit(0);
}

my $pid = fork // die "fork: $!";
writer() if $pid == 0;

sub came {
    my %came;

    $came{JSON::PP::decode_json($_->{body})->{user}{id}}++
        for grep { $_->{status} == 200 } $receiver->requests('/in');

    return scalar keys %came;
}


ok(wait_until(30, sub { came() > 0 }), 'events are sent');

my $restarts = 0;

while ($restarts < RESTARTS && !-e $done) {
    my $before = came();

    $t->pg->restart();
    $restarts++;
    touch($restarted);
    wait_until(30, sub { came() > $before });
}

cmp_ok($restarts, '>=', 1, 'PostgreSQL is restarted meanwhile');
waitpid $pid, 0;
ok(-e $done, 'all are written');
ok(wait_until(30, sub { came() >= EVENTS }), 'all of them arrive')
    or diag came();
is($t->psql('SELECT status FROM iclock.webhook_endpoint'), 'active',
   'nobody is given up');

$t->done();
