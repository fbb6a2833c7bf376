-- Rights.  Functions are for everyone unless that is taken back.

revoke all on schema iclock from public;
grant usage on schema iclock
   to iclock_module, iclock_operator, iclock_reader, iclock_reader_cards;

revoke execute on all functions in schema iclock from public;

-- what nginx needs and no more

grant select on iclock.schema_version, iclock.device to iclock_module;
grant update (push_version, firmware, language, ip_address, remote_address,
              user_count, fingerprint_count, face_count, punch_count,
              fingerprint_version, face_version, multi_bio_version,
              multi_bio_data_count, multi_bio_photo_count, first_seen,
              last_seen, recognized_dialect, default_timezone, told_offset)
   on iclock.device to iclock_module;

-- reading too: ON CONFLICT reads what it compares and keeps
grant select, insert
   on iclock.punch, iclock.operation, iclock.device_error, iclock.rejected_line
   to iclock_module;
-- it numbers the lines of an upload in their order
grant usage on sequence iclock.rejected_line_id_seq to iclock_module;
grant select, insert, update
   on iclock.device_option, iclock.device_presence, iclock.upload_stamp,
      iclock.device_user,
      iclock.template, iclock.photo, iclock.identity_card, iclock.work_code
   to iclock_module;

grant execute on function
    iclock.register_devices(text[], text[], integer[]),
    iclock.dequeue_commands(bigint[], integer[], integer[], integer[],
                            integer[], bigint[]),
    iclock.return_commands(bigint[], bigint[]),
    iclock.answer_commands(bigint[], bigint[], integer[], bytea[]),
    iclock.due_devices(integer),
    iclock.maintain(),
    iclock.no_device(bigint),
    iclock.other_database(),
    iclock.verify_due(integer),
    iclock.refresh_timezones(integer),
    iclock.remote_attendance(bigint, text),
    iclock.last_punch(bigint, text),
    iclock.upgrade_file(bigint, text),
    iclock.self_service(text, text, text),
    iclock.verify_decision(text, bytea),
    -- called by the constraints of the tables it writes
    iclock.is_time_zone(text),
    iclock.is_line_text(text, integer),
    iclock.is_trans_flag(text),
    iclock.is_trans_times(text)
   to iclock_module;

-- views and row security ask for whoever reads, and tell no one of others
grant execute on function
    iclock.visible_sites(),
    iclock.visible_devices(),
    iclock.visible_stays(),
    iclock.stood_there(bigint, timestamp, bigint[], tsrange[]),
    iclock.may_see(text, text[])
   to public;

-- people, through functions only

do $do$
declare
    name  text;
begin
    foreach name in array array[
        -- devices, the queue, many devices
        'queue_command', 'cancel_command', 'schedule_command',
        'approve_device', 'block_device', 'register_device', 'set_device',
        'move_device', 'reset_device', 'delete_device', 'request_reupload', 'copy_user',
        'copy_user_to_site', 'copy_site', 'sync_site',
        'delete_user_from_site', 'readmit_user', 'set_site',
        'verify_attendance', 'verify_all',
        -- the commands of the documents
        'put_user', 'delete_user', 'delete_all_users', 'query_user',
        'query_all_users', 'put_user_extension', 'put_identity_card',
        'blacklist_identity_card', 'put_fingerprint', 'delete_fingerprint',
        'delete_all_fingerprints', 'query_fingerprint',
        'query_all_fingerprints', 'put_face', 'delete_face',
        'delete_all_faces', 'put_finger_vein', 'delete_finger_vein',
        'put_template', 'delete_template', 'query_template', 'put_photo',
        'delete_photo', 'put_comparison_photo', 'delete_comparison_photo',
        'put_publicity_picture', 'delete_publicity_picture', 'put_message',
        'delete_message', 'delete_all_messages', 'assign_message',
        'put_work_code', 'delete_work_code', 'delete_all_work_codes',
        'put_job_code_group', 'delete_job_code_group', 'put_job_code',
        'delete_job_code', 'put_tip_code', 'put_time_period',
        'delete_time_period', 'delete_all_time_periods', 'put_access_group',
        'put_holiday', 'put_unlock_combination', 'put_bell', 'delete_bell',
        'delete_all_bells', 'put_shortcut_key', 'put_function_key',
        'map_status_code', 'reset_function_keys', 'reset_time_periods',
        'put_self_service', 'query_attendance', 'query_attendance_photos',
        'query_attendance_count', 'check_data', 'send_new_data',
        'clear_attendance', 'clear_attendance_photos', 'clear_data',
        'clear_templates', 'clear_users', 'clear_bells', 'set_option',
        'reload_options', 'query_options', 'get_file', 'put_file',
        'enroll_fingerprint', 'enroll_card', 'enroll_template', 'reboot',
        'unlock_door', 'cancel_alarm', 'run_shell', 'upgrade_firmware']
    loop
        execute format('grant execute on function iclock.%I '
                       'to iclock_operator', name);
    end loop;
