#!/usr/bin/perl

# Copyright (C) the ngx_http_iclock_module authors

# Runs the pgTAP files of t/sql, each in a database of its own in which
# sql/install.sql has been applied twice.  A file is one subtest.  Roles are of
# all databases: each file has its own names for them.
# TEST_SQL names files to run only those.

use strict;
use warnings;

use File::Spec;
use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Test::IClock;
use Test::IClock::Process qw/ command slurp /;

my $root = "$FindBin::Bin/..";
my @files = map { File::Spec->rel2abs($_) }
            $ENV{TEST_SQL} ? split ' ', $ENV{TEST_SQL}
                           : sort glob "$FindBin::Bin/sql/*.sql";

plan(skip_all => 'no files') if !@files;

my $t = Test::IClock->new;
my $pg = $t->pg;

# the harness has applied it once

my ($status, $out, $err) = eval { (0, $pg->psql_file("$root/sql/install.sql"),
                                   '') };

is($@, '', 'sql/install.sql applies a second time');


# Whoever installs the schema owns it, and need be no superuser.  An upgrade
# leaves all of it to that role, whoever runs it.

my $install = "$root/sql/install.sql";

$pg->psql('CREATE ROLE keeper LOGIN');
$pg->psql('CREATE ROLE stranger LOGIN');
$pg->psql('CREATE ROLE helper LOGIN IN ROLE keeper');
$pg->psql('CREATE ROLE guest LOGIN NOINHERIT IN ROLE keeper');
$pg->psql('CREATE DATABASE kept OWNER keeper', database => 'postgres');

sub install {
    my ($user, $file) = @_;

    return $pg->_psql($file || $install, user => $user, database => 'kept');
}

sub kept { return $pg->psql($_[0], database => 'kept') }

sub owners {
    return kept(<<'SQL');
SELECT string_agg(DISTINCT r.rolname, ' ')
  FROM (SELECT c.relowner, c.relnamespace FROM pg_class c
        UNION ALL SELECT p.proowner, p.pronamespace FROM pg_proc p
        UNION ALL SELECT t.typowner, t.typnamespace FROM pg_type t
        UNION ALL SELECT n.nspowner, n.oid FROM pg_namespace n)
       AS x (owner, namespace)
  JOIN pg_namespace s ON s.oid = x.namespace
  JOIN pg_roles r ON r.oid = x.owner
 WHERE s.nspname IN ('iclock', 'iclock_api')
SQL
}

# roles of the module that are missing

$pg->psql('ALTER ROLE iclock_shell RENAME TO shell_of_before');
($status, $out, $err) = install('keeper');

isnt($status, 0, 'roles are missing, and this one may not create any');
like($err, qr/missing roles: iclock_shell; and "keeper" may not create roles/,
     'it says which');
like($err, qr/HINT: +Have an .* run: CREATE ROLE iclock_shell NOLOGIN;/,
     'and what to do');
is(kept("SELECT to_regnamespace('iclock') IS NULL"), 't',
   'nothing is installed then');

$pg->psql('ALTER ROLE keeper CREATEROLE');
is($pg->psql("BEGIN;\n\\i '$root/sql/roles.sql'\n"
             . "SELECT shobj_description(oid, 'pg_authid') IS NOT NULL"
             . " FROM pg_roles WHERE rolname = 'iclock_shell'; ROLLBACK",
             user => 'keeper', database => 'kept'), 't',
   'one that may makes them');
$pg->psql('ALTER ROLE keeper NOCREATEROLE');
$pg->psql('ALTER ROLE shell_of_before RENAME TO iclock_shell');

($status, $out, $err) = install('keeper');
is($status, 0, 'a role that is no superuser installs the schema')
    or diag($err);
unlike($err, qr/ERROR/, 'all of it');

# as an upgrade that brings something

kept('DROP VIEW iclock.webhook_dead;'
     . ' DROP FUNCTION iclock.events_restored()');
($status, $out, $err) = install('postgres');
is($status, 0, 'a superuser upgrades it') or diag($err);
is(kept("SELECT to_regclass('iclock.webhook_dead') IS NOT NULL"), 't',
   'what was missing is there');
