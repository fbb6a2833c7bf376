-- Reconciliation, results of commands, refused answers.

\ir ../fixtures/pgtap.psql

delete from iclock.command;
update iclock.device set status = 'blocked';
insert into iclock.device (serial_number, status, dialect, site, timezone)
values ('V-A', 'active', '2.4', 'Pune', 'Asia/Kolkata'),
       ('V-B', 'active', '3.2', 'Pune', null),
       ('V-C', 'pending', '2.4', 'Pune', null);
insert into iclock.device (serial_number, status, site, sandbox)
values ('V-S', 'active', 'Pune', true);

create function pg_temp.punch(serial_number text, day date, punches integer)
    returns void language sql as $$
    insert into iclock.punch (device_id, local_time, pin)
    select pg_temp.device($1), day + n * interval '1 minute', '1'
      from generate_series(1, $3) as n
    on conflict do nothing
$$;
-- time does not pass within a transaction
create function pg_temp.poll(serial_number text) returns setof text
    language sql as $$
    update iclock.command
       set not_before = null
     where not_before <= now() + interval '1 minute';
    select c.body
      from iclock.dequeue_commands(array[pg_temp.device($1)], '{1000}',
                                   '{100000}', '{600}', '{3}') as c
$$;
create function pg_temp.answer(serial_number text, code integer,
                               reply bytea default null)
    returns void language sql as $$
    select iclock.answer_commands(array_agg(c.device_id),
                                  array_agg(c.id % 1000000000),
                                  array_agg($2), array_agg($3))
      from iclock.command c
     where c.device_id = pg_temp.device($1) and c.status = 'sent'
$$;
create function pg_temp.state(serial_number text) returns text
    language sql as $$
    select concat_ws(' ', r.status, coalesce(r.device_count::text, '-'),
                     coalesce(r.stored_count::text, '-'),
                     coalesce(r.missing::text, '-'), r.attempts,
                     r.finished_at is not null)
      from iclock.reconciliation r
     where r.serial_number = $1
     order by r.id desc limit 1
$$;
create function pg_temp.sum(n integer, name text default 'AttlogSum')
    returns bytea language sql as $$
    select convert_to('StartTime=2026-07-01 00:00:00&EndTime=2026-07-01 '
                      '23:59:59&' || $2 || '=' || $1, 'UTF8')
$$;

-- the count in the reply

select is(iclock.attendance_sum(r::bytea), n, r)
  from (values ('StartTime=2026-07-01 00:00:00&EndTime=2026-07-02 00:00:00&AttlogSum=25', 25::bigint),
               ('AttlogCount=7', 7), ('ATTLOGSUM= 3', 3),
               ('AttlogSum=25&EndTime=1', 25), ('AttlogSum=0', 0),
               ('x=1', null), ('AttlogSum=', null), ('AttlogSum=x', null),
               ('AttlogSum=99999999999999999999', null),
               ('MyAttlogSum=5', null),
               ('\377\376AttlogSum=4', null)) as s (r, n)
 where r !~ '^.377';
select is(iclock.attendance_sum('\xfffe00'::bytea || '&AttlogSum=4'), 4::bigint,
          'bytes that are no text');

-- they agree

select pg_temp.punch('V-A', '2026-07-01', 25);
select pg_temp.punch('V-A', '2026-07-02', 3);
select iclock.verify_attendance('V-A', '2026-07-01', '2026-07-01 23:59:59') as first
\gset
select is(pg_temp.state('V-A'), 'asking - - - 0 f', 'asking');
select is(iclock.verify_attendance('V-A', '2026-07-01', '2026-07-01 23:59:59'),
          :first::bigint, 'the same check again is the same command');
select results_eq(
    $$ select * from pg_temp.poll('V-A') $$,
    array[E'VERIFY SUM ATTLOG StartTime=2026-07-01 00:00:00\tEndTime=2026-07-01 23:59:59'],
    'VERIFY SUM');
select pg_temp.answer('V-A', 0, pg_temp.sum(25));
select is(pg_temp.state('V-A'), 'agreed 25 25 0 0 t', 'agreed');
select is_empty($$ select * from pg_temp.poll('V-A') $$, 'nothing else');

-- punches are missing, and come

select iclock.verify_attendance('V-A', '2026-07-02', '2026-07-02 23:59:59');
select pg_temp.poll('V-A');
select pg_temp.answer('V-A', 0, pg_temp.sum(5, 'AttlogCount'));
select is(pg_temp.state('V-A'), 'filling 5 3 2 1 f', 'two are missing');
select results_eq(
    $$ select * from pg_temp.poll('V-A') $$,
    array[E'DATA QUERY ATTLOG StartTime=2026-07-02 00:00:00\tEndTime=2026-07-02 23:59:59'],
    'the range is asked for');
