-- Roles that are limited to sites: through views, tables, functions and sets.

\ir ../fixtures/pgtap.psql
-- roles are the cluster's, and another file may make some at the same time
lock table pg_catalog.pg_authid in share row exclusive mode;

-- two sites and a terminal that stands nowhere, with something of each kind

insert into iclock.device (serial_number, status, name, site)
values ('A-1', 'active', 'Gate', 'Pune'), ('A-2', 'active', 'Door', 'Pune'),
       ('B-1', 'active', 'Gate', 'Delhi'), ('B-2', 'active', 'Door', 'Delhi'),
       ('N-1', 'active', 'Nowhere', null), ('N-2', 'pending', null, null);

insert into iclock.site (name) values ('Pune'), ('Delhi');
insert into iclock.punch (device_id, local_time, pin, status, verify)
select id, '2026-11-02 08:00', '5', 0, 1 from iclock.device;
-- somebody is there now; and what is older than the numbers of transactions
insert into iclock.punch (device_id, local_time, pin, status, verify, txid,
                          punched_at)
select id, timezone('UTC', now()), '5', 0, 1, 0, now() from iclock.device;
insert into iclock.operation (device_id, local_time, code)
select id, '2026-11-02 08:00', 4 from iclock.device;
insert into iclock.device_user (device_id, pin, name, card)
select id, '5', 'Asha', '77' from iclock.device;
-- somebody whom a copy would take elsewhere
insert into iclock.device_user (device_id, pin, name)
values (pg_temp.device('A-1'), '6', 'Ravi');
insert into iclock.template (device_id, pin, type, data)
select id, '5', 1, 'x' from iclock.device;
insert into iclock.photo (device_id, kind, file_name, pin, content)
select d.id, k.kind, '5.jpg', '5', 'x'
  from iclock.device d, (values ('user'), ('attendance')) as k (kind);
insert into iclock.identity_card (device_id, id_number)
select id, '43' from iclock.device;
insert into iclock.work_code (device_id, code) select id, '1' from iclock.device;
insert into iclock.device_error (device_id, code)
select id, '1' from iclock.device;
insert into iclock.rejected_line (device_id, line)
select id, 'x' from iclock.device;
insert into iclock.device_option (device_id, name, value)
select id, 'FWVersion', '1' from iclock.device;
insert into iclock.upload_stamp (device_id, table_name, stamp)
select id, 'ATTLOG', '1' from iclock.device;
insert into iclock.command (device_id, body) select id, 'CHECK' from iclock.device;
insert into iclock.attendance_check (device_id, starts, ends, max_attempts)
select id, '2026-11-01', '2026-11-02', 1 from iclock.device;
insert into iclock.refused_answer (device_id, answers, command_id)
select id, 1, 1 from iclock.device;

-- who asks: one of a group that is limited, one of two groups, and all others

create role t_pune;
create role t_delhi;
create role t_all;
grant iclock_operator, iclock_reader, iclock_reader_cards, iclock_shell
   to t_pune, t_delhi, t_all;
create role t_asha;
grant t_pune to t_asha;
create role t_both;
grant t_pune, t_delhi to t_both;
insert into iclock.role_site (role, site)
values ('t_pune', 'Pune'), ('t_pune', 'Elsewhere'), ('t_delhi', 'Delhi');

-- what a statement returns to a role, or the SQLSTATE
create function pg_temp.answer(role name, statement text, out answer text)
    language plpgsql as $$
begin
    execute format('set local role %I', role);
    begin
        execute statement into answer;
    exception when others then
        answer := sqlstate;
    end;
    reset role;
end
$$;
create function pg_temp.sees(role name, relation text,
                             key text default 'serial_number')
    returns text language sql as $$
    select pg_temp.answer(role, format(
        'select string_agg(distinct %1$s::text, '' '' order by %1$s::text)'
        '  from iclock.%2$s as r', key, relation))
$$;

select is(pg_temp.sees(r, 'device_status'), s, r || ' sees ' || s)
  from (values ('t_pune', 'A-1 A-2'), ('t_asha', 'A-1 A-2'),
               ('t_delhi', 'B-1 B-2'), ('t_both', 'A-1 A-2 B-1 B-2'),
               ('t_all', 'A-1 A-2 B-1 B-2 N-1 N-2'),
               ('iclock_reader', 'A-1 A-2 B-1 B-2 N-1 N-2')) as v (r, s);

