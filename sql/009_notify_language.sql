-- Migration 9: the encoding of a device's texts follows its language, which
-- every nginx keeps: a change of it has to be told like any other.

create trigger device_notify_language
    after update of language on iclock.device
    for each row
    when (old.language is distinct from new.language)
    execute function iclock.device_notify();

insert into iclock.schema_version (version, description)
values (9, 'changes of the language are notified');
