-- Commands, as the API shows and cancels them.  Of what a command says only the
-- words and the PIN are told: it may hold passwords and templates.

-- What a command does, for people.  Its subject tells the kind of a template
-- also when its body is not kept any more.
create or replace function iclock_api.command_words(
        body     text,
        subject  text)
    returns text
    language sql immutable
    set search_path = pg_catalog, iclock, pg_temp
as $$
    select case
           -- of "Put ... of 7" and "Put person 7"
           when w.what is not null and w.verb is not null
           then concat_ws(' ', w.verb, w.what,
                          case when w.what = 'person' or w.pin is null
                               then w.pin else 'of ' || w.pin end)
           else coalesce(
               (select k.words || case
                           when k.words like 'Enrol %' and w.pin is not null
                           then ' of ' || w.pin
                           when k.words = 'Set option'
                           then ' ' || coalesce(substring(
                                    $1 from '^SET OPTIONS? +~?([^=\t ]+)'), '')
                           else '' end
                  from (values
                      ('REBOOT',          'Restart'),
                      ('CHECK',           'Shake hands again'),
                      ('LOG',             'Send what is new'),
                      ('INFO',            'Tell its state'),
                      ('CLEAR LOG',       'Delete all punches on it'),
                      ('CLEAR DATA',      'Delete everything on it'),
                      ('CLEAR PHOTO',     'Delete all photos on it'),
                      ('CLEAR ALL USERINFO', 'Delete all people on it'),
                      ('CLEAR BIODATA',   'Delete all templates on it'),
                      ('SET OPTION',      'Set option'),
                      ('RELOAD OPTIONS',  'Read its options again'),
                      ('ENROLL_FP',       'Enrol fingerprint'),
                      ('ENROLL_BIO',      'Enrol template'),
                      ('ENROLL_MF',       'Enrol card'),
                      ('VERIFY SUM',      'Count its punches'),
                      ('DATA QUERY ATTLOG', 'Send punches again'),
                      ('DATA QUERY ATTPHOTO', 'Send photos of punches again'),
                      ('AC_UNLOCK',       'Open the door'),
                      ('AC_UNALARM',      'Cancel the alarm'),
                      ('SHELL',           'Run a program'),
                      ('PUTFILE',         'Store a file'),
                      ('GETFILE',         'Send a file'),
                      ('UPGRADE',         'Upgrade its firmware'))
                      as k (begins, words)
                 where starts_with(upper($1), k.begins)
                 order by length(k.begins) desc
                 limit 1),
               iclock.command_summary(split_part($1, E'\t', 1))) end
      from (select case when $1 ~* '^DATA +DELETE\M' then 'Remove'
                        when $1 ~* '^DATA +QUERY\M' then 'Fetch'
                        when $1 ~* '^DATA\M'         then 'Put' end as verb,
                   nullif(substring($1 from
                              '(?:^|[ \t])(?:PIN|Pin)=([^\t]*)'), '') as pin,
                   (select k.what
                      from (values
                          ('USERINFO', 'person'),
                          ('USER', 'person'),
                          ('FP', 'fingerprint'),
                          ('FINGERTMP', 'fingerprint'),
                          ('FACE', 'face'),
                          ('FVEIN', 'finger vein'),
                          ('BIODATA',
                           case split_part($2, E'\t', 4)
                           when '1' then 'fingerprint'
                           when '2' then 'face' when '9' then 'face'
                           when '7' then 'finger vein'
                           when '6' then 'palm' when '8' then 'palm'
                           else 'template' end),
                          ('USERPIC', 'photo'),
                          ('BIOPHOTO', 'comparison photo'),
                          ('USEREXTINFO', 'further data'),
                          ('IDCARD', 'identity card'),
                          ('BLACKLIST', 'blacklisted card'),
                          ('SMS', 'message'),
                          ('USER_SMS', 'message'),
                          ('WORKCODE', 'work code'),
                          ('BELL', 'bell'),
                          ('ADPIC', 'picture'),
                          ('TIMEZONE', 'time period'),
                          ('ACCTIMEZONE', 'time period'),
                          ('ACCGROUP', 'access group'),
                          ('ACCHOLIDAY', 'holiday'))
                          as k (name, what)
                     where k.name = upper(coalesce(
                               substring($1 from
                                   '^DATA +(?:UPDATE|DELETE|QUERY) +(\w+)'),
                               substring($1 from '^DATA +(\w+)')))) as what)
               as w
$$;
comment on function iclock_api.command_words(text, text) is
    'What a command with this body and subject does, in words';

drop function if exists iclock_api.commands_json(bigint[]);

create or replace function iclock_api.commands_json(
        ids      bigint[],
        timeout  integer default null)
    returns json[]
    language sql stable
    set search_path = pg_catalog, iclock, pg_temp
