-- Commands that set what a device shows, asks for and opens: see
-- commands_people.sql for what all of them have in common.

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
    'Puts a short message of up to 320 bytes, in the encoding of the '
    'device, on a device: public, for a user (see assign_message) or '
    'reserved; from now, by the device''s clock, unless you give another '
    'time. DATA UPDATE SMS, PUSH 12.1.1.9, SDK 7.11.1';
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
