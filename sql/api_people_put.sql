-- Operations of the API that put people on terminals.  The functions of
-- commands_people.sql make the commands; table person keeps what no terminal
-- knows.

-- What a body may say of a user
create or replace function iclock_api.user_members()
    returns text[]
    language sql immutable
    set search_path = pg_catalog, pg_temp
as $$
    select array['name:string', 'department:string', 'card:string,number',
                 'privilege:number', 'password:string,number', 'group:number',
                 'valid_from:string', 'valid_until:string', 'templates:array',
                 'photo:string']
$$;
comment on function iclock_api.user_members() is
    'Members that a user has in a body, besides user_id';

-- Base64 as most write it, or that of URLs, which needs no padding.  NULL if
-- something is missing or wrong: what is decoded has to be what was encoded.
create or replace function iclock_api.content(value text)
    returns bytea
    language plpgsql immutable
    set search_path = pg_catalog, pg_temp
as $$
declare
    text     constant text := translate($1, E' \r\n\t', '');
    content  bytea;
begin
    if text ~ '[-_]' then
        content := decode(rpad(translate(rtrim(text, '='), '-_', '+/'),
                               (length(rtrim(text, '=')) + 3) / 4 * 4, '='),
                          'base64');
        return case when translate(encode(content, 'base64'), E'+/=\n', '-_')
                         = rtrim(text, '=') then content end;
    end if;

    content := decode(text, 'base64');
    return case when translate(encode(content, 'base64'), E'\n', '') = text
                 and text <> '' then content end;

exception when data_exception then
    return null;
end
$$;
comment on function iclock_api.content(text) is
    'What a base64 text stands for; NULL: it is damaged or empty';

-- A time as clocks of a zone show it.  A date alone begins then, or ends.
create or replace function iclock_api.local(
        value     text,
        timezone  text,
        ending    boolean)
    returns timestamp
    language plpgsql stable
    set search_path = pg_catalog, pg_temp
    set datestyle = 'ISO'
as $$
begin
    if $1 ~ '^\d{4}-\d\d-\d\d$' then
        return $1::timestamp
               + case when $3 then interval '23:59:59' else '0' end;

    elsif $1 ~ '^\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d{1,9})?)?$' then
        return date_trunc('second', $1::timestamp);

    elsif $1 ~ ('^\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d{1,9})?)?'
                '(Z|[+-]\d\d:\d\d)$')
    then
        return date_trunc('second', timezone($2, $1::timestamptz));
    end if;
    return null;

exception when data_exception then
    return null;
end
$$;
comment on function iclock_api.local(text, text, boolean) is
    'A time of a body as local time; NULL: it is none';

-- What is wrong with a template: pairs of a member and what is wrong.
create or replace function iclock_api.template_faults(
        template  jsonb,
        pointer   text)
    returns jsonb
    language plpgsql stable
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    kind     constant text := template ->> 'type';
    most     constant integer := case kind when 'fingerprint' then 20000
                                      else 100000 end;
    content  bytea;
    faults   jsonb := '[]';
begin
    perform iclock_api.members(template, array[
        'type:string', 'data:string', 'index:number',
        'version:string,number'], pointer);

    if kind is null
       or kind not in ('fingerprint', 'face', 'palm', 'vein')
    then
        faults := faults || jsonb_build_object('pointer', pointer || '/type',
            'detail', 'is none of fingerprint, face, palm, vein');
    end if;

    content := iclock_api.content(template ->> 'data');
    if content is null then
        faults := faults || jsonb_build_object('pointer', pointer || '/data',
            'detail', 'is not base64, or damaged');
    elsif octet_length(content) > most then
        faults := faults || jsonb_build_object('pointer', pointer || '/data',
            'detail', format('has more than %s bytes', most));
    end if;

    if template ->> 'index' !~ '^[0-9]{1,2}$'
       or (template ->> 'index')::numeric
          > (case kind when 'fingerprint' then 10 when 'vein' then 9
                       else 99 end)
    then
        faults := faults || jsonb_build_object('pointer', pointer || '/index',
            'detail', 'is no number of a finger or template');
    end if;

    if template ->> 'version' !~ '^[0-9]{1,4}([.][0-9]{1,4})?$' then
        faults := faults || jsonb_build_object('pointer',
            pointer || '/version', 'detail', 'is no version such as 10.0');
    end if;

    return faults;
