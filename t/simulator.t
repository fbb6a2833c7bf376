#!/usr/bin/perl

# Copyright (C) the ngx_http_iclock_module authors

# tools/iclock-simulator: what its terminals say is stored, they do what they
# are told, and what a real terminal would not like is named.

use strict;
use warnings;

use Cwd qw/ abs_path /;
use FindBin;
use IO::Socket::INET;
use JSON::PP qw/ decode_json /;
use Test::More;
use Time::HiRes qw/ sleep time /;

use lib "$FindBin::Bin/lib";
use Test::IClock;
use Test::IClock::Process qw/ command slurp spawn /;

my $root = abs_path("$FindBin::Bin/..");
my $simulator = "$root/tools/iclock-simulator";
my $t = Test::IClock->new;
my $dir = $t->dir;
my $runs = 0;


# Its status, the figures that it has printed, and what it does not like.

sub play {
    my @option = @_;

    my $out = "$dir/play" . ++$runs;
    my $status = command({ out => $out, err => "$out.err" }, $simulator,
                         '--json', '--quiet', '--seed', 7, @option) >> 8;
    my ($json) = slurp($out) =~ /^(\{.*\})$/m;

    return ($status, $json ? decode_json($json) : {}, slurp("$out.err"));
}


# how many there are of a kind, of terminals whose serial number begins so

sub stored {
    my ($table, $prefix) = @_;

    return $t->psql("SELECT count(*) FROM iclock.$table r"
                    . " JOIN iclock.device d ON d.id = r.device_id"
                    . " WHERE serial_number LIKE '$prefix%'");
}


# the manual

is(command({ out => "$dir/help" }, $simulator, '--help'), 0, '--help');
is(command({ out => "$dir/man" }, $simulator, '--man'), 0, '--man');
like(slurp("$dir/man"), qr/^NAME\n +iclock-simulator - plays.*^SEE ALSO$/ms,
     'is the manual');
is(command({ out => "$dir/md" }, "$root/tools/pod2md", $simulator), 0,
   'the manual as Markdown');

my $manual = slurp("$dir/md");

if ($ENV{DOCS}) {
    open my $f, '>', "$root/docs/iclock-simulator.md" or die "docs: $!";
    print $f $manual;
    close $f;
}

is(slurp("$root/docs/iclock-simulator.md"), $manual,
   'docs/iclock-simulator.md is what "make docs" makes of it');

my %told = map { $_ => 1 } slurp("$dir/help") =~ /(--[a-z][\w-]+)/g;

is(join(' ', grep { !/^--(?:help|man)$/ && $manual !~ /\Q$_\E\b/ }
             sort keys %told), '', 'the manual has each option of --help');

command({ out => "$dir/models" }, $simulator, '--list-models');
is(join(' ', grep { $manual !~ /^\*\*$_\*\*<br>$/m }
             slurp("$dir/models") =~ /^(\w+)/mg), '', 'and each model');

is((play('--model', 'nonesuch'))[0], 2, 'an unknown model');
is((play('--server', 'nowhere'))[0], 2, 'an address that is none');
is((play(@$_))[0], 2, "not an option: @$_")
    for [ '--nonesuch' ], [ 'word' ], [ '--rate', 'often' ],
        [ '--devices', 0 ], [ '--connections', 901 ];


# All models together: what they have recorded is stored, once.  Those of
# another brand get their list with spaces.

$t->start($t->device_server(location => 'iclock_delay 2s;'
                                        . ' iclock_error_delay 1s;'));

my @server = ('--server', 'http://127.0.0.1:' . $t->port() . '/iclock');

$t->psql("SELECT iclock.register_device('$_');"
         . " SELECT iclock.set_device('$_', trans_flag => 'spaces')")
    for qw/ CGK0000000004 CGK0000000011 /;

