-- Devices: what people call, what nginx calls, and what becomes of a row.  The
-- functions are SECURITY DEFINER: neither iclock_operator nor iclock_module has
-- the right to insert devices, nor iclock_operator to change them.

create or replace function iclock.register_device(
        serial_number     text,
        name              text    default null,
        site              text    default null,
        timezone          text    default null,
        status            text    default 'active',
        comm_key          text    default null,
        allowed_networks  cidr[]  default null,
        dialect           text    default null,
        encoding          text    default null)
    returns bigint
    language plpgsql security definer
    set search_path = pg_catalog, iclock, pg_temp
as $$
begin
    perform iclock.field('serial_number', $1, '^\S+$', 100);

    -- what stands at no site is for those who see all
    if not exists (select from iclock.device d where d.serial_number = $1) then
        perform iclock.own_site('site', $3);
    end if;

    insert into iclock.device as d (serial_number, site) values ($1, $3)
    on conflict on constraint device_serial_number_key do nothing;

    return iclock.set_device(
        $1, name => $2, site => $3, timezone => $4, status => $5,
        comm_key => $6, allowed_networks => $7, dialect => $8,
        encoding => $9);
end
$$;
comment on function iclock.register_device is
    'Adds a device, or sets the given parts of a known one; active unless '
    'you give another status';
grant execute on function iclock.register_device to iclock_operator;

create or replace function iclock.approve_device(serial_number text)
    returns void
    language sql security definer
    set search_path = pg_catalog, iclock, pg_temp
as $$
    update iclock.device d
       set status = 'active'
     where d.id = iclock.device_id($1)
       and d.status <> 'active'
$$;
comment on function iclock.approve_device(text) is 'Makes a device active';
grant execute on function iclock.approve_device(text) to iclock_operator;

create or replace function iclock.block_device(serial_number text)
    returns void
    language sql security definer
    set search_path = pg_catalog, iclock, pg_temp
as $$
    update iclock.device d
       set status = 'blocked'
     where d.id = iclock.device_id($1)
       and d.status <> 'blocked'
$$;
comment on function iclock.block_device(text) is 'Refuses a device from now on';
grant execute on function iclock.block_device(text) to iclock_operator;


-- As it was before it had "command_bytes": two of them would be ambiguous.
drop function if exists iclock.set_device(
    text, text, text, text, text, cidr[], text, text, text, integer, integer,
    text, integer, text, boolean, boolean, boolean, text, text, text, text,
    integer);

-- and as it was before it had "location"
drop function if exists iclock.set_device(
    text, text, text, text, text, cidr[], text, text, text, integer, integer,
    text, integer, text, boolean, boolean, boolean, text, text, text, text,
    integer, integer);

-- Changes what is given and leaves the rest; reset_device() takes a setting
-- back.  The constraints of the table know what is right.
create or replace function iclock.set_device(
        serial_number     text,
        name              text    default null,
        site              text    default null,
        timezone          text    default null,
        comm_key          text    default null,
        allowed_networks  cidr[]  default null,
        encoding          text    default null,
        dialect           text    default null,
        status            text    default null,
        delay             integer default null,
        error_delay       integer default null,
        trans_times       text    default null,
        trans_interval    integer default null,
        trans_flag        text    default null,
        realtime          boolean default null,
        send_timezone     boolean default null,
        bare_stamps       boolean default null,
        push_options      text    default null,
        multi_bio_data    text    default null,
        multi_bio_photo   text    default null,
        max_push_version  text    default null,
        command_limit     integer default null,
        command_bytes     integer default null,
        location          text    default null)
    returns bigint
    language plpgsql security definer
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    device   constant bigint := iclock.device_id($1);
    refused  text;
begin
    if $2 is not null then
        perform iclock.field('name', $2);
    end if;
    if $24 is not null then
        perform iclock.field('location', $24);
    end if;
    if $3 is not null then
        perform iclock.field('site', $3, '\S', 500),
                iclock.own_site('site', $3);
    end if;

    begin
        update iclock.device d
           set name = coalesce($2, d.name),
               site = coalesce($3, d.site),
               timezone = coalesce($4, d.timezone),
               comm_key = coalesce($5, d.comm_key),
               allowed_networks = coalesce($6, d.allowed_networks),
               encoding = coalesce($7, d.encoding),
               dialect = coalesce($8, d.dialect),
               dialect_chosen = d.dialect_chosen or $8 is not null,
               status = coalesce($9, d.status),
               delay = coalesce($10, d.delay),
               error_delay = coalesce($11, d.error_delay),
               trans_times = coalesce($12, d.trans_times),
               trans_interval = coalesce($13, d.trans_interval),
               trans_flag = coalesce($14, d.trans_flag),
               realtime = coalesce($15, d.realtime),
               send_timezone = coalesce($16, d.send_timezone),
               bare_stamps = coalesce($17, d.bare_stamps),
               push_options = coalesce($18, d.push_options),
               multi_bio_data = coalesce($19, d.multi_bio_data),
               multi_bio_photo = coalesce($20, d.multi_bio_photo),
               max_push_version = coalesce($21, d.max_push_version),
               command_limit = coalesce($22, d.command_limit),
               command_bytes = coalesce($23, d.command_bytes),
               location = coalesce($24, d.location)
         where d.id = device;
    exception when check_violation then
        get stacked diagnostics refused = constraint_name;
        perform iclock.wrong_argument(
            regexp_replace(refused, '^device_|_check[0-9]*$', '', 'g'),
            'has no value that this setting can have',
            'See the comment of the column of iclock.device.');
    end;

    return device;
