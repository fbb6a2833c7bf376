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
    '{devices:read,devices:write}', devices => '{A2,B1,C5}'));
select pg_temp.key('both', iclock.create_api_key('both',
    '{devices:write}', sites => '{Pune,Delhi}', devices => '{C6}'));
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
          '{id,serial_number,name,location,site,timezone,status,status_since,'
          'status_by,conditions,muted_until,note,users,logs,storage,'
          'storage_ratio,firmware,push_version,ip_address,address,last_seen,'
          'last_punch_at,clock_skew_seconds,waiting_commands}', 'members, in their order');
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

insert into iclock.punch (device_id, local_time, pin)
select pg_temp.device('B1'), '2026-01-01', i from generate_series(1, 1001) as i;
select is(pg_temp.member(pg_temp.get('all', 'B1'), 'logs'), null,
          'more than it counts');
delete from iclock.punch
 where device_id = pg_temp.device('B1') and pin = '1001';
select is(pg_temp.member(pg_temp.get('all', 'B1'), 'logs'), '1000',
          'as many as it counts');

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

-- changes

create function pg_temp.do(name text, method text, operation text, sn text,
                           body text default null, request jsonb default '{}')
    returns iclock_api.reply
    language sql as $$
    select pg_temp.api(name, operation, method,
        '/devices' || case when sn is null then '' else '/{sn}' end,
        jsonb_build_object('path', jsonb_strip_nulls(
            jsonb_build_object('sn', sn)), 'base', 'https://x.test/v1')
        || request, body)
$$;
create function pg_temp.post(name text, body text) returns iclock_api.reply
    language sql as $$
    select pg_temp.do(name, 'POST', 'devices_create', null, body)
$$;

select pg_temp.post('all', '{"serial_number":"AKJD193840129","name":"Main '
    'Office Entrance","location":"Building A, Floor 1"}') as made \gset
select is(pg_temp.code(:'made'), '201', 'a new device');
select is((:'made'::iclock_api.reply).headers,
          '{"Location":"https://x.test/v1/devices/AKJD193840129"}',
          'with its address');
select is(pg_temp.member(:'made', m), value, m)
  from (values ('id', 'AKJD193840129'), ('name', 'Main Office Entrance'),
               ('location', 'Building A, Floor 1'), ('status', 'offline'))
       as v (m, value);
select is(pg_temp.code(pg_temp.post('all',
              '{"serial_number":"AKJD193840129"}')), '409 exists',
          'it is there already');

select is(pg_temp.code(pg_temp.post('all', body)), code, body)
  from (values
    ('{}', '422 invalid #/serial_number'),
    ('{"serial_number":null}', '422 invalid #/serial_number'),
    ('{"serial_number":""}', '422 invalid #/serial_number'),
    ('{"serial_number":"A B"}', '422 invalid #/serial_number'),
    ('{"serial_number":7}', '400 bad_request #/serial_number'),
    ('{"serial_number":"C1","nmae":"x"}', '400 unknown_field #/nmae'),
    ('{"serial_number":"C1","timezone":"Mars"}', '422 invalid #/timezone'),
    ('{"serial_number":"C1","name":"a\tb"}', '422 invalid #/name'),
    ('{"serial_number":"C1","location":"a\nb"}', '422 invalid #/location'),
    ('{"serial_number":"C1","comm_key":""}', '422 invalid #/comm_key'),
    ('{"serial_number":"C1","site":" "}', '422 invalid #/site'),
    ('{"serial_number":"C1","name":"\u0000"}', '400 bad_json'),
    ('{"serial_number":', '400 bad_json'),
    ('[]', '400 bad_request #'),
    (null, '400 bad_request #')) as b (body, code);
select is((select count(*)::int from iclock.device
            where serial_number = 'C1'), 0, 'nothing of it stays');

select is(pg_temp.code(pg_temp.post('all', '{"serial_number":"N1",'
              '"name":"New"}')), '200', 'one that waited is approved');
select is(pg_temp.member(pg_temp.get('all', 'N1'), 'status'), 'online',
          'and served');

-- those of others

