-- The answers of devices to commands.  What nginx calls, and how the table is
-- read, is as queue_out.sql says.

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
                       (select k.id, k.device_id, k.attempts, k.sent_at
                          from iclock.command k
                         where k.id = a.wire_id + m.multiple
                         limit 1) as c
                 where a.wire_id between 0 and 999999999
                   -- not within: an index by devices would serve that, too
                   and c.device_id = a.device_id
                   and (c.attempts > 0 or c.sent_at is not null)
                 order by c.id desc
                 limit 1) as f on true
        $query$
       into ids
      using $1, $2, array(select generate_series(0, $3, 1000000000));

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
-- first answer stands.  A file may come in a request of its own, before it or
-- after it (push SDK 3.2.0, section 10.1).  Returns the commands that it was
-- the first answer for.
create or replace function iclock.store_answers(
        ids           bigint[],
        return_codes  integer[],
        replies       bytea[])
    returns bigint[]
    language plpgsql
    set search_path = pg_catalog, iclock, pg_temp
    set enable_seqscan = off
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

    if exists (select
                 from unnest($1, $3) as a (id, reply)
                where a.reply is not null
                  and a.id <> all (coalesce(answered, '{}')))
    then
        execute $query$
            select array_agg(l.place order by a.id),
                   array_agg(a.reply order by a.id)
              from unnest($1, $2) as a (id, reply)
             cross join lateral
                   (select c.ctid as place
                      from iclock.command c
                     where c.id = a.id
                       and c.status = 'done'
                       and c.reply is null
                       and c.cleared_at is null
                       and c.body ~* '^(GetFile|SHELL)\M'
                     limit 1
                       for no key update) as l
             where a.reply is not null
            $query$
           into places, answers
          using $1, $3;

        execute $query$
            update iclock.command c
               set reply = $2[array_position($1, c.ctid)]
             where c.ctid = any ($1)
            $query$
          using places, answers;
    end if;

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
      from (select u.id,
                   (array_agg(u.return_code order by u.ord))[1] as return_code,
                   (array_agg(u.reply order by u.ord)
                       filter (where u.reply is not null))[1] as reply
              from unnest(ids, return_codes, replies) with ordinality
                   as u (id, return_code, reply, ord)
             where u.id is not null
             group by u.id) as a;

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
