package Test::IClock::Postgres;

# Copyright (C) the ngx_http_iclock_module authors

# A private PostgreSQL cluster: its own directory, a unix socket in it, no
# TCP unless asked for.  The cluster of a test is a copy of a template that
# initdb and sql/install.sql have made once.  The copy is in memory where there
# is plenty: on a disk, to make its thousand files takes more than many a test.

use strict;
use warnings;

use Carp qw/ croak /;
use Cwd qw/ abs_path /;
use Digest::MD5 ();
use Errno;
use Fcntl qw/ :flock /;
use File::Basename qw/ dirname /;
use File::Path qw/ make_path remove_tree /;
use File::Temp ();
use IO::Handle;
use POSIX qw/ :sys_wait_h /;
use Time::HiRes qw/ sleep time /;

use Test::IClock::Process qw/ children command slurp spawn /;
use Test::IClock::Query qw/ forget query statements /;

our $root = dirname(dirname(dirname(dirname(dirname(
    abs_path(__FILE__))))));

use constant DATABASE => 'iclock';
use constant LOGIN => 'iclock_nginx';

# a file system in memory, and how much has to be free there, in kB
use constant MEMORY => '/dev/shm';
use constant ENOUGH => 3 * 1024 * 1024;

# Debian's psql is a script that looks for the program, which takes five times
# as long as the program itself.

{
    my ($newest) = sort { ($b =~ m!/(\d+)/bin! ? $1 : 0)
                          <=> ($a =~ m!/(\d+)/bin! ? $1 : 0) }
                   map { dirname($_) } glob '/usr/lib/postgresql/*/bin/psql';

    $ENV{PATH} = "$newest:$ENV{PATH}" if defined $newest;
}

# PostgreSQL runs with its default settings, as users have it: JIT, autovacuum,
# parallel workers.  Only fsync is off: what is committed survives a crash of
# the server, though not of the machine.  No result fits this time zone by
# chance.
my @settings = (
    "listen_addresses = ''",
    "fsync = off",
    "full_page_writes = off",
    "min_wal_size = 4MB",
    "max_wal_size = 64MB",
    "timezone = 'America/New_York'",
    "log_timezone = 'UTC'",
    "log_line_prefix = '%m [%p] %a '",
);


# Where the programs of the server are; an empty string if there is none.

sub bindir {
    return $ENV{PG_BINDIR} if $ENV{PG_BINDIR};

    my ($newest) = sort { ($b =~ m!/(\d+)/bin! ? $1 : 0)
                          <=> ($a =~ m!/(\d+)/bin! ? $1 : 0) }
                   glob '/usr/lib/postgresql/*/bin';

    return $newest if defined $newest && -x "$newest/initdb";

    for my $dir (split /:/, $ENV{PATH}) {
        return $dir if -x "$dir/initdb";
    }

    return '';
}


# PostgreSQL refuses to run as root: the user it runs as then.

sub owner {
    return undef if $> != 0;

    for my $name (qw/ postgres nobody /) {
        my @user = getpwnam $name;
        return { name => $name, uid => $user[2], gid => $user[3] } if @user;
    }

    die "neither a user \"postgres\" nor \"nobody\" to run PostgreSQL as\n";
}


# The command as that user; it ends with this process.

sub as_owner {
    my ($owner, @command) = @_;

    my @prefix = ('setpriv', '--pdeathsig', 'QUIT');

    push @prefix, "--reuid=$owner->{uid}", "--regid=$owner->{gid}",
        '--clear-groups' if $owner;

    return (@prefix, '--', @command);
}


