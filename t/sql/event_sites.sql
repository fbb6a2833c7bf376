-- Events of terminals that were moved stay with the site where they happened;
-- what is sent again is counted without those of others; simulated devices are
-- in no view.

\ir ../fixtures/pgtap.psql

create function pg_temp.seen(variadic sites text[]) returns text
    language sql as $$
    select string_agg(e.device || ' ' || coalesce(e.payload::json #>> '{user,id}', '')
                      || ' ' || coalesce(e.site, '-') || ' '
                      || coalesce(e.payload::json #>> '{device,site}', '-'), ', '
                      order by (e.payload::json ->> 'sequence')::bigint)
      from iclock.read_events('0', sites => sites, look_ahead => true) as e
$$;
create function pg_temp.named(pin text) returns text language sql as $$
    select e.payload::json #>> '{user,name}'
      from iclock.read_events('0', look_ahead => true) as e
     where e.payload::json #>> '{user,id}' = pin
$$;

insert into iclock.device (serial_number, status, site, timezone)
values ('M-1', 'active', 'Pune', 'Asia/Kolkata'),
       ('M-2', 'active', 'Delhi', 'Asia/Kolkata'),
       ('M-3', 'active', null, 'Asia/Kolkata');
select iclock.enable_events() \gset ignored_
insert into iclock.punch (device_id, local_time, pin, status, verify)
select pg_temp.device(v.sn), v.at::timestamp, v.pin, 0, 1
  from (values ('M-1', '2026-02-28 23:59:59', '1'),
               ('M-1', '2026-03-01 00:00:00', '2'),
               ('M-2', '2026-02-28 10:00', '3'),
               ('M-3', '2026-01-01 10:00', '4'),
               ('M-3', '2026-04-01 10:00', '5')) as v (sn, at, pin);

select is(pg_temp.seen('Pune'), 'M-1 1 Pune Pune, M-1 2 Pune Pune',
          'all of a terminal that stays');
select iclock.move_device('M-1', 'Delhi', '2026-03-01');
select iclock.move_device('M-3', 'Delhi', '2026-03-01');
select is(pg_temp.seen('Pune'), 'M-1 1 Pune Pune',
          'what it recorded until it was moved');
select is(pg_temp.seen('Delhi'), 'M-1 2 Delhi Delhi, M-2 3 Delhi Delhi, '
          'M-3 5 Delhi Delhi', 'and since then');
select is(pg_temp.seen('Pune', 'Delhi'), 'M-1 1 Pune Pune, M-1 2 Delhi Delhi, '
          'M-2 3 Delhi Delhi, M-3 5 Delhi Delhi', 'of both');
select is((select string_agg(coalesce(e.site, '-'), ' '
                             order by (e.payload::json ->> 'sequence')::bigint)
             from iclock.read_events('0', look_ahead => true) as e),
          'Pune Delhi Delhi - Delhi',
          'who sees all sees where; none has no site');
select is((select count(*)::int
             from iclock.read_events('0', sites => '{Pune}',
                                     devices => '{M-2}', look_ahead => true)),
          0, 'of another device none');

-- people of its place

insert into iclock.device_user (device_id, pin, name)
values (pg_temp.device('M-1'), '1', 'One of Delhi'),
       (pg_temp.device('M-1'), '2', 'Two of Delhi');
select is(pg_temp.named('1'), null, 'whom it knows now are others');
select is(pg_temp.named('2'), 'Two of Delhi', 'where it stands it knows them');
insert into iclock.person (site, pin, name)
values ('Pune', '1', 'One of Pune'), ('Delhi', '1', 'One of Delhi');
select is(pg_temp.named('1'), 'One of Pune', 'people of the site are known');

-- what is no punch has happened when it was stored

delete from iclock.event;
select iclock.event_write('user.updated', pg_temp.device('M-1'),
                          '{"id":"9"}') \gset ignored_
select is(pg_temp.seen('Pune'), null, 'a change of today is not of the old');
select is(pg_temp.seen('Delhi'), 'M-1 9 Delhi Delhi', 'but of the new site');

-- a webhook of the old site, and a key of it

select id as pune from iclock.create_webhook('https://a.example/',
    sites => '{Pune}') \gset
select is(iclock.webhook_wants(:'pune', e.types, e.sites, e.devices, e.mode,
                               1::smallint, 'attendance.punch', p.site,
                               p.device, p.sandbox, p.payload), p.site = 'Pune',
          'a webhook gets those of ' || p.site)
  from iclock.webhook_endpoint e,
       iclock.event_payloads(array(
           select row(n, '3', now(), pg_temp.device('M-1'),
                      timestamp '2026-02-28 23:59:58' + n * interval '1 second',
                      0, 1, 1, '1', null)::iclock.event
             from generate_series(1, 2) as n)) as p
 where e.id = :'pune';

-- sent again: those of others do not count

insert into iclock.event (type, device_id, local_time, pin, status, verify)
select 1, pg_temp.device('M-2'), timestamp '2026-05-01' + n * interval '1 second',
       '1', 0, 1
  from generate_series(1, 10001) as n;
insert into iclock.event (type, device_id, local_time, pin, status, verify)
select 1, pg_temp.device('M-1'), timestamp '2026-02-01' + n * interval '1 second',
       '1', 0, 1
  from generate_series(1, 3) as n;
select is(iclock.resend_webhook(:'pune', since => now() - interval '1 hour'), 3,
          'the few of a site among ten thousand of others');
select is((select count(*)::int from iclock.webhook_retry
            where endpoint_id = :'pune'), 3, 'and no others');
select id as delhi from iclock.create_webhook('https://a.example/',
    sites => '{Delhi}') \gset
select throws_ok(format($$ select iclock.resend_webhook(%L,
                               since => now() - interval '1 hour') $$, :'delhi'),
                 '22023', 'more than 10000 events: send them in parts',
                 'more of its own are too many');
select id as live from iclock.create_webhook('https://a.example/',
    types => '{webhook.disabled}') \gset
select count(iclock.event_write('webhook.disabled', null,
                                json_build_object('id', i)))
  from unnest(array[:'live', :'pune']) as i \gset ignored_
select is(iclock.resend_webhook(:'live', since => now() - interval '1 hour'), 1,
          'that one itself was given up it is not told');
select is(iclock.webhook_wants('wh_a', null, s, d, 'live', 17::smallint,
                               'webhook.disabled', null, null, null,
                               '{"webhook":{"id":"wh_b"}}'),
          s is null and d is null, 'another is told, if it wants all of it')
  from (values (null::text[], null::text[]), ('{Pune}', null),
               (null, '{M-1}')) as w (s, d);

-- braces that are none

select is(iclock.webhook_render(t, '{"user":{"id":"7"},"n":1}'), r, t::text)
  from (values
    ('{"a":"{{{user.id}}"}'::json, '{"a":"{7"}'),
    ('{"a":"{{{user.id}}}"}', '{"a":"{7}"}'),
    ('{"a":"{\"id\":{{user.id}}}"}', '{"a":"{\"id\":7}"}'),
    ('{"a":"{ {{n}} {{{n}} }"}', '{"a":"{ 1 {1 }"}'),
    (E'{"a":"x\\n{{{n}}\\ny"}', E'{"a":"x\\n{1\\ny"}'))
    as v (t, r);
select is(iclock.webhook_template_error('{"a":"{{{user.id}}"}'), null,
          'such a template may be stored');

-- simulated devices

insert into iclock.device (serial_number, status, site, sandbox, site_since)
values ('BOX', 'active', 'Pune', true, '2026-05-01');
insert into iclock.device_site (device_id, starts, ends, site)
values (pg_temp.device('BOX'), '-infinity', '2026-05-01', 'Goa');
insert into iclock.punch (device_id, local_time, pin, status, verify)
select pg_temp.device(d), at, '77', 0, 1
  from unnest(array['BOX', 'M-2']) as d,
       unnest(array[timestamp '2026-04-30 10:00', timestamp '2026-05-02 10:00',
                    timezone('Asia/Kolkata', now())]) as at;

select is((select string_agg(distinct a.serial_number, ' ')
             from iclock.attendance a where a.pin = '77'), 'M-2',
          'no punch of theirs is in attendance');
select is((select string_agg(distinct a.site, ' ')
             from iclock.daily_attendance a where a.pin = '77'), 'Delhi',
          'nor in the days');
select is((select string_agg(a.serial_number, ' ')
             from iclock.present_now a where a.pin = '77'), 'M-2',
          'nor is anybody there');
select is((select count(*)::int from iclock.device_status
            where serial_number = 'BOX'), 0, 'nor are they among the devices');

-- of this transaction nothing is settled yet
update iclock.punch set txid = 3;
select is((select string_agg(distinct p.serial_number, ' ')
             from iclock.punches_since() p where p.pin = '77'), 'M-2',
          'nor do other programs get them');
select is((select count(*)::int from iclock.punches_since(max_rows => 6) p), 6,
          'a page is as full as ever');
select is((select string_agg(p.pin, ' ')
             from iclock.punches_since((select p.cursor
                      from iclock.punches_since(max_rows => 6) p
                     offset 5), 100) p),
          (select string_agg(p.pin, ' ')
             from (select pin from iclock.punches_since(null, 100) offset 6) p),
          'and the next one goes on');
select is((select count(*)::int from iclock.punches_since(null, 100)),
          (select count(*)::int from iclock.punch) - 3, 'none else is missing');

select * from finish();
rollback;
