-- How commands get into the queue: what people and HR systems call, and what
-- becomes of a row.  The functions are SECURITY DEFINER, because iclock_operator
-- has no right to write any table.

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

create or replace function iclock.command_named()
    returns trigger
    language plpgsql
    set search_path = pg_catalog, iclock, pg_temp
as $$
begin
    new.subject := iclock.command_subject(new.body);
    new.deletes := iclock.is_deletion(new.body);

    -- whoever is put on a terminal or enrolled anew is removed no longer
    if not new.deletes and not new.copied
       and starts_with(new.subject, E'user\t')
       and exists (select
                     from iclock.removed_person r
                    where r.pin = split_part(new.subject, E'\t', 2))
       and new.subject ~ E'^user\t[^\t]+(\tenrolment\t.*)?$'
    then
        perform iclock.readmit(d.site, split_part(new.subject, E'\t', 2))
           from iclock.device d
          where d.id = new.device_id
            and not d.sandbox;
    end if;

    return new;
end
$$;
comment on function iclock.command_named() is
    'Trigger: notes what a command is about';

-- The indexes and the functions of the queue know by "finished_at" whether a
-- command has ended; this sets it for those who set the status by hand.
create or replace function iclock.command_ended()
    returns trigger
    language plpgsql
    set search_path = pg_catalog, iclock, pg_temp
as $$
begin
    if new.status not in ('queued', 'sent') then
        new.finished_at := coalesce(new.finished_at, now());
        return new;
    end if;

    if new.cleared_at is not null then
        raise object_not_in_prerequisite_state
            using message = format('command %s cannot be sent again: what it '
                                   'said has been cleared', new.id),
                  hint = 'Queue a new one.';
    end if;

    -- as if it had never ended: its answer is to count
    new.finished_at := null;
    new.return_code := null;
    new.reply := null;
    new.reason := null;

    if new.status = 'sent' then
        new.sent_at := coalesce(new.sent_at, now());
    end if;

    return new;
end
$$;
comment on function iclock.command_ended() is
    'Trigger: keeps finished_at in step with status, whoever sets it';

-- The channel iclock_command is part of the contract with the module: the serial
-- number of a device that has something to fetch.
create or replace function iclock.command_notify_insert()
    returns trigger
    language plpgsql
    set search_path = pg_catalog, iclock, pg_temp
as $$
begin
    perform pg_notify('iclock_command', d.serial_number)
       from (select distinct q.device_id from queued q
              where q.status = 'queued') as q
       join iclock.device d on d.id = q.device_id;
    return null;
end
$$;
comment on function iclock.command_notify_insert() is
    'Trigger: NOTIFY iclock_command with the serial numbers of devices that '
    'got commands';

create or replace function iclock.command_notify_update()
    returns trigger
    language plpgsql
    set search_path = pg_catalog, iclock, pg_temp
as $$
begin
    -- no join: its plan would be kept from when two rows were changed
    perform pg_notify('iclock_command', d.serial_number)
       from (select distinct w.device_id
               from (select a.id, a.device_id, a.not_before
                       from after a
                      where a.status = 'queued'
                     except
                     select b.id, b.device_id, b.not_before
                       from before b
                      where b.status = 'queued') as w) as q
       join iclock.device d on d.id = q.device_id;
    return null;
end
$$;
comment on function iclock.command_notify_update() is
    'Trigger: NOTIFY iclock_command with the serial numbers of devices whose '
    'commands were queued again or put off';
