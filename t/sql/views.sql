-- What analysts read: two dialects, three zones, days on which clocks change.

\ir ../fixtures/pgtap.psql
set local timezone = 'Pacific/Auckland';

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
            where dialect = d and code = c and record_type = 0), l, format('%s verify %s', d, c))
  from (values ('2.4', 0, 'any'), ('2.4', 2, 'PIN'), ('2.4', 15, 'face'),
               ('2.4', 25, 'palm'), ('2.4', 200, 'other'),
               ('3.2', 0, 'password'), ('3.2', 2, 'badge'),
               ('3.2', 3, 'PIN')) as v (d, c, l);

-- days

select results_eq(
    $$ select day, user_name, punches, first_local_time, last_local_time, span,
              serial_numbers, sites
         from iclock.daily_attendance where pin = '9001'
        order by day, site $$,
    $$ values
    (date '2026-07-15', 'Asha Rao', 1::bigint, timestamp '2026-07-15 09:00',
     timestamp '2026-07-15 09:00', interval '0', array['T-BERLIN'],
     array['Berlin']),
    ('2026-07-15', 'Asha Rao', 1, '2026-07-15 19:30', '2026-07-15 19:30', '0',
     array['T-KOLKATA'], array['Pune']),
    ('2026-07-16', null, 1, '2026-07-16 08:00', '2026-07-16 08:00', '0',
     array['T-UTC'], null) $$,
    'the same PIN on two sites: two people');

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
        where pin in ('9001', '9002') order by day, site $$,
    $$ select * from iclock.daily_attendance
        where pin in ('9001', '9002')
          and day between '2026-03-29' and '2026-07-15'
        order by day, site $$,
    'the same between two days, both included');
select is_empty(
    $$ select * from iclock.daily_attendance_between('2026-07-16',
                                                     '2026-07-15') $$,
    'no days');

-- days of a site

select iclock.set_site('Pune', day_starts => '12:00');
insert into iclock.device (serial_number, status, site, timezone)
values ('T-KOLKATA2', 'active', 'Pune', 'Asia/Kolkata');
select pg_temp.punch('T-KOLKATA', '9003', '2026-07-20 22:00');
select pg_temp.punch('T-KOLKATA2', '9003', '2026-07-21 06:00', 1);
select pg_temp.punch('T-KOLKATA', '9003', '2026-07-21 22:05');
select pg_temp.punch('T-KOLKATA', '9003', '2026-07-22 06:10', 1);
select pg_temp.punch('T-BERLIN', '9003', '2026-07-21 09:00');
select pg_temp.punch('T-BERLIN', '9003', '2026-07-21 17:00', 1);
select results_eq(
    $$ select site, day, punches, first_local_time, last_local_time, span,
              serial_numbers
         from iclock.shift_attendance where pin = '9003'
        order by site, day $$,
    $$ values
    ('Berlin', date '2026-07-21', 2::bigint, timestamp '2026-07-21 09:00',
     timestamp '2026-07-21 17:00', interval '8 hours', array['T-BERLIN']),
    ('Pune', '2026-07-20', 2, '2026-07-20 22:00', '2026-07-21 06:00', '8 hours',
     array['T-KOLKATA', 'T-KOLKATA2']),
    ('Pune', '2026-07-21', 2, '2026-07-21 22:05', '2026-07-22 06:10', '08:05',
     array['T-KOLKATA']) $$,
    'two nights are two shifts; another site has another person');
select results_eq(
    $$ select day, span from iclock.daily_attendance
        where pin = '9003' and site = 'Pune' order by day $$,
    $$ values (date '2026-07-20', interval '0'), ('2026-07-21', '16:05'),
              ('2026-07-22', '0') $$,
    'days of the calendar begin at midnight');
select results_eq(
    $$ select * from iclock.shift_attendance_between('2026-07-20',
                                                     '2026-07-20')
        where pin = '9003' $$,
    $$ select * from iclock.shift_attendance
        where pin = '9003' and day = '2026-07-20' $$,
    'the whole of the last shift, and nothing before the first');
select results_eq(
    $$ select site, month, days, single_punch_days, punches, total_span,
              first_day, last_day
         from iclock.monthly_attendance where pin = '9003' order by site $$,
    $$ values
    ('Berlin', date '2026-07-01', 1::bigint, 0::bigint, 2::bigint,
     interval '8 hours', date '2026-07-21', date '2026-07-21'),
    ('Pune', '2026-07-01', 2, 0, 4, '16:05', '2026-07-20', '2026-07-21') $$,
    'totals of a month');
