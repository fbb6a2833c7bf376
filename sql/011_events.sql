-- Migration 11: the event feed.

insert into iclock.schema_version (version, description)
values (11, 'the event feed');
