-- Sends people to the terminals of a site: when it shares them, by itself, and
-- when somebody asks for it.

-- Enrol once, present everywhere: sends what a terminal has uploaded to the
-- other terminals of its site, if the site shares its people.
--
-- A terminal that was sent a copy may upload it again, shortened or completed in
-- its own way.  Such an echo goes no further; what would be sent to a terminal
-- that holds the same already is not sent either.  So nothing goes in circles.
--
-- Simulated devices take no part in any of this.
create or replace function iclock.share_changes()
    returns trigger
    language plpgsql security definer
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    renamed  constant boolean := tg_table_name = 'device_user'
                                 and tg_op = 'UPDATE';
    devices  bigint[];
    pins     text[];
    echoes   boolean[];
begin
    if current_setting('iclock.applying', true) = 'on'
       or not exists (select from iclock.site s where s.share_people)
          and not exists (select from iclock.removed_person)
    then
        return null;
    end if;

    -- planned each time: by the number of rows that there are now
    execute format(
        'select array_agg(a.device_id order by a.device_id, a.pin), '
        '       array_agg(a.pin order by a.device_id, a.pin), '
        '       array_agg(s.share_people is distinct from true '
        '                 or iclock.is_echo(a.device_id, '
        '                        iclock.subject_of(row(a.*)::iclock.%1$I), '
        '                        %2$s) '
        '                 order by a.device_id, a.pin) '
        '  from after a '
        '  %3$s '
        '  join iclock.device d on d.id = a.device_id '
        '  left join iclock.site s on s.name = d.site '
        ' where d.site is not null and d.status = ''active'' '
        '   and not d.sandbox '
        '   and (s.share_people '
        '        or exists (select from iclock.removed_person r '
        '                    where r.site = d.site and r.pin = a.pin)) '
        '   and %4$s',
        tg_table_name,
        case when renamed then
            'iclock.same_user(row(a.*)::iclock.device_user, '
            'row(b.*)::iclock.device_user, true)' else 'true' end,
        case when renamed then
            'join before b on b.device_id = a.device_id and b.pin = a.pin'
        else '' end,
        case when tg_table_name = 'photo' then
            'a.kind in (''user'', ''comparison'') and a.pin <> ''''' else 'true'
        end)
       into devices, pins, echoes;

    if devices is null then
        return null;
    end if;

    select array_agg(u.device_id order by u.ord),
           array_agg(u.pin order by u.ord)
      into devices, pins
      from unnest(devices, pins, echoes,
                  iclock.refuse_removed(devices, pins)) with ordinality
           as u (device_id, pin, echo, refused, ord)
     where not u.echo and not u.refused;

    if devices is not null then
        perform iclock.share_people(devices, pins);
    end if;
    return null;
end
$$;
comment on function iclock.share_changes() is
    'Trigger: sends what a terminal uploaded to the others of a site that '
    'shares its people';

-- Sends people to the other terminals of their sites.  When there are many, as
-- after the first upload of a terminal, it only notes them, for the upload must
-- not take long: each terminal then gets some at each poll.
create or replace function iclock.share_people(
        devices  bigint[],
        pins     text[])
    returns void
    language plpgsql
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    few     constant integer := 10;
    change  record;
begin
    if (select count(*)
          from (select distinct u.device_id, u.pin
                  from unnest($1, $2) as u (device_id, pin)
                 limit few + 1) as u) <= few
    then
        for change in
            select u.device_id, u.pin, d.site, l.devices, l.untils
              from (select distinct u.device_id, u.pin
                      from unnest($1, $2) as u (device_id, pin)) as u
              join iclock.device d on d.id = u.device_id
             cross join lateral
                   (select array_agg(p.device_id) as devices,
                           array_agg(p.until) as untils
                      from iclock.people_leaving(
                               array(select m.id
                                       from iclock.device m
                                      where m.site = d.site
                                        and m.status = 'active'
                                        and not m.sandbox), u.pin)
                           as p) as l
        loop
            perform iclock.copy_person(array[change.device_id], d.id,
                                       change.pin, false, change.devices,
                                       change.untils)
               from iclock.device d
              where d.site = change.site and d.status = 'active'
                and not d.sandbox and d.id <> change.device_id;
        end loop;
        return;
    end if;

    with noted as (
        insert into iclock.share_backlog (target_id, source_id, pin)
        select distinct t.id, d.id, u.pin
          from unnest($1, $2) as u (device_id, pin)
          join iclock.device d on d.id = u.device_id
          join iclock.device t on t.site = d.site and t.status = 'active'
                              and not t.sandbox and t.id <> d.id
         order by t.id, u.pin, d.id
            on conflict do nothing
        returning target_id
    )
    select count(pg_notify('iclock_command', d.serial_number)) as told
      into change
      from (select distinct n.target_id from noted n) as n
      join iclock.device d on d.id = n.target_id;
end
$$;
comment on function iclock.share_people(bigint[], text[]) is
    'Sends people to the other terminals of their sites, or notes them when '
    'they are many';

-- Queues what is noted for a terminal, some people at a time.
create or replace function iclock.take_backlog(
        target_id  bigint,
        people     integer default 50)
    returns void
    language plpgsql
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    person  record;
begin
    for person in
        delete from iclock.share_backlog b
         where b.ctid = any (array(
                   select f.ctid
                     from iclock.share_backlog f
                    where f.target_id = $1
                    order by f.pin
                    limit $2
                      for update skip locked))
        returning b.source_id, b.pin
    loop
        perform iclock.copy_person(array[person.source_id], $1, person.pin,
                                   false, l.devices, l.untils)
           from (select array_agg(p.device_id) as devices,
                        array_agg(p.until) as untils
                   from iclock.people_leaving(array[person.source_id, $1],
                                              person.pin) as p) as l
          where not exists (select from iclock.removed_person r
                              join iclock.device d on d.site = r.site
                             where d.id = $1 and r.pin = person.pin);
    end loop;

    if exists (select from iclock.share_backlog b where b.target_id = $1) then
        perform pg_notify('iclock_command', d.serial_number)
           from iclock.device d
          where d.id = $1;
    end if;
end
$$;
comment on function iclock.take_backlog(bigint, integer) is
    'Queues copies of people that are noted for a terminal';

create or replace function iclock.copy_user(
        pin          text,
        from_serial  text,
        to_serial    text)
    returns table (command_id bigint, serial_number text, what text,
                   skipped_reason text)
    language plpgsql security definer
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    source_id  constant bigint := iclock.device_id(from_serial);
    target_id  constant bigint := iclock.device_id(to_serial);
begin
    perform iclock.pin($1);

    if source_id = target_id then
        perform iclock.wrong_argument('to_serial', 'is the same terminal');
    end if;

    -- its people are others
    if exists (select
                 from iclock.device s, iclock.device t
                where s.id = source_id and s.sandbox
                  and t.id = target_id and not t.sandbox)
    then
        perform iclock.wrong_argument('from_serial', 'is simulated');
    end if;

    if not exists (select from iclock.device_user u
                    where u.device_id = source_id and u.pin = $1)
    then
        raise no_data_found
            using message = format('device "%s" has reported no user "%s"',
                                   from_serial, $1),
                  hint = 'Call query_user() to make it report the user.';
    end if;

    -- whoever is put on a terminal anew is removed no longer
    perform iclock.readmit(d.site, $1)
       from iclock.device d
      where d.id = target_id and not d.sandbox;

    return query
    select c.*
      from (select array_agg(p.device_id) as devices,
                   array_agg(p.until) as untils
              from iclock.people_leaving(array[target_id], $1) as p) as l
     cross join lateral
           iclock.copy_person(array[source_id], target_id, $1, true,
                              l.devices, l.untils) as c;
end
$$;
comment on function iclock.copy_user(text, text, text) is
    'Sends a user with all templates and photos from one terminal to '
    'another. skipped_reason names what the other cannot use';
grant execute on function iclock.copy_user(text, text, text) to iclock_operator;

create or replace function iclock.copy_user_to_site(
        pin          text,
        from_serial  text,
        site         text default null)
    returns table (command_id bigint, serial_number text, what text,
                   skipped_reason text)
    language plpgsql security definer
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    target  record;
begin
    for target in
        select d.serial_number
          from iclock.device d
         where d.site = coalesce($3, (select s.site from iclock.device s
                                       where s.id = iclock.device_id($2)))
           and d.status = 'active' and not d.sandbox
           and d.serial_number <> $2
           and iclock.may_see(d.site)
         order by d.id
    loop
        return query
        select * from iclock.copy_user($1, $2, target.serial_number);
    end loop;
end
$$;
comment on function iclock.copy_user_to_site(text, text, text) is
    'The same to all other terminals of a site, by default the terminal''s own';
grant execute on function iclock.copy_user_to_site(text, text, text)
    to iclock_operator;

create or replace function iclock.copy_site(
        from_serial  text,
        site         text default null)
    returns table (command_id bigint, serial_number text, what text,
                   skipped_reason text)
    language plpgsql security definer
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    source_id  constant bigint := iclock.device_id(from_serial);
    targets    constant bigint[] := array(
        select d.id
          from iclock.device d
         where d.site = coalesce($2, (select s.site from iclock.device s
                                       where s.id = source_id))
           and d.status = 'active' and not d.sandbox and d.id <> source_id
           and iclock.may_see(d.site, (select iclock.visible_sites()))
         order by d.id);
begin
    if exists (select from iclock.device d
                where d.id = source_id and d.sandbox)
    then
        perform iclock.wrong_argument('from_serial', 'is simulated');
    end if;

    return query
      with leaving as materialized (
        select l.pin, array_agg(l.device_id) as devices,
               array_agg(l.until) as untils
          from iclock.people_leaving(source_id || targets) as l
         group by l.pin
    ),
    people as materialized (
        select u.pin, o.devices, o.untils,
               case
               when exists (select
                              from unnest(o.devices, o.untils)
                                   as p (device_id, until)
                             where p.device_id = source_id
                               and p.until = 'infinity')
               then 'being deleted from the terminal'
               when iclock.is_former(source_id, iclock.subject_of(u),
                                     u.updated_at, o.devices, o.untils)
               then 'the terminal has not deleted it when it was told to'
               end as reason
          from iclock.device_user u
          left join leaving l on l.pin = u.pin
          left join leaving e on e.pin = ''
         cross join lateral
               (select case when e.pin is null then l.devices
                            else l.devices || e.devices end as devices,
                       case when e.pin is null then l.untils
                            else l.untils || e.untils end as untils) as o
         where u.device_id = source_id
    )
    select c.*
      from iclock.device d
     cross join people p
     cross join lateral
           (select case
                   when exists (select from iclock.removed_person r
                                 where r.site = d.site and r.pin = p.pin)
                   then 'removed from the site'
                   else p.reason end) as r (reason)
     cross join lateral
           (select null::bigint, d.serial_number, 'user', r.reason
             where r.reason is not null
             union all
            select n.*
              from iclock.copy_person(array[source_id], d.id, p.pin, false,
                                      p.devices, p.untils) as n
             where r.reason is null) as c
     where d.id = any (targets);
end
$$;
comment on function iclock.copy_site(text, text) is
    'Sends everyone that a terminal holds to the terminals of a site, where '
    'they are missing or older';
grant execute on function iclock.copy_site(text, text) to iclock_operator;

create or replace function iclock.sync_site(site text)
    returns table (command_id bigint, serial_number text, what text,
                   skipped_reason text)
    language plpgsql security definer
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    members  constant bigint[] := array(
        select d.id from iclock.device d
         where d.site = $1 and d.status = 'active' and not d.sandbox
         order by d.id);
begin
    perform iclock.own_site('site', $1);

    if not exists (select from iclock.device d where d.site = $1) then
        raise no_data_found
            using message = format('there is no device at site %s',
                                   coalesce('"' || $1 || '"', 'NULL'));
    end if;

    return query
    select iclock.tell_removal(d.id, r.pin), d.serial_number,
           'removal'::text, null::text
      from iclock.removed_person r
      join iclock.device_user u on u.pin = r.pin
                               and u.device_id = any (members)
      join iclock.device d on d.id = u.device_id
     where r.site = $1 and d.id = any (r.terminals);

    return query
      with leaving as materialized (
        select l.pin, array_agg(l.device_id) as devices,
               array_agg(l.until) as untils
          from iclock.people_leaving(members) as l
         group by l.pin
    ),
    people as (
        select h.pin,
               case when e.pin is null then l.devices
                    else l.devices || e.devices end as devices,
               case when e.pin is null then l.untils
                    else l.untils || e.untils end as untils
          from (select distinct u.pin
                  from iclock.device_user u
                 where u.device_id = any (members)
                   and not exists (select from iclock.removed_person r
                                    where r.site = $1 and r.pin = u.pin)) as h
          left join leaving l on l.pin = h.pin
          left join leaving e on e.pin = ''
    )
    select c.*
      from unnest(members) as m (id)
     cross join people p
     cross join lateral
           iclock.copy_person(array_remove(members, m.id), m.id, p.pin, false,
                              p.devices, p.untils) as c;
end
$$;
comment on function iclock.sync_site(text) is
    'Makes every active terminal of a site hold the same people: all that any '
    'of them holds, the newest of each thing. Nobody is deleted';
grant execute on function iclock.sync_site(text) to iclock_operator;

create or replace function iclock.set_site(
        name                   text,
        share_people           boolean   default null,
        day_starts             time      default null,
        double_punch_interval  interval  default null)
    returns void
    language plpgsql security definer
    set search_path = pg_catalog, iclock, pg_temp
as $$
begin
    perform iclock.own_site('name', $1);

    if $4 not between interval '0' and interval '1 hour' then
        perform iclock.wrong_argument('double_punch_interval',
                                      'is negative or longer than an hour');
    end if;

    insert into iclock.site as s (name, share_people, day_starts,
                                  double_punch_interval)
    values (iclock.field('name', $1, '\S', 500), coalesce($2, false),
            coalesce($3, '00:00'), coalesce($4, '0'))
    on conflict on constraint site_pkey do update
    set share_people = coalesce($2, s.share_people),
        day_starts = coalesce($3, s.day_starts),
        double_punch_interval = coalesce($4, s.double_punch_interval),
        updated_at = now();
end
$$;
comment on function iclock.set_site(text, boolean, time, interval) is
    'Switches of a site: whether a person enrolled on one terminal is sent to '
    'all others (sync_site() does it for those enrolled before), when its day '
    'starts, and how soon a punch is a double one';
grant execute on function iclock.set_site(text, boolean, time, interval)
    to iclock_operator;
