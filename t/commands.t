#!/usr/bin/perl

# Copyright (C) the ngx_http_iclock_module authors

# Commands from SQL to the terminal and back: what goes out when, how often
# and in which order, and what every kind of answer makes of it.
# t/sql/commands.sql shows the rows; here are notifications and polls, the bytes
# of both directions, and clients that leave while PostgreSQL is at work.

use strict;
use warnings;

use FindBin;
use Test::More;
use Time::HiRes qw/ sleep /;

use lib "$FindBin::Bin/lib";
use Test::IClock;

my $t = Test::IClock->new;


sub command {
    my ($sn, $body, $more) = @_;

    return $t->psql("SELECT iclock.queue_command('$sn', \$q\$$body\$q\$"
                    . (defined $more ? ", $more)" : ')'));
}


# status, attempts and return code

sub state_of {
    my (@id) = @_;

    my %row = map { /^(\d+)\|(.*)/ ? ($1 => $2) : () } $t->psql_lines(
        "SELECT id, status, attempts, return_code FROM iclock.command"
        . ' WHERE id IN (' . join(', ', @id) . ')');

    return join ' ', map { defined $row{$_} ? $row{$_} : 'none' } @id;
}


# What nginx was told of has not reached it when the statement returns.

sub fetch {
    my ($sn) = @_;

    my $response;

    wait_until(30, sub { $response = $t->device($sn)->poll();
                        $response->body ne 'OK' });

    return $response->body;
}


# One more command, which goes out last of all: what is not before it was not
# to go out.  Returns the bodies that were.

sub fetch_all {
    my ($sn) = @_;

    my $last = command($sn, 'CHECK', -1000);
    my @all;

    wait_until(30, sub {
        push @all, $t->device($sn)->poll()->commands();
        @all && $all[-1][0] == $last;
    });
    $t->device($sn)->ack($last, 0, 'CHECK');
    pop @all;

    return map { $_->[1] } @all;
}


sub answer { $t->device($_[0])->send('devicecmd', [], $_[1])->text }


# the command has not been answered in time

sub overdue {
    my ($sn, $id) = @_;

    $t->psql("UPDATE iclock.command SET sent_at = sent_at - interval '2 min'"
             . " WHERE id = $id; NOTIFY iclock_command, '$sn'");

    return;
}


sub refused {
    my ($sql, $pattern, $name) = @_;

    my ($status, $out, $error) = $t->pg->psql_try($sql);

    ok($status != 0, "$name: refused");
    like($error, $pattern, "$name: message");

    return;
}


$t->start($t->device_server(pool => 'timeout=1m',
                            location => <<'END_OF_LOCATION'));
            iclock_command_limit count=5 bytes=2k;
            iclock_command_timeout 1m;
            iclock_command_attempts 3;
END_OF_LOCATION

# when listening begins, everything counts as changed
$t->wait_log(qr/listening for notifications/);

# this is to be found without a notification, while the rest goes on
$t->device('DUES0001')->handshake();
my $due = command('DUES0001', 'LOG');
is(fetch('DUES0001'), "C:$due:LOG\n", 'sent, and never answered');
$t->device('DUES0001')->poll() for 1 .. 4;


# the life of a command

my $sn = 'LIFE0001';
$t->device($sn)->handshake();
$t->device($sn)->poll();

my $id = command($sn, 'CHECK');
is(state_of($id), 'queued|0|', 'queued');

is(fetch($sn), "C:$id:CHECK\n", 'sent at the next poll');
is(state_of($id), 'sent|1|', 'sent');
is($t->device($sn)->poll()->body, 'OK', 'once');

is(answer($sn, "ID=$id&Return=0&CMD=CHECK\n"), '200 OK', 'answered');
is(state_of($id), 'done|1|0', 'done');

$id = command($sn, 'DATA UPDATE SMS MSG=x');
fetch($sn);
answer($sn, "ID=$id&Return=-1004&CMD=DATA\n");
is(state_of($id), 'failed|1|-1004', 'failed');

$id = command($sn, 'AC_UNLOCK', "expires => '1 hour'");
$t->psql("UPDATE iclock.command SET expires_at = now() WHERE id = $id");
is_deeply([ fetch_all($sn) ], [], 'what has expired is not sent');
is(state_of($id), 'expired|0|', 'expired');

