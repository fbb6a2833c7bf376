#!/usr/bin/perl

# Copyright (C) the ngx_http_iclock_module authors

# How many requests a key may make, and how many wrong keys an address.

use strict;
use warnings;

use FindBin;
use Test::More;
use Time::HiRes qw/ sleep time /;

use lib "$FindBin::Bin/lib";
use Test::IClock;
use Test::IClock::API;

my $t = Test::IClock->new;

$t->psql('GRANT iclock_api TO iclock_nginx');
$t->start(Test::IClock::API::server($t, server => <<'EOFC'));
        location /slow { iclock_api; iclock_api_rate rate=1r/m burst=3; }
        location /hundred { iclock_api; iclock_api_rate rate=1r/m burst=100; }
        location /fast { iclock_api; iclock_api_rate rate=50r/s; }
        location /free { iclock_api; iclock_api_rate off; }
EOFC


# n requests at once, as many connections; what is said, and how often

sub burst {
    my ($api, $n, %header) = @_;

    return map { Test::IClock::API::response($_) }
           $t->concurrently([ map { $api->format('GET', '/devices', undef,
                                                 %header) } 1 .. $n ],
                            connections => 20, raw => 1);
}


sub said {
    my %n;
    $n{$_->said}++ for @_;
    return join ', ', map { "$_: $n{$_}" } sort keys %n;
}


# the default: 100 a minute, 100 at once

my $api = Test::IClock::API->new($t);
my $start = time;

is($api->get('/devices')->header('RateLimit-Policy'), '"default";q=100;w=60',
   'RateLimit-Policy');

# each 0.6 seconds bring one more
my @response = burst($api, 100);

push @response, burst($api, 10)
    while time - $start < 60 && !grep { $_->status == 429 } @response;

my $more = 1 + int((time - $start) / 0.6);
my $passed = grep { $_->status == 200 } @response;

ok($passed >= 99 && $passed <= 99 + $more, 'some are too many')
    or diag(said(@response));

my %left = map { $_->header('RateLimit') =~ /r=(\d+)/ ? ($1 => 1) : () }
           @response;

# A worker whose clock is some milliseconds behind skips one when another has
# counted what the time has brought.  If each counted alone, half were missing.
my @skipped = grep { !$left{$_} } 0 .. 97;

cmp_ok(scalar @skipped, '<=', 5, 'workers count together, and count down')
    or diag("@skipped");
is(join(' ', grep { $_ > 99 } keys %left), '', 'from 100');

# asked alone, so that this worker's clock is not behind that of another
my $refused;

ok(wait_until(30, sub {
    $refused = $api->get('/devices');
    return $refused->status == 429;
}), 'one of too many');
is($refused->header('Retry-After'), 1, 'Retry-After');
is($refused->header('RateLimit'), '"default";r=0;t=1', 'RateLimit');
is($refused->json->{type}, 'https://iana.org/assignments/http-problem-types'
                           . '#quota-exceeded', 'its type');
is_deeply($refused->json->{'violated-policies'}, [ 'default' ],
          'and the policy');

sleep 1;
is($api->get('/devices')->status, 200, 'a second later one passes');
is(Test::IClock::API->new($t)->get('/devices')->status, 200,
   'another key has its own');


# locations, and keys with rates

sub at {
    my ($prefix, %option) = @_;
    return Test::IClock::API->new($t, prefix => $prefix, %option);
}

my $slow = at('/slow');

# the first one alone: its time is not behind the others'
is($slow->get('/devices')->status, 200, 'a slow location');
is(said(burst($slow, 4)), '200: 2, 429 rate: 2', 'burst');

# another one comes a minute later
my $hundred = at('/hundred');

$start = time;
is($hundred->get('/devices')->status, 200, 'a hundred: the first one');

my $said = said(burst($hundred, 100));

ok($said eq '200: 99, 429 rate: 1' || time - $start >= 60,
   'a hundred: of 101 one is too many') or diag($said);

is(at('/fast')->get('/devices')->header('RateLimit-Policy'),
   '"default";q=3000;w=60', 'a rate per second');
is(at('/free')->get('/devices')->header('RateLimit'), undef, 'off');
is(said(burst(at('/free'), 150)), '200: 150', 'is off');

my $own = at('/free', rate => 2, burst => 2);

is($own->get('/devices')->header('RateLimit'), '"default";r=1;t=30',
   'a key with a rate');
is(said(burst($own, 3)), '200: 1, 429 rate: 2', 'has it everywhere');

my $none = at('/slow', scopes => [ 'logs:read' ]);

is(said(map { $none->get('/devices') } 1 .. 4), '403 scope: 3, 429 rate: 1',
   'what is refused counts, too');


# wrong keys

my $wrong = 'ik_live_' . 'b' x 12 . '_' . 'A' x 43;
my $thief = at('/v1', key => $wrong, address => '127.0.0.9');

# each three seconds bring one more

sub tried {
    my @said;

    do {
        push @said, $thief->get('/devices');
    } while $said[-1]->status == 401 && @said < 100;

    return @said;
}

$start = time;

my @tried = tried();

$refused = pop @tried;
is($refused->said, '429 rate', 'wrong keys of an address');
$more = 1 + int((time - $start) / 3);
ok(@tried >= 20 && @tried <= 20 + $more, 'so many in a minute')
    or diag(said(@tried));
cmp_ok($refused->header('Retry-After'), '>=', 1, 'Retry-After');
is($refused->header('RateLimit'), undef, 'but nothing about a key');
is(at('/v1', key => $wrong)->get('/devices')->said, '401 bad_key',
   'another address');

my $neighbor;

ok(wait_until(30, sub {
    tried();
    $neighbor = at('/v1', address => '127.0.0.9');
    return $neighbor->get('/devices')->status == 429;
}), 'a key that nginx has not met has to wait there');
is($neighbor->get('/devices', -local => '127.0.0.1')->status, 200,
   'elsewhere it need not');
is($neighbor->get('/devices')->status, 200, 'and then it serves everywhere');

# nginx is told of each change, and asks for the key once more

my $id = $neighbor->id;
my @served = map {
    $t->psql("UPDATE iclock.api_key SET rate = 1000 + $_ WHERE id = '$id'");
    map { $neighbor->get('/devices')->status } 1 .. 3;
} 1 .. 20;

is(join(' ', grep { $_ != 200 } @served), '', 'when it is changed, too');

$t->done();
