-- Requests answered by the database: remote attendance, last punch, files of
-- upgrades, and the functions that belong to the site.
-- Here is what the functions return; t/served.t asks as terminals do.

\ir ../fixtures/pgtap.psql

insert into iclock.device (serial_number, status, site, dialect,
                           fingerprint_version)
values ('R-A', 'active', 'Pune', '2.4', '10'),
       ('R-B', 'active', 'Pune', '2.4', '10'),
       ('R-C', 'active', 'Delhi', '2.4', '9'),
       ('R-D', 'blocked', 'Pune', '2.4', '10'),
       ('R-E', 'active', 'Pune', '2.4', '9'),
       ('R-F', 'active', null, '2.4', '10'),
       ('R-G', 'active', null, '2.4', '10');

-- remote attendance

insert into iclock.device_user (device_id, pin, name, privilege, password, card,
                                access_group, time_zone)
values (pg_temp.device('R-A'), '5', 'Asha Rao', 0, '99', '77', 1,
        '0001000200000000'),
       (pg_temp.device('R-D'), '6', 'Blocked', 0, '', '', 1, ''),
       (pg_temp.device('R-A'), '7', E'N\tPri=14\nDATA', -1, '', '', -1, '');
insert into iclock.template (device_id, pin, type, no, index, major_version,
                             valid, duress, source, data)
values (pg_temp.device('R-A'), '5', 1, 6, 0, 10, 1, 0, 'FP', 'six'),
       (pg_temp.device('R-A'), '5', 1, 3, 0, 10, 3, 0, 'FP', 'three'),
       (pg_temp.device('R-A'), '5', 9, 0, 0, 58, 1, 0, 'BIODATA', 'face');

select is(iclock.remote_attendance(pg_temp.device('R-B'), '5'),
          E'DATA UPDATE USERINFO PIN=5\tName=Asha Rao\tPasswd=99\tCard=77'
          '\tGrp=1\tTZ=0001000200000000\tPri=0\n'
          'DATA UPDATE FINGERTMP PIN=5\tFID=3\tSize=8\tValid=3\tTMP=dGhyZWU=\n'
          'DATA UPDATE FINGERTMP PIN=5\tFID=6\tSize=4\tValid=1\tTMP=c2l4',
          'a user of another terminal, with the fingerprints');
select is(iclock.remote_attendance(pg_temp.device('R-E'), '5'),
          E'DATA UPDATE USERINFO PIN=5\tName=Asha Rao\tPasswd=99\tCard=77'
          '\tGrp=1\tTZ=0001000200000000\tPri=0',
          'without those it cannot use');
select is(iclock.remote_attendance(pg_temp.device('R-B'), p), 'NONE',
          'none: ' || to_json(p))
  from unnest(array['6', '999', '', E'5\n']) as p;
select is(iclock.remote_attendance(pg_temp.device('R-B'), '7'),
          E'DATA UPDATE USERINFO PIN=7\tName=N Pri=14 DATA\tPasswd=\tCard='
          '\tGrp=1\tTZ=0000000000000000\tPri=0',
          'nothing gets into the line');

select is(iclock.remote_attendance(pg_temp.device('R-C'), '5'), 'NONE',
          'nobody of another site');
insert into iclock.device_user (device_id, pin, name)
values (pg_temp.device('R-F'), '11', 'Nowhere');
select is(iclock.remote_attendance(pg_temp.device('R-G'), '11'), 'NONE',
          'terminals without a site share nobody');
select alike(iclock.remote_attendance(pg_temp.device('R-F'), '11'),
            E'DATA UPDATE USERINFO PIN=11\tName=Nowhere%', 'but know their own');

-- whom the site has removed is not known there, though terminals that have not
-- deleted them yet still are asked

insert into iclock.device_user (device_id, pin, name, password, card)
select d.id, '13', 'Gone', '99', '78'
  from iclock.device d
 where d.serial_number in ('R-A', 'R-B', 'R-C');
