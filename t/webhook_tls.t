#!/usr/bin/perl

# Copyright (C) the ngx_http_iclock_module authors

# Whom nginx sends webhooks to: certificates, and addresses.

use strict;
use warnings;

use FindBin;
use IO::Socket::INET;
use POSIX ();
use Test::More;
use Time::HiRes qw/ sleep time /;

use lib "$FindBin::Bin/lib";
use Test::IClock;

my $t = Test::IClock->new;
my $receiver = $t->receiver();

$t->psql('GRANT iclock_api TO iclock_nginx');


sub hook {
    my ($url) = @_;

    $t->settled();

    my ($id) = split /\|/, $t->psql('SELECT * FROM iclock.create_webhook('
                                    . "'$url', '{user.updated}')");

    return $id;
}

sub event {
    return $t->psql("SELECT iclock.event_write('user.updated', null,"
                    . " json_build_object('id', 'x'))");
}

# status, reason, and errors

sub outcome {
    my ($id) = @_;

    return $t->psql("SELECT e.status, e.status_reason, (SELECT"
                    . " string_agg(a.error, ' ')"
                    . ' FROM iclock.webhook_attempt a'
                    . ' WHERE a.endpoint_id = e.id)'
                    . " FROM iclock.webhook_endpoint e WHERE e.id = '$id'");
}

sub refused { outcome($_[0]) =~ /\Adisabled\|address\|/ }

sub server {
    return $t->device_server(http => join ' ', 'iclock_webhooks on;', @_,
                             ';') =~ s/; ;/;/r;
}


# A name server: "turns" is 127.0.0.1 at first and 127.0.0.2 from then on,
# "both" is both.

sub name_server {
    my ($dns) = @_;

    my $pid = fork;

    return $pid if $pid;

    my $turn = 0;
    my $socket = IO::Socket::INET->new(LocalAddr => '127.0.0.1',
                                       LocalPort => $dns, Proto => 'udp')
        or die "$dns: $!";

    $SIG{TERM} = 'DEFAULT';

    while (defined(my $peer = recv $socket, my $query, 512, 0)) {
        my ($id) = unpack 'n', $query;
        my ($question) = $query =~ /\A.{12}([^\0]*\0.{4})/s or next;
        my @known = $question =~ /\A\x05turns/ ? ($turn++ ? 2 : 1)
                    : $question =~ /\A\x04both/ ? (2, 1) : ();

        # addresses (to be kept for a second), or none
        send $socket, pack('n n n n n n', $id, @known ? 0x8180 : 0x8183,
                           1, scalar @known, 0, 0) . $question
            . join('', map { pack 'n n n N n C4', 0xc00c, 1, 1, 1, 4,
                                  127, 0, 0, $_ } @known), 0, $peer;
    }

    POSIX::_exit(0);
}


# certificates: all of them lead to the same receiver

my %url = (
    right => $receiver->https($receiver->certificate('right'), '/right'),
    expired => $receiver->https($receiver->certificate('expired',
                                                       expired => 1),
                                '/expired'),
    name => $receiver->https($receiver->certificate('name',
                                                    host => 'other.example'),
                             '/name'),
    self => $receiver->https($receiver->certificate('self', self => 1),
                             '/self'),
);
my $ca = 'iclock_webhook_trusted_certificate ' . $receiver->ca();
my %id = map { $_ => hook($url{$_}) } sort keys %url;

$t->start(server('iclock_webhook_allow 127.0.0.1/32 ::1', "; $ca;"),
          level => 'debug');
event();
ok($receiver->wait_for(1, '/right', 30), 'a certificate of who is trusted');

for my $which ([ expired => qr/expired/ ], [ name => qr/name/ ],
               [ self => qr/self.signed/ ])
{
    my ($name, $pattern) = @$which;

    ok(wait_until(30, sub { outcome($id{$name}) =~ /SSL/ }),
       "$name: no delivery");
    like(outcome($id{$name}), $pattern, 'the reason is kept');
    is($receiver->count("/$name"), 0, 'nothing was sent');
}

is($receiver->count('/right'), 1, 'the right one got it once');


# many failures of TLS, beside a connection of TLS that works

my $many = 400;

$t->psql('UPDATE iclock.webhook_endpoint SET concurrency = 32');
$t->psql("SELECT iclock.event_write('user.updated', null,"
         . " json_build_object('id', 'x')) FROM generate_series(1, $many)");
ok($receiver->wait_for($many + 1, '/right', 60) > $many,
   'it gets all while others fail');
ok(!(grep { /stale global SSL error/ } $t->error_log()),
   'the errors of one connection are not those of another');
