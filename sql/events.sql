-- The event feed: what happened, in the order in which readers can go through it
-- once and skip nothing.
--
-- Triggers write a narrow row for each event; the text is made when somebody
-- reads.  The place of an event is (xid, seq): the number of its transaction and
-- its own.  Transactions commit in another order than they begin, so only what is
-- older than all that still run is settled.  Who reads further sees events that
-- are not settled: others may still come before them.
--
-- Nothing is written, and no upload is slower, until enable_events().

-- The current snapshot in the numbers that events have: see rebase_events().  Until
-- that has been done in another cluster it shows what is in the dump, and is over
-- there: a place before that would have readers get all of it once more.
create or replace function iclock.event_snapshot()
    returns pg_snapshot
    language plpgsql stable
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    shown  constant pg_snapshot := pg_current_snapshot();
    state  iclock.event_state;
    base   bigint;
begin
    select s.* into state from iclock.event_state s;
    base := state.xid_base;

    if state.cluster <> iclock.cluster() then
        base := iclock.newest_event()::text::bigint + 1;
        return format('%s:%s:', base, base)::pg_snapshot;
    end if;

    if base = 0 then
        return shown;
    end if;

    return (select format('%s:%s:%s',
                          pg_snapshot_xmin(shown)::text::bigint + base,
                          pg_snapshot_xmax(shown)::text::bigint + base,
                          string_agg((x::text::bigint + base)::text, ','
                                     order by x))
              from pg_snapshot_xip(shown) as x)::pg_snapshot;
end
$$;
comment on function iclock.event_snapshot() is
    'The current snapshot, its transactions numbered as those of events';

create or replace function iclock.event_cursor_text(xid xid8, seq bigint)
    returns text
    -- no search_path, so that it can be inlined: called for every event
    language sql immutable
as $$
    select pg_catalog.lpad(pg_catalog.to_hex($1::text::bigint), 16, '0')
           || '_' || pg_catalog.lpad(pg_catalog.to_hex($2), 16, '0')
$$;
comment on function iclock.event_cursor_text(xid8, bigint) is
    'The place of an event, as text; behind "evt_" its identifier';


-- The parts of a cursor; '0' is before all.  What follows "@" is the snapshot of
-- somebody who has read ahead: events that it shows are known already.
create or replace function iclock.event_place(
        after         text,
        out xid       xid8,
        out seq       bigint,
        out snapshot  pg_snapshot)
    language plpgsql stable
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    parts    text[];
    rebased  bigint;
begin
    if after is null or after = '0' then
        xid := '0';
        seq := 0;
        return;
    end if;

    parts := regexp_match(after, '^(?:evt_)?([0-7][0-9a-f]{15})'
                                 '_([0-7][0-9a-f]{15})(?:@([0-9:,]{3,}))?$');

    if parts is null then
        raise invalid_parameter_value
            using message = 'not a cursor of the event feed';
    end if;

    xid := ('x' || parts[1])::bit(64)::bigint::text::xid8;
    seq := ('x' || parts[2])::bit(64)::bigint;

    select s.rebased_seq into rebased from iclock.event_state s;

    -- given out before a dump was restored
    if seq <= rebased and seq > 0 then
        xid := '3';
    else
        snapshot := parts[3];
    end if;
end
$$;
comment on function iclock.event_place(text) is
    'The parts of a cursor of the event feed, or an error';


-- Until where all is settled and there: a reader that has got everything goes on
-- from here, also when none of it was for him.  In the same statement as
-- read_events() it means the same events; OFFSET 0 has it called once:
--
--     select c.head, e.*
--       from (select iclock.event_cursor() as head offset 0) as c
--       left join iclock.read_events($1) as e on true
create or replace function iclock.event_cursor(look_ahead boolean default false)
    returns text
    language sql stable security definer
    set search_path = pg_catalog, iclock, pg_temp
    set jit = off
as $$
    select coalesce((select iclock.event_cursor_text(e.xid, e.seq)
                       from iclock.event e
                      where e.xid < (select pg_snapshot_xmin(
                                                iclock.event_snapshot()))
                      order by e.xid desc, e.seq desc
                      limit 1),
                    (select iclock.event_cursor_text(s.dropped_xid,
                                                     s.dropped_seq)
                       from iclock.event_state s))
           || case when $1 then '@' || iclock.event_snapshot()::text else '' end
$$;
comment on function iclock.event_cursor(boolean) is
    'The cursor of somebody who has read all that is settled, or, with '
    'look_ahead, all that can be seen';
