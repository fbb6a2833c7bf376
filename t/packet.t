#!/usr/bin/perl

# Copyright (C) the ngx_http_iclock_module authors

# Data packets: uploads that are packed by tar and gzip.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Test::IClock;

my $t = Test::IClock->new;
my $url = '/iclock/cdata?SN=PACKET0001&table=OPERLOG&ContentType=tgz';
my $n = 0;

$t->start();


# an archive of files by name, made with the options of tar; a number is the
# size of a file of zeros

sub packet {
    my ($files, @option) = @_;

    my $dir = $t->dir() . '/packet' . $n++;
    mkdir $dir or die "$dir: $!";

    for my $name (sort keys %$files) {
        (my $parent = "$dir/$name") =~ s!/[^/]*$!!;
        system('mkdir', '-p', $parent);
        open my $f, '>:raw', "$dir/$name" or die "$dir/$name: $!";
        $files->{$name} =~ /^\d+\z/ ? truncate($f, $files->{$name})
                                  : print $f $files->{$name};
        close $f;
    }

    my @names = sort keys %$files;
    open my $tar, '-|:raw', 'tar', '-C', $dir, '-czPf', '-', @option, @names
        or die "tar: $!";
    local $/;
    return scalar <$tar>;
}


my $users = join '', map { "USER PIN=$_\tName=Worker $_\tPri=0\tCard=$_\n" }
                     1 .. 100;

is($t->post($url, packet({ 'data.txt' => $users
                           . "FP PIN=1\tFID=0\tSize=8\tValid=1\tTMP=SghTUw==\n"
                         }))->text, '200 OK: 101', 'a packet');
is($t->psql('SELECT count(*), max(name) FROM iclock.device_user'),
   '100|Worker 99', 'users are stored');
is($t->psql('SELECT count(*) FROM iclock.template'), 1, 'a template, too');

is($t->post($url, packet({ 'a' => "USER PIN=201\tName=A",
                           'sub/b' => "USER PIN=202\tName=B\n" }))->text,
   '200 OK: 2', 'files and directories, missing last newline');
is($t->psql("SELECT string_agg(pin, ',' ORDER BY pin) FROM iclock.device_user "
            . "WHERE pin IN ('201', '202')"), '201,202', 'both are stored');

is($t->post($url, packet({ a => "USER PIN=1\tName=A\n" }),
            -split => 1)->text, '200 OK: 1', 'one byte at a time');


is($t->post($url, packet({ a => join '', map {
       "OPLOG 4\t0\t2026-09-22 10:00:" . sprintf('%02d', $_ % 60)
       . "\t$_\t0\t0\t0\n" } 1 .. 50_000 }))->text, '200 OK: 50000',
   'records that shrink a lot');


# refused ones are kept, and acknowledged so that they do not come again

my $inner = packet({ a => $users });
my $bomb = packet({ bomb => 100 * 1024 * 1024 });

cmp_ok(length $bomb, '<', 1024 * 1024, 'a bomb is small');

my @refused = (
    [ 'not an archive', "no gzip at all", 'not a packet of tar and gzip' ],
    [ 'truncated', substr(packet({ a => $users }), 0, 100),
      'not a packet of tar and gzip' ],
    [ 'gzip of nothing', "\x1f\x8b\x08\0\0\0\0\0\0\3\3" . "\0" x 9,
      'not a packet of tar and gzip' ],
    [ 'a bomb', $bomb, 'packet is too large' ],
    [ 'a small one', packet({ bomb => "\n" x (15 * 1024 * 1024) }),
      'packet is too large' ],
    [ 'too many files', packet({ map { ("f$_" => "x\n") } 1 .. 65 }),
      'packet has too many files' ],
    [ 'an absolute path', packet({ a => $users }, '--transform=s,^,/tmp/,'),
      'packet has a path that leads out of it' ],
    [ 'a path upwards', packet({ a => $users }, '--transform=s,^,b/../../,'),
      'packet has a path that leads out of it' ],
    [ 'a packet in a packet', packet({ 'a.tgz' => $inner }),
      'packet has another packet in it' ],
);

for my $case (@refused) {
    my ($name, $body, $reason) = @$case;

    is($t->post($url, $body)->text, '200 OK: 1', $name);
    is($t->psql("SELECT reason FROM iclock.rejected_line WHERE line = '\\x"
                . unpack('H*', $body) . "'"),
       $reason, "$name: kept with the reason") if length $body < 50_000;
    is($t->psql("SELECT count(*) > 0 FROM iclock.rejected_line "
                . "WHERE reason = '$reason'"), 't', "$name: the reason");
}

