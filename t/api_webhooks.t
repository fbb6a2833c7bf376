#!/usr/bin/perl

# Copyright (C) the ngx_http_iclock_module authors

# Webhooks from the beginning to the end by HTTP alone: made, tried, called,
# paused, resumed, sent again.  t/sql/api_webhooks.sql has what the database
# answers, t/webhooks.t what receivers get.

use strict;
use warnings;

use FindBin;
use JSON::PP ();
use Test::More;

use lib "$FindBin::Bin/lib";
use Test::IClock;
use Test::IClock::API;
use Test::IClock::Receiver;

my $t = Test::IClock->new;
my $receiver = $t->receiver();

$t->psql('GRANT iclock_api TO iclock_nginx');
$t->start(Test::IClock::API::server($t,
    http => 'iclock_api_rate off; iclock_webhooks on; iclock_webhook_http on;'
            . ' iclock_webhook_allow 127.0.0.1/32;',
    server => 'location /iclock { iclock; iclock_unknown_devices accept; }'));

my $api = Test::IClock::API->new($t);

sub data { JSON::PP::decode_json($_[0]{body}) }
sub request { ($receiver->requests($_[0]))[$_[1]] }


# made and called at once

my $r = $api->post('/webhooks', { url => $receiver->url('/in'),
                                  types => [ 'attendance.punch' ],
                                  headers => { 'X-Token' => 's3cr3t' } });
