-- What commands are about.  A subject is a path of which TABs separate the
-- steps, since no field of a command contains one:
--
--     user 5                       the record of a user
--     user 5 template 1 6 0 10     a fingerprint of it
--     user 5 template              all of its templates
--     user                         all users
--
-- A command about a subject says all that there is to say about it, so only the
-- newest counts; one that deletes is about everything below its subject, too.
-- Commands that are deeds, such as REBOOT, DATA QUERY or SHELL, have none.

create or replace function iclock.command_field(fields text, name text)
    returns text
    -- no search_path, so that it can be inlined
    language sql immutable strict parallel safe
as $$
    select substring(E'\t' || fields from '(?i)\t' || name || E'=([^\t]*)')
$$;
comment on function iclock.command_field(text, text) is 'A field of a command';

-- a number that may be missing, without leading zeros
create or replace function iclock.subject_number(value text)
    returns text
    language sql immutable parallel safe
as $$
    select coalesce(nullif(ltrim(value, '0'), ''), '0')
$$;
comment on function iclock.subject_number(text) is
    'A number as it is written in subjects';

create or replace function iclock.template_subject(
        deletes  boolean,
        what     text,
        fields   text)
    returns text
    language plpgsql immutable
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    pin   constant text := coalesce(iclock.command_field(fields, 'PIN'), '');
    type  constant text := case what
        when 'FINGERTMP' then '1' when 'FACE' then '2' when 'FVEIN' then '7'
        else iclock.command_field(fields, 'Type') end;
    no    constant text := iclock.command_field(fields, '(?:FID|No)');
    path  text          := E'user\t' || pin || E'\ttemplate';
begin
    if deletes then
        return path
            || case when type is null then ''
               else E'\t' || iclock.subject_number(type) end
            || case when type is null or no is null then ''
               else E'\t' || iclock.subject_number(no) end;
    end if;

    if pin = '' or type is null then
        return null;
    end if;

    return concat_ws(E'\t', path, iclock.subject_number(type),
        iclock.subject_number(no),
        iclock.subject_number(iclock.command_field(fields, 'Index')),
        case what
        when 'FINGERTMP' then
            case when iclock.command_field(fields, 'TMP') like 'oco%'
                 then '9' else '10' end
        when 'FACE' then '7'
        when 'FVEIN' then '3'
        else iclock.subject_number(iclock.command_field(fields, 'MajorVer'))
        end);
end
$$;
comment on function iclock.template_subject(boolean, text, text) is
    'Subject of a command about templates';

create or replace function iclock.data_subject(
        deletes  boolean,
        what     text,
        fields   text)
    returns text
    language plpgsql immutable
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    pin    constant text := nullif(iclock.command_field(fields, 'PIN'), '');
    kind   text;
    field  text;
    key    text;
begin
    case what
    when 'USERINFO' then
        return case when pin is not null then E'user\t' || pin
                    when deletes then 'user' end;
    when 'USEREXTINFO' then
        return E'user\t' || pin || E'\textension';
    when 'FINGERTMP', 'FACE', 'FVEIN', 'BIODATA' then
        return iclock.template_subject(deletes, what, fields);
    when 'USERPIC' then
        return E'user\t' || pin || E'\tphoto\tuser';
    when 'BIOPHOTO' then
        return E'user\t' || pin || E'\tphoto\tcomparison'
            || case when deletes then '' else E'\t' || iclock.subject_number(
                    iclock.command_field(fields, 'Type')) end;
    when 'USER_SMS' then
        return E'message\t' || iclock.command_field(fields, 'UID') || E'\t'
            || pin;
    when 'JOBCODE' then
        return E'job code group\t'
            || iclock.command_field(fields, 'JobCodeGroupId') || E'\t'
            || iclock.command_field(fields, 'Number');
    else
        null;
    end case;

    select k.kind, k.field into kind, field
      from (values
        ('WORKCODE',        'work code',          'CODE'),
        ('SMS',             'message',            'UID'),
        ('BELL',            'bell',               'BellID'),
        ('ADPIC',           'picture',            'Index'),
        ('IDCARD',          'identity card',      'IDNum'),
        ('BLACKLIST',       'blacklisted card',   'IDNum'),
        ('JOBCODEGROUP',    'job code group',     'ID'),
        ('TIPCODE',         'tip code',           'ID'),
        ('ACCTIMEZONE',     'time period',        'UID'),
        ('TIMEZONE',        'time period',        'TZID'),
        ('ACCGROUP',        'access group',       'ID'),
        ('ACCHOLIDAY',      'holiday',            'UID'),
        ('ACCUNLOCKCOMB',   'unlock combination', 'UID'),
        ('SHORTKEY',        'function key',       'KeyID'),
        ('SHORTCUTKEY',     'function key',       'KeyID'),
        ('FUNCTIONKEY',     'function key',       'ShortKeyID'),
        ('ATTSTATE',        'status code',        'AttStateKey'),
        ('SELFSERVICEINFO', 'self service',       'ServiceNum'))
        as k (what, kind, field)
     where k.what = $2;

    key := nullif(iclock.command_field(fields, field), '');

    return case when key is not null then kind || E'\t' || key
                when deletes then kind end;
