-- Names of kinds of punch and of ways to verify that do not depend on the dialect
-- of a terminal: for programs.  People read the labels.
--
-- The functions that are called for each punch set no search_path, so that
-- PostgreSQL can inline them.

-- A label without a direction is no punch in or out.  The direction is that of
-- the site's row of status_label: where it is not the one that the documents
-- give, the site has made something else of the code.
create or replace function iclock.named_punch_type(
        dialect    text,
        status     integer,
        direction  text)
    returns text
    language sql immutable parallel safe
as $$
    select case
    when $3 = 'in' then
        case when $1 = '3.2' then
             -- a meal is a break
             case when $2 in (2, 4) then 'BreakIn' else 'CheckIn' end
        else case $2 when 3 then 'BreakIn' when 4 then 'OvertimeIn'
                     else 'CheckIn' end
        end
    when $3 = 'out' then
        case when $1 = '3.2' then
             case when $2 in (3, 5) then 'BreakOut' else 'CheckOut' end
        else case $2 when 2 then 'BreakOut' when 5 then 'OvertimeOut'
                     else 'CheckOut' end
        end
    else 'Other'
    end
$$;
comment on function iclock.named_punch_type(text, integer, text) is
    'CheckIn, CheckOut, BreakIn, BreakOut, OvertimeIn, OvertimeOut or Other: '
    'kind of punch by dialect, status and status_label.direction';

-- Several at once are Multi, one of several that the terminal does not name is
-- Other.  A code that the documents do not have is known by its label.
create or replace function iclock.named_punch_method(
        dialect      text,
        record_type  integer,
        verify       integer,
        label        text)
    returns text
    language sql immutable parallel safe
as $$
    select case
    when $2 = 1 then
        case when $3 = 1 then 'Face' when $3 in (2, 3) then 'Multi'
             else 'Other' end
    when $1 = '3.2' and ($3 between 0 and 9 or $3 in (16, 17)
                         or $3 between 128 and 143
                         or $3 between 148 and 150)
    then
        case when $3 in (1, 129) then 'Fingerprint'
             when $3 in (2, 17, 132) then 'Card'
             when $3 in (0, 131) then 'Password'
             when $3 in (3, 16, 130) then 'Pin'
             when $3 = 148 then 'Face'
             when $3 in (128, 133, 134, 135, 143) then 'Other'
             else 'Multi' end
    when $1 <> '3.2' and $3 between 0 and 29 then
        case when $3 = 1 then 'Fingerprint'
             when $3 = 2 then 'Pin'
             when $3 = 3 then 'Password'
             when $3 = 4 then 'Card'
             when $3 = 15 then 'Face'
             when $3 = 21 then 'FingerVein'
             when $3 = 25 then 'Palm'
             when $3 in (0, 5, 6, 7) then 'Other'
             else 'Multi' end
    when $4 is null then 'Other'
    when strpos($4, '+') > 0 then 'Multi'
    when $4 ~* ' or ' then 'Other'
    when $4 ~* '^fingerprint' then 'Fingerprint'
    when $4 ~* '^finger ?vein' then 'FingerVein'
    when $4 ~* 'face' then 'Face'
    when $4 ~* '^palm' then 'Palm'
    when $4 ~* '^(card|badge)' then 'Card'
    when $4 ~* '^password' then 'Password'
    when $4 ~* '^pin( |,|$)' then 'Pin'
    else 'Other'
    end
$$;
comment on function iclock.named_punch_method(text, integer, integer, text) is
    'Fingerprint, Face, Card, Palm, Password, Pin, FingerVein, Multi or '
    'Other: how a user was verified by dialect, record type, code and label';

-- the same, for who has no label at hand
create or replace function iclock.punch_type(
        dialect      text,
        status       integer,
        record_type  integer default -1)
    returns text
    language sql stable parallel safe
    set search_path = pg_catalog, iclock, pg_temp
as $$
    select iclock.named_punch_type($1, $2,
        (select s.direction
           from iclock.status_label s
          where s.dialect = $1 and s.code = $2
            and s.record_type = case $3 when 1 then 1 else 0 end))
$$;
comment on function iclock.punch_type(text, integer, integer) is
    'CheckIn, CheckOut, BreakIn, BreakOut, OvertimeIn, OvertimeOut or Other: '
    'kind of punch by dialect, punch.status and punch.record_type';
grant execute on function iclock.punch_type(text, integer, integer)
    to iclock_reader, iclock_operator;

create or replace function iclock.punch_method(
        dialect      text,
        verify       integer,
        record_type  integer default -1)
    returns text
    language sql stable parallel safe
    set search_path = pg_catalog, iclock, pg_temp
as $$
    select iclock.named_punch_method($1, $3, $2,
        (select v.label
           from iclock.verify_label v
          where v.dialect = $1 and v.code = $2
            and v.record_type = case $3 when 1 then 1 else 0 end))
$$;
comment on function iclock.punch_method(text, integer, integer) is
    'Fingerprint, Face, Card, Palm, Password, Pin, FingerVein, Multi or '
    'Other: how a user was verified by dialect, punch.verify and '
    'punch.record_type';
grant execute on function iclock.punch_method(text, integer, integer)
    to iclock_reader, iclock_operator;
