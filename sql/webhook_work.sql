-- How nginx delivers events to webhooks.  A sender, one of each nginx, leases
-- endpoints, asks for work, and tells what came of it.
--
-- An event that was refused stands in webhook_retry and is tried again: after 1,
-- 2, 4 ... seconds, an hour at most, until a day has passed; then it is dead.  An
-- endpoint that has refused five times in a row is failing: it gets one event at
-- a time, after pauses that grow to a quarter of an hour, until one succeeds; a
-- new event at once, if it has answered and refused few others only.
-- After a day without success it is disabled; but where events have an order and
-- the receiver answers, it is the event that is dead by then, and the next one
-- has its turn.  If that one is refused for a day, too, it was not the event.

create or replace function iclock.webhook_milliseconds(pause interval)
    returns text
    language sql immutable strict
    set search_path = pg_catalog, pg_temp
as $$
    select greatest(0, ceil(extract(epoch from $1) * 1000))::bigint::text
$$;
comment on function iclock.webhook_milliseconds(interval) is
    'An interval in milliseconds; none is negative';

-- The pause after an attempt: it doubles, and differs by a tenth so that not all
-- come at the same time.
create or replace function iclock.webhook_pause(attempt integer, most interval)
    returns interval
    language sql volatile
    set search_path = pg_catalog, pg_temp
as $$
    select least(make_interval(secs => 2.0 ^ least(greatest($1, 1) - 1, 20)),
                 $2) * (0.9 + 0.2 * random())
$$;
comment on function iclock.webhook_pause(integer, interval) is
    'How long to wait after an attempt of this number';


-- Who changes many endpoints in one transaction takes them in an order of his
-- own.  So nobody waits here for one while he has another: what a block has
-- locked is free again when it fails.
create or replace function iclock.webhook_lock(ids text[])
    returns void
    language plpgsql
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    awaited  text;
begin
    loop
        begin
            perform from iclock.webhook_endpoint e
              where e.id = any ($1)
                for no key update nowait;
            return;
        exception when lock_not_available then
            null;
        end;

        foreach awaited in array $1 loop
            begin
                perform from iclock.webhook_endpoint e
                  where e.id = awaited
                    for no key update;
                raise sqlstate 'IC001';
            exception when sqlstate 'IC001' then
                null;
            end;
        end loop;
    end loop;
end
$$;
comment on function iclock.webhook_lock(text[]) is
    'Locks endpoints, and waits for none of them while it has locked others';


-- What a sender has read of an endpoint is for it as it was then: nothing of it
-- may go to another address, nor may more than is asked for now.
create or replace function iclock.webhook_terms(
        endpoint  iclock.webhook_endpoint)
    returns text
    language sql immutable
    set search_path = pg_catalog, iclock, pg_temp
as $$
    select encode(sha256(convert_to(
               row(($1).url, ($1).headers::text, ($1).types, ($1).sites,
                   ($1).devices, ($1).mode, ($1).body::text)::text,
               'UTF8')), 'hex')
$$;
comment on function iclock.webhook_terms(iclock.webhook_endpoint) is
    'A hash of what an endpoint gets, and where: events that were read for '
    'another one are not for it';


-- Leases that are about to end.  Nobody waits for long here: for who has one of
-- the endpoints in a transaction that goes on, no lease would be renewed.
create or replace function iclock.webhook_renew(
        sender  text,
        ids     text[],
        until   timestamptz)
    returns void
    language plpgsql
    set search_path = pg_catalog, iclock, pg_temp
    set lock_timeout = '300ms'
as $$
begin
    perform iclock.webhook_lock($2);

    update iclock.webhook_endpoint e
       set leased_until = $3
     where e.id = any ($2)
       and e.leased_by = $1;

exception when lock_not_available then
    null;
end
$$;
comment on function iclock.webhook_renew(text, text[], timestamptz) is
    'Renews leases of a sender, or none of them, if somebody has one of the '
    'endpoints for long';


-- their columns have changed
drop function if exists iclock.webhook_lease(text, integer);
drop function if exists iclock.webhook_lease(text, integer, text[]);

-- Nobody gets an endpoint whose secrets he cannot open; he is told that there
-- are some.
create or replace function iclock.webhook_lease(
        sender  text,
        most    integer,
        keys    text[]  default null)
    returns table (
        id               text,
        url              text,
        secret           text,
        previous_secret  text,
        headers          text,
        ordered          text,
        concurrency      text,
        batch            text,
        cursor           text,
        status           text,
        probe_in         text,
        paused           text,
        terms            text)
    language plpgsql security definer
    set search_path = pg_catalog, iclock, pg_temp
as $$
#variable_conflict use_column
declare
    moment  constant timestamptz := iclock.webhook_now();
    until   constant timestamptz := moment + interval '30 seconds';
    held    bigint;
    ending  text[];
begin
    if coalesce($1, '') = '' or $2 is null then
        raise invalid_parameter_value
            using message = 'a sender has a name, and a number of endpoints';
    end if;

    select count(*) into held
      from iclock.webhook_endpoint h
     where h.leased_by = $1
       and iclock.webhook_opens(h, $3);

    -- somebody had these whenever it was their turn; we have locked none yet
    ending := array(select h.id
                      from iclock.webhook_endpoint h
                     where h.leased_by = $1
                       and iclock.webhook_opens(h, $3)
                       and h.leased_until > moment
                       and h.leased_until < moment + interval '20 seconds');

    if ending <> '{}' then
        perform iclock.webhook_renew($1, ending, until);
    end if;

    -- who has one of them now may wait for another one: the next call renews it
    update iclock.webhook_endpoint e
       set leased_until = until
     where e.id = any (array(
               select h.id
                 from iclock.webhook_endpoint h
                where h.leased_by = $1
                  and iclock.webhook_opens(h, $3)
                  for no key update skip locked));

    update iclock.webhook_endpoint e
       set leased_by = $1, leased_until = until, probing = false
     where e.id = any (array(
               select f.id
                 from iclock.webhook_endpoint f
                where (f.leased_by is null or f.leased_until < moment)
                  and iclock.webhook_opens(f, $3)
                order by f.enabled desc, f.id
                limit greatest($2 - held, 0)
                  for no key update skip locked));

    return query
    select e.id, e.url, iclock.webhook_secret_text(e.secret),
           case when e.previous_until > moment
                then iclock.webhook_secret_text(e.previous_secret) end,
           e.headers::text, e.ordered::text, e.concurrency::text,
           e.batch::text,
           iclock.event_cursor_text(e.cursor_xid, e.cursor_seq), e.status,
           case when e.enabled
                then iclock.webhook_milliseconds(e.next_probe_at - moment)
                end,
           (not e.enabled)::text, iclock.webhook_terms(e)
      from iclock.webhook_endpoint e
     where e.leased_by = $1
       and e.leased_until > moment
       and iclock.webhook_opens(e, $3)
    union all
    select e.id, '', '', null, null, 'f', '1', '1', '', 'closed', null, 't', ''
      from iclock.webhook_endpoint e
     where e.enabled
       and not iclock.webhook_opens(e, $3);
