-- What is wrong with devices: each condition, and what it is not; what punches
-- are counted for.

\ir ../fixtures/pgtap.psql

delete from iclock.device;

select pg_temp.count_from_here();

-- "name" or "name!", if somebody should see to it.  Who asks for one device,
-- which has a plan of its own, hears the same.
create function pg_temp.said(sn text) returns text
    language sql as $$
    with every as (
        select c.*
          from iclock.device_conditions() c
         where c.device_id = pg_temp.device($1)),
    one as (
        select c.*
          from iclock.device_conditions(false, array[pg_temp.device($1)]) c)
    select case when (select array_agg(e.*::text) from every e)
                     is distinct from (select array_agg(o.*::text) from one o)
                then 'one: ' || coalesce((select string_agg(o.*::text, ' ')
                                            from one o), '') || ', not '
                else '' end
           || coalesce(string_agg(e.condition || case when e.needs then '!'
                                  else '' end, ' '), '')
      from every e
$$;

create function pg_temp.of(sn text, condition text, out since timestamptz,
                           out value numeric)
    language sql as $$
    select c.since, c.value
      from iclock.device_conditions() c
     where c.device_id = pg_temp.device($1) and c.condition = $2
$$;

select results_eq(
    'select name from iclock.condition order by position',
    $$ select unnest(array['blocked', 'key', 'network', 'new', 'silent',
                           'silent_day', 'never', 'lines', 'missing', 'clock',
                           'quiet', 'full', 'commands', 'failed']) $$,
    'the conditions, in their order');
select is((select string_agg(format('%s %s', name, warn_after), ', '
                             order by position)
             from iclock.condition
            where warn_after is distinct from '0'),
          'blocked , silent 00:15:00, missing 01:00:00, commands 00:10:00',
          'after which time they are told');

insert into iclock.device (serial_number, status, last_seen, first_seen,
                           delay, told_delay, timezone)
values ('OK', 'active', now(), now(), null, null, 'UTC'),
       ('S1', 'active', now() - interval '6 min', null, null, null, null),
       ('S2', 'active', now() - interval '16 min', null, null, null, null),
       ('S3', 'active', now() - interval '2 days', null, null, null, null),
       ('H1', 'active', now() - interval '2 hours', null, 3600, null, null),
       ('H2', 'active', now() - interval '2 hours', null, null, 3600, null),
       ('H3', 'active', now() - interval '4 hours', null, 10, 3600, null),
       ('NEVER', 'active', null, null, null, null, null),
       ('NEW', 'pending', now(), now() - interval '5 min', null, null, null),
       ('BLOCKED', 'blocked', now() - interval '9 days', null, null, null,
        null);

select is(pg_temp.said(sn), said, sn)
  from (values ('OK', ''), ('S1', 'silent'), ('S2', 'silent!'),
               ('S3', 'silent! silent_day!'), ('H1', ''), ('H2', ''),
               ('H3', 'silent!'), ('NEVER', 'never!'), ('NEW', 'new!'),
               ('BLOCKED', 'blocked')) as s (sn, said);
select is((pg_temp.of(sn, condition)).since, now() - age,
          format('%s: since when %s', sn, condition))
  from (values ('S2', 'silent', interval '16 min'),
               ('S3', 'silent_day', interval '2 days'),
               ('NEVER', 'never', interval '0'),
               ('NEW', 'new', interval '5 min'),
               ('BLOCKED', 'blocked', interval '0'))
       as s (sn, condition, age);
select is((select s.online from iclock.device_status s
            where s.serial_number = sn), online, sn || ': online or not')
  from (values ('OK', true), ('S1', false), ('H1', true), ('H2', true),
               ('H3', false), ('NEVER', false), ('NEW', false))
       as s (sn, online);

insert into iclock.device_presence (device_id, last_seen)
values (pg_temp.device('S1'), now());
select is(pg_temp.said('S1'), '', 'presence counts');

-- nobody need see to those that are muted, removed or simulated

update iclock.device set muted_until = now() + interval '1 day'
 where serial_number = 'S2';
select is(pg_temp.said('S2'), 'silent', 'muted: it is told all the same');
update iclock.device set muted_until = now() - interval '1 s'
 where serial_number = 'S2';
