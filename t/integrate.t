#!/usr/bin/perl

# Copyright (C) the ngx_http_iclock_module authors

# The SQL, the commands and the programs of docs/integrate.md, as they stand
# there.  Only addresses and keys are replaced.

use strict;
use warnings;

use FindBin;
use JSON::PP;
use Test::More;

use lib "$FindBin::Bin/lib";
use Test::IClock;
use Test::IClock::Process qw/ command slurp spawn /;

my $t = Test::IClock->new();
my $r = $t->receiver();
my $doc = slurp("$FindBin::Bin/../docs/integrate.md");
my %own = map { lc(s/[^\w\s-]//gr =~ s/\s/-/gr) => 1 } $doc =~ /^#+ (.*)$/mg;
my @reference = $doc =~ /\]\(#([\w-]+)\)/g;
my $out = $t->dir . '/out';

# that of HR systems has a test of its own

$doc =~ s/^## HR systems\n.*?(?=^## )//ms;

# blocks may stand within a list

sub blocks {
    my ($language) = @_;

    return map { my ($indent, $text) = @$_; $text =~ s/^$indent//gmr }
           map { /^(\s*)(.*)\z/s ? [ $1, $_ ] : () }
           $doc =~ /^ *```$language\n(.*?)^ *```$/gms;
}

sub put {
    my ($name, $text) = @_;

    my $file = $t->dir . "/$name";

    open my $f, '>:raw', $file or die "$file: $!";
    print $f $text;
    close $f;

    return $file;
}

my %program = map { /^(?:\#|\/\/) (\S+)\n/ ? ($1 => $_) : () }
              blocks('python'), blocks('js');

is(join(' ', sort keys %program), 'feed.py receiver.py sheet.gs stream.js '
   . 'verify.js verify.py', 'the programs');
put($_, $program{$_}) for keys %program;

my ($python) = grep { -x $_ && command({ out => '/dev/null' }, $_, '-c',
                                       'import requests') == 0 }
               '/usr/bin/python3', map { "$_/python3" } split /:/, $ENV{PATH};

$python or die "no python3 with requests, \"make deps\" installs it\n";


# the configuration, and the grant

my ($grant) = $doc =~ /^ {7}(GRANT iclock_api TO .*;)$/m;
my $login = Test::IClock::Postgres::LOGIN();

$t->psql($grant =~ s/"www-data"/$login/r);
like($doc, qr/^ {11}iclock_webhooks on;$/m, 'the configuration: webhooks');
like($doc, qr/^ {15}location \/v1 \{\n {19}iclock_api;\n {15}\}$/m,
     'and the location');

# a slow machine has a minute for a statement

$t->start($t->device_server(http => <<'END', server => <<'END'));
    iclock_pool timeout=1m;
    iclock_api_pool timeout=1m;
    iclock_webhooks on;
    iclock_webhook_http on;
    iclock_webhook_allow 127.0.0.0/8;
END
        location /v1 {
            iclock_api;
        }
END

# months that nginx need not make while somebody reads them

$t->psql(<<'END');
SELECT format('CREATE TABLE iclock.%I PARTITION OF iclock.punch'
              ' FOR VALUES FROM (%L) TO (%L)',
              iclock.partition_name(m), m, m + interval '1 month')
  FROM unnest('{2026-03-01,2026-04-01}'::timestamp[]) AS m \gexec
END

my $base = 'http://127.0.0.1:' . $t->overheard . '/v1';
my $hook = $r->url('/punches');


# SQL

my @sql = blocks('sql');

is(scalar @sql, 2, 'SQL that makes two keys');

my ($key, $test_key) = map { $t->psql($_) } @sql;

like($key, qr/^ik_live_/, 'of mode live');
like($test_key, qr/^ik_test_/, 'and of mode test');


# commands: each curl prints its answer and the status

my $terminal = $t->terminal('AKJD193840129');

$terminal->online();
$terminal->punches([ 'EMP_001', '2026-03-27 08:30:12', 0, 1 ]);
$t->settled();

my $script = join "\n", <<'END', blocks('sh');
curl() { command curl -w '\n%{http_code}\n' "$@"; }
END

$script =~ s!https://punches\.example\.com/v1!$base!g;
$script =~ s!https://hr\.example\.com/punches!$hook!g;
$script =~ s!\bik_live_a{12}_0{43}\b!$key!g;
$script =~ s!\bik_test_a{12}_0{43}\b!$test_key!g;

unlink $out;
is(command({ out => $out }, 'bash', '-eu', put('commands', $script)), 0,
   'the commands run') or diag(slurp($out));

my @answer = slurp($out) =~ /(.*?)\n(\d{3})\n/gs;
my @status = @answer[grep { $_ % 2 } 0 .. $#answer];
my @body = map { my $b = $_; eval { decode_json($b) } || $b }
           @answer[grep { $_ % 2 == 0 } 0 .. $#answer];

is(join(' ', @status), '200 200 201 201 201 201 201 200 200',
   'each is answered as it should be') or diag(slurp($out));

is($body[0]{data}[0]{id}, 'AKJD193840129', 'devices');
is($body[1]{data}[0]{punch_type}, 'CheckIn', 'logs');
like($body[2]{secret}, qr/^whsec_/, 'a webhook and its secret');
is("$body[3]{id} $body[4]{stored}", 'DEMO1 1', 'the sandbox');
like($body[5]{token}, qr/^\S{20,}\z/, 'a token for a stream');
is($body[6]{user_id}, 'EMP_001', 'a person');
like($body[7], qr/^[\w,]+\r?\n.*EMP_001/, 'CSV');
is($body[8]{user_id}, 'EMP_001', 'ndjson');


# the receiver

my $secret = $body[2]{secret};
my $port = $t->nginx->free_port();
my $log = put('receiver.log', '');
my @child = spawn({ out => $log, env => { SECRET => $secret, PORT => $port } },
                  'setpriv', '--pdeathsig', 'KILL', '--', $python,
                  $t->dir . '/receiver.py');

ok(wait_until(60, sub { eval { $t->connect(port => $port)->close(); 1 } }),
   'receiver.py listens') or diag(slurp($log));

$terminal->punches([ 'EMP_001', '2026-03-27 17:30:00', 1, 1 ]);
is($r->wait_for(1, '/punches', 30), 1, 'the webhook is called');

my ($request) = $r->requests('/punches');
my %header = map { $_ => $request->{headers}{$_} }
             grep { /^(?:webhook-|content-type)/ }
             keys %{$request->{headers}};

is($t->post('/', $request->{body}, %header, -port => $port)->status, 200,
   'receiver.py takes it');
is($t->post('/', $request->{body}, %header, -port => $port)->status, 200,
   'and once more');
is($t->post('/', "$request->{body} ", %header, -port => $port)->status, 401,
   'but not with one byte more');
is(slurp($log), "attendance.punch EMP_001 2026-03-27T17:30:00Z\n",
   'it prints the punch once');


# the feed

my $feed = put('feed.log', '');
my $state = $t->dir . '/cursor';

push @child, spawn({ out => $feed, env => { BASE => $base, KEY => $key } },
                   'setpriv', '--pdeathsig', 'KILL', '--', $python,
                   $t->dir . '/feed.py', $state);

ok(wait_until(60, sub { slurp($feed) =~ /CheckOut/ }),
   'feed.py has what was before') or diag(slurp($feed));
$terminal->punches([ 'EMP_001', '2026-03-28 08:30:00', 0, 1 ]);
ok(wait_until(60, sub { slurp($feed) =~ /2026-03-28T08:30:00Z/ }),
   'and what comes') or diag(slurp($feed));
ok(wait_until(30, sub { length slurp($state) }), 'it keeps where it is');

for (@child) {
    kill 'KILL', $_;
    waitpid $_, 0;
}


# the stream, read as a browser does

my $shown = put('stream.log', '');
command({ out => $t->dir . '/npm.log' }, "$FindBin::Bin/../tools/npm/fetch",
        "$FindBin::Bin/../build/npm") == 0
    or die "no packages of npm: " . slurp($t->dir . '/npm.log');

my $browser = put('browser.js', <<'END' . $program{'stream.js'} . <<'END');
const EventSource = require('eventsource');
const BASE = process.env.BASE, token = process.env.TOKEN;
const show = (...words) => console.log(...words);
END
source.onopen = () => console.log('open');
source.onerror = error => console.log('error', error.status);
END

my $token = decode_json($t->post('/v1/stream-tokens', '', Authorization
                                 => "Bearer $key")->body)->{token};

for my $again (0, 1) {
    my $pid = spawn({ out => $shown, env => { BASE => $base, TOKEN => $token,
                          NODE_PATH => "$FindBin::Bin/../build/npm/"
                                       . 'node_modules' } },
                    'setpriv', '--pdeathsig', 'KILL', '--', 'node', $browser);

    if ($again) {
        ok(wait_until(60, sub { slurp($shown) =~ /^error 401$/m }),
           'a token opens one stream') or diag(slurp($shown));

    } else {
        ok(wait_until(60, sub { slurp($shown) =~ /^open$/m }),
           'stream.js opens') or diag(slurp($shown));
        $terminal->punches([ 'EMP_001', '2026-03-28 17:30:00', 1, 1 ]);
        ok(wait_until(60, sub {
               slurp($shown) =~ /^John Doe 2026-03-28T17:30:00$/m }),
           'and shows a punch') or diag(slurp($shown));
    }

    kill 'KILL', $pid;
    waitpid $pid, 0;
}


# references

my $readme = slurp("$FindBin::Bin/../README.md");
my %heading = map { lc(s/[^\w\s-]//gr =~ s/\s/-/gr) => 1 }
              $readme =~ /^#+ (.*)$/mg;
is(join(' ', grep { !$heading{$_} } $doc =~ /README\.md#([\w-]+)/g), '',
   'what it refers to in README.md is there');
is(join(' ', grep { !$own{$_} } @reference), '',
   'and on the page');

$t->done();
