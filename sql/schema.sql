create schema if not exists iclock;
-- what the HTTP interface calls
create schema if not exists iclock_api;

create table if not exists iclock.schema_version (
    version      integer      not null primary key,
    description  text         not null,
    applied_at   timestamptz  not null default now()
);
