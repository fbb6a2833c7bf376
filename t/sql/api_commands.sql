-- Commands by way of the API.

\ir ../fixtures/pgtap.psql
\ir ../fixtures/api.psql

create function pg_temp.get(name text, id text) returns iclock_api.reply
    language sql as $$
    select pg_temp.api(name, 'commands_get', 'GET', '/commands/{id}',
        jsonb_build_object('scope', 'commands:read',
                           'path', jsonb_build_object('id', id)))
$$;
create function pg_temp.list(name text, query jsonb default '{}')
    returns iclock_api.reply
    language sql as $$
    select pg_temp.api(name, 'commands_list', 'GET', '/commands',
        jsonb_build_object('scope', 'commands:read', 'query', query))
$$;
create function pg_temp.cancel(name text, id text) returns iclock_api.reply
    language sql as $$
    select pg_temp.api(name, 'commands_delete', 'DELETE', '/commands/{id}',
        jsonb_build_object('scope', 'commands:write',
                           'path', jsonb_build_object('id', id)))
$$;
create function pg_temp.ids(reply iclock_api.reply) returns text
    language sql as $$
    select coalesce(string_agg(d ->> 'id', ' '), '')
      from json_array_elements(reply.body::json -> 'data') as d
$$;

delete from iclock.device;
insert into iclock.device (serial_number, status, site, sandbox)
values ('A1', 'active', 'Pune', false), ('B1', 'active', 'Delhi', false),
       ('S1', 'active', 'Pune', true);
insert into iclock.command (id, device_id, body, status)
values (11, pg_temp.device('A1'), 'REBOOT', 'queued'),
       (12, pg_temp.device('B1'), 'REBOOT', 'queued'),
       (13, pg_temp.device('A1'),
        E'DATA UPDATE USERINFO PIN=7\tName=Asha\tPasswd=1234', 'sent'),
       (14, pg_temp.device('S1'), 'CHECK', 'queued'),
       (15, pg_temp.device('A1'), 'CHECK', 'done');
update iclock.command
   set return_code = 0, attempts = 1,
       created_at = '2026-03-27 08:30:12.9+00',
       finished_at = '2026-03-27 08:30:15+00'
 where id = 15;

select pg_temp.key('all', iclock.create_api_key('all',
    '{commands:read,commands:write}'));
select pg_temp.key('pune', iclock.create_api_key('pune',
    '{commands:read,commands:write}', sites => '{Pune}'));
select pg_temp.key('test', iclock.create_api_key('test',
    '{commands:read,commands:write}', 'test'));

select is(array(select json_object_keys((pg_temp.get('all', '15')).body
                                        ::json)),
          '{id,device_id,command,user_id,status,return_code,result,attempts,'
          'created_at,sent_at,finished_at,expires_at}',
          'members, in their order');
select is(pg_temp.member(pg_temp.get('all', id), m), value,
          format('%s of %s', m, id))
  from (values
    ('15', 'device_id', 'A1'), ('15', 'command', 'CHECK'),
    ('15', 'status', 'done'), ('15', 'return_code', '0'),
    ('15', 'result', 'success'), ('15', 'attempts', '1'),
    ('15', 'created_at', '2026-03-27T08:30:12Z'),
    ('15', 'finished_at', '2026-03-27T08:30:15Z'),
    ('13', 'command', 'DATA UPDATE USERINFO'), ('13', 'user_id', '7'),
    ('13', 'result', null)) as v (id, m, value);
select unalike((pg_temp.list('all')).body, '%1234%',
               'what commands say is not told');

select is(pg_temp.ids(pg_temp.list(name, query)), ids,
          format('key %s: %s', name, query))
  from (values
    ('all', '{}'::jsonb, '15 13 12 11'), ('pune', '{}', '15 13 11'),
    ('test', '{}', '14'), ('all', '{"device_id":"A1"}', '15 13 11'),
    ('all', '{"status":"queued"}', '12 11'),
    ('all', '{"status":"queued","device_id":"B1"}', '12'),
    ('all', '{"limit":"2"}', '15 13')) as q (name, query, ids);
select is(pg_temp.ids(pg_temp.list('all', jsonb_build_object('cursor',
              (pg_temp.list('all', '{"limit":"2"}')).meta ->> 'next'))),
          '12 11', 'the next page');
select is(pg_temp.code(pg_temp.list(name, query)), code,
          format('key %s: %s', name, query))
  from (values
    ('pune', '{"device_id":"B1"}'::jsonb, '404 not_found'),
    ('all', '{"device_id":"S1"}', '404 not_found'),
    ('all', '{"status":"lost"}', '400 bad_request'),
    ('all', '{"user_id":"7"}', '400 bad_request')) as q (name, query, code);

select is(pg_temp.code(pg_temp.get(name, id)), '404 not_found',
          format('%s is not there for %s', id, name))
  from (values ('pune', '12'), ('all', '14'), ('test', '11'), ('all', '99'),
               ('all', 'x'), ('all', '-1'), ('all', '99999999999999999999'))
       as c (name, id);

select is(pg_temp.code(pg_temp.cancel('pune', '12')), '404 not_found',
          'others cancel nothing');
select is(pg_temp.member(pg_temp.cancel('pune', '11'), 'status'), 'cancelled',
          'cancelled');
select is(pg_temp.code(pg_temp.cancel('all', id)), '409 conflict', why)
  from (values ('11', 'it has ended'), ('13', 'it was sent'),
               ('15', 'it was answered')) as c (id, why);

select * from finish();
rollback;
