#!/usr/bin/perl

# Copyright (C) the ngx_http_iclock_module authors

# The life of nginx: signals, crashes, upgrades, processes of other kinds, and
# clients that leave early.

use strict;
use warnings;

use FindBin;
use List::Util qw/ max min /;
use Socket qw/ SOL_SOCKET SO_RCVBUF /;
use Test::More;
use Time::HiRes qw/ sleep /;

use lib "$FindBin::Bin/lib";
use Test::IClock;
use Test::IClock::HTTP;
use Test::IClock::Load;
use Test::IClock::Process qw/ children slurp /;

my $t = Test::IClock->new;
my $pg = $t->pg;
my $minute = 0;


sub another {
    my ($name, @start) = @_;

    is($t->quit(), 0, "nginx before: $name") if $t->nginx->running();

    $t->start(@start);
}


sub punch {
    $minute++;

    return sprintf "7\t2026-03-01 %02d:%02d:00\t0\t1", int($minute / 60),
                   $minute % 60;
}


sub upload { $t->device($_[0])->punches(punch()) }
sub punches { $t->psql('SELECT count(*) FROM iclock.punch') }


# the bytes of an upload

sub upload_request {
    my ($sn, %header) = @_;

    return Test::IClock::HTTP::format_request('POST',
        "/iclock/cdata?SN=$sn&table=ATTLOG&Stamp=9999", punch(), %header);
}


# an upload that waits in the database, and the lock it waits for

sub waiting_upload {
    my ($sn, %header) = @_;

    my $lock = hold();
    my $c = $t->connect();

    $c->write(upload_request($sn, %header));
    ok($pg->wait_blocked(), "an upload of $sn waits");

    return ($c, $lock);
}


sub hold { $pg->hold('LOCK TABLE iclock.punch IN SHARE ROW EXCLUSIVE MODE') }


# descriptors of the workers apart from their connections to the database

sub descriptors {
    my $n = -$pg->backends();

    $n += $t->nginx->fds($_) for $t->workers();

    return $n;
}


# clients that leave early: their descriptors go, too

$t->start($t->device_server(pool => 'timeout=1m',
                            http => 'iclock_presence_interval 1s;',
                            server => 'location /status { stub_status; }'));
is(upload('LEFT0001')->text, '200 OK: 1', 'upload');
is($t->device('LEFT0001')->poll()->text, '200 OK', 'poll');

my $descriptors = -1;
ok(wait_until(30, sub {
       my $last = $descriptors;

       $descriptors = descriptors();
       return $descriptors == $last;
   }), 'descriptors come to rest');
my $count = punches();

for (1 .. 64) {
    my $c = $t->connect();

    $c->write(upload_request(sprintf 'LEFT%04d', 1 + $_ % 8));
    $c->close();
}

ok(wait_until(30, sub { punches() == $count + 64 }),
   'left after the body: all punches are stored') or diag(punches() - $count);

$count = punches();

for my $n (1 .. 64) {
    my $c = $t->connect();
    my $request = upload_request(sprintf 'LEFT%04d', 1 + $n % 8);

    # in the body and in the header
    $c->write(substr $request, 0, $n % 2 ? -5 : 90);
    $n % 4 > 1 ? $c->abort() : $c->close();
}

is(upload('LEFT0001')->text, '200 OK: 1', 'another upload');
is(punches(), $count + 1, 'half a request: nothing is stored');

my ($c, $lock) = waiting_upload('LEFT0002', -keepalive => 1);
my @gone = map {
    my $c = $t->connect();
    $c->write(upload_request(sprintf('LEFT%04d', 1 + $_ % 8),
                             -keepalive => 1));
    $c;
} 1 .. 63;

# these, and the question
ok(wait_until(30, sub {
    $t->get('/status')->body() =~ /Writing: 65 / }),
   'left while waiting: all have been read');
$_ % 2 ? $gone[$_]->abort() : $gone[$_]->close() for 0 .. $#gone;
$c->close();
$count = punches();
$lock->release();
ok(wait_until(30, sub { punches() == $count + 64 }),
   'left while waiting: all punches are stored') or diag(punches() - $count);

ok(wait_until(30, sub { descriptors() <= $descriptors }),
   'no descriptor is left') or diag(descriptors() . " of $descriptors");


# presence

