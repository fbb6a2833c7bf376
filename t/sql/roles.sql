-- Who may do what.

\ir ../fixtures/pgtap.psql
-- roles are the cluster's, and another file may make some at the same time
lock table pg_catalog.pg_authid in share row exclusive mode;

select has_role(r) from unnest(array['iclock_module', 'iclock_operator',
                                     'iclock_reader', 'iclock_reader_cards',
                                     'iclock_shell']) as r;
select is_empty(
    $$ select rolname from pg_roles
        where rolname in ('iclock_module', 'iclock_operator', 'iclock_reader',
                          'iclock_reader_cards', 'iclock_shell')
          and (rolcanlogin or rolsuper or rolcreaterole or rolcreatedb) $$,
    'the roles can neither log in nor administrate');

-- secrets

select ok(not has_column_privilege(r, 'iclock.' || t, c, 'select'),
          format('%s does not see %s.%s', r, t, c))
  from unnest(array['iclock_reader', 'iclock_operator']) as r,
       (values ('device', 'comm_key'), ('device_user', 'password'),
               ('device_user', 'card'), ('device_user', 'vice_card'),
               ('identity_card', 'id_number'), ('identity_card', 'name'),
               ('punch', 'id_number'), ('punch', 'extra'),
               ('photo', 'id_number'), ('template', 'data'), ('photo', 'content'),
               ('identity_card', 'photo'), ('identity_card', 'fp_template1'),
               ('identity_card', 'fp_template2'), ('device_option', 'value'),
               ('command', 'body'), ('rejected_line', 'line')) as s (t, c);
select ok(has_column_privilege('iclock_reader', 'iclock.' || t, c, 'select'),
          format('iclock_reader sees %s.%s', t, c))
  from (values ('device', 'serial_number'), ('device', 'timezone'),
               ('device_user', 'name'), ('template', 'type'),
               ('photo', 'file_name'),
               ('punch', 'pin'), ('operation', 'code'), ('command', 'status'),
               ('rejected_line', 'reason')) as s (t, c);
select ok(has_column_privilege('iclock_reader_cards', 'iclock.' || t, c,
                               'select'),
          format('iclock_reader_cards sees %s.%s', t, c))
  from (values ('device_user', 'card'), ('device_user', 'vice_card'),
               ('identity_card', 'id_number'), ('identity_card', 'name'),
               ('punch', 'id_number'), ('photo', 'id_number')) as s (t, c);
select ok(not has_column_privilege('iclock_reader_cards', 'iclock.' || t, c,
                                   'select'),
          format('iclock_reader_cards does not see %s.%s', t, c))
  from (values ('device_user', 'password'), ('identity_card', 'photo'),
               ('identity_card', 'fp_template1'), ('photo', 'content'),
               ('identity_card', 'fp_template2')) as s (t, c);

-- writing

select is_empty(
    format($$ select c.relname, p.privilege
                from pg_class c,
                     unnest(array['insert', 'update', 'delete', 'truncate'])
                     as p (privilege)
               where c.relnamespace = 'iclock'::regnamespace
                 and c.relkind in ('r', 'p', 'v')
                 and has_table_privilege(%L, c.oid, p.privilege) $$, r),
    r || ' writes no table')
  from unnest(array['iclock_reader', 'iclock_operator', 'iclock_reader_cards',
                    'iclock_shell']) as r;
select is_empty(
    $$ select c.relname
         from pg_class c
        where c.relnamespace = 'iclock'::regnamespace
          and c.relkind in ('r', 'p')
          and (has_table_privilege('iclock_module', c.oid, 'delete')
               or has_table_privilege('iclock_module', c.oid, 'truncate')) $$,
    'nginx deletes nothing');
select ok(not has_any_column_privilege('iclock_module', 'iclock.command',
                                       'select, insert, update'),
          'nginx touches commands through functions only');
select ok(not has_table_privilege('iclock_module', 'iclock.device', 'insert'),
          'nginx inserts devices through a function only');
select ok(not has_column_privilege('iclock_module', 'iclock.device', c,
                                   'update'),
          'nginx does not change device.' || c)
  from unnest(array['status', 'comm_key', 'allowed_networks', 'timezone',
                    'serial_number']) as c;
select ok(not has_schema_privilege(r, 'iclock', 'create'),
          r || ' creates nothing in the schema')
  from unnest(array['iclock_module', 'iclock_operator', 'iclock_reader',
                    'public']) as r;

-- functions

select is_empty(
    $$ select oid::regprocedure from pg_proc
        where pronamespace = 'iclock'::regnamespace
          and has_function_privilege('public', oid, 'execute')
          and proname not in ('visible_sites', 'visible_devices',
                              'visible_stays', 'stood_there', 'may_see',
                              'punch_days', 'attendance_day',
                              'days_at_once') $$,
    'no function is for everyone, but what views and policies ask');
