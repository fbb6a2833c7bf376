-- Options lose the "~" that some firmware writes before their names, and that
-- earlier releases stored.  There are many: some devices at a time, so that no
-- upload of options waits for all of them.

set lock_timeout = '2s';

do $$
declare
    devices  bigint[];
begin
    for devices in
        select array_agg(t.device_id)
          from (select o.device_id,
                       row_number() over (order by o.device_id) / 100 as batch
                  from iclock.device_option o
                 where o.name like '~%'
                 group by o.device_id) as t
         group by t.batch
         order by t.batch
    loop
        begin
            -- what came last counts
            delete from iclock.device_option o
             using iclock.device_option p
             where o.device_id = any (devices)
               and p.device_id = o.device_id
               and ltrim(p.name, '~') = ltrim(o.name, '~')
               and p.name <> o.name
               and (p.updated_at, p.name) > (o.updated_at, o.name);

            update iclock.device_option o
               set name = ltrim(o.name, '~')
             where o.device_id = any (devices)
               and o.name like '~%';

        exception when unique_violation or lock_not_available
                       or deadlock_detected then
            -- the device is uploading the same ones; a later run sees to it
            null;
        end;
        commit;
    end loop;
end
$$;

reset lock_timeout;