select is(pg_temp.said('S2'), 'silent!', 'not any more');
update iclock.device set sandbox = true where serial_number = 'S2';
select is(pg_temp.said('S2'), '', 'simulated');
select is((select array_agg(c.condition)
             from iclock.device_conditions(true) c), '{silent}',
          'told if asked for, and nothing else');
update iclock.device set sandbox = false, removed_at = now(),
                         status = 'blocked'
 where serial_number = 'S2';
select is(pg_temp.said('S2'), '', 'removed');

update iclock.condition set warn_after = '1 hour' where name = 'new';
select is(pg_temp.said('NEW'), 'new', 'a site may wait for longer');
update iclock.condition set warn_after = '0' where name = 'new';

-- who gave it the status, and when

select is((select d.status_by from iclock.device d
            where d.serial_number = 'BLOCKED'), current_user::text,
          'a role');
set local iclock.api_key = 'ops';
select iclock.block_device('OK');
select is((select d.status_by from iclock.device d
            where d.serial_number = 'OK'), 'api:ops', 'a key');
select iclock.approve_device('OK');
reset iclock.api_key;
select is(pg_temp.as_role('iclock_operator',
              $$ do $do$ begin
                     perform set_config('iclock.api_key', 'ops', true);
                     perform iclock.block_device('OK');
                 end $do$ $$), 'ok', 'an operator blocks it');
select is((select d.status_by from iclock.device d
            where d.serial_number = 'OK'), 'iclock_operator',
          'nobody but nginx may say that it is a key');
select set_config('iclock.api_key', '', true);
select iclock.approve_device('OK');

-- refusals

insert into iclock.device_refusal (device_id, reason, first_at, last_at)
values (pg_temp.device('OK'), 'key', now() - interval '2 h',
        now() - interval '1 min'),
       (pg_temp.device('NEVER'), 'network', now() - interval '2 h', now()),
       (pg_temp.device('S3'), 'key', now() - interval '40 h',
        now() - interval '25 h');
select is(pg_temp.said(sn), said, sn || ': refused')
  from (values ('OK', ''), ('NEVER', 'network! never!'),
               ('S3', 'silent! silent_day!')) as s (sn, said);
update iclock.device_refusal set last_at = now() + interval '1 s';
select is(pg_temp.said('OK'), 'key!', 'since its last call');
select is((pg_temp.of('OK', 'key')).since, now() - interval '2 h',
          'for how long');
delete from iclock.device_refusal;

-- lines that were not stored

insert into iclock.rejected_line (device_id, line, received_at)
values (pg_temp.device('OK'), 'a', now() - interval '25 h'),
       (pg_temp.device('OK'), 'b', now() - interval '5 h'),
       (pg_temp.device('OK'), 'c', now()),
       (pg_temp.device('S1'), 'd', now() - interval '25 h');
select is(pg_temp.of('OK', 'lines')::text,
          row(now() - interval '5 h', 2)::text, 'two lines today');
select is(pg_temp.said('S1'), '', 'none today');
delete from iclock.rejected_line;

-- punches that are missing

insert into iclock.attendance_check (device_id, starts, ends, status,
    max_attempts, device_count, stored_count, finished_at)
values (pg_temp.device('OK'), '2026-01-01', '2026-01-02', 'differs', 3, 40, 9,
        now() - interval '2 h'),
       (pg_temp.device('S1'), '2026-01-01', '2026-01-02', 'differs', 3, 9, 9,
        now());
select is(pg_temp.of('OK', 'missing')::text,
          row(now() - interval '2 h', 31)::text, 'punches are missing');
select is(pg_temp.said('OK'), 'missing!', 'for more than an hour');
select is(pg_temp.said('S1'), '', 'as many as the terminal says');
insert into iclock.attendance_check (device_id, starts, ends, status,
    max_attempts, finished_at)
values (pg_temp.device('OK'), '2025-12-01', '2025-12-31', 'agreed', 3, now());
select is(pg_temp.said('OK'), 'missing!', 'another month agrees');
insert into iclock.attendance_check (device_id, starts, ends, status,
    max_attempts, finished_at)
