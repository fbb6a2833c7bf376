#!/usr/bin/perl

# Copyright (C) the ngx_http_iclock_module authors

# Metrics of events: what is in the ring, on streams, and sent to receivers of
# webhooks.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Test::IClock;
use Test::IClock::API;
use Test::IClock::Metrics;
use Test::IClock::Process qw/ slurp /;
use Test::IClock::Stream;

my $t = Test::IClock->new();
my $m = Test::IClock::Metrics->new($t);
my $receiver = $t->receiver();

sub conf {
    my ($more) = @_;

    return $t->device_server(
        http => 'iclock_webhooks on; iclock_webhook_http on;'
                . ' iclock_webhook_allow 127.0.0.1/32;'
                . " iclock_stream clients=1; $more",
        server => $m->locations()
                  . 'location /v1 { iclock_api; iclock_api_rate off;'
                  . ' send_timeout 5s; }');
}

$t->psql('GRANT iclock_api TO ' . Test::IClock::Postgres::LOGIN());
$t->start(conf(''), workers => 1);

my $device = $t->device('EVENTS01');

$device->handshake();


# streams

my @key = map { Test::IClock::API->new($t)->key() } 1 .. 2;

sub stream {
    my ($key, %option) = @_;

    return Test::IClock::Stream->new(port => $t->port(), uri => '/v1/events',
                                     header => [ 'X-API-Key' => $key ],
                                     %option);
}

my $first = stream($key[0]);

is($first->status(), 200, 'a stream');
ok(wait_until(30, sub { $m->value('stream_clients') == 1 }), 'is counted');

$m->mark();
is(stream($key[1])->status(), 503, 'there may be one');
is($m->moved_by({ stream_clients_refused_total => 1 })
       ->{stream_clients_refused_total}, 1, 'and one is refused');

my $second = 0;

sub punch {
    my ($pin) = (@_, 7);

    $device->punches([ $pin, sprintf('2026-11-20 08:00:%02d', $second++), 0,
                       1 ]);
}

# the ring is being filled once a punch comes that way
my $type = 'events_total{type="attendance.punch"}';

ok(wait_until(30, sub { punch(); $first->next(1);
                        $m->value($type) && $m->value('stream_delay_seconds'
                                                      . '_count') }),
   'events are in the ring, and reach the stream');

# what comes last comes behind all the others

punch(8);

my $last;

do { $last = $first->next(30) } while $last && $last->{data} !~ /"id":"8"/;
ok($last, 'all of them have come');
$m->mark();
punch() for 1 .. 3;
$first->next(30) for 1 .. 3;

my $moved = $m->moved_by({ $type => 3, stream_delay_seconds_count => 3 });

is($moved->{$type}, 3, 'three punches are three events');
is($moved->{stream_delay_seconds_count}, 3, 'each of which has taken a while');
cmp_ok($m->value('stream_delay_seconds_sum'), '>', 0, 'which is told');


# Each type has a number of its own, and what has none is counted, too.  Nobody
# reads these: they are not what programs are promised.

my ($labels) = slurp("$FindBin::Bin/../docs/metrics.md")
               =~ /^\| `iclock_events_total` .*`type` \(([^)]*)\)/m;
my @types = grep { $_ ne 'attendance.punch' && $_ ne 'other' } split / /,
            $labels;
my %written = map { $types[$_] => 2 + $_ } 0 .. $#types;

cmp_ok(scalar @types, '>', 15, 'types of events');
$t->psql('INSERT INTO iclock.event_type (code, name, description)'
         . " VALUES (99, 'strange.thing', 'a type that metrics do not have')");
$written{'strange.thing'} = 30;
$m->mark();
$t->psql("SELECT iclock.event_write(v.type, null, json_build_object('id',"
         . ' n::text)) FROM (VALUES '
         . join(', ', map { "('$_', $written{$_})" } sort keys %written)
         . ') AS v (type, times)'
         . ' CROSS JOIN LATERAL generate_series(1, v.times) AS n');

