
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


#include "ngx_http_iclock_webhooks.h"


/* URL, secrets, headers */
#define NGX_HTTP_ICLOCK_LEASE_TEXTS  4


static void ngx_http_iclock_webhooks_leased(ngx_iclock_query_t *q);
static ngx_int_t ngx_http_iclock_webhooks_row(ngx_http_iclock_sender_t *s,
    ngx_str_t *row);
static void ngx_http_iclock_webhooks_rows(ngx_http_iclock_sender_t *s,
    ngx_iclock_query_t *q);
static ngx_int_t ngx_http_iclock_webhook_renew(ngx_http_iclock_webhook_t *w,
    ngx_str_t *row);
static void ngx_http_iclock_webhooks_closed(ngx_http_iclock_sender_t *s,
    ngx_iclock_query_t *q);
static ngx_uint_t ngx_http_iclock_webhook_closed(ngx_str_t *row);
static void ngx_http_iclock_webhooks_missing(ngx_http_iclock_sender_t *s);
static ngx_http_iclock_webhook_t *ngx_http_iclock_webhook_create(
    ngx_http_iclock_sender_t *s, ngx_str_t *row);
static void ngx_http_iclock_webhook_look_handler(ngx_event_t *ev);
static ngx_int_t ngx_http_iclock_webhook_set(ngx_http_iclock_webhook_t *w,
    ngx_str_t *row);
static ngx_int_t ngx_http_iclock_webhook_texts(ngx_http_iclock_webhook_t *w,
    ngx_str_t *value);
static ngx_int_t ngx_http_iclock_webhook_open(ngx_http_iclock_webhook_t *w,
    ngx_str_t *secret);
static u_char *ngx_http_iclock_webhook_raw(u_char *p, ngx_str_t *row);
static void ngx_http_iclock_webhook_wipe(ngx_http_iclock_webhook_t *w);
static ngx_uint_t ngx_http_iclock_webhook_number(ngx_str_t *text,
    ngx_uint_t max);


void
ngx_http_iclock_webhooks_lease(ngx_http_iclock_sender_t *s)
{
    ngx_iclock_query_t  *q;

    if (s->leasing) {
        return;
    }

    q = ngx_iclock_query_create(s->amcf->queries,
                                NGX_ICLOCK_QUERY_WEBHOOK_LEASE, s->log);
    if (q == NULL) {
        return;
    }

    q->params[0] = s->conf->name;
    q->params[1].data = ngx_pnalloc(q->pool, NGX_INT_T_LEN);

    if (q->params[1].data == NULL) {
        ngx_iclock_query_destroy(q);
        return;
    }

    q->params[1].len = ngx_sprintf(q->params[1].data, "%ui",
                                   s->conf->limits.endpoints)
                       - q->params[1].data;

    if (s->amcf->keyring) {
        q->params[2] = s->amcf->keyring->ids;
    }

    q->data = s;
    q->handler = ngx_http_iclock_webhooks_leased;

    if (ngx_iclock_query_submit(q) != NGX_OK) {
        ngx_iclock_query_destroy(q);
        return;
    }

    s->leasing = 1;
    s->leased = ngx_current_msec;
    s->changed = s->amcf->changed;
}


static void
ngx_http_iclock_webhooks_leased(ngx_iclock_query_t *q)
{
    ngx_int_t                  rc;
    ngx_http_iclock_sender_t  *s;

    s = q->data;
    s->leasing = 0;

    ngx_http_iclock_api_heard(s->amcf, q);

    ngx_log_debug2(NGX_LOG_DEBUG_HTTP, s->log, 0,
                   "iclock webhooks: leased: %i, endpoints: %ui",
                   q->rc, q->nrows);

    rc = (q->rc == NGX_OK
          && (q->nrows == 0 || q->ncols == NGX_HTTP_ICLOCK_LEASE_COLUMNS))
         ? NGX_OK : NGX_ERROR;

    if (rc == NGX_OK) {
        s->round++;
        s->renewed = s->leased;

        ngx_http_iclock_webhooks_rows(s, q);
        ngx_http_iclock_webhooks_closed(s, q);

        if (!ngx_http_iclock_sender_leaving(s)) {
            ngx_http_iclock_webhooks_seal(s, q);
        }
    }

    ngx_http_iclock_webhooks_forget(q);

    if (ngx_http_iclock_sender_leaving(s)) {
        /* what has come with it is given back with the others */
        ngx_http_iclock_sender_leave(s);
        return;
    }

    if (rc != NGX_OK) {
        return;
    }

    ngx_http_iclock_webhooks_missing(s);
    ngx_http_iclock_webhooks_work(s);
    ngx_http_iclock_webhooks_send(s);
}


