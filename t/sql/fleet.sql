-- People on many terminals: copies, sites, enrol once and present everywhere.
-- Here are the rows and the commands; in t/fleet.t terminals execute them.

\ir ../fixtures/pgtap.psql

delete from iclock.command;
insert into iclock.device (serial_number, status, site, dialect,
                           fingerprint_version, face_version)
values ('F-A', 'active', 'Pune', '2.4', '10', '7'),
       ('F-B', 'active', 'Pune', '2.4', '10', '0'),
       ('F-C', 'active', 'Pune', '2.4', '9', null),
       ('F-D', 'active', 'Pune', '3.2', null, null),
       ('F-E', 'pending', 'Pune', '2.4', '10', null),
       ('F-X', 'active', 'Delhi', '2.4', '10', null);

create function pg_temp.option(serial_number text, name text, value text)
    returns void language sql as $$
    insert into iclock.device_option (device_id, name, value)
    values (pg_temp.device($1), $2, $3)
    on conflict (device_id, name) do update set value = excluded.value
$$;
-- as nginx stores them
create function pg_temp.upload_user(serial_number text, pin text, name text,
                                    password text default '')
    returns void language sql as $$
    insert into iclock.device_user as u (device_id, pin, name, privilege,
                                         password, access_group, time_zone)
    values (pg_temp.device($1), $2, $3, 0, $4, 1, '0000000000000000')
    on conflict (device_id, pin) do update
    set name = excluded.name, password = excluded.password, updated_at = now()
    where (u.name, u.password) is distinct from (excluded.name,
                                                 excluded.password)
$$;
create function pg_temp.upload_template(
        serial_number text, pin text, type integer, no integer,
        version integer, data bytea, source text default 'BIODATA')
    returns void language sql as $$
    insert into iclock.template as t (device_id, pin, type, no, index,
        major_version, minor_version, format, valid, duress, source, data)
    values (pg_temp.device($1), $2, $3, $4, 0, $5, 0, 0, 1, 0, $7, $6)
    on conflict (device_id, pin, type, no, index, major_version) do update
    set data = excluded.data, updated_at = now()
    where t.data is distinct from excluded.data
$$;
create function pg_temp.upload_photo(serial_number text, pin text, kind text,
                                     content bytea, type integer default -1)
    returns void language sql as $$
    insert into iclock.photo as p (device_id, kind, file_name, pin, type,
                                   content)
    values (pg_temp.device($1), $3, $2 || '.jpg', $2, $5, $4)
    on conflict (device_id, kind, file_name, type) do update
    set content = excluded.content, received_at = now()
    where p.content is distinct from excluded.content
$$;
create function pg_temp.poll(serial_number text) returns setof text
    language sql as $$
    select c.body
      from iclock.dequeue_commands(array[pg_temp.device($1)], '{1000}',
                                   '{10000000}', '{600}', '{3}') as c
$$;
-- the device answers all that it was sent
create function pg_temp.answer(serial_number text, code integer default 0)
    returns void language sql as $$
    select iclock.answer_commands(array_agg(c.device_id),
                                  array_agg(c.id % 1000000000),
                                  array_agg($2), array_agg(null::bytea))
      from iclock.command c
     where c.device_id = pg_temp.device($1) and c.status = 'sent'
$$;
create function pg_temp.waiting(serial_number text) returns integer
    language sql as $$
    select count(*)::integer from iclock.command c
     where c.device_id = pg_temp.device($1) and c.status = 'queued'
$$;
-- a poll and its answers, of all terminals
create function pg_temp.round() returns integer language plpgsql as $$
declare
    serial  text;
    sent    integer := 0;
begin
    for serial in select serial_number from iclock.device
                   where serial_number like 'F-_' order by 1
    loop
        sent := sent + (select count(*) from pg_temp.poll(serial));
        perform pg_temp.answer(serial);
    end loop;
    return sent;
end
$$;

-- copy_user

select pg_temp.upload_user('F-A', '5', 'Asha Rao', '99');
select pg_temp.upload_template('F-A', '5', 1, 6, 10, 'finger', 'FP');
select pg_temp.upload_template('F-A', '5', 2, 0, 7, 'face', 'FACE');
select pg_temp.upload_template('F-A', '5', 8, 0, 12, 'palm');
select pg_temp.upload_photo('F-A', '5', 'user', '\xffd8ff');
select pg_temp.upload_photo('F-A', '5', 'comparison', '\xffd8fe', 9);
select is((select count(*)::int from iclock.command), 0,
          'nothing is shared unless the site says so');

select throws_ok($$ select iclock.copy_user('6', 'F-A', 'F-B') $$, 'P0002',
                 'device "F-A" has reported no user "6"');
select throws_ok($$ select iclock.copy_user('5', 'F-A', 'NOSUCH') $$, 'P0002',
                 'there is no device with serial number "NOSUCH"');

create temp table result as select * from iclock.copy_user('5', 'F-A', 'F-B');
select results_eq(
    $$ select what, command_id is null, skipped_reason from result
        order by command_id nulls last $$,
    $$ values ('user', false, null::text),
              ('fingerprint 6 index 0 version 10', false, null),
              ('palm vein 0 index 0 version 12', false, null),
              ('user photo', false, null),
              ('comparison photo', false, null),
              ('near-infrared face 0 index 0 version 7', true,
               'the terminal has no algorithm for it') $$,
    'copied, and what is not is named');
select results_eq(
    $$ select * from pg_temp.poll('F-B') $$,
    array[E'DATA UPDATE USERINFO PIN=5\tName=Asha Rao\tPri=0\tPasswd=99\tCard='
          '\tGrp=1\tTZ=0000000000000000\tVerify=-1\tViceCard=',
          E'DATA UPDATE FINGERTMP PIN=5\tFID=6\tSize=8\tValid=1\tTMP=ZmluZ2Vy',
          E'DATA UPDATE BIODATA Pin=5\tNo=0\tIndex=0\tValid=1\tDuress=0\tType=8'
          '\tMajorVer=12\tMinorVer=0\tFormat=0\tTmp=cGFsbQ==',
          E'DATA UPDATE USERPIC PIN=5\tSize=4\tContent=/9j/',
          E'DATA UPDATE BIOPHOTO PIN=5\tType=9\tSize=4\tContent=/9j+\tFormat=0'
          '\tUrl=\tPostBackTmpFlag=0'],
    'in the next poll, the user first');

select is((select count(*)::int from iclock.copy_user('5', 'F-A', 'F-B') c
            join result r using (command_id)), 5,
          'asked for again while it is under way: the same commands');
select pg_temp.answer('F-B');
select results_eq(
    $$ select name, password from iclock.device_user
        where device_id = pg_temp.device('F-B') $$,
    $$ values ('Asha Rao', '99') $$,
    'what the terminal has confirmed it holds');
