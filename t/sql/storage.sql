-- What is kept and for how long; punches in the order of their transactions,
-- and many of them at once.
-- Here is what one session does; t/storage.t has transactions beside it.

\ir ../fixtures/pgtap.psql

select is_empty(
    $$ select c.relname from pg_class c
        where c.relnamespace = 'iclock'::regnamespace and c.relkind in ('r', 'p')
          and not exists (select from pg_constraint p
                           where p.conrelid = c.oid and p.contype = 'p') $$,
    'every table has a primary key');
select is_empty(
    $$ select c.relname from pg_index i join pg_class c on c.oid = i.indexrelid
        where c.relnamespace = 'iclock'::regnamespace and not i.indisvalid $$,
    'every index is valid');
select is_empty(
    $$ select c.relname
         from pg_index i
         join pg_class c on c.oid = i.indexrelid
         join pg_am a on a.oid = c.relam
        where c.relnamespace = 'iclock'::regnamespace and a.amname = 'brin'
          and 'autosummarize=on' <> all (c.reloptions) $$,
    'every BRIN is summarized by autovacuum');
select ok((select count(*) > 0 from pg_stats
            where schemaname = 'iclock' and tablename = 'punch')
          or not exists (select from iclock.punch), 'statistics of punch');

insert into iclock.device (serial_number, status, site, timezone)
values ('S0001', 'active', 'Pune', 'UTC'),
       ('S0002', 'active', 'Mumbai', 'UTC');

create function pg_temp.device() returns bigint language sql as
    $$ select id from iclock.device where serial_number = 'S0001' $$;

-- deletes with a publication

create publication everything for all tables;
insert into iclock.operation (device_id, local_time, code)
values (pg_temp.device(), '2026-01-01', 4);
select lives_ok($$ delete from iclock.operation $$,
                'a publication of all tables is no hindrance to deletes');
drop publication everything;

-- bodies of commands

select iclock.put_user('S0001', '7', name => 'Asha', password => 'geheim1');
select iclock.put_template('S0001', '7', 1, '\x6765'::bytea);
select iclock.set_option('S0001', 'CommKey', 'geheim2');
select iclock.reboot('S0001');
select iclock.query_attendance('S0001', '2026-01-01', '2026-01-02');
insert into iclock.command (device_id, body)
values (pg_temp.device(), 'SHELL echo geheim3'),
       (pg_temp.device(), 'DATA UPDATE USERINFO PIN=8' || E'\t' || 'Passwd=geheim4'),
       (pg_temp.device(), 'DATA  UPDATE USERINFO PIN=5' || E'\t' || 'Passwd=geheim5'),
       (pg_temp.device(), 'DATA UPDATE USERINFO PIN=9' || E'\t' || 'Passwd=wartet');
update iclock.command
   set status = 'done', return_code = 0, attempts = 1, finished_at = now() - interval '2 days'
 where body not like '%PIN=8%' and body not like '%PIN=9%';
update iclock.command
   set status = 'failed', attempts = 3, finished_at = now() - interval '2 days'
 where body like '%PIN=8%';
create temp table shown as select * from iclock.command_status;
create temp table was as select id, body from iclock.command;
select iclock.maintain();

select set_eq('select * from iclock.command_status', 'select * from shown',
              'command_status shows what it showed');
select is_empty(
    $$ select body from iclock.command
        where cleared_at is not null and body ~ 'geheim|TMP=|Name=|=Z2U' $$,
    'no secret is left');
select is((select count(*)::int from iclock.command where cleared_at is not null),
          5, 'in those that may hold some');
select is((select body from iclock.command where body like '%PIN=5%'),
          'DATA  UPDATE USERINFO PIN=5', 'however many spaces they have');
select is((select count(*)::int from iclock.command c join was w using (id, body)),
          4, 'others are as they were');
select is((select body from iclock.command where body like '%PIN=8%'),
          'DATA UPDATE USERINFO PIN=8' || E'\t' || 'Passwd=geheim4',
          'a command that was never answered may still be');
update iclock.retention set age = '1 day' where kind = 'unanswered_body';
select iclock.maintain();
select is((select body from iclock.command where body like '%PIN=8%'),
          'DATA UPDATE USERINFO PIN=8', 'not for ever');
select is((select count(*)::int from iclock.command where body like '%wartet'),
          1, 'one that waits is kept');
update iclock.retention set age = null where kind = 'command_body';
insert into iclock.command (device_id, body, status, finished_at)
values (pg_temp.device(), 'SET OPTION A=1', 'done', now());
select is(iclock.clear_bodies('command_body', false), false, 'NULL: kept');

