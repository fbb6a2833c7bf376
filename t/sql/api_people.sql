-- People by way of the API.  Here are the rows and the commands; the queue gives
-- them out as to a terminal.

\ir ../fixtures/pgtap.psql
\ir ../fixtures/api.psql

create function pg_temp.users(name text, operation text, method text,
                              route text, request jsonb default '{}',
                              body text default null)
    returns iclock_api.reply
    language sql as $$
    select pg_temp.api($1, $2, $3, $4,
        jsonb_build_object('scope', case
            when $2 = 'templates_list' then 'templates:read'
            when $3 = 'GET' then 'users:read' else 'users:write' end)
        || $5, $6)
$$;
create function pg_temp.create(name text, body text,
                               request jsonb default '{}')
    returns iclock_api.reply
    language sql as $$
    select pg_temp.users($1, 'users_create', 'POST', '/users', $3, $2)
$$;
create function pg_temp.batch(name text, body text,
                              request jsonb default '{}')
    returns iclock_api.reply
    language sql as $$
    select pg_temp.users($1, 'users_batch', 'POST', '/users/batch', $3, $2)
$$;
create function pg_temp.of(id text, query jsonb default '{}') returns jsonb
    language sql as $$
    select jsonb_build_object('path', jsonb_build_object('id', $1),
                              'query', $2)
$$;
create function pg_temp.get(name text, id text, query jsonb default '{}')
    returns iclock_api.reply
    language sql as $$
    select pg_temp.users($1, 'users_get', 'GET', '/users/{id}',
                         pg_temp.of($2, $3))
$$;
create function pg_temp.put(name text, id text, body text,
                            query jsonb default '{}')
    returns iclock_api.reply
    language sql as $$
    select pg_temp.users($1, 'users_update', 'PUT', '/users/{id}',
                         pg_temp.of($2, $4), $3)
$$;
create function pg_temp.delete(name text, id text, query jsonb default '{}')
    returns iclock_api.reply
    language sql as $$
    select pg_temp.users($1, 'users_delete', 'DELETE', '/users/{id}',
                         pg_temp.of($2, $3))
$$;
create function pg_temp.list(name text, query jsonb default '{}')
    returns iclock_api.reply
    language sql as $$
    select pg_temp.users($1, 'users_list', 'GET', '/users',
                         jsonb_build_object('query', query))
$$;
create function pg_temp.pins(reply iclock_api.reply) returns text
    language sql as $$
    select coalesce(string_agg(d ->> 'user_id', ' '), '')
      from json_array_elements(reply.body::json -> 'data') as d
$$;
-- "P1 synced, P2 pending"
create function pg_temp.places(reply iclock_api.reply) returns text
    language sql as $$
    select coalesce(string_agg(concat_ws(' ', d ->> 'device_id',
                                         d ->> 'status'), ', '),
                    pg_temp.code($1))
      from json_array_elements(reply.body::json -> 'devices') as d
$$;
create function pg_temp.poll(serial_number text) returns setof text
    language sql as $$
    select c.body
      from iclock.dequeue_commands(array[pg_temp.device($1)], '{1000}',
                                   '{10000000}', '{600}', '{3}') as c
$$;
-- the device answers all that it was sent
create function pg_temp.answer(serial_number text, code integer default 0)
    returns void language sql as $$
    select iclock.answer_commands(array_agg(c.device_id),
                                  array_agg(c.id % 1000000000),
                                  array_agg($2), array_agg(null::bytea))
      from iclock.command c
     where c.device_id = pg_temp.device($1) and c.status = 'sent'
$$;
create function pg_temp.waiting() returns text language sql as $$
    select coalesce(string_agg(d.serial_number || ' ' || c.n, ', '
                               order by d.serial_number), '')
      from (select k.device_id, count(*) as n
              from iclock.command k
             where k.status = 'queued'
             group by k.device_id) as c
      join iclock.device d on d.id = c.device_id
$$;

select pg_temp.key(name, iclock.create_api_key(name,
           '{users:read,users:write,templates:read,devices:write}', mode,
           sites, devices))
  from (values ('all', 'live', null::text[], null::text[]),
               ('pune', 'live', '{Pune}', null),
               ('one', 'live', null, '{P2}'),
               ('two', 'live', null, '{P1,P2}'),
               ('test', 'test', null, null))
    as k (name, mode, sites, devices);

delete from iclock.device;
insert into iclock.device (serial_number, status, site, dialect, timezone,
                           fingerprint_version, sandbox)
values ('P1', 'active', 'Pune', '2.4', 'Asia/Kolkata', '10', false),
       ('P2', 'active', 'Pune', '2.4', 'Asia/Kolkata', '9', false),
       ('D1', 'active', 'Delhi', '3.2', 'Asia/Kolkata', null, false),
       ('N1', 'active', null, '2.4', 'Europe/Berlin', null, false),
       ('X1', 'blocked', 'Delhi', '2.4', null, null, false),
       ('S1', 'active', 'Try', '2.4', null, null, true),
       ('S2', 'active', 'Pune', '2.4', null, null, true);

-- a user with a template, as the guide of another product does it

create temp table made as select r.* from pg_temp.create('all', $$
    {"device_id": "P1", "user_id": "EMP_001", "name": "John Doe",
     "department": "Engineering",
     "templates": [{"type": "fingerprint", "data": "BASE64_ENCODED_TEMPLATE",
                    "index": 0}]} $$) as r;
