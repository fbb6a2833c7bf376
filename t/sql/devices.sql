-- Registration, approval and the notifications about devices.

\ir ../fixtures/pgtap.psql

-- the limit counts all pending devices, those of the database included
delete from iclock.device where status = 'pending';

select lives_ok(
    $$ select iclock.register_devices(
           '{T0001,T0002,T0003,T0004,T0001}',
           '{pending,pending,pending,active,active}', '{2,2,2,2,2}') $$,
    'five requests of four unknown devices');
select results_eq(
    $$ select serial_number, status from iclock.device
        where serial_number like 'T000_' order by 1 $$,
    $$ values ('T0001', 'pending'), ('T0002', 'pending'),
              ('T0004', 'active') $$,
    'two pending ones at most, the active one apart');
select ok(bool_and(first_seen = now() and last_seen = now()),
          'first seen now')
  from iclock.device where serial_number like 'T000_';

select iclock.register_devices('{T0001,T0003}', '{active,pending}', '{9,2}');
select is((select status from iclock.device where serial_number = 'T0001'),
          'pending', 'a known device is left as it is');
select is((select count(*)::int from iclock.device
            where serial_number = 'T0003'), 0, 'the limit holds across calls');

select iclock.register_devices('{T0003,T0005}', '{pending,pending}', '{3,3}');
select set_eq(
    $$ select serial_number from iclock.device where status = 'pending' $$,
    array['T0001', 'T0002', 'T0003'], 'limits are each row''s own');

select iclock.register_devices('{T0006}', '{pending}', '{0}');
select iclock.register_devices('{}', '{}', '{}');
select is((select count(*)::int from iclock.device where status = 'pending'),
          3, 'limit 0 records none, no requests none');

select throws_ok(
    $$ select iclock.register_devices(E'{"T\n1"}', '{active}', '{9}') $$,
    '23514', null, 'no line ends in serial numbers');

-- people

select lives_ok($$ select iclock.approve_device('T0001') $$, 'approve');
select is((select status from iclock.device where serial_number = 'T0001'),
          'active', 'approved');
select iclock.block_device('T0001');
select is((select status from iclock.device where serial_number = 'T0001'),
          'blocked', 'blocked');
select throws_ok(format('select iclock.%s(%L)', f, 'NOSUCH'), 'P0002',
                 'there is no device with serial number "NOSUCH"',
                 f || ' of an unknown device')
  from unnest(array['approve_device', 'block_device', 'reboot']) as f;
select throws_ok($$ select iclock.approve_device(null) $$, 'P0002',
                 'there is no device with serial number NULL');

-- registration and settings by operators

select isnt(iclock.register_device('T0010', name => 'Gate', site => 'Pune',
                timezone => 'Asia/Kolkata', comm_key => 'k',
                allowed_networks => '{10.0.0.0/8}', dialect => '3.2',
                encoding => 'GB18030'), null, 'register_device');
select results_eq(
    $$ select status, name, site, timezone, comm_key, allowed_networks::text,
              dialect, encoding, first_seen
         from iclock.device where serial_number = 'T0010' $$,
    $$ values ('active', 'Gate', 'Pune', 'Asia/Kolkata', 'k', '{10.0.0.0/8}',
               '3.2', 'GB18030', null::timestamptz) $$,
    'registered before it ever connected');
select is(iclock.register_device('T0010', name => 'Main gate'),
          (select id from iclock.device where serial_number = 'T0010'),
          'again: the same device');
select results_eq(
    $$ select name, site, dialect from iclock.device
        where serial_number = 'T0010' $$,
    $$ values ('Main gate', 'Pune', '3.2') $$, 'what is not given stays');
select iclock.register_device('T0011', status => 'pending');
select is((select status from iclock.device where serial_number = 'T0011'),
          'pending', 'or to be approved later');

select lives_ok($$ select iclock.set_device('T0010', delay => 5, error_delay => 60,
    trans_times => '00:00', trans_interval => 2, trans_flag => 'bits',
    realtime => false, send_timezone => false, bare_stamps => true,
    push_options => 'a', multi_bio_data => '0:1', multi_bio_photo => '0:1',
    max_push_version => '2.2.14', command_limit => 1, status => 'blocked') $$,
    'every setting');
select results_eq(
    $$ select delay, realtime, send_timezone, command_limit, status, name
         from iclock.device where serial_number = 'T0010' $$,
    $$ values (5, false, false, 1, 'blocked', 'Main gate') $$, 'is set');
