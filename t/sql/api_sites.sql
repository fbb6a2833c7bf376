-- Whatever a key reads, it is of the sites and devices that the key is limited
-- to, and of the sandbox for test keys alone: asked of every operation that
-- reads.

\ir ../fixtures/pgtap.psql
\ir ../fixtures/api.psql

-- four worlds; everything in one bears its name

create temp table world (name text, site text, sandbox boolean);
insert into world
values ('ALFA', 'Site 1', false), ('BRAVO', 'Site 2', false),
       ('CHARLIE', null, false), ('DELTA', 'Site 1', true);

select iclock.enable_events();

delete from iclock.device;
insert into iclock.device (serial_number, status, name, site, sandbox,
                           last_seen)
select w.name || '1', 'active', w.name || ' gate', w.site, w.sandbox, now()
  from world w;
insert into iclock.device_user (device_id, pin, name, card)
select pg_temp.device(w.name || '1'), p, w.name || ' Asha', w.name || ' card'
  from world w, unnest(array['7', w.name || '8']) as p;
insert into iclock.template (device_id, pin, type, no, data)
select pg_temp.device(w.name || '1'), p, 1, 6, convert_to(w.name, 'UTF8')
  from world w, unnest(array['7', w.name || '8']) as p;
insert into iclock.punch (device_id, local_time, pin, status, verify,
                          punched_at, work_code)
select pg_temp.device(w.name || '1'), timezone('UTC', now()), p, 0, 1, now(),
       w.name || ' code'
  from world w, unnest(array['7', w.name || '8']) as p;
insert into iclock.command (id, device_id, body)
select 100 + d.id, d.id, 'DATA UPDATE USERINFO PIN=' || w.name || '8'
  from world w
  join iclock.device d on d.serial_number = w.name || '1';

create temp table hook as
select w.name as world,
       (iclock.create_webhook('https://' || lower(w.name) || '.test/',
            sites => array[w.site], devices => array[w.name || '1'],
            description => w.name || ' hook',
            mode => case when w.sandbox then 'test' else 'live' end)).id
  from world w
 where w.site is not null;
insert into hook
select 'CHARLIE', (iclock.create_webhook('https://charlie.test/',
                       devices => '{CHARLIE1}',
                       description => 'CHARLIE hook')).id;

-- settled, as the events of others are
update iclock.event set xid = '3';

-- who may see which

select pg_temp.key('all', iclock.create_api_key('all', s))
  from (select array_agg(r) from unnest(array[
            'devices:read', 'users:read', 'templates:read', 'logs:read',
            'events:read', 'commands:read', 'webhooks:manage']) as r) as a (s);
select pg_temp.key(k.name, iclock.create_api_key(k.name, a.scopes, k.mode,
                                                 k.sites, k.devices))
  from (values
    ('site', 'live', '{Site 1}'::text[], null::text[]),
    ('device', 'live', null, '{ALFA1,DELTA1}'),
    ('both', 'live', '{Site 1,Site 2}', '{ALFA1,CHARLIE1}'),
    ('none', 'live', '{}', null),
    ('test', 'test', null, null))
    as k (name, mode, sites, devices),
       iclock.api_key a
 where a.id = (select id from api_key_of where name = 'all');

create temp table sees (key text, worlds text[]);
insert into sees
values ('all', '{ALFA,BRAVO,CHARLIE}'), ('site', '{ALFA}'),
       ('device', '{ALFA}'), ('both', '{ALFA}'), ('none', '{}'),
       ('test', '{DELTA}');

-- what there is to read; an asterisk stands for the name of a world, and then
-- those that the key does not see are not there for it

create temp table reads (operation text, scope text, path text, query text,
                         about text);
insert into reads
values ('devices_list', 'devices:read', '{}', '{}', 'all'),
       ('devices_list', 'devices:read', '{}', '{"q":"gate"}', 'all'),
       ('devices_list', 'devices:read', '{}', '{"fields":"compact"}', 'all'),
       ('devices_get', 'devices:read', '{"sn":"*1"}', '{}', 'one'),
       ('device_errors', 'devices:read', '{"sn":"*1"}', '{}', 'some'),
       ('device_operations', 'devices:read', '{"sn":"*1"}', '{}', 'some'),
       ('device_settings', 'devices:read', '{"sn":"*1"}', '{}', 'some'),
       ('rejected_list', 'logs:read', '{}', '{}', 'some'),
       ('reconciliation_list', 'logs:read', '{}', '{}', 'some'),
       ('summary_get', 'devices:read', '{}', '{}', 'some'),
       ('device_users', 'users:read', '{"sn":"*1"}', '{}', 'one'),
       ('users_list', 'users:read', '{}', '{}', 'all'),
       ('users_list', 'users:read', '{}', '{"q":"Asha"}', 'all'),
       ('users_list', 'users:read', '{}', '{"device_id":"*1"}', 'one'),
       ('users_get', 'users:read', '{"id":"7"}', '{}', 'all'),
       ('users_get', 'users:read', '{"id":"*8"}', '{}', 'one'),
       ('templates_list', 'templates:read', '{"id":"7"}', '{}', 'some'),
       ('templates_list', 'templates:read', '{"id":"*8"}', '{}', 'one'),
       ('logs_list', 'logs:read', '{}', '{}', 'all'),
       ('logs_list', 'logs:read', '{}', '{"user_id":"7"}', 'all'),
       ('logs_list', 'logs:read', '{}', '{"device_id":"*1"}', 'one'),
       ('daily_list', 'logs:read', '{}',
        format('{"start_date":"%s","end_date":"%s"}', current_date - 2,
               current_date + 2), 'some'),
       ('events_list', 'events:read', '{}', '{"after":"0"}', 'all'),
       ('events_list', 'events:read', '{}',
        '{"after":"0","device_id":"*1"}', 'some'),
       ('webhooks_list', 'webhooks:manage', '{}', '{}', 'all'),
       ('commands_list', 'commands:read', '{}', '{}', 'all'),
       ('commands_list', 'commands:read', '{}', '{"device_id":"*1"}', 'one');

