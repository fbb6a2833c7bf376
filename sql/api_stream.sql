-- The live stream: who may open it, from where, and what it shows.

-- What nginx has to know, a line each, after a word and a blank: "cursor" where
-- the stream begins, "reset" if what the client asked for is not kept any more;
-- "types", "sites", "devices" as arrays for read_events() and "mode", none of
-- them if there is no limit; then each "type", "site" and "device" once more.
create or replace function iclock_api.events_stream(request jsonb)
    returns iclock_api.reply
    language plpgsql
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    query    constant jsonb := request -> 'query';
    key      constant jsonb := request -> 'key';
    after    text           := query ->> 'after';
    reset    text;
    names    text[];
    types    smallint[];
    sites    text[];
    devices  text[];
begin
    perform iclock_api.parameters(request, array['after', 'types', 'site',
                                                 'device_id', 'token']);

    if not iclock.events_enabled() then
        perform iclock.enable_events();
    end if;

    names := string_to_array(query ->> 'types', ',');

    begin
        types := iclock.event_types(names);
    exception when invalid_parameter_value then
        perform iclock_api.fail(400, 'bad_request',
            'parameter "types" names types of events that do not exist');
    end;

    if names is not null and types is null then
        perform iclock_api.fail(400, 'bad_request',
            'parameter "types" is empty');
    end if;

    sites := iclock_api.stream_limit(key -> 'sites', query ->> 'site');
    devices := iclock_api.stream_limit(key -> 'devices',
                                       query ->> 'device_id');

    if after is not null then
        begin
            reset := iclock.event_gone(after);
        exception when invalid_parameter_value then
            perform iclock_api.fail(400, 'bad_cursor',
                                    'this is no cursor of the event feed');
        end;
    end if;

    if after is null or reset is not null then
        after := iclock.event_cursor(true);
    end if;

    return row(200, null, concat_ws(E'\n',
        'cursor ' || after,
        'reset ' || reset,
        'mode ' || (key ->> 'mode'),
        'types ' || types::text,
        'sites ' || sites::text,
        'devices ' || devices::text,
        (select string_agg('type ' || n, E'\n') from unnest(names) as n),
        (select string_agg('site ' || s, E'\n') from unnest(sites) as s),
        (select string_agg('device ' || d, E'\n') from unnest(devices) as d)),
        null)::iclock_api.reply;
end
$$;
comment on function iclock_api.events_stream(jsonb) is
    'Whether a stream of events may be opened: where it begins and what it '
    'shows, in lines for nginx';

-- What has a line break would be lines of its own for nginx, and widen what the
-- stream shows: nothing is called like that.
create or replace function iclock_api.stream_limit(
        allowed  jsonb,
        wanted   text)
    returns text[]
    language sql immutable
    set search_path = pg_catalog, iclock, pg_temp
as $$
    select case
           when coalesce(jsonb_typeof(allowed), 'null') = 'null'
           then case when wanted is not null
                then array(select wanted where strpos(wanted, E'\n') = 0) end
           else array(select a from jsonb_array_elements_text(allowed) as a
                       where (wanted is null or a = wanted)
                         and strpos(a, E'\n') = 0)
           end
$$;
comment on function iclock_api.stream_limit(jsonb, text) is
    'What the key allows and the request wants; NULL: everything';


-- Tokens: a browser cannot send a key with EventSource, and what stands in an
-- address is seen by too many to be worth more than one stream.

create or replace function iclock_api.stream_token(request jsonb)
    returns iclock_api.reply
    language plpgsql
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    token   constant text := 'ist_' || iclock.base64url(iclock.random_bytes());
    ends    constant timestamptz := now() + interval '60 seconds';
begin
    perform iclock_api.parameters(request, '{}');

    if request -> 'body' is not null then
        perform iclock_api.members(request -> 'body', '{}');
    end if;

    delete from iclock.stream_token t
     where t.ctid = any (array(select o.ctid
                                 from iclock.stream_token o
                                where o.expires_at < now() - interval '1 hour'
                                limit 100
                                  for update skip locked));

    insert into iclock.stream_token (token_hash, key_id, expires_at)
    values (sha256(convert_to(token, 'UTF8')), request -> 'key' ->> 'id',
            ends);

    return iclock_api.reply(201, json_build_object(
        'token', token, 'expires_at', iclock_api.utc(ends)));
end
$$;
comment on function iclock_api.stream_token(jsonb) is
    'Makes a token that opens one stream within a minute';

create or replace function iclock_api.use_stream_token(token text)
    returns text
    language sql security definer
    set search_path = pg_catalog, iclock, pg_temp
as $$
    update iclock.stream_token t
       set used_at = now()
     where t.token_hash = sha256(convert_to($1, 'UTF8'))
       and t.used_at is null
       and t.expires_at > now()
    returning t.key_id
$$;
comment on function iclock_api.use_stream_token(text) is
    'For nginx: the key that has asked for the token, which is used up now; '
    'NULL: there is none';
grant execute on function iclock_api.use_stream_token(text) to iclock_api;
