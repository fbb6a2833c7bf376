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

# Moves the clock to where something is to be tried again, and waits until it
# was.

sub next_attempt {
    my ($id, $event) = @_;

    my $attempts = "SELECT count(*) FROM iclock.webhook_attempt"
                   . " WHERE endpoint_id = '$id'"
                   . ($event ? " AND event_id = '$event'" : '');
    my ($before) = $session->query($attempts);
    my ($seconds) = $session->query('SELECT greatest(0, ceil(extract(epoch'
        . " FROM CASE e.status WHEN 'failing' THEN e.next_probe_at ELSE"
        . ' (SELECT min(r.next_at) FROM iclock.webhook_retry r WHERE'
        . " r.endpoint_id = e.id AND r.state = 'retrying') END"
        . ' - iclock.webhook_now()))) FROM iclock.webhook_endpoint e'
        . " WHERE e.id = '$id'");

    $clock->to($clock->now() + $seconds + 1) if $seconds;

    return wait_until(10, sub {
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


$t->start($t->device_server(http => 'iclock_webhooks on;'
          . ' iclock_webhook_http on; iclock_webhook_allow 127.0.0.1/32;'));


# a minute and a half

my $id = hook('/minutes', 'user.updated');

$receiver->down();
sleep 0.3;
events(1, 1, 'user.updated');
ok(wait_until(5, sub {
    $t->psql('SELECT count(*) FROM iclock.webhook_attempt') >= 1
}), 'a receiver is down');

ok(try_until($id, 8, sub { endpoint($id, 'status') eq 'failing' }),
   'five failures in a row');
events(2, 300, 'user.updated');
next_attempt($id) for 1, 2;
$receiver->up();
next_attempt($id);
ok(wait_until(20, sub { $receiver->count('/minutes') >= 300 }),
   'so does all that waited');
is(join(' ', sort { $a <=> $b } names('/minutes')), join(' ', 1 .. 300),
   'each event once');
is(endpoint($id, 'status'), 'active', 'the endpoint is active');

my @offset = $t->psql_lines(
    'SELECT round(extract(epoch FROM at - min(at) OVER ()))'
    . ' FROM iclock.webhook_attempt ORDER BY at LIMIT 8');
my @nominal = (0, 1, 3, 7, 15, 31, 63, 127);

for my $i (1 .. 7) {
    cmp_ok(abs($offset[$i] - $nominal[$i]), '<=', 2 + 0.2 * $nominal[$i],
           "attempt " . ($i + 1) . " after about $nominal[$i] s");
}

diag "attempts at @offset" if $ENV{TEST_VERBOSE};
$t->psql("SELECT iclock.delete_webhook('$id')");


# a day

$id = hook('/day', 'user.deleted');
$receiver->down();
events(1, 20, 'user.deleted');
try_until($id, 8, sub { endpoint($id, 'status') eq 'failing' });
$clock->to($clock->now() + 23 * 3600);
next_attempt($id);
is(endpoint($id, 'status'), 'failing', 'it fails for most of a day');
ok(try_until($id, 20, sub { endpoint($id, 'status') eq 'disabled' }),
   'after a day an endpoint is disabled');
is(endpoint($id, 'status_reason'), 'unreachable', 'because nobody was there');
is(scalar(() = $t->error_log()
                =~ /\[error\].*webhook "\Q$id\E" was given up/g), 1,
   'one line of the log says so');
is($t->psql('SELECT count(*) FROM iclock.event e JOIN iclock.event_type t'
            . " ON t.code = e.type WHERE t.name = 'webhook.disabled'"), 1,
   'others hear of it');
events(21, 40, 'user.deleted');
$receiver->up();
$t->psql("SELECT iclock.resume_webhook('$id')");
ok(wait_until(20, sub { $receiver->count('/day') >= 40 }), 'it is resumed');
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

next_attempt($id, $event) for 1 .. 3;
$clock->to($clock->now() + 22 * 3600);
ok(try_until($id, 20, sub {
    $n++;
    $session->query("SELECT iclock.event_write('user.enrolled', null,"
                    . " json_build_object('id', '$n'))");

    return grep { $_ eq 'dead' }
           $session->query('SELECT state FROM iclock.webhook_retry'
                           . " WHERE endpoint_id = '$id'");
}, $event), 'an event that is always refused is dead after a day');
is(endpoint($id, 'status'), 'active', 'the endpoint is not');
ok(wait_until(10, sub { (() = names('/one')) >= $n }), 'others flow');

$receiver->answer('/one', {});
$t->psql("SELECT iclock.resend_webhook('$id', array['$event'])");
ok(wait_until(5, sub { grep { $_ eq 'poison' } names('/one') }),
   'it can be sent again');

my ($again) = grep { $_->{body} =~ /poison/ && $_->{status} == 200 }
              $receiver->requests('/one');

is($again->{headers}{'webhook-id'}, $event, 'with the same id');

$t->done();