end
$$;
comment on function iclock.set_device is
    'Sets the given parts of the configuration of a device and leaves the rest';
grant execute on function iclock.set_device to iclock_operator;

create or replace function iclock.reset_device(
        serial_number      text,
        variadic settings  text[])
    returns void
    language plpgsql security definer
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    device   constant bigint := iclock.device_id($1);
    setting  text;
begin
    foreach setting in array coalesce(settings, array[null]) loop
        if setting is null or setting <> all (array[
            'name', 'site', 'timezone', 'comm_key', 'allowed_networks',
            'encoding', 'dialect', 'delay', 'error_delay', 'trans_times',
            'trans_interval', 'trans_flag', 'realtime', 'send_timezone',
            'bare_stamps', 'push_options', 'multi_bio_data', 'multi_bio_photo',
            'max_push_version', 'command_limit', 'command_bytes',
            'location'])
        then
            perform iclock.wrong_argument('settings',
                format('names no setting: %s', coalesce(setting, 'NULL')),
                'They are the arguments of set_device().');
        end if;

        if setting = 'site' then
            perform iclock.own_site('settings', null);
        end if;

        -- the dialect goes back to what the device makes certain
        execute format('update iclock.device set %I = default where id = $1',
                       case when setting = 'dialect' then 'dialect_chosen'
                            else setting end)
          using device;
    end loop;
end
$$;
comment on function iclock.reset_device is
    'Takes settings of a device back to their defaults: names of arguments of '
    'set_device()';
grant execute on function iclock.reset_device to iclock_operator;

-- What the device recorded until then stays with the site where it stood.
create or replace function iclock.move_device(
        serial_number  text,
        site           text,
        since          timestamp default null)
    returns void
    language plpgsql security definer
    set search_path = pg_catalog, iclock, pg_temp
as $$
#variable_conflict use_column
declare
    device  iclock.device;
    clock   timestamp;
    moved   timestamp;
begin
    perform iclock.field('site', $2, '\S', 500), iclock.own_site('site', $2);

    select d.* into device
      from iclock.device d
     where d.id = iclock.device_id($1)
       for no key update;

    if device.site = $2 then
        return;
    end if;

    clock := timezone(iclock.zone_of(device), now());
    moved := coalesce($3, clock);

    if moved > clock then
        perform iclock.wrong_argument('since', 'has not come yet');
    end if;

    if moved <= device.site_since then
        perform iclock.wrong_argument('since', format(
            'is not after the last move, %s', device.site_since));
    end if;

    insert into iclock.device_site (device_id, starts, ends, site)
    values (device.id, device.site_since, moved, device.site);

    update iclock.device d
       set site = $2, site_since = moved
     where d.id = device.id;
end
$$;
comment on function iclock.move_device(text, text, timestamp) is
    'Moves a device to another site: what it recorded before that time (of '
    'its clock; else now) stays with the old one in attendance and in the '
    'days. set_device(site) only corrects the site';
grant execute on function iclock.move_device(text, text, timestamp)
    to iclock_operator;


-- Sets the stamp of a table to 0 and has the device read its stamps.  In dialect
-- 3.2 CHECK does not do that: what can be queried is, and else the stamp waits
-- for the next start of the device.
create or replace function iclock.request_reupload(
        serial_number  text,
        table_name     text)
    returns bigint
    language plpgsql security definer
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    dialect  constant text   := iclock.dialect($1);
    tables   constant text[] := array['ATTLOG', 'OPERLOG', 'ATTPHOTO']
        || case dialect
           when '3.2' then array['USERINFO', 'FINGERTMP', 'FACETMP', 'USERPIC',
                                 'SMS', 'USER_SMS']
           else array['BIODATA', 'IDCARD', 'ERRORLOG'] end;
    wanted   constant text   := iclock.choice('table_name', upper($2), tables,
                                              tables);