create function pg_temp.read(key text, operation text, scope text, path text,
                             query text)
    returns iclock_api.reply
    language sql as $$
    select pg_temp.api(key, operation, 'GET', '/' || operation,
        jsonb_build_object('scope', scope, 'path', path::jsonb,
                           'query', query::jsonb,
                           'event_retention', 604800))
$$;

create temp table answer as
select r.operation, r.path, r.query, r.about, s.key, s.worlds, w.name as world,
       pg_temp.read(s.key, r.operation, r.scope, replace(r.path, '*', w.name),
                    replace(r.query, '*', w.name)) as reply
  from reads r
 cross join sees s
 cross join world w
 where r.path || r.query like '%*%' or w.name = 'ALFA';

select is_empty(
    $$ select a.operation, a.path, a.query, a.key, a.world,
              (a.reply).status, (a.reply).meta
         from answer a
        where (a.reply).status not in (200, 404)
           or (a.reply).status = 404
              and a.about = 'all' and a.worlds <> '{}' $$,
    'everything is answered');

select is_empty(
    $$ select a.operation, a.path, a.query, a.key, w.name as world
         from answer a
         join world w on w.name <> all (a.worlds)
        where strpos((a.reply).body, w.name) > 0 $$,
    'no key is told of a world that it does not see');

select is_empty(
    $$ select a.operation, a.path, a.query, a.key, w.name as world
         from answer a
         join world w on w.name = any (a.worlds)
        where a.about = 'all'
          and strpos(coalesce((a.reply).body, ''), w.name) = 0
       union all
       select a.operation, a.path, a.query, a.key, a.world
         from answer a
        where a.about = 'one'
          and a.world = any (a.worlds)
          and strpos(coalesce((a.reply).body, ''), a.world) = 0 $$,
    'and each is told of those that it does');

select is_empty(
    $$ select a.operation, a.path, a.query, a.key, a.world
         from answer a
        where a.about = 'one'
          and a.world <> all (a.worlds)
          and (a.reply).status = 200
          and ((a.reply).body::json -> 'data') is null $$,
    'what it does not see is not there');

-- the same of one command, event or webhook

create temp table item as
select 'commands_get' as operation, w.name as world,
       (100 + pg_temp.device(w.name || '1'))::text as id
  from world w
 union all
select 'events_get', w.name, 'evt_' || iclock.event_cursor_text(e.xid, e.seq)
  from world w
 cross join lateral
      (select e.xid, e.seq
         from iclock.event e
        where e.device_id = pg_temp.device(w.name || '1')
        limit 1) as e
 union all
select o.operation, h.world, h.id
  from hook h
 cross join unnest(array['webhooks_get', 'webhook_attempts', 'webhook_dead'])
       as o (operation);

select is(pg_temp.code(pg_temp.read(s.key, i.operation,
              case when i.operation like 'webhook%' then 'webhooks:manage'
                   else split_part(i.operation, '_', 1) || ':read' end,
              case when i.operation = 'events_get'
                   then format('{"event_id":"%s"}', i.id)
                   else format('{"id":"%s"}', i.id) end, '{}')),
          case when i.world = any (s.worlds) then '200'
               else '404 not_found' end,
          format('key %s, %s of %s', s.key, i.operation, i.world))
  from sees s cross join item i;

select is_empty(
    $$ select p.proname::text
         from pg_proc p
        where p.pronamespace = 'iclock_api'::regnamespace
          and p.prorettype = 'iclock_api.reply'::regtype
          and p.proargtypes = array['jsonb'::regtype::oid]::oidvector
          and p.proname ~ '_(list|get|users|attempts|dead|errors|'
                         'operations|settings)$'
          -- it tells what the key was made with
          and p.proname <> 'key_get'
       except
       (select operation from reads union all select operation from item) $$,
    'every operation that reads was asked');

select * from finish();
rollback;
