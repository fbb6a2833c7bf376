-- The one way into the API: call(), which checks the key, runs the function of
-- an operation and tells nginx what to answer.  Such a function takes the
-- request and returns a reply; nobody else may execute it:
--
--     iclock_api.devices_get(request jsonb) returns iclock_api.reply
--
-- The request has "key" {id, scopes, sites, devices, mode}, "path", "query" and
-- "body".  Bodies of replies are texts of JSON whose members have an order.  A
-- problem is a status and meta.problem {code, detail, errors}: nginx makes the
-- document of it.

do $do$
begin
    if to_regtype('iclock_api.reply') is null then
        create type iclock_api.reply as (
            status   integer,
            headers  jsonb,
            body     text,
            meta     jsonb);
    end if;
end
$do$;
comment on type iclock_api.reply is
    'What nginx is to answer; meta: problem, rows, next, wait, empty, resume, '
    'log';


-- Replies and problems

create or replace function iclock_api.reply(
        status   integer,
        body     json  default null,
        headers  jsonb default null,
        meta     jsonb default null)
    returns iclock_api.reply
    language sql immutable
    set search_path = pg_catalog, pg_temp
as $$
    select row($1, $3, $2::text, $4)::iclock_api.reply
$$;
comment on function iclock_api.reply is 'A reply with a body of JSON';

create or replace function iclock_api.problem(
        status  integer,
        code    text,
        detail  text,
        errors  jsonb default null)
    returns iclock_api.reply
    language sql immutable
    set search_path = pg_catalog, pg_temp
as $$
    select row($1, null, null,
               jsonb_build_object('problem', jsonb_strip_nulls(
                   jsonb_build_object('code', $2, 'detail', $3, 'errors', $4))))
           ::iclock_api.reply
$$;
comment on function iclock_api.problem is
    'A reply that tells of a problem; errors: [{pointer, detail}]';

-- SQLSTATE ICAPI: known to call() alone.
create or replace function iclock_api.fail(
        status  integer,
        code    text,
        detail  text,
        errors  jsonb default null)
    returns void
    language plpgsql immutable
    set search_path = pg_catalog, pg_temp
as $$
begin
    raise exception using
        errcode = 'ICAPI',
        message = $3,
        detail = jsonb_build_object('status', $1, 'code', $2, 'errors', $4);
end
$$;
comment on function iclock_api.fail is
    'Ends an operation by a problem; all that it has done is undone';

-- one error within the body or the query
create or replace function iclock_api.wrong(
        pointer  text,
        detail   text,
        status   integer default 422,
        code     text    default 'invalid')
    returns void
    language plpgsql immutable
    set search_path = pg_catalog, iclock, pg_temp
as $$
begin
    perform iclock_api.fail($3, $4, $2, jsonb_build_array(
        jsonb_build_object('pointer', $1, 'detail', $2)));
end
$$;
comment on function iclock_api.wrong is
    'Ends an operation by a problem of one member of the body: #/name';

-- What an error that an operation did not catch means; NULL: nothing that the
-- client has a part in, nginx tries again or says 503.  A message of PostgreSQL
-- about a constraint tells of tables: the client gets another one.
create or replace function iclock_api.problem_of(
        state            text,
        message          text,
        detail           text,
        constraint_name  text)
    returns iclock_api.reply
    language plpgsql immutable
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    known     jsonb;
    argument  text;
begin
    if state = 'ICAPI' then
        known := detail;
        return iclock_api.problem((known ->> 'status')::integer,
                                  known ->> 'code', message,
                                  nullif(known -> 'errors', 'null'));
    end if;

    -- connection, resources, operator, rollback, locks, read only, system
    if left(state, 2) in ('08', '40', '53', '57', '58', 'XX')
       or state in ('55P03', '25006')
    then
        return null;
    end if;

    if state in ('22P02', '22P05', '22007', '22008', '22003') then
        return iclock_api.problem(400, 'bad_request', message);

    elsif state = '42501' then
        return iclock_api.problem(403, 'scope', message);

    elsif state = 'P0002' then
        return iclock_api.problem(404, 'not_found', message);

    elsif state = '23505' then
        return iclock_api.problem(409, 'exists', 'it exists already');

    elsif state in ('23503', '55000') then
        return iclock_api.problem(409, 'conflict',
            case when coalesce(constraint_name, '') = '' then message
                 else 'something else refers to it' end);

    elsif state in ('23514', '23502', '22023', '22004', '22001', 'P0001') then
        if coalesce(constraint_name, '') <> '' then
            return iclock_api.problem(422, 'invalid',
                'a value is not possible: ' || constraint_name);
        end if;

        -- functions name the argument, which is a member of the body
        argument := substring(message from '^argument "([a-z_]+)"');
        return iclock_api.problem(422, 'invalid', message,
            case when argument is not null
            then jsonb_build_array(jsonb_build_object(
                     'pointer', '#/' || argument, 'detail', message)) end);
    end if;

    known := jsonb_build_object('log', format('%s: %s', state,
                                              left(message, 500)));
    return row(500, null, null,
               known || (iclock_api.problem(500, 'internal',
                   'an error that is not the fault of the request')).meta)
           ::iclock_api.reply;