$id = command($sn, 'LOG');
is($t->psql("SELECT iclock.cancel_command($id)"), 't', 'cancel');
is_deeply([ fetch_all($sn) ], [], 'what is cancelled is not sent');
is(state_of($id), 'cancelled|0|', 'cancelled');

$id = command($sn, 'LOG');
fetch($sn);
is($t->psql("SELECT iclock.cancel_command($id)"), 'f', 'not what was sent');
is(state_of($id), 'sent|1|', 'it waits for its answer');
answer($sn, "ID=$id&Return=0&CMD=LOG\n");
is(state_of($id), 'done|1|0', 'which comes');
is($t->psql("SELECT iclock.cancel_command($id)"), 'f', 'not afterwards');


# not before

$id = command($sn, 'LOG');
$t->psql("SELECT iclock.schedule_command($id,"
         . " not_before => now() + interval '1 hour')");
is_deeply([ fetch_all($sn) ], [], 'not before its time');
$t->psql("SELECT iclock.schedule_command($id, not_before => now())");
is(fetch($sn), "C:$id:LOG\n", 'at its time');
answer($sn, "ID=$id&Return=0&CMD=LOG\n");


# order and limits

my @id = map { command($sn, @$_) } [ 'A' ], [ 'B', 10 ], [ 'C' ],
                                   [ 'D', 10 ], [ 'E', -1 ];
is(join('', map { fetch($sn) =~ s/C:\d+:(.*)\n/$1/gr } 1), 'BDACE',
   'by priority, then in the order of their ids');
$t->device($sn)->ack(map { [ $_ ] } @id);

@id = map { command($sn, "LOG $_") } 1 .. 12;
is(join(' ', map { scalar(() = fetch($sn) =~ /^C:/mg) } 1 .. 3), '5 5 2',
   'at most as many as the limit says');
is($t->device($sn)->poll()->body, 'OK', 'and no more');
$t->device($sn)->ack(map { [ $_ ] } @id);
is(state_of(@id), join(' ', ('done|1|0') x 12), 'all in one answer');

@id = map { command($sn, 'SHORT ' . 'x' x 700) } 1 .. 5;
my @length = map { length fetch($sn) } 1 .. 3;
is(join(' ', map { $_ <= 2048 && $_ > 700 ? 'fits' : $_ } @length),
   'fits fits fits', 'at most as many bytes');
$t->device($sn)->ack(map { [ $_ ] } @id);

my $long = 'DATA UPDATE USERPIC PIN=1' . 'x' x 65536;
@id = (command($sn, $long), command($sn, 'LOG'));
is(fetch($sn), "C:$id[0]:$long\n", 'a longer one goes alone');
is(fetch($sn), "C:$id[1]:LOG\n", 'the next one after it');
$t->device($sn)->ack(map { [ $_ ] } @id);

$t->psql("SELECT iclock.set_device('$sn', command_limit => 1)");
@id = map { command($sn, "LOG $_") } 1 .. 3;
is(join('', map { fetch($sn) } 1 .. 3),
   join('', map { "C:$id[$_]:LOG " . ($_ + 1) . "\n" } 0 .. 2),
   'a model that takes one at a time: all');
is(join(' ', map { my $id = command($sn, 'LOG'); command($sn, 'CHECK');
                   scalar(() = fetch($sn) =~ /^C:/mg) } 1 .. 2), '1 1',
   'one at a time');
1 while $t->device($sn)->poll()->body ne 'OK';
$t->psql("SELECT iclock.reset_device('$sn', 'command_limit')");

$sn = 'BOOT0001';
$t->device($sn)->handshake();
@id = (command($sn, 'LOG'), command($sn, 'REBOOT'), command($sn, 'CHECK'));
is(fetch($sn), "C:$id[0]:LOG\nC:$id[1]:REBOOT\n", 'nothing after REBOOT');
is(fetch($sn), "C:$id[2]:CHECK\n", 'the rest at the next poll');


# numbers on the wire

$sn = 'WIRE0001';
$t->device($sn)->handshake();
my $next = $t->psql("SELECT nextval(pg_get_serial_sequence("
                    . "'iclock.command', 'id'))");
$t->psql('ALTER TABLE iclock.command ALTER COLUMN id RESTART WITH 3999999998');
@id = map { command($sn, "LOG $_") } 1 .. 4;
is($id[3], 4000000001, 'ids beyond nine digits');
is(fetch($sn), "C:999999998:LOG 1\nC:999999999:LOG 2\nC:0:LOG 3\nC:1:LOG 4\n",
   'nine digits on the wire');
