-- The shape of the schema.

\ir ../fixtures/pgtap.psql

select has_schema('iclock');
select set_has('select version from iclock.schema_version',
               'select unnest(array[1, 2])', 'every migration is recorded');

select has_table('iclock', t, t)
  from unnest(array['device', 'device_option', 'upload_stamp', 'operation',
                    'device_user', 'template', 'photo', 'identity_card',
                    'work_code', 'device_error', 'rejected_line', 'command',
                    'verify_label', 'status_label', 'command_result_label',
                    'label',
                    'refused_answer', 'site', 'upgrade', 'attendance_check',
                    'job', 'share_backlog', 'role_site', 'removed_person',
                    'removed_from', 'api_key', 'api_idempotency', 'api_audit',
                    'stream_token', 'person', 'condition', 'device_refusal',
                    'device_pulse', 'device_day', 'punch_rate',
                    'punch_tally']) as t;
select is_partitioned('iclock', 'punch', 'punch is partitioned');
select has_view('iclock', v, v)
  from unnest(array['attendance', 'daily_attendance', 'device_status',
                    'device_setting', 'command_status', 'reconciliation',
                    'device_storage',
                    'shift_attendance', 'monthly_attendance', 'present_now',
                    'operation_log', 'device_error_log',
                    'attendance_photo']) as v;

select col_is_pk('iclock', t, columns, 'key of ' || t)
  from (values
    ('punch'::name,
     '{device_id,local_time,pin,status,verify}'::name[]),
    ('device_option'::name,
     '{device_id,name}'::name[]),
    ('upload_stamp'::name,
     '{device_id,table_name}'::name[]),
    ('device_user'::name,
     '{device_id,pin}'::name[]),
    ('template'::name,
     '{device_id,pin,type,no,index,major_version}'::name[]),
    ('photo'::name,
     '{device_id,kind,file_name,type}'::name[]),
    ('identity_card'::name,
     '{device_id,id_number}'::name[]),
    ('work_code'::name,
     '{device_id,code}'::name[]))
    as k (t, columns);
select col_is_pk('iclock', 'operation',
                     '{device_id,local_time,code,operator,object1,object2,object3,object4}'::name[],
                     'an operation is stored once');
select col_is_unique('iclock', 'device', '{serial_number}'::name[],
                     'a serial number is one device');

select col_type_is('iclock', 'punch', 'local_time',
                   'timestamp without time zone', 'local_time has no zone');
select col_type_is('iclock', 'punch', 'punched_at',
                   'timestamp with time zone', 'punched_at is a moment');

-- comments

select is_empty(
    $$ select c.relname
         from pg_class c
        where c.relnamespace = 'iclock'::regnamespace
          and c.relkind in ('r', 'p', 'v')
          and obj_description(c.oid, 'pg_class') is null $$,
    'every table and view has a comment');
select is_empty(
    $$ select c.relname, a.attname
         from pg_class c
         join pg_attribute a on a.attrelid = c.oid
        where c.relnamespace = 'iclock'::regnamespace
          and c.relkind in ('r', 'p', 'v')
          and not c.relispartition
          and a.attnum > 0 and not a.attisdropped
          and col_description(c.oid, a.attnum) is null $$,
    'every column has a comment');
select is_empty(
    $$ select oid::regprocedure
         from pg_proc
        where pronamespace = any (array['iclock',
                                        'iclock_api']::regnamespace[])
          and obj_description(oid, 'pg_proc') is null $$,
    'every function has a comment');
select is_empty(
    $$ select oid::regprocedure
         from pg_proc
        where pronamespace = any (array['iclock',
                                        'iclock_api']::regnamespace[])
          and prosecdef
          and not exists (select
                            from unnest(proconfig) as c
                           where c ~ ('^search_path=pg_catalog'
                                      '(, iclock)?, pg_temp$')) $$,
    'SECURITY DEFINER functions do not follow the search path of the caller');

select is_empty(
    $$ select t.oid::regtype
         from pg_type t
        where t.typnamespace = 'iclock_api'::regnamespace
          and t.typtype <> 'b' and t.typelem = 0
          and obj_description(t.oid, 'pg_type') is null $$,
    'every type has a comment');
select is_empty(
    $$ select p.oid::regprocedure, r.name
         from pg_proc p
        cross join unnest(array['public', 'iclock_module', 'iclock_operator',
                                'iclock_reader']) as r (name)
        where p.pronamespace = 'iclock_api'::regnamespace
          and has_function_privilege(r.name, p.oid, 'execute') $$,
    'what the API calls is for nobody else');
select set_eq(
    $$ select p.proname
         from pg_proc p
        where p.pronamespace = 'iclock_api'::regnamespace
          and p.prosecdef $$,
    $$ select p.proname
         from pg_proc p
        where p.pronamespace = 'iclock_api'::regnamespace
          and has_function_privilege('iclock_api', p.oid, 'execute') $$,
    'nginx may execute what runs as the owner, and the rest goes by that');

-- functions are made before the tables that they name: nobody has looked at them

select lives_ok($test$
    do $do$
    declare
        definition  text;
    begin
        for definition in
            select pg_get_functiondef(p.oid)
              from pg_proc p
             where p.pronamespace = any (array['iclock',
                                               'iclock_api']::regnamespace[])
               and p.prokind = 'f'
        loop
            execute definition;
        end loop;
    end
    $do$ $test$, 'the bodies of all functions are valid');

