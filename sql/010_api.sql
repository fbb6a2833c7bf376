-- Migration 10: keys and what the API keeps.  The new columns of device rewrite
-- nothing; their indexes are in indexes.sql.

-- The text of a key is kept nowhere, only its SHA-256: the secret in it has 256
-- bits, so that nothing is gained by a slower one.
create table iclock.api_key (
    id                 text         not null primary key
                       check (id ~ '^[a-z2-7]{12}$'),
    hash               bytea        not null check (octet_length(hash) = 32),
    name               text         not null,
    mode               text         not null default 'live'
                       check (mode in ('live', 'test')),
    scopes             text[]       not null
                       check (array_position(scopes, null) is null
                              and scopes <@ array[
                                  'devices:read', 'devices:write',
                                  'users:read', 'users:write',
                                  'templates:read', 'logs:read',
                                  'events:read', 'commands:read',
                                  'commands:write', 'doors:read',
                                  'doors:control', 'webhooks:manage']),
    sites              text[]
                       check (array_position(sites, null) is null),
    devices            text[]
                       check (array_position(devices, null) is null),
    rate               integer      check (rate between 1 and 1000000),
    burst              integer      check (burst between 1 and 1000000),
    allowed_networks   cidr[]
                       check (array_position(allowed_networks, null) is null),
    expires_at         timestamptz,
    created_at         timestamptz  not null default now(),
    created_by         text         not null default iclock.calling_role(),
    revoked_at         timestamptz,
    replaced_by        text         references iclock.api_key
                                    on delete set null,
    last_used_at       timestamptz,
    last_used_address  inet
)
-- the last two are written every minute: room for HOT updates
with (fillfactor = 50);

create table iclock.api_idempotency (
    key_id           text         not null references iclock.api_key
                                  on delete cascade,
    idempotency_key  text         not null
                     check (idempotency_key ~ '^[\x20-\x7e]{1,255}$'),
    fingerprint      text         not null,
    status           integer      not null,
    headers          jsonb,
    body             text,
    meta             jsonb,
    created_at       timestamptz  not null default now(),
    primary key (key_id, idempotency_key)
);

create index api_idempotency_created_idx on iclock.api_idempotency (created_at);

-- no reference to the key: what it did is told also when it is gone
create table iclock.api_audit (
    id          bigint       generated always as identity primary key,
    at          timestamptz  not null default now(),
    key_id      text         not null,
    operation   text         not null,
    target      text,
    status      integer      not null,
    address     inet,
    request_id  text
);

create index api_audit_at_idx on iclock.api_audit (at);
create index api_audit_key_idx on iclock.api_audit (key_id, at);

create table iclock.stream_token (
    token_hash  bytea        not null primary key
                             check (octet_length(token_hash) = 32),
    key_id      text         not null references iclock.api_key
                             on delete cascade,
    expires_at  timestamptz  not null,
    used_at     timestamptz
);

create index stream_token_expiry_idx on iclock.stream_token (expires_at);

alter table iclock.device
    add column location    text,
    add column sandbox     boolean not null default false,
    add column removed_at  timestamptz;

create trigger api_key_notify
    after insert or delete on iclock.api_key
    for each row execute function iclock.api_key_notify();

-- not when it was used
create trigger api_key_notify_update
    after update on iclock.api_key
    for each row
    when ((old.id, old.hash, old.mode, old.scopes, old.sites, old.devices,
           old.rate, old.burst, old.allowed_networks, old.expires_at,
           old.revoked_at)
          is distinct from
          (new.id, new.hash, new.mode, new.scopes, new.sites, new.devices,
           new.rate, new.burst, new.allowed_networks, new.expires_at,
           new.revoked_at))
    execute function iclock.api_key_notify();

create trigger device_location_updated
    before update on iclock.device
    for each row when (old.location is distinct from new.location)
    execute function iclock.device_updated();

-- whoever lets a removed device in again need not know that it was removed
create trigger device_readmitted
    before update of status on iclock.device
    for each row
    when (old.removed_at is not null and new.status <> 'blocked')
    execute function iclock.device_readmitted();

insert into iclock.schema_version (version, description)
values (10, 'keys and what the API keeps');