end
$$;
comment on function iclock.webhook_lease(text, integer, text[]) is
    'For nginx: leases endpoints for 30 seconds, or renews the leases, and '
    'returns those that the sender has, with their secrets; those that none of '
    'its keys opens have the status "closed"';
grant execute on function iclock.webhook_lease(text, integer, text[])
    to iclock_api;

-- The hash of what it takes the place of says that this is what the sender has
-- read.  Answers that are kept for their Idempotency-Key have it, too.
create or replace function iclock.webhook_seal(sender text, seals jsonb)
    returns void
    language plpgsql security definer
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    given   record;
    before  bytea;
begin
    perform iclock.webhook_lock(array(
        select s.id from jsonb_to_recordset($2) as s (id text)));

    for given in
        select s.id, s.old, iclock.webhook_sealed(s.new) as new
          from jsonb_to_recordset($2) as s (id text, old text, new text)
         order by s.id
    loop
        select s.secret into before
          from (select e.id, e.secret, e.previous_secret
                  from iclock.webhook_endpoint e
                 where e.id = given.id
                   and e.leased_by = $1
                   for no key update) as e,
               unnest(array[e.secret, e.previous_secret]) as s (secret)
         where encode(sha256(convert_to(iclock.webhook_secret_text(s.secret),
                                        'UTF8')), 'hex') = given.old;
        continue when not found;

        update iclock.webhook_endpoint e
           set secret = case when e.secret = before then given.new
                        else e.secret end,
               previous_secret = case when e.previous_secret = before
                                      then given.new
                                 else e.previous_secret end
         where e.id = given.id;

        update iclock.api_idempotency i
           set body = replace(i.body, iclock.webhook_secret_text(before),
                              iclock.webhook_secret_text(given.new))
         where position(iclock.webhook_secret_text(before) in i.body) > 0;
    end loop;
end
$$;
comment on function iclock.webhook_seal(text, jsonb) is
    'For nginx: puts secrets that a sender has sealed in the place of those '
    'that it has leased: [{id, old: SHA-256 of the text, new}]';
grant execute on function iclock.webhook_seal(text, jsonb) to iclock_api;


-- Nothing of these is on its way: what the sender has asked for and not sent is
-- due as it was, and so is a probe.
create or replace function iclock.webhook_release(
        sender  text,
        ids     text[]  default null)
    returns void
    language plpgsql security definer
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    moment  constant timestamptz := iclock.webhook_now();
    given   text[];
begin
    perform iclock.webhook_lock(array(
        select h.id
          from iclock.webhook_endpoint h
         where h.leased_by = $1
           and ($2 is null or h.id = any ($2))));

    with given as (
        update iclock.webhook_endpoint e
           set leased_by = null, leased_until = null, probing = false,
               next_probe_at = case when e.probing then moment
                               else e.next_probe_at end
         where e.leased_by = $1
           and ($2 is null or e.id = any ($2))
        returning e.id
    )
    select array_agg(g.id) into given from given g;

    if given is null then
        return;
    end if;

    update iclock.webhook_retry r
       set next_at = moment, taken = false
     where r.endpoint_id = any (given)
       and r.state <> 'dead'
       and r.next_at > moment
       and r.taken;

    -- somebody may be waiting for them
    perform iclock.webhook_changed();
end
$$;
comment on function iclock.webhook_release(text, text[]) is
    'For nginx: gives back endpoints that a sender has leased, or all of them, '
    'and what it has taken for them';
grant execute on function iclock.webhook_release(text, text[]) to iclock_api;


-- Events that are due again, at most as many as each endpoint has room for.  They
-- are due once more in a minute, should the sender vanish.  An endpoint with an
-- order gets the first one or none; one that is failing, that which was tried
-- least, when its pause is over.  What has waited behind others of its batch, or
-- since somebody asked for it again, has its day from here.
create or replace function iclock.webhook_due(
        ids    text[],
        rooms  integer[])
    returns table (
        endpoint_id  text,
        xid          xid8,
        seq          bigint,
        type         text,
        attempts     integer,
        first_at     timestamptz,
        payload      text)
    -- its plan is kept: planning took longer than all the rest of a look
    language plpgsql
    set search_path = pg_catalog, iclock, pg_temp
    set jit = off
as $$
#variable_conflict use_column
begin
    return query
    with picked as (
        select r.endpoint_id, r.xid, r.seq, e.ordered
          from unnest($1, $2) as w (id, room)
          join iclock.webhook_endpoint e on e.id = w.id
         cross join lateral (
            select d.endpoint_id, d.xid, d.seq, d.next_at
              from iclock.webhook_retry d
             where d.endpoint_id = e.id
               and d.state <> 'dead'
               and (e.ordered or e.status = 'failing'
                    or d.next_at <= iclock.webhook_now())
             order by case when e.status = 'failing' and not e.ordered
                           then d.attempts end,
                      d.xid, d.seq
             limit case when e.ordered or e.status = 'failing' then 1
                        else w.room end) as r
         where w.room > 0
           and case when e.status = 'failing'
                    -- it may have begun to fail since it was looked at
                    then coalesce(e.next_probe_at, '-infinity')
                    else r.next_at end <= iclock.webhook_now()
    ), free as (
        -- nobody waits here: results may hold what this one is about
        select f.endpoint_id, f.xid, f.seq, p.ordered
          from iclock.webhook_retry f
          join picked p using (endpoint_id, xid, seq)
           for update of f skip locked
    ), taken as (
        update iclock.webhook_retry t
           set first_at = case when p.ordered and t.attempts <= 1
                                    -- not while nobody knows what became of it
                                    and not t.taken
                                    and t.first_at < iclock.webhook_now()
                                                     - interval '1 hour'
                               then iclock.webhook_now()
                               else t.first_at end,
               next_at = iclock.webhook_now() + interval '60 seconds',
               taken = true
          from free p
         where t.endpoint_id = p.endpoint_id and t.xid = p.xid
           and t.seq = p.seq
        returning t.*
    )
    select t.endpoint_id, t.xid, t.seq, t.type, t.attempts, t.first_at,
           t.payload
      from taken t
     order by t.endpoint_id, t.xid, t.seq;
end
$$;
comment on function iclock.webhook_due(text[], integer[]) is
    'Events that endpoints are to get again now';


-- The events that all of these snapshots show.
create or replace function iclock.webhook_known(snapshots pg_snapshot[])
    returns pg_snapshot
    language sql immutable strict
    set search_path = pg_catalog, pg_temp
as $$
    select concat_ws(':', coalesce(r.oldest, n.next), n.next,
                     coalesce(r.running, ''))::pg_snapshot
      from (select min(pg_snapshot_xmax(s)::text::numeric) as next
              from unnest($1) as s) as n
     cross join lateral (
        select min(o.x) as oldest,
               string_agg(o.x::text, ',' order by o.x) as running
          from (select distinct x::text::numeric as x
                  from unnest($1) as s, pg_snapshot_xip(s) as x) as o
         where o.x < n.next) as r
$$;
comment on function iclock.webhook_known(pg_snapshot[]) is
    'A snapshot that shows what all of these show';


