
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


#endif /* _ICLOCK_STORE_OPTIONS_H_INCLUDED_ */
