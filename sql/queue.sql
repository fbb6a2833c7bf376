-- The queue of commands: what nginx calls for the devices that poll and answer.
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

-- Whether a device's return code means that the command was carried out.  These
-- commands return a count, a size or the status of a shell, all others 0; the
-- positive codes of ENROLL_* are failures.
create or replace function iclock.returns_count(body text)
    returns boolean
    language sql immutable strict parallel safe
as $$
    select body ~* '^(DATA QUERY|QUERY|VERIFY SUM|PutFile|GetFile|SyncData|SHELL)\M'
$$;
comment on function iclock.returns_count(text) is
    'Whether a command returns a count, a size or a status, so that positive '
    'codes are success';

create or replace function iclock.is_success(body text, return_code integer)
    returns boolean
    language sql immutable strict parallel safe
as $$
    select return_code = 0
        or return_code > 0 and iclock.returns_count(body)
$$;
comment on function iclock.is_success(text, integer) is
    'Whether a device''s return code means that the command was carried out';


-- The next commands of a device, in the order in which they go out, and what
-- stands in the way of each:
--
--     place          where it is; NULL if another transaction has locked it
--     deletes        what it deletes, if that may have been done already
--     removed        it copies a person whom the site has removed since
--     superseded_by  a newer command says all that this one does, or deletes
--                    what it is about.  What follows a deletion does not say
--                    what that did away with: the templates of who had the PIN
--                    before
--     waits_for      older ones that the device has not answered: about what
--                    its subject is part of, and deletions of its subject
--
-- Who has sent many and waits for the answers passes none of them, as long as
-- few are due to be sent again.  If many are, the walk finds the first at once.
create or replace function iclock.next_commands(
        device_id       bigint,
        sent_before     timestamptz,
        max_attempts    integer,
        most            integer,
        after_priority  integer,
        after_id        bigint)
    returns table (id bigint, priority integer, size bigint, restarts boolean,
                   place tid, deletes text, removed boolean,
                   superseded_by bigint, waits_for bigint[])
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
    return query
        with due as materialized (
            select c.id, c.priority, c.status, c.attempts, c.subject,
                   c.copied, c.deletes, c.body, c.expires_at
              from iclock.command c
             where c.device_id = $1
               and c.status = 'sent'
               and c.sent_at <= $2
             order by c.sent_at
             limit (select 1001)
        ),
        waiting as materialized (
            (select c.id, c.priority, c.status, c.attempts, c.subject,
                    c.copied, c.deletes, c.body
               from iclock.command c
              where (select count(*) from due) <= 1000
                and c.device_id = $1
                and c.status = 'queued'
                and (c.not_before is null or c.not_before <= now())
                and (c.expires_at is null or c.expires_at > now())
                and (- c.priority::bigint, c.id) > (- $5::bigint, $6)
              order by - c.priority::bigint, c.id
              limit (select $4))
            union all
            select d.id, d.priority, d.status, d.attempts, d.subject,
                   d.copied, d.deletes, d.body
              from due d
             where (select count(*) from due) <= 1000
               and d.attempts < $3
               and (d.expires_at is null or d.expires_at > now())
               and (- d.priority::bigint, d.id) > (- $5::bigint, $6)
            union all
            (select c.id, c.priority, c.status, c.attempts, c.subject,
                    c.copied, c.deletes, c.body
               from iclock.command c
              where (select count(*) from due) > 1000
                and c.device_id = $1
                and c.status in ('queued', 'sent')
                and (c.status = 'queued'
                     and (c.not_before is null or c.not_before <= now())
                     or c.status = 'sent'
                        and c.sent_at <= $2
                        and c.attempts < $3)
                and (c.expires_at is null or c.expires_at > now())
                and (- c.priority::bigint, c.id) > (- $5::bigint, $6)
              order by c.priority desc, c.id
              limit (select $4))
        ),
        walk as materialized (
            select w.id, w.priority, w.status, w.attempts, w.subject,
                   w.copied, w.deletes,
                   -- as it goes over the wire: C:<id>:<body>\n
                   4 + length((w.id % 1000000000)::text)
                     + octet_length(w.body)::bigint as size,
                   left(w.body, 7) ~* '^REBOOT\M' as restarts
              from waiting w
             order by w.priority desc, w.id
             limit $4
        ),
        locked as materialized (
            select w.id, l.place
              from walk w
             cross join lateral
                   (select f.ctid as place
                      from iclock.command f
                     where f.id = w.id
                       and f.status = w.status
                       and f.attempts = w.attempts
                     limit 1
                       for no key update skip locked) as l
        )
        select w.id, w.priority, w.size, w.restarts,
               (select l.place from locked l where l.id = w.id),
               case when w.status = 'sent' and w.deletes then w.subject end,
               w.copied and w.subject >= E'user\t' and w.subject < E'user\n'
               and exists (select
                             from iclock.removed_person r
                            where r.site = (select d.site
                                              from iclock.device d
                                             where d.id = $1)
                              and r.pin = split_part(w.subject, E'\t', 2)),
               greatest(
                   (select n.id
                      from iclock.command n
                     where n.device_id = $1
                       and n.subject = w.subject
                       and - n.id < - w.id
                       -- while an upgrade builds the index of subjects
                       and n.id > w.id
                       and (not w.deletes
                            or w.status = 'sent' and n.status = 'done')
                       and (n.status in ('sent', 'done')
                            or n.status = 'queued'
                               and n.expires_at is null
                               and (n.not_before is null
                                    or n.not_before <= now()))
                     order by - n.id
                     limit (select 1)),
                   (select max(newer.id)
                      from unnest(iclock.subjects_above(w.subject)
                                  || w.subject) as s (subject)
                     cross join lateral
                           (select n.id
                              from iclock.command n
                             where n.device_id = $1
                               and n.subject = s.subject
                               and n.deletes
                               and 0 - n.id < 0 - w.id
                               and (n.status in ('sent', 'done')
                                    -- there is no such user
                                    or n.status = 'failed'
                                       and n.return_code = -10
                                       and n.body like 'DATA DELETE USERINFO %'
                                    or n.status = 'queued'
                                       and n.expires_at is null
                                       and (n.not_before is null
                                            or n.not_before <= now()))
                             order by 0 - n.id
                             limit (select 1)) as newer)),
               array(select older.id
                       from unnest(iclock.subjects_above(w.subject))
                            as s (subject)
                      cross join lateral
                            (select o.id
                               from iclock.command o
                              where o.device_id = $1
                                and o.subject = s.subject
                                and o.finished_at is null
                                and - o.id > - w.id
                                and (o.not_before is null
                                     or o.not_before <= now())
                                and (o.expires_at is null
                                     or o.expires_at > now())
                              order by - o.id
                              limit (select 1)) as older
                     union all
                     select *
                       from (select o.id
                               from iclock.command o
                              where o.device_id = $1
                                and o.subject = w.subject
                                and o.deletes
                                and o.finished_at is null
                                and 0 - o.id > 0 - w.id
                                and (o.not_before is null
                                     or o.not_before <= now())
                                and (o.expires_at is null
                                     or o.expires_at > now())
                              order by 0 - o.id
                              limit (select 1)) as deletion)
          from walk w
         order by w.priority desc, w.id;