-- New events for many endpoints at once.  starts are cursors, whose texts are in
-- the order of the events; seen are snapshots of endpoints that have read ahead,
-- or NULL: what such a one shows is known there.  What several of them may want is
-- read once, in pieces that grow; for a single endpoint the feed does the choosing.
drop function if exists iclock.webhook_new(text[], text[], integer[]);
create or replace function iclock.webhook_new(
        ids     text[],
        starts  text[],
        rooms   integer[],
        seen    pg_snapshot[],
        ahead   boolean)
    returns table (
        endpoint_id  text,
        cursor       text,
        settled      boolean,
        event_id     text,
        type         text,
        payload      text,
        scanned      text)
    language plpgsql stable
    set search_path = pg_catalog, iclock, pg_temp
    set jit = off
    set plan_cache_mode = force_generic_plan
as $$
#variable_conflict use_column
declare
    places  text[] := starts;
    handed  text[] := starts;
    free    integer[] := rooms;
    ask     record;
    single  iclock.webhook_endpoint;
    last    text;
    size    integer;
    met     boolean := false;
    item    record;
begin
    for round in 1 .. 8 loop
        -- types NULL: one of them wants all
        select min(p.place collate "C") as lowest, count(*) as many,
               max(p.room) as room, min(p.id) as id,
               case when not bool_or(e.types is null)
                    then array(select distinct t
                                 from unnest(ids, free) as o (id, room)
                                 join iclock.webhook_endpoint x
                                      on x.id = o.id,
                                      unnest(x.types) as t
                                where o.room > 0) end as types,
               case when not bool_or(p.seen is null)
                    then array_agg(distinct p.seen::text) end as known
          into ask
          from unnest(ids, places, free, seen) as p (id, place, room, seen)
          join iclock.webhook_endpoint e on e.id = p.id
         where p.room > 0;

        exit when ask.many = 0;

        size := greatest(least(32 * 2 ^ round, 500), least(ask.room, 10000));
        single := null;

        if ask.many = 1 then
            size := greatest(least(8 * 2 ^ round, 500),
                             least(ask.room, 100000));
            select e.* into single
              from iclock.webhook_endpoint e where e.id = ask.id;
        end if;

        last := null;

        for item in
            with w as materialized (
                select p.n, p.id, p.place, p.room, p.seen, e.types, e.sites,
                       e.devices, e.mode
                  from unnest(ids, places, free, seen) with ordinality
                       as p (id, place, room, seen, n)
                  join iclock.webhook_endpoint e on e.id = p.id
                 where p.room > 0
            ),
            r as materialized (
                select f.*, t.code, row_number() over () as at,
                       ('x' || left(f.cursor, 16))::bit(64)::bigint::text::xid8
                           as xid,
                       ('x' || right(f.cursor, 16))::bit(64)::bigint as seq
                  from iclock.read_events(
                           ask.lowest || coalesce(
                               '@' || iclock.webhook_known(
                                          ask.known::pg_snapshot[]), ''),
                           ask.types, single.sites, single.devices,
                           single.mode, size, ahead) as f
                  join iclock.event_type t on t.name = f.type
            ),
            matched as (
                select w.n, w.room, r.*,
                       row_number() over (partition by w.n order by r.at) as k
                  from w
                  join r on r.cursor collate "C" > w.place
                        and r.type <> 'webhook.test'
                        and (w.seen is null
                             or not pg_visible_in_snapshot(r.xid, w.seen))
                        and iclock.webhook_wants(w.id, w.types, w.sites,
                                w.devices, w.mode, r.code, r.type, r.site,
                                r.device, r.sandbox, r.payload)
                 -- what was refused has another way
                 where not exists (
                    select
                      from iclock.webhook_retry x
                     where x.endpoint_id = w.id and x.xid = r.xid
                       and x.seq = r.seq)
            )
            select m.n, m.at, m.cursor, m.settled, m.event_id, m.type,
                   m.payload
              from matched m
             where m.k <= m.room
             union all
            (select 0, r.at, r.cursor, null, null, null, null
               from r
              order by r.at desc
              limit 1)
             order by 2, 1
        loop
            if item.n = 0 then
                met := true;
                last := case when item.at >= size then item.cursor end;
                continue;
            end if;

            endpoint_id := ids[item.n];
            cursor := item.cursor;
            settled := item.settled;
            event_id := item.event_id;
            type := item.type;
            payload := item.payload;
            handed[item.n] := item.cursor;
            free[item.n] := free[item.n] - 1;
            return next;
        end loop;

        -- all has been read
        exit when last is null;

        places := array(
            select case when p.place collate "C" < last then last
                        else p.place end
              from unnest(places) with ordinality as p (place, n)
             order by p.n);
    end loop;

    -- how far each has been read, NULL: to the end; settled: whether there was
    -- something, type: whether it got none of it
    for item in
        select p.id,
               case when p.room <= 0 then p.handed
                    when last is not null then p.place end as scanned,
               p.room = p.asked as none
          from unnest(ids, places, handed, free, rooms)
               as p (id, place, handed, room, asked)
         where p.asked > 0
    loop
        endpoint_id := item.id;
        scanned := item.scanned;
        cursor := null;
        settled := met;
        event_id := null;
        type := case when item.none then 'none' end;
        payload := null;
        return next;
    end loop;
end
$$;
comment on function iclock.webhook_new(text[], text[], integer[], pg_snapshot[],
    boolean) is
    'New events for endpoints, at most as many as each has room for; then a '
    'row without an event for each';


-- What an endpoint has not asked for need not be read again: its cursor moves
-- over it, if that is worth a write.
create or replace function iclock.webhook_skip(
        endpoint_id  text,
        horizon      text,
        scanned      text)
    returns void
    language sql
    set search_path = pg_catalog, iclock, pg_temp
as $$
    update iclock.webhook_endpoint e
       set cursor_xid = p.xid, cursor_seq = p.seq
      from iclock.event_place(case when $3 collate "C" < $2 then $3
                                   else $2 end) as p
     where e.id = (select f.id
                     from iclock.webhook_endpoint f
                    where f.id = $1
                      for no key update skip locked)
       and (e.cursor_xid, e.cursor_seq) < (p.xid, p.seq)
       and ($3 is not null or p.seq - e.cursor_seq > 500)
$$;
comment on function iclock.webhook_skip(text, text, text) is
    'Moves the cursor of an endpoint over events that it has not asked for: '
    'to the horizon, or as far as it has been scanned';


-- Each endpoint gets one event in any case.
create or replace function iclock.webhook_enough(
        spent  interval,
        size   bigint)
    returns boolean
    -- no search_path, so that it can be inlined: called for every event
    language sql immutable
as $$
    select $1 operator(pg_catalog.>) interval '1 second'
           or $2 operator(pg_catalog.>) 16777216
$$;
comment on function iclock.webhook_enough(interval, bigint) is
    'Whether nginx is to send what it has before it asks for more: 16 MB of '
    'events, or what templates have taken a second for';


