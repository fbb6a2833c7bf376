-- Keys of the API, and what call() makes of a request before and after the
-- operation.

\ir ../fixtures/pgtap.psql
\ir ../fixtures/api.psql
-- roles are the cluster's, and another file may make some at the same time
lock table pg_catalog.pg_authid in share row exclusive mode;

create function pg_temp.get(name text, request jsonb default '{}')
    returns text
    language sql as $$
    select pg_temp.code(pg_temp.api(name, 'devices_get', 'GET',
        '/devices/{sn}', '{"path":{"sn":"T1"}}' || request))
$$;

select iclock.register_device('T1');

-- keys

select pg_temp.key('all', iclock.create_api_key('all',
    '{devices:read,devices:write,commands:read}'));

select matches(text, '^ik_live_[a-z2-7]{12}_[A-Za-z0-9_-]{43}$',
               'the text of a key')
  from api_key_of;
select results_eq(
    $$ select hash, scopes, rate, burst, state
         from api_key_of k, iclock_api.key(k.id) $$,
    $$ select encode(sha256(convert_to(text, 'UTF8')), 'hex'),
              'devices:read devices:write commands:read', null::text,
              null::text, 'active'
         from api_key_of $$,
    'what nginx learns of it');
select is_empty($$ select iclock_api.key('aaaaaaaaaaaa') $$,
                'nothing of one that is not there');
select is((select count(*)::int from iclock.api_key k, api_key_of t
            where k::text like '%' || right(t.text, 43) || '%'),
          0, 'its text is stored nowhere');
select is((select count(distinct iclock.create_api_key('n', '{logs:read}'))
             ::int from generate_series(1, 20)), 20, 'each key is another');

select throws_ok(call, '22023', null, call)
  from unnest(array[
    $$ select iclock.create_api_key('x', '{}') $$,
    $$ select iclock.create_api_key('x', '{devices:reed}') $$,
    $$ select iclock.create_api_key('x', '{logs:read}', 'prod') $$,
    $$ select iclock.create_api_key('x', '{logs:read}', rate => 0) $$,
    $$ select iclock.create_api_key('x', '{logs:read}', expires => '-1 d') $$,
    $$ select iclock.create_api_key(' ', '{logs:read}') $$]) as call;

select is(pg_temp.get('all'), '200', 'a key that is right');
select is(pg_temp.get('none'), '401 bad_key', 'one that is not there');

select pg_temp.key('new', iclock.rotate_api_key(
    (select id from api_key_of where name = 'all'), '1 hour'));
select is(pg_temp.get(k), '200', k || ' key, in the overlap')
  from unnest('{all,new}'::text[]) as k;
select results_eq(
    $$ select s.name, s.status, s.scopes
         from iclock.api_key_status s join api_key_of k using (id)
        order by k.name $$,
    $$ values ('all', 'replaced',
               '{devices:read,devices:write,commands:read}'::text[]),
              ('all', 'active',
               '{devices:read,devices:write,commands:read}') $$,
    'both in the view');
select throws_ok(
    format('select iclock.rotate_api_key(%L)', id), '55000', null,
    'what was replaced is not replaced again')
  from api_key_of where name = 'all';
update iclock.api_key k set expires_at = now()
  from api_key_of t where t.id = k.id and t.name = 'all';
select is(pg_temp.get('all'), '401 bad_key', 'the old one has ended');
select is(pg_temp.get('new'), '200', 'the new one has not');

select iclock.revoke_api_key(id) from api_key_of where name = 'new';
select is(pg_temp.get('new'), '401 bad_key', 'revoked');
select is((iclock_api.key(id)).state, 'revoked', 'nginx is told')
  from api_key_of where name = 'new';
select throws_ok($$ select iclock.revoke_api_key('aaaaaaaaaaaa') $$, 'P0002');

select is((pg_temp.api('new', 'devices_get', 'GET', '/devices/{sn}')).meta,
          (pg_temp.api('none', 'devices_get', 'GET', '/devices/{sn}')).meta,
          'revoked or unknown: nobody is told');

