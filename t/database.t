#!/usr/bin/perl

# Copyright (C) the ngx_http_iclock_module authors

# What happens to PostgreSQL, and what terminals notice of it: at most 503,
# and nothing that was acknowledged is lost.

use strict;
use warnings;

use FindBin;
use IO::Select;
use IO::Uncompress::Gunzip qw/ gunzip /;
use Test::More;
use Time::HiRes qw/ sleep /;

use lib "$FindBin::Bin/lib";
use Test::IClock;
use Test::IClock::HTTP;
use Test::IClock::Load;

# so long one has to come upon the deadlock that is brought about
my $t = Test::IClock->new(settings => [ [ deadlock_timeout => '5s' ] ]);
my $pg = $t->pg;
my $logged = 0;     # bytes of the error log that were dealt with
my $minute = 0;


# another nginx; what the last one logged is of no interest any more

sub another {
    my ($name, $conf, %option) = @_;

    is($t->quit(), 0, "nginx before: $name") if $t->nginx->running();

    $logged = length $t->error_log();
    $t->start($t->device_server(%$conf), %option);
}


# When nginx begins to listen, every device may have commands: polls that are
# to leave the database alone come after that.

sub another_listens {
    another(@_);
    wait_until(30, sub { new_log() =~ /listening for notifications/ })
        or fail('nginx listens');
}


# nginx answers this from what it has, after all that came before

sub nginx_has_read { is($t->get('/')->status, 404, "$_[0]: nginx has read") }


sub new_log { substr $t->error_log(), $logged }


# what an operator finds at the usual level

sub errors { grep { /\[error\]/ } split /\n/, new_log() }


# a punch that there was not before

sub punch {
    $minute++;

    return sprintf "7\t2026-03-01 %02d:%02d:00\t0\t1", int($minute / 60),
                   $minute % 60;
}


sub upload { $t->device($_[0])->punches(punch()) }


sub upload_request {
    my ($sn) = @_;

    return [ 'POST', "/iclock/cdata?SN=$sn&table=ATTLOG&Stamp=9999",
             punch() ];
}


# an upload on a connection that is left waiting for the answer

sub upload_later {
    my ($sn) = @_;

    my $c = $t->connect();

    $c->write(Test::IClock::HTTP::format_request(@{upload_request($sn)}));

    return $c;
}


sub is_unavailable {
    my ($response, $name) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    is($response->status . ' ' . ($response->header('Retry-After') || ''),
       '503 30', $name);
}


sub punches { $t->psql('SELECT count(*) FROM iclock.punch') }


# a transaction that keeps others from storing punches

sub hold { $pg->hold('LOCK TABLE iclock.punch IN SHARE ROW EXCLUSIVE MODE') }


# 64 terminals while something happens

sub under_load {
    my ($name, $code, %option) = @_;

    my $before = punches();
    my $load = Test::IClock::Load->start(port => $t->port, %option);

    wait_until(60, sub { punches() > $before + 100 });
    $code->();

    my $report = $load->stop();

    Test::IClock::Load::is_good($t, $report, $name);

    return $report;
}


# what a new connection may inherit, and what it must not

my %inherited = (
    synchronous_commit => [ 'off', 'on' ],
    jit => [ 'on', 'off' ],
    statement_timeout => [ '100ms', '9s' ],
    lock_timeout => [ '1ms', '9s' ],
    idle_in_transaction_session_timeout => [ '1ms', '9s' ],
    default_transaction_read_only => [ 'on', 'off' ],
    default_transaction_isolation => [ 'serializable', 'read committed' ],
    search_path => [ 'nowhere', 'pg_catalog' ],
    standard_conforming_strings => [ 'off', 'on' ],
    row_security => [ 'off', 'on' ],
    client_min_messages => [ 'log', 'notice' ],
    log_min_duration_statement => [ '0', '0' ],
    # since PostgreSQL 14
    $t->psql("SHOW server_version_num") < 140000 ? ()
        : (idle_session_timeout => [ '1s', '0' ]),
);

$t->psql("ALTER ROLE iclock_nginx SET $_ = '$inherited{$_}[0]'")
    for keys %inherited;
