#!/usr/bin/perl

# Copyright (C) the ngx_http_iclock_module authors

# Large uploads: a worker's memory grows by no more than three times the
# body, and what it took is given back or used again.

use strict;
use warnings;

use FindBin;
use MIME::Base64 qw/ encode_base64 /;
use Test::More;

use lib "$FindBin::Bin/lib";
use Test::IClock;

my $t = Test::IClock->new;

# Each connection has buffers of its own, and a slow machine takes another one
# than before.

$t->start($t->device_server(pool => 'connections=1',
                            location => 'client_body_buffer_size 16m;'),
          workers => 1);

my $url = '/iclock/cdata?SN=LARGE00001&Stamp=9999';
my $photo = "\xff\xd8" . join('', map { chr($_ * 7 % 256) } 1 .. 3_000_000);
my @device = ('LARGE00001', 'SMALL00001');


sub punches {
    my ($n, $day, $work_code) = @_;

    return join '', map {
        sprintf "%d\t2026-10-%02d %02d:%02d:%02d\t0\t1\t%s\t0\t0\n",
                100000 + $_, $day, $_ / 3600, $_ / 60 % 60, $_ % 60,
                $work_code || 0
    } 1 .. $n;
}


# kilobytes that a worker needs at most for a request

sub growth {
    my ($request) = @_;

    my ($worker) = $t->workers();

    open my $refs, '>', "/proc/$worker/clear_refs" or die "clear_refs: $!";
    print $refs 5;                      # the peak is the present size
    close $refs;

    my $before = status($worker, 'VmRSS');

    $request->();

    return status($worker, 'VmHWM') - $before;
}

sub status {
    my ($pid, $name) = @_;

    open my $status, '<', "/proc/$pid/status" or die "status: $!";
    my ($value) = map { /^$name:\s+(\d+) kB/ } <$status>;
    return $value;
}


# small ones first: connections, statements and code are there then

is($t->post("$url&table=ATTLOG", punches(100, 1))->text, '200 OK: 100',
   'warm up');
is($t->post("$url&table=ATTPHOTO",
            "PIN=20261001080000-1.jpg\nSN=LARGE00001\nsize=4\nCMD=uploadphoto"
            . "\0\xff\xd8\1\2")->text, '200 OK', 'warm up');

my ($worker) = $t->workers();
my $anonymous = status($worker, 'RssAnon');

my @cases = (
    [ '10,000 punches', 'ATTLOG', punches(10_000, 2), '200 OK: 10000' ],
    [ 'a photo of 3 MB', 'ATTPHOTO',
      "PIN=20261001080000-2.jpg\nSN=LARGE00001\nsize=3000002\n"
      . "CMD=uploadphoto\0$photo", '200 OK' ],
    [ 'a photo in base64', 'ATTPHOTO',
      "PIN=20261001080000-3.jpg\nSN=LARGE00001\nsize=3000002\n"
      . "CMD=uploadphoto\npicture=" . encode_base64($photo, ''), '200 OK' ],
);

for my $case (@cases) {
    my ($name, $table, $body, $reply) = @$case;
    my $text;

    my $kb = growth(sub { $text = $t->post("$url&table=$table", $body)->text });
    my $times = $kb * 1024 / length $body;

    is($text, $reply, $name);
    cmp_ok($times, '<', 3, "$name: no more than three times the body");
    diag(sprintf '%s: %.1f times', $name, $times) if $ENV{TEST_VERBOSE};
}

is($t->psql('SELECT count(*) FROM iclock.punch'), 10_100, 'all are stored');
is($t->psql("SELECT count(*) FROM iclock.photo WHERE content = '\\x"
            . unpack('H*', $photo) . "'"), 2, 'and the photos, byte by byte')
;
is($t->psql("SELECT string_agg(octet_length(content)::text, ',' ORDER BY "
            . "file_name) FROM iclock.photo"), '4,3000002,3000002',
   'the photos, too');

# once more: nothing accumulates

my $kb = growth(sub {
    $t->post("$url&table=$_->[1]", $_->[2]) for @cases, @cases, @cases;
});

cmp_ok($kb * 1024, '<', 3 * length $cases[2][2], 'repeated uploads');

# what was needed is given back when nothing happens any more

$t->concurrently([ map { [ 'POST', "$url&table=ATTPHOTO",
                           $cases[1][2] =~ s/-2[.]/-1$_./r ] } 1 .. 4 ]);
is($t->psql('SELECT count(*) FROM iclock.photo'), 7, 'four photos at once');

my $held;

ok(wait_until(60, sub {
    $held = status($worker, 'RssAnon') - $anonymous;
    return $held * 1024 < length $photo;
}), 'memory is given back') or diag("$held kB are held");
diag("$held kB are held") if $ENV{TEST_VERBOSE};



# 64 uploads of 1 MB while PostgreSQL says nothing: what may wait is bounded

$t->reload($t->device_server(location => 'client_body_buffer_size 16k;',
    pool => 'timeout=2s connect_timeout=1s queue_bytes=8m'), wait => 1);

my @sn = map { sprintf 'FROZEN%02d', $_ } 0 .. 63;

for my $uri ('/iclock/cdata?options=all&SN=', '/iclock/getrequest?SN=') {
    $t->concurrently([ map { [ 'GET', "$uri$_" ] } @sn ]);
}

my @uploads = map { [ 'POST', "/iclock/cdata?SN=$_&table=ATTLOG&Stamp=1",
                      punches(1000, 5, 'x' x 960) ] } @sn;
my @response;

cmp_ok(length $uploads[0][2], '>', 990_000, 'frozen: 1 MB each');

$t->pg->freeze();
$kb = growth(sub { @response = $t->concurrently(\@uploads, connections => 64,
                                                timeout => 30) });
is(scalar(grep { $_ && $_->status == 503 && $_->header('Retry-After') eq '30' }
               @response), 64, 'frozen: all get 503');
cmp_ok($kb, '<', 3 * 8192, 'frozen: memory of what waits');
diag("frozen: $kb kB") if $ENV{TEST_VERBOSE};
$t->pg->thaw();

my $rounds = 0;

while (@uploads && $rounds++ < 100) {
    @response = $t->concurrently(\@uploads, connections => 8, timeout => 30);
    @uploads = map { $response[$_] && $response[$_]->status == 200
                     ? () : $uploads[$_] } 0 .. $#uploads;
}

is(scalar @uploads, 0, 'frozen: all are served later');
is($t->psql("SELECT count(*) FROM iclock.punch p JOIN iclock.device d"
            . " ON d.id = p.device_id WHERE serial_number LIKE 'FROZEN%'"),
   64_000, 'frozen: all are stored');

$t->done();
