package Test::IClock;

# Copyright (C) the ngx_http_iclock_module authors

# The front door of the test harness: core Perl only.
#
#   use Test::More;
#   use Test::IClock;
#
#   my $t = Test::IClock->new;                 # PostgreSQL runs
#   $t->start();                               # nginx with the module runs
#   is($t->get('/iclock/ping?SN=TEST0001')->text, '200 OK');
#   is($t->psql('SELECT count(*) FROM iclock.punch'), 0);
#   $t->done();
#
# done() stops everything and asserts that nginx left nothing behind: exit
# status, error log, sanitizers, connections to the database.

use strict;
use warnings;

use Carp qw/ croak /;
use Exporter qw/ import /;
use File::Path qw/ remove_tree /;
use File::Temp ();
use JSON::PP ();
use POSIX ();
use Test::More ();
use Time::HiRes qw/ sleep time /;

use Test::IClock::Answers ();
use Test::IClock::Clock ();
use Test::IClock::Device ();
use Test::IClock::HTTP ();
use Test::IClock::Nginx ();
use Test::IClock::Postgres ();
use Test::IClock::Process qw/ slurp wait_until /;
use Test::IClock::Proxy ();
use Test::IClock::Receiver ();
use Test::IClock::Terminal ();

our @EXPORT = qw/ wait_until /;

my %instances;

$SIG{INT} = $SIG{TERM} = sub { exit 1 };


# Options: pg => 0 (no database), tcp => 1 (PostgreSQL also on 127.0.0.1),
# settings => [ [ name, value ], ... ] of PostgreSQL, clock => seconds since
# 1970, from where a clock goes that the test can move.

sub new {
    my ($class, %option) = @_;

    my $dir = File::Temp::tempdir('iclock-XXXXXX', TMPDIR => 1);
    chmod 0755, $dir;

    my $self = bless { dir => $dir, allowed => [], creator => $$ }, $class;

    $instances{$dir} = $self;
    Test::IClock::Answers::begin($dir);

    $self->{nginx} = Test::IClock::Nginx->new("$dir/nginx");

    if (defined $option{clock}) {
        $self->{clock} = Test::IClock::Clock->new($dir,
                             "$Test::IClock::Nginx::root/t/clock/clock.c",
                             $option{clock});
        $self->{nginx}{env} = $option{env} = $self->{clock}->environment();
    }

    if (!defined $option{pg} || $option{pg}) {
        my $pgdir = "$dir/pg";
        mkdir $pgdir or croak "$pgdir: $!";
        chmod 0755, $pgdir;

        $self->{pg} = Test::IClock::Postgres->new($pgdir, %option,
                          port => $option{tcp} ? $self->{nginx}->free_port()
                                               : 5432);
    }

    return $self;
}


sub pg { $_[0]{pg} }
sub nginx { $_[0]{nginx} }
sub dir { $_[0]{dir} }
sub clock { $_[0]{clock} }


# the database

sub psql { my $self = shift; return $self->{pg}->psql(@_) }
sub psql_lines { my $self = shift; return $self->{pg}->psql_lines(@_) }
sub conninfo { my $self = shift; return $self->{pg}->conninfo(@_) }


# A proxy between nginx and PostgreSQL; nginx uses it when the conninfo of
# the configuration is $t->conninfo($proxy->address).

sub proxy {
    my ($self, %option) = @_;

    my $proxy = Test::IClock::Proxy->new(
        to => "$self->{pg}{dir}/.s.PGSQL.$self->{pg}{port}",
        port => $self->{nginx}->free_port(), %option);

    push @{$self->{proxies}}, $proxy;

    return $proxy;
}


# A port that leads to that of nginx, for programs that are none of the
# harness: what they are answered is looked at as well.

sub overheard {
    my ($self) = @_;

    my $port = $self->{nginx}->free_port();

    push @{$self->{heard}},
         Test::IClock::Answers::overheard($self->port(), $port);

    return $port;
}


# Operations of the HTTP interface whose functions are the test's own from now
# on: their bodies are not what openapi.json says.

sub own_operations {
    my ($self, @name) = @_;

    Test::IClock::Answers::own(@name);

    return $self;
}


# A receiver of webhooks.  Options: those of Test::IClock::Receiver.

sub receiver {
    my ($self, %option) = @_;

    my $dir = "$self->{dir}/receiver" . @{$self->{receivers} ||= []};

    mkdir $dir or croak "$dir: $!";
    chmod 0755, $dir;

    my $receiver = Test::IClock::Receiver->new(
        dir => $dir, port => $self->{nginx}->free_port(), %option);

    push @{$self->{receivers}}, $receiver;

    return $receiver;
}


# nginx

# The contents of http{} with one device server on %%PORT%%.  Options:
# database (conninfo), pool, zone, http, server, location (further lines),
# unknown (hold, accept, reject).

