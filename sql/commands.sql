-- A function for each command of the two documents.  Those that put something
-- on a device are called put_..., those that take it off delete_... or
-- clear_..., those that have it uploaded query_....
--
-- Where the dialects differ, device.dialect chooses.  A command that only one of
-- the documents knows goes to any device: it answers when it cannot do it.


-- signatures of earlier versions: next to those of today, with their defaults,
-- a call would be ambiguous

drop function if exists
    iclock.put_user(text, text, text, integer, text, text, integer, text,
                    integer, text),
    iclock.put_fingerprint(text, text, integer, bytea, integer),
    iclock.put_file(text, text, text, text, text, integer);


-- users and what they carry

create or replace function iclock.put_user(
        serial_number  text,
        pin            text,
        name           text    default null,
        privilege      integer default null,
        password       text    default null,
        card           text    default null,
        access_group   integer default null,
        time_zone      text    default null,
        verify         integer default null,
        vice_card      text    default null,
        starts_at      timestamp default null,
        ends_at        timestamp default null)
    returns bigint
    language plpgsql security definer
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    device  iclock.device;
    known   iclock.device_user;
begin
    select d.* into device
      from iclock.device d
     where d.id = iclock.device_id($1);

    select u.* into known
      from iclock.device_user u
     where u.device_id = device.id and u.pin = $2;

    if isfinite(starts_at) then
        perform iclock.moment('starts_at', starts_at);
    end if;
    if isfinite(ends_at) then
        perform iclock.moment('ends_at', ends_at);
    end if;

    starts_at := coalesce(starts_at, known.starts_at);
    ends_at := coalesce(ends_at, known.ends_at);

    if isfinite(starts_at) and isfinite(ends_at) and ends_at < starts_at then
        perform iclock.wrong_argument('ends_at', 'is before "starts_at"',
            '"infinity" takes a limit back.');
    end if;

    perform iclock.number('privilege', coalesce($4, 0), 0, 14),
            iclock.number('access_group', coalesce($7, 1), 0, 255),
            iclock.number('verify', coalesce($9, -1), -1, 255);

    -- an argument that is not given is taken from what the device reported;
    -- -1 in a stored record: it did not say
    return iclock.queue_command($1, iclock.user_record(
        device.dialect,
        iclock.pin($2),
        iclock.given('name', $3, known.name, null, 200),
        coalesce($4, nullif(known.privilege, -1), 0),
        iclock.given('password', $5, known.password, null, 100),
        iclock.given('card', $6, known.card,
                     '^([0-9]{0,20}|\[[0-9A-Fa-f]{0,20}\])$'),
        coalesce($7, nullif(known.access_group, -1), 1),
        iclock.given('time_zone', $8,
                     iclock.user_time_zone(known.time_zone, device.dialect,
                                           device.dialect),
                     '^[0-9A-Fa-f]{16}$'),
        coalesce($9, known.verify, -1),
        iclock.given('vice_card', $10, known.vice_card,
                     '^([0-9]{0,20}|\[[0-9A-Fa-f]{0,20}\])$'),
        starts_at, ends_at));
end
$$;
comment on function iclock.put_user is
    'Puts a user on a device. What is not given stays as the device reported '
    'it. time_zone in the form of its dialect; starts_at, ends_at: from when '
    'until when the user may come in, infinity for no limit any more. DATA '
    'UPDATE USERINFO, PUSH 12.1.1.1, SDK 7.2';
grant execute on function iclock.put_user to iclock_operator;

create or replace function iclock.delete_user(
        serial_number  text,
        pin            text)
    returns bigint
    language sql security definer
    set search_path = pg_catalog, iclock, pg_temp
as $$
    select iclock.queue_command($1, 'DATA DELETE USERINFO '
        || iclock.fields('PIN', iclock.pin(pin)))
$$;
comment on function iclock.delete_user is
    'Deletes a user with templates and photos from a device. DATA DELETE '
    'USERINFO, PUSH 12.1.2.1, SDK 7.6';
grant execute on function iclock.delete_user to iclock_operator;

create or replace function iclock.delete_all_users(serial_number text)
    returns bigint
    language sql security definer
    set search_path = pg_catalog, iclock, pg_temp
as $$
    select iclock.queue_command($1, 'DATA DELETE USERINFO')
$$;
comment on function iclock.delete_all_users is
    'Deletes all users from a device. DATA DELETE USERINFO, SDK 7.6';
grant execute on function iclock.delete_all_users to iclock_operator;

create or replace function iclock.query_user(
        serial_number  text,
        pin            text)
    returns bigint
    language sql security definer
    set search_path = pg_catalog, iclock, pg_temp
as $$
    select iclock.queue_command($1, 'DATA QUERY USERINFO '
        || iclock.fields('PIN', iclock.pin(pin)))
$$;
comment on function iclock.query_user is
    'Has a device upload a user. DATA QUERY USERINFO, PUSH 12.1.3, SDK 11.1';
grant execute on function iclock.query_user to iclock_operator;

create or replace function iclock.query_all_users(serial_number text)
    returns bigint
    language sql security definer
    set search_path = pg_catalog, iclock, pg_temp
as $$
    select iclock.queue_command($1, 'DATA QUERY USERINFO')
$$;
comment on function iclock.query_all_users is
    'Has a device upload all users. DATA QUERY USERINFO, SDK 11.1';
grant execute on function iclock.query_all_users to iclock_operator;

create or replace function iclock.put_user_extension(
        serial_number          text,
        pin                    text,
        recheck_seconds        integer default 0,
        lockout_override       boolean default false,
        fingerprint_threshold  integer default null)
    returns bigint
    language sql security definer
    set search_path = pg_catalog, iclock, pg_temp
as $$
    select iclock.queue_command($1, 'DATA UPDATE USEREXTINFO ' || iclock.fields(
        'PIN',             iclock.pin(pin),
        'RecheckMin',      iclock.number('recheck_seconds', recheck_seconds,
                                         0, 86400),
        'LockoutOverride', iclock.flag('lockout_override', lockout_override),
        'User1to1FpThreshold',
                           case when fingerprint_threshold is not null
                           then iclock.number('fingerprint_threshold',
                                              fingerprint_threshold, 10, 35)
                           end))
$$;
comment on function iclock.put_user_extension is
    'Sets what more a device knows of a user: seconds between two punches, '
    'exemption from lockout, threshold of the fingerprint (10 to 35). DATA '
    'UPDATE USEREXTINFO, SDK 7.3';
grant execute on function iclock.put_user_extension to iclock_operator;

create or replace function iclock.put_identity_card(
        serial_number         text,
        id_number             text,
        pin                   text    default '0',
        sn_number             text    default '',
        dn_number             text    default '',
        name                  text    default '',
        gender                integer default null,
        nation                integer default null,
        birthday              date    default null,
        valid_from            date    default null,
        valid_until           date    default null,
        address               text    default '',
        additional_info       text    default '',
        issuer                text    default '',
        photo                 bytea   default null,
        fingerprint1          bytea   default null,
        fingerprint2          bytea   default null,
        reserve               text    default '',
        notice                text    default '')
    returns bigint
    language plpgsql security definer
    set search_path = pg_catalog, iclock, pg_temp
as $$
begin
    if (valid_from is null) <> (valid_until is null)
       or valid_until < valid_from
    then
        perform iclock.wrong_argument('valid_until',
            'is before "valid_from", or one of them is missing');
    end if;

    return iclock.queue_command($1, 'DATA UPDATE IDCARD ' || iclock.fields(
        'PIN',            iclock.pin(pin),
        'SNNum',          iclock.field('sn_number', sn_number, null, 100),
        'IDNum',          iclock.field('id_number', id_number, '^\S+$', 100),
        'DNNum',          iclock.field('dn_number', dn_number, null, 100),
        'Name',           iclock.field('name', name, null, 200),
        'Gender',         case when gender is null then ''
                          else iclock.number('gender', gender, 1, 2) end,
        'Nation',         case when nation is null then ''
                          else iclock.number('nation', nation, 0, 98) end,
        'Birthday',       case when birthday is null then ''
                          else iclock.moment('birthday', birthday,
                                             'YYYYMMDD') end,
        'ValidInfo',      case when valid_from is null then ''
                          else iclock.moment('valid_from', valid_from,
                                             'YYYYMMDD')
                               || iclock.moment('valid_until', valid_until,
                                                'YYYYMMDD') end,
        'Address',        iclock.field('address', address),
        'AdditionalInfo', iclock.field('additional_info', additional_info),
        'Issuer',         iclock.field('issuer', issuer),
        'Photo',          case when photo is null then ''
                          else iclock.base64('photo', photo, 100000) end,
        'FPTemplate1',    case when fingerprint1 is null then ''
                          else iclock.base64('fingerprint1', fingerprint1,
                                             20000) end,
        'FPTemplate2',    case when fingerprint2 is null then ''
                          else iclock.base64('fingerprint2', fingerprint2,
                                             20000) end,
        'Reserve',        iclock.field('reserve', reserve),
        'Notice',         iclock.field('notice', notice)));
