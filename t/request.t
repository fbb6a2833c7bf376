#!/usr/bin/perl

# Copyright (C) the ngx_http_iclock_module authors

# HTTP: where the endpoints are found, what is refused, how bodies arrive,
# what the replies look like, and the variables.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Test::IClock;
use Test::IClock::HTTP;
use Test::IClock::Process qw/ slurp /;

my $t = Test::IClock->new;
my $log = $t->dir . '/nginx/access.log';

my $conf = $t->device_server(
    http => <<"CONF",
    log_format iclock '\$iclock_sn \$iclock_endpoint \$iclock_table '
                      '\$iclock_records \$iclock_rejected \$iclock_commands '
                      '\$iclock_device_status \$status site=\$site';
    log_format time '\$iclock_db_time';
    map \$iclock_sn \$stolen { default 0; STOLEN0001 1; }
    map "\$iclock_endpoint \$iclock_table" \$turned_away {
        default           0;
        "getrequest "     1;
        "cdata ATTPHOTO"  1;
        "fdata ATTPHOTO"  1;
    }
    limit_req_zone \$iclock_sn zone=sn:1m rate=1r/m;

    server {
        listen 127.0.0.1:%%PORT_1%%;
        iclock_unknown_devices accept;
        location / { iclock; }
    }

    server {
        listen 127.0.0.1:%%PORT_2%%;
        iclock_unknown_devices accept;
        client_max_body_size 4k;
        client_body_buffer_size 1k;
        gzip on;
        gzip_types *;
        gzip_min_length 1;

        location /iclock/ { iclock; }
        location /secret/tok3n/ { iclock; }
        location ~ ^/dev/(?<tenant>[a-z]+)/ { iclock; }
        location ~* ^/any/.*\$ { iclock; }
        location = /one/cdata { iclock; }
        location = /one/getrequest.aspx { iclock; }
        location ^~ /caret/ { iclock; }
        location /outer/ { location /outer/inner/ { iclock; } }
        location /plain { iclock; }
        location /if/ {
            iclock;
            if (\$iclock_sn) { set \$x 1; }
        }
        location /only/ { iclock; limit_except POST { deny all; } }

        location /file/ {
            iclock;
            client_max_body_size 1m;
        }

        location /map/ {
            if (\$stolen) { return 403; }
            iclock;
        }

        location /turned/ {
            if (\$turned_away) { return 403; }
            iclock;
        }

        location /rate/ {
            limit_req zone=sn;
            iclock;
        }

        location /pattern/ {
            iclock;
            iclock_serial_pattern "^(?<site>[A-Z]{3})-[0-9]+\$";
        }

        location /wide/ {
            iclock;
            iclock_serial_pattern .;
        }

        location /same/ {
            iclock;
            iclock_serial_pattern "^[A-Za-z0-9_-]{4,32}\$";
        }
    }
CONF
    server => "access_log $log iclock; access_log $log.time time;",
);

$conf =~ s/(listen 127\.0\.0\.1:%%PORT_2%%;)/$1 access_log $log iclock;/;

$t->start($conf);

my $sn = 'SN=TEST0001';

sub ping_at { $t->get("$_[1]?$sn", -port => $t->port($_[0])) }


# where the endpoints are

for ([ 0, '/iclock/ping' ], [ 0, '/iclock/ping/' ], [ 0, '/iclock/ping.aspx' ],
     [ 0, '/iclock/ping.aspx/' ], [ 0, '/iclock/PING' ],
     [ 0, '/iclock/Ping.ASPX' ], [ 0, '/iclock/iclock/ping' ],
     [ 0, '/iclock/iclock/iclock/ping.aspx' ], [ 0, '/iclock//ping' ],
     [ 0, '/iclock/./ping' ], [ 0, '/iclock/%70ing' ],
     [ 0, '/iclock/ICLOCK/ping' ],
     [ 1, '/ping' ], [ 1, '/ping.aspx' ], [ 1, '/iclock/ping' ],
     [ 1, '/iClock/Ping' ], [ 1, '/iclock/iclock/ping/' ], [ 1, '//ping' ],
     [ 2, '/iclock/ping' ], [ 2, '/iclock/iclock/ping' ],
     [ 2, '/secret/tok3n/ping' ], [ 2, '/secret/tok3n/ping.aspx' ],
     [ 2, '/secret/tok3n/iclock/ping' ],
     [ 2, '/dev/acme/ping' ], [ 2, '/dev/acme/iclock/ping.aspx' ],
     [ 2, '/any/thing/PING/' ], [ 2, '/ANY/ping' ], [ 2, '/caret/ping' ],
     [ 2, '/outer/inner/ping' ], [ 2, '/plain/ping' ], [ 2, '/if/ping' ])
{
    my ($server, $uri) = @$_;

    is(ping_at($server, $uri)->text, '200 OK', "$server: $uri");
}

