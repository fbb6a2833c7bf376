-- The queue of commands: order, what supersedes what, retries, and plans that
-- need neither ANALYZE nor luck.

\ir ../fixtures/pgtap.psql

delete from iclock.command;
insert into iclock.device (serial_number, status)
values ('Q-A', 'active'), ('Q-B', 'active');

create function pg_temp.device() returns bigint language sql as $$
    select pg_temp.device('Q-A')
$$;
create function pg_temp.poll(number bigint default null,
                             max_count integer default 200,
                             max_bytes integer default 40960,
                             attempts integer default 3)
    returns setof text language sql as $$
    select c.body
      from iclock.dequeue_commands(array[pg_temp.device()], array[$2],
                                   array[$3], '{600}', array[$4],
                                   array[$1]) as c
$$;
create function pg_temp.answer(body text, code integer default 0)
    returns void language sql as $$
    select iclock.answer_commands(array_agg(c.device_id), array_agg(c.id),
                                  array_agg($2), array_agg(null::bytea))
      from iclock.command c
     where c.body = $1 and c.device_id = pg_temp.device()
$$;
create function pg_temp.pass(seconds integer) returns void language sql as $$
    update iclock.command
       set sent_at = sent_at - make_interval(secs => $1),
           not_before = not_before - make_interval(secs => $1)
     where sent_at is not null or not_before is not null
$$;
create function pg_temp.queue(variadic bodies text[]) returns void
    language sql as $$
    select iclock.queue_command('Q-A', b) from unnest($1) as b
$$;
create function pg_temp.state(body text) returns text language sql as $$
    select c.status || c.attempts from iclock.command c
     where c.body = $1 and c.device_id = pg_temp.device()
     order by c.id desc limit 1
$$;


-- any priority

insert into iclock.command (device_id, body, priority)
values (pg_temp.device(), 'LAST', -2147483648),
       (pg_temp.device(), 'FIRST', 2147483647);
select results_eq($$ select * from pg_temp.poll() $$, array['FIRST', 'LAST'],
                  'the highest and the lowest priority');
delete from iclock.command;


-- subjects

select is(iclock.command_subject(b), s, 'subject: ' || b)
  from (values
    (E'DATA UPDATE USERINFO PIN=5\tName=A B', E'user\t5'),
    ('DATA DELETE USERINFO PIN=5', E'user\t5'),
    (E'data delete userinfo pin=5', E'user\t5'),
    ('DATA DELETE USERINFO', 'user'), ('CLEAR DATA', 'user'),
    ('CLEAR ALL USERINFO', 'user'), ('DATA UPDATE USERINFO Name=x', null),
    (E'DATA UPDATE USEREXTINFO PIN=5\tRecheckMin=0', E'user\t5\textension'),
    (E'DATA UPDATE FINGERTMP PIN=5\tFID=06\tSize=3\tValid=1\tTMP=SSg',
     E'user\t5\ttemplate\t1\t6\t0\t10'),
    (E'DATA UPDATE FINGERTMP PIN=5\tFID=0\tSize=3\tValid=1\tTMP=oco',
     E'user\t5\ttemplate\t1\t0\t0\t9'),
    (E'DATA UPDATE FACE PIN=5\tFID=2\tSize=1\tValid=1\tTMP=x',
     E'user\t5\ttemplate\t2\t2\t0\t7'),
    (E'DATA UPDATE FVEIN Pin=5\tFID=2\tIndex=1\tValid=1\tSize=1\tTmp=x',
     E'user\t5\ttemplate\t7\t2\t1\t3'),
    (E'DATA UPDATE BIODATA Pin=5\tNo=1\tIndex=2\tType=8\tMajorVer=12\tTmp=x',
     E'user\t5\ttemplate\t8\t1\t2\t12'),
    (E'DATA DELETE FINGERTMP PIN=5\tFID=6', E'user\t5\ttemplate\t1\t6'),
    ('DATA DELETE FINGERTMP PIN=5', E'user\t5\ttemplate\t1'),
    ('DATA DELETE FINGERTMP', E'user\t\ttemplate\t1'),
    ('DATA DELETE BIODATA Pin=5', E'user\t5\ttemplate'),
    (E'DATA DELETE BIODATA Pin=5\tType=8\tNo=1', E'user\t5\ttemplate\t8\t1'),
    ('CLEAR BIODATA', E'user\t\ttemplate'),
    (E'DATA UPDATE USERPIC PIN=5\tSize=1\tContent=x', E'user\t5\tphoto\tuser'),
    ('DATA DELETE USERPIC PIN=5', E'user\t5\tphoto\tuser'),
    (E'DATA UPDATE BIOPHOTO PIN=5\tType=9\tContent=x',
     E'user\t5\tphoto\tcomparison\t9'),
    ('DATA DELETE BIOPHOTO PIN=5', E'user\t5\tphoto\tcomparison'),
    (E'DATA UPDATE SMS MSG=x\tTAG=253\tUID=7', E'message\t7'),
    ('DATA DELETE SMS', 'message'),
    (E'DATA UPDATE USER_SMS PIN=5\tUID=7', E'message\t7\t5'),
    (E'DATA UPDATE WORKCODE PIN=1\tCODE=12\tNAME=x', E'work code\t12'),
    ('DATA DELETE WORKCODE', 'work code'),
    (E'DATA UPDATE JOBCODE Number=3\tName=x\tJobCodeGroupId=1',
     E'job code group\t1\t3'),
    (E'DATA UPDATE AccTimeZone UID=3\tSunStart=0000', E'time period\t3'),
    ('DATA DELETE TIMEZONE TZID=3', E'time period\t3'),
    ('RESET ALL TIMEZONE', 'time period'),
    (E'DATA UPDATE BELL BellID=1\tTime=08:00', E'bell\t1'),
    ('CLEAR ALL BELL', 'bell'), ('CLEAR LOG', 'attendance'),
    ('SET OPTION Delay=5', E'option\tDelay'),
    ('SET OPTION ~Delay=5', E'option\tDelay'),
    ('SET OPTION A=1,B=2', null),
    (E'ENROLL_FP PIN=5\tFID=6\tRETRY=3',
     E'user\t5\tenrolment\tENROLL_FP\t6'),
    ('ENROLL_FP FID=6', null),
    ('REBOOT', null), ('CHECK', null), ('AC_UNLOCK', null), ('SHELL ls', null),
    (E'DATA QUERY USERINFO PIN=5', null), ('DATA UPDATE NOSUCH X=1', null),
    ('DATA', null), ('DATA UPDATE', null), ('', null),
    ('DATA UPDATE USERINFO PIN=' || repeat('x', 2500), null)) as s (b, s);
