#!/usr/bin/perl

# Copyright (C) the ngx_http_iclock_module authors

# A poll of a device without commands costs no SQL.

use strict;
use warnings;

use FindBin;
use Test::More;
use Time::HiRes qw/ sleep time /;

use lib "$FindBin::Bin/lib";
use Test::IClock;

use constant DEVICES => 50;
use constant POLLS => 20;           # of each device

my $t = Test::IClock->new(settings => [
    [ shared_preload_libraries => 'pg_stat_statements' ],
    [ 'pg_stat_statements.track' => 'top' ],
]);

$t->psql('CREATE EXTENSION pg_stat_statements');

# presence is written once at the end, what is due is looked for all along
$t->start($t->device_server(http => 'iclock_presence_interval 1h;'));
ok($t->wait_log(qr/listening for notifications/), 'notifications');

my @sn = map { sprintf 'IDLE%04d', $_ } 1 .. DEVICES;


# Calls of all statements of nginx, by what they are about.

sub calls {
    my %calls;

    for ($t->psql_lines("SELECT calls, regexp_replace(query, E'[\\\\r\\\\n]+',"
                        . " ' ', 'g') FROM pg_stat_statements s"
                        . " JOIN pg_roles r ON r.oid = s.userid"
                        . " WHERE rolname = 'iclock_nginx'"))
    {
        my ($n, $query) = split /\|/, $_, 2;

        # begins every transaction, or connection, whatever it is about
        next if $query =~ /other_database/;
        next if $query =~ /^SET |set_config|iclock_identity/;

        # the self-probe of the listener, and what only time brings about
        my $what = $query =~ /pg_notify|NOTIFY|LISTEN/i ? 'listener'
                 : $query =~ /due_devices|maintain|verify_due
                              |refresh_timezones|watch_events/x ? 'periodic'
                 : $query =~ /dequeue_commands/ ? 'dequeue'
                 : $query =~ /unnest|BEGIN|COMMIT/ ? 'requests' : 'other';

        $calls{$what} += $n;
    }

    return \%calls;
}


sub polls {
    my ($rounds, $query) = @_;

    my @response = $t->concurrently(
        [ map { my $sn = $_; map { [ 'GET', "/iclock/getrequest?SN=$sn"
                                            . ($query || '') ] } 1 .. $rounds }
          @sn ], connections => 50);

    return \@response;
}


$t->device($_)->handshake() for @sn;

# the first poll tells that nothing waits, and stores INFO
my $info = '&INFO=Ver%208.0.4.3,3,1,8,192.168.1.201,10,7,15,0,111';
polls(2, $info) for 1 .. 3;

# what is stored may be counted after the reply
my $before = calls();
ok(wait_until(30, sub {
       my $last = $before;

       $before = calls();
       return "@$last{sort keys %$last}" eq "@$before{sort keys %$before}";
   }), 'the statements come to rest');
cmp_ok($before->{dequeue}, '>=', 1, 'the statements are counted');

my $since = time;
my $response = polls(POLLS);
my $again = polls(POLLS, $info);
my $seconds = time - $since;
my $after = calls();

is(scalar(grep { $_ && $_->text eq '200 OK' } @$response, @$again),
   2 * DEVICES * POLLS, 2 * DEVICES * POLLS . ' polls are answered');

for my $what (qw/ dequeue requests other /) {
    is(($after->{$what} || 0) - ($before->{$what} || 0), 0,
       "no SQL by them: $what");
}

# at most one look for what is due in 15 s, and one for zones in 60 s
cmp_ok(($after->{periodic} || 0) - ($before->{periodic} || 0), '<=',
       3 + $seconds / 15 + $seconds / 60,
       'what is periodic depends on time only');


# nor do they lead to any later

sleep 1;
is(calls()->{$_} || 0, $before->{$_} || 0, "nor later: $_")
    for qw/ dequeue requests other /;


# it is not that nobody looks: a command is in the very next poll

for my $n (1 .. 20) {
    my $sn = $sn[$n * 7 % DEVICES];

    $t->psql("SELECT iclock.queue_command('$sn', 'CHECK')");

    # it was notified within the commit; the worker has to read it
    $t->notified();

    my $before = calls()->{dequeue};

    like($t->device($sn)->poll()->body, qr/^C:\d+:CHECK\n\z/,
         "a command is in the very next poll: $sn");
    cmp_ok(calls()->{dequeue} - $before, '==', 1, 'which asks once');
    is($t->device($sn)->poll()->body, 'OK', 'and then no more');
    $t->device($sn)->poll();
}

$before = calls()->{dequeue};
polls(2);
is(calls()->{dequeue}, $before, 'and asks no longer');

$t->done();