for (qw{ getrequest getreq service/control getrequest.aspx getreq.aspx/
         service/control.aspx })
{
    is($t->get("/iclock/$_?$sn")->text, '200 OK', "poll: $_");
    is($t->get("/$_?$sn", -port => $t->port(1))->text, '200 OK',
       "poll without prefix: $_");
    is($t->get("/dev/acme/$_?$sn", -port => $t->port(2))->text, '200 OK',
       "poll, regex: $_");
}

for (qw{ devicecmd service/control devicecmd.aspx }) {
    is($t->post("/iclock/$_?$sn", "ID=1&Return=0&CMD=DATA\n")->text, '200 OK',
       "acknowledgement: $_");
}

is($t->get("/iclock/devicecmd?$sn&ID=1&Return=0")->text, '200 OK',
   'acknowledgement by GET');

for (qw{ cdata cdata.aspx AIData AIData.aspx CDATA }) {
    like($t->get("/iclock/$_?$sn")->body, qr/^GET OPTION FROM: TEST0001\n/,
         "handshake: $_");
    is($t->post("/iclock/$_?$sn&table=ATTLOG", "1\t2026-09-22 09:31:05\n")
         ->text, '200 OK: 1', "upload: $_");
}

like($t->get("/one/cdata?$sn", -port => $t->port(2))->body,
     qr/^GET OPTION FROM: TEST0001\n/, 'exact location');
is($t->get("/one/getrequest.aspx?$sn", -port => $t->port(2))->text, '200 OK',
   'exact location with .aspx');
is($t->post("/only/cdata?$sn&table=OPERLOG", '', -port => $t->port(2))->text,
   '200 OK: 0', 'limit_except');
is($t->get("/only/cdata?$sn", -port => $t->port(2))->status, 403,
   'limit_except denies');


# unknown paths

for ([ 0, '/iclock' ], [ 0, '/iclock/' ], [ 0, '/iclock/nothing' ],
     [ 0, '/iclock/cdata/x' ], [ 0, '/iclock/x/cdata' ],
     [ 0, '/iclock/cdata.asp' ], [ 0, '/iclock/.aspx' ],
     [ 0, '/iclock/cdatax' ], [ 0, '/iclock/exchange' ],
     [ 0, '/iclock/exchange.aspx' ], [ 0, '/iclock/registry' ],
     [ 0, '/iclock/push' ], [ 0, '/iclock/edata' ], [ 0, '/iclock/rtdata' ],
     [ 0, '/iclock/querydata' ], [ 0, '/iclock/cpos' ],
     [ 0, '/iclock/service' ], [ 0, '/iclock/control' ], [ 0, '/iclockcdata' ],
     [ 0, '/elsewhere/cdata' ], [ 1, '/' ], [ 1, '/iclock' ],
     [ 1, '/iclock/' ], [ 1, '/index.html' ], [ 1, '/secret/cdata' ],
     [ 2, '/secret/cdata' ], [ 2, '/secret/tok3/cdata' ],
     [ 2, '/dev/acme/nothing' ], [ 2, '/one/cdata/x' ], [ 2, '/outer/cdata' ])
{
    my ($server, $uri) = @$_;

    is(ping_at($server, $uri)->status, 404, "$server: no $uri");
    is($t->post("$uri?$sn&table=ATTLOG", "1\t2026-09-22 09:31:05\n",
                -port => $t->port($server))->status, 404,
       "$server: no POST $uri");
}


# methods

for my $method (qw/ PUT DELETE HEAD OPTIONS PATCH PROPFIND LOCK /) {
    is($t->request("$method /iclock/cdata?$sn HTTP/1.1\r\nHost: a\r\n"
                   . "Connection: close\r\n\r\n")->status, 405,
       "405: $method");
}

is($t->get("/iclock/fdata?$sn")->status, 405, '405: GET fdata');


