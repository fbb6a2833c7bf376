
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


/*
 * From a request to a query, and back.
 */


#include "ngx_http_iclock_api_gate.h"


typedef struct {
    const char                 *sqlstate;   /* or how it begins */
    ngx_uint_t                  problem;
    const char                 *detail;
} ngx_http_iclock_api_failure_t;


static void ngx_http_iclock_api_query_done(ngx_iclock_query_t *q);
static void ngx_http_iclock_api_query_cleanup(void *data);


/* what may pass: the same request may be answered a moment later */

static const ngx_http_iclock_api_failure_t  ngx_http_iclock_api_failures[] = {
    { "08", NGX_HTTP_ICLOCK_PROBLEM_UNAVAILABLE,
      "the database is not reachable" },
    { "25006", NGX_HTTP_ICLOCK_PROBLEM_UNAVAILABLE,
      "the database is read-only" },
    { "40", NGX_HTTP_ICLOCK_PROBLEM_UNAVAILABLE,
      "others were in the way" },
    { "53", NGX_HTTP_ICLOCK_PROBLEM_UNAVAILABLE,
      "the database has no room" },
    { "55P03", NGX_HTTP_ICLOCK_PROBLEM_UNAVAILABLE,
      "others were in the way" },
    { "57", NGX_HTTP_ICLOCK_PROBLEM_UNAVAILABLE,
      "the database has given up" },
    { "58", NGX_HTTP_ICLOCK_PROBLEM_UNAVAILABLE,
      "the database has trouble" },
    { NULL, NGX_HTTP_ICLOCK_PROBLEM_INTERNAL,
      "the log of the server says more" }
};


ngx_iclock_query_t *
ngx_http_iclock_api_query(ngx_http_request_t *r,
    ngx_http_iclock_api_ctx_t *ctx, ngx_uint_t statement)
{
    ngx_iclock_query_t               *q;
    ngx_http_cleanup_t               *cln;
    ngx_http_iclock_api_main_conf_t  *amcf;

    amcf = ngx_http_get_module_main_conf(r, ngx_http_iclock_api_module);

    if (!ctx->cleanup) {
        cln = ngx_http_cleanup_add(r, 0);
        if (cln == NULL) {
            return NULL;
        }

        cln->handler = ngx_http_iclock_api_query_cleanup;
        cln->data = ctx;
        ctx->cleanup = 1;
    }

    q = ngx_iclock_query_create(amcf->queries, statement, r->connection->log);
    if (q == NULL) {
        return NULL;
    }

    q->data = r;
    q->handler = ngx_http_iclock_api_query_done;

    if (ctx->call && !ctx->settling) {
        ngx_iclock_query_destroy(ctx->call);
    }

    ctx->settling = 0;
    ctx->call = q;

    return q;
}


ngx_int_t
ngx_http_iclock_api_submit(ngx_http_request_t *r,
    ngx_http_iclock_api_ctx_t *ctx, ngx_http_iclock_api_handler_pt handler)
{
    ngx_int_t  rc;

    ctx->next = handler;

    rc = ngx_iclock_query_submit(ctx->call);

    ngx_log_debug2(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                   "iclock api query: %ui, submit: %i", ctx->call->statement,
                   rc);

    if (rc != NGX_OK) {
        ctx->call->rc = rc;
        return handler(r, ctx);
    }

    ctx->submitted = 1;

    /* what was received is done even if the client leaves */

    r->main->count++;
    r->read_event_handler = ngx_http_block_reading;

    if (!ctx->streaming) {
        r->write_event_handler = ngx_http_request_empty_handler;
    }

    return NGX_DONE;
}


static void
ngx_http_iclock_api_query_done(ngx_iclock_query_t *q)
{
    ngx_int_t                   rc;
    ngx_connection_t           *c;
    ngx_http_request_t         *r;
    ngx_http_iclock_api_ctx_t  *ctx;

    r = q->data;
    c = r->connection;
    ctx = ngx_http_get_module_ctx(r, ngx_http_iclock_api_module);

    ngx_http_iclock_api_heard(
        ngx_http_get_module_main_conf(r, ngx_http_iclock_api_module), q);

    ngx_http_set_log_request(c->log, r);

    ctx->submitted = 0;
    ctx->settling = 1;

    ngx_log_debug4(NGX_LOG_DEBUG_HTTP, c->log, 0,
                   "iclock api query done: %i, SQLSTATE \"%V\", %ui rows, "
                   "%M ms", q->rc, &q->sqlstate, q->nrows, q->elapsed);

    rc = ctx->next(r, ctx);

    if (ctx->kept == q) {
        /* what it holds is being sent */
        ctx->call = NULL;

    } else {
        ngx_iclock_query_destroy(q);

        if (ctx->call == q) {
            ctx->call = NULL;
        }
    }

    ctx->settling = 0;

    if (rc >= NGX_HTTP_SPECIAL_RESPONSE) {
        /* error_page: the request gets another context */
        ngx_http_iclock_api_release(ctx);
    }

    ngx_http_finalize_request(r, rc);
    ngx_http_run_posted_requests(c);
}


/* the request ends, perhaps by force */

static void
ngx_http_iclock_api_query_cleanup(void *data)
{
    ngx_http_iclock_api_ctx_t *ctx = data;

    ngx_iclock_query_t  *q;

    ngx_http_iclock_api_release(ctx);

    q = ctx->call;

    if (q == NULL || ctx->settling) {
        return;
    }

    ctx->call = NULL;

    if (ctx->submitted) {
        ngx_iclock_query_cancel(q);
        return;
    }

    ngx_iclock_query_destroy(q);
}


ngx_int_t
ngx_http_iclock_api_failed(ngx_http_request_t *r,
    ngx_http_iclock_api_ctx_t *ctx)
{
    ngx_iclock_query_t                   *q;
    const ngx_http_iclock_api_failure_t  *f;

    q = ctx->call;

    if (q->doubtful && q->statement == NGX_ICLOCK_QUERY_API_CALL) {
        return ngx_http_iclock_api_problem(r, ctx,
                                           NGX_HTTP_ICLOCK_PROBLEM_UNAVAILABLE,
                                           "the database did not answer, "
                                           "nobody knows whether this was "
                                           "done");
    }

    if (q->rc == NGX_BUSY || q->rc == NGX_DECLINED) {
        return ngx_http_iclock_api_problem(r, ctx,
                                           NGX_HTTP_ICLOCK_PROBLEM_UNAVAILABLE,
                                           (q->rc == NGX_BUSY)
                                           ? "too much is to be done now"
                                           : "the database is not reachable");
    }

    for (f = ngx_http_iclock_api_failures; f->sqlstate; f++) {

        if (q->sqlstate.len == 5
            && ngx_strncmp(q->sqlstate.data, f->sqlstate,
                           ngx_strlen(f->sqlstate))
               == 0)
        {
            break;
        }
    }

    if (f->sqlstate == NULL) {
        /* its message may quote what nobody should read */
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "iclock: operation \"%V\" failed, SQLSTATE \"%V\"",
                      &ctx->route->operation, &q->sqlstate);
    }

    return ngx_http_iclock_api_problem(r, ctx, f->problem, f->detail);
}
