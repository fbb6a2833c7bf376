-- Spreads punches over the machines of a Citus cluster:
--
--     psql -d attendance -f sql/install.sql
--     psql -d attendance -f sql/citus.sql
--
-- On the coordinator, whose workers have been added, with nginx stopped the
-- first time.  After that punch is distributed by device_id.  All else stays on
-- the coordinator: it is small, and its triggers write to other tables.
--
-- What install.sql puts in place and Citus cannot plan is replaced here: so
-- install.sql itself runs this again wherever punch is distributed.  A second
-- run changes nothing.
--
-- Other tables are joined with punches as sub-selects, which Citus hands to the
-- workers, or by way of functions.  They are no reference tables, and SQL
-- functions do not name punch: within such a function that is inlined, Citus
-- does not see a table of its own and reads the empty local one, silently.
-- Other SQL functions fail when a parameter meets a join.  An INSERT into punch
-- calls no function that catches errors: the subtransaction of these breaks the
-- connections that rows are being copied to.

\set ON_ERROR_STOP on
\set QUIET on
\set AUTOCOMMIT on

begin;

set local client_min_messages = warning;
set local search_path = pg_catalog;
set local lock_timeout = '60s';
set local citus.enable_ddl_propagation = on;

do $$
begin
    if not exists (select from pg_extension e where e.extname = 'citus') then
        raise feature_not_supported
            using message = 'this database has no extension "citus"',
                  hint = 'CREATE EXTENSION citus, and add the workers: see '
                         'README.md';
    end if;

    if exists (select from iclock.event_state s where s.enabled) then
        raise object_not_in_prerequisite_state
            using message = 'the event feed is enabled, and punches that are '
                            'distributed leave no events',
                  hint = 'SELECT iclock.disable_events()';
    end if;
end
$$;

-- A policy with a sub-select cannot be distributed.  Nobody but the owner and
-- nginx reads the table then: all others have the views and functions below,
-- which know the sites.
select not exists (select from pg_dist_partition p
                    where p.logicalrelid = 'iclock.punch'::regclass)
           as distribute \gset

\if :distribute
drop policy if exists sites on iclock.punch;
drop policy if exists module on iclock.punch;
alter table iclock.punch disable row level security;

-- They would run on the workers, where nobody listens, and no table says what
-- has been dropped.  maintain() does without: it moves punches each hour, and
-- deletes those of months that were dropped.
drop trigger if exists punch_default_notify on iclock.punch_default;
drop trigger if exists punch_default_horizon on iclock.punch_default;

-- with its partitions; the coordinator keeps no copy
set local client_min_messages = error;
select create_distributed_table('iclock.punch', 'device_id') \gset ignored_
select truncate_local_data_after_distributing_table('iclock.punch')
    \gset ignored_
set local client_min_messages = warning;
\endif

-- The rest is for the coordinator alone.
set local citus.enable_ddl_propagation = off;

-- Transactions that insert would wait for each other: that is for copies of
-- shards, of which there are none.  Connections that there are keep to it.
do $$
begin
    if current_setting('citus.shard_replication_factor')::integer = 1 then
        execute format('alter database %I '
                       'set citus.all_modifications_commutative = on',
                       current_database());
    end if;
end
$$;

drop policy if exists sites on iclock.punch;
drop policy if exists module on iclock.punch;
alter table only iclock.punch disable row level security;
revoke all on iclock.punch
    from iclock_reader, iclock_operator, iclock_reader_cards;

do $$
declare
    columns  constant text := (
        select string_agg(format('%I', a.attname), ', ')
          from pg_attribute a
         where a.attrelid = 'iclock.punch'::regclass
           and a.attnum > 0 and not a.attisdropped);
begin
    execute format('revoke select (%s) on iclock.punch from iclock_reader, '
                   'iclock_operator, iclock_reader_cards', columns);
end
$$;

-- Replaces a part of the text of a function, or of a view: the one place that
-- has the rest is where install.sql has it from.
create or replace function pg_temp.replaced(
        source  text,
        wanted  text,
        instead text,
        name    text)
    returns text
    language plpgsql
as $$
begin
    if regexp_replace(source, wanted, instead) = source then
        raise exception 'citus.sql does not fit this schema: %', name
            using hint = 'Both have to be of the same release.';
    end if;
    return regexp_replace(source, wanted, instead);
end
$$;

-- Another language for a function of the schema, whose query it then returns: as
-- the owner, who alone may read punches.
create or replace function pg_temp.as_plpgsql(name regprocedure, body text)
    returns void
    language plpgsql