-- every view with a serial number, every table with a device

select is(pg_temp.sees('t_asha', c.relname), 'A-1 A-2', 'view ' || c.relname)
  from pg_class c
  join pg_attribute a on a.attrelid = c.oid and a.attname = 'serial_number'
 where c.relnamespace = 'iclock'::regnamespace and c.relkind = 'v'
   and c.relname in ('attendance', 'device_status', 'device_setting',
                     'command_status', 'reconciliation');
select is(pg_temp.sees('t_asha', 'daily_attendance', 'r.serial_numbers'),
          '{A-1,A-2}', 'view daily_attendance');
select is(pg_temp.sees('t_asha',
                       $$daily_attendance_between('2026-11-02', '2026-11-02')$$,
                       'r.serial_numbers'),
          '{A-1,A-2}', 'daily_attendance_between()');
select is(pg_temp.sees('t_asha', c.relname, 'r.device_id'),
          pg_temp.device('A-1') || ' ' || pg_temp.device('A-2'),
          'table ' || c.relname)
  from pg_class c
  join pg_attribute a on a.attrelid = c.oid and a.attname = 'device_id'
 where c.relnamespace = 'iclock'::regnamespace and c.relkind in ('r', 'p')
   and not c.relispartition
   and c.relname in ('punch', 'operation', 'device_user', 'template', 'photo',
                     'identity_card', 'work_code', 'device_error',
                     'rejected_line', 'device_option', 'upload_stamp',
                     'command', 'attendance_check', 'refused_answer');
select is(pg_temp.sees('t_asha', 'device'), 'A-1 A-2', 'table device');
select is(pg_temp.sees('t_asha', 'punches_since()'), 'A-1 A-2',
          'punches_since()');
select is(pg_temp.sees('t_asha', 'site', 'name'), 'Pune', 'table site');

select is_empty(
    $$ select c.relname
         from pg_class c
        where c.relnamespace = 'iclock'::regnamespace
          and (c.relispartition or c.relname = 'role_site')
          and has_any_column_privilege('t_asha', c.oid, 'select') $$,
    'partitions, which have no row security, cannot be read');

-- and whatever comes later: nothing of another site in any column that says it

select is_empty(
    $$ select c.relname, a.attname, pg_temp.sees('t_asha', c.relname,
                                                 'r.' || a.attname)
         from pg_class c
         join pg_attribute a on a.attrelid = c.oid
        where c.relnamespace = 'iclock'::regnamespace
          and c.relkind in ('r', 'p', 'v', 'm')
          and a.attname in ('serial_number', 'serial_numbers', 'site', 'sites')
          and has_column_privilege('t_asha', c.oid, a.attnum, 'select')
          and pg_temp.sees('t_asha', c.relname, 'r.' || a.attname)
              ~ 'B-|N-|Delhi' $$,
    'no relation shows another site');
select is_empty(
    $$ select c.relname
         from pg_class c
         join pg_attribute a on a.attrelid = c.oid
        where c.relnamespace = 'iclock'::regnamespace
          and c.relkind in ('r', 'p') and not c.relispartition
          and a.attname in ('device_id', 'site', 'serial_number')
          and c.relname <> 'role_site'
          and (not c.relrowsecurity
               or not exists (select from pg_policy p
                               where p.polrelid = c.oid
                                 and p.polname = 'sites')) $$,
    'every table with a device or a site has row security');

-- a function in the condition sees no more

create schema t_leak;
grant usage on schema t_leak to public;
create function t_leak.leaky(value text) returns boolean
    language plpgsql cost 0.0000001 as $$
begin
    perform set_config('t.told', concat(current_setting('t.told'), value, ' '),
                       true);
    return true;
end
$$;
create function pg_temp.told(relation text, key text) returns text
    language plpgsql as $$
begin
    perform set_config('t.told', '', true);
    perform pg_temp.answer('t_asha', format(
        'select count(*) from iclock.%s as r where t_leak.leaky(r.%I::text)',
        relation, key));
    return current_setting('t.told');