values (pg_temp.device('OK'), '2026-01-01', '2026-01-02', 'agreed', 3, now());
select is(pg_temp.said('OK'), '', 'fetched');

-- its memory

update iclock.device set punch_count = 900 where serial_number = 'OK';
insert into iclock.device_option (device_id, name, value)
values (pg_temp.device('OK'), 'MaxAttLogCount', '10');
select is((pg_temp.of('OK', 'full')).value, 0.9, 'as good as full');
update iclock.device set punch_count = 899 where serial_number = 'OK';
select is(pg_temp.said('OK'), '', 'not yet');
create function pg_temp.ratio(punches integer, capacity text) returns numeric
    language plpgsql as $$
begin
    update iclock.device set punch_count = $1 where serial_number = 'OK';
    update iclock.device_option set value = $2 where name = 'MaxAttLogCount';
    return (select s.ratio from iclock.device_storage s);
end
$$;
select lives_ok(
    $$ update iclock.device_option o set value = l.text
         from (select string_agg(md5(n::text), '') as text
                 from generate_series(1, 200) as n) as l
        where o.name = 'MaxAttLogCount' $$, 'nonsense of any length is stored');
select is((select count(*)::int from iclock.device_storage), 0,
          'and is no capacity');
select is(pg_temp.ratio(n, o), ratio, format('%s of "%s"', n, o))
  from (values (-1, '10', null), (0, '10', 0), (5, '', null), (5, '0', null),
               (5, 'x', null), (1500, '010', 1.5), (5, '9999999', null),
               (899, '10', 0.899))
       as r (n, o, ratio);

-- commands

insert into iclock.command (device_id, body, status, created_at, sent_at,
                            expires_at, not_before)
values (pg_temp.device('OK'), 'CHECK', 'sent', now() - interval '9 min',
        now(), null, null),
       (pg_temp.device('OK'), 'LOG', 'queued', now() - interval '2 h', null,
        now() - interval '1 min', null),
       (pg_temp.device('OK'), 'INFO', 'queued', now() - interval '2 h', null,
        null, now() + interval '1 min'),
       (pg_temp.device('S3'), 'CHECK', 'queued', now() - interval '2 h', null,
        null, null);
select is(pg_temp.said('OK'), '', 'not for so long');
select is(pg_temp.said('S3'), 'silent! silent_day!',
          'a silent device is nothing else');
insert into iclock.command (device_id, body, status, created_at, not_before)
values (pg_temp.device('OK'), 'REBOOT', 'queued', now() - interval '2 h',
        now() - interval '9 min');
select is(pg_temp.said('OK'), '', 'what was put off was not due before');
update iclock.command set not_before = now() - interval '11 min'
 where body = 'REBOOT';
select is(pg_temp.said('OK'), 'commands!', 'but is from then on');
select is((pg_temp.of('OK', 'commands')).since, now() - interval '11 min',
          'since when it was due');
delete from iclock.command where body = 'REBOOT';
insert into iclock.command (device_id, body, status, created_at)
values (pg_temp.device('OK'), 'LOG', 'queued', now() - interval '11 min');
select is(pg_temp.said('OK'), 'commands!', 'nothing is answered');
select is((pg_temp.of('OK', 'commands')).value, 2::numeric, 'two are open');
update iclock.command set status = 'done' where device_id
    = pg_temp.device('OK');

insert into iclock.command (device_id, body, status, finished_at, subject)
values (pg_temp.device('OK'), 'X', 'failed', now() - interval '25 h', 'a'),
       (pg_temp.device('OK'), 'X', 'failed', now() - interval '1 h', 'b'),
       (pg_temp.device('OK'), 'X', 'failed', now() - interval '2 h', null);
select is(pg_temp.of('OK', 'failed')::text,
          row(now() - interval '2 h', 2)::text, 'two have failed');
insert into iclock.command (device_id, body, status, subject)
values (pg_temp.device('OK'), 'X', 'done', 'b');
select is((pg_temp.of('OK', 'failed')).value, 1::numeric,
          'one of them was done later');
delete from iclock.command;

-- what punches tell

-- what is counted is not counted again
create function pg_temp.tally() returns boolean
    language plpgsql as $$
declare
    done  boolean := iclock.tally_punches('0');