as $$
    select array_agg(json_build_object(
               'id', s.id,
               'device_id', s.serial_number,
               'command', s.command,
               'words', iclock_api.command_words(c.body, c.subject),
               'user_id', s.pin,
               'status', s.status,
               'return_code', s.return_code,
               'result', s.result,
               'attempts', s.attempts,
               'created_at', iclock_api.utc(s.created_at),
               'created_by', regexp_replace(s.created_by, '^api:', ''),
               'sent_at', iclock_api.utc(s.sent_at),
               'answer_due_at', case when s.status = 'sent'
                   then iclock_api.utc(s.sent_at
                                       + make_interval(secs => $2)) end,
               'finished_at', iclock_api.utc(s.finished_at),
               'not_before', iclock_api.utc(s.not_before),
               'expires_at', iclock_api.utc(s.expires_at))
               order by array_position($1, s.id))
      from iclock.command_status s
      join iclock.command c on c.id = s.id
     where s.id = any ($1)
$$;
comment on function iclock_api.commands_json(bigint[], integer) is
    'Commands as the API shows them, in the order of the array; timeout: '
    'seconds after which one that was sent counts as unanswered';

create or replace function iclock_api.command_timeout(request jsonb)
    returns integer
    language sql immutable
    set search_path = pg_catalog, pg_temp
