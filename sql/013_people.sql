-- Migration 13: people across devices.

insert into iclock.schema_version (version, description)
values (13, 'people across devices');
