-- Installs or upgrades the schema of ngx_http_iclock_module:
--
--     psql -d attendance -f sql/install.sql
--
-- What holds data (tables, triggers) comes in numbered migrations, each applied
-- once and recorded in iclock.schema_version.  What holds none (functions,
-- views, labels, rights) is put in place again by every run.  All of that is
-- one transaction: it happens or it does not.  What would take long in it is
-- prepared before, while the old functions go on serving.  Comments on tables,
-- and indexes over large ones, follow.  A second run changes nothing.
--
-- Devices may go on uploading: this waits for no lock, and keeps none, for
-- longer than about a second, however much is stored.  If a session has a table
-- in use for longer, the message names it: run this again when it has ended.

\set ON_ERROR_STOP on
\set QUIET on
\set AUTOCOMMIT on

-- in a cluster of Citus this is for the coordinator alone
select count(set_config('citus.enable_ddl_propagation', 'off', false))
  from pg_extension e
 where e.extname = 'citus' \gset ignored_

-- the highest migration below
\set newest 18

-- what lock.sql locks
\set relations %

-- Sessions that have something of the schema in use, or, where all others have
-- to come to an end, any transaction.  It sees all that we may see, whatever
-- role is set.
create or replace function pg_temp.blockers(all_of_them boolean)
    returns text
    language sql security definer
    set search_path = pg_catalog, pg_temp
as $$
    select coalesce(
        (select string_agg(
                    format('pid %s (%s%s), since %s', a.pid,
                           coalesce(a.usename, a.backend_type),
                           coalesce(', ' || nullif(a.application_name, ''),
                                    ''),
                           coalesce(to_char(a.query_start,
                                            'YYYY-MM-DD HH24:MI:SS'),
                                    'who knows when')),
                    '; ' order by a.xact_start)
           from pg_stat_activity a
          where a.datname = current_database()
            and a.pid <> pg_backend_pid()
            -- NULL is what the caller may not see
            and coalesce(a.xact_start < clock_timestamp()
                                        - interval '400 milliseconds',
                         not all_of_them or a.backend_xmin is not null)
            and (all_of_them
                 or exists (select
                              from pg_locks l
                              join pg_class c on c.oid = l.relation
                              join pg_namespace n on n.oid = c.relnamespace
                             where l.pid = a.pid
                               and l.granted
                               and n.nspname = 'iclock'))),
        (select 'prepared transaction ' || string_agg(quote_literal(x.gid),
                                                      ', ')
           from pg_prepared_xacts x
          where x.database = current_database()),
        'nobody any more')
$$;

-- A vacuum gives way to who has waited for so long, and who has, is the one that
-- a deadlock ends.  Only a superuser may choose.
create or replace function pg_temp.look_for_deadlocks_after(pause text)
    returns void
    language plpgsql
as $$
begin
    perform set_config('deadlock_timeout', pause, false);
exception when insufficient_privilege then
    null;
end
$$;
select pg_temp.look_for_deadlocks_after('100ms') \gset ignored_

-- What belongs to another role is upgraded by that role: what is new would be
-- ours, and functions of before might not use it.  Returns what the setting
-- "role" has to be.  What comes after the commit is done by us, with the rights
-- of that role.
create or replace function pg_temp.role_of_schema()
    returns text
    language plpgsql
    set search_path = pg_catalog, pg_temp
as $$
declare
    become  constant text :=
        case when current_setting('server_version_num')::integer >= 160000
             then 'set' else 'member' end;
    holder  record;
    mixed   text;
