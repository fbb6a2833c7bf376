package Test::IClock::Figures;

# Copyright (C) the ngx_http_iclock_module authors

# What a program of t/bench has found, and whether that is what it should be.
#
#   figure('polls, kept open', 0.93, '', '>= 0.92', against => 'return 200');
#   figure('punch to webhook, p99', percentile(0.99, $all, @took), 'ms',
#          '<= 50');
#   figure('longest turn by the clock', 12, 'ms');        # has no goal
#   print table();
#   report('webhooks');
#   exit outcome($status);
#
# A figure is what, value, unit, goal, reached, and whatever else is given:
# against, what a ratio is to; missing, how many there should have been more.
# Neither a value that there is not, nor one that has no end, nor one of which
# something is missing reaches a goal.
#
# With BENCH_STRICT=1 a program fails that has missed a goal.

use strict;
use warnings;

use Exporter qw/ import /;
use File::Basename qw/ dirname /;
use File::Path qw/ make_path /;
use JSON::PP ();
use List::Util qw/ min sum0 /;
use POSIX ();

use Test::IClock::Nginx ();
use Test::IClock::Postgres ();
use Test::IClock::Process qw/ slurp /;

use constant NEVER => 9 ** 9 ** 9;

our @EXPORT_OK = qw/ NEVER figure mean median outcome percentile report
                     table verdict /;

my $root = $Test::IClock::Postgres::root;
my @figures;


sub figure {
    my ($what, $value, $unit, $goal, %more) = @_;

    my %figure = (what => $what, value => $value, unit => $unit // '',
                  goal => $goal // '', %more);

    $figure{reached} = $more{missing} ? 0 : reached($value, $figure{goal})
        if $figure{goal} ne '' && !defined $figure{reached};

    push @figures, \%figure;

    return \%figure;
}


sub reached {
    my ($value, $goal) = @_;

    my ($sign, $bound) = $goal =~ /^([<>]=) ([\d.]+)\z/
        or die "no goal: $goal\n";

    return 0 if !finite($value);

    return ($sign eq '>=' ? $value >= $bound : $value <= $bound) ? 1 : 0;
}


sub finite {
    my ($value) = @_;

    return defined $value && $value == $value && abs($value) < NEVER;
}


sub mean { return @_ ? sum0(@_) / @_ : undef }

sub median {
    my @sorted = sort { $a <=> $b } @_;

    return @sorted ? ($sorted[$#sorted / 2] + $sorted[@sorted / 2]) / 2
                   : undef;
}


# The value that this share of them is below, of all that there should be: those
# that are missing took for ever.

sub percentile {
    my ($share, $all, @value) = @_;

    push @value, (NEVER) x ($all - @value) if $all > @value;
    @value = sort { $a <=> $b } @value;

    return @value ? $value[min($#value, int($share * @value))] : NEVER;
}


sub number {
    my ($value) = @_;

    return 'none' if !defined $value;
    return 'inf' if !finite($value);

    return sprintf abs($value) >= 100 ? '%.0f'
                   : abs($value) >= 10 ? '%.1f' : '%.3f', $value;
}


sub verdict {
    my ($figure) = @_;

    return !defined $figure->{reached} ? ''
           : $figure->{reached} ? 'reached' : 'MISSED';
}


# those that are given, or all of this program, a line each

sub table {
    my (@given) = @_;

    return join '', map {
        my $what = $_->{what} . ($_->{against} ? ", to $_->{against}" : '');

        sprintf("%-68s %9s %-4s %-10s %s", $what, number($_->{value}),
                $_->{unit}, $_->{goal}, verdict($_)) =~ s/ +\z//r . "\n";
    } @given ? @given : @figures;
}


# Writes JSON to BENCH_JSON, or to build/bench/NAME.json, with what it was
# measured on, and returns the name of the file.

sub report {
    my ($name, %content) = @_;

    my $file = $ENV{BENCH_JSON} || "$root/build/bench/$name.json";

    make_path(dirname($file));

    open my $out, '>', $file or die "$file: $!\n";
    print $out JSON::PP->new->canonical->pretty->encode(
        { %content, table => [ map { plain($_) } @figures ],
          machine => machine() });
    close $out or die "$file: $!\n";

    return $file;
}


# JSON knows no number without end

sub plain {
    my ($figure) = @_;

    my %plain = %$figure;

    for my $value (values %plain) {
        $value = undef if defined $value && !ref $value
                          && $value =~ /^-?(?:inf|nan)\z/i;
    }

    $plain{value} += 0 if defined $plain{value};
    $plain{reached} = $plain{reached} ? JSON::PP::true : JSON::PP::false
        if defined $plain{reached};

    return \%plain;
}


sub machine {
    my ($cpu) = slurp('/proc/cpuinfo') =~ /^model name\s*:\s*(.*)/m;
    my ($load) = slurp('/proc/loadavg') =~ /^(\S+)/;
    my $nginx = Test::IClock::Nginx::binary();
    my $postgres = Test::IClock::Postgres::bindir() . '/postgres';

    # copies: the variable is that of the last match

    return {
        processors => scalar(() = slurp('/proc/cpuinfo') =~ /^processor/mg),
        model => $cpu, load_at_the_end => $load + 0,
        nginx => `$nginx -v 2>&1` =~ m!nginx/(\S+)! ? "$1" : '',
        postgresql => `$postgres --version` =~ /\) (\S+)/ ? "$1" : '',
        commit => `git -C '$root' describe --always --dirty 2>/dev/null`
                  =~ /(\S+)/ ? "$1" : '',
        time => POSIX::strftime('%Y-%m-%dT%H:%M:%SZ', gmtime),
    };
}


# The status to exit with.

sub outcome {
    my ($status) = @_;

    return 1 if $status;
    return 0 if !$ENV{BENCH_STRICT};

    return grep({ verdict($_) eq 'MISSED' } @figures) ? 1 : 0;
}


1;