-- The same as webhook_new() and what webhook_work() says at the end, for many
-- events of a single endpoint without a template, which are the rows of one query:
-- that takes half the time.  Nothing, if there is no event for it.
create or replace function iclock.webhook_many(
        endpoint  iclock.webhook_endpoint,
        start     text,
        room      integer,
        seen      pg_snapshot,
        stamp     text)
    returns table (
        endpoint_id  text,
        kind         text,
        cursor       text,
        settled      text,
        event_id     text,
        type         text,
        attempt      text,
        first_at     text,
        payload      text)
    language plpgsql stable
    set search_path = pg_catalog, iclock, pg_temp
    set jit = off
as $$
#variable_conflict use_column
begin
    return query
    with r as materialized (
        select f.*, sum(octet_length(f.payload)) over (
                        rows between unbounded preceding and current row)
                    - octet_length(f.payload) as size
          from iclock.read_events(start || coalesce('@' || seen, ''),
                   endpoint.types, endpoint.sites, endpoint.devices,
                   endpoint.mode, room, true) as f
    ),
    m as materialized (
        select r.cursor, r.settled, r.event_id, r.type, r.payload
          from r
         where not iclock.webhook_enough('0', r.size::bigint)
           and r.type <> 'webhook.test'
           and (r.type <> 'webhook.disabled'
                or r.payload::json #>> '{webhook,id}' <> endpoint.id)
           and not exists (
            select
              from iclock.webhook_retry x
             where x.endpoint_id = endpoint.id
               and x.xid = ('x' || left(r.cursor, 16))
                           ::bit(64)::bigint::text::xid8
               and x.seq = ('x' || right(r.cursor, 16))::bit(64)::bigint)
    ),
    s as materialized (
        select max(r.cursor collate "C")
                   filter (where not iclock.webhook_enough('0',
                                                           r.size::bigint))
                   as place,
               count(*) < room and not iclock.webhook_enough(
                                           '0', max(r.size)::bigint) as ended
          from r
         where exists (select from m)
    )
    select endpoint.id, 'event', m.cursor, m.settled::text, m.event_id, m.type,
           '1', stamp, m.payload
      from m
     union all
    select null, 'look', iclock.event_cursor_text(
               pg_snapshot_xmin(iclock.event_snapshot()), 0), null, null,
           case when s.ended then endpoint.id else '' end, null, null,
           iclock.event_snapshot()::text
      from s
     where s.place is not null
     union all
    select endpoint.id, 'part', s.place, null, null, null, null, null, null
      from s
     where not s.ended;
end
$$;
comment on function iclock.webhook_many(iclock.webhook_endpoint, text, integer,
    pg_snapshot, text) is
    'New events for a single endpoint, and how far it was read';


create or replace function iclock.webhook_work(sender text, wanted jsonb)
    returns table (
        endpoint_id  text,
        kind         text,
        cursor       text,
        settled      text,
        event_id     text,
        type         text,
        attempt      text,
        first_at     text,
        payload      text)
    language plpgsql security definer
    set search_path = pg_catalog, iclock, pg_temp
    set jit = off
as $$
#variable_conflict use_column
declare
    moment   constant timestamptz := iclock.webhook_now();
    stamp    constant text := to_char(moment at time zone 'UTC',
                                      'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"');
    -- before anything is read
    horizon  constant text := iclock.event_cursor();
    ids      text[];
    starts   text[];
    rooms    integer[];
    saved    text[];
    failing  boolean[];
    early    boolean[];
    bodies   json[];
    seen     pg_snapshot[];
    told     boolean[];
    idle     boolean[];
    got      integer[];
    reached  text[];
    short    boolean[];
    shown    text;
    ended    text[] := '{}';
    broken   text[] := '{}';
    single   iclock.webhook_endpoint;
    item     record;
    i        integer;
    -- templates may take long, and all endpoints wait for that
    begun    timestamptz;
    spent    interval := '0';
    size     bigint := 0;
    cut      boolean := false;
    spared   jsonb := '[]';
begin
    -- a cursor of before a dump was restored counts for nothing
    select array_agg(o.id), array_agg(o.start), array_agg(o.room),
           array_agg(o.cursor), array_agg(o.failing), array_agg(o.early),
           array_agg(o.body), array_agg(o.seen), array_agg(o.told),
           array_agg(o.idle), array_agg(0), array_agg(o.start),
           array_agg(false)
      into ids, starts, rooms, saved, failing, early, bodies, seen, told,
           idle, got, reached, short
      from (select e.id, c.cursor, e.body, e.status = 'failing' as failing,
                   coalesce(e.next_probe_at > moment, false) as early,
                   case when left(w.after, 33) collate "C" > c.cursor
                             and right(left(w.after, 33), 16) collate "C"
                                 > s.rebased
                        then left(w.after, 33)
                        else c.cursor end as start,
                   case when e.status = 'failing' then 1
                        else least(w.max, 100000) end as room,
                   case when (s.rebased ~ '^0+$'
                              or right(left(w.after, 33), 16) collate "C"
                                 > s.rebased)
                             and not e.ordered
                        then nullif(w.seen, '')::pg_snapshot end as seen,
                   w.seen is not null and not e.ordered as told,
                   w.idle
              from jsonb_to_recordset(wanted)
                       as w (id text, after text, max integer, seen text,
                             idle boolean, terms text)
              join iclock.webhook_endpoint e
                   on e.id = w.id and e.leased_by = $1
             cross join lateral (
                select iclock.event_cursor_text(e.cursor_xid, e.cursor_seq)
                       as cursor) as c
             cross join (
                select lpad(to_hex(t.rebased_seq), 16, '0') as rebased
                  from iclock.event_state t) as s
             where e.enabled
               and w.max > 0
               -- a sender of another version may not say it
               and (w.terms is null or w.terms = iclock.webhook_terms(e))
               and (e.next_probe_at is null or e.next_probe_at <= moment
                    or e.status = 'failing' and e.choosy and not e.probing)
             order by e.id) as o;

    if ids is null then
        return;
    end if;

    -- twice: first for those that work, then for those that are failing and
    -- have no new event, which is the better probe
    for pass in 1 .. 2 loop
        for item in
            select d.*
              from iclock.webhook_due(
                       array(select o.id
                               from unnest(ids, failing, early, got)
                                    as o (id, failing, early, got)
                              where o.failing = (pass = 2) and not o.early
                                and o.got = 0),
                       array(select o.room
                               from unnest(rooms, failing, early, got)
                                    as o (room, failing, early, got)
                              where o.failing = (pass = 2) and not o.early
                                and o.got = 0))
                   as d
        loop
            i := array_position(ids, item.endpoint_id);

            if got[i] > 0 and iclock.webhook_enough(spent, size) then
                cut := true;
                spared := spared || jsonb_build_object(
                    'id', item.endpoint_id, 'xid', item.xid::text,
                    'seq', item.seq);
                continue;
            end if;

            got[i] := got[i] + 1;

            endpoint_id := item.endpoint_id;
            kind := 'retry';
            cursor := null;
            settled := null;
            event_id := 'evt_' || iclock.event_cursor_text(item.xid, item.seq);
            type := item.type;
            attempt := item.attempts + 1;
            first_at := to_char(item.first_at at time zone 'UTC',
                                'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"');
            payload := item.payload;
            if bodies[i] is not null then
                begun := clock_timestamp();
                payload := iclock.webhook_render(bodies[i], payload::json);
                spent := spent + (clock_timestamp() - begun);
            end if;
            size := size + octet_length(payload);
            return next;
        end loop;

        exit when pass = 2;

        if cardinality(ids) = 1 and told[1] and bodies[1] is null
           and rooms[1] - got[1] >= 100 and not cut
        then
            select e.* into single
              from iclock.webhook_endpoint e where e.id = ids[1];

            return query
            select * from iclock.webhook_many(single, starts[1],
                                              rooms[1] - got[1], seen[1],
                                              stamp);
            if found then
                return;
            end if;
        end if;

        -- what waits in front of an order blocks it, and so does what is not
        -- settled
        for item in
            select n.*, a.shown
              from (select array_agg(o.id) as ids,
                           array_agg(o.start) as starts,
                           array_agg(o.room - o.got) as rooms,
                           array_agg(o.seen) as seen, e.ordered,
                           iclock.event_snapshot()::text as shown
                      from unnest(ids, starts, rooms, got, seen)
                           as o (id, start, room, got, seen)
                      join iclock.webhook_endpoint e on e.id = o.id
                     where o.room > o.got
                       and not (e.ordered and exists (
                               select from iclock.webhook_retry r
                                where r.endpoint_id = e.id
                                  and r.state <> 'dead'))
                     group by e.ordered
                    offset 0) as a
             cross join lateral iclock.webhook_new(a.ids, a.starts, a.rooms,
                                                   a.seen, not a.ordered) as n
        loop
            i := array_position(ids, item.endpoint_id);
            shown := item.shown;

            if item.event_id is null then
                -- nothing for it in all that: so it need not be read again
                if item.type = 'none'
                   and coalesce(idle[i], starts[i] = saved[i])
                then
                    perform iclock.webhook_skip(
                        item.endpoint_id, horizon, item.scanned);
                end if;

                if not told[i] or not item.settled
                                  and (idle[i] or seen[i] is null)
                then
                    null;
                elsif short[i] then
                    broken := broken || ids[i] || reached[i];
                elsif item.scanned is null then
                    ended := ended || ids[i];
                else
                    broken := broken || ids[i] || item.scanned;
                end if;
                continue;
            end if;

            if got[i] > 0 and iclock.webhook_enough(spent, size) then
                cut := true;
                short[i] := true;
                continue;
            end if;

            got[i] := got[i] + 1;
            reached[i] := item.cursor;

            endpoint_id := item.endpoint_id;
            kind := 'event';
            cursor := item.cursor;
            settled := item.settled;
            event_id := item.event_id;
            type := item.type;
            attempt := 1;
            first_at := stamp;
            payload := item.payload;
            if bodies[i] is not null then
                begun := clock_timestamp();
                payload := iclock.webhook_render(bodies[i], payload::json);
                spent := spent + (clock_timestamp() - begun);
            end if;
            size := size + octet_length(payload);
            return next;
        end loop;
    end loop;

    -- how far this was: those that were read to the end have all that is shown
    if ended <> '{}' or broken <> '{}' then
        endpoint_id := null;
        kind := 'look';
        cursor := iclock.event_cursor_text(
                      pg_snapshot_xmin(shown::pg_snapshot), 0);
        settled := null;
        event_id := null;
        type := array_to_string(ended, ',');
        attempt := null;
        first_at := null;
        payload := shown;
        return next;

        for n in 1 .. cardinality(broken) by 2 loop
            endpoint_id := broken[n];
            kind := 'part';
            cursor := broken[n + 1];
            type := null;
            payload := null;
            return next;
        end loop;
    end if;

    if cut then
        update iclock.webhook_retry r
           set next_at = moment, taken = false
          from jsonb_to_recordset(spared) as p (id text, xid text, seq bigint)
         where r.endpoint_id = p.id and r.xid = p.xid::xid8 and r.seq = p.seq;

        -- there is more
        perform pg_notify('iclock_event', '');
    end if;

    -- one probe at a time; another one if nobody tells what became of it
    update iclock.webhook_endpoint e
       set probing = true, next_probe_at = moment + interval '60 seconds'
     where e.id = any (array(
               select f.id
                 from unnest(ids, failing, got) as o (id, failing, got)
                 join iclock.webhook_endpoint f on f.id = o.id
                where o.failing and o.got > 0
                  for no key update of f skip locked));
end
$$;
comment on function iclock.webhook_work(text, jsonb) is
    'For nginx: what there is to be sent. wanted: [{id, after, max, seen, '
    'idle, terms}], for each endpoint the place behind which to read, how many '
    'events it can take, a snapshot whose events it has got (empty: none), '
    'whether nothing is under way, and webhook_terms() as it was leased: '
    'nothing for one that has others now. Returns events, in order, and '
    'those that are due again; then for who has said what it has seen a row '
    'look: the snapshot that was read by, the place below which it has all, the '
    'endpoints that were read to the end; and rows part: how far the others '
    'were read. Nothing for endpoints that the sender has not leased';
grant execute on function iclock.webhook_work(text, jsonb) to iclock_api;


create or replace function iclock.webhook_answers(status integer)
    returns boolean
    language sql immutable
    set search_path = pg_catalog, pg_temp
as $$
    select coalesce($1 <> all (array[429, 502, 503, 504]), false)
$$;
comment on function iclock.webhook_answers(integer) is
    'Whether this is an answer of a receiver, and not of one that is busy, or of '
    'a proxy in front of one that is away';

-- What an attempt led to makes the endpoint active, failing or disabled.  An
-- event that the receiver does not want, of which 400, 409, 413, 415, 417 and
-- 422 speak, counts once: it says nothing of the others.
create or replace function iclock.webhook_judge(
        endpoint  iclock.webhook_endpoint,
        attempts  jsonb)
    returns iclock.webhook_endpoint
    language plpgsql volatile
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    moment   constant timestamptz := iclock.webhook_now();
    tally    record;
    pause    interval;
    passed   boolean := false;
    since    timestamptz;
begin
    if not endpoint.enabled then
        return endpoint;
    end if;

    select count(*) filter (where a.outcome = 'delivered') as delivered,
           count(*) filter (where a.bad) as bad,
           count(*) filter (where a.bad and not a.later) as tail,
           count(*) filter (where a.outcome <> 'delivered') as failed,
           bool_or(a.outcome = 'gone') as gone,
           bool_or(a.outcome = 'address') as address,
           max(a.attempt) filter (where a.bad) as attempt,
           (array_agg(a.status order by a.n desc)
                filter (where a.outcome <> 'delivered'))[1] as last_status,
           max(case when a.retry_after > 3600 then 3600
                    else a.retry_after end)
               filter (where a.status in (429, 502, 503, 504)) as after
      into tally
      from (select o.*,
                   o.outcome = 'failed'
                   -- the events of a batch have one answer
                   and (endpoint.batch = 1 or o.together
                        or o.answer is distinct from
                           lag(o.answer) over (order by o.n))
                   and (o.attempt <= 1
                        or not coalesce(o.status = any (
                               array[400, 409, 413, 415, 417, 422]), false))
                       as bad,
                   coalesce(bool_or(o.outcome = 'delivered') over (
                       order by o.n rows between 1 following
                                         and unbounded following),
                            false) as later
              from (select (i.value ->> 'outcome') as outcome,
                           coalesce((i.value ->> 'attempt')::integer, 1)
                               as attempt,
                           (i.value ->> 'status')::integer as status,
                           (i.value ->> 'retry_after')::numeric
                               as retry_after,
                           i.value - '{event_id,attempt,first_at,
                                       response}'::text[] as answer,
                           i.value ? 'event_ids' as together, i.n
                      from jsonb_array_elements(attempts) with ordinality
                           as i (value, n)) as o) as a;

    if tally.gone or tally.address then
        endpoint.status := 'disabled';
        endpoint.status_reason := case when tally.gone then 'gone'
                                       else 'address' end;
        endpoint.next_probe_at := null;
        endpoint.probing := false;
        return endpoint;
    end if;

    -- An order waits for its first event, which has a day of its own.  That the
    -- receiver answers, and refuses this one, says nothing of those behind it:
    -- webhook_refused() makes it dead, since the endpoint is active then.  Unless
    -- the one before had its day, too, and nothing has succeeded since.
    if endpoint.ordered and tally.failed > 0 and tally.delivered = 0 then
        select r.first_at into since
          from iclock.webhook_retry r
         where r.endpoint_id = endpoint.id
           and r.state <> 'dead'
         order by r.xid, r.seq
         limit 1;

        since := coalesce(since, moment);
        passed := endpoint.status = 'failing'
                  and since <= moment - interval '24 hours'
                  and iclock.webhook_answers(tally.last_status)
                  and (endpoint.failing_since
                       < since - interval '23 hours') is not true;
    end if;

    if tally.delivered > 0 or passed then
        endpoint.failures := 0;
        endpoint.failing_since := case when passed
                                       then endpoint.failing_since end;
        endpoint.probes := 0;
        endpoint.probing := false;
        endpoint.next_probe_at := null;
        endpoint.status := 'active';
        endpoint.status_reason := null;
    end if;

    if tally.tail > 0 and not passed then
        endpoint.failures := endpoint.failures + tally.tail;
        endpoint.failing_since := coalesce(endpoint.failing_since, moment);
    end if;

    since := coalesce(since, endpoint.failing_since);

    if since <= moment - interval '24 hours'
       and endpoint.status = 'failing' and tally.failed > 0
    then
        endpoint.status := 'disabled';
        endpoint.status_reason := 'unreachable';
        endpoint.next_probe_at := null;
        endpoint.probing := false;
        return endpoint;
    end if;

    if endpoint.status = 'active' and endpoint.failures >= 5 then
        endpoint.status := 'failing';
        endpoint.status_reason := 'five failures in a row';
        endpoint.probes := coalesce(tally.attempt, 1);
        pause := iclock.webhook_pause(endpoint.probes, '15 minutes');

    -- others that were under way then say nothing new; a probe whose mark was
    -- skipped, because somebody had the row, was due
    elsif endpoint.status = 'failing' and tally.failed > 0
          and (endpoint.probing or endpoint.next_probe_at <= moment)
    then
        endpoint.probes := endpoint.probes + 1;
        pause := iclock.webhook_pause(endpoint.probes, '15 minutes');
    end if;

    if pause is not null then
        endpoint.probing := false;
        -- the last one after a day
        endpoint.next_probe_at := least(
            moment + pause,
            greatest(since + interval '24 hours',
                     moment + interval '1 second'));
    end if;

    if tally.after > 0 then
        endpoint.next_probe_at := greatest(
            endpoint.next_probe_at,
            moment + make_interval(secs => tally.after::float8));
    end if;

    return endpoint;