end
$$;
select is(pg_temp.told(v, 'serial_number') ~ '^(A-[12] )+$', true,
          'leaky: ' || v)
  from unnest(array['attendance', 'device_status', 'device_setting',
                    'command_status', 'reconciliation', 'operation_log',
                    'device_error_log', 'attendance_photo',
                    'identity_card_log', 'present_now', 'device',
                    'punches_since()']) as v;
select is(pg_temp.told(v, 'site') ~ '^(Pune )+$', true, 'leaky: ' || v)
  from unnest(array[
    'daily_attendance', 'shift_attendance', 'monthly_attendance',
    $$attendance_days('2026-11-02', '2026-11-02', true)$$,
    $$daily_attendance_between('2026-11-02', '2026-11-02')$$,
    $$shift_attendance_between('2026-11-02', '2026-11-02')$$,
    $$monthly_attendance_between('2026-11-02', '2026-11-02')$$]) as v;
select is(pg_temp.told('punch', 'device_id'),
          format('%1$s %2$s %1$s %2$s ', pg_temp.device('A-1'),
                 pg_temp.device('A-2')),
          'leaky: punch');

-- nor do operators of the caller's own, which come before those of PostgreSQL

create schema t_mine authorization t_asha;
create temp table sees (relation, key) as
select c.relname::text, 'r.' || a.attname
  from pg_class c
  join pg_attribute a on a.attrelid = c.oid
 where c.relnamespace = 'iclock'::regnamespace
   and c.relkind in ('r', 'p', 'v')
   and a.attname in ('device_id', 'serial_number', 'site', 'sites')
   and has_column_privilege('t_asha', c.oid, a.attnum, 'select');
insert into sees values ('punches_since()', 'r.serial_number');
create temp table saw as
select s.*, pg_temp.sees('t_asha', s.relation, s.key) as seen from sees s;
do $$
declare
    own  record;
begin
    for own in
        select t, o
          from unnest(array['text', 'bigint', 'timestamp']) as t,
               unnest(array['=', '<>', '<', '>=']) as o
    loop
        execute format('create or replace function t_mine.yes(%1$s, %1$s) '
                       'returns boolean language sql as ''select true''',
                       own.t);
        execute format('create operator t_mine.%2$s (leftarg = %1$s, '
                       'rightarg = %1$s, function = t_mine.yes)',
                       own.t, own.o);
    end loop;
end
$$;
set local search_path = t_mine, pg_catalog;
select pg_catalog.count(*)
  from (select 'Delhi'::text = 'Pune'::text as is_mine) as t
 where t.is_mine \gset mine_
create temp table see as
select s.*, pg_temp.sees('t_asha', s.relation, s.key) as seen from sees s;
set local search_path = public, pg_catalog;
select is(:mine_count, 1, 'operators of one''s own');
select is(n.seen, w.seen, 'show no more: ' || w.relation || ', ' || w.key)
  from saw w
  join see n on n.relation = w.relation and n.key = w.key
 where w.relation not in ('daily_attendance', 'shift_attendance',
                          'monthly_attendance', 'present_now')
    or n.seen ~ '[BN]-|Delhi';

-- setting another role opens nothing

create role t_login login;
grant t_pune to t_login;
create role t_pool login noinherit;
grant t_pune, t_delhi, t_all to t_pool;
create function pg_temp.as_login(login name, role name) returns text
    language plpgsql as $$
declare
    answer  text;
begin
    -- what set session authorization and set role do
    perform set_config('session_authorization', login, true);
    perform set_config('role', role, true);
    select string_agg(d.serial_number, ' ' order by d.serial_number)
      into answer from iclock.device_status d;
    perform set_config('role', 'none', true);
    perform set_config('session_authorization', 'postgres', true);
    return answer;
end
$$;
grant usage on schema iclock to t_login, t_pool;
grant select on iclock.device_status to t_pool;
select is(pg_temp.as_login(l, r), s, format('%s as %s', l, r))
  from (values ('t_login', 'none', 'A-1 A-2'),
               ('t_login', 'iclock_reader', 'A-1 A-2'),
               ('t_pool', 't_pune', 'A-1 A-2'),
               ('t_pool', 't_delhi', 'B-1 B-2'),
               ('t_pool', 't_all', 'A-1 A-2 B-1 B-2 N-1 N-2')) as v (l, r, s);

