-- Secrets of webhooks that nginx has sealed: who gets endpoints, and what takes
-- the place of what.  t/webhook_secrets.t has the keys.

\ir ../fixtures/pgtap.psql
\ir ../fixtures/api.psql

create function pg_temp.sealed(key text, n integer default 1) returns bytea
    language sql as $$
    select 'iclocks1'::bytea || decode($1, 'hex')
           || substr(sha256($2::text::bytea), 1, 12)
           || sha256($2::text::bytea)
           || substr(sha256($2::text::bytea), 1, 16)
$$;

create function pg_temp.leased(sender text, keys text[] default null)
    returns text language sql as $$
    select string_agg(right(l.id, 1) || ' ' || l.status || ' '
                      || substr(l.secret, 1, 3), ', ' order by l.id)
      from iclock.webhook_lease(sender, 10, keys) as l
$$;

create function pg_temp.hash(secret bytea) returns text language sql as $$
    select encode(sha256(iclock.webhook_secret_text($1)::bytea), 'hex')
$$;

\set one '0123456789abcdef'
\set two 'fedcba9876543210'

select is(length(pg_temp.sealed(:'one')), 76, 'what is sealed has a length');
select is(iclock.webhook_secret_text(sha256('1')) ~ '^whsec_.{43}=$', true,
          'a secret in clear is a text of receivers');
select is(iclock.webhook_sealed(iclock.webhook_secret_text(
              pg_temp.sealed(:'one'))), pg_temp.sealed(:'one'),
          'one that is sealed is another, there and back');
select is(iclock.webhook_sealed('whsec_AAAA'), null, 'which no other text is');
select is(iclock.webhook_secret_key(pg_temp.sealed(:'one')), :'one',
          'it names its key');
select is(iclock.webhook_secret_key(sha256('1')), null, 'one in clear has none');

insert into iclock.webhook_endpoint (id, url, secret, previous_secret,
                                     previous_until, cursor_xid, cursor_seq)
select 'wh_aaaaaaaaaaa' || e.name, 'https://a.example/', e.secret, e.previous,
       e.until, '3', 0
  from (values
    ('a', sha256('1'), null, null),
    ('b', pg_temp.sealed(:'one'), null, null),
    ('c', pg_temp.sealed(:'two'), sha256('2'), now() + interval '1 day'),
    ('d', sha256('3'), pg_temp.sealed(:'one', 2), now() + interval '1 day'),
    ('e', sha256('4'), pg_temp.sealed(:'one', 3), now() - interval '1 day'))
    as e (name, secret, previous, until);

select throws_ok(format($$ update iclock.webhook_endpoint set secret = %L $$,
                        substr(pg_temp.sealed(:'one'), 2)), '23514', null,
                 'nothing else may be stored');
select throws_ok($$ update iclock.webhook_endpoint set secret = 'x' $$,
                 '23514', null, 'nor a short one');

-- who gets which

select is(pg_temp.leased('none'), 'a active whs, b closed , c closed , '
          'd closed , e active whs',
          'without keys: those in clear, and that the others are there');
select is(pg_temp.leased('one', array[:'one']),
          'b active sea, c closed , d active whs', 'by one key');
select is(pg_temp.leased('both', array[:'two', :'one']), 'c active sea',
          'by two');
update iclock.webhook_endpoint set leased_until = now() + interval '9 seconds'
 where leased_by = 'one';
select is(pg_temp.leased('one', array[:'two']), 'b closed , d closed ',
          'who has lost its key does not have them any more');
update iclock.webhook_endpoint set leased_until = now() - interval '1 second'
 where leased_by = 'one';
select is(pg_temp.leased('both', array[:'two', :'one']),
          'b active sea, c active sea, d active whs',
          'and they are another''s when the lease has ended');
update iclock.webhook_endpoint e set status = 'paused'
 where e.id like '%b';
select is(pg_temp.leased('none'), 'a active whs, c closed , d closed , '
          'e active whs', 'nobody is told of those that are paused');

-- what takes the place of what

create function pg_temp.seal(sender text, name text, old bytea, new bytea)
    returns text language sql as $$
    select iclock.webhook_seal(sender, jsonb_build_array(jsonb_build_object(
        'id', 'wh_aaaaaaaaaaa' || name, 'old', pg_temp.hash(old),
        'new', iclock.webhook_secret_text(new))));
    select concat_ws(' ', coalesce(iclock.webhook_secret_key(e.secret), 'clear'),
                     coalesce(iclock.webhook_secret_key(e.previous_secret),
                              'clear'))
      from iclock.webhook_endpoint e
     where e.id = 'wh_aaaaaaaaaaa' || name
$$;

