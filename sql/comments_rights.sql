-- Comments on sites of roles.

comment on table iclock.role_site is 'Sites that a role is limited to: one row for each. A role without rows sees all';
comment on column iclock.role_site.role is 'Role; its members are limited as well';
comment on column iclock.role_site.role_oid is 'Its OID, by which it is known if it gets another name; NULL: it was missing';
comment on column iclock.role_site.cluster is 'Identifier of the cluster that the OID belongs to';
comment on column iclock.role_site.site is 'Site, device.site';

comment on function iclock.role_site_named() is 'Notes the OID of a role that is limited to a site';
comment on function iclock.visible_sites() is 'Sites that the caller may see, by role_site; NULL: all';
comment on function iclock.visible_devices() is 'Devices of the sites that the caller may see; NULL: all';
comment on function iclock.visible_stays() is 'When devices that have been moved stood at the sites that the caller may see; nothing if these are all';
comment on function iclock.stood_there(bigint, timestamp, bigint[], tsrange[]) is 'Whether a device that has been moved stood at the time where the caller may see: devices and stays are those of visible_stays()';
comment on function iclock.may_see(text, text[]) is 'Whether a site is among those of visible_sites(). In a view: where iclock.may_see(d.site, (select iclock.visible_sites()))';
comment on function iclock.may_see(text) is 'Whether the caller may see a site: for functions, which ask once';
comment on function iclock.own_site(text, text) is 'Refuses an argument that names a site which the caller may not see';
