-- How everything is doing: what a key may do, and all devices in one answer.

create or replace function iclock_api.seconds(age interval)
    returns integer
    language sql immutable parallel safe
    set search_path = pg_catalog, pg_temp
as $$
    select extract(epoch from $1)::integer
$$;
comment on function iclock_api.seconds(interval) is 'An interval in seconds';

-- What nginx tells of itself is in "server".
create or replace function iclock_api.key_get(request jsonb)
    returns iclock_api.reply
    language plpgsql stable
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    server  constant jsonb := coalesce(request -> 'server', '{}');
    key     iclock.api_key;
begin
    perform iclock_api.parameters(request, '{}');

    select k.* into key
      from iclock.api_key k
     where k.id = request #>> '{key,id}';

    return iclock_api.reply(200, json_build_object(
        'id', key.id,
        'name', key.name,
        'mode', key.mode,
        'scopes', key.scopes,
        'sites', key.sites,
        'devices', key.devices,
        'expires_at', iclock_api.utc(key.expires_at),
        'rate', case when (server ->> 'rate')::integer > 0
            then json_build_object('limit', server -> 'rate',
                                   'window', 60) end,
        'page', json_build_object(
            'default', (iclock_api.page(request)).size,
            'max', coalesce((request ->> 'page_max')::integer, 1000)),
        'server', json_build_object(
            'version', server -> 'version',
            'nginx', server -> 'nginx',
            'postgresql', split_part(current_setting('server_version'),
                                     ' ', 1),
            'schema', (select max(v.version) from iclock.schema_version v),
            'schema_required', server -> 'schema_required',
            'time', iclock_api.utc(now())),
        'features', array_remove(array[
            case when iclock.events_enabled() then 'stream' end,
            case when (server ->> 'webhooks')::boolean
                 then 'webhooks' end], null),
        'conditions', (select json_agg(json_build_object(
                                  'name', c.name,
                                  'warn_after',
                                  iclock_api.seconds(c.warn_after))
                                  order by c.position)
                         from iclock.condition c)));
end
$$;
comment on function iclock_api.key_get(jsonb) is
    'GET /key: what the key may do, and who answers';


-- Punches stored in each five minutes of the last day, the oldest first.  A key
-- of sites has those that were made at its sites, as in /logs; one of devices has
-- them counted.
create or replace function iclock_api.punch_rates(
        test     boolean,
        sites    text[],
        devices  bigint[])
    returns integer[]
    language plpgsql stable
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    newest  constant bigint := floor(extract(epoch from now()) / 300)::bigint;
begin
    return array(
        select coalesce(sum(r.punches), 0)::integer
          from generate_series(newest - 287, newest) as slot
          left join (
              select extract(epoch from k.slot)::bigint / 300 as slot,
                     k.punches::bigint
                from iclock.punch_rate k
               where devices is null
                 and k.sandbox = test
                 and (sites is null or k.site = any (sites))

               union all
              select floor(extract(epoch from u.received_at) / 300)::bigint, 1
                from iclock.uncounted_punches() u
                join iclock.device d on d.id = u.device_id
                left join iclock.device_site m
                       on m.device_id = u.device_id
                      and u.local_time >= m.starts and u.local_time < m.ends
               where devices is null
                 and d.sandbox = test
                 and (sites is null
                      or case when m.device_id is null then d.site
                         else m.site end = any (sites))

               union all
              select floor(extract(epoch from p.received_at) / 300)::bigint, 1
                from iclock.punch p
                join iclock.device d on d.id = p.device_id
                left join iclock.device_site m
                       on m.device_id = p.device_id
                      and p.local_time >= m.starts and p.local_time < m.ends
               where p.device_id = any (devices)
                 and (sites is null
                      or case when m.device_id is null then d.site
                         else m.site end = any (sites))
                 and p.received_at > now() - interval '25 hours'
                 and p.local_time > localtimestamp - interval '36 days')
              as r using (slot)
         group by slot
         order by slot);
end
$$;
comment on function iclock_api.punch_rates(boolean, text[], bigint[]) is
    'Punches stored in each five minutes of the last 24 hours';

