
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


/*
 * Wakes those who read the event feed after this worker has stored something,
 * in a transaction of its own: at once after silence, then every 20 ms at
 * most.  Nothing of this happens while no events are written; worker 0 asks
 * each minute, and is told.
 */


#include "ngx_http_iclock.h"


#define NGX_HTTP_ICLOCK_WAKE        20
#define NGX_HTTP_ICLOCK_WAKE_RETRY  1000

/* how often silent devices are looked for, and whether events are written */
#define NGX_HTTP_ICLOCK_WATCH       60000
#define NGX_HTTP_ICLOCK_WATCH_SOON  1000
#define NGX_HTTP_ICLOCK_WATCH_RETRY 5000


static void ngx_http_iclock_committed(void *data);
static void ngx_http_iclock_wake_handler(ngx_event_t *ev);
static void ngx_http_iclock_wake_later(ngx_http_iclock_main_conf_t *imcf,
    ngx_msec_t delay, ngx_uint_t cancelable);
static void ngx_http_iclock_wake(ngx_http_iclock_main_conf_t *imcf);
static void ngx_http_iclock_wake_done(ngx_iclock_store_job_t *job);
static void ngx_http_iclock_watch_handler(ngx_event_t *ev);
static void ngx_http_iclock_watch_later(ngx_http_iclock_main_conf_t *imcf,
    ngx_msec_t delay);
static void ngx_http_iclock_watch_done(ngx_iclock_store_job_t *job);


void
ngx_http_iclock_events_init(ngx_http_iclock_main_conf_t *imcf,
    ngx_cycle_t *cycle, ngx_uint_t first)
{
    ngx_memzero(&imcf->wake, sizeof(ngx_event_t));
    imcf->woken = ngx_current_msec - NGX_HTTP_ICLOCK_WAKE;

    ngx_iclock_store_watch_commits(imcf->store, ngx_http_iclock_committed,
                                   imcf);

    if (!first) {
        return;
    }

    ngx_memzero(&imcf->watch, sizeof(ngx_event_t));

    imcf->watch.handler = ngx_http_iclock_watch_handler;
    imcf->watch.data = imcf;
    imcf->watch.log = cycle->log;
    imcf->watch.cancelable = 1;

    ngx_add_timer(&imcf->watch, NGX_HTTP_ICLOCK_WATCH_SOON);
}


/* for each commit: nothing to be done here while no events are written */

static void
ngx_http_iclock_committed(void *data)
{
    ngx_http_iclock_main_conf_t *imcf = data;

    ngx_msec_int_t  wait;

    if (imcf->zone->sh->events == 0) {
        return;
    }

    if (imcf->waking) {
        imcf->wake_again = 1;
        return;
    }

    if (imcf->wake.timer_set) {
        return;
    }

    wait = (ngx_msec_int_t) (imcf->woken + NGX_HTTP_ICLOCK_WAKE
                             - ngx_current_msec);

    if (wait > 0) {
        ngx_http_iclock_wake_later(imcf, wait, 0);
        return;
    }

    ngx_http_iclock_wake(imcf);
}


/* a worker that is to end does not wait for what may be tried for long */

static void
ngx_http_iclock_wake_later(ngx_http_iclock_main_conf_t *imcf,
    ngx_msec_t delay, ngx_uint_t cancelable)
{
    ngx_event_t  *ev;

    ev = &imcf->wake;

    ngx_memzero(ev, sizeof(ngx_event_t));

    ev->handler = ngx_http_iclock_wake_handler;
    ev->data = imcf;
    ev->log = ngx_cycle->log;
    ev->cancelable = cancelable;

    ngx_add_timer(ev, delay);
}


static void
ngx_http_iclock_wake_handler(ngx_event_t *ev)
{
    ngx_http_iclock_wake(ev->data);
}


static void
ngx_http_iclock_wake(ngx_http_iclock_main_conf_t *imcf)
{
    ngx_iclock_store_job_t  *job;

    imcf->woken = ngx_current_msec;
    imcf->wake_again = 0;

    job = ngx_http_iclock_own_job(imcf, ngx_http_iclock_wake_done, imcf);

    if (job == NULL
        || ngx_http_iclock_submit_own(job, ngx_iclock_store_wake_readers(job))
           != NGX_OK)
    {
        ngx_http_iclock_wake_later(imcf, NGX_HTTP_ICLOCK_WAKE_RETRY, 1);
        return;
    }

    imcf->waking = 1;
}


static void
ngx_http_iclock_wake_done(ngx_iclock_store_job_t *job)
{
    ngx_int_t                     rc;
    ngx_msec_int_t                wait;
    ngx_http_iclock_main_conf_t  *imcf;

    rc = job->rc;
    imcf = job->data;
    imcf->waking = 0;

    ngx_log_debug1(NGX_LOG_DEBUG_HTTP, ngx_cycle->log, 0,
                   "iclock readers of events woken: %i", rc);

    ngx_iclock_store_job_destroy(job);

    if (rc != NGX_OK) {
        ngx_http_iclock_wake_later(imcf, NGX_HTTP_ICLOCK_WAKE_RETRY, 1);
        return;
    }

    if (imcf->wake_again) {
        wait = (ngx_msec_int_t) (imcf->woken + NGX_HTTP_ICLOCK_WAKE
                                 - ngx_current_msec);

        ngx_http_iclock_wake_later(imcf, ngx_max(wait, 1), 0);
    }
}


static void
ngx_http_iclock_watch_handler(ngx_event_t *ev)
{
    ngx_http_iclock_watch_events(ev->data);
}


static void
ngx_http_iclock_watch_later(ngx_http_iclock_main_conf_t *imcf,
    ngx_msec_t delay)
{
    if (ngx_exiting || ngx_terminate || ngx_quit) {
        return;
    }

    ngx_add_timer(&imcf->watch, delay);
}


void
ngx_http_iclock_watch_events(ngx_http_iclock_main_conf_t *imcf)
{
    ngx_iclock_store_job_t  *job;

    if (imcf->watching) {
        imcf->watch_again = 1;
        return;
    }

    imcf->watch_again = 0;

    job = ngx_http_iclock_own_job(imcf, ngx_http_iclock_watch_done, imcf);

    if (job == NULL
        || ngx_http_iclock_submit_own(job, ngx_iclock_store_watch_events(job))
           != NGX_OK)
    {
        ngx_http_iclock_watch_later(imcf, NGX_HTTP_ICLOCK_WATCH_RETRY);
        return;
    }

    imcf->watching = 1;
}


/* the answer to a question that is under way may be older than that */

void
ngx_http_iclock_events_told(ngx_http_iclock_main_conf_t *imcf,
    ngx_str_t *state)
{
    imcf->zone->sh->events = (state->len == 2);     /* "on" */
    imcf->watch_again = imcf->watching;
}


static void
ngx_http_iclock_watch_done(ngx_iclock_store_job_t *job)
{
    ngx_msec_t                    pause;
    ngx_http_iclock_main_conf_t  *imcf;

    imcf = job->data;
    imcf->watching = 0;

    pause = NGX_HTTP_ICLOCK_WATCH_RETRY;

    if (job->rc == NGX_OK) {
        pause = NGX_HTTP_ICLOCK_WATCH;

        if (!imcf->watch_again) {
            imcf->zone->sh->events = (job->text.len == 4);     /* "true" */
        }
    }

    ngx_iclock_store_job_destroy(job);

    ngx_http_iclock_watch_later(imcf, imcf->watch_again
                                      ? NGX_HTTP_ICLOCK_WATCH_SOON : pause);
}
