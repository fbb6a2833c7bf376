-- Operations of the API that show people, delete them, and have them enrolled.

-- Where users are

drop function if exists iclock_api.holdings(bigint[], text[]);

-- On which of the devices users are, or are to be, and whether that is done: by
-- the last commands about each, and what the devices hold.  "former": what a
-- device holds is of somebody whom it was to delete, as iclock.is_former() says,
-- and the PIN is in use otherwise, by somebody else maybe.
create or replace function iclock_api.holdings(ids bigint[], pins text[])
    returns table (
        device_id  bigint,
        pin        text,
        status     text,
        leaving    boolean,
        held       boolean,
        former     boolean)
    language plpgsql
    set search_path = pg_catalog, iclock, pg_temp
    set jit = off
as $$
begin
    -- planned each time: by the number of commands that there are now
    return query execute $query$
        with emptied as materialized (
            select distinct c.device_id
              from iclock.command c
             where c.device_id = any ($1)
               and c.subject = 'user'
               and c.deletes
               and c.finished_at is null
               and (c.status <> 'queued' or c.not_before is null
                    or c.not_before <= now())
        )
        select h.device_id, h.pin, h.status, h.leaving, h.held,
               h.former
               and bool_or(h.coming or not h.former and not h.leaving)
                   over (partition by h.pin)
          from (select d.id as device_id, p.pin,
                       coalesce(k.open and k.deletes, false) as leaving,
                       u.pin is not null as held,
                       case
                       when u.pin is null then false
                       when e.device_id is not null then true
                       when g.open then true
                       when g.missed then iclock.is_former(u)
                       else false
                       end as former,
                       coalesce(not k.deletes and (k.open or k.failed), false)
                           as coming,
                       case
                       when k.open or r.open then 'pending'
                       when k.failed and (not k.deletes or u.pin is not null)
                            or r.failed then 'failed'
                       when u.pin is not null then 'synced'
                       end as status
                  from unnest($1) as d (id)
                 cross join unnest($2) as p (pin)
                  left join iclock.device_user u
                         on u.device_id = d.id and u.pin = p.pin
                  left join emptied e on e.device_id = d.id
                  left join lateral (
                       select c.deletes, c.finished_at is null as open,
                              c.status in ('failed', 'expired') as failed
                         from iclock.command c
                        where c.device_id = d.id
                          and c.subject = E'user\t' || p.pin
                          and c.status <> 'cancelled'
                          -- the user is there until then
                          and not (c.deletes and c.status = 'queued'
                                   and coalesce(c.not_before > now(), false))
                        order by - c.id
                        limit (select 1)) as k on true
                  -- the last deletion
                  left join lateral (
                       select c.finished_at is null as open,
                              c.status <> 'done' as missed
                         from iclock.command c
                        where c.device_id = d.id
                          and c.subject = E'user\t' || p.pin
                          and c.deletes
                          and (c.status <> 'cancelled'
                               or c.reason = 'the device was removed'
                               or c.reason like 'superseded by %')
                          and (c.status <> 'queued' or c.not_before is null
                               or c.not_before <= now())
                        order by 0 - c.id
                        limit (select 1)) as g
                         on u.pin is not null
                        and (k.open or k.failed or k.deletes is null)
                  -- templates and photos
                  left join lateral (
                       select bool_or(s.open) as open,
                              bool_or(s.failed) as failed
                         from (select distinct on (c.subject)
                                      c.finished_at is null as open,
                                      c.status in ('failed', 'expired')
                                          as failed
                                 from iclock.command c
                                where c.device_id = d.id
                                  and c.subject > E'user\t' || p.pin || E'\t'
                                  and c.subject < E'user\t' || p.pin || E'\n'
                                  and c.subject !~ E'\tenrolment'
                                  and c.status <> 'cancelled'
                                order by c.subject, - c.id) as s) as r
                         on u.pin is not null or k.open) as h
         where h.status is not null
        $query$
      using $1, $2;
end
$$;
comment on function iclock_api.holdings(bigint[], text[]) is
    'On which devices users are or are to be: synced, pending or failed';

-- The devices that a key sees, as the query limits them.
create or replace function iclock_api.seen_devices(request jsonb)
    returns bigint[]
    language plpgsql stable
    set search_path = pg_catalog, iclock, pg_temp
