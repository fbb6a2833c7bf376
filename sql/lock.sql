-- Locks what is about to be changed: relations of some kinds, with names that
-- match a pattern.  While this waits nobody else gets a lock: so it waits
-- for half a second in all, gives back what it has, and tries again.  After
-- that the upgrade waits for nothing until the commit.

select set_config('iclock.kinds', :'kinds', true) \gset ignored_
select set_config('iclock.relations', :'relations', true) \gset ignored_

do $$
declare
    relation  record;
    deadline  timestamptz;
begin
    -- An autovacuum gives way to who has waited for a second (deadlock_timeout)
    -- for a lock that keeps nobody else waiting; none begins until the commit.
    begin
        perform set_config('lock_timeout', '5s', true);

        for relation in
            select c.relname
              from pg_class c
             where c.relnamespace = 'iclock'::regnamespace
               and c.relkind in ('r', 'p')
               and strpos(current_setting('iclock.kinds'), c.relkind::text) > 0
               and c.relname like current_setting('iclock.relations')
               and not c.relispartition
             order by c.relname
        loop
            execute format('lock table iclock.%I '
                           'in share update exclusive mode',
                           relation.relname);
        end loop;

    exception when lock_not_available or deadlock_detected then
        null;
    end;

    for attempt in 1 .. 10 loop
        begin
            deadline := clock_timestamp() + interval '500 milliseconds';

            for relation in
                select c.relname, c.relkind, c.relowner::regrole as owner
                  from pg_class c
                 where c.relnamespace = 'iclock'::regnamespace
                   and strpos(current_setting('iclock.kinds'),
                              c.relkind::text) > 0
                   and c.relname like current_setting('iclock.relations')
                   and not c.relispartition
                 -- uploads take them about in this order
                 order by c.relkind = 'v', c.relname <> 'punch',
                          c.relname in ('upload_stamp', 'device', 'command'),
                          c.relname
            loop
                perform set_config('lock_timeout', greatest(1, ceil(
                    1000 * extract(epoch from deadline - clock_timestamp())))
                    || 'ms', true);

                -- LOCK TABLE of a view would lock the tables behind it, too;
                -- this changes nothing
                execute format(
                    case when relation.relkind = 'v'
                         then 'alter view iclock.%1$I owner to %2$s'
                         else 'lock table iclock.%1$I '
                              'in access exclusive mode' end,
                    relation.relname, relation.owner);
            end loop;

            perform set_config('lock_timeout', '500ms', true);
            return;

        exception when lock_not_available or deadlock_detected then
            perform pg_sleep(0.5);
        end;
    end loop;

    raise lock_not_available
        using message = 'the tables of the schema are in use. In the way: '
                        || pg_temp.blockers(false),
              hint = 'Wait for these sessions or end them, then run '
                     'install.sql again.  The schema is the one of before.';
end
$$;