my ($status, $said, $err) = play(@server, '--devices', 14, '--model', 'all',
                                 '--people', 14, '--history', 3, '--rate',
                                 1800, '--speed', 20, '--spread', 0,
                                 '--duration', 3, '--lose', 0.1,
                                 '--drain', 120);
my $c = $said->{counters};

is($err, '', 'nothing that terminals do not like');
is($status, 0, 'the server has acknowledged everything');
is(stored('punch', ''), $c->{punches}, 'each punch is stored, once');
is(stored('photo', ''), $c->{photos}, 'each photo, too');
is($t->psql("SELECT count(*) FROM iclock.photo"
            . " WHERE substr(content, 1, 2) = '\\xffd8'"), $c->{photos},
   'is a JPEG');
cmp_ok($c->{answers_lost}, '>', 0, 'some came twice');
is($t->psql('SELECT count(*) FROM iclock.rejected_line'), 0,
   'no line is rejected');

# what polls have told is stored a little later

my $expected = <<'EOT';
AJE|2.4|2.4.1|14|10|14|1/10 9/39
CEX|2.4|2.2.14|14|10|14|1/10 2/7
CEZ|2.4|2.4.0|14|10|14|1/10
CGK|2.4|2.4.0|14|10|14|1/10
NYU|2.4|2.4.2|14|10|14|1/10 9/40
OLD|2.4||14|9|14|1/9
TFT|3.2|2.0.3.636|14|10|14|1/10
EOT
my $terminals;

wait_until(30, sub {
    $terminals = $t->psql(<<'SQL') . "\n";
SELECT substr(d.serial_number, 1, 3), d.dialect, d.push_version, d.user_count,
       d.fingerprint_version,
       (SELECT count(*) FROM iclock.device_user u WHERE u.device_id = d.id),
       (SELECT string_agg(DISTINCT t.type || '/' || t.major_version, ' ')
          FROM iclock.template t WHERE t.device_id = d.id)
  FROM iclock.device d WHERE d.serial_number ~ '0000[0-7]$'
 ORDER BY d.serial_number COLLATE "C"
SQL
    return $terminals eq $expected;
});
is($terminals, $expected, 'what they are');

is($t->psql("SELECT count(*) FROM iclock.punch p"
            . " JOIN iclock.device d ON d.id = p.device_id"
            . " WHERE abs(extract(epoch FROM now() - punched_at)) < 600"
            . " AND serial_number LIKE 'NYU%'") > 0, 1,
   'the clocks are right');

# the other brand where the list is written with tabs

($status, $said) = play(@server, '--model', 'essl', '--sn', 'TABS0001',
                        '--people', 3, '--history', 3, '--rate', 0,
                        '--duration', 0.5, '--drain', 0.5);
is($status, 1, 'a terminal that cannot read TransFlag keeps its punches');
is($said->{waiting}, $said->{counters}{punches}, 'and it is told how many');
is(stored('punch', 'TABS'), 0, 'none is stored');


# Commands, and orders by standard input.

my $fifo = "$dir/orders";

system('mkfifo', $fifo) == 0 or die 'mkfifo';

my $pid = spawn({ out => "$dir/control" }, 'sh', '-c',
                'exec "$0" "$@" < ' . $fifo, $simulator, @server, '--model',
                'face,sdk', '--sn', 'OBEY0001', '--sn', 'OBEY0002', '--rate',
                0, '--people', 3, '--speed', 20, '--control', '--parent', $$);

open my $orders, '>', $fifo or die "$fifo: $!";
$orders->autoflush(1);

ok(wait_until(60, sub { stored('device_user', 'OBEY') == 6 }),
   'two terminals with their people');

print $orders "punch OBEY0001 1002 1\npunch NONE0001 1\nnonsense\n",
              "enroll OBEY0001 2001 Zoe\n";

