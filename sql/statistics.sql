-- What the database knows for metrics.  nginx asks every 30 seconds, where a
-- location has iclock_status, and nobody asks when somebody looks.

-- A row for each value, and for each label that it may have, also if it is
-- zero; NULL is what nobody knows.  The names are those of the table of
-- metrics in src/metric, which passes over what it does not have.
create or replace function iclock.statistics()
    returns table (name text, label text, value double precision)
    language plpgsql volatile security definer rows 60
    set search_path = pg_catalog, iclock, pg_temp
    set jit = off
as $$
#variable_conflict use_column
begin
    return query
    select 'schema_version', '', max(v.version)::float8
      from iclock.schema_version v

     union all
    select 'partitions_ahead', '', count(*)::float8
      from iclock.punch_partitions() as m
     where m.starts > date_trunc('month', now() at time zone 'UTC')

     union all
    -- more than that need not be told apart
    select 'default_partition_rows', '', count(*)::float8
      from (select 1 from iclock.punch_default limit 100000) as r

     union all
    select 'maintenance_last_success_timestamp_seconds', '',
           extract(epoch from max(j.last_run_at))::float8
      from iclock.job j
     where j.name = 'maintain';

    return query select s.* from iclock.device_statistics() as s;
    return query select s.* from iclock.command_statistics() as s;
    return query select s.* from iclock.event_statistics() as s;
end
$$;
comment on function iclock.statistics() is
    'For nginx: what the database knows for metrics; name, label, value';
grant execute on function iclock.statistics() to iclock_module, iclock_api;

create or replace function iclock.device_statistics()
    returns table (name text, label text, value double precision)
    language plpgsql stable rows 20
    set search_path = pg_catalog, iclock, pg_temp
    set jit = off
as $$
#variable_conflict use_column
begin
    return query
    select 'devices', s.status, count(d.id)::float8
      from unnest(array['active', 'pending', 'blocked']) as s (status)
      left join iclock.device d
             on d.status = s.status
            and d.removed_at is null
            and not d.sandbox
     group by s.status

     union all
    select 'devices_online', '', count(*)::float8
      from iclock.device d
      left join iclock.device_presence e on e.device_id = d.id
     where d.status = 'active'
       and d.removed_at is null
       and not d.sandbox
       and greatest(e.last_seen, d.last_seen)
           > now() - iclock.silence_after(d.delay, d.told_delay);

    -- a device that is muted calls nobody
    return query
    with holds as materialized (
        select h.condition, h.value
          from iclock.device_conditions() as h
          join iclock.device d on d.id = h.device_id
         where (d.muted_until > now()) is not true
    )
    select 'devices_with_condition', c.name, count(h.condition)::float8
      from iclock.condition c
      left join holds h on h.condition = c.name
     group by c.name

     union all
    select 'reconciliation_missing_punches', '',
           coalesce(sum(h.value), 0)::float8
      from holds h
     where h.condition = 'missing';

    return query
    select 'reconciliation_devices', s.status, count(k.status)::float8
      from unnest(array['agreed', 'surplus', 'differs', 'failed'])
           as s (status)
      left join (select l.status
                   from iclock.device d
                  cross join lateral
                        (select c.status
                           from iclock.attendance_check c
                          where c.device_id = d.id
                          order by c.id desc
                          limit 1) as l
                  where d.removed_at is null
                    and not d.sandbox) as k
             on k.status = s.status
     group by s.status;
end
$$;
comment on function iclock.device_statistics() is
    'Of devices: what statistics() tells';

create or replace function iclock.command_statistics()
    returns table (name text, label text, value double precision)
    language plpgsql stable rows 3
    set search_path = pg_catalog, iclock, pg_temp
    set jit = off
as $$
#variable_conflict use_column
begin
    return query
    with waiting as materialized (
        select c.device_id, c.status, count(*) as commands,
               -- what was put off waits from then on
               min(greatest(c.created_at, c.not_before))
                   filter (where (c.not_before <= now()) is not false
                             and (c.status = 'sent'
                                  or (c.expires_at > now()) is not false))
                   as oldest
          from iclock.command c
         where c.status in ('queued', 'sent')
         group by c.device_id, c.status
    )
    select 'commands', s.status, coalesce(sum(w.commands), 0)::float8
      from unnest(array['queued', 'sent']) as s (status)
      left join waiting w on w.status = s.status
     group by s.status

     union all
    select 'command_oldest_waiting_seconds', '',
           coalesce(extract(epoch from now() - min(w.oldest)), 0)::float8
      from waiting w
      join iclock.device d on d.id = w.device_id
      left join iclock.device_presence e on e.device_id = d.id
     where d.status = 'active'
       and d.removed_at is null
       and not d.sandbox
       and (d.muted_until > now()) is not true
       and greatest(e.last_seen, d.last_seen)
           > now() - iclock.silence_after(d.delay, d.told_delay);