select is(iclock.subjects_above(E'user\t5\ttemplate\t1\t6\t0\t10'),
          array['user', E'user\t5', E'user\t5\ttemplate', E'user\t\ttemplate',
                E'user\t5\ttemplate\t1', E'user\t\ttemplate\t1',
                E'user\t5\ttemplate\t1\t6', E'user\t\ttemplate\t1\t6'],
          'what a template is part of');
-- every typed command that puts or deletes something has one
select is(c.subject is null, d.name ~ '^(query|check|send|reload|get|put_file)',
          'a subject: ' || d.name)
  from (values
    ('put_user', iclock.put_user('Q-B', '5', 'A')),
    ('put_user_extension', iclock.put_user_extension('Q-B', '5')),
    ('put_identity_card', iclock.put_identity_card('Q-B', 'X1')),
    ('blacklist_identity_card', iclock.blacklist_identity_card('Q-B', 'X1')),
    ('put_fingerprint', iclock.put_fingerprint('Q-B', '5', 1, 'x')),
    ('put_face', iclock.put_face('Q-B', '5', 1, 'x')),
    ('put_finger_vein', iclock.put_finger_vein('Q-B', '5', 1, 1, 'x')),
    ('put_template', iclock.put_template('Q-B', '5', 9, 'x')),
    ('put_photo', iclock.put_photo('Q-B', '5', 'x')),
    ('put_comparison_photo', iclock.put_comparison_photo('Q-B', '5', 'x')),
    ('put_publicity_picture', iclock.put_publicity_picture('Q-B', 1, 'x')),
    ('put_message', iclock.put_message('Q-B', 1, 'x')),
    ('assign_message', iclock.assign_message('Q-B', '5', 1)),
    ('put_work_code', iclock.put_work_code('Q-B', '1', 'x')),
    ('put_job_code_group', iclock.put_job_code_group('Q-B', 1, 'x')),
    ('put_job_code', iclock.put_job_code('Q-B', 1, 'x', 1)),
    ('put_tip_code', iclock.put_tip_code('Q-B', 1, 'x')),
    ('put_time_period', iclock.put_time_period('Q-B', 1)),
    ('put_access_group', iclock.put_access_group('Q-B', 1)),
    ('put_holiday', iclock.put_holiday('Q-B', 1, 'x', '2026-12-25')),
    ('put_unlock_combination', iclock.put_unlock_combination('Q-B', 1, 1)),
    ('put_bell', iclock.put_bell('Q-B', 1, '08:00')),
    ('put_shortcut_key', iclock.put_shortcut_key('Q-B', 1, 1)),
    ('put_function_key', iclock.put_function_key('Q-B', 1, 1)),
    ('map_status_code', iclock.map_status_code('Q-B', 1, 1)),
    ('put_self_service', iclock.put_self_service('Q-B', 1, 'x')),
    ('set_option', iclock.set_option('Q-B', 'Delay', '5')),
    ('enroll_fingerprint', iclock.enroll_fingerprint('Q-B', '5', 1)),
    ('enroll_card', iclock.enroll_card('Q-B', '5')),
    ('enroll_template', iclock.enroll_template('Q-B', '5', 9)),
    ('delete_user', iclock.delete_user('Q-B', '5')),
    ('delete_template', iclock.delete_template('Q-B', '5')),
    ('clear_users', iclock.clear_users('Q-B')),
    ('query_user', iclock.query_user('Q-B', '5')),
    ('check_data', iclock.check_data('Q-B')),
    ('get_file', iclock.get_file('Q-B', '/x'))) as d (name, id)
  join iclock.command c on c.id = d.id;
