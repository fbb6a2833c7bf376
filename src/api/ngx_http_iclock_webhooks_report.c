
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


#include "ngx_http_iclock_webhooks.h"


/* how often a report is told that PostgreSQL refuses: for 15 seconds */
#define NGX_HTTP_ICLOCK_REPORT_REFUSED  4

/* what one statement stores at most, that it may end in time */
#define NGX_HTTP_ICLOCK_REPORT_MOST     1000

/* columns of what is answered */
enum {
    NGX_HTTP_ICLOCK_TOLD_WEBHOOK = 0,
    NGX_HTTP_ICLOCK_TOLD_STATUS,
    NGX_HTTP_ICLOCK_TOLD_PROBE,
    NGX_HTTP_ICLOCK_TOLD_COLUMNS
};


static void ngx_http_iclock_report_take(ngx_http_iclock_sender_t *s);
static ngx_int_t ngx_http_iclock_report_fill(ngx_http_iclock_sender_t *s);
static size_t ngx_http_iclock_report_size(ngx_http_iclock_sender_t *s);
static void ngx_http_iclock_report_moved(ngx_http_iclock_sender_t *s);
static u_char *ngx_http_iclock_report_cursors(ngx_http_iclock_sender_t *s,
    u_char *p);
static u_char *ngx_http_iclock_report_attempts(ngx_http_iclock_sender_t *s,
    u_char *p);
static void ngx_http_iclock_report_tell(ngx_http_iclock_sender_t *s);
static void ngx_http_iclock_report_told(ngx_iclock_query_t *q);
static ngx_int_t ngx_http_iclock_report_refused(ngx_http_iclock_sender_t *s,
    ngx_iclock_query_t *q);
static void ngx_http_iclock_report_disabled(ngx_http_iclock_sender_t *s,
    ngx_str_t *row);
static void ngx_http_iclock_report_stored(ngx_http_iclock_sender_t *s);
static void ngx_http_iclock_report_row(ngx_http_iclock_sender_t *s,
    ngx_str_t *row);


/* one statement at a time, so that they come in order */

void
ngx_http_iclock_webhooks_flush(ngx_http_iclock_sender_t *s)
{
    if (s->telling || s->late || s->left) {
        return;
    }

    if (s->report.pool == NULL) {

        ngx_http_iclock_report_moved(s);

        if (s->nresults == 0 && ngx_queue_empty(&s->report.results)) {
            return;
        }

        if (ngx_http_iclock_report_fill(s) != NGX_OK) {
            ngx_http_iclock_sender_timer(&s->flush,
                                         NGX_HTTP_ICLOCK_WEBHOOK_RETRY);
            return;
        }
    }

    ngx_http_iclock_report_tell(s);
}


/* a cursor may move without a letter: events ahead of the feed got settled */

static void
ngx_http_iclock_report_moved(ngx_http_iclock_sender_t *s)
{
    ngx_queue_t                *q;
    ngx_http_iclock_webhook_t  *w;

    for (q = ngx_queue_head(&s->all);
         q != ngx_queue_sentinel(&s->all);
         q = ngx_queue_next(q))
    {
        w = ngx_queue_data(q, ngx_http_iclock_webhook_t, queue);

        if (w->moved && w->untold == 0) {
            (void) ngx_http_iclock_result_create(w, 0, 1);
        }
    }
}


static ngx_int_t
ngx_http_iclock_report_fill(ngx_http_iclock_sender_t *s)
{
    u_char      *p;
    ngx_pool_t  *pool;

    pool = ngx_create_pool(1024, s->log);
    if (pool == NULL) {
        return NGX_ERROR;
    }

    ngx_http_iclock_report_take(s);

    p = ngx_pnalloc(pool, ngx_http_iclock_report_size(s));

    if (p == NULL) {
        ngx_destroy_pool(pool);
        return NGX_ERROR;
    }

    s->report.pool = pool;
    s->report.json.data = p;

    p = ngx_cpymem(p, "{\"cursors\":{", sizeof("{\"cursors\":{") - 1);
    p = ngx_http_iclock_report_cursors(s, p);
    p = ngx_cpymem(p, "},\"attempts\":[", sizeof("},\"attempts\":[") - 1);
    p = ngx_http_iclock_report_attempts(s, p);
    p = ngx_cpymem(p, "]}", 2);

    s->report.json.len = p - s->report.json.data;

    return NGX_OK;
}


/*
 * The oldest results, as many as one statement may store.  A cursor is told
 * with the last result of its endpoint: it must not pass over an event that
 * was refused before that is stored.
 */