end
$$;
comment on function iclock_api.template_faults(jsonb, text) is
    'What is wrong with a template of a body: [{pointer, detail}]';

-- What is wrong with a user: so that nothing has been done when a client is told,
-- of all users at once.
create or replace function iclock_api.user_faults(
        given    jsonb,
        pointer  text)
    returns jsonb
    language plpgsql stable
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    faults  jsonb := '[]';
    fault   record;
begin
    for fault in
        select f.member, f.detail
          from (values
            ('user_id', not iclock_api.is_pin(given ->> 'user_id'),
             'is no PIN of 1 to 24 characters without blanks'),
            ('name', not iclock.is_line_text(given ->> 'name', 200),
             'is longer than 200 bytes or has control characters'),
            ('department', not iclock.is_line_text(given ->> 'department', 200),
             'is longer than 200 bytes or has control characters'),
            ('card', given ->> 'card'
                     !~ '^([0-9]{0,20}|\[[0-9A-Fa-f]{0,20}\])$',
             'is no number of a card'),
            ('privilege', given ->> 'privilege' !~ '^([0-9]|1[0-4])$',
             'is not between 0 and 14'),
            ('password', not iclock.is_line_text(given ->> 'password', 100),
             'is longer than 100 bytes or has control characters'),
            ('group', given ->> 'group'
                      !~ '^([0-9]|[1-9][0-9]|1[0-9][0-9]|2[0-4][0-9]|25[0-5])$',
             'is not between 0 and 255'),
            ('valid_from', given ->> 'valid_from' is not null
                 and iclock_api.local(given ->> 'valid_from', 'UTC', false)
                     is null,
             'is no time such as 2026-03-27T08:30:00+05:30'),
            ('valid_until', given ->> 'valid_until' is not null
                 and iclock_api.local(given ->> 'valid_until', 'UTC', true)
                     is null,
             'is no time such as 2026-03-27T08:30:00+05:30'),
            ('valid_until',
             iclock_api.local(given ->> 'valid_until', 'UTC', true)
             < iclock_api.local(given ->> 'valid_from', 'UTC', false),
             'is before "valid_from"'),
            ('photo', given ->> 'photo' is not null
                 and coalesce(octet_length(iclock_api.content(
                         given ->> 'photo')), 5000001) > 5000000,
             'is not base64, damaged, or larger than 5000000 bytes'))
               as f (member, wrong, detail)
         where f.wrong
    loop
        faults := faults || jsonb_build_object(
            'pointer', pointer || '/' || fault.member,
            'detail', fault.detail);
    end loop;

    if given -> 'templates' is null or given -> 'templates' = 'null' then
        return faults;
    end if;

    if jsonb_array_length(given -> 'templates') > 100 then
        return faults || jsonb_build_object('pointer', pointer || '/templates',
                                            'detail', 'are more than 100');
    end if;

    for fault in
        select t.template, pointer || '/templates/' || t.ord - 1 as place,
               count(*) over (partition by t.template -> 'type',
                              coalesce(t.template -> 'index', '0')
                              order by t.ord) > 1 as again
          from jsonb_array_elements(given -> 'templates') with ordinality
               as t (template, ord)
         order by t.ord
    loop
        faults := faults || iclock_api.template_faults(fault.template,
                                                       fault.place);
        if fault.again then
            faults := faults || jsonb_build_object('pointer',
                fault.place || '/index', 'detail', 'comes twice');
        end if;
    end loop;

    return faults;
end
$$;
comment on function iclock_api.user_faults(jsonb, text) is
    'What is wrong with a user of a body: [{pointer, detail}]';

create or replace function iclock_api.is_pin(value text)
    returns boolean
    language sql immutable
    set search_path = pg_catalog, iclock, pg_temp
as $$
    select coalesce($1 ~ '^\S{1,24}$' and iclock.is_line_text($1, 100), false)
