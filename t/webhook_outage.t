#!/usr/bin/perl

# Copyright (C) the ngx_http_iclock_module authors

# Receivers that are away for minutes and for days, or do not answer, by clocks
# that the test moves.

use strict;
use warnings;

use FindBin;
use JSON::PP ();
use Test::More;
use Time::HiRes qw/ sleep time /;

use lib "$FindBin::Bin/lib";
use Test::IClock;

my $t = Test::IClock->new(clock => time);
my $receiver = $t->receiver();
my $clock = $t->clock();

$t->psql('GRANT iclock_api TO iclock_nginx');


sub hook {
    my ($path, $types, $more) = @_;

    my ($id) = split /\|/, $t->psql('SELECT * FROM iclock.create_webhook('
        . "'" . $receiver->url($path) . "', '{$types}'" . ($more // '')
        . ')');

    return $id;
}

sub events {
    my ($first, $last, $type) = @_;

    $t->psql("SELECT count(iclock.event_write('$type', null,"
             . " json_build_object('id', n::text)))"
             . " FROM generate_series($first, $last) AS n");

    return;
}

# without another psql each time

my $session = $t->pg->session();

sub endpoint {
    my ($id, $column) = @_;

    my ($value) = $session->query("SELECT $column FROM"
                      . " iclock.webhook_endpoint WHERE id = '$id'");

    return $value;
}

sub names {
    return map { JSON::PP::decode_json($_->{body})->{user}{id} }
           grep { $_->{status} == 200 } $receiver->requests($_[0]);
}

# What was said of the pause after so many attempts, by endpoint: as it stands
# in the database, whenever somebody gets to trying.

my %pause;

# whether timers of nginx stand still

my $still = 1;

# Moves the clock to where something is to be tried again, unless it is on its
# way already, and waits until it was tried.  One statement tells how often that
# was before and when it is due: an attempt between two of them would count as
# the next one, which would still be on its way.

sub next_attempt {
    my ($id, $event) = @_;

    my $attempts = "SELECT count(*) FROM iclock.webhook_attempt"
                   . " WHERE endpoint_id = '$id'"
                   . ($event ? " AND event_id = '$event'" : '');
    my ($row) = $session->query("SELECT ($attempts), greatest(0,"
        . ' ceil(extract(epoch FROM due - iclock.webhook_now()))), n,'
        . ' extract(epoch FROM'
        . " due - last) FROM (SELECT CASE e.status WHEN 'failing'"
        . ' THEN CASE WHEN NOT e.probing THEN e.next_probe_at END ELSE'
        . ' (SELECT min(r.next_at) FROM iclock.webhook_retry r WHERE'
        . " r.endpoint_id = e.id AND r.state = 'retrying'"
        . ' AND NOT r.taken) END AS due, a.*'
        . ' FROM iclock.webhook_endpoint e, (SELECT count(*) AS n,'
        . ' max(at) AS last FROM iclock.webhook_attempt'
        . " WHERE endpoint_id = '$id') a WHERE e.id = '$id') d");
    my ($before, $seconds, $n, $pause) = split /\|/, $row;
    my $tried = sub { ($session->query($attempts))[0] > $before };

    $pause{$id}{$n} = $pause if $pause;
    $clock->to($clock->now() + $seconds + 1) if $seconds;

    return $still ? soon($tried) : wait_until(30, $tried);
}

# Waits until something is so, for which two seconds of nginx pass at most: one
# has a tick in it.

sub soon {
    my ($so) = @_;

    $clock->pass(1000);

    for (1 .. 4) {
        return 1 if wait_until(2, $so);
        $clock->pass(250);
    }

    return wait_until(60, $so);
}

# Tries again until something is so, at most that often.

sub try_until {
    my ($id, $most, $so, $event) = @_;

    for (1 .. $most) {
        return 1 if $so->();
        next_attempt($id, $event);
    }

    return $so->();
}


# The clock may move while PostgreSQL is asked, and leases run out: no other
# worker takes them.  Timers of nginx stand still, if they are to: then it takes
# no time but what the test lets pass.

sub start {
    my ($limits) = @_;

    my $before = length $t->error_log();

    $t->nginx->{env} = { %{$clock->environment()},
                         $still ? (CLOCK_STILL => 1) : () };
    $t->start($t->device_server(pool => 'timeout=1h',
              http => 'iclock_webhooks on; iclock_api_pool timeout=1h;'
              . ' iclock_webhook_http on; iclock_webhook_allow 127.0.0.1/32;'
              . ($limits ? " iclock_webhook_limits $limits;" : '')),
              workers => 1);
    ok(wait_until(60, sub {
        $clock->pass(10);
        substr($t->error_log(), $before) =~ /iclock: listening for notif/ }),
       'nginx listens');
}

# ends an nginx whose timers stand still

sub over {
    kill 'QUIT', $t->nginx->{pid};
    ok(wait_until(60, sub { $clock->pass(1000); !$t->nginx->running() }),
       'nginx ends');
    is($t->nginx->{status}, 0, 'with status 0');
}

# A hook that nginx has taken: from now on it needs no timer to send what it
# hears of.

sub taken {
    my ($path, $type) = @_;

    my $id = hook($path, $type);

    ok(wait_until(60, sub {
        return 1 if endpoint($id, 'leased_by') ne '';
        $clock->pass(10);
        return 0;
    }), "nginx takes $path");

    return $id;
}

sub attempts {
    my ($id) = @_;

    return ($session->query('SELECT count(*) FROM iclock.webhook_attempt'
                            . " WHERE endpoint_id = '$id'"))[0];
}


# a minute and a half

start();

my $id = taken('/minutes', 'user.updated');

$receiver->down();
events(1, 1, 'user.updated');
ok(wait_until(60, sub { attempts($id) }), 'a receiver is down');

ok(try_until($id, 8, sub { endpoint($id, 'status') eq 'failing' }),
   'five failures in a row');

# who had begun to ask before that would still get what comes meanwhile

ok(wait_until(30, sub {
    !($session->query('SELECT count(*) FROM pg_stat_activity WHERE state <>'
                      . " 'idle' AND pid <> pg_backend_pid()"
                      . " AND query LIKE '%webhook_work(%'"))[0]
}), 'nobody asks for work');
events(2, 300, 'user.updated');
ok(next_attempt($id), 'it is tried again') for 1, 2;
$receiver->up();
ok(next_attempt($id), 'and once more, which it answers');
ok(soon(sub { $receiver->count('/minutes') >= 300 }),
   'all that waited comes within two seconds');
is(join(' ', sort { $a <=> $b } names('/minutes')), join(' ', 1 .. 300),
   'each event once');
ok(wait_until(30, sub { endpoint($id, 'status') eq 'active' }),
   'the endpoint is active');

# An attempt is never early, and none was later than two seconds.  Nothing is
# tried while the test looks when that will be, unless it looks for as long.

my @attempt = map { [ split /\|/ ] }
              $t->psql_lines('SELECT extract(epoch FROM at), status'
                             . ' FROM iclock.webhook_attempt'
                             . ' ORDER BY at, id LIMIT 8');
my $seen = 0;

for my $n (1 .. 7) {
    my $nominal = 2 ** ($n - 1);
    my $pause = $pause{$id}{$n};

    $seen++ if $pause;
    cmp_ok(abs(($pause || $nominal) - $nominal), '<=', 0.1001 * $nominal,
           "about $nominal s after attempt $n");
    cmp_ok($attempt[$n][0] - $attempt[$n - 1][0], '>=', 0.89 * $nominal,
           'the next one is not early');
}

cmp_ok($seen, '>=', 6, 'pauses were seen');
is(join(' ', map { $_->[1] || '-' } @attempt), '- - - - - - - 200',
   'the eighth attempt delivers');
$t->psql("SELECT iclock.delete_webhook('$id')");


# A receiver that does not answer is waited for as long as it may take, and not
# longer: 15 seconds, or what was set.

for my $case ([ '/hangs', 14_000, 2_000 ], [ '/hangs2s', 1_500, 1_000 ]) {
    my ($path, $less, $more) = @$case;

    if ($path eq '/hangs2s') {
        over();
        start('timeout=2s');
    }

    $id = taken($path, 'template.enrolled');
    $receiver->answer($path, { action => 'hang' }, {});
    events(1, 1, 'template.enrolled');
    is($receiver->wait_for(1, $path, 60), 1, "$path: a receiver hangs");

    $clock->pass($less);

    # with the second one nginx has been through its timers

    is($t->get('/iclock/ping?SN=HANGS')->text, '200 OK', "$path: time passes")
        for 1, 2;

    # what the receiver was about to be told it is told before the second one

    is($receiver->stats()->{answering}, 1, "$path: nginx waits") for 1, 2;
    is(attempts($id), 0, "$path: and says nothing");

    $clock->pass($more);
    ok(wait_until(60, sub { attempts($id) }), "$path: then it does not");
    like($t->psql('SELECT error FROM iclock.webhook_attempt'
                  . " WHERE endpoint_id = '$id'"), qr/timed out/i,
         "$path: the reason is kept");
    ok(wait_until(30, sub { $receiver->stats()->{answering} == 0 }),
       "$path: the request is over");

    ok(next_attempt($id), "$path: it is sent once more");

    my ($again) = $receiver->requests($path, 1);

    is($again->{headers}{'iclock-attempt'}, 2, "$path: which is counted");
    is($again->{status}, 200, "$path: and answered");
    $t->psql("SELECT iclock.delete_webhook('$id')");
}

over();


# a day

$still = 0;
start();

$id = hook('/day', 'user.deleted');
$receiver->down();
events(1, 20, 'user.deleted');
try_until($id, 8, sub { endpoint($id, 'status') eq 'failing' });
$clock->to($clock->now() + 23.5 * 3600);
next_attempt($id);
is(endpoint($id, 'status'), 'failing', 'it fails for most of a day');
ok(try_until($id, 20, sub { endpoint($id, 'status') eq 'disabled' }),
   'after a day an endpoint is disabled');
is(endpoint($id, 'status_reason'), 'unreachable', 'because nobody was there');
$t->wait_log(qr/webhook "\Q$id\E" was given up/, 30);
is(scalar(() = $t->error_log()
                =~ /\[error\].*webhook "\Q$id\E" was given up/g), 1,
   'one line of the log says so');
is($t->psql('SELECT count(*) FROM iclock.event e JOIN iclock.event_type t'
            . " ON t.code = e.type WHERE t.name = 'webhook.disabled'"), 1,
   'others hear of it');
events(21, 40, 'user.deleted');
$receiver->up();
$t->psql("SELECT iclock.resume_webhook('$id')");
ok(wait_until(60, sub { $receiver->count('/day') >= 40 }), 'it is resumed');
is(join(' ', sort { $a <=> $b } names('/day')), join(' ', 1 .. 40),
   'and gets each event once');
$t->psql("SELECT iclock.delete_webhook('$id')");


# one event for ever

$id = hook('/one', 'user.enrolled');
$receiver->answer('/one', { when => '"poison"', status => 500 }, {});
sleep 0.3;
my $event = $t->psql("SELECT iclock.event_write('user.enrolled', null,"
                  . " json_build_object('id', 'poison'))");

my $n = 0;

# Another one arrives, so that failures are not in a row.  nginx has read the
# answer before the clock moves: it would be late, and sent again.

sub another {
    $n++;

    my ($other) = $session->query("SELECT iclock.event_write('user.enrolled',"
                                  . " null, json_build_object('id', '$n'))");

    return wait_until(30, sub {
        ($session->query('SELECT count(*) FROM iclock.webhook_attempt'
                         . " WHERE event_id = '$other' AND status = 200"))[0];
    });
}

for (1 .. 3) {
    next_attempt($id, $event);
    another();
}

$clock->to($clock->now() + 23.5 * 3600);
ok(try_until($id, 20, sub {
    another();

    return grep { $_ eq 'dead' }
           $session->query('SELECT state FROM iclock.webhook_retry'
                           . " WHERE endpoint_id = '$id'");
}, $event), 'an event that is always refused is dead after a day');
is(endpoint($id, 'status'), 'active', 'the endpoint is not');
is(scalar(() = names('/one')), $n, 'others flow');

$receiver->answer('/one', {});
$t->psql("SELECT iclock.resend_webhook('$id', array['$event'])");
ok(wait_until(30, sub { grep { $_ eq 'poison' } names('/one') }),
   'it can be sent again');

my ($again) = grep { $_->{body} =~ /poison/ && $_->{status} == 200 }
              $receiver->requests('/one');

is($again->{headers}{'webhook-id'}, $event, 'with the same id');
$t->psql("SELECT iclock.delete_webhook('$id')");


# the same in front of others that have to wait for it

$id = hook('/order', 'user.updated', ', ordered => true');
$receiver->answer('/order', { when => '"poison"', status => 500 }, {});
$event = $t->psql("SELECT iclock.event_write('user.updated', null,"
                  . " json_build_object('id', 'poison'))");
events(1, 3, 'user.updated');
ok(try_until($id, 8, sub { endpoint($id, 'status') eq 'failing' }),
   'an event that is always refused ends an order for a while');
is(scalar(() = names('/order')), 0, 'nothing comes before it');
$clock->to($clock->now() + 23.5 * 3600);
ok(try_until($id, 20, sub {
    return grep { $_ eq 'dead' }
           $session->query('SELECT state FROM iclock.webhook_retry'
                           . " WHERE endpoint_id = '$id'");
}), 'it is dead after a day');
ok(wait_until(30, sub { names('/order') >= 3 }), 'the others are sent');
is(join(' ', names('/order')), '1 2 3', 'in their order');
is(endpoint($id, 'status'), 'active', 'and the endpoint is active');


# nginx dies, and whoever comes then, which is another one, has its endpoints
# when the leases are over

$id = taken('/dies', 'door.state');

my $dead = endpoint($id, 'leased_by');

$t->nginx->kill_all();
is($t->psql('SELECT leased_until <= iclock.webhook_now()'
            . " + interval '30 seconds' FROM iclock.webhook_endpoint"
            . " WHERE id = '$id'"), 't', 'a lease is for half a minute');
start();
events(1, 1, 'door.state');
$clock->to($clock->now() + 31);
is($receiver->wait_for(1, '/dies', 60), 1,
   'half a minute later its endpoints are taken over');
isnt(endpoint($id, 'leased_by'), $dead, 'by another one');

$t->done();
