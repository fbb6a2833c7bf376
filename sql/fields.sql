-- The fields that commands are put together from.  Every value comes through
-- one of these functions, which name the argument that is wrong.

create or replace function iclock.device_id(serial_number text)
    returns bigint
    language plpgsql stable
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    found_id  bigint;
begin
    select d.id into found_id
      from iclock.device d
     where d.serial_number = $1
       and iclock.may_see(d.site);

    if found_id is null then
        raise no_data_found
            using message = format('there is no device with serial number %s',
                                   coalesce('"' || $1 || '"', 'NULL'));
    end if;
    return found_id;
end
$$;
comment on function iclock.device_id(text) is
    'Id of the device with a serial number, or an error that names it';

create or replace function iclock.wrong_argument(argument text, what text,
                                                 hint text default null)
    returns void
    language plpgsql immutable
    set search_path = pg_catalog, pg_temp
as $$
begin
    raise invalid_parameter_value
        using message = format('argument "%s" %s', argument, what),
              hint = coalesce(hint, 'See the comment of the function and '
                                    'docs/commands.md.');
end
$$;
comment on function iclock.wrong_argument(text, text, text) is
    'Raises the error that names an argument';

-- The value of one field of a command, or an error that names the argument.
create or replace function iclock.field(argument text, value text,
                                        pattern text default null,
                                        max_bytes integer default 1000)
    returns text
    language plpgsql immutable
    set search_path = pg_catalog, iclock, pg_temp
as $$
begin
    if value is null then
        raise null_value_not_allowed
            using message = format('argument "%s" must not be NULL', argument);
    end if;

    if octet_length(value) > max_bytes then
        perform iclock.wrong_argument(argument,
            format('is longer than %s bytes', max_bytes),
            format('It has %s bytes in UTF-8.', octet_length(value)));
    end if;

    if not iclock.is_line_text(value, max_bytes) then
        perform iclock.wrong_argument(argument,
            'contains a TAB, an end of line or another control character',
            'A TAB would begin another field of the command, an end of line '
            'another command.');
    end if;

    if value !~ pattern then
        perform iclock.wrong_argument(argument,
            format('does not match %s', pattern));
    end if;

    return value;
end
$$;
comment on function iclock.field(text, text, text, integer) is
    'Value of one field of a command, or an error that names the argument';

create or replace function iclock.pin(value text)
    returns text
    language sql immutable
    set search_path = pg_catalog, iclock, pg_temp
as $$
    select iclock.field('pin', value, '^\S+$', 100)
$$;
comment on function iclock.pin(text) is 'PIN as a field of a command';

create or replace function iclock.harmless(value text,
                                           max_characters integer default 250)
    returns text
    -- no search_path, so that it can be inlined
    language sql immutable
as $$
    select left(regexp_replace(coalesce(value, ''),
                    E'[\\x01-\\x1f\\x7f-\\x9f\\u2028\\u2029]', ' ', 'g'),
                max_characters)
$$;
comment on function iclock.harmless(text, integer) is
    'Text with blanks for control characters';

-- What the caller gave, or else what a device reported: that is not the
-- caller's fault, so it is only made harmless.
create or replace function iclock.given(argument text, value text, known text,
                                        pattern text default null,
                                        max_bytes integer default 1000)
    returns text
    language sql immutable
    set search_path = pg_catalog, iclock, pg_temp
as $$
    select case when value is not null
                then iclock.field(argument, value, pattern, max_bytes)
                else iclock.harmless(known) end
$$;
comment on function iclock.given(text, text, text, text, integer) is
    'Value given for a field, or else the one a device reported';

create or replace function iclock.number(argument text, value integer,
                                         least_value integer,
                                         greatest_value integer)
    returns text
    language plpgsql immutable
    set search_path = pg_catalog, iclock, pg_temp
as $$
begin
    if value is null then
        raise null_value_not_allowed
            using message = format('argument "%s" must not be NULL', argument);
    end if;

    if value not between least_value and greatest_value then
        perform iclock.wrong_argument(argument,
            format('is %s', value),
            format('It is between %s and %s.', least_value, greatest_value));
    end if;

    return value::text;
end
$$;
comment on function iclock.number(text, integer, integer, integer) is
    'Number as a field of a command, or an error that names the argument';

