-- How commands leave the queue: what nginx calls for the devices that poll.
-- All arguments are arrays, one element for each of the requests that share a
-- transaction; "ord" is the position, counted from 1.
--
-- These functions are SECURITY DEFINER: so the module needs no right to read or
-- change commands.
--
-- A backlog may grow by half a million commands before the next ANALYZE, while
-- the planner takes the table for one of a few rows, or none.  So what reads it
-- here asks for rows in an order that only the index which is meant can give,
-- with a LIMIT, and comes back to rows by their place (ctid) once it has locked
-- them.  A number behind LIMIT tells the planner to fetch and sort all if it
-- expects no more than that; a sub-select does not, it stands for a tenth of
-- the rows, however few are expected.
--
-- What every poll calls is planned once in a session: planning takes longer
-- than the rest.  Its plans may not read the table as a whole, nor sort.  All
-- else is planned anew at each call (EXECUTE), for a plan kept from when the
-- table was small would read all of it.

-- Whether a device has anything that is past its time, or that has been sent
-- often enough: mostly not, and updates fire triggers.
create or replace function iclock.hopeless_commands(
        device_id     bigint,
        sent_before   timestamptz,
        max_attempts  integer,
        out expired   boolean,
        out sent      boolean)
    language plpgsql
    set search_path = pg_catalog, iclock, pg_temp
    set plan_cache_mode = force_generic_plan
    set enable_seqscan = off
    set enable_bitmapscan = off
    set enable_sort = off
    set jit = off
as $$
begin
    expired := (select true
                  from iclock.command c
                 where c.device_id = $1
                   and c.status = 'queued'
                   and c.expires_at <= now()
                 order by c.expires_at
                 limit (select 1));

    sent := (select true
               from iclock.command c
              where c.device_id = $1
                and c.status = 'sent'
                and c.sent_at <= $2
                and (c.attempts >= $3 or c.expires_at <= now())
              order by c.sent_at
              limit (select 1));
end
$$;
comment on function iclock.hopeless_commands(bigint, timestamptz, integer) is
    'Whether commands of a device are past their time or were sent often '
    'enough';


-- Ends what is past its time or has been sent often enough.  A command past its
-- time is not given out again, whether it was ever sent or not: a door that
-- opens minutes late is a hazard.
create or replace function iclock.give_up_commands(
        device_id     bigint,
        sent_before   timestamptz,
        max_attempts  integer)
    returns void
    language plpgsql
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    expired     boolean;
    unanswered  boolean;
begin
    select hopeless.expired, hopeless.sent
      into expired, unanswered
      from iclock.hopeless_commands($1, $2, $3) as hopeless;

    if expired then
        execute $query$
            update iclock.command c
               set status = 'expired', finished_at = now()
             where c.ctid = any (array(
                       select e.ctid
                         from iclock.command e
                        where e.device_id = $1
                          and e.status = 'queued'
                          and e.expires_at <= now()
                        order by e.expires_at
                        limit (select 1000)
                          for no key update skip locked))
            $query$
          using $1;
    end if;

    if unanswered then
        execute $query$
            update iclock.command c
               set status = case when c.expires_at <= now()
                                 then 'expired' else 'failed' end,
                   finished_at = now()
             where c.ctid = any (array(
                       select e.ctid
                         from iclock.command e
                        where e.device_id = $1
                          and e.status = 'sent'
                          and e.sent_at <= $2
                          and (e.attempts >= $3 or e.expires_at <= now())
                        order by e.sent_at
                        limit (select 1000)
                          for no key update skip locked))
            $query$
          using $1, $2, $3;
    end if;
end
$$;
comment on function iclock.give_up_commands(bigint, timestamptz, integer) is
    'Ends the commands of a device that are past their time or were sent '
    'often enough';


-- The commands that a poll has taken already.  When the answer to the commit of
-- a dequeue is lost, nginx sends it again: then they are given out once more,
-- and are not counted twice.
create or replace function iclock.commands_of_poll(
        device_id  bigint,
        poll       bigint)
    returns table (id bigint, body text)
    language plpgsql
    set search_path = pg_catalog, iclock, pg_temp
    set plan_cache_mode = force_generic_plan
    set enable_seqscan = off
    set enable_bitmapscan = off
    set enable_sort = off
    set jit = off
as $$
#variable_conflict use_column
begin
    if $2 is null then
        return;
    end if;

    return query
        select g.id, g.body
          from (select c.id, c.body, c.priority
                  from iclock.command c
                 where c.device_id = $1
                   and c.status = 'sent'
                   and c.poll = $2
                 order by - c.id
                 limit (select 10000)) as g
         order by g.priority desc, g.id;