select is((select status from made), 201, 'created');
select is((select body::jsonb - 'commands' from made),
          '{"user_id": "EMP_001", "status": "pending", "skipped": []}',
          'what is told');
select is((select json_array_length(body::json -> 'commands') from made), 2,
          'two commands');
select is((select headers ->> 'Location' from made), '/users/EMP_001',
          'where it is');
select is((select a.target from iclock.api_audit a
            where a.operation = 'users_create'
            order by a.id desc limit 1), 'EMP_001', 'and who it was');
savepoint other;
select r.headers ->> 'Location' as place
  from pg_temp.create('all', '{"device_id":"N1","user_id":"50%"}') as r \gset
rollback to other;
select is(:'place'::text, '/users/50%25', 'where one with another PIN is');
select is(pg_temp.places(pg_temp.get('all', 'EMP_001')), 'P1 pending',
          'it waits');
select results_eq(
    $$ select * from pg_temp.poll('P1') $$,
    $$ values (E'DATA UPDATE USERINFO PIN=EMP_001\tName=John Doe\tPri=0\t'
               'Passwd=\tCard=\tGrp=1\tTZ=0000000000000000\tVerify=-1\t'
               'ViceCard='),
              (E'DATA UPDATE FINGERTMP PIN=EMP_001\tFID=0\tSize=24\tValid=1\t'
               'TMP=BASE64/ENCODED/TEMPLATE=') $$,
    'the commands, in the dialect of the terminal');
select is(pg_temp.places(pg_temp.get('all', 'EMP_001')), 'P1 pending',
          'sent is not done');
select pg_temp.answer('P1');
select is((pg_temp.get('all', 'EMP_001')).body::jsonb,
          '{"user_id": "EMP_001", "name": "John Doe",
            "department": "Engineering", "devices": [
              {"device_id": "P1", "status": "synced", "card": null,
               "privilege": 0, "templates": [
                 {"type": "fingerprint", "index": 0, "version": "10.0"}]}]}',
          'the terminal has acknowledged');
select is((iclock_api.settle((select body from made))).settled, 'true',
          'and nobody waits any more');
select is(pg_temp.member(row(200, null, (iclock_api.settle(
              (select body from made))).body, null)::iclock_api.reply,
              'status'), 'synced', 'for who waited');
select is((pg_temp.create('all', '{"device_id":"P1","user_id":"2"}',
                          '{"wait":10}')).meta, '{"wait": true}',
          'who may wait');
select pg_temp.poll('P1');
select pg_temp.answer('P1', -1);
select is(pg_temp.places(pg_temp.get('all', '2')), 'P1 failed',
          'the terminal has refused');

-- where

select is(pg_temp.code(pg_temp.create('all', body)), code, body)
  from (values
    ('{"user_id":"3"}', '422 invalid #/device_id'),
    ('{"user_id":"3","device_id":"P1","site":"Pune"}',
     '422 invalid #/device_id'),
    ('{"user_id":"3","device_ids":[]}', '422 invalid #/device_ids'),
    ('{"user_id":"3","device_id":"NOSUCH"}', '404 not_found'),
    ('{"user_id":"3","device_id":"S1"}', '404 not_found'),
    ('{"user_id":"3","site":"Nowhere"}', '404 not_found'),
    ('{"user_id":"3","device_ids":["P1","S1"]}', '404 not_found'))
    as b (body, code);
select is(pg_temp.code(pg_temp.create('pune',
              '{"user_id":"3","device_id":"D1"}')), '404 not_found',
          'no terminal of another site');
select is(pg_temp.code(pg_temp.create('test',
              '{"user_id":"3","device_id":"P1"}')), '404 not_found',
          'a test key has terminals of its own');
select is(pg_temp.waiting(), '', 'nothing was queued');
select is((pg_temp.create('all', '{"user_id":"3","site":"Pune"}')).status, 201,
          'a site');
select is((pg_temp.create('all',
              '{"user_id":"4","device_ids":["D1","P2","D1"]}')).status, 201,
          'some terminals');
select is(pg_temp.waiting(), 'D1 1, P1 1, P2 2', 'each got it once');
select is((pg_temp.create('all', '{"user_id":"3","device_id":"X1"}')).body
          ::jsonb - 'commands',
          '{"user_id": "3", "status": "failed", "skipped": [
            {"device_id": "X1", "what": "user",
             "reason": "the terminal is blocked"}]}', 'a blocked one');

-- what a terminal cannot take

insert into iclock.device_option (device_id, name, value)
values (pg_temp.device('P2'), 'PIN2Width', '5'),
       (pg_temp.device('N1'), 'IsSupportABCPin', '0');
select is((pg_temp.create('all', '{"user_id":"EMP_001","device_ids":'
                                 '["P2","N1"]}')).body::jsonb -> 'skipped',
          '[{"device_id": "P2", "what": "user", "reason":
             "the terminal takes PINs of at most 5 characters"},
            {"device_id": "N1", "what": "user", "reason":
             "the terminal takes PINs of digits only"}]', 'PINs');
