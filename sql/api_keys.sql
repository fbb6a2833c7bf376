-- Keys of the API.  The text of a key is ik_<live|test>_<id>_<secret>; it is
-- shown when it is made, and never again.  These functions are granted to
-- nobody: a key may read templates and open doors, so the owner of the schema
-- says who makes some.

create or replace function iclock.random_bytes()
    returns bytea
    language sql volatile
    set search_path = pg_catalog, pg_temp
as $$
    select sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()))
$$;
comment on function iclock.random_bytes() is
    '32 bytes that nobody can guess: two random UUIDs have 244 random bits';

create or replace function iclock.base64url(value bytea)
    returns text
    language sql immutable strict parallel safe
    set search_path = pg_catalog, pg_temp
as $$
    select translate(encode(value, 'base64'), E'+/=\n', '-_')
$$;
comment on function iclock.base64url(bytea) is
    'Base64 with the alphabet for URLs, without padding';

-- 12 characters of 5 bits each
create or replace function iclock.random_id()
    returns text
    language sql volatile
    set search_path = pg_catalog, iclock, pg_temp
as $$
    select string_agg(substr('abcdefghijklmnopqrstuvwxyz234567',
                             1 + (get_byte(r.bytes, i) & 31), 1), '')
      from (select iclock.random_bytes() as bytes offset 0) as r,
           generate_series(0, 11) as i
$$;
comment on function iclock.random_id() is
    'A random name of 12 letters and digits';


-- Stores a key with a new id and secret, and returns its text.
create or replace function iclock.store_api_key(key iclock.api_key)
    returns text
    language plpgsql
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    id   constant text := iclock.random_id();
    text constant text := format('ik_%s_%s_%s', key.mode, id,
                                 iclock.base64url(iclock.random_bytes()));
begin
    insert into iclock.api_key (id, hash, name, mode, scopes, sites, devices,
                                rate, burst, allowed_networks, expires_at)
    values (id, sha256(convert_to(text, 'UTF8')), key.name, key.mode,
            key.scopes, key.sites, key.devices, key.rate, key.burst,
            key.allowed_networks, key.expires_at);

    -- without readers of them no events are written
    if 'events:read' = any (key.scopes)
       and to_regprocedure('iclock.enable_events()') is not null
    then
        perform iclock.enable_events();
    end if;

    return text;
end
$$;
comment on function iclock.store_api_key(iclock.api_key) is
    'Stores a key of the API with a new id and secret; returns its text';

create or replace function iclock.create_api_key(
        name              text,
        scopes            text[],
        mode              text     default 'live',
        sites             text[]   default null,
        devices           text[]   default null,
        rate              integer  default null,
        expires           interval default null,
        burst             integer  default null,
        allowed_networks  cidr[]   default null)
    returns text
    language plpgsql security definer
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    key      iclock.api_key;
    refused  text;
begin
    perform iclock.field('name', $1, '\S'),
            iclock.choice('mode', $3, array['live', 'test'],
                          array['live', 'test']);

    if scopes is null or scopes = '{}' then
        perform iclock.wrong_argument('scopes', 'is empty',
            'See the constraint of iclock.api_key for those there are.');
    end if;

    if expires <= interval '0' then
        perform iclock.wrong_argument('expires', 'must be positive');
    end if;

    -- whoever is limited to sites makes no key that is not
    if iclock.visible_sites() is not null then
        perform iclock.own_site('sites', s)
           from unnest(coalesce(nullif($4, '{}'), array[null])) as s;
    end if;

    key.name := $1;
    key.scopes := $2;
    key.mode := $3;
    key.sites := $4;
    key.devices := $5;
    key.rate := $6;
    key.expires_at := now() + $7;
    key.burst := $8;
    key.allowed_networks := $9;

    return iclock.store_api_key(key);
exception when check_violation then
    get stacked diagnostics refused = constraint_name;
    perform iclock.wrong_argument(
        regexp_replace(refused, '^api_key_|_check[0-9]*$', '', 'g'),
        'has a value that keys cannot have',
        'See the constraints of iclock.api_key.');
end
$$;
comment on function iclock.create_api_key is
    'Makes a key of the API and returns its text, which is kept nowhere: '
    'scopes as devices:read, mode test for devices of the sandbox alone, sites '
    'and devices (serial numbers) it is limited to, requests a minute and at '
    'once, how long it lives, where it may come from';

-- The new one is to be used from now on; the old one works for the overlap yet.
create or replace function iclock.rotate_api_key(
        id       text,
        overlap  interval default '1 day')
    returns text
    language plpgsql security definer
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    key   iclock.api_key := iclock.own_api_key($1);
    text  text;
