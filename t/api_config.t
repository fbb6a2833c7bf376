#!/usr/bin/perl

# Copyright (C) the ngx_http_iclock_module authors

# nginx -t: what each directive of the HTTP interface takes and refuses, and
# that it says where and why; see config.t for the others.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Test::IClock;
use Test::IClock::Process qw/ slurp /;

my $t = Test::IClock->new(pg => 0);
my $root = "$FindBin::Bin/..";
my $authorities = '/etc/ssl/certs/ca-certificates.crt';

# a good value, where it may be (m: http only, l: also below), bad values

my @directive = (
    [ iclock_api_pool => 'connections=2', 'm',
      qw/ 2 connections=0 connections=65 connections=x queue=0 queue=1000001
          timeout=0 timeout=99ms timeout=2h timeout=x foo=1 / ],
    [ iclock_api_key_cache => '30s', 'm', qw/ x -1 25h 1x / ],
    [ iclock_event_retention => '8d', 'm', qw/ x -1 59m 366d / ],
    [ iclock_webhooks => 'off', 'm', qw/ yes 1 maybe / ],
    [ iclock_stream => 'buffer=64k clients=10 heartbeat=5s', 'm',
      qw/ 1m buffer=63k buffer=2g buffer=x clients=0 clients=1000001
          clients=x heartbeat=999ms heartbeat=2h heartbeat=x foo=1 /,
      'clients=1 clients=2' ],
    [ iclock_api_rate => 'rate=10r/m burst=5', 'l',
      qw{ 100 rate=100 rate=0r/m rate=-1r/m rate=xr/m rate=10r/h rate=r/m
          rate=1000001r/m rate=100000r/s on burst=5 foo=1 },
      'rate=1r/m burst=0', 'rate=1r/m burst=x', 'rate=1r/m rate=2r/m',
      'off burst=5', 'rate=1r/m off' ],
    [ iclock_api_page => 'default=5 max=10', 'l',
      qw/ 5 default=0 default=x default=10001 max=0 max=10001 max= foo=1 /,
      'default=11 max=10' ],
    [ iclock_api_batch => '10', 'l', qw/ 0 -1 x 100001 1.5 / ],
    [ iclock_api_cors => 'https://a.example https://b.example:8443', 'l',
      qw{ a.example ftp://a.example https:// https://a.example/
          https://a.example/x https://u@a.example }, '"https://a b"',
      'off https://a.example', '""' ],
    [ iclock_api_base => 'https://a.example/v1', 'l',
      qw{ a.example /v1 https:// https://a.example/ https://a.example/v1/
          https://a.example/v1?x https:///x off }, '"https://a<b"', '""' ],
    [ iclock_webhook_limits => 'endpoints=1 concurrency=1 timeout=100ms'
                               . ' connect_timeout=100ms idle=1', 'm',
      qw/ 10 speed=1 endpoints=0 endpoints=100001 endpoints=x concurrency=0
          concurrency=4097 timeout=0 timeout=99ms timeout=300001ms timeout=x
          connect_timeout=0 connect_timeout=99ms connect_timeout=6m idle=0
          idle=65537 idle= /, 'idle=1 idle=2' ],
    [ iclock_webhook_allow => 'off', 'm', qw{ localhost 10.0.0.0/33 10.0 },
      'off 10.0.0.0/8' ],
    [ iclock_webhook_http => 'on', 'm', qw/ yes 1 /, 'on off' ],
    [ iclock_webhook_trusted_certificate => $authorities, 'm',
      "$authorities $authorities" ],
    [ iclock_secret_key => 'off', 'm', 'off off' ],
);


# The configuration with lines in http, in the location, and elsewhere.

sub configuration {
    my ($http, $location, $server) = @_;

    return join "\n",
        'iclock_database "host=127.0.0.1 port=1 dbname=x user=y";', $http,
        'server {', '    listen 127.0.0.1:%%PORT%%;', $server || '',
        '    location /v1 {', '        iclock_api;', $location,
        '    }', '}', '';
}


sub refused {
    my ($name, $text, $conf, $pattern) = @_;

    my ($status, $said) = $t->nginx_t($conf);
    my @line = split /\n/, slurp($t->dir . '/nginx/test.conf');
    my ($number) = grep { $line[$_ - 1] eq $text } reverse 1 .. @line;
    my ($directive) = $text =~ /(iclock\w+)/;
    my @emerg = grep { /\[emerg\]/ } split /\n/, $said;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    ok($status != 0 && @emerg && $emerg[-1] =~ /"\Q$directive\E"/
       && $emerg[-1] =~ /$pattern/ && $emerg[-1] =~ /test\.conf:$number$/,
       "refused: $name") or diag("status $status, line $number:\n$said");
}


sub passes {
    my ($name, $conf) = @_;

    my ($status, $said) = $t->nginx_t($conf);

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    ok($status == 0 && $said !~ /\[(?:emerg|alert|crit|error|warn)\]/,
       "passes: $name") or diag("status $status:\n$said");
}


for (@directive) {
    my ($name, $good, $where, @bad) = @$_;
    my $line = "$name $good;";

    for my $value (@bad) {
        my $text = "$name $value;";

        refused($text, $text, configuration($where eq 'm' ? ($text, '')
                                                         : ('', $text)),
                qr/invalid|needs|larger|is duplicate|must be/);
    }

    if ($where eq 'm') {
        passes($line, configuration($line, ''));
        refused("$name in location", $line, configuration('', $line),
                qr/not allowed here/);
        refused("$name twice", $line, configuration("$line\n$line", ''),
                qr/is duplicate/);

    } else {
        passes("$line everywhere", configuration($line, $line, $line));
        refused("$name twice", $line, configuration('', "$line\n$line"),
                qr/is duplicate/);
    }

    refused("$name without value", "$name;", configuration("$name;", ''),
            qr/invalid number of arguments/);
}

passes("$_ off", configuration('', "$_ off;"))
    for qw/ iclock_api_rate iclock_api_cors /;
passes('iclock_api_cors *', configuration('', 'iclock_api_cors *;'));
passes('a larger default above', configuration('iclock_api_page default=50;',
                                               'iclock_api_page max=10;'));
passes('the largest limits of webhooks', configuration(
    'iclock_webhook_limits endpoints=100000 concurrency=4096 timeout=5m'
    . ' connect_timeout=5m idle=65536;', ''));

refused('iclock_api twice', 'iclock_api;', configuration('', 'iclock_api;'),
        qr/is duplicate/);
refused('iclock_api with a value', 'iclock_api on;',
        configuration('', '', "location /x {\niclock_api on;\n}"),
        qr/invalid number/);
refused("iclock_api in a location $_->[0]", 'iclock_api;',
        configuration('', '', "location $_->[1] {\niclock_api;\n}"),
        qr/needs a location with a prefix/)
    for [ 'with a name', '@x' ], [ 'of an expression', '~ ^/v2' ];
passes("iclock_api in location $_",
       configuration('', '', "location $_ {\niclock_api;\n}"))
    for '/', '= /v2', '^~ /v3/';


# Files that are not what they should be.  Webhooks are off here: they are read
# all the same.

my ($certificate) = slurp($authorities)
                    =~ /(-----BEGIN CERTIFICATE-----.*?^-----END [^\n]*\n)/ms;

sub file {
    my ($text) = @_;
    my $name = $t->dir . '/file.pem';

    open my $file, '>', $name or die "$name: $!";
    print $file $text;
    close $file;

    return $name;
}

sub refused_file {
    my ($directive, $what, $name, $pattern) = @_;
    my $line = "$directive $name;";

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    refused("$directive: $what", $line, configuration($line, ''), $pattern);

    return;
}

passes('a single certificate', configuration(
    'iclock_webhook_trusted_certificate ' . file($certificate) . ';', ''));

for ([ 'nothing' => '' ],
     [ 'something else' => "certificates\n" ],
     [ 'a key' => $certificate =~ s/CERTIFICATE/PRIVATE KEY/gr ],
     [ 'one that is cut off' => $certificate . substr($certificate, 0, -40) ])
{
    my ($what, $text) = @$_;

    refused_file('iclock_webhook_trusted_certificate', $what, file($text),
                 qr/is no file of certificates/);
}

refused_file('iclock_webhook_trusted_certificate', 'a directory', $t->dir,
             qr/is no file of certificates/);
refused_file($_, 'no file', '/none', qr!"/none" failed \(2: !)
    for qw/ iclock_webhook_trusted_certificate iclock_secret_key /;
refused_file('iclock_secret_key', 'a file without keys', file("# none\n"),
             qr/has 0 keys/);


my %covered = map { $_->[0] => 1 } @directive;
my @missing = grep { !/^iclock_api\z/ && !$covered{$_} }
              map { slurp($_) =~ /\{\s*ngx_string\("(iclock\w*)"\),
                                  \s*NGX_HTTP_\w+\|/gx }
              glob "$root/src/api/*.c";

is(join(' ', @missing), '', 'every directive is tested');

$t->done();
