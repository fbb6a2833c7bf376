#!/usr/bin/perl

# Copyright (C) the ngx_http_iclock_module authors

# The harness tests itself: what it can do, and that its checks can fail.
# nginx runs without the module here.

use strict;
use warnings;

use FindBin;
use JSON::PP ();
use Test::More;

use lib "$FindBin::Bin/lib";
use Test::IClock;
use Test::IClock::Figures qw/ figure outcome percentile report /;
use Test::IClock::Process qw/ command slurp /;

my $t = Test::IClock->new(tcp => 1);
my $pg = $t->pg;

my $conf = <<'END';
    server {
        listen 127.0.0.1:%%PORT%%;
        location / { return 200 "$request_method $request_uri\n"; }
        location /echo {
            client_max_body_size 1m;
            proxy_pass http://127.0.0.1:%%PORT_1%%;
        }
        location /slow { limit_rate 1; return 200 0123456789; }
    }
    server {
        listen 127.0.0.1:%%PORT_1%%;
        location / { return 200 "$content_length $http_x_name"; }
    }
END

$t->start($conf, module => 0, daemon => 1);


# HTTP

is($t->get('/a?b')->text, "200 GET /a?b\n", 'get');
is($t->post('/a', 'x')->text, "200 POST /a\n", 'post');
is($t->post('/echo', 'x' x 3000, 'X-Name' => 'y')->text, '200 3000 y',
   'body and header');
is($t->post('/echo', 'abcdefgh', -split => 1, -delay => 0.001)->text,
   '200 8 ', 'one byte at a time');
is($t->get('/a', -version => '1.0', -host => undef)->text, "200 GET /a\n",
   'HTTP/1.0 without Host');
is($t->request("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n")->status, 400,
   'raw request');
like($t->get('/')->header('content-type'), qr!^text/plain!, 'header');

my $c = $t->connect();

is($c->get("/$_")->body, "GET /$_\n", "request $_ of a connection")
    for 1 .. 3;
ok(!$c->closed(0.1), 'it is open');

