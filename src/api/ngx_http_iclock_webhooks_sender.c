
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


#include "ngx_http_iclock_webhooks.h"

#include <sys/eventfd.h>


static void ngx_http_iclock_sender_event(ngx_event_t *ev,
    ngx_event_handler_pt handler, ngx_http_iclock_sender_t *s);
static ngx_int_t ngx_http_iclock_sender_alarm(ngx_http_iclock_sender_t *s);
static void ngx_http_iclock_sender_alarm_handler(ngx_event_t *ev);
static void ngx_http_iclock_sender_news(void *data);
static void ngx_http_iclock_sender_tick_handler(ngx_event_t *ev);
static void ngx_http_iclock_sender_soon_handler(ngx_event_t *ev);
static void ngx_http_iclock_sender_flush_handler(ngx_event_t *ev);
static void ngx_http_iclock_sender_farewell_handler(ngx_event_t *ev);
static void ngx_http_iclock_sender_release_some(ngx_http_iclock_sender_t *s);
static ngx_int_t ngx_http_iclock_sender_release(ngx_http_iclock_sender_t *s,
    ngx_str_t *ids, ngx_iclock_query_handler_pt handler);
static void ngx_http_iclock_sender_released(ngx_iclock_query_t *q);


ngx_int_t
ngx_http_iclock_sender_start(ngx_cycle_t *cycle,
    ngx_http_iclock_webhooks_conf_t *wcf,
    ngx_http_iclock_api_main_conf_t *amcf)
{
    ngx_http_iclock_sender_t  *s;

    s = ngx_pcalloc(cycle->pool, sizeof(ngx_http_iclock_sender_t));
    if (s == NULL) {
        return NGX_ERROR;
    }

    s->conf = wcf;
    s->amcf = amcf;
    s->log = cycle->log;
    s->leased = ngx_current_msec - NGX_HTTP_ICLOCK_WEBHOOK_TICK;
    s->prompt.age = NGX_HTTP_ICLOCK_WEBHOOK_YOUNG;
    s->trial.age = NGX_HTTP_ICLOCK_WEBHOOK_TRIAL;

    ngx_rbtree_init(&s->webhooks, &s->sentinel, ngx_str_rbtree_insert_value);
    ngx_queue_init(&s->all);
    ngx_queue_init(&s->prompt.turn);
    ngx_queue_init(&s->prompt.young);
    ngx_queue_init(&s->trial.turn);
    ngx_queue_init(&s->trial.young);
    ngx_queue_init(&s->results);
    ngx_queue_init(&s->report.results);

    ngx_http_iclock_sender_event(&s->tick,
                                 ngx_http_iclock_sender_tick_handler, s);
    ngx_http_iclock_sender_event(&s->soon,
                                 ngx_http_iclock_sender_soon_handler, s);
    ngx_http_iclock_sender_event(&s->flush,
                                 ngx_http_iclock_sender_flush_handler, s);
    ngx_http_iclock_sender_event(&s->farewell,
                                 ngx_http_iclock_sender_farewell_handler, s);

    s->farewell.cancelable = 0;

    s->hook = ngx_iclock_hook_create(cycle, &wcf->hook);
    if (s->hook == NULL) {
        return NGX_ERROR;
    }

    if (ngx_http_iclock_sender_alarm(s) != NGX_OK) {
        return NGX_ERROR;
    }

    s->watch.handler = ngx_http_iclock_sender_news;
    s->watch.data = s;

    ngx_http_iclock_api_watch(amcf, &s->watch);

    ngx_add_timer(&s->tick, 1);

    wcf->sender = s;

    return NGX_OK;
}


static void
ngx_http_iclock_sender_event(ngx_event_t *ev, ngx_event_handler_pt handler,
    ngx_http_iclock_sender_t *s)
{
    ev->handler = handler;
    ev->data = s;
    ev->log = s->log;
    ev->cancelable = 1;
}


/* no sooner than it is due already */

void
ngx_http_iclock_sender_timer(ngx_event_t *ev, ngx_msec_t delay)
{
    if (ev->timer_set) {

        if ((ngx_msec_int_t) (ev->timer.key - ngx_current_msec - delay) <= 0) {
            return;
        }

        ngx_del_timer(ev);
    }

    ngx_add_timer(ev, delay);
}


