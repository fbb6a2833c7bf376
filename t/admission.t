#!/usr/bin/perl

# Copyright (C) the ngx_http_iclock_module authors

# The one door: who may speak, on any endpoint, from any worker, the first
# time and later.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Test::IClock;
use Test::IClock::Process qw/ shared_memory slurp /;

my $t = Test::IClock->new;
my $pg = $t->pg;
my $files = $t->dir . '/files';

mkdir $files;
open my $f, '>', "$files/a.dat" or die "$files: $!";
print $f 'data';
close $f;

my $conf = $t->device_server(
    http => 'iclock_presence_interval 1s;'
            . ' iclock_pool connections=1 timeout=1m;',
    location => "iclock_files $files;", server => <<END);
        location /key { iclock; iclock_comm_key location1;
                        iclock_unknown_devices accept; iclock_files $files; }
        location /must { iclock; iclock_comm_key location1 required;
                         iclock_unknown_devices accept; iclock_files $files; }
        location /own { iclock; iclock_comm_key off required;
                        iclock_unknown_devices accept; }
        location /reject { iclock; iclock_unknown_devices reject; }
        location /hold { iclock; iclock_unknown_devices hold; }
        location /none { iclock; iclock_unknown_devices hold;
                         iclock_pending_limit 1; }
        location /many { iclock; iclock_unknown_devices hold;
                         iclock_pending_limit 65537; }
END


# cheaper than psql()
my $session = $t->pg->session();

sub sql { join "\n", $session->query(@_) }


sub add {
    my ($sn, %column) = @_;

    $column{status} ||= 'active';
    sql("INSERT INTO iclock.device (serial_number, "
        . join(', ', sort keys %column) . ") VALUES ('$sn', "
        . join(', ', map { "'$column{$_}'" } sort keys %column) . ')');
}

sub device { sql("SELECT $_[1] FROM iclock.device"
                 . " WHERE serial_number = '$_[0]'") }

# everything that a device can ask for: name, method, endpoint, query, body

my @requests = (
    [ 'handshake', 'GET', 'cdata', 'options=all&pushver=9.9&language=83' ],
    [ 'upload', 'POST', 'cdata', 'table=ATTLOG&Stamp=1',
      "1\t2026-03-01 08:00:00\n" ],
    [ 'empty upload', 'GET', 'cdata', 'table=ATTLOG&Stamp=1' ],
    [ 'time', 'GET', 'cdata', 'type=time' ],
    [ 'last punch', 'GET', 'cdata', 'type=LastPunch&PIN=1' ],
    [ 'remote attendance', 'GET', 'cdata', 'table=RemoteAtt&PIN=1' ],
    [ 'self service', 'GET', 'cdata', 'table=SELFSERVICEDATA&PIN=1' ],
    [ 'decision', 'POST', 'cdata', 'type=PostVerifyData', 'x' ],
    [ 'poll', 'GET', 'getrequest', 'x=1' ],
    [ 'poll with INFO', 'GET', 'getrequest', 'INFO=Ver+9,1,2,3,10.0.0.1' ],
    [ 'reply', 'POST', 'devicecmd', 'x=1', 'ID=1&Return=0&CMD=DATA' ],
    [ 'control: poll', 'GET', 'service/control', 'x=1' ],
    [ 'control: reply', 'POST', 'service/control', 'x=1', 'ID=1&Return=0' ],
    [ 'ping', 'GET', 'ping', 'x=1' ],
    [ 'photo', 'POST', 'fdata', 'table=ATTPHOTO', "PIN=1.jpg\nSN=1\0x" ],
    [ 'exchange', 'POST', 'exchange', 'type=publickey', 'x' ],
    [ 'file of an upgrade', 'GET', 'file', 'url=http://a/file/a.dat' ],
    [ 'file by its path', 'GET', 'file/a.dat', 'x=1' ],
);

sub ask {
    my ($request, $where, $sn, $more, %option) = @_;

    my (undef, $method, $endpoint, $query, $body) = @$request;
    my $uri = "/$where/$endpoint?SN=$sn&$query" . ($more ? "&$more" : '');

    return ($method eq 'POST' ? $t->post($uri, $body, %option)
                              : $t->get($uri, %option))->status;
}

# everything that any of them leaves in the database

sub traces {
    return sql(<<'END');
        SELECT (SELECT count(*) FROM iclock.punch)
               + (SELECT count(*) FROM iclock.rejected_line)
               + (SELECT count(*) FROM iclock.photo)
               + (SELECT count(*) FROM iclock.upload_stamp)
               + (SELECT count(*) FROM iclock.device_option)
               + (SELECT count(*) FROM iclock.device WHERE
                      coalesce(push_version, language, firmware) IS NOT NULL)
END
}


