-- People whom a site has removed: what terminals upload of them later is not to
-- bring them back.

-- Whether a device has something of a user, or is to get it.
create or replace function iclock.may_hold(device_id bigint, pin text)
    returns boolean
    language sql stable
    set search_path = pg_catalog, iclock, pg_temp
as $$
    select exists (select from iclock.device_user u
                    where u.device_id = $1 and u.pin = $2)
        or exists (select from iclock.template t
                    where t.device_id = $1 and t.pin = $2)
        or exists (select from iclock.photo p
                    where p.device_id = $1 and p.pin = $2
                      and p.kind in ('user', 'comparison'))
        or exists (select from iclock.command c
                    where c.device_id = $1
                      and c.finished_at is null
                      and c.subject >= E'user\t' || $2
                      and c.subject < E'user\t' || $2 || E'\n'
                      and not c.deletes)
$$;
comment on function iclock.may_hold(bigint, text) is
    'Whether a device has something of a user, or is to get it';

create or replace function iclock.delete_user_from_site(
        site  text,
        pin   text)
    returns setof bigint
    language sql security definer
    set search_path = pg_catalog, iclock, pg_temp
as $$
    select iclock.own_site('site', $1);

    insert into iclock.removed_person as r (site, pin, removed_by, terminals)
    select $1, iclock.pin($2), iclock.calling_role(), array_agg(d.id order by d.id)
      from iclock.device d
     where d.site = $1 and not d.sandbox
    having count(*) > 0
    on conflict on constraint removed_person_pkey do update
    set removed_at = now(), removed_by = excluded.removed_by,
        terminals = excluded.terminals;

    delete from iclock.share_backlog b
     using iclock.device d
     where d.id = b.target_id and d.site = $1 and b.pin = $2;

    select iclock.delete_user(d.serial_number, $2)
      from iclock.device d
     where d.site = $1 and not d.sandbox
       -- one that is let in again must not bring the user along
       and (d.status = 'active' or iclock.may_hold(d.id, $2))
     order by d.id
$$;
comment on function iclock.delete_user_from_site(text, text) is
    'Deletes a user from every terminal of a site that is not simulated: from '
    'those that are not active, if they have the user, once they are. A '
    'terminal that uploads the user later gets a command to delete it, until '
    'the user is put or enrolled anew: table removed_person';
grant execute on function iclock.delete_user_from_site(text, text)
    to iclock_operator;


-- Ends a removal: the person is on a terminal of the site again.
create or replace function iclock.readmit(site text, pin text)
    returns void
    language plpgsql
    set search_path = pg_catalog, iclock, pg_temp
as $$
begin
    delete from iclock.removed_person r
     where r.site = $1 and r.pin = $2;

    if found then
        -- one that stays is older than the next removal
        delete from iclock.removed_from f
         where f.ctid = any (array(
                   select l.ctid
                     from iclock.removed_from l
                     join iclock.device d on d.id = l.device_id
                    where d.site = $1 and l.pin = $2
                      for update of l skip locked));
    end if;
end
$$;
comment on function iclock.readmit(text, text) is
    'Ends the removal of a person from a site';

create or replace function iclock.readmit_user(
        site  text,
        pin   text)
    returns boolean
    language plpgsql security definer
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    removed  boolean;
begin
    perform iclock.own_site('site', $1);
    perform iclock.pin($2);

    removed := exists (select from iclock.removed_person r
                        where r.site = $1 and r.pin = $2);
    perform iclock.readmit($1, $2);
    return removed;
end
$$;
comment on function iclock.readmit_user(text, text) is
    'Ends the removal of a user from a site: whoever is uploaded with the PIN '
    'stays; false if there was none';
grant execute on function iclock.readmit_user(text, text) to iclock_operator;

-- A device has deleted a user, or all, or says that it has no such user.
create or replace function iclock.note_removal(device_id bigint, subject text)
    returns void
    language plpgsql
    set search_path = pg_catalog, iclock, pg_temp
as $$
begin
    if subject !~ E'^user(\t[^\t]+)?$' then
        return;
    end if;

    insert into iclock.removed_from as f (device_id, pin)
    select d.id, r.pin
      from iclock.device d
      join iclock.removed_person r on r.site = d.site
     where d.id = $1 and not d.sandbox
       and ($2 = 'user' or r.pin = split_part($2, E'\t', 2))
     order by r.pin collate "C"
    on conflict on constraint removed_from_pkey do update
    set deleted_at = excluded.deleted_at;
end
$$;
comment on function iclock.note_removal(bigint, text) is
    'Notes that a device has deleted a user, or all';

drop function if exists iclock.people_leaving(bigint[]);

-- What devices hold of these is of no use to anyone else: it may be of who had
-- the PIN before.  Of those whom a device was to delete and has not, that is
-- what it held when the last attempt had ended, or had gone out, if its answer
-- was never seen; a deletion of all users counts as long as it is under way.
-- Where there is no such user (-10), what is stored is of nobody.  What is to
-- be done later is not under way.
create or replace function iclock.people_leaving(
        devices  bigint[],
        person   text default null)
    returns table (device_id bigint, pin text, until timestamptz)
    language plpgsql stable
    set search_path = pg_catalog, iclock, pg_temp
