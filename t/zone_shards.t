#!/usr/bin/perl

# Copyright (C) the ngx_http_iclock_module authors

# Shards of the zone: each has some of the devices, a lock and memory of its
# own.  To the outside they are one.

use strict;
use warnings;

use FindBin;
use POSIX ();
use Test::More;

use lib "$FindBin::Bin/lib";
use Test::IClock;
use Test::IClock::Metrics;
use Test::IClock::Process qw/ children shared_memory slurp /;

use constant SHARDS => 16;

my $t = Test::IClock->new;
my $pg = $t->pg;
my $m = Test::IClock::Metrics->new($t);

# the smallest zone that has shards
my $page = POSIX::sysconf(POSIX::_SC_PAGESIZE());
my $pages = 64 * SHARDS;

my @device = map { sprintf 'SHARD%04d', $_ } 1 .. 640;


sub server {
    my (%option) = @_;

    # the cache manager dies for this test
    return $t->device_server(
        zone => 'iclock:' . $pages * $page, server => $m->locations(),
        http => 'proxy_cache_path %%PREFIX%%/cache keys_zone=c:1m;'
                . ' iclock_presence_interval ' . ($option{presence} || '1h')
                . ';', %option);
}


# one request for each of the serial numbers, 64 at a time; how many get 200

sub each_of {
    my ($uri, @sn) = @_;

    my @response = $t->concurrently([ map { [ 'GET', sprintf $uri, $_ ] } @sn ],
                                    connections => 64);

    return scalar grep { $_ && $_->status == 200 } @response;
}


sub polls { return each_of('/iclock/getrequest?SN=%s', @_) }
sub handshakes { return each_of('/iclock/cdata?SN=%s&options=all', @_) }


# what all shards have in common looks like one zone

$t->start(server(), workers => 1);

ok(wait_until(60, sub { handshakes(@device) == 640 }), '640 handshakes');
is(polls(@device), 640, 'and polls') for 1 .. 2;

my $now = $m->now();

is($now->{iclock_zone_devices}, 640, 'all of them are counted');
is($now->{iclock_zone_size_bytes}, $pages * $page, 'the size is what was set');
cmp_ok($now->{iclock_zone_used_bytes}, '>', 0, 'some of it is used');
cmp_ok($now->{iclock_zone_used_bytes}, '<', $pages * $page / 2, 'not all');
is($now->{iclock_zone_evictions_total}, 0, 'nobody had to go');


# each has devices, and each device is in one of them

my $master = $t->nginx->{pid};

sub shards {
    return grep { $_->[1] =~ m{ in iclock_zone "iclock/\d+"\0} }
           shared_memory($master);
}


my (@shard, %at, $twice);

@shard = shards();

is(scalar @shard, SHARDS, 'so many shards');

for my $n (0 .. $#shard) {
    for my $sn (grep { index($shard[$n][1], $_) >= 0 } @device) {
        $twice = "$sn in $at{$sn} and $n" if exists $at{$sn};
        $at{$sn} = $n;
    }
}

is($twice, undef, 'no device is in two of them');
is(scalar keys %at, 640, 'each is in one');

my %devices;
$devices{$_}++ for values %at;

is(scalar keys %devices, SHARDS, 'none is empty');
cmp_ok((sort { $a <=> $b } values %devices)[0], '>=', 640 / SHARDS / 2,
       'none has less than half of its share');


# A lock whose holder dies: nginx gives it free.  The first word of a shard is
# the process that has it, the second one how many wait.

sub word {
    my ($n, $i) = @_;

    return (unpack 'J2', (shards())[$n][1])[$i];
}


sub seize {
    my ($pid, @n) = @_;

    open my $mem, '+<:raw', "/proc/$master/mem" or die "mem: $!";

    for my $n (@n) {
        wait_until(30, sub { word($n, 0) == 0 }) or die "shard $n is locked";
        sysseek $mem, $shard[$n][0], 0 or die "seek: $!";
        syswrite $mem, pack 'J', $pid or die "write: $!";
    }

    return;
}


my ($manager) = grep { slurp("/proc/$_/cmdline") =~ /cache manager/ }
                children($master);
my ($held) = $at{$device[0]};
my @other = grep { $at{$_} != $held } @device;