-- scope, address

select pg_temp.key('logs', iclock.create_api_key('logs', '{logs:read}'));
select is(pg_temp.get('logs'), '403 scope', 'another scope');

select pg_temp.key('near', iclock.create_api_key('near', '{devices:read}',
    allowed_networks => '{192.0.2.0/25,2001:db8::/32}'));
select is(pg_temp.get('near'), '200', 'from its network');
select is(pg_temp.get('near', '{"address":"2001:db8::7"}'), '200',
          'from the other one');
select is(pg_temp.get('near', format('{"address":"%s"}', a)::jsonb),
          '403 address', 'not from ' || a)
  from unnest('{192.0.2.200,198.51.100.1,::1}'::text[]) as a;
select is((pg_temp.api('near', 'devices_get', 'GET', '/devices/{sn}',
                       '{"address":"192.0.2.200"}')).meta
              #>> '{problem,detail}',
          'the key may not be used from 192.0.2.200', 'and which one is named');

select is((select count(*)::int from iclock.api_key_status
            where last_used_at = now() and last_used_address = '192.0.2.1'), 3,
          'when and where keys were used is noted');

-- parameters, members, pages

select is(pg_temp.get('near', '{"query":{"depth":"1"}}'), '400 bad_request',
          'an unknown parameter');

select throws_ok(
    $$ select iclock_api.members('{"name":"x","nmae":1,"a/b":2}', '{name}') $$,
    'ICAPI', 'the body has members that are not known');
select throws_ok(
    $$ select iclock_api.members('{"name":7}', '{name:string}') $$, 'ICAPI');
select throws_ok($$ select iclock_api.members('[]', '{name}') $$, 'ICAPI');
select throws_ok($$ select iclock_api.members(null, '{name}') $$, 'ICAPI');
select lives_ok(
    $$ select iclock_api.members('{"name":null,"n":7,"x":[]}',
           '{name:string,"n:number,string",x}') $$, 'known members');

select is(pg_temp.code(pg_temp.api('near', 'nosuch', 'GET', '/')),
          '500 internal', 'an operation that is not there');

-- SQLSTATEs: a function of its own for the errors

create function iclock_api.t_error(request jsonb) returns iclock_api.reply
    language plpgsql as $$