create or replace function iclock.flag(argument text, value boolean)
    returns text
    language sql immutable
    set search_path = pg_catalog, iclock, pg_temp
as $$
    select iclock.number(argument, value::integer, 0, 1)
$$;
comment on function iclock.flag(text, boolean) is
    '1 or 0 as a field of a command';

-- the code of one of some words
create or replace function iclock.choice(argument text, value text,
                                         words text[], codes text[])
    returns text
    language plpgsql immutable
    set search_path = pg_catalog, iclock, pg_temp
as $$
begin
    perform iclock.field(argument, value);

    if value <> all (words) then
        perform iclock.wrong_argument(argument, 'is none of the words known',
            'It is one of: ' || array_to_string(words, ', ') || '.');
    end if;

    return codes[array_position(words, value)];
end
$$;
comment on function iclock.choice(text, text, text[], text[]) is
    'Code of one of some words, or an error that names the argument';

create or replace function iclock.moment(argument text, value timestamp,
                                         form text default
                                             'YYYY-MM-DD HH24:MI:SS')
    returns text
    language plpgsql immutable
    set search_path = pg_catalog, iclock, pg_temp
as $$
begin
    if value is null then
        raise null_value_not_allowed
            using message = format('argument "%s" must not be NULL', argument);
    end if;

    if value not between timestamp '1900-01-01' and timestamp '9999-12-31'
    then
        perform iclock.wrong_argument(argument, format('is %s', value),
            'Terminals know the years from 1900 on.');
    end if;

    return to_char(value, form);
end
$$;
comment on function iclock.moment(text, timestamp, text) is
    'Time as a field of a command, or an error that names the argument';

create or replace function iclock.time_of_day(argument text, value time)
    returns text
    language sql immutable
    set search_path = pg_catalog, iclock, pg_temp
as $$
    select iclock.field(argument, to_char(value, 'HH24:MI'))
$$;
comment on function iclock.time_of_day(text, time) is
    'Time of day as a field of a command';

create or replace function iclock.base64(argument text, value bytea,
                                         max_bytes integer)
    returns text
    language plpgsql immutable
    set search_path = pg_catalog, iclock, pg_temp
as $$
begin
    if value is null then
        raise null_value_not_allowed
            using message = format('argument "%s" must not be NULL', argument);
    end if;

    if octet_length(value) not between 1 and max_bytes then
        perform iclock.wrong_argument(argument,
            format('has %s bytes', octet_length(value)),
            format('It has at least one byte and at most %s; it is the '
                   'content itself, not base64.', max_bytes));
    end if;

    return translate(encode(value, 'base64'), E'\n', '');
end
$$;
comment on function iclock.base64(text, bytea, integer) is
    'Content as a field of a command, or an error that names the argument';

-- Names and values in turn, as Name=value separated by TAB; what is NULL is
-- left out.
create or replace function iclock.fields(variadic pairs text[])
    returns text
    language plpgsql immutable
    set search_path = pg_catalog, pg_temp
as $$
declare
    list  text[] := '{}';
begin
    for i in 1 .. cardinality(pairs) by 2 loop
        continue when pairs[i + 1] is null;

        -- whoever forgot to check: nothing gets past here
        if not iclock.is_line_text(pairs[i + 1], 2147483647) then
            raise invalid_parameter_value
                using message = format('field "%s" contains a control '
                                       'character', pairs[i]);
        end if;

        list := list || (pairs[i] || '=' || pairs[i + 1]);
    end loop;

    return array_to_string(list, E'\t');
end
$$;
comment on function iclock.fields(text[]) is
    'Names and values in turn as Name=value, separated by TAB; NULL is left '
    'out';

-- seven flags for the days in a list, 0 being Sunday
create or replace function iclock.day_flags(argument text, days integer[])
    returns text[]
    language plpgsql immutable
    set search_path = pg_catalog, iclock, pg_temp
as $$
begin
    if days is null
       or not days <@ array[0, 1, 2, 3, 4, 5, 6]
    then
        perform iclock.wrong_argument(argument, 'is no list of days',
            'It is an array of numbers from 0 (Sunday) to 6 (Saturday).');
    end if;

    return array(select (d = any (days))::integer::text
                   from generate_series(0, 6) as d order by d);
