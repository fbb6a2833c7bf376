-- People on many terminals: copies of users with their templates and photos.


-- what a copy is a copy of, command.subject: see subjects.sql

create or replace function iclock.subject_of(u iclock.device_user)
    returns text
    language sql immutable
    set search_path = pg_catalog, pg_temp
as $$
    select E'user\t' || u.pin
$$;
comment on function iclock.subject_of(iclock.device_user) is
    'command.subject of a copy of a user';

create or replace function iclock.subject_of(t iclock.template)
    returns text
    language sql immutable
    set search_path = pg_catalog, pg_temp
as $$
    select concat_ws(E'\t', 'user', t.pin, 'template', t.type,
                     greatest(t.no, 0), greatest(t.index, 0),
                     greatest(t.major_version, 0))
$$;
comment on function iclock.subject_of(iclock.template) is
    'command.subject of a copy of a template';

create or replace function iclock.subject_of(p iclock.photo)
    returns text
    language sql immutable
    set search_path = pg_catalog, pg_temp
as $$
    select concat_ws(E'\t', 'user', p.pin, 'photo', p.kind,
                     case when p.kind = 'comparison'
                          then greatest(p.type, 0) end)
$$;
comment on function iclock.subject_of(iclock.photo) is
    'command.subject of a copy of a photo';

-- 123456789 however it is written, '' for none
create or replace function iclock.card_number(card text)
    returns text
    language plpgsql immutable strict
    set search_path = pg_catalog, pg_temp
as $$
declare
    digits  constant text := substring(card from
                                       '^\[([0-9A-Fa-f]{8}(?:[0-9A-Fa-f]{2})*)\]$');
    number  numeric := 0;
    bytes   bytea;
begin
    if digits is null then
        -- also what some devices send for none: 0, [000]
        return ltrim(translate(card, '[]', ''), '0');
    end if;

    -- the lowest byte comes first
    bytes := decode(digits, 'hex');
    for i in reverse length(bytes) - 1 .. 0 loop
        number := number * 256 + get_byte(bytes, i);
    end loop;

    return case when number = 0 then '' else number::text end;
end
$$;
comment on function iclock.card_number(text) is
    'Card number as a decimal number, however it is written; empty: none';

-- the same time periods in the forms of two dialects
create or replace function iclock.same_time_zone(
        a  iclock.device_user,
        b  iclock.device_user)
    returns boolean
    language sql stable
    set search_path = pg_catalog, iclock, pg_temp
as $$
    select a.time_zone = iclock.user_time_zone(b.time_zone, y.dialect, x.dialect)
      from iclock.device x, iclock.device y
     where x.id = a.device_id and y.id = b.device_id
$$;
comment on function iclock.same_time_zone(iclock.device_user,
    iclock.device_user) is
    'Whether two records of a user say the same time periods, in the forms of '
    'their dialects';

-- Whether two records of a user say the same, apart from what a terminal has
-- not said, and from names that it cut off (at 24 bytes; lenient: anywhere).
create or replace function iclock.same_user(
        a        iclock.device_user,
        b        iclock.device_user,
        lenient  boolean)
    returns boolean
    language sql stable
    set search_path = pg_catalog, iclock, pg_temp
as $$
    select coalesce(
            (a.name = b.name
             or least(octet_length(a.name), octet_length(b.name))
                    >= case when lenient then 1 else 20 end
                and (starts_with(a.name, b.name) or starts_with(b.name, a.name)))
        and (a.privilege = b.privilege or -1 in (a.privilege, b.privilege))
        and (a.password = b.password
             or lenient and '' in (a.password, b.password))
        and iclock.card_number(a.card) = iclock.card_number(b.card)
        and (a.access_group = b.access_group
             or -1 in (a.access_group, b.access_group))
        and (a.time_zone = b.time_zone or '' in (a.time_zone, b.time_zone)
             or iclock.same_time_zone(a, b))
        and (nullif(a.starts_at, '-infinity')
                is not distinct from nullif(b.starts_at, '-infinity')
             or a.starts_at is null or lenient)
        and (nullif(a.ends_at, 'infinity')
                is not distinct from nullif(b.ends_at, 'infinity')
             or a.ends_at is null or lenient)
        and (a.verify = b.verify or -1 in (a.verify, b.verify))
        and (iclock.card_number(a.vice_card) = iclock.card_number(b.vice_card)
             or '' in (a.vice_card, b.vice_card)), false)