$$;
comment on function iclock_api.is_pin(text) is
    'Whether a text can be the PIN of a user';


-- Where users are to be put

create or replace function iclock_api.targets(request jsonb)
    returns iclock.device[]
    language plpgsql stable
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    body     constant jsonb := jsonb_strip_nulls(request -> 'body');
    devices  iclock.device[];
begin
    if (body ? 'device_id')::integer + (body ? 'device_ids')::integer
       + (body ? 'site')::integer <> 1
    then
        perform iclock_api.wrong('#/device_id',
            'exactly one of device_id, device_ids and site says where');
    end if;

    if body ? 'device_id' then
        return array[iclock_api.find_device(request, body ->> 'device_id')];

    elsif body ? 'device_ids' then
        if jsonb_array_length(body -> 'device_ids') not between 1 and 1000 then
            perform iclock_api.wrong('#/device_ids',
                                     'are not between 1 and 1000');
        end if;

        return array(
            select iclock_api.find_device(request, s.serial)
              from (select e.value as serial, min(e.ordinality) as ord
                      from jsonb_array_elements_text(body -> 'device_ids')
                           with ordinality as e
                     group by e.value) as s
             order by s.ord);
    end if;

    select array_agg(d order by d.serial_number) into devices
      from iclock.device d
     where d.site = body ->> 'site'
       and d.status = 'active'
       and iclock_api.visible(d, request);

    if devices is null then
        perform iclock_api.fail(404, 'not_found',
            format('there is no device at a site "%s"', body ->> 'site'));
    end if;
    return devices;
end
$$;
comment on function iclock_api.targets(jsonb) is
    'Devices that device_id, device_ids or site of a body name';

-- Why a terminal cannot have a user; NULL: it can, or may.
create or replace function iclock_api.impossible(d iclock.device, pin text)
    returns text
    language plpgsql stable
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    width    text;
    letters  text;
begin
    if d.status = 'blocked' then
        return 'the terminal is blocked';
    end if;

    select max(o.value) filter (where o.name = 'PIN2Width'),
           max(o.value) filter (where o.name = 'IsSupportABCPin')
      into width, letters
      from iclock.device_option o
     where o.device_id = d.id
       and o.name in ('PIN2Width', 'IsSupportABCPin');

    if width ~ '^[1-9][0-9]?$' and length($2) > width::integer then
        return format('the terminal takes PINs of at most %s characters',
                      width);
    elsif letters = '0' and $2 !~ '^[0-9]+$' then
        return 'the terminal takes PINs of digits only';
    end if;
    return null;
end
$$;
comment on function iclock_api.impossible(iclock.device, text) is
    'Why a terminal cannot have a user with this PIN; NULL: it can or may';

-- What a terminal is still to be told of a user: put_user() goes by what it has
-- reported.  NULL: nothing.
create or replace function iclock_api.waiting_user(
        device_id  bigint,
        pin        text)
    returns jsonb
    language plpgsql
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    last    record;
    fields  jsonb;
begin
    -- planned each time: by the number of commands that there are now
    execute $query$
        select c.body, c.cleared_at,
               -- this one, or a newer one
               c.deletes
               or exists (select
                            from unnest(iclock.subjects_above(c.subject)
                                        || c.subject) as s (subject)
                           cross join lateral
                                 (select
                                    from iclock.command n
                                   where n.device_id = $1
                                     and n.subject = s.subject
                                     and n.deletes
                                     and n.status <> 'cancelled'
                                     and (n.status <> 'queued'
                                          or n.not_before is null
                                          or n.not_before <= now())
                                     and 0 - n.id < 0 - c.id
                                   order by 0 - n.id
                                   limit (select 1)) as n) as deletes
          from iclock.command c
         where c.device_id = $1
           and c.subject = E'user\t' || $2
           and c.finished_at is null
         order by - c.id
         limit (select 1)
        $query$
       into last
      using $1, $2;

    if last.body is null or last.deletes or last.cleared_at is not null
       or not starts_with(last.body, 'DATA UPDATE USERINFO ')
    then
        return null;
    end if;

    select jsonb_object_agg(lower(split_part(f, '=', 1)),
                            substr(f, strpos(f, '=') + 1))
      into fields
      from unnest(string_to_array(substr(last.body,
                      length('DATA UPDATE USERINFO ') + 1), E'\t')) as f
     where strpos(f, '=') > 1;

    return fields;
