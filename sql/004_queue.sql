-- Migration 4: the order of commands, and people who have been removed.

-- Every command says what it is about.  004_prepare.sql has seen to those that
-- have not ended.  The paths are compared byte by byte.
\ir 004_columns.sql

drop trigger if exists command_prepared on iclock.command;
drop function if exists iclock.command_prepared();

-- with what finished commands were copies of: nobody asks for that any more
alter table iclock.command drop column subject;
alter table iclock.command rename column about to subject;

-- read through by indexes.sql
alter table iclock.command
    add constraint command_subject_check
        check (octet_length(subject) <= 2000) not valid,
    add column reason text,
    add column poll   bigint;

alter index if exists iclock.command_about_idx rename to command_subject_idx;

-- an answer is found by the ids that end in its nine digits
drop index iclock.command_wire_id_idx;

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