select is(pg_temp.code(pg_temp.post(name, body)), code,
          format('key %s: %s', name, body))
  from (values
    ('pune', '{"serial_number":"C2"}', '201'),
    ('pune', '{"serial_number":"C3","site":"Delhi"}', '403 scope'),
    ('pune', '{"serial_number":"B1"}', '409 exists'),
    ('pune', '{"serial_number":"S1"}', '409 exists'),
    ('one', '{"serial_number":"C4"}', '403 scope'),
    ('one', '{"serial_number":"C5","site":"Delhi"}', '403 scope'),
    ('one', '{"serial_number":"C5"}', '201'),
    ('both', '{"serial_number":"C6","site":"Mumbai"}', '403 scope'),
    ('both', '{"serial_number":"C6","site":"Delhi"}', '201'),
    ('test', '{"serial_number":"A1"}', '409 exists'),
    ('test', '{"serial_number":"T1"}', '201')) as p (name, body, code);
select is(pg_temp.member(pg_temp.get('pune', 'C2'), 'site'), 'Pune',
          'the site of the key need not be named');
select is(pg_temp.ids(pg_temp.list('test')), 'S1 T1', 'into the sandbox');
select is(pg_temp.code(pg_temp.get('all', 'T1')), '404 not_found',
          'where live keys do not look');

insert into iclock.device (serial_number) values ('N2'), ('N3');
select is(pg_temp.code(pg_temp.post('pune', '{"serial_number":"N2"}')), '200',
          'a device that waits and stands nowhere');
select is(pg_temp.member(pg_temp.get('pune', 'N2'), 'site'), 'Pune',
          'is at the site then');
select is(pg_temp.code(pg_temp.do('pune', m, o, 'B1', '{}')), '404 not_found',
          format('%s of a device of another site', o))
  from (values ('PATCH', 'devices_update'), ('DELETE', 'devices_delete'),
               ('POST', 'devices_action')) as x (m, o);

-- PATCH

select is(pg_temp.code(pg_temp.do('all', 'PATCH', 'devices_update', 'A1',
              '{"name":"Front","location":null,"timezone":"Asia/Tokyo"}')),
          '200', 'a change');
select is(pg_temp.member(pg_temp.get('all', 'A1'), m), value, m)
  from (values ('name', 'Front'), ('location', null),
               ('timezone', 'Asia/Tokyo'), ('site', 'Pune')) as v (m, value);
select is((select comm_key from iclock.device where serial_number = 'A1'),
          'secret', 'the rest is as it was');
select is(pg_temp.code(pg_temp.do('all', 'PUT', 'devices_update', 'A1',
              '{"comm_key":null,"site":"Delhi"}')), '200', 'another change');
select is((select comm_key from iclock.device where serial_number = 'A1'),
          null, 'null takes a setting back');
select is((select count(*)::int from iclock.device_site s
            where s.device_id = pg_temp.device('A1') and s.site = 'Pune'), 1,
          'what it recorded stays with the site where it stood');
select is(pg_temp.code(pg_temp.do(name, 'PATCH', 'devices_update', sn, body)),
          code, format('key %s, %s: %s', name, sn, body))
  from (values
    ('all', 'A1', '{"serial_number":"A1"}', '200'),
    ('all', 'A1', '{"serial_number":"A9"}', '422 invalid #/serial_number'),
    ('all', 'A1', '{"timezone":"Mars"}', '422 invalid #/timezone'),
    ('all', 'A1', '{"status":"blocked"}', '400 unknown_field #/status'),
    ('all', 'A1', '{"site":null}', '200'),
    ('all', 'N1', '{"site":" "}', '422 invalid #/site'),
    ('pune', 'A2', '{"site":"Delhi"}', '403 scope'),
    ('pune', 'A2', '{"site":null}', '422 invalid #/site'),
    ('one', 'A2', '{"site":"Delhi"}', '403 scope'),
    ('one', 'A2', '{"site":null}', '403 scope'),
    ('one', 'A2', '{"site":"Pune","note":"as it was"}', '200'),
    ('one', 'C5', '{"site":"Pune"}', '403 scope'))
    as p (name, sn, body, code);

-- to no site, and to another one from there

insert into iclock.device (serial_number, status, site)
values ('M1', 'active', 'Pune'), ('M2', 'active', 'Pune');
insert into iclock.punch (device_id, local_time, pin, status, verify)
values (pg_temp.device('M1'), '2026-01-05 08:00', '5', 0, 1);
select is(pg_temp.code(pg_temp.do('all', 'PATCH', 'devices_update', 'M1',
                                  '{"site":null}')), '200', 'to no site');
