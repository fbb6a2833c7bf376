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
                         order by h.n desc limit 1)))
          from unnest(events) as e))::jsonb) r
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
    loop
        given := array(select w.event_id from pg_temp.work(id, most) w);
        if given <> '{}' then
            times := times || round(extract(epoch from iclock.webhook_now()
                                                       - begun)::numeric, 1);
            perform pg_temp.tell(id, given, outcome, status);
        end if;

        select case when e.status = 'failing' then e.next_probe_at
               else (select min(r.next_at) from iclock.webhook_retry r
                      where r.endpoint_id = e.id and r.state <> 'dead') end
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
select * from finish();
rollback;