select set_eq(
    $$ select type, no, major_version, source, data from iclock.template
        where device_id = pg_temp.device('F-B') $$,
    $$ values (1, 6, 10, 'FP', 'finger'::bytea),
              (8, 0, 12, 'BIODATA', 'palm') $$, 'templates too');
select set_eq(
    $$ select kind, content from iclock.photo
        where device_id = pg_temp.device('F-B') $$,
    $$ values ('user', '\xffd8ff'::bytea), ('comparison', '\xffd8fe') $$,
    'and photos');

-- one for each biometric type

select pg_temp.upload_photo('F-A', '5', 'comparison', '\xffd802', 2);
select results_eq(
    $$ select what, command_id is null from iclock.copy_user('5', 'F-A', 'F-B')
        where what like '%photo' order by command_id $$,
    $$ values ('user photo', false), ('comparison photo', false),
              ('comparison photo', false) $$, 'photos of both types are copied');
select set_eq(
    $$ select substring(p from 'Type=.') from pg_temp.poll('F-B') as p
        where p like 'DATA UPDATE BIOPHOTO %' $$,
    array['Type=2', 'Type=9'], 'each by a command of its own');
select pg_temp.answer('F-B');
select set_eq(
    $$ select type, content from iclock.photo
        where device_id = pg_temp.device('F-B') and kind = 'comparison' $$,
    $$ values (2, '\xffd802'::bytea), (9, '\xffd8fe') $$, 'and both are held');
delete from iclock.photo where type = 2;

-- versions

select results_eq(
    $$ select what, skipped_reason from iclock.copy_user('5', 'F-A', 'F-C')
        where skipped_reason is not null $$,
    $$ values ('fingerprint 6 index 0 version 10',
               'it is of version 10 of the algorithm, the terminal has version 9') $$,
    'another version of the algorithm');
select results_eq(
    $$ select what, skipped_reason from iclock.copy_user('5', 'F-A', 'F-D')
        where skipped_reason is not null order by 1 $$,
    $$ values ('comparison photo', 'dialect 3.2 has no command for it'),
              ('palm vein 0 index 0 version 12',
               'dialect 3.2 has no command for it') $$,
    'a terminal of the old dialect');
update iclock.device_user
   set verify = 15, time_zone = '0001000200000000',
       ends_at = '2026-06-30 18:00'
 where device_id = pg_temp.device('F-A') and pin = '5';
select iclock.copy_user('5', 'F-A', 'F-D');
select is((select substring(body from E'\tGrp=.*') from iclock.command
            where device_id = pg_temp.device('F-D')
              and body like 'DATA UPDATE USERINFO PIN=5%'
            order by id desc limit 1),
          E'\tGrp=1\tTZ=0000000200000000\tStartDatetime=0'
          '\tEndDatetime=2026-06-30 18:00:00',
          'nothing that means something else in the other dialect');
update iclock.command set status = 'done', finished_at = now()
 where device_id = pg_temp.device('F-D') and body like 'DATA UPDATE USERINFO%';
select is((select concat(u.time_zone, ' ', u.ends_at)
             from iclock.device_user u
            where u.device_id = pg_temp.device('F-D') and u.pin = '5'),
          '0000000200000000 2026-06-30 18:00:00',
          'confirmed, the limit is known there');
select is_empty(
    $$ select what from iclock.copy_site('F-A')
        where serial_number = 'F-D' and what = 'user' $$,
    'the same in two dialects is not sent again');

-- a limit that was taken back is, and one that is not spoken of stays

create function pg_temp.limits_sent() returns text language sql as $$
    select iclock.copy_user('5', 'F-A', 'F-D');
    select substring(c.body from E'\tStart.*') from iclock.command c
     where c.device_id = pg_temp.device('F-D')
       and c.body like 'DATA UPDATE USERINFO PIN=5%'
     order by c.id desc limit 1
$$;
update iclock.device_user set ends_at = 'infinity'
 where device_id = pg_temp.device('F-A') and pin = '5';
select is(pg_temp.limits_sent(), E'\tStartDatetime=0\tEndDatetime=0',
          'a limit that was taken back');
update iclock.command set status = 'done', finished_at = now()
 where device_id = pg_temp.device('F-D') and body like 'DATA UPDATE USERINFO%';
select is((select u.ends_at from iclock.device_user u
            where u.device_id = pg_temp.device('F-D') and u.pin = '5'),
          'infinity', 'confirmed');
select is_empty(
    $$ select what from iclock.copy_site('F-A')
        where serial_number = 'F-D' and what = 'user' $$, 'and not sent again');
update iclock.device_user
   set ends_at = case when device_id = pg_temp.device('F-D')
                      then timestamp '2026-07-01' end
 where pin = '5';
select is_empty(
    $$ select what from iclock.copy_site('F-A')
        where serial_number = 'F-D' and what = 'user' $$,
    'what nobody has said is no difference');
select is(pg_temp.limits_sent(),
          E'\tStartDatetime=0\tEndDatetime=2026-07-01 00:00:00',
          'and what is sent for another reason keeps the limit');
update iclock.device_user
   set starts_at = null, ends_at = null, time_zone = '0000000000000000',
       verify = -1
 where pin = '5';
update iclock.device_user set verify = -1 where pin = '5';
select ok(exists (select from pg_temp.poll('F-D') as b
                   where b = E'DATA UPDATE FACE PIN=5\tFID=0\tSize=8\tValid=1\tTMP=ZmFjZQ=='),
          'in the form of its dialect');

select is(iclock.algorithm_version(pg_temp.device('F-C'), 1), '9', 'INFO');
select pg_temp.option('F-C', 'MultiBioVersion', '0:10.3:0:7:0:0:0:0:12:58.12');
select is(iclock.algorithm_version(pg_temp.device('F-C'), t), v,
          format('MultiBioVersion, type %s', t))
  from (values (1, '10.3'), (3, '7'), (8, '12'), (9, '58.12'), (2, '0'),
               (7, '0')) as m (t, v);
select is(iclock.algorithm_version(pg_temp.device('F-D'), 1), null,
          'not known');
select pg_temp.option('F-X', 'MultiBioDataSupport', '0:1:0:0:0:0:0:0:0:1');
select is(iclock.algorithm_version(pg_temp.device('F-X'), t), v,
          format('MultiBioDataSupport, type %s', t))
  from (values (1, '10'), (2, '0'), (8, '0'), (9, null)) as m (t, v);
select is_empty(
    $$ select from iclock.copy_user('5', 'F-A', 'F-C')
        where skipped_reason is not null
          and what like any (array['finger%', 'palm%']) $$,
    'once it has the version it is copied');

-- a photo is for terminals that cannot use the template

select pg_temp.upload_template('F-A', '5', 9, 0, 58, 'visible');
create function pg_temp.face(serial_number text) returns text[]
    language sql as $$
    select array_agg(coalesce(c.skipped_reason, 'sent') order by c.what desc)
      from iclock.copy_user('5', 'F-A', $1) as c
     where c.what ~ '^(visible|comparison)'
