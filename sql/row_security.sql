-- Row security of the tables: whoever reads them, and not the views, sees no more
-- sites there.  Functions and views run as the owner, whom it does not concern.
-- Every table with a device or a site gets it, once: the lock that this takes is
-- for installations, not for each of their repetitions.  Punches of a device that
-- was moved are for the site where it stood.

do $do$
declare
    open  record;
begin
    for open in
        select c.oid::regclass as name, c.relrowsecurity as secured,
               case
               when c.relname = 'site' then 'name'
               when c.relname in ('device', 'device_site') then 'site'
               else (select a.attname
                       from pg_attribute a
                      where a.attrelid = c.oid and not a.attisdropped
                        and a.attname in ('device_id', 'site')
                      order by a.attname
                      limit 1) end as key,
               exists (select from pg_policy p
                        where p.polrelid = c.oid
                          and p.polname = 'sites') as sites,
               exists (select from pg_policy p
                        where p.polrelid = c.oid
                          and p.polname = 'module') as module
          from pg_class c
         where c.relnamespace = 'iclock'::regnamespace
           and c.relkind in ('r', 'p')
           and not c.relispartition
           and c.relname <> 'role_site'
    loop
        continue when open.key is null;

        if not open.sites then
            execute format(
                'create policy sites on %s using (%s)', open.name,
                case
                when open.name = 'iclock.punch'::regclass then
                    'case when (select iclock.visible_sites()) is null '
                    'then true '
                    'when device_id = any (array(select s.device_id '
                    '    from iclock.visible_stays() s)) '
                    'then iclock.stood_there(device_id, local_time, '
                    '    array(select s.device_id '
                    '        from iclock.visible_stays() s), '
                    '    array(select s.during '
                    '        from iclock.visible_stays() s)) '
                    'else device_id = any '
                    '((select iclock.visible_devices())::bigint[]) end'
                when open.key = 'device_id' then
                    'coalesce(device_id = any '
                    '((select iclock.visible_devices())::bigint[]), true)'
                else format('iclock.may_see(%I, '
                            '(select iclock.visible_sites()))', open.key)
                end);
        end if;

        -- a dump has lost it that was restored before there was this role
        if not open.module then
            execute format('create policy module on %s to iclock_module '
                           'using (true)', open.name);
        end if;

        if not open.secured then
            execute format('alter table %s enable row level security',
                           open.name);
        end if;
    end loop;
end
$do$;
