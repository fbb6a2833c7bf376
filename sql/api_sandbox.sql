-- Simulated devices: who writes a program against the API needs no terminal.
-- Only keys of mode test make them, and only such keys see them.

-- Each operation begins with it.
create or replace function iclock_api.sandbox_only(request jsonb)
    returns void
    language plpgsql immutable
    set search_path = pg_catalog, iclock, pg_temp
as $$
begin
    if request #>> '{key,mode}' is distinct from 'test' then
        perform iclock_api.fail(403, 'sandbox',
            'only a key of mode test may use the sandbox');
    end if;
end
$$;
comment on function iclock_api.sandbox_only(jsonb) is
    'Refuses keys that are not of mode test';

-- Without a serial number it gets one.  A limit of 100 keeps programs that make
-- one in each of their tests from filling the database.
create or replace function iclock_api.sandbox_devices(request jsonb)
    returns iclock_api.reply
    language plpgsql
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    body     constant jsonb := request -> 'body';
    serial   text;
    device   iclock.device;
begin
    perform iclock_api.sandbox_only(request),
            iclock_api.parameters(request, '{}'),
            iclock_api.members(body, '{serial_number:string,name:string,'
                                     'location:string,site:string,'
                                     'timezone:string}');

    serial := coalesce(body ->> 'serial_number',
                       'SANDBOX' || upper(iclock.random_id()));

    -- two at once count one after the other
    perform pg_advisory_xact_lock(hashtext('iclock.sandbox'));

    if (select count(*)
          from iclock.device d
         where d.sandbox and d.removed_at is null) >= 100
    then
        perform iclock_api.fail(409, 'conflict',
            'there are 100 devices in the sandbox: delete some');
    end if;

    -- of before they were deleted with their punches
    delete from iclock.device d
     where d.serial_number = serial
       and d.sandbox
       and d.removed_at is not null;

    -- also if somebody else has it, which is not for this key to know
    if exists (select from iclock.device d where d.serial_number = serial) then
        perform iclock_api.fail(409, 'exists',
            format('the serial number "%s" is taken', serial));
    end if;

    if not iclock_api.site_visible(body ->> 'site', request) then
        perform iclock_api.wrong('#/site', 'is not a site of the key');
    end if;

    if request #>> '{key,devices}' is not null
       and not request #> '{key,devices}' ? serial
    then
        perform iclock_api.wrong('#/serial_number',
                                 'is not a device of the key');
    end if;

    perform iclock.field('serial_number', serial, '^\S+$', 100);

    insert into iclock.device (serial_number, sandbox, status, site,
                               first_seen, last_seen)
    values (serial, true, 'active', body ->> 'site', now(), now());

    perform iclock.set_device(serial, name => body ->> 'name',
                              location => body ->> 'location',
                              timezone => body ->> 'timezone');

    device := iclock_api.find_device(request, serial);

    return iclock_api.reply(201, iclock_api.device_json(device),
        jsonb_build_object('Location', concat(request ->> 'base', '/devices/',
                                              iclock_api.escape(serial))));
end
$$;
comment on function iclock_api.sandbox_devices(jsonb) is
    'POST /sandbox/devices: a simulated device';

-- A moment of a request on the clock of a device.  Without an offset it is read
-- off that clock already.
create or replace function iclock_api.sandbox_time(value text, zone text)
    returns timestamp
    language plpgsql stable
    set search_path = pg_catalog, iclock, pg_temp
as $$
begin
    if value is null then
        return date_trunc('second', timezone(zone, now()));
    elsif value !~ '^\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d{1,6})?'
                   '(Z|z|[+-]\d\d:\d\d)?$'
    then
        return null;
    elsif value ~ '(Z|z|[+-]\d\d:\d\d)$' then
        return date_trunc('second', timezone(zone, value::timestamptz));
    end if;

    return date_trunc('second', value::timestamp);
exception when data_exception then
    return null;
end
$$;
comment on function iclock_api.sandbox_time(text, text) is
    'A moment as RFC 3339 has it, on a clock of a time zone; NULL: is none';

-- One punch of a request as a row, or what is wrong with it.
create or replace function iclock_api.sandbox_punch(
        device       iclock.device,
        punch        jsonb,
        pointer      text,
        out made     iclock.punch)
    language plpgsql stable
    set search_path = pg_catalog, iclock, pg_temp
