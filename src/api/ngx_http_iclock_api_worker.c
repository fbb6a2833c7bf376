
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


#include "ngx_http_iclock_api.h"


/* how soon other workers see what worker 0 was notified of */
#define NGX_HTTP_ICLOCK_API_WATCH   50

/* how often the feed is looked at while nothing is notified */
#define NGX_HTTP_ICLOCK_API_SECOND  1000

/* and in how many of them the database is asked whether it still serves us */
#define NGX_HTTP_ICLOCK_API_AGAIN   10


static ngx_int_t ngx_http_iclock_api_init_first(ngx_cycle_t *cycle,
    ngx_http_iclock_api_main_conf_t *amcf);
static void ngx_http_iclock_api_notify(ngx_uint_t channel,
    ngx_str_t *payload, void *data);
static void ngx_http_iclock_api_start_timer(ngx_event_t *ev,
    ngx_event_handler_pt handler, ngx_http_iclock_api_main_conf_t *amcf,
    ngx_cycle_t *cycle);
static void ngx_http_iclock_api_second_handler(ngx_event_t *ev);
static void ngx_http_iclock_api_watch_handler(ngx_event_t *ev);
static void ngx_http_iclock_api_news(ngx_http_iclock_api_main_conf_t *amcf);
static void ngx_http_iclock_api_wake(ngx_http_iclock_api_main_conf_t *amcf);
static ngx_uint_t ngx_http_iclock_api_stopping(void);