$t->psql(<<'END');
    CREATE TABLE seen (name text, setting text);
    CREATE FUNCTION loud() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS
    $$
    BEGIN
        RAISE WARNING 'a loud trigger' USING DETAIL = 'of pin 7';
        INSERT INTO public.seen
        SELECT name, current_setting(name) FROM pg_settings;
        RETURN NULL;
    END
    $$;
    CREATE TRIGGER loud AFTER INSERT ON iclock.punch
        FOR EACH STATEMENT EXECUTE FUNCTION loud();
END


# down at start

$pg->stop();
$t->start();

ok(wait_until(60, sub { (() = new_log() =~ /no connection to Postgr/g) >= 3 }),
   'down: both workers and the listener have tried');

is_unavailable($t->device('DOWN0001')->handshake(), 'down: handshake');
is_unavailable(upload('DOWN0001'), 'down: upload');
is_unavailable($t->device('DOWN0001')->poll(), 'down: poll of an unknown');
is(scalar errors(), 1, 'down: one error line') or diag(errors());
like((errors())[0], qr/iclock: no connection to PostgreSQL.*No such file/,
     'down: it tells why');

$pg->start();

ok(wait_until(60, sub { upload('DOWN0001')->status == 200 }),
   'down: uploads work once it has started');
is(punches(), 1, 'down: stored');
is(join(', ', map { my $name = $_;
                    $t->psql("SELECT DISTINCT '$name is ' || setting"
                             . " FROM seen WHERE name = '$name'") }
              sort keys %inherited),
   join(', ', map { "$_ is $inherited{$_}[1]" } sort keys %inherited),
   'settings are what they have to be whatever the defaults are');

# the other worker may not have a connection yet
ok(wait_until(60, sub {
    $t->post('/iclock/cdata?SN=DOWN0001&type=PostVerifyData', '53cr3t')->text
    eq '200 OK'
}), 'down: a parameter of a short statement');
like(new_log(), qr/\[info\].*a loud trigger/, 'a notice is in the log');
unlike(new_log(), qr/of pin 7/, 'the details of a notice are not');
unlike(new_log(), qr/53cr3t|353363723374/, 'what the server logs is not');
unlike($t->nginx->complaints(), qr/loud/, 'a notice is not on stderr');

$t->psql('DROP TRIGGER loud ON iclock.punch');
$t->psql('ALTER ROLE iclock_nginx RESET ALL');


# Connections are killed while they are idle, and old enough to be replaced at
# once: what nginx asks of its own accord comes neither then nor just before.

my $at_rest = 'NOT EXISTS (SELECT FROM pg_stat_activity'
              . " WHERE application_name LIKE 'iclock/%'"
              . " AND (state IS DISTINCT FROM 'idle' OR state_change"
              . " > clock_timestamp() - interval '1.5 s'))";

sub rests {
    my ($name) = @_;

    ok(wait_until(60, sub { $t->psql("SELECT $at_rest") eq 't' }),
       "$name: connections are at rest");
}

another('idle', { pool => 'timeout=60s' });
under_load('warm', sub { }, prefix => 'WARM');

my @pids;

ok(wait_until(60, sub {
    @pids = map { /^(\d+)\|t/ } $t->psql_lines(
        'SELECT pid, pg_terminate_backend(pid) FROM pg_stat_activity'
        . " WHERE application_name LIKE 'iclock/%' AND $at_rest");
}), 'idle: connections are closed');
cmp_ok(scalar @pids, '>', 2, 'idle: they were kept');
wait_until(60, sub { !grep { kill 0, $_ } @pids });

my @response = $t->concurrently([ map { upload_request('IDLE000' . $_ % 8) }
                                  1 .. 64 ], connections => 64);

is(scalar(grep { $_ && $_->text eq '200 OK: 1' } @response), 64,
   'idle: the next requests know nothing of it');
is(scalar errors(), 0, 'idle: it is not worth an error') or diag(errors());


# a connection is killed within a transaction

rests('killed');

my $count = punches();
my $lock = hold();
my $c = upload_later('IDLE0000');

ok($pg->wait_blocked(), 'killed: the upload waits for a lock');