end
$$;
comment on function iclock.put_identity_card is
    'Puts an identity card on a device; photo and fingerprints as they are, '
    'not base64. DATA UPDATE IDCARD, PUSH 12.1.1.2';
grant execute on function iclock.put_identity_card to iclock_operator;

create or replace function iclock.blacklist_identity_card(
        serial_number  text,
        id_number      text)
    returns bigint
    language sql security definer
    set search_path = pg_catalog, iclock, pg_temp
as $$
    select iclock.queue_command($1, 'DATA UPDATE Blacklist ' || iclock.fields(
        'IDNum', iclock.field('id_number', id_number, '^\S+$', 100)))
$$;
comment on function iclock.blacklist_identity_card is
    'Puts an identity card on the blacklist. DATA UPDATE Blacklist, PUSH '
    '12.1.1.18';
grant execute on function iclock.blacklist_identity_card to iclock_operator;


-- templates and photos: content as it is, not base64

-- SDK 3.2.0 counts the fingers from 1 to 10, PUSH from 0 to 9
create or replace function iclock.finger(serial_number text, finger integer)
    returns text
    language sql stable
    set search_path = pg_catalog, iclock, pg_temp
as $$
    select iclock.number('finger', finger, 0,
                         case iclock.dialect($1) when '3.2' then 10 else 9 end)
$$;
comment on function iclock.finger(text, integer) is
    'Number of a finger: 0 to 9, with dialect 3.2 to 10';

create or replace function iclock.put_fingerprint(
        serial_number  text,
        pin            text,
        finger         integer,
        template       bytea,
        valid          integer default 1,
        old_command    boolean default false)
    returns bigint
    language plpgsql security definer
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    record  text;
begin
    if valid not in (0, 1, 3) then
        perform iclock.wrong_argument('valid', format('is %s', valid),
            'It is 0 (invalid), 1 (normal) or 3 (duress).');
    end if;

    record := iclock.template_record(
        iclock.dialect($1), 'FP', iclock.pin(pin), 1,
        iclock.finger($1, finger)::integer, 0, 10, 0, 0,
        iclock.number('valid', valid, 0, 3)::integer, 0,
        iclock.base64('template', template, 20000));

    if iclock.flag('old_command', old_command) = '1' then
        record := replace(record, 'DATA UPDATE FINGERTMP ', 'DATA FP ');
    end if;

    return iclock.queue_command($1, record);
end
$$;
comment on function iclock.put_fingerprint is
    'Puts a fingerprint (algorithm 9 or 10) on a device; valid: 0 no, 1 yes, '
    '3 duress; old_command: in the form of firmware older than SDK 3.2.0, '
    'DATA FP. DATA UPDATE FINGERTMP, PUSH 12.1.1.3, SDK 7.4';
grant execute on function iclock.put_fingerprint to iclock_operator;

create or replace function iclock.delete_fingerprint(
        serial_number  text,
        pin            text,
        finger         integer default null)
    returns bigint
    language sql security definer
    set search_path = pg_catalog, iclock, pg_temp
as $$
    select iclock.queue_command($1, 'DATA DELETE FINGERTMP ' || iclock.fields(
        'PIN', iclock.pin(pin),
        'FID', case when finger is not null
               then iclock.finger($1, finger) end))
$$;
comment on function iclock.delete_fingerprint is
    'Deletes one fingerprint of a user, or all. DATA DELETE FINGERTMP, PUSH '
    '12.1.2.2, SDK 7.7';
grant execute on function iclock.delete_fingerprint to iclock_operator;

create or replace function iclock.delete_all_fingerprints(serial_number text)
    returns bigint
    language sql security definer
    set search_path = pg_catalog, iclock, pg_temp
as $$
    select iclock.queue_command($1, 'DATA DELETE FINGERTMP')
$$;
comment on function iclock.delete_all_fingerprints is
    'Deletes the fingerprints of all users. DATA DELETE FINGERTMP, SDK 7.7';
grant execute on function iclock.delete_all_fingerprints to iclock_operator;

create or replace function iclock.query_fingerprint(
        serial_number  text,
        pin            text,
        finger         integer default null)
    returns bigint
    language sql security definer
    set search_path = pg_catalog, iclock, pg_temp
as $$
    select iclock.queue_command($1, 'DATA QUERY FINGERTMP ' || iclock.fields(
        'PIN', iclock.pin(pin),
        case iclock.dialect($1) when '3.2' then 'FID' else 'FingerID' end,
        case when finger is not null
        then iclock.finger($1, finger) end))
$$;
comment on function iclock.query_fingerprint is
    'Has a device upload one fingerprint of a user, or all. DATA QUERY '
    'FINGERTMP, PUSH 12.1.3, SDK 11.3';
grant execute on function iclock.query_fingerprint to iclock_operator;

create or replace function iclock.query_all_fingerprints(serial_number text)
    returns bigint
    language sql security definer
    set search_path = pg_catalog, iclock, pg_temp
as $$
    select iclock.queue_command($1, 'DATA QUERY FINGERTMP')
$$;
comment on function iclock.query_all_fingerprints is
    'Has a device upload the fingerprints of all users. DATA QUERY FINGERTMP, '
    'SDK 11.3';
grant execute on function iclock.query_all_fingerprints to iclock_operator;

create or replace function iclock.put_face(
        serial_number  text,
        pin            text,
        no             integer,
        template       bytea,
        valid          boolean default true)
    returns bigint
    language sql security definer
    set search_path = pg_catalog, iclock, pg_temp
as $$
    select iclock.queue_command($1, iclock.template_record(
        iclock.dialect($1), 'FACE', iclock.pin(pin), 2,
        iclock.number('no', no, 0, 99)::integer, 0, 7, 0, 0,
        iclock.flag('valid', valid)::integer, 0,
        iclock.base64('template', template, 100000)))
$$;
comment on function iclock.put_face is
    'Puts a near-infrared face template on a device. DATA UPDATE FACE, PUSH '
    '12.1.1.4, SDK 7.5';
grant execute on function iclock.put_face to iclock_operator;

create or replace function iclock.delete_face(
        serial_number  text,
        pin            text)
    returns bigint
    language sql security definer
    set search_path = pg_catalog, iclock, pg_temp
as $$
    select iclock.queue_command($1, 'DATA DELETE FACE '
        || iclock.fields('PIN', iclock.pin(pin)))
$$;
comment on function iclock.delete_face is
    'Deletes the face templates of a user. DATA DELETE FACE, PUSH 12.1.2.3, '
    'SDK 7.8';
grant execute on function iclock.delete_face to iclock_operator;

create or replace function iclock.delete_all_faces(serial_number text)
    returns bigint
    language sql security definer
    set search_path = pg_catalog, iclock, pg_temp
as $$
    select iclock.queue_command($1, 'DATA DELETE FACE')
$$;
comment on function iclock.delete_all_faces is
    'Deletes the face templates of all users. DATA DELETE FACE, SDK 7.8';
grant execute on function iclock.delete_all_faces to iclock_operator;

create or replace function iclock.put_finger_vein(
        serial_number  text,
        pin            text,
        finger         integer,
        index          integer,
        template       bytea,
        valid          boolean default true)
    returns bigint
    language sql security definer
    set search_path = pg_catalog, iclock, pg_temp
