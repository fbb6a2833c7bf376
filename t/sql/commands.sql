-- The way of a command: queued, given to the device, answered.  Here are the
-- rows; t/commands.t shows what a terminal sees of them, and when.

\ir ../fixtures/pgtap.psql
-- roles are the cluster's, and another file may make some at the same time
lock table pg_catalog.pg_authid in share row exclusive mode;

-- whatever the database holds already; comes back with the rollback
delete from iclock.command;

insert into iclock.device (serial_number, status, dialect)
values ('T0001', 'active', '2.4'), ('T0002', 'active', '3.2'),
       ('T0003', 'pending', '2.4');

-- one poll with usual limits
create function pg_temp.poll(serial_number text, max_count integer default 200,
                             max_bytes integer default 40960,
                             timeout integer default 600,
                             attempts integer default 3)
    returns setof text language sql as $$
    select c.body
      from iclock.dequeue_commands(array[pg_temp.device($1)], array[$2],
                                   array[$3], array[$4], array[$5]) as c
$$;
create function pg_temp.answer(serial_number text, id bigint, code integer,
                               reply bytea default null)
    returns void language sql as $$
    select iclock.answer_commands(array[pg_temp.device($1)],
                                  array[$2 % 1000000000], array[$3], array[$4])
$$;
create function pg_temp.status(id bigint) returns text language sql as $$
    select c.status from iclock.command c where c.id = $1
$$;
create function pg_temp.id(body text) returns bigint language sql as $$
    select max(c.id) from iclock.command c where c.body = $1
$$;
-- time does not pass within a transaction: the past is moved instead
create function pg_temp.pass(seconds integer) returns void language sql as $$
    update iclock.command
       set sent_at = sent_at - make_interval(secs => $1),
           expires_at = expires_at - make_interval(secs => $1),
           not_before = not_before - make_interval(secs => $1)
$$;

-- queueing

select isnt(iclock.queue_command('T0001', 'first'), null, 'queued, with an id');
select iclock.queue_command('T0001', 'urgent', 10);
select iclock.queue_command('T0001', 'later', priority => -1);
select iclock.queue_command('T0001', E'DATA UPDATE X\tA=1');
select iclock.queue_command('T0002', 'other');

select throws_ok($$ select iclock.queue_command('NOSUCH', 'CHECK') $$, 'P0002',
                 'there is no device with serial number "NOSUCH"');
select throws_ok(format('select iclock.queue_command(%L, %L)', 'T0001', bad),
                 '22023', null, 'refused: ' || coalesce(to_json(bad)::text, 'NULL'))
  from unnest(array[E'CHECK\nREBOOT', E'CHECK\r', '', '  ', null,
                    E'CHECK\u0085C:1:REBOOT', E'CHECK\u2028C:1:REBOOT',
                    E'CHECK\u2029C:1:REBOOT', E'CHECK\x0bC:1:REBOOT',
                    E'CHECK\x0c', E'CHECK\x1c', E'CHECK\x1e', E'CHECK\u008d',
                    E'CHECK\x7f', E'CHECK\x1b[0m']) as bad;
select throws_like(
    $$ select iclock.queue_command('T0001', E'a\nb') $$, '%"body"%',
    'the error names the argument');
select throws_ok(
    $$ select iclock.queue_command('T0001', repeat('é', 8388609)) $$, '22023',
    'argument "body" is longer than 16777216 bytes', 'more than is sent');
select lives_ok(
    $$ select iclock.queue_command('T0003', repeat('é', 8388608)) $$,
    'as much as that');
delete from iclock.command c where octet_length(c.body) > 100000;
select throws_ok(
    $$ select iclock.queue_command('T0001', 'a', expires => '-1 second') $$,
    '22023', null, 'expires in the past');
select is((select created_by from iclock.command limit 1), session_user::text,
          'it is known who queued it');

-- what reaches files, firmware or a shell

create role t_operator;
grant iclock_operator to t_operator;
create function pg_temp.try_shell(body text) returns text language sql as $$
    select pg_temp.as_role('t_operator', format(
        'select iclock.queue_command(%L, %L, -100)', 'T0001', body))
