#!/usr/bin/perl

# Copyright (C) the ngx_http_iclock_module authors

# People and punches through the HTTP interface, with terminals that act:
# what a program puts on a terminal arrives, what a terminal uploads is read.

use strict;
use warnings;

use FindBin;
use MIME::Base64 qw/ encode_base64 /;
use Test::More;
use Time::HiRes qw/ sleep /;

use lib "$FindBin::Bin/lib";
use Test::IClock;
use Test::IClock::API;

my $t = Test::IClock->new;

$t->psql('GRANT iclock_api TO iclock_nginx');

$t->start(Test::IClock::API::server($t, http => 'iclock_api_rate off;',
    server => 'client_max_body_size 10m;'
              . ' location /iclock { iclock; iclock_unknown_devices accept;'
              . ' iclock_timezone Asia/Kolkata; }'));

my $api = Test::IClock::API->new($t);
my $terminal = $t->terminal('AKJD193840129');

$terminal->online();
$terminal->work_off();

# so many commands, which reach the terminal when nginx has been notified

sub work_off {
    my ($n) = @_;

    my $done = 0;

    wait_until(30, sub { $done += $terminal->work_off(); $done >= $n });

    return $done;
}


# a user is put on a terminal

my $finger = encode_base64('Asha', '');

my $r = $api->post('/users', {
    device_id => 'AKJD193840129', user_id => 'EMP_001', name => 'John Doe',
    department => 'Engineering',
    templates => [ { type => 'fingerprint', data => $finger, index => 0 },
                   { type => 'fingerprint', data => $finger, index => 1,
                     version => '9.0' } ],
});

is($r->status, 201, 'created') or diag($r->body);
like($r->header('Location') || '', qr!^http://.*/v1/users/EMP_001\z!,
     'Location');
is($r->json->{user_id}, 'EMP_001', 'its name');
is($r->json->{status}, 'pending', 'the terminal has yet to fetch it');
is_deeply($r->json->{skipped}, [ {
    device_id => 'AKJD193840129', what => 'fingerprint 1',
    reason => 'it is of version 9 of the algorithm, the terminal has'
              . ' version 10' } ], 'what the terminal cannot take');
is($api->get('/users/EMP_001')->json->{devices}[0]{status}, 'pending',
   'so says the user');

is(work_off(2), 2, 'it fetches user and template');
is($terminal->user('EMP_001')->{name}, 'John Doe', 'the user arrived');
is_deeply([ $terminal->templates('EMP_001') ], [ '1/0/0/10' ],
          'the template, too');

$r = $api->get('/users/EMP_001');
is($r->json->{devices}[0]{status}, 'synced', 'acknowledged');
is($r->json->{department}, 'Engineering', 'and what no terminal knows');

# while the client waits

sub ask {
    my ($method, $path, $body, $wait) = @_;

    my $c = $t->connect(timeout => 25);
    $c->write($api->format($method, $path, $body, Prefer => "wait=$wait"));

    return $c;
}

my $c = ask('PUT', '/users/EMP_001', { name => 'John A. Doe' }, 30);
work_off(1);

$r = Test::IClock::API::response($c->read('PUT'));
ok($r, 'an answer after the acknowledgement');
is($r->header('Preference-Applied'), 'wait=30', 'Prefer: wait');
is($r->json->{status}, 'synced', 'the terminal has it');
is($terminal->user('EMP_001')->{name}, 'John A. Doe', 'it does');

$r = Test::IClock::API::response(
    ask('PUT', '/users/EMP_001', { card => '777' }, 1)->read('PUT'));
is($r->json->{status}, 'pending', 'nobody has answered in time');
work_off(1);
is($terminal->user('EMP_001')->{card}, '777', 'it is done later');

$r = Test::IClock::API::response(
    ask('POST', '/users', { device_id => 'AKJD193840129', user_id => 'EMP_003',
                            name => 'Late' }, 1)->read('POST'));
is($r->status, 201, 'another user');
is($r->json->{status}, 'pending', 'nobody has fetched it in time');
work_off(1);
is($api->get('/users/EMP_003')->json->{devices}[0]{status}, 'synced',
   'it arrives later');

# many