delete from iclock.device_option;
select is((pg_temp.create('all', '{"user_id":"5","device_ids":["P2","P1"],'
              '"templates":[{"type":"fingerprint","data":"AQID","index":6,'
              '"version":"10.0"}]}')).body::jsonb -> 'skipped',
          '[{"device_id": "P2", "what": "fingerprint 6", "reason":
             "it is of version 10 of the algorithm, the terminal has '
          'version 9"}]', 'a template of another algorithm');
select is(pg_temp.waiting(), 'D1 1, P1 3, P2 3', 'the rest is queued');
update iclock.command set status = 'cancelled' where status = 'queued';

-- templates and what else there is, of all kinds

insert into iclock.device_option (device_id, name, value)
values (pg_temp.device('P1'), 'MultiBioVersion',
        '0:10.0:7.0:0:0:0:0:3.0:12.1:58.2');
select pg_temp.create('all', $$
    {"device_id": "P1", "user_id": "6", "name": "Asha", "card": 12345,
     "privilege": 14, "password": "99", "group": 2,
     "valid_from": "2026-04-01", "valid_until": "2026-04-30T12:00:00Z",
     "photo": "/9j/4A==",
     "templates": [{"type": "face", "data": "AQID"},
                   {"type": "face", "data": "AQID", "version": "7",
                    "index": 1},
                   {"type": "palm", "data": "AQID"},
                   {"type": "vein", "data": "AQID", "index": 3}]} $$);
select results_eq(
    $$ select * from pg_temp.poll('P1') $$,
    $$ values (E'DATA UPDATE USERINFO PIN=6\tName=Asha\tPri=14\tPasswd=99\t'
               'Card=12345\tGrp=2\tTZ=0000000000000000\tVerify=-1\tViceCard='
               '\tStartDatetime=2026-04-01 00:00:00'
               '\tEndDatetime=2026-04-30 17:30:00'),
              (E'DATA UPDATE BIODATA Pin=6\tNo=0\tIndex=0\tValid=1\tDuress=0\t'
               'Type=9\tMajorVer=58\tMinorVer=2\tFormat=0\tTmp=AQID'),
              (E'DATA UPDATE FACE PIN=6\tFID=1\tValid=1\tSize=4\tTMP=AQID'),
              (E'DATA UPDATE BIODATA Pin=6\tNo=0\tIndex=0\tValid=1\tDuress=0\t'
               'Type=8\tMajorVer=12\tMinorVer=1\tFormat=0\tTmp=AQID'),
              (E'DATA UPDATE FVEIN Pin=6\tFID=3\tIndex=0\tValid=1\tSize=4\t'
               'Tmp=AQID'),
              (E'DATA UPDATE USERPIC PIN=6\tSize=8\tContent=/9j/4A==') $$,
    'all of it');
select pg_temp.answer('P1');

-- what is wrong

select is(pg_temp.code(pg_temp.create('all',
              '{"device_id":"P1","user_id":"7",' || member || '}')), code,
          member)
  from (values
    ('"templates":[{"type":"fingerprint","data":"AQ!D"}]',
     '422 invalid #/templates/0/data'),
    ('"templates":[{"type":"fingerprint","data":"AQI"}]',
     '422 invalid #/templates/0/data'),
    ('"templates":[{"type":"fingerprint","data":"AQIDBA"}]',
     '422 invalid #/templates/0/data'),
    ('"templates":[{"type":"fingerprint","data":""}]',
     '422 invalid #/templates/0/data'),
    ('"templates":[{"type":"fingerprint"}]', '422 invalid #/templates/0/data'),
    ('"templates":[{"type":"nose","data":"AQID"}]',
     '422 invalid #/templates/0/type'),
    ('"templates":[{"type":"vein","data":"AQID","index":10}]',
     '422 invalid #/templates/0/index'),
    ('"templates":[{"type":"fingerprint","data":"AQID","index":11}]',
     '422 invalid #/templates/0/index'),
    ('"templates":[{"type":"palm","data":"AQID","version":"new"}]',
     '422 invalid #/templates/0/version'),
    ('"templates":[{"type":"palm","data":"AQID"},'
     '{"type":"palm","data":"AQID","index":0}]',
     '422 invalid #/templates/1/index'),
    ('"templates":[{"type":"palm","data":"AQID","no":1}]',
     '400 unknown_field #/templates/0/no'),
    ('"templates":[5]', '400 bad_request #/templates/0'),
    ('"photo":"%"', '422 invalid #/photo'),
    ('"privilege":15', '422 invalid #/privilege'),
    ('"privilege":"14"', '400 bad_request #/privilege'),
    ('"group":1.5', '422 invalid #/group'),
    ('"card":"12 34"', '422 invalid #/card'),
    ('"name":"a\nb"', '422 invalid #/name'),
    ('"valid_from":"1.4.2026"', '422 invalid #/valid_from'),
    ('"valid_from":"1800-04-01"', '422 invalid #/valid_from'),
    ('"valid_until":"2026-02-30"', '422 invalid #/valid_until'),
    ('"valid_from":"2026-04-02","valid_until":"2026-04-01"',
     '422 invalid #/valid_until'),
    ('"pin":"7"', '400 unknown_field #/pin'))
    as m (member, code);