-- many of them, in steps

update iclock.retention set age = '1 day' where kind = 'command_body';
insert into iclock.command (device_id, body, status, finished_at)
select pg_temp.device(), 'SET OPTION A=secret', 'done',
       now() - interval '30 hours' + n * interval '1 second'
  from generate_series(1, 2500) as n;
select is(iclock.maintain(), 0, '2,500 commands: not all at once');
select iclock.maintain(), iclock.maintain();
select is((select count(*)::int from iclock.command where body like '%secret'),
          0, 'but all of them');

-- many that have ended at once

insert into iclock.command (device_id, body, status, finished_at)
select pg_temp.device(), 'SET OPTION A=secret', 'done', now() - interval '25 hours'
  from generate_series(1, 2500) as n;
select iclock.maintain();
select is((select count(*)::int from iclock.command where body like '%secret'),
          500, 'those of one transaction are not cleared all at once either');
select iclock.maintain();
select is((select count(*)::int from iclock.command where body like '%secret'),
          0, 'but all of them are');
delete from iclock.command where body = 'SET OPTION A';

-- ages

update iclock.retention set age = '10 days';
insert into iclock.photo (device_id, kind, file_name, content, received_at)
select pg_temp.device(), k, 'x', '', now() - interval '20 days'
  from unnest(array['attendance', 'user', 'comparison']) as k;
insert into iclock.photo (device_id, kind, file_name, content)
values (pg_temp.device(), 'attendance', 'new', '');
insert into iclock.operation (device_id, local_time, code, received_at)
select pg_temp.device(), '2026-01-01', n, now() - interval '8 days'
                                          - n * interval '1 day'
  from generate_series(1, 4) as n;
insert into iclock.rejected_line (device_id, line, received_at)
select pg_temp.device(), n::text::bytea, now() - interval '20 days'
  from generate_series(1, 1500) as n;
insert into iclock.device_error (device_id, received_at)
values (pg_temp.device(), now() - interval '20 days');
update iclock.command set finished_at = now() - interval '20 days'
 where status = 'done';
select is(iclock.maintain(), 0, '1,500 rows: not all at once');
select iclock.maintain(), iclock.maintain(), iclock.maintain();
select bag_eq('select kind || file_name from iclock.photo',
              array['attendancenew', 'userx', 'comparisonx'],
              'photos of people never expire, attendance photos do');
select is((select count(*)::int from iclock.operation), 2, 'operations');
select is((select count(*)::int from iclock.rejected_line), 0, 'rejected lines');
select is((select count(*)::int from iclock.device_error), 0, 'errors');
select is((select count(*)::int from iclock.command where status = 'done'), 0,
          'finished commands');
select ok(exists (select from iclock.command where body like '%wartet'),
          'not those that wait');
select throws_ok($$ update iclock.retention set age = '1 minute' $$, '23514');

-- months that are dropped

create function pg_temp.punch(t timestamp) returns void language sql as $$
    insert into iclock.punch (device_id, local_time, pin)
    values (pg_temp.device(), t, '1') on conflict do nothing
$$;
create temp table m as
select date_trunc('month', localtimestamp) as now,
       date_trunc('month', localtimestamp) - interval '5 years' as t;
select pg_temp.punch(t + n * interval '1 month') from m, generate_series(0, 20) n;
select pg_temp.punch('1999-12-31 08:00');
-- each call moves as many months as it can in half a second
do $$
begin
    for attempt in 1 .. 40 loop
        exit when iclock.maintain() = 3600;
    end loop;
end
$$;
select is(iclock.drop_before((t + interval '14 months 5 days')::date), 0,
          'nobody uses one of fourteen months') from m;
select is((select count(*)::int from iclock.punch, m
            where local_time >= t and local_time < now), 7,
          'fourteen months are dropped');
select is(to_regclass('iclock.' || iclock.partition_name(t)), null,
          'the partitions are gone') from m;
select isnt(to_regclass('iclock.' || iclock.partition_name(
                t + interval '14 months')), null, 'the next one is there')
  from m;
select is((select count(*)::int from iclock.punch
            where local_time = '1999-12-31 08:00'), 1,
          'what came with a wrong clock, earlier than all of them, is kept');
select pg_temp.punch(t + n * interval '1 month' + interval '3 hours')
  from m, generate_series(0, 13) n;
select iclock.maintain();
select is((select count(*)::int from iclock.punch, m
            where local_time >= t and local_time < t + interval '14 months'),
          0, 'uploaded again they are not stored');
select is(to_regclass('iclock.' || iclock.partition_name(t)), null,
          'and get no partition') from m;
