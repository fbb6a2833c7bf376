-- What readers get of an event.

-- What PostgreSQL and JSON.stringify() write alike.
create or replace function iclock.json_text(value text)
    returns text
    -- no search_path, so that it can be inlined: called for every event
    language sql stable
as $$
    select coalesce(pg_catalog.to_json($1)::text, 'null')
$$;
comment on function iclock.json_text(text) is 'A text in JSON';

create or replace function iclock.json_number(value numeric)
    returns text
    -- no search_path, so that it can be inlined: called for every event
    language sql immutable
as $$
    select case when $1 between -999999 and 999999
                then pg_catalog.trim_scale(pg_catalog.round($1, 2))::text
                else 'null' end
$$;
comment on function iclock.json_number(numeric) is
    'A number in JSON as programs would write it; null if it is none';

create or replace function iclock.json_moment(moment timestamptz, format text)
    returns text
    -- no search_path, so that it can be inlined: called for every event
    language sql stable
as $$
    select case when pg_catalog.isfinite($1)
                then '"' || pg_catalog.to_char($1 at time zone 'UTC', $2) || '"'
                else 'null' end
$$;
comment on function iclock.json_moment(timestamptz, text) is
    'A time in JSON, as UTC';


create or replace function iclock.device_json(device iclock.device)
    returns text
    language sql stable
    set search_path = pg_catalog, iclock, pg_temp
as $$
    select '{"id":' || iclock.json_text($1.serial_number)
           || ',"name":' || iclock.json_text(nullif($1.name, ''))
           || ',"location":' || iclock.json_text($1.location)
           || ',"site":' || iclock.json_text($1.site)
           || ',"timezone":'
           || iclock.json_text(coalesce($1.timezone, $1.default_timezone))
           || '}'
$$;
comment on function iclock.device_json(iclock.device) is
    'The device in an event';


-- The names of programs for types of templates.
create or replace function iclock.template_kind(type integer)
    returns text
    language sql immutable
as $$
    select case when $1 = 1 then 'fingerprint' when $1 in (2, 9) then 'face'
                when $1 in (6, 8, 10) then 'palm' when $1 = 7 then 'vein'
                else 'other' end
$$;
comment on function iclock.template_kind(integer) is
    'fingerprint, face, palm, vein, other: kind of a template';


-- What happened on a terminal that was moved later stays with the site where it
-- stood then, by its clock.
create or replace function iclock.event_site(event iclock.event)
    returns text
    language sql stable
    set search_path = pg_catalog, iclock, pg_temp
as $$
    select coalesce(m.site, case when m.device_id is null then d.site end)
      from iclock.device d
     cross join lateral (
        select case when $1.type in (1, 2) and isfinite($1.local_time)
                    then $1.local_time
                    else $1.created_at at time zone
                         coalesce(d.timezone, d.default_timezone, 'UTC')
               end) as w (at)
      left join iclock.device_site m
             on m.device_id = d.id and m.starts <= w.at and m.ends > w.at
     where d.id = $1.device_id
$$;
comment on function iclock.event_site(iclock.event) is
    'Where the device of an event stood when it happened';

-- no search_path, so that it can be inlined: called for every event
create or replace function iclock.event_meets(
        event    iclock.event,
        general  boolean,
        hidden   bigint[],
        seen     bigint[],
        moved    bigint[],
        sites    text[],
        devices  text[],
        mode     text)
    returns boolean
    language sql stable
as $$
    select case
           when $2 then (($1).device_id is null
                         or ($1).device_id <> all ($3))
                        and (($1).type <> 8 or ($1).status is null
                             or $8 is distinct from 'live')
           else ($1).device_id = any ($4)
                and ($5 is null or ($1).device_id <> all ($5)
                     or iclock.event_site($1) = any ($6))
                -- its row may be gone; it has a status if it was simulated
                or ($1).data is not null and ($1).type = 8
                   and ($8 is null or (($1).status is not null) = ($8 = 'test'))
                   and ($6 is null or ($1).data ->> 'site' = any ($6))
                   and ($7 is null or ($1).data ->> 'id' = any ($7))
           end
$$;
comment on function iclock.event_meets(iclock.event, boolean, bigint[],
    bigint[], bigint[], text[], text[], text) is
    'Whether a reader gets an event: one of all devices but hidden ones, or '
    'of those that it sees, at sites where it sees them';


