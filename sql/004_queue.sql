-- Migration 4: the order of commands, and people who have been removed.

-- Every command says what it is about.  The paths are compared byte by byte.
drop index iclock.command_subject_idx;

alter table iclock.command
    alter column subject type text collate "C",
    add column copied boolean not null default false,
    add column reason text,
    add column poll   bigint;

\ir subjects.sql

-- until now only copies had a subject; those still under way get the new form
update iclock.command c
   set copied = c.subject is not null,
       subject = iclock.command_subject(c.body)
 where c.status in ('queued', 'sent');

-- The newest first.  Nothing but these indexes has that order, so whoever asks
-- for it needs no statistics to find the way.
create index command_subject_idx on iclock.command
    (device_id, subject, (- id)) where subject is not null;

create index command_open_idx on iclock.command
    (device_id, subject, (- id))
    where finished_at is null and subject is not null;

-- an answer is found by the ids that end in its nine digits
drop index iclock.command_wire_id_idx;

\ir triggers.sql

create trigger command_named
    before insert on iclock.command
    for each row when (new.subject is null)
    execute function iclock.command_named();

-- on a line that is paid by the byte
alter table iclock.device
    add column command_bytes integer
               check (command_bytes between 256 and 16777216);

create trigger device_bytes_updated
    before update on iclock.device
    for each row when (old.command_bytes is distinct from new.command_bytes)
    execute function iclock.device_updated();

-- options lose the "~" that some firmware writes before their names
delete from iclock.device_option o
 using iclock.device_option p
 where p.device_id = o.device_id
   and ltrim(p.name, '~') = ltrim(o.name, '~')
   and p.name <> o.name
   and (p.updated_at, p.name) > (o.updated_at, o.name);

update iclock.device_option o
   set name = ltrim(o.name, '~')
 where o.name like '~%';

insert into iclock.schema_version (version, description)
values (4, 'order of commands');
