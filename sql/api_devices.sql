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
                    > now() - iclock.silence_after(d.delay, d.told_delay),
                    false)
$$;
comment on function iclock_api.seen_lately(iclock.device) is
    'Whether a device is not silent';

create or replace function iclock_api.conditions_json(
        test     boolean,
        devices  bigint[])
    returns table (device_id bigint, conditions json)
    language sql stable
    set search_path = pg_catalog, iclock, pg_temp
as $$
    select c.device_id, json_agg(json_build_object(
                            'name', c.condition,
                            'since', iclock_api.utc(c.since),
                            'value', c.value) order by k.position)
      from iclock.device_conditions($1, $2) c
      join iclock.condition k on k.name = c.condition
     group by c.device_id
$$;
comment on function iclock_api.conditions_json(boolean, bigint[]) is
    'What is wrong with devices, as the API shows it';

-- Numbers are what the device reports.  If it reports none, what is stored is
-- counted, up to 1,000: NULL says that there are more.
create or replace function iclock_api.device_json(
        d           iclock.device,
        conditions  json)
    returns json
    language plpgsql stable
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    seen      timestamptz;
    address   inet;
    waiting   bigint;
    capacity  text;
    last      timestamptz;
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
                     limit 1000) as w),
           (select o.value
              from iclock.device_option o
             where o.device_id = d.id
               and o.name = 'MaxAttLogCount'),
           coalesce((select e.address
                       from iclock.device_presence e
                      where e.device_id = d.id), d.remote_address),
           (select u.last_punch_at
              from iclock.device_pulse u
             where u.device_id = d.id)
      into seen, waiting, capacity, address, last;

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
        select nullif(count(*), 1001) into users
          from (select
                  from iclock.device_user u
                 where u.device_id = d.id
                 limit 1001) as u;
    end if;

    if logs is null then
        select nullif(count(*), 1001) into logs
          from (select
                  from iclock.punch p
                 where p.device_id = d.id
                 limit 1001) as p;
    end if;

    return json_build_object(
        'id', d.serial_number,
        'serial_number', d.serial_number,
        'name', d.name,
        'location', d.location,
        'site', d.site,
        'timezone', coalesce(d.timezone, d.default_timezone),
        'status', case when d.status <> 'active' then d.status
                       when seen > now() - iclock.silence_after(d.delay,
                                                                d.told_delay)
                       then 'online'
                       else 'offline' end,
        'status_since', iclock_api.utc(d.status_since),
        'status_by', regexp_replace(d.status_by, '^api:', ''),
        'conditions', coalesce(conditions, '[]'),
        'muted_until', iclock_api.utc(d.muted_until),
        'note', d.note,
        'users', users,
        'logs', logs,
        'storage', case when capacity ~ '^0*[1-9][0-9]{0,5}$'
                        then round(logs / capacity::numeric / 100) || '%' end,
        'storage_ratio', case when capacity ~ '^0*[1-9][0-9]{0,5}$'
                              then round(logs / capacity::numeric / 100, 3)
                              end,
        'firmware', d.firmware,
        'push_version', d.push_version,
        'ip_address', host(d.ip_address),
        'address', host(address),
        'last_seen', iclock_api.utc(seen),
        'last_punch_at', iclock_api.utc(last),
        'clock_skew_seconds', skew,
        'waiting_commands', waiting);
end
$$;
comment on function iclock_api.device_json(iclock.device, json) is
    'A device as the API shows it, with its conditions';

create or replace function iclock_api.device_json(d iclock.device)
    returns json
    language sql stable
    set search_path = pg_catalog, iclock, pg_temp
as $$
    select iclock_api.device_json($1,
        (select c.conditions
           from iclock_api.conditions_json($1.sandbox, array[$1.id]) c))
$$;
comment on function iclock_api.device_json(iclock.device) is
    'A device as the API shows it';

-- What lists of thousands need of a page of devices, by what is counted already.
create or replace function iclock_api.devices_compact(
        test     boolean,
        devices  bigint[])
    returns json[]
    language sql stable
    set search_path = pg_catalog, iclock, pg_temp
