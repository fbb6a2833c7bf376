#!/usr/bin/perl

# Copyright (C) the ngx_http_iclock_module authors

# The worked queries of README.md, taken from there: what they return, and that
# they read only the partitions they have to; the SQL that README begins with,
# and that of docs/alerts.md.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Test::IClock;
use Test::IClock::Process qw/ slurp wait_until /;

my $readme = slurp("$FindBin::Bin/../README.md");
my ($section) = $readme =~ /^### Worked queries\n(.*?)^##/ms;
my @query;

for my $block (split /\n(?=\s*-- \d+\. )/, $section || '') {
    my ($n, $title) = $block =~ /^\s*-- (\d+)\. (.*)/ or next;
    $query[$n] = { title => $title, sql => $block };
}

is(scalar @query, 11, 'README has ten queries');

my $t = Test::IClock->new;

# A year of punches in partitions of their own; few in the month that the
# queries ask for, and some of today.

$t->psql(<<'END');
SELECT format('CREATE TABLE iclock.%I PARTITION OF iclock.punch'
              ' FOR VALUES FROM (%L) TO (%L)',
              iclock.partition_name(m), m, m + interval '1 month')
  FROM generate_series(timestamp '2026-01-01', '2027-02-01',
                       interval '1 month') AS m
 WHERE to_regclass('iclock.' || iclock.partition_name(m)) IS NULL \gexec

INSERT INTO iclock.device (serial_number, status, name, site, timezone,
                           last_seen)
VALUES ('AJE0000000133', 'active', 'Gate', 'Berlin', 'Europe/Berlin', now()),
       ('AJE0000000134', 'active', 'Hall', 'Pune', 'Asia/Kolkata',
        now() - interval '2 hours'),
       ('AJE0000000135', 'active', 'Depot', 'Depot', 'UTC', now());
SELECT iclock.set_site('Pune', day_starts => '12:00',
                       double_punch_interval => '1 minute');

INSERT INTO iclock.device_user (device_id, pin, name)
SELECT d.id, u.pin, u.name
  FROM iclock.device d,
       (VALUES ('1', 'Asha'), ('2', 'Ravi'), ('14', 'Admin')) AS u (pin, name)
 WHERE d.site IN ('Berlin', 'Pune');

INSERT INTO iclock.punch (device_id, local_time, pin, status, verify,
                          punched_at)
SELECT d.id, p.at, p.pin, p.status, 1, timezone(d.timezone, p.at)
  FROM iclock.device d
  JOIN (VALUES ('Berlin', '1', timestamp '2026-11-02 09:00', 0),
               ('Berlin', '1', '2026-11-02 12:00', 2),
               ('Berlin', '1', '2026-11-02 12:30', 3),
               ('Berlin', '1', '2026-11-02 17:00', 1),
               ('Berlin', '2', '2026-11-02 09:30', 0),
               ('Berlin', '2', '2026-11-02 17:30', 1),
               ('Berlin', '1', '2026-11-03 09:20', 0),
               ('Pune', '1', '2026-11-02 22:00', 0),
               ('Pune', '1', '2026-11-02 22:00:30', 0),
               ('Pune', '1', '2026-11-03 06:00', 1))
       AS p (site, pin, at, status) USING (site);

INSERT INTO iclock.punch (device_id, local_time, pin, punched_at)
SELECT d.id, at, pin::text, timezone('UTC', at)
  FROM iclock.device d,
       generate_series(timestamp '2026-01-01', '2026-09-30', '1 day') AS day,
       generate_series(100, 119) AS pin,
       LATERAL (SELECT day + pin * interval '4 minutes' AS at) AS p
 WHERE d.site = 'Depot';

-- noon on its clock, whenever this runs
INSERT INTO iclock.device (serial_number, status, name, site, timezone,
                           last_seen)
SELECT 'AJE0000000136', 'active', 'Door', 'Oslo',
       'Etc/GMT' || CASE WHEN h >= 0 THEN '-' || h ELSE '+' || -h END, now()
  FROM (SELECT 12 - extract(hour FROM timezone('UTC', now()))::int AS h) AS z;
INSERT INTO iclock.device_user (device_id, pin, name)
SELECT id, '7', 'Kari' FROM iclock.device WHERE site = 'Oslo';
INSERT INTO iclock.punch (device_id, local_time, pin, status, punched_at,
                          received_at)
SELECT d.id, timezone(d.timezone, now()) - p.ago, p.pin, p.status,
       now() - p.ago, now() - p.ago
  FROM iclock.device d,
       (VALUES ('7', interval '3 hours', 0), ('8', '3 hours', 0),
               ('8', '1 hour', 1)) AS p (pin, ago, status)
 WHERE d.site = 'Oslo';

INSERT INTO iclock.command (device_id, body, status, attempts)
SELECT d.id, 'CHECK', 'done', 1
  FROM iclock.device d, generate_series(1, 5000);
INSERT INTO iclock.command (device_id, body, created_at)
SELECT id, 'CHECK', now() - interval '2 hours' FROM iclock.device
 WHERE site = 'Depot';