end
$$;
comment on function iclock_api.problem_of(text, text, text, text) is
    'The reply that an error leads to, by its SQLSTATE; NULL: none';


-- What a request may have

-- Each of "allowed" is a name, or a name and the types that its value may have:
-- "index:number". null is as good as any.
create or replace function iclock_api.members(
        body     jsonb,
        allowed  text[],
        pointer  text default '#')
    returns void
    language plpgsql immutable
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    errors  jsonb;
begin
    if body is null or jsonb_typeof(body) <> 'object' then
        perform iclock_api.wrong($3, 'is not a JSON object', 400,
                                 'bad_request');
    end if;

    select jsonb_agg(jsonb_build_object(
               'pointer', $3 || '/' || replace(replace(m, '~', '~0'),
                                               '/', '~1'),
               'detail', 'is not known') order by m)
      into errors
      from jsonb_object_keys(body) as m
     where not exists (select from unnest($2) as a
                        where split_part(a, ':', 1) = m);

    if errors is not null then
        perform iclock_api.fail(400, 'unknown_field',
            'the body has members that are not known', errors);
    end if;

    select jsonb_agg(jsonb_build_object(
               'pointer', $3 || '/' || m.key,
               'detail', 'is no ' || replace(split_part(a, ':', 2), ',',
                                             ' or ')) order by m.key)
      into errors
      from jsonb_each(body) as m
      join unnest($2) as a on split_part(a, ':', 1) = m.key
     where a like '%:%'
       and jsonb_typeof(m.value) <> 'null'
       and jsonb_typeof(m.value)
           <> all (string_to_array(split_part(a, ':', 2), ','));

    if errors is not null then
        perform iclock_api.fail(400, 'bad_request',
            'the body has members of another type', errors);
    end if;
end
$$;
comment on function iclock_api.members(jsonb, text[], text) is
    'Refuses an object that has other members than these, or of other types '
    'where types are given: name:string,number';

create or replace function iclock_api.parameters(
        request  jsonb,
        allowed  text[])
    returns void
    language plpgsql immutable
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    unknown  text;
begin
    if request -> 'query' = '{}' then
        return;
    end if;

    select min(p) into unknown
      from jsonb_object_keys(coalesce(request -> 'query', '{}')) as p
     where p <> all (allowed);

    if unknown is not null then
        perform iclock_api.fail(400, 'bad_request',
            format('there is no parameter "%s" here', unknown));
    end if;
end
$$;
comment on function iclock_api.parameters(jsonb, text[]) is
    'Refuses a request whose query has other parameters than these';

-- true or false of the query
create or replace function iclock_api.flag(request jsonb, name text)
    returns boolean
    language plpgsql immutable
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    value  constant text := request -> 'query' ->> name;
begin
    if value not in ('true', 'false') then
        perform iclock_api.fail(400, 'bad_request',
            format('parameter "%s" is neither true nor false', name));
    end if;
    return value::boolean;
end
$$;
comment on function iclock_api.flag(jsonb, text) is
    'A parameter that is true or false; NULL: it is not given';

-- one of some words of the query
create or replace function iclock_api.word(
        request  jsonb,
        name     text,
        words    text[])
    returns text
    language plpgsql immutable
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    value  constant text := request -> 'query' ->> name;
begin
    if value <> all (words) then
        perform iclock_api.fail(400, 'bad_request',
            format('parameter "%s" is none of %s', name,
                   array_to_string(words, ', ')));
    end if;
    return value;