begin
    if overlap is null or overlap < interval '0' then
        perform iclock.wrong_argument('overlap', 'must not be negative');
    end if;

    if key.revoked_at is not null or key.expires_at <= now()
       or key.replaced_by is not null
    then
        raise object_not_in_prerequisite_state
            using message = format('key "%s" is not in use any more', $1),
                  hint = 'Make a new one: create_api_key().';
    end if;

    text := iclock.store_api_key(key);

    update iclock.api_key k
       set expires_at = least(k.expires_at, now() + overlap),
           replaced_by = split_part(text, '_', 3)
     where k.id = $1;

    return text;
end
$$;
comment on function iclock.rotate_api_key(text, interval) is
    'Makes a key that takes the place of another and has the same end; that '
    'one works for an overlap yet. Returns its text';

create or replace function iclock.revoke_api_key(id text)
    returns void
    language plpgsql security definer
    set search_path = pg_catalog, iclock, pg_temp
as $$
begin
    perform iclock.own_api_key($1);

    update iclock.api_key k
       set revoked_at = now()
     where k.id = $1
       and k.revoked_at is null;
end
$$;
comment on function iclock.revoke_api_key(text) is
    'Refuses a key of the API from now on';

create or replace function iclock.own_api_key(id text)
    returns iclock.api_key
    language plpgsql
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    visible  constant text[] := iclock.visible_sites();
    key      iclock.api_key;
begin
    select k.* into key
      from iclock.api_key k
     where k.id = $1
       and (visible is null or k.sites <@ visible)
       for no key update;

    if key.id is null then
        raise no_data_found
            using message = format('there is no key with id %s',
                                   coalesce('"' || $1 || '"', 'NULL')),
                  hint = 'The id of a key is the third part of its text.';
    end if;
    return key;
end
$$;
comment on function iclock.own_api_key(text) is
    'The key of the API with an id, locked, or an error that names it';

create or replace view iclock.api_key_status
    with (security_barrier)
as
select k.id,
       k.name,
       k.mode,
       k.scopes,
       k.sites,
       k.devices,
       k.rate,
       k.burst,
       k.allowed_networks,
       case when k.revoked_at is not null  then 'revoked'
            when k.expires_at <= now()     then 'expired'
            when k.replaced_by is not null then 'replaced'
            else 'active' end               as status,
       k.expires_at,
       k.created_at,
       k.created_by,
       k.revoked_at,
       k.replaced_by,
       k.last_used_at,
       k.last_used_address
  from iclock.api_key k
 where coalesce(k.sites operator(pg_catalog.<@)
                (select iclock.visible_sites()),
                (select iclock.visible_sites()) is null);
comment on view iclock.api_key_status is
    'Keys of the API, without their hashes';
comment on column iclock.api_key_status.id is
    'Key; the third part of the text, and what logs and functions name';
comment on column iclock.api_key_status.name is 'Name for people';
comment on column iclock.api_key_status.mode is
    'live, or test: sees devices of the sandbox alone';
comment on column iclock.api_key_status.scopes is 'What it may do';
comment on column iclock.api_key_status.sites is 'Sites it may see; NULL: all';
comment on column iclock.api_key_status.devices is
    'Serial numbers of devices it may see; NULL: all';
comment on column iclock.api_key_status.rate is
    'Requests a minute; NULL: as directive iclock_api_rate';
comment on column iclock.api_key_status.burst is
    'Requests at once; NULL: as directive iclock_api_rate';
comment on column iclock.api_key_status.allowed_networks is
    'Networks it may be used from; NULL: any';
comment on column iclock.api_key_status.status is
    'active, replaced (by another, works until it expires), expired, revoked';
comment on column iclock.api_key_status.expires_at is 'When it ends';
comment on column iclock.api_key_status.created_at is 'When it was made';
comment on column iclock.api_key_status.created_by is 'Role that made it';
comment on column iclock.api_key_status.revoked_at is 'When it was revoked';
comment on column iclock.api_key_status.replaced_by is
    'Key that takes its place: rotate_api_key()';
comment on column iclock.api_key_status.last_used_at is
    'When it was last used, up to a minute behind';
comment on column iclock.api_key_status.last_used_address is
    'Where it was used from then';
grant select on iclock.api_key_status to iclock_operator;

-- What nginx asks of a key that it does not know, and what it keeps of it.  No
-- row: there is no such key.
create or replace function iclock_api.key(id text)
    returns table (
        hash    text,
        scopes  text,
        rate    text,
        burst   text,
        state   text)
    language sql stable security definer
    set search_path = pg_catalog, iclock, pg_temp
as $$
    select encode(k.hash, 'hex'), array_to_string(k.scopes, ' '),
           k.rate::text, k.burst::text,
           case when k.revoked_at is not null  then 'revoked'
                when k.expires_at <= now()     then 'expired'
                else 'active' end
      from iclock.api_key k
     where k.id = $1
$$;
comment on function iclock_api.key(text) is
    'For nginx: the SHA-256 of a key as hexadecimal digits, its scopes '
    'separated by blanks, its rate and burst, its state: active, expired, '
    'revoked';
grant execute on function iclock_api.key(text) to iclock_api;
