#!/usr/bin/perl

# Copyright (C) the ngx_http_iclock_module authors

# Ways to PostgreSQL: names, several hosts, IPv6, TLS, passwords.

use strict;
use warnings;

use FindBin;
use IO::Select;
use IO::Socket::INET;
use POSIX ();
use Test::More;

use lib "$FindBin::Bin/lib";
use Test::IClock;

my $t = Test::IClock->new(tcp => 1);
my $pg = $t->pg;
my $minute = 0;
my $logged = 0;


sub another {
    my ($name, %option) = @_;

    is($t->quit(), 0, "nginx before: $name") if $t->nginx->running();

    $logged = length $t->error_log();

    my $conf = $t->nginx->configuration($t->device_server(%option),
                                        workers => 1,
                                        events => $option{events});

    $conf =~ s/^user root;/user $option{user};/m if $option{user};

    $t->start(undef, raw => $conf, workers => 1);
}


sub new_log { substr $t->error_log(), $logged }


sub upload {
    my ($sn, $n) = @_;

    return $t->device($sn)->punches(map {
        $minute++;
        sprintf "%d\t2026-03-%02d %02d:%02d:00\t0\t1\t\t%s", $minute % 1000,
                1 + int($minute / 1440), int($minute / 60) % 24, $minute % 60,
                'x' x 200
    } 1 .. $n || 1)->text;
}


sub tcp { $t->conninfo(host => '127.0.0.1', port => $pg->{port}, @_) }


# A name server: knows three names, one of them with two addresses; a test can
# make it silent.

sub name_server {
    my ($port) = @_;

    my $socket = IO::Socket::INET->new(LocalAddr => '127.0.0.1',
                     LocalPort => $port, Proto => 'udp')
        or die "no name server: $!";

    pipe my $in, my $out or die "pipe: $!";

    my $pid = fork;
    die "fork: $!" if !defined $pid;

    if ($pid == 0) {
        close $out;
        $SIG{TERM} = 'DEFAULT';

        my $silent = 0;
        my $select = IO::Select->new($socket, $in);

        while (1) {
            for my $ready ($select->can_read()) {

                if ($ready == $in) {
                    POSIX::_exit(0) if !sysread $in, my $order, 1;
                    $silent = $order eq 's';
                    next;
                }

                my $peer = recv $socket, my $query, 512, 0;

                next if $silent || !defined $peer;

                my ($id) = unpack 'n', $query;
                my ($question) = $query =~ /\A.{12}([^\0]*\0.{4})/s or next;
                my @known = $question =~ /\A\x02db\x06iclock\x04test\0\0\x01/
                    ? 1 : $question =~ /\A\x09localhost\0\0\x01/ ? 2
                    : $question =~ /\A\x03two\x06iclock\x04test\0\0\x01/
                    ? (3, 1) : ();

                # addresses (to be kept for a second), or none
                send $socket, pack('n n n n n n', $id, @known ? 0x8180
                                                              : 0x8183,
                                   1, scalar @known, 0, 0) . $question
                    . join('', map { pack 'n n n N n C4', 0xc00c, 1, 1, 1, 4,
                                          127, 0, 0, $_ } @known), 0, $peer;
            }
        }
    }

    close $in;
    close $socket;
    $out->autoflush(1);

    return ($pid, sub { syswrite $out, $_[0] });
}


# a socket that nobody listens on, then the right one

my $closed = $t->nginx->free_port();

another('hosts', database => "hostaddr=127.0.0.1,127.0.0.1,127.0.0.1"
        . " port=$closed,$closed,$pg->{port} dbname=iclock user=iclock_nginx");
is(upload('HOST0001'), '200 OK: 1', 'the third of three hosts');
$pg->terminate('iclock/%');
ok(wait_until(30, sub { upload('HOST0001') eq '200 OK: 1' }), 'once more');

another('uri', database => "postgresql://iclock_nginx\@127.0.0.1:$closed,"
        . "127.0.0.1:$pg->{port}/iclock");
is(upload('HOST0001'), '200 OK: 1', 'a URI with two hosts');

$pg->set(listen_addresses => '127.0.0.1,::1')->restart();
another('IPv6', database => $t->conninfo(host => '::1', port => $pg->{port}));
is(upload('HOST0001'), '200 OK: 1', 'IPv6');
ok(wait_until(30, sub {
    $t->psql('SELECT DISTINCT client_addr FROM pg_stat_activity'
             . " WHERE application_name LIKE 'iclock%'") eq '::1'
}), 'it is IPv6');


# other event methods, if this nginx has them: sockets that libpq has closed
# must not be waited for

