#!/usr/bin/perl

# Copyright (C) the ngx_http_iclock_module authors

# What goes through the HTTP interface and is nobody's business is in no log,
# not even on the level "debug": keys, templates, passwords, secrets.

use strict;
use warnings;

use FindBin;
use MIME::Base64 qw/ encode_base64 decode_base64 /;
use Test::More;

use lib "$FindBin::Bin/lib";
use Test::IClock;
use Test::IClock::API;
use Test::IClock::Process qw/ slurp /;

my $t = Test::IClock->new(settings => [ [ log_statement => 'none' ] ]);
my $access = $t->dir() . '/access.log';
my $receiver = $t->receiver();

$t->psql('GRANT iclock_api TO iclock_nginx');
$t->start(Test::IClock::API::server($t,
    http => 'iclock_api_rate off; iclock_webhooks on; iclock_webhook_http on;'
            . ' iclock_webhook_allow 127.0.0.1/32;',
    server => "access_log $access combined;"
              . ' location /iclock { iclock; iclock_unknown_devices accept; }'),
    level => 'debug');

my $api = Test::IClock::API->new($t);
my $device = $t->device('SECRET0001');

$device->handshake();

my %secret = (
    key => $api->key,
    'wrong key' => 'ik_live_' . 'a' x 12 . '_' . 'Wr0ng' x 8 . 'key',
    template => encode_base64('minutiae of a finger, fifty bytes and more', ''),
    'uploaded template' => encode_base64('minutiae of another one, as long as'
                                         . ' the first', ''),
    photo => encode_base64("\xff\xd8\xff\xe0" . 'JFIF photo of a face' x 5, ''),
    password => '48151623',
    'communication key' => 'c0mm-key-of-it',
    header => 'Bearer s3cr3t-of-the-receiver',
);


# through the interface, there and back

is($api->post('/users', { device_id => 'SECRET0001', user_id => '7',
       name => 'Mira', password => $secret{password}, photo => $secret{photo},
       templates => [ { type => 'fingerprint', index => 1,
                        data => $secret{template} } ] })->status, 201,
   'a user with a template');
is($api->post('/users', { device_id => 'SECRET0001', user_id => '8',
       templates => [ { type => 'fingerprint', index => 1,
                        data => "$secret{template}!" } ] })->status, 422,
   'one that is damaged');
is($api->patch('/devices/SECRET0001',
               { comm_key => $secret{'communication key'} })->status, 200,
   'a communication key');
$t->psql('UPDATE iclock.device SET comm_key = NULL');

$device->upload('OPERLOG', "FP PIN=7\tFID=2\tSize=60\tValid=1\tTMP="
                           . $secret{'uploaded template'});

my $r = $api->get('/users/7/templates?include=data');
is($r->status, 200, 'templates are read');
like($r->body, qr/\Q$secret{'uploaded template'}\E/, 'with their data');

ok(wait_until(30, sub {
    $device->poll()->body =~ /TMP=\Q$secret{template}\E/;
}), 'the template is on its way to the terminal');

$r = $api->post('/webhooks', { url => $receiver->url('/in'),
                               headers => { 'X-Token' => $secret{header} } });
$secret{'secret of a webhook'} = $r->json->{secret};
like($secret{'secret of a webhook'}, qr/\Awhsec_/, 'a webhook');
$device->punches([ 7, '2026-07-15 09:00:00', 0, 1 ]);
ok($receiver->wait_for(1, '/in', 30), 'is called');
$r = $api->post('/webhooks/' . $r->json->{id} . '/rotate-secret', {});
$secret{'another secret'} = $r->json->{secret};

is(Test::IClock::API->new($t, key => $secret{'wrong key'})->get('/devices')
       ->status, 401, 'a wrong key');
is($api->get('/devices?token=' . $api->key)->status, 400,
   'a key where it does not belong');
$r = $api->post('/stream-tokens', {});
is($r->status, 201, 'a token');
$secret{token} = $r->json->{token};
is($t->connect()->request($api->format('GET', "/events?token=$secret{token}",
       undef, Authorization => 'none', Accept => 'application/json'))->status,
   401, 'is for streams');

$t->psql('ALTER TABLE iclock.person RENAME TO person_');
is($api->post('/users', { device_id => 'SECRET0001', user_id => '9',
       password => $secret{password}, templates => [ { type => 'fingerprint',
       index => 1, data => $secret{template} } ] })->status, 500,
   'a table that is missing');
$t->psql('ALTER TABLE iclock.person_ RENAME TO person');

$t->reload();


# the bytes themselves, their base64, and hex as PostgreSQL writes it

my %log = (error => $t->error_log(), access => slurp($access),
           PostgreSQL => slurp($t->pg->{log}));

cmp_ok(length $log{error}, '>', 100_000, 'the log has much to say');
like($log{PostgreSQL}, qr/operation "users_create" of the API: /,
     'and PostgreSQL tells of the failure');

for my $where (sort keys %log) {
    for my $what (sort keys %secret) {
        my $text = $secret{$what} =~ s/\A(?:whsec_|Bearer )//r;
        my @forms = ($text, unpack 'H*', $text);

        # "ik_live_" and the id may be there
        @forms = substr $text, -43 if $text =~ /\Aik_/;

        push @forms, decode_base64($text), unpack 'H*', decode_base64($text)
            if $what =~ /template|photo|secret/;

        is(scalar(grep { index($log{$where}, $_) >= 0 } @forms), 0,
           "$where: no $what");
    }
}

$t->allow(qr/operation "users_create" failed/);
$t->done();