end
$$;
comment on function iclock_api.word(jsonb, text, text[]) is
    'A parameter that is one of some words; NULL: it is not given';


-- Pages: a cursor is bound to the filters of the request, so that none of them
-- changes on the way.

create or replace function iclock_api.filters(request jsonb)
    returns text
    language sql immutable
    set search_path = pg_catalog, pg_temp
as $$
    select left(md5(jsonb_build_array(
               request -> 'route', request -> 'path',
               coalesce(request -> 'query', '{}')
               - '{limit,cursor,format}'::text[])::text), 12)
$$;
comment on function iclock_api.filters(jsonb) is
    'What the cursor of a list is bound to';

create or replace function iclock_api.cursor(request jsonb, after jsonb)
    returns text
    language sql immutable
    set search_path = pg_catalog, iclock, pg_temp
as $$
    select iclock.base64url(convert_to(
               jsonb_build_array(iclock_api.filters(request), after)::text,
               'UTF8'))
$$;
comment on function iclock_api.cursor(jsonb, jsonb) is
    'Cursor of the page that begins behind a row: its keys, as page() gives '
    'them';

-- "size" rows; one more tells whether there is another page.  ndjson and csv
-- come whole, in larger pages, which nginx asks for one by one: by pages of one
-- row a single request would take the time of thousands.
create or replace function iclock_api.page(
        request    jsonb,
        out size   integer,
        out after  jsonb)
    language plpgsql immutable
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    query   constant jsonb   := request -> 'query';
    most    constant integer := coalesce((request ->> 'page_max')::integer,
                                         1000);
    given   jsonb;
begin
    if query ->> 'limit' is not null
       and request ->> 'format' in ('ndjson', 'csv')
    then
        perform iclock_api.fail(400, 'bad_request',
            'parameter "limit" is for pages of JSON: ndjson and csv come '
            'whole');
    end if;

    if query ->> 'limit' is not null then
        if query ->> 'limit' !~ '^[0-9]{1,9}$'
           or (query ->> 'limit')::integer not between 1 and most
        then
            perform iclock_api.fail(400, 'bad_request', format(
                'parameter "limit" is not between 1 and %s', most));
        end if;
        size := query ->> 'limit';
    elsif request ->> 'format' in ('ndjson', 'csv') then
        size := 5000;
    else
        size := least(coalesce((request ->> 'page_default')::integer, 100),
                      most);
    end if;

    if query ->> 'cursor' is null then
        return;
    end if;

    begin
        given := convert_from(decode(
            rpad(translate(query ->> 'cursor', '-_', '+/'),
                 (length(query ->> 'cursor') + 3) / 4 * 4, '='), 'base64'),
            'UTF8');
    exception when data_exception then
        given := null;
    end;

    if given ->> 0 is distinct from iclock_api.filters(request) then
        perform iclock_api.fail(400, 'bad_cursor',
            'parameter "cursor" is none of this list with these filters');
    end if;

    after := given -> 1;
end
$$;
comment on function iclock_api.page(jsonb) is
    'How many rows a page of a list has, and the keys of the row that it '
    'begins behind; NULL: at the beginning';

-- Items and keys of size + 1 rows at most.
create or replace function iclock_api.list(
        request  jsonb,
        items    json[],
        keys     jsonb[],
        size     integer)
    returns iclock_api.reply
    language plpgsql immutable
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    more  constant boolean := coalesce(cardinality(items), 0) > size;
    next  constant text    := case when more
                              then iclock_api.cursor(request, keys[size]) end;
begin
    return row(200, null,
        concat('{"data":[', array_to_string(items[1:size], ','),
               '],"has_more":', more::text, ',"next_cursor":',
               coalesce(to_json(next)::text, 'null'), '}'),
        jsonb_build_object('rows',
                           least(coalesce(cardinality(items), 0), size),
                           'next', next))::iclock_api.reply;
end
$$;
comment on function iclock_api.list(jsonb, json[], jsonb[], integer) is
    'A page of a list, of one row more than it has, and the keys of each row';


-- Times

create or replace function iclock_api.utc(at timestamptz)
    returns text
    language sql stable parallel safe
as $$
    select pg_catalog.to_char(pg_catalog.timezone('UTC', at),
                              'YYYY-MM-DD"T"HH24:MI:SS"Z"')