for my $method (qw/ poll select /) {
    my ($status, $out) = $t->nginx_t('', events => "use $method;");

    SKIP: {
        skip "this nginx lacks \"$method\"", 5 if $out =~ /invalid event type/;

        # the first attempt is with TLS, the second without
        another($method, events => "use $method;",
                database => tcp(sslmode => 'prefer'));
        is(upload('POLL0001'), '200 OK: 1', "$method: upload");

        for my $n (1 .. 3) {
            $pg->terminate('iclock/%');
            ok(wait_until(30, sub { upload('POLL0001') eq '200 OK: 1' }),
               "$method: the connection was lost, $n");
        }
    }
}


# names

my $dns = $t->nginx->free_port();

# the port was kept from other tests by a socket
$t->nginx->{locks} = [ grep { $_->sockport() != $dns }
                       @{$t->nginx->{locks}} ];

my ($server, $order) = name_server($dns);

another('names', http => "resolver 127.0.0.1:$dns ipv6=off valid=1s;"
        . ' resolver_timeout 1s;', pool => 'timeout=2s connect_timeout=2s',
        database => $t->conninfo(host => 'db.iclock.test',
                                 port => $pg->{port}));
ok(wait_until(30, sub { upload('NAME0001') eq '200 OK: 1' }),
   'a name is looked up');
is($t->device('NAME0001')->poll()->text, '200 OK', 'poll') for 1 .. 2;
ok($t->wait_log(qr/listening for notifications/), 'listening');
$t->device('NAME0001')->poll() for 1 .. 2;

$order->('s');
sleep 2;
$pg->terminate('iclock/%');

is($t->device('NAME0001')->poll()->text, '200 OK',
   "poll $_ while the name server is silent") for 1 .. 4;
ok(wait_until(30, sub { upload('NAME0001') =~ /^503/ }),
   'uploads are refused meanwhile');
is($t->device('NAME0001')->poll()->text, '200 OK', 'a poll is not');
ok($t->wait_log(qr/host "db.iclock.test" is not found|host is not found/),
   'nginx names the host');

$order->('t');
ok(wait_until(30, sub { upload('NAME0001') eq '200 OK: 1' }),
   'the name server answers again');

# a server that has moved since nginx was started; the file of hosts says where
# it was

$pg->set(listen_addresses => '127.0.0.2')->restart();
another('moved', http => "resolver 127.0.0.1:$dns ipv6=off;",
        database => $t->conninfo(host => 'localhost', port => $pg->{port}));
is(upload('NAME0001'), '200 OK: 1', 'a name whose address has changed');
unlike(new_log(), qr/no connection to PostgreSQL/,
       'the old address is not tried first');
$pg->set(listen_addresses => '127.0.0.1,::1')->restart();

# a name with two addresses, one of which is of no use; nginx takes them in any
# order

for my $case ('refuses', 'says nothing') {
    my $mute = $case eq 'refuses' ? undef
               : IO::Socket::INET->new(LocalAddr => '127.0.0.3',
                     LocalPort => $pg->{port}, Listen => 64, Proto => 'tcp');

    another("an address that $case",
            http => "resolver 127.0.0.1:$dns ipv6=off;",
            pool => 'timeout=5s connect_timeout=500ms',
            database => $t->conninfo(host => 'two.iclock.test',
                                     port => $pg->{port}));

    for my $n (1 .. 4) {
        ok(wait_until(30, sub { upload('TWO00001') eq '200 OK: 1' }),
           "an address that $case: upload $n");
        $pg->terminate('iclock/%');
    }
}

another('no such name', http => "resolver 127.0.0.1:$dns ipv6=off;",
        database => $t->conninfo(host => 'none.iclock.test',
                                 port => $pg->{port}));
like(upload('NAME0001'), qr/^503/, 'a name that is not known');
like(new_log(), qr/\[error\].*no connection to Postgr.*not found/,
     'the log says so');
kill 'TERM', $server;
waitpid $server, 0;


# TLS

my $key = "$pg->{dir}/server.key";

is(system('openssl req -x509 -newkey rsa:2048 -nodes -days 2'
          . " -subj /CN=localhost -addext"
          . " subjectAltName=DNS:localhost,IP:127.0.0.1 -keyout $key"
          . " -out $pg->{dir}/server.crt 2>/dev/null"), 0,
   'a certificate');
chmod 0600, $key;
chown $pg->{owner}{uid}, $pg->{owner}{gid}, $key if $pg->{owner};

$pg->set(ssl => 'on');
$pg->set(ssl_key_file => $key);
$pg->set(ssl_cert_file => "$pg->{dir}/server.crt");