sub new {
    my ($class, $dir, %option) = @_;

    my $self = bless {
        dir => $dir,                    # holds data, socket and log
        data => "$dir/data",
        log => "$dir/postgres.log",
        port => $option{port} || 5432,  # of TCP and in the socket's name
        owner => owner(),
        bin => bindir(),
        env => $option{env} || {},      # of the server
        creator => $$,
    }, $class;

    die "no PostgreSQL server found, \"make deps\" installs it\n"
        if $self->{bin} eq '';

    $self->copy_template();

    if ($self->{owner}) {
        chown $self->{owner}{uid}, $self->{owner}{gid}, $dir;
    }

    $self->set(listen_addresses => '127.0.0.1') if $option{tcp};
    $self->set(@$_) for @{$option{settings} || []};

    $self->start();

    return $self;
}


# The server's pg_dump, or Debian's, which must not be older than the server;
# undef if there is none that can dump it.

sub pg_dump {
    my ($self) = @_;

    my $own = "$self->{bin}/pg_dump";
    return $own if -x $own;

    my ($server, $client) = map { `$_ --version` =~ /\) (\d+)/ }
                            "$self->{bin}/postgres", 'pg_dump';

    return $client >= $server ? 'pg_dump' : undef;
}


# A copy of the template cluster for the present sql/ and the partitions of this
# month, which is made when there is none yet.  TEST_TREE is another checkout,
# whose schema it is then.

sub copy_template {
    my ($self) = @_;

    my $tree = $ENV{TEST_TREE} || $root;
    my $cache = "$tree/build/t";
    make_path($cache);

    my $version = `$self->{bin}/postgres --version`;
    my @files = glob "$tree/sql/*.sql $tree/sql/*/*.sql";

    my $sum = Digest::MD5->new;
    $sum->add(join "\n", $version, $>, POSIX::strftime('%Y-%m', gmtime),
                         @settings);
    $sum->add($_, slurp($_)) for @files;

    my $template = "$cache/pgtemplate-" . substr $sum->hexdigest, 0, 12;

    # makers of templates exclude each other and those who copy one

    open my $lock, '>>', "$cache/pgtemplate.lock"
        or die "$cache/pgtemplate.lock: $!\n";
    flock $lock, LOCK_SH or die "flock: $!\n";

    if (!-d $template) {
        flock $lock, LOCK_EX or die "flock: $!\n";

        if (!-d $template) {
            remove_tree(glob "$cache/pgtemplate-*");
            $self->make_template($template, "$tree/sql/install.sql");
        }
    }

    if (plenty()) {
        # what is left of tests that were killed would fill it up
        remove_tree(grep { /-(\d+)-\w+\z/ && !CORE::kill(0, $1) && $!{ESRCH} }
                         glob MEMORY . '/iclock-*');

        $self->{memory} = File::Temp::tempdir("iclock-$$-XXXXXX",
                                              DIR => MEMORY);
        chmod 0755, $self->{memory};
        symlink "$self->{memory}/data", $self->{data}
            or die "$self->{data}: $!\n";
    }

    system('cp', '-a', '--reflink=auto', $template,
           readlink($self->{data}) || $self->{data}) == 0
        or die "cannot copy $template\n";

    return;
}


# Whether the data of all tests that run at the same time fit into memory.
# What measures has them on a disk, and so has who wants to keep them.

sub plenty {
    return 0 if $ENV{TEST_KEEP} || $0 !~ /\.t\z/ || !-w MEMORY;

    my ($available) = slurp('/proc/meminfo') =~ /^MemAvailable:\s*(\d+) kB/m
        or return 0;
    my ($room) = `df -Pk @{[ MEMORY ]} 2>/dev/null`
                 =~ /\s(\d+)\s+\d+%\s+\S+\s*\z/ or return 0;

    return $available >= ENOUGH && $room >= ENOUGH;
}


