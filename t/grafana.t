#!/usr/bin/perl

# Copyright (C) the ngx_http_iclock_module authors

# The dashboards for Grafana: they are what tools/dashboards makes, their
# panels stand beside each other, promtool takes each query of Prometheus, and
# PostgreSQL answers each of the other one, to a role with iclock_reader.

use strict;
use warnings;

use FindBin;
use JSON::PP ();
use Test::More;

use lib "$FindBin::Bin/lib";
use Test::IClock;
use Test::IClock::Process qw/ command slurp /;

my $root = "$FindBin::Bin/..";
my $t = Test::IClock->new();
my $dir = $t->dir . '/grafana';
my $out = $t->dir . '/out';
my @name = qw/ iclock-postgresql iclock-prometheus /;

mkdir $dir or die "$dir: $!";
is(command({ out => $out }, "$root/tools/dashboards", $dir), 0,
   'tools/dashboards') or diag(slurp($out));

my %dashboard;

for my $name (@name) {
    my $text = slurp("$root/grafana/$name.json");

    ok($text eq slurp("$dir/$name.json"),
       "grafana/$name.json is what \"make docs\" makes");
    $dashboard{$name} = JSON::PP->new->utf8->decode($text);
    is($dashboard{$name}{uid}, $name, "$name: uid");
    check_panels($name, @{$dashboard{$name}{panels}});
    check_variables($name, $dashboard{$name});
}

# No two panels in one place, none half outside, each says what it shows.

