
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


/*
 * The parameters of the statements that store records, made from the columns
 * of each kind.  Beside the text of its statement NGX_ICLOCK_<KIND>_FORM says
 * how they are sent:
 *
 *   ROWS    the device and the columns, an array each
 *   ZONED   the same, with the time zone of the location after the device
 *   ORDERED the same as ROWS, with the number of the record in the batch after
 *           the device: "ord"
 *   SINGLE  a statement for each record, whose values are not copied
 */


#ifndef _ICLOCK_STORE_ROWS_H_INCLUDED_
#define _ICLOCK_STORE_ROWS_H_INCLUDED_


#include "iclock_store_private.h"


#define ngx_iclock_join(a, b)   ngx_iclock_join_(a, b)
#define ngx_iclock_join_(a, b)  a##b

/* a macro of that name for the form of the kind */
#define ngx_iclock_form(name, kind)  ngx_iclock_join(name, kind##_FORM)


/* ngx_iclock_types(kind): the Oids of all parameters */

#define NGX_ICLOCK_ARRAY_INTEGER     NGX_ICLOCK_PG_INT4_ARRAY
#define NGX_ICLOCK_ARRAY_BIGINT      NGX_ICLOCK_PG_INT8_ARRAY
#define NGX_ICLOCK_ARRAY_TIMESTAMP   NGX_ICLOCK_PG_TIMESTAMP_ARRAY
#define NGX_ICLOCK_ARRAY_TEXT        NGX_ICLOCK_PG_TEXT_ARRAY
#define NGX_ICLOCK_ARRAY_BYTEA       NGX_ICLOCK_PG_BYTEA_ARRAY

#define NGX_ICLOCK_SINGLE_INTEGER    NGX_ICLOCK_PG_INT4
#define NGX_ICLOCK_SINGLE_BIGINT     NGX_ICLOCK_PG_INT8
#define NGX_ICLOCK_SINGLE_TIMESTAMP  NGX_ICLOCK_PG_TIMESTAMP
#define NGX_ICLOCK_SINGLE_TEXT       NGX_ICLOCK_PG_TEXT
#define NGX_ICLOCK_SINGLE_BYTEA      NGX_ICLOCK_PG_BYTEA

#define ngx_iclock_array(constant, name, type)   NGX_ICLOCK_ARRAY_##type,
#define ngx_iclock_single(constant, name, type)  NGX_ICLOCK_SINGLE_##type,

#define ngx_iclock_types_ROWS(kind)                                          \
    NGX_ICLOCK_ARRAY_BIGINT, kind##_COLUMNS(ngx_iclock_array)
#define ngx_iclock_types_ZONED(kind)                                         \
    NGX_ICLOCK_ARRAY_BIGINT, NGX_ICLOCK_ARRAY_TEXT,                          \
    kind##_COLUMNS(ngx_iclock_array)
#define ngx_iclock_types_ORDERED(kind)                                       \
    NGX_ICLOCK_ARRAY_BIGINT, NGX_ICLOCK_ARRAY_INTEGER,                       \
    kind##_COLUMNS(ngx_iclock_array)
#define ngx_iclock_types_SINGLE(kind)                                        \
    NGX_ICLOCK_SINGLE_BIGINT, kind##_COLUMNS(ngx_iclock_single)

#define ngx_iclock_types(kind)  ngx_iclock_form(ngx_iclock_types_, kind)(kind)


/* ngx_iclock_names(kind): "device_id, pin, local_time" */

#define ngx_iclock_names_ROWS     "device_id"
#define ngx_iclock_names_ZONED    "device_id, zone"
#define ngx_iclock_names_ORDERED  "device_id, ord"

#define ngx_iclock_name(constant, name, type)  ", " name

#define ngx_iclock_names(kind)                                               \
    ngx_iclock_form(ngx_iclock_names_, kind) kind##_COLUMNS(ngx_iclock_name)


/*
 * ngx_iclock_numbers(kind): "$1, $2, $3", as many as there are names, and
 * ngx_iclock_unnested(kind): "unnest($1), unnest($2), unnest($3)"
 */