select set_eq(
    $$ select proname from pg_proc
        where pronamespace = 'iclock'::regnamespace
          and has_function_privilege('iclock_module', oid, 'execute')
          and not has_function_privilege('public', oid, 'execute') $$,
    array['register_devices', 'dequeue_commands', 'answer_commands',
          'return_commands',
          'due_devices', 'maintain', 'no_device', 'verify_due',
          'other_database',
          'remote_attendance',
          'last_punch', 'upgrade_file', 'self_service', 'verify_decision',
          'is_time_zone', 'is_line_text', 'is_trans_flag',
          'is_trans_times', 'refresh_timezones',
          'watch_events', 'statistics', 'counted_commands',
          'store_punches']::name[],
    'functions of nginx');
select is_empty(
    $$ select proname from pg_proc
        where pronamespace = 'iclock'::regnamespace
          and has_function_privilege('iclock_reader', oid, 'execute')
          and not has_function_privilege('public', oid, 'execute')
          and prosecdef $$,
    'functions of readers have no other rights than readers');
select is_empty(
    $$ select proname from pg_proc
        where pronamespace = 'iclock'::regnamespace
          and has_function_privilege('iclock_operator', oid, 'execute')
          and has_function_privilege('iclock_module', oid, 'execute')
          and not has_function_privilege('public', oid, 'execute') $$,
    'operators and nginx share no function');

-- as the roles

insert into iclock.device (serial_number, status, comm_key)
values ('T0001', 'active', 'secret');
insert into iclock.device_option (device_id, name, value)
select id, o.name, o.value
  from iclock.device,
       (values ('FWVersion', 'Ver 6.60'), ('~DeviceName', 'Gate'),
               ('MultiBioVersion', '0:10'), ('ComKey', '4711'),
               ('PushComKey', '4711'), ('CardKey', '4711'),
               ('WifiPassword', 'hidden'), ('WirelessPSK', 'hidden'),
               ('AdminPW', 'hidden'), ('HttpAuth', 'hidden'),
               ('Unknown', 'hidden')) as o (name, value)
 where serial_number = 'T0001';

select is(pg_temp.as_role('iclock_reader', s), 'ok', 'reader: ' || s)
  from unnest(array[
    'select * from iclock.attendance',
    'select * from iclock.daily_attendance',
    'select * from iclock.daily_attendance_between(''2026-01-01'', ''2026-01-31'')',
    'select * from iclock.shift_attendance',
    'select * from iclock.shift_attendance_between(''2026-01-01'', ''2026-01-31'')',
    'select * from iclock.monthly_attendance',
    'select * from iclock.monthly_attendance_between(''2026-01-01'', ''2026-01-31'')',
    'select * from iclock.present_now',
    'select * from iclock.operation_log',
    'select * from iclock.device_error_log',
    'select * from iclock.attendance_photo',
    'select * from iclock.label',
    'select * from iclock.device_status',
    'select * from iclock.device_setting',
    'select * from iclock.command_status',
    'select count(*), min(pin), max(local_time) from iclock.punch',
    'select serial_number, status from iclock.device']) as s;
select is(pg_temp.as_role('iclock_reader', s), '42501', 'not reader: ' || s)
  from unnest(array[
    'select * from iclock.device',
    'select password from iclock.device_user',
    'select data from iclock.template',
    'select content from iclock.photo',
    'select * from iclock.device_user',
    'select iclock.queue_command(''T0001'', ''CHECK'')',
    'select iclock.maintain()',
    'select * from iclock.dequeue_commands(''{1}'', ''{1}'', ''{1}'', ''{1}'', ''{1}'')']) as s;

select is(pg_temp.as_role('iclock_operator', s), 'ok', 'operator: ' || s)
  from unnest(array[
    'select iclock.queue_command(''T0001'', ''CHECK'')',
    'select iclock.put_user(''T0001'', ''1'', ''A'')',
    'select iclock.block_device(''T0001'')',
    'select iclock.approve_device(''T0001'')',
    'select * from iclock.attendance',
    'select id, status, reply from iclock.command']) as s;
select is(pg_temp.as_role('iclock_operator', s), '42501', 'not operator: ' || s)
  from unnest(array[
    'insert into iclock.command (device_id, body) values (1, ''SHELL reboot'')',
    'select iclock.queue_command(''T0001'', ''SHELL reboot'')',
    'update iclock.device set status = ''active''',
    'select body from iclock.command',
    'select comm_key from iclock.device',
    'select iclock.register_devices(''{X001}'', ''{active}'', ''{9}'')',
    'select iclock.maintain()']) as s;

select is(pg_temp.as_role('iclock_module', s), 'ok', 'nginx: ' || s)
  from unnest(array[
    'select * from iclock.device',
    'update iclock.device set last_seen = now(), ip_address = ''10.1.2.3'', user_count = 5',
    'select iclock.register_devices(''{T0002}'', ''{active}'', ''{9}'')',
    'insert into iclock.punch (device_id, local_time, pin) select id, ''2026-01-01'', ''1'' from iclock.device on conflict do nothing',
    'insert into iclock.upload_stamp (device_id, table_name, stamp) select id, ''ATTLOG'', ''1'' from iclock.device on conflict (device_id, table_name) do update set stamp = excluded.stamp, updated_at = now()',
    'insert into iclock.device_user as u (device_id, pin, name) select id, ''1'', ''A'' from iclock.device on conflict (device_id, pin) do update set name = coalesce(excluded.name, u.name)',
    'insert into iclock.rejected_line (device_id, table_name, line, reason) select id, ''ATTLOG'', ''x'', ''y'' from iclock.device on conflict do nothing',
    'insert into iclock.photo (device_id, kind, file_name, content) select id, ''user'', ''1.jpg'', ''x'' from iclock.device on conflict (device_id, kind, file_name, type) do update set content = excluded.content',
    'select * from iclock.dequeue_commands(''{1}'', ''{1}'', ''{1}'', ''{1}'', ''{1}'')',
    'select iclock.answer_commands(''{1}'', ''{1}'', ''{0}'', ''{null}'')',
    'select iclock.due_devices()',
    'select iclock.maintain()']) as s;