-- The texts are built by hand: no blanks, members in this order, the same escapes
-- as JSON.stringify(), so that a receiver that writes it anew gets the same bytes.
create or replace function iclock.event_payloads(events iclock.event[])
    returns table (
        xid      xid8,
        seq      bigint,
        type     text,
        site     text,
        device   text,
        sandbox  boolean,
        payload  text)
    language plpgsql
    set search_path = pg_catalog, iclock, pg_temp
    set jit = off
    set enable_seqscan = off
    -- read_events() has them off
    set enable_bitmapscan = on
    set enable_sort = on
    set plan_cache_mode = force_generic_plan
as $$
#variable_conflict use_column
declare
    utc   constant text := 'YYYY-MM-DD"T"HH24:MI:SS"Z"';
    utcm  constant text := 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"';
begin
    -- with a snapshot that is newer than this lock, which is why this function
    -- is volatile: a punch that is just moved is missing else, see lock_punch()
    lock table only iclock.punch in access share mode;

    -- for a few events planning takes longer than all the rest
    if cardinality(events) > 500 then
        perform set_config('plan_cache_mode', 'force_custom_plan', true);
    end if;

    return query
    with e as materialized (
        select * from unnest(events)
    ),
    d as materialized (
        select d.id, d.serial_number, d.site, d.dialect,
               coalesce(d.timezone, d.default_timezone) as zone,
               d.sandbox,
               iclock.device_json(d) as text,
               exists (select from iclock.device_site m
                        where m.device_id = d.id) as moved
          from iclock.device d
         where d.id in (select e.device_id from e)
    )
    select e.xid, e.seq, t.name, coalesce(w.site, gone.site),
           coalesce(d.serial_number, gone.id),
           coalesce(d.sandbox, e.type = 8 and e.status is not null),
           '{"type":"' || t.name || '","event":"' || t.name
           || '","event_id":"evt_' || iclock.event_cursor_text(e.xid, e.seq)
           || '","sequence":' || e.seq
           || ',"timestamp":' || iclock.json_moment(
                  case when isfinite(m.punched_at) then m.punched_at
                       else e.created_at end, utc)
           || ',"created_at":' || iclock.json_moment(e.created_at, utcm)
           || ',"late":' || case when m.punched_at < e.created_at
                                                     - interval '15 minutes'
                                 then 'true' else 'false' end
           || ',"device":' || coalesce(w.text, d.text, gone.text,
                                          'null')
           || case
              when e.type = 11 then ',"user":' || e.data
              when e.pin is null then ''
              else ',"user":{"id":' || iclock.json_text(e.pin)
                   || ',"name":' || iclock.json_text(
                          coalesce(o.name, nullif(u.name, ''))) || '}'
              end
           || case
              when e.type = 1 then
                   ',"punch":{"type":"'
                   || iclock.named_punch_type(d.dialect, e.status, s.direction)
                   || '","method":"'
                   || iclock.named_punch_method(d.dialect, p.record_type,
                                                e.verify, v.label)
                   || '","timestamp":' || iclock.json_moment(m.punched_at, utc)
                   || ',"local_time":' || l.local_time
                   || ',"status":' || coalesce(nullif(e.status, -1)::text, 'null')
                   || ',"verify":' || coalesce(nullif(e.verify, -1)::text, 'null')
                   || ',"work_code":'
                   || iclock.json_text(nullif(p.work_code, ''))
                   || ',"temperature":' || iclock.json_number(p.temperature)
                   || ',"mask_detected":'
                   || case p.mask when 1 then 'true' when 0 then 'false'
                                  else 'null' end
                   || '}'
              when e.type = 2 then
                   ',"photo":{"file_name":'
                   || iclock.json_text(e.data ->> 'file_name')
                   || ',"local_time":' || l.local_time || '}'
              when e.type = 12 then
                   ',"template":{"type":"' || iclock.template_kind(e.status)
                   || '","index":' || coalesce(nullif(e.verify, -1)::text, 'null')
                   || '}'
              when e.data is not null and e.type not in (8, 11) then
                   ',"' || split_part(t.name, '.', 1) || '":' || e.data
              else '' end
           || '}'
      from e
      join iclock.event_type t on t.code = e.type
      left join d on d.id = e.device_id
      left join lateral (
           select d.site, null::text as text, true as here
            where not d.moved
            union all
           select s.site,
                  iclock.device_json(jsonb_populate_record(
                      v, jsonb_build_object('site', s.site))),
                  s.site is not distinct from d.site
             from iclock.event_site(e) as s (site)
             join iclock.device v on v.id = e.device_id
            where d.moved) as w on true
      -- row by row, by their keys: what the planner knows of tables that grow is
      -- old, and it must not read all of a month
      left join lateral (
           select u.name
             from iclock.device_user u
            where u.device_id = e.device_id and u.pin = e.pin
              -- those whom it knows elsewhere are others
              and w.here
            limit 1) as u on true
      left join lateral (
           select o.name
             from iclock.person o
            where o.pin = e.pin and o.site = coalesce(w.site, '')
              and o.sandbox = d.sandbox
            limit 1) as o on true
      left join lateral (
           select p.punched_at, p.record_type, p.work_code, p.temperature,
                  p.mask
             from iclock.punch p
            where p.device_id = e.device_id and p.local_time = e.local_time
              and p.pin = e.pin and p.status = e.status
              and p.verify = e.verify and e.type = 1
            limit 1) as p on true
      left join iclock.status_label s
             on s.dialect = d.dialect and s.code = e.status and e.type = 1
            and s.record_type = case p.record_type when 1 then 1 else 0 end
      left join iclock.verify_label v
             on v.dialect = d.dialect and v.code = e.verify and e.type = 1
            and v.record_type = case p.record_type when 1 then 1 else 0 end
     cross join lateral (
        select case when e.type = 1
                    then coalesce(p.punched_at, e.local_time at time zone d.zone)
               end) as m (punched_at)
     cross join lateral (
        select case when isfinite(e.local_time)
                    then to_char(e.local_time,
                                 '"\""YYYY-MM-DD"T"HH24:MI:SS"\""')
                    else 'null' end) as l (local_time)
     cross join lateral (
        select case when e.type = 8 then e.data ->> 'id' end,
               case when e.type = 8 then e.data ->> 'site' end,
               case when e.type = 8 then e.data::text end)
            as gone (id, site, text);