$$;
select is(pg_temp.face('F-C'),
          array['sent', 'its template does for the terminal'],
          'a template that fits, and no photo');
select is(pg_temp.face('F-B'), array['sent', 'sent'],
          'both, if nobody knows whether it fits');
select pg_temp.option('F-C', 'MultiBioVersion', '0:10.3:0:7:0:0:0:0:12:40');
select is(pg_temp.face('F-C'),
          array['it is of version 58 of the algorithm, the terminal has '
                'version 40', 'sent'], 'the photo, if it does not');
delete from iclock.template where type = 9;
delete from iclock.command where subject like E'user\t5\t%';

-- deleting is confirmed, too

select iclock.delete_fingerprint('F-B', '5', 6);
select pg_temp.poll('F-B');
select pg_temp.answer('F-B');
select set_eq($$ select type from iclock.template
                  where device_id = pg_temp.device('F-B') $$, array[8],
              'a deleted fingerprint');
select iclock.delete_user('F-B', '5');
select pg_temp.poll('F-B');
select pg_temp.answer('F-B', -5);
select is((select count(*)::int from iclock.device_user
            where device_id = pg_temp.device('F-B')), 1,
          'a command that failed changes nothing');
select iclock.delete_user('F-B', '5');
select pg_temp.poll('F-B');
select pg_temp.answer('F-B');
select is_empty(
    $$ select 1 from iclock.device_user where device_id = pg_temp.device('F-B')
       union all
       select 1 from iclock.template where device_id = pg_temp.device('F-B')
       union all
       select 1 from iclock.photo where device_id = pg_temp.device('F-B') $$,
    'a deleted user, with everything');
select lives_ok(
    $$ select iclock.apply_command(pg_temp.device('F-B'), b)
         from unnest(array['DATA UPDATE USERINFO', 'DATA UPDATE X',
                           E'DATA UPDATE FINGERTMP PIN=1\tFID=999999999999',
                           E'CLEAR LOG', 'DATA DELETE USERPIC',
                           E'DATA DELETE SMS UID=1']) as b
        where b <> 'DATA UPDATE USERINFO' $$,
    'commands queued by hand');
select iclock.queue_command('F-B', E'DATA UPDATE FINGERTMP PIN=1\tFID=1\tTMP=***');
select iclock.queue_command('F-B', 'DATA UPDATE USERINFO Name=x');
select pg_temp.poll('F-B');
select lives_ok($$ select pg_temp.answer('F-B') $$,
                'nonsense fails no answer');
select is((select count(*)::int from iclock.command
            where device_id = pg_temp.device('F-B') and status = 'done'
              and body like '%***'), 1, 'it is done all the same');

-- sync_site

delete from iclock.command;
delete from iclock.device_user;
delete from iclock.template;
delete from iclock.photo;
select pg_temp.upload_user('F-A', '1', 'One');
select pg_temp.upload_template('F-A', '1', 1, 1, 10, 'one', 'FP');
select pg_temp.upload_user('F-B', '2', 'Two');
select pg_temp.upload_user('F-C', '1', 'Uno');
update iclock.device_user set updated_at = now() - interval '1 day'
 where name = 'Uno';
select pg_temp.upload_template('F-C', '1', 1, 2, 10, 'two', 'FP');
select pg_temp.upload_user('F-X', '9', 'Elsewhere');

select throws_ok($$ select iclock.sync_site('Nowhere') $$, 'P0002',
                 'there is no device at site "Nowhere"');
select set_eq(
    $$ select serial_number, what from iclock.sync_site('Pune') $$,
    $$ values ('F-A', 'fingerprint 2 index 0 version 10'), ('F-A', 'user'),
              ('F-B', 'user'), ('F-B', 'fingerprint 1 index 0 version 10'),
              ('F-B', 'fingerprint 2 index 0 version 10'),
              ('F-C', 'user'), ('F-C', 'fingerprint 1 index 0 version 10'),
              ('F-D', 'user'), ('F-D', 'fingerprint 1 index 0 version 10'),
              ('F-D', 'fingerprint 2 index 0 version 10') $$,
    'each gets what it lacks');
select is(pg_temp.round(), 12, 'in one poll');
select set_eq(
    $$ select d.serial_number, u.pin, u.name from iclock.device_user u
         join iclock.device d on d.id = u.device_id
        where d.site = 'Pune' $$,
    $$ select s, p, n from unnest(array['F-A', 'F-B', 'F-C', 'F-D']) as s,
              (values ('1', 'One'), ('2', 'Two')) as u (p, n) $$,
    'then all hold the same people, the newest record of each');
select is_empty($$ select * from iclock.sync_site('Pune') $$,
                'nothing is left to do');
select is(pg_temp.waiting('F-E') + pg_temp.waiting('F-X'), 0,
          'nothing for a pending terminal or another site');
select is((select count(*)::int from iclock.copy_site('F-A', 'Delhi')), 4,
          'copy_site: everyone of a terminal to another site');
select is((select count(*)::int from iclock.copy_user_to_site('2', 'F-A')), 3,
          'copy_user_to_site: one of them to its own');
select is((select count(*)::int from iclock.delete_user_from_site('Pune', '2')),
          4, 'delete_user_from_site');
select pg_temp.round();
select is_empty(
    $$ select from iclock.sync_site('Pune') $$,
    'nobody comes back who was deleted everywhere');

-- enrol once, present everywhere

delete from iclock.command;
delete from iclock.device_user;
delete from iclock.template;
delete from iclock.photo;
select iclock.set_site('Pune', true);
select pg_temp.upload_user('F-A', '7', 'Ravi Kumar', '12');
select is(pg_temp.waiting(s), n, 'a user: ' || s)
  from (values ('F-A', 0), ('F-B', 1), ('F-C', 1), ('F-D', 1), ('F-E', 0),
               ('F-X', 0)) as w (s, n);
select pg_temp.upload_template('F-A', '7', 1, 3, 10, 'fp', 'FP');
select pg_temp.upload_photo('F-A', '7', 'user', '\xffd8ff');
select pg_temp.upload_photo('F-A', '7', 'attendance', '\xffd8fd');
select is(pg_temp.waiting('F-B'), 3,
          'its fingerprint and portrait; no photo of a punch');
select pg_temp.upload_user('F-A', '7', 'Ravi Kumar', '13');
select is(pg_temp.waiting('F-B'), 3, 'changed before it is sent: no more');
select is((select count(*)::int from pg_temp.poll('F-B') as b
            where b like '%Passwd=13%'), 1, 'but the new one');

-- the echo of what was just sent, before and after the answer

select pg_temp.upload_user('F-B', '7', 'Ravi Kum', '13');
select pg_temp.upload_template('F-B', '7', 1, 3, 10, 'fp', 'FP');
select is(pg_temp.waiting('F-A'), 0, 'an echo is not sent back');
select ok(not exists (select from iclock.command where body like '%Ravi Kum' || E'\t' || '%'),
          'nor is a name that the terminal cut off sent on');