as $$
begin
    perform iclock_api.members(punch, '{user_id:string,name:string,'
                               'timestamp:string,type:string,method:string,'
                               'work_code:string,temperature:number,'
                               'mask_detected:boolean}', pointer);

    made.pin := punch ->> 'user_id';

    if made.pin is null or made.pin !~ '^[^\s=]{1,24}$' then
        perform iclock_api.wrong(pointer || '/user_id',
                                 'has no 1 to 24 characters without blanks');
    end if;

    made.local_time := iclock_api.sandbox_time(punch ->> 'timestamp',
                                              iclock.zone_of(device));
    if made.local_time is null or extract(year from made.local_time)
                                 not between 2000 and 2099
    then
        perform iclock_api.wrong(pointer || '/timestamp',
                                 'is not as 2026-03-27T08:30:12Z');
    end if;

    -- the codes of dialect 2.4, which these devices speak
    made.status := ('{"CheckIn":0,"CheckOut":1,"BreakOut":2,"BreakIn":3,'
                   '"OvertimeIn":4,"OvertimeOut":5,"Other":255}'::jsonb
                   ->> coalesce(punch ->> 'type', 'CheckIn'))::integer;
    if made.status is null then
        perform iclock_api.wrong(pointer || '/type',
            'is none of CheckIn, CheckOut, BreakOut, BreakIn, OvertimeIn, '
            'OvertimeOut, Other');
    end if;

    made.verify := ('{"Fingerprint":1,"Pin":2,"Password":3,"Card":4,"Face":15,'
                   '"FingerVein":21,"Palm":25,"Multi":8,"Other":0}'::jsonb
                   ->> coalesce(punch ->> 'method', 'Fingerprint'))::integer;
    if made.verify is null then
        perform iclock_api.wrong(pointer || '/method',
            'is none of Fingerprint, Face, Card, Palm, Password, Pin, '
            'FingerVein, Multi, Other');
    end if;

    made.punched_at := timezone(iclock.zone_of(device), made.local_time);
    made.work_code := coalesce(punch ->> 'work_code', '');
    made.temperature := punch ->> 'temperature';
    made.mask := coalesce((punch ->> 'mask_detected')::boolean::integer, -1);
end
$$;
comment on function iclock_api.sandbox_punch(iclock.device, jsonb, text) is
    'A punch of the sandbox as a row';

-- As if the terminal had uploaded them: events and webhooks follow.
create or replace function iclock_api.sandbox_punches(request jsonb)
    returns iclock_api.reply
    language plpgsql
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    punches  constant jsonb   := request #> '{body,punches}';
    most     constant integer := coalesce((request ->> 'batch_max')::integer,
                                          1000);
    device   iclock.device;
    given    iclock.punch[];
    stored   bigint;
begin
    perform iclock_api.sandbox_only(request),
            iclock_api.parameters(request, '{}'),
            iclock_api.members(request -> 'body', '{punches:array}');

    device := iclock_api.find_device(request, request #>> '{path,sn}');

    if punches is null or jsonb_array_length(punches) not between 1 and most
    then
        perform iclock_api.wrong('#/punches',
                                 format('has no 1 to %s punches', most));
    end if;

    -- its punches go with it, and none may come behind
    perform from iclock.device d where d.id = device.id for no key update;

    if not found then
        perform iclock_api.fail(404, 'not_found',
            format('there is no device "%s"', device.serial_number));
    end if;

    -- before the insert: functions that catch errors cannot run within one of
    -- Citus
    select array_agg(iclock_api.sandbox_punch(device, p.value,
                         '#/punches/' || (p.n - 1)::text))
      into given
      from jsonb_array_elements(punches) with ordinality as p (value, n);

    -- in the order of uploads, which wait for each other then
    with added as (
        insert into iclock.punch (device_id, local_time, pin, status, verify,
                                  punched_at, work_code, mask, temperature)
        select device.id, g.local_time, g.pin, g.status, g.verify,
               g.punched_at, g.work_code, g.mask, g.temperature
          from unnest(given) as g
         order by g.local_time, g.pin collate "C", g.status, g.verify
            on conflict do nothing
        returning 1)
    select count(*) into stored from added;

    -- a terminal would have the names
    insert into iclock.device_user as u (device_id, pin, name)
    select distinct on (p.value ->> 'user_id')
           device.id, p.value ->> 'user_id', p.value ->> 'name'
      from jsonb_array_elements(punches) with ordinality as p (value, n)
     where p.value ->> 'name' is not null
     order by p.value ->> 'user_id', p.n desc
        on conflict (device_id, pin) do update
       set name = excluded.name
     where u.name is distinct from excluded.name;

    update iclock.device d
       set last_seen = now()
     where d.id = device.id;

    if stored > 0 then
        perform pg_notify('iclock_event', '');
    end if;

    return iclock_api.reply(201, json_build_object(
        'stored', stored,
        'known', jsonb_array_length(punches) - stored));
end
$$;
comment on function iclock_api.sandbox_punches(jsonb) is
    'POST /sandbox/devices/{sn}/punches: punches of a simulated device';
