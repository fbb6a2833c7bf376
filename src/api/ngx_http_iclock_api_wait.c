
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


/*
 * Answers that are held: an empty one until there is something, one with
 * commands until these have ended, each until its time is up.  A request that
 * waits has no connection of the pool.
 */


#include "ngx_http_iclock_api_gate.h"


/* how often it is looked at commands, and whether the worker ends */
#define NGX_HTTP_ICLOCK_API_LOOK    250

/*
 * And not more often, whatever is notified.  While what comes is for others,
 * the pause doubles, three times at most, until a second has been quiet.
 */
#define NGX_HTTP_ICLOCK_API_PAUSE   50
#define NGX_HTTP_ICLOCK_API_VAIN    3
#define NGX_HTTP_ICLOCK_API_QUIET   1000


static void ngx_http_iclock_api_woken(void *data);
static ngx_msec_t ngx_http_iclock_api_delay(ngx_http_iclock_api_ctx_t *ctx);
static ngx_msec_t ngx_http_iclock_api_pause(ngx_http_iclock_api_ctx_t *ctx);
static void ngx_http_iclock_api_timer_handler(ngx_event_t *ev);
static void ngx_http_iclock_api_look(ngx_http_request_t *r,
    ngx_http_iclock_api_ctx_t *ctx);
static ngx_int_t ngx_http_iclock_api_settle(ngx_http_request_t *r,
    ngx_http_iclock_api_ctx_t *ctx);
static ngx_int_t ngx_http_iclock_api_settled(ngx_http_request_t *r,
    ngx_http_iclock_api_ctx_t *ctx);
static ngx_uint_t ngx_http_iclock_api_over(ngx_http_iclock_api_ctx_t *ctx);


ngx_uint_t
ngx_http_iclock_api_may_hold(ngx_http_iclock_api_ctx_t *ctx, ngx_str_t *meta)
{
    ngx_str_t  value;

    if (ctx->wait == 0) {
        return 0;
    }

    if (ngx_http_iclock_api_json_member(meta, "wait", &value) == NGX_OK
        && ngx_http_iclock_api_is(&value, "true"))
    {
        ctx->settles = 1;
        ctx->applied = 1;
        return 1;
    }

    if (ngx_http_iclock_api_over(ctx)
        || ngx_http_iclock_api_json_member(meta, "empty", &value) != NGX_OK
        || !ngx_http_iclock_api_is(&value, "true"))
    {
        return 0;
    }

    /* an event that older transactions hold back is notified no more */

    if (ngx_http_iclock_api_json_member(meta, "unsettled", &value) == NGX_OK
        && ngx_http_iclock_api_is(&value, "true"))
    {
        ctx->unsettled++;

    } else {
        ctx->unsettled = 0;
    }

    /* the next look begins where this one has ended */

    return ngx_http_iclock_api_take_cursor(ctx, meta, "resume") == NGX_OK;
}


/* time is up, or the worker ends and another one will serve the client */

static ngx_uint_t
ngx_http_iclock_api_over(ngx_http_iclock_api_ctx_t *ctx)
{
    return (ngx_msec_int_t) (ctx->until - ngx_current_msec) <= 0
           || ngx_exiting || ngx_quit || ngx_terminate;
}


ngx_int_t
ngx_http_iclock_api_hold(ngx_http_request_t *r,
    ngx_http_iclock_api_ctx_t *ctx)
{
    ngx_http_iclock_api_main_conf_t  *amcf;

    if (ctx->settles && ngx_http_iclock_api_over(ctx)) {
        ngx_http_iclock_api_release(ctx);
        return ngx_http_iclock_api_send(r, ctx);
    }

    ngx_log_debug1(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                   "iclock api wait: %M ms", ctx->until - ngx_current_msec);

    amcf = ngx_http_get_module_main_conf(r, ngx_http_iclock_api_module);

    if (!ctx->watching) {
        ctx->watch.handler = ngx_http_iclock_api_woken;
        ctx->watch.data = r;
        ngx_http_iclock_api_watch(amcf, &ctx->watch);
        ctx->watching = 1;
        ctx->watched = amcf;

        ctx->timer.handler = ngx_http_iclock_api_timer_handler;
        ctx->timer.data = r;
        ctx->timer.log = r->connection->log;
    }

    /* while the query ran, and nobody watched */

    if (!ctx->settles && ctx->events != amcf->zone->sh->events) {
        ctx->again = 1;
    }

    ngx_add_timer(&ctx->timer, ngx_http_iclock_api_delay(ctx));

    ctx->holding = 1;
    ctx->looked = ngx_current_msec;

    /* a client that leaves is not waited for */

    r->main->count++;
    r->read_event_handler = ngx_http_test_reading;
    r->write_event_handler = ngx_http_request_empty_handler;

    if (r->connection->read->ready) {
        ngx_post_event(r->connection->read, &ngx_posted_events);
    }

    return NGX_DONE;
}


/* until the next look */

