#!/usr/bin/perl

# Copyright (C) the ngx_http_iclock_module authors

# The debug log: "grep '*17'" tells the story of one request, also of what
# happens to it while it shares transactions with others.

use strict;
use warnings;

use FindBin;
use MIME::Base64 qw/ encode_base64 /;
use Test::More;

use lib "$FindBin::Bin/lib";
use Test::IClock;
use Test::IClock::HTTP;

my $t = Test::IClock->new(tcp => 1);
my $pg = $t->pg;

like(join('', `@{[ Test::IClock::Nginx::binary() ]} -V 2>&1`),
     qr/ --with-debug /, 'nginx is built with debug lines');

my %secret = (
    'key' => 'k3y-of-the-devices',
    'password of the database' => 'p4ssw0rd-of-the-database',
    'password' => 'p4ssw0rd-of-a-user',
    'name' => 'Xanthippe',
    'template' => encode_base64('template of a finger, which is long', ''),
);

my $people = "USER PIN=1\tName=$secret{name}\tPasswd=$secret{password}\n";
my $poison = $people =~ s/PIN=1/PIN=666/r;
my $finger = "FP PIN=1\tFID=0\tValid=1\tTMP=$secret{template}\n";

$t->psql('ALTER TABLE iclock.device_user ADD CONSTRAINT no_mallory'
         . " CHECK (pin <> '666')");

# one connection to PostgreSQL: what waits shares a transaction

sub configuration {
    return $t->device_server(pool => 'connections=1 timeout=30s',
        database => $t->conninfo(host => '127.0.0.1',
                        password => $secret{'password of the database'}),
        location => "iclock_comm_key $secret{key};");
}


# A request on a connection of its own; its reply is read later.

sub begin {
    my ($sn, $what, $body, %option) = @_;

    my $c = $t->connect(%option);

    $c->write(Test::IClock::HTTP::format_request(
        defined $body ? 'POST' : 'GET',
        "/iclock/$what" . ($what =~ /\?/ ? '&' : '?') . "SN=$sn", $body));

    return $c;
}


sub finish {
    return join ' ', map { my $r = $_->read(); $r ? $r->text : 'nothing' } @_;
}


# what the lines of the last request of a device say

my $from = 0;

sub story {
    my ($sn) = @_;

    my $log = substr $t->error_log(), $from;
    my ($number) = $log =~ /.*: \*(\d+) iclock endpoint [^\n]*"$sn"/s;

    return "no request of $sn" if !defined $number;

    return join '', map { "$_\n" } $log =~ /: \*$number iclock (.*)/g;
}


# Lines of batches.  Jobs of the worker itself may be in a batch, too, so that
# nobody can tell how many jobs there are, and how often they are split.

sub batches { join '', map { "batch \\d+: $_, items .*\n" } @_ }


# the story of an upload

sub upload {
    my ($sn, $job, $batches, $rejected) = @_;

    return qr/\Aendpoint "cdata", device "$sn", serial: 0
admission: zone: device \d+, fresh:1, verdict:0
body: \d+ bytes
job: $job, submit: 0
${batches}job done: 0, $rejected lines rejected, \d+ ms
reply: 200, \d+ bytes
\z/;
}


# The uploads of two devices wait behind that of a third one.  Returns what
# holds that one up, and the connections.

sub share {
    my ($bodies, %option) = @_;

    my @sn = qw/ DEBUG001 DEBUG002 /;
    my $lock = $pg->hold('LOCK TABLE iclock.punch IN SHARE MODE');
    my @c = begin('DEBUG003', 'cdata?table=ATTLOG', "3\t2026-09-22 09:00:00");

    ok($pg->wait_blocked(), 'the connection to PostgreSQL is busy');

    push @c, map { begin($sn[$_], 'cdata?table=OPERLOG', $bodies->[$_],
                         $_ ? () : %option) } 0, 1;

    is($t->get('/iclock/ping?SN=PINGS001')->text, '200 OK', 'the others wait');

    return ($lock, @c);
}


sub start {
    my (%option) = @_;

    $from = length $t->error_log();
    $t->start(configuration(), workers => 1, %option);

    ok(wait_until(30, sub {
        substr($t->error_log(), $from) =~ /listening for notifications/
    }), 'nginx listens');

    introduce();

    return;
}


# makes nginx know them, if they shook hands before

sub introduce {
    finish(begin($_, 'getrequest'))
        for qw/ DEBUG001 DEBUG002 DEBUG003 PINGS001 /;

    return;
}


# a device shakes hands; its key is in the URI

start(level => 'debug');

like(finish(begin($_, "cdata?options=all&pushcommkey=$secret{key}")),
     qr/^200 GET OPTION/, "handshake of $_")
    for qw/ DEBUG001 DEBUG002 DEBUG003 PINGS001 WRONG001 /;

my $done = 'job done: 0, 0 lines rejected, \d+ ms' . "\n";
my $committed = batches('sent', 'committed');

like(story('DEBUG001'), qr/\Aendpoint "cdata", device "DEBUG001", serial: 0
admission: zone: device \d+, fresh:0, verdict:\d+
job: 0 records, 1 operations, submit: 0
$committed${done}admission: unknown device, to be recorded
job: 0 records, 2 operations, submit: 0
$committed${done}admission: row: device \d+, status:2, verdict:0
job: 0 records, 1 operations, submit: 0
$committed${done}reply: 200, \d+ bytes
\z/, 'its story');

# notifications come in the order of the handshakes; what is read then stays

ok($t->wait_log(qr/ iclock notified: channel 1, device "WRONG001"\n/),
   'nginx is notified of them');

introduce();

