-- Migration 16: thresholds of conditions that are none are refused.

-- What was in use stays: ->> and a cast took quoted numbers, and numbers for
-- times.  What is wrong all the same made device_conditions() fail for
-- everybody; it counts as not given, and so does what nobody has read.
do $$
declare
    c       record;
    member  record;
    good    jsonb;
    value   jsonb;
    fault   text;
begin
    for c in
        select o.name, o.params, o.warn_after
          from iclock.condition o
    loop
        good := '{}';
        fault := case when jsonb_typeof(c.params) <> 'object'
                      then iclock.condition_fault(c.name, c.params) end;

        for member in
            select e.key, e.value, e.value #>> '{}' as text,
                   jsonb_typeof(e.value) as type
              from jsonb_each(case when fault is null then c.params
                              else '{}' end) as e
             order by e.key
        loop
            value := member.value;

            begin
                if member.type = 'number'
                   and member.key in ('within', 'after', 'skew')
                then
                    value := to_jsonb(member.text || ' seconds');

                elsif member.type = 'string' and member.key = 'ratio' then
                    value := to_jsonb(member.text::numeric);

                elsif member.type = 'string'
                      and member.key in ('punches', 'weeks')
                then
                    value := to_jsonb(member.text::integer);
                end if;
            exception when data_exception then
                null;
            end;

            if iclock.condition_fault(c.name,
                                      jsonb_build_object(member.key, value))
               is null
            then
                good := good || jsonb_build_object(member.key, value);
            else
                fault := concat_ws('; ', fault,
                    iclock.condition_fault(c.name, jsonb_build_object(
                                           member.key, member.value)));
            end if;
        end loop;

        if fault is not null then
            raise warning 'table iclock.condition, "%": %; params are % '
                          'now, not %', c.name, fault, good, c.params;
        end if;

        if good <> c.params then
            update iclock.condition o
               set params = good
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