begin
    update iclock.punch set txid = 0 where txid > 0;
    perform pg_temp.count_from_here();
    return done;
end
$$;
create function pg_temp.punches(sn text, n integer, late interval,
                                ahead interval, age interval default '0')
    returns void
    language sql as $$
    insert into iclock.punch (device_id, local_time, pin, punched_at,
                              received_at)
    select d.id, timezone('UTC', p.at), 'p' || i, p.at,
           now() - age - interval '1 min' * (n - i)
      from iclock.device d, generate_series(1, $2) as i
     cross join lateral (select now() - age - interval '1 min' * (n - i)
                                - $3 + $4 as at) as p
     where d.serial_number = $1
    on conflict do nothing
$$;
create function pg_temp.skew(sn text) returns integer
    language sql as $$
    select extract(epoch from u.clock_skew)::integer
      from iclock.device_pulse u
     where u.device_id = pg_temp.device($1)
$$;

select ok(pg_temp.tally(), 'nothing is counted yet');
select is((select count(*) from iclock.device_pulse),
          (select count(*) from iclock.device), 'each device has its row');
select ok(not iclock.tally_punches(), 'not twice a minute');

select pg_temp.punches('OK', 3, '1 s', '0');
select pg_temp.punches('S1', 3, '1 s', '14 min');
select pg_temp.punches('H1', 3, '1 s', '-14 min');
select pg_temp.punches('H2', 20, '1 s', '0', '3 h');
select pg_temp.tally();
select is(pg_temp.skew(sn), skew, sn || ': its clock')
  from (values ('OK', -1), ('S1', 839), ('H1', -841), ('H2', -1),
               ('H3', null)) as s (sn, skew);
select is(pg_temp.said(sn), said, sn || ': told or not')
  from (values ('OK', ''), ('S1', 'clock!'), ('H1', 'clock!'), ('H2', ''))
       as s (sn, said);
select is((pg_temp.of('S1', 'clock')).value, 839::numeric, 'how far');
select is((select u.last_punch_at from iclock.device_pulse u
            where u.device_id = pg_temp.device('OK')),
          now() - interval '1 s', 'the last punch');

select pg_temp.punches('H2', 10, '30 min', '0');
select pg_temp.punches('S1', 1, '3 s', '0');
select pg_temp.tally();
select is(pg_temp.said('H2'), '', 'punches that come late are no clock');
select is(pg_temp.said('S1'), '', 'the clock was set');

insert into iclock.punch (device_id, local_time, pin, punched_at)
values (pg_temp.device('OK'), now() + interval '4 years', 'x',
        now() + interval '4 years');
select pg_temp.tally();
select is(pg_temp.said('OK'), 'clock!', 'a clock of other years');
select is((select u.last_punch_at from iclock.device_pulse u
            where u.device_id = pg_temp.device('OK')),
          now() - interval '1 s', 'is no last punch');
update iclock.device_pulse set skew_at = now() - interval '3 days';
select is(pg_temp.said('OK'), '', 'no punch for long: nobody knows');

-- what was stored before anybody counted

delete from iclock.device_pulse;
select pg_temp.tally();
select is((select u.last_local_time from iclock.device_pulse u
            where u.device_id = pg_temp.device('H1')),
          timezone('UTC', now() - interval '841 s'), 'is found');

-- some at a time

select is(iclock.snapshot_until(s::txid_snapshot, n)::text, cut,
          format('%s until %s', s, n))
  from (values
    ('10:20:10,14,15', null::bigint, '10:20:10,14,15'),
    ('10:20:10,14,15', 20, '10:20:10,14,15'),
    ('10:20:10,14,15', 19, '10:20:10,14,15'),
    ('10:20:10,14,15', 14, '10:15:10,14'), ('10:20:10,14,15', 9, '10:10:'),
    ('10:20:10,14,15', 12, '10:13:10'), ('10:10:', 5, '6:6:'))
       as v (s, n, cut);

