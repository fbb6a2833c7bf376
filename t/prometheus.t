#!/usr/bin/perl

# Copyright (C) the ngx_http_iclock_module authors

# A Prometheus that scrapes nginx: it loads the alert rules, evaluates each, and
# answers each query of the dashboard; every metric and label that they name is
# there.

use strict;
use warnings;

use FindBin;
use JSON::PP ();
use Test::More;

use lib "$FindBin::Bin/lib";
use Test::IClock;
use Test::IClock::Process qw/ slurp spawn /;

my $root = "$FindBin::Bin/..";
my $t = Test::IClock->new();
my $json = JSON::PP->new->utf8;
my $dir = $t->dir . '/prometheus';
my $port = $t->nginx->free_port();

$t->psql('GRANT iclock_api TO iclock_nginx');
$t->start($t->device_server(http => <<'END', server => <<'END'));
    iclock_presence_interval 1s;
    iclock_webhooks on;
END
        location /v1 { iclock_api; }
        location /status { iclock_status; }
END

mkdir $dir or die "$dir: $!";
open my $conf, '>', "$dir/prometheus.yml" or die "$dir: $!";
print $conf <<"END";
global:
  scrape_interval: 1s
  evaluation_interval: 1s
  external_labels: { iclock_console: 'https://example.com/console' }
rule_files: [ '$root/alerts/iclock.rules.yml' ]
scrape_configs:
  - job_name: iclock
    metrics_path: /status
    params: { format: [ prometheus ] }
    static_configs: [ { targets: [ '127.0.0.1:${\ $t->port}' ] } ]
END
close $conf;

my $pid = spawn({ out => "$dir/log" }, 'setpriv', '--pdeathsig', 'KILL', '--',
                'prometheus', "--config.file=$dir/prometheus.yml",
                "--storage.tsdb.path=$dir/data", '--log.level=warn',
                "--web.listen-address=127.0.0.1:$port");

END {
    if ($pid) {
        local $?;
        kill 'KILL', $pid;
        waitpid $pid, 0;
    }
}

sub ask {
    my ($path) = @_;

    my $r = eval { $t->get("/api/v1/$path", -port => $port) } or return {};

    return eval { $json->decode($r->body) } || {};
}

# the result of a query: a list of series, or undef

sub query {
    my ($expr) = @_;

    utf8::encode($expr);
    $expr =~ s/([^\w.])/sprintf '%%%02X', ord $1/ge;

    my $answer = ask("query?query=$expr");

    return ($answer->{status} // '') eq 'success' ? $answer->{data}{result}
                                                   : undef;
}

sub value {
    my ($expr) = @_;

    my $result = query($expr);

    return $result && @$result ? $result->[0]{value}[1] : undef;
}


# a terminal, so that there is something to count

my $terminal = $t->terminal('PROM0001');

$terminal->online();
$terminal->punches([ 7, '2026-11-20 08:00:00', 0, 1 ]);
$t->psql("SELECT iclock.check_data('PROM0001')");
ok(wait_until(30, sub { $terminal->work_off() }), 'a command is done');

ok(wait_until(30, sub { value('up{job="iclock"}') }), 'it scrapes nginx')
    or diag(slurp("$dir/log"));
ok(wait_until(60, sub { value('iclock_devices{status="active"}') }),
   'nginx knows what the database knows');

my $punches = 'iclock_records_total{kind="punch",result="stored"}';

ok(wait_until(30, sub { (value("last_over_time($punches\[5m])") // 0) == 1 }),
   'a punch');


# the rules, and what they and the dashboard name

ok(wait_until(30, sub {
    my @group = @{ask('rules')->{data}{groups} || []};
    return @group && !grep { ($_->{health} // '') ne 'ok' }
                      map { @{$_->{rules}} } @group;
}), 'each rule is evaluated')
    or diag(join "\n", map { "$_->{name}: " . ($_->{lastError} // '?') }
                       grep { $_->{health} ne 'ok' }
                       map { @{$_->{rules}} } @{ask('rules')->{data}{groups}});

my @rule = map { @{$_->{rules}} } @{ask('rules')->{data}{groups}};

is(join(' ', map { $_->{name} } grep { $_->{state} eq 'firing' } @rule), '',
   'none fires');

my $dashboard = $json->decode(slurp("$root/grafana/iclock-prometheus.json"));
my @query = map { s/\$__rate_interval/20s/gr =~ s/\$instance/.*/gr }
            map { $_->{expr} } map { @{$_->{targets} || []} }
            @{$dashboard->{panels}};
my (%seen, @absent);

for my $selector (map { /\b(iclock_\w+(?:\{[^{}]*\})?)/g }
                  @query, map { $_->{query} } @rule)
{
    next if $seen{$selector}++;

    # nginx may be late for a single scrape
    my $result = query("last_over_time($selector\[5m])");
    push @absent, $selector if !$result || !@$result;
}

cmp_ok(scalar keys %seen, '>', 40, 'metrics with their labels');
is(join("\n", @absent), '', 'are there');

for my $expr (@query) {
    my $result;

    ok(wait_until(30, sub { $result = query($expr) }), "answered: $expr");

    # rates begin with the second scrape
    ok(wait_until(30, sub { $result = query($expr); $result && @$result }),
       'something to show') if $expr !~ / > 0\z/;
}

$t->done();
