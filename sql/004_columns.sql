-- What a command is about, until migration 4 in a column of another name: the
-- release before has one named "subject", which means something else.
alter table iclock.command
    add column if not exists about text collate "C",
    add column if not exists deletes boolean not null default false,
    add column if not exists copied boolean not null default false;