select is(iclock.snapshot_until(s::txid_snapshot, n, p::txid_snapshot)::text,
          cut, format('%s until %s, after %s', s, n, p))
  from (values
    ('40:40:', 10, '10:30:10,20', '20:30:20'),
    ('12:40:12,35', 15, '10:30:10,12,20', '12:30:12,20'),
    ('35:40:35', 32, '10:30:10,20', '33:33:'),
    ('35:40:35', 36, '10:30:10,20', '35:37:35'),
    ('40:40:', 40, '10:30:10,20', '40:40:'), ('40:40:', 9, '9:9:', '10:10:'))
       as v (s, n, p, cut);

create function pg_temp.rest() returns text
    language sql as $$
    select concat_ws(' ', (select count(*) from iclock.uncounted_punches()),
                     (select sum(r.punches) from iclock.punch_rate r))
$$;
delete from iclock.punch;
delete from iclock.punch_rate;
-- three transactions, of which one goes on; while transactions of others end,
-- each snapshot would say another number
select txid_snapshot_xmin(txid_current_snapshot()) as xmin \gset
update iclock.punch_tally
   set snapshot = format('%1$s:%1$s:', :xmin - 10)::txid_snapshot;
insert into iclock.punch (device_id, local_time, pin, txid)
select pg_temp.device('OK'), timezone('UTC', now()), i, :xmin - 9 + i / 4
  from generate_series(0, 11) as i;
select is(pg_temp.rest(), '12', 'twelve');
select ok(iclock.count_punches(9), 'there are more than nine');
select is(pg_temp.rest(), '4 8', 'two transactions are counted');
select ok(not iclock.count_punches(9), 'no more');
select is(pg_temp.rest(), '0 12', 'all');
update iclock.punch_tally
   set snapshot = format('%1$s:%1$s:', :xmin - 10)::txid_snapshot;
select ok(iclock.count_punches(2), 'a transaction is counted as a whole');
select is(pg_temp.rest(), '8 16', 'the first one');
-- the first one has gone on for longer than the second one, which is counted
update iclock.punch_tally
   set snapshot = format('%1$s:%2$s:%1$s', :xmin - 9, :xmin - 7)
                  ::txid_snapshot;
select is(pg_temp.rest(), '8 16', 'the first one and the third one are left');
select ok(iclock.count_punches(2), 'the first one is counted');
select is(pg_temp.rest(), '4 20', 'the second one is not counted again');
delete from iclock.punch;
delete from iclock.punch_rate;
-- of one that is too large the newest ones are, wherever they stand in it
savepoint large;
update iclock.punch_tally
   set snapshot = format('%1$s:%1$s:', :xmin - 10)::txid_snapshot;
insert into iclock.device (serial_number, status) values ('LARGE', 'active');
insert into iclock.punch (device_id, local_time, pin, txid)
select pg_temp.device('LARGE'), timezone('UTC', now()) - i * interval '1 hour',
       i, :xmin - 9
  from generate_series(9, 1, -1) as i;
select ok(iclock.count_punches(2), 'nine at once');
select is(pg_temp.rest(), '0 4', 'some are counted');
select is(u.last_local_time, timezone('UTC', now()) - interval '1 hour',
          'the last one is among them')
  from iclock.device_pulse u where u.device_id = pg_temp.device('LARGE');
select ok(not iclock.count_punches(2), 'that is all');
rollback to large;
delete from iclock.device_day;
select pg_temp.count_from_here();
insert into iclock.punch (device_id, local_time, pin)
select pg_temp.device('H2'), timezone('UTC', now()), i
  from generate_series(1, 30) as i;
select pg_temp.tally();

-- a threshold that is none stops nobody

savepoint threshold;
set local client_min_messages = error;
alter table iclock.condition drop constraint condition_params_check;
update iclock.condition set params = '{"skew": "a lot"}' where name = 'clock';
update iclock.punch_tally set tallied_at = '-infinity';
select lives_ok('select iclock.watch_events()', 'a wrong threshold');
select ok(not iclock.tally_punches('0'), 'nothing is counted by it');
rollback to threshold;

-- nor does it get there: who sets it is told what is wrong