select is(pg_temp.member(pg_temp.get('all', 'M1'), 'site'), null,
          'where it stands');
select is((select a.site from iclock.attendance a
            where a.serial_number = 'M1'), 'Pune',
          'its punches stay where they were made');
select is(pg_temp.code(pg_temp.do('all', 'PATCH', 'devices_update', 'M1',
                                  '{"site":"Oslo"}')), '200', 'to another');
select is((select a.site from iclock.attendance a
            where a.serial_number = 'M1'), 'Pune', 'which does not get them');
select is(pg_temp.code(pg_temp.do('all', 'PATCH', 'devices_update', 'M2',
                                  '{"site":null}')), '200',
          'one that has recorded nothing');
select is((select count(*)::int from iclock.device_site s
            where s.device_id = pg_temp.device('M2')), 0,
          'has stood nowhere');
insert into iclock.device (serial_number, status, site, site_since)
values ('M3', 'active', 'Pune', '2026-01-01');
select is(pg_temp.code(pg_temp.do('all', 'PATCH', 'devices_update', 'M3',
                                  '{"site":null}')), '200',
          'one that has been moved');
select is((select count(*)::int from iclock.device_site s
            where s.device_id = pg_temp.device('M3') and s.site = 'Pune'), 1,
          'leaves there what it has not sent yet');
delete from iclock.punch p where p.device_id = pg_temp.device('M1');
delete from iclock.device d where d.serial_number in ('M1', 'M2', 'M3');

-- actions

create function pg_temp.act(sn text, action text, body text default null,
                            request jsonb default '{}')
    returns iclock_api.reply
    language sql as $$
    select pg_temp.do('all', 'POST', 'devices_action', sn, body,
        jsonb_build_object('route', '/devices/{sn}/' || action) || request)
$$;

select is(pg_temp.member(pg_temp.act('A2', a), 'status'), status, a)
  from (values (1, 'block', 'blocked'), (2, 'approve', 'offline'))
       as x (ord, a, status)
 order by ord;
select pg_temp.act('A2', 'reboot', null, '{"wait":5}') as asked \gset
select is(pg_temp.code(:'asked'), '202', 'reboot');
select is(pg_temp.member(:'asked', 'commands', '0', m), value, m)
  from (values ('device_id', 'A2'), ('status', 'queued')) as v (m, value);
select is((:'asked'::iclock_api.reply).meta, '{"wait":true}',
          'nginx waits for it');
select is((pg_temp.act('A2', 'reboot')).meta, null, 'unless nobody asked');
select is(body, 'REBOOT', 'the command')
  from iclock.command
 where id = pg_temp.member(:'asked', 'commands', '0', 'id')::bigint;
select is(pg_temp.code(pg_temp.act('A2', a, body)), code,
          concat_ws(' ', a, body))
  from (values
    ('sync-time', null, '202'),
    ('reupload', '{"table":"ATTLOG"}', '202'),
    ('reupload', '{"table":"SECRETS"}', '422 invalid #/table'),
    ('reupload', '{}', '422 invalid #/table'),
    ('reupload', null, '422 invalid #/table'),
    ('reboot', '{"when":1}', '400 unknown_field #/when')) as x (a, body, code);
select iclock.block_device('X1');
select is(pg_temp.code(pg_temp.act('X1', 'reboot')), '409 conflict',
          'not of a blocked device');

-- what a reply that waits becomes

select is((select s.settled from iclock_api.settle((:'asked'
              ::iclock_api.reply).body) as s), 'false', 'it waits');
update iclock.command set status = 'done', return_code = 0
 where id = pg_temp.member(:'asked', 'commands', '0', 'id')::bigint;
select results_eq(
    format($$ select s.settled, s.body::json #>> '{commands,0,status}'
                from iclock_api.settle(%L) as s $$,
           (:'asked'::iclock_api.reply).body),
    $$ values ('true', 'done') $$, 'it has ended');
select results_eq(
    format($$ select * from iclock_api.settle(
        '{"user_id":"1","status":"pending","commands":[{"id":%s}],"x":[1]}')
        $$, pg_temp.member(:'asked', 'commands', '0', 'id')),
    format($$ values ('true', '{"user_id":"1","status":"synced","commands":'
                              '%s,"x":[1]}') $$,
           iclock_api.command_list(array[pg_temp.member(:'asked', 'commands',
                                             '0', 'id')::bigint])),
    'a user is there then');