grant execute on function iclock.event_cursor(boolean) to iclock_api;


create or replace function iclock.event_gone(after text)
    returns text
    language plpgsql stable security definer
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    place  record;
    state  iclock.event_state;
begin
    if after is null or after = '0' then
        return null;
    end if;

    select * into place from iclock.event_place(after);
    select s.* into state from iclock.event_state s;

    -- one of the future is from another cluster, and good if all events are
    if (place.xid, place.seq) >= (state.dropped_xid, state.dropped_seq)
       and (place.xid < pg_snapshot_xmax(iclock.event_snapshot())
            or iclock.events_restored())
    then
        return null;
    end if;

    return iclock.event_cursor_text(state.dropped_xid, state.dropped_seq);
end
$$;
comment on function iclock.event_gone(text) is
    'NULL if all events after this cursor are there, else the oldest cursor '
    'of which that can be said';
grant execute on function iclock.event_gone(text) to iclock_api;


create or replace function iclock.event_types(names text[])
    returns smallint[]
    language plpgsql stable
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    unknown  text;
begin
    select n into unknown
      from unnest(names) as n
     where not exists (select from iclock.event_type t where t.name = n)
     limit 1;

    if found then
        raise invalid_parameter_value
            using message = format('there are no events "%s"', unknown);
    end if;

    return (select array_agg(t.code order by t.code)
              from iclock.event_type t
             where t.name = any (names));
end
$$;
comment on function iclock.event_types(text[]) is
    'Codes of types of events, or an error; NULL for none';
grant execute on function iclock.event_types(text[]) to iclock_api;


-- Reads events.  The cursor of a row is its place; a reader keeps that of the
-- newest settled one.  mode is that of an API key: 'test' sees simulated devices
-- only, 'live' all others.
--
-- The primary key has the events in their order, and a page of them is read in
-- that: of a feed that grows the planner knows too little to see that this is
-- better than to read and sort all that waits, for each page anew.
create or replace function iclock.read_events(
        after       text,
        types       smallint[]  default null,
        sites       text[]      default null,
        devices     text[]      default null,
        mode        text        default null,
        max         integer     default 1000,
        look_ahead  boolean     default false)
    returns table (
        cursor    text,
        settled   boolean,
        event_id  text,
        type      text,
        site      text,
        device    text,
        sandbox   boolean,
        payload   text)
    language plpgsql stable security definer
    set search_path = pg_catalog, iclock, pg_temp
    set jit = off
    set enable_seqscan = off
    set enable_bitmapscan = off
    set enable_sort = off
as $$
#variable_conflict use_column
declare
    place      record;
    horizon    constant xid8 := pg_snapshot_xmin(iclock.event_snapshot());
    seen       bigint[];
    moved      bigint[];
    hidden     bigint[];
    general    constant boolean := sites is null and devices is null
                                   and mode is distinct from 'test';
    late       xid8[];
    begun_xid  xid8;
    begun_seq  bigint;
    picked     iclock.event[] := '{}';
begin
    if not coalesce(max between 1 and 100000, false) then
        raise invalid_parameter_value
            using message = 'max must be between 1 and 100000';
    end if;

    select * into place from iclock.event_place(after);

    if general then
        hidden := array(select d.id from iclock.device d
                         where mode = 'live' and d.sandbox);
    else
        seen := array(select d.id
                        from iclock.device d
                       where (sites is null or d.site = any (sites)
                              or exists (select
                                           from iclock.device_site m
                                          where m.device_id = d.id
                                            and m.site = any (sites)))
                         and (devices is null
                              or d.serial_number = any (devices))
                         and (mode is null or d.sandbox = (mode = 'test')));
    end if;

    -- of these each event is looked at: where did its device stand?
    if sites is not null then
        moved := array(select distinct m.device_id
                         from iclock.device_site m
                        where m.device_id = any (seen));
    end if;

    -- What a snapshot does not show is of transactions that ran then, or that
    -- began later.  The index finds both: what is known is not read again.
    late := array(select x
                    from pg_snapshot_xip(place.snapshot) as x
                   where x >= place.xid);

    if place.xid < pg_snapshot_xmax(place.snapshot) then
        begun_xid := pg_snapshot_xmax(place.snapshot);
        begun_seq := 0;
    else
        begun_xid := place.xid;
        begun_seq := place.seq;
    end if;

    -- These come before all others; they are few, and far between.  All of a
    -- snapshot are before its end: to say so here once more has an index of
    -- PostgreSQL 17 give what is not among them.
    if late <> '{}' then
        perform set_config('enable_sort', 'on', true);

        picked := array(
            select row(e.*)::iclock.event
              from iclock.event e
             where e.xid = any (late)
               and (e.xid, e.seq) > (place.xid, place.seq)
               and (look_ahead or e.xid < horizon)
               and (types is null or e.type = any (types))
               and iclock.event_meets(e, general, hidden, seen, moved, sites,
                                      devices, mode)
             order by e.xid, e.seq
             limit max);

        perform set_config('enable_sort', 'off', true);
    end if;

    picked := picked || array(
        select row(e.*)::iclock.event
          from iclock.event e
         where (e.xid, e.seq) > (begun_xid, begun_seq)
           and (look_ahead or e.xid < horizon)
           and (types is null or e.type = any (types))
           and iclock.event_meets(e, general, hidden, seen, moved, sites,
                                  devices, mode)
         order by e.xid, e.seq
         limit max - cardinality(picked));

    return query
    select iclock.event_cursor_text(p.xid, p.seq), p.xid < horizon,
           'evt_' || iclock.event_cursor_text(p.xid, p.seq), p.type, p.site,
           p.device, p.sandbox, p.payload
      from iclock.event_payloads(picked) as p
     order by p.xid, p.seq;