end
$$;
comment on function iclock.commands_of_poll(bigint, bigint) is
    'The commands that a poll has taken';


-- Whether there is anything to do for a device: mostly not.
create or replace function iclock.is_waited_for(device_id bigint)
    returns boolean
    language plpgsql
    set search_path = pg_catalog, iclock, pg_temp
    set plan_cache_mode = force_generic_plan
    set enable_seqscan = off
    set enable_bitmapscan = off
    set enable_sort = off
    set jit = off
as $$
begin
    return (select true
              from iclock.command c
             where c.device_id = $1
               and c.status in ('queued', 'sent')
             order by c.priority desc, c.id
             limit (select 1)) is true
        or exists (select
                     from iclock.share_backlog b
                    where b.target_id = $1);
end
$$;
comment on function iclock.is_waited_for(bigint) is
    'Whether there is anything to do for a device';


-- Notes that these commands go out.
create or replace function iclock.take_commands(
        places  tid[],
        poll    bigint)
    returns table (id bigint, body text)
    language plpgsql
    set search_path = pg_catalog, iclock, pg_temp
    set plan_cache_mode = force_generic_plan
    set enable_seqscan = off
    set jit = off
as $$
#variable_conflict use_column
begin
    return query
    with sent as (
        update iclock.command c
           set status = 'sent', sent_at = now(), attempts = c.attempts + 1,
               poll = $2
         where c.ctid = any ($1)
        returning c.id, c.body, c.priority
    )
    select s.id, s.body
      from sent s
     order by s.priority desc, s.id;
end
$$;
comment on function iclock.take_commands(tid[], bigint) is
    'Notes that commands go out';

-- Ends commands that need not go out any more.
create or replace function iclock.drop_commands(
        places   tid[],
        reasons  text[])
    returns void
    language plpgsql
    set search_path = pg_catalog, iclock, pg_temp
    set plan_cache_mode = force_generic_plan
    set enable_seqscan = off
    set jit = off
as $$
begin
    update iclock.command c
       set status = 'cancelled', finished_at = now(),
           reason = $2[array_position($1, c.ctid)]
     where c.ctid = any ($1);
end
$$;
comment on function iclock.drop_commands(tid[], text[]) is
    'Ends commands that need not go out any more, and says why';

drop function if exists iclock.dequeue_commands(bigint[], integer[], integer[],
                                                integer[], integer[]);

-- Strictly in order: where another transaction has locked a command, the device
-- gets none of those behind it, and nothing overtakes an unanswered command
-- about the same or about what it is part of.  A notification makes it poll again.
create or replace function iclock.dequeue_commands(
        device_ids        bigint[],
        max_counts        integer[],
        max_bytes         integer[],
        timeouts_seconds  integer[],
        max_attempts      integer[],
        polls             bigint[] default null)
    returns table (ord bigint, id bigint, body text)
    language plpgsql security definer
    set search_path = pg_catalog, iclock, pg_temp
as $$
#variable_conflict use_column
declare
    page     constant integer := 200;
    poll     record;
    next     record;
    taken    bigint[];
    places   tid[];
    dropped  bigint[];
    gone     tid[];
    reasons  text[];
    bytes    bigint;
    seen     integer;
    most     integer;
    held     boolean;
    ended    boolean;
    last     record;