# serial numbers

for ([ '', 'none' ], [ '?', 'no arguments' ], [ '?SN', 'no value' ],
     [ '?SN=', 'empty' ], [ '?SN=&options=all', 'empty, others' ],
     [ '?SN=abc', 'too short' ], [ '?SN=' . 'x' x 33, 'too long' ],
     [ '?SN=' . 'x' x 4000, 'very long' ], [ '?SN=TEST%000001', 'NUL' ],
     [ '?SN=TEST%0a0001', 'LF' ], [ '?SN=TEST0001%0d%0a', 'CRLF' ],
     [ '?SN=TEST%7f0001', 'DEL' ], [ '?SN=TEST%090001', 'TAB' ],
     [ '?SN=TEST%200001', 'space' ], [ '?SN=TEST/0001', 'slash' ],
     [ '?SN=TEST%270001', 'quote' ], [ '?SN=%ff%fe%ff%fe', 'no UTF-8' ],
     [ '?SN=%c3%a9%c3%a9', 'UTF-8' ],
     [ '?XSN=TEST0001', 'another name' ], [ '?SN%3dTEST0001', 'escaped =' ],
     [ '?S=N&N=TEST0001', 'pieces' ])
{
    my ($query, $name) = @$_;

    for my $uri (qw/ cdata getrequest ping devicecmd /) {
        is($t->get("/iclock/$uri$query")->status, 400, "400: $uri: $name");
    }

    is($t->post("/iclock/cdata$query" . ($query =~ /\?/ ? '&' : '?')
                . 'table=ATTLOG', "1\t2026-09-22 09:31:05\n")->status, 400,
       "400: upload: $name");
}

is($t->psql("SELECT string_agg(serial_number, ',') FROM iclock.device"),
   'TEST0001', 'none of them is recorded');

for ([ 'SN=TEST0001', 'SN' ], [ 'sn=TEST0001', 'sn' ], [ 'Sn=TEST0001', 'Sn' ],
     [ 'a=b&c&=&&SN=TEST0001', 'last' ], [ 'SN=TEST0001&', 'first' ],
     [ 'SN=TEST%30001', 'escaped' ], [ 'SN=TEST0001&SN=OTHER001', 'repeated' ],
     [ 'SN=TEST0001&sn=OTHER001', 'repeated, in another case' ],
     [ 'SN=&SN=TEST0001', 'repeated, the first one empty' ],
     [ 'INFO=a=b&SN=TEST0001', 'behind two =' ],
     [ 'SN=TEST0001&x=' . 'y' x 3000, 'and a long argument' ],
     [ 'SN=TEST0001&x=%00%ff', 'and an odd argument' ])
{
    my ($query, $name) = @$_;

    is($t->get("/iclock/ping?$query")->text, '200 OK', "SN: $name");
}

is($t->psql("SELECT string_agg(serial_number, ',') FROM iclock.device"),
   'TEST0001', 'they are the same device');

for ([ 'pattern', 'ABC-12', 200 ], [ 'pattern', 'ABC12', 400 ],
     [ 'pattern', 'abc-12', 400 ], [ 'wide', 'x', 200 ],
     [ 'wide', 'x' x 64, 200 ], [ 'wide', 'x' x 65, 400 ],
     [ 'wide', '%c3%a9%20%27', 200 ], [ 'wide', '%ff', 400 ],
     [ 'wide', '%01', 400 ])
{
    my ($where, $serial, $status) = @$_;

    is($t->get("/$where/ping?SN=$serial", -port => $t->port(2))->status,
       $status, "$where: $serial");
}


# the default, which needs no regular expression, says the same as one

my @serials = ((map { sprintf '%%%02x%%%02xT1', $_, $_ } 0 .. 255),
               (map { sprintf 'UNU%%%02x', $_ } 0 .. 255),
               (map { '-' x $_ } 0 .. 66));
my @same = map { my $where = $_;
                 [ map { $_ ? $_->status : 0 } $t->concurrently(
                       [ map { [ 'GET', "/$where/ping?SN=$_" ] } @serials ],
                       connections => 16, port => $t->port(2)) ] }
           qw/ same iclock /;

is(scalar(grep { $_ == 200 } @{$same[0]}), 2 * 64 + 29,
   'serial numbers that are allowed');