select is(iclock.drop_before('1950-01-01'), 0, 'nothing to drop');
select is((select dropped from iclock.punch_state),
          (select array[tsrange(t, t + interval '14 months')] from m),
          'what has been dropped stays so');

-- what comes later from before these months is not dropped with them

create function pg_temp.maintain() returns void language plpgsql as $$
begin
    for attempt in 1 .. 40 loop
        exit when iclock.maintain() = 3600;
    end loop;
end
$$;
select pg_temp.punch(t - n * interval '1 month') from m, generate_series(3, 5) n;
select is((select number::int from iclock.import_punches('S0001', jsonb_build_array(
              format(E'2\t%s', t - interval '4 months'),
              format(E'2\t%s', t + interval '4 months')))
            where outcome = 'stored'), 1, 'of two punches one is imported')
  from m;
select pg_temp.maintain(), pg_temp.maintain();
select is((select count(*)::int from iclock.punch, m
            where local_time < t and local_time > t - interval '1 year'), 4,
          'what came from before the dropped months is kept');
select isnt(to_regclass('iclock.' || iclock.partition_name(
                t - interval '4 months')), null, 'in partitions of its own')
  from m;

-- a partition that was detached to archive it and is attached again

create function pg_temp.archive(verb text, more text) returns void
    language plpgsql as $$
begin
    execute (select format('alter table iclock.punch %s partition iclock.%I',
                           verb, iclock.partition_name(t + interval '15 months'))
                    || format(more, t + interval '15 months',
                              t + interval '16 months') from m);
end
$$;
select pg_temp.archive('detach', '');
select is(iclock.drop_before((t + interval '17 months')::date), 0,
          'more months are dropped') from m;
select pg_temp.archive('attach', ' for values from (%L) to (%L)');
select pg_temp.maintain(), pg_temp.maintain();
select is((select count(*)::int from iclock.punch, m
            where local_time >= t - interval '1 year' and local_time < now), 5,
          'all is dropped but what was attached later');
select is((select dropping from iclock.punch_state), '{}', 'nothing is pending');

-- months that lie apart: those between them are not touched

select pg_temp.punch(t - n * interval '1 month')
  from m, unnest(array[20, 25]) as n;
select pg_temp.maintain();
select iclock.drop_before((t - interval '24 months')::date) from m;
select pg_temp.punch(t - n * interval '1 month')
  from m, unnest(array[19, 22, 25]) as n;
select pg_temp.maintain();
select is((select string_agg(to_char(age(t, date_trunc('month', local_time)),
                                     'YY-MM'), ' ' order by local_time)
             from iclock.punch, m
            where local_time < t and local_time > t - interval '3 years'),
          '01-10 01-08 01-07', 'the dropped month alone is refused');
select is((select count(*)::int from iclock.punch_state, unnest(dropped)), 2,
          'two ranges');
select iclock.drop_before(current_date);
select is((select dropped from iclock.punch_state),
          (select array[tsrange(t - interval '25 months',
                                t - interval '24 months'),
                        tsrange(t - interval '22 months', now)] from m),
          'those that meet are one');
select pg_temp.maintain();
select is(to_regclass('iclock.' || iclock.partition_name(
              now - interval '1 month')), null,
          'last month, too, gets no partition again') from m;
select throws_ok($$ select iclock.drop_before(null) $$, '22023');
select throws_ok($$ select iclock.drop_before(current_date + 1) $$, '22023');
select lives_ok('set local role iclock_operator');
select throws_ok($$ select iclock.drop_before('1950-01-01') $$, '42501');
reset role;

-- punches_since

delete from iclock.punch;
update iclock.punch_state set dropped = '{}';
insert into iclock.punch (device_id, local_time, pin, txid)
select d.id, '2026-01-01'::timestamp + n * interval '1 hour', n::text || E'\t"\\ü', 0
  from iclock.device d, generate_series(1, 10) as n
 where d.serial_number like 'S000%';
insert into iclock.punch (device_id, local_time, pin, txid)
values (pg_temp.device(), 'infinity', 'i', 0),
       (pg_temp.device(), '-infinity', 'i', 0),
       (pg_temp.device(), '0044-03-15 BC', 'i', 0);
insert into iclock.punch (device_id, local_time, pin, txid)
select pg_temp.device(), '2026-02-01'::timestamp - n * interval '1 hour', 'n', 1 + n / 3
  from generate_series(1, 20) as n;
select pg_temp.punch('2026-03-01');

create temp table seen (cursor text, device_id bigint, local_time timestamp,
                        pin text, status integer, verify integer, page integer);
