-- What did not arrive and what terminals tell of themselves, by way of the API.

\ir ../fixtures/pgtap.psql
\ir ../fixtures/api.psql

create function pg_temp.get(name text, operation text, query jsonb
                            default '{}', sn text default null)
    returns iclock_api.reply
    language sql as $$
    select pg_temp.api(name, operation, 'GET', '/x', jsonb_build_object(
        'scope', case when operation like 'device%' then 'devices:read'
                      else 'logs:read' end,
        'path', jsonb_strip_nulls(jsonb_build_object('sn', sn)),
        'query', query))
$$;
create function pg_temp.data(reply iclock_api.reply, variadic path text[])
    returns text
    language sql as $$
    select reply.body::json -> 'data' #>> path
$$;
create function pg_temp.ids(reply iclock_api.reply, member text default 'id')
    returns text
    language sql as $$
    select coalesce(string_agg(d ->> member, ' '), '')
      from json_array_elements(reply.body::json -> 'data') as d
$$;

delete from iclock.device;
insert into iclock.device (serial_number, status, site, timezone, sandbox)
values ('A1', 'active', 'Pune', 'Asia/Kolkata', false),
       ('B1', 'active', 'Delhi', 'UTC', false),
       ('X1', 'blocked', 'Pune', 'UTC', false),
       ('S1', 'active', 'Pune', 'UTC', true);
select pg_temp.key('all', iclock.create_api_key('all',
    '{devices:read,logs:read,commands:write}'));
select pg_temp.key('pune', iclock.create_api_key('pune',
    '{devices:read,logs:read,commands:write}', sites => '{Pune}'));

-- bytes as text

