package Test::IClock::Metrics;

# Copyright (C) the ngx_http_iclock_module authors

# What iclock_status shows, at /metrics and /status of a server:
#
#   my $m = Test::IClock::Metrics->new($t);
#   $t->start($t->device_server(server => $m->locations()));
#   $m->mark();
#   ...
#   $m->counted('a poll',
#               { 'requests_total{endpoint="getrequest",code="200"}' => 1 });

use strict;
use warnings;

use Test::More ();
use Time::HiRes qw/ sleep /;

use Test::IClock::Process qw/ command slurp wait_until /;


sub new {
    my ($class, $t) = @_;

    return bless { t => $t, before => {} }, $class;
}


sub locations {
    return <<'END';
        location = /status { iclock_status; }
        location = /metrics { iclock_status prometheus; }
END
}


# a worker gives out what it has written for a tenth of a second

sub text {
    my ($self) = @_;

    sleep 0.11;

    return $self->{t}->get('/metrics')->body;
}


# values by name and labels

sub values_of {
    my ($text) = @_;

    return { map { /^(\S+) (\S+)\z/ ? ($1 => $2) : () } split /\n/, $text };
}


sub now { return values_of($_[0]->text()) }

# the value of one of them, without "iclock_"

sub value { return $_[0]->now()->{"iclock_$_[1]"} }


# What has changed since mark() or the last call: what terminals and programs
# bring about, not what changes by itself.  Options: times => 1, also how long
# things took; own => 1, also what moves by the work that nginx has of its own,
# and by connections that come and go.

my $own = qr/event_loop|commit|queue_wait|pool_|statistics|zone_waits/;

sub mark {
    my ($self) = @_;

    # what is still being counted came before
    $self->{before} = $self->now();
    wait_until(30, sub { !%{$self->moved()} });

    return $self->{before};
}


sub moved {
    my ($self, %option) = @_;

    my $before = $self->{before};
    my $now = $self->{before} = $self->now();

    my %moved = map { my $d = $now->{$_} - ($before->{$_} // 0);
                      $d ? ("$_" => $d) : () }
                grep { /_total|_count/ && ($option{own} || $_ !~ $own)
                       && ($option{times} || !/duration_seconds/) }
                sort keys %$now;

    return { map { s/^iclock_//r => $moved{$_} } keys %moved };
}


# The same, when these have changed by so much: a worker counts a request when
# it has been answered, while another one shows metrics.

sub moved_by {
    my ($self, $expected, %option) = @_;

    my %sum;

    wait_until(30, sub {
        my $moved = $self->moved(%option);

        $sum{$_} += $moved->{$_} for keys %$moved;

        return !grep { ($sum{$_} || 0) < $expected->{$_} } keys %$expected;
    });

    return \%sum;
}


# Asserts that this, and nothing else, has happened.  What a reply is about may
# be counted a moment after it.

sub counted {
    my ($self, $name, $expected) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    my $moved = $self->moved_by($expected);

    Test::More::is_deeply($moved, $expected, $name)
        or Test::More::diag(Test::More::explain($moved));
}


sub promtool {
    my ($self, $name, $text) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    my $dir = $self->{t}->dir();

    open my $f, '>', "$dir/metrics.txt" or die "$dir/metrics.txt: $!";
    print $f $text;
    close $f;

    unlink "$dir/promtool.log";

    Test::More::is(command({ out => "$dir/promtool.log" }, 'sh', '-c',
                           'promtool check metrics < "$1"', 'sh',
                           "$dir/metrics.txt"),
                   0, "promtool takes them: $name")
        or Test::More::diag(slurp("$dir/promtool.log"));
}


# What is wrong with a document, by docs/status.schema.json.  The packages of
# npm are in that directory.

sub schema_errors {
    my ($self, $body, $root) = @_;

    my $dir = $self->{t}->dir();

    open my $f, '>:raw', "$dir/status.json" or die "$dir/status.json: $!";
    print $f $body;
    close $f;

    open $f, '>', "$dir/schema.js" or die "$dir/schema.js: $!";
    print $f <<'END';
const Ajv = require('ajv/dist/2020').default;
const ajv = new Ajv({ strict: false, allErrors: true });
const fs = require('fs');
require('ajv-formats').default(ajv);
const read = (name) => JSON.parse(fs.readFileSync(name));
const valid = ajv.compile(read(process.argv[2]));
if (!valid(read(process.argv[3]))) console.log(ajv.errorsText(valid.errors));
END
    close $f;

    unlink "$dir/schema.log";

    command({ out => "$dir/npm.log" }, "$root/tools/npm/fetch",
            "$root/build/npm") == 0
        or die 'no packages of npm: ' . slurp("$dir/npm.log");

    command({ out => "$dir/schema.log", env => {
                  NODE_PATH => "$root/build/npm/node_modules" } },
            'node', "$dir/schema.js", "$root/docs/status.schema.json",
            "$dir/status.json") == 0
        or return 'node failed: ' . slurp("$dir/schema.log");

    return slurp("$dir/schema.log");
}


1;
