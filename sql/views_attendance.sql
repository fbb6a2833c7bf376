-- Views for analysts.  They read with their owner's rights: a reader sees the
-- columns listed here and no others.
--
-- Here: punches, and what is made of them.

create or replace view iclock.attendance
    with (security_barrier)
as
select p.device_id,
       d.serial_number,
       d.name                          as device_name,
       d.site,
       p.pin,
       case when d.elsewhere
            -- those whom the device knows now are others
            then (select nullif(e.name, '')
                    from iclock.device o
                    join iclock.device_user e on e.device_id = o.id
                   where o.site = d.site and o.sandbox = d.sandbox
                     and e.pin = p.pin
                   order by e.updated_at desc
                   limit 1)
            else nullif(u.name, '') end
                                       as user_name,
       p.local_time,
       p.punched_at,
       timezone('UTC', p.punched_at)   as utc_time,
       coalesce(d.timezone, d.default_timezone, 'UTC')
                                       as timezone,
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
       p.received_at,
       -- an identity card that was compared with its holder: it shows that a
       -- user was there if it succeeded and the card is that of a user
       (p.record_type <> 1
           or (p.status = 0 and p.pin <> '' and p.pin <> '0'))
                                       as counts,
       (p.local_time - coalesce(t.day_starts, time '00:00'))::date
                                       as shift_day
  from iclock.punch p
  join (select h.id, h.serial_number, h.name, h.site, h.timezone,
               h.default_timezone, h.dialect,
               h.site_since           as starts,
               timestamp 'infinity'   as ends,
               false                  as elsewhere,
               h.sandbox
          from iclock.device h
         union all
        select h.id, h.serial_number, h.name, m.site, h.timezone,
               h.default_timezone, h.dialect, m.starts, m.ends, true,
               h.sandbox
          from iclock.device_site m
          join iclock.device h on h.id = m.device_id) as d
    on d.id = p.device_id
   and p.local_time >= d.starts
   and p.local_time < d.ends
  left join iclock.device_user u
         on u.device_id = p.device_id and u.pin = p.pin
  left join iclock.work_code w
         on w.device_id = p.device_id and w.code = p.work_code
  left join iclock.site t on t.name = d.site
  left join iclock.status_label s
         on s.dialect = d.dialect and s.code = p.status
        and s.record_type = case p.record_type when 1 then 1 else 0 end
  left join iclock.verify_label v
         on v.dialect = d.dialect and v.code = p.verify
        and v.record_type = case p.record_type when 1 then 1 else 0 end
 where iclock.may_see(d.site, (select iclock.visible_sites()))
   -- simulated ones are for test keys of the API, which says so
   and (not d.sandbox
        or (select current_setting('iclock.simulated', true)
                   is not distinct from 'on'));
comment on view iclock.attendance is
    'Punches with device, user and the meaning of the codes. Restrict '
    'local_time: that picks the partitions';
comment on column iclock.attendance.device_id is 'Device';
comment on column iclock.attendance.serial_number is
    'Serial number of the device';
comment on column iclock.attendance.device_name is 'Name of the device';
comment on column iclock.attendance.site is
    'Where the device stood: see move_device()';
comment on column iclock.attendance.pin is 'User: PIN on the device';
comment on column iclock.attendance.user_name is
    'Name the device has for the PIN; if it was moved since, another device '
    'of the site';
comment on column iclock.attendance.local_time is
    'Date and time shown by the device';
comment on column iclock.attendance.punched_at is
    'The moment, see punch.punched_at on hours that occur twice or not at all';
comment on column iclock.attendance.utc_time is
    'The moment as date and time in UTC';
comment on column iclock.attendance.timezone is
    'Time zone of the clock of the device';
comment on column iclock.attendance.status is 'Kind of punch as sent';
comment on column iclock.attendance.status_label is
    'Kind of punch by the dialect of the device; NULL: not known';
comment on column iclock.attendance.direction is
    'in, out or NULL, by the kind of punch';
comment on column iclock.attendance.verify is
    'How the user was verified, as sent';