answer($sn, join '', map { "ID=$_&Return=0&CMD=LOG\n" }
                     qw/ 999999998 999999999 0 1 /);
is(state_of(@id), join(' ', ('done|1|0') x 4), 'their answers');
$t->psql('DELETE FROM iclock.command WHERE id > 1000000000;'
         . " ALTER TABLE iclock.command ALTER COLUMN id RESTART WITH $next");


# no answer

$sn = 'MUTE0001';
$t->device($sn)->handshake();
$id = command($sn, 'LOG');

for my $n (1 .. 3) {
    is(fetch($sn), "C:$id:LOG\n", "attempt $n");
    is(state_of($id), "sent|$n|", "is counted");
    is($t->device($sn)->poll()->body, 'OK', 'not again before the timeout');
    overdue($sn, $id);
}

is_deeply([ fetch_all($sn) ], [], 'no more attempts');
is(state_of($id), 'failed|3|', 'failed without an answer');
answer($sn, "ID=$id&Return=0&CMD=LOG\n");
is(state_of($id), 'done|3|0', 'a late answer is taken');
answer($sn, "ID=$id&Return=-1&CMD=LOG\n");
is(state_of($id), 'done|3|0', 'the second one is not');

$id = command($sn, 'LOG');
fetch($sn);
overdue($sn, $id);
answer($sn, "ID=$id&Return=0&CMD=LOG\n");
is_deeply([ fetch_all($sn) ], [], 'answered late, not sent again');
is(state_of($id), 'done|1|0', 'done');

$id = command($sn, 'AC_UNLOCK', "expires => '1 hour'");
fetch($sn);
$t->psql("UPDATE iclock.command SET expires_at = now() WHERE id = $id");
overdue($sn, $id);
is_deeply([ fetch_all($sn) ], [], 'not again after it has expired');
is(state_of($id), 'expired|1|', 'expired');

$id = command($sn, 'LOG');
fetch($sn);
answer($sn, "ID=$id&Return=-3&CMD=LOG\nID=$id&Return=0&CMD=LOG\n");
is(state_of($id), 'failed|1|-3', 'of two answers in one body the first');
answer($sn, "ID=$id&Return=0&CMD=LOG\n");
is(state_of($id), 'failed|1|-3', 'and it stands');

my $terminal = $t->terminal('LOSE0001', lose => 2);
$terminal->online();
$id = command('LOSE0001', 'DATA UPDATE SMS UID=1');

for (1 .. 3) {
    wait_until(30, sub { $terminal->work() });
    overdue('LOSE0001', $id) if $_ < 3;
}

is(state_of($id), 'done|3|0', 'a terminal whose answers are lost twice');


# answers from elsewhere

$sn = 'MINE0001';
$t->device($_)->handshake() for $sn, 'THEIRS01';
$id = command($sn, 'LOG');
my $queued = command('THEIRS01', 'LOG');
fetch($sn);
is(answer('THEIRS01', "ID=$id&Return=0&CMD=LOG\n"), '200 OK',
   "another device's answer");
is(state_of($id), 'sent|1|', 'is not taken');
is($t->psql("SELECT serial_number, answers, command_id, return_code"
            . " FROM iclock.refused_answer r"
            . " JOIN iclock.device d ON d.id = r.device_id"),
   "THEIRS01|1|$id|0", 'but counted');
answer('THEIRS01', "ID=$id&Return=-1&CMD=LOG\n" x 2);
is($t->psql('SELECT answers FROM iclock.refused_answer'), 3,
   'each time');
answer('THEIRS01', "ID=$queued&Return=0&CMD=LOG\n");
is(state_of($queued), 'queued|0|',
   'what was never sent cannot be answered');

for my $unknown (qw/ info8487 999999998765 123456789 -1 0x10 /, '', 'a b') {
    is(answer($sn, "ID=$unknown&Return=0&CMD=LOG\n"), '200 OK',
       "unknown id \"$unknown\"");
}

is(answer($sn, $_), '200 OK', 'not an answer')
    for '', "\n", "OK\n", "Return=0&CMD=LOG\n", "\0\0\n", 'ID=',
        "ID=&Return=\n", "\xff\xfe\n";
is(state_of($id), 'sent|1|', 'none of them counts');