begin
    insert into iclock.device (serial_number) values ('UNDONE');
    raise exception using errcode = request #>> '{query,state}',
        message = 'argument "name" is wrong',
        constraint = coalesce(request #>> '{query,constraint}', '');
end
$$;
create function pg_temp.error(state text, constraint_name text default '')
    returns iclock_api.reply
    language sql as $$
    select pg_temp.api('near', 't_error', 'GET', '/t',
        jsonb_build_object('scope', 'devices:read', 'query',
            jsonb_build_object('state', state, 'constraint',
                               constraint_name)))
$$;
select is(pg_temp.code(pg_temp.error(state)), code, 'SQLSTATE ' || state)
  from (values
    ('22P02', '400 bad_request'), ('22007', '400 bad_request'),
    ('42501', '403 scope'), ('P0002', '404 not_found'),
    ('23505', '409 exists'), ('23503', '409 conflict'),
    ('23514', '422 invalid #/name'), ('22023', '422 invalid #/name'),
    ('P0001', '422 invalid #/name'), ('42P01', '500 internal'),
    ('42883', '500 internal'), ('22012', '500 internal')) as s (state, code);
select throws_ok(format('select pg_temp.error(%L)', state), state, null,
                 state || ' is the business of nginx')
  from unnest('{40001,40P01,53100,53300,55P03,57P01,58030,XX000,08006,25006}'
              ::text[]) as state;
select is((select count(*)::int from iclock.device
            where serial_number = 'UNDONE'), 0, 'what it did is undone');
select is((pg_temp.error('42P01')).meta ->> 'log',
          '42P01: argument "name" is wrong', 'the log has what went wrong');
select unalike((pg_temp.error('42P01')).meta #>> '{problem,detail}', '%name%',
               'and the client has not');
select unalike((pg_temp.error('23503', 'x_fkey')).meta::text, '%argument%',
               'nor what PostgreSQL says of constraints');

-- Idempotency-Key

select pg_temp.key('write', iclock.create_api_key('write',
    '{devices:read,devices:write}'));
create function pg_temp.post(idempotency_key text, serial_number text,
                             fingerprint text default null,
                             name text default 'write')
    returns iclock_api.reply
    language sql as $$
    select pg_temp.api(name, 'devices_create', 'POST', '/devices',
        jsonb_build_object('idempotency_key', idempotency_key,
            'fingerprint', coalesce(fingerprint, 'f' || serial_number)),
        json_build_object('serial_number', serial_number)::text)
$$;

select pg_temp.post('k1', 'I1') as first \gset
select pg_temp.post('k1', 'I1') as again \gset
select is(pg_temp.code(:'first'), '201', 'a request with a name');
select is((:'first'::iclock_api.reply).headers ? 'Idempotency-Replayed', false,
          'is answered');
select is(row((:'again'::iclock_api.reply).status,
              (:'again'::iclock_api.reply).body),
          row(201, (:'first'::iclock_api.reply).body),
          'again: the same answer');
select is((:'again'::iclock_api.reply).headers,
          (:'first'::iclock_api.reply).headers
          || '{"Idempotency-Replayed":"true"}', 'which says so');
select is(pg_temp.code(pg_temp.post('k1', 'I2')), '422 reused_key',
          'another request of this name');
select is((select count(*)::int from iclock.device
            where serial_number like 'I_'), 1, 'one device');
select is(pg_temp.code(pg_temp.post('k2', 'I1')), '409 exists', 'a refusal');
select iclock.delete_device('I1');
select is(pg_temp.code(pg_temp.post('k2', 'I1')), '409 exists', 'is kept, too');
select is(pg_temp.code(pg_temp.post(k, 'I3')), '400 bad_idempotency_key',
          'no name: ' || to_json(left(k, 9)))
  from unnest(array['', repeat('k', 256), 'a' || chr(10), 'ä']) as k;
select is(pg_temp.code(pg_temp.post(repeat('k', 255), 'I3')), '201',
          'the longest name');

select pg_temp.key('other', iclock.create_api_key('other',
    '{devices:write}'));
select is(pg_temp.code(pg_temp.post('k1', 'I4', null, 'other')), '201',
          'names are those of a key');

update iclock.api_idempotency set created_at = now() - interval '24 hours 1 s'
 where idempotency_key = 'k1';
select is(pg_temp.code(pg_temp.post('k1', 'I2')), '201',
          'forgotten after a day');
select is(pg_temp.code(pg_temp.api('write', 'devices_create', 'POST',
              '/devices', '{"idempotency_key":"k9","scope":"logs:read"}')),
          '403 scope', 'what the key may not do');
select is((select count(*)::int from iclock.api_idempotency
            where idempotency_key = 'k9'), 0, 'is not kept');

create function iclock_api.t_fails(request jsonb) returns iclock_api.reply
    language sql as $$ select iclock_api.problem(500, 'internal', 'x') $$;
select pg_temp.api('write', 't_fails', 'POST', '/t',
                   '{"idempotency_key":"k8","scope":"devices:write"}');
select is((select count(*)::int from iclock.api_idempotency
            where idempotency_key = 'k8'), 0, 'nor what went wrong here');

-- audit

delete from iclock.api_audit;
select pg_temp.get('write');
select pg_temp.post('k1', 'I2');
select pg_temp.api('write', 'devices_delete', 'DELETE', '/devices/{sn}',
                   '{"path":{"sn":"NOSUCH"},"address":"2001:db8::1"}');
select pg_temp.key('face', iclock.create_api_key('face', '{templates:read}'));
select pg_temp.api('face', 't_fails', 'GET', '/users/{id}/templates',
    '{"path":{"id":"7"},"scope":"templates:read"}');
select results_eq(
    $$ select operation, target, status, host(address), request_id
         from iclock.api_audit order by id $$,
    $$ values ('devices_create', 'I2', 201, '192.0.2.1', 'r1'),
              ('devices_delete', 'NOSUCH', 404, '2001:db8::1', 'r1'),
              ('t_fails', '7', 500, '192.0.2.1', 'r1') $$,
    'who wrote, and who read templates');

-- what is old goes

update iclock.api_idempotency set created_at = now() - interval '25 hours'
 where idempotency_key = 'k2';
insert into iclock.api_audit (at, key_id, operation, status)
select now() - interval '90 days 1 minute', 'x', 'x', 200
  from generate_series(1, 1500);
insert into iclock.stream_token (token_hash, key_id, expires_at)
select sha256(i::text::bytea), t.id, now() + interval '1 minute' * i
  from api_key_of t, generate_series(-1, 1, 2) as i
 where t.name = 'write';
select is(iclock.prune_api(), true, 'more is left');
select is(iclock.prune_api(), false, 'no more');
select results_eq(
    $$ select (select count(*)::int from iclock.api_audit),
              (select count(*)::int from iclock.api_idempotency
                where idempotency_key = 'k2'),
              (select count(*)::int from iclock.stream_token) $$,
    $$ values (3, 0, 1) $$, 'the old is gone, the rest is there');

-- limited to sites: whoever makes keys makes them for these

create role t_call_pune;
create role t_call_all;
insert into iclock.role_site (role, site) values ('t_call_pune', 'Pune');
grant execute on function iclock.create_api_key, iclock.revoke_api_key(text)
   to t_call_pune;
grant usage on schema iclock to t_call_pune;
grant iclock_operator to t_call_pune, t_call_all;
select is(pg_temp.as_role('t_call_pune', call), state, call)
  from (values
    ($$ select iclock.create_api_key('x', '{logs:read}', sites => '{Pune}') $$,
     'ok'),
    ($$ select iclock.create_api_key('x', '{logs:read}') $$, '42501'),
    ($$ select iclock.create_api_key('x', '{logs:read}', sites => '{}') $$,
     '42501'),
    ($$ select iclock.create_api_key('x', '{logs:read}',sites=>'{Goa,Pune}') $$,
     '42501')) as c (call, state);
select is(pg_temp.as_role('t_call_pune',
                          format('select iclock.revoke_api_key(%L)',
                                 id)), 'P0002',
          'others'' keys are not there')
  from api_key_of where name = 'write';
create function pg_temp.seen(role name) returns bigint
    language plpgsql as $$
declare
    seen  bigint;
begin
    execute format('set local role %I', role);
    select count(*) into seen from iclock.api_key_status;
    reset role;
    return seen;
end
$$;
select is(pg_temp.seen('t_call_pune'), 1::bigint, 'nor in the view');
select is(pg_temp.seen('t_call_all'), (select count(*) from iclock.api_key),
          'which shows all to others');

-- only what call() hands out

select is(pg_temp.as_role('iclock_api', call), state, call)
  from (values
    ($$ select iclock_api.key('x') $$, 'ok'),
    ($$ select iclock_api.call('service', '{"method":"GET"}') $$, 'ok'),
    ($$ select iclock_api.settle('{}') $$, 'ok'),
    ($$ select iclock_api.devices_get('{}') $$, '42501'),
    ($$ select iclock_api.run('devices_get', '{}', null) $$, '42501'),
    ($$ select id from iclock.api_key $$, '42501'),
    ($$ select iclock.create_api_key('x', '{logs:read}') $$, '42501'))
    as c (call, state);

select is(pg_temp.member(iclock_api.call('service',
              '{"method":"GET","version":"9.9"}'), 'version'), '9.9',
          'the service needs no key');

select * from finish();
rollback;