sub make_template {
    my ($self, $template, $install) = @_;

    # built in a directory that the server's user can reach

    my $work = File::Temp->newdir('iclock-XXXXXX', TMPDIR => 1);
    chmod 0755, $work;

    my $maker = bless {
        %$self,
        env => {},
        dir => "$work",
        data => "$work/data",
        log => "$work/log",
    }, ref $self;

    chown $self->{owner}{uid}, $self->{owner}{gid}, "$work" if $self->{owner};

    command({ out => "$work/log" },
            as_owner($self->{owner}, "$self->{bin}/initdb",
                     '-D', "$work/data", '-U', 'postgres', '-A', 'trust',
                     '-E', 'UTF8', '--locale=C.UTF-8', '--no-sync',
                     '--wal-segsize=1')) == 0
        or die "initdb failed:\n" . slurp("$work/log");

    open my $conf, '>>', "$work/data/postgresql.conf"
        or die "$work/data/postgresql.conf: $!\n";
    print $conf "$_\n" for @settings;
    close $conf;

    $maker->start();

    my $ok = eval {
        $maker->psql('CREATE DATABASE ' . DATABASE, database => 'postgres');

        $maker->psql_file($install) if -e $install;

        $maker->psql('CREATE ROLE ' . LOGIN . ' LOGIN');
        $maker->psql('GRANT iclock_module TO ' . LOGIN) if -e $install;
        $maker->psql('CREATE EXTENSION IF NOT EXISTS pgtap');
        1;
    };
    my $error = $@;

    $maker->stop();

    die $error if !$ok;

    system('cp', '-a', "$work/data", "$template.new") == 0
        && rename("$template.new", $template)
        or die "cannot keep $template\n";

    return;
}


# Appends a setting; takes effect with the next start.

sub set {
    my ($self, $name, $value) = @_;

    $value =~ s/'/''/g;

    open my $conf, '>>', "$self->{data}/postgresql.conf"
        or croak "postgresql.conf: $!";
    print $conf "$name = '$value'\n";
    close $conf;

    return $self;
}


sub running {
    my ($self) = @_;

    return 0 if !$self->{pid};

    if (waitpid($self->{pid}, WNOHANG) == $self->{pid}) {
        delete $self->{pid};
        return 0;
    }

    return 1;
}


sub start {
    my ($self) = @_;

    return $self if $self->running();

    unlink "$self->{data}/postmaster.pid";

    $self->{pid} = spawn({ out => $self->{log}, session => 1,
                           env => $self->{env} },
                         as_owner($self->{owner}, "$self->{bin}/postgres",
                                  '-D', $self->{data}, '-p', $self->{port},
                                  '-k', $self->{dir}));
    $self->{frozen} = 0;

    my $until = time + 60;

    while (time < $until) {
        my @line = split /\n/, slurp("$self->{data}/postmaster.pid");

        return $self if @line >= 8 && $line[7] =~ /^(?:ready|standby)/;

        if (!$self->running()) {
            croak "PostgreSQL did not start:\n" . slurp($self->{log});
        }

        sleep 0.02;
    }

    croak "PostgreSQL is not ready after 60 s:\n" . slurp($self->{log});
}


sub _wait_exit {
    my ($self, $seconds) = @_;

    my $until = time + $seconds;

    while ($self->running()) {
        return 0 if time > $until;
        sleep 0.01;
    }

    return 1;
}


# smart, fast (the default) or immediate

sub stop {
    my ($self, $mode) = @_;

    return $self if !$self->running();

    $self->thaw() if $self->{frozen};
    forget($self->_socket());

    my %signal = (smart => 'TERM', fast => 'INT', immediate => 'QUIT');

    kill $signal{$mode || 'fast'}, $self->{pid};

    if (!$self->_wait_exit(30)) {
        $self->kill();
        croak "PostgreSQL did not stop within 30 s";
    }

    return $self;
}


# A standby of this server in another directory, which it waits for at each
# commit.

