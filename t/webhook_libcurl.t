#!/usr/bin/perl

# Copyright (C) the ngx_http_iclock_module authors

# libcurl as a guest of nginx's workers: it starts in the one that sends and in
# no other process, names do not block and do not hold anybody up, what it keeps
# open costs nginx nothing, and the worker leaves when it is told to.

use strict;
use warnings;

use FindBin;
use IO::Socket::INET;
use Test::More;
use Time::HiRes qw/ sleep time /;

use lib "$FindBin::Bin/lib";
use Test::IClock;
use Test::IClock::Process qw/ command slurp /;

use constant IDLE => 4;
use constant HOSTS => 12;
use constant DEAF => '127.0.0.9';

my $t = Test::IClock->new;
my $receiver = $t->receiver(address => '0.0.0.0');
my $port = $receiver->port();
my $dir = $t->dir();

$t->psql('GRANT iclock_api TO iclock_nginx');


# A library that is preloaded: names that end with "slow.test" are looked up for
# half a minute, and the signals that are blocked meanwhile are written down.
# "four.test" has four addresses: two of DEAF, one that may not be called, and
# the receiver's, those of IPv4 first.

open my $c, '>', "$dir/names.c" or die "names.c: $!";
print $c <<'END';
#define _GNU_SOURCE
#include <dlfcn.h>
#include <netdb.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static int (*real)(const char *, const char *, const struct addrinfo *,
    struct addrinfo **);

static int
four(const char *service, struct addrinfo **res)
{
    int              i, rc;
    struct addrinfo  hints;

    static const char *address[] = { DEAF, DEAF, "2001:db8::1",
                                     "::ffff:127.0.0.1" };

    memset(&hints, 0, sizeof(hints));
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_NUMERICHOST;

    for (i = 0; i < 4; i++) {
        rc = real(address[i], service, &hints, res);

        if (rc != 0) {
            return rc;
        }

        res = &(*res)->ai_next;
    }

    return 0;
}

int
getaddrinfo(const char *node, const char *service,
    const struct addrinfo *hints, struct addrinfo **res)
{
    int       i, blocked;
    FILE     *f;
    size_t    len;
    sigset_t  set;

    real = dlsym(RTLD_NEXT, "getaddrinfo");

    if (node && strcmp(node, "four.test") == 0) {
        return four(service, res);
    }

    len = node ? strlen(node) : 0;

    if (len < 9 || strcmp(node + len - 9, "slow.test") != 0) {
        return real(node, service, hints, res);
    }

    pthread_sigmask(SIG_BLOCK, NULL, &set);

    for (i = 1, blocked = 0; i < 32; i++) {
        blocked += sigismember(&set, i) == 1;
    }

    f = fopen(getenv("NAMES_LOG"), "a");

    if (f) {
        fprintf(f, "%d %d %d\n", getpid(), (int) syscall(SYS_gettid),
                blocked);
        fclose(f);
    }

    sleep(30);

    return EAI_NONAME;
}
END
close $c;

is(command({ out => "$dir/cc.log" }, 'cc', '-shared', '-fPIC', '-O2', '-Wall',
           '-Werror', '-DDEAF="' . DEAF . '"', '-o', "$dir/names.so",
           "$dir/names.c", '-ldl'), 0,
   'a library') or diag(slurp("$dir/cc.log"));

open my $log, '>', "$dir/names.log" or die "names.log: $!";
close $log;
chmod 0666, "$dir/names.log";
chmod 0755, "$dir/names.so";

# a proxy that is not there, which libcurl must not ask

$t->nginx->{env} = { LD_PRELOAD => "$dir/names.so",
                     NAMES_LOG => "$dir/names.log",
                     map { $_ => 'http://127.0.0.1:1' }
                         qw/ http_proxy https_proxy all_proxy ALL_PROXY / };


sub hook {
    my ($url, $type) = @_;

    $t->settled();

    my ($id) = split /\|/, $t->psql('SELECT * FROM iclock.create_webhook('
                                    . "'$url', '{$type}')");

    return $id;
}

