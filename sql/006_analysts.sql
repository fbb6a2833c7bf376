-- Migration 6: checks begun once.

alter table iclock.attendance_check
    drop constraint attendance_check_status_check,
    add constraint attendance_check_status_check
        check (status in ('asking', 'filling', 'agreed', 'surplus', 'differs',
                          'failed', 'resent'));

-- of the same check begun twice the younger one goes on
update iclock.attendance_check k
   set status = 'failed', finished_at = now()
 where k.finished_at is null
   and exists (select
                 from iclock.attendance_check o
                where o.device_id = k.device_id
                  and o.starts = k.starts
                  and o.ends = k.ends
                  and o.finished_at is null
                  and o.id > k.id);

create unique index attendance_check_once_idx on iclock.attendance_check
    (device_id, starts, ends) where finished_at is null;

create index attendance_check_agreed_idx on iclock.attendance_check
    (device_id, ends) where status in ('agreed', 'surplus', 'resent');

insert into iclock.schema_version (version, description)
values (6, 'checks begun once');