as $$
begin
    -- planned each time: by the number of commands that there are now
    return query execute $query$
        with last as materialized (
            select distinct on (c.device_id, c.subject)
                   c.device_id, c.subject, c.id,
                   case when c.reason like 'superseded by %'
                        then coalesce(c.sent_at, c.finished_at)
                        else c.finished_at end as finished_at,
                   c.status <> 'done' as missed
              from iclock.command c
             where c.device_id = any ($1)
               and c.deletes
               and (c.status <> 'cancelled'
                    or c.reason = 'the device was removed'
                    or c.reason like 'superseded by %')
               and (c.status <> 'queued' or c.not_before is null
                    or c.not_before <= now())
               and c.subject >= 'user' and c.subject < E'user\n'
               and ($2 is null or c.subject in ('user', E'user\t' || $2))
               and c.subject ~ E'^user(\t[^\t]+)?$'
             order by c.device_id, c.subject, 0 - c.id
        )
        select l.device_id, split_part(l.subject, E'\t', 2),
               coalesce(l.finished_at, 'infinity')
          from last l
         where l.missed
           and (l.finished_at is null
                or l.subject <> 'user'
                   and not exists (select
                                     from last a
                                    where a.device_id = l.device_id
                                      and a.subject = 'user'
                                      and a.id > l.id
                                      and not a.missed))
        $query$
      using $1, $2;
end
$$;
comment on function iclock.people_leaving(bigint[], text) is
    'Users whom devices have yet to delete, or have not deleted when they were '
    'told to, and until when what they hold is of them; an empty PIN: all users';

-- Whether something that a device holds is of somebody whom it was to delete:
-- not if it has come since, or if a command behind the deletion has put the same
-- there again, whichever of them was answered first.
create or replace function iclock.is_former(
        device_id   bigint,
        subject     text,
        changed_at  timestamptz,
        leaving     bigint[],
        until       timestamptz[])
    returns boolean
    language plpgsql stable
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    ended  constant timestamptz := (
        select max(l.until)
          from unnest($4, $5) as l (device_id, until)
         where l.device_id = $1);
    again  boolean;
begin
    if ended is null or changed_at > ended then
        return false;
    elsif ended = 'infinity' then
        return true;
    end if;

    execute $query$
        select exists (select
                         from iclock.command c
                        where c.device_id = $1
                          and c.subject = $2
                          and not c.deletes
                          and c.status = 'done'
                          and c.id > d.id
                          -- which somebody has sent again, maybe, or was late
                          and coalesce(c.finished_at
                                       >= coalesce(d.sent_at, d.not_before),
                                       true))
          from iclock.command d
         where d.device_id = $1
           and d.subject = $3
           and d.deletes
           and d.finished_at is not null
           and (d.status <> 'cancelled'
                or d.reason = 'the device was removed'
                or d.reason like 'superseded by %')
         order by 0 - d.id
         limit (select 1)
        $query$
       into again
      using $1, $2,
            array_to_string((string_to_array($2, E'\t'))[1:2], E'\t');

    return again is not true;
end
$$;
comment on function iclock.is_former(bigint, text, timestamptz, bigint[],
    timestamptz[]) is
    'Whether something that a device holds is of somebody whom it was to '
    'delete, by what people_leaving() says';

-- Queues the deletion of a person, unless the device has yet to answer one.
create or replace function iclock.tell_removal(
        device_id  bigint,
        pin        text)
    returns bigint
    language plpgsql
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    last     record;
    command  bigint;
begin
    execute $query$
        select c.id, c.deletes and c.status in ('queued', 'sent') as told
          from iclock.command c
         where c.device_id = $1
           and c.subject = E'user\t' || $2
         order by - c.id
         limit (select 1)
        $query$
       into last
      using $1, $2;

    if last.told then
        return last.id;
    end if;

    insert into iclock.command as c (device_id, body)
    values ($1, 'DATA DELETE USERINFO '
                || iclock.fields('PIN', iclock.harmless($2)))
    returning c.id into command;

    return command;
end
$$;
comment on function iclock.tell_removal(bigint, text) is
    'Queues the deletion of a person, unless the device has yet to answer one';

-- What devices have uploaded of people whom their site has removed: it comes
-- from before, and the device must delete it as well.  People whom a device
-- uploads more than ten minutes after it had deleted them were enrolled anew,
-- and so were people whom a device uploads that was not at the site then: their
-- removal ends.  Returns which uploads to pass over, by position.
create or replace function iclock.refuse_removed(
        devices  bigint[],
        pins     text[])
    returns boolean[]
    language plpgsql
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    person   record;
    refused  boolean[] := array_fill(false, array[cardinality(devices)]);
begin
    for person in
        select d.site, u.device_id, u.pin, array_agg(u.ord) as places,
               bool_or(u.device_id <> all (r.terminals)
                       or f.deleted_at >= r.removed_at
                          and f.deleted_at <= now() - interval '10 minutes')
                   as returned
          from unnest($1, $2) with ordinality as u (device_id, pin, ord)
          join iclock.device d on d.id = u.device_id
          join iclock.removed_person r on r.site = d.site and r.pin = u.pin
          left join iclock.removed_from f on f.device_id = u.device_id
                                         and f.pin = u.pin
         group by d.site, u.device_id, u.pin
         order by d.site collate "C", u.pin collate "C", u.device_id
    loop
        if person.returned then
            -- Unless another upload is ending the removal: two that wait for
            -- each other's people would never end.
            perform from iclock.removed_person r
              where r.site = person.site and r.pin = person.pin
                for update skip locked;

            if found then
                perform iclock.readmit(person.site, person.pin);
            end if;
            continue;
        end if;

        perform iclock.tell_removal(person.device_id, person.pin);

        for i in 1 .. cardinality(person.places) loop
            refused[person.places[i]] := true;
        end loop;
    end loop;

    return refused;
end
$$;
comment on function iclock.refuse_removed(bigint[], text[]) is
    'Which uploads are of people whom the site has removed; it queues their deletion';
