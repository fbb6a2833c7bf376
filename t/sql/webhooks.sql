-- Webhooks: who gets which events, when they are tried again, and what becomes of
-- a receiver that is away.  t/webhooks.t sends; here time is moved by hand.

\ir ../fixtures/pgtap.psql

-- what senders do

create table pg_temp.handed (
    n            bigint  generated always as identity,
    endpoint_id  text, kind text, cursor text, settled text, event_id text,
    type text, attempt text, first_at text, payload text);

-- asks for work of an endpoint, behind what it has been given
create function pg_temp.work(id text, most integer default 100)
    returns setof pg_temp.handed language plpgsql as $$
declare
    known  bigint := (select coalesce(max(h.n), 0) from pg_temp.handed h);
begin
    insert into pg_temp.handed (endpoint_id, kind, cursor, settled, event_id,
                                type, attempt, first_at, payload)
    select w.* from iclock.webhook_work('one', json_build_array(
        json_build_object('id', id, 'max', most))::jsonb) w;
    return query
    select h.* from pg_temp.handed h where h.n > known order by h.n;
end
$$;

-- tells of one outcome for events, and moves the cursor over them
create function pg_temp.tell(id text, events text[], outcome text,
        status integer default null, retry_after integer default null,
        out status text, out probe_in text) language sql as $$
    select r.status, r.probe_in
      from iclock.webhook_results('one', json_build_object(
        'cursors', json_build_object(id, (
            select max(h.cursor) from pg_temp.handed h
             where h.endpoint_id = id and h.event_id = any (events))),
        'attempts', (select json_agg(json_build_object(
            'endpoint', id, 'event_id', e, 'outcome', outcome,
            'status', $4, 'ms', 0, 'retry_after', $5, 'error', 'e',
            'response', 'r',
            'attempt', (select h.attempt::integer from pg_temp.handed h
                         where h.endpoint_id = id and h.event_id = e
                         order by h.n desc limit 1),
            'first_at', (select case when h.kind = 'retry' then h.first_at end
                           from pg_temp.handed h
                          where h.endpoint_id = id and h.event_id = e
                          order by h.n desc limit 1)))
          from unnest(events) as e))::jsonb) r
$$;

-- Processor time of this process in ms: others that are in its way do not add to
-- it, as they do to the time that passes.
create function pg_temp.processor_ms() returns integer language sql volatile as $$
    -- utime and stime, behind the name
    select 10 * (f[12]::integer + f[13]::integer)
      from string_to_array(substring(pg_read_file('/proc/self/stat', 0, 1000)
                                     from '\) (.*)'), ' ') as f
$$;

-- what a statement takes of it
create function pg_temp.processor_ms(statement text)
    returns integer language plpgsql as $$
declare
    began  constant integer := pg_temp.processor_ms();
begin
    execute $1;
    return pg_temp.processor_ms() - began;
end
$$;

create function pg_temp.clock(after interval) returns void language sql as $$
    select set_config('iclock.clock', $1::text, true)
$$;

-- a punch, one event
create function pg_temp.punch(serial text, at timestamp, pin text default '7')
    returns void language sql as $$
    insert into iclock.punch (device_id, local_time, pin, status, verify)
    select d.id, $2, $3, 0, 1 from iclock.device d where d.serial_number = $1
$$;

-- All within one transaction: so nothing of it is settled for the feed.  These
-- stand for transactions that have ended.
create function pg_temp.settle() returns void language sql as $$
    update iclock.event e set xid = '100'
     where e.xid = pg_current_xact_id()
$$;