select count(*) from iclock.delete_user_from_site('Pune', '13') \gset ignored_
select is(iclock.remote_attendance(pg_temp.device(s), '13'), 'NONE',
          'removed from the site: ' || s)
  from unnest(array['R-A', 'R-B', 'R-E']) as s;
select alike(iclock.remote_attendance(pg_temp.device('R-C'), '13'),
             '%Card=78%', 'but another site has them');
select iclock.put_user('R-B', '13', name => 'Back') \gset ignored_
select is(iclock.remote_attendance(pg_temp.device(s), '13'), 'NONE',
          'nor when another one is put, before ' || s || ' has deleted them')
  from unnest(array['R-A', 'R-B', 'R-E']) as s;
insert into iclock.template (device_id, pin, type, no, index, major_version,
                             valid, duress, source, data)
values (pg_temp.device('R-B'), '13', 1, 6, 0, 10, 1, 0, 'FP', 'gone');
update iclock.template set updated_at = now() - interval '2 hours'
 where pin = '13';
update iclock.command
   set status = case when deletes then 'failed' else 'done' end,
       return_code = case when deletes then -5 else 0 end,
       finished_at = now() - case when deletes then interval '1 hour'
                                  else '0' end
 where subject = E'user\t13' and device_id = pg_temp.device('R-B');
select is(iclock.remote_attendance(pg_temp.device('R-A'), '13'),
          E'DATA UPDATE USERINFO PIN=13\tName=Back\tPasswd=\tCard='
          '\tGrp=1\tTZ=0000000000000000\tPri=0',
          'then the one who was put, without the fingers of the former');

-- people of simulated terminals are others

insert into iclock.device (serial_number, status, site, dialect, sandbox)
values ('R-T', 'active', 'Pune', '2.4', true),
       ('R-U', 'active', 'Pune', '2.4', true);
insert into iclock.device_user (device_id, pin, name)
select pg_temp.device(s), '14', 'Simulated'
  from unnest(array['R-T', 'R-U']) as s;
insert into iclock.device_user (device_id, pin, name, updated_at)
values (pg_temp.device('R-A'), '14', 'Real', now() - interval '1 day');
select alike(iclock.remote_attendance(pg_temp.device(s), '14'), name, s)
  from (values ('R-B', '%Name=Real%'), ('R-T', '%Name=Simulated%'))
       as v (s, name);
select count(*) from iclock.delete_user_from_site('Pune', '14') \gset ignored_
select alike(iclock.remote_attendance(pg_temp.device('R-T'), '14'),
             '%Name=Simulated%', 'and stay when those are removed');
insert into iclock.punch (device_id, local_time, pin, status)
values (pg_temp.device('R-T'), localtimestamp - interval '1 hour', '14', 0);
select is(iclock.last_punch(pg_temp.device('R-B'), '14'), 'status=1',
          'their punches, too');
select alike(iclock.last_punch(pg_temp.device('R-U'), '14'), '%state=0%',
             'are known there');

-- the dialects read the time periods differently, and a limit comes along

insert into iclock.device (serial_number, status, site, dialect)
values ('R-S', 'active', 'Pune', '3.2');
insert into iclock.device_user (device_id, pin, time_zone, ends_at)
values (pg_temp.device('R-A'), '12', '0001000200000000', '2026-06-30 18:00');
select is(iclock.remote_attendance(pg_temp.device('R-S'), '12'),
          E'DATA UPDATE USERINFO PIN=12\tName=\tPasswd=\tCard=\tGrp=1'
          '\tTZ=0000000200000000\tPri=0\tStartDatetime=0'
          '\tEndDatetime=2026-06-30 18:00:00', 'in the other dialect');
update iclock.device_user set starts_at = '-infinity', ends_at = 'infinity'
 where device_id = pg_temp.device('R-A') and pin = '12';
select unalike(iclock.remote_attendance(pg_temp.device('R-S'), '12'),
               '%Datetime%', 'without a limit');

