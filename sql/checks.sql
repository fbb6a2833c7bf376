-- Functions that the constraints of the tables call; they come first.  For each
-- statement that writes a row PostgreSQL reads the bodies of those in SQL anew,
-- whatever columns it sets, but compiles those in PL/pgSQL once a session.

-- The answer changes only with PostgreSQL's time zone files, so the function is
-- marked immutable: a CHECK constraint has to be able to call it.  The shape is
-- tested because PostgreSQL takes far more than names: "IST" is an abbreviation
-- (of Israel), "UTC+5" a POSIX zone five hours WEST, "Europe/Berlin2" another.
create or replace function iclock.is_time_zone(name text)
    returns boolean
    language plpgsql immutable strict parallel safe
    set search_path = pg_catalog, pg_temp
as $$
begin
    if name !~* ('^(UTC|GMT'
                 '|Etc/GMT(0|\+([0-9]|1[0-2])|-([0-9]|1[0-4]))'
                 '|[A-Z][A-Z_]*(/[A-Z][A-Z_]*(-[A-Z_]+)*){1,2})$')
       and name !~ '^[A-Z][a-z]{3,}$'
    then
        return false;
    end if;

    perform timezone(name, timestamptz '2000-01-01 00:00:00+00');
    return true;

exception when invalid_parameter_value then
    return false;
end
$$;
comment on function iclock.is_time_zone(text) is
    'Whether the text is the name of a time zone; not an abbreviation and not '
    'a POSIX zone';
grant execute on function iclock.is_time_zone(text) to iclock_module;

-- Text that may stand within a line to a device: a TAB separates fields there,
-- and an end of line would begin another option or another command.  What ends
-- lines in Unicode may do so in a device's own encoding.
create or replace function iclock.is_line_text(value text, max_bytes integer)
    returns boolean
    language plpgsql immutable strict parallel safe
as $$
begin
    return octet_length(value) <= max_bytes
           and value !~ E'[\\x01-\\x1f\\x7f-\\x9f\\u2028\\u2029]';
end
$$;
comment on function iclock.is_line_text(text, integer) is
    'Whether the text may stand within a line to a device: no control '
    'characters, no longer than so many bytes';
grant execute on function iclock.is_line_text(text, integer) to iclock_module;

-- Who calls: within a SECURITY DEFINER function current_user is the owner, and
-- session_user is the login of a pool that serves many.
create or replace function iclock.calling_role()
    returns name
    language sql stable parallel safe
    set search_path = pg_catalog, pg_temp
as $$
    select case current_setting('role')
           when 'none' then session_user
           else current_setting('role')::name end
$$;
comment on function iclock.calling_role() is
    'Role of the caller, also within SECURITY DEFINER functions: that of SET '
    'ROLE, or else the login';

-- Whoever asks by way of the HTTP API is known by the name of a key.  Nobody but
-- nginx is believed to be one.
create or replace function iclock.caller()
    returns text
    language sql stable
    set search_path = pg_catalog, iclock, pg_temp
as $$
    select case
           when coalesce(current_setting('iclock.api_key', true), '') <> ''
                and pg_has_role(iclock.calling_role(), 'iclock_api', 'usage')
           then 'api:' || current_setting('iclock.api_key')
           else iclock.calling_role() end
$$;
comment on function iclock.caller() is
    'Who asks: calling_role(), or "api:" and the name of the key of the API';

-- A role is known by its name and, as long as the cluster is the same, by its
-- OID.  That it is missing is no error: a dump brings its rows.
create or replace function iclock.role_site_named()
    returns trigger
    language plpgsql
    set search_path = pg_catalog, iclock, pg_temp
as $$
begin
    new.role_oid := (select a.oid from pg_roles a where a.rolname = new.role);
    new.cluster := iclock.cluster();

    if new.role_oid is null then
        raise warning 'role "%" does not exist', new.role
            using hint = 'If it is created, it is limited to its sites.';
    end if;

    return new;
end
$$;
comment on function iclock.role_site_named() is
    'Notes the OID of a role that is limited to a site';

-- What the directives iclock_trans_flag and iclock_trans_times take.
create or replace function iclock.is_trans_flag(value text)
    returns boolean
    language plpgsql immutable strict parallel safe
as $$
begin
    return value ~* ('^(tabs|spaces|bits)'
                     '( (AttLog|OpLog|AttPhoto|EnrollFP|EnrollUser|FPImag'
                     '|ChgUser|ChgFP|FACE|UserPic|WORKCODE|BioPhoto'
                     '|EnrollFACE|ChgFACE)){0,14}$')
           and value !~ E'\n';
end
$$;
comment on function iclock.is_trans_flag(text) is
    'Whether the text is what directive iclock_trans_flag takes';