my $people = {
    device_id => 'AKJD193840129',
    users => [ map { { user_id => "B$_", name => "Person $_" } } 1 .. 200 ],
};

$r = $api->post('/users/batch', $people);
is($r->status, 201, 'a batch') or diag($r->body);
is(scalar(grep { $_->{status} == 201 } @{$r->json->{results}}), 200,
   'each of them');
is(work_off(200), 200, 'arrives');
is($terminal->user('B200')->{name}, 'Person 200', 'whole');

$people->{users}[7]{templates} = [ { type => 'palm', data => 'AB!' } ];
$r = $api->post('/users/batch', $people);
is($r->said, '422 invalid', 'one of them is wrong');
is($r->json->{errors}[0]{pointer}, '#/users/7/templates/0/data', 'this one');
sleep 0.3;
is($terminal->work_off(), 0, 'nothing is done');

is(scalar @{$api->get('/users?q=person&limit=150')->json->{data}}, 150,
   'a page of them');
like($api->get('/users?q=person&limit=150')->header('Link') || '',
     qr/rel="next"/, 'there is another');

# punches

$terminal->punch('EMP_001', '2026-03-27 14:00:12');
$terminal->punch('EMP_001', '2026-03-27 18:00:00', status => 1, verify => 15);

$r = $api->get('/logs?start_date=2026-03-27&end_date=2026-03-27'
               . '&user_id=EMP_001');
is(join(' ', map { "$_->{user_name}: $_->{punch_type} $_->{method}"
                   . " $_->{timestamp}" } @{$r->json->{data}}),
   'John A. Doe: CheckIn Fingerprint 2026-03-27T08:30:12Z'
   . ' John A. Doe: CheckOut Face 2026-03-27T12:30:00Z', 'punches');
unlike($r->body, qr/": |, "/, 'compact');

$r = $api->get('/attendance/daily?start_date=2026-03-27');
is($r->json->{data}[0]{span}, 14388, 'a day');

$r = $api->get('/attendance/daily?start_date=2026-03-27&format=csv');
is($r->header('Content-Type'), 'text/csv; charset=utf-8', 'days as CSV');
like($r->body, qr/\Adate,user_id,.*\r\n2026-03-27,EMP_001,[^\n]*\r\n\z/,
     'days as CSV: a line each');
$r = $api->get('/attendance/daily?start_date=2026-03-27&format=ndjson');
is($r->header('Content-Type'), 'application/x-ndjson', 'days as ndjson');
is(JSON::PP::decode_json($r->body)->{span}, 14388, 'days as ndjson: a line');
is($api->get('/attendance/daily?start_date=2026-03-27&format=xml')->said,
   '400 bad_request', 'in no other format');
is($api->get('/logs?format=csv&limit=1')->said, '400 bad_request',
   'whole, not some of it');

# more than a page of 5,000

