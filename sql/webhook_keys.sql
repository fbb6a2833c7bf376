-- Webhooks and the API keys that made them.

-- A key that takes the place of another has its webhooks, too.  When one is
-- revoked, somebody may know it who should not: what was made with it sends
-- nothing until an operator has looked.
create or replace function iclock.api_key_webhooks()
    returns trigger
    language plpgsql security definer
    set search_path = pg_catalog, iclock, pg_temp
as $$
begin
    if new.replaced_by is not null and old.replaced_by is null then
        update iclock.webhook_endpoint e
           set key_id = new.replaced_by
         where e.key_id = new.id;
    end if;

    if new.revoked_at is not null and old.revoked_at is null then
        update iclock.webhook_endpoint e
           set status = 'paused', status_reason = 'key'
         where e.key_id = new.id
           and e.enabled;

        if found then
            perform iclock.webhook_changed();
        end if;
    end if;

    return null;
end
$$;
comment on function iclock.api_key_webhooks() is
    'Trigger: webhooks follow the key that made them, and pause when it is '
    'revoked';
