
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


/*
 * What the module asks of PostgreSQL besides storing records: statements,
 * whose constants, numbers and order are made from these lists, and what it
 * wants to know of a device.
 */


#ifndef _ICLOCK_STORE_TABLES_H_INCLUDED_
#define _ICLOCK_STORE_TABLES_H_INCLUDED_


/*
 * X(constant, name, flags, add, row), in the order in which they are sent,
 * after the records; registrations before them.  The types of the parameters
 * and the text are ngx_iclock_<name>_types and ngx_iclock_<name>_text.
 */

#define NGX_ICLOCK_EACH_OPERATION(X)                                         \
    X(NGX_ICLOCK_ST_REGISTER, register, 0,                                   \
      ngx_iclock_store_add_registration, NULL)                               \
                                                                             \
    X(NGX_ICLOCK_ST_GREET, greet, 0,                                         \
      ngx_iclock_store_add_greeting, NULL)                                   \
                                                                             \
    X(NGX_ICLOCK_ST_LOOKUP, lookup, 0,                                       \
      ngx_iclock_store_add_lookup, ngx_iclock_store_lookup_row)              \
                                                                             \
    X(NGX_ICLOCK_ST_STAMP, stamp, 0,                                         \
      ngx_iclock_store_add_stamp, NULL)                                      \
                                                                             \
    X(NGX_ICLOCK_ST_RETURN, return, 0,                                       \
      ngx_iclock_store_add_return, NULL)                                     \
                                                                             \
    X(NGX_ICLOCK_ST_DEQUEUE, dequeue, NGX_ICLOCK_ST_EVENTS,                  \
      ngx_iclock_store_add_dequeue, ngx_iclock_store_command_row)            \
                                                                             \
    X(NGX_ICLOCK_ST_REFUSALS, refusals, NGX_ICLOCK_ST_ALONE,                 \
      ngx_iclock_store_add_refusals, NULL)                                   \
                                                                             \
    X(NGX_ICLOCK_ST_PRESENCE, presence, NGX_ICLOCK_ST_ALONE,                 \
      ngx_iclock_store_add_presence, ngx_iclock_store_presence_row)          \
                                                                             \
    X(NGX_ICLOCK_ST_LAST_SEEN, last_seen, NGX_ICLOCK_ST_ALONE,               \
      ngx_iclock_store_add_presence, NULL)                                   \
                                                                             \
    X(NGX_ICLOCK_ST_DUE, due, 0,                                             \
      ngx_iclock_store_add_seconds, ngx_iclock_store_due_row)                \
                                                                             \
    X(NGX_ICLOCK_ST_MAINTAIN, maintain,                                      \
      NGX_ICLOCK_ST_ALONE|NGX_ICLOCK_ST_EVENTS,                              \
      ngx_iclock_store_add_nothing, ngx_iclock_store_text_row)               \
                                                                             \
    X(NGX_ICLOCK_ST_TIMEZONES, timezones, NGX_ICLOCK_ST_ALONE,               \
      ngx_iclock_store_add_nothing, NULL)                                    \
                                                                             \
    X(NGX_ICLOCK_ST_VERIFY, verify, NGX_ICLOCK_ST_ALONE,                     \
      ngx_iclock_store_add_seconds, NULL)                                    \
                                                                             \
    X(NGX_ICLOCK_ST_WATCH_EVENTS, watch_events, NGX_ICLOCK_ST_ALONE,         \
      ngx_iclock_store_add_nothing, ngx_iclock_store_text_row)               \
                                                                             \
    X(NGX_ICLOCK_ST_WAKE_READERS, wake_readers, NGX_ICLOCK_ST_ALONE,         \
      ngx_iclock_store_add_nothing, NULL)                                    \
                                                                             \
    X(NGX_ICLOCK_ST_STATISTICS, statistics, NGX_ICLOCK_ST_ALONE,             \
      ngx_iclock_store_add_nothing, ngx_iclock_store_text_row)               \
                                                                             \
    /* no job adds it: it follows those that concern commands */             \
    X(NGX_ICLOCK_ST_COMMANDS, commands, 0,                                   \
      ngx_iclock_store_add_nothing, NULL)                                    \
                                                                             \
    /* nor this: many punches that seem to be new are stored by it */        \
    X(NGX_ICLOCK_ST_NEW_PUNCHES, new_punches, 0,                             \
      ngx_iclock_store_add_nothing, NULL)                                    \
                                                                             \
    /* nor this: options beside handshakes are */                            \
    X(NGX_ICLOCK_ST_GREETED_OPTION, greeted_option, 0,                       \
      ngx_iclock_store_add_nothing, NULL)                                    \
                                                                             \
    /* nor these: usual punches, or a single one, are stored by them */      \
    X(NGX_ICLOCK_ST_USUAL_PUNCHES, usual_punches, 0,                         \
      ngx_iclock_store_add_nothing, NULL)                                    \
                                                                             \
    X(NGX_ICLOCK_ST_ONE_PUNCH, one_punch, 0,                                 \
      ngx_iclock_store_add_nothing, NULL)


