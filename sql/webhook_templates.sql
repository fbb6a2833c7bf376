-- Bodies of webhooks in the shape that a receiver expects: a JSON document whose
-- strings name members of the payload, as in
--
--     {"employee": "{{user.id}}", "at": "{{punch.local_time|datetime}}"}
--
-- A string that is one such name and nothing else becomes the member, whatever
-- its type, and null if there is none.  Within other text it becomes text, and
-- nothing if there is none.  "{{.}}" is the whole payload.

-- What stands in braces, and what may follow behind the bar.
create or replace function iclock.webhook_placeholder()
    returns text
    language sql immutable parallel safe
    set search_path = pg_catalog, pg_temp
as $$
    select '\{\{ *(\.|[a-z_][a-z0-9_]*(?:\.[a-z_][a-z0-9_]*){0,7})'
           '(?: *\| *(date|time|datetime|unix|inout|number|text))? *\}\}'
$$;
comment on function iclock.webhook_placeholder() is
    'Regular expression of what names a member of the payload in a template';


-- A member of a payload, in a format; NULL: there is none, or it has no such
-- form.  datetime is what MySQL, Frappe and Odoo write, without any zone: that
-- of the member, local for punch.local_time and UTC for punch.timestamp.
create or replace function iclock.webhook_member(
        payload  json,
        path     text,
        format   text)
    returns json
    language plpgsql stable parallel safe
    set search_path = pg_catalog, pg_temp
as $$
declare
    member  json;
    value   text;
    parts   text[];
begin
    member := case path when '.' then payload
                   else payload #> string_to_array(path, '.') end;

    if member is null or json_typeof(member) = 'null' then
        return null;
    end if;

    if format is null then
        return member;
    end if;

    value := member #>> '{}';

    case format
    when 'text' then
        null;

    when 'number' then
        return case when value ~ '^-?[0-9]{1,15}(\.[0-9]{1,15})?$'
                    then trim_scale(value::numeric)::text end;

    when 'inout' then
        value := case
                 when value in ('CheckIn', 'BreakIn', 'OvertimeIn') then 'IN'
                 when value in ('CheckOut', 'BreakOut', 'OvertimeOut')
                 then 'OUT' end;

    when 'unix' then
        return case when value ~ ('^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?'
                                  '(Z|[+-]\d\d:\d\d)$')
                    then floor(extract(epoch from value::timestamptz))
                         ::bigint::text end;
    else
        parts := regexp_match(value, '^(\d{4}-\d\d-\d\d)[T ]'
                                     '(\d\d:\d\d:\d\d)');
        value := case format when 'date' then parts[1]
                             when 'time' then parts[2]
                             else parts[1] || ' ' || parts[2] end;
    end case;

    return to_json(value);
end
$$;
comment on function iclock.webhook_member(json, text, text) is
    'A member of a payload, in a format of templates';


create or replace function iclock.webhook_text(value text, payload json)
    returns text
    language plpgsql stable parallel safe
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    placeholder  constant text := iclock.webhook_placeholder();
    rest         text := value;
    done         text := '';
    parts        text[];