sub standby {
    my ($self, $dir) = @_;

    my $standby = bless {
        map({ ($_ => $self->{$_}) } qw/ port owner bin creator /),
        dir => $dir,
        data => "$dir/data",
        log => "$dir/postgres.log",
    }, ref $self;

    mkdir $dir or croak "$dir: $!";
    chown $self->{owner}{uid}, $self->{owner}{gid}, $dir if $self->{owner};

    $self->stop();

    # its data may be behind a link
    system('cp', '-aH', $self->{data}, $standby->{data}) == 0
        or croak "cannot copy $self->{data}";

    command({ out => $standby->{log} }, as_owner($self->{owner},
            'touch', "$standby->{data}/standby.signal")) == 0
        or croak "no standby.signal";

    $standby->set(primary_conninfo => $self->conninfo(user => 'postgres',
                      dbname => undef, application_name => 'standby'));
    $self->set(synchronous_standby_names => 'standby');

    $self->start();
    $standby->start();

    Test::IClock::Process::wait_until(30, sub {
        $self->psql("SELECT count(*) FROM pg_stat_replication"
                    . " WHERE state = 'streaming'") }) or croak 'no standby';

    return $standby;
}


sub promote {
    my ($self) = @_;

    $self->set(synchronous_standby_names => '');
    $self->psql('SELECT pg_reload_conf(), pg_promote()');

    return $self;
}


sub restart {
    my ($self, $mode) = @_;

    return $self->stop($mode)->start();
}


# the processes of the server, the postmaster first

sub pids {
    my ($self) = @_;

    return if !$self->{pid};

    return ($self->{pid}, children($self->{pid}));
}


# Crash: every process of the server gets a KILL at once.

sub kill {
    my ($self) = @_;

    forget($self->_socket()) if !$self->{frozen};

    # the postmaster starts none after they are counted

    if ($self->{pid}) {
        CORE::kill 'STOP', $self->{pid};
        Test::IClock::Process::wait_until(10, sub {
            slurp("/proc/$self->{pid}/stat") !~ /\) [RSD] /;
        });
    }

    my @pids = $self->pids();

    CORE::kill 'KILL', @pids;
    $self->_wait_exit(10);
    $self->{frozen} = 0;

    # the others, which are not our children, keep the shared memory

    for (1 .. 500) {
        last if !grep { CORE::kill 0, $_ } @pids[1 .. $#pids];
        sleep 0.01;
    }

    return $self;
}


# The server keeps its connections and stops answering.

sub freeze {
    my ($self) = @_;

    forget($self->_socket());

    # the postmaster first, which may be about to start another process

    CORE::kill 'STOP', $self->{pid};

    for (1 .. 3) {
        sleep 0.02;
        CORE::kill 'STOP', children($self->{pid});
    }

    $self->{frozen} = 1;

    return $self;
}


sub thaw {
    my ($self) = @_;

    CORE::kill 'CONT', reverse $self->pids();
    $self->{frozen} = 0;

    return $self;
}


# A conninfo string: of the module's login through the unix socket, unless
# host, port, user, dbname or other keywords say otherwise.

sub conninfo {
    my ($self, %keyword) = @_;

    %keyword = (host => $self->{dir}, port => $self->{port},
                dbname => DATABASE, user => LOGIN, %keyword);

    return join ' ', map { "$_=$keyword{$_}" }
                     grep { defined $keyword{$_} } sort keys %keyword;
}


sub _socket {
    my ($self) = @_;

    return "$self->{dir}/.s.PGSQL.$self->{port}";
}


sub _psql {
    my ($self, $file, %option) = @_;

    # it may want to drop or to copy the database
    forget($self->_socket());

    $option{vars} ||= {};

    my ($out, $err) = ("$self->{dir}/psql.$$.out", "$self->{dir}/psql.$$.err");

    my $status = command({ out => $out, err => $err,
                           env => { PGCONNECT_TIMEOUT => 30,
                                    PGTZ => $option{timezone} || 'UTC' } },
        'psql', '-AtqX', '-v', 'ON_ERROR_STOP=1',
        map({ ('-v', "$_=$option{vars}{$_}") } sort keys %{$option{vars}}),
        '-d', $self->conninfo(user => $option{user} || 'postgres',
                              dbname => $option{database} || DATABASE),
        '-f', $file);

    my $result = [ $status, slurp($out), slurp($err) ];

    unlink $out, $err;

    return @$result;
}