my ($victim) = $pg->blocked();

$t->psql("SELECT pg_terminate_backend($victim)");
wait_until(60, sub { !kill 0, $victim });
ok($pg->wait_blocked(), 'killed: the upload is sent again');
$lock->release();
is($c->read->text, '200 OK: 1', 'killed: it is acknowledged');
is(punches(), $count + 1, 'killed: it is stored once');
like(join('', errors()), qr/lost: terminating connection due to administrator/,
     'killed: the log says why');


# a connection is killed when it has committed, and before it could say so:
# commands are not taken twice

rests('dequeue');
$t->device('IDLE0000')->poll();
$t->psql("SELECT iclock.queue_command('IDLE0000', 'CHECK')");

$pg->set(synchronous_standby_names => 'nobody');
$t->psql('SELECT pg_reload_conf()');

# A new session begins with what the postmaster has read; the checkpointer,
# which says that there is somebody to wait for, reads it before its next work.
ok(wait_until(60, sub {
    $t->psql('SHOW synchronous_standby_names', vars => { new => 1 })
    eq 'nobody'
}), 'dequeue: the settings are read');
$t->psql('CHECKPOINT');

# what nginx saves of its own accord may wait on the same connection, before it
sub stalled {
    $t->psql("SELECT pg_cancel_backend(pid) FROM pg_stat_activity"
             . " WHERE wait_event = 'SyncRep'"
             . " AND query NOT LIKE '%dequeue_commands%'");

    return $t->psql("SELECT pid FROM pg_stat_activity WHERE wait_event"
                    . " = 'SyncRep' AND query LIKE '%dequeue_commands%'");
}

# notifications may be under way
$c = $t->connect();
my $answered = IO::Select->new($c->{socket});

ok(wait_until(60, sub {
    $c->write(Test::IClock::HTTP::format_request('GET',
              '/iclock/getrequest?SN=IDLE0000', undef, -keepalive => 1));
    return 1 if wait_until(60, sub { stalled() || $answered->can_read(0) })
                && stalled();
    $c->read();
    return 0;
}), 'dequeue: it is committed, and waits for a standby');
$t->psql('SELECT pg_terminate_backend(' . stalled() . ')');
like($c->read()->body, qr/\AC:\d+:CHECK\n/, 'dequeue: sent again');
$pg->set(synchronous_standby_names => '');
$t->psql('SELECT pg_reload_conf()');
is($t->psql("SELECT status, attempts FROM iclock.command"
            . " WHERE body = 'CHECK'"), 'sent|1', 'dequeue: counted once');


# prepared statements that no longer fit, on every connection

under_load('plans', sub { }, prefix => 'WARM');
rests('plans');
$t->psql(<<'END');
    DO $$
    DECLARE
        triggers text[];
        command text;
    BEGIN
        SELECT array_agg(pg_get_triggerdef(oid)) INTO triggers FROM pg_trigger
         WHERE tgrelid = 'iclock.device'::regclass AND NOT tgisinternal;

        FOR command IN SELECT format('DROP TRIGGER %I ON iclock.device', tgname)
                         FROM pg_trigger
                        WHERE tgrelid = 'iclock.device'::regclass
                          AND NOT tgisinternal
        LOOP
            EXECUTE command;
        END LOOP;

        ALTER TABLE iclock.device ALTER COLUMN error_delay TYPE bigint;

        FOREACH command IN ARRAY triggers LOOP
            EXECUTE command;
        END LOOP;
    END
    $$
END

is($t->device("WARM000$_")->handshake()->status, 200,
   "plans: handshake $_ after a change of the table") for 0 .. 9;
is(upload('WARM0001')->text, '200 OK: 1', 'plans: upload');


# a deadlock

is($t->device('WARM0001')->operations("USER PIN=$_\tName=n")->text,
   '200 OK: 1', "user $_") for 1, 2;

