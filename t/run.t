#!/usr/bin/perl

# Copyright (C) the ngx_http_iclock_module authors

# What "make run" does after it has built the module: a private cluster, an
# existing database, Ctrl-C, failures that tell what to do, as root and not.

use strict;
use warnings;

use Cwd qw/ abs_path /;
use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Test::IClock;
use Test::IClock::Answers;
use Test::IClock::Process qw/ command slurp spawn /;

my $root = abs_path("$FindBin::Bin/..");
my $t = Test::IClock->new();
my $n = 0;

# another user who can come here

my @other;

if ($> == 0) {
    @other = ('setpriv', '--reuid', 'nobody', '--regid', 'nogroup',
              '--clear-groups', '--');
    @other = () if command({ out => '/dev/null' }, @other, 'test', '-x',
                           "$root/tools/run") != 0;
}

sub prepare {
    my (%env) = @_;

    my $dir = $t->dir . '/run' . ++$n;

    mkdir $dir or die "$dir: $!";
    chmod 0777, $dir;

    return ($dir, "$dir.out",
            { ICLOCK_PORT => $t->nginx->free_port(), ICLOCK_RUN => $dir,
              ICLOCK_DATABASE => '', ONCE => '', %env });
}

# A server removes its pid file a moment before it ends.

sub leftovers {
    my ($dir) = @_;

    my @left;

    wait_until(60, sub {
        @left = grep { slurp("/proc/$_/cmdline") =~ /\Q$dir\E/ }
                map { m!/(\d+)\z! } glob '/proc/[0-9]*';
        return !@left;
    });

    return @left;
}

