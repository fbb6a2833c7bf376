-- What punches tell of devices, counted as they come: a minute's punches are
-- read once, and nobody who asks how devices are doing reads more than those
-- that came since.

-- Whether a transaction had committed when a snapshot was taken: its number as
-- table punch has it.  No search_path, so that it can be inlined.
create or replace function iclock.was_counted(
        txid      bigint,
        base      bigint,
        snapshot  txid_snapshot)
    returns boolean
    language sql immutable parallel safe
as $$
    select $1 <= $2 or txid_visible_in_snapshot($1 - $2, $3)
$$;
comment on function iclock.was_counted(bigint, bigint, txid_snapshot) is
    'Whether a punch of this transaction is in the counts that a snapshot '
    'belongs to; base: punch_state.txid_base';

-- A snapshot of what this one shows up to some transaction, and of what one from
-- before shows: what came after that transaction may have been counted, too.
create or replace function iclock.snapshot_until(
        snapshot  txid_snapshot,
        last      bigint,
        before    txid_snapshot  default null)
    returns txid_snapshot
    language sql immutable
    set search_path = pg_catalog, pg_temp
as $$
    select case when $2 is null or $2 >= txid_snapshot_xmax($1) then $1
           else (select format('%s:%s:%s', coalesce(min(x), n.next), n.next,
                               string_agg(x::text, ',' order by x))
                   from (select x
                           from txid_snapshot_xip($1) as x
                          where x <= $2
                          union all
                         select x
                           from txid_snapshot_xip($3) as x
                          where x > $2) as r
                  right join (select greatest($2 + 1, txid_snapshot_xmax($3)))
                             as n (next) on true
                  group by n.next)::txid_snapshot end
$$;
comment on function iclock.snapshot_until(txid_snapshot, bigint, txid_snapshot)
    is 'What a snapshot shows of transactions up to this one, NULL: all, and '
    'what one from before shows';

-- at first it did not say which transaction had stored them
select 'drop function iclock.uncounted_punches()'
  from pg_proc p
 where p.oid = to_regprocedure('iclock.uncounted_punches()')
   and cardinality(p.proargnames) = 4
\gexec

-- Punches of the last weeks that are not counted yet.
create or replace function iclock.uncounted_punches()
    returns table (
        txid         bigint,
        device_id    bigint,
        local_time   timestamp,
        punched_at   timestamptz,
        received_at  timestamptz)
    language plpgsql stable rows 1000
    set search_path = pg_catalog, iclock, pg_temp
    set jit = off
as $$
#variable_conflict use_column
declare
    state  iclock.punch_tally;
begin
    select t.* into state from iclock.punch_tally t;

    -- the bounds find the partitions and the pages
    return query
    select p.txid, p.device_id, p.local_time, p.punched_at, p.received_at
      from iclock.punch p
     where p.txid >= state.base + txid_snapshot_xmin(state.snapshot)
       and not iclock.was_counted(p.txid, state.base, state.snapshot)
       and p.local_time > localtimestamp - interval '36 days';
end
$$;
comment on function iclock.uncounted_punches() is
    'Punches of the last five weeks that tally_punches() has not counted yet';


-- How far the clock of a device is ahead.  A punch that was stored at once tells
-- it.  Punches that came late look as those of a clock that is behind: then the
-- most timely of those received last counts.
create or replace function iclock.measured_skew(
        device_id  bigint,
        timely     interval)
    returns interval
    language plpgsql stable
    set search_path = pg_catalog, iclock, pg_temp
as $$
begin
    if timely >= interval '-60 seconds' then
        return timely;
    end if;

    return (select max(l.punched_at - l.received_at)
              from (select r.punched_at, r.received_at
                      from (select p.punched_at, p.received_at
                              from iclock.punch p
                             where p.device_id = $1
                               and p.local_time > localtimestamp
                                                  - interval '2 days'
                               and p.local_time < localtimestamp
                                                  + interval '2 days'
                             order by p.local_time desc
                             limit 60) as r
                     order by r.received_at desc
                     limit 20) as l);
end
$$;
comment on function iclock.measured_skew(bigint, interval) is
    'How far the clock of a device is ahead, if that is the skew of the most '
    'timely of its newest punches';

create or replace function iclock.add_hours(counts integer[], added integer[])
    returns integer[]
    language sql immutable
    set search_path = pg_catalog, pg_temp
as $$
    select array_agg(c.n + a.n order by c.hour)
      from unnest($1) with ordinality as c (n, hour)
      join unnest($2) with ordinality as a (n, hour) using (hour)
$$;
comment on function iclock.add_hours(integer[], integer[]) is
    'Sums of two rows of hours';


-- Counts what is new: so many punches at most, but all those of a transaction.
-- One statement does it, so that what it counts is what its snapshot shows.
-- True if there are more.  Who imports years at once has the newest of them
-- counted, twice as many as that: all of it would not come to an end in time.
create or replace function iclock.count_punches(
        most  integer default 200000)
    returns boolean
    language plpgsql
    set search_path = pg_catalog, iclock, pg_temp
    set jit = off