$$;
comment on function iclock.same_user(iclock.device_user, iclock.device_user,
    boolean) is
    'Whether two records of a user say the same, apart from what terminals '
    'leave out or cut off';

-- Whether an upload only repeats what the terminal was sent: while the copy is
-- under way, and for ten minutes after it.  Nor does what it is being told to
-- delete go further, itself or what it is part of.
create or replace function iclock.is_echo(
        device_id  bigint,
        subject    text,
        alike      boolean)
    returns boolean
    language plpgsql
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    echo  boolean;
begin
    execute $query$
        select true
          from unnest(iclock.subjects_above($2) || $2) as s (subject)
         cross join lateral
               (select
                  from iclock.command c
                 where c.device_id = $1
                   and c.subject = s.subject
                   and c.deletes
                   and c.finished_at is null
                 order by 0 - c.id
                 limit (select 1)) as doomed
         limit 1
        $query$
       into echo
      using $1, $2;

    if echo then
        return true;
    end if;

    execute $query$
        select c.status in ('queued', 'sent') and c.copied
               or c.status = 'done' and c.copied and $3
                  and c.finished_at > now() - interval '10 minutes'
          from iclock.command c
         where c.device_id = $1
           and c.subject = $2
         order by - c.id
         limit (select 1)
        $query$
       into echo
      using $1, $2, $3;

    return coalesce(echo, false);
end
$$;
comment on function iclock.is_echo(bigint, text, boolean) is
    'Whether an upload only repeats what the terminal was sent';


-- The version of the algorithm that a terminal has for a type of template: NULL
-- if it has not said, '0' if it has none.
create or replace function iclock.algorithm_version(
        device_id  bigint,
        type       integer)
    returns text
    language plpgsql stable
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    device    iclock.device;
    unified   text;
    legacy    text;
begin
    if type < 0 then
        return null;
    end if;

    select d.* into device from iclock.device d where d.id = $1;

    select split_part(replace(o.value, ' ', ''), ':', $2 + 1) into unified
      from iclock.device_option o
     where o.device_id = $1 and o.name = 'MultiBioVersion';

    if unified ~ '^[0-9]+' and unified !~ '^0+([.]|$)' then
        return unified;
    end if;

    select max(v) into legacy
      from (select device.fingerprint_version where $2 = 1
            union all
            select device.face_version where $2 = 2
            union all
            select o.value
              from iclock.device_option o
             where o.device_id = $1
               and o.name = any (case $2
                   when 1 then array['FPVersion', 'ZKFPVersion']
                   when 2 then array['FaceVersion', 'ZKFaceVersion']
                   when 6 then array['PvVersion']
                   when 7 then array['FvVersion', 'ZKFvVersion']
                   when 8 then array['PvVersion']
                   else '{}' end)) as l (v)
     where v ~ '^[0-9]+' and v !~ '^0+([.]|$)';

    if legacy is not null then
        return legacy;
    end if;

    if unified <> '' then
        return '0';
    end if;

    if exists (select from iclock.device_option o
                where o.device_id = $1
                  and o.name = 'MultiBioDataSupport'
                  and split_part(replace(o.value, ' ', ''), ':', $2 + 1) = '0')
       or $2 = 1 and device.fingerprint_version ~ '^(-|0+$)'
       or $2 = 2 and device.face_version ~ '^(-|0+$)'
    then
        return '0';
    end if;

    return null;
end
$$;
comment on function iclock.algorithm_version(bigint, integer) is
    'Version of the algorithm that a terminal has for a type of template; 0: '
    'none, NULL: not known';

create or replace function iclock.type_name(type integer)
    returns text
    language sql immutable
    set search_path = pg_catalog, pg_temp
as $$
    select coalesce((array['general template', 'fingerprint',
                           'near-infrared face', 'voice', 'iris', 'retina',
                           'palm print', 'finger vein', 'palm vein',
                           'visible light face'])[type + 1],
                    'template of type ' || type)
$$;
comment on function iclock.type_name(integer) is 'Name of a type of template';

