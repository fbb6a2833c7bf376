#!/usr/bin/perl

# Copyright (C) the ngx_http_iclock_module authors

# The log format iclock_json of conf.example: each line is a JSON object of
# UTF-8, whatever was sent, and holds no key.  Answers that are compressed as it
# says.  And what the error log says of devices that are refused: who and why,
# but not each time.

use strict;
use warnings;

use FindBin;
use IO::Uncompress::Gunzip qw/ gunzip /;
use JSON::PP ();
use Test::More;

use lib "$FindBin::Bin/lib";
use Test::IClock;
use Test::IClock::API;
use Test::IClock::Process qw/ slurp /;

my $t = Test::IClock->new();

$t->psql('GRANT iclock_api TO iclock_nginx');

my $example = slurp("$FindBin::Bin/../conf.example");
my ($format) = $example =~ /^(\ {4}map\ \$iclock_sn\ .*?
                              ^\ {4}log_format\ iclock_json\ .*?;\n)/xms;
my $gzip = join "\n", $example =~ /^ +# +(gzip\w* .*;)$/mg;

ok($format, 'conf.example has the format') or BAIL_OUT('no format');

$t->start($t->device_server(http => $format . <<'END', server => <<"END"));
    iclock_presence_interval 1s;
END
        access_log %%PREFIX%%/json.log iclock_json;
        location /v1 { iclock_api; $gzip }
        location /other { return 204; }
END

# a line may be there by halves: it is written page by page

sub lines { return slurp($t->dir . '/nginx/json.log') =~ /^(.*)\n/mg }

# what the log says of a request

my $seen = 0;

sub logged {
    my @line;

    wait_until(30, sub { @line = lines(); @line > $seen });
    is(scalar @line, ++$seen, 'a line');

    my $entry = eval { JSON::PP->new->utf8->decode($line[-1]) };

    return ok($entry, 'it is JSON') ? $entry : (diag($line[-1]), {})[1];
}


my $device = $t->device('LOGS0001');

$device->handshake();
my $entry = logged();
is($entry->{sn}, 'LOGS0001', 'the device');
is($entry->{endpoint}, 'cdata', 'endpoint');
is($entry->{device_status}, 'active', 'status of the device');
is($entry->{table}, '', 'what does not apply is empty');
cmp_ok($entry->{bytes_in}, '>', 0, 'size');
like($entry->{seconds}, qr/^\d/, 'time');
like($entry->{time}, qr/^20\d\d-\d\d-\d\dT/, 'when');

$t->post('/iclock/cdata?SN=LOGS0001&table=ATTLOG&Stamp=1',
         "7\t2026-11-20 08:00:00\t0\t1\nrubbish\n");
$entry = logged();
is("$entry->{table} $entry->{records} $entry->{rejected}", 'ATTLOG 2 1',
   'an upload');
like($entry->{db_seconds}, qr/^\d+\.\d{3}$/, 'time of the database');

# what tries to break out

$t->get('/iclock/cdata?SN=%22%7D%0a%00%ff%c3%28&table=%ff%22,%22a%22:%22');
$entry = logged();
is($entry->{status}, 400, 'refused');
is($entry->{sn}, '', 'what is not plain is left out');

$t->get('/other?SN=a%22,%22sn%22:%22b%5c');
is(logged()->{sn}, 'a","sn":"b\\', 'quoted');

$t->get("/other?SN=a\"b\\c");
is(logged()->{sn}, 'a"b\c', 'also when it comes as it is');

$t->request("GET /other?SN=\xff\xfe HTTP/1.0\r\n\r\n");
is(logged()->{sn}, '', 'bytes that are no text');

$t->post("/iclock/cdata?SN=LOGS0001&table=\xff\"&Stamp=1", 'x');
is(logged()->{table}, 'ATTLOG', 'a table that is none');

# the HTTP interface

my $api = Test::IClock::API->new($t, scopes => [ 'devices:read' ]);

is($api->get('/devices')->status, 200, 'a program');
$entry = logged();
is($entry->{api_operation}, 'devices_list', 'operation');
is($entry->{api_rows}, 1, 'rows');
like($entry->{api_key}, qr/^\w+$/, 'id of the key');

is($api->get('/devices/NOBODY')->status, 404, 'a device that is not there');
$entry = logged();
is($entry->{api_code}, 'not_found', 'what is wrong');
like($entry->{request_id}, qr/^[0-9a-f]{32}$/, 'id of the request');

my $r = $api->get('/devices', 'Accept-Encoding' => 'gzip');
my ($small, $body) = ($r->body);
is($r->header('Content-Encoding'), 'gzip', 'an answer is compressed');
gunzip(\$small, \$body);
is(eval { JSON::PP->new->utf8->decode($body)->{data}[0]{id} }, 'LOGS0001',
   'and whole');
logged();

$t->get('/iclock/cdata?SN=LOGS0001&pushcommkey=Secr3tKey&options=all');
logged();
$t->get('/v1/devices?access_token=Secr3tKey');
logged();

unlike(join("\n", lines()), qr/Secr3t|ik_live_\w+_/, 'no key');


# refusals of one moment: the first ones are told, the others are counted

my $sent = 0;

$t->psql("SELECT iclock.block_device('LOGS0001')");
ok(wait_until(60, sub { $sent++;
                        $t->get('/iclock/getrequest?SN=LOGS0001')->status
                        == 403 }), 'the device is blocked');
ok($t->wait_log(qr/iclock: device "LOGS0001" is refused: /),
   'the error log says so');

ok(wait_until(60, sub {
    $t->concurrently([ map { [ 'GET', '/iclock/getrequest?SN=LOGS0001' ] }
                       1 .. 100 ], connections => 8);
    $sent += 100;
    return $t->error_log() =~ /iclock: \d+ more requests were refused/;
}), 'not each time');

my $log = $t->error_log();
my $told = () = $log =~ /\[info\] [^\n]*device "LOGS0001" is refused/g;
my $counted = 0;

$counted += $1 while $log =~ /\[info\] [^\n]*iclock: (\d+) more requests/g;

cmp_ok($told, '>=', 10, 'the first ones of a second are told, on level info');
cmp_ok($told + $counted, '<=', $sent, 'the others are counted');
cmp_ok($counted, '>', 0, 'and told how many');

$t->done();
