-- Views for analysts.  They read with their owner's rights: a reader sees the
-- columns listed here and no others.

create or replace view iclock.attendance
    with (security_barrier)
as
select p.device_id,
       d.serial_number,
       d.name                          as device_name,
       d.site,
       p.pin,
       nullif(u.name, '')              as user_name,
       p.local_time,
       p.punched_at,
       timezone('UTC', p.punched_at)   as utc_time,
       d.timezone,
       p.status,
       s.label                         as status_label,
       s.direction,
       p.verify,
       v.label                         as verify_label,
       p.work_code,
       nullif(w.name, '')              as work_code_name,
       case when (select has_column_privilege('iclock.identity_card',
                                              'id_number', 'select'))
            then p.id_number end       as id_number,
       p.record_type,
       p.mask,
       p.temperature,
       p.job_codes,
       p.tip_codes,
       p.received_at
  from iclock.punch p
  join iclock.device d on d.id = p.device_id
  left join iclock.device_user u
         on u.device_id = p.device_id and u.pin = p.pin
  left join iclock.work_code w
         on w.device_id = p.device_id and w.code = p.work_code
  left join iclock.status_label s
         on s.dialect = d.dialect and s.code = p.status
  left join iclock.verify_label v
         on v.dialect = d.dialect and v.code = p.verify
 where iclock.may_see(d.site, (select iclock.visible_sites()));

create or replace view iclock.daily_attendance
    with (security_barrier)
as
select p.pin,
       p.local_time::date                        as day,
       max(nullif(u.name, ''))                   as user_name,
       count(*)                                  as punches,
       min(p.local_time)                         as first_local_time,
       max(p.local_time)                         as last_local_time,
       min(p.punched_at)                         as first_punched_at,
       max(p.punched_at)                         as last_punched_at,
       max(p.punched_at) - min(p.punched_at)     as span,
       array_agg(distinct d.serial_number)       as serial_numbers,
       array_agg(distinct d.site)
           filter (where d.site is not null)     as sites
  from iclock.punch p
  join iclock.device d on d.id = p.device_id
  left join iclock.device_user u
         on u.device_id = p.device_id and u.pin = p.pin
 where iclock.may_see(d.site, (select iclock.visible_sites()))
 group by p.pin, p.local_time::date;

-- A condition on the day does not pick partitions, one on local_time does.
create or replace function iclock.daily_attendance_between(
        first_day  date,
        last_day   date)
    returns setof iclock.daily_attendance
    language sql stable
    set search_path = pg_catalog, iclock, pg_temp
as $$
select p.pin,
       p.local_time::date,
       max(nullif(u.name, '')),
       count(*),
       min(p.local_time),
       max(p.local_time),
       min(p.punched_at),
       max(p.punched_at),
       max(p.punched_at) - min(p.punched_at),
       array_agg(distinct d.serial_number),
       array_agg(distinct d.site) filter (where d.site is not null)
  from iclock.punch p
  join iclock.device d on d.id = p.device_id
  left join iclock.device_user u
         on u.device_id = p.device_id and u.pin = p.pin
 where p.local_time >= first_day::timestamp
   and p.local_time < (last_day + 1)::timestamp
 group by p.pin, p.local_time::date
$$;

create or replace view iclock.device_status
    with (security_barrier)
as
select d.id                                      as device_id,
       d.serial_number,
       d.name,
       d.site,
       d.status,
       d.status = 'active'
           and coalesce(seen.last_seen > now() - interval '5 minutes', false)
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
       d.punch_count
  from iclock.device d
  left join iclock.device_presence e on e.device_id = d.id
  -- the device's own is not as exact, but all there is of a new one
  cross join lateral
       (select greatest(e.last_seen, d.last_seen) as last_seen) as seen
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
 where iclock.may_see(d.site, (select iclock.visible_sites()));

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
                           'cannot be asked for a number, as push SDK 3.2.0 '
                           'has no VERIFY SUM'
       else case when c.status = 'cancelled' then 'the command was cancelled'
                 when c.return_code is null then 'the terminal did not answer'
                 when c.return_code < 0
                 then 'the terminal answered with error ' || c.return_code
                 else 'the answer holds no number' end end
                                                    as note
  from iclock.attendance_check k
  join iclock.device d on d.id = k.device_id
  left join iclock.command c on c.id = k.command_id
 where iclock.may_see(d.site, (select iclock.visible_sites()));
