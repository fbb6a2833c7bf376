#!/usr/bin/perl

# Copyright (C) the ngx_http_iclock_module authors

# Large bodies, which are read in steps between which a worker does other
# things: they are stored whole and in their order, whatever goes on meanwhile.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Test::IClock;
use Test::IClock::HTTP;

my $t = Test::IClock->new;
my $patient = 'timeout=300s connect_timeout=300s';
my %option = (pool => $patient);

# A large body has so many punches, and blank lines between them that make it a
# megabyte, which takes hundreds of steps: it costs PostgreSQL little, and does
# not shrink so much that it would be refused as a packet.
my $lines = 2000;
my $blank = join '', map { ("\n", " \n", "\t\n", "\r\n")[rand 4] } 1 .. 1e5;

# that take more than one step
my $items = 5000;

# bodies are in files, or in memory
my %server = (
    file => $t->device_server(%option),
    memory => $t->device_server(%option,
                                server => 'client_body_buffer_size 8m;')
);

s/client_body_buffer_size \K1m/32k/ for $server{file};
s/client_body_buffer_size 1m;// for $server{memory};


# so many punches of a number alone, and of a large body

sub dense {
    my ($n, $count) = @_;

    return map { sprintf "%d\t2026-03-%02d %02d:%02d:%02d\t0\t1\n", $n,
                         1 + $_ / 86400, $_ / 3600 % 24, $_ / 60 % 60, $_ % 60 }
           0 .. $count - 1;
}


sub punches {
    my ($n) = @_;

    return join '', map { $_ . substr($blank, rand(1e5), 500) . "\n" }
                    dense($n, $lines);
}


