-- Before migration 4, while the release before goes on serving: what takes
-- long where many commands are kept.  Commands that have not ended are told
-- what they are about, some at a time; a trigger does so for new ones.  The
-- indexes are built without locking out who writes.  So the migration itself
-- has nothing left to do but to give names, and finds no command of the old
-- kind.
--
-- A database in which this has been done, in part or as a whole, is one of the
-- release before.  A later run goes on.

select pg_try_advisory_lock(hashtext('iclock.indexes')) as alone \gset
\if :alone
\else
do $$
begin
    raise lock_not_available
        using message = 'another session runs install.sql';
end
$$;
\endif

begin;

set local client_min_messages = warning;
set local search_path = pg_catalog;

\ir subjects.sql

-- The queue goes by "finished_at" from now on: whoever ends a command by hand
-- need not know that.
create or replace function iclock.command_prepared()
    returns trigger
    language plpgsql
    set search_path = pg_catalog, iclock, pg_temp
as $$
begin
    new.about := iclock.command_subject(new.body);
    new.deletes := iclock.is_deletion(new.body);

    -- nothing but copies has a subject, and in migration 1 nothing
    if tg_argv[0]::boolean then
        new.copied := new.subject is not null;
    end if;

    if new.status not in ('queued', 'sent') then
        new.finished_at := coalesce(new.finished_at, now());
        return new;
    end if;

    -- sent again by hand: its answer is to count
    if new.finished_at is not null or new.return_code is not null then
        new.finished_at := null;
        new.return_code := null;
        new.reply := null;
    end if;

    if new.status = 'sent' then
        new.sent_at := coalesce(new.sent_at, now());
    end if;

    return new;
end
$$;

select not exists (select
                     from pg_trigger t
                    where t.tgrelid = 'iclock.command'::regclass
                      and t.tgname = 'command_prepared') as missing \gset
\if :missing
\set kinds r
\set relations command
\ir lock.sql
\set relations %

-- nobody migrates beside this lock; somebody may have before
do $$
begin
    if (select max(version) from iclock.schema_version) >= 4 then
        raise object_not_in_prerequisite_state
            using message = 'another session has upgraded the schema',
                  hint = 'Run install.sql again.';
    end if;
end
$$;

\ir 004_columns.sql
select format('create trigger command_prepared '
              'before insert or update on iclock.command '
              'for each row execute function iclock.command_prepared(%L)',
              exists (select
                        from pg_attribute a
                       where a.attrelid = 'iclock.command'::regclass
                         and a.attname = 'subject'))
\gexec
\endif

commit;


-- Commands of before.  Polls pass over rows that somebody has locked, and would
-- hand out what comes after them: so they wait, for each of these steps.

set lock_timeout = '500ms';
set enable_seqscan = off;

do $$
declare
    last     bigint  := 0;
    refused  integer := 0;
    ids      bigint[];
    locked   boolean;
begin
    loop
        begin
            ids := array(
                select c.id
                  from iclock.command c
                 where c.id > last
                   and case when c.status in ('queued', 'sent')
                       then c.finished_at is not null
                            or c.return_code is not null
                            or c.status = 'sent' and c.sent_at is null
                            or c.deletes <> iclock.is_deletion(c.body)
                            or c.about is distinct
                               from iclock.command_subject(c.body)
                       else c.finished_at is null end
                 order by c.id
                 limit 500);

            if ids <> '{}' then
                -- a vacuum gives way to who waits for this, and nobody else
                -- waits meanwhile
                perform set_config('lock_timeout', '5s', true);
                lock table iclock.command in share update exclusive mode;
                perform set_config('lock_timeout', '500ms', true);
                lock table iclock.command in exclusive mode;
            end if;

            locked := true;
        exception when lock_not_available or deadlock_detected then
            locked := false;
        end;

        exit when locked and ids = '{}';

        if locked then
            -- the trigger does the rest
            update iclock.command c
               set finished_at = case
                       when c.status not in ('queued', 'sent')
                       then coalesce(c.finished_at, c.sent_at, c.created_at)
                   end,
                   sent_at = case when c.status = 'sent'
                             then coalesce(c.sent_at, c.created_at)
                             else c.sent_at end
             where c.id = any (ids);

            last := ids[cardinality(ids)];
            refused := 0;
        else
            refused := refused + 1;
        end if;

        commit;

        if refused = 10 then
            raise lock_not_available
                using message = 'the commands are in use. In the way: '
                                || pg_temp.blockers(false),
                      hint = 'Wait for these sessions or end them, then run '
                             'install.sql again.';
        elsif refused > 0 then
            perform pg_sleep(0.5);
        end if;
    end loop;
end
$$;

reset enable_seqscan;


-- the indexes that sql/indexes.sql has under the names of later

\set ON_ERROR_STOP off

set lock_timeout = '10s';

select format('drop index concurrently iclock.%I', c.relname)
  from pg_index i
  join pg_class c on c.oid = i.indexrelid
 where i.indrelid = 'iclock.command'::regclass
   and not i.indisvalid
\gexec

-- one at a time, and none after one that somebody has been in the way of
create temp view next_index as
select format('create index concurrently %I on iclock.command %s', w.name,
              w.definition)
  from (values
      ('command_open_idx',
       '(device_id, about, (- id)) '
       'where finished_at is null and about is not null'),
      ('command_deletion_idx',
       '(device_id, about, (0 - id)) where deletes and about is not null'),
      ('command_about_idx',
       '(device_id, about, (- id))'))
      as w (name, definition)
 where to_regclass('iclock.' || w.name) is null
   and not exists (select
                     from pg_index i
                    where i.indrelid = 'iclock.command'::regclass
                      and not i.indisvalid)
 limit 1;

table pg_temp.next_index \gexec
table pg_temp.next_index \gexec
table pg_temp.next_index \gexec

drop view pg_temp.next_index;

reset lock_timeout;

\set ON_ERROR_STOP on

do $$
begin
    if (select count(*)
          from pg_index i
          join pg_class c on c.oid = i.indexrelid
         where i.indrelid = 'iclock.command'::regclass
           and c.relname in ('command_open_idx', 'command_deletion_idx',
                             'command_about_idx')
           and i.indisvalid) <> 3
    then
        raise lock_not_available
            using message = 'the indexes of the commands could not be built. '
                            'In the way: ' || pg_temp.blockers(true),
                  hint = 'Wait for these sessions or end them, then run '
                         'install.sql again.  The schema is the one of '
                         'before.';
    end if;
end
$$;

select pg_advisory_unlock(hashtext('iclock.indexes')) \gset ignored_
