
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


/*
 * Long results, a line each: the next page is asked for when the client has
 * taken the one before.  So there is one page in memory, no transaction lasts
 * longer than a page, and a slow reader has no connection of the pool.
 */


#include "ngx_http_iclock_api_gate.h"


/* a page that cannot be had is asked for again: how often, and how soon */
#define NGX_HTTP_ICLOCK_API_ROWS_TRIES  20
#define NGX_HTTP_ICLOCK_API_ROWS_PAUSE  500


static ngx_int_t ngx_http_iclock_api_rows_later(ngx_http_request_t *r,
    ngx_http_iclock_api_ctx_t *ctx);
static void ngx_http_iclock_api_rows_again(ngx_event_t *ev);
static ngx_int_t ngx_http_iclock_api_next_rows(ngx_http_request_t *r,
    ngx_http_iclock_api_ctx_t *ctx);
static ngx_int_t ngx_http_iclock_api_more_rows(ngx_http_request_t *r,
    ngx_http_iclock_api_ctx_t *ctx);
static ngx_int_t ngx_http_iclock_api_send_rows(ngx_http_request_t *r,
    ngx_http_iclock_api_ctx_t *ctx, ngx_str_t *meta);
static void ngx_http_iclock_api_rows_handler(ngx_http_request_t *r);
static ngx_int_t ngx_http_iclock_api_drain_rows(ngx_http_request_t *r,
    ngx_http_iclock_api_ctx_t *ctx);
static void ngx_http_iclock_api_rows_cleanup(void *data);


/* the first page */

ngx_int_t
ngx_http_iclock_api_rows(ngx_http_request_t *r,
    ngx_http_iclock_api_ctx_t *ctx, ngx_str_t *meta)
{
    ngx_int_t            rc;
    ngx_pool_cleanup_t  *cln;

    cln = ngx_pool_cleanup_add(r->pool, 0);
    if (cln == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    cln->handler = ngx_http_iclock_api_rows_cleanup;
    cln->data = ctx;

    rc = ngx_http_iclock_api_send_header(r, ctx, -1);

    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        return rc;
    }

    ctx->streaming = 1;
    r->write_event_handler = ngx_http_iclock_api_rows_handler;

    return ngx_http_iclock_api_send_rows(r, ctx, meta);
}


static ngx_int_t
ngx_http_iclock_api_next_rows(ngx_http_request_t *r,
    ngx_http_iclock_api_ctx_t *ctx)
{
    ngx_int_t  rc;

    /* the page before was sent; that of a handler ends with the handler */

    if (ctx->kept != ctx->call) {
        ngx_iclock_query_destroy(ctx->kept);
    }

    ctx->kept = NULL;

    if (ctx->cursor.len == 0) {
        return ngx_http_send_special(r, NGX_HTTP_LAST);
    }

    rc = ngx_http_iclock_api_call(r, ctx, ngx_http_iclock_api_more_rows);

    return (rc == NGX_DONE) ? NGX_DONE : NGX_ERROR;
}


/* the status is sent already: whoever reads sees that the end is missing */

static ngx_int_t
ngx_http_iclock_api_more_rows(ngx_http_request_t *r,
    ngx_http_iclock_api_ctx_t *ctx)
{
    ngx_str_t  *value, problem;

    value = ctx->call->values;

    if (ctx->call->rc != NGX_OK
        && ctx->tries++ < NGX_HTTP_ICLOCK_API_ROWS_TRIES)
    {
        return ngx_http_iclock_api_rows_later(r, ctx);
    }

    if (ctx->call->rc != NGX_OK || ctx->call->nrows != 1
        || ctx->call->ncols != 4
        || ngx_http_iclock_api_json_member(&value[3], "problem", &problem)
           == NGX_OK)
    {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "iclock: no further rows, the answer is not complete");
        return NGX_ERROR;
    }

    ctx->tries = 0;

    ngx_http_iclock_api_take_rows(r, ctx, &value[3]);

    return ngx_http_iclock_api_send_rows(r, ctx, &value[3]);
}


/* a database that is busy, or away for a moment, does not cut it off */

static ngx_int_t
ngx_http_iclock_api_rows_later(ngx_http_request_t *r,
    ngx_http_iclock_api_ctx_t *ctx)
{
    ngx_memzero(&ctx->timer, sizeof(ngx_event_t));

    ctx->timer.handler = ngx_http_iclock_api_rows_again;
    ctx->timer.data = r;
    ctx->timer.log = r->connection->log;

    ngx_add_timer(&ctx->timer, NGX_HTTP_ICLOCK_API_ROWS_PAUSE);

    r->main->count++;
    r->read_event_handler = ngx_http_test_reading;

    return NGX_DONE;
}


