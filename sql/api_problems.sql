-- What did not arrive, and what terminals tell of themselves, as the API shows
-- it.

-- Bytes as text: what is no UTF-8 stands as \xNN, and so does the backslash
-- before an "x".
create or replace function iclock_api.bytes_text(value bytea)
    returns text
    language plpgsql immutable strict
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    size   constant integer := octet_length(value);
    text   text := '';
    i      integer := 0;
    begun  integer := 0;
    n      integer;
    lead   integer;
begin
    begin
        return replace(convert_from(value, 'UTF8'), '\x', '\x5cx');
    exception when data_exception then
        null;
    end;

    -- a block with an exception for each character takes ten times as long
    while i < size loop
        lead := get_byte(value, i);
        n := case when lead between 1 and 127     then 1
                  when lead between 194 and 223   then 2
                  when lead between 224 and 239   then 3
                  when lead between 240 and 244   then 4
                  else 0 end;

        if n > 1 then
            if i + n > size
               or get_byte(value, i + 1)
                  not between (case lead when 224 then 160
                                         when 240 then 144 else 128 end)
                          and (case lead when 237 then 159
                                         when 244 then 143 else 191 end)
               or n > 2 and get_byte(value, i + 2) not between 128 and 191
               or n > 3 and get_byte(value, i + 3) not between 128 and 191
            then
                n := 0;
            end if;
        end if;

        if n > 0 then
            i := i + n;
            continue;
        end if;

        if begun < i then
            text := text || replace(convert_from(
                substring(value from begun + 1 for i - begun), 'UTF8'),
                '\x', '\x5cx');
        end if;
        text := text || '\x' || lpad(to_hex(lead), 2, '0');
        i := i + 1;
        begun := i;
    end loop;

    return text || replace(convert_from(substring(value from begun + 1),
                                        'UTF8'), '\x', '\x5cx');
end
$$;
comment on function iclock_api.bytes_text(bytea) is
    'Bytes as text; what is not UTF-8 stands as \xNN';

-- A line that was not stored may hold passwords, cards and templates.  Of a line
-- of fields the values of these are shown; one of punches is shown as it is.  As
-- it may be wrong how fields are separated, a value has no "=", no separator,
-- and few characters.
create or replace function iclock_api.harmless_line(
        table_name  text,
        line        bytea)
    returns text
    language sql immutable
    set search_path = pg_catalog, iclock, pg_temp
as $$
    select case
           when (upper($1) in ('ATTLOG', 'ERRORLOG') or l.text ~* '^OPLOG ')
                and l.text !~ '[A-Za-z] *='
           then l.text
           else (select string_agg(
                            case when f ~ ('^([A-Z]+ +)?'
                                           '((PIN|Pin|FID|No|Index|Type|Size|'
                                           'Valid|Duress|MajorVer|MinorVer|'
                                           'Format|Pri|Grp|TZ|Verify)='
                                           '[^=,;& ]{0,40}|'
                                           '(Name|StartDatetime|EndDatetime|'
                                           'FileName)=[^=,;&]{0,80})$')
                                 then f
                                 when f ~ '^([A-Z]+ +)?[A-Za-z_~]{1,30}='
                                 then substring(f from '^[^=]*=') || '...'
                                 else '...' end, E'\t' order by f.n)
                   from unnest(string_to_array(l.text, E'\t'))
                        with ordinality as f (f, n)) end
      from (select iclock_api.bytes_text(substring($2 from 1 for 1000))) as l
                (text)
$$;
comment on function iclock_api.harmless_line(text, bytea) is
    'A line that was not stored, without what may be secret: its first '
    'thousand bytes';

-- Why lines are not stored: what nginx says, in a few groups.
create or replace function iclock_api.rejection(reason text)
    returns text
    language sql immutable parallel safe
as $$
    select case
           when $1 ~ '^[0-9A-Z]{5}: '                          then 'database'
           when $1 like '%date and time'                       then 'date'
           when $1 ~ 'UTF-8|not valid text|control char|^NUL ' then 'encoding'
           when $1 ~ '^unknown |^not documented'               then 'table'
           when $1 ~ 'packet'                                  then 'packet'
           else 'format' end
$$;
comment on function iclock_api.rejection(text) is
    'Group of a reason of table rejected_line: format, encoding, date, '
    'database, table, packet';

create or replace function iclock_api.rejection_words(reason text)
    returns text
    language sql immutable parallel safe
as $$
    select case $1
           when 'database' then 'refused by the database'
           when 'date'     then 'no such date'
           when 'encoding' then 'no valid text'
           when 'table'    then 'of an unknown table'
           when 'packet'   then 'in a packet that cannot be read'
           else 'not in the form of its table' end