comment on column iclock.attendance.verify_label is
    'How the user was verified, by the dialect of the device; NULL: not known';
comment on column iclock.attendance.work_code is 'Work code';
comment on column iclock.attendance.work_code_name is
    'Name the device has for the work code';
comment on column iclock.attendance.id_number is
    'Identity number; NULL for who is no member of iclock_reader_cards';
comment on column iclock.attendance.record_type is 'Record type; -1: not sent';
comment on column iclock.attendance.mask is
    'Whether a mask was worn: 1 yes, 0 no, -1 not sent';
comment on column iclock.attendance.temperature is 'Body temperature';
comment on column iclock.attendance.job_codes is 'Job codes';
comment on column iclock.attendance.tip_codes is 'Tip codes';
comment on column iclock.attendance.received_at is 'When it was stored';
comment on column iclock.attendance.counts is
    'Whether it shows that the user was there: not a failed verification of '
    'an identity card, not a card of nobody';
comment on column iclock.attendance.shift_day is
    'Day of the site, which begins at site.day_starts';
grant select on iclock.attendance to iclock_reader, iclock_operator;

-- When the last punch was that counted.  One that follows it too soon in the same
-- direction is a double one, and does not make the next one double.  Double ones
-- have the direction of the one that counted: it has turned if that of the punch
-- before was another.  It is called for each punch: no search_path.
create or replace function iclock.last_counted(
        last        timestamp,
        local_time  timestamp,
        turned      boolean,
        too_soon    interval)
    returns timestamp
    language plpgsql immutable parallel safe
as $$
begin
    return case when last is null or turned or local_time - last >= too_soon
                then local_time else last end;
end
$$;
comment on function iclock.last_counted(timestamp, timestamp, boolean, interval)
    is
    'A step of counted_until()';

create or replace aggregate iclock.counted_until(
        local_time timestamp, turned boolean, too_soon interval)
(
    sfunc = iclock.last_counted,
    stype = timestamp,
    parallel = safe
);
comment on aggregate iclock.counted_until(timestamp, boolean, interval) is
    'For views: when the last punch was that is not a double one, by a window';
grant execute on function iclock.counted_until(timestamp, boolean, interval)
    to iclock_reader, iclock_operator;

-- Days of people: from midnight, or by_shift from the time at which the day of
-- the site starts.  A row is a site and a PIN: the same PIN elsewhere may be
-- somebody else.
--
-- Functions for analysts set no search_path, so that PostgreSQL can take their
-- query into that of the caller and read only the partitions of these days.  Six
-- hours before the first day decide which of its punches are double.
create or replace function iclock.attendance_days(
        first_day  date,
        last_day   date,
        by_shift   boolean,
        devices    bigint[])
    returns table (
        site              text,
        pin               text,
        day               date,
        user_name         text,
        punches           bigint,
        first_local_time  timestamp,
        last_local_time   timestamp,
        first_punched_at  timestamptz,
        last_punched_at   timestamptz,
        span              interval,
        serial_numbers    text[])
    language sql stable
as $$
select c.site,
       c.pin,
       c.day,
       max(c.user_name),
       count(*),
       min(c.local_time),
       max(c.local_time),
       min(c.punched_at),
       max(c.punched_at),
       max(c.punched_at) - min(c.punched_at),
       array_agg(distinct c.serial_number)
  from (select b.*,
               iclock.counted_until(b.local_time, b.turned, b.too_soon)
                   over (partition by b.site, b.pin
                         order by b.local_time, b.status, b.device_id
                         rows unbounded preceding) as counted_until
          from (select a.site,
                       a.pin,
                       case when by_shift then a.shift_day
                            else a.local_time::date end as day,
                       a.user_name,
                       a.local_time,
                       a.punched_at,
                       a.status,
                       a.device_id,
                       a.serial_number,
                       coalesce(t.double_punch_interval, '0') as too_soon,
                       lag(a.local_time) over person as before,
                       a.direction is distinct from lag(a.direction) over person
                           as turned
                  from iclock.attendance a
                  left join iclock.site t on t.name = a.site
                 where a.counts
                   and (devices is null or a.device_id = any (devices))
                   and a.local_time >= first_day::timestamp - interval '6 hours'
                   and a.local_time
                       < (last_day + case when by_shift then 2 else 1 end)
                         ::timestamp
                window person as (partition by a.site, a.pin
                                  order by a.local_time, a.status,
                                           a.device_id)) as b) as c
 where c.day between first_day and last_day
   and c.counted_until = c.local_time
   and (c.turned or c.too_soon = '0' or c.before is distinct from c.local_time)
 group by c.site, c.pin, c.day
