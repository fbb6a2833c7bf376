-- Roles are global to the cluster and cannot log in: grant them to the login
-- roles of the site, for example "grant iclock_module to nginx".

do $$
declare
    role     record;
    missing  text[];
begin
    -- two installations, even into different databases, must not both create
    perform pg_advisory_xact_lock(hashtext('iclock.install'));

    select array_agg(wanted order by wanted)
      into missing
      from unnest(array['iclock_api', 'iclock_module', 'iclock_operator',
                        'iclock_reader', 'iclock_reader_cards',
                        'iclock_shell']) as wanted
     where not exists (select from pg_roles where rolname = wanted);

    if missing is null then
        return;
    end if;

    if not exists (select from pg_roles
                    where rolname = current_user
                      and (rolsuper or rolcreaterole))
    then
        raise insufficient_privilege
            using message = format('missing roles: %s; and "%s" may not '
                                   'create roles',
                                   array_to_string(missing, ', '),
                                   current_user),
                  hint = 'Have an administrator run: '
                      || (select string_agg(format('CREATE ROLE %I NOLOGIN;',
                                                   name), ' ')
                            from unnest(missing) as name)
                      || ' Then install again.';
    end if;

    for role in
        select *
          from (values
            ('iclock_api', 'together with iclock_module: nginx may serve the '
                           'HTTP API and send webhooks'),
            ('iclock_module', 'what nginx with ngx_http_iclock_module may do'),
            ('iclock_operator', 'manages attendance terminals and their '
                                'commands through the functions of schema '
                                'iclock'),
            ('iclock_reader', 'reads attendance data, without passwords, '
                              'templates, photos, keys and cards'),
            ('iclock_reader_cards', 'together with iclock_reader: reads card '
                                    'numbers and identity cards'),
            ('iclock_shell', 'together with iclock_operator: may send '
                             'commands to terminals that reach files, '
                             'firmware or a shell'))
            as r (name, description)
         where name = any (missing)
    loop
        -- the advisory lock holds in one database only
        begin
            execute format('create role %I nologin', role.name);
            execute format('comment on role %I is %L',
                           role.name, role.description);
        exception when duplicate_object or unique_violation then
            null;
        end;
    end loop;
end
$$;