select iclock.reset_device('T0010', 'delay', 'realtime', 'dialect', 'comm_key');
select results_eq(
    $$ select delay, realtime, dialect, comm_key, command_limit
         from iclock.device where serial_number = 'T0010' $$,
    $$ values (null::integer, null::boolean, '2.4', null::text, 1) $$,
    'and set back');

create function pg_temp.refused(statement text) returns text
    language plpgsql as $$
begin
    execute 'select iclock.' || statement;
    return 'accepted';
exception when others then
    return sqlstate || ' ' || sqlerrm;
end
$$;
select is(substring(pg_temp.refused(s) from '^(?:22023|22004) argument "(\w+)"'),
          a, s)
  from (values
    ($$set_device('T0010', timezone => 'IST')$$, 'timezone'),
    ($$set_device('T0010', status => 'asleep')$$, 'status'),
    ($$set_device('T0010', dialect => '2.3')$$, 'dialect'),
    ($$set_device('T0010', comm_key => E'a\tb')$$, 'comm_key'),
    ($$set_device('T0010', delay => 0)$$, 'delay'),
    ($$set_device('T0010', trans_flag => 'commas')$$, 'trans_flag'),
    ($$set_device('T0010', trans_flag => 'tabs AttLogs')$$, 'trans_flag'),
    ($$set_device('T0010', trans_flag => 'tabs  AttLog')$$, 'trans_flag'),
    ($$set_device('T0010', trans_flag => E'tabs\n')$$, 'trans_flag'),
    ($$set_device('T0010', trans_times => '25:99;x')$$, 'trans_times'),
    ($$set_device('T0010', trans_times => '24:00')$$, 'trans_times'),
    ($$set_device('T0010', trans_times => '6:00')$$, 'trans_times'),
    ($$set_device('T0010', trans_times => '06:00 18:00')$$, 'trans_times'),
    ($$set_device('T0010', trans_times => repeat('06:00;', 11))$$,
     'trans_times'),
    ($$set_device('T0010', max_push_version => 'x')$$, 'max_push_version'),
    ($$set_device('T0010', command_limit => 0)$$, 'command_limit'),
    ($$set_device('T0010', encoding => 'a b')$$, 'encoding'),
    ($$set_device('T0010', allowed_networks => array[null]::cidr[])$$,
     'allowed_networks'),
    ($$set_device('T0010', push_options => E'a\nb')$$, 'push_options'),
    ($$set_device('T0010', site => '')$$, 'site'),
    ($$set_device('T0010', name => E'a\nb')$$, 'name'),
    ($$reset_device('T0010', 'serial_number')$$, 'settings'),
    ($$reset_device('T0010', 'id; drop table iclock.punch')$$, 'settings'),
    ($$reset_device('T0010', null)$$, 'settings'),
    ($$register_device('')$$, 'serial_number'),
    ($$register_device(null)$$, 'serial_number'),
    ($$register_device(E'A\nB')$$, 'serial_number'),
    ($$register_device('T0012', timezone => 'x')$$, 'timezone'),
    ($$set_site('')$$, 'name')) as r (s, a);
select is((select count(*)::int from iclock.device
            where serial_number = 'T0012'), 0, 'refused: not registered either');
select lives_ok(format('select iclock.set_device(%L, %s => %L)', 'T0010', c, v),
                c || ' ' || v)
  from (values ('trans_flag', 'spaces attlog EnrollFACE ChgFace'),
               ('trans_flag', 'bits'), ('trans_flag', 'tabs WORKCODE BioPhoto'),
               ('trans_times', ''), ('trans_times', '00:00;'),
               ('trans_times', '23:59;00:00;06:30')) as s (c, v);
select throws_ok($$ select iclock.set_device('NOSUCH', name => 'x') $$, 'P0002',
                 'there is no device with serial number "NOSUCH"');

-- the dialect: what a device makes certain, unless an operator says otherwise

create function pg_temp.recognized(serial_number text, dialect text)
    returns text language sql as $$
    update iclock.device d set recognized_dialect = $2
     where d.serial_number = $1 returning d.dialect
$$;
select iclock.register_device('T0020');
select is(pg_temp.recognized('T0020', '3.2'), '3.2', 'recognized');
select is(pg_temp.recognized('T0020', '2.4'), '2.4', 'new firmware');
select is(pg_temp.recognized('T0020', '3.2'), '3.2', 'and back');
select iclock.set_device('T0020', name => 'x');
select is(pg_temp.recognized('T0020', '2.4'), '2.4',
          'another setting chooses nothing');
