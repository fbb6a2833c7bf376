-- What maintain() does for the event feed, and what nginx asks for each minute.

-- The partitions of event, oldest first.
create or replace function iclock.event_partitions()
    returns table (relation regclass, starts timestamptz, ends timestamptz)
    language sql stable
    set search_path = pg_catalog, iclock, pg_temp
    set datestyle = 'ISO'
as $$
    select p.oid::regclass, b.bounds[1]::timestamptz, b.bounds[2]::timestamptz
      from pg_inherits i
      join pg_class p on p.oid = i.inhrelid
     cross join lateral regexp_match(
               pg_get_expr(p.relpartbound, p.oid),
               'FROM \(''([^'']*)''\) TO \(''([^'']*)''\)') as b (bounds)
     where i.inhparent = 'iclock.event'::regclass
       and b.bounds is not null
     order by 2
$$;
comment on function iclock.event_partitions() is
    'The partitions of event with their bounds; the default partition is not '
    'among them';


-- Days are those of UTC.  A day that has events without a partition does without
-- one: they go when their time has come.
create or replace function iclock.add_event_days()
    returns void
    language plpgsql
    set search_path = pg_catalog, iclock, pg_temp
    set lock_timeout = '300ms'
    set timezone = 'UTC'
as $$
declare
    day   date;
    name  text;
begin
    for day in
        select current_date + n from generate_series(0, 3) as n
    loop
        name := 'event_' || to_char(day, 'YYYY_MM_DD');

        continue when to_regclass('iclock.' || name) is not null
                      or exists (select from iclock.event_partitions() p
                                  where p.starts < day + 1 and p.ends > day)
                      or exists (select from only iclock.event_default e
                                  where e.created_at >= day
                                    and e.created_at < day + 1);

        execute format('create table iclock.%I (like iclock.event '
                       'including defaults including constraints '
                       'including indexes)', name);
        execute format('comment on table iclock.%I is %L', name,
                       'Events of ' || day || ', partition of iclock.event');
        execute format('alter table iclock.event attach partition iclock.%I '
                       'for values from (%L) to (%L)', name,
                       day::timestamptz, (day + 1)::timestamptz);
    end loop;
end
$$;
comment on function iclock.add_event_days() is
    'Gives today and the next three days their partitions of event';


-- Whether a receiver of webhooks has still to get events up to a place.
create or replace function iclock.event_awaited(xid xid8, seq bigint)
    returns boolean
    language plpgsql stable
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    awaited  boolean := false;
begin
    if to_regclass('iclock.webhook_endpoint') is not null then
        execute 'select exists (select from iclock.webhook_endpoint w '
                ' where (w.cursor_xid, w.cursor_seq) < ($1, $2))'
           into awaited
          using xid, seq;
    end if;
    return awaited;
end
$$;
comment on function iclock.event_awaited(xid8, bigint) is
    'Whether a receiver of webhooks has still to get events up to this place';


-- Drops a day of which all events are too old, and deletes such as lie in the
-- default partition; true if there may be more.  Days that a receiver lags behind
-- are kept for 30 days.
create or replace function iclock.prune_events()
    returns boolean
    language plpgsql
    set search_path = pg_catalog, iclock, pg_temp
    set lock_timeout = '300ms'
as $$
declare
    age     constant interval := (select r.age from iclock.retention r
                                   where r.kind = 'event');
    longest constant interval := greatest(age, interval '30 days');
    old     record;
    last    record;
