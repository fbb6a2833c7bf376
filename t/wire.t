#!/usr/bin/perl

# Copyright (C) the ngx_http_iclock_module authors

# Every function of a command the whole way: call, poll, the bytes that the
# terminal gets, answer, status.  The calls and the bytes are taken from
# t/sql/wire.sql, which shows what each call puts into the queue; only here does
# a terminal read them, execute them and answer.

use strict;
use warnings;

use Digest::MD5 qw/ md5_hex /;
use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Test::IClock;
use Test::IClock::Process qw/ slurp /;

my $t = Test::IClock->new;
my $files = $t->dir() . '/files';

my %file = (
    'fw/X938/main.tgz' => join('', map { chr($_ * 7 % 256) } 1 .. 100_000),
    'fw/X938/desktop.jpg' => "\xff\xd8\xff",
    'fw/X938/ssruser.dat' => "data\0",
    'photo/9.jpg' => "\xff\xd8\xff",
    'u.tgz' => join('', map { "USERINFO PIN=$_\tName=N$_\tPri=0\n" } 1 .. 120),
    'emfw.cfg' => join('', map { chr($_ * 13 % 256) } 1 .. 6558),
);

for my $dir ($files, map { "$files/$_" } qw{ photo fw fw/X938 }) {
    mkdir $dir or die "$dir: $!";
    chmod 0755, $dir;
}

for my $name (keys %file) {
    open my $out, '>:raw', "$files/$name" or die "$files/$name: $!";
    print $out $file{$name};
    close $out;
}

$t->start($t->device_server(location => "iclock_files $files;"));
$t->psql("SELECT iclock.register_device('P001'),"
         . " iclock.register_device('S001', dialect => '3.2')");
$t->psql("SELECT iclock.set_device('P001', timezone => 'Asia/Kolkata')");

my %terminal = (
    P001 => $t->terminal('P001', eol => 'mixed', patience => 60,
                         algorithms => { 1 => 10, 2 => 7, 7 => 3, 8 => 12,
                                        9 => 40 }),
    S001 => $t->terminal('S001', dialect => '3.2', eol => "\r\n",
                         patience => 60,
                         count_name => 'AttlogCount',
                         algorithms => { 1 => 10, 2 => 7 }),
);

for my $terminal (values %terminal) {
    $terminal->online();
    $terminal->{shell} = sub { "$_[0]\n\0" };
    $terminal->{files}{$_} = "a\nb\0"
        for qw{ /mnt/mtdblock/data/ssruser.dat data/ssruser.dat };
    $terminal->enroll($_, name => "User $_", fingers => { 6 => 'finger' },
                      photo => "\xff\xd8\xff") for 1, 9, 408;
    $terminal->work_off();
}


# the calls, and the bytes that they must send

my @case = slurp("$FindBin::Bin/sql/wire.sql")
           =~ /^\('([PS][ ][^']*)',\ \$\$(.*?)\$\$,
               \s*'((?:[^']|'')*)'\)[,;]$/gmsx;
my @wire;

while (my ($section, $call, $body) = splice @case, 0, 3) {
    $body =~ s/\xe2\x87\xa5/\t/g;
    $body =~ s/''/'/g;

    push @wire, { section => $section, call => $call, body => $body,
                  sn => $call =~ /'([PS]001)'/ ? $1 : '' };
}

cmp_ok(scalar @wire, '>=', 90, scalar(@wire) . ' calls');

my %function = map { $_->{call} =~ /^(\w+)/ ? ($1 => 1) : () } @wire;
my @missing = grep { !$function{$_} } $t->psql_lines(<<'SQL');
    SELECT DISTINCT proname FROM pg_proc
     WHERE pronamespace = 'iclock'::regnamespace
       AND prorettype = 'int8'::regtype AND NOT proretset
       AND proargnames[1] = 'serial_number'
       AND prosrc LIKE '%queue_command%' AND proname <> 'queue_command'
SQL

is("@missing", '', 'no function is left out');

# each is executed before the next is queued, which may say all that it does

my $session = $t->pg->session();

for (@wire) {
    my $terminal = $terminal{$_->{sn}};
    my @id = $session->query("SELECT iclock.$_->{call}");

    is(scalar @id, 1, "$_->{section}: one command is queued") or next;
    $_->{id} = $id[0];

    wait_until(30, sub {
        $terminal->work_off();
        return defined $terminal->got->{$id[0]};
    });
}

# those of checksums and numbers of records that are the documents' own
my %refused = map { $_->{id} => 1 } grep { $_->{body} =~ /^UPGRADE / } @wire;

my %state = map { /^(\d+)\|(.*)/ ? ($1 => $2) : () } $t->psql_lines(
    'SELECT id, status, attempts, return_code FROM iclock.command');

for (@wire) {
    my ($id, $terminal) = ($_->{id}, $terminal{$_->{sn}});
    my $name = "$_->{section}: $_->{call}";

    is($terminal->got->{$id}, $_->{body}, $name);

    my $code = $terminal->returned->{$id};
    my $good = $code == 0
               || $code > 0 && $_->{body} =~ /^(?:DATA QUERY|PutFile|GetFile)/;

    is($state{$id}, ($good ? 'done' : 'failed') . "|1|$code",
       "$_->{section}: answered: $code");

    # users and templates that another call has deleted, or enrolled
    $refused{$id} = 1 if $code == -4 || $code == -10
                         || $code == 2 && $_->{body} =~ /OVERWRITE=[02]/;
    ok($refused{$id} || $good, "$_->{section}: executed") or diag($name);
}


# what became of it

is($t->psql(<<'SQL'), "done|ls\ndone|ls -l /mnt | head", 'shells printed');
    SELECT status, encode(substr(reply, 1, length(reply) - 2), 'escape')
      FROM iclock.command
     WHERE body LIKE 'SHELL ls%' AND right(reply::text, 4) = '0a00'
     ORDER BY length(reply)
SQL

my $p = $terminal{P001};

is($p->{files}{'main.tgz'}, $file{'fw/X938/main.tgz'},
   'a file was loaded');
cmp_ok($p->{pieces}, '>', 6, 'in pieces');
is($p->{reboots}, 1, 'rebooted');
is($p->{opened}, 1, 'opened');
is($p->{option}{IPAddress}, '192.168.1.225', 'an option was set');

my $url = 'http://192.0.2.1/emfw.cfg';

for my $method (qw/ raw base64 /) {
    my $md5 = md5_hex($file{'emfw.cfg'});
    my $call = "iclock.upgrade_firmware('P001', url => '$url?$method',"
               . " file => 'emfw.cfg', size => 6558, method => '$method'";
    my $id = $t->psql("SELECT $call, checksum => '$md5')");
    my $wrong = $t->psql("SELECT $call, checksum => '0$md5')");

    delete $p->{firmware};
    wait_until(30, sub { $p->work() });

    ok($p->{firmware} eq $file{'emfw.cfg'}, "UPGRADE, $method");
    is($t->psql("SELECT string_agg(status || return_code, ' ' ORDER BY id)"
                . " FROM iclock.command WHERE id IN ($id, $wrong)"),
       'done0 failed-6', 'the checksum counts');
    is($t->get("/iclock/file?SN=P001&url=$url?$method")->status, 404,
       'and it is gone');
}

$t->done();
