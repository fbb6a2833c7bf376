
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


#include "ngx_http_iclock_webhooks.h"


/* of the text of an answer that is kept, before it is escaped */
#define NGX_HTTP_ICLOCK_RESULT_ERROR  200

/* how often a report is told that PostgreSQL refuses: for 15 seconds */
#define NGX_HTTP_ICLOCK_RESULT_REFUSED  4

/* of numbers and names of members */
#define NGX_HTTP_ICLOCK_RESULT_SIZE   256

/* columns of what is answered */
enum {
    NGX_HTTP_ICLOCK_TOLD_WEBHOOK = 0,
    NGX_HTTP_ICLOCK_TOLD_STATUS,
    NGX_HTTP_ICLOCK_TOLD_PROBE,
    NGX_HTTP_ICLOCK_TOLD_COLUMNS
};


static ngx_uint_t ngx_http_iclock_result_batch(ngx_http_iclock_parcel_t *p);
static void ngx_http_iclock_result_add(ngx_http_iclock_parcel_t *p,
    ngx_http_iclock_letter_t *l, ngx_uint_t first);
static u_char *ngx_http_iclock_result_answer(u_char *out,
    ngx_iclock_delivery_t *d, ngx_str_t *error, ngx_str_t *response);
static ngx_http_iclock_result_t *ngx_http_iclock_result_create(
    ngx_http_iclock_webhook_t *w, size_t size, ngx_uint_t n);
static u_char *ngx_http_iclock_result_text(u_char *p, const char *name,
    ngx_str_t *text);
static void ngx_http_iclock_result_failed(ngx_http_iclock_webhook_t *w,
    ngx_http_iclock_parcel_t *p);
static void ngx_http_iclock_result_again(ngx_http_iclock_webhook_t *w,
    ngx_uint_t attempt);
static ngx_int_t ngx_http_iclock_report_fill(ngx_http_iclock_sender_t *s);
static void ngx_http_iclock_report_moved(ngx_http_iclock_sender_t *s);
static u_char *ngx_http_iclock_report_cursors(ngx_http_iclock_sender_t *s,
    u_char *p);
static u_char *ngx_http_iclock_report_attempts(ngx_http_iclock_sender_t *s,
    u_char *p);
static void ngx_http_iclock_report_tell(ngx_http_iclock_sender_t *s);
static void ngx_http_iclock_report_told(ngx_iclock_query_t *q);
static ngx_int_t ngx_http_iclock_report_refused(ngx_http_iclock_sender_t *s,
    ngx_iclock_query_t *q);
static void ngx_http_iclock_report_stored(ngx_http_iclock_sender_t *s);
static void ngx_http_iclock_report_row(ngx_http_iclock_sender_t *s,
    ngx_str_t *row);


/* in the order of ngx_iclock_hook_outcome_e */

static ngx_str_t  ngx_http_iclock_outcomes[] = {
    ngx_string("delivered"),
    ngx_string("failed"),
    ngx_string("gone"),
    ngx_string("abort"),
    ngx_string("address")
};


/* whatever came of it, nothing is left to be done here: others try again */

void
ngx_http_iclock_webhooks_result(ngx_http_iclock_parcel_t *p)
{
    ngx_uint_t                  i;
    ngx_http_iclock_sender_t   *s;
    ngx_http_iclock_letter_t  **letter;
    ngx_http_iclock_webhook_t  *w;

    w = p->webhook;
    s = w->sender;
    letter = p->letters.elts;

    for (i = 0; i < p->letters.nelts; i++) {
        letter[i]->done = 1;
    }

    if (!ngx_http_iclock_result_batch(p)) {

        for (i = 0; i < p->letters.nelts; i++) {
            ngx_http_iclock_result_add(p, letter[i], i == 0);
        }
    }

    ngx_http_iclock_webhook_advance(w);

    if (p->delivery.outcome == NGX_ICLOCK_HOOK_DELIVERED) {
        w->failures = 0;

    } else {
        ngx_http_iclock_result_failed(w, p);
    }

    if (s->nresults >= NGX_HTTP_ICLOCK_WEBHOOK_RESULTS || w->held
        || w->failing || s->leaving
        || p->delivery.outcome != NGX_ICLOCK_HOOK_DELIVERED)
    {
        ngx_http_iclock_webhooks_flush(s);

    } else {
        ngx_http_iclock_sender_timer(&s->flush, NGX_HTTP_ICLOCK_WEBHOOK_FLUSH);
    }
}


/* new events that went in one request have one result; 0: it is none */

