-- Labels: every row of the documents' tables, and the logs that use them.

\ir ../fixtures/pgtap.psql

create temp table documented (kind text, dialect text, code text, meaning text,
                              primary key (kind, dialect, code));
\ir ../fixtures/labels.psql

-- what the tables say, a row for each dialect and code
create temp view label as
select kind, dialect, code, label from iclock.label
union all
select case record_type when 1 then 'verify of identity' else 'verify' end,
       dialect, code::text, label
  from iclock.verify_label
union all
select case record_type when 1 then 'status of identity' else 'status' end,
       dialect, code::text, label
  from iclock.status_label;

select cmp_ok((select count(*)::int from documented), '>', 350,
              'the documents');
select is((select l.label from label l
            where l.kind = d.kind and l.dialect = d.dialect
              and l.code = d.code),
          d.meaning, format('%s %s %s', d.dialect, d.kind, d.code))
  from documented d where d.kind !~ '^result';
select is_empty(
    $$ select l.kind, l.dialect, l.code from label l
       except
       select d.kind, d.dialect, d.code from documented d $$,
    'no label that nothing documents');

-- results, as view command_status finds them

insert into iclock.device (serial_number, status, dialect, name, site)
values ('L-2.4', 'active', '2.4', 'Gate', 'Pune'),
       ('L-3.2', 'active', '3.2', null, null);
insert into iclock.command (device_id, body, status, attempts, return_code)
select v.id, case when d.kind = 'result' then 'CHECK'
                  else substr(d.kind, 8) || ' PIN=1' end,
       case when d.code = '0' then 'done' else 'failed' end, 1, d.code::integer
  from documented d
  join iclock.device v on v.serial_number = 'L-' || d.dialect
 where d.kind ~ '^result';
select is((select c.result from iclock.command_status c
             join iclock.command k using (id)
            where c.serial_number = 'L-' || d.dialect
              and c.return_code = d.code::integer
              and k.body = case when d.kind = 'result' then 'CHECK'
                                else substr(d.kind, 8) || ' PIN=1' end),
          d.meaning, format('%s %s %s', d.dialect, d.kind, d.code))
  from documented d where d.kind ~ '^result';
select is_empty(
    $$ select r.command, r.dialect, r.code from iclock.command_result_label r
        where not exists (
            select from documented d
             where d.kind = trim('result ' || r.command)
               and r.dialect in ('', d.dialect)
               and d.code = r.code::text)
          and (r.command, r.dialect) <> ('', '') $$,
    'no result that nothing documents');

-- operations

insert into iclock.device_user (device_id, pin, name)
select d.id, u.pin, u.name
  from iclock.device d,
       (values ('14', 'Ravi Nair'), ('5', 'Asha Rao')) as u (pin, name)
 where d.serial_number like 'L-%';
insert into iclock.operation (device_id, local_time, code, operator, object1,
                              object2, object3, object4)
select d.id, timestamp '2026-07-01 08:00' + o.code * interval '1 minute',
       o.code, o.operator, o.object1, o.object2, o.object3, '0'
  from iclock.device d,
       (values (6, '14', '5', '1', '1024'), (4, '14', '0', '0', '0'),
               (3, '0', '54', '0', '0'), (5, '9', 'DHCP', '0', '0'),
               (9, '14', '5', '0', '0'), (2, '0', '0', '0', '0'),
               (33, '14', '5', '0', '0'), (101, '0', '5', '0', '0'))
       as o (code, operator, object1, object2, object3)
 where d.serial_number like 'L-%';
insert into iclock.operation (device_id, local_time, code, object1, object2)
select d.id, '2026-07-01 11:00', 3, 'Alarm', '55' from iclock.device d
 where d.serial_number = 'L-2.4';
select results_eq(
    $$ select serial_number, code, operation, operator_name, pin, user_name,
              alarm
         from iclock.operation_log where serial_number like 'L-%'
        order by serial_number, local_time $$,
    $$ values
    ('L-2.4', 2, 'verification failed', null, null, null, null),
    ('L-2.4', 3, 'alarm', null, null, null, 'door forced open'),
    ('L-2.4', 4, 'menu opened', 'Ravi Nair', null, null, null),
    ('L-2.4', 5, 'setting changed', null, null, null, null),
    ('L-2.4', 6, 'fingerprint enrolled', 'Ravi Nair', '5', 'Asha Rao', null),
    ('L-2.4', 9, 'user deleted', 'Ravi Nair', '5', 'Asha Rao', null),
    ('L-2.4', 33, null, 'Ravi Nair', null, null, null),
    ('L-2.4', 101, null, null, null, null, null),
    ('L-2.4', 3, 'alarm', null, null, null, 'device tampered with'),
    ('L-3.2', 2, 'verification failed', null, null, null, null),
    ('L-3.2', 3, 'alarm', null, null, null, 'door forced open'),
    ('L-3.2', 4, 'menu opened', 'Ravi Nair', null, null, null),
    ('L-3.2', 5, 'setting changed', null, null, null, null),
    ('L-3.2', 6, 'fingerprint enrolled', 'Ravi Nair', '5', 'Asha Rao', null),
    ('L-3.2', 9, 'user deleted', 'Ravi Nair', '5', 'Asha Rao', null),
    ('L-3.2', 33, 'user changed', 'Ravi Nair', null, null, null),
    ('L-3.2', 101, null, null, null, null, null) $$,
    'operations by dialect, with names and reasons');
