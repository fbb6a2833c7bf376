
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


#include "ngx_http_iclock_webhooks.h"


/* of a batch, unless its first event alone is larger */
#define NGX_HTTP_ICLOCK_WEBHOOK_BODY  (1024 * 1024)

/* when connections are used up */
#define NGX_HTTP_ICLOCK_WEBHOOK_BUSY  100

#define NGX_HTTP_ICLOCK_BATCH_HEAD    "{\"type\":\"batch\",\"timestamp\":\""
#define NGX_HTTP_ICLOCK_BATCH_DATA    "\",\"data\":["
#define NGX_HTTP_ICLOCK_BATCH_TIME    sizeof("2026-03-27T08:30:12Z")


static ngx_uint_t ngx_http_iclock_webhook_may_send(
    ngx_http_iclock_webhook_t *w);
static ngx_int_t ngx_http_iclock_places_send(ngx_http_iclock_sender_t *s,
    ngx_http_iclock_places_t *places);
static ngx_uint_t ngx_http_iclock_places_free(ngx_http_iclock_sender_t *s,
    ngx_http_iclock_places_t *places);
static ngx_uint_t ngx_http_iclock_places_age(ngx_http_iclock_sender_t *s,
    ngx_http_iclock_places_t *places);
static ngx_int_t ngx_http_iclock_webhook_send(ngx_http_iclock_webhook_t *w,
    ngx_http_iclock_places_t *places);
static void ngx_http_iclock_parcel_count(ngx_http_iclock_parcel_t *p);
static ngx_http_iclock_parcel_t *ngx_http_iclock_parcel_create(
    ngx_http_iclock_webhook_t *w);
static ngx_int_t ngx_http_iclock_parcel_fill(ngx_http_iclock_parcel_t *p,
    ngx_queue_t *queue);
static ngx_int_t ngx_http_iclock_parcel_wrap(ngx_http_iclock_parcel_t *p);
static void ngx_http_iclock_parcel_return(ngx_http_iclock_parcel_t *p);
static void ngx_http_iclock_parcel_grown(ngx_http_iclock_parcel_t *p);
static void ngx_http_iclock_webhook_sent(ngx_iclock_delivery_t *d);
static void ngx_http_iclock_parcel_undone(ngx_http_iclock_parcel_t *p);
static void ngx_http_iclock_webhook_answered(ngx_http_iclock_webhook_t *w,
    ngx_iclock_delivery_t *d);


/* it gets its turn, if there is something that may be sent to it */

void
ngx_http_iclock_webhook_ready(ngx_http_iclock_webhook_t *w)
{
    ngx_http_iclock_sender_t  *s;

    if (w->waits || !ngx_http_iclock_webhook_may_send(w)) {
        return;
    }

    s = w->sender;

    w->waits = 1;
    ngx_queue_insert_tail(ngx_http_iclock_webhook_prompt(w) ? &s->prompt.turn
                                                            : &s->trial.turn,
                          &w->turn);

    ngx_http_iclock_sender_timer(&s->soon, 0);
}


/*
 * Its last answer was prompt, and it lets us wait for none: one that begins to
 * hang would take all connections before the first of its requests has failed.
 */

ngx_uint_t
ngx_http_iclock_webhook_prompt(ngx_http_iclock_webhook_t *w)
{
    ngx_http_iclock_parcel_t  *p;

    if (!w->prompt || ngx_queue_empty(&w->parcels)) {
        return w->prompt;
    }

    p = ngx_queue_data(ngx_queue_head(&w->parcels), ngx_http_iclock_parcel_t,
                       sent);

    return ngx_current_msec - p->start < NGX_HTTP_ICLOCK_WEBHOOK_YOUNG;
}


static ngx_uint_t
ngx_http_iclock_webhook_may_send(ngx_http_iclock_webhook_t *w)
{
    if (w->gone || w->held || w->waiting == 0) {
        return 0;
    }

    if (w->failing) {
        return w->probe && w->sending == 0;
    }

    /* who is not known to answer soon does not get the last connections */

    if (w->sending && !ngx_http_iclock_webhook_prompt(w)
        && ngx_iclock_hook_scarce(w->sender->hook))
    {
        return 0;
    }

    return w->sending < (w->ordered ? 1 : w->concurrency);
}


/*
 * Those that are known to answer soon do not wait behind the others.  All wait
 * while PostgreSQL does not store what has come of their requests: who has
 * stored that calls this again.
 */