static ngx_msec_t
ngx_http_iclock_api_delay(ngx_http_iclock_api_ctx_t *ctx)
{
    ngx_msec_t  delay;

    delay = NGX_HTTP_ICLOCK_API_LOOK;

    /* soon at first: most transactions are short */

    if (ctx->unsettled && ctx->unsettled < 5) {
        delay = NGX_HTTP_ICLOCK_API_PAUSE;

    } else if (ctx->again) {
        delay = ngx_http_iclock_api_pause(ctx);
    }

    return ngx_min(delay, ctx->until - ngx_current_msec);
}


void
ngx_http_iclock_api_release(ngx_http_iclock_api_ctx_t *ctx)
{
    if (ctx->watching) {
        ngx_http_iclock_api_unwatch(&ctx->watch);
        ctx->watching = 0;
    }

    if (ctx->timer.timer_set) {
        ngx_del_timer(&ctx->timer);
    }

    ctx->holding = 0;
}


/* something is new */

static void
ngx_http_iclock_api_woken(void *data)
{
    ngx_http_request_t *r = data;

    ngx_msec_t                  passed, pause;
    ngx_http_iclock_api_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_iclock_api_module);

    passed = ngx_current_msec - ctx->looked;

    if (!ctx->again && passed >= NGX_HTTP_ICLOCK_API_QUIET) {
        ctx->vain = 0;
    }

    ctx->again = 1;

    if (!ctx->holding) {
        return;
    }

    pause = ngx_http_iclock_api_pause(ctx);

    if (passed >= pause) {
        ngx_http_iclock_api_look(r, ctx);
        return;
    }

    if (ctx->timer.timer_set) {
        ngx_del_timer(&ctx->timer);
    }

    ngx_add_timer(&ctx->timer, pause - passed);
}


/* most events may be for others: who waits does not ask about each of them */

static ngx_msec_t
ngx_http_iclock_api_pause(ngx_http_iclock_api_ctx_t *ctx)
{
    ngx_msec_t  pause;

    if (ctx->settles) {
        return NGX_HTTP_ICLOCK_API_PAUSE;
    }

    pause = NGX_HTTP_ICLOCK_API_PAUSE
            << ngx_min(ctx->vain, NGX_HTTP_ICLOCK_API_VAIN);

    return ngx_min(pause, ctx->until - ngx_current_msec);
}


static void
ngx_http_iclock_api_timer_handler(ngx_event_t *ev)
{
    ngx_http_request_t         *r;
    ngx_http_iclock_api_ctx_t  *ctx;

    r = ev->data;
    ctx = ngx_http_get_module_ctx(r, ngx_http_iclock_api_module);

    if (ctx->settles || ctx->again || ctx->unsettled
        || ngx_http_iclock_api_over(ctx))
    {
        ngx_http_iclock_api_look(r, ctx);
        return;
    }

    ngx_add_timer(ev, ngx_min(ctx->until - ngx_current_msec,
                              NGX_HTTP_ICLOCK_API_LOOK));
}


static void
ngx_http_iclock_api_look(ngx_http_request_t *r,
    ngx_http_iclock_api_ctx_t *ctx)
{
    ngx_int_t          rc;
    ngx_connection_t  *c;

    c = r->connection;

    ngx_http_set_log_request(c->log, r);

    if (ctx->timer.timer_set) {
        ngx_del_timer(&ctx->timer);
    }

    ctx->vain += ctx->again;
    ctx->again = 0;
    ctx->holding = 0;

    rc = ctx->settles ? ngx_http_iclock_api_settle(r, ctx)
                      : ngx_http_iclock_api_call(r, ctx,
                                                 ngx_http_iclock_api_answered);

    if (rc >= NGX_HTTP_SPECIAL_RESPONSE) {
        /* error_page: the request gets another context */
        ngx_http_iclock_api_release(ctx);
    }

    ngx_http_finalize_request(r, rc);
    ngx_http_run_posted_requests(c);
}


static ngx_int_t
ngx_http_iclock_api_settle(ngx_http_request_t *r,
    ngx_http_iclock_api_ctx_t *ctx)
{
    ngx_iclock_query_t  *q;

    q = ngx_http_iclock_api_query(r, ctx, NGX_ICLOCK_QUERY_API_SETTLE);
    if (q == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    q->params[0] = ctx->reply;

    return ngx_http_iclock_api_submit(r, ctx, ngx_http_iclock_api_settled);
}


/* if the database has trouble meanwhile, there is an answer all the same */

static ngx_int_t
ngx_http_iclock_api_settled(ngx_http_request_t *r,
    ngx_http_iclock_api_ctx_t *ctx)
{
    ngx_uint_t           settled;
    ngx_iclock_query_t  *q;

    q = ctx->call;
    settled = 0;

    if (q->rc == NGX_OK && q->nrows == 1 && q->ncols == 2) {

        settled = ngx_http_iclock_api_is(&q->values[0], "true");

        if (q->values[1].data
            && ngx_http_iclock_api_take_body(r, ctx, &q->values[1]) != NGX_OK)
        {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }
    }

    if (settled) {
        ngx_http_iclock_api_release(ctx);
        return ngx_http_iclock_api_send(r, ctx);
    }

    return ngx_http_iclock_api_hold(r, ctx);
}