-- Why a terminal cannot use a template; NULL if it can, or may.
create or replace function iclock.unusable(
        t       iclock.template,
        target  iclock.device)
    returns text
    language plpgsql stable
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    wanted   constant text := iclock.algorithm_version(target.id, t.type);
    -- a FACE or FVEIN record does not say its version, the terminal does
    version  constant text := coalesce(
        case when t.source in ('FACE', 'FVEIN')
             then nullif(iclock.algorithm_version(t.device_id, t.type), '0')
             end,
        t.major_version::text);
begin
    if target.dialect = '3.2'
       and t.source = 'BIODATA'
       and not (t.type = 1 and t.major_version in (9, 10))
    then
        return 'dialect 3.2 has no command for it';
    end if;

    if wanted = '0' then
        return 'the terminal has no algorithm for it';
    end if;

    if wanted is not null and version ~ '^[0-9]+'
       and substring(wanted from '^[0-9]{1,9}')::integer
           <> substring(version from '^[0-9]{1,9}')::integer
    then
        return format('it is of version %s of the algorithm, the terminal has '
                      'version %s', version, wanted);
    end if;

    return null;
end
$$;
comment on function iclock.unusable(iclock.template, iclock.device) is
    'Why a terminal cannot use a template; NULL if it can or may';


-- Whether there is a template of a person that a terminal can certainly use: it
-- is sent then instead of a photo, out of which the terminal would have to make
-- one.
create or replace function iclock.has_template(
        type     integer,
        sources  bigint[],
        target   iclock.device,
        pin      text)
    returns boolean
    language sql stable
    set search_path = pg_catalog, iclock, pg_temp
as $$
    select coalesce(iclock.algorithm_version(target.id, $1), '0') <> '0'
       and exists (select
                     from iclock.template t
                    where t.device_id = any ($2)
                      and t.pin = $4
                      and t.type = $1
                      and iclock.unusable(t, target) is null)
$$;
comment on function iclock.has_template(integer, bigint[], iclock.device, text)
    is
    'Whether there is a template of a person that a terminal can certainly use';


-- Queues one copy, unless the same waits already.  Nobody is waited for: should
-- two do so at the same time, the newer command supersedes the other.
create or replace function iclock.queue_copy(
        target_id  bigint,
        subject    text,
        body       text)
    returns bigint
    language plpgsql
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    last     record;
    locked   record;
    command  bigint;
    deleted  boolean;
begin
    execute $query$
        select c.id, c.status, c.body = $3 as same, c.copied
          from iclock.command c
         where c.device_id = $1
           and c.subject = $2
         order by - c.id
         limit (select 1)
        $query$
       into last
      using $1, $2, $3;

    deleted := iclock.superseding_command($1, $2, false, last.id,
                                          '{queued,sent,done}') is not null;

    if last.status in ('queued', 'sent') and last.same and not deleted then
        return last.id;
    end if;

    -- what has not gone out yet goes out as it is now
    if last.status = 'queued' and last.copied and not deleted then
        execute $query$
            select c.ctid as place, c.status
              from iclock.command c
             where c.id = $1
               for no key update skip locked
            $query$
           into locked
          using last.id;

        if locked.status = 'queued' then
            execute 'update iclock.command c set body = $2 where c.ctid = $1'
              using locked.place, $3;
            return last.id;
        end if;
    end if;

    insert into iclock.command as c (device_id, body, subject, copied)
    values ($1, $3, $2, true)
    returning c.id into command;

    return command;
end
$$;
comment on function iclock.queue_copy(bigint, text, text) is
    'Queues one copy, unless the same waits already';


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
     where d.id = $1
       and ($2 = 'user' or r.pin = split_part($2, E'\t', 2))
     order by r.pin collate "C"
    on conflict on constraint removed_from_pkey do update
    set deleted_at = excluded.deleted_at;
end
$$;
comment on function iclock.note_removal(bigint, text) is
    'Notes that a device has deleted a user, or all';

-- Tells a device to delete a person, unless it is being told already.
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
    'Tells a device to delete a person, unless it is being told already';

-- What devices have uploaded of people whom their site has removed: it comes
-- from before, and is to be deleted there as well.  Who is uploaded again more
-- than ten minutes after the device had deleted them was enrolled anew, and so
-- was who is uploaded by a device that was not at the site then: they are removed
-- no longer.  Returns which are to be passed over, by position.
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
    'Which uploads are of people whom the site has removed; those are deleted';