select throws_ok(format('update iclock.condition set params = %L '
                        ' where name = %L', params, name),
                 '23514', format('condition "%s": %s', name, message),
                 format('%s: %s', name, params))
  from (values
    ('full', '{"ratio": "90%"}', '"ratio" is "90%", but has to be a number '
     'from 0 to 1, such as 0.9, without quotes'),
    ('full', '{"ratio": "0.9"}', '"ratio" is "0.9", but has to be a number '
     'from 0 to 1, such as 0.9, without quotes'),
    ('full', '{"ratio": 90}', '"ratio" is 90, but has to be a number from 0 '
     'to 1, such as 0.9, without quotes'),
    ('full', '{"ratio": null}', '"ratio" is null, but has to be a number from '
     '0 to 1, such as 0.9, without quotes'),
    ('key', '{"within": "a day"}', '"within" is "a day", but has to be a time '
     'of 10 years at most, such as "24 hours" or "90 seconds", in quotes'),
    ('lines', '{"within": 24}', '"within" is 24, but has to be a time of 10 '
     'years at most, such as "24 hours" or "90 seconds", in quotes'),
    ('failed', '{"within": "1000000 years"}', '"within" is "1000000 years", '
     'but has to be a time of 10 years at most, such as "24 hours" or "90 '
     'seconds", in quotes'),
    ('commands', '{"after": "-1 s"}', '"after" is "-1 s", but has to be a '
     'time of 10 years at most, such as "24 hours" or "90 seconds", in '
     'quotes'),
    ('clock', '{"skew": {}}', '"skew" is {}, but has to be a time of 10 years '
     'at most, such as "24 hours" or "90 seconds", in quotes'),
    ('quiet', '{"punches": "ten"}', '"punches" is "ten", but has to be a whole '
     'number from 1 to 1000000, without quotes'),
    ('quiet', '{"punches": 10.5}', '"punches" is 10.5, but has to be a whole '
     'number from 1 to 1000000, without quotes'),
    ('quiet', '{"weeks": 6}', '"weeks" is 6, but has to be a whole number '
     'from 1 to 5, without quotes'),
    ('silent_day', '{"within": "1 day"}', 'there is no threshold "within" but '
     '"after"'),
    ('quiet', '{"week": 4}', 'there is no threshold "week" but "punches" and '
     '"weeks"'),
    ('new', '{"after": "1 day"}', 'there is no threshold "after" but none at '
     'all'),
    ('full', '0.9', 'params are no JSON object such as {"within": "24 '
     'hours"}'),
    ('full', '[]', 'params are no JSON object such as {"within": "24 '
     'hours"}')) as t (name, params, message);
select throws_ok($$ update iclock.condition set warn_after = '11 years' $$,
                 '23514', null, 'a time that no clock shows');

savepoint threshold;
select lives_ok(format('update iclock.condition set params = %L '
                       ' where name = %L', params, name),
                format('%s: %s', name, params))
  from (values
    ('full', '{"ratio": 0.75}'), ('full', '{"ratio": 1}'),
    ('key', '{"within": "2 days 03:00"}'), ('lines', '{"within": "PT1H"}'),
    ('clock', '{"skew": "90 s"}'), ('quiet', '{"punches": 5, "weeks": 5}'),
    ('quiet', '{"weeks": 1}'), ('commands', '{"after": "0"}'))
    as t (name, params);
update iclock.condition set params = '{}';
select lives_ok('select iclock.device_conditions()',
                'what is missing is as it was');
select lives_ok('select iclock.find_quiet()', 'also there');
rollback to threshold;

-- what an older schema could use goes on as it was meant; the rest is as if it
-- were missing

create temp table old (round integer, name text, params jsonb, is_now jsonb);
insert into old
values (1, 'full', '{"ratio": "90%"}', '{}'),
       (1, 'new', '[1]', '{}'),
       (1, 'clock', '{"skew": "5 min"}', '{"skew": "5 min"}'),
       (1, 'key', '{"within": 86400}', '{"within": "86400 seconds"}'),
       (1, 'network', '{"within": 1.5}', '{"within": "1.5 seconds"}'),
       (1, 'lines', '{"within": "48 hours", "note": "ops"}',
        '{"within": "48 hours"}'),
       (1, 'failed', '{"within": "90"}', '{"within": "90"}'),
       (1, 'silent_day', '{"after": -1}', '{}'),
       (1, 'commands', '{"after": ["5 min"]}', '{}'),
       (1, 'quiet', '{"punches": "20", "weeks": 3}',
        '{"punches": 20, "weeks": 3}'),
       (2, 'full', '{"ratio": " 0.8 "}', '{"ratio": 0.8}'),
       (2, 'new', '{"after": "1 day"}', '{}'),
       (2, 'clock', '{"skew": 1e300}', '{}'),
       (2, 'key', '{"within": null}', '{}'),
       (2, 'lines', '"48 hours"', '{}'),
       (2, 'quiet', '{"punches": "twenty", "weeks": "3"}', '{"weeks": 3}'),
       (3, 'full', '{"ratio": "NaN", "skew": 1}', '{}'),
       (3, 'quiet', '{"punches": 20, "weeks": 30}', '{"punches": 20}'),
       (4, 'full', '{"ratio": 80}', '{}'),
       (4, 'quiet', '{"punches": "99999999999", "weeks": true}', '{}');