begin
    if age is null then
        return false;
    end if;

    select p.* into old
      from iclock.event_partitions() p
     where p.ends <= now() - age
     order by p.starts
     limit 1;

    if old.relation is not null then
        execute format('select e.xid, e.seq from only %s e '
                       'order by e.xid desc, e.seq desc limit 1', old.relation)
           into last;

        if last.xid is null or old.ends <= now() - longest
           or not iclock.event_awaited(last.xid, last.seq)
        then
            perform iclock.note_dropped(last.xid, last.seq);
            lock table only iclock.event in access exclusive mode;
            execute format('drop table %s', old.relation);
            return true;
        end if;
    end if;

    with gone as (
        delete from only iclock.event_default
         where ctid = any (array(
                   select e.ctid
                     from only iclock.event_default e
                    where e.created_at < now() - age
                      and (e.created_at < now() - longest
                           or not iclock.event_awaited(e.xid, e.seq))
                    limit 5000))
        returning xid, seq
    ),
    newest as (
        select g.xid, g.seq, count(*) over () as deleted
          from gone g
         order by g.xid desc, g.seq desc
         limit 1
    )
    select n.deleted, iclock.note_dropped(n.xid, n.seq) as noted
      into old
      from newest n;

    return coalesce(old.deleted = 5000, false);
end
$$;
comment on function iclock.prune_events() is
    'Drops events that are older than table retention says; true if there may '
    'be more';

-- For nginx: what directive iclock_event_retention says.  Who keeps events for
-- ever does so all the same.
create or replace function iclock.keep_events(seconds integer)
    returns void
    language sql security definer
    set search_path = pg_catalog, iclock, pg_temp
as $$
    update iclock.retention r
       set age = justify_hours(make_interval(secs => $1))
     where r.kind = 'event'
       and r.age <> make_interval(secs => $1)
$$;
comment on function iclock.keep_events(integer) is
    'For nginx: keeps events for so long, unless for ever';
grant execute on function iclock.keep_events(integer) to iclock_api;

create or replace function iclock.note_dropped(xid xid8, seq bigint)
    returns void
    language sql
    set search_path = pg_catalog, iclock, pg_temp
as $$
    update iclock.event_state s
       set dropped_xid = $1, dropped_seq = $2
     where (s.dropped_xid, s.dropped_seq) < ($1, $2)
$$;
comment on function iclock.note_dropped(xid8, bigint) is
    'Notes that events up to this place may be missing';


-- The largest number that events, cursors of webhooks or what was dropped have.
-- Nothing is known of restored tables before ANALYZE, but the index has the order.
create or replace function iclock.newest_event()
    returns xid8
    language plpgsql stable
    set search_path = pg_catalog, iclock, pg_temp
    set jit = off
    set enable_seqscan = off
    set enable_bitmapscan = off
    set enable_sort = off
as $$
declare
    newest   xid8;
    dropped  xid8;
    hook     xid8;
begin
    select e.xid into newest
      from iclock.event e
     order by e.xid desc, e.seq desc
     limit 1;

    select s.dropped_xid into dropped from iclock.event_state s;

    if to_regclass('iclock.webhook_endpoint') is not null then
        execute 'select w.cursor_xid from iclock.webhook_endpoint w '
                ' order by w.cursor_xid desc limit 1' into hook;
    end if;

    return greatest(newest, dropped, hook);
end
$$;
comment on function iclock.newest_event() is
    'The largest number of a transaction that the event feed knows of';


-- Whether events are from another cluster, where transactions have other numbers.
create or replace function iclock.events_restored()
    returns boolean
    language plpgsql security definer
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    state   iclock.event_state;
    newest  xid8;
begin
    newest := iclock.newest_event();

    -- Asked last: each statement sees what was committed before it, and what
    -- others write meanwhile is not of the future.
    select s.* into state from iclock.event_state s;

    -- readers may have snapshots of there, even where there are no events
    return coalesce(state.cluster <> iclock.cluster(), false)
           or newest > '3'
              and newest::text::bigint >= state.xid_base + greatest(
                      pg_snapshot_xmax(pg_current_snapshot())::text::bigint,
                      pg_current_xact_id_if_assigned()::text::bigint + 1);
end
$$;
comment on function iclock.events_restored() is
    'Whether a dump was restored here and the event feed waits for '
    'rebase_events()';