#define ngx_iclock_to_1(a, b)   a "$1" b
#define ngx_iclock_to_2(a, b)   ngx_iclock_to_1(a, b) ", " a "$2" b
#define ngx_iclock_to_3(a, b)   ngx_iclock_to_2(a, b) ", " a "$3" b
#define ngx_iclock_to_4(a, b)   ngx_iclock_to_3(a, b) ", " a "$4" b
#define ngx_iclock_to_5(a, b)   ngx_iclock_to_4(a, b) ", " a "$5" b
#define ngx_iclock_to_6(a, b)   ngx_iclock_to_5(a, b) ", " a "$6" b
#define ngx_iclock_to_7(a, b)   ngx_iclock_to_6(a, b) ", " a "$7" b
#define ngx_iclock_to_8(a, b)   ngx_iclock_to_7(a, b) ", " a "$8" b
#define ngx_iclock_to_9(a, b)   ngx_iclock_to_8(a, b) ", " a "$9" b
#define ngx_iclock_to_10(a, b)  ngx_iclock_to_9(a, b) ", " a "$10" b
#define ngx_iclock_to_11(a, b)  ngx_iclock_to_10(a, b) ", " a "$11" b
#define ngx_iclock_to_12(a, b)  ngx_iclock_to_11(a, b) ", " a "$12" b
#define ngx_iclock_to_13(a, b)  ngx_iclock_to_12(a, b) ", " a "$13" b
#define ngx_iclock_to_14(a, b)  ngx_iclock_to_13(a, b) ", " a "$14" b
#define ngx_iclock_to_15(a, b)  ngx_iclock_to_14(a, b) ", " a "$15" b
#define ngx_iclock_to_16(a, b)  ngx_iclock_to_15(a, b) ", " a "$16" b
#define ngx_iclock_to_17(a, b)  ngx_iclock_to_16(a, b) ", " a "$17" b
#define ngx_iclock_to_18(a, b)  ngx_iclock_to_17(a, b) ", " a "$18" b
#define ngx_iclock_to_19(a, b)  ngx_iclock_to_18(a, b) ", " a "$19" b
#define ngx_iclock_to_20(a, b)  ngx_iclock_to_19(a, b) ", " a "$20" b

#define ngx_iclock_places_ROWS     0
#define ngx_iclock_places_ZONED    0, 0
#define ngx_iclock_places_ORDERED  0, 0

#define ngx_iclock_place(constant, name, type)  , 0

#define ngx_iclock_21st(p1, p2, p3, p4, p5, p6, p7, p8, p9, p10, p11, p12,   \
                        p13, p14, p15, p16, p17, p18, p19, p20, p21, ...)    \
    p21

/* one of the macros above, whose arguments follow */

#define ngx_iclock_count_columns(...)                                        \
    ngx_iclock_21st(__VA_ARGS__,                                             \
        ngx_iclock_to_20, ngx_iclock_to_19, ngx_iclock_to_18,                \
        ngx_iclock_to_17, ngx_iclock_to_16, ngx_iclock_to_15,                \
        ngx_iclock_to_14, ngx_iclock_to_13, ngx_iclock_to_12,                \
        ngx_iclock_to_11, ngx_iclock_to_10, ngx_iclock_to_9,                 \
        ngx_iclock_to_8, ngx_iclock_to_7, ngx_iclock_to_6,                   \
        ngx_iclock_to_5, ngx_iclock_to_4, ngx_iclock_to_3,                   \
        ngx_iclock_to_2, ngx_iclock_to_1, 0)

#define ngx_iclock_each_number(kind, before, after)                          \
    ngx_iclock_count_columns(ngx_iclock_form(ngx_iclock_places_, kind)       \
                             kind##_COLUMNS(ngx_iclock_place))               \
    (before, after)

#define ngx_iclock_numbers(kind)   ngx_iclock_each_number(kind, "", "")
#define ngx_iclock_unnested(kind)  ngx_iclock_each_number(kind, "unnest(", ")")

_Static_assert(NGX_ICLOCK_STORE_PARAMS <= 20, "ngx_iclock_to_21");


/*
 * The records of a kind, as the source of rows that a statement reads.  In the
 * list of a SELECT the arrays are read side by side, and NULL follows the
 * shorter ones, as in FROM: but there PostgreSQL first makes a temporary table
 * of each.
 */

#define ngx_iclock_rows(kind, alias)                                         \
    "(SELECT " ngx_iclock_unnested(kind) ")"                                 \
    " AS " alias " (" ngx_iclock_names(kind) ")"


#endif /* _ICLOCK_STORE_ROWS_H_INCLUDED_ */