create function pg_temp.older(round integer) returns void
    language plpgsql as $$
begin
    alter table iclock.condition drop constraint condition_params_check,
                                 drop constraint condition_warn_after_check;
    alter table iclock.condition add constraint condition_warn_after_check
        check (warn_after >= interval '0');
    update iclock.condition c set params = o.params
      from pg_temp.old o where o.name = c.name and o.round = $1;
    update iclock.condition set warn_after = '1000000 years'
     where name = 'lines';
    delete from iclock.schema_version where version = 16;
end
$$;

savepoint threshold;
set local client_min_messages = error;
select pg_temp.older(1);
\ir ../../sql/016_thresholds.sql
select is(c.params, o.is_now, format('%s: %s', o.name, o.params))
  from pg_temp.old o join iclock.condition c using (name)
 where o.round = 1;
select is((select c.warn_after from iclock.condition c
            where c.name = 'lines'), interval '10 years', 'no longer than that');
select lives_ok('select iclock.device_conditions()', 'all is told again');
select lives_ok('select iclock.find_quiet()', 'also there');
rollback to threshold;

set local client_min_messages = error;
select pg_temp.older(2);
\ir ../../sql/016_thresholds.sql
select is(c.params, o.is_now, format('%s: %s', o.name, o.params))
  from pg_temp.old o join iclock.condition c using (name)
 where o.round = 2;
select lives_ok('select iclock.device_conditions()', 'all is told again');
select lives_ok('select iclock.find_quiet()', 'also there');
rollback to threshold;

set local client_min_messages = error;
select pg_temp.older(3);
\ir ../../sql/016_thresholds.sql
select is(c.params, o.is_now, format('%s: %s', o.name, o.params))
  from pg_temp.old o join iclock.condition c using (name)
 where o.round = 3;
select lives_ok('select iclock.device_conditions()', 'all is told again');
select lives_ok('select iclock.find_quiet()', 'also there');
rollback to threshold;

set local client_min_messages = error;
select pg_temp.older(4);
\ir ../../sql/016_thresholds.sql
select is(c.params, o.is_now, format('%s: %s', o.name, o.params))
  from pg_temp.old o join iclock.condition c using (name)
 where o.round = 4;
select lives_ok('select iclock.device_conditions()', 'all is told again');
select lives_ok('select iclock.find_quiet()', 'also there');
rollback to threshold;

-- hours, rates

select is((select sum(r.punches) from iclock.punch_rate r), 30::bigint,
          'all that was stored');
select is((select sum(h) from iclock.device_day y, unnest(y.hours) as h
            where y.device_id = pg_temp.device('H2')), 30::bigint,
          'by the hour');
insert into iclock.punch (device_id, local_time, pin)
values (pg_temp.device('NEW'), timezone('UTC', now())::date
                               + time '05:30', 1),
       (pg_temp.device('NEW'), timezone('UTC', now())::date
                               + time '05:59:59', 2),
       (pg_temp.device('NEW'), timezone('UTC', now())::date
                               + time '06:00', 3);
select pg_temp.tally();
select is((select hours[5:8]::text from iclock.device_day
            where device_id = pg_temp.device('NEW')), '{0,2,1,0}',
          'which hour');

-- quiet

