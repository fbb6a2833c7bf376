#!/usr/bin/perl

# Copyright (C) the ngx_http_iclock_module authors

# The Debian package: what is in it, that nginx loads its module and takes its
# example, that its schema is installed by its program, and what it says when
# it is upgraded.  TEST_OLDER is the package of the release before, which
# tools/deb-older builds: what that has stored is there after an upgrade.  With
# TEST_INSTALL=1, as root, it comes into the system, is upgraded, removed and
# purged.

use strict;
use warnings;

use Cwd qw/ abs_path /;
use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Test::IClock;
use Test::IClock::Process qw/ command slurp /;

use constant NAME => 'libnginx-mod-http-iclock';

my $root = abs_path("$FindBin::Bin/..");
my $t = Test::IClock->new();
my $out = $t->dir . '/out';

sub run {
    my ($command, %option) = @_;

    unlink $out;

    my $status = command({ out => $out, env => $option{env} || {} },
                         @$command);

    return wantarray ? ($status >> 8, slurp($out)) : $status >> 8;
}


# one version everywhere

my ($debian) = slurp("$root/debian/changelog")
               =~ /^\Q${\ NAME}\E \((\S+)-1\) /;
my ($changes) = slurp("$root/CHANGES")
                =~ /^Changes with ngx_http_iclock_module (\S+) /m;
my ($header) = slurp("$root/src/hook/iclock_hook.h")
               =~ /define NGX_ICLOCK_HOOK_VERSION\s+"(.*)"/;

is($debian, $changes, 'the version in debian/changelog is that of CHANGES');
is($header, $changes, 'and that of the module');


# as "make deb" builds it

is(run([ "$root/tools/deb" ]), 0, 'tools/deb') or diag(slurp($out));

my ($deb) = glob "$root/build/deb/${\ NAME}_$changes-1_*.deb";
my ($dsc) = glob "$root/build/deb/${\ NAME}_$changes-1.dsc";

ok($deb && $dsc, 'a package and its source') or BAIL_OUT('no package');

my $there = $t->dir . '/there';
my $control = $t->dir . '/control';

is(run([ 'dpkg-deb', '-x', $deb, $there ]), 0, 'unpacked');
is(run([ 'dpkg-deb', '-e', $deb, $control ]), 0, 'its control files, too');

my @file = map { s!^\Q$there\E!!r } split /\n/, `find $there -type f`;
my %file = map { $_ => 1 } @file;
my $share = '/usr/share/ngx_http_iclock_module';
my $doc = "/usr/share/doc/${\ NAME}";

is(join(' ', grep { !$file{$_} } qw!
       /usr/lib/nginx/modules/ngx_http_iclock_module.so
       /usr/share/nginx/modules-available/mod-http-iclock.conf
       /usr/sbin/iclock-install-schema
       /usr/share/man/man8/iclock-install-schema.8.gz
       /usr/bin/iclock-simulator
       /usr/share/man/man1/iclock-simulator.1.gz !,
       map({ "$share/$_" } qw! conf.example sql/install.sql
             grafana/iclock-prometheus.json grafana/iclock-postgresql.json
             alerts/iclock.rules.yml !),
       map { "$doc/$_" } qw/ copyright changelog.gz changelog.Debian.gz
                             README.md.gz integrate.md.gz /), '',
   'what has to be in it');
is(join(' ', map { "$share/sql/" . s!.*/!!r } glob "$root/sql/*.sql"),
   join(' ', sort grep { m!^\Q$share\E/sql/! } @file),
   'every file of SQL');
is(join(' ', grep { !m!^(?:/usr/lib/nginx/modules/[^/]+\.so
                       |/usr/share/nginx/modules-available/[^/]+\.conf
                       |/usr/s?bin/iclock-[\w-]+
                       |/usr/share/man/man[18]/iclock-[\w-]+\.[18]\.gz
                       |\Q$share\E/.+|\Q$doc\E/.+)$!x } @file), '',
   'and nothing where it should not be');
is(slurp("$there/usr/share/nginx/modules-available/mod-http-iclock.conf"),
   "load_module modules/ngx_http_iclock_module.so;\n", 'what loads it');

my $fields = slurp("$control/control");

like($fields, qr/^Version: \Q$changes\E-1$/m, 'version');
like($fields, qr/^Depends: .*\bnginx-abi-[\d.]+-\d+\b/m,
     'it depends on the nginx that it is built for');
like($fields, qr/^Depends: .*\b$_\d+ /m, "on $_")
    for qw/ libpq libarchive libcurl libssl /;


# what Debian's checks say; .ci/run has them look at the source, too

is(run([ 'lintian', '--allow-root', '--fail-on', 'error,warning', $deb ]), 0,
   'lintian finds nothing') or diag(slurp($out));
is(slurp($out), '', 'at all');


# nginx loads it and takes the example, the schema is installed by the program

my $module = "$there/usr/lib/nginx/modules/ngx_http_iclock_module.so";
my $schema = "$there/usr/sbin/iclock-install-schema";

my $example = slurp("$there$share/conf.example");
my $temp = join '', map { "    ${_}_temp_path %%PREFIX%%/$_;\n" }
                    qw/ client_body proxy fastcgi uwsgi scgi /;

