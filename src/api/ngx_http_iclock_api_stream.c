
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


/*
 * The live stream: events as they happen, as "Server-Sent Events".  The
 * database says who may have it and what it shows, when it is opened and
 * whenever the key may have changed.
 */


#include "ngx_http_iclock_api_stream.h"


static ngx_int_t ngx_http_iclock_api_stream_opened(ngx_http_request_t *r,
    ngx_http_iclock_api_ctx_t *ctx);
static ngx_http_iclock_api_stream_t *ngx_http_iclock_api_stream_create(
    ngx_http_request_t *r, ngx_http_iclock_api_ctx_t *ctx);
static ngx_int_t ngx_http_iclock_api_stream_start(
    ngx_http_iclock_api_stream_t *s, ngx_http_iclock_api_ctx_t *ctx);
static ngx_int_t ngx_http_iclock_api_stream_header(ngx_http_request_t *r,
    ngx_http_iclock_api_ctx_t *ctx);
static ngx_int_t ngx_http_iclock_api_stream_hello(
    ngx_http_iclock_api_stream_t *s);
static ngx_str_t *ngx_http_iclock_api_stream_lines(ngx_iclock_query_t *q);
static void ngx_http_iclock_api_stream_checked(ngx_iclock_query_t *q);
static void ngx_http_iclock_api_stream_refilter(
    ngx_http_iclock_api_stream_t *s, ngx_str_t *lines);
static void ngx_http_iclock_api_stream_cleanup(void *data);


ngx_uint_t
ngx_http_iclock_api_wants_stream(ngx_http_request_t *r,
    ngx_http_iclock_api_ctx_t *ctx)
{
    ngx_table_elt_t  *h;

    static ngx_str_t  name = ngx_string("Accept");
    static ngx_str_t  type = ngx_string("text/event-stream");

    if (!(ctx->route->flags & NGX_HTTP_ICLOCK_API_STREAM)) {
        return 0;
    }

    h = ngx_http_iclock_api_find_header(r, &name);

    return h && ngx_strlcasestrn(h->value.data, h->value.data + h->value.len,
                                 type.data, type.len - 1)
                != NULL;
}


