-- What commands leave on a device.

-- When a device has confirmed a command to keep or to delete something, this
-- notes what the device holds now: most firmware does not report it.  A copy
-- that the fleet functions sent must not set off further copies.
create or replace function iclock.command_applied()
    returns trigger
    language plpgsql security definer
    set search_path = pg_catalog, iclock, pg_temp
as $$
begin
    -- else answer_commands() does it for all that it has stored
    if current_setting('iclock.answering', true) is distinct from 'on' then
        perform iclock.apply_commands(array[new.id]);
    end if;
    return null;
end
$$;
comment on function iclock.command_applied() is
    'Trigger: notes what a device has confirmed to keep or to have deleted';


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

-- What apply_command() calls, with its search_path.
create or replace function iclock.apply_deletion(
        device_id  bigint,
        what       text,
        fields     jsonb,
        kind       integer,
        part       text)
    returns void
    language plpgsql
as $$
begin
    if what = 'USERINFO' and coalesce(part, 'user') = 'user' then
        delete from iclock.device_user u
         where u.device_id = $1 and u.pin = fields ->> 'pin';
    end if;

    if what = 'WORKCODE' then
        delete from iclock.work_code w
         where w.device_id = $1
           and (w.code = fields ->> 'code' or not fields ? 'code');
    end if;

    if what in ('USERINFO', 'FINGERTMP', 'FACE', 'FVEIN', 'BIODATA')
       and coalesce(part, 'template') = 'template'
    then
        delete from iclock.template t
         where t.device_id = $1
           and (t.pin = fields ->> 'pin' or not fields ? 'pin')
           and (t.type = kind or kind is null)
           and (t.no = coalesce(
                    iclock.stored_number(fields, 'fid', null),
                    iclock.stored_number(fields, 'no', null))
                or not fields ?| array['fid', 'no']);
    end if;

    if what in ('USERINFO', 'USERPIC', 'BIOPHOTO')
       and coalesce(part, 'photo') = 'photo'
    then
        delete from iclock.photo p
         where p.device_id = $1 and p.pin = fields ->> 'pin' and p.pin <> ''
           and (p.kind = 'user' and what <> 'BIOPHOTO'
                or p.kind = 'comparison' and what <> 'USERPIC');
    end if;
end
$$;
comment on function iclock.apply_deletion(bigint, text, jsonb, integer, text) is
    'Notes what a device no longer holds after a command';

create or replace function iclock.apply_user(device_id bigint, fields jsonb)
    returns void
    language plpgsql
as $$
begin
    insert into iclock.device_user as u (
        device_id, pin, name, privilege, password, card, access_group,
        time_zone, verify, vice_card, starts_at, ends_at)
    values ($1, fields ->> 'pin', coalesce(fields ->> 'name', ''),
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
end
$$;
comment on function iclock.apply_user(bigint, jsonb) is
    'Notes a user that a device holds after a command';

create or replace function iclock.apply_photo(
        device_id  bigint,
        what       text,
        fields     jsonb,
        kind       integer,
        content    bytea)
    returns void
    language plpgsql
as $$
begin
    insert into iclock.photo as p (device_id, kind, file_name, pin, type,
                                   content)
    values ($1, case what when 'USERPIC' then 'user' else 'comparison' end,
            fields ->> 'pin' || '.jpg', fields ->> 'pin', coalesce(kind, -1),
            content)
    on conflict on constraint photo_pkey do update
    set content = excluded.content, received_at = now()
    where p.content <> excluded.content;
end
$$;
comment on function iclock.apply_photo(bigint, text, jsonb, integer, bytea) is
    'Notes a photo that a device holds after a command';

create or replace function iclock.apply_template(
        device_id  bigint,
        what       text,
        fields     jsonb,
        kind       integer,
        content    bytea)
    returns void
    language plpgsql
as $$
begin
    insert into iclock.template as t (
        device_id, pin, type, no, index, major_version, minor_version, format,
        valid, duress, source, data)
    values ($1, fields ->> 'pin', kind,
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
comment on function iclock.apply_template(bigint, text, jsonb, integer, bytea) is
    'Notes a template that a device holds after a command';

-- Notes what a device now holds, or no longer holds, when it has confirmed a
-- command, as if the device had reported it.  "part" limits this to one table.
create or replace function iclock.apply_command(
        device_id  bigint,
        body       text,
        part       text default null)
    returns void
    language plpgsql
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    verb     constant text := split_part(body, ' ', 2);
    what     constant text := upper(split_part(body, ' ', 3));
    fields   jsonb;
    content  bytea;
    kind     integer;
begin
    if body in ('CLEAR DATA', 'CLEAR ALL USERINFO', 'DATA DELETE USERINFO') then
        delete from iclock.device_user u
         where coalesce(part, 'user') = 'user' and u.device_id = $1;
        delete from iclock.template t
         where coalesce(part, 'template') = 'template' and t.device_id = $1;
        delete from iclock.photo p
         where coalesce(part, 'photo') = 'photo'
           and p.device_id = $1 and p.kind in ('user', 'comparison');
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

    kind := case what when 'FINGERTMP' then 1 when 'FACE' then 2
                      when 'FVEIN' then 7
                      else iclock.stored_number(fields, 'type', null) end;

    if verb = 'DELETE' then
        perform iclock.apply_deletion($1, what, fields, kind, part);
        return;

    elsif what = 'USERINFO' then
        perform iclock.apply_user($1, fields);
        return;

    elsif what = 'WORKCODE' then
        insert into iclock.work_code as w (device_id, code, name, pin)
        values ($1, fields ->> 'code', coalesce(fields ->> 'name', ''),
                coalesce(fields ->> 'pin', ''))
        on conflict on constraint work_code_pkey do update
        set name = excluded.name, pin = excluded.pin, updated_at = now();
        return;
    end if;

    content := decode(coalesce(fields ->> 'tmp', fields ->> 'content', ''),
                      'base64');
    if content = '' then
        return;

    elsif what in ('USERPIC', 'BIOPHOTO') then
        perform iclock.apply_photo($1, what, fields, kind, content);

    else
        perform iclock.apply_template($1, what, fields, kind, content);
    end if;
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
                -- it has no such user: nothing of the user, either
                or a.deletes and a.return_code = -10
                   and a.subject ~ E'^user\t[^\t]+$'
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