select is(pg_temp.code(pg_temp.create('all',
              '{"device_id":"P1","user_id":' || pin || '}')),
          '422 invalid #/user_id', 'PIN ' || pin)
  from unnest(array['""', '"a b"', '"1234567890123456789012345"', 'null'])
       as pin;
select is((pg_temp.create('all', '{"device_id":"P1","user_id":12}')).body::json
          ->> 'user_id', '12', 'a number is a PIN');
select is(pg_temp.waiting(), 'P1 1', 'nothing was queued of the others');

-- changes

select is(pg_temp.code(pg_temp.put('all', '77', '{"name":"x"}')),
          '404 not_found', 'nobody');
select is((pg_temp.put('all', 'EMP_001',
              '{"department":"Research"}')).body::jsonb,
          '{"user_id": "EMP_001", "name": "John Doe", "department": "Research",
            "status": "synced", "commands": [], "skipped": []}',
          'a department is no business of terminals');
select is((pg_temp.put('all', 'EMP_001', '{"name":"John A. Doe"}')).body::jsonb
          - 'commands',
          '{"user_id": "EMP_001", "name": "John A. Doe", "department":
            "Research", "status": "pending", "skipped": []}', 'a name is');
select is((pg_temp.put('all', 'EMP_001', '{"card":"777"}')).status, 200,
          'and another change, before the first has arrived');
select results_eq(
    $$ select (regexp_matches(b, E'Name=([^\t]*).*\tCard=([^\t]*)'))
         from pg_temp.poll('P1') as b where b ~ 'EMP_001' $$,
    $$ values (array['John A. Doe', '777']) $$,
    'a newer command says what an older one would have said');
select pg_temp.answer('P1');
select is((pg_temp.get('all', 'EMP_001')).body::json #>> '{devices,0,card}',
          '777', 'done');
select pg_temp.put('all', 'EMP_001', '{"card":null,"name":"J"}');
select results_eq(
    $$ select (regexp_matches(b, E'Name=([^\t]*).*\tCard=([^\t]*)'))
         from pg_temp.poll('P1') as b $$,
    $$ values (array['J', '']) $$, 'null takes back');
select pg_temp.answer('P1');
select is(pg_temp.code(pg_temp.put('pune', 'EMP_001', '{"card":"x"}')),
          '422 invalid #/card', 'wrong');
select is(pg_temp.code(pg_temp.put('one', 'EMP_001', '{"name":"x"}')),
          '404 not_found', 'not on a terminal of the key');

-- enrolment

create function pg_temp.enroll(name text, id text, body text)
    returns iclock_api.reply
    language sql as $$
    select pg_temp.users($1, 'users_enroll', 'POST', '/users/{id}/enroll',
                         pg_temp.of($2), $3)
$$;
select is(pg_temp.code(pg_temp.enroll('all', id, body)), code, id || body)
  from (values
    ('EMP_001', '{"type":"fingerprint"}', '422 invalid #/device_id'),
    ('EMP_001', '{"device_id":"P1","type":"nose"}', '422 invalid #/type'),
    ('EMP_001', '{"device_id":"P1","index":11}', '422 invalid #/index'),
    ('EMP_001', '{"device_id":"P1","index":10}', '422 invalid #/index'),
    ('EMP_001', '{"device_id":"S1"}', '404 not_found'),
    ('77', '{"device_id":"P1"}', '404 not_found'),
    ('EMP_001', '{"device_id":"P1","index":3,"overwrite":false}', '202'),
    ('EMP_001', '{"device_id":"P1","type":"face"}', '202'),
    ('EMP_001', '{"device_id":"P1","type":"card"}', '202'))
    as e (id, body, code);
select results_eq(
    $$ select * from pg_temp.poll('P1') $$,
    $$ values (E'ENROLL_FP PIN=EMP_001\tFID=3\tRETRY=3\tOVERWRITE=0'),
              (E'ENROLL_BIO TYPE=9\tPIN=EMP_001\tCardNo=\tRETRY=3\tOVERWRITE=1'),
              (E'ENROLL_MF PIN=EMP_001\tRETRY=3') $$, 'the terminal asks');
select is(pg_temp.places(pg_temp.get('all', 'EMP_001')), 'P1 synced',
          'which leaves the user as it is');
select pg_temp.answer('P1');

-- templates

create function pg_temp.templates(name text, id text,
                                  query jsonb default '{}')
    returns iclock_api.reply
    language sql as $$
    select pg_temp.users($1, 'templates_list', 'GET', '/users/{id}/templates',
                         pg_temp.of($2, $3))
$$;
select is((pg_temp.templates('all', '6')).body::json #>> '{data,0,data}', null,
          'no content');
select is(((pg_temp.templates('all', '6')).body::jsonb #> '{data,0}')
          - 'updated_at',
          '{"device_id": "P1", "type": "face", "index": 1, "version": "7.0",
            "valid": true, "duress": false, "size": 3, "data": null}',
          'a template');
