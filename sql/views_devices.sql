-- Views of devices, of their commands and of what else they report: see
-- views_attendance.sql for what all of them have in common.

create or replace view iclock.device_status
    with (security_barrier)
as
select d.id                                      as device_id,
       d.serial_number,
       d.name,
       d.site,
       d.status,
       d.status = 'active'
           and coalesce(seen.last_seen
                        > now() - iclock.silence_after(d.delay, d.told_delay),
                        false)
                                                 as online,
       seen.last_seen,
       now() - seen.last_seen                    as silent_for,
       d.first_seen,
       d.ip_address,
       recent.clock_skew,
       c.waiting_commands,
       c.sent_commands,
       c.oldest_waiting_at,
       d.timezone,
       d.dialect,
       d.push_version,
       d.firmware,
       d.language,
       d.user_count,
       d.fingerprint_count,
       d.face_count,
       d.punch_count,
       l.label                                   as language_label
  from iclock.device d
  left join iclock.device_presence e on e.device_id = d.id
  -- the device's own is not as exact, but all there is of a new one
  cross join lateral
       (select greatest(e.last_seen, d.last_seen) as last_seen) as seen
  left join iclock.label l
         on l.kind = 'language' and l.dialect = d.dialect
        and l.code = d.language
  cross join lateral
       (select count(*) filter (where w.status = 'queued') as waiting_commands,
               count(*) filter (where w.status = 'sent')   as sent_commands,
               min(w.created_at) filter (where w.status = 'queued')
                                                     as oldest_waiting_at
          from iclock.command w
         where w.device_id = d.id
           and w.status in ('queued', 'sent')
           and (w.status = 'sent' or w.expires_at is null
                or w.expires_at > now())) as c
  cross join lateral
       (select max(r.punched_at - r.received_at) as clock_skew
          from (select p.punched_at, p.received_at
                  from iclock.punch p
                 where p.device_id = d.id
                   and p.local_time > localtimestamp - interval '2 days'
                   and p.local_time < localtimestamp + interval '2 days'
                 order by p.local_time desc
                 limit 20) as r) as recent
 where iclock.may_see(d.site, (select iclock.visible_sites()))
   and not d.sandbox;
comment on view iclock.device_status is 'How the devices are doing';
comment on column iclock.device_status.device_id is 'Device';
comment on column iclock.device_status.serial_number is 'Serial number';
comment on column iclock.device_status.name is 'Name';
comment on column iclock.device_status.site is 'Where it stands';
comment on column iclock.device_status.status is 'pending, active, blocked';
comment on column iclock.device_status.online is
    'Active, and has called within five minutes, or three times its delay if '
    'that is longer';
comment on column iclock.device_status.last_seen is 'When it last called';
comment on column iclock.device_status.silent_for is 'How long ago that was';
comment on column iclock.device_status.first_seen is 'When it first connected';
comment on column iclock.device_status.ip_address is
    'Its own address, as it reports it';
comment on column iclock.device_status.clock_skew is
    'How far its clock is ahead (negative: behind, or uploading late), '
    'estimated from the most timely of the last 20 punches of two days; NULL: '
    'no punches';
comment on column iclock.device_status.waiting_commands is
    'Commands queued and not expired';
comment on column iclock.device_status.sent_commands is
    'Commands sent and not answered';
comment on column iclock.device_status.oldest_waiting_at is
    'When the oldest waiting command was queued';
comment on column iclock.device_status.timezone is
    'Time zone of its clock; NULL: as directive iclock_timezone';
comment on column iclock.device_status.dialect is 'Meaning of its codes';
comment on column iclock.device_status.push_version is
    'Protocol version it speaks';
comment on column iclock.device_status.firmware is 'Firmware version';
comment on column iclock.device_status.language is 'Language';
comment on column iclock.device_status.user_count is 'Users; -1: not reported';
comment on column iclock.device_status.fingerprint_count is
    'Fingerprints; -1: not reported';
comment on column iclock.device_status.face_count is 'Faces; -1: not reported';
comment on column iclock.device_status.punch_count is
    'Punches on the device; -1: not reported';
comment on column iclock.device_status.language_label is
    'Language, by the dialect of the device; NULL: not known';
grant select on iclock.device_status to iclock_reader, iclock_operator;

-- The option tells hundreds of punches; device_option_room_idx has those that
-- are short enough.
create or replace view iclock.device_storage
    with (security_barrier)
