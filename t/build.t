#!/usr/bin/perl

# Copyright (C) the ngx_http_iclock_module authors

# The build system, with a source tree of a few lines: what is rebuilt when,
# for which nginx, and what is said when something is missing.

use strict;
use warnings;

use Cwd qw/ abs_path /;
use File::Path qw/ make_path remove_tree /;
use FindBin;
use Test::More;
use Time::HiRes qw/ sleep stat /;

use lib "$FindBin::Bin/lib";
use Test::IClock;
use Test::IClock::Process qw/ command slurp /;

my $root = abs_path("$FindBin::Bin/..");
my $t = Test::IClock->new(pg => 0);
my $dir = $t->dir . '/tree';
my $so = "$dir/build/ngx_http_iclock_module.so";

make_path(map { "$dir/src/$_" } qw/ proto pg store http console /);
system('cp', '-r', map({ "$root/$_" } qw! config config.make Makefile tools
                                           sql grafana alerts docs
                                           conf.example !), $dir) == 0
    && system('cp', '-r', "$root/src/console/page", "$dir/src/console") == 0
    or die "cannot copy the build system\n";

sub put {
    my ($name, $text) = @_;

    open my $out, '>', "$dir/$name" or die "$dir/$name: $!";
    print $out $text;
    close $out;

    return;
}

# the modules that config names

my ($modules) = slurp("$root/config") =~ /^ngx_module_name="([^"]*)"/m;
my @module = ('ngx_http_iclock_module', $modules =~ /\bngx_http_\w+/g);

put("src/http/$_.c", source_of($_)) for @module;

sub source_of {
    my ($name) = @_;

    return <<"END";
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>
#include <libpq-fe.h>
#include "number.h"

static ngx_http_module_t  ${name}_ctx;

ngx_module_t  $name = {
    NGX_MODULE_V1,
    &${name}_ctx,
    NULL,
    NGX_HTTP_MODULE,
    NULL,
    NULL,
    NULL,
    NULL,
    NULL,
    NULL,
    NULL,
    NGX_MODULE_V1_PADDING
};

int ${name}_number(void);

int
${name}_number(void)
{
    return NUMBER + PQlibVersion();
}
END
}

put('src/proto/number.h', "#define NUMBER 4711\n");

# What configure has tried once with the same flags, it need not try again: it
# runs many times here, and each time would take ten seconds.