$$;
select is(pg_temp.try_shell(b), '42501', 'not a member of iclock_shell: ' || b)
  from unnest(array['SHELL ls', 'shell ls', E' Shell\tls', 'SHELL', 'SHELL_ls',
                    'PutFile http://x/a /etc/passwd', 'putfile x', 'PUTFILE x',
                    E'\tpUTfILE\tx', 'GetFile /etc/passwd', 'GETFILE x',
                    E'getfile\tx', E'\u00a0 GetFile x', E'\u3000GetFile x',
                    E'\ufeffGetFile x', '=GetFile x', 'C:1:GetFile x',
                    'c:1: C:2:SHELL ls', 'UPGRADE checksum=a,url=x,size=1',
                    'upgrade type=1', E'  Upgrade\ttype=1']) as b;
select is(pg_temp.try_shell(b), 'ok', 'for every operator: ' || b)
  from unnest(array['CHECK', 'CLEAR DATA', 'DATA UPDATE SMS MSG=SHELL ls',
                    'SET OPTION A=GetFile', 'DATA DELETE USERINFO PIN=UPGRADE',
                    'ENROLL_FP PIN=1']) as b;
grant iclock_shell to t_operator;
select is(pg_temp.try_shell(b), 'ok', 'a member of iclock_shell: ' || b)
  from unnest(array['SHELL ls', 'PutFile x', 'GetFile x', 'UPGRADE x']) as b;
delete from iclock.command where priority = -100;

-- one poll after the other

select results_eq(
    $$ select ord, body from iclock.dequeue_commands(
           array[pg_temp.device('T0002'), pg_temp.device('T0003'),
                 pg_temp.device('T0001'), -1],
           '{1,1,2,1}', '{1000,1000,1000,1000}', '{600,600,600,600}',
           '{3,3,3,3}') $$,
    $$ values (1::bigint, 'other'), (3, 'urgent'), (3, 'first') $$,
    'by request, then priority, then id; no more than asked for');
select results_eq(
    $$ select * from pg_temp.poll('T0001') $$,
    $$ values (E'DATA UPDATE X\tA=1'), ('later') $$, 'then the rest');
select is_empty($$ select * from pg_temp.poll('T0001') $$, 'then none');
select set_eq($$ select status || attempts from iclock.command $$,
              array['sent1'], 'all sent, once');

-- answers

select pg_temp.answer('T0002', pg_temp.id('first'), 0);
select is(pg_temp.status(pg_temp.id('first')), 'sent',
          'the answer of another device');
select pg_temp.answer('T0001', pg_temp.id('first'), 0, 'as sent');
select results_eq(
    $$ select status, return_code, reply, finished_at = now()
         from iclock.command where id = pg_temp.id('first') $$,
    $$ values ('done', 0, 'as sent'::bytea, true) $$, 'done');
select pg_temp.answer('T0001', pg_temp.id('first'), -1, 'again');
select is(pg_temp.status(pg_temp.id('first')), 'done',
          'a second answer changes nothing');
select pg_temp.answer('T0001', pg_temp.id('urgent'), -1004);
select is(pg_temp.status(pg_temp.id('urgent')), 'failed', 'failed');
select lives_ok($$ select pg_temp.answer('T0001', 999999999, 0) $$,
                'an unknown id is ignored');
select iclock.queue_command('T0001', 'unsent');
select pg_temp.answer('T0001', pg_temp.id('unsent'), 0);
select is(pg_temp.status(pg_temp.id('unsent')), 'queued',
          'what was not sent cannot be answered');
delete from iclock.command;

-- a file and the answer, in two requests or in one

insert into iclock.command (id, device_id, body, status, attempts)
select i, pg_temp.device('T0001'), b, 'sent', 1
  from (values (11, 'GetFile /a'), (12, 'GetFile /b'), (13, 'GetFile /c'),
               (14, 'LOG')) as v (i, b);
select pg_temp.answer('T0001', 11, 0);
select pg_temp.answer('T0001', 11, 3, 'abc');
select pg_temp.answer('T0001', 11, 3, 'again');
select pg_temp.answer('T0001', 12, 3, 'abc');
select pg_temp.answer('T0001', 12, 0);
select iclock.answer_commands(array_fill(pg_temp.device('T0001'), array[2]),
                              '{13,13}', '{0,3}', array[null, 'abc'::bytea]);
select pg_temp.answer('T0001', 14, 0);
select pg_temp.answer('T0001', 14, 0, 'abc');
select results_eq(
    $$ select id, status, return_code, reply
         from iclock.command order by id $$,
    $$ values (11::bigint, 'done', 0, 'abc'::bytea), (12, 'done', 3, 'abc'),
              (13, 'done', 0, 'abc'), (14, 'done', 0, null) $$,
    'a file is kept, whether it comes before the answer or after it');
select pg_temp.answer('T0001', 11, 0, 'again');
select is(reply, 'abc'::bytea, 'and no other one')
  from iclock.command where id = 11;
