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
          '{id,device_id,command,words,user_id,status,return_code,result,'
          'attempts,created_at,created_by,sent_at,answer_due_at,finished_at,'
          'expires_at}',
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
    ('all', '{"since":"tomorrow"}', '400 bad_request'),
    ('all', '{"user":"7"}', '400 bad_request')) as q (name, query, code);

-- who asked, of whom, since when

insert into iclock.command (id, device_id, body, status, created_by,
                            created_at, sent_at)
values (20, pg_temp.device('A1'), E'DATA UPDATE USERINFO PIN=70', 'done',
        'api:ops', now() - interval '1 day', null),
       (21, pg_temp.device('B1'),
        E'DATA UPDATE FINGERTMP PIN=7\tFID=1\tSize=4\tTMP=AAAA', 'failed',
        'api:ops', now() - interval '1 hour', null),
       (22, pg_temp.device('B1'), 'LOG', 'sent', 'hr', now(),
        '2026-03-27 08:30:00+00');
select is(pg_temp.ids(pg_temp.list(name, query)), ids,
          format('key %s: %s', name, query))
  from (values
    ('all', '{"user_id":"7"}'::jsonb, '21 13'),
    ('pune', '{"user_id":"7"}', '13'), ('all', '{"user_id":"70"}', '20'),
    ('all', '{"user_id":"7","device_id":"A1"}', '13'),
    ('all', '{"user_id":"8"}', ''), ('all', '{"created_by":"ops"}', '21 20'),
    ('all', '{"created_by":"hr"}', '22'), ('all', '{"created_by":"x"}', ''),
    ('all', '{"status":"sent,failed"}', '22 21 13')) as q (name, query, ids);
select is(pg_temp.ids(pg_temp.list('all', jsonb_build_object('since',
              to_char(timezone('UTC', now() - age),
                      'YYYY-MM-DD"T"HH24:MI:SS"Z"')))), ids,
          format('since %s', age))
  from (values (interval '2 hours', '22 21 13 12 11'),
               (interval '2 days', '22 21 20 13 12 11'),
               (interval '-1 min', '')) as q (age, ids);
select is(pg_temp.member(pg_temp.api('all', 'commands_get', 'GET',
              '/commands/{id}', '{"scope":"commands:read","path":{"id":"22"},'
              '"server":{"command_timeout":600}}'), m), value, m)
  from (values ('answer_due_at', '2026-03-27T08:40:00Z'),
               ('created_by', 'hr')) as v (m, value);
select is(pg_temp.member(pg_temp.get('all', '21'), 'created_by'), 'ops',
          'a key, by its name');

-- in words

select is(iclock_api.command_words(body, iclock.command_subject(body)), words,
          left(body, 50))
  from (values
    (E'DATA UPDATE USERINFO PIN=1001\tName=x', 'Put person 1001'),
    (E'DATA DELETE USERINFO PIN=1001', 'Remove person 1001'),
    ('DATA QUERY USERINFO', 'Fetch person'),
    (E'DATA UPDATE FINGERTMP PIN=7\tFID=1\tTMP=A', 'Put fingerprint of 7'),
    (E'DATA UPDATE BIODATA Pin=7\tNo=0\tIndex=0\tType=9\tTmp=A',
     'Put face of 7'),
    (E'DATA DELETE BIODATA Pin=7\tType=8', 'Remove palm of 7'),
    (E'DATA DELETE BIODATA Pin=7', 'Remove template of 7'),
    (E'DATA FP PIN=1\tFID=3\tTMP=A', 'Put fingerprint of 1'),
    (E'DATA USER PIN=1\tName=A', 'Put person 1'),
    (E'DATA QUERY ATTLOG StartTime=2015-07-29 00:00:00\tEndTime=x',
     'Send punches again'),
    (E'VERIFY SUM ATTLOG StartTime=2015-07-29 00:00:00\tEndTime=x',
     'Count its punches'),
    (E'ENROLL_FP PIN=7\tFID=1', 'Enrol fingerprint of 7'),
    ('REBOOT', 'Restart'), ('CHECK', 'Shake hands again'),
    ('SET OPTION Volume=70', 'Set option Volume'),
    ('CLEAR LOG', 'Delete all punches on it'),
    ('AC_UNLOCK', 'Open the door'), ('DOUBT secret', 'DOUBT'))
    as w (body, words);
select is(iclock_api.command_words('DATA UPDATE BIODATA PIN=7',
                                   E'user\t7\ttemplate\t2\t0\t0\t58'),
          'Put face of 7', 'also when the template is not kept any more');

-- again

create function pg_temp.repeat(name text, id text) returns iclock_api.reply
    language sql as $$
    select pg_temp.api(name, 'commands_repeat', 'POST',
        '/commands/{id}/repeat', jsonb_build_object(
            'scope', 'commands:write', 'base', 'https://x.test/v1',
            'path', jsonb_build_object('id', id)))
$$;

select is(pg_temp.code(pg_temp.repeat(name, id)), code,
          format('%s again by %s', id, name))
  from (values ('all', '11', '409 conflict'), ('all', '22', '409 conflict'),
               ('pune', '21', '404 not_found'), ('all', '99', '404 not_found'))
       as r (name, id, code);
select pg_temp.repeat('all', '21') as made \gset
select is(pg_temp.code(:'made'), '201', 'again');
select is((:'made'::iclock_api.reply).headers ->> 'Location',
          'https://x.test/v1/commands/' || pg_temp.member(:'made', 'id'),
          'another command');
select is(pg_temp.member(:'made', m), value, m)
  from (values ('status', 'queued'), ('device_id', 'B1'),
               ('words', 'Put fingerprint of 7'), ('created_by', 'all'))
       as v (m, value);
select is((select c.status from iclock.command c where c.id = 21), 'failed',
          'what failed has failed');
select is((select c.body from iclock.command c where c.id = 21),
          (select c.body from iclock.command c
            where c.id = pg_temp.member(:'made', 'id')::bigint),
          'with all that it holds');
update iclock.command set cleared_at = now() where id = 21;
select is(pg_temp.code(pg_temp.repeat('all', '21')), '409 conflict',
          'what it held is gone');
update iclock.device set status = 'blocked' where serial_number = 'A1';
select is(pg_temp.code(pg_temp.repeat('all', '15')), '409 conflict',
          'a blocked device');
update iclock.device set status = 'active' where serial_number = 'A1';
delete from iclock.command where id > 15;

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
