-- Simulated devices: only test keys make and see them, and their punches are
-- punches like any others.

\ir ../fixtures/pgtap.psql

create temporary table key as
select name, split_part(iclock.create_api_key(name,
                  array['devices:read', 'devices:write', 'logs:read',
                        'events:read'], mode => mode, sites => sites,
                  devices => devices), '_', 3) as id
  from (values ('test', 'test', null::text[], null::text[]),
               ('live', 'live', null, null),
               ('pune', 'test', array['Pune'], null),
               ('one', 'test', null, array['BOX1']))
       as k (name, mode, sites, devices);

-- status, and the body or the code of the problem and where it is
create function pg_temp.call(key text, operation text, body json,
                             sn text default null) returns text
    language sql as $$
    select r.status || ' ' || coalesce(r.body, concat_ws(' ',
               r.meta #>> '{problem,code}',
               r.meta #>> '{problem,errors,0,pointer}'))
      from iclock_api.call(operation, jsonb_build_object(
               'key', (select k.id from key k where k.name = $1),
               'scope', case when operation ~ '^sandbox|delete'
                             then 'devices:write' else 'devices:read' end,
               'method', case when operation like 'sandbox%' then 'POST'
                              when operation like '%delete' then 'DELETE'
                              else 'GET' end,
               'route', '/', 'path', jsonb_build_object('sn', sn),
               'query', '{}'::json, 'address', '127.0.0.1',
               'request_id', 'x', 'base', 'http://localhost/v1',
               'page_default', 100, 'page_max', 1000, 'batch_max', 3),
               body::text) as r
$$;

create function pg_temp.made(key text, body json) returns text
    language sql as $$
    select pg_temp.call(key, 'sandbox_devices', body)
$$;

create function pg_temp.punches(key text, sn text, punches json) returns text
    language sql as $$
    select pg_temp.call(key, 'sandbox_punches',
                        json_build_object('punches', punches), sn)
$$;


-- devices

select is((regexp_match(pg_temp.made('test',
              '{"serial_number":"BOX1","name":"Door","location":"Hall",
                "timezone":"Asia/Kolkata"}'), '^201 .*'))[1]
              ~ '"id" *: *"BOX1".*"name" *: *"Door".*"location" *: *"Hall"'
                '.*"status" *: *"online"', true, 'a device is made and online');
select ok((select sandbox from iclock.device where serial_number = 'BOX1'),
          'of the sandbox');
select alike(pg_temp.made('test', '{}'), '201 %"SANDBOX____________"%',
            'one gets a serial number');
select is(pg_temp.made('test', '{"serial_number":"BOX1"}'), '409 exists',
          'one that is there');
savepoint other;
select r.headers ->> 'Location' as place
  from iclock_api.call('sandbox_devices', jsonb_build_object(
           'key', (select k.id from key k where k.name = 'test'),
           'scope', 'devices:write', 'method', 'POST', 'route', '/',
           'query', '{}'::json, 'base', 'http://localhost/v1'),
           '{"serial_number":"BOX%1"}') as r \gset
rollback to other;
select is(:'place'::text, 'http://localhost/v1/devices/BOX%251',
          'where one is');
select is(pg_temp.made('live', '{"serial_number":"BOX2"}'), '403 sandbox',
          'a live key makes none');
select is(pg_temp.made('test', '{"serial_number":"BOX 2"}'),
          '422 invalid #/serial_number', 'a serial number with a blank');
select is(pg_temp.made('test', '{"serial":"BOX2"}'),
          '400 unknown_field #/serial', 'a member that is not known');
select is(pg_temp.made('test', '{"timezone":"Mars/Olympus"}'),
          '422 invalid #/timezone', 'a time zone that there is not');
select is(pg_temp.made('pune', '{"serial_number":"BOX2"}'),
          '422 invalid #/site', 'a site that the key does not see');
select alike(pg_temp.made('pune', '{"serial_number":"BOX2","site":"Pune"}'),
            '201 %', 'and its own');
select is(pg_temp.made('one', '{"serial_number":"BOX3"}'),
          '422 invalid #/serial_number', 'a device that is not of the key');

select alike(pg_temp.call('test', 'devices_get', null, 'BOX1'), '200 %',
            'test keys see it');
select is(pg_temp.call('live', 'devices_get', null, 'BOX1'), '404 not_found',
          'live keys do not');
select is(pg_temp.call('pune', 'devices_get', null, 'BOX1'), '404 not_found',
          'nor do those of other sites');


-- punches

create function pg_temp.numbers(reply text) returns text language sql as $$
    select left(reply, 3) || ' ' || (substr(reply, 5)::json ->> 'stored')
           || ' ' || (substr(reply, 5)::json ->> 'known')
$$;

select is(pg_temp.numbers(pg_temp.punches('test', 'BOX1', '[
    {"user_id":"EMP_001","name":"Asha","timestamp":"2026-03-27T08:30:12Z",
     "type":"CheckIn","method":"Face","temperature":36.5,
     "mask_detected":false},
    {"user_id":"EMP_001","timestamp":"2026-03-27T18:00:00",
     "type":"CheckOut","work_code":"7"},
    {"user_id":"EMP_002"}]')), '201 3 0', 'punches are stored');
select results_eq(
    $$ select pin, local_time, punched_at at time zone 'UTC', status, verify,
              mask, temperature, work_code
         from iclock.punch
        where device_id = pg_temp.device('BOX1')
          and local_time < '2026-04-01'
        order by local_time $$,
    $$ values ('EMP_001', timestamp '2026-03-27 14:00:12',
               timestamp '2026-03-27 08:30:12', 0, 15, 0, 36.5, ''),
              ('EMP_001', '2026-03-27 18:00:00', '2026-03-27 12:30:00', 1, 1,
               -1, null, '7') $$,
    'a time with an offset, and one of the clock of the device');
select is((select count(*) from iclock.punch
            where device_id = pg_temp.device('BOX1') and pin = 'EMP_002'
              and abs(extract(epoch from punched_at - now())) < 60), 1::bigint,
          'and one of now');
select is((select name from iclock.device_user
            where device_id = pg_temp.device('BOX1') and pin = 'EMP_001'),
          'Asha', 'with the name');
select is(pg_temp.numbers(pg_temp.punches('test', 'BOX1', '[
    {"user_id":"EMP_001","timestamp":"2026-03-27T08:30:12Z",
     "method":"Face"}]')), '201 0 1', 'twice is once');

select is(pg_temp.punches('live', 'BOX1', '[{"user_id":"1"}]'),
          '403 sandbox', 'a live key stores none');
select is(pg_temp.punches('test', 'BOX9', '[{"user_id":"1"}]'),
          '404 not_found', 'a device that there is not');
select is(pg_temp.punches('test', 'BOX1', punches::json), said, what)
  from (values
    ('[]', '422 invalid #/punches', 'no punch'),
    ('[{"user_id":"1"},{"user_id":"1"},{"user_id":"1"},{"user_id":"1"}]',
     '422 invalid #/punches', 'more than the batch may have'),
    ('[{"user_id":"7"},{}]', '422 invalid #/punches/1/user_id', 'no user'),
    ('[{"user_id":"a b"}]', '422 invalid #/punches/0/user_id',
     'a user with a blank'),
    ('[{"user_id":"1","timestamp":"today"}]',
     '422 invalid #/punches/0/timestamp', 'no time'),
    ('[{"user_id":"1","timestamp":"2026-02-30T00:00:00Z"}]',
     '422 invalid #/punches/0/timestamp', 'a day that there is not'),
    ('[{"user_id":"1","timestamp":"1890-01-01T00:00:00Z"}]',
     '422 invalid #/punches/0/timestamp', 'a year of nobody'),
    ('[{"user_id":"1","type":"In"}]', '422 invalid #/punches/0/type',
     'no type'),
    ('[{"user_id":"1","method":"Nose"}]', '422 invalid #/punches/0/method',
     'no method'),
    ('[{"user_id":"1","pin":"1"}]', '400 unknown_field #/punches/0/pin',
     'a member that is not known'),
    ('[{"user_id":1}]', '400 bad_request #/punches/0/user_id',
     'a number that should be a text'))
    as c (punches, said, what);
select is((select count(*) from iclock.punch where pin = '7'), 0::bigint,
          'of what is refused nothing is stored');

select is(pg_temp.punches('test', 'REAL1', '[{"user_id":"1"}]'),
          '404 not_found', 'a device that is not of the sandbox')
  from iclock.register_device('REAL1');


-- deleted, and made again

select alike(pg_temp.made('test', '{"serial_number":"BOX7"}'), '201 %',
             'one for a test');
select is(pg_temp.numbers(pg_temp.punches('test', 'BOX7',
              '[{"user_id":"77","name":"Ravi"}]')), '201 1 0', 'with a punch');
select pg_temp.device('BOX7') as id \gset
select is(pg_temp.call('live', 'devices_delete', null, 'BOX7'),
          '404 not_found', 'a live key does not delete it');
select is(pg_temp.call('test', 'devices_delete', null, 'BOX7'), '204 ',
          'deleted');
select is_empty(format($$ select from iclock.device where id = %1$s
                           union all
                          select from iclock.device_user
                           where device_id = %1$s
                           union all
                          select from iclock.punch where device_id = %1$s $$,
                       :'id'), 'with all that it had');
select alike(pg_temp.made('test', '{"serial_number":"BOX7"}'), '201 %',
             'and made again');
select is(pg_temp.numbers(pg_temp.punches('test', 'BOX7',
              '[{"user_id":"77"}]')), '201 1 0', 'with a punch');
update iclock.device set status = 'blocked', removed_at = now()
 where serial_number = 'BOX7';
select alike(pg_temp.made('test', '{"serial_number":"BOX7"}'), '201 %',
             'also one of before');
select is_empty($$ select from iclock.punch where pin = '77' $$,
                'of which nothing is left');


-- the limit

insert into iclock.device (serial_number, sandbox, status)
select 'LIMIT' || n, true, 'active'
  from generate_series(1, 100 - (select count(*) from iclock.device
                                  where sandbox)) as n;
select is(pg_temp.made('test', '{}'), '409 conflict',
          'the hundred and first device');
update iclock.device set status = 'blocked', removed_at = now()
 where serial_number = 'LIMIT1';
select alike(pg_temp.made('test', '{}'), '201 %',
             'those that were removed do not count');
select is(pg_temp.made('test', '{}'), '409 conflict', 'the others do');

select * from finish();
rollback;