sub device_server {
    my ($self, %option) = @_;

    %option = (zone => 'iclock:4m', unknown => 'accept', http => '',
               server => '', location => '', pool => '', %option);

    my $database = defined $option{database} ? $option{database}
                                             : $self->conninfo();
    my $pool = $option{pool} eq '' ? '' : "iclock_pool $option{pool};";

    return <<END;
    iclock_database "$database";
    iclock_zone $option{zone};
    $pool
    $option{http}

    server {
        listen 127.0.0.1:%%PORT%%;
        server_name localhost;

        client_max_body_size 16m;
        client_body_buffer_size 1m;

        $option{server}

        location /iclock {
            iclock;
            iclock_unknown_devices $option{unknown};
            $option{location}
        }
    }
END
}


# Starts nginx with these contents of http{} (default: device_server()) and
# the options of Test::IClock::Nginx::configuration().

sub start {
    my ($self, $http, %option) = @_;

    $http = $self->device_server() if !defined $http && !exists $option{raw};

    $self->{nginx}->start($http, %option);

    return $self;
}


sub nginx_t {
    my ($self, $http, %option) = @_;

    return $self->{nginx}->test($http, %option);
}


sub port { $_[0]{nginx}->port($_[1]) }
sub reload { my $self = shift; return $self->{nginx}->reload(@_) }
sub quit { my $self = shift; return $self->{nginx}->quit(@_) }
sub term { my $self = shift; return $self->{nginx}->term(@_) }
sub workers { $_[0]{nginx}->workers() }
sub kill_worker { my $self = shift; return $self->{nginx}->kill_worker(@_) }
sub upgrade { $_[0]{nginx}->upgrade() }
sub error_log { $_[0]{nginx}->error_log() }


# waits for a line in the error log

sub wait_log {
    my ($self, $pattern, $seconds) = @_;

    return wait_until($seconds || 30,
                      sub { $self->error_log() =~ $pattern });
}


# lines of the error log that done() tolerates

sub allow {
    my ($self, @pattern) = @_;

    push @{$self->{allowed}}, @pattern;

    return $self;
}


# Waits until nginx has read the notifications of all that is committed: they
# arrive in the order of the commits, and this one's is the last.  What nginx
# looks for every few seconds may find a command before, but not two.

sub notified {
    my ($self) = @_;

    my $sn = 'SENTINEL';
    my $device = $self->device($sn);

    $self->psql("SELECT iclock.register_device('$sn')")
        if !$self->{notified}++;

    for (1 .. 2) {

        # from the second poll on it is known that nothing waits
        $device->poll() for 1 .. 2;

        my $id = $self->psql("SELECT iclock.queue_command('$sn', 'CHECK')");

        wait_until(60, sub {
            grep { $_->[0] == $id } $device->poll()->commands()
        }) or croak 'nginx is not notified';

        $device->ack($id, 0, 'CHECK');
    }

    return;
}


# Waits until all events that there are are settled: older transactions that
# PostgreSQL still runs, its own or others, keep lists and webhooks, and cursors
# of streams, from going past what was written meanwhile.

sub settled {
    my ($self) = @_;

    wait_until(60, sub {
        $self->psql('SELECT newest IS NOT DISTINCT FROM settled'
                    . ' FROM iclock.event_status') eq 't'
    }) or croak 'a transaction keeps events from being settled';

    return;
}


# HTTP

# A connection.  Options: those of Test::IClock::HTTP.

sub connect {
    my ($self, %option) = @_;

    return Test::IClock::HTTP->new(port => $self->port(), %option);
}


# One request on a connection of its own.  Names of headers that begin with
# "-" are options: those of Test::IClock::HTTP::format_request(), and -port,
# -timeout, -local (address to come from), -split (bytes a write), -delay
# (seconds between writes).

sub _http {
    my ($self, $method, $uri, $body, %header) = @_;

    my %option = map { my $name = $_;
                       exists $header{"-$name"}
                           ? ($name => delete $header{"-$name"}) : () }
                 qw/ port timeout local split delay /;

    my $bytes = Test::IClock::HTTP::format_request($method, $uri, $body,
                                                   %header);

    return $self->request($bytes, %option);
}


sub get {
    my ($self, $uri, %header) = @_;

    return $self->_http('GET', $uri, undef, %header);
}


sub post {
    my ($self, $uri, $body, %header) = @_;

    return $self->_http('POST', $uri, $body, %header);
}


# The bytes as they are, and the response; undef if there was none.

sub request {
    my ($self, $bytes, %option) = @_;

    my %connect = map { exists $option{$_} ? ($_ => delete $option{$_}) : () }
                  qw/ port timeout local /;

    my $c = $self->connect(%connect);
    my $response = $c->request($bytes, %option);
    $c->close();

    return $response;
}


# Many requests at once from one process: a list of [ method, uri, body,
# headers ... ] or of bytes.  Options: connections, port, timeout.

sub concurrently {
    my ($self, $requests, %option) = @_;

    my @bytes = map { ref $_ ? Test::IClock::HTTP::format_request(@$_) : $_ }
                @$requests;

    return Test::IClock::HTTP->concurrently(\@bytes, port => $self->port(),
                                            %option);
}


