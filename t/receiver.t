#!/usr/bin/perl

# Copyright (C) the ngx_http_iclock_module authors

# The receiver of webhooks that other tests use: what it keeps of a request,
# and every way in which it answers.  Neither the module nor PostgreSQL is
# needed.

use strict;
use warnings;

use FindBin;
use Test::More;
use Time::HiRes qw/ sleep /;

use lib "$FindBin::Bin/lib";
use Test::IClock;
use Test::IClock::HTTP;
use Test::IClock::Process qw/ command slurp /;

my $t = Test::IClock->new(pg => 0);
my $r = $t->receiver();

sub post {
    my ($path, $body, %header) = @_;

    return $t->post($path, $body, -port => $r->port, -timeout => 30, %header);
}


# what it keeps

is(post('/a', 'one', 'X-Name' => 'y')->text, '200 ', 'an answer');
is(post('/b', "two \xff\0")->status, 200, 'another path');
is($r->count, 2, 'two requests');

my ($one) = $r->requests('/a');
my ($two) = $r->requests('/b');

is("$one->{n} $one->{method} $one->{path} $one->{body} $one->{status}",
   '1 POST /a one 200', 'the first one');
is($one->{headers}{'x-name'}, 'y', 'its header');
is($two->{body}, "two \xff\0", 'bytes of a body');
is("$two->{n} $two->{connection} $two->{nth}", '2 2 1', 'order, connection');
cmp_ok($two->{begun}, '<=', $two->{time}, 'times');

my $c = $t->connect(port => $r->port);

is($c->request(Test::IClock::HTTP::format_request('POST', '/a', $_,
       -keepalive => 1))->status, 200, 'on an open connection') for 1, 2;
is(join(' ', map { "$_->{connection}/$_->{nth}" } $r->requests('/a', 1)),
   '3/1 3/2', 'is told');
$c->close();


# answers

$r->answer('/s', { status => 500, times => 2 },
                 { status => 429, headers => { 'Retry-After' => 7 } },
                 { status => 204 }, { when => 'odd', status => 410 });
is(join(' ', map { post('/s', $_)->status } qw/ a odd b c d e /),
   '500 410 500 429 204 204', 'answers in turn, and one for a text');
is(($r->requests('/s'))[3]{status}, 429, 'the status is kept');

$r->answer('/delay', { delay => 0.3, body => 'late' });

my @job = map { [ 'POST', '/delay', $_ ] } 1 .. 20;
my @late = $t->concurrently(\@job, port => $r->port, connections => 20);

is(scalar(grep { $_->text eq '200 late' } @late), 20, 'late answers');

$r->answer('/many', { action => 'hang' });

my @many = map { $t->connect(port => $r->port) } 1 .. 20;

$_->write("POST /many HTTP/1.1\r\nContent-Length: 0\r\n\r\n") for @many;
is($r->wait_for(20, '/many'), 20, 'many');
is($r->stats->{most}, 20, 'at once');
$_->close() for @many;

$r->answer('/huge', { size => 3000000 });
is(length post('/huge', '')->body, 3000000, 'a huge body');

# one who heeds says no more than is read

$r->answer('/heed', { size => 100000, heed => 1 });
$c = $t->connect(port => $r->port);
$c->write("POST /heed HTTP/1.1\r\nContent-Length: 0\r\n\r\n");

sub sent { $r->count('/heed') ? ($r->requests('/heed'))[0]{sent} : 0 }

ok(wait_until(30, sub { sent() }), 'an answer begins');
sleep 0.2;
cmp_ok(sent(), '<', 1000, 'nothing is read, and no more is said');
is(length $c->read('POST')->body, 100000, 'then all of it');
$c->close();

$r->answer('/close', { action => 'close' }, { action => 'reset' },
                     { partial => 19 }, { raw => "SSH-2.0\r\n" });

sub bytes {
    my $c = $t->connect(port => $r->port);
    my $got = '';

    $c->write("POST /close HTTP/1.1\r\nContent-Length: 0\r\n\r\n");
    while ((sysread $c->{socket}, $got, 4096, length $got) // 0) { }
    $c->close();

    return $got;
}

is(join('|', map { bytes() } 1 .. 4), "||HTTP/1.1 200 Answer|SSH-2.0\r\n",
   'broken answers');

$r->answer('/hang', { action => 'hang' });
$c = $t->connect(port => $r->port, timeout => 0.2);
$c->write("POST /hang HTTP/1.1\r\nContent-Length: 0\r\n\r\n");
is($r->wait_for(1, '/hang'), 1, 'a request that gets no answer');
ok(!$c->closed(0.1), 'hangs');
$c->close();


# down and up

$r->down();
ok(!eval { $t->connect(port => $r->port); 1 }, 'down: refused');
$r->up();
is(post('/up', 'x')->status, 200, 'up: answers');


# TLS in front of it

my $good = $r->certificate('good');
my $url = $r->https($good, '/tls');
my $out = $t->dir . '/curl.out';
my @curl = ('curl', '-s', '-S', '--cacert', $r->ca, '--data', 'body');

is(command({ out => $out }, @curl, $url), 0, 'TLS') or diag(slurp($out));
is(($r->requests('/tls'))[0]{body}, 'body', 'and the body');

for ([ 'expired', expired => 1 ], [ 'other', host => 'other.example' ],
     [ 'self', self => 1 ])
{
    my $bad = $r->https($r->certificate(@$_), '/bad');

    isnt(command({ out => $out }, @curl, $bad), 0, "a certificate: $_->[0]");
}

is($r->count('/bad'), 0, 'what curl does not believe gets no request');


# signatures

my $secret = 'whsec_AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=';
my $id = 'evt_00000000000002f1_0000000000000007';
my $body = qq({"id":"$id","type":"attendance.punch"});
my ($v1, $x) = Test::IClock::Receiver::signature($secret, $id, 1792483200,
                                                 $body);

is($v1, 'v1,6e5dmHWzb71bwdOtlnjL/iKdIBoDvUyN7ds2U1qdyBM=', 'v1');
is($x, 'a91ee00040b7b51fa4d6c59d140ca8bdfa99d232929a78805e2b4a9c7de115bc',
   'X-Signature');

post('/v', $body, 'webhook-id' => $id, 'webhook-timestamp' => 1792483200,
     'webhook-signature' => "v1,AAAA $v1", 'X-Signature' => $x);
ok($r->verified($r->requests('/v'), $secret), 'verified');
ok(!$r->verified($r->requests('/v'), 'whsec_' . 'A' x 44), 'other secret');

$r->clear();
is($r->count, 0, 'forgotten');

$t->done();
