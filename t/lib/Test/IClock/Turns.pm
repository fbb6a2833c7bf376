package Test::IClock::Turns;

# Copyright (C) the ngx_http_iclock_module authors

# How long turns of the event loop take, which t/bench/turns.c measures in the
# workers of nginx, and the largest bodies, which could make them long.
#
#   my $turns = Test::IClock::Turns->new($t);           # before nginx starts
#   $t->start();
#   $turns->begin();
#   $t->post('/iclock/cdata?...', Test::IClock::Turns::punches(500_000));
#   my $got = $turns->end();
#   $turns->remove();                                   # when it has ended
#
# What end() returns: turns, how many there were; cpu and clock, the longest one
# in milliseconds, by processor time, which other programs do not lengthen, and
# by the clock; long and long_clock, how many were longer than 5 ms.

use strict;
use warnings;

use List::Util qw/ max sum0 /;

use Test::IClock::Postgres ();
use Test::IClock::Process qw/ command slurp wait_until /;

# five numbers
use constant SIZE => 40;


sub new {
    my ($class, $t) = @_;

    my $dir = $t->dir() . '/turns';
    my $nginx = $t->nginx();
    my $self = bless { t => $t, dir => $dir, env => $nginx->{env} }, $class;

    mkdir $dir or -d $dir or die "$dir: $!\n";
    chmod 0777, $dir;

    command({ out => "$dir/log" }, 'cc', '-shared', '-fPIC', '-O2', '-Wall',
            '-Wextra', '-Werror', '-o', "$dir/turns.so",
            "$Test::IClock::Postgres::root/t/bench/turns.c", '-ldl') == 0
        or die "cannot build turns.c\n" . slurp("$dir/log");

    $nginx->{env} = { %{$self->{env} || {}}, LD_PRELOAD => "$dir/turns.so",
                      TURNS => $dir };

    return $self;
}


# nginx is as it was before, when it starts the next time

sub remove {
    my ($self) = @_;

    $self->{t}->nginx->{env} = $self->{env};

    return;
}


# A worker makes its file when it waits for the first time.

sub files {
    my ($self) = @_;

    my @file = map { "$self->{dir}/$_" } $self->{t}->workers();

    wait_until(30, sub { !grep { (-s $_ || 0) < SIZE } @file })
        or die "a worker tells nothing of its turns\n";

    return @file;
}


sub begin {
    my ($self) = @_;

    for my $file ($self->files()) {
        open my $f, '+<:raw', $file or die "$file: $!\n";
        syswrite $f, "\0" x SIZE;
    }

    return;
}


sub end {
    my ($self) = @_;

    my @worker = map { [ unpack 'Q5', slurp($_) ] } $self->files();
    my @of = map { my $i = $_; [ map { $_->[$i] } @worker ] } 0 .. 4;

    return { turns => sum0(@{$of[0]}), clock => max(@{$of[1]}) / 1e6,
             cpu => max(@{$of[2]}) / 1e6, long_clock => sum0(@{$of[3]}),
             long => sum0(@{$of[4]}) };
}


# the bodies: so many punches

sub punches {
    my ($n) = @_;

    my $line = "%d\t2026-%02d-%02d %02d:%02d:%02d\t0\t1\t0\n";

    return join '', map { sprintf $line,
                          1000000 + $_, $_ / 28 / 86400 % 12 + 1,
                          $_ / 86400 % 28 + 1, $_ / 3600 % 24, $_ / 60 % 60,
                          $_ % 60 } 1 .. $n;
}


# so many bytes of templates

sub templates {
    my ($bytes) = @_;

    my $body = '';

    for (my $n = 1; length $body < $bytes; $n++) {
        my $size = (1000, 1400, 2000, 8000)[$n % 4];

        $body .= sprintf "FP PIN=%d\tFID=%d\tSize=%d\tValid=1\tTMP=%s\n",
                         $n / 10, $n % 10, $size, 'Sgh' . 'T' x ($size - 3);
    }

    return $body;
}


# an archive of random punches, which shrink to less than a half; a directory to
# make it in

sub archive {
    my ($dir, $lines) = @_;

    open my $f, '>', "$dir/lines" or die "$dir/lines: $!\n";
    srand 1;

    printf $f "%d\t2026-%02d-%02d %02d:%02d:%02d\t0\t%d\n", rand 1e9,
        1 + rand 12, 1 + rand 28, rand 24, rand 60, rand 60, rand 16
        for 1 .. $lines;

    close $f;

    return scalar `tar -C '$dir' -cf - lines | gzip -1`;
}


1;