-- Sends a person to one terminal: the newest of each thing that the terminals
-- among "sources" hold.  Unless all of it is wanted, only what is missing there
-- or older.
create or replace function iclock.copy_person(
        sources    bigint[],
        target_id  bigint,
        pin        text,
        all_of_it  boolean)
    returns table (command_id bigint, serial_number text, what text,
                   skipped_reason text)
    language plpgsql
    set search_path = pg_catalog, iclock, pg_temp
as $$
#variable_conflict use_column
declare
    target  iclock.device;
    known   iclock.device_user;
    mine    iclock.device_user;
    item    record;
    t       iclock.template;
    p       iclock.photo;
    source  text;
    dialect text;
begin
    select d.* into target from iclock.device d where d.id = $2;
    serial_number := target.serial_number;

    select u.* into known
      from iclock.device_user u
     where u.device_id = any ($1) and u.pin = $3
     order by u.updated_at desc, u.device_id
     limit 1;

    -- its templates follow when it is known
    if not found then
        return;
    end if;

    select d.dialect into dialect
      from iclock.device d
     where d.id = known.device_id;

    select u.* into mine
      from iclock.device_user u
     where u.device_id = $2 and u.pin = $3;

    if $4 or mine.pin is null
       or mine.updated_at <= known.updated_at
          and not iclock.same_user(known, mine, false)
    then
        what := 'user';
        command_id := iclock.queue_copy($2, iclock.subject_of(known),
            iclock.user_record(
                target.dialect, iclock.harmless(known.pin),
                iclock.harmless(known.name),
                coalesce(nullif(known.privilege, -1), 0),
                iclock.harmless(known.password), iclock.harmless(known.card),
                coalesce(nullif(known.access_group, -1), 1),
                iclock.user_time_zone(known.time_zone, dialect,
                                      target.dialect),
                -- the dialects number the ways to verify differently
                case when target.dialect = dialect
                     then known.verify else -1 end,
                iclock.harmless(known.vice_card),
                -- no limit is told only where there may be one
                case when isfinite(known.starts_at)
                       or mine.starts_at is not null
                     then coalesce(known.starts_at, mine.starts_at) end,
                case when isfinite(known.ends_at) or mine.ends_at is not null
                     then coalesce(known.ends_at, mine.ends_at) end));
        return next;
    end if;

    for item in
        select s as template
          from (select distinct on (t.type, t.no, t.index, t.major_version) t.*
                  from iclock.template t
                 where t.device_id = any ($1) and t.pin = $3
                 order by t.type, t.no, t.index, t.major_version,
                          t.updated_at desc, t.device_id) as s
          left join iclock.template m
                 on m.device_id = $2 and m.pin = $3 and m.type = s.type
                and m.no = s.no and m.index = s.index
                and m.major_version = s.major_version
         where $4 or m.pin is null
            or m.updated_at <= s.updated_at and m.data <> s.data
    loop
        t := item.template;
        what := format('%s %s index %s version %s', iclock.type_name(t.type),
                       t.no, t.index, t.major_version);
        skipped_reason := iclock.unusable(t, target);
        command_id := null;

        if skipped_reason is null then
            -- the old records do for the old algorithms, on all terminals
            source := case
                when t.type = 1 and t.major_version in (9, 10)
                     and (t.source = 'FP' or target.dialect = '3.2') then 'FP'
                else t.source end;

            command_id := iclock.queue_copy($2, iclock.subject_of(t),
                iclock.template_record(
                    target.dialect, source, iclock.harmless(t.pin),
                    t.type, greatest(t.no, 0), greatest(t.index, 0),
                    greatest(t.major_version, 0), greatest(t.minor_version, 0),
                    greatest(t.format, 0),
                    case when t.valid < 0 then 1
                         when source = 'FP' and t.duress = 1 then 3
                         else t.valid end,
                    greatest(t.duress, 0),
                    translate(encode(t.data, 'base64'), E'\n', '')));
        end if;

        return next;
    end loop;

    for item in
        select s as photo
          from (select distinct on (p.kind, p.type) p.*
                  from iclock.photo p
                 where p.device_id = any ($1) and p.pin = $3
                   and p.kind in ('user', 'comparison')
                 order by p.kind desc, p.type, p.received_at desc,
                          p.device_id) as s
         where $4
            or not exists (
                   select from iclock.photo m
                    where m.device_id = $2 and m.pin = $3 and m.kind = s.kind
                      and m.type in (s.type, greatest(s.type, 0))
                      and (m.content = s.content
                           or m.received_at > s.received_at))
    loop
        p := item.photo;
        what := p.kind || ' photo';
        skipped_reason := null;
        command_id := null;

        if p.kind = 'user' then
            command_id := iclock.queue_copy($2, iclock.subject_of(p),
                iclock.photo_record(iclock.harmless(p.pin),
                    translate(encode(p.content, 'base64'), E'\n', '')));

        elsif target.dialect = '3.2' then
            skipped_reason := 'dialect 3.2 has no command for it';

        elsif iclock.has_template(p.type, $1, target, $3) then
            skipped_reason := 'its template does for the terminal';

        elsif exists (select from iclock.device_option o
                       where o.device_id = $2
                         and o.name = 'MultiBioPhotoSupport'
                         and split_part(replace(o.value, ' ', ''), ':',
                                        greatest(p.type, 0) + 1) = '0'
                         and p.type > 0)
        then
            skipped_reason := 'the terminal does not take photos of this type';

        else
            command_id := iclock.queue_copy($2, iclock.subject_of(p),
                iclock.comparison_photo_record(
                    iclock.harmless(p.pin), greatest(p.type, 0),
                    translate(encode(p.content, 'base64'), E'\n', ''), '',
                    false));
        end if;

        return next;
    end loop;