end
$$;
comment on function iclock.data_subject(boolean, text, text) is
    'Subject of DATA UPDATE and DATA DELETE';

-- The subject of a command; NULL if it has none, or one that nobody can tell.
create or replace function iclock.command_subject(body text)
    returns text
    language plpgsql immutable
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    -- what follows is a template or a picture
    head     constant text   := left(body, 3000);
    word     constant text   := upper(substring(head from '^\S+'));
    part     text[];
    subject  text;
begin
    if word = 'DATA' then
        part := regexp_match(head, '^\S+ +(UPDATE|DELETE) +(\S+) *(.*)$', 'i');
        subject := iclock.data_subject(upper(part[1]) = 'DELETE',
                                       upper(part[2]), part[3]);

    elsif word = 'SET' then
        part := regexp_match(head, '^\S+ +OPTION +~?([^=,]+)=([^,]*)$', 'i');
        subject := E'option\t' || part[1];

    elsif word in ('CLEAR', 'RESET') then
        subject := case upper(head)
            when 'CLEAR LOG' then 'attendance'
            when 'CLEAR PHOTO' then 'attendance photo'
            when 'CLEAR DATA' then 'user'
            when 'CLEAR ALL USERINFO' then 'user'
            when 'CLEAR BIODATA' then E'user\t\ttemplate'
            when 'CLEAR ALL BELL' then 'bell'
            when 'RESET ALL FUNCKEYS' then 'function key'
            when 'RESET ALL TIMEZONE' then 'time period' end;

    elsif word like 'ENROLL\_%' then
        part := regexp_match(head, '^\S+ +(.*)$');
        subject := concat_ws(E'\t',
            E'user\t' || iclock.command_field(part[1], 'PIN'), 'enrolment',
            word, iclock.command_field(part[1], 'TYPE'),
            iclock.command_field(part[1], 'FID'));

        if starts_with(subject, 'enrolment') then
            subject := null;
        end if;
    end if;

    return case when octet_length(subject) <= 2000 then subject end;
end
$$;
comment on function iclock.command_subject(text) is
    'What a command is about, command.subject';

-- what a subject is part of: each of these, when it is deleted, takes it along
create or replace function iclock.subjects_above(subject text)
    returns text[]
    language plpgsql immutable strict
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    step   constant text[] := string_to_array(subject, E'\t');
    above  text[]          := '{}';
begin
    -- no command deletes less than a finger
    for n in 1 .. least(cardinality(step) - 1, 5) loop
        above := above || array_to_string(step[1:n], E'\t');

        -- such as the fingerprints of all users
        if step[1] = 'user' and n > 2 and step[2] <> '' then
            above := above || array_to_string(array['user', ''] || step[3:n],
                                              E'\t');
        end if;
    end loop;

    return above;
end
$$;
comment on function iclock.subjects_above(text) is 'What a subject is part of';

-- whether a command deletes its subject, and with it all that is part of it
create or replace function iclock.is_deletion(body text)
    returns boolean
    -- no search_path, so that it can be inlined
    language sql immutable strict parallel safe
as $$
    select left(body, 12) ~* '^(DATA DELETE|CLEAR |RESET )'
$$;
comment on function iclock.is_deletion(text) is
    'Whether a command deletes its subject and all that is part of it';