static void
ngx_http_iclock_webhooks_rows(ngx_http_iclock_sender_t *s,
    ngx_iclock_query_t *q)
{
    ngx_str_t                  *row;
    ngx_uint_t                  i;
    ngx_http_iclock_damaged_t  *damaged;

    damaged = NULL;

    for (i = 0; i < q->nrows; i++) {
        row = ngx_iclock_query_value(q, i, 0);

        if (ngx_http_iclock_webhooks_row(s, row) == NGX_DECLINED) {
            ngx_http_iclock_webhooks_damaged(s, &damaged,
                                             &row[NGX_HTTP_ICLOCK_LEASE_ID]);
        }
    }

    ngx_http_iclock_webhooks_tell(s, damaged);
}


/* NGX_DECLINED: somebody has changed its secret */

static ngx_int_t
ngx_http_iclock_webhooks_row(ngx_http_iclock_sender_t *s, ngx_str_t *row)
{
    ngx_http_iclock_webhook_t  *w;

    if (ngx_http_iclock_webhook_closed(row)) {
        return NGX_OK;
    }

    w = ngx_http_iclock_webhook_find(s, &row[NGX_HTTP_ICLOCK_LEASE_ID]);

    if (row[NGX_HTTP_ICLOCK_LEASE_PAUSED].len
        && row[NGX_HTTP_ICLOCK_LEASE_PAUSED].data[0] == 't')
    {
        return NGX_OK;
    }

    /* what waits was read for another address, or for more than it gets now */

    if (w && !w->gone
        && (w->terms.len != row[NGX_HTTP_ICLOCK_LEASE_TERMS].len
            || ngx_memcmp(w->terms.data, row[NGX_HTTP_ICLOCK_LEASE_TERMS].data,
                          w->terms.len)
               != 0))
    {
        ngx_http_iclock_webhook_drop(w);
        w = ngx_http_iclock_webhook_find(s, &row[NGX_HTTP_ICLOCK_LEASE_ID]);
    }

    if (w && w->gone) {
        /* it begins anew once what was on its way has come to an end */
        w->round = s->round;
        return ngx_http_iclock_webhooks_opens(s, row);
    }

    if (w == NULL) {
        w = ngx_http_iclock_webhook_create(s, row);
        if (w == NULL) {
            return NGX_OK;
        }
    }

    w->round = s->round;

    return ngx_http_iclock_webhook_renew(w, row);
}


static ngx_int_t
ngx_http_iclock_webhook_renew(ngx_http_iclock_webhook_t *w, ngx_str_t *row)
{
    ngx_int_t   rc;
    ngx_str_t  *terms;

    terms = &row[NGX_HTTP_ICLOCK_LEASE_TERMS];

    w->terms.data = w->terms_text;
    w->terms.len = ngx_min(terms->len, sizeof(w->terms_text));
    ngx_memcpy(w->terms_text, terms->data, w->terms.len);

    rc = ngx_http_iclock_webhook_set(w, row);
    if (rc != NGX_OK) {
        if (rc == NGX_ERROR) {
            ngx_log_error(NGX_LOG_ERR, w->sender->log, 0,
                          "webhook \"%V\" was not understood", &w->node.str);
        }

        ngx_http_iclock_webhook_drop(w);
        return rc;
    }

    /* what has come ahead of the feed has no place in an order */

    if (w->ordered) {

        if (w->nahead) {
            ngx_http_iclock_webhook_drop(w);
            return NGX_OK;
        }

        ngx_http_iclock_webhook_unlook(w);
    }

    /* what we are about to tell is newer */

    if (!w->held && !w->untold) {
        ngx_http_iclock_webhook_status(w, &row[NGX_HTTP_ICLOCK_LEASE_STATUS],
                                       &row[NGX_HTTP_ICLOCK_LEASE_PROBE]);
    }

    return NGX_OK;
}


/* nobody gives us those whose secrets we cannot read: tells when more come */

