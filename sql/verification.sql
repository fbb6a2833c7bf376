-- Reconciliation: has every punch that a terminal holds arrived?  The terminal
-- is asked how many it holds in a range of time (VERIFY SUM), and where the
-- table has another number it uploads the range again and is asked once more.
-- Push SDK 3.2.0 has no VERIFY SUM, and older firmware may not know it: such a
-- terminal uploads the range again, and that is all that can be done.

-- the count in the reply to VERIFY SUM; NULL if there is none
create or replace function iclock.attendance_sum(reply bytea)
    returns bigint
    language sql immutable strict
    set search_path = pg_catalog, pg_temp
as $$
    select (regexp_match(encode(reply, 'escape'),
                         '\mAttlog(?:Sum|Count)=\s*([0-9]{1,15})\M', 'i'))[1]
           ::bigint
$$;
comment on function iclock.attendance_sum(bytea) is
    'Count in the reply to VERIFY SUM';

-- What drop_before() has dropped cannot be compared: the terminal counts it, and
-- what it uploads of it is not stored.
create or replace function iclock.kept_since(starts timestamp, ends timestamp)
    returns timestamp
    language sql stable
    set search_path = pg_catalog, iclock, pg_temp
as $$
    select greatest($1, (select max(upper(r))
                           from iclock.punch_state s
                          cross join unnest(s.dropped) as r
                          where lower(r) <= $2 and upper(r) > $1
                            and $1 <= $2))
$$;
comment on function iclock.kept_since(timestamp, timestamp) is
    'From when on drop_before() has dropped nothing of a range; later than its '
    'end if nothing is left';

-- Takes a check one step further when its command has come to an end.
create or replace function iclock.advance_check(ended iclock.command)
    returns void
    language plpgsql
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    c       iclock.attendance_check;
    device  iclock.device;
    held    bigint;
    stored  bigint;
    next    text;
    pause   interval := '0';
begin
    -- a check that was given up may still get its answer
    select k.* into c
      from iclock.attendance_check k
     where k.command_id = ended.id
       and (k.finished_at is null or k.status = 'failed')
       for update;

    if not found then
        return;
    end if;

    select d.* into device from iclock.device d where d.id = c.device_id;

    if ended.body like 'VERIFY SUM%' and ended.return_code in (-22, -1002)
       and c.max_attempts > 0
    then
        -- an unknown command, or one that the terminal does not support
        c.status := 'filling';
        c.attempts := c.attempts + 1;
        next := 'DATA QUERY ATTLOG ';

    elsif ended.status <> 'done' then
        c.status := 'failed';

    elsif ended.body like 'DATA QUERY%' and c.device_count is null then
        c.status := 'resent';

    elsif ended.body like 'DATA QUERY%' then
        -- what it uploads may come after its answer: time for that, more each
        -- time
        c.status := 'asking';
        next := 'VERIFY SUM ATTLOG ';
        pause := c.attempts * interval '5 seconds';

    else
        held := iclock.attendance_sum(ended.reply);

        if held is not null then
            select count(*) into stored
              from iclock.punch p
             where p.device_id = c.device_id
               and p.local_time between c.starts and c.ends;
        end if;

        if held is null then
            c.status := 'failed';

        elsif held = stored then
            c.status := 'agreed';

        elsif held > stored
              and iclock.kept_since(c.starts, c.ends) > c.starts
        then
            -- dropped meanwhile; the next check begins behind it
            c.status := 'failed';
            held := null;
            stored := null;

        elsif c.attempts > 0 and held < stored then
            -- the terminal has deleted some: they are here
            c.status := 'surplus';

        elsif c.attempts >= c.max_attempts then
            c.status := 'differs';

        else
            c.status := 'filling';
            c.attempts := c.attempts + 1;
            next := 'DATA QUERY ATTLOG ';
        end if;
    end if;

    begin
        if next is not null then
            insert into iclock.command as n (device_id, body, priority,
                                             not_before)
            values (c.device_id,
                    next || iclock.time_range(device.dialect, c.starts, c.ends),
                    ended.priority,
                    case when pause > interval '0' then now() + pause end)
            returning n.id into c.command_id;
        end if;

        update iclock.attendance_check k
           set status = c.status,
               attempts = c.attempts,
               command_id = c.command_id,
               device_count = coalesce(held, k.device_count),
               stored_count = coalesce(stored, k.stored_count),
               finished_at = case when next is null then now() end
         where k.id = c.id;

    exception when unique_violation then
        -- the check was given up, and the same has been begun again
        null;
    end;
end
$$;
comment on function iclock.advance_check(iclock.command) is
    'Takes a reconciliation one step further when its command has ended';

create or replace function iclock.command_verified()
    returns trigger
    language plpgsql security definer
    set search_path = pg_catalog, iclock, pg_temp
as $$
begin
    perform iclock.advance_check(new);
    return null;
end
$$;
comment on function iclock.command_verified() is
    'Trigger: takes a reconciliation one step further';


