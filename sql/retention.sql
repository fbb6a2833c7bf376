-- What is not kept for ever: table retention says for how long.  maintain()
-- calls this; each call does a bounded piece.

-- Commands that may hold passwords, templates, pictures, keys.
create or replace function iclock.may_hold_secrets(body text)
    returns boolean
    language sql immutable strict parallel safe
    set search_path = pg_catalog, pg_temp
as $$
    select body ~* ('^(DATA (UPDATE|APPEND|USER|FP)|UPDATE|SET|SHELL'
                    '|SyncData|AppendData)\M')
$$;


-- What is kept of them: what command_status shows, the command and the PIN.
create or replace function iclock.command_summary(body text)
    returns text
    language sql immutable strict parallel safe
    set search_path = pg_catalog, pg_temp
as $$
    select case
           when body ~* '^(DATA|SET|UPDATE)\M'
           then substring(body from '^[^ =\t]+(?: [^ =\t]+){0,2}')
           else substring(body from '^[^ =\t]+')
           end
           || coalesce(' PIN=' || substring(
                  body from '(?:^|[ \t])(?:PIN|Pin)=([^\t]*)'), '')
$$;


-- Clears the bodies of commands that have come to an end.  A command that the
-- terminal has never answered may still be answered, and its body is needed
-- then: it has an age of its own.
create or replace function iclock.clear_bodies(
        what        text,
        unanswered  boolean)
    returns boolean
    language plpgsql
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    rule    iclock.retention;
    until   timestamptz;
    ended   bigint;
    cleared bigint;
begin
    select r.* into rule from iclock.retention r where r.kind = what;

    if rule.age is null then
        return false;
    end if;

    select max(f.finished_at), count(*) into until, ended
      from (select c.finished_at
              from iclock.command c
             where c.finished_at > rule.done_until
               and c.finished_at <= now() - rule.age
             order by c.finished_at
             limit 1000) as f;

    if ended = 0 then
        return false;
    end if;

    -- many may have ended at the same time
    update iclock.command c
       set body = iclock.command_summary(c.body), cleared_at = now()
     where c.id = any (array(
               select o.id
                 from iclock.command o
                where o.finished_at > rule.done_until
                  and o.finished_at <= until
                  and o.cleared_at is null
                  and iclock.may_hold_secrets(o.body)
                  and (o.attempts > 0 and o.return_code is null
                       and o.status <> 'done') = unanswered
                limit 2000));
    get diagnostics cleared = row_count;

    if cleared = 2000 then
        return true;
    end if;

    update iclock.retention r
       set done_until = until
     where r.kind = what;

    return ended = 1000;
end
$$;


-- Deletes a thousand rows that are too old; true if there may be more.
create or replace function iclock.delete_old(what text, condition text)
    returns boolean
    language plpgsql
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    age      interval;
    deleted  bigint;
begin
    select r.age into age from iclock.retention r where r.kind = what;

    if age is null then
        return false;
    end if;

    execute format('delete from iclock.%1$I '
                   'where ctid = any (array('
                   '    select o.ctid from iclock.%1$I o '
                   '     where %2$s limit 1000 for update skip locked))',
                   what, condition)
      using now() - age;
    get diagnostics deleted = row_count;

    return deleted = 1000;
end
$$;


create or replace function iclock.maintain_retention()
    returns boolean
    language plpgsql
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    more  boolean;
begin
    more := iclock.clear_bodies('command_body', false);
    more := iclock.clear_bodies('unanswered_body', true) or more;

    -- a check that is under way needs its command
    more := iclock.delete_old('command',
                'o.finished_at < $1 and not exists ('
                '    select from iclock.attendance_check k '
                '     where k.command_id = o.id and k.finished_at is null)')
            or more;

    -- pictures of people, and those to compare with, are not history
    more := iclock.delete_old('photo',
                'o.received_at < $1 and o.kind = ''attendance''') or more;
    more := iclock.delete_old('operation', 'o.received_at < $1') or more;
    more := iclock.delete_old('rejected_line', 'o.received_at < $1') or more;
    more := iclock.delete_old('device_error', 'o.received_at < $1') or more;

    return more;

-- nobody waits for this: the next call tries again
exception when lock_not_available or deadlock_detected then
    return false;
end
$$;