$$;
comment on function iclock.attendance_days(date, date, boolean, bigint[]) is
    'Days of people by site and PIN, from midnight or by the days of the '
    'sites, by the punches of some devices; NULL: of all';
grant execute on function iclock.attendance_days(date, date, boolean, bigint[])
    to iclock_reader, iclock_operator;

create or replace function iclock.attendance_days(
        first_day  date,
        last_day   date,
        by_shift   boolean)
    returns table (
        site              text,
        pin               text,
        day               date,
        user_name         text,
        punches           bigint,
        first_local_time  timestamp,
        last_local_time   timestamp,
        first_punched_at  timestamptz,
        last_punched_at   timestamptz,
        span              interval,
        serial_numbers    text[])
    language sql stable
as $$
select d.* from iclock.attendance_days(first_day, last_day, by_shift, null) as d
$$;
comment on function iclock.attendance_days(date, date, boolean) is
    'Days of people by site and PIN, from midnight or by the days of the '
    'sites; daily_attendance and shift_attendance are made of it';
grant execute on function iclock.attendance_days(date, date, boolean)
    to iclock_reader, iclock_operator;

-- A condition on a day does not get past the windows that look for double punches.
-- As long as punches are few, all of them are read in less time than it takes to
-- ask day by day.  PostgreSQL asks this when it plans a query, and plans only what
-- is meant: therefore immutable, which it is not; the rows are the same ones.
create or replace function iclock.days_at_once()
    returns boolean
    language plpgsql immutable parallel safe
    set search_path = pg_catalog, pg_temp
as $$
begin
    return (select coalesce(sum(c.reltuples), 0) < 200000
              from pg_inherits i
              join pg_class c on c.oid = i.inhrelid
             where i.inhparent = 'iclock.punch'::regclass);
end
$$;
comment on function iclock.days_at_once() is
    'For views of days: whether punches are so few that all of them are read, '
    'whatever days are asked for';

-- For views that are asked for some days of many: a condition on a day gets here.  Views ask this with
-- the rights of the caller: what it tells are days only.
create or replace function iclock.punch_days()
    returns setof date
    language plpgsql stable security definer
    set search_path = pg_catalog, iclock, pg_temp
    set jit = off
as $$
declare
    unbounded  record;
    found      date[];
    days       date[];
begin
    -- of punch and not of the partition, which may belong to somebody else
    for unbounded in
        select p.starts, p.ends
          from iclock.punch_partitions() as p
         where not isfinite(p.starts)
            or not isfinite(p.ends)
    loop
        execute 'select array_agg(distinct f.local_time::date) '
                '  from iclock.punch f '
                ' where f.local_time >= $1 and f.local_time < $2'
           into found
          using unbounded.starts, unbounded.ends;
        days := days || found;
    end loop;

    -- a partition may begin and end at any time of a day
    return query
    select g.day::date
      from iclock.punch_partitions() as p
     cross join lateral generate_series(
                   date_trunc('day', p.starts), p.ends - interval '1 microsecond',
                   interval '1 day') as g (day)
     where isfinite(p.starts)
       and isfinite(p.ends)
     union
    select f.local_time::date
      from iclock.punch_default f
     union
    select unnest(days);
end
$$;
comment on function iclock.punch_days() is
    'For views: days of which there may be punches';

