-- What metrics are told of the database, and of commands by the transaction that
-- takes and answers them.

\ir ../fixtures/pgtap.psql

delete from iclock.device;

create function pg_temp.told(name text, label text default '')
    returns double precision
    language sql as $$
    select s.value from iclock.statistics() s
     where s.name = $1 and s.label = $2
$$;

-- all that there may be, as nothing or zero

select set_eq(
    'select distinct name from iclock.statistics()',
    array['schema_version', 'partitions_ahead', 'default_partition_rows',
          'maintenance_last_success_timestamp_seconds', 'devices',
          'devices_online', 'devices_with_condition',
          'reconciliation_missing_punches', 'reconciliation_devices',
          'commands', 'command_oldest_waiting_seconds',
          'event_horizon_age_seconds', 'webhook_endpoints',
          'webhook_lag_max_seconds', 'webhook_dead_events'],
    'names of values');
select set_eq(
    $$ select s.label from iclock.statistics() s
        where s.name = 'devices_with_condition' $$,
    'select c.name from iclock.condition c', 'all conditions');
select is((select count(*) from iclock.statistics() s
            where s.name in ('devices', 'devices_online',
                             'devices_with_condition', 'commands',
                             'reconciliation_devices',
                             'reconciliation_missing_punches')
              and s.value is distinct from 0), 0::bigint,
          'without a device all is zero');
select is(pg_temp.told('schema_version')::integer,
          (select max(version) from iclock.schema_version), 'the schema');

update iclock.job set last_run_at = '-infinity' where name = 'maintain';
select lives_ok('select iclock.maintain()', 'maintain');
select ok(pg_temp.told('maintenance_last_success_timestamp_seconds')
          = extract(epoch from now())::float8, 'is noted');
select cmp_ok(pg_temp.told('partitions_ahead'), '>=', 2::float8,
              'it makes partitions');

-- devices

insert into iclock.device (serial_number, status, last_seen, muted_until,
                           sandbox)
values ('S-ONLINE', 'active', now(), null, false),
       ('S-SILENT', 'active', now() - interval '1 hour', null, false),
       ('S-MUTED', 'active', now() - interval '1 hour',
        now() + interval '1 day', false),
       ('S-NEW', 'pending', now(), null, false),
       ('S-BLOCKED', 'blocked', now(), null, false),
       ('S-TEST', 'active', now(), null, true);

select is(pg_temp.told('devices', s.status), s.n, s.status)
  from (values ('active', 3::float8), ('pending', 1), ('blocked', 1))
       as s (status, n);
select is(pg_temp.told('devices_online'), 1::float8, 'online');
select is(pg_temp.told('devices_with_condition', 'silent'), 1::float8,
          'silent, without those that are muted');
select is(pg_temp.told('devices_with_condition', 'new'), 1::float8, 'new');
select is(pg_temp.told('devices_with_condition', 'blocked'), 1::float8,
          'blocked');

-- commands

select iclock.queue_command('S-ONLINE', 'CHECK'),
       iclock.queue_command('S-SILENT', 'CHECK'),
       iclock.queue_command('S-ONLINE', 'INFO');

update iclock.command
   set created_at = now() - interval '5 minutes'
 where device_id = pg_temp.device('S-ONLINE') and body = 'CHECK';
update iclock.command
   set created_at = now() - interval '2 hours'
 where device_id = pg_temp.device('S-SILENT');

select is(pg_temp.told('commands', 'queued'), 3::float8, 'queued');
select is(pg_temp.told('command_oldest_waiting_seconds'), 300::float8,
          'the oldest one whose device is online');

insert into iclock.device (serial_number, status, last_seen, muted_until)
values ('S-REPAIR', 'active', now(), now() + interval '1 day'),
       ('S-UPLOADS', 'active', now(), null);
select iclock.queue_command('S-REPAIR', 'CHECK'),
       iclock.queue_command('S-UPLOADS', 'CHECK');
update iclock.command
   set created_at = now() - interval '1 hour'
 where device_id = pg_temp.device('S-REPAIR');
select is(pg_temp.told('command_oldest_waiting_seconds'), 300::float8,
          'without those that are muted');
update iclock.command
   set created_at = now() - interval '1 hour',
       expires_at = now() - interval '1 minute'
 where device_id = pg_temp.device('S-UPLOADS');
select is(pg_temp.told('command_oldest_waiting_seconds'), 300::float8,
          'nor those that nobody gets any more');
update iclock.command
   set expires_at = null, not_before = now() - interval '1 minute'
 where device_id = pg_temp.device('S-UPLOADS');
select is(pg_temp.told('command_oldest_waiting_seconds'), 300::float8,
          'what was put off waits from then on');
delete from iclock.device where serial_number in ('S-REPAIR', 'S-UPLOADS');

select is((select count(*) from iclock.dequeue_commands(
               array[pg_temp.device('S-ONLINE')], '{10}', '{10000}', '{600}',
               '{3}')), 2::bigint, 'two are given');
select is(pg_temp.told('commands', 'sent'), 2::float8, 'sent');
select bag_eq(
    $$ select c.result, c.seconds from iclock.counted_commands(
           array[pg_temp.device('S-ONLINE')]) c $$,
    $$ values ('given', 300::float8), ('given', 0) $$,
    'how long they have waited');
select is_empty(
    $$ select * from iclock.counted_commands(
           array[pg_temp.device('S-SILENT')]) $$,
    'nothing was given to others');

update iclock.command
   set sent_at = now() - interval '7 seconds'
 where device_id = pg_temp.device('S-ONLINE');
select iclock.answer_commands(array_agg(c.device_id), array_agg(c.id),
                              array_agg(case c.body when 'INFO' then -1
                                        else 0 end),
                              array_agg(null::bytea))
  from iclock.command c
 where c.device_id = pg_temp.device('S-ONLINE');
select bag_eq(
    $$ select c.result, c.seconds from iclock.counted_commands('{}') c $$,
    $$ values ('done', 7::float8), ('failed', 7) $$,
    'how long their answers took');

update iclock.command
   set finished_at = now() - interval '1 second'
 where finished_at is not null;
update iclock.command
   set status = 'cancelled', finished_at = now(),
       reason = 'superseded by command 7'
 where device_id = pg_temp.device('S-SILENT');
select bag_eq(
    $$ select c.result, c.seconds from iclock.counted_commands('{}') c $$,
    $$ values ('superseded', null::float8) $$, 'superseded');
update iclock.command
   set reason = null
 where device_id = pg_temp.device('S-SILENT');
select bag_eq(
    $$ select c.result from iclock.counted_commands('{}') c $$,
    $$ values ('cancelled') $$, 'or cancelled');

-- checks of punches

insert into iclock.attendance_check (device_id, starts, ends, status,
                                     max_attempts, device_count, stored_count,
                                     finished_at)
values (pg_temp.device('S-ONLINE'), '2026-11-01', '2026-11-02', 'differs', 3,
        40, 9, now());
select is(pg_temp.told('reconciliation_devices', 'differs'), 1::float8,
          'a device whose check differs');
select is(pg_temp.told('reconciliation_missing_punches'), 31::float8,
          'punches that are missing');

-- webhooks

select is(pg_temp.told('webhook_endpoints', 'active'), 0::float8,
          'no webhook');
select is(pg_temp.told('webhook_lag_max_seconds'), 0::float8,
          'which is late');

select is(pg_temp.as_role('iclock_module', 'select iclock.statistics()'), 'ok',
          'nginx may ask');
select is(pg_temp.as_role('iclock_reader', 'select iclock.statistics()'),
          '42501', 'nobody else');

select * from finish();
rollback;