# Runs SQL as the superuser and returns its output: a row a line, columns
# separated by "|".  Dies when a statement fails.
# Options: user, database, vars, timezone (UTC, so that tests can read it).

sub psql {
    my ($self, $sql, %option) = @_;

    my ($status, $out, $err) = $self->psql_try($sql, %option);

    croak "psql failed: $err" if $status != 0;

    chomp $out;

    return $out;
}


# The same; returns exit status, output and messages.

sub psql_try {
    my ($self, $sql, %option) = @_;

    utf8::encode($sql) if utf8::is_utf8($sql);

    if (my @statements = $option{vars} ? () : statements($sql)) {
        my @result = query($self->_socket(), \@statements,
                           user => $option{user} || 'postgres',
                           database => $option{database} || DATABASE,
                           application_name => 'psql',
                           TimeZone => $option{timezone} || 'UTC');

        return @result if @result;
    }

    my $file = "$self->{dir}/psql.$$.sql";

    open my $handle, '>:raw', $file or croak "$file: $!";
    print $handle $sql, "\n";
    close $handle;

    my @result = $self->_psql($file, %option);
    unlink $file;

    return @result;
}


sub psql_file {
    my ($self, $file, %option) = @_;

    my ($status, $out, $err) = $self->_psql($file, %option);

    croak "psql -f $file failed: $err" if $status != 0;

    chomp $out;

    return $out;
}


sub psql_lines {
    my ($self, @argument) = @_;

    return split /\n/, $self->psql(@argument);
}


# Runs SQL in a session of its own that goes on while the test does, to hold
# a lock, say.  Returns an object with wait() and kill().

sub background {
    my ($self, $sql, %option) = @_;

    my $file = "$self->{dir}/background." . ++$self->{backgrounds};

    open my $handle, '>:raw', $file or croak "$file: $!";
    print $handle $sql, "\n";
    close $handle;

    my $pid = spawn({ out => "$file.out" },
        'setpriv', '--pdeathsig', 'TERM', '--', 'psql', '-AtqX',
        '-v', 'ON_ERROR_STOP=1',
        '-d', $self->conninfo(user => $option{user} || 'postgres'),
        '-f', $file);

    return bless { pid => $pid, out => "$file.out" },
                 'Test::IClock::Postgres::Background';
}


# A session for many small queries, which is cheaper than psql().  Options are
# keywords of conninfo(): user (the superuser, if there is none), dbname.
# Returns an object with query(), which returns rows.

sub session {
    my ($self, %option) = @_;

    my $err = "$self->{dir}/session." . ++$self->{sessions};

    pipe my $child, my $in or croak "pipe: $!";
    pipe my $out, my $answer or croak "pipe: $!";

    my $pid = fork;
    croak "fork: $!" if !defined $pid;

    if ($pid == 0) {
        open STDIN, '<&', $child;
        open STDOUT, '>&', $answer;
        open STDERR, '>', $err;
        delete @ENV{grep /^PG/, keys %ENV};
        $ENV{PGTZ} = 'UTC';
        no warnings 'exec';
        exec 'psql', '-AtqX', '-v', 'ON_ERROR_STOP=1',
            '-d', $self->conninfo(user => 'postgres', %option);
        POSIX::_exit(127);
    }

    $in->autoflush(1);

    return bless { pid => $pid, in => $in, out => $out, err => $err,
                   creator => $$ }, 'Test::IClock::Postgres::Session';
}


# A transaction that runs this SQL and keeps its locks until release().