my $link = $t->dir() . '/link';
mkdir $link;
symlink '/etc/passwd', "$link/l";
is($t->post($url, scalar `tar -C $link -czf - l`)->text, '200 OK: 1',
   'a symbolic link');
is($t->psql("SELECT count(*) FROM iclock.rejected_line WHERE reason = "
            . "'packet has something else than plain files'"), 1, 'refused');

# what is made to keep a worker busy without a line

my $nothing = "\x1f\x8b\x08\0\0\0\0\0\0\3\3\0" . "\0" x 8;

sub busy {
    my ($name, $body, $expected) = @_;

    $t->psql('TRUNCATE iclock.rejected_line');
    is($t->post($url, $body)->text, $expected, $name);
    is($t->psql('SELECT reason FROM iclock.rejected_line'),
       $expected =~ /: 1\z/ ? 'not a packet of tar and gzip' : '',
       "$name: the reason");
}

busy('a few parts that hold nothing',
     $nothing x 3000 . packet({ a => $users }), '200 OK: 100');
busy('too many of them', $nothing x 9000 . packet({ a => $users }),
     '200 OK: 1');


# a header of tar, and what follows it

sub member {
    my ($type, $data) = @_;

    my $header = pack 'a100 a8 a8 a8 a12 a12 a8 a1 a100 a6 a2 a32 a32 a16',
                      'name', '0000644', '0000000', '0000000',
                      sprintf('%011o', length $data), '00000000000',
                      ' ' x 8, $type, '', 'ustar', '00', '', '', '';

    $header = pack 'a512', $header;
    substr($header, 148, 8) = sprintf "%06o\0 ", unpack '%32C*', $header;

    return $header . $data . "\0" x (-length($data) % 512);
}


sub zipped {
    my $file = $t->dir() . '/members';

    open my $f, '>:raw', $file or die "$file: $!";
    print $f @_, "\0" x 1024;
    close $f;

    return scalar `gzip -9 < $file`;
}


my $comment = '1000000 comment=' . 'x' x 999_983 . "\n";

busy('a short comment', zipped(member('x', "14 comment=ab\n"),
                               member('0', $users)), '200 OK: 100');
busy('a long one', zipped(member('x', $comment), member('0', $users)),
     '200 OK: 1');
busy('a long name', zipped(member('L', 'n' x 1000), member('0', $users)),
     '200 OK: 100');
busy('many long ones', zipped((member('L', 'n' x 1_000_000)) x 8,
                              member('0', $users)), '200 OK: 1');


# packets of other tables

for ([ ATTLOG => "5\t2026-09-22 10:00:00\t0\t1\n6\t2026-09-22 10:00:01\t0\t1\n",
       '200 OK: 2', 'SELECT count(*) FROM iclock.punch', 2 ],
     [ BIODATA => "BIODATA Pin=7\tNo=0\tType=9\tMajorVer=58\tTmp=AAAA\n",
       '200 OK: 1', "SELECT count(*) FROM iclock.template WHERE pin = '7'", 1 ],
     [ USERINFO => "PIN=8\tName=Asha\n", '200 OK: 1',
       "SELECT name FROM iclock.device_user WHERE pin = '8'", 'Asha' ],
     [ IDCARD => "IDCARD PIN=8\tIDNum=21X\tName=A\n", '200 OK: 1',
       "SELECT pin FROM iclock.identity_card WHERE id_number = '21X'", 8 ],
     [ ERRORLOG => "ERRORLOG ErrCode=1\tErrMsg=x\n", '200 OK',
       'SELECT message FROM iclock.device_error', 'x' ],
     [ FOO => "a\nb\n", '200 OK: 2', 'SELECT count(*)'
       . " FROM iclock.rejected_line WHERE table_name = 'FOO'", 2 ])
{
    my ($table, $text, $reply, $query, $expected) = @$_;

    is($t->post($url =~ s/OPERLOG/$table/r, packet({ a => $text }))->text,
       $reply, "a packet of $table");
    is($t->psql($query), $expected, "$table: stored");
}

is($t->post($url, '')->text, '200 OK: 0', 'nothing');
is($t->post($url, packet({ a => "USER PIN=9\tName=Z\n" }))->text,
   '200 OK: 1', 'the next packet is stored');
is($t->psql("SELECT name FROM iclock.device_user WHERE pin = '9'"), 'Z',
   'its user');

$t->done();