end
$$;
comment on function iclock.webhook_judge(iclock.webhook_endpoint, jsonb) is
    'The endpoint after these attempts: active, failing, disabled';


-- Keeps the events that were refused, until they are due again or dead: those of
-- many endpoints at once, for each statement has a price of its own, and of an
-- event that all of them have refused the payload is made once.
drop function if exists iclock.webhook_refused(iclock.webhook_endpoint, jsonb);
create or replace function iclock.webhook_refused(
        endpoints  text[],
        active     boolean[],
        attempts   jsonb[])
    returns void
    language plpgsql
    set search_path = pg_catalog, iclock, pg_temp
    -- planning takes longer than all the rest
    set plan_cache_mode = force_generic_plan
    -- what the planner knows of retries is old
    set enable_seqscan = off
as $$
declare
    moment  constant timestamptz := iclock.webhook_now();
begin
    with refused as materialized (
        -- the last of each
        select distinct on (a.endpoint_id, p.xid, p.seq) a.endpoint_id,
               a.active, p.xid, p.seq, a.outcome, a.status, a.error,
               a.attempt, coalesce(a.ms, 0) as ms, a.after, a.first_at
          from (select g.endpoint_id, g.active, d.event_id,
                       i.value ->> 'outcome' as outcome,
                       (i.value ->> 'status')::integer as status,
                       left(i.value ->> 'error', 200) as error,
                       greatest((i.value ->> 'attempt')::integer, 1)
                           as attempt,
                       (i.value ->> 'ms')::numeric as ms,
                       case when (i.value ->> 'status')::integer
                                 in (429, 502, 503, 504)
                                 and i.value ->> 'retry_after' is not null
                            then least((i.value ->> 'retry_after')::numeric,
                                       3600) end as after,
                       (i.value ->> 'first_at')::timestamptz as first_at,
                       i.n
                  from unnest($1, $2, $3)
                       as g (endpoint_id, active, attempts)
                 cross join lateral jsonb_array_elements(g.attempts)
                       with ordinality as i (value, n)
                 cross join lateral jsonb_array_elements_text(
                       coalesce(i.value -> 'event_ids', jsonb_build_array(
                                    i.value ->> 'event_id')))
                       as d (event_id)
                 where i.value ->> 'outcome' <> 'delivered'
                   and d.event_id ~ ('^evt_[0-7][0-9a-f]{15}'
                                     '_[0-7][0-9a-f]{15}$')) as a
         cross join lateral iclock.event_place(a.event_id) as p
         order by a.endpoint_id, p.xid, p.seq, a.n desc
    ), known as (
        update iclock.webhook_retry r
           set attempts = r.attempts + 1,
               state = n.state,
               taken = false,
               next_at = n.next_at,
               last_status = f.status,
               last_error = f.error
          from refused f,
       lateral (select case when f.outcome = 'abort'
                                 -- not of what was asked for since
                                 and coalesce(f.first_at
                                              = date_trunc('milliseconds',
                                                           o.first_at), true)
                            then 'dead'
                            when f.active
                                 and moment >= o.first_at
                                               + interval '24 hours'
                            then 'dead' else 'retrying' end as state,
                       greatest(
                           least(moment + iclock.webhook_pause(
                                              o.attempts + 1, '1 hour'),
                                 greatest(o.first_at + interval '24 hours',
                                          moment)),
                           moment + make_interval(
                               secs => f.after::float8)) as next_at,
                       o.xid, o.seq
                  from iclock.webhook_retry o
                 where o.endpoint_id = f.endpoint_id
                   and o.xid = f.xid and o.seq = f.seq) as n
         where r.endpoint_id = f.endpoint_id
           and r.xid = f.xid and r.seq = f.seq
    ), fresh as materialized (
        select f.*
          from refused f
         where not exists (select from iclock.webhook_retry k
                            where k.endpoint_id = f.endpoint_id
                              and k.xid = f.xid and k.seq = f.seq)
    )
    insert into iclock.webhook_retry as r (endpoint_id, xid, seq, state,
                attempts, first_at, next_at, last_status, last_error, type,
                payload)
    select f.endpoint_id, f.xid, f.seq,
           case when f.outcome = 'abort' then 'dead' else 'retrying' end,
           f.attempt, moment - make_interval(secs => f.ms::float8 / 1000),
           greatest(moment + iclock.webhook_pause(f.attempt, '1 hour'),
                    moment + make_interval(secs => f.after::float8)),
           f.status, f.error, p.type, p.payload
      from fresh f
      join iclock.event_payloads(array(
               select e
                 from (select distinct o.xid, o.seq from fresh o) as o
                 join iclock.event e on e.xid = o.xid and e.seq = o.seq))
           as p on p.xid = f.xid and p.seq = f.seq
      join iclock.event_type t on t.name = p.type
      join iclock.webhook_endpoint h on h.id = f.endpoint_id
     -- it may have been narrowed while they were on their way
     where p.device is null
        or iclock.webhook_wants(h.id, h.types, h.sites, h.devices, h.mode,
                                t.code, p.type, p.site, p.device, p.sandbox,
                                p.payload)
    on conflict on constraint webhook_retry_pkey do nothing;

    -- who tries looks at the attempts
    delete from iclock.webhook_retry r
     where r.endpoint_id = any ($1)
       and r.type = 'webhook.test'
       and r.attempts > 0;

    -- what is dead counts its days from now
    update iclock.webhook_retry r
       set next_at = moment
     where r.endpoint_id = any ($1)
       and r.state = 'dead'
       and r.next_at > moment;