is($m->value('zone_waits_total'), 0, 'no worker has waited for another one');

seize($manager, $held);
is(polls(@other), scalar @other, 'a shard is locked: the others are not');

seize($manager, grep { $_ != $held } 0 .. $#shard);

my $c = $t->connect();

$c->write("GET /iclock/getrequest?SN=$device[0] HTTP/1.1\r\n"
         . "Host: localhost\r\n\r\n");

ok(wait_until(30, sub { word($held, 1) }), 'all are locked: a poll waits');

$t->allow(qr/cache manager process \d+ exited on signal 9/,
          qr/shared memory zone "iclock\/\d+" was locked by $manager/);
kill 'KILL', $manager;

is($c->read()->status, 200, 'until who had locked them has died');
# they are given free one after the other
wait_until(30, sub { !grep { unpack 'J', $_->[1] } shards() })
    or die "a shard is locked\n";
is(polls(@device), 640, 'none is locked any more');
is($m->value('zone_waits_total'), 1, 'it is counted that a worker has waited');


# presence comes from all of them

$t->psql('UPDATE iclock.device SET last_seen = NULL');
is(polls(@device), 640, 'all are seen');
$t->reload(server(presence => '1s'), wait => 1);
ok(wait_until(60, sub { $t->psql('SELECT count(last_seen) FROM iclock.device')
                        == 640 }), 'that is saved of all of them');


# Another size: other shards, and nobody knows the devices, however little it
# differs: nginx must not give the shards of a zone to another one, which knows
# neither their salt nor their generation.  Then one shard instead of many, and
# many again.

for my $zone ($pages * $page * 2, ($pages * 2 + 1) * $page,
              $pages * $page - 1, $pages * $page)
{
    $t->reload(server(zone => "iclock:$zone"), wait => 1);
    is($m->value('zone_devices'), 0, "zone of $zone bytes: nobody is known");
    is($m->value('zone_size_bytes'), $zone, "zone of $zone bytes: its size");
    ok(wait_until(60, sub { polls(@device) == 640 }),
       "zone of $zone bytes: polls");
    is($m->value('zone_devices'), 640, "zone of $zone bytes: all are known");
}

is(scalar(shards()), SHARDS, 'so many shards again');

# nor what is left of a zone that was as small as the part that shards share

for my $zone (8, $pages, 8, $pages) {
    $t->reload(server(zone => 'iclock:' . $zone * $page), wait => 1);
    is($m->value('zone_devices'), 0, "zone of $zone pages: nobody is known");
    ok(wait_until(60, sub { polls(@device[0 .. 15]) == 16 }),
       "zone of $zone pages: polls");
    is($m->value('zone_devices'), 16, "zone of $zone pages: they are known");
}

ok(wait_until(60, sub { polls(@device) == 640 }), 'all are known again');


# a full one gives up those whom nobody has registered

$t->reload(server(unknown => 'reject'), wait => 1);
is($m->value('zone_devices'), 640, 'a reload: all are known');

# who gets no answer in time comes again

my @stranger = map { sprintf 'STRANGER%06d', $_ } 1 .. 18_000;
my $sent = 0;

ok(wait_until(300, sub {
    my @sn = splice @stranger, 0, 2000;
    my @response = $t->concurrently(
        [ map { [ 'GET', "/iclock/getrequest?SN=$_" ] } @sn ],
        connections => 64);

    $sent += @sn;
    push @stranger, map { $response[$_] && $response[$_]->status == 403
                          ? () : $sn[$_] } 0 .. $#sn;

    return !@stranger;

}), 'strangers are refused');

$now = $m->now();

my $known = $now->{iclock_zone_devices};
my $gone = $now->{iclock_zone_evictions_total};

cmp_ok($gone, '>', 0, 'some were forgotten');
cmp_ok($known, '>', 15_000, 'as many are known as fit');
cmp_ok($known, '<', 16_000, 'and no more');
cmp_ok($known + $gone, '>=', 640 + 18_000, 'nobody is lost');
cmp_ok($known + $gone, '<=', 640 + $sent, 'or counted twice');

$pg->stop();
is(polls(@device), 640, 'registered ones are all known');
$pg->start();

$t->done();
