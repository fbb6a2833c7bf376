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

drop function if exists iclock.add_punch_partition(timestamp);

-- The number of the transaction that stored a punch, for punches_since().  The
-- punches that are there get 0, and no table is rewritten for that.
alter table iclock.punch add column txid bigint not null default 0;
alter table iclock.punch alter column txid set default txid_current();

create table iclock.punch_state (
    single          boolean     not null primary key default true
                                check (single),
    dropped         tsrange[]   not null default '{}',
    dropping        regclass[]  not null default '{}',
    txid_base       bigint      not null default 0,
    cluster         bigint
);

insert into iclock.punch_state default values;

create table iclock.retention (
    kind        text         not null primary key
                             check (kind in ('command', 'command_body',
                                             'unanswered_body', 'photo',
                                             'operation', 'rejected_line',
                                             'device_error')),
    age         interval     check (age >= interval '1 hour'),
    done_until  timestamptz  not null default '-infinity',
    skipped_at  timestamptz
);

insert into iclock.retention (kind, age)
values ('command', null),
       ('command_body', '1 day'),
       ('unanswered_body', '30 days'),
       ('photo', null),
       ('operation', null),
       ('rejected_line', null),
       ('device_error', null);

alter table iclock.command add column cleared_at timestamptz;

create trigger punch_default_horizon
    before insert on iclock.punch_default
    for each row execute function iclock.punch_default_horizon();

insert into iclock.schema_version (version, description)
values (3, 'partitions, retention, punches by transaction');