select iclock.set_device('T0020', dialect => '2.4');
select is(pg_temp.recognized('T0020', '3.2'), '2.4', 'an operator has chosen');
select iclock.reset_device('T0020', 'dialect');
select is((select dialect from iclock.device where serial_number = 'T0020'),
          '3.2', 'and takes it back');
update iclock.device set dialect = '2.4' where serial_number = 'T0020';
update iclock.device set recognized_dialect = '3.2', name = 'y'
 where serial_number = 'T0020';
select is((select dialect from iclock.device where serial_number = 'T0020'),
          '2.4', 'chosen in the table');
select iclock.register_device('T0021', dialect => '2.4');
select is(pg_temp.recognized('T0021', '3.2'), '2.4', 'chosen when registered');
insert into iclock.device (serial_number, dialect) values ('T0022', '3.2');
select is(pg_temp.recognized('T0022', '2.4'), '3.2', 'or inserted');

-- time zones: devices ask again when the offset is another one

create function pg_temp.told(serial_number text, minutes integer)
    returns void language sql as $$
    update iclock.device d set told_offset = $2 where d.serial_number = $1
$$;
create function pg_temp.checks(serial_number text) returns bigint
    language sql as $$
    select count(*) from iclock.command c
      join iclock.device d on d.id = c.device_id
     where d.serial_number = $1 and c.body = 'CHECK'
$$;
update iclock.device set told_offset = null;
select iclock.register_device('Z0001', timezone => 'Asia/Kolkata');
select iclock.register_device('Z0002');
select iclock.register_device('Z0003', timezone => 'Asia/Kolkata',
                              dialect => '3.2');
select iclock.register_device('Z0004', timezone => 'Asia/Kolkata');
select iclock.register_device('Z0005', timezone => 'Asia/Kolkata',
                              status => 'blocked');
update iclock.device set default_timezone = 'Asia/Kathmandu'
 where serial_number like 'Z000_';
select results_eq(
    $$ select serial_number, iclock.zone_of(d) from iclock.device d
        where serial_number in ('Z0001', 'Z0002', 'T0004') order by 1 $$,
    $$ values ('T0004', 'UTC'), ('Z0001', 'Asia/Kolkata'),
              ('Z0002', 'Asia/Kathmandu') $$, 'zones of clocks');

select is(iclock.refresh_timezones(), 0, 'no handshake has sent an offset');
select pg_temp.told('Z0001', 330), pg_temp.told('Z0002', 345);
select is(iclock.refresh_timezones(), 0, 'all offsets are still right');
select pg_temp.told(s, 60)
  from unnest(array['Z0001', 'Z0002', 'Z0003', 'Z0004', 'Z0005']) as s;
select iclock.set_device('Z0004', send_timezone => false);
select is(iclock.refresh_timezones(), 4, 'the offset has changed');
select is(iclock.refresh_timezones(), 0, 'once');
select results_eq(
    $$ select s, pg_temp.checks(s) from unnest(array['Z0001', 'Z0002', 'Z0003',
                                            'Z0004', 'Z0005']) as s $$,
    $$ values ('Z0001', 1::bigint), ('Z0002', 1), ('Z0003', 0), ('Z0004', 0),
              ('Z0005', 0) $$,
    'active devices that get their zone at handshakes only');
select results_eq(
    $$ select serial_number, told_offset from iclock.device
        where serial_number like 'Z000_' order by 1 $$,
    $$ values ('Z0001', 330), ('Z0002', 345), ('Z0003', 330), ('Z0004', 330),
              ('Z0005', 60) $$, 'the offsets now');
select pg_temp.told('Z0001', 60), pg_temp.told('Z0002', 345);
select is(iclock.refresh_timezones(), 1, 'again');
select is(pg_temp.checks('Z0001'), 1::bigint, 'one that waits is enough');
update iclock.command set status = 'done' where body = 'CHECK';
select iclock.set_device('Z0001', timezone => 'Asia/Tokyo');
select is(iclock.refresh_timezones(), 1, 'an operator changes the zone');
select is(pg_temp.checks('Z0001'), 2::bigint, 'that device asks, too');
select pg_temp.told(s, 60) from unnest(array['Z0001', 'Z0002', 'Z0003']) as s;
select is(iclock.refresh_timezones(2), 2, 'at most so many at a time');
select is(iclock.refresh_timezones(2), 1, 'then the rest');

-- offline, or blocked, while the clocks change

