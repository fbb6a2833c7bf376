#!/usr/bin/perl

# Copyright (C) the ngx_http_iclock_module authors

# conf.example is a configuration that nginx accepts, and shows every
# directive that there is.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Test::IClock;
use Test::IClock::Process qw/ slurp /;

my $root = "$FindBin::Bin/..";
my $t = Test::IClock->new(pg => 0);
my $conf = slurp("$root/conf.example");
my $module = Test::IClock::Nginx::module();

# what belongs to the machine: the module, places to write to, ports

my $local = $conf;

$local =~ s/^load_module \S+;/load_module $module;/m
    or fail('conf.example loads the module');
$local =~ s/^user .*;\n//m;
$local =~ s!/var/log/nginx/!%%PREFIX%%/!g;
$local =~ s!/run/nginx\.pid!%%PREFIX%%/nginx.pid!;
$local =~ s/listen \d+;/listen 127.0.0.1:%%PORT%%;/;

my $temp = join '', map { "    ${_}_temp_path %%PREFIX%%/$_;\n" }
                    qw/ client_body proxy fastcgi uwsgi scgi /;

$local =~ s/^http \{\n/http {\n$temp/m;

my ($status, $said) = $t->nginx_t(undef, raw => $local);

is($status, 0, 'nginx -t accepts conf.example');
like($said, qr/test is successful/, 'and says so');
unlike($said, qr/\[warn\]/, 'without a warning') or diag($said);

# the directives of the module, as its command tables have them

my %directive = map { $_ => 1 }
                map { slurp($_) =~ /\{\s*ngx_string\("(iclock\w*)"\),\s*
                                    NGX_(?:HTTP|MAIN)_\w+/xg }
                glob "$root/src/{http,api,console}/*.c";

cmp_ok(scalar keys %directive, '>', 0, 'there are directives');

for my $name (sort keys %directive) {
    like($conf, qr/\b$name\b/, "conf.example shows $name");
}

# those that are comments would be accepted, too

my $all = $local;

$all =~ s/^(\s*)# (iclock_\w+ [^;]*;)$/$1$2/mg;
$all =~ s/.*iclock_database_passfile.*//;

($status, $said) = $t->nginx_t(undef, raw => $all);

is($status, 0, 'also with what is commented out') or diag($said);

$t->done();
