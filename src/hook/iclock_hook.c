
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


#include "iclock_hook_private.h"

#include <openssl/err.h>
#include <signal.h>


static ngx_int_t ngx_iclock_hook_multi(ngx_iclock_hook_t *hook);
static int ngx_iclock_hook_timer(CURLM *multi, long ms, void *data);
static void ngx_iclock_hook_timer_handler(ngx_event_t *ev);
static void ngx_iclock_hook_posted_handler(ngx_event_t *ev);
static void ngx_iclock_hook_guard_handler(ngx_event_t *ev);
static void ngx_iclock_hook_done(ngx_iclock_hook_t *hook);
static void ngx_iclock_hook_finish(ngx_iclock_transfer_t *t, CURLcode rc);
static void ngx_iclock_hook_forget(ngx_iclock_transfer_t *t);


ngx_iclock_hook_t *
ngx_iclock_hook_create(ngx_cycle_t *cycle, ngx_iclock_hook_conf_t *conf)
{
    ngx_iclock_hook_t  *hook;

    hook = ngx_pcalloc(cycle->pool, sizeof(ngx_iclock_hook_t));
    if (hook == NULL) {
        return NULL;
    }

    hook->conf = conf;
    hook->log = cycle->log;
    hook->pool = cycle->pool;

    ngx_queue_init(&hook->transfers);
    ngx_queue_init(&hook->ended);

    /* debug builds read the data of an event as a connection */

    hook->dummy.data = hook;
    hook->dummy.fd = (ngx_socket_t) -1;

    hook->timer.data = &hook->dummy;
    hook->timer.log = cycle->log;
    hook->timer.handler = ngx_iclock_hook_timer_handler;
    hook->timer.cancelable = 1;

    hook->posted.data = &hook->dummy;
    hook->posted.log = cycle->log;
    hook->posted.handler = ngx_iclock_hook_posted_handler;

    hook->guard.data = &hook->dummy;
    hook->guard.log = cycle->log;
    hook->guard.handler = ngx_iclock_hook_guard_handler;

    if (ngx_iclock_hook_rules(&hook->rules, conf->allowed, &cycle->listening,
                              cycle->pool)
        != NGX_OK
        || ngx_iclock_hook_multi(hook) != NGX_OK)
    {
        return NULL;
    }

    return hook;
}


static ngx_int_t
ngx_iclock_hook_multi(ngx_iclock_hook_t *hook)
{
    CURLM  *multi;

    if (curl_global_init(CURL_GLOBAL_ALL) != CURLE_OK) {
        ngx_log_error(NGX_LOG_ALERT, hook->log, 0,
                      "curl_global_init() failed");
        return NGX_ERROR;
    }

    multi = curl_multi_init();

    if (multi == NULL) {
        ngx_log_error(NGX_LOG_ALERT, hook->log, 0,
                      "curl_multi_init() failed");
        return NGX_ERROR;
    }

    hook->multi = multi;

    curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, ngx_iclock_hook_socket);
    curl_multi_setopt(multi, CURLMOPT_SOCKETDATA, hook);
    curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, ngx_iclock_hook_timer);
    curl_multi_setopt(multi, CURLMOPT_TIMERDATA, hook);
    curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, (long) hook->conf->idle);
    curl_multi_setopt(multi, CURLMOPT_PIPELINING, (long) CURLPIPE_NOTHING);

    ERR_clear_error();

    return NGX_OK;
}


/* transfers that are on their way are given up, no handler is called */

void
ngx_iclock_hook_close(ngx_iclock_hook_t *hook)
{
    ngx_queue_t  *q;

    while (!ngx_queue_empty(&hook->transfers)) {
        q = ngx_queue_head(&hook->transfers);
        ngx_iclock_hook_forget(ngx_queue_data(q, ngx_iclock_transfer_t,
                                              queue));
    }

    while (!ngx_queue_empty(&hook->ended)) {
        q = ngx_queue_head(&hook->ended);
        ngx_iclock_hook_forget(ngx_queue_data(q, ngx_iclock_transfer_t,
                                              queue));
    }

    while (hook->nhandles) {
        curl_easy_cleanup(hook->handles[--hook->nhandles]);
    }

    curl_multi_cleanup(hook->multi);
    hook->multi = NULL;

    ERR_clear_error();

    if (hook->timer.timer_set) {
        ngx_del_timer(&hook->timer);
    }

    if (hook->guard.timer_set) {
        ngx_del_timer(&hook->guard);
    }

    if (hook->posted.posted) {
        ngx_delete_posted_event(&hook->posted);
    }
}