my $other = $pg->background(<<'END');
    SET application_name = 'other';
    SET deadlock_timeout = '1min';
    BEGIN;
    UPDATE iclock.device_user SET name = 'other' WHERE pin = '2';
    DO $$
    BEGIN
        WHILE NOT EXISTS (SELECT FROM pg_stat_activity
                           WHERE application_name LIKE 'iclock/%'
                             AND wait_event_type = 'Lock')
        LOOP
            PERFORM pg_sleep(0.01);
            PERFORM pg_stat_clear_snapshot();
        END LOOP;

        UPDATE iclock.device_user SET name = 'other' WHERE pin = '1';
    END
    $$;
    COMMIT;
    SELECT 'committed';
END

wait_until(60, sub { $t->psql("SELECT count(*) FROM pg_stat_activity WHERE"
                              . " application_name = 'other'"
                              . " AND query LIKE '%DO%'") });

is($t->device('WARM0001')->operations(map { "USER PIN=$_\tName=ours" } 1, 2)
   ->text, '200 OK: 2', 'deadlock: the upload is sent again');
like($other->wait(), qr/committed/, 'deadlock: the other one went first');
is($t->psql("SELECT string_agg(DISTINCT name, ',') FROM iclock.device_user"
            . " WHERE pin IN ('1', '2')"), 'ours', 'deadlock: stored');

open my $log, '<', $pg->{log} or die "$pg->{log}: $!";
ok(scalar(grep { /deadlock detected/ } <$log>), 'deadlock: there was one');
close $log;


# connections are killed again and again

under_load('killing', sub {
    for (1 .. 8) {
        $pg->terminate('iclock/%');
        sleep 0.15;
    }
}, prefix => 'KILL');


# the server says nothing

another('frozen', { pool => 'timeout=1s connect_timeout=1s' });

# within the second that a busy machine may need for a connection alone

for my $sn (map { "WARM000$_" } 0 .. 3) {
    ok(wait_until(60, sub { $t->device($sn)->handshake()->status == 200 }),
       "frozen: handshake of $sn");
    ok(wait_until(60, sub { $t->device($sn)->poll()->text eq '200 OK' }),
       "frozen: poll of $sn");
}

# what it said is new: the next request has it looked up, which is in the outage

ok(wait_until(60, sub {
       $t->get('/iclock/cdata?SN=WARM0003&options=all&language=70')->status
           == 200
   }), 'frozen: a device in another language');

my $report = under_load('frozen', sub {
    $pg->freeze();
    is_unavailable(upload('WARM0000'), 'frozen: upload');
    is_unavailable(upload('WARM0001'), 'frozen: another one');
    is($t->get('/iclock/service/control?SN=WARM0003')->text, '200 OK',
       'frozen: poll by service/control');
    is_unavailable($t->post('/iclock/service/control?SN=WARM0003',
                            'ID=1&Return=0'),
                   'frozen: answer by service/control');
    is($t->device("WARM000$_")->poll()->text, '200 OK',
       "frozen: poll of known device $_") for 0 .. 3;
    is_unavailable($t->device('WARM9999')->poll(), 'frozen: unknown device');
    $pg->thaw();
    ok(wait_until(60, sub { upload('WARM0000')->status == 200 }),
       'frozen: uploads work again');
}, prefix => 'COLD');

cmp_ok($report->{refused}, '>', 10, 'frozen: terminals were refused');
ok(wait_until(60, sub { $pg->backends('iclock/%') <= 9 }),
   'frozen: connections that were given up are gone');


# a statement takes too long

$lock = hold();
is_unavailable(upload('WARM0000'), 'slow: upload');
is($t->device("WARM0000")->poll()->text, '200 OK', 'slow: poll');
ok(wait_until(60, sub { !$pg->blocked() }),
   'slow: the statement does not go on');
$lock->release();
ok(wait_until(60, sub { upload('WARM0000')->text eq '200 OK: 1' }),
   'slow: later');


# one row is locked: whoever shares the transaction is served

another_listens('apart', { pool => 'connections=1 timeout=9s' },
                workers => 1);

my @sn = map { sprintf 'APART%03d', $_ } 0 .. 12;

is(scalar(grep { $_ && $_->text eq '200 OK: 1' }
          $t->concurrently([ map { upload_request($_) } @sn ])), 13,
   'apart: known devices');
is($t->device('WARM0000')->poll()->text, '200 OK', 'apart: nothing to fetch');

$count = punches();

