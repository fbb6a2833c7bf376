-- Punches in the order in which they were stored, each once and none skipped.
--
-- Transactions commit in another order than they begin, so neither received_at
-- nor any number given out at the insert tells a reader how far it has come.
-- The number of the transaction does, for transactions that are older than all
-- that still run: those have all committed or failed.  Newer punches come with
-- a later call.  A long transaction that writes, also one in another database
-- of the cluster, holds back what came after it.
--
-- Within a transaction the order is that of the key.  A cursor is the place of
-- a punch in this order.

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
    settled  bigint;
    place    text[]  := '{0,-1,-infinity,0,0,""}';
    wanted   integer := max_rows;
    width    bigint  := 1000;
    low      bigint;
    high     bigint;
    found    integer;
    query    constant text :=
        'select iclock.punch_cursor(p.txid, p.device_id, p.local_time, p.pin, '
        '                           p.status, p.verify), '
        '       p.device_id, d.serial_number, p.local_time, p.pin, p.status, '
        '       p.verify, p.punched_at, p.work_code, '
        '       p.record_type, p.mask, p.temperature, p.job_codes, '
        '       p.tip_codes, p.received_at '
        '  from (select txid, device_id, local_time, pin, status, verify, '
        '               punched_at, work_code, record_type, mask, temperature, '
        '               job_codes, tip_codes, received_at '
        '          from iclock.punch where %s '
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

    select s.txid_base into base from iclock.punch_state s;
    low := place[1]::bigint;

    if place is null
       or low >= base + txid_snapshot_xmax(txid_current_snapshot())
    then
        raise invalid_parameter_value
            using message = 'the cursor is none of punches_since() of this '
                            'database';
    end if;

    settled := base + txid_snapshot_xmin(txid_current_snapshot());

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


-- In another cluster, where a dump was restored, transactions are numbered
-- anew: from now on a number is added that is larger than all that are stored.
create or replace function iclock.rebase_punches()
    returns boolean
    language plpgsql
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    base  bigint;
begin
    select s.txid_base into base from iclock.punch_state s for update;

    if not exists (select
                     from iclock.punch p
                    where p.txid >= base + greatest(
                              txid_snapshot_xmax(txid_current_snapshot()),
                              txid_current() + 1))
    then
        return false;
    end if;

    select max(p.txid) into base from iclock.punch p;

    update iclock.punch_state s set txid_base = base;
    execute format('alter table iclock.punch alter column txid '
                   'set default txid_current() + %s', base);
    return true;
end
$$;
