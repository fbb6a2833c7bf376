-- Commands to a device as such: what it uploads, clears, fetches and does.  See
-- commands_people.sql for what all of them have in common.

-- signatures of earlier versions: next to those of today, with their defaults,
-- a call would be ambiguous
drop function if exists
    iclock.put_file(text, text, text, text, text, integer);


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

-- A package for SyncData and AppendData holds the lines of commands; the name
-- of the file in it is not documented.  If you have a package, send it with
-- queue_command().
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
    -- devices put it into a query as it is: "GET /iclock/file?SN=...&url=..."
    perform iclock.field('url', url, '^[^\s,&%#]+$'),
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
