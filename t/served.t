#!/usr/bin/perl

# Copyright (C) the ngx_http_iclock_module authors

# Requests that are answered with data: files, last punches, users for remote
# attendance, self service, decisions of the site.  t/sql/served.sql shows what
# the functions return; here are requests as terminals write them, files in
# slices and ranges, and connections that are lost meanwhile.

use strict;
use warnings;

use FindBin;
use MIME::Base64 qw/ encode_base64 /;
use Test::More;
use Time::HiRes qw/ sleep /;

use lib "$FindBin::Bin/lib";
use Test::IClock;

my $t = Test::IClock->new;
my $files = $t->dir() . '/files';
my $firmware = join '', map { chr($_ * 31 % 256) } 1 .. 100_000;

mkdir $_ for $files, "$files/fw";
chmod 0755, $files;

for my $name ('fw/main.tgz', '../secret') {
    open my $f, '>:raw', "$files/$name" or die "$files/$name: $!";
    print $f $firmware;
    close $f;
}

my $http = $t->device_server(location => "iclock_files $files/;");
$http =~ s/\}\s*\z//;
$http .= "    location /plain/ { iclock; }\n"
         . "    location /strict/ { iclock; iclock_files $files;\n"
         . "        iclock_unknown_devices accept; disable_symlinks on; }\n"
         . "    }\n";

$t->start($http);

my $sn = 'SERVE00001';
my $cdata = "/iclock/cdata?SN=$sn";

$t->device($sn)->handshake();


# files by path: PutFile

my $r = $t->get('/iclock/file/fw/main.tgz');

is($r->status, 200, 'a file');
is($r->body, $firmware, 'byte by byte');
is($r->header('content-length'), length $firmware, 'with its length');

$r = $t->get('/iclock/file/fw/main.tgz', Range => 'bytes=1000-1099');
is($r->status, 206, 'a range');
is($r->body, substr($firmware, 1000, 100), 'its bytes');

is($t->get("/iclock/file/fw/main.tgz?SN=$sn")->status, 200,
   'with a serial number');

for my $path ('fw', 'fw/', 'fw/none.tgz', '', '%00', '../secret',
              '%2e%2e/secret', 'fw/../../secret', 'fw/%2e%2e%2f..%2fsecret',
              'fw//../../../secret')
{
    my $status = $t->get("/iclock/file/$path")->status;
    ok($status == 404 || $status == 400, "\"$path\": $status");
}

is($t->get('/plain/file/fw/main.tgz')->status, 404, 'without iclock_files');

symlink '/etc/passwd', "$files/link";
is($t->get('/iclock/file/link')->status, 200, 'a symbolic link');
is($t->get('/strict/file/link')->status, 404, 'disable_symlinks');
is($t->get('/strict/file/fw/main.tgz')->status, 200, 'a file all the same');
is($t->post('/iclock/file/fw/main.tgz', 'x')->status, 405, 'POST');


# files by URL: only what an open UPGRADE names

sub url {
    my ($url) = @_;

    return $t->get("/iclock/file?SN=$sn&url=$url");
}

is(url('http://192.168.0.13:89/data/emfw.cfg')->status, 404,
   'no UPGRADE is open');

my $raw = 'http://192.168.0.13:89/data/emfw.cfg';
my $base64 = 'http://192.168.0.13:89/data/emfw64.cfg';
my $md5 = 'd41d8cd98f00b204e9800998ecf8427e';

my $size = length $firmware;
my $id = $t->psql("SELECT iclock.upgrade_firmware('$sn', url => '$raw', "
                  . "file => 'fw/main.tgz', checksum => '$md5', "
                  . "size => $size, method => 'raw')");
like($id, qr/^\d+$/, 'UPGRADE is queued');
$t->psql("SELECT iclock.upgrade_firmware('$sn', url => '$base64', "
         . "file => 'fw/main.tgz', checksum => '$md5', size => $size, "
         . "method => 'base64')");

is(url($raw)->body, $firmware, 'raw bytes');
is(url($base64)->body, encode_base64($firmware, ''), 'base64');

# base64 in slices: whatever the size, however slow the client, in little
# memory