as $$
declare
    definition  text := pg_get_functiondef(name);
begin
    if definition ~ '\n LANGUAGE plpgsql\n' then
        return;
    end if;

    definition := regexp_replace(definition, '\n LANGUAGE sql\n.*', '');
    execute definition || format(
        E'\n language plpgsql stable security definer'
        '\n set search_path = pg_catalog, iclock, pg_temp'
        '\nas %L', E'\n#variable_conflict use_column\nbegin\n'
        || 'return query ' || body || E';\nend\n');
end
$$;


-- views

-- What view attendance shows, with joins that Citus takes to the workers, so
-- that conditions get there too.  It has neither the rights nor the guard of
-- that view: only functions of the owner read it.
create or replace view iclock.attendance_spread as
select p.device_id,
       d.serial_number,
       d.name                          as device_name,
       d.site,
       p.pin,
       case when d.elsewhere then e.name else u.name end
                                       as user_name,
       p.local_time,
       p.punched_at,
       timezone('UTC', p.punched_at)   as utc_time,
       d.timezone,
       p.status,
       s.label                         as status_label,
       s.direction,
       p.verify,
       v.label                         as verify_label,
       p.work_code,
       w.name                          as work_code_name,
       case when d.cards then p.id_number end
                                       as id_number,
       p.record_type,
       p.mask,
       p.temperature,
       p.job_codes,
       p.tip_codes,
       p.received_at,
       (p.record_type <> 1
           or (p.status = 0 and p.pin <> '' and p.pin <> '0'))
                                       as counts,
       (p.local_time - d.day_starts)::date
                                       as shift_day
  from iclock.punch p
  join (select k.*, coalesce(t.day_starts, time '00:00') as day_starts,
               has_column_privilege(iclock.calling_role(),
                                    'iclock.identity_card', 'id_number',
                                    'select') as cards
          from (select h.id, h.serial_number, h.name, h.site,
                       coalesce(h.timezone, h.default_timezone, 'UTC')
                           as timezone,
                       h.dialect,
                       h.site_since           as starts,
                       timestamp 'infinity'   as ends,
                       false                  as elsewhere,
                       h.sandbox
                  from iclock.device h
                 union all
                select h.id, h.serial_number, h.name, m.site,
                       coalesce(h.timezone, h.default_timezone, 'UTC'),
                       h.dialect, m.starts, m.ends, true, h.sandbox
                  from iclock.device_site m
                  join iclock.device h on h.id = m.device_id) as k
          left join iclock.site t on t.name = k.site
         where iclock.may_see(k.site, (select iclock.visible_sites()))
           and (not k.sandbox
                or (select current_setting('iclock.simulated', true)
                           is not distinct from 'on'))
        offset 0) as d
    on d.id = p.device_id
   and p.local_time >= d.starts
   and p.local_time < d.ends
  left join (select n.device_id, n.pin, nullif(n.name, '') as name
               from iclock.device_user n
             offset 0) as u
         on u.device_id = p.device_id and u.pin = p.pin
  -- those whom the device knows now are others
  left join (select distinct on (o.site, o.sandbox, n.pin) o.site, o.sandbox,
                    n.pin, nullif(n.name, '') as name
               from iclock.device o
               join iclock.device_user n on n.device_id = o.id
              where o.site in (select m.site from iclock.device_site m)
              order by o.site, o.sandbox, n.pin, n.updated_at desc) as e
         on d.elsewhere and e.site = d.site and e.sandbox = d.sandbox
        and e.pin = p.pin
  left join (select c.device_id, c.code, nullif(c.name, '') as name
               from iclock.work_code c
             offset 0) as w
         on w.device_id = p.device_id and w.code = p.work_code
  left join (select l.* from iclock.status_label l offset 0) as s
         on s.dialect = d.dialect and s.code = p.status
        and s.record_type = case p.record_type when 1 then 1 else 0 end
  left join (select l.* from iclock.verify_label l offset 0) as v
         on v.dialect = d.dialect and v.code = p.verify
        and v.record_type = case p.record_type when 1 then 1 else 0 end;
comment on view iclock.attendance_spread is
    'Of a Citus cluster: the rows of view attendance, for functions';
revoke all on iclock.attendance_spread from public;

create or replace function iclock.attendance_between(
        first_time  timestamp,
        last_time   timestamp)
    returns setof iclock.attendance_spread
    language plpgsql stable security definer
    set search_path = pg_catalog, iclock, pg_temp