for my $user ([], @other ? [ @other ] : ()) {

    my $who = @$user ? 'another user: ' : '';
    my ($dir, $out, $env) = prepare(ONCE => 1);
    my $status = command({ out => $out, env => $env }, @$user,
                         "$root/tools/run");
    my $said = slurp($out);

    is($status, 0, "${who}ONCE=1 ends with 0") or diag($said);
    like($said, qr/^==> three .*, and [1-9]\d+ punches of a week are stored$/m,
         "${who}the punches of a week");
    like($said, qr/^==> command \d+, a new user, is done$/m,
         "${who}a command");
    like($said, qr/^==> 10\d\d has punched at the gate, the webhook is in/m,
         "${who}a punch, and the webhook of it");
    like($said, qr/^\| \w{3} [\d:]{8} \| Gate +\| 10\d\d \| \w+ \w+ +\|/m,
         "${who}it is shown");
    like($said, qr/^==> all of it has arrived$/m, "${who}all has arrived");
    unlike($said, qr/psql "/, "${who}no psql for what stops");
    like($said, qr/nginx \s stopped\n==> \s PostgreSQL \s stopped; .*
                   "make \s run" \s keeps \s both \s running\n\z/x,
         "${who}both are stopped, and what comes next");
    is(join(' ', leftovers($dir)), '', "${who}no process is left");

    # the cluster of the last time is used again

    unlink $out;
    $env->{ONCE} = 1;
    $status = command({ out => $out, env => $env }, @$user,
                      "$root/tools/run");
    is($status, 0, "${who}a second time") or diag(slurp($out));
    unlike(slurp($out), qr/new cluster/, "${who}with the same cluster");
}

# serving until Ctrl-C

{
    my ($dir, $out, $env) = prepare(ICLOCK_RATE => 1800);
    my $pid = spawn({ out => $out, env => $env, session => 1 },
                    "$root/tools/run");

    ok(wait_until(300, sub { slurp($out) =~ /Ctrl-C ends this/
                             || !kill 0, $pid }), 'it serves')
        or diag(slurp($out));
    is($t->get('/iclock/ping?SN=DEMO0001', -port => $env->{ICLOCK_PORT})
          ->status, 200, 'a terminal is answered');

    cmp_ok(scalar(() = slurp($out) =~ /\n/g), '<=', 25,
           'all of it on one screen');
    like(slurp($out), qr/^==>\ a\ terminal\ of\ yours:
                         \ server\ address\ \S+,\ port\ \d+,/mx,
         'the address for a terminal');

    # what people open in a browser, but for the address of the machine

    if (slurp("$root/build/ngx_http_iclock_module.so") =~ /\biclock_console\b/)
    {
        like(slurp($out), qr!live: +http://\S+:$env->{ICLOCK_PORT}/console/$!m,
             'the address of the page');
        like(slurp($out), qr/this key: +ik_live_[\w-]+$/m, 'and its key');
        is($t->get('/console/', -port => $env->{ICLOCK_PORT})->status, 200,
           'there it is');
    }

    if (slurp("$root/build/ngx_http_iclock_module.so") =~ /\biclock_status\b/)
    {
        is($t->get('/status', -port => $env->{ICLOCK_PORT})->status, 200,
           'the status');
    }

    # the line that it prints for another program

    my ($curl) = slurp($out) =~ /^(\ {4}export\ BASE=.*\n
                                    \ {4}export\ KEY=ik_live_.*\n
                                    \ {4}curl\ .*\\\n\ {8}"\$BASE.*")$/mx;

    ok($curl, 'a key, and lines for it');
    $curl =~ s!http://[^/]*!http://127.0.0.1:$env->{ICLOCK_PORT}!;
    $curl =~ s/curl/curl -sSi/;
    command({ out => "$dir.curl" }, 'sh', '-c', $curl);
    like(slurp("$dir.curl"), qr/"user_id":"10\d\d"/, 'which works')
        or diag($curl);
    Test::IClock::Answers::told('GET', $curl =~ /"\$BASE(.*)"$/,
                                slurp("$dir.curl"));

    my $rows = () = slurp("$dir.curl") =~ /"user_id"/g;

    ok(wait_until(30, sub {
        unlink "$dir.curl";
        command({ out => "$dir.curl" }, 'sh', '-c', $curl);
        return (() = slurp("$dir.curl") =~ /"user_id"/g) > $rows;
    }), 'people go on punching');

    my ($status, $again) = (0, "$dir.again");

    $status = command({ out => $again, env => $env }, "$root/tools/run");
    isnt($status, 0, 'a second one at the same time');
    like(slurp($again), qr/runs already/, 'says so');

    # to the whole group, as a terminal does
    kill '-INT', $pid;
    waitpid $pid, 0;

    is($?, 0, 'Ctrl-C ends it with 0');
    like(slurp($out), qr/^==> the database: psql "host=/m,
         'psql while it serves');
    like(slurp($out), qr/nginx stopped\n==> PostgreSQL stopped; the data stay/,
         'both are stopped');
    is(join(' ', leftovers($dir)), '', 'no process is left');
}

# a database of the user's

{
    my ($dir, $out, $env) = prepare(ONCE => 1, ICLOCK_DATABASE
                            => $t->conninfo(user => 'postgres'));
    my $status = command({ out => $out, env => $env }, "$root/tools/run");

    is($status, 0, 'ICLOCK_DATABASE') or diag(slurp($out));
    is($t->psql('SELECT count(*) FROM iclock.punch') - 1,
       slurp($out) =~ /(\d+) punches of a week/ ? $1 : -1,
       'the punches are in it');
    is($t->psql("SELECT (SELECT count(*) FROM iclock.webhook_endpoint),"
                . " (SELECT count(*) FROM iclock.api_key"
                . " WHERE revoked_at IS NULL)"), '0|0',
       'and no webhook or key that works');
    ok(!-e "$dir/pg", 'there is no private cluster');
    is((stat "$dir/nginx.conf")[2] & 077, 0,
       'nobody else reads the file, which may have a password');

    unlink $out;
    $env->{ICLOCK_DATABASE} = 'host=/nonexistent dbname=x';
    $status = command({ out => $out, env => $env }, "$root/tools/run");

    isnt($status, 0, 'ICLOCK_DATABASE that is not there');
    like(slurp($out), qr/cannot connect to ICLOCK_DATABASE/, 'says so');
}

# a port that is taken

{
    my ($dir, $out, $env) = prepare(ONCE => 1);
    my $taken = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 1,
                                      LocalPort => $env->{ICLOCK_PORT});
    my $status = command({ out => $out, env => $env }, "$root/tools/run");

    isnt($status, 0, 'a port that is taken');
    like(slurp($out), qr/port \d+ is in use: set ICLOCK_PORT/, 'says so');
    is(join(' ', leftovers($dir)), '', 'no process is left');
}

$t->done();