as $$
begin
    if request #>> '{query,device_id}' is not null then
        return array[(iclock_api.find_device(request,
                          request #>> '{query,device_id}')).id];
    end if;

    return array(select d.id
                   from iclock.device d
                  where iclock_api.visible(d, request)
                    and (request #>> '{query,site}' is null
                         or d.site = request #>> '{query,site}')
                  order by d.serial_number);
end
$$;
comment on function iclock_api.seen_devices(jsonb) is
    'Devices that the key of a request sees, as device_id and site of the '
    'query limit them';

-- Whether a request is about some devices, and not about sites.
create or replace function iclock_api.of_devices(request jsonb)
    returns boolean
    language sql immutable
    set search_path = pg_catalog, pg_temp
as $$
    select $1 #>> '{key,devices}' is not null
        or $1 #>> '{query,device_id}' is not null
$$;
comment on function iclock_api.of_devices(jsonb) is
    'Whether a request is limited to some devices: then persons count who are '
    'on them';

create or replace function iclock_api.seen_persons(
        request  jsonb,
        pins     text[])
    returns setof iclock.person
    language sql stable
    set search_path = pg_catalog, iclock, pg_temp
as $$
    select p.*
      from iclock.person p
     where p.pin = any ($2)
       and p.removed_at is null
       and p.sandbox = ($1 #>> '{key,mode}' = 'test')
       and iclock_api.site_visible(nullif(p.site, ''), $1)
       and ($1 #>> '{query,site}' is null or p.site = $1 #>> '{query,site}')
$$;
comment on function iclock_api.seen_persons(jsonb, text[]) is
    'Persons of the sites that the key of a request sees';

create or replace function iclock_api.user_items(
        request  jsonb,
        ids      bigint[],
        pins     text[],
        out items json[])
    language plpgsql
    set search_path = pg_catalog, iclock, pg_temp
    set jit = off
as $$
begin
    with holding as materialized (
        select h.device_id, h.pin, h.status, d.serial_number,
               coalesce(d.site, '') as site, h.former
          from iclock_api.holdings(ids, pins) as h
          join iclock.device d on d.id = h.device_id
    ),
    person as materialized (
        select p.pin, p.name, p.department, p.updated_at,
               t.pin is not null as here
          from iclock_api.seen_persons(request, pins) as p
          left join (select distinct h.pin, h.site from holding h) as t
                 on t.pin = p.pin and t.site = p.site
         where t.pin is not null or not iclock_api.of_devices(request)
    ),
    -- the record of a site where one of the devices has the person comes first
    record as (
        select p.pin,
               (array_agg(p.name order by p.name is null, p.here desc,
                          p.updated_at desc))[1] as name,
               (array_agg(p.department order by p.department is null,
                          p.here desc, p.updated_at desc))[1] as department
          from person p
         group by p.pin
    ),
    template as (
        select t.device_id, t.pin,
               json_agg(json_build_object(
                   'type', iclock_api.template_kind(t.type),
                   'index', coalesce(nullif(t.no, -1), nullif(t.index, -1)),
                   'version', case when t.major_version >= 0
                                   then concat_ws('.', t.major_version,
                                            nullif(t.minor_version, -1)) end)
                   order by t.type, t.no, t.index) as list
          from iclock.template t
         where t.device_id = any (ids) and t.pin = any (pins)
         group by t.device_id, t.pin
    ),
    place as (
        select h.pin,
               json_agg(json_build_object(
                   'device_id', h.serial_number,
                   'status', h.status,
                   'card', nullif(u.card, ''),
                   'privilege', nullif(u.privilege, -1),
                   'templates', coalesce(t.list, '[]'))
                   order by h.serial_number) as devices,
               (array_agg(u.name order by u.name = '', u.updated_at desc))[1]
                   as name
          from holding h
          left join iclock.device_user u
                 on u.device_id = h.device_id and u.pin = h.pin
                and not h.former
          left join template t
                 on t.device_id = h.device_id and t.pin = h.pin
                and not h.former
         group by h.pin
    )
    select array_agg(json_build_object(
               'user_id', w.pin,
               'name', coalesce(r.name, nullif(l.name, '')),
               'department', r.department,
               'devices', coalesce(l.devices, '[]')) order by w.pin)
      into items
      from unnest(pins) as w (pin)
      left join record r on r.pin = w.pin
      left join place l on l.pin = w.pin
     where r.pin is not null or l.pin is not null;
end
$$;
comment on function iclock_api.user_items(jsonb, bigint[], text[]) is
    'Users as the API shows them, of those PINs that the key of a request '
    'sees';

-- By PIN: the next ones of each device and of the persons.
create or replace function iclock_api.users_list(request jsonb)
    returns iclock_api.reply
    language plpgsql
    set search_path = pg_catalog, iclock, pg_temp
    set jit = off
as $$
declare
    query    constant jsonb := request -> 'query';
    q        constant text  := lower(nullif(query ->> 'q', ''));
    size     integer;
    after    jsonb;
    ids      bigint[];
    pins     text[];
    users    record;
begin
    perform iclock_api.parameters(request,
        '{device_id,site,q,limit,cursor}');

    select p.size, p.after into size, after from iclock_api.page(request) as p;
    ids := iclock_api.seen_devices(request);

    select array_agg(w.pin order by w.pin) into pins
      from (select u.pin
              from unnest(ids) as d (id)
             cross join lateral (
                   select o.pin
                     from iclock.device_user o
                    where o.device_id = d.id
                      and o.pin > coalesce(after #>> '{}', '')
                      and (q is null
                           or strpos(lower(o.pin || E'\n' || o.name), q) > 0)
                    order by o.pin
                    limit size + 1) as u
             union
            (select p.pin
               from iclock.person p
              where p.pin > coalesce(after #>> '{}', '')
                and p.removed_at is null
                and p.sandbox = (request #>> '{key,mode}' = 'test')
                and iclock_api.site_visible(nullif(p.site, ''), request)
                and (query ->> 'site' is null or p.site = query ->> 'site')
                and (q is null
                     or strpos(lower(p.pin || E'\n' || coalesce(p.name, '')),
                               q) > 0)
                -- whom one of some devices has, or is to have
                and (not iclock_api.of_devices(request)
                     or exists (select
                                  from iclock_api.holdings(ids,
                                           array[p.pin])))
              order by p.pin
              limit size + 1)
             order by pin
             limit size + 1) as w;

    select i.* into users
      from iclock_api.user_items(request, ids, pins[1:size]) as i;

    -- the cursor goes by the PINs, also if one has gone meanwhile
    return row(200, null,
        concat('{"data":[', array_to_string(users.items, ','),
               '],"has_more":', (coalesce(cardinality(pins), 0) > size)::text,
               ',"next_cursor":', coalesce(to_json(
                   case when cardinality(pins) > size
                   then iclock_api.cursor(request, to_jsonb(pins[size])) end)
                   ::text, 'null'), '}'),
        jsonb_build_object('rows', coalesce(cardinality(users.items), 0),
            'next', case when cardinality(pins) > size
                then iclock_api.cursor(request, to_jsonb(pins[size])) end))
        ::iclock_api.reply;
end
$$;
comment on function iclock_api.users_list(jsonb) is 'GET /users';

create or replace function iclock_api.users_get(request jsonb)
    returns iclock_api.reply
    language plpgsql
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    users  record;
begin
    perform iclock_api.parameters(request, '{device_id,site}');

    select i.* into users
      from iclock_api.user_items(request, iclock_api.seen_devices(request),
                                 array[request #>> '{path,id}']) as i;

    if users.items is null then
        perform iclock_api.no_user(request);
    end if;
    return iclock_api.reply(200, users.items[1]);
end
$$;
comment on function iclock_api.users_get(jsonb) is 'GET /users/{id}';

create or replace function iclock_api.no_user(request jsonb)
    returns void
    language plpgsql immutable
    set search_path = pg_catalog, iclock, pg_temp
as $$
begin
    perform iclock_api.fail(404, 'not_found',
        format('there is no user "%s"', request #>> '{path,id}'));
end
$$;
comment on function iclock_api.no_user(jsonb) is
    'The problem that the user of the path is not there';


-- Deletion, enrolment, templates

-- Of a whole site where the key may do that: then uploads of terminals do not
-- bring the person back.
create or replace function iclock_api.users_delete(request jsonb)
    returns iclock_api.reply
    language plpgsql
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    who      constant text     := request #>> '{path,id}';
    single   constant boolean  := request #>> '{query,device_id}' is not null;
    test     constant boolean  := request #>> '{key,mode}' = 'test';
    ids      bigint[];
    holders  bigint[];
    sites    text[];
    whole    text[] := '{}';
    commands bigint[];
    named    bigint[];
begin
    perform iclock_api.parameters(request, '{device_id,site}');

    ids := iclock_api.seen_devices(request);

    select coalesce(array_agg(h.device_id), '{}') into holders
      from iclock_api.holdings(ids, array[who]) as h;

    select array_agg(distinct s.site) into sites
      from (select coalesce(d.site, '') as site
              from iclock.device d
             where d.id = any (holders)
             union all
            select p.site
              from iclock_api.seen_persons(request, array[who]) as p
             where not iclock_api.of_devices(request)) as s;

    if sites is null then
        perform iclock_api.no_user(request);
    end if;

    -- sites of which the key sees all terminals that would be told, whatever is
    -- simulated there
    if not single and not test then
        select coalesce(array_agg(s.site), '{}') into whole
          from unnest(sites) as s (site)
         where s.site <> ''
           and not exists (select from iclock.device d
                            where d.site = s.site
                              and not d.sandbox
                              and d.id <> all (ids)
                              and (d.status = 'active'
                                   or d.removed_at is null
                                      and iclock.may_hold(d.id, who)));
    end if;

    commands := array(
        select c
          from unnest(whole) as s (site)
         cross join lateral iclock.delete_user_from_site(s.site, who) as c);

    commands := commands || array(
        select iclock.delete_user(d.serial_number, who)
          from iclock.device d
         where d.id = any (holders)
           and (d.status <> 'active'
                or coalesce(d.site, '') <> all (whole))
           and not exists (select from iclock.command c
                            where c.id = any (commands)
                              and c.device_id = d.id)
         order by d.serial_number);

    -- whom no other terminal of the site has
    update iclock.person p
       set removed_at = now()
     where p.pin = $1 #>> '{path,id}'
       and p.site = any (sites)
       and p.sandbox = test
       and p.removed_at is null
       and not exists (
               select
                 from iclock_api.holdings(
                          array(select d.id
                                  from iclock.device d
                                 where coalesce(d.site, '') = p.site
                                   and d.sandbox = test
                                   and d.removed_at is null), array[p.pin])
                      as h
                where not h.leaving);

    perform iclock.forget_persons(array[who]);

    -- one that was removed gets its own when it is let in again
    named := array(select c.id
                     from iclock.command c
                     join iclock.device d on d.id = c.device_id
                    where c.id = any (commands)
                      and iclock_api.visible(d, request)
                    order by array_position(commands, c.id));

    return iclock_api.reply(202, json_build_object(
        'commands', iclock_api.command_list(named)),
        meta => iclock_api.wait(request, named));
end
$$;
comment on function iclock_api.users_delete(jsonb) is
    'DELETE /users/{id}: from a device, a site, or all devices of the key';

create or replace function iclock_api.users_enroll(request jsonb)
    returns iclock_api.reply
    language plpgsql
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    body       constant jsonb   := request -> 'body';
    who        constant text    := request #>> '{path,id}';
    kind       constant text    := coalesce(body ->> 'type', 'fingerprint');
    overwrite  constant boolean := case jsonb_typeof(body -> 'overwrite')
                                   when 'boolean'
                                   then (body ->> 'overwrite')::boolean
                                   else true end;
    d          iclock.device;
    command    bigint;
    reason     text;
begin
    perform iclock_api.parameters(request, '{}'),
            iclock_api.members(body, '{device_id:string,type:string,'
                                     'index:number,overwrite:boolean}');

    if body ->> 'device_id' is null then
        perform iclock_api.wrong('#/device_id', 'is missing');
    elsif kind not in ('fingerprint', 'face', 'palm', 'vein', 'card') then
        perform iclock_api.wrong('#/type',
            'is none of fingerprint, face, palm, vein, card');
    elsif body ->> 'index' !~ '^([0-9]|10)$' then
        perform iclock_api.wrong('#/index', 'is no number of a finger');
    end if;

    d := iclock_api.find_device(request, body ->> 'device_id');

    if not exists (select
                     from iclock_api.user_items(request,
                              iclock_api.seen_devices(request), array[who])
                          as i
                    where i.items is not null)
    then
        perform iclock_api.no_user(request);
    end if;

    if kind = 'fingerprint' and body ->> 'index' = '10' and d.dialect <> '3.2'
    then
        perform iclock_api.wrong('#/index',
            'is no number of a finger: the terminal has 0 to 9');
    end if;

    reason := iclock_api.impossible(d, who);
    if reason is not null then
        perform iclock_api.fail(409, 'conflict', reason);
    end if;

    command := case kind
        when 'fingerprint' then iclock.enroll_fingerprint(
            d.serial_number, who, coalesce((body ->> 'index')::integer, 0),
            overwrite => overwrite)
        when 'card' then iclock.enroll_card(d.serial_number, who)
        else iclock.enroll_template(
            d.serial_number, who,
            (iclock_api.template_for(d, jsonb_build_object('type', kind))).type,
            overwrite => overwrite) end;

    return iclock_api.reply(202, json_build_object(
        'commands', iclock_api.command_list(array[command])),
        meta => iclock_api.wait(request, array[command]));
end
$$;
comment on function iclock_api.users_enroll(jsonb) is
    'POST /users/{id}/enroll: asks for a finger, a face or a card';

create or replace function iclock_api.templates_list(request jsonb)
    returns iclock_api.reply
    language plpgsql
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    who    constant text    := request #>> '{path,id}';
    whole  constant boolean := iclock_api.word(request, 'include', '{data}')
                               is not null;
    ids    bigint[];
    hidden bigint[];
    size   integer;
    after  jsonb;
    items  json[];
    keys   jsonb[];
begin
    perform iclock_api.parameters(request,
        '{include,device_id,site,limit,cursor}');

    select p.size, p.after into size, after from iclock_api.page(request) as p;
    ids := iclock_api.seen_devices(request);

    if not exists (select
                     from iclock_api.user_items(request, ids, array[who]) as i
                    where i.items is not null)
    then
        perform iclock_api.no_user(request);
    end if;

    select coalesce(array_agg(h.device_id), '{}') into hidden
      from iclock_api.holdings(ids, array[who]) as h
     where h.former;

    select array_agg(json_build_object(
               'device_id', t.serial_number,
               'type', iclock_api.template_kind(t.type),
               'index', coalesce(nullif(t.no, -1), nullif(t.index, -1)),
               'version', case when t.major_version >= 0
                               then concat_ws('.', t.major_version,
                                        nullif(t.minor_version, -1)) end,
               'valid', case when t.valid >= 0 then t.valid <> 0 end,
               'duress', case when t.duress >= 0 then t.duress <> 0 end,
               'size', octet_length(t.data),
               'updated_at', iclock_api.utc(t.updated_at),
               'data', case when whole then translate(
                   encode(t.data, 'base64'), E'\n', '') end) order by t.ord),
           array_agg(t.key order by t.ord)
      into items, keys
      from (select d.serial_number, o.*,
                   row_number() over place as ord,
                   jsonb_build_array(d.serial_number, o.type, o.no, o.index,
                                     o.major_version) as key
              from iclock.template o
              join iclock.device d on d.id = o.device_id
             where o.device_id = any (ids)
               and o.device_id <> all (hidden)
               and o.pin = $1 #>> '{path,id}'
               and (after is null
                    or (d.serial_number, o.type, o.no, o.index,
                        o.major_version)
                       > (after ->> 0, (after ->> 1)::integer,
                          (after ->> 2)::integer, (after ->> 3)::integer,
                          (after ->> 4)::integer))
            window place as (order by d.serial_number, o.type, o.no, o.index,
                             o.major_version)
             order by ord
             limit size + 1) as t;

    return iclock_api.list(request, items, keys, size);
end
$$;
comment on function iclock_api.templates_list(jsonb) is
    'GET /users/{id}/templates; include=data: with their content';
