#!/usr/bin/perl

# Copyright (C) the ngx_http_iclock_module authors

# The configuration and the SQL of docs/migrate.md, as they stand there, with
# simulated terminals and a script server that they come from.

use strict;
use warnings;

use Cwd qw/ abs_path /;
use FindBin;
use IO::Socket::INET;
use JSON::PP qw/ decode_json /;
use POSIX qw/ strftime /;
use Test::More;

use lib "$FindBin::Bin/lib";
use Test::IClock;
use Test::IClock::Process qw/ command slurp spawn /;

my $root = abs_path("$FindBin::Bin/..");
my $doc = slurp("$root/docs/migrate.md");
my $t = Test::IClock->new;
my $dir = $t->dir;
my $seen = "$dir/seen";
my ($gate, $old, $clock) = qw/ AJE0000000133 OLD0000000001 TFT0000000001 /;

my ($conf) = $doc =~ /^```nginx\n(.*?)^```$/ms;
my @sql = $doc =~ /^```sql\n(.*?)^```$/gms;

is(scalar @sql, 9, 'the blocks');

# links within the manual, and from it

my %own = map { lc(s/[^\w\s-]//gr =~ s/\s/-/gr) => 1 } $doc =~ /^#+ (.*)$/mg;

is(join(' ', grep { !$own{$_} } $doc =~ /\]\(#([\w-]+)\)/g), '', 'its links');
is(join(' ', grep { !-e "$root/docs/$_" } $doc =~ /\]\(([\w.\/-]+)/g), '',
   'its files');


# A script server: it stores nothing but lines of what it gets, and has one
# command to give.

sub server {
    my $listen = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 64,
                                       LocalPort => $t->port(1),
                                       ReuseAddr => 1) or die "server: $!";
    my $pid = fork;

    die "fork: $!" if !defined $pid;

    if ($pid) {
        close $listen;
        return $pid;
    }

    my %given;

    while (my $c = $listen->accept()) {
        my $head = '';

        $head .= <$c> // last while $head !~ /\r\n\r\n\z/;

        my ($length) = $head =~ /^Content-Length: (\d+)/mi;
        my $body = '';

        read $c, $body, $length if $length;

        my ($uri) = $head =~ /^\w+ (\S+)/;
        my ($sn) = $uri =~ /\bsn=(\w+)/i;
        my $lines = () = $body =~ /\n/g;
        my $reply = $uri =~ /table=(?:options|ATTPHOTO)/ ? 'OK'
                  : $uri =~ /options=all/
                    ? "GET OPTION FROM: $sn\nATTLOGStamp=0\nOPERLOGStamp=0\n"
                      . "Stamp=0\nErrorDelay=1\nDelay=1\nRealtime=1\n"
                      . "TransFlag=1111111111\nTimeZone=330\nSyncTime=0\n"
                      . "MultiBioDataSupport=0:1:0:0:0:0:0:0:0:1\n"
                  : $uri =~ /cdata/ ? "OK: $lines"
                  : $uri =~ /getrequest/ && !$given{$sn}++ ? "C:88:INFO\n"
                  : 'OK';

        open my $f, '>>:raw', $seen;
        print $f "$uri\n", map { "$sn: $_\n" } split /\n/, $body
            if $uri !~ /ATTPHOTO/;
        close $f;

        print $c "HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n"
                 . 'Content-Length: ' . length($reply) . "\r\n"
                 . 'Date: ' . strftime('%a, %d %b %Y %H:%M:%S GMT', gmtime)
                 . "\r\n\r\n$reply";
        close $c;
    }

    POSIX::_exit(0);
}


# the configuration, with the terminals that this server answers

sub configuration {
    my @home = @_;

    my $text = $conf;

    $text =~ s/listen 8081;/listen 127.0.0.1:%%PORT%%;/;
    $text =~ s/127\.0\.0\.1:8082/127.0.0.1:%%PORT_1%%/;
    $text =~ s/127\.0\.0\.1:8083/127.0.0.1:%%PORT_2%%/g;
    $text =~ s/# AJE0000000133  new;/join "\n", map { "$_ new;" } @home/e;

    return "iclock_database \"" . $t->conninfo() . "\";\n"
           . "iclock_zone iclock:1m;\n$text";
}


my $server = server();

$t->start(configuration());

END { kill 'KILL', $server if $server }


# Terminals: everything of theirs is stored by the old server, and they are
# pending here.

my $fifo = "$dir/orders";

system('mkfifo', $fifo) == 0 or die 'mkfifo';

my $log = "$dir/simulator";
my $pid = spawn({ out => $log }, 'sh', '-c', 'exec "$0" "$@" < ' . $fifo,
                "$root/tools/iclock-simulator", '--quiet', '--json',
                '--server', 'http://127.0.0.1:' . $t->port() . '/iclock',
                '--model', 'face,old,sdk', '--sn', $gate, '--sn', $old, '--sn',
                $clock, '--people', 3, '--history', 3, '--rate', 0,
                '--photos', 0, '--seed', 5, '--speed', 4, '--control',
                '--parent', $$);

open my $orders, '>', $fifo or die "$fifo: $!";
$orders->autoflush(1);


sub figures {
    my $before = slurp($log);

    print $orders "figures\n";
    wait_until(60, sub { slurp($log) =~ /\A\Q$before\E.*\}\n\z/s
                         && slurp($log) ne $before });

    return decode_json((split /\n/, slurp($log))[-1]);
}


sub stored {
    my ($sn) = @_;

    return $t->psql('SELECT count(*) FROM iclock.punch p'
                    . ' JOIN iclock.device d ON d.id = p.device_id'
                    . " WHERE serial_number = '$sn'");
}


# a punch as the old server has it

sub had {
    my ($sn, $pin) = @_;

    return scalar(() = slurp($seen) =~ /^$sn: $pin\t/mg);
}


ok(wait_until(60, sub { my $f = figures();
                        $f->{counters}{handshakes} >= 3
                        && !$f->{waiting} }),
   'the old server has answered everything') or diag(slurp($log));

my $history = figures()->{counters}{acknowledged};

cmp_ok($history, '>', 0, 'the punches of some days');
ok(wait_until(60, sub {
       $t->psql("SELECT count(*) FROM iclock.device"
                . " WHERE status = 'pending'") == 3 }),
   'here the terminals are pending');
is($t->psql('SELECT count(*) FROM iclock.punch'), 0, 'and nothing is stored');

# let in, as it is written there

my ($let_in) = grep { /approve_device/ } @sql;

like($t->psql($let_in), qr/^$gate\|/m, 'who is there');
$t->psql("SELECT iclock.approve_device('$_'),"
         . " iclock.set_device('$_', timezone => 'Asia/Kolkata')")
    for $old, $clock;

for my $sn ($gate, $old, $clock) {
    ok(wait_until(60, sub { $t->device($sn, port => $t->port(2))->poll()
                              ->status == 200 }),
       "nginx knows that $sn is let in");
}


# From now on there are copies.

print $orders "punch $_ 1001\n" for $gate, $old, $clock;

ok(wait_until(60, sub { !grep { stored($_) != 1 } $gate, $old, $clock }),
   'a punch of each comes here, too')
    or diag(join ' ', map { stored($_) } $gate, $old, $clock);
ok(wait_until(60, sub { !figures()->{waiting} }),
   'and the old server has it');

is($t->psql('SELECT max(abs(extract(epoch FROM received_at - punched_at)))'
            . ' < 600 FROM iclock.punch'), 't', 'at the right time');

ok(wait_until(60, sub { (() = slurp($seen) =~ /^\w+: ID=88/mg) == 3 }),
   'the commands of the old server were answered to it');
is($t->psql('SELECT count(*) FROM iclock.refused_answer'), 0,
   'and to nobody else');
ok(wait_until(60, sub {
       $t->psql("SELECT count(*) FROM iclock.device_presence"
                . " WHERE address = '127.0.0.1'") == 3 }),
   'who polls there is known to be there');

# what is queued waits

my $id = $t->psql("SELECT iclock.put_user('$gate', '4001', 'Ana')");

print $orders "punch $gate 1002\n";
ok(wait_until(60, sub { stored($gate) == 2 }), 'one more');
is($t->psql("SELECT status FROM iclock.command WHERE id = $id"), 'queued',
   'commands wait for the switch');

my ($compare) = grep { /beside the same/ } @sql;
my ($day, $next) = split /\|/, $t->psql(
    'SELECT min(local_time)::date, max(local_time)::date + 1'
    . ' FROM iclock.punch');

$compare =~ s/'2026-11-20'(.*)'2026-11-21'/'$day'$1'$next'/s;
like($t->psql($compare), qr/^$gate\|Gate 1\|2\|/m, 'the comparison');


# The switch of one terminal.

$t->reload(configuration($gate));

print $orders "punch $gate 1003\n";
ok(wait_until(60, sub { stored($gate) == 3 && had($gate, 1003) }),
   'a punch is answered here, and a copy goes there');
ok(wait_until(60, sub { $t->psql("SELECT status FROM iclock.command"
                                 . " WHERE id = $id") eq 'done' }),
   'the command that has waited is done');

my ($check) = grep { /check_data/ } @sql;

$t->psql($check);
ok(wait_until(60, sub { $t->psql("SELECT count(*) FROM iclock.command"
                                 . " WHERE body = 'CHECK'"
                                 . " AND status = 'done'") == 1 }),
   'it has read its settings here');

# what was recorded before the trial

my ($verify) = grep { /verify_attendance/ } @sql;
my ($first, $last) = split /\|/, $t->psql(
    "SELECT max(local_time)::date - 30, max(local_time)::date + 1"
    . ' FROM iclock.punch');

$verify =~ s/'2026-11-01', '2026-11-22'/'$first', '$last'/;
$t->psql($verify);

ok(wait_until(60, sub { $t->psql('SELECT status FROM iclock.reconciliation')
                        eq 'agreed' }),
   'what came before the trial is fetched')
    or diag($t->psql('SELECT * FROM iclock.reconciliation'));
cmp_ok(stored($gate), '>', 3, 'there it is');
# it goes back

$t->reload(configuration());
print $orders "punch $gate 1001 4\n";
ok(wait_until(60, sub { slurp($seen) =~ /^$gate: 1001\t[^\t]*\t4\t/m }),
   'and back: the old server answers');
ok(wait_until(60, sub { $t->psql("SELECT count(*) FROM iclock.punch"
                                 . ' WHERE status = 4') == 1 }),
   'and the copy comes here');


# All of them, which start again: none uploads anything again.

$t->reload(configuration($gate, $old, $clock));

my $f;

# what the old server has noted before it answered is acknowledged then
wait_until(60, sub { $f = figures(); !$f->{waiting} });

my $before = $f->{counters}{acknowledged};

print $orders "off $_\non $_\n" for $gate, $old, $clock;

ok(wait_until(60, sub { figures()->{counters}{handshakes}
                        >= $f->{counters}{handshakes} + 3 }),
   'all start again');
print $orders "punch $_ 1002 5\n" for $old, $clock;
ok(wait_until(60, sub { $t->psql("SELECT count(*) FROM iclock.punch"
                                 . ' WHERE status = 5') == 2 }),
   'and go on');
# the answers may be on their way still
wait_until(60, sub { figures()->{counters}{acknowledged} >= $before + 2 });
is(figures()->{counters}{acknowledged}, $before + 2,
   'nothing came a second time: they got back their stamps');


# This server is away, or does not answer: nobody notices, the old one has what
# there is, and who would keep a connection does not wait for the copy.

$t->reload(configuration());

for my $case ([ 'away', sub { $t->pg->stop() }, sub { $t->pg->start() } ],
              [ 'frozen', sub { $t->pg->freeze() }, sub { $t->pg->thaw() } ])
{
    my ($name, $begin, $end) = @$case;
    my %before = map { $_ => had($_, 1003) } $gate, $old, $clock;

    $begin->();
    print $orders "punch $_ 1003\n" for $gate, $old, $clock;
    ok(wait_until(60, sub { !grep { had($_, 1003) == $before{$_} }
                            $gate, $old, $clock }),
       "$name: the old server has a punch of each");
    ok(wait_until(60, sub { !figures()->{waiting} }),
       "$name: and has said so");

    my $r = $t->connect()->post("/iclock/cdata?SN=$gate&table=ERRORLOG",
                                "ErrCode=1\tErrMsg=x\n");

    is($r->text, '200 OK: 1', "$name: an answer");
    is($r->header('Connection'), 'close',
       "$name: the next request comes on another connection");
    $end->();

    # all its connections
    ok(wait_until(60, sub {
        !grep { !$_ || $_->status != 200 } $t->concurrently(
            [ map { [ 'GET', "/iclock/cdata?SN=$gate&type=LastPunch&PIN=1" ] }
              1 .. 20 ], port => $t->port(2), connections => 20)
    }), "$name: this server is there again");
}

close $orders;
waitpid $pid, 0;
is($?, 0, 'the terminals have lost nothing') or diag(slurp($log));


# The databases of others.  Half of the punches are there already, as terminals
# have sent them, and some terminals have called during the trial.

is($t->device($_, port => $t->port(2), patience => 60)->handshake()->status,
   401, "$_ is pending") for qw/ SCRIPT02 ESSL0002 BIO00002 /;

my $stamp = stamp(time);


# of old firmware, which counts seconds of months of 31 days

sub stamp {
    my ($second, $minute, $hour, $day, $month, $year) = gmtime $_[0];

    return ((($year % 100) * 12 + $month) * 31 + $day - 1) * 86_400
           + ($hour * 60 + $minute) * 60 + $second;
}


sub file {
    my ($name, @line) = @_;

    open my $f, '>', "$dir/$name" or die "$dir/$name: $!";
    print $f map { "$_\n" } @line;
    close $f;
    chmod 0644, "$dir/$name";

    return;
}


# the rows of a terminal, a comma between the columns

my @known = $t->psql_lines("SELECT concat_ws(',', serial_number, pin,"
    . " local_time, p.status, p.verify, p.work_code) FROM iclock.punch p"
    . " JOIN iclock.device d ON d.id = p.device_id"
    . " WHERE serial_number = '$gate' ORDER BY local_time LIMIT 3");

is(scalar @known, 3, 'punches that terminals have sent');

my %import = (
    script => sub {
        file('script.csv', 'sn,pin,time,s1,s2,s3', @known,
             "SCRIPT01,7,2019-05-06 08:00:00,0,NULL,NULL",
             "SCRIPT02,7,2019-05-06 08:00:00,0,NULL,NULL",
             "$gate,7,2019-05-06 08:00:00,0,1,0");
    },
    essl => sub {
        file('essl.csv', 'SerialNumber,UserId,LogDate,C4,C5,WorkCode', @known,
             "ESSL0001,1101066,2019-10-01 00:28:39,255,1,0",
             "ESSL0001,1101039,2019-10-01 00:29:24,255,1,NULL");
        file('essl_devices.csv', 'SerialNumber,f,l,z,t,o',
             "ESSL0001,Gate 7,Pune,330,$stamp,637418433",
             "ESSL0002,Gate 8,Pune,330,9999,9999",
             "ESSL0003,Gate 9,,330,9999,9999",
             "$gate,Gate 1,Pune,330,,");
    },
    biotime => sub {
        file('biotime.csv', 'terminal_sn,emp_code,punch_time,s,v,w', @known,
             'BIO00001,17,2021-08-21 22:30:00,0,1,',
             'BIO00001,17,2021-08-21 23:30:00,1,15,0');
        file('biotime_terminals.csv', 'sn,alias,area,l,o,c',
             "BIO00001,RELOJ,Lima,$stamp,$stamp,0",
             'BIO00002,RELOJ 2," ",9999,,', "$gate,Gate 1,Pune,,,");
    },
);
my %result = (
    script => [ "$gate stored 1 known 3", 'SCRIPT01 stored 1 known 0',
                'SCRIPT02 stored 1 known 0' ],
    essl => [ "$gate stored 0 known 3", 'ESSL0001 stored 2 known 0',
              'ESSL0002 stored 0 known 0', 'ESSL0003 stored 0 known 0' ],
    biotime => [ "$gate stored 0 known 3", 'BIO00001 stored 2 known 0',
                 'BIO00002 stored 0 known 0' ],
);

for my $name (qw/ script essl biotime /) {
    my ($block) = grep { /^-- $name\b/m } @sql;

    $import{$name}->();
    $block =~ s/FROM '(\w+\.csv)'/FROM '$dir\/$1'/g;

    my ($status, $out, $err) = $t->pg->psql_try($block, user => 'postgres');

    is($status, 0, "$name: the block") or diag($err);

    # a pair of rows for each terminal, in their order
    my @count = $out =~ /^stored\|(\d+)\|.*\nknown\|(\d+)\|/mg;
    my @sn = sort map { /^(\S+)/ } @{$result{$name}};
    my @got;

    push @got, "$_ stored " . shift(@count) . ' known ' . shift @count
        for @sn;

    is(join("\n", @got), join("\n", sort @{$result{$name}}),
       "$name: what is stored and known") or diag($out);
    unlike($out, qr/^bad\|/m, "$name: no bad line");
}

is($t->psql("SELECT string_agg(d.serial_number || ' ' || table_name || ' '"
            . " || CASE stamp WHEN '$stamp' THEN 'taken over' ELSE stamp END,"
            . " ', ' ORDER BY d.serial_number, table_name)"
            . " FROM iclock.upload_stamp s"
            . ' JOIN iclock.device d ON d.id = s.device_id'
            . " WHERE serial_number ~ '^(ESSL|BIO)'"),
   'BIO00001 ATTLOG taken over, BIO00002 ATTLOG 9999,'
   . ' ESSL0001 ATTLOG taken over, ESSL0002 ATTLOG 9999,'
   . ' ESSL0003 ATTLOG 9999', 'the stamps');
is($t->psql("SELECT serial_number, status, name, site, timezone"
            . " FROM iclock.device WHERE serial_number ~ '^(ESSL|BIO|SCRIPT)'"
            . ' ORDER BY serial_number') . "\n", <<'END', 'the terminals');
BIO00001|active|RELOJ|Lima|Asia/Kolkata
BIO00002|active|RELOJ 2||Asia/Kolkata
ESSL0001|active|Gate 7|Pune|Asia/Kolkata
ESSL0002|active|Gate 8|Pune|Asia/Kolkata
ESSL0003|active|Gate 9||Asia/Kolkata
SCRIPT01|active|||Asia/Kolkata
SCRIPT02|active|||Asia/Kolkata
END


# A terminal that another server has read goes on behind the stamp, and sends
# its people.  One without a stamp sends everything.

$t->psql("SELECT iclock.register_device('BARE0001',"
         . " timezone => 'Asia/Kolkata')");

for my $sn (qw/ ESSL0001 BARE0001 /) {
    my $out = "$dir/moved-$sn";

    command({ out => $out }, "$root/tools/iclock-simulator", '--json',
            '--quiet', '--server', 'http://127.0.0.1:' . $t->port(2)
            . '/iclock', '--model', 'old', '--sn', $sn, '--people', 3,
            '--history', 4, '--moved', '--rate', 0, '--duration', 1,
            '--seed', 5);

    my ($json) = slurp($out) =~ /^(\{.*\})$/m;
    my $said = decode_json($json);

    is($said->{counters}{acknowledged} > 0, $sn eq 'BARE0001',
       "$sn: " . ($sn eq 'BARE0001' ? 'everything' : 'nothing') . ' again');
    cmp_ok($said->{counters}{lines}, '>', 3, "$sn: its people");
}

$t->done();