sub check_panels {
    my ($name, @panel) = @_;

    my (%id, %square, @wrong);

    for my $panel (@panel) {
        my ($x, $y, $w, $h) = @{$panel->{gridPos}}{qw/ x y w h /};

        push @wrong, "$panel->{title}: id" if $id{$panel->{id}}++;
        push @wrong, "$panel->{title}: outside" if $x < 0 || $x + $w > 24;

        for my $at (map { my $i = $_; map { "$i/$_" } $y .. $y + $h - 1 }
                    $x .. $x + $w - 1)
        {
            push @wrong, "$panel->{title}: covers another" if $square{$at}++;
        }

        next if $panel->{type} eq 'row';

        push @wrong, "$panel->{title}: tells nothing"
            if length($panel->{description} // '') < 10;
        push @wrong, "$panel->{title}: asks nothing" if !@{$panel->{targets}};
        push @wrong, "$panel->{title}: of which data source?"
            if grep { $_->{datasource}{uid} ne '${datasource}' }
               $panel, @{$panel->{targets}};
    }

    is(join(', ', @wrong), '', "$name: panels");

    return;
}

# each variable that a query has is one of the dashboard, or a macro

sub check_variables {
    my ($name, $dashboard) = @_;

    my %known = map { $_->{name} => 1 } @{$dashboard->{templating}{list}};
    my @unknown = grep { !$known{$_} && !/^__/ }
                  map { ($_->{expr} // $_->{rawSql}) =~ /\$\{?(\w+)/g }
                  targets($name);

    is(join(' ', @unknown), '', "$name: variables");

    return;
}

sub targets {
    my ($name) = @_;

    return map { my $p = $_;
                 map { { title => $p->{title}, %$_ } } @{$p->{targets} || []} }
           @{$dashboard{$name}{panels}};
}


# PromQL

my @promql = map { { title => $_->{title}, query => $_->{expr} } }
             targets('iclock-prometheus');

cmp_ok(scalar @promql, '>', 20, 'queries of Prometheus');
is(join(', ', map { $_->{title} } grep { $_->{query} !~ /iclock_\w+\{/
       || $_->{query} =~ /\biclock_\w+(?!\w|\{[^{}]*instance=~"\$instance"\})/
   } @promql), '', 'each metric is of $instance');

my $rules = "groups:\n  - name: t\n    rules:\n";

for my $n (0 .. $#promql) {
    my $expr = $promql[$n]{query} =~ s/\$__rate_interval/5m/gr
                                  =~ s/\$instance/.*/gr
                                  =~ s/'/''/gr;

    $rules .= "      - { record: 't:n$n', expr: '$expr' }\n";
}

open my $file, '>', "$dir/rules.yml" or die "$dir/rules.yml: $!";
print $file $rules;
close $file;

unlink $out;
is(command({ out => $out }, 'promtool', 'check', 'rules', "$dir/rules.yml"), 0,
   'promtool takes all of them') or diag(slurp($out));
like(slurp($out), qr/SUCCESS: ${\ scalar @promql} rules found/, 'each');


# SQL, over a fleet that has something for each panel to show

$t->psql(<<'END');
SET timezone TO 'UTC';

CREATE ROLE grafana LOGIN;
GRANT iclock_reader TO grafana;

INSERT INTO iclock.device (serial_number, status, name, site, timezone)
VALUES ('GRAF0001', 'active', 'Gate 1', 'O''Fallon', 'UTC'),
       ('GRAF0002', 'active', 'Gate 2', NULL, 'UTC'),
       ('GRAF0003', 'pending', NULL, NULL, NULL);

INSERT INTO iclock.punch (device_id, local_time, punched_at, received_at, pin)
SELECT d.id, m.at AT TIME ZONE 'UTC', m.at,
       m.at - CASE d.name WHEN 'Gate 1' THEN '14 min' ELSE '0 s' END::interval,
       '7'
  FROM iclock.device d,
       (SELECT now() - make_interval(mins => n) AS at
          FROM generate_series(5, 15) AS n) AS m
 WHERE d.status = 'active';

INSERT INTO iclock.rejected_line (device_id, table_name, line, reason)
SELECT id, 'ATTLOG', 'rubbish', 'no such date'
  FROM iclock.device WHERE name = 'Gate 1';

INSERT INTO iclock.command (device_id, body, status, return_code, created_at,
                            finished_at)
SELECT id, 'REBOOT', became, CASE became WHEN 'done' THEN 0 ELSE -1 END,
       now() - interval '20 s', now()
  FROM iclock.device, unnest('{done,failed}'::text[]) AS became
 WHERE name = 'Gate 1';

INSERT INTO iclock.attendance_check (device_id, starts, ends, status,
                                     max_attempts, device_count, stored_count)
SELECT id, now() AT TIME ZONE 'UTC', now() AT TIME ZONE 'UTC', 'differs', 3,
       4031, 4000
  FROM iclock.device WHERE name = 'Gate 1';

-- once missing, and fetched
INSERT INTO iclock.attendance_check (device_id, starts, ends, status,
                                     max_attempts, device_count, stored_count,
                                     finished_at)
SELECT d.id, '2026-01-01', '2026-01-02', c.status, 3, 40, c.stored, now()
  FROM iclock.device d,
       (VALUES (1, 'differs', 9), (2, 'agreed', 40)) AS c (n, status, stored)
 WHERE d.name = 'Gate 2'
 ORDER BY c.n;
END

my ($from, $to) = split /\|/, $t->psql(<<'END');
SELECT to_char(now() - interval '1 day', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'),
       to_char(now() + interval '1 hour', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')
END

# what Grafana makes of its macros and of a variable with several values

sub as_grafana {
    my ($sql) = @_;

    $sql =~ s/\$__timeGroupAlias\((\w+),'1h'\)/\$__timeGroupAlias($1,1h)/g;
    $sql =~ s/\$__interval/5m/g;
    $sql =~ s{\$__timeGroupAlias\((\w+),(?:(\d+)m|(\d+)h)\)}{
        my $s = defined $2 ? 60 * $2 : 3600 * $3;
        qq!floor(extract(epoch from $1)/$s)*$s AS "time"!
    }ge;
    $sql =~ s/\$__timeFilter\((\w+)\)/$1 BETWEEN '$from' AND '$to'/g;
    $sql =~ s/\$__timeFrom\(\)/'$from'/g;
    $sql =~ s/\$__timeTo\(\)/'$to'/g;
    $sql =~ s/\$site\b/$_[1] || "'none','O''Fallon'"/ge;

    return $sql;
}

my %shown = (
    'Silent' => [ 'GRAF0001|Gate 1|O\'Fallon||0', 'GRAF0002|Gate 2|||0' ],
    'Clocks' => [ qr/^GRAF0001\|Gate 1\|UTC\|840(?:\.0+)?$/ ],
    'Failed commands' => [ qr/^REBOOT\|.*\|1$/ ],
    'Lines not stored' => [ qr/^\d+\|no such date\|1$/ ],
    'Answers to commands' => [ qr/^\d+\|20(?:\.\d+)?$/ ],
    'Punches missing' => [ qr/^GRAF0001\|.*\|4031\|4000\|31$/ ],
    'Waiting for approval' => [ qr/^GRAF0003\|/ ],
);

for my $target (targets('iclock-postgresql')) {
    my $title = $target->{title};
    my $sql = as_grafana($target->{rawSql});

    unlike($sql, qr/\$/, "$title: nothing is left to fill in");

    my ($status, $rows, $said) = $t->pg->psql_try($sql, user => 'grafana');

    is($status, 0, "$title: PostgreSQL answers") or diag($said);

    # devices that have never called come in any order
    my @row = sort split /\n/, $rows;

    if (my $shown = $shown{$title}) {
        is(scalar @row, scalar @$shown, "$title: rows");
        ref $_ ? like($row[0], $_, "$title: what it shows")
               : is(shift @row, $_, "$title: what it shows") for @$shown;

    } else {
        cmp_ok(scalar @row, '>', 0, "$title: shows something");
    }
}

# the sites to choose from, and one of them

my ($site) = grep { $_->{name} eq 'site' }
             @{$dashboard{'iclock-postgresql'}{templating}{list}};

is(join(' ', sort $t->psql_lines($site->{query}, user => 'grafana')),
   "O'Fallon none", '$site');

my ($by_site) = map { $_->{rawSql} } grep { $_->{title} eq 'Punches by site' }
                targets('iclock-postgresql');

sub of_site {
    my ($chosen) = @_;

    my %count;

    for ($t->psql_lines(as_grafana($by_site, $chosen), user => 'grafana')) {
        my ($time, $name, $n) = split /\|/;
        $count{$name} += $n;
    }

    return \%count;
}

is_deeply(of_site(), { none => 11, "O'Fallon" => 11 }, 'punches of all sites');
is_deeply(of_site("'none'"), { none => 11 }, 'of one of them');

# months that are not shown are not read

$t->psql(<<'END');
SELECT format('CREATE TABLE iclock.%I PARTITION OF iclock.punch'
              ' FOR VALUES FROM (%L) TO (%L)',
              iclock.partition_name(m), m, m + interval '1 month')
  FROM (VALUES (timestamp '2020-01-01')) AS v (m) \gexec
END

for my $title ('Punches by site', 'Late share', 'Days') {
    my ($sql) = map { $_->{rawSql} } grep { $_->{title} eq $title }
                targets('iclock-postgresql');
    my $plan = $t->psql('EXPLAIN ' . as_grafana($sql), user => 'grafana');

    like($plan, qr/\bpunch_\w+/, "$title: the plan reads punches");
    unlike($plan, qr/\bpunch_2020/, "$title: of the months that are shown");
}

$t->done();
