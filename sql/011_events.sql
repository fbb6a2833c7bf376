-- Migration 11: the event feed.

create table iclock.event_type (
    code         smallint  not null primary key,
    name         text      not null unique,
    description  text      not null
);

insert into iclock.event_type (code, name, description)
values (1, 'attendance.punch', 'a punch was stored'),
       (2, 'attendance.photo', 'a photo of a punch was stored'),
       (3, 'device.pending', 'an unknown terminal waits for approval'),
       (4, 'device.approved', 'a terminal may upload'),
       (5, 'device.blocked', 'a terminal may not upload'),
       (6, 'device.online', 'a terminal that was silent is back'),
       (7, 'device.offline', 'a terminal has been silent for five minutes'),
       (8, 'device.removed', 'a terminal was deleted'),
       (9, 'user.enrolled', 'a terminal has a new user'),
       (10, 'user.updated', 'a user was changed on a terminal'),
       (11, 'user.deleted', 'a user was deleted on a terminal'),
       (12, 'template.enrolled', 'a terminal has a new or other template'),
       (13, 'command.finished', 'a command has come to its end'),
       (14, 'door.event', 'something happened at a door'),
       (15, 'door.alarm', 'an alarm of a door'),
       (16, 'door.state', 'a door was opened or closed'),
       (17, 'webhook.disabled', 'a receiver of webhooks was given up'),
       (18, 'webhook.test', 'somebody tries a receiver of webhooks');

-- No foreign key to event_type: it would look a row up for each punch.  Only
-- functions write here.
create table iclock.event (
    seq         bigint       not null generated always as identity,
    xid         xid8         not null default pg_current_xact_id(),
    created_at  timestamptz  not null default now(),
    device_id   bigint,
    local_time  timestamp,
    status      integer,
    verify      integer,
    type        smallint     not null,
    pin         text,
    data        json,
    primary key (xid, seq, created_at)
)
partition by range (created_at);

-- what no day takes: ingest never waits for maintain()
create table iclock.event_default partition of iclock.event default;

create table iclock.event_state (
    single         boolean      not null primary key default true
                                check (single),
    enabled        boolean      not null default false,
    enabled_at     timestamptz,
    watched_at     timestamptz  not null default '-infinity',
    watched_since  timestamptz  not null default 'infinity',
    dropped_xid    xid8         not null default '0',
    dropped_seq    bigint       not null default 0,
    rebased_seq    bigint       not null default 0
);

insert into iclock.event_state default values;

-- terminals that have been reported as silent
create table iclock.device_silence (
    device_id  bigint       not null primary key
                            references iclock.device on delete cascade,
    since      timestamptz  not null
);

alter table iclock.retention
    drop constraint retention_kind_check,
    add constraint retention_kind_check
        check (kind in ('command', 'command_body', 'unanswered_body', 'photo',
                        'operation', 'rejected_line', 'device_error',
                        'event'));

insert into iclock.retention (kind, age) values ('event', '7 days');

-- Statements that store nothing new leave no event: a transition table has the
-- rows that were really inserted or changed.  All of these are disabled until
-- enable_events(), which makes the one of punch: PostgreSQL fills the transition
-- table of a disabled trigger all the same, and here that would be the only one.

create trigger photo_event
    after insert on iclock.photo
    referencing new table as added
    for each statement execute function iclock.photo_event();

create trigger device_event_insert
    after insert on iclock.device
    for each row execute function iclock.device_event();

create trigger device_event_update
    after update of status, removed_at on iclock.device
    for each row
    when (new.removed_at is null and new.status <> old.status
          or new.removed_at is not null and old.removed_at is null)
    execute function iclock.device_event();

create trigger device_event_delete
    after delete on iclock.device
    for each row execute function iclock.device_event();

create trigger user_event_insert
    after insert on iclock.device_user
    referencing new table as after
    for each statement execute function iclock.user_event();

create trigger user_event_update
    after update on iclock.device_user
    referencing old table as before new table as after
    for each statement execute function iclock.user_event();

create trigger user_event_delete
    after delete on iclock.device_user
    referencing old table as before
    for each statement execute function iclock.user_event();

create trigger template_event_insert
    after insert on iclock.template
    referencing new table as after
    for each statement execute function iclock.template_event();

create trigger template_event_update
    after update on iclock.template
    referencing old table as before new table as after
    for each statement execute function iclock.template_event();

create trigger command_event
    after update on iclock.command
    referencing old table as before new table as after
    for each statement execute function iclock.command_event();

select iclock.switch_events(false);

insert into iclock.schema_version (version, description)
values (11, 'the event feed');