select is((pg_temp.templates('all', '6',
              '{"include":"data","limit":"2"}')).body::json
          #>> '{data,1,data}', 'AQID', 'content for who asks for it');
select is((pg_temp.templates('all', '6', jsonb_build_object('limit', '3',
              'cursor', (pg_temp.templates('all', '6',
                                           '{"limit":"3"}')).meta ->> 'next')))
          .meta ->> 'rows', '1', 'pages');
select is(pg_temp.code(pg_temp.templates('all', '77')), '404 not_found',
          'nobody');
select ok(count(*) >= 5 and count(*) filter (where target = '6') >= 4,
          'whoever reads templates is noted')
  from iclock.api_audit where operation = 'templates_list';

-- lists, and who sees whom

insert into iclock.device_user (device_id, pin, name, card)
select pg_temp.device(serial), pin, name, ''
  from (values ('P2', 'a1', 'Asha Rao'), ('P2', 'a2', 'Ravi'),
               ('D1', 'a2', 'Another Ravi'), ('D1', 'a3', 'Dev'),
               ('S1', 'a4', 'Sandra'), ('N1', 'a5', 'Nils'))
    as u (serial, pin, name);
select is(pg_temp.pins(pg_temp.list(name, query)), found,
          concat_ws(' ', 'key', name, query))
  from (values
    ('all', '{"q":"a"}'::jsonb, '6 a1 a2 a3 a5'),
    ('all', '{"q":"RAVI"}', 'a2'),
    ('all', '{"site":"Delhi"}', '4 a2 a3'),
    ('all', '{"device_id":"P2"}', 'a1 a2'),
    ('pune', '{"q":"a"}', '6 a1 a2'),
    ('one', '{}', 'a1 a2'),
    ('test', '{}', 'a4'))
    as l (name, query, found);
select is(pg_temp.code(pg_temp.list('pune', '{"device_id":"D1"}')),
          '404 not_found', 'not there for it');
select is(pg_temp.places(pg_temp.get(name, 'a2')), found, 'key ' || name)
  from (values ('all', 'D1 synced, P2 synced'), ('pune', 'P2 synced'),
               ('one', 'P2 synced'), ('test', '404 not_found'))
    as g (name, found);
select is((pg_temp.get('pune', 'a2')).body::json ->> 'name', 'Ravi',
          'nor is the name of another site');
select is(pg_temp.places(pg_temp.get('pune', id)), '404 not_found', id)
  from unnest(array['a3', 'a4', 'a5']) as id;
create function pg_temp.walk(name text) returns text
    language plpgsql as $$
declare
    reply  iclock_api.reply;
    pins   text;
begin
    loop
        reply := pg_temp.list(name, '{"limit":"2"}' || jsonb_strip_nulls(
            jsonb_build_object('cursor', reply.meta ->> 'next')));
        pins := concat_ws(' ', pins, pg_temp.pins(reply));
        exit when reply.meta ->> 'next' is null;
    end loop;
    return pins;
end
$$;
select is(pg_temp.walk('all'), pg_temp.pins(pg_temp.list('all')),
          'in pages of two');

-- people of a test key are others

select is((pg_temp.create('test', '{"device_id":"S1","user_id":"EMP_001",'
                                  '"name":"Try"}')).status, 201, 'the same PIN');
select is((pg_temp.get('all', 'EMP_001')).body::json ->> 'name', 'J',
          'is another person');
select is(pg_temp.places(pg_temp.get('test', 'EMP_001')), 'S1 pending', 'both');

-- a batch

update iclock.command set status = 'cancelled' where status = 'queued';
create function pg_temp.people(n integer, wrong integer default null)
    returns text
    language sql as $$
    select json_build_object('device_id', 'P1', 'users',
               json_agg(json_build_object(
                   'user_id', case when i = $2 then 'a b'
                                   else 'B' || i end,
                   'name', 'Person ' || i,
                   'templates', json_build_array(json_build_object(
                       'type', 'fingerprint',
                       'data', encode(decode(repeat('ab', 500), 'hex'),
                                      'base64'))))
                   order by i))::text
      from generate_series(1, $1) as i
$$;
select is(pg_temp.code(pg_temp.batch('all', pg_temp.people(1001))),
          '422 invalid #/users', 'too many');
select is(pg_temp.code(pg_temp.batch('all', '{"device_id":"P1","users":[]}')),
          '422 invalid #/users', 'none');
insert into iclock.device (serial_number, status, site)
select 'T' || i, 'active', 'Town' from generate_series(1, 11) as i;
select is(pg_temp.code(pg_temp.batch('all',
              (pg_temp.people(1000)::jsonb - 'device_id'
               || '{"site":"Town"}')::text)),
          '422 invalid #/users', 'too many for eleven terminals');
select is(pg_temp.code(pg_temp.batch('all', pg_temp.people(1000, 500))),
          '422 invalid #/users/499/user_id', 'one is wrong');
select is(pg_temp.waiting(), '', 'nothing is queued');
select is((select count(*)::int from iclock.person where pin ~ '^B'), 0,
          'nor kept');
select is(pg_temp.code(pg_temp.batch('all', '{"device_id":"P1","users":['
              '{"user_id":"b1"},{"user_id":"b1"}]}')),
          '422 invalid #/users/1/user_id', 'twice');
select is(pg_temp.code(pg_temp.batch('all', '{"device_id":"P1","users":['
              '{"user_id":"b1"},{"user_id":"b2","nme":"x"}]}')),
          '400 unknown_field #/users/1/nme', 'misspelt');

-- what a terminal shows alone

insert into iclock.device_user (device_id, pin, name, starts_at)
values (pg_temp.device('P1'), 'b3', 'Known', '2026-04-01');
create function pg_temp.odd(partial boolean) returns text language sql as $$
    select json_build_object('device_id', 'P1', 'partial', $1, 'users', '[
        {"user_id":"b1","name":"One"},
        {"user_id":"b3","valid_until":"2026-03-01"},
        {"user_id":"b5","templates":[{"type":"fingerprint","data":"AQID",
                                      "index":10}]}]'::json)::text
$$;
select is(pg_temp.code(pg_temp.put('all', 'b3',
                                   '{"valid_until":"2026-03-01"}')),
          '422 invalid #/valid_until', 'before it begins there');
select is(pg_temp.code(pg_temp.batch('all', pg_temp.odd(false))),
          '422 invalid #/users/1/valid_until', 'one of several');
select is(pg_temp.waiting(), '', 'nothing is queued');
select is(((pg_temp.batch('all', pg_temp.odd(true))).body::jsonb
              -> 'results'),
          '[{"user_id": "b1", "status": 201, "error": null},
            {"user_id": "b3", "status": 422,
             "error": "valid_until is before \"valid_from\""},
            {"user_id": "b5", "status": 201, "error": null, "skipped": [
                {"device_id": "P1", "what": "fingerprint 10", "reason":
                 "the terminal numbers fingers from 0 to 9"}]}]',
          'in part: the others, and what can be taken of them');
