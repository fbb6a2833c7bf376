-- What nginx calls.  All arguments are arrays, one element for each of the
-- requests that share a transaction; "ord" is the position, counted from 1.
--
-- These functions are SECURITY DEFINER: so the module needs no right to insert
-- devices, to read or change commands, or to create tables.

create or replace function iclock.register_devices(
        serial_numbers  text[],
        statuses        text[],
        pending_limits  integer[])
    returns void
    language plpgsql security definer
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    unknown  record;
    pending  bigint;
    added    integer;
begin
    if not exists (
        select
          from unnest($1) as u (serial_number)
         where not exists (select from iclock.device d
                            where d.serial_number = u.serial_number))
    then
        return;
    end if;

    -- one at a time, so that the count below stays true until the commit
    perform pg_advisory_xact_lock(hashtext('iclock.register_devices'));

    select count(*) into pending from iclock.device where status = 'pending';

    for unknown in
        select u.*
          from unnest($1, $2, $3) with ordinality
               as u (serial_number, status, pending_limit, ord)
         where not exists (select from iclock.device d
                            where d.serial_number = u.serial_number)
         order by u.ord
    loop
        continue when unknown.status = 'pending'
                  and pending >= unknown.pending_limit;

        insert into iclock.device (serial_number, status, first_seen, last_seen)
        values (unknown.serial_number, unknown.status, now(), now())
        on conflict (serial_number) do nothing;

        get diagnostics added = row_count;
        if unknown.status = 'pending' then
            pending := pending + added;
        end if;
    end loop;
end
$$;


-- Whether a device's return code means that the command was carried out.  These
-- commands return a count, a size or the status of a shell, all others 0; the
-- positive codes of ENROLL_* are failures.
create or replace function iclock.returns_count(body text)
    returns boolean
    language sql immutable strict parallel safe
as $$
    select body ~* '^(DATA QUERY|QUERY|VERIFY SUM|PutFile|GetFile|SyncData|SHELL)\M'
$$;

create or replace function iclock.is_success(body text, return_code integer)
    returns boolean
    language sql immutable strict parallel safe
as $$
    select return_code = 0
        or return_code > 0 and iclock.returns_count(body)
$$;


create or replace function iclock.dequeue_commands(
        device_ids        bigint[],
        max_counts        integer[],
        max_bytes         integer[],
        timeouts_seconds  integer[],
        max_attempts      integer[])
    returns table (ord bigint, id bigint, body text)
    language plpgsql security definer
    set search_path = pg_catalog, iclock, pg_temp
    -- Half a million commands queued at once for one device: before the next
    -- ANALYZE the planner would rather fetch and sort them all than take the
    -- first from command_waiting_idx.
    set enable_bitmapscan = off
    set enable_sort = off
as $$
#variable_conflict use_column
declare
    poll   record;
    next   record;
    taken  bigint[];
    bytes  bigint;
    size   bigint;
begin
    for poll in
        select p.ord, d.id as device_id,
               least(p.max_count, d.command_limit) as max_count,
               p.max_bytes, p.max_attempts,
               now() - make_interval(secs => p.timeout) as sent_before
          from unnest($1, $2, $3, $4, $5) with ordinality
               as p (device_id, max_count, max_bytes, timeout, max_attempts,
                     ord)
          join iclock.device d on d.id = p.device_id
         where d.status = 'active'
         order by p.ord
    loop
        -- A command past its time is not given out again, whether it was ever
        -- sent or not: a door that opens minutes late is a hazard.  Looked for
        -- first, because mostly there is none and updates fire triggers.
        if exists (select from iclock.command c
                    where c.device_id = poll.device_id
                      and c.status = 'queued'
                      and c.expires_at <= now())
        then
            update iclock.command c
               set status = 'expired', finished_at = now()
             where c.id in (select e.id
                              from iclock.command e
                             where e.device_id = poll.device_id
                               and e.status = 'queued'
                               and e.expires_at <= now()
                               for update skip locked);
        end if;

        if exists (select from iclock.command c
                    where c.device_id = poll.device_id
                      and c.status = 'sent'
                      and c.sent_at <= poll.sent_before
                      and (c.attempts >= poll.max_attempts
                           or c.expires_at <= now()))
        then
            update iclock.command c
               set status = case when c.expires_at <= now()
                                 then 'expired' else 'failed' end,
                   finished_at = now()
             where c.id in (select e.id
                              from iclock.command e
                             where e.device_id = poll.device_id
                               and e.status = 'sent'
                               and e.sent_at <= poll.sent_before
                               and (e.attempts >= poll.max_attempts
                                    or e.expires_at <= now())
                               for update skip locked);
        end if;

        if exists (select from iclock.share_backlog b
                    where b.target_id = poll.device_id)
        then
            perform iclock.take_backlog(poll.device_id);
        end if;

        taken := '{}';
        bytes := 0;

        for next in
            select c.id, c.body
              from iclock.command c
             where c.device_id = poll.device_id
               and c.status in ('queued', 'sent')
               and (c.status = 'queued'
                    and (c.not_before is null or c.not_before <= now())
                    or c.status = 'sent'
                       and c.sent_at <= poll.sent_before
                       and c.attempts < poll.max_attempts)
               and (c.expires_at is null or c.expires_at > now())
             order by c.priority desc, c.id
             limit poll.max_count
               for update skip locked
        loop
            -- as it goes over the wire: C:<id>:<body>\n
            size := 4 + length((next.id % 1000000000)::text)
                      + octet_length(next.body);
            exit when bytes + size > poll.max_bytes and bytes > 0;

            bytes := bytes + size;
            taken := taken || next.id;

            ord := poll.ord;
            id := next.id;
            body := next.body;
            return next;

            -- the device forgets what comes after
            exit when next.body ~* '^REBOOT\M';
        end loop;

        if bytes > 0 then
            update iclock.command c
               set status = 'sent', sent_at = now(), attempts = c.attempts + 1
             where c.id = any (taken);
        end if;
    end loop;