for my $bytes (0, 1, 2, 3, 49151, 49152, 49153, 6_000_000) {
    my $name = "fw/$bytes.bin";
    my $content = substr $firmware x (1 + $bytes / length $firmware), 0,
                         $bytes;

    open my $f, '>:raw', "$files/$name" or die "$files/$name: $!";
    print $f $content;
    close $f;

    $t->psql("SELECT iclock.upgrade_firmware('$sn', url => 'http://a/$bytes',"
             . " file => '$name', checksum => '$md5', size => 1,"
             . " method => 'base64')");

    my $c = $t->connect(timeout => 60);
    my $before = 0;
    my $after = 0;

    $before += $t->nginx->rss($_) for $t->workers();
    $c->write("GET /iclock/file?SN=$sn&url=http://a/$bytes HTTP/1.1\r\n"
              . "Host: a\r\n\r\n");

    if ($bytes > 1_000_000) {
        # nothing is read until nginx can send no more
        select undef, undef, undef, 0.5;
        $after += $t->nginx->rss($_) for $t->workers();
        cmp_ok($after - $before, '<', 4 * 1024 * 1024,
               "base64 of $bytes bytes: memory");
    }

    my $r = $c->read();

    ok($r && $r->status == 200 && $r->body eq encode_base64($content, ''),
       "base64 of $bytes bytes");

    $c->write("GET /iclock/ping?SN=$sn HTTP/1.1\r\nHost: a\r\n\r\n");
    $r = $c->read();
    ok($r && $r->body eq 'OK', "base64 of $bytes bytes: the next request");
}

{
    my $c = $t->connect(timeout => 60);
    $c->write("GET /iclock/file?SN=$sn&url=http://a/6000000 HTTP/1.1\r\n"
              . "Host: a\r\n\r\n");
    $c->fill(5);
    $c->abort();
    is($t->get("/iclock/ping?SN=$sn")->text, '200 OK', 'the client leaves');
}

is(url("$raw.x")->status, 404, 'another URL');
is(url('file:///etc/passwd')->status, 404, 'a path');
is($t->get("/iclock/file?SN=OTHER00001&url=$raw")->status, 404,
   'another device');
is($t->get("/iclock/file?url=$raw")->status, 404, 'no serial number');

$t->device($sn)->poll();
$t->device($sn)->ack($id, 0, 'UPGRADE');
is(url($raw)->status, 404, 'the UPGRADE is done');


# what nobody answers is no handshake

for ([ 'type=PostVerifyData', 405 ], [ 'type=PostRecordData', 405 ],
     [ 'type=publickey', 404 ], [ 'type=x&pushver=2.4.1', 404 ],
     [ 'options=all&type=x', 200 ], [ 'pushver=2.4.1', 200 ])
{
    my ($query, $status) = @$_;
    my $r = $t->get("$cdata&$query");

    is($r->status, $status, "GET with $query");
    is($r->body =~ /^GET OPTION FROM:/ ? 200 : $status, $status,
       "GET with $query: the reply");
}


# last punch

is($t->get("$cdata&type=LastPunch&PIN=7")->text, '200 status=1', 'no punch');

my $now = $t->psql("SELECT to_char(now(), 'YYYY-MM-DD HH24:MI:SS')");
my ($date, $time) = split / /, $now;

$t->device($sn)->operations("USER PIN=7\tName=Mira\tPri=0\tCard=123");
$t->device($sn)->punches("7\t$now\t1\t1\t5\t0\t0");

is($t->get("$cdata&type=LastPunch&PIN=7")->text,
   "200 status=0\nname=Mira\tpin=7\tstate=1\tworkcode=5\tdate=$date"
   . "\ttime=$time", 'the last punch');

# of a month that gets a partition of its own meanwhile; nginx, which also moves
# months, does not see it before that

my $mover;

ok(wait_until(60, sub {
       $mover = $t->pg->session();
       return eval {
           $mover->query($_)
               for 'BEGIN', 'SET LOCAL session_replication_role = replica',
                   'INSERT INTO iclock.punch (device_id, local_time, pin,'
                   . " status) SELECT id, date_trunc('month', localtimestamp)"
                   . " - interval '5 months', '8', 1 FROM iclock.device",
                   'SET LOCAL session_replication_role = origin',
                   'SELECT iclock.move_months(50000)';
           1;
       };
   }), 'the month is moved, once nobody has the table');

my $asked = $t->connect(timeout => 30);

$asked->write(Test::IClock::HTTP::format_request('GET',
                  "$cdata&type=LastPunch&PIN=8"));
