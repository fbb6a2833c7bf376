-- Punches in the order in which they were stored, each once and none skipped.
--
-- Transactions commit in another order than they begin, so neither received_at
-- nor any number given out at the insert tells a reader how far it has come.
-- The number of the transaction does, for transactions that are older than all
-- that still run: those have all committed or failed.  Newer punches come with
-- a later call.  A long transaction that writes, also one in another database
-- of the cluster, holds back what came after it.
--
-- A dump that was restored into another cluster, where the numbers are smaller,
-- is read again when rebase_punches() has seen to it: maintain() calls it.
--
-- Within a transaction the order is that of the key.  A cursor is the place of
-- a punch in this order.

-- The identifier of the cluster, NULL where its administrator hides it.
create or replace function iclock.cluster()
    returns bigint
    language plpgsql stable
    set search_path = pg_catalog, pg_temp
as $$
begin
    if has_function_privilege('pg_control_system()', 'execute') then
        return (select c.system_identifier from pg_control_system() as c);
    end if;
    return null;
end
$$;
comment on function iclock.cluster() is
    'Identifier of this cluster; NULL if the role may not know it';
grant execute on function iclock.cluster() to iclock_reader, iclock_operator;


create or replace function iclock.punch_cursor(
        txid        bigint,
        device_id   bigint,
        local_time  timestamp,
        pin         text,
        status      integer,
        verify      integer)
    returns text
    language sql stable
    set search_path = pg_catalog, pg_temp
    set datestyle = 'ISO'
as $$
    select encode(convert_to(concat_ws(E'\t', $1, $2, $3, $5, $6, $4), 'UTF8'),
                  'hex')
$$;
comment on function iclock.punch_cursor(bigint, bigint, timestamp, text,
    integer, integer) is
    'The place of a punch, as text';
grant execute on function iclock.punch_cursor(bigint, bigint, timestamp, text,
    integer, integer)
    to iclock_reader, iclock_operator;


-- the parts of a cursor; NULL if it is none
create or replace function iclock.punch_cursor_parts(cursor text)
    returns text[]
    language plpgsql stable strict
    set search_path = pg_catalog, pg_temp
    set datestyle = 'ISO'
as $$
declare
    parts  text[];
begin
    parts := regexp_match(convert_from(decode(cursor, 'hex'), 'UTF8'),
                          '^(\d+)\t(\d+)\t([^\t]+)\t(-?\d+)\t(-?\d+)\t(.*)$');
    -- so that a cursor that was made up fails here
    perform parts[1]::bigint, parts[2]::bigint, parts[3]::timestamp,
            parts[4]::integer, parts[5]::integer;
    return parts;
exception when data_exception then
    return null;
end
$$;
comment on function iclock.punch_cursor_parts(text) is
    'The parts of such a text; NULL if it is none';
grant execute on function iclock.punch_cursor_parts(text)
    to iclock_reader, iclock_operator;


create or replace function iclock.punches_since(
        after     text     default null,
        max_rows  integer  default 1000)
    returns table (
        cursor         text,
        device_id      bigint,
        serial_number  text,
        local_time     timestamp,
        pin            text,
        status         integer,
        verify         integer,
        punched_at     timestamptz,
        work_code      text,
        record_type    integer,
        mask           integer,
        temperature    numeric,
        job_codes      text[],
        tip_codes      text[],
        received_at    timestamptz)
    language plpgsql stable
    set search_path = pg_catalog, iclock, pg_temp
    set datestyle = 'ISO'
as $$
declare
    base     bigint;
    cluster  bigint;
    settled  bigint;
    place    text[]  := '{0,-1,-infinity,0,0,""}';
    wanted   integer := max_rows;
    width    bigint  := 1000;
    low      bigint;
    high     bigint;
    found    integer;
    -- simulated ones are for keys of tests
    boxes    constant bigint[] := array(select d.id from iclock.device d
                                         where d.sandbox);
    query    text :=
        'select iclock.punch_cursor(p.txid, p.device_id, p.local_time, p.pin, '
        '                           p.status, p.verify), '
        '       p.device_id, '
        -- it stands elsewhere now
        '       coalesce(d.serial_number, (select s.serial_number '
        '                                    from iclock.visible_stays() s '
        '                                   where s.device_id = p.device_id '
        '                                   limit 1)), '
        '       p.local_time, p.pin, p.status, p.verify, p.punched_at, '
        '       p.work_code, '
        '       p.record_type, p.mask, p.temperature, p.job_codes, '
        '       p.tip_codes, p.received_at '
        '  from (select txid, device_id, local_time, pin, status, verify, '
        '               punched_at, work_code, record_type, mask, temperature, '
        '               job_codes, tip_codes, received_at '
        '          from iclock.punch where %s{boxes} '
        '         order by %s device_id, local_time, pin, status, verify '
        '         limit $1) as p '
        '  left join iclock.device d on d.id = p.device_id '
        ' order by %s p.device_id, p.local_time, p.pin, p.status, p.verify';