# whoever waits for the row is refused long before its time is over
$t->psql('CREATE FUNCTION public.hurry() RETURNS trigger LANGUAGE plpgsql'
         . " AS \$\$ BEGIN PERFORM set_config('lock_timeout', '1s', true);"
         . ' RETURN NULL; END $$;'
         . ' CREATE TRIGGER hurry BEFORE INSERT ON iclock.device_option'
         . ' FOR EACH STATEMENT EXECUTE FUNCTION public.hurry()');

my $row = $pg->hold("SELECT FROM iclock.device WHERE serial_number = '$sn[6]'"
                    . ' FOR UPDATE');

$lock = hold();
my @together = upload_later('WARM0000');
$pg->wait_blocked();

my $options = $t->connect();
$options->write(Test::IClock::HTTP::format_request('POST',
    "/iclock/cdata?SN=$sn[6]&table=options", 'FWVersion=Ver 1'));
push @together, map { upload_later($_) } grep { $_ ne $sn[6] } @sn;

nginx_has_read('apart');

$lock->release();
is(join(' ', map { $_->read->text } @together),
   join(' ', ('200 OK: 1') x 13), 'apart: the others are stored');
is(punches(), $count + 13, 'apart: each once');
is_unavailable($options->read, 'apart: the one that waits for the row');
$row->release();
is($t->device($sn[6])->options('FWVersion=Ver 1')->text, '200 OK',
   'apart: later');
$t->psql('DROP TRIGGER hurry ON iclock.device_option;'
         . ' DROP FUNCTION public.hurry()');


# a statement that is too slow for all of them does not run once for each

another_listens('overdue', { pool => 'connections=1 timeout=9s' },
                workers => 1);

is(scalar(grep { $_ && $_->text eq '200 OK: 1' }
          $t->concurrently([ map { upload_request($_) } @sn ])), 13,
   'overdue: known devices');
is($t->device('WARM0000')->poll()->text, '200 OK',
   'overdue: nothing to fetch');

$t->psql('CREATE SEQUENCE public.runs;'
         . ' GRANT USAGE ON SEQUENCE public.runs TO iclock_module;'
         . ' CREATE FUNCTION public.slow() RETURNS trigger LANGUAGE plpgsql'
         . " AS \$\$ BEGIN PERFORM nextval('public.runs');"
         . ' PERFORM pg_sleep(30); RETURN NULL; END $$;'
         . ' CREATE TRIGGER slow AFTER INSERT ON iclock.punch'
         . ' FOR EACH STATEMENT EXECUTE FUNCTION public.slow()');

$row = $pg->hold('SELECT FROM iclock.device WHERE serial_number ='
                 . " 'WARM0000' FOR UPDATE");
$options = $t->connect();
$options->write(Test::IClock::HTTP::format_request('POST',
    '/iclock/cdata?SN=WARM0000&table=options', 'FWVersion=Ver 8'));
$pg->wait_blocked();
@together = map { upload_later($_) } @sn;

nginx_has_read('overdue');
$row->release();

is($options->read->text, '200 OK', 'overdue: one before them');
is_unavailable($_->read, 'overdue') for @together;
cmp_ok($t->psql('SELECT last_value FROM public.runs'), '<', 10,
       'overdue: the last ones without a try');

$t->psql('DROP TRIGGER slow ON iclock.punch; DROP FUNCTION public.slow();'
         . ' DROP SEQUENCE public.runs');
is(upload($_)->text, '200 OK: 1', "overdue: later, $_") for @sn[0, 12];


# what is stored already takes no lock, and so no write

my @same = (
    [ 'POST', '/iclock/cdata?SN=WARM0000&table=OPERLOG&OpStamp=7',
      "USER PIN=50\tName=Asha\tPri=0\nFP PIN=50\tFID=1\tTMP=QUFB\n" ],
    [ 'POST', '/iclock/cdata?SN=WARM0000&table=options', 'A=1,FWVersion=2' ],
    [ 'POST', '/iclock/cdata?SN=WARM0000&table=WORKCODE', "Code=1\tName=a\n" ],
    [ 'POST', '/iclock/cdata?SN=WARM0000&table=ATTPHOTO',
      "PIN=20261001080000-50.jpg\nSN=WARM0000\nsize=4\nCMD=uploadphoto\0"
      . "\xff\xd8\1\2" ],
);