end
$$;
comment on function iclock.next_commands(bigint, timestamptz, integer, integer,
    integer, bigint) is
    'The next commands of a device, and what stands in the way of each';


-- A newer command about a part of what this one deletes, if it has been carried
-- out: so has this one, or else that could not have been.
create or replace function iclock.overtaking_command(
        device_id  bigint,
        subject    text,
        id         bigint)
    returns bigint
    language plpgsql
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    -- the templates of all users are below those
    root        constant text := case when $2 like E'user\t\t%' then 'user'
                                 else $2 end;
    overtaking  bigint;
begin
    execute $query$
        select n.id
          from iclock.command n
         where n.device_id = $1
           and n.subject > $3 || E'\t'
           and n.subject < $3 || E'\n'
           and - n.id < - $4
           and n.status = 'done'
           and $2 = any (iclock.subjects_above(n.subject))
         order by n.subject
         limit (select 1)
        $query$
       into overtaking
      using $1, $2, root, $3;

    return overtaking;
end
$$;
comment on function iclock.overtaking_command(bigint, text, bigint) is
    'A newer command that shows that a deletion has been carried out';


-- The newest command with one of these statuses that supersedes this one; what
-- puts there again what this one deletes does not.
create or replace function iclock.superseding_command(
        device_id  bigint,
        subject    text,
        deletes    boolean,
        id         bigint,
        statuses   text[])
    returns bigint
    language plpgsql
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    superseding  bigint;
begin
    if $2 is null then
        return null;
    end if;

    execute $query$
        select greatest(
            (select n.id
               from iclock.command n
              where n.device_id = $1
                and n.subject = $2
                and not $3
                and - n.id < - $4
                and n.status = any ($5)
              order by - n.id
              limit (select 1)),
            (select max(newest.id)
               from unnest(iclock.subjects_above($2) || $2) as s (subject)
              cross join lateral
                    (select n.id
                       from iclock.command n
                      where n.device_id = $1
                        and n.subject = s.subject
                        and n.deletes
                        and 0 - n.id < 0 - $4
                        and n.status = any ($5)
                      order by 0 - n.id
                      limit (select 1)) as newest))
        $query$
       into superseding
      using $1, $2, $3, $4, $5;

    return superseding;