create function pg_temp.pins(id text, most integer default 100)
    returns text language sql as $$
    select string_agg(w.payload::json #>> '{user,id}', ',' order by w.n)
      from pg_temp.work($1, $2) w
$$;

-- What happens to an endpoint that answers like this to all it gets, until some
-- time: when it got something, in seconds.
create function pg_temp.suffer(id text, until interval, outcome text,
        status integer, most integer default 100)
    returns numeric[] language plpgsql as $$
declare
    begun  constant timestamptz := iclock.webhook_now();
    times  numeric[] := '{}';
    given  text[];
    next   timestamptz;
begin
    -- a pause that is none would take for ever
    for n in 1 .. 1000 loop
        given := array(select w.event_id from pg_temp.work(id, most) w);
        if given <> '{}' then
            times := times || round(extract(epoch from iclock.webhook_now()
                                                       - begun)::numeric, 1);
            perform pg_temp.tell(id, given, outcome, status);
        end if;

        select case when e.status = 'failing' then e.next_probe_at
               -- an order waits for its first one
               else (select r.next_at from iclock.webhook_retry r
                      where r.endpoint_id = e.id and r.state <> 'dead'
                      order by case when e.ordered then r.xid end,
                               case when e.ordered then r.seq end, r.next_at
                      limit 1) end
          into next
          from iclock.webhook_endpoint e where e.id = $1 and e.enabled;

        exit when next is null or next > begun + until;
        perform pg_temp.clock(greatest(next, iclock.webhook_now())
                              - now());
    end loop;
    return times;
end
$$;

-- whether the pauses double up to some length, each off by a tenth at most
create function pg_temp.doubling(times numeric[], most numeric)
    returns boolean language sql as $$
    select bool_and(t.at - t.before between p.pause * 0.89 - 0.2
                                        and p.pause * 1.11 + 0.2)
      from (select u.at, lag(u.at) over (order by u.n) as before, u.n
              from unnest(times) with ordinality as u (at, n)) as t,
   lateral (select least(2.0 ^ (t.n - 2), most) as pause) as p
     where t.n > 1
$$;

create function pg_temp.status(id text) returns text language sql as $$
    select concat_ws(' ', e.status, e.status_reason)
      from iclock.webhook_endpoint e where e.id = $1
$$;

insert into iclock.device (serial_number, status, site, name, timezone,
                           sandbox)
values ('H-A', 'active', 'Pune', 'Gate', 'Asia/Kolkata', false),
       ('H-B', 'active', 'Delhi', 'Door', 'Asia/Kolkata', false),
       ('H-S', 'active', 'Pune', 'Toy', 'Asia/Kolkata', true);

-- making one

create table pg_temp.hook as
select 'all' as name, w.* from iclock.create_webhook('https://a.example/in')
       as w;
create function pg_temp.hook(name text) returns text language sql as $$
    select h.id from pg_temp.hook h where h.name = $1
$$;

select ok(id ~ '^wh_[a-z2-7]{12}$', 'an identifier') from pg_temp.hook;
select ok(secret ~ '^whsec_[A-Za-z0-9+/]{43}=$', 'a secret of 32 bytes')
  from pg_temp.hook;
select ok(iclock.events_enabled(), 'events are written from now on');

select ok(iclock.is_webhook_url(u), 'taken: ' || u)
  from unnest(array['https://a.example', 'http://a.example:8080/x?y=1&z=%20',
                    'https://[2001:db8::1]/in', 'HTTPS://A.EXAMPLE/',
                    'https://a.example/~x/(y);z=[1]?q', 'http://127.0.0.1:1/',
                    'http://0x7f.1/']) as u;
select ok(not iclock.is_webhook_url(u),
          'not taken: ' || left(to_json(u)::text, 60))
  from unnest(array['', 'a.example', 'ftp://a.example/', 'https://',
                    'https:///x', 'https://u@a.example/',
                    'https://u:p@a.example/', 'https://a.example/#x',
                    'https://a.example/ x', E'https://a.example/\nx',
                    E'https://a.example/\n',
                    'https://a.example:0/', 'https://a.example:65536/',
                    'https://a.example/%zz', 'https://a.example\@b.example/',
                    'javascript:alert(1)', 'file:///etc/passwd',
                    'https://a.example/"', U&'https://a.example/\00E9',
                    'https://a.example/' || repeat('x', 2031)]) as u;

select throws_ok(
    format('select iclock.create_webhook(%s)', bad), '22023', null,
    'refused: ' || left(bad, 70))
  from unnest(array[
    $$ null $$,
    $$ 'https://u@a.example/' $$,
    $$ 'https://a.example/', types => array['attendance.lunch'] $$,
    $$ 'https://a.example/', types => '{}' $$,
    $$ 'https://a.example/', sites => array[null]::text[] $$,
    $$ 'https://a.example/', mode => 'dead' $$,
    $$ 'https://a.example/', concurrency => 0 $$,
    $$ 'https://a.example/', concurrency => 33 $$,
    $$ 'https://a.example/', batch => 0 $$,
    $$ 'https://a.example/', batch => 501 $$,
    $$ 'https://a.example/', description => repeat('x', 501) $$,
    $$ 'https://a.example/', headers => '{"webhook-id": "x"}' $$,
    $$ 'https://a.example/', headers => '{"Host": "x"}' $$,
    $$ 'https://a.example/', headers => '{"content-length": "1"}' $$,
    $$ 'https://a.example/', headers => '{"Transfer-Encoding": "x"}' $$,
    $$ 'https://a.example/', headers => '{"Proxy-Authorization": "x"}' $$,
    $$ 'https://a.example/', headers => '{"X-Signature": "x"}' $$,
    $$ 'https://a.example/', headers => '{"User-Agent": "x"}' $$,
    $$ 'https://a.example/', headers => '{"A b": "x"}' $$,
    $$ 'https://a.example/', headers => '{"A": "x\r\nB: y"}' $$,
    $$ 'https://a.example/', headers => '{"A": "x", "a": "y"}' $$,
    $$ 'https://a.example/', headers => '{"A": ""}' $$,
    $$ 'https://a.example/', headers => '{"A": 1}' $$,
    $$ 'https://a.example/', headers => '[]' $$,
    $$ 'https://a.example/', headers => (
         select json_object_agg('X-' || i, 'v')
           from generate_series(1, 11) as i) $$,
    $$ 'https://a.example/',
       headers => json_build_object('X', repeat('v', 4092)) $$,
    $$ 'https://a.example/', body => '{"a": "{{user.id}"}' $$]) as bad;
select lives_ok(
    $$ select iclock.delete_webhook(w.id) from iclock.create_webhook(
           'https://a.example/',
           headers => json_build_object('X', repeat('v', 4091))) as w $$,
    'headers of 4096 bytes');

-- leases

select is((select count(*)::int from iclock.webhook_lease('one', 0)), 0,
          'a sender that wants none');
select is((select count(*)::int from iclock.webhook_lease('one', 10)), 1,
          'a sender takes it');
select is((select l.secret from iclock.webhook_lease('one', 10) l),
          (select h.secret from pg_temp.hook h), 'it learns the secret');
select is((select count(*)::int from iclock.webhook_lease('two', 10)), 0,
          'another does not');
select is_empty($$ select * from iclock.webhook_work('two', json_build_array(
                       json_build_object('id', pg_temp.hook('all'),
                                         'max', 10))::jsonb) $$,
                'nor does it get any work');
select pg_temp.clock('31 seconds') \gset ignored_
select is((select count(*)::int from iclock.webhook_lease('two', 10)), 1,
          'half a minute later it takes over');
select is((select count(*)::int from iclock.webhook_lease('one', 10)), 0,
          'and the first has nothing any more');
select iclock.webhook_release('two') \gset ignored_
select is((select count(*)::int from iclock.webhook_lease('one', 10)), 1,
          'what is given back is taken at once');
select pg_temp.clock('0') \gset ignored_

-- delivery

delete from iclock.event;
select pg_temp.punch('H-A', '2026-03-27 14:00:12', '1') \gset ignored_
select pg_temp.punch('H-B', '2026-03-27 14:00:13', '2') \gset ignored_
select pg_temp.punch('H-A', '2026-03-27 14:00:14', '3') \gset ignored_

select is((select array_agg(settled order by n)
             from pg_temp.work(pg_temp.hook('all'))),
          array['false', 'false', 'false'], 'what may come late goes out');
select pg_temp.settle() \gset ignored_
truncate pg_temp.handed;

select is(pg_temp.pins(pg_temp.hook('all')), '1,2,3', 'in order');
select is((select array_agg(settled || kind || attempt order by n)
             from pg_temp.handed),
          array['trueevent1', 'trueevent1', 'trueevent1'], 'settled');
select is(pg_temp.pins(pg_temp.hook('all'), 2), '1,2',
          'as many as there is room for');
select is((select count(*)::int from iclock.webhook_retry), 0,
          'handing out writes nothing');

select is(pg_temp.tell(pg_temp.hook('all'),
                       array(select distinct event_id from pg_temp.handed),
                       'delivered', 200)::text, '(active,)', 'delivered');
select is_empty($$ select * from pg_temp.work(pg_temp.hook('all')) $$,
                'nothing is left');
select is((select count(*)::int from iclock.webhook_retry), 0,
          'delivered events leave no rows but attempts');
select is((select array_agg(a.attempt || ' ' || a.status || ' ' || a.response
                            order by a.event_id)
             from iclock.webhook_attempt a),
          array['1 200 r', '1 200 r', '1 200 r'], 'one each');
select is((select array_agg(distinct a.event_id order by a.event_id)
             from iclock.webhook_attempt a),
          (select array_agg(distinct h.event_id order by h.event_id)
             from pg_temp.handed h), 'of these events');

select is((select count(*)::int from iclock.webhook_results('one',
           json_build_object('cursors', json_build_object(
               pg_temp.hook('all'), '0000000000000001_0000000000000001'))
           ::jsonb)), 1, 'an old cursor');
select is_empty($$ select * from pg_temp.work(pg_temp.hook('all')) $$,
                'moves nothing back');
select is((select array_agg(r.status) from iclock.webhook_results('one',
           '{"cursors": {"wh_aaaaaaaaaaaa":
             "0000000000000001_0000000000000001"}}') r),
          '{deleted}', 'an endpoint that is gone');

-- who gets what

insert into pg_temp.hook
select 'pune', w.* from iclock.create_webhook('https://b.example/',
                                              sites => '{Pune}') as w
 union all
select 'door', w.* from iclock.create_webhook('https://c.example/',
                                              devices => '{H-B}') as w
 union all
select 'users', w.* from iclock.create_webhook(
           'https://d.example/', types => '{user.enrolled,user.deleted}') as w
 union all
select 'sandbox', w.* from iclock.create_webhook('https://e.example/',
                                                 mode => 'test') as w;
select is((select count(*)::int from iclock.webhook_lease('one', 3)), 3,
          'no more than it wants');
select is((select count(*)::int from iclock.webhook_lease('two', 1)), 1,
          'the others are for others');
select iclock.webhook_release('two') \gset ignored_
select is((select count(*)::int from iclock.webhook_lease('one', 9)), 5,
          'or for the first');

select pg_temp.punch('H-A', '2026-03-28 08:00', '4') \gset ignored_
select pg_temp.punch('H-B', '2026-03-28 08:01', '5') \gset ignored_
select pg_temp.punch('H-S', '2026-03-28 08:02', '6') \gset ignored_
insert into iclock.device_user (device_id, pin, name)
values (pg_temp.device('H-A'), '8', 'New');
select pg_temp.settle() \gset ignored_

create function pg_temp.all_pins() returns text language sql as $$
    select string_agg(h.name || ' ' || w.pins, '; ' order by h.name)
      from (select w.endpoint_id, string_agg(w.payload::json #>> '{user,id}',
                                             ',' order by w.n) as pins
              from iclock.webhook_work('one', (
                       select json_agg(json_build_object('id', h.id,
                                                         'max', 10))
                         from pg_temp.hook h)::jsonb)
                   with ordinality as w (endpoint_id, kind, cursor, settled,
                       event_id, type, attempt, first_at, payload, n)
             group by 1) as w
      join pg_temp.hook h on h.id = w.endpoint_id
$$;
select is(pg_temp.all_pins(),
          'all 4,5,8; door 5; pune 4,8; sandbox 6; users 8',
          'each gets what it has asked for, read at one go');
select is(pg_temp.pins(pg_temp.hook(n)), p, n || ', alone')
  from (values ('all', '4,5,8'), ('door', '5'), ('pune', '4,8'),
               ('sandbox', '6'), ('users', '8')) as x (n, p);

-- what was read for nothing is not read again, in pieces of some hundreds

select count(pg_temp.tell(pg_temp.hook(n),
           array(select event_id from pg_temp.work(pg_temp.hook(n))),
           'delivered', 200))
  from unnest(array['all', 'door', 'pune', 'users', 'sandbox']) as n
\gset ignored_
insert into iclock.punch (device_id, local_time, pin, status, verify)
select pg_temp.device('H-A'), timestamp '2026-03-29' + make_interval(secs => n),
       '9', 0, 1
  from generate_series(1, 4000) as n;
select pg_temp.punch('H-B', '2026-03-30 08:00', '10') \gset ignored_
select pg_temp.settle() \gset ignored_

select is(pg_temp.pins(pg_temp.hook('door')), '10', 'one among thousands');
select is((select count(*)::int from pg_temp.work(pg_temp.hook('all'), 1000)),
          1000, 'a thousand at one go');
select is(pg_temp.all_pins() ~ 'door 10;', false,
          'with others it takes several goes');
select is(pg_temp.all_pins() ~ 'door 10;', true, 'but it gets there');

-- Who reads ahead says what it has seen, and hears how far it was read.  What
-- this transaction writes is what no snapshot shows.

create function pg_temp.look(id text, seen text, most integer, after text
        default '0', out pins text, out ended text, out part text,
        out shown text)
    language sql as $$
    select string_agg(w.payload::json #>> '{user,id}', ',' order by w.n)
               filter (where w.kind = 'event'),
           max(w.type) filter (where w.kind = 'look'),
           max(w.cursor) filter (where w.kind = 'part'),
           max(w.payload) filter (where w.kind = 'look')
      from iclock.webhook_work('one', json_build_array(json_build_object(
               'id', id, 'after', after, 'max', most, 'seen', seen, 'idle',
               false))::jsonb)
           with ordinality as w (endpoint_id, kind, cursor, settled, event_id,
               type, attempt, first_at, payload, n)
$$;
delete from iclock.event e where e.local_time::date = '2026-03-29';
select pg_temp.punch('H-A', '2026-03-31 08:00', '21') \gset ignored_
select pg_temp.punch('H-A', '2026-03-31 08:01', '22') \gset ignored_

select is(concat_ws('|', l.pins, l.ended, l.part),
          '10,21,22|' || pg_temp.hook('all'),
          'who is read to the end hears of it')
  from pg_temp.look(pg_temp.hook('all'), '', 9) as l;
select is(concat_ws('|', l.pins, l.ended, l.part is not null), '10,21||t',
          'and who is not, how far it was')
  from pg_temp.look(pg_temp.hook('all'), '', 2) as l;
select is((select l.pins from pg_temp.look(pg_temp.hook('all'), '', 2,
              (select l.part from pg_temp.look(pg_temp.hook('all'), '', 2)
                                      as l)) as l),
          '22', 'there it goes on');
select is((select l::text from pg_temp.look(pg_temp.hook('all'), '', 1000) as l),
          (select l::text from pg_temp.look(pg_temp.hook('all'), '', 99) as l),
          'the same if it has much room');
select matches((select l.shown from pg_temp.look(pg_temp.hook('all'), '', 9)
                                        as l), '^\d+:\d+:[\d,]*$',
               'and by which snapshot');
-- the own transaction is below the end of a snapshot once others have ended
select is((select l.pins from pg_temp.look(pg_temp.hook('all'),
               concat(o.own, ':', o.own, ':'), 1000) as l),
           '21,22', 'there, too, what the snapshot shows is left out')
  from (select pg_current_xact_id()::text as own) as o;
select is((select l.pins from pg_temp.look(pg_temp.hook('all'),
              concat(o.own, ':', o.own, ':'), 9) as l),
          '21,22', 'what the snapshot shows is not read again')
  from (select pg_current_xact_id()::text as own) as o;
select iclock.event_cursor_text('0', 0) as zero \gset
select is((select string_agg(e.payload::json #>> '{user,id}', ','
                             order by e.cursor)
             from iclock.read_events(:'zero' || '@' || s.snapshot,
                                     look_ahead => true) as e), p, n)
  from (select pg_current_xact_id()::text as own) as o,
       lateral (values
           (o.own || ':' || o.own || ':', '21,22', 'begun later'),
           ('101:' || o.own::bigint + 1 || ':' || o.own, '21,22',
            'under way then'),
           (o.own::bigint + 1 || ':' || o.own::bigint + 1 || ':', null,
            'ended then')) as s (snapshot, p, n);
select is(iclock.webhook_known(s::pg_snapshot[])::text, k, 'known to all: ' || k)
  from (values (array['5:5:'], '5:5:'), (array['5:9:5,7', '5:9:5,7'],
                                         '5:9:5,7'),
               (array['10:20:10,15', '12:18:12', '30:30:'], '10:18:10,12,15'),
               (array['10:20:15', '12:12:'], '12:12:')) as x (s, k);

-- what became of events that went together is told once

select array_agg(w.event_id) as together
  from iclock.webhook_work('one', json_build_array(json_build_object(
           'id', pg_temp.hook('all'), 'max', 9))::jsonb) as w \gset
select is((select r.status from iclock.webhook_results('one',
               json_build_object('attempts', json_build_array(
                   json_build_object('endpoint', pg_temp.hook('all'),
                       'event_ids', :'together'::text[], 'attempt', 1,
                       'kind', 'event', 'ms', 1, 'status', 500,
                       'response', 'no', 'outcome', 'failed')))::jsonb) as r),
          'active', 'a batch is refused');
select is((select e.failures from iclock.webhook_endpoint e
            where e.id = pg_temp.hook('all')), 1, 'which counts once');
select is((select array_agg('evt_' || iclock.event_cursor_text(r.xid, r.seq)
                            order by r.xid, r.seq)
             from iclock.webhook_retry r
            where r.endpoint_id = pg_temp.hook('all')),
          :'together'::text[], 'each of its events is kept');
select is((select (array_agg(a.event_id order by a.id), max(a.status),
                   string_agg(a.response, ','))::text
             from iclock.webhook_attempt a
            where a.event_id = any (:'together')),
          (:'together'::text[], 500, 'no')::text,
          'and has an attempt, the first one with the answer');
delete from iclock.webhook_attempt a where a.event_id = any (:'together');
delete from iclock.webhook_retry r where r.endpoint_id = pg_temp.hook('all');

select count(iclock.delete_webhook(id)::text) from pg_temp.hook where name <> 'all'
\gset ignored_
delete from pg_temp.hook where name <> 'all';
select iclock.resume_webhook(pg_temp.hook('all'), true) \gset ignored_
truncate pg_temp.handed;

-- an event that is refused, while others are delivered

select pg_temp.punch('H-A', '2026-04-01 08:00', '11') \gset ignored_
select pg_temp.settle() \gset ignored_

create function pg_temp.poison() returns numeric[] language plpgsql as $$
declare
    hook   constant text := pg_temp.hook('all');
    begun  constant timestamptz := now();
    times  numeric[] := '{}';
    item   record;
    next   timestamptz;
begin
    loop
        for item in select * from pg_temp.work(hook) loop
            if item.payload::json #>> '{user,id}' = '11' then
                times := times || round(extract(epoch from
                             iclock.webhook_now() - begun)::numeric, 1);
                perform pg_temp.tell(hook, array[item.event_id], 'failed',
                                     500);
                -- another one succeeds
                perform pg_temp.punch('H-A', timestamp '2026-04-02'
                            + make_interval(secs => cardinality(times)));
                perform pg_temp.settle();
            else
                perform pg_temp.tell(hook, array[item.event_id],
                                     'delivered', 200);
            end if;
        end loop;

        select min(r.next_at) into next from iclock.webhook_retry r
         where r.endpoint_id = hook and r.state <> 'dead';
        exit when next is null;

        if next > iclock.webhook_now() then
            perform pg_temp.clock(next - now());
        end if;
    end loop;

    for item in select * from pg_temp.work(hook) loop
        perform pg_temp.tell(hook, array[item.event_id], 'delivered', 200);
    end loop;
    return times;
end
$$;
select pg_temp.poison() as times \gset
select ok(pg_temp.doubling((:'times'::numeric[])[1:13], 3600),
          'pauses double: ' || (:'times'::numeric[])[1:13]::text);
select ok((:'times'::numeric[])[14] - (:'times'::numeric[])[13]
          between 3239 and 3961, 'to an hour');
select ok((:'times'::numeric[])[cardinality(:'times'::numeric[])]
          between 86399 and 86401, 'the last one is after a day');
select is(pg_temp.status(pg_temp.hook('all')), 'active',
          'the others were delivered meanwhile');
select is((select count(*)::int from pg_temp.handed h
            where h.payload::json #>> '{user,id}' = '7'),
          cardinality(:'times'::numeric[]), 'each once');
select is((select array_agg(d.type || ' ' || d.attempts || ' '
                            || d.last_status || ' ' || d.last_error)
             from iclock.webhook_dead d),
          array['attendance.punch ' || cardinality(:'times'::numeric[])
                || ' 500 e'], 'it is dead');
select event_id from iclock.webhook_dead \gset

delete from iclock.event
 where 'evt_' || iclock.event_cursor_text(xid, seq) = :'event_id';
select is(iclock.resend_webhook(pg_temp.hook('all'), state => 'dead'), 1,
          'sent again, though the feed has forgotten it');
select is((select array_agg(w.event_id || w.kind || w.attempt)
             from pg_temp.work(pg_temp.hook('all')) w),
          array[:'event_id' || 'retry1'], 'as the same event');
select is_empty($$ select * from pg_temp.work(pg_temp.hook('all')) $$,
                'once');
select pg_temp.tell(pg_temp.hook('all'), array[:'event_id'], 'delivered', 200)
\gset ignored_
select is((select count(*)::int from iclock.webhook_retry), 0, 'delivered');
select is((select max(h.attempt::int) from pg_temp.handed h
            where h.event_id = :'event_id'), cardinality(:'times'::numeric[]),
          'attempts were numbered');

-- what a sender has taken and not sent waits for nobody when it is given back

create function pg_temp.passed_on() returns text language sql as $$
    select iclock.webhook_release('one');
    select count(*) from iclock.webhook_lease('one', 10);
    select string_agg(w.kind || w.attempt, ',')
      from pg_temp.work(pg_temp.hook('all')) w
$$;
select pg_temp.clock('0') \gset ignored_
truncate pg_temp.handed;
select pg_temp.punch('H-A', '2026-04-04 08:00', '13') \gset ignored_
select pg_temp.settle() \gset ignored_
select pg_temp.tell(pg_temp.hook('all'), array(
           select w.event_id from pg_temp.work(pg_temp.hook('all')) w),
           'failed', 503) \gset ignored_
select is(pg_temp.passed_on(), null, 'before its time it is not due');
select pg_temp.clock('2 seconds') \gset ignored_
select is(pg_temp.passed_on(), 'retry2', 'an event is tried again');
select is_empty($$ select * from pg_temp.work(pg_temp.hook('all')) $$,
                'who has it has it');
select is(pg_temp.passed_on(), 'retry2', 'who leaves gives it back');
select pg_temp.tell(pg_temp.hook('all'), array(
           select h.event_id from pg_temp.handed h order by h.n desc limit 1),
           'failed', 503) \gset ignored_
select pg_temp.suffer(pg_temp.hook('all'), '20 seconds', 'failed', 503)
\gset ignored_
select is(pg_temp.status(pg_temp.hook('all')),
          'failing five failures in a row', 'failing by 503');
select is(pg_temp.passed_on(), null, 'no probe before its time');
select is_empty($$ select * from iclock.webhook_due(
                       array[pg_temp.hook('all')], array[1]) $$,
                'nor if it began to fail after somebody had asked');
select pg_temp.clock(e.next_probe_at - now())
  from iclock.webhook_endpoint e where e.id = pg_temp.hook('all')
\gset ignored_
select is(left(pg_temp.passed_on(), 5), 'retry', 'a probe');
select is_empty($$ select * from pg_temp.work(pg_temp.hook('all')) $$,
                'one at a time');
select is(left(pg_temp.passed_on(), 5), 'retry', 'is given back, too');

-- somebody had the row when it was handed out

update iclock.webhook_endpoint set probing = false,
       next_probe_at = iclock.webhook_now() where id = pg_temp.hook('all');
select pg_temp.tell(pg_temp.hook('all'), array(
           select h.event_id from pg_temp.handed h order by h.n desc limit 1),
           'failed', 503) \gset ignored_
select is_empty($$ select * from pg_temp.work(pg_temp.hook('all')) $$,
                'a probe without a mark counts');
select ok(e.next_probe_at > iclock.webhook_now() + interval '20 seconds',
          'and the pauses get longer')
  from iclock.webhook_endpoint e where e.id = pg_temp.hook('all');
select pg_temp.clock(e.next_probe_at - now())
  from iclock.webhook_endpoint e where e.id = pg_temp.hook('all')
\gset ignored_
select is(left(pg_temp.passed_on(), 5), 'retry', 'until the next one');
select pg_temp.tell(pg_temp.hook('all'), array(
           select h.event_id from pg_temp.handed h order by h.n desc limit 1),
           'delivered', 200) \gset ignored_

-- what the receiver does not want says nothing of the receiver

select pg_temp.clock('0') \gset ignored_
truncate pg_temp.handed;
select pg_temp.punch('H-A', '2026-04-05 08:00', '12') \gset ignored_
select pg_temp.settle() \gset ignored_
select ok(pg_temp.doubling(t[1:12], 3600) and cardinality(t) > 12, 'refused')
  from pg_temp.suffer(pg_temp.hook('all'), '25 hours', 'failed', 417) as t;
select is(pg_temp.status(pg_temp.hook('all')), 'active',
          'one event alone, by 417: the endpoint is active');
select is((select count(*)::int from iclock.webhook_dead), 1,
          'and the event is dead');
delete from iclock.webhook_retry;

-- an endpoint that has refused one event only, five times, is failing; but the
-- next ones need not wait

select iclock.resume_webhook(pg_temp.hook('all')) \gset ignored_
select pg_temp.clock('0') \gset ignored_
truncate pg_temp.handed;
select pg_temp.punch('H-A', '2026-04-05 09:00', '61') \gset ignored_
select pg_temp.settle() \gset ignored_
select pg_temp.suffer(pg_temp.hook('all'), '20 seconds', 'failed', 500)
\gset ignored_
select is(pg_temp.status(pg_temp.hook('all')),
          'failing five failures in a row', 'failing by 500');
select is_empty($$ select * from pg_temp.work(pg_temp.hook('all')) $$,
                'the event waits');
select pg_temp.punch('H-A', '2026-04-05 09:01', '62') \gset ignored_
select pg_temp.punch('H-A', '2026-04-05 09:02', '63') \gset ignored_
select pg_temp.settle() \gset ignored_
select is(pg_temp.pins(pg_temp.hook('all')), '62', 'another does not');
select is_empty($$ select * from pg_temp.work(pg_temp.hook('all')) $$,
                'one at a time');
select pg_temp.tell(pg_temp.hook('all'), array(
           select h.event_id from pg_temp.handed h order by h.n desc limit 1),
           'delivered', 200) \gset ignored_
select is(pg_temp.status(pg_temp.hook('all')), 'active', 'it is active');
select is(pg_temp.pins(pg_temp.hook('all')), '61,63', 'all goes on');
delete from iclock.webhook_retry;
select iclock.resume_webhook(pg_temp.hook('all'), true) \gset ignored_

-- a receiver that is away

select iclock.resume_webhook(pg_temp.hook('all')) \gset ignored_
select pg_temp.clock('0') \gset ignored_
truncate pg_temp.handed;
select pg_temp.punch('H-A', '2026-04-06 08:00', '13') \gset ignored_
select pg_temp.settle() \gset ignored_
select pg_temp.suffer(pg_temp.hook('all'), '140 seconds', 'failed', null)
       as times \gset
select is(cardinality(:'times'::numeric[]), 8, 'eight attempts in 140 s');
select ok(pg_temp.doubling(:'times'::numeric[], 900),
          'as by the schedule: ' || :'times');
select is(pg_temp.status(pg_temp.hook('all')),
          'failing five failures in a row', 'it is failing');
insert into iclock.punch (device_id, local_time, pin, status, verify)
select pg_temp.device('H-A'), timestamp '2026-04-07' + make_interval(secs => n),
       '14', 0, 1
  from generate_series(1, 50) as n;
select pg_temp.settle() \gset ignored_
select is((select s.status || s.failures || s.retrying || s.lag_events || s.lag
             from iclock.webhook_status s where s.id = pg_temp.hook('all')),
          'failing8150' || interval '0', 'the view shows what waits');
select is_empty($$ select * from pg_temp.work(pg_temp.hook('all')) $$,
                'nothing before its time');
select is((select l.status || (l.probe_in::int between 100000 and 282000)
             from iclock.webhook_lease('one', 9) l), 'failingtrue',
          'which the sender knows');
update iclock.webhook_endpoint set next_probe_at = iclock.webhook_now();
select is((select array_agg(w.kind || (w.payload::json #>> '{user,id}'))
             from pg_temp.work(pg_temp.hook('all')) w), '{event14}',
          'then one, a new one rather');
select is_empty($$ select * from pg_temp.work(pg_temp.hook('all')) $$,
                'and no other');
select is((pg_temp.tell(pg_temp.hook('all'),
           array(select h.event_id from pg_temp.handed h
                  where h.payload ~ '"14"'), 'delivered', 200)).status,
          'active', 'it succeeds');
select is((select array_agg(distinct w.payload::json #>> '{user,id}')
                  || count(*)::text
             from pg_temp.work(pg_temp.hook('all')) w), '{13,14,50}',
          'at once everything is due');
select is((select (array_agg(w.payload::json #>> '{user,id}'
                             order by w.n desc))[50]
             from pg_temp.handed w), '13', 'what is oldest first');
delete from iclock.webhook_retry;
select iclock.resume_webhook(pg_temp.hook('all'), true) \gset ignored_

-- for more than a day

select pg_temp.clock('0') \gset ignored_
truncate pg_temp.handed;
insert into pg_temp.hook
select 'other', w.* from iclock.create_webhook('https://o.example/') as w;
select count(*) from iclock.webhook_lease('one', 9) \gset ignored_
insert into iclock.punch (device_id, local_time, pin, status, verify)
select pg_temp.device('H-A'), timestamp '2026-04-08' + make_interval(secs => n),
       n::text, 0, 1
  from generate_series(101, 300) as n;
select pg_temp.settle() \gset ignored_
select pg_temp.suffer(pg_temp.hook('all'), '26 hours', 'failed', 503, 4)
       as times \gset
select ok(pg_temp.doubling((:'times'::numeric[])[1:10], 900)
          and cardinality(:'times'::numeric[]) > 80,
          'many wait: the pauses are the same');
select ok((:'times'::numeric[])[cardinality(:'times'::numeric[])]
          between 86399 and 86402, 'the last one is after a day');
select is(pg_temp.status(pg_temp.hook('all')), 'disabled unreachable',
          'it is disabled');
select ok((select count(*) from iclock.webhook_retry) < 120,
          'what waits takes no rows: '
          || (select count(*) from iclock.webhook_retry));
select is((select count(*)::int from iclock.webhook_dead), 0,
          'nothing is dead');
select is_empty($$ select * from pg_temp.work(pg_temp.hook('all')) $$,
                'nothing is sent');
select pg_temp.settle() \gset ignored_
select is((select array_agg((w.payload::json -> 'webhook')::text)
             from pg_temp.work(pg_temp.hook('other'), 1000) w
            where w.type = 'webhook.disabled'),
          array[format('{"id":"%s","status":"disabled",'
                       '"reason":"unreachable"}', pg_temp.hook('all'))],
          'the others hear of it');
select is((select l.status || l.paused from iclock.webhook_lease('one', 9) l
            where l.id = pg_temp.hook('all')), 'disabledtrue',
          'the sender knows');

select throws_ok($$ select iclock.test_webhook(pg_temp.hook('all')) $$,
                 '55000', null, 'no test of one that is disabled');
select iclock.resume_webhook(pg_temp.hook('all')) \gset ignored_
truncate pg_temp.handed;
select is((select array_agg((w.payload::json #>> '{user,id}')::int
                            order by w.n)
             from pg_temp.work(pg_temp.hook('all'), 1000) w
            where w.type = 'attendance.punch'),
          array(select generate_series(101, 300)),
          'resumed: all in order, none is missing');
select is_empty($$ select h.* from pg_temp.handed h
                    where h.type = 'webhook.disabled' $$,
                'but not that it had been disabled');
select iclock.delete_webhook(pg_temp.hook('other')) \gset ignored_
delete from pg_temp.hook where name = 'other';
select iclock.pause_webhook(pg_temp.hook('all')) \gset ignored_
select is(pg_temp.status(pg_temp.hook('all')), 'paused', 'paused');
select is_empty($$ select * from pg_temp.work(pg_temp.hook('all')) $$,
                'nothing is sent');
select iclock.resume_webhook(pg_temp.hook('all'), from_now => true)
\gset ignored_
select is_empty($$ select * from pg_temp.work(pg_temp.hook('all')) $$,
                'resumed from now: nothing either');
select cmp_ok((select count(*) from iclock.webhook_dead), '>', 0::bigint,
              'what was under way is listed');
delete from iclock.webhook_retry;

-- answers that mean something else

select pg_temp.clock('0') \gset ignored_

create function pg_temp.answer(outcome text, status integer default null,
        retry_after integer default null)
    returns text language plpgsql as $$
declare
    hook   constant text := pg_temp.hook('all');
    told   record;
    event  text;
begin
    perform iclock.resume_webhook(hook, true);
    delete from iclock.webhook_retry;
    truncate pg_temp.handed;
    perform pg_temp.punch('H-A', timestamp '2026-05-01'
        + make_interval(secs => (select count(*) from iclock.punch)));
    perform pg_temp.settle();
    event := (select w.event_id from pg_temp.work(hook) w);
    told := pg_temp.tell(hook, array[event], outcome, status, retry_after);
    return concat_ws(' ', pg_temp.status(hook), told.probe_in,
        (select string_agg(r.state || ' ' || r.attempts, ',')
           from iclock.webhook_retry r));
end
$$;
select is(pg_temp.answer('gone', 410), 'disabled gone retrying 1',
          '410 disables, and the event is not lost');
select is(pg_temp.answer('address'), 'disabled address retrying 1',
          'an address that may not be called');
select is(pg_temp.answer('abort', 200), 'active dead 1',
          'abort-message: the event is dead');
select is(pg_temp.answer('failed', 500, 7), 'active retrying 1',
          'Retry-After counts with some answers only');
select is(pg_temp.answer('failed', 429, 7), 'active 7000 retrying 1',
          '429 with Retry-After');
select pg_temp.clock('6.9 seconds') \gset ignored_
select is_empty($$ select * from pg_temp.work(pg_temp.hook('all')) $$,
                'nothing for seven seconds');
select pg_temp.clock('7 seconds') \gset ignored_
select is((select count(*)::int from pg_temp.work(pg_temp.hook('all'))), 1,
          'then again');
select pg_temp.clock('0') \gset ignored_
select is(pg_temp.answer('failed', 503, 86400), 'active 3600000 retrying 1',
          'an hour at most');
select pg_temp.clock('0') \gset ignored_

-- events in their order

select iclock.delete_webhook(pg_temp.hook('all')) \gset ignored_
truncate pg_temp.handed;
delete from pg_temp.hook;
insert into pg_temp.hook
select 'all', w.* from iclock.create_webhook('https://a.example/',
                                             ordered => true, batch => 50)
       as w;
select is((select l.ordered || l.batch || l.concurrency
             from iclock.webhook_lease('one', 9) l), 'true504',
          'the sender knows of order and batch');
insert into iclock.punch (device_id, local_time, pin, status, verify)
select pg_temp.device('H-A'), timestamp '2026-06-01' + make_interval(secs => n),
       n::text, 0, 1
  from generate_series(1, 6) as n;
select is_empty($$ select * from pg_temp.work(pg_temp.hook('all')) $$,
                'what others may come before does not go out');
select pg_temp.settle() \gset ignored_
select is(pg_temp.pins(pg_temp.hook('all')), '1,2,3,4,5,6', 'in order');
select pg_temp.tell(pg_temp.hook('all'), array(
           select h.event_id from pg_temp.handed h order by h.n limit 1),
           'failed', 500) \gset ignored_
select is_empty($$ select * from pg_temp.work(pg_temp.hook('all')) $$,
                'the first fails: it blocks the others');
select pg_temp.clock('1.2 seconds') \gset ignored_
select is((select array_agg(w.kind || (w.payload::json #>> '{user,id}'))
             from pg_temp.work(pg_temp.hook('all')) w), '{retry1}',
          'comes again alone');
select pg_temp.tell(pg_temp.hook('all'), array(
           select h.event_id from pg_temp.handed h order by h.n limit 1),
           'delivered', 200) \gset ignored_
select is(pg_temp.pins(pg_temp.hook('all')), '2,3,4,5,6', 'and the others');
select ok(pg_temp.doubling(t[1:12], 900), 'it is tried alone')
  from pg_temp.suffer(pg_temp.hook('all'), '12 hours', 'failed', 500, 1)
       as t;
select is((select count(*)::int from iclock.webhook_retry), 1,
          'no other event was tried');

-- for a day, by a receiver that answers: this one is dead, and no other waits

select pg_temp.suffer(pg_temp.hook('all'), '13 hours', 'failed', 500, 1)
\gset ignored_
select is(pg_temp.status(pg_temp.hook('all')), 'active',
          'one that is always refused does not end an order');
select is((select concat_ws(' ', e.failures, e.next_probe_at)
             from iclock.webhook_endpoint e), '0', 'nor does it count any more');
select is((select array_agg(d.last_status || ' '
                            || (d.dead_at - d.first_at
                                between interval '24 hours'
                                    and interval '24 hours 2 seconds'))
             from iclock.webhook_dead d), '{500 true}', 'it is dead after a day');
select is(pg_temp.pins(pg_temp.hook('all')), '3,4,5,6', 'the next ones go on');

-- Refused together they are tried one by one: each has a day, whatever those
-- before it took.  One has succeeded: so the first one is dead again.

select pg_temp.tell(pg_temp.hook('all'), array(
           select h.event_id from pg_temp.handed h order by h.n desc
            offset 3 limit 1), 'delivered', 200) \gset ignored_
select pg_temp.tell(pg_temp.hook('all'), array(
           select h.event_id from pg_temp.handed h order by h.n desc limit 3),
           'failed', 404) \gset ignored_
select pg_temp.suffer(pg_temp.hook('all'), '25 hours', 'failed', 404, 1)
\gset ignored_
select is((select array_agg(r.state || ' ' || (r.attempts > 5)
                            order by r.xid, r.seq)
             from iclock.webhook_retry r),
          '{dead true,dead true,retrying true,retrying false}',
          'one is dead, the next one is tried, the last one waits');
select is(pg_temp.status(pg_temp.hook('all')),
          'failing five failures in a row', 'by five more failures');

-- who refuses everything, like a wrong address

select pg_temp.suffer(pg_temp.hook('all'), '22 hours', 'failed', 404, 1)
\gset ignored_
select is(pg_temp.status(pg_temp.hook('all')),
          'failing five failures in a row', 'not before its day is over');
select pg_temp.suffer(pg_temp.hook('all'), '3 hours', 'failed', 404, 1)
\gset ignored_
select is(pg_temp.status(pg_temp.hook('all')), 'disabled unreachable',
          'two that are refused for a day, one after the other');
select is((select array_agg(r.state order by r.xid, r.seq)
             from iclock.webhook_retry r), '{dead,dead,retrying,retrying}',
          'the second one is not lost');

-- The day is that of the event, for pauses as well, however long nothing has
-- succeeded; who does not answer is away.

create function pg_temp.after_days(status integer, first interval)
    returns text language plpgsql as $$
declare
    hook    constant text := pg_temp.hook('all');
    moment  constant timestamptz := iclock.webhook_now();
begin
    perform iclock.resume_webhook(hook);
    update iclock.webhook_endpoint e
       set status = 'failing', next_probe_at = moment, probes = 9,
           failing_since = moment - interval '2 days';
    update iclock.webhook_retry r
       set first_at = moment - $2
     where r.state = 'retrying';
    perform pg_temp.tell(hook, array(
        select w.event_id from pg_temp.work(hook, 1) w), 'failed', $1);
    return pg_temp.status(hook)
           || (select concat(' ' || (e.next_probe_at
                                     > moment + interval '2 minutes'))
                 from iclock.webhook_endpoint e);
end
$$;
select is(pg_temp.after_days(s, f), r,
          'after ' || coalesce(s::text, 'nothing') || ', ' || f)
  from (values (500, interval '1 hour', 'failing true'),
               (503, '1 hour', 'failing true'),
               (503, '2 days', 'disabled unreachable'),
               (null, '2 days', 'disabled unreachable')) as x (s, f, r);
select is((select count(*)::int from iclock.webhook_dead), 2,
          'and of its events none is dead');
delete from iclock.event e where e.xid = pg_current_xact_id();
select iclock.delete_webhook(pg_temp.hook('all')) \gset ignored_
delete from pg_temp.hook;
select pg_temp.clock('0') \gset ignored_

-- in batches

insert into pg_temp.hook
select 'all', w.* from iclock.create_webhook('https://a.example/', batch => 9)
       as w;
select count(*) from iclock.webhook_lease('one', 9) \gset ignored_
insert into iclock.punch (device_id, local_time, pin, status, verify)
select pg_temp.device('H-A'), timestamp '2026-06-02' + make_interval(secs => n),
       n::text, 0, 1
  from generate_series(1, 9) as n;
select pg_temp.settle() \gset ignored_
select pg_temp.tell(pg_temp.hook('all'), array(
           select w.event_id from pg_temp.work(pg_temp.hook('all')) w),
           'failed', 500) \gset ignored_
select is((select e.status || e.failures from iclock.webhook_endpoint e),
          'active1', 'a batch that fails is one failure');
select is((select count(*)::int from iclock.webhook_retry), 9,
          'of each of its events');
select iclock.delete_webhook(pg_temp.hook('all')) \gset ignored_
delete from pg_temp.hook;

-- a test

insert into pg_temp.hook
select 'all', w.* from iclock.create_webhook('https://a.example/',
                           types => '{user.enrolled}', sites => '{Pune}')
       as w
 union all
select 'other', w.* from iclock.create_webhook('https://o.example/') as w;
select count(*) from iclock.webhook_lease('one', 9) \gset ignored_
truncate pg_temp.handed;
select iclock.test_webhook(pg_temp.hook('all')) as event_id \gset
select pg_temp.settle() \gset ignored_
select is((select array_agg(w.event_id || w.type
                            || (w.payload::json -> 'webhook'))
             from pg_temp.work(pg_temp.hook('all')) w),
          array[:'event_id' || format('webhook.test{"id":"%s","test":true}',
                                      pg_temp.hook('all'))],
          'arrives, whatever was asked for, and is marked');
select is_empty($$ select * from pg_temp.work(pg_temp.hook('other')) $$,
                'nobody else gets it');
select pg_temp.tell(pg_temp.hook('all'), array[:'event_id'], 'delivered', 200)
\gset ignored_
select is((select count(*)::int from iclock.webhook_retry), 0, 'it is gone');
select iclock.test_webhook(pg_temp.hook('all')) as event_id \gset
select count(*) from pg_temp.work(pg_temp.hook('all')) \gset ignored_
select pg_temp.tell(pg_temp.hook('all'), array[:'event_id'], 'failed', 417)
\gset ignored_
select is((select count(*)::int from iclock.webhook_retry), 0,
          'one that fails is not tried again');

-- sending again

insert into iclock.punch (device_id, local_time, pin, status, verify)
select d.id, timestamp '2026-07-01' + make_interval(secs => n), n::text, 0, 1
  from generate_series(1, 3) as n, iclock.device d
 where d.serial_number in ('H-A', 'H-B');
insert into iclock.device_user (device_id, pin)
select id, '21' from iclock.device;
select pg_temp.settle() \gset ignored_
select is(iclock.resend_webhook(pg_temp.hook('all'),
              since => now() - interval '1 hour'), 2,
          'what it has asked for: the user, and that of before');
select is((select count(*)::int from pg_temp.work(pg_temp.hook('all'))), 2,
          'they go out');
select iclock.resend_webhook(pg_temp.hook('all'),
           since => now() - interval '1 hour') \gset ignored_
select pg_temp.tell(pg_temp.hook('all'), array(
           select h.event_id from pg_temp.handed h order by h.n desc limit 2),
           'delivered', 200) \gset ignored_
select pg_temp.clock('1 second') \gset ignored_
select is((select count(*)::int from pg_temp.work(pg_temp.hook('all'))), 2,
          'and again, asked for while they were on their way');

-- those two once more: the sender gets them before it has told what came of
-- them, and drops what it knows

create function pg_temp.asked_meanwhile(outcome text, status integer)
    returns text language plpgsql as $$
declare
    hook    constant text := pg_temp.hook('all');
    last    constant bigint := (select max(h.n) from pg_temp.handed h);
    events  constant text[] := array(
                select h.event_id from pg_temp.handed h
                 order by h.n desc limit 2);
    again   bigint;
begin
    perform iclock.resend_webhook(hook, events);
    perform pg_temp.clock(iclock.webhook_now() - now() + interval '1 second');
    select count(*) into again from pg_temp.work(hook);
    delete from pg_temp.handed h where h.n > last;
    perform pg_temp.tell(hook, events, outcome, status);
    perform pg_temp.clock(iclock.webhook_now() - now() + interval '2 seconds');
    return again || ' ' || (select count(*) from pg_temp.work(hook));
end
$$;
select is(pg_temp.asked_meanwhile('delivered', 200), '2 2',
          'asked for while nobody knew what had come of them');
select is(pg_temp.asked_meanwhile('abort', 500), '2 2',
          'nor are they dead by what was sent before');
select pg_temp.tell(pg_temp.hook('all'), array(
           select h.event_id from pg_temp.handed h order by h.n desc limit 2),
           'delivered', 200) \gset ignored_
select is_empty($$ select * from iclock.webhook_retry $$,
                'then they are gone');

-- a sender of before says nothing of which it is

select iclock.resend_webhook(pg_temp.hook('all'), array(
           select h.event_id from pg_temp.handed h order by h.n desc limit 1))
\gset ignored_
select event_id from pg_temp.work(pg_temp.hook('all')) \gset
select count(*) from iclock.webhook_results('one', json_build_object(
    'attempts', json_build_array(json_build_object(
        'endpoint', pg_temp.hook('all'), 'event_id', :'event_id',
        'attempt', 1, 'kind', 'retry', 'outcome', 'delivered')))::jsonb)
\gset ignored_
select is_empty($$ select * from iclock.webhook_retry $$,
                'what it has delivered is gone');
select pg_temp.clock('0') \gset ignored_
select is(iclock.resend_webhook(pg_temp.hook('other'),
              array(select 'evt_' || iclock.event_cursor_text(e.xid, e.seq)
                      from iclock.event e
                     where e.local_time::date = '2026-07-01')), 6,
          'events by name');
select is(iclock.resend_webhook(pg_temp.hook('all'),
              array(select 'evt_' || iclock.event_cursor_text(e.xid, e.seq)
                      from iclock.event e
                     where e.local_time::date = '2026-07-01')), 0,
          'not what is for others');
select throws_ok(format('select iclock.resend_webhook(pg_temp.hook(''all'')'
                        ', %s)', bad), '22023', null, 'refused: ' || bad)
  from unnest(array[$$ state => 'retrying' $$, $$ since => null $$,
                    $$ since => '2026-01-02', until => '2026-01-01' $$,
                    $$ until => '2026-01-01' $$,
                    $$ array['x'], state => 'dead' $$,
                    $$ array['evt_x'] $$,
                    $$ array(select 'x' from generate_series(1, 10001)) $$])
       as bad;

-- secrets

select iclock.rotate_webhook_secret(pg_temp.hook('all')) as fresh \gset
select is((select l.secret || l.previous_secret
             from iclock.webhook_lease('one', 9) l
            where l.id = pg_temp.hook('all')),
          :'fresh' || (select h.secret from pg_temp.hook h
                        where h.name = 'all'), 'both for a day');
select isnt(:'fresh', (select h.secret from pg_temp.hook h
                        where h.name = 'all'), 'a new one');
select pg_temp.clock('24 hours') \gset ignored_
select is((select l.secret || coalesce(l.previous_secret, '')
             from iclock.webhook_lease('one', 9) l
            where l.id = pg_temp.hook('all')), :'fresh', 'then one');
select pg_temp.clock('25 hours') \gset ignored_
select iclock.prune_webhooks() \gset ignored_
select is((select count(*)::int from iclock.webhook_endpoint e
            where e.previous_secret is not null), 0, 'the old one is forgotten');
select pg_temp.clock('0') \gset ignored_

select ok(not has_any_column_privilege(r, 'iclock.' || t, 'select'),
          r || ' cannot read ' || t)
  from unnest(array['iclock_operator', 'iclock_reader', 'iclock_module',
                    'iclock_api']) as r,
       unnest(array['webhook_endpoint', 'webhook_retry', 'webhook_attempt',
                    'webhook_attempt_default']) as t;
select is(pg_temp.as_role(r, 'select * from iclock.webhook_lease(''x'', 1)'),
          case r when 'iclock_api' then 'ok' else '42501' end,
          'webhook_lease: ' || r)
  from unnest(array['iclock_api', 'iclock_module', 'iclock_operator',
                    'iclock_reader']) as r;
select iclock.webhook_release('x') \gset ignored_
select is(pg_temp.as_role('iclock_operator', c), 'ok', 'operator: ' || c)
  from unnest(array['select * from iclock.webhook_status',
                    'select * from iclock.webhook_dead']) as c;
select is_empty(
    $$ select p.proname from pg_proc p
        where p.pronamespace = 'iclock'::regnamespace
          and p.proname ~ 'webhook'
          and has_function_privilege('iclock_reader', p.oid, 'execute') $$,
    'readers call nothing of webhooks');
select is_empty(
    $$ select a.attname from pg_attribute a
        where a.attrelid in ('iclock.webhook_status'::regclass,
                             'iclock.webhook_dead'::regclass)
          and a.attname in ('secret', 'previous_secret', 'headers', 'body',
                            'payload') $$, 'views show no secrets');

-- templates

create function pg_temp.render(template text, payload text default
    '{"type":"attendance.punch","sequence":7,"late":false,'
    '"user":{"id":"0042","name":"O\"Neil \u2028 😀\\"},'
    '"punch":{"type":"CheckIn","timestamp":"2026-03-27T08:30:12Z",'
    '"local_time":"2026-03-27T14:00:12","temperature":36.5,'
    '"work_code":null}}') returns text language sql as $$
    select iclock.webhook_render($1::json, $2::json)
$$;
select is(pg_temp.render(t), r, 'template: ' || t)
  from (values
    ('{"b": "{{user.id}}", "a" : [1, true, null, "x", 1.50]}',
     '{"b":"0042","a":[1,true,null,"x",1.5]}'),
    ('{"n": "{{sequence}}", "l": "{{ late }}"}', '{"n":7,"l":false}'),
    ('{"t": "{{punch.temperature}} C"}', '{"t":"36.5 C"}'),
    ('{"w": "{{punch.work_code}}", "x": "<{{punch.work_code}}>"}',
     '{"w":null,"x":"<>"}'),
    ('{"w": "{{punch.nothing.here}}", "x": "{{no}}{{user.id}}"}',
     '{"w":null,"x":"0042"}'),
    ('{"at": "{{punch.local_time|datetime}}"}',
     '{"at":"2026-03-27 14:00:12"}'),
    ('{"at": "{{punch.timestamp | date}} {{punch.timestamp|time}}"}',
     '{"at":"2026-03-27 08:30:12"}'),
    ('{"at": "{{punch.timestamp|unix}}"}', '{"at":1774600212}'),
    ('{"at": "{{punch.local_time|unix}}"}', '{"at":null}'),
    ('{"d": "{{punch.type|inout}}"}', '{"d":"IN"}'),
    ('{"d": "{{type|inout}}"}', '{"d":null}'),
    ('{"i": "{{user.id|number}}", "j": "{{type|number}}"}',
     '{"i":42,"j":null}'),
    ('{"i": "{{sequence|text}}"}', '{"i":"7"}'),
    ('{"u": "{{user}}"}', '{"u":{"id":"0042","name":"O\"Neil \u2028 😀\\"}}'),
    ('{"u": "a \"{{user.name}}\" b"}', E'{"u":"a \\"O\\"Neil \u2028 😀\\\\\\" b"}'),
    ('[]', '[]'), ('{}', '{}'),
    ('["{{user.id}}{{user.id}}"]', '["00420042"]')) as x (t, r);
select is(pg_temp.render('{"x": "{{.}}"}', '{"a":1,"b":[2]}'),
          '{"x":{"a":1,"b":[2]}}', 'the whole payload');

-- those of docs/integrate.md

select is(pg_temp.render(t, '{"type":"attendance.punch","event_id":"evt_1",'
    '"device":{"id":"AKJD193840129"},"user":{"id":"EMP_001","name":"John"},'
    '"punch":{"type":"CheckIn","timestamp":"2026-03-27T08:30:12Z",'
    '"local_time":"2026-03-27T14:00:12"}}'), r, n)
  from (values
    ('Frappe HR',
     '{"employee_field_value": "{{user.id}}",
       "timestamp": "{{punch.local_time|datetime}}",
       "device_id": "{{device.id}}", "log_type": "{{punch.type|inout}}",
       "latitude": 18.52}',
     '{"employee_field_value":"EMP_001","timestamp":"2026-03-27 14:00:12",'
     '"device_id":"AKJD193840129","log_type":"IN","latitude":18.52}'),
    ('Odoo',
     '{"badge": "{{user.id}}", "at": "{{punch.timestamp|datetime}}",
       "direction": "{{punch.type|inout}}"}',
     '{"badge":"EMP_001","at":"2026-03-27 08:30:12","direction":"IN"}'),
    ('Odoo, JSON-2',
     '{"vals_list": [{"x_badge": "{{user.id}}", "x_event": "{{event_id}}"}]}',
     '{"vals_list":[{"x_badge":"EMP_001","x_event":"evt_1"}]}'))
       as x (n, t, r);
select is(iclock.webhook_template_error(t::json), e, 'template: ' || left(t, 60))
  from (values
    ('{"a": "{{user.id}} {{ punch.type | inout }}", "b": [{}]}', null),
    ('"{{user.id}}"', 'not an object'),
    ('{"a": "{{user.id}"}', 'names no member of the payload: "{{user.id}"'),
    ('{"a": "{{user.id|upper}}"}',
     'names no member of the payload: "{{user.id|upper}}"'),
    ('{"a": "{{1}}"}', 'names no member of the payload: "{{1}}"'),
    ('{"a": "{{a.b.c.d.e.f.g.h.i}}"}',
     'names no member of the payload: "{{a.b.c.d.e.f.g.h.i}}"'),
    ('{"{{a}}": 1}', 'a name of a member is taken as it is: "{{a}}"'),
    ('{"a": {"7": 1}}', 'a member is called "7"'),
    ('{"a": 1, "a": 2}', 'two members are called "a"'),
    ('{"a": 1e5}', 'a number of more than 15 digits, or with an exponent'),
    (repeat('[', 16) || repeat(']', 16), null),
    (repeat('[', 17) || repeat(']', 17), 'more than 16 levels'),
    ('{"a": "' || repeat('x', 16384 - 9) || '"}', null),
    ('{"a": "' || repeat('x', 16384 - 8) || '"}', 'longer than 16384 bytes'),
    ('{"a": "' || repeat('{{.}}', 100) || '"}', null),
    ('{"a": "' || repeat('{{.}}', 101) || '"}',
     'more than 100 names in braces'),
    ('{"a": "' || repeat('\u007B\u007b.}}', 101) || '"}',
     'more than 100 names in braces'))
    as x (t, e);
select count(iclock.delete_webhook(id)::text) from pg_temp.hook \gset ignored_
delete from pg_temp.hook;
insert into pg_temp.hook
select 'all', w.* from iclock.create_webhook('https://a.example/',
           types => '{attendance.punch}',
           body => '{"who": "{{user.id}}", "at": "{{punch.local_time|datetime}}",
                     "d": "{{punch.type|inout}}"}') as w;
select count(*) from iclock.webhook_lease('one', 9) \gset ignored_
select pg_temp.punch('H-A', '2026-08-01 08:00:01', '31') \gset ignored_
select pg_temp.settle() \gset ignored_
select is((select array_agg(w.payload)
             from pg_temp.work(pg_temp.hook('all')) w),
          array['{"who":"31","at":"2026-08-01 08:00:01","d":"IN"}'],
          'the body is made of the template');
select pg_temp.tell(pg_temp.hook('all'), array(select event_id
                      from pg_temp.work(pg_temp.hook('all'))), 'failed', 500)
\gset ignored_
select pg_temp.clock('2 seconds') \gset ignored_
select is((select array_agg(w.payload)
             from pg_temp.work(pg_temp.hook('all')) w),
          array['{"who":"31","at":"2026-08-01 08:00:01","d":"IN"}'],
          'again, too');

-- what is not kept for ever

truncate iclock.webhook_attempt;
select pg_temp.clock('0') \gset ignored_
update iclock.webhook_retry set state = 'dead', next_at = now();
insert into iclock.webhook_attempt (endpoint_id, event_id, attempt, at)
values ('x', 'y', 1, now()), ('x', 'y', 1, now() + interval '40 days');
select is((select array_agg(a.tableoid::regclass::text order by a.at)
             from iclock.webhook_attempt a),
          array['iclock.webhook_attempt_'
                || to_char(now() at time zone 'UTC', 'YYYYMMDD'),
                'iclock.webhook_attempt_default'], 'a partition for each day');
select cmp_ok((select count(*)::int from iclock.webhook_attempt_days()), '>=',
              3, 'today and two more');
select pg_temp.clock('7 days') \gset ignored_
select iclock.prune_webhooks() \gset ignored_
select is((select count(*)::int from iclock.webhook_attempt), 2,
          'kept for seven days');
select pg_temp.clock('8 days') \gset ignored_
select iclock.prune_webhooks() \gset ignored_
select is((select count(*)::int from iclock.webhook_attempt), 1,
          'and no longer');
select pg_temp.clock('29 days') \gset ignored_
select iclock.prune_webhooks() \gset ignored_
select is((select count(*)::int from iclock.webhook_dead), 1,
          'dead ones for 30 days');
select pg_temp.clock('31 days') \gset ignored_
select iclock.maintain() \gset ignored_
select is((select count(*)::int from iclock.webhook_dead), 0, 'and no longer');
select pg_temp.clock('48 days') \gset ignored_
select iclock.prune_webhooks() \gset ignored_
select is((select count(*)::int from iclock.webhook_attempt), 0,
          'also those without a partition');
select pg_temp.clock('0') \gset ignored_

-- what is large comes in parts, and none of it is missing or waits

select count(iclock.delete_webhook(id)::text) from pg_temp.hook \gset ignored_
delete from pg_temp.hook;
insert into pg_temp.hook
select 'all', w.* from iclock.create_webhook('https://a.example/',
                           types => '{user.updated}') as w;
select count(*) from iclock.webhook_lease('one', 9) \gset ignored_
select count(iclock.event_write('user.updated', null, json_build_object(
           'id', n::text, 'name', repeat('x', 1000000))))
  from generate_series(1, 20) as n \gset ignored_
select pg_temp.settle() \gset ignored_
select is(array(select w.payload::json #>> '{user,id}'
                  from pg_temp.work(pg_temp.hook('all')) w),
          array(select n::text from generate_series(1, 17) as n),
          '16 MB at once');
insert into iclock.webhook_retry (endpoint_id, xid, seq, state, first_at,
                                  next_at, type, payload)
select pg_temp.hook('all'), e.xid, e.seq, 'resend', now(), now(),
       'user.updated', iclock.event_json(e)
  from iclock.event e
 where e.data ->> 'name' like 'xxx%';
select is((select count(*)::int from pg_temp.work(pg_temp.hook('all'))), 17,
          'also of what is sent again');
select is((select array_agg(r.payload::json #>> '{user,id}' order by r.seq)
             from iclock.webhook_retry r
            where not r.taken and r.next_at <= now()), '{18,19,20}',
          'what was left out is due');

-- a thousand endpoints

select count(iclock.delete_webhook(id)::text) from pg_temp.hook \gset ignored_
insert into iclock.webhook_endpoint (id, url, secret, cursor_xid, cursor_seq,
                                     status, next_probe_at, failing_since,
                                     failures)
select 'wh_' || translate(lpad(n::text, 12, '0'), '0123456789', 'abcdefghij'),
       'https://x.example/', sha256(n::text::bytea), p.xid, p.seq,
       case when n % 100 = 0 then 'active' else 'failing' end,
       case when n % 100 > 0 then now() + interval '1 hour' end,
       case when n % 100 > 0 then now() - interval '1 hour' end,
       case when n % 100 > 0 then 9 else 0 end
  from generate_series(1, 1000) as n, iclock.webhook_start() as p;
select is((select count(*)::int from iclock.webhook_lease('one', 1000)), 1000,
          'a thousand endpoints');
insert into iclock.webhook_retry (endpoint_id, xid, seq, state, first_at,
                                  next_at, type, payload)
select e.id, '50', n, 'retrying', now(), now(), 'attendance.punch', '{}'
  from iclock.webhook_endpoint e, generate_series(1, 5) as n
 where e.status = 'failing';
analyze iclock.webhook_endpoint, iclock.webhook_retry;
select pg_temp.punch('H-A', '2026-09-01 08:00:01', '41') \gset ignored_
select pg_temp.settle() \gset ignored_
select json_agg(json_build_object('id', e.id, 'max', 4))::text as wanted
  from iclock.webhook_endpoint e \gset
select is((select count(*)::int
             from iclock.webhook_work('one', :'wanted'::jsonb)), 10,
          'of which ten live');
select cmp_ok(pg_temp.processor_ms(
                  format('select * from iclock.webhook_work(''one'', %L)',
                         :'wanted')), '<', 500, 'are asked for work at one go');


-- what many have refused is kept for each of them, told in one statement

select w.event_id as refused
  from iclock.webhook_work('one', :'wanted'::jsonb) as w
 where w.kind = 'event'
 limit 1 \gset
select is((select count(*)::int
             from iclock.webhook_results('one', json_build_object('attempts',
                (select json_agg(json_build_object('endpoint', e.id,
                            'event_id', :'refused', 'attempt', 1, 'ms', 0,
                            'outcome', case e.url when 'https://x.example/'
                                       then 'failed' else 'abort' end))
                   from iclock.webhook_endpoint e
                  where e.leased_by = 'one'))::jsonb)), 1000,
          'a thousand refuse one');
select is((select array_agg(distinct r.payload::json ->> 'event_id')
             from iclock.webhook_retry r
            where 'evt_' || iclock.event_cursor_text(r.xid, r.seq)
                  = :'refused'), array[:'refused'], 'the same payload');
select is((select count(*)::int
             from iclock.webhook_retry r
            where 'evt_' || iclock.event_cursor_text(r.xid, r.seq)
                  = :'refused'
              and r.attempts = 1 and r.state = 'retrying'),
          1000, 'for each of them');
select is((select array_agg(distinct e.status || ' ' || e.failures)
             from iclock.webhook_endpoint e where e.leased_by = 'one'),
          array['active 1', 'failing 10'], 'each is judged by its own');
select is((select count(*)::int
             from iclock.webhook_results('one', json_build_object('attempts',
                (select json_agg(json_build_object('endpoint', e.id,
                            'event_id', :'refused', 'attempt', 2, 'ms', 0,
                            'kind', 'retry',
                            'outcome', case e.status when 'active'
                                       then 'abort' else 'failed' end))
                   from iclock.webhook_endpoint e
                  where e.leased_by = 'one'))::jsonb)), 1000, 'twice');
select is((select array_agg(distinct e.status || ' ' || r.state || ' '
                                     || r.attempts)
             from iclock.webhook_retry r
             join iclock.webhook_endpoint e on e.id = r.endpoint_id
            where 'evt_' || iclock.event_cursor_text(r.xid, r.seq)
                  = :'refused'),
          array['active dead 2', 'failing retrying 2'],
          'and what becomes of it');


-- A dump was restored into another cluster, and a receiver lags: the last of
-- three was in the table before the others.

delete from iclock.webhook_retry;
delete from iclock.webhook_endpoint;
delete from iclock.event;
insert into pg_temp.hook
select 'moved', w.*
  from iclock.create_webhook('https://m.example/',
                             types => '{attendance.punch}') as w;
select count(*) from iclock.webhook_lease('one', 1) \gset ignored_
select pg_temp.clock('0') \gset ignored_
select pg_temp.punch('H-A', '2026-09-02 08:00:01', '51') \gset ignored_
select pg_temp.punch('H-A', '2026-09-02 08:00:02', '52') \gset ignored_
select pg_temp.punch('H-A', '2026-09-02 08:00:03', '53') \gset ignored_
update iclock.event e
   set xid = (5000000000 + case e.pin when '51' then 1 else 0 end)::text::xid8;
update iclock.webhook_endpoint w
   set (cursor_xid, cursor_seq) = (select e.xid, e.seq from iclock.event e
                                    where e.pin = '53');
select ok(iclock.rebase_events(), 'events of another cluster');
select is(pg_temp.pins(pg_temp.hook('moved')), '51',
          'what a receiver has not got comes, what it has does not');
select pg_temp.punch('H-A', '2026-09-02 08:00:04', '54') \gset ignored_
select is(pg_temp.pins(pg_temp.hook('moved')), '51,54',
          'and what comes from now on comes behind it');


-- What a sender reads by what it knew of an endpoint, it would send to where that
-- was, or has what is not asked for any more.

create function pg_temp.terms() returns text language sql as $$
    select l.terms from iclock.webhook_lease('one', 1) l
     where l.id = pg_temp.hook('moved')
$$;
create function pg_temp.changes(settings json) returns boolean
    language plpgsql as $$
declare
    before  constant text := pg_temp.terms();
begin
    perform iclock.put_webhook(pg_temp.hook('moved'), $1);
    return pg_temp.terms() <> before;
end
$$;
create function pg_temp.work_by(terms text) returns bigint language sql as $$
    select count(*)
      from iclock.webhook_work('one', jsonb_build_array(jsonb_build_object(
               'id', pg_temp.hook('moved'), 'max', 1, 'terms', $1)))
$$;

select pg_temp.terms() as before \gset
select is(pg_temp.work_by(:'before'), 1::bigint, 'work by what is known');
select is(pg_temp.changes(s::json), c, s || ' changes what was read')
  from (values ('{"url":"https://n.example/"}', true),
               ('{"headers":{"X-A":"1"}}', true),
               ('{"types":["attendance.punch","user.updated"]}', true),
               ('{"devices":["H-A"]}', true),
               ('{"sites":["Pune"]}', true),
               ('{"sites":null}', true),
               ('{"body":{"a":"{{id}}"}}', true),
               ('{"mode":"test"}', true),
               ('{"mode":"live"}', true),
               ('{"mode":"live"}', false),
               ('{"description":"d","concurrency":7,"batch":3}', false))
       as x (s, c);
select is(pg_temp.work_by(:'before'), 0::bigint, 'none by what was known');
select is(pg_temp.work_by(pg_temp.terms()), 1::bigint,
          'but by what is known now');
select is(pg_temp.work_by(null), 1::bigint, 'and for who does not say it');

select * from finish();
rollback;
