-- Persons: what is known of people besides what terminals hold.  The API writes
-- them; removed_at says that it was asked to remove the person everywhere.

-- Such a person goes when no terminal of the site has the person any more.
create or replace function iclock.forget_persons(pins text[] default null)
    returns void
    language plpgsql
    set search_path = pg_catalog, iclock, pg_temp
as $$
begin
    delete from iclock.person p
     where p.ctid = any (array(
               select r.ctid
                 from iclock.person r
                where r.removed_at is not null
                  and r.pin = any (coalesce($1, array[r.pin]))
                  and not exists (
                          select
                            from iclock.device d
                            join iclock.device_user u on u.device_id = d.id
                           where coalesce(d.site, '') = r.site
                             and d.sandbox = r.sandbox
                             and d.removed_at is null
                             and u.pin = r.pin)
                limit 1000
                  for update skip locked));
end
$$;
comment on function iclock.forget_persons(text[]) is
    'Deletes persons that were removed and whom no terminal has any more';

create or replace function iclock.device_user_gone()
    returns trigger
    language plpgsql
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    pins  text[];
begin
    if exists (select from iclock.person p where p.removed_at is not null) then
        select array_agg(distinct g.pin) into pins from gone g;
        perform iclock.forget_persons(pins);
    end if;
    return null;
end
$$;
comment on function iclock.device_user_gone() is
    'Trigger: deletes persons that were removed when the last terminal has '
    'deleted them';
