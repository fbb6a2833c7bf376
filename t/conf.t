#!/usr/bin/perl

# Copyright (C) the ngx_http_iclock_module authors

# conf.example is a configuration that nginx accepts, and shows every
# directive that there is; so is what README.md begins with.

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

# it asks for no file that another system may not have

is(join(' ', $conf =~ s/^\s*#.*//mgr =~ m!\s(/etc/[^\s;]+)!g), '',
   'nothing of /etc is needed');

# its logs are rotated with nginx's own, and what is said of Prometheus
# elsewhere finds its location

is(join(' ', grep { !/\.log\z/ } $conf =~ m!\s(/var/log/nginx/[^\s;]+)!g), '',
   'each log is one of those that logrotate looks after');

my ($path) = $conf =~ /^ *# location = (\S+) \{\n *# +iclock_status /m;
my ($listen) = $conf =~ /^ *listen (\d+);/m;

for my $file (qw! alerts/iclock.rules.yml docs/metrics.md !) {
    my $text = slurp("$root/$file");

    is(join(' ', $text =~ /metrics_path: (\S+)/g), $path // 'none',
       "$file: the path for Prometheus");
    is(join(' ', $text =~ /targets: \[ "127\.0\.0\.1:(\d+)"/g), $listen,
       "$file: and the port");
}

# those that are comments would be accepted, too

my $all = $local;

$all =~ s/^(\s*)# (iclock_\w+ [^;]*;)$/$1$2/mg;
$all =~ s/.*iclock_database_passfile.*//;

($status, $said) = $t->nginx_t(undef, raw => $all);

is($status, 0, 'also with what is commented out') or diag($said);

# what README begins with: with load_module, and as it is with the package

my $readme = slurp("$root/README.md");
my ($first) = $readme =~ /^4\. Configure nginx:\n\n((?:\ {7}.*\n|\n)+)/m;
my ($include) = $readme =~ m!^\ {4}(include\ /etc/nginx/modules-enabled
                                   /\*\.conf;)$!mx;

ok($first && $include, 'README has a first configuration')
    or BAIL_OUT('no configuration');

$first =~ s/^ {7}//mg;
$first =~ s!^user .*;$!error_log %%PREFIX%%/error.log; pid %%PREFIX%%/pid;!m;
$first =~ s/listen \d+;/listen 127.0.0.1:%%PORT%%;/;
$first =~ s/^http \{\n/http {\naccess_log off;\n$temp/m;

my $enabled = $t->dir . '/modules-enabled';

mkdir $enabled or die "$enabled: $!";
open my $load, '>', "$enabled/50-mod-http-iclock.conf" or die "$enabled: $!";
print $load "load_module $module;\n";
close $load;

$include =~ s!/etc/nginx/modules-enabled!$enabled!;

for my $how ("load_module $module;", $include) {
    my $text = $first =~ s/^load_module modules\/\S+;/$how/mr;

    ($status, $said) = $t->nginx_t(undef, raw => $text);
    is($status, 0, "nginx -t accepts it: $how") or diag($said);
    ok(index($text, $how) == 0, 'at its top');
}

$t->done();
