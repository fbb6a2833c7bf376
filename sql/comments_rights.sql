-- Comments on sites of roles.

comment on table iclock.role_site is 'Sites that a role is limited to: one row for each. A role without rows sees all';
comment on column iclock.role_site.role is 'Role; its members are limited as well';
comment on column iclock.role_site.site is 'Site, device.site';
