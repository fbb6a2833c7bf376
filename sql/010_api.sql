-- Migration 10: keys and what the API keeps.

insert into iclock.schema_version (version, description)
values (10, 'keys and what the API keeps');