end
$$;
comment on function iclock.copy_person(bigint[], bigint, text, boolean) is
    'Sends a person to a terminal: the newest of each thing that other '
    'terminals hold';

-- Sends people to the other terminals of their sites; when there are many, as
-- after the first upload of a terminal, they are only noted: the upload must not
-- take long.  Each terminal is then given some at each poll.
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
            select distinct u.device_id, u.pin, d.site
              from unnest($1, $2) as u (device_id, pin)
              join iclock.device d on d.id = u.device_id
        loop
            perform iclock.copy_person(array[change.device_id], d.id,
                                       change.pin, false)
               from iclock.device d
              where d.site = change.site and d.status = 'active'
                and d.id <> change.device_id;
        end loop;
        return;
    end if;

    with noted as (
        insert into iclock.share_backlog (target_id, source_id, pin)
        select distinct t.id, d.id, u.pin
          from unnest($1, $2) as u (device_id, pin)
          join iclock.device d on d.id = u.device_id
          join iclock.device t on t.site = d.site and t.status = 'active'
                              and t.id <> d.id
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
                                   false)
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

    if not exists (select from iclock.device_user u
                    where u.device_id = source_id and u.pin = $1)
    then
        raise no_data_found
            using message = format('device "%s" has reported no user "%s"',
                                   from_serial, $1),
                  hint = 'query_user() has it report the user.';
    end if;

    -- whoever is put on a terminal anew is removed no longer
    perform iclock.readmit(d.site, $1)
       from iclock.device d
      where d.id = target_id;

    return query
    select * from iclock.copy_person(array[source_id], target_id, $1, true);
end
$$;
comment on function iclock.copy_user(text, text, text) is
    'Sends a user with all templates and photos from one terminal to another. '
    'What the other cannot use is named in skipped_reason';
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
           and d.status = 'active' and d.serial_number <> $2
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
begin
    return query
    select c.*
      from iclock.device d
     cross join iclock.device_user u
     cross join lateral
           (select exists (select from iclock.removed_person r
                            where r.site = d.site and r.pin = u.pin)) as r (gone)
     cross join lateral
           (select null::bigint, d.serial_number, 'user', 'removed from the site'
             where r.gone
             union all
            select n.*
              from iclock.copy_person(array[source_id], d.id, u.pin, false) as n
             where not r.gone) as c
     where d.site = coalesce($2, (select s.site from iclock.device s
                                   where s.id = source_id))
       and d.status = 'active' and d.id <> source_id
       and u.device_id = source_id
       and iclock.may_see(d.site, (select iclock.visible_sites()));
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
         where d.site = $1 and d.status = 'active' order by d.id);
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
    select c.*
      from unnest(members) as m (id)
     cross join (select distinct u.pin
                   from iclock.device_user u
                  where u.device_id = any (members)
                    and not exists (select from iclock.removed_person r
                                     where r.site = $1 and r.pin = u.pin))
                as people
     cross join lateral iclock.copy_person(array_remove(members, m.id), m.id,
                                           people.pin, false) as c;
