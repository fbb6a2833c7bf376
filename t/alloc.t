#!/usr/bin/perl

# Copyright (C) the ngx_http_iclock_module authors

# Memory runs out: each allocation of a request fails once, and once together
# with all that follow.  No worker dies, no client waits for ever, nothing is
# acknowledged that is not stored, and the next request is served.

use strict;
use warnings;

use FindBin;
use File::Basename qw/ dirname /;
use Test::More;
use Time::HiRes qw/ sleep time /;

use lib "$FindBin::Bin/lib";
use Test::IClock;
use Test::IClock::HTTP;

my $built = dirname(Test::IClock::Nginx::module()) . '/alloc';

-e "$built/ngx_http_iclock_module.so"
    or die "$built is missing, \"make alloc\" builds it\n";

# every how many-th allocation of those outside of the module is tried
my $step = $ENV{ALLOC_STEP} || 3;

my $t = Test::IClock->new;
my $control = $t->dir . '/control';
my $minute = 0;
my @acknowledged;


# The file that the preloaded library and the module look at: which allocation
# fails, whether all that follow do, how many there were, how many have failed.

sub arm {
    my ($at, $more) = @_;

    open my $file, '+<:raw', $control or die "$control: $!";
    syswrite $file, pack 'q4', 0, $more ? 1 : 0, 0, 0;
    sysseek $file, 0, 0;
    syswrite $file, pack 'q', $at;
    close $file;

    return;
}


# how many have failed, and how many there were; nothing fails any more

sub disarm {
    open my $file, '+<:raw', $control or die "$control: $!";
    syswrite $file, pack 'q', 0;
    sysread $file, my $text, 24;
    close $file;

    my ($more, $seen, $failed) = unpack 'q3', $text;

    return ($failed, $seen);
}


# Bytes to the worker.  Returns the response, '' when the connection was closed
# without one, and undef when nothing came at all.

sub ask {
    my ($bytes) = @_;

    my $c = $t->connect(timeout => 20);
    my $response = $c->request($bytes);
    my $closed = $c->closed(0);

    $c->close();

    return $response || ($closed ? '' : undef);
}


sub request { Test::IClock::HTTP::format_request(@_) }


sub punch_time {
    $minute++;

    return sprintf '2026-03-%02d %02d:%02d:00', 1 + int($minute / 1440),
                   int($minute / 60) % 24, $minute % 60;
}


# an upload whose acknowledgement is remembered

sub upload {
    my ($path) = @_;

    my $time = punch_time();

    return (request('POST', "$path/cdata?SN=ALLOC001&table=ATTLOG&Stamp=9999",
                    join '', map { "$_\t$time\t0\t1\n" } 1 .. 3),
            sub { push @acknowledged, $time if $_[0]->text eq '200 OK: 3' });
}


my %kind = (
    upload => sub { upload('/iclock') },
    'an upload from a file' => sub { upload('/file') },
    users => sub {
        $minute++;
        request('POST', '/iclock/cdata?SN=ALLOC001&table=OPERLOG&Stamp=9999',
                "OPLOG 4\t14\t" . punch_time() . "\t1\t2\t3\t4\n"
                . "USER PIN=$minute\tName=\xd6\xa3\xce\xb0\tPri=0\tCard=1\n"
                . "FP PIN=$minute\tFID=1\tSize=4\tValid=1\tTMP=b2Nv\n")
    },
    packet => sub {
        request('POST', '/iclock/cdata?SN=ALLOC001&table=OPERLOG&Stamp=9999'
                . '&ContentType=tgz', packet())
    },
    photo => sub {
        request('POST', '/iclock/fdata?SN=ALLOC001&table=ATTPHOTO',
                "PIN=20260301103012-$minute.jpg\nSN=ALLOC001\nsize=3\n"
                . "CMD=uploadphoto\0\xff\xd8\xff")
    },
    handshake => sub {
        request('GET', '/iclock/cdata?SN=ALLOC001&options=all&pushver=2.4.1')
    },
    'a new device' => sub {
        $minute++;
        request('GET', "/iclock/cdata?SN=NEWDEV$minute&options=all")
    },
    poll => sub {
        request('GET', '/iclock/getrequest?SN=ALLOC001&INFO=Ver%201.0,1,2,'
                . $minute++ . ',127.0.0.1')
    },
    'a poll with a command' => sub {
        request('GET', '/iclock/getrequest?SN=ALLOC002')
    },
    answer => sub {
        request('POST', '/iclock/devicecmd?SN=ALLOC001',
                "ID=1&Return=0&CMD=DATA\n")
    },
    pictures => sub {
        request('GET', '/iclock/file?SN=ALLOC001&url=photo/1.jpg')
    },
);

my $packet;

