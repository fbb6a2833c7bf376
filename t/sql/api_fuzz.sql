-- Nothing that a client sends makes an error of the API itself: each operation
-- is asked many times, with members and parameters that are right, wrong and
-- strange.

\ir ../fixtures/pgtap.psql
\ir ../fixtures/api.psql

select setseed(0.42);
select iclock.enable_events();

insert into iclock.device (serial_number, status, site, sandbox, last_seen,
                           dialect)
values ('A1', 'active', 'Pune', false, now(), '2.4'),
       ('A2', 'active', 'Pune', false, now(), '3.2'),
       ('P1', 'pending', null, false, now(), '2.4'),
       ('X1', 'blocked', 'Pune', false, null, '2.4'),
       ('S1', 'active', 'Pune', true, now(), '2.4');
insert into iclock.device_user (device_id, pin, name)
select id, '7', 'Asha' from iclock.device;
insert into iclock.punch (device_id, local_time, pin)
select id, localtimestamp, '7' from iclock.device;
insert into iclock.command (id, device_id, body)
values (101, pg_temp.device('A1'), 'CHECK');
update iclock.event set xid = '3';

select pg_temp.key(mode, iclock.create_api_key(mode, array[
           'devices:read', 'devices:write', 'users:read', 'users:write',
           'templates:read', 'logs:read', 'events:read', 'commands:read',
           'commands:write', 'webhooks:manage'], mode))
  from unnest(array['live', 'test']) as mode;

-- values: a quarter of them of other types than texts

create temp table value as
select v::jsonb as value
  from unnest(array[
    'null', 'true', '0', '-1', '1.5', '1e300', '99999999999999999999', '[]',
    '{}', '[null]', '[[]]', '[{}]', '{"a":1}', '[5]', '["A1"]',
    '["A1","A1"]', '[{"user_id":"8","name":"n"}]',
    '[{"user_id":"8"},{"user_id":"8"}]', '[{"user_id":null}]',
    '[{"type":"fingerprint","data":"QUJD","index":0,"version":"10.0"}]',
    '[{"type":"face","data":"QUI","index":-1,"version":"x"}]',
    '{"X-A":"b"}', '["attendance.punch"]',
    '""', '"x"', '"7"', '"A1"', '"S1"', '"X1"', '"Pune"', '"Asia/Kolkata"',
    '"2026-03-01"', '"2026-02-30"', '"2026-03-01T10:00:00Z"', '"infinity"',
    '"now"', '"9999999-01-01"', '"0000-00-00"', '"%"', '"\\"', '"''"',
    '"a\tb"', '"\u00e4\ud83d\ude00\u2028"', '"fingerprint"', '"QUJD"',
    '"===="', '"https://x.test/"', '"http://10.0.0.1/"', '"ATTLOG"',
    '"attendance.punch"', '"dead"', '"true"', '"1"', '"1001"', '"queued"',
    '"evt_0000000000000003_0000000000000001"', '"WyJhIiwiYiJd"']) as v
 union all
select to_jsonb(repeat('x', n)) from unnest(array[25, 101, 2100]) as n;

create function pg_temp.value() returns jsonb
    language sql volatile as $$
    select v.value
      from value v
     where random() < 0.2 or jsonb_typeof(v.value) = 'string'
     order by random()
     limit 1
$$;

-- some of these names, with some values
create function pg_temp.object(names text[], share float8) returns jsonb
    language plpgsql volatile as $$
declare
    name    text;
    object  jsonb := '{}';
begin
    foreach name in array names loop
        if random() < share then
            object := object || jsonb_build_object(name, pg_temp.value());
        end if;
    end loop;
    return object;
end
$$;

-- the operations: members of the body and parameters of the query

create temp table operation (name text, method text, route text, scope text,
                             path text, members text[], parameters text[]);