delete from iclock.command;


-- the newest command about a subject counts

select pg_temp.queue(E'DATA UPDATE USERINFO PIN=5\tName=Old',
                     E'DATA UPDATE FINGERTMP PIN=5\tFID=1\tTMP=x',
                     E'DATA UPDATE USERPIC PIN=5\tContent=x',
                     E'DATA UPDATE USERINFO PIN=6\tName=Other',
                     'DATA DELETE USERINFO PIN=5',
                     E'DATA UPDATE USERINFO PIN=5\tName=New');
select results_eq(
    $$ select * from pg_temp.poll() $$,
    array[E'DATA UPDATE USERINFO PIN=6\tName=Other',
          'DATA DELETE USERINFO PIN=5',
          E'DATA UPDATE USERINFO PIN=5\tName=New'],
    'what a newer one supersedes does not go out; a deletion does, whatever '
    'follows it');
select set_eq(
    $$ select c.status, left(c.body, 21), n.body, c.finished_at = now()
         from iclock.command c
         join iclock.command n
           on c.reason = 'superseded by command ' || n.id $$,
    $$ values ('cancelled', 'DATA UPDATE USERINFO ',
               E'DATA UPDATE USERINFO PIN=5\tName=New', true),
              ('cancelled', 'DATA UPDATE FINGERTMP',
               'DATA DELETE USERINFO PIN=5', true),
              ('cancelled', 'DATA UPDATE USERPIC P',
               'DATA DELETE USERINFO PIN=5', true) $$,
    'but ends with a word why');
delete from iclock.command;

select pg_temp.queue(E'DATA UPDATE USERINFO PIN=5\tName=Lost');
select pg_temp.poll();
select pg_temp.queue('DATA DELETE USERINFO PIN=5');
select results_eq($$ select * from pg_temp.poll() $$,
                  array['DATA DELETE USERINFO PIN=5'],
                  'a deletion does not wait for what it deletes');
select pg_temp.answer('DATA DELETE USERINFO PIN=5');
select pg_temp.pass(600);
select is_empty($$ select * from pg_temp.poll() $$,
                'an unanswered one does not come after it');
select is(pg_temp.state(E'DATA UPDATE USERINFO PIN=5\tName=Lost'),
          'cancelled1', 'it ends');
insert into iclock.device_user (device_id, pin) values (pg_temp.device(), '9');
select pg_temp.answer(E'DATA UPDATE USERINFO PIN=5\tName=Lost');
select is(pg_temp.state(E'DATA UPDATE USERINFO PIN=5\tName=Lost'), 'done1',
          'its late answer counts');
select set_eq($$ select pin from iclock.device_user
                  where device_id = pg_temp.device() $$, array['9'],
              'but not against the newer one');
delete from iclock.command;

select pg_temp.queue('DATA DELETE FINGERTMP PIN=5',
                     E'DATA UPDATE FINGERTMP PIN=5\tFID=1\tTMP=x');
select is((select count(*)::int from pg_temp.poll()), 2,
          'a deletion, then what is to be there: together');
select pg_temp.answer(E'DATA UPDATE FINGERTMP PIN=5\tFID=1\tTMP=x');
select pg_temp.pass(600);
select is_empty($$ select * from pg_temp.poll() $$,
                'the deletion does not come again after it');
delete from iclock.command;

select pg_temp.queue(E'DATA UPDATE FINGERTMP PIN=5\tFID=1\tTMP=x',
                     'DATA DELETE FINGERTMP PIN=6', 'DATA DELETE FACE PIN=5',
                     E'DATA DELETE FINGERTMP PIN=5\tFID=2',
                     'DATA DELETE USERINFO PIN=55', 'DATA DELETE USERPIC PIN=5');
select is((select count(*)::int from pg_temp.poll()), 6,
          'others supersede nothing');
delete from iclock.command;

select pg_temp.queue(E'DATA UPDATE FINGERTMP PIN=5\tFID=1\tTMP=x',
                     'DATA DELETE FINGERTMP');
select results_eq($$ select * from pg_temp.poll() $$,
                  array['DATA DELETE FINGERTMP'], 'all of a kind');
delete from iclock.command;

