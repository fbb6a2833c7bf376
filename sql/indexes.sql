-- Indexes over tables that grow are built here, one by one, without locking out
-- who writes: that cannot be done within a transaction.  What is there already
-- is passed over; what a broken attempt has left behind is built anew.

-- no failure here undoes what has been installed
\set ON_ERROR_STOP off

-- What is built waits for all transactions of before.  One of them may be
-- maintain(), which waits for a lock on the table, though never for so long: it
-- is the one to give up.
set lock_timeout = '10s';
select pg_temp.look_for_deadlocks_after('2s') \gset ignored_

select format('drop index concurrently iclock.%I', c.relname)
  from pg_index i
  join pg_class c on c.oid = i.indexrelid
 where c.relnamespace = 'iclock'::regnamespace
   and c.relkind = 'i'
   and not i.indisvalid
\gexec

-- Whoever deletes a device goes by command_subject_idx: so it has those without
-- a subject, too.  A plain index on device_id would do, but without ANALYZE the
-- queue would use it, and sort.
create temp table wanted_index (kind text, name text, definition text);
insert into wanted_index values
    ('', 'command_subject_idx',
     'command (device_id, subject, (- id))'),
    ('', 'command_queued_idx',
     'command (device_id, (- priority::bigint), id) where status = ''queued'''),
    ('', 'command_poll_idx',
     'command (device_id, poll, (- id)) '
     'where status = ''sent'' and poll is not null'),
    ('', 'command_open_idx',
     'command (device_id, subject, (- id)) '
     'where finished_at is null and subject is not null'),
    ('', 'command_deletion_idx',
     'command (device_id, subject, (0 - id)) '
     'where deletes and subject is not null'),
    ('', 'command_finished_idx',
     'command (finished_at) where finished_at is not null'),
    ('', 'command_failed_idx',
     'command (finished_at) where status = ''failed'''),
    ('', 'command_expired_idx',
     'command (finished_at) where status = ''expired'''),
    ('', 'command_created_idx',
     'command using brin (created_at) with (autosummarize = on)'),
    ('', 'rejected_line_device_idx',
     'rejected_line (device_id, id desc)'),
    ('', 'attendance_check_differs_idx',
     'attendance_check (device_id, id desc) where status = ''differs'''),
    -- a value may be as long as a terminal likes, a row of an index may not
    ('', 'device_option_room_idx',
     'device_option (device_id, value) '
     'where name = ''MaxAttLogCount'' and octet_length(value) <= 32'),
    ('', 'attendance_check_agreed_idx',
     'attendance_check (device_id, ends) '
     'where status in (''agreed'', ''surplus'', ''resent'')'),
    -- lists of keys that are limited to sites, and of test keys
    ('', 'device_site_serial_idx',
     'device (site, serial_number) where site is not null'),
    ('', 'device_sandbox_idx',
     'device (serial_number) where sandbox'),
    ('', 'photo_received_idx',
     'photo using brin (received_at) with (autosummarize = on)'),
    ('', 'operation_received_idx',
     'operation using brin (received_at) with (autosummarize = on)'),
    ('', 'rejected_line_received_idx',
     'rejected_line using brin (received_at) with (autosummarize = on)'),
    ('', 'device_error_received_idx',
     'device_error using brin (received_at) with (autosummarize = on)'),
    ('unique', 'operation_pkey',
     'operation (device_id, local_time, code, operator, object1, object2, '
     'object3, object4)');

select format('create %s index concurrently %I on iclock.%s', w.kind, w.name,
              w.definition)
  from wanted_index w
 where to_regclass('iclock.' || w.name) is null
\gexec

-- one that had values of any length
select 'drop index concurrently iclock.device_option_capacity_idx'
  from pg_index i
 where i.indexrelid = to_regclass('iclock.device_option_room_idx')
   and i.indisvalid
   and to_regclass('iclock.device_option_capacity_idx') is not null
\gexec

-- comparison photos of a user have the same file name and differ by their type
select 'create unique index concurrently photo_type_idx '
       'on iclock.photo (device_id, kind, file_name, type)'
  from pg_index i
 where i.indexrelid = 'iclock.photo_pkey'::regclass
   and i.indnkeyatts = 3
   and to_regclass('iclock.photo_type_idx') is null
\gexec

-- what migrations have not read the tables for; this locks nobody out either.
-- Constraints that the site has added are its own.
create temp view unread_constraint as
select u.conrelid::regclass as relation, u.conname as name
  from (values
      ('iclock.command', 'command_subject_check'),
      ('iclock.attendance_check', 'attendance_check_status_check'))
      as w (relation, name)
  join pg_constraint u on u.conrelid = w.relation::regclass
                      and u.conname = w.name
 where not u.convalidated;