/*
 * Nothing tells a module that its worker is to shut down, but nginx closes
 * idle connections then: this one is idle all the time.
 */

static ngx_int_t
ngx_http_iclock_sender_alarm(ngx_http_iclock_sender_t *s)
{
    int                fd;
    ngx_connection_t  *c;

    fd = eventfd(0, EFD_CLOEXEC|EFD_NONBLOCK);

    if (fd == -1) {
        ngx_log_error(NGX_LOG_ALERT, s->log, ngx_errno, "eventfd() failed");
        return NGX_ERROR;
    }

    c = ngx_get_connection(fd, s->log);

    if (c == NULL) {
        (void) close(fd);
        return NGX_ERROR;
    }

    c->data = s;
    c->idle = 1;
    c->read->log = s->log;
    c->write->log = s->log;
    c->read->handler = ngx_http_iclock_sender_alarm_handler;
    c->write->handler = ngx_http_iclock_sender_alarm_handler;

    s->alarm = c;

    return NGX_OK;
}


static void
ngx_http_iclock_sender_alarm_handler(ngx_event_t *ev)
{
    ngx_connection_t          *c;
    ngx_http_iclock_sender_t  *s;

    c = ev->data;
    s = c->data;

    if (!c->close) {
        return;
    }

    s->alarm = NULL;
    s->leaving = 1;

    ngx_close_connection(c);

    ngx_iclock_hook_leave(s->hook);

    /* a worker that shuts down waits for that */

    ngx_add_timer(&s->farewell, s->conf->limits.timeout
                                + 2 * s->amcf->pool.timeout);

    ngx_http_iclock_webhooks_flush(s);
    ngx_http_iclock_sender_leave(s);
}


ngx_uint_t
ngx_http_iclock_sender_leaving(ngx_http_iclock_sender_t *s)
{
    return s->leaving || ngx_exiting || ngx_terminate || ngx_quit;
}


/*
 * Endpoints are given back as soon as nothing of them is on its way: none has
 * to wait for the receiver of another one.  What a lease or a look brings now
 * is given back with them.
 */

void
ngx_http_iclock_sender_leave(ngx_http_iclock_sender_t *s)
{
    if (!s->leaving || s->left || s->leasing || s->working) {
        return;
    }

    if (!s->late) {

        if (ngx_http_iclock_webhooks_last(s) == NGX_OK) {
            return;
        }

        /* a look moves cursors without a letter */
        ngx_http_iclock_webhooks_flush(s);
    }

    if (!s->late && (s->sending || s->nresults || s->report.pool)) {
        ngx_http_iclock_sender_release_some(s);
        return;
    }

    s->left = 1;

    if (ngx_http_iclock_sender_release(s, NULL,
                                       ngx_http_iclock_sender_released)
        != NGX_OK
        && s->farewell.timer_set)
    {
        ngx_del_timer(&s->farewell);
    }
}


/* "{id,id}" */

static void
ngx_http_iclock_sender_release_some(ngx_http_iclock_sender_t *s)
{
    u_char                     *p;
    ngx_str_t                   ids;
    ngx_queue_t                *q;
    ngx_http_iclock_webhook_t  *w;

    ids.data = ngx_alloc(s->nwebhooks * NGX_HTTP_ICLOCK_WEBHOOK_ID + 2,
                         s->log);
    if (ids.data == NULL) {
        return;
    }

    p = ids.data;

    for (q = ngx_queue_head(&s->all);
         q != ngx_queue_sentinel(&s->all);
         q = ngx_queue_next(q))
    {
        w = ngx_queue_data(q, ngx_http_iclock_webhook_t, queue);

        if (w->released || w->sending || w->untold || w->moved
            || w->node.str.len >= NGX_HTTP_ICLOCK_WEBHOOK_ID)
        {
            continue;
        }

        w->released = 1;

        *p = (p == ids.data) ? '{' : ',';
        p = ngx_cpymem(p + 1, w->node.str.data, w->node.str.len);
    }

    if (p > ids.data) {
        *p++ = '}';
        ids.len = p - ids.data;

        (void) ngx_http_iclock_sender_release(s, &ids,
                                              ngx_iclock_query_destroy);
    }

    ngx_free(ids.data);
}