end
$$;
comment on function iclock.superseding_command(bigint, text, boolean, bigint,
    text[]) is
    'The newest command that supersedes one';


-- What a device has done, when it is known by the answer to this command: nothing
-- new if a later one has been done that supersedes it.  If this one deletes, what
-- has been put there since is not deleted.
create or replace function iclock.done_commands(
        device_id  bigint,
        subject    text,
        deletes    boolean,
        id         bigint)
    returns setof bigint
    language plpgsql
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    -- the templates of all users are below those
    root     constant text := case when $2 like E'user\t\t%' then 'user'
                              else $2 end;
    later    bigint[];
    cleared  boolean;
begin
    if iclock.superseding_command($1, $2, $3, $4, '{done}') is not null then
        return;
    end if;

    if $3 then
        execute $query$
            select array_agg(n.id), bool_or(n.cleared_at is not null)
              from iclock.command n
             where n.device_id = $1
               and (n.subject = $3
                    or n.subject > $3 || E'\t' and n.subject < $3 || E'\n')
               and - n.id < - $4
               and n.status = 'done'
               and not n.deletes
               and $2 = any (iclock.subjects_above(n.subject) || n.subject)
            $query$
           into later, cleared
          using $1, $2, root, $4;
    end if;

    -- what has been cleared cannot be noted again
    if cleared then
        return;
    end if;

    return query select unnest($4 || later);
end
$$;
comment on function iclock.done_commands(bigint, text, boolean, bigint) is
    'What a device has done, now that one command is answered';


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


drop function if exists iclock.dequeue_commands(bigint[], integer[], integer[],
                                                integer[], integer[]);

-- Strictly in order: where another transaction has locked a command, the device
-- gets none of those behind it, and nothing overtakes an unanswered command
-- about the same or about what it is part of.  It is told to come again then.
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
                execute $query$
                    update iclock.command c
                       set status = 'cancelled', finished_at = now(),
                           reason = $2[array_position($1, c.ctid)]
                     where c.ctid = any ($1)
                    $query$
                  using gone, reasons;
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
    'For nginx: takes the commands that polling devices are to be given; '
    'those of a poll that has taken some already once more';
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
    'For nginx: what a poll took and could not be handed to the device waits '
    'again';
grant execute on function iclock.return_commands(bigint[], bigint[])
    to iclock_module;


-- Which commands are answered.  A device answers by the last nine digits of the
-- id: the newest command of such an id that it was ever sent is meant.
create or replace function iclock.answered_commands(
        device_ids  bigint[],
        wire_ids    bigint[],
        newest_id   bigint)
    returns bigint[]
    language plpgsql
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    ids  bigint[];
begin
    execute $query$
        select array_agg(f.id order by a.ord)
          from unnest($1, $2) with ordinality
               as a (device_id, wire_id, ord)
          left join lateral
               (select c.id
                  from unnest($3) as m (multiple)
                 cross join lateral
                       (select k.id
                          from iclock.command k
                         where k.id = a.wire_id + m.multiple
                           and k.device_id = a.device_id
                           and (k.attempts > 0 or k.sent_at is not null)
                         limit 1) as c
                 where a.wire_id between 0 and 999999999
                 order by c.id desc
                 limit 1) as f on true
        $query$
       into ids
      using $1, $2, array(select n * 1000000000
                            from generate_series(0, $3 / 1000000000) as n);

    return ids;
end
$$;
comment on function iclock.answered_commands(bigint[], bigint[], bigint) is
    'Which commands are meant by the numbers in answers';


-- Answers to commands that a device was never given.  The newest command of
-- that number is meant; unknown numbers are passed over.  What ends with the
-- same answer as before is taken for a repetition: nginx sends answers again
-- when it does not know whether they were committed.
create or replace function iclock.refuse_answers(
        device_ids    bigint[],
        wire_ids      bigint[],
        return_codes  integer[],
        newest_id     bigint)
    returns void
    language plpgsql
    set search_path = pg_catalog, iclock, pg_temp
