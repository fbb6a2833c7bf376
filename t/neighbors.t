#!/usr/bin/perl

# Copyright (C) the ngx_http_iclock_module authors

# The module beside others in the same nginx: backends that get what devices
# and people have sent, other locations and servers, other modules.

use strict;
use warnings;

use FindBin;
use IO::Socket::INET;
use Socket qw/ SOL_SOCKET SO_RCVBUF /;
use Test::More;

use lib "$FindBin::Bin/lib";
use Test::IClock;
use Test::IClock::Process qw/ command slurp /;

my $t = Test::IClock->new;
my $access = $t->dir . '/access.log';
my $seen = $t->dir . '/seen';


# A backend that keeps what it gets, and answers with it: the request line,
# an empty line, the body.  It takes its time for "slow".

sub backend {
    my $listen = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 16,
                                       LocalPort => $t->port(1),
                                       ReuseAddr => 1) or die "backend: $!";

    # so that nginx cannot get rid of a body at once
    setsockopt $listen, SOL_SOCKET, SO_RCVBUF, 4096;

    my $pid = fork;
    die "fork: $!" if !defined $pid;

    if ($pid) {
        close $listen;
        return $pid;
    }

    while (my $c = $listen->accept()) {
        my $head = '';

        $head .= <$c> // last while $head !~ /\r\n\r\n\z/;

        sleep 1 if $head =~ /slow/;

        my ($length) = $head =~ /^Content-Length: (\d+)/mi;
        my $body = '';

        read $c, $body, $length if $length;

        my ($line) = $head =~ /^(.*) HTTP/;
        my $text = "$line\n\n$body";

        open my $f, '>>:raw', $seen;
        print $f length $text, "\n", $text;
        close $f;

        print $c "HTTP/1.0 200 OK\r\nContent-Length: ", length $text,
                 "\r\n\r\n", $text;
        close $c;
    }

    POSIX::_exit(0);
}

# what the backend has seen since the last call

sub seen {
    my ($n) = @_;
    my @seen;

    wait_until(30, sub {
        my $all = -e $seen ? slurp($seen) : '';
        @seen = ();
        while ($all =~ /\G(\d+)\n/gc) {
            last if length($all) - pos($all) < $1;
            push @seen, substr $all, pos $all, $1;
            pos($all) += $1;
        }
        @seen >= $n;
    });
    unlink $seen;

    return @seen;
}

my $backend = backend();

END { kill 'KILL', $backend if $backend }

my $dir = $t->dir . '/page';

mkdir $dir;
chmod 0755, $dir;
open my $page, '>', "$dir/page.html" or die "$dir: $!";
print $page '<!--#include virtual="/iclock/ping?SN=PAGE0001" -->,',
    '<!--#include virtual="/iclock/cdata?SN=PAGE0001&options=all" -->,',
    '<!--#include virtual="/key/ping?SN=PAGE0001&ComKey=wrong" -->.';
close $page;

my $logs = join '', map { "access_log $access $_;\n" }
                    qw/ line uri args arg combined /;

