-- Partitions of punch: made in time, or when punches ask for them.
-- Here is what one session does; t/partitions.t has others that hold locks.

\ir ../fixtures/pgtap.psql

insert into iclock.device (serial_number, status) values ('T0001', 'active');

create function pg_temp.punch(local_time timestamp) returns void
    language sql as $$
    insert into iclock.punch (device_id, local_time, pin)
    select d.id, $1, '1' from iclock.device d where d.serial_number = 'T0001'
    on conflict do nothing
$$;
create function pg_temp.home(local_time timestamp) returns text
    language sql as $$
    select min(p.tableoid::regclass::text) from iclock.punch p
     where p.local_time = $1
       and p.device_id = (select id from iclock.device
                           where serial_number = 'T0001')
$$;
create function pg_temp.partition_of(local_time timestamp) returns text
    language sql as $$
    select 'iclock.punch_' || to_char($1, 'YYYY_MM')
$$;

select iclock.maintain();
select has_table('iclock', substr(pg_temp.partition_of(m), 8),
                 'a partition ' || n || ' months ahead')
  from generate_series(-1, 3) as n,
       lateral (select localtimestamp + n * interval '1 month') as t (m);

-- drop what a test of another day may have left
create temp table late as
select date_trunc('month', localtimestamp) - interval '7 years'
       + interval '14 days' as t;

select pg_temp.punch(localtimestamp(0));
select is(pg_temp.home(localtimestamp(0)),
          pg_temp.partition_of(localtimestamp(0)),
          'a punch of today lies in its month');

select pg_temp.punch(t) from late;
select pg_temp.punch(t + interval '1 second') from late;
select is(pg_temp.home(t), 'iclock.punch_default',
          'one of seven years ago in the default partition')
  from late;
select pg_temp.punch(timestamp '1999-12-31 23:59:59');
select pg_temp.punch(timestamp '2000-01-01 00:00:00');
select pg_temp.punch(localtimestamp(0) + interval '20 years');
select pg_temp.punch('infinity');
select pg_temp.punch('-infinity');

select lives_ok($$ select iclock.maintain() $$, 'maintain');
select is(pg_temp.home(t), pg_temp.partition_of(t),
          'moved into a partition of its own') from late;
select is((select count(*)::int from iclock.punch p
            where p.local_time between t and t + interval '1 day'), 2,
          'with the others of the month') from late;
select is(pg_temp.home(t), 'iclock.punch_default', 'left where it is: ' || t)
  from unnest(array['1999-12-31 23:59:59', '2000-01-01 00:00:00', 'infinity',
                    '-infinity']::timestamp[]) as t;
select is(pg_temp.home(localtimestamp(0) + interval '20 years'),
          'iclock.punch_default', 'left where it is: in twenty years');

select pg_temp.punch(t), pg_temp.punch(t + interval '1 hour') from late;
select is((select count(*)::int from iclock.punch p
            where p.local_time between t and t + interval '1 day'), 3,
          'uploaded again: only what is new is stored') from late;
select is((select count(*)::int from only iclock.punch_default
            where local_time between t and t + interval '1 day'), 0,
          'none of it in the default partition') from late;

select has_index('iclock', i.c, i.c || '_pkey', 'the partition has its key')
  from late, lateral (select substr(pg_temp.partition_of(t), 8)::name) as i (c);
select is(
    (select count(*)::int from pg_index x
       join pg_class i on i.oid = x.indexrelid
       join pg_am a on a.oid = i.relam
      where x.indrelid = pg_temp.partition_of(t)::regclass
        and a.amname = 'brin'), 1, 'and its BRIN') from late;
select is(
    (select count(*)::int from pg_index x
       join pg_inherits h on h.inhrelid = x.indexrelid
      where x.indrelid = pg_temp.partition_of(t)::regclass), 2,
    'both belong to the indexes of punch') from late;

create temp table before as
select count(*) from pg_inherits where inhparent = 'iclock.punch'::regclass;
select iclock.maintain();
select is((select count(*) from pg_inherits
            where inhparent = 'iclock.punch'::regclass),
          (select count from before), 'maintain again: nothing to do');

-- a table that somebody detached to archive it does not come back

create temp table archived as
select date_trunc('month', localtimestamp) - interval '8 years' as t;
select pg_temp.punch(t) from archived;
select iclock.maintain();
do $$
begin
    execute (select format('alter table iclock.punch detach partition %s',
                           pg_temp.partition_of(t)) from archived);
end
$$;
select pg_temp.punch(t) from archived;
select lives_ok($$ select iclock.maintain() $$, 'a detached partition');
select is(pg_temp.home(t), 'iclock.punch_default',
          'its month goes to the default partition') from archived;

