-- The order of commands: what goes out next, and what a newer command or an
-- answer says of others.  How the table is read is as queue_out.sql says.

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
                                             where d.id = $1
                                               and not d.sandbox)
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
