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
        $case{$alert}{pending}++ if $test =~ /alertstate="pending"/;
    }
}


# When each fires, how long that has to last, and how urgent it is: the numbers
# that were chosen, so that none is changed by chance.

my %asked;

for (split /\n(?=\S)/, <<'END') {
IclockDown 2m critical
    up{job="iclock"} == 0
IclockDatabaseDown 1m critical
    iclock_database_up == 0
IclockUploadsRefused 5m critical
    sum(rate(iclock_refusals_total{reason=~"database|queue|timeout"}[5m]))
    > 0.1
IclockQueueGrowing 5m warning
    max(iclock_queue_requests / iclock_queue_limit_requests) > 0.25
IclockCommitSlow 10m warning
    histogram_quantile(0.99,
    sum by (le) (rate(iclock_commit_duration_seconds_bucket[5m]))) > 1
IclockListenerDown 5m warning
    iclock_listener_up == 0
IclockStatisticsStale 5m warning
    time() - max(iclock_statistics_timestamp_seconds) > 120
    or (time() - max(iclock_start_time_seconds
    and on (instance) iclock_database_up) > 120
    unless on () iclock_statistics_timestamp_seconds)
IclockPartitionsMissing 6h warning
    max(iclock_partitions_ahead) < 2
IclockSchemaOld 5m warning
    max(iclock_schema_version) < max(iclock_schema_version_required)
IclockLoopBlocked 5m warning
    max(iclock_event_loop_turn_max_seconds) > 0.1
IclockZoneFull 30m warning
    sum(increase(iclock_zone_evictions_total[30m])) > 0
IclockManySilent 10m warning
    max(iclock_devices_with_condition{condition="silent"}) > 2
    and max(iclock_devices_with_condition{condition="silent"})
    / max(iclock_devices{status="active"}) > 0.05
IclockMostSilent 5m critical
    max(iclock_devices_with_condition{condition="silent"}) > 2
    and max(iclock_devices_with_condition{condition="silent"})
    / max(iclock_devices{status="active"}) > 0.3
IclockDeviceSilentDay 10m info
    max(iclock_devices_with_condition{condition="silent_day"}) > 0
IclockQuiet 1h warning
    max(iclock_devices_with_condition{condition="quiet"}) > 0
IclockClockWrong 30m warning
    max(iclock_devices_with_condition{condition="clock"}) > 0
IclockPunchesMissing 24h warning
    max(iclock_reconciliation_missing_punches) > 0
IclockLinesRejected 0m warning
    sum(increase(iclock_records_total{result="rejected"}[1h]))
    / sum(increase(iclock_records_total[1h])) > 0.01
    and sum(increase(iclock_records_total{result="rejected"}[1h])) > 10
IclockHistoryAgain 30m info
    sum(increase(iclock_records_total{result="duplicate"}[1h]))
    > 10 * sum(increase(iclock_records_total{result="stored"}[1h])) + 10000
IclockDeviceWaiting 1h info
    max(iclock_devices{status="pending"}) > 0
IclockCommandsStuck 5m warning
    max(iclock_command_oldest_waiting_seconds) > 600
IclockCommandsFailing 0m warning
    sum(increase(iclock_commands_finished_total{result="failed"}[1h])) > 5
    and sum(increase(iclock_commands_finished_total{result="failed"}[1h]))
    / sum(increase(iclock_commands_finished_total[1h])) > 0.2
IclockHorizonHeld 5m warning
    max(iclock_event_horizon_age_seconds) > 10
IclockWebhookLag 5m warning
    max(iclock_webhook_lag_max_seconds) > 60
IclockWebhookDisabled 0m critical
    max(iclock_webhook_endpoints{state="disabled"}) > 0
    or max(iclock_webhook_dead_events) > 0
END
    my ($name, $rest) = split / /, s/\s+/ /gr, 2;

    $asked{$name} = $rest =~ s/ \z//r;
}

is(join(' ', sort keys %rule), join(' ', sort keys %asked), 'the alerts');

# it waits as long as "for" says: just before that it is pending

is_deeply(\%case,
          { map { $_ => { fires => 1, silent => 1,
                          $asked{$_} =~ /^0m / ? () : (pending => 1) } }
            keys %asked },
          'each alert has a case that fires, after a while, and one that is'
          . ' silent');

# "for" is in each, so that nobody wonders; the views of the page, and the
# filters of the fleet, are those of the specification of the page

my $condition = join '|', qw/ blocked key network new silent silent_day never
                              lines missing clock quiet full commands failed /;

# The sentences that the page has for a condition, but those that are about one
# device.

my %words = slurp("$dir/../src/console/page/31-conditions.js")
            =~ /^ +'s\.([\w.]+)': '([^'\\]+)',$/mg;

sub sentence {
    my ($name) = @_;

    # what is told of a day less is told of that day, too
    $name =~ s/^silent_day\z/silent/;

    my $text = $words{"$name.nocount"} // $words{$name} // return undef;

    $text =~ s/\{zone\}/its time zone/;

    return join ' ', grep { !/\{/ } split / (?<=[.?] )/, $text;
}

my $sentences = 0;

for my $name (sort keys %rule) {
    my $text = $rule{$name};

    my ($expr, $for, $severity)
        = $text =~ /^\ {8}expr:\ (?:>-\n)?(.*?)\n
                     \ {8}for:\ (\d+[mh])\n
                     \ {8}labels:\ \{\ severity:\ (\w+)\ \}$/xms;

    is(join(' ', $for // '', $severity // '',
            ($expr // '') =~ s/\s+/ /gr =~ s/^ //r),
       $asked{$name}, "$name: when it fires");
    like($text, qr/^ {10}summary: .*?\w.*^ {10}description: >-\n {12}\w/ms,
         "$name: what a person reads");
    like($text, qr!^\ {10}console:\ '\{\{\ or\ \$externalLabels\.iclock_console
                   \ "/console"\ \}\}\#/(?:live|problems|settings
                   |fleet\?c=(?:$condition)|commands\?f=failed)'$!xm,
         "$name: where the page shows it");
    unlike($text, qr/serial|\bpin\b/i, "$name: no device, no person");

    # of a condition it says what the page says

    my ($shown) = $text =~ /fleet\?c=(\w+)'$/m or next;
    my ($lines) = $text =~ /^ {10}description: >-\n((?: {12}\S.*\n)+)/m;
    my $says = ($lines // '') =~ s/\s+/ /gr =~ s/^ //r;
    my $sentence = sentence($shown);

    ok(defined $sentence, "$name: the page has words for $shown");
    is(substr($says, 0, length($sentence // '')), $sentence // 'nothing',
       "$name: the same words");
    $sentences += ($sentence // '') ne '';
}

cmp_ok($sentences, '>=', 6, 'sentences were compared');

# what to do about each stands in docs/alerts.md, by how urgent it is

my %severity = map { (split / /, $asked{$_})[1] => 1 } keys %asked;
my %told;

for my $part (split /^## /m, slurp("$dir/../docs/alerts.md")) {
    my ($severity) = $part =~ /^(\w+): /;

    push @{$told{lc($severity // '')}}, $part =~ /^### (\w+)\n\n\S/mg;
}

for my $severity (sort keys %severity) {
    is(join(' ', sort @{$told{$severity} || []}),
       join(' ', sort grep { $asked{$_} =~ /^\w+ $severity / } keys %asked),
       "docs/alerts.md: what is $severity");
}

done_testing();
