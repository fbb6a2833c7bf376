package Test::IClock::Nginx;

# Copyright (C) the ngx_http_iclock_module authors

# One nginx with the built module, in a directory of its own.

use strict;
use warnings;

use Carp qw/ croak /;
use Cwd qw/ abs_path /;
use File::Basename qw/ dirname /;
use IO::Socket::INET;
use POSIX qw/ :sys_wait_h /;
use Time::HiRes qw/ sleep time /;

use Test::IClock::Answers ();
use Test::IClock::Process qw/ children command slurp spawn wait_until /;

our $root = dirname(dirname(dirname(dirname(dirname(
    abs_path(__FILE__))))));


sub binary {
    return $ENV{TEST_NGINX_BINARY} if $ENV{TEST_NGINX_BINARY};

    for my $dir (split(/:/, $ENV{PATH}), '/usr/sbin', '/usr/local/sbin') {
        return "$dir/nginx" if -x "$dir/nginx";
    }

    die "no nginx found, \"make deps\" installs it\n";
}


# The built module; TEST_SANITIZE chooses the one with the sanitizers in it,
# TEST_TREE that of another checkout.

sub module {
    return $ENV{TEST_MODULE} if $ENV{TEST_MODULE};

    return ($ENV{TEST_TREE} || $root) . '/build/'
           . ($ENV{TEST_SANITIZE} ? 'sanitize/' : '')
           . 'ngx_http_iclock_module.so';
}


# Stock nginx is not linked with the sanitizers: their library is preloaded.

sub environment {
    my ($self) = @_;

    # what a test preloads comes after it
    my $env = $self->{env} || {};

    return $env if !$ENV{TEST_SANITIZE};

    chomp(my $library = `gcc -print-file-name=libasan.so`);

    # the name may be a linker script or a link
    $library = readlink($library) =~ m!^/! ? readlink $library
             : dirname($library) . '/' . readlink $library
        if -l $library;

    return {
        %$env,
        LD_PRELOAD => join(':', $library, grep { defined } $env->{LD_PRELOAD}),
        ASAN_OPTIONS => "detect_leaks=0:detect_odr_violation=0:"
                        . "detect_stack_use_after_return=1:"
                        . "log_path=$self->{dir}/sanitizer",
        UBSAN_OPTIONS => "print_stacktrace=1:"
                         . "log_path=$self->{dir}/sanitizer",
    };
}


sub new {
    my ($class, $dir) = @_;

    my $self = bless {
        dir => $dir, log => "$dir/error.log", stderr => "$dir/stderr.log",
        pidfile => "$dir/nginx.pid", ports => [], locks => [], creator => $$,
    }, $class;

    mkdir $dir or -d $dir or croak "$dir: $!";
    chmod 0755, $dir;

    return $self;
}


# A free port below the ephemeral ones.  An UDP socket on the same port keeps
# it from the other tests that run at the same time.

my $next_port;

sub free_port {
    my ($self) = @_;

    $next_port = 20000 + int rand 12000 if !defined $next_port;

    for (1 .. 2000) {
        my $port = $next_port++;
        $next_port = 20000 if $next_port >= 32000;

        my @where = (LocalAddr => '127.0.0.1', LocalPort => $port);

        my $lock = IO::Socket::INET->new(@where, Proto => 'udp') or next;
        my $try = IO::Socket::INET->new(@where, Proto => 'tcp', Listen => 1,
                                        ReuseAddr => 1) or next;

        push @{$self->{locks}}, $lock;

        return $port;
    }

    croak "no free port";
}


# the n-th port of this server, the same at every call

sub port {
    my ($self, $n) = @_;

    $n ||= 0;

    return $self->{ports}[$n] ||= $self->free_port();
}


sub substitute {
    my ($self, $text) = @_;

    $text =~ s/%%PORT(?:_(\d+))?%%/$self->port($1)/ge;
    $text =~ s/%%PREFIX%%/$self->{dir}/g;

    return $text;
}


# The configuration around the contents of http{}.  Options: workers, level
# (of the error log), main, events (further lines), connections, module (0:
# not loaded), daemon (1: needed for upgrade()).  Without contents there is no
# http block at all.

