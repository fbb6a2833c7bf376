#!/usr/bin/perl

# Copyright (C) the ngx_http_iclock_module authors

# nginx -t: what each directive takes and refuses, and that it says where
# and why.  conf.example is the business of conf.t.

use strict;
use warnings;

use FindBin;
use IO::Select;
use IO::Socket::INET;
use Test::More;

use lib "$FindBin::Bin/lib";
use Test::IClock;
use Test::IClock::Process qw/ slurp /;

my $t = Test::IClock->new(pg => 0);
my $root = "$FindBin::Bin/..";

# nobody ever answers here
my $database = 'iclock_database "host=127.0.0.1 port=1 dbname=x user=y";';

# The configuration for a directive in its context.  Each stands on a line of
# its own.

sub configuration {
    my ($context, $text) = @_;

    my %at = (http => '', server => '', location => '', if => '',
              nothing => '');
    $at{$context} = join "\n", ref $text ? @$text : $text;

    my $base = $at{http} =~ /^iclock_database /m ? '' : $database;

    return <<"CONF";
$base
$at{http}
server {
    listen 127.0.0.1:%%PORT%%;
$at{server}
    location /iclock/ {
        iclock;
        iclock_unknown_devices accept;
$at{location}
        if (\$args) {
$at{if}
            set \$x 1;
        }
    }
    location /other/ {
$at{nothing}
    }
}
CONF
}


# nginx -t has to fail at the line of the (last) directive, and to name it;
# the text must not be in what it says

sub refused {
    my ($name, $context, $text, $pattern, $secret) = @_;

    my ($status, $said) = $t->nginx_t(configuration($context, $text));
    my $last = ref $text ? $text->[-1] : $text;
    my ($directive) = $last =~ /^(\w+)/;
    my @line = split /\n/, slurp($t->dir . '/nginx/test.conf');
    my ($number) = grep { $line[$_ - 1] eq $last } reverse 1 .. @line;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    my @emerg = grep { /\[emerg\]/ } split /\n/, $said;

    ok($status != 0
       && @emerg && $emerg[-1] =~ /"\Q$directive\E"/
       && $emerg[-1] =~ /$pattern/
       && $emerg[-1] =~ /test\.conf:$number$/
       && (!defined $secret || index($said, $secret) < 0), "refused: $name")
        or diag("status $status, line $number, expected $pattern:\n$said");
}


sub passes {
    my ($name, $conf, %option) = @_;

    my ($status, $said) = $t->nginx_t($conf, %option);

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    ok($status == 0 && $said !~ /\[(?:emerg|alert|crit|error|warn)\]/,
       "passes: $name") or diag("status $status:\n$said");
}


# the directives that there are, and a good value of each

my @http = (
    [ 'iclock_listen_database', '"host=127.0.0.1 port=1 dbname=x user=y"' ],
    [ 'iclock_pool', 'connections=2' ],
    [ 'iclock_batch', 'requests=2' ],
    [ 'iclock_zone', 'iclock:1m' ],
    [ 'iclock_presence_interval', '30s' ],
    [ 'iclock_verify_interval', '1d' ],
);

my @location = (
    [ 'iclock_pending_limit', '3' ],
    [ 'iclock_serial_pattern', '^[0-9]+$' ],
    [ 'iclock_comm_key', 'sample1' ],
    [ 'iclock_timezone', 'Europe/Berlin' ],
    [ 'iclock_send_timezone', 'off' ],
    [ 'iclock_delay', '20s' ],
    [ 'iclock_error_delay', '1m' ],
    [ 'iclock_realtime', 'off' ],
    [ 'iclock_trans_times', '"00:00;14:05"' ],
    [ 'iclock_trans_interval', '1m' ],
    [ 'iclock_trans_flag', 'tabs AttLog' ],
    [ 'iclock_push_version', '2.4.0' ],
    [ 'iclock_push_options', 'A,B' ],
    [ 'iclock_multi_bio_data', '0:1' ],
    [ 'iclock_multi_bio_photo', '0:1' ],
    [ 'iclock_command_limit', 'count=1' ],
    [ 'iclock_command_timeout', '1m' ],
    [ 'iclock_command_attempts', '1' ],
    [ 'iclock_files', '/srv/iclock' ],
);

