
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
 * after the records.  The types of the parameters and the text are
 * ngx_iclock_<name>_types and ngx_iclock_<name>_text.
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
    X(NGX_ICLOCK_ST_DEQUEUE, dequeue, 0,                                     \
      ngx_iclock_store_add_dequeue, ngx_iclock_store_command_row)            \
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
    X(NGX_ICLOCK_ST_MAINTAIN, maintain, NGX_ICLOCK_ST_ALONE,                 \
      ngx_iclock_store_add_nothing, ngx_iclock_store_text_row)               \
                                                                             \
    X(NGX_ICLOCK_ST_TIMEZONES, timezones, NGX_ICLOCK_ST_ALONE,               \
      ngx_iclock_store_add_nothing, NULL)                                    \
                                                                             \
    X(NGX_ICLOCK_ST_VERIFY, verify, NGX_ICLOCK_ST_ALONE,                     \
      ngx_iclock_store_add_seconds, NULL)


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
      "(extract(epoch FROM (now()"                                           \
      " AT TIME ZONE coalesce(d.timezone, u.zone))"                          \
      " - (now() AT TIME ZONE 'UTC')) / 60)::integer")                       \
    X(told_offset, integer,                                                  \
      "coalesce(d.told_offset, " ngx_iclock_text(NGX_ICLOCK_NO_OFFSET) ")")  \
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


#endif /* _ICLOCK_STORE_TABLES_H_INCLUDED_ */