-- a role of another name is the same role

alter role t_pune rename to t_poona;
select is(pg_temp.sees('t_asha', 'device_status'), 'A-1 A-2', 'renamed');
create role t_pune;
grant iclock_reader to t_pune;
select is(pg_temp.sees(r, 'device_status'), 'A-1 A-2', r || ', and a namesake')
  from unnest(array['t_asha', 't_pune']) as r;
drop role t_pune;

-- as README has it, before the database goes to another cluster
insert into iclock.role_site (role, site)
select a.rolname, s.site
  from iclock.role_site s join pg_roles a on a.oid = s.role_oid
 where s.cluster = iclock.cluster()
    on conflict do nothing;
update iclock.role_site set cluster = 1, role_oid = 1
 where role in ('t_poona', 't_pune');
select is(pg_temp.sees('t_asha', 'device_status'), 'A-1 A-2',
          'in another cluster, by the name of now');
alter role t_poona rename to t_pune;
delete from iclock.role_site where role = 't_poona';
update iclock.role_site set role = 't_pune' where role = 't_pune';

-- a role that is missing limits nobody and is in nobody's way; one that is made
-- anew has the limits of its name

insert into iclock.role_site (role, site) values ('t_gone', 'Delhi');
select is(pg_temp.sees(r, 'device_status'), s, r || ' beside a missing role')
  from (values ('t_asha', 'A-1 A-2'),
               ('t_all', 'A-1 A-2 B-1 B-2 N-1 N-2')) as v (r, s);
create role t_gone;
grant iclock_reader to t_gone;
select is(pg_temp.sees('t_gone', 'device_status'), 'B-1 B-2', 'then it is made');
drop role t_gone;
create role t_gone;
grant iclock_reader to t_gone;
select is(pg_temp.sees('t_gone', 'device_status'), 'B-1 B-2', 'and made anew');
alter role t_gone rename to t_come;
update iclock.role_site set cluster = 1 where role = 't_gone';
select is(pg_temp.sees('t_come', 'device_status'),
          'A-1 A-2 B-1 B-2 N-1 N-2', 'its OID counts in its cluster only');

-- functions: those that take a serial number know none of other sites, however
-- it is written; wire.sql calls those of the documents

