-- Upgrades: from migration 1 with data in it, and again with the site's own
-- functions.  Everything commits; the database is this test's own.

create extension if not exists pgtap;
set client_min_messages = warning;
select * from no_plan();

drop schema iclock cascade;

begin;
\ir ../../sql/schema.sql
\ir ../../sql/checks.sql
set local check_function_bodies = off;
-- its triggers
\ir ../../sql/devices.sql
\ir ../../sql/queue_in.sql
\ir ../../sql/partitions.sql
\ir ../../sql/001_tables.sql
commit;

insert into iclock.device (serial_number, status, name, site)
values ('U001', 'active', 'Gate', 'Pune');
update iclock.device
   set last_seen = '2026-01-01 08:00Z', remote_address = '10.1.2.3';
insert into iclock.command (device_id, body, status, attempts, return_code)
select id, b, s, 1, c
  from iclock.device,
       (values ('CHECK', 'done', 0), ('REBOOT', 'sent', null))
       as k (b, s, c);
insert into iclock.device_user (device_id, pin, name)
select id, '5', 'Asha' from iclock.device;
insert into iclock.punch (device_id, local_time, pin)
select id, '2026-01-01 08:00', '5' from iclock.device;
-- settings that later versions refuse, and photos before their key had a type
insert into iclock.device (serial_number, dialect, trans_flag, trans_times)
values ('U002', '3.2', 'tabs AttLogs', '25:99;x'),
       ('U003', '2.4', 'bits AttLog', '06:00');
insert into iclock.photo (device_id, kind, file_name, type, content)
select id, 'comparison', '5.jpg', 9, '\xff' from iclock.device
 where serial_number = 'U001';

-- a function that has other arguments now
create function iclock.apply_command(device_id bigint, body text)
    returns void language sql as $$ select $$;

\ir ../../sql/install.sql

select ok((select count(*) >= 3 from iclock.schema_version), 'migrated');
select is((select count(*)::int from pg_proc p
            where p.pronamespace = 'iclock'::regnamespace
              and p.proname = 'apply_command'), 1,
          'functions that have gone are not left behind');
select is((select p::text from iclock.device_presence p),
          (select format('(%s,"%s",10.1.2.3)', id, last_seen)
             from iclock.device where serial_number = 'U001'),
          'presence has moved');
select results_eq(
    'select body, status, subject from iclock.command order by id',
    $$ values ('CHECK', 'done', null::text), ('REBOOT', 'sent', null) $$,
    'commands are kept');
select results_eq('select pin, name from iclock.device_user',
                  $$ values ('5', 'Asha') $$, 'and users');
select is((select count(*)::int from iclock.punch), 1, 'and punches');
select results_eq(
    $$ select serial_number, trans_flag, trans_times, dialect, dialect_chosen
         from iclock.device where serial_number <> 'U001' order by 1 $$,
    $$ values ('U002', null::text, null::text, '3.2', true),
              ('U003', 'bits AttLog', '06:00', '2.4', false) $$,
    'settings that no device understands are taken back');
insert into iclock.photo (device_id, kind, file_name, type, content)
select device_id, kind, file_name, 2, '\xfe' from iclock.photo;
select is((select count(*)::int from iclock.photo), 2,
          'photos of two types under one name');
select index_is_primary('iclock', 'photo', 'photo_pkey', 'by their key');
select has_column('iclock', 'command', 'subject', 'a new column');
select trigger_is('iclock', 'command', 'command_applied', 'iclock',
                  'command_applied', 'a new trigger');
select isnt(iclock.put_bell('U001', 1, '08:00'), null, 'new functions');
select iclock.set_site('Pune', true);
insert into iclock.verify_label values ('2.4', 4711, 'own');
insert into iclock.command_result_label values ('', 'X', 5, 'own');
update iclock.command_result_label set label = 'fine'
 where command = '' and code = 0;

-- an index that there is no more

drop index iclock.device_option_room_idx;
create index device_option_capacity_idx on iclock.device_option
    (device_id, value) where name = 'MaxAttLogCount';

-- a policy that a dump lost, which was restored before there were the roles

drop policy module on iclock.device_user;

-- the site's own

create or replace function iclock.self_service(serial_number text, pin text,
                                               service_number text)
    returns text language sql as $$ select 'own'::text $$;
create or replace function iclock.verify_decision(serial_number text, data bytea)
    returns text language sql as $$ select 'no'::text $$;

create temp table before as
select 'p' as kind, p.oid::regprocedure::text as name,
       case when p.prokind = 'f' then md5(pg_get_functiondef(p.oid)) end as is,
       p.proacl::text as acl
  from pg_proc p where p.pronamespace = 'iclock'::regnamespace
union all
select 'r', c.relname, coalesce(pg_get_viewdef(c.oid), ''), c.relacl::text
  from pg_class c where c.relnamespace = 'iclock'::regnamespace
   and c.relkind in ('r', 'p', 'v')
union all
select 't', t.tgname, pg_get_triggerdef(t.oid), ''
  from pg_trigger t join pg_class c on c.oid = t.tgrelid
 where c.relnamespace = 'iclock'::regnamespace and not t.tgisinternal;

\ir ../../sql/install.sql

select is_empty(
    $$ select s.polrelid::regclass
         from pg_policy s
        where s.polname = 'sites'
          and not exists (select from pg_policy m
                           where m.polrelid = s.polrelid
                             and m.polname = 'module'
                             and m.polroles
                                 = array['iclock_module'::regrole]::oid[]) $$,
    'nginx has its policy beside each of those by sites');
select is(iclock.self_service('a', 'b', 'c'), 'own',
          'an upgrade keeps the site''s self_service()');
select is(iclock.verify_decision('a', 'b'), 'no', 'and verify_decision()');
select is((select share_people from iclock.site), true, 'and its switches');
select is((select label from iclock.command_result_label
            where command = '' and dialect = '' and code = 0), 'fine',
          'and its labels');
select is_empty(
    $$ (select * from before
        except
        select 'p', p.oid::regprocedure::text,
               case when p.prokind = 'f'
                    then md5(pg_get_functiondef(p.oid)) end,
               p.proacl::text
          from pg_proc p where p.pronamespace = 'iclock'::regnamespace)
       except all
       select * from before where kind <> 'p' $$,
    'functions and their rights are as before');
select is_empty(
    $$ select * from before where kind = 'r'
       except
       select 'r', c.relname, coalesce(pg_get_viewdef(c.oid), ''),
              c.relacl::text
         from pg_class c where c.relnamespace = 'iclock'::regnamespace
          and c.relkind in ('r', 'p', 'v') $$,
    'tables, views and their rights too');
select hasnt_index('iclock', 'device_option', 'device_option_capacity_idx',
                   'an index that no value may be too long for has gone');
select has_index('iclock', 'device_option', 'device_option_room_idx',
                 'another one is there');
select is((select count(*) from before where kind = 't'),
          (select count(*) from pg_trigger t
             join pg_class c on c.oid = t.tgrelid
            where c.relnamespace = 'iclock'::regnamespace
              and not t.tgisinternal), 'no trigger twice');

select * from finish();
