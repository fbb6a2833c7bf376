-- Punches and days by way of the API.

\ir ../fixtures/pgtap.psql
\ir ../fixtures/api.psql

create function pg_temp.logs(name text, query jsonb default '{}',
                             more jsonb default '{}')
    returns iclock_api.reply
    language sql as $$
    select pg_temp.api(name, 'logs_list', 'GET', '/logs',
        jsonb_build_object('query', query, 'scope', 'logs:read') || more)
$$;
create function pg_temp.days(name text, query jsonb, more jsonb default '{}')
    returns iclock_api.reply
    language sql as $$
    select pg_temp.api(name, 'daily_list', 'GET', '/attendance/daily',
        jsonb_build_object('query', query, 'scope', 'logs:read') || more)
$$;
-- one member of each row
create function pg_temp.column(reply iclock_api.reply, name text) returns text
    language sql as $$
    select coalesce(string_agg(coalesce(d ->> $2, '-'), ' '), '')
      from json_array_elements(reply.body::json -> 'data') as d
$$;

select pg_temp.key('all', iclock.create_api_key('all', '{logs:read}'));
select pg_temp.key('pune', iclock.create_api_key('pune', '{logs:read}',
                                                 sites => '{Pune}'));
select pg_temp.key('one', iclock.create_api_key('one', '{logs:read}',
                                                devices => '{L2}'));
select pg_temp.key('test', iclock.create_api_key('test', '{logs:read}',
                                                 'test'));
select pg_temp.key('devices', iclock.create_api_key('devices',
                                                    '{devices:read}'));

delete from iclock.punch;
delete from iclock.device;
insert into iclock.device (serial_number, status, name, site, timezone,
                           dialect, sandbox)
values ('L1', 'active', 'Gate, "north"', 'Pune', 'Asia/Kolkata', '2.4', false),
       ('L2', 'active', '=1+1', 'Delhi', 'Asia/Kolkata', '3.2', false),
       ('L3', 'active', null, null, 'Europe/Berlin', '2.4', false),
       ('LS', 'active', null, 'Pune', null, '2.4', true);

-- as nginx stores it
create function pg_temp.punch(serial_number text, local_time timestamp,
                              pin text, status integer default 0,
                              verify integer default 1)
    returns void language sql as $$
    insert into iclock.punch (device_id, local_time, pin, status, verify,
                              punched_at, received_at)
    select d.id, $2, $3, $4, $5, timezone(d.timezone, $2),
           timestamptz '2026-03-27 12:00:00.4+00'
      from iclock.device d where d.serial_number = $1
$$;

select pg_temp.punch('L1', '2026-03-27 14:00:12', 'EMP_001');
select pg_temp.punch('L1', '2026-03-27 18:00:00', 'EMP_001', 1, 15);
select pg_temp.punch('L2', '2026-03-27 00:00:00', '7', 2, 2);
select pg_temp.punch('L2', '2026-03-28 00:00:00', '7', 5, 150);
select pg_temp.punch('LS', '2026-03-27 09:00:00', '7');
insert into iclock.device_user (device_id, pin, name)
values (pg_temp.device('L1'), 'EMP_001', E'John "J"\u2028 Doe'),
       (pg_temp.device('L2'), '7', '@SUM(A1)');

-- what a row says