select pg_temp.punch('V-A', '2026-07-02', 5);
select pg_temp.answer('V-A', 5);
select is(pg_temp.state('V-A'), 'asking 5 3 2 1 f', 'asked again');
select ok((select not_before > now() from iclock.command
            where status = 'queued'), 'after a while');
select results_eq(
    $$ select * from pg_temp.poll('V-A') $$,
    array[E'VERIFY SUM ATTLOG StartTime=2026-07-02 00:00:00\tEndTime=2026-07-02 23:59:59'],
    'VERIFY SUM once more');
select pg_temp.answer('V-A', 0, pg_temp.sum(5));
select is(pg_temp.state('V-A'), 'agreed 5 5 0 1 t', 'healed');

-- they never come

select iclock.verify_attendance('V-A', '2026-07-03', '2026-07-04', attempts => 2);
select pg_temp.poll('V-A');
select pg_temp.answer('V-A', 0, pg_temp.sum(9));
select pg_temp.poll('V-A');
select pg_temp.answer('V-A', 9);
select pg_temp.poll('V-A');
select pg_temp.answer('V-A', 0, pg_temp.sum(9));
select is(pg_temp.state('V-A'), 'filling 9 0 9 2 f', 'a second attempt');
select pg_temp.poll('V-A');
select pg_temp.answer('V-A', 9);
select pg_temp.poll('V-A');
select pg_temp.answer('V-A', 0, pg_temp.sum(9));
select is(pg_temp.state('V-A'), 'differs 9 0 9 2 t', 'then it ends');
select is_empty($$ select * from pg_temp.poll('V-A') $$, 'with no more commands');

-- the terminal has deleted some

select iclock.verify_attendance('V-A', '2026-07-01', '2026-07-01 12:00:00');
select pg_temp.poll('V-A');
select pg_temp.answer('V-A', 0, pg_temp.sum(0));
select pg_temp.poll('V-A');
select pg_temp.answer('V-A', 0);
select pg_temp.poll('V-A');
select pg_temp.answer('V-A', 0, pg_temp.sum(0));
select is(pg_temp.state('V-A'), 'surplus 0 25 0 1 t',
          'one attempt is enough when the table has more');

-- push SDK 3.2.0 cannot be asked for a number

create function pg_temp.note(serial_number text) returns text
    language sql as $$
    select r.note from iclock.reconciliation r
     where r.serial_number = $1 order by r.id desc limit 1
$$;
select iclock.verify_attendance('V-B', '2026-06-01', '2026-06-02');
select is(pg_temp.state('V-B'), 'filling - - - 1 f', 'the range is asked for');
select results_eq(
    $$ select * from pg_temp.poll('V-B') $$,
    array[E'DATA QUERY ATTLOG StartTime=2026-06-01T00:00:00\tEndTime=2026-06-02T00:00:00'],
    'in the old dialect');
select pg_temp.answer('V-B', 0);
select is(pg_temp.state('V-B'), 'resent - - - 1 t', 'and that is the end');
select is(pg_temp.note('V-B'),
          'the terminal has uploaded the range again; it cannot be asked for a '
          'number, as push SDK 3.2.0 has no VERIFY SUM', 'in words');
select is_empty($$ select * from pg_temp.poll('V-B') $$, 'nothing waits');
select iclock.verify_attendance('V-B', '2026-06-03', '2026-06-04');
select pg_temp.poll('V-B');
select pg_temp.answer('V-B', -1);
select is(pg_temp.state('V-B'), 'failed - - - 1 t', 'an error');
select is(pg_temp.note('V-B'), 'the terminal answered with error -1',
          'in words');
select iclock.cancel_command(iclock.verify_attendance(
    'V-B', '2026-06-05', '2026-06-06'));
select is(pg_temp.note('V-B'), 'the command was cancelled', 'in words');
delete from iclock.attendance_check where device_id = pg_temp.device('V-B');
update iclock.device set dialect = '2.4' where serial_number = 'V-B';

-- it cannot, it does not answer, it is cancelled

select iclock.verify_attendance('V-B', '2026-07-01', '2026-07-02');
select pg_temp.poll('V-B');
select pg_temp.answer('V-B', -22);
select is(pg_temp.state('V-B'), 'filling - - - 1 f',
          'firmware that does not know the command');