begin
    if dialect = '3.2' and wanted = 'ATTLOG' then
        return iclock.query_attendance($1, '2000-01-01',
                                       '2099-12-31 23:59:59');
    elsif dialect = '3.2' and wanted = 'USERINFO' then
        return iclock.query_all_users($1);
    elsif dialect = '3.2' and wanted = 'FINGERTMP' then
        return iclock.query_all_fingerprints($1);
    end if;

    insert into iclock.upload_stamp as s (device_id, table_name, stamp,
                                          requested)
    values (iclock.device_id($1), wanted, '0', true)
    on conflict on constraint upload_stamp_pkey do update
    set stamp = excluded.stamp, requested = true, updated_at = now();

    if dialect = '3.2' then
        raise notice 'the device reads its stamps when it starts'
              using hint = 'Call reboot() to make it start.';
        return null;
    end if;

    return iclock.queue_command($1, 'CHECK');
end
$$;
comment on function iclock.request_reupload(text, text) is
    'Has a device upload a table from the beginning: ATTLOG, OPERLOG, '
    'ATTPHOTO; of dialect 2.4 BIODATA, IDCARD, ERRORLOG, of 3.2 USERINFO, '
    'FINGERTMP, FACETMP, USERPIC, SMS, USER_SMS. NULL: no command does that '
    'there, the device uploads it when it starts';
grant execute on function iclock.request_reupload(text, text)
    to iclock_operator;

-- What another server has got of a device: from there the device goes on, if it
-- is of those that obey.
create or replace function iclock.set_stamp(
        serial_number  text,
        table_name     text,
        stamp          text)
    returns void
    language plpgsql security definer
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    tables  constant text[] := array['ATTLOG', 'OPERLOG', 'ATTPHOTO', 'BIODATA',
        'IDCARD', 'ERRORLOG', 'USERINFO', 'FINGERTMP', 'FACETMP', 'USERPIC',
        'SMS', 'USER_SMS'];
    device  constant bigint := iclock.device_id($1);
    wanted  constant text   := iclock.choice('table_name', upper($2), tables,
                                             tables);
begin
    perform iclock.field('stamp', $3, '^[0-9][0-9T: -]{0,31}$', 32);

    insert into iclock.upload_stamp as s (device_id, table_name, stamp)
    values (device, wanted, $3)
    on conflict on constraint upload_stamp_pkey do update
    set stamp = excluded.stamp, requested = false, updated_at = now();
end
$$;
comment on function iclock.set_stamp(text, text, text) is
    'Sets how far the uploads of a table have come, as another server knows it: '
    'a number or a time, which the device gets at its next handshake. Old '
    'firmware goes on from there, newer firmware uploads everything at 0 only';
grant execute on function iclock.set_stamp(text, text, text)
    to iclock_operator;

create or replace function iclock.delete_device(serial_number text)
    returns void
    language sql security definer
    set search_path = pg_catalog, iclock, pg_temp
as $$
    delete from iclock.device d where d.id = iclock.device_id($1)
$$;
comment on function iclock.delete_device is
    'Deletes a device that has no punches, or is simulated, with all that '
    'belongs to it';
grant execute on function iclock.delete_device to iclock_operator;

-- For nginx: the arguments are arrays, one element for each of the requests that
-- share a transaction; "ord" is the position, counted from 1.
create or replace function iclock.register_devices(
        serial_numbers  text[],
        statuses        text[],
        pending_limits  integer[])
    returns void
    language plpgsql security definer
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    unknown  record;
    pending  bigint;
    added    integer;
begin
    if not exists (
        select
          from unnest($1) as u (serial_number)
         where not exists (select from iclock.device d
                            where d.serial_number = u.serial_number))
    then
        return;
    end if;

    -- one at a time, so that the count below stays true until the commit
    perform pg_advisory_xact_lock(hashtext('iclock.register_devices'));

    select count(*) into pending from iclock.device where status = 'pending';

    for unknown in
        select u.*
          from unnest($1, $2, $3) with ordinality
               as u (serial_number, status, pending_limit, ord)
         where not exists (select from iclock.device d
                            where d.serial_number = u.serial_number)
         order by u.ord
    loop
        continue when unknown.status = 'pending'
                  and pending >= unknown.pending_limit;

        insert into iclock.device (serial_number, status, first_seen, last_seen)
        values (unknown.serial_number, unknown.status, now(), now())
        on conflict (serial_number) do nothing;

        get diagnostics added = row_count;
        if unknown.status = 'pending' then
            pending := pending + added;
        end if;
    end loop;
end
$$;
comment on function iclock.register_devices(text[], text[], integer[]) is
    'For nginx: records unknown devices, pending ones up to a limit';
grant execute on function iclock.register_devices(text[], text[], integer[])
    to iclock_module;


-- For nginx: what becomes of a transaction that finds other tables, with other
-- ids of devices, than those it was connected to.
create or replace function iclock.other_database()
    returns boolean
    language plpgsql
    set search_path = pg_catalog, pg_temp