static void
ngx_http_iclock_report_take(ngx_http_iclock_sender_t *s)
{
    ngx_uint_t                 weight;
    ngx_queue_t               *q;
    ngx_http_iclock_result_t  *r;

    weight = 0;

    for (q = ngx_queue_head(&s->report.results);
         q != ngx_queue_sentinel(&s->report.results);
         q = ngx_queue_next(q))
    {
        r = ngx_queue_data(q, ngx_http_iclock_result_t, queue);
        weight += r->weight;
    }

    while (!ngx_queue_empty(&s->results)
           && weight < NGX_HTTP_ICLOCK_REPORT_MOST)
    {
        q = ngx_queue_head(&s->results);
        r = ngx_queue_data(q, ngx_http_iclock_result_t, queue);

        weight += r->weight;
        s->nresults -= r->weight;
        r->webhook->told++;

        ngx_queue_remove(q);
        ngx_queue_insert_tail(&s->report.results, q);
    }
}


static size_t
ngx_http_iclock_report_size(ngx_http_iclock_sender_t *s)
{
    size_t                     size;
    ngx_queue_t               *q;
    ngx_http_iclock_result_t  *r;

    size = sizeof("{\"cursors\":{},\"attempts\":[]}");

    for (q = ngx_queue_head(&s->report.results);
         q != ngx_queue_sentinel(&s->report.results);
         q = ngx_queue_next(q))
    {
        r = ngx_queue_data(q, ngx_http_iclock_result_t, queue);

        size += r->json.len + 1
                + (r->webhook->moved ? r->webhook->node.str.len
                                       + r->webhook->cursor.len + 6 : 0);
    }

    return size;
}


static u_char *
ngx_http_iclock_report_cursors(ngx_http_iclock_sender_t *s, u_char *p)
{
    u_char                     *start;
    ngx_queue_t                *q;
    ngx_http_iclock_result_t   *r;
    ngx_http_iclock_webhook_t  *w;

    start = p;

    for (q = ngx_queue_head(&s->report.results);
         q != ngx_queue_sentinel(&s->report.results);
         q = ngx_queue_next(q))
    {
        r = ngx_queue_data(q, ngx_http_iclock_result_t, queue);
        w = r->webhook;

        if (!w->moved || w->told < w->untold) {
            continue;
        }

        w->moved = 0;

        if (p > start) {
            *p++ = ',';
        }

        p = ngx_sprintf(p, "\"%V\":\"%V\"", &w->node.str, &w->cursor);
    }

    return p;
}


static u_char *
ngx_http_iclock_report_attempts(ngx_http_iclock_sender_t *s, u_char *p)
{
    u_char                    *start;
    ngx_queue_t               *q;
    ngx_http_iclock_result_t  *r;

    start = p;

    for (q = ngx_queue_head(&s->report.results);
         q != ngx_queue_sentinel(&s->report.results);
         q = ngx_queue_next(q))
    {
        r = ngx_queue_data(q, ngx_http_iclock_result_t, queue);

        if (r->json.len == 0) {
            continue;
        }

        if (p > start) {
            *p++ = ',';
        }

        p = ngx_cpymem(p, r->json.data, r->json.len);
    }

    return p;
}


static void
ngx_http_iclock_report_tell(ngx_http_iclock_sender_t *s)
{
    ngx_iclock_query_t  *q;

    q = ngx_iclock_query_create(s->amcf->queries,
                                NGX_ICLOCK_QUERY_WEBHOOK_RESULTS, s->log);

    if (q) {
        q->params[0] = s->conf->name;
        q->params[1] = s->report.json;
        q->held = s->report.json.len;
        q->data = s;
        q->handler = ngx_http_iclock_report_told;

        if (ngx_iclock_query_submit(q) == NGX_OK) {
            s->telling = 1;
            return;
        }

        ngx_iclock_query_destroy(q);
    }

    ngx_http_iclock_sender_timer(&s->flush, NGX_HTTP_ICLOCK_WEBHOOK_RETRY);
}


/*
 * Nothing is forgotten until it is stored.  What PostgreSQL refuses again and
 * again must not hold up the results of others for ever: who is concerned is
 * leased anew, and gets once more what it has got.
 */

