-- What is wrong with devices: one answer for the page, metrics, dashboards and
-- alerts.  The thresholds are in table condition.

-- A device that calls less often is not silent so soon.  No search_path, so
-- that it can be inlined.
create or replace function iclock.silence_after(
        delay       integer,
        told_delay  integer)
    returns interval
    language sql immutable parallel safe
as $$
    select make_interval(secs => greatest(300, 3 * $1, 3 * $2))
$$;
comment on function iclock.silence_after(integer, integer) is
    'After which time without a call a device with these settings (delay, '
    'told_delay) is silent: five minutes, or three times the longest time '
    'between two of its calls';
grant execute on function iclock.silence_after(integer, integer)
    to iclock_reader, iclock_operator;

-- The one definition.  Every table that grows is read by an index, and none of
-- punches: for ten thousand devices this takes some hundredth of a second.  No
-- search_path, so that it can be inlined: "every" is a constant there, and the
-- plan is one for all devices or one for some.
create or replace function iclock.conditions_of(
        sandbox  boolean,
        every    boolean,
        devices  bigint[])
    returns table (
        device_id  bigint,
        condition  text,
        since      timestamptz,
        value      numeric,
        needs      boolean)
    language sql stable rows 1000
as $$
    with p as materialized (
        select coalesce(min(c.params ->> 'within')
                            filter (where c.name = 'key'),
                        '24 hours')::interval                as key_within,
               coalesce(min(c.params ->> 'within')
                            filter (where c.name = 'network'),
                        '24 hours')::interval                as network_within,
               coalesce(min(c.params ->> 'after')
                            filter (where c.name = 'silent_day'),
                        '24 hours')::interval                as day_after,
               coalesce(min(c.params ->> 'within')
                            filter (where c.name = 'lines'),
                        '24 hours')::interval                as lines_within,
               coalesce(min(c.params ->> 'skew')
                            filter (where c.name = 'clock'),
                        '60 seconds')::interval              as skew,
               coalesce(min(c.params ->> 'ratio')
                            filter (where c.name = 'full'),
                        '0.9')::numeric                      as ratio,
               coalesce(min(c.params ->> 'after')
                            filter (where c.name = 'commands'),
                        '10 minutes')::interval              as commands_after,
               coalesce(min(c.params ->> 'within')
                            filter (where c.name = 'failed'),
                        '24 hours')::interval                as failed_within
          from iclock.condition c),

    d as materialized (
        select d.id, d.status, d.status = 'active' as active, d.status_since,
               d.first_seen, d.updated_at, d.muted_until, seen.last_seen,
               seen.last_seen > now() - iclock.silence_after(d.delay,
                                                             d.told_delay)
                   as calls,
               timezone(coalesce(d.timezone, d.default_timezone, 'UTC'),
                        now()) as clock
          from iclock.device d
          left join iclock.device_presence e on e.device_id = d.id
         cross join lateral (select greatest(e.last_seen, d.last_seen)
                                        as last_seen) as seen
         where d.removed_at is null
           and d.sandbox = $1
           and ($2 or d.id = any ($3))
           and iclock.may_see(d.site, (select iclock.visible_sites()))),

    -- of a condition PostgreSQL knows that half of them may hold, of the status
    -- of a CTE nothing: it would expect one device
    active as materialized (select d.* from d where d.active),

    -- all before any is joined: where nobody has counted ten thousand devices
    -- yet, as after a restore, PostgreSQL expects one, and would find this
    -- again for each
    found (id, name, since, value, muted_until) as materialized (
        select d.id, 'blocked', d.status_since, null::numeric,
               d.muted_until
          from d
         where d.status = 'blocked'

         union all
        select d.id, r.reason, r.first_at, null, d.muted_until
          from p
         cross join iclock.device_refusal r
          join d on d.id = r.device_id
         where d.status <> 'blocked'
           and r.last_at > now() - case r.reason when 'key' then p.key_within
                                                 else p.network_within end
           and (r.last_at >= d.last_seen) is not false

         union all
        select d.id, 'new', coalesce(d.first_seen, d.status_since), null,
               d.muted_until
          from d
         where d.status = 'pending'

         union all
        select a.id, 'silent', a.last_seen, null, a.muted_until
          from active a
         where not a.calls

         union all
        select a.id, 'silent_day', a.last_seen, null, a.muted_until
          from p
         cross join active a
         where not a.calls
           and a.last_seen <= now() - p.day_after

         union all
        select a.id, 'never', coalesce(a.status_since, a.updated_at), null,
               a.muted_until
          from active a
         where a.last_seen is null

         union all
        select a.id, 'lines', min(r.received_at), count(*), a.muted_until
          from p
         cross join iclock.rejected_line r
          join active a on a.id = r.device_id
         where r.received_at > now() - p.lines_within
         group by a.id, a.muted_until

         union all
        select a.id, 'missing', k.finished_at,
               k.device_count - k.stored_count, a.muted_until
          from active a
         cross join lateral
               (select c.*
                  from iclock.attendance_check c
                 where c.device_id = a.id
                   and c.status = 'differs'
                 order by c.id desc
                 limit 1) as k
         where k.device_count > k.stored_count
           -- each check begins where the last agreement ends
           and not exists (select
                             from iclock.attendance_check o
                            where o.device_id = a.id
                              and o.id > k.id
                              and o.ends >= k.ends
                              and o.status in ('agreed', 'surplus', 'resent'))

         union all
        select a.id, 'clock', u.skew_since,
               round(extract(epoch from u.clock_skew)::numeric), a.muted_until
          from p
         cross join iclock.device_pulse u
          join active a on a.id = u.device_id
         where (u.clock_skew > p.skew or u.clock_skew < - p.skew)
           and u.skew_at > now() - interval '2 days'

         union all
        select a.id, 'quiet', u.quiet_since, u.quiet_usual, a.muted_until
          from iclock.device_pulse u
          join active a on a.id = u.device_id
         where u.quiet_since is not null
           and a.calls
           and (u.last_local_time >= date_trunc('day', a.clock)) is not true

         union all
        select a.id, 'full', null, r.ratio, a.muted_until
          from p
         cross join active a
          join iclock.device_storage r on r.device_id = a.id
         where ($2 or r.device_id = any ($3))
           and r.ratio >= p.ratio

         union all
        select a.id, 'commands', c.oldest, c.open, a.muted_until
          from p
         cross join (select c.device_id, count(*) as open,
                            -- what was put off waits from then on
                            min(greatest(c.created_at, c.not_before))
                                as oldest
                       from iclock.command c
                      where c.status in ('queued', 'sent')
                        and ($2 or c.device_id = any ($3))
                        and (c.not_before <= now()) is not false
                        and (c.status = 'sent'
                             or (c.expires_at > now()) is not false)
                      group by c.device_id) as c
          join active a on a.id = c.device_id
         where a.calls
           and c.oldest <= now() - p.commands_after

         union all
        select a.id, 'failed', min(c.finished_at), count(*), a.muted_until
          from p
         cross join iclock.command c
          join active a on a.id = c.device_id
         where c.status = 'failed'
           and ($2 or c.device_id = any ($3))
           and c.finished_at > now() - p.failed_within
           -- nobody has had it done meanwhile
           and not exists (select
                             from iclock.command o
                            where o.device_id = c.device_id
                              and o.subject = c.subject
                              and o.id > c.id
                              and o.status = 'done')
         group by a.id, a.muted_until)

    select f.id, f.name, f.since, f.value,
           coalesce(coalesce(f.since, '-infinity') <= now() - c.warn_after
                    and (f.muted_until > now()) is not true, false)
      from found f
      join iclock.condition c on c.name = f.name
     order by f.id, c.position