# Runs code in n processes at once, with 0 to n-1 as its argument, and
# returns what each returned (a scalar or anything that JSON can say); undef
# for one that died.

sub parallel {
    my ($self, $n, $code) = @_;

    my @job;

    for my $i (0 .. $n - 1) {
        pipe my $in, my $out or croak "pipe: $!";

        my $pid = fork;
        croak "fork: $!" if !defined $pid;

        if ($pid == 0) {
            close $in;
            my $value = eval { $code->($i) };
            warn $@ if $@;
            print $out JSON::PP->new->canonical->ascii
                                 ->encode([ $value ]) if !$@;
            close $out;
            POSIX::_exit(0);
        }

        close $out;
        push @job, [ $pid, $in ];
    }

    my @result;

    for (@job) {
        my ($pid, $in) = @$_;
        my $text = do { local $/; <$in> };

        waitpid $pid, 0;
        push @result, defined $text && $text ne ''
                      ? JSON::PP::decode_json($text)->[0] : undef;
    }

    return @result;
}


# A terminal.  Options: those of Test::IClock::Device.

sub device {
    my ($self, $sn, %option) = @_;

    return Test::IClock::Device->new($sn, port => $self->port(), %option);
}


# A terminal that executes commands.  Options: those of
# Test::IClock::Terminal.

sub terminal {
    my ($self, $sn, %option) = @_;

    return Test::IClock::Terminal->new($sn, port => $self->port(), %option);
}


# the end

# Lines of the error log that nobody allowed.

sub _bad_lines {
    my ($self) = @_;

    my @bad;
    my $log = $self->error_log();

    # by a test, which has to allow that
    my %killed = map { $_ => 1 } $log =~ /process (\d+) exited on signal 9\b/g;

    for my $line (split /\n/, $log) {
        next if $line !~ /\[(?:alert|crit|emerg)\]|Sanitizer
                          |exited\ on\ signal|open\ socket\ \#/x;
        next if grep { $line =~ $_ } @{$self->{allowed}};

        # the master has taken the lock from who died with it
        next if $line =~ /shared memory zone "iclock\/\d+" was locked by (\d+)$/
                && $killed{$1};

        push @bad, $line;
    }

    return @bad;
}


# Stops nginx and asserts what has to be true whatever the test was about.
# quit() or term() may have been called before.

sub check_shutdown {
    my ($self) = @_;

    my $nginx = $self->{nginx};
    my $pg = $self->{pg};

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    if ($nginx->running() || exists $nginx->{status}) {

        Test::More::is($nginx->stop(), 0, 'nginx exits with status 0');

        my @bad = $self->_bad_lines();

        Test::More::ok(!@bad, 'nothing bad in the error log')
            or Test::More::diag(join "\n", @bad[0 .. ($#bad < 19 ? $#bad
                                                                 : 19)]);

        my $complaints = $nginx->complaints();

        Test::More::unlike($complaints, qr/Sanitizer|runtime error:/,
                           'no complaints of sanitizers');

        if ($pg && $pg->running() && !$pg->{frozen}) {
            Test::More::ok(wait_until(30, sub { $pg->backends() == 0 }),
                           'no connection to the database is left')
                or Test::More::diag($pg->psql(
                       "SELECT pid, application_name, state, query"
                       . " FROM pg_stat_activity"
                       . " WHERE application_name LIKE 'iclock%'"));
        }
    }

    return;
}


# What the HTTP interface has answered is what openapi.json says; see
# Test::IClock::Answers.

sub check_answers {
    my ($self) = @_;

    my ($n, $wrong) = Test::IClock::Answers::check();

    return if !$n;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    Test::More::is($wrong, '', 'answers are what openapi.json says');
    Test::More::note("$n answers");

    return;
}


sub done {
    my ($self) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    $self->check_shutdown();
    $self->check_answers();
    $self->_clean();

    Test::More::done_testing();

    return;
}


# Ends everything; the logs stay when a test has failed or died early.

sub _clean {
    my ($self, $early) = @_;

    return if !delete $instances{$self->{dir}};

    $_->stop() for @{$self->{proxies} || []}, @{$self->{receivers} || []};
    kill 'KILL', $_ and waitpid $_, 0 for @{$self->{heard} || []};
    $self->{nginx}->kill_all();

    if ($self->{pg} && $self->{pg}->running()) {
        # nobody needs these data again
        eval { $self->{pg}->stop('immediate') };
    }

    $self->{pg}->remove() if $self->{pg} && !$ENV{TEST_KEEP};

    if ($ENV{TEST_KEEP} || $early || !Test::More->builder->is_passing()) {
        Test::More::diag("logs are kept in $self->{dir}");
        return;
    }

    remove_tree($self->{dir});

    return;
}


END {
    my $status = $?;

    for my $self (values %instances) {
        $self->_clean(1) if $self->{creator} == $$;
    }

    $? = $status;
}


1;