static void
ngx_http_iclock_report_told(ngx_iclock_query_t *q)
{
    ngx_uint_t                 i, n;
    ngx_http_iclock_sender_t  *s;

    s = q->data;
    s->telling = 0;

    ngx_log_debug2(NGX_LOG_DEBUG_HTTP, s->log, 0,
                   "iclock webhooks: told results: %i, %uz bytes",
                   q->rc, s->report.json.len);

    if (q->rc != NGX_OK && ngx_http_iclock_report_refused(s, q) == NGX_AGAIN) {
        ngx_iclock_query_destroy(q);
        return;
    }

    s->refused = 0;

    n = (q->rc == NGX_OK && q->ncols == NGX_HTTP_ICLOCK_TOLD_COLUMNS)
        ? q->nrows : 0;

    for (i = 0; i < n; i++) {
        ngx_http_iclock_report_disabled(s, ngx_iclock_query_value(q, i, 0));
    }

    ngx_http_iclock_report_stored(s);

    for (i = 0; i < n; i++) {
        ngx_http_iclock_report_row(s, ngx_iclock_query_value(q, i, 0));
    }

    ngx_iclock_query_destroy(q);

    if (s->nresults >= NGX_HTTP_ICLOCK_WEBHOOK_RESULTS || s->leaving) {
        ngx_http_iclock_webhooks_flush(s);

    } else if (s->nresults) {
        ngx_http_iclock_sender_timer(&s->flush, NGX_HTTP_ICLOCK_WEBHOOK_FLUSH);
    }

    ngx_http_iclock_webhooks_send(s);
    ngx_http_iclock_webhooks_work(s);
    ngx_http_iclock_sender_leave(s);
}


static ngx_int_t
ngx_http_iclock_report_refused(ngx_http_iclock_sender_t *s,
    ngx_iclock_query_t *q)
{
    ngx_queue_t               *e;
    ngx_http_iclock_result_t  *r;

    if (q->rc != NGX_ERROR
        || ++s->refused < NGX_HTTP_ICLOCK_REPORT_REFUSED)
    {
        ngx_http_iclock_sender_timer(&s->flush, NGX_HTTP_ICLOCK_WEBHOOK_RETRY
                                                << s->refused);
        return NGX_AGAIN;
    }

    ngx_log_error(NGX_LOG_ERR, s->log, 0,
                  "results of webhooks were not stored: %V: %V",
                  &q->sqlstate, &q->message);

    for (e = ngx_queue_head(&s->report.results);
         e != ngx_queue_sentinel(&s->report.results);
         e = ngx_queue_next(e))
    {
        r = ngx_queue_data(e, ngx_http_iclock_result_t, queue);
        ngx_http_iclock_webhook_lose(r->webhook);
    }

    return NGX_OK;
}


/* a lease may have told sooner that the endpoint is not ours any more */

static void
ngx_http_iclock_report_disabled(ngx_http_iclock_sender_t *s, ngx_str_t *row)
{
    ngx_str_t                  *status;
    ngx_http_iclock_webhook_t  *w;

    status = &row[NGX_HTTP_ICLOCK_TOLD_STATUS];

    if (status->len != sizeof("disabled") - 1
        || ngx_strncmp(status->data, "disabled", status->len) != 0)
    {
        return;
    }

    w = ngx_http_iclock_webhook_find(s, &row[NGX_HTTP_ICLOCK_TOLD_WEBHOOK]);

    if (w == NULL || w->disabled) {
        return;
    }

    w->disabled = 1;

    ngx_log_error(NGX_LOG_ERR, s->log, 0,
                  "webhook \"%V\" was given up and gets no more events, view "
                  "webhook_status says why; resume_webhook() goes on",
                  &w->node.str);
}


static void
ngx_http_iclock_report_stored(ngx_http_iclock_sender_t *s)
{
    ngx_queue_t                *e;
    ngx_http_iclock_result_t   *r;
    ngx_http_iclock_webhook_t  *w;

    while (!ngx_queue_empty(&s->report.results)) {

        e = ngx_queue_head(&s->report.results);
        ngx_queue_remove(e);

        r = ngx_queue_data(e, ngx_http_iclock_result_t, queue);
        w = r->webhook;

        if (r->letter) {
            ngx_http_iclock_letter_free(r->letter);
        }

        s->untold -= r->size;
        ngx_free(r);

        w->told--;

        if (--w->untold == 0) {
            w->held = 0;

            /* it is gone with this, if it is not ours any more */
            ngx_http_iclock_webhook_free(w);
        }
    }

    ngx_destroy_pool(s->report.pool);
    s->report.pool = NULL;
}


/* results that came meanwhile may change that again */

static void
ngx_http_iclock_report_row(ngx_http_iclock_sender_t *s, ngx_str_t *row)
{
    ngx_http_iclock_webhook_t  *w;

    w = ngx_http_iclock_webhook_find(s, &row[NGX_HTTP_ICLOCK_TOLD_WEBHOOK]);

    if (w && !w->gone && w->untold == 0) {
        ngx_http_iclock_webhook_status(w, &row[NGX_HTTP_ICLOCK_TOLD_STATUS],
                                       &row[NGX_HTTP_ICLOCK_TOLD_PROBE]);
    }
}
