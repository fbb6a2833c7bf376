-- Operations of the API about punches and days.

-- When which terminals stood where a key may look, as rows of view attendance:
-- whoever moved away leaves the punches that were made there.  Terminals that
-- were removed keep their punches, too.
create or replace function iclock_api.stays(request jsonb)
    returns table (
        id             bigint,
        serial_number  text,
        name           text,
        timezone       text,
        dialect        text,
        sandbox        boolean,
        site           text,
        starts         timestamp,
        ends           timestamp,
        elsewhere      boolean)
    language plpgsql stable
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    -- once, and not for each of them
    test     constant boolean := coalesce($1 #>> '{key,mode}' = 'test', true);
    serial   constant text    := $1 #>> '{query,device_id}';
    place    constant text    := $1 #>> '{query,site}';
    sites    text[];
    devices  text[];
begin
    if $1 #>> '{key,sites}' is not null then
        sites := array(select jsonb_array_elements_text($1 #> '{key,sites}'));
    end if;
    if $1 #>> '{key,devices}' is not null then
        devices := array(select jsonb_array_elements_text(
                                    $1 #> '{key,devices}'));
    end if;

    return query
    select s.*
      from (select d.id, d.serial_number, d.name,
                   coalesce(d.timezone, d.default_timezone, 'UTC'),
                   d.dialect, d.sandbox, d.site, d.site_since,
                   timestamp 'infinity', false
              from iclock.device d
             union all
            select d.id, d.serial_number, d.name,
                   coalesce(d.timezone, d.default_timezone, 'UTC'),
                   d.dialect, d.sandbox, m.site, m.starts, m.ends, true
              from iclock.device_site m
              join iclock.device d on d.id = m.device_id)
           as s (id, serial_number, name, timezone, dialect, sandbox, site,
                 starts, ends, elsewhere)
     where s.sandbox = test
       and (sites is null or s.site = any (sites))
       and (devices is null or s.serial_number = any (devices))
       and (serial is null or s.serial_number = serial)
       and (place is null or s.site = place);
end
$$;
comment on function iclock_api.stays(jsonb) is
    'When which terminals stood where a key may look, limited by device_id '
    'and site of the query';

-- A local date of the query.
create or replace function iclock_api.date(request jsonb, name text)
    returns date
    language plpgsql stable
    set search_path = pg_catalog, iclock, pg_temp
    set datestyle = 'ISO'
as $$
declare
    value  constant text := $1 -> 'query' ->> $2;
begin
    if value is null or value ~ '^[0-9]{4}-[0-9]{2}-[0-9]{2}$' then
        return value::date;
    end if;
    raise invalid_datetime_format;

exception when data_exception then
    perform iclock_api.fail(400, 'bad_request',
        format('"%s" is not a date such as 2026-03-27', $2));
    return null;
end
$$;
comment on function iclock_api.date(jsonb, text) is
    'Local date of the query, or an error that names it';

-- A list of words of the query, separated by commas.
create or replace function iclock_api.words(
        request  jsonb,
        name     text,
        known    text[])
    returns text[]
    language plpgsql stable
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    words  constant text[] := string_to_array($1 -> 'query' ->> $2, ',');
begin
    if not words <@ known then
        perform iclock_api.fail(400, 'bad_request',
            format('"%s" is none of %s', $2, array_to_string(known, ', ')));
    end if;
    return words;
end
$$;
comment on function iclock_api.words(jsonb, text, text[]) is
    'Words of the query, each one of those known, or an error that names them';

-- A page of punches in the order of their times.  No index has that order alone:
-- the primary key has it for each terminal.  So this looks at some hours at a
-- time, as many as held a page before, and merges the terminals: in whatever
-- order the punches were stored, a page costs about as much as it has rows.
--
-- "after" is what it returned as "last" for the page before; NULL: the end.  When
-- it has looked for long at hours that hold too few of the punches wanted, the
-- page ends early.
--
-- This and what calls it is volatile, so that the snapshot is younger than the
-- plan: maintain() may just have moved a month into a partition of its own, and a
-- plan with that partition finds nothing there by an older snapshot.
create or replace function iclock_api.punch_page(
        ids       bigint[],
        starts    timestamp[],
        ends      timestamp[],
        dialects  text[],
        pin       text,
        types     text[],
        methods   text[],
        first     timestamp,
        until     timestamp,
        falling   boolean,
        after     jsonb,
        most      integer,
    out punches   iclock.punch[],
    out last      jsonb)
    language plpgsql
    set search_path = pg_catalog, iclock, pg_temp
    set datestyle = 'ISO'
    set intervalstyle = 'postgres'
    -- the costs are those of all terminals and partitions
    set jit = off
as $$
declare
    began   constant timestamptz := clock_timestamp();
    narrow  constant interval := case when pin is not null
                                        or cardinality(ids) = 1
                                      then interval '60 days'
                                      else interval '1 hour' end;
    wide    constant interval := greatest(narrow, interval '2 days');
    width   interval          := coalesce((after ->> 5)::interval, narrow);
    fence   timestamp         := case when falling then until else first end;
    lower   timestamp;
    upper   timestamp;
    page    text;
    jump    text;
    piece   iclock.punch[];
begin
    punches := '{}';

    if falling and after is not null then
        fence := least(fence, (after ->> 0)::timestamp
                              + interval '1 microsecond');
    elsif after is not null then
        fence := greatest(fence, (after ->> 0)::timestamp);
    end if;

    page := replace(replace(format($query$
        select array_agg(r.p)
          from (select q.p
                  from unnest($1, $2, $3, $4)
                       as s (id, starts, ends, dialect)
                 cross join lateral (
                       select p
                         from iclock.punch p %s %s
                        where p.device_id = s.id
                          and p.local_time >= $5 and p.local_time < $6
                          and p.local_time >= s.starts
                          and p.local_time < s.ends %s %s %s %s
                        order by p.local_time ~, p.pin ~, p.status ~,
                                 p.verify ~
                        limit $7) as q
                 order by (q.p).local_time ~, (q.p).device_id ~, (q.p).pin ~,
                          (q.p).status ~, (q.p).verify ~
                 limit $7) as r
        $query$,
        case when types is not null then
            'left join iclock.status_label l '
            'on l.dialect = s.dialect and l.code = p.status '
            'and l.record_type = case p.record_type when 1 then 1 else 0 end'
        end,
        case when methods is not null then
            'left join iclock.verify_label v '
            'on v.dialect = s.dialect and v.code = p.verify '
            'and v.record_type = case p.record_type when 1 then 1 else 0 end'
        end,
        case when pin is not null then 'and p.pin = $8' end,
        case when types is not null then
            'and iclock.named_punch_type(s.dialect, p.status, l.direction) '
            '    = any ($9)'
        end,
        case when methods is not null then
            'and iclock.named_punch_method(s.dialect, p.record_type, p.verify, '
            '                              v.label) = any ($10)'
        end,
        case when after is not null then
            'and (p.local_time, p.device_id, p.pin, p.status, p.verify) ^ '
            '    ($11, $12, $13, $14, $15)'
        end), '~', case when falling then 'desc' else 'asc' end),
              '^', case when falling then '<' else '>' end);

    jump := format($query$
        select %s(q.local_time)
          from unnest($1, $2, $3) as s (id, starts, ends)
         cross join lateral (
               select p.local_time
                 from iclock.punch p
                where p.device_id = s.id
                  and p.local_time >= $4 and p.local_time < $5
                  and p.local_time >= s.starts and p.local_time < s.ends
                order by p.local_time %s
                limit 1) as q
        $query$, case when falling then 'max' else 'min' end,
        case when falling then 'desc' else 'asc' end);

    while cardinality(punches) <= most loop
        -- over hours and years without any
        if not isfinite(fence) or piece is null and width > wide then
            execute jump
               into lower
              using ids, starts, ends, case when falling then first
                                       else fence end,
                    case when falling then fence else until end;

            exit when lower is null;

            if not isfinite(fence) or abs(extract(epoch from fence - lower))
                                      > extract(epoch from width)
            then
                width := narrow;
            end if;
            fence := lower + case when falling then interval '1 microsecond'
                             else interval '0' end;
        end if;

        if falling then
            upper := fence;
            lower := greatest(fence - width, first);
        else
            lower := fence;
            upper := least(fence + width, until);
        end if;

        exit when lower >= upper;

        execute page
           into piece
          using ids, starts, ends, dialects, lower, upper,
                most + 1 - cardinality(punches), pin, types, methods,
                (after ->> 0)::timestamp, (after ->> 1)::bigint, after ->> 2,
                (after ->> 3)::integer, (after ->> 4)::integer;

        punches := punches || coalesce(piece, '{}');
        fence := case when falling then lower else upper end;

        if cardinality(punches) > most then
            -- hours that held a page, and some more
            width := greatest(interval '1 second',
                1.1 * case when falling
                      then upper - punches[cardinality(punches)].local_time
                      else punches[cardinality(punches)].local_time - lower
                      end);

        elsif clock_timestamp() > began + interval '1.5 seconds' then
            -- years without any are passed in a few pages all the same
            last := jsonb_build_array(fence, -1, '', 0, 0,
                case when piece is null then 2 * width else width end);
            return;

        else
            width := 2 * width;
        end if;
    end loop;

    if cardinality(punches) > most then
        punches := punches[1:most];
        last := jsonb_build_array(
            punches[most].local_time, punches[most].device_id,
            punches[most].pin, punches[most].status, punches[most].verify,
            width);
    end if;
end
$$;
comment on function iclock_api.punch_page(bigint[], timestamp[], timestamp[],
    text[], text, text[], text[], timestamp, timestamp, boolean, jsonb,
    integer) is
    'A page of punches in the order of their times, and where the next one '
    'begins; NULL: there is none';


-- Punches as programs read them.  No search_path, so that it can be inlined; its
-- callers have datestyle ISO.
create or replace function iclock_api.punch_rows(
        punches  iclock.punch[],
        request  jsonb)
    returns table (
        ord            bigint,
        id             text,
        user_id        text,
        user_name      text,
        punch_type     text,
        method         text,
        moment         text,
        local_time     timestamp,
        timezone       text,
        device_id      text,
        device_name    text,
        site           text,
        status         integer,
        verify         integer,
        temperature    numeric,
        mask_detected  boolean,
        work_code      text,
        received_at    text)
    language sql stable
as $$
    select p.ordinality,
           'log_' || md5(concat_ws(E'\t', s.serial_number, p.local_time, p.pin,
                                   p.status, p.verify)),
           p.pin,
           coalesce((select n.name
                       from iclock.person n
                      where n.pin = p.pin and n.site = coalesce(s.site, '')
                        and n.sandbox = s.sandbox),
                    case when s.elsewhere
                         -- as in view attendance
                         then (select nullif(e.name, '')
                                 from iclock.device o
                                 join iclock.device_user e
                                   on e.device_id = o.id
                                where o.site = s.site
                                  and o.sandbox = s.sandbox
                                  and e.pin = p.pin
                                order by e.updated_at desc
                                limit 1)
                         else (select nullif(u.name, '')
                                 from iclock.device_user u
                                where u.device_id = p.device_id
                                  and u.pin = p.pin) end),
           iclock.named_punch_type(s.dialect, p.status, l.direction),
           iclock.named_punch_method(s.dialect, p.record_type, p.verify,
                                     v.label),
           -- several times as fast as to_char()
           replace(left(timezone('UTC', p.punched_at)::text, 19), ' ', 'T')
               || 'Z',
           p.local_time,
           s.timezone,
           s.serial_number,
           s.name,
           s.site,
           nullif(p.status, -1),
           nullif(p.verify, -1),
           trim_scale(p.temperature),
           case when p.mask >= 0 then p.mask = 1 end,
           nullif(p.work_code, ''),
           replace(left(timezone('UTC', p.received_at)::text, 19), ' ', 'T')
               || 'Z'
      from unnest($1) with ordinality as p
      join iclock_api.stays($2) as s
        on s.id = p.device_id
       and p.local_time >= s.starts and p.local_time < s.ends
      left join iclock.status_label l
             on l.dialect = s.dialect and l.code = p.status
            and l.record_type = case p.record_type when 1 then 1 else 0 end
      left join iclock.verify_label v
             on v.dialect = s.dialect and v.code = p.verify
            and v.record_type = case p.record_type when 1 then 1 else 0 end
$$;
comment on function iclock_api.punch_rows(iclock.punch[], jsonb) is
    'Punches with terminal, user and the names of their codes';

-- A cell that a spreadsheet would take for a formula begins with '.
create or replace function iclock_api.csv(value text)
    returns text
    language sql immutable parallel safe
as $$
    select case
    when $1 is null then ''
    when $1 !~ E'^[=+@\\t-]|[",\\r\\n]' then $1
    else '"' || case when $1 ~ E'^[=+@\\t\\r-]' then '''' else '' end
         || replace($1, '"', '""') || '"'
    end
$$;
comment on function iclock_api.csv(text) is
    'A text as a cell of CSV, which no spreadsheet takes for a formula';

-- A row of a query becomes JSON at once: json_build_object() takes several times
-- as long, for it looks at each value anew.
create or replace function iclock_api.punch_json(
        punches    iclock.punch[],
        request    jsonb,
        separator  text)
    returns text
    language sql stable
    set search_path = pg_catalog, iclock, pg_temp
    set datestyle = 'ISO'
    set jit = off
as $$
    select string_agg(row_to_json(o)::text, $3)
      from (select r.id, r.user_id, r.user_name, r.punch_type, r.method,
                   r.moment as "timestamp", r.local_time, r.timezone,
                   r.device_id, r.device_name, r.site, r.status, r.verify,
                   r.temperature, r.mask_detected, r.work_code, r.received_at
              from iclock_api.punch_rows($1, $2) as r
             order by r.ord) as o
$$;
comment on function iclock_api.punch_json(iclock.punch[], jsonb, text) is
    'Punches as JSON objects';

create or replace function iclock_api.punch_csv(
        punches  iclock.punch[],
        request  jsonb)
    returns text
    language sql stable
    set search_path = pg_catalog, iclock, pg_temp
    set datestyle = 'ISO'
    set jit = off
as $$
    select string_agg(concat(
               r.id, ',', iclock_api.csv(r.user_id), ',',
               iclock_api.csv(r.user_name), ',', r.punch_type, ',', r.method,
               ',', r.moment, ',', replace(r.local_time::text, ' ', 'T'), ',',
               r.timezone, ',',
               iclock_api.csv(r.device_id), ',',
               iclock_api.csv(r.device_name), ',', iclock_api.csv(r.site),
               ',', r.status, ',', r.verify, ',', r.temperature, ',',
               r.mask_detected::text, ',', iclock_api.csv(r.work_code), ',',
               r.received_at, E'\r\n'), '' order by r.ord)
      from iclock_api.punch_rows($1, $2) as r
$$;
comment on function iclock_api.punch_csv(iclock.punch[], jsonb) is
    'Punches as lines of CSV';

create or replace function iclock_api.logs_list(request jsonb)
    returns iclock_api.reply
    language plpgsql
    set search_path = pg_catalog, iclock, pg_temp
    set jit = off
as $$
declare
    query   constant jsonb := $1 -> 'query';
    form    constant text  := coalesce($1 ->> 'format', 'json');
    first   date;
    until   date;
    types   text[];
    methods text[];
    falling boolean;
    size    integer;
    after   jsonb;
    spans   record;
    page    record;
    next    text;
    rows    integer;
    body    text;
begin
    perform iclock_api.parameters($1, array[
        'start_date', 'end_date', 'user_id', 'device_id', 'site', 'type',
        'method', 'order', 'limit', 'cursor', 'format']);

    first := iclock_api.date($1, 'start_date');
    until := iclock_api.date($1, 'end_date');
    types := iclock_api.words($1, 'type', array[
        'CheckIn', 'CheckOut', 'BreakIn', 'BreakOut', 'OvertimeIn',
        'OvertimeOut', 'Other']);
    methods := iclock_api.words($1, 'method', array[
        'Fingerprint', 'Face', 'Card', 'Palm', 'Password', 'Pin',
        'FingerVein', 'Multi', 'Other']);
    falling := coalesce(iclock_api.word($1, 'order', array['asc', 'desc'])
                        = 'desc', false);

    if until < first then
        perform iclock_api.fail(400, 'bad_request',
            'parameter "end_date" is before "start_date"');
    end if;

    select p.size, p.after into size, after from iclock_api.page($1) as p;

    select array_agg(s.id) as ids, array_agg(s.starts) as starts,
           array_agg(s.ends) as ends, array_agg(s.dialect) as dialects
      into spans
      from iclock_api.stays($1) as s;

    if spans.ids is not null then
        select p.* into page
          from iclock_api.punch_page(
                   spans.ids, spans.starts, spans.ends, spans.dialects,
                   query ->> 'user_id', types, methods,
                   coalesce(first::timestamp, '-infinity'),
                   coalesce((until + 1)::timestamp, 'infinity'),
                   falling, after, size) as p;

        rows := cardinality(page.punches);
        next := case when page.last is not null
                     then iclock_api.cursor($1, page.last) end;
    else
        select null::iclock.punch[] as punches into page;
        rows := 0;
    end if;

    if form = 'csv' then
        body := concat(
            case when not coalesce(($1 ->> 'continued')::boolean, false) then
                'id,user_id,user_name,punch_type,method,timestamp,local_time,'
                'timezone,device_id,device_name,site,status,verify,'
                'temperature,mask_detected,work_code,received_at' || E'\r\n'
            end,
            case when rows > 0
            then iclock_api.punch_csv(page.punches, $1) end);

    elsif form = 'ndjson' then
        body := coalesce(case when rows > 0 then
            iclock_api.punch_json(page.punches, $1, E'\n') || E'\n' end, '');

    else
        body := concat('{"data":[',
            case when rows > 0
            then iclock_api.punch_json(page.punches, $1, ',') end,
            '],"has_more":', (next is not null)::text, ',"next_cursor":',
            coalesce(to_json(next)::text, 'null'), '}');
    end if;

    return row(200,
        case form when 'csv' then
            '{"Content-Type":"text/csv; charset=utf-8"}'::jsonb
        when 'ndjson' then '{"Content-Type":"application/x-ndjson"}' end,
        body, jsonb_build_object('rows', rows, 'next', next))
        ::iclock_api.reply;
end
$$;
comment on function iclock_api.logs_list(jsonb) is
    'GET /logs: punches in the order of their times';

-- Days of people, some days at a time: each has all its people.
create or replace function iclock_api.daily_list(request jsonb)
    returns iclock_api.reply
    language plpgsql
    set search_path = pg_catalog, iclock, pg_temp
    set datestyle = 'ISO'
    set jit = off
as $$
declare
    query    constant jsonb := $1 -> 'query';
    first    date;
    until    date;
    day      date;
    days     integer := 1;
    size     integer;
    after    jsonb;
    devices  bigint[];
    sites    text[];
    part     json[];
    places   jsonb[];
    items    json[]  := '{}';
    keys     jsonb[] := '{}';
    form     constant text := coalesce($1 ->> 'format', 'json');
    next     text;
begin
    perform iclock_api.parameters($1, array[
        'start_date', 'end_date', 'user_id', 'site', 'limit', 'cursor',
        'format']);

    first := iclock_api.date($1, 'start_date');
    until := coalesce(iclock_api.date($1, 'end_date'), first);

    if first is null then
        perform iclock_api.fail(400, 'bad_request',
            'parameter "start_date" is missing');
    elsif until < first then
        perform iclock_api.fail(400, 'bad_request',
            'parameter "end_date" is before "start_date"');
    elsif until - first > 365 then
        perform iclock_api.fail(400, 'bad_request',
            'these are more than 366 days');
    end if;

    select p.size, p.after into size, after from iclock_api.page($1) as p;

    -- the days are made of the punches of these alone
    select coalesce(array_agg(distinct s.id), '{}'), array_agg(distinct s.site)
      into devices, sites
      from iclock_api.stays($1) as s;

    day := coalesce((after ->> 0)::date, first);

    while day <= until and cardinality(items) <= size loop
        select array_agg(r.item order by r.day, r.place, r.pin),
               array_agg(jsonb_build_array(r.day, r.place, r.pin)
                         order by r.day, r.place, r.pin)
          into part, places
          from (select a.day, coalesce(a.site, '') as place, a.pin,
                       json_build_object(
                           'date', a.day,
                           'user_id', a.pin,
                           'user_name', coalesce(n.name, a.user_name),
                           'department', n.department,
                           'site', a.site,
                           'first', iclock_api.utc(a.first_punched_at),
                           'last', iclock_api.utc(a.last_punched_at),
                           'first_local_time', a.first_local_time,
                           'last_local_time', a.last_local_time,
                           'span', extract(epoch from a.span)::bigint,
                           'punches', a.punches,
                           'devices', a.serial_numbers) as item
                  from iclock.attendance_days(day, least(day + days - 1, until),
                                              false, devices) as a
                  left join iclock.person n
                         on n.pin = a.pin and n.site = coalesce(a.site, '')
                        and n.sandbox = ($1 #>> '{key,mode}' = 'test')
                 where coalesce(a.site, '')
                       in (select coalesce(v, '') from unnest(sites) as v)
                   and (query ->> 'user_id' is null
                        or a.pin = query ->> 'user_id')
                   and (after is null
                        or (a.day, coalesce(a.site, ''), a.pin)
                           > ((after ->> 0)::date, after ->> 1, after ->> 2))
                 order by a.day, coalesce(a.site, ''), a.pin
                 limit size + 1) as r;

        items := items || coalesce(part, '{}');
        keys := keys || coalesce(places, '{}');
        day := day + days;
        days := 2 * days;
    end loop;

    if form = 'json' then
        return iclock_api.list($1, items[1:size + 1], keys[1:size + 1], size);
    end if;

    next := case when cardinality(items) > size
                 then iclock_api.cursor($1, keys[size]) end;

    return row(200,
        jsonb_build_object('Content-Type',
            case form when 'csv' then 'text/csv; charset=utf-8'
                      else 'application/x-ndjson' end),
        (select concat(
             case when form = 'csv'
                   and not coalesce(($1 ->> 'continued')::boolean, false) then
                 'date,user_id,user_name,department,site,first,last,'
                 'first_local_time,last_local_time,span,punches,devices'
                 || E'\r\n'
             end,
             string_agg(
                 case form when 'ndjson' then
                     -- made compact: the parts have no blanks but in strings
                     (select '{' || string_agg(concat(to_json(m.key), ':',
                                 m.value), ',' order by m.ordinality) || '}'
                        from json_each(i.item) with ordinality as m)
                     || E'\n'
                 else
                     (select string_agg(iclock_api.csv(case m.key
                                 when 'devices' then
                                     (select string_agg(v, ' ')
                                        from json_array_elements_text(m.value)
                                             as v)
                                 else m.value #>> '{}' end), ','
                                 order by m.ordinality)
                        from json_each(i.item) with ordinality as m)
                     || E'\r\n'
                 end, '' order by i.ord))
           from unnest(items[1:size]) with ordinality as i (item, ord)),
        jsonb_build_object('rows', least(cardinality(items), size),
                           'next', next))::iclock_api.reply;
end
$$;
comment on function iclock_api.daily_list(jsonb) is
    'GET /attendance/daily: first and last punch of people on each local day';