$t->psql("INSERT INTO iclock.punch (device_id, local_time, pin)
          SELECT d.id, timestamp '2026-04-01' + i * interval '1 second',
                 'EMP_001'
            FROM iclock.device d, generate_series(1, 12000) AS i");

for my $form (qw/ ndjson csv /) {
    $r = $api->get("/logs?format=$form&start_date=2026-04-01");
    my @line = split /\r?\n/, $r->body;

    is($r->status, 200, $form);
    is(scalar @line, 12000 + ($form eq 'csv'), "$form: a line each");
    is(scalar keys %{{ map { $_ => 1 } @line }}, scalar @line,
       "$form: none twice");
}

# The month gets a partition of its own meanwhile: not notified, so that it is
# done here, and nginx, which may be about to look for such months, waits.  Each
# request waits for that, and finds the punches where they are.

my $calm = $t->pg->hold(
    q{SELECT pg_advisory_xact_lock(hashtext('iclock.maintain'))});

$t->psql("SET session_replication_role = replica;
          INSERT INTO iclock.punch (device_id, local_time, pin, work_code)
          SELECT d.id, timestamp '2025-05-01' + i * interval '1 second',
                 'EMP_001', '7'
            FROM iclock.device d, generate_series(1, 20) AS i");

# it gives up soon if somebody has the table, an autovacuum say

my $mover;

ok(wait_until(60, sub {
       $mover = $t->pg->session();
       return eval { $mover->query('BEGIN; SELECT iclock.move_months(50000)');
                     1 };
   }), 'the month is moved');

my @asked = map { ask('GET', $_, undef, 0) }
            '/logs?format=csv&start_date=2025-05-01&end_date=2025-05-01',
            '/attendance/daily?start_date=2025-05-01';

my $event = $t->pg->background("SELECT iclock.event_json(row(1,
        pg_current_xact_id(), now(), id, '2025-05-01 00:00:01', -1, -1, 1,
        'EMP_001', NULL)::iclock.event) FROM iclock.device");

ok(wait_until(30, sub {
    $t->psql("SELECT count(*) FROM pg_stat_activity"
             . " WHERE wait_event_type = 'Lock'"
             . " AND query ~ 'iclock_api.call|event_json'") == 3;
}), 'all that read punches wait while some are moved');

$mover->query('COMMIT');

my $payload = $event->wait();

$r = Test::IClock::API::response($asked[0]->read());
is(scalar(() = $r->body =~ /^log_/mg), 20, 'a list has all of them');
$r = Test::IClock::API::response($asked[1]->read());
is($r->json->{data}[0]{punches}, 20, 'so has their day');
like($payload, qr/"work_code":"7"/, 'and an event all of its punch');
is($t->psql("SELECT count(*) FROM iclock.punch_2025_05"), 20,
   'they have moved');
$calm->release();

# removal

is($api->delete('/users/EMP_001?device_id=AKJD193840129')->status, 202,
   'removed');
work_off(1);
is($terminal->user('EMP_001'), undef, 'the terminal has deleted the user');
is($api->get('/users/EMP_001')->said, '404 not_found', 'gone');
is(scalar @{$api->get('/logs?user_id=EMP_001')->json->{data}}, 100,
   'punches stay');

# Days on which clocks change: in Berlin an hour that is skipped, with one
# behind it, and one that comes twice, with one before it.  Who reads them gets
# what PostgreSQL makes of the local time, in summer as in winter.

$t->psql("INSERT INTO iclock.device (serial_number, status, timezone)"
         . " VALUES ('BERLIN', 'active', 'Europe/Berlin')");

my @local = ('2026-03-29 02:30:00', '2026-03-29 03:45:00',
             '2026-10-25 01:45:00', '2026-10-25 02:30:00');

is($t->device('BERLIN')->punches(map { [ 7, $_, 0, 1 ] } @local)->text,
   '200 OK: 4', 'punches of days on which clocks change');

my $moments = join ', ', $t->psql_lines(sprintf <<'END', join ',', @local);
SELECT to_char(t, 'YYYY-MM-DD"T"HH24:MI:SS') || ' Europe/Berlin '
       || to_char(t AT TIME ZONE 'Europe/Berlin' AT TIME ZONE 'UTC',
                  'YYYY-MM-DD"T"HH24:MI:SS"Z"')
  FROM unnest(string_to_array('%s', ',')::timestamp[]) AS t
 ORDER BY t
END

$r = $api->get('/logs?device_id=BERLIN');
is(join(', ', sort map { "$_->{local_time} $_->{timezone} $_->{timestamp}" }
                   @{$r->json->{data}}), $moments, 'their times in the list');

my @event;

ok(wait_until(60, sub {
    $r = $api->get('/events?device_id=BERLIN&types=attendance.punch&after=0');
    @event = @{($r->json || {})->{data} || []};

    return @event == 4;
}), 'and events');
is(join(', ', sort map { "$_->{punch}{local_time} $_->{device}{timezone}"
                         . " $_->{punch}{timestamp}" } @event), $moments,
   'have the same times');

# as many as there may be at once, and one more

sub people {
    my ($n) = @_;

    return { device_id => 'AKJD193840129',
             users => [ map { { user_id => "C$_", name => "Person $_" } }
                        1 .. $n ] };
}

$r = $api->post('/users/batch', people(1000));
is($r->status, 201, 'a thousand users') or diag($r->body);
is(scalar(grep { $_->{status} == 201 } @{$r->json->{results}}), 1000,
   'each of them');
$r = $api->post('/users/batch', people(1001));
is($r->said, '422 invalid', 'one more is too many');
is($r->json->{errors}[0]{pointer}, '#/users', 'of them');

$t->done();