answer($sn, "ID=$id&Return=0\n");
is(state_of($id), 'done|1|0', 'an answer without CMD');


# forms of answers

@id = map { command($sn, "LOG $_") } 1 .. 5;
fetch($sn);
is($t->get("/iclock/devicecmd?SN=$sn&ID=$id[0]&Return=0&CMD=LOG")->text,
   '200 OK', 'id and return in the query');
is($t->post("/iclock/devicecmd?SN=$sn&ID=$id[1]&Return=-5", '')->text,
   '200 OK', 'with an empty body');
is(state_of(@id[0, 1]), 'done|1|0 failed|1|-5', 'both are taken');
answer($sn, "ID=$id[2]&Return=0&CMD=LOG\r\nID=$id[3]&CMD=LOG&Return=-3\n\n"
            . "\0\r\nReturn=1\nID=$id[4]\nReturn=0\nCMD=LOG");
is(state_of(@id[2 .. 4]), 'done|1|0 failed|1|-3 done|1|0',
   'mixed ends of lines, fields in any order');

@id = map { command($sn, "LOG $_") } 1 .. 2;
fetch($sn);
is($t->post("/iclock/devicecmd?SN=$sn&ID=$id[0]&Return=0", "OK\r\n")->text,
   '200 OK', 'with a body that is no answer');
is($t->post("/iclock/devicecmd?SN=$sn&ID=$id[1]&Return=0",
            "ID=$id[1]&Return=-5&CMD=LOG\n")->text, '200 OK',
   'with one that is');
is(state_of(@id), 'done|1|0 failed|1|-5', 'which counts then');

@id = map { command($sn, $_) } 'LOG', 'INFO', 'LOG 2', 'INFO', 'LOG 3';
fetch($sn);
answer($sn, "ID=$id[0]&Return=0&CMD=LOG\n"
            . "ID=$id[1]&Return=0&CMD=INFO\n~DeviceName=Acting & Co\n"
            . "~OEMVendor=ZKTECO CO., LTD.\nMAC=00:17:61:00:00:09\n"
            . "ID=$id[2]&Return=0&CMD=LOG\n");
answer($sn, "ID=$id[3]&Return=0&CMD=INFO&Content=FPCount=40,MaskOn=1,"
            . "Vendor=ZK CO., LTD.\nID=$id[4]&Return=0&CMD=LOG\n");
is(state_of(@id), join(' ', ('done|1|0') x 5), 'INFO among others');
is($t->psql("SELECT string_agg(o.name || '=' || value, ' ' ORDER BY o.name"
            . ' COLLATE "C") FROM iclock.device_option o'
            . " JOIN iclock.device d ON d.id = device_id"
            . " WHERE serial_number = '$sn' AND o.name IN ('DeviceName',"
            . " 'OEMVendor', 'MAC', 'FPCount', 'MaskOn', 'Vendor')"),
   'DeviceName=Acting & Co FPCount=40 MAC=00:17:61:00:00:09 MaskOn=1'
   . ' OEMVendor=ZKTECO CO., LTD. Vendor=ZK CO., LTD.', 'options');
like($t->psql("SELECT convert_from(reply, 'UTF8') FROM iclock.command"
              . " WHERE id = $id[1]"),
     qr/^~DeviceName=Acting & Co\n~OEMVendor=.*\nMAC=/, 'and the reply');


# names of options without "~", which some firmware writes: an algorithm is
# found either way

$sn = 'TILD0001';
$t->device($sn)->handshake();
$t->post("/iclock/cdata?SN=$sn&table=options",
         '~MultiBioVersion=0:10:0:0:0:0:0:0:12:58,PvVersion=5,~PvVersion=9');
is($t->psql("SELECT string_agg(o.name || '=' || o.value, ' ' ORDER BY o.name)"
            . ' FROM iclock.device_option o'
            . ' JOIN iclock.device d ON d.id = o.device_id'
            . " WHERE serial_number = '$sn'"),
   'MultiBioVersion=0:10:0:0:0:0:0:0:12:58 PvVersion=9',
   'options that begin with a tilde');
is($t->psql('SELECT iclock.algorithm_version(d.id, 8) FROM iclock.device d'
            . " WHERE serial_number = '$sn'"), 12, 'are found');


# what comes back is kept byte by byte

my $binary = join('', map { chr } 0 .. 255)
             . "\nID=1&Return=0&CMD=LOG\r\nContent=&SN=x\0\n\n";

