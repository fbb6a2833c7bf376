-- Migration 5: presence in a narrow table of its own, which uploads never lock;
-- stamps that the device has to be told of.

-- half of each page is left free, so that updates touch no index
create table iclock.device_presence (
    device_id  bigint       not null primary key
                            references iclock.device on delete cascade,
    last_seen  timestamptz  not null,
    address    inet
) with (fillfactor = 50);

insert into iclock.device_presence (device_id, last_seen, address)
select d.id, d.last_seen, d.remote_address
  from iclock.device d
 where d.last_seen is not null
 order by d.id;

-- a stamp that is to be given to the device before the device changes it
alter table iclock.upload_stamp
    add column requested boolean not null default false;

insert into iclock.schema_version (version, description)
values (5, 'presence in a table of its own, requested stamps');