delete from iclock.command;

select is(iclock.is_success(b, c), s, format('%s returns %s', b, c))
  from (values ('DATA UPDATE USERINFO PIN=1', 0, true),
               ('DATA UPDATE USERINFO PIN=1', 1, false),
               (E'DATA QUERY ATTLOG StartTime=1\tEndTime=2', 5, true),
               (E'DATA QUERY ATTLOG StartTime=1\tEndTime=2', -1, false),
               ('QUERY ATTLOG', 5, true),
               (E'PutFile http://x\tfile\tAction=SyncData', 3, true),
               ('GetFile /mnt/mtdblock/x', 1024, true),
               ('SHELL ls', 1, true), ('Shell ls', 1, true),
               (E'ENROLL_FP PIN=1\tFID=1', 0, true),
               (E'ENROLL_FP PIN=1\tFID=1', 6, false),
               ('CHECK', -1, false), ('GetFiles', 1, false)) as r (b, c, s);

-- ids have at most nine digits on the wire

insert into iclock.command (id, device_id, body, status, attempts)
values (1, pg_temp.device('T0001'), 'old', 'sent', 1),
       (1000000001, pg_temp.device('T0001'), 'new', 'sent', 1),
       (2000000001, pg_temp.device('T0001'), 'newest, unsent', 'queued', 0);
select pg_temp.answer('T0001', 1, 0);
select results_eq(
    $$ select body, status from iclock.command order by id $$,
    $$ values ('old', 'sent'), ('new', 'done'), ('newest, unsent', 'queued') $$,
    'the newest sent one is meant');
delete from iclock.command;

-- limits

select iclock.queue_command('T0001', '0123456789');
select iclock.queue_command('T0001', repeat('x', 100));
select iclock.queue_command('T0001', 'short');
select results_eq(
    $$ select body from iclock.dequeue_commands(
           array[pg_temp.device('T0001')], '{9}', array[
           (select length('C:' || id % 1000000000 || E':0123456789\n')
              from iclock.command where body = '0123456789')], '{9}', '{9}') $$,
    array['0123456789'], 'exactly as many bytes as go over the wire');
select results_eq($$ select * from pg_temp.poll('T0001', 9, 20) $$,
                  array[repeat('x', 100)], 'one that alone is too large goes');
select results_eq($$ select * from pg_temp.poll('T0001', 9, 20) $$,
                  array['short'], 'and the next in the next poll');
select iclock.queue_command('T0001', 'zero');
select is_empty($$ select * from pg_temp.poll('T0001', 0) $$, 'count 0');
select iclock.queue_command('T0001', 'one more');
update iclock.device set command_limit = 1 where serial_number = 'T0001';
select results_eq($$ select * from pg_temp.poll('T0001') $$, array['zero'],
                  'a device that takes one a poll');
update iclock.device set command_limit = null where serial_number = 'T0001';
delete from iclock.command;

select iclock.queue_command('T0001', 'before');
select iclock.reboot('T0001');
select iclock.queue_command('T0001', 'after');
select results_eq($$ select * from pg_temp.poll('T0001') $$,
                  array['before', 'REBOOT'], 'nothing after REBOOT');
select results_eq(
    $$ select ord, body from iclock.dequeue_commands(
           array[pg_temp.device('T0001'), pg_temp.device('T0001')],
           '{1,1}', '{99,99}', '{600,600}', '{3,3}') $$,
    $$ values (1::bigint, 'after') $$,
    'nothing twice to two polls of a device at once');
delete from iclock.command;

-- no answer

select iclock.queue_command('T0001', 'lost');
select results_eq($$ select * from pg_temp.poll('T0001') $$, array['lost'],
                  'sent');
select pg_temp.pass(599);
select is_empty($$ select * from pg_temp.poll('T0001') $$, 'waits');
select is_empty($$ select iclock.due_devices(600) $$, 'not due');
select pg_temp.pass(1);
select set_eq($$ select iclock.due_devices(600) $$, array['T0001'], 'due');
select is_empty($$ select iclock.due_devices() $$,
                'without a timeout only queued commands are due');
select results_eq($$ select * from pg_temp.poll('T0001') $$, array['lost'],
                  'second time');
select pg_temp.pass(600);
select results_eq($$ select * from pg_temp.poll('T0001') $$, array['lost'],
                  'third time');
