-- Devices by way of the API.

\ir ../fixtures/pgtap.psql
\ir ../fixtures/api.psql

create function pg_temp.get(name text, serial_number text)
    returns iclock_api.reply
    language sql as $$
    select pg_temp.api(name, 'devices_get', 'GET', '/devices/{sn}',
        jsonb_build_object('path', jsonb_build_object('sn', $2)))
$$;

create function pg_temp.list(name text, query jsonb default '{}')
    returns iclock_api.reply
    language sql as $$
    select pg_temp.api(name, 'devices_list', 'GET', '/devices',
        jsonb_build_object('query', query))
$$;

create function pg_temp.ids(reply iclock_api.reply) returns text
    language sql as $$
    select coalesce(string_agg(d ->> 'id', ' '), '')
      from json_array_elements(reply.body::json -> 'data') as d
$$;

select pg_temp.key('all', iclock.create_api_key('all',
    '{devices:read,devices:write}'));
select pg_temp.key('pune', iclock.create_api_key('pune',
    '{devices:read,devices:write}', sites => '{Pune}'));
select pg_temp.key('one', iclock.create_api_key('one',
    '{devices:read,devices:write}', devices => '{A2,B1}'));
select pg_temp.key('test', iclock.create_api_key('test',
    '{devices:read,devices:write}', 'test'));

delete from iclock.device;
insert into iclock.device (serial_number, status, name, site, timezone,
                           comm_key, sandbox, last_seen, location)
values ('A1', 'active', 'Gate', 'Pune', 'Asia/Kolkata', 'secret', false, now(),
        'Building A'),
       ('A2', 'active', 'Door', 'Pune', null, null, false, null, null),
       ('B1', 'active', 'Gate', 'Delhi', null, null, false,
        now() - interval '1 hour', null),
       ('N1', 'pending', null, null, null, null, false, now(), null),
       ('X1', 'blocked', null, 'Pune', null, null, false, null, null),
       ('S1', 'active', 'Try', 'Pune', null, null, true, null, null);

-- what is shown

select is(array(select json_object_keys((pg_temp.get('all', 'A1')).body::json)),
          '{id,serial_number,name,location,site,timezone,status,users,logs,'
          'storage,firmware,push_version,ip_address,last_seen,'
          'clock_skew_seconds,waiting_commands}', 'members, in their order');
select is(pg_temp.member(pg_temp.get('all', sn), 'status'), status, status)
  from (values ('A1', 'online'), ('B1', 'offline'), ('N1', 'pending'),
               ('X1', 'blocked')) as s (sn, status);
select unalike((pg_temp.get('all', 'A1')).body, '%secret%',
               'its key does not come back');