select is(array(select json_object_keys(
                    (pg_temp.logs('pune')).body::json #> '{data,0}')),
          '{id,user_id,user_name,punch_type,method,timestamp,local_time,'
          'timezone,device_id,device_name,site,status,verify,temperature,'
          'mask_detected,work_code,received_at}', 'members, in their order');
select is((pg_temp.logs('pune')).body::json #>> '{data,0,user_name}',
          E'John "J"\u2028 Doe', 'any name');
select is(((pg_temp.logs('pune')).body::jsonb #> '{data,0}')
          - '{id,user_name}'::text[],
          '{"user_id": "EMP_001", "punch_type": "CheckIn",
            "method": "Fingerprint", "timestamp": "2026-03-27T08:30:12Z",
            "local_time": "2026-03-27T14:00:12", "timezone": "Asia/Kolkata",
            "device_id": "L1", "device_name": "Gate, \"north\"",
            "site": "Pune", "status": 0, "verify": 1, "temperature": null,
            "mask_detected": null, "work_code": null,
            "received_at": "2026-03-27T12:00:00Z"}', 'a row');
select is(pg_temp.column(pg_temp.logs('all'), 'punch_type'),
          'BreakIn CheckIn CheckOut BreakOut', 'by the dialect');
select is(pg_temp.column(pg_temp.logs('all'), 'method'),
          'Card Fingerprint Face Multi', 'and how');
update iclock.punch set temperature = 36.50, mask = 0, work_code = '3'
 where pin = 'EMP_001' and status = 0;
select matches((pg_temp.logs('pune')).body,
    '"status":0,"verify":1,"temperature":36.5,"mask_detected":false,'
    '"work_code":"3"', 'what not every terminal sends');
select is((select count(distinct d ->> 'id')::int
             from json_array_elements((pg_temp.logs('all')).body::json
                                      -> 'data') as d
            where d ->> 'id' ~ '^log_[0-9a-f]{32}$'), 4, 'ids');

insert into iclock.person (site, pin, name)
values ('Pune', 'EMP_001', 'John Doe, whom the terminal cuts off'),
       ('Delhi', 'EMP_001', 'Somebody else');
select is((pg_temp.logs('pune')).body::json #>> '{data,0,user_name}',
          'John Doe, whom the terminal cuts off', 'the name of the person');

-- filters

select is(pg_temp.column(pg_temp.logs('all', query), 'device_id'), found,
          query::text)
  from (values
    ('{"start_date":"2026-03-27","end_date":"2026-03-27"}'::jsonb, 'L2 L1 L1'),
    ('{"start_date":"2026-03-28"}', 'L2'),
    ('{"end_date":"2026-03-26"}', ''),
    ('{"order":"desc"}', 'L2 L1 L1 L2'),
    ('{"order":"asc","user_id":"EMP_001"}', 'L1 L1'),
    ('{"device_id":"L2"}', 'L2 L2'),
    ('{"device_id":"LS"}', ''),
    ('{"site":"Pune"}', 'L1 L1'),
    ('{"type":"CheckIn"}', 'L1'),
    ('{"type":"CheckIn,BreakIn"}', 'L2 L1'),
    ('{"method":"Face"}', 'L1'),
    ('{"method":"Face","type":"CheckIn"}', ''))
    as f (query, found);
select is(pg_temp.code(pg_temp.logs('all', query)), code, query::text)
  from (values
    ('{"start_date":"2026-02-30"}'::jsonb, '400 bad_request'),
    ('{"start_date":"27.3.2026"}', '400 bad_request'),
    ('{"end_date":""}', '400 bad_request'),
    ('{"start_date":"2026-03-28","end_date":"2026-03-27"}',
     '400 bad_request'),
    ('{"type":"Checkin"}', '400 bad_request'),
    ('{"method":"Nose"}', '400 bad_request'),
    ('{"order":"up"}', '400 bad_request'),
    ('{"limit":"0"}', '400 bad_request'),
    ('{"limit":"1001"}', '400 bad_request'),
    ('{"start":"2026-03-28"}', '400 bad_request'),
    ('{"cursor":"bm9uZQ"}', '400 bad_cursor'))
    as f (query, code);
select is(pg_temp.code(pg_temp.logs('devices')), '403 scope',
          'a scope of its own');

-- who sees what

select is(pg_temp.column(pg_temp.logs(name), 'device_id'), found,
          'key ' || name)
  from (values ('pune', 'L1 L1'), ('one', 'L2 L2'), ('test', 'LS'))
    as k (name, found);
select is(pg_temp.column(pg_temp.logs('pune', query), 'device_id'), '',
          'no site but its own: ' || query::text)
  from (values ('{"device_id":"L2"}'::jsonb), ('{"site":"Delhi"}'),
               ('{"user_id":"7"}')) as f (query);

update iclock.device set status = 'blocked', removed_at = now()
 where serial_number = 'L1';
select is(pg_temp.column(pg_temp.logs('pune'), 'device_id'), 'L1 L1',
          'punches of a terminal that was removed stay');
update iclock.device set status = 'active' where serial_number = 'L1';

insert into iclock.device_site (device_id, starts, ends, site)
values (pg_temp.device('L1'), '-infinity', '2026-03-27 15:00', 'Delhi');
update iclock.device set site_since = '2026-03-27 15:00'
 where serial_number = 'L1';
select is(pg_temp.column(pg_temp.logs('pune'), 'status'), '1',
          'a terminal that moved leaves its punches there');
select is(pg_temp.column(pg_temp.logs('all', '{"device_id":"L1"}'), 'site'),
          'Delhi Pune', 'where it stood');
delete from iclock.device_site;
update iclock.device set site_since = '-infinity' where serial_number = 'L1';

-- days when clocks change

delete from iclock.punch where device_id <> pg_temp.device('L1');
select pg_temp.punch('L3', t::timestamp, '9')
  from unnest(array['2026-03-29 01:59:59', '2026-03-29 03:00:00',
                    '2026-10-25 01:30:00', '2026-10-25 03:30:00']) as t;
insert into iclock.punch (device_id, local_time, pin)
values (pg_temp.device('L3'), '2026-10-25 02:30', '9');
select is(pg_temp.column(pg_temp.logs('all', '{"user_id":"9"}'), 'timestamp'),
          '2026-03-29T00:59:59Z 2026-03-29T01:00:00Z 2026-10-24T23:30:00Z - '
          '2026-10-25T02:30:00Z',
          'UTC on such days; what no clock can tell is null');
select is_empty(
    $$ select d
         from json_array_elements((pg_temp.logs('all')).body::json -> 'data')
              as d
        where d ->> 'timestamp' is not null
          and (d ->> 'local_time')::timestamp at time zone (d ->> 'timezone')
              <> (d ->> 'timestamp')::timestamptz $$,
    'local_time, timezone and timestamp agree');

-- pages

delete from iclock.punch;
-- many at the same time on many terminals, weeks without any
insert into iclock.device (serial_number, status, site, timezone)
select 'M' || i, 'active', 'Pune', 'UTC' from generate_series(1, 9) as i;
insert into iclock.punch (device_id, local_time, pin, status, verify)
select pg_temp.device('M' || 1 + i % 9),
       timestamp '2026-01-01' + case when i < 200 then i / 50
                                     when i < 600 then 86400 * 20 + i * 600
                                     else 86400 * 300 + i * 7 end
                                * interval '1 second',
       i % 7, i % 3, i
  from generate_series(0, 999) as i;
create temp table seen (step integer, page integer, id text);

-- while more arrive, before and behind
create function pg_temp.walk(step integer, query jsonb) returns integer
    language plpgsql as $$
declare
    page    integer := 0;
    reply   iclock_api.reply;
    cursor  text;
begin
    loop
        reply := pg_temp.logs('pune', query || jsonb_strip_nulls(
                                  jsonb_build_object('cursor', cursor)));
        insert into seen
        select step, page, d ->> 'id'
          from json_array_elements(reply.body::json -> 'data') as d;
        cursor := reply.body::json ->> 'next_cursor';

        if cursor is distinct from reply.meta ->> 'next'
           or (cursor is not null)
              <> (reply.body::json ->> 'has_more')::boolean
        then
            return -1;
        end if;
        exit when cursor is null;

        page := page + 1;
        insert into iclock.punch (device_id, local_time, pin, verify)
        select pg_temp.device('M' || 1 + i % 9),
               timestamp '2025-12-30' + page * i * interval '1 hour', 'new',
               page
          from generate_series(1, 7) as i
            on conflict do nothing;
    end loop;
    return page;
end
$$;
create temp table old as
select 'log_' || md5(concat_ws(E'\t', d.serial_number, p.local_time, p.pin,
                               p.status, p.verify)) as id
  from iclock.punch p join iclock.device d on d.id = p.device_id;
select cmp_ok(pg_temp.walk(1, '{"limit":"7"}'), '>', 140, 'many pages');
select is((select count(*)::int from old), 1000, 'a thousand rows');
select is((select count(*) - count(distinct s.id) from seen s
            where s.step = 1), 0::bigint, 'none comes twice');
select is_empty($$ select id from old except
                   select id from seen where step = 1 $$, 'none is missing');
select cmp_ok(pg_temp.walk(2, '{"limit":"7","order":"desc"}'), '>', 140,
              'and backwards');
select is((select count(*) - count(distinct s.id) from seen s
            where s.step = 2), 0::bigint, 'none comes twice');
select is_empty($$ select id from old except
                   select id from seen where step = 2 $$, 'none is missing');
select cmp_ok(pg_temp.walk(3, '{"user_id":"3","limit":"50"}'), '>', 1,
              'of one person');
select results_eq(
    $$ select count(*) from iclock.punch where pin = '3' $$,
    $$ select count(distinct id) from seen where step = 3 $$,
    'everything');
select cmp_ok(pg_temp.walk(4, '{"type":"BreakOut","limit":"50"}'), '>', 5,
              'of a kind');
select results_eq(
    $$ select count(*) from iclock.punch where status = 2 $$,
    $$ select count(distinct id) from seen where step = 4 $$,
    'everything');

select is(pg_temp.code(pg_temp.logs('pune', jsonb_build_object('site', 'Pune',
              'cursor', (pg_temp.logs('pune', '{"limit":"7"}')).meta
                        ->> 'next'))),
          '400 bad_cursor', 'a cursor of other filters');

-- other forms

delete from iclock.punch;
select pg_temp.punch('L1', '2026-03-27 14:00:12', pin)
  from unnest(array['=2+2', '+1', '-1', '@x', 'a,b', 'a"b', '5']) as pin;
select pg_temp.punch('L2', '2026-03-27 14:00:13', '7');
update iclock.device_user set name = E'\tcmd' where pin = '7';
select is((pg_temp.logs('one', '{}', '{"format":"csv"}')).body,
    concat('id,user_id,user_name,punch_type,method,timestamp,local_time,'
           'timezone,device_id,device_name,site,status,verify,temperature,'
           'mask_detected,work_code,received_at', E'\r\n',
           pg_temp.column(pg_temp.logs('one'), 'id'),
           E',7,"''\tcmd",CheckIn,Fingerprint,2026-03-27T08:30:13Z,'
           '2026-03-27T14:00:13,Asia/Kolkata,L2,"''=1+1",Delhi,0,1,,,,'
           '2026-03-27T12:00:00Z', E'\r\n'), 'CSV');
select results_eq(
    $$ select split_part(l, ',', 2) || case when l ~ '"a,b"' then ',b"'
                                            else '' end
         from regexp_split_to_table((pg_temp.logs('pune', '{}',
                  '{"format":"csv","continued":true}')).body, E'\r\n') as l
        where l <> '' order by split_part(l, ',', 2) collate "C" $$,
    $$ select unnest(array['"''+1"', '"''-1"', '"''=2+2"', '"''@x"',
                           '"a,b"', '"a""b"', '5']) $$,
    'no formula, quotes; no head on the pages that follow');
select is((pg_temp.logs('all', '{}', '{"format":"csv"}')).headers,
          '{"Content-Type": "text/csv; charset=utf-8"}', 'its type');
select is((pg_temp.logs('all', '{}', '{"format":"ndjson"}')).headers,
          '{"Content-Type": "application/x-ndjson"}', 'and of ndjson');
select is((select count(l::json)::int
             from regexp_split_to_table((pg_temp.logs('all', '{}',
                      '{"format":"ndjson"}')).body, E'\n') as l
            where l <> ''), 8, 'an object on each line');
select is((pg_temp.logs('all', '{"site":"Nowhere"}',
                        format('{"format":"%s"}', form)::jsonb)).status, 200,
          form || ' of no terminal')
  from unnest(array['json', 'csv', 'ndjson']) as form;
select is((pg_temp.logs('test', '{}', '{"format":"ndjson"}')).body, '',
          'nothing');
select is(pg_temp.code(pg_temp.logs('all', '{"limit":"1"}',
                           jsonb_build_object('format', form))) || ' '
          || pg_temp.code(pg_temp.days('all',
                 '{"start_date":"2026-03-27","limit":"1"}',
                 jsonb_build_object('format', form))),
          '400 bad_request 400 bad_request', form || ' has no limit')
  from unnest(array['csv', 'ndjson']) as form;

insert into iclock.punch (device_id, local_time, pin, punched_at)
select pg_temp.device('M' || 1 + i % 9),
       timestamp '2026-04-01' + i * interval '1 second', i % 97,
       timestamptz '2026-04-01' + i * interval '1 second'
  from generate_series(1, 12000) as i;
create function pg_temp.stream(form text, out pages integer, out rows integer,
                               out ids bigint)
    language plpgsql as $$
declare
    reply   iclock_api.reply;
    cursor  text;
begin
    pages := 0;
    rows := 0;
    create temp table line (l text) on commit drop;
    loop
        reply := pg_temp.logs('all', jsonb_strip_nulls(
                                  jsonb_build_object('cursor', cursor)),
            jsonb_build_object('format', form, 'continued', true));
        pages := pages + 1;
        rows := rows + (reply.meta ->> 'rows')::integer;
        insert into line
        select * from regexp_split_to_table(reply.body, E'\r?\n');
        cursor := reply.meta ->> 'next';
        exit when cursor is null;
    end loop;
    select count(distinct l) into ids from line where l <> '';
    drop table line;
end
$$;
select results_eq(
    $$ select form, s.* from unnest(array['ndjson', 'csv']) as form,
                             pg_temp.stream(form) as s $$,
    $$ values ('ndjson', 3, 12008, 12008::bigint),
              ('csv', 3, 12008, 12008) $$, 'pages of 5,000');

-- days

delete from iclock.punch;
select pg_temp.punch('L1', t::timestamp, 'EMP_001')
  from unnest(array['2026-03-27 09:00', '2026-03-27 17:30',
                    '2026-03-28 09:00']) as t;
select pg_temp.punch('L2', '2026-03-27 10:00', '7');
select pg_temp.punch('LS', '2026-03-27 12:00', 'EMP_001');
select pg_temp.punch('L3', t::timestamp, '9')
  from unnest(array['2026-03-29 01:00', '2026-03-29 04:00']) as t;
update iclock.person set department = 'Sales' where site = 'Pune';
select is((pg_temp.days('pune', '{"start_date":"2026-03-27"}')).body::jsonb
          #> '{data,0}',
          '{"date": "2026-03-27", "user_id": "EMP_001", "user_name":
            "John Doe, whom the terminal cuts off", "department": "Sales",
            "site": "Pune", "first": "2026-03-27T03:30:00Z",
            "last": "2026-03-27T12:00:00Z",
            "first_local_time": "2026-03-27T09:00:00",
            "last_local_time": "2026-03-27T17:30:00", "span": 30600,
            "punches": 2, "devices": ["L1"]}', 'a day');
select is(pg_temp.column(pg_temp.days(name,
              '{"start_date":"2026-03-27","end_date":"2026-03-29"}'),
              'user_id'), found, 'key ' || name)
  from (values ('all', '7 EMP_001 EMP_001 9'), ('pune', 'EMP_001 EMP_001'),
               ('one', '7'), ('test', 'EMP_001')) as k (name, found);
select is(pg_temp.column(pg_temp.days('all',
              '{"start_date":"2026-03-29"}'), 'span'), '7200',
          'two hours by the sun');
select is(pg_temp.column(pg_temp.days('all', '{"start_date":"2026-03-27",'
              '"end_date":"2026-03-29","user_id":"EMP_001"}'), 'date'),
          '2026-03-27 2026-03-28', 'of one person');
select is(pg_temp.column(pg_temp.days('all',
    '{"start_date":"2026-03-27","end_date":"2026-03-29","limit":"3"}'),
    'user_id'), '7 EMP_001 EMP_001', 'a page');
select is(pg_temp.column(pg_temp.days('all',
    '{"start_date":"2026-03-27","end_date":"2026-03-29","limit":"3"}'
    || jsonb_build_object('cursor', (pg_temp.days('all',
       '{"start_date":"2026-03-27","end_date":"2026-03-29","limit":"3"}')).meta
       ->> 'next')), 'user_id'), '9', 'and the next');
select is((pg_temp.days('pune', '{"start_date":"2026-03-27"}',
                        '{"format":"csv"}')).body, concat(
    'date,user_id,user_name,department,site,first,last,first_local_time,'
    'last_local_time,span,punches,devices', E'\r\n',
    '2026-03-27,EMP_001,"John Doe, whom the terminal cuts off",Sales,Pune,'
    '2026-03-27T03:30:00Z,2026-03-27T12:00:00Z,2026-03-27T09:00:00,'
    '2026-03-27T17:30:00,30600,2,L1', E'\r\n'), 'CSV');
select is((pg_temp.days('one', '{"start_date":"2026-03-27"}',
                        '{"format":"ndjson"}')).body, concat(
    '{"date":"2026-03-27","user_id":"7","user_name":"\tcmd",'
    '"department":null,"site":"Delhi","first":"2026-03-27T04:30:00Z",'
    '"last":"2026-03-27T04:30:00Z","first_local_time":'
    '"2026-03-27T10:00:00","last_local_time":"2026-03-27T10:00:00",'
    '"span":0,"punches":1,"devices":["L2"]}', E'\n'), 'ndjson');
select is(pg_temp.code(pg_temp.days('all', query)), '400 bad_request',
          query::text)
  from (values ('{}'::jsonb),
               ('{"start_date":"2026-03-27","end_date":"2026-03-26"}'),
               ('{"start_date":"2025-03-27","end_date":"2026-03-28"}'))
    as f (query);

select * from finish();
rollback;
