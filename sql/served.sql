-- Requests that the module answers with what the database says.  Two of the
-- functions belong to the site: install.sql creates them when they are missing,
-- and leaves them as they are in an upgrade.

-- Lines that a terminal takes for a user it does not know: the newest record of
-- the other terminals of its site, else its own.  What other sites hold, keys
-- and fingerprints among it, is not for it; nor who was removed from the site,
-- nor whom another terminal has yet to delete, or has not deleted.  People of simulated terminals
-- are others than those of the rest.
create or replace function iclock.remote_attendance(
        device_id  bigint,
        pin        text)
    returns text
    language plpgsql stable security definer
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    asking     iclock.device;
    known      iclock.device_user;
    holders    bigint[];
    leaving    bigint[];
    untils     timestamptz[];
    lines      text;
    dialect    text;
    -- without a limit nothing is said of it
    starts_at  timestamp;
    ends_at    timestamp;
begin
    select d.* into asking from iclock.device d where d.id = $1;

    select array_agg(d.id) into holders
      from iclock.device d
      join iclock.device_user u on u.device_id = d.id and u.pin = $2
     where d.status = 'active'
       and (d.id = $1
            or d.site = asking.site and d.sandbox = asking.sandbox)
       and (asking.sandbox
            or not exists (select from iclock.removed_person r
                            where r.site = asking.site and r.pin = $2));

    select array_agg(l.device_id), array_agg(l.until) into leaving, untils
      from iclock.people_leaving(holders, $2) as l;

    select u.* into known
      from iclock.device d
      join iclock.device_user u on u.device_id = d.id and u.pin = $2
     where d.id = any (holders)
       and not iclock.is_former(d.id, iclock.subject_of(u), u.updated_at,
                                leaving, untils)
     order by u.device_id = $1, u.updated_at desc, d.id
     limit 1;

    if not found then
        return 'NONE';
    end if;

    select d.dialect into dialect
      from iclock.device d
     where d.id = known.device_id;

    starts_at := nullif(known.starts_at, '-infinity');
    ends_at := nullif(known.ends_at, 'infinity');

    lines := 'DATA UPDATE USERINFO ' || iclock.fields(
        'PIN',    iclock.harmless(known.pin),
        'Name',   iclock.harmless(known.name),
        'Passwd', iclock.harmless(known.password),
        'Card',   iclock.harmless(known.card),
        'Grp',    coalesce(nullif(known.access_group, -1), 1)::text,
        'TZ',     iclock.user_time_zone(known.time_zone, dialect,
                                        asking.dialect),
        'Pri',    coalesce(nullif(known.privilege, -1), 0)::text,
        'StartDatetime', iclock.user_limit(starts_at, ends_at),
        'EndDatetime',   iclock.user_limit(ends_at, starts_at));

    return lines || coalesce(
        (select string_agg(E'\n' || iclock.template_record(
                    asking.dialect, 'FP', iclock.harmless(t.pin), 1,
                    greatest(t.no, 0), 0, 0, 0, 0,
                    case when t.valid < 0 then 1 when t.duress = 1 then 3
                         else t.valid end,
                    0, translate(encode(t.data, 'base64'), E'\n', '')),
                    '' order by t.no)
           from iclock.template t
          where t.device_id = known.device_id and t.pin = known.pin
            and t.type = 1
            and t.major_version in (9, 10)
            and not iclock.is_former(t.device_id, iclock.subject_of(t),
                                     t.updated_at, leaving, untils)
            and iclock.unusable(t, asking) is null), '');
end
$$;
comment on function iclock.remote_attendance(bigint, text) is
    'For nginx: what a terminal gets that asks for a user it does not know: '
    'the record and fingerprints that another terminal of its site holds; '
    'NONE: unknown there';
grant execute on function iclock.remote_attendance(bigint, text)
    to iclock_module;

-- The user's last punch of a year, at the device or at its site: a day first,
-- because mostly it is in that, then the week, the month, and month by month.
-- The primary key gives a span of each device, of all users.  EXECUTE plans for
-- the month at hand, which has one partition, and not for all that there are.
create or replace function iclock.last_punch(
        device_id  bigint,
        pin        text)
    returns text
    language plpgsql security definer
    set search_path = pg_catalog, iclock, pg_temp
    set enable_bitmapscan = off
    set jit = off
as $$
declare
    devices  bigint[];
    until    timestamp := localtimestamp + interval '2 days';
    first    constant timestamp := date_trunc('month', localtimestamp);
    since    timestamp;
    last     record;