end
$$;
comment on function iclock_api.waiting_user(bigint, text) is
    'Fields of the command that waits to put a user on a terminal';

-- Type, versions and form of a template on a terminal.  What the client does not
-- say is as the terminal has it.
create or replace function iclock_api.template_for(
        d         iclock.device,
        template  jsonb)
    returns iclock.template
    language plpgsql stable
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    kind     constant text := template ->> 'type';
    version  text          := template ->> 'version';
    t        iclock.template;
begin
    -- near infrared faces have versions up to 12, visible ones are far above
    t.type := case kind
        when 'fingerprint' then 1
        when 'vein' then 7
        when 'palm' then case
            when coalesce(iclock.algorithm_version(d.id, 8), '0') = '0'
             and coalesce(iclock.algorithm_version(d.id, 6), '0') <> '0' then 6
            else 8 end
        else case
            when version is not null then
                case when split_part(version, '.', 1)::integer > 12 then 9
                     else 2 end
            when coalesce(iclock.algorithm_version(d.id, 9), '0') <> '0'
              or iclock.algorithm_version(d.id, 2) = '0' then 9
            else 2 end
        end;

    version := coalesce(version,
        nullif(substring(iclock.algorithm_version(d.id, t.type)
                         from '^[0-9]{1,4}(?:[.][0-9]{1,4})?'), '0'),
        case t.type when 1 then '10' when 2 then '7' when 7 then '3'
                    else '0' end);

    t.major_version := split_part(version, '.', 1);
    t.minor_version := coalesce(nullif(split_part(version, '.', 2), ''), '0');
    t.no := coalesce(template ->> 'index', '0');
    t.source := case when t.type = 1 and t.major_version in (9, 10) then 'FP'
                     when t.type = 2 then 'FACE'
                     when t.type = 7 then 'FVEIN'
                     else 'BIODATA' end;
    return t;
end
$$;
comment on function iclock_api.template_for(iclock.device, jsonb) is
    'What a template of a body is for a terminal, without its content';

-- Puts a user on terminals; what a terminal cannot take is skipped.
create or replace function iclock_api.put_person(
        given         jsonb,
        pin           text,
        devices       iclock.device[],
        out commands  bigint[],
        out skipped   jsonb,
        out taken     iclock.device[])
    language plpgsql
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    -- null takes a value back
    cleared  constant jsonb := jsonb_build_object(
        'name', '', 'card', '', 'password', '', 'valid_from', '-infinity',
        'valid_until', 'infinity');
    user_of  constant boolean := given ?| array[
        'name', 'card', 'privilege', 'password', 'group', 'valid_from',
        'valid_until'];
    wanted   jsonb;
    d        iclock.device;
    waiting  jsonb;
    known    boolean;
    reason   text;
    item     record;
    t        iclock.template;
