package Test::IClock::Clock;

# Copyright (C) the ngx_http_iclock_module authors

# A clock that nginx and PostgreSQL go by and the test moves, see
# t/clock/clock.c.  The test itself keeps the real one.
#
#   my $t = Test::IClock->new(clock => '2026-01-01 12:00:00');
#   $t->start();
#   $t->clock->to($t->clock->now + 86400);
#
# Or of nginx alone, and its timers stand still unless the test lets time pass:
#
#   my $clock = Test::IClock::Clock->new($t->dir(), $source, time);
#   $t->nginx->{env} = { %{$clock->environment()}, CLOCK_STILL => 1 };
#   $t->start();
#   $clock->pass(2);

use strict;
use warnings;

use Carp qw/ croak /;
use Time::HiRes ();

use Test::IClock::Process qw/ command slurp /;


# the directory, the file of the library's source, seconds since 1970

sub new {
    my ($class, $dir, $source, $now) = @_;

    my $self = bless { library => "$dir/clock.so", file => "$dir/clock" },
                     $class;
    my $out = "$dir/clock.log";

    command({ out => $out }, 'cc', '-shared', '-fPIC', '-O2', '-Wall',
            '-Wextra', '-Werror', '-o', $self->{library}, $source,
            '-ldl') == 0
        or croak "cannot build $source:\n" . slurp($out);

    open $self->{handle}, '>:raw', $self->{file}
        or croak "$self->{file}: $!";
    chmod 0644, $self->{file};
    chmod 0755, $self->{library};

    return $self->pass(0)->to($now);
}


# the environment of processes that go by it

sub environment {
    my ($self) = @_;

    return { LD_PRELOAD => $self->{library}, CLOCK_OFFSET => $self->{file} };
}


sub now { int(Time::HiRes::time()) + $_[0]{offset} }


# Moves the clock, also back, which no running process would understand.

sub to {
    my ($self, $moment) = @_;

    $self->{offset} = int($moment - Time::HiRes::time());

    sysseek $self->{handle}, 0, 0;
    syswrite $self->{handle}, pack('q', $self->{offset}) or croak "write: $!";

    return $self;
}


# Lets milliseconds pass on a clock that stands still.

sub pass {
    my ($self, $ms) = @_;

    $self->{passed} += $ms;

    sysseek $self->{handle}, 8, 0;
    syswrite $self->{handle}, pack('q', $self->{passed}) or croak "write: $!";

    return $self;
}


1;
