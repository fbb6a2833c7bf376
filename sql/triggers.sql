-- Trigger functions.  The channels are part of the contract with the module:
--   iclock_command   serial number of a device that has something to fetch
--   iclock_device    serial number of a device whose row is to be read again
--   iclock_maintain  punches wait in the default partition for one of their own

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
    'Trigger: keeps devices that have punches, and the ids of all';

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
    return new;
end
$$;
comment on function iclock.device_dialect() is
    'Trigger: the dialect is what an operator has set, or what the device '
    'makes certain';

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

create or replace function iclock.punch_default_notify()
    returns trigger
    language plpgsql
    set search_path = pg_catalog, iclock, pg_temp
as $$
begin
    perform pg_notify('iclock_maintain', '');
    return null;
end
$$;
comment on function iclock.punch_default_notify() is
    'Trigger: NOTIFY iclock_maintain';

-- Terminals upload punches again that drop_before() has dropped.  Their months
-- have no partition, so that only this one has to look.
create or replace function iclock.punch_default_horizon()
    returns trigger
    language plpgsql security definer
    set search_path = pg_catalog, iclock, pg_temp
as $$
begin
    if exists (select
                 from iclock.punch_state s
                where new.local_time <@ any (s.dropped))
    then
        return null;
    end if;
    return new;
end
$$;
comment on function iclock.punch_default_horizon() is
    'Trigger: passes over punches of months that drop_before() has dropped';

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
          where d.id = new.device_id;
    end if;

    return new;
end
$$;
comment on function iclock.command_named() is
    'Trigger: notes what a command is about';

-- The indexes and the functions of the queue know by "finished_at" whether a
-- command has ended; whoever sets the status by hand need not.
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

-- What a device was told to keep or to delete, and has confirmed, is what it
-- holds: most firmware does not report it.  A copy that the fleet functions
-- sent must not set off further copies.
create or replace function iclock.command_applied()
    returns trigger
    language plpgsql security definer
    set search_path = pg_catalog, iclock, pg_temp
as $$
begin
    -- else answer_commands() does it for all that it has stored
    if current_setting('iclock.answering', true) is distinct from 'on' then
        perform iclock.apply_commands(array[new.id]);
    end if;
    return null;
end
$$;
comment on function iclock.command_applied() is
    'Trigger: notes what a device has confirmed to keep or to have deleted';

create or replace function iclock.command_verified()
    returns trigger
    language plpgsql security definer
    set search_path = pg_catalog, iclock, pg_temp
as $$
begin
    perform iclock.advance_check(new);
    return null;
end
$$;
comment on function iclock.command_verified() is
    'Trigger: takes a reconciliation one step further';

-- Enrol once, present everywhere: sends what a terminal has uploaded to the
-- other terminals of its site, if the site shares its people.
--
-- A terminal that was sent a copy may upload it again, shortened or completed in
-- its own way.  Such an echo goes no further; what would be sent to a terminal
-- that holds the same already is not sent either.  So nothing goes in circles.
create or replace function iclock.share_changes()
    returns trigger
    language plpgsql security definer
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    renamed  constant boolean := tg_table_name = 'device_user'
                                 and tg_op = 'UPDATE';
    devices  bigint[];
    pins     text[];
    echoes   boolean[];
begin
    if current_setting('iclock.applying', true) = 'on'
       or not exists (select from iclock.site s where s.share_people)
          and not exists (select from iclock.removed_person)
    then
        return null;
    end if;

    -- planned each time: by the number of rows that there are now
    execute format(
        'select array_agg(a.device_id order by a.device_id, a.pin), '
        '       array_agg(a.pin order by a.device_id, a.pin), '
        '       array_agg(s.share_people is distinct from true '
        '                 or iclock.is_echo(a.device_id, '
        '                        iclock.subject_of(row(a.*)::iclock.%1$I), '
        '                        %2$s) '
        '                 order by a.device_id, a.pin) '
        '  from after a '
        '  %3$s '
        '  join iclock.device d on d.id = a.device_id '
        '  left join iclock.site s on s.name = d.site '
        ' where d.site is not null and d.status = ''active'' '
        '   and (s.share_people '
        '        or exists (select from iclock.removed_person r '
        '                    where r.site = d.site and r.pin = a.pin)) '
        '   and %4$s',
        tg_table_name,
        case when renamed then
            'iclock.same_user(row(a.*)::iclock.device_user, '
            'row(b.*)::iclock.device_user, true)' else 'true' end,
        case when renamed then
            'join before b on b.device_id = a.device_id and b.pin = a.pin'
        else '' end,
        case when tg_table_name = 'photo' then
            'a.kind in (''user'', ''comparison'') and a.pin <> ''''' else 'true'
        end)
       into devices, pins, echoes;

    if devices is null then
        return null;
    end if;

    select array_agg(u.device_id order by u.ord),
           array_agg(u.pin order by u.ord)
      into devices, pins
      from unnest(devices, pins, echoes,
                  iclock.refuse_removed(devices, pins)) with ordinality
           as u (device_id, pin, echo, refused, ord)
     where not u.echo and not u.refused;

    if devices is not null then
        perform iclock.share_people(devices, pins);
    end if;
    return null;
end
$$;
comment on function iclock.share_changes() is
    'Trigger: sends what a terminal uploaded to the others of a site that '
    'shares its people';