select results_eq(
    $$ select * from iclock.monthly_attendance_between('2026-07-01',
                                                       '2026-07-31')
        where pin = '9003' order by site $$,
    $$ select * from iclock.monthly_attendance
        where pin = '9003' order by site $$, 'the same by a function');

-- the moment at which a day starts belongs to it, also in the nights in which
-- clocks change: 22:00 to 06:00 is nine hours, then seven

select iclock.set_site('Berlin', day_starts => '12:00');
select pg_temp.punch('T-BERLIN', '9006', t)
  from unnest(array['2026-10-24 11:59:59', '2026-10-24 12:00', '2026-10-24 22:00',
                    '2026-10-25 06:00', '2026-10-25 12:00',
                    '2026-03-28 22:00', '2026-03-29 06:00']::timestamp[]) as t;
select results_eq(
    $$ select day, punches, first_local_time::time, last_local_time::time,
              last_punched_at - timezone('Europe/Berlin', day + time '22:00')
         from iclock.shift_attendance where pin = '9006' order by day $$,
    $$ values
    (date '2026-03-28', 2::bigint, time '22:00', time '06:00',
     interval '7 hours'),
    ('2026-10-23', 1, '11:59:59', '11:59:59', '13:59:59'),
    ('2026-10-24', 3, '12:00', '06:00', '9 hours'),
    ('2026-10-25', 1, '12:00', '12:00', '-10 hours') $$,
    'boundaries of days');
select results_eq(
    $$ select * from iclock.shift_attendance_between('2026-10-24', '2026-10-24')
        where pin = '9006' $$,
    $$ select * from iclock.shift_attendance
        where pin = '9006' and day = '2026-10-24' $$, 'the same by a function');
select iclock.set_site('Berlin', day_starts => '00:00');

-- double punches

select iclock.set_site('Berlin', double_punch_interval => '1 minute');
select throws_ok(
    $$ select iclock.set_site('Berlin', double_punch_interval => $$ || i,
    '22023', null, 'not an interval of double punches: ' || i)
  from unnest(array[$$'-1 second')$$, $$'2 hours')$$]) as i;
select is((select share_people from iclock.site where name = 'Berlin'), false,
          'what is not given stays');
select pg_temp.punch('T-BERLIN', '9004', '2026-07-20 23:59:50');
select pg_temp.punch('T-BERLIN', '9004', t)
  from unnest(array['2026-07-21 00:00:10', '2026-07-21 08:00:00',
                    '2026-07-21 08:00:20', '2026-07-21 08:01:10',
                    '2026-07-21 08:02:10']::timestamp[]) as t;
select results_eq(
    $$ select day, punches, first_local_time, last_local_time
         from iclock.daily_attendance_between('2026-07-21', '2026-07-21')
        where pin = '9004' $$,
    $$ values (date '2026-07-21', 3::bigint, timestamp '2026-07-21 08:00',
               timestamp '2026-07-21 08:02:10') $$,
    'a minute from the last that counted; also over midnight');
select is((select punches from iclock.daily_attendance
            where pin = '9004' and day = '2026-07-21'), 3::bigint,
          'the view says the same');
select is((select count(*)::int from iclock.attendance where pin = '9004'), 6,
          'all are stored');
select iclock.set_site('Berlin', double_punch_interval => '2 minutes');
select pg_temp.punch('T-BERLIN', '9007', t, s)
  from (values (timestamp '2026-07-21 08:00', 0), ('2026-07-21 08:01', 1),
               ('2026-07-21 08:01:30', 1), ('2026-07-21 08:02', 4),
               ('2026-07-21 08:02', 0), ('2026-07-21 08:03:59', 0),
               ('2026-07-21 08:04', 0)) as p (t, s);
select results_eq(
    $$ select punches, first_local_time::time, last_local_time::time
         from iclock.daily_attendance where pin = '9007' $$,
    $$ values (4::bigint, time '08:00', time '08:04') $$,
    'who goes right after coming has gone, who comes again is there');
select pg_temp.punch('T-BERLIN', '9008', timestamp '2026-07-20 23:55'
                                         + n * interval '90 seconds')
  from generate_series(0, 10) as n;