ngx_int_t
ngx_http_iclock_api_stream_handler(ngx_http_request_t *r,
    ngx_http_iclock_api_ctx_t *ctx)
{
    ngx_table_elt_t              *h;
    ngx_http_iclock_api_route_t  *route;

    static ngx_str_t  name = ngx_string("Last-Event-ID");

    /* the call is another one than that of the list */

    route = ngx_palloc(r->pool, sizeof(ngx_http_iclock_api_route_t));
    if (route == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    *route = *ctx->route;
    ngx_str_set(&route->operation, "events_stream");
    ctx->route = route;

    h = ngx_http_iclock_api_find_header(r, &name);

    if (h && h->value.len) {

        /* takes the place of "after" */
        ctx->cursor = h->value;

        if (!ngx_iclock_valid_text(&h->value)) {
            /* as wrong as that */
            ngx_str_set(&ctx->cursor, "?");
        }
    }

    return ngx_http_iclock_api_call(r, ctx,
                                    ngx_http_iclock_api_stream_opened);
}


static ngx_int_t
ngx_http_iclock_api_stream_opened(ngx_http_request_t *r,
    ngx_http_iclock_api_ctx_t *ctx)
{
    ngx_int_t                         slot;
    ngx_str_t                        *lines;
    ngx_http_iclock_api_stream_t     *s;
    ngx_http_iclock_api_main_conf_t  *amcf;

    amcf = ngx_http_get_module_main_conf(r, ngx_http_iclock_api_module);

    lines = ngx_http_iclock_api_stream_lines(ctx->call);

    if (lines == NULL) {
        return ngx_http_iclock_api_answered(r, ctx);
    }

    ngx_str_null(&ctx->cursor);

    if (amcf->streams->n >= amcf->stream_clients) {
        ngx_iclock_count(STREAMS_REFUSED, 1);
        return ngx_http_iclock_api_problem(r, ctx,
                                           NGX_HTTP_ICLOCK_PROBLEM_UNAVAILABLE,
                                           "there are too many streams");
    }

    if (ngx_http_iclock_api_ring_enter(amcf->ring, ctx->key_id.data, &slot)
        != NGX_OK)
    {
        ngx_iclock_count(STREAMS_REFUSED, 1);
        return ngx_http_iclock_api_problem(r, ctx,
                                           NGX_HTTP_ICLOCK_PROBLEM_RATE,
                                           "the key has as many streams as "
                                           "it may have");
    }

    s = ngx_http_iclock_api_stream_create(r, ctx);

    if (s == NULL) {
        ngx_http_iclock_api_ring_leave(amcf->ring, slot);
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    s->slot = slot;

    if (ngx_http_iclock_api_filter_parse(&s->filter, lines,
                                         ngx_cycle->log)
        != NGX_OK
        || ngx_http_iclock_api_place_set(&s->place, s->filter.cursor.data,
                                         s->filter.cursor.len)
           != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_iclock_api_stream_start(s, ctx);
}


static ngx_http_iclock_api_stream_t *
ngx_http_iclock_api_stream_create(ngx_http_request_t *r,
    ngx_http_iclock_api_ctx_t *ctx)
{
    ngx_http_cleanup_t               *cln;
    ngx_http_iclock_api_stream_t     *s;
    ngx_http_iclock_api_main_conf_t  *amcf;

    amcf = ngx_http_get_module_main_conf(r, ngx_http_iclock_api_module);

    s = ngx_pcalloc(r->pool, sizeof(ngx_http_iclock_api_stream_t));
    if (s == NULL) {
        return NULL;
    }

    s->call.len = ctx->call->params[1].len;
    s->call.data = ngx_pstrdup(r->pool, &ctx->call->params[1]);

    if (s->call.data == NULL) {
        return NULL;
    }

    cln = ngx_http_cleanup_add(r, 0);
    if (cln == NULL) {
        return NULL;
    }

    cln->handler = ngx_http_iclock_api_stream_cleanup;
    cln->data = s;

    s->request = r;
    s->amcf = amcf;
    s->last = &s->out;
    s->checked = ngx_current_msec + amcf->key_cache;
    s->changes = ngx_http_iclock_api_ring_changes(amcf->ring);

    ngx_memcpy(s->id, ctx->key_id.data, NGX_HTTP_ICLOCK_API_KEY_ID);
    ngx_queue_init(&s->queue);

    amcf->streams->n++;
    ngx_iclock_count(STREAMS, 1);

    return s;
}


static ngx_int_t
ngx_http_iclock_api_stream_start(ngx_http_iclock_api_stream_t *s,
    ngx_http_iclock_api_ctx_t *ctx)
{
    ngx_int_t            rc;
    ngx_http_request_t  *r;

    r = s->request;

    rc = ngx_http_iclock_api_stream_header(r, ctx);

    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        return rc;
    }

    ctx->stream = s;

    r->read_event_handler = ngx_http_test_reading;
    r->write_event_handler = ngx_http_iclock_api_stream_write_handler;

    if (ngx_http_iclock_api_stream_hello(s) != NGX_OK) {
        return NGX_ERROR;
    }

    /* the request lasts until the stream is closed */

    r->main->count++;

    ngx_http_iclock_api_stream_begin(s);

    if (r->connection->read->ready) {
        /* the client may have left while the database was asked */
        ngx_post_event(r->connection->read, &ngx_posted_events);
    }

    return NGX_DONE;
}


static ngx_int_t
ngx_http_iclock_api_stream_header(ngx_http_request_t *r,
    ngx_http_iclock_api_ctx_t *ctx)
{
    ngx_str_t  value;

    ngx_str_set(&value, "no");

    if (ngx_http_iclock_api_header(r, "X-Accel-Buffering", &value)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    ctx->status = NGX_HTTP_OK;
    ngx_str_set(&ctx->content_type, "text/event-stream");

    return ngx_http_iclock_api_send_header(r, ctx, -1);
}


/*
 * Where it begins, so that a client that loses it before the first event goes
 * on there.  What was asked for may not be kept any more: it begins now then.
 */

static ngx_int_t
ngx_http_iclock_api_stream_hello(ngx_http_iclock_api_stream_t *s)
{
    ngx_str_t    place;
    const char  *why;

    static u_char  retry[] = "retry: 3000\nid: ";

    ngx_http_iclock_api_place_settled(&s->place, &place);

    if (ngx_http_iclock_api_stream_add(s, retry, sizeof(retry) - 1) != NGX_OK
        || ngx_http_iclock_api_stream_add(s, place.data, place.len) != NGX_OK
        || ngx_http_iclock_api_stream_add(s, (u_char *) "\n\n", 2) != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (s->filter.reset.len
        && ngx_http_iclock_api_stream_reset(s, &s->filter.reset) != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_iclock_api_stream_flush(s, &why);
}


ngx_int_t
ngx_http_iclock_api_stream_reset(ngx_http_iclock_api_stream_t *s,
    ngx_str_t *oldest)
{
    static u_char  begin[] = "event: reset\ndata: {\"oldest\":\"";
    static u_char  end[] = "\"}\n\n";

    if (ngx_http_iclock_api_stream_add(s, begin, sizeof(begin) - 1) != NGX_OK
        || ngx_http_iclock_api_stream_add(s, oldest->data, oldest->len)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_iclock_api_stream_add(s, end, sizeof(end) - 1);
}


/* NULL: it is no answer, or a problem */

static ngx_str_t *
ngx_http_iclock_api_stream_lines(ngx_iclock_query_t *q)
{
    if (q->rc != NGX_OK || q->nrows != 1 || q->ncols != 4
        || !ngx_http_iclock_api_is(&q->values[0], "200"))
    {
        return NULL;
    }

    return &q->values[2];
}


void
ngx_http_iclock_api_stream_check(ngx_http_iclock_api_stream_t *s)
{
    ngx_iclock_query_t  *q;

    static ngx_str_t  operation = ngx_string("events_stream");

    q = ngx_iclock_query_create(s->amcf->queries, NGX_ICLOCK_QUERY_API_CALL,
                                s->request->connection->log);
    if (q == NULL) {
        return;
    }

    q->params[0] = operation;
    q->params[1] = s->call;
    q->handler = ngx_http_iclock_api_stream_checked;
    q->data = s;

    if (ngx_iclock_query_submit(q) != NGX_OK) {
        /* in the next tick */
        ngx_iclock_query_destroy(q);
        return;
    }

    s->stale = 0;
    s->check = q;
    s->checked = ngx_current_msec
                 + ngx_max(s->amcf->key_cache, NGX_HTTP_ICLOCK_API_CHECK);
}


static void
ngx_http_iclock_api_stream_checked(ngx_iclock_query_t *q)
{
    ngx_str_t                     *lines;
    ngx_http_iclock_api_stream_t  *s;

    s = q->data;
    s->check = NULL;

    lines = ngx_http_iclock_api_stream_lines(q);

    if (q->rc != NGX_OK) {
        /* the key is believed until the database says something else */
        s->checked = ngx_current_msec + NGX_HTTP_ICLOCK_API_CHECK;
        ngx_iclock_query_destroy(q);
        return;
    }

    if (lines) {
        ngx_http_iclock_api_stream_refilter(s, lines);
        ngx_iclock_query_destroy(q);
        return;
    }

    ngx_iclock_query_destroy(q);

    ngx_http_set_log_request(s->request->connection->log, s->request);

    ngx_log_error(NGX_LOG_INFO, s->request->connection->log, 0,
                  "iclock: stream is closed, its key does not allow it any "
                  "more");

    ngx_http_iclock_api_stream_leave(s);
}


static void
ngx_http_iclock_api_stream_refilter(ngx_http_iclock_api_stream_t *s,
    ngx_str_t *lines)
{
    ngx_http_iclock_api_filter_t  filter;

    if (ngx_http_iclock_api_filter_parse(&filter, lines, ngx_cycle->log)
        != NGX_OK)
    {
        s->stale = 1;
        return;
    }

    /* what runs has parameters that are part of the filter */

    if (s->query) {
        ngx_iclock_query_cancel(s->query);
        s->query = NULL;
        s->more = 1;
    }

    ngx_http_iclock_api_filter_free(&s->filter);
    s->filter = filter;
    s->place.waits = 0;
}


/* what waits is sent first; whoever comes again is told why it cannot */

void
ngx_http_iclock_api_stream_leave(ngx_http_iclock_api_stream_t *s)
{
    static u_char  bye[] = "event: bye\nretry: 500\ndata: {}\n\n";

    if (ngx_http_iclock_api_stream_add(s, bye, sizeof(bye) - 1) == NGX_OK
        && ngx_http_iclock_api_stream_send(s) != NGX_OK)
    {
        return;
    }

    ngx_http_iclock_api_stream_close(s, NULL);
}


/* without a reason it ends as it should */

void
ngx_http_iclock_api_stream_close(ngx_http_iclock_api_stream_t *s,
    const char *why)
{
    ngx_int_t            rc;
    ngx_connection_t    *c;
    ngx_http_request_t  *r;

    r = s->request;
    c = r->connection;

    ngx_http_set_log_request(c->log, r);

    rc = NGX_ERROR;

    if (why) {
        ngx_log_error(NGX_LOG_INFO, c->log, 0,
                      "iclock: stream is closed, %s", why);

    } else if (!ngx_http_iclock_api_stream_pending(s)) {
        r->keepalive = 0;
        rc = ngx_http_send_special(r, NGX_HTTP_LAST);
    }

    ngx_http_finalize_request(r, rc);
    ngx_http_run_posted_requests(c);
}


static void
ngx_http_iclock_api_stream_cleanup(void *data)
{
    ngx_http_iclock_api_stream_t *s = data;

    ngx_http_iclock_api_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(s->request, ngx_http_iclock_api_module);

    if (ctx) {
        ctx->stream = NULL;
    }

    if (s->query) {
        ngx_iclock_query_cancel(s->query);
    }

    if (s->check) {
        ngx_iclock_query_cancel(s->check);
    }

    s->amcf->streams->n--;
    ngx_iclock_count(STREAMS, -1);

    ngx_http_iclock_api_stream_end(s);
    ngx_http_iclock_api_ring_leave(s->amcf->ring, s->slot);
    ngx_http_iclock_api_filter_free(&s->filter);

    if (s->place.text.data) {
        ngx_free(s->place.text.data);
    }
}