/*
 * Functions of the database that answer a device: X(constant, name, type of
 * the first argument, flags, text).  The second argument is a text; they are
 * "a" and "b" of the row.  Nobody knows what functions do that the site has
 * replaced, so they run on their own, and some of them once only.
 */

#define NGX_ICLOCK_EACH_CALL(X)                                              \
    /* PIN */                                                                \
    X(NGX_ICLOCK_CALL_LAST_PUNCH, last_punch, TEXT, 0,                       \
      ngx_iclock_call("last_punch(u.device_id, u.a)"))                       \
                                                                             \
    /* PIN */                                                                \
    X(NGX_ICLOCK_CALL_REMOTE_ATTENDANCE, remote_attendance, TEXT, 0,         \
      ngx_iclock_call("remote_attendance(u.device_id, u.a)"))                \
                                                                             \
    /* PIN, number of the service */                                         \
    X(NGX_ICLOCK_CALL_SELF_SERVICE, self_service, TEXT, NGX_ICLOCK_ST_ONCE,  \
      ngx_iclock_call("self_service(d.serial_number, u.a, u.b)"))            \
                                                                             \
    /* body, any bytes */                                                    \
    X(NGX_ICLOCK_CALL_VERIFY_DECISION, decision, BYTEA, NGX_ICLOCK_ST_ONCE,  \
      ngx_iclock_call("verify_decision(d.serial_number, u.a)"))              \
                                                                             \
    /* URL; path, TAB, encoding */                                           \
    X(NGX_ICLOCK_CALL_UPGRADE_FILE, upgrade_file, TEXT, 0,                   \
      ngx_iclock_file_call("upgrade_file(u.device_id, u.a)"))


/*
 * A device, as its look-up finds it: X(field, type, expression).  The fields
 * of ngx_iclock_device_t, the SELECT list and the reading of its row are made
 * from this list.  What is NULL is a text without data, or the integer -1.
 */

#define NGX_ICLOCK_EACH_DEVICE_COLUMN(X)                                     \
    X(id, bigint, "d.id")                                                    \
    X(status, status, "d.status")                                            \
    X(comm_key, text, "d.comm_key")                                          \
    X(encoding, text, "d.encoding")                                          \
    X(language, text, "d.language")                                          \
    X(push_version, text, "d.push_version")                                  \
                                                                             \
    /* of the clock from UTC, in minutes: now, and by the last handshake */  \
    X(utc_offset, integer,                                                   \
      "((date_part('epoch', now()"                                           \
      " AT TIME ZONE coalesce(d.timezone, u.zone))"                          \
      " - date_part('epoch', now())) / 60)::integer")                        \
    X(told_offset, integer,                                                  \
      "coalesce(d.told_offset, " ngx_iclock_text(NGX_ICLOCK_NO_OFFSET) ")")  \
    X(told_delay, integer, "d.told_delay")                                   \
    X(default_timezone, text, "d.default_timezone")                          \
                                                                             \
    X(dialect, dialect, "d.dialect")                                         \
    X(recognized_dialect, dialect, "d.recognized_dialect")                   \
    /* by an operator */                                                     \
    X(dialect_chosen, boolean, "d.dialect_chosen")                           \
                                                                             \
    /* whether addresses are limited, and this one is within */              \
    X(networks, boolean, "d.allowed_networks IS NOT NULL")                   \
    X(allowed, boolean,                                                      \
      "d.allowed_networks IS NULL"                                           \
      " OR coalesce(u.address::inet <<= ANY (d.allowed_networks), false)")   \
                                                                             \
    /* overrides of directives */                                            \
    X(delay, integer, "d.delay")                                             \
    X(error_delay, integer, "d.error_delay")                                 \
    X(trans_times, text, "d.trans_times")                                    \
    X(trans_interval, integer, "d.trans_interval")                           \
    X(trans_flag, text, "d.trans_flag")                                      \
    X(realtime, integer, "d.realtime::integer")                              \
    X(send_timezone, integer, "d.send_timezone::integer")                    \
    X(bare_stamps, integer, "d.bare_stamps::integer")                        \
    X(push_options, text, "d.push_options")                                  \
    X(multi_bio_data, text, "d.multi_bio_data")                              \
    X(multi_bio_photo, text, "d.multi_bio_photo")                            \
    X(max_push_version, text, "d.max_push_version")                          \
                                                                             \
    X(stamps, stamps, "s.stamps")                                            \
    /* whether that of some table is asked for again */                      \
    X(reupload, integer, "s.requested::integer")


/* what iclock.statistics() says, in one text */