$t->psql("SELECT iclock.delete_webhook('$_')") for values %id;


# without the directive that trusts, the authorities of the system count

my $id = hook($url{right});

$t->reload(server('iclock_webhook_allow 127.0.0.1/32 ::1;'), wait => 1);
event();
ok(wait_until(30, sub { outcome($id) =~ /SSL/ }), 'not trusted by itself');
$t->psql("SELECT iclock.delete_webhook('$id')");


# plain HTTP

$id = hook($receiver->url('/plain'));
event();
ok(wait_until(30, sub { outcome($id) =~ /not https/ }), 'no http by itself');
unlike(outcome($id), qr/\Adisabled/, 'which may be a mistake of a minute');
is($receiver->count('/plain'), 0, 'nothing was sent');
$t->reload(server('iclock_webhook_http on;',
                  'iclock_webhook_allow 127.0.0.0/8;'), wait => 1);
ok($receiver->wait_for(1, '/plain', 90), 'allowed again, it gets what waited');
$t->psql("SELECT iclock.delete_webhook('$id')");


# addresses

my $port = $receiver->port();
my @url = ("http://127.0.0.1:$port/a", "http://localhost:$port/a",
           "http://0x7f.1:$port/a", "http://2130706433:$port/a",
           "http://[::ffff:127.0.0.1]:$port/a",
           "http://[::ffff:10.0.0.1]:$port/a", "http://[::1]:$port/a",
           "http://0.0.0.0:$port/a",
           'http://169.254.169.254/latest/meta-data/');

$receiver->clear();
my $before = $receiver->stats()->{connections};

$t->reload(server('iclock_webhook_http on;'), wait => 1);

my @id = map { hook($_) } @url;

event();

for my $i (0 .. $#url) {
    ok(wait_until(30, sub { refused($id[$i]) }), "$url[$i] is refused")
        or diag outcome($id[$i]);
}

is($receiver->stats()->{connections}, $before, 'no packet has arrived');
$t->psql("SELECT iclock.delete_webhook('$_')") for @id;


# allowed ones are called

$t->reload(server('iclock_webhook_http on;',
                  'iclock_webhook_allow 127.0.0.0/8;'), wait => 1);

@id = map { hook($_) } @url[0 .. 4];
event();
is($receiver->wait_for(5, '/a', 30), 5, 'allowed ones are called');
$t->psql("SELECT iclock.delete_webhook('$_')") for @id;


# Names, looked up by nginx's resolver.  The last address may not be called.

my $elsewhere = $t->receiver(address => '127.0.0.2', port => $port);
my $dns = $t->nginx->free_port();

# the port was kept from other tests by a socket
$t->nginx->{locks} = [ grep { $_->sockport() != $dns }
                       @{$t->nginx->{locks}} ];

my $names = name_server($dns);

$receiver->answer('/name', { close => 1 });
$t->reload(server('iclock_webhook_http on; iclock_webhook_allow 127.0.0.1/32;'
                  . " resolver 127.0.0.1:$dns ipv6=off valid=1s;"),
           wait => 1);

$receiver->clear();
$id = hook("http://turns.iclock.test:$port/name");
event();
is($receiver->wait_for(1, '/name', 30), 1, 'a name with an address that may');
# nginx keeps it for a second by a clock of seconds
sleep 2.2;
event();
ok(wait_until(30, sub { refused($id) }), 'now it has one that may not')
    or diag outcome($id);
$t->psql("SELECT iclock.delete_webhook('$id')");

$id = hook("http://both.iclock.test:$port/name");
event();
is($receiver->wait_for(2, '/name', 30), 2, 'with both the one is called');
$t->psql("SELECT iclock.delete_webhook('$id')");

$id = hook("http://none.iclock.test:$port/name");
event();
ok(wait_until(30, sub { outcome($id) =~ /name was not found/ }),
   'a name that nobody knows');
$t->psql("SELECT iclock.delete_webhook('$id')");
is($elsewhere->stats()->{connections}, 0, 'the other is never called');
kill 'TERM', $names;
waitpid $names, 0;


# The address of nginx itself: a name of a terminal's server would be one.  Here
# it is one of this machine, and refused as such; t/unit/unit_hook.c has others.

$t->reload(server('iclock_webhook_http on;'), wait => 1);
$id = hook('http://127.0.0.1:' . $t->port() . '/iclock/ping');
event();
ok(wait_until(30, sub { refused($id) }), 'own address');
$t->psql("SELECT iclock.delete_webhook('$id')");


unlike($t->error_log(), qr/BEGIN|PRIVATE|whsec_/, 'no secrets in the log');

$t->done();
