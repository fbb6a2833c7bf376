#!/usr/bin/perl

# Copyright (C) the ngx_http_iclock_module authors

# What SQL says reaches nginx by notifications, and without them as well.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Test::IClock;

my $t = Test::IClock->new;
my $pg = $t->pg;


sub listening { $t->error_log() =~ /listening for notifications/ }


# the bodies of the commands in one poll

sub poll { map { $_->[1] } $t->device($_[0])->poll()->commands() }


sub queue {
    my ($sn, $body) = @_;

    return $t->psql("SELECT iclock.queue_command('$sn', '$body')");
}


# One poll tells that nothing is waiting.  From then on the device is not
# asked about in PostgreSQL.

sub settle {
    my ($sn) = @_;

    $t->device($sn)->handshake();
    wait_until(30, sub { !poll($sn) });
}


# a listener that waits so long for its probe gives up only where it is to

$t->start($t->device_server(pool => 'timeout=1m'));
ok(wait_until(30, \&listening), 'notifications are listened for');
is($pg->backends('iclock/listen'), 1, 'on one connection');


# a command is in the very next poll, whichever worker answers it

settle('NOTE0001');

for my $n (1 .. 40) {
    queue('NOTE0001', "DATA QUERY $n");

    # what was committed was notified, it may be under way to nginx
    is(join('|', @{wait_until(30, sub { my @c = poll('NOTE0001'); @c && \@c })
                   || []}), "DATA QUERY $n", "command $n");
    is(scalar(poll('NOTE0001')), 0, 'no more');
}

settle(sprintf 'MANY%04d', $_) for 1 .. 64;
$t->psql("SELECT iclock.queue_command(serial_number, 'INFO') FROM iclock.device"
         . " WHERE serial_number LIKE 'MANY%'");
my %got;

wait_until(30, sub {
    my @response = $t->concurrently(
        [ map { [ 'GET', sprintf '/iclock/getrequest?SN=MANY%04d', $_ ] }
          1 .. 64 ], connections => 64);

    $got{$_} .= $response[$_]->body =~ s/^OK//r for 0 .. 63;

    return 64 == grep { $_ ne '' } values %got;
});

is(scalar(grep { /\AC:\d+:INFO\n\z/ } values %got), 64,
   'commands for 64 devices at once, each once');


# status

$t->psql("SELECT iclock.block_device('NOTE0001')");
ok(wait_until(30, sub { $t->device('NOTE0001')->poll()->status == 403 }),
   'a device is blocked');
is($t->device('NOTE0001')->punches("1\t2026-03-01 08:00:00\t0\t1")->status,
   403, 'so are its uploads') for 1 .. 4;
$t->psql("SELECT iclock.approve_device('NOTE0001')");
ok(wait_until(30, sub { $t->device('NOTE0001')->poll()->status == 200 }),
   'a device is approved');

$t->psql("UPDATE iclock.device SET allowed_networks = '{10.0.0.0/8}'"
         . " WHERE serial_number = 'NOTE0001'");
ok(wait_until(30, sub { $t->device('NOTE0001')->poll()->status == 403 }),
   'an address is shut out');
$t->psql("UPDATE iclock.device SET allowed_networks = NULL"
         . " WHERE serial_number = 'NOTE0001'");
ok(wait_until(30, sub { $t->device('NOTE0001')->poll()->status == 200 }),
   'and let in');


# a commit that notifies and takes long: the listener is patient, since others
# who notify have to wait for it

$pg->set(wal_level => 'replica')->set(max_wal_senders => 2)->restart();
ok(wait_until(30, sub { (() = $t->error_log() =~ /listening for notif/g) > 1 }),
   'patient: listening');
$t->psql("ALTER SYSTEM SET synchronous_standby_names = 'nobody'");
$t->psql('SELECT pg_reload_conf()');

my $stalled = $pg->background("SET application_name = 'stalled';"
                              . " SELECT iclock.queue_command('NOTE0001',"
                              . " 'INFO')");

ok(wait_until(30, sub { $t->psql("SELECT count(*) FROM pg_stat_activity WHERE"
       . " application_name = 'stalled' AND wait_event = 'SyncRep'") }),
   'patient: a commit is stalled');
$pg->terminate('iclock/listen');
ok(wait_until(30, sub { $t->psql("SELECT count(*) FROM pg_stat_activity WHERE"
       . " application_name = 'iclock/listen' AND wait_event_type = 'Lock'") }),
   'patient: the probe waits for it');
sleep 3;
unlike($t->error_log(), qr/notifications of PostgreSQL do not arrive/,
       'patient: that is no reason to give up');

my $listening = () = $t->error_log() =~ /listening for notif/g;

$t->psql('ALTER SYSTEM RESET synchronous_standby_names');
$t->psql('SELECT pg_reload_conf()');
$stalled->wait();
ok(wait_until(30, sub {
    (() = $t->error_log() =~ /listening for notif/g) > $listening }),
   'patient: it has arrived');
wait_until(30, sub { !poll('NOTE0001') });


# a gap

settle('GAPS0001');
settle('GAPS0002');

my $lines = () = $t->error_log() =~ /listening for notifications/g;

$t->psql(<<'END');
    DO $$
    DECLARE
        listener int;
    BEGIN
        SELECT pid INTO STRICT listener FROM pg_stat_activity
         WHERE application_name = 'iclock/listen';

        PERFORM pg_terminate_backend(listener);

        WHILE EXISTS (SELECT FROM pg_stat_activity WHERE pid = listener) LOOP
            PERFORM pg_sleep(0.005);
            PERFORM pg_stat_clear_snapshot();
        END LOOP;
    END $$;
    SELECT iclock.queue_command('GAPS0001', 'CHECK');
    SELECT iclock.block_device('GAPS0002');
END

ok(wait_until(30, sub { grep { $_ eq 'CHECK' } poll('GAPS0001') }),
   'a command queued while nobody listened');
ok(wait_until(30, sub { $t->device('GAPS0002')->poll()->status == 403 }),
   'a device blocked while nobody listened');
ok(wait_until(30, sub {
    my $now = () = $t->error_log() =~ /listening for notifications/g;
    return $now > $lines }), 'somebody listens again');
is($pg->backends('iclock/listen'), 1, 'on one connection');


# something in between swallows notifications

is($t->quit(), 0, 'quit');

my $proxy = $t->proxy();
$proxy->mode('deaf');

$t->start($t->device_server(http => 'iclock_listen_database "'
    . $t->conninfo(host => '127.0.0.1', port => $proxy->port,
                   sslmode => 'disable') . '";'));

settle('DEAF0001');

my $advice = qr/notifications.*do\ not\ arrive.*iclock_listen_database/;

ok($t->wait_log($advice, 30), 'it is noticed that nothing arrives');
queue('DEAF0001', 'LOG');
ok(wait_until(30, sub { grep { $_ eq 'LOG' } poll('DEAF0001') }),
   'a command is found by polling');
queue('DEAF0001', 'CHECK');
ok(wait_until(30, sub { grep { $_ eq 'CHECK' } poll('DEAF0001') }),
   'another one');
ok(wait_until(30, sub { $proxy->stats()->{connections} >= 2 }),
   'it is tried again');
ok(wait_until(30, sub { !$proxy->stats()->{open} }), 'in vain');
is(scalar(() = $t->error_log() =~ /$advice/g), 1, 'the advice is given once');

$t->done();
