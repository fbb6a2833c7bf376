#!/usr/bin/perl

# Copyright (C) the ngx_http_iclock_module authors

# docs/commands.md says what the functions of the database say, and shows
# commands as t/sql/wire.sql has them.  DOCS=1 writes it anew.  A function that
# is new gets a row by that.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Test::IClock;
use Test::IClock::Process qw/ command slurp /;

my $root = "$FindBin::Bin/..";
my $file = "$root/docs/commands.md";
my $t = Test::IClock->new();
my ($out, $err) = map { $t->dir . "/commands.$_" } qw/ out err /;

my $status = command({ out => $out, err => $err },
                     "$root/tools/commands", $t->conninfo(user => 'postgres'),
                     $file, "$root/t/sql/wire.sql");

is($status, 0, 'tools/commands') or diag(slurp($err));

my $now = slurp($out);

if ($ENV{DOCS} && $status == 0) {
    open my $f, '>', $file or die "$file: $!";
    print $f $now;
    close $f;
}

my @old = split /\n/, slurp($file);
my @new = split /\n/, $now;

is($old[$_], $new[$_], 'line ' . ($_ + 1))
    for grep { ($old[$_] // '') ne ($new[$_] // '') } 0 .. $#new;
is(@old, @new, 'docs/commands.md is what "make docs" makes of it');


# the examples are commands whose bytes are tested

my $wire = slurp("$root/t/sql/wire.sql");
my %sent;

$wire =~ s/\xe2\x87\xa5/<TAB>/g;
while ($wire =~ /^ ?'((?:[A-Z_]+|PutFile|GetFile)\b[^']*)'\)[,;]$/mg) {
    $sent{shape($1)} = 1;
}
while ($wire =~ /\$\$, '([^']*)'\)[,;]$/mg) {
    $sent{shape($1)} = 1;
}

sub shape {
    my ($command) = @_;

    # content is abridged in the document
    return $command =~ s/\b(TMP|Tmp|Content|Photo|FPTemplate[12])=
                         (?:<base64>|[A-Za-z0-9+\/=]+)(?=<TAB>|\z)/$1=*/gxr
                    =~ s/Size=[0-9]+/Size=*/gr;
}

my @unknown;

for my $line (grep { /^\| \*\*`/ } @new) {
    my @cell = split / \| /, $line;
    next if @cell != 3;

    push @unknown, grep { !$sent{shape($_)} } $cell[1] =~ /`([^`]+)`/g;
}

is_deeply(\@unknown, [], 'every example is in t/sql/wire.sql');

$t->done();