as $$
begin
    return query
    select a.*
      from iclock.attendance_spread a
     where a.local_time >= first_time
       and a.local_time < last_time;
end
$$;
comment on function iclock.attendance_between(timestamp, timestamp) is
    'Of a Citus cluster: the rows of view attendance from one local time until '
    'another, reading only the partitions of their months';
revoke all on function iclock.attendance_between(timestamp, timestamp)
    from public;
grant execute on function iclock.attendance_between(timestamp, timestamp)
    to iclock_reader, iclock_operator;

-- It reads all punches: its conditions do not reach the workers.
create or replace view iclock.attendance
    with (security_barrier)
as
select a.* from iclock.attendance_between('-infinity', 'infinity') as a;

select count(pg_temp.as_plpgsql(p.oid, replace(p.prosrc,
                                'from iclock.attendance a',
                                'from iclock.attendance_spread a')))
  from pg_proc p
  join pg_language l on l.oid = p.prolang
 where p.pronamespace = 'iclock'::regnamespace
   and l.lanname = 'sql'
   and p.proname in ('attendance_days', 'daily_attendance_between',
                     'shift_attendance_between', 'monthly_attendance_between')
\gset ignored_

do $$
begin
    if not exists (select from pg_proc p
                    where p.pronamespace = 'iclock'::regnamespace
                      and p.proname = 'attendance_days'
                      and p.prosrc like '%iclock.attendance_spread a%')
    then
        raise exception 'citus.sql does not fit this schema: attendance_days';
    end if;
end
$$;

-- of the last punches the most timely
create or replace function iclock.recent_skews()
    returns table (device_id bigint, clock_skew interval)
    language plpgsql stable security definer
    set search_path = pg_catalog, iclock, pg_temp
as $$
#variable_conflict use_column
begin
    return query
    select r.device_id, max(r.punched_at - r.received_at)
      from (select p.device_id, p.punched_at, p.received_at,
                   row_number() over (partition by p.device_id
                                      order by p.local_time desc) as place
              from iclock.punch p
             where p.local_time > localtimestamp - interval '2 days'
               and p.local_time < localtimestamp + interval '2 days') as r
     where r.place <= 20
     group by r.device_id;
end
$$;
comment on function iclock.recent_skews() is
    'Of a Citus cluster: how far the clocks of devices are ahead, for view '
    'device_status';
revoke all on function iclock.recent_skews() from public;
grant execute on function iclock.recent_skews()
    to iclock_reader, iclock_operator;

do $do$
declare
    source    text;
    day_view  record;
begin
    source := pg_get_viewdef('iclock.device_status'::regclass);
    if source !~ 'recent_skews' then
        execute 'create or replace view iclock.device_status '
                'with (security_barrier) as '
                || pg_temp.replaced(source,
                       'CROSS JOIN LATERAL [(] SELECT max[(][(]?r[.]punched_at '
                       '- r[.]received_at[)].*LIMIT 20[)] r[)] recent[)]?',
                       'left join lateral (select k.clock_skew '
                       'from iclock.recent_skews() as k '
                       'where k.device_id = d.id) recent on true)',
                       'device_status');
    end if;

    -- these name punch beside functions, to wait for who moves its rows
    for day_view in
        select c.oid::regclass as name
          from pg_class c
         where c.relnamespace = 'iclock'::regnamespace
           and c.relname in ('daily_attendance', 'shift_attendance')
    loop
        source := pg_get_viewdef(day_view.name);
        if source ~ 'ONLY ' then
            execute format('create or replace view %s with (security_barrier) '
                           'as ', day_view.name)
                    || pg_temp.replaced(source,
                                        '\s+AND \(NOT \(EXISTS \([^)]*ONLY '
                                        '[^)]*\)\)\)', '',
                                        day_view.name::text);
        end if;
    end loop;

    source := pg_get_viewdef('iclock.present_now'::regclass);
    if source !~ 'attendance_between' then
        execute 'create or replace view iclock.present_now '
                'with (security_barrier) as '
                || pg_temp.replaced(source, 'iclock[.]attendance a',
                       'iclock.attendance_between('
                       'timezone(''UTC'', now()) - interval ''2 days'', '
                       'timezone(''UTC'', now()) + interval ''1 day'') a',
                       'present_now');
    end if;
end
$do$;


-- maintain() and what nginx does each minute

