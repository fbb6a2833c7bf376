
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


#include "ngx_http_iclock_webhooks.h"


/* of the text of an answer that is kept, before it is escaped */
#define NGX_HTTP_ICLOCK_RESULT_ERROR  200

/* events that were refused are kept, which takes longer */
#define NGX_HTTP_ICLOCK_RESULT_FAILURE  8

/* of numbers and names of members */
#define NGX_HTTP_ICLOCK_RESULT_SIZE   256


static ngx_uint_t ngx_http_iclock_result_batch(ngx_http_iclock_parcel_t *p);
static void ngx_http_iclock_result_add(ngx_http_iclock_parcel_t *p,
    ngx_http_iclock_letter_t *l, ngx_uint_t first);
static u_char *ngx_http_iclock_result_answer(u_char *out,
    ngx_iclock_delivery_t *d, ngx_str_t *error, ngx_str_t *response);
static ngx_uint_t ngx_http_iclock_result_weight(ngx_iclock_delivery_t *d);
static u_char *ngx_http_iclock_result_text(u_char *p, const char *name,
    ngx_str_t *text);
static void ngx_http_iclock_result_failed(ngx_http_iclock_webhook_t *w,
    ngx_http_iclock_parcel_t *p);
static void ngx_http_iclock_result_again(ngx_http_iclock_webhook_t *w,
    ngx_uint_t attempt);


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

    r = ngx_http_iclock_result_create(w, size,
                                      p->letters.nelts
                                      * ngx_http_iclock_result_weight(d));
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
           + 6 * (l->id.len + l->first.len + error.len + response.len);

    r = ngx_http_iclock_result_create(w, size,
                                      ngx_http_iclock_result_weight(d));

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

    if (l->first.len) {
        out = ngx_http_iclock_result_text(out, "first_at", &l->first);
    }

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


static ngx_uint_t
ngx_http_iclock_result_weight(ngx_iclock_delivery_t *d)
{
    return (d->outcome == NGX_ICLOCK_HOOK_DELIVERED)
           ? 1 : NGX_HTTP_ICLOCK_RESULT_FAILURE;
}


ngx_http_iclock_result_t *
ngx_http_iclock_result_create(ngx_http_iclock_webhook_t *w, size_t size,
    ngx_uint_t weight)
{
    ngx_http_iclock_result_t  *r;

    size += sizeof(ngx_http_iclock_result_t);

    r = ngx_alloc(size, w->sender->log);
    if (r == NULL) {
        return NULL;
    }

    r->webhook = w;
    r->letter = NULL;
    r->size = size;
    r->weight = weight;
    r->json.data = (u_char *) (r + 1);
    r->json.len = 0;

    ngx_queue_insert_tail(&w->sender->results, &r->queue);

    w->sender->nresults += weight;
    w->sender->untold += size;
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