select pg_temp.key('all', iclock.create_api_key('all',
           '{webhooks:manage}')) as key \gset
insert into iclock.api_idempotency (key_id, idempotency_key, fingerprint,
                                    status, body)
select :'key', k, '', 201, format('{"id":"wh_x","secret":"%s"}',
                                  iclock.webhook_secret_text(sha256(s)))
  from (values ('a', '1'::bytea), ('b', '5')) as v (k, s);

select is(pg_temp.seal('other', 'a', sha256('1'), pg_temp.sealed(:'one', 9)),
          'clear clear', 'who has not leased it does not seal');
select is(pg_temp.seal('none', 'a', sha256('2'), pg_temp.sealed(:'one', 9)),
          'clear clear', 'nor who knows another secret');
select is(pg_temp.seal('none', 'a', sha256('1'), pg_temp.sealed(:'one', 9)),
          :'one' || ' clear', 'its sender does');
select is((select string_agg(i.body::json ->> 'secret', ' '
                             order by i.idempotency_key)
             from iclock.api_idempotency i),
          iclock.webhook_secret_text(pg_temp.sealed(:'one', 9)) || ' '
          || iclock.webhook_secret_text(sha256('5')),
          'also in the answer that is kept, and in no other');
select is(pg_temp.seal('both', 'c', sha256('2'), pg_temp.sealed(:'two', 8)),
          :'two' || ' ' || :'two', 'the one before');
select is(pg_temp.seal('both', 'c', pg_temp.sealed(:'two'),
                       pg_temp.sealed(:'one', 7)),
          :'one' || ' ' || :'two', 'another key');
select throws_ok(format($$ select pg_temp.seal('none', 'e', sha256('4'), %L)
                        $$, sha256('4')), '23502', null,
                 'what is in clear takes the place of nothing');

select is((select string_agg(concat(right(s.id, 1), s.sealed_by), ' '
                             order by s.id)
             from iclock.webhook_status s),
          format('a{%1$s} b{%1$s} c{%1$s,%2$s} d{%1$s} e', :'one', :'two'),
          'the view names keys');

-- the API makes none itself when nginx brings one

select iclock.webhook_secret_text(pg_temp.sealed(:'one', 4)) as text \gset
select pg_temp.api('all', 'webhooks_create', 'POST', '/webhooks',
           jsonb_build_object('scope', 'webhooks:manage', 'sealed', :'text',
                              'idempotency_key', 'c', 'fingerprint', 'c'),
           '{"url":"https://b.example/"}') as made \gset
select is(pg_temp.member(:'made', 'secret'), :'text', 'it stays sealed');
select pg_temp.member(:'made', 'id') as id \gset
select is((select secret from iclock.webhook_endpoint where id = :'id'),
          pg_temp.sealed(:'one', 4), 'in the table');
select is((select body::json ->> 'secret' from iclock.api_idempotency
            where idempotency_key = 'c'), :'text', 'and in what is kept');
select iclock.webhook_secret_text(pg_temp.sealed(:'one', 5)) as text \gset
select is(pg_temp.member(pg_temp.api('all', 'webhooks_action', 'POST',
              '/webhooks/{id}/rotate-secret',
              jsonb_build_object('scope', 'webhooks:manage', 'sealed', :'text',
                                 'path', json_build_object('id', :'id')), '{}'),
              'secret'), :'text', 'so does one that is rotated');
select is((select (secret, previous_secret)::text
             from iclock.webhook_endpoint where id = :'id'),
          (select (pg_temp.sealed(:'one', 5), pg_temp.sealed(:'one', 4))::text),
          'both of them');
select is((select iclock.rotate_webhook_secret(:'id')) ~ '^whsec_', true,
          'SQL makes one in clear');

-- nobody else

select is(pg_temp.as_role(r, 'select ' || c || ' from iclock.webhook_endpoint'),
          '42501', r || ' does not read ' || c)
  from unnest(array['iclock_reader', 'iclock_operator', 'iclock_module',
                    'iclock_api']) as r,
       unnest(array['secret', 'previous_secret', 'headers']) as c;
select is(pg_temp.as_role(r, 'select body from iclock.api_idempotency'),
          '42501', r || ' does not read answers that are kept')
  from unnest(array['iclock_reader', 'iclock_operator', 'iclock_module',
                    'iclock_api']) as r;
select is(pg_temp.as_role(r, 'select iclock.' || f), '42501',
          r || ' does not call ' || f)
  from unnest(array['iclock_reader', 'iclock_operator', 'iclock_module']) as r,
       unnest(array['webhook_lease(''x'', 1)', 'webhook_seal(''x'', ''[]'')',
                    'change_webhook_secret(''x'', ''x'', ''1 day'')']) as f;

select * from finish();
rollback;
