#!/usr/bin/perl

# Copyright (C) the ngx_http_iclock_module authors

# Requests of old firmware that nginx would refuse: with spaces in the query, or
# without a Host.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Test::IClock;

my $t = Test::IClock->new;

$t->start();

my $info = 'INFO=Ver 2.0.12-20090806,5,6,7,192.168.16.27';

is($t->request("GET /iclock/getrequest?SN=OLD0000001&$info HTTP/1.0\r\n\r\n")
     ->text, '200 OK', 'spaces in the query');
is($t->psql("SELECT firmware, user_count FROM iclock.device"),
   '2.0.12-20090806|5', 'they are spaces again');

is($t->request("POST /iclock/cdata?SN=OLD0000001&table= ATTLOG &Stamp=1"
               . " HTTP/1.0\r\nContent-Length: 22\r\n\r\n"
               . "1\t2026-01-02 03:04:05\n")
     ->text, '200 OK: 1', 'spaces around a table');
is($t->psql("SELECT pin, local_time FROM iclock.punch"),
   '1|2026-01-02 03:04:05', 'it is the table all the same');

for ([ '2026-01-02 03:04:05', '2026-01-02 03:04:05' ],
     [ '2026-01-02T03:04:05+08:00', '2026-01-02T03:04:05+08:00' ],
     [ '2026-01-02%2003:04:06', '2026-01-02 03:04:06' ])
{
    my ($sent, $stamp) = @$_;

    is($t->request("POST /iclock/cdata?SN=OLD0000001&table=ATTLOG&Stamp=$sent"
                   . " HTTP/1.0\r\nContent-Length: 0\r\n\r\n")->text,
       '200 OK: 0', "Stamp=$sent");
    like($t->get('/iclock/cdata?SN=OLD0000001&options=all')->body,
         qr/\nATTLOGStamp=\Q$stamp\E\n/, 'is what the device gets');
}

is($t->request("GET /iclock/getrequest?$info&sn=OLD0000001 HTTP/1.0\n\n")
     ->text, '200 OK', 'SN last, LF only');

is($t->request("GET /iclock/cdata?SN=OLD0000001&options=all"
               . "&DeviceType=middle east HTTP/1.1\r\nHost: a b\r\n"
               . "Connection: close\r\n\r\n")->status, 400,
   'a bad Host is none of our business');

my $c = $t->connect();

for my $n (1 .. 3) {
    $c->write("GET /iclock/ping?SN=OLD0000001&x=$n $n HTTP/1.1\r\n"
              . "Host: a\r\n\r\n");
    is($c->read()->text, '200 OK', "request $n of a connection");
}

is($t->request("GET /iclock/ping?sn=OLD0000001&a=  b  HTTP/1.1\r\nHost: a\r\n"
               . "Connection: close\r\n\r\n")->text, '200 OK',
   'runs of spaces');

is($t->request('GET http://server/iclock/getrequest?SN=OLD0000001&INFO= Ver%20'
               . '6.8.0(build640), 2, 0, 0, 192.168.1.201, 10, -1, -12, 101'
               . " HTTP/1.1\r\nHost: server\r\nConnection: close\r\n\r\n")
     ->text, '200 OK', 'a poll that names the server');
is($t->psql("SELECT firmware, user_count FROM iclock.device"),
   '6.8.0(build640)|2', 'what it says');

# no Host

my $get = 'GET /iclock/ping?SN=OLD0000001 HTTP/1.1';
my $up = "POST /iclock/cdata?SN=OLD0000001&table=ATTLOG HTTP/1.1\r\n"
         . "X-Host: a\r\nUser-Agent: iClock Proxy/1.09\r\n"
         . "Content-Length: 22\r\n\r\n2\t2026-01-02 03:04:05\n";

is($t->request("$get\r\n\r\n")->text, '200 OK', 'no header at all');
is($t->request("$get\n\n")->text, '200 OK', 'no header at all, LF only');
is($t->request($up)->text, '200 OK: 1', 'an upload without Host');
is($t->request($up, split => 1)->text, '200 OK: 1', 'one byte at a time');
is($t->request($up, split => 60, delay => 0.1)->text, '200 OK: 1',
   'header lines that come later');
is($t->psql("SELECT count(*) FROM iclock.punch WHERE pin = '2'"), 1,
   'it is stored');
is($t->request("GET /iclock/getrequest?$info&sn=OLD0000001 HTTP/1.1\r\n\r\n")
     ->text, '200 OK', 'neither a Host nor escaped spaces');

$c = $t->connect();
$c->write("$get\r\nConnection: keep-alive\r\n\r\n" x 3);
is($c->read()->text, '200 OK', "no Host: request $_ of a pipeline") for 1 .. 3;
$c->write("$get\r\nConnection: keep-alive\r\n\r\n");
is($c->read()->text, '200 OK', 'no Host: another request of the connection');
$c->close();

# what does not look like a device is left alone

is($t->request("GET /iclock/ping?id=1 2 HTTP/1.0\r\n\r\n")->status, 400,
   'no serial number');
is($t->request("GET /iclock/ping x?sn=1 HTTP/1.0\r\n\r\n")->status, 400,
   'a space in the path');
is($t->request("GET /iclock/ping?sn=OLD0000001 x\r\n\r\n")->status, 400,
   'no protocol');
is($t->request("GET /iclock/nothing?id=1 HTTP/1.1\r\n\r\n")->status, 400,
   'no serial number, no Host');
is($t->request("GET /iclock/nothing?SN=OLD0000001 HTTP/1.1\r\n\r\n")->status,
   404, 'a serial number, no Host');
is($t->request("$get\r\nHost:\r\nConnection: close\r\n\r\n")->status, 400,
   'a Host that is empty');

# a body is not a request line

my $line = "GET /a?SN=1 2 3 HTTP/1.0";

is($t->post('/iclock/cdata?SN=OLD0000001&table=ATTLOG', "$line\n",
            -split => 1000)->text, '200 OK: 1', 'such a line in a body');
is($t->psql("SELECT convert_from(line, 'UTF8') FROM iclock.rejected_line"),
   $line, 'it is kept as it was sent');

$t->done();