sub configuration {
    my ($self, $http, %option) = @_;

    my $workers = defined $option{workers} ? $option{workers} : 2;
    my $level = $option{level} || ($ENV{TEST_DEBUG} ? 'debug' : 'info');
    my $connections = $option{connections} || 1024;
    my $conf = '';

    $conf .= "load_module " . module() . ";\n"
        if !defined $option{module} || $option{module};
    $conf .= "user root;\n" if $> == 0;
    $conf .= 'daemon ' . ($option{daemon} ? 'on' : 'off') . ";\n";
    $conf .= "worker_processes $workers;\n";
    $conf .= "error_log $self->{log} $level;\n";
    $conf .= "pid $self->{pidfile};\n";
    # nginx clears its environment, and USR2 starts the next one with it
    $conf .= "env $_;\n" for sort keys %{$self->environment()};
    $conf .= ($option{main} || '') . "\n";
    $conf .= "events {\n    worker_connections $connections;\n    "
             . ($option{events} || '') . "\n}\n";

    if (defined $http) {
        $conf .= "http {\n    access_log off;\n";
        $conf .= "    ${_}_temp_path $self->{dir}/$_;\n"
            for qw/ client_body proxy fastcgi uwsgi scgi /;
        $conf .= "$http\n}\n";
    }

    return $self->substitute($conf);
}


sub _write {
    my ($self, $name, $conf) = @_;

    open my $out, '>:raw', "$self->{dir}/$name"
        or croak "$self->{dir}/$name: $!";
    print $out $conf;
    close $out;

    return "$self->{dir}/$name";
}


sub _command {
    my ($self, $conf, @argument) = @_;

    return (binary(), '-p', "$self->{dir}/", '-c', $conf,
            '-e', $self->{log}, @argument);
}


# nginx -t: exit status and what it said

sub test {
    my ($self, $http, %option) = @_;

    my $conf = exists $option{raw} ? $self->substitute($option{raw})
                                   : $self->configuration($http, %option);
    my $file = $self->_write('test.conf', $conf);
    my $out = "$self->{dir}/test.out";

    unlink $out;

    # a log of its own: done() must not find the errors that a test provokes
    my $status = command({ out => $out, env => $self->environment() },
                         binary(), '-t', '-p', "$self->{dir}/", '-c', $file,
                         '-e', "$self->{dir}/test.log");

    return ($status >> 8 || $status, slurp($out));
}


sub running {
    my ($self) = @_;

    my $pid = $self->{pid} or return 0;

    if ($self->{adopted}) {
        return kill(0, $pid) && slurp("/proc/$pid/stat") !~ /\) Z /;
    }

    if (waitpid($pid, WNOHANG) == $pid) {
        $self->{status} = $?;
        delete $self->{pid};
        return 0;
    }

    return 1;
}


# Starts nginx and waits until it listens on every port that was given out
# in its configuration.

sub start {
    my ($self, $http, %option) = @_;

    croak "nginx runs already" if $self->running();

    $self->{workers} = defined $option{workers} ? $option{workers} : 2;

    my $conf = exists $option{raw} ? $self->substitute($option{raw})
                                   : $self->configuration($http, %option);
    my $file = $self->_write('nginx.conf', $conf);

    Test::IClock::Answers::configured($conf);

    unlink $self->{pidfile};

    $self->{adopted} = 0;
    $self->{pid} = spawn({ out => $self->{stderr},
                           env => $self->environment() },
                         'setpriv', '--pdeathsig', 'TERM', '--',
                         $self->_command($file));

    my @ports = $conf =~ /^\s*listen\s+(?:[\d.]+:)?(\d+)\b/mg;

    if ($option{daemon}) {
        # the process started here ends, its child goes on
        wait_until(30, sub { !$self->running() });

        $self->{pid} = wait_until(30, sub {
                           slurp($self->{pidfile}) =~ /^(\d+)/ && $1 })
            or croak "nginx did not start:\n" . slurp($self->{stderr})
                     . slurp($self->{log});
        $self->{adopted} = 1;
    }

    my $ready = wait_until(30, sub {
        $self->running() or croak "nginx did not start:\n"
                                  . slurp($self->{stderr})
                                  . slurp($self->{log});

        return 0 if !-s $self->{pidfile};

        for my $port (@ports) {
            IO::Socket::INET->new(PeerAddr => '127.0.0.1', Proto => 'tcp',
                                  PeerPort => $port, Timeout => 1) or return 0;
        }

        # master_process off has no workers
        return $conf =~ /master_process\s+off/
               || $self->workers() >= $self->{workers};
    });

    croak "nginx is not ready after 30 s:\n" . slurp($self->{log}) if !$ready;

    return $self;
}


sub _titled {
    my ($self, $title) = @_;

    return if !$self->{pid};

    return grep { slurp("/proc/$_/cmdline") =~ /^nginx: $title[\0\s]*\z/ }
           children($self->{pid});
}


