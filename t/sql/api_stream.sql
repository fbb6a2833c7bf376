-- The live stream: what nginx is told about one, and tokens that open it.
-- t/api_stream.t has the stream itself.

\ir ../fixtures/pgtap.psql
\ir ../fixtures/api.psql

insert into iclock.device (serial_number, status, site)
values ('S0001', 'active', 'North'), ('S0002', 'active', 'South');

create temp table keys as
select n as name, iclock.create_api_key(n, array['events:read'],
           mode => case n when 'test' then 'test' else 'live' end,
           sites => case n when 'north' then array['North'] end,
           devices => case n when 'device' then array['S0001', 'S0002'] end)
           as text
  from unnest(array['all', 'test', 'north', 'device']) as n;

create function pg_temp.open(name text, query jsonb default '{}')
    returns iclock_api.reply
    language sql as $$
    select iclock_api.call('events_stream', jsonb_build_object(
        'key', (select split_part(k.text, '_', 3) from keys k
                 where k.name = $1),
        'scope', 'events:read', 'method', 'GET', 'route', '/events',
        'path', '{}'::jsonb, 'query', $2, 'address', '192.0.2.1'))
$$;
create function pg_temp.lines(name text, query jsonb default '{}')
    returns text
    language sql as $$
    select regexp_replace(r.body, '^cursor [^\n]*\n', '')
      from pg_temp.open($1, $2) as r
$$;

select iclock.disable_events();
select is((pg_temp.open('all')).status, 200, 'a stream');
select is(iclock.events_enabled(), true, 'has events written');

select is(pg_temp.lines('all'), 'mode live', 'everything');
select is(pg_temp.lines('test'), 'mode test', 'a test key');
select is(pg_temp.lines('all', '{"types":"attendance.punch,user.updated"}'),
          E'mode live\ntypes '
          || iclock.event_types(array['attendance.punch', 'user.updated'])::text
          || E'\ntype attendance.punch\ntype user.updated', 'types');
select is(pg_temp.lines('north'), E'mode live\nsites {North}\nsite North',
          'a key with sites');
select is(pg_temp.lines('north', '{"site":"North"}'),
          E'mode live\nsites {North}\nsite North', 'the same, asked for');
select is(pg_temp.lines('north', '{"site":"South"}'), E'mode live\nsites {}',
          'another one is nothing, not everything');
select is(pg_temp.lines('device', '{"device_id":"S0002"}'),
          E'mode live\ndevices {S0002}\ndevice S0002',
          'one of the devices of a key');
select is(pg_temp.lines('all', '{"device_id":"S0003"}'),
          E'mode live\ndevices {S0003}\ndevice S0003', 'any device');

select matches((pg_temp.open('all')).body, '^cursor [0-9a-f]{16}_[0-9a-f]{16}@',
               'live: behind all that can be seen now');
select matches((pg_temp.open('all', '{"after":"0"}')).body, '^cursor 0\n',
               'from the oldest');
select is(pg_temp.code(pg_temp.open('all', '{"after":"x"}')), '400 bad_cursor',
          'no cursor');
select is(pg_temp.code(pg_temp.open('all', '{"types":"x"}')),
          '400 bad_request', 'no type, as in the list');
select is(pg_temp.code(pg_temp.open('all', '{"types":""}')),
          '400 bad_request', 'no types are not all of them');
select is(pg_temp.code(pg_temp.open('all', '{"limit":"5"}')),
          '400 bad_request', 'no parameter');

update iclock.event_state set dropped_xid = '7', dropped_seq = 7;
select matches(
    (pg_temp.open('all', '{"after":"0000000000000005_0000000000000005"}')).body,
    '^cursor [0-9a-f_]+@[^\n]*\nreset 0000000000000007_0000000000000007\n',
    'what is not kept any more');


-- tokens

create function pg_temp.token(name text) returns jsonb
    language sql as $$
    select (iclock_api.call('stream_token', jsonb_build_object(
        'key', (select split_part(k.text, '_', 3) from keys k
                 where k.name = $1),
        'scope', 'events:read', 'method', 'POST', 'route', '/stream-tokens',
        'path', '{}'::jsonb, 'query', '{}'::jsonb, 'address', '192.0.2.1')))
        .body::jsonb
$$;

create temp table tokens as select pg_temp.token('north') as t;

select matches((select t ->> 'token' from tokens), '^ist_[A-Za-z0-9_-]{43}$',
               'a token');
select is((select t ->> 'expires_at' from tokens),
          iclock_api.utc(now() + interval '1 minute'), 'for a minute');
select is_empty($$ select from iclock.stream_token s, tokens
                    where s::text like '%' || (t ->> 'token') || '%' $$,
                'which is kept nowhere');
select is(iclock_api.use_stream_token((select t ->> 'token' from tokens)),
          (select split_part(k.text, '_', 3) from keys k where name = 'north'),
          'it is as good as its key');
select is(iclock_api.use_stream_token((select t ->> 'token' from tokens)),
          null, 'once');
select is(iclock_api.use_stream_token('ist_x'), null, 'no other one');

update tokens set t = pg_temp.token('all');
update iclock.stream_token set expires_at = now() where used_at is null;
select is(iclock_api.use_stream_token((select t ->> 'token' from tokens)),
          null, 'not later');

update iclock.stream_token set expires_at = now() - interval '2 hours';
select isnt(pg_temp.token('all'), null, 'another token');
select is((select count(*)::int from iclock.stream_token), 1,
          'sweeps old ones away');

select * from finish();
rollback;
