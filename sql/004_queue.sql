-- Migration 4: the order of commands, and people who have been removed.

-- Every command says what it is about.  The paths are compared byte by byte.
drop index iclock.command_subject_idx;

alter table iclock.command
    alter column subject type text collate "C",
    add column deletes boolean not null default false,
    add column copied boolean not null default false,
    add column reason text,
    add column poll   bigint;

\ir subjects.sql

-- until now only copies had a subject; those still under way get the new form
update iclock.command c
   set copied = c.subject is not null,
       subject = iclock.command_subject(c.body),
       deletes = iclock.is_deletion(c.body)
 where c.status in ('queued', 'sent');

-- some that were ended by hand
update iclock.command c
   set finished_at = coalesce(c.sent_at, c.created_at)
 where c.finished_at is null and c.status not in ('queued', 'sent');

update iclock.command c
   set finished_at = null
 where c.finished_at is not null and c.status in ('queued', 'sent');

-- The newest first.  Nothing but this index, and the one of all commands in
-- indexes.sql, has that order: whoever asks for it needs no statistics to find
-- the way.
create index command_open_idx on iclock.command
    (device_id, subject, (- id))
    where finished_at is null and subject is not null;

create index command_deletion_idx on iclock.command
    (device_id, subject, (0 - id)) where deletes and subject is not null;

-- an answer is found by the ids that end in its nine digits
drop index iclock.command_wire_id_idx;

\ir triggers.sql

create trigger command_named
    before insert on iclock.command
    for each row when (new.subject is null)
    execute function iclock.command_named();

create trigger command_renamed
    before update of body on iclock.command
    for each row
    when (new.body <> old.body and not new.copied
          and new.cleared_at is not distinct from old.cleared_at)
    execute function iclock.command_named();

-- on a line that is paid by the byte
alter table iclock.device
    add column command_bytes integer
               check (command_bytes between 256 and 16777216);

create trigger device_bytes_updated
    before update on iclock.device
    for each row when (old.command_bytes is distinct from new.command_bytes)
    execute function iclock.device_updated();

-- whom a site has removed: older uploads do not bring them back
create table iclock.removed_person (
    site        text         not null check (octet_length(site) <= 1000),
    pin         text         not null check (octet_length(pin) <= 1000),
    removed_at  timestamptz  not null default now(),
    removed_by  text         not null default session_user,
    terminals   bigint[]     not null,
    primary key (pin, site)
);

-- terminals that no longer hold them: what those upload is new
create table iclock.removed_from (
    device_id   bigint       not null references iclock.device
                             on delete cascade,
    pin         text         not null check (octet_length(pin) <= 1000),
    deleted_at  timestamptz  not null default now(),
    primary key (device_id, pin)
);

drop trigger command_applied on iclock.command;

create trigger command_applied
    after update of status on iclock.command
    for each row
    when (new.status <> old.status
          and (new.status = 'done'
               and (new.body like 'DATA UPDATE %'
                    or new.body like 'DATA DELETE %'
                    or new.body like 'CLEAR %')
               -- the device has no such user
               or new.status = 'failed' and new.return_code = -10
                  and new.body like 'DATA DELETE USERINFO %'))
    execute function iclock.command_applied();

-- Who ends a command by hand, or has it sent again, need not know that the queue
-- goes by "finished_at".
create trigger command_inserted_ended
    before insert on iclock.command
    for each row
    when ((new.finished_at is null) <> (new.status in ('queued', 'sent'))
          or new.status = 'sent' and new.sent_at is null)
    execute function iclock.command_ended();

create trigger command_ended
    before update on iclock.command
    for each row
    when ((new.finished_at is null) <> (new.status in ('queued', 'sent'))
          or new.status = 'sent' and new.sent_at is null)
    execute function iclock.command_ended();

insert into iclock.schema_version (version, description)
values (4, 'order of commands');