insert into operation
values ('devices_list', 'GET', '/devices', 'devices:read', '{}', null,
        '{status,site,online,q,condition,fields,limit,cursor}'),
       ('key_get', 'GET', '/key', null, '{}', null, '{x}'),
       ('summary_get', 'GET', '/summary', 'devices:read', '{}', null, '{x}'),
       ('devices_create', 'POST', '/devices', 'devices:write', '{}',
        '{serial_number,name,location,site,timezone,comm_key}', '{}'),
       ('devices_get', 'GET', '/devices/{sn}', 'devices:read', '{"sn":"A1"}',
        null, '{}'),
       ('devices_update', 'PATCH', '/devices/{sn}', 'devices:write',
        '{"sn":"A1"}', '{name,location,site,timezone,comm_key,muted_until,'
         'note}', '{}'),
       ('devices_delete', 'DELETE', '/devices/{sn}', 'devices:write',
        '{"sn":"X1"}', null, '{purge}'),
       ('devices_action', 'POST', '/devices/{sn}/reupload', 'devices:write',
        '{"sn":"A2"}', '{table}', '{}'),
       ('devices_action', 'POST', '/devices/{sn}/sync-time', 'devices:write',
        '{"sn":"A1"}', '{}', '{}'),
       ('device_users', 'GET', '/devices/{sn}/users', 'users:read',
        '{"sn":"A1"}', null, '{limit,cursor}'),
       ('users_list', 'GET', '/users', 'users:read', '{}', null,
        '{device_id,site,q,limit,cursor}'),
       ('users_create', 'POST', '/users', 'users:write', '{}',
        '{device_ids,site,name,department,card,privilege,password,group,'
         'valid_from,valid_until,templates,photo}', '{}'),
       ('users_batch', 'POST', '/users/batch', 'users:write', '{}',
        '{site,users,partial}', '{}'),
       ('users_get', 'GET', '/users/{id}', 'users:read', '{"id":"7"}', null,
        '{device_id}'),
       ('users_update', 'PATCH', '/users/{id}', 'users:write', '{"id":"7"}',
        '{name,department,card,privilege,password,group,valid_from,'
         'valid_until,templates,photo}', '{device_id,site}'),
       ('users_delete', 'DELETE', '/users/{id}', 'users:write', '{"id":"7"}',
        null, '{device_id,site}'),
       ('users_enroll', 'POST', '/users/{id}/enroll', 'users:write',
        '{"id":"7"}', '{type,index,overwrite}', '{}'),
       ('templates_list', 'GET', '/users/{id}/templates', 'templates:read',
        '{"id":"7"}', null, '{device_id,include,limit,cursor}'),
       ('logs_list', 'GET', '/logs', 'logs:read', '{}', null,
        '{start_date,end_date,user_id,device_id,site,type,method,order,limit,'
         'cursor}'),
       ('daily_list', 'GET', '/attendance/daily', 'logs:read', '{}', null,
        '{start_date,end_date,user_id,site,limit,cursor}'),
       ('events_list', 'GET', '/events', 'events:read', '{}', null,
        '{after,types,device_id,site,limit,cursor,wait}'),
       ('events_get', 'GET', '/events/{event_id}', 'events:read',
        '{"event_id":"evt_0000000000000003_0000000000000001"}', null, '{}'),
       ('commands_list', 'GET', '/commands', 'commands:read', '{}', null,
        '{device_id,status,user_id,since,created_by,limit,cursor}'),
       ('commands_repeat', 'POST', '/commands/{id}/repeat', 'commands:write',
        '{"id":"101"}', '{x}', '{}'),
       ('rejected_list', 'GET', '/rejected', 'logs:read', '{}', null,
        '{device_id,table,reason,since,limit,cursor}'),
       ('reconciliation_list', 'GET', '/reconciliation', 'logs:read', '{}',
        null, '{device_id,status,missing,limit,cursor}'),
       ('devices_verify', 'POST', '/devices/{sn}/verify', 'commands:write',
        '{"sn":"A1"}', '{starts,ends}', '{}'),
       ('device_errors', 'GET', '/devices/{sn}/errors', 'devices:read',
        '{"sn":"A1"}', null, '{limit,cursor}'),
       ('device_operations', 'GET', '/devices/{sn}/operations',
        'devices:read', '{"sn":"A1"}', null, '{limit,cursor}'),
       ('device_settings', 'GET', '/devices/{sn}/settings', 'devices:read',
        '{"sn":"A1"}', null, '{limit,cursor}'),
       ('commands_get', 'GET', '/commands/{id}', 'commands:read',
        '{"id":"101"}', null, '{}'),
       ('commands_delete', 'DELETE', '/commands/{id}', 'commands:write',
        '{"id":"101"}', null, '{}'),
       ('webhooks_list', 'GET', '/webhooks', 'webhooks:manage', '{}', null,
        '{limit,cursor}'),
       ('webhooks_create', 'POST', '/webhooks', 'webhooks:manage', '{}',
        '{url,description,types,sites,devices,ordered,concurrency,batch,'
         'headers,body}', '{}'),
       ('webhooks_update', 'PATCH', '/webhooks/{id}', 'webhooks:manage',
        '{"id":"*"}', '{url,description,types,sites,devices,ordered,'
         'concurrency,batch,headers,body}', '{}'),
       ('webhooks_action', 'POST', '/webhooks/{id}/resend', 'webhooks:manage',
        '{"id":"*"}', '{event_ids,since,until,state}', '{}'),
       ('webhook_attempts', 'GET', '/webhooks/{id}/attempts',
        'webhooks:manage', '{"id":"*"}', null, '{limit,cursor}'),
       ('webhook_dead', 'GET', '/webhooks/{id}/dead', 'webhooks:manage',
        '{"id":"*"}', null, '{limit,cursor}'),
       ('sandbox_devices', 'POST', '/sandbox/devices', 'devices:write', '{}',
        '{serial_number,name,location,site,timezone}', '{}'),
       ('sandbox_punches', 'POST', '/sandbox/devices/{sn}/punches',
        'devices:write', '{"sn":"S1"}', '{punches}', '{}');