my %covered = map { $_->[0] => 1 } @http, @location;

$covered{$_} = 1 for qw/ iclock iclock_database iclock_database_passfile
                         iclock_unknown_devices /;

my %exists = map { $_ => 1 }
             map { slurp($_) =~ /\{\s*ngx_string\("(iclock\w*)"\),
                                 \s*NGX_HTTP_\w+\|/gx }
             glob "$root/src/http/*.c";

is_deeply([ sort keys %covered ], [ sort keys %exists ],
          'every directive is tested');


# contexts, numbers of arguments, duplicates

my $not_here = qr/directive is not allowed here/;
my $number = qr/invalid number of arguments/;
my $duplicate = qr/is duplicate/;

for (@http) {
    my ($name, $value) = @$_;

    refused("$name in server", 'server', "$name $value;", $not_here);
    refused("$name in location", 'location', "$name $value;", $not_here);
    refused("$name without value", 'http', "$name;", $number);
    refused("$name twice", 'http', [ ("$name $value;") x 2 ], $duplicate);
    passes($name, configuration('http', "$name $value;"));
}

for (@location) {
    my ($name, $value) = @$_;

    refused("$name without value", 'location', "$name;", $number);
    refused("$name in if", 'if', "$name $value;", $not_here);
    refused("$name twice", 'location', [ ("$name $value;") x 2 ], $duplicate);

    # http, server and location override each other
    my $conf = configuration('location', "$name $value;");

    $conf =~ s/^(server \{)/$name $value;\n$1\n$name $value;/m;
    passes("$name everywhere", $conf);
}

for my $name (qw/ iclock_delay iclock_zone iclock_realtime iclock_database /) {
    refused("$name with two values", $name =~ /zone|database/ ? 'http'
            : 'location', "$name a b;", $number);
}

refused('iclock_comm_key with a word', 'location', 'iclock_comm_key a b;',
        qr/invalid value "b"/);
refused('iclock_comm_key with three values', 'location',
        'iclock_comm_key a required b;', $number);

refused('iclock with a value', 'nothing', 'iclock on;', $number);
refused('iclock in server', 'server', 'iclock;', $not_here);
refused('iclock in http', 'http', 'iclock;', $not_here);
refused('iclock in if', 'if', 'iclock;', $not_here);
refused('iclock twice', 'location', 'iclock;', $duplicate);
refused('iclock_unknown_devices twice', 'location',
        'iclock_unknown_devices accept;', $duplicate);
refused('iclock_database twice', 'http', [ $database, $database ],
        $duplicate);
refused('iclock_database in server', 'server', $database, $not_here);

for my $name ('iclock', 'iclock_delay', 'iclock_database') {
    my ($status, $said) = $t->nginx_t(undef, main => "$name 1;");

    isnt($status, 0, "refused: $name outside of http");
    like($said, qr/\[emerg\].*"$name" $not_here in .*test\.conf:\d+/,
         'it says so');
}


# wrong values

my %bad = (
    iclock_pool => [ qw/ 4 connections connections= connections=0
        connections=65 connections=x connections=-1 connections=1.5 queue=0
        queue=1000001 queue=x timeout=0 timeout=99ms timeout=61m timeout=x
        timeout= connect_timeout=0 connect_timeout=2h connection=4
        Connections=4 /, '""' ],
    iclock_batch => [ qw/ 1 requests=0 requests=100001 requests=x records=0
        records=1000001 bytes=0 bytes=1023 bytes=513m bytes=x foo=1 / ],
    iclock_command_limit => [ qw/ 200 count=0 count=10001 count=x bytes=127
        bytes=65m bytes=x foo=1 / ],
    iclock_zone => [ qw/ iclock iclock: :1m iclock:x iclock:1k iclock:0
        iclock:-1m iclock:1x /, '""' ],
    iclock_presence_interval => [ qw/ x -1 1x 0 99ms /, '""' ],
    iclock_verify_interval => [ qw/ x -1 0 59s 366d on /, '""' ],
    iclock_files => [ '""' ],
    iclock_unknown_devices => [ qw/ maybe holds on /, '""' ],
    iclock_pending_limit => [ qw/ 0 -1 x 1.5 1000001 /, '""' ],
    iclock_command_attempts => [ qw/ 0 -1 x 1000001 /, '""' ],
    iclock_serial_pattern => [ qw/ [ ( (?<sn ^*+ \\\\ /, '""' ],
    iclock_timezone => [ qw{ Europe/Nowhere Europe Mars/Base europe/berlin
        /etc/localtime ../../../etc/passwd zone.tab leapseconds
        Europe/Berlin/ }, 'x' x 64, '"Europe/ Berlin"', '""' ],
    iclock_send_timezone => [ qw/ yes 1 /, '""' ],
    iclock_realtime => [ qw/ yes 0 /, '""' ],
    iclock_trans_times => [ 'x', '24:00', '12:60', '1:00', '12',
        '12:00,13:00', '12:00:13:00', '12:00;1', '-1:00', '+1:00',
        join(';', ('12:00') x 11), '"12:00; 13:00"' ],
    iclock_trans_interval => [ qw/ x -1 1x /, '""' ],
    iclock_trans_flag => [ 'x', '1111', '""', 'tabs Foo', 'tabs AttLog Foo',
        'AttLog', '"tabs  AttLog"' ],
    iclock_push_version => [ qw/ x 2 2.x 2.4.1a .2.4 2..4 2.4. -2.4 /,
        '1.' x 9, '""' ],
    map({ $_ => [ qw/ x 0 -1 1x 25h 86401 1.5 /, '""' ] }
        qw/ iclock_delay iclock_error_delay iclock_command_timeout /),
    map({ $_ => [ '"A B"', "\xc3\xa9", "\"A\tB\"", 'x' x 901 ] }
        qw/ iclock_push_options iclock_multi_bio_data
            iclock_multi_bio_photo /),
);

for my $name (sort keys %bad) {
    my $context = (grep { $_->[0] eq $name } @http) ? 'http' : 'location';

    for my $value (@{$bad{$name}}) {
        my $conf = "$name " . ($value =~ /;/ && $value !~ /"/ ? "\"$value\""
                                                             : $value) . ';';
        my $shown = length $value > 60 ? substr($value, 0, 60) . '...' : $value;

        # the location has one of these
        refused("$name $shown", $name eq 'iclock_unknown_devices' ? 'nothing'
                                : $context, $conf, qr/invalid/);
    }
}

refused('a parameter twice', 'http', 'iclock_pool queue=1 queue=1;',
        $duplicate);
refused('a parameter in two directives', 'http',
        [ 'iclock_pool queue=1;', 'iclock_pool timeout=1s queue=1;' ],
        $duplicate);
passes('parameters in two directives', configuration('http',
       [ 'iclock_pool queue=1;', 'iclock_pool timeout=1s;' ]));

for my $key ('""', 'x' x 101) {
    refused('iclock_comm_key of ' . length($key) . ' characters', 'location',
            "iclock_comm_key $key;", qr/invalid length of key/);
}

{
    my ($status, $said) = $t->nginx_t(configuration('http',
        [ 'limit_req_zone $uri zone=taken:1m rate=1r/s;',
          'iclock_zone taken:1m;' ]));

    isnt($status, 0, 'refused: a zone of another module');
    like($said, qr/"taken" is already .*test\.conf:\d+/, 'it says so');
}


# the database: no message shows a password

for ([ 'no keyword', 'nonsense-hunter2' ],
     [ 'an unknown keyword', 'host=a color=blue password=hunter2' ],
     [ 'no value', 'host=a password' ],
     [ 'an open quote', "host=a password='hunter2" ],
     [ 'a bad URI', 'postgresql://u:hunter2@[::1/x' ],
     [ 'a URI with a bad escape', 'postgresql://u:hunter2%zz@a/x' ],
     [ 'a URI with a bad parameter', 'postgresql://u:hunter2@a/x?color=blue' ],
     [ 'service', 'service=x password=hunter2' ],
     [ 'more ports than hosts', 'host=a port=1,2 password=hunter2' ],
     [ 'more addresses than hosts',
       'host=a hostaddr=1.2.3.4,1.2.3.5 password=hunter2' ])
{
    my ($name, $conninfo) = @$_;

    for my $directive (qw/ iclock_database iclock_listen_database /) {
        refused("$directive: $name", 'http', "$directive \"$conninfo\";",
                qr/\[emerg\]/, 'hunter2');
    }
}

for ([ 'URI', 'postgresql://u:p@127.0.0.1:1/x?connect_timeout=3' ],
     [ 'two servers', 'host=127.0.0.1,127.0.0.2 port=1,2 dbname=x'
       . ' target_session_attrs=read-write' ],
     [ 'one port for both', 'host=127.0.0.1,127.0.0.2 port=1' ],
     [ 'a socket', 'host=/nowhere dbname=x' ],
     [ 'hostaddr', 'host=db.invalid hostaddr=127.0.0.1' ],
     [ 'quotes', "dbname='a b' host=/nowhere password='it\\\\'s'" ],
     [ 'nothing', '' ])
{
    my ($name, $conninfo) = @$_;

    passes("iclock_database: $name",
           configuration('http', "iclock_database \"$conninfo\";"));
}

{
    my $conf = configuration('nothing', '');
    $conf =~ s/^iclock_database.*//m;

    my ($status, $said) = $t->nginx_t($conf);

    isnt($status, 0, 'refused: iclock without iclock_database');
    like($said, qr/\[emerg\] no "iclock_database" .*test\.conf:\d+/,
         'it says so');

    $conf =~ s/iclock;//;
    passes('neither of them', $conf);
}


# passwords from a file

my $passfile = $t->dir . '/passfile';

sub passfile {
    my ($name, $text, $mode) = @_;

    open my $file, '>', $passfile or die "$passfile: $!";
    print $file $text;
    close $file;
    chmod $mode || 0600, $passfile;

    return configuration('http', "iclock_database_passfile $passfile;");
}

passes('a passfile', passfile('good', "# x\n127.0.0.1:1:x:y:hunter2\n"));
passes('a passfile of stars', passfile('stars', "*:*:*:*:hunter2\n"));

{
    my ($status, $said) = $t->nginx_t(passfile('open', "*:*:*:*:hunter2\n",
                                               0644));

    is($status, 0, 'a passfile that everybody may read');
    like($said, qr/\[warn\].*passfile": "\Q$passfile\E" is open to everybody/,
         'is warned of');
}

# a host that has an address alone is known by that

for my $host ([ 'hostaddr=127.0.0.2', '127.0.0.2' ],
              [ 'host=db.example hostaddr=127.0.0.2', 'db.example' ])
{
    passfile('', "$host->[1]:*:x:y:hunter2\n");
    passes("a passfile, $host->[0]", configuration('http', [
        "iclock_database \"$host->[0] dbname=x user=y\";",
        "iclock_database_passfile $passfile;" ]));
}

for ([ 'no line fits', "127.0.0.1:2:x:y:hunter2\n" ], [ 'empty', '' ]) {
    my ($name, $text) = @$_;
    my ($status, $said) = $t->nginx_t(passfile($name, $text));

    isnt($status, 0, "refused: a passfile, $name");
    like($said, qr/\[emerg\].*"iclock_database_passfile".*test\.conf:\d+/,
         'it names the directive');
    unlike($said, qr/hunter2/, 'and not the password');
}

{
    my ($status, $said) = $t->nginx_t(configuration('http',
                          'iclock_database_passfile /nowhere/at/all;'));

    isnt($status, 0, 'refused: no passfile');
    like($said, qr/\[emerg\].*"iclock_database_passfile".*test\.conf:\d+/,
         'it names the directive');
    like($said, qr{/nowhere/at/all.*No such file}, 'and says why');

    my $conf = configuration('http', "iclock_database_passfile $passfile;");
    $conf =~ s/^iclock_database .*//m;
    ($status, $said) = $t->nginx_t($conf);

    isnt($status, 0, 'refused: a passfile without iclock_database');
    like($said, qr/\[emerg\] "iclock_database_passfile".*test\.conf:\d+/,
         'it says so');
}


# good values at the limits

for ([ http => 'iclock_pool connections=1 queue=1 timeout=100ms'
               . ' connect_timeout=100ms;' ],
     [ http => 'iclock_pool connections=64 queue=1000000 timeout=1h'
               . ' connect_timeout=1h;' ],
     [ http => 'iclock_batch requests=1 records=1 bytes=1k;' ],
     [ http => 'iclock_batch requests=100000 records=1000000 bytes=512m;' ],
     [ http => 'iclock_zone a:64k;' ],
     [ http => 'iclock_presence_interval 100ms;' ],
     [ http => 'iclock_verify_interval off;' ],
     [ http => 'iclock_verify_interval 365d;' ],
     [ location => 'iclock_files off;' ],
     [ location => 'iclock_files relative/path/;' ],
     [ location => 'iclock_pending_limit 1000000;' ],
     [ location => 'iclock_serial_pattern "^(?<site>[A-Z]{3})[0-9]{4,}$";' ],
     [ location => 'iclock_comm_key off;' ],
     [ location => 'iclock_comm_key off required;' ],
     [ location => 'iclock_comm_key sample1 required;' ],
     [ location => 'iclock_comm_key ' . 'x' x 100 . ';' ],
     [ location => 'iclock_timezone UTC;' ],
     [ location => 'iclock_timezone America/Argentina/Buenos_Aires;' ],
     [ location => 'iclock_timezone Etc/GMT+12;' ],
     [ location => 'iclock_delay 1;' ], [ location => 'iclock_delay 1d;' ],
     [ location => 'iclock_trans_times "";' ],
     [ location => 'iclock_trans_times "'
                   . join(';', map { "0$_:59" } 0 .. 9) . '";' ],
     [ location => 'iclock_trans_interval 0;' ],
     [ location => 'iclock_trans_flag bits;' ],
     [ location => 'iclock_trans_flag spaces AttLog attphoto BIOPHOTO;' ],
     [ location => 'iclock_push_version 2.2.14;' ],
     [ location => 'iclock_push_options "";' ],
     [ location => 'iclock_push_options ' . 'x' x 900 . ';' ],
     [ location => 'iclock_command_limit count=10000 bytes=64m;' ],
     [ location => 'iclock_command_limit count=1 bytes=128;' ])
{
    my ($context, $text) = @$_;

    passes(substr($text, 0, 70), configuration($context, $text));
}


# nothing at all of ours

passes('no http block', undef);
passes('an empty http block', '');


# nginx -t does not ask the database, which may be unreachable

my $listener = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 5,
                                     Proto => 'tcp') or die "listen: $!";

passes('a database that listens', configuration('http',
       'iclock_database "host=127.0.0.1 port=' . $listener->sockport . '";'));
ok(!IO::Select->new($listener)->can_read(0), 'it was not asked');

$t->done();