as $$
begin
    raise exception using
        errcode = 'IC001',
        message = 'the tables of schema iclock were replaced';
end
$$;
comment on function iclock.other_database() is
    'For nginx: the error that the tables were replaced below its connection';
grant execute on function iclock.other_database() to iclock_module;


-- For nginx: what becomes of punches whose device has been deleted while they
-- were on their way.
create or replace function iclock.no_device(device_id bigint)
    returns bigint
    language plpgsql
    set search_path = pg_catalog, pg_temp
as $$
begin
    raise foreign_key_violation
        using message = format('device %s has been deleted', device_id);
end
$$;
comment on function iclock.no_device(bigint) is
    'For nginx: the error that a device does not exist';
grant execute on function iclock.no_device(bigint) to iclock_module;

create or replace function iclock.device_keep_punches()
    returns trigger
    language plpgsql
    set search_path = pg_catalog, iclock, pg_temp
as $$
begin
    if tg_op = 'UPDATE' then
        if new.id is distinct from old.id then
            raise foreign_key_violation
                using message = format('the id of device "%s" cannot change',
                                       old.serial_number);
        end if;
        return new;
    end if;

    -- The row is locked now, so whoever was storing punches of the device has
    -- finished.  They are seen unless this transaction's snapshot is older.
    if current_setting('transaction_isolation') <> 'read committed' then
        raise feature_not_supported
            using message = 'devices can only be deleted at the isolation '
                            'level "read committed"';
    end if;

    -- nobody keeps simulated ones
    if old.sandbox then
        delete from iclock.punch p where p.device_id = old.id;
    end if;

    if exists (select from iclock.punch where device_id = old.id) then
        raise foreign_key_violation
            using message = format('device "%s" has punches and cannot be '
                                   'deleted', old.serial_number),
                  hint = 'Set its status to blocked instead, or delete its '
                         'punches first.';
    end if;
    return old;
end
$$;
comment on function iclock.device_keep_punches() is
    'Trigger: keeps devices that have punches, unless they are simulated, and '
    'the ids of all';

create or replace function iclock.device_updated()
    returns trigger
    language plpgsql
    set search_path = pg_catalog, iclock, pg_temp
as $$
begin
    new.updated_at := now();
    return new;
end
$$;
comment on function iclock.device_updated() is
    'Trigger: notes when the configuration of a device changed';

create or replace function iclock.device_status_changed()
    returns trigger
    language plpgsql
    set search_path = pg_catalog, iclock, pg_temp
as $$
begin
    if tg_op = 'INSERT' or new.status <> old.status then
        new.status_since := now();
        new.status_by := iclock.caller();
    end if;
    return new;
end
$$;
comment on function iclock.device_status_changed() is
    'Trigger: notes since when a device has its status, and by whom';

create or replace function iclock.device_readmitted()
    returns trigger
    language plpgsql
    set search_path = pg_catalog, iclock, pg_temp
as $$
begin
    new.removed_at := null;
    return new;
end
$$;
comment on function iclock.device_readmitted() is
    'Trigger: a device that was removed and is let in again is shown again';

-- What an operator sets counts; else the dialect is the one that the device
-- has made certain by its protocol version.
create or replace function iclock.device_dialect()
    returns trigger
    language plpgsql
    set search_path = pg_catalog, iclock, pg_temp
as $$
begin
    if tg_op = 'INSERT' then
        new.dialect_chosen := new.dialect_chosen or new.dialect <> '2.4';
        return new;
    end if;

    if new.dialect <> old.dialect
       and new.dialect_chosen = old.dialect_chosen
    then
        new.dialect_chosen := true;
    end if;

    if not new.dialect_chosen then
        new.dialect := coalesce(new.recognized_dialect, '2.4');
    end if;

    -- device_updated() is not called when a handshake changes it
    if new.dialect <> old.dialect then
        new.updated_at := now();
    end if;
    return new;
end
$$;
comment on function iclock.device_dialect() is
    'Trigger: the dialect is what an operator has set, or what the device '
    'makes certain';

-- The channel iclock_device is part of the contract with the module: the serial
-- number of a device whose row is to be read again.
create or replace function iclock.device_notify()
    returns trigger
    language plpgsql
    set search_path = pg_catalog, iclock, pg_temp
as $$
begin
    if tg_op <> 'INSERT' then
        perform pg_notify('iclock_device', old.serial_number);
    end if;
    -- the same payload twice in a transaction is delivered once
    if tg_op <> 'DELETE' then
        perform pg_notify('iclock_device', new.serial_number);
    end if;
    return null;
end
$$;
comment on function iclock.device_notify() is
    'Trigger: NOTIFY iclock_device with the serial number';