select is(pg_temp.waiting(), 'P1 2', 'are queued');
update iclock.command set status = 'cancelled' where status = 'queued';
delete from iclock.person p where p.pin in ('b1', 'b5');
delete from iclock.device_user u where u.pin = 'b3';

create temp table part as select r.* from pg_temp.batch('all',
    (pg_temp.people(1000, 500)::jsonb || '{"partial":true}')::text) as r;
select is((select status from part), 200, 'in part');
select is((select body::json #>> '{results,499}' from part)::jsonb,
          '{"user_id": "a b", "status": 422, "error":
            "user_id is no PIN of 1 to 24 characters without blanks"}',
          'who is wrong');
select is((select count(*)::int
             from json_array_elements((select body::json -> 'results'
                                         from part)) as r
            where r ->> 'status' = '201'), 999, 'the others');
select is(pg_temp.waiting(), 'P1 1998', 'are queued');
update iclock.command set status = 'cancelled' where status = 'queued';

create function pg_temp.rows_read() returns bigint language sql volatile as $$
    select sum(s.seq_tup_read + coalesce(s.idx_tup_fetch, 0))::bigint
      from pg_stat_xact_all_tables s
     where s.schemaname = 'iclock'
$$;
create temp table began as select pg_temp.rows_read() as n;
create temp table whole as
select r.* from pg_temp.batch('all', pg_temp.people(1000)) as r;
create temp table took as
select pg_temp.rows_read() - b.n as n from began b;
select is((select status from whole), 201, 'all of them');
select is(pg_temp.waiting(), 'P1 2000', 'are queued');
select cmp_ok((select n from took), '<', 100000::bigint,
              'none reads all the others');
select is((select count(*)::int from iclock.person where pin ~ '^B'), 1000,
          'and kept');
select is(pg_temp.places(pg_temp.get('all', 'B7')), 'P1 pending', 'each');
update iclock.command set status = 'cancelled' where status = 'queued';

-- deletion

select is(pg_temp.code(pg_temp.delete('all', '77')), '404 not_found',
          'nobody');
select is(pg_temp.code(pg_temp.delete('pune', 'a3')), '404 not_found',
          'nobody whom the key sees');
select is(pg_temp.code(pg_temp.delete('all', 'EMP_001',
                                      '{"device_id":"P2"}')),
          '404 not_found', 'not on this terminal');
select is((pg_temp.delete('all', 'EMP_001', '{"device_id":"P1"}')).status, 202,
          'from one terminal');
select is(pg_temp.waiting(), 'P1 1', 'which is told');
select is(pg_temp.places(pg_temp.get('all', 'EMP_001')), 'P1 pending',
          'it has not answered');
select results_eq($$ select * from pg_temp.poll('P1') $$,
                  $$ values ('DATA DELETE USERINFO PIN=EMP_001') $$, 'it is');
select is((select count(*)::int from iclock.person
            where pin = 'EMP_001' and not sandbox), 1, 'kept until then');
select pg_temp.answer('P1');
select is(pg_temp.code(pg_temp.get('all', 'EMP_001')), '404 not_found',
          'gone');
select is((select count(*)::int from iclock.person
            where pin = 'EMP_001' and not sandbox), 0,
          'from everywhere');
select pg_temp.create('test', '{"device_id":"S1","user_id":"EMP_001"}');
select pg_temp.poll('S1');
select pg_temp.answer('S1');
select is(pg_temp.places(pg_temp.get('test', 'EMP_001')), 'S1 synced',
          'but not who has the same PIN in the sandbox');

select pg_temp.create('all', '{"device_ids":["P1","P2","D1"],"user_id":"8",'
                             '"name":"Everywhere"}');
select pg_temp.poll(s) from unnest(array['P1', 'P2', 'D1']) as s;
select pg_temp.answer(s) from unnest(array['P1', 'P2', 'D1']) as s;
select is((pg_temp.delete('one', '8')).status, 202,
          'a key of one terminal');
