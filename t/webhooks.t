#!/usr/bin/perl

# Copyright (C) the ngx_http_iclock_module authors

# Webhooks: what a receiver gets, and what its answers lead to.

use strict;
use warnings;

use FindBin;
use JSON::PP ();
use Test::More;
use Time::HiRes qw/ sleep /;

use lib "$FindBin::Bin/lib";
use Test::IClock;
use Test::IClock::Receiver;

use constant HOOKS => 'iclock_webhooks on; iclock_webhook_http on;'
                      . ' iclock_webhook_allow 127.0.0.1/32;'
                      . ' iclock_webhook_limits timeout=30s;';

my $t = Test::IClock->new;
my $receiver = $t->receiver();

$t->psql('GRANT iclock_api TO iclock_nginx');


# An endpoint for events "user.updated"; options are arguments of
# create_webhook(), as SQL.

sub hook {
    my ($path, %option) = @_;

    $t->settled();

    my %argument = (url => "'" . $receiver->url($path) . "'",
                    types => "'{user.updated}'", %option);

    return split /\|/, $t->psql('SELECT * FROM iclock.create_webhook('
        . join(', ', map { "$_ => $argument{$_}" } sort keys %argument) . ')');
}


# Events with these numbers; their users bear them as names.

sub events {
    my ($first, $last, $type) = @_;

    $type ||= 'user.updated';

    return $t->psql_lines("SELECT iclock.event_write('$type', null,"
                          . " json_build_object('id', n::text))"
                          . " FROM generate_series($first, $last) AS n");
}

sub request { my ($path, $n) = @_; return ($receiver->requests($path))[$n] }

# Waits until so many events of a type have come, and returns these requests.
# Others come between them: a terminal is new, and it is online.

sub of_type {
    my ($path, $type, $n) = @_;

    my @of;

    wait_until(30, sub {
        @of = grep { $_->{headers}{'iclock-event'} eq $type }
              $receiver->requests($path);
        return @of >= $n;
    });

    return @of;
}

# A new event that was signed so many times.  nginx hears of secrets a little
# later than they change.

sub signatures {
    my ($path, $n) = @_;

    return wait_until(30, sub {
        my $seen = () = of_type($path, 'user.updated', 0);
        events(1, 1);
        my $last = (of_type($path, 'user.updated', $seen + 1))[-1];
        return $n == split(/ /, $last->{headers}{'webhook-signature'})
               && $last;
    });
}

sub data { JSON::PP::decode_json($_[0]{body}) }

sub names { map { data($_)->{user}{id} } @_ }

sub endpoint {
    my ($id, $column) = @_;

    return $t->psql("SELECT $column FROM iclock.webhook_endpoint"
                    . " WHERE id = '$id'");
}

# the cursor is behind everything

sub settled {
    my ($id) = @_;

    return wait_until(30, sub {
        endpoint($id, '(cursor_xid, cursor_seq) >= (SELECT xid, seq FROM'
                      . ' iclock.event ORDER BY xid DESC, seq DESC LIMIT 1)')
        eq 't';
    });
}


# one request

