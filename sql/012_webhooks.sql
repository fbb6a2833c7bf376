-- Migration 12: webhooks.

create table iclock.webhook_endpoint (
    id               text         not null primary key
        constraint webhook_endpoint_id_check
        check (id ~ '^wh_[a-z2-7]{12}$'),
    url              text         not null
        constraint webhook_endpoint_url_check
        check (iclock.is_webhook_url(url)),
    description      text         not null default ''
        constraint webhook_endpoint_description_check
        check (length(description) <= 500),
    types            smallint[]
        constraint webhook_endpoint_types_check
        check (cardinality(types) between 1 and 100
               and array_position(types, null) is null),
    sites            text[]
        constraint webhook_endpoint_sites_check
        check (cardinality(sites) between 1 and 1000
               and array_position(sites, null) is null),
    devices          text[]
        constraint webhook_endpoint_devices_check
        check (cardinality(devices) between 1 and 1000
               and array_position(devices, null) is null),
    mode             text         not null default 'live'
        constraint webhook_endpoint_mode_check
        check (mode in ('live', 'test')),
    status           text         not null default 'active'
        constraint webhook_endpoint_status_check
        check (status in ('active', 'failing', 'paused', 'disabled')),
    status_reason    text,
    enabled          boolean      not null
        generated always as (status in ('active', 'failing')) stored,
    secret           bytea        not null
        constraint webhook_endpoint_secret_check
        check (octet_length(secret) between 24 and 64),
    previous_secret  bytea
        constraint webhook_endpoint_previous_secret_check
        check (octet_length(previous_secret) between 24 and 64),
    previous_until   timestamptz,
    ordered          boolean      not null default false,
    concurrency      integer      not null default 4
        constraint webhook_endpoint_concurrency_check
        check (concurrency between 1 and 32),
    batch            integer      not null default 1
        constraint webhook_endpoint_batch_check
        check (batch between 1 and 500),
    headers          json         not null default '{}',
    body             json,
    cursor_xid       xid8         not null,
    cursor_seq       bigint       not null,
    failing_since    timestamptz,
    failures         integer      not null default 0,
    probes           integer      not null default 0,
    probing          boolean      not null default false,
    choosy           boolean      not null default false,
    next_probe_at    timestamptz,
    leased_by        text,
    leased_until     timestamptz,
    key_id           text,
    created_at       timestamptz  not null default now(),
    created_by       text
)
with (fillfactor = 50);

create index webhook_endpoint_key_idx on iclock.webhook_endpoint (key_id);

create table iclock.webhook_retry (
    endpoint_id  text         not null
        references iclock.webhook_endpoint (id) on delete cascade,
    xid          xid8         not null,
    seq          bigint       not null,
    state        text         not null
        constraint webhook_retry_state_check
        check (state in ('retrying', 'dead', 'resend')),
    attempts     integer      not null default 0,
    first_at     timestamptz  not null,
    next_at      timestamptz  not null,
    taken        boolean      not null default false,
    last_status  integer,
    last_error   text,
    type         text         not null,
    payload      text         not null,
    primary key (endpoint_id, xid, seq)
);

create index webhook_retry_due_idx on iclock.webhook_retry
    (endpoint_id, next_at)
    where state <> 'dead';
create index webhook_retry_dead_idx on iclock.webhook_retry (next_at)
    where state = 'dead';

create table iclock.webhook_attempt (
    endpoint_id  text         not null,
    event_id     text         not null,
    attempt      integer      not null,
    at           timestamptz  not null,
    duration_ms  integer,
    status       integer,
    error        text,
    response     text,
    id           bigint       not null generated always as identity,
    primary key (endpoint_id, at, id)
) partition by range (at);

-- of days that maintain() has not got to
create table iclock.webhook_attempt_default
    partition of iclock.webhook_attempt default;

create trigger api_key_webhooks
    after update of revoked_at, replaced_by on iclock.api_key
    for each row execute function iclock.api_key_webhooks();

alter table iclock.retention
    drop constraint retention_kind_check,
    add constraint retention_kind_check
        check (kind in ('command', 'command_body', 'unanswered_body', 'photo',
                        'operation', 'rejected_line', 'device_error',
                        'event', 'webhook_attempt', 'webhook_dead'));

insert into iclock.retention (kind, age)
values ('webhook_attempt', '7 days'), ('webhook_dead', '30 days');

insert into iclock.schema_version (version, description)
values (12, 'webhooks');