$example =~ s/^load_module \S+;/load_module $module;/m;
$example =~ s/^user .*;\n//m;
$example =~ s!/var/log/nginx/!%%PREFIX%%/!g;
$example =~ s!/run/nginx\.pid!%%PREFIX%%/nginx.pid!;
$example =~ s/listen \d+;/listen 127.0.0.1:%%PORT%%;/;
$example =~ s/^http \{\n/http {\n$temp/m;

my ($status, $said) = $t->nginx_t(undef, raw => $example);

is($status, 0, 'nginx takes the example with this module') or diag($said);

my @server = (PGHOST => $t->pg->{dir}, PGPORT => $t->pg->{port},
              PGUSER => 'postgres');

sub schema {
    my (@argument) = @_;

    return run([ $schema, @argument ], env => { @server });
}

($status, $said) = schema('--check', '-d', 'another');
is($status, 3, '--check: no database');
like($said, qr/^database another is missing$/m, 'and says so');

($status, $said) = schema('--database=another', '--user', 'some nginx',
                          '--api', '--reader', 'report');
is($status, 0, 'iclock-install-schema') or diag($said);
is($said =~ s/version \d+$/version N/mr, <<'END', 'says what it does');
==> database another is new
==> database another has the schema iclock, version N
==> role some nginx has iclock_module iclock_api
==> role report has iclock_reader
END
is($t->psql(q{SELECT string_agg(m.rolname, ' ' ORDER BY m.rolname)
                FROM pg_auth_members a
                JOIN pg_roles m ON m.oid = a.roleid
                JOIN pg_roles u ON u.oid = a.member
               WHERE u.rolname IN ('some nginx', 'report')}),
   'iclock_api iclock_module iclock_reader', 'the roles');

($status, $said) = schema('-d', 'another', '--no-user');
is($status, 0, 'again');
like($said, qr/^==> database another keeps version \d+ of the schema\n\z/,
     'changes nothing');
is(schema('--check', '-d', 'another'), 0, '--check: all is well');

$t->psql('UPDATE iclock.schema_version SET version = 0 WHERE version = '
         . '(SELECT max(version) FROM iclock.schema_version)',
         database => 'another');
($status, $said) = schema('--check', '-d',
                          $t->conninfo(user => 'postgres',
                                       dbname => 'another'));
is($status, 3, '--check by a connection string: an older schema');
like($said, qr/: schema \d+, these files: \d+$/m, 'and says so');

for my $case ([ [ '--datbase', 'x' ], qr/unknown argument "--datbase"/ ],
              [ [ '--user' ], qr/--user needs a value/ ],
              [ [ '--api', '--no-user' ], qr/--api needs the role/ ],
              [ [ '--sql', '/nonexistent' ], qr/no install\.sql/ ],
              [ [ '-d', 'host=/nonexistent dbname=x' ],
                qr/cannot ask PostgreSQL/ ])
{
    ($status, $said) = schema(@{$case->[0]});
    is($status, 1, "iclock-install-schema @{$case->[0]}");
    like($said, $case->[1], 'and why');
}

($status, $said) = schema('--help');
is($status, 0, '--help');

is(run([ "$there/usr/bin/iclock-simulator", '--help' ]), 0,
   'the simulator finds its modules') or diag(slurp($out));

my $manual = `man -l --warnings $there/usr/share/man/man8/*.gz 2>&1 | col -b`;
$manual = slurp("$root/docs/iclock-install-schema.pod") if $manual eq '';

for my $option ($said =~ /(?<=[ ,])(--[a-z-]+)/g) {
    like($manual, qr/\Q$option\E/, "the manual has $option");
}


# what it says when it is upgraded, by dpkg's way to call it

my $bin = $t->dir . '/bin';
mkdir $bin or die "$bin: $!";
symlink '/bin/true', "$bin/dpkg-trigger" or die "$bin/dpkg-trigger: $!";

# without the part of dh_nginx, which sets links in /etc

my $postinst = slurp("$control/postinst")
               =~ s/^# Automatically added.*?^# End auto[^\n]*\n//msr;

open my $file, '>', "$bin/postinst" or die "$bin/postinst: $!";
print $file $postinst;
close $file;

is(run([ 'sh', "$bin/postinst", 'configure', '' ]), 0, 'installed');
is(slurp($out), '', 'without a word');
is(run([ 'sh', "$bin/postinst", 'configure', '0.1.0-1' ]), 0, 'upgraded');
like(slurp($out), qr/reload does not replace it\..*install-schema\n.*restart/s,
     'a reload does not replace the module');


# from the release before

upgrades($ENV{TEST_OLDER}) if $ENV{TEST_OLDER};

# a punch, for nginx with the module of a package that is unpacked there

sub stored {
    my ($what, $pin) = @_;

    return ok(wait_until(30, sub {
        $t->device('OLDER001')->punches([ $pin, "2026-11-20 08:00:0$pin", 0,
                                          1 ])->text eq '200 OK: 1'
    }), "$what takes a punch");
}

sub serves {
    my ($where) = @_;

    local $ENV{TEST_MODULE}
        = "$where/usr/lib/nginx/modules/ngx_http_iclock_module.so";

    return $t->start($t->device_server(
        database => $t->conninfo(dbname => 'upgraded')));
}

sub newest {
    my ($where) = @_;

    my $install = slurp("$where$share/sql/install.sql");

    return $install =~ /^\\set newest (\d+)$/m ? $1 : 0;
}

sub upgrades {
    my ($package) = @_;

    my $before = $t->dir . '/before';
    my @schema = ('-d', 'upgraded', '--user', 'iclock_nginx');
    my $older = `dpkg-deb -f '$package' Version` =~ s/\n//r;

    is(run([ 'dpkg-deb', '-x', $package, $before ]), 0, 'unpacked');

    my ($had, $has) = map { newest($_) } $before, $there;

    is(run([ 'dpkg', '--compare-versions', $older, 'lt', "$changes-1" ]), 0,
       "$older is the release before");
    is(run([ "$before/usr/sbin/iclock-install-schema", @schema ],
           env => { @server }), 0, 'its schema') or diag(slurp($out));

    serves($before);
    stored('it', 1);

    is(schema('--check', @schema), $had == $has ? 0 : 3, '--check');
    ($status, $said) = schema(@schema);
    is($status, 0, 'the schema is upgraded') or diag($said);
    like($said, qr/from version $had to $has\n.*^==> now restart nginx/ms,
         'and what is left to do') if $had != $has;
    is(schema('--check', @schema), 0, '--check: all is well');
    stored('the old module, with the new schema,', 2);
    ok(wait_until(30, sub {
        my $device = $t->device('OLDER001');

        return $device->photo('20261120080002-2.jpg', "\xff\xd8\xff\xd9")
                      ->status == 200;
    }), 'and a photo');

    $t->quit();
    serves($there);
    stored('the new module', 3);
    is($t->psql("SELECT string_agg(pin, ' ' ORDER BY pin) FROM iclock.punch",
                database => 'upgraded'), '1 2 3', 'all punches are there');
    $t->quit();

    return;
}


# into the system and out again

my $link = '/etc/nginx/modules-enabled/50-mod-http-iclock.conf';

if ($ENV{TEST_INSTALL}) {
    installs();
}

sub dpkg {
    my (@argument) = @_;

    my ($rc, $text) = run([ 'dpkg', '--force-confold', @argument ],
                          env => { DEBIAN_FRONTEND => 'noninteractive',
                                   RUNLEVEL => 1 });

    return ok($rc == 0, "dpkg $argument[0]") ? $text : (diag($text), '')[1];
}

# the nginx of the system, with its modules

sub nginx_of_system {
    symlink '/usr/share/nginx/modules', $t->nginx->{dir} . '/modules';

    my ($rc, $text) = $t->nginx_t(undef, raw => <<"CONF");
include /etc/nginx/modules-enabled/*.conf;
pid %%PREFIX%%/nginx.pid;
error_log %%PREFIX%%/error.log;
events { }
http {
$temp    access_log off;
    server { listen 127.0.0.1:%%PORT%%; location / { iclock; } }
    iclock_database "host=127.0.0.1 dbname=x user=y";
}
CONF

    return $rc == 0 ? 'knows iclock' : $text;
}

# the release before, or the same with another number

sub older {
    return $ENV{TEST_OLDER} if $ENV{TEST_OLDER};

    my $old = $t->dir . '/older';
    my $text = $fields =~ s/^Version: .*$/Version: 0.1.0-1/mr;

    system('cp', '-a', $there, $old) == 0
        && system('cp', '-a', $control, "$old/DEBIAN") == 0
        or die "cannot copy\n";

    open my $handle, '>', "$old/DEBIAN/control" or die "$old: $!";
    print $handle $text;
    close $handle;

    is(run([ 'dpkg-deb', '--root-owner-group', '-b', $old, "$old.deb" ]), 0,
       'the release before');

    return "$old.deb";
}

sub installs {
    unlike(dpkg('-i', older()), qr/reload/, 'installed without a word');
    ok(-l $link, 'it is enabled');
    is(nginx_of_system(), 'knows iclock', 'nginx loads it');

    like(dpkg('-i', $deb), qr/a reload does not replace it/, 'upgraded');
    is(`dpkg-query -W -f '\${Version}' ${\ NAME}`, "$changes-1",
       'to this version');
    is(nginx_of_system(), 'knows iclock', 'nginx loads it');

    unlink $link;
    dpkg('-i', $deb);
    ok(!-l $link, 'whoever disables it keeps that');
    symlink '/usr/share/nginx/modules-available/mod-http-iclock.conf', $link;

    dpkg('-r', NAME);
    ok(!-l $link, 'removed, it is disabled');
    like(nginx_of_system(), qr/unknown directive "iclock"/, 'nginx is alone');

    dpkg('-i', $deb);
    ok(-l $link, 'installed again, it is enabled again');
    dpkg('-P', NAME);
    is(join(' ', glob "$link*"), '', 'purged, nothing is left');
    ok(!-e $share, 'of its files');

    return;
}

$t->done();
