package Test::IClock::Bench;

# Copyright (C) the ngx_http_iclock_module authors

# What the programs of t/bench share: PostgreSQL as in production, clients,
# and what the processes of the server take meanwhile.
#
#   my $bench = Test::IClock::Bench->new(seconds => 3);
#   $bench->nginx();
#   my $ours = $bench->wrk(64, 'punches.lua', '/',
#                          argument => [ 'BENCH', 1, 1000 ]);
#   my $theirs = $bench->pgbench(64, $sql);
#   $bench->done();
#
# A measurement is a hash: rate (a second), requests, of wrk p99 (in ms) and how
# many requests it made late, and what it took of the processors (microseconds
# of nginx, backends, others) and of the log (wal, in bytes).

use strict;
use warnings;

use JSON::PP ();
use List::Util qw/ min sum0 /;
use POSIX ();
use Test::More ();
use Time::HiRes qw/ time /;

use Test::IClock;
use Test::IClock::Postgres;
use Test::IClock::Process qw/ children command slurp wait_until /;

my $root = $Test::IClock::Postgres::root;

my @settings = (
    [ fsync => 'on' ], [ full_page_writes => 'on' ],
    [ min_wal_size => '1GB' ], [ max_wal_size => '4GB' ],
    [ shared_buffers => '512MB' ], [ autovacuum => 'on' ],
    [ max_connections => 600 ],
);

# what is printed is the result
Test::More->builder->output(\my $tap);


# Options: seconds of a measurement; settings, more of PostgreSQL.

sub new {
    my ($class, %option) = @_;

    my $t = Test::IClock->new(settings => [ @settings,
                                            @{$option{settings} || []} ]);
    my $self = bless { t => $t, seconds => $option{seconds} || 3 }, $class;

    $self->segments();

    return $self;
}


sub t { $_[0]{t} }
sub psql { my $self = shift; return $self->{t}->psql(@_) }


# Clusters of tests have segments of a megabyte, those of production of 16.

sub segments {
    my ($self) = @_;

    my $pg = $self->{t}->pg;

    $pg->stop();
    command({ out => $self->{t}->dir() . '/resetwal' },
            Test::IClock::Postgres::as_owner($pg->{owner},
                $pg->bindir() . '/pg_resetwal', '--wal-segsize=16',
                '-D', $pg->{data})) == 0 or die "pg_resetwal failed\n";
    $pg->start();

    return;
}


# Whether the data fit, beside their log: a disk that is full is noticed late.

sub check_room {
    my ($self, $bytes) = @_;

    my $dir = $self->{t}->dir();
    my $needed = $bytes + min(5e9, 2 * $bytes);
    my ($free) = `df -Pk '$dir'` =~ /\s(\d+)\s+\d+%\s+\S+\s*\z/;

    die sprintf "%.0f GB are free in %s, and %.0f GB needed: set TMPDIR, or"
                . " measure less\n", $free * 1024 / 1e9, $dir, $needed / 1e9
        if defined $free && $free * 1024 < $needed;

    return;
}


# Starts nginx anew, with an empty zone.  Options: those of device_server() and
# Test::IClock::Nginx::configuration(); status => 1 for status().  For what is
# measured against "return 200" there is a location whose name is as long as
# that of polls.

sub nginx {
    my ($self, %option) = @_;

    my $t = $self->{t};
    my %start = map { exists $option{$_} ? ($_ => delete $option{$_}) : () }
                qw/ workers connections main events /;
    my $server = 'location = /return/getrequest { default_type text/plain;'
                 . ' return 200 OK; }'
                 . (delete $option{status}
                    ? 'location = /status { iclock_status json; }' : '');

    $t->quit() if $t->nginx->running();
    $t->start($t->device_server(zone => 'iclock:16m', %option,
                  server => $server . ($option{server} || '')),
              level => 'warn', connections => 2048, %start);

    return;
}


# processor time of a process and of those that it has waited for, in us

sub spent {
    my ($pid, $children) = @_;

    my @field = split ' ', slurp("/proc/$pid/stat") =~ s/^.*\) //sr;

    return 0 if !@field;

    return sum0(@field[11 .. ($children ? 14 : 12)]) * 1e6
           / POSIX::sysconf(&POSIX::_SC_CLK_TCK);
}


# what nginx, backends, and the others of PostgreSQL have taken until now;
# backends that have ended are what the postmaster has waited for

sub processors {
    my ($self) = @_;

    my $pg = $self->{t}->pg;
    my @other = $pg->helpers();
    my %other = map { $_ => 1 } @other;

    return {
        nginx => sum0(map { spent($_) } $self->{t}->workers()),
        backends => spent($pg->{pid}, 1)
                    + sum0(map { spent($_) } grep { !$other{$_} }
                                             children($pg->{pid})),
        others => sum0(map { spent($_) } @other),
    };
}


sub wal_written {
    my ($self) = @_;

    return $self->psql("SELECT pg_current_wal_insert_lsn() - '0/0'");
}


# Runs the code, which returns a rate, a number of requests, each of which is
# units of what is counted, and perhaps more that belongs to the measurement.

