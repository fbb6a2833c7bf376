-- Migration 13: people across devices.

-- What is known of a person besides what terminals hold.  A test key of the API
-- has people of its own, who never meet those of live keys.
create table iclock.person (
    site        text         not null default ''
                check (octet_length(site) <= 1000),
    pin         text         not null check (octet_length(pin) <= 1000),
    sandbox     boolean      not null default false,
    name        text,
    department  text,
    attributes  jsonb        not null default '{}',
    created_at  timestamptz  not null default now(),
    updated_at  timestamptz  not null default now(),
    removed_at  timestamptz,
    primary key (pin, site, sandbox)
);

create index person_removed_idx on iclock.person (pin)
    where removed_at is not null;

create trigger device_user_gone
    after delete on iclock.device_user
    referencing old table as gone
    for each statement execute function iclock.device_user_gone();

insert into iclock.schema_version (version, description)
values (13, 'people across devices');