begin
    if not coalesce(max_rows between 1 and 100000, false) then
        raise invalid_parameter_value
            using message = 'max_rows must be between 1 and 100000';
    end if;

    if after is not null then
        place := iclock.punch_cursor_parts(after);
    end if;

    select s.txid_base, s.cluster into base, cluster
      from iclock.punch_state s;

    if cluster <> iclock.cluster() then
        raise object_not_in_prerequisite_state
            using message = 'the database was restored from a dump, and its '
                            'transactions are not numbered yet',
                  hint = 'Call iclock.maintain(), or start nginx, which does '
                         'it.';
    end if;

    low := place[1]::bigint;

    if place is null
       or low >= base + txid_snapshot_xmax(txid_current_snapshot())
    then
        raise invalid_parameter_value
            using message = 'the cursor is not from punches_since() of this '
                            'database';
    end if;

    settled := base + txid_snapshot_xmin(txid_current_snapshot());
    query := replace(query, '{boxes}', case when boxes = '{}' then ''
        else format(' and device_id <> all (%L)', boxes) end);

    -- what is left of the transaction that the cursor is in; number 0 is for
    -- all punches that are older than the numbers
    return query execute format(query,
        'txid = $2 and (device_id, local_time, pin, status, verify) '
        '> ($3, $4, $5, $6, $7)', '', '')
      using wanted, low, place[2]::bigint, place[3]::timestamp,
            place[6], place[4]::integer, place[5]::integer;
    get diagnostics found = row_count;
    wanted := wanted - found;

    -- the following ones, ever more at a time: the numbers have gaps
    while wanted > 0 and low < settled - 1 loop
        high := least(low + width, settled - 1);

        return query execute format(query, 'txid > $2 and txid <= $3', 'txid,',
                                    'p.txid,')
          using wanted, low, high;
        get diagnostics found = row_count;

        wanted := wanted - found;
        low := high;
        width := width * 4;
    end loop;
end
$$;
comment on function iclock.punches_since(text, integer) is
    'Punches that were stored after the one with this cursor (NULL: all), in '
    'the order of their transactions, at most so many. Each comes once and '
    'none is skipped; those of transactions that still run, or are newer than '
    'one that does, come with a later call; those of simulated devices never';
grant execute on function iclock.punches_since(text, integer)
    to iclock_reader, iclock_operator;


-- In another cluster, where a dump was restored, transactions are numbered anew:
-- from now on a number is added that is larger than all that are stored.  What
-- this cluster has stored before that is numbered once more.
--
-- The BRIN finds numbers, but before ANALYZE the planner rather reads all punches.
create or replace function iclock.rebase_punches()
    returns boolean
    language plpgsql
    set search_path = pg_catalog, iclock, pg_temp
    set jit = off
    set enable_seqscan = off
    set enable_indexscan = off
    set enable_indexonlyscan = off
as $$
declare
    state     iclock.punch_state;
    restored  boolean;
    present   constant bigint := txid_current();
    began     bigint;
    base      bigint;
    ended     bigint;
begin
    select s.* into state from iclock.punch_state s for update;
    restored := state.cluster is distinct from iclock.cluster();

    -- roles have other OIDs here
    if restored then
        update iclock.role_site r set role = r.role;
    end if;

    -- the transaction that made the key, after the table was filled; of the
    -- number of a transaction 32 bits are stored
    select present - ((present - k.xmin::text::bigint) & 4294967295)
      into began
      from pg_constraint k
     where k.conrelid = 'iclock.punch_state'::regclass
       and k.contype = 'p';

    if not exists (select 1
                     from iclock.punch p
                    where p.txid >= state.txid_base
                          + case when restored then began
                                 else greatest(present + 1, txid_snapshot_xmax(
                                          txid_current_snapshot())) end)
    then
        update iclock.punch_state s set cluster = iclock.cluster()
         where restored;
        return false;
    end if;

    -- uploads wait as long as it takes, and who calls this gives up
    if current_setting('statement_timeout') <> '0'
       and 100000 < (
           select count(*)
             from (select 1
                     from iclock.punch p
                    where restored
                      and p.txid > state.txid_base + began
                      and p.txid <= state.txid_base + present
                      and ((p.xmin::text::bigint - began) & 4294967295)
                          between 1 and present - began
                    limit 100001) as p)
    then
        raise warning 'the database was restored from a dump, and so many '
                      'punches have come since that punches_since() waits '
                      'until somebody runs install.sql';
        return false;
    end if;

    -- Larger than all of them: to find the largest is to read all punches, and
    -- that of the last count is near.
    select greatest(state.txid_base, 1000,
                    t.base + txid_snapshot_xmax(t.snapshot))
      into base
      from iclock.punch_tally t;

    while exists (select from iclock.punch p where p.txid >= base) loop
        base := 2 * base;
    end loop;

    -- who has stored punches until now has committed when this is locked: its
    -- numbers, also those of parts, are below the next one
    lock table only iclock.punch in access exclusive mode;
    ended := txid_snapshot_xmax(txid_current_snapshot());

    -- partitions are not written to by name
    execute format('alter table only iclock.punch alter column txid '
                   'set default txid_current() + %s', base);

    update iclock.punch p
       set txid = p.txid - state.txid_base + base
     where restored
       and p.txid > state.txid_base + began
       and p.txid < state.txid_base + ended
       and ((p.xmin::text::bigint - began) & 4294967295) between 1
                                                         and ended - began;

    update iclock.punch_state s
       set txid_base = base, cluster = iclock.cluster();
    return true;
end
$$;
comment on function iclock.rebase_punches() is
    'After a dump was restored into another cluster: has transactions '
    'numbered from where the old ones ended';