create or replace function iclock.months_to_move()
    returns table (month timestamp, starts timestamp, punches bigint)
    language plpgsql volatile
    set search_path = pg_catalog, iclock, pg_temp
as $$
#variable_conflict use_column
declare
    gone     constant tsrange[] := (select s.dropped
                                      from iclock.punch_state s);
    months   timestamp[];
    amounts  bigint[];
begin
    select array_agg(w.month), array_agg(w.punches)
      into months, amounts
      from (select date_trunc('month', p.local_time) as month,
                   count(*) as punches
              from iclock.punch_default p
             where p.local_time >= date_trunc('month', localtimestamp)
                                   - interval '10 years'
               and p.local_time < date_trunc('month', localtimestamp)
                                  + interval '4 months'
               and not p.local_time <@ any (gone)
             group by 1) as w;

    return query
    with known as materialized (
        select p.relation, p.starts, p.ends from iclock.punch_partitions() p
    )
    select w.month, coalesce(own.ends, w.month), w.punches
      from unnest(months, amounts) as w (month, punches)
      left join known own
             on own.relation = to_regclass('iclock.'
                                           || iclock.partition_name(w.month))
            and own.starts = w.month
     where (own.relation is not null
            or to_regclass('iclock.' || iclock.partition_name(w.month))
               is null)
       and not exists (
           select
             from known k
            where k.starts < w.month + interval '1 month'
              and k.ends > w.month
              and k.relation is distinct from own.relation)
     order by w.month;
end
$$;

-- The table of a month is distributed as punch is before it gets rows: so these
-- stay on their workers.
create or replace function iclock.move_slice(
        month   timestamp,
        starts  timestamp,
        ends    timestamp)
    returns bigint
    language plpgsql
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    name     constant text := iclock.partition_name(month);
    columns  text;
    moved    bigint;
begin
    if starts = month then
        perform iclock.create_month(month);
        perform create_distributed_table(format('iclock.%I', name)::regclass,
                                         'device_id',
                                         colocate_with => 'iclock.punch');
    else
        execute format('alter table iclock.punch detach partition iclock.%I',
                       name);
    end if;

    select string_agg(format('%I', a.attname), ', ' order by a.attnum)
      into columns
      from pg_attribute a
     where a.attrelid = 'iclock.punch'::regclass
       and a.attnum > 0
       and not a.attisdropped
       and a.attgenerated = '';

    execute format('insert into iclock.%1$I (%2$s) '
                   'select %2$s from iclock.punch_default '
                   'where local_time >= %3$L and local_time < %4$L',
                   name, columns, starts, ends);
    get diagnostics moved = row_count;

    execute format('delete from iclock.punch_default '
                   'where local_time >= %L and local_time < %L',
                   starts, ends);

    execute format('alter table iclock.punch attach partition iclock.%I '
                   'for values from (%L) to (%L)', name, month, ends);
    return moved;
end
$$;

do $do$
declare
    source  text := pg_get_functiondef('iclock.drop_months()'::regprocedure);
begin
    if source ~ 'ctid' then
        execute pg_temp.replaced(source,
            'where ctid = any [(]array[(]select.*limit 20000[)][)];',
            'where local_time <@ any (state.dropped);', 'drop_months');
    end if;
end
$do$;

create or replace function iclock.newest_punch(
        device_id           bigint,
        out local_time      timestamp,
        out punched_at      timestamptz)
    language plpgsql stable
    set search_path = pg_catalog, iclock, pg_temp
as $$
#variable_conflict use_column
begin
    select p.local_time, p.punched_at into $2, $3
      from iclock.punch p
     where p.device_id = $1
       and p.local_time < localtimestamp + interval '2 days'
     order by p.local_time desc
     limit 1;
end
$$;
comment on function iclock.newest_punch(bigint) is
    'Of a Citus cluster: the last punch of a device, for begin_pulses()';

create or replace function iclock.begin_pulses()
    returns void
    language sql
    set search_path = pg_catalog, iclock, pg_temp
as $$
    insert into iclock.device_pulse (device_id, last_local_time, last_punch_at)
    select d.id, l.local_time, l.punched_at
      from (select o.id
              from iclock.device o
             where not exists (select from iclock.device_pulse u
                                where u.device_id = o.id)
             order by o.id
             limit 1000) as d
     cross join lateral iclock.newest_punch(d.id) as l
     order by d.id
    on conflict do nothing
$$;