end
$$;
comment on function iclock.sync_site(text) is
    'Makes every active terminal of a site hold the same people: all that any '
    'of them holds, the newest of each thing. Nobody is deleted';
grant execute on function iclock.sync_site(text) to iclock_operator;

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
     where d.site = $1
    having count(*) > 0
    on conflict on constraint removed_person_pkey do update
    set removed_at = now(), removed_by = excluded.removed_by,
        terminals = excluded.terminals;

    delete from iclock.share_backlog b
     using iclock.device d
     where d.id = b.target_id and d.site = $1 and b.pin = $2;

    select iclock.delete_user(d.serial_number, $2)
      from iclock.device d
     where d.site = $1 and d.status = 'active'
     order by d.id
$$;
comment on function iclock.delete_user_from_site(text, text) is
    'Deletes a user from every active terminal of a site. One that uploads '
    'the user later is told to delete it, until the user is put or enrolled '
    'anew: table removed_person';
grant execute on function iclock.delete_user_from_site(text, text)
    to iclock_operator;

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


-- the number in a field of a stored command
create or replace function iclock.stored_number(fields jsonb, key text,
                                                otherwise integer)
    returns integer
    -- no search_path, so that it can be inlined: called for every answer
    language sql immutable
as $$
    select case when fields ->> key ~ '^-?[0-9]{1,9}$'
                then (fields ->> key)::integer else otherwise end
$$;
comment on function iclock.stored_number(jsonb, text, integer) is
    'Number in a field of a stored command';

create or replace function iclock.stored_moment(fields jsonb, key text)
    returns timestamp
    -- no search_path, so that it can be inlined: called for every answer
    language sql stable
as $$
    select case
    when fields ->> key = '0' and key = 'startdatetime' then
        timestamp '-infinity'
    when fields ->> key = '0' then
        timestamp 'infinity'
    when fields ->> key
         ~ '^[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}$'
    then
        (fields ->> key)::timestamp
    end
$$;
comment on function iclock.stored_moment(jsonb, text) is
    'Time in a field of a stored command';

drop function if exists iclock.apply_command(bigint, text);

-- Notes what a device now holds, or no longer holds, when it has confirmed a
-- command; as the module would when the device reported it.  "part" limits it to
-- one table.
create or replace function iclock.apply_command(
        device_id  bigint,
        body       text,
        part       text default null)
    returns void
    language plpgsql
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    verb       constant text := split_part(body, ' ', 2);
    what       constant text := upper(split_part(body, ' ', 3));
    users      constant boolean := coalesce(part, 'user') = 'user';
    templates  constant boolean := coalesce(part, 'template') = 'template';
    photos     constant boolean := coalesce(part, 'photo') = 'photo';
    fields     jsonb;
    pin        text;
    content    bytea;
    kind       integer;
