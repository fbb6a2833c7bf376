-- Partitions of punch, and what maintain() does.
--
-- Every strong lock is taken with a short timeout, in the order punch,
-- punch_default, partition, and is kept for about half a second: so long do
-- inserts wait.  What is left is done by the next call.

-- in the first release it did not say when it wants to be called again
select 'drop function iclock.maintain()'
  from pg_proc p
 where p.oid = to_regprocedure('iclock.maintain()')
   and p.prorettype = 'void'::regtype
\gexec

-- Months from FROM to TO; MINVALUE and MAXVALUE are infinite.
create or replace function iclock.punch_partitions()
    returns table (relation regclass, starts timestamp, ends timestamp)
    language sql stable
    set search_path = pg_catalog, iclock, pg_temp
    set datestyle = 'ISO'
as $$
    select p.oid::regclass,
           coalesce(b.bounds[1]::timestamp, '-infinity'),
           coalesce(b.bounds[2]::timestamp, 'infinity')
      from pg_inherits i
      join pg_class p on p.oid = i.inhrelid
     cross join lateral regexp_match(
               pg_get_expr(p.relpartbound, p.oid),
               'FROM \((?:''([^'']*)''|MINVALUE)\) '
               'TO \((?:''([^'']*)''|MAXVALUE)\)') as b (bounds)
     where i.inhparent = 'iclock.punch'::regclass
       and b.bounds is not null
$$;
comment on function iclock.punch_partitions() is
    'The partitions of punch with their bounds; the default partition is not '
    'among them';

create or replace function iclock.partition_name(month timestamp)
    returns text
    language sql immutable strict
    set search_path = pg_catalog, pg_temp
as $$
    select 'punch_' || to_char($1, 'YYYY_MM')
$$;
comment on function iclock.partition_name(timestamp) is
    'Name of the partition of a month';


-- Whoever waits for these locks makes all inserts wait, so this waits only for
-- a short time.  A query that was planned without a new partition would not
-- find its punches, and ATTACH and DROP ask for the default partition while
-- holding other locks: that is why this locks both, and before anything else.
create or replace function iclock.lock_punch(parent boolean)
    returns void
    language plpgsql
    set search_path = pg_catalog, iclock, pg_temp
    set lock_timeout = '300ms'
as $$
begin
    if parent then
        lock table only iclock.punch in access exclusive mode;
    end if;
    lock table only iclock.punch_default in access exclusive mode;
end
$$;
comment on function iclock.lock_punch(boolean) is
    'Locks the default partition, and punch itself before it if that is asked '
    'for, or fails within 0.3 seconds';


-- Makes the table of a month.  CREATE TABLE ... PARTITION OF would lock punch
-- against every insert, and fail when the default partition already holds
-- punches of the month.  So it is made on its own and attached afterwards.
create or replace function iclock.create_month(month timestamp)
    returns void
    language plpgsql
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    name  constant text := iclock.partition_name(month);
begin
    execute format('create table iclock.%I (like iclock.punch including all)',
                   name);
    execute format('comment on table iclock.%I is %L', name,
                   'Punches of ' || to_char(month, 'YYYY-MM')
                   || ', partition of iclock.punch');
end
$$;
comment on function iclock.create_month(timestamp) is
    'Makes a table for the punches of a month, not attached yet';


-- Gives the last month and the next three their partitions, as far as no
-- punches have to be moved for that and no other partition is in the way.
create or replace function iclock.add_months()
    returns void
    language plpgsql
    set search_path = pg_catalog, iclock, pg_temp
    set lock_timeout = '300ms'
as $$
declare
    first  constant timestamp := date_trunc('month', localtimestamp)
                                 - interval '1 month';
    month  timestamp;
begin
    for month in
        select m
          from generate_series(first, first + interval '4 months',
                               interval '1 month') as m
         where to_regclass('iclock.' || iclock.partition_name(m)) is null
           and not exists (select from iclock.punch_partitions() p
                            where p.starts < m + interval '1 month'
                              and p.ends > m)
           and not exists (select from iclock.punch_state s
                            where m <@ any (s.dropped))
         order by m
    loop
        perform iclock.lock_punch(false);

        continue when exists (select
                                from only iclock.punch_default p
                               where p.local_time >= month
                                 and p.local_time < month
                                                    + interval '1 month');
        -- drop_before() may have held the lock
        continue when exists (select
                                from iclock.punch_state s
                               where month <@ any (s.dropped));

        perform iclock.create_month(month);
        execute format('alter table iclock.punch attach partition iclock.%I '
                       'for values from (%L) to (%L)',
                       iclock.partition_name(month), month,
                       month + interval '1 month');
    end loop;