as
select d.id                                             as device_id,
       d.punch_count,
       o.value::integer * 100                           as capacity,
       round(d.punch_count / (o.value::numeric * 100), 3) as ratio
  from iclock.device d
  join iclock.device_option o
    on o.device_id = d.id and o.name = 'MaxAttLogCount'
   and octet_length(o.value) <= 32
 where d.punch_count >= 0
   and case when o.value ~ '^0*[1-9][0-9]{0,5}$' then true end
   and iclock.may_see(d.site, (select iclock.visible_sites()));
comment on view iclock.device_storage is
    'How much of their room for punches devices have used, as far as they '
    'report it';
comment on column iclock.device_storage.device_id is 'Device';
comment on column iclock.device_storage.punch_count is 'Punches on the device';
comment on column iclock.device_storage.capacity is
    'How many it can hold: MaxAttLogCount';
comment on column iclock.device_storage.ratio is
    'The former as a part of the latter';
grant select on iclock.device_storage to iclock_reader, iclock_operator;

-- A list of what is shown: nobody knows what firmware calls its secrets.  With
-- or without "~", in any case.
create or replace view iclock.device_setting
    with (security_barrier)
as
select o.device_id,
       d.serial_number,
       o.name,
       o.value,
       o.updated_at
  from iclock.device_option o
  join iclock.device d on d.id = o.device_id
 where iclock.may_see(d.site, (select iclock.visible_sites()))
   and lower(ltrim(o.name, '~')) = any (array[
           -- what it is
           'serialnumber', 'devicename', 'devicetype', 'machinetype', 'oemvendor',
           'platform', 'producttime', 'firmver', 'fwversion', 'mainversion',
           'pushversion', 'language', 'locale', 'deviceid',
           -- how it is connected
           'commtype', 'ipaddress', 'netmask', 'gateipaddress', 'dhcp', 'wifidhcp',
           'dns', 'mac', 'wifi', 'webserverip', 'webserverport',
           'webserverurlmodel', 'enableproxyserver', 'proxyserverip',
           'proxyserverport', 'rs232on', 'rs232baudrate', 'rs485on',
           'timezone', 'daylightsavingtimeon', 'transtimes', 'transinterval',
           'delay', 'errordelay', 'realtime',
           -- what it holds, and can hold
           'usercount', 'admincount', 'fpcount', 'facecount', 'fvcount', 'pvcount',
           'photocount', 'transactioncount', 'attlogcount', 'oplogcount',
           'maxusercount', 'maxattlogcount', 'maxfingercount',
           'maxuserfingercount', 'maxfacecount', 'maxfvcount', 'maxpvcount',
           'maxuserphotocount', 'maxbiophotocount', 'maxpackagesize',
           'multibiodatacount', 'multibiophotocount', 'maxmultibiodatacount',
           'maxmultibiophotocount',
           -- what it can do
           'fpversion', 'zkfpversion', 'faceversion', 'zkfaceversion',
           'fvversion', 'zkfvversion', 'pvversion', 'multibioversion',
           'multibiodatasupport', 'multibiophotosupport', 'biophotofun',
           'biodatafun', 'visilightfun', 'facefunon', 'fingerfunon', 'fvfunon',
           'pvfunon', 'photofunon', 'lockfunon', 'cardprotformat',
           'isonlyrfmachine', 'issupportqrcode', 'qrcodeenable',
           'subcontractingupgradefunon', 'irtempdetectionfunon',
           'maskdetectionfunon', 'iclocksvrfun', 'overallantifunon',
           'uservalidtimefun', 'verifystyles', 'eventtypes',
           'accsupportfunlist', 'lockcount', 'readercount', 'auxincount',
           'auxoutcount', 'mthreshold', 'vthreshold', 'facemthr', 'facevthr',
           -- how it is set
           'volume', 'keypadbeep', 'dateformat', 'ampmformatfunon', 'workcode',
           'must1to1', 'onlypincard', 'alarmattlog', 'alarmrerec', 'delrecord',
           'lockon', 'antipassbackon', 'masterslaveon', 'defaultgroup',
           'idlepower', 'idleminute', 'autopoweron', 'autopoweroff',
           'autopowersuspend', 'imefunon', 'printeron']);
comment on view iclock.device_setting is
    'Options that devices reported, of a list of those that are no secrets';
comment on column iclock.device_setting.device_id is 'Device';
comment on column iclock.device_setting.serial_number is
    'Serial number of the device';
