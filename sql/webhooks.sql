-- Webhooks: addresses that get events by HTTP.  Here they are made and set; see
-- webhook_work.sql for how nginx delivers.
--
-- Everything up to the cursor of an endpoint has been delivered, is dead, or
-- stands in webhook_retry.  So what waits for a receiver that is away takes no
-- rows: the cursor stands still.

-- The clock of deliveries.  The setting iclock.clock, an interval, moves it, for
-- tests alone.
create or replace function iclock.webhook_now()
    returns timestamptz
    language sql stable
    set search_path = pg_catalog, pg_temp
as $$
    select now() + coalesce(nullif(current_setting('iclock.clock', true),
                                   ''), '0')::interval
$$;
comment on function iclock.webhook_now() is
    'now(), which tests may move by the setting iclock.clock';


-- 256 bits that nobody can guess: sha256 mixes those of two UUIDs.
create or replace function iclock.webhook_random()
    returns bytea
    language sql volatile
    set search_path = pg_catalog, pg_temp
as $$
    select sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()))
$$;
comment on function iclock.webhook_random() is '32 random bytes';

-- The key is with nginx alone, which makes "whsec_..." of "sealed_...".
create or replace function iclock.webhook_secret_text(secret bytea)
    returns text
    language sql immutable strict
    set search_path = pg_catalog, pg_temp
as $$
    select case when octet_length($1) > 64 then 'sealed_' else 'whsec_' end
           || translate(encode($1, 'base64'), E'\n', '')
$$;
comment on function iclock.webhook_secret_text(bytea) is
    'A secret as receivers write it, or as nginx has sealed it';

create or replace function iclock.webhook_sealed(sealed text)
    returns bytea
    language sql immutable strict
    set search_path = pg_catalog, pg_temp
as $$
    select decode(substring($1 from '^sealed_([A-Za-z0-9+/]+={0,2})$'),
                  'base64')
$$;
comment on function iclock.webhook_sealed(text) is
    'What the table has of a secret that nginx has sealed';

create or replace function iclock.webhook_secret_key(secret bytea)
    returns text
    language sql immutable strict
    set search_path = pg_catalog, pg_temp
as $$
    select case when octet_length($1) > 64
           then encode(substr($1, 9, 8), 'hex') end
$$;
comment on function iclock.webhook_secret_key(bytea) is
    'Id of the key that has sealed a secret; NULL: it is in clear';

-- Where an endpoint begins that has never got anything, or skips what there is.
create or replace function iclock.webhook_start(
        out xid  xid8,
        out seq  bigint)
    language sql stable
    set search_path = pg_catalog, iclock, pg_temp
as $$
    select p.xid, p.seq from iclock.event_place(iclock.event_cursor()) as p
$$;
comment on function iclock.webhook_start() is
    'The place behind all events that are settled';

-- nginx looks at its endpoints when it hears that
create or replace function iclock.webhook_changed()
    returns void
    language sql
    set search_path = pg_catalog, pg_temp
as $$
    select pg_notify('iclock_event', 'webhook')
$$;
comment on function iclock.webhook_changed() is
    'Tells nginx that an endpoint is not as it was';


-- What is wrong with settings of an endpoint: members, and what is said of them.
create or replace function iclock.webhook_errors(settings json)
    returns table (member text, detail text)
    language plpgsql stable
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    given  record;
    error  text;