sub event {
    my ($type, $n) = @_;

    return $t->psql("SELECT count(iclock.event_write('$type', null,"
                    . " json_build_object('id', n::text)))"
                    . ' FROM generate_series(1, ' . ($n || 1) . ') AS n');
}

sub attempt {
    my ($id) = @_;

    return $t->psql("SELECT coalesce(status::text, error) FROM"
                    . " iclock.webhook_attempt WHERE endpoint_id = '$id'"
                    . ' ORDER BY attempt LIMIT 1');
}

# the worker that sends also listens for notifications

sub sender { ($t->error_log() =~ /(\d+)#\d+: iclock: listening for/g)[-1] }

sub threads { scalar(() = glob "/proc/$_[0]/task/*") }

# Inodes of connections of this process to the receiver, and those among them
# that its event loop knows.

sub connections {
    my ($pid) = @_;

    my %inode = map { $_ => 1 }
                map { (split)[9] }
                grep { (split)[2] =~ /:(\w+)\z/ && hex($1) == $port
                       && (split)[3] eq '01' }
                split /\n/, slurp('/proc/net/tcp');
    my (@fd, %polled);

    for my $fd (glob "/proc/$pid/fd/*") {
        my $what = readlink $fd // '';

        if ($what =~ /\Asocket:\[(\d+)\]/ && $inode{$1}) {
            push @fd, $fd =~ /(\d+)\z/;

        } elsif ($what =~ /eventpoll/) {
            my $info = slurp($fd =~ s!/fd/!/fdinfo/!r);
            $polled{$_} = 1 for $info =~ /^tfd:\s*(\d+)/mg;
        }
    }

    return (scalar @fd, scalar grep { $polled{$_} } @fd);
}


my $fine = hook("http://127.0.0.1:$port/fine", 'user.updated');
my @hosts = map { hook("http://127.0.1.$_:$port/host", 'user.deleted') }
            1 .. HOSTS;

sub server {
    my ($timeout) = @_;

    return $t->device_server(http => 'iclock_webhooks on;'
        . ' iclock_webhook_http on; iclock_webhook_allow 127.0.0.0/8;'
        . " iclock_webhook_limits timeout=$timeout idle=" . IDLE . ';');
}

$t->start(server('5s'), level => 'debug', workers => 2);

my $device = $t->device('CURL0001');
$device->handshake();

# what takes longer than five seconds is sent again, and may come more often

event('user.updated');
ok($receiver->wait_for(1, '/fine', 30) >= 1, 'a webhook is sent');
wait_until(30, sub { defined sender() });

my ($master) = $t->nginx->{pid};
my @others = grep { $_ != sender() } $t->workers();

is(threads($master), 1, 'the master has no thread');
is((connections($master))[0], 0, 'and no connection');
is((connections($_))[0], 0, 'nor has a worker that does not send')
    for @others;


# connections that are kept

event('user.deleted', 3);
ok($receiver->wait_for(3 * HOSTS, '/host', 30) >= 3 * HOSTS,
   'to a dozen of hosts');
ok(wait_until(30, sub {
    my ($open, $busy) = connections(sender());
    return $open <= IDLE && !$busy;
}), 'some connections stay open, as many as may');

my ($kept, $polled) = connections(sender());

cmp_ok($kept, '>', 0, "namely $kept");
is($polled, 0, 'and the event loop has none of them');

event('user.updated', 5);
ok($receiver->wait_for(6, '/fine', 30) >= 6, 'more events');
cmp_ok($receiver->stats()->{connections}, '<', 5 * HOSTS,
       'connections are used again');


# a name that takes half a minute

my $slow = hook("http://a.slow.test:$port/slow", 'user.enrolled');

ok(wait_until(30, sub { $t->error_log() =~ /"\Q$slow\E" is ours/ }), 'a name');
event('user.enrolled');
ok(wait_until(30, sub { slurp("$dir/names.log") =~ /\n/ }), 'is looked up');

my ($pid, $tid, $blocked) = split ' ', slurp("$dir/names.log");

is($pid, sender(), 'by the worker that sends');
isnt($tid, $pid, 'in a thread');
is($blocked, 29, 'which gets no signals');     # SIGKILL and SIGSTOP cannot be

my $began = time;

event('user.updated', 20);
is($device->poll()->status, 200, 'a device is served meanwhile') for 1 .. 10;
ok($receiver->wait_for(26, '/fine', 25) >= 26, 'so is another webhook');
cmp_ok(time - $began, '<', 28, 'before the name is known');
ok(wait_until(25, sub { attempt($slow) =~ /timed out/i }),
   'the time is up before the name is known') or diag attempt($slow);


# A host that takes no connection: its queue is full.  libcurl closes such a
# socket before it says that it has.

my $other = $t->receiver();
my $deaf = IO::Socket::INET->new(LocalAddr => DEAF, Listen => 1,
                                 LocalPort => $other->port(),
                                 Proto => 'tcp') or die "listen: $!";
my @full = map { IO::Socket::INET->new(PeerAddr => DEAF,
                     PeerPort => $other->port(), Proto => 'tcp',
                     Blocking => 0) } 1 .. 8;
my $lost = hook('http://' . DEAF . ':' . $other->port() . '/', 'door.event');

ok(wait_until(30, sub { $t->error_log() =~ /"\Q$lost\E" is ours/ }),
   'a host that takes no connection');
event('door.event');
ok(wait_until(30, sub { attempt($lost) =~ /time/i }), 'the time is up')
    or diag attempt($lost);
$t->psql("SELECT iclock.delete_webhook('$lost')");


# A name that has it twice, and others of IPv6: libcurl closes the socket for
# the first one without a word, and at once opens one for the last one.

my $four = hook('http://four.test:' . $other->port() . '/four', 'door.event');

ok(wait_until(30, sub { $t->error_log() =~ /"\Q$four\E" is ours/ }),
   'a name with four addresses');
event('door.event');
ok($other->wait_for(1, '/four', 60), 'the last one answers');
$t->psql("SELECT iclock.delete_webhook('$four')");
close $deaf;


# workers leave, whatever a thread looks up and whatever is kept open

event('user.enrolled');
sleep 1;
$t->settled();
$began = time;
$t->reload();
ok(wait_until(25, sub { !$t->nginx->old_workers() }),
   'a reload: the old worker does not wait for the thread');
cmp_ok(time - $began, '<', 28, 'nor long');
$t->psql("SELECT iclock.delete_webhook('$slow')");

event('user.updated');
ok($receiver->wait_for(27, '/fine', 30) >= 27, 'the new one sends');


# libcurl sends again what a connection that was kept has lost: not if the
# worker leaves

$t->reload(server('60s'), level => 'debug', wait => 1);

my $again = hook("http://127.0.0.1:$port/again", 'user.enrolled');

event('user.enrolled');
is($receiver->wait_for(1, '/again', 30), 1, 'a connection is kept');
ok(wait_until(30, sub { attempt($again) eq '200' }), 'for the next request');
$receiver->answer('/again', { action => 'hang' });
event('user.enrolled');
is($receiver->wait_for(2, '/again', 30), 2, 'which hangs');
cmp_ok(($receiver->requests('/again'))[1]{nth}, '>', 1, 'on that one');

my $old = sender();

$t->settled();
$t->reload();
$receiver->answer('/again', {});
$receiver->down();
ok(wait_until(30, sub { !$t->nginx->old_workers() }), 'the worker leaves');
ok($t->error_log() =~ / $old#.* a request to "\Q$again\E" is left to others/,
   'without another try');
$receiver->up();
is($receiver->wait_for(3, '/again', 40), 3, 'the next one sends it');
sleep 0.5;
is($t->quit(), 0, 'timers of libcurl do not keep a worker');

$t->done();
