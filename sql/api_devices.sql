-- Devices, as the API shows and changes them.

-- no search_path, so that it can be inlined
create or replace function iclock_api.seen_lately(d iclock.device)
    returns boolean
    language sql stable parallel safe
as $$
    select coalesce(greatest(d.last_seen,
                             (select e.last_seen
                                from iclock.device_presence e
                               where e.device_id = d.id))
                    > now() - interval '5 minutes', false)
$$;
comment on function iclock_api.seen_lately(iclock.device) is
    'Whether a device has called within five minutes';

-- Numbers are what the device reports.  If it reports none, what is stored is
-- counted, up to 10,000: NULL says that there are more.
create or replace function iclock_api.device_json(d iclock.device)
    returns json
    language plpgsql stable
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    seen      timestamptz;
    waiting   bigint;
    capacity  text;
    skew      numeric;
    users     bigint := nullif(d.user_count, -1);
    logs      bigint := nullif(d.punch_count, -1);
begin
    select greatest(d.last_seen,
                    (select e.last_seen
                       from iclock.device_presence e
                      where e.device_id = d.id)),
           (select count(*)
              from (select
                      from iclock.command c
                     where c.device_id = d.id
                       and c.status = 'queued'
                       and (c.expires_at is null or c.expires_at > now())
                     limit 10000) as w),
           (select o.value
              from iclock.device_option o
             where o.device_id = d.id
               and o.name = 'MaxAttLogCount')
      into seen, waiting, capacity;

    -- of the last punches the most timely
    if seen > now() - interval '2 days' then
        select round(extract(epoch from max(r.punched_at - r.received_at))
                     ::numeric)
          into skew
          from (select p.punched_at, p.received_at
                  from iclock.punch p
                 where p.device_id = d.id
                   and p.local_time > localtimestamp - interval '2 days'
                   and p.local_time < localtimestamp + interval '2 days'
                 order by p.local_time desc
                 limit 20) as r;
    end if;

    if users is null then
        select nullif(count(*), 10001) into users
          from (select
                  from iclock.device_user u
                 where u.device_id = d.id
                 limit 10001) as u;
    end if;

    if logs is null then
        select nullif(count(*), 10001) into logs
          from (select
                  from iclock.punch p
                 where p.device_id = d.id
                 limit 10001) as p;
    end if;

    return json_build_object(
        'id', d.serial_number,
        'serial_number', d.serial_number,
        'name', d.name,
        'location', d.location,
        'site', d.site,
        'timezone', coalesce(d.timezone, d.default_timezone),
        'status', case when d.status <> 'active' then d.status
                       when seen > now() - interval '5 minutes' then 'online'
                       else 'offline' end,
        'users', users,
        'logs', logs,
        'storage', case when capacity ~ '^0*[1-9][0-9]{0,5}$'
                        then round(logs / capacity::numeric / 100) || '%' end,
        'firmware', d.firmware,
        'push_version', d.push_version,
        'ip_address', host(d.ip_address),
        'last_seen', iclock_api.utc(seen),
        'clock_skew_seconds', skew,
        'waiting_commands', waiting);
end
$$;
comment on function iclock_api.device_json(iclock.device) is
    'A device as the API shows it';

create or replace function iclock_api.devices_get(request jsonb)
    returns iclock_api.reply
    language plpgsql stable
    set search_path = pg_catalog, iclock, pg_temp
as $$
begin
    perform iclock_api.parameters(request, '{}');

    return iclock_api.reply(200, iclock_api.device_json(
        iclock_api.find_device(request, request #>> '{path,sn}')));
end
$$;
comment on function iclock_api.devices_get(jsonb) is 'GET /devices/{sn}';

-- By serial number.  The query has the conditions that the request has and no
-- more, so that a plan is made for these: it walks along an index.
create or replace function iclock_api.devices_list(request jsonb)
    returns iclock_api.reply
    language plpgsql stable
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    query      constant jsonb := request -> 'query';
    status     constant text  := iclock_api.word(request, 'status',
        '{online,offline,pending,blocked}');
    online     constant boolean := iclock_api.flag(request, 'online');
    size       integer;
    after      jsonb;
    items      json[];
    keys       jsonb[];
    condition  text := '';
begin
    perform iclock_api.parameters(request,
        '{status,site,online,q,limit,cursor}');

    select p.* into size, after from iclock_api.page(request) as p;

    condition := concat(
        case when request #>> '{key,mode}' = 'test'
             then ' and d.sandbox' end,
        case when request #>> '{key,sites}' is not null
             then ' and d.site = any (array('
                  'select jsonb_array_elements_text($1 #> ''{key,sites}'')))'
             end,
        case when request #>> '{key,devices}' is not null
             then ' and d.serial_number = any (array('
                  'select jsonb_array_elements_text($1 #> ''{key,devices}'')))'
             end,
        case when query ->> 'site' is not null
             then ' and d.site = $1 #>> ''{query,site}''' end,
        case status
             when 'online'  then ' and d.status = ''active'' '
                                 'and iclock_api.seen_lately(d)'
             when 'offline' then ' and d.status = ''active'' '
                                 'and not iclock_api.seen_lately(d)'
             when 'pending' then ' and d.status = ''pending'''
             when 'blocked' then ' and d.status = ''blocked''' end,
        case online
             when true  then ' and d.status = ''active'' '
                             'and iclock_api.seen_lately(d)'
             when false then ' and (d.status <> ''active'' '
                             'or not iclock_api.seen_lately(d))' end,
        case when query ->> 'q' is not null
             then ' and strpos(lower(concat_ws(E''\n'', d.serial_number, '
                  'd.name, d.location)), lower($1 #>> ''{query,q}'')) > 0' end,
        case when after is not null
             then ' and d.serial_number > $2' end);

    execute format(
        'select array_agg(iclock_api.device_json(r.d) '
        '                 order by (r.d).serial_number), '
        '       array_agg(to_jsonb((r.d).serial_number) '
        '                 order by (r.d).serial_number) '
        '  from (select d '
        '          from iclock.device d '
        '         where iclock_api.visible(d, $1)%s '
        '         order by d.serial_number '
        '         limit $3) as r', condition)
       into items, keys
      using request, after #>> '{}', size + 1;

    return iclock_api.list(request, items, keys, size);
end
$$;
comment on function iclock_api.devices_list(jsonb) is 'GET /devices';