INSERT INTO iclock.operation (device_id, local_time, code, operator, object1,
                              object2)
SELECT d.id, timestamp '2026-11-02 10:00' + o.n * interval '1 minute', o.code,
       o.operator, o.object1, '0'
  FROM iclock.device d,
       (VALUES (1, 4, '14', '0'), (2, 6, '14', '1'), (3, 3, '0', '54'))
       AS o (n, code, operator, object1)
 WHERE d.site = 'Berlin';
INSERT INTO iclock.operation (device_id, local_time, code)
SELECT d.id, timestamp '2026-01-01' + n * interval '1 hour', 1
  FROM iclock.device d, generate_series(1, 2000) AS n
 WHERE d.site = 'Depot';

CREATE ROLE analyst LOGIN;
GRANT iclock_reader TO analyst;
ANALYZE;
END

# what each returns, and the partitions that its plan may name; "later" is one
# that chooses them when it starts

my @expect = (
    undef,
    { partitions => [ '2026_11' ], rows => <<'END' },
Berlin|1|Asha|2026-11-02 09:00:00|check in|fingerprint
Berlin|2|Ravi|2026-11-02 09:30:00|check in|fingerprint
Berlin|1|Asha|2026-11-02 12:00:00|break out|fingerprint
Berlin|1|Asha|2026-11-02 12:30:00|break in|fingerprint
Berlin|1|Asha|2026-11-02 17:00:00|check out|fingerprint
Berlin|2|Ravi|2026-11-02 17:30:00|check out|fingerprint
Berlin|1|Asha|2026-11-03 09:20:00|check in|fingerprint
Pune|1|Asha|2026-11-02 22:00:00|check in|fingerprint
Pune|1|Asha|2026-11-02 22:00:30|check in|fingerprint
Pune|1|Asha|2026-11-03 06:00:00|check out|fingerprint
END
    { partitions => [ '2026_10', '2026_11' ], rows => <<'END' },
2026-11-02|Berlin|1|Asha|09:00:00|17:00:00|08:00:00
2026-11-02|Berlin|2|Ravi|09:30:00|17:30:00|08:00:00
2026-11-02|Pune|1|Asha|22:00:00|22:00:00|00:00:00
2026-11-03|Berlin|1|Asha|09:20:00|09:20:00|00:00:00
2026-11-03|Pune|1|Asha|06:00:00|06:00:00|00:00:00
END
    { partitions => [ '2026_10', '2026_11', '2026_12' ], rows => <<'END' },
2026-11-02|1|Asha|2026-11-02 22:00:00|2026-11-03 06:00:00|08:00:00
END
    { partitions => [ '2026_10', '2026_11', '2026_12' ], rows => <<'END' },
Berlin|1|Asha|2|1|8.00
Berlin|2|Ravi|1|0|8.00
Pune|1|Asha|1|0|8.00
END
    { partitions => [ '2026_10', '2026_11' ], rows => <<'END' },
Berlin|1|Asha|1|00:10:00
Berlin|2|Ravi|1|00:20:00
END
    { partitions => [ '2026_11' ], rows => <<'END' },
1|07:30:00
2|08:00:00
END
    { partitions => [ '2026_10', '2026_11' ], rows => <<'END' },
Berlin|2|Ravi|2026-11-02
END
    { later => 1, rows => <<'END' },
Oslo|1|{Kari}
END
    { later => 1, plan => qr/Index (?:Only )?Scan using command_\w+_idx/,
      rows => <<'END' },
AJE0000000134|Hall|f|02|0
AJE0000000135|Depot|t|00|1
END
    { partitions => [], plan => qr/Scan (?:using|on) operation_\w+/,
      rows => <<'END' },
2026-11-02 10:01:00|menu opened||Admin|
2026-11-02 10:02:00|fingerprint enrolled||Admin|Asha
2026-11-02 10:03:00|alarm|door forced open||
END
);

for my $n (1 .. 10) {
    my ($query, $expect) = ($query[$n], $expect[$n]);

    next if !$query;

    # the clock goes on: hours only, and no estimate of it
    my $rows = $t->psql($query->{sql}, user => 'analyst') . "\n";
    $rows =~ s/\|(\d\d):\d\d:\d\d(?:\.\d+)?\|[^|]*\|(\d+)$/|$1|$2/mg if $n == 9;
    # punches of today are in the way if today is then
    $rows = join '', grep { !/Oslo|Kari/ } $rows =~ /^.*\n/mg if $n < 8;

    is($rows, $expect->{rows}, "$n. $query->{title}");

    my $plan = $t->psql("EXPLAIN (COSTS OFF) $query->{sql}", user => 'analyst');
    my %partition = map { $_ => 1 } $plan =~ /on punch_(\w+)/g;

    if ($expect->{later}) {
        like($plan, qr/Subplans Removed: (?:1\d|[2-9]\d)/,
             "$n. most partitions are left out when it starts");

    } else {
        is(join(' ', sort keys %partition), join(' ', @{$expect->{partitions}}),
           "$n. reads only these partitions") or diag($plan);
    }

    like($plan, $expect->{plan}, "$n. by an index") or diag($plan)
        if $expect->{plan};
}

