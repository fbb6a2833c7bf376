#!/usr/bin/perl

# Copyright (C) the ngx_http_iclock_module authors

# TLS between nginx and PostgreSQL: verified, refused, and large results.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Test::IClock;

my $t = Test::IClock->new(tcp => 1);
my $pg = $t->pg;
my $data = "$pg->{data}";

$t->allow(qr/no connection to PostgreSQL/);

system("openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=db.example "
       . "-addext subjectAltName=DNS:db.example,IP:127.0.0.1 "
       . "-keyout $data/server.key -out $data/server.crt 2>/dev/null") == 0
    or die "openssl failed";
chmod 0600, "$data/server.key";
system('cp', "$data/server.crt", $t->dir() . '/ca.crt') == 0 or die 'cp';
chmod 0644, $t->dir() . '/ca.crt';
chown $pg->{owner}{uid}, $pg->{owner}{gid}, "$data/server.key",
    "$data/server.crt" if $pg->{owner};

$pg->set(ssl => 'on');
hba('hostssl all all 127.0.0.1/32 trust');
$pg->restart();


sub hba {
    my ($line) = @_;

    open my $hba, '>', "$data/pg_hba.conf" or die "pg_hba.conf: $!";
    print $hba "local all all trust\n$line\n";
    close $hba;

    # every new backend knows when its parent has read the files
    my $before = $pg->psql('SELECT pg_conf_load_time()');

    $pg->psql('SELECT pg_reload_conf()');
    wait_until(30, sub { $pg->psql('SELECT pg_conf_load_time()') ne $before })
        or die 'the files are not read again';
}

sub database {
    my (%option) = @_;

    return $t->device_server(database =>
        $t->conninfo(host => '127.0.0.1', sslmode => 'require', %option));
}

sub upload {
    my ($sn, $n) = @_;

    return $t->post("/iclock/cdata?SN=$sn&table=ATTLOG&Stamp=9999",
        join '', map { sprintf "%d\t2026-10-01 %02d:%02d:%02d\t0\t1\n", $_,
                               $_ / 3600, $_ / 60 % 60, $_ % 60 } 1 .. $n)
             ->text;
}

sub ssl_backends {
    return $t->psql("SELECT count(*) FROM pg_stat_ssl s JOIN pg_stat_activity "
                    . "a USING (pid) WHERE s.ssl AND a.application_name LIKE "
                    . "'iclock%'");
}


$t->start(database());

is(upload('TLSDEV0001', 1), '200 OK: 1', 'sslmode=require');
ok(wait_until(30, sub { ssl_backends() >= 2 }), 'connections are encrypted');
is(upload('TLSDEV0002', 5000), '200 OK: 5000', 'a large upload');

# results larger than a record of TLS and than libpq's buffer

$t->psql("INSERT INTO iclock.command (device_id, body) SELECT d.id, "
         . "'SET OPTION X' || n || '=' || repeat('y', 400)"
         . " FROM iclock.device d, generate_series(1, 900) n"
         . " WHERE serial_number = 'TLSDEV0001'");

my $commands = 0;

for (1 .. 60) {
    my @line = $t->get('/iclock/getrequest?SN=TLSDEV0001')->commands();
    $commands += @line;
    last if $commands == 900;
}

is($commands, 900, 'commands');

my @response = $t->concurrently([ map {
    [ 'POST', sprintf('/iclock/cdata?SN=TLSDEV%04d&table=ATTLOG', 100 + $_),
      "$_\t2026-10-01 08:00:00\t0\t1\n" ] } 1 .. 200 ], connections => 64);

is(scalar(grep { $_ && $_->text eq '200 OK: 1' } @response), 200,
   'many devices at a time');

$t->reload(database(sslmode => 'verify-full', host => 'localhost',
                    sslrootcert => $t->dir() . '/ca.crt')
           =~ s/host=localhost/host=db.example hostaddr=127.0.0.1/r);
is(upload('TLSDEV0003', 3), '200 OK: 3', 'sslmode=verify-full');

$t->reload(database(sslmode => 'verify-full', host => 'localhost',
                    sslrootcert => $t->dir() . '/ca.crt')
           =~ s/host=localhost/host=other.example hostaddr=127.0.0.1/r);
is($t->post('/iclock/cdata?SN=TLSDEV0003&table=ATTLOG',
            "1\t2026-10-01 09:00:00\t0\t1\n")->status, 503,
   'a certificate of another name');
like($t->error_log(), qr/server certificate for "db.example"/, 'is logged');

# libpq opens another socket of the same number when TLS is not wanted

hba('hostnossl all all 127.0.0.1/32 trust');
$t->reload(database(sslmode => 'prefer'));
is(upload('TLSDEV0004', 1), '200 OK: 1', 'sslmode=prefer, refused');
ok(wait_until(30, sub { ssl_backends() == 0 }), 'not encrypted');

$t->reload(database(sslmode => 'require'));
is($t->post('/iclock/cdata?SN=TLSDEV0004&table=ATTLOG',
            "1\t2026-10-01 09:00:00\t0\t1\n")->status, 503,
   'sslmode=require, refused');

my ($status, $out) = $t->nginx_t(database(sslmode => 'verify-ca'));
isnt($status, 0, 'nothing to verify with');
like($out, qr/sslrootcert.* in "iclock_database"/, 'is an error');

is($t->psql("SELECT count(*) FROM iclock.punch"), 5205, 'all are stored');

$t->done();
