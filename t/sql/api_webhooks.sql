-- Webhooks by way of the API.

\ir ../fixtures/pgtap.psql
\ir ../fixtures/api.psql

create function pg_temp.do(name text, method text, operation text, id text,
        body text default null, query jsonb default '{}',
        route text default '')
    returns iclock_api.reply
    language sql as $$
    select pg_temp.api(name, operation, method,
        '/webhooks' || case when id is null then '' else '/{id}' end || route,
        jsonb_build_object('path', jsonb_strip_nulls(
            jsonb_build_object('id', id)), 'base', 'https://x.test/v1',
            'query', query), body)
$$;
create function pg_temp.post(name text, body text) returns iclock_api.reply
    language sql as $$
    select pg_temp.do(name, 'POST', 'webhooks_create', null, body)
$$;
create function pg_temp.get(name text, id text) returns iclock_api.reply
    language sql as $$
    select pg_temp.do(name, 'GET', 'webhooks_get', id)
$$;
create function pg_temp.patch(name text, id text, body text)
    returns iclock_api.reply
    language sql as $$
    select pg_temp.do(name, 'PATCH', 'webhooks_update', id, body)
$$;
create function pg_temp.act(name text, id text, action text,
                            body text default null)
    returns iclock_api.reply
    language sql as $$
    select pg_temp.do(name, 'POST', 'webhooks_action', id, body,
                      route => '/' || action)
$$;
create function pg_temp.ids(reply iclock_api.reply) returns text[]
    language sql as $$
    select array(select d ->> 'id'
                   from json_array_elements(reply.body::json -> 'data') as d)
$$;

select pg_temp.key(name, iclock.create_api_key(name, '{webhooks:manage}',
                                               mode, sites, devices))
  from (values ('all', 'live', null::text[], null::text[]),
               ('pune', 'live', '{Pune}', null),
               ('one', 'live', null, '{A2}'),
               ('both', 'live', '{Pune}', '{A2}'),
               ('test', 'test', null, null)) as k (name, mode, sites, devices);
select pg_temp.key('none', iclock.create_api_key('none', '{logs:read}'));

delete from iclock.device;
insert into iclock.device (serial_number, status, site, sandbox)
values ('A1', 'active', 'Pune', false), ('A2', 'active', 'Pune', false),
       ('B1', 'active', 'Delhi', false), ('S1', 'active', 'Pune', true);

-- making one

select pg_temp.post('all', '{"url":"https://a.example/in",'
    '"types":["attendance.punch"],"headers":{"Authorization":"token a:b"},'
    '"body":{"who":"{{user.id}}"}}') as made \gset
select is(pg_temp.code(:'made'), '201', 'a webhook');
select pg_temp.member(:'made', 'id') as id \gset
select is((:'made'::iclock_api.reply).headers, jsonb_build_object(
          'Location', 'https://x.test/v1/webhooks/' || :'id'),
          'with its address');
select is((select a.target from iclock.api_audit a
            where a.operation = 'webhooks_create'
            order by a.id desc limit 1), :'id',
          'and noted with its name');
select is(array(select json_object_keys((:'made'::iclock_api.reply)
                                        .body::json)),
          '{id,url,description,types,sites,devices,mode,status,status_reason,'
          'ordered,concurrency,batch,headers,body,failures,failing_since,'
          'next_attempt_at,retrying,dead,previous_secret_until,created_at,'
          'secret}', 'members, in their order');
select matches(pg_temp.member(:'made', 'secret'),
               '^whsec_[A-Za-z0-9+/]{43}=$', 'a secret');
select is(pg_temp.member(:'made', m), v, m)
  from (values ('status', 'active'), ('types', '["attendance.punch"]'),
               ('sites', null), ('mode', 'live'), ('ordered', 'false'),
               ('concurrency', '4'), ('batch', '1'),
               ('headers', '{ "Authorization" : "********" }'),
               ('body', '{"who": "{{user.id}}"}')) as x (m, v);
