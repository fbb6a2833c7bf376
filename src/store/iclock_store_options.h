
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


/*
 * Columns of the device's row that its options tell, as parts of the statements
 * that store these.  Lists of "MultiBio*" (appendix 10) have a place for each
 * biometric type: the second is of fingerprints, the third and the tenth are of
 * faces.
 */


#ifndef _ICLOCK_STORE_OPTIONS_H_INCLUDED_
#define _ICLOCK_STORE_OPTIONS_H_INCLUDED_


#define ngx_iclock_told_number(option)                                     \
    "max(CASE WHEN o.option = '" option "' AND o.value ~ '^[0-9]{1,9}$'"     \
    " THEN o.value::integer END)"

#define ngx_iclock_told(option)                                       \
    "max(CASE WHEN o.option = '" option "' THEN nullif(o.value, '') END)"

#define ngx_iclock_told_address                                            \
    "max(CASE WHEN o.option = 'IPAddress' AND o.value"                       \
    " ~ '^(25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])"                               \
    "([.](25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])){3}$'"                          \
    " THEN o.value::inet END)"

#define ngx_iclock_bio(list, place)                                          \
    "nullif(substring(split_part(s." list ", ':', " place ")"                \
    " FROM '^ *([0-9]{1,9}) *$'), '0')"

#define ngx_iclock_bio_number(list, place)                                   \
    "substring(split_part(s." list ", ':', " place ")"                       \
    " FROM '^ *([0-9]{1,8}) *$')::integer"

#define ngx_iclock_set_column(column, value)                              \
    " " column " = coalesce(" value ", d." column ")"


/* after "s", which is what the options of each device tell */

#define ngx_iclock_option_told                                               \
    " told AS (UPDATE iclock.device d SET"                                   \
    ngx_iclock_set_column("firmware", "s.firmware") ","                      \
    ngx_iclock_set_column("user_count", "s.users") ","                       \
    ngx_iclock_set_column("fingerprint_count", "s.fingerprints, "            \
                             ngx_iclock_bio_number("bio_data", "2")) ","     \
    ngx_iclock_set_column("punch_count", "s.punches") ","                    \
    ngx_iclock_set_column("face_count", "s.faces, "                          \
                             ngx_iclock_bio_number("bio_data", "3") " + "    \
                             ngx_iclock_bio_number("bio_data", "10")) ","    \
    ngx_iclock_set_column("fingerprint_version", "s.fp_version, "            \
                             ngx_iclock_bio("bio_version", "2")) ","         \
    ngx_iclock_set_column("face_version", "s.face_version, "                 \
                             ngx_iclock_bio("bio_version", "10") ", "        \
                             ngx_iclock_bio("bio_version", "3")) ","         \
    ngx_iclock_set_column("ip_address", "s.address") ","                     \
    ngx_iclock_set_column("multi_bio_version", "s.bio_version") ","          \
    ngx_iclock_set_column("multi_bio_data_count", "s.bio_data") ","          \
    ngx_iclock_set_column("multi_bio_photo_count", "s.bio_photo")            \
    " FROM s WHERE d.id" ngx_iclock_one_of("s.device_id")                    \
    " AND coalesce(s.firmware, s.users::text, s.fingerprints::text,"         \
    " s.punches::text, s.faces::text, s.fp_version, s.face_version,"         \
    " s.address::text, s.bio_version, s.bio_data, s.bio_photo) IS NOT NULL"


#endif /* _ICLOCK_STORE_OPTIONS_H_INCLUDED_ */