make_path("$dir/cc/tried");
put('cc/cc', <<'END');
#!/bin/sh
for source; do case $source in */autotest.c) break ;; esac; done
case $source in */autotest.c) ;; *) exec /usr/bin/cc "$@" ;; esac
dir=${0%/*}/tried
program=${source%.c}
sum=$( (echo "$@" | sed 's,[^ ]*/autotest,,g'; cat "$source") | md5sum)
file=$dir/${sum%% *}
if [ ! -e "$file.status" ]; then
    /usr/bin/cc "$@" 2> "$file.err"
    echo $? > "$file.status"
    [ ! -e "$program" ] || cp "$program" "$file"
fi
cat "$file.err" >&2
[ ! -e "$file" ] || cp "$file" "$program"
read -r status < "$file.status"
exit "$status"
END
chmod 0755, "$dir/cc/cc";

# not as root when there is a choice

my @user;

if ($> == 0) {
    system('chown', '-R', 'nobody', $dir) == 0 or die "chown failed\n";
    @user = ('setpriv', '--reuid', 'nobody', '--clear-groups', '--');
}

sub run_make {
    my (@argument) = @_;

    my $out = $t->dir . '/make.out';
    unlink $out;

    my $status = command({ out => $out, env => {
                             PATH => "$dir/cc:$ENV{PATH}", map { $_ => '' }
                             qw/ MAKEFLAGS MFLAGS MAKELEVEL NGINX_SRC / } },
                         @user, 'env', '-u', 'MAKEFLAGS', 'make', '-C', $dir,
                         '--no-print-directory', @argument);

    return ($status, slurp($out));
}

sub build { return run_make('build', @_) }

my ($status, $said) = build();

is($status, 0, 'build') or diag($said);
like($said, qr/^built build\/ngx_http_iclock_module\.so$/m, 'it says what');

sub loads {
    local $ENV{TEST_MODULE} = $so;

    my ($rc, $out) = $t->nginx_t('server { listen 127.0.0.1:%%PORT%%; }');

    return $rc == 0 ? 'loads' : $out;
}

is(loads(), 'loads', 'nginx loads the module');

my $inode = (stat $so)[1];
my $configured = (stat "$dir/build/objs/configure.log")[9];

($status, $said) = build();
is($status, 0, 'again');
is($said, '', 'nothing to do, nothing to say');
is((stat $so)[1], $inode, 'the module is left alone');

# a second of a machine that does nothing else

sleep 1.1;
put('src/proto/number.h', "#define NUMBER 4712\n");

($status, $said) = build();
is($status, 0, 'a header was touched');
isnt((stat $so)[1], $inode, 'the module is new');
is((stat "$dir/build/objs/configure.log")[9], $configured,
   'without another configure');

put('src/store/more.c', "int more(void);\nint more(void) { return 1; }\n");
($status, $said) = build();
is($status, 0, 'a new file');
like(`nm -D $so`, qr/ T more$/m, 'it is in');

put('src/store/more.c', "int more(void) { return 1; }\n");
sleep 1.1;
($status, $said) = build();
isnt($status, 0, 'a warning of ours is an error');
like($said, qr/missing-prototypes/, 'and is told');

unlink "$dir/src/store/more.c";
($status, $said) = build();
is($status, 0, 'a file has gone') or diag($said);
unlike(`nm -D $so`, qr/ T more$/m, 'it is out');


# another source tree, which is left as it is

my $src = "$root/build/nginx-src/nginx";
my $before = `find $src | sort`;

($status, $said) = build("NGINX_SRC=$src");
is($status, 0, 'NGINX_SRC') or diag($said);
is(loads(), 'loads', 'with --with-compat it loads, too');
ok(`find $src | sort` eq $before, 'nothing is written to the tree');

my $own = (stat $so)[1];

($status, $said) = run_make('install', "NGINX_SRC=$src", 'MODULES=/own',
                            "DESTDIR=$dir/out");
is($status, 0, 'make install NGINX_SRC') or diag($said);
is((stat $so)[1], $own, 'it builds for no other nginx');
ok(slurp("$dir/out/own/ngx_http_iclock_module.so") eq slurp($so),
   'and installs what was built, where that nginx looks');

($status, $said) = build("NGINX_SRC=$dir/src");
isnt($status, 0, 'NGINX_SRC that is no source tree');
like($said, qr/is not an nginx source tree/, 'and is told');


# what is missing is named

($status, $said) = build('LIBPQ_INC=/nonexistent', 'LIBPQ_LIB=/nonexistent');
isnt($status, 0, 'no libpq');
like($said, qr/requires libpq 14 or later.*libpq-dev/s,
     'the package is named');

($status, $said) = build('NGINX_CONF=--without-pcre'
                         . ' --without-http_rewrite_module');
isnt($status, 0, 'no PCRE');
like($said, qr/requires nginx built with PCRE/, 'and is told');

# tests again and again: a make whose second and third run fail

make_path("$dir/soak");
put('soak/make', <<'END');
#!/bin/sh
n=$(cat runs 2> /dev/null || echo 0)
n=$((n + 1))
echo $n > runs
echo "[12:00:0$n] t/a.t ..... ok     ${n}500 ms ( 0.02 usr"
case $n in
    2) echo "    #   Failed test 'a fine day'"; echo 't/a.t (Wstat: 256)' ;;
    3) echo 'make: *** [Makefile:1: build] Error 1' ;;
    *) exit 0 ;;
esac
exit 2
END
chmod 0755, "$dir/soak/make";

sub soak {
    my ($times) = @_;

    my $out = $t->dir . '/soak.out';
    unlink $out, "$dir/runs";

    my $rc = command({ out => $out,
                       env => { PATH => "$dir/soak:$ENV{PATH}" } },
                     @user, "$dir/tools/soak", $times);

    return ($rc >> 8, slurp($out));
}

($status, $said) = soak(4);
is($status, 1, 'soak: some runs fail');
is(slurp("$dir/runs"), "4\n", 'soak: and those after them run');
is(join(' ', $said =~ /^soak: run (\d of 4 \w+)/mg), '1 of 4 passed'
   . ' 2 of 4 FAILED 3 of 4 FAILED 4 of 4 passed', 'soak: each is told');
like($said, qr/^ +1 times  Failed test 'a fine day'  \(run 2\)$/m,
     'soak: a test that failed, and when');
like($said, qr/^ +1 times  make: .* Error 1  \(run 3\)$/m,
     'soak: what is not a test');