select is(pg_temp.member(pg_temp.get('all', 'A1'), 'last_seen'),
          to_char(now() at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'),
          'times in UTC');

update iclock.device set user_count = 243, punch_count = 34000
 where serial_number = 'A1';
insert into iclock.device_option (device_id, name, value)
values (pg_temp.device('A1'), 'MaxAttLogCount', '10'),
       (pg_temp.device('A2'), 'MaxAttLogCount', 'many');
insert into iclock.device_user (device_id, pin)
select pg_temp.device('A2'), i from generate_series(1, 3) as i;
insert into iclock.punch (device_id, local_time, pin, punched_at)
select pg_temp.device('A1'), now() at time zone 'UTC' + interval '1 s' * i, i,
       now() - interval '90 s' + interval '10 s' * i
  from generate_series(1, 3) as i;
insert into iclock.punch (device_id, local_time, pin)
select pg_temp.device('A2'), '2026-01-01', i from generate_series(1, 2) as i;
select iclock.reboot('A1');
select is(pg_temp.member(pg_temp.get('all', sn), m), value,
          format('%s of %s', m, sn))
  from (values
    ('A1', 'users', '243'), ('A1', 'logs', '34000'), ('A1', 'storage', '34%'),
    ('A1', 'clock_skew_seconds', '-60'), ('A1', 'waiting_commands', '1'),
    ('A1', 'location', 'Building A'), ('A1', 'timezone', 'Asia/Kolkata'),
    ('A2', 'users', '3'), ('A2', 'logs', '2'), ('A2', 'storage', null),
    ('A2', 'clock_skew_seconds', null), ('A2', 'last_seen', null))
    as v (sn, m, value);

-- who sees what

select is(pg_temp.ids(pg_temp.list(name)), ids, 'a list of key ' || name)
  from (values ('all', 'A1 A2 B1 N1 X1'), ('pune', 'A1 A2 X1'),
               ('one', 'A2 B1'), ('test', 'S1')) as k (name, ids);
select is(pg_temp.code(pg_temp.get(name, sn)), '404 not_found',
          format('%s is not there for %s', sn, name))
  from (values ('all', 'S1'), ('all', 'NOSUCH'), ('pune', 'B1'),
               ('pune', 'N1'), ('pune', 'S1'), ('one', 'A1'), ('test', 'A1'))
       as k (name, sn);

update iclock.device set status = 'blocked', removed_at = now()
 where serial_number = 'X1';
select is(pg_temp.code(pg_temp.get('all', 'X1')), '404 not_found',
          'what was removed is not there');
select is(pg_temp.ids(pg_temp.list('all')), 'A1 A2 B1 N1', 'nor in lists');
select iclock.approve_device('X1');
select is(pg_temp.code(pg_temp.get('all', 'X1')), '200',
          'let in again by an operator, it is');
select iclock.block_device('X1');

-- filters and pages

select is(pg_temp.ids(pg_temp.list('all', query)), ids, query::text)
  from (values
    ('{"status":"online"}'::jsonb, 'A1'),
    ('{"status":"offline"}', 'A2 B1'),
    ('{"status":"pending"}', 'N1'),
    ('{"status":"blocked"}', 'X1'),
    ('{"online":"true"}', 'A1'),
    ('{"online":"false"}', 'A2 B1 N1 X1'),
    ('{"site":"Pune"}', 'A1 A2 X1'),
    ('{"site":"Pune","status":"offline"}', 'A2'),
    ('{"q":"gate"}', 'A1 B1'),
    ('{"q":"building"}', 'A1'),
    ('{"q":"%"}', ''),
    ('{"limit":"2"}', 'A1 A2')) as q (query, ids);
select is(pg_temp.ids(pg_temp.list('pune', '{"site":"Delhi"}')), '',
          'a site of others has none');

select is(pg_temp.code(pg_temp.list('all', query)), code, query::text)
  from (values
    ('{"status":"asleep"}'::jsonb, '400 bad_request'),
    ('{"online":"1"}', '400 bad_request'),
    ('{"limit":"0"}', '400 bad_request'),
    ('{"limit":"1001"}', '400 bad_request'),
    ('{"limit":"x"}', '400 bad_request'),
    ('{"sort":"x"}', '400 bad_request'),
    ('{"cursor":"x"}', '400 bad_cursor'),
    ('{"cursor":"W10"}', '400 bad_cursor'),
    ('{"cursor":"IiI"}', '400 bad_cursor'),
    ('{"cursor":"\u00e4"}', '400 bad_cursor'),
    ('{"cursor":""}', '400 bad_cursor')) as q (query, code);

select pg_temp.list('all', '{"limit":"2"}') as page \gset
select is(pg_temp.member(:'page', 'has_more'), 'true', 'more');
select is(pg_temp.member(:'page', 'next_cursor'),
          (:'page'::iclock_api.reply).meta ->> 'next',
          'the cursor is told to nginx too');
select is(pg_temp.ids(pg_temp.list('all', jsonb_build_object(
              'limit', '9', 'cursor', pg_temp.member(:'page',
                                                     'next_cursor')))),
          'B1 N1 X1', 'the rest, in pages of another size');
select is(pg_temp.code(pg_temp.list('all', jsonb_build_object(
              'q', 'a', 'cursor', pg_temp.member(:'page', 'next_cursor')))),
          '400 bad_cursor', 'not with other filters');
select is(pg_temp.member(pg_temp.list('all', '{"limit":"5"}'), 'has_more'),
          'false', 'the last page');

select * from finish();
rollback;