insert into iclock.webhook_endpoint (id, url, secret, cursor_xid, cursor_seq)
values ('wh_aaaaaaaaaaaa', 'https://a.example/', sha256('x'), '3', 0);
create temp table call (call text, answer text);
insert into call values
($$queue_command('B-1', 'CHECK')$$, 'P0002'),
($$queue_command('N-1', 'CHECK')$$, 'P0002'),
($$approve_device('N-2')$$, 'P0002'),
($$approve_device('B-1')$$, 'P0002'),
($$block_device('B-1')$$, 'P0002'),
($$delete_device('B-1')$$, 'P0002'),
($$set_device('B-1', name => 'mine')$$, 'P0002'),
($$set_device('N-2', site => 'Pune')$$, 'P0002'),
($$set_device('A-1', site => 'Delhi')$$, '42501'),
($$move_device('B-1', 'Pune')$$, 'P0002'),
($$move_device('A-1', 'Delhi')$$, '42501'),
($$move_device('A-1', null)$$, '22004'),
($$reset_device('B-1', 'name')$$, 'P0002'),
($$reset_device('A-1', 'site')$$, '42501'),
($$register_device('B-1', site => 'Pune')$$, 'P0002'),
($$register_device('N-2', site => 'Pune')$$, 'P0002'),
($$register_device('C-1', site => 'Delhi')$$, '42501'),
($$register_device('C-1')$$, '42501'),
($$request_reupload('B-1', 'ATTLOG')$$, 'P0002'),
($$set_stamp('B-1', 'ATTLOG', '1')$$, 'P0002'),
($$verify_attendance('B-1', '2026-11-01', '2026-11-02')$$, 'P0002'),
($$import_punches('B-1', '[]')$$, 'P0002'),
($$import_rows('B-1', '[]', 1)$$, 'P0002'),
($$import_file('B-1', null)$$, '22004'),
($$copy_user('5', 'B-1', 'A-1')$$, 'P0002'),
($$copy_user('5', 'A-1', 'B-1')$$, 'P0002'),
($$copy_user_to_site('5', 'B-1', 'Pune')$$, 'P0002'),
($$copy_user_to_site('5', 'A-1', 'Delhi')$$, null),
($$copy_site('B-1', 'Pune')$$, 'P0002'),
($$copy_site('A-1', 'Delhi')$$, null),
($$sync_site('Delhi')$$, '42501'),
($$delete_user_from_site('Delhi', '5')$$, '42501'),
($$readmit_user('Delhi', '5')$$, '42501'),
($$set_site('Delhi', true)$$, '42501'),
($$verify_all('2026-11-01', '2026-11-02', 'Delhi')$$, null),
($$create_webhook('https://a.example/', sites => '{Delhi}')$$, '42501'),
($$delete_webhook('wh_aaaaaaaaaaaa')$$, 'P0002'),
($$rotate_webhook_secret('wh_aaaaaaaaaaaa')$$, 'P0002'),
($$pause_webhook('wh_aaaaaaaaaaaa')$$, 'P0002'),
($$resume_webhook('wh_aaaaaaaaaaaa')$$, 'P0002'),
($$test_webhook('wh_aaaaaaaaaaaa')$$, 'P0002'),
($$resend_webhook('wh_aaaaaaaaaaaa', state => 'dead')$$, 'P0002');
select is(pg_temp.answer('t_asha', 'select iclock.' || c.call), c.answer,
          'not at other sites: ' || c.call)
  from call c;
select is(pg_temp.answer('t_asha', format('select iclock.%s_command(%s)', f,
              (select c.id from iclock.command c
                where c.device_id = pg_temp.device('B-1')
                order by c.id limit 1))),
          'P0002', f || '_command() of another site')
  from unnest(array['cancel', 'schedule']) as f;
select set_eq(
    $$ select d.serial_number || ' ' || c.body || ' ' || c.status
         from iclock.command c join iclock.device d on d.id = c.device_id
        where d.site is distinct from 'Pune' $$,
    array['B-1 CHECK queued', 'B-2 CHECK queued', 'N-1 CHECK queued',
          'N-2 CHECK queued'], 'nothing was queued or cancelled there');
select is((select string_agg(concat(d.serial_number, ' ', d.name, ' ', d.site,
                                    ' ', d.status), ', '
                             order by d.serial_number)
             from iclock.device d
            where d.serial_number !~ '^A'),
          'B-1 Gate Delhi active, B-2 Door Delhi active, N-1 Nowhere  active, '
          'N-2   pending', 'nor any device changed');

-- no word tells that a terminal exists elsewhere

create function pg_temp.says(role name, statement text) returns text
    language plpgsql as $$
declare
    message  text;
    detail   text;
    hint     text;
begin
    execute format('set local role %I', role);
    begin
        execute statement;
    exception when others then
        get stacked diagnostics message = message_text,
            detail = pg_exception_detail, hint = pg_exception_hint;
    end;
    reset role;
    return concat_ws(E'\n', message, detail, hint);
end
$$;
select is(pg_temp.says('t_asha', 'select iclock.' || c.call),
          replace(pg_temp.says('t_asha', 'select iclock.'
                                   || replace(c.call, 'B-1', 'X-9')),
                  'X-9', 'B-1'),
          'as if there were none: ' || c.call)
  from call c
 where c.call like '%B-1%' and c.call not like 'register_device%';
select is_empty(
    $$ select c.call
         from call c
        where pg_temp.says('t_asha', 'select iclock.' || c.call)
              ~ 'Gate|Door|[AB]-2|N-1' and c.call !~ 'N-1' $$,
    'messages name nothing that was not asked for');

-- at home all of it works