$terminal = $t->terminal('FILE0001', eol => 'mixed', shell => sub {
    $_[0] eq 'ls' ? $binary : '' });
$terminal->online();
$terminal->{files}{'/mnt/ssruser.dat'} = $binary x 200;

@id = map { command('FILE0001', $_) } 'SHELL ls', 'LOG', 'SHELL true',
    'GetFile /mnt/ssruser.dat', 'CHECK';
push @id, map { command('FILE0001', $_) } 'GetFile /mnt/none', 'CHECK';
$terminal->work_off();

is(state_of(@id), join(' ', 'done|1|0', 'done|1|0', 'done|1|0',
                            'done|1|' . 200 * length $binary, 'done|1|0',
                            'failed|1|-3', 'done|1|0'),
   'files and shells among others');


sub reply { $t->psql("SELECT encode(reply, 'hex') FROM iclock.command"
                     . " WHERE id = $_[0]") }


is(reply($id[0]), unpack('H*', $binary), 'what a shell printed');
is(reply($id[2]), '', 'nothing printed');
is(reply($id[3]), unpack('H*', $binary x 200), 'a file');
is($t->psql("SELECT count(*) FROM iclock.rejected_line"
            . " JOIN iclock.device d ON d.id = device_id"
            . " WHERE serial_number = 'FILE0001'"), 0, 'nothing else');


# what counts as success

$sn = 'CODE0001';
$t->device($sn)->handshake();

my @result = (
    [ 'DATA QUERY ATTLOG StartTime=2026-01-01 00:00:00', 25, 'done' ],
    [ 'DATA QUERY USERINFO', 0, 'done' ], [ 'DATA QUERY USERINFO', -4 ],
    [ 'PutFile file/x', 100000, 'done' ], [ 'PutFile file/x', -1008 ],
    [ 'GetFile /x', 1, 'done' ], [ 'SHELL ls', 1, 'done' ],
    [ 'VERIFY SUM ATTLOG ', 3, 'done' ], [ 'ENROLL_FP PIN=1', 4 ],
    [ 'ENROLL_BIO PIN=1', 2 ], [ 'DATA UPDATE USERINFO PIN=1', 1 ],
    [ 'REBOOT', -1004 ],
);

for (@result) {
    my ($body, $code, $status) = @$_;
    my $id = command($sn, $body);

    fetch($sn);
    answer($sn, "ID=$id&Return=$code&CMD=whatever\n");
    is(state_of($id), ($status || 'failed') . "|1|$code", "$body: $code");
}

is($t->psql("SELECT string_agg(result, '; ' ORDER BY id)"
            . " FROM iclock.command_status WHERE serial_number = '$sn'"
            . ' AND return_code < 0'),
   'no matching data found; the device could not fetch the data; '
   . 'the device is not configured for it', 'what refusals mean');


# injection

$sn = 'EVIL0001';
$terminal = $t->terminal($sn);
$terminal->online();
$terminal->work_off();

my $evil = "E'Eve\\nC:1:REBOOT'";

for ([ "E'a\\tPri=14'", 'TAB' ], [ "E'a\\nb'", 'LF' ], [ "E'a\\rb'", 'CR' ],
     [ $evil, 'a command' ], [ "E'\\u2028C:1:REBOOT'", 'U+2028' ],
     [ "E'a\\u0085b'", 'U+0085' ], [ "E'\\x01'", 'control character' ],
     [ "repeat('x', 65536)", '64 KB' ])
{
    my ($value, $what) = @$_;

    refused("SELECT iclock.put_user('$sn', '1', name => $value)",
            qr/argument "name"/, "name with $what");
    refused("SELECT iclock.put_user('$sn', $value)",
            qr/argument "pin"/, "pin with $what");
    refused("SELECT iclock.put_work_code('$sn', '1', $value)",
            qr/argument "name"/, "name of a work code with $what");
    refused("SELECT iclock.put_message('$sn', 1, $value)",
            qr/argument "message"/, "message with $what");
    refused("SELECT iclock.set_option('$sn', 'X', $value)",
            qr/argument "value"/, "value with $what");
    refused("SELECT iclock.get_file('$sn', $value)",
            qr/argument "path"/, "path with $what");
}

refused("SELECT iclock.queue_command('$sn', $evil)", qr/argument "body"/,
        'a body of two commands');