as $$
#variable_conflict use_column
declare
    limit_  constant interval := (
        select coalesce(min(c.params ->> 'skew'), '60 seconds')
          from iclock.condition c
         where c.name = 'clock');
    base    constant bigint := (select t.base from iclock.punch_tally t);
    last    bigint;
    more    boolean;
    huge    boolean;
begin
    select coalesce(max(s.txid) filter (where s.sum <= most), min(s.txid)),
           max(s.sum) > most,
           coalesce(max(s.sum) filter (where s.sum <= most), min(s.sum))
               > 2 * most
      into last, more, huge
      from (select u.txid, sum(count(*)) over (order by u.txid) as sum
              from iclock.uncounted_punches() u
             group by u.txid) as s;

    if more is not true then
        last := null;
    end if;

    with fresh as materialized (
        (select u.*
           from iclock.uncounted_punches() u
          where huge is not true
            and (last is null or u.txid <= last)
          -- what has come since they were numbered may be as large
          limit 2 * most)
         union all
        (select u.*
           from iclock.uncounted_punches() u
          where huge
            and u.txid <= last
          order by u.local_time desc
          limit 2 * most)
    ),
    counted as (
        update iclock.punch_tally t
           set snapshot = iclock.snapshot_until(txid_current_snapshot(),
                                                last - base, t.snapshot),
               tallied_at = clock_timestamp()
    ),
    -- upserts in the order of their keys
    rates as (
        insert into iclock.punch_rate as r (slot, site, sandbox, punches)
        select s.slot, s.site, s.sandbox, s.punches
          from (select to_timestamp(floor(extract(epoch from f.received_at)
                                          / 300) * 300) as slot,
                       coalesce(case when m.device_id is null then d.site
                                else m.site end, '') as site,
                       d.sandbox, count(*) as punches
                  from fresh f
                  join iclock.device d on d.id = f.device_id
                  -- where it stood: see move_device()
                  left join iclock.device_site m
                         on m.device_id = f.device_id
                        and f.local_time >= m.starts
                        and f.local_time < m.ends
                 where f.received_at > now() - interval '25 hours'
                 group by 1, 2, 3) as s
         order by s.slot, s.site, s.sandbox
        on conflict (slot, site, sandbox) do update
        set punches = r.punches + excluded.punches
    ),
    hours as (
        select f.local_time::date as day, f.device_id,
               extract(hour from f.local_time)::integer as hour,
               count(*)::integer as punches
          from fresh f
         where f.local_time < localtimestamp + interval '2 days'
         group by 1, 2, 3
    ),
    days as (
        insert into iclock.device_day as y (day, device_id, hours)
        select g.day, g.device_id,
               array(select coalesce(
                                (g.punches)[array_position(g.hours, h)], 0)
                       from generate_series(0, 23) as h
                      order by h)
          from (select h.day, h.device_id, array_agg(h.hour) as hours,
                       array_agg(h.punches) as punches
                  from hours h
                  join iclock.device d on d.id = h.device_id
                 group by 1, 2) as g
         order by g.day, g.device_id
        on conflict (day, device_id) do update
        set hours = iclock.add_hours(y.hours, excluded.hours)
    ),
    newest as (
        select distinct on (f.device_id) f.device_id, f.local_time,
               f.punched_at
          from fresh f
         where f.local_time < localtimestamp + interval '2 days'
         order by f.device_id, f.local_time desc
    ),
    skews as (
        select s.device_id, s.skew_at,
               iclock.measured_skew(s.device_id, s.timely) as skew
          from (select f.device_id, max(f.received_at) as skew_at,
                       max(f.punched_at - f.received_at) as timely
                  from fresh f
                 where f.punched_at > f.received_at - interval '2 days'
                 group by f.device_id) as s
    )
    insert into iclock.device_pulse as u (device_id, last_local_time,
               last_punch_at, clock_skew, skew_at, skew_since)
    select d.id, n.local_time, n.punched_at, s.skew, s.skew_at,
           case when s.skew > limit_ or s.skew < - limit_ then now() end
      from newest n
      full join skews s on s.device_id = n.device_id
      join iclock.device d on d.id = coalesce(n.device_id, s.device_id)
     order by d.id
    on conflict (device_id) do update
    set last_local_time = greatest(u.last_local_time,
                                   excluded.last_local_time),
        last_punch_at = case when u.last_local_time
                                  > excluded.last_local_time
                             then u.last_punch_at
                             else coalesce(excluded.last_punch_at,
                                           u.last_punch_at) end,
        clock_skew = coalesce(excluded.clock_skew, u.clock_skew),
        skew_at = coalesce(excluded.skew_at, u.skew_at),
        skew_since = case when excluded.clock_skew is null then u.skew_since
                          when excluded.skew_since is not null
                          then coalesce(u.skew_since, excluded.skew_since)
                          end;

    return coalesce(more, false);