select results_eq(
    $$ select * from pg_temp.poll('V-B') $$,
    array[E'DATA QUERY ATTLOG StartTime=2026-07-01 00:00:00\tEndTime=2026-07-02 00:00:00'],
    'uploads the range again');
select pg_temp.answer('V-B', 0);
select is(pg_temp.state('V-B'), 'resent - - - 1 t', 'and that is the end');
select is(pg_temp.note('V-B'),
          'the terminal has uploaded the range again; it cannot be asked for a '
          'number, as its firmware does not know VERIFY SUM', 'in words');

select iclock.verify_attendance('V-B', '2026-07-11', '2026-07-12', attempts => 0);
select pg_temp.poll('V-B');
select pg_temp.answer('V-B', -1002);
select is(pg_temp.state('V-B'), 'failed - - - 0 t',
          'nothing is uploaded where nothing should be');

select iclock.verify_attendance('V-B', '2026-07-09', '2026-07-10');
select pg_temp.poll('V-B');
select pg_temp.answer('V-B', -1);
select is(pg_temp.state('V-B'), 'failed - - - 0 t', 'another error');
select is((select return_code from iclock.reconciliation
            where serial_number = 'V-B' order by id desc limit 1), -1,
          'and why');

select iclock.verify_attendance('V-B', '2026-07-03', '2026-07-04');
select pg_temp.poll('V-B');
select pg_temp.answer('V-B', 0, 'OK');
select is(pg_temp.state('V-B'), 'failed - - - 0 t', 'an answer without a count');

select iclock.cancel_command(iclock.verify_attendance(
    'V-B', '2026-07-05', '2026-07-06'));
select is(pg_temp.state('V-B'), 'failed - - - 0 t', 'cancelled');

select iclock.verify_attendance('V-B', '2026-07-07', '2026-07-08') as lost \gset
select pg_temp.poll('V-B');
update iclock.command set sent_at = sent_at - interval '1 hour', attempts = 3
 where id = :lost;
select pg_temp.poll('V-B');
select is(pg_temp.state('V-B'), 'failed - - - 0 t', 'no answer');
select iclock.answer_commands(array[pg_temp.device('V-B')],
                              array[:lost % 1000000000], '{0}',
                              array[pg_temp.sum(0)]);
select is(pg_temp.state('V-B'), 'agreed 0 0 0 0 t', 'a late answer counts');

select iclock.query_attendance_count('V-B', '2026-07-07', '2026-07-08');
select pg_temp.poll('V-B');
select lives_ok($$ select pg_temp.answer('V-B', 0, pg_temp.sum(3)) $$,
                'a count that no check waits for');

-- all devices

delete from iclock.command;
select is((select count(*)::int from iclock.verify_all(
              '2026-08-01', '2026-08-02', spread => '1 hour')), 2,
          'verify_all: the active ones');
select set_eq(
    $$ select coalesce(c.not_before, now()) - now() from iclock.command c $$,
    array[interval '0', '30 minutes'], 'one after the other');
select is((select count(*)::int from iclock.verify_all(
              '2026-08-03', '2026-08-04', site => 'Delhi')), 0, 'of a site');
select throws_ok($$ select iclock.verify_all(spread => '-1 second') $$, '22023',
                 null, 'a negative time');
update iclock.attendance_check
   set status = 'agreed', starts = '2020-01-01',
       ends = date_trunc('day', timezone('UTC', now())) - interval '10 days'
 where id = (select max(id) from iclock.attendance_check
              where device_id = pg_temp.device('V-B'));
update iclock.attendance_check set ends = '2020-01-02', starts = '2020-01-01'
 where device_id = pg_temp.device('V-B') and status = 'agreed'
   and ends < date_trunc('day', timezone('UTC', now())) - interval '10 days';
delete from iclock.attendance_check
 where device_id = pg_temp.device('V-A') and status in ('agreed', 'surplus');
select iclock.verify_all();
select results_eq(
    $$ select distinct on (serial_number) serial_number, ends - starts
         from iclock.reconciliation order by serial_number, id desc $$,
    $$ values ('V-A', interval '31 days'),
              ('V-B', interval '9 days 23:59:59') $$,
    'from the last agreement until the last midnight');

-- a hole in what is agreed is looked at again