select is(pg_temp.waiting(), 'P2 1', 'deletes there');
select pg_temp.poll('P2');
select pg_temp.answer('P2');
select is(pg_temp.places(pg_temp.get('all', '8')), 'D1 synced, P1 synced',
          'and nowhere else');
select is((select count(*)::int from iclock.person where pin = '8'), 2,
          'others have the person');
select pg_temp.delete('pune', '8');
select is(pg_temp.waiting(), 'P1 1, P2 1', 'a key of a site: the site');
select isnt_empty($$ select from iclock.removed_person
                      where site = 'Pune' and pin = '8' $$,
                  'which uploads do not bring back');
select pg_temp.delete('all', '8');
select is(pg_temp.waiting(), 'D1 1, P1 2, P2 2', 'any key: everywhere');
select pg_temp.poll(s) from unnest(array['P1', 'P2', 'D1']) as s;
select pg_temp.answer(s) from unnest(array['P1', 'P2', 'D1']) as s;
select is((select count(*)::int from iclock.person where pin = '8'), 0,
          'gone');

-- terminals of the site that are not active
insert into iclock.device (serial_number, status, site, dialect, removed_at)
values ('P3', 'blocked', 'Pune', '2.4', null),
       ('P4', 'pending', 'Pune', '2.4', now());
insert into iclock.device_user (device_id, pin)
select pg_temp.device(s), p
  from (values ('P1', '40'), ('P3', '40'), ('P1', '41'), ('P4', '41'),
               ('P1', '43')) as v (s, p);
delete from iclock.removed_person;
select is((pg_temp.delete('two', '40')).status, 202,
          'a key of devices, of which one that it does not see has the user');
select is(pg_temp.waiting(), 'P1 1', 'deletes where it may');
select is_empty($$ select from iclock.removed_person $$, 'and not at the site');
update iclock.command set status = 'cancelled' where status = 'queued';
select pg_temp.delete('two', '43');
select is(pg_temp.waiting(), 'P1 1, P2 1',
          'one that has not is not in the way');
update iclock.command set status = 'cancelled' where status = 'queued';
select is((select array_agg(c ->> 'device_id')
             from json_array_elements((pg_temp.delete('all', '41')).body::json
                                      -> 'commands') as c), '{P1,P2}',
          'a removed one is not named');
select is(pg_temp.waiting(), 'P1 1, P2 1, P4 1', 'but gets a command');
update iclock.command set status = 'cancelled' where status = 'queued';
insert into iclock.device_user (device_id, pin)
values (pg_temp.device('P1'), '42');
select iclock.delete_user('P1', '42');
update iclock.command set not_before = now() + interval '1 day'
 where status = 'queued';
select is(pg_temp.places(pg_temp.get('all', '42')), 'P1 synced',
          'who is to be deleted another day is there');
select is((pg_temp.put('all', '42', '{"card":"42"}')).status, 200,
          'and can be changed');
delete from iclock.command where subject like E'user\t4_';
delete from iclock.device where serial_number in ('P3', 'P4');
delete from iclock.device_user where pin like '4_';
delete from iclock.removed_person;

-- simulated terminals at a site, and the others there
select pg_temp.create('test', '{"device_id":"S2","user_id":"18"}');
delete from iclock.removed_person;
update iclock.device set status = 'blocked' where serial_number in ('P1', 'P2');
select is((pg_temp.delete('test', '18')).status, 202, 'a test key');
select is(pg_temp.waiting(), 'S2 2', 'deletes in the sandbox');
select is_empty($$ select from iclock.removed_person $$,
                'and no uploads are refused at the site');
update iclock.command set status = 'cancelled' where status = 'queued';
update iclock.device set status = 'active' where serial_number in ('P1', 'P2');
select is((select count(*)::int from iclock.delete_user_from_site('Pune', '18')),
          2, 'the site tells its own terminals');
select is(pg_temp.waiting(), 'P1 1, P2 1', 'no simulated one');
select is(array(select cardinality(terminals) from iclock.removed_person),
          '{2}', 'whose uploads are none of before');
update iclock.command set status = 'cancelled' where status = 'queued';

select pg_temp.create('all', '{"device_id":"N1","user_id":"9","name":"N"}');
select pg_temp.delete('all', '9');
select is((select count(*)::int from iclock.person where pin = '9'), 0,
          'whom no terminal has got yet');
select is(pg_temp.places(pg_temp.get('all', '9')), 'N1 pending',
          'until the terminal has answered');

-- who gets the PIN of somebody whom terminals have yet to delete

create function pg_temp.put_on(serial_number text, pin text) returns text
    language sql as $$
    select coalesce(string_agg(translate(c.body, E'\t', ' '), E'\n'
                               order by c.id), '')
      from iclock.command c
     where c.device_id = pg_temp.device($1) and c.status = 'queued'
       and c.subject ~ (E'^user\t' || $2 || E'(\t|$)') and not c.deletes
$$;
create function pg_temp.shown(pin text) returns jsonb language sql as $$
    select jsonb_build_object('name', b -> 'name', 'department',
               b -> 'department', 'devices', array(
               select concat_ws(' ', d ->> 'device_id', d ->> 'status',
                                d ->> 'card', d ->> 'privilege',
                                jsonb_array_length(d -> 'templates'))
                 from jsonb_array_elements(b -> 'devices') as d))
      from (select (pg_temp.get('all', $1)).body::jsonb as b) as r
