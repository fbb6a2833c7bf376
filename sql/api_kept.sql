-- What the API keeps: keys are notified, the rest is not kept for ever.

-- The channel iclock_api_key is part of the contract with the module: the id of
-- a key that is to be asked for again.
create or replace function iclock.api_key_notify()
    returns trigger
    language plpgsql
    set search_path = pg_catalog, iclock, pg_temp
as $$
begin
    if tg_op <> 'INSERT' then
        perform pg_notify('iclock_api_key', old.id);
    end if;
    if tg_op <> 'DELETE' then
        perform pg_notify('iclock_api_key', new.id);
    end if;
    return null;
end
$$;
comment on function iclock.api_key_notify() is
    'Trigger: NOTIFY iclock_api_key with the id of the key';

-- Answers are replayed for a day, the audit goes back 90 days.
create or replace function iclock.prune_api()
    returns boolean
    language plpgsql
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    deleted  bigint;
    more     boolean := false;
begin
    delete from iclock.api_idempotency i
     where i.ctid = any (array(
               select o.ctid
                 from iclock.api_idempotency o
                where o.created_at < now() - interval '1 day'
                limit 1000
                  for update skip locked));
    get diagnostics deleted = row_count;
    more := more or deleted = 1000;

    delete from iclock.api_audit a
     where a.ctid = any (array(
               select o.ctid
                 from iclock.api_audit o
                where o.at < now() - interval '90 days'
                limit 1000
                  for update skip locked));
    get diagnostics deleted = row_count;
    more := more or deleted = 1000;

    delete from iclock.stream_token t
     where t.ctid = any (array(
               select o.ctid
                 from iclock.stream_token o
                where o.expires_at < now()
                limit 1000
                  for update skip locked));
    get diagnostics deleted = row_count;

    return more or deleted = 1000;
end
$$;
comment on function iclock.prune_api() is
    'The part of maintain() that deletes old answers kept for '
    'Idempotency-Key, audit and tokens of the API, a thousand of each at a '
    'time; true if more is left';