refused("SELECT iclock.queue_command('$sn', E'LOG\\rREBOOT')",
        qr/argument "body"/, 'with CR');
refused("INSERT INTO iclock.command (device_id, body) SELECT id, $evil"
        . " FROM iclock.device", qr/violates check constraint/,
        'by the table itself');
refused("SELECT iclock.put_user('$sn', '1', name => E'\\xff\\xfe')",
        qr/invalid byte sequence/, 'bytes that are no text');
refused("SELECT iclock.set_option('$sn', 'X', 'a,b')", qr/argument "value"/,
        'a comma in an option');
refused("SELECT iclock.set_option('$sn', 'X=1', 'a')", qr/argument "name"/,
        'a name that is none');

# what another terminal has reported

$t->device('EVIL0002')->handshake();
$t->device('EVIL0002')->operations(
    "USER PIN=1\tName=a\rC:1:REBOOT\tPri=0\tPasswd=x\xc2\x85y",
    "USER PIN=2\tName=\xe2\x80\xa8C:1:REBOOT\tPri=0\tCard=1\x0b2",
    "USER PIN=3\tName=\xff\xfe\tPri=0", "USER PIN=4\tName=" . 'x' x 65536,
    "USER PIN=5\tName=ok\tPri=0");
my $copies = 0;

for my $pin ($t->psql_lines("SELECT u.pin FROM iclock.device_user u"
                            . " JOIN iclock.device d ON d.id = u.device_id"
                            . " WHERE serial_number = 'EVIL0002'"))
{
    $copies += $t->psql("SELECT count(*) FROM iclock.copy_user('$pin',"
                        . " 'EVIL0002', '$sn') WHERE command_id IS NOT NULL");
}

cmp_ok($copies, '>=', 2, 'users with strange names are copied');
$t->notified();
is($terminal->work_off(), $copies, 'each is one command');
is($terminal->{reboots}, 0, 'and none is a reboot');
is(scalar(grep { !/^DATA UPDATE USERINFO PIN=\d\tName=/ } $terminal->done()),
   0, 'nothing but users');
is($terminal->user(5)->{name}, 'ok', 'as they are');


# in the encoding of the device

my $text = "E'\\u5f20\\u4f1f Zo\\u00eb \\u20ac'";
my @encoding = (
    [ GBKS0001 => "encoding => 'GB18030'",
      "\xd5\xc5\xce\xb0 Zo\x81\x30\x8a\x35 \xa2\xe3" ],
    [ LATI0001 => "encoding => 'WINDOWS-1252'", "?? Zo\xeb \x80" ],
    [ UTFS0001 => "encoding => NULL",
      "\xe5\xbc\xa0\xe4\xbc\x9f Zo\xc3\xab \xe2\x82\xac" ],
    [ WRNG0001 => "encoding => 'NO-SUCH'",
      "\xe5\xbc\xa0\xe4\xbc\x9f Zo\xc3\xab \xe2\x82\xac" ],
);

for (@encoding) {
    my ($sn, $setting, $bytes) = @$_;

    $t->psql("SELECT iclock.register_device('$sn', $setting)");
    $terminal = $t->terminal($sn);
    $terminal->online();
    $t->psql("SELECT iclock.put_user('$sn', '7', name => $text)");
    wait_until(30, sub { $terminal->work() });
    is(unpack('H*', $terminal->user(7)->{name}), unpack('H*', $bytes),
       "text, $setting");
}

# by the language: 83 is Chinese; the others speak UTF-8 nowadays
for ([ 83, $encoding[0][2] ], [ 82, $encoding[2][2] ]) {
    my ($language, $bytes) = @$_;

    $terminal = $t->terminal("LANG00$language");
    $t->get("/iclock/cdata?SN=LANG00$language&options=all&language=$language");
    $t->psql("SELECT iclock.put_user('LANG00$language', '7', name => $text)");
    wait_until(30, sub { $terminal->work() });
    is(unpack('H*', $terminal->user(7)->{name}), unpack('H*', $bytes),
       "text, language $language");
}

# what is on an identity card is UTF-8 for every device

$t->psql("SELECT iclock.put_identity_card('LANG0083', '1', name => $text)");
$t->psql("SELECT iclock.put_user('LANG0083', '8', name => $text)");
my @line;
wait_until(30, sub {
    push @line, split /\n/, $t->device('LANG0083')->poll()->body;
    grep { /PIN=8\t/ } @line });
