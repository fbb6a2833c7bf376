#!/usr/bin/perl

# Copyright (C) the ngx_http_iclock_module authors

# Webhooks while workers die, nginx is reloaded, PostgreSQL restarts, receivers
# hang, and transactions stay open: no event is lost, and few come twice.

use strict;
use warnings;

use FindBin;
use JSON::PP ();
use Test::More;
use Time::HiRes qw/ sleep time /;

use lib "$FindBin::Bin/lib";
use Test::IClock;

# a receiver that is slow for once must not look like one that hangs: what
# comes twice would come from that
use constant HOOKS => 'iclock_webhooks on; iclock_webhook_http on;'
                      . ' iclock_webhook_allow 127.0.0.1/32;'
                      . ' iclock_webhook_limits timeout=30s;';

# half of the endpoints of two machines
use constant HALF => HOOKS =~ s/30s/30s endpoints=4/r;

my $t = Test::IClock->new;
my $receiver = $t->receiver();
my $other = Test::IClock::Nginx->new($t->dir() . '/other');

# the second one must not stay behind, whatever happens
END { $other->kill_all() if $other && $other->{creator} == $$ }

$t->psql('GRANT iclock_api TO iclock_nginx');


sub hook {
    my ($path, %option) = @_;

    $t->settled();

    my %argument = (url => "'" . $receiver->url($path) . "'",
                    types => "'{user.updated}'", %option);

    my ($id) = split /\|/, $t->psql('SELECT * FROM iclock.create_webhook('
        . join(', ', map { "$_ => $argument{$_}" } sort keys %argument) . ')');

    return $id;
}

# those of <path>1 to <path>n

sub hooks {
    my ($path, $n, $concurrency) = @_;

    $t->settled();

    return $t->psql_lines('SELECT id FROM generate_series(1, ' . $n . ') AS n,'
        . " iclock.create_webhook('" . $receiver->url($path) . "' || n,"
        . " '{user.updated}', concurrency => " . ($concurrency || 4) . ')'
        . ' ORDER BY n');
}

sub delete_hooks {
    return $t->psql('SELECT ' . join ', ', map { "iclock.delete_webhook('$_')" }
                                           @_);
}


# Transactions with one event each, while the test goes on.

sub stream {
    my ($first, $last, $pause) = @_;

    return $t->pg->background("DO \$\$ BEGIN FOR n IN $first .. $last LOOP"
        . " PERFORM iclock.event_write('user.updated', null,"
        . " json_build_object('id', n::text)); COMMIT;"
        . " PERFORM pg_sleep($pause); END LOOP; END \$\$");
}

sub name { JSON::PP::decode_json($_[0]{body})->{user}{id} }

# How often each event came, of those that were answered; who has been looked
# at is not asked for again.

my (%count, %looked);

sub came {
    my ($path) = @_;

    my $count = $count{$path} ||= {};

    for ($receiver->requests($path, $looked{$path} || 0)) {
        $looked{$path}++;
        $count->{name($_)}++ if $_->{status} == 200;
    }

    return $count;
}

sub all_came {
    my ($path, $n, $seconds) = @_;

    return wait_until($seconds || 60, sub { keys %{came($path)} >= $n });
}

sub twice { scalar grep { $_ > 1 } values %{came($_[0])} }

# all endpoints have been taken by somebody

sub all_taken {
    my ($n) = @_;

    return wait_until(30, sub {
        $t->psql('SELECT count(*) FROM iclock.webhook_endpoint'
                 . ' WHERE leased_by IS NOT NULL AND leased_until > now()')
        == $n
    });
}

sub endpoint {
    my ($id, $column) = @_;

    return $t->psql("SELECT $column FROM iclock.webhook_endpoint"
                    . " WHERE id = '$id'");
}


# of how many events the database knows that they are done

sub stored {
    my ($id) = @_;

    return $t->psql('SELECT count(*) FROM iclock.event v,'
                    . ' iclock.webhook_endpoint e'
                    . " WHERE e.id = '$id' AND v.type = 10 AND (v.xid, v.seq)"
                    . ' <= (e.cursor_xid, e.cursor_seq)');
}