begin
    commands := '{}';
    skipped := '[]';
    taken := '{}';

    select given || coalesce(jsonb_object_agg(c.key, c.value), '{}')
      into wanted
      from jsonb_each(cleared) as c
     where given -> c.key = 'null';

    foreach d in array devices loop
        reason := iclock_api.impossible(d, pin);
        if reason is not null then
            skipped := skipped || jsonb_build_object(
                'device_id', d.serial_number, 'what', 'user',
                'reason', reason);
            continue;
        end if;

        taken := taken || d;
        known := exists (select from iclock.device_user u
                          where u.device_id = d.id and u.pin = $2
                            and not iclock.is_former(u));
        waiting := iclock_api.waiting_user(d.id, $2);

        -- templates are of a user that the terminal knows
        if user_of or not known and waiting is null then
            commands := commands || iclock.put_user(
                d.serial_number, $2,
                coalesce(wanted ->> 'name', waiting ->> 'name',
                    case when not known then
                        (select p.name
                           from iclock.person p
                          where p.pin = $2 and p.site = coalesce(d.site, '')
                            and p.sandbox = d.sandbox
                            and p.removed_at is null) end),
                coalesce((wanted ->> 'privilege')::integer,
                         iclock.stored_number(waiting, 'pri', null)),
                coalesce(wanted ->> 'password', waiting ->> 'passwd'),
                coalesce(wanted ->> 'card', waiting ->> 'card'),
                coalesce((wanted ->> 'group')::integer,
                         iclock.stored_number(waiting, 'grp', null)),
                nullif(waiting ->> 'tz', ''),
                coalesce(iclock.stored_number(waiting, 'verify', null),
                         iclock.stored_number(waiting, 'verifymode', null)),
                waiting ->> 'vicecard',
                coalesce(
                    case when wanted ->> 'valid_from' = '-infinity'
                         then timestamp '-infinity'
                         when wanted ->> 'valid_from' is not null
                         then iclock_api.local(wanted ->> 'valid_from',
                                  iclock.zone_of(d), false) end,
                    iclock.stored_moment(waiting, 'startdatetime')),
                coalesce(
                    case when wanted ->> 'valid_until' = 'infinity'
                         then timestamp 'infinity'
                         when wanted ->> 'valid_until' is not null
                         then iclock_api.local(wanted ->> 'valid_until',
                                  iclock.zone_of(d), true) end,
                    iclock.stored_moment(waiting, 'enddatetime')));
        end if;

        for item in
            select e.value as template, iclock_api.content(
                       e.value ->> 'data') as content
              from jsonb_array_elements(
                       coalesce(nullif(given -> 'templates', 'null'), '[]'))
                   with ordinality as e
             order by e.ordinality
        loop
            t := iclock_api.template_for(d, item.template);
            reason := coalesce(iclock.unusable(t, d), case
                when t.source = 'FP' and t.no > 9 and d.dialect <> '3.2'
                then 'the terminal numbers fingers from 0 to 9' end);

            if reason is not null then
                skipped := skipped || jsonb_build_object(
                    'device_id', d.serial_number,
                    'what', format('%s %s', item.template ->> 'type', t.no),
                    'reason', reason);
                continue;
            end if;

            commands := commands || case t.source
                when 'FP' then iclock.put_fingerprint(
                    d.serial_number, $2, t.no, item.content)
                when 'FACE' then iclock.put_face(
                    d.serial_number, $2, t.no, item.content)
                when 'FVEIN' then iclock.put_finger_vein(
                    d.serial_number, $2, t.no, 0, item.content)
                else iclock.put_template(
                    d.serial_number, $2, t.type, item.content, no => t.no,
                    major_version => t.major_version,
                    minor_version => t.minor_version) end;
        end loop;

        if given ->> 'photo' is not null then
            commands := commands || iclock.put_photo(
                d.serial_number, $2, iclock_api.content(given ->> 'photo'));
        end if;
    end loop;
end
$$;
comment on function iclock_api.put_person(jsonb, text, iclock.device[]) is
    'Queues what puts a user of a body on terminals, says what they cannot '
    'take, and which of them take the user';

-- What only putting shows: that a limit does not go with the other one that a
-- terminal has, or is none that terminals know.
create or replace function iclock_api.put_fault(message text, pointer text)
    returns jsonb
    language sql immutable
    set search_path = pg_catalog, pg_temp
as $$
    select jsonb_build_array(jsonb_build_object(
               'pointer', $2 || coalesce('/' || case m.parts[1]
                   when 'starts_at' then 'valid_from'
                   when 'ends_at' then 'valid_until'
                   when 'access_group' then 'group'
                   else m.parts[1] end, ''),
               'detail', coalesce(replace(m.parts[2], '"starts_at"',
                                          '"valid_from"'), $1)))
      from (select regexp_match($1, '^argument "([a-z_]+)" (.*)$') as parts)
           as m
$$;
comment on function iclock_api.put_fault(text, text) is
    'The message of a function that puts a user, as what is wrong with a user '
    'of a body: [{pointer, detail}]';