static void
ngx_http_iclock_api_rows_again(ngx_event_t *ev)
{
    ngx_int_t            rc;
    ngx_connection_t    *c;
    ngx_http_request_t  *r;

    r = ev->data;
    c = r->connection;

    ngx_http_set_log_request(c->log, r);

    rc = ngx_http_iclock_api_call(r,
                         ngx_http_get_module_ctx(r, ngx_http_iclock_api_module),
                         ngx_http_iclock_api_more_rows);

    ngx_http_finalize_request(r, (rc == NGX_DONE) ? NGX_DONE : NGX_ERROR);
    ngx_http_run_posted_requests(c);
}


/* the page is sent from the memory of its query, which is kept until then */

static ngx_int_t
ngx_http_iclock_api_send_rows(ngx_http_request_t *r,
    ngx_http_iclock_api_ctx_t *ctx, ngx_str_t *meta)
{
    ngx_buf_t    *b;
    ngx_str_t    *body;
    ngx_chain_t   out;

    body = &ctx->call->values[2];
    ctx->kept = ctx->call;

    if (ngx_http_iclock_api_take_cursor(ctx, meta, "next") == NGX_ERROR) {
        return NGX_ERROR;
    }

    if (body->len == 0) {
        return ngx_http_iclock_api_drain_rows(r, ctx);
    }

    b = &ctx->page;
    ngx_memzero(b, sizeof(ngx_buf_t));

    b->start = body->data;
    b->pos = b->start;
    b->last = b->pos + body->len;
    b->end = b->last;
    b->memory = 1;
    b->flush = 1;

    out.buf = b;
    out.next = NULL;

    if (ngx_http_output_filter(r, &out) == NGX_ERROR) {
        return NGX_ERROR;
    }

    return ngx_http_iclock_api_drain_rows(r, ctx);
}


/* NGX_DONE: the client has to read first */

static ngx_int_t
ngx_http_iclock_api_drain_rows(ngx_http_request_t *r,
    ngx_http_iclock_api_ctx_t *ctx)
{
    ngx_event_t               *wev;
    ngx_http_core_loc_conf_t  *clcf;

    wev = r->connection->write;

    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    /* limit_rate has a timer of its own, which ends the delay */

    if (!wev->delayed) {

        if (wev->timer_set) {
            ngx_del_timer(wev);
        }

        if (r->buffered == 0 && r->connection->buffered == 0
            && r->postponed == NULL)
        {
            return ngx_http_iclock_api_next_rows(r, ctx);
        }

        ngx_add_timer(wev, clcf->send_timeout);
    }

    if (ngx_handle_write_event(wev, clcf->send_lowat) != NGX_OK) {
        return NGX_ERROR;
    }

    r->main->count++;
    r->read_event_handler = ngx_http_test_reading;
    ctx->draining = 1;

    return NGX_DONE;
}


static void
ngx_http_iclock_api_rows_handler(ngx_http_request_t *r)
{
    ngx_int_t                   rc;
    ngx_event_t                *wev;
    ngx_http_iclock_api_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_iclock_api_module);
    wev = r->connection->write;

    if (!ctx->draining) {
        return;
    }

    if (wev->timedout) {
        ngx_log_error(NGX_LOG_INFO, r->connection->log, NGX_ETIMEDOUT,
                      "client timed out");
        r->connection->timedout = 1;
        ngx_http_finalize_request(r, NGX_HTTP_REQUEST_TIME_OUT);
        return;
    }

    if (wev->delayed) {
        /* limit_rate */
        if (ngx_handle_write_event(wev, 0) != NGX_OK) {
            ngx_http_finalize_request(r, NGX_ERROR);
        }

        return;
    }

    rc = ngx_http_output_filter(r, NULL);

    ctx->draining = 0;

    if (rc != NGX_ERROR) {
        rc = ngx_http_iclock_api_drain_rows(r, ctx);
    }

    ngx_http_finalize_request(r, rc);
}


/* whatever was queued to be sent is gone with the pool of the request */

static void
ngx_http_iclock_api_rows_cleanup(void *data)
{
    ngx_http_iclock_api_ctx_t *ctx = data;

    if (ctx->kept) {
        ngx_iclock_query_destroy(ctx->kept);
        ctx->kept = NULL;
    }
}
