#!/usr/bin/perl

# Copyright (C) the ngx_http_iclock_module authors

# The alert rules: promtool takes them, each fires on one set of series and
# keeps silent on another, and each tells a person what to do and where.

use strict;
use warnings;

use File::Temp qw/ tempdir /;
use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Test::IClock::Process qw/ command slurp /;

my $dir = "$FindBin::Bin/../alerts";
my $out = tempdir(CLEANUP => 1) . '/out';

sub promtool {
    my (@argument) = @_;

    unlink $out;

    return command({ out => $out }, 'promtool', @argument);
}

my $rules = slurp("$dir/iclock.rules.yml");
my %rule = $rules =~ /^\ {6}-\ alert:\ (\w+)\n(.*?)
                      (?=^\ {6}-\ alert:|^\ \ \#|^\ \ -|\z)/xmsg;

is(promtool('check', 'rules', "$dir/iclock.rules.yml"), 0,
   'promtool takes the rules') or diag(slurp($out));
cmp_ok(scalar keys %rule, '>', 20, 'there are rules');
like(slurp($out), qr/SUCCESS: ${\ scalar keys %rule} rules found/,
     'as many as this test sees');

my %case;

for my $name (qw/ iclock.test.yml iclock.days.test.yml /) {
    is(promtool('test', 'rules', "$dir/$name"), 0, "promtool: $name")
        or diag(slurp($out));

    for my $test (split /^  - interval:/m, slurp("$dir/$name")) {
        my ($alert) = $test =~ /expr: ALERTS\{alertname="(\w+)"/ or next;

        $case{$alert}{ $test =~ /exp_samples: \[\]/ ? 'silent' : 'fires' }++;
    }
}

is_deeply(\%case, { map { $_ => { fires => 1, silent => 1 } } keys %rule },
          'each alert has a case that fires and one that is silent');

# "for" is in each, so that nobody wonders; the views of the page, and the
# filters of the fleet, are those of the specification of the page

my $condition = join '|', qw/ blocked key network new silent silent_day never
                              lines missing clock quiet full commands failed /;

for my $name (sort keys %rule) {
    my $text = $rule{$name};

    like($text, qr/^ {8}for: \d+[mh]$/m, "$name: for");
    like($text, qr/^ {8}labels: \{ severity: (?:critical|warning|info) \}$/m,
         "$name: severity");
    like($text, qr/^ {10}summary: .*?\w.*^ {10}description: >-\n {12}\w/ms,
         "$name: what a person reads");
    like($text, qr!^\ {10}console:\ '\{\{\ or\ \$externalLabels\.iclock_console
                   \ "/console"\ \}\}\#/(?:live|problems|settings
                   |fleet\?c=(?:$condition)|commands\?f=failed)'$!xm,
         "$name: where the page shows it");
    unlike($text, qr/serial|\bpin\b/i, "$name: no device, no person");
}

done_testing();