create or replace function iclock_api.refuse_user(message text, pointer text)
    returns void
    language plpgsql immutable
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    faults  constant jsonb := iclock_api.put_fault($1, $2);
begin
    perform iclock_api.fail(422, 'invalid',
        btrim(format('%s %s', substr(faults #>> '{0,pointer}', 3),
                     faults #>> '{0,detail}')), faults);
end
$$;
comment on function iclock_api.refuse_user(text, text) is
    'Ends an operation by the message of a function that puts a user';

-- The master records, at the sites of these terminals: name and department where
-- they are given.
create or replace function iclock_api.note_persons(
        given    jsonb[],
        pins     text[],
        devices  iclock.device[])
    returns void
    language sql
    set search_path = pg_catalog, iclock, pg_temp
as $$
    insert into iclock.person (site, pin, sandbox, name, department)
    select s.site, u.pin, s.sandbox, nullif(u.given ->> 'name', ''),
           nullif(u.given ->> 'department', '')
      from (select distinct coalesce(d.site, '') as site, d.sandbox
              from unnest($3) as d) as s
     cross join unnest($1, $2) as u (given, pin)
     order by u.pin collate "C", s.site collate "C"
    on conflict on constraint person_pkey do nothing;

    -- Who changes several waits for others who do, in the same order.  Who was
    -- removed begins anew.
    with news as materialized (
        select p.site, p.pin, p.sandbox, u.given
          from (select distinct coalesce(d.site, '') as site, d.sandbox
                  from unnest($3) as d) as s
         cross join unnest($1, $2) as u (given, pin)
          join iclock.person p on p.pin = u.pin and p.site = s.site
                              and p.sandbox = s.sandbox
         where p.removed_at is not null
            or u.given ? 'name'
               and p.name is distinct from nullif(u.given ->> 'name', '')
            or u.given ? 'department'
               and p.department
                   is distinct from nullif(u.given ->> 'department', '')
         order by p.pin collate "C", p.site collate "C", p.sandbox
           for no key update of p)
    update iclock.person p
       set name = case when u.given ? 'name'
                       then nullif(u.given ->> 'name', '')
                       when p.removed_at is null then p.name end,
           department = case when u.given ? 'department'
                             then nullif(u.given ->> 'department', '')
                             when p.removed_at is null then p.department end,
           removed_at = null,
           updated_at = now()
      from news as u
     where p.pin = u.pin and p.site = u.site and p.sandbox = u.sandbox
$$;
comment on function iclock_api.note_persons(jsonb[], text[], iclock.device[])
    is
    'Keeps names and departments of users of a body';

create or replace function iclock_api.users_create(request jsonb)
    returns iclock_api.reply
    language plpgsql
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    body     constant jsonb := request -> 'body';
    pin      constant text  := body ->> 'user_id';
    devices  iclock.device[];
    faults   jsonb;
    put      record;
    message  text;
begin
    perform iclock_api.parameters(request, '{}'),
            iclock_api.members(body, iclock_api.user_members() || array[
                'user_id:string,number', 'device_id:string',
                'device_ids:array', 'site:string']);

    faults := iclock_api.user_faults(body, '#');
    if faults <> '[]' then
        perform iclock_api.fail(422, 'invalid',
            format('%s %s', substr(faults #>> '{0,pointer}', 3),
                   faults #>> '{0,detail}'), faults);
    end if;

    devices := iclock_api.targets(request);

    begin
        select p.* into put
          from iclock_api.put_person(body, pin, devices) as p;
    exception when invalid_parameter_value then
        get stacked diagnostics message = message_text;
        perform iclock_api.refuse_user(message, '#');
    end;

    perform iclock_api.note_persons(array[body], array[pin], put.taken);

    return iclock_api.reply(201, json_build_object(
        'user_id', pin,
        'status', case when put.commands = '{}' then 'failed'
                       else 'pending' end,
        'commands', iclock_api.command_list(put.commands),
        'skipped', put.skipped),
        jsonb_build_object('Location', concat(request ->> 'base', '/users/',
                                              iclock_api.escape(pin))),
        iclock_api.wait(request, put.commands));
end
$$;
comment on function iclock_api.users_create(jsonb) is 'POST /users';

-- All or nothing: the client is told what is wrong with all of them.  "partial":
-- what is right is done.
create or replace function iclock_api.users_batch(request jsonb)
    returns iclock_api.reply
    language plpgsql
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    body      constant jsonb   := request -> 'body';
    most      constant integer := coalesce((request ->> 'batch_max')::integer,
                                           1000);
    partial   boolean;
    devices   iclock.device[];
    given     record;
    faults    jsonb;
    errors    jsonb    := '[]';
    results   json[]   := '{}';
    commands  bigint[] := '{}';
    items     jsonb[]  := '{}';
    pins      text[]   := '{}';
    place     text;
    put       record;
    detail    text;
begin
    perform iclock_api.parameters(request, '{}'),
            iclock_api.members(body, '{device_id:string,device_ids:array,'
                                     'site:string,users:array,'
                                     'partial:boolean}');

    partial := coalesce((body ->> 'partial')::boolean, false);

    if coalesce(jsonb_typeof(body -> 'users'), 'null') = 'null'
       or jsonb_array_length(body -> 'users') not between 1 and most
    then
        perform iclock_api.wrong('#/users',
            format('are not between 1 and %s users', most));
    end if;

    devices := iclock_api.targets(request);

    -- what a statement can do before nginx gives it up
    if cardinality(devices) * jsonb_array_length(body -> 'users') > 10000 then
        perform iclock_api.wrong('#/users', format(
            'are too many for %s devices at once: users times devices are '
            'limited to 10000', cardinality(devices)));
    end if;

    -- no user is put before all have been looked at
    for given in
        select u.value as item, '#/users/' || u.ordinality - 1 as place,
               u.value ->> 'user_id' as pin,
               count(*) over (partition by u.value ->> 'user_id'
                              order by u.ordinality) > 1 as again
          from jsonb_array_elements(body -> 'users') with ordinality as u
         order by u.ordinality
    loop
        begin
            perform iclock_api.members(given.item,
                iclock_api.user_members() || array['user_id:string,number'],
                given.place);
            faults := iclock_api.user_faults(given.item, given.place);

        -- ICAPI: a problem of this user alone
        exception when sqlstate 'ICAPI' then
            if not partial then
                raise;
            end if;
            get stacked diagnostics detail = pg_exception_detail;
            faults := detail::jsonb -> 'errors';
        end;

        if given.again and given.pin is not null then
            faults := faults || jsonb_build_object(
                'pointer', given.place || '/user_id',
                'detail', 'comes twice');
        end if;

        errors := errors || faults;
        detail := case when faults <> '[]' then format('%s %s',
            substr(faults #>> '{0,pointer}', length(given.place) + 2),
            faults #>> '{0,detail}') end;
        results := results || json_build_object(
            'user_id', given.pin,
            'status', case when detail is null then 201 else 422 end,
            'error', detail);
    end loop;

    if errors <> '[]' and not partial then
        perform iclock_api.fail(422, 'invalid',
            format('%s of the users are not right, nothing was done',
                   (select count(*) from unnest(results) as r
                     where r ->> 'status' = '422')),
            (select jsonb_agg(e.value order by e.ordinality)
               from jsonb_array_elements(errors) with ordinality as e
              where e.ordinality <= 100));
    end if;

    begin
        for given in
            select u.value as item, u.ordinality as ord,
                   u.value ->> 'user_id' as pin
              from jsonb_array_elements(body -> 'users') with ordinality as u
             where results[u.ordinality] ->> 'status' = '201'
             order by u.value ->> 'user_id' collate "C"
        loop
            place := '#/users/' || given.ord - 1;

            if partial then
                begin
                    select p.* into put
                      from iclock_api.put_person(given.item, given.pin,
                                                 devices) as p;
                exception when invalid_parameter_value then
                    get stacked diagnostics detail = message_text;
                    faults := iclock_api.put_fault(detail, place);
                    results[given.ord] := json_build_object(
                        'user_id', given.pin, 'status', 422,
                        'error', btrim(format('%s %s',
                            substr(faults #>> '{0,pointer}',
                                   length(place) + 2),
                            faults #>> '{0,detail}')));
                    continue;
                end;
            else
                select p.* into put
                  from iclock_api.put_person(given.item, given.pin,
                                             devices) as p;
            end if;

            commands := commands || put.commands;
            if cardinality(put.taken) = cardinality(devices) then
                items := items || given.item;
                pins := pins || given.pin;
            else
                perform iclock_api.note_persons(array[given.item],
                                                array[given.pin], put.taken);
            end if;

            if put.skipped <> '[]' then
                results[given.ord] := json_build_object(
                    'user_id', given.pin, 'status', 201, 'error', null,
                    'skipped', put.skipped);
            end if;
        end loop;
    exception when invalid_parameter_value then
        get stacked diagnostics detail = message_text;
        perform iclock_api.refuse_user(detail, place);
    end;

    perform iclock_api.note_persons(items, pins, devices);

    return iclock_api.reply(case when partial then 200 else 201 end,
        json_build_object(
            'results', array_to_json(results),
            'commands', iclock_api.command_list(commands)),
        meta => iclock_api.wait(request, commands));
end
$$;
comment on function iclock_api.users_batch(jsonb) is 'POST /users/batch';

create or replace function iclock_api.users_update(request jsonb)
    returns iclock_api.reply
    language plpgsql
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    body     constant jsonb := request -> 'body';
    who      constant text  := request #>> '{path,id}';
    ids      bigint[];
    devices  iclock.device[];
    faults   jsonb;
    put      record;
    message  text;
    users    json[];
begin
    perform iclock_api.parameters(request, '{device_id,site}'),
            iclock_api.members(body, iclock_api.user_members());

    ids := iclock_api.seen_devices(request);

    select array_agg(d order by d.serial_number) into devices
      from iclock_api.holdings(ids, array[who]) as h
      join iclock.device d on d.id = h.device_id
     where not h.leaving;

    if devices is null
       and (iclock_api.of_devices(request)
            or not exists (select
                             from iclock_api.seen_persons(request,
                                                          array[who])))
    then
        perform iclock_api.no_user(request);
    end if;

    -- some terminals may have PINs that no request can make
    faults := iclock_api.user_faults(body || '{"user_id":"0"}', '#');
    if faults <> '[]' then
        perform iclock_api.fail(422, 'invalid',
            format('%s %s', substr(faults #>> '{0,pointer}', 3),
                   faults #>> '{0,detail}'), faults);
    end if;

    if body ?| array['name', 'department'] then
        perform iclock_api.note_persons(array[body], array[who], devices);

        -- and where no terminal has the person yet
        update iclock.person p
           set name = case when body ? 'name'
                           then nullif(body ->> 'name', '') else p.name end,
               department = case when body ? 'department'
                                 then nullif(body ->> 'department', '')
                                 else p.department end,
               updated_at = now()
         where (p.site, p.pin, p.sandbox)
               in (select s.site, s.pin, s.sandbox
                     from iclock_api.seen_persons(request, array[who]) as s
                    where not iclock_api.of_devices(request));
    end if;

    select '{}'::bigint[] as commands, '[]'::jsonb as skipped into put;
    if devices is not null and body - 'department' <> '{}' then
        begin
            select p.* into put
              from iclock_api.put_person(body, who, devices) as p;
        exception when invalid_parameter_value then
            get stacked diagnostics message = message_text;
            perform iclock_api.refuse_user(message, '#');
        end;
    end if;

    select i.items into users
      from iclock_api.user_items(request, ids, array[who]) as i;

    return iclock_api.reply(200, json_build_object(
        'user_id', who,
        'name', users[1] -> 'name',
        'department', users[1] -> 'department',
        'status', case when put.commands <> '{}' then 'pending'
                       when put.skipped <> '[]' then 'failed'
                       else 'synced' end,
        'commands', iclock_api.command_list(put.commands),
        'skipped', put.skipped),
        meta => iclock_api.wait(request, put.commands));
end
$$;
comment on function iclock_api.users_update(jsonb) is
    'PUT and PATCH /users/{id}: changes what is given';