end
$$;
comment on function iclock.read_events(text, smallint[], text[], text[], text,
    integer, boolean) is
    'Events after a cursor (NULL or 0: all) of these types, sites and '
    'devices (NULL: all), in order, at most so many: settled ones, and with '
    'look_ahead also those that others may still come before';
grant execute on function iclock.read_events(text, smallint[], text[], text[],
    text, integer, boolean)
    to iclock_api;


-- switching

create or replace function iclock.event_triggers()
    returns table (relation regclass, name name, enabled boolean)
    language sql stable
    set search_path = pg_catalog, iclock, pg_temp
as $$
    select t.tgrelid::regclass, t.tgname, t.tgenabled <> 'D'
      from pg_trigger t
      join pg_class c on c.oid = t.tgrelid
     where c.relnamespace = 'iclock'::regnamespace
       and not c.relispartition
       and not t.tgisinternal
       and t.tgname ~ '_event(_insert|_update|_delete)?$'
     -- uploads take them about in this order
     order by c.relname <> 'punch', c.relname in ('device', 'command'),
              c.relname, t.tgname
$$;
comment on function iclock.event_triggers() is
    'The triggers that write events, in the order of their locks';


-- Whoever waits for these locks makes uploads wait: so it waits for less than
-- half a second in all.
create or replace function iclock.switch_events(
        wanted  boolean,
        gently  boolean default false)
    returns void
    language plpgsql
    set search_path = pg_catalog, iclock, pg_temp
    set lock_timeout = '400ms'
as $$
declare
    deadline  constant timestamptz := clock_timestamp()
                                      + interval '400 milliseconds';
    punches   boolean;
    change    record;
begin
    -- not two at a time
    perform pg_advisory_xact_lock(hashtext('iclock.events'));

    punches := exists (select from iclock.event_triggers() t
                        where t.name = 'punch_event');

    if wanted and not punches then
        create trigger punch_event
            after insert on iclock.punch
            referencing new table as added
            for each statement execute function iclock.punch_event();

    -- queries of punches have to end before, too
    elsif punches and not wanted and not gently then
        drop trigger punch_event on iclock.punch;
    end if;

    for change in
        select t.relation, t.name from iclock.event_triggers() t
         where t.enabled <> wanted
    loop
        perform set_config('lock_timeout', greatest(1, ceil(
            1000 * extract(epoch from deadline - clock_timestamp())))
            || 'ms', true);

        execute format('alter table only %s %s trigger %I', change.relation,
                       case when wanted then 'enable' else 'disable' end,
                       change.name);
    end loop;
end
$$;
comment on function iclock.switch_events(boolean, boolean) is
    'Enables or disables the triggers that write events, or fails within half '
    'a second; that of punches is made and dropped, unless it has to be done '
    'gently';


create or replace function iclock.events_enabled()
    returns boolean
    language sql stable security definer
    set search_path = pg_catalog, iclock, pg_temp
as $$
    select s.enabled from iclock.event_state s
$$;
comment on function iclock.events_enabled() is 'Whether events are written';
grant execute on function iclock.events_enabled() to iclock_api;


-- The channel iclock_events is part of the contract with the module, which wakes
-- readers only while there may be some.
create or replace function iclock.set_events(wanted boolean)
    returns void
    language plpgsql
    set search_path = pg_catalog, iclock, pg_temp