select pg_temp.queue('SET OPTION Delay=5', 'SET OPTION Delay=6');
update iclock.command set not_before = now() + interval '1 hour'
 where body = 'SET OPTION Delay=6';
select results_eq($$ select * from pg_temp.poll() $$,
                  array['SET OPTION Delay=5'],
                  'one whose time has not come supersedes nothing yet');
delete from iclock.command;

select pg_temp.queue('SET OPTION Delay=5', 'SET OPTION Delay=6');
select iclock.cancel_command(max(id)) from iclock.command;
select results_eq($$ select * from pg_temp.poll() $$,
                  array['SET OPTION Delay=5'], 'nor does a cancelled one');
delete from iclock.command;

-- one that a device has refused supersedes nothing

select pg_temp.queue(E'DATA UPDATE USERINFO PIN=5\tName=Good',
                     E'DATA UPDATE USERINFO PIN=5\tName=Bad',
                     E'DATA UPDATE USERINFO PIN=6\tName=Kept',
                     'DATA DELETE USERINFO PIN=6',
                     E'DATA UPDATE USERINFO PIN=7\tName=Gone',
                     'DATA DELETE USERINFO PIN=7');
update iclock.command
   set status = 'failed', finished_at = now(), attempts = 1,
       return_code = case when body like '%PIN=7' then -10 else -1 end
 where body like '%Bad' or body like 'DATA DELETE%';
select results_eq($$ select * from pg_temp.poll() $$,
                  array[E'DATA UPDATE USERINFO PIN=5\tName=Good',
                        E'DATA UPDATE USERINFO PIN=6\tName=Kept'],
                  'what a device has refused does not, unless there is no '
                  'such user to delete');
delete from iclock.command;

-- A PIN that is given to somebody else: the fingerprints of the first are
-- deleted, whatever is lost on the way and in whatever order answers come.

create function pg_temp.holds() returns text language sql as $$
    select concat_ws(' ',
        (select string_agg(u.name, ',') from iclock.device_user u
          where u.device_id = pg_temp.device() and u.pin = '5'),
        (select string_agg(t.no::text, ',' order by t.no) from iclock.template t
          where t.device_id = pg_temp.device() and t.pin = '5'))
$$;
create function pg_temp.successor() returns void language sql as $$
    delete from iclock.command;
    delete from iclock.device_user;
    delete from iclock.template;
    insert into iclock.device_user (device_id, pin, name)
    values (pg_temp.device(), '5', 'Old');
    insert into iclock.template (device_id, pin, type, no, index,
        major_version, source, data)
    values (pg_temp.device(), '5', 1, 1, 0, 10, 'FP', 'old');
    update iclock.template set updated_at = now() - interval '1 day';
    select pg_temp.queue('DATA DELETE USERINFO PIN=5',
                         E'DATA UPDATE USERINFO PIN=5\tName=New',
                         E'DATA UPDATE FINGERTMP PIN=5\tFID=2\tTMP=b25l');
$$;
select pg_temp.successor();
update iclock.command set priority = 9 where body like '%Name=New';
select results_eq($$ select left(b, 20) from pg_temp.poll() as b $$,
                  array['DATA DELETE USERINFO'],
                  'a more urgent successor waits for the deletion');
select pg_temp.successor();
select is((select count(*)::int from pg_temp.poll()), 3, 'all three go out');
select iclock.answer_commands(array_agg(c.device_id order by c.id desc),
                              array_agg(c.id order by c.id desc),
                              array_agg(0), array_agg(null::bytea))
  from iclock.command c;
select is(pg_temp.holds(), 'New 2', 'answered together');
select pg_temp.successor();
select pg_temp.poll();
select pg_temp.answer(c.body) from iclock.command c order by c.id desc;
select is(pg_temp.holds(), 'New 2', 'answered the wrong way round');
select pg_temp.successor();
select pg_temp.poll();
select pg_temp.answer(E'DATA UPDATE USERINFO PIN=5\tName=New');
select pg_temp.pass(600);
select results_eq($$ select left(b, 20) from pg_temp.poll() as b $$,
                  array['DATA UPDATE FINGERTM'],
                  'a deletion is not sent again when the successor is there');
create function pg_temp.former() returns text language sql as $$
    select concat_ws(' ',
        (select string_agg(u.name, ',') from iclock.device_user u
          where u.pin = '5' and iclock.is_former(u)),
        (select string_agg(t.no::text, ',')
           from iclock.template t,
                (select array_agg(l.device_id) as devices,
                        array_agg(l.until) as untils
                   from iclock.people_leaving(array[pg_temp.device()])
                        as l) as l
          where iclock.is_former(t.device_id, iclock.subject_of(t),
                                 t.updated_at, l.devices, l.untils)))
