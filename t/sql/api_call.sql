-- Keys of the API, and what call() makes of a request before and after the
-- operation.

\ir ../fixtures/pgtap.psql
\ir ../fixtures/api.psql

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
            where k::text like '%' || split_part(t.text, '_', 4) || '%'),
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