as $$
    select ($1 #>> '{server,command_timeout}')::integer
$$;
comment on function iclock_api.command_timeout(jsonb) is
    'What nginx says of the time that a device has for an answer, in seconds';

-- what others must not see is not there
create or replace function iclock_api.find_command(request jsonb)
    returns bigint
    language plpgsql stable
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    named     constant text := request #>> '{path,id}';
    found_id  bigint;
begin
    if named ~ '^[0-9]{1,18}$' then
        select c.id into found_id
          from iclock.command c
          join iclock.device d on d.id = c.device_id
         where c.id = named::bigint
           and iclock_api.visible(d, request);
    end if;

    if found_id is null then
        perform iclock_api.fail(404, 'not_found',
            format('there is no command %s', named));
    end if;
    return found_id;
end
$$;
comment on function iclock_api.find_command(jsonb) is
    'The command that the path names, if the key sees its device; else a '
    'problem: 404';

create or replace function iclock_api.commands_get(request jsonb)
    returns iclock_api.reply
    language plpgsql stable
    set search_path = pg_catalog, iclock, pg_temp
as $$
begin
    perform iclock_api.parameters(request, '{}');

    return iclock_api.reply(200, (iclock_api.commands_json(
        array[iclock_api.find_command(request)],
        iclock_api.command_timeout(request)))[1]);
end
$$;
comment on function iclock_api.commands_get(jsonb) is 'GET /commands/{id}';

-- The newest first.  As devices_list() does, it makes its query for the
-- conditions that there are: of a device or a person by an index of its
-- commands, of all by their key.  By when they ended, the latest first, if that
-- is asked for: what has waited for days is among the old ones, and may have
-- failed just now.  There are indexes of what has failed or has expired: so a
-- single status stands in that query.
create or replace function iclock_api.commands_list(request jsonb)
    returns iclock_api.reply
    language plpgsql stable
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    query    constant jsonb  := request -> 'query';
    states   constant text[] := iclock_api.words(request, 'status',
        '{queued,sent,done,failed,expired,cancelled}');
    since    constant timestamptz := iclock_api.moment(request, 'since');
    ended    constant timestamptz := iclock_api.moment(request,
                                                       'finished_since');
    serial   constant text := query ->> 'device_id';
    devices  bigint[];
    size     integer;
    after    jsonb;
    ids      bigint[];
    keys     jsonb[];
begin
    perform iclock_api.parameters(request,
        '{device_id,status,user_id,since,finished_since,created_by,limit,'
        'cursor}');

    select p.* into size, after from iclock_api.page(request) as p;

    if serial is not null then
        devices := array[(iclock_api.find_device(request, serial)).id];
    elsif query ? 'user_id' then
        devices := array(select d.id
                           from iclock.device d
                          where iclock_api.visible(d, request));
    end if;

    execute concat(
        'select array_agg(l.id order by l.at desc, l.id desc), '
        '       array_agg(case when l.at is null then to_jsonb(l.id) '
        '                 else jsonb_build_array(l.at, l.id) end '
        '                 order by l.at desc, l.id desc) '
        '  from (select c.id, ',
        case when ended is null then 'null::timestamptz'
             else 'c.finished_at' end, ' as at '
        '  from iclock.command c '
        '  join iclock.device d on d.id = c.device_id '
        ' where iclock_api.visible(d, $1)',
        case when devices is not null then ' and c.device_id = any ($5)' end,
        case when cardinality(states) = 1 and ended is not null
             then format(' and c.status = %L', states[1])
             when states is not null then ' and c.status = any ($2)' end,
        case when query ? 'user_id'
             then ' and c.subject >= $6 and c.subject < $6 || E''\n''' end,
        case when since is not null then ' and c.created_at >= $7' end,
        case when query ? 'created_by'
             then ' and c.created_by in ($8, ''api:'' || $8)' end,
        case when ended is not null then ' and c.finished_at >= $9' end,
        case when after is not null and ended is not null
             then ' and (c.finished_at, c.id) '
                  '     < (($3 ->> 0)::timestamptz, ($3 ->> 1)::bigint)'
             when after is not null
             then ' and c.id < ($3 #>> ''{}'')::bigint' end,
        ' order by ',
        case when ended is not null then 'c.finished_at desc, ' end,
        'c.id desc limit $4) as l')
       into ids, keys
      using request, states, after, size + 1, devices,
            E'user\t' || (query ->> 'user_id'), since,
            query ->> 'created_by', ended;

    return iclock_api.list(request,
        iclock_api.commands_json(ids, iclock_api.command_timeout(request)),
        keys, size);
end
$$;
comment on function iclock_api.commands_list(jsonb) is 'GET /commands';

create or replace function iclock_api.commands_delete(request jsonb)
    returns iclock_api.reply
    language plpgsql
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    id  constant bigint := iclock_api.find_command(request);
begin
    perform iclock_api.parameters(request, '{}');

    if not iclock.cancel_command(id) then
        perform iclock_api.fail(409, 'conflict',
            'the command was sent already, or has ended');
    end if;

    return iclock_api.reply(200, (iclock_api.commands_json(array[id]))[1]);
end
$$;
comment on function iclock_api.commands_delete(jsonb) is
    'DELETE /commands/{id}';

-- Each kind of command that an operation of the API queues, and the scope of
-- that operation.  What comes by SQL alone opens doors, empties terminals and
-- runs programs on them.
create or replace function iclock_api.command_scope(body text)
    returns text
    language sql immutable
    set search_path = pg_catalog, iclock, pg_temp
as $$
    select k.scope
      from (values
          ('(REBOOT|CHECK)$',                             'devices:write'),
          ('DATA QUERY (USERINFO|FINGERTMP)$',            'devices:write'),
          ('(VERIFY SUM|DATA QUERY) ATTLOG StartTime=',   'commands:write'),
          (E'DATA UPDATE USERINFO PIN=[^\t]',             'users:write'),
          (E'DATA DELETE USERINFO PIN=[^\t]{1,100}$',     'users:write'),
          (E'DATA UPDATE (FINGERTMP|FACE|USERPIC) PIN=[^\t]',
                                                          'users:write'),
          (E'DATA UPDATE (FVEIN|BIODATA) Pin=[^\t]',      'users:write'),
          (E'ENROLL_(FP|BIO|MF) [^\t]',                   'users:write'))
               as k (begins, scope)
     where left($1, 500) collate "C" ~ ('^' || k.begins)
$$;
comment on function iclock_api.command_scope(text) is
    'The scope of the operation of the API that queues such a command; NULL: '
    'there is none';

-- The same command once more, if the key could have queued it: the one that has
-- ended stays as it is.
create or replace function iclock_api.commands_repeat(request jsonb)
    returns iclock_api.reply
    language plpgsql
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    named  constant bigint := iclock_api.find_command(request);
    c      iclock.command;
    d      iclock.device;
    scope  text;
    again  bigint;
begin
    perform iclock_api.parameters(request, '{}'),
            iclock_api.members(coalesce(request -> 'body', '{}'), '{}');

    select k.* into c from iclock.command k where k.id = named;
    select o.* into d from iclock.device o where o.id = c.device_id;
    scope := iclock_api.command_scope(c.body);

    if c.status in ('queued', 'sent') then
        perform iclock_api.fail(409, 'conflict',
            'the command has not ended yet');
    elsif c.cleared_at is not null then
        perform iclock_api.fail(409, 'conflict',
            'what the command held is not kept any more');
    elsif scope is null then
        perform iclock_api.fail(409, 'by_sql',
            'no operation of the API queues such a command: it is repeated by '
            'SQL');
    elsif not request #> '{key,scopes}' ? scope then
        perform iclock_api.fail(403, 'scope',
            format('the key lacks scope %s', scope));
    elsif d.status <> 'active' then
        perform iclock_api.fail(409, 'conflict',
            format('device "%s" is %s', d.serial_number, d.status));
    end if;

    again := iclock.queue_command(d.serial_number, c.body, c.priority);

    return iclock_api.reply(201, (iclock_api.commands_json(array[again]))[1],
        jsonb_build_object('Location', concat(request ->> 'base', '/commands/',
                                              again)));
end
$$;
comment on function iclock_api.commands_repeat(jsonb) is
    'POST /commands/{id}/repeat';