as $$
    select iclock.queue_command($1, iclock.template_record(
        iclock.dialect($1), 'FVEIN', iclock.pin(pin), 7,
        iclock.number('finger', finger, 0, 9)::integer,
        iclock.number('index', index, 0, 2)::integer, 3, 0, 0,
        iclock.flag('valid', valid)::integer, 0,
        iclock.base64('template', template, 100000)))
$$;
comment on function iclock.put_finger_vein is
    'Puts a finger vein template on a device. DATA UPDATE FVEIN, PUSH 12.1.1.5';
grant execute on function iclock.put_finger_vein to iclock_operator;

create or replace function iclock.delete_finger_vein(
        serial_number  text,
        pin            text,
        finger         integer default null)
    returns bigint
    language sql security definer
    set search_path = pg_catalog, iclock, pg_temp
as $$
    select iclock.queue_command($1, 'DATA DELETE FVEIN ' || iclock.fields(
        'Pin', iclock.pin(pin),
        'FID', case when finger is not null
               then iclock.number('finger', finger, 0, 9) end))
$$;
comment on function iclock.delete_finger_vein is
    'Deletes the finger vein templates of a finger, or of a user. DATA DELETE '
    'FVEIN, PUSH 12.1.2.4';
grant execute on function iclock.delete_finger_vein to iclock_operator;

create or replace function iclock.put_template(
        serial_number  text,
        pin            text,
        type           integer,
        template       bytea,
        no             integer default 0,
        index          integer default 0,
        major_version  integer default 0,
        minor_version  integer default 0,
        format         integer default 0,
        valid          boolean default true,
        duress         boolean default false)
    returns bigint
    language sql security definer
    set search_path = pg_catalog, iclock, pg_temp
as $$
    select iclock.queue_command($1, iclock.template_record(
        iclock.dialect($1), 'BIODATA', iclock.pin(pin),
        iclock.number('type', type, 0, 99)::integer,
        iclock.number('no', no, 0, 99)::integer,
        iclock.number('index', index, 0, 99)::integer,
        iclock.number('major_version', major_version, 0, 9999)::integer,
        iclock.number('minor_version', minor_version, 0, 9999)::integer,
        iclock.number('format', format, 0, 999)::integer,
        iclock.flag('valid', valid)::integer,
        iclock.flag('duress', duress)::integer,
        iclock.base64('template', template, 1000000)))
$$;
comment on function iclock.put_template is
    'Puts a unified template on a device; types see template.type. DATA '
    'UPDATE BIODATA, PUSH 12.1.1.6';
grant execute on function iclock.put_template to iclock_operator;

create or replace function iclock.delete_template(
        serial_number  text,
        pin            text,
        type           integer default null,
        no             integer default null)
    returns bigint
    language plpgsql security definer
    set search_path = pg_catalog, iclock, pg_temp
as $$
begin
    if no is not null and type is null then
        perform iclock.wrong_argument('no', 'needs "type"');
    end if;

    return iclock.queue_command($1, 'DATA DELETE BIODATA ' || iclock.fields(
        'Pin',  iclock.pin(pin),
        'Type', case when type is not null
                then iclock.number('type', type, 0, 99) end,
        'No',   case when no is not null
                then iclock.number('no', no, 0, 99) end));
end
$$;
comment on function iclock.delete_template is
    'Deletes unified templates of a user: all, of a type, or one. DATA DELETE '
    'BIODATA, PUSH 12.1.2.5';
grant execute on function iclock.delete_template to iclock_operator;

create or replace function iclock.query_template(
        serial_number  text,
        type           integer,
        pin            text    default null,
        no             integer default null)
    returns bigint
    language plpgsql security definer
    set search_path = pg_catalog, iclock, pg_temp
as $$
begin
    if no is not null and pin is null then
        perform iclock.wrong_argument('no', 'needs "pin"');
    end if;

    return iclock.queue_command($1, 'DATA QUERY BIODATA ' || iclock.fields(
        'Type', iclock.number('type', type, 0, 99),
        'PIN',  case when pin is not null then iclock.pin(pin) end,
        'No',   case when no is not null
                then iclock.number('no', no, 0, 99) end));
end
$$;
comment on function iclock.query_template is
    'Has a device upload unified templates: of a type, of a user, or one. '
    'DATA QUERY BIODATA, PUSH 12.1.3';
grant execute on function iclock.query_template to iclock_operator;

create or replace function iclock.put_photo(
        serial_number  text,
        pin            text,
        content        bytea)
    returns bigint
    language sql security definer
    set search_path = pg_catalog, iclock, pg_temp
as $$
    select iclock.queue_command($1, iclock.photo_record(
        iclock.pin(pin), iclock.base64('content', content, 5000000)))
$$;
comment on function iclock.put_photo is
    'Puts the portrait of a user on a device. DATA UPDATE USERPIC, PUSH '
    '12.1.1.7, SDK 7.9';
grant execute on function iclock.put_photo to iclock_operator;

create or replace function iclock.delete_photo(
        serial_number  text,
        pin            text)
    returns bigint
    language sql security definer
    set search_path = pg_catalog, iclock, pg_temp
as $$
    select iclock.queue_command($1, 'DATA DELETE USERPIC '
        || iclock.fields('PIN', iclock.pin(pin)))
$$;
comment on function iclock.delete_photo is
    'Deletes the portrait of a user. DATA DELETE USERPIC, PUSH 12.1.2.6, SDK '
    '7.10';
grant execute on function iclock.delete_photo to iclock_operator;

create or replace function iclock.put_comparison_photo(
        serial_number    text,
        pin              text,
        content          bytea   default null,
        url              text    default null,
        type             integer default 9,
        return_template  boolean default false)
    returns bigint
    language plpgsql security definer
    set search_path = pg_catalog, iclock, pg_temp
as $$
begin
    if (content is null) = (url is null) then
        perform iclock.wrong_argument('url',
            'and "content" are both given, or neither');
    end if;

    return iclock.queue_command($1, iclock.comparison_photo_record(
        iclock.pin(pin),
        iclock.number('type', type, 0, 99)::integer,
        case when content is null then ''
        else iclock.base64('content', content, 5000000) end,
        case when url is null then ''
        else iclock.field('url', url, '^\S+$') end,
        iclock.flag('return_template', return_template)::integer::boolean));
end
$$;
comment on function iclock.put_comparison_photo is
    'Puts a photo for recognition on a device: its content, or a relative '
    'address to fetch it from. DATA UPDATE BIOPHOTO, PUSH 12.1.1.8';
grant execute on function iclock.put_comparison_photo to iclock_operator;

create or replace function iclock.delete_comparison_photo(
        serial_number  text,
        pin            text)
    returns bigint
    language sql security definer
    set search_path = pg_catalog, iclock, pg_temp
as $$
    select iclock.queue_command($1, 'DATA DELETE BIOPHOTO '
        || iclock.fields('PIN', iclock.pin(pin)))
$$;
comment on function iclock.delete_comparison_photo is
    'Deletes the comparison photos of a user. DATA DELETE BIOPHOTO, PUSH '
    '12.1.2.7';
grant execute on function iclock.delete_comparison_photo to iclock_operator;

create or replace function iclock.put_publicity_picture(
        serial_number  text,
        index          integer,
        content        bytea,
        extension      text default 'jpg')
    returns bigint
    language plpgsql security definer
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    data  constant text := iclock.base64('content', content, 5000000);
begin
    return iclock.queue_command($1, 'DATA UPDATE ADPIC ' || iclock.fields(
        'Index',     iclock.number('index', index, 0, 9999),
        'Size',      length(data)::text,
        'Extension', iclock.field('extension', extension,
                                  '^[A-Za-z0-9]{1,10}$'),
        'Content',   data));
end
$$;
comment on function iclock.put_publicity_picture is
    'Puts a picture for show on a device. DATA UPDATE ADPIC, PUSH 12.1.1.11';
grant execute on function iclock.put_publicity_picture to iclock_operator;

create or replace function iclock.delete_publicity_picture(
        serial_number  text,
        index          integer)
    returns bigint
    language sql security definer
    set search_path = pg_catalog, iclock, pg_temp