delete from iclock.command;
delete from iclock.attendance_check;
create function pg_temp.agreed(serial_number text, first integer, last integer,
                               status text default 'agreed')
    returns void language sql as $$
    -- days before today, both included
    insert into iclock.attendance_check (device_id, starts, ends, status,
                                         max_attempts, finished_at)
    select pg_temp.device($1), t.day - $2 * interval '1 day',
           t.day - $3 * interval '1 day' + interval '23:59:59', $4, 3, now()
      from date_trunc('day', timezone('UTC', now())) as t (day)
$$;
create function pg_temp.days_asked(serial_number text) returns integer
    language sql as $$
    delete from iclock.attendance_check where finished_at is null;
    select iclock.verify_all(site => 'Pune');
    select extract(day from ends - starts + interval '1 second')::integer
      from iclock.attendance_check
     where device_id = pg_temp.device($1) and finished_at is null
$$;
update iclock.device set timezone = 'UTC' where serial_number = 'V-A';
select is(pg_temp.days_asked('V-A'), 31, 'nothing is agreed');
select pg_temp.agreed('V-A', 60, 50);
select is(pg_temp.days_asked('V-A'), 49, 'offline since the last agreement');
select pg_temp.agreed('V-A', 49, 35, 'differs');
select is(pg_temp.days_asked('V-A'), 31, 'what differs for good is not asked');
delete from iclock.attendance_check;
select pg_temp.agreed('V-A', 500, 400);
select is(pg_temp.days_asked('V-A'), 31, 'offline for more than a year');
delete from iclock.attendance_check;
select pg_temp.agreed('V-A', 5, 5);
select is(pg_temp.days_asked('V-A'), 31,
          'a check of one day does not hide the weeks before');
select pg_temp.agreed('V-A', 40, 20);
select is(pg_temp.days_asked('V-A'), 19,
          'from the end of what is agreed without a hole');
select pg_temp.agreed('V-A', 12, 6, 'surplus');
select is(pg_temp.days_asked('V-A'), 19, 'a hole of a week');
select pg_temp.agreed('V-A', 19, 13, 'differs');
select is(pg_temp.days_asked('V-A'), 19, 'a check that failed fills none');
select pg_temp.agreed('V-A', 19, 13, 'resent');
select is(pg_temp.days_asked('V-A'), 4, 'filled');
select pg_temp.agreed('V-A', 50, 1);
select is(pg_temp.days_asked('V-A'), 2, 'two days at least');
delete from iclock.attendance_check;
insert into iclock.attendance_check (device_id, starts, ends, status,
                                     max_attempts, finished_at)
select pg_temp.device('V-A'), t.day - interval '60 days',
       t.day + interval '10 years', 'agreed', 3,
       timezone('UTC', t.day - interval '19 days' - interval '1 second')
  from date_trunc('day', timezone('UTC', now())) as t (day);
select is(pg_temp.days_asked('V-A'), 19,
          'an agreement about the future holds until when it was reached');
update iclock.job set last_run_at = '-infinity';
delete from iclock.attendance_check;
select pg_temp.agreed('V-A', 5, 5);
select iclock.verify_due(86400);
select ok(ends - starts > interval '25 days', 'nginx does not skip it either')
  from iclock.attendance_check
 where device_id = pg_temp.device('V-A') and finished_at is null;
delete from iclock.attendance_check;
update iclock.device set timezone = 'Asia/Kolkata' where serial_number = 'V-A';

-- what was dropped is not compared

create function pg_temp.dropped(variadic ranges tsrange[] default '{}')
    returns void language sql as $$
    update iclock.punch_state set dropped = $1
$$;
delete from iclock.command;
select pg_temp.dropped(tsrange('2026-05-01', '2026-08-01'));
select pg_temp.punch('V-A', '2026-08-01', 4);
select iclock.verify_attendance('V-A', '2026-06-15', '2026-08-01 23:59:59');
select iclock.verify_attendance('V-A', '2026-06-16', '2026-08-01 23:59:59');
select results_eq(
    $$ select * from pg_temp.poll('V-A') $$,
    array[E'VERIFY SUM ATTLOG StartTime=2026-08-01 00:00:00\tEndTime=2026-08-01 23:59:59'],
    'a check begins behind what was dropped');
select pg_temp.answer('V-A', 0, pg_temp.sum(4));
select is(pg_temp.state('V-A'), 'agreed 4 4 0 0 t', 'and agrees');
select throws_ok($$ select iclock.verify_attendance('V-A', '2026-06-15',
                                                    '2026-06-16') $$, '22023',
    'argument "ends" is before 2026-08-01 00:00:00: drop_before() has dropped '
    'what was before', 'nothing is left');
