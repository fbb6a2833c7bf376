-- The event feed within one session; t/events.t has others beside it, nginx, and
-- another cluster.

\ir ../fixtures/pgtap.psql

-- what is written meanwhile is settled only when this transaction has ended

create function pg_temp.events(after text, variadic filter text[] default '{}')
    returns table (type text, device text, payload jsonb)
    language sql as $$
    select e.type, e.device, e.payload::jsonb
      from iclock.read_events($1, look_ahead => true,
               types => iclock.event_types(nullif(filter, '{}'))) as e
$$;
create function pg_temp.seen(after text) returns text
    language sql as $$
    select string_agg(e.type, ' ') from pg_temp.events($1) as e
$$;
create function pg_temp.last() returns text
    language sql as $$
    select coalesce(max(e.cursor collate "C"), '0')
      from iclock.read_events('0', max => 100000, look_ahead => true) as e
$$;
create function pg_temp.punch(serial text, pin text, at timestamp)
    returns void
    language sql as $$
    insert into iclock.punch (device_id, local_time, pin, status, verify,
                              punched_at)
    values (pg_temp.device($1), $3, $2, 0, 1, $3 at time zone 'UTC')
    on conflict do nothing
$$;

-- while nobody listens

insert into iclock.device (serial_number, status, name, site, timezone, location)
values ('E0001', 'active', 'Main "Office"', 'Pune', 'Asia/Kolkata', 'Building A'),
       ('E0002', 'active', null, 'Delhi', null, null);
select pg_temp.punch('E0001', '1', '2026-03-27 14:00:12');
select is((select count(*)::int from iclock.event), 0, 'nothing is written');
select is(iclock.events_enabled(), false, 'events are disabled');
select is(iclock.event_write('webhook.test', null, '{}'), null,
          'nor by event_write()');
select hasnt_trigger('iclock', 'punch', 'punch_event',
                     'no trigger looks at the rows of punch');
select is_empty($$ select t.name from iclock.event_triggers() t
                    where t.enabled $$, 'the others are disabled');

select lives_ok('select iclock.enable_events()', 'enable');
select lives_ok('select iclock.enable_events()', 'again');
select is(iclock.events_enabled(), true, 'enabled');
select is_empty($$ select t.name from iclock.event_triggers() t
                    where not t.enabled $$, 'and all triggers are');
select has_trigger('iclock', 'punch', 'punch_event', 'also that of punch');
select is((select count(*)::int from iclock.event_partitions()), 4,
          'today and three days have a partition');

-- punches

select pg_temp.punch('E0001', '1', '2026-03-27 14:00:12');
select is((select count(*)::int from iclock.event), 0, 'a duplicate is no event');

insert into iclock.device_user (device_id, pin, name)
select pg_temp.device('E0001'), 'EMP_001',
       U&'J\00F8hn "\005C" \+01F600 \2028\0001\001F\007F\0008\0009\000A\000C\000D /<>&';
select pg_temp.last() as last \gset
insert into iclock.punch (device_id, local_time, pin, status, verify, punched_at,
                          temperature, mask, work_code)
values (pg_temp.device('E0001'), '2026-03-27 14:00:12', 'EMP_001', 0, 1,
        '2026-03-27 08:30:12Z', 36.50, 0, ''),
       (pg_temp.device('E0001'), localtimestamp(0), '2', 255, 200,
        date_trunc('second', now()), null, 1, '7'),
       (pg_temp.device('E0001'), localtimestamp(0), '3', -1, -1,
        now(), 'NaN', -1, '');
select set_eq(
    $$ select type from pg_temp.events('0') $$,
    array['user.enrolled', 'attendance.punch'], 'three punches and a user');
select is(
    (select replace(replace(replace(e.payload, e.event_id, 'ID'),
                            '"sequence":' || (e.payload::jsonb ->> 'sequence'),
                            '"sequence":7'),
                    e.payload::jsonb ->> 'created_at', 'NOW')
       from iclock.read_events(:'last', look_ahead => true) as e
      limit 1),
    '{"type":"attendance.punch","event":"attendance.punch","event_id":"ID",'
    '"sequence":7,"timestamp":"2026-03-27T08:30:12Z","created_at":"NOW",'
    '"late":true,'
    '"device":{"id":"E0001","name":"Main \"Office\"","location":"Building A",'
    '"site":"Pune","timezone":"Asia/Kolkata"},'
    '"user":{"id":"EMP_001","name":'
    || U&'"J\00F8hn \005C"\005C\005C\005C" \+01F600 \2028' || '\u0001\u001f'
    || U&'\007F' || '\b\t\n\f\r /<>&"},'
    '"punch":{"type":"CheckIn","method":"Fingerprint",'
    '"timestamp":"2026-03-27T08:30:12Z","local_time":"2026-03-27T14:00:12",'
    '"status":0,"verify":1,"work_code":null,"temperature":36.5,'
    '"mask_detected":false}}',
    'the payload of a punch, byte for byte');