$$;
comment on function iclock_api.utc(timestamptz) is
    'A moment as 2026-03-27T08:30:12Z';

create or replace function iclock_api.utc_ms(at timestamptz)
    returns text
    language sql stable parallel safe
as $$
    select pg_catalog.to_char(pg_catalog.timezone('UTC', at),
                              'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')
$$;
comment on function iclock_api.utc_ms(timestamptz) is
    'A moment as 2026-03-27T08:30:12.431Z';


-- Who sees what: sites and devices of the key, sandbox or not, nothing removed.

-- no search_path, so that it can be inlined
create or replace function iclock_api.visible(d iclock.device, request jsonb)
    returns boolean
    language sql stable parallel safe
as $$
    select d.removed_at is null
       and d.sandbox = (request #>> '{key,mode}' = 'test')
       and coalesce(request #>> '{key,sites}' is null
                    or request #> '{key,sites}' ? d.site, false)
       and (request #>> '{key,devices}' is null
            or request #> '{key,devices}' ? d.serial_number)
$$;
comment on function iclock_api.visible(iclock.device, jsonb) is
    'Whether the key of a request sees a device';

create or replace function iclock_api.site_visible(site text, request jsonb)
    returns boolean
    language sql stable parallel safe
as $$
    select coalesce(request #>> '{key,sites}' is null
                    or request #> '{key,sites}' ? site, false)
$$;
comment on function iclock_api.site_visible(text, jsonb) is
    'Whether the key of a request sees a site; no site: if it sees all';

-- What others must not see is not there.
create or replace function iclock_api.find_device(
        request        jsonb,
        serial_number  text)
    returns iclock.device
    language plpgsql stable
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    device  iclock.device;
begin
    select d.* into device
      from iclock.device d
     where d.serial_number = $2
       and iclock_api.visible(d, request);

    if not found then
        perform iclock_api.fail(404, 'not_found',
            format('there is no device "%s"', $2));
    end if;
    return device;
end
$$;
comment on function iclock_api.find_device(jsonb, text) is
    'The device with a serial number, if the key sees it; else a problem: 404';


-- Commands that an operation has queued

create or replace function iclock_api.command_list(ids bigint[])
    returns json
    language sql stable
    set search_path = pg_catalog, iclock, pg_temp
as $$
    select coalesce(json_agg(json_build_object(
               'id', c.id,
               'device_id', d.serial_number,
               'status', c.status) order by array_position($1, c.id)), '[]')
      from iclock.command c
      join iclock.device d on d.id = c.device_id
     where c.id = any ($1)
$$;
comment on function iclock_api.command_list(bigint[]) is
    'Commands as replies name them: [{id, device_id, status}]';

create or replace function iclock_api.wait(request jsonb, ids bigint[])
    returns jsonb
    language sql stable
    set search_path = pg_catalog, pg_temp
as $$
    select case when request ->> 'wait' is not null
                 and cardinality(ids) > 0
           then '{"wait":true}'::jsonb end
$$;
comment on function iclock_api.wait(jsonb, bigint[]) is
    'meta of a reply that names commands: nginx waits for them if it was told '
    'to (Prefer: wait)';

-- For nginx, which holds a reply back until its commands have ended: the body
-- as it is by now.
create or replace function iclock_api.settle(given text)
    returns table (settled text, body text)
    language plpgsql stable security definer
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    reply     constant json     := $1;
    ids       constant bigint[] := array(
        select (c ->> 'id')::bigint
          from json_array_elements(reply -> 'commands') as c);
    states    text[];
    whole     text;
begin
    states := array(select distinct c.status
                      from iclock.command c
                     where c.id = any (ids));

    settled := not states && array['queued', 'sent'];

    -- "status" is of users: whether the terminals have them
    whole := case when states && array['queued', 'sent'] then 'pending'
                  when states <@ array['done']           then 'synced'
                  else 'failed' end;

    select '{' || string_agg(to_json(m.key)::text || ':' || case
               when m.key = 'commands'
               then iclock_api.command_list(ids)::text
               when m.key = 'status'
                    and m.value::text in ('"pending"', '"synced"', '"failed"')
               then to_json(whole)::text
               else m.value::text end, ',' order by m.ord) || '}'
      into body
      from json_each(reply) with ordinality as m (key, value, ord);

    return next;
end
$$;
comment on function iclock_api.settle(text) is
    'For nginx: whether the commands that the body of a reply names have all '
    'ended, and the body as it is by now';
grant execute on function iclock_api.settle(text) to iclock_api;


-- The call

-- NULL: the key may do this.
create or replace function iclock_api.refusal(
        key      iclock.api_key,
        request  jsonb)
    returns iclock_api.reply
    language plpgsql stable
    set search_path = pg_catalog, iclock, pg_temp
as $$
begin
    -- nobody is told which of them it is
    if key.id is null or key.revoked_at is not null or key.expires_at <= now()
    then
        return iclock_api.problem(401, 'bad_key', 'the key is not valid');
    end if;

    if key.allowed_networks is not null
       and not coalesce((request ->> 'address')::inet
                        <<= any (key.allowed_networks), false)
    then
        return iclock_api.problem(403, 'address',
            format('the key may not be used from %s',
                   coalesce(host((request ->> 'address')::inet),
                            'this address')));
    end if;

    if request ->> 'scope' <> all (key.scopes) then
        return iclock_api.problem(403, 'scope',
            format('the key lacks scope %s', request ->> 'scope'));
    end if;

    return null;
end
$$;
comment on function iclock_api.refusal(iclock.api_key, jsonb) is
    'Why a key may not do what the request asks for; NULL: it may';

-- Runs the operation.  What it has done is undone when it fails.
create or replace function iclock_api.run(
        operation  text,
        request    jsonb,
        body       text)
    returns iclock_api.reply
    language plpgsql
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    answer   iclock_api.reply;
    state    text;
    message  text;
    detail   text;
    refused  text;
begin
    if body <> '' then
        begin
            request := request || jsonb_build_object('body', body::jsonb);
        exception when data_exception or program_limit_exceeded then
            return iclock_api.problem(400, 'bad_json',
                                      'the body is not valid JSON');
        end;
    end if;

    begin
        -- Punches are moved to a partition of their own meanwhile: whoever
        -- waited for that with a snapshot from before would find none of them,
        -- see lock_punch().  What follows takes a new one.
        if operation in ('logs_list', 'daily_list', 'devices_get',
                         'devices_list', 'devices_create', 'devices_update')
        then
            lock table only iclock.punch in access share mode;
        end if;

        -- views leave out simulated devices
        if operation = 'daily_list' then
            perform set_config('iclock.simulated',
                               case request #>> '{key,mode}' when 'test'
                               then 'on' else '' end, true);
        end if;

        -- without a plan made anew
        if operation = 'devices_get' then
            answer := iclock_api.devices_get(request);
        elsif operation = 'logs_list' then
            answer := iclock_api.logs_list(request);
        elsif operation = 'events_list' then
            answer := iclock_api.events_list(request);
        else
            execute format('select r.* from iclock_api.%I($1) as r', operation)
               into answer using request;
        end if;
        return answer;

    exception when others then
        get stacked diagnostics
            state = returned_sqlstate, message = message_text,
            detail = pg_exception_detail, refused = constraint_name;

        answer := iclock_api.problem_of(state, message, detail, refused);
        if answer.status is null then
            raise;
        end if;

        -- the client is told nothing, and the log of PostgreSQL all but values
        if answer.status = 500 then
            raise log 'operation "%" of the API: %', operation,
                answer.meta ->> 'log';
        end if;
        return answer;
    end;
end
$$;
comment on function iclock_api.run(text, jsonb, text) is
    'Runs an operation, and makes a problem of its error';

-- An answer that was given before to a request of this name, or NULL: then the
-- name is locked until the end of the transaction.
create or replace function iclock_api.replay(key_id text, request jsonb)
    returns iclock_api.reply
    language plpgsql
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    name   constant text := request ->> 'idempotency_key';
    given  iclock.api_idempotency;
begin
    if name !~ '^[\x20-\x7e]{1,255}$' then
        return iclock_api.problem(400, 'bad_idempotency_key',
            'Idempotency-Key has no 1 to 255 printable characters');
    end if;

    if not pg_try_advisory_xact_lock(
           hashtextextended('iclock_api ' || key_id || ' ' || name, 9))
    then
        return iclock_api.problem(409, 'busy_key',
            'the request with this Idempotency-Key is still under way');
    end if;

    select i.* into given
      from iclock.api_idempotency i
     where i.key_id = $1
       and i.idempotency_key = name;

    if not found then
        return null;
    end if;

    -- forgotten, though not deleted yet
    if given.created_at < now() - interval '1 day' then
        delete from iclock.api_idempotency i
         where i.key_id = $1
           and i.idempotency_key = name;
        return null;
    end if;

    if given.fingerprint is distinct from request ->> 'fingerprint' then
        return iclock_api.problem(422, 'reused_key',
            'this Idempotency-Key was used for another request');
    end if;

    return row(given.status,
               coalesce(given.headers, '{}')
               || '{"Idempotency-Replayed":"true"}',
               given.body, given.meta)::iclock_api.reply;
end
$$;
comment on function iclock_api.replay(text, jsonb) is
    'The answer that a request with an Idempotency-Key got before; NULL: none';

create or replace function iclock_api.call(
        operation  text,
        request    jsonb,
        body       text default null)
    returns iclock_api.reply
    language plpgsql security definer
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    writes  constant boolean := request ->> 'method' not in ('GET', 'HEAD');
    named   constant boolean := request ->> 'idempotency_key' is not null
                                and request ->> 'method' in ('POST', 'PATCH');
    key     iclock.api_key;
    answer  iclock_api.reply;
    target  text;
begin
    -- the only one for everybody
    if operation = 'service' then
        return iclock_api.run(operation, request - 'key', null);
    end if;

    select k.* into key
      from iclock.api_key k
     where k.id = request ->> 'key';

    answer := iclock_api.refusal(key, request);
    if answer.status is not null then
        return answer;
    end if;

    request := request || jsonb_build_object('key', jsonb_build_object(
        'id', key.id, 'scopes', key.scopes, 'sites', key.sites,
        'devices', key.devices, 'mode', key.mode));

    -- see caller()
    if writes then
        perform set_config('iclock.api_key', key.name, true);
    end if;

    if named then
        answer := iclock_api.replay(key.id, request);
    end if;

    if answer.status is null then
        answer := iclock_api.run(operation, request, body);

        if named and answer.status < 500 then
            insert into iclock.api_idempotency (key_id, idempotency_key,
                       fingerprint, status, headers, body, meta)
            values (key.id, request ->> 'idempotency_key',
                    coalesce(request ->> 'fingerprint', ''), answer.status,
                    answer.headers, answer.body, answer.meta);
        end if;
    end if;

    if writes or request ->> 'scope' = 'templates:read' then
        target := (select string_agg(p.value, '/' order by p.key desc)
                     from jsonb_each_text(request -> 'path') as p);

        -- what was made is not in the path
        if target is null and answer.headers ? 'Location' then
            target := coalesce(answer.body::json ->> 'user_id',
                               answer.body::json ->> 'id');
        end if;

        insert into iclock.api_audit (key_id, operation, target, status,
                                      address, request_id)
        values (key.id, operation, target, answer.status,
                (request ->> 'address')::inet,
                request ->> 'request_id');
    end if;

    -- who else uses the key does not wait for this
    if (key.last_used_at > now() - interval '1 minute') is not true
       and current_setting('transaction_read_only') = 'off'
    then
        update iclock.api_key k
           set last_used_at = now(),
               last_used_address = (request ->> 'address')::inet
         where k.ctid = (select u.ctid
                           from iclock.api_key u
                          where u.id = key.id
                            for no key update skip locked);
    end if;

    return answer;
end
$$;
comment on function iclock_api.call(text, jsonb, text) is
    'For nginx: what the API answers to a request: checks the key, runs the '
    'function of the operation, keeps the answer for its Idempotency-Key, '
    'notes who wrote';
grant execute on function iclock_api.call(text, jsonb, text) to iclock_api;

create or replace function iclock_api.service(request jsonb)
    returns iclock_api.reply
    language sql stable
    set search_path = pg_catalog, iclock, pg_temp
as $$
    select iclock_api.reply(200, json_build_object(
        'service', 'iclock',
        'version', coalesce(request ->> 'version',
                            (select max(v.version)::text
                               from iclock.schema_version v)),
        'time', iclock_api.utc(now())))
$$;
comment on function iclock_api.service(jsonb) is 'GET /: needs no key';