select is(pg_temp.as_role('iclock_module', s), '42501', 'not nginx: ' || s)
  from unnest(array[
    'select * from iclock.command',
    'insert into iclock.device (serial_number) values (''T0003'')',
    'delete from iclock.punch',
    'update iclock.device set status = ''active''',
    'select iclock.approve_device(''T0001'')']) as s;

select set_eq('select name from iclock.device_setting',
              array['FWVersion', '~DeviceName', 'MultiBioVersion'],
              'settings of the list, and no others');

-- A function that tells what it is given, and that the planner would like to
-- call first, as it is cheap.

create schema t_reader;
grant usage on schema t_reader to public;
create function t_reader.leaky(value text) returns boolean
    language plpgsql cost 0.0000001 as $$
begin
    perform set_config('t.told', concat(current_setting('t.told'), value, ' '),
                       true);
    return true;
end
$$;
create function pg_temp.told(role name, relation text, value text)
    returns text language plpgsql as $$
declare
    status  text;
begin
    perform set_config('t.told', '', true);
    status := pg_temp.as_role(role, format(
        'select count(*) from iclock.%s as r where t_reader.leaky((%s)::text)',
        relation, value));
    return case when status = 'ok' then current_setting('t.told')
                else status end;
end
$$;
select set_eq(
    $$ select regexp_split_to_table(btrim(pg_temp.told('iclock_reader',
                                        'device_setting', 'r.name')), ' ') $$,
    array['FWVersion', '~DeviceName', 'MultiBioVersion'],
    'a function in the condition sees no other setting');
select is_empty(
    $$ select c.oid::regclass
         from pg_class c
        where c.relnamespace = 'iclock'::regnamespace
          and c.relkind = 'v'
          and not coalesce(c.reloptions @> array['security_barrier=true'],
                           false) $$,
    'every view is a security barrier');

-- identity numbers

insert into iclock.punch (device_id, local_time, pin, id_number, extra)
select id, '2026-01-02', '2', '430302199001011234', '{430302199001011234}'
  from iclock.device where serial_number = 'T0001';
create role t_cards;
grant iclock_reader, iclock_reader_cards to t_cards;
select is(btrim(pg_temp.told(r, 'attendance',
                  $$case when r.pin = '2' then coalesce(r.id_number, '-') end$$)),
          n, r || ' ' || n)
  from (values ('iclock_reader', '-'), ('iclock_operator', '-'),
               ('t_cards', '430302199001011234')) as c (r, n);
select is(pg_temp.as_role('iclock_reader', s), '42501', 'not reader: ' || s)
  from unnest(array[
    'select card from iclock.device_user',
    'select 1 from iclock.device_user u where u.vice_card <> ''''',
    'select id_number from iclock.identity_card',
    'select count(*) from iclock.identity_card',
    'select extra from iclock.punch']) as s;
select is(pg_temp.as_role('t_cards', s), 'ok', 'with cards: ' || s)
  from unnest(array[
    'select pin, card, vice_card from iclock.device_user',
    'select id_number, name from iclock.identity_card',
    'select pin, id_number from iclock.punch']) as s;

-- who asked

create role t_common login noinherit;
create role t_anna;
grant iclock_operator to t_anna;
grant t_anna to t_common;
create function t_reader.wrapper() returns bigint
    language sql security definer as $$
    select iclock.queue_command('T0001', 'CHECK')
$$;
select is(pg_temp.as_role('t_anna', s), 'ok', s)
  from unnest(array[
    'select iclock.queue_command(''T0001'', ''LOG'')',
    'select iclock.verify_attendance(''T0001'', ''2026-01-01'', ''2026-01-02'')',
    'select t_reader.wrapper()']) as s;
select results_eq(
    $$ select split_part(c.body, ' ', 1), c.created_by
         from iclock.command c
        order by c.id desc limit 3 $$,
    $$ values ('CHECK', 't_anna'), ('VERIFY', 't_anna'), ('LOG', 't_anna') $$,
    'the role that was set, also within a function of another owner');
select is((select created_by from iclock.attendance_check
            order by id desc limit 1), 't_anna', 'and of a check');
set local session authorization t_common;
set local role t_anna;
select iclock.queue_command('T0001', 'INFO') as asked \gset
reset session authorization;
select is((select created_by from iclock.command where id = :asked), 't_anna',
          'the role, not the login of the pool');

select * from finish();
rollback;