select is((select s.settled from iclock_api.settle('{"status":"pending"}')
              as s), 'true', 'nothing to wait for');

-- DELETE

select is(pg_temp.code(pg_temp.do('all', 'DELETE', 'devices_delete', 'A2',
              null, '{"query":{"purge":"true"}}')), '403 scope',
          'punches are not deleted');
select iclock.reboot('A2');
select is(pg_temp.code(pg_temp.do('all', 'DELETE', 'devices_delete', sn)),
          '204', 'delete ' || sn)
  from unnest('{A2,N1}'::text[]) as sn;
select is(pg_temp.code(pg_temp.get('all', sn)), '404 not_found',
          sn || ' is gone')
  from unnest('{A2,N1}'::text[]) as sn;
select results_eq(
    $$ select status, removed_at is not null,
              (select count(*)::int from iclock.punch p
                where p.device_id = d.id),
              (select count(*)::int from iclock.command c
                where c.device_id = d.id and c.status = 'queued')
         from iclock.device d where serial_number in ('A2', 'N1') $$,
    $$ values ('blocked', true, 2, 0) $$,
    'one that has punches is refused, keeps them, and fetches nothing');
select iclock.register_devices('{A2}', '{active}', '{9}');
select is((select status from iclock.device where serial_number = 'A2'),
          'blocked', 'no handshake lets it in again');
select is(pg_temp.code(pg_temp.post('all', '{"serial_number":"A2"}')), '201',
          'whoever registers it does');
select is(pg_temp.member(pg_temp.get('all', 'A2'), 'logs'), '2',
          'with its punches');

-- people on a terminal

update iclock.device_user set card = '77', privilege = 14
 where device_id = pg_temp.device('A2') and pin = '1';
insert into iclock.template (device_id, pin, type, no, index, major_version,
                             minor_version, data)
values (pg_temp.device('A2'), '1', 1, 6, 0, 10, -1, 'x');
select pg_temp.key('people', iclock.create_api_key('people', '{users:read}'));
create function pg_temp.users(sn text, query jsonb) returns iclock_api.reply
    language sql as $$
    select pg_temp.api('people', 'device_users', 'GET', '/devices/{sn}/users',
        jsonb_build_object('scope', 'users:read',
                           'path', jsonb_build_object('sn', sn),
                           'query', query))
$$;
select is((pg_temp.member(pg_temp.users('A2', '{"limit":"1"}'), 'data', '0'))
              ::jsonb - 'updated_at',
          '{"user_id":"1","name":"","privilege":14,"card":"77","group":null,
            "templates":[{"type":"fingerprint","index":6,"version":"10"}]}',
          'a user of a terminal');
select is(pg_temp.member(pg_temp.users('A2', jsonb_build_object('cursor',
              (pg_temp.users('A2', '{"limit":"1"}')).meta ->> 'next')),
              'data', '1', 'user_id'), '3', 'the next page');
select is(pg_temp.code(pg_temp.users('S1', '{}')), '404 not_found',
          'not of the sandbox');

-- plans: a list walks along an index, whatever the filters

insert into iclock.device (serial_number, status, site, last_seen, sandbox)
select 'Z' || lpad(i::text, 6, '0'), 'active', 'Site ' || i % 100, now(),
       i % 5000 = 0
  from generate_series(1, 20000) as i;
analyze iclock.device;
create function pg_temp.read_rows(name text, query jsonb) returns bigint
    language plpgsql as $$
declare
    line  text;
    rows  bigint := 0;
begin
    perform pg_stat_clear_snapshot();
    rows := pg_stat_get_xact_tuples_returned('iclock.device'::regclass);
    perform pg_temp.list(name, query);
    return pg_stat_get_xact_tuples_returned('iclock.device'::regclass) - rows;
end
$$;
select is(pg_temp.read_rows(name, query), 0::bigint,
          format('key %s reads no device in vain: %s', name, query))
  from (values
    ('all', '{"limit":"5"}'::jsonb),
    ('all', '{"limit":"5","status":"online"}'),
    ('pune', '{"limit":"5"}'),
    ('test', '{"limit":"5"}')) as q (name, query);

select * from finish();
rollback;