end
$$;
comment on function iclock.add_months() is
    'Gives the last month and the next three their partitions';


-- Months of the last ten years and the next three months that wait in the
-- default partition, and where each begins there: a month of very many punches
-- is moved in slices, by a partition that grows.
create or replace function iclock.months_to_move()
    returns table (month timestamp, starts timestamp, punches bigint)
    language sql volatile
    set search_path = pg_catalog, iclock, pg_temp
as $$
    with waiting as materialized (
        select date_trunc('month', p.local_time) as month, count(*) as punches
          from only iclock.punch_default p
         where p.local_time >= date_trunc('month', localtimestamp)
                               - interval '10 years'
           and p.local_time < date_trunc('month', localtimestamp)
                              + interval '4 months'
           and not exists (select
                             from iclock.punch_state s
                            where p.local_time <@ any (s.dropped))
         group by 1
    ),
    known as materialized (
        select p.relation, p.starts, p.ends from iclock.punch_partitions() p
    )
    select w.month, coalesce(own.ends, w.month), w.punches
      from waiting w
      left join known own
             on own.relation = to_regclass('iclock.'
                                           || iclock.partition_name(w.month))
            and own.starts = w.month
     where (own.relation is not null
            -- a table that was detached to archive it does not come back
            or to_regclass('iclock.' || iclock.partition_name(w.month))
               is null)
       -- a partition that somebody made by hand may cover the month or part
       -- of it
       and not exists (
           select
             from known k
            where k.starts < w.month + interval '1 month'
              and k.ends > w.month
              and k.relation is distinct from own.relation)
     order by w.month
$$;
comment on function iclock.months_to_move() is
    'Months whose punches wait in the default partition, and from when on';


-- Moves what lies between two times of a month.  The caller holds the locks.
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

    execute format('with moved as ('
                   '    delete from only iclock.punch_default'
                   '     where local_time >= %1$L and local_time < %2$L'
                   '    returning %3$s) '
                   'insert into iclock.%4$I (%3$s) select %3$s from moved',
                   starts, ends, columns, name);
    get diagnostics moved = row_count;

    execute format('alter table iclock.punch attach partition iclock.%I '
                   'for values from (%L) to (%L)', name, month, ends);
    return moved;
end
$$;
comment on function iclock.move_slice(timestamp, timestamp, timestamp) is
    'Moves the punches between two times out of the default partition into '
    'that of their month';


-- Moves about so many punches into partitions of their own; true if that was
-- not all.  It finds out what it has to know before it locks anything.
create or replace function iclock.move_months(step_rows integer)
    returns boolean
    language plpgsql
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    months  timestamp[];
    starts  timestamp[];
    ends    timestamp[];
    bound   timestamp;
    total   bigint;
    began   timestamptz;
    taken   double precision;
    moved   bigint := 0;
begin
    -- the first one whatever its size, then as many as are still small enough
    select array_agg(m.month order by m.month),
           array_agg(m.starts order by m.month),
           array_agg(m.month + interval '1 month' order by m.month),
           max(m.total)
      into months, starts, ends, total
      from (select w.*,
                   row_number() over (order by w.month) as n,
                   sum(w.punches) over (order by w.month) as so_far,
                   sum(w.punches) over () as total
              from iclock.months_to_move() w) as m
     where m.n = 1 or m.so_far <= step_rows;

    if months is null then
        return false;
    end if;

    select p.local_time + interval '1 second'
      into bound
      from only iclock.punch_default p
     where p.local_time >= starts[1]
       and p.local_time < months[1] + interval '1 month'
     order by p.local_time
    offset step_rows - 1
     limit 1;

    ends[1] := least(bound, ends[1]);

    perform iclock.lock_punch(true);
    began := clock_timestamp();

    for i in 1 .. cardinality(months) loop
        exit when i > 1
              and clock_timestamp() > began + interval '400 milliseconds';

        -- drop_before() may have held the lock
        continue when exists (select
                                from iclock.punch_state s
                               where months[i] <@ any (s.dropped));

        moved := moved + iclock.move_slice(months[i], starts[i], ends[i]);
    end loop;

    -- the next step is to take about half a second as well
    taken := extract(epoch from clock_timestamp() - began);

    update iclock.maintenance m
       set step_rows = case
               when taken > 0.6 then greatest(m.step_rows / 2, 10000)
               when taken < 0.3 and moved >= m.step_rows
               then least(m.step_rows * 2, 500000)
               else m.step_rows end
     where m.task = 'partitions';

    return total > moved;