begin
    for given in
        select m.key, m.value, json_typeof(m.value) as kind,
               m.value #>> '{}' as text
          from json_each(settings) as m
    loop
        error := case given.key
            when 'url' then
                case when given.kind <> 'string' then 'is no text'
                     when not iclock.is_webhook_url(given.text)
                     then 'is not an address that begins with https:// or '
                          'http://, names a host, has neither user nor '
                          'fragment, and at most 2048 bytes' end
            when 'description' then
                case when given.kind <> 'string' then 'is no text'
                     when length(given.text) > 500
                     then 'is longer than 500 characters' end
            when 'mode' then
                case when given.text is null
                          or given.text not in ('live', 'test')
                     then 'is neither live nor test' end
            when 'ordered' then
                case when given.kind <> 'boolean'
                     then 'is neither true nor false' end
            when 'concurrency' then
                case when given.kind <> 'number'
                          or given.text !~ '^[0-9]{1,4}$'
                          or given.text::integer not between 1 and 32
                     then 'is not a number from 1 to 32' end
            when 'batch' then
                case when given.kind <> 'number'
                          or given.text !~ '^[0-9]{1,4}$'
                          or given.text::integer not between 1 and 500
                     then 'is not a number from 1 to 500' end
            when 'headers' then
                iclock.webhook_headers_error(given.value)
            when 'body' then
                case when given.kind <> 'null'
                     then iclock.webhook_template_error(given.value) end
            else
                case when given.kind = 'null' then null
                     when given.kind <> 'array' then 'is not a list of texts'
                     when json_array_length(given.value)
                          not between 1 and 1000
                     then 'has not 1 to 1000 items; for all of them say null'
                     when exists (
                         select from json_array_elements(given.value) as i
                          where json_typeof(i.value) <> 'string'
                             or length(i.value #>> '{}') > 100)
                     then 'is not a list of texts'
                     when given.key = 'types' then
                         (select 'there are no events "' || i.value || '"'
                            from json_array_elements_text(given.value) as i
                           where not exists (select from iclock.event_type t
                                              where t.name = i.value)
                           limit 1)
                end
            end;

        if error is not null then
            member := given.key;
            detail := error;
            return next;
        end if;
    end loop;
end
$$;
comment on function iclock.webhook_errors(json) is
    'What is wrong with settings of a webhook: the member, and why';


-- A list of texts of settings, without repetitions; NULL: all.
create or replace function iclock.webhook_list(settings json, member text)
    returns text[]
    language sql stable
    set search_path = pg_catalog, pg_temp
as $$
    select array_agg(distinct i.value order by i.value)
      from json_array_elements_text(
               case when json_typeof($1 -> $2) = 'array' then $1 -> $2 end)
           as i
$$;
comment on function iclock.webhook_list(json, text) is
    'A list of texts out of settings of a webhook';


-- Makes an endpoint, or sets those of its members that are given.  The caller has
-- seen to it that he may.
drop function if exists iclock.put_webhook(text, json, text);

create or replace function iclock.put_webhook(
        id        text,
        settings  json,
        key_id    text   default null,
        secret    bytea  default null)
    returns iclock.webhook_endpoint
    language plpgsql
    set search_path = pg_catalog, iclock, pg_temp
as $$
#variable_conflict use_column
declare
    error     record;
    endpoint  iclock.webhook_endpoint;
    known     iclock.webhook_endpoint;
    random    bytea;
begin
    select * into error from iclock.webhook_errors(settings) limit 1;

    if found then
        raise invalid_parameter_value
            using message = format('argument "%s": %s', error.member,
                                   error.detail);
    end if;

    if $1 is not null then
        select e.* into strict endpoint
          from iclock.webhook_endpoint e where e.id = $1 for update;
        known := endpoint;
    else
        random := iclock.webhook_random();
        endpoint.id := 'wh_' || (
            select string_agg(substr('abcdefghijklmnopqrstuvwxyz234567',
                                     get_byte(random, i) % 32 + 1, 1), '')
              from generate_series(0, 11) as i);
        endpoint.secret := coalesce($4, iclock.webhook_random());
        endpoint.key_id := $3;
    end if;

    if settings -> 'url' is not null then
        endpoint.url := settings ->> 'url';
    end if;
    if settings -> 'types' is not null then
        endpoint.types := iclock.event_types(
            iclock.webhook_list(settings, 'types'));
    end if;
    if settings -> 'sites' is not null then
        endpoint.sites := iclock.webhook_list(settings, 'sites');
    end if;
    if settings -> 'devices' is not null then
        endpoint.devices := iclock.webhook_list(settings, 'devices');
    end if;
    if settings -> 'headers' is not null then
        endpoint.headers := settings -> 'headers';
    end if;
    if settings -> 'body' is not null then
        endpoint.body := nullif(settings ->> 'body', '')::json;
    end if;
    endpoint.description := coalesce(settings ->> 'description',
                                     endpoint.description, '');
    endpoint.mode := coalesce(settings ->> 'mode', endpoint.mode, 'live');
    endpoint.ordered := coalesce((settings ->> 'ordered')::boolean,
                                 endpoint.ordered, false);
    endpoint.concurrency := coalesce((settings ->> 'concurrency')::integer,
                                     endpoint.concurrency, 4);
    endpoint.batch := coalesce((settings ->> 'batch')::integer,
                               endpoint.batch, 1);
    endpoint.headers := coalesce(endpoint.headers, '{}');

    if $1 is null then
        -- what is stored from now on is for it
        perform iclock.enable_events();
        select s.xid, s.seq into endpoint.cursor_xid, endpoint.cursor_seq
          from iclock.webhook_start() as s;

        insert into iclock.webhook_endpoint (id, url, description, types,
                    sites, devices, mode, secret, ordered, concurrency, batch,
                    headers, body, cursor_xid, cursor_seq, key_id, created_by)
        values (endpoint.id, endpoint.url, endpoint.description,
                endpoint.types, endpoint.sites, endpoint.devices,
                endpoint.mode, endpoint.secret, endpoint.ordered,
                endpoint.concurrency, endpoint.batch, endpoint.headers,
                endpoint.body, endpoint.cursor_xid, endpoint.cursor_seq,
                endpoint.key_id, iclock.calling_role())
        returning * into endpoint;
    else
        update iclock.webhook_endpoint e
           set url = endpoint.url, description = endpoint.description,
               types = endpoint.types, sites = endpoint.sites,
               devices = endpoint.devices, mode = endpoint.mode,
               ordered = endpoint.ordered,
               concurrency = endpoint.concurrency, batch = endpoint.batch,
               headers = endpoint.headers, body = endpoint.body
         where e.id = endpoint.id
        returning * into endpoint;

        -- What waits, or is dead, is what it had asked for until now; of a
        -- test it has asked for that one.
        if (endpoint.types, endpoint.sites, endpoint.devices, endpoint.mode)
           is distinct from
           (known.types, known.sites, known.devices, known.mode)
        then
            delete from iclock.webhook_retry r
             using iclock.event_type t
             where r.endpoint_id = endpoint.id
               and t.name = r.type
               and r.type <> 'webhook.test'
               and not iclock.webhook_wants(endpoint.id, endpoint.types,
                       endpoint.sites, endpoint.devices, endpoint.mode,
                       t.code, r.type, r.payload::json #>> '{device,site}',
                       r.payload::json #>> '{device,id}',
                       known.mode = 'test', r.payload);
        end if;
    end if;

    perform iclock.webhook_changed();
    return endpoint;
end
$$;
comment on function iclock.put_webhook(text, json, text, bytea) is
    'Makes a webhook (id NULL), or sets those of its members that are given; '
    'of what waits for it, what it does not ask for any more is dropped';


create or replace function iclock.webhook_visible(
        endpoint  iclock.webhook_endpoint)
    returns boolean
    language sql stable
    set search_path = pg_catalog, iclock, pg_temp
as $$
    select coalesce(v.sites is null or $1.sites <@ v.sites, false)
      from (select iclock.visible_sites() as sites) as v
$$;
comment on function iclock.webhook_visible(iclock.webhook_endpoint) is
    'Whether the caller may see all that an endpoint gets';

-- Whether an endpoint gets an event.  A test is for one of them, and no feed
-- brings it; that one was given up is for the others.
create or replace function iclock.webhook_wants(
        id         text,
        types      smallint[],
        sites      text[],
        devices    text[],
        mode       text,
        type_code  smallint,
        type       text,
        site       text,
        device     text,
        sandbox    boolean,
        payload    text)
    returns boolean
    -- no search_path, so that it can be inlined: called for every event
    language sql immutable
as $$
    select coalesce(
        ($2 is null or $6 operator(pg_catalog.=) any ($2))
        and ($3 is null or $8 operator(pg_catalog.=) any ($3))
        and ($4 is null or $9 operator(pg_catalog.=) any ($4))
        and coalesce($10, false) operator(pg_catalog.=)
            ($5 operator(pg_catalog.=) 'test')
        and case $7
            when 'webhook.test'
            then $11::json operator(pg_catalog.#>>) '{webhook,id}'
                 operator(pg_catalog.=) $1
            when 'webhook.disabled'
            then $11::json operator(pg_catalog.#>>) '{webhook,id}'
                 operator(pg_catalog.<>) $1
            else true end, false)
$$;
comment on function iclock.webhook_wants(text, smallint[], text[], text[],
    text, smallint, text, text, text, boolean, text) is
    'Whether an endpoint of this kind has asked for an event of that';


create or replace function iclock.webhook_opens(
        endpoint  iclock.webhook_endpoint,
        keys      text[])
    returns boolean
    -- no search_path, so that it can be inlined
    language sql stable
as $$
    select (pg_catalog.octet_length(($1).secret) operator(pg_catalog.<=) 64
            or coalesce(iclock.webhook_secret_key(($1).secret)
                        operator(pg_catalog.=) any ($2), false))
       and (($1).previous_secret is null
            or ($1).previous_until operator(pg_catalog.<=)
               iclock.webhook_now()
            or pg_catalog.octet_length(($1).previous_secret)
               operator(pg_catalog.<=) 64
            or coalesce(iclock.webhook_secret_key(($1).previous_secret)
                        operator(pg_catalog.=) any ($2), false))
$$;
comment on function iclock.webhook_opens(iclock.webhook_endpoint, text[]) is
    'Whether some of these keys open the secrets of a webhook, if they are '
    'sealed';


create or replace function iclock.own_webhook(id text)
    returns iclock.webhook_endpoint
    language plpgsql
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    endpoint  iclock.webhook_endpoint;
begin
    select e.* into endpoint
      from iclock.webhook_endpoint e
     where e.id = $1
       and iclock.webhook_visible(e)
       for update;

    if not found then
        raise no_data_found
            using message = format('there is no webhook "%s"', $1);
    end if;
    return endpoint;
end
$$;
comment on function iclock.own_webhook(text) is
    'An endpoint, locked, or an error if the caller may not see it';


-- What people call

create or replace function iclock.create_webhook(
        url          text,
        types        text[]   default null,
        sites        text[]   default null,
        devices      text[]   default null,
        description  text     default '',
        mode         text     default 'live',
        ordered      boolean  default false,
        concurrency  integer  default 4,
        batch        integer  default 1,
        headers      json     default '{}',
        body         json     default null,
        out id       text,
        out secret   text)
    language plpgsql security definer
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    endpoint  iclock.webhook_endpoint;
begin
    -- whoever sees some sites only gives away no others
    if $3 is null then
        $3 := iclock.visible_sites();
    else
        perform iclock.own_site('sites', s) from unnest($3) as s;
    end if;

    endpoint := iclock.put_webhook(null, json_build_object(
        'url', $1, 'types', $2, 'sites', $3, 'devices', $4,
        'description', coalesce($5, ''), 'mode', $6, 'ordered', $7,
        'concurrency', $8, 'batch', $9, 'headers', $10, 'body', $11));

    id := endpoint.id;
    secret := iclock.webhook_secret_text(endpoint.secret);
end
$$;
comment on function iclock.create_webhook is
    'Has nginx send events of these types, sites and devices (NULL: all) to '
    'an address, from now on. Returns the identifier of the webhook and the '
    'secret that signs its requests, which is never shown again. headers: '
    'JSON object of headers to send; body: template of the body';
grant execute on function iclock.create_webhook to iclock_operator;

create or replace function iclock.delete_webhook(id text)
    returns void
    language plpgsql security definer
    set search_path = pg_catalog, iclock, pg_temp
as $$
begin
    perform iclock.own_webhook($1);
    delete from iclock.webhook_endpoint e where e.id = $1;
    perform iclock.webhook_changed();
end
$$;
comment on function iclock.delete_webhook(text) is
    'Ends a webhook, with all that waits for it';
grant execute on function iclock.delete_webhook(text) to iclock_operator;

create or replace function iclock.change_webhook_secret(
        id       text,
        secret   bytea,
        overlap  interval)
    returns text
    language plpgsql
    set search_path = pg_catalog, iclock, pg_temp
as $$
begin
    if not coalesce($3 between interval '0' and interval '30 days', false) then
        raise invalid_parameter_value
            using message = 'argument "overlap": from 0 to 30 days';
    end if;

    perform iclock.own_webhook($1);

    update iclock.webhook_endpoint e
       set previous_secret = e.secret,
           previous_until = iclock.webhook_now() + $3,
           secret = $2
     where e.id = $1;

    perform iclock.webhook_changed();
    return iclock.webhook_secret_text($2);
end
$$;
comment on function iclock.change_webhook_secret(text, bytea, interval) is
    'Gives a webhook another secret, and returns its text; the caller has seen '
    'to it that he may';

create or replace function iclock.rotate_webhook_secret(
        id       text,
        overlap  interval  default '1 day')
    returns text
    language sql security definer
    set search_path = pg_catalog, iclock, pg_temp
as $$
    select iclock.change_webhook_secret($1, iclock.webhook_random(), $2)
$$;
comment on function iclock.rotate_webhook_secret(text, interval) is
    'Gives a webhook a new secret and returns it. For some time requests '
    'bear the signatures of both';
grant execute on function iclock.rotate_webhook_secret(text, interval)
    to iclock_operator;

create or replace function iclock.pause_webhook(id text)
    returns void
    language plpgsql security definer
    set search_path = pg_catalog, iclock, pg_temp
as $$
begin
    perform iclock.own_webhook($1);

    update iclock.webhook_endpoint e
       set status = 'paused', status_reason = null
     where e.id = $1;

    perform iclock.webhook_changed();
end
$$;
comment on function iclock.pause_webhook(text) is
    'Sends nothing to a webhook until resume_webhook(); events wait for it as '
    'long as they are kept';
grant execute on function iclock.pause_webhook(text) to iclock_operator;

create or replace function iclock.resume_webhook(
        id        text,
        from_now  boolean  default false)
    returns void
    language plpgsql security definer
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    moment  constant timestamptz := iclock.webhook_now();
    start   record;
begin
    perform iclock.own_webhook($1);
    select s.xid, s.seq into start from iclock.webhook_start() as s;

    update iclock.webhook_endpoint e
       set status = 'active', status_reason = null, failing_since = null,
           failures = 0, probes = 0, probing = false, next_probe_at = null,
           cursor_xid = case when $2 then start.xid else e.cursor_xid end,
           cursor_seq = case when $2 then start.seq else e.cursor_seq end
     where e.id = $1;

    -- they have their day from now
    update iclock.webhook_retry r
       set first_at = moment, next_at = moment, taken = false,
           state = case when $2 then 'dead' else r.state end
     where r.endpoint_id = $1
       and r.state <> 'dead';

    perform iclock.webhook_changed();
end
$$;
comment on function iclock.resume_webhook(text, boolean) is
    'Sends to a webhook again, after pause_webhook() or when it had been '
    'disabled: all that waits for it, or only what comes from now on';
grant execute on function iclock.resume_webhook(text, boolean)
    to iclock_operator;

-- An event of its own, for this endpoint alone, whatever it has asked for.
create or replace function iclock.send_test(endpoint iclock.webhook_endpoint)
    returns text
    language plpgsql
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    moment  constant timestamptz := iclock.webhook_now();
    event   text;
    place   record;
begin
    if not endpoint.enabled then
        raise object_not_in_prerequisite_state
            using message = format('the webhook is %s: resume it first',
                                   endpoint.status);
    end if;

    if not iclock.events_enabled() then
        perform iclock.enable_events();
    end if;

    event := iclock.event_write('webhook.test', null, format(
        '{"id":"%s","test":true}', endpoint.id)::json);

    select * into place from iclock.event_place(event);

    insert into iclock.webhook_retry (endpoint_id, xid, seq, state, first_at,
                                      next_at, type, payload)
    select endpoint.id, e.xid, e.seq, 'resend', moment, moment,
           'webhook.test', iclock.event_json(e)
      from iclock.event e
     where e.xid = place.xid and e.seq = place.seq;

    perform iclock.webhook_changed();
    return event;
end
$$;
comment on function iclock.send_test(iclock.webhook_endpoint) is
    'Sends an event webhook.test to an endpoint';

create or replace function iclock.test_webhook(id text)
    returns text
    language sql security definer
    set search_path = pg_catalog, iclock, pg_temp
as $$
    select iclock.send_test(iclock.own_webhook($1))
$$;
comment on function iclock.test_webhook(text) is
    'Sends an event webhook.test to a webhook, and returns its identifier';
grant execute on function iclock.test_webhook(text) to iclock_operator;


-- Events that an endpoint is to get again.  What it has not asked for it does not
-- get.
create or replace function iclock.resend_events(
        endpoint   iclock.webhook_endpoint,
        event_ids  text[],
        since      timestamptz,
        until      timestamptz,
        state      text)
    returns integer
    language plpgsql
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    moment  constant timestamptz := iclock.webhook_now();
    picked  iclock.event[];
    dead    bigint;
    sent    bigint;
begin
    if (event_ids is not null)::integer + (state is not null)::integer
       + (since is not null or until is not null)::integer <> 1
    then
        raise invalid_parameter_value
            using message = 'give either event_ids, or since and until, or '
                            'state';
    elsif state <> 'dead' then
        raise invalid_parameter_value
            using message = 'argument "state": is not dead';
    elsif cardinality(event_ids) > 10000 then
        raise invalid_parameter_value
            using message = 'argument "event_ids": more than 10000 events';
    elsif exists (select from unnest(event_ids) as i
                   where i !~ '^evt_[0-7][0-9a-f]{15}_[0-7][0-9a-f]{15}$')
    then
        raise invalid_parameter_value
            using message = 'argument "event_ids": not all are identifiers '
                            'of events';
    elsif event_ids is null and state is null
          and not coalesce(since < coalesce(until, 'infinity'), false)
    then
        raise invalid_parameter_value
            using message = 'argument "since": is not before until';
    end if;

    if state is null then
        -- those that it gets are counted, and no others
        picked := array(
            select e
              from iclock.event e
              join iclock.event_type t on t.code = e.type
              left join iclock.device d on d.id = e.device_id
             where case when event_ids is null
                        then e.created_at >= since
                             and e.created_at < coalesce(until, 'infinity')
                             and t.name <> 'webhook.test'
                             and (endpoint.types is null
                                  or e.type = any (endpoint.types))
                             and iclock.webhook_wants(endpoint.id,
                                 endpoint.types, endpoint.sites,
                                 endpoint.devices, endpoint.mode, e.type,
                                 t.name,
                                 case when endpoint.sites is not null
                                      then coalesce(iclock.event_site(e),
                                                    e.data ->> 'site') end,
                                 coalesce(d.serial_number, e.data ->> 'id'),
                                 coalesce(d.sandbox, e.type = 8
                                          and e.status is not null),
                                 json_build_object('webhook', e.data)::text)
                   else (e.xid, e.seq) in (
                            select p.xid, p.seq
                              from unnest(event_ids) as i,
                                   iclock.event_place(i) as p) end
             order by e.xid, e.seq
             limit 10001);

        if cardinality(picked) > 10000 then
            raise invalid_parameter_value
                using message = 'more than 10000 events: send them in parts';
        end if;

        insert into iclock.webhook_retry as r (endpoint_id, xid, seq, state,
                                               first_at, next_at, type,
                                               payload)
        select endpoint.id, p.xid, p.seq, 'resend', moment, moment, p.type,
               p.payload
          from iclock.event_payloads(picked) as p
          join iclock.event_type t on t.name = p.type
         where iclock.webhook_wants(endpoint.id, endpoint.types,
                                    endpoint.sites, endpoint.devices,
                                    endpoint.mode, t.code, p.type, p.site,
                                    p.device, p.sandbox, p.payload)
        on conflict on constraint webhook_retry_pkey do update
           set state = 'resend', attempts = 0,
               -- by this, what is on its way is told from what is asked for
               first_at = greatest(moment,
                                   r.first_at + interval '1 millisecond'),
               -- a sender of another version does not say it
               next_at = moment + case when r.taken then interval '1 second'
                                       else interval '0' end,
               taken = false;
        get diagnostics sent = row_count;
    end if;

    -- those that are kept longer than the feed keeps them
    update iclock.webhook_retry r
       set state = 'resend', attempts = 0, first_at = moment,
           next_at = moment, taken = false
     where r.endpoint_id = endpoint.id
       and r.state = 'dead'
       and case when $5 = 'dead' then true
           when $2 is not null
           then 'evt_' || iclock.event_cursor_text(r.xid, r.seq) = any ($2)
           else false end
       and (r.xid, r.seq) in (
               select o.xid, o.seq
                 from iclock.webhook_retry o
                where o.endpoint_id = endpoint.id and o.state = 'dead'
                order by o.xid, o.seq
                limit case when $5 = 'dead' then 10000 end);
    get diagnostics dead = row_count;

    perform iclock.webhook_changed();
    return coalesce(sent, 0) + dead;
end
$$;
comment on function iclock.resend_events(iclock.webhook_endpoint, text[],
    timestamptz, timestamptz, text) is
    'Sends events to an endpoint again, at most 10000, and returns how many';

create or replace function iclock.resend_webhook(
        id         text,
        event_ids  text[]       default null,
        since      timestamptz  default null,
        until      timestamptz  default null,
        state      text         default null)
    returns integer
    language sql security definer
    set search_path = pg_catalog, iclock, pg_temp
as $$
    select iclock.resend_events(iclock.own_webhook($1), $2, $3, $4, $5)
$$;
comment on function iclock.resend_webhook(text, text[], timestamptz,
    timestamptz, text) is
    'Sends events to a webhook again, with their old identifiers: these, or '
    'those of a time, or those that are dead (state ''dead''); at most 10000. '
    'Returns how many';
grant execute on function iclock.resend_webhook(text, text[], timestamptz,
    timestamptz, text) to iclock_operator;