as $$
    select array_agg(json_build_object(
               'id', d.serial_number,
               'name', d.name,
               'site', d.site,
               'timezone', coalesce(d.timezone, d.default_timezone),
               'status', case when d.status <> 'active' then d.status
                              when seen.last_seen
                                   > now() - iclock.silence_after(
                                                 d.delay, d.told_delay)
                              then 'online'
                              else 'offline' end,
               'conditions', coalesce(c.conditions, '[]'),
               'muted_until', iclock_api.utc(d.muted_until),
               'last_seen', iclock_api.utc(seen.last_seen),
               'last_punch_at', iclock_api.utc(
                   greatest(u.last_punch_at, f.last_punch_at)),
               'clock_skew_seconds',
               case when u.skew_at > now() - interval '2 days'
                    then round(extract(epoch from u.clock_skew)::numeric) end,
               'waiting_commands', w.waiting,
               'storage_ratio', s.ratio) order by d.serial_number)
      from iclock.device d
      left join iclock.device_presence e on e.device_id = d.id
     cross join lateral (select greatest(e.last_seen, d.last_seen)
                                    as last_seen) as seen
      left join iclock.device_pulse u on u.device_id = d.id
      -- "offset" has each asked for by the index
      left join lateral (select r.ratio
                           from iclock.device_storage r
                          where r.device_id = d.id
                         offset 0) as s on true
      left join iclock_api.conditions_json($1, $2) as c on c.device_id = d.id
      left join (select p.device_id, max(p.punched_at) as last_punch_at
                   from iclock.uncounted_punches() p
                  where p.punched_at < now() + interval '2 days'
                  group by p.device_id) as f on f.device_id = d.id
     cross join lateral (select count(*) as waiting
                           from iclock.command k
                          where k.device_id = d.id
                            and k.status = 'queued'
                            and (k.expires_at is null
                                 or k.expires_at > now())) as w
     where d.id = any ($2)