# Another configuration.  What hangs has its end when its worker is about to
# leave; it would be begun anew before.

sub change {
    my ($hooks, %option) = @_;

    $t->reload($t->device_server(http => $hooks), %option);
    $receiver->down();
    wait_until(60, sub { !$t->nginx->old_workers() });
    $receiver->up();

    return;
}


# the worker that sends also listens for notifications

sub kill_sender {
    my @listens = $t->error_log() =~ /(\d+)#\d+: iclock: listening for/g;

    return $t->kill_worker($listens[-1]);
}


$t->start($t->device_server(http => HOOKS));
$t->allow(qr/exited on signal 9/);


# the worker that sends is killed

my $id = hook('/kill', concurrency => 4);
my $writer = stream(1, 400, 0.004);

# May come twice: what had come, or was on its way, before the database knew.
# It is told five times a second, and there are 50 events in that time; a slow
# machine has all the time that it takes.

my $may = 0;

for my $kill (1 .. 3) {
    my $stored;

    sleep 0.4;

    ok(wait_until(60, sub {
        $stored = stored($id);
        return keys(%{came('/kill')}) - $stored <= 100;
    }), "kill $kill: the database knows most of what has come");

    kill_sender();
    $may += 4 + keys(%{came('/kill')}) - $stored;
}

$writer->wait();
ok(all_came('/kill', 400), 'workers are killed: every event arrives');
cmp_ok(twice('/kill'), '<=', $may, 'few come twice');
delete_hooks($id);


# Reloads while events are written.  What a receiver had got and was settled,
# when a worker was told to leave, does not come again; what was sent ahead of
# that may.

my $before = $t->psql('SELECT count(*) FROM iclock.event WHERE type = 10');
my @once;

$id = hook('/reload', concurrency => 4);

for my $round (1 .. 10) {
    my ($first, $last) = (60 * $round - 59, 60 * $round);
    my @got;

    $writer = stream($first, $last, 0.01);

    ok(wait_until(60, sub {
        my $settled = $t->psql('SELECT count(*) FROM iclock.event WHERE'
                    . ' type = 10 AND'
                    . ' xid < pg_snapshot_xmin(pg_current_snapshot())')
                    - $before;

        @got = grep { $_ >= $first && $_ <= $settled }
               keys %{came('/reload')};

        return @got >= 20;
    }), "reload $round: events come");

    $t->reload();
    push @once, @got;
    ok(wait_until(60, sub { !$t->nginx->old_workers() }),
       "reload $round: old workers leave");
    $writer->wait();
}

ok(all_came('/reload', 600), 'reloads: every event arrives');

my $count = came('/reload');

is(join(' ', grep { $count->{$_} > 1 } @once), '',
   'none comes twice that was settled');
is($t->psql('SELECT rebased_seq FROM iclock.event_state'), 0,
   'maintenance leaves cursors alone');
delete_hooks($id);


# A reload when nothing is a cause for a second time.  The transaction behind
# which all was sent has ended, but most likely the worker has not looked since.
# (In the stream above there may be one: what is not settled comes again.)

$t->psql('CREATE DATABASE elsewhere');

my $open = $t->pg->session(dbname => 'elsewhere');

$id = hook('/settled');
$writer = 0;

for my $reload (1 .. 3) {
    $open->query('BEGIN');
    $open->query('SELECT pg_current_xact_id()');
    stream($writer + 1, $writer + 40, 0)->wait();
    $writer += 40;
    all_came('/settled', $writer);
    $open->query('COMMIT');

    ok(wait_until(30, sub {
        $t->psql('SELECT pg_snapshot_xmin(pg_current_snapshot()) > xid'
                 . ' FROM iclock.event ORDER BY xid DESC LIMIT 1') eq 't'
    }), "reload $reload: all is settled");
    $t->reload();
}