select results_eq(
    $$ select object1, object1_label, object2, object2_label, object3,
              object3_label
         from iclock.operation_log
        where serial_number = 'L-2.4' and code in (5, 6) order by code $$,
    $$ values
    ('DHCP', 'number of the setting', '0', 'new value', '0', null),
    ('5', 'PIN', '1', 'number of the fingerprint', '1024',
     'length of the template') $$, 'what their objects are');

-- errors

delete from iclock.command;
insert into iclock.command (id, device_id, body, status, attempts, return_code)
select c.id, d.id, c.body, 'failed', 1, c.code
  from (values
    (5000000007, 'L-2.4', E'DATA UPDATE BIOPHOTO PIN=5\tContent=secret', -1007),
    (6000000007, 'L-2.4', E'DATA UPDATE BIODATA Pin=14\tTmp=secret', -12),
    (7000000007, 'L-3.2', 'CHECK', 0)) as c (id, sn, body, code)
  join iclock.device d on d.serial_number = c.sn;
update iclock.command set created_at = now() - interval '1 year'
 where id = 5000000007;
insert into iclock.device_error (device_id, code, message, origin, command_id,
                                 received_at)
select d.id, e.code, e.message, e.origin, e.command_id, now() + e.after
  from iclock.device d,
       (values ('D01E0004', 'angle', 'cmd', '7', interval '0'),
               ('D01E0001', 'no face', 'cmd', '7', '-1 month'),
               ('D02E0099', 'x', 'dev', '', '1 second'),
               ('D01E0006', 'y', 'cmd', '99999999999999999999', '2 seconds'),
               ('strange', 'z', '', 'info8487', '3 seconds'))
       as e (code, message, origin, command_id, after)
 where d.serial_number = 'L-2.4';
select results_eq(
    $$ select code, label, generator, module, origin_label, command_id, command,
              pin, command_status, result
         from iclock.device_error_log where serial_number = 'L-2.4'
        order by received_at $$,
    $$ values
    ('D01E0001', 'no face found', 'device', 'push communication',
     'a command of the server', 5000000007, 'DATA UPDATE BIOPHOTO', '5',
     'failed', 'memory error'),
    ('D01E0004', 'the face is turned too far', 'device', 'push communication',
     'a command of the server', 6000000007, 'DATA UPDATE BIODATA', '14',
     'failed', 'the template is not valid'),
    ('D02E0099', null, 'device', 'templates', 'the device itself', null, null,
     null, null, null),
    ('D01E0006', 'no template could be extracted', 'device',
     'push communication', 'a command of the server', null, null, null, null,
     null),
    ('strange', null, null, null, null, null, null, null, null, null) $$,
    'errors with the youngest command that the device can have meant');
select is_empty(
    $$ select e from iclock.device_error_log e where e::text ~ 'secret' $$,
    'but not with the fields of the command');

insert into iclock.command (device_id, body, status)
select d.id, 'LOG', 'done'
  from iclock.device d, generate_series(1, 5000)
 where d.serial_number = 'L-2.4';
insert into iclock.device_error (device_id, code, message, command_id,
                                 received_at)
select d.id, 'D01E0004', 'many', n::text, now()
  from iclock.device d, generate_series(1, 200) as n
 where d.serial_number = 'L-2.4';
create temp table read_before as
select seq_tup_read as tuples from pg_stat_xact_all_tables
 where relid = 'iclock.command'::regclass;
create temp table found as
select command_id from iclock.device_error_log where message = 'many';
select is((select s.seq_tup_read - b.tuples
             from pg_stat_xact_all_tables s, read_before b
            where s.relid = 'iclock.command'::regclass), 0::bigint,
          'commands are found without reading all of them');
select is((select max(command_id) from found), 6000000007,
          'also for many errors');
delete from iclock.command where body = 'LOG';
delete from iclock.device_error where message = 'many';

-- languages, photos

update iclock.device set language = '83' where serial_number like 'L-%';
select results_eq(
    $$ select language_label from iclock.device_status
        where serial_number like 'L-%' order by serial_number $$,
    array['Chinese, simplified', 'Chinese'], 'languages');