static void
ngx_http_iclock_webhooks_closed(ngx_http_iclock_sender_t *s,
    ngx_iclock_query_t *q)
{
    ngx_str_t   *row, *first;
    ngx_uint_t   i, n;

    n = 0;
    first = NULL;

    for (i = 0; i < q->nrows; i++) {
        row = ngx_iclock_query_value(q, i, 0);

        if (ngx_http_iclock_webhook_closed(row)) {
            first = n++ ? first : &row[NGX_HTTP_ICLOCK_LEASE_ID];
        }
    }

    if (n > s->closed) {
        ngx_log_error(NGX_LOG_ERR, s->log, 0,
                      "webhooks wait for a key of \"iclock_secret_key\" that "
                      "opens their secrets: %ui, one is \"%V\"", n, first);
    }

    s->closed = n;
}


static ngx_uint_t
ngx_http_iclock_webhook_closed(ngx_str_t *row)
{
    ngx_str_t  *status;

    status = &row[NGX_HTTP_ICLOCK_LEASE_STATUS];

    return status->len == sizeof("closed") - 1
           && ngx_strncmp(status->data, "closed", status->len) == 0;
}


/* those that were paused, disabled, deleted, or lost to another sender */

static void
ngx_http_iclock_webhooks_missing(ngx_http_iclock_sender_t *s)
{
    ngx_queue_t                *q, *next;
    ngx_http_iclock_webhook_t  *w;

    for (q = ngx_queue_head(&s->all);
         q != ngx_queue_sentinel(&s->all);
         q = next)
    {
        next = ngx_queue_next(q);
        w = ngx_queue_data(q, ngx_http_iclock_webhook_t, queue);

        if (w->round != s->round) {
            ngx_http_iclock_webhook_drop(w);
        }
    }
}


ngx_http_iclock_webhook_t *
ngx_http_iclock_webhook_find(ngx_http_iclock_sender_t *s, ngx_str_t *id)
{
    return (ngx_http_iclock_webhook_t *)
               ngx_str_rbtree_lookup(&s->webhooks, id,
                                     ngx_crc32_short(id->data, id->len));
}


static ngx_http_iclock_webhook_t *
ngx_http_iclock_webhook_create(ngx_http_iclock_sender_t *s, ngx_str_t *row)
{
    ngx_str_t                  *id, *cursor;
    ngx_http_iclock_webhook_t  *w;

    id = &row[NGX_HTTP_ICLOCK_LEASE_ID];
    cursor = &row[NGX_HTTP_ICLOCK_LEASE_CURSOR];

    if (cursor->len > sizeof(w->texts[0])) {
        return NULL;
    }

    w = ngx_calloc(sizeof(ngx_http_iclock_webhook_t) + id->len, s->log);
    if (w == NULL) {
        return NULL;
    }

    w->sender = s;

    w->node.str.len = id->len;
    w->node.str.data = (u_char *) (w + 1);
    ngx_memcpy(w->node.str.data, id->data, id->len);
    w->node.node.key = ngx_crc32_short(id->data, id->len);

    w->position.data = w->texts[0];
    w->position.len = cursor->len;
    ngx_memcpy(w->texts[0], cursor->data, cursor->len);

    w->cursor.data = w->texts[1];
    w->cursor.len = cursor->len;
    ngx_memcpy(w->texts[1], cursor->data, cursor->len);

    w->reached.data = w->texts[2];
    w->behind.data = w->texts[3];

    ngx_queue_init(&w->order);
    ngx_queue_init(&w->ready);
    ngx_queue_init(&w->retries);
    ngx_queue_init(&w->parcels);
    ngx_rbtree_init(&w->known, &w->sentinel, ngx_str_rbtree_insert_value);
    ngx_rbtree_init(&w->ahead, &w->ahead_sentinel,
                    ngx_str_rbtree_insert_value);

    w->dummy.fd = (ngx_socket_t) -1;
    w->dummy.data = w;
    w->look.data = &w->dummy;
    w->look.log = s->log;
    w->look.handler = ngx_http_iclock_webhook_look_handler;
    w->look.cancelable = 1;

    ngx_rbtree_insert(&s->webhooks, &w->node.node);
    ngx_queue_insert_tail(&s->all, &w->queue);
    s->nwebhooks++;

    ngx_log_debug1(NGX_LOG_DEBUG_HTTP, s->log, 0,
                   "iclock webhooks: \"%V\" is ours", &w->node.str);

    return w;
}


