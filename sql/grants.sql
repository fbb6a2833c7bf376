-- Rights.  Functions are for everyone unless that is taken back.

revoke all on schema iclock from public;
grant usage on schema iclock
   to iclock_module, iclock_operator, iclock_reader;

revoke execute on all functions in schema iclock from public;

-- what nginx needs and no more

grant select on iclock.schema_version, iclock.device to iclock_module;
grant update (push_version, firmware, language, ip_address, remote_address,
              user_count, fingerprint_count, face_count, punch_count,
              fingerprint_version, face_version, first_seen, last_seen)
   on iclock.device to iclock_module;

-- reading too: ON CONFLICT reads what it compares and keeps
grant select, insert
   on iclock.punch, iclock.operation, iclock.device_error, iclock.rejected_line
   to iclock_module;
grant select, insert, update
   on iclock.device_option, iclock.upload_stamp, iclock.device_user,
      iclock.template, iclock.photo, iclock.identity_card, iclock.work_code
   to iclock_module;

grant execute on function
    iclock.register_devices(text[], text[], integer[]),
    iclock.dequeue_commands(bigint[], integer[], integer[], integer[],
                            integer[]),
    iclock.answer_commands(bigint[], bigint[], integer[], bytea[]),
    iclock.due_devices(integer),
    iclock.maintain(),
    -- called by the constraints of the tables it writes
    iclock.is_time_zone(text),
    iclock.is_line_text(text, integer)
   to iclock_module;

-- people, through functions only

grant execute on function
    iclock.queue_command(text, text, integer, interval),
    iclock.cancel_command(bigint),
    iclock.approve_device(text),
    iclock.block_device(text),
    iclock.request_reupload(text, text),
    iclock.reboot(text),
    iclock.set_option(text, text, text),
    iclock.query_attendance(text, timestamp, timestamp),
    iclock.put_user(text, text, text, integer, text, text, integer, text,
                    integer, text),
    iclock.delete_user(text, text)
   to iclock_operator;

-- the device's answer, not the command: that may hold passwords and templates
grant select (reply) on iclock.command to iclock_operator;

-- reading: everything but passwords, templates, photos and keys.  Option
-- values, commands and rejected lines may hold any of these: views show
-- the harmless part.

grant select
   on iclock.attendance, iclock.daily_attendance, iclock.device_status,
      iclock.device_setting, iclock.command_status,
      iclock.schema_version, iclock.upload_stamp, iclock.punch,
      iclock.operation, iclock.work_code, iclock.device_error,
      iclock.verify_label, iclock.status_label
   to iclock_reader, iclock_operator;

grant execute on function iclock.daily_attendance_between(date, date)
   to iclock_reader, iclock_operator;

do $do$
declare
    hidden  record;
begin
    for hidden in
        select *
          from (values
            ('device', '{comm_key}'::name[]),
            ('device_option', '{value}'),
            ('device_user', '{password}'),
            ('template', '{data}'),
            ('photo', '{content}'),
            ('identity_card', '{photo,fp_template1,fp_template2}'),
            ('command', '{body,reply}'),
            ('rejected_line', '{line}'))
            as h (relation, columns)
    loop
        execute (
            select format('grant select (%s) on iclock.%I '
                          'to iclock_reader, iclock_operator',
                          string_agg(format('%I', a.attname), ', '),
                          hidden.relation)
              from pg_attribute a
             where a.attrelid = format('iclock.%I', hidden.relation)::regclass
               and a.attnum > 0
               and not a.attisdropped
               and a.attname <> all (hidden.columns));
    end loop;
end
$do$;