is($t->request(Test::IClock::HTTP::format_request(@$_))->status, 200,
   'unchanged: stored') for @same;

my $held = $pg->hold(join ';', map {
    "SELECT FROM iclock.$_ WHERE device_id = (SELECT id FROM iclock.device"
    . " WHERE serial_number = 'WARM0000') FOR UPDATE"
} qw/ upload_stamp device_user template device_option work_code photo /);

is($t->request(Test::IClock::HTTP::format_request(@$_))->status, 200,
   'unchanged: again, while the rows are locked') for @same;
$held->release();


# a re-upload that was asked for, and uploads before the device knows of it

sub stamp {
    return $t->psql("SELECT stamp FROM iclock.upload_stamp s"
                    . " JOIN iclock.device d ON d.id = s.device_id"
                    . " WHERE serial_number = 'WARM0000'"
                    . " AND table_name = 'ATTLOG'");
}

is(upload('WARM0000')->status, 200, 're-upload: an upload');
is(stamp(), 9999, 're-upload: its stamp');
$t->psql("SELECT iclock.request_reupload('WARM0000', 'ATTLOG')");
is(upload('WARM0000')->status, 200, 're-upload: an upload meanwhile');
is(stamp(), 0, 're-upload: it is still asked for');
like($t->device('WARM0000')->handshake()->body, qr/^ATTLOGStamp=0$/m,
     're-upload: the handshake says so');
is(upload('WARM0000')->status, 200, 're-upload: an upload after that');
is(stamp(), 9999, 're-upload: its stamp counts again');


# presence: rows that are locked, of which uploads know nothing

another_listens('presence', { http => 'iclock_presence_interval 100ms;' });

sub seen {
    return $t->psql("SELECT serial_number || ' ' || (p.last_seen"
                    . " > now() - interval '30 min')"
                    . " FROM iclock.device_presence p JOIN iclock.device d"
                    . " ON d.id = p.device_id WHERE d.serial_number IN"
                    . " ('APART001', 'APART002', 'APART003') ORDER BY 1");
}

$t->psql("UPDATE iclock.device SET last_seen = now() - interval '1 hour',"
         . " remote_address = NULL");
$t->psql('TRUNCATE iclock.device_presence');
$t->psql('INSERT INTO iclock.device_presence (device_id, last_seen)'
         . " SELECT id, now() - interval '1 hour' FROM iclock.device"
         . " WHERE serial_number <> 'APART003'");

my @held = map { $pg->hold($_) }
    "SELECT FROM iclock.device WHERE serial_number IN ('APART001', 'APART003')"
    . ' FOR UPDATE',
    "SELECT FROM iclock.device_presence WHERE device_id ="
    . " (SELECT id FROM iclock.device WHERE serial_number = 'APART002')"
    . ' FOR UPDATE';

# whose row is free calls last: the others have had their turn then
is($t->device("APART00$_")->poll()->text, '200 OK', "presence: poll $_")
    for 3, 2, 1, 0;
ok(wait_until(60, sub { $t->psql("SELECT last_seen > now() - interval '1 min'"
    . " AND remote_address = '127.0.0.1' FROM iclock.device"
    . " WHERE serial_number = 'APART000'") eq 't' }),
   'presence: a device whose row is free');
# the other worker may be about to save these
wait_until(60, sub { seen() eq "APART001 true\nAPART002 false" });
is(seen(), "APART001 true\nAPART002 false",
   'presence: what is not locked is saved, the rest is passed over');
is($t->psql("SELECT online, remote_address FROM iclock.device_status s"
            . " JOIN iclock.device d ON d.id = s.device_id"
            . " WHERE s.serial_number = 'APART001'"), 't|',
   'presence: the view is exact');
is(scalar($pg->blocked()), 0, 'presence: nobody waits');

$_->release() for @held;
ok(wait_until(60, sub {
    seen() eq "APART001 true\nAPART002 true\nAPART003 true" }),
   'presence: the rest is saved later') or diag(seen());

