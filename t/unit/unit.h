
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


#ifndef _UNIT_H_INCLUDED_
#define _UNIT_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include "iclock_proto.h"


#define unit_string(str)  { sizeof(str) - 1, (u_char *) str }

#define unit_no_context                                                      \
    { NGX_ICLOCK_UTF_8, ngx_null_string, ngx_null_string }


/* a body and its records, as unit_dump() writes them */
typedef struct {
    const char            *name;
    const char            *table;     /* or ":info" and the like */
    ngx_str_t              body;
    ngx_uint_t             lines;
    const char            *expected;
    ngx_iclock_context_t   context;
} unit_case_t;


/* ended by an empty name */
extern const unit_case_t  unit_attlog_cases[];
extern const unit_case_t  unit_operlog_cases[];
extern const unit_case_t  unit_record_cases[];
extern const unit_case_t  unit_photo_cases[];
extern const unit_case_t  unit_option_cases[];
extern const unit_case_t  unit_reply_cases[];


/* one TAP line */
void unit_ok(ngx_uint_t ok, const char *format, ...);
/* TAP lines of what differs */
void unit_is(const char *got, size_t len, const char *expected,
    const char *name);

/*
 * Reads a body as the table says and writes it as unit_dump() does.  Returns
 * the number of lines, aborts if the body cannot be split.
 */
ngx_uint_t unit_read(FILE *out, const char *table, const ngx_str_t *body,
    const ngx_iclock_context_t *context);

/*
 * Splits a body by the name of its table.  The body is copied to a block of
 * its own, so that reading past its end is seen; it is freed with the pool.
 * The context, NULL: none, gets the encoding of its names.
 */
void unit_split(ngx_iclock_upload_t *upload, const char *table,
    const ngx_str_t *body, ngx_iclock_context_t *context, ngx_pool_t *pool);

/* one line a record; aborts on a record that breaks the contract */
void unit_dump(FILE *out, ngx_iclock_upload_t *upload,
    const ngx_iclock_context_t *context, ngx_pool_t *pool);

/* where a dump goes that nobody reads */
FILE *unit_sink(void);

ngx_pool_t *unit_pool(void);

/* tests that are no tables of bodies */
void unit_test_packet(void);
void unit_test_text(void);
void unit_test_handshake(void);
void unit_test_hostile(void);
void unit_test_long(void);
void unit_test_hook(void);


#endif /* _UNIT_H_INCLUDED_ */