is(scalar(grep { $_ == 400 } @{$same[0]}), @serials - 2 * 64 - 29,
   'and those that are not');
is_deeply($same[1], $same[0], 'the same as by a regular expression');


# HTTP

my $body = "1\t2026-09-22 10:00:00\t0\t1\n";
my $up = "/iclock/cdata?$sn&table=ATTLOG";

is($t->post($up, $body, -version => '1.0', -host => undef)->text,
   '200 OK: 1', 'HTTP/1.0 without Host');
is($t->post($up, $body, -host => 'nonsense.example:99')->text, '200 OK: 1',
   'a Host that is nonsense');
is($t->request("POST $up HTTP/1.0\r\nContent-Length: " . length($body)
               . "\r\n\r\n$body")->text, '200 OK: 1', 'no other header');
is($t->request("POST $up HTTP/1.0\nContent-Length: " . length($body)
               . "\n\n$body")->text, '200 OK: 1', 'bare LF');
is($t->request("POST $up HTTP/1.0\r\n\r\n")->text, '200 OK: 0',
   'a POST without a length');

for my $type ('text/plain', 'text/plain;charset=UTF-8',
              'application/push;charset=UTF-8',
              'application/x-www-form-urlencoded', 'multipart/form-data', '')
{
    is($t->post($up, $body, 'Content-Type' => $type)->text, '200 OK: 1',
       "Content-Type: $type");
}

my $c = $t->connect();

for (1 .. 5) {
    is($c->get("/iclock/ping?$sn")->text, '200 OK', "keepalive: ping $_");
    is($c->post($up, $body)->text, '200 OK: 1', "keepalive: upload $_");
}

ok(!$c->closed(0.05), 'the connection is still open');
is($c->get('/iclock/nothing')->status, 404, 'keepalive: an error');
is($c->get("/iclock/ping?$sn")->text, '200 OK', 'keepalive: goes on');
$c->close();

# a pipeline: everything is written before anything is read

$c = $t->connect();
$c->write(join '', map { Test::IClock::HTTP::format_request(@$_,
                             -keepalive => 1) }
          [ 'GET', "/iclock/ping?$sn", undef ],
          [ 'POST', $up, $body ], [ 'POST', $up, $body x 3 ],
          [ 'GET', '/iclock/nothing', undef ], [ 'POST', $up, '' ],
          [ 'POST', "/iclock/cdata?$sn&table=options", 'A=1' ],
          [ 'GET', "/iclock/getrequest?$sn", undef ],
          [ 'POST', '/iclock/cdata', $body ]);
is(join(', ', map { my $r = $c->read(); $r->status == 200 ? $r->text
                                                          : $r->status }
              1 .. 8),
   '200 OK, 200 OK: 1, 200 OK: 3, 404, 200 OK: 0, 200 OK, 200 OK, 400',
   'a pipeline');
$c->close();

# bodies

my $chunks = join '', map { sprintf "%x\r\n%s\r\n", length $_, $_ }
             "1\t2026-09-2", "2 10:00:00\t0\t1\n2\t", "2026-09-22 10:00:00\n";

is($t->request("POST $up HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
               . "Transfer-Encoding: chunked\r\n\r\n${chunks}0\r\n\r\n")->text,
   '200 OK: 2', 'a chunked body');
is($t->request("POST $up HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
               . "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n")->text,
   '200 OK: 0', 'a chunked body of nothing');

$c = $t->connect();
$c->write("POST $up HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n"
          . 'Content-Length: ' . length($body) . "\r\n\r\n");
ok(wait_until(60, sub { $c->fill(0.1);
                        $c->{buffer} =~ m!^HTTP/1\.1 100 ! }),
   '100 Continue');
$c->write($body);
is($c->read()->text, '200 OK: 1', 'and then the body');
$c->close();

is($t->post($up, $body, 'Expect' => '100-continue')->text, '200 OK: 1',
   '100-continue without waiting');

my $lines = join '', map { "$_\t2026-09-22 10:00:00\t0\t1\n" } 1 .. 20000;

is($t->post($up, $lines)->text, '200 OK: 20000', 'a body in memory');
is($t->post($up =~ s/iclock/file/r, $lines, -port => $t->port(2))->text,
   '200 OK: 20000', 'a body in a file');
my ($hundred) = $lines =~ /^((?:.*\n){100})/;