$$;
select is(pg_temp.former(), '1', 'nor what it held before of the successor');
select pg_temp.answer('DATA DELETE USERINFO PIN=5');
select is(pg_temp.holds(), 'New', 'its answer comes late');
select is(pg_temp.former(), '', 'and nothing is of the former');
select pg_temp.successor();
select pg_temp.poll(null, 1);
select is_empty($$ select * from pg_temp.poll() $$,
                'the successor waits for the answer');
select pg_temp.pass(600);
select results_eq($$ select left(b, 20) from pg_temp.poll() as b $$,
                  array['DATA DELETE USERINFO', 'DATA UPDATE USERINFO',
                        'DATA UPDATE FINGERTM'], 'or goes behind it');
delete from iclock.command;
delete from iclock.device_user;
delete from iclock.template;


-- a command that somebody ends by hand, or has sent again

select pg_temp.queue(E'DATA UPDATE USERINFO PIN=5\tName=A');
select pg_temp.poll();
select pg_temp.queue(E'DATA UPDATE FINGERTMP PIN=5\tFID=1\tTMP=x');
select is_empty($$ select * from pg_temp.poll() $$, 'one waits for another');
update iclock.command set status = 'cancelled' where body like '%USERINFO%';
select results_eq($$ select left(b, 20) from pg_temp.poll() as b $$,
                  array['DATA UPDATE FINGERTM'],
                  'which is cancelled by hand: not any longer');
select is((select finished_at from iclock.command where status = 'cancelled'),
          now(), 'it has ended');
select pg_temp.answer(E'DATA UPDATE FINGERTMP PIN=5\tFID=1\tTMP=x', -12);
update iclock.command set status = 'queued' where body like '%TMP=x';
select is((select row(c.finished_at, c.return_code)::text
             from iclock.command c where body like '%TMP=x'), '(,)',
          'queued again by hand: it is open');
select is((select count(*)::int from pg_temp.poll()), 1, 'it goes out');
select pg_temp.answer(E'DATA UPDATE FINGERTMP PIN=5\tFID=1\tTMP=x');
select is(pg_temp.state(E'DATA UPDATE FINGERTMP PIN=5\tFID=1\tTMP=x'), 'done2',
          'and its answer counts');
update iclock.command set cleared_at = now() where status = 'cancelled';
select throws_ok($$ update iclock.command set status = 'queued'
                     where status = 'cancelled' $$, '55000', null,
                 'one whose body has been cleared is refused');
delete from iclock.command;
insert into iclock.command (device_id, body, status)
select pg_temp.device(), 'LOG', s from unnest(array['sent', 'done']) as s;
select set_eq($$ select status, sent_at is null as s, finished_at is null as f
                   from iclock.command $$,
              $$ values ('sent', false, true), ('done', true, false) $$,
              'as whoever inserts them does');
update iclock.command set finished_at = now() where status = 'sent';
select is((select finished_at from iclock.command where status = 'sent'), null,
          'what has not ended has no end');
update iclock.command set finished_at = null where status = 'done';
select is((select finished_at from iclock.command where status = 'done'),
          now(), 'and what has has one');
update iclock.command set body = 'DATA DELETE USERINFO PIN=8'
 where status = 'sent';
select results_eq($$ select subject, deletes from iclock.command
                      where status = 'sent' $$,
                  $$ values (E'user\t8' collate "C", true) $$,
                  'a body that is changed by hand is about something else');
delete from iclock.command;


-- nothing overtakes an unanswered command about what it is part of

select pg_temp.queue(E'DATA UPDATE USERINFO PIN=5\tName=A');
select pg_temp.poll();
select pg_temp.queue(E'DATA UPDATE FINGERTMP PIN=5\tFID=1\tTMP=x',
                     E'DATA UPDATE USERINFO PIN=6\tName=B', 'CHECK');
select results_eq($$ select * from pg_temp.poll() $$,
                  array[E'DATA UPDATE USERINFO PIN=6\tName=B', 'CHECK'],
                  'a fingerprint waits for its user, others do not');
select is_empty($$ select * from pg_temp.poll() $$, 'it waits');
select pg_temp.pass(600);
select results_eq($$ select * from pg_temp.poll() $$,
                  array[E'DATA UPDATE USERINFO PIN=5\tName=A',
                        E'DATA UPDATE FINGERTMP PIN=5\tFID=1\tTMP=x',
                        E'DATA UPDATE USERINFO PIN=6\tName=B', 'CHECK'],
                  'timed out: the user first');
select pg_temp.answer(E'DATA UPDATE USERINFO PIN=5\tName=A');
select pg_temp.queue(E'DATA UPDATE USERPIC PIN=5\tContent=x');
select results_eq($$ select * from pg_temp.poll() $$,
                  array[E'DATA UPDATE USERPIC PIN=5\tContent=x'],
                  'answered: it waits no longer');
