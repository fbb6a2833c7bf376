-- Punches of terminals that cannot push: a file of a USB stick, or a table of
-- the maker's older software.

-- A date and time as files have it; NULL if it is none.
create or replace function iclock.import_time(value text)
    returns timestamp
    language plpgsql immutable strict
    set search_path = pg_catalog, pg_temp
as $$
declare
    part  text[];
begin
    part := regexp_match(value,
                         '^\s*(\d{4})[-/](\d{1,2})[-/](\d{1,2})[ T]+'
                         '(\d{1,2}):(\d{2})(?::(\d{2})(?:[.]\d+)?)?\s*$');

    return make_timestamp(part[1]::integer, part[2]::integer, part[3]::integer,
                          part[4]::integer, part[5]::integer,
                          coalesce(part[6], '0')::integer);

exception when datetime_field_overflow then
    return null;
end
$$;

-- One row of a file: a line, its columns separated by TAB (PIN, time, number of
-- the terminal, status, verify, work code), or an object with the columns of
-- table CHECKINOUT and the Badgenumber of USERINFO, or with those of punch.
create or replace function iclock.import_row(
        value           jsonb,
        out pin         text,
        out local_time  timestamp,
        out status      integer,
        out verify      integer,
        out work_code   text,
        out reason      text)
    language plpgsql immutable
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    field  text[];
    named  jsonb;
    sent   text;
begin
    if jsonb_typeof(value) = 'string' then
        field := string_to_array(value #>> '{}', E'\t');

        -- spaces where somebody has copied it from a screen
        if cardinality(field) = 1 then
            field := regexp_split_to_array(btrim(field[1]), '\s{2,}');
        end if;

    elsif jsonb_typeof(value) = 'object' then
        select jsonb_object_agg(lower(e.key), e.value) into named
          from jsonb_each_text(value) as e;

        field := array[
            coalesce(named ->> 'pin', named ->> 'badgenumber'),
            coalesce(named ->> 'local_time', named ->> 'time',
                     named ->> 'checktime'),
            null,
            -- the states in the order of their numbers
            coalesce(named ->> 'status',
                     nullif(strpos('IO01io', nullif(btrim(named ->> 'checktype'),
                                                    '')) - 1, -1)::text,
                     named ->> 'checktype'),
            coalesce(named ->> 'verify', named ->> 'verifycode'),
            coalesce(named ->> 'work_code', named ->> 'workcode')];
    end if;

    pin := btrim(field[1], E' \t\r');
    local_time := iclock.import_time(field[2]);
    work_code := coalesce(btrim(field[6], E' \t\r'), '');

    if field is null then
        reason := 'neither a line nor an object';

    elsif coalesce(pin, '') = '' then
        reason := 'no PIN';

    elsif not iclock.is_line_text(pin, 1000)
          or not iclock.is_line_text(work_code, 1000)
    then
        reason := 'control characters, or too long';

    elsif local_time is null then
        reason := 'no time as 2026-11-30 08:00:00';
    end if;

    foreach sent in array array[field[4], field[5]] loop
        if btrim(sent, E' \t\r') !~ '^([0-9]{1,9}|-1)?$' and reason is null then
            reason := 'status or verify is no number';
        end if;
    end loop;

    if reason is null then
        status := coalesce(nullif(btrim(field[4], E' \t\r'), ''), '-1');
        verify := coalesce(nullif(btrim(field[5], E' \t\r'), ''), '-1');
    end if;
end
$$;

-- Stores rows as punches of a device that is registered.  What is there already
-- stays as it is, so that a file may be taken twice, or overlap with another.
create or replace function iclock.import_punches(source text, rows jsonb)
    returns table (
        outcome  text,
        number   bigint,
        line     bigint,
        reason   text,
        content  text)
    language plpgsql security definer
    set search_path = pg_catalog, iclock, pg_temp
as $$
#variable_conflict use_column
declare
    device  iclock.device;
    first   text;
    bad     jsonb;
    good    bigint;
    stored  bigint;
begin
    select d.* into device
      from iclock.device d
     where d.id = iclock.device_id($1);

    if jsonb_typeof($2) is distinct from 'array' then
        perform iclock.wrong_argument('rows', 'is no array');
    end if;

    -- some files begin with a serial number, and then end with a checksum
    first := btrim($2 ->> 0, E' \t\r');
    if jsonb_typeof($2 -> 0) = 'string' and first ~ '^[A-Za-z0-9_-]+$' then
        if first <> $1 then
            perform iclock.wrong_argument(
                'rows', format('begins with serial number "%s"',
                               left(first, 100)));
        end if;
    else
        first := null;
    end if;

    with given as (
        select r.n, r.value, i.*
          from jsonb_array_elements($2) with ordinality as r (value, n)
         cross join lateral iclock.import_row(r.value) as i
         where (r.value #>> '{}') ~ '\S'
           and (first is null
                or (r.n > 1 and (r.n < jsonb_array_length($2)
                                 or (r.value #>> '{}') ~ E'\t')))),
    added as (
        insert into iclock.punch (device_id, local_time, pin, status, verify,
                                  punched_at, work_code)
        select device.id, g.local_time, g.pin, g.status, g.verify,
               timezone(iclock.zone_of(device), g.local_time),
               g.work_code
          from given g
         where g.reason is null
            on conflict do nothing
        returning 1)
    select (select count(*) from added),
           count(*) filter (where g.reason is null),
           jsonb_agg(jsonb_build_array(g.n, g.reason, g.value)
                     order by g.n) filter (where g.reason is not null)
      into stored, good, bad
      from given g;

    return query
    select 'stored', stored, null::bigint, null, null
     union all
    select 'known', good - stored, null, null, null
     union all
    (select 'bad', 1::bigint, (b ->> 0)::bigint, b ->> 1,
            left(b ->> 2, 200)
       from jsonb_array_elements(bad) with ordinality as e (b, n)
      order by n);
end
$$;