select is(array(select json_object_keys((pg_temp.get('all', :'id')).body::json)),
          '{id,url,description,types,sites,devices,mode,status,status_reason,'
          'ordered,concurrency,batch,headers,body,failures,failing_since,'
          'next_attempt_at,retrying,dead,previous_secret_until,created_at}',
          'the secret is not shown again');
select unalike((pg_temp.get('all', :'id')).body, '%token a:b%',
               'nor are the values of headers');
select is((select e.headers ->> 'Authorization' from iclock.webhook_endpoint e
            where e.id = :'id'), 'token a:b', 'which are kept');

select is(pg_temp.code(pg_temp.post('all', body)), code, left(body, 70))
  from (values
    ('{}', '422 invalid #/url'),
    ('{"url":null}', '422 invalid #/url'),
    ('{"url":7}', '400 bad_request #/url'),
    ('{"url":"https://u:p@a.example/"}', '422 invalid #/url'),
    ('{"url":"https://a.example/#f"}', '422 invalid #/url'),
    ('{"url":"ftp://a.example/"}', '422 invalid #/url'),
    ('{"url":"https://a.example/","events":["x"]}',
     '400 unknown_field #/events'),
    ('{"url":"https://a.example/","mode":"test"}', '400 unknown_field #/mode'),
    ('{"url":"https://a.example/","secret":"x"}',
     '400 unknown_field #/secret'),
    ('{"url":"https://a.example/","types":["x"]}', '422 invalid #/types'),
    ('{"url":"https://a.example/","types":[]}', '422 invalid #/types'),
    ('{"url":"https://a.example/","types":[7]}', '422 invalid #/types'),
    ('{"url":"https://a.example/","types":"attendance.punch"}',
     '400 bad_request #/types'),
    ('{"url":"https://a.example/","devices":["A1","NONE"]}',
     '422 invalid #/devices/1'),
    ('{"url":"https://a.example/","devices":["S1"]}',
     '422 invalid #/devices/0'),
    ('{"url":"https://a.example/","concurrency":33}',
     '422 invalid #/concurrency'),
    ('{"url":"https://a.example/","concurrency":1.5}',
     '422 invalid #/concurrency'),
    ('{"url":"https://a.example/","batch":0}', '422 invalid #/batch'),
    ('{"url":"https://a.example/","ordered":1}', '400 bad_request #/ordered'),
    ('{"url":"https://a.example/","headers":{"webhook-id":"x"}}',
     '422 invalid #/headers'),
    ('{"url":"https://a.example/","headers":{"Connection":"x"}}',
     '422 invalid #/headers'),
    ('{"url":"https://a.example/","headers":[]}', '400 bad_request #/headers'),
    ('{"url":"https://a.example/","body":{"a":"{{user"}}',
     '422 invalid #/body'),
    ('{"url":"https://a.example/","body":"x"}', '400 bad_request #/body'),
    ('[]', '400 bad_request #')) as x (body, code);
-- generated clients send what they know nothing of
select is(pg_temp.code(post), '201', m || ': null, as if it were not given')
  from unnest('{description,types,sites,devices,ordered,concurrency,batch,'
              'headers,body}'::text[]) as m,
       pg_temp.post('all', format(
           '{"url":"https://a.example/null","%s":null}', m)) as post;
delete from iclock.webhook_endpoint where url = 'https://a.example/null';

