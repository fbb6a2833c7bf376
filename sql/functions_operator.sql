-- What people and HR systems call.  The functions are SECURITY DEFINER, because
-- iclock_operator has no right to write any table.  Those of the commands return
-- the id of the command that they queued.

-- Who calls: within a SECURITY DEFINER function current_user is the owner.
create or replace function iclock.calling_role()
    returns name
    language sql stable
    set search_path = pg_catalog, pg_temp
as $$
    select case current_setting('role')
           when 'none' then session_user
           else current_setting('role')::name end
$$;

create or replace function iclock.device_id(serial_number text)
    returns bigint
    language plpgsql stable
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    found_id  bigint;
begin
    select d.id into found_id
      from iclock.device d
     where d.serial_number = $1;

    if found_id is null then
        raise no_data_found
            using message = format('there is no device with serial number %s',
                                   coalesce('"' || $1 || '"', 'NULL'));
    end if;
    return found_id;
end
$$;

-- The value of one field of a command, or an error that names the argument.
create or replace function iclock.field(argument text, value text,
                                        pattern text default null,
                                        max_bytes integer default 1000)
    returns text
    language plpgsql immutable
    set search_path = pg_catalog, iclock, pg_temp
as $$
begin
    if value is null then
        raise null_value_not_allowed
            using message = format('argument "%s" must not be NULL', argument);
    end if;

    if not iclock.is_line_text(value, max_bytes) then
        raise invalid_parameter_value
            using message = format('argument "%s" is longer than %s bytes or '
                                   'contains a TAB, an end of line or another '
                                   'control character', argument, max_bytes);
    end if;

    if value !~ pattern then
        raise invalid_parameter_value
            using message = format('argument "%s" does not match %s',
                                   argument, pattern);
    end if;

    return value;
end
$$;


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

    if body ~ '[\r\n]' then
        raise invalid_parameter_value
            using message = 'argument "body" contains an end of line',
                  hint = 'A command is one line; its fields are separated by '
                         'TAB.';
    end if;

    if body ~* '^\s*SHELL\M'
       and not pg_has_role(iclock.calling_role(), 'iclock_shell', 'member')
    then
        raise insufficient_privilege
            using message = 'SHELL commands are for members of role '
                            'iclock_shell';
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


create or replace function iclock.cancel_command(id bigint)
    returns boolean
    language plpgsql security definer
    set search_path = pg_catalog, iclock, pg_temp
as $$
begin
    -- one that was sent is at least not sent again
    update iclock.command c
       set status = 'cancelled', finished_at = now()
     where c.id = $1
       and c.status in ('queued', 'sent');

    if found then
        return true;
    end if;

    if not exists (select from iclock.command c where c.id = $1) then
        raise no_data_found
            using message = format('there is no command with id %s',
                                   coalesce($1::text, 'NULL'));
    end if;
    return false;
end
$$;


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


create or replace function iclock.request_reupload(
        serial_number  text,
        table_name     text)
    returns bigint
    language plpgsql security definer
    set search_path = pg_catalog, iclock, pg_temp
as $$
begin
    insert into iclock.upload_stamp as s (device_id, table_name, stamp)
    values (iclock.device_id($1),
            upper(iclock.field('table_name', $2, '^[A-Za-z0-9_]+$', 100)), '0')
    on conflict on constraint upload_stamp_pkey do update
    set stamp = excluded.stamp, updated_at = now();

    -- makes the device read its stamps
    return iclock.queue_command($1, 'CHECK');
end
$$;


create or replace function iclock.reboot(serial_number text)
    returns bigint
    language sql security definer
    set search_path = pg_catalog, iclock, pg_temp
as $$
    select iclock.queue_command($1, 'REBOOT')
$$;


create or replace function iclock.set_option(
        serial_number  text,
        name           text,
        value          text)
    returns bigint
    language plpgsql security definer
    set search_path = pg_catalog, iclock, pg_temp
as $$
begin
    if value like '%,%' then
        raise invalid_parameter_value
            using message = 'argument "value" contains a comma',
                  hint = 'Devices take a comma for the end of the option.';
    end if;

    return iclock.queue_command($1,
        'SET OPTION '
        || iclock.field('name', $2, '^~?[A-Za-z][A-Za-z0-9_]*$', 100)
        || '=' || iclock.field('value', $3));
end
$$;


create or replace function iclock.query_attendance(
        serial_number  text,
        starts         timestamp,
        ends           timestamp)
    returns bigint
    language plpgsql security definer
    set search_path = pg_catalog, iclock, pg_temp
as $$
begin
    if not (isfinite(starts) and isfinite(ends) and starts <= ends) then
        raise invalid_parameter_value
            using message = 'argument "ends" is before "starts", or one of '
                            'them is infinite';
    end if;

    return iclock.queue_command($1,
        format(E'DATA QUERY ATTLOG StartTime=%s\tEndTime=%s',
               iclock.field('starts', to_char($2, 'YYYY-MM-DD HH24:MI:SS')),
               iclock.field('ends', to_char($3, 'YYYY-MM-DD HH24:MI:SS'))));
end
$$;


-- Devices wipe the fields that a record leaves out, so the record is always
-- complete: an argument that is not given is taken from what the device has
-- reported of the user.
create or replace function iclock.put_user(
        serial_number  text,
        pin            text,
        name           text    default null,
        privilege      integer default null,
        password       text    default null,
        card           text    default null,
        access_group   integer default null,
        time_zone      text    default null,
        verify         integer default null,
        vice_card      text    default null)
    returns bigint
    language plpgsql security definer
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    device   iclock.device;
    known    iclock.device_user;
    body     text;
begin
    select d.* into device
      from iclock.device d
     where d.id = iclock.device_id($1);

    select u.* into known
      from iclock.device_user u
     where u.device_id = device.id and u.pin = $2;

    -- -1 in a stored record: the device did not say
    body := 'DATA UPDATE USERINFO PIN=' || iclock.field('pin', $2, '^\S+$', 100)
        || E'\tName='   || iclock.field('name', coalesce($3, known.name, ''))
        || E'\tPri='    || coalesce($4, nullif(known.privilege, -1), 0)
        || E'\tPasswd=' || iclock.field('password',
                                        coalesce($5, known.password, ''))
        || E'\tCard='   || iclock.field('card', coalesce($6, known.card, ''))
        || E'\tGrp='    || coalesce($7, nullif(known.access_group, -1), 1)
        || E'\tTZ='     || iclock.field('time_zone',
                               coalesce($8, nullif(known.time_zone, ''),
                                        '0000000000000000'));

    body := body || case device.dialect
        when '3.2' then
            E'\tVerifyMode=' || coalesce($9, known.verify, -1)
        else
            E'\tVerify=' || coalesce($9, known.verify, -1)
            || E'\tViceCard=' || iclock.field('vice_card',
                                     coalesce($10, known.vice_card, ''))
        end;

    return iclock.queue_command($1, body);
end
$$;


create or replace function iclock.delete_user(
        serial_number  text,
        pin            text)
    returns bigint
    language sql security definer
    set search_path = pg_catalog, iclock, pg_temp
as $$
    select iclock.queue_command($1,
        'DATA DELETE USERINFO PIN=' || iclock.field('pin', $2, '^\S+$', 100))
$$;