select pg_temp.pass(600);
select is_empty($$ select * from pg_temp.poll('T0001') $$, 'then no more');
select results_eq(
    $$ select status, attempts, return_code, finished_at = now()
         from iclock.command $$,
    $$ values ('failed', 3, null::integer, true) $$, 'failed');
select pg_temp.answer('T0001', pg_temp.id('lost'), 0);
select is(pg_temp.status(pg_temp.id('lost')), 'done', 'a late answer counts');
delete from iclock.command;

-- not before, not after

select iclock.queue_command('T0001', 'open', expires => '10 seconds');
select iclock.queue_command('T0001', 'tonight');
update iclock.command set not_before = now() + interval '1 hour'
 where body = 'tonight';
select pg_temp.pass(10);
select is_empty($$ select * from pg_temp.poll('T0001') $$, 'neither');
select is(pg_temp.status(pg_temp.id('open')), 'expired', 'expired');
select is_empty($$ select iclock.due_devices() $$, 'nothing due');
select pg_temp.pass(3590);
select set_eq($$ select iclock.due_devices() $$, array['T0001'], 'due');
select results_eq($$ select * from pg_temp.poll('T0001') $$, array['tonight'],
                  'when its time has come');
select iclock.queue_command('T0001', 'door', expires => '10 minutes');
select results_eq($$ select * from pg_temp.poll('T0001') $$, array['door'],
                  'sent in time');
select pg_temp.pass(601);
select is_empty($$ select * from pg_temp.poll('T0001')
                    where poll = 'door' $$, 'not sent again after its time');
select is(pg_temp.status(pg_temp.id('door')), 'expired', 'but expired');
select iclock.queue_command('T0001', 'stale', expires => '1 second');
select pg_temp.pass(1);
select iclock.maintain();
select is(pg_temp.status(pg_temp.id('stale')), 'expired',
          'maintain() expires, too');
delete from iclock.command;

-- devices that are not active

select iclock.queue_command('T0003', 'for later');
select is_empty($$ select * from pg_temp.poll('T0003') $$, 'a pending device');
select is_empty($$ select iclock.due_devices() $$, 'is not due');
select iclock.approve_device('T0003');
select results_eq($$ select * from pg_temp.poll('T0003') $$,
                  array['for later'], 'once it is active');
delete from iclock.command;

-- cancelling

select iclock.queue_command('T0001', 'cancel me');
select is(iclock.cancel_command(pg_temp.id('cancel me')), true, 'cancelled');
select is(iclock.cancel_command(pg_temp.id('cancel me')), false, 'not twice');
select is_empty($$ select * from pg_temp.poll('T0001') $$, 'not sent');
select throws_ok($$ select iclock.cancel_command(-5) $$, 'P0002',
                 'there is no command with id -5');
select iclock.queue_command('T0001', 'sent already');
select pg_temp.poll('T0001');
select is(iclock.cancel_command(pg_temp.id('sent already')), false,
          'not one that was sent');
select is(pg_temp.status(pg_temp.id('sent already')), 'sent',
          'it waits for its answer');
select pg_temp.answer('T0001', pg_temp.id('sent already'), 0);
select is(pg_temp.status(pg_temp.id('sent already')), 'done',
          'which tells what became of it');
delete from iclock.command;

-- typed commands

create function pg_temp.body(id bigint) returns text language sql as $$
    select c.body from iclock.command c where c.id = $1
$$;
select is(pg_temp.body(iclock.set_option('T0001', 'Delay', '5')),
          'SET OPTION Delay=5', 'set_option');
select is(pg_temp.body(iclock.set_option('T0001', '~IsOnlyRFMachine', '')),
          'SET OPTION ~IsOnlyRFMachine=', 'set_option, empty');
select throws_ok(format('select iclock.set_option(%L, %L, %L)', 'T0001', n, v),
                 '22023', null, 'set_option, bad ' || to_json(n || '=' || v))
  from (values ('a b', '1'), ('', '1'), ('A=B', '1'), (E'A\n', '1'),
               ('A', '1,2'), ('A', E'1\n2'), ('A', E'1\t2')) as b (n, v);
select throws_like(
    $$ select iclock.set_option('T0001', 'A', E'1\n2') $$, '%"value"%',
    'the error names the argument');
select is(pg_temp.body(iclock.query_attendance('T0001', '2026-01-01',
                                               '2026-01-31 23:59:59')),
          E'DATA QUERY ATTLOG StartTime=2026-01-01 00:00:00\tEndTime=2026-01-31 23:59:59',
          'query_attendance');