# the log is that of the nginx before, too

sub starts {
    my ($name, %option) = @_;

    my $from = length $t->error_log();

    $t->start($conf, level => 'debug', %option);
    ok(wait_until(60, sub { substr($t->error_log(), $from)
                            =~ /listening for notifications/ }), $name);
}


starts('ready', workers => 4);


# a wrong key is refused everywhere and every time

my $n = 0;

for my $own (0, 1) {
    for my $request (@requests) {
        my $name = ($own ? 'own key: ' : 'location key: ') . $request->[0];
        my $sn = sprintf 'WRONG%03d', ++$n;

        add($sn, $own ? (comm_key => 'own-key-1') : ());

        is(join(',', map { ask($request, 'key', $sn, 'pushcommkey=wrong') }
                         1 .. 10),
           join(',', (403) x 10), "$name: wrong");
        is(ask($request, 'key', $sn, 'ComKey=location1'), 403,
           "$name: the location's key") if $own;
    }
}

is(traces(), 0, 'nothing is stored');
is(sql("SELECT count(*) FROM iclock.device WHERE last_seen IS NOT NULL"),
   0, 'nor is anybody seen');

# known to the zone, by the right key

for my $own (0, 1) {
    my $sn = "RIGHT00$own";
    my $right = $own ? 'own-key-1' : 'location1';

    add($sn, $own ? (comm_key => $right) : ());
    is(ask($requests[0], 'key', $sn, "pushcommkey=$right"), 200,
       "$sn: handshake");

    for my $request (@requests) {
        my $name = "$sn: $request->[0]";

        is(join(',', map { ask($request, 'key', $sn, 'pushcommkey=wrong',
                               -local => '127.0.0.2') } 1 .. 8),
           join(',', (403) x 8), "$name: wrong");
        unlike(ask($request, 'key', $sn, "pushcommkey=$right",
                   -local => '127.0.0.2'), qr/403|50\d/, "$name: right");
    }
}

# most firmware sends it at the handshake only

add('SELDOM01');
is(ask($requests[0], 'key', 'SELDOM01'), 403, 'no key at the handshake');
is(ask($requests[1], 'key', 'SELDOM01'), 403, 'then uploads are refused');
is(ask($requests[1], 'key', 'SELDOM01', '', -local => '127.0.0.3'), 200,
   'not those from another address');
is(ask($requests[0], 'key', 'SELDOM01', 'pushcommkey=location1'), 200,
   'the right key');
is(ask($requests[1], 'key', 'SELDOM01'), 200, 'uploads without a key');
is(ask($requests[1], 'key', 'SELDOM01', 'pushcommkey=wrong'), 403,
   'an upload with a wrong one');
is(ask($requests[1], 'key', 'SELDOM01'), 403,
   'the address is refused from then on');
is(ask($requests[8], 'key', 'SELDOM01', 'pushcommkey=location1'), 200,
   'the right one with a poll');
is(ask($requests[1], 'key', 'SELDOM01'), 200, 'uploads again');

# a changed key is known at once

sql("UPDATE iclock.device SET comm_key = 'changed'"
    . " WHERE serial_number = 'SELDOM01'");
ok(wait_until(60, sub { ask($requests[8], 'key', 'SELDOM01',
                            'pushcommkey=location1') == 403 }),
   'the former key after a change');
is(ask($requests[8], 'key', 'SELDOM01', 'pushcommkey=changed'), 200,
   'the new one');

# required on every request

add('MUST0001');
add('MUST0002', comm_key => 'own-key-1');

for my $request (@requests) {
    my $name = "required: $request->[0]";

    is(ask($request, 'must', 'MUST0001'), 403, "$name: none");
    unlike(ask($request, 'must', 'MUST0001', 'ComKey=location1'),
           qr/403|50\d/, "$name: right");
    is(ask($request, 'own', 'MUST0002'), 403, "$name: no own key")
        if $request->[2] !~ /^file/;
    is(ask($request, 'own', 'MUST0001'), ask($request, 'iclock', 'MUST0001'),
       "$name: there is no key") if $request->[2] !~ /^file/;
}

is($t->get('/must/file/a.dat')->status, 403, 'required: a nameless request');
is($t->get('/must/file/a.dat?ComKey=location1')->text, '200 data',
   'required: with the key');
is($t->get('/key/file/a.dat?ComKey=wrong')->status, 403,
   'a nameless request with a wrong key');
is($t->get('/key/file/a.dat')->text, '200 data', 'without one');

