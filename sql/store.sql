-- What nginx calls to store records.  Most of them it inserts itself
-- (src/store/iclock_store_statements.c).

-- Many punches, of which none is stored yet, as it seems: an insert that looks
-- for no conflict takes a fourth less, and leaves less in the log.  If one of
-- them is stored after all, nothing of that insert is kept, and those that are
-- new are found one by one: rows that nobody sees are left behind, so nginx
-- does not call this while devices send again what they have sent.  Nobody is
-- told of the error that is caught here.
--
-- Both inserts are that of the statement "iclock_punch": each device is locked
-- once, so that none is deleted meanwhile, and the arrays are read in the list
-- of a SELECT (src/store/iclock_store_rows.h tells why).
create or replace function iclock.store_punches(
        device_ids    bigint[],
        zones         text[],
        pins          text[],
        local_times   timestamp[],
        statuses      integer[],
        verifies      integer[],
        work_codes    text[],
        id_numbers    text[],
        record_types  integer[],
        masks         integer[],
        temperatures  text[],
        job_codes     text[],
        tip_codes     text[],
        extras        text[],
        utc_offsets   integer[])
    returns bigint
    language plpgsql
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    stored  bigint;
begin
    begin
        with known as materialized (
            select d.id,
                   coalesce(d.timezone, case when d.told_offset is not null
                                        then d.default_timezone end) as zone
              from iclock.device d
             where d.id = any ($1)
             order by d.id
               for key share)
        insert into iclock.punch (
                   device_id, local_time, pin, status, verify, punched_at,
                   work_code, id_number, record_type, mask, temperature,
                   job_codes, tip_codes, extra)
        select coalesce(k.id, iclock.no_device(u.device_id)), u.local_time,
               u.pin, u.status, u.verify,
               case when u.utc_offset is null
                    then u.local_time at time zone coalesce(k.zone, u.zone)
                    else (u.local_time - make_interval(secs => u.utc_offset))
                         at time zone 'UTC' end,
               coalesce(u.work_code, ''), coalesce(u.id_number, ''),
               coalesce(u.record_type, -1), coalesce(u.mask, -1),
               u.temperature::numeric, string_to_array(u.job_codes, E'\t'),
               string_to_array(u.tip_codes, E'\t'),
               string_to_array(u.extra, E'\t')
          from (select unnest($1), unnest($2), unnest($3), unnest($4),
                       unnest($5), unnest($6), unnest($7), unnest($8),
                       unnest($9), unnest($10), unnest($11), unnest($12),
                       unnest($13), unnest($14), unnest($15))
               as u (device_id, zone, pin, local_time, status, verify,
                     work_code, id_number, record_type, mask, temperature,
                     job_codes, tip_codes, extra, utc_offset)
          left join known k on k.id = u.device_id
         order by u.device_id, u.local_time, u.pin collate "C", u.status,
                  u.verify;

        get diagnostics stored = row_count;
        return stored;
    exception when unique_violation then
        null;
    end;

    with known as materialized (
        select d.id,
               coalesce(d.timezone, case when d.told_offset is not null
                                    then d.default_timezone end) as zone
          from iclock.device d
         where d.id = any ($1)
         order by d.id
           for key share)
    insert into iclock.punch (
               device_id, local_time, pin, status, verify, punched_at,
               work_code, id_number, record_type, mask, temperature,
               job_codes, tip_codes, extra)
    select coalesce(k.id, iclock.no_device(u.device_id)), u.local_time,
           u.pin, u.status, u.verify,
           case when u.utc_offset is null
                then u.local_time at time zone coalesce(k.zone, u.zone)
                else (u.local_time - make_interval(secs => u.utc_offset))
                     at time zone 'UTC' end,
           coalesce(u.work_code, ''), coalesce(u.id_number, ''),
           coalesce(u.record_type, -1), coalesce(u.mask, -1),
           u.temperature::numeric, string_to_array(u.job_codes, E'\t'),
           string_to_array(u.tip_codes, E'\t'),
           string_to_array(u.extra, E'\t')
      from (select unnest($1), unnest($2), unnest($3), unnest($4),
                   unnest($5), unnest($6), unnest($7), unnest($8),
                   unnest($9), unnest($10), unnest($11), unnest($12),
                   unnest($13), unnest($14), unnest($15))
           as u (device_id, zone, pin, local_time, status, verify,
                 work_code, id_number, record_type, mask, temperature,
                 job_codes, tip_codes, extra, utc_offset)
      left join known k on k.id = u.device_id
     order by u.device_id, u.local_time, u.pin collate "C", u.status,
              u.verify
    on conflict do nothing;

    get diagnostics stored = row_count;
    return stored;
end
$$;
comment on function iclock.store_punches is
    'For nginx: stores many punches that seem to be new, an array for each '
    'column; those that are stored already are left out. Returns how many '
    'were stored';
grant execute on function iclock.store_punches to iclock_module;