select is_empty($$ select iclock.verify_all('2026-06-15', '2026-06-16') $$,
                'of any device');
select throws_ok($$ select iclock.verify_all('2026-06-16', '2026-06-15') $$,
                 '22023', 'argument "ends" is before "starts"');
delete from iclock.attendance_check;
select pg_temp.dropped(tsrange('2026-05-01', timezone('UTC', now())::date + 2));
update iclock.job set last_run_at = '-infinity';
select is(iclock.verify_due(86400), 0, 'nginx has nothing to begin');

select pg_temp.dropped();
select iclock.verify_attendance('V-A', '2026-06-15', '2026-08-01 23:59:59');
select pg_temp.poll('V-A');
select pg_temp.dropped(tsrange('2026-05-01', '2026-08-01'));
select pg_temp.answer('V-A', 0, pg_temp.sum(90));
select is(pg_temp.state('V-A'), 'failed - - - 0 t', 'dropped meanwhile');
select is(pg_temp.note('V-A'), 'drop_before() has dropped punches of the range',
          'in words');
delete from iclock.attendance_check;
delete from iclock.command;
update iclock.device set timezone = 'UTC' where serial_number = 'V-A';
select pg_temp.dropped(tsrange(d - 60, d - 20))
  from timezone('UTC', now()) as t (n), date(t.n) as d;
select pg_temp.agreed('V-A', 20, 2);
select is(pg_temp.days_asked('V-A'), 2, 'what was dropped is no hole');
delete from iclock.attendance_check;
select pg_temp.agreed('V-A', 12, 2);
select is(pg_temp.days_asked('V-A'), 19, 'what is kept is one');
update iclock.device set timezone = 'Asia/Kolkata' where serial_number = 'V-A';
select pg_temp.dropped();
delete from iclock.attendance_check;
delete from iclock.command;

-- a check that was given up and begun again

select iclock.verify_attendance('V-A', '2026-07-20', '2026-07-21') as old \gset
select iclock.cancel_command(:old);
select iclock.verify_attendance('V-A', '2026-07-20', '2026-07-21') as new \gset
select isnt(:old::bigint, :new::bigint, 'another command');
update iclock.command set status = 'sent', attempts = 1, sent_at = now()
 where id = :old;
select iclock.answer_commands(array[pg_temp.device('V-A')],
                              array[:old % 1000000000], '{0}',
                              array[pg_temp.sum(9)]);
select results_eq(
    $$ select status from iclock.attendance_check
        where device_id = pg_temp.device('V-A') order by id $$,
    array['failed', 'asking'], 'a late answer does not double it');
delete from iclock.command where id = :new;
select isnt(iclock.verify_attendance('V-A', '2026-07-20', '2026-07-21'), null,
            'a check whose command somebody deleted');
select is((select count(*)::int from iclock.attendance_check
            where finished_at is null and command_id is not null), 1,
          'goes on with another');

-- the module, once a day

delete from iclock.command;
delete from iclock.attendance_check;
update iclock.job set last_run_at = '-infinity';
-- zones of the location; in one of them it is another day than in UTC
update iclock.device d
   set timezone = null,
       default_timezone = case d.serial_number when 'V-A'
                          then 'Pacific/Kiritimati' else 'Pacific/Midway' end;
select iclock.verify_all();
select ok(bool_and(k.ends = date_trunc('day', timezone(d.default_timezone,
                                                       now()))
                            - interval '1 second'),
          'all, until the last midnight of each')
  from iclock.attendance_check k
  join iclock.device d on d.id = k.device_id;
delete from iclock.command;
delete from iclock.attendance_check;
select is(iclock.verify_due(0), 0, 'off');
select is(iclock.verify_due(null), 0, 'off');
select is(iclock.verify_due(86400), 2, 'the active devices');
select is(iclock.verify_due(86400), 0, 'once');
select ok(bool_and(coalesce(
                   timezone(d.default_timezone, c.not_before)::time
                       between '01:00' and '05:00'
                   and c.not_before between now()
                                        and now() + interval '1 day', false)),
          'in the night of the device')
  from iclock.command c join iclock.device d on d.id = c.device_id;
select ok(bool_and(k.ends = date_trunc('day', timezone(
                       d.default_timezone, c.not_before))
                       - interval '1 second'
                   and k.ends - k.starts between interval '2 days'
                                             and interval '31 days'),
          'until the midnight before')
  from iclock.attendance_check k
  join iclock.device d on d.id = k.device_id
  join iclock.command c on c.id = k.command_id;
