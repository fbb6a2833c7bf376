package Test::IClock::Process;

# Copyright (C) the ngx_http_iclock_module authors

# Processes and files, for the rest of the harness.

use strict;
use warnings;

use Carp qw/ croak /;
use Exporter qw/ import /;
use List::Util qw/ max min /;
use POSIX ();
use Time::HiRes qw/ sleep time /;

our @EXPORT_OK = qw/ children command shared_memory slurp spawn wait_until /;


# Starts a command with its output in a file, its errors in another if there
# is one.  Options: out, err, session, env.

sub spawn {
    my ($option, @command) = @_;

    my $pid = fork;
    croak "fork: $!" if !defined $pid;

    if ($pid == 0) {
        $SIG{INT} = $SIG{TERM} = $SIG{PIPE} = 'DEFAULT';

        open STDIN, '<', '/dev/null';
        open STDOUT, '>>', $option->{out};
        $option->{err} ? open STDERR, '>>', $option->{err}
                       : open STDERR, '>&', \*STDOUT;

        # PG* variables of the user must not lead tests elsewhere
        delete @ENV{grep /^PG/, keys %ENV};
        %ENV = (%ENV, %{$option->{env} || {}});

        chdir '/';
        POSIX::setsid() if $option->{session};

        no warnings 'exec';
        exec { $command[0] } @command;
        POSIX::_exit(127);
    }

    return $pid;
}


# Runs a command to its end and returns its wait status.

sub command {
    my ($option, @command) = @_;

    waitpid spawn($option, @command), 0;

    return $?;
}


sub slurp {
    my ($file) = @_;

    open my $in, '<:raw', $file or return '';
    local $/;
    my $text = <$in>;

    return defined $text ? $text : '';
}


sub children {
    my ($parent) = @_;

    my @found;

    for my $stat (glob '/proc/[0-9]*/stat') {
        push @found, $1 if slurp($stat) =~ /^(\d+) \(.*\) [^Z] (\d+) /s
                           && $2 == $parent;
    }

    return sort { $a <=> $b } @found;
}


# What a process shares with those that it has begun: [ address, bytes ].

sub shared_memory {
    my ($pid) = @_;

    no warnings 'portable';

    my @area = map { /^(\S+)-(\S+) rw-s .*zero/
                     ? [ map { oct "0x$_" } $1, $2 ] : () }
               split /\n/, slurp("/proc/$pid/maps");

    open my $mem, '<:raw', "/proc/$pid/mem" or croak "/proc/$pid/mem: $!";

    for my $area (@area) {
        my ($from, $to) = @$area;

        sysseek $mem, $from, 0 or croak "/proc/$pid/mem: $!";
        sysread $mem, my $bytes, $to - $from;
        $area = [ $from, $bytes ];
    }

    return @area;
}


# Waits until the code returns something true, and returns that.  It asks less
# often if the answer takes long: other tests need the processors, too.  It asks
# once more when the time is over: it may be this process that stood still.

sub wait_until {
    my ($seconds, $code) = @_;

    my $until = time + $seconds;

    while (1) {
        my $asked = time;
        my $value = $code->();

        return $value if $value;

        return undef if $asked > $until;

        sleep max(0.02, min(0.2, 2 * (time - $asked)));
    }
}


1;
