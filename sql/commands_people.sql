-- A function for each command of the two documents, attendance PUSH 2.4.1 and
-- push SDK 3.2.0.  Those that put something on a device are called put_..., those
-- that take it off delete_... or clear_..., those that have it uploaded
-- query_....
--
-- Where the dialects differ, device.dialect chooses.  A command that only one
-- of the documents knows goes to any device: one that cannot execute it says so
-- in its answer.

-- signatures of earlier versions: next to those of today, with their defaults,
-- a call would be ambiguous
drop function if exists
    iclock.put_user(text, text, text, integer, text, text, integer, text,
                    integer, text),
    iclock.put_fingerprint(text, text, integer, bytea, integer);


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
    former  iclock.device_user;
begin
    select d.* into device
      from iclock.device d
     where d.id = iclock.device_id($1);

    select u.* into known
      from iclock.device_user u
     where u.device_id = device.id and u.pin = $2;

    -- the card and the password of somebody else, maybe
    if found and iclock.is_former(known) then
        former := known;
        known := null;
    end if;

    if isfinite(starts_at) then
        perform iclock.moment('starts_at', starts_at);
    end if;
    if isfinite(ends_at) then
        perform iclock.moment('ends_at', ends_at);
    end if;

    starts_at := coalesce(starts_at, known.starts_at);
    ends_at := coalesce(ends_at, known.ends_at);

    -- those of the former are taken back, should the deletion fail
    if isfinite(former.starts_at) or isfinite(former.ends_at) then
        starts_at := coalesce(starts_at, '-infinity');
        ends_at := coalesce(ends_at, 'infinity');
    end if;

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
    'Puts a user on a device. Arguments that you leave out stay as the '
    'device reported them, unless it was told to delete the user. time_zone in '
    'the form of its dialect; starts_at, ends_at: from when until when the '
    'user may come in, infinity for no limit any more. DATA UPDATE USERINFO, '
    'PUSH 12.1.1.1, SDK 7.2';
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