end
$$;
comment on function iclock.webhook_refused(text[], boolean[], jsonb[]) is
    'Keeps events that endpoints have refused, to be tried again, or dead; '
    'active: which of them are';


-- Whether an endpoint answers, and it is for a few events that it is failing: so
-- these need not keep the others waiting.
create or replace function iclock.webhook_choosy(endpoint_id text)
    returns boolean
    language sql stable
    set search_path = pg_catalog, iclock, pg_temp
as $$
    select coalesce(count(*) < 5
                    and bool_and(iclock.webhook_answers(r.last_status)),
                    false)
      from (select o.last_status
              from iclock.webhook_retry o
             where o.endpoint_id = $1
               and o.state = 'retrying'
             limit 5) as r
$$;
comment on function iclock.webhook_choosy(text) is
    'Whether an endpoint answers and has refused a few events only';


create or replace function iclock.webhook_results(sender text, results jsonb)
    returns table (
        endpoint_id  text,
        status       text,
        probe_in     text)
    language plpgsql security definer
    set search_path = pg_catalog, iclock, pg_temp
    set jit = off
as $$
#variable_conflict use_column
declare
    moment    constant timestamptz := iclock.webhook_now();
    work      record;
    deleted   bigint;
    before    iclock.webhook_endpoint;
    after     iclock.webhook_endpoint;
    place     record;
    judged    iclock.webhook_endpoint[] := '{}';
    failed    text[] := '{}';
    active    boolean[] := '{}';
    attempts  jsonb[] := '{}';
    woken     text[] := '{}';
    disabled  text[] := '{}';