ngx_int_t
ngx_http_iclock_api_init_process(ngx_cycle_t *cycle)
{
    ngx_http_iclock_api_main_conf_t  *amcf;

    /* the cache manager and loader run this, too */

    if (ngx_process != NGX_PROCESS_WORKER
        && ngx_process != NGX_PROCESS_SINGLE)
    {
        return NGX_OK;
    }

    amcf = ngx_http_cycle_get_module_main_conf(cycle,
                                               ngx_http_iclock_api_module);

    /* no http{} block, or nothing to serve */

    if (amcf == NULL || amcf->zone == NULL) {
        return NGX_OK;
    }

    ngx_queue_init(&amcf->watchers);

    ngx_http_iclock_api_start_timer(&amcf->watch,
                                    ngx_http_iclock_api_watch_handler, amcf,
                                    cycle);

    amcf->queries = ngx_iclock_queries_create(cycle, &amcf->pool,
                                              &amcf->zone->sh->pg);
    if (amcf->queries == NULL) {
        return NGX_ERROR;
    }

    if (amcf->ring
        && ngx_http_iclock_api_stream_init(cycle, amcf) != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (ngx_process == NGX_PROCESS_WORKER && ngx_worker != 0) {
        return NGX_OK;
    }

    return ngx_http_iclock_api_init_first(cycle, amcf);
}


/* one worker does what must not be done twice */

static ngx_int_t
ngx_http_iclock_api_init_first(ngx_cycle_t *cycle,
    ngx_http_iclock_api_main_conf_t *amcf)
{
    if (amcf->ring) {
        ngx_http_iclock_api_stream_own(amcf, cycle);
    }

    if (ngx_iclock_queries_listen(amcf->queries, cycle, &amcf->listen,
                                  &amcf->zone->sh->pg,
                                  ngx_http_iclock_api_notify, amcf)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    ngx_http_iclock_api_start_timer(&amcf->second,
                                    ngx_http_iclock_api_second_handler, amcf,
                                    cycle);

    ngx_add_timer(&amcf->second, NGX_HTTP_ICLOCK_API_SECOND);

    return NGX_OK;
}


void
ngx_http_iclock_api_exit_process(ngx_cycle_t *cycle)
{
    ngx_http_iclock_api_main_conf_t  *amcf;

    amcf = ngx_http_cycle_get_module_main_conf(cycle,
                                               ngx_http_iclock_api_module);

    if (amcf == NULL || amcf->queries == NULL) {
        return;
    }

    ngx_iclock_queries_close(amcf->queries);
    amcf->queries = NULL;
}


static void
ngx_http_iclock_api_notify(ngx_uint_t channel, ngx_str_t *payload,
    void *data)
{
    ngx_http_iclock_api_main_conf_t *amcf = data;

    amcf->zone->sh->listening = 1;

    switch (channel) {

    case NGX_ICLOCK_QUERY_CHANNEL_KEY:
        ngx_http_iclock_api_zone_drop(amcf, payload);

        if (amcf->ring) {
            ngx_http_iclock_api_ring_key(amcf->ring, payload);
        }

        break;

    case NGX_ICLOCK_QUERY_CHANNEL_EVENT:
        /* those of events have no payload */
        amcf->changed += (payload && payload->len);
        ngx_http_iclock_api_news(amcf);
        break;

    default: /* NGX_ICLOCK_QUERY_CHANNEL_ALL */
        amcf->retained = 0;
        ngx_http_iclock_api_zone_drop_all(amcf);
        amcf->changed++;

        if (amcf->ring) {
            ngx_http_iclock_api_ring_key(amcf->ring, NULL);
        }

        ngx_http_iclock_api_news(amcf);
        break;
    }
}


static void
ngx_http_iclock_api_start_timer(ngx_event_t *ev,
    ngx_event_handler_pt handler, ngx_http_iclock_api_main_conf_t *amcf,
    ngx_cycle_t *cycle)
{
    ngx_memzero(ev, sizeof(ngx_event_t));

    ev->handler = handler;
    ev->data = amcf;
    ev->log = cycle->log;
    ev->cancelable = 1;
}


static void
ngx_http_iclock_api_second_handler(ngx_event_t *ev)
{
    ngx_http_iclock_api_main_conf_t  *amcf;

    amcf = ev->data;

    if (ngx_http_iclock_api_stopping()) {
        return;
    }

    ngx_add_timer(ev, NGX_HTTP_ICLOCK_API_SECOND);

    /* once more: whether we still may, which /health tells */

    if (++amcf->seconds % NGX_HTTP_ICLOCK_API_AGAIN == 0) {
        amcf->retained = 0;
    }

    ngx_http_iclock_api_retain(amcf);

    amcf->zone->sh->listening = ngx_iclock_queries_listening(amcf->queries);

    if (!amcf->zone->sh->listening) {
        ngx_http_iclock_api_news(amcf);

    } else if (amcf->ring) {
        ngx_http_iclock_api_stream_fill(amcf);
    }
}


void
ngx_http_iclock_api_heard(ngx_http_iclock_api_main_conf_t *amcf,
    ngx_iclock_query_t *q)
{
    ngx_uint_t  refused;

    /* no right, no function, no schema */

    refused = (q->rc != NGX_OK && q->sqlstate.len == 5
               && (ngx_strncmp(q->sqlstate.data, "42", 2) == 0
                   || ngx_strncmp(q->sqlstate.data, "3F", 2) == 0));

    if ((refused || q->rc == NGX_OK) && amcf->zone->sh->refused != refused) {
        amcf->zone->sh->refused = refused;
    }
}


static void
ngx_http_iclock_api_news(ngx_http_iclock_api_main_conf_t *amcf)
{
    (void) ngx_atomic_fetch_add(&amcf->zone->sh->events, 1);

    if (amcf->ring) {
        ngx_http_iclock_api_stream_fill(amcf);
    }

    ngx_http_iclock_api_wake(amcf);
}


/* one timer for all watchers of this worker */

static void
ngx_http_iclock_api_watch_handler(ngx_event_t *ev)
{
    ngx_http_iclock_api_main_conf_t  *amcf;

    amcf = ev->data;

    if (ngx_http_iclock_api_stopping()) {
        return;
    }

    if (amcf->zone->sh->events != amcf->watched) {
        ngx_http_iclock_api_wake(amcf);
    }

    if (!ngx_queue_empty(&amcf->watchers) && !ev->timer_set) {
        ngx_add_timer(ev, NGX_HTTP_ICLOCK_API_WATCH);
    }
}


static void
ngx_http_iclock_api_wake(ngx_http_iclock_api_main_conf_t *amcf)
{
    ngx_queue_t                  *q, due;
    ngx_http_iclock_api_watch_t  *watch;

    amcf->watched = amcf->zone->sh->events;

    if (ngx_queue_empty(&amcf->watchers)) {
        return;
    }

    /* handlers may add and remove watchers, also others than themselves */

    ngx_queue_init(&due);
    ngx_queue_add(&due, &amcf->watchers);
    ngx_queue_init(&amcf->watchers);

    while (!ngx_queue_empty(&due)) {
        q = ngx_queue_head(&due);
        ngx_queue_remove(q);
        ngx_queue_insert_tail(&amcf->watchers, q);

        watch = ngx_queue_data(q, ngx_http_iclock_api_watch_t, queue);
        watch->handler(watch->data);
    }
}


void
ngx_http_iclock_api_watch(ngx_http_iclock_api_main_conf_t *amcf,
    ngx_http_iclock_api_watch_t *watch)
{
    if (ngx_queue_empty(&amcf->watchers) && !amcf->watch.timer_set) {
        amcf->watched = amcf->zone->sh->events;
        ngx_add_timer(&amcf->watch, NGX_HTTP_ICLOCK_API_WATCH);
    }

    ngx_queue_insert_tail(&amcf->watchers, &watch->queue);
}


void
ngx_http_iclock_api_unwatch(ngx_http_iclock_api_watch_t *watch)
{
    ngx_queue_remove(&watch->queue);
}


static ngx_uint_t
ngx_http_iclock_api_stopping(void)
{
    return ngx_exiting || ngx_terminate || ngx_quit;
}
