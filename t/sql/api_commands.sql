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
       not_before = '2026-03-27 08:30:13+00',
       finished_at = '2026-03-27 08:30:15+00'
 where id = 15;

select pg_temp.key('all', iclock.create_api_key('all',
    '{commands:read,commands:write}'));
select pg_temp.key('pune', iclock.create_api_key('pune',
    '{commands:read,commands:write}', sites => '{Pune}'));
select pg_temp.key('test', iclock.create_api_key('test',
    '{commands:read,commands:write}', 'test'));
select pg_temp.key('people', iclock.create_api_key('people',
    '{commands:read,commands:write,users:write}'));
select pg_temp.key('devices', iclock.create_api_key('devices',
    '{commands:read,commands:write,devices:write}'));

select is(array(select json_object_keys((pg_temp.get('all', '15')).body
                                        ::json)),
          '{id,device_id,command,words,user_id,status,return_code,result,'
          'attempts,created_at,created_by,sent_at,answer_due_at,finished_at,'
          'not_before,expires_at}',
          'members, in their order');
select is(pg_temp.member(pg_temp.get('all', id), m), value,
          format('%s of %s', m, id))
  from (values
    ('15', 'device_id', 'A1'), ('15', 'command', 'CHECK'),
    ('15', 'status', 'done'), ('15', 'return_code', '0'),
    ('15', 'result', 'success'), ('15', 'attempts', '1'),
    ('15', 'created_at', '2026-03-27T08:30:12Z'),
    ('15', 'not_before', '2026-03-27T08:30:13Z'),
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

-- what has ended since, the latest first, whenever it was asked for

create function pg_temp.ended(status text, rest jsonb default '{}')
    returns iclock_api.reply language sql as $$
    select pg_temp.list('all', jsonb_build_object('status', $1,
        'finished_since', to_char(timezone('UTC', now() - interval '2 hours'),
                                  'YYYY-MM-DD"T"HH24:MI:SS"Z"')) || $2)
$$;
insert into iclock.command (id, device_id, body, status, created_at,
                            finished_at)
select v.id, pg_temp.device('A1'), 'CHECK', v.status, now() - interval '9 days',
       now() - v.age
  from (values (1, 'failed', interval '1 minute'),
               (2, 'failed', '1 second'), (3, 'failed', '1 minute'),
               (4, 'expired', '1 hour'), (5, 'failed', '3 hours'))
       as v (id, status, age);
update iclock.command set finished_at = now() - interval '100 minutes'
 where id = 21;
select is(pg_temp.ids(pg_temp.ended(status)), ids, 'ended, ' || status)
  from (values ('failed', '2 3 1 21'), ('expired', '4'),
               ('failed,expired', '2 3 1 4 21'), ('queued', ''))
       as v (status, ids);
with recursive page as (
    select pg_temp.ended('failed', '{"limit":1}') as r, 1 as n
     union all
    select pg_temp.ended('failed', jsonb_build_object('limit', 1, 'cursor',
               (p.r).body::json ->> 'next_cursor')), p.n + 1
      from page p
     where (p.r).body::json ->> 'next_cursor' is not null
)
select is(string_agg(pg_temp.ids(r), ' ' order by n), '2 3 1 21',
          'page by page') from page;
select is((pg_temp.list('all', '{"finished_since":"x"}')).status, 400,
          'no time');
delete from iclock.command where id between 1 and 5;

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
select pg_temp.repeat('people', '21') as made \gset
select is(pg_temp.code(:'made'), '201', 'again');
select is((:'made'::iclock_api.reply).headers ->> 'Location',
          'https://x.test/v1/commands/' || pg_temp.member(:'made', 'id'),
          'another command');
select is(pg_temp.member(:'made', m), value, m)
  from (values ('status', 'queued'), ('device_id', 'B1'),
               ('words', 'Put fingerprint of 7'), ('created_by', 'people'))
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
select is(pg_temp.code(pg_temp.repeat('devices', '15')), '409 conflict',
          'a blocked device');
update iclock.device set status = 'active' where serial_number = 'A1';
delete from iclock.command where id > 15;

-- only what the key could have queued itself

alter table iclock.command alter id restart with 100;
create function pg_temp.repeats(body text) returns text
    language plpgsql as $$
declare
    id     bigint;
    names  text;
begin
    insert into iclock.command (device_id, body, status)
    values (pg_temp.device('A1'), $1, 'failed')
    returning command.id into id;

    select string_agg(k.name || ' ' || case (r.reply).status
                      when 201 then 'yes'
                      else (r.reply).meta #>> '{problem,code}' end, ', '
                      order by k.name)
      into names
      from unnest(array['all', 'devices', 'people']) as k (name)
     cross join lateral (select pg_temp.repeat(k.name, id::text) as reply) as r;
    return names;
end
$$;

select is(pg_temp.repeats(body), names, left(body, 50))
  from (values
    (E'VERIFY SUM ATTLOG StartTime=2026-03-27 00:00:00\tEndTime=x',
     'all yes, devices yes, people yes'),
    (E'DATA QUERY ATTLOG StartTime=2026-03-27 00:00:00\tEndTime=x',
     'all yes, devices yes, people yes'),
    ('REBOOT', 'all scope, devices yes, people scope'),
    ('CHECK', 'all scope, devices yes, people scope'),
    ('DATA QUERY USERINFO', 'all scope, devices yes, people scope'),
    ('DATA QUERY FINGERTMP', 'all scope, devices yes, people scope'),
    (E'DATA UPDATE USERINFO PIN=7\tName=A\tPri=14',
     'all scope, devices scope, people yes'),
    (E'DATA UPDATE FINGERTMP PIN=7\tFID=1\tTMP=AAAA',
     'all scope, devices scope, people yes'),
    (E'DATA UPDATE FACE PIN=7\tFID=1\tTMP=AAAA',
     'all scope, devices scope, people yes'),
    (E'DATA UPDATE FVEIN Pin=7\tFID=1\tTmp=AAAA',
     'all scope, devices scope, people yes'),
    (E'DATA UPDATE BIODATA Pin=7\tNo=0\tType=9\tTmp=AAAA',
     'all scope, devices scope, people yes'),
    (E'DATA UPDATE USERPIC PIN=7\tSize=4\tContent=AAAA',
     'all scope, devices scope, people yes'),
    ('DATA DELETE USERINFO PIN=7', 'all scope, devices scope, people yes'),
    (E'ENROLL_FP PIN=7\tFID=1', 'all scope, devices scope, people yes'),
    (E'ENROLL_MF PIN=7\tRETRY=3', 'all scope, devices scope, people yes'),
    (E'ENROLL_BIO TYPE=9\tPIN=7', 'all scope, devices scope, people yes'))
    as c (body, names);
select is(pg_temp.repeats(body),
          'all by_sql, devices by_sql, people by_sql', left(body, 50))
  from unnest(array[
    'SHELL reboot', 'shell reboot', 'C:1:SHELL reboot', 'PutFile a\tb',
    'GetFile /etc/passwd', 'UPGRADE checksum=x',
    'CLEAR DATA', 'CLEAR LOG', 'CLEAR ALL USERINFO', 'CLEAR BIODATA',
    'AC_UNLOCK', 'AC_UNALARM', 'SET OPTION IPAddress=192.0.2.1',
    'RELOAD OPTIONS', 'INFO', 'LOG', 'REBOOT NOW', ' REBOOT', 'CHECKED',
    'DATA DELETE USERINFO', 'DATA DELETE USERINFO PIN=',
    E'DATA DELETE USERINFO PIN=\t', E'DATA DELETE USERINFO PIN=7\tPIN=8',
    'DATA DELETE USERINFO PIN=' || repeat('7', 101),
    'DATA DELETE FINGERTMP', 'DATA DELETE BIODATA Pin=7',
    'DATA QUERY USERINFO PIN=7', 'DATA UPDATE USERINFO PIN=',
    'DATA UPDATE USEREXTINFO PIN=7', E'DATA UPDATE BIOPHOTO PIN=7\tUrl=x',
    'DATA UPDATE ACCGROUP ID=1', 'DATA UPDATE Blacklist IDNum=1',
    'DATA FP PIN=7', 'DATA  UPDATE USERINFO PIN=7', 'ENROLL_FP',
    'something else']) as body;
select is((pg_temp.repeat('all', c.id::text)).meta #>> '{problem,detail}',
          'the key lacks scope users:write', 'a scope: what is lacking')
  from iclock.command c
 where c.body like 'ENROLL_FP PIN%' and c.status = 'failed';
select is((pg_temp.repeat('people', c.id::text)).meta #>> '{problem,detail}',
          'no operation of the API queues such a command: it is repeated by '
          'SQL', 'no operation: what is left to do')
  from iclock.command c
 where c.body = 'AC_UNLOCK' and c.status = 'failed';
select is((select count(*) from iclock.command c
            where c.id > 15 and c.status = 'queued'), 20::bigint,
          'what is refused queues nothing');

-- what the functions queue that operations call is known

delete from iclock.command where id > 15;
select iclock.put_user('A1', '7', 'A'), iclock.delete_user('A1', '7'),
       iclock.put_fingerprint('A1', '7', 1, 'x'),
       iclock.put_face('A1', '7', 0, 'x'),
       iclock.put_finger_vein('A1', '7', 0, 0, 'x'),
       iclock.put_template('A1', '7', 9, 'x'), iclock.put_photo('A1', '7', 'x'),
       iclock.enroll_fingerprint('A1', '7', 1), iclock.enroll_card('A1', '7'),
       iclock.enroll_template('A1', '7', 9);
select is((select array_agg(distinct iclock_api.command_scope(c.body))
             from iclock.command c where c.id > 15), '{users:write}',
          'people');
delete from iclock.command where id > 15;
select iclock.reboot('A1'), iclock.check_data('A1'),
       iclock.query_all_users('A1'), iclock.query_all_fingerprints('A1');
select is((select array_agg(distinct iclock_api.command_scope(c.body))
             from iclock.command c where c.id > 15), '{devices:write}',
          'terminals');
delete from iclock.command where id > 15;
select iclock.query_attendance('A1', '2026-03-27', '2026-03-28'),
       iclock.verify_attendance('A1', '2026-03-27', '2026-03-28'),
       iclock.query_attendance_count('A1', '2026-03-27', '2026-03-28');
select is((select array_agg(distinct iclock_api.command_scope(c.body))
             from iclock.command c where c.id > 15), '{commands:write}',
          'their punches');
delete from iclock.attendance_check;
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