as $$
begin
    execute $query$
        insert into iclock.refused_answer as r (device_id, answers, command_id,
                                                return_code)
        select a.device_id, count(*),
               (array_agg(c.id order by a.ord desc))[1],
               (array_agg(a.return_code order by a.ord desc))[1]
          from unnest($1, $2, $3) with ordinality
               as a (device_id, wire_id, return_code, ord)
         cross join lateral
               (select k.id
                  from iclock.command k
                 where k.id = a.wire_id
                              + (($4 - a.wire_id) / 1000000000) * 1000000000
                 limit 1) as c
          join iclock.device d on d.id = a.device_id
         where a.wire_id between 0 and 999999999
         group by a.device_id
         order by a.device_id
        on conflict on constraint refused_answer_pkey do update
        set answers = r.answers + excluded.answers,
            command_id = excluded.command_id,
            return_code = excluded.return_code,
            last_at = now()
        where (r.command_id, r.return_code)
              is distinct from (excluded.command_id, excluded.return_code)
        $query$
      using $1, $2, $3, $4;
end
$$;
comment on function iclock.refuse_answers(bigint[], bigint[], integer[], bigint)
    is
    'Counts answers to commands that the device was never given';


-- A late answer still counts when the command has been given up meanwhile; the
-- first answer stands.  Returns the commands that it was the first for.
create or replace function iclock.store_answers(
        ids           bigint[],
        return_codes  integer[],
        replies       bytea[])
    returns bigint[]
    language plpgsql
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    places    tid[];
    codes     integer[];
    answers   bytea[];
    answered  bigint[];
begin
    -- locked in one order, whoever else answers the same ones
    execute $query$
        select array_agg(a.id order by a.id),
               array_agg(l.place order by a.id),
               array_agg(a.return_code order by a.id),
               array_agg(a.reply order by a.id)
          from unnest($1, $2, $3) as a (id, return_code, reply)
         cross join lateral
               (select c.ctid as place
                  from iclock.command c
                 where c.id = a.id
                   and c.status <> 'done'
                   and c.return_code is null
                 limit 1
                   for no key update) as l
        $query$
       into answered, places, codes, answers
      using $1, $2, $3;

    execute $query$
        update iclock.command c
           set status = case when iclock.is_success(
                                      c.body, $2[array_position($1, c.ctid)])
                             then 'done' else 'failed' end,
               return_code = $2[array_position($1, c.ctid)],
               reply = $3[array_position($1, c.ctid)],
               finished_at = now()
         where c.ctid = any ($1)
        $query$
      using places, codes, answers;

    return answered;
end
$$;
comment on function iclock.store_answers(bigint[], integer[], bytea[]) is
    'Stores answers, and what has become of the commands';


create or replace function iclock.answer_commands(
        device_ids    bigint[],
        wire_ids      bigint[],
        return_codes  integer[],
        replies       bytea[])
    returns void
    language plpgsql security definer
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    page      constant integer := 200;
    before    constant text := current_setting('iclock.answering', true);
    newest    bigint;
    ids       bigint[] := '{}';
    codes     integer[];
    answers   bytea[];
    answered  bigint[] := '{}';
begin
    execute 'select c.id from iclock.command c order by c.id desc limit 1'
       into newest;

    for start in 1 .. coalesce(cardinality(device_ids), 0) by page loop
        ids := ids || iclock.answered_commands(
                          device_ids[start:start + page - 1],
                          wire_ids[start:start + page - 1], newest);
    end loop;

    if array_position(ids, null) is not null then
        perform iclock.refuse_answers(
                    array_agg(a.device_id order by a.ord),
                    array_agg(a.wire_id order by a.ord),
                    array_agg(a.return_code order by a.ord), newest)
           from unnest(device_ids, wire_ids, return_codes, ids) with ordinality
                as a (device_id, wire_id, return_code, id, ord)
          where a.id is null;
    end if;

    select array_agg(a.id order by a.id),
           array_agg(a.return_code order by a.id),
           array_agg(a.reply order by a.id)
      into ids, codes, answers
      from (select distinct on (u.id) u.id, u.return_code, u.reply
              from unnest(ids, return_codes, replies) with ordinality
                   as u (id, return_code, reply, ord)
             where u.id is not null
             order by u.id, u.ord) as a;

    -- what they say of people is noted below, for all of them in one order
    perform set_config('iclock.answering', 'on', true);

    for start in 1 .. coalesce(cardinality(ids), 0) by page loop
        answered := answered || iclock.store_answers(
                                    ids[start:start + page - 1],
                                    codes[start:start + page - 1],
                                    answers[start:start + page - 1]);
    end loop;

    perform set_config('iclock.answering', coalesce(before, ''), true);
    perform iclock.apply_commands(answered);
end
$$;
comment on function iclock.answer_commands(bigint[], bigint[], integer[],
    bytea[]) is
    'For nginx: stores what devices answered to commands';
grant execute on function iclock.answer_commands(bigint[], bigint[], integer[],
    bytea[])
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