begin
    -- what follows sees punches that were just moved, which is why this function
    -- is volatile, see lock_punch()
    lock table only iclock.punch in access share mode;

    select array_agg(d.id) into devices
      from iclock.device asking
      join iclock.device d
        on d.id = asking.id
        or d.site = asking.site and d.sandbox = asking.sandbox
     where asking.id = $1;

    for span in -2 .. 12 loop
        since := case span
                 when -2 then localtimestamp - interval '1 day'
                 when -1 then localtimestamp - interval '7 days'
                 else first - span * interval '1 month' end;

        -- a month has just begun
        continue when since >= until;

        execute $query$
            select p.device_id, p.local_time, p.status, p.work_code
              from iclock.punch p
             where p.device_id = any ($1)
               and p.pin = $2
               and p.local_time >= $3
               and p.local_time < $4
               -- not an identity card that its holder failed with
               and (p.record_type <> 1 or p.status = 0)
             order by p.local_time desc
             limit 1
            $query$
           into last
          using devices, $2, since, until;

        exit when last.local_time is not null;

        until := since;
    end loop;

    if last.local_time is null then
        return 'status=1';
    end if;

    return E'status=0\n' || iclock.fields(
        'name', iclock.harmless((
            select u.name
              from iclock.device_user u
             where u.pin = $2
               and u.device_id in (last.device_id, $1)
             order by u.device_id = $1 desc
             limit 1)),
        'pin', iclock.harmless($2),
        'state', last.status::text,
        'workcode', iclock.harmless(last.work_code),
        'date', to_char(last.local_time, 'YYYY-MM-DD'),
        'time', to_char(last.local_time, 'HH24:MI:SS'));
end
$$;
comment on function iclock.last_punch(bigint, text) is
    'For nginx: what a terminal gets that asks for a user''s last punch; '
    'status=1: none in a year at its site';
grant execute on function iclock.last_punch(bigint, text) to iclock_module;

-- Where the file of an UPGRADE is, if the device was told to fetch it and has
-- not answered yet; else NULL.
create or replace function iclock.upgrade_file(
        device_id     bigint,
        url           text,
        out path      text,
        out encoding  text)
    language sql stable security definer
    set search_path = pg_catalog, iclock, pg_temp
as $$
    select u.path, u.encoding
      from (select) as always
      left join lateral
           (select g.path, g.encoding
              from iclock.command c
              join iclock.upgrade g on g.command_id = c.id
             where c.device_id = $1
               and c.status in ('queued', 'sent')
               and g.url = $2
               and (c.expires_at is null or c.expires_at > now())
             order by c.id desc
             limit 1) as u on true
$$;
comment on function iclock.upgrade_file(bigint, text) is
    'For nginx: file, and its encoding, that a device may fetch because of an '
    'UPGRADE command it has not answered; NULL: none';
grant execute on function iclock.upgrade_file(bigint, text) to iclock_module;

-- The reply to a self service request.  Style 0: Text as it is, 1: lines of
-- values separated by commas, 2: a menu ID=1&CMD=Title;ID=2&CMD=Title.
create or replace function iclock.self_service_reply(
        service_number  text,
        pin             text,
        style           integer,
        content         text)
    returns text
    language sql immutable
    set search_path = pg_catalog, iclock, pg_temp
as $$
    select 'DATA UPDATE SELFSERVICEDATA ' || iclock.fields(
        'ServiceNum', iclock.harmless(service_number),
        'PIN',        iclock.harmless(pin),
        'Style',      iclock.number('style', style, 0, 2),
        'Data',       translate(encode(convert_to(content, 'UTF8'), 'base64'),
                                E'\n', ''))
$$;
comment on function iclock.self_service_reply(text, text, integer, text) is
    'Reply to a self service request: style 0 text, 1 lines of values, 2 a '
    'menu as ID=1&CMD=Title;ID=2&CMD=Title';

do $install$
begin
    if to_regprocedure('iclock.self_service(text, text, text)') is null then
        create function iclock.self_service(
                serial_number   text,
                pin             text,
                service_number  text)
            returns text
            language sql stable security definer
            set search_path = pg_catalog, iclock, pg_temp
        as $$
            -- 0 begins the dialogue
            select case
            when service_number = '0' then
                iclock.self_service_reply(service_number, pin, 2,
                    'ID=1&CMD=Punches')
            else
                iclock.self_service_reply(service_number, pin, 1, coalesce(
                    (select string_agg(to_char(p.local_time,
                                               'YYYY-MM-DD HH24:MI:SS')
                                       || ',' || p.status, E'\r\n'
                                       order by p.local_time desc)
                       from (select l.local_time, l.status
                               from iclock.punch l
                               join iclock.device d on d.id = l.device_id
                              where d.serial_number = $1
                                and l.pin = $2
                                and l.local_time > localtimestamp
                                                   - interval '7 days'
                                and l.local_time < localtimestamp
                                                   + interval '2 days'
                              order by l.local_time desc
                              limit 10) as p), ''))
            end
        $$;
    end if;

    if to_regprocedure('iclock.verify_decision(text, bytea)') is null then
        create function iclock.verify_decision(
                serial_number  text,
                data           bytea)
            returns text
            language sql stable
            set search_path = pg_catalog, pg_temp
        as $$
            select 'OK'::text
        $$;
    end if;
end
$install$;

comment on function iclock.self_service(text, text, text) is
    'For nginx, and for the site to replace: reply to a self service request. '
    'Upgrades leave it as it is';
grant execute on function iclock.self_service(text, text, text)
    to iclock_module;

comment on function iclock.verify_decision(text, bytea) is
    'For nginx, and for the site to replace: reply to PostVerifyData, OK or '
    'why not. Upgrades leave it as it is';
grant execute on function iclock.verify_decision(text, bytea) to iclock_module;
