
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


/*
 * The page that people open in a browser.  It is made when nginx is built, see
 * tools/console-page, holds no data, and asks the HTTP interface for all that
 * it shows: nothing here knows devices, keys or the database.
 */


#ifndef _NGX_HTTP_ICLOCK_CONSOLE_H_INCLUDED_
#define _NGX_HTTP_ICLOCK_CONSOLE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>


#define NGX_HTTP_ICLOCK_CONSOLE_TRAILER  8


typedef struct {
    ngx_uint_t                  enable;

    ngx_str_t                   api;
    ngx_str_t                   terminals;

    /* what the location adds to the page: its elements <meta> */
    ngx_str_t                   settings;

    /* the compressed page up to the part that is the same everywhere */
    ngx_str_t                   lead;
    u_char                      trailer[NGX_HTTP_ICLOCK_CONSOLE_TRAILER];

    /* of the two ways to send it, with their quotes */
    ngx_str_t                   plain_etag;
    ngx_str_t                   gzip_etag;
} ngx_http_iclock_console_loc_conf_t;


/* ngx_http_iclock_console_page.c */

/* what the location's parameters make of the page */
ngx_int_t ngx_http_iclock_console_build(ngx_conf_t *cf,
    ngx_http_iclock_console_loc_conf_t *conf);
/* NGX_OK: the content of r->main was sent, or that it is not there */
ngx_int_t ngx_http_iclock_console_send(ngx_http_request_t *r,
    ngx_http_iclock_console_loc_conf_t *conf, ngx_uint_t gzip);

/* the policy, of which the hashes are made with the page */
extern ngx_str_t  ngx_http_iclock_console_policy;


extern ngx_module_t  ngx_http_iclock_console_module;


#endif /* _NGX_HTTP_ICLOCK_CONSOLE_H_INCLUDED_ */