void
ngx_iclock_hook_leave(ngx_iclock_hook_t *hook)
{
    hook->leaving = 1;
}


ngx_uint_t
ngx_iclock_hook_room(ngx_iclock_hook_t *hook)
{
    ngx_uint_t  n;

    n = (ngx_uint_t) ngx_cycle->free_connection_n + hook->sockets;

    return (n < NGX_ICLOCK_HOOK_SPARE)
           ? 0 : (n - NGX_ICLOCK_HOOK_SPARE) / NGX_ICLOCK_HOOK_SOCKETS;
}


ngx_uint_t
ngx_iclock_hook_scarce(ngx_iclock_hook_t *hook)
{
    return 2 * hook->running >= ngx_iclock_hook_room(hook);
}


ngx_int_t
ngx_iclock_hook_send(ngx_iclock_hook_t *hook, ngx_iclock_delivery_t *d)
{
    ngx_int_t               rc;
    ngx_iclock_transfer_t  *t;

    /* libcurl cannot live without a connection that it has asked for */

    if (hook->running >= ngx_iclock_hook_room(hook)) {
        return NGX_BUSY;
    }

    t = ngx_calloc(sizeof(ngx_iclock_transfer_t), hook->log);
    if (t == NULL) {
        return NGX_BUSY;
    }

    t->hook = hook;
    t->delivery = d;
    t->start = ngx_current_msec;
    t->retry_after = -1;

    ngx_queue_init(&t->sockets);

    d->transfer = t;

    ngx_queue_insert_tail(&hook->transfers, &t->queue);

    if (hook->running++ == 0) {
        ngx_add_timer(&hook->guard, d->timeout + 1000);
    }

    rc = ngx_iclock_hook_prepare(t);

    if (rc == NGX_OK) {
        rc = ngx_iclock_hook_resolve(t);
    }

    if (rc == NGX_DECLINED) {
        ngx_iclock_hook_start(t);
    }

    return NGX_OK;
}


void
ngx_iclock_hook_cancel(ngx_iclock_delivery_t *d)
{
    if (d->transfer) {
        ngx_iclock_hook_forget(d->transfer);
    }
}


static void
ngx_iclock_hook_forget(ngx_iclock_transfer_t *t)
{
    ngx_iclock_hook_t  *hook;

    hook = t->hook;

    ngx_queue_remove(&t->queue);
    t->delivery->transfer = NULL;

    ngx_iclock_hook_release(t);
    ngx_free(t);

    if (--hook->running == 0 && hook->guard.timer_set) {
        ngx_del_timer(&hook->guard);
    }
}


/* a transfer that comes to its end without libcurl; never calls a handler */

void
ngx_iclock_hook_end(ngx_iclock_transfer_t *t, const char *error)
{
    if (t->ended) {
        return;
    }

    t->ended = 1;

    if (error) {
        (void) ngx_cpystrn((u_char *) t->error, (u_char *) error,
                           CURL_ERROR_SIZE);
    }

    ngx_queue_remove(&t->queue);
    ngx_queue_insert_tail(&t->hook->ended, &t->queue);

    ngx_iclock_hook_post(t->hook);
}


void
ngx_iclock_hook_action(ngx_iclock_hook_t *hook, curl_socket_t fd, int ready)
{
    int        running;
    sigset_t   all, old;
    CURLMcode  rc;

    /* a thread of a look-up begins with the signals of the one that began it */

    if (hook->conf->resolver == NULL) {
        sigfillset(&all);
        (void) pthread_sigmask(SIG_BLOCK, &all, &old);
    }

    hook->inside = 1;

    rc = curl_multi_socket_action(hook->multi, fd, ready, &running);

    hook->inside = 0;

    if (hook->conf->resolver == NULL) {
        (void) pthread_sigmask(SIG_SETMASK, &old, NULL);
    }

    /* libcurl and nginx share the error queue of OpenSSL */

    ERR_clear_error();

    if (rc != CURLM_OK) {
        ngx_log_error(NGX_LOG_ALERT, hook->log, 0,
                      "curl_multi_socket_action() failed: %s",
                      curl_multi_strerror(rc));
    }

    ngx_iclock_hook_done(hook);
}