my $version = $t->psql("SELECT xmin FROM iclock.device"
                       . " WHERE serial_number = 'APART000'");
my $seen = $t->psql('SELECT max(last_seen) FROM iclock.device_presence');

ok(wait_until(60, sub {
    $t->device('APART000')->poll();
    $t->psql('SELECT max(last_seen) FROM iclock.device_presence') ne $seen }),
   'presence: goes on');
is($t->psql("SELECT xmin FROM iclock.device"
            . " WHERE serial_number = 'APART000'"), $version,
   'presence: the row of the device is written every five minutes at most');


# more requests than the queue may hold

another_listens('queue', { pool => 'connections=1 queue=2 timeout=60s' },
                workers => 1);
is(upload('WARM0000')->text, '200 OK: 1', 'queue: a known device');

# What nginx itself has to ask, a second after its start and every few seconds
# from then on, takes a place like an upload: then it is tried again.

my (@waiting, @text);

sub fill_the_queue {
    $count = punches();
    $lock = hold();

    @waiting = upload_later('WARM0000');
    $pg->wait_blocked();
    push @waiting, upload_later('WARM0000') for 1 .. 2;

    nginx_has_read('queue');

    @response = $t->concurrently([ map { upload_request('WARM0000') }
                                   1 .. 61 ], connections => 61);
    $lock->release();
    @text = map { $_->read->text } @waiting;

    return !grep { /^503/ } @text;
}

for (1 .. 5) {
    last if fill_the_queue();
}

is(scalar(grep { $_ && $_->status == 503 && $_->header('Retry-After') eq '30' }
               @response), 61, 'queue: the surplus is refused');
is($_, '200 OK: 1', 'queue: who waited is served') for @text;
is(punches(), $count + 3, 'queue: stored');


# more bytes than may wait: bodies in files, which are not read then

another_listens('bytes', { pool => 'connections=1 queue_bytes=1m timeout=60s',
                           location => 'client_body_buffer_size 16k;' },
                workers => 1);

sub large_request {
    my ($day, $n) = @_;

    return [ 'POST', '/iclock/cdata?SN=WARM0000&table=ATTLOG&Stamp=9999',
             join '', map { sprintf "%d\t2026-05-%02d %02d:%02d:00\t0\t1\t%s\n",
                            $_, $day, $_ / 60 % 24, $_ % 60, 'x' x 370 }
                      1 .. $n ];
}

sub large_later {
    my $c = $t->connect(timeout => 60);

    $c->write(Test::IClock::HTTP::format_request(@{large_request(@_)}));

    return $c;
}

is($t->request(Test::IClock::HTTP::format_request(
       @{large_request(1, 6000)}), timeout => 60)->text, '200 OK: 6000',
   'bytes: one upload may be larger than all are allowed to be');

$lock = hold();
@waiting = (large_later(2, 1000));
ok($pg->wait_blocked(), 'bytes: the first waits');
push @waiting, large_later(3, 1000);
nginx_has_read('bytes');
is_unavailable(large_later(4, 1000)->read, 'bytes: the third is refused');
$lock->release();
is($_->read->text, '200 OK: 1000', 'bytes: who waited is served') for @waiting;

# what makes no records, or no rows, waits in memory as well

for my $case ([ 'blank lines', 'table=ATTLOG&Stamp=1', "\n" x 400_000 ],
              [ 'data for a decision', 'type=PostVerifyData', 'x' x 400_000 ])
{
    my ($name, $query, $body) = @$case;
    my $later = sub {
        my $c = $t->connect(timeout => 60);
        $c->write(Test::IClock::HTTP::format_request('POST',
                  "/iclock/cdata?SN=WARM0000&$query", $body));
        return $c;
    };

    $lock = hold();
    @waiting = (upload_later('WARM0001'));
    ok($pg->wait_blocked(), "bytes: an upload waits before $name");
    push @waiting, map { $later->() } 1 .. 2;
    nginx_has_read('bytes');
    is_unavailable($later->()->read, "bytes: $name are refused");
    $lock->release();
    is($_->read->status, 200, "bytes: $name that waited") for @waiting;
}

