#!/usr/bin/perl

# Copyright (C) the ngx_http_iclock_module authors

# Each counter: what is done, and what has to move, by how much, and nothing
# else beside it.  At the end the table of docs/metrics.md is gone through: a
# counter or a label that nothing here moves is named.

use strict;
use warnings;

use Cwd qw/ abs_path /;
use FindBin;
use JSON::PP qw/ decode_json /;
use Test::More;
use Time::HiRes qw/ sleep /;

use lib "$FindBin::Bin/lib";
use Test::IClock;
use Test::IClock::API;
use Test::IClock::HTTP;
use Test::IClock::Metrics;
use Test::IClock::Process qw/ command slurp /;

my $root = abs_path("$FindBin::Bin/..");
my $t = Test::IClock->new();
my $m = Test::IClock::Metrics->new($t);
my $dir = $t->dir();
my $sn = 'COUNT001';

mkdir "$dir/files" or die "$dir/files: $!";
open my $f, '>', "$dir/files/a.dat" or die "$dir/files: $!";
print $f 'data';
close $f;

$t->psql('GRANT iclock_api TO ' . Test::IClock::Postgres::LOGIN());

# A work code fails as its name says: E each time, O the first time of two.  And
# one loses its connection the first time.  Commands are given out when nobody
# holds the lock 7.

$t->psql('CREATE SEQUENCE public.tried');
$t->psql(<<'SQL');
CREATE FUNCTION public.raise_code() RETURNS trigger LANGUAGE plpgsql
    SECURITY DEFINER AS $$
BEGIN
    IF new.code LIKE 'O%' OR new.code = 'LOST' THEN
        IF nextval('public.tried') % 2 = 0 THEN
            RETURN new;
        END IF;
    ELSIF new.code NOT LIKE 'E%' THEN
        RETURN new;
    END IF;

    IF new.code = 'LOST' THEN
        PERFORM pg_terminate_backend(pg_backend_pid());
        RETURN new;
    END IF;

    RAISE EXCEPTION USING errcode = substr(new.code, 2), message = 'as asked';
END
$$;
CREATE TRIGGER raise_code BEFORE INSERT ON iclock.work_code
    FOR EACH ROW EXECUTE FUNCTION public.raise_code();
CREATE FUNCTION public.given_out() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(7);
    RETURN new;
END
$$;
CREATE TRIGGER given_out BEFORE UPDATE ON iclock.command
    FOR EACH ROW WHEN (new.status = 'sent')
    EXECUTE FUNCTION public.given_out();
CREATE OR REPLACE FUNCTION iclock_api.users_list(request jsonb)
    RETURNS iclock_api.reply LANGUAGE plpgsql AS $$
BEGIN
    RAISE division_by_zero;
END $$;
SQL
$t->psql('INSERT INTO iclock.device (serial_number, status, allowed_networks)'
         . " VALUES ('COUNT006', 'active', '{10.0.0.0/8}'),"
         . " ('COUNT007', 'blocked', NULL)");

my $api = Test::IClock::API->new($t);
my $reader = Test::IClock::API->new($t, scopes => [ 'logs:read' ]);
my $away = Test::IClock::API->new($t, allowed_networks => [ '127.0.0.2/32' ]);
my $slow = Test::IClock::API->new($t, prefix => '/slow');
my $thief = Test::IClock::API->new($t, key => 'ik_live_' . 'b' x 12 . '_'
                                              . 'A' x 43);
my $nobody = Test::IClock::API->new($t, key => undef);

# one worker with one connection: what waits is known

$t->start($t->device_server(
    pool => 'connections=1 timeout=1m connect_timeout=30s queue_bytes=1m',
    http => 'iclock_api_pool timeout=1m;',
    location => "iclock_files $dir/files; iclock_delay 2s;"
                . ' iclock_error_delay 1s;',
    server => $m->locations() . <<'END'), workers => 1);
        location /v1 { iclock_api; iclock_api_rate off;
                       client_max_body_size 1k; }
        location /slow { iclock_api; iclock_api_rate rate=1r/m burst=1; }
        location /hold { iclock; iclock_unknown_devices hold;
                         iclock_pending_limit 1; }
        location /reject { iclock; iclock_unknown_devices reject; }
        location /key { iclock; iclock_comm_key secret;
                         iclock_unknown_devices accept; }