stream($writer + 1, $writer + 1, 0)->wait();
ok(all_came('/settled', $writer + 1), 'reloads at rest: every event arrives');
is(twice('/settled'), 0, 'none comes twice');
delete_hooks($id);


# a reload while three are to be sent again, and the first one hangs

$id = hook('/again', concurrency => 1);
stream(1, 3, 0)->wait();
ok(all_came('/again', 3), 'three more');
$receiver->answer('/again', { action => 'hang' });
$t->psql("SELECT iclock.resend_webhook('$id', ARRAY["
         . join(', ', map { "'$_->{headers}{'webhook-id'}'" }
                          $receiver->requests('/again')) . '])');
ok(wait_until(30, sub { $receiver->count('/again') == 4 }), 'once more');
$t->reload();
$receiver->answer('/again', {});
$receiver->down()->up();
ok(wait_until(40, sub { 3 == grep { $_ >= 2 } values %{came('/again')} }),
   'a worker that leaves gives back what it has taken');
delete_hooks($id);


# PostgreSQL

$id = hook('/restart');
$writer = stream(1, 60, 0.004);
sleep 0.2;
$writer->wait();
$t->pg->restart();
$t->psql("SELECT iclock.event_write('user.updated', null,"
         . " json_build_object('id', n::text))"
         . " FROM generate_series(61, 120) AS n");
ok(all_came('/restart', 120), 'PostgreSQL restarts: every event arrives');
delete_hooks($id);


# Receivers that hang, for longer than all of this takes: who waited for them
# would not get through.

$t->reload($t->device_server(http => HOOKS =~ s/30s/120s/r), wait => 1);
$receiver->answer("/hang$_", { action => 'hang' }) for 1 .. 19;
my @hang = hooks('/hang', 19);

$id = hook('/fine');
ok(all_taken(20), 'nginx takes twenty endpoints');
stream(1, 200, 0.005)->wait();
ok(all_came('/fine', 200), '19 receivers hang, one does not');
ok(wait_until(30, sub { $receiver->stats()->{answering} >= 19 }),
   'requests were hanging');
is(twice('/fine'), 0, 'none comes twice');


# a reload waits for them, and for nothing else

stream(201, 201, 0)->wait();
ok(all_came('/fine', 201), 'one more');
$t->reload($t->device_server(http => HOOKS));
stream(202, 202, 0)->wait();
ok(all_came('/fine', 202),
   'after a reload others do not wait for those that hang');
cmp_ok(scalar($t->nginx->old_workers()), '>', 0, 'the old worker does');

delete_hooks(@hang, $id);


# who hangs until his time is up is waited for so long

change(HOOKS =~ s/30s/2s/r);

my $hung = $receiver->count('/hang1');

$id = hook('/hang1');
ok(all_taken(1), 'an endpoint is taken');
stream(1, 1, 0)->wait();
ok(wait_until(30, sub { $receiver->count('/hang1') > $hung }), 'it hangs');
$t->reload();
ok(wait_until(60, sub { !$t->nginx->old_workers() }), 'old workers leave');
delete_hooks($id);


# a crowd that nobody knows yet, of which one answers

change(HOOKS =~ s/30s/120s concurrency=8/r, connections => 2048, workers => 1);
$receiver->answer('/crowd', { action => 'hang' });
$t->psql("SELECT count(iclock.create_webhook('" . $receiver->url('/crowd')
         . "', '{user.updated}')) FROM generate_series(1, 150)");
$id = hook('/alive');
ok(all_taken(151), 'nginx takes a crowd');
stream(1, 1, 0)->wait();
ok(all_came('/alive', 1), 'who answers is found among 150 that hang');
stream(2, 31, 0.01)->wait();
ok(all_came('/alive', 31), 'and gets what follows without them');
ok(wait_until(60, sub { $receiver->count('/crowd') >= 100 }),
   'they were tried');
$t->psql('SELECT count(iclock.delete_webhook(id)::text)'
         . ' FROM iclock.webhook_endpoint');