begin
    parts := regexp_match(value, '^' || placeholder || '$');

    if parts is not null then
        return coalesce(iclock.webhook_member(payload, parts[1],
                                              parts[2])::text, 'null');
    end if;

    while position('{{' in rest) > 0 loop
        -- what is before it, its path, its format, and the rest
        parts := regexp_match(rest, '^(.*?)' || placeholder || '(.*)$');
        exit when parts is null;

        done := done || parts[1]
                || coalesce(iclock.webhook_member(payload, parts[2], parts[3])
                            #>> '{}', '');
        rest := parts[4];
    end loop;

    return to_json(done || rest)::text;
end
$$;
comment on function iclock.webhook_text(text, json) is
    'A string of a template with what it names, as JSON';


create or replace function iclock.webhook_render(template json, payload json)
    returns text
    language plpgsql stable parallel safe
    set search_path = pg_catalog, iclock, pg_temp
as $$
begin
    case json_typeof(template)
    when 'object' then
        return '{' || coalesce(
            (select string_agg(to_json(m.key)::text || ':'
                               || iclock.webhook_render(m.value, payload), ','
                               order by m.n)
               from json_each(template) with ordinality
                    as m (key, value, n)), '') || '}';

    when 'array' then
        return '[' || coalesce(
            (select string_agg(iclock.webhook_render(m.value, payload), ','
                               order by m.n)
               from json_array_elements(template) with ordinality
                    as m (value, n)), '') || ']';

    when 'string' then
        return iclock.webhook_text(template #>> '{}', payload);

    when 'number' then
        return trim_scale((template #>> '{}')::numeric)::text;

    else
        return coalesce(template #>> '{}', 'null');
    end case;
end
$$;
comment on function iclock.webhook_render(json, json) is
    'The body of a webhook that has a template';


-- What is wrong with a template, or NULL.
create or replace function iclock.webhook_template_error(
        template  json,
        depth     integer  default 1)
    returns text
    language plpgsql stable
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    kind   constant text := json_typeof(template);
    found  text;
begin
    if depth = 1 then
        if template is null then
            return null;
        elsif octet_length(template::text) > 16384 then
            return 'longer than 16384 bytes';
        elsif kind not in ('object', 'array') then
            return 'not an object';
        elsif (select count(*) from regexp_matches(
                   regexp_replace(template::text, '\\u007b', '{', 'gi'),
                   '\{\{', 'g')) > 100
        then
            return 'more than 100 names in braces';
        end if;
    elsif depth > 16 then
        return 'more than 16 levels';
    end if;

    case kind
    when 'object' then
        select case
               when m.key ~ '\{\{' then 'a name of a member is taken as it is: '
                                        '"' || m.key || '"'
               -- JavaScript would change their order
               when m.key ~ '^[0-9]+$' then 'a member is called "' || m.key
                                            || '"'
               when m.others > 1 then 'two members are called "' || m.key
                                      || '"'
               else iclock.webhook_template_error(m.value, depth + 1) end
          into found
          from (select o.key, o.value, o.n,
                       count(*) over (partition by o.key) as others
                  from json_each(template) with ordinality
                       as o (key, value, n)) as m
         where m.key ~ '\{\{' or m.key ~ '^[0-9]+$' or m.others > 1
            or iclock.webhook_template_error(m.value, depth + 1) is not null
         order by m.n
         limit 1;

    when 'array' then
        select iclock.webhook_template_error(m.value, depth + 1) into found
          from json_array_elements(template) with ordinality as m (value, n)
         where iclock.webhook_template_error(m.value, depth + 1) is not null
         order by m.n
         limit 1;

    when 'string' then
        if regexp_replace(template #>> '{}', iclock.webhook_placeholder(), '',
                          'g') ~ '\{\{|\}\}'
        then
            found := 'names no member of the payload: '
                     || to_json(left(template #>> '{}', 100));
        end if;

    when 'number' then
        if (template #>> '{}') !~ '^-?[0-9]{1,15}(\.[0-9]{1,15})?$' then
            found := 'a number of more than 15 digits, or with an exponent';
        end if;
    else
        null;
    end case;

    return found;
end
$$;
comment on function iclock.webhook_template_error(json, integer) is
    'What is wrong with a template of the body of a webhook, or NULL';


-- What is wrong with the headers of an endpoint, or NULL.  Those that nginx
-- writes itself are not theirs, nor those that concern the connection.
create or replace function iclock.webhook_headers_error(headers json)
    returns text
    language plpgsql stable
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    found  text;
begin
    if headers is null then
        return null;
    elsif json_typeof(headers) <> 'object' then
        return 'not an object';
    end if;

    select case
           when h.n > 10 then 'more than 10 headers'
           when h.bytes > 4096 then 'more than 4096 bytes'
           when h.key !~ '^[A-Za-z0-9!#$%&''*+.^_`|~-]{1,128}$'
           then 'not the name of a header: ' || to_json(left(h.key, 100))
           when h.others > 1 then 'a header is given twice: ' || h.key
           when lower(h.key) ~ ('^(connection|keep-alive|proxy-.*|te|trailers?'
                                '|transfer-encoding|upgrade|http2-settings'
                                '|expect|host|content-length|content-type'
                                '|content-encoding|user-agent|x-signature'
                                '|webhook-.*|iclock-.*)$')
           then 'this header may not be set: ' || h.key
           else 'the value of a header must be text without control '
                'characters, and not empty: ' || h.key end
      into found
      from (select o.key, o.value, o.n,
                   count(*) over (partition by lower(o.key)) as others,
                   sum(octet_length(o.key) + octet_length(o.value #>> '{}') + 4)
                       over (order by o.n) as bytes
              from json_each(headers) with ordinality as o (key, value, n)) as h
     where h.n > 10
        or h.bytes > 4096
        or h.others > 1
        or h.key !~ '^[A-Za-z0-9!#$%&''*+.^_`|~-]{1,128}$'
        or lower(h.key) ~ ('^(connection|keep-alive|proxy-.*|te|trailers?'
                           '|transfer-encoding|upgrade|http2-settings'
                           '|expect|host|content-length|content-type'
                           '|content-encoding|user-agent|x-signature'
                           '|webhook-.*|iclock-.*)$')
        or json_typeof(h.value) <> 'string'
        or (h.value #>> '{}') !~ '^[^\x01-\x20\x7f]([^\x01-\x1f\x7f]*[^\x01-\x20\x7f])?$'
     order by h.n
     limit 1;

    return found;
end
$$;
comment on function iclock.webhook_headers_error(json) is
    'What is wrong with the headers of a webhook, or NULL';
