-- Migration 3: how punches are kept.  Nothing here reads or rewrites a table
-- that grows: indexes over such tables come in indexes.sql.

-- what maintain() knows from one call to the next
create table iclock.maintenance (
    task        text         not null primary key
                             check (task in ('partitions', 'analyze')),
    failures    integer      not null default 0,
    not_before  timestamptz  not null default '-infinity',
    step_rows   integer      not null default 20000
);

insert into iclock.maintenance (task) values ('partitions'), ('analyze');

-- it says now when it wants to be called again
drop function if exists iclock.maintain();
drop function if exists iclock.add_punch_partition(timestamp);

insert into iclock.schema_version (version, description)
values (3, 'partitions, retention, punches by transaction');