select pg_temp.queue(E'DATA UPDATE USERINFO PIN=7\tName=C',
                     E'DATA UPDATE FINGERTMP PIN=7\tFID=1\tTMP=x');
update iclock.command set priority = 1 where body like '%PIN=7%TMP=x';
select results_eq($$ select * from pg_temp.poll() $$,
                  array[E'DATA UPDATE USERINFO PIN=7\tName=C'],
                  'nor does a more urgent one overtake');
select pg_temp.answer(E'DATA UPDATE USERINFO PIN=7\tName=C');
select results_eq($$ select * from pg_temp.poll() $$,
                  array[E'DATA UPDATE FINGERTMP PIN=7\tFID=1\tTMP=x'],
                  'it comes after it');
delete from iclock.command;

select pg_temp.queue('LOG 1', 'LOG 2');
update iclock.command set priority = 9 where body = 'LOG 2';
select results_eq($$ select * from pg_temp.poll() $$,
                  array['LOG 2', 'LOG 1'], 'the most urgent one is the first');
select pg_temp.pass(600);
select pg_temp.queue('LOG 3', 'LOG 4', 'LOG 5');
update iclock.command set priority = 10 where body = 'LOG 4';
update iclock.command set priority = -2147483648 where body = 'LOG 5';
select results_eq($$ select * from pg_temp.poll() $$,
                  array['LOG 4', 'LOG 2', 'LOG 1', 'LOG 3', 'LOG 5'],
                  'also among those that are sent again');
select pg_temp.pass(600);
select results_eq($$ select * from pg_temp.poll(null, 1) $$, array['LOG 4'],
                  'one of them');
delete from iclock.command;


-- the same poll twice

select pg_temp.queue('LOG 1', 'LOG 2', 'LOG 3');
select results_eq($$ select * from pg_temp.poll(41, 2) $$,
                  array['LOG 1', 'LOG 2'], 'a poll');
select results_eq($$ select * from pg_temp.poll(41, 2) $$,
                  array['LOG 1', 'LOG 2'],
                  'repeated, as nobody knows whether it was committed');
select is(pg_temp.state('LOG 1'), 'sent1', 'it counts once');
select results_eq($$ select * from pg_temp.poll(42, 2) $$, array['LOG 3'],
                  'the next poll');
select results_eq($$ select * from pg_temp.poll(41, 2) $$,
                  array['LOG 1', 'LOG 2'], 'still known');

-- taken back

select iclock.return_commands(array[pg_temp.device(), pg_temp.device()],
                              '{42,4711}');
select is(pg_temp.state('LOG 3'), 'queued0', 'taken back, not counted');
select iclock.return_commands(array[pg_temp.device('Q-B')], '{41}');
select is(pg_temp.state('LOG 1'), 'sent1', 'of another device: not');
select results_eq($$ select * from pg_temp.poll(43) $$, array['LOG 3'],
                  'it goes out again');
select iclock.return_commands(array[pg_temp.device()], '{42}');
select is(pg_temp.state('LOG 3'), 'sent1', 'by the poll that has it only');
select iclock.return_commands(array[pg_temp.device()], '{43}');
select iclock.return_commands(array[pg_temp.device()], '{43}');
select is(pg_temp.state('LOG 3'), 'queued0', 'once');
select pg_temp.answer('LOG 3');
select is(pg_temp.state('LOG 3'), 'done0',
          'the device got it all the same: its answer counts');
select pg_temp.answer('LOG 1');
select iclock.return_commands(array[pg_temp.device()], '{41}');
select is(pg_temp.state('LOG 1'), 'done1', 'answered ones are not taken back');
delete from iclock.command;


-- bytes of one device

select iclock.set_device('Q-A', command_bytes => 256);
select pg_temp.queue(repeat('x', 110), repeat('y', 110), repeat('z', 110));
select results_eq($$ select length(b) from pg_temp.poll() as b $$,
                  array[110, 110], 'a device with a limit of its own');
select is((select count(*)::int from pg_temp.poll(null, 200, 100)), 1,
          'the smaller limit counts');
select pg_temp.queue(repeat('0', 120));
select iclock.reset_device('Q-A', 'command_bytes');
select pg_temp.queue(repeat('1', 120), repeat('2', 120));
select is((select count(*)::int from pg_temp.poll()), 3,
          'without');
select throws_ok(
    format('select iclock.set_device(%L, command_bytes => %s)', 'Q-A', n),
    '22023', null, n || ' bytes') from unnest(array[0, 255, 16777217]) as n;
delete from iclock.command;


-- A backlog with plans from before it, without ANALYZE or with one of another
-- time.  What is counted is what was read.

create function pg_temp.counted() returns bigint[] language sql volatile as $$
    select array[s.seq_tup_read, s.idx_tup_fetch]
      from pg_stat_xact_all_tables s
     where s.relid = 'iclock.command'::regclass