as $$
    select iclock.queue_command($1, 'DATA DELETE ADPIC '
        || iclock.fields('Index', iclock.number('index', index, 0, 9999)))
$$;
comment on function iclock.delete_publicity_picture is
    'Deletes a picture for show. DATA DELETE ADPIC, PUSH 12.1.2.10';
grant execute on function iclock.delete_publicity_picture to iclock_operator;


-- messages

create or replace function iclock.put_message(
        serial_number  text,
        id             integer,
        message        text,
        kind           text      default 'public',
        minutes        integer   default 60,
        starts         timestamp default null)
    returns bigint
    language plpgsql security definer
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    bytes  constant integer := iclock.device_bytes($1,
        iclock.field('message', message, '\S', 1280));
begin
    if bytes > 320 then
        perform iclock.wrong_argument('message', 'is longer than 320 bytes',
            format('It has %s bytes in the encoding of the device.', bytes));
    end if;

    return iclock.queue_command($1, 'DATA UPDATE SMS ' || iclock.fields(
        'MSG',       message,
        'TAG',       iclock.choice('kind', kind,
                                   array['public', 'user', 'reserved'],
                                   array['253', '254', '255']),
        'UID',       iclock.number('id', id, 0, 65535),
        'MIN',       iclock.number('minutes', minutes, 0, 525600),
        -- by the device's clock
        'StartTime', iclock.moment('starts', coalesce(starts,
            (select timezone(iclock.zone_of(d), now())
               from iclock.device d where d.id = iclock.device_id($1))))));
end
$$;
comment on function iclock.put_message is
    'Puts a short message of up to 320 bytes, in the encoding of the device, '
    'on a device: public, for a user (see assign_message) or reserved; from '
    'now, by the device''s clock, unless said otherwise. DATA UPDATE SMS, '
    'PUSH 12.1.1.9, SDK 7.11.1';
grant execute on function iclock.put_message to iclock_operator;

create or replace function iclock.delete_message(
        serial_number  text,
        id             integer)
    returns bigint
    language sql security definer
    set search_path = pg_catalog, iclock, pg_temp
as $$
    select iclock.queue_command($1, 'DATA DELETE SMS '
        || iclock.fields('UID', iclock.number('id', id, 0, 65535)))
$$;
comment on function iclock.delete_message is
    'Deletes a short message. DATA DELETE SMS, PUSH 12.1.2.8, SDK 7.11.3';
grant execute on function iclock.delete_message to iclock_operator;

create or replace function iclock.delete_all_messages(serial_number text)
    returns bigint
    language sql security definer
    set search_path = pg_catalog, iclock, pg_temp
as $$
    select iclock.queue_command($1, 'DATA DELETE SMS')
$$;
comment on function iclock.delete_all_messages is
    'Deletes all short messages. DATA DELETE SMS, SDK 7.11.3';
grant execute on function iclock.delete_all_messages to iclock_operator;

create or replace function iclock.assign_message(
        serial_number  text,
        pin            text,
        id             integer)
    returns bigint
    language sql security definer
    set search_path = pg_catalog, iclock, pg_temp
as $$
    select iclock.queue_command($1, 'DATA UPDATE USER_SMS ' || iclock.fields(
        'PIN', iclock.pin(pin), 'UID', iclock.number('id', id, 0, 65535)))
$$;
comment on function iclock.assign_message is
    'Shows a short message to a user. DATA UPDATE USER_SMS, PUSH 12.1.1.10, '
    'SDK 7.11.2';
grant execute on function iclock.assign_message to iclock_operator;


-- work codes, job codes, tip codes

create or replace function iclock.put_work_code(
        serial_number  text,
        code           text,
        name           text,
        index          integer default null)
    returns bigint
    language sql security definer
    set search_path = pg_catalog, iclock, pg_temp
as $$
    select iclock.queue_command($1, 'DATA UPDATE WORKCODE '
        || case iclock.dialect($1)
        when '3.2' then
            iclock.fields(
                'CODE', iclock.field('code', code, '^\S+$', 50),
                'Name', iclock.field('name', name, null, 200))
        else
            iclock.fields(
                'PIN',  iclock.number('index', coalesce(index,
                            case when code ~ '^[0-9]{1,9}$'
                                 then code::integer else 1 end),
                            0, 999999999),
                'CODE', iclock.field('code', code, '^\S+$', 50),
                'NAME', iclock.field('name', name, null, 200))
        end)
$$;
comment on function iclock.put_work_code is
    'Puts a work code on a device. DATA UPDATE WORKCODE, PUSH 12.1.1.12, SDK '
    '7.12.1';
grant execute on function iclock.put_work_code to iclock_operator;

create or replace function iclock.delete_work_code(
        serial_number  text,
        code           text)
    returns bigint
    language sql security definer
    set search_path = pg_catalog, iclock, pg_temp
as $$
    select iclock.queue_command($1, 'DATA DELETE WORKCODE '
        || iclock.fields('CODE', iclock.field('code', code, '^\S+$', 50)))
$$;
comment on function iclock.delete_work_code is
    'Deletes a work code. DATA DELETE WORKCODE, PUSH 12.1.2.9, SDK 7.12.2';
grant execute on function iclock.delete_work_code to iclock_operator;

create or replace function iclock.delete_all_work_codes(serial_number text)
    returns bigint
    language sql security definer
    set search_path = pg_catalog, iclock, pg_temp
as $$
    select iclock.queue_command($1, 'DATA DELETE WORKCODE')
$$;
comment on function iclock.delete_all_work_codes is
    'Deletes all work codes. DATA DELETE WORKCODE, SDK 7.12.2';
grant execute on function iclock.delete_all_work_codes to iclock_operator;

create or replace function iclock.put_job_code_group(
        serial_number  text,
        id             integer,
        name           text,
        enabled        boolean default true)
    returns bigint
    language sql security definer
    set search_path = pg_catalog, iclock, pg_temp
as $$
    select iclock.queue_command($1, 'DATA UPDATE JOBCODEGROUP '
        || iclock.fields(
            'ID',     iclock.number('id', id, 1, 6),
            'Name',   iclock.field('name', name, null, 200),
            'Enable', iclock.flag('enabled', enabled)))
$$;
comment on function iclock.put_job_code_group is
    'Puts a group of job codes, 1 to 6, on a device. DATA UPDATE '
    'JOBCODEGROUP, SDK 7.13.1';
grant execute on function iclock.put_job_code_group to iclock_operator;

create or replace function iclock.delete_job_code_group(
        serial_number  text,
        id             integer)
    returns bigint
    language sql security definer
    set search_path = pg_catalog, iclock, pg_temp
as $$
    select iclock.queue_command($1, 'DATA DELETE JOBCODEGROUP '
        || iclock.fields('ID', iclock.number('id', id, 1, 6)))
$$;
comment on function iclock.delete_job_code_group is
    'Deletes a group of job codes. DATA DELETE JOBCODEGROUP, SDK 7.13.3';
grant execute on function iclock.delete_job_code_group to iclock_operator;

create or replace function iclock.put_job_code(
        serial_number  text,
        number         integer,
        name           text,
        group_id       integer)
    returns bigint
    language sql security definer
    set search_path = pg_catalog, iclock, pg_temp
as $$
    select iclock.queue_command($1, 'DATA UPDATE JOBCODE ' || iclock.fields(
        'Number',         iclock.number('number', number, 0, 999999999),
        'Name',           iclock.field('name', name, null, 200),
        'JobCodeGroupId', iclock.number('group_id', group_id, 1, 6)))
$$;
comment on function iclock.put_job_code is
    'Puts a job code into a group. DATA UPDATE JOBCODE, SDK 7.13.2';
grant execute on function iclock.put_job_code to iclock_operator;

create or replace function iclock.delete_job_code(
        serial_number  text,
        number         integer,
        group_id       integer)
    returns bigint
    language sql security definer
    set search_path = pg_catalog, iclock, pg_temp
as $$
    select iclock.queue_command($1, 'DATA DELETE JOBCODE ' || iclock.fields(
        'Number',         iclock.number('number', number, 0, 999999999),
        'JobCodeGroupId', iclock.number('group_id', group_id, 1, 6)))
$$;
comment on function iclock.delete_job_code is
    'Deletes a job code. DATA DELETE JOBCODE, SDK 7.13.4';