static ngx_uint_t
ngx_http_iclock_result_batch(ngx_http_iclock_parcel_t *p)
{
    u_char                     *out;
    size_t                      size;
    ngx_str_t                   error;
    ngx_uint_t                  i;
    ngx_iclock_delivery_t      *d;
    ngx_http_iclock_result_t   *r;
    ngx_http_iclock_letter_t  **letter;
    ngx_http_iclock_webhook_t  *w;

    w = p->webhook;
    d = &p->delivery;
    letter = p->letters.elts;

    if (p->letters.nelts < 2 || letter[0]->retry) {
        return 0;
    }

    error = d->error;
    error.len = ngx_min(error.len, NGX_HTTP_ICLOCK_RESULT_ERROR);

    size = NGX_HTTP_ICLOCK_RESULT_SIZE + w->node.str.len
           + 6 * (error.len + d->response.len);

    for (i = 0; i < p->letters.nelts; i++) {
        size += letter[i]->id.len + sizeof(",\"\"") - 1;
    }

    r = ngx_http_iclock_result_create(w, size, p->letters.nelts);
    if (r == NULL) {
        return 0;
    }

    out = ngx_sprintf(r->json.data, "{\"endpoint\":\"%V\",\"event_ids\":",
                      &w->node.str);

    for (i = 0; i < p->letters.nelts; i++) {
        *out++ = i ? ',' : '[';
        *out++ = '"';
        out = ngx_cpymem(out, letter[i]->id.data, letter[i]->id.len);
        *out++ = '"';
    }

    out = ngx_sprintf(out, "],\"attempt\":%ui,\"kind\":\"event\",\"ms\":%M,"
                      "\"outcome\":\"%V\"",
                      d->attempt, d->ms,
                      &ngx_http_iclock_outcomes[d->outcome]);

    out = ngx_http_iclock_result_answer(out, d, &error, &d->response);

    *out++ = '}';

    r->json.len = out - r->json.data;

    return 1;
}


static void
ngx_http_iclock_result_add(ngx_http_iclock_parcel_t *p,
    ngx_http_iclock_letter_t *l, ngx_uint_t first)
{
    u_char                     *out;
    size_t                      size;
    ngx_str_t                   error, response;
    ngx_iclock_delivery_t      *d;
    ngx_http_iclock_result_t   *r;
    ngx_http_iclock_webhook_t  *w;

    w = p->webhook;
    d = &p->delivery;

    error = d->error;
    error.len = ngx_min(error.len, NGX_HTTP_ICLOCK_RESULT_ERROR);

    /* a batch has one answer */

    response = d->response;
    response.len = first ? response.len : 0;

    /* a character takes six bytes at most when it is escaped */

    size = NGX_HTTP_ICLOCK_RESULT_SIZE + w->node.str.len
           + 6 * (l->id.len + error.len + response.len);

    r = ngx_http_iclock_result_create(w, size, 1);

    if (r == NULL) {
        /* what nobody hears of is sent once more */
        l->done = 0;
        ngx_http_iclock_letter_wait(l, 1);
        return;
    }

    /* it is known until PostgreSQL knows */

    if (l->retry) {
        r->letter = l;
    }

    out = ngx_sprintf(r->json.data, "{\"endpoint\":\"%V\"", &w->node.str);
    out = ngx_http_iclock_result_text(out, "event_id", &l->id);
    out = ngx_sprintf(out, ",\"attempt\":%ui,\"kind\":\"%s\",\"ms\":%M,"
                      "\"outcome\":\"%V\"",
                      l->attempt, l->retry ? "retry" : "event", d->ms,
                      &ngx_http_iclock_outcomes[d->outcome]);

    out = ngx_http_iclock_result_answer(out, d, &error, &response);

    *out++ = '}';

    r->json.len = out - r->json.data;
}


/* what the receiver has said */

static u_char *
ngx_http_iclock_result_answer(u_char *out, ngx_iclock_delivery_t *d,
    ngx_str_t *error, ngx_str_t *response)
{
    if (d->status) {
        out = ngx_sprintf(out, ",\"status\":%ui", d->status);
    }

    if (error->len) {
        out = ngx_http_iclock_result_text(out, "error", error);
    }

    if (response->len) {
        out = ngx_http_iclock_result_text(out, "response", response);
    }

    if (d->retry_after >= 0) {
        out = ngx_sprintf(out, ",\"retry_after\":%i", d->retry_after);
    }

    return out;
}


/* what came of so many letters */

static ngx_http_iclock_result_t *
ngx_http_iclock_result_create(ngx_http_iclock_webhook_t *w, size_t size,
    ngx_uint_t n)
{
    ngx_http_iclock_result_t  *r;

    r = ngx_alloc(sizeof(ngx_http_iclock_result_t) + size, w->sender->log);
    if (r == NULL) {
        return NULL;
    }

    r->webhook = w;
    r->letter = NULL;
    r->json.data = (u_char *) (r + 1);
    r->json.len = 0;

    ngx_queue_insert_tail(&w->sender->results, &r->queue);

    w->sender->nresults += n;
    w->untold++;

    return r;
}