-- In another cluster, where a dump was restored, transactions are numbered anew:
-- from now on a number is added that is larger than all there have been, those of
-- snapshots that readers have, too.  So the events of before, of which there may
-- be millions, stay as they are, and cursors are as good as they were.  What this
-- cluster has written before that is numbered once more.
create or replace function iclock.rebase_events()
    returns boolean
    language plpgsql security definer
    set search_path = pg_catalog, iclock, pg_temp
    set lock_timeout = '500ms'
    set jit = off
    set enable_seqscan = off
as $$
declare
    -- no cluster gets as far as that
    epoch    constant bigint := 1::bigint << 40;
    state    iclock.event_state;
    known    bigint;
    present  bigint;
    began    bigint;
    base     bigint;
    ended    bigint;
begin
    if not iclock.events_restored() then
        update iclock.event_state s
           set cluster = iclock.cluster()
         where s.cluster is distinct from iclock.cluster()
           and iclock.cluster() is not null;
        return false;
    end if;

    select s.xid_base into known from iclock.event_state s;
    present := pg_current_xact_id()::text::bigint;

    -- the transaction that made the key, after the tables were filled; of the
    -- number of a transaction 32 bits are stored
    select present - ((present - k.xmin::text::bigint) & 4294967295)
      into began
      from pg_constraint k
     where k.conrelid = 'iclock.event_state'::regclass
       and k.contype = 'p';

    -- uploads wait as long as it takes, and who calls this gives up
    if current_setting('statement_timeout') <> '0'
       and 100000 < (
           select count(*)
             from (select 1
                     from iclock.event e
                    where e.xid > (known + began)::text::xid8
                      and e.xid <= (known + present)::text::xid8
                      and ((e.xmin::text::bigint - began) & 4294967295)
                          between 1 and 2147483647
                    limit 100001) as e)
    then
        raise warning 'the database was restored from a dump, and so many '
                      'events have come since that webhooks and the event '
                      'feed wait until somebody runs install.sql';
        return false;
    end if;

    -- in the order in which watch_events() takes them
    select s.* into state from iclock.event_state s for update;

    if state.xid_base <> known then
        return false;
    end if;

    -- who has written events until now has committed when this is locked
    lock table only iclock.event in access exclusive mode;
    ended := greatest(
        pg_snapshot_xmax(pg_current_snapshot())::text::bigint, present + 1);
    base := (iclock.newest_event()::text::bigint / epoch + 1) * epoch;

    -- partitions are not written to by name
    execute format('alter table only iclock.event alter column xid '
                   'set default (pg_current_xact_id()::text::bigint + %s)'
                   '::text::xid8', base);

    update iclock.event e
       set xid = (e.xid::text::bigint - known + base)::text::xid8
     where e.xid > (known + began)::text::xid8
       and e.xid < (known + ended)::text::xid8
       and ((e.xmin::text::bigint - began) & 4294967295)
           between 1 and 2147483647;

    update iclock.event_state s
       set xid_base = base, cluster = iclock.cluster();

    -- there is more to read
    perform pg_notify('iclock_event', '');
    return true;
end
$$;
comment on function iclock.rebase_events() is
    'After a dump was restored into another cluster: has events numbered from '
    'where the old ones ended';


create or replace function iclock.maintain_events()
    returns boolean
    language plpgsql
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    enabled  constant boolean := iclock.events_enabled();
begin
    -- what stops this must not stop all else: maintain() looks again soon
    begin
        perform iclock.rebase_events();
    exception when lock_not_available or deadlock_detected then
        null;
    when query_canceled then
        raise warning 'the events of a restored dump are not numbered yet: %',
            sqlerrm;
    end;

    if enabled then
        perform iclock.add_event_days();

    elsif exists (select from iclock.event_triggers() t
                   where t.name = 'punch_event')
    then
        perform iclock.switch_events(false);
    end if;

    return iclock.prune_events();

-- nobody waits for this: the next call tries again
exception when lock_not_available or deadlock_detected then
    return false;
end
$$;
comment on function iclock.maintain_events() is
    'The part of maintain() that concerns the event feed; true if more is left';