select pg_temp.answer('F-B');
select pg_temp.upload_user('F-B', '7', 'Ravi Kum', '');
select pg_temp.upload_template('F-B', '7', 1, 3, 10, 'fp, converted', 'FP');
select pg_temp.upload_photo('F-B', '7', 'user', '\xffd8ff00');
select is(pg_temp.waiting('F-A'), 0, 'nor one after the answer');
select cmp_ok(pg_temp.round(), '>', 0, 'the others');
select is(pg_temp.round(), 0, 'nothing goes in circles');

-- a change at another terminal comes back

select pg_temp.upload_user('F-C', '7', 'Ravi K. Kumar', '13');
select is((select count(*)::int from iclock.command
            where status = 'queued' and body like '%Name=Ravi K. Kumar%'), 3,
          'a change elsewhere goes to all others');
select pg_temp.round();
select is(pg_temp.round(), 0, 'and comes to an end');
select set_eq(
    $$ select u.name from iclock.device_user u where u.pin = '7' $$,
    array['Ravi K. Kumar'], 'all hold it');

-- two who change the same at once come to an end as well

select pg_temp.upload_user('F-A', '7', 'Name of A', '13');
select pg_temp.upload_user('F-C', '7', 'Name of C', '13');
select pg_temp.round();
select pg_temp.round();
select pg_temp.round();
select is(pg_temp.round(), 0, 'two changes at once end');

-- a fingerprint whose user comes later

delete from iclock.command;
select pg_temp.upload_template('F-A', '8', 1, 3, 10, 'fp8', 'FP');
select is((select count(*)::int from iclock.command), 0,
          'a template without its user waits');
select pg_temp.upload_user('F-A', '8', 'Eight');
select results_eq(
    $$ select left(b, 24) from pg_temp.poll('F-B') as b $$,
    array['DATA UPDATE USERINFO PIN', 'DATA UPDATE FINGERTMP PI'],
    'and goes when the user is known, after it');
select pg_temp.round();

-- what an operator puts on one terminal is for all

delete from iclock.command;
select iclock.put_user('F-B', '10', 'Ten');
select pg_temp.poll('F-B');
select is((select count(*)::int from iclock.command), 1,
          'not before the terminal has it');
select pg_temp.answer('F-B');
select is(pg_temp.round(), 3, 'then the others get it');
select is(pg_temp.round(), 0, 'no circle');

-- deletes are not inferred

select iclock.delete_user('F-A', '10');
select pg_temp.round();
select is((select count(*)::int from iclock.device_user u
             join iclock.device d on d.id = u.device_id
            where u.pin = '10' and d.site = 'Pune'), 3,
          'deleted on one terminal only');

-- off again

delete from iclock.command;
select iclock.set_site('Pune', false);
select pg_temp.upload_user('F-A', '11', 'Eleven');
select is((select count(*)::int from iclock.command), 0, 'switched off');

-- whom a site removes is removed for good

delete from iclock.command;
delete from iclock.device_user;
delete from iclock.template;
delete from iclock.photo;
delete from iclock.removed_person;
delete from iclock.removed_from;
select iclock.set_site('Pune', true);
create function pg_temp.pass(minutes integer) returns void language sql as $$
    update iclock.removed_from
       set deleted_at = deleted_at - make_interval(mins => $1);
    update iclock.removed_person
       set removed_at = removed_at - make_interval(mins => $1);
    update iclock.command
       set finished_at = finished_at - make_interval(mins => $1)
$$;
create function pg_temp.who(serial_number text) returns text language sql as $$
    select string_agg(u.name, ',' order by u.name) from iclock.device_user u
     where u.device_id = pg_temp.device($1) and u.pin = '20'
$$;
create function pg_temp.queued() returns text[] language sql as $$
    select array_agg(d.serial_number || ' ' || left(c.body, 20)
                     order by d.serial_number, c.id)
      from iclock.command c join iclock.device d on d.id = c.device_id
     where c.status = 'queued'
$$;
select pg_temp.upload_user(s, '20', 'Gone')
  from unnest(array['F-A', 'F-B', 'F-C', 'F-D']) as s;
delete from iclock.command;
select is((select count(*)::int from iclock.delete_user_from_site('Pune', '20')),
          4, 'everywhere');
-- F-C is offline
select pg_temp.poll(s), pg_temp.answer(s)
  from unnest(array['F-A', 'F-B', 'F-D']) as s;
select pg_temp.upload_user('F-C', '20', 'Gone, uploaded');
select pg_temp.upload_template('F-C', '20', 1, 6, 10, 'gone', 'FP');
select pg_temp.upload_photo('F-C', '20', 'user', '\xffd8ff');
select is(pg_temp.queued(), array['F-C DATA DELETE USERINFO'],
          'a terminal that was offline uploads it: it goes nowhere');
select is_empty($$ select * from iclock.sync_site('Pune')
                    where what <> 'removal' $$, 'nor does sync_site bring it back');
select is_empty($$ select * from iclock.copy_site('F-C', 'Pune')
                    where skipped_reason is null $$, 'nor copy_site');
select is(pg_temp.queued(), array['F-C DATA DELETE USERINFO'],
          'the terminal gets one command');
update iclock.device set status = 'blocked' where serial_number = 'F-C';
update iclock.command set status = 'expired' where status = 'queued';
update iclock.device set status = 'active' where serial_number = 'F-C';
select results_eq($$ select serial_number, what
                       from iclock.sync_site('Pune') $$,
                  $$ values ('F-C', 'removal') $$,
                  'sync_site tells a terminal that has missed it');
select pg_temp.round();
select is(concat(pg_temp.who('F-A'), pg_temp.who('F-C')), '', 'gone');
select pg_temp.upload_user('F-X', '20', 'Of another site');
select is(pg_temp.who('F-X'), 'Of another site', 'another site has its own');
select pg_temp.upload_user('F-B', '20', 'Gone');
select is(pg_temp.queued(), array['F-B DATA DELETE USERINFO'],
          'an upload that a terminal repeats after the deletion is of before it');
select pg_temp.round();
select pg_temp.pass(11);
select pg_temp.upload_user('F-B', '20', 'Enrolled anew');
select is(pg_temp.queued(), array['F-A DATA UPDATE USERINFO',
          'F-C DATA UPDATE USERINFO', 'F-D DATA UPDATE USERINFO'],
          'later it is somebody who was enrolled there');
select is_empty('select from iclock.removed_person union all '
                'select from iclock.removed_from', 'and no longer removed');
select pg_temp.round();