-- No query is planned and compiled (jit) for all partitions when this is called
-- for the days that a view is asked for, but for one day each time.
create or replace function iclock.attendance_day(
        day       date,
        by_shift  boolean)
    returns table (
        site              text,
        pin               text,
        user_name         text,
        punches           bigint,
        first_local_time  timestamp,
        last_local_time   timestamp,
        first_punched_at  timestamptz,
        last_punched_at   timestamptz,
        span              interval,
        serial_numbers    text[])
    language plpgsql stable rows 100
    set search_path = pg_catalog, iclock, pg_temp
    set jit = off
as $$
begin
    return query
    select d.site, d.pin, d.user_name, d.punches, d.first_local_time,
           d.last_local_time, d.first_punched_at, d.last_punched_at, d.span,
           d.serial_numbers
      from iclock.attendance_days($1, $1, $2) as d;
end
$$;
comment on function iclock.attendance_day(date, boolean) is
    'The rows of attendance_days() of one day';
-- The views name punch, which itself has no rows, so that they wait for who moves
-- punches between partitions before they look what is there: the functions see
-- what the query saw when it began.
create or replace view iclock.daily_attendance
    with (security_barrier)
as
select d.pin,
       d.day,
       d.user_name,
       d.punches,
       d.first_local_time,
       d.last_local_time,
       d.first_punched_at,
       d.last_punched_at,
       d.span,
       d.serial_numbers,
       case when d.site is not null then array[d.site] end   as sites,
       d.site
  from iclock.attendance_days('-infinity', 'infinity', false) as d
 where iclock.days_at_once()
 union all
select d.pin,
       a.day,
       d.user_name,
       d.punches,
       d.first_local_time,
       d.last_local_time,
       d.first_punched_at,
       d.last_punched_at,
       d.span,
       d.serial_numbers,
       case when d.site is not null then array[d.site] end   as sites,
       d.site
  from iclock.punch_days() as a (day)
 cross join lateral iclock.attendance_day(a.day, false) as d
 where not iclock.days_at_once()
   and not exists (select from only iclock.punch);
comment on view iclock.daily_attendance is
    'First and last punch of each site and PIN on each local day: a PIN is '
    'one person on a site. Restrict day: that picks what is read. For months '
    'and for all days of a person use iclock.daily_attendance_between()';
comment on column iclock.daily_attendance.pin is 'User';
comment on column iclock.daily_attendance.day is
    'Day by the clocks of the devices';
comment on column iclock.daily_attendance.user_name is
    'Name a device has for the PIN';
comment on column iclock.daily_attendance.punches is
    'Number of punches, double ones left out';
comment on column iclock.daily_attendance.first_local_time is
    'Earliest time shown by a device';
comment on column iclock.daily_attendance.last_local_time is
    'Latest time shown by a device';
comment on column iclock.daily_attendance.first_punched_at is 'First moment';
comment on column iclock.daily_attendance.last_punched_at is 'Last moment';
comment on column iclock.daily_attendance.span is
    'Time that really passed between them: also right across time zones and '
    'on days when the clocks change';
comment on column iclock.daily_attendance.serial_numbers is 'Devices used';
comment on column iclock.daily_attendance.sites is
    'The site as an array; NULL: none';
comment on column iclock.daily_attendance.site is
    'Site; NULL: the devices without one';
grant select on iclock.daily_attendance to iclock_reader, iclock_operator;

create or replace function iclock.daily_attendance_between(
        first_day  date,
        last_day   date)
    returns setof iclock.daily_attendance
    language sql stable
as $$
select d.pin,
       d.day,
       d.user_name,
       d.punches,
       d.first_local_time,
       d.last_local_time,
       d.first_punched_at,
       d.last_punched_at,
       d.span,
       d.serial_numbers,
       case when d.site is not null then array[d.site] end,
       d.site
  from iclock.attendance_days(first_day, last_day, false) as d
$$;
comment on function iclock.daily_attendance_between(date, date) is
    'The rows of daily_attendance of some days, reading only the partitions '
    'of their months';