# functions of days are taken into the query that calls them, also those of
# which the days are known only when it runs

for my $function (qw/ daily shift monthly /) {
    my $plan = $t->psql(
        "PREPARE days(date) AS SELECT * FROM"
        . " iclock.${function}_attendance_between(\$1, \$1 + 3)"
        . " WHERE pin = '1';"
        . " SET plan_cache_mode = force_generic_plan;"
        . " EXPLAIN (COSTS OFF) EXECUTE days('2026-11-02')",
        user => 'analyst');

    unlike($plan, qr/Function Scan/, "$function: no call of a function");
    like($plan, qr/Subplans Removed: (?:1\d|[2-9]\d)/,
         "$function: only the partitions of these days");
    like($plan, qr/pin = '1'/, "$function: a condition goes down to the table");
}

# A condition on a person goes down to the tables as long as punches are few,
# and one on a day picks what is read if they are many.

like($t->psql("EXPLAIN (COSTS OFF) SELECT * FROM iclock.daily_attendance"
              . " WHERE pin = '1'", user => 'analyst'),
     qr/\A(?!.*attendance_day).*pin = '1'/s, 'few punches: all at once');

$t->psql("INSERT INTO iclock.punch (device_id, local_time, pin, punched_at)"
         . " SELECT d.id, at, '99', timezone('UTC', at) FROM iclock.device d,"
         . " generate_series(timestamp '2026-03-01', '2026-03-31',"
         . " interval '13 seconds') AS at WHERE d.site = 'Depot'");
$t->psql('ANALYZE iclock.punch');

for my $view (qw/ daily shift /) {
    my $plan = $t->psql("EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF)"
                        . " SELECT * FROM iclock.${view}_attendance"
                        . " WHERE day = '2026-11-02' AND pin = '1'",
                        user => 'analyst');

    like($plan, qr/Scan on attendance_day .* loops=1\)/, "$view: of one day")
        or diag($plan);
    unlike($plan, qr/on punch_\d/, "$view: of no partition as a whole");
    unlike($plan, qr/JIT/, "$view: nothing is compiled for it");
}

# punches that go to a partition of their own are in either of them, for who
# asks meanwhile, too

$t->psql("INSERT INTO iclock.punch (device_id, local_time, pin, punched_at)"
         . " SELECT id, '2010-03-02 08:00', '1', '2010-03-02 07:00Z'"
         . " FROM iclock.device WHERE site = 'Berlin'");

my $gate = $t->pg->hold('SELECT pg_advisory_xact_lock(7)');
my $mover = $t->pg->background(
    "SET application_name = 'mover'; BEGIN; SELECT iclock.lock_punch(true);"
    . " SELECT iclock.move_slice('2010-03-01', '2010-03-01', '2010-04-01');"
    . ' SELECT pg_advisory_xact_lock(7); COMMIT');
my $waits = sub {
    my ($name) = @_;

    return wait_until(30, sub {
        $t->psql("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type"
                 . " = 'Lock' AND application_name = '$name'",
                 database => 'postgres');
    });
};

ok($waits->('mover'), 'punches are moved');

my @asks = map {
    $t->pg->background("SET application_name = 'asks $_'; SELECT day"
                       . " FROM iclock.${_}_attendance"
                       . " WHERE day = '2010-03-02'");
} qw/ daily shift /;

ok($waits->("asks $_"), "$_: it waits for that") for qw/ daily shift /;
$gate->release();
$mover->wait();
is($_->wait(), '2010-03-02', 'and has the moved one') for @asks;

# what README shows a newcomer

for my $title ('Connect a terminal', 'Read the data', 'Send commands') {
    my ($text) = $readme =~ /^## \Q$title\E\n(.*?)^## /ms;
    my $sql = join "\n", grep { /^    (?!psql )/ } split /\n\n+/, $text || '';

    like($sql, qr/SELECT/, "$title: README has SQL");
    is(($t->pg->psql_try($sql))[0], 0, "$title: it runs") or diag($sql);
}

# what an operator whom an alert has woken is told to ask

my $alerts = slurp("$FindBin::Bin/../docs/alerts.md");
my @asked = $alerts =~ /^```sql\n(.*?)^```$/msg;
my ($delete) = $alerts =~ /^ {4}(DELETE .*?;)$/ms;

cmp_ok(scalar @asked, '>', 8, 'docs/alerts.md has SQL');

for my $sql (@asked) {
    my ($from) = $sql =~ /\bFROM (\S+)/;
    my ($status, undef, $err) = $t->pg->psql_try($sql);

    is($status, 0, "it runs: $from") or diag($err);
}

is(($t->pg->psql_try($delete // 'none'))[0], 0, 'what deletes, too');

for my $name ($alerts =~ /`(?:SELECT )?iclock\.(\w+)\(/g) {
    isnt($t->psql("SELECT count(*) FROM pg_proc WHERE proname = '$name'"
                  . " AND pronamespace = 'iclock'::regnamespace"), 0,
         "there is $name()");
}

$t->done();