end
$$;
comment on function iclock.move_months(integer) is
    'Moves about so many punches into partitions of their own; true if more '
    'are left';


-- Ranges with one more, which takes up those that it meets.
create or replace function iclock.add_range(ranges tsrange[], added tsrange)
    returns tsrange[]
    language sql immutable strict
    set search_path = pg_catalog, pg_temp
as $$
    select array(select r from unnest($1) as r
                  where not (r && $2 or r -|- $2))
           || (select tsrange(least(lower($2), min(lower(r))),
                              greatest(upper($2), max(upper(r))))
                 from unnest($1) as r
                where r && $2 or r -|- $2)
$$;
comment on function iclock.add_range(tsrange[], tsrange) is
    'Ranges and one more, joined where they meet';


-- Drops some of the partitions that drop_before() has been asked to drop, and
-- punches of these months in the default partition; true if some may be left.
-- It passes over what is in use, and fails if there is nothing else.
create or replace function iclock.drop_months()
    returns boolean
    language plpgsql
    set search_path = pg_catalog, iclock, pg_temp
    set lock_timeout = '300ms'
as $$
declare
    state    iclock.punch_state;
    pending  regclass[];
    gone     regclass[] := '{}';
    name     regclass;
    deleted  bigint;
begin
    select s.* into state from iclock.punch_state s;

    if state.dropped = '{}' then
        return false;
    end if;

    delete from only iclock.punch_default
     where ctid = any (array(select p.ctid
                               from only iclock.punch_default p
                              where p.local_time <@ any (state.dropped)
                              limit 20000));
    get diagnostics deleted = row_count;

    -- before inserts have to wait
    if deleted = 20000 then
        return true;
    end if;

    -- one that has been detached meanwhile is somebody's archive
    pending := array(select p.relation
                       from iclock.punch_partitions() p
                      where p.relation = any (state.dropping)
                      order by p.starts);

    if pending <> '{}' then
        perform iclock.lock_punch(true);
    end if;

    foreach name in array pending loop
        exit when cardinality(gone) = 12;

        begin
            execute format('lock table only %s in access exclusive mode nowait',
                           name);
            execute format('drop table %s', name);
            gone := gone || name;
        exception when lock_not_available then
            null;
        end;
    end loop;

    if pending <> '{}' and gone = '{}' then
        raise lock_not_available using message = 'partitions are in use';
    end if;

    update iclock.punch_state s
       set dropping = array(select u.name
                              from unnest(pending) as u (name)
                             where u.name <> all (gone))
     where s.dropping <> '{}';

    return cardinality(pending) > cardinality(gone);
end
$$;
comment on function iclock.drop_months() is
    'Drops some of the partitions that drop_before() was asked to drop; true '
    'if more are left';


-- Drops the partitions of punch that end before a day.  maintain() later drops
-- those that somebody has in use now; this returns their number.  If terminals
-- upload punches of this time again, they get OK and nothing is stored.
create or replace function iclock.drop_before(day date)
    returns integer
    language plpgsql
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    before    constant timestamp := date_trunc('month', day::timestamp);
    first     timestamp;
    attempts  integer := 0;
    begun     boolean := false;
