#!/usr/bin/perl

# Copyright (C) the ngx_http_iclock_module authors

# The same records at the same time on many connections, each time in another
# order, as when terminals send everything again after a loss: transactions
# wait for each other, none is refused.

use strict;
use warnings;

use FindBin;
use List::Util qw/ shuffle /;
use Test::More;

use lib "$FindBin::Bin/lib";
use Test::IClock;

my $t = Test::IClock->new(settings => [ [ deadlock_timeout => '50ms' ] ]);

srand 42;

$t->start();
$t->device('SAME000001')->handshake();


# what PostgreSQL complained of

sub complaints {
    open my $log, '<', $t->pg->{log} or die "$t->{pg}{log}: $!";
    return join '', grep { /ERROR|FATAL/ } <$log>;
}

sub same {
    my ($name, $table, $lines, $count, $expected) = @_;

    my @response = $t->concurrently([ map {
        [ 'POST', "/iclock/cdata?SN=SAME000001&table=$table&Stamp=$_",
          join '', shuffle @$lines ] } 1 .. 128 ], connections => 64);

    is(scalar(grep { $_ && $_->status == 200 } @response), 128, $name);
    is($t->psql($count), $expected, "$name: each is stored once");
    is(complaints(), '', "$name: nothing to complain of");
}


# pictures, which are statements of their own, on connections that have not
# prepared any yet

my @photo = $t->concurrently([ map {
    [ 'POST', '/iclock/cdata?SN=SAME000001&table=ATTPHOTO',
      sprintf "PIN=20261001%06d-%d.jpg\nSN=SAME000001\nsize=4\n"
              . "CMD=uploadphoto\0\xff\xd8\1\2", $_, $_ ] } 1 .. 256 ],
    connections => 64);

is(scalar(grep { $_ && $_->text eq '200 OK' } @photo), 256, 'pictures');
is($t->psql('SELECT count(*) FROM iclock.photo'), 256, 'are stored');
is(complaints(), '', 'nothing to complain of');

same('punches', 'ATTLOG',
     [ map { sprintf "%d\t2026-10-01 %02d:%02d:00\t0\t1\n", $_, $_ / 60,
                     $_ % 60 } 1 .. 300 ],
     'SELECT count(*) FROM iclock.punch', 300);

same('users', 'OPERLOG',
     [ map { "USER PIN=$_\tName=N$_\tPri=0\n" } 1 .. 200 ],
     'SELECT count(*) FROM iclock.device_user', 200);

same('operations', 'OPERLOG',
     [ map { sprintf "OPLOG 4\t%d\t2026-10-01 08:00:00\t0\t0\t0\t0\n", $_ }
       1 .. 200 ],
     'SELECT count(*) FROM iclock.operation', 200);

same('templates', 'OPERLOG',
     [ map { "FP PIN=$_\tFID=0\tValid=1\tTMP=SghTUw==\n" } 1 .. 100 ],
     'SELECT count(*) FROM iclock.template', 100);

same('lines that are rejected', 'ATTLOG',
     [ map { "$_\tyesterday\t0\t1\n" } 1 .. 200 ],
     'SELECT count(*) FROM iclock.rejected_line', 200);

my @pairs = map { "Key$_=$_" } 1 .. 60;
my @response = $t->concurrently([ map {
    [ 'POST', '/iclock/cdata?SN=SAME000001&table=options',
      join ',', shuffle @pairs, "UserCount=$_" ] } 1 .. 128 ],
    connections => 64);

is(scalar(grep { $_ && $_->text eq '200 OK' } @response), 128, 'options');
is($t->psql('SELECT count(*) FROM iclock.device_option'), 61,
   'options: each is stored once');
is(complaints(), '', 'options: nothing to complain of');

# answers to commands about people, while the same people are uploaded

my @pin = shuffle 1 .. 120;

$t->psql('DELETE FROM iclock.command');
$t->psql(join ';', map {
    "SELECT iclock.queue_command('SAME000001',"
    . " E'DATA UPDATE USERINFO PIN=$_\\tName=C$_'),"
    . " iclock.queue_command('SAME000001',"
    . " E'DATA UPDATE FINGERTMP PIN=$_\\tFID=0\\tSize=4\\tValid=1\\tTMP=SghT')"
    } @pin);

my %sent;

for (1 .. 40) {
    my $body = $t->device('SAME000001')->poll()->body;
    my @id = $body =~ /^C:(\d+):/mg or last;
    $sent{$_} = 1 for @id;
}

is(scalar keys %sent, 240, 'commands about people');

my @id = shuffle keys %sent;
my @requests;

while (my @some = splice @id, 0, 6) {
    push @requests,
        [ 'POST', '/iclock/devicecmd?SN=SAME000001',
          join '', map { "ID=$_&Return=0&CMD=DATA\n" } @some ],
        [ 'POST', '/iclock/cdata?SN=SAME000001&table=OPERLOG&Stamp=1',
          join '', shuffle map { ("USER PIN=$_\tName=U" . rand() . "\tPri=0\n",
              "FP PIN=$_\tFID=0\tValid=1\tTMP=" . (qw/ SghT U0doVFN3 /)[rand 2]
              . "\n") } (shuffle 1 .. 120)[0 .. 9] ];
}

@response = $t->concurrently(\@requests, connections => 64);

is(scalar(grep { $_ && $_->status == 200 } @response), 80,
   'answers beside uploads of the same people');
is($t->psql("SELECT count(*) FROM iclock.command WHERE status = 'done'"), 240,
   'all answers are stored');
is(complaints(), '', 'answers beside uploads: nothing to complain of');

$t->done();
