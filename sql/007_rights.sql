-- Migration 7: who asked, who may see cards, and who sees which sites.

-- session_user is the login of a pool, which serves many
alter table iclock.command
    alter column created_by set default iclock.calling_role();
alter table iclock.attendance_check
    alter column created_by set default iclock.calling_role();

-- cards and identity cards are for iclock_reader_cards, see grants.sql
revoke select on iclock.punch, iclock.device_user, iclock.photo,
                 iclock.identity_card
  from iclock_reader, iclock_operator;

-- A role without rows sees all sites.  By its name, which another cluster can
-- read, even one that has no such role.  And by its OID in this cluster: a role
-- that gets another name must not get other rights.
create table iclock.role_site (
    role      name    not null,
    site      text    not null check (site <> '' and octet_length(site) <= 500),
    role_oid  oid,
    cluster   bigint,
    primary key (role, site)
);

create trigger role_site_named
    before insert or update of role on iclock.role_site
    for each row execute function iclock.role_site_named();

insert into iclock.schema_version (version, description)
values (7, 'sites of roles, cards, who asked');