begin
    if not coalesce(day between '1900-01-01' and current_date, false) then
        raise invalid_parameter_value
            using message = 'the day is NULL, long ago or in the future';
    end if;

    select least((select min(p.starts)
                    from iclock.punch_partitions() p
                   where p.ends <= before),
                 (select min(date_trunc('month', p.local_time))
                    from only iclock.punch_default p
                   where p.local_time < before
                     and p.local_time >= date_trunc('month', localtimestamp)
                                         - interval '10 years'))
      into first;

    -- only what is there now: not what is attached or imported later
    update iclock.punch_state s
       set dropping = array(select unnest(s.dropping)
                             union
                            select p.relation
                              from iclock.punch_partitions() p
                             where p.ends <= before),
           dropped = iclock.add_range(s.dropped, tsrange(first, before))
     where first is not null;

    loop
        begin
            exit when not iclock.drop_months();
            begun := true;
        exception when lock_not_available or deadlock_detected then
            attempts := attempts + 1;

            -- inserts wait for what has been dropped already
            exit when begun or attempts = 5;
            perform pg_sleep(0.5);
        end;
    end loop;

    -- nginx goes on
    perform pg_notify('iclock_maintain', '');

    return (select cardinality(s.dropping) from iclock.punch_state s);
end
$$;
comment on function iclock.drop_before(date) is
    'Drops the months of punches that end before a day, for good: uploaded '
    'again, from the oldest of these months on, they are acknowledged and not '
    'stored. Returns how many partitions are in use and will be dropped later '
    'by maintain()';


-- Statistics of punch as a whole: autovacuum keeps only those of partitions.
-- Reading them may take longer than nginx allows a statement; then it is tried
-- again in a week.
create or replace function iclock.analyze_punch()
    returns void
    language plpgsql
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    pause  interval := '1 day';
begin
    begin
        analyze iclock.punch (device_id, local_time, pin, status, verify,
                              punched_at);
    exception when query_canceled or lock_not_available then
        pause := '7 days';
    end;

    update iclock.maintenance m
       set not_before = clock_timestamp() + pause
     where m.task = 'analyze';
end
$$;
comment on function iclock.analyze_punch() is 'Statistics of punch as a whole';


-- The work on partitions; the number of seconds after which there will be more
-- of it.  If somebody holds a lock for long, a dump for example, this tries
-- ever more seldom, because each attempt makes inserts wait.
create or replace function iclock.maintain_partitions()
    returns integer
    language plpgsql
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    task   iclock.maintenance;
    fault  text;
    pause  integer;
    more   boolean;
begin
    select m.* into strict task
      from iclock.maintenance m
     where m.task = 'partitions';

    if task.not_before > clock_timestamp() then
        return ceil(extract(epoch from task.not_before - clock_timestamp()));
    end if;

    -- punches_since() waits for that, and nothing else does
    begin
        if exists (select from iclock.punch_state s
                    where s.cluster is distinct from iclock.cluster())
        then
            -- its lock is kept until the commit, and uploads wait for it
            if iclock.rebase_punches() then
                return 0;
            end if;
        end if;
    exception when lock_not_available or deadlock_detected
                   or query_canceled then
        null;
    end;

    if exists (select from iclock.punch_state s
                where s.cluster is distinct from iclock.cluster())
    then
        fault := 'punches of a restored dump are not numbered yet';
    end if;

    begin
        perform iclock.add_months();
        more := iclock.drop_months();

        -- those that are moved look as if this cluster had stored them
        if fault is null then
            more := iclock.move_months(task.step_rows) or more;
        end if;

    exception when lock_not_available or deadlock_detected then
        fault := 'partitions of punch are in use';
    end;

    if fault is not null then
        pause := least(2 ^ least(task.failures, 10), 300);

        update iclock.maintenance m
           set failures = m.failures + 1,
               not_before = clock_timestamp() + make_interval(secs => pause)
         where m.task = 'partitions';

        raise warning 'iclock.maintain: %, next attempt in % s', fault,
                      pause;
        return pause;
    end if;

    update iclock.maintenance m
       set failures = 0, not_before = '-infinity'
     where m.task = 'partitions' and m.failures > 0;

    return case when more then 0 else 3600 end;
end
$$;
comment on function iclock.maintain_partitions() is
    'The work on partitions; seconds until it is to be done again';

create or replace function iclock.upload_locks()
    returns bigint
    language sql volatile
    set search_path = pg_catalog, iclock, pg_temp
as $$
    select count(*)
      from pg_locks l
     where l.pid = pg_backend_pid()
       and l.relation in ('iclock.event'::regclass, 'iclock.punch'::regclass)
       and l.mode = 'AccessExclusiveLock'
$$;
comment on function iclock.upload_locks() is
    'How many locks this transaction holds that all uploads wait for';


create or replace function iclock.maintain()
    returns integer
    language plpgsql security definer
    set search_path = pg_catalog, iclock, pg_temp
    set lock_timeout = '300ms'