ok(wait_until(60, sub { stored('punch', 'OBEY') == 1 }), 'punch');
is($t->psql("SELECT p.pin, p.status, p.verify IN (1, 15)"
            . " FROM iclock.punch p"
            . " JOIN iclock.device d ON d.id = p.device_id"
            . " WHERE serial_number = 'OBEY0001'"), '1002|1|t', 'of whom');
ok(wait_until(60, sub {
       $t->psql("SELECT name FROM iclock.device_user WHERE pin = '2001'")
           eq 'Zoe' }), 'enroll');

# what it writes into its log when it is on again is known by its second

sleep 1;

$t->psql(<<'SQL');
SELECT iclock.put_user('OBEY0001', '3001', 'Ana'),
       iclock.put_user('OBEY0002', '3001', 'Ana'),
       iclock.delete_user('OBEY0001', '1001'),
       iclock.query_attendance('OBEY0001', '2020-01-01', '2099-01-01'),
       iclock.query_user('OBEY0002', '1002'),
       iclock.query_options('OBEY0001'),
       iclock.set_option('OBEY0001', 'VOLUME', '50'),
       iclock.enroll_fingerprint('OBEY0001', '3001', 3),
       iclock.enroll_template('OBEY0001', '3001', 9),
       iclock.enroll_card('OBEY0001', '1003'),
       iclock.query_attendance_count('OBEY0001', '2020-01-01', '2099-01-01'),
       iclock.unlock_door('OBEY0001'),
       iclock.put_work_code('OBEY0001', '17', 'Paint'),
       iclock.reboot('OBEY0001'), iclock.reboot('OBEY0002');
SQL

ok(wait_until(60, sub { $t->psql("SELECT count(*) FROM iclock.command"
                                 . " WHERE status = 'done'") == 15 }),
   'all commands are done')
    or diag(join "\n", $t->psql_lines(
            'SELECT body, status, return_code FROM iclock.command'));

is($t->psql("SELECT string_agg(t.type || '/' || t.no, ' ' ORDER BY t.type)"
            . " FROM iclock.template t WHERE t.pin = '3001'"), '1/3 9/0',
   'who was enrolled has templates');
is($t->psql("SELECT string_agg(d.serial_number, ' ') FROM iclock.device d"
            . " JOIN iclock.device_user u ON u.device_id = d.id"
            . " WHERE pin = '1001' AND serial_number LIKE 'OBEY%'"),
   'OBEY0002', 'who was deleted is deleted');
is($t->psql("SELECT return_code FROM iclock.command"
            . " WHERE body LIKE 'DATA QUERY ATTLOG%'"), 1, 'a query counts');

ok(wait_until(60, sub { $t->psql(
       "SELECT count(*) FROM iclock.operation o JOIN iclock.device d"
       . " ON d.id = o.device_id WHERE code = 0"
       . " AND serial_number LIKE 'OBEY%'") >= 4 }),
   'both have started again')
    or diag(join "\n", $t->psql_lines(
            'SELECT serial_number, code, local_time, o.received_at'
            . ' FROM iclock.operation o'
            . ' JOIN iclock.device d ON d.id = o.device_id ORDER BY 1, 3'));

$t->psql("SELECT iclock.run_shell('OBEY0001', 'ls')");
ok(wait_until(60, sub { $t->psql("SELECT return_code FROM iclock.command"
                                 . " WHERE body = 'SHELL ls'") eq '-1004' }),
   'what a model cannot do it refuses');

# more comes, while it is off
print $orders "off OBEY0001\npunch OBEY0001 1002\npunch OBEY0001 1003\n";
sleep 0.4;
is(stored('punch', 'OBEY'), 1, 'off');
print $orders "on OBEY0001\n";
ok(wait_until(60, sub { stored('punch', 'OBEY') == 3 }), 'on');

close $orders;
waitpid $pid, 0;
is($?, 0, 'it ends with its input');
like(slurp("$dir/control"), qr/^iclock-simulator: no terminal "NONE0001"$/m,
     'a terminal that is not there');