# Some that were prompt begin to hang: at first they get half of the connections
# that there are, which is about 45, and a second later none of the others.

change(HOOKS =~ s/30s/120s concurrency=256/r, connections => 300,
       workers => 1);
@hang = hooks('/prompt', 8, 32);
$id = hook('/good');
ok(all_taken(9), 'nginx takes nine endpoints');
stream(1, 1, 0)->wait();
ok(all_came("/prompt$_", 1), "endpoint $_ is prompt") for 1 .. 8;
$receiver->answer("/prompt$_", { action => 'hang' }) for 1 .. 8;
stream(2, 41, 0)->wait();
ok(wait_until(30, sub { $receiver->stats()->{answering} >= 32 }),
   'they begin to hang');
stream(42, 71, 0.1)->wait();
ok(all_came('/good', 71), 'one that does not has a connection left');
delete_hooks(@hang, $id);


# connections of nginx are used up: devices do not notice

change(HOOKS =~ s/30s/120s/r, connections => 64, workers => 1);

@hang = hooks('/hang', 8, 32);
$id = hook('/few');
ok(all_taken(9), 'nginx takes nine endpoints');
stream(1, 60, 0.002)->wait();
ok(all_came('/few', 60), 'a webhook gets its events with few connections');
is($t->device('FEWC0001')->handshake()->status, 200, 'a device is served')
    for 1 .. 5;
cmp_ok($receiver->stats()->{answering}, '<', 25, 'requests have to wait');
unlike($t->error_log(), qr/worker_connections are not enough/,
       'some connections are left');
delete_hooks(@hang, $id);
change(HALF, workers => 2);


# a transaction of another database holds the horizon back

$id = hook('/ahead');
ok(all_taken(1), 'nginx takes an endpoint');

$open = $t->pg->session(dbname => 'elsewhere');

$open->query('BEGIN');
$open->query('SELECT pg_current_xact_id()');

my $cursor = endpoint($id, 'cursor_seq');

stream(1, 50, 0.002)->wait();
ok(all_came('/ahead', 50), 'events come ahead of the horizon');
sleep 0.4;
is(endpoint($id, 'cursor_seq'), $cursor, 'the cursor stays');
is(twice('/ahead'), 0, 'none comes twice');

kill_sender();
stream(51, 60, 0.002)->wait();
ok(all_came('/ahead', 60), 'a worker is killed with events sent ahead');
$open->query('COMMIT');
stream(61, 61, 0)->wait();
ok(all_came('/ahead', 61), 'the transaction ends');
ok(wait_until(30, sub {
    endpoint($id, 'cursor_seq') == $t->psql('SELECT max(seq)'
                                            . ' FROM iclock.event')
}), 'and the cursor follows');
delete_hooks($id);


# two machines, neither of which takes all

$other->start($t->device_server(http => HALF));

my @id = hooks('/two', 8);

ok(all_taken(8), 'two machines share endpoints');
is($t->psql('SELECT count(DISTINCT leased_by) FROM iclock.webhook_endpoint'),
   2, 'both have some');

stream(1, 50, 0.002)->wait();
ok(all_came("/two$_", 50), "endpoint $_ gets all") for 1 .. 8;
is(scalar(grep { twice("/two$_") } 1 .. 8), 0, 'each event comes from one');

$other->stop('QUIT');
$t->quit();
is($t->psql('SELECT count(*) FROM iclock.webhook_endpoint'
            . ' WHERE leased_by IS NOT NULL'), 0,
   'who stops gives its endpoints back');

# one of them dies
$other->start($t->device_server(http => HOOKS));
ok(all_taken(8), 'the other one takes them all');
$other->kill_all();
$t->start($t->device_server(http => HOOKS));
stream(51, 60, 0.002)->wait();
sleep 1.5;
is(scalar(keys %{came('/two1')}), 50, 'a lease holds');
$t->psql("UPDATE iclock.webhook_endpoint SET leased_until = now()");
ok(all_came("/two$_", 60), "endpoint $_ is taken over") for 1 .. 8;

$t->done();
