#!/usr/bin/perl

# Copyright (C) the ngx_http_iclock_module authors

# The maps of the house: t/README.md leaves out no test, HACKING.md names
# nothing that is not there.  Neither nginx nor PostgreSQL is needed.

use strict;
use warnings;

use File::Find qw/ find /;
use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Test::IClock::Process qw/ slurp /;

my $root = "$FindBin::Bin/..";


# the files of a directory, as seen from there; inputs of fuzzers have no names

sub files {
    my ($dir) = @_;

    my @file;

    find({ no_chdir => 1, wanted => sub {
        my $name = $File::Find::name =~ s!^\Q$dir\E/!!r;

        push @file, $name
            if -f && $name !~ m!(?:^|/)\.|~\z|\.(?:o|so)\z|corpus/!;
    } }, $dir);

    return sort @file;
}


# t/README.md

my $readme = slurp("$root/t/README.md");
my @test = grep { m!^[^/]+\.t\z|^(?:sql|unit|fuzz|bench)/! } files("$root/t");
my %named = map { $_ => 1 } $readme =~ /`([\w.\/-]+)`/g;

cmp_ok(scalar @test, '>', 0, 'there are tests');

is(join(' ', grep { !$named{$_} } @test), '', 't/README.md names every test');
is(join(' ', grep { m!/|\w\.\w+\z! && !-e "$root/t/$_" && !-e "$root/$_" }
             sort keys %named), '', 'and no file that is not there');


# what HACKING.md may name

my $hacking = slurp("$root/HACKING.md");
my @source = map { my $dir = $_; map { "$dir/$_" } files("$root/$dir") }
             qw/ src sql t tools docs .ci /;
my %base = map { (m!([^/]+)\z!, 1) } @source, glob "$root/*";

my $c = join '', map { slurp("$root/$_") } grep { m!^src/! } @source;
my $sql = join '', map { slurp("$root/$_") } grep { m!^sql/! } @source;
my $perl = join '', map { slurp("$root/$_") } grep { m!^t/lib/! } @source;
my $make = join '', map { slurp("$root/$_") }
                    qw! Makefile t/unit/unit.mk t/fuzz/fuzz.mk !;

my %function = map { $_ => 1 }
    $c =~ /^(?:\#define )?(\w+)\(/mg,
    $sql =~ /create or replace function (iclock\.\w+)/g,
    $perl =~ /^sub (\w+)/mg;

# functions of nginx and libpq are those that the module calls

$function{$_} = 1 for grep { !/iclock/ } $c =~ /\b((?:ngx_|PQ)\w+)\(/g;

# a comment may name what is gone
my $code = $c =~ s!/\*.*?\*/!!gsr;

my @function = $hacking =~ /((?:\biclock\.)?\b\w+)\(\)/g;
my @word = $hacking =~ /\b((?:ngx_(?:http_)?iclock|NGX_(?:HTTP_)?ICLOCK)_\w+)
                        (?![\w(*])/xg;
my @path = $hacking =~ m{(?<![\w/.<-])((?:src|sql|t|tools|docs|\.ci)/
                         [\w./-]*\w)}xg;
my @name = $hacking =~ m{(?<![\w/.>-])([\w-]+\.(?:c|h|sql|t|pm|mk))\b}g;
my @target = map { split } "$hacking$readme"
                 =~ /(?:`|^[ ]{4})make[ ]((?:[a-z][\w-]*[ ]?)+)/xmg;

cmp_ok(scalar @function, '>', 50, 'HACKING.md names functions');
cmp_ok(scalar @path, '>', 20, 'and files');

# those that are not there, each once

sub missing {
    my ($exists, @what) = @_;

    my %seen;

    return join ' ', grep { !$seen{$_}++ && !$exists->($_) } @what;
}


is(missing(sub { $function{$_[0]} }, @function), '',
   'HACKING.md names no function that is not there');
is(missing(sub { $code =~ /\b\Q$_[0]\E\b/ },
           grep { !$base{"$_.c"} && !$base{"$_.h"} } @word), '',
   'nor a type, table or constant');
is(missing(sub { -e "$root/$_[0]" }, @path), '', 'nor a path');
is(missing(sub { $base{$_[0]} }, @name), '', 'nor a file');
is(missing(sub { $make =~ /^\Q$_[0]\E:/m }, @target), '',
   'nor a target of make');

# a floor includes headers of the floors below it, and of no other the private
# ones; only src/pg and src/store see libpq, and src/hook libcurl

my %below = (status => 'store|hook|metric', api => 'store|hook|metric',
             http => 'store|proto|metric', store => 'pg|proto|metric',
             hook => 'metric', pg => 'metric', proto => '', metric => '',
             console => 'hook');
my @upwards;

for my $file (grep { m!^src/! } @source) {
    my ($floor) = $file =~ m!^src/(\w+)/!;
    my $text = slurp("$root/$file");

    push @upwards, map { "$file: $_" } grep {
        m!^ngx_http! && $floor !~ /^(?:http|api|console|status)\z/
        || m!^ngx_http_iclock_api! && $floor !~ /^(?:api|status)\z/
        || m!^ngx_http_iclock_status! && $floor ne 'status'
        || m!^iclock_(\w+?)(?:_\w+)?\.h! && $1 ne $floor
        && ($1 !~ /^(?:$below{$floor})\z/ || /_private/)
        || m!^libpq! && $floor !~ /^(?:pg|store)\z/
        || m!^curl/! && $floor ne 'hook'
    } $text =~ /^#include ["<](\S+)[">]/mg;

    push @upwards, map { "$file: $_" } $text =~ /\b(?:ngx_iclock_pg|PQ)\w+/g
        if $floor !~ /^(?:pg|store)\z/;
}

is(join(' ', @upwards), '', 'no floor reaches for what it does not know');


# and make help tells of those targets

my %told = map { $_ => 1 } slurp("$root/Makefile") =~ /^# make ([\w-]+)/mg;

is(missing(sub { $told{$_[0]} || $_[0] eq 'help' }, @target), '',
   'make help has them');

done_testing();