end
$$;
comment on function iclock.day_flags(text, integer[]) is
    'Seven flags, from Sunday, of a list of days';

create or replace function iclock.dialect(serial_number text)
    returns text
    language sql stable
    set search_path = pg_catalog, iclock, pg_temp
as $$
    select d.dialect from iclock.device d where d.id = iclock.device_id($1)
$$;
comment on function iclock.dialect(text) is 'Dialect of a device';

-- The bytes of a text as it goes to a device: src/proto knows the same names of
-- encodings.  A character that the encoding lacks is sent as "?".
create or replace function iclock.device_bytes(serial_number text, value text)
    returns integer
    language plpgsql stable
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    encoding  text;
begin
    select upper(coalesce(d.encoding, case d.language when '83' then 'GB18030'
                                      end, 'UTF-8'))
      into encoding
      from iclock.device d
     where d.id = iclock.device_id($1);

    if encoding ~ '^(WINDOWS|ISO)-' then
        return length(value);

    elsif encoding in ('GB18030', 'GB2312', 'GBK', 'BIG5', 'EUC-KR',
                       'SHIFT_JIS')
    then
        return octet_length(convert_to(value, 'GB18030'));
    end if;

    return octet_length(value);

exception when untranslatable_character or undefined_function then
    return 2 * length(value) - length(regexp_replace(value, '[^\x01-\x7f]',
                                                     '', 'g'));
end
$$;
comment on function iclock.device_bytes(text, text) is
    'Bytes of a text in the encoding of a device';

create or replace function iclock.time_range(dialect text, starts timestamp,
                                             ends timestamp)
    returns text
    language plpgsql immutable
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    form  constant text := case dialect
                           when '3.2' then 'YYYY-MM-DD"T"HH24:MI:SS'
                           else 'YYYY-MM-DD HH24:MI:SS' end;
begin
    if ends < starts then
        perform iclock.wrong_argument('ends', 'is before "starts"');
    end if;

    return iclock.fields(
        'StartTime', iclock.moment('starts', starts, form),
        'EndTime',   iclock.moment('ends', ends, form));
end
$$;
comment on function iclock.time_range(text, timestamp, timestamp) is
    'StartTime and EndTime in the form of a dialect';

-- The time periods of a user in the form of a dialect.  The first four digits
-- say whose periods count: 0000 means those of the group in dialect 2.4 and the
-- user's own in 3.2.
create or replace function iclock.user_time_zone(
        value         text,
        from_dialect  text,
        to_dialect    text)
    returns text
    language sql immutable
    set search_path = pg_catalog, iclock, pg_temp
as $$
    select case
    when value ~ '^[0-9A-Fa-f]{16}$' and from_dialect <> to_dialect then
        case left(value, 4) when '0000' then '0001' else '0000' end
        || substr(value, 5)
    when value <> '' and from_dialect = to_dialect then
        iclock.harmless(value)
    when to_dialect = '3.2' then
        '0001000000000000'
    else
        '0000000000000000'
    end
$$;
comment on function iclock.user_time_zone(text, text, text) is
    'Time periods of a user in the form of another dialect; those of the '
    'group when none are known';

-- From when or until when a user may come in; 0: without limit.  NULL where
-- neither limit is known: devices without the function have no such fields.
create or replace function iclock.user_limit(value timestamp, other timestamp)
    returns text
    language sql immutable
    set search_path = pg_catalog, iclock, pg_temp
as $$
    select case
    when value is null and other is null then null
    when value between timestamp '1900-01-01' and timestamp '9999-12-31'
        then to_char(value, 'YYYY-MM-DD HH24:MI:SS')
    else '0'
    end
$$;
comment on function iclock.user_limit(timestamp, timestamp) is
    'StartDatetime or EndDatetime of a user: 0 for no limit, NULL when '
    'neither is known';

-- the record of a user, complete: devices wipe what is left out
drop function if exists iclock.user_record(text, text, text, integer, text,
                                           text, integer, text, integer, text);

