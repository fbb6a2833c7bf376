
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


/*
 * What takes longer than a turn of the event loop may: large bodies and
 * packets, which are worked on step by step.
 */


#ifndef _NGX_HTTP_ICLOCK_STEPS_H_INCLUDED_
#define _NGX_HTTP_ICLOCK_STEPS_H_INCLUDED_


#include "ngx_http_iclock.h"


/* ngx_http_iclock_steps.c: requests that take turns */

ngx_int_t ngx_http_iclock_steps_init(ngx_http_iclock_main_conf_t *imcf,
    ngx_cycle_t *cycle);

/*
 * Calls step in turns of the event loop to come, as long as it returns
 * NGX_AGAIN, and handler when it has returned NGX_OK; step may be NULL.
 * Requests of the same device that are here come first.  So many bytes are
 * held meanwhile, which others may not hold.  Returns NGX_DONE, or a status.
 */
ngx_int_t ngx_http_iclock_steps(ngx_http_request_t *r,
    ngx_http_iclock_ctx_t *ctx, size_t held, ngx_http_iclock_handler_pt step,
    ngx_http_iclock_handler_pt handler);

/* a step has led to so many bytes: NGX_OK, or NGX_BUSY, they are too many */
ngx_int_t ngx_http_iclock_steps_hold(ngx_http_request_t *r,
    ngx_http_iclock_ctx_t *ctx, size_t held);

/* whether another request of this device is here */
ngx_uint_t ngx_http_iclock_steps_behind(ngx_http_request_t *r,
    ngx_http_iclock_ctx_t *ctx);

/* the request ends */
void ngx_http_iclock_steps_cancel(ngx_http_iclock_ctx_t *ctx);


/* ngx_http_iclock_body.c */

size_t ngx_http_iclock_body_size(ngx_http_request_t *r);

/* NGX_OK; NGX_AGAIN: more is to be read; NGX_ERROR */
ngx_int_t ngx_http_iclock_body_begin(ngx_http_request_t *r,
    ngx_http_iclock_body_t *body);
ngx_int_t ngx_http_iclock_body_more(ngx_http_request_t *r,
    ngx_http_iclock_body_t *body);


/* ngx_http_iclock_split.c */

/*
 * Cuts ctx->body, which has begun, into the items of ctx->job, and calls the
 * handler; the body holds replies if there is no ctx->table.
 */
ngx_int_t ngx_http_iclock_split(ngx_http_request_t *r,
    ngx_http_iclock_ctx_t *ctx, ngx_http_iclock_handler_pt handler);


#endif /* _NGX_HTTP_ICLOCK_STEPS_H_INCLUDED_ */
