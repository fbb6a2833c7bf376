-- Registration, approval and the notifications about devices.

begin;
create extension if not exists pgtap;
set local search_path = public, pg_catalog;

select * from no_plan();

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

-- what notifies is seen in the triggers: their conditions

select ok(
    (select bool_and(pg_get_triggerdef(t.oid) like '%old.' || c || ' IS DISTINCT%')
       from pg_trigger t
      where t.tgname = 'device_notify_update'),
    'a change of ' || c || ' notifies')
  from unnest(array['status', 'comm_key', 'allowed_networks', 'timezone',
                    'encoding', 'dialect', 'serial_number', 'delay',
                    'error_delay', 'trans_times', 'trans_interval',
                    'trans_flag', 'realtime', 'send_timezone', 'bare_stamps',
                    'push_options', 'multi_bio_data', 'multi_bio_photo',
                    'max_push_version', 'command_limit']) as c;
select ok(
    (select bool_and(pg_get_triggerdef(t.oid) not like '%old.' || c || ' %')
       from pg_trigger t
      where t.tgname = 'device_notify_update'),
    'a change of ' || c || ' does not notify')
  from unnest(array['last_seen', 'ip_address', 'push_version', 'firmware',
                    'language', 'user_count', 'punch_count']) as c;

update iclock.device set updated_at = '2000-01-01' where serial_number = 'T0004';
update iclock.device set last_seen = now(), user_count = 7
 where serial_number = 'T0004';
select is((select updated_at from iclock.device where serial_number = 'T0004'),
          timestamptz '2000-01-01', 'presence is no change of configuration');
update iclock.device set site = 'Hall 2' where serial_number = 'T0004';
select is((select updated_at from iclock.device where serial_number = 'T0004'),
          now(), 'the site is');

select * from finish();
rollback;