comment on column iclock.device_setting.name is 'Name of the option';
comment on column iclock.device_setting.value is 'Value as reported';
comment on column iclock.device_setting.updated_at is 'When it was reported';
grant select on iclock.device_setting to iclock_reader, iclock_operator;

create or replace view iclock.command_status
    with (security_barrier)
as
select c.id,
       c.device_id,
       d.serial_number,
       -- the command and its table, or the name of the option
       case
       when c.body ~* '^(DATA|SET|QUERY|UPDATE|DELETE)\M'
       then substring(c.body from '^[^ =\t]+(?: [^ =\t]+){0,2}')
       else substring(c.body from '^[^ =\t]+')
       end                             as command,
       substring(c.body from '(?:^|[ \t])(?:PIN|Pin)=([^\t]*)')
                                       as pin,
       c.status,
       c.priority,
       c.not_before,
       c.expires_at,
       c.attempts,
       c.return_code,
       c.created_at,
       c.created_by,
       c.sent_at,
       c.finished_at,
       coalesce(
           case when c.return_code > 0 and c.status = 'done'
                then 'success, with a count, a size or a status' end,
           (select l.label
              from iclock.command_result_label l
             where l.code = c.return_code
               and l.dialect in ('', d.dialect)
               and starts_with(upper(c.body), upper(l.command))
             order by length(l.command) desc, l.dialect desc
             limit 1),
           case when c.status = 'failed' and c.return_code is null
                then 'no answer'
                when c.return_code is not null
                then 'unknown code ' || c.return_code end)
                                       as result
  from iclock.command c
  join iclock.device d on d.id = c.device_id
 where iclock.may_see(d.site, (select iclock.visible_sites()));
comment on view iclock.command_status is
    'Commands and what became of them, without their fields: those may hold '
    'passwords and templates';
comment on column iclock.command_status.id is
    'Key, as returned by the function that queued it';
comment on column iclock.command_status.device_id is 'Device';
comment on column iclock.command_status.serial_number is
    'Serial number of the device';
comment on column iclock.command_status.command is
    'The command and what it is about, as DATA UPDATE USERINFO';
comment on column iclock.command_status.pin is 'User it is about';
comment on column iclock.command_status.status is
    'queued, sent, done, failed, expired, cancelled';
comment on column iclock.command_status.priority is 'Higher goes first';
comment on column iclock.command_status.not_before is
    'Not given to the device earlier';
comment on column iclock.command_status.expires_at is
    'Not given to the device later';
comment on column iclock.command_status.attempts is
    'How often it was given to the device';
comment on column iclock.command_status.return_code is
    'What the device answered';
comment on column iclock.command_status.created_at is 'When it was queued';
comment on column iclock.command_status.created_by is
    'Who queued it: a role, that of SET ROLE or else the login, or api: and '
    'the name of a key';
comment on column iclock.command_status.sent_at is
    'When it was last given to the device';
comment on column iclock.command_status.finished_at is
    'When it got its final status';
comment on column iclock.command_status.result is
    'Meaning of the return code, by command_result_label; NULL: no answer yet';
grant select on iclock.command_status to iclock_reader, iclock_operator;

create or replace view iclock.reconciliation
    with (security_barrier)
as
select k.id,
       k.device_id,
       d.serial_number,
       d.site,
       k.starts,
       k.ends,
       k.status,
       k.device_count,
       k.stored_count,
       -- NULL as long as one of them is
       case when k.device_count > k.stored_count
            then k.device_count - k.stored_count
            else (k.device_count - k.stored_count) * 0 end
                                                    as missing,
       k.attempts,
       k.max_attempts,
       k.command_id,
       c.status                                     as command_status,
       c.return_code,
       k.created_at,
       k.created_by,
       k.finished_at,
       case k.status
       when 'asking'  then 'the terminal is asked how many punches it holds'
       when 'filling' then 'the terminal is asked to upload the range again'
       when 'agreed'  then 'as many punches are stored as the terminal holds'
       when 'surplus' then 'more punches are stored than the terminal holds: '
                           'it has deleted some'
       when 'differs' then 'punches that the terminal counts do not arrive'
       when 'resent'  then 'the terminal has uploaded the range again; it '
                           'cannot be asked for a number, as '
                           || case d.dialect
                              when '3.2' then 'push SDK 3.2.0 has no '
                              else 'its firmware does not know ' end
                           || 'VERIFY SUM'
       else case when c.status = 'cancelled' then 'the command was cancelled'
                 when c.return_code is null then 'the terminal did not answer'
                 when c.return_code < 0
                 then 'the terminal answered with error ' || c.return_code
                 when exists (select
                                from iclock.punch_state s
                               where tsrange(k.starts, k.ends, '[]')
                                     && any (s.dropped))
                 then 'drop_before() has dropped punches of the range'
                 else 'the answer holds no number' end end
                                                    as note
  from iclock.attendance_check k
  join iclock.device d on d.id = k.device_id
  left join iclock.command c on c.id = k.command_id
 where iclock.may_see(d.site, (select iclock.visible_sites()));