like(finish(begin('WRONG001', "getrequest?pushcommkey=$secret{key}-wrong")),
     qr/^403/, 'a wrong key');
like(story('WRONG001'), qr/^admission: refused, wrong or missing [\w ]+ key$/m,
     'why it is refused');


# an upload

is(finish(begin('DEBUG001', 'cdata?table=OPERLOG&Stamp=1', $people . $finger)),
   '200 OK: 2', 'an upload');
like(story('DEBUG001'),
     upload('DEBUG001', '2 records, 1 operations', $committed, 0),
     'its story');


# a command

$t->psql("SELECT iclock.queue_command('DEBUG001', 'CHECK')");
ok($t->wait_log(qr/ iclock\ notified:\ channel\ 0,\ device\ "DEBUG001"\n
                    .*\ iclock\ mark:\ device\ "DEBUG001",\ known:1\n/xs),
   'the worker is notified, and marks the device');

like(finish(begin('DEBUG001', 'getrequest')), qr/^200 C:\d+:CHECK$/,
     'a poll hands it out');
like(story('DEBUG001'), qr/\Aendpoint "getrequest", device "DEBUG001", serial: 0
admission: zone: device \d+, fresh:1, verdict:0
poll: marked:1, news:0
job: 0 records, 1 operations, submit: 0
$committed${done}poll: 1 commands
reply: 200, \d+ bytes
\z/, 'its story');


# one of those who share a transaction has a record that PostgreSQL refuses

my ($lock, @c) = share([ $people, $poison ]);

$lock->release();
is(finish(@c), '200 OK: 1 200 OK: 1 200 OK: 1', 'all are acknowledged');

my $one = '1 records, 0 operations';
my $split = '(?:' . batches('sent', 'failed, SQLSTATE 23514', 'split') . ')+';

like(story('DEBUG001'), upload('DEBUG001', $one, $split . $committed, 0),
     'the good one');
like(story('DEBUG002'), upload('DEBUG002', $one, $split
     . batches('sent', 'failed, SQLSTATE 23514', 'retried alone',
               'sent', 'failed, SQLSTATE 23514', 'record refused')
     . $committed, 1), 'the poison');

my @shared = map { story($_) =~ /^(batch \d+): split/m }
             qw/ DEBUG001 DEBUG002 /;

is($shared[0], $shared[1], 'they tell of the same batch');


# a connection that is lost; within its first second it is not replaced at once

sleep 2;
($lock, @c) = share([ $people, $people ]);

$pg->terminate('iclock/0');
$lock->release();
is(finish(@c), '200 OK: 1 200 OK: 1 200 OK: 1', 'all are acknowledged');

like(story('DEBUG003'), upload('DEBUG003', $one,
     batches('sent', 'connection is lost', 'retried', 'sent again',
             'committed'), 0), 'one is sent again');


# What waits for a table is cancelled, until nginx says so.  To nginx it is the
# same as a lock that is held for too long, after which PostgreSQL gives up only
# a little earlier than nginx itself.

sub cancel {
    my ($table, $said) = @_;

    my $at = length $t->error_log();

    return ok(wait_until(30, sub {
        $t->psql('SELECT count(pg_cancel_backend(pid)) FROM pg_locks'
                 . " WHERE NOT granted AND relation = '$table'::regclass");
        substr($t->error_log(), $at) =~ /: \*\d+ iclock batch \d+: $said,/
    }), $said);
}


# a lock that is held for too long

$t->quit();
start(level => 'debug');

my $users = $pg->hold('LOCK TABLE iclock.device_user IN SHARE MODE');

($lock, @c) = share([ $people, $finger ]);

$lock->release();
cancel('iclock.device_user', 'taken apart, job by job');
$users->release();
finish(@c);

my $apart = batches('sent', 'failed, SQLSTATE \w+',
                    'taken apart, job by job', 'sent');

like(story($_), qr/^$apart/m, "$_ is run alone") for qw/ DEBUG001 DEBUG002 /;

$lock = $pg->hold('LOCK TABLE iclock.punch IN SHARE MODE');
@c = begin('DEBUG003', 'cdata?table=ATTLOG', "3\t2026-09-22 09:00:00");
cancel('iclock.punch', 'given up');
like(finish(@c), qr/^503/, 'an upload that waits for nobody else');
$lock->release();

# a job of the worker itself may have been in its batch
my $failed = '(?:' . batches('sent', 'failed, SQLSTATE \w+',
                             'taken apart, job by job') . ')?'
             . batches('sent', 'failed, SQLSTATE \w+', 'given up');

like(story('DEBUG003'), qr/^job: $one, submit: 0
${failed}job done: -1, 0 lines rejected, \d+ ms
reply: 503, again in \d+ s
\z/m, 'its story');

$t->quit();


# of one terminal alone, even where it shares a transaction

start(level => 'info', events => 'debug_connection 127.0.0.3;');

($lock, @c) = share([ $people, $people ], local => '127.0.0.3');

$lock->release();
is(finish(@c), '200 OK: 1 200 OK: 1 200 OK: 1', 'all are acknowledged');

like(story('DEBUG001'), upload('DEBUG001', $one, $committed, 0),
     'debug_connection');
is(scalar(() = substr($t->error_log(), $from) =~ / iclock /g),
   scalar(() = story('DEBUG001') =~ /\n/g), 'and of no other one');


# no secrets

my $log = $t->error_log();

unlike($log, qr/\Q$secret{$_}\E/, "the log holds no $_")
    for grep { $_ ne 'key' } sort keys %secret;

# on this level nginx itself quotes request lines

unlike($log, qr/: (?:\*\d+ )?iclock [^\n]*\Q$secret{key}\E/,
       'lines of the module hold no key');

$t->done();