$$;
comment on function iclock.conditions_of(boolean, boolean, bigint[]) is
    'What device_conditions() tells, of every device or of some: for '
    'device_conditions()';
grant execute on function iclock.conditions_of(boolean, boolean, bigint[])
    to iclock_reader, iclock_operator;

-- Planning costs ten times as much as the answer for one device: the plan for
-- few, which walks along indexes, is made once for a session.  That for many is
-- made each time, by what the tables hold now.
create or replace function iclock.device_conditions(
        sandbox  boolean  default false,
        devices  bigint[] default null)
    returns table (
        device_id  bigint,
        condition  text,
        since      timestamptz,
        value      numeric,
        needs      boolean)
    language plpgsql stable rows 1000
    set search_path = pg_catalog, iclock, pg_temp
    set jit = off
    set plan_cache_mode = force_custom_plan
as $$
begin
    if $2 is null then
        return query
        select c.* from iclock.conditions_of($1, true, null) as c;
    else
        if cardinality($2) <= 200 then
            perform set_config('plan_cache_mode', 'force_generic_plan', true);
        end if;

        return query
        select c.* from iclock.conditions_of($1, false, $2) as c;
    end if;
end
$$;
comment on function iclock.device_conditions(boolean, bigint[]) is
    'What is wrong with devices, a row for each of them and each condition of '
    'table condition that holds; of simulated devices if asked for, and of '
    'some devices (NULL: all). value is '
    'what the condition counts or measures; needs: a person should see to it, '
    'as it has held for long enough and the device is not muted';
grant execute on function iclock.device_conditions(boolean, bigint[])
    to iclock_reader, iclock_operator;