void
ngx_http_iclock_webhooks_send(ngx_http_iclock_sender_t *s)
{
    if (ngx_http_iclock_sender_leaving(s)) {
        return;
    }

    /* another one may have them by now: the next lease tells */

    if (ngx_current_msec - s->renewed >= NGX_HTTP_ICLOCK_WEBHOOK_OURS) {
        ngx_log_debug0(NGX_LOG_DEBUG_HTTP, s->log, 0,
                       "iclock webhooks: nothing is sent before a lease");
        return;
    }

    if (s->untold >= NGX_HTTP_ICLOCK_WEBHOOK_UNTOLD) {
        ngx_log_debug1(NGX_LOG_DEBUG_HTTP, s->log, 0,
                       "iclock webhooks: results are to be stored first, "
                       "%uz bytes", s->untold);
        return;
    }

    if (ngx_http_iclock_places_send(s, &s->prompt) == NGX_OK) {
        (void) ngx_http_iclock_places_send(s, &s->trial);
    }
}


/* each endpoint gets one request before the first one gets another */

static ngx_int_t
ngx_http_iclock_places_send(ngx_http_iclock_sender_t *s,
    ngx_http_iclock_places_t *places)
{
    ngx_queue_t                *q;
    ngx_http_iclock_webhook_t  *w;

    while (!ngx_queue_empty(&places->turn)
           && ngx_http_iclock_places_free(s, places))
    {
        q = ngx_queue_head(&places->turn);
        w = ngx_queue_data(q, ngx_http_iclock_webhook_t, turn);

        ngx_queue_remove(q);
        w->waits = 0;

        if (!ngx_http_iclock_webhook_may_send(w)) {
            continue;
        }

        if (places == &s->prompt && !ngx_http_iclock_webhook_prompt(w)) {
            ngx_queue_insert_tail(&s->trial.turn, q);
            w->waits = 1;
            continue;
        }

        if (ngx_http_iclock_webhook_send(w, places) != NGX_OK) {
            ngx_queue_insert_head(&places->turn, q);
            w->waits = 1;
            ngx_http_iclock_sender_timer(&s->soon,
                                         NGX_HTTP_ICLOCK_WEBHOOK_BUSY);
            return NGX_BUSY;
        }

        if (ngx_http_iclock_webhook_may_send(w)) {
            ngx_queue_insert_tail(&places->turn, q);
            w->waits = 1;
        }
    }

    return NGX_OK;
}


/*
 * Requests that hang do not hold up others: all places together take half of
 * the connections that there are, in case all begin to hang at once, and trials
 * get half of the places.
 */

static ngx_uint_t
ngx_http_iclock_places_free(ngx_http_iclock_sender_t *s,
    ngx_http_iclock_places_t *places)
{
    ngx_uint_t  most, room;

    room = ngx_iclock_hook_room(s->hook);
    most = ngx_min(s->conf->limits.concurrency, ngx_max(room / 2, 1));

    while (s->prompt.nyoung + s->trial.nyoung >= most
           || (places == &s->trial
               && places->nyoung >= ngx_max(most / 2, 1)))
    {
        if (!ngx_http_iclock_places_age(s, &s->trial)
            && !ngx_http_iclock_places_age(s, &s->prompt))
        {
            return 0;
        }
    }

    return 1;
}


/* the oldest one gives its place away, if it is old enough */

static ngx_uint_t
ngx_http_iclock_places_age(ngx_http_iclock_sender_t *s,
    ngx_http_iclock_places_t *places)
{
    ngx_msec_t                 age;
    ngx_http_iclock_parcel_t  *p;

    if (places->nyoung == 0) {
        return 0;
    }

    p = ngx_queue_data(ngx_queue_head(&places->young),
                       ngx_http_iclock_parcel_t, queue);

    age = ngx_current_msec - p->start;

    if (age < places->age) {
        ngx_http_iclock_sender_timer(&s->soon, places->age - age);
        return 0;
    }

    ngx_http_iclock_parcel_grown(p);

    return 1;
}


static void
ngx_http_iclock_parcel_grown(ngx_http_iclock_parcel_t *p)
{
    if (p->places) {
        ngx_queue_remove(&p->queue);
        p->places->nyoung--;
        p->places = NULL;
    }
}