end
$do$;

-- import_file() reads with the rights of its caller, import_rows() stores
grant execute on function
    iclock.import_punches(text, jsonb),
    iclock.import_punches(text, text),
    iclock.import_file(text, refcursor),
    iclock.import_rows(text, jsonb, bigint)
   to iclock_operator;

-- the device's answer, not the command: that may hold passwords and templates
grant select (reply) on iclock.command to iclock_operator;

-- reading: everything but passwords, templates, photos, keys and cards.  Option
-- values, commands, rejected lines and what stands behind the columns of a
-- punch may hold any of these: views show the harmless part.

grant select
   on iclock.attendance, iclock.daily_attendance, iclock.device_status,
      iclock.device_setting, iclock.command_status, iclock.reconciliation,
      iclock.attendance_check, iclock.command_result_label,
      iclock.refused_answer, iclock.removed_person, iclock.site,
      iclock.device_site, iclock.schema_version,
      iclock.upload_stamp, iclock.device_presence, iclock.operation,
      iclock.work_code, iclock.device_error,
      iclock.verify_label, iclock.status_label
   to iclock_reader, iclock_operator;

grant select
   on iclock.shift_attendance, iclock.monthly_attendance, iclock.present_now,
      iclock.operation_log, iclock.device_error_log, iclock.attendance_photo,
      iclock.label
   to iclock_reader, iclock_operator;

-- attendance_days() is what the views of days are made of
grant execute on function
    iclock.attendance_days(date, date, boolean),
    iclock.counted_until(timestamp, boolean, interval),
    iclock.daily_attendance_between(date, date),
    iclock.shift_attendance_between(date, date),
    iclock.monthly_attendance_between(date, date),
    iclock.punches_since(text, integer),
    iclock.cluster(),
    iclock.punch_cursor(bigint, bigint, timestamp, text, integer, integer),
    iclock.punch_cursor_parts(text)
   to iclock_reader, iclock_operator;

grant select on iclock.retention, iclock.punch_state
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
            ('device_user', '{password,card,vice_card}'),
            ('template', '{data}'),
            ('punch', '{id_number,extra}'),
            ('photo', '{content,id_number}'),
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

grant select (device_id, pin, card, vice_card, updated_at)
   on iclock.device_user to iclock_reader_cards;
grant select (device_id, pin, local_time, id_number)
   on iclock.punch to iclock_reader_cards;
grant select (device_id, kind, file_name, pin, id_number)
   on iclock.photo to iclock_reader_cards;
grant select (device_id, id_number, pin, sn_number, dn_number, name, gender,
              nation, birthday, valid_info, address, additional_info, issuer,
              reserve, notice, updated_at)
   on iclock.identity_card to iclock_reader_cards;
grant select on iclock.identity_card_log to iclock_reader_cards;