# the single one that is larger than all may be holds up nobody who brings
# nothing

$lock = hold();
@waiting = (large_later(5, 6000));
ok($pg->wait_blocked(), 'bytes: a very large one waits');

my $guest = $t->connect(timeout => 60);
$guest->write(Test::IClock::HTTP::format_request('GET',
              '/iclock/cdata?SN=WARM0006&options=all'));
nginx_has_read('bytes');
$lock->release();
is($guest->read->status, 200, 'bytes: a handshake beside it');
is($_->read->text, '200 OK: 6000', 'bytes: the very large one') for @waiting;
is($t->request(Test::IClock::HTTP::format_request(
       @{large_request(4, 1000)}), timeout => 60)->text, '200 OK: 1000',
   'bytes: there is room again');


# not enough connections

$pg->set(superuser_reserved_connections => 3);
$pg->max_connections(9);
another('full', {});

# one that has all of them leaves none to the other
ok(wait_until(60, sub { $t->psql('SELECT count(DISTINCT application_name)'
       . ' FROM pg_stat_activity WHERE application_name'
       . " IN ('iclock/0', 'iclock/1')") == 2 }),
   'full: both workers have a connection');
under_load('full', sub { sleep 1 }, prefix => 'FULL');
is(upload('WARM0000')->text, '200 OK: 1', 'full: upload');
$pg->max_connections(100);


# what an operator has to put right

another('role', { database => $t->conninfo(user => 'stranger') });
is_unavailable(upload('WARM0000'), 'role: upload');
is(scalar errors(), 1, 'role: one error line') or diag(errors());
like((errors())[0], qr/role "stranger" does not exist/, 'role: it is named');

another('schema', { database => $t->conninfo(dbname => 'postgres') });
is_unavailable(upload('WARM0000'), "schema: upload $_") for 1, 2;
is(scalar errors(), 1, 'schema: one error line') or diag(errors());
like((errors())[0], qr/"iclock(?:\.device)?"\ does\ not\ exist,
                       \ install.*psql\ -f\ sql/x,
     'schema: it tells what to do');

# a module that is newer than the schema waits for it

gunzip("$FindBin::Bin/fixtures/schema-2.sql.gz" => \my $dump)
    or die "cannot read the fixture\n";

$t->psql('CREATE DATABASE older', database => 'postgres');
$t->psql($dump, database => 'older');

another('old schema', { database => $t->conninfo(dbname => 'older') });
is_unavailable(upload('OLDER001'), 'old schema: upload');
is_unavailable($t->device('OLDER001')->handshake(), 'old schema: handshake');
is(scalar errors(), 1, 'old schema: one error line') or diag(errors());
like((errors())[0], qr/SQLSTATE 42\w+: .*, (?:install or )?upgrade the schema:/,
     'old schema: it tells what to do');
$pg->psql_file("$FindBin::Bin/../sql/install.sql", database => 'older');
ok(wait_until(60, sub { upload('OLDER001')->status == 200 }),
   'old schema: an upgrade is all it takes');
is($t->psql("SELECT count(*) FROM iclock.punch p JOIN iclock.device d"
            . " ON d.id = p.device_id WHERE serial_number = 'OLDER001'",
            database => 'older'), 1, 'old schema: stored');

$t->psql("CREATE ROLE guest LOGIN PASSWORD 'right'");
another('rights', { database => $t->conninfo(user => 'guest') });
is_unavailable(upload('WARM0000'), 'rights: upload');
like((errors())[0], qr/permission denied.*grant the role iclock_module/,
     'rights: it tells what to do');

open my $hba, '>', "$pg->{data}/pg_hba.conf" or die "pg_hba.conf: $!";
print $hba "local all guest scram-sha-256\nlocal all all trust\n";
close $hba;
$t->psql('SELECT pg_reload_conf()');

another('password', { database => $t->conninfo(user => 'guest',
                                               password => 'wr0ng') });
is_unavailable(upload('WARM0000'), 'password: upload');
like((errors())[0], qr/password authentication failed for user "guest"/,
     'password: it tells why');
unlike($t->error_log(), qr/wr0ng/, 'password: the log does not show it');

$t->done();