end
$$;
comment on function iclock.count_punches(integer) is
    'The part of tally_punches() that reads punches; true if there are more';

-- A device that has no row yet gets one from its last punch: a thousand of them
-- at a time.
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
      left join lateral
           (select p.local_time, p.punched_at
              from iclock.punch p
             where p.device_id = d.id
               and p.local_time < localtimestamp + interval '2 days'
             order by p.local_time desc
             limit 1) as l on true
     order by d.id
    on conflict do nothing
$$;
comment on function iclock.begin_pulses() is
    'Finds the last punches of devices of which none is known';

-- Devices that call, and from which no punch came today, though there were some
-- by this hour on all the same days of the last weeks.
create or replace function iclock.find_quiet()
    returns void
    language plpgsql
    set search_path = pg_catalog, iclock, pg_temp
    set jit = off
as $$
#variable_conflict use_column
declare
    params  constant jsonb := coalesce((select c.params
                                          from iclock.condition c
                                         where c.name = 'quiet'), '{}');
    least_  constant integer := coalesce((params ->> 'punches')::integer, 10);
    weeks   constant integer := coalesce((params ->> 'weeks')::integer, 4);
begin
    with usual as (
        select d.id, round(avg(n.punches)) as punches
          from iclock.device d
         cross join lateral (select timezone(iclock.zone_of(d), now()) as clock)
                    as c
         cross join generate_series(1, weeks) as week
          join iclock.device_day y
            on y.device_id = d.id and y.day = c.clock::date - 7 * week
         cross join lateral
               (select coalesce(sum(h), 0) as punches
                  from unnest(y.hours[1:extract(hour from c.clock)::integer])
                       as h) as n
         where d.status = 'active'
           and n.punches >= least_
           and not exists (select from iclock.device_day t
                            where t.device_id = d.id
                              and t.day = c.clock::date)
         group by d.id
        having count(*) = weeks
    )
    update iclock.device_pulse u
       set quiet_since = case when n.id is not null
                              then coalesce(u.quiet_since, now()) end,
           quiet_usual = n.punches
      from iclock.device_pulse o
      left join usual n on n.id = o.device_id
     where u.device_id = o.device_id
       and (n.id is not null or o.quiet_since is not null)
       and (u.quiet_since is null or u.quiet_usual is distinct from n.punches
            or n.id is null);
end
$$;
comment on function iclock.find_quiet() is
    'Finds devices that are quiet for once, by table device_day';

-- In any number of sessions: one at a time counts, the others have nothing to
-- wait for.  False: another one does, or has just done so.
create or replace function iclock.tally_punches(
        pause  interval default '50 seconds')
    returns boolean
    language plpgsql
    set search_path = pg_catalog, iclock, pg_temp
    set lock_timeout = '300ms'
as $$
declare
    state  iclock.punch_tally;
    begun  bigint;
begin
    -- see lock_punch()
    lock table only iclock.punch in access share mode;

    select t.* into state
      from iclock.punch_tally t
     where t.tallied_at <= clock_timestamp() - pause
       for update skip locked;

    if not found then
        return false;
    end if;

    -- Transactions are numbered anew after a dump was restored elsewhere.  Until
    -- then all of its punches look as if they came after the last count.
    if exists (select from iclock.punch_state s
                where s.cluster <> iclock.cluster())
    then
        return false;
    end if;

    select s.txid_base into begun from iclock.punch_state s;

    if begun <> state.base
       or txid_snapshot_xmin(state.snapshot)
          > txid_snapshot_xmax(txid_current_snapshot())
    then
        update iclock.punch_tally t
           set base = begun, snapshot = txid_current_snapshot();
        return true;
    end if;

    -- who waits gives up after some seconds, and the next call goes on
    while iclock.count_punches() loop
        exit when clock_timestamp() > statement_timestamp()
                                      + interval '2 seconds';
    end loop;

    perform iclock.begin_pulses();

    if state.quiet_at <= clock_timestamp() - interval '1 hour' then
        perform iclock.find_quiet();

        delete from iclock.device_day y
         where y.day < current_date - 36;
        delete from iclock.punch_rate r
         where r.slot < now() - interval '25 hours';

        update iclock.punch_tally t set quiet_at = clock_timestamp();
    end if;

    return true;

-- the next call counts them; a device may have been deleted meanwhile
exception when lock_not_available or deadlock_detected
               or foreign_key_violation then
    return false;

-- who calls this has more to do: what a site has set in table condition, or
-- stored by itself, must not stop that
when data_exception then
    raise warning 'punches are not counted: %', sqlerrm;
    return false;
end
$$;
comment on function iclock.tally_punches(interval) is
    'Counts the punches that were stored since the last call, unless that was '
    'less than so long ago; nginx does it each minute';