$$;
create temp table reading (regime text, what text, seq bigint, idx bigint);
create function pg_temp.reads(regime text, what text, statement text)
    returns void language plpgsql as $$
declare
    before  bigint[] := pg_temp.counted();
begin
    execute statement;
    insert into reading
    select regime, what, r[1] - before[1], r[2] - before[2]
      from pg_temp.counted() as r;
end
$$;
create function pg_temp.poll_reads(regime text, what text, number bigint)
    returns void language sql as $$
    select pg_temp.reads(regime, what, format(
        'select count(*) from pg_temp.poll(%s, 100)', number))
$$;
-- What waits in a backlog, as the triggers would insert it, which would take
-- longer than all the rest.
create temp table named as
select n, b.kind, b.body, iclock.command_subject(b.body) as subject,
       iclock.is_deletion(b.body) as deletes
  from generate_series(1, 10000) as n,
       lateral (values ('user', E'DATA UPDATE USERINFO PIN=' || n
                                || E'\tName=x'),
                       ('log', 'LOG'),
                       ('option', 'SET OPTION Delay=' || n)) as b (kind, body);
create function pg_temp.waiting(kind text, size integer)
    returns void language sql set session_replication_role = replica as $$
    insert into iclock.command (device_id, body, subject, deletes)
    select pg_temp.device(), r.body, r.subject, r.deletes
      from named r
     where r.kind = $1 and r.n <= $2
     order by r.n
$$;
insert into iclock.command (device_id, body)
select pg_temp.device(), r.body from named r where r.n = 7;
create temp table triggered as select * from iclock.command;
delete from iclock.command;
select pg_temp.waiting(k, 7) from unnest('{user,log,option}'::text[]) as k;
select set_eq($$ select to_jsonb(c) - 'id' from iclock.command c
                  where c.body in (select body from named where n = 7) $$,
              $$ select to_jsonb(t) - 'id' from triggered t $$,
              'a backlog is as the triggers make it');
delete from iclock.command;
-- rows of no subject need no triggers; no poll of below has taken them
create function pg_temp.unanswered(number integer, due integer)
    returns void language sql set session_replication_role = replica as $$
    insert into iclock.command (device_id, body, status, attempts, sent_at,
                                poll)
    select pg_temp.device(), 'LOG', 'sent', 1,
           now() - case when n <= due then interval '10 minutes'
                   else interval '1 minute' * (n % 5) end, 1000 + n / 200
      from generate_series(1, number) as n
$$;
create function pg_temp.forget(statement text)
    returns void language plpgsql set session_replication_role = replica as $$
begin
    execute statement;
end
$$;
create function pg_temp.backlog(regime text, size integer default 10000)
    returns void
    language plpgsql as $$
declare
    device  constant bigint := pg_temp.device();
    ids     bigint[];
begin
    -- plans of before
    for i in 1 .. 8 loop
        perform pg_temp.queue('LOG');
        perform pg_temp.poll(i, 1, 100);
        perform pg_temp.answer('LOG');
        perform iclock.counted_commands(array[device]);
        perform iclock.queue_copy(device, E'user\t' || i, 'x' || i);
        perform iclock.is_echo(device, E'user\t' || i, true);
    end loop;

    perform pg_temp.waiting(k, size)
       from unnest('{user,log,option}'::text[]) as k;

    perform pg_temp.poll_reads(regime, 'poll', 50);
    perform pg_temp.poll_reads(regime, 'the same poll again', 50);
    perform pg_temp.reads(regime, 'taken back', format(
        'select iclock.return_commands(array[%s::bigint], ''{50}'')', device));
    perform pg_temp.poll_reads(regime, 'next poll', 51);
    ids := array(select id from iclock.command where poll = 51);
    perform pg_temp.reads(regime, 'answers', format(
        'select iclock.answer_commands(array_fill(%s::bigint, array[100]), '
        '%L, array_fill(0, array[100]), array_fill(null::bytea, array[100]))',
        device, ids));
    perform pg_temp.reads(regime, 'what is counted', format(
        'select iclock.counted_commands(array[%s::bigint])', device));
    perform pg_temp.reads(regime, 'a copy', format(
        'select iclock.queue_copy(%s, %L, ''y'')', device, E'user\t9000'));
    perform pg_temp.reads(regime, 'the copy again', format(
        'select iclock.queue_copy(%s, %L, ''z'')', device, E'user\t9000'));
    perform pg_temp.reads(regime, 'an echo', format(
        'select iclock.is_echo(%s, %L, true)', device, E'user\t9000'));
    update iclock.command set expires_at = now() where poll is null
       and body = 'LOG' and id % 100 = 0;
    perform pg_temp.poll_reads(regime, 'expired ones', 52);
    perform pg_temp.pass(600);
    perform pg_temp.poll_reads(regime, 'unanswered ones', 53);
    perform pg_temp.forget('delete from iclock.command');
    perform pg_temp.unanswered(2 * size, 0);
    perform pg_temp.poll_reads(regime, 'nothing new', 54);
    perform pg_temp.reads(regime, 'what is counted, many sent', format(
        'select iclock.counted_commands(array[%s::bigint])', device));
    perform pg_temp.reads(regime, 'due devices',
                          'select iclock.due_devices(600)');
    perform pg_temp.waiting('option', size);
    perform pg_temp.poll_reads(regime, 'behind unanswered ones', 55);
    perform pg_temp.reads(regime, 'taken back behind them', format(
        'select iclock.return_commands(array[%s::bigint], ''{55}'')', device));
    perform pg_temp.forget('delete from iclock.command where status = ''sent''');
    perform pg_temp.unanswered(2 * size, 500);
    perform pg_temp.poll_reads(regime, 'some to be sent again', 56);
    perform pg_temp.forget('delete from iclock.command where status = ''sent''');
    perform pg_temp.unanswered(2 * size, 2 * size);
    perform pg_temp.poll_reads(regime, 'all to be sent again', 57);
    insert into iclock.device (serial_number) values ('Q-D'), ('Q-E');
    insert into iclock.command (device_id, body, status)
    select pg_temp.device('Q-D'), b, s
      from unnest('{LOG,SET OPTION Delay=5}'::text[]) as b,
           unnest('{queued,done}'::text[]) as s;
    perform pg_temp.reads(regime, 'a device goes',
                          'select iclock.delete_device(''Q-D'')');
    perform pg_temp.reads(regime, 'a device goes by hand',
        'delete from iclock.device where serial_number = ''Q-E''');
    perform pg_temp.forget('delete from iclock.command where body not like ''SET%''');
    perform pg_temp.poll_reads(regime, 'superseded ones', 58);
    perform pg_temp.forget('delete from iclock.command');