like($said, qr/^ +3\.0 s, at most +4\.5 s  t\/a\.t$/m, 'soak: the slowest');
like($said, qr/^soak: 2 of 4 runs passed$/m, 'soak: the balance');
like(slurp("$dir/build/soak/$_.log"), qr/t\/a\.t/, "soak: the log of run $_")
    for 1 .. 4;

($status, $said) = soak(1);
is($status, 0, 'soak: all pass') or diag($said);

($status, $said) = soak('many');
is($status, 1, 'soak: no number');


# The source of nginx that the unit tests are built with: a mirror may lack
# parts of what its list offers.  An apt that has only what it is told to have.

my $apt = "$dir/apt";
make_path($apt);

sub program {
    my ($name, $text) = @_;

    open my $fh, '>', "$apt/$name" or die "$apt/$name: $!\n";
    print $fh "#!/bin/sh\n$text";
    close $fh;
    chmod 0755, "$apt/$name";

    return;
}

program('dpkg-query', "echo 1.22.1-9+deb12u3\n");
program('apt-cache', "printf 'Version: %s\\n' 1.22.1-9+deb12u2"
                     . " 1.22.1-9+deb12u3 1.18.0-6\n");
program('apt-get', <<'EOF');
for last; do :; done
case "$*" in *" update") exit 0 ;; esac
case "$*" in *--tar-only*) want=tar:$last ;; *) want=$last ;; esac
echo "$want" >> "$APT_ASKED"
case " $APT_HAS " in *" $want "*) ;; *) echo "404 $want"; exit 100 ;; esac
mkdir -p nginx-1.22.1/src/core
echo "$want" > nginx-1.22.1/src/core/nginx.c
case $want in
    tar:*) tar -czf nginx_1.22.1.orig.tar.gz nginx-1.22.1
           rm -r nginx-1.22.1 ;;
esac
EOF

sub source_of_nginx {
    my ($has, $env, $keep) = @_;

    remove_tree("$dir/source") if !$keep;
    unlink "$dir/asked";

    local %ENV = (%ENV, %{$env || {}}, PATH => "$apt:$ENV{PATH}",
                  APT_HAS => $has, APT_ASKED => "$dir/asked");
    delete $ENV{NGINX_SRC} if !$env;

    my $said = `$root/tools/nginx-src $dir/source 2>&1`;

    my ($status, $core) = ($? >> 8, "$dir/source/nginx/src/core/nginx.c");

    return ($status, $said, -e $core ? slurp($core) : '',
            -e "$dir/asked" ? slurp("$dir/asked") : '');
}

my ($what, $asked);

($status, $said, $what, $asked) = source_of_nginx(
    'nginx=1.22.1-9+deb12u3 nginx=1.22.1-9+deb12u2');
is($what, "nginx=1.22.1-9+deb12u3\n", 'the source of the installed nginx');
is($asked, $what, 'and nothing else is asked for');

($status, $said, $what) = source_of_nginx(
    'nginx=1.18.0-6 nginx=1.22.1-9+deb12u2');
is($status, 0, 'a mirror lacks the installed version') or diag($said);
is($what, "nginx=1.22.1-9+deb12u2\n", 'the newest that it has');

($status, $said, $what) = source_of_nginx('tar:nginx=1.22.1-9+deb12u2');
is($status, 0, 'a mirror has no .dsc at all') or diag($said);
is($what, "tar:nginx=1.22.1-9+deb12u2\n", 'the tarball alone');

($status, $said) = source_of_nginx('');
isnt($status, 0, 'a mirror has nothing');
like($said, qr/no source of nginx.*NGINX_SRC/s, 'NGINX_SRC is named');

($status, $said, $what, $asked) = source_of_nginx('', { NGINX_SRC => $src });
is($status, 0, 'NGINX_SRC is the source then') or diag($said);
ok($what eq slurp("$src/src/core/nginx.c"), 'a copy of it');
is($asked, '', 'nothing is fetched');

($status, $said, $what) = source_of_nginx('',
    { NGINX_SRC => "$dir/source/nginx" }, 'keep');
is($status, 0, 'NGINX_SRC is that copy itself') or diag($said);
ok($what eq slurp("$src/src/core/nginx.c"), 'which stays');

unlink "$dir/source/nginx/.complete";
($status, $said, $what) = source_of_nginx('',
    { NGINX_SRC => "$dir/source/../source/nginx" }, 'keep');
is($status, 0, 'under another name') or diag($said);
ok($what eq slurp("$src/src/core/nginx.c"), 'as well');

$t->done();