begin
    insert into iclock.webhook_attempt (endpoint_id, event_id, attempt, at,
                                        duration_ms, status, error, response)
    select a.endpoint, d.event_id, coalesce(a.attempt, 1), moment, a.ms,
           a.status, left(a.error, 200),
           case when d.n = 1 then left(a.response, 1024) end
      from jsonb_to_recordset(results -> 'attempts')
               as a (endpoint text, event_id text, event_ids jsonb,
                     attempt integer, ms integer, status integer, error text,
                     response text)
     cross join lateral jsonb_array_elements_text(
               coalesce(a.event_ids, jsonb_build_array(a.event_id)))
               with ordinality as d (event_id, n)
     where a.endpoint is not null and d.event_id is not null;

    perform iclock.webhook_lock(array(
        select k.id
          from jsonb_object_keys(coalesce(results -> 'cursors', '{}')) as k (id)
         union
        select i.value ->> 'endpoint'
          from jsonb_array_elements(coalesce(results -> 'attempts', '[]')) as i));

    for work in
        select coalesce(c.id, a.id) as id, c.cursor,
               coalesce(a.attempts, '[]') as attempts,
               coalesce(a.failed, 0) as failed, a.delivered
          from jsonb_each_text(coalesce(results -> 'cursors', '{}'))
                   as c (id, cursor)
          full join (select i.value ->> 'endpoint' as id,
                            jsonb_agg(i.value order by i.n) as attempts,
                            count(*) filter (
                                where i.value ->> 'outcome' <> 'delivered')
                                as failed,
                            -- first attempts stand in no other table
                            jsonb_object_agg(
                                i.value ->> 'event_id', i.value ->> 'first_at')
                                filter (
                                where i.value ->> 'outcome' = 'delivered'
                                  and i.value ->> 'kind'
                                      is distinct from 'event'
                                  and i.value ->> 'event_id' is not null)
                                as delivered
                       from jsonb_array_elements(
                                coalesce(results -> 'attempts', '[]'))
                            with ordinality as i (value, n)
                      group by 1) as a on a.id = c.id
         where coalesce(c.id, a.id) is not null
         order by 1
    loop
        select e.* into before
          from iclock.webhook_endpoint e
         where e.id = work.id
           for no key update;

        if not found then
            endpoint_id := work.id;
            status := 'deleted';
            probe_in := null;
            return next;
            continue;
        end if;

        after := iclock.webhook_judge(before, work.attempts);

        -- not what somebody has asked for while it was on its way
        if work.delivered is not null then
            delete from iclock.webhook_retry r
             where r.endpoint_id = work.id
               and r.taken
               and work.delivered
                   ? ('evt_' || iclock.event_cursor_text(r.xid, r.seq))
               -- a sender of another version does not say it
               and coalesce((work.delivered
                             ->> ('evt_' || iclock.event_cursor_text(
                                                r.xid, r.seq)))::timestamptz
                            = date_trunc('milliseconds', r.first_at), true);
            get diagnostics deleted = row_count;

            -- the sender was given it meanwhile, knew it, and forgets it now
            if before.leased_by = $1
               and deleted < (select count(*)
                                from jsonb_object_keys(work.delivered))
            then
                update iclock.webhook_retry r
                   set next_at = moment, taken = false
                 where r.endpoint_id = work.id
                   and r.taken
                   and work.delivered
                       ? ('evt_' || iclock.event_cursor_text(r.xid, r.seq));
            end if;
        end if;

        if work.failed > 0 then
            failed := failed || after.id;
            active := active || (after.status = 'active');
            attempts := attempts || work.attempts;
        end if;

        if before.status = 'failing' and after.status = 'active' then
            woken := woken || after.id;
        end if;

        if after.status = 'disabled' and before.status <> 'disabled' then
            disabled := disabled || after.id;
        end if;

        if work.cursor is not null then
            select * into place from iclock.event_place(work.cursor);

            if (place.xid, place.seq) > (after.cursor_xid, after.cursor_seq)
            then
                after.cursor_xid := place.xid;
                after.cursor_seq := place.seq;
            end if;
        end if;

        judged := judged || after;
    end loop;

    if failed <> '{}' then
        perform iclock.webhook_refused(failed, active, attempts);
    end if;

    -- everything that waits goes out
    if woken <> '{}' then
        update iclock.webhook_retry r
           set next_at = least(r.next_at, moment)
         where r.endpoint_id = any (woken) and r.state <> 'dead';
    end if;

    update iclock.webhook_endpoint e
       set cursor_xid = a.cursor_xid, cursor_seq = a.cursor_seq,
           status = a.status, status_reason = a.status_reason,
           failing_since = a.failing_since, failures = a.failures,
           probes = a.probes, probing = a.probing, choosy = a.choosy,
           next_probe_at = a.next_probe_at
      from (select j.id, j.cursor_xid, j.cursor_seq, j.status,
                   j.status_reason, j.failing_since, j.failures, j.probes,
                   j.probing,
                   case when j.id = any (failed)
                        then j.status = 'failing'
                             and iclock.webhook_choosy(j.id)
                        else j.choosy end as choosy,
                   j.next_probe_at
              from unnest(judged) as j
            offset 0) as a
     where e.id = a.id
       and (a.cursor_xid, a.cursor_seq, a.status, a.status_reason,
            a.failing_since, a.failures, a.probes, a.probing, a.choosy,
            a.next_probe_at)
           is distinct from
           (e.cursor_xid, e.cursor_seq, e.status, e.status_reason,
            e.failing_since, e.failures, e.probes, e.probing, e.choosy,
            e.next_probe_at);

    for after in select j.* from unnest(judged) as j loop
        if after.id = any (disabled) then
            perform iclock.event_write('webhook.disabled', null, format(
                '{"id":"%s","status":"disabled","reason":"%s"}', after.id,
                after.status_reason)::json);
        end if;

        endpoint_id := after.id;
        status := after.status;
        probe_in := case when after.status in ('active', 'failing')
                         then iclock.webhook_milliseconds(
                                  after.next_probe_at - moment) end;
        return next;
    end loop;