ok($t->pg->wait_blocked(), 'a terminal waits while punches move');
$mover->query('COMMIT');
like($asked->read('GET')->text,
     qr/\A200 status=0\n.*pin=8\t.*-01\ttime=00:00:00\z/,
     'the last punch is found all the same');
is($t->psql("SELECT count(*) FROM ONLY iclock.punch_default"), 0, 'it moved');


# remote attendance, asked by another terminal

$t->device('SERVE00002')->handshake();
is($t->get('/iclock/cdata?SN=SERVE00002&table=RemoteAtt&PIN=7')->text,
   '200 NONE', 'nobody of another site');
$t->psql("UPDATE iclock.device SET site = 'Pune'"
         . " WHERE serial_number IN ('$sn', 'SERVE00002')");
is($t->get('/iclock/cdata?SN=SERVE00002&table=RemoteAtt&PIN=7')->text,
   "200 DATA UPDATE USERINFO PIN=7\tName=Mira\tPasswd=\tCard=123\tGrp=1\t"
   . "TZ=0000000000000000\tPri=0", 'a user of another terminal of the site');
is($t->get("$cdata&table=RemoteAtt&PIN=8")->text, '200 NONE', 'nobody');
is($t->get("$cdata&table=RemoteAtt&PIN=%27%3B%20DROP")->text, '200 NONE',
   'an injection');


# self service

like($t->get("$cdata&table=SELFSERVICEDATA&PIN=7&ServiceNum=0")->text,
     qr/^200 DATA UPDATE SELFSERVICEDATA ServiceNum=0\tPIN=7\tStyle=2\tData=/,
     'self service');

$t->psql(<<'END');
CREATE OR REPLACE FUNCTION iclock.self_service(serial_number text, pin text,
                                               service_number text)
RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    IF service_number = '13' THEN RAISE 'unlucky'; END IF;
    RETURN serial_number || ',' || pin || ',' || service_number;
END $$;
END

is($t->get("$cdata&table=SELFSERVICEDATA&PIN=7&ServiceNum=2")->text,
   "200 $sn,7,2", 'a function of the site');
is($t->get("$cdata&table=SELFSERVICEDATA&PIN=7&ServiceNum=13")->status, 503,
   'that fails');


# decisions

my $post = "$cdata&type=PostVerifyData";

is($t->post($post, "a=1\0\xff")->text, '200 OK', 'data for a decision');
is($t->psql("SELECT table_name, line FROM iclock.rejected_line "
            . "WHERE reason = 'not documented'"),
   'PostVerifyData|\x613d3100ff', 'it is kept as it is');

$t->psql(<<'END');
CREATE OR REPLACE FUNCTION iclock.verify_decision(serial_number text,
                                                  data bytea)
RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    IF data = 'b' THEN RAISE 'no'; END IF;
    RETURN 'Decision=' || octet_length(data);
END $$;
END

is($t->post("$cdata&type=PostRecordData", 'abc')->text, '200 Decision=3',
   'a decision of the site');
is($t->post($post, 'b')->text, '200 OK', 'a function that fails');
is($t->post($post, '')->text, '200 OK', 'no data');


# a connection that is lost meanwhile: what such a function does is not done
# twice

$t->psql(<<'END');
CREATE SEQUENCE public.calls;
CREATE FUNCTION public.lose() RETURNS text LANGUAGE plpgsql SECURITY DEFINER
AS $$
BEGIN
    PERFORM nextval('public.calls'), pg_terminate_backend(pg_backend_pid());
    RETURN 'never';
END $$;
CREATE OR REPLACE FUNCTION iclock.self_service(serial_number text, pin text,
                                               service_number text)
RETURNS text LANGUAGE sql AS 'SELECT public.lose()';
CREATE OR REPLACE FUNCTION iclock.verify_decision(serial_number text,
                                                  data bytea)
RETURNS text LANGUAGE sql AS 'SELECT public.lose()';
END

# a connection that lives longer is replaced at once
sleep 1.1;
is($t->get("$cdata&table=SELFSERVICEDATA&PIN=7&ServiceNum=2")->status, 503,
   'self service: the connection is lost');
ok(wait_until(30, sub { $t->post($post, 'c')->text eq '200 OK' }),
   'decision: the connection is lost');
is($t->psql('SELECT last_value FROM public.calls'), 2,
   'each was called once');

$t->done();
