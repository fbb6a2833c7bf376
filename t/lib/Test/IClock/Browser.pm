package Test::IClock::Browser;

# Copyright (C) the ngx_http_iclock_module authors

# The console page in a headless Chromium, for tests in JavaScript.
#
#   Test::IClock::Browser->start($t)->run('policy')->run('key');
#
# runs t/console/policy.js and t/console/key.js.  Both sides speak lines of
# JSON: JavaScript tells what is right and what is wrong, and asks for what is
# done here: SQL, terminals, signals.  t/console/lib/harness.js is the other
# side.

use strict;
use warnings;

use Carp qw/ croak /;
use File::Path qw/ make_path /;
use IPC::Open3 qw/ open3 /;
use JSON::PP ();
use Test::More ();

use Test::IClock::API ();
use Test::IClock::Answers ();
use Test::IClock::Nginx ();
use Test::IClock::Process qw/ command slurp wait_until /;

my $json = JSON::PP->new->utf8->canonical->allow_nonref;
my $root = $Test::IClock::Nginx::root;


# The contents of http{} with terminals, interface and console page at
# /console on %%PORT%%, and pages at /elsewhere and /escaped whose interface is
# in another place.  Options: those of Test::IClock::device_server(), and api,
# console (further lines of these locations), timeout (of the interface; 30s, as
# a browser tells of each 503).

sub server {
    my ($t, %option) = @_;

    my $api = delete $option{api} || '';
    my $console = delete $option{console} || 'iclock_console api=/v1'
                  . ' terminals=http://10.0.0.5:8081;';

    my $timeout = delete $option{timeout} || '30s';

    $option{unknown} ||= 'hold';
    $option{http} = 'iclock_presence_interval 1s; iclock_api_rate off;'
                    . " iclock_api_pool timeout=$timeout;"
                    . ' iclock_timezone Asia/Kolkata; '
                    . (defined $option{http} ? $option{http} : '');

    $option{server} = 'access_log ' . $t->dir . '/access.log; '
                      . ($option{server} || '');

    my $http = $t->device_server(%option);

    $http =~ s/\}\s*\z//;

    return <<END;
$http
        location /v1 { iclock_api; $api }
        location = /console { $console }
        location /x/v1 { iclock_api; }
        location = /elsewhere { iclock_console api=/x/v1; }
        location /x&amp/v1 { iclock_api; }
        location = /escaped { iclock_console api=/x&amp/v1; }
    }
END
}


# Starts nginx, too, unless it runs.  Options: those of server(), and key (0:
# none is made).

sub start {
    my ($class, $t, %option) = @_;

    my $self = bless { t => $t, option => \%option, terminals => {},
                       devices => {} }, $class;

    command({ out => $t->dir . '/npm.log' }, "$root/tools/npm/fetch",
            "$root/build/npm") == 0
        or die "no packages of npm: " . slurp($t->dir . '/npm.log');

    $t->psql('GRANT iclock_api TO iclock_nginx');
    $t->start(server($t, %option)) if !$t->nginx->running();

    $self->{key} = Test::IClock::API::create_key($t, name => 'ops');

    return $self;
}


# one file of t/console

sub run {
    my ($self, $name) = @_;

    my $t = $self->{t};
    my $dir = $t->dir . "/browser-$name";

    # what pages say is more than ASCII
    binmode Test::More->builder->$_, ':utf8' for qw/ output failure_output /;

    make_path($dir, "$root/build/console");

    local %ENV = (%ENV, HOME => $dir,
                  NODE_PATH => "$root/build/npm/node_modules");

    # which Chromium would ask for names that are not of the machine itself
    delete @ENV{grep { /_proxy\z/i } keys %ENV};

    my $pid = open3(my $in, my $out, ">&STDERR",
                    qw/ setpriv --pdeathsig KILL -- node /,
                    "$root/t/console/lib/harness.js", $name,
                    $json->encode({
                        dir => $dir,
                        answers => Test::IClock::Answers::name(),
                        port => $t->port, key => $self->{key},
                        pictures => "$root/build/console",
                        patience => $ENV{TEST_PATIENCE} || 1 }));

    binmode $in;
    binmode $out;
    $in->autoflush(1);

    Test::More::note("t/console/$name.js");

    my $ended;

    while (my $line = <$out>) {
        my $said = eval { $json->decode($line) };

        if (!ref $said) {
            print STDERR "# $line";

        } elsif (exists $said->{ok}) {
            Test::More::ok($said->{ok}, "$name: $said->{name}")
                or Test::More::diag($said->{diag});

        } elsif ($said->{note}) {
            Test::More::note($said->{note});

        } elsif ($said->{end}) {
            $ended = 1;

        } else {
            my $value = eval { $self->answer($said->{ask}, @{$said->{args}}) };
            my $error = $@;

            print $in $json->encode({ id => $said->{id},
                          $error ? (error => "$error") : (value => $value) }),
                      "\n";
        }
    }

    close $in;
    waitpid $pid, 0;

    Test::More::ok($ended && $? == 0, "$name: comes to its end");

    return $self;
}


# What a test in JavaScript may ask for.

my %answer = (

    # the rows, as psql prints them
    sql => sub { $_[0]{t}->psql($_[1]) },

    key => sub {
        my ($self, $option) = @_;
        return Test::IClock::API::create_key($self->{t}, %$option);
    },

    # a terminal that sends what it is told, and one that obeys commands
    device => sub {
        my ($self, $sn, $call, @argument) = @_;

        my $device = $self->{devices}{$sn} ||= $self->{t}->device($sn);

        return scalar $device->$call(@argument)->body;
    },

    terminal => sub {
        my ($self, $sn, $call, @argument) = @_;

        if ($call eq 'new') {
            $self->{terminals}{$sn} = $self->{t}->terminal($sn, @argument);
            return 1;
        }

        my $terminal = $self->{terminals}{$sn} ||= $self->{t}->terminal($sn);
        my $value = $terminal->$call(@argument);

        return ref $value ? undef : $value;
    },

    # a request by the interface: status and body
    api => sub {
        my ($self, $method, $path, $body, $key) = @_;

        my $api = Test::IClock::API->new($self->{t},
                                         key => $key || $self->{key});
        my $r = $api->request($method, $path, $body);

        return [ $r->status, $r->json ];
    },

    postgres => sub {
        my ($self, $call) = @_;
        my $pg = $self->{t}->pg;

        $call eq 'stop' ? $pg->stop('immediate') : $pg->$call();
        return 1;
    },

    nginx => sub {
        my ($self, $call) = @_;
        my $t = $self->{t};

        if ($call eq 'reload') {
            # a worker that still goes would complain of the signal after it
            $t->reload(undef, wait => 1);
        } elsif ($call eq 'stop') {
            $t->nginx->stop('TERM');
        } elsif ($call eq 'start') {
            $t->start(server($t, %{$self->{option}}));
        } else {
            croak "nginx: $call";
        }

        return 1;
    },

    access_log => sub { slurp($_[0]{t}->dir . '/access.log') },
    error_log => sub { $_[0]{t}->error_log() },
);


sub answer {
    my ($self, $what, @argument) = @_;

    my $code = $answer{$what} or croak "nobody knows $what";

    return $code->($self, @argument);
}


1;
