#!/usr/bin/perl

# Copyright (C) the ngx_http_iclock_module authors

# Ten thousand handshakes of TLS that fail, of every kind, in a worker that has
# HTTPS of its own: nothing is left of them, neither errors, which OpenSSL has
# one queue for, nor descriptors, nor memory.

use strict;
use warnings;

use FindBin;
use IO::Socket::INET;
use POSIX ();
use Socket qw/ SOL_SOCKET SO_LINGER /;
use Test::More;

use lib "$FindBin::Bin/lib";
use Test::IClock;
use Test::IClock::Process qw/ command slurp /;

use constant FAILURES => 10000;
use constant CERTIFICATES => 3000;      # of them
use constant ODD => 28;                 # endpoints
use constant ROUNDS => 5;

my $t = Test::IClock->new;
my $dir = $t->dir();
my $receiver = $t->receiver();

$t->psql('GRANT iclock_api TO iclock_nginx');


# A server that is no good at TLS: it answers in HTTP, with an alert, not at
# all, or hangs up, one after the other.

my $listen = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 1024,
                                   Proto => 'tcp') or die "listen: $!";
my $strange = $listen->sockport();
my $pid = fork // die "fork: $!";

if ($pid == 0) {
    $SIG{TERM} = 'DEFAULT';
    $SIG{PIPE} = 'IGNORE';

    my @answer = ("HTTP/1.1 400 Bad Request\r\n\r\n",
                  "\x15\x03\x03\x00\x02\x02\x28", '', undef);

    for (my $n = 0; my $socket = $listen->accept(); $n++) {
        my $answer = $answer[$n % @answer];

        sysread $socket, my $hello, 16384;

        if (defined $answer) {
            syswrite $socket, $answer;

        } else {
            setsockopt $socket, SOL_SOCKET, SO_LINGER, pack 'II', 1, 0;
        }
    }

    POSIX::_exit(0);
}

close $listen;
END { kill 'TERM', $pid if $pid }


# Each event is tried once: failures are neither counted nor kept.

$t->psql('CREATE OR REPLACE FUNCTION iclock.webhook_judge('
         . ' endpoint iclock.webhook_endpoint, attempts jsonb)'
         . ' RETURNS iclock.webhook_endpoint LANGUAGE sql'
         . " AS 'SELECT endpoint'");
$t->psql('CREATE OR REPLACE FUNCTION iclock.webhook_refused('
         . ' endpoints text[], active boolean[], attempts jsonb[])'
         . " RETURNS void LANGUAGE sql AS ''");

sub hook {
    my ($url, $type) = @_;

    my ($id) = split /\|/, $t->psql('SELECT * FROM iclock.create_webhook('
        . "'$url', '{$type}', concurrency => 32)");

    return $id;
}

sub event {
    my ($type, $n) = @_;

    return $t->psql("SELECT count(iclock.event_write('$type', null,"
                    . " json_build_object('id', n::text)))"
                    . " FROM generate_series(1, $n) AS n");
}

# no look-ups of names

sub https {
    my ($name, %option) = @_;

    return $receiver->https($receiver->certificate($name, %option), "/$name",
                            name => '127.0.0.1');
}

sub attempts {
    my ($where) = @_;

    return $t->psql('SELECT count(*) FROM iclock.webhook_attempt'
                    . " WHERE $where");
}


my $fine = hook(https('fine'), 'user.deleted');
my @bad = map { hook($_, 'user.updated') }
          https('expired', expired => 1),
          https('name', host => 'other.example'), https('self', self => 1);
my @odd = map { hook("https://127.0.0.1:$strange/", 'user.enrolled') } 1 .. ODD;

$t->start($t->device_server(
    http => 'iclock_webhooks on; iclock_webhook_allow 127.0.0.1/32 ::1;'
            . ' iclock_webhook_trusted_certificate ' . $receiver->ca() . ';'
            . ' iclock_webhook_limits concurrency=256 timeout=120s'
            . ' connect_timeout=120s;',
    server => 'listen 127.0.0.1:%%PORT_2%% ssl;'
              . " ssl_certificate $dir/receiver0/fine.crt;"
              . " ssl_certificate_key $dir/receiver0/fine.key;"
              . ' location = /plain { return 204; }'), workers => 1);

my ($worker) = $t->workers();


# Requests over one connection to the worker that fails elsewhere; returns how
# many were not answered as they should be.

my $asked = 0;

sub ask {
    my $file = "$dir/answers" . $asked++;
    my $url = 'https://localhost:' . $t->port(2) . '/plain?[1-20]';

    command({ out => $file }, 'curl', '-sS', '--cacert', $receiver->ca(),
            '-o', '/dev/null', '-w', '%{http_code}\n', $url);

    return join '', grep { $_ ne "204\n" } slurp($file) =~ /^.*\n/mg;
}


my ($wrong, @fds, @rss) = ('');

for my $round (1 .. ROUNDS) {
    my $failures = FAILURES / ROUNDS * $round;

    event('user.updated', CERTIFICATES / ROUNDS / @bad);
    event('user.enrolled', (FAILURES - CERTIFICATES) / ROUNDS / @odd);
    event('user.deleted', 1);

    ok(wait_until(300, sub {
           sleep 1;
           $wrong .= ask();
           attempts('status IS NULL') >= $failures;
       }), "$failures handshakes have failed");

    ok($receiver->wait_for($round, '/fine', 60), 'one elsewhere has not');

    push @rss, $t->nginx->rss($worker);
    push @fds, $t->nginx->fds($worker);
}

is($wrong, '', 'HTTPS of the same worker has answered meanwhile');
is(attempts("endpoint_id IN ('" . join("', '", @bad) . "')"
            . " AND error LIKE 'SSL%'"), CERTIFICATES, 'certificates');

for my $error ('wrong version number', 'alert handshake failure',
               'SSL_ERROR_SYSCALL', 'Connection reset')
{
    cmp_ok(attempts("error LIKE '%$error%'"), '>', 0, $error);
}

# The first round has filled what is kept.  Results that wait for PostgreSQL
# take 8 MB at most.

my $slack = $ENV{TEST_SANITIZE} ? 512 << 20 : 16 << 20;

cmp_ok($fds[-1] - $fds[0], '<', 10, 'no descriptors are left')
    or diag("@fds");
cmp_ok($rss[-1] - $rss[0], '<', $slack, 'nor is memory') or diag("@rss");
note("descriptors @fds; memory @rss");

$t->done();