-- Until when everything since a time has been compared: an agreement counts as
-- far as it joins the ones before, so that a check of one morning does not hide
-- the weeks that nobody has compared; and up to when it was reached, so that one
-- until the end of the year does not hide what comes.
create or replace function iclock.agreed_until(device_id bigint,
                                               since timestamp)
    returns timestamp
    language sql stable
    set search_path = pg_catalog, iclock, pg_temp
as $$
    select coalesce(min(r.known) filter (where r.starts
                                               > r.known + interval '1 second'),
                    max(greatest(r.known, r.ends)), $2)
      from (select k.starts, k.ends,
                   greatest($2, max(k.ends) over (
                       order by k.starts, k.id
                       rows between unbounded preceding and 1 preceding))
                       as known
              from (select c.id, c.starts,
                           least(c.ends, timezone(
                               (select iclock.zone_of(d)
                                  from iclock.device d
                                 where d.id = $1), c.finished_at)) as ends
                      from iclock.attendance_check c
                     where c.device_id = $1
                       and c.status in ('agreed', 'surplus', 'resent')
                       and c.ends > $2) as k
             where k.ends > $2 and k.ends >= k.starts) as r
$$;
comment on function iclock.agreed_until(bigint, timestamp) is
    'Until when all punches of a device since a time have been compared '
    'without a hole';

-- From when a check until that time has to compare: from the end of what is
-- agreed without a hole, at least two days and at most 31.  A terminal that has
-- been away for longer is asked from its last agreement on, if that is of the
-- last year and no check has found a difference that stays.  What
-- drop_before() has dropped is no hole: nobody compares it.
create or replace function iclock.unchecked_since(device_id bigint,
                                                  until timestamp)
    returns timestamp
    language sql stable
    set search_path = pg_catalog, iclock, pg_temp
as $$
    select least(iclock.agreed_until($1, iclock.kept_since(
                     case when a.last > $2 - interval '1 year'
                               and not exists (
                                   select from iclock.attendance_check f
                                    where f.device_id = $1
                                      and f.status = 'differs'
                                      and f.ends > a.last)
                          then least(a.last, $2 - interval '31 days')
                          else $2 - interval '31 days' end, $2)),
                 $2 - interval '2 days')
      from (select max(least(k.ends, timezone(
                       (select iclock.zone_of(d)
                          from iclock.device d
                         where d.id = $1), k.finished_at))) as last
              from iclock.attendance_check k
             where k.device_id = $1
               and k.status in ('agreed', 'surplus', 'resent')) as a
$$;
comment on function iclock.unchecked_since(bigint, timestamp) is
    'From when on a device has to be asked what it holds';

create or replace function iclock.begin_check(
        device_id   bigint,
        starts      timestamp,
        ends        timestamp,
        attempts    integer,
        priority    integer     default 0,
        not_before  timestamptz default null)
    returns bigint
    language plpgsql
    set search_path = pg_catalog, iclock, pg_temp
as $$
#variable_conflict use_column
declare
    since      timestamp := date_trunc('second', $2);
    until      constant timestamp := date_trunc('second', $3);
    dialect    text;
    counts     boolean;
    range      text;
    the_check  bigint;
    command    bigint;
begin
    perform iclock.number('attempts', $4, 0, 100);

    select d.dialect, d.dialect <> '3.2', iclock.time_range(d.dialect, $2, $3)
      into dialect, counts, range
      from iclock.device d
     where d.id = $1;

    since := iclock.kept_since(since, until);

    if since > until then
        perform iclock.wrong_argument('ends',
            format('is before %s: drop_before() has dropped what was before',
                   since));

    elsif since > $2 then
        range := iclock.time_range(dialect, since, until);
    end if;

    -- One that is under way is not begun again.  Whoever comes at the same time
    -- waits at the index until the first has committed.
    loop
        insert into iclock.attendance_check as k
            (device_id, starts, ends, status, attempts, max_attempts)
        values ($1, since, until,
                case when counts then 'asking' else 'filling' end,
                case when counts then 0 else 1 end, $4)
        on conflict (device_id, starts, ends) where finished_at is null
        do nothing
        returning k.id into the_check;

        exit when the_check is not null;

        select k.id, k.command_id into the_check, command
          from iclock.attendance_check k
         where k.device_id = $1
           and k.starts = since
           and k.ends = until
           and k.finished_at is null;

        if command is not null then
            return command;
        end if;

        -- it has ended meanwhile, or somebody deleted its command
        exit when the_check is not null;
    end loop;

    insert into iclock.command as c (device_id, body, priority, not_before)
    values ($1,
            case when counts then 'VERIFY SUM ATTLOG '
                 else 'DATA QUERY ATTLOG ' end || range,
            $5, $6)
    returning c.id into command;

    update iclock.attendance_check k
       set command_id = command
     where k.id = the_check;

    return command;
end
$$;
comment on function iclock.begin_check(bigint, timestamp, timestamp, integer,
    integer, timestamptz) is
    'Begins a reconciliation';

create or replace function iclock.verify_attendance(
        serial_number  text,
        starts         timestamp,
        ends           timestamp,
        attempts       integer default 3)
    returns bigint
    language sql security definer
    set search_path = pg_catalog, iclock, pg_temp
