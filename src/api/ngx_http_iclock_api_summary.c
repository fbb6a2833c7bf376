
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


/*
 * The summary takes the database some hundredth of a second where there are
 * thousands of devices, and every page that is open asks for it again and
 * again.  So a worker keeps what it has answered for a moment, to requests
 * without a query.
 */


#include "ngx_http_iclock_api_gate.h"


/* for how many milliseconds; for how many keys; of how many bytes */
#define NGX_HTTP_ICLOCK_API_SUMMARY       5000
#define NGX_HTTP_ICLOCK_API_SUMMARIES     16
#define NGX_HTTP_ICLOCK_API_SUMMARY_BYTES 65536


/* keys may be bound to addresses, which the database knows */
typedef struct {
    u_char                      key[NGX_HTTP_ICLOCK_API_KEY_ID];
    ngx_http_iclock_addr_t      addr;
    ngx_msec_t                  at;
    ngx_str_t                   body;       /* no data: nothing */
} ngx_http_iclock_api_kept_t;


static ngx_http_iclock_api_kept_t *ngx_http_iclock_api_kept_find(
    ngx_http_request_t *r, ngx_http_iclock_api_ctx_t *ctx);
static ngx_int_t ngx_http_iclock_api_summarized(ngx_http_request_t *r,
    ngx_http_iclock_api_ctx_t *ctx);
static void ngx_http_iclock_api_keep(ngx_http_request_t *r,
    ngx_http_iclock_api_ctx_t *ctx, ngx_str_t *body);


/* of this worker */
static ngx_http_iclock_api_kept_t
    ngx_http_iclock_api_summaries[NGX_HTTP_ICLOCK_API_SUMMARIES];


ngx_int_t
ngx_http_iclock_api_summary(ngx_http_request_t *r,
    ngx_http_iclock_api_ctx_t *ctx)
{
    ngx_http_iclock_api_kept_t  *kept;

    kept = ctx->query.nelts ? NULL : ngx_http_iclock_api_kept_find(r, ctx);

    ngx_log_debug1(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                   "iclock api summary: kept:%d", kept != NULL);

    if (kept == NULL) {
        return ngx_http_iclock_api_call(r, ctx,
                                        ngx_http_iclock_api_summarized);
    }

    ctx->reply.len = kept->body.len;
    ctx->reply.data = ngx_pstrdup(r->pool, &kept->body);

    if (ctx->reply.data == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_iclock_api_send_json(r, ctx, NGX_HTTP_OK);
}


static ngx_http_iclock_api_kept_t *
ngx_http_iclock_api_kept_find(ngx_http_request_t *r,
    ngx_http_iclock_api_ctx_t *ctx)
{
    ngx_uint_t                   i;
    ngx_http_iclock_addr_t       addr;
    ngx_http_iclock_api_kept_t  *kept;

    ngx_http_iclock_addr_set(&addr, r->connection->sockaddr);

    for (i = 0; i < NGX_HTTP_ICLOCK_API_SUMMARIES; i++) {
        kept = &ngx_http_iclock_api_summaries[i];

        if (kept->body.data
            && ngx_current_msec - kept->at < NGX_HTTP_ICLOCK_API_SUMMARY
            && ngx_memcmp(kept->key, ctx->key_id.data,
                          NGX_HTTP_ICLOCK_API_KEY_ID)
               == 0
            && ngx_http_iclock_addr_same(&kept->addr, &addr))
        {
            return kept;
        }
    }

    return NULL;
}


static ngx_int_t
ngx_http_iclock_api_summarized(ngx_http_request_t *r,
    ngx_http_iclock_api_ctx_t *ctx)
{
    ngx_int_t  rc;

    rc = ngx_http_iclock_api_answered(r, ctx);

    if (ctx->query.nelts == 0
        && ctx->status == NGX_HTTP_OK && ctx->reply.len
        && ctx->reply.len <= NGX_HTTP_ICLOCK_API_SUMMARY_BYTES)
    {
        ngx_http_iclock_api_keep(r, ctx, &ctx->reply);
    }

    return rc;
}


/* in place of the oldest one */

static void
ngx_http_iclock_api_keep(ngx_http_request_t *r,
    ngx_http_iclock_api_ctx_t *ctx, ngx_str_t *body)
{
    u_char                      *p;
    ngx_uint_t                   i;
    ngx_http_iclock_api_kept_t  *kept, *oldest;

    oldest = ngx_http_iclock_api_kept_find(r, ctx);

    for (i = 0; oldest == NULL && i < NGX_HTTP_ICLOCK_API_SUMMARIES; i++) {
        kept = &ngx_http_iclock_api_summaries[i];

        if (kept->body.data == NULL) {
            oldest = kept;
        }
    }

    if (oldest == NULL) {
        oldest = ngx_http_iclock_api_summaries;

        for (i = 1; i < NGX_HTTP_ICLOCK_API_SUMMARIES; i++) {
            kept = &ngx_http_iclock_api_summaries[i];

            if ((ngx_msec_int_t) (kept->at - oldest->at) < 0) {
                oldest = kept;
            }
        }
    }

    p = ngx_alloc(body->len, r->connection->log);
    if (p == NULL) {
        return;
    }

    if (oldest->body.data) {
        ngx_free(oldest->body.data);
    }

    ngx_memcpy(p, body->data, body->len);

    oldest->body.data = p;
    oldest->body.len = body->len;
    oldest->at = ngx_current_msec;

    ngx_memcpy(oldest->key, ctx->key_id.data, NGX_HTTP_ICLOCK_API_KEY_ID);
    ngx_http_iclock_addr_set(&oldest->addr, r->connection->sockaddr);
}