grant execute on function iclock.delete_job_code to iclock_operator;

create or replace function iclock.put_tip_code(
        serial_number  text,
        id             integer,
        name           text,
        enabled        boolean default true)
    returns bigint
    language sql security definer
    set search_path = pg_catalog, iclock, pg_temp
as $$
    select iclock.queue_command($1, 'DATA UPDATE TIPCODE ' || iclock.fields(
        'ID',     iclock.number('id', id, 1, 3),
        'Name',   iclock.field('name', name, null, 200),
        'Enable', iclock.flag('enabled', enabled)))
$$;
comment on function iclock.put_tip_code is
    'Puts a tip code, 1 to 3, on a device. DATA UPDATE TIPCODE, SDK 7.14.1';
grant execute on function iclock.put_tip_code to iclock_operator;


-- access

-- from and to of a day, as the two numbers HHMM that devices know
create or replace function iclock.day_period(argument text, value text)
    returns text[]
    language sql immutable
    set search_path = pg_catalog, iclock, pg_temp
as $$
    select regexp_match(
        replace(iclock.field(argument, value,
            '^([01][0-9]|2[0-3]):?[0-5][0-9]-([01][0-9]|2[0-3]):?[0-5][0-9]$'),
            ':', ''),
        '^(.{4})-(.{4})$')
$$;
comment on function iclock.day_period(text, text) is
    'Beginning and end, as HHMM, of a text as 08:00-17:30';

create or replace function iclock.put_time_period(
        serial_number  text,
        id             integer,
        sunday         text default '00:00-23:59',
        monday         text default '00:00-23:59',
        tuesday        text default '00:00-23:59',
        wednesday      text default '00:00-23:59',
        thursday       text default '00:00-23:59',
        friday         text default '00:00-23:59',
        saturday       text default '00:00-23:59')
    returns bigint
    language plpgsql security definer
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    sun  constant text[] := iclock.day_period('sunday', sunday);
    mon  constant text[] := iclock.day_period('monday', monday);
    tue  constant text[] := iclock.day_period('tuesday', tuesday);
    wed  constant text[] := iclock.day_period('wednesday', wednesday);
    thu  constant text[] := iclock.day_period('thursday', thursday);
    fri  constant text[] := iclock.day_period('friday', friday);
    sat  constant text[] := iclock.day_period('saturday', saturday);
    uid  constant text   := iclock.number('id', id, 1, 50);
begin
    if iclock.dialect($1) = '3.2' then
        return iclock.queue_command($1, 'DATA UPDATE TIMEZONE '
            || iclock.fields(
                'TZID', uid,
                'TIME', array_to_string(sun || mon || tue || wed || thu || fri
                                        || sat, '')));
    end if;

    return iclock.queue_command($1, 'DATA UPDATE AccTimeZone ' || iclock.fields(
        'UID',        uid,
        'SunStart',   sun[1], 'SunEnd',   sun[2],
        'MonStart',   mon[1], 'MonEnd',   mon[2],
        'TuesStart',  tue[1], 'TuesEnd',  tue[2],
        'WedStart',   wed[1], 'WedEnd',   wed[2],
        'ThursStart', thu[1], 'ThursEnd', thu[2],
        'FriStart',   fri[1], 'FriEnd',   fri[2],
        'SatStart',   sat[1], 'SatEnd',   sat[2]));
end
$$;
comment on function iclock.put_time_period is
    'Puts an access time period (lockout schedule) on a device: for each day '
    'a text as 08:00-17:30. DATA UPDATE AccTimeZone, PUSH 12.1.1.15; DATA '
    'UPDATE TIMEZONE, SDK 7.15.1';
grant execute on function iclock.put_time_period to iclock_operator;

create or replace function iclock.delete_time_period(
        serial_number  text,
        id             integer)
    returns bigint
    language sql security definer
    set search_path = pg_catalog, iclock, pg_temp
as $$
    select iclock.queue_command($1, 'DATA DELETE TIMEZONE '
        || iclock.fields('TZID', iclock.number('id', id, 1, 50)))
$$;
comment on function iclock.delete_time_period is
    'Resets a time period to the whole day. DATA DELETE TIMEZONE, SDK 7.15.2';
grant execute on function iclock.delete_time_period to iclock_operator;

create or replace function iclock.delete_all_time_periods(serial_number text)
    returns bigint
    language sql security definer
    set search_path = pg_catalog, iclock, pg_temp
as $$
    select iclock.queue_command($1, 'DATA DELETE TIMEZONE')
$$;
comment on function iclock.delete_all_time_periods is
    'Resets all time periods to the whole day. DATA DELETE TIMEZONE, SDK '
    '7.15.2';
grant execute on function iclock.delete_all_time_periods to iclock_operator;

create or replace function iclock.put_access_group(
        serial_number      text,
        id                 integer,
        verify             integer   default 0,
        valid_on_holidays  boolean   default false,
        time_periods       integer[] default '{}',
        group_periods      boolean   default true)
    returns bigint
    language plpgsql security definer
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    periods  integer[] := '{}';
begin
    if coalesce(cardinality(time_periods), 4) > 3 then
        perform iclock.wrong_argument('time_periods',
            'is NULL or has more than three numbers');
    end if;

    for i in 1 .. 3 loop
        periods := periods || iclock.number('time_periods',
            case when i <= cardinality(time_periods)
                 then time_periods[i] else 0 end, 0, 50)::integer;
    end loop;

    if iclock.dialect($1) = '3.2' then
        return iclock.queue_command($1, 'DATA UPDATE AccGroup '
            || iclock.fields(
                'ID',           iclock.number('id', id, 1, 99),
                'Verify',       iclock.number('verify', verify, 0, 255),
                'Validholiday', iclock.flag('valid_on_holidays',
                                            valid_on_holidays),
                'TZ',           upper(lpad(to_hex(periods[1]), 4, '0')
                                      || lpad(to_hex(periods[2]), 4, '0')
                                      || lpad(to_hex(periods[3]), 4, '0'))));
    end if;

    return iclock.queue_command($1, 'DATA UPDATE AccGroup ' || iclock.fields(
        'ID',           iclock.number('id', id, 1, 99),
        'Verify',       iclock.number('verify', verify, 0, 255),
        'ValidHoliday', iclock.flag('valid_on_holidays', valid_on_holidays),
        'TZ',           array_to_string(
                            iclock.flag('group_periods', group_periods)::integer
                            || periods, ';')));
end
$$;
comment on function iclock.put_access_group is
    'Puts an access group with up to three time periods on a device. DATA '
    'UPDATE AccGroup, PUSH 12.1.1.14, SDK 7.15.4';
grant execute on function iclock.put_access_group to iclock_operator;

create or replace function iclock.put_holiday(
        serial_number  text,
        id             integer,
        name           text,
        starts         date,
        ends           date    default null,
        time_period    integer default 1)
    returns bigint
    language sql security definer
    set search_path = pg_catalog, iclock, pg_temp
as $$
    select iclock.queue_command($1, 'DATA UPDATE AccHoliday ' || iclock.fields(
        'UID',         iclock.number('id', id, 0, 999),
        'HolidayName', iclock.field('name', name, null, 200),
        'StartDate',   iclock.moment('starts', starts, 'MMDD'),
        'EndDate',     iclock.moment('ends', coalesce(ends, starts), 'MMDD'),
        'TimeZone',    iclock.number('time_period', time_period, 0, 50)))
$$;
comment on function iclock.put_holiday is
    'Puts a holiday on a device. DATA UPDATE AccHoliday, PUSH 12.1.1.16';
grant execute on function iclock.put_holiday to iclock_operator;

create or replace function iclock.put_unlock_combination(
        serial_number  text,
        id             integer,
        group1         integer,
        group2         integer default 0,
        group3         integer default 0,
        group4         integer default 0,
        group5         integer default 0)
    returns bigint
    language sql security definer
    set search_path = pg_catalog, iclock, pg_temp
