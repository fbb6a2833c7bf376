-- What people and HR systems call.  The functions are SECURITY DEFINER, because
-- iclock_operator has no right to write any table.  Those of the commands return
-- the id of the command that they queued.

-- Whether a command reaches files, firmware or a shell of the device.  Firmware
-- differs in what it skips and how it compares: case, what stands before the
-- word and what follows it do not matter here.  Without the collation "PutFile"
-- would be another word than "PUTFILE" in a Turkish database.
create or replace function iclock.reaches_system(body text)
    returns boolean
    language sql immutable strict parallel safe
as $$
    select body collate "C" ~* ('^([^A-Za-z]*C[^A-Za-z]+)*[^A-Za-z]*'
                                '(SHELL|PUTFILE|GETFILE|UPGRADE)')
$$;
comment on function iclock.reaches_system(text) is
    'Whether a command reaches files, firmware or a shell of the device: for '
    'members of iclock_shell';

create or replace function iclock.queue_command(
        serial_number  text,
        body           text,
        priority       integer default 0,
        expires        interval default null)
    returns bigint
    language plpgsql security definer
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    device   constant bigint := iclock.device_id(serial_number);
    command  bigint;
begin
    if body is null or btrim(body) = '' then
        raise invalid_parameter_value
            using message = 'argument "body" is empty';
    end if;

    -- as much as a device can be given in one poll
    if octet_length(body) > 16777216 then
        raise invalid_parameter_value
            using message = 'argument "body" is longer than 16777216 bytes',
                  hint = format('It has %s bytes in UTF-8.',
                                octet_length(body));
    end if;

    if not iclock.is_line_text(replace(body, E'\t', ' '), 2147483647) then
        raise invalid_parameter_value
            using message = 'argument "body" contains an end of line or '
                            'another control character',
                  hint = 'A command is one line; its fields are separated by '
                         'TAB.';
    end if;

    if iclock.reaches_system(body)
       and not pg_has_role(iclock.calling_role(), 'iclock_shell', 'member')
    then
        raise insufficient_privilege
            using message = 'commands that reach files, firmware or a shell '
                            'are for members of role iclock_shell';
    end if;

    if expires <= interval '0' then
        raise invalid_parameter_value
            using message = 'argument "expires" must be positive';
    end if;

    insert into iclock.command as c (device_id, body, priority, expires_at)
    values (device, $2, coalesce($3, 0), now() + expires)
    returning c.id into command;

    return command;
end
$$;
comment on function iclock.queue_command(text, text, integer, interval) is
    'Queues a command as it stands: one line, fields separated by TAB. What '
    'reaches files, firmware or a shell is for members of iclock_shell';
grant execute on function iclock.queue_command(text, text, integer, interval)
    to iclock_operator;


create or replace function iclock.cancel_command(id bigint)
    returns boolean
    language plpgsql security definer
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    devices  constant bigint[] := iclock.visible_devices();
begin
    -- what was sent may be done already: only its answer can tell
    update iclock.command c
       set status = 'cancelled', finished_at = now()
     where c.id = $1
       and coalesce(c.device_id = any (devices), true)
       and c.status = 'queued';

    if found then
        return true;
    end if;

    if not exists (select from iclock.command c
                    where c.id = $1
                      and coalesce(c.device_id = any (devices), true))
    then
        raise no_data_found
            using message = format('there is no command with id %s',
                                   coalesce($1::text, 'NULL'));
    end if;
    return false;
end
$$;
comment on function iclock.cancel_command(bigint) is
    'Cancels a command that was not sent yet. False if it was';
grant execute on function iclock.cancel_command(bigint) to iclock_operator;


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
              using hint = 'reboot() has it start.';
        return null;
    end if;

    return iclock.queue_command($1, 'CHECK');
end
$$;
comment on function iclock.request_reupload(text, text) is
    'Has a device upload a table from the beginning: ATTLOG, OPERLOG, '
    'ATTPHOTO; of dialect 2.4 BIODATA, IDCARD, ERRORLOG, of 3.2 USERINFO, '
    'FINGERTMP, FACETMP, USERPIC, SMS, USER_SMS. NULL: no command does that '
    'there, the device will when it starts';
grant execute on function iclock.request_reupload(text, text)
    to iclock_operator;


-- For a command that waits: when it goes out, and before which others.
create or replace function iclock.schedule_command(
        id          bigint,
        not_before  timestamptz default null,
        expires_at  timestamptz default null,
        priority    integer     default null)
    returns boolean
    language plpgsql security definer
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    devices  constant bigint[] := iclock.visible_devices();
begin
    if expires_at <= greatest(not_before, now()) then
        perform iclock.wrong_argument('expires_at',
            'is past, or before "not_before"');
    end if;

    update iclock.command c
       set not_before = coalesce($2, c.not_before),
           expires_at = coalesce($3, c.expires_at),
           priority = coalesce($4, c.priority)
     where c.id = $1
       and coalesce(c.device_id = any (devices), true)
       and c.status = 'queued';

    if found then
        return true;
    end if;

    if not exists (select from iclock.command c
                    where c.id = $1
                      and coalesce(c.device_id = any (devices), true))
    then
        raise no_data_found
            using message = format('there is no command with id %s',
                                   coalesce($1::text, 'NULL'));
    end if;
    return false;
end
$$;
comment on function iclock.schedule_command is
    'Sets when a waiting command goes out, when it expires, and its priority. '
    'False if it no longer waits';
grant execute on function iclock.schedule_command to iclock_operator;


-- As it was before it had "command_bytes": two of them would be ambiguous.
drop function if exists iclock.set_device(
    text, text, text, text, text, cidr[], text, text, text, integer, integer,
    text, integer, text, boolean, boolean, boolean, text, text, text, text,
    integer);

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
        command_bytes     integer default null)
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
               command_bytes = coalesce($23, d.command_bytes)
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
    'Sets what is given of the configuration of a device and leaves the rest';
grant execute on function iclock.set_device to iclock_operator;

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
            'max_push_version', 'command_limit', 'command_bytes'])
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
    'Adds a device, or sets what is given of a known one; active unless said '
    'otherwise';
grant execute on function iclock.register_device to iclock_operator;


create or replace function iclock.delete_device(serial_number text)
    returns void
    language sql security definer
    set search_path = pg_catalog, iclock, pg_temp
as $$
    delete from iclock.device d where d.id = iclock.device_id($1)
$$;
comment on function iclock.delete_device is
    'Deletes a device that has no punches, with all that belongs to it';
grant execute on function iclock.delete_device to iclock_operator;