is(owners(), 'keeper', 'all of it belongs to the role of before');
like(kept('SET ROLE iclock_module; SELECT iclock.maintain()'), qr/^\d+$/,
     'which is enough for nginx');

# who becomes that role, and when

my ($begin) = slurp($install) =~ /\A(.*? as schema_role \\gset\n)/s;
my $begins = $t->dir . '/begin.sql';

open my $file, '>', $begins or die "$begins: $!\n";
print {$file} $begin // '', "\\echo :schema_role\n";
close $file;

is((install($_->[0], $begins))[1], "$_->[1]\n", "the role for $_->[0]")
    for [ postgres => 'keeper' ], [ helper => 'keeper' ], [ keeper => 'none' ];

for my $user (qw/ stranger guest /) {
    ($status, $out, $err) = install($user, $begins);
    isnt($status, 0, "$user does not upgrade it");
    like($err, qr/belongs to "keeper", and "$user" may not act as that role/,
         'it says why');
}

$pg->psql('ALTER DATABASE kept OWNER TO postgres', database => 'postgres');
($status, $out, $err) = install('postgres', $begins);
isnt($status, 0, 'nor one for an owner that lacks a right');
like($err, qr/HINT:\s+GRANT\ CREATE,\ TEMPORARY\ ON\ DATABASE\ kept
              \ TO\ keeper;/x, 'it says which');
$pg->psql('ALTER DATABASE kept OWNER TO keeper', database => 'postgres');

kept("ALTER $_ OWNER TO postgres")
    for 'FUNCTION iclock.events_restored()', 'TYPE iclock_api.reply';
($status, $out, $err) = install('postgres', $begins);
is("$status $out", "0 none\n", 'what belongs to two roles is left as it is');
like($err, qr/WARNING:.*HINT:.*\Qevents_restored() is of "postgres"\E/s,
     'it says what does');

my ($mend) = slurp("$root/README.md")
             =~ /^(\ {4}SELECT format\('ALTER %s %s OWNER.*?\\gexec)$/ms;

$pg->psql($mend // 'SELECT 1', database => 'kept');
is((install('postgres', $begins))[1], "keeper\n",
   'README gives all of it to one role');
is(owners(), 'keeper', 'types, too');

$pg->psql('DROP DATABASE kept WITH (FORCE)', database => 'postgres');

# two files at a time

my @jobs = $t->parallel(2, sub {
    my ($half) = @_;

    my %result;

    for my $i (grep { $_ % 2 == $half } 0 .. $#files) {
        my $database = "test_$i";

        # no one else may be connected to the template
        Test::IClock::wait_until(30, sub {
            ($pg->psql_try("CREATE DATABASE $database TEMPLATE iclock",
                           database => 'postgres'))[0] == 0
        }) or die "cannot create $database\n";

        my ($out, $err) = map { $t->dir . "/$database.$_" } qw/ out err /;

        my $status = command({ out => $out, err => $err },
            'psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-P', 'pager=off',
            '-d', $pg->conninfo(user => 'postgres', dbname => $database),
            '-f', $files[$i]);

        $result{$files[$i]} = [ $status, slurp($out), slurp($err) ];
    }

    return \%result;
});

my %result = map { %{$_ || {}} } @jobs;

for my $file (@files) {
    my ($name) = $file =~ m!([^/]+)\z!;

    subtest $name => sub {
        my ($status, $out, $err) = @{$result{$file} || [ -1, '', 'not run' ]};

        my ($planned, $seen) = (undef, 0);

        for my $line (split /\n/, $out) {

            if ($line =~ /^1\.\.(\d+)/) {
                $planned = $1;

            } elsif ($line =~ /^(not )?ok \d+(?: - )?(.*)/) {
                $seen++;
                ok(!$1 || $2 =~ /# TODO/, $2);

            } elsif ($line =~ /^# ?(.*)/) {
                diag("$name: $1");
            }
        }

        is($status, 0, 'psql succeeds') or diag($err);
        is($seen, $planned, 'as many tests as planned');

        done_testing();
    };
}

$t->done();
