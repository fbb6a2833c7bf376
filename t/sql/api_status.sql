-- How everything is doing, by way of the API.

\ir ../fixtures/pgtap.psql
\ir ../fixtures/api.psql

delete from iclock.device;
select pg_temp.count_from_here();

select pg_temp.key('all', iclock.create_api_key('all',
    '{devices:read,devices:write}'));
select pg_temp.key('pune', iclock.create_api_key('pune', '{devices:read}',
    sites => '{Pune}', rate => 7));
select pg_temp.key('delhi', iclock.create_api_key('delhi', '{devices:read}',
    sites => '{Delhi}'));
select pg_temp.key('one', iclock.create_api_key('one', '{devices:read}',
    devices => '{A2,B1}'));
select pg_temp.key('gate', iclock.create_api_key('gate', '{devices:read}',
    sites => '{Pune}', devices => '{A1,B1}'));
select pg_temp.key('test', iclock.create_api_key('test',
    '{devices:read,devices:write}', 'test'));

-- the key

create function pg_temp.about(name text, server jsonb default '{}')
    returns iclock_api.reply
    language sql as $$
    select pg_temp.api(name, 'key_get', 'GET', '/key',
        jsonb_build_object('scope', null, 'server',
            '{"version":"1.0","nginx":"1.2.3","schema_required":14,"rate":100,
              "listening":true,"webhooks":true}'::jsonb || server))
$$;

select is(array(select json_object_keys((pg_temp.about('all')).body::json)),
          '{id,name,mode,scopes,sites,devices,expires_at,rate,page,server,'
          'features,conditions}', 'members of a key');
select is(pg_temp.member(pg_temp.about(name), variadic path::text[]), value,
          format('%s of %s', path, name))
  from (values
    ('all', '{name}', 'all'), ('all', '{mode}', 'live'),
    ('all', '{scopes}', '["devices:read","devices:write"]'),
    ('all', '{sites}', null), ('all', '{devices}', null),
    ('all', '{expires_at}', null), ('all', '{rate,limit}', '100'),
    ('all', '{rate,window}', '60'), ('all', '{server,version}', '1.0'),
    ('all', '{page,default}', '100'), ('all', '{page,max}', '1000'),
    ('all', '{server,nginx}', '1.2.3'),
    ('all', '{server,schema_required}', '14'),
    ('all', '{server,schema}',
     (select max(version)::text from iclock.schema_version)),
    ('all', '{conditions,4,name}', 'silent'),
    ('all', '{conditions,4,warn_after}', '900'),
    ('all', '{conditions,0,warn_after}', null),
    ('pune', '{sites}', '["Pune"]'), ('one', '{devices}', '["A2","B1"]'),
    ('test', '{mode}', 'test')) as v (name, path, value);
select is(pg_temp.member(pg_temp.about('all', '{"rate":0}'), 'rate'), null,
          'no rate');
select is(pg_temp.member(pg_temp.about('all'), 'features'), '["webhooks"]',
          'what there is');
select is(pg_temp.member(pg_temp.about('all', '{"webhooks":false}'),
                         'features'), '[]', 'nothing');
select is(pg_temp.code(pg_temp.api('all', 'key_get', 'GET', '/key',
              '{"scope":null,"query":{"x":"1"}}')), '400 bad_request',
          'a parameter');

-- devices: five active, of which one is muted

insert into iclock.device (serial_number, status, name, site, timezone,
                           sandbox, first_seen, last_seen, punch_count)
values ('A1', 'active', 'Gate', 'Pune', 'UTC', false, now(), now(), 930),
       ('A2', 'active', 'Door', 'Pune', 'UTC', false, now(),
        now() - interval '1 hour', 5),
       ('A3', 'active', 'Box', 'Pune', 'UTC', false, now(),
        now() - interval '9 days', -1),
       ('B1', 'active', 'Yard', 'Delhi', 'UTC', false, now(), now(), -1),
       ('B2', 'active', 'Roof', null, null, false, now(),
        now() - interval '6 min', -1),
       ('N1', 'pending', null, null, null, false, now(), now(), -1),
       ('X1', 'blocked', null, 'Pune', null, false, now(), now(), -1),
       ('S1', 'active', 'Try', 'Pune', null, true, now(), now(), -1);
insert into iclock.device_option (device_id, name, value)
values (pg_temp.device('A1'), 'MaxAttLogCount', '10'),
       (pg_temp.device('A2'), 'MaxAttLogCount', '10');

create function pg_temp.patch(sn text, body text) returns iclock_api.reply
    language sql as $$
    select pg_temp.api('all', 'devices_update', 'PATCH', '/devices/{sn}',
        jsonb_build_object('path', jsonb_build_object('sn', sn)), body)
$$;
create function pg_temp.moment(age interval) returns text
    language sql as $$
    select to_char(timezone('UTC', now() + age),
                   'YYYY-MM-DD"T"HH24:MI:SS"Z"')
$$;

select is(pg_temp.member(pg_temp.patch('A3', format(
              '{"muted_until":"%s","note":"in a box"}',
              pg_temp.moment('29 days'))), m), value, m)
  from (values ('muted_until', pg_temp.moment('29 days')),
               ('note', 'in a box')) as v (m, value);
select is(pg_temp.code(pg_temp.patch('A3', body)), code, left(body, 60))
  from (values
    (format('{"muted_until":"%s"}', pg_temp.moment('31 days')),
     '422 invalid #/muted_until'),
    (format('{"muted_until":"%s"}', pg_temp.moment('-1 min')),
     '422 invalid #/muted_until'),
    ('{"muted_until":"tomorrow"}', '422 invalid #/muted_until'),
    ('{"muted_until":"2026-99-99T00:00:00Z"}', '422 invalid #/muted_until'),
    ('{"muted_until":"infinity"}', '422 invalid #/muted_until'),
    ('{"muted_until":1}', '400 bad_request #/muted_until'),
    (format('{"note":"%s"}', repeat('x', 4001)), '422 invalid #/note'),
    (format('{"note":"%s"}', repeat('x', 4000)), '200'),
    ('{"note":null}', '200')) as b (body, code);
select is(pg_temp.member(pg_temp.patch('A3', '{"name":"Box"}'), 'note'), null,
          'the note was taken back');
select isnt(pg_temp.member(pg_temp.patch('A3', '{"name":"Box"}'),
                           'muted_until'), null, 'it is muted all the same');

-- lists

create function pg_temp.list(name text, query jsonb default '{}')
    returns iclock_api.reply
    language sql as $$
    select pg_temp.api(name, 'devices_list', 'GET', '/devices',
        jsonb_build_object('query', query))
$$;
create function pg_temp.row(sn text) returns json
    language sql as $$
    select d
      from json_array_elements((pg_temp.list('all', '{"fields":"compact"}'))
                                   .body::json -> 'data') as d
     where d ->> 'id' = sn
$$;

select is((select string_agg(d ->> 'id', ' ')
             from json_array_elements((pg_temp.list('all', query))
                                          .body::json -> 'data') as d), ids,
          query::text)
  from (values
    ('{"condition":"silent"}'::jsonb, 'A2 B2'),
    ('{"condition":"silent","site":"Pune"}', 'A2'),
    ('{"condition":"full","fields":"compact"}', 'A1'),
    ('{"condition":"silent_day"}', null),
    ('{"condition":"new"}', 'N1'),
    ('{"fields":"compact"}', 'A1 A2 A3 B1 B2 N1 X1'),
    ('{"fields":"compact","status":"online"}', 'A1 B1'),
    ('{"fields":"compact","limit":"2"}', 'A1 A2')) as q (query, ids);
select is(pg_temp.code(pg_temp.list('all', query)), '400 bad_request',
          query::text)
  from (values ('{"condition":"sleepy"}'::jsonb), ('{"fields":"all"}'))
       as q (query);
select is(array(select json_object_keys(pg_temp.row('A1'))),
          '{id,name,site,timezone,status,conditions,muted_until,last_seen,'
          'last_punch_at,clock_skew_seconds,waiting_commands,storage_ratio}',
          'members of a short row');
select is(pg_temp.row(sn) #>> path::text[], value, format('%s %s', sn, path))
  from (values
    ('A1', '{storage_ratio}', '0.930'), ('A1', '{status}', 'online'),
    ('A1', '{conditions,0,name}', 'full'),
    ('A1', '{conditions,0,value}', '0.930'),
    ('A2', '{status}', 'offline'), ('A2', '{conditions,0,name}', 'silent'),
    ('A2', '{conditions,0,since}', pg_temp.moment('-1 hour')),
    ('A3', '{conditions,1,name}', 'silent_day'),
    ('B1', '{conditions}', '[]'), ('X1', '{status}', 'blocked'),
    ('N1', '{waiting_commands}', '0')) as v (sn, path, value);
select is((select d ->> 'conditions'
             from json_array_elements((pg_temp.list('all'))
                                          .body::json -> 'data') as d
            where d ->> 'id' = 'A2'),
          pg_temp.row('A2') ->> 'conditions', 'long rows have the same');
select ok(octet_length(pg_temp.row('B1')::text) < 300, 'a row is short');

-- the summary

create function pg_temp.sum(name text, variadic path text[]) returns text
    language sql as $$
    select (pg_temp.api(name, 'summary_get', 'GET', '/summary',
                '{"scope":"devices:read","server":{"listening":true}}'))
                .body::json #>> path
$$;

select is(pg_temp.sum(name, variadic path::text[]), value,
          format('%s for %s', path, name))
  from (values
    ('all', '{at}', pg_temp.moment('0')),
    ('all', '{devices,total}', '7'), ('all', '{devices,active}', '4'),
    ('all', '{devices,online}', '2'), ('all', '{devices,pending}', '1'),
    ('all', '{devices,blocked}', '1'), ('all', '{devices,muted}', '1'),
    ('all', '{devices,needs}', '3'),
    ('all', '{devices,by_condition,silent}', '2'),
    ('all', '{devices,by_condition,silent_day}', '0'),
    ('all', '{devices,by_condition,full}', '1'),
    ('all', '{devices,by_condition,quiet}', '0'),
    ('all', '{devices,by_site,0,site}', 'Delhi'),
    ('all', '{devices,by_site,1,total}', '4'),
    ('all', '{devices,by_site,1,needs}', '2'),
    ('all', '{devices,by_site,2,site}', null),
    ('all', '{devices,by_site,2,needs}', '1'),
    ('all', '{punches,today}', '0'), ('all', '{punches,last_at}', null),
    ('all', '{server,listening}', 'true'),
    ('all', '{server,horizon_seconds}', '0'),
    ('all', '{server,webhooks,active}', '0'),
    ('pune', '{devices,total}', '4'), ('pune', '{devices,needs}', '2'),
    ('one', '{devices,total}', '2'), ('one', '{devices,online}', '1'),
    ('test', '{devices,total}', '1')) as s (name, path, value);
select is(json_array_length(pg_temp.sum('all', 'punches', 'per_5min')::json),
          288, 'a day of five minutes');

insert into iclock.punch (device_id, local_time, pin, punched_at, received_at)
select pg_temp.device(sn), timezone('UTC', now())::date + interval '1 s' * i,
       i, now() - interval '1 min' * (10 - i), now() - age
  from (values ('A1', 3, interval '0'), ('B1', 2, interval '10 min'),
               ('S1', 9, interval '0'))
       as p (sn, n, age),
       generate_series(1, n) as i;
insert into iclock.punch (device_id, local_time, pin, received_at)
values (pg_temp.device('A1'), timezone('UTC', now())::date
                              - interval '1 s', 7, now());

create function pg_temp.rates(name text) returns text
    language sql as $$
    select string_agg(r.n, ' ' order by r.ord)
      from json_array_elements_text(pg_temp.sum(name, 'punches', 'per_5min')
                                        ::json) with ordinality as r (n, ord)
     where r.n <> '0'
$$;

-- what a terminal has recorded before it was moved today stays there

create function pg_temp.moved(counted boolean default false) returns text
    language plpgsql as $$
declare
    told  text;
begin
    begin
        perform iclock.move_device('A1', 'Delhi',
            timezone('UTC', now())::date + interval '1.5 s');
        if counted then
            perform iclock.tally_punches('0');
            update iclock.punch set txid = 0;
            update iclock.punch_tally set tallied_at = clock_timestamp();
        end if;
        told := concat_ws(' ', pg_temp.sum('pune', 'punches', 'today'),
                          pg_temp.sum('delhi', 'punches', 'today'),
                          pg_temp.sum('all', 'punches', 'today'));
        told := concat_ws(', ', told, pg_temp.rates('pune'),
                          pg_temp.rates('delhi'), pg_temp.rates('gate'),
                          pg_temp.rates('all'));
        raise exception 'undone';
    exception when raise_exception then
        return told;
    end;
end
$$;

-- before they are counted, and then
select pg_temp.count_from_here();
update iclock.punch_tally set tallied_at = clock_timestamp();
select is(pg_temp.sum(name, 'punches', 'today'), value, 'today: ' || name)
  from (values ('all', '5'), ('pune', '3'), ('one', '2'), ('test', '9'))
       as s (name, value);
select is(pg_temp.rates(name), value, 'rates: ' || name)
  from (values ('all', '2 4'), ('pune', '4'), ('one', '2'), ('test', '9'))
       as s (name, value);
select is(pg_temp.moved(c), '1 4 5, 2, 2 2, 2, 2 4',
          'today, at sites: Pune, Delhi, all, and rates; counted: ' || c)
  from unnest(array[false, true]) as c;
select ok(iclock.tally_punches('0'), 'they are counted');
update iclock.punch set txid = 0;
update iclock.punch_tally set tallied_at = clock_timestamp();
select is(pg_temp.sum(name, 'punches', 'today'), value, 'today: ' || name)
  from (values ('all', '5'), ('pune', '3'), ('one', '2'), ('test', '9'))
       as s (name, value);
select is(pg_temp.rates(name), value, 'rates: ' || name)
  from (values ('all', '2 4'), ('pune', '4'), ('one', '2'), ('test', '9'))
       as s (name, value);
select is(pg_temp.moved(), '1 4 5, 4, 2, 2, 2 4',
          'today, moved when all was counted');
select is(pg_temp.sum('all', 'punches', 'last_at'),
          pg_temp.moment('-7 min'), 'the last punch');
select is(pg_temp.row('B1') ->> 'last_punch_at', pg_temp.moment('-8 min'),
          'of a device');

insert into iclock.command (device_id, body, status, finished_at)
values (pg_temp.device('A1'), 'CHECK', 'queued', null),
       (pg_temp.device('A1'), 'LOG', 'sent', null),
       (pg_temp.device('B1'), 'LOG', 'failed', now()),
       (pg_temp.device('B1'), 'INFO', 'failed', now() - interval '2 days');
insert into iclock.rejected_line (device_id, line)
values (pg_temp.device('B1'), 'x');
insert into iclock.attendance_check (device_id, starts, ends, status,
    max_attempts, device_count, stored_count, finished_at)
values (pg_temp.device('B1'), '2026-01-01', '2026-01-02', 'differs', 3, 40, 9,
        now());
select is(pg_temp.sum(name, variadic path::text[]), value,
          format('%s for %s', path, name))
  from (values
    ('all', '{commands,queued}', '1'), ('all', '{commands,sent}', '1'),
    ('all', '{commands,failed_24h}', '1'), ('pune', '{commands,queued}', '1'),
    ('pune', '{commands,failed_24h}', '0'), ('all', '{rejected_24h}', '1'),
    ('pune', '{rejected_24h}', '0'), ('all', '{missing_punches}', '31'),
    ('pune', '{missing_punches}', '0')) as s (name, path, value);
select is(pg_temp.row('A1') ->> 'waiting_commands', '1', 'one waits');

-- webhooks that the key sees

select iclock.create_webhook('https://a.example/', sites => '{Pune}'),
       iclock.create_webhook('https://b.example/', sites => '{Delhi}'),
       iclock.create_webhook('https://c.example/', sites => '{Pune,Delhi}'),
       iclock.create_webhook('https://d.example/', devices => '{A2}'),
       iclock.create_webhook('https://e.example/');
select is(pg_temp.sum(name, 'server', 'webhooks', 'active'), value,
          'webhooks of ' || name)
  from (values ('all', '5'), ('pune', '1'), ('delhi', '1'), ('one', '1'),
               ('test', '0')) as s (name, value);

select * from finish();
rollback;