END

my $device = $t->device($sn);

is($device->handshake()->status, 200, 'a device');
ok(wait_until(30, sub { $m->value('listener_up') }), 'notifications arrive');
ok(wait_until(30, sub { $api->get('/devices')->status == 200 }),
   'and so do requests of programs');


# A row of the table: what is done, what has to move by so much and alone, and
# what by so much at least, which nginx moves by work of its own, too.  What is
# done may share a transaction with that work: then it is tried again.

my %moves;
my $beside = qr/^(?:event_loop|zone_waits|request_body_bytes|queue_wait
                   |pool_connects|commits_total\{result="committed"
                   |commit_(?:duration|requests|records)
                   |\w*duration_seconds)/x;

sub row {
    my ($name, $do, $exactly, %option) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    my $least = $option{least} || {};
    my ($moved, %rest);

    for my $try (1 .. $option{tries} || 1) {

        $m->mark() if $try > 1;
        $do->();

        $moved = $m->moved_by({ %$exactly, %$least }, own => 1, times => 1);
        %rest = map { $_ => $moved->{$_} }
                grep { exists $exactly->{$_}
                       || (!exists $least->{$_} && $_ !~ $beside) }
                keys %$moved;

        last if join(' ', map { "$_ $rest{$_}" } sort keys %rest)
                eq join(' ', map { "$_ $exactly->{$_}" } sort keys %$exactly);
    }

    is_deeply(\%rest, $exactly, $name) or diag(explain($moved));
    is(join(' ', grep { ($moved->{$_} || 0) < $least->{$_} }
                 sort keys %$least), '', "$name: and what nginx moves, too")
        if %$least;

    $moves{$_} = 1 for keys %$exactly, keys %$least;
}


# names of series

sub requests { "requests_total{endpoint=\"$_[0]\",code=\"$_[1]\"}" }
sub timed { "request_duration_seconds_count{endpoint=\"$_[0]\"}" }
sub refused { "refusals_total{reason=\"$_[0]\"}" }
sub records { "records_total{kind=\"$_[0]\",result=\"$_[1]\"}" }
sub rejected { "rejected_lines_total{cause=\"$_[0]\"}" }
sub commits { "commits_total{result=\"$_[0]\"}" }
sub errors { "database_errors_total{class=\"$_[0]\"}" }
sub finished { "commands_finished_total{result=\"$_[0]\"}" }
sub operation { "api_requests_total{operation=\"$_[0]\",class=\"$_[1]\"}" }
sub api_refused { "api_rejected_total{reason=\"$_[0]\"}" }
sub api_timed { "api_request_duration_seconds_count{kind=\"$_[0]\"}" }


# endpoints, and the answers that they give

my $cdata = "/iclock/cdata?SN=$sn";

$m->mark();
row('a ping', sub { $device->ping() },
    { requests(ping => 200) => 1, timed('other') => 1 },
    least => { event_loop_turn_duration_seconds_count => 1 });
row('a poll by service/control',
    sub { $t->get("/iclock/service/control?SN=$sn") },
    { requests(control => 200) => 1 });
row('a question that nobody answers', sub { $t->get("$cdata&type=Weather") },
    { requests(cdata => 404) => 1, timed('cdata') => 1 });
row('an exchange of keys',
    sub { $t->post("/iclock/exchange?SN=$sn&type=publickey", 'x') },
    { requests(exchange => 404) => 1 });
row('a part of a file',
    sub { $t->get('/iclock/file/a.dat', Range => 'bytes=0-1') },
    { requests(file => 206) => 1 });
row('a part that it does not have',
    sub { $t->get('/iclock/file/a.dat', Range => 'bytes=99-') },
    { requests(file => 'other') => 1 });

my $jpeg = "\xff\xd8\xff\xe0" . 'x' x 20;
my $photo = "PIN=20261120080000-7.jpg\nSN=$sn\nsize=" . length($jpeg)
            . "\nCMD=uploadphoto\0$jpeg";

row('a photo of old firmware',
    sub { $t->post("/iclock/fdata?SN=$sn&table=ATTPHOTO&Stamp=1", $photo) },
    { requests(fdata => 200) => 1, records(photo => 'stored') => 1 });


# refusals

row('what is refused at once', sub {
        $t->get("/iclock/nothing?SN=$sn");
        $t->get('/iclock/cdata?SN=no');
        $t->_http('DELETE', $cdata, undef);
        $t->request("POST $cdata&table=ATTLOG HTTP/1.1\r\n"
                    . "Host: localhost\r\nContent-Length: 99999999\r\n"
                    . "Connection: close\r\n\r\n");
    },
    { requests(other => 404) => 1, refused('path') => 1,
      requests(cdata => 400) => 1, refused('serial') => 1,
      requests(cdata => 405) => 1, refused('method') => 1,
      requests(cdata => 413) => 1, refused('size') => 1 });
row('a device that waits to be approved',
    sub { $t->get('/hold/cdata?SN=COUNT002&options=all') },
    { requests(cdata => 401) => 1, refused('pending') => 1 });
row('which polls', sub { $t->get('/hold/getrequest?SN=COUNT002') },
    { requests(getrequest => 503) => 1, refused('pending') => 1,
      timed('getrequest') => 1 });
row('one too many', sub { $t->get('/hold/getrequest?SN=COUNT003') },
    { requests(getrequest => 503) => 1, refused('pending_limit') => 1 });
row('a stranger', sub { $t->get('/reject/getrequest?SN=COUNT004') },
    { requests(getrequest => 403) => 1, refused('unknown') => 1 });
row('a wrong key',
    sub { $t->get('/key/cdata?SN=COUNT005&options=all&pushcommkey=wrong') },
    { requests(cdata => 403) => 1, refused('key') => 1 });
row('a wrong network', sub { $t->device('COUNT006')->poll() },
    { requests(getrequest => 403) => 1, refused('network') => 1 });
row('a device that is blocked', sub { $t->device('COUNT007')->poll() },
    { requests(getrequest => 403) => 1, refused('blocked') => 1 });


# records

my @punch = map { [ 1000 + $_, "2026-11-20 08:00:0$_", 0, 1 ] } 1 .. 3;
my $bytes = length join '', map { join("\t", @$_) . "\n" } @punch;
my $sum = $m->value('commit_records_sum');

row('three punches', sub { $device->punches(@punch) },
    { requests(cdata => 200) => 1, records(punch => 'stored') => 3 },
    least => { request_body_bytes_total => $bytes, commits('committed') => 1,
               commit_duration_seconds_count => 1, commit_requests_count => 1,
               commit_records_count => 1,
               'queue_wait_seconds_count{pool="device"}' => 1 });
is($m->value('commit_records_sum') - $sum, 3, 'three records of transactions');
row('again, with one that is new and one that is not text',
    sub { $device->punches(@punch, [ 1004, '2026-11-20 08:00:04', 0, 1 ],
                           "\xff\xfe\t2026-11-20 08:00:05\t0\t1") },
    { requests(cdata => 200) => 1, records(punch => 'stored') => 1,
      records(punch => 'duplicate') => 3, records(punch => 'rejected') => 1,
      rejected('encoding') => 1 });

my @line = ("OPLOG 4\t14\t2026-11-20 10:22:34\t0\t0\t0\t0",
            "USER PIN=1\tName=Asha", "FP PIN=1\tFID=1\tTMP=AAAA",
            "USERPIC PIN=1\tFileName=1.jpg\tContent=/9j/",
            "WORKCODE PIN=1\tCODE=7\tName=Weld",
            "ERRORLOG ErrCode=D01E0001\tErrMsg=x");
my @kind = qw/ operation user template photo work_code error /;

row('one of each kind', sub { $device->operations(@line) },
    { requests(cdata => 200) => 1,
      map { records($_ => 'stored') => 1 } @kind });
row('each of them again', sub { $device->operations(@line) },
    { requests(cdata => 200) => 1,
      map { records($_ => 'duplicate') => 1 } @kind });
row('an identity card, twice',
    sub { $device->operations(("IDCARD PIN=0\tIDNum=21X\tName=A") x 2) },
    { requests(cdata => 200) => 1, records(identity_card => 'stored') => 1,
      records(identity_card => 'duplicate') => 1 });
row('an option, twice',
    sub { $device->options('~FWVersion=Ver 8.0') for 1, 2 },
    { requests(cdata => 200) => 2, records(option => 'stored') => 1,
      records(option => 'duplicate') => 1 });
row('of each kind one that cannot be read', sub {
        $device->operations("OPLOG 4\t14\tyesterday\t0\t0\t0\t0",
                            'USER Name=nobody', "FP FID=1\tTMP=AAAA",
                            "USERPIC PIN=9\tFileName=9.jpg",
                            "IDCARD PIN=2\tName=A", 'WORKCODE Name=Weld',
                            'ERRORLOG what?', "HELLO 1\t2");
    },
    { requests(cdata => 200) => 1,
      (map { records($_ => 'rejected') => 1 } @kind, 'identity_card', 'other'),
      rejected('date') => 1, rejected('format') => 6,
      rejected('table') => 1 });
row('an option that is not text', sub { $device->options("A=\xff") },
    { requests(cdata => 200) => 1, records(option => 'rejected') => 1,
      rejected('encoding') => 1 });
row('a packet that is none',
    sub { $t->post("$cdata&table=OPERLOG&ContentType=tgz", 'no gzip') },
    { requests(cdata => 200) => 1, records(other => 'rejected') => 1,
      rejected('packet') => 1 });


# errors of the database, and what becomes of the transaction

my $codes = 0;

sub code {
    my ($code) = @_;

    # never the same as is stored
    return sub { $t->post("$cdata&table=WORKCODE",
                          "Code=$code\tName=" . ++$codes . "\n") };
}

for (qw/ 22012 23514 /) {
    row("SQLSTATE $_: the record is at fault, also alone", code("E$_"),
        { requests(cdata => 200) => 1, errors(substr $_, 0, 2) => 2,
          commits('split') => 2, records(work_code => 'rejected') => 1,
          rejected('database') => 1 },
        least => { commits('committed') => 1 }, tries => 3);
}

# 25006 and 08006 bring about another connection
for (qw/ 40001 25006 08006 /) {
    row("SQLSTATE $_, once", code("O$_"),
        { requests(cdata => 200) => 1, errors(substr $_, 0, 2) => 1,
          commits('retried') => 1, records(work_code => 'stored') => 1 },
        least => { commits('committed') => 1,
                   /^40/ ? () : ('pool_connects_total{pool="device",'
                                 . 'result="ok"}' => 1) },
        tries => 3);
}

# one that is younger than a second would not be replaced at once
row('a connection that is lost', sub { sleep 1.5; code('LOST')->() },
    { requests(cdata => 200) => 1, errors('08') => 1,
      'pool_losses_total{pool="device"}' => 1, commits('retried') => 1,
      records(work_code => 'stored') => 1 },
    least => { 'pool_connects_total{pool="device",result="ok"}' => 1 },
    tries => 3);
row('SQLSTATE 40P01 again', code('E40P01'),
    { requests(cdata => 503) => 1, errors('40') => 2, commits('retried') => 1,
      commits('failed') => 1, refused('timeout') => 1 }, tries => 3);

for ([ '42501', '42' ], [ '53100', '53' ], [ '55P03', '55' ],
     [ '57014', '57' ], [ 'XX001', 'other' ])
{
    my ($sqlstate, $class) = @$_;

    row("SQLSTATE $sqlstate", code("E$sqlstate"),
        { requests(cdata => 503) => 1, errors($class) => 1,
          commits('failed') => 1, refused('database') => 1 }, tries => 3);
}


# more than may wait

my $large = "1\t2026-11-21 08:00:00\t0\t1\n" . "\n" x 700_000;
my $lock = $t->pg->hold('LOCK TABLE iclock.punch IN SHARE ROW EXCLUSIVE MODE');
my @waiting = ($t->connect());

$waiting[0]->write(Test::IClock::HTTP::format_request('POST',
                       "$cdata&table=ATTLOG", $large));

# what nginx asks of its own accord may have the only connection
ok(wait_until(30, sub {
    $t->pg->blocked() || $m->value('queue_requests{pool="device"}') }),
   'a large upload waits');
$m->mark();
row('another one is more than may wait',
    sub { $t->post("$cdata&table=ATTLOG", $large) },
    { requests(cdata => 503) => 1, refused('queue') => 1 });
push @waiting, $t->connect();
$waiting[1]->write(Test::IClock::HTTP::format_request('POST',
                       "$cdata&table=ATTLOG",
                       "2\t2026-11-21 08:00:00\t0\t1\n"));
ok(wait_until(30, sub { $m->value('queue_requests{pool="device"}') }),
   'a small one waits for the connection, and is shown');
row('both are stored when the lock is gone', sub {
        $lock->release();

        # nginx waits for more of what says that it is the last
        for my $c (@waiting) {
            $c->read();
            $c->close();
        }
    },
    { requests(cdata => 200) => 2, records(punch => 'stored') => 2 });
ok(wait_until(30, sub { !$m->value('queue_requests{pool="device"}') }),
   'and nobody waits');


# commands

my $id;

sub queue {
    my ($body, $more) = @_;

    return $t->psql("SELECT iclock.queue_command('$sn', '$body'"
                    . ($more || '') . ')');
}

# what was notified has not arrived when the statement returns
sub fetch {
    undef $id;
    wait_until(30, sub { ($id) = $device->poll()->body =~ /^C:(\d+):/; $id });
}

my %polls = (least => { requests(getrequest => 200) => 1 });

queue('INFO');
$m->mark();
row('a command is given', \&fetch,
    { commands_handed_out_total => 1, command_delivery_seconds_count => 1 },
    %polls);
row('it fails', sub { $device->ack($id, -1, 'INFO') },
    { requests(devicecmd => 200) => 1, timed('devicecmd') => 1,
      finished('failed') => 1, command_answer_seconds_count => 1 });
queue('LOG');
fetch();
$m->mark();
row('another one is done', sub { $device->ack($id, 0, 'LOG') },
    { requests(devicecmd => 200) => 1, finished('done') => 1,
      command_answer_seconds_count => 1 });

# maintain() may come first
row('one is past its time', sub {
        my $late = queue('LOG', ", expires => '1 hour'");

        $t->psql('UPDATE iclock.command SET expires_at = now()'
                 . " WHERE id = $late");
        wait_until(30, sub {
            $device->poll();
            return $t->psql('SELECT status FROM iclock.command'
                            . " WHERE id = $late") eq 'expired';
        });
    },
    { finished('expired') => 1 }, %polls, tries => 3);

queue("SET OPTION Delay=$_") for 5, 6;
$m->mark();
row('one says what the one before it said', \&fetch,
    { finished('superseded') => 1, commands_handed_out_total => 1,
      command_delivery_seconds_count => 1 }, %polls);
$device->ack($id, 0, 'SET OPTION');

# a terminal that has gone when there is something for it

queue('LOG');
$t->notified();
$m->mark();
$lock = $t->pg->hold('SELECT pg_advisory_lock(7)');
row('a terminal that has gone', sub {
        my $c = $t->connect();
        my $port = sprintf '%04X', $c->{socket}->sockport();

        $c->write(Test::IClock::HTTP::format_request('GET',
            "/iclock/getrequest?SN=$sn", undef, -keepalive => 1));
        $t->pg->wait_blocked();
        $c->close();

        # nginx looks at the connection when the commands are there
        wait_until(30, sub {
            slurp('/proc/net/tcp') =~ /:\w{4} \w{8}:$port 08 /;
        });
        $lock->release();
    },
    { requests(getrequest => 499) => 1, commands_handed_out_total => 1,
      command_delivery_seconds_count => 1 });
fetch();
ok($id, 'which gets it when it calls again');
$device->ack($id, 0, 'LOG');


# programs

my $other = $t->psql("SELECT iclock.queue_command('COUNT006', 'CHECK')");

$m->mark();
row('a list', sub { $api->get('/devices') },
    { operation(devices_list => '2xx') => 1, api_timed('page') => 1 },
    least => { 'queue_wait_seconds_count{pool="api"}' => 1 });
row('one device', sub { $api->get("/devices/$sn") },
    { operation(devices_get => '2xx') => 1, api_timed('read') => 1 });
row('a command is cancelled', sub { $api->delete("/commands/$other") },
    { operation(commands_delete => '2xx') => 1, api_timed('write') => 1,
      finished('cancelled') => 1 });
row('no key', sub { $nobody->get('/devices') },
    { operation(devices_list => '4xx') => 1, api_refused('no_key') => 1 });
row('a key that there is not', sub { $thief->get('/devices') },
    { operation(devices_list => '4xx') => 1, api_refused('bad_key') => 1 });
row('another scope', sub { $reader->get('/devices') },
    { operation(devices_list => '4xx') => 1, api_refused('scope') => 1 });
row('another address', sub { $away->get('/devices') },
    { operation(devices_list => '4xx') => 1, api_refused('address') => 1 });
row('one request too many', sub { $slow->get('/devices') for 1, 2 },
    { operation(devices_list => '2xx') => 1,
      operation(devices_list => '4xx') => 1, api_refused('rate') => 1 });
row('a body that is too large', sub { $api->post('/devices',
                                          '{"a":"' . 'x' x 2000 . '"}') },
    { operation(devices_create => '4xx') => 1, api_refused('size') => 1 });
# which the database makes an answer of: no error of a transaction
row('a function that fails', sub { $api->get('/users') },
    { operation(users_list => '5xx') => 1 });


# what simulated terminals have counted themselves

sub simulated {
    my $out = "$dir/simulator";

    is(command({ out => $out }, "$root/tools/iclock-simulator", '--quiet',
               '--json', '--server', 'http://127.0.0.1:' . $t->port()
               . '/iclock', '--model', 'face,finger,sdk', '--devices', 3,
               '--people', 4, '--history', 2, '--rate', 1800, '--speed', 20,
               '--spread', 0, '--duration', 2, '--drain', 120, '--seed', 7), 0,
       'terminals that act') or diag(slurp($out));

    my ($json) = slurp($out) =~ /^(\{.*\})$/m;

    return decode_json($json // '{}')->{counters};
}

$m->mark();

my $said = simulated();
my %sum;

wait_until(60, sub {
    my $moved = $m->moved();

    $sum{$_} += $moved->{$_} for keys %$moved;

    return !%$moved;
});

sub moved {
    my ($pattern) = @_;

    my $n = 0;

    $n += $sum{$_} for grep { /$pattern/ } keys %sum;

    return $n;
}

cmp_ok($said->{punches}, '>', 0, 'they have punches');
is(moved(qr/^records_total\{kind="punch",result="stored"/), $said->{punches},
   'which are stored, each of them');
is(moved(qr/^records_total\{kind="photo"/), $said->{photos}, 'photos');
is(moved(qr/^records_total\{kind="(?!punch|photo|option)\w+",
            result="(?:stored|duplicate)"/x), $said->{lines},
   'and other lines');
is(moved(qr/result="rejected"/), 0, 'none is rejected');

# each of the three may be asking when all is over

for my $endpoint (qw/ cdata getrequest devicecmd ping /) {
    my $asked = $said->{"requests_$endpoint"} || 0;
    my $n = moved(qr/^requests_total\{endpoint="$endpoint"/);

    ok($n <= $asked && $n >= $asked - 3, "requests: $endpoint")
        or diag("counted $n, asked $asked");
}

for my $code (grep { /^status_\d/ } sort keys %$said) {
    my ($status) = $code =~ /(\d+)/;
    my $n = moved(qr/^requests_total\{endpoint="\w+",code="$status"/);

    ok($n >= $said->{$code} && $n <= $said->{$code} + 3, "status $status")
        or diag("counted $n, got $said->{$code}");
}


# connections of all kinds, when PostgreSQL goes and when it comes back

my @pool = qw/ device api listen /;

sub away_and_back {
    my ($name, $do, @series) = @_;

    $m->mark();
    $do->();

    my %least = map { $_ => 1 } @series;
    my $moved = $m->moved_by(\%least, own => 1);

    is(join(' ', grep { !$moved->{$_} } @series), '', $name)
        or diag(explain($moved));
    @moves{@series} = (1) x @series;
}

away_and_back('connections are lost, and no other ones are to be had',
              sub { $t->pg->stop() },
              map { ("pool_losses_total{pool=\"$_\"}",
                     "pool_connects_total{pool=\"$_\",result=\"failed\"}") }
                  @pool);
$m->mark();
row('an upload meanwhile', sub { $device->punches($punch[0]) },
    { requests(cdata => 503) => 1, refused('database') => 1 }, tries => 3);
away_and_back('there are connections again', sub { $t->pg->start() },
              map { "pool_connects_total{pool=\"$_\",result=\"ok\"}" } @pool);


# Nothing is left out: what is not here is moved by status_events.t (events,
# streams, webhooks) and zone_shards.t (devices that are forgotten).  That
# workers wait for each other nobody can bring about.

my $elsewhere = qr/^(?:events_|stream_|webhook_|zone_)/;

# of terminals with doors, which nothing serves yet
my %later = map { $_ => 1 }
            (map { "requests_total endpoint=\"$_\"" }
                 qw/ registry push querydata rtdata /),
            'records_total kind="door_event"';
my (%listed, @unmoved);

for (slurp("$root/docs/metrics.md") =~ /^\| (`iclock_\w+` \|.*) \|$/mg) {
    my @cell = split / \| /;
    my ($name) = $cell[0] =~ /`iclock_(\w+)`/;

    next if $cell[1] !~ /^(?:counter|histogram)\z/ || $name =~ $elsewhere;

    $name .= '_count' if $cell[1] eq 'histogram';
    $listed{$name} = 1;

    my @mine = grep { /^$name(?:\{|\z)/ } keys %moves;
    my %labels = $cell[2] =~ /`(\w+)` \(([^)]*)\)/g;

    push @unmoved, $name if !@mine;

    # those of the table of routes
    delete $labels{operation};

    for my $label (sort keys %labels) {
        for my $value (split / /, $labels{$label}) {
            my $pair = "$label=\"$value\"";

            push @unmoved, "$name $pair"
                if !$later{"$name $pair"}
                   && !grep { /[\{,]\Q$pair\E[,\}]/ } @mine;
        }
    }
}

cmp_ok(scalar keys %listed, '>', 20, 'counters');
is(join(', ', @unmoved), '', 'each of them, with each label, was moved');
is(join(' ', grep { my ($name) = /^(\w+)/; !$listed{$name} } sort keys %moves),
   '', 'and docs/metrics.md has all that was');

$t->done();