is(join(' ', map { unpack 'H*', /\tName=([^\t]*)/ ? $1 : '' }
             grep { /PIN=/ } @line),
   join(' ', map { unpack 'H*', $_ } $encoding[2][2], $encoding[0][2]),
   'an identity card and a user in one reply');

$t->device('GBKS0001')->operations("USER PIN=7\tName=$encoding[0][2]\tPri=0");
is(unpack('H*', $t->get('/iclock/cdata?SN=GBKS0001&table=RemoteAtt&PIN=7')
                  ->body =~ s/.*Name=(.*?)\t.*/$1/sr),
   unpack('H*', $encoding[0][2]), 'text of RemoteAtt');


# nothing behind what another transaction has locked

$sn = 'LOCK0001';
$t->device($sn)->handshake();
$t->device($sn)->poll();
@id = map { command($sn, "LOG $_") } 1 .. 3;
my $hold = $t->pg->hold('SELECT FROM iclock.command'
                        . " WHERE id = $id[1] FOR UPDATE");
is(fetch($sn), "C:$id[0]:LOG 1\n", 'those before a locked one');
is($t->device($sn)->poll()->body, 'OK', 'none behind it') for 1 .. 3;
$hold->release();
is(fetch($sn), "C:$id[1]:LOG 2\nC:$id[2]:LOG 3\n",
   'in their order when it is free, without another notification');


# the client has gone while PostgreSQL was at work

$sn = 'GONE0001';

for my $how (qw/ close abort /) {
    $t->device($sn)->handshake();
    1 while $t->device($sn)->poll()->body ne 'OK';
    $id = command($sn, "LOG $how");
    $hold = $t->pg->hold('LOCK TABLE iclock.command IN ACCESS EXCLUSIVE MODE');

    my $c = Test::IClock::HTTP->new(port => $t->port);

    $c->write(Test::IClock::HTTP::format_request('GET',
        "/iclock/getrequest?SN=$sn", undef, -keepalive => 1));
    $t->pg->wait_blocked();
    $c->$how();
    sleep 0.1;
    $hold->release();

    ok(wait_until(30, sub { state_of($id) eq 'queued|0|' }),
       "$how: it waits again, its attempt not counted");
    is(fetch($sn), "C:$id:LOG $how\n", "$how: the next poll has it");
    is(state_of($id), 'sent|1|', "$how: which counts");
    answer($sn, "ID=$id&Return=0&CMD=LOG\n");
}


# one that has said that it will send nothing more counts as gone, too: such
# a connection looks the same until the reply is lost

$id = command($sn, 'LOG half');
my $half = Test::IClock::HTTP->new(port => $t->port);
$hold = $t->pg->hold('LOCK TABLE iclock.command IN ACCESS EXCLUSIVE MODE');
$half->write("GET /iclock/getrequest?SN=$sn HTTP/1.0\r\n\r\n");
$t->pg->wait_blocked();
shutdown $half->{socket}, 1;
sleep 0.1;
$hold->release();
is($half->read(), undef, 'half closed: no reply');
ok(wait_until(30, sub { state_of($id) eq 'queued|0|' }),
   'half closed: it waits again');
is(fetch($sn), "C:$id:LOG half\n", 'half closed: the next poll has it');
answer($sn, "ID=$id&Return=0&CMD=LOG\n");


# a connection that stays: what follows on it is no loss

$id = command($sn, 'LOG stays');
my $c = Test::IClock::HTTP->new(port => $t->port);
my $got = '';
wait_until(30, sub {
    $got = $c->get("/iclock/getrequest?SN=$sn", -keepalive => 1)->body;
    $got ne 'OK';
});
is($got, "C:$id:LOG stays\n", 'on a connection that is kept');
is($c->get("/iclock/getrequest?SN=$sn", -keepalive => 1)->body, 'OK',
   'the next poll on it');
$c->close();
is(state_of($id), 'sent|1|', 'delivered is delivered');


# time brings it about: no notification

$t->psql("UPDATE iclock.command SET sent_at = sent_at - interval '2 min'"
         . " WHERE id = $due");
ok(wait_until(60, sub { $t->device('DUES0001')->poll()->body
                        eq "C:$due:LOG\n" }), 'found when it is due again');
is(state_of($due), 'sent|2|', 'the second attempt');

$t->done();
