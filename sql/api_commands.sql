-- Commands, as the API shows and cancels them.  Of what a command says only the
-- words and the PIN are told: it may hold passwords and templates.

create or replace function iclock_api.commands_json(ids bigint[])
    returns json[]
    language sql stable
    set search_path = pg_catalog, iclock, pg_temp
as $$
    select array_agg(json_build_object(
               'id', s.id,
               'device_id', s.serial_number,
               'command', s.command,
               'user_id', s.pin,
               'status', s.status,
               'return_code', s.return_code,
               'result', s.result,
               'attempts', s.attempts,
               'created_at', iclock_api.utc(s.created_at),
               'sent_at', iclock_api.utc(s.sent_at),
               'finished_at', iclock_api.utc(s.finished_at),
               'expires_at', iclock_api.utc(s.expires_at))
               order by s.id desc)
      from iclock.command_status s
     where s.id = any ($1)
$$;
comment on function iclock_api.commands_json(bigint[]) is
    'Commands as the API shows them, the newest first';

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
        array[iclock_api.find_command(request)]))[1]);
end
$$;
comment on function iclock_api.commands_get(jsonb) is 'GET /commands/{id}';

-- The newest first.  As devices_list() does, it makes its query for the
-- conditions that there are: of a device by an index of its commands, of all by
-- their key.
create or replace function iclock_api.commands_list(request jsonb)
    returns iclock_api.reply
    language plpgsql stable
    set search_path = pg_catalog, iclock, pg_temp
as $$
declare
    status  constant text := iclock_api.word(request, 'status',
        '{queued,sent,done,failed,expired,cancelled}');
    serial  constant text := request #>> '{query,device_id}';
    device  bigint;
    size    integer;
    after   jsonb;
    ids     bigint[];
begin
    perform iclock_api.parameters(request, '{device_id,status,limit,cursor}');

    select p.* into size, after from iclock_api.page(request) as p;

    if serial is not null then
        device := (iclock_api.find_device(request, serial)).id;
    end if;

    execute concat(
        'select array(select c.id '
        '  from iclock.command c '
        '  join iclock.device d on d.id = c.device_id '
        ' where iclock_api.visible(d, $1)',
        case when device is not null then ' and c.device_id = $5' end,
        case when status is not null then ' and c.status = $2' end,
        case when after is not null then ' and c.id < $3' end,
        ' order by c.id desc limit $4)')
       into ids
      using request, status, (after #>> '{}')::bigint, size + 1,
            device;

    return iclock_api.list(request, iclock_api.commands_json(ids),
                           array(select to_jsonb(i) from unnest(ids) as i),
                           size);
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