$$;
comment on function iclock_api.devices_compact(boolean, bigint[]) is
    'Devices as GET /devices?fields=compact shows them, by serial number';

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
    compact    constant boolean := iclock_api.word(request, 'fields',
        '{compact}') is not null;
    wrong      constant text  := iclock_api.word(request, 'condition',
        array(select k.name from iclock.condition k order by k.position));
    test       constant boolean := request #>> '{key,mode}' = 'test';
    sites      constant jsonb := nullif(request #> '{key,sites}', 'null');
    size       integer;
    after      jsonb;
    ids        bigint[];
    items      json[];
    keys       jsonb[];
    condition  text := '';
begin
    perform iclock_api.parameters(request,
        '{status,site,online,q,condition,fields,limit,cursor}');

    select p.* into size, after from iclock_api.page(request) as p;

    condition := concat(
        case when test then ' and d.sandbox' end,
        -- nobody need see to those that are muted
        case when wrong is not null
             then ' and (d.muted_until > now()) is not true '
                  'and d.id = any (array('
                  'select c.device_id from iclock.device_conditions($4) as c '
                  ' where c.condition = $5))' end,
        -- of one site the index gives them in order
        case when jsonb_array_length(sites) = 1
             then ' and d.site = $1 #>> ''{key,sites,0}'''
             when sites is not null
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
        'select array_agg(r.id order by r.serial_number), '
        '       array_agg(to_jsonb(r.serial_number) order by r.serial_number) '
        '  from (select d.id, d.serial_number '
        '          from iclock.device d '
        '         where iclock_api.visible(d, $1)%s '
        '         order by d.serial_number '
        '         limit $3) as r', condition)
       into ids, keys
      using request, after #>> '{}', size + 1, test, wrong;

    if compact then
        items := iclock_api.devices_compact(test, coalesce(ids, '{}'));
    else
        select array_agg(iclock_api.device_json(d, c.conditions)
                         order by d.serial_number)
          into items
          from iclock.device d
          left join iclock_api.conditions_json(test,
                                              coalesce(ids, '{}')) c
                 on c.device_id = d.id
         where d.id = any (ids);
    end if;

    return iclock_api.list(request, items, keys, size);
end
$$;
comment on function iclock_api.devices_list(jsonb) is 'GET /devices';


-- Changes

-- what an address may have stands as it is
create or replace function iclock_api.escape(value text)
    returns text
    language sql immutable strict
    set search_path = pg_catalog, pg_temp
as $$
    select string_agg(
               case when chr(get_byte(b.bytes, i)) ~ '[A-Za-z0-9._~-]'
                    then chr(get_byte(b.bytes, i))
                    else '%' || upper(lpad(to_hex(get_byte(b.bytes, i)), 2,
                                           '0')) end, '' order by i)
      from (select convert_to(value, 'UTF8') as bytes) as b,
           generate_series(0, octet_length(b.bytes) - 1) as i
$$;
comment on function iclock_api.escape(text) is
    'Text as a segment of the path of a URL';

-- A site that the key may write to.  A key of devices alone sees of a site what
-- its devices hold: it must not carry them to another, whose people it would
-- have then.
drop function if exists iclock_api.own_site(jsonb, text);

create or replace function iclock_api.own_site(
        request  jsonb,
        site     text,
        stands   text   default null)
    returns void
    language plpgsql immutable
    set search_path = pg_catalog, iclock, pg_temp
as $$
begin
    if not iclock_api.site_visible(site, request) then
        if site is null then
            perform iclock_api.wrong('#/site',
                'is missing: the key is limited to sites');
        end if;
        perform iclock_api.fail(403, 'scope',
            'the key is limited to other sites');
    end if;

    if site is distinct from stands
       and request #>> '{key,devices}' is not null
       and request #>> '{key,sites}' is null
    then
        perform iclock_api.fail(403, 'scope',
            'the key is limited to devices, and names no sites for them');
    end if;
end
$$;
comment on function iclock_api.own_site(jsonb, text, text) is
    'Refuses a site of the body that the key may not see, or to which it may '
    'not carry a device that stands elsewhere, or nowhere';

-- What it recorded until now stays with the site where it stood, also if it is
-- to stand nowhere.  What it recorded while it stood nowhere is of the site to
-- which it comes.  Whoever has named a wrong one for a new device may take that
-- back as long as nothing of it is stored.
create or replace function iclock_api.place_device(
        d     iclock.device,
        site  text)
    returns void
    language plpgsql
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    known  iclock.device;
    moved  timestamp;
begin
    if site is not null then
        perform iclock.field('site', site, '\S', 500);
    end if;

    select o.* into known
      from iclock.device o
     where o.id = d.id
       for no key update;

    if known.site is not null and site is not null then
        perform iclock.move_device(d.serial_number, site);
        return;
    end if;

    -- move_device() knows sites alone.  One that has been moved here may hold
    -- what nobody has got yet.
    if known.site is not null
       and (known.site_since > '-infinity'
            or exists (select
                         from iclock.punch p
                        where p.device_id = known.id))
    then
        moved := greatest(timezone(iclock.zone_of(known), now()),
                          known.site_since + interval '1 microsecond');

        insert into iclock.device_site (device_id, starts, ends, site)
        values (known.id, known.site_since, moved, known.site);
    end if;

    update iclock.device o
       set site = place_device.site,
           site_since = coalesce(moved, o.site_since)
     where o.id = d.id;
end
$$;
comment on function iclock_api.place_device(iclock.device, text) is
    'Moves a device to a site, or away from it: NULL';

-- How long nobody need see to a device: until a moment of the next 30 days.
create or replace function iclock_api.mute_device(
        d      iclock.device,
        until  text)
    returns void
    language plpgsql
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    moment  timestamptz;
begin
    begin
        if until ~ '^\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d{1,6})?)?'
                   '(Z|z|[+-]\d\d:\d\d)$'
        then
            moment := until;
        end if;
    exception when data_exception then
        null;
    end;

    if until is not null
       and (moment between now() and now() + interval '30 days') is not true
    then
        perform iclock_api.wrong('#/muted_until',
            'is no moment of the next 30 days, as 2026-03-27T08:30:12Z');
    end if;

    update iclock.device o
       set muted_until = moment
     where o.id = d.id;
end
$$;
comment on function iclock_api.mute_device(iclock.device, text) is
    'Nobody need see to a device until then; NULL: it is not muted any more';

-- The members of a body that are given; null takes a setting back.
create or replace function iclock_api.change_device(
        d     iclock.device,
        body  jsonb)
    returns void
    language plpgsql
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    gone  text[];
begin
    perform iclock.set_device(d.serial_number,
        name => body ->> 'name', timezone => body ->> 'timezone',
        comm_key => body ->> 'comm_key', location => body ->> 'location');

    select array_agg(m.key) into gone
      from jsonb_each(body) as m
     where m.key = any ('{name,timezone,comm_key,location}')
       and m.value = 'null';

    if gone is not null then
        perform iclock.reset_device(d.serial_number, variadic gone);
    end if;

    if body ? 'muted_until' then
        perform iclock_api.mute_device(d, body ->> 'muted_until');
    end if;

    if body ? 'note' then
        if octet_length(body ->> 'note') > 4000 then
            perform iclock_api.wrong('#/note', 'has more than 4000 bytes');
        end if;

        update iclock.device o
           set note = body ->> 'note'
         where o.id = d.id;
    end if;

    if body ? 'site' and body ->> 'site' is distinct from d.site then
        perform iclock_api.place_device(d, body ->> 'site');
    end if;
end
$$;
comment on function iclock_api.change_device(iclock.device, jsonb) is
    'Sets what the body has of a device';

-- Who knows the serial number of a device that waits for approval and stands
-- nowhere may have it: a key could as well have registered it before it called.
-- A serial number that the key does not see, or that is served already, is
-- taken.
create or replace function iclock_api.devices_create(request jsonb)
    returns iclock_api.reply
    language plpgsql
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    body    jsonb            := request -> 'body';
    serial  constant text    := request #>> '{body,serial_number}';
    test    constant boolean := request #>> '{key,mode}' = 'test';
    sites   constant jsonb   := nullif(request #> '{key,sites}', 'null');
    d       iclock.device;
    status  integer := 201;
begin
    perform iclock_api.parameters(request, '{}'),
            iclock_api.members(body, '{serial_number:string,name:string,'
                'location:string,site:string,timezone:string,'
                'comm_key:string,muted_until:string,note:string}');

    if serial is null then
        perform iclock_api.wrong('#/serial_number', 'is missing');
    end if;

    -- the one site of a key need not be named
    if body ->> 'site' is null and jsonb_array_length(sites) = 1 then
        body := body || jsonb_build_object('site', sites -> 0);
    end if;
    perform iclock_api.own_site(request, body ->> 'site');

    if request #>> '{key,devices}' is not null
       and not request #> '{key,devices}' ? serial
    then
        perform iclock_api.fail(403, 'scope',
                                'the key is limited to other devices');
    end if;

    -- against handshakes, and others who do the same
    perform pg_advisory_xact_lock(hashtext('iclock.register_devices'));

    select o.* into d
      from iclock.device o
     where o.serial_number = serial
       for no key update;

    if d.id is null then
        perform iclock.register_device(serial, site => body ->> 'site');

        update iclock.device o
           set sandbox = test,
               first_seen = case when test then now() end
         where o.serial_number = serial
        returning o.* into d;

    elsif d.sandbox = test
          and (d.site is null or iclock_api.site_visible(d.site, request))
          and (d.status = 'pending' or d.removed_at is not null)
    then
        status := case when d.removed_at is null then 200 else 201 end;
        perform iclock.approve_device(serial);

    else
        perform iclock_api.fail(409, 'exists',
            format('device "%s" is registered already', serial));
    end if;

    perform iclock_api.change_device(d, jsonb_strip_nulls(body));

    return iclock_api.reply(status,
        iclock_api.device_json(iclock_api.find_device(request, serial)),
        jsonb_build_object('Location', concat(request ->> 'base', '/devices/',
                                              iclock_api.escape(serial))));
end
$$;
comment on function iclock_api.devices_create(jsonb) is 'POST /devices';

create or replace function iclock_api.devices_update(request jsonb)
    returns iclock_api.reply
    language plpgsql
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    body  constant jsonb := request -> 'body';
    d     iclock.device  := iclock_api.find_device(request,
                                                   request #>> '{path,sn}');
begin
    perform iclock_api.parameters(request, '{}'),
            iclock_api.members(body, '{serial_number:string,name:string,'
                'location:string,site:string,timezone:string,'
                'comm_key:string,muted_until:string,note:string}');

    if body ->> 'serial_number' <> d.serial_number then
        perform iclock_api.wrong('#/serial_number', 'cannot be changed');
    end if;

    if body ? 'site' then
        perform iclock_api.own_site(request, body ->> 'site', d.site);
    end if;

    perform iclock_api.change_device(d, body);

    return iclock_api.reply(200, iclock_api.device_json(
        iclock_api.find_device(request, d.serial_number)));
end
$$;
comment on function iclock_api.devices_update(jsonb) is
    'PATCH and PUT /devices/{sn}';

-- Punches stay, and with them the device, refused and out of sight; those of
-- simulated ones go.
create or replace function iclock_api.devices_delete(request jsonb)
    returns iclock_api.reply
    language plpgsql
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    d  iclock.device := iclock_api.find_device(request,
                                               request #>> '{path,sn}');
begin
    perform iclock_api.parameters(request, '{purge}');

    if iclock_api.flag(request, 'purge') then
        perform iclock_api.fail(403, 'scope',
            'punches are deleted by the operator of the database alone');
    end if;

    begin
        perform iclock.delete_device(d.serial_number);
    exception when foreign_key_violation then
        update iclock.device o
           set status = 'blocked', removed_at = now()
         where o.id = d.id;

        update iclock.command c
           set status = 'cancelled', finished_at = now(),
               reason = 'the device was removed'
         where c.device_id = d.id
           and c.status = 'queued';
    end;

    return iclock_api.reply(204);
end
$$;
comment on function iclock_api.devices_delete(jsonb) is 'DELETE /devices/{sn}';

create or replace function iclock_api.devices_action(request jsonb)
    returns iclock_api.reply
    language plpgsql
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    body     constant jsonb := coalesce(request -> 'body', '{}');
    action   constant text  := substring(request ->> 'route' from '[^/]+$');
    d        iclock.device  := iclock_api.find_device(request,
                                                      request #>> '{path,sn}');
    command  bigint;
    ids      bigint[];
begin
    perform iclock_api.parameters(request, '{}'),
            iclock_api.members(body, case action
                when 'reupload' then '{table:string}'::text[]
                else '{}' end);

    if action in ('approve', 'block') then
        if action = 'approve' then
            perform iclock.approve_device(d.serial_number);
        else
            perform iclock.block_device(d.serial_number);
        end if;

        return iclock_api.reply(200, iclock_api.device_json(
            iclock_api.find_device(request, d.serial_number)));
    end if;

    if d.status = 'blocked' then
        perform iclock_api.fail(409, 'conflict',
            format('device "%s" is blocked', d.serial_number));
    end if;

    if action = 'reboot' then
        command := iclock.reboot(d.serial_number);

    -- it shakes hands, and is told the time
    elsif action = 'sync-time' then
        command := iclock.check_data(d.serial_number);

    elsif body ->> 'table' is null then
        perform iclock_api.wrong('#/table', 'is missing');

    else
        begin
            command := iclock.request_reupload(d.serial_number,
                                               body ->> 'table');
        exception when invalid_parameter_value then
            perform iclock_api.wrong('#/table',
                'is no table that the device can be asked for');
        end;
    end if;

    -- no command: the device does it when it starts
    ids := array_remove(array[command], null);

    return iclock_api.reply(202, json_build_object(
        'commands', iclock_api.command_list(ids)),
        meta => iclock_api.wait(request, ids));
end
$$;
comment on function iclock_api.devices_action(jsonb) is
    'POST /devices/{sn}/approve, block, reboot, sync-time, reupload';


-- People as a terminal holds them

create or replace function iclock_api.template_kind(type integer)
    returns text
    language sql immutable
    set search_path = pg_catalog, pg_temp
as $$
    select case when type = 1       then 'fingerprint'
                when type in (2, 9) then 'face'
                when type = 7       then 'vein'
                when type in (6, 8) then 'palm'
                else type::text end
$$;
comment on function iclock_api.template_kind(integer) is
    'Biometric type, as the API names it';

create or replace function iclock_api.device_users(request jsonb)
    returns iclock_api.reply
    language plpgsql stable
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    d      iclock.device := iclock_api.find_device(request,
                                                   request #>> '{path,sn}');
    size   integer;
    after  jsonb;
    items  json[];
    keys   jsonb[];
begin
    perform iclock_api.parameters(request, '{limit,cursor}');

    select p.* into size, after from iclock_api.page(request) as p;

    select array_agg(json_build_object(
               'user_id', u.pin,
               'name', u.name,
               'privilege', nullif(u.privilege, -1),
               'card', nullif(u.card, ''),
               'group', nullif(u.access_group, -1),
               'templates', coalesce((
                   select json_agg(json_build_object(
                              'type', iclock_api.template_kind(t.type),
                              'index', coalesce(nullif(t.no, -1),
                                                nullif(t.index, -1)),
                              'version', case when t.major_version >= 0
                                  then concat_ws('.', t.major_version,
                                           nullif(t.minor_version, -1)) end)
                              order by t.type, t.no, t.index)
                     from iclock.template t
                    where t.device_id = d.id
                      and t.pin = u.pin), '[]'),
               'updated_at', iclock_api.utc(u.updated_at)) order by u.pin),
           array_agg(to_jsonb(u.pin) order by u.pin)
      into items, keys
      from (select o.*
              from iclock.device_user o
             where o.device_id = d.id
               and o.pin > coalesce(after #>> '{}', '')
             order by o.pin
             limit size + 1) as u;

    return iclock_api.list(request, items, keys, size);
end
$$;
comment on function iclock_api.device_users(jsonb) is
    'GET /devices/{sn}/users';