select format('alter table %s validate constraint %I', u.relation, u.name)
  from pg_temp.unread_constraint u
\gexec

set lock_timeout = '500ms';
select pg_temp.look_for_deadlocks_after('100ms') \gset ignored_

-- primary keys take the place of the constraints that were there

-- that an index gets another name
set client_min_messages = warning;

select 'alter table iclock.photo drop constraint photo_pkey, '
       'add constraint photo_pkey primary key using index photo_type_idx'
 where to_regclass('iclock.photo_type_idx') is not null
\gexec

reset client_min_messages;

select format('alter table iclock.operation %sadd constraint operation_pkey '
              'primary key using index operation_pkey',
              (select string_agg(format('drop constraint %I, ', u.conname), '')
                 from pg_constraint u
                where u.conrelid = 'iclock.operation'::regclass
                  and u.contype = 'u'))
 where not exists (select from pg_constraint p
                    where p.conrelid = 'iclock.operation'::regclass
                      and p.contype = 'p')
\gexec

-- One BRIN of a few pages finds a span of any of the times, and what has been
-- stored since some transaction, at next to no cost for inserts.  It takes the
-- place of one without txid; each partition gets its own.

select 'create index punch_brin_idx on only iclock.punch '
       'using brin (received_at, local_time, punched_at, txid) '
       'with (pages_per_range = 32, autosummarize = on)'
 where to_regclass('iclock.punch_brin_idx') is null
\gexec

set lock_timeout = '10s';
select pg_temp.look_for_deadlocks_after('2s') \gset ignored_

select format('create index %s %I on %s '
              'using brin (received_at, local_time, punched_at, txid) '
              'with (pages_per_range = 32, autosummarize = on)',
              case when p.relkind = 'r' then 'concurrently' end,
              left(p.relname, 50) || '_brin_idx', p.oid::regclass)
  from pg_inherits h
  join pg_class p on p.oid = h.inhrelid
 where h.inhparent = 'iclock.punch'::regclass
   and not exists (select
                     from pg_index i
                     join pg_inherits a on a.inhrelid = i.indexrelid
                    where i.indrelid = p.oid
                      and a.inhparent = 'iclock.punch_brin_idx'::regclass)
   and not exists (select from pg_class c
                    where c.relnamespace = p.relnamespace
                      and c.relname = left(p.relname, 50) || '_brin_idx')
\gexec

set lock_timeout = '500ms';
select pg_temp.look_for_deadlocks_after('100ms') \gset ignored_

select format('alter index iclock.punch_brin_idx attach partition %s',
              c.oid::regclass)
  from pg_inherits h
  join pg_class p on p.oid = h.inhrelid
  join pg_class c on c.relnamespace = p.relnamespace
                 and c.relname = left(p.relname, 50) || '_brin_idx'
  join pg_index i on i.indexrelid = c.oid and i.indisvalid
 where h.inhparent = 'iclock.punch'::regclass
   and not c.relispartition
\gexec

select 'drop index iclock.punch_times_idx'
 where to_regclass('iclock.punch_times_idx') is not null
   and (select i.indisvalid from pg_index i
         where i.indexrelid = to_regclass('iclock.punch_brin_idx'))
\gexec

reset lock_timeout;

\set ON_ERROR_STOP on

do $$
begin
    if exists (select from pg_index i
                 join pg_class c on c.oid = i.indexrelid
                where c.relnamespace = 'iclock'::regnamespace
                  and not i.indisvalid)
       or exists (select from wanted_index w
                   where to_regclass('iclock.' || w.name) is null)
       or exists (select from pg_temp.unread_constraint)
       or to_regclass('iclock.punch_times_idx') is not null
       or to_regclass('iclock.device_option_capacity_idx') is not null
       or (select i.indnkeyatts from pg_index i
            where i.indexrelid = 'iclock.photo_pkey'::regclass) <> 4
       or not exists (select from pg_constraint p
                       where p.conrelid = 'iclock.operation'::regclass
                         and p.contype = 'p')
    then
        raise lock_not_available
            using message = 'the schema is installed, but not all indexes '
                            'could be built. In the way: '
                            || pg_temp.blockers(true),
                  hint = 'Wait for these sessions or end them, then run '
                         'install.sql again.';
    end if;
end
$$;

drop table wanted_index;
drop view pg_temp.unread_constraint;
