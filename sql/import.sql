-- Punches of terminals that cannot push: a file of a USB stick, or a table of
-- the maker's older software.

-- A date and time as files have it; NULL if it is none.  Nearly all have the
-- shape of the first, which is ten times as quick: no block that catches errors,
-- no parts.
create or replace function iclock.import_time(value text)
    returns timestamp
    language plpgsql immutable strict
    set search_path = pg_catalog, pg_temp
as $$
declare
    part  text[];
begin
    if value ~ ('^(19|20)[0-9]{2}-(0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8]) '
                '([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]$')
    then
        return value::timestamp;
    end if;

    part := regexp_match(value,
                         '^\s*([0-9]{4})[-/]([0-9]{1,2})[-/]([0-9]{1,2})[ T]+'
                         '([0-9]{1,2}):([0-9]{2})(?::([0-9]{2})(?:[.][0-9]+)?)?'
                         '\s*$');

    begin
        return make_timestamp(part[1]::integer, part[2]::integer,
                              part[3]::integer, part[4]::integer,
                              part[5]::integer,
                              coalesce(part[6], '0')::integer);

    exception when datetime_field_overflow then
        return null;
    end;
end
$$;
comment on function iclock.import_time(text) is
    'A date and time of a file; NULL if it is none';

-- One row of a file: a line, its columns separated by TAB (PIN, time, number of
-- the terminal, status, verify, work code), or an object with the columns of
-- table CHECKINOUT and the Badgenumber of USERINFO, or with those of punch.  The
-- sn of CHECKINOUT is the terminal, if it says which one.
create or replace function iclock.import_row(
        value           jsonb,
        out pin         text,
        out local_time  timestamp,
        out status      integer,
        out verify      integer,
        out work_code   text,
        out terminal    text,
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

        terminal := nullif(btrim(named ->> 'sn'), '');
    end if;

    -- editors of Windows begin a file with a byte order mark
    pin := btrim(field[1], E' \t\r\uFEFF');
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
comment on function iclock.import_row(jsonb) is
    'A row of a file as a punch, or the reason why it is none';

-- Stores rows as punches of a device that is registered and whose time zone is
-- known.  Punches that are
-- there already stay as they are.  It counts lines from the one given.
create or replace function iclock.import_rows(
        source      text,
        rows        jsonb,
        first_line  bigint)
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
    device    iclock.device;
    pins      text[];
    times     timestamp[];
    statuses  integer[];
    verifies  integer[];
    codes     text[];
    bad       jsonb;
    good      bigint;
    stored    bigint;
begin
    -- as long as this lasts it cannot be deleted
    select d.* into device
      from iclock.device d
     where d.id = iclock.device_id($1)
       for key share;

    -- Nothing mends moments later: uploads of the same punches leave them as
    -- they are.
    if coalesce(device.timezone, device.default_timezone) is null then
        raise invalid_parameter_value
            using message = format('the time zone of "%s" is not known', $1),
                  hint = 'Set it first: SELECT iclock.set_device(serial_number, '
                         'timezone => ...).';
    end if;

    -- before the insert: functions that catch errors cannot run within one of
    -- Citus
    select count(*) filter (where w.reason is null),
           array_agg(w.pin) filter (where w.reason is null),
           array_agg(w.local_time) filter (where w.reason is null),
           array_agg(w.status) filter (where w.reason is null),
           array_agg(w.verify) filter (where w.reason is null),
           array_agg(w.work_code) filter (where w.reason is null),
           jsonb_agg(jsonb_build_array($3 + w.n - 1, w.reason, w.value)
                     order by w.n) filter (where w.reason is not null)
      into good, pins, times, statuses, verifies, codes, bad
      from (select r.n, r.value, i.pin, i.local_time, i.status, i.verify,
                   i.work_code,
                   case
                   when i.reason is not null then i.reason
                   when i.terminal <> $1
                   then format('of terminal "%s"', left(i.terminal, 100))
                   when i.local_time <@ any (s.dropped)
                   then 'drop_before() has dropped its month'
                   end as reason
              from jsonb_array_elements($2) with ordinality as r (value, n)
             cross join iclock.punch_state s
             cross join lateral iclock.import_row(r.value) as i
             where (r.value #>> '{}') ~ '[^\s\uFEFF]') as w;

    -- In the order of uploads, which wait for each other then and do not lock
    -- each other out.
    with added as (
        insert into iclock.punch (device_id, local_time, pin, status, verify,
                                  punched_at, work_code)
        select device.id, g.local_time, g.pin, g.status, g.verify,
               timezone(iclock.zone_of(device), g.local_time), g.work_code
          from unnest(pins, times, statuses, verifies, codes)
               as g (pin, local_time, status, verify, work_code)
         order by g.local_time, g.pin collate "C", g.status, g.verify
            on conflict do nothing
        returning 1)
    select count(*) into stored from added;

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
comment on function iclock.import_rows(text, jsonb, bigint) is
    'Stores some rows of a file; import_punches() calls it';
grant execute on function iclock.import_rows(text, jsonb, bigint)
    to iclock_operator;

-- Stores what a cursor reads, in pieces, so that the size of a file does not
-- matter.  This and the functions below have the rights and the search path of
-- their caller, whose tables and views they read.
create or replace function iclock.import_file(source text, file refcursor)
    returns table (
        outcome  text,
        number   bigint,
        line     bigint,
        reason   text,
        content  text)
    language plpgsql
as $$
declare
    value   jsonb;
    piece   jsonb[] := '{}';
    begun   bigint := 1;
    lines   bigint := 0;
    first   text;
    ended   boolean := false;
    result  record;
    bad     jsonb[] := '{}';
    stored  bigint := 0;
    known   bigint := 0;
begin
    while not ended loop
        fetch file into value;
        ended := not found;

        if not ended then
            lines := lines + 1;
            piece := piece || value;
        end if;

        if lines = 1 and jsonb_typeof(value) = 'string' then
            -- some files begin with a serial number
            first := substring(value #>> '{}'
                               from '^[\s\uFEFF]*([A-Za-z0-9_-]+)\s*$');

            if first <> source then
                raise invalid_parameter_value
                    using message = format('argument "rows" begins with serial '
                                           'number "%s"', left(first, 100));
            end if;

            if first is not null then
                piece := '{}';
                begun := 2;
            end if;
        end if;

        -- and these end with a checksum
        if ended and first is not null and cardinality(piece) > 0
           and strpos(piece[cardinality(piece)] #>> '{}', E'\t') = 0
        then
            piece := piece[:cardinality(piece) - 1];
        end if;

        -- one is kept until it is known whether it is the last
        if ended or cardinality(piece) > 10000 then
            for result in
                select r.*
                  from iclock.import_rows(source, to_jsonb(piece[:10000]),
                                          begun) as r
            loop
                case result.outcome
                when 'stored' then stored := stored + result.number;
                when 'known' then known := known + result.number;
                else bad := bad || to_jsonb(result);
                end case;
            end loop;

            piece := piece[10001:];
            begun := begun + 10000;
        end if;
    end loop;

    return query
    select 'stored', stored, null::bigint, null::text, null::text
     union all
    select 'known', known, null, null, null
     union all
    (select b.v ->> 'outcome', (b.v ->> 'number')::bigint,
            (b.v ->> 'line')::bigint, b.v ->> 'reason', b.v ->> 'content'
       from unnest(bad) with ordinality as b (v, n)
      order by b.n);
end
$$;
comment on function iclock.import_file(text, refcursor) is
    'Stores what a cursor reads, in pieces; import_punches() calls it';
grant execute on function iclock.import_file(text, refcursor)
    to iclock_operator;

-- rows: an array of lines or objects
create or replace function iclock.import_punches(source text, rows jsonb)
    returns table (
        outcome  text,
        number   bigint,
        line     bigint,
        reason   text,
        content  text)
    language plpgsql
as $$
declare
    file  refcursor;
begin
    if jsonb_typeof(rows) is distinct from 'array' then
        raise invalid_parameter_value
            using message = 'argument "rows" is not an array';
    end if;

    open file for select e.value from jsonb_array_elements(rows) as e;

    return query select r.* from iclock.import_file(source, file) as r;
end
$$;
comment on function iclock.import_punches(text, jsonb) is
    'Stores punches out of a file (an array of lines of attlog.dat, or of '
    'objects with the columns of CHECKINOUT) for a registered device; returns '
    'how many were stored and known, and the bad rows';
grant execute on function iclock.import_punches(text, jsonb) to iclock_operator;

-- rows: the name of a table or view with a column of lines or objects, or with
-- the columns of such an object; or the text of an array
create or replace function iclock.import_punches(source text, rows text)
    returns table (
        outcome  text,
        number   bigint,
        line     bigint,
        reason   text,
        content  text)
    language plpgsql
as $$
declare
    relation  regclass;
    columns   text[];
    file      refcursor;
begin
    if rows is null then
        raise invalid_parameter_value
            using message = 'argument "rows" is neither an array nor a table';
    end if;

    if rows ~ '^\s*[[{]' then
        return query
        select r.* from iclock.import_punches(source, rows::jsonb) as r;
        return;
    end if;

    relation := rows::regclass;

    select array_agg(format('%I', a.attname)) into columns
      from pg_attribute a
     where a.attrelid = relation
       and a.attnum > 0
       and not a.attisdropped;

    open file for execute format(
        'select to_jsonb(%s) from %s as given',
        case when cardinality(columns) = 1 then 'given.' || columns[1]
             else 'given' end, relation);

    return query select r.* from iclock.import_file(source, file) as r;
end
$$;
comment on function iclock.import_punches(text, text) is
    'The same for the rows of a table or view: one column of lines or '
    'objects, or the columns of such objects';
grant execute on function iclock.import_punches(text, text) to iclock_operator;
