-- What is not kept for ever: table retention says for how long.  maintain()
-- calls this; each call does a bounded piece.

-- Commands that may hold passwords, templates, pictures, keys.
create or replace function iclock.may_hold_secrets(body text)
    returns boolean
    language sql immutable strict parallel safe
    set search_path = pg_catalog, pg_temp
as $$
    select body ~* ('^(DATA +(UPDATE|APPEND|USER|FP)|UPDATE|SET|SHELL'
                    '|SyncData|AppendData)\M')
$$;
comment on function iclock.may_hold_secrets(text) is
    'Whether a command may hold passwords, templates, pictures or keys';


-- What is kept of them: what command_status shows, the command and the PIN.
create or replace function iclock.command_summary(body text)
    returns text
    language sql immutable strict parallel safe
    set search_path = pg_catalog, pg_temp
as $$
    select case
           when body ~* '^(DATA|SET|UPDATE)\M'
           then substring(body from '^[^ =\t]+(?: +[^ =\t]+){0,2}')
           else substring(body from '^[^ =\t]+')
           end
           || coalesce(' PIN=' || substring(
                  body from '(?:^|[ \t])(?:PIN|Pin)=([^\t]*)'), '')
$$;
comment on function iclock.command_summary(text) is
    'What is kept of such a command: its words and the PIN';


-- Clears the bodies of commands that have come to an end.  A terminal may still
-- answer a command that it has not answered yet, and the answer needs the body:
-- such commands have an age of their own.  It passes over what somebody has
-- locked, and looks for it again when it has cleared the others.
create or replace function iclock.clear_bodies(
        what        text,
        unanswered  boolean)
    returns boolean
    language plpgsql
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    rule     iclock.retention;
    until    timestamptz;
    ended    bigint;
    cleared  bigint;
    skipped  timestamptz;
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
                limit 2000
                  for update skip locked));
    get diagnostics cleared = row_count;

    if cleared = 2000 then
        return true;
    end if;

    select min(o.finished_at) into skipped
      from iclock.command o
     where o.finished_at > rule.done_until
       and o.finished_at <= until
       and o.cleared_at is null
       and iclock.may_hold_secrets(o.body)
       and (o.attempts > 0 and o.return_code is null
            and o.status <> 'done') = unanswered;

    skipped := least(rule.skipped_at, skipped);

    update iclock.retention r
       set done_until = case
               when ended = 1000 or skipped is null
               then coalesce(until, rule.done_until)
               else skipped - interval '1 microsecond' end,
           skipped_at = case when ended = 1000 then skipped end
     where r.kind = what
       and (ended > 0 or rule.skipped_at is not null);

    return ended = 1000;
end
$$;
comment on function iclock.clear_bodies(text, boolean) is
    'Takes what may be secret out of some finished commands; true if more are '
    'left';


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
comment on function iclock.delete_old(text, text) is
    'Deletes some rows that are older than table retention says; true if '
    'there may be more';


create or replace function iclock.maintain_retention()
    returns boolean
    language plpgsql
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    task  record;
    more  boolean := false;
begin
    for task in
        select t.kind, t.condition
          from (values
              ('command_body', null),
              ('unanswered_body', null),

              -- a check that is under way needs its command
              ('command',
               'o.finished_at < $1 and not exists ('
               '    select from iclock.attendance_check k '
               '     where k.command_id = o.id and k.finished_at is null)'),

              -- pictures of people, and those to compare with, are not history
              ('photo', 'o.received_at < $1 and o.kind = ''attendance'''),
              ('operation', 'o.received_at < $1'),
              ('rejected_line', 'o.received_at < $1'),
              ('device_error', 'o.received_at < $1')) as t (kind, condition)
    loop
        begin
            if task.condition is null then
                more := iclock.clear_bodies(task.kind,
                                            task.kind = 'unanswered_body')
                        or more;
            else
                more := iclock.delete_old(task.kind, task.condition) or more;
            end if;

        -- nobody waits for this: the next call tries again
        exception when lock_not_available or deadlock_detected then
            null;
        end;
    end loop;

    return more;
end
$$;
comment on function iclock.maintain_retention() is
    'The part of maintain() that clears and deletes; true if more is left';