-- the others enrol where the user never was
select iclock.delete_user_from_site('Pune', '20');
select pg_temp.poll('F-D');
select pg_temp.answer('F-D', -10);
select pg_temp.pass(11);
select pg_temp.upload_user('F-D', '20', 'Enrolled at D');
select is(pg_temp.queued(), array['F-A DATA DELETE USERINFO',
          'F-A DATA UPDATE USERINFO', 'F-B DATA DELETE USERINFO',
          'F-B DATA UPDATE USERINFO', 'F-C DATA DELETE USERINFO',
          'F-C DATA UPDATE USERINFO'],
          'a terminal that has no such user has deleted it, too');
select pg_temp.upload_template('F-C', '20', 1, 7, 10, 'of the old one', 'FP');
select ok(not exists (select from iclock.command c where c.subject like
                      E'user\t20\ttemplate\t1\t7%'),
          'what is being deleted elsewhere does not spread');
select pg_temp.round();
select is(pg_temp.who(s), 'Enrolled at D', s)
  from unnest(array['F-A', 'F-B', 'F-C', 'F-D']) as s;

-- put there by an operator
select iclock.delete_user_from_site('Pune', '20');
select pg_temp.round();
select iclock.put_user('F-A', '20', 'Put again');
select pg_temp.round();
select pg_temp.round();
select is(pg_temp.who(s), 'Put again', 'put_user: ' || s)
  from unnest(array['F-A', 'F-B', 'F-C', 'F-D']) as s;
select iclock.delete_user_from_site('Pune', '20');
select pg_temp.poll(s), pg_temp.answer(s) from unnest(array['F-B', 'F-D']) as s;
select iclock.copy_user('20', 'F-A', 'F-B');
select pg_temp.poll('F-B');
select pg_temp.answer('F-B');
select is(pg_temp.who('F-B'), 'Put again', 'copy_user');
select iclock.delete_user_from_site('Pune', '20');
select iclock.enroll_fingerprint('F-A', '20', 1);
select is_empty('select from iclock.removed_person', 'enroll_fingerprint');
delete from iclock.command;

-- who gets the PIN of somebody whom a terminal has yet to delete
delete from iclock.device_user where pin = '20';
delete from iclock.template where pin = '20';
delete from iclock.photo where pin = '20';
select iclock.set_site('Pune', false);
select pg_temp.upload_user(s, '20', 'Gone', '99')
  from unnest(array['F-A', 'F-C']) as s;
select pg_temp.upload_template('F-C', '20', 1, 6, 10, 'gone', 'FP');
select iclock.delete_user_from_site('Pune', '20');
select pg_temp.poll(s), pg_temp.answer(s)
  from unnest(array['F-A', 'F-B', 'F-D']) as s;
select iclock.put_user('F-A', '20', 'New');
select is_empty($$ select * from iclock.sync_site('Pune')
                    where what <> 'removal' $$,
                'gets nothing of theirs before a terminal has the new one');
select set_eq($$ select distinct what, skipped_reason
                   from iclock.copy_site('F-C') where what <> 'removal' $$,
              $$ values ('user', 'being deleted from the terminal') $$,
              'nor by copy_site()');
select results_eq($$ select substring(b from 'Name=\S+')
                       from pg_temp.poll('F-A') as b $$,
                  array['Name=New'], 'the new one is put');
select pg_temp.answer('F-A');
select set_eq($$ select serial_number, what from iclock.sync_site('Pune') $$,
              $$ values ('F-B', 'user'), ('F-C', 'user'), ('F-D', 'user') $$,
              'nor after');
select ok(not exists (select from iclock.command c
                       where c.body ~ 'Name=Gone|^DATA UPDATE FINGERTMP'),
          'nothing of it was queued');
select pg_temp.round();
select is(pg_temp.who(s), 'New', 'the new one: ' || s)
  from unnest(array['F-A', 'F-B', 'F-C', 'F-D']) as s;
select iclock.clear_users('F-C');
select set_eq($$ select distinct skipped_reason
                   from iclock.copy_site('F-C') $$,
              $$ values ('being deleted from the terminal') $$,
              'nor of a terminal that is to delete all of them');
select pg_temp.upload_user('F-C', '21', 'Gone as well');
select is_empty($$ select * from iclock.sync_site('Pune') where what = 'user'
                      and serial_number <> 'F-C' $$, 'nor by sync_site()');
delete from iclock.device_user where pin in ('20', '21');
delete from iclock.template where pin = '20';
delete from iclock.command;

-- What a terminal has yet to delete is of nobody who comes: the one who is put
-- there has nothing of it, and who is copied there gets all there is.
create function pg_temp.bodies(serial_number text, pin text) returns text
    language sql as $$
    select coalesce(string_agg(translate(c.body, E'\t', ' '), E'\n'
                               order by c.id), '')
      from iclock.command c
     where c.device_id = pg_temp.device($1) and c.status = 'queued'
       and c.subject ~ (E'^user\t' || $2 || E'(\t|$)')
$$;
select pg_temp.upload_user(s, '22', 'Gone', '99')
  from unnest(array['F-A', 'F-C']) as s;
update iclock.device_user
   set card = '4711', vice_card = '4712', privilege = 14, access_group = 7,
       time_zone = '0001000200030000', ends_at = '2026-06-30'
 where pin = '22';
select iclock.delete_user('F-C', '22');
select iclock.put_user('F-C', '22', 'New');
select is(pg_temp.bodies('F-C', '22'),
          E'DATA DELETE USERINFO PIN=22\n'
          'DATA UPDATE USERINFO PIN=22 Name=New Pri=0 Passwd= Card= Grp=1 '
          'TZ=0000000000000000 Verify=-1 ViceCard= StartDatetime=0 '
          'EndDatetime=0', 'put_user() takes nothing of the former');
select pg_temp.poll('F-C');
select pg_temp.answer('F-C');
select iclock.put_user('F-C', '22', card => '1');
select is(pg_temp.bodies('F-C', '22'),
          'DATA UPDATE USERINFO PIN=22 Name=New Pri=0 Passwd= Card=1 Grp=1 '
          'TZ=0000000000000000 Verify=-1 ViceCard= StartDatetime=0 '
          'EndDatetime=0', 'but of the new one');
delete from iclock.command;
select iclock.clear_users('F-C');
select iclock.put_user('F-C', '22', privilege => 0);
select is(pg_temp.bodies('F-C', '22'),
          'DATA UPDATE USERINFO PIN=22 Name= Pri=0 Passwd= Card= Grp=1 '
          'TZ=0000000000000000 Verify=-1 ViceCard=',
          'nor of a terminal that is to delete all of them');
delete from iclock.command;
delete from iclock.device_user where pin = '22';

create function pg_temp.doomed() returns void language sql as $$
    delete from iclock.command;
    delete from iclock.share_backlog;
    select pg_temp.upload_user(s, '23', 'Same', '99'),
           pg_temp.upload_template(s, '23', 1, 6, 10, 'same', 'FP'),
           pg_temp.upload_photo(s, '23', 'user', '\xffd8ff')
      from unnest(array['F-A', 'F-C']) as s;
    update iclock.device_user set ends_at = '2026-06-30'
     where pin = '23' and device_id = pg_temp.device('F-C');
    select iclock.delete_user('F-C', '23')