static ngx_int_t
ngx_http_iclock_webhook_send(ngx_http_iclock_webhook_t *w,
    ngx_http_iclock_places_t *places)
{
    ngx_iclock_delivery_t     *d;
    ngx_http_iclock_parcel_t  *p;
    ngx_http_iclock_sender_t  *s;

    s = w->sender;

    p = ngx_http_iclock_parcel_create(w);
    if (p == NULL) {
        return NGX_ERROR;
    }

    d = &p->delivery;

    d->url = w->url;
    d->secret = w->secret;
    d->previous_secret = w->previous_secret;
    d->headers = w->headers;
    d->timeout = s->conf->limits.timeout;
    d->connect_timeout = s->conf->limits.connect_timeout;
    d->handler = ngx_http_iclock_webhook_sent;
    d->data = p;

    if (ngx_iclock_hook_send(s->hook, d) != NGX_OK) {
        ngx_http_iclock_parcel_return(p);
        return NGX_BUSY;
    }

    ngx_http_iclock_parcel_count(p);

    p->start = ngx_current_msec;
    p->places = places;
    ngx_queue_insert_tail(&places->young, &p->queue);
    ngx_queue_insert_tail(&w->parcels, &p->sent);
    places->nyoung++;

    s->sending++;
    w->sending++;
    w->probe = 0;

    return NGX_OK;
}


/* only a first attempt tells how long it took to get so far */

static void
ngx_http_iclock_parcel_count(ngx_http_iclock_parcel_t *p)
{
    uint64_t                    created;
    ngx_uint_t                  i;
    ngx_http_iclock_letter_t  **letter;

    letter = p->letters.elts;

    for (i = 0; i < p->letters.nelts; i++) {

        if (letter[i]->retry) {
            continue;
        }

        created = ngx_http_iclock_api_created(&letter[i]->payload);

        if (created) {
            ngx_iclock_observe(WEBHOOK_DELAY, 0,
                               ngx_http_iclock_api_since(created));
        }
    }
}


static ngx_http_iclock_parcel_t *
ngx_http_iclock_parcel_create(ngx_http_iclock_webhook_t *w)
{
    ngx_int_t                  rc;
    ngx_pool_t                *pool;
    ngx_http_iclock_parcel_t  *p;
    ngx_http_iclock_letter_t  *l;

    pool = ngx_create_pool(1024, w->sender->log);
    if (pool == NULL) {
        return NULL;
    }

    p = ngx_pcalloc(pool, sizeof(ngx_http_iclock_parcel_t));

    if (p == NULL
        || ngx_array_init(&p->letters, pool, w->failing ? 1 : w->batch,
                          sizeof(ngx_http_iclock_letter_t *))
           != NGX_OK)
    {
        ngx_destroy_pool(pool);
        return NULL;
    }

    p->pool = pool;
    p->webhook = w;

    if (ngx_http_iclock_parcel_fill(p, ngx_queue_empty(&w->retries)
                                       ? &w->ready : &w->retries)
        != NGX_OK)
    {
        ngx_http_iclock_parcel_return(p);
        return NULL;
    }

    rc = NGX_OK;

    if (w->batch > 1) {
        rc = ngx_http_iclock_parcel_wrap(p);

    } else {
        l = *(ngx_http_iclock_letter_t **) p->letters.elts;

        p->delivery.id = l->id;
        p->delivery.event = l->type;
        p->delivery.body = l->payload;
        p->delivery.attempt = l->attempt;
    }

    if (rc != NGX_OK) {
        ngx_http_iclock_parcel_return(p);
        return NULL;
    }

    return p;
}


static ngx_int_t
ngx_http_iclock_parcel_fill(ngx_http_iclock_parcel_t *p, ngx_queue_t *queue)
{
    size_t                      size;
    ngx_uint_t                  most;
    ngx_http_iclock_letter_t   *l, **letter;
    ngx_http_iclock_webhook_t  *w;

    w = p->webhook;
    most = w->failing ? 1 : w->batch;
    size = 0;

    while (!ngx_queue_empty(queue) && p->letters.nelts < most) {

        l = ngx_queue_data(ngx_queue_head(queue), ngx_http_iclock_letter_t,
                           ready);

        if (size && size + l->payload.len > NGX_HTTP_ICLOCK_WEBHOOK_BODY) {
            break;
        }

        size += l->payload.len;

        letter = ngx_array_push(&p->letters);
        if (letter == NULL) {
            return NGX_ERROR;
        }

        *letter = l;

        ngx_http_iclock_letter_take(l);
    }

    return p->letters.nelts ? NGX_OK : NGX_ERROR;
}