-- last punch

select is(iclock.last_punch(pg_temp.device('R-A'), '5'), 'status=1', 'none yet');
insert into iclock.punch (device_id, local_time, pin, status, work_code)
values (pg_temp.device('R-A'), date_trunc('day', localtimestamp)
                               - interval '15 hours 59 minutes', '5', 0, '17'),
       (pg_temp.device('R-B'), date_trunc('day', localtimestamp)
                               - interval '7 hours', '5', 1, ''),
       (pg_temp.device('R-C'), date_trunc('day', localtimestamp)
                               - interval '1 hour', '5', 1, ''),
       (pg_temp.device('R-A'), date_trunc('day', localtimestamp)
                               - interval '40 days', '8', 1, ''),
       (pg_temp.device('R-A'), date_trunc('day', localtimestamp)
                               - interval '70 days', '8', 0, ''),
       (pg_temp.device('R-A'), date_trunc('month', localtimestamp)
                               - interval '11 months', '9', 1, ''),
       (pg_temp.device('R-A'), date_trunc('month', localtimestamp)
                               - interval '12 months 1 second', '10', 1, '');
select is(iclock.last_punch(pg_temp.device('R-A'), '5'),
          format(E'status=0\nname=Asha Rao\tpin=5\tstate=1\tworkcode='
                 '\tdate=%s\ttime=17:00:00', current_date - 1),
          'the last at the site');
select is(iclock.last_punch(pg_temp.device('R-C'), '5'),
          format(E'status=0\nname=\tpin=5\tstate=1\tworkcode='
                 '\tdate=%s\ttime=23:00:00', current_date - 1),
          'of another site');
select is(iclock.last_punch(pg_temp.device('R-B'), '8'),
          format(E'status=0\nname=\tpin=8\tstate=1\tworkcode=\tdate=%s'
                 '\ttime=00:00:00', current_date - 40), 'of forty days ago');
select is(iclock.last_punch(pg_temp.device('R-B'), '9'),
          format(E'status=0\nname=\tpin=9\tstate=1\tworkcode=\tdate=%s'
                 '\ttime=00:00:00',
                 (date_trunc('month', current_date) - interval '11 months')::date),
          'of nearly a year ago');
select is(iclock.last_punch(pg_temp.device('R-B'), '10'), 'status=1',
          'not of longer ago');
insert into iclock.punch (device_id, local_time, pin, status, record_type)
select pg_temp.device('R-A'), date_trunc('day', localtimestamp)
                              - n * interval '1 minute', '5', n, 1
  from generate_series(1, 2) as n;
select alike(iclock.last_punch(pg_temp.device('R-A'), '5'), '%time=17:00:00',
             'nor an identity card that failed or is on the blacklist');

-- what others have done since long ago is not read for a punch of today

insert into iclock.punch (device_id, local_time, pin)
select pg_temp.device('R-B'), localtimestamp - n * interval '90 seconds', '6'
  from generate_series(1, 20000) as n;
insert into iclock.punch (device_id, local_time, pin)
values (pg_temp.device('R-A'), localtimestamp - interval '1 minute', '14');
create function pg_temp.blocks() returns bigint language sql volatile as $$
    select sum(pg_stat_get_xact_blocks_fetched(i.relid))::bigint
      from pg_partition_tree('iclock.punch_pkey') as i
$$;
select iclock.last_punch(pg_temp.device('R-A'), '14');
create temp table blocks as select pg_temp.blocks() as fetched;
select alike(iclock.last_punch(pg_temp.device('R-A'), '14'), 'status=0%',
             'a punch of today');
select cmp_ok(pg_temp.blocks() - b.fetched, '<', 50::bigint, 'reads no month')
  from blocks b;

-- upgrades

select iclock.upgrade_firmware('R-A', 'http://host/fw/emfw.cfg', 'aa', 10) as raw
\gset
select iclock.upgrade_firmware('R-A', 'http://host/b64/emfw.cfg', 'aa', 10,
                               'base64', file => 'fw/X938/emfw.cfg');