/* the columns from the URL to the headers, if they have changed */

static ngx_int_t
ngx_http_iclock_webhook_set(ngx_http_iclock_webhook_t *w, ngx_str_t *row)
{
    size_t       len;
    u_char      *raw;
    ngx_str_t   *value;
    ngx_uint_t   i;
    ngx_pool_t  *pool;

    value = &row[NGX_HTTP_ICLOCK_LEASE_URL];

    w->ordered = (row[NGX_HTTP_ICLOCK_LEASE_ORDERED].len
                  && row[NGX_HTTP_ICLOCK_LEASE_ORDERED].data[0] == 't');
    w->concurrency = ngx_http_iclock_webhook_number(
                         &row[NGX_HTTP_ICLOCK_LEASE_CONCURRENCY], 32);
    w->batch = ngx_http_iclock_webhook_number(
                   &row[NGX_HTTP_ICLOCK_LEASE_BATCH], 500);

    len = 0;

    for (i = 0; i < NGX_HTTP_ICLOCK_LEASE_TEXTS; i++) {
        len += value[i].len + 1;
    }

    pool = ngx_create_pool(1024, w->sender->log);
    if (pool == NULL) {
        return NGX_ERROR;
    }

    raw = ngx_pnalloc(pool, len);

    if (raw == NULL) {
        ngx_destroy_pool(pool);
        return NGX_ERROR;
    }

    (void) ngx_http_iclock_webhook_raw(raw, value);

    if (w->raw.len == len && ngx_memcmp(w->raw.data, raw, len) == 0) {
        ngx_explicit_memzero(raw, len);
        ngx_destroy_pool(pool);
        return NGX_OK;
    }

    ngx_http_iclock_webhook_wipe(w);

    w->pool = pool;
    w->raw.data = raw;
    w->raw.len = len;

    return ngx_http_iclock_webhook_texts(w, value);
}


static ngx_int_t
ngx_http_iclock_webhook_texts(ngx_http_iclock_webhook_t *w, ngx_str_t *value)
{
    u_char     *p;
    ngx_int_t   rc;

    p = w->raw.data;

    w->url.data = p;
    w->url.len = value[0].len;
    p += value[0].len + 1;

    w->secret.data = p;
    w->secret.len = value[1].len;
    p += value[1].len + 1;

    w->previous_secret.data = p;
    w->previous_secret.len = value[2].len;

    w->headers = NULL;

    rc = ngx_http_iclock_webhook_open(w, &w->secret);
    if (rc != NGX_OK) {
        return rc;
    }

    rc = ngx_http_iclock_webhook_open(w, &w->previous_secret);
    if (rc == NGX_ERROR) {
        return NGX_ERROR;
    }

    /* a new one has taken its place, which is all that can be done */

    if (rc == NGX_DECLINED) {
        ngx_str_null(&w->previous_secret);
    }

    if (value[3].len == 0) {
        return NGX_OK;
    }

    w->headers = ngx_http_iclock_webhook_headers(&value[3], w->pool);

    return w->headers ? NGX_OK : NGX_ERROR;
}


static ngx_int_t
ngx_http_iclock_webhook_open(ngx_http_iclock_webhook_t *w, ngx_str_t *secret)
{
    ngx_int_t  rc;
    ngx_str_t  text;

    if (!ngx_http_iclock_secret_sealed(secret)) {
        return NGX_OK;
    }

    rc = ngx_http_iclock_secret_open(w->sender->amcf->keyring, w->pool, secret,
                                     &text);
    if (rc == NGX_OK) {
        *secret = text;
    }

    return rc;
}


/* texts that end with NUL */

static u_char *
ngx_http_iclock_webhook_raw(u_char *p, ngx_str_t *row)
{
    ngx_uint_t  i;

    for (i = 0; i < NGX_HTTP_ICLOCK_LEASE_TEXTS; i++) {
        p = ngx_cpymem(p, row[i].data, row[i].len);
        *p++ = '\0';
    }

    return p;
}


static void
ngx_http_iclock_webhook_wipe(ngx_http_iclock_webhook_t *w)
{
    if (w->pool == NULL) {
        return;
    }

    ngx_http_iclock_webhook_wipe_secrets(w);
    ngx_destroy_pool(w->pool);

    w->pool = NULL;
    ngx_str_null(&w->raw);
    ngx_str_null(&w->secret);
    ngx_str_null(&w->previous_secret);
}