select ok(bool_and(priority < 0), 'what people ask for goes first')
  from iclock.command;
update iclock.job set last_run_at = now() - interval '2 days';
select is(iclock.verify_due(86400), 0,
          'not while the last checks are under way');
delete from iclock.command;
delete from iclock.attendance_check;
update iclock.job set last_run_at = now() - interval '10 seconds';
select is(iclock.verify_due(10), 2, 'every ten seconds');
select ok(bool_and(coalesce(not_before, now()) < now() + interval '6 seconds'),
          'begins at once') from iclock.command;

-- results

update iclock.device set dialect = '3.2' where serial_number = 'V-B';
delete from iclock.command;
insert into iclock.command (device_id, body, status, attempts, return_code)
select pg_temp.device(r.device), r.body, r.status, 1, r.code
  from (values
    ('V-A', 'DATA UPDATE USERINFO PIN=1', 'done', 0),
    ('V-A', 'DATA UPDATE USERINFO PIN=1', 'failed', -1),
    ('V-B', 'DATA UPDATE USERINFO PIN=1', 'failed', -2),
    ('V-B', 'DATA UPDATE USERPIC PIN=1', 'failed', -2),
    ('V-A', 'DATA UPDATE USERPIC PIN=1', 'failed', -2),
    ('V-A', E'ENROLL_FP PIN=1\tFID=1', 'failed', 6),
    ('V-A', E'ENROLL_BIO TYPE=9', 'failed', 2),
    ('V-A', E'ENROLL_MF PIN=1', 'failed', 5),
    ('V-A', 'DATA QUERY USERINFO', 'done', 12),
    ('V-A', 'CHECK', 'failed', -1004),
    ('V-A', 'CHECK', 'failed', -4711),
    ('V-A', 'CHECK', 'failed', null),
    ('V-A', 'CHECK', 'queued', null)) as r (device, body, status, code);
select results_eq(
    $$ select result from iclock.command_status order by id $$,
    array['success', 'parameter error',
          'wrong operation, or the photo does not match the size given',
          'the photo may be too large', 'the photo does not match the size given',
          'enrolment was cancelled', 'the user has this template already',
          'nobody presented a card in time',
          'success, with a count, a size or a status',
          'the device is not configured for it', 'unknown code -4711',
          'no answer', null],
    'the meaning of a code by command and dialect');
select is(iclock.is_success(b, 3), s, b || ' returns 3')
  from (values ('VERIFY SUM ATTLOG StartTime=1', true),
               ('VERIFYING', false), ('UPGRADE type=1', false),
               ('DATA QUERYUSER', false)) as r (b, s);

-- answers to what the device was never given

delete from iclock.command;
delete from iclock.refused_answer;
select iclock.reboot('V-A') as mine \gset
select iclock.reboot('V-B') as other \gset
select pg_temp.poll('V-A');
select pg_temp.poll('V-B');
select iclock.answer_commands(
    array[pg_temp.device('V-B'), pg_temp.device('V-B'), pg_temp.device('V-B'),
          pg_temp.device('V-B')],
    array[:mine % 1000000000, :other % 1000000000, 999999999, :mine % 1000000000],
    '{0,0,0,-1}', '{null,null,null,null}');
select results_eq(
    $$ select d.serial_number, r.answers, r.return_code
         from iclock.refused_answer r join iclock.device d on d.id = r.device_id $$,
    $$ values ('V-B', 2::bigint, -1) $$, 'counted');
select is((select command_id from iclock.refused_answer), :mine::bigint,
          'with the command');
select is((select status from iclock.command where id = :mine), 'sent',
          'the command is still waited for');
select is((select status from iclock.command where id = :other), 'done',
          'its own is answered');
select iclock.answer_commands(
    array[pg_temp.device('V-B'), pg_temp.device('V-B')],
    array[:mine % 1000000000, :mine % 1000000000], '{0,-1}', '{null,null}');
select is((select answers from iclock.refused_answer), 2::bigint,
          'sent again, as nobody knows whether they were committed: once');
select iclock.answer_commands(array[pg_temp.device('V-B')],
                              array[:other % 1000000000], '{0}', '{null}');
select is((select answers from iclock.refused_answer), 2::bigint,
          'a second answer to its own is none of them');
select iclock.answer_commands('{-1}', array[:mine % 1000000000], '{0}', '{null}');
select iclock.answer_commands(null, null, null, null);
select is((select count(*)::int from iclock.refused_answer), 1,
          'an unknown device, no answers');

select * from finish();
rollback;