comment on view iclock.reconciliation is
    'Whether the punches on the devices have all arrived, by '
    'verify_attendance(), verify_all() and iclock_verify_interval';
comment on column iclock.reconciliation.id is 'Key';
comment on column iclock.reconciliation.device_id is 'Device';
comment on column iclock.reconciliation.serial_number is
    'Serial number of the device';
comment on column iclock.reconciliation.site is 'Where it stands';
comment on column iclock.reconciliation.starts is
    'Beginning of the range, by the device''s clock';
comment on column iclock.reconciliation.ends is 'End of the range, inclusive';
comment on column iclock.reconciliation.status is
    'asking, filling, agreed, surplus, differs, failed: see '
    'attendance_check.status';
comment on column iclock.reconciliation.device_count is
    'Punches on the device when it was last asked';
comment on column iclock.reconciliation.stored_count is
    'Punches in the table then';
comment on column iclock.reconciliation.missing is
    'Punches of the device that the table had not, then';
comment on column iclock.reconciliation.attempts is
    'How often the range was uploaded again';
comment on column iclock.reconciliation.max_attempts is 'How often at most';
comment on column iclock.reconciliation.command_id is
    'Command it waits for, or waited for last';
comment on column iclock.reconciliation.command_status is
    'What became of that command';
comment on column iclock.reconciliation.return_code is
    'What the device answered to it';
comment on column iclock.reconciliation.created_at is 'When it was queued';
comment on column iclock.reconciliation.created_by is
    'Who queued it: a role, that of SET ROLE or else the login, or api: and '
    'the name of a key';
comment on column iclock.reconciliation.finished_at is
    'When it came to its end';
comment on column iclock.reconciliation.note is 'How it stands, in words';
grant select on iclock.reconciliation to iclock_reader, iclock_operator;

create or replace view iclock.operation_log
    with (security_barrier)
as
select o.device_id,
       d.serial_number,
       d.name                   as device_name,
       d.site,
       o.local_time,
       o.operated_at,
       o.code,
       l.label                  as operation,
       o.operator,
       nullif(a.name, '')       as operator_name,
       case when o1.label = 'PIN' then nullif(o.object1, '0') end
                                as pin,
       nullif(u.name, '')       as user_name,
       coalesce(r2.label, r1.label)
                                as alarm,
       o.object1,
       o1.label                 as object1_label,
       o.object2,
       o2.label                 as object2_label,
       o.object3,
       o3.label                 as object3_label,
       o.object4,
       o.received_at
  from iclock.operation o
  join iclock.device d on d.id = o.device_id
  left join iclock.label l
         on l.kind = 'operation' and l.dialect = d.dialect
        and l.code = o.code::text
  left join iclock.label o1
         on o1.kind = 'operation object 1' and o1.dialect = d.dialect
        and o1.code = o.code::text
  left join iclock.label o2
         on o2.kind = 'operation object 2' and o2.dialect = d.dialect
        and o2.code = o.code::text
  left join iclock.label o3
         on o3.kind = 'operation object 3' and o3.dialect = d.dialect
        and o3.code = o.code::text
  -- devices put the reason into the first object, whatever the document says
  left join iclock.label r1
         on r1.kind = 'alarm' and r1.dialect = d.dialect
        and r1.code = o.object1 and o.code = 3
  left join iclock.label r2
         on r2.kind = 'alarm' and r2.dialect = d.dialect
        and r2.code = o.object2 and o.code = 3
  left join iclock.device_user a
         on a.device_id = o.device_id and a.pin = o.operator
  left join iclock.device_user u
         on u.device_id = o.device_id and u.pin = o.object1
        and o1.label = 'PIN'
 where iclock.may_see(d.site, (select iclock.visible_sites()));
comment on view iclock.operation_log is
    'Operations with the meaning of their codes and objects, and names';
comment on column iclock.operation_log.device_id is 'Device';
comment on column iclock.operation_log.serial_number is
    'Serial number of the device';