end
$$;


create or replace function iclock.answer_commands(
        device_ids    bigint[],
        wire_ids      bigint[],
        return_codes  integer[],
        replies       bytea[])
    returns void
    language plpgsql security definer
    set search_path = pg_catalog, iclock, pg_temp
    -- plans are kept, also those made when there were few commands
    set enable_seqscan = off
as $$
#variable_conflict use_column
begin
    -- Only what was sent once can be answered.  A late answer still counts when
    -- the command has been given up meanwhile; the first answer stands.
    with answer as materialized (
        select a.device_id, a.wire_id, a.return_code, a.reply, a.ord, newest.id
          from unnest($1, $2, $3, $4) with ordinality
               as a (device_id, wire_id, return_code, reply, ord)
          left join lateral
               (select f.id
                  from iclock.command f
                 where f.device_id = a.device_id
                   and f.id % 1000000000 = a.wire_id
                   and f.attempts > 0
                 order by f.id desc
                 limit 1) as newest on true
    ),
    -- Answers to commands that this device was never given.  The newest command
    -- of that number is meant, see command.id; unknown numbers are passed over.
    refused as (
        insert into iclock.refused_answer as r (device_id, answers, command_id,
                                                return_code)
        select a.device_id, count(*),
               (array_agg(f.id order by a.ord desc))[1],
               (array_agg(a.return_code order by a.ord desc))[1]
          from answer a
          join iclock.command f
            on f.id = a.wire_id
                      + (((select max(n.id) from iclock.command n) - a.wire_id)
                         / 1000000000) * 1000000000
          join iclock.device d on d.id = a.device_id
         where a.id is null
           and a.wire_id between 0 and 999999999
         group by a.device_id
         order by a.device_id
        on conflict on constraint refused_answer_pkey do update
        set answers = r.answers + excluded.answers,
            command_id = excluded.command_id,
            return_code = excluded.return_code,
            last_at = now()
    )
    update iclock.command c
       set status = case when iclock.is_success(c.body, answer.return_code)
                         then 'done' else 'failed' end,
           return_code = answer.return_code,
           reply = answer.reply,
           finished_at = now()
      from (select distinct on (a.id) a.id, a.return_code, a.reply
              from answer a
             where a.id is not null
             order by a.id, a.ord) as answer
     where c.id = answer.id
       and c.status <> 'done'
       and c.return_code is null;
end
$$;


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
              and c.status in ('queued', 'sent')
              and (c.status = 'queued'
                   and (c.not_before is null or c.not_before <= now())
                   or c.status = 'sent'
                      and c.sent_at <= now()
                                       - make_interval(secs => $1))))
$$;


-- The zone of a device's clock.
create or replace function iclock.zone_of(d iclock.device)
    returns text
    language sql stable
    set search_path = pg_catalog, iclock, pg_temp
as $$
    select coalesce(d.timezone, d.default_timezone, 'UTC')
$$;

-- For nginx, as often as it likes: devices whose zone has another offset than
-- they were told, since it has changed to or from daylight saving or an operator
-- has changed the zone, are made to shake hands.  Only a CHECK of dialect 2.4
-- does that (PUSH 12.3.1); clocks of dialect 3.2 fetch the time with its offset
-- by themselves (SDK 2.3).  The offset is noted at once, so nothing is asked for
-- twice.  At most so many devices at a time; returns their number.
create or replace function iclock.refresh_timezones(
        max_devices  integer default 5000)
    returns integer
    language plpgsql security definer
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    told     record;
    minutes  integer;
    changed  integer;
    asked    integer := 0;
begin
    -- of several nginx one is enough
    if not pg_try_advisory_xact_lock(hashtext('iclock.refresh_timezones')) then
        return 0;
    end if;

    for told in
        -- the few different pairs, each by one step into the index
        with recursive pair (zone, told_offset) as (
            (select coalesce(d.timezone, d.default_timezone), d.told_offset
               from iclock.device d
              where d.status = 'active' and d.told_offset is not null
                and coalesce(d.timezone, d.default_timezone) is not null
              order by 1, 2
              limit 1)
            union all
            select n.*
              from pair
             cross join lateral (
                 select coalesce(d.timezone, d.default_timezone), d.told_offset
                   from iclock.device d
                  where d.status = 'active' and d.told_offset is not null
                    and (coalesce(d.timezone, d.default_timezone),
                         d.told_offset) > (pair.zone, pair.told_offset)
                  order by 1, 2
                  limit 1) as n)
        select * from pair
    loop
        minutes := extract(epoch from timezone(told.zone, now())
                                      - timezone('UTC', now())) / 60;

        continue when minutes = told.told_offset;

        with due as (
            update iclock.device d
               set told_offset = minutes
             where d.id in (select o.id
                              from iclock.device o
                             where o.status = 'active'
                               and o.told_offset = told.told_offset
                               and coalesce(o.timezone, o.default_timezone)
                                   = told.zone
                             limit max_devices - asked
                               for no key update skip locked)
            returning d.id, d.dialect, d.send_timezone
        ), queued as (
            insert into iclock.command (device_id, body)
            select due.id, 'CHECK'
              from due
             where due.dialect = '2.4'
               and coalesce(due.send_timezone, true)
               and not exists (select from iclock.command c
                                where c.device_id = due.id
                                  and c.status = 'queued'
                                  and c.body = 'CHECK')
             order by due.id
        )
        select count(*) into changed from due;

        asked := asked + changed;
        exit when asked >= max_devices;
    end loop;

    return asked;
end
$$;
