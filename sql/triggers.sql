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

create or replace function iclock.command_notify_update()
    returns trigger
    language plpgsql
    set search_path = pg_catalog, iclock, pg_temp
as $$
begin
    perform pg_notify('iclock_command', d.serial_number)
       from (select distinct a.device_id
               from after a
               join before b using (id)
              where a.status = 'queued'
                and (b.status <> 'queued'
                     or b.not_before is distinct from a.not_before
                     or b.device_id <> a.device_id)) as q
       join iclock.device d on d.id = q.device_id;
    return null;
end
$$;

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