begin
    for poll in
        select p.ord, d.id as device_id, d.serial_number, p.poll,
               least(p.max_count, d.command_limit) as max_count,
               least(p.max_bytes, d.command_bytes) as max_bytes,
               p.max_attempts,
               now() - make_interval(secs => p.timeout) as sent_before
          from unnest($1, $2, $3, $4, $5, $6) with ordinality
               as p (device_id, max_count, max_bytes, timeout, max_attempts,
                     poll, ord)
          join iclock.device d on d.id = p.device_id
         where d.status = 'active'
         order by p.ord
    loop
        continue when not iclock.is_waited_for(poll.device_id);

        return query
        select poll.ord, g.id, g.body
          from iclock.commands_of_poll(poll.device_id, poll.poll) as g;

        continue when found;

        perform iclock.give_up_commands(poll.device_id, poll.sent_before,
                                        poll.max_attempts);

        if exists (select from iclock.share_backlog b
                    where b.target_id = poll.device_id)
        then
            perform iclock.take_backlog(poll.device_id);
        end if;

        taken := '{}';
        places := '{}';
        dropped := '{}';
        gone := '{}';
        reasons := '{}';
        bytes := 0;
        held := false;
        ended := false;
        select 2147483647 as priority, 0::bigint as id into last;

        -- so many pages that a poll takes no longer than that
        for i in 1 .. 25 loop
            exit when cardinality(taken) >= poll.max_count;
            most := case when i = 1 then least(poll.max_count, page)
                         else page end;
            seen := 0;

            for next in
                select n.*
                  from iclock.next_commands(
                           poll.device_id, poll.sent_before, poll.max_attempts,
                           most, last.priority, last.id) as n
            loop
                seen := seen + 1;
                last := next;

                if next.place is null then
                    held := true;
                    ended := true;
                    exit;
                end if;

                if next.superseded_by is null and next.deletes is not null
                then
                    next.superseded_by := iclock.overtaking_command(
                        poll.device_id, next.deletes, next.id);
                end if;

                if next.removed or next.superseded_by is not null then
                    dropped := dropped || next.id;
                    gone := gone || next.place;
                    reasons := reasons
                        || case when next.removed then 'removed from the site'
                           else format('superseded by command %s',
                                       next.superseded_by) end;
                    continue;
                end if;

                if not next.waits_for <@ (taken || dropped) then
                    held := true;
                    continue;
                end if;

                ended := bytes + next.size > poll.max_bytes and bytes > 0
                         or cardinality(taken) >= poll.max_count;
                exit when ended;

                bytes := bytes + next.size;
                taken := taken || next.id;
                places := places || next.place;

                -- the device forgets what comes after
                ended := next.restarts;
                exit when ended;
            end loop;

            if gone <> '{}' then
                perform iclock.drop_commands(gone, reasons);
                gone := '{}';
                reasons := '{}';
            end if;

            exit when ended or seen < most;
            held := held or i = 25;
        end loop;

        if taken <> '{}' then
            return query
            select poll.ord, t.id, t.body
              from iclock.take_commands(places, poll.poll) as t;
        end if;

        if held then
            perform pg_notify('iclock_command', poll.serial_number);
        end if;
    end loop;
end
$$;
comment on function iclock.dequeue_commands(bigint[], integer[], integer[],
    integer[], integer[], bigint[]) is
    'For nginx: takes the commands for devices that poll; a poll that has '
    'taken some already gets the same ones';
grant execute on function iclock.dequeue_commands(bigint[], integer[],
    integer[], integer[], integer[], bigint[])
    to iclock_module;


-- Takes back what a poll was given and could not be handed to the device: it
-- waits again as if it had not been sent.  Should the device have got it all the
-- same, its answer counts: sent_at stays.
create or replace function iclock.return_commands(
        device_ids  bigint[],
        polls       bigint[])
    returns void
    language plpgsql security definer
    set search_path = pg_catalog, iclock, pg_temp
    set enable_sort = off
as $$
declare
    given  record;
begin
    for given in
        select u.device_id, u.poll
          from unnest($1, $2) as u (device_id, poll)
         order by u.device_id, u.poll
    loop
        execute $query$
            update iclock.command c
               set status = 'queued', attempts = c.attempts - 1, poll = null
             where c.ctid = any (array(
                       select g.ctid
                         from iclock.command g
                        where g.device_id = $1
                          and g.status = 'sent'
                          and g.poll = $2
                        order by - g.id
                        limit (select 10000)
                          for no key update))
            $query$
          using given.device_id, given.poll;
    end loop;
end
$$;
comment on function iclock.return_commands(bigint[], bigint[]) is
    'For nginx: commands that a poll took and nginx could not hand to the '
    'device wait again';
grant execute on function iclock.return_commands(bigint[], bigint[])
    to iclock_module;

create or replace function iclock.due_devices(
        timeout_seconds  integer default null)
    returns setof text
    language sql stable security definer
    set search_path = pg_catalog, iclock, pg_temp
as $$
    select d.serial_number
      from iclock.device d
     where d.status = 'active'
       and (exists (
           select
             from iclock.share_backlog b
            where b.target_id = d.id)
        or exists (
           select
             from iclock.command c
            where c.device_id = d.id
              and c.status = 'queued'
              and (c.not_before is null or c.not_before <= now()))
        or exists (
           select
             from iclock.command c
            where c.device_id = d.id
              and c.status = 'sent'
              and c.sent_at <= now() - make_interval(secs => $1)))
$$;
comment on function iclock.due_devices(integer) is
    'For nginx: serial numbers of active devices that have a command due; '
    'with a number of seconds also those with a command unanswered for so long';
grant execute on function iclock.due_devices(integer) to iclock_module;