select is(iclock_api.bytes_text(b), t, b::text)
  from (values
    ('\x'::bytea, ''), ('\x41094200'::bytea, E'A\tB\\x00'),
    ('\xc3a9ff'::bytea, 'é\xff'), ('\xc3'::bytea, '\xc3'),
    ('\xeda080'::bytea, '\xed\xa0\x80'), ('\xf09f9880fe'::bytea, '😀\xfe'),
    (convert_to('\x41', 'UTF8'), '\x5cx41'),
    (convert_to('a\b', 'UTF8'), 'a\b'), ('\x5c78ff'::bytea, '\x5cx\xff'),
    ('\x5c41ff'::bytea, '\A\xff'),
    -- what is too long, too large, cut off, or goes on for too long
    ('\xc080e09fbf'::bytea, '\xc0\x80\xe0\x9f\xbf'),
    ('\xf08fbfbff4908080'::bytea, '\xf0\x8f\xbf\xbf\xf4\x90\x80\x80'),
    ('\xe282e282ac80'::bytea, '\xe2\x82€\x80'),
    ('\xc24100'::bytea, '\xc2A\x00'), ('\xff5c'::bytea, '\xff\'),
    ('\x41ff5c78'::bytea, 'A\xff\x5cx')) as v (b, t);
select is((select string_agg(iclock_api.bytes_text(b), '' order by i)
             from (select i, convert_to(chr(i), 'UTF8') || '\xff'::bytea as b
                     from generate_series(93, 120000) as i
                    where i % 7 = 0 and i not between 55296 and 57343) as v),
          (select string_agg(chr(i) || '\xff', '' order by i)
             from generate_series(93, 120000) as i
            where i % 7 = 0 and i not between 55296 and 57343),
          'each character is shown as it is');

-- what of a line is told

select is(iclock_api.harmless_line(tab, convert_to(line, 'UTF8')), told, line)
  from (values
    ('ATTLOG', E'1077\t2026-02-30 08:31:00\t0\t1',
     E'1077\t2026-02-30 08:31:00\t0\t1'),
    ('OPERLOG', E'OPLOG 4\t14\tx', E'OPLOG 4\t14\tx'),
    ('OPERLOG', E'USER PIN=7\tName=Asha\tPasswd=1234\tCard=99',
     E'USER PIN=7\tName=Asha\tPasswd=...\tCard=...'),
    ('OPERLOG', E'FP PIN=1\tFID=x\tTMP=AAAA', E'FP PIN=1\tFID=x\tTMP=...'),
    ('BIODATA', E'Pin=1\tTmp=AAAA\tsecret', E'Pin=1\tTmp=...\t...'),
    ('options', '~ComPwd=77,x', '~ComPwd=...'),
    -- what separates fields is wrong
    ('OPERLOG', 'USER PIN=7 Name=Asha Passwd=1234', 'USER PIN=...'),
    ('OPERLOG', 'FP PIN=1,FID=6,TMP=AAAA', 'FP PIN=...'),
    ('OPERLOG', E'USER PIN=7 1234\tName=Asha;1234', E'USER PIN=...\tName=...'),
    ('OPERLOG', 'FP PIN=' || repeat('A', 500), 'FP PIN=...'),
    ('ATTLOG', E'USER PIN=7\tPasswd=1234', E'USER PIN=7\tPasswd=...'),
    ('OPERLOG', E'OPLOG 4\tUSER PIN=7\tPasswd=1234',
     E'...\tUSER PIN=7\tPasswd=...'),
    ('OPERLOG', E'USER PIN=7\tName=Asha Rao\tGrp=1',
     E'USER PIN=7\tName=Asha Rao\tGrp=1'))
    as v (tab, line, told);
select is(length(iclock_api.harmless_line('ATTLOG',
              decode(repeat('41', 5000), 'hex'))), 1000,
          'a thousand bytes of it');

-- why

select is(iclock_api.rejection(reason), code, reason)
  from (values
    ('local_time is not a date and time', 'date'),
    ('pin is invalid UTF-8', 'encoding'),
    ('pin holds a control character', 'encoding'),
    ('work_code is not valid text', 'encoding'),
    ('NUL byte in the line', 'encoding'), ('unknown table', 'table'),
    ('unknown record', 'table'), ('not documented', 'table'),
    ('packet is too large', 'packet'),
    ('not a packet of tar and gzip', 'packet'),
    ('23514: no partition', 'database'), ('pin is empty', 'format'),
    ('status is out of range', 'format')) as v (reason, code);

insert into iclock.rejected_line (id, device_id, table_name, line, reason,
                                  received_at)
values (1, pg_temp.device('A1'), 'ATTLOG', 'a', 'pin is empty',
        now() - interval '2 days'),
       (2, pg_temp.device('A1'), 'ATTLOG', '\xff',
        'local_time is not a date and time', '2026-03-27 08:30:00+00'),
       (3, pg_temp.device('B1'), 'BIODATA', 'c', '23514: no', now()),
       (4, pg_temp.device('S1'), 'ATTLOG', 'd', 'x', now());

select is(pg_temp.ids(pg_temp.get(name, 'rejected_list', query)), ids,
          format('%s: %s', name, query))
  from (values
    ('all', '{}'::jsonb, '3 2 1'), ('pune', '{}', '2 1'),
    ('all', '{"device_id":"B1"}', '3'), ('all', '{"reason":"date"}', '2'),
    ('all', '{"table":"BIODATA"}', '3'), ('all', '{"limit":"2"}', '3 2'),
    ('all', jsonb_build_object('since', to_char(timezone('UTC', now()
         - interval '1 hour'), 'YYYY-MM-DD"T"HH24:MI:SS"Z"')), '3'))
       as q (name, query, ids);
select is(pg_temp.ids(pg_temp.get('all', 'rejected_list', jsonb_build_object(
              'cursor', (pg_temp.get('all', 'rejected_list',
                                     '{"limit":"2"}')).meta ->> 'next'))),
          '1', 'the next page');
select is(pg_temp.code(pg_temp.get('pune', 'rejected_list', query)), code,
          query::text)
  from (values ('{"device_id":"B1"}'::jsonb, '404 not_found'),
               ('{"reason":"x"}', '400 bad_request'),
               ('{"since":"x"}', '400 bad_request'),
               ('{"x":"x"}', '400 bad_request')) as q (query, code);
select is(pg_temp.data(pg_temp.get('all', 'rejected_list',
                                   '{"reason":"date"}'), '0', m), value, m)
  from (values
    ('device_id', 'A1'), ('table', 'ATTLOG'), ('reason', 'date'),
    ('words', 'no such date'), ('line', '\xff'), ('size', '1'),
    ('detail', 'local_time is not a date and time'),
    ('received_at', '2026-03-27T08:30:00Z')) as v (m, value);

-- reconciliation

select setval(pg_get_serial_sequence('iclock.attendance_check', 'id'), 100);
insert into iclock.attendance_check (id, device_id, starts, ends, status,
    max_attempts, device_count, stored_count, finished_at, created_by)
values (1, pg_temp.device('A1'), '2026-01-01', '2026-01-02', 'differs', 3, 9,
        5, now(), 'api:ops'),
       (2, pg_temp.device('A1'), '2026-01-01', '2026-01-03', 'agreed', 3, 9,
        9, now(), 'hr'),
       (3, pg_temp.device('B1'), '2026-01-01', '2026-01-02', 'differs', 3, 40,
        9, '2026-03-27 08:30:00+00', 'hr'),
       (4, pg_temp.device('S1'), '2026-01-01', '2026-01-02', 'agreed', 3, 1,
        1, now(), 'hr');
select is(pg_temp.ids(pg_temp.get(name, 'reconciliation_list', query)), ids,
          format('%s: %s', name, query))
  from (values
    ('all', '{}'::jsonb, '3 2 1'), ('pune', '{}', '2 1'),
    ('all', '{"status":"differs"}', '3 1'), ('all', '{"missing":"true"}', '3'),
    ('all', '{"missing":"false"}', '2'), ('all', '{"device_id":"A1"}', '2 1'),
    ('all', '{"limit":"1"}', '3')) as q (name, query, ids);
select is(pg_temp.data(pg_temp.get('all', 'reconciliation_list',
                                   '{"device_id":"B1"}'), '0', m), value, m)
  from (values
    ('starts', '2026-01-01T00:00:00'), ('missing', '31'),
    ('device_count', '40'), ('stored_count', '9'), ('created_by', 'hr'),
    ('words', 'punches that the terminal counts do not arrive'),
    ('finished_at', '2026-03-27T08:30:00Z')) as v (m, value);

create function pg_temp.verify(name text, sn text, body text)
    returns iclock_api.reply
    language sql as $$
    select pg_temp.api(name, 'devices_verify', 'POST', '/devices/{sn}/verify',
        jsonb_build_object('scope', 'commands:write', 'path',
                           jsonb_build_object('sn', sn)), body)
$$;

select is(pg_temp.code(pg_temp.verify(name, sn, body)), code,
          format('%s, %s: %s', name, sn, body))
  from (values
    ('pune', 'A1', '{"starts":"2026-03-01","ends":"2026-03-02"}', '202'),
    ('pune', 'B1', '{}', '404 not_found'), ('pune', 'X1', '{}',
     '409 conflict'), ('all', 'B1', null, '202'),
    ('all', 'B1', '{"starts":"x"}', '422 invalid #/starts'),
    ('all', 'B1', '{"starts":"2026-02-30"}', '422 invalid #/starts'),
    ('all', 'B1', '{"starts":"2026-03-02","ends":"2026-03-01"}',
     '422 invalid #/starts'),
    ('all', 'B1', '{"x":1}', '400 unknown_field #/x')) as v (name, sn, body,
                                                             code);
select is((select format('%s %s %s', k.starts, k.ends, k.created_by)
             from iclock.attendance_check k
            where k.device_id = pg_temp.device('A1') and k.id > 4),
          '2026-03-01 00:00:00 2026-03-02 23:59:59 api:pune',
          'whole days, and who asked');
select ok((select k.ends > timezone('UTC', now()) - interval '1 min'
             from iclock.attendance_check k
            where k.device_id = pg_temp.device('B1') and k.id > 4),
          'until now');

-- what a terminal tells

insert into iclock.device_error (id, device_id, code, message, origin)
values (1, pg_temp.device('A1'), 'D01E0001', 'no face', 'cmd'),
       (2, pg_temp.device('A1'), 'zz', 'other', 'dev'),
       (3, pg_temp.device('B1'), 'zz', 'elsewhere', 'dev');
insert into iclock.operation (device_id, local_time, code, operator, object1)
values (pg_temp.device('A1'), '2026-03-27 08:30', 4, '9', 'x'),
       (pg_temp.device('A1'), '2026-03-27 08:31', 3, '0', '58'),
       (pg_temp.device('A1'), '2026-03-27 08:31', 3, '0', '59'),
       (pg_temp.device('B1'), '2026-03-27 08:30', 4, '0', '');
insert into iclock.device_option (device_id, name, value)
values (pg_temp.device('A1'), 'Volume', '70'),
       (pg_temp.device('A1'), 'IPAddress', '10.0.0.1'),
       (pg_temp.device('A1'), 'ComPwd', 'secret');

select is(pg_temp.ids(pg_temp.get('all', operation, query::jsonb, 'A1'),
                      member), ids, format('%s %s', operation, query))
  from (values
    ('device_errors', '{}', 'id', '2 1'),
    ('device_errors', '{"limit":"1"}', 'id', '2'),
    ('device_operations', '{}', 'code', '3 3 4'),
    ('device_operations', '{"limit":"2"}', 'code', '3 3'),
    ('device_settings', '{}', 'name', 'IPAddress Volume'),
    ('device_settings', '{"limit":"1"}', 'name', 'IPAddress'))
    as q (operation, query, member, ids);
select is(pg_temp.ids(pg_temp.get('all', o, jsonb_build_object('limit', '1',
              'cursor', (pg_temp.get('all', o, '{"limit":"1"}', 'A1'))
                            .meta ->> 'next'), 'A1'), member), ids,
          'the next of ' || o)
  from (values ('device_errors', 'id', '1'),
               ('device_operations', 'code', '3'),
               ('device_settings', 'name', 'Volume')) as q (o, member, ids);
select is(pg_temp.data(pg_temp.get('all', o, '{}', 'A1'),
                       variadic path::text[]), value, format('%s %s', o, path))
  from (values
    ('device_errors', '{1,message}', 'no face'),
    ('device_errors', '{1,code}', 'D01E0001'),
    ('device_errors', '{1,command_id}', null),
    ('device_operations', '{2,operator}', '9'),
    ('device_operations', '{0,operator}', null),
    ('device_operations', '{2,local_time}', '2026-03-27T08:30:00'),
    ('device_operations', '{2,objects,0}', 'x'),
    ('device_operations', '{0,objects,0}', '59'),
    ('device_settings', '{1,value}', '70')) as v (o, path, value);
select isnt(pg_temp.data(pg_temp.get('all', 'device_operations', '{}', 'A1'),
                         '2', 'words'), null, 'an operation in words');
select unalike((pg_temp.get('all', 'device_settings', '{}', 'A1')).body,
               '%secret%', 'no secrets');
select is(pg_temp.code(pg_temp.get('pune', o, '{}', 'B1')), '404 not_found',
          o || ' of others')
  from unnest(array['device_errors', 'device_operations',
                    'device_settings']) as o;

-- by the clock of the terminal

select is(pg_temp.code(pg_temp.verify('all', 'A1', body)), code, body)
  from (values
    ('{"starts":"2026-03-05T00:00:00Z","ends":"2026-03-05T09:00:00"}', '202'),
    ('{"starts":"2026-03-05T00:00:00Z","ends":"2026-03-05T05:29:59"}',
     '422 invalid #/starts'),
    ('{"ends":"tomorrow"}', '422 invalid #/ends')) as v (body, code);
select is((select format('%s %s', k.starts, k.ends)
             from iclock.attendance_check k
            where k.device_id = pg_temp.device('A1')
            order by k.id desc
            limit 1),
          '2026-03-05 05:30:00 2026-03-05 09:00:00',
          'a time with an offset, and one without');

select * from finish();
rollback;