sub measure {
    my ($self, $units, $code) = @_;

    my $wal = $self->wal_written();
    my $before = $self->processors();
    my ($rate, $requests, %more) = $code->();
    my $after = $self->processors();
    my $n = $requests * $units || 1;

    return { %more, rate => $rate * $units, requests => $requests,
             wal => ($self->wal_written() - $wal) / $n,
             map { $_ => ($after->{$_} - $before->{$_}) / $n } keys %$after };
}


# what a program says when it succeeds

sub run {
    my (@command) = @_;

    open my $out, '-|', @command or die "$command[0]: $!\n";
    my $text = do { local $/; <$out> };
    close $out or die "$command[0] failed\n$text\n";

    return $text;
}


# wrk with a script of t/bench, or with headers.  Options: lines, which each
# request has; argument, of the script; header; bad => 1 where other answers
# than 200 are meant; port.

sub wrk {
    my ($self, $clients, $script, $path, %option) = @_;

    my $url = 'http://127.0.0.1:' . ($option{port} || $self->{t}->port())
              . $path;
    my $threads = $clients > 1 ? 2 : 1;
    my @command = ('wrk', "-t$threads", "-c$clients", '--timeout', '30s',
                   '--latency',
                   # it takes no fractions
                   '-d' . POSIX::ceil($option{seconds} || $self->{seconds})
                   . 's',
                   map { ('-H', $_) } @{$option{header} || []});

    push @command, '-s', "$root/t/bench/$script" if $script ne '';

    # scripts wait for each other
    local $ENV{BENCH_THREADS} = $threads;

    return $self->measure($option{lines} || 1, sub {
        my $out = run(@command, $url, '--', @{$option{argument} || []});

        my ($rate) = $out =~ m!Requests/sec:\s+([\d.]+)! or die $out;
        my ($n) = $out =~ m!(\d+) requests in !;
        my ($p99, $unit) = $out =~ m!^\s+99%\s+([\d.]+)(us|ms|s)\s*$!m;
        my ($socket) = $out =~ m!(Socket errors: .*)!;
        my ($late) = $out =~ m!^Made late: (\d+)!m;

        die "$out\n" if !$option{bad} && $out =~ /Non-2xx or 3xx/
            || $socket && $socket !~ /connect 0, read 0, write 0, timeout 0/;

        # the time of the client, which the other side does not pay for
        warn "$late requests were made while they were measured\n" if $late;

        return ($rate, $n, late => $late || 0,
                p99 => $p99 && $p99 * { us => 1e-3, ms => 1,
                                        s => 1e3 }->{$unit});
    });
}


# pgbench, each client with a connection of its own; -D of the options are
# variables of the script

sub pgbench {
    my ($self, $clients, $sql, %option) = @_;

    my $t = $self->{t};
    my $file = $t->dir() . '/bench.sql';

    open my $f, '>', $file or die "$file: $!\n";
    print $f $sql;
    close $f;
    chmod 0644, $file;

    my @variable = map { ('-D', "$_=$option{$_}") } sort keys %option;
    my $jobs = $clients > 1 ? 2 : 1;
    my $seconds = POSIX::ceil($self->{seconds});

    return $self->measure(1, sub {
        for (;; $seconds *= 2) {
            my $out = run('sh', '-c', 'exec "$@" 2>&1', 'sh',
                          $t->pg->bindir() . '/pgbench', '-n', '-M',
                          'prepared', '-c', $clients, '-j', $jobs,
                          '-T', $seconds, '-f', $file, @variable,
                          $t->conninfo(user => 'postgres'));

            my ($tps) = $out =~ /tps = ([\d.]+)/;
            my ($n) = $out =~ /actually processed: (\d+)/ or die $out;

            wait_until(30, sub { !$t->pg->backends('pgbench') });

            # a slow machine may have let in all clients, and no more
            return ($tps, $n) if $n || $seconds > 60;
        }
    });
}


# an empty table, and a checkpoint that nobody has to make meanwhile

sub fresh {
    my ($self) = @_;

    return $self->psql('TRUNCATE iclock.punch; CHECKPOINT');
}


# The months of punches from one to another, as days of them.

sub months {
    my ($self, $from, $to) = @_;

    $self->psql("SELECT iclock.create_month(m)"
                . " FROM generate_series(date_trunc('month',"
                . " '$from'::timestamp),"
                . " '$to'::timestamp, '1 month') AS m(m)"
                . " WHERE NOT EXISTS (SELECT FROM iclock.punch_partitions() p"
                . " WHERE m.m >= p.starts AND m.m < p.ends)");

    return;
}


# Makes terminals known, PREFIX0000000 and so on, as the scripts of wrk name
# them; nginx would need a request for each.

sub register {
    my ($self, $prefix, $devices) = @_;

    $self->psql("INSERT INTO iclock.device (serial_number, status)"
                . " SELECT '$prefix' || lpad(n::text, 7, '0'), 'active'"
                . " FROM generate_series(0, $devices - 1) n"
                . " ON CONFLICT DO NOTHING");
    $self->psql('ANALYZE iclock.device');

    return;
}


# what iclock_status says

sub status {
    my ($self) = @_;

    return JSON::PP::decode_json($self->{t}->get('/status')->body);
}


# Ends all; 0 if nginx was well.

sub done {
    my (@bench) = @_;

    $_->{t}->check_shutdown() for @bench;
    $_->{t}->_clean() for @bench;
    Test::More::done_testing();

    return 0 if Test::More->builder->is_passing;

    print "$tap\n";

    return 1;
}


1;