my ($id, $secret) = hook('/one', types => 'null',
                         headers => q('{"X-Token": "a \"b\" \u00fc",)
                                    . q( "Authorization": "Bearer s3cr3t",)
                                    . ' "X.Long!": "' . 'x' x 3900 . q("}'));

$t->start($t->device_server(http => HOOKS), level => 'debug');
ok(wait_until(30, sub { $t->error_log() =~ /"\Q$id\E" is ours/ }),
   'nginx takes an endpoint');

$t->device('HOOK0001')->handshake();
$receiver->wait_for(1, '/one', 30);

$t->device('HOOK0001')->punches([ 7, '2026-07-15 09:00:00', 0, 1 ]);

my $request = (of_type('/one', 'attendance.punch', 1))[0];
my $h = $request->{headers};

ok($request, 'a punch reaches the receiver');
is($request->{method}, 'POST', 'by a POST');
is(data($request)->{type}, 'attendance.punch', 'as an event');
is(data($request)->{user}{id}, '7', 'with its user');
is($h->{'webhook-id'}, data($request)->{event_id}, 'the header has its id');
is($h->{'content-type'}, 'application/json', 'the body is JSON');
is($h->{'content-length'}, length $request->{body}, 'with a length');
like($h->{'user-agent'}, qr!\Aiclock-webhooks/[0-9.]+\z!, 'who sends it');
is($h->{'iclock-attempt'}, 1, 'the first attempt');
is($h->{'iclock-event'}, 'attendance.punch', 'the type in a header');
cmp_ok(abs($h->{'webhook-timestamp'} - $request->{time}), '<', 30,
       'and the time');
is($h->{'x-token'}, "a \"b\" \xc3\xbc", 'a header of the endpoint');
is($h->{authorization}, 'Bearer s3cr3t', 'and another one');
is(length($h->{'x.long!'} || ''), 3900, 'a long one, with an unusual name');
ok(!exists $h->{$_}, "no header $_") for qw/ accept expect cookie /;
ok($receiver->verified($request, $secret), 'both signatures are right');
ok(!$receiver->verified({ %$request, body => "$request->{body} " }, $secret),
   'and of nothing else');
unlike($request->{body} =~ s/"(?:[^"\\]|\\.)*"//gr, qr/\s/,
       'no blanks between tokens');

ok(settled($id), 'the cursor follows');
ok(wait_until(30, sub {
    $t->psql('SELECT count(*) FROM iclock.webhook_attempt WHERE event_id ='
             . " '$h->{'webhook-id'}' AND attempt = 1 AND status = 200") == 1
}), 'the attempt is recorded');


# rotation

my $new = $t->psql("SELECT iclock.rotate_webhook_secret('$id')");
$request = signatures('/one', 2);
ok($request, 'two signatures while secrets overlap');
ok($receiver->verified($request, $new), 'that of the new one');
ok($receiver->verified({ %$request, headers => { %{$request->{headers}},
       'x-signature' => (Test::IClock::Receiver::signature($secret,
           @{$request->{headers}}{qw/ webhook-id webhook-timestamp /},
           $request->{body}))[1] } }, $secret), 'and of the old one');

$t->psql("UPDATE iclock.webhook_endpoint SET previous_until = now()");
$t->psql("SELECT iclock.webhook_changed()");
ok(signatures('/one', 1), 'one after it');
$t->psql("SELECT iclock.delete_webhook('$id')");


# batches, and the order

($id, $secret) = hook('/batch', batch => 100);
sleep 0.3;
events(1, 350);
ok(wait_until(30, sub {
    350 == map { @{data($_)->{data}} } $receiver->requests('/batch')
}), 'all events come in batches');

my @request = $receiver->requests('/batch');
my @first = sort { $a->[0] <=> $b->[0] }
            map { [ map { $_->{user}{id} } @{data($_)->{data}} ] } @request;

ok(!(grep { @{data($_)->{data}} > 100 } @request), '100 at most');
is(join(' ', map { @$_ } @first), join(' ', 1 .. 350), 'each in order');
is(data($request[0])->{type}, 'batch', 'they say so');
like(data($request[0])->{timestamp}, qr/\A\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ\z/,
     'and when');
is($request[0]{headers}{'webhook-id'}, 'batch_'
   . data($request[0])->{data}[0]{event_id} . '_'
   . @{data($request[0])->{data}}, 'the id of a batch');
is($request[0]{headers}{'iclock-event'}, 'batch', 'its type');
ok($receiver->verified($request[0], $secret), 'it is signed');
$t->psql("SELECT iclock.delete_webhook('$id')");


# What answers lead to, all at once: each endpoint has a type of events.

my %type = (order => 'user.enrolled', fail => 'user.deleted',
            gone => 'template.enrolled', moved => 'command.finished',
            busy => 'door.event', abort => 'door.alarm',
            large => 'device.removed', broken => 'device.blocked');
my %id;

($id{$_}) = hook("/$_", types => "'{$type{$_}}'", $_ ne 'order' ? ()
                        : (ordered => 'true', concurrency => 8))
    for sort keys %type;

$receiver->answer('/order', { times => 20 }, { status => 500, times => 2 },
                  { status => 200 });
$receiver->answer('/fail', { status => 500, times => 2, body => "no\n\001way" },
                  { status => 204 });
$receiver->answer('/gone', { status => 410 });
$receiver->answer('/moved', { status => 301, headers =>
                              { Location => $receiver->url('/there') } });
$receiver->answer('/busy', { status => 429, headers => { 'Retry-After' => 3 } },
                  {});
$receiver->answer('/abort', { status => 400, headers =>
                              { 'Webhook-Delivery' => 'abort-message' } }, {});
$receiver->answer('/large', { size => 1e9, heed => 1 });
$receiver->answer('/broken', { partial => 9 }, { raw => "SSH-2.0-x\r\n" },
                  { action => 'close' }, {});

sleep 0.3;
events(1, $_ eq 'order' ? 100 : 1, $type{$_}) for sort keys %type;


# one at a time, in order, also across failures

ok(wait_until(30, sub { $receiver->count('/order') >= 102 }),
   'an endpoint with an order');
@request = $receiver->requests('/order');
is(join(' ', names(grep { $_->{status} == 200 } @request)),
   join(' ', 1 .. 100), 'gets events in order');
is(join(' ', names(@request[20 .. 22])), '21 21 21', 'one blocks the others');


# failures

ok(wait_until(30, sub { $receiver->count('/fail') >= 3 }), 'tried again');
@request = $receiver->requests('/fail');
is(join(' ', map { $_->{headers}{'iclock-attempt'} } @request), '1 2 3',
   'attempts are counted');
is(scalar(keys %{{ map { $_->{headers}{'webhook-id'} => 1 } @request }}), 1,
   'the id stays');

for my $i (1, 2) {
    my $pause = $request[$i]{time} - $request[$i - 1]{time};

    # t/sql/webhooks.sql has a clock that shows that none is too long
    cmp_ok($pause, '>', $i * 0.85, "pause $i is not too short");
}

ok(wait_until(30, sub {
    $t->psql("SELECT string_agg(status || ':' || coalesce(response, ''), ','"
             . ' ORDER BY attempt) FROM iclock.webhook_attempt'
             . " WHERE endpoint_id = '$id{fail}'")
    eq '500:no  way,500:no  way,204:'
}), 'what the receiver said is kept as text');
ok(wait_until(30, sub { $t->psql('SELECT count(*) FROM iclock.webhook_retry'
                                . " WHERE endpoint_id = '$id{fail}'") == 0 }),
   'nothing is left to be tried');

ok(wait_until(30, sub { endpoint($id{gone}, 'status_reason') eq 'gone' }),
   '410 ends it');
events(2, 9, $type{gone});
$receiver->wait_for(2, '/moved', 30);
is($receiver->count('/there'), 0, 'nobody leads us elsewhere');
is($receiver->count('/gone'), 1, 'nothing more is sent to who is gone');

$receiver->wait_for(2, '/busy', 30);
@request = $receiver->requests('/busy');
cmp_ok($request[1]{time} - $request[0]{time}, '>', 2.9, 'Retry-After counts');

ok(wait_until(30, sub {
    $t->psql('SELECT state, last_status FROM iclock.webhook_retry'
             . " WHERE endpoint_id = '$id{abort}'") eq 'dead|400'
}), 'a message that is not wanted is dead');
is($receiver->count('/abort'), 1, 'and was sent once');

ok(wait_until(60, sub {
    $t->psql("SELECT status FROM iclock.webhook_attempt WHERE endpoint_id ="
             . " '$id{large}'") eq '200'
}), 'a receiver that says too much has got it');
# of which 64 kB are read
cmp_ok(request('/large', 0)->{sent}, '<', 131072, 'nobody listens to the end');
is($receiver->count('/large'), 1, 'it is not sent again');

ok($receiver->wait_for(4, '/broken', 60) >= 4, 'broken answers are none');
ok(wait_until(30, sub { $t->psql('SELECT count(*) FROM iclock.webhook_retry'
                                . " WHERE endpoint_id = '$id{broken}'") == 0 }),
   'until one is whole');


# a test

($id) = hook('/test');
my $event = $t->psql("SELECT iclock.test_webhook('$id')");
$receiver->wait_for(1, '/test', 30);
$request = request('/test', 0);
is($request->{headers}{'webhook-id'}, $event, 'an event for a test');
is(data($request)->{type}, 'webhook.test', 'says what it is');
$t->psql("SELECT iclock.delete_webhook('$id')");


# pause and resume

($id) = hook('/pause');
$t->psql("SELECT iclock.pause_webhook('$id')");
sleep 0.3;
events(1, 40);
sleep 0.5;
is($receiver->count('/pause'), 0, 'a pause');
$t->psql("SELECT iclock.resume_webhook('$id')");
ok($receiver->wait_for(40, '/pause', 30) == 40, 'then all that waited comes');


# what must not be in a log

my $log = $t->error_log();

unlike($log, qr/\Q$_->[1]\E/, "no $_->[0] in the log")
    for [ 'secret', $secret ], [ 'secret', substr $new, 6 ],
        [ 'credential', 's3cr3t' ], [ 'body', '"user.updated"' ],
        [ 'path', '/order' ];

$t->done();