create function pg_temp.read(n integer) returns integer language plpgsql as $$
declare
    place  text;
    page   integer := 0;
begin
    truncate seen;
    loop
        insert into seen (cursor, device_id, local_time, pin, status, verify, page)
        select s.cursor, s.device_id, s.local_time, s.pin, s.status, s.verify, page
          from iclock.punches_since(place, n) as s;
        exit when not found;
        place := (select s.cursor from iclock.punches_since(place, n)
                         with ordinality as s order by ordinality desc limit 1);
        page := page + 1;
        exit when page > 100;
    end loop;
    return page;
end
$$;

select unnest(array[
       is(pg_temp.read(n), ceil(43.0 / n)::integer, 'pages of ' || n),
       bag_eq('select device_id, local_time, pin from seen',
              'select device_id, local_time, pin from iclock.punch '
              'where pin <> ''1''',
              'each once, but for that of the transaction that runs')])
  from unnest(array[1, 3, 7, 43, 100]) as n;
select is((select count(*)::int from iclock.punches_since()), 43,
          'from the beginning');
select throws_ok(format('select * from iclock.punches_since(%L)', c), '22023')
  from unnest(array['', 'x', '00', 'ff', '3909',
                    encode('\x39393939393939393939393939393939', 'hex'),
                    encode(convert_to(E'99999999999999\t1\t2026-01-01\t1\t1\tx',
                                      'UTF8'), 'hex'),
                    encode(convert_to(E'1\t1\tnever\t1\t1\tx', 'UTF8'),
                           'hex')]) as c;
select throws_ok($$ select * from iclock.punches_since(null, 0) $$, '22023');
select throws_ok($$ select * from iclock.punches_since(null, null) $$, '22023');

-- the sites of a role
create role pune_reader in role iclock_reader;
insert into iclock.role_site values ('pune_reader', 'Pune');
grant usage on schema public to pune_reader;
set local role pune_reader;
select is((select count(*)::int from iclock.punches_since()), 33,
          'a role that is limited to a site sees its punches');
reset role;
delete from iclock.role_site;

-- a dump of another cluster

create function pg_temp.scans() returns bigint language sql as $$
    select sum(s.seq_scan)::bigint
      from pg_stat_xact_all_tables s
      join pg_inherits i on i.inhrelid = s.relid
     where i.inhparent = 'iclock.punch'::regclass
$$;
select pg_temp.scans() as scans \gset
select is(iclock.rebase_punches(), false, 'nothing to do');
select is(pg_temp.scans(), :scans::bigint, 'to know that takes no scan of all punches');
update iclock.punch set txid = 5000000000 where local_time = '2026-01-01 03:00';
select pg_temp.scans() as scans \gset
select is(iclock.rebase_punches(), true, 'transactions have higher numbers');
select is(pg_temp.scans(), :scans::bigint, 'which takes none either');
select txid_base from iclock.punch_state \gset
select cmp_ok(:txid_base, '>', 5000000000, 'they are counted on');
select pg_temp.punch('2026-03-02');
select is((select txid - txid_current() from iclock.punch
            where local_time = '2026-03-02'), :txid_base, 'for new punches');
select is((select count(*)::int from iclock.punches_since()), 44,
          'the old ones are settled, all of them');
select is(iclock.rebase_punches(), false, 'once');

-- many at once

create function pg_temp.store(device bigint, variadic pins text[])
    returns bigint
    language sql as $$
    select iclock.store_punches(
               array_fill($1, array[n]), array_fill('UTC'::text, array[n]), $2,
               array_fill(timestamp '2026-05-01', array[n]),
               array_fill(0, array[n]), array_fill(1, array[n]),
               null, null, null, null, null, null, null, null, null)
      from cardinality($2) as n
$$;

select is(pg_temp.store(pg_temp.device(), '1', '2', '3'), 3::bigint,
          'many at once');
select is(pg_temp.store(pg_temp.device(), '2', '3', '4', '5'), 2::bigint,
          'of which some are stored already');
select is(pg_temp.store(pg_temp.device(), '6', '7', '6'), 2::bigint,
          'of which one comes twice');
select is(pg_temp.store(pg_temp.device(), '7', '1'), 0::bigint,
          'which are stored already, all of them');
select throws_ok($$ select pg_temp.store(-1, '1', '2') $$, '23503', null,
                 'of a device that has been deleted');
select results_eq(
    $$ select pin, record_type, mask, work_code, extra from iclock.punch
        where local_time = '2026-05-01' order by pin $$,
    $$ select n::text, -1, -1, '', null::text[] from generate_series(1, 7) n $$,
    'each once');

select * from finish();
rollback;