create function pg_temp.file(serial_number text, url text) returns text
    language sql as $$
    select coalesce(f.path, '-') || ' ' || coalesce(f.encoding, '-')
      from iclock.upgrade_file(pg_temp.device($1), $2) as f
$$;
select is(pg_temp.file(s, u), f, s || ' ' || u)
  from (values
    ('R-A', 'http://host/fw/emfw.cfg', 'emfw.cfg raw'),
    ('R-A', 'http://host/b64/emfw.cfg', 'fw/X938/emfw.cfg base64'),
    ('R-A', 'http://host/other.cfg', '- -'),
    ('R-A', 'file:///etc/passwd', '- -'),
    ('R-A', '../../etc/passwd', '- -'),
    ('R-A', '', '- -'),
    ('R-B', 'http://host/fw/emfw.cfg', '- -')) as f (s, u, f);
update iclock.command set status = 'sent', attempts = 1 where id = :raw;
select is(pg_temp.file('R-A', 'http://host/fw/emfw.cfg'), 'emfw.cfg raw',
          'while it is not answered');
select iclock.answer_commands(array[pg_temp.device('R-A')],
                              array[:raw % 1000000000], '{0}', '{null}');
select is(pg_temp.file('R-A', 'http://host/fw/emfw.cfg'), '- -', 'then no more');
select iclock.queue_command('R-A',
    'UPGRADE type=1,checksum=a,size=1,url=http://host/x.cfg');
select is(pg_temp.file('R-A', 'http://host/x.cfg'), '- -',
          'a command queued by hand registers no file');

-- functions of the site

select is(iclock.self_service('R-A', '1999', '0'),
          E'DATA UPDATE SELFSERVICEDATA ServiceNum=0\tPIN=1999\tStyle=2\tData='
          || encode('ID=1&CMD=Punches', 'base64'), 'a menu');
select is(convert_from(decode(substring(iclock.self_service('R-B', '5', '1')
                                        from 'Style=1\tData=(.*)$'), 'base64'),
                       'UTF8'),
          to_char(current_date - 1, 'YYYY-MM-DD') || ' 17:00:00,1', 'punches');
select is(iclock.self_service_reply('0', '1999', 2,
              'ID=1&CMD=Vacation;ID=2&CMD=PTO;ID=3&CMD=Accural;ID=4&CMD=Schedules'),
          E'DATA UPDATE SELFSERVICEDATA ServiceNum=0\tPIN=1999\tStyle=2\tData='
          'SUQ9MSZDTUQ9VmFjYXRpb247SUQ9MiZDTUQ9UFRPO0lEPTMmQ01EPUFjY3VyYWw7SUQ9'
          'NCZDTUQ9U2NoZWR1bGVz', 'the example of the document');
select unalike(iclock.self_service('R-A', E'1\nC:1:REBOOT', E'0\t'), E'%\n%',
              'one line');
select is(iclock.verify_decision('R-A', '\x00ff'), 'OK', 'verify_decision');

create function pg_temp.as_module(statement text) returns text
    language plpgsql as $$
declare
    answer  text;
begin
    set local role iclock_module;
    execute statement into answer;
    reset role;
    return answer;
exception when others then
    reset role;
    return sqlerrm;
end
$$;
select is(pg_temp.as_module(s), a, 'nginx: ' || s)
  from (values
    ('select iclock.remote_attendance(-1, ''none'')', 'NONE'),
    ('select iclock.last_punch(-1, ''1'')', 'status=1'),
    ('select path from iclock.upgrade_file(-1, ''x'')', null),
    ('select iclock.verify_decision(''R-A'', ''x'')', 'OK'),
    ('select left(iclock.self_service(''R-A'', ''5'', ''0''), 11)', 'DATA UPDATE'),
    ('select iclock.verify_due(0)', '0')) as s (s, a);

select * from finish();
rollback;