grant execute on function iclock.daily_attendance_between(date, date)
    to iclock_reader, iclock_operator;

create or replace view iclock.shift_attendance
    with (security_barrier)
as
select d.*
  from iclock.attendance_days('-infinity', 'infinity', true) as d
 where iclock.days_at_once()
 union all
select d.site,
       d.pin,
       a.day,
       d.user_name,
       d.punches,
       d.first_local_time,
       d.last_local_time,
       d.first_punched_at,
       d.last_punched_at,
       d.span,
       d.serial_numbers
  -- before midnight is the day before
  from (select p.day from iclock.punch_days() as p (day)
         union
        select p.day - 1 from iclock.punch_days() as p (day)) as a
 cross join lateral iclock.attendance_day(a.day, true) as d
 where not iclock.days_at_once()
   and not exists (select from only iclock.punch);
comment on view iclock.shift_attendance is
    'First and last punch of each person on each day of the site, which '
    'begins at site.day_starts: a shift over midnight is one row. Restrict '
    'day: that picks what is read. For months and for all days of a '
    'person use iclock.shift_attendance_between()';
comment on column iclock.shift_attendance.site is
    'Site; NULL: the devices without one';
comment on column iclock.shift_attendance.pin is
    'User: the same PIN on another site is another row';
comment on column iclock.shift_attendance.day is
    'Day on which the day of the site began';
comment on column iclock.shift_attendance.user_name is
    'Name a device of the site has for the PIN';
comment on column iclock.shift_attendance.punches is
    'Number of punches, double ones left out';
comment on column iclock.shift_attendance.first_local_time is
    'Earliest time shown by a device';
comment on column iclock.shift_attendance.last_local_time is
    'Latest time shown by a device';
comment on column iclock.shift_attendance.first_punched_at is 'First moment';
comment on column iclock.shift_attendance.last_punched_at is 'Last moment';
comment on column iclock.shift_attendance.span is
    'Time that really passed between them';
comment on column iclock.shift_attendance.serial_numbers is 'Devices used';
grant select on iclock.shift_attendance to iclock_reader, iclock_operator;

create or replace function iclock.shift_attendance_between(
        first_day  date,
        last_day   date)
    returns setof iclock.shift_attendance
    language sql stable
as $$
select d.* from iclock.attendance_days(first_day, last_day, true) as d
$$;
comment on function iclock.shift_attendance_between(date, date) is
    'The rows of shift_attendance of some days, reading only the partitions '
    'of their months';
grant execute on function iclock.shift_attendance_between(date, date)
    to iclock_reader, iclock_operator;

create or replace view iclock.monthly_attendance
    with (security_barrier)
as
select d.site,
       d.pin,
       date_trunc('month', d.day::timestamp)::date                 as month,
       max(d.user_name)                                 as user_name,
       count(*)                                         as days,
       count(*) filter (where d.punches = 1)            as single_punch_days,
       sum(d.punches)::bigint                           as punches,
       sum(d.span)                                      as total_span,
       min(d.day)                                       as first_day,
       max(d.day)                                       as last_day
  from iclock.attendance_days('-infinity', 'infinity', true) as d
 group by d.site, d.pin, date_trunc('month', d.day::timestamp);
comment on view iclock.monthly_attendance is
    'Totals of shift_attendance by month. For a few months use '
    'iclock.monthly_attendance_between()';
comment on column iclock.monthly_attendance.site is
    'Site; NULL: the devices without one';
comment on column iclock.monthly_attendance.pin is 'User';
comment on column iclock.monthly_attendance.month is 'First of the month';
comment on column iclock.monthly_attendance.user_name is
    'Name a device of the site has for the PIN';
comment on column iclock.monthly_attendance.days is 'Days with a punch';
comment on column iclock.monthly_attendance.single_punch_days is
    'Days of these with one punch only, which have no span';
comment on column iclock.monthly_attendance.punches is
    'Number of punches, double ones left out';
comment on column iclock.monthly_attendance.total_span is
    'Sum of the spans of the days';