$t->psql("SET password_encryption = 'scram-sha-256';"
         . " CREATE ROLE secure LOGIN PASSWORD 'it''s: a \\secret'");
$t->psql('GRANT iclock_module TO secure');

open my $hba, '>', "$pg->{data}/pg_hba.conf" or die "pg_hba.conf: $!";
print $hba "hostssl all secure all scram-sha-256\n",
           "hostssl all iclock_nginx all trust\nlocal all all trust\n";
close $hba;
$pg->restart();

for my $mode ('require', "verify-full sslrootcert=$pg->{dir}/server.crt") {
    another($mode, database => tcp(sslmode => $mode), pool => 'timeout=1m');
    is(upload('TLS00001'), '200 OK: 1', "sslmode=$mode");
    is($t->psql("SELECT bool_and(ssl) FROM pg_stat_ssl JOIN pg_stat_activity"
                . " USING (pid) WHERE application_name LIKE 'iclock%'"), 't',
       'it is TLS');
    is(upload('TLS00001', 4000), '200 OK: 4000', 'a large upload');

    $t->psql("SELECT count(iclock.queue_command('TLS00001',"
             . " 'DATA UPDATE USERINFO PIN=' || n || repeat('x', 300)))"
             . " FROM generate_series(1, 120) n");

    my $commands = 0;

    wait_until(30, sub {
        $commands += $t->device('TLS00001')->poll()->commands();
        $commands >= 120;
    });
    is($commands, 120, 'large replies');
}

$t->psql('TRUNCATE iclock.punch');

my @response = $t->concurrently([ map {
    [ 'POST', "/iclock/cdata?SN=TLS0" . (1000 + $_ % 16)
              . '&table=ATTLOG&Stamp=1', join '', map {
                  sprintf "%d\t2026-03-01 %02d:%02d:00\t0\t1\n", 7,
                          int($_ / 60), $_ % 60 } 1 .. 1000 ]
} 1 .. 64 ], connections => 64);

is(scalar(grep { $_ && $_->text eq '200 OK: 1000' } @response), 64,
   '64 uploads over TLS');
is($t->psql('SELECT count(*) FROM iclock.punch'), 16000, 'all are stored');

another('stranger', database => tcp(sslmode => 'verify-full',
                        sslrootcert => '/etc/ssl/certs/ca-certificates.crt'));
like(upload('TLS00001'), qr/^503/, 'a certificate that nobody signed');
like(new_log(), qr/\[error\].*(?:certificate verify failed|does not exist)/,
     'the log says so');

another('plain', database => tcp(sslmode => 'disable'));
like(upload('TLS00001'), qr/^503/, 'without TLS');
like(new_log(), qr/\[error\].*no pg_hba.conf entry/, 'the log says so');


# a password from a file that the workers cannot read

my $passfile = $t->dir . '/passwords';

open my $out, '>', $passfile or die "$passfile: $!";
print $out "# host:port:database:user:password\n",
           "elsewhere:*:*:secure:wr0ng\n",
           "127.0.0.1:$pg->{port}:iclock:secure:it's\\: a \\\\secret\n";
close $out;
chmod 0600, $passfile;

# the workers of a test run by root are nobody's, of others the user's own
another('passfile', user => 'nobody nogroup',
        http => "iclock_database_passfile $passfile;",
        database => tcp(sslmode => 'require', user => 'secure'));
is(upload('PASS0001'), '200 OK: 1', 'a password from a file');
is($t->psql("SELECT DISTINCT usename FROM pg_stat_activity"
            . " WHERE application_name LIKE 'iclock%'"), 'secure', 'the role');

if ($> == 0) {
    isnt((stat '/proc/' . ($t->workers())[0])[4], 0, 'workers are not root');
}



# the password changes while nginx runs

sub passwords {
    my ($password) = @_;

    open my $out, '>', $passfile or die "$passfile: $!";
    print $out "*:*:*:secure:$password\n";
    close $out;
}

$t->psql("SET password_encryption = 'scram-sha-256';"
         . " ALTER ROLE secure PASSWORD 'n3w'");
is(upload('PASS0001'), '200 OK: 1', 'a new password: connections there are');
$pg->terminate('iclock/%');
ok(wait_until(30, sub { upload('PASS0001') =~ /^503/ }),
   'a new password: others are refused');
ok($t->wait_log(qr/password authentication failed for user "secure"/),
   'a new password: the log says so');
passwords('n3w');
$t->reload();
ok(wait_until(30, sub { upload('PASS0001') eq '200 OK: 1' }),
   'a new password: read by a reload');

unlike($t->error_log(), qr/secret|wr0ng|n3w/, 'passwords are not logged');

$t->done();
