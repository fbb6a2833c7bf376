-- Migration 16: thresholds of conditions that are none are refused.

-- A wrong one made device_conditions() fail for everybody; what is there counts
-- as not given.
do $$
declare
    c  record;
begin
    for c in
        select o.name, o.params, o.warn_after, b.params as own,
               iclock.condition_fault(o.name, o.params) as fault
          from iclock.condition o
          left join (values
                ('key',        '{"within": "24 hours"}'::jsonb),
                ('network',    '{"within": "24 hours"}'),
                ('silent_day', '{"after": "24 hours"}'),
                ('lines',      '{"within": "24 hours"}'),
                ('clock',      '{"skew": "60 seconds"}'),
                ('quiet',      '{"punches": 10, "weeks": 4}'),
                ('full',       '{"ratio": 0.9}'),
                ('commands',   '{"after": "10 minutes"}'),
                ('failed',     '{"within": "24 hours"}'))
                    as b (name, params) on b.name = o.name
    loop
        if c.fault is not null then
            raise warning 'table iclock.condition, "%": %; params are % '
                          'now, not %', c.name, c.fault,
                          coalesce(c.own, '{}'), c.params;
            update iclock.condition o
               set params = coalesce(c.own, '{}')
             where o.name = c.name;
        end if;

        if c.warn_after > interval '10 years' then
            raise warning 'table iclock.condition, "%": warn_after is 10 years '
                          'now, not %', c.name, c.warn_after;
            update iclock.condition o
               set warn_after = interval '10 years'
             where o.name = c.name;
        end if;
    end loop;
end
$$;

alter table iclock.condition
    drop constraint condition_warn_after_check,
    add constraint condition_warn_after_check
        check (warn_after between interval '0' and interval '10 years'),
    add constraint condition_params_check
        check (iclock.has_thresholds(name, params));

insert into iclock.schema_version (version, description)
values (16, 'thresholds of conditions');