create function pg_temp.usual(sn text, n integer, weeks integer) returns void
    language sql as $$
    delete from iclock.device_day where device_id = pg_temp.device($1);
    insert into iclock.device_day (day, device_id, hours)
    select timezone('UTC', now())::date - 7 * i, pg_temp.device($1),
           array[$2] || array_fill(0, array[23])
      from generate_series(1, weeks) as i
$$;

update iclock.device set timezone = null, default_timezone = null;
update iclock.device_pulse set last_local_time = now() - interval '7 days';
select pg_temp.usual('OK', 10, 4);
select pg_temp.usual('S1', 9, 4);
select pg_temp.usual('H1', 10, 3);
select iclock.find_quiet();
select is((select string_agg(d.serial_number, ' ')
             from iclock.device_pulse u
             join iclock.device d on d.id = u.device_id
            where u.quiet_since is not null),
          case when extract(hour from timezone('UTC', now())) > 0
          then 'OK' end, 'who is quiet today');
update iclock.device_pulse set quiet_since = now(), quiet_usual = 10
 where device_id = pg_temp.device('OK');
select is((pg_temp.of('OK', 'quiet')).value, 10::numeric, 'how many come else');
update iclock.device_pulse set last_local_time = timezone('UTC', now())
 where device_id = pg_temp.device('OK');
select is(pg_temp.said('OK'), '', 'one has come');
update iclock.device_pulse set last_local_time = null;
update iclock.device set last_seen = now() - interval '10 min'
 where serial_number = 'OK';
select is(pg_temp.said('OK'), 'silent', 'a silent device is not quiet');
insert into iclock.device_day (day, device_id, hours)
values (timezone('UTC', now())::date, pg_temp.device('OK'),
        array_fill(1, array[24]));
select iclock.find_quiet();
select is((select u.quiet_since from iclock.device_pulse u
            where u.device_id = pg_temp.device('OK')), null, 'not any more');

select is((select count(distinct c.device_id)
             from iclock.device_conditions(false,
                      array(select d.id from iclock.device d)
                      || array_fill(0::bigint, array[1000])) c),
          (select count(distinct c.device_id)
             from iclock.device_conditions() c),
          'many devices are as good as all');

-- of ten thousand that nobody has counted yet PostgreSQL expects one, for which
-- it would look through all conditions; so all are found before

create function pg_temp.explained(query text) returns setof text
    language plpgsql as $$
begin
    return query execute 'explain ' || $1;
end
$$;

select is((select count(*)
             from pg_temp.explained('select * from iclock.conditions_of(false, '
                                    || c.asked || ')') as x (line)
            where x.line ~ 'CTE found'),
          1::bigint, 'found once: ' || c.asked)
  from (values ('true, null'), ('false, ''{1,2}''')) as c (asked);

-- of all options those that tell a capacity

set local enable_seqscan = off;
set local enable_nestloop = off;
select isnt((select string_agg(x.line, e'\n')
               from pg_temp.explained('select * from iclock.device_storage')
                    as x (line)
              where x.line ~ 'device_option_room_idx'), null,
            'found by their index');
reset enable_seqscan;
reset enable_nestloop;

-- who may ask, and what of

delete from iclock.device where serial_number = 'NEVER';
insert into iclock.role_site (role, site) values ('iclock_reader', 'Pune');
update iclock.device set site = 'Pune' where serial_number = 'S3';
create temp table seen as select 0::bigint as n;
grant all on seen to iclock_reader;
select is(pg_temp.as_role('iclock_reader', format(
    'update %s.seen set n = (select count(distinct c.device_id) '
    '  from iclock.device_conditions() c)',
    (select nspname from pg_namespace where oid = pg_my_temp_schema()))),
    'ok', 'a reader asks');
select is((select n from seen), 1::bigint, 'and sees its site');
-- a dump that was restored where transactions have lower numbers
update iclock.punch_tally set snapshot = '900000000000:900000000000:';
select ok(iclock.tally_punches('0'), 'numbers that are yet to come');
select ok((select txid_snapshot_xmin(t.snapshot)
                  <= txid_snapshot_xmax(txid_current_snapshot())
             from iclock.punch_tally t), 'it counts from now on');

select is(pg_temp.as_role('iclock_reader', 'select iclock.tally_punches()'),
          '42501', 'it does not count');

select * from finish();
rollback;