begin
    select n.nspowner as oid, r.rolname as name, r.rolsuper as super
      into holder
      from pg_namespace n
      join pg_roles r on r.oid = n.nspowner
     where n.nspname = 'iclock'
       and r.rolname <> current_user;

    if not found then
        return current_setting('role');
    end if;

    if not pg_has_role(holder.oid, become)
       or not pg_has_role(holder.oid, 'usage')
       or not pg_has_role(session_user, holder.oid, become)
    then
        raise insufficient_privilege
            using message = format('the schema iclock belongs to "%s", and '
                                   '"%s"%s may not act as that role',
                                   holder.name, current_user,
                                   case when session_user <> current_user
                                   then format(', logged in as "%s",',
                                               session_user)
                                   else '' end),
                  hint = 'Log in as that role, as a member of it that '
                         'inherits its rights and may set it, or as a '
                         'superuser.';
    end if;

    -- the role could not replace what is another's
    select string_agg(o.what, ', ')
      into mixed
      from (select format('%s is of "%s"', x.name, r.rolname) as what
              from (select c.oid::regclass::text, c.relnamespace, c.relowner
                      from pg_class c
                     where c.relkind in ('r', 'p', 'v', 'c')
                    union all
                    select p.oid::regprocedure::text, p.pronamespace,
                           p.proowner
                      from pg_proc p
                    union all
                    select 'the schema ' || n.nspname, n.oid, n.nspowner
                      from pg_namespace n) as x (name, namespace, role)
              join pg_namespace s on s.oid = x.namespace
              join pg_roles r on r.oid = x.role
             where s.nspname in ('iclock', 'iclock_api')
               and x.role <> holder.oid
             order by 1
             limit 5) as o;

    if mixed is not null then
        if not holder.super then
            raise warning 'the schema iclock belongs to "%", but not all that '
                          'is in it: functions of the one role may fail to use '
                          'what is another''s', holder.name
                using hint = format('Give all of it to that role, as README.md '
                                    'says; among others, %s.', mixed);
        end if;
        return current_setting('role');
    end if;

    if not has_database_privilege(holder.oid, current_database()::text,
                                  'create')
       or not has_database_privilege(holder.oid, current_database()::text,
                                     'temporary')
    then
        raise insufficient_privilege
            using message = format('"%s", whom the schema iclock belongs to, '
                                   'may not create schemas or temporary tables',
                                   holder.name),
                  hint = format('GRANT CREATE, TEMPORARY ON DATABASE %I TO %I;',
                                current_database(), holder.name);
    end if;

    return holder.name;
end
$$;
select current_setting('role') as own_role,
       pg_temp.role_of_schema() as schema_role \gset

select to_regclass('iclock.schema_version') is not null as prepare \gset
\if :prepare
select max(version) < 4 as prepare from iclock.schema_version \gset
\endif
\if :prepare
select set_config('role', :'schema_role', false) \gset ignored_
\ir 004_prepare.sql
select set_config('role', :'own_role', false) \gset ignored_
\endif

begin;

set local client_min_messages = warning;
set local search_path = pg_catalog;
set local lock_timeout = '60s';

do $$
begin
    if current_setting('server_version_num')::integer < 130000 then
        raise feature_not_supported
            using message = 'PostgreSQL 13 or later is needed, this is '
                            || current_setting('server_version');
    end if;
    -- names of users come in every script there is
    if current_setting('server_encoding') <> 'UTF8' then
        raise feature_not_supported
            using message = 'the encoding of the database must be UTF8, it is '
                            || current_setting('server_encoding'),
                  hint = 'CREATE DATABASE ... ENCODING ''UTF8'' '
                         'TEMPLATE template0';
    end if;
end
$$;

\ir roles.sql
select set_config('role', :'schema_role', true) \gset ignored_
\ir schema.sql

set local lock_timeout = '500ms';

-- its functions would take the place of newer ones
select set_config('iclock.newest', :'newest', true) \gset ignored_
do $$
declare
    installed  constant integer := (select max(version)
                                      from iclock.schema_version);
begin
    if installed > current_setting('iclock.newest')::integer then
        raise feature_not_supported
            using message = format('the schema is of version %s, newer than '
                                   'this install.sql, which is of version %s',
                                   installed,
                                   current_setting('iclock.newest')),
                  hint = 'Install the schema that came with the newest '
                         'module.';
    end if;
end
$$;

\ir checks.sql

-- Bodies of functions name tables that migrations make.
set local check_function_bodies = off;

-- What has no table among its arguments comes before the locks, trigger
-- functions too.
\ir fields.sql
\ir commands_people.sql
\ir commands_settings.sql
\ir commands_device.sql
\ir sites.sql
\ir subjects.sql
\ir devices.sql
\ir queue_in.sql
\ir queue_order.sql
\ir queue_out.sql
\ir queue_answers.sql
\ir partitions.sql
\ir store.sql
\ir retention.sql
\ir punches_since.sql
\ir fleet_sharing.sql
\ir fleet_removal.sql
\ir fleet_applied.sql
\ir import.sql
\ir served.sql
\ir punch_names.sql
\ir people.sql
\ir conditions.sql
\ir tally.sql
\ir api_kept.sql
\ir events.sql
\ir event_upkeep.sql
\ir webhook_templates.sql
\ir webhook_keys.sql

select coalesce(max(version), 0) < :newest as migrate
  from iclock.schema_version \gset