-- A transaction is committed here before its punches can be seen on the workers,
-- where it is prepared: who read on would miss them.  What is prepared on a
-- worker after the bound of punches_since() was taken has to end before it reads;
-- that takes milliseconds, or until the worker is back.
create or replace function iclock.prepared_punches()
    returns text[]
    language plpgsql volatile
    set search_path = pg_catalog, pg_temp
as $$
declare
    node  record;
    gids  text[] := '{}';
begin
    for node in
        select c.success, c.result
          from run_command_on_workers(
                   $query$select coalesce(array_agg(x.gid), '{}')
                            from pg_prepared_xacts as x
                           where x.database = current_database()
                             and x.gid like 'citus%'$query$) as c
    loop
        if not node.success then
            raise connection_failure
                using message = 'a worker does not answer: ' || node.result;
        end if;
        gids := gids || node.result::text[];
    end loop;

    return gids;
end
$$;
comment on function iclock.prepared_punches() is
    'Of a Citus cluster: transactions that wait on workers for their commit';

create or replace function iclock.settle_punches()
    returns void
    language plpgsql volatile
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    waiting   text[];
    deadline  constant timestamptz := clock_timestamp() + interval '5 seconds';
begin
    if iclock.visible_sites() is not null then
        raise insufficient_privilege
            using message = format('role "%s" is limited to sites, and '
                                   'punches are distributed by Citus',
                                   iclock.calling_role()),
                  hint = 'Read the views, or attendance_between().';
    end if;

    waiting := iclock.prepared_punches();

    while waiting <> '{}' loop
        if clock_timestamp() > deadline then
            raise lock_not_available
                using message = 'transactions on workers have not come to '
                                'their end',
                      hint = 'Call punches_since() again.';
        end if;

        perform pg_sleep(0.01);
        waiting := array(select unnest(waiting)
                         intersect
                         select unnest(iclock.prepared_punches()));
    end loop;
end
$$;
comment on function iclock.settle_punches() is
    'Of a Citus cluster: waits until workers show what has been committed';
revoke all on function iclock.prepared_punches(), iclock.settle_punches()
    from public;

do $do$
declare
    source  text := pg_get_functiondef(
                        'iclock.punches_since(text, integer)'::regprocedure);
begin
    if source !~ 'settle_punches' then
        execute pg_temp.replaced(source,
            '(settled := base [+] txid_snapshot_xmin[(]'
            'txid_current_snapshot[(][)][)];)',
            E'\\1\n    perform iclock.settle_punches();',
            'punches_since');
        alter function iclock.punches_since(text, integer) security definer;
    end if;
end
$do$;


-- An insert that fails would have to be undone on all workers.
do $do$
declare
    source  text := pg_get_functiondef('iclock.store_punches'::regproc);
begin
    if source ~ 'unique_violation' then
        execute pg_temp.replaced(source,
            E'\n    begin\n.*\n    end;\n', '', 'store_punches');
    end if;
end
$do$;


-- the HTTP API: the punches of a device are on one worker, which is asked

create or replace function iclock.punches_of(
        device_id  bigint,
        starts     timestamp,
        ends       timestamp)
    returns setof iclock.punch
    language plpgsql stable
    set search_path = pg_catalog, iclock, pg_temp
as $$
begin
    return query
    select p.*
      from iclock.punch p
     where p.device_id = $1
       and p.local_time >= $2 and p.local_time < $3;
end
$$;
comment on function iclock.punches_of(bigint, timestamp, timestamp) is
    'Of a Citus cluster: punches of a device, from one local time until another';

create or replace function iclock.edge_punches(
        device_id  bigint,
        starts     timestamp,
        ends       timestamp)
    returns setof iclock.punch
    language plpgsql stable
    set search_path = pg_catalog, iclock, pg_temp
as $$
begin
    return query
    select p.*
      from iclock.punch p
     where p.device_id = $1
       and p.local_time >= $2 and p.local_time < $3
     order by p.local_time
     limit 1;

    return query
    select p.*
      from iclock.punch p
     where p.device_id = $1
       and p.local_time >= $2 and p.local_time < $3
     order by p.local_time desc
     limit 1;
end
$$;
comment on function iclock.edge_punches(bigint, timestamp, timestamp) is
    'Of a Citus cluster: the first and the last of these punches';
revoke all on function iclock.punches_of(bigint, timestamp, timestamp),
    iclock.edge_punches(bigint, timestamp, timestamp)
    from public;

do $do$
declare
    source  text;
