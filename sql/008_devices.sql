-- Migration 8: what handshakes tell devices and learn of them.

-- The zone of the nginx location, the offset that the device has: a zone that
-- changes to or from daylight saving is told again.
alter table iclock.device
    add column default_timezone    text
        constraint device_default_timezone_check
        check (iclock.is_time_zone(default_timezone)),
    add column told_offset         integer,
    add column recognized_dialect  text
        constraint device_recognized_dialect_check
        check (recognized_dialect in ('2.4', '3.2')),
    add column dialect_chosen      boolean not null default false;

create index device_told_idx on iclock.device
    ((coalesce(timezone, default_timezone)), told_offset)
    where status = 'active' and told_offset is not null;

-- nobody but an operator can have set it
update iclock.device set dialect_chosen = true where dialect <> '2.4';

-- Settings that devices could not have understood.  All the words were sent in
-- place of such a trans_flag, as without one.
do $do$
declare
    wrong  record;
begin
    for wrong in
        select d.serial_number, d.trans_flag, d.trans_times
          from iclock.device d
         where not iclock.is_trans_flag(d.trans_flag)
            or not iclock.is_trans_times(d.trans_times)
         order by d.id
    loop
        raise warning 'device "%": %', wrong.serial_number, concat_ws(', ',
            case when not iclock.is_trans_flag(wrong.trans_flag)
                 then format('trans_flag "%s" is taken back',
                             wrong.trans_flag) end,
            case when not iclock.is_trans_times(wrong.trans_times)
                 then format('trans_times "%s" is taken back',
                             wrong.trans_times) end);
    end loop;
end
$do$;

update iclock.device d
   set trans_flag = case when iclock.is_trans_flag(d.trans_flag)
                         then d.trans_flag end,
       trans_times = case when iclock.is_trans_times(d.trans_times)
                          then d.trans_times end
 where not iclock.is_trans_flag(d.trans_flag)
    or not iclock.is_trans_times(d.trans_times);

alter table iclock.device
    drop constraint device_trans_flag_check,
    drop constraint device_trans_times_check,
    add constraint device_trans_flag_check
        check (iclock.is_trans_flag(trans_flag)),
    add constraint device_trans_times_check
        check (iclock.is_trans_times(trans_times));

create trigger device_dialect
    before insert or update of dialect, recognized_dialect, dialect_chosen
    on iclock.device
    for each row execute function iclock.device_dialect();

insert into iclock.schema_version (version, description)
values (8, 'handshakes: time zones, dialects');