$$;
create function pg_temp.put_again() returns text language sql as $$
    select string_agg(substring(c.subject from E'23\t?(.*)'), ', '
                      order by c.subject)
      from iclock.command c
     where c.device_id = pg_temp.device('F-C') and c.status = 'queued'
       and not c.deletes and c.subject ~ E'^user\t23(\t|$)'
$$;
select pg_temp.doomed();
select count(*) from iclock.sync_site('Pune') \gset ignored_
select is(translate(pg_temp.put_again(), E'\t', ' '),
          ', photo user, template 1 6 0 10',
          'who is still there goes there again: sync_site()');
select is(substring(pg_temp.bodies('F-C', '23') from 'StartDate[^\n]*'),
          'StartDatetime=0 EndDatetime=0', 'without the limit of the former');
select is((select array_agg(command_id) from iclock.sync_site('Pune')
            where serial_number = 'F-C'),
          (select array_agg(c.id) from iclock.command c
            where c.device_id = pg_temp.device('F-C') and c.copied),
          'once');
select pg_temp.round();
select is_empty($$ select from iclock.sync_site('Pune')
                    where serial_number = 'F-C' $$, 'and is there then');
select pg_temp.doomed();
select count(*) from iclock.copy_site('F-A') \gset ignored_
select is(translate(pg_temp.put_again(), E'\t', ' '),
          ', photo user, template 1 6 0 10', 'copy_site()');
select pg_temp.doomed();
select iclock.copy_user('23', 'F-A', 'F-C');
select is(substring(pg_temp.bodies('F-C', '23') from 'StartDate[^\n]*'),
          'StartDatetime=0 EndDatetime=0', 'copy_user()');
select pg_temp.doomed();
select iclock.set_site('Pune', true);
select pg_temp.upload_template('F-A', '23', 1, 7, 10, 'seven', 'FP');
select is(translate(pg_temp.put_again(), E'\t', ' '),
          ', photo user, template 1 6 0 10, template 1 7 0 10',
          'who is enrolled elsewhere');
select iclock.set_site('Pune', false);
select pg_temp.doomed();
insert into iclock.share_backlog (target_id, source_id, pin)
values (pg_temp.device('F-C'), pg_temp.device('F-A'), '23');
select iclock.take_backlog(pg_temp.device('F-C'));
select is(translate(pg_temp.put_again(), E'\t', ' '),
          ', photo user, template 1 6 0 10, template 1 7 0 10',
          'who is noted for the terminal');
select pg_temp.doomed();
update iclock.device_user set updated_at = now() - interval '1 hour'
 where pin = '23';
update iclock.template set updated_at = now() - interval '1 hour'
 where pin = '23';
update iclock.photo set received_at = now() - interval '1 hour'
 where pin = '23';
update iclock.command set status = 'failed', return_code = -5,
                          finished_at = now() - interval '30 minutes';
select count(*) from iclock.sync_site('Pune') \gset ignored_
select is(translate(pg_temp.put_again(), E'\t', ' '),
          ', photo user, template 1 6 0 10, template 1 7 0 10',
          'and where the deletion has failed');
select pg_temp.round();
select is_empty($$ select from iclock.sync_site('Pune')
                    where serial_number = 'F-C' $$, 'not more than once');
select pg_temp.doomed();
select pg_temp.poll('F-C'), pg_temp.answer('F-C', -10);
select pg_temp.pass(30);
select count(*) from iclock.sync_site('Pune') \gset ignored_
select is(translate(pg_temp.put_again(), E'\t', ' '),
          ', photo user, template 1 6 0 10, template 1 7 0 10',
          'and where there is no such user');

-- who is put behind a deletion that fails
create function pg_temp.behind(return_codes text) returns text
    language plpgsql as $$
declare
    code  text;
begin
    perform pg_temp.doomed();
    update iclock.device_user set updated_at = now() - interval '1 hour'
     where pin = '23';
    update iclock.template set updated_at = now() - interval '1 hour'
     where pin = '23';
    update iclock.photo set received_at = now() - interval '1 hour'
     where pin = '23';
    delete from iclock.device_user
     where pin = '23' and device_id = pg_temp.device('F-A');
    delete from iclock.template
     where pin = '23' and device_id = pg_temp.device('F-A');
    perform iclock.put_user('F-C', '23', 'New');
    perform pg_temp.poll('F-C');
    if return_codes = 'together' then
        perform iclock.answer_commands(
                    array_agg(c.device_id order by c.id),
                    array_agg(c.id order by c.id),
                    array_agg(case when c.deletes then -3 else 0 end
                              order by c.id), array_agg(null::bytea))
           from iclock.command c
          where c.status = 'sent' and c.device_id = pg_temp.device('F-C');
    else
        for code in select unnest(string_to_array(return_codes, ' ')) loop
            perform iclock.answer_commands(array[c.device_id], array[c.id],
                        array[case when c.deletes then -3 else 0 end],
                        array[null::bytea])
               from iclock.command c
              where c.status = 'sent' and c.device_id = pg_temp.device('F-C')
                and c.deletes = (code = 'deletion');
            update iclock.command
               set sent_at = sent_at - interval '30 seconds',
                   finished_at = finished_at - interval '30 seconds';
            update iclock.device_user
               set updated_at = updated_at - interval '30 seconds'
             where pin = '23';
        end loop;
    end if;
    return (select string_agg(distinct c.what, ', ' order by c.what)
              from iclock.sync_site('Pune') as c
             where c.serial_number = 'F-B');
end
$$;
select is(pg_temp.behind(how), 'user',
          'who is put behind it is there, without the templates of the '
          'former: ' || how)
  from unnest(array['together', 'deletion put', 'put deletion']) as how;

-- a deletion that is to be done another day
select pg_temp.doomed();
update iclock.command set not_before = now() + interval '1 day' where deletes;
select is_empty($$ select from iclock.sync_site('Pune')
                    where serial_number = 'F-C' and what !~ ' 7 ' $$,
                'who is to be deleted later is there');
select iclock.put_user('F-C', '23', card => '1');
select alike(pg_temp.bodies('F-C', '23'), '%Passwd=99 Card=1 %',
             'and keeps the password');
select pg_temp.doomed();
delete from iclock.command;
select iclock.clear_users('F-C');
update iclock.command set not_before = now() + interval '1 day' where deletes;
select is_empty($$ select from iclock.sync_site('Pune')
                    where serial_number = 'F-C' and what !~ ' 7 ' $$,
                'so are all of them');
update iclock.command set not_before = now() - interval '1 day' where deletes;
select isnt_empty($$ select from iclock.sync_site('Pune')
                      where serial_number = 'F-C' and what !~ ' 7 ' $$,
                  'until that day');
