-- Migration 6: days of a site, labels of every appendix, checks begun once.

-- constants: no row is written for them
alter table iclock.site
    add column day_starts time not null default '00:00'
        check (day_starts < '24:00'),
    add column double_punch_interval interval not null default '0'
        check (double_punch_interval between interval '0'
                                         and interval '1 hour');

drop function if exists iclock.set_site(text, boolean);

-- Codes mean something else in records of identity verification.
alter table iclock.verify_label
    add column record_type integer not null default 0,
    drop constraint verify_label_pkey,
    add primary key (dialect, record_type, code);

alter table iclock.status_label
    add column record_type integer not null default 0,
    drop constraint status_label_pkey,
    add primary key (dialect, record_type, code);

-- the meaning of all other codes
create table iclock.label (
    kind     text  not null,
    dialect  text  not null,
    code     text  not null,
    label    text  not null,
    primary key (kind, dialect, code)
);

alter table iclock.attendance_check
    drop constraint attendance_check_status_check,
    add constraint attendance_check_status_check
        check (status in ('asking', 'filling', 'agreed', 'surplus', 'differs',
                          'failed', 'resent')) not valid;

-- of the same check begun twice the younger one goes on
update iclock.attendance_check k
   set status = 'failed', finished_at = now()
 where k.id in (select o.id
                  from (select c.id,
                               row_number() over (partition by c.device_id,
                                                      c.starts, c.ends
                                                  order by c.id desc) as age
                          from iclock.attendance_check c
                         where c.finished_at is null) as o
                 where o.age > 1);

create unique index attendance_check_once_idx on iclock.attendance_check
    (device_id, starts, ends) where finished_at is null;

-- the two documents differ; what a site has written stays
update iclock.command_result_label
   set label = 'wrong operation, or the photo does not match the size given'
 where dialect = '3.2' and command = '' and code = -2
   and label = 'wrong operation';

update iclock.verify_label
   set label = 'PIN + fingerprint or badge + fingerprint'
 where dialect = '3.2' and code = 142 and label = 'PIN or badge + fingerprint';

-- A terminal that moved leaves its punches at the site where they were made.
alter table iclock.device
    add column site_since timestamp not null default '-infinity';

create table iclock.device_site (
    device_id  bigint     not null references iclock.device on delete cascade,
    starts     timestamp  not null,
    ends       timestamp  not null check (ends > starts),
    site       text,
    primary key (device_id, starts)
);

create index device_site_site_idx on iclock.device_site (site);

insert into iclock.schema_version (version, description)
values (6, 'days of a site, labels, checks begun once');
