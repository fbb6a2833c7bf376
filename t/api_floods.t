#!/usr/bin/perl

# Copyright (C) the ngx_http_iclock_module authors

# What would have the database asked again and again: answers that are held
# while events come that are not for them, and keys that somebody makes up.

use strict;
use warnings;

use FindBin;
use Test::More;
use Time::HiRes qw/ sleep time /;

use lib "$FindBin::Bin/lib";
use Test::IClock;
use Test::IClock::API;

use constant POLLS => 10;
use constant KEYS => 600;

my $t = Test::IClock->new;

$t->psql('GRANT iclock_api TO iclock_nginx');
$t->start(Test::IClock::API::server($t, http => 'iclock_api_rate off;'),
          level => 'debug');

my $api = Test::IClock::API->new($t);


sub ask {
    my ($api, $path) = @_;

    my $c = $t->connect(timeout => 60);
    $c->write($api->format('GET', $path));

    return $c;
}

sub status {
    my ($c) = @_;

    return Test::IClock::API::response($c->read('GET'))->status;
}

sub queries { scalar(() = $t->error_log() =~ /iclock api query: \d/g) }

sub event {
    my ($type, $n, $pause) = @_;

    return "DO \$\$ BEGIN FOR i IN 1 .. $n LOOP"
           . " PERFORM iclock.event_write('$type', null, '{\"id\":\"1\"}');"
           . " COMMIT; PERFORM pg_sleep($pause); END LOOP; END \$\$";
}


# answers that are held

my $cursor = $api->get('/events')->json->{next_cursor};
my $wait = "/events?after=$cursor&types=door.event&wait=30";
my @waiting = map { ask($api, $wait) } 1 .. POLLS;

ok(wait_until(30, sub {
    (() = $t->error_log() =~ /iclock api wait:/g) >= POLLS;
}), 'some wait for events');

my $before = queries();
my $began = time;

my ($seconds, $asked);

# the pauses are 50, 100, 200 and then 400 ms; it was each 50 ms
ok(wait_until(60, sub {
    $t->psql(event('user.updated', 60, 0.025));
    $seconds = time - $began;
    $asked = (queries() - $before) / POLLS;
    return $asked > 1;
}), 'meanwhile they look');
cmp_ok($asked, '<', 4 + $seconds / 0.4 + 2,
       sprintf 'but not often: %.1f times in %.1f s', $asked, $seconds);
is(scalar(grep { defined $_->fill(0) } @waiting), 0, 'none is answered');

sleep 1.2;
$t->psql(event('door.event', 1, 0));
is(join(' ', map { status($_) } @waiting), join(' ', (200) x POLLS),
   'the event that they wait for answers them');


# keys that there are not, while the database does not answer

my $known = Test::IClock::API->new($t);
is($known->get('/devices')->status, 200, 'a key that is right');

my $hold = $t->pg->hold('LOCK TABLE iclock.api_key IN ACCESS EXCLUSIVE MODE');

my @made_up = map {
    my $id = join '', map { ('a' .. 'z')[$_] } map { int rand 26 } 1 .. 12;
    Test::IClock::API->new($t, key => "ik_live_${id}_" . 'A' x 43);
} 1 .. KEYS;

$began = time;

my @asking = map { ask($_, '/devices') } @made_up;
my @refused;

# a hundred at once, and twenty in a second

ok(wait_until(30, sub {
    push @refused, grep { defined $_->fill(0) } @asking;
    my %refused = map { $_ => 1 } @refused;
    @asking = grep { !$refused{$_} } @asking;
    return @refused && @asking <= 100 + 20 * (1 + time - $began);
}), 'keys that are made up are not all asked for');

is(join(' ', map { status($_) } @refused[0, -1]), '429 429', 'but refused');
cmp_ok(scalar @asking, '>', 0, 'some wait');

# one that was right is asked for again, whoever else is at that address

$t->psql("SELECT pg_notify('iclock_api_key', '" . $known->id . "')");

my $right;

ok(wait_until(30, sub {
    $right = ask($known, '/devices');
    return !defined $right->fill(0.5);
}), 'a key becomes doubtful, and is not refused');
$hold->release();
is(status($right), 200, 'and served at last');

my %said;
$said{status($_)}++ for @asking;
is(join(' ', sort keys %said), '401 429', 'the others are wrong');
# twenty a minute, while some seconds pass
cmp_ok($said{401}, '>=', 20, 'twenty are told so in a minute');
cmp_ok($said{401}, '<=', 20 + KEYS / 10, 'and not all of them');

$t->done();
