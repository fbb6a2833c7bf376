-- Installs or upgrades the schema of ngx_http_iclock_module:
--
--     psql -d attendance -f sql/install.sql
--
-- Everything happens in one transaction.  What holds data (tables, indexes,
-- triggers) comes in numbered migrations, each applied once and recorded in
-- iclock.schema_version.  What holds none (functions, views, labels, rights,
-- comments) is put in place again by every run.  A second run changes nothing.

\set ON_ERROR_STOP on
\set QUIET on

begin;

set local client_min_messages = warning;
set local search_path = pg_catalog;

do $$
begin
    if current_setting('server_version_num')::integer < 130000 then
        raise feature_not_supported
            using message = 'PostgreSQL 13 or later is needed, this is '
                            || current_setting('server_version');
    end if;
    -- names of users come in every script there is
    if current_setting('server_encoding') <> 'UTF8' then
        raise feature_not_supported
            using message = 'the encoding of the database must be UTF8, it is '
                            || current_setting('server_encoding'),
                  hint = 'CREATE DATABASE ... ENCODING ''UTF8'' '
                         'TEMPLATE template0';
    end if;
end
$$;

\ir roles.sql
\ir schema.sql
\ir checks.sql

select not exists (select from iclock.schema_version where version = 1)
    as migrate \gset
\if :migrate
\ir 001_tables.sql
\endif

select not exists (select from iclock.schema_version where version = 2)
    as migrate \gset
\if :migrate
\ir 002_commands.sql
\endif

select not exists (select from iclock.schema_version where version = 3)
    as migrate \gset
\if :migrate
\ir 003_storage.sql
\endif

select not exists (select from iclock.schema_version where version = 5)
    as migrate \gset
\if :migrate
\ir 005_presence.sql
\endif

select not exists (select from iclock.schema_version where version = 6)
    as migrate \gset
\if :migrate
\ir 006_analysts.sql
\endif

select not exists (select from iclock.schema_version where version = 7)
    as migrate \gset
\if :migrate
\ir 007_rights.sql
\endif

select not exists (select from iclock.schema_version where version = 8)
    as migrate \gset
\if :migrate
\ir 008_devices.sql
\endif

select not exists (select from iclock.schema_version where version = 9)
    as migrate \gset
\if :migrate
\ir 009_notify_language.sql
\endif

\ir sites.sql
\ir triggers.sql
\ir fields.sql
\ir functions_module.sql
\ir partitions.sql
\ir functions_operator.sql
\ir commands.sql
\ir fleet.sql
\ir verification.sql
\ir served.sql
\ir labels.sql
\ir views.sql
\ir grants.sql
\ir row_security.sql
\ir comments.sql
\ir comments_commands.sql
\ir comments_views.sql
\ir comments_rights.sql
\ir comments_storage.sql

-- the partitions of the months around today
do $$ begin perform iclock.maintain(); end $$;

commit;