like(slurp("$dir/control"), qr/^iclock-simulator: no order "nonsense"$/m,
     'an order that is none');


# Old firmware goes on where the server says; new firmware knows only 0.

for my $model (qw/ old sdk finger /) {
    my @same = (@server, '--model', $model, '--sn', "KEEPS-$model", '--seed',
                3, '--rate', 0, '--people', 4, '--history', 5, '--speed', 20,
                '--duration', 0.5);

    ($status, $said) = play(@same);
    is($status, 0, "$model: all is acknowledged");

    my $n = stored('punch', "KEEPS-$model");

    is($n, $said->{counters}{punches}, "$model: and stored");

    ($status, $said) = play(@same, $model eq 'finger' ? '--moved' : ());
    is($said->{counters}{acknowledged}, 0,
       "$model: nothing comes again when it starts again");
}


# A server that is none: each thing that it does wrong is named once.

sub fake {
    my (@reply) = @_;

    my $listen = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 5)
                 or die "listen: $!";
    my $log = "$dir/asked" . $runs;

    open my $asked, '>', $log or die "$log: $!";
    $asked->autoflush(1);

    my $child = fork;

    die "fork: $!" if !defined $child;

    if ($child == 0) {
        while (my $socket = $listen->accept()) {
            sysread $socket, my $request, 65536;
            $request = '' if !defined $request;
            syswrite $socket, $reply[$request =~ /options=all/ ? 0 : 1];
            close $socket;
            print {$asked} "$request\n" =~ s/\s.*/\n/sr;
        }
        POSIX::_exit(0);
    }

    # It has something to upload from the beginning, and ends when it has asked
    # often enough to have met everything.

    my $out = "$dir/play" . ++$runs;
    my $pid = spawn({ out => $out, err => "$out.err" }, $simulator, '--json',
                    '--quiet', '--seed', 7, '--server', 'http://127.0.0.1:'
                    . $listen->sockport() . '/iclock', '--rate', 9999,
                    '--people', 9, '--history', 3, '--model', 'finger',
                    '--speed', 100, '--drain', 0);

    wait_until(60, sub { (() = slurp($log) =~ /\n/g) >= 8 });
    kill 'TERM', $pid;
    waitpid $pid, 0;

    my @played = ($? >> 8, decode_json((slurp($out) =~ /^(\{.*\})$/m)[0]),
                  slurp("$out.err"));

    kill 'KILL', $child;
    waitpid $child, 0;

    return @played;
}


sub reply {
    my ($body, $head) = @_;

    return "HTTP/1.1 200 OK\r\n" . (defined $head ? $head
           : "Date: Sun, 22 Nov 2026 01:00:00 GMT\r\nContent-Length: "
             . length($body) . "\r\n") . "\r\n$body";
}


my $hello = "GET OPTION FROM: X\nDelay=1\nErrorDelay=1\nRealtime=1\n"
            . "TransFlag=1111111111\nATTLOGStamp=0\n";

($status, undef, $err) = fake(reply($hello), reply("OK: 0\n"));
is($status, 1, 'a count that is too small');
like($err, qr/an upload is not answered with OK: and the number/,
     'is named');

($status, undef, $err) = fake(reply("$hello" . 'Encrypt=0', ''), reply('OK'));
like($err, qr/no Content-Length$/m, 'no Content-Length');
like($err, qr/no Date$/m, 'no Date');
like($err, qr/handshake whose last line has no end$/m, 'no end of a line');

($status, $said) = fake("HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n");
is($said->{counters}{handshakes}, 0, '201 is no success');

($status, $said, $err) = fake(reply("1\r\nO\r\n0\r\n\r\n",
                                    "Transfer-Encoding: chunked\r\n"));
like($err, qr/transfer-encoding: chunked$/m, 'no terminal reads chunks');
is($said->{counters}{handshakes}, 0, 'and it begins again');

$t->done();
