create schema if not exists iclock;

create table if not exists iclock.schema_version (
    version      integer      not null primary key,
    description  text         not null,
    applied_at   timestamptz  not null default now()
);
