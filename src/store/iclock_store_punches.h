
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


/*
 * How punches are stored: the one text of it, for all statements that have
 * them as parameters.  iclock.store_punches() has it once more, in SQL.
 */


#ifndef _ICLOCK_STORE_PUNCHES_H_INCLUDED_
#define _ICLOCK_STORE_PUNCHES_H_INCLUDED_


/*
 * a clock runs by the zone of its last handshake, whatever the directive says
 * now
 */

#define ngx_iclock_clock_zone                                                \
    "coalesce(timezone, CASE WHEN told_offset IS NOT NULL"                   \
    " THEN default_timezone END)"


/*
 * There is no foreign key, which would look up and lock the device for each
 * punch.  This does it for each device, so that none is deleted meanwhile.
 */

#define ngx_iclock_insert_punches(devices, rows, at, columns, values)        \
    "WITH known AS MATERIALIZED (SELECT id, " ngx_iclock_clock_zone          \
    " AS zone FROM iclock.device"                                            \
    " WHERE id = " devices " ORDER BY id FOR KEY SHARE)"                     \
    " INSERT INTO iclock.punch (device_id, local_time, pin, status, verify," \
    " punched_at, work_code" columns ")"                                     \
    " SELECT coalesce(d.id, iclock.no_device(u.device_id)), u.local_time,"   \
    " u.pin, u.status, u.verify, " at ", coalesce(u.work_code, '')" values   \
    " FROM " rows                                                            \
    " LEFT JOIN known d ON d.id = u.device_id"                               \
    " ORDER BY u.device_id, u.local_time, u.pin COLLATE \"C\", u.status,"    \
    " u.verify"                                                              \
    " ON CONFLICT DO NOTHING"


/* when it was, by the clock of the device */

#define ngx_iclock_at_zone                                                   \
    "u.local_time AT TIME ZONE coalesce(d.zone, u.zone)"


/* what few punches have: an offset of their own, and more columns */

#define ngx_iclock_at_offset                                                 \
    "CASE WHEN u.utc_offset IS NULL"                                         \
    " THEN " ngx_iclock_at_zone                                              \
    " ELSE (u.local_time - make_interval(secs => u.utc_offset))"             \
    " AT TIME ZONE 'UTC' END"

#define ngx_iclock_seldom_columns                                            \
    ", id_number, record_type, mask, temperature, job_codes, tip_codes,"     \
    " extra"

#define ngx_iclock_seldom_values                                             \
    ", coalesce(u.id_number, ''),"                                           \
    " coalesce(u.record_type, -1), coalesce(u.mask, -1),"                    \
    " u.temperature::numeric, string_to_array(u.job_codes, E'\\t'),"         \
    " string_to_array(u.tip_codes, E'\\t'),"                                 \
    " string_to_array(u.extra, E'\\t')"


/*
 * those that have nothing of it, by the first parameters of the others:
 * PostgreSQL sets up each parameter, and each function of a text, anew
 */

#define ngx_iclock_usual_rows(before, after)                                 \
    "(SELECT " ngx_iclock_to_7(before, after) ")"                            \
    " AS u (device_id, zone, pin, local_time, status, verify, work_code)"


#endif /* _ICLOCK_STORE_PUNCHES_H_INCLUDED_ */