as $$
    select iclock.queue_command($1, 'DATA UPDATE AccUnLockComb '
        || iclock.fields(
            'UID',    iclock.number('id', id, 0, 99),
            'Group1', iclock.number('group1', group1, 0, 99),
            'Group2', iclock.number('group2', group2, 0, 99),
            'Group3', iclock.number('group3', group3, 0, 99),
            'Group4', iclock.number('group4', group4, 0, 99),
            'Group5', iclock.number('group5', group5, 0, 99)))
$$;
comment on function iclock.put_unlock_combination is
    'Puts a combination of access groups that opens the door together on a '
    'device. DATA UPDATE AccUnLockComb, PUSH 12.1.1.17';
grant execute on function iclock.put_unlock_combination to iclock_operator;


-- bells, keys, self service

create or replace function iclock.put_bell(
        serial_number  text,
        id             integer,
        rings_at       time,
        days           integer[] default '{0,1,2,3,4,5,6}',
        music          integer   default 0,
        volume         integer   default 67,
        enabled        boolean   default true,
        type           integer   default 0,
        life_time      integer   default 0)
    returns bigint
    language plpgsql security definer
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    flags  constant text[] := iclock.day_flags('days', days);
begin
    return iclock.queue_command($1, 'DATA UPDATE BELL ' || iclock.fields(
        'BellID',       iclock.number('id', id, 0, 999),
        'Time',         iclock.time_of_day('rings_at', rings_at),
        'MusicID',      iclock.number('music', music, 0, 9),
        'Volume',       iclock.number('volume', volume, 0, 99),
        'State',        iclock.flag('enabled', enabled),
        'SUN', flags[1], 'MON', flags[2], 'TUE', flags[3], 'WED', flags[4],
        'THU', flags[5], 'FRI', flags[6], 'SAT', flags[7],
        'BellType',     iclock.number('type', type, 0, 2),
        'BellLifeTime', iclock.number('life_time', life_time, 0, 255)));
end
$$;
comment on function iclock.put_bell is
    'Puts a bell on a device: days from 0 (Sunday) to 6, music 0 to 9, volume '
    '0 to 99, type 0 internal, 1 external, 2 both. DATA UPDATE BELL, SDK '
    '7.16.1';
grant execute on function iclock.put_bell to iclock_operator;

create or replace function iclock.delete_bell(
        serial_number  text,
        id             integer)
    returns bigint
    language sql security definer
    set search_path = pg_catalog, iclock, pg_temp
as $$
    select iclock.queue_command($1, 'DATA DELETE BELL '
        || iclock.fields('BellID', iclock.number('id', id, 0, 999)))
$$;
comment on function iclock.delete_bell is
    'Deletes a bell. DATA DELETE BELL, SDK 7.16.2';
grant execute on function iclock.delete_bell to iclock_operator;

create or replace function iclock.delete_all_bells(serial_number text)
    returns bigint
    language sql security definer
    set search_path = pg_catalog, iclock, pg_temp
as $$
    select iclock.queue_command($1, 'DATA DELETE BELL')
$$;
comment on function iclock.delete_all_bells is
    'Deletes all bells. DATA DELETE BELL, SDK 7.16.2';
grant execute on function iclock.delete_all_bells to iclock_operator;

-- seven times from Sunday to Saturday, NULL where nothing changes
create or replace function iclock.switch_times(times time[])
    returns text[]
    language plpgsql immutable
    set search_path = pg_catalog, iclock, pg_temp
as $$
begin
    if cardinality(times) <> 7 then
        perform iclock.wrong_argument('times', 'has not seven elements',
            'One for each day from Sunday to Saturday, NULL for none.');
    end if;

    return array(select coalesce(to_char(times[i], 'HH24:MI'), '00:00')
                   from generate_series(1, 7) as i order by i);
end
$$;
comment on function iclock.switch_times(time[]) is
    'Seven times as HH:MM, from Sunday; 00:00 for none';

create or replace function iclock.put_shortcut_key(
        serial_number  text,
        key            integer,
        function       integer,
        status_code    integer default 0,
        label          text    default '',
        times          time[]  default null,
        map_value      integer default null,
        job_groups     text    default '0:0:0:0:0:0',
        tip_groups     text    default '0:0:0')
    returns bigint
    language plpgsql security definer
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    switched  constant text[] := iclock.switch_times(times);
    days      constant text[] := array(
        select (times is not null and times[i] is not null)::integer::text
          from generate_series(1, 7) as i order by i);
begin
    perform iclock.number('key', key, 1, 8),
            iclock.number('function', function, 0, 9),
            iclock.number('status_code', status_code, 0, 255),
            iclock.field('label', label, null, 96),
            iclock.number('map_value', coalesce(map_value, 0), 0, 255);

    if iclock.dialect($1) = '3.2' then
        return iclock.queue_command($1, 'DATA UPDATE SHORTKEY '
            || iclock.fields(
                'keyID',      key::text,
                'keyFun',     function::text,
                'stateCode',  status_code::text,
                'keyLabel',   label,
                'mapValue',   coalesce(map_value, status_code)::text,
                'autoChange', (times is not null)::integer::text,
                'Time',       array_to_string(switched, ';') || ';',
                'SUN', days[1], 'MON', days[2], 'TUE', days[3],
                'WED', days[4], 'THU', days[5], 'FRI', days[6],
                'SAT', days[7],
                'JobGroup',   iclock.field('job_groups', job_groups,
                                           '^[01](:[01]){5}$'),
                'TipGroup',   iclock.field('tip_groups', tip_groups,
                                           '^[01](:[01]){2}$')));
    end if;

    return iclock.queue_command($1, 'DATA UPDATE ShortcutKey ' || iclock.fields(
        'KeyID',      key::text,
        'KeyFun',     function::text,
        'StatusCode', status_code::text,
        'ShowName',   label,
        'AutoState',  (times is not null)::integer::text,
        -- this document begins the week with Monday
        'AutoTime',   array_to_string(switched[2:7] || switched[1], ';'),
        'Sun', days[1], 'Mon', days[2], 'Tue', days[3], 'Wed', days[4],
        'Thu', days[5], 'Fri', days[6], 'Sat', days[7]));
end
$$;
comment on function iclock.put_shortcut_key is
    'Sets a shortcut key, 1 (F1) to 8; times: when it comes on by itself, '
    'seven from Sunday to Saturday, NULL for none. DATA UPDATE ShortcutKey, '
    'PUSH 12.1.1.13; DATA UPDATE SHORTKEY, SDK 7.17.3';
grant execute on function iclock.put_shortcut_key to iclock_operator;

create or replace function iclock.put_function_key(
        serial_number  text,
        key            integer,
        function       integer,
        status_code    integer default 0,
        label          text    default '',
        times          time[]  default null)
    returns bigint
    language plpgsql security definer
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    switched  constant text[] := iclock.switch_times(times);
    days      constant text[] := array(
        select (times is not null and times[i] is not null)::integer::text
          from generate_series(1, 7) as i order by i);
begin
    return iclock.queue_command($1, 'DATA UPDATE FUNCTIONKEY ' || iclock.fields(
        'ShortKeyID',      iclock.number('key', key, 1, 8),
        'ShortKeyFun',     iclock.number('function', function, 0, 9),
        'StateCode',       iclock.number('status_code', status_code, 0, 255),
        'StateName',       iclock.field('label', label, null, 96),
        'StateAutoChange', (times is not null)::integer::text,
        'Time',            array_to_string(switched, ';') || ';',
        'SUN', days[1], 'MON', days[2], 'TUE', days[3], 'WED', days[4],
        'THU', days[5], 'FRI', days[6], 'SAT', days[7]));
end
$$;
comment on function iclock.put_function_key is
    'Sets a shortcut key of old firmware. DATA UPDATE FUNCTIONKEY, SDK 7.17.1';
grant execute on function iclock.put_function_key to iclock_operator;

create or replace function iclock.map_status_code(
        serial_number  text,
        status_code    integer,
        value          integer)
    returns bigint
    language sql security definer
    set search_path = pg_catalog, iclock, pg_temp
as $$
    select iclock.queue_command($1, 'DATA UPDATE ATTSTATE ' || iclock.fields(
        'AttStateKey',   iclock.number('status_code', status_code, 0, 255),
        'AttStateValue', iclock.number('value', value, 0, 255)))
