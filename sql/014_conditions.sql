-- Migration 14: what is wrong with devices, and what tells so without reading
-- all punches.

-- Thresholds are here and nowhere else.  A site may change them.
create table iclock.condition (
    name        text      not null primary key,
    position    smallint  not null unique,
    warn_after  interval  check (warn_after >= interval '0'),
    params      jsonb     not null default '{}'
);

insert into iclock.condition (name, position, warn_after, params)
values ('blocked',     1, null,         '{}'),
       ('key',         2, '0',          '{"within": "24 hours"}'),
       ('network',     3, '0',          '{"within": "24 hours"}'),
       ('new',         4, '0',          '{}'),
       ('silent',      5, '15 minutes', '{}'),
       ('silent_day',  6, '0',          '{"after": "24 hours"}'),
       ('never',       7, '0',          '{}'),
       ('lines',       8, '0',          '{"within": "24 hours"}'),
       ('missing',     9, '1 hour',     '{}'),
       ('clock',      10, '0',          '{"skew": "60 seconds"}'),
       ('quiet',      11, '0',          '{"punches": 10, "weeks": 4}'),
       ('full',       12, '0',          '{"ratio": 0.9}'),
       ('commands',   13, '10 minutes', '{"after": "10 minutes"}'),
       ('failed',     14, '0',          '{"within": "24 hours"}');

alter table iclock.device
    add column told_delay    integer,
    add column status_since  timestamptz,
    add column status_by     text,
    add column muted_until   timestamptz,
    add column note          text
        constraint device_note_check check (octet_length(note) <= 4000);

create trigger device_status_changed
    before insert or update of status on iclock.device
    for each row execute function iclock.device_status_changed();

create trigger device_note_updated
    before update on iclock.device
    for each row when (old.note is distinct from new.note
                       or old.muted_until is distinct from new.muted_until)
    execute function iclock.device_updated();

-- the login of nginx is that of all who use the API
alter table iclock.command
    alter column created_by set default iclock.caller();
alter table iclock.attendance_check
    alter column created_by set default iclock.caller();

-- why a device that is registered was last refused, though nobody blocked it
create table iclock.device_refusal (
    device_id  bigint       not null primary key
                            references iclock.device on delete cascade,
    reason     text         not null check (reason in ('key', 'network')),
    first_at   timestamptz  not null,
    last_at    timestamptz  not null,
    address    inet
)
with (fillfactor = 50);

-- of each device what its last punches tell; written every minute
create table iclock.device_pulse (
    device_id        bigint       not null primary key
                                  references iclock.device on delete cascade,
    last_local_time  timestamp,
    last_punch_at    timestamptz,
    clock_skew       interval,
    skew_at          timestamptz,
    skew_since       timestamptz,
    quiet_since      timestamptz,
    quiet_usual      integer
)
with (fillfactor = 50);

-- punches of the hours of a day, by the clock of the device
create table iclock.device_day (
    day        date       not null,
    device_id  bigint     not null references iclock.device on delete cascade,
    hours      integer[]  not null check (array_length(hours, 1) = 24),
    primary key (day, device_id)
)
with (fillfactor = 70);

create index device_day_device_idx on iclock.device_day (device_id);

-- punches stored in five minutes, for a day
create table iclock.punch_rate (
    slot     timestamptz  not null,
    site     text         not null default '',
    sandbox  boolean      not null default false,
    punches  integer      not null,
    primary key (slot, site, sandbox)
)
with (fillfactor = 70);

-- Which punches have been counted: those that this snapshot shows.  What is
-- there already is not.
create table iclock.punch_tally (
    single      boolean        not null primary key default true check (single),
    tallied_at  timestamptz    not null default '-infinity',
    quiet_at    timestamptz    not null default '-infinity',
    base        bigint         not null,
    snapshot    txid_snapshot  not null
);

insert into iclock.punch_tally (base, snapshot)
select s.txid_base, txid_current_snapshot()
  from iclock.punch_state s;

insert into iclock.schema_version (version, description)
values (14, 'conditions of devices');