$t->psql('UPDATE iclock.device SET last_seen = NULL, remote_address = NULL');
$t->device('LEFT0003')->poll();
ok(wait_until(30, sub {
    $t->psql("SELECT last_seen > now() - interval '1 min', remote_address"
             . " FROM iclock.device WHERE serial_number = 'LEFT0003'")
        eq 't|127.0.0.1' }), 'presence is written');


# QUIT and TERM while an upload is under way

($c, $lock) = waiting_upload('QUIT0001');
kill 'QUIT', $t->nginx->{pid};
wait_until(30, sub { $t->nginx->old_workers() });
$lock->release();
is($c->read->text, '200 OK: 1', 'QUIT: the upload is finished');
is($t->quit(), 0, 'QUIT: exit status');

another('TERM');
($c, $lock) = waiting_upload('TERM0001');
is($t->term(), 0, 'TERM: exit status');
my $response = $c->read();
ok(!$response || $response->status != 200, 'TERM: nothing is acknowledged');
$lock->release();
ok(wait_until(30, sub { !$pg->backends() }), 'TERM: no connection is left');

another('shutdown timeout', undef, main => 'worker_shutdown_timeout 1s;');
($c, $lock) = waiting_upload('TIME0001');
$t->reload(undef, wait => 1);
pass('shutdown timeout: the old workers are gone');
$response = $c->read();
ok(!$response || $response->status != 200,
   'shutdown timeout: nothing is acknowledged');
$lock->release();
is(upload('TIME0001')->text, '200 OK: 1', 'shutdown timeout: upload');


# ... and while a poll is: commands that were on their way wait again

another('shutdown timeout of a poll', $t->device_server(
    pool => 'timeout=1m',
    location => 'iclock_command_limit count=64 bytes=8m;'
                . ' iclock_command_timeout 1m;'),
    main => 'worker_shutdown_timeout 1s;');

sub state_of {
    return $t->psql('SELECT DISTINCT c.status, attempts FROM iclock.command c'
                    . ' JOIN iclock.device d ON d.id = c.device_id'
                    . " WHERE d.serial_number = '$_[0]'");
}

sub poll_unread {
    my ($sn) = @_;
    my $c = $t->connect();

    setsockopt $c->{socket}, SOL_SOCKET, SO_RCVBUF, 4096;
    $c->write("GET /iclock/getrequest?SN=$sn HTTP/1.0\r\n\r\n");

    return $c;
}

$t->device('TIME0002')->handshake();
$t->psql("SELECT iclock.queue_command('TIME0002', 'DATA UPDATE USERPIC PIN='"
         . " || n || repeat('x', 65536)) FROM generate_series(1, 64) n");
$t->device('TIME0002')->handshake();    # the next poll asks for commands
$c = poll_unread('TIME0002');
ok(wait_until(30, sub { state_of('TIME0002') eq 'sent|1' }),
   'shutdown timeout: commands are on their way');
$t->reload(undef, wait => 1);
ok(wait_until(30, sub { state_of('TIME0002') eq 'queued|0' }),
   'shutdown timeout: they wait again') or diag(state_of('TIME0002'));
$c->close();

# What is committed when nobody is there any more is sent again after its time:
# a worker that has to go does not wait for PostgreSQL.

$t->device('TIME0003')->handshake();
my $id = $t->psql("SELECT iclock.queue_command('TIME0003', 'LOG')");
$t->device('TIME0003')->handshake();
$lock = $pg->hold('LOCK TABLE iclock.command IN ACCESS EXCLUSIVE MODE');
$c = poll_unread('TIME0003');
ok($pg->wait_blocked(), 'a poll waits');
$t->reload(undef, wait => 1);
$lock->release();
$c->close();
ok(wait_until(30, sub { state_of('TIME0003') eq 'sent|1' }),
   'shutdown timeout: a command that nobody got') or diag(state_of('TIME0003'));
$t->psql("UPDATE iclock.command SET sent_at = sent_at - interval '2 min'"
         . " WHERE id = $id; NOTIFY iclock_command, 'TIME0003'");
$response = undef;
wait_until(30, sub { $response = $t->device('TIME0003')->poll()->body;
                     $response ne 'OK' });
is($response, "C:$id:LOG\n", 'shutdown timeout: it is sent again');


# old workers with idle connections, and with a server that says nothing

