-- Migration 18: the numbers of events in another cluster.

alter table iclock.event_state
    add column xid_base bigint not null default 0,
    add column cluster bigint;

update iclock.event_state s
   set cluster = p.cluster
  from iclock.punch_state p;

insert into iclock.schema_version (version, description)
values (18, 'the numbers of events in another cluster');
