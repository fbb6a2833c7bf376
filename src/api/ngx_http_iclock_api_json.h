
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


/*
 * JSON as texts: nothing here makes a tree of it.  What comes from clients is
 * checked, what comes from the database is trusted to be JSON.
 */


#ifndef _NGX_HTTP_ICLOCK_API_JSON_H_INCLUDED_
#define _NGX_HTTP_ICLOCK_API_JSON_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/* levels of arrays and objects within each other */
#define NGX_HTTP_ICLOCK_API_JSON_DEPTH  32


/* a text that grows; after a lack of memory it stays as it is, and failed */
typedef struct {
    ngx_pool_t                 *pool;
    ngx_str_t                   text;
    size_t                      size;
    ngx_uint_t                  failed;
} ngx_http_iclock_api_text_t;


void ngx_http_iclock_api_text_init(ngx_http_iclock_api_text_t *out,
    ngx_pool_t *pool, size_t size);
void ngx_http_iclock_api_text_add(ngx_http_iclock_api_text_t *out,
    u_char *data, size_t len);

/* a C string that is JSON already; the same with a text */
void ngx_http_iclock_api_text_raw(ngx_http_iclock_api_text_t *out,
    const char *json);
void ngx_http_iclock_api_text_str(ngx_http_iclock_api_text_t *out,
    ngx_str_t *json);

/* a string in quotes */
void ngx_http_iclock_api_text_string(ngx_http_iclock_api_text_t *out,
    ngx_str_t *text);

/* ,"name":"text" (data NULL: null), and ,"name":number */
void ngx_http_iclock_api_text_member(ngx_http_iclock_api_text_t *out,
    const char *name, ngx_str_t *text);
void ngx_http_iclock_api_text_number(ngx_http_iclock_api_text_t *out,
    const char *name, ngx_int_t n);


/*
 * Whether the text is an object in JSON, as RFC 8259 has it, of valid UTF-8
 * without NUL, and not too deep.  NGX_DECLINED: *error says why not, and *at
 * where.
 */
ngx_int_t ngx_http_iclock_api_json_check(ngx_str_t *text, const char **error,
    size_t *at);

/* takes out what is blank outside of strings */
void ngx_http_iclock_api_json_compact(ngx_str_t *text);

/*
 * Walks over an object: *p is NULL at first.  The name comes without quotes,
 * the value as it is written.  NGX_DONE: no further member.
 */
ngx_int_t ngx_http_iclock_api_json_next(ngx_str_t *object, u_char **p,
    ngx_str_t *name, ngx_str_t *value);

/* the value of a member as it is written; NGX_DECLINED: no such, or null */
ngx_int_t ngx_http_iclock_api_json_member(ngx_str_t *object,
    const char *name, ngx_str_t *value);

/* the text that a string means; NGX_DECLINED: it is none */
ngx_int_t ngx_http_iclock_api_json_text(ngx_pool_t *pool, ngx_str_t *value,
    ngx_str_t *text);


#endif /* _NGX_HTTP_ICLOCK_API_JSON_H_INCLUDED_ */