sub packed {
    my ($text, $before) = @_;

    my $file = $t->dir() . "/lines$$";

    open my $f, '>', $file or die "$file: $!";
    print $f $text;
    close $f;

    return ($before // '') . `tar -C @{[ $t->dir() ]} -czf - lines$$`;
}


sub chunked {
    my ($text) = @_;

    $text =~ s/(.{1,60000})/sprintf "%x\r\n%s\r\n", length $1, $1/gse;

    return $text . "0\r\n\r\n";
}


sub stored {
    my ($n) = @_;

    return $t->psql("SELECT count(*) FROM iclock.punch WHERE pin = '$n'");
}


sub url { return "/iclock/cdata?SN=STEPS$_[0]&table=ATTLOG$_[1]" }


# every kind of body, and others beside them

$t->start($server{file});

my $n = 0;

for my $where (qw/ file memory /) {

    $t->reload($server{$where}, wait => 1) if $where ne 'file';

    for my $how ('', 'packed', 'chunked') {

        my $pin = ++$n;
        my $body = punches($pin);

        my @answers = $t->parallel(6, sub {
            return $t->post(url($_[0], ''), "9$pin$_[0]\t2026-01-01 10:00:00"
                            . "\t0\t1\n", -timeout => 300)->text() if $_[0];

            return $t->post(url(0, '&ContentType=tgz'), packed($body),
                            -timeout => 300)->text() if $how eq 'packed';

            return $t->post(url(0, ''), chunked($body), -timeout => 300,
                            'Transfer-Encoding' => 'chunked',
                            -length => undef)->text() if $how;

            return $t->post(url(0, ''), $body, -timeout => 300)->text();
        });

        is_deeply(\@answers, [ "200 OK: $lines", ('200 OK: 1') x 5 ],
                  "a large body in a $where" . ($how && ", $how"));
        is(stored($pin), $lines, 'it is stored');
        is(stored("9$pin$_"), 1, 'so is a small one beside it') for 1 .. 5;
    }
}


# the last line counts as the first one does

my $users = join '', "USER PIN=1\tName=Jos\xc3\xa9\n",
                 (map { "USER PIN=$_\tName=A\n" } 2 .. $items),
                 "USER PIN=$items\tName=\xe5\xbc\xa0\tPri=14\n";

$t->get('/iclock/cdata?SN=STEPSNAME&options=all&language=83&pushver=2.4.1');
is($t->post('/iclock/cdata?SN=STEPSNAME&table=OPERLOG', $users,
            -timeout => 300)->text(), '200 OK: ' . ($items + 1), 'names');
is($t->psql("SELECT encode(convert_to(name, 'UTF8'), 'hex') FROM"
            . " iclock.device_user WHERE pin = '1'"), '4a6f73c3a9',
   'the last one decides how the first one is read');
is($t->psql("SELECT privilege FROM iclock.device_user WHERE pin = '$items'"),
   14, 'the last of two records wins');

my $photos = "BIOPHOTO PIN=1\tType=9\tContent=/9j/\n" x 5000;

is($t->post('/iclock/cdata?SN=STEPSNAME&table=OPERLOG', $photos,
            -timeout => 300)->text(), '200 OK', 'nothing but photos');
is($t->post('/iclock/cdata?SN=STEPSNAME&table=OPERLOG',
            $photos . "USER PIN=1\n", -timeout => 300)->text(),
   '200 OK: 5001', 'one user among them');
is($t->post('/iclock/cdata?SN=STEPSNAME&table=ATTLOG', "\n" x (3 << 20),
            -timeout => 300)->text(), '200 OK: 0', 'nothing but empty lines');

# long lines, which are read in one step: only those that may have to be

sub refused {
    return $t->psql("SELECT string_agg(length(line) || ' ' || reason, ', '"
                    . ' ORDER BY length(line)) FROM iclock.rejected_line'
                    . " WHERE table_name = '$_[0]'");
}

is($t->post('/iclock/cdata?SN=STEPSNAME&table=ATTLOG',
            'x' x 65536 . "\n" . 'x' x 65537)->text(), '200 OK: 2',
   'long lines');
is(refused('ATTLOG'), '65536 pin is too long, 65537 line is too long',
   'the longer one is not read, but kept');
is($t->post('/iclock/cdata?SN=STEPSNAME&table=FPTMP',
            "FP PIN=1\tFID=1\tTMP=" . 'QUJD' x 50_000 . "\n"
            . "FP PIN=1\tFID=2" . "\tA=1" x 8189 . "\tTMP=QUJD\n"
            . "FP PIN=1\tFID=3" . "\tA=1" x 8190 . "\tTMP=QUJD\n"
            . "FP PIN=1 FID=4 TMP=" . 'QUJD ' x 8195)->text(),
   '200 OK: 4', 'long templates');
is($t->psql("SELECT string_agg(no || ' ' || length(data), ', ' ORDER BY no)"
            . ' FROM iclock.template'), '1 150000, 2 3', 'they are stored');
is(refused('FPTMP'), '32783 too many words, 40994 too many words',
   'but none of so many words');

# long lines among short ones, which a transaction has a megabyte of

is($t->post('/iclock/cdata?SN=STEPSNAME&table=ATTLOG',
            join("\n", map { $_ x 60_000 } 'A' .. 'Z') . "\nx" x 3000,
            -timeout => 300)->text(), '200 OK: 3026', 'long and short lines');
is($t->psql('SELECT sum(n) || $$ $$ || (max(n) <= 17) FROM (SELECT count(*)'
            . ' AS n FROM iclock.rejected_line WHERE length(line) = 60000'
            . ' GROUP BY xmin) t'), '26 true', 'few of them at a time');

my $options = join ',', map { "Option$_=$_" } 1 .. $items;

is($t->post('/iclock/cdata?SN=STEPSNAME&table=options', $options,
            -timeout => 300)->text(), '200 OK', 'options');
is($t->psql("SELECT count(*) FROM iclock.device_option"
            . " WHERE name LIKE 'Option%'"), $items, 'they are stored');


# answers to commands

my $replies = join '', map { "ID=$_&Return=0&CMD=DATA\n" } 1 .. $items;

is($t->post('/iclock/devicecmd?SN=STEPSNAME', "no answer\n$replies",
            -timeout => 300)->text(), '200 OK', 'answers to commands');
is($t->psql("SELECT line FROM iclock.rejected_line"
            . " WHERE table_name = 'devicecmd'"), '\\x6e6f20616e73776572',
   'they are read from the first one on');

my $file = join '', map { "line $_\n" } 1 .. $items;
my $get = $t->psql("SELECT iclock.get_file('STEPSNAME', '/a')");

$t->notified();
$t->device('STEPSNAME')->poll();
is($t->post('/iclock/devicecmd?SN=STEPSNAME', "ID=$get&Return=0&CMD=GetFile"
            . "&FILENAME=/a&Content=$file", -timeout => 300)->text(), '200 OK',
   'a large answer');
is($t->psql("SELECT status FROM iclock.command WHERE id = $get"), 'done',
   'it is one');


# clients that leave as soon as they have sent all of it

my @left = map { ++$n } 1 .. 4;

$t->parallel(scalar @left, sub {
    my $c = $t->connect();

    $c->write(Test::IClock::HTTP::format_request('POST', url($_[0], ''),
                                                punches($left[$_[0]])));
    $c->close();
});

wait_until(300, sub { stored($_) == $lines }) for @left;
is(stored($_), $lines, 'stored, though its client has left') for @left;


# What a device sends is stored in the order in which it came.  The first one
# has a long way to go when the second one comes.

sub in_order {
    my ($name, $first, $second, $query, $expected) = @_;

    my $log = length $t->error_log();
    my $c = $t->connect(timeout => 300);
    my $other = $t->connect(timeout => 300);

    $_->get('/iclock/ping?SN=STEPSNAME', -keepalive => 1) for $c, $other;

    $c->write(Test::IClock::HTTP::format_request('POST',
              '/iclock/cdata?SN=STEPSNAME&table=OPERLOG',
              $first . "\n" x (8 << 20)));

    wait_until(300, sub { substr($t->error_log(), $log)
                         =~ /iclock steps: 8\d{6} bytes/ });

    my $text = $other->request($second)->text();

    is($c->read()->text(), '200 OK: 1', "$name: the first one");
    is($text, '200 OK' . ($name eq 'an answer' ? '' : ': 1'),
       "$name: the second one");
    is($t->psql($query), $expected, "$name: stored after it");
}

$t->quit();
$t->start($t->device_server(pool => "$patient connections=1"),
          workers => 1, level => 'debug');

my $name = 'SELECT u.name FROM iclock.device_user u JOIN iclock.device d'
           . " ON d.id = u.device_id WHERE serial_number = 'STEPSNAME'"
           . " AND pin = '1'";

in_order('an upload', "USER PIN=1\tName=Old\n",
         Test::IClock::HTTP::format_request('POST',
             '/iclock/cdata?SN=STEPSNAME&table=OPERLOG',
             "USER PIN=1\tName=New\n"), $name, 'New');

my $put = $t->psql("SELECT iclock.put_user('STEPSNAME', '1', 'Newer')");

$t->notified();
ok((grep { $_->[0] == $put } $t->device('STEPSNAME')->poll()->commands()),
   'an answer: its command is given out');

in_order('an answer', "USER PIN=1\tName=Older\n",
         Test::IClock::HTTP::format_request('POST',
             '/iclock/devicecmd?SN=STEPSNAME',
             "ID=$put&Return=0&CMD=DATA\n"), $name, 'Newer');


# A small packet does not wait until large bodies are done.  It may come too
# late to show that, but not each time.

sub overtakes {
    my $from = length $t->error_log();
    my $small = packed("1\t2026-01-01 10:00:00\n");
    my @large = map { $t->connect(timeout => 300) } 1 .. 3;

    for my $i (0 .. $#large) {
        $large[$i]->write(Test::IClock::HTTP::format_request('POST',
                          url($i + 1, ''), "\n" x (8 << 20)));
    }

    wait_until(300, sub {
        3 == (() = substr($t->error_log(), $from) =~ /iclock steps: 8388608/g)
    });

    is($t->post(url(0, '&ContentType=tgz'), $small, -timeout => 300)->text(),
       '200 OK: 1', 'a small packet');
    is($_->read()->text(), '200 OK: 0', 'a large body') for @large;

    my $log = substr $t->error_log(), $from;

    # of what is logged when requests are done the large ones' come last
    return $log =~ /iclock[ ]job:[ ]1[ ]records
                    .*iclock[ ]reply:[ ]200,[ ]5[ ]bytes
                    .*iclock[ ]reply:[ ]200,[ ]5[ ]bytes/sx;
}

$t->post(url($_, ''), "\n") for 0 .. 3;

my $overtaken = 0;

for (1 .. 20) {
    last if $overtaken = overtakes();
}

ok($overtaken, 'a small packet overtakes large bodies');
$t->quit();


# Bodies that become more than may wait: one of them always goes on, those that
# are refused come again, and nothing remains behind.  Two plain ones are too
# much when they come, packets when they are unpacked, and then their items.

$t->start($t->device_server(pool => "$patient queue_bytes=206k"));
$t->post(url($_, ''), "\n") for 0 .. 7;

my @many = map { ++$n } 1 .. 8;

my @tried = $t->parallel(8, sub {
    my ($i) = @_;

    my $body = join '', dense($many[$i], 4000);

    $body = packed($body) if $i % 2;

    for (my $tries = 1; $tries <= 10_000; $tries++) {
        my $text = $t->post(url($i, $i % 2 ? '&ContentType=tgz' : ''), $body,
                            -timeout => 300)->text();

        return $text if $text !~ /^503/;
        select undef, undef, undef, 0.05;
    }

    return 'refused again and again';
});

is_deeply(\@tried, [ ('200 OK: 4000') x 8 ], 'more than may wait');
is(stored($_), 4000, 'is stored in the end') for @many;
is($t->post(url(0, ''), "\n" x (512 << 10), -timeout => 300)->text(),
   '200 OK: 0', 'there is room again') for 1 .. 8;
$t->quit();

$t->start($t->device_server(pool => "$patient queue_bytes=512k"
                                    . ' connections=1'),
          workers => 1, level => 'debug');

# devices are asked for once more when notifications begin to arrive
$t->notified();
$t->post(url($_, ''), "\n") for 0, 1;

my $lock = $t->pg->hold(
    'LOCK TABLE iclock.punch IN SHARE ROW EXCLUSIVE MODE');
my $waits = $t->connect(timeout => 300);

$waits->write(Test::IClock::HTTP::format_request('POST', url(1, ''),
                                                 "1\t2026-01-01 10:00:00\n"));
ok($t->pg->wait_blocked(), 'an upload waits');

my $from = length $t->error_log();

is($t->post(url(0, '&ContentType=tgz'), packed(punches(++$n)),
            -timeout => 300)->status(), 503,
   'a packet that becomes too much is refused');
unlike(substr($t->error_log(), $from), qr/iclock job: $lines records/,
       'before all of it is unpacked');
$lock->release();
is($waits->read()->text(), '200 OK: 1', 'what waited is stored');
is($t->post(url(0, '&ContentType=tgz'), packed(punches($n)),
            -timeout => 300)->text(), "200 OK: $lines", 'so is the packet');

# most of what it becomes are blank lines

$lock = $t->pg->hold('LOCK TABLE iclock.punch IN SHARE ROW EXCLUSIVE MODE');
$waits = $t->connect(timeout => 300);
$waits->write(Test::IClock::HTTP::format_request('POST',
              url(0, '&ContentType=tgz'), packed(punches(++$n))));
ok($t->pg->wait_blocked(), 'a packet waits');
is($t->post(url(1, ''), "1\t2026-01-01 10:00:00\n", -timeout => 300)->status(),
   503, 'nothing may wait beside what it became');
$lock->release();
is($waits->read()->text(), "200 OK: $lines", 'it is stored');
$t->quit();


# What idle connections are about to get, one of them each turn of the event
# loop, opens no other ones: two transactions end while the worker does nothing,
# and what is left of two uploads waits when it goes on.

$t->start($t->device_server(pool => "$patient connections=32",
                            http => 'iclock_batch records=512;'),
          workers => 1);
$t->notified();
$t->post(url($_, ''), "\n") for 0 .. 5;

sub begin {
    my ($i, $body) = @_;

    my $c = $t->connect(timeout => 300);

    $c->write(Test::IClock::HTTP::format_request('POST', url($i, ''), $body));

    return $c;
}


$lock = $t->pg->hold('LOCK TABLE iclock.punch IN SHARE ROW EXCLUSIVE MODE');

my @idle;

for my $i (0 .. 5) {
    push @idle, begin($i, "1\t2026-01-01 10:00:00\n");
    ok($t->pg->wait_blocked($i + 1), "connection $i is busy");
}

$lock->release();
is($_->read()->text(), '200 OK: 1', 'and idle') for @idle;

my $count = "SELECT count(*) FROM pg_stat_activity"
            . " WHERE application_name = 'iclock/0'";
my $connections = $t->psql($count);
my ($worker) = $t->workers();

for my $round (1 .. 3) {

    $lock = $t->pg->hold(
        'LOCK TABLE iclock.punch IN SHARE ROW EXCLUSIVE MODE');

    my @two = map { begin($_, join '', dense(++$n, 1024)) } 0, 1;

    ok($t->pg->wait_blocked(2), "round $round: two uploads");
    kill 'STOP', $worker;
    $lock->release();
    ok(wait_until(300, sub {
        $t->psql("$count AND state <> 'idle'") == 0
    }), 'a half of each is stored');
    kill 'CONT', $worker;
    is($_->read()->text(), '200 OK: 1024', 'all of it') for @two;
}

is($t->psql($count), $connections, 'no connection was opened');
$t->quit();


# Of a large upload an eighth goes out together while nothing else waits, and
# 512 lines while something does: it waits behind a transaction that waits for
# a lock.

$t->start($t->device_server(pool => "$patient connections=1",
                            http => 'iclock_presence_interval 1h;'),
          workers => 1, level => 'debug');
$t->notified();
$t->post(url($_, ''), "\n") for 0 .. 2;

sub jobs_since {
    my ($begun, $of) = @_;

    return scalar(() = substr($t->error_log(), $begun)
                       =~ /iclock job: $of records/g);
}

$lock = $t->pg->hold('LOCK TABLE iclock.punch IN SHARE ROW EXCLUSIVE MODE');

my $begun = length $t->error_log();
my @parts = begin(0, "1\t2026-01-02 10:00:00\n");

ok($t->pg->wait_blocked(), 'a transaction is under way');
push @parts, begin(1, join '', dense(++$n, 8192));
ok(wait_until(300, sub { jobs_since($begun, 8192) }), 'a large upload waits');
push @parts, begin(2, "1\t2026-01-02 10:00:00\n");
ok(wait_until(300, sub { jobs_since($begun, 1) > 1 }), 'a small one, too');
$lock->release();
is(join(' ', map { $_->read()->text() } @parts),
   '200 OK: 1 200 OK: 8192 200 OK: 1', 'they are stored');
is($t->psql("SELECT (array_agg(lines ORDER BY txid))[1] || ' ' || max(lines)"
            . ' FROM (SELECT txid, count(*) AS lines FROM iclock.punch'
            . " WHERE pin = '$n' GROUP BY txid) AS s"), '512 1024',
   'little of the large one beside the small one, then more');
$t->quit();


# A part that takes too long fails the upload.  It comes again, and smaller ones
# go out then: or else it would never be stored.  The trigger says what the
# server would after statement_timeout.

$t->psql(<<'SQL');
CREATE FUNCTION public.slow_part() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN IF (SELECT count(*) FROM added) > 512 THEN
         RAISE query_canceled; END IF;
     RETURN NULL; END';
CREATE TRIGGER slow_part AFTER INSERT ON iclock.punch
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT
    EXECUTE FUNCTION public.slow_part();
SQL

$t->start($t->device_server(pool => "$patient connections=1",
                            http => 'iclock_presence_interval 1h;'),
          workers => 1);
$t->notified();
$t->post(url(0, ''), "\n");

my $slow = join '', dense(++$n, 8192);

is($t->post(url(0, ''), $slow, -timeout => 300)->status(), 503,
   'a part that takes too long');
is($t->post(url(0, ''), $slow, -timeout => 300)->text(), '200 OK: 8192',
   'it comes again, and takes several');
is(stored($n), 8192, 'it is stored');
$t->psql('DROP TRIGGER slow_part ON iclock.punch;'
         . ' DROP FUNCTION public.slow_part');
$t->quit();


# Requests that share a transaction are answered in several turns of the event
# loop.  They wait for one that waits for a lock, then for a lock of their own.

my $together = 300;

sub together {
    my $from = length $t->error_log();
    my ($first, $lock) = map {
        $t->pg->hold('SELECT FROM iclock.device WHERE serial_number ='
                     . " 'STEPS$_' FOR UPDATE") } 0, 1;

    my $c = begin(0, "1\t2026-01-01 10:00:00\n");

    ok($t->pg->wait_blocked(), 'a transaction is under way');

    my @c = map { begin(1, $_) } dense(++$n, $together);

    ok(wait_until(300, sub {
        $together < (() = substr($t->error_log(), $from)
                          =~ /iclock job: 1 records/g) }), 'others wait');

    $first->release();
    is($c->read()->text(), '200 OK: 1', 'it ends');
    ok($t->pg->wait_blocked(), 'another one is under way');

    return ($lock, @c);
}


# what nginx itself has to do may come between them, more than once

sub is_together {
    is(stored($n), $together, 'all of them are stored');
    cmp_ok($t->psql('SELECT max(n) FROM (SELECT count(*) AS n FROM'
                    . " iclock.punch WHERE pin = '$n' GROUP BY xmin) t"),
           '>', 64, 'more of them together than are answered in a turn');
}


sub begin_together {
    $t->start($t->device_server(pool => "$patient connections=1"),
              workers => 1, level => 'debug', @_);
    $t->notified();
    $t->post(url($_, ''), "\n") for 0, 1;

    return together();
}


my @answered;

($lock, @answered) = begin_together();
$from = length $t->error_log();
$lock->release();
is((grep { $_->read()->text() eq '200 OK: 1' } @answered), $together,
   'they are answered');
is_together();

# nginx writes such a line before it waits for events

my @done = grep { $_ } map { scalar(() = /iclock job done: 0/g) }
                       split /worker cycle/, substr $t->error_log(), $from;

is((grep { $_ > 64 } @done), 0, '64 in a turn at most') or diag("@done");


# by a worker that leaves as well

($lock, @answered) = together();
$from = length $t->error_log();
kill 'QUIT', $t->nginx->{pid};
ok(wait_until(300, sub { substr($t->error_log(), $from)
                         =~ /gracefully shutting down/ }),
   'a worker is leaving');
$lock->release();
is((grep { $_->read()->text() eq '200 OK: 1' } @answered), $together,
   'it answers them');
$t->quit();
is_together();


# by one that must leave they are answered, or not

($lock, @answered) = begin_together(main => 'worker_shutdown_timeout 1ms;');
($worker) = $t->workers();

kill 'STOP', $worker;
kill 'QUIT', $t->nginx->{pid};
$lock->release();
ok(wait_until(300, sub { stored($n) > 0 }), 'a transaction ends');
kill 'CONT', $worker;

my @texts = map { $_ ? $_->text() : 'none' } map { $_->read() } @answered;

is((grep { !/^(?:200 OK: 1|none|503.*)$/ } @texts), 0, 'answered, or cut');
$t->quit();
cmp_ok(stored($n), '>=', (grep { /^200/ } @texts),
       'who is answered is stored');


# PostgreSQL goes away

$t->start($server{memory});
$t->allow(qr/PostgreSQL|database system|connection/);
$t->post(url($_, ''), "\n") for 0 .. 7;

my @lost = map { ++$n } 0 .. 7;
my @open = map { $t->connect(timeout => 300) } @lost;

$open[$_]->write(Test::IClock::HTTP::format_request('POST', url($_, ''),
                                                   punches($lost[$_])))
    for 0 .. 7;

$t->pg->restart('immediate');

for my $i (0 .. 7) {
    my $text = $open[$i]->read()->text();

    wait_until(300, sub {
        $text = $t->post(url($i, ''), punches($lost[$i]),
                         -timeout => 300)->text() if $text =~ /^503/;
        $text !~ /^503/;
    });

    is($text, "200 OK: $lines", 'PostgreSQL has been away');
}

is(stored($_), $lines, 'what was acknowledged is stored') for @lost;


# workers that leave

my @asked = map { ++$n } 1 .. 8;

my @answers = $t->parallel(9, sub {
    my ($i) = @_;

    return $t->post(url($i, ''), punches($asked[$i]), -timeout => 300)->text()
        if $i < 8;

    $t->reload($server{$_}) for qw/ file memory file memory /;
    return 'reloaded';
});

is_deeply(\@answers, [ ("200 OK: $lines") x 8, 'reloaded' ],
          'old workers answer');
is(stored($_), $lines, 'what they answered is stored') for @asked;


# workers that must leave

$t->quit();
$t->start($server{memory}, main => 'worker_shutdown_timeout 1ms;',
          level => 'debug');
$t->post(url($_, ''), "\n") for 0 .. 7;

my @cut = $t->parallel(9, sub {
    my ($i) = @_;

    if ($i < 8) {
        my $response = $t->post(url($i, ''), "\n" x (4 << 20),
                                -timeout => 300);
        return $response ? $response->text() : 'none';
    }

    $t->wait_log(qr/iclock steps: /);
    $t->reload() for 1 .. 2;
    return 'reloaded';
});

is(scalar(grep { !/^(?:200 OK: 0|503|none|reloaded)/ } @cut), 0,
   'requests are answered, or cut') or diag("@cut");
ok(wait_until(300, sub { !$t->nginx->old_workers() }), 'workers have left');

is($t->post(url(0, ''), punches(++$n), -timeout => 300)->text(),
   "200 OK: $lines", 'the next one answers');
is(stored($n), $lines, 'and stores');

$t->done();