end
$$;

analyze iclock.command;
select pg_temp.backlog('analyzed when it was empty');

-- so few that it would be cheap to read them all, once
analyze iclock.command;
select pg_temp.backlog('analyzed when it was empty, some thousands', 3000);

delete from pg_statistic where starelid = 'iclock.command'::regclass;
truncate iclock.command cascade;
select pg_temp.backlog('never analyzed');

insert into iclock.command (device_id, body, status, attempts, sent_at)
select pg_temp.device('Q-B'), 'LOG', 'sent', 1, now()
  from generate_series(1, 2000);
analyze iclock.command;
select pg_temp.backlog('analyzed when all were sent, by another device');

insert into iclock.command (device_id, body, status)
select pg_temp.device('Q-B'), 'SET OPTION Delay=5', 'done'
  from generate_series(1, 5000);
insert into iclock.command (device_id, body)
select pg_temp.device(), 'SET OPTION Delay=5' from generate_series(1, 30);
analyze iclock.command;
select pg_temp.backlog('analyzed when nearly all were done');

select is((select max(r.seq) from reading r), 0::bigint,
          'the table is never read as a whole');
select cmp_ok(r.idx, '<',
              case when r.what in ('superseded ones', 'unanswered ones',
                                   'behind unanswered ones')
                   then 16000::bigint
                   -- these besides, on each page
                   when r.what = 'some to be sent again' then 30000
                   -- whether they have been sent often enough
                   when r.what = 'all to be sent again' then 25000
                   -- a fifth of them was sent just now
                   when r.what = 'what is counted, many sent' then 5000
                   -- thousands were ended by this transaction
                   when r.what = 'what is counted' then 6000
                   -- for all devices at once
                   when r.what = 'due devices'
                        and r.regime like '%thousands' then 8000
                   else 2500 end,
              r.regime || ': ' || r.what || ' reads no backlog')
  from reading r;

-- planning takes longer than a poll for which there is nothing

select is_empty(
    $$ select f.name
         from unnest(array['is_waited_for', 'commands_of_poll',
                           'hopeless_commands', 'next_commands',
                           'take_commands', 'counted_commands'])
              as f (name)
         left join pg_proc p on p.pronamespace = 'iclock'::regnamespace
                            and p.proname = f.name
                            and 'plan_cache_mode=force_generic_plan'
                                = any (p.proconfig)
                            and p.prosrc !~* 'execute'
        where p.oid is null $$,
    'what every poll calls is planned once');
truncate iclock.command cascade;
insert into iclock.command (device_id, body, status)
select pg_temp.device(), 'LOG', 'done' from generate_series(1, 1000);
select pg_temp.poll_reads('nothing', 'waiting', 60);
select results_eq($$ select seq, idx from reading where regime = 'nothing' $$,
                  $$ values (0::bigint, 0::bigint) $$,
                  'a poll for which nothing waits reads nothing');

select * from finish();
rollback;