sub packet {
    return $packet if defined $packet;

    my $file = $t->dir . '/records';

    open my $out, '>', $file or die "$file: $!";
    print $out "USER PIN=99\tName=Packed\tPri=0\n";
    close $out;

    open my $tar, '-|:raw', 'tar', '-C', $t->dir, '-czf', '-', 'records'
        or die "tar: $!";
    local $/;

    return $packet = <$tar>;
}


# One request for each allocation that it makes, which fails.  Ends when the
# request needs no more than have been tried.

sub exhaust {
    my ($kind, $more, $step) = @_;

    my ($n, $tried, @bad, $last) = (1, 0);

    for (my $enough = 0; $enough < 2 && $n < 2000 && @bad < 5; $n += $step) {
        my ($bytes, $check) = $kind{$kind}->();

        arm($n, $more);
        my $response = ask($bytes);
        my ($failed, $seen) = disarm();

        $failed ? ($tried++, $enough = 0) : $enough++;
        $last = $seen if !$failed;

        push @bad, "$n: no answer" if !defined $response;
        push @bad, "$n: " . $response->text
            if $response && $response->status !~ /^(?:200|40\d|500|503)\z/;

        # the same again, and now there is memory; a connection to the
        # database may have to be made first

        $check->($response) if $check && $response;

        my $served = wait_until(60, sub {
            my $again = ask($bytes);
            $check->($again) if $check && $again;
            return $again && $again->status == ($kind eq 'pictures' ? 404
                                                                    : 200);
        });

        push @bad, "$n: no service after it" if !$served;
    }

    my $what = $kind . ($more ? ', everything after it' : '');

    is(join("\n", @bad), '', $what);
    cmp_ok($tried, '>', 0, "$what: there was something to fail");

    return $tried;
}


# connections that nginx has, apart from the one that asks

sub others {
    my $r = ask(request('GET', '/status'));

    return $r && $r->body =~ /Active connections: (\d+)/ ? $1 - 1 : 0;
}


sub worker_run {
    my ($name, $step, %env) = @_;

    open my $file, '>:raw', $control or die "$control: $!";
    print $file "\0" x 32;
    close $file;

    $t->nginx->{env} = { FAIL_CONTROL => $control, %env };

    $t->start($t->device_server(
        pool => 'timeout=1s',
        http => 'iclock_presence_interval 1s;',
        server => 'location /status { stub_status; }'
                  . ' location /file { iclock; iclock_unknown_devices accept;'
                  . ' client_body_buffer_size 16; }',
        location => 'iclock_command_limit count=1;'
                    . ' iclock_command_timeout 1s;'
                    . ' iclock_command_attempts 100;'), workers => 1);

    my ($worker) = $t->workers();

    for my $sn (qw/ ALLOC001 ALLOC002 /) {
        is($t->device($sn, patience => 30)->handshake()->status, 200,
           "$name: $sn");
        $t->device($sn)->poll();
    }

    $t->psql("SELECT count(iclock.queue_command('ALLOC002', 'LOG ' || n))"
             . ' FROM generate_series(1, 2000) n');

    my $tried = 0;

    for my $kind ($ENV{ALLOC_KIND} || sort keys %kind) {
        $tried += exhaust($kind, 0, $step);
        $tried += exhaust($kind, 1, 3 * $step);
    }

    note("$name: $tried failures");

    is(join(' ', $t->workers()), $worker, "$name: the worker lives");
    ok(wait_until(60, sub { others() == 0 }), "$name: no request is left");
    is($t->quit(), 0, "$name: it ends");

    my %stored = map { $_ => 1 } $t->psql_lines(
        'SELECT local_time FROM iclock.punch GROUP BY 1'
        . ' HAVING count(*) = 3');

    is(scalar(grep { !$stored{$_} } @acknowledged), 0,
       "$name: what was acknowledged is stored");
    is($t->psql('SELECT count(*) FROM iclock.rejected_line'), 0,
       "$name: nothing is taken for garbage");
    cmp_ok(scalar @acknowledged, '>', 10, "$name: much was acknowledged");

    return;
}


# nginx itself tells what it could not get
$t->allow(qr/\[(?:emerg|alert|crit)\] .*(?:alloc|memalign)\(\d.* failed
             |\[crit\].*Cannot\ allocate\ memory/x);

{
    local $ENV{TEST_MODULE} = "$built/ngx_http_iclock_module.so";

    worker_run('the module', 1);
}

# the library of the sanitizers has an allocator of its own; libarchive ends
# the process when it gets none for a string

delete $kind{packet};

worker_run('all of nginx and libpq', $step,
           LD_PRELOAD => "$built/fail.so") if !$ENV{TEST_SANITIZE};

$t->done();