insert into iclock.photo (device_id, kind, file_name, pin, taken_at, result,
                          content)
select d.id, p.kind, p.file_name, '5', '2026-07-01 08:00', p.result, '\x0102'
  from iclock.device d,
       (values ('attendance', 'a.jpg', 0), ('attendance', 'b.jpg', 2),
               ('attendance', 'c.jpg', 9), ('user', 'd.jpg', -1))
       as p (kind, file_name, result)
 where d.serial_number = 'L-2.4';
select results_eq(
    $$ select file_name, user_name, result_label, bytes
         from iclock.attendance_photo where serial_number = 'L-2.4'
        order by file_name $$,
    $$ values ('a.jpg', 'Asha Rao', 'attendance, verified', 2),
              ('b.jpg', 'Asha Rao', 'on the blacklist', 2),
              ('c.jpg', 'Asha Rao', null, 2) $$, 'photos of punches');

insert into iclock.identity_card (device_id, id_number, pin, name, gender,
                                  nation)
select d.id, c.id_number, '5', 'Wang', c.gender, c.nation
  from iclock.device d,
       (values ('1', 1, 1), ('2', 2, 56), ('3', 9, 77))
       as c (id_number, gender, nation)
 where d.serial_number = 'L-2.4';
select results_eq(
    $$ select id_number, gender_label, nation_label
         from iclock.identity_card_log where serial_number = 'L-2.4'
        order by id_number $$,
    $$ values ('1', 'male', 'Han'), ('2', 'female', 'Jino'),
              ('3', null, null) $$, 'identity cards');
select ok(has_table_privilege('iclock_reader_cards', 'iclock.identity_card_log',
                              'select')
          and not has_table_privilege('iclock_reader',
                                      'iclock.identity_card_log', 'select'),
          'which are for those who may see them');

-- names for programs

select results_eq(
    $$ select iclock.punch_type(d, s)
         from unnest(array['2.4', '3.2']) as d, generate_series(0, 6) as s
        order by d, s $$,
    $$ select unnest(array['CheckIn', 'CheckOut', 'BreakOut', 'BreakIn',
                           'OvertimeIn', 'OvertimeOut', 'Other',
                           'CheckIn', 'CheckOut', 'BreakIn', 'BreakOut',
                           'BreakIn', 'BreakOut', 'Other']) $$,
    'kinds of punch by the dialect');
select results_eq(
    $$ select iclock.punch_type('2.4', s, 1) from unnest(array[0, 255]) as s
       union all
       select iclock.punch_type('2.4', 255) $$,
    $$ select 'Other'::text from generate_series(1, 3) $$,
    'an identity card and a punch without a direction are none of them');
insert into iclock.status_label (dialect, code, label, direction)
values ('2.4', 7, 'canteen', 'in');
update iclock.status_label set direction = 'in'
 where dialect = '2.4' and code = 5;
select is(iclock.punch_type('2.4', 7) || ' ' || iclock.punch_type('2.4', 5),
          'CheckIn CheckIn', 'what a site has made of a code');

select is_empty(
    $$ select v.dialect, v.code, v.label,
              iclock.punch_method(v.dialect, v.code, v.record_type)
         from iclock.verify_label v
        where iclock.punch_method(v.dialect, v.code, v.record_type)
              is distinct from case
              -- either is one of two ways, or both are more than one
              when v.code in (14, 142) then 'Multi'
              when v.label ~ ' or ' then 'Other'
              when v.label ~ '[+]' then 'Multi'
              else (select m.name
                      from (values
                        ('fingerprint', 'Fingerprint'), ('face', 'Face'),
                        ('card', 'Card'), ('badge', 'Card'),
                        ('badge, not validated', 'Card'), ('palm', 'Palm'),
                        ('password', 'Password'), ('PIN', 'Pin'),
                        ('PIN, not validated', 'Pin'),
                        ('finger vein', 'FingerVein'), ('any', 'Other'),
                        ('other', 'Other'))
                           as m (label, name)
                     where m.label = v.label)
              end $$,
    'ways to verify have the names of their labels');
insert into iclock.verify_label (dialect, code, label)
values ('2.4', 99, 'face, visible light');
select is(iclock.punch_method('2.4', 99) || ' '
          || iclock.punch_method('2.4', 98) || ' '
          || iclock.punch_method('2.4', -1),
          'Face Other Other', 'a code of a site, one that nobody knows');

-- a site's own words stay

update iclock.label set label = 'eigenes Wort'
 where kind = 'alarm' and dialect = '2.4' and code = '50';
\ir ../../sql/labels.sql
select is((select label from iclock.label
            where kind = 'alarm' and dialect = '2.4' and code = '50'),
          'eigenes Wort', 'an upgrade changes no label');

select * from finish();
rollback;