begin
    if body in ('CLEAR DATA', 'CLEAR ALL USERINFO', 'DATA DELETE USERINFO') then
        delete from iclock.device_user u where users and u.device_id = $1;
        delete from iclock.template t where templates and t.device_id = $1;
        delete from iclock.photo p
         where photos and p.device_id = $1 and p.kind in ('user', 'comparison');
        return;

    elsif body = 'CLEAR BIODATA' then
        delete from iclock.template t
         where t.device_id = $1 and t.source = 'BIODATA';
        return;
    end if;

    if not body ~ '^DATA (UPDATE|DELETE) ' or what not in (
        'USERINFO', 'FINGERTMP', 'FACE', 'FVEIN', 'BIODATA', 'USERPIC',
        'BIOPHOTO', 'WORKCODE')
    then
        return;
    end if;

    select coalesce(jsonb_object_agg(
               lower(split_part(f, '=', 1)),
               substr(f, strpos(f, '=') + 1)), '{}')
      into fields
      from unnest(string_to_array(
               substr(body, length('DATA ' || verb || ' ' || what) + 2),
               E'\t')) as f
     where strpos(f, '=') > 1;

    pin := fields ->> 'pin';
    kind := case what when 'FINGERTMP' then 1 when 'FACE' then 2
                      when 'FVEIN' then 7
                      else iclock.stored_number(fields, 'type', null) end;

    if verb = 'DELETE' then
        if what = 'USERINFO' then
            delete from iclock.device_user u
             where users and u.device_id = $1 and u.pin = fields ->> 'pin';
        elsif what = 'WORKCODE' then
            delete from iclock.work_code w
             where w.device_id = $1
               and (w.code = fields ->> 'code' or not fields ? 'code');
        end if;

        if what in ('USERINFO', 'FINGERTMP', 'FACE', 'FVEIN', 'BIODATA') then
            delete from iclock.template t
             where templates and t.device_id = $1
               and (t.pin = fields ->> 'pin' or not fields ? 'pin')
               and (t.type = kind or kind is null)
               and (t.no = coalesce(
                        iclock.stored_number(fields, 'fid', null),
                        iclock.stored_number(fields, 'no', null))
                    or not fields ?| array['fid', 'no']);
        end if;

        if what in ('USERINFO', 'USERPIC', 'BIOPHOTO') then
            delete from iclock.photo p
             where photos and p.device_id = $1 and p.pin = fields ->> 'pin'
               and p.pin <> ''
               and (p.kind = 'user' and what <> 'BIOPHOTO'
                    or p.kind = 'comparison' and what <> 'USERPIC');
        end if;
        return;
    end if;

    if what = 'WORKCODE' then
        insert into iclock.work_code as w (device_id, code, name, pin)
        values ($1, fields ->> 'code', coalesce(fields ->> 'name', ''),
                coalesce(pin, ''))
        on conflict on constraint work_code_pkey do update
        set name = excluded.name, pin = excluded.pin, updated_at = now();
        return;
    end if;

    if what = 'USERINFO' then
        insert into iclock.device_user as u (
            device_id, pin, name, privilege, password, card, access_group,
            time_zone, verify, vice_card, starts_at, ends_at)
        values ($1, pin, coalesce(fields ->> 'name', ''),
                iclock.stored_number(fields, 'pri', -1),
                coalesce(fields ->> 'passwd', ''),
                coalesce(fields ->> 'card', ''),
                iclock.stored_number(fields, 'grp', -1),
                coalesce(fields ->> 'tz', ''),
                coalesce(iclock.stored_number(fields, 'verify', null),
                         iclock.stored_number(fields, 'verifymode', -1)),
                coalesce(fields ->> 'vicecard', ''),
                iclock.stored_moment(fields, 'startdatetime'),
                iclock.stored_moment(fields, 'enddatetime'))
        on conflict on constraint device_user_pkey do update
        set name = excluded.name, privilege = excluded.privilege,
            password = excluded.password, card = excluded.card,
            access_group = excluded.access_group,
            time_zone = excluded.time_zone, verify = excluded.verify,
            vice_card = excluded.vice_card,
            starts_at = coalesce(excluded.starts_at, u.starts_at),
            ends_at = coalesce(excluded.ends_at, u.ends_at),
            updated_at = now()
        where (u.name, u.privilege, u.password, u.card, u.access_group,
               u.time_zone, u.verify, u.vice_card, u.starts_at, u.ends_at)
              is distinct from
              (excluded.name, excluded.privilege, excluded.password,
               excluded.card, excluded.access_group, excluded.time_zone,
               excluded.verify, excluded.vice_card,
               coalesce(excluded.starts_at, u.starts_at),
               coalesce(excluded.ends_at, u.ends_at));
        return;
    end if;

    content := decode(coalesce(fields ->> 'tmp', fields ->> 'content', ''),
                      'base64');
    if content = '' then
        return;
    end if;

    if what in ('USERPIC', 'BIOPHOTO') then
        insert into iclock.photo as p (device_id, kind, file_name, pin, type,
                                       content)
        values ($1, case what when 'USERPIC' then 'user' else 'comparison' end,
                pin || '.jpg', pin, coalesce(kind, -1), content)
        on conflict on constraint photo_pkey do update
        set content = excluded.content, received_at = now()
        where p.content <> excluded.content;
        return;
    end if;

    insert into iclock.template as t (
        device_id, pin, type, no, index, major_version, minor_version, format,
        valid, duress, source, data)
    values ($1, pin, kind,
            coalesce(iclock.stored_number(fields, 'fid', null),
                     iclock.stored_number(fields, 'no', 0)),
            iclock.stored_number(fields, 'index', 0),
            case what
            when 'FINGERTMP' then
                case when fields ->> 'tmp' like 'oco%' then 9 else 10 end
            when 'FACE' then 7
            when 'FVEIN' then 3
            else iclock.stored_number(fields, 'majorver', 0) end,
            iclock.stored_number(fields, 'minorver', 0),
            iclock.stored_number(fields, 'format', 0),
            iclock.stored_number(fields, 'valid', 1),
            iclock.stored_number(fields, 'duress', 0),
            case what when 'FINGERTMP' then 'FP' else what end,
            content)
    on conflict on constraint template_pkey do update
    set minor_version = excluded.minor_version, format = excluded.format,
        valid = excluded.valid, duress = excluded.duress,
        source = excluded.source, data = excluded.data, updated_at = now()
    where (t.minor_version, t.format, t.valid, t.duress, t.source, t.data)
          is distinct from
          (excluded.minor_version, excluded.format, excluded.valid,
           excluded.duress, excluded.source, excluded.data);