is($r->status, 201, 'a webhook is made');
my ($id, $secret) = @{$r->json}{qw/ id secret /};
like($r->header('Location'), qr!/v1/webhooks/\Q$id\E\z!, 'it has an address');
like($r->body, qr/\A\{"id":"\Q$id\E","url":"/, 'without blanks');

my $device = $t->device('HOOK0001');
$device->handshake();
$device->punches([ 7, '2026-07-15 09:00:00', 0, 1 ]);
is($receiver->wait_for(1, '/in', 30), 1, 'a punch is there');
ok($receiver->verified(request('/in', 0), $secret), 'signed with the secret');
is(request('/in', 0)->{headers}{'x-token'}, 's3cr3t', 'with the header');

my $shown = $api->get("/webhooks/$id");
is($shown->json->{status}, 'active', 'it is shown');
unlike($shown->body, qr/s3cr3t|\Q$secret\E/, 'without what is secret');
is($api->get('/webhooks')->json->{data}[0]{id}, $id, 'in the list, too');

$r = $api->post("/webhooks/$id/test", {});
is($r->status, 202, 'a test');
is($receiver->wait_for(2, '/in', 30), 2, 'arrives');
is(data(request('/in', 1))->{event_id}, $r->json->{event_id}, 'by its name');
is_deeply(data(request('/in', 1))->{webhook},
          { id => $id, test => JSON::PP::true() }, 'and is marked');
ok(Test::IClock::wait_until(30, sub {
    @{$api->get("/webhooks/$id/attempts")->json->{data}} == 2;
}), 'both attempts are listed');
is_deeply([ map { "$_->{attempt} $_->{status}" }
                @{$api->get("/webhooks/$id/attempts?limit=1")->json->{data}} ],
          [ '1 200' ], 'page by page');


# paused, resumed, changed; what is not settled yet would come once more

$t->settled();
ok(Test::IClock::wait_until(30, sub {
    $t->psql('SELECT bool_and((w.cursor_xid, w.cursor_seq) >= (e.xid, e.seq))'
             . ' FROM iclock.webhook_endpoint w, iclock.event e'
             . ' WHERE e.type = 1') eq 't'
}), 'nginx has done with the punch');
is($api->post("/webhooks/$id/pause", {})->json->{status}, 'paused', 'paused');
is($api->post("/webhooks/$id/test", {})->said, '409 conflict', 'no test then');
$device->punches([ 8, '2026-07-15 09:01:00', 0, 1 ]);
is($receiver->wait_for(3, '/in', 1), 2, 'nothing is sent');
is($api->patch("/webhooks/$id", { url => $receiver->url('/new') })
       ->json->{url}, $receiver->url('/new'), 'it goes elsewhere');
is($api->post("/webhooks/$id/resume", {})->json->{status}, 'active', 'resumed');
is($receiver->wait_for(1, '/new', 30), 1, 'what has waited comes');
is(data(request('/new', 0))->{user}{id}, '8', 'to the new address');

my $new = $api->post("/webhooks/$id/rotate-secret", {})->json->{secret};
isnt($new, $secret, 'a new secret');


# given up, and sent again

$receiver->answer('/new', { status => 500, headers =>
                            { 'webhook-delivery' => 'abort-message' } });
$device->punches([ 9, '2026-07-15 09:02:00', 0, 1 ]);
ok(Test::IClock::wait_until(30, sub {
    @{$api->get("/webhooks/$id/dead")->json->{data}} == 1;
}), 'an event that the receiver gives up is dead');
my ($dead) = @{$api->get("/webhooks/$id/dead")->json->{data}};

$receiver->answer('/new', { status => 200 });
is($api->post("/webhooks/$id/resend", { state => 'dead' })->json->{count}, 1,
   'sent again');
is($receiver->wait_for(3, '/new', 30), 3, 'it comes');
is(data(request('/new', 2))->{event_id}, $dead->{event_id}, 'as the same');
ok($receiver->verified(request('/new', 2), $new), 'with the new secret');
ok(Test::IClock::wait_until(30, sub {
    2 == grep { $_->{event_id} eq $dead->{event_id} }
         @{$api->get("/webhooks/$id/attempts")->json->{data}};
}), 'and both attempts are listed');
is($api->post("/webhooks/$id/resend",
              { event_ids => [ $dead->{event_id} ] })->json->{count}, 1,
   'once more, by its name');
is($receiver->wait_for(4, '/new', 30), 4, 'it comes once more');
is($api->post("/webhooks/$id/resend", {})->said, '422 invalid', 'not nothing');

is($api->delete("/webhooks/$id")->status, 204, 'deleted');
is($api->get("/webhooks/$id")->said, '404 not_found', 'it is gone');
$device->punches([ 10, '2026-07-15 09:03:00', 0, 1 ]);
is($receiver->wait_for(5, '/new', 1), 4, 'nothing is sent any more');


# narrowed and sent elsewhere while it fails: what nginx has read before the
# change is not for the new address

my $delhi = $t->device('HOOK0002');
my $pune = $t->device('HOOK0003');
$_->handshake() for $delhi, $pune;
$t->psql("SELECT iclock.set_device('HOOK000$$_[0]', site => '$$_[1]')")
    for [ 2, 'Delhi' ], [ 3, 'Pune' ];

sub punches {
    my ($from, $to) = @_;

    return map { [ $_, '2026-07-16 09:00:00', 0, 1 ] } $from .. $to;
}

# it begins with what is not settled yet
$t->settled();
$receiver->answer('/wide', { status => 200 }, { status => 500 });
$id = $api->post('/webhooks', { url => $receiver->url('/wide'),
                                types => [ 'attendance.punch' ],
                                concurrency => 1 })->json->{id};
$delhi->punches(punches(20, 20));
is($receiver->wait_for(1, '/wide', 30), 1, 'a prompt answer');
$delhi->punches(punches(21, 30));
ok(Test::IClock::wait_until(30, sub {
    $api->get("/webhooks/$id")->json->{status} eq 'failing';
}), 'then it fails');
$pune->punches(punches(41, 50));
is($api->patch("/webhooks/$id", { sites => [ 'Pune' ],
                                  url => $receiver->url('/pune') })->status,
   200, 'narrowed and sent elsewhere');
ok(Test::IClock::wait_until(90, sub { keys %{pune_users()} >= 10 }),
   'all that is for it comes');
is_deeply([ sort { $a <=> $b } keys %{pune_users()} ], [ 41 .. 50 ],
          'and nothing else');
is($api->delete("/webhooks/$id")->status, 204, 'deleted as well');

sub pune_users {
    return { map { data($_)->{user}{id} => 1 } $receiver->requests('/pune') };
}


is($api->post('/webhooks', { url => 'https://u:p@a.example/' })->said,
   '422 invalid', 'an address with a password');
is($api->post('/webhooks', { url => $receiver->url(),
                             headers => { 'webhook-id' => 'x' } })->said,
   '422 invalid', 'a header that is not theirs');


# an address without TLS, where the configuration allows none

$t->reload(Test::IClock::API::server($t,
               http => 'iclock_api_rate off; iclock_webhooks on;',
               server => 'location /iclock { iclock;'
                         . ' iclock_unknown_devices accept; }'),
           wait => 1);
$r = $api->post('/webhooks', { url => $receiver->url('/plain') });
is($r->said, '422 invalid', 'refused when the webhook is made');
is($r->json->{errors}[0]{pointer}, '#/url', 'which says where');
$id = $api->post('/webhooks', { url => 'https://a.example/' })->json->{id};
is($api->patch("/webhooks/$id", { url => $receiver->url('/plain') })->said,
   '422 invalid', 'or changed');
is($api->patch("/webhooks/$id", { batch => 2 })->status, 200,
   'what else there is may be');

unlike($t->error_log(), qr/s3cr3t|whsec_/, 'no secrets in the log');

$t->done();