select is(pg_temp.checks('Z0002'), 2::bigint, 'asked again, it has not come yet');
select pg_temp.told('Z0002', 60);
select is(iclock.refresh_timezones(), 1, 'clocks change while it is offline');
select is(pg_temp.checks('Z0002'), 2::bigint, 'what waits for it is enough');
select ok((select bool_and(c.status = 'queued' and c.expires_at is null)
             from iclock.command c
             join iclock.device d on d.id = c.device_id
            where d.serial_number = 'Z0002' and c.body = 'CHECK'
              and c.status <> 'done'), 'and waits for as long as it takes');
select is((select told_offset from iclock.device
            where serial_number = 'Z0005'), 60, 'blocked all the time');
select iclock.approve_device('Z0005');
select is(iclock.refresh_timezones(), 1, 'approved: it asks');
select is(pg_temp.checks('Z0005'), 1::bigint, 'by a CHECK');

-- half an hour, and never

select iclock.set_device('Z0002', timezone => 'Australia/Lord_Howe');
select is(iclock.refresh_timezones(), 1, 'a zone that changes by half an hour');
select ok((select told_offset from iclock.device
            where serial_number = 'Z0002') in (630, 660), 'in minutes');
select iclock.set_device('Z0002', timezone => 'America/Phoenix');
select is(iclock.refresh_timezones(), 1, 'a zone that never changes');
select is((select told_offset from iclock.device
            where serial_number = 'Z0002'), -420, 'asks once');
select is(iclock.refresh_timezones(), 0, 'and not again');

select iclock.delete_device('T0010');
select is((select count(*)::int from iclock.device
            where serial_number = 'T0010'), 0, 'delete_device');

-- what an update of one column calls, whatever else the row has been given

create temp table notified (serial_number text);
create or replace function iclock.device_notify() returns trigger
    language plpgsql as $$
begin
    insert into pg_temp.notified values (old.serial_number);
    return null;
end
$$;
create function pg_temp.called(assignment text, before text default 'site = site')
    returns text language plpgsql as $$
begin
    execute format('update iclock.device set %s where serial_number = %L',
                   before, 'T0004');
    update iclock.device set updated_at = '2000-01-01'
     where serial_number = 'T0004';
    delete from pg_temp.notified;
    execute format('update iclock.device set %s where serial_number = %L',
                   assignment, 'T0004');

    -- as it was
    raise exception using message = (
        select concat_ws(', ', case d.updated_at when now() then 'updated' end,
                         (select min('notified') from pg_temp.notified))
          from iclock.device d
         where d.id = pg_temp.device('T0004')
            or d.serial_number = 'T0004 renamed');
exception when raise_exception then
    return sqlerrm;
end
$$;

create temp table calls as
select *
  from (values ('updated, notified', array[
                    'serial_number = ''T0004 renamed''', 'status = ''blocked''',
                    'comm_key = ''1''', 'allowed_networks = ''{10.0.0.0/8}''',
                    'timezone = ''Asia/Kolkata''', 'encoding = ''GBK''',
                    'dialect = ''3.2''', 'recognized_dialect = ''3.2''',
                    'delay = 7', 'error_delay = 7', 'trans_times = ''08:00''',
                    'trans_interval = 7', 'trans_flag = ''tabs AttLog''',
                    'realtime = false', 'send_timezone = false',
                    'bare_stamps = true', 'push_options = ''a''',
                    'multi_bio_data = ''0:1''', 'multi_bio_photo = ''0:1''',
                    'max_push_version = ''2.2''', 'command_limit = 7']),
               ('updated', array[
                    'name = ''Gate''', 'site = ''Hall 3''',
                    'location = ''Yard''', 'command_bytes = 512',
                    'note = ''a''', 'muted_until = now()']),
               ('notified', array['language = ''83''']),
               ('', array[
                    'updated_at = ''2000-01-01''', 'dialect_chosen = true',
                    'push_version = ''9''', 'firmware = ''9''',
                    'ip_address = ''10.9.9.9''',
                    'remote_address = ''10.9.9.9''', 'user_count = 9',
                    'fingerprint_count = 9', 'face_count = 9',
                    'punch_count = 9', 'fingerprint_version = ''9''',
                    'face_version = ''9''', 'multi_bio_version = ''9''',
                    'multi_bio_data_count = ''9''',
                    'multi_bio_photo_count = ''9''', 'first_seen = ''-infinity''',
                    'last_seen = ''infinity''', 'site_since = ''infinity''',
                    'default_timezone = ''Asia/Tokyo''', 'told_offset = 9',
                    'told_delay = 9', 'removed_at = now()',
                    'status_since = ''infinity''', 'status_by = ''a''',
                    'sandbox = true'])) as k (result, assignments)
 cross join unnest(k.assignments) as assignment;

select is(pg_temp.called(c.assignment), c.result, 'set ' || c.assignment)
  from calls c;