is($t->post($up =~ s/iclock/file/r, $hundred,
            -split => 1, -port => $t->port(2))->text, '200 OK: 100',
   'a body in a file, one byte at a time');
is($t->post($up, $hundred, -split => 1)->text, '200 OK: 100',
   'a body in memory, one byte at a time');
is($t->psql('SELECT count(*) FROM iclock.punch'
            . " WHERE local_time = '2026-09-22 10:00:00' AND status = 0"),
   20000,
   'every line is there, each once');

# not only text: a photo through a file

my $photo = "\xff\xd8\xff" . join '', map { chr } (0 .. 255) x 100;

is($t->post("/file/cdata?$sn&table=ATTPHOTO", "PIN=20260922100000-1.jpg\n"
            . "SN=X\nsize=1\nCMD=uploadphoto\0$photo", -port => $t->port(2))
     ->text, '200 OK', 'a photo in a file');
is($t->psql("SELECT encode(content, 'hex') FROM iclock.photo"),
   unpack('H*', $photo), 'it is unharmed');

is($t->post($up, 'x' x 5000, -port => $t->port(2))->status, 413,
   '413: larger than client_max_body_size');
is($t->post($up, 'x' x 10, -length => 5000, -port => $t->port(2))->status,
   413, '413: before the body is there');

# what the client does not wait for is stored all the same

$c = $t->connect();
$c->write(Test::IClock::HTTP::format_request('POST', $up,
              "77\t2026-09-22 11:00:00\n"));
$c->abort();
ok(wait_until(60, sub { $t->psql('SELECT count(*) FROM iclock.punch'
                                 . " WHERE pin = '77' AND local_time"
                                 . " = '2026-09-22 11:00:00'") }),
   'an upload whose client has left');

# half a body is nothing

$c = $t->connect();
$c->write(Test::IClock::HTTP::format_request('POST', $up,
              "78\t2026-09-22 11:00:00\n", -length => 100));
$c->close();
is($t->get("/iclock/ping?$sn")->text, '200 OK', 'after half a body');
is($t->psql("SELECT count(*) FROM iclock.punch WHERE pin = '78'"
            . " AND local_time = '2026-09-22 11:00:00'"), 0,
   'it is not stored');


# replies

for ([ 'handshake', 'GET', "/iclock/cdata?$sn&options=all" ],
     [ 'upload', 'POST', $up, $body ], [ 'poll', 'GET',
       "/iclock/getrequest?$sn" ], [ 'ping', 'GET', "/iclock/ping?$sn" ],
     [ 'options', 'POST', "/iclock/cdata?$sn&table=options", 'A=1' ],
     [ 'acknowledgement', 'POST', "/iclock/devicecmd?$sn", 'ID=1&Return=0' ])
{
    my ($name, $method, $uri, $text) = @$_;

    for my $port (0, 2) {
        for my $version (qw/ 1.0 1.1 /) {
            my $r = $t->request(Test::IClock::HTTP::format_request(
                        $method, $uri, $text, -version => $version,
                        'Accept-Encoding' => 'gzip, deflate'),
                        port => $t->port($port));
            my $what = "$name, HTTP/$version, server $port";

            is($r->status, 200, "$what: 200");
            is($r->header('content-length'), length $r->body,
               "$what: Content-Length");
            is($r->header('content-type'), 'text/plain',
               "$what: Content-Type");
            like($r->header('date'),
                 qr/^\w{3}, \d\d \w{3} 20\d\d \d\d:\d\d:\d\d GMT$/,
                 "$what: Date");
            is($r->header('transfer-encoding'), undef, "$what: no chunks");
            is($r->header('content-encoding'), undef, "$what: no gzip");
            cmp_ok(length $r->head, '<', 2048, "$what: short headers");
        }
    }
}


# variables before the content phase

is($t->get('/map/ping?SN=STOLEN0001', -port => $t->port(2))->status, 403,
   'map');
is($t->get('/map/ping?SN=STOLEN0002', -port => $t->port(2))->status, 200,
   'map: another device');
is($t->psql("SELECT count(*) FROM iclock.device"
            . " WHERE serial_number = 'STOLEN0001'"), 0, 'map: no row');

is(join(' ', map { $t->get("/rate/ping?SN=$_", -port => $t->port(2))->status }
             qw/ RATE0001 RATE0001 RATE0002 RATE0002 RATE0001 /),
   '200 503 200 503 503', 'limit_req');