delete from iclock.device_user where pin = '23';
delete from iclock.template where pin = '23';
delete from iclock.photo where pin = '23';
delete from iclock.command;

-- whom a terminal has not deleted when it was told to

create function pg_temp.missed(how text) returns void language plpgsql as $$
begin
    delete from iclock.removed_person where pin = '20';
    delete from iclock.command;
    delete from iclock.device_user where pin = '20';
    delete from iclock.template where pin = '20';
    delete from iclock.photo where pin = '20';
    perform pg_temp.upload_user(s, '20', 'Gone', '99')
       from unnest(array['F-A', 'F-C']) as s;
    perform pg_temp.upload_template('F-C', '20', 1, 6, 10, 'gone', 'FP');
    perform pg_temp.upload_photo('F-C', '20', 'user', '\xffd8ff');
    update iclock.device_user set updated_at = now() - interval '1 hour'
     where pin = '20';
    update iclock.template set updated_at = now() - interval '1 hour'
     where pin = '20';
    update iclock.photo set received_at = now() - interval '1 hour'
     where pin = '20';
    if how = 'blocked' then
        perform iclock.block_device('F-C');
    end if;
    perform iclock.delete_user_from_site('Pune', '20');
    perform pg_temp.poll(s), pg_temp.answer(s)
       from unnest(array['F-A', 'F-B', 'F-D']) as s;
    if how = 'failed' then
        perform pg_temp.poll('F-C'), pg_temp.answer('F-C', -5);
    elsif how = 'removed' then
        update iclock.command
           set status = 'cancelled', reason = 'the device was removed'
         where status = 'queued';
    elsif how = 'expired' then
        update iclock.command set status = 'expired' where status = 'queued';
    end if;
    perform pg_temp.pass(30);
    update iclock.device set status = 'active' where serial_number = 'F-C';
    perform iclock.put_user('F-A', '20', 'New', password => '1');
    perform pg_temp.poll('F-A'), pg_temp.answer('F-A');
end
$$;
create function pg_temp.sent() returns text language sql as $$
    select string_agg(distinct c.what, ', ' order by c.what)
      from iclock.sync_site('Pune') as c where c.serial_number <> 'F-C'
$$;
create function pg_temp.spread(how text) returns text language plpgsql as $$
declare
    sent  text;
begin
    perform pg_temp.missed(how);
    sent := pg_temp.sent();
    if exists (select from iclock.command c
                where c.body ~ 'Name=Gone|Passwd=99|^DATA UPDATE (FING|USERP)')
    then
        sent := sent || ', of the former';
    end if;
    return sent;
end
$$;
select is(pg_temp.spread(how), 'user', 'nothing of theirs: ' || how)
  from unnest(array['failed', 'expired', 'blocked', 'removed']) as how;
select pg_temp.missed('failed');
delete from iclock.device_user where pin = '20' and name <> 'Gone';
select is(pg_temp.sent(), null, 'nor when nobody else has the PIN');
select set_eq($$ select distinct what, skipped_reason
                   from iclock.copy_site('F-C') $$,
              $$ values ('user', 'the terminal has not deleted it when it '
                                 'was told to') $$, 'nor by copy_site()');
select iclock.set_site('Pune', true);
select pg_temp.upload_template('F-C', '20', 1, 7, 10, 'seven', 'FP');
select is(pg_temp.waiting('F-B'), 0, 'nor with what is enrolled there');
select iclock.put_user('F-C', '20', 'New');
select is_empty($$ select b from pg_temp.poll('F-C') as b
                    where b ~ 'Passwd=99' $$,
                'who is put there does not get the password of the former');
select pg_temp.answer('F-C');
select pg_temp.upload_template('F-C', '20', 1, 8, 10, 'eight', 'FP');
select is(array(select c.subject from iclock.command c
                 where c.device_id = pg_temp.device('F-B')
                   and c.status = 'queued' order by 1),
          array[E'user\t20', E'user\t20\ttemplate\t1\t7\t0\t10',
                E'user\t20\ttemplate\t1\t8\t0\t10'],
          'who is put there is sent with what has come since');
select iclock.set_site('Pune', false);
select pg_temp.missed('failed');
select iclock.delete_user('F-C', '20');
select pg_temp.poll('F-C'), pg_temp.answer('F-C', -10);
select pg_temp.pass(30);
select is(pg_temp.sent(), 'user', 'nor where there is no such user');
select is_empty(
    $$ select 1 from iclock.device_user
        where device_id = pg_temp.device('F-C') and pin = '20'
       union all
       select 1 from iclock.template
        where device_id = pg_temp.device('F-C') and pin = '20'
       union all
       select 1 from iclock.photo
        where device_id = pg_temp.device('F-C') and pin = '20' $$,
    'nothing of the user is there');
select pg_temp.upload_user('F-C', '20', 'Gone', '99');
create function pg_temp.former(pin text) returns boolean language sql as $$
    select iclock.is_former(u) from iclock.device_user u
     where u.pin = $1 and u.device_id = pg_temp.device('F-C')
$$;
select is(pg_temp.former('20'), false, 'who is enrolled there now is');
update iclock.device_user set updated_at = now() - interval '1 hour'
 where pin = '20' and device_id = pg_temp.device('F-C');
select is(pg_temp.former('20'), true,
          'what an earlier version kept is of nobody');
select pg_temp.missed('failed');
select iclock.copy_user('20', 'F-C', 'F-B');
select is(pg_temp.waiting('F-B'), 3, 'copy_user() copies what is there');

delete from iclock.removed_person where pin = '20';
delete from iclock.device_user where pin = '20';
delete from iclock.template where pin = '20';
delete from iclock.photo where pin = '20';
delete from iclock.command;
select iclock.set_site('Pune', true);

-- a copy that was queued by whoever did not see the removal yet
select iclock.delete_user_from_site('Pune', '20');
select iclock.queue_copy(pg_temp.device('F-B'), E'user\t20', 'DATA UPDATE x');
select results_eq($$ select left(b, 20) from pg_temp.poll('F-B') as b $$,
                  array['DATA DELETE USERINFO'], 'is not sent');
select is((select reason from iclock.command where status = 'cancelled'),
          'removed from the site', 'and says why');
select pg_temp.round();
select iclock.set_site('Pune', false);
select pg_temp.pass(1);
delete from iclock.removed_from;
select pg_temp.upload_user('F-B', '20', 'Gone');
select is(pg_temp.queued(), array['F-B DATA DELETE USERINFO'],
          'a site that does not share its people removes them as well');
select iclock.clear_users('F-B');
select pg_temp.poll('F-B');
select pg_temp.answer('F-B');
select is((select count(*)::int from iclock.removed_from), 1,
          'who deletes all has deleted it');
delete from iclock.removed_person;
delete from iclock.command;