$$;
comment on function iclock.map_status_code is
    'Which status punches get for the status code of a key. DATA UPDATE '
    'ATTSTATE, SDK 7.17.2';
grant execute on function iclock.map_status_code to iclock_operator;

create or replace function iclock.reset_function_keys(serial_number text)
    returns bigint
    language sql security definer
    set search_path = pg_catalog, iclock, pg_temp
as $$
    select iclock.queue_command($1, 'RESET ALL FUNCKEYS')
$$;
comment on function iclock.reset_function_keys is
    'Sets the shortcut keys back. RESET ALL FUNCKEYS, SDK 3';
grant execute on function iclock.reset_function_keys to iclock_operator;

create or replace function iclock.reset_time_periods(serial_number text)
    returns bigint
    language sql security definer
    set search_path = pg_catalog, iclock, pg_temp
as $$
    select iclock.queue_command($1, 'RESET ALL TIMEZONE')
$$;
comment on function iclock.reset_time_periods is
    'Resets all time periods to the whole day. RESET ALL TIMEZONE, SDK 3';
grant execute on function iclock.reset_time_periods to iclock_operator;

create or replace function iclock.put_self_service(
        serial_number   text,
        service_number  integer,
        name            text,
        enabled         boolean default true)
    returns bigint
    language sql security definer
    set search_path = pg_catalog, iclock, pg_temp
as $$
    select iclock.queue_command($1, 'DATA UPDATE SELFSERVICEINFO '
        || iclock.fields(
            'ServiceNum',  iclock.number('service_number', service_number,
                                         0, 9999),
            'ServiceName', iclock.field('name', name, null, 200),
            'Enable',      iclock.flag('enabled', enabled)))
$$;
comment on function iclock.put_self_service is
    'Puts a self service on a device. DATA UPDATE SELFSERVICEINFO, SDK 13.1';
grant execute on function iclock.put_self_service to iclock_operator;


-- attendance

create or replace function iclock.query_attendance(
        serial_number  text,
        starts         timestamp,
        ends           timestamp)
    returns bigint
    language sql security definer
    set search_path = pg_catalog, iclock, pg_temp
as $$
    select iclock.queue_command($1, 'DATA QUERY ATTLOG '
        || iclock.time_range(iclock.dialect($1), starts, ends))
$$;
comment on function iclock.query_attendance is
    'Has a device upload the punches between two local times. DATA QUERY '
    'ATTLOG, PUSH 12.1.3, SDK 11.2';
grant execute on function iclock.query_attendance to iclock_operator;

create or replace function iclock.query_attendance_photos(
        serial_number  text,
        starts         timestamp,
        ends           timestamp)
    returns bigint
    language sql security definer
    set search_path = pg_catalog, iclock, pg_temp
as $$
    select iclock.queue_command($1, 'DATA QUERY ATTPHOTO '
        || iclock.time_range(iclock.dialect($1), starts, ends))
$$;
comment on function iclock.query_attendance_photos is
    'Has a device upload the photos of punches between two local times. DATA '
    'QUERY ATTPHOTO, PUSH 12.1.3';
grant execute on function iclock.query_attendance_photos to iclock_operator;

create or replace function iclock.query_attendance_count(
        serial_number  text,
        starts         timestamp,
        ends           timestamp)
    returns bigint
    language sql security definer
    set search_path = pg_catalog, iclock, pg_temp
as $$
    select iclock.queue_command($1, 'VERIFY SUM ATTLOG '
        || iclock.time_range(iclock.dialect($1), starts, ends))
$$;
comment on function iclock.query_attendance_count is
    'Asks a device how many punches it holds between two local times; the '
    'answer is in the reply. VERIFY SUM, PUSH 12.3.3';
grant execute on function iclock.query_attendance_count to iclock_operator;

create or replace function iclock.check_data(serial_number text)
    returns bigint
    language sql security definer
    set search_path = pg_catalog, iclock, pg_temp
as $$
    select iclock.queue_command($1, 'CHECK')
$$;
comment on function iclock.check_data is
    'Has a device read its options and stamps and upload what is new. CHECK, '
    'PUSH 12.3.1, SDK 2';
grant execute on function iclock.check_data to iclock_operator;

create or replace function iclock.send_new_data(serial_number text)
    returns bigint
    language sql security definer
    set search_path = pg_catalog, iclock, pg_temp
as $$
    select iclock.queue_command($1, 'LOG')
$$;
comment on function iclock.send_new_data is
    'Has a device upload what is new at once. LOG, PUSH 12.3.2';
grant execute on function iclock.send_new_data to iclock_operator;


-- clearing

create or replace function iclock.clear_attendance(serial_number text)
    returns bigint
    language sql security definer
    set search_path = pg_catalog, iclock, pg_temp
as $$
    select iclock.queue_command($1, 'CLEAR LOG')
$$;
comment on function iclock.clear_attendance is
    'Deletes all punches from a device, also those it has not uploaded. CLEAR '
    'LOG, PUSH 12.2.1, SDK 3';
grant execute on function iclock.clear_attendance to iclock_operator;

create or replace function iclock.clear_attendance_photos(serial_number text)
    returns bigint
    language sql security definer
    set search_path = pg_catalog, iclock, pg_temp
as $$
    select iclock.queue_command($1, 'CLEAR PHOTO')
$$;
comment on function iclock.clear_attendance_photos is
    'Deletes all photos of punches from a device. CLEAR PHOTO, PUSH 12.2.2, '
    'SDK 3';
grant execute on function iclock.clear_attendance_photos to iclock_operator;

create or replace function iclock.clear_data(serial_number text)
    returns bigint
    language sql security definer
    set search_path = pg_catalog, iclock, pg_temp
as $$
    select iclock.queue_command($1, 'CLEAR DATA')
$$;
comment on function iclock.clear_data is
    'Deletes everything from a device, also what it has not uploaded. CLEAR '
    'DATA, PUSH 12.2.3, SDK 3';
grant execute on function iclock.clear_data to iclock_operator;

create or replace function iclock.clear_templates(serial_number text)
    returns bigint
    language sql security definer
    set search_path = pg_catalog, iclock, pg_temp
as $$
    select iclock.queue_command($1, 'CLEAR BIODATA')
$$;
comment on function iclock.clear_templates is
    'Deletes all unified templates from a device. CLEAR BIODATA, PUSH 12.2.4';
grant execute on function iclock.clear_templates to iclock_operator;

create or replace function iclock.clear_users(serial_number text)
    returns bigint
    language sql security definer
    set search_path = pg_catalog, iclock, pg_temp
as $$
    select iclock.queue_command($1, 'CLEAR ALL USERINFO')
$$;
comment on function iclock.clear_users is
    'Deletes all users with their templates from a device. CLEAR ALL '
    'USERINFO, SDK 3';
grant execute on function iclock.clear_users to iclock_operator;

create or replace function iclock.clear_bells(serial_number text)
    returns bigint
    language sql security definer
    set search_path = pg_catalog, iclock, pg_temp
as $$
    select iclock.queue_command($1, 'CLEAR ALL BELL')
$$;
comment on function iclock.clear_bells is
    'Deletes all bells. CLEAR ALL BELL, SDK 3';
grant execute on function iclock.clear_bells to iclock_operator;


-- options

create or replace function iclock.set_option(
        serial_number  text,
        name           text,
        value          text)
    returns bigint
    language plpgsql security definer
    set search_path = pg_catalog, iclock, pg_temp
as $$
begin
    if value like '%,%' then
        perform iclock.wrong_argument('value', 'contains a comma',
            'Devices take a comma for the end of the option.');
    end if;

    return iclock.queue_command($1, 'SET OPTION ' || iclock.fields(
        iclock.field('name', $2, '^~?[A-Za-z][A-Za-z0-9_]*$', 100),
        iclock.field('value', $3)));
end
$$;
comment on function iclock.set_option is
    'Sets an option of a device. SET OPTION, PUSH 12.4.1, SDK 5';
grant execute on function iclock.set_option to iclock_operator;

create or replace function iclock.reload_options(serial_number text)
    returns bigint
    language sql security definer
    set search_path = pg_catalog, iclock, pg_temp
as $$
    select iclock.queue_command($1, 'RELOAD OPTIONS')