as $$
begin
    if (select s.enabled from iclock.event_state s) = wanted
       and not exists (select from iclock.event_triggers() t
                        where t.enabled <> wanted)
    then
        return;
    end if;

    for attempt in 1 .. 5 loop
        begin
            perform iclock.switch_events(wanted, attempt > 2);
            exit;
        exception when lock_not_available or deadlock_detected then
            if attempt = 5 then
                raise;
            end if;
            perform pg_sleep(0.2);
        end;
    end loop;

    update iclock.event_state s
       set enabled = wanted,
           enabled_at = case when wanted then now() end,
           watched_at = '-infinity';

    if wanted then
        perform iclock.add_event_days();

        -- who is silent now has been so before anybody listened
        delete from iclock.device_silence;
        insert into iclock.device_silence (device_id, since)
        select p.device_id, p.last_seen
          from iclock.device_presence p
          join iclock.device d on d.id = p.device_id
         where p.last_seen < now() - iclock.silence_after(d.delay,
                                                          d.told_delay)
           and d.status = 'active';
    end if;

    perform pg_notify('iclock_events', case when wanted then 'on'
                                            else 'off' end);
end
$$;
comment on function iclock.set_events(boolean) is
    'Has events written or not, and tells nginx';

create or replace function iclock.enable_events()
    returns void
    language sql security definer
    set search_path = pg_catalog, iclock, pg_temp
as $$
    select iclock.set_events(true)
$$;
comment on function iclock.enable_events() is
    'Has events written from now on: punches, people, devices, commands. '
    'Waits for nobody longer than about three seconds';

create or replace function iclock.disable_events()
    returns void
    language sql security definer
    set search_path = pg_catalog, iclock, pg_temp
as $$
    select iclock.set_events(false)
$$;
comment on function iclock.disable_events() is
    'Has no events written any more; those that are there stay';


-- writing

-- What nginx has stored it announces after the commit, in a transaction of its
-- own: a NOTIFY within would make all commits of the cluster wait for each other.
create or replace function iclock.wake_readers()
    returns void
    language plpgsql
    set search_path = pg_catalog, pg_temp
as $$
begin
    if current_setting('application_name') !~ '^iclock/[0-9]+$' then
        perform pg_notify('iclock_event', '');
    end if;
end
$$;
comment on function iclock.wake_readers() is
    'Announces events, unless nginx does it, having stored them';


-- data is the value of the member that bears the first word of the type.
create or replace function iclock.event_write(
        type       text,
        device_id  bigint  default null,
        data       json    default null)
    returns text
    language plpgsql security definer
    set search_path = pg_catalog, iclock, pg_temp
as $$
#variable_conflict use_column
declare
    code     smallint;
    written  record;
begin
    select t.code into code from iclock.event_type t where t.name = $1;

    if code is null then
        raise invalid_parameter_value
            using message = format('there are no events "%s"', $1);
    end if;

    if not iclock.events_enabled() then
        return null;
    end if;

    insert into iclock.event as e (type, device_id, data)
    values (code, $2, $3)
    returning e.xid, e.seq into written;

    perform pg_notify('iclock_event', '');
    return 'evt_' || iclock.event_cursor_text(written.xid, written.seq);
end
$$;
comment on function iclock.event_write(text, bigint, json) is
    'Writes an event and announces it; data is an object that stands in the '
    'payload under the first word of the type. Returns its identifier; NULL, '
    'and writes nothing, while events are disabled';


create or replace function iclock.punch_event()
    returns trigger
    language plpgsql security definer
    set search_path = pg_catalog, iclock, pg_temp
as $$
begin
    insert into iclock.event (type, device_id, local_time, pin, status, verify)
    select 1, a.device_id, a.local_time, a.pin, a.status, a.verify
      from added a;

    if found then
        perform iclock.wake_readers();
    end if;
    return null;
end
$$;
comment on function iclock.punch_event() is
    'Trigger: attendance.punch for each punch that was stored';


create or replace function iclock.photo_event()
    returns trigger
    language plpgsql security definer
    set search_path = pg_catalog, iclock, pg_temp
as $$
begin
    insert into iclock.event (type, device_id, local_time, pin, data)
    select 2, a.device_id, a.taken_at, nullif(a.pin, ''),
           ('{"file_name":' || to_json(a.file_name) || '}')::json
      from added a
     where a.kind = 'attendance';

    if found then
        perform iclock.wake_readers();
    end if;
    return null;