$t->start($t->device_server(http => <<END, server => <<END2), workers => 1);
    iclock_presence_interval 1s;
    log_format line '\$request';
    log_format uri '\$request_uri';
    log_format args '\$args';
    log_format arg '\$arg_pushcommkey';

    server {
        # no device comes here
        listen 127.0.0.1:%%PORT_2%%;
        location / { proxy_pass http://127.0.0.1:%%PORT_1%%; }
    }

    server {
        listen 127.0.0.1:%%PORT_3%% http2;
        listen 127.0.0.1:%%PORT_6%% deferred;
        $logs
        location /iclock { iclock; iclock_unknown_devices accept;
                           iclock_comm_key sample1; }
        location /deny { deny all; iclock; }
        location /away { proxy_pass http://127.0.0.1:1; }
    }

    server {
        listen 127.0.0.1:%%PORT_4%% proxy_protocol;
        set_real_ip_from 127.0.0.1;
        real_ip_header proxy_protocol;
        location /iclock { iclock; iclock_unknown_devices accept; }
    }

    server {
        listen 127.0.0.1:%%PORT_5%%;
        set_real_ip_from 127.0.0.1;
        real_ip_header X-Forwarded-For;
        location /iclock { iclock; iclock_unknown_devices accept; }
    }

    server {
        # shares the port
        listen 127.0.0.1:%%PORT_5%%;
        server_name other;
        $logs
        location / { return 404; }
    }
END
        $logs
        location /app { proxy_pass http://127.0.0.1:%%PORT_1%%; }

        location /fallback {
            iclock;
            iclock_unknown_devices accept;
            error_page 403 503 = \@backend;
        }

        location /small {
            client_body_buffer_size 8k;
            iclock;
            error_page 503 = \@backend;
        }

        location \@backend { proxy_pass http://127.0.0.1:%%PORT_1%%; }

        location /mirrored {
            iclock;
            iclock_unknown_devices accept;
            iclock_comm_key sample1;
            mirror /copy;
        }

        location = /copy {
            internal;
            proxy_pass http://127.0.0.1:%%PORT_1%%\$request_uri;
        }

        location /tried/ { try_files /nothing \@devices; }
        location /other/ { error_page 404 = \@devices; return 404; }
        location \@devices { iclock; iclock_unknown_devices accept; }

        # a variable is the request's, arguments are the subrequest's
        location /asks-ping { set \$asked \$args; auth_request /ping;
                              iclock; iclock_unknown_devices accept; }
        location /asks-upload { set \$asked \$args; auth_request /upload;
                                iclock; iclock_unknown_devices accept; }
        location = /ping {
            internal;
            rewrite ^ /x/iclock/ping?\$asked break;
            iclock;
            iclock_unknown_devices accept;
            iclock_comm_key sample1 required;
        }
        location = /upload {
            internal;
            rewrite ^ /x/iclock/cdata?\$asked break;
            iclock;
            iclock_unknown_devices accept;
            iclock_comm_key sample1 required;
        }
        location /twice { set \$asked \$args; mirror /upload; iclock;
                          iclock_unknown_devices accept; }
        location /page { ssi on; alias $dir; }
        location /key { iclock; iclock_unknown_devices accept;
                        iclock_comm_key sample1; iclock_files $dir;
                        if (\$arg_x) { set \$x 1; } }
        location = /exact/ping { iclock; iclock_unknown_devices accept;
                                 if (\$arg_x) { set \$x 1; } }
        location ~ /regex/ { iclock; iclock_unknown_devices accept;
                             if (\$arg_x) { set \$x 1; } }
        location /limited { iclock; iclock_unknown_devices accept;
                            iclock_comm_key sample1; iclock_files $dir;
                            limit_except GET { allow 127.0.0.2; deny all; } }
        location /again { iclock; iclock_comm_key sample1 required;
                          error_page 403 = /fallback/cdata?\$args; }

        location /deny { deny all; iclock; }
        location /asked {
            rewrite ^ /asked/iclock/ping?b=1&pushcommkey=\$arg_comkey break;
            if (\$arg_pushcommkey = '') { return 410; }
            iclock;
        }
        location /away { proxy_pass http://127.0.0.1:1; }
        location /failed { iclock; iclock_unknown_devices reject;
                           error_page 403 = \@away; }
        location \@away { proxy_pass http://127.0.0.1:1; }
END2


# bodies of others are theirs

my $spaces = "GET /x?sn=1&a=a b HTTP/1.1\n";

for my $port (0, 2) {
    for ($spaces, "POST /x?SN=1&a=a b HTTP/1.1\r\n\r\n", 'a b',
         $spaces x 3000)
    {
        my $r = $t->post('/app/x', $_, -port => $t->port($port),
                         -split => 5000);
        is($r->body, "POST /app/x\n\n$_",
           "server $port: a body of " . length . ' bytes');
    }

    my $c = $t->connect(port => $t->port($port));
    my $head = "POST /app/y HTTP/1.1\r\nHost: a\r\nContent-Length: "
               . length($spaces) . "\r\n\r\n";

    for my $n (1, 2) {
        # the body on its own, behind its header
        $c->write($head);
        select undef, undef, undef, 0.1;
        $c->write($spaces);
        is($c->read()->body, "POST /app/y\n\n$spaces",
           "server $port: body $n of a connection");
    }
}

is($t->request("GET /app/x?sn=1&a=b c HTTP/1.0\r\n\r\n",
               port => $t->port(2))->status, 400,
   'a server without devices is as strict as ever');

seen(0);


# a request line of old firmware in pieces, pipelined, behind PROXY

my $old = "GET /iclock/ping?SN=OLD0000001&INFO=Ver 2.0, a b HTTP/1.1\r\n"
          . "Host: a\r\n\r\n";

for my $at (1 .. length $old) {
    my $c = $t->connect();
    $c->write(substr $old, 0, $at);
    select undef, undef, undef, 0.005;
    $c->write(substr $old, $at);
    my $r = $c->read();
    ok($r && $r->text eq '200 OK', "cut at $at") or last;
}

{
    my $c = $t->connect();

    for my $byte (split //, $old) {
        $c->write($byte);
        select undef, undef, undef, 0.002;
    }

    is($c->read()->text, '200 OK', 'a byte at a time');

    $c->write($old x 3);
    is($c->read()->text, '200 OK', "pipelined: $_") for 1 .. 3;

    for my $at (5, 30, 45, 50, 60, length($old) - 3) {
        $c->write($old . substr $old, 0, $at);
        is($c->read()->text, '200 OK', "pipelined, cut at $at: whole");
        $c->write(substr $old, $at);
        is($c->read()->text, '200 OK', "pipelined, cut at $at: rest");
    }

    my $post = "POST /iclock/cdata?SN=OLD0000001&table=ATTLOG&a=b c HTTP/1.1"
               . "\r\nHost: a\r\nContent-Length: " . length($spaces)
               . "\r\n\r\n$spaces";
    $c->write($post . $old . $post);
    is($c->read()->text, $_, 'pipelined behind a body')
        for '200 OK: 1', '200 OK', '200 OK: 1';
    is($t->psql("SELECT DISTINCT convert_from(line, 'UTF8')"
                . " FROM iclock.rejected_line"), $spaces =~ s/\n//r,
       'the body is as it was sent');
}

my $proxy = "PROXY TCP4 10.1.2.3 127.0.0.1 1234 80\r\n";
my $binary = "\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\x0a\x01\x02\x04\x7f\0\0\x01"
             . "\x04\xd2\0\x50";

for ([ 'text', $proxy, '10.1.2.3' ], [ 'binary', $binary, '10.1.2.4' ]) {
    my ($name, $head, $address) = @$_;
    my $line = $old =~ s/OLD0000001/PROXY-$name/r;

    is($t->request($head . $line, port => $t->port(4))->text, '200 OK',
       "PROXY, $name");

    my $c = $t->connect(port => $t->port(4));
    $c->write($head . substr $line, 0, 50);
    select undef, undef, undef, 0.05;
    $c->write(substr $line, 50);
    is($c->read()->text, '200 OK', "PROXY, $name, in pieces");
    $c->close();

    $t->psql("UPDATE iclock.device SET allowed_networks = '{$address/32}'"
             . " WHERE serial_number = 'PROXY-$name'");
    is($t->request($head . "GET /iclock/cdata?SN=PROXY-$name&options=all"
                   . " HTTP/1.0\r\n\r\n", port => $t->port(4))->status, 200,
       "PROXY, $name: its address counts");
    is($t->get("/iclock/cdata?SN=PROXY-$name&options=all")->status, 403,
       "PROXY, $name: not another");
}

# realip

$t->psql("INSERT INTO iclock.device (serial_number, status, allowed_networks)"
         . " VALUES ('REALIP01', 'active', '{10.9.0.0/16}')");

for ([ '10.9.1.1', 200 ], [ '10.8.1.1', 403 ], [ '10.9.1.1', 200 ]) {
    is($t->get('/iclock/getrequest?SN=REALIP01', 'X-Forwarded-For' => $_->[0],
               -port => $t->port(5))->status, $_->[1], "realip: $_->[0]");
}


# named locations

for my $where (qw/ tried other /) {
    is($t->get("/$where/iclock/ping?SN=NAMED001")->text, '200 OK',
       "$where: ping");
    like($t->get("/$where/cdata?SN=NAMED001&options=all")->body,
         qr/^GET OPTION FROM: NAMED001/, "$where: handshake");
    is($t->get("/$where/nowhere?SN=NAMED001")->status, 404,
       "$where: no endpoint");
}

is($t->post('/tried/cdata?SN=NAMED001&table=ATTLOG&Stamp=1',
            "77\t2026-03-01 08:00:00\n")->text, '200 OK: 1',
   'an upload by try_files');
is($t->psql("SELECT count(*) FROM iclock.punch WHERE pin = '77'"), 1,
   'it is stored');


# a mirror gets the body and the arguments as they were sent

my $lines = join '', map { "$_\t2026-03-02 08:00:00\t0\t1\n" } 1 .. 20000;

for ([ 'small', "1\t2026-03-02 08:00:00\t0\t1\n" ], [ 'slow', $lines ]) {
    my ($name, $body) = @$_;
    my $uri = "/mirrored/cdata?SN=MIRROR01&table=ATTLOG&Stamp=$name"
              . '&pushcommkey=sample1';
    my $n = $body =~ tr/\n//;

    is($t->post($uri, $body, -split => 1400)->text, "200 OK: $n",
       "mirror: $name");

    my @got = seen(1);
    ok(@got == 1 && $got[0] eq "POST $uri\n\n$body", "mirror: $name: copy")
        or diag(scalar(@got), ' ', substr $got[0] || '', 0, 200);
}

is($t->psql("SELECT count(*) FROM iclock.punch WHERE local_time"
            . " = '2026-03-02 08:00:00'"), 20000, 'mirror: all are stored');


# the door in subrequests, internal redirects, and locations within locations

sub status_of {
    my ($where, $sn, $key, %option) = @_;
    my $uri = "/$where/cdata?SN=$sn&x=1" . ($key ? "&ComKey=$key" : '');

    return join ' ', map { $_->status }
        $t->get("$uri&options=all", %option),
        $t->post("$uri&table=ATTLOG", "9\t2026-03-04 08:00:00\n", %option),
        $t->post("$uri&table=ATTLOG", $lines, -split => 3000, %option);
}

sub stored { $t->psql("SELECT count(*) FROM iclock.punch p JOIN iclock.device"
                      . " d ON d.id = p.device_id WHERE serial_number = ?"
                      =~ s/\?/'$_[0]'/r) }

for my $where (qw/ asks-ping asks-upload key again /) {

    my $sn = uc($where =~ s/\W//gr) . '1';
    my $refused = $where ne 'again';

    for my $key ('', 'wrong') {
        is(status_of($where, $sn, $key),
           $refused ? '403 403 403' : '200 200 200', "$where: key \"$key\"");
        is(stored($sn), $refused ? 0 : 20001, "$where: stored");
    }

    is(status_of($where, $sn, 'sample1'), '200 200 200', "$where: the key");
    is(stored($sn), 20001, "$where: all of it is stored");
}

is(status_of('limited', 'LIMITED1', 'sample1'), '200 403 403', 'limit_except');
is(status_of('limited', 'LIMITED1', 'wrong', -local => '127.0.0.2'),
   '403 403 403', 'limit_except: a wrong key');
is(status_of('limited', 'LIMITED1', 'sample1', -local => '127.0.0.2'),
   '200 200 200', 'limit_except: the key');
is(stored('LIMITED1'), 20001, 'limit_except: stored');

is($t->get("/$_->[0]SN=LIMITED1&ComKey=sample1", -local => $_->[2])->status,
   $_->[1], "$_->[0] of $_->[2]")
    for [ 'key/file/page.html?x=1&', 200, '127.0.0.1' ],
        [ 'key/file/page.html?', 200, '127.0.0.1' ],
        [ 'key/file/page.htm?x=1&', 404, '127.0.0.1' ],
        [ 'keyfile/page.html?x=1&', 404, '127.0.0.1' ],
        [ 'limited/file/page.html?', 200, '127.0.0.2' ],
        [ 'exact/ping?x=1&', 200, '127.0.0.1' ],
        [ 'a/regex/ping?x=1&', 200, '127.0.0.1' ];

is(status_of('twice', 'TWICE001', 'wrong'), '200 200 200',
   'a mirror to another location of devices');
is(stored('TWICE001'), 20001, 'stored once');

like($t->get('/page/page.html')->body,
     qr/^OK,GET OPTION FROM: PAGE0001\n.*,<html>.*403 Forbidden.*\.\z/s,
     'a page that includes replies');


# What is refused may go elsewhere, with the same bytes: of a device that is
# known, since those of others are not even read.

is($t->get("/$_/ping?SN=FALLBACK01")->text, '200 OK', "$_: known")
    for qw/ fallback small /;

$t->pg->stop();

for my $size (10, 900, 1500, 40000, 800000) {
    my $body = substr $lines, 0, $size;

    for my $where (qw/ fallback small /) {
        for my $split (65536, 700) {
            my $uri = "/$where/cdata?SN=FALLBACK01&table=ATTLOG&Stamp=1"
                      . '&pushcommkey=sample1';
            my $r = $t->post($uri, $body, -split => $split);

            ok($r->body eq "POST $uri\n\n$body",
               "$where: $size bytes in parts of $split")
                or diag(substr $r->body, 0, 200);
        }
    }
}

$t->pg->start();
ok(wait_until(30, sub { $t->post('/iclock/cdata?SN=BACK0001&table=ATTLOG',
       "1\t2026-03-02 09:00:00\n", -port => $t->port($_))->status == 200 }),
   "back again: server $_") for 0, 5;
seen(0);


# keys stay out of all logs, over HTTP/1 and HTTP/2

my $key = 's3cr3t-k3y-of-a-device';

for my $where (qw{ iclock/nowhere iclock/cdata deny away/x failed/ping
                   iclock/ping mirrored/ping app/x })
{
    for my $name (qw/ pushcommkey ComKey COMKEY /) {
        $t->get("/$where?SN=LOGGED0001&$name=$key&x=1");
        $t->_http('PUT', "/$where?$name=$key", 'x');
        $t->request("GET /$where?SN=LOGGED0001&$name=$key x\r\n\r\n");
        $t->request("GET /$where?$name=$_$key HTTP/1.0\r\n\r\n")
            for 'x ', "x\t", 'x" HTTP/1.0 y", ';
        $t->get("/$where?$name%3D$key&x=1",
                Referer => "http://a/?url=%2Fping%3Fx%3D1%26$name%3D$key");
    }
}

# with "deferred" the first request is there before the connection

$t->get("/$_?SN=LOGGED0001&pushcommkey=$key", -port => $t->port(6))
    for qw{ iclock/ping iclock/nowhere deny away/x nowhere };

# a server that shares the port, a page that was called from, what "if" has
# asked for before, a key with quotes

my $quoted = 'a"b",c"' . $key;

for my $uri ("/iclock/ping?SN=LOGGED0001&ComKey=$key",
             "/iclock/nowhere?SN=LOGGED0001&ComKey=$quoted",
             "/away/x?SN=LOGGED0001&ComKey=$quoted",
             "/asked/ping?SN=LOGGED0001&ComKey=$key")
{
    $t->get($uri, Referer => "http://localhost$_")
        for $uri, '/?x', "/?ComKey=$quoted";
    is($t->request("GET $uri HTTP/1.0\r\nHost: other\r\n\r\n",
                   port => $t->port(5))->status, 404, 'the other server');
}

my $curl = `curl -V 2>&1`;

SKIP: {
    skip 'curl with HTTP/2 is not there', 5 if $curl !~ /HTTP2/;

    my $url = 'http://127.0.0.1:' . $t->port(3);
    my $out = $t->dir . '/curl';
    my $fetch = sub {
        unlink $out;
        command({ out => $out }, 'curl', '-s', '--http2-prior-knowledge',
                '--max-time', '20', '-w', ' %{http_code} %{http_version}',
                @_);
        return slurp($out);
    };

    my $query = "SN=HTTP200001&table=ATTLOG&Stamp=1&pushcommkey=sample1";

    is($fetch->("$url/iclock/ping?SN=HTTP200001&ComKey=sample1"),
       'OK 200 2', 'HTTP/2: ping');
    is($fetch->('--data-binary', "5\t2026-03-03 08:00:00\n",
                "$url/iclock/cdata?$query"), 'OK: 1 200 2',
       'HTTP/2: an upload');

    open my $f, '>:raw', "$out.body";
    print $f $lines;
    close $f;

    is($fetch->('--data-binary', "\@$out.body", "$url/iclock/cdata?$query"),
       'OK: 20000 200 2', 'HTTP/2: a large one');
    like($fetch->("$url/iclock/cdata?SN=HTTP200001&options=all"), qr/ 403 2$/,
         'HTTP/2: no key');

    $fetch->("$url/$_?SN=HTTP200001&pushcommkey=$key")
        for qw{ iclock/ping iclock/nowhere deny away/x };
    $fetch->('-X', 'PUT', "$url/iclock/ping?SN=HTTP200001&ComKey=$key");
    ok(1, 'HTTP/2: others');
}

$t->reload();

my %log = (access => slurp($access), error => $t->error_log());

for my $name (sort keys %log) {
    ok(index($log{$name}, $key) < 0, "no key in the $name log")
        or diag(grep { index($_, $key) >= 0 } split /^/, $log{$name});
}

like($log{access}, qr/pushcommkey=\*{22}&x=1 HTTP/, 'stars instead');
like($log{error}, qr/upstream: "[^"]*ComKey=\*{22}/, 'of a backend, too');

$t->done();