select isnt(pg_temp.answer('t_asha', 'select iclock.' || c), e,
            'at the own site: ' || c)
  from (values
    ($$queue_command('A-1', 'CHECK')$$, null),
    ($$set_device('A-1', name => 'Main gate', site => 'Pune')$$, null),
    ($$register_device('C-1', site => 'Pune')$$, null),
    ($$sync_site('Pune')$$, null),
    ($$delete_user_from_site('Pune', '5')$$, null),
    ($$readmit_user('Pune', '5')$$, null),
    ($$set_site('Pune', true)$$, null),
    ($$request_reupload('A-1', 'ATTLOG')$$, 'P0002'),
    ($$cancel_command((select min(id) from iclock.command_status
                        where serial_number = 'A-1'))$$, null),
    ($$create_webhook('https://a.example/')$$, null)) as f (c, e);
select is((select sites from iclock.webhook_endpoint
            where id <> 'wh_aaaaaaaaaaaa'), '{Elsewhere,Pune}',
          'a webhook of theirs is for their sites');
delete from iclock.command;
select is(pg_temp.answer('t_asha', $$select count(*)
              from iclock.verify_all('2026-10-01', '2026-10-02')$$), '3',
          'verify_all()');
select set_eq(
    $$ select distinct k.serial_number from iclock.command_status k $$,
    array['A-1', 'A-2', 'C-1'], 'asks the own terminals');
select is(pg_temp.answer('t_all', $$select iclock.set_device('N-2',
              site => 'Pune', status => 'active') > 0$$), 'true',
          'who sees all gives a terminal to a site');
select is(pg_temp.answer('t_asha', $$select iclock.put_user('N-2', '7') > 0$$),
          'true', 'and there it is');

-- what a terminal recorded before it went elsewhere is not for those there

delete from iclock.punch
 where device_id = pg_temp.device('A-2') and local_time >= '2026-11-10';
select iclock.move_device('A-2', 'Delhi', '2026-11-10');
select is(pg_temp.sees(r, 'attendance'), s, r || ' after A-2 has moved')
  from (values ('t_asha', 'A-1 A-2 N-2'),
               ('t_delhi', 'B-1 B-2')) as v (r, s);
insert into iclock.punch (device_id, local_time, pin)
values (pg_temp.device('A-2'), '2026-11-10', '5');
select is(pg_temp.sees('t_delhi', 'attendance'), 'A-2 B-1 B-2',
          'and what it records now is');
create function pg_temp.serial(id bigint) returns text
    language sql security definer as $$
    select d.serial_number from iclock.device d where d.id = $1
$$;
update iclock.punch set local_time = '2026-11-12'
 where punched_at is not null and txid = 0;
-- so that they are settled
update iclock.punch set txid = 0;
select is(pg_temp.sees(r, v, $$pg_temp.serial(r.device_id)
                              || to_char(r.local_time, ' DD')$$), s,
          r || ' sees in ' || v)
  from (values
    ('t_asha', 'A-1 02 A-1 12 A-2 02 N-2 02 N-2 12'),
    ('t_delhi', 'A-2 10 B-1 02 B-1 12 B-2 02 B-2 12'),
    ('t_both', 'A-1 02 A-1 12 A-2 02 A-2 10 B-1 02 B-1 12 B-2 02 B-2 12 '
               'N-2 02 N-2 12')) as w (r, s),
       unnest(array['attendance', 'punch', 'punches_since()']) as v;
select is(pg_temp.sees('t_asha', 'punches_since()'), 'A-1 A-2 N-2',
          'with the serial number of what has moved');
select is(pg_temp.sees(r, 'device_site', 'site'), s,
          r || ' sees in device_site its own site only')
  from (values ('t_asha', 'Pune'), ('t_delhi', null)) as v (r, s);

-- whoever adds a function for operators says here what it does for sites

select is_empty(
    $$ select p.proname
         from pg_proc p
        where p.pronamespace = 'iclock'::regnamespace
          and has_function_privilege('iclock_operator', p.oid, 'execute')
          and not has_function_privilege('iclock_reader', p.oid, 'execute')
          and obj_description(p.oid, 'pg_proc') !~ '(PUSH|SDK) [0-9]'
          and p.proname not in ('cancel_command', 'schedule_command')
          and not exists (select from call c
                           where c.call like p.proname || '(%') $$,
    'every function of operators is among them');

select * from finish();
rollback;