create or replace function iclock_api.summary_server(request jsonb)
    returns json
    language plpgsql stable
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    hooks  json;
begin
    select json_build_object(
               'active', count(*) filter (where w.status = 'active'),
               'failing', count(*) filter (where w.status = 'failing'),
               'disabled', count(*) filter (where w.status = 'disabled'))
      into hooks
      from iclock.webhook_endpoint w
     where iclock_api.webhook_visible(w, request);

    return json_build_object(
        'database_ms', round(1000 * extract(epoch from clock_timestamp()
                                            - statement_timestamp())
                             ::numeric, 1),
        'listening', request #> '{server,listening}',
        'horizon_seconds', (
            select coalesce(round(extract(epoch from s.horizon_age)::numeric,
                                  1), 0)
              from iclock.event_status s),
        'webhooks', hooks);
end
$$;
comment on function iclock_api.summary_server(jsonb) is
    'What a summary tells of the server; database_ms: the time that the '
    'summary took';

-- What terminals have recorded today at sites where they stood for a part of the
-- day: of those few the punches are counted.
create or replace function iclock_api.punches_of_stays(
        devices  bigint[],
        days     date[],
        sites    text[])
    returns bigint
    language sql stable
    set search_path = pg_catalog, iclock, pg_temp
as $$
    select count(*)
      from unnest($1, $2) as m (id, day)
      join (select d.id, d.site, d.site_since as starts,
                   timestamp 'infinity' as ends
              from iclock.device d
             union all
            select s.device_id, s.site, s.starts, s.ends
              from iclock.device_site s) as s on s.id = m.id
      join iclock.punch p on p.device_id = m.id
                         and p.local_time >= greatest(m.day, s.starts)
                         and p.local_time < least(m.day + 1, s.ends)
     where s.site = any ($3)
       -- finds the partitions
       and p.local_time > localtimestamp - interval '3 days'
       and p.local_time < localtimestamp + interval '3 days'
$$;
comment on function iclock_api.punches_of_stays(bigint[], date[], text[]) is
    'Punches of a day of each of these devices at some sites, see '
    'move_device()';

-- One statement reads everything, by what is counted already.  What is muted
-- stands in "total" and "muted", and nowhere else.
create or replace function iclock_api.summary_get(request jsonb)
    returns iclock_api.reply
    language plpgsql
    set search_path = pg_catalog, iclock, pg_temp
    set jit = off
as $$
declare
    test     constant boolean := request #>> '{key,mode}' = 'test';
    sites    text[];
    serials  text[];
    body     json;
    rates    integer[];
