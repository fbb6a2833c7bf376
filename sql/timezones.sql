-- The time zones of devices' clocks.

-- The zone of a device's clock.
create or replace function iclock.zone_of(d iclock.device)
    returns text
    language sql stable
    set search_path = pg_catalog, iclock, pg_temp
as $$
    select coalesce(d.timezone, d.default_timezone, 'UTC')
$$;
comment on function iclock.zone_of(iclock.device) is
    'Time zone of the clock of a device: its own, or that of the nginx '
    'location it last shook hands at, or UTC';

-- For nginx, as often as it likes: makes devices shake hands whose zone has
-- another offset than their last handshake sent, since it has changed to or
-- from daylight saving or an operator has changed the zone.  Only a CHECK of
-- dialect 2.4 does that (PUSH 12.3.1); clocks of dialect 3.2 fetch the time
-- with its offset by themselves (SDK 2.3).  It notes the offset at once, so
-- that it asks for nothing twice.  At most so many devices at a time; returns
-- their number.
create or replace function iclock.refresh_timezones(
        max_devices  integer default 5000)
    returns integer
    language plpgsql security definer
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    told     record;
    minutes  integer;
    changed  integer;
    asked    integer := 0;
begin
    -- of several nginx one is enough
    if not pg_try_advisory_xact_lock(hashtext('iclock.refresh_timezones')) then
        return 0;
    end if;

    for told in
        -- the few different pairs, each by one step into the index
        with recursive pair (zone, told_offset) as (
            (select coalesce(d.timezone, d.default_timezone), d.told_offset
               from iclock.device d
              where d.status = 'active' and d.told_offset is not null
                and coalesce(d.timezone, d.default_timezone) is not null
              order by 1, 2
              limit 1)
            union all
            select n.*
              from pair
             cross join lateral (
                 select coalesce(d.timezone, d.default_timezone), d.told_offset
                   from iclock.device d
                  where d.status = 'active' and d.told_offset is not null
                    and (coalesce(d.timezone, d.default_timezone),
                         d.told_offset) > (pair.zone, pair.told_offset)
                  order by 1, 2
                  limit 1) as n)
        select * from pair
    loop
        minutes := extract(epoch from timezone(told.zone, now())
                                      - timezone('UTC', now())) / 60;

        continue when minutes = told.told_offset;

        with due as (
            update iclock.device d
               set told_offset = minutes
             where d.id in (select o.id
                              from iclock.device o
                             where o.status = 'active'
                               and o.told_offset = told.told_offset
                               and coalesce(o.timezone, o.default_timezone)
                                   = told.zone
                             limit max_devices - asked
                               for no key update skip locked)
            returning d.id, d.dialect, d.send_timezone
        ), queued as (
            insert into iclock.command (device_id, body)
            select due.id, 'CHECK'
              from due
             where due.dialect = '2.4'
               and coalesce(due.send_timezone, true)
               and not exists (select from iclock.command c
                                where c.device_id = due.id
                                  and c.status = 'queued'
                                  and c.body = 'CHECK')
             order by due.id
        )
        select count(*) into changed from due;

        asked := asked + changed;
        exit when asked >= max_devices;
    end loop;

    return asked;
end
$$;
comment on function iclock.refresh_timezones(integer) is
    'For nginx: makes active devices shake hands (CHECK) whose time zone '
    'has another offset than their last handshake sent; their number';
grant execute on function iclock.refresh_timezones(integer) to iclock_module;
