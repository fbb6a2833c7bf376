-- Who sees which sites.  A role that stands in iclock.role_site, or inherits from
-- one that does, is limited to those sites; any other sees all.

-- The sites, or NULL for all.  Of a role that was set and of the login both
-- limits hold: else whoever may set another role would see more with it.  The
-- login of a pool does not inherit (NOINHERIT), so that only the role counts.
create or replace function iclock.visible_sites()
    returns text[]
    language plpgsql stable security definer parallel safe
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    owner    oid;
    caller   name;
    sites    text[];
    visible  text[];
begin
    if not exists (select from iclock.role_site) then
        return null;
    end if;

    select n.nspowner into owner
      from pg_namespace n
     where n.nspname = 'iclock';

    foreach caller in array array[session_user, iclock.calling_role()] loop
        -- a superuser is a member of every role
        continue when pg_has_role(caller, owner, 'usage');

        select array_agg(distinct r.site) into sites
          from iclock.role_site r
          join pg_roles a
            on a.rolname = r.role
               -- or it had this name
            or a.oid = r.role_oid
               and r.cluster is not distinct from iclock.cluster()
         where pg_has_role(caller, a.oid, 'usage');

        if visible is null then
            visible := sites;

        elsif sites is not null then
            visible := array(select unnest(visible)
                             intersect
                             select unnest(sites));
        end if;
    end loop;

    return visible;
end
$$;
comment on function iclock.visible_sites() is
    'Sites that the caller may see, by role_site; NULL: all';

-- For views: where iclock.may_see(d.site, (select iclock.visible_sites())).  In
-- parentheses it is asked once for the query, and this is inlined; therefore no
-- search_path, and each argument stands once.  The operator is named with its
-- schema: the search_path is that of the caller, who may have made another.
create or replace function iclock.may_see(site text, sites text[])
    returns boolean
    language sql stable parallel safe
as $$
    select coalesce(coalesce(site, '') operator(pg_catalog.=) any (sites), true)
$$;
comment on function iclock.may_see(text, text[]) is
    'Whether a site is among those of visible_sites(). In a view: where '
    'iclock.may_see(d.site, (select iclock.visible_sites()))';

-- for functions, which ask once
create or replace function iclock.may_see(site text)
    returns boolean
    language sql stable parallel safe
    set search_path = pg_catalog, iclock, pg_temp
as $$
    select iclock.may_see($1, iclock.visible_sites())
$$;
comment on function iclock.may_see(text) is
    'Whether the caller may see a site: for functions, which ask once';

-- the devices of these sites, or NULL for all
create or replace function iclock.visible_devices()
    returns bigint[]
    language plpgsql stable security definer parallel safe
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    sites  constant text[] := iclock.visible_sites();
begin
    if sites is null then
        return null;
    end if;

    return array(select d.id from iclock.device d where d.site = any (sites));
end
$$;
comment on function iclock.visible_devices() is
    'Devices of the sites that the caller may see; NULL: all';

-- When devices that have been moved stood at these sites; nothing for all.
create or replace function iclock.visible_stays()
    returns table (
        device_id      bigint,
        serial_number  text,
        during         tsrange)
    language plpgsql stable security definer parallel safe rows 10
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    sites  constant text[] := iclock.visible_sites();
begin
    if sites is null then
        return;
    end if;

    return query
    select d.id, d.serial_number, tsrange(m.starts, m.ends)
      from iclock.device_site m
      join iclock.device d on d.id = m.device_id
     where m.site = any (sites)
     union all
    select d.id, d.serial_number, tsrange(d.site_since, 'infinity')
      from iclock.device d
     where d.site = any (sites)
       and exists (select from iclock.device_site m where m.device_id = d.id)
     order by 1, 3;
end
$$;
comment on function iclock.visible_stays() is
    'When devices that have been moved stood at the sites that the caller may '
    'see; nothing if these are all';

-- For the row security of punches, which knows the stays.  A sub-select there
-- would keep every reader from a parallel plan.
create or replace function iclock.stood_there(
        device_id   bigint,
        local_time  timestamp,
        devices     bigint[],
        stays       tsrange[])
    returns boolean
    language sql immutable parallel safe cost 1
    set search_path = pg_catalog, pg_temp
as $$
    select exists (select
                     from unnest($3, $4) as s (device_id, during)
                    where s.device_id = $1 and $2 <@ s.during)
$$;
comment on function iclock.stood_there(bigint, timestamp, bigint[], tsrange[])
    is
    'Whether a device that has been moved stood at the time where the caller '
    'may see: devices and stays are those of visible_stays()';

-- an argument that names a site
create or replace function iclock.own_site(argument text, site text)
    returns void
    language plpgsql stable
    set search_path = pg_catalog, iclock, pg_temp
as $$
begin
    if not iclock.may_see(site) then
        raise insufficient_privilege
            using message = format('argument "%s": role "%s" is limited to '
                                   'other sites', argument,
                                   iclock.calling_role()),
                  hint = 'See the table iclock.role_site.';
    end if;
end
$$;
comment on function iclock.own_site(text, text) is
    'Refuses an argument that names a site which the caller may not see';