$$;
comment on function iclock.reload_options is
    'Has a device read its options again. RELOAD OPTIONS, PUSH 12.4.2';
grant execute on function iclock.reload_options to iclock_operator;

create or replace function iclock.query_options(serial_number text)
    returns bigint
    language sql security definer
    set search_path = pg_catalog, iclock, pg_temp
as $$
    select iclock.queue_command($1, 'INFO')
$$;
comment on function iclock.query_options is
    'Has a device report its options: see device_setting. INFO, PUSH 12.4.3, '
    'SDK 4';
grant execute on function iclock.query_options to iclock_operator;


-- files

create or replace function iclock.get_file(
        serial_number  text,
        path           text)
    returns bigint
    language sql security definer
    set search_path = pg_catalog, iclock, pg_temp
as $$
    select iclock.queue_command($1, 'GetFile '
        || iclock.field('path', path, '^\S+$'))
$$;
comment on function iclock.get_file is
    'Fetches a file from a device, into command.reply; for members of '
    'iclock_shell. GetFile, PUSH 12.5.1, SDK 10.1';
grant execute on function iclock.get_file to iclock_operator;

-- A package for SyncData and AppendData holds the lines of commands; what the file
-- in it is called is not documented.  Who has one sends it with queue_command().
create or replace function iclock.put_file(
        serial_number  text,
        url            text,
        path           text default null)
    returns bigint
    language sql security definer
    set search_path = pg_catalog, iclock, pg_temp
as $$
    select iclock.queue_command($1,
        'PutFile ' || iclock.field('url', url, '^\S+$')
        || coalesce(case iclock.dialect($1) when '3.2' then ' ' else E'\t' end
                    || case when path is not null
                       then iclock.field('path', path, '^\S+$') end, ''))
$$;
comment on function iclock.put_file is
    'Has a device fetch a file from an address, for members of iclock_shell; '
    'path: where to, by default /mnt/mtdblock, where .tgz files are unpacked. '
    'PutFile, PUSH 12.5.2, SDK 10.2';
grant execute on function iclock.put_file to iclock_operator;


-- enrolment at the device

create or replace function iclock.enroll_fingerprint(
        serial_number  text,
        pin            text,
        finger         integer,
        retries        integer default 3,
        overwrite      boolean default true)
    returns bigint
    language sql security definer
    set search_path = pg_catalog, iclock, pg_temp
as $$
    select iclock.queue_command($1, 'ENROLL_FP ' || iclock.fields(
        'PIN',       iclock.pin(pin),
        'FID',       iclock.finger($1, finger),
        'RETRY',     iclock.number('retries', retries, 0, 99),
        -- "2 - not overwrite" is what the old document says
        'OVERWRITE', case when iclock.flag('overwrite', overwrite) = '1'
                     then '1'
                     when iclock.dialect($1) = '3.2' then '2'
                     else '0' end))
$$;
comment on function iclock.enroll_fingerprint is
    'Asks for a finger at the device. ENROLL_FP, PUSH 12.6.1, SDK 12.1';
grant execute on function iclock.enroll_fingerprint to iclock_operator;

create or replace function iclock.enroll_card(
        serial_number  text,
        pin            text,
        retries        integer default 3)
    returns bigint
    language sql security definer
    set search_path = pg_catalog, iclock, pg_temp
as $$
    select iclock.queue_command($1, 'ENROLL_MF ' || iclock.fields(
        'PIN',   iclock.pin(pin),
        'RETRY', iclock.number('retries', retries, 0, 99)))
$$;
comment on function iclock.enroll_card is
    'Asks for a card at the device. ENROLL_MF, PUSH 12.6.2';
grant execute on function iclock.enroll_card to iclock_operator;

create or replace function iclock.enroll_template(
        serial_number  text,
        pin            text,
        type           integer,
        card           text    default '',
        retries        integer default 3,
        overwrite      boolean default true)
    returns bigint
    language sql security definer
    set search_path = pg_catalog, iclock, pg_temp
as $$
    select iclock.queue_command($1, 'ENROLL_BIO ' || iclock.fields(
        'TYPE',      iclock.number('type', type, 0, 99),
        'PIN',       iclock.pin(pin),
        'CardNo',    iclock.field('card', card,
                                  '^([0-9]{0,20}|\[[0-9A-Fa-f]{0,20}\])$'),
        'RETRY',     iclock.number('retries', retries, 0, 99),
        'OVERWRITE', iclock.flag('overwrite', overwrite)))
$$;
comment on function iclock.enroll_template is
    'Asks for a face, a palm or another type of template at the device. '
    'ENROLL_BIO, PUSH 12.6.3';
grant execute on function iclock.enroll_template to iclock_operator;


-- control

create or replace function iclock.reboot(serial_number text)
    returns bigint
    language sql security definer
    set search_path = pg_catalog, iclock, pg_temp
as $$
    select iclock.queue_command($1, 'REBOOT')
$$;
comment on function iclock.reboot is
    'Restarts a device. REBOOT, PUSH 12.7.1, SDK 6';
grant execute on function iclock.reboot to iclock_operator;

-- a door that opens long after somebody asked for it is a hazard
create or replace function iclock.unlock_door(
        serial_number  text,
        expires        interval default '1 minute')
    returns bigint
    language sql security definer
    set search_path = pg_catalog, iclock, pg_temp
as $$
    select iclock.queue_command($1, 'AC_UNLOCK', 100,
                                coalesce(expires, '1 minute'))
$$;
comment on function iclock.unlock_door is
    'Opens the door, unless the device asks later than given: a door that '
    'opens late is a hazard. AC_UNLOCK, PUSH 12.7.2, SDK 8';
grant execute on function iclock.unlock_door to iclock_operator;

create or replace function iclock.cancel_alarm(serial_number text)
    returns bigint
    language sql security definer
    set search_path = pg_catalog, iclock, pg_temp
as $$
    select iclock.queue_command($1, 'AC_UNALARM', 100)
$$;
comment on function iclock.cancel_alarm is
    'Ends an alarm. AC_UNALARM, PUSH 12.7.3, SDK 9';
grant execute on function iclock.cancel_alarm to iclock_operator;

create or replace function iclock.run_shell(
        serial_number  text,
        command        text)
    returns bigint
    language sql security definer
    set search_path = pg_catalog, iclock, pg_temp
as $$
    select iclock.queue_command($1, 'SHELL '
        || iclock.field('command', command, '\S', 2000))
$$;
comment on function iclock.run_shell is
    'Runs a command of the device''s operating system; for members of '
    'iclock_shell. SHELL, PUSH 12.8.1, SDK 1';
grant execute on function iclock.run_shell to iclock_operator;

create or replace function iclock.upgrade_firmware(
        serial_number  text,
        url            text,
        checksum       text,
        size           integer,
        method         text default 'raw',
        file           text default null)
    returns bigint
    language plpgsql security definer
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    -- what the module serves it from, below its directory of files
    path     constant text := coalesce(file, substring(url from '[^/\\]+$'));
    command  bigint;
begin
    perform iclock.field('url', url, '^[^\s,]+$'),
            iclock.field('checksum', checksum, '^[0-9A-Za-z]{1,64}$'),
            iclock.number('size', size, 1, 2147483647),
            iclock.choice('method', method, array['raw', 'base64'], '{}'),
            iclock.field('file', path,
                '^[A-Za-z0-9_][A-Za-z0-9._-]*(/[A-Za-z0-9_][A-Za-z0-9._-]*)*$');

    command := iclock.queue_command($1, case method
        when 'raw' then
            format('UPGRADE type=1,checksum=%s,size=%s,url=%s',
                   checksum, size, url)
        else
            format('UPGRADE checksum=%s,url=%s,size=%s', checksum, url, size)
        end);

    insert into iclock.upgrade (command_id, url, path, encoding)
    values (command, $2, path, $5);

    return command;
end
$$;
comment on function iclock.upgrade_firmware is
    'Has a device fetch and install firmware, for members of iclock_shell; '
    'method raw or base64; file: what the module serves it from, by default '
    'the last part of the address. UPGRADE, PUSH 12.8.2';
grant execute on function iclock.upgrade_firmware to iclock_operator;
