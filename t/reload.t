#!/usr/bin/perl

# Copyright (C) the ngx_http_iclock_module authors

# 64 terminals upload single punches while nginx is reloaded and PostgreSQL
# restarted: what was acknowledged is stored, each punch once.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Test::IClock;
use Test::IClock::Load;

my $t = Test::IClock->new;

my $stored = sub {
    return $t->psql_lines(
        "SELECT d.serial_number, p.pin, p.local_time FROM iclock.punch p"
        . " JOIN iclock.device d ON d.id = p.device_id");
};

# descriptors of the workers apart from their connections to the database

my $descriptors = sub {
    my $n = -$t->pg->backends();

    $n += $t->nginx->fds($_) for $t->workers();

    return $n;
};

$t->start();

my $load = Test::IClock::Load->start(port => $t->port, prefix => 'WARM');
wait_until(10, sub { $stored->() > 200 });
my $report = $load->stop();
is("@{$report->{bad}}", '', 'without a fault all goes well');
is($report->{refused} + $report->{closed}, 0, 'nothing is refused');

my $before = $descriptors->();

$load = Test::IClock::Load->start(port => $t->port);

for my $n (1 .. 5) {
    my $count = $stored->();

    $t->reload();

    ok(wait_until(20, sub { $stored->() > $count + 100 }),
       "punches are stored after reload $n");

    if ($n == 5) {
        $t->pg->restart();

        $count = $stored->();
        ok(wait_until(20, sub { $stored->() > $count + 100 }),
           'punches are stored after a restart of PostgreSQL');
    }
}

my $again = $load->stop();

is("@{$again->{bad}}", '', 'every reply is OK or 503 with Retry-After');
cmp_ok(@{$again->{acknowledged}}, '>', 500, 'punches were acknowledged');

my %sent = map { $_ => 1 } @{$report->{sent}}, @{$again->{sent}};
my %stored;

$stored{$_}++ for $stored->();

is(scalar(grep { !$stored{$_} } @{$report->{acknowledged}},
          @{$again->{acknowledged}}), 0, 'what was acknowledged is stored');
is(scalar(grep { $_ != 1 } values %stored), 0, 'each once');
is(scalar(grep { !$sent{$_} } keys %stored), 0, 'nothing else is stored');

ok(wait_until(20, sub { !$t->nginx->old_workers() }), 'old workers are gone');
cmp_ok($t->pg->backends(), '<=', 2 * 4 + 1, 'connections to the database');
cmp_ok($descriptors->(), '<=', $before, 'descriptors');

$t->done();