-- time zones

select ok(iclock.is_time_zone(z), z || ' is a time zone')
  from unnest(array['UTC', 'GMT', 'Europe/Berlin', 'Asia/Kolkata',
                    'America/Port-au-Prince', 'America/Argentina/Buenos_Aires',
                    'Etc/GMT+5', 'Etc/GMT-14', 'Japan', 'Singapore']) as z;
select ok(not iclock.is_time_zone(z), to_json(z) || ' is not a time zone')
  from unnest(array['', 'IST', 'EST', 'UTC+5', 'UTC5', 'Europe/Berlin2',
                    'Europe/Nowhere', 'Foo', 'Etc/GMT+99', '+05:30', '5.5',
                    'Europe/Berlin ', E'Europe/Berlin\n', 'posixrules',
                    '../../etc/passwd']) as z;
select is(iclock.is_time_zone(null), null, 'no time zone');

-- constraints of device

insert into iclock.device (serial_number, status, timezone)
values ('T0001', 'active', 'Asia/Kolkata');

select throws_ok(
    format('update iclock.device set %s where serial_number = %L', bad,
           'T0001'),
    '23514', null, 'refused: ' || bad)
  from unnest(array[
    $$ serial_number = '' $$,
    $$ serial_number = E'A\nB' $$,
    $$ status = 'asleep' $$,
    $$ timezone = 'Mars/Olympus' $$,
    $$ comm_key = '' $$,
    $$ comm_key = E'a\tb' $$,
    $$ encoding = 'a b' $$,
    $$ dialect = '2.3' $$,
    $$ delay = 0 $$,
    $$ error_delay = -1 $$,
    $$ trans_interval = -1 $$,
    $$ trans_times = E'00:00\rICLOCKSVRURL=http://x' $$,
    $$ trans_flag = E'tabs AttLog\nUN' $$,
    $$ trans_flag = 'commas AttLog' $$,
    $$ push_options = E'a\nb' $$,
    $$ multi_bio_data = E'0:1\n' $$,
    $$ multi_bio_photo = E'\x7f' $$,
    $$ max_push_version = '2.x' $$,
    $$ command_limit = 0 $$,
    $$ allowed_networks = array[null]::cidr[] $$]) as bad;

select lives_ok(
    $$ update iclock.device
          set trans_flag = 'tabs AttLog OpLog', trans_times = '00:00;14:05',
              delay = 10, error_delay = 30, trans_interval = 1, realtime = true,
              send_timezone = false, bare_stamps = false,
              push_options = 'FingerFunOn,FaceFunOn',
              multi_bio_data = '0:1:1:0:0:0:0:0:0:0', command_limit = 1,
              max_push_version = '2.2.14', encoding = 'GB18030',
              allowed_networks = '{10.0.0.0/8,fd00::/8}', comm_key = '88888888'
        where serial_number = 'T0001' $$,
    'sane overrides are taken');

-- keys too long for an index fail as data errors

select throws_ok(
    $$ insert into iclock.punch (device_id, local_time, pin)
       values (1, '2026-01-01', repeat('7', 3000)) $$,
    '23514', null, 'a PIN of 3000 bytes');
select throws_ok(
    $$ insert into iclock.operation (device_id, local_time, code, object1)
       select id, '2026-01-01', 5, repeat('7', 3000) from iclock.device $$,
    '23514', null, 'an object of 3000 bytes');

-- what is sent again is kept once

select lives_ok(
    $$ insert into iclock.rejected_line (device_id, table_name, line, reason)
       select id, 'ATTLOG', decode(repeat('00ff', 1000000), 'hex'), 'bad time'
         from iclock.device, generate_series(1, 2)
        where serial_number = 'T0001'
       on conflict do nothing $$,
    'a rejected line of two megabytes, twice');
select is((select count(*)::int from iclock.rejected_line), 1, 'kept once');

insert into iclock.device_error (device_id, code, message)
select id, 'D01E0001', 'no face' from iclock.device, generate_series(1, 2)
 where serial_number = 'T0001'
on conflict do nothing;
select is((select count(*)::int from iclock.device_error), 1,
          'an error sent again is kept once');
insert into iclock.device_error (device_id, code, message, received_at)
select id, 'D01E0001', 'no face', now() + interval '2 days' from iclock.device
 where serial_number = 'T0001'
on conflict do nothing;
select is((select count(*)::int from iclock.device_error), 2,
          'and once more on another day');

-- devices that have punches stay

insert into iclock.punch (device_id, local_time, pin)
select id, '2026-01-01 08:00', '1' from iclock.device
 where serial_number = 'T0001';

select throws_ok(
    $$ delete from iclock.device where serial_number = 'T0001' $$,
    '23503', 'device "T0001" has punches and cannot be deleted');
select throws_ok(
    $$ update iclock.device set id = id + 1 where serial_number = 'T0001' $$,
    '23503', 'the id of device "T0001" cannot change');

delete from iclock.punch
 where device_id = (select id from iclock.device where serial_number = 'T0001');
select lives_ok(
    $$ delete from iclock.device where serial_number = 'T0001' $$,
    'without punches it can be deleted');
select is((select count(*)::int from iclock.rejected_line), 0,
          'with all that belongs to it');

select throws_ok(
    $$ insert into iclock.command (device_id, body)
       values (1, E'CHECK\nREBOOT') $$,
    '23514', null, 'two commands in one');

select * from finish();
rollback;