begin
    perform iclock_api.parameters(request, '{}');

    if current_setting('transaction_read_only') = 'off' then
        perform iclock.tally_punches('10 seconds');
    end if;

    if request #>> '{key,sites}' is not null then
        sites := array(select jsonb_array_elements_text(
                                  request #> '{key,sites}'));
    end if;
    if request #>> '{key,devices}' is not null then
        serials := array(select jsonb_array_elements_text(
                                    request #> '{key,devices}'));
    end if;

    rates := iclock_api.punch_rates(test, sites,
        case when serials is not null
        then array(select d.id
                     from iclock.device d
                    where d.serial_number = any (serials)
                      and d.removed_at is null
                      and d.sandbox = test) end);

    with v as materialized (
        select d.id, d.site, d.status, coalesce(d.muted_until > now(), false)
                   as muted,
               d.status = 'active'
                   and coalesce(greatest(d.last_seen, e.last_seen)
                                > now() - iclock.silence_after(d.delay,
                                                               d.told_delay),
                                false) as online,
               timezone(coalesce(d.timezone, d.default_timezone, 'UTC'),
                        now())::date as today
          from iclock.device d
          left join iclock.device_presence e on e.device_id = d.id
         where d.removed_at is null
           and d.sandbox = test
           and (sites is null or d.site = any (sites))
           and (serials is null or d.serial_number = any (serials))),
    c as materialized (
        select v.id, v.site, c.condition, c.value, c.needs
          from iclock.device_conditions(test,
                   case when sites is not null or serials is not null
                   then array(select v.id from v) end) c
          join v on v.id = c.device_id
         where not v.muted),
    fresh as materialized (
        select u.local_time::date = v.today as today, u.punched_at, v.id
          from iclock.uncounted_punches() u
          join v on v.id = u.device_id),
    -- today's punches of these are of more than one site
    moved as materialized (
        select d.id, min(c.today) as today
          from iclock.device_site m
          join iclock.device d on d.id = m.device_id
         cross join lateral (
               select timezone(coalesce(d.timezone, d.default_timezone,
                                        'UTC'), now())::date as today) as c
         where sites is not null
           and m.ends > c.today
           and d.removed_at is null
           and d.sandbox = test
           and (serials is null or d.serial_number = any (serials))
         group by d.id),
    place as (
        select v.site, count(*) as total,
               count(*) filter (where n.id is not null) as needs
          from v
          left join (select distinct c.id from c where c.needs) as n
                 on n.id = v.id
         group by v.site)
    select json_build_object(
        'at', iclock_api.utc(now()),
        'devices', (
            select json_build_object(
                'total', count(*),
                'active', count(*) filter (where v.status = 'active'
                                             and not v.muted),
                'online', count(*) filter (where v.online and not v.muted),
                'pending', count(*) filter (where v.status = 'pending'
                                              and not v.muted),
                'blocked', count(*) filter (where v.status = 'blocked'
                                              and not v.muted),
                'muted', count(*) filter (where v.muted),
                'needs', (select count(distinct c.id) from c where c.needs),
                'by_condition', (
                    select json_object_agg(n.name, n.devices
                                           order by n.position)
                      from (select k.name, k.position,
                                   count(distinct c.id) as devices
                              from iclock.condition k
                              left join c on c.condition = k.name
                             group by k.name, k.position) as n),
                'by_site', (select coalesce(json_agg(json_build_object(
                                       'site', p.site, 'total', p.total,
                                       'needs', p.needs) order by p.site),
                                   '[]')
                              from place p))
              from v),
        'punches', json_build_object(
            'today', (select count(*)
                        from fresh f
                       where f.today
                         and f.id not in (select m.id from moved m))
                + (select coalesce(sum(h), 0)
                     from v
                     join iclock.device_day y
                       on y.device_id = v.id and y.day = v.today
                    cross join unnest(y.hours) as h
                    where y.day between current_date - 2
                                    and current_date + 2
                      and v.id not in (select m.id from moved m))
                + (select iclock_api.punches_of_stays(
                              array_agg(m.id), array_agg(m.today), sites)
                     from moved m),
            'last_at', iclock_api.utc(greatest(
                (select max(f.punched_at)
                   from fresh f
                  where f.punched_at < now() + interval '1 minute'),
                (select max(u.last_punch_at)
                   from iclock.device_pulse u
                   join v on v.id = u.device_id
                  where u.last_punch_at < now() + interval '1 minute'))),
            'per_5min', rates),
        'commands', (
            select json_build_object(
                'queued', count(*) filter (where k.status = 'queued'),
                'sent', count(*) filter (where k.status = 'sent'),
                'failed_24h', (
                    select count(*)
                      from iclock.command f
                      join v on v.id = f.device_id
                     where f.status = 'failed'
                       and f.finished_at > now() - interval '24 hours'))
              from iclock.command k
              join v on v.id = k.device_id
             where k.status in ('queued', 'sent')
               and (k.status = 'sent' or (k.expires_at > now()) is not false)),
        'rejected_24h', (
            select count(*)
              from iclock.rejected_line r
              join v on v.id = r.device_id
             where r.received_at > now() - interval '24 hours'),
        'missing_punches', (select coalesce(sum(c.value), 0)
                              from c where c.condition = 'missing'),
        'server', iclock_api.summary_server(request))
      into body;

    return iclock_api.reply(200, body);
end
$$;
comment on function iclock_api.summary_get(jsonb) is
    'GET /summary: all devices that the key sees, in one answer';