sub hold {
    my ($self, $sql) = @_;

    my $name = 'holder ' . ++$self->{holders};
    my $session = $self->background("SET application_name = '$name'; BEGIN;"
                                    . " $sql; SELECT pg_sleep(600)");

    Test::IClock::Process::wait_until(30, sub {
        $self->psql("SELECT count(*) FROM pg_stat_activity WHERE"
                    . " application_name = '$name'"
                    . " AND wait_event = 'PgSleep'");
    }) or croak "cannot hold: $sql";

    return bless { pg => $self, name => $name, session => $session },
                 'Test::IClock::Postgres::Hold';
}


# the backends of nginx that wait for a lock, not with what it asks of its own
# accord

sub blocked {
    my ($self) = @_;

    return $self->psql_lines("SELECT pid FROM pg_stat_activity WHERE"
                             . " application_name LIKE 'iclock%'"
                             . " AND wait_event_type = 'Lock'"
                             . " AND query !~ 'iclock.(maintain|due_devices"
                             . "|refresh_timezones|verify_due|watch_events)'");
}


sub wait_blocked {
    my ($self, $n) = @_;

    return Test::IClock::Process::wait_until(30, sub {
        my @pids = $self->blocked();
        return @pids >= ($n || 1);
    });
}


# the processes of the server that serve nobody: they write, and clean up

sub helpers {
    my ($self) = @_;

    return grep { slurp("/proc/$_/cmdline")
                  =~ /^postgres:[ ](?:archiver|autovacuum|background
                      |checkpointer|io[ ]worker|logical|slotsync|startup
                      |stats|walsummarizer|walwriter)/x }
           children($self->{pid});
}


# how many connections have an application name like that

sub backends {
    my ($self, $like) = @_;

    $like = 'iclock%' if !defined $like;
    $like =~ s/'/''/g;

    return $self->psql("SELECT count(*) FROM pg_stat_activity"
                       . " WHERE application_name LIKE '$like'");
}


# ends those connections from the server's side

sub terminate {
    my ($self, $like) = @_;

    $like = 'iclock%' if !defined $like;
    $like =~ s/'/''/g;

    return $self->psql("SELECT count(pg_terminate_backend(pid))"
                       . " FROM pg_stat_activity"
                       . " WHERE application_name LIKE '$like'");
}


# the data, when nobody needs them again

sub remove {
    my ($self) = @_;

    remove_tree($self->{memory} || (), $self->{data});

    return;
}


sub max_connections {
    my ($self, $n) = @_;

    return $self->set(max_connections => $n)->restart();
}


sub DESTROY {
    my ($self) = @_;

    return if $$ != $self->{creator};

    local ($?, $!, $@);
    $self->kill() if $self->running();
    $self->remove() if $self->{memory};
}


package Test::IClock::Postgres::Session;

sub query {
    my ($self, $sql) = @_;

    local $SIG{PIPE} = 'IGNORE';
    my ($in, $out) = @$self{qw/ in out /};
    my @row;

    print $in "$sql\n;\n\\echo end of rows\n";

    while (my $line = <$out>) {
        chomp $line;
        return @row if $line eq 'end of rows';
        push @row, $line;
    }

    Carp::croak('the session fails: '
                . Test::IClock::Process::slurp($self->{err}));
}


sub DESTROY {
    my ($self) = @_;

    return if $self->{creator} != $$;

    local ($?, $!);
    close $self->{in};
    waitpid $self->{pid}, 0;
}


package Test::IClock::Postgres::Hold;

sub release {
    my ($self) = @_;

    $self->{pg}->terminate($self->{name});
    $self->{session}->wait();
}


package Test::IClock::Postgres::Background;

sub wait {
    my ($self) = @_;

    waitpid $self->{pid}, 0;

    my $text = Test::IClock::Process::slurp($self->{out});
    chomp $text;

    return $text;
}


sub kill {
    my ($self) = @_;

    CORE::kill 'TERM', $self->{pid};

    return $self->wait();
}


1;