select results_eq(
    $$ select day, punches, first_local_time::time, last_local_time::time
         from iclock.daily_attendance where pin = '9008' order by day $$,
    $$ values (date '2026-07-20', 2::bigint, time '23:55', time '23:58'),
              ('2026-07-21', 4, '00:01', '00:10') $$,
    'double ones of the last that counted, not of each other');
select results_eq(
    $$ select * from iclock.daily_attendance_between('2026-07-21', '2026-07-21')
        where pin = '9008' $$,
    $$ select * from iclock.daily_attendance
        where pin = '9008' and day = '2026-07-21' $$, 'the same by a function');

-- the views of many punches go by days: those of months, and of punches that
-- have none

create or replace function iclock.days_at_once()
    returns boolean
    language sql immutable
as 'select false';

insert into iclock.device (serial_number, status, site, timezone)
values ('T-LARVIK', 'active', 'Larvik', 'UTC');
select iclock.set_site('Larvik', day_starts => '12:00',
                       double_punch_interval => '1 minute');
select pg_temp.punch('T-LARVIK', '9010', t)
  from unnest(array['2000-01-01 00:00:30', '2000-01-01 08:00',
                    '2071-03-01 11:00', '2071-03-01 23:59:50',
                    '2071-03-02 00:00:20', '2071-03-02 08:00',
                    '2026-07-31 23:00', '2026-08-01 07:00',
                    '2026-08-01 12:00']::timestamp[]) as t;
select results_eq(
    $$ select day, punches from iclock.daily_attendance
        where pin = '9010' order by day $$,
    $$ values (date '2000-01-01', 2::bigint), ('2026-07-31', 1),
              ('2026-08-01', 2), ('2071-03-01', 2), ('2071-03-02', 1) $$,
    'days without a month have the time of no partition');
select results_eq(
    $$ select day, punches from iclock.shift_attendance
        where pin = '9010' order by day $$,
    $$ values (date '1999-12-31', 2::bigint), ('2026-07-31', 2),
              ('2026-08-01', 1), ('2071-02-28', 1), ('2071-03-01', 2) $$,
    'a shift begins on the day before');
select set_eq('select * from iclock.daily_attendance',
              $$ select * from iclock.daily_attendance_between('-infinity',
                                                               'infinity') $$,
              'days one by one are the days all at once');
select set_eq('select * from iclock.shift_attendance',
              $$ select * from iclock.shift_attendance_between('-infinity',
                                                               'infinity') $$,
              'and so are shifts');
create table iclock.punch_before (like iclock.punch including all);
with old as (delete from iclock.punch_default
              where local_time < '2001-01-01' returning *)
insert into iclock.punch_before select * from old;
alter table iclock.punch attach partition iclock.punch_before
    for values from (minvalue) to ('2001-01-01');
select is((select count(*)::int from iclock.daily_attendance
            where day = '2000-01-01' and pin = '9010'), 1,
          'so are days of a partition without a beginning');
create table iclock.punch_noon partition of iclock.punch
    for values from ('2081-05-10 12:00') to ('2081-05-12 06:00');
select pg_temp.punch('T-LARVIK', '9011', t)
  from unnest(array['2081-05-10 13:00', '2081-05-12 05:00']::timestamp[]) as t;
select results_eq(
    $$ select day from iclock.daily_attendance
        where day > '2081-01-01' order by day $$,
    $$ values (date '2081-05-10'), ('2081-05-12') $$,
    'a partition may begin and end within a day');
create role views_archivist;
alter table iclock.punch_before owner to views_archivist;
select is((select count(*)::int from iclock.daily_attendance
            where day = '2000-01-01' and pin = '9010'), 1,
          'a partition may belong to somebody else');
select iclock.set_site('Berlin', double_punch_interval => '1 minute');

-- records of identity verification

insert into iclock.punch (device_id, local_time, pin, status, verify, id_number,
                          record_type, punched_at)
select d.id, timestamp '2026-07-23 09:00' + n * interval '1 minute', r.pin,
       r.status, r.verify, '110101199003070011', r.record_type,
       timestamptz '2026-07-23 07:00+00' + n * interval '1 minute'
  from iclock.device d,
       (values (1, '9005', 0, 1, 1), (2, '9005', 1, 2, 1),
               (3, '9005', 2, 3, 1), (4, '9005', 2, 3, 0), (5, '0', 0, 1, 1),
               (6, '9005', 7, 9, 1))
       as r (n, pin, status, verify, record_type)
 where d.serial_number = 'T-BERLIN';