/* libcurl must not be called by its own callbacks */

static int
ngx_iclock_hook_timer(CURLM *multi, long ms, void *data)
{
    ngx_iclock_hook_t *hook = data;

    if (hook->timer.timer_set) {
        ngx_del_timer(&hook->timer);
    }

    hook->due = (ms == 0);

    if (ms == 0) {
        ngx_iclock_hook_post(hook);

    } else if (ms > 0) {
        ngx_add_timer(&hook->timer, (ngx_msec_t) ms);
    }

    return 0;
}


/* what libcurl itself asks for comes with the next round of the loop */

void
ngx_iclock_hook_post(ngx_iclock_hook_t *hook)
{
    if (hook->inside) {
        ngx_post_event(&hook->posted, &ngx_posted_next_events);

    } else {
        ngx_post_event(&hook->posted, &ngx_posted_events);
    }
}


static void
ngx_iclock_hook_timer_handler(ngx_event_t *ev)
{
    ngx_connection_t  *c;

    c = ev->data;

    ngx_iclock_hook_action(c->data, CURL_SOCKET_TIMEOUT, 0);
}


static void
ngx_iclock_hook_posted_handler(ngx_event_t *ev)
{
    ngx_queue_t        *q;
    ngx_connection_t   *c;
    ngx_iclock_hook_t  *hook;

    c = ev->data;
    hook = c->data;

    if (hook->due) {
        hook->due = 0;
        ngx_iclock_hook_action(hook, CURL_SOCKET_TIMEOUT, 0);
    }

    while (!ngx_queue_empty(&hook->ended)) {
        q = ngx_queue_head(&hook->ended);
        ngx_iclock_hook_finish(ngx_queue_data(q, ngx_iclock_transfer_t,
                                              queue),
                               CURLE_OK);
    }
}


/* keeps a worker that shuts down alive until its transfers have ended */

static void
ngx_iclock_hook_guard_handler(ngx_event_t *ev)
{
    ngx_connection_t   *c;
    ngx_iclock_hook_t  *hook;

    c = ev->data;
    hook = c->data;

    if (hook->running) {
        ngx_add_timer(ev, 1000);
    }
}


/* a handler may send and cancel: each time around libcurl is asked anew */

static void
ngx_iclock_hook_done(ngx_iclock_hook_t *hook)
{
    int                     left;
    CURL                   *easy;
    CURLMsg                *msg;
    CURLcode                rc;
    ngx_iclock_transfer_t  *t;

    while (hook->multi) {

        msg = curl_multi_info_read(hook->multi, &left);

        if (msg == NULL) {
            return;
        }

        if (msg->msg != CURLMSG_DONE) {
            continue;
        }

        easy = msg->easy_handle;
        rc = msg->data.result;

        curl_easy_getinfo(easy, CURLINFO_PRIVATE, &t);

        ngx_iclock_hook_finish(t, rc);
    }
}


static void
ngx_iclock_hook_finish(ngx_iclock_transfer_t *t, CURLcode rc)
{
    ngx_iclock_hook_t      *hook;
    ngx_iclock_delivery_t  *d;

    hook = t->hook;
    d = t->delivery;

    ngx_iclock_hook_outcome(t, rc);

    /* not every clock is monotonic */

    d->ms = ngx_max((ngx_msec_int_t) (ngx_current_msec - t->start), 0);

    if (!d->undone) {
        ngx_iclock_hook_count(d, rc);
    }

    ngx_queue_remove(&t->queue);
    ngx_iclock_hook_release(t);

    ngx_log_debug4(NGX_LOG_DEBUG_EVENT, hook->log, 0,
                   "iclock hook: outcome %ui, status %ui, undone:%ui, %M ms",
                   d->outcome, d->status, d->undone, d->ms);

    d->transfer = NULL;

    /* the texts are in the transfer */

    d->handler(d);

    ngx_free(t);

    if (--hook->running == 0 && hook->guard.timer_set) {
        ngx_del_timer(&hook->guard);
    }
}
