-- People on many terminals: what of a person is copied to which terminal.

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

-- Whether an upload only repeats what the terminal got: while the copy is under
-- way, and for ten minutes after it.  An upload of what a command is deleting
-- there, or of a part of that, goes no further either.
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

create or replace function iclock.is_former(u iclock.device_user)
    returns boolean
    language plpgsql stable
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    leaving  bigint[];
    untils   timestamptz[];
begin
    select array_agg(l.device_id), array_agg(l.until) into leaving, untils
      from iclock.people_leaving(array[u.device_id], u.pin) as l;

    return iclock.is_former(u.device_id, iclock.subject_of(u), u.updated_at,
                            leaving, untils);
end
$$;
comment on function iclock.is_former(iclock.device_user) is
    'Whether the record of a user that a device holds is of somebody whom it '
    'was to delete';


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


-- Whether there is a template of a person that a terminal can certainly use:
-- the terminal gets that then instead of a photo, out of which it would have to
-- make a template.
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


-- Queues one copy, unless the same waits already.  It takes no lock for that:
-- if two queue one at the same time, the newer command supersedes the other.
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

drop function if exists iclock.copy_person(bigint[], bigint, text, boolean);

-- Sends a person to one terminal: the newest of each thing that the terminals
-- among "sources" hold.  Unless all of it is wanted, only what is missing there
-- or older.  "leaving" and "until" are what people_leaving() says of them and of
-- that one: what it has yet to delete it does not have.
create or replace function iclock.copy_person(
        sources    bigint[],
        target_id  bigint,
        pin        text,
        all_of_it  boolean,
        leaving    bigint[]       default null,
        until      timestamptz[]  default null)
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
    clean   constant bigint[] := case when $5 is null then $1 else
        array(select s.id from unnest($1) as s (id) where s.id <> all ($5)) end;
begin
    select d.* into target from iclock.device d where d.id = $2;
    serial_number := target.serial_number;

    select u.* into known
      from iclock.device_user u
     where u.device_id = any ($1) and u.pin = $3
       and ($5 is null
            or u.device_id <> all ($5)
            or not iclock.is_former(u.device_id, iclock.subject_of(u),
                                    u.updated_at, $5, $6))
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

    if $2 = any ($5)
       and iclock.is_former($2, iclock.subject_of(mine), mine.updated_at, $5,
                            $6)
    then
        -- the limits of the former are taken back, should the deletion fail
        mine.pin := null;
        mine.starts_at := case when mine.starts_at is not null
                               then '-infinity'::timestamp end;
        mine.ends_at := case when mine.ends_at is not null
                             then 'infinity'::timestamp end;
    end if;

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
                   and ($5 is null
                        or t.device_id <> all ($5)
                        or not iclock.is_former(t.device_id,
                                   iclock.subject_of(t), t.updated_at, $5,
                                   $6))
                 order by t.type, t.no, t.index, t.major_version,
                          t.updated_at desc, t.device_id) as s
          left join iclock.template m
                 on m.device_id = $2 and m.pin = $3 and m.type = s.type
                and m.no = s.no and m.index = s.index
                and m.major_version = s.major_version
         where $4 or m.pin is null
            or m.updated_at <= s.updated_at and m.data <> s.data
            or $2 = any ($5)
               and iclock.is_former($2, iclock.subject_of(m), m.updated_at,
                                    $5, $6)
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
                   and ($5 is null
                        or p.device_id <> all ($5)
                        or not iclock.is_former(p.device_id,
                                   iclock.subject_of(p), p.received_at, $5,
                                   $6))
                 order by p.kind desc, p.type, p.received_at desc,
                          p.device_id) as s
         where $4
            or not exists (
                   select from iclock.photo m
                    where m.device_id = $2 and m.pin = $3 and m.kind = s.kind
                      and m.type in (s.type, greatest(s.type, 0))
                      and (m.content = s.content
                           or m.received_at > s.received_at)
                      and ($5 is null
                           or $2 <> all ($5)
                           or not iclock.is_former($2, iclock.subject_of(m),
                                                   m.received_at, $5, $6)))
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

        elsif iclock.has_template(p.type, clean, target, $3) then
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
comment on function iclock.copy_person(bigint[], bigint, text, boolean,
    bigint[], timestamptz[]) is
    'Sends a person to a terminal: the newest of each thing that other '
    'terminals hold';