select set_eq(
    $$ select split_part(c.assignment, ' ', 1) from calls c $$,
    $$ select a.attname::text
         from pg_attribute a
        where a.attrelid = 'iclock.device'::regclass and a.attnum > 0
          and not a.attisdropped and a.attname <> 'id' $$,
    'these are all columns');

-- device_dialect() changes what the statement does not set
select is(pg_temp.called(assignment, before), result,
          'set ' || assignment || ' after ' || before)
  from (values ('dialect_chosen = false', 'dialect = ''3.2''',
                'updated, notified'),
               ('recognized_dialect = null', 'recognized_dialect = ''3.2''',
                'updated, notified'),
               ('recognized_dialect = ''2.4''', 'dialect = ''3.2''', ''),
               ('recognized_dialect = ''3.2''', 'recognized_dialect = ''3.2''',
                '')) as k (assignment, before, result);

-- PostgreSQL reads a WHEN for every statement whose columns concern the trigger,
-- and the body of a function in SQL that a constraint calls for all of them

create function pg_temp.concerned(columns text[]) returns setof name
    language sql as $$
    select t.tgname
      from pg_trigger t
     where t.tgrelid = 'iclock.device'::regclass and not t.tgisinternal
       -- TRIGGER_TYPE_UPDATE
       and t.tgtype & 16 <> 0
       and (cardinality(t.tgattr::smallint[]) = 0
            or exists (select
                         from pg_attribute a
                        where a.attrelid = t.tgrelid
                          and a.attnum = any (t.tgattr::smallint[])
                          and a.attname = any (columns)))
$$;
select is_empty(
    $$ select pg_temp.concerned('{firmware,user_count,punch_count,ip_address,
                                  first_seen,last_seen,remote_address}') $$,
    'options and presence concern no trigger');
select set_eq(
    $$ select pg_temp.concerned('{push_version,language,recognized_dialect,
                                  default_timezone,told_offset,told_delay,
                                  first_seen,last_seen}') $$,
    array['device_dialect', 'device_notify_told'], 'handshakes two');
select is_empty(
    $$ select distinct p.oid::regprocedure
         from pg_constraint c
         join pg_depend d on d.classid = 'pg_constraint'::regclass
                             and d.objid = c.oid
                             and d.refclassid = 'pg_proc'::regclass
         join pg_proc p on p.oid = d.refobjid
         join pg_language l on l.oid = p.prolang
        where c.conrelid = 'iclock.device'::regclass and l.lanname = 'sql' $$,
    'its constraints call no function in SQL');

update iclock.device set updated_at = '2000-01-01' where serial_number = 'T0004';
update iclock.device set last_seen = now(), user_count = 7
 where serial_number = 'T0004';
select is((select updated_at from iclock.device where serial_number = 'T0004'),
          timestamptz '2000-01-01', 'presence is no change of configuration');
update iclock.device set site = 'Hall 2' where serial_number = 'T0004';
select is((select updated_at from iclock.device where serial_number = 'T0004'),
          now(), 'the site is');

-- a clock was ahead for a while, and the terminal has not called since

update iclock.device
   set last_seen = now() + interval '1 day', first_seen = null
 where serial_number = 'T0004';
insert into iclock.device_presence (device_id, last_seen)
select d.id, case d.serial_number when 'T0004' then now() + interval '1 day'
                                  else now() - interval '1 day' end
  from iclock.device d
 where d.serial_number in ('T0001', 'T0004');
insert into iclock.device_refusal (device_id, reason, first_at, last_at)
select d.id, 'key', now() + interval '12 hours', now() + interval '12 hours'
  from iclock.device d
 where d.serial_number in ('T0001', 'T0004');
select iclock.maintain();
select results_eq(
    $$ select d.last_seen, d.first_seen, p.last_seen
         from iclock.device d
         join iclock.device_presence p on p.device_id = d.id
        where d.serial_number in ('T0001', 'T0004')
        order by d.serial_number $$,
    $$ values (now(), now(), now() - interval '1 day'),
              (now(), now(), now()) $$,
    'nobody has called in the future');
select results_eq(
    $$ select r.last_at <= now(), r.first_at <= now(),
              r.last_at < p.last_seen
         from iclock.device_refusal r
         join iclock.device_presence p on p.device_id = r.device_id
         join iclock.device d on d.id = r.device_id
        where d.serial_number in ('T0001', 'T0004')
        order by d.serial_number $$,
    $$ values (true, true, false), (true, true, true) $$,
    'nor was refused there, nor after it was served');

select * from finish();
rollback;