$c->write("GET /1 HTTP/1.1\r\nHost: a\r\n\r\n"
          . "GET /2 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
is($c->read()->body, "GET /1\n", 'first of two in a pipeline');
is($c->read()->body, "GET /2\n", 'second');
ok($c->closed(10), 'it is closed');

my @response = $t->concurrently([ map { [ 'GET', "/$_" ] } 1 .. 300 ],
                                connections => 100);

is(scalar(grep { $response[$_] && $response[$_]->body eq 'GET /' . ($_ + 1)
                                                         . "\n" } 0 .. 299),
   300, 'concurrent requests');

is_deeply([ $t->parallel(3, sub { { n => $_[0],
                                    s => $t->get('/')->status } }) ],
          [ map { { n => $_, s => 200 } } 0 .. 2 ], 'processes');
is_deeply([ $t->parallel(1, sub { "\xd0\x90\xff" }) ], [ "\xd0\x90\xff" ],
          'bytes come back as they are');


# nginx

my @old = $t->workers();

is(scalar @old, 2, 'two workers');
is_deeply([ $t->reload($conf, module => 0, daemon => 1, wait => 1) ], \@old,
          'reload');
is(scalar(grep { kill 0, $_ } @old), 0, 'the old workers have gone');

$t->upgrade();
is($t->get('/')->status, 200, 'binary upgrade');

my ($status, $said) = $t->nginx_t('server { listen 99999999; }', module => 0);
is($status, 1, 'nginx -t fails');
like($said, qr/\[emerg\].*test\.conf:\d+/, 'nginx -t says why');

($status, $said) = $t->nginx_t(undef, module => 0);
is($status, 0, 'nginx -t without an http block') or diag($said);

my ($worker) = $t->workers();

cmp_ok($t->nginx->fds($worker), '>', 3, 'descriptors');
cmp_ok($t->nginx->rss($worker), '>', 1e6, 'memory');


# PostgreSQL

is($t->psql('SELECT 1, 2; SELECT 3'), "1|2\n3", 'psql');
is_deeply([ $t->psql_lines('SELECT generate_series(1, 3)') ], [ 1 .. 3 ],
          'psql_lines');
($status, undef, $said) = $pg->psql_try('SELECT 1/0');
isnt($status, 0, 'psql_try fails');
like($said, qr/division by zero/, 'psql_try says why');
ok(!eval { $t->psql('SELECT 1/0'); 1 }, 'psql dies');

# who works for all of them is told from who serves somebody

my @helper;

ok(wait_until(30, sub { (@helper = $pg->helpers()) >= 4 }),
   'processes of the server that serve nobody');

my %serves = map { $_ => 1 } $t->psql_lines('SELECT pid FROM pg_stat_activity'
                 . " WHERE backend_type = 'client backend'");

is(scalar(grep { $serves{$_} } @helper), 0, 'no backend is one of them');

# what is asked without psql is answered as psql does

for my $sql ("SELECT NULL, 'é;', true, 1.5::numeric, '{}'::jsonb; SELECT 2;",
             'SELECT generate_series(1, 3), now() IS NULL; SELECT 4',
             'CREATE TEMPORARY TABLE s (i int); SELECT i FROM s',
             'SELECT 1; SELECT no_such_column; SELECT 3',
             "SELECT current_setting('timezone'), current_user; SET jit = off",
             "LISTEN said; NOTIFY said; NOTIFY said, 'more'; SELECT 7")
{
    my $file = $t->dir . '/same.sql';

    open my $out, '>:raw', $file or die "$file: $!";
    print $out $sql;
    close $out;

    my @same = map { join '/', $_->[0], $_->[1] =~ s/PID \d+/PID/gr }
                   [ $pg->psql_try($sql) ], [ $pg->_psql($file) ];

    is($same[0], $same[1], "without psql: $sql");
}

# who only asks gets the same connection again, which knows nothing of before

sub backend { $t->psql('SELECT pg_backend_pid()', @_) }

my $backend = backend();

is(backend(), $backend, 'a connection stays');
$t->psql('SELECT pg_advisory_lock(1)');
is($t->psql("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"), 0,
   'without its locks');
is(backend(), $backend, 'also then');
is_deeply([ $t->parallel(2, sub { backend() == $backend ? 1 : 0 }) ], [ 0, 0 ],
          'other processes have their own');
is(backend(), $backend, 'this one has it still');
is(($pg->psql_try('CREATE DATABASE copy TEMPLATE iclock',
                  database => 'postgres'))[0], 0,
   'it keeps nobody from copying the database');
isnt(backend(), $backend, 'it has ended before');

for my $sql ('SET jit = off', 'SELECT 1; SET jit = off', 'SELECT 1/0',
             "SELECT set_config('jit', 'off', false)", 'BEGIN; SELECT 1',
             'SELECT 1 AS i INTO TEMPORARY s', 'LISTEN said')
{
    $backend = backend();
    $pg->psql_try($sql);
    isnt(backend(), $backend, "it does not stay after: $sql");
}

isnt(backend(database => 'copy'), backend(), 'nor for another database');
$t->psql('DROP DATABASE copy');

$backend = backend();
$pg->background("SELECT pg_terminate_backend($backend)")->wait();
ok(wait_until(30, sub { !kill 0, $backend }), 'the server ends it');
is($t->psql('SELECT 7'), 7, 'the next one is another one');

is($t->psql("SELECT has_schema_privilege('iclock_nginx', 'iclock', 'usage')"),
   't', 'the schema is there, the login may use it');

my $session = $pg->background('SELECT pg_sleep(0.2); SELECT 42');
is($session->wait(), "\n42", 'session in the background');

$t->psql('CREATE TABLE t (i int); INSERT INTO t VALUES (7)');
$pg->restart();
is($t->psql('SELECT i FROM t'), 7, 'restart');
$t->psql('UPDATE t SET i = 8');
$pg->kill();
$pg->start();
is($t->psql('SELECT i FROM t'), 8, 'what was committed survives a kill');
$pg->max_connections(20);
is($t->psql('SHOW max_connections'), 20, 'max_connections');


# the figures of t/bench

is(join(' ', map { $_->{reached} // '-' }
       figure('enough', 0.92, '', '>= 0.92'),
       figure('too few', 0.919, '', '>= 0.92'),
       figure('soon', 5, 'ms', '<= 5'), figure('late', 5.1, 'ms', '<= 5'),
       figure('nothing', undef, 'ms', '<= 5'),
       figure('never', percentile(0.99, 3, 1, 2), 'ms', '<= 5'),
       figure('most of them', 1, 'ms', '<= 5', missing => 2),
       figure('told', 7, 'ms')),
   '1 0 1 0 0 0 0 -', 'goals that are reached');
is(percentile(0.5, 4, 4, 1, 3, 2), 3, 'percentile');
is(percentile(0.5, 3, 2, 1), 2, 'what is missing comes last');

{
    local @ENV{qw/ BENCH_JSON BENCH_STRICT /}
        = ($t->dir . '/figures.json', 0);

    my $json = JSON::PP::decode_json(slurp(report('harness', more => 7)));

    is(join(' ', map { $_->{value} // 'null' } @{$json->{table}}),
       '0.92 0.919 5 5.1 null null 1 7', 'JSON has no endless numbers');
    is($json->{more}, 7, 'and what else there is');
    is($json->{machine}{postgresql},
       $t->psql('SHOW server_version') =~ /^(\S+)/ ? "$1" : '',
       'of this server');
    like($json->{machine}{nginx}, qr/^\d+\.\d+\.\d+/, 'and this nginx');
    is(outcome(0), 0, 'goals are no errors');
    $ENV{BENCH_STRICT} = 1;
    is(outcome(0), 1, 'unless they are to be');
}


# the proxy

my $proxy = $t->proxy();
my $address = $t->conninfo(host => '127.0.0.1', port => $proxy->port);

my $query = sub {
    my ($sql, $seconds, $from) = @_;

    my $out = $t->dir . '/query';
    unlink $out;

    my $rc = command({ out => $out,
                       env => { PGCONNECT_TIMEOUT => $seconds || 60 } },
                     'psql', '-AtXc', $sql, $from || $address);

    return slurp($out);
};

my $long = "SELECT repeat('x', 5000)";

is($query->('SELECT 1'), "1\n", 'proxy: pass');
$proxy->mode('byte');
is($query->($long), 'x' x 5000 . "\n", 'proxy: byte');
$proxy->mode('reset', after => 2000, dir => 'down');
unlike($query->($long), qr/xxx/, 'proxy: reset');
$proxy->mode('cut', after => 50);
like($query->('SELECT 1', 2), qr/timeout/, 'proxy: cut');
$proxy->mode('stall');
like($query->('SELECT 1', 2), qr/timeout/, 'proxy: stall');
$proxy->mode('drop');
like($query->('SELECT 1'), qr/closed/, 'proxy: drop');
is($proxy->stats->{open}, 0, 'proxy: none is open');
$proxy->mode('pass');
is($query->('SELECT 1'), "1\n", 'proxy: pass again');

$pg->freeze();
like($query->('SELECT 1', 2), qr/timeout/, 'a frozen server');
$pg->thaw();
is($query->('SELECT 1'), "1\n", 'it thaws');

is($query->('SELECT 1', 0, $t->conninfo(host => '127.0.0.1',
                                        port => $pg->{port})), "1\n", 'TCP');


# What done() asserts is worth something only if it can fail.

my %control = (
    'nothing bad in the error log' =>
        'open my $log, ">>", $t->nginx->{log};'
        . 'print $log "2026/01/01 [alert] 1#1: worker process 2 exited on '
        . 'signal 11\n"; close $log;',
    'no complaints of sanitizers' =>
        'open my $log, ">", "$t->{nginx}{dir}/sanitizer.1";'
        . 'print $log "==1==ERROR: AddressSanitizer: heap-use-after-free\n";'
        . 'close $log;',
    'nginx exits with status 0' =>
        'kill "KILL", $t->nginx->{pid}, $t->workers;',
    'no connection to the database is left' =>
        '$t->pg->background("SET application_name = \'iclock/0\';'
        . ' SELECT pg_sleep(600)");'
        . 'wait_until(30, sub { $t->pg->backends() == 1 }) or die;',
    # a lock that the master takes from a worker that a test has killed is no
    # more than that
    '' =>
        '$t->allow(qr/exited on signal 9/);'
        . 'open my $log, ">>", $t->nginx->{log};'
        . 'print $log "2026/01/01 [alert] 1#1: worker process 2 exited on '
        . 'signal 9\n2026/01/01 [alert] 1#1: shared memory zone '
        . '\"iclock/2\" was locked by 2\n"; close $log;',
);

# They mostly wait, so all at once.

sub control {
    my ($n) = @_;

    my $name = (sort keys %control)[$n];
    my $code = $control{$name};
    my $pg = $name eq '' || $name =~ /database/ ? 1 : 0;
    my $script = $t->dir . "/control$n.t";
    my $out = $t->dir . "/control$n.out";

    open my $file, '>', $script or die "$script: $!";
    print $file <<"END";
use Test::More;
use lib '$FindBin::Bin/lib';
use Test::IClock;
my \$t = Test::IClock->new(pg => $pg);
\$t->start('server { listen 127.0.0.1:%%PORT%%; }', module => 0);
ok(1);
$code
\$t->done();
END
    close $file;

    my $rc = command({ out => $out }, $^X, $script);

    return [ $rc, slurp($out) ];
}

my @result = $t->parallel(scalar keys %control, \&control);

for my $name (sort keys %control) {
    my ($rc, $said) = @{shift @result};
    my @failed = $said =~ /^not ok \d+ - (.*)/mg;

    is("@failed", $name, $name eq '' ? 'control: a good end'
                                     : "control: not $name");
    is($rc != 0, $name ne '', 'exit status');

    system('rm', '-rf', $1) if $said =~ /logs are kept in (\S+)/;
}

$t->done();