my %counted = map { ('events_total{type="'
                     . ($_ eq 'strange.thing' ? 'other' : $_) . '"}'
                     => $written{$_}) } keys %written;

$moved = $m->moved_by(\%counted);
is_deeply({ map { $_ => $moved->{$_} } keys %counted }, \%counted,
          'each type is counted as itself')
    or diag(explain($moved));

$first->close();
ok(wait_until(30, sub { $m->value('stream_clients') == 0 }), 'it is gone');


# a client that does not read

my $dropped = 'iclock_stream_clients_dropped_total';
my $updated = 'iclock_events_total{type="user.updated"}';
my $slow = stream($key[0], rcvbuf => 4096);

is($slow->status(), 200, 'another one');

# the buffers of the kernel are filled first
ok(wait_until(180, sub {
    my $before = $m->now()->{$updated};

    write_events(500, 'x' x 1000);
    wait_until(30, sub {
        my $now = $m->now();
        return $now->{$dropped} || $now->{$updated} >= $before + 500;
    });

    return $m->now()->{$dropped};
}), 'who does not read is dropped, and counted');
is($m->now()->{$dropped}, 1, 'once');
$slow->close();


# webhooks, of what comes from now on

$t->settled();

my ($id) = split /\|/, $t->psql('SELECT * FROM iclock.create_webhook(url => '
                               . "'" . $receiver->url('/taken')
                               . "', types => '{user.updated}')");

sub write_events {
    my ($n, $name) = (@_, '');

    $t->psql("SELECT iclock.event_write('user.updated', null,"
             . " json_build_object('id', n::text, 'name', '$name'))"
             . " FROM generate_series(1, $n) AS n");
}

ok(wait_until(30, sub { $t->psql('SELECT count(*) FROM'
                                 . ' iclock.webhook_endpoint'
                                 . ' WHERE leased_by IS NOT NULL') }),
   'a webhook is leased');
$m->mark();
write_events(3);

my %expected = ('webhook_attempts_total{outcome="ok"}' => 3,
                webhook_request_duration_seconds_count => 3,
                webhook_delivery_delay_seconds_count => 3);

$moved = $m->moved_by(\%expected, times => 1);
is_deeply({ map { $_ => $moved->{$_} } keys %expected }, \%expected,
          'three deliveries are three attempts of some time, after some time');
cmp_ok($m->value('webhook_connections'), '>=', 0, 'connections');

$t->psql("SELECT * FROM iclock.create_webhook(url =>"
         . " 'http://127.0.0.1:1/nobody', types => '{user.updated}')");
write_events(1);
ok(wait_until(30, sub {
    $m->value('webhook_attempts_total{outcome="connect"}') }),
   'nobody listens there');

$t->reload(conf('iclock_webhook_limits timeout=1s;'));
ok(wait_until(30, sub { $m->value('webhook_endpoints{state="active"}')
                        || $m->value('webhook_endpoints{state="failing"}') }),
   'the database tells of endpoints');


# what else may become of an attempt

my %fails = (
    status => $receiver->url('/broken'),
    timeout => $receiver->url('/hangs'),
    tls => $receiver->https($receiver->certificate('self', self => 1),
                            '/self', name => '127.0.0.1'),
    address => 'http://127.0.0.2:1/private',
);

$receiver->answer('/broken', { status => 500 });
$receiver->answer('/hangs', { action => 'hang' });
$t->settled();
$t->psql("SELECT * FROM iclock.create_webhook(url => '$fails{$_}',"
         . " types => '{user.updated}')") for sort keys %fails;
write_events(1);

for my $outcome (sort keys %fails) {
    ok(wait_until(90, sub {
        $m->value("webhook_attempts_total{outcome=\"$outcome\"}") }),
       "an attempt: $outcome");
}

$t->done();