begin
    select pg_get_functiondef(p.oid) into strict source
      from pg_proc p
     where p.pronamespace = 'iclock_api'::regnamespace
       and p.proname = 'punch_page';

    if source !~ 'edge_punches' then
        source := pg_temp.replaced(source, 'from iclock[.]punch p %s %s',
            'from iclock.punches_of(s.id, greatest($5, s.starts), '
            'least($6, s.ends)) p %s %s', 'punch_page');
        execute pg_temp.replaced(source, 'from iclock[.]punch p\n',
            E'from iclock.edge_punches(s.id, greatest($4, s.starts), '
            'least($5, s.ends)) p\n', 'punch_page');
    end if;
end
$do$;

create or replace function iclock.recent_punches(devices bigint[])
    returns table (
        device_id    bigint,
        local_time   timestamp,
        received_at  timestamptz)
    language plpgsql stable strict
    set search_path = pg_catalog, iclock, pg_temp
as $$
#variable_conflict use_column
begin
    return query
    select p.device_id, p.local_time, p.received_at
      from iclock.punch p
     where p.device_id = any ($1)
       and p.received_at > now() - interval '25 hours'
       and p.local_time > localtimestamp - interval '36 days';
end
$$;
comment on function iclock.recent_punches(bigint[]) is
    'Of a Citus cluster: punches of devices that were stored today, for '
    'summaries';
revoke all on function iclock.recent_punches(bigint[]) from public;

do $do$
declare
    source  text;
begin
    source := pg_get_functiondef('iclock_api.punch_rates(boolean, text[], '
                                 'bigint[])'::regprocedure);
    if source !~ 'recent_punches' then
        execute pg_temp.replaced(source, 'from iclock[.]punch p\n',
            E'from iclock.recent_punches(devices) p\n', 'punch_rates');
    end if;

    source := pg_get_functiondef('iclock_api.punches_of_stays(bigint[], '
                                 'date[], text[])'::regprocedure);
    if source !~ 'punches_of[(]' then
        execute pg_temp.replaced(source, 'join iclock[.]punch p on',
            'join lateral iclock.punches_of(m.id, greatest(m.day, s.starts), '
            'least(m.day + 1, s.ends)) p on', 'punches_of_stays');
    end if;
end
$do$;

-- the one of this schema; a function that the site has put in its place stays
do $do$
declare
    source  text := pg_get_functiondef(
                        'iclock.self_service(text, text, text)'::regprocedure);
begin
    if source ~ 'from iclock[.]punch l\n *join iclock[.]device d ' then
        execute pg_temp.replaced(source,
            'from iclock[.]punch l\n *join iclock[.]device d '
            'on d[.]id = l[.]device_id',
            'from iclock.device d cross join lateral iclock.punches_of(d.id, '
            'localtimestamp - interval ''7 days'', '
            'localtimestamp + interval ''2 days'') as l',
            'self_service');
    end if;
end
$do$;

create or replace function iclock.switch_events(
        wanted  boolean,
        gently  boolean default false)
    returns void
    language plpgsql
    set search_path = pg_catalog, iclock, pg_temp
as $$
begin
    if wanted then
        raise object_not_in_prerequisite_state
            using message = 'punches that are distributed by Citus leave no '
                            'events';
    end if;
end
$$;

revoke all on function iclock.newest_punch(bigint) from public;

-- nginx stores punches on the workers as the role that it has here, which was
-- made before they were added
do $roles$
declare
    role    name;
    failed  text;
begin
    for role in
        select r.rolname
          from pg_auth_members m
          join pg_roles r on r.oid = m.member
         where m.roleid = 'iclock_module'::regrole
    loop
        select min(c.result) into failed
          from run_command_on_workers(format(
                   $query$do $do$
                   begin
                       perform set_config('citus.enable_ddl_propagation',
                                          'off', true);
                       if not exists (select from pg_roles
                                       where rolname = %1$L) then
                           create role %2$s login;
                       end if;
                       grant iclock_module to %2$s;
                   end
                   $do$
                   $query$, role, quote_ident(role))) as c
         where not c.success;

        if failed is not null then
            raise exception 'role "%" cannot be made on a worker: %', role,
                failed;
        end if;
    end loop;
end
$roles$;

-- partitions are those of all nodes, whatever the session has set
alter function iclock.maintain_partitions()
    set citus.enable_ddl_propagation = on;
alter function iclock.drop_before(date)
    set citus.enable_ddl_propagation = on;
alter function iclock.rebase_punches()
    set citus.enable_ddl_propagation = on;

commit;