$$;
comment on function iclock_api.rejection_words(text) is
    'Such a group in words';

-- A moment of the query.
create or replace function iclock_api.moment(request jsonb, name text)
    returns timestamptz
    language plpgsql stable
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    value  constant text := $1 -> 'query' ->> $2;
begin
    if value is null
       or value ~ ('^\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d{1,6})?)?'
                   '(Z|z|[+-]\d\d:\d\d))?$')
    then
        return case when length(value) = 10
                    then timezone('UTC', value::timestamp)
                    else value::timestamptz end;
    end if;
    raise invalid_datetime_format;

exception when data_exception then
    perform iclock_api.fail(400, 'bad_request',
        format('"%s" is not a time such as 2026-03-27T08:30:12Z', $2));
    return null;
end
$$;
comment on function iclock_api.moment(jsonb, text) is
    'Moment of the query, or an error that names it';

-- The newest first.
create or replace function iclock_api.rejected_list(request jsonb)
    returns iclock_api.reply
    language plpgsql stable
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    serial  constant text        := request #>> '{query,device_id}';
    since   constant timestamptz := iclock_api.moment(request, 'since');
    reason  constant text := iclock_api.word(request, 'reason',
        '{format,encoding,date,database,table,packet}');
    device  bigint;
    size    integer;
    after   jsonb;
    items   json[];
    keys    jsonb[];