end
$$;
comment on function iclock.webhook_results(text, jsonb) is
    'For nginx: what came of its work. results: {cursors: {endpoint: cursor}, '
    'attempts: [{endpoint, event_id, attempt, kind, first_at, ms, status, '
    'error, response, outcome, retry_after}]}, outcome one of delivered, '
    'failed, gone, abort, address; event_ids instead of event_id for all '
    'events of a request; first_at, of a retry, as webhook_work() gave it: of '
    'another one the event was asked for anew. Returns how the endpoints '
    'stand, and the milliseconds until the next one may be tried';
grant execute on function iclock.webhook_results(text, jsonb) to iclock_api;


-- Attempts are kept by days of UTC: table retention says how long.

create or replace function iclock.webhook_attempt_days()
    returns table (relation regclass, day date)
    language sql stable
    set search_path = pg_catalog, iclock, pg_temp
as $$
    select c.oid::regclass, to_date(right(c.relname, 8), 'YYYYMMDD')
      from pg_inherits i
      join pg_class c on c.oid = i.inhrelid
     where i.inhparent = 'iclock.webhook_attempt'::regclass
       and c.relname ~ '^webhook_attempt_[0-9]{8}$'
$$;
comment on function iclock.webhook_attempt_days() is
    'Partitions of webhook_attempt';

-- The part of maintain() for webhooks; true if more is left.
create or replace function iclock.prune_webhooks()
    returns boolean
    language plpgsql
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    moment   constant timestamptz := iclock.webhook_now();
    today    constant date := (moment at time zone 'UTC')::date;
    kept     constant interval := (select r.age from iclock.retention r
                                    where r.kind = 'webhook_attempt');
    dead     constant interval := (select r.age from iclock.retention r
                                    where r.kind = 'webhook_dead');
    change   record;
    deleted  bigint;
    more     boolean := false;
begin
    begin
        for change in
            select d.day, format('webhook_attempt_%s',
                                 to_char(d.day, 'YYYYMMDD')) as name
              from (select today + n from generate_series(0, 2) as n)
                   as d (day)
             where not exists (select from iclock.webhook_attempt_days() h
                                where h.day = d.day)
               -- those that came before their partition stay where they are
               and not exists (
                   select from only iclock.webhook_attempt_default o
                    where o.at >= d.day::timestamp at time zone 'UTC'
                      and o.at < (d.day + 1)::timestamp at time zone 'UTC')
        loop
            execute format(
                'create table iclock.%I partition of iclock.webhook_attempt '
                'for values from (%L) to (%L)', change.name,
                change.day::timestamp at time zone 'UTC',
                (change.day + 1)::timestamp at time zone 'UTC');
            execute format('comment on table iclock.%I is %L', change.name,
                           'Attempts of ' || change.day);
        end loop;

        for change in
            select h.relation from iclock.webhook_attempt_days() h
             where (h.day + 1)::timestamp at time zone 'UTC' <= moment - kept
        loop
            execute format('drop table %s', change.relation);
        end loop;

    -- nobody waits for this: the next call tries again
    exception when lock_not_available or deadlock_detected then
        null;
    end;

    delete from iclock.webhook_attempt_default o
     where o.ctid = any (array(
               select d.ctid from only iclock.webhook_attempt_default d
                where d.at < moment - kept limit 1000));
    get diagnostics deleted = row_count;
    more := deleted = 1000;

    delete from iclock.webhook_retry r
     where r.ctid = any (array(
               select d.ctid from iclock.webhook_retry d
                where d.state = 'dead'
                  and d.next_at < moment - dead
                limit 1000 for update skip locked));
    get diagnostics deleted = row_count;
    more := more or deleted = 1000;

    update iclock.webhook_endpoint e
       set previous_secret = null, previous_until = null
     where e.ctid = any (array(
               select o.ctid from iclock.webhook_endpoint o
                where o.previous_until < moment
                limit 1000 for no key update skip locked));

    return more;
end
$$;
comment on function iclock.prune_webhooks() is
    'The part of maintain() for webhooks: partitions of attempts, dead '
    'events, secrets of before; true if more is left';
