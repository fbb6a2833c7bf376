-- Migration 17: triggers of devices that an update does not concern cost nothing.

-- PostgreSQL reads the WHEN of a trigger anew for every statement that updates a
-- row.  Handshakes and options update devices often, and few of these columns:
-- a trigger says which ones are its own, and others are not looked into.
--
-- Such a list is of the columns that a statement sets, not of those that BEFORE
-- triggers change.  The dialect is one: device_dialect() notes when it changed,
-- and what notifies its changes names what it is made of.
drop trigger device_updated on iclock.device;
drop trigger device_bytes_updated on iclock.device;
drop trigger device_location_updated on iclock.device;
drop trigger device_note_updated on iclock.device;
drop trigger device_notify_update on iclock.device;
drop trigger device_notify_language on iclock.device;

do $do$
declare
    read_by_nginx  constant text[] := array[
        'serial_number', 'status', 'timezone', 'comm_key', 'allowed_networks',
        'encoding', 'delay', 'error_delay', 'trans_times', 'trans_interval',
        'trans_flag', 'realtime', 'send_timezone', 'bare_stamps',
        'push_options', 'multi_bio_data', 'multi_bio_photo',
        'max_push_version', 'command_limit'];
    configured     constant text[] := read_by_nginx || array[
        'name', 'site', 'location', 'command_bytes', 'note', 'muted_until'];
begin
    execute (select format('create trigger device_updated '
                           'before update of %s on iclock.device '
                           'for each row when (%s) '
                           'execute function iclock.device_updated()',
                           string_agg(format('%I', c), ', '),
                           string_agg(format('old.%1$I is distinct from '
                                             'new.%1$I', c), ' or '))
               from unnest(configured) as c);

    execute (select format('create trigger device_notify_update '
                           'after update of %s on iclock.device '
                           'for each row when (%s) '
                           'execute function iclock.device_notify()',
                           string_agg(format('%I', c), ', '),
                           string_agg(format('old.%1$I is distinct from '
                                             'new.%1$I', c), ' or '))
               from unnest(read_by_nginx) as c);
end
$do$;

-- what handshakes change
create trigger device_notify_told
    after update of language, dialect, recognized_dialect, dialect_chosen
    on iclock.device
    for each row
    when (old.language is distinct from new.language
          or old.dialect is distinct from new.dialect)
    execute function iclock.device_notify();

insert into iclock.schema_version (version, description)
values (17, 'triggers of devices');