begin
    perform iclock_api.parameters(request,
        '{device_id,table,reason,since,limit,cursor}');

    select p.* into size, after from iclock_api.page(request) as p;

    if serial is not null then
        device := (iclock_api.find_device(request, serial)).id;
    end if;

    execute concat(
        'select array_agg(json_build_object( '
        '           ''id'', r.id, '
        '           ''device_id'', r.serial_number, '
        '           ''table'', r.table_name, '
        '           ''reason'', r.code, '
        '           ''words'', iclock_api.rejection_words(r.code), '
        '           ''detail'', r.reason, '
        '           ''line'', iclock_api.harmless_line(r.table_name, r.line), '
        '           ''size'', octet_length(r.line), '
        '           ''received_at'', iclock_api.utc(r.received_at)) '
        '           order by r.id desc), '
        '       array_agg(to_jsonb(r.id) order by r.id desc) '
        '  from (select l.*, d.serial_number, '
        '               iclock_api.rejection(l.reason) as code '
        '          from iclock.rejected_line l '
        '          join iclock.device d on d.id = l.device_id '
        '         where iclock_api.visible(d, $1)',
        case when device is not null then ' and l.device_id = $2' end,
        case when since is not null then ' and l.received_at >= $3' end,
        case when reason is not null
             then ' and iclock_api.rejection(l.reason) = $4' end,
        case when request #>> '{query,table}' is not null
             then ' and l.table_name = $1 #>> ''{query,table}''' end,
        case when after is not null then ' and l.id < $5' end,
        ' order by l.id desc limit $6) as r')
       into items, keys
      using request, device, since, reason, (after #>> '{}')::bigint,
            size + 1;

    return iclock_api.list(request, items, keys, size);
end
$$;
comment on function iclock_api.rejected_list(jsonb) is
    'GET /rejected: lines that were not stored';

create or replace function iclock_api.checks_json(ids bigint[])
    returns json[]
    language sql stable
    set search_path = pg_catalog, iclock, pg_temp
as $$
    select array_agg(json_build_object(
               'id', r.id,
               'device_id', r.serial_number,
               'starts', to_char(r.starts, 'YYYY-MM-DD"T"HH24:MI:SS'),
               'ends', to_char(r.ends, 'YYYY-MM-DD"T"HH24:MI:SS'),
               'status', r.status,
               'device_count', r.device_count,
               'stored_count', r.stored_count,
               'missing', r.missing,
               'words', r.note,
               'attempts', r.attempts,
               'command_id', r.command_id,
               'created_at', iclock_api.utc(r.created_at),
               'created_by', regexp_replace(r.created_by, '^api:', ''),
               'finished_at', iclock_api.utc(r.finished_at))
               order by r.id desc)
      from iclock.reconciliation r
     where r.id = any ($1)
$$;
comment on function iclock_api.checks_json(bigint[]) is
    'Checks of punches as the API shows them, the newest first';

-- The newest first; "missing" asks for those that leave something to be done.
create or replace function iclock_api.reconciliation_list(request jsonb)
    returns iclock_api.reply
    language plpgsql stable
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    serial   constant text    := request #>> '{query,device_id}';
    status   constant text    := iclock_api.word(request, 'status',
        '{asking,filling,agreed,surplus,differs,failed,resent}');
    missing  constant boolean := iclock_api.flag(request, 'missing');
    device   bigint;
    size     integer;
    after    jsonb;
    ids      bigint[];
begin
    perform iclock_api.parameters(request,
        '{device_id,status,missing,limit,cursor}');

    select p.* into size, after from iclock_api.page(request) as p;

    if serial is not null then
        device := (iclock_api.find_device(request, serial)).id;
    end if;

    execute concat(
        'select array(select k.id '
        '  from iclock.attendance_check k '
        '  join iclock.device d on d.id = k.device_id '
        ' where iclock_api.visible(d, $1)',
        case when device is not null then ' and k.device_id = $2' end,
        case when status is not null then ' and k.status = $3' end,
        case when missing
             then ' and k.status = ''differs'' '
                  'and k.device_count > k.stored_count '
                  'and not exists (select from iclock.attendance_check o '
                  ' where o.device_id = k.device_id and o.id > k.id '
                  '   and o.ends >= k.ends and o.status in '
                  '       (''agreed'', ''surplus'', ''resent'', ''differs''))'
             when not missing
             then ' and k.device_count <= k.stored_count' end,
        case when after is not null then ' and k.id < $4' end,
        ' order by k.id desc limit $5)')
       into ids
      using request, device, status, (after #>> '{}')::bigint, size + 1;

    return iclock_api.list(request, iclock_api.checks_json(ids),
                           array(select to_jsonb(i) from unnest(ids) as i),
                           size);
end
$$;
comment on function iclock_api.reconciliation_list(jsonb) is
    'GET /reconciliation: whether punches on terminals have all arrived';

-- A time of a body on the clock of a device: a day is all of it.
drop function if exists iclock_api.clock_time(jsonb, text, boolean);

create or replace function iclock_api.clock_time(
        body      jsonb,
        name      text,
        day_ends  boolean,
        zone      text)
    returns timestamp
    language plpgsql stable
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    value   constant text      := body ->> name;
    moment  constant timestamp := iclock_api.local(value, zone, day_ends);
begin
    if value is not null and moment is null then
        perform iclock_api.wrong('#/' || name,
            'is no day, nor a time such as 2026-03-27T08:30:12');
    end if;
    return moment;
end
$$;
comment on function iclock_api.clock_time(jsonb, text, boolean, text) is
    'A time of a body, or an error that names it';

-- Without times from where no agreement is known until now.
create or replace function iclock_api.devices_verify(request jsonb)
    returns iclock_api.reply
    language plpgsql
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    body    constant jsonb := coalesce(request -> 'body', '{}');
    d       iclock.device  := iclock_api.find_device(request,
                                                     request #>> '{path,sn}');
    starts  timestamp;
    ends    timestamp;
    ids     bigint[];
begin
    perform iclock_api.parameters(request, '{}'),
            iclock_api.members(body, '{starts:string,ends:string}');

    if d.status <> 'active' then
        perform iclock_api.fail(409, 'conflict',
            format('device "%s" is %s', d.serial_number, d.status));
    end if;

    ends := coalesce(iclock_api.clock_time(body, 'ends', true,
                                           iclock.zone_of(d)),
                     date_trunc('second', timezone(iclock.zone_of(d), now())));
    starts := coalesce(iclock_api.clock_time(body, 'starts', false,
                                             iclock.zone_of(d)),
                       iclock.unchecked_since(d.id, ends));

    if starts > ends then
        perform iclock_api.wrong('#/starts', 'is after "ends"');
    end if;

    ids := array[iclock.verify_attendance(d.serial_number, starts, ends)];

    return iclock_api.reply(202, json_build_object(
        'commands', iclock_api.command_list(ids)),
        meta => iclock_api.wait(request, ids));
end
$$;
comment on function iclock_api.devices_verify(jsonb) is
    'POST /devices/{sn}/verify: compares punches, and fetches what is missing';


-- What a terminal tells of itself

create or replace function iclock_api.device_errors(request jsonb)
    returns iclock_api.reply
    language plpgsql stable
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    d      iclock.device := iclock_api.find_device(request,
                                                   request #>> '{path,sn}');
    size   integer;
    after  jsonb;
    ids    bigint[];
    items  json[];
begin
    perform iclock_api.parameters(request, '{limit,cursor}');

    select p.* into size, after from iclock_api.page(request) as p;

    ids := array(select e.id
                   from iclock.device_error e
                  where e.device_id = d.id
                    and e.id < coalesce((after #>> '{}')::bigint,
                                        9223372036854775807)
                  order by e.id desc
                  limit size + 1);

    select array_agg(json_build_object(
               'id', e.id,
               'code', e.code,
               'words', coalesce(e.label, concat_ws(', ', e.generator,
                                                    e.module)),
               'message', e.message,
               'origin', coalesce(e.origin_label, e.origin),
               'command_id', e.command_id,
               'command', e.command,
               'user_id', e.pin,
               'received_at', iclock_api.utc(e.received_at))
               order by e.id desc)
      into items
      from iclock.device_error_log e
     where e.id = any (ids);

    return iclock_api.list(request, items,
                           array(select to_jsonb(i) from unnest(ids) as i),
                           size);
end
$$;
comment on function iclock_api.device_errors(jsonb) is
    'GET /devices/{sn}/errors: what it has reported, the newest first';

create or replace function iclock_api.device_operations(request jsonb)
    returns iclock_api.reply
    language plpgsql stable
    set search_path = pg_catalog, iclock, pg_temp
    set datestyle = 'ISO'
as $$
declare
    d      iclock.device := iclock_api.find_device(request,
                                                   request #>> '{path,sn}');
    size   integer;
    after  jsonb;
    items  json[];
    keys   jsonb[];
begin
    perform iclock_api.parameters(request, '{limit,cursor}');

    select p.* into size, after from iclock_api.page(request) as p;

    select array_agg(json_build_object(
               'code', o.code,
               'words', l.label,
               'operator', nullif(o.operator, '0'),
               'alarm', case when o.code = 3 then
                   (select a.label
                      from iclock.label a
                     where a.kind = 'alarm'
                       and a.dialect = d.dialect
                       and a.code in (o.object1, o.object2)
                     order by a.code = o.object2 desc
                     limit 1) end,
               'objects', json_build_array(o.object1, o.object2, o.object3,
                                           o.object4),
               'local_time', to_char(o.local_time,
                                     'YYYY-MM-DD"T"HH24:MI:SS'),
               'timestamp', iclock_api.utc(o.operated_at),
               'received_at', iclock_api.utc(o.received_at))
               order by o.n),
           array_agg(jsonb_build_array(o.local_time::text, o.code, o.operator,
                                       o.object1, o.object2, o.object3,
                                       o.object4) order by o.n)
      into items, keys
      from (select p.*, row_number() over (
                       order by p.local_time desc, p.code desc,
                                p.operator desc, p.object1 desc,
                                p.object2 desc, p.object3 desc,
                                p.object4 desc) as n
              from (select o.*
                      from iclock.operation o
                     where o.device_id = d.id
                       and (after is null
                            or (o.local_time, o.code, o.operator, o.object1,
                                o.object2, o.object3, o.object4)
                               < ((after ->> 0)::timestamp,
                                  (after ->> 1)::integer, after ->> 2,
                                  after ->> 3, after ->> 4, after ->> 5,
                                  after ->> 6))
                     order by o.local_time desc, o.code desc, o.operator desc,
                              o.object1 desc, o.object2 desc, o.object3 desc,
                              o.object4 desc
                     limit size + 1) as p) as o
      left join iclock.label l
             on l.kind = 'operation' and l.dialect = d.dialect
            and l.code = o.code::text;

    return iclock_api.list(request, items, keys, size);
end
$$;
comment on function iclock_api.device_operations(jsonb) is
    'GET /devices/{sn}/operations: what was done at it, the newest first';

create or replace function iclock_api.device_settings(request jsonb)
    returns iclock_api.reply
    language plpgsql stable
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    d      iclock.device := iclock_api.find_device(request,
                                                   request #>> '{path,sn}');
    size   integer;
    after  jsonb;
    items  json[];
    keys   jsonb[];
begin
    perform iclock_api.parameters(request, '{limit,cursor}');

    select p.* into size, after from iclock_api.page(request) as p;

    select array_agg(json_build_object(
               'name', s.name,
               'value', s.value,
               'updated_at', iclock_api.utc(s.updated_at)) order by s.name),
           array_agg(to_jsonb(s.name) order by s.name)
      into items, keys
      from (select o.*
              from iclock.device_setting o
             where o.device_id = d.id
               and o.name > coalesce(after #>> '{}', '')
             order by o.name
             limit size + 1) as s;

    return iclock_api.list(request, items, keys, size);
end
$$;
comment on function iclock_api.device_settings(jsonb) is
    'GET /devices/{sn}/settings: what it has reported, but for secrets';
