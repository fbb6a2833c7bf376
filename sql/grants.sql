-- Rights of tables.  Those of functions and views stand behind each.

revoke all on schema iclock, iclock_api from public;
grant usage on schema iclock, iclock_api to iclock_api;
grant usage on schema iclock
   to iclock_module, iclock_operator, iclock_reader, iclock_reader_cards;

-- New functions are for everyone until that is taken back, here, at once for
-- all.  So what is meant for everyone is granted behind it: views and row
-- security ask these for whoever reads, and they tell no one of others.
revoke execute on all functions in schema iclock from public;
revoke execute on all functions in schema iclock_api from public;
grant execute on function
    iclock.visible_sites(),
    iclock.visible_devices(),
    iclock.visible_stays(),
    iclock.days_at_once(),
    iclock.punch_days(),
    iclock.attendance_day(date, boolean),
    iclock.stood_there(bigint, timestamp, bigint[], tsrange[]),
    iclock.may_see(text, text[])
   to public;

-- what nginx needs and no more

grant select on iclock.schema_version, iclock.device to iclock_module;
grant update (push_version, firmware, language, ip_address, remote_address,
              user_count, fingerprint_count, face_count, punch_count,
              fingerprint_version, face_version, multi_bio_version,
              multi_bio_data_count, multi_bio_photo_count, first_seen,
              last_seen, recognized_dialect, default_timezone, told_offset,
              told_delay)
   on iclock.device to iclock_module;

-- reading too: ON CONFLICT reads what it compares and keeps
grant select, insert
   on iclock.punch, iclock.operation, iclock.device_error, iclock.rejected_line
   to iclock_module;
-- it numbers the lines of an upload in their order
grant usage on sequence iclock.device_error_id_seq, iclock.rejected_line_id_seq
   to iclock_module;
grant select, insert, update
   on iclock.device_option, iclock.device_presence, iclock.device_refusal,
      iclock.upload_stamp,
      iclock.device_user,
      iclock.template, iclock.photo, iclock.identity_card, iclock.work_code
   to iclock_module;

-- the device's answer, not the command: that may hold passwords and templates
grant select (reply) on iclock.command to iclock_operator;

-- reading: everything but passwords, templates, photos, keys and cards.  Option
-- values, commands, rejected lines and what stands behind the columns of a
-- punch may hold any of these: views show the harmless part.

grant select
   on iclock.attendance_check, iclock.command_result_label,
      iclock.refused_answer, iclock.removed_person, iclock.site,
      iclock.device_site, iclock.schema_version, iclock.upload_stamp,
      iclock.device_presence, iclock.operation, iclock.work_code,
      iclock.device_error, iclock.verify_label, iclock.status_label,
      iclock.label, iclock.retention, iclock.punch_state,
      iclock.event_type, iclock.person, iclock.condition,
      iclock.device_refusal, iclock.device_pulse, iclock.device_day,
      iclock.punch_rate
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