end
$$;
comment on function iclock.apply_command(bigint, text, text) is
    'Notes what a device holds after a command';

-- Notes what commands have done that were answered just now.  Rows are locked in
-- the order in which uploads lock them: photos, users, templates, and each of
-- these by their keys.
create or replace function iclock.apply_commands(commands bigint[])
    returns void
    language plpgsql
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    before   constant text := current_setting('iclock.applying', true);
    step     record;
    command  record;
begin
    for step in execute $query$
        with answered as materialized (
            select c.*
              from unnest($1) as a (id)
             cross join lateral
                   (select k.id, k.device_id, k.subject, k.deletes, k.status,
                           k.return_code
                      from iclock.command k
                     where k.id = a.id
                       and k.body ~ '^(DATA (UPDATE|DELETE)|CLEAR) '
                       and (k.deletes or k.cleared_at is null)
                     limit 1) as c
        ),
        done as materialized (
            select distinct a.device_id, d.id
              from answered a
             cross join lateral
                   iclock.done_commands(a.device_id, a.subject, a.deletes,
                                        a.id) as d (id)
             where a.status = 'done'
        )
        select p.place, p.part, d.device_id, d.id, c.subject,
               s.step[2] as pin,
               array(select case when n ~ '^[0-9]{1,9}$' then n::integer end
                       from unnest(s.step[4:7]) as n
                      where s.step[3] = 'template') as key
          from done d
         cross join lateral
               (select k.subject, k.deletes
                  from iclock.command k
                 where k.id = d.id
                 limit 1) as c
         cross join lateral
               (select string_to_array(c.subject, E'\t') as step) as s
         cross join (values (1, 'photo'), (2, 'user'), (3, 'template'),
                            (4, 'rest')) as p (place, part)
         where case
               when s.step[1] is distinct from 'user' then p.part = 'rest'
               when cardinality(s.step) > 2 then p.part = s.step[3]
               when c.deletes then p.part <> 'rest'
               else p.part = 'user'
               end
        union all
        -- whom the device has deleted; -10: it has no such user
        select 5, 'removal', a.device_id, a.id, a.subject,
               split_part(a.subject, E'\t', 2), '{}'
          from answered a
         where a.deletes
           and (a.status = 'done' or a.return_code = -10)
           and a.subject ~ E'^user(\t[^\t]+)?$'
         order by place, device_id, pin nulls first, key, id
        $query$
      using $1
    loop
        if step.part = 'removal' then
            perform iclock.note_removal(step.device_id, step.subject);
            continue;
        end if;

        execute 'select c.body, c.copied from iclock.command c where c.id = $1'
           into command
          using step.id;

        perform set_config('iclock.applying',
                           case when command.copied then 'on'
                           else coalesce(before, '') end, true);

        -- whatever somebody queued by hand: the answer counts all the same
        begin
            perform iclock.apply_command(step.device_id, command.body,
                                         nullif(step.part, 'rest'));
        exception when data_exception or integrity_constraint_violation
                       or program_limit_exceeded then
            null;
        end;

        perform set_config('iclock.applying', coalesce(before, ''), true);
    end loop;
end
$$;
comment on function iclock.apply_commands(bigint[]) is
    'Notes what devices hold, or no longer hold, after commands that were '
    'answered';