select is((select jsonb_agg(jsonb_build_array(
                      e.payload -> 'late', e.payload #> '{user,name}',
                      e.payload #> '{punch,type}', e.payload #> '{punch,method}',
                      e.payload #> '{punch,status}',
                      e.payload #> '{punch,verify}',
                      e.payload #> '{punch,work_code}',
                      e.payload #> '{punch,temperature}',
                      e.payload #> '{punch,mask_detected}')
                  order by e.payload #>> '{user,id}')
             from pg_temp.events(:'last', 'attendance.punch') as e
            where e.payload #>> '{user,id}' in ('2', '3')),
          '[[false,null,"Other","Other",255,200,"7",null,true],
            [false,null,"Other","Other",null,null,null,null,null]]'::jsonb,
          'what is not known is null');
select matches(e.payload ->> 'created_at',
               '^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$', 'created_at')
  from pg_temp.events(:'last') as e limit 1;
select matches(e.event_id, '^evt_[0-9a-f]{16}_[0-9a-f]{16}$', 'event_id')
  from iclock.read_events('0', look_ahead => true) as e limit 1;

insert into iclock.person (site, pin, name) values ('Pune', '2', 'Asha Rao');
insert into iclock.person (site, pin, name) values ('Delhi', '3', 'Nobody');
select is((select string_agg(e.payload #>> '{user,name}', ' ')
             from pg_temp.events(:'last', 'attendance.punch') as e
            where e.payload #>> '{user,id}' in ('2', '3')), 'Asha Rao',
          'the name that the site knows comes before that of the terminal');

select pg_temp.last() as last \gset
insert into iclock.punch (device_id, local_time, pin)
values (pg_temp.device('E0001'), 'infinity', '1'),
       (pg_temp.device('E0002'), '0001-01-01 BC', '1');
select is((select jsonb_agg(e.payload #> '{punch,timestamp}')
             from pg_temp.events(:'last') as e),
          '[null, null]', 'times that are none');

-- what is imported is an event like any other; that it is old is said
select pg_temp.last() as last \gset
select number as stored
  from iclock.import_punches('E0001', '["4\t2019-05-06 08:00:00"]')
 where outcome = 'stored' \gset
select is((select jsonb_agg(jsonb_build_array(
                      e.type, e.payload -> 'late',
                      e.payload #> '{punch,local_time}'))
             from pg_temp.events(:'last') as e),
          '[["attendance.punch", true, "2019-05-06T08:00:00"]]',
          'an imported punch');

select pg_temp.last() as last \gset
insert into iclock.punch_default (device_id, local_time, pin)
select pg_temp.device('E0001'), date_trunc('month', localtimestamp)
       - interval '13 months', '1';
select iclock.maintain();
select is(pg_temp.seen(:'last'), null,
          'punches that maintain() moves are no events');
select iclock.wake_readers();

-- people: what has really changed

select pg_temp.last() as last \gset
insert into iclock.device_user (device_id, pin, name)
select pg_temp.device('E0001'), '7', 'Asha';
update iclock.device_user set name = 'Asha' where pin = '7';
update iclock.device_user set updated_at = now() where pin = '7';
select is(pg_temp.seen(:'last'), 'user.enrolled',
          'an update that changes nothing is no event');
update iclock.device_user set card = '0001234' where pin = '7';
delete from iclock.device_user where pin = '7';
select is(pg_temp.seen(:'last'), 'user.enrolled user.updated user.deleted',
          'enrolled, updated, deleted');
select is((select e.payload -> 'user'
             from pg_temp.events(:'last', 'user.deleted') as e),
          '{"id":"7","name":"Asha"}', 'who was deleted had a name');
select is_empty($$ select e.payload
                     from pg_temp.events('0') as e
                    where e.payload::text like '%1234%' $$, 'no card');

select pg_temp.last() as last \gset
insert into iclock.template (device_id, pin, type, no, index, data)
select pg_temp.device('E0001'), '7', v.type, v.no, v.index, '\x5ec2e7'
  from (values (1, 6, -1), (2, 0, 0), (2, 0, 1)) as v (type, no, index);
update iclock.template set updated_at = now();
select is((select string_agg((e.payload -> 'template')::text, ' '
                             order by (e.payload -> 'template')::text)
             from pg_temp.events(:'last') as e),
          '{"type": "face", "index": 0} {"type": "fingerprint", "index": 6}',
          'a template: its kind, and a face of two parts once');
update iclock.template set data = '\x5ec2e8' where type = 1;
select is((select count(*)::int from pg_temp.events(:'last')), 3,
          'another finger in its place');

select pg_temp.last() as last \gset
insert into iclock.photo (device_id, kind, file_name, pin, taken_at, content)
values (pg_temp.device('E0001'), 'attendance', '20260327140012-7.jpg', '7',
        '2026-03-27 14:00:12', '\xffd8'),
       (pg_temp.device('E0001'), 'user', '7.jpg', '7', null, '\xffd8');
select is((select jsonb_agg(e.payload -> 'photo') from pg_temp.events(:'last') e),
          '[{"file_name":"20260327140012-7.jpg",
             "local_time":"2026-03-27T14:00:12"}]',
          'a photo of a punch, by its name');

-- commands

select pg_temp.last() as last \gset
insert into iclock.command (device_id, body)
select pg_temp.device('E0001'), b
  from unnest(array['REBOOT', E'DATA UPDATE USERINFO PIN=7\tPasswd=4711']) as b;
update iclock.command set status = 'sent' where status = 'queued';
select is(pg_temp.seen(:'last'), null, 'a command that is sent is no event');
update iclock.command set status = 'done', return_code = 0;
update iclock.command set return_code = 0;
select is((select jsonb_agg((e.payload -> 'command') - 'id'
                            order by e.payload #> '{command,id}')
             from pg_temp.events(:'last', 'command.finished') as e),
          '[{"status":"done","return_code":0,"summary":"REBOOT"},
            {"status":"done","return_code":0,
             "summary":"DATA UPDATE USERINFO PIN=7"}]',
          'a command has ended, once; its secrets are not told');

-- devices

select pg_temp.last() as last \gset
insert into iclock.device (serial_number) values ('E0003');
update iclock.device set status = 'active' where serial_number = 'E0003';
update iclock.device set name = 'x' where serial_number = 'E0003';
update iclock.device set status = 'blocked' where serial_number = 'E0003';
update iclock.device set status = 'active' where serial_number = 'E0003';
update iclock.device set status = 'blocked', removed_at = now()
 where serial_number = 'E0003';
select is(pg_temp.seen(:'last'),
          'device.pending device.approved device.blocked device.approved '
          'device.removed', 'what becomes of a device');
select pg_temp.last() as last \gset
insert into iclock.device (serial_number, status, site, sandbox)
values ('E0004', 'active', 'Pune', false);
insert into iclock.device_user (device_id, pin)
select pg_temp.device('E0004'), '1';
delete from iclock.device where serial_number = 'E0004';
select is(pg_temp.seen(:'last'),
          'device.approved user.enrolled device.removed',
          'one that is deleted; its people are not, one by one');
select is((select e.payload #>> '{device,id}'
             from pg_temp.events(:'last', 'device.removed') as e), 'E0004',
          'and still has its number');
select pg_temp.last() as last \gset
insert into iclock.device (serial_number, status, site, sandbox, first_seen)
values ('E0005', 'active', 'Pune', true, now());
insert into iclock.device_user (device_id, pin)
select pg_temp.device('E0005'), '1';
insert into iclock.punch (device_id, local_time, pin)
select pg_temp.device('E0005'), '2026-03-01 08:00', '1';
create function pg_temp.met(last text, mode text, sites text[]) returns text
    language sql as $$
    select coalesce(string_agg(concat_ws(' ', e.type, e.device, e.sandbox),
                               ', ' order by e.cursor collate "C"), '')
      from iclock.read_events($1, sites => $3, mode => $2, look_ahead => true)
           as e
$$;
delete from iclock.device where serial_number = 'E0005';
select is(pg_temp.met(:'last', mode, sites), met,
          format('a simulated one that is deleted: %s, %s', mode, sites))
  from (values ('live', null::text[], ''),
               ('live', '{Pune}', ''),
               ('test', null, 'device.removed E0005 t'),
               ('test', '{Pune}', 'device.removed E0005 t'),
               ('test', '{Delhi}', ''),
               (null, '{Pune}', 'device.removed E0005 t'),
               (null, null, 'device.removed E0005 t'))
       as m (mode, sites, met);
select is((select count(*)::int from iclock.punch where pin = '1'
             and local_time = '2026-03-01 08:00'), 0, 'with its punches');

-- silence

select pg_temp.last() as last \gset
insert into iclock.device_presence (device_id, last_seen)
values (pg_temp.device('E0001'), now() - interval '4 minutes'),
       (pg_temp.device('E0002'), now() - interval '6 minutes');
select iclock.watch_events();
select is(pg_temp.seen(:'last'), null,
          'nobody is silent when nobody has listened before');
update iclock.event_state
   set watched_at = now() - interval '1 minute',
       watched_since = now() - interval '6 minutes';
select is(iclock.watch_events(), true, 'watch_events() says that they are on');
select iclock.watch_events();
update iclock.event_state set watched_at = now() - interval '1 minute';
select iclock.watch_events();
select is((select string_agg(e.type || ' ' || e.device, ', ')
             from pg_temp.events(:'last') as e), 'device.offline E0002',
          'silent for more than five minutes: told once');
update iclock.device_presence set last_seen = now();
update iclock.event_state set watched_at = now() - interval '1 minute';
select iclock.watch_events();
select is((select string_agg(e.type || ' ' || e.device, ', ')
             from pg_temp.events(:'last') as e),
          'device.offline E0002, device.online E0002', 'and back');
update iclock.device_presence set last_seen = now() - interval '6 minutes';
update iclock.event_state set watched_at = now() - interval '4 minutes';
select pg_temp.last() as last \gset
select iclock.watch_events();
select is(pg_temp.seen(:'last'), null,
          'nginx was away: the devices may have called');
update iclock.event_state
   set watched_at = now() + interval '1 day',
       watched_since = now() + interval '1 day';
select iclock.watch_events();
select results_eq(
    $$ select watched_at <= clock_timestamp(), watched_since
         from iclock.event_state $$,
    $$ values (true, now()) $$, 'the clock was ahead: it listens all the same');

-- a device with a long delay is not silent so soon

update iclock.device_presence set last_seen = now() - interval '10 minutes';
update iclock.device set delay = 900 where serial_number = 'E0001';
select pg_temp.last() as last \gset
select iclock.disable_events();
select iclock.enable_events();
select is((select array_agg(d.serial_number)
             from iclock.device_silence s
             join iclock.device d on d.id = s.device_id), '{E0002}',
          'who is silent when events are switched on');
select iclock.watch_events();
select is(pg_temp.seen(:'last'), null, 'and none is back');
update iclock.device set delay = null where serial_number = 'E0001';

-- written by others

select pg_temp.last() as last \gset
select matches(iclock.event_write('webhook.test', null,
                                  json_build_object('id', 'wh_1')),
               '^evt_[0-9a-f]{16}_[0-9a-f]{16}$', 'event_write()');
select iclock.event_write('door.event', pg_temp.device('E0001'), '{"no":1}');
select is((select jsonb_agg(e.payload - '{event_id,sequence,timestamp,created_at}'
                                      ::text[])
             from pg_temp.events(:'last') as e),
          '[{"type":"webhook.test","event":"webhook.test","late":false,
             "device":null,"webhook":{"id":"wh_1"}},
            {"type":"door.event","event":"door.event","late":false,
             "device":{"id":"E0001","name":"Main \"Office\"",
                       "location":"Building A","site":"Pune",
                       "timezone":"Asia/Kolkata"},"door":{"no":1}}]',
          'data stands under the first word of the type');
select throws_ok($$ select iclock.event_write('door.knock') $$, '22023', null,
                 'a type that does not exist');

-- reading

select is(
    (select count(*)::int from iclock.read_events('0')), 0,
    'what this transaction writes is not settled');
select is(
    (select bool_or(e.settled) from iclock.read_events('0',
                                       look_ahead => true) as e), false,
    'looking ahead says so');
select is(
    (select array_agg(e.cursor) from iclock.read_events('0', max => 100000,
                                                        look_ahead => true) e),
    (select array_agg(e.cursor order by e.cursor collate "C")
       from iclock.read_events('0', max => 100000, look_ahead => true) as e),
    'in order');
select is((select count(*)::int
             from iclock.read_events('0', max => 5, look_ahead => true)), 5,
          'as many as are asked for');
select is((select array_agg(distinct e.device) from iclock.read_events('0',
               sites => '{Delhi}', max => 10000, look_ahead => true) as e),
          '{E0002}', 'of a site');
select is((select array_agg(distinct e.device order by e.device)
             from iclock.read_events('0', devices => '{E0001,E0009}',
                      max => 10000, look_ahead => true) as e),
          '{E0001}', 'of a device');
select is((select count(*)::int
             from iclock.read_events('0', sites => '{}', look_ahead => true)),
          0, 'of no site');
update iclock.device set sandbox = true where serial_number = 'E0002';
select is((select array_agg(distinct e.device) from iclock.read_events('0',
               mode => 'test', max => 10000, look_ahead => true) as e),
          '{E0002,E0005}', 'a test key sees simulated devices');
select is((select count(*)::int from iclock.read_events('0', mode => 'live',
               max => 10000, look_ahead => true) as e where e.device = 'E0002'),
          0, 'a live one does not');
select is((select bool_and(e.sandbox) from iclock.read_events('0',
               mode => 'test', max => 10000, look_ahead => true) as e), true,
          'they say that they are');
select throws_ok(format('select iclock.read_events(%L, max => %s)', c, m),
                 '22023', null, format('refused: %s, %s', c, m))
  from (values ('x', 1), ('', 1), ('0', 0), ('0', 100001),
               ('8000000000000000_0000000000000000', 1),
               ('0000000000000001_000000000000000G', 1),
               ('00000000000000010000000000000001', 1)) as v (c, m);
select throws_ok($$ select iclock.event_types('{attendance.punch,x}') $$,
                 '22023', null, 'a type that is none');
select is(iclock.event_types(null), null, 'no types');
select is(iclock.event_gone('7fffffffffffffff_0000000000000001') is null, false,
          'a cursor of the future is of another cluster');
select is(iclock.event_gone('0'), null, 'the beginning is always there');

-- with time they become settled: as if a transaction of before had written them

update iclock.event set xid = '3';
select is((select count(*) from iclock.read_events('0', max => 100000)),
          (select count(*) from iclock.event), 'settled ones');
select is(iclock.event_cursor(),
          (select max(e.cursor collate "C")
             from iclock.read_events('0', max => 100000) as e),
          'event_cursor() is that of the newest');
select is((select (s.newest, s.settled, s.horizon_age is null, s.holder is null)::text
             from iclock.event_status s),
          (select (max(seq), max(seq), true, true)::text from iclock.event),
          'event_status');

-- the API

create function pg_temp.request(query jsonb, key jsonb default '{}',
                                path jsonb default '{}') returns jsonb
    language sql as $$
    select jsonb_build_object('method', 'GET', 'route', '/events',
               'query', $1, 'path', $3,
               'key', '{"id":"k","mode":"live"}'::jsonb || $2)
$$;
select iclock.event_cursor() as head \gset
select is((select r.body || ' ' || r.meta::text
             from iclock_api.events_list(pg_temp.request('{}')) as r),
          '{"data":[],"has_more":false,"next_cursor":"' || :'head' || '"} '
          || jsonb_build_object('next', null, 'rows', 0, 'empty', true,
                                'resume', :'head', 'unsettled', false),
          'without a cursor: from now on');
select is((select r.body::json ->> 'next_cursor'
             from iclock_api.events_list(pg_temp.request(
                      jsonb_build_object('after', '0', 'limit', '2'))) as r),
          (select e.cursor from iclock.read_events('0') as e offset 1 limit 1),
          'the first page');
select is((select count(*)::int
             from iclock_api.events_list(pg_temp.request(
                      '{"after":"0","site":"Delhi"}')) as r,
                  json_array_elements(r.body::json -> 'data')), 0,
          'a site whose devices are simulated');
select is((select array_agg(distinct d #>> '{device,site}')
             from iclock_api.events_list(pg_temp.request(
                      '{"after":"0","limit":"1000"}', '{"sites":["Pune"]}')) r,
                  json_array_elements(r.body::json -> 'data') as d),
          '{Pune}', 'a key that is limited to a site');
select is((select count(*)::int
             from iclock_api.events_list(pg_temp.request(
                      '{"after":"0","site":"Pune"}', '{"sites":["Delhi"]}')) r,
                  json_array_elements(r.body::json -> 'data') as d), 0,
          'and asks for another');
select is((select r.body::json ->> 'next_cursor'
             from iclock_api.events_list(pg_temp.request(
                      '{"after":"0","types":"door.alarm"}')) as r), :'head',
          'a cursor moves over what is not for the reader');
select throws_ok(
    format('select iclock_api.events_list(pg_temp.request(%L))', q),
    'ICAPI', null, 'refused: ' || q)
  from unnest(array['{"after":"x"}', '{"types":"x"}', '{"types":""}',
                    '{"limit":"1001"}', '{"wait":"31"}', '{"colour":"red"}'])
       as q;
select is((select r.body::json ->> 'event_id'
             from iclock_api.events_get(pg_temp.request('{}', '{}',
                      jsonb_build_object('event_id', 'evt_' || :'head'))) r),
          'evt_' || :'head', 'one event');
select throws_ok(
    format('select iclock_api.events_get(pg_temp.request(%L, %L, %L))',
           '{}', k, jsonb_build_object('event_id', i)), 'ICAPI', null,
    'not there: ' || i || ' ' || k)
  from (values ('{"sites":["Delhi"]}', 'evt_' || :'head'),
               ('{"mode":"test"}', 'evt_' || :'head'),
               ('{}', 'evt_0000000000000003_0fffffffffffffff'),
               ('{}', 'evt_0000000000000003_0000000000000000'),
               ('{}', 'x')) as v (k, i);

-- retention

select (iclock.read_events('0')).cursor as first limit 1 \gset
create table iclock.event_2020_01_01 (like iclock.event including indexes);
alter table iclock.event attach partition iclock.event_2020_01_01
    for values from ('2020-01-01 00:00Z') to ('2020-01-02 00:00Z');
insert into iclock.event (xid, created_at, type)
values ('1', '2020-01-01 12:00Z', 18), ('2', '2020-01-01 12:00Z', 18),
       ('2', '2019-01-01 12:00Z', 18);
select array_agg(e.cursor) as old
  from iclock.read_events('0', max => 3) as e \gset
update iclock.retention set age = null where kind = 'event';
select is(iclock.prune_events(), false, 'without an age all are kept');
update iclock.retention set age = '7 days' where kind = 'event';
select is(iclock.prune_events(), true, 'a day that is over is dropped');
select is(iclock.prune_events(), false, 'and what had no day');
select hasnt_table('iclock', 'event_2020_01_01', 'its table is gone');
select is((select (iclock.read_events('0', max => 1)).cursor), :'first',
          'the others are there');
select is(iclock.event_gone((:'old'::text[])[1]), (:'old'::text[])[3],
          'a cursor of then is gone; this is the oldest');
select is(iclock.event_gone((:'old'::text[])[3]), null, 'which is none');
select is((select r.status || ' ' || (r.meta -> 'problem' ->> 'code') || ' '
                  || (r.meta -> 'problem' ->> 'oldest')
             from iclock_api.events_list(pg_temp.request(
                      jsonb_build_object('after', (:'old'::text[])[1]))) as r),
          '410 gone ' || (:'old'::text[])[3], 'the API says so');

select iclock.keep_events(86400);
select is((select r.age from iclock.retention r where r.kind = 'event'),
          interval '1 day', 'nginx says for how long');
update iclock.retention set age = null where kind = 'event';
select iclock.keep_events(86400);
select is((select r.age from iclock.retention r where r.kind = 'event'), null,
          'but not to who keeps them for ever');

-- a receiver that lags keeps its days, for a month

update iclock.retention set age = '7 days' where kind = 'event';
select id as hook from iclock.create_webhook('https://a.example/in') \gset
create function pg_temp.day(days integer) returns void
    language plpgsql as $$
declare
    day  constant date := (now() at time zone 'UTC')::date - days;
begin
    execute format('create table iclock.event_old_%s (like iclock.event '
                   'including indexes)', days);
    execute format('alter table iclock.event attach partition '
                   'iclock.event_old_%s for values from (%L) to (%L)', days,
                   day || ' 00:00Z', (day + 1) || ' 00:00Z');
    insert into iclock.event (xid, created_at, type)
    values ('3', day + interval '12 hours', 18);
end
$$;
select pg_temp.day(40), pg_temp.day(9);
update iclock.webhook_endpoint w set cursor_xid = '3', cursor_seq = 0;
select is(iclock.prune_events(), true, 'a day of more than a month ago goes');
select is(iclock.prune_events(), false, 'one that a receiver has to get stays');
select has_table('iclock', 'event_old_9', 'it is there');
select is(iclock.event_gone(iclock.event_cursor_text(e.xid, e.seq)), null,
          'and readers can read it')
  from iclock.event_old_9 as e;
update iclock.webhook_endpoint w set cursor_seq = 1000000;
select is(iclock.prune_events(), true, 'when the receiver has got it, it goes');
select hasnt_table('iclock', 'event_old_9', 'it is gone');
select iclock.delete_webhook(:'hook');

-- A dump was restored into another cluster, whose transactions have smaller
-- numbers: events stay as they are, however many there are.

create function pg_temp.all_numbers() returns text language sql as $$
    select md5(string_agg(concat_ws(' ', e.ctid, e.xid, e.seq), ','
                          order by e.xid, e.seq))
      from iclock.event e
     where e.pin like 'old%'
$$;
savepoint here;
update iclock.retention set age = '7 days' where kind = 'event';
select iclock.events_restored() as restored \gset
select is(:'restored'::boolean, false, 'all events are of this cluster');
select isnt(iclock.event_gone('00000000ffffffff_0000000000000001'), null,
            'and a cursor of the future is not');
insert into iclock.event (xid, type, pin)
select (5000000000 + n % 500)::text::xid8, 18, 'old' || n
  from generate_series(1, 5000) as n;
select pg_temp.all_numbers() as old, pg_temp.last() as newest \gset
select is(iclock.events_restored(), true, 'and now some are of another one');
select is(iclock.event_gone(:'newest'), null, 'a cursor of there waits');
select iclock.event_write('webhook.test', null, '{"id":"early"}') as early \gset
select iclock.maintain_events();
select is(iclock.events_restored(), false, 'maintain() sees to that');
select is(pg_temp.all_numbers(), :'old', 'and no event of before is touched');
select is(iclock.event_gone(:'newest'), null, 'its cursors are good');
select iclock.event_write('webhook.test', null, '{"id":"late"}') as late \gset
select is((select string_agg(e.payload #>> '{webhook,id}', ' ')
             from pg_temp.events(:'newest') as e), 'early late',
          'behind it comes what was written before that, and since');
select is((select (iclock.event_place(:'late')).xid),
          ((1::bigint << 40) + pg_current_xact_id()::text::bigint)::text::xid8,
          'with numbers that no snapshot of there has seen');
select is((select count(*)::int
             from iclock.read_events(:'newest' || '@5000000500:6000000000:')),
          0, 'which are not settled before this transaction has ended');
select is((select count(*)::int
             from iclock.read_events(:'newest' || '@5000000500:6000000000:',
                                     look_ahead => true)), 2,
          'for who has read ahead there they are new');
select is(iclock.event_snapshot()::text,
          (select format('%s:%s:%s',
                         (1::bigint << 40) + pg_snapshot_xmin(s)::text::bigint,
                         (1::bigint << 40) + pg_snapshot_xmax(s)::text::bigint,
                         (select string_agg(((1::bigint << 40)
                                             + x::text::bigint)::text, ',')
                            from pg_snapshot_xip(s) as x))
             from pg_current_snapshot() as s), 'snapshots have them, too');
select is(iclock.rebase_events(), false, 'once');
insert into iclock.event (xid, type, pin)
values ((7::bigint << 40)::text::xid8, 18, 'older');
select is(iclock.rebase_events(), true, 'and another cluster');
select is((select s.xid_base from iclock.event_state s), 8::bigint << 40,
          'is behind that');

-- what nginx could not bring to its end it does not begin
insert into iclock.event (xid, type, pin)
values ((9::bigint << 40)::text::xid8, 18, 'oldest');
insert into iclock.event (type) select 18 from generate_series(1, 100001);
set local statement_timeout = '10min';
select lives_ok('select iclock.maintain_events()', 'very many have come since');
select is(iclock.events_restored(), true, 'they wait for install.sql');
rollback to here;

-- until it has been seen to, places are behind the dump
update iclock.event_state set cluster = 1;
insert into iclock.event (xid, type) values ('5000000000', 18);
select iclock.event_write('webhook.test', null, '{"id":"early"}');
select iclock.event_cursor(true) as place \gset
select is(iclock.event_snapshot()::text, '5000000001:5000000001:',
          'a snapshot shows what is in the dump');
select is(left(:'place', 16), lpad(to_hex(5000000000), 16, '0'),
          'a reader who comes is behind that');
select is(iclock.rebase_events(), true, 'it has been seen to');
select is((select string_agg(e.payload::json #>> '{webhook,id}', ' ')
             from iclock.read_events(:'place', look_ahead => true) as e),
          'early', 'that reader gets nothing of old');
rollback to here;

-- snapshots are from there, too, where there are no events
update iclock.event_state set cluster = 1, dropped_xid = '0';
truncate iclock.event;
select is(iclock.rebase_events(), true, 'another cluster, and no events');
select is((select s.xid_base from iclock.event_state s), 1::bigint << 40,
          'what comes is behind those, too');
rollback to here;

select is(pg_temp.as_role('iclock_reader', 'select * from iclock.event_status'),
          'ok', 'people who analyze data see how far readers are');

-- a page costs what it has, whatever waits behind it

create function pg_temp.looked_at() returns bigint language sql as $$
    select sum(s.seq_tup_read + coalesce(s.idx_tup_fetch, 0))::bigint
      from pg_stat_xact_all_tables s
      join pg_inherits i on i.inhrelid = s.relid
     where i.inhparent = 'iclock.event'::regclass
$$;
insert into iclock.event (xid, type)
select case when n <= 5000 then '2' else '4' end::xid8, 18
  from generate_series(1, 10000) as n;
set local plan_cache_mode = force_custom_plan;
set local random_page_cost = 1000;
select pg_temp.looked_at() as before \gset
select is((select count(*)::int
             from iclock.read_events('0', types => '{18}', mode => 'live',
                                     max => 500, look_ahead => true)), 500,
          'some events of a feed of ten thousand');
select cmp_ok(pg_temp.looked_at() - :before, '<', 1000::bigint,
              'nearly no others are looked at, whatever the planner thinks');
reset plan_cache_mode;
reset random_page_cost;
select is((select count(*)::int
             from iclock.read_events(iclock.event_cursor_text('1', 0)
                      || '@2:4:2', max => 6000, look_ahead => true) as e), 6000,
          'what a snapshot has not shown comes first');
select is((select array_agg(e.x order by e.n)
             from (select left(r.cursor, 16) as x, min(r.n) as n
                     from iclock.read_events(
                              iclock.event_cursor_text('1', 0) || '@2:4:2',
                              max => 5003, look_ahead => true)
                          with ordinality as r (cursor, settled, event_id,
                                                type, site, device, sandbox,
                                                payload, n)
                    group by 1) as e),
          array['0000000000000002', '0000000000000004'],
          'and the rest behind it, in order');
delete from iclock.event e where e.xid in ('2', '4');

-- many at once: an insert that is undone leaves no events

select pg_temp.last() as before \gset
select is(iclock.store_punches(
              array_fill(pg_temp.device('E0001'), array[n]),
              array_fill('UTC'::text, array[n]), array['90', '1', '91', '90'],
              array_fill(timestamp '2026-03-27 14:00:12', array[n]),
              array_fill(0, array[n]), array_fill(1, array[n]),
              null, null, null, null, null, null, null, null, null), 2::bigint,
          'four punches, of which one is stored already and one comes twice')
  from (values (4)) as v (n);
select is((select string_agg(e.payload #>> '{user,id}', ' ')
             from pg_temp.events(:'before') as e), '90 91', 'an event of each');

-- off again

select lives_ok('select iclock.disable_events()', 'disable');
select hasnt_trigger('iclock', 'punch', 'punch_event',
                     'no trigger looks at the rows of punch any more');
select is_empty($$ select t.name from iclock.event_triggers() t
                    where t.enabled $$, 'nor at others');
select iclock.event_cursor() as head \gset
select pg_temp.punch('E0001', 'x', '2026-03-27 14:00:12');
select is(iclock.event_cursor(), :'head', 'nothing is written');
select is(iclock.watch_events(), false, 'nginx is told so');
select isnt((select count(*)::int from iclock.read_events('0')), 0,
            'what was written can be read');

select * from finish();
rollback;
