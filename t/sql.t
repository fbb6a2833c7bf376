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