# pids of the workers that serve; of those that are shutting down

sub workers { $_[0]->_titled('worker process') }
sub old_workers { $_[0]->_titled('worker process is shutting down') }


# HUP, with another configuration if one is given; returns when the new
# workers are up and the old ones know that they are old.  With wait => 1
# only after the old ones have gone.  Returns the pids of the old workers.

sub reload {
    my ($self, $http, %option) = @_;

    if (defined $http) {
        $self->{workers} = $option{workers} if defined $option{workers};

        my $conf = $self->configuration($http, workers => $self->{workers},
                                        %option);

        $self->_write('nginx.conf', $conf);
        Test::IClock::Answers::configured($conf);
    }

    my %old = map { $_ => 1 } $self->workers();

    kill 'HUP', $self->{pid};

    wait_until(30, sub {
        my @now = $self->workers();

        return @now >= $self->{workers} && !grep { $old{$_} } @now;

    }) or croak "no new workers 30 s after HUP:\n" . slurp($self->{log});

    if ($option{wait}) {
        wait_until(30, sub { !grep { kill 0, $_ } keys %old })
            or croak "old workers still there 30 s after HUP";
    }

    return sort { $a <=> $b } keys %old;
}


# USR2, and QUIT of the old master: from now on this object is the new nginx.
# Start nginx with daemon => 1 before.

sub upgrade {
    my ($self) = @_;

    my $old = $self->{pid};

    croak "upgrade() needs start(..., daemon => 1)" if !$self->{adopted};

    kill 'USR2', $old;

    my $new = wait_until(30, sub {
        my ($pid) = slurp($self->{pidfile}) =~ /^(\d+)/ or return 0;
        return $pid != $old && $pid;

    }) or croak "no new master 30 s after USR2";

    wait_until(30, sub { kill 'QUIT', $old; !$self->running() })
        or croak "the old master does not quit";

    $self->{pid} = $new;
    $self->{adopted} = 1;

    wait_until(30, sub { $self->workers() >= $self->{workers} })
        or croak "no workers of the new master";

    return $self;
}


# KILL one worker and wait for its successor; its pid is returned

sub kill_worker {
    my ($self, $pid) = @_;

    ($pid) = $self->workers() if !$pid;

    kill 'KILL', $pid;

    wait_until(30, sub {
        my @now = $self->workers();

        return @now >= $self->{workers} && !grep { $_ == $pid } @now;

    }) or croak "no new worker 30 s after KILL";

    return $pid;
}


# QUIT or TERM; returns the exit status, or undef when nginx had to be killed

sub stop {
    my ($self, $signal, $seconds) = @_;

    return $self->{status} if !$self->running();

    my $pid = $self->{pid};

    kill $signal || 'QUIT', $pid;

    if (!wait_until($seconds || 60, sub { !$self->running() })) {

        my @pids = ($pid, children($pid));

        kill 'KILL', @pids;
        wait_until(10, sub { !$self->running() });

        return $self->{status} = undef;
    }

    $self->{status} = 0 if $self->{adopted};
    delete $self->{pid};

    return $self->{status};
}


sub quit { $_[0]->stop('QUIT', $_[1]) }
sub term { $_[0]->stop('TERM', $_[1]) }


# everything of this nginx dies at once

sub kill_all {
    my ($self) = @_;

    return if !$self->{pid};

    my @pids = ($self->{pid}, children($self->{pid}));

    kill 'KILL', @pids;
    wait_until(10, sub { !$self->running() });
    wait_until(10, sub { !grep { kill 0, $_ } @pids[1 .. $#pids] });

    return;
}


sub error_log { slurp($_[0]{log}) }


# reports of the sanitizers, and what nginx wrote to stderr

sub complaints {
    my ($self) = @_;

    return join '', slurp($self->{stderr}),
                    map { slurp($_) } glob "$self->{dir}/sanitizer*";
}


# open descriptors and resident memory (bytes) of a process

sub fds {
    my ($self, $pid) = @_;

    return scalar(() = glob "/proc/$pid/fd/*");
}


sub rss {
    my ($self, $pid) = @_;

    return slurp("/proc/$pid/status") =~ /^VmRSS:\s*(\d+)/m ? $1 * 1024 : 0;
}


sub DESTROY {
    my ($self) = @_;

    return if $$ != $self->{creator};

    local ($?, $!, $@);
    $self->kill_all() if $self->running();
}


1;