# the zone holds no key

my $shared = join '', map { $_->[1] } shared_memory(($t->workers())[0]);

ok(index($shared, 'RIGHT001') >= 0, 'the zone holds serial numbers');
ok(index($shared, 'own-key-1') < 0, 'but no keys');


# the exchange of keys passes the same door

sub version {
    return $t->get("/iclock/cdata?SN=$_[0]&options=all&pushver=2.4.1",
                   -local => '127.0.0.2')->body =~ /^PushProtVer=(.*)$/m
           ? $1 : undef;
}

add('INSIDE01', allowed_networks => '{127.0.0.2/32}');
is(version('INSIDE01'), '2.4.1', 'exchange: the version before');
is(ask($requests[15], 'iclock', 'INSIDE01'), 403,
   'exchange: from a refused network') for 1 .. 2;
is(version('INSIDE01'), '2.4.1', 'exchange: the version is the same');
is(ask($requests[15], 'iclock', 'INSIDE01', '', -local => '127.0.0.2'), 404,
   'exchange: from its own network');
is(version('INSIDE01'), '2.2.14', 'exchange: now it is noted');
is(ask($requests[15], 'iclock', 'NOBODY01'), 404, 'exchange: unknown');
is(device('NOBODY01', 'count(*)'), 0, 'exchange: nobody is registered by it');


# an outsider costs one look-up

sql("ALTER ROLE iclock_nginx SET log_statement = 'all'");
$t->quit();
starts('ready again');

sub lookups { scalar(() = slurp($pg->{log}) =~ /execute iclock_lookup/g) }

my $before = lookups();

is(join(',', map { ask($requests[8], 'iclock', 'INSIDE01') } 1 .. 30),
   join(',', (403) x 30), 'polls of an outsider');
cmp_ok(lookups() - $before, '>', 0, 'PostgreSQL was asked');
cmp_ok(lookups() - $before, '<', 10, 'a few times only');

sql("UPDATE iclock.device SET allowed_networks = '{127.0.0.0/8}'"
    . " WHERE serial_number = 'INSIDE01'");
ok(wait_until(60, sub { ask($requests[8], 'iclock', 'INSIDE01') == 200 }),
   'until it is let in');
is(ask($requests[8], 'iclock', 'INSIDE01', '', -local => '127.0.0.2'), 200,
   'and the insider still is');

# networks that have changed: whoever asks first, nobody stays inside

sub networks {
    my ($networks) = @_;

    sql("UPDATE iclock.device SET allowed_networks = '{$networks}'"
        . " WHERE serial_number = 'NETS0001'");
    $t->notified();
}

sub polls {
    return join ',', map { ask($requests[8], 'iclock', 'NETS0001', '',
                               -local => "127.0.0.$_") } @_;
}

add('NETS0001');
$t->notified();

is(polls(3, 3), '200,200', 'no networks: anywhere');
networks('127.0.0.2/32');
is(polls(1, 3, 3), '403,403,403', 'the last address is outside of it');
is(polls(2, 3, 2, 1), '200,403,200,403', 'another one is in it');
networks('127.0.0.4/32');
is(polls(1, 2, 2), '403,403,403', 'the former one is out');
is(polls(4, 2, 4), '200,403,200', 'the new one is in');
networks('127.0.0.5/32');
is(ask($requests[8], 'key', 'NETS0001', 'pushcommkey=wrong',
       -local => '127.0.0.5'), 403, 'inside, with a wrong key');
is(polls(4), '403', 'that does not let in the former one');


# an unknown device at locations that think otherwise of it

is(ask($requests[8], 'reject', 'STRANGE1'), 403, 'unknown and rejected');
is(ask($requests[8], 'reject', 'STRANGE1'), 403, 'again');
is(ask($requests[8], 'hold', 'STRANGE1'), 503, 'held elsewhere');
is(device('STRANGE1', 'status'), 'pending', 'and recorded');
is(ask($requests[8], 'none', 'STRANGE2'), 503, 'too many are pending');
is(device('STRANGE2', 'count(*)'), 0, 'and not recorded');
is(ask($requests[8], 'iclock', 'STRANGE2'), 200, 'accepted elsewhere');
ask($requests[8], $_, 'STRANGE4') for qw/ none many /;
is(device('STRANGE4', 'status'), 'pending', 'held where the limit is larger');

my $reply = $t->get('/hold/cdata?SN=STRANGE3&options=all');
is($reply->status, 401, 'a handshake is held');
is($reply->header('Retry-After'), undef, 'Retry-After belongs to 503');
ok($t->get('/hold/getrequest?SN=STRANGE3')->header('Retry-After'),
   'a reply to a poll has it');


