#!/usr/bin/perl

# Copyright (C) the ngx_http_iclock_module authors

# Receivers that are away for minutes and for days, by a clock that the test
# moves.

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
    my ($path, $types) = @_;

    my ($id) = split /\|/, $t->psql('SELECT * FROM iclock.create_webhook('
        . "'" . $receiver->url($path) . "', '{$types}')");

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

    $pause{$id}{$n} = $pause if $pause;
    $clock->to($clock->now() + $seconds + 1) if $seconds;

    return wait_until(30, sub {
        ($session->query($attempts))[0] > $before;
    });
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
# worker takes them.

$t->start($t->device_server(pool => 'timeout=1h', http => 'iclock_webhooks on;'
          . ' iclock_api_pool timeout=1h;'
          . ' iclock_webhook_http on; iclock_webhook_allow 127.0.0.1/32;'),
          workers => 1);


# a minute and a half

my $id = hook('/minutes', 'user.updated');

$receiver->down();
sleep 0.3;
events(1, 1, 'user.updated');
ok(wait_until(30, sub {
    $t->psql('SELECT count(*) FROM iclock.webhook_attempt') >= 1
}), 'a receiver is down');

ok(try_until($id, 8, sub { endpoint($id, 'status') eq 'failing' }),
   'five failures in a row');

# who had begun to ask before that would still get what comes meanwhile

ok(wait_until(30, sub {
    !($session->query('SELECT count(*) FROM pg_stat_activity WHERE state <>'
                      . " 'idle' AND pid <> pg_backend_pid()"
                      . " AND query LIKE '%webhook_work(%'"))[0]
}), 'nobody asks for work');
events(2, 300, 'user.updated');
next_attempt($id) for 1, 2;
$receiver->up();
next_attempt($id);
ok(wait_until(60, sub { $receiver->count('/minutes') >= 300 }),
   'so does all that waited');
is(join(' ', sort { $a <=> $b } names('/minutes')), join(' ', 1 .. 300),
   'each event once');
ok(wait_until(30, sub { endpoint($id, 'status') eq 'active' }),
   'the endpoint is active');

# An attempt is as late as the machine is slow, but never early.  A pause that
# was over before anybody could look at it counts as right.

my @at = $t->psql_lines('SELECT extract(epoch FROM at)'
                        . ' FROM iclock.webhook_attempt ORDER BY at LIMIT 8');
my $seen = 0;

for my $n (1 .. 7) {
    my $nominal = 2 ** ($n - 1);
    my $pause = $pause{$id}{$n};

    $seen++ if $pause;
    cmp_ok(abs(($pause || $nominal) - $nominal), '<=', 0.1001 * $nominal,
           "about $nominal s after attempt $n");
    cmp_ok($at[$n] - $at[$n - 1], '>=', 0.89 * $nominal,
           'the next one is not early');
}

cmp_ok($seen, '>=', 3, 'pauses were seen');
$t->psql("SELECT iclock.delete_webhook('$id')");


# a day

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

$t->done();