update operation o
   set path = replace(o.path, '*', (iclock.create_webhook('https://a.test/'))
                                       .id)
 where o.path like '%*%';

-- what is needed to get further, now and then

create temp table answer as
select a.*, pg_temp.api(
           case when a.name like 'sandbox%' or random() < 0.1 then 'test'
                else 'live' end,
           a.name, a.method, a.route, jsonb_build_object(
               'scope', a.scope, 'path', a.path, 'query', a.query,
               'event_retention', 604800, 'wait', 5, 'format', a.form),
           a.body::text) as reply
  from (select o.name, o.method, o.route, o.scope,
               case when random() < 0.1 and o.path <> '{}'
                    then (select jsonb_object_agg(p, pg_temp.value() #>> '{}')
                            from jsonb_object_keys(o.path::jsonb) as p)
                    else o.path::jsonb end as path,
               (select coalesce(jsonb_object_agg(q.key, q.value), '{}')
                  from jsonb_each_text(pg_temp.object(o.parameters, 0.2)) as q
                 where q.value is not null) as query,
               case when o.members is null then null
                    when random() < 0.05 then pg_temp.value()
                    else pg_temp.object(o.members, 0.2)
                         || case when o.name like 'users%'
                                      and o.method = 'POST'
                            then '{"device_id":"A1"}' else '{}' end::jsonb
                         || case when o.name = 'users_create'
                            then '{"user_id":"8"}' else '{}' end::jsonb
               end as body,
               case when o.name in ('logs_list', 'daily_list')
                    then (array['json', 'csv', 'ndjson'])[1 + n % 3]
                    else 'json' end as form
          from generate_series(1, 12) as n
         cross join operation o
         order by n, o.name
        offset 0) as a;

select is_empty(
    $$ select a.name, a.route, a.path, a.query, a.body, (a.reply).meta
         from answer a
        where coalesce((a.reply).status, 0) not between 200 and 499
           or a.method = 'GET' and (a.reply).status = 409 $$,
    'nobody makes an error of the API');
select is_empty(
    $$ select a.name, a.path, a.query, a.body, (a.reply).meta
         from answer a
        where (a.reply).status >= 400
          and ((a.reply).body is not null
               or (a.reply).meta #>> '{problem,code}' is null
               or (a.reply).meta #>> '{problem,detail}' is null)
           or (a.reply).status = 200 and (a.reply).body is null $$,
    'a reply is a problem or has a body');
select is((select count((a.reply).body::json)
             from answer a
            where (a.reply).status < 300 and a.form = 'json'),
          (select count((a.reply).body)
             from answer a
            where (a.reply).status < 300 and a.form = 'json'),
          'of JSON');
select cmp_ok((select count(*)::int from answer a where (a.reply).status < 300),
              '>', 50, 'some were right');

select * from finish();
rollback;