select is((select array_agg(e ->> 'pointer' order by e ->> 'pointer')
             from pg_temp.post('all', '{"url":"x","batch":0}') r,
                  jsonb_array_elements(r.meta #> '{problem,errors}') as e),
          '{#/batch,#/url}', 'all that is wrong');

-- who sees what

create temp table hook as
select k.name, pg_temp.member(pg_temp.post(k.name,
                   '{"url":"https://a.example/"}'), 'id') as id
  from unnest('{pune,one,both,test}'::text[]) as k (name);
insert into hook values ('all', :'id');
create function pg_temp.hook(name text) returns text language sql as $$
    select h.id from hook h where h.name = $1
$$;

select is((select e.sites::text || e.devices::text || e.mode
             from iclock.webhook_endpoint e where e.id = h.id), limits,
          'the limits of key ' || h.name)
  from hook h
  join (values ('both', '{Pune}{A2}live')) as x (name, limits) using (name);
select is((select coalesce(e.sites::text, '-') || coalesce(e.devices::text, '-')
             from iclock.webhook_endpoint e where e.id = h.id), limits,
          'the limits of key ' || h.name)
  from hook h
  join (values ('all', '--'), ('pune', '{Pune}-'), ('one', '-{A2}'),
               ('test', '--')) as x (name, limits) using (name);
select is((select string_agg(h.name, ' ' order by h.name)
             from hook h where h.id = any (pg_temp.ids(
                 pg_temp.do(k, 'GET', 'webhooks_list', null)))), seen,
          'a list of key ' || k)
  from (values ('all', 'all both one pune'), ('pune', 'both pune'),
               ('one', 'both one'), ('both', 'both'), ('test', 'test'))
       as x (k, seen);
select is(pg_temp.code(case m
              when 'get' then pg_temp.get(k, pg_temp.hook(h))
              when 'patch' then pg_temp.patch(k, pg_temp.hook(h), '{}')
              when 'delete' then pg_temp.do(k, 'DELETE', 'webhooks_delete',
                                            pg_temp.hook(h))
              when 'attempts' then pg_temp.do(k, 'GET', 'webhook_attempts',
                                     pg_temp.hook(h), route => '/attempts')
              when 'dead' then pg_temp.do(k, 'GET', 'webhook_dead',
                                     pg_temp.hook(h), route => '/dead')
              else pg_temp.act(k, pg_temp.hook(h), m) end),
          '404 not_found', format('%s: %s of %s is not there', k, m, h))
  from (values ('pune', 'all'), ('pune', 'one'), ('one', 'pune'),
               ('both', 'pune'), ('test', 'all'), ('all', 'test')) as x (k, h),
       unnest('{get,patch,delete,attempts,dead,test,pause,resume,'
              'rotate-secret,resend}'::text[]) as m;
select is(pg_temp.code(pg_temp.get('all', 'wh_aaaaaaaaaaaa')),
          '404 not_found', 'one that is nowhere');
select is(pg_temp.code(pg_temp.post('pune', body)), code, body)
  from (values
    ('{"url":"https://a.example/","sites":["Pune","Delhi"]}',
     '422 invalid #/sites/1'),
    ('{"url":"https://a.example/","devices":["B1"]}',
     '422 invalid #/devices/0')) as x (body, code);
select is(pg_temp.code(iclock_api.call('webhooks_list', jsonb_build_object(
              'key', (select id from api_key_of where name = 'none'),
              'scope', 'webhooks:manage', 'method', 'GET',
              'route', '/webhooks', 'query', '{}'::jsonb,
              'address', '192.0.2.1'))), '403 scope', 'without the scope');

-- twenty a key

select is((select count(*) from generate_series(1, 19) as n
            where pg_temp.code(pg_temp.post('both',
                      '{"url":"https://a.example/"}')) = '201'),
          19::bigint, 'twenty');
select is(pg_temp.code(pg_temp.post('both', '{"url":"https://a.example/"}')),
          '409 conflict', 'and no more');
delete from iclock.webhook_endpoint e
 where e.key_id = (select id from api_key_of where name = 'both')
   and e.id <> pg_temp.hook('both');

-- pages and filters

select pg_temp.do('all', 'GET', 'webhooks_list', null, null,
                  '{"limit":"3"}') as page \gset
select is(cardinality(pg_temp.ids(:'page')), 3, 'a page');
select is((select array_agg(i order by i) from unnest(
              pg_temp.ids(:'page')
              || pg_temp.ids(pg_temp.do('all', 'GET', 'webhooks_list', null,
                     null, jsonb_build_object('cursor', pg_temp.member(
                         :'page', 'next_cursor'))))) as i),
          (select array_agg(h.id order by h.id) from hook h
            where h.name <> 'test'), 'and the rest');
select is(pg_temp.code(pg_temp.do('all', 'GET', 'webhooks_list', null, null,
                                  query)), code, query::text)
  from (values ('{"status":"dead"}'::jsonb, '400 bad_request'),
               ('{"sort":"x"}', '400 bad_request'),
               ('{"status":"active"}', '200')) as x (query, code);

-- changes

select is(pg_temp.member(pg_temp.patch('all', :'id', body), m), v, body)
  from (values
    ('{"url":"https://b.example/","headers":{"Authorization":"token a:b"}}',
     'url', 'https://b.example/'),
    ('{"types":null}', 'types', null),
    ('{"types":["user.deleted","user.enrolled"]}', 'types',
     '["user.enrolled", "user.deleted"]'),
    ('{"sites":["Pune"]}', 'sites', '["Pune"]'),
    ('{"sites":null,"devices":["A1"]}', 'sites', null),
    ('{"devices":null}', 'devices', null),
    ('{"ordered":true}', 'ordered', 'true'),
    ('{"batch":100,"concurrency":2}', 'batch', '100'),
    ('{"description":"The \"HR\" system"}', 'description',
     'The "HR" system'),
    ('{"headers":{"authorization":"********","X-A":"b"}}', 'headers',
     '{ "X-A" : "********", "authorization" : "********" }'),
    ('{"body":null}', 'body', null),
    ('{}', 'url', 'https://b.example/')) as x (body, m, v);
select is((select e.headers::text from iclock.webhook_endpoint e
            where e.id = :'id'),
          '{"X-A": "b", "authorization": "token a:b"}',
          'a hidden value given back stays what it is');
select is(pg_temp.member(pg_temp.patch('pune', pg_temp.hook('pune'),
                                       '{"sites":null}'), 'sites'),
          '["Pune"]', 'all sites are those of the key');
select is(pg_temp.code(pg_temp.patch('all', :'id', body)), code, body)
  from (values
    ('{"url":"https://thief.example/"}', '422 invalid #/headers'),
    ('{"url":"http://b.example/"}', '422 invalid #/headers'),
    ('{"url":"https://thief.example/","headers":null}',
     '422 invalid #/headers'),
    ('{"description":null,"ordered":null,"headers":null}', '200'),
    ('{"url":"https://b.example:8443/",
       "headers":{"X-A":"b","AUTHORIZATION":"********"}}',
     '422 invalid #/headers'),
    ('{"url":"https://b.example/"}', '200'),
    ('{"url":"x"}', '422 invalid #/url'),
    ('{"status":"active"}', '400 unknown_field #/status'),
    ('{"devices":["NONE"]}', '422 invalid #/devices/0')) as x (body, code);

-- what is done with one

create function pg_temp.clock(after interval) returns void language sql as $$
    select set_config('iclock.clock', $1::text, true)
$$;
select is(pg_temp.member(pg_temp.act('all', :'id', 'pause'), 'status'),
          'paused', 'paused');
select is(pg_temp.code(pg_temp.act('all', :'id', 'test')), '409 conflict',
          'no test then');
select is(pg_temp.member(pg_temp.act('all', :'id', 'resume', '{}'), 'status'),
          'active', 'resumed');
select is(pg_temp.member(pg_temp.act('all', :'id', 'resume',
                                     '{"from_now":true}'), 'status'),
          'active', 'from now');
select is(pg_temp.code(pg_temp.act('all', :'id', action, body)), code,
          action || ' ' || body)
  from (values
    ('pause', '{"x":1}', '400 unknown_field #/x'),
    ('resume', '{"from_now":1}', '400 bad_request #/from_now'),
    ('rotate-secret', '{"overlap":-1}', '422 invalid #/overlap'),
    ('rotate-secret', '{"overlap":2592001}', '422 invalid #/overlap'),
    ('resend', '{}', '422 invalid'),
    ('resend', '{"state":"new"}', '422 invalid #/state'),
    ('resend', '{"since":"yesterday at noon"}', '422 invalid #/since'),
    ('resend', '{"since":"yesterday"}', '422 invalid #/since'),
    ('resend', '{"since":"2000-01-01T00:00:00"}', '422 invalid #/since'),
    ('resend', '{"since":"2000-02-30T00:00:00Z"}', '422 invalid #/since'),
    ('resend', '{"since":"2000-01-01T00:00:00Z","until":"infinity"}',
     '422 invalid #/until'),
    ('resend', '{"state":"dead","event_ids":[]}', '422 invalid'),
    ('resend', '{"event_ids":["x"]}', '422 invalid #/event_ids'))
       as x (action, body, code);

select pg_temp.act('all', :'id', 'test') as told \gset
select is(pg_temp.code(:'told'), '202', 'a test');
select is((select r.type || ' ' || r.state from iclock.webhook_retry r),
          'webhook.test resend', 'is on its way');
select is((select 'evt_' || iclock.event_cursor_text(r.xid, r.seq)
             from iclock.webhook_retry r),
          pg_temp.member(:'told', 'event_id'), 'by this name');
delete from iclock.webhook_retry;

select (e.secret) as old from iclock.webhook_endpoint e where e.id = :'id'
\gset
select pg_temp.act('all', :'id', 'rotate-secret', '{"overlap":3600}') as told
\gset
select is((select iclock.webhook_secret_text(e.secret)
             from iclock.webhook_endpoint e where e.id = :'id'),
          pg_temp.member(:'told', 'secret'), 'another secret');
select is((select e.previous_secret || e.previous_until::text::bytea
             from iclock.webhook_endpoint e where e.id = :'id'),
          (:'old'::bytea || (now() + interval '1 hour')::text::bytea),
          'both for an hour');
select is(pg_temp.member(:'told', 'previous_secret_until'),
          iclock_api.utc(now() + interval '1 hour'), 'as the reply says');

-- attempts, dead ones, sending again

insert into iclock.punch (device_id, local_time, pin, status, verify)
select d.id, '2026-03-01 08:00', '5', 0, 1 from iclock.device d;
select pg_temp.patch('all', :'id', '{"types":null}') \gset ignored_
select iclock.webhook_results('one', jsonb_build_object('attempts',
    (select jsonb_agg(jsonb_build_object(
        'endpoint', :'id', 'event_id',
        'evt_' || iclock.event_cursor_text(e.xid, e.seq), 'attempt', n,
        'outcome', case n when 1 then 'failed' else 'abort' end,
        'status', 500, 'ms', 3, 'error', 'e', 'response', '<b>')
        order by n, e.seq)
       from iclock.event e, generate_series(1, 2) as n
      where e.pin = '5'))) \gset ignored_

create function pg_temp.list(operation text, query jsonb default '{}')
    returns iclock_api.reply
    language sql as $$
    select pg_temp.do('all', 'GET', 'webhook_' || $1, pg_temp.hook('all'),
                      null, $2, '/' || $1)
$$;
select is((select array_agg(d ->> 'attempt') from json_array_elements(
              (pg_temp.list('attempts')).body::json -> 'data') as d),
          '{2,2,2,2,1,1,1,1}', 'attempts, the newest first');
select is(array(select json_object_keys((pg_temp.list('attempts'))
                                        .body::json -> 'data' -> 0)),
          '{event_id,attempt,at,duration_ms,status,error,response}',
          'members of an attempt');
select pg_temp.list('attempts', '{"limit":"5"}') as page \gset
select is((select array_agg(d ->> 'attempt') from json_array_elements(
              (pg_temp.list('attempts', jsonb_build_object('limit', '5',
                  'cursor', pg_temp.member(:'page', 'next_cursor'))))
              .body::json -> 'data') as d), '{1,1,1}', 'page by page');
select is((select count(*)::int from json_array_elements(
              (pg_temp.list('attempts', jsonb_build_object('event_id',
                  pg_temp.member(:'page', 'data', '0', 'event_id'))))
              .body::json -> 'data')), 2, 'of one event');
select is(array(select json_object_keys((pg_temp.list('dead'))
                                        .body::json -> 'data' -> 0)),
          '{event_id,type,attempts,first_at,dead_at,status,error}',
          'members of a dead event');
select is((select count(*)::int from json_array_elements(
              (pg_temp.list('dead')).body::json -> 'data')), 3,
          'dead, by abort-message');
select is(pg_temp.member(pg_temp.get('all', :'id'), 'dead'), '3', 'counted');
select pg_temp.list('dead', '{"limit":"2"}') as page \gset
select is((select count(*)::int from json_array_elements(
              (pg_temp.list('dead', jsonb_build_object(
                  'cursor', pg_temp.member(:'page', 'next_cursor'))))
              .body::json -> 'data')), 1, 'page by page');
select is(pg_temp.member(pg_temp.act('all', :'id', 'resend', body), 'count'),
          n, body)
  from (values
    ('{"state":"dead"}', '3'), ('{"state":"dead"}', '0'),
    ('{"since":"2000-01-01T00:00:00Z","until":"2000-01-02T00:00:00Z"}', '0'),
    ('{"since":"2000-01-01T00:00:00Z"}', '3')) as x (body, n);
select is(pg_temp.member(pg_temp.act(k, pg_temp.hook(k), 'resend',
              (select jsonb_build_object('event_ids', jsonb_agg('evt_'
                          || iclock.event_cursor_text(e.xid, e.seq)))::text
                 from iclock.event e where e.pin = '5')), 'count'), n,
          'events by name, of key ' || k)
  from (values ('all', '3'), ('pune', '2'), ('one', '1'), ('test', '1'))
       as x (k, n);

-- narrowed: of what it had, it keeps what it still asks for

create function pg_temp.kept(id text) returns text language sql as $$
    select coalesce(string_agg(coalesce(r.payload::json #>> '{device,id}',
                                        r.type), ' ' order by r.seq), '')
      from iclock.webhook_retry r
     where r.endpoint_id = $1
$$;
create function pg_temp.refuse(id text) returns bigint language sql as $$
    select count(*)
      from iclock.webhook_results('one', jsonb_build_object('attempts',
          (select jsonb_agg(jsonb_build_object(
                      'endpoint', $1, 'event_id', 'evt_'
                      || iclock.event_cursor_text(e.xid, e.seq), 'attempt', 1,
                      'outcome', 'failed', 'status', 500) order by e.seq)
             from iclock.event e
            where e.pin = '5')))
$$;
select pg_temp.act('all', :'id', 'test') \gset ignored_
select is(pg_temp.kept(:'id'), 'A1 A2 B1 webhook.test', 'what waits for it');
update iclock.webhook_retry set state = 'dead'
 where payload::json #>> '{device,id}' in ('A2', 'B1');
select is(pg_temp.code(pg_temp.patch('all', :'id',
              '{"sites":["Pune"],"url":"https://b.example/pune"}')), '200',
          'narrowed to a site');
select is(pg_temp.kept(:'id'), 'A1 A2 webhook.test', 'that of the site');
select is(pg_temp.member(pg_temp.act('pune', :'id', 'resend',
              '{"state":"dead"}'), 'count'), '1',
          'for a key of the site that sees it now');
delete from iclock.webhook_retry where type <> 'webhook.test';
select pg_temp.refuse(:'id') \gset ignored_
select is(pg_temp.kept(:'id'), 'A1 A2 webhook.test',
          'and of what was on its way');
select is(pg_temp.code(pg_temp.patch('all', :'id',
              '{"sites":null,"devices":["A2","B1"]}')), '200', 'to devices');
select is(pg_temp.kept(:'id'), 'A2 webhook.test', 'those of them');
select is(pg_temp.code(pg_temp.patch('all', :'id',
              '{"types":["user.deleted"]}')), '200', 'to types');
select is(pg_temp.kept(:'id'), 'webhook.test',
          'none of them, but the test that somebody asked for');

select is(pg_temp.code(pg_temp.do('all', 'DELETE', 'webhooks_delete', :'id')),
          '204', 'deleted');
select is(pg_temp.code(pg_temp.get('all', :'id')), '404 not_found',
          'it is gone');
select is((select count(*)::int from iclock.webhook_retry r
            where r.endpoint_id = :'id'), 0, 'with what waited for it');

-- what a webhook gets of sites and devices of others: nothing

select count(*) from iclock.webhook_lease('one', 100) \gset ignored_
update iclock.event set xid = '100' where xid = pg_current_xact_id();
delete from iclock.webhook_retry;

-- what a key has made goes on when the key has ended
update iclock.api_key k
   set expires_at = now()
 where k.id = (select id from api_key_of where name = 'both');
select is(pg_temp.code(pg_temp.get('both', pg_temp.hook('both'))),
          '401 bad_key', 'a key that has ended');
select is((select string_agg(distinct w.payload::json #>> '{device,id}', ' ')
             from iclock.webhook_work('one', jsonb_build_array(
                 jsonb_build_object('id', h.id, 'max', 100))) w
            where w.type = 'attendance.punch'), devices,
          'events of key ' || h.name)
  from hook h
  join (values ('pune', 'A1 A2'), ('one', 'A2'), ('both', 'A2'),
               ('test', 'S1')) as x (name, devices) using (name);

-- keys come and go

select pg_temp.key('next', iclock.rotate_api_key(
    (select id from api_key_of where name = 'pune')));
select is((select e.key_id from iclock.webhook_endpoint e
            where e.id = pg_temp.hook('pune')),
          (select id from api_key_of where name = 'next'),
          'webhooks are those of the key that takes the place');
select iclock.revoke_api_key((select id from api_key_of where name = 'pune'));
select is(pg_temp.member(pg_temp.get('next', pg_temp.hook('pune')), 'status'),
          'active', 'the old one may go');
select iclock.revoke_api_key((select id from api_key_of where name = 'next'));
select is((select array_agg(e.status || ' ' || e.status_reason)
             from iclock.webhook_endpoint e where e.status = 'paused'),
          '{paused key}', 'when a key is revoked its webhooks pause');

-- without TLS: if nginx says that it sends there

select pg_temp.key('plain', iclock.create_api_key('plain',
                                                  '{webhooks:manage}'));
select is(pg_temp.code(pg_temp.api('plain', 'webhooks_create', 'POST',
              '/webhooks', jsonb_build_object('server', server::jsonb),
              format('{"url":"%s://a.example/"}', scheme))), code,
          format('%s %s', scheme, server))
  from (values
    ('http', '{"webhooks":true,"webhook_http":false}', '422 invalid #/url'),
    ('HTTP', '{"webhooks":true,"webhook_http":false}', '422 invalid #/url'),
    ('https', '{"webhooks":true,"webhook_http":false}', '201'),
    ('http', '{"webhooks":true,"webhook_http":true}', '201'),
    ('http', '{"webhooks":false,"webhook_http":false}', '201'),
    ('http', null, '201')) as v (scheme, server, code);
select is(pg_temp.code(pg_temp.api('plain', 'webhooks_update', 'PATCH',
              '/webhooks/{id}', jsonb_build_object(
                  'path', jsonb_build_object('id', (
                      select min(w.id)
                        from iclock.webhook_endpoint w
                       where w.url = 'http://a.example/'
                         and w.key_id = (select k.id from api_key_of k
                                          where k.name = 'plain'))),
                  'server', '{"webhooks":true,"webhook_http":false}'::jsonb),
              body)), code, body)
  from (values
    ('{"url":"http://a.example/","batch":2}', '200'),
    ('{"url":"http://b.example/"}', '422 invalid #/url')) as v (body, code);

select * from finish();
rollback;