-- Devices that have not called for so long that they are silent, and those that
-- are back.  A device is not silent because nobody has listened: not before all
-- nginx have been there for as long.
create or replace function iclock.watch_devices(since timestamptz)
    returns void
    language plpgsql
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    written  bigint;
begin
    with back as (
        delete from iclock.device_silence s
         using iclock.device_presence p, iclock.device d
         where p.device_id = s.device_id
           and d.id = s.device_id
           and p.last_seen >= now() - iclock.silence_after(d.delay,
                                                           d.told_delay)
        returning s.device_id
    ),
    silent as (
        insert into iclock.device_silence (device_id, since)
        select p.device_id, p.last_seen
          from iclock.device_presence p
          join iclock.device d on d.id = p.device_id
         cross join lateral
               (select now() - iclock.silence_after(d.delay, d.told_delay)
                           as since) as silent
         where p.last_seen < silent.since
           and d.status = 'active'
           and $1 < silent.since
           and not exists (select from iclock.device_silence s
                            where s.device_id = p.device_id)
         order by p.device_id
            on conflict do nothing
        returning device_id
    ),
    added as (
        insert into iclock.event (type, device_id)
        select n.type, n.device_id
          from (select 6 as type, b.device_id from back b
                 union all
                select 7, s.device_id from silent s) as n
          join iclock.device d on d.id = n.device_id
         where d.status = 'active'
         order by n.device_id
        returning 1
    )
    select count(*) into written from added;

    if written > 0 then
        perform pg_notify('iclock_event', '');
    end if;
end
$$;
comment on function iclock.watch_devices(timestamptz) is
    'Writes device.online and device.offline; the latter only if somebody has '
    'listened for as long as the device has been silent';

create or replace function iclock.watch_events()
    returns boolean
    language plpgsql security definer
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    state  iclock.event_state;
begin
    perform iclock.tally_punches();

    if not iclock.events_enabled() then
        return false;
    end if;

    -- one nginx of several a minute
    select s.* into state
      from iclock.event_state s
     where s.watched_at not between clock_timestamp() - interval '50 seconds'
                                and clock_timestamp()
       for update skip locked;

    if found then
        -- or the clock was ahead
        if state.watched_at < now() - interval '3 minutes'
           or state.watched_since > now()
        then
            state.watched_since := now();
        end if;

        update iclock.event_state s
           set watched_at = clock_timestamp(),
               watched_since = state.watched_since;

        perform iclock.watch_devices(state.watched_since);
    end if;

    return true;
end
$$;
comment on function iclock.watch_events() is
    'For nginx, each minute: whether events are written; looks for silent '
    'devices, counts punches';
grant execute on function iclock.watch_events() to iclock_module;


-- The transaction that keeps events from being settled, which may be one of
-- another database.  View event_status calls it with the rights of who reads that,
-- so who may not see what others do (pg_read_all_stats) is not told.
create or replace function iclock.event_holder()
    returns text
    language sql stable
    set search_path = pg_catalog, iclock, pg_temp
as $$
    select coalesce(
        (select format('pid %s (%s%s), database %s, since %s', a.pid,
                       coalesce(a.usename, a.backend_type),
                       coalesce(', ' || nullif(a.application_name, ''), ''),
                       a.datname,
                       to_char(a.xact_start at time zone 'UTC',
                               'YYYY-MM-DD HH24:MI:SS "UTC"'))
           from pg_stat_activity a
          where a.backend_xid::text::bigint
                = pg_snapshot_xmin(pg_current_snapshot())::text::bigint
                  & 4294967295
          limit 1),
        (select format('prepared transaction "%s", database %s', x.gid,
                       x.database)
           from pg_prepared_xacts x
          where x.transaction::text::bigint
                = pg_snapshot_xmin(pg_current_snapshot())::text::bigint
                  & 4294967295
          limit 1))
$$;
comment on function iclock.event_holder() is
    'The transaction that keeps events from being settled';
grant execute on function iclock.event_holder()
   to iclock_reader, iclock_operator;