create or replace function iclock.user_record(
        dialect       text,
        pin           text,
        name          text,
        privilege     integer,
        password      text,
        card          text,
        access_group  integer,
        time_zone     text,
        verify        integer,
        vice_card     text,
        starts_at     timestamp default null,
        ends_at       timestamp default null)
    returns text
    language sql immutable
    set search_path = pg_catalog, iclock, pg_temp
as $$
    select 'DATA UPDATE USERINFO ' || iclock.fields(
        'PIN',    pin,
        'Name',   name,
        'Pri',    privilege::text,
        'Passwd', password,
        'Card',   card,
        'Grp',    access_group::text,
        'TZ',     time_zone,
        'Verify',     case when dialect <> '3.2' then verify::text end,
        -- optional there, and without a number for "as the group"
        'VerifyMode', case when dialect = '3.2' and verify >= 0
                      then verify::text end,
        'ViceCard',   case when dialect <> '3.2' then vice_card end,
        'StartDatetime', iclock.user_limit(starts_at, ends_at),
        'EndDatetime',   iclock.user_limit(ends_at, starts_at))
$$;
comment on function iclock.user_record(text, text, text, integer, text, text,
    integer, text, integer, text, timestamp, timestamp) is
    'DATA UPDATE USERINFO in the form of a dialect';

-- A template in the form that a kind of record has, see template.source.
create or replace function iclock.template_record(
        dialect        text,
        source         text,
        pin            text,
        type           integer,
        no             integer,
        index          integer,
        major_version  integer,
        minor_version  integer,
        format         integer,
        valid          integer,
        duress         integer,
        data           text)
    returns text
    language sql immutable
    set search_path = pg_catalog, iclock, pg_temp
as $$
    select case
    when source = 'FP' then
        'DATA UPDATE FINGERTMP ' || iclock.fields(
            'PIN', pin, 'FID', no::text, 'Size', length(data)::text,
            'Valid', valid::text, 'TMP', data)
    when source = 'FACE' and dialect = '3.2' then
        'DATA UPDATE FACE ' || iclock.fields(
            'PIN', pin, 'FID', no::text, 'Size', length(data)::text,
            'Valid', valid::text, 'TMP', data)
    when source = 'FACE' then
        'DATA UPDATE FACE ' || iclock.fields(
            'PIN', pin, 'FID', no::text, 'Valid', valid::text,
            'Size', length(data)::text, 'TMP', data)
    when source = 'FVEIN' then
        'DATA UPDATE FVEIN ' || iclock.fields(
            'Pin', pin, 'FID', no::text, 'Index', index::text,
            'Valid', valid::text, 'Size', length(data)::text, 'Tmp', data)
    else
        'DATA UPDATE BIODATA ' || iclock.fields(
            'Pin', pin, 'No', no::text, 'Index', index::text,
            'Valid', valid::text, 'Duress', duress::text, 'Type', type::text,
            'MajorVer', major_version::text, 'MinorVer', minor_version::text,
            'Format', format::text, 'Tmp', data)
    end
$$;
comment on function iclock.template_record(text, text, text, integer, integer,
    integer, integer, integer, integer, integer, integer, text) is
    'DATA UPDATE FINGERTMP, FACE, FVEIN or BIODATA in the form of a dialect';

create or replace function iclock.photo_record(pin text, data text)
    returns text
    language sql immutable
    set search_path = pg_catalog, iclock, pg_temp
as $$
    select 'DATA UPDATE USERPIC ' || iclock.fields(
        'PIN', pin, 'Size', length(data)::text, 'Content', data)
$$;
comment on function iclock.photo_record(text, text) is 'DATA UPDATE USERPIC';

create or replace function iclock.comparison_photo_record(
        pin               text,
        type              integer,
        data              text,
        url               text,
        return_template   boolean)
    returns text
    language sql immutable
    set search_path = pg_catalog, iclock, pg_temp
as $$
    select 'DATA UPDATE BIOPHOTO ' || iclock.fields(
        'PIN',             pin,
        'Type',            type::text,
        'Size',            length(data)::text,
        'Content',         data,
        'Format',          case when url = '' then '0' else '1' end,
        'Url',             url,
        'PostBackTmpFlag', return_template::integer::text)
$$;
comment on function iclock.comparison_photo_record(text, integer, text, text,
    boolean) is
    'DATA UPDATE BIOPHOTO';