select throws_ok(
    format('select iclock.query_attendance(%L, %L, %L)', 'T0001', a, b),
    s, null, format('query_attendance %L, %L', a, b))
  from (values ('2026-01-02', '2026-01-01', '22023'),
               ('-infinity', '2026-01-01', '22023'),
               (null, '2026-01-01', '22004')) as t (a, b, s);
select is(pg_temp.body(iclock.request_reupload('T0001', 'attlog')), 'CHECK',
          'request_reupload');
select is((select table_name || '=' || stamp from iclock.upload_stamp
            where device_id = pg_temp.device('T0001')), 'ATTLOG=0',
          'sets the stamp');
select throws_ok($$ select iclock.request_reupload('T0001', E'A\n') $$,
                 '22023', null, 'request_reupload, bad table');

-- what another server knows
select is(iclock.set_stamp('T0001', 'attlog', '642160143')::text, '',
          'set_stamp');
select is((select string_agg(table_name || '=' || stamp || requested, ' ')
             from iclock.upload_stamp
            where device_id = pg_temp.device('T0001')),
          'ATTLOG=642160143false', 'takes back what was asked for');
select throws_ok(format('select iclock.set_stamp(%L, %L, %L)', 'T0001', t, s),
                 e, null, format('set_stamp %s %s', t, to_json(s)))
  from (values ('NOSUCH', '1', '22023'), ('ATTLOG', E'1\nDelay=1', '22023'),
               ('ATTLOG', 'None', '22023'), ('ATTLOG', '', '22023'),
               ('ATTLOG', null, '22004')) as b (t, s, e);
select throws_ok($$ select iclock.set_stamp('X9', 'ATTLOG', '1') $$, 'P0002',
                 null, 'set_stamp of a device that is not there');
select is(pg_temp.body(iclock.delete_user('T0001', '5_4968')),
          'DATA DELETE USERINFO PIN=5_4968', 'delete_user');

select is(pg_temp.body(iclock.put_user('T0001', '5', 'Asha Rao')),
          E'DATA UPDATE USERINFO PIN=5\tName=Asha Rao\tPri=0\tPasswd=\tCard='
          '\tGrp=1\tTZ=0000000000000000\tVerify=-1\tViceCard=',
          'put_user: the full record');
select is(pg_temp.body(iclock.put_user('T0002', '5', name => 'Asha Rao',
                                       password => '12', card => '[15CD5B07]',
                                       privilege => 14)),
          E'DATA UPDATE USERINFO PIN=5\tName=Asha Rao\tPri=14\tPasswd=12'
          '\tCard=[15CD5B07]\tGrp=1\tTZ=0001000000000000',
          'put_user, dialect 3.2');
insert into iclock.device_user (device_id, pin, name, privilege, password, card,
                                access_group, time_zone, verify, vice_card)
values (pg_temp.device('T0001'), '5', 'Asha', 14, '99', '123', 2,
        '0000000100000000', 15, '77');
select is(pg_temp.body(iclock.put_user('T0001', '5', password => '')),
          E'DATA UPDATE USERINFO PIN=5\tName=Asha\tPri=14\tPasswd=\tCard=123'
          '\tGrp=2\tTZ=0000000100000000\tVerify=15\tViceCard=77',
          'put_user keeps what is not given');
select throws_ok(
    format('select iclock.put_user(%L, %L, %L)', 'T0001', p, n),
    s, null, format('put_user, bad %s, %s', to_json(p), to_json(n)))
  from (values ('', 'A', '22023'), ('1 2', 'A', '22023'),
               (null, 'A', '22004'), ('1', E'A\tPri=14', '22023'),
               ('1', E'A\nC:1:REBOOT', '22023'),
               ('1', E'A\rB', '22023')) as b (p, n, s);
select throws_like(
    $$ select iclock.put_user('T0001', '1', E'A\tPri=14') $$, '%"name"%',
    'the error names the argument');

-- what readers see of commands

select iclock.put_user('T0001', '5', password => 'secret');
select results_eq(
    $$ select distinct command, pin from iclock.command_status
        where command like 'SET%' order by 1 $$,
    $$ values ('SET OPTION Delay', null::text),
              ('SET OPTION ~IsOnlyRFMachine', null) $$,
    'the name of an option, not its value');
select results_eq(
    $$ select distinct command, pin from iclock.command_status
        where command like 'DATA UPDATE%' $$,
    $$ values ('DATA UPDATE USERINFO', '5') $$, 'the table and the user');
select is_empty(
    $$ select from iclock.command_status s where s::text ~ 'secret' $$,
    'no passwords');

select * from finish();
rollback;
