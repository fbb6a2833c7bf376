#!/usr/bin/perl

# Copyright (C) the ngx_http_iclock_module authors

# docs/metrics.md and docs/status.schema.json are what tools/metrics makes of
# the table of metrics; DOCS=1 writes them anew.  The table keeps its rules, and
# asks for the newest migration.  Neither nginx nor PostgreSQL is needed.

use strict;
use warnings;

use FindBin;
use JSON::PP ();
use Test::More;

use lib "$FindBin::Bin/lib";
use Test::IClock::Process qw/ slurp /;

my $root = "$FindBin::Bin/..";
my %made = ('metrics.md' => 'markdown', 'status.schema.json' => 'schema');

for my $file (sort keys %made) {
    my $now = `'$root/tools/metrics' $made{$file}`;

    is($?, 0, "tools/metrics $made{$file}");

    if ($ENV{DOCS} && $? == 0) {
        open my $f, '>', "$root/docs/$file" or die "$file: $!";
        print $f $now;
        close $f;
    }

    ok(slurp("$root/docs/$file") eq $now,
       "docs/$file is what \"make docs\" makes");
}

ok(JSON::PP->new->decode(slurp("$root/docs/status.schema.json")),
   'the schema is JSON');


# names as Prometheus has them, and a kind of unit at their end

my @row = slurp("$root/docs/metrics.md")
          =~ /^\| `(iclock_\w+)` \| (\w+) \|(.*)$/mg;

cmp_ok(@row / 3, '>', 50, 'there are metrics');

my %seen;

while (my ($name, $type, $rest) = splice @row, 0, 3) {
    ok(!$seen{$name}++, "$name is there once");
    is($name =~ /_total\z/ ? 1 : 0, $type eq 'counter' ? 1 : 0,
       'counters end in _total');
    unlike($rest, qr/`(?:sn|serial|serial_number|pin|site|address|key|url)` \(/,
           'no label that may be anything');
    like($rest, qr/\| [A-Z1][^|]*[^.|] \|\z/, 'it says what it is');
}


# what the module needs is what install.sql makes

my ($required) = slurp("$root/src/store/iclock_store.h")
                 =~ /^#define NGX_ICLOCK_SCHEMA +(\d+)/m;
my ($newest) = sort { $b <=> $a }
               map { m!/(\d+)_\w+\.sql\z! ? $1 + 0 : () }
               glob "$root/sql/*.sql";

is($required, $newest, 'NGX_ICLOCK_SCHEMA is the newest migration');


# dashboards and alerts ask for what there is

my $readme = slurp("$root/README.md");

for my $file (glob "$root/grafana/*.json $root/alerts/*.yml") {
    my %missing = map { $_ => 1 }
                  grep { !$seen{$_} && !$seen{s/_(?:bucket|sum|count)\z//r} }
                  slurp($file) =~ /\b(iclock_\w+)\s*(?=[{\[)\\ <>=*\/]|$)/mg;

    # roles and directives have such names, too
    delete @missing{grep { /^iclock_(?:reader|module|api|operator|console)\z/
                           || $readme =~ /^\#\#\# .*\b$_\b/m }
                    keys %missing};

    is(join(' ', sort keys %missing), '', "$file: every metric is there");
}

done_testing();
