-- Operations of the API about events.

-- What the key of a request may read, with what its query asks for.
create or replace function iclock_api.event_filter(
        request      jsonb,
        out types    smallint[],
        out sites    text[],
        out devices  text[],
        out mode     text)
    language plpgsql stable
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    query  constant jsonb := coalesce(request -> 'query', '{}');
begin
    if query ->> 'types' is not null then
        begin
            types := iclock.event_types(string_to_array(query ->> 'types',
                                                        ','));
        exception when invalid_parameter_value then
            perform iclock_api.fail(400, 'bad_request',
                'parameter "types" names types of events that do not exist');
        end;

        if types is null then
            perform iclock_api.fail(400, 'bad_request',
                'parameter "types" is empty');
        end if;
    end if;

    if request #>> '{key,sites}' is not null then
        sites := array(select jsonb_array_elements_text(
                                  request #> '{key,sites}'));
    end if;
    if query ->> 'site' is not null then
        sites := array(select query ->> 'site'
                        where sites is null or query ->> 'site' = any (sites));
    end if;

    if request #>> '{key,devices}' is not null then
        devices := array(select jsonb_array_elements_text(
                                    request #> '{key,devices}'));
    end if;
    if query ->> 'device_id' is not null then
        devices := array(select query ->> 'device_id'
                          where devices is null
                             or query ->> 'device_id' = any (devices));
    end if;

    mode := request #>> '{key,mode}';
end
$$;
comment on function iclock_api.event_filter(jsonb) is
    'What read_events() is to be asked for, by the key and the query of a '
    'request';


-- Where to go on: always there, since new events come.
create or replace function iclock_api.events_list(request jsonb)
    returns iclock_api.reply
    language plpgsql stable
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    query     constant jsonb := coalesce(request -> 'query', '{}');
    after     text := coalesce(query ->> 'cursor', query ->> 'after');
    size      integer;
    filter    record;
    oldest    text;
    head      text;
    place     text;
    payloads  text[];
    cursors   text[];
    more      boolean;
    next      text;
begin
    perform iclock_api.parameters(request, array['after', 'cursor', 'types',
        'device_id', 'site', 'limit', 'wait']);

    select p.size into size
      from iclock_api.page(request #- '{query,cursor}') as p;
    select f.* into filter from iclock_api.event_filter(request) as f;

    if query ->> 'wait' !~ '^([0-9]|[12][0-9]|30)$' then
        perform iclock_api.fail(400, 'bad_request',
            'parameter "wait" is not between 0 and 30');
    end if;

    begin
        oldest := iclock.event_gone(after);
        select iclock.event_cursor_text(p.xid, p.seq) into place
          from iclock.event_place(after) as p;
    exception when invalid_parameter_value then
        perform iclock_api.fail(400, 'bad_cursor',
            'parameter "after" is no cursor of the event feed');
    end;

    if oldest is not null then
        return row(410, null, null, jsonb_build_object('problem',
            jsonb_build_object('code', 'gone',
                'detail', 'events after this cursor are no longer kept',
                'oldest', oldest)))::iclock_api.reply;
    end if;

    if after is null then
        next := iclock.event_cursor();
        more := false;
    else
        -- in one statement, so that the head is that of what was read
        select array_agg(e.payload order by e.cursor),
               array_agg(e.cursor order by e.cursor), max(c.head)
          into payloads, cursors, head
          from (select iclock.event_cursor() as head offset 0) as c
          left join iclock.read_events(after, filter.types, filter.sites,
                        filter.devices, filter.mode, size + 1) as e on true;

        payloads := array_remove(payloads, null);
        more := coalesce(cardinality(payloads), 0) > size;
        next := case when more then cursors[size]
                     else greatest(head, place) end;
    end if;

    return row(200, null,
        concat('{"data":[', array_to_string(payloads[1:size], ','),
               '],"has_more":', more::text, ',"next_cursor":',
               to_json(next)::text, '}'),
        jsonb_build_object(
            'rows', least(coalesce(cardinality(payloads), 0), size),
            'next', case when more then next end,
            'empty', coalesce(cardinality(payloads), 0) = 0,
            -- nginx looks again soon: when they settle, nobody notifies it
            'unsettled', coalesce(cardinality(payloads), 0) = 0 and exists (
                select
                  from iclock.event e
                 where e.xid >= (select pg_snapshot_xmin(
                                            iclock.event_snapshot()))),
            'resume', next))::iclock_api.reply;
end
$$;
comment on function iclock_api.events_list(jsonb) is
    'GET /events: events after a cursor that no other can come before any more';


create or replace function iclock_api.events_get(request jsonb)
    returns iclock_api.reply
    language plpgsql stable
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    id      constant text := request #>> '{path,event_id}';
    filter  record;
    place   record;
    found_  text;
begin
    perform iclock_api.parameters(request, '{}');

    -- numbers begin with 1
    if id ~ '^evt_[0-7][0-9a-f]{15}_(?!0{16})[0-7][0-9a-f]{15}$' then
        select f.* into filter
          from iclock_api.event_filter(request - 'query') as f;
        select p.* into place from iclock.event_place(id) as p;

        -- one that was written before a dump was restored has another name now
        select e.payload into found_
          from iclock.read_events(
                   iclock.event_cursor_text(place.xid, place.seq - 1),
                   null, filter.sites, filter.devices, filter.mode, 1,
                   true) as e
         where e.cursor = iclock.event_cursor_text(place.xid, place.seq);
    end if;

    if found_ is null then
        perform iclock_api.fail(404, 'not_found',
            format('there is no event "%s"', id));
    end if;

    return row(200, null, found_, '{"rows":1}')::iclock_api.reply;
end
$$;
comment on function iclock_api.events_get(jsonb) is
    'GET /events/{event_id}: the event, as receivers get it';