end
$$;
comment on function iclock.event_payloads(iclock.event[]) is
    'What readers get of events, and what they may be chosen by';

create or replace function iclock.event_json(event iclock.event)
    returns text
    language sql
    set search_path = pg_catalog, iclock, pg_temp
as $$
    select p.payload from iclock.event_payloads(array[$1]) as p
$$;
comment on function iclock.event_json(iclock.event) is
    'What readers get of an event';

-- How far readers can be.
create or replace view iclock.event_status with (security_barrier) as
select s.enabled, s.enabled_at,
       newest.seq as newest, settled.seq as settled,
       now() - waiting.created_at as horizon_age,
       case when waiting.created_at is not null
            then iclock.event_holder() end as holder,
       oldest.created_at as oldest_at
  from iclock.event_state s
 -- not event_snapshot(): readers may not call it
 cross join lateral (
       select (pg_snapshot_xmin(pg_current_snapshot())::text::bigint
               + s.xid_base)::text::xid8 as xid) as h
  left join lateral (
       select e.seq
         from iclock.event e
        order by e.xid desc, e.seq desc
        limit 1) as newest on true
  left join lateral (
       select e.seq
         from iclock.event e
        where e.xid < h.xid
        order by e.xid desc, e.seq desc
        limit 1) as settled on true
  left join lateral (
       select e.created_at
         from iclock.event e
        where e.xid >= h.xid
        order by e.xid, e.seq
        limit 1) as waiting on true
  left join lateral (
       select e.created_at
         from iclock.event e
        order by e.xid, e.seq
        limit 1) as oldest on true;
comment on view iclock.event_status is 'How far readers of the event feed can be';
comment on column iclock.event_status.enabled is 'Whether events are written';
comment on column iclock.event_status.enabled_at is 'Since when';
comment on column iclock.event_status.newest is
    'Number of the newest event';
comment on column iclock.event_status.settled is
    'Number of the newest event that no other can come before any more';
comment on column iclock.event_status.horizon_age is
    'How long the oldest event waits to be settled';
comment on column iclock.event_status.holder is
    'The transaction that keeps it from that';
comment on column iclock.event_status.oldest_at is
    'When the oldest event was stored that is kept';
grant select on iclock.event_status to iclock_reader, iclock_operator;