-- a month of many punches moves in slices; its partition grows; it and the one
-- after it are not of the years of those below, whatever month it is now

create temp table big as
select date_trunc('year', localtimestamp) - interval '6 years' as t;
select pg_temp.punch(t + n * interval '1 hour') from big, generate_series(0, 99) n;
select pg_temp.punch(t + n * interval '1 hour')
  from (select t + interval '1 month' as t from big) as b, generate_series(0, 4) n;
update iclock.maintenance set step_rows = 40 where task = 'partitions';
select is(iclock.maintain(), 0, 'the first slice: more is left');
select is((select count(*)::int from only iclock.punch_default, big
            where local_time between t and t + interval '20 days'), 60,
          'some stay where they are');
select is((select count(*)::int from iclock.punch, big
            where local_time between t and t + interval '2 months'), 105,
          'all can be read');
select is((select p.ends from iclock.punch_partitions() p, big
            where p.starts = t), (select t + interval '39 hours 1 second'
                                    from big),
          'the partition ends with the slice');
update iclock.maintenance set step_rows = 40 where task = 'partitions';
select is(iclock.maintain(), 0, 'the second slice');
update iclock.maintenance set step_rows = 40 where task = 'partitions';
select is(iclock.maintain(), 3600, 'the rest of the month, and the next one');
select is((select p.ends from iclock.punch_partitions() p, big
            where p.starts = t), (select t + interval '1 month' from big),
          'the partition is that of a month');
select is((select count(*)::int from iclock.punch, big
            where local_time between t and t + interval '2 months'), 105,
          'all are there');
select is((select count(*)::int from only iclock.punch_default, big
            where local_time between t and t + interval '2 months'), 0,
          'none in the default partition');
select is((select step_rows from iclock.maintenance where task = 'partitions'),
          40, 'small steps that took no time are not shortened');

-- partitions that somebody made by hand, of any length, are left alone

delete from iclock.punch where local_time = '-infinity';
create temp table hand as
select date_trunc('year', localtimestamp) - interval '5 years' as t;
do $$
declare
    year  constant timestamp := (select t from hand);
begin
    execute format('create table iclock.punch_year partition of iclock.punch '
                   'for values from (%L) to (%L)', year,
                   year + interval '1 year 10 days');
    execute format('create table iclock.punch_old partition of iclock.punch '
                   'for values from (minvalue) to (%L)',
                   year - interval '40 years');
end
$$;
select pg_temp.punch(t + interval '3 months') from hand;
select pg_temp.punch(t + interval '1 year 20 days') from hand;
select pg_temp.punch(t + interval '1 year 40 days') from hand;
select is(iclock.maintain(), 3600, 'a partition of a year and some days');
select is(pg_temp.home(t + interval '3 months'), 'iclock.punch_year',
          'keeps its punches') from hand;
select is(pg_temp.home(t + interval '1 year 20 days'), 'iclock.punch_default',
          'a month that it covers in part gets none') from hand;
select is(pg_temp.home(t + interval '1 year 40 days'),
          pg_temp.partition_of(t + interval '1 year 40 days'),
          'the month after it gets its own') from hand;
select is(to_regclass('iclock.' || iclock.partition_name(t + interval '3 months')),
          null, 'and none is made within it') from hand;

-- the trigger rings for what maintain() will move, and only for that

select matches(pg_get_triggerdef(oid), 'FOR EACH ROW WHEN .*LOCALTIMESTAMP')
  from pg_trigger where tgname = 'punch_default_notify';
select is(
    (select count(*)::int from pg_trigger
      where tgfoid = 'iclock.punch_default_notify'::regproc), 1,
    'on the default partition only');

-- inserts as the module does them

create temp table sent as
select array_agg(d.id) as device_ids,
       array_agg(localtimestamp(0) + n * interval '1 second') as local_times,
       array_agg(n::text) as pins
  from iclock.device d, generate_series(1, 1000) as n
 where d.serial_number = 'T0001';
prepare store(bigint[], timestamp[], text[], text) as
insert into iclock.punch (device_id, local_time, pin, punched_at)
select u.device_id, u.local_time, u.pin,
       timezone(coalesce(d.timezone, $4), u.local_time)
  from unnest($1, $2, $3) as u (device_id, local_time, pin)
  left join iclock.device d on d.id = u.device_id
on conflict do nothing;
do $$
begin
    for i in 1..2 loop
        execute (select format('execute store (%L, %L, %L, %L)', device_ids,
                               local_times, pins, 'Europe/Berlin') from sent);
    end loop;
end
$$;
select is(count(*)::int, 1000, 'a thousand punches, sent twice')
  from iclock.punch
 where punched_at = timezone('Europe/Berlin', local_time);

select * from finish();
rollback;
