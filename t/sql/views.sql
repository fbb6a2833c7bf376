-- What analysts read: two dialects, three zones, days on which clocks change.

begin;
create extension if not exists pgtap;
set local search_path = public, pg_catalog;
set local timezone = 'Pacific/Auckland';

select * from no_plan();

insert into iclock.device (serial_number, status, name, site, timezone, dialect,
                           last_seen, comm_key)
values ('T-BERLIN', 'active', 'Gate', 'Berlin', 'Europe/Berlin', '2.4',
        now() - interval '1 minute', 'k'),
       ('T-KOLKATA', 'active', 'Lobby', 'Pune', 'Asia/Kolkata', '3.2',
        now() - interval '1 hour', null),
       ('T-UTC', 'pending', null, null, null, '2.4', null, null);
insert into iclock.device_user (device_id, pin, name)
select id, '9001', 'Asha Rao' from iclock.device
 where serial_number in ('T-BERLIN', 'T-KOLKATA');
insert into iclock.work_code (device_id, code, name)
select id, '7', 'Welding' from iclock.device where serial_number = 'T-BERLIN';

create function pg_temp.punch(serial_number text, pin text,
                              local_time timestamp, status integer default 0,
                              verify integer default 1,
                              work_code text default '')
    returns void language sql as $$
    insert into iclock.punch (device_id, local_time, pin, status, verify,
                              work_code, punched_at)
    select d.id, $3, $2, $4, $5, $6,
           timezone(coalesce(d.timezone, 'UTC'), $3)
      from iclock.device d where d.serial_number = $1
$$;

select pg_temp.punch('T-BERLIN', '9001', '2026-07-15 09:00', 2, 4, '7');
select pg_temp.punch('T-KOLKATA', '9001', '2026-07-15 19:30', 2, 4);
select pg_temp.punch('T-UTC', '9001', '2026-07-16 08:00', 255, 99);

select results_eq(
    $$ select serial_number, device_name, site, user_name, local_time, utc_time,
              status_label, direction, verify_label, work_code_name
         from iclock.attendance where pin = '9001' order by punched_at $$,
    $$ values
    ('T-BERLIN', 'Gate', 'Berlin', 'Asha Rao', timestamp '2026-07-15 09:00',
     timestamp '2026-07-15 07:00', 'break out', 'out', 'card', 'Welding'),
    ('T-KOLKATA', 'Lobby', 'Pune', 'Asha Rao', '2026-07-15 19:30',
     '2026-07-15 14:00', 'meal in', 'in', 'PIN + fingerprint', null),
    ('T-UTC', null, null, null, '2026-07-16 08:00', '2026-07-16 08:00', 'none',
     null, null, null) $$,
    'one code, two dialects; three zones; unknown codes stay');

-- labels

select is((select label from iclock.verify_label
            where dialect = d and code = c), l, format('%s verify %s', d, c))
  from (values ('2.4', 0, 'any'), ('2.4', 2, 'PIN'), ('2.4', 15, 'face'),
               ('2.4', 25, 'palm'), ('2.4', 200, 'other'),
               ('3.2', 0, 'password'), ('3.2', 2, 'badge'),
               ('3.2', 3, 'PIN')) as v (d, c, l);

-- days

select results_eq(
    $$ select day, user_name, punches, first_local_time, last_local_time, span,
              serial_numbers, sites
         from iclock.daily_attendance where pin = '9001' order by day $$,
    $$ values
    (date '2026-07-15', 'Asha Rao', 2::bigint, timestamp '2026-07-15 09:00',
     timestamp '2026-07-15 19:30', interval '7 hours',
     array['T-BERLIN', 'T-KOLKATA'], array['Berlin', 'Pune']),
    ('2026-07-16', null, 1, '2026-07-16 08:00', '2026-07-16 08:00', '0',
     array['T-UTC'], null) $$,
    'a traveller: the time that really passed');

-- Berlin sets its clocks back on 2026-10-25 and forward on 2026-03-29, at night
select pg_temp.punch('T-BERLIN', '9002', t)
  from unnest(array['2026-10-25 00:30', '2026-10-25 02:30', '2026-10-25 08:30',
                    '2026-03-29 00:30', '2026-03-29 02:30',
                    '2026-03-29 08:30']::timestamp[]) as t;
select results_eq(
    $$ select day, punches, span from iclock.daily_attendance
        where pin = '9002' order by day $$,
    $$ values (date '2026-03-29', 3::bigint, interval '7 hours'),
              ('2026-10-25', 3, '9 hours') $$,
    'shifts over a change of the clocks are an hour longer or shorter');
select results_eq(
    $$ select local_time, utc_time from iclock.attendance
        where pin = '9002' and local_time::time = '02:30' order by 1 $$,
    $$ values (timestamp '2026-03-29 02:30', timestamp '2026-03-29 01:30'),
              ('2026-10-25 02:30', '2026-10-25 01:30') $$,
    'the skipped hour, and the second of the repeated ones');

select results_eq(
    $$ select * from iclock.daily_attendance_between('2026-03-29',
                                                     '2026-07-15')
        where pin in ('9001', '9002') order by day $$,
    $$ select * from iclock.daily_attendance
        where pin in ('9001', '9002')
          and day between '2026-03-29' and '2026-07-15' order by day $$,
    'the same between two days, both included');
select is_empty(
    $$ select * from iclock.daily_attendance_between('2026-07-16',
                                                     '2026-07-15') $$,
    'no days');

-- devices

select iclock.queue_command('T-BERLIN', 'CHECK');
select iclock.queue_command('T-BERLIN', 'INFO');
select iclock.queue_command('T-BERLIN', 'LOG', expires => '1 second');
update iclock.command set expires_at = now() where body = 'LOG';
select from iclock.dequeue_commands(
    (select array_agg(id) from iclock.device where serial_number = 'T-BERLIN'),
    '{1}', '{1000}', '{600}', '{3}');

select results_eq(
    $$ select serial_number, status, online, waiting_commands, sent_commands,
              clock_skew
         from iclock.device_status where serial_number like 'T-%' order by 1 $$,
    $$ values ('T-BERLIN', 'active', true, 1::bigint, 1::bigint,
               null::interval),
              ('T-KOLKATA', 'active', false, 0, 0, null),
              ('T-UTC', 'pending', false, 0, 0, null) $$,
    'status of the devices');

insert into iclock.punch (device_id, local_time, pin, punched_at)
select id, timezone('Europe/Berlin', now() + s * interval '1 second'), '1',
       now() + s * interval '1 second'
  from iclock.device, unnest(array[-4000, -90, -95]) as s
 where serial_number = 'T-BERLIN';
select is((select clock_skew from iclock.device_status
            where serial_number = 'T-BERLIN'), interval '-90 seconds',
          'clock skew, by the most timely punch');

select * from finish();
rollback;
