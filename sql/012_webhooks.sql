-- Migration 12: webhooks.

insert into iclock.schema_version (version, description)
values (12, 'webhooks');