-- a terminal that was not there then has never held the one who was removed
select iclock.set_site('Pune', true);
select iclock.delete_user_from_site('Pune', '20');
select pg_temp.round();
insert into iclock.device (serial_number, status, site, dialect)
values ('F-NEW', 'active', 'Pune', '2.4');
select pg_temp.upload_user('F-NEW', '20', 'Enrolled at a new one');
select is(pg_temp.queued(), array['F-A DATA UPDATE USERINFO',
          'F-B DATA UPDATE USERINFO', 'F-C DATA UPDATE USERINFO',
          'F-D DATA UPDATE USERINFO'],
          'a terminal that is newer than the removal uploads somebody else');
select is_empty('select from iclock.removed_person', 'who is not removed');
select pg_temp.round();
select iclock.delete_user_from_site('Pune', '20');
select pg_temp.round();
update iclock.device set site = 'Pune' where serial_number = 'F-X';
select is_empty($$ select * from iclock.sync_site('Pune')
                    where serial_number = 'F-X' and what = 'removal' $$,
                'one that comes from another site brings its own');
select pg_temp.upload_user('F-X', '20', 'Of another site, enrolled');
select ok(not 'F-X DATA DELETE USERINFO' = any (pg_temp.queued()),
          'and keeps them');
update iclock.device set site = 'Delhi' where serial_number = 'F-X';
delete from iclock.command;
select iclock.delete_user_from_site('Pune', '20');
select pg_temp.round();
select pg_temp.upload_user('F-NEW', '20', 'Enrolled at a new one');
select is(pg_temp.queued(), array['F-NEW DATA DELETE USERINFO'],
          'who is removed again is removed from all that are there now');
delete from iclock.command;

-- an operator knows better
select ok(iclock.readmit_user('Pune', '20'), 'a removal is ended');
select ok(not iclock.readmit_user('Pune', '20'), 'there was none');
select is_empty('select from iclock.removed_person union all '
                'select from iclock.removed_from', 'and forgotten');
select pg_temp.upload_user('F-NEW', '20', 'Stays');
select ok(not exists (select from iclock.command c where c.deletes),
          'whoever is uploaded stays');
delete from iclock.command;
delete from iclock.device where serial_number = 'F-NEW';
select iclock.set_site('Pune', false);

-- as nginx

create function pg_temp.as_module(statement text) returns text
    language plpgsql as $$
begin
    set local role iclock_module;
    execute statement;
    reset role;
    return 'ok';
exception when others then
    reset role;
    return sqlerrm;
end
$$;
select iclock.set_site('Pune', true);
select is(pg_temp.as_module($$
    insert into iclock.device_user (device_id, pin, name)
    select id, '12', 'Twelve' from iclock.device where serial_number = 'F-A'
    on conflict (device_id, pin) do update set name = excluded.name $$),
    'ok', 'nginx, which may not queue commands, uploads');
select is(pg_temp.waiting('F-B'), 1, 'and the copy is queued');

-- many at once are noted, and sent some at each poll

delete from iclock.command;
insert into iclock.device_user (device_id, pin, name)
select pg_temp.device('F-A'), n, 'N' || n from generate_series(1001, 1120) as n;
select is(pg_temp.waiting('F-B'), 0, 'an upload of many does not wait for copies');
select set_eq($$ select iclock.due_devices() $$, array['F-B', 'F-C', 'F-D'],
              'the others are due');
select is((select count(*)::int from pg_temp.poll('F-B')), 50, 'first poll');
select is((select count(*)::int from pg_temp.poll('F-B')), 50, 'second poll');
select is((select count(*)::int from pg_temp.poll('F-B')), 20, 'third poll');
select is((select count(*)::int from pg_temp.poll('F-B')), 0, 'then none');
select pg_temp.answer('F-B');
select pg_temp.round();
select pg_temp.round();
select pg_temp.round();
select is(pg_temp.round(), 0, 'all have them');
select is((select count(*)::int from iclock.device_user
            where pin ~ '^1[01]..$' and name like 'N%'), 480,
          'each of them once on each terminal');
select is_empty('select from iclock.share_backlog', 'nothing is left');

-- simulated devices are beside all that

insert into iclock.device (serial_number, status, site, dialect, sandbox,
                           fingerprint_version)
values ('F-S', 'active', 'Pune', '2.4', true, '10');
delete from iclock.command;
select pg_temp.upload_user('F-S', '9001', 'Nobody');
select pg_temp.upload_user('F-A', '9002', 'Somebody');
select is(pg_temp.waiting('F-A'), 0, 'nothing comes from a simulated device');
select is(pg_temp.waiting('F-S'), 0, 'nor goes to one');
select is(pg_temp.waiting('F-B'), 1, 'others share');
select iclock.sync_site('Pune');
select iclock.copy_site('F-A');
select iclock.copy_user_to_site('9002', 'F-A');
select is(pg_temp.waiting('F-S'), 0, 'nor when somebody asks for it');
select is((select count(*)::int from iclock.command
            where subject like E'user\t9001%'), 0, 'nor from there');

insert into iclock.device_user (device_id, pin)
values (pg_temp.device('F-S'), '9002');
insert into iclock.removed_person (site, pin, terminals)
values ('Pune', '9002', '{}');
select iclock.put_user('F-S', '9002', 'Somebody');
select is((select count(*)::int from iclock.removed_person where pin = '9002'),
          1, 'who is put on one is removed as before');
select count(*) from iclock.copy_user('9002', 'F-A', 'F-S') \gset ignored_
select is((select count(*)::int from iclock.removed_person where pin = '9002'),
          1, 'who is copied to one, too');
select ok(exists (select from pg_temp.poll('F-S') as b
                   where b like 'DATA UPDATE USERINFO PIN=9002%'),
          'and gets there');
select pg_temp.answer('F-S');
select iclock.delete_user('F-S', '9002');
select pg_temp.poll('F-S');
select pg_temp.answer('F-S');
select is_empty($$ select from iclock.removed_from where pin = '9002' $$,
                'a deletion there is none of the site');
select throws_ok(format('select iclock.%s', f), '22023',
                 'argument "from_serial" is simulated', f)
  from unnest(array[$$copy_user('9001', 'F-S', 'F-A')$$,
                    $$copy_user_to_site('9001', 'F-S')$$,
                    $$copy_site('F-S')$$]) as f;
select iclock.put_user('F-B', '9002', 'Somebody');
select is((select count(*)::int from iclock.removed_person where pin = '9002'),
          0, 'whoever is put on a terminal is not');

-- comparing

select is(iclock.card_number(c), n, 'card ' || c)
  from (values ('[15CD5B07]', '123456789'), ('123456789', '123456789'),
               ('0123', '123'), ('', ''), ('0', ''), ('[000]', ''),
               ('[00000000]', ''), ('[15CD5B0700]', '123456789'))
       as c (c, n);

select * from finish();
rollback;
