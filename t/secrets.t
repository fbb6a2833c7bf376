#!/usr/bin/perl

# Copyright (C) the ngx_http_iclock_module authors

# Keys, passwords, templates and photos are in no log and on no error page.

use strict;
use warnings;

use FindBin;
use MIME::Base64 qw/ encode_base64 /;
use Test::More;

use lib "$FindBin::Bin/lib";
use Test::IClock;
use Test::IClock::Process qw/ slurp /;

my $t = Test::IClock->new(tcp => 1);
my $access = $t->dir() . '/access.log';

my %secret = (
    key => 'k3y-of-the-device',
    location => 'k3y-of-the-location',
    password => 'p4ssw0rd-of-a-user',
    template => encode_base64('template of a finger, which is long', ''),
    database => 'p4ssw0rd-of-the-database',
    case => 'k3y-in-any-case',
);

my $database = $t->conninfo(host => '127.0.0.1',
                            password => $secret{database});

# the log of PostgreSQL has all that nginx asks, without parameters, as README
# says

$t->psql('ALTER ROLE iclock_nginx SET log_min_duration_statement = 0;'
         . ' ALTER ROLE iclock_nginx SET log_parameter_max_length = 0;'
         . ' ALTER ROLE iclock_nginx SET log_error_verbosity = terse');

# on the level "debug" nginx itself quotes request lines

$t->start($t->device_server(database => $database,
    server => "access_log $access combined;",
    location => "iclock_comm_key $secret{location};"), level => 'info');

my $pages = '';


sub get { my $r = $t->get(@_); $pages .= $r->head . $r->body; $r->status }
sub post { my $r = $t->post(@_); $pages .= $r->head . $r->body; $r->status }


my $hello = '/iclock/cdata?options=all&pushver=2.4.1';

is(get("$hello&SN=SECRET0001&pushcommkey=$secret{location}"), 200,
   'the key of the location');
is(get("$hello&SN=SECRET0001&pushcommkey=$secret{key}"), 403, 'a wrong key');
$t->psql("UPDATE iclock.device SET comm_key = '$secret{key}'");
is(get("$hello&SN=SECRET0001&ComKey=$secret{key}"), 200,
   'the key of the device');
is(get("$hello&SN=SECRET0001&comkey=$secret{location}&PushCommKey="
       . $secret{key}), 403, 'both');
is(get("/iclock/nowhere?SN=SECRET0001"), 404, 'an error page');
is(get("$hello&SN=&pushcommkey=$secret{key}"), 400, 'without a serial number');
is(get("$hello&SN=SECRET0001&pushcommkey=$secret{key}"), 200, 'right again');

my $upload = '/iclock/cdata?SN=SECRET0001&table=OPERLOG&Stamp=1';
my $lines = "USER PIN=1\tName=A\tPasswd=$secret{password}\n"
            . "FP PIN=1\tFID=0\tValid=1\tTMP=$secret{template}\n";

is(post($upload, $lines), 200, 'user and template');

# the same as poison, as garbage, and while the tables refuse them

$t->psql("ALTER TABLE iclock.device_user ADD CHECK (pin <> '2')");
is(post($upload, $lines =~ s/PIN=1/PIN=2/gr), 200, 'poison');
is(post($upload, "\xff$lines"), 200, 'garbage');
is($t->psql("SELECT count(*) >= 2 FROM iclock.rejected_line"), 't', 'is kept');

$t->psql('ALTER TABLE iclock.device_user RENAME TO device_user_');
is(post($upload, $lines), 503, 'a table that is missing');
$t->psql('ALTER TABLE iclock.device_user_ RENAME TO device_user');

$t->pg->stop();
is(post($upload, $lines), 503, 'no database');
$t->pg->start();

# names of keys in any case, with what is around them escaped or not

my @name = slurp("$FindBin::Bin/../src/http/ngx_http_iclock_args.c")
           =~ /ngx_http_iclock_arg\("(\w+)", comm_key\)/g;

cmp_ok(scalar @name, '>', 1, 'names of keys');

my (%same_end, @uri);

for my $name (@name) {
    my @case = ('');

    for my $c (split //, $name) {
        @case = map { ($_ . lc $c, $_ . uc $c) } @case;
    }

    push @{$same_end{substr $_, -1}}, "$_=$secret{case}" for @case;
}

for my $case (values %same_end) {
    push @uri, '/iclock/nowhere?' . join '&', splice @$case, 0, 128
        while @$case;
}

for my $name ('token', map { ($_, lc $_, uc $_) } @name) {
    push @uri, map { "/iclock/nowhere$_$secret{case}" }
               "?$name=", "?x=1&$name=", "?x=1%26$name=", "?x=%3f$name=",
               "?x?$name=", "%3F$name=", "?$name%3D", "?$name%3d",
               "?x=1%26$name%3d";
}

my @response = $t->concurrently(
    [ map { [ 'GET', $_, undef, Referer => "http://a$_" ] } @uri ],
    connections => 8);

is(scalar(grep { $_ && $_->status == 404 } @response), scalar @uri,
   'names of keys in any case');
ok(wait_until(30, sub {
    @uri == grep { /nowhere\S+\*{15}/ } split /^/, slurp($access)
}), 'stars in all of them');

$t->reload();

my %log = (error => $t->error_log(), pages => $pages);

$log{postgresql} = slurp($t->pg->{log});
like($log{postgresql}, qr/duration: [\d.]+ ms +(?:bind|execute) /,
     'PostgreSQL logs what nginx asks');

open my $f, '<', $access or die "$access: $!";
$log{access} = do { local $/; <$f> };

like($log{access}, qr/pushcommkey=\*{10,} HTTP/, 'a key is logged as stars');

for my $where (sort keys %log) {
    for my $what (sort keys %secret) {
        ok(index($log{$where}, $secret{$what}) < 0, "$where: no $what");
    }
}

my ($status, $out) = $t->nginx_t($t->device_server(
    database => "password=$secret{database} nonsense"));

isnt($status, 0, 'a bad connection string');
ok(index($out, $secret{database}) < 0, 'is not quoted');

$t->done();