comment on column iclock.operation_log.device_name is 'Name of the device';
comment on column iclock.operation_log.site is 'Where the device stands';
comment on column iclock.operation_log.local_time is
    'Date and time shown by the device';
comment on column iclock.operation_log.operated_at is 'The moment';
comment on column iclock.operation_log.code is 'Operation as sent';
comment on column iclock.operation_log.operation is
    'Operation by the dialect of the device; NULL: not known';
comment on column iclock.operation_log.operator is
    'PIN of the administrator; 0: nobody';
comment on column iclock.operation_log.operator_name is
    'Name the device has for that PIN';
comment on column iclock.operation_log.pin is 'User the operation was about';
comment on column iclock.operation_log.user_name is
    'Name the device has for that PIN';
comment on column iclock.operation_log.alarm is 'Reason of an alarm';
comment on column iclock.operation_log.object1 is 'First object as sent';
comment on column iclock.operation_log.object1_label is
    'What the first object is';
comment on column iclock.operation_log.object2 is 'Second object as sent';
comment on column iclock.operation_log.object2_label is
    'What the second object is';
comment on column iclock.operation_log.object3 is 'Third object as sent';
comment on column iclock.operation_log.object3_label is
    'What the third object is';
comment on column iclock.operation_log.object4 is 'Fourth object as sent';
comment on column iclock.operation_log.received_at is 'When it was stored';
grant select on iclock.operation_log to iclock_reader, iclock_operator;

create or replace view iclock.device_error_log
    with (security_barrier)
as
select e.id,
       e.device_id,
       d.serial_number,
       d.name                   as device_name,
       d.site,
       e.received_at,
       e.code,
       l.label,
       g.label                  as generator,
       m.label                  as module,
       e.message,
       e.origin,
       o.label                  as origin_label,
       c.id                     as command_id,
       c.command,
       c.pin,
       c.status                 as command_status,
       c.return_code,
       c.result,
       e.additional
  from iclock.device_error e
  join iclock.device d on d.id = e.device_id
  left join iclock.label l
         on l.kind = 'error' and l.dialect = '2.4' and l.code = e.code
  -- the parts of a code
  left join iclock.label g
         on g.kind = 'error generator' and g.dialect = '2.4'
        and g.code = substr(e.code, 1, 1)
  left join iclock.label m
         on m.kind = 'error module' and m.dialect = '2.4'
        and m.code = substr(e.code, 1, 3)
  left join iclock.label o
         on o.kind = 'error origin' and o.dialect = '2.4'
        and o.code = e.origin
  -- the device knows the last nine digits of an id: the youngest that it can
  -- have meant
  left join lateral
       (select k.id
          from unnest(array(select generate_series(0, max(l.id), 1000000000)
                              from iclock.command l)) as m (multiple)
         cross join lateral
               (select c.id
                  from iclock.command c
                 where c.id = m.multiple
                              + case when e.command_id ~ '^[0-9]{1,9}$'
                                     then e.command_id::bigint end
                   and c.device_id = e.device_id
                   and c.created_at <= e.received_at
                 limit 1) as k
         order by k.id desc
         limit 1) as k on true
  left join lateral
       (select s.id, s.command, s.pin, s.status, s.return_code, s.result
          from iclock.command_status s
         where s.id = k.id
         limit 1) as c on true
 where iclock.may_see(d.site, (select iclock.visible_sites()));
comment on view iclock.device_error_log is
    'Errors that devices reported, with the command each is about';
comment on column iclock.device_error_log.id is 'Key';
comment on column iclock.device_error_log.device_id is 'Device';
comment on column iclock.device_error_log.serial_number is
    'Serial number of the device';
comment on column iclock.device_error_log.device_name is 'Name of the device';
comment on column iclock.device_error_log.site is 'Where the device stands';
comment on column iclock.device_error_log.received_at is 'When it was stored';
comment on column iclock.device_error_log.code is 'Error code as sent';
comment on column iclock.device_error_log.label is
    'Meaning of the code; NULL: not known';
comment on column iclock.device_error_log.generator is
    'Who made the code, by its first character';
comment on column iclock.device_error_log.module is
    'Part of the device, by the first three characters';
comment on column iclock.device_error_log.message is 'Message of the device';
comment on column iclock.device_error_log.origin is
    'Where the data came from, as sent';
comment on column iclock.device_error_log.origin_label is
    'Where the data came from';
comment on column iclock.device_error_log.command_id is
    'Command it is about; NULL: none, or not known';