grant execute on function iclock.is_trans_flag(text) to iclock_module;

create or replace function iclock.is_trans_times(value text)
    returns boolean
    language plpgsql immutable strict parallel safe
as $$
begin
    return value ~ ('^(([01][0-9]|2[0-3]):[0-5][0-9]'
                    '(;([01][0-9]|2[0-3]):[0-5][0-9]){0,9};?)?$')
           and value !~ E'\n';
end
$$;
comment on function iclock.is_trans_times(text) is
    'Whether the text is what directive iclock_trans_times takes';
grant execute on function iclock.is_trans_times(text) to iclock_module;

-- The address of a webhook: what it leads to is decided when it is called.
create or replace function iclock.is_webhook_url(url text)
    returns boolean
    language sql immutable strict parallel safe
as $$
    select octet_length(url) <= 2048
       and url ~* ('^https?://'
                   '([a-z0-9_]([a-z0-9_.-]*[a-z0-9_.])?|\[[0-9a-f:.]{2,45}\])'
                   '(:0*([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}'
                   '|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]))?'
                   '([/?][]!$-;=?-Z[_a-z~]*)?$')
       and url !~ '%(?![0-9A-Fa-f]{2})'
       and url !~ E'\n'
$$;
comment on function iclock.is_webhook_url(text) is
    'Whether the text is an address that a webhook may have: http or https, '
    'a host, neither user nor fragment, at most 2048 bytes';

-- Thresholds of table condition.  Functions take one that is missing for the one
-- that a new schema has; one that is none would make them fail for everybody.
create or replace function iclock.condition_fault(name text, params jsonb)
    returns text
    language plpgsql immutable
    set search_path = pg_catalog, pg_temp
as $$
declare
    known    constant jsonb := coalesce((
        select k.members
          from (values
                ('key',        '{"within": "time"}'::jsonb),
                ('network',    '{"within": "time"}'),
                ('silent_day', '{"after": "time"}'),
                ('lines',      '{"within": "time"}'),
                ('clock',      '{"skew": "time"}'),
                ('quiet',      '{"punches": 1000000, "weeks": 5}'),
                ('full',       '{"ratio": "part"}'),
                ('commands',   '{"after": "time"}'),
                ('failed',     '{"within": "time"}')) as k (name, members)
         where k.name = $1), '{}');
    member   record;
    most     integer;
begin
    if params is null or jsonb_typeof(params) <> 'object' then
        return 'params are no JSON object such as {"within": "24 hours"}';
    end if;

    for member in select e.key, e.value, jsonb_typeof(e.value) as type
                    from jsonb_each(params) as e
    loop
        if not known ? member.key then
            return format('there is no threshold "%s" but %s', member.key,
                coalesce((select string_agg(format('"%s"', n), ' and '
                                            order by n)
                            from jsonb_object_keys(known) as n),
                         'none at all'));

        elsif known ->> member.key = 'time' then
            begin
                if member.type = 'string'
                   and (member.value #>> '{}')::interval
                       between interval '0' and interval '10 years'
                then
                    continue;
                end if;
            exception when data_exception then
                null;
            end;
            return format('"%s" is %s, but has to be a time of 10 years at '
                          'most, such as "24 hours" or "90 seconds", in '
                          'quotes', member.key, member.value);

        elsif known ->> member.key = 'part' then
            continue when member.type = 'number'
                          and (member.value #>> '{}')::numeric between 0 and 1;
            return format('"%s" is %s, but has to be a number from 0 to 1, '
                          'such as 0.9, without quotes', member.key,
                          member.value);

        else
            most := known ->> member.key;
            continue when member.type = 'number'
                          and member.value #>> '{}' ~ '^[0-9]{1,9}$'
                          and (member.value #>> '{}')::integer
                              between 1 and most;
            return format('"%s" is %s, but has to be a whole number from 1 '
                          'to %s, without quotes', member.key, member.value,
                          most);
        end if;
    end loop;

    return null;
end
$$;
comment on function iclock.condition_fault(text, jsonb) is
    'What is wrong with the thresholds of a condition, table condition; NULL: '
    'nothing';

create or replace function iclock.has_thresholds(name text, params jsonb)
    returns boolean
    language plpgsql immutable
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    fault  constant text := iclock.condition_fault($1, $2);
begin
    -- nobody reads "violates check constraint"
    if fault is not null then
        raise check_violation
            using message = format('condition "%s": %s', $1, fault),
                  hint = 'The comment on column iclock.condition.params tells '
                         'what there is.',
                  schema = 'iclock', table = 'condition', column = 'params',
                  constraint = 'condition_params_check';
    end if;
    return true;
end
$$;
comment on function iclock.has_thresholds(text, jsonb) is
    'Whether the thresholds of a condition are some: true, or an error that '
    'says what is wrong';