void
ngx_http_iclock_webhook_wipe_secrets(ngx_http_iclock_webhook_t *w)
{
    ngx_explicit_memzero(w->raw.data, w->raw.len);
    ngx_explicit_memzero(w->secret.data, w->secret.len);
    ngx_explicit_memzero(w->previous_secret.data, w->previous_secret.len);
}


static ngx_uint_t
ngx_http_iclock_webhook_number(ngx_str_t *text, ngx_uint_t max)
{
    ngx_int_t  n;

    n = ngx_atoi(text->data, text->len);

    return (n < 1) ? 1 : ngx_min((ngx_uint_t) n, max);
}


/*
 * An endpoint that is active gets all that waits for it, one that fails a
 * probe at the time given.  An active one has the time of its next attempt.
 */

void
ngx_http_iclock_webhook_status(ngx_http_iclock_webhook_t *w,
    ngx_str_t *status, ngx_str_t *probe_in)
{
    ngx_int_t   ms;
    ngx_uint_t  failing;

    failing = (status->len == sizeof("failing") - 1
               && ngx_strncmp(status->data, "failing", status->len) == 0);

    if (!failing
        && (status->len != sizeof("active") - 1
            || ngx_strncmp(status->data, "active", status->len) != 0))
    {
        ngx_http_iclock_webhook_drop(w);
        return;
    }

    if (failing != w->failing) {
        w->failing = failing;
        w->probe = 0;
    }

    ngx_http_iclock_webhook_ready(w);

    if (probe_in->len == 0) {
        return;
    }

    ms = (probe_in->data[0] == '-') ? 0
         : ngx_atoi(probe_in->data, probe_in->len);

    if (ms == NGX_ERROR) {
        ms = NGX_HTTP_ICLOCK_WEBHOOK_TICK;
    }

    ngx_http_iclock_sender_timer(&w->look, ngx_max(ms, 1));
}


static void
ngx_http_iclock_webhook_look_handler(ngx_event_t *ev)
{
    ngx_connection_t           *c;
    ngx_http_iclock_webhook_t  *w;

    c = ev->data;
    w = c->data;

    ngx_http_iclock_webhooks_work(w->sender);
}


void
ngx_http_iclock_webhook_drop(ngx_http_iclock_webhook_t *w)
{
    if (!w->gone) {
        ngx_log_debug1(NGX_LOG_DEBUG_HTTP, w->sender->log, 0,
                       "iclock webhooks: \"%V\" is not ours", &w->node.str);
    }

    w->gone = 1;

    if (w->look.timer_set) {
        ngx_del_timer(&w->look);
    }

    if (w->waits) {
        ngx_queue_remove(&w->turn);
        w->waits = 0;
    }

    ngx_http_iclock_webhook_wipe(w);
    ngx_http_iclock_webhook_free(w);
}


void
ngx_http_iclock_webhook_free(ngx_http_iclock_webhook_t *w)
{
    ngx_queue_t               *q;
    ngx_rbtree_node_t         *node;
    ngx_http_iclock_letter_t  *l;

    if (!w->gone || w->sending || w->untold) {
        return;
    }

    ngx_http_iclock_webhook_reset(w);

    while (!ngx_queue_empty(&w->order)) {
        q = ngx_queue_head(&w->order);
        l = ngx_queue_data(q, ngx_http_iclock_letter_t, order);
        ngx_http_iclock_letter_free(l);
    }

    while (w->ahead.root != w->ahead.sentinel) {
        node = ngx_rbtree_min(w->ahead.root, w->ahead.sentinel);
        ngx_http_iclock_letter_free((ngx_http_iclock_letter_t *) node);
    }

    while (w->known.root != w->known.sentinel) {
        node = ngx_rbtree_min(w->known.root, w->known.sentinel);
        ngx_http_iclock_letter_free((ngx_http_iclock_letter_t *) node);
    }

    ngx_rbtree_delete(&w->sender->webhooks, &w->node.node);
    ngx_queue_remove(&w->queue);
    w->sender->nwebhooks--;

    ngx_http_iclock_webhook_wipe(w);
    ngx_free(w);
}