# the language decides about the encoding

my $chinese = "USER PIN=8\tName=\xd5\xc5\tPri=0\n";

add('LANGUAGE', language => '69');
is($t->post('/iclock/cdata?SN=LANGUAGE&table=OPERLOG&Stamp=1',
            "USER PIN=7\tName=A\n")->status, 200, 'an upload');
sql("UPDATE iclock.device SET language = '83'"
    . " WHERE serial_number = 'LANGUAGE'");
ok(wait_until(60, sub {
    $t->post('/iclock/cdata?SN=LANGUAGE&table=OPERLOG&Stamp=2', $chinese);
    return sql("SELECT name = U&'\\5F20' FROM iclock.device_user"
               . " WHERE pin = '8'") eq 't';
}), 'a change of the language is known at once');


# what was read before a change does not undo it

$t->quit();
starts('ready with one worker', workers => 1);

add($_) for qw/ STALE001 STALE002 STALE003 /;
is(ask($requests[8], 'iclock', $_), 200, "poll of $_")
    for qw/ STALE001 STALE001 STALE002 STALE003 /;

# that they are new was notified, too
$t->notified();

sub told { scalar(() = $t->error_log()
                  =~ /iclock notified: channel \d+, device "STALE001"/g) }

my $told = told();

my $punches = $pg->hold('LOCK TABLE iclock.punch IN SHARE MODE');
my $stamps = $pg->hold('LOCK TABLE iclock.upload_stamp IN SHARE MODE');

sub begin {
    my ($bytes) = @_;

    my $c = $t->connect();
    $c->write($bytes);
    return $c;
}

sub format_request { Test::IClock::HTTP::format_request(@_) }

# a connection that is busy, so that the next two share a transaction

my @waiting = begin(format_request('POST',
    '/iclock/cdata?SN=STALE002&table=ATTLOG', "1\t2026-03-02 08:00:00\n"));
ok($pg->wait_blocked(), 'the connection is busy');

sql("UPDATE iclock.device SET timezone = 'Asia/Kolkata'"
    . " WHERE serial_number = 'STALE001'");
ok(wait_until(60, sub { told() > $told }), 'nginx is told of a change');

push @waiting, begin(format_request('GET',
                                    '/iclock/getrequest?SN=STALE001'));
push @waiting, begin(format_request('POST',
    '/iclock/cdata?SN=STALE003&table=ATTLOG&Stamp=77', ''));
ok($t->wait_log(qr/"cdata", device "STALE003".* iclock job: 0 records, 1 /s),
   'the next two wait for it');

$punches->release();
ok(wait_until(60, sub { sql("SELECT count(*) FROM pg_stat_activity"
    . " WHERE wait_event_type = 'Lock' AND query ~ 'upload_stamp'") }),
   'the row is read');

sql("SELECT iclock.block_device('STALE001')");
ok(wait_until(60, sub { told() > $told + 1 }), 'and of another one');

$stamps->release();
$_->read() for @waiting;

is(join(',', map { ask($requests[8], 'iclock', 'STALE001') } 1 .. 3),
   '403,403,403', 'blocked while its row was read');


# refusals are logged, but not without limit

is(scalar(grep { $_ && $_->status == 403 } $t->concurrently(
       [ map { [ 'GET', '/reject/ping?SN=FLOOD' . sprintf '%04d', $_ ] }
             1 .. 2000 ], connections => 32)), 2000, '2000 strangers');

my $log = $t->error_log();
my $lines = () = $log =~ /device "FLOOD\d+" is refused: it is unknown/g;

# by second, worker and reason

my (%told, %level);

for (split /\n/, $log) {
    my ($second, $level, $pid, $why)
        = /^(\S+\ \S+)\ \[(\w+)\]\ (\d+)\#.*
           \ iclock:\ device\ "[^"]*"\ is\ refused:\ (.*?),\ client:\ /x
        or next;

    $told{"$second $pid $why"}++;
    $level{$level}++;
}

cmp_ok($lines, '>', 0, 'some are logged');
is((sort { $b <=> $a } values %told)[0], 10,
   'ten a second, of a worker and of one reason');
is(join(' ', keys %level), 'info', 'on level info');
like($log, qr/device "WRONG001" is refused: wrong or missing communication/,
     'the log says why');
like($log, qr/: \*\d+ iclock admission: /, 'lines for debugging');
unlike($log, qr/: (?:\*\d+ )?iclock[^\n]*(?:own-key-1|location1)/,
       'those of the module hold no keys');

$t->done();