static ngx_int_t
ngx_http_iclock_parcel_wrap(ngx_http_iclock_parcel_t *p)
{
    u_char                     *out;
    size_t                      size;
    ngx_tm_t                    tm;
    ngx_uint_t                  i;
    ngx_iclock_delivery_t      *d;
    ngx_http_iclock_letter_t  **letter;

    d = &p->delivery;
    letter = p->letters.elts;

    size = sizeof(NGX_HTTP_ICLOCK_BATCH_HEAD)
           + sizeof(NGX_HTTP_ICLOCK_BATCH_DATA) + NGX_HTTP_ICLOCK_BATCH_TIME
           + 2;

    for (i = 0; i < p->letters.nelts; i++) {
        size += letter[i]->payload.len + 1;
        d->attempt = ngx_max(d->attempt, letter[i]->attempt);
    }

    d->body.data = ngx_pnalloc(p->pool, size);
    d->id.data = ngx_pnalloc(p->pool, letter[0]->id.len
                                      + sizeof("batch__") + NGX_INT_T_LEN);

    if (d->body.data == NULL || d->id.data == NULL) {
        return NGX_ERROR;
    }

    d->id.len = ngx_sprintf(d->id.data, "batch_%V_%ui", &letter[0]->id,
                            p->letters.nelts)
                - d->id.data;

    ngx_str_set(&d->event, "batch");

    ngx_gmtime(ngx_time(), &tm);

    out = ngx_sprintf(d->body.data,
                      NGX_HTTP_ICLOCK_BATCH_HEAD
                      "%4d-%02d-%02dT%02d:%02d:%02dZ"
                      NGX_HTTP_ICLOCK_BATCH_DATA,
                      tm.ngx_tm_year, tm.ngx_tm_mon, tm.ngx_tm_mday,
                      tm.ngx_tm_hour, tm.ngx_tm_min, tm.ngx_tm_sec);

    for (i = 0; i < p->letters.nelts; i++) {

        if (i) {
            *out++ = ',';
        }

        out = ngx_cpymem(out, letter[i]->payload.data,
                         letter[i]->payload.len);
    }

    *out++ = ']';
    *out++ = '}';

    d->body.len = out - d->body.data;

    return NGX_OK;
}


/* what was not sent waits again, in its place */

static void
ngx_http_iclock_parcel_return(ngx_http_iclock_parcel_t *p)
{
    ngx_uint_t                  i;
    ngx_http_iclock_letter_t  **letter;

    letter = p->letters.elts;

    for (i = p->letters.nelts; i > 0; i--) {
        ngx_http_iclock_letter_wait(letter[i - 1], 1);
    }

    ngx_destroy_pool(p->pool);
}


static void
ngx_http_iclock_webhook_sent(ngx_iclock_delivery_t *d)
{
    ngx_uint_t                  window;
    ngx_http_iclock_parcel_t   *p;
    ngx_http_iclock_sender_t   *s;
    ngx_http_iclock_webhook_t  *w;

    p = d->data;
    w = p->webhook;
    s = w->sender;

    ngx_http_iclock_parcel_grown(p);

    ngx_queue_remove(&p->sent);
    s->sending--;
    w->sending--;

    if (d->undone) {
        ngx_http_iclock_parcel_undone(p);
        return;
    }

    ngx_http_iclock_webhook_answered(w, d);

    window = p->letters.nelts;

    ngx_http_iclock_webhooks_result(p);
    ngx_destroy_pool(p->pool);

    if (w->gone) {
        ngx_http_iclock_webhook_free(w);

    } else {
        ngx_http_iclock_webhook_ready(w);

        /* the next ones should be here before the last one is sent */

        if (w->more && w->waiting <= window * w->concurrency) {
            w->more = 0;
            ngx_http_iclock_webhooks_work(s);
        }
    }

    ngx_http_iclock_webhooks_send(s);
    ngx_http_iclock_sender_leave(s);
}


/* we leave: whoever gets the endpoint sends it */

static void
ngx_http_iclock_parcel_undone(ngx_http_iclock_parcel_t *p)
{
    ngx_http_iclock_sender_t   *s;
    ngx_http_iclock_webhook_t  *w;

    w = p->webhook;
    s = w->sender;

    ngx_log_debug1(NGX_LOG_DEBUG_HTTP, s->log, 0,
                   "iclock webhooks: a request to \"%V\" is left to others",
                   &w->node.str);

    ngx_http_iclock_parcel_return(p);
    ngx_http_iclock_webhook_free(w);
    ngx_http_iclock_sender_leave(s);
}


/* it waits among those that are like it now */

static void
ngx_http_iclock_webhook_answered(ngx_http_iclock_webhook_t *w,
    ngx_iclock_delivery_t *d)
{
    ngx_uint_t  prompt;

    prompt = (d->outcome == NGX_ICLOCK_HOOK_DELIVERED
              && d->ms < NGX_HTTP_ICLOCK_WEBHOOK_YOUNG);

    if (prompt == w->prompt) {
        return;
    }

    w->prompt = prompt;

    if (w->waits) {
        ngx_queue_remove(&w->turn);
        w->waits = 0;

        ngx_http_iclock_webhook_ready(w);
    }
}