upload("IDLE000$_") for 0 .. 9;
$pg->freeze();
$t->reload(undef, wait => 1);
$pg->thaw();
pass('idle connections do not keep old workers');
ok(wait_until(30, sub { upload('IDLE0001')->status == 200 }), 'upload');


# processes of other kinds

another('no master', $t->device_server(), main => 'master_process off;',
        workers => 1);
is($t->device('SOLE0001')->handshake()->status, 200, 'no master: handshake');
is(upload('SOLE0001')->text, '200 OK: 1', 'no master: upload');
is($t->device('SOLE0001')->poll()->text, '200 OK', 'no master: poll');
$t->psql("SELECT iclock.queue_command('SOLE0001', 'INFO')");
ok(wait_until(60, sub { $t->device('SOLE0001')->poll()->commands() }),
   'no master: a command is heard of');
ok(wait_until(30, sub { $pg->backends('iclock/listen') == 1 }),
   'no master: one listener');

another('no http', undef, raw => $t->nginx->configuration(undef));
is(scalar $t->workers(), 2, 'no http: workers run');
ok(wait_until(30, sub { $pg->backends() == 0 }), 'no http: no connection');
$t->nginx->reload();

another('cache', $t->device_server(
    http => 'proxy_cache_path %%PREFIX%%/cache keys_zone=c:1m;'));
ok(wait_until(30, sub { $pg->backends() >= 3 }), 'cache: connections');

ok(wait_until(30, sub {
    grep { slurp("/proc/$_/cmdline") =~ /nginx: cache/ }
         children($t->nginx->{pid})
}), 'cache: there is a cache manager');
is(upload('HELP0001')->text, '200 OK: 1', 'cache: upload');
# one that had more than one thing to do may have more than one
my $who;
ok(wait_until(30, sub {
    $who = join ' ', sort $t->psql_lines('SELECT DISTINCT application_name'
        . " FROM pg_stat_activity WHERE application_name LIKE 'iclock%'");
    return $who eq 'iclock/0 iclock/1 iclock/listen';
}), 'cache: only workers are connected') or diag($who);


# workers die

$t->allow(qr/exited on signal 9/);

my $load = Test::IClock::Load->start(port => $t->port, prefix => 'DIED');

for (1 .. 4) {
    $count = punches();
    $t->kill_worker(($t->workers())[$_ % 2]);
    ok(wait_until(30, sub { punches() > $count + 50 }),
       "punches are stored after death $_");
}

my $report = $load->stop();
Test::IClock::Load::is_good($t, $report, 'killed workers');
ok(wait_until(30, sub { $pg->backends() <= 9 }), 'killed workers: connections');


# a binary upgrade under load

another('upgrade', undef, daemon => 1);
$load = Test::IClock::Load->start(port => $t->port, prefix => 'NEXT');
$count = punches();
wait_until(30, sub { punches() > $count + 50 });
$t->upgrade();
$count = punches();
ok(wait_until(30, sub { punches() > $count + 50 }), 'upgrade: punches');
$report = $load->stop();
Test::IClock::Load::is_good($t, $report, 'upgrade');
ok(wait_until(30, sub { $pg->backends() <= 9 }), 'upgrade: connections');


# many reloads

another('reloads');

my @series;

for my $n (1 .. 30) {
    $t->reload(undef, wait => 1);
    is(upload('MANY0001')->text, '200 OK: 1', "upload after reload $n");

    # the larger of the workers: only one of them had the upload
    my $nginx = $t->nginx;
    my @workers = $t->workers();

    push @series, {
        'fds of the master' => $nginx->fds($nginx->{pid}),
        'memory of the master' => $nginx->rss($nginx->{pid}),
        'fds of a worker' => max(map { $nginx->fds($_) } @workers),
        'memory of a worker' => max(map { $nginx->rss($_) } @workers),
    };
}

# Connections come and go: what leaks with each reload is always there in the
# end.  Sanitizers keep what was freed for a while.

my $slack = $ENV{TEST_SANITIZE} ? 16 << 20 : 1 << 20;

for my $what (sort keys %{$series[0]}) {
    my $limit = max(map { $_->{$what} } @series[5 .. 9])
                + ($what =~ /fds/ ? 2 : $slack);

    cmp_ok(min(map { $_->{$what} } @series[25 .. 29]), '<=', $limit,
           "$what after 30 reloads")
        or diag(join ' ', map { $_->{$what} } @series);
}

$t->done();