as $$
declare
    locks  constant bigint := iclock.upload_locks();
    pause  integer;
    more   boolean;
begin
    -- one at a time; who comes second leaves it to the first
    if not pg_try_advisory_xact_lock(hashtext('iclock.maintain')) then
        return 5;
    end if;

    update iclock.command c
       set status = 'expired', finished_at = now()
     where c.id in (select e.id
                      from iclock.command e
                     where e.status = 'queued'
                       and e.expires_at <= now()
                       for update skip locked);

    more := iclock.maintain_retention();
    more := iclock.prune_api() or more;
    perform iclock.forget_persons();
    more := iclock.prune_webhooks() or more;
    more := iclock.maintain_events() or more;

    -- its locks are kept until the commit, and uploads wait for them
    if iclock.upload_locks() > locks then
        return 0;
    end if;

    -- a clock was ahead: who has called by it has called by now, at the latest,
    -- and who was served after he was refused still was
    update iclock.device_refusal r
       set last_at = now() - case when exists (
                         select
                           from iclock.device_presence p
                          where p.device_id = r.device_id
                            and p.last_seen > r.last_at)
                         then interval '1 ms' else interval '0' end,
           first_at = least(r.first_at, now() - interval '1 ms')
     where r.device_id in (select e.device_id
                             from iclock.device_refusal e
                            where e.last_at > clock_timestamp()
                              for update skip locked);

    update iclock.device_presence p
       set last_seen = now()
     where p.device_id in (select e.device_id
                             from iclock.device_presence e
                            where e.last_seen > clock_timestamp()
                              for update skip locked);

    update iclock.device d
       set last_seen = least(d.last_seen, now()),
           first_seen = least(d.first_seen, now())
     where d.id in (select e.id
                      from iclock.device e
                     where e.last_seen > clock_timestamp()
                        or e.first_seen > clock_timestamp()
                       for no key update skip locked);

    -- last, for the same reason
    pause := iclock.maintain_partitions();

    insert into iclock.job as j (name, last_run_at)
    select 'maintain', now()
     where not exists (select from iclock.maintenance m
                        where m.task = 'partitions' and m.failures > 0)
    on conflict (name) do update set last_run_at = excluded.last_run_at;

    if more then
        return 0;
    end if;

    -- it takes seconds, for which no lock of above is to be kept
    if pause = 3600
       and exists (select from iclock.maintenance m
                    where m.task = 'analyze'
                      and m.not_before <= clock_timestamp())
       and not exists (select
                         from pg_locks l
                        where l.pid = pg_backend_pid()
                          and l.relation = 'iclock.punch_default'::regclass
                          and l.mode = 'AccessExclusiveLock')
    then
        perform iclock.analyze_punch();
    end if;

    -- somebody had the events of a restored dump in use
    if iclock.events_restored() then
        return least(pause, 30);
    end if;

    return pause;
end
$$;
comment on function iclock.maintain() is
    'Creates partitions of punch, moves punches out of the default partition, '
    'drops, clears and deletes what is not to be kept, expires commands, lets '
    'no device have called in the future; at any time, from any number of '
    'sessions, about half a second at a time. '
    'Returns after how many seconds it wants to be called again: 0 if '
    'something is left';
grant execute on function iclock.maintain() to iclock_module;

-- The channel iclock_maintain is part of the contract with the module: punches
-- wait in the default partition for one of their own.
create or replace function iclock.punch_default_notify()
    returns trigger
    language plpgsql
    set search_path = pg_catalog, iclock, pg_temp
as $$
begin
    perform pg_notify('iclock_maintain', '');
    return null;
end
$$;
comment on function iclock.punch_default_notify() is
    'Trigger: NOTIFY iclock_maintain';

-- Passes over punches that drop_before() has dropped and a terminal uploads
-- again.  Their months have no partition, so only the default partition looks.
create or replace function iclock.punch_default_horizon()
    returns trigger
    language plpgsql security definer
    set search_path = pg_catalog, iclock, pg_temp
as $$
begin
    if exists (select
                 from iclock.punch_state s
                where new.local_time <@ any (s.dropped))
    then
        return null;
    end if;
    return new;
end
$$;
comment on function iclock.punch_default_horizon() is
    'Trigger: passes over punches of months that drop_before() has dropped';