$$;
create function pg_temp.asha(pin text) returns void language plpgsql as $$
begin
    update iclock.command set status = 'cancelled' where finished_at is null;
    perform pg_temp.create('all', jsonb_build_object('user_id', $1,
        'device_ids', '["P1","P2"]'::jsonb, 'name', 'Asha', 'card', '4711',
        'password', '99', 'privilege', 14, 'group', 7, 'department', 'Gate',
        'valid_until', '2026-06-30', 'templates', jsonb_build_array(
            jsonb_build_object('type', 'fingerprint', 'data', 'QUJD',
                               'version', '10')))::text);
    perform pg_temp.poll(s), pg_temp.answer(s)
       from unnest(array['P1', 'P2']) as s;
end
$$;
select pg_temp.asha('30');
select is(pg_temp.shown('30'), '{"name": "Asha", "department": "Gate",
          "devices": ["P1 synced 4711 14 1", "P2 synced 4711 14 0"]}',
          'somebody');
select pg_temp.delete('all', '30');
select pg_temp.poll('P1');
select pg_temp.answer('P1');
select is(pg_temp.shown('30'), '{"name": "Asha", "department": null,
          "devices": ["P2 pending 4711 14 0"]}', 'who is being deleted');
select pg_temp.create('all', '{"user_id":"30","site":"Pune"}');
select is(pg_temp.put_on(s, '30'), 'DATA UPDATE USERINFO PIN=30 Name= Pri=0 '
          'Passwd= Card= Grp=1 TZ=0000000000000000 Verify=-1 ViceCard=' || l,
          'the next has nothing of them: ' || s)
  from (values ('P1', ''), ('P2', ' StartDatetime=0 EndDatetime=0'))
       as v (s, l);
select is(pg_temp.shown('30'), '{"name": null, "department": null,
          "devices": ["P1 pending 0", "P2 pending 0"]}',
          'and is shown without it');
select pg_temp.put('all', '30', '{"card":"12"}');
select alike(pg_temp.put_on('P2', '30'),
             E'%\nDATA UPDATE USERINFO PIN=30 Name= Pri=0 Passwd= Card=12 '
             'Grp=1 %', 'nor when more is put');
select pg_temp.poll(s), pg_temp.answer(s) from unnest(array['P1', 'P2']) as s;
select is(pg_temp.shown('30'), '{"name": null, "department": null,
          "devices": ["P1 synced 12 0 0", "P2 synced 12 0 0"]}',
          'and has that');

-- only on one of the terminals, and the other has not answered
select pg_temp.asha('31');
select pg_temp.delete('all', '31');
select pg_temp.poll('P1');
select pg_temp.answer('P1');
select pg_temp.create('all', '{"user_id":"31","device_id":"P1"}');
select is(pg_temp.shown('31'), '{"name": null, "department": null,
          "devices": ["P1 pending 0", "P2 pending 0"]}',
          'whom another terminal has yet to delete is not shown as the next');
insert into iclock.template (device_id, pin, type, no, index, major_version,
                             valid, duress, source, data)
values (pg_temp.device('P2'), '31', 1, 6, 0, 9, 1, 0, 'FP', 'gone');
select is((pg_temp.users('all', 'templates_list', 'GET',
               '/users/{id}/templates', pg_temp.of('31'))).body::jsonb
          -> 'data', '[]', 'nor are their templates');
update iclock.command set status = 'failed', return_code = -5,
                          finished_at = now()
 where device_id = pg_temp.device('P2') and finished_at is null;
select is(pg_temp.shown('31') -> 'devices', '["P1 pending 0", "P2 failed 0"]',
          'or has not deleted');

-- a user record goes before the templates of who is to be there again
select pg_temp.asha('32');
select iclock.delete_user('P1', '32');
select pg_temp.create('all', '{"user_id":"32","device_id":"P1","templates":
    [{"type":"fingerprint","data":"QUJD","version":"10"}]}');
select is(array(select split_part(b, ' PIN', 1)
                  from unnest(string_to_array(pg_temp.put_on('P1', '32'),
                                              E'\n')) as b),
          '{DATA UPDATE USERINFO,DATA UPDATE FINGERTMP}',
          'templates alone bring the record');

-- a deletion of all users
select pg_temp.asha('33');
select pg_temp.put('all', '33', '{"card":"4713"}');
select iclock.clear_users('P1');
select is(pg_temp.shown('33') -> 'devices',
          '["P1 pending 0", "P2 pending 4711 14 0"]', 'of all users');
select pg_temp.create('all', '{"user_id":"33","device_id":"P1"}');
select alike(pg_temp.put_on('P1', '33'),
             E'%Card=4713 %\n% Pri=0 Passwd= Card= Grp=1 %',
             'nothing of what waited before it, either');
update iclock.command set status = 'cancelled' where status = 'queued';

-- a device that was deleted leaves no users behind
select is_empty($$ select d.serial_number
                     from iclock.device d
                    where d.sandbox
                      and exists (select from iclock.command c
                                   where c.device_id = d.id
                                     and c.body ~ 'PIN=8') $$,
                'no simulated terminal was told of others');

select * from finish();
rollback;
