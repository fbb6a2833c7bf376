-- Migration 15: secrets of webhooks that nginx has sealed.

-- 24 to 64 bytes: the secret itself.  68 to 108: a name of the form, the id of
-- the key that has sealed it, a nonce, the secret in AES-256-GCM, and its tag.
alter table iclock.webhook_endpoint
    drop constraint webhook_endpoint_secret_check,
    drop constraint webhook_endpoint_previous_secret_check,
    add constraint webhook_endpoint_secret_check
        check (octet_length(secret) between 24 and 64
               or octet_length(secret) between 68 and 108
                  and substr(secret, 1, 8) = 'iclocks1'),
    add constraint webhook_endpoint_previous_secret_check
        check (octet_length(previous_secret) between 24 and 64
               or octet_length(previous_secret) between 68 and 108
                  and substr(previous_secret, 1, 8) = 'iclocks1');

insert into iclock.schema_version (version, description)
values (15, 'sealed secrets');
