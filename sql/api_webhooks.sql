-- Operations of the API about webhooks.  A key sees those that get no more than
-- it may see itself, whoever has made them.

-- What stands in place of the values of headers, which may be secret; given back
-- it leaves the value as it is.
create or replace function iclock_api.hidden()
    returns text
    language sql immutable parallel safe
    set search_path = pg_catalog, pg_temp
as $$
    select '********'
$$;
comment on function iclock_api.hidden() is
    'What the API shows in place of a secret value';

create or replace function iclock_api.webhook_visible(
        e        iclock.webhook_endpoint,
        request  jsonb)
    returns boolean
    language sql stable
    set search_path = pg_catalog, iclock, pg_temp
as $$
    select $1.mode = $2 #>> '{key,mode}'
       and coalesce($2 #>> '{key,sites}' is null
                    or to_jsonb($1.sites) <@ ($2 #> '{key,sites}'), false)
       and coalesce($2 #>> '{key,devices}' is null
                    or to_jsonb($1.devices) <@ ($2 #> '{key,devices}'), false)
$$;
comment on function iclock_api.webhook_visible(iclock.webhook_endpoint,
    jsonb) is
    'Whether the key of a request sees a webhook';

create or replace function iclock_api.webhook_json(
        e       iclock.webhook_endpoint,
        secret  text  default null)
    returns json
    language sql stable
    set search_path = pg_catalog, iclock, pg_temp
as $$
    select concat('{"id":', to_json($1.id),
        ',"url":', to_json($1.url),
        ',"description":', to_json($1.description),
        ',"types":', coalesce(
            (select json_agg(t.name order by t.code)
               from iclock.event_type t
              where t.code = any ($1.types))::text, 'null'),
        ',"sites":', coalesce(to_json($1.sites)::text, 'null'),
        ',"devices":', coalesce(to_json($1.devices)::text, 'null'),
        ',"mode":', to_json($1.mode),
        ',"status":', to_json($1.status),
        ',"status_reason":', coalesce(to_json($1.status_reason)::text,
                                      'null'),
        ',"ordered":', $1.ordered::text,
        ',"concurrency":', $1.concurrency::text,
        ',"batch":', $1.batch::text,
        ',"headers":', coalesce(
            (select json_object_agg(h.key, iclock_api.hidden())
               from json_each($1.headers) as h)::text, '{}'),
        ',"body":', coalesce($1.body::text, 'null'),
        ',"failures":', $1.failures::text,
        ',"failing_since":', coalesce(
            to_json(iclock_api.utc($1.failing_since))::text, 'null'),
        ',"next_attempt_at":', coalesce(
            to_json(iclock_api.utc($1.next_probe_at))::text, 'null'),
        ',"retrying":', w.retrying::text,
        ',"dead":', w.dead::text,
        ',"previous_secret_until":', coalesce(
            to_json(iclock_api.utc($1.previous_until))::text, 'null'),
        ',"created_at":', to_json(iclock_api.utc($1.created_at)),
        ',"secret":' || to_json($2), '}')::json
      from (select count(*) filter (where r.state <> 'dead') as retrying,
                   count(*) filter (where r.state = 'dead') as dead
              from iclock.webhook_retry r
             where r.endpoint_id = $1.id) as w
$$;
comment on function iclock_api.webhook_json(iclock.webhook_endpoint, text) is
    'A webhook as the API shows it; its secret only where it is new';

create or replace function iclock_api.find_webhook(request jsonb)
    returns iclock.webhook_endpoint
    language plpgsql
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    endpoint  iclock.webhook_endpoint;
begin
    select e.* into endpoint
      from iclock.webhook_endpoint e
     where e.id = request #>> '{path,id}'
       and iclock_api.webhook_visible(e, request);

    if not found then
        perform iclock_api.fail(404, 'not_found',
            format('there is no webhook "%s"', request #>> '{path,id}'));
    end if;
    return endpoint;
end
$$;
comment on function iclock_api.find_webhook(jsonb) is
    'The webhook that a request names, if the key sees it; else a problem: 404';

-- What a body says of a webhook, in the form of put_webhook(), with the limits of
-- the key: all sites are all that the key sees.
create or replace function iclock_api.webhook_settings(
        request  jsonb,
        e        iclock.webhook_endpoint)
    returns json
    language plpgsql stable
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    body    jsonb          := request -> 'body';
    sites   constant jsonb := nullif(request #> '{key,sites}', 'null');
    owned   constant jsonb := nullif(request #> '{key,devices}', 'null');
    errors  jsonb;
begin
    perform iclock_api.parameters(request, '{}'),
            iclock_api.members(body, '{url:string,description:string,'
                'types:array,sites:array,devices:array,ordered:boolean,'
                'concurrency:number,batch:number,headers:object,'
                '"body:object,array"}');

    if e.id is null and body ->> 'url' is null then
        perform iclock_api.wrong('#/url', 'is missing');
    end if;

    -- as if they were not given; null is a value of the others
    body := body - array(select m.key
                           from jsonb_each(body) as m
                          where m.value = 'null'
                            and m.key <> all ('{types,sites,devices,body}'));

    -- it would never be called; one that is there already may go on later
    if request #> '{server,webhooks}' = 'true'
       and request #> '{server,webhook_http}' = 'false'
       and body ->> 'url' ~* '^http:'
       and body ->> 'url' is distinct from e.url
    then
        perform iclock_api.wrong('#/url',
            'is no address with https, and this server calls no other');
    end if;

    select jsonb_agg(jsonb_build_object('pointer', '#/' || p.member,
                                        'detail', p.detail))
      into errors
      from iclock.webhook_errors(
               (select json_object_agg(m.key, m.value)
                  from jsonb_each(body) as m
                 -- as if it were not given
                 where m.value <> 'null'))
           as p;

    if errors is null then
        select jsonb_agg(i.error order by i.error ->> 'pointer') into errors
          from (select jsonb_build_object(
                           'pointer', '#/sites/' || s.n - 1,
                           'detail', 'the key does not see this site')
                  from jsonb_array_elements_text(
                           nullif(body -> 'sites', 'null'))
                       with ordinality as s (name, n)
                 where not iclock_api.site_visible(s.name, request)
                 union all
                select jsonb_build_object(
                           'pointer', '#/devices/' || s.n - 1,
                           'detail', 'there is no such device')
                  from jsonb_array_elements_text(
                           nullif(body -> 'devices', 'null'))
                       with ordinality as s (name, n)
                 where not exists (
                           select from iclock.device d
                            where d.serial_number = s.name
                              and iclock_api.visible(d, request)))
               as i (error);
    end if;

    if errors is not null then
        perform iclock_api.fail(422, 'invalid',
            concat(substr(errors -> 0 ->> 'pointer', 3), ': ',
                   errors -> 0 ->> 'detail'), errors);
    end if;

    -- a value that is not shown is not sent elsewhere, either
    if substring(lower(body ->> 'url') from '^https?://[^/?]+')
       <> substring(lower(e.url) from '^https?://[^/?]+')
       and exists (
               select
                 from json_object_keys(e.headers) as o (name)
                 left join jsonb_each_text(nullif(body -> 'headers', 'null'))
                           as h on lower(h.key) = lower(o.name)
                where not body ? 'headers' or h.value = iclock_api.hidden())
    then
        perform iclock_api.wrong('#/headers',
            'have to be given again with an address of another host');
    end if;

    if e.id is null or body ? 'sites' then
        body := body || jsonb_build_object('sites',
            coalesce(nullif(body -> 'sites', 'null'), sites));
    end if;

    if e.id is null or body ? 'devices' then
        body := body || jsonb_build_object('devices',
            coalesce(nullif(body -> 'devices', 'null'), owned));
    end if;

    if body ? 'headers' then
        body := body || jsonb_build_object('headers', coalesce(
            (select jsonb_object_agg(
                        h.key, case when h.value = iclock_api.hidden()
                               then coalesce(o.value, h.value)
                               else h.value end)
               from jsonb_each_text(body -> 'headers') as h
               left join json_each_text(e.headers) as o
                      on lower(o.key) = lower(h.key)), '{}'));
    end if;

    return body || jsonb_build_object('mode', request #> '{key,mode}');
end
$$;
comment on function iclock_api.webhook_settings(jsonb,
    iclock.webhook_endpoint) is
    'What the body of a request says of a webhook, as put_webhook() takes it';


create or replace function iclock_api.webhooks_list(request jsonb)
    returns iclock_api.reply
    language plpgsql stable
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    size   integer;
    after  jsonb;
    items  json[];
    keys   jsonb[];
begin
    perform iclock_api.parameters(request, '{status,limit,cursor}'),
            iclock_api.word(request, 'status',
                            '{active,failing,paused,disabled}');
    select p.* into size, after from iclock_api.page(request) as p;

    select array_agg(iclock_api.webhook_json(r.e) order by (r.e).id),
           array_agg(to_jsonb((r.e).id) order by (r.e).id)
      into items, keys
      from (select e
              from iclock.webhook_endpoint e
             where iclock_api.webhook_visible(e, request)
               and (request #>> '{query,status}' is null
                    or e.status = request #>> '{query,status}')
               and (after is null or e.id > after #>> '{}')
             order by e.id
             limit size + 1) as r;

    return iclock_api.list(request, items, keys, size);
end
$$;
comment on function iclock_api.webhooks_list(jsonb) is 'GET /webhooks';

create or replace function iclock_api.webhooks_get(request jsonb)
    returns iclock_api.reply
    language plpgsql
    set search_path = pg_catalog, iclock, pg_temp
as $$
begin
    perform iclock_api.parameters(request, '{}');
    return iclock_api.reply(200, iclock_api.webhook_json(
        iclock_api.find_webhook(request)));
end
$$;
comment on function iclock_api.webhooks_get(jsonb) is 'GET /webhooks/{id}';

create or replace function iclock_api.webhooks_create(request jsonb)
    returns iclock_api.reply
    language plpgsql
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    key       constant text := request #>> '{key,id}';
    most      constant integer := 20;
    settings  json;
    endpoint  iclock.webhook_endpoint;
begin
    settings := iclock_api.webhook_settings(request, null);

    -- one at a time, so that they are counted
    perform pg_advisory_xact_lock(
        hashtextextended('iclock webhooks ' || key, 9));

    if (select count(*) from iclock.webhook_endpoint e where e.key_id = key)
       >= most
    then
        perform iclock_api.fail(409, 'conflict',
            format('a key has at most %s webhooks', most));
    end if;

    endpoint := iclock.put_webhook(null, settings, key,
        iclock.webhook_sealed(request ->> 'sealed'));

    return iclock_api.reply(201,
        iclock_api.webhook_json(endpoint, iclock.webhook_secret_text(
                                              endpoint.secret)),
        jsonb_build_object('Location', concat(request ->> 'base',
                                              '/webhooks/', endpoint.id)));
end
$$;
comment on function iclock_api.webhooks_create(jsonb) is 'POST /webhooks';

create or replace function iclock_api.webhooks_update(request jsonb)
    returns iclock_api.reply
    language plpgsql
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    endpoint  iclock.webhook_endpoint := iclock_api.find_webhook(request);
begin
    return iclock_api.reply(200, iclock_api.webhook_json(
        iclock.put_webhook(endpoint.id,
            iclock_api.webhook_settings(request, endpoint))));
end
$$;
comment on function iclock_api.webhooks_update(jsonb) is
    'PATCH /webhooks/{id}';

create or replace function iclock_api.webhooks_delete(request jsonb)
    returns iclock_api.reply
    language plpgsql
    set search_path = pg_catalog, iclock, pg_temp
as $$
begin
    perform iclock_api.parameters(request, '{}'),
            iclock.delete_webhook((iclock_api.find_webhook(request)).id);
    return iclock_api.reply(204);
end
$$;
comment on function iclock_api.webhooks_delete(jsonb) is
    'DELETE /webhooks/{id}';

-- PostgreSQL takes more for a time: "yesterday", and one without an offset, by a
-- time zone that the client knows nothing of.
create or replace function iclock_api.body_moment(body jsonb, name text)
    returns timestamptz
    language plpgsql stable
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    value  constant text := $1 ->> $2;
begin
    if value is null
       or value ~ ('^\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d{1,6})?)?'
                   '(Z|z|[+-]\d\d:\d\d)$')
    then
        return value::timestamptz;
    end if;
    raise invalid_datetime_format;

exception when data_exception then
    perform iclock_api.wrong('#/' || $2,
                             'is not a time such as 2026-03-27T08:30:12Z');
    return null;
end
$$;
comment on function iclock_api.body_moment(jsonb, text) is
    'Moment of a body, which has an offset, or an error that names it';

create or replace function iclock_api.webhooks_action(request jsonb)
    returns iclock_api.reply
    language plpgsql
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    body      constant jsonb := coalesce(request -> 'body', '{}');
    action    constant text  := substring(request ->> 'route' from '[^/]+$');
    endpoint  iclock.webhook_endpoint := iclock_api.find_webhook(request);
    secret    text;
begin
    perform iclock_api.parameters(request, '{}'),
            iclock_api.members(body, case action
                when 'resume' then '{from_now:boolean}'::text[]
                when 'rotate-secret' then '{overlap:number}'
                when 'resend' then '{event_ids:array,since:string,'
                                   'until:string,state:string}'
                else '{}' end);

    case action
    when 'test' then
        return iclock_api.reply(202, json_build_object(
            'event_id', iclock.send_test(endpoint)));

    when 'resend' then
        return iclock_api.reply(202, json_build_object(
            'count', iclock.resend_events(endpoint,
                case when jsonb_typeof(body -> 'event_ids') = 'array'
                     then array(select i.value
                                  from jsonb_array_elements_text(
                                           body -> 'event_ids') as i)
                     end,
                iclock_api.body_moment(body, 'since'),
                iclock_api.body_moment(body, 'until'), body ->> 'state')));

    when 'rotate-secret' then
        if not coalesce((body ->> 'overlap')::numeric
                        between 0 and 2592000, true)
        then
            perform iclock_api.wrong('#/overlap',
                                     'is not between 0 and 2592000 seconds');
        end if;

        secret := iclock.change_webhook_secret(endpoint.id,
            coalesce(iclock.webhook_sealed(request ->> 'sealed'),
                     iclock.webhook_random()),
            make_interval(secs => coalesce((body ->> 'overlap')::float8,
                                           86400)));

        return iclock_api.reply(200, iclock_api.webhook_json(
            iclock_api.find_webhook(request), secret));

    when 'pause' then
        perform iclock.pause_webhook(endpoint.id);
    when 'resume' then
        perform iclock.resume_webhook(endpoint.id, coalesce(
                    (body ->> 'from_now')::boolean, false));
    end case;

    return iclock_api.reply(200, iclock_api.webhook_json(
        iclock_api.find_webhook(request)));
end
$$;
comment on function iclock_api.webhooks_action(jsonb) is
    'POST /webhooks/{id}/test, /pause, /resume, /rotate-secret, /resend';

create or replace function iclock_api.webhook_attempts(request jsonb)
    returns iclock_api.reply
    language plpgsql
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    endpoint  constant text := (iclock_api.find_webhook(request)).id;
    size      integer;
    after     jsonb;
    items     json[];
    keys      jsonb[];
begin
    perform iclock_api.parameters(request, '{event_id,limit,cursor}');
    select p.* into size, after from iclock_api.page(request) as p;

    -- the newest first
    select array_agg(json_build_object(
               'event_id', r.event_id,
               'attempt', r.attempt,
               'at', iclock_api.utc_ms(r.at),
               'duration_ms', r.duration_ms,
               'status', r.status,
               'error', r.error,
               'response', r.response) order by r.at desc, r.id desc),
           array_agg(jsonb_build_array(r.at, r.id)
                     order by r.at desc, r.id desc)
      into items, keys
      from (select a.*
              from iclock.webhook_attempt a
             where a.endpoint_id = endpoint
               and (request #>> '{query,event_id}' is null
                    or a.event_id = request #>> '{query,event_id}')
               and (after is null
                    or (a.at, a.id) < ((after ->> 0)::timestamptz,
                                       (after ->> 1)::bigint))
             order by a.at desc, a.id desc
             limit size + 1) as r;

    return iclock_api.list(request, items, keys, size);
end
$$;
comment on function iclock_api.webhook_attempts(jsonb) is
    'GET /webhooks/{id}/attempts';

create or replace function iclock_api.webhook_dead(request jsonb)
    returns iclock_api.reply
    language plpgsql
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    endpoint  constant text := (iclock_api.find_webhook(request)).id;
    size      integer;
    after     jsonb;
    items     json[];
    keys      jsonb[];
begin
    perform iclock_api.parameters(request, '{limit,cursor}');
    select p.* into size, after from iclock_api.page(request) as p;

    select array_agg(json_build_object(
               'event_id', 'evt_' || iclock.event_cursor_text(r.xid, r.seq),
               'type', r.type,
               'attempts', r.attempts,
               'first_at', iclock_api.utc(r.first_at),
               'dead_at', iclock_api.utc(r.next_at),
               'status', r.last_status,
               'error', r.last_error) order by r.xid, r.seq),
           array_agg(jsonb_build_array(r.xid::text, r.seq)
                     order by r.xid, r.seq)
      into items, keys
      from (select d.*
              from iclock.webhook_retry d
             where d.endpoint_id = endpoint
               and d.state = 'dead'
               and (after is null
                    or (d.xid, d.seq) > ((after ->> 0)::xid8,
                                         (after ->> 1)::bigint))
             order by d.xid, d.seq
             limit size + 1) as r;

    return iclock_api.list(request, items, keys, size);
end
$$;
comment on function iclock_api.webhook_dead(jsonb) is
    'GET /webhooks/{id}/dead';