comment on column iclock.device_error_log.command is
    'That command, without its fields';
comment on column iclock.device_error_log.pin is 'User the command was about';
comment on column iclock.device_error_log.command_status is
    'What became of the command';
comment on column iclock.device_error_log.return_code is
    'What the device answered to the command';
comment on column iclock.device_error_log.result is 'Meaning of that answer';
comment on column iclock.device_error_log.additional is
    'What the device added, base64 of JSON';
grant select on iclock.device_error_log to iclock_reader, iclock_operator;

create or replace view iclock.attendance_photo
    with (security_barrier)
as
select p.device_id,
       d.serial_number,
       d.name                   as device_name,
       d.site,
       p.pin,
       nullif(u.name, '')       as user_name,
       p.taken_at,
       p.result,
       l.label                  as result_label,
       p.file_name,
       octet_length(p.content)  as bytes,
       p.received_at
  from iclock.photo p
  join iclock.device d on d.id = p.device_id
  left join iclock.device_user u
         on u.device_id = p.device_id and u.pin = p.pin
  left join iclock.label l
         on l.kind = 'photo result' and l.dialect = '2.4'
        and l.code = p.result::text
 where p.kind = 'attendance'
   and iclock.may_see(d.site, (select iclock.visible_sites()));
comment on view iclock.attendance_photo is
    'Photos of punches, without the pictures';
comment on column iclock.attendance_photo.device_id is 'Device';
comment on column iclock.attendance_photo.serial_number is
    'Serial number of the device';
comment on column iclock.attendance_photo.device_name is 'Name of the device';
comment on column iclock.attendance_photo.site is 'Where the device stands';
comment on column iclock.attendance_photo.pin is
    'User; empty: nobody recognized';
comment on column iclock.attendance_photo.user_name is
    'Name the device has for the PIN';
comment on column iclock.attendance_photo.taken_at is
    'Date and time shown by the device';
comment on column iclock.attendance_photo.result is 'Result as sent';
comment on column iclock.attendance_photo.result_label is
    'Meaning of the result';
comment on column iclock.attendance_photo.file_name is
    'Name of the file, key within photo';
comment on column iclock.attendance_photo.bytes is 'Size of the picture';
comment on column iclock.attendance_photo.received_at is 'When it was stored';
grant select on iclock.attendance_photo to iclock_reader, iclock_operator;

create or replace view iclock.identity_card_log
    with (security_barrier)
as
select i.device_id,
       d.serial_number,
       d.name                   as device_name,
       d.site,
       i.id_number,
       i.pin,
       i.name,
       i.gender,
       g.label                  as gender_label,
       i.nation,
       n.label                  as nation_label,
       i.birthday,
       i.valid_info,
       i.address,
       i.issuer,
       i.updated_at
  from iclock.identity_card i
  join iclock.device d on d.id = i.device_id
  left join iclock.label g
         on g.kind = 'gender' and g.dialect = '2.4'
        and g.code = i.gender::text
  left join iclock.label n
         on n.kind = 'nation' and n.dialect = '2.4'
        and n.code = i.nation::text
 where iclock.may_see(d.site, (select iclock.visible_sites()));
comment on view iclock.identity_card_log is
    'Identity cards that were read, with the meaning of their codes; for '
    'iclock_reader_cards';
comment on column iclock.identity_card_log.device_id is 'Device';
comment on column iclock.identity_card_log.serial_number is
    'Serial number of the device';
comment on column iclock.identity_card_log.device_name is 'Name of the device';
comment on column iclock.identity_card_log.site is 'Where the device stands';
comment on column iclock.identity_card_log.id_number is 'Identity number';
comment on column iclock.identity_card_log.pin is
    'User the card is bound to; 0: none';
comment on column iclock.identity_card_log.name is 'Name on the card';
comment on column iclock.identity_card_log.gender is 'Gender as sent';
comment on column iclock.identity_card_log.gender_label is 'Gender';
comment on column iclock.identity_card_log.nation is 'Ethnic group as sent';
comment on column iclock.identity_card_log.nation_label is 'Ethnic group';
comment on column iclock.identity_card_log.birthday is 'Date of birth as sent';
comment on column iclock.identity_card_log.valid_info is 'Validity as sent';
comment on column iclock.identity_card_log.address is 'Address';
comment on column iclock.identity_card_log.issuer is 'Issuer';
comment on column iclock.identity_card_log.updated_at is 'When it was stored';
grant select on iclock.identity_card_log to iclock_reader_cards;