\if :migrate
\set kinds rpv
\ir lock.sql
\endif

select count(*) filter (where version = 1) = 0 as migrate_1,
       count(*) filter (where version = 2) = 0 as migrate_2,
       count(*) filter (where version = 3) = 0 as migrate_3,
       count(*) filter (where version = 4) = 0 as migrate_4,
       count(*) filter (where version = 5) = 0 as migrate_5,
       count(*) filter (where version = 6) = 0 as migrate_6,
       count(*) filter (where version = 7) = 0 as migrate_7,
       count(*) filter (where version = 8) = 0 as migrate_8,
       count(*) filter (where version = 9) = 0 as migrate_9,
       count(*) filter (where version = 10) = 0 as migrate_10,
       count(*) filter (where version = 11) = 0 as migrate_11,
       count(*) filter (where version = 12) = 0 as migrate_12,
       count(*) filter (where version = 13) = 0 as migrate_13,
       count(*) filter (where version = 14) = 0 as migrate_14,
       count(*) filter (where version = 15) = 0 as migrate_15,
       count(*) filter (where version = 16) = 0 as migrate_16,
       count(*) filter (where version = 17) = 0 as migrate_17,
       count(*) filter (where version = 18) = 0 as migrate_18
  from iclock.schema_version \gset

\if :migrate_1 \ir 001_tables.sql \endif
\if :migrate_2 \ir 002_commands.sql \endif
\if :migrate_3 \ir 003_storage.sql \endif
\if :migrate_4 \ir 004_queue.sql \endif
\if :migrate_5 \ir 005_presence.sql \endif
\if :migrate_6 \ir 006_analysts.sql \endif
\if :migrate_7 \ir 007_rights.sql \endif
\if :migrate_8 \ir 008_devices.sql \endif
\if :migrate_9 \ir 009_notify_language.sql \endif
\if :migrate_10 \ir 010_api.sql \endif
\if :migrate_11 \ir 011_events.sql \endif
\if :migrate_12 \ir 012_webhooks.sql \endif
\if :migrate_13 \ir 013_people.sql \endif
\if :migrate_14 \ir 014_conditions.sql \endif
\if :migrate_15 \ir 015_secrets.sql \endif
\if :migrate_16 \ir 016_thresholds.sql \endif
\if :migrate_17 \ir 017_triggers.sql \endif
\if :migrate_18 \ir 018_events.sql \endif

\ir timezones.sql
\ir fleet_copies.sql
\ir verification.sql
\ir labels.sql
\set kinds v
\ir lock.sql
\ir views_attendance.sql
\ir views_devices.sql
\ir event_payload.sql
\ir webhooks.sql
\ir webhook_work.sql
\ir views_webhooks.sql
\ir statistics.sql
\ir api_call.sql
\ir api_keys.sql
\ir api_devices.sql
\ir api_status.sql
\ir api_commands.sql
\ir api_people.sql
\ir api_people_put.sql
\ir api_logs.sql
\ir api_problems.sql
\ir api_events.sql
\ir api_stream.sql
\ir api_webhooks.sql
\ir api_sandbox.sql
\ir grants.sql
\ir row_security.sql

commit;

-- where Citus has spread punches over several machines, see citus.sql
select exists (select from pg_extension e where e.extname = 'citus')
           as citus \gset
\if :citus
select exists (select from pg_dist_partition p
                where p.logicalrelid = 'iclock.punch'::regclass)
           as citus \gset
\endif
\if :citus
\ir citus.sql
\endif

set lock_timeout = '2s';
-- none of these is worth a wait for the disk
set synchronous_commit = off;

\ir comments.sql

reset synchronous_commit;
reset lock_timeout;

\ir option_names.sql

-- one session at a time builds indexes
select pg_try_advisory_lock(hashtext('iclock.indexes')) as alone \gset
\if :alone
\ir indexes.sql
select pg_advisory_unlock(hashtext('iclock.indexes')) \gset ignored_
\endif

-- a dump that was restored into another cluster; what is in use now is left to
-- maintain()
set lock_timeout = '500ms';
do $$
begin
    perform iclock.rebase_punches();
    perform iclock.rebase_events();
exception when lock_not_available or deadlock_detected then
    raise warning 'the punches are in use: maintain() will have '
                  'punches_since() and the event feed go on from the old ones';
end
$$;
reset lock_timeout;

-- the partitions of the months around today
do $$ begin perform iclock.maintain(); end $$;

select pg_temp.look_for_deadlocks_after(null) \gset ignored_