#define NGX_ICLOCK_STATISTICS                                                \
    "string_agg(concat_ws(E'\\t', s.name, s.label, s.value::text), E'\\n')"


/*
 * What other programs ask: X(constant, name, number of parameters,
 * text).  All parameters and all columns are texts.
 */

#define NGX_ICLOCK_EACH_QUERY(X)                                             \
    /* lines of name, label, value */                                        \
    X(NGX_ICLOCK_QUERY_STATISTICS, statistics, 0,                            \
      "SELECT " NGX_ICLOCK_STATISTICS " FROM iclock.statistics() s")         \
                                                                             \
    /* seconds */                                                            \
    X(NGX_ICLOCK_QUERY_EVENTS_KEEP, events_keep, 1,                          \
      "SELECT iclock.keep_events($1::integer)")                              \
                                                                             \
    /* id of a key; no row: unknown */                                       \
    X(NGX_ICLOCK_QUERY_API_KEY, api_key, 1,                                  \
      "SELECT k.hash, k.scopes, k.rate, k.burst, k.state"                    \
      " FROM iclock_api.key($1) k")                                          \
                                                                             \
    /* operation, request, body */                                           \
    X(NGX_ICLOCK_QUERY_API_CALL, api_call, 3,                                \
      "SELECT r.status::text, r.headers::text, r.body, r.meta::text"         \
      " FROM iclock_api.call($1, $2::jsonb, $3) r")                          \
                                                                             \
    /* body of an answer that waits for commands */                          \
    X(NGX_ICLOCK_QUERY_API_SETTLE, api_settle, 1,                            \
      "SELECT s.settled, s.body FROM iclock_api.settle($1) s")               \
                                                                             \
    /* where the feed ends now */                                           \
    X(NGX_ICLOCK_QUERY_STREAM_END, stream_end, 0,                            \
      "SELECT iclock.event_cursor(true)")                                    \
                                                                             \
    /*                                                                       \
     * place; types, sites, devices, mode: NULL is all; rows.  Without        \
     * OFFSET what is said of the feed would be asked anew for each row.      \
     */                                                                      \
    X(NGX_ICLOCK_QUERY_STREAM_READ, stream_read, 6,                          \
      "SELECT c.place, c.gone, e.cursor, e.settled::text, e.event_id,"       \
      " e.type, e.site, e.device, e.sandbox::text, e.payload"                \
      " FROM (SELECT iclock.event_cursor(true) AS place,"                    \
      " iclock.event_gone($1) AS gone OFFSET 0) c"                           \
      " LEFT JOIN iclock.read_events($1, $2::smallint[], $3::text[],"        \
      " $4::text[], $5, $6::integer, true) e ON true"                        \
      " ORDER BY e.cursor COLLATE \"C\"")                                    \
                                                                             \
    /* the key that a token of a stream is of */                             \
    X(NGX_ICLOCK_QUERY_STREAM_TOKEN, stream_token, 1,                        \
      "SELECT iclock_api.use_stream_token($1)")                              \
                                                                             \
    /* sender, number of endpoints, ids of its keys */                       \
    X(NGX_ICLOCK_QUERY_WEBHOOK_LEASE, webhook_lease, 3,                      \
      "SELECT w.id, w.url, w.secret, w.previous_secret, w.headers,"          \
      " w.ordered, w.concurrency, w.batch, w.cursor, w.status, w.probe_in,"  \
      " w.paused, w.terms"                                                   \
      " FROM iclock.webhook_lease($1, $2::integer, $3::text[]) w")           \
                                                                             \
    /* sender, secrets that it has sealed */                                 \
    X(NGX_ICLOCK_QUERY_WEBHOOK_SEAL, webhook_seal, 2,                        \
      "SELECT iclock.webhook_seal($1, $2::jsonb)")                           \
                                                                             \
    /* sender, what it wants */                                              \
    X(NGX_ICLOCK_QUERY_WEBHOOK_WORK, webhook_work, 2,                        \
      "SELECT w.endpoint_id, w.kind, w.cursor, w.settled, w.event_id,"       \
      " w.type, w.attempt, w.first_at, w.payload"                            \
      " FROM iclock.webhook_work($1, $2::jsonb) w")                          \
                                                                             \
    /* sender, what came of it */                                            \
    X(NGX_ICLOCK_QUERY_WEBHOOK_RESULTS, webhook_results, 2,                  \
      "SELECT w.endpoint_id, w.status, w.probe_in"                           \
      " FROM iclock.webhook_results($1, $2::jsonb) w")                       \
                                                                             \
    /* sender, endpoints: NULL is all */                                     \
    X(NGX_ICLOCK_QUERY_WEBHOOK_RELEASE, webhook_release, 2,                  \
      "SELECT iclock.webhook_release($1, $2::text[])")


#endif /* _ICLOCK_STORE_TABLES_H_INCLUDED_ */