comment on column iclock.monthly_attendance.first_day is 'First of the days';
comment on column iclock.monthly_attendance.last_day is 'Last of the days';
grant select on iclock.monthly_attendance to iclock_reader, iclock_operator;

create or replace function iclock.monthly_attendance_between(
        first_day  date,
        last_day   date)
    returns setof iclock.monthly_attendance
    language sql stable
as $$
select d.site,
       d.pin,
       date_trunc('month', d.day::timestamp)::date,
       max(d.user_name),
       count(*),
       count(*) filter (where d.punches = 1),
       sum(d.punches)::bigint,
       sum(d.span),
       min(d.day),
       max(d.day)
  from iclock.shift_attendance_between(first_day, last_day) as d
 group by d.site, d.pin, date_trunc('month', d.day::timestamp)
$$;
comment on function iclock.monthly_attendance_between(date, date) is
    'Totals by month of the days from one to another, reading only the '
    'partitions of their months';
grant execute on function iclock.monthly_attendance_between(date, date)
    to iclock_reader, iclock_operator;

-- Who came today and has not gone.  The day is that of the device's clock: hours
-- that have passed since the punch say nothing when clocks have changed meanwhile.
create or replace view iclock.present_now
    with (security_barrier)
as
select c.site,
       c.pin,
       c.user_name,
       c.local_time,
       c.punched_at,
       now() - c.first_punched_at         as since_first,
       c.direction,
       c.punches,
       c.serial_number,
       c.device_name
  from (select b.*,
               min(b.punched_at) over person  as first_punched_at,
               count(*) over person           as punches,
               row_number() over (partition by b.site, b.pin
                                  order by b.local_time desc,
                                           b.received_at desc)
                                              as place
          from (select p.*,
                       iclock.counted_until(p.local_time, p.turned, p.too_soon)
                           over (partition by p.site, p.pin
                                 order by p.local_time, p.status, p.device_id
                                 rows unbounded preceding) as counted_until
                  from (select a.*,
                               coalesce(t.double_punch_interval, '0')
                                   as too_soon,
                               lag(a.local_time) over punch as before,
                               a.direction
                               is distinct from lag(a.direction) over punch
                                   as turned
                          from iclock.attendance a
                          left join iclock.site t on t.name = a.site
                         where a.counts
                           and a.local_time > timezone('UTC', now())
                                              - interval '2 days'
                           and a.local_time < timezone('UTC', now())
                                              + interval '1 day'
                           and a.shift_day
                               = (timezone(a.timezone, now())
                                  - coalesce(t.day_starts, time '00:00'))::date
                        window punch as (partition by a.site, a.pin
                                         order by a.local_time, a.status,
                                                  a.device_id)) as p) as b
         where b.counted_until = b.local_time
           and (b.turned or b.too_soon = '0'
                or b.before is distinct from b.local_time)
        window person as (partition by b.site, b.pin)) as c
 where c.place = 1
   and (c.direction = 'in' or (c.direction is null and c.punches % 2 = 1));
comment on view iclock.present_now is
    'Who is there: the last punch of the present day of the site is one of '
    'coming; where a device knows no direction, the number of punches is odd';
comment on column iclock.present_now.site is
    'Site; NULL: the devices without one';
comment on column iclock.present_now.pin is 'User';
comment on column iclock.present_now.user_name is
    'Name the device of the last punch has for the PIN';
comment on column iclock.present_now.local_time is
    'Last punch, as the device shows it';
comment on column iclock.present_now.punched_at is 'Last punch, the moment';
comment on column iclock.present_now.since_first is
    'How long ago the first punch of the day was';
comment on column iclock.present_now.direction is
    'Direction of the last punch: in, or NULL';
comment on column iclock.present_now.punches is
    'Punches of the day, double ones left out';
comment on column iclock.present_now.serial_number is
    'Device of the last punch';
comment on column iclock.present_now.device_name is 'Name of that device';
grant select on iclock.present_now to iclock_reader, iclock_operator;