select results_eq(
    $$ select pin, record_type, status_label, direction, verify_label, counts
         from iclock.attendance where id_number <> '' order by local_time $$,
    $$ values
    ('9005', 1, 'identity verified', null, 'face', true),
    ('9005', 1, 'identity not verified', null, 'face + fingerprint', false),
    ('9005', 1, 'identity card on the blacklist', null, 'fingerprint + face',
     false),
    ('9005', 0, 'break out', 'out', 'password', true),
    ('0', 1, 'identity verified', null, 'face', false),
    ('9005', 1, null, null, null, false) $$,
    'labels by record type; what shows that a user was there');
select results_eq(
    $$ select pin, punches from iclock.daily_attendance
        where day = '2026-07-23' $$,
    $$ values ('9005', 2::bigint) $$,
    'neither failures nor the blacklist nor strangers are attendance');

-- who is there

update iclock.site set day_starts = '00:00';
-- noon on the clock, whenever the test runs
insert into iclock.device (serial_number, status, name, site, timezone)
select 'T-NOW', 'active', 'Door', 'Now',
       'Etc/GMT' || case when h >= 0 then '-' || h else '+' || -h end
  from (select 12 - extract(hour from timezone('UTC', now()))::int as h) as z;
select pg_temp.punch('T-NOW', p.pin,
                     timezone(d.timezone, now()) - p.ago, p.status)
  from iclock.device d,
       (values ('1', interval '2 hours', 0),
               ('2', '2 hours', 0), ('2', '1 hour', 1),
               ('3', '3 hours', 0), ('3', '2 hours', 2), ('3', '1 hour', 3),
               ('4', '1 hour', 255),
               ('5', '2 hours', 255), ('5', '1 hour', 255),
               ('6', '20 hours', 0),
               ('7', '5 minutes', 0), ('7', '4 minutes', 1),
               ('8', '5 minutes', 255), ('8', '4 minutes', 255))
               as p (pin, ago, status)
 where d.serial_number = 'T-NOW';
select iclock.set_site('Now', double_punch_interval => '2 minutes');
select results_eq(
    $$ select pin, direction, punches, since_first, device_name
         from iclock.present_now where site = 'Now' order by pin $$,
    $$ values ('1', 'in', 1::bigint, interval '2 hours', 'Door'),
              ('3', 'in', 3, '3 hours', 'Door'),
              ('4', null, 1, '1 hour', 'Door'),
              ('8', null, 1, '5 minutes', 'Door') $$,
    'came today and not gone');
delete from iclock.punch where pin in ('7', '8')
   and device_id = (select id from iclock.device
                     where serial_number = 'T-NOW');
select iclock.set_site('Now', day_starts => '13:30');
select results_eq(
    $$ select pin from iclock.present_now where site = 'Now' order by pin $$,
    array['1', '3', '4', '6'], 'the day of the site started yesterday');
update iclock.punch set punched_at = punched_at - interval '3 hours'
 where device_id = (select id from iclock.device
                     where serial_number = 'T-NOW');
select results_eq(
    $$ select pin from iclock.present_now where site = 'Now' order by pin $$,
    array['1', '3', '4', '6'], 'also when clocks have changed since');
update iclock.device set default_timezone = timezone, timezone = null
 where serial_number = 'T-NOW';
select results_eq(
    $$ select distinct p.pin, a.timezone = d.default_timezone
         from iclock.present_now p
         join iclock.attendance a using (serial_number, pin, local_time)
         join iclock.device d using (serial_number)
        where p.site = 'Now' order by p.pin $$,
    $$ values ('1', true), ('3', true), ('4', true), ('6', true) $$,
    'or the zone is that of the nginx location');

-- a terminal that goes to another site, where its PINs are other people

insert into iclock.device (serial_number, status, name, site, timezone)
values ('T-MOVES', 'active', 'Van', 'Oslo', 'Europe/Oslo'),
       ('T-OSLO', 'active', 'Door', 'Oslo', 'Europe/Oslo'),
       ('T-ROME', 'active', 'Door', 'Rome', 'Europe/Rome');