end
$$;
comment on function iclock.command_statistics() is
    'Of commands under way: what statistics() tells';

create or replace function iclock.event_statistics()
    returns table (name text, label text, value double precision)
    language plpgsql stable rows 7
    set search_path = pg_catalog, iclock, pg_temp
    set jit = off
as $$
#variable_conflict use_column
begin
    return query
    select 'event_horizon_age_seconds', '',
           coalesce(extract(epoch from now() - min(w.created_at)), 0)::float8
      from (select e.created_at
              from iclock.event e
             where e.xid >= (select pg_snapshot_xmin(
                                        iclock.event_snapshot()))
             order by e.xid, e.seq
             limit 1) as w

     union all
    select 'webhook_endpoints', s.status, count(w.id)::float8
      from unnest(array['active', 'failing', 'paused', 'disabled'])
           as s (status)
      left join iclock.webhook_endpoint w on w.status = s.status
     group by s.status

     union all
    -- nothing goes to those that are paused or disabled
    select 'webhook_lag_max_seconds', '',
           coalesce(greatest(extract(epoch from now() - min(o.oldest)), 0), 0)
               ::float8
      from iclock.webhook_endpoint w
     cross join lateral
           (select e.created_at as oldest
              from (select v.created_at
                      from iclock.event v
                     where (v.xid, v.seq) > (w.cursor_xid, w.cursor_seq)
                       and (w.types is null or v.type = any (w.types))
                     order by v.xid, v.seq
                     limit 1) as e
             union all
            select min(r.first_at)
              from iclock.webhook_retry r
             where r.endpoint_id = w.id
               and r.state <> 'dead') as o
     where w.status in ('active', 'failing')

     union all
    select 'webhook_dead_events', '', count(*)::float8
      from iclock.webhook_retry r
     where r.state = 'dead';
end
$$;
comment on function iclock.event_statistics() is
    'Of events and webhooks: what statistics() tells';

-- Within the transaction that has taken or answered commands: all of it has
-- the same time.  It locks nothing, but what the transaction has locked before
-- stays so meanwhile: so it is planned once in a session, and reads nothing
-- else, as sql/queue_out.sql says at its top.
create or replace function iclock.counted_commands(device_ids bigint[])
    returns table (result text, seconds double precision)
    language plpgsql volatile security definer rows 10
    set search_path = pg_catalog, iclock, pg_temp
    set plan_cache_mode = force_generic_plan
    set enable_seqscan = off
    set enable_bitmapscan = off
    set enable_sort = off
    set jit = off
as $$
#variable_conflict use_column
begin
    return query
    select case when f.status = 'cancelled' and f.reason like 'superseded by %'
                then 'superseded' else f.status end,
           case when f.return_code is not null
                then extract(epoch from f.finished_at - f.sent_at)::float8 end
      from (select c.status, c.reason, c.return_code, c.sent_at, c.finished_at
              from iclock.command c
             where c.finished_at >= now()
               and c.finished_at <= now()
             order by c.finished_at
             limit (select 1000000)) as f

     union all
    select 'given',
           extract(epoch from g.sent_at - greatest(g.created_at, g.not_before))
               ::float8
      from (select distinct u.id from unnest($1) as u (id)) as d
     cross join lateral
           (select c.attempts, c.created_at, c.not_before, c.sent_at
              from iclock.command c
             where c.device_id = d.id
               and c.status = 'sent'
               and c.sent_at >= now()
               and c.sent_at <= now()
             order by c.sent_at
             limit (select 1000000)) as g
     where g.attempts = 1;
end
$$;
comment on function iclock.counted_commands(bigint[]) is
    'For nginx: what this transaction has ended of commands (done, failed, '
    'expired, cancelled, superseded), with the seconds that the answer took, '
    'and what it has given to these devices for the first time (given), with '
    'the seconds that it had waited';
grant execute on function iclock.counted_commands(bigint[]) to iclock_module;