as $$
    select iclock.begin_check(iclock.device_id($1), date_trunc('second', $2),
                              date_trunc('second', $3), $4)
$$;
comment on function iclock.verify_attendance(text, timestamp, timestamp,
    integer) is
    'Compares the punches that a device holds with those stored, has the '
    'range uploaded again where they differ, and compares again, so often at '
    'most. View reconciliation shows it';
grant execute on function iclock.verify_attendance(text, timestamp, timestamp,
    integer)
    to iclock_operator;

-- Every active device, or those of a site.  Without times: from
-- unchecked_since() until the last midnight of the device.  The checks begin one
-- after the other, over the time given.
create or replace function iclock.verify_all(
        starts    timestamp default null,
        ends      timestamp default null,
        site      text      default null,
        spread    interval  default '0',
        attempts  integer   default 3)
    returns setof bigint
    language plpgsql security definer
    set search_path = pg_catalog, iclock, pg_temp
as $$
#variable_conflict use_column
begin
    if not coalesce($4 between interval '0' and interval '7 days', false) then
        perform iclock.wrong_argument('spread',
            'is NULL, negative or longer than seven days');
    end if;

    return query
    select iclock.begin_check(
               v.id, s.starts, v.until, $5, -10,
               case when $4 > interval '0'
                    then now() + $4 * ((v.n - 1)::double precision / v.total)
                    end)
      from (select d.id,
                   coalesce($2, date_trunc('day', timezone(
                                    iclock.zone_of(d), now()))
                                - interval '1 second') as until,
                   row_number() over (order by d.id) as n,
                   count(*) over () as total
              from iclock.device d
             where d.status = 'active' and not d.sandbox
               and (d.site = $3 or $3 is null)
               and iclock.may_see(d.site, (select iclock.visible_sites()))) as v
     cross join lateral
           (select coalesce($1, iclock.unchecked_since(v.id, v.until)) as starts
            offset 0) as s
     -- all of it may have been dropped
     where iclock.kept_since(s.starts, v.until) <= greatest(s.starts, v.until)
     order by v.n;
end
$$;
comment on function iclock.verify_all(timestamp, timestamp, text, interval,
    integer) is
    'verify_attendance() of every active device that is not simulated, or of '
    'those of a site, one after the other over a time';
grant execute on function iclock.verify_all(timestamp, timestamp, text,
    interval, integer)
    to iclock_operator;

-- For nginx, as often as it likes: begins the checks when the last ones began
-- so many seconds ago.  A daily check takes place in the device's own night,
-- between one and five o'clock; a more frequent one begins at once, over the
-- first half of the interval, and includes what is new.
create or replace function iclock.verify_due(interval_seconds integer)
    returns integer
    language plpgsql security definer
    set search_path = pg_catalog, iclock, pg_temp
as $$
#variable_conflict use_column
declare
    device  record;
    begun   integer := 0;
begin
    if coalesce(interval_seconds, 0) <= 0
       or not exists (
           select from iclock.job j
            where j.name = 'verify'
              and j.last_run_at <= now() - make_interval(secs => $1))
    then
        return 0;
    end if;

    -- of several that call at once, one goes on
    update iclock.job j
       set last_run_at = now()
     where j.name = 'verify'
       and j.last_run_at <= now() - make_interval(secs => $1);

    if not found then
        return 0;
    end if;

    for device in
        select v.id, v.local_now, v.zone,
               (v.n - 1)::double precision / v.total as place
          from (select d.id,
                       iclock.zone_of(d) as zone,
                       timezone(iclock.zone_of(d), now())
                           as local_now,
                       row_number() over (order by d.id) as n,
                       count(*) over () as total
                  from iclock.device d
                 where d.status = 'active' and not d.sandbox
                   -- an offline terminal gets the command when it comes back
                   and not exists (select from iclock.attendance_check k
                                    where k.device_id = d.id
                                      and k.finished_at is null)) as v
         order by v.n
    loop
        declare
            night   timestamp;
            since   timestamp;
            until   timestamp;
            begins  timestamptz;
        begin
            if interval_seconds >= 86400 then
                night := date_trunc('day', device.local_now)
                         + interval '1 hour'
                         + device.place * interval '4 hours';
                if night < device.local_now then
                    night := night + interval '1 day';
                end if;
                until := date_trunc('day', night) - interval '1 second';
                begins := timezone(device.zone, night);
            else
                until := date_trunc('second', device.local_now);
                begins := now() + device.place
                          * make_interval(secs => interval_seconds / 2.0);
            end if;

            since := iclock.unchecked_since(device.id, until);

            -- on the first of a month all of it may have been dropped
            continue when iclock.kept_since(since, until) > until;

            perform iclock.begin_check(
                device.id, since, until, 3, -10,
                case when begins > now() then begins end);
        end;

        begun := begun + 1;
    end loop;

    return begun;
end
$$;
comment on function iclock.verify_due(integer) is
    'For nginx: begins the reconciliation of every active device that is not '
    'simulated when the last was so many seconds ago; daily ones at night. '
    'Number of checks begun';
grant execute on function iclock.verify_due(integer) to iclock_module;