end
$$;
comment on function iclock.photo_event() is
    'Trigger: attendance.photo for each attendance photo that was stored';


create or replace function iclock.device_event()
    returns trigger
    language plpgsql security definer
    set search_path = pg_catalog, iclock, pg_temp
as $$
begin
    if tg_op = 'DELETE' and old.sandbox then
        -- Without the row nobody would know that these are simulated: live
        -- readers who come later would get them.  Who reads the sandbox sees
        -- nothing of a device that is gone, but this.
        delete from iclock.event e
         where e.device_id = old.id
           and e.created_at >= coalesce(old.first_seen, '-infinity');

        insert into iclock.event (type, device_id, status, data)
        values (8, old.id, 1, iclock.device_json(old)::json);

        perform pg_notify('iclock_event', '');
        return null;

    elsif tg_op = 'DELETE' then
        perform iclock.event_write('device.removed', old.id,
                                   iclock.device_json(old)::json);
        return null;
    end if;

    perform iclock.event_write(case
                               when new.removed_at is not null then
                                   'device.removed'
                               else case new.status
                                   when 'pending' then 'device.pending'
                                   when 'blocked' then 'device.blocked'
                                   else 'device.approved' end end, new.id);
    return null;
end
$$;
comment on function iclock.device_event() is
    'Trigger: device.pending, device.approved, device.blocked, device.removed';


create or replace function iclock.user_event()
    returns trigger
    language plpgsql security definer
    set search_path = pg_catalog, iclock, pg_temp
as $$
begin
    if tg_op = 'INSERT' then
        insert into iclock.event (type, device_id, pin)
        select 9, a.device_id, a.pin from after a;

    elsif tg_op = 'UPDATE' then
        insert into iclock.event (type, device_id, pin)
        select 10, a.device_id, a.pin
          from after a
          join before b on b.device_id = a.device_id and b.pin = a.pin
         where (a.name, a.privilege, a.password, a.card, a.access_group,
                a.time_zone, a.verify, a.vice_card, a.starts_at, a.ends_at)
               is distinct from
               (b.name, b.privilege, b.password, b.card, b.access_group,
                b.time_zone, b.verify, b.vice_card, b.starts_at, b.ends_at);

    else
        -- not with the whole device
        insert into iclock.event (type, device_id, pin, data)
        select 11, b.device_id, b.pin,
               ('{"id":' || to_json(b.pin) || ',"name":'
                || coalesce(to_json(nullif(b.name, ''))::text, 'null')
                || '}')::json
          from before b
          join iclock.device d on d.id = b.device_id;
    end if;

    if found then
        perform iclock.wake_readers();
    end if;
    return null;
end
$$;
comment on function iclock.user_event() is
    'Trigger: user.enrolled, user.updated, user.deleted';


-- A face comes in several parts; minutiae are no part of an event.
create or replace function iclock.template_event()
    returns trigger
    language plpgsql security definer
    set search_path = pg_catalog, iclock, pg_temp
as $$
begin
    if tg_op = 'INSERT' then
        insert into iclock.event (type, device_id, pin, status, verify)
        select distinct 12, a.device_id, a.pin, a.type, a.no from after a;
    else
        insert into iclock.event (type, device_id, pin, status, verify)
        select distinct 12, a.device_id, a.pin, a.type, a.no
          from after a
          join before b on b.device_id = a.device_id and b.pin = a.pin
                       and b.type = a.type and b.no = a.no
                       and b.index = a.index
                       and b.major_version = a.major_version
         where a.data is distinct from b.data;
    end if;

    if found then
        perform iclock.wake_readers();
    end if;
    return null;
end
$$;
comment on function iclock.template_event() is
    'Trigger: template.enrolled';


create or replace function iclock.command_event()
    returns trigger
    language plpgsql security definer
    set search_path = pg_catalog, iclock, pg_temp
as $$
begin
    insert into iclock.event (type, device_id, data)
    select 13, a.device_id,
           ('{"id":' || a.id || ',"status":' || to_json(a.status)
            || ',"return_code":' || coalesce(a.return_code::text, 'null')
            || ',"summary":' || to_json(iclock.command_summary(a.body))
            || '}')::json
      from after a
      join before b on b.id = a.id
      join iclock.device d on d.id = a.device_id
     where a.status in ('done', 'failed', 'expired', 'cancelled')
       and b.status <> a.status
     order by a.id;

    if found then
        perform iclock.wake_readers();
    end if;
    return null;
end
$$;
comment on function iclock.command_event() is
    'Trigger: command.finished';