for ([ GET => "getrequest.aspx?$sn", 403 ], [ GET => "ping?$sn", 200 ],
     [ GET => "cdata?$sn&options=all", 200 ],
     [ POST => "cdata?$sn&table=ATTLOG", 200 ],
     [ POST => "cdata?$sn&table=%20attphoto", 403 ],
     [ POST => "cdata?$sn&PhotoStamp=1", 403 ],
     [ POST => "cdata?$sn&table=ATTPHOTO&type=PostVerifyData", 200 ],
     [ POST => "fdata?$sn", 403 ], [ POST => "devicecmd?$sn", 200 ])
{
    my ($method, $uri, $status) = @$_;

    is($t->request(Test::IClock::HTTP::format_request($method,
           "/turned/$uri", $method eq 'POST' ? '' : undef),
           port => $t->port(2))->status, $status,
       "map of endpoints and tables: $method $uri");
}

# and in the log

my @expected;
my $before = () = slurp($log) =~ /\n/g;

sub logged {
    my ($line, $r) = @_;

    push @expected, $line;

    return $r;
}

my $two = { -port => $t->port(2) };

logged('LOG00001 cdata - 0 0 0 active 200 site=',
       $t->get('/iclock/cdata?SN=LOG00001'));
logged('LOG00001 cdata ATTLOG 3 1 0 active 200 site=',
       $t->post('/iclock/cdata?SN=LOG00001&table=attlog',
                "1\t2026-09-22 09:31:05\nx\n\n2\t2026-09-22 09:31:05\n"));
logged('LOG00001 getrequest - 0 0 0 active 200 site=',
       $t->get('/iclock/getrequest?SN=LOG00001'));
$t->psql("SELECT iclock.queue_command('LOG00001', 'CHECK')"
         . " FROM generate_series(1, 2)");
ok(wait_until(60, sub {
    my $r = $t->get('/iclock/getrequest?SN=LOG00001');
    my $n = () = $r->body =~ /^C:/mg;
    logged("LOG00001 getrequest - 0 0 $n active 200 site=");
    return $n == 2;
}), 'two commands');
logged('LOG00001 devicecmd - 1 0 0 active 200 site=',
       $t->post('/iclock/devicecmd?SN=LOG00001&ID=1&Return=0',
                "ID=1&Return=0&CMD=CHECK\n"));
logged('LOG00001 ping - 0 0 0 active 200 site=',
       $t->get('/iclock/ping?SN=LOG00001'));
logged('LOG00001 fdata ATTPHOTO 0 0 0 active 200 site=',
       $t->post('/iclock/fdata?SN=LOG00001', ''));
logged('- - - - - - - 404 site=', $t->get('/iclock/nothing'));
logged('- cdata - 0 0 0 unknown 400 site=', $t->get('/iclock/cdata?SN=x'));
logged('ABC-77 ping - 0 0 0 active 200 site=ABC',
       $t->get('/pattern/ping?SN=ABC-77', %$two));
logged('LOG00001 cdata ATTLOG - - - - 413 site=',
       $t->post('/iclock/cdata?SN=LOG00001&table=attlog', 'x' x 5000, %$two));
$t->psql("SELECT iclock.block_device('LOG00001')");
ok(wait_until(60, sub {
    my $r = $t->get('/iclock/ping?SN=LOG00001');
    logged('LOG00001 ping - 0 0 0 ' . ($r->status == 200 ? 'active 200'
                                                          : 'blocked 403')
           . ' site=');
    return $r->status == 403;
}), 'blocked');

my @got;

ok(wait_until(60, sub {
    @got = split /\n/, slurp($log);
    splice @got, 0, $before;
    # some of those before may have been late
    @got = grep { !/^(?:RATE|STOLEN|TEST)\d/ } @got;
    return @got >= @expected;
}), 'the access log');

# an empty variable is "-" in the log
s/site=-?$/site=/ for @got;

# two workers write it, each a moment after it has replied
is_deeply([ sort @got ], [ sort @expected ], 'its lines');

my @time = split /\n/, slurp("$log.time");

is(scalar(grep { !/^(?:-|\d+\.\d{3})$/ } @time), 0, '$iclock_db_time');
ok((grep { /^\d/ } @time), 'of those that went to the database');
ok((grep { /^-$/ } @time), 'and of those that did not');

$t->done();