/* what is not given back is free in half a minute */

static ngx_int_t
ngx_http_iclock_sender_release(ngx_http_iclock_sender_t *s, ngx_str_t *ids,
    ngx_iclock_query_handler_pt handler)
{
    ngx_iclock_query_t  *q;

    q = ngx_iclock_query_create(s->amcf->queries,
                                NGX_ICLOCK_QUERY_WEBHOOK_RELEASE, s->log);
    if (q == NULL) {
        return NGX_ERROR;
    }

    q->params[0] = s->conf->name;
    q->data = s;
    q->handler = handler;

    if (ids) {
        q->params[1].len = ids->len;
        q->params[1].data = ngx_pstrdup(q->pool, ids);
    }

    if ((ids && q->params[1].data == NULL)
        || ngx_iclock_query_submit(q) != NGX_OK)
    {
        ngx_iclock_query_destroy(q);
        return NGX_ERROR;
    }

    return NGX_OK;
}


static void
ngx_http_iclock_sender_released(ngx_iclock_query_t *q)
{
    ngx_http_iclock_sender_t  *s;

    s = q->data;

    ngx_log_debug1(NGX_LOG_DEBUG_HTTP, s->log, 0,
                   "iclock webhooks: given back: %i", q->rc);

    ngx_iclock_query_destroy(q);

    if (s->farewell.timer_set) {
        ngx_del_timer(&s->farewell);
    }
}


/* nothing more is told: what is left comes to whoever gets the leases, again */

static void
ngx_http_iclock_sender_farewell_handler(ngx_event_t *ev)
{
    ngx_http_iclock_sender_t  *s;

    s = ev->data;

    ngx_log_error(NGX_LOG_WARN, s->log, 0,
                  "webhooks were not given back in time");

    s->late = 1;

    ngx_http_iclock_sender_leave(s);
}


void
ngx_http_iclock_sender_stop(ngx_http_iclock_sender_t *s)
{
    ngx_queue_t                *q;
    ngx_http_iclock_webhook_t  *w;

    if (s->alarm) {
        ngx_close_connection(s->alarm);
        s->alarm = NULL;
    }

    ngx_iclock_hook_close(s->hook);

    for (q = ngx_queue_head(&s->all);
         q != ngx_queue_sentinel(&s->all);
         q = ngx_queue_next(q))
    {
        w = ngx_queue_data(q, ngx_http_iclock_webhook_t, queue);

        ngx_http_iclock_webhook_wipe_secrets(w);
    }
}


static void
ngx_http_iclock_sender_news(void *data)
{
    ngx_http_iclock_sender_t *s = data;

    if (ngx_http_iclock_sender_leaving(s)) {
        return;
    }

    if (s->changed != s->amcf->changed) {
        ngx_http_iclock_webhooks_lease(s);
    }

    ngx_http_iclock_webhooks_work(s);
}


static void
ngx_http_iclock_sender_tick_handler(ngx_event_t *ev)
{
    ngx_http_iclock_sender_t  *s;

    s = ev->data;

    if (ngx_http_iclock_sender_leaving(s)) {
        return;
    }

    if (s->nwebhooks < NGX_HTTP_ICLOCK_WEBHOOK_MANY
        || ngx_current_msec - s->leased >= NGX_HTTP_ICLOCK_WEBHOOK_LEASE)
    {
        ngx_http_iclock_webhooks_lease(s);
    }

    ngx_http_iclock_webhooks_work(s);

    ngx_add_timer(ev, NGX_HTTP_ICLOCK_WEBHOOK_TICK);
}


static void
ngx_http_iclock_sender_soon_handler(ngx_event_t *ev)
{
    ngx_http_iclock_sender_t  *s;

    s = ev->data;

    ngx_http_iclock_webhooks_send(s);

    if (s->again && !s->working) {
        ngx_http_iclock_webhooks_work(s);
    }
}


static void
ngx_http_iclock_sender_flush_handler(ngx_event_t *ev)
{
    ngx_http_iclock_webhooks_flush(ev->data);
}
