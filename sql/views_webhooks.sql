-- Views of webhooks, without secrets and headers.  They are for operators: an
-- address alone may let somebody in.

create or replace view iclock.webhook_status
    with (security_barrier)
as
select e.id,
       e.url,
       e.description,
       (select array_agg(t.name order by t.code)
          from iclock.event_type t
         where t.code = any (e.types))           as types,
       e.sites,
       e.devices,
       e.mode,
       e.status,
       e.status_reason,
       e.failing_since,
       e.failures,
       e.next_probe_at,
       w.retrying,
       w.dead,
       n.lag_events,
       now() - n.oldest                          as lag,
       lpad(to_hex(e.cursor_xid::text::bigint), 16, '0') || '_'
           || lpad(to_hex(e.cursor_seq), 16, '0')
                                                 as cursor,
       e.ordered,
       e.concurrency,
       e.batch,
       e.body is not null                        as has_template,
       e.previous_until > now()                  as rotating,
       e.leased_by,
       e.leased_until,
       e.key_id,
       e.created_at,
       e.created_by,
       (select array_agg(distinct encode(substr(s.secret, 9, 8), 'hex'))
          from (values (e.secret), (case when e.previous_until > now()
                                    then e.previous_secret end))
               as s (secret)
         where octet_length(s.secret) > 64)      as sealed_by
  from iclock.webhook_endpoint e
 cross join lateral
       (select count(*) filter (where r.state <> 'dead') as retrying,
               count(*) filter (where r.state = 'dead')  as dead
          from iclock.webhook_retry r
         where r.endpoint_id = e.id) as w
 -- of sites and devices it takes more than that to know
 cross join lateral
       (select count(*) as lag_events, min(o.created_at) as oldest
          from (select v.created_at
                  from iclock.event v
                 where (v.xid, v.seq) > (e.cursor_xid, e.cursor_seq)
                   and (e.types is null
                        or v.type operator(pg_catalog.=) any (e.types))
                 order by v.xid, v.seq
                 limit 10000) as o) as n
 where (select iclock.visible_sites()) is null
    or e.sites operator(pg_catalog.<@) (select iclock.visible_sites());
comment on view iclock.webhook_status is
    'Webhooks and how they stand';
comment on column iclock.webhook_status.id is 'Webhook';
comment on column iclock.webhook_status.url is 'Where it leads';
comment on column iclock.webhook_status.description is 'What somebody wrote about it';
comment on column iclock.webhook_status.types is 'Types of events that it gets; NULL: all';
comment on column iclock.webhook_status.sites is 'Sites whose events it gets; NULL: all';
comment on column iclock.webhook_status.devices is 'Serial numbers of the devices whose events it gets; NULL: all';
comment on column iclock.webhook_status.mode is 'live, or test: events of simulated devices only';
comment on column iclock.webhook_status.status is 'active; failing: one event at a time is tried; paused; disabled: resume_webhook() goes on';
comment on column iclock.webhook_status.status_reason is 'Why: unreachable (for a day, or two where events have an order), gone (it answered 410), address (it may not be called), key (that was revoked)';
comment on column iclock.webhook_status.failing_since is 'First failure since it last succeeded';
comment on column iclock.webhook_status.failures is 'Failures in a row';
comment on column iclock.webhook_status.next_probe_at is 'When it is tried next, if it is failing or has asked for a pause';
comment on column iclock.webhook_status.retrying is 'Events that are to be tried again';
comment on column iclock.webhook_status.dead is 'Events that were given up';
comment on column iclock.webhook_status.lag_events is 'Events of its types that it has not been given yet, counted to 10000; some may be of sites and devices that it does not ask for';
comment on column iclock.webhook_status.lag is 'Age of the oldest of them';
comment on column iclock.webhook_status.cursor is 'Place in the feed: what comes before has been tried';
comment on column iclock.webhook_status.ordered is 'Events go out one by one, in their order';
comment on column iclock.webhook_status.concurrency is 'Requests at a time';
comment on column iclock.webhook_status.batch is 'Events in a request';
comment on column iclock.webhook_status.has_template is 'Its bodies have a template';
comment on column iclock.webhook_status.rotating is 'Requests bear a signature by the previous secret, too';
comment on column iclock.webhook_status.leased_by is 'Sender that delivers to it';
comment on column iclock.webhook_status.leased_until is 'When another one may take over';
comment on column iclock.webhook_status.key_id is 'API key that made it; NULL: an operator';
comment on column iclock.webhook_status.created_at is 'When it was made';
comment on column iclock.webhook_status.created_by is 'By which role';
comment on column iclock.webhook_status.sealed_by is 'Keys of iclock_secret_key that open its secrets; NULL: they are in clear';
grant select on iclock.webhook_status to iclock_operator;


create or replace view iclock.webhook_dead
    with (security_barrier)
as
select r.endpoint_id                             as webhook,
       'evt_' || lpad(to_hex(r.xid::text::bigint), 16, '0') || '_'
           || lpad(to_hex(r.seq), 16, '0')       as event_id,
       r.type,
       r.attempts,
       r.first_at,
       r.next_at                                 as dead_at,
       r.last_status,
       r.last_error
  from iclock.webhook_retry r
  join iclock.webhook_endpoint e on e.id = r.endpoint_id
 where r.state = 'dead'
   and ((select iclock.visible_sites()) is null
        or e.sites operator(pg_catalog.<@) (select iclock.visible_sites()));
comment on view iclock.webhook_dead is
    'Events that webhooks were given up to get, for 30 days: resend_webhook() '
    'sends them again';
comment on column iclock.webhook_dead.webhook is 'Webhook';
comment on column iclock.webhook_dead.event_id is 'Event';
comment on column iclock.webhook_dead.type is 'Its type';
comment on column iclock.webhook_dead.attempts is 'How often it was sent';
comment on column iclock.webhook_dead.first_at is 'First attempt';
comment on column iclock.webhook_dead.dead_at is 'When it was given up';
comment on column iclock.webhook_dead.last_status is 'Last answer; NULL: none';
comment on column iclock.webhook_dead.last_error is 'What went wrong then';
grant select on iclock.webhook_dead to iclock_operator;