insert into iclock.device (serial_number, status, site, sandbox)
values ('T-SIM', 'active', 'Oslo', true);
insert into iclock.device_user (device_id, pin, name)
select d.id, '9100', u.name
  from iclock.device d
  join (values ('T-MOVES', 'Gino'), ('T-OSLO', 'Kari'), ('T-ROME', 'Gino'))
       as u (serial_number, name) using (serial_number);
insert into iclock.device_user (device_id, pin, name, updated_at)
values (pg_temp.device('T-SIM'), '9100', 'Simulated', now() + interval '1 day');
select pg_temp.punch(d, '9100', t)
  from (values ('T-OSLO', timestamp '2026-06-01 08:00'),
               ('T-MOVES', '2026-06-01 09:00'),
               ('T-MOVES', '2026-06-01 11:59:59'),
               ('T-MOVES', '2026-06-01 12:00'),
               ('T-ROME', '2026-06-01 13:00')) as p (d, t);
select results_eq(
    $$ select site, punches, first_local_time::time, last_local_time::time
         from iclock.daily_attendance where pin = '9100' order by site $$,
    $$ values ('Oslo', 4::bigint, time '08:00', time '12:00'),
              ('Rome', 1, '13:00', '13:00') $$, 'before');
select iclock.move_device('T-MOVES', 'Rome', '2026-06-01 12:00');
select results_eq(
    $$ select site, user_name, punches, first_local_time::time,
              last_local_time::time
         from iclock.daily_attendance where pin = '9100' order by site $$,
    $$ values ('Oslo', 'Kari', 3::bigint, time '08:00', time '11:59:59'),
              ('Rome', 'Gino', 2, '12:00', '13:00') $$,
    'what it recorded before stays there, with the names of the people there');
select results_eq(
    $$ select site, count(*)::int from iclock.attendance
        where pin = '9100' and site in ('Oslo', 'Rome')
        group by site order by site $$,
    $$ values ('Oslo', 3), ('Rome', 2) $$, 'no punch is lost or doubled');
select throws_ok($$ select iclock.move_device('T-MOVES', $$ || bad, code, null,
                 'refused: ' || bad)
  from (values ($$'Oslo', '2026-06-01 12:00')$$, '22023'),
               ($$'Oslo', localtimestamp + interval '2 days')$$, '22023'),
               ($$null)$$, '22004'), ($$' ')$$, '22023')) as v (bad, code);
select throws_ok($$ select iclock.move_device('T-NONE', 'Oslo') $$, 'P0002',
                 null, 'no such device');
select iclock.move_device('T-MOVES', 'Rome', '2026-05-01');
select iclock.move_device('T-MOVES', 'Oslo');
select results_eq(
    $$ select s.site, s.starts, s.ends
         from iclock.device_site s
         join iclock.device d on d.id = s.device_id
        where d.serial_number = 'T-MOVES' order by s.starts $$,
    $$ select 'Oslo', timestamp '-infinity', timestamp '2026-06-01 12:00'
       union all
       select 'Rome', '2026-06-01 12:00',
              timezone('Europe/Oslo', now()) $$, 'there and back, now');
select is((select site from iclock.device where serial_number = 'T-MOVES'),
          'Oslo', 'where it is');
select results_eq(
    $$ select site, punches from iclock.daily_attendance
        where pin = '9100' order by site $$,
    $$ values ('Oslo', 3::bigint), ('Rome', 2) $$, 'nothing of the past changes');
select iclock.set_device('T-ROME', site => 'Roma');
select is((select site from iclock.daily_attendance
            where pin = '9100' and first_local_time = '2026-06-01 13:00'),
          'Roma', 'another name of the site holds for all');

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
         from iclock.device_status
        where serial_number in ('T-BERLIN', 'T-KOLKATA', 'T-UTC') order by 1 $$,
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

update iclock.device set delay = 900, last_seen = now() - interval '20 minutes'
 where serial_number = 'T-BERLIN';
select is((select online from iclock.device_status
            where serial_number = 'T-BERLIN'), true,
          'a device that comes every 15 minutes, after 20');
update iclock.device set last_seen = now() - interval '46 minutes'
 where serial_number = 'T-BERLIN';
select is((select online from iclock.device_status
            where serial_number = 'T-BERLIN'), false, 'after three silent turns');
update iclock.device set delay = null, last_seen = now() - interval '6 minutes'
 where serial_number = 'T-BERLIN';
select is((select online from iclock.device_status
            where serial_number = 'T-BERLIN'), false, 'five minutes for others');

select * from finish();
rollback;