static u_char *
ngx_http_iclock_result_text(u_char *p, const char *name, ngx_str_t *text)
{
    p = ngx_sprintf(p, ",\"%s\":\"", name);
    p = (u_char *) ngx_escape_json(p, text->data, text->len);
    *p++ = '"';

    return p;
}


/* PostgreSQL decides how to go on, when there is something to decide */

static void
ngx_http_iclock_result_failed(ngx_http_iclock_webhook_t *w,
    ngx_http_iclock_parcel_t *p)
{
    ngx_log_debug3(NGX_LOG_DEBUG_HTTP, w->sender->log, 0,
                   "iclock webhooks: \"%V\" failed, outcome %ui, status %ui",
                   &w->node.str, p->delivery.outcome, p->delivery.status);

    w->failures++;

    if (p->delivery.outcome == NGX_ICLOCK_HOOK_FAILED) {
        ngx_http_iclock_result_again(w, p->delivery.attempt);
    }

    if (w->ordered && !w->gone) {
        ngx_http_iclock_webhook_reset(w);
    }

    if (w->ordered || w->failing
        || w->failures >= NGX_HTTP_ICLOCK_WEBHOOK_FAILURES
        || p->delivery.outcome == NGX_ICLOCK_HOOK_GONE
        || p->delivery.outcome == NGX_ICLOCK_HOOK_ADDRESS)
    {
        w->held = 1;
    }
}


/* the longest pause that PostgreSQL makes: a tenth more than 1, 2, 4 ... s */

static void
ngx_http_iclock_result_again(ngx_http_iclock_webhook_t *w, ngx_uint_t attempt)
{
    if (attempt > 6 || w->gone || w->sender->leaving) {
        return;
    }

    ngx_http_iclock_sender_timer(&w->look,
                                 (1100 << (attempt ? attempt - 1 : 0)) + 20);
}


/* one statement at a time, so that they come in order */

void
ngx_http_iclock_webhooks_flush(ngx_http_iclock_sender_t *s)
{
    if (s->telling) {
        return;
    }

    if (s->report.pool == NULL) {

        ngx_http_iclock_report_moved(s);

        if (s->nresults == 0) {
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
    u_char                    *p;
    size_t                     size;
    ngx_pool_t                *pool;
    ngx_queue_t               *q;
    ngx_http_iclock_result_t  *r;

    size = sizeof("{\"cursors\":{},\"attempts\":[]}");

    for (q = ngx_queue_head(&s->results);
         q != ngx_queue_sentinel(&s->results);
         q = ngx_queue_next(q))
    {
        r = ngx_queue_data(q, ngx_http_iclock_result_t, queue);

        size += r->json.len + 1
                + (r->webhook->moved ? r->webhook->node.str.len
                                       + r->webhook->cursor.len + 6 : 0);
    }

    pool = ngx_create_pool(1024, s->log);
    if (pool == NULL) {
        return NGX_ERROR;
    }

    p = ngx_pnalloc(pool, size);

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

    ngx_queue_add(&s->report.results, &s->results);
    ngx_queue_init(&s->results);
    s->nresults = 0;

    return NGX_OK;
}


static u_char *
ngx_http_iclock_report_cursors(ngx_http_iclock_sender_t *s, u_char *p)
{
    u_char                     *start;
    ngx_queue_t                *q;
    ngx_http_iclock_result_t   *r;
    ngx_http_iclock_webhook_t  *w;

    start = p;

    for (q = ngx_queue_head(&s->results);
         q != ngx_queue_sentinel(&s->results);
         q = ngx_queue_next(q))
    {
        r = ngx_queue_data(q, ngx_http_iclock_result_t, queue);
        w = r->webhook;

        if (!w->moved) {
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

    for (q = ngx_queue_head(&s->results);
         q != ngx_queue_sentinel(&s->results);
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
    ngx_uint_t                 i;
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

    ngx_http_iclock_report_stored(s);

    if (q->rc == NGX_OK && q->ncols == NGX_HTTP_ICLOCK_TOLD_COLUMNS) {
        for (i = 0; i < q->nrows; i++) {
            ngx_http_iclock_report_row(s, ngx_iclock_query_value(q, i, 0));
        }
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
        || ++s->refused < NGX_HTTP_ICLOCK_RESULT_REFUSED)
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
        ngx_http_iclock_webhook_drop(r->webhook);
    }

    return NGX_OK;
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

        ngx_free(r);

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
