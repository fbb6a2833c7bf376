
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


#include "ngx_http_iclock_steps.h"


/* devices whose presence goes into one statement */
#define NGX_HTTP_ICLOCK_PRESENCE    1000

/* how often commands that fell due, or were not answered, are looked for */
#define NGX_HTTP_ICLOCK_DUE         15000
#define NGX_HTTP_ICLOCK_DUE_DEAF    2000

/* how often everything counts as changed while nothing is notified */
#define NGX_HTTP_ICLOCK_DEAF_ROUNDS  30

/* how often changes to and from daylight saving are looked for */
#define NGX_HTTP_ICLOCK_TIMEZONES    15000

#define NGX_HTTP_ICLOCK_MAINTAIN    3600000

/* punches for one month after the other may ask for maintenance */
#define NGX_HTTP_ICLOCK_MAINTAIN_SOON  1000

/* 5 s, 10 s and so on up to 5 minutes while maintenance fails */
#define NGX_HTTP_ICLOCK_MAINTAIN_DOUBLED  6
#define NGX_HTTP_ICLOCK_MAINTAIN_FAILED   300000

#define NGX_HTTP_ICLOCK_RETRY       5000


/* the presence that is being saved */
typedef struct {
    ngx_http_iclock_main_conf_t  *imcf;
    ngx_uint_t                    n;
    ngx_uint_t                    more;       /* there were */
    ngx_http_iclock_seen_t        seen[NGX_HTTP_ICLOCK_PRESENCE];
} ngx_http_iclock_flush_t;


static void ngx_http_iclock_notify(ngx_uint_t channel,
    ngx_str_t *serial_number, void *data);
static void ngx_http_iclock_start_timers(ngx_http_iclock_main_conf_t *imcf,
    ngx_cycle_t *cycle);
static void ngx_http_iclock_start_timer(ngx_event_t *ev,
    ngx_event_handler_pt handler, ngx_http_iclock_main_conf_t *imcf,
    ngx_cycle_t *cycle, ngx_msec_t delay);
static void ngx_http_iclock_timer(ngx_event_t *ev, ngx_msec_t delay);
static void ngx_http_iclock_presence_handler(ngx_event_t *ev);
static void ngx_http_iclock_presence_flush(ngx_http_iclock_main_conf_t *imcf);
static ngx_http_iclock_flush_t *ngx_http_iclock_presence_take(
    ngx_http_iclock_main_conf_t *imcf, ngx_iclock_store_job_t *job);
static ngx_int_t ngx_http_iclock_presence_rows(
    ngx_http_iclock_flush_t *flush, ngx_pool_t *pool,
    ngx_array_t *presence, ngx_array_t *refusals);
static int64_t ngx_http_iclock_presence_age(uint32_t moment);
static ngx_uint_t ngx_http_iclock_presence_left(
    ngx_http_iclock_flush_t *flush, ngx_iclock_store_job_t *job);
static void ngx_http_iclock_presence_done(ngx_iclock_store_job_t *job);
static void ngx_http_iclock_due_handler(ngx_event_t *ev);
static void ngx_http_iclock_due(ngx_http_iclock_main_conf_t *imcf);
static void ngx_http_iclock_verify(ngx_http_iclock_main_conf_t *imcf);
static void ngx_http_iclock_timezones(ngx_http_iclock_main_conf_t *imcf);
static void ngx_http_iclock_due_done(ngx_iclock_store_job_t *job);
static void ngx_http_iclock_maintain_soon(ngx_http_iclock_main_conf_t *imcf);
static void ngx_http_iclock_maintain_handler(ngx_event_t *ev);
static void ngx_http_iclock_maintain_done(ngx_iclock_store_job_t *job);
static ngx_msec_t ngx_http_iclock_maintain_pause(
    ngx_http_iclock_main_conf_t *imcf, ngx_iclock_store_job_t *job);
static ngx_uint_t ngx_http_iclock_stopping(void);


ngx_int_t
ngx_http_iclock_init_process(ngx_cycle_t *cycle)
{
    ngx_http_iclock_main_conf_t  *imcf;

    /* the cache manager and loader run this, too */

    if (ngx_process != NGX_PROCESS_WORKER
        && ngx_process != NGX_PROCESS_SINGLE)
    {
        return NGX_OK;
    }

    imcf = ngx_http_cycle_get_module_main_conf(cycle, ngx_http_iclock_module);

    /* no http{} block, or nothing to serve */

    if (imcf == NULL || imcf->locations == 0) {
        return NGX_OK;
    }

    imcf->store = ngx_iclock_store_create(cycle, &imcf->pool,
                                          &imcf->zone->sh->pg);
    if (imcf->store == NULL) {
        return NGX_ERROR;
    }

    if (ngx_http_iclock_steps_init(imcf, cycle) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_http_iclock_events_init(imcf, cycle,
                                ngx_process == NGX_PROCESS_SINGLE
                                || ngx_worker == 0);

    if (ngx_process == NGX_PROCESS_WORKER && ngx_worker != 0) {
        return NGX_OK;
    }

    /* one worker does what must not be done twice */

    if (ngx_iclock_store_listen(imcf->store, cycle, &imcf->listen,
                                &imcf->zone->sh->pg, ngx_http_iclock_notify,
                                imcf)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    ngx_http_iclock_start_timers(imcf, cycle);

    return NGX_OK;
}


void
ngx_http_iclock_exit_process(ngx_cycle_t *cycle)
{
    ngx_http_iclock_main_conf_t  *imcf;

    imcf = ngx_http_cycle_get_module_main_conf(cycle, ngx_http_iclock_module);

    if (imcf == NULL || imcf->store == NULL) {
        return;
    }

    ngx_iclock_store_close(imcf->store);
    imcf->store = NULL;
}


static void
ngx_http_iclock_notify(ngx_uint_t channel, ngx_str_t *serial_number,
    void *data)
{
    ngx_http_iclock_main_conf_t *imcf = data;

    if (serial_number) {
        ngx_log_debug2(NGX_LOG_DEBUG_HTTP, ngx_cycle->log, 0,
                       "iclock notified: channel %ui, device \"%V\"",
                       channel, serial_number);
    }

    switch (channel) {

    case NGX_ICLOCK_CHANNEL_COMMAND:
        ngx_http_iclock_zone_mark(imcf->zone, serial_number);
        break;

    case NGX_ICLOCK_CHANNEL_DEVICE:
        ngx_http_iclock_zone_expire(imcf->zone, serial_number);
        break;

    case NGX_ICLOCK_CHANNEL_MAINTAIN:
        ngx_http_iclock_maintain_soon(imcf);
        break;

    case NGX_ICLOCK_CHANNEL_EVENTS:
        ngx_http_iclock_events_told(imcf, serial_number);
        break;

    default: /* NGX_ICLOCK_CHANNEL_ALL */
        ngx_http_iclock_zone_expire_all(imcf->zone);
        ngx_http_iclock_watch_events(imcf);
        break;
    }
}


static void
ngx_http_iclock_start_timers(ngx_http_iclock_main_conf_t *imcf,
    ngx_cycle_t *cycle)
{
    ngx_http_iclock_start_timer(&imcf->presence,
                                ngx_http_iclock_presence_handler, imcf, cycle,
                                imcf->presence_interval);

    ngx_http_iclock_start_timer(&imcf->due, ngx_http_iclock_due_handler, imcf,
                                cycle, NGX_HTTP_ICLOCK_DUE_DEAF);

    ngx_http_iclock_start_timer(&imcf->maintain,
                                ngx_http_iclock_maintain_handler, imcf, cycle,
                                NGX_HTTP_ICLOCK_MAINTAIN_SOON);
}


static void
ngx_http_iclock_start_timer(ngx_event_t *ev, ngx_event_handler_pt handler,
    ngx_http_iclock_main_conf_t *imcf, ngx_cycle_t *cycle, ngx_msec_t delay)
{
    ngx_memzero(ev, sizeof(ngx_event_t));

    ev->handler = handler;
    ev->data = imcf;
    ev->log = cycle->log;
    ev->cancelable = 1;

    ngx_add_timer(ev, delay);
}


/* no later than that */

static void
ngx_http_iclock_timer(ngx_event_t *ev, ngx_msec_t delay)
{
    if (ngx_http_iclock_stopping()) {
        return;
    }

    if (ev->timer_set) {

        if ((ngx_msec_int_t) (ev->timer.key - ngx_current_msec - delay) <= 0) {
            return;
        }

        ngx_del_timer(ev);
    }

    ngx_add_timer(ev, delay);
}


static ngx_uint_t
ngx_http_iclock_stopping(void)
{
    return ngx_exiting || ngx_terminate || ngx_quit;
}


static void
ngx_http_iclock_presence_handler(ngx_event_t *ev)
{
    ngx_http_iclock_main_conf_t  *imcf;

    imcf = ev->data;

    if (ngx_http_iclock_stopping()) {
        return;
    }

    ngx_http_iclock_presence_flush(imcf);

    ngx_http_iclock_timer(&imcf->presence, imcf->presence_interval);
}


static void
ngx_http_iclock_presence_flush(ngx_http_iclock_main_conf_t *imcf)
{
    ngx_array_t               presence, refusals;
    ngx_iclock_store_job_t   *job;
    ngx_http_iclock_flush_t  *flush;

    if (imcf->flushing || ngx_iclock_store_database(imcf->store) == 0) {
        return;
    }

    job = ngx_http_iclock_own_job(imcf, ngx_http_iclock_presence_done, NULL);
    if (job == NULL) {
        return;
    }

    flush = ngx_http_iclock_presence_take(imcf, job);

    if (flush == NULL) {
        ngx_iclock_store_job_destroy(job);
        return;
    }

    if (ngx_http_iclock_presence_rows(flush, job->pool, &presence, &refusals)
        != NGX_OK
        || presence.nelts + refusals.nelts == 0
        || ngx_iclock_store_presence(job, &presence, &refusals) != NGX_OK
        || ngx_iclock_store_submit(job) != NGX_OK)
    {
        (void) ngx_http_iclock_presence_left(flush, NULL);
        ngx_iclock_store_job_destroy(job);
        return;
    }

    imcf->flushing = 1;
}


static ngx_http_iclock_flush_t *
ngx_http_iclock_presence_take(ngx_http_iclock_main_conf_t *imcf,
    ngx_iclock_store_job_t *job)
{
    ngx_http_iclock_flush_t  *flush;

    flush = ngx_palloc(job->pool, sizeof(ngx_http_iclock_flush_t));
    if (flush == NULL) {
        return NULL;
    }

    job->data = flush;
    job->database = ngx_iclock_store_database(imcf->store);

    flush->imcf = imcf;
    flush->n = ngx_http_iclock_zone_take_seen(imcf->zone, job->database,
                                              flush->seen,
                                              NGX_HTTP_ICLOCK_PRESENCE,
                                              &flush->more);

    if (flush->n) {
        return flush;
    }

    if (flush->more) {
        /* none of these was of this database */
        ngx_http_iclock_timer(&imcf->presence, 1);
    }

    return NULL;
}


/* of whoever was served, and of whoever was refused since */

static ngx_int_t
ngx_http_iclock_presence_rows(ngx_http_iclock_flush_t *flush,
    ngx_pool_t *pool, ngx_array_t *presence, ngx_array_t *refusals)
{
    ngx_uint_t               i;
    ngx_iclock_refusal_t    *d;
    ngx_iclock_presence_t   *p;
    ngx_http_iclock_seen_t  *seen;

    if (ngx_array_init(presence, pool, flush->n,
                       sizeof(ngx_iclock_presence_t))
        != NGX_OK
        || ngx_array_init(refusals, pool, 1, sizeof(ngx_iclock_refusal_t))
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    for (i = 0; i < flush->n; i++) {
        seen = &flush->seen[i];

        if (seen->seen) {
            p = ngx_array_push(presence);

            if (p == NULL
                || ngx_http_iclock_addr_text(&seen->addr, pool, &p->address)
                   != NGX_OK)
            {
                return NGX_ERROR;
            }

            p->id = seen->id;
            p->age = ngx_http_iclock_presence_age(seen->seen);
        }

        if (seen->denied) {
            d = ngx_array_push(refusals);

            if (d == NULL
                || ngx_http_iclock_addr_text(&seen->stranger, pool,
                                             &d->address)
                   != NGX_OK)
            {
                return NGX_ERROR;
            }

            d->id = seen->id;
            d->age = ngx_http_iclock_presence_age(seen->denied);
            d->outside = seen->outside;
        }
    }

    return NGX_OK;
}


/*
 * PostgreSQL may go by another clock, and is told how long ago it was.  The
 * worker that has noted it may have looked at the clock later than this one.
 */

static int64_t
ngx_http_iclock_presence_age(uint32_t moment)
{
    int32_t  age;

    age = (int32_t) ((uint32_t) ngx_current_msec - moment);

    return ngx_max(age, 0);
}


/*
 * What was not saved comes with the next flush: devices whose rows were locked
 * or, without a job, all of them.  Returns their number.
 */

static ngx_uint_t
ngx_http_iclock_presence_left(ngx_http_iclock_flush_t *flush,
    ngx_iclock_store_job_t *job)
{
    int64_t     *id;
    ngx_uint_t   i, k, left;

    left = 0;

    for (i = 0; i < flush->n; i++) {

        if (job) {
            id = job->unsaved.elts;

            for (k = 0; k < job->unsaved.nelts; k++) {
                if (id[k] == flush->seen[i].id) {
                    break;
                }
            }

            if (k == job->unsaved.nelts) {
                continue;
            }
        }

        ngx_http_iclock_zone_return_seen(flush->imcf->zone, &flush->seen[i]);
        left++;
    }

    return left;
}


static void
ngx_http_iclock_presence_done(ngx_iclock_store_job_t *job)
{
    ngx_uint_t                    more;
    ngx_http_iclock_flush_t      *flush;
    ngx_http_iclock_main_conf_t  *imcf;

    flush = job->data;
    imcf = flush->imcf;
    imcf->flushing = 0;

    more = (ngx_http_iclock_presence_left(flush,
                                          (job->rc == NGX_OK) ? job : NULL)
            < flush->n)
           && flush->more;

    ngx_iclock_store_job_destroy(job);

    if (more && !ngx_http_iclock_stopping()) {
        ngx_http_iclock_presence_flush(imcf);
    }
}


/*
 * Notifications tell nginx of new commands.  It has to look for what only time
 * brings about: commands that must not go out before some time, commands that
 * were not answered, and all of them while no notifications arrive.
 */

static void
ngx_http_iclock_due_handler(ngx_event_t *ev)
{
    ngx_uint_t                    deaf;
    ngx_http_iclock_main_conf_t  *imcf;

    imcf = ev->data;

    if (ngx_http_iclock_stopping()) {
        return;
    }

    deaf = !ngx_iclock_store_listening(imcf->store);

    ngx_http_iclock_timer(ev, deaf ? NGX_HTTP_ICLOCK_DUE_DEAF
                                   : NGX_HTTP_ICLOCK_DUE);

    if (deaf) {
        if (++imcf->deaf_rounds >= NGX_HTTP_ICLOCK_DEAF_ROUNDS) {
            imcf->deaf_rounds = 0;
            ngx_http_iclock_zone_expire_all(imcf->zone);
        }
    }

    if (imcf->verify_interval) {
        ngx_http_iclock_verify(imcf);
    }

    if (ngx_current_msec - imcf->timezones >= NGX_HTTP_ICLOCK_TIMEZONES) {
        imcf->timezones = ngx_current_msec;
        ngx_http_iclock_timezones(imcf);
    }

    if (!imcf->polling) {
        ngx_http_iclock_due(imcf);
    }
}


static void
ngx_http_iclock_due(ngx_http_iclock_main_conf_t *imcf)
{
    ngx_iclock_store_job_t  *job;

    job = ngx_http_iclock_own_job(imcf, ngx_http_iclock_due_done, imcf);

    if (job
        && ngx_http_iclock_submit_own(job,
                            ngx_iclock_store_due(job, imcf->command_timeout))
           == NGX_OK)
    {
        imcf->polling = 1;
    }
}


/* begins a comparison of counts with the devices, if one is due */

static void
ngx_http_iclock_verify(ngx_http_iclock_main_conf_t *imcf)
{
    ngx_iclock_store_job_t  *job;

    job = ngx_http_iclock_own_job(imcf, ngx_iclock_store_job_destroy, NULL);

    if (job) {
        (void) ngx_http_iclock_submit_own(job,
                          ngx_iclock_store_verify(job, imcf->verify_interval));
    }
}


/* makes devices whose zone has changed its offset ask for the new one */

static void
ngx_http_iclock_timezones(ngx_http_iclock_main_conf_t *imcf)
{
    ngx_iclock_store_job_t  *job;

    job = ngx_http_iclock_own_job(imcf, ngx_iclock_store_job_destroy, NULL);

    if (job) {
        (void) ngx_http_iclock_submit_own(job,
                                     ngx_iclock_store_refresh_timezones(job));
    }
}


static void
ngx_http_iclock_due_done(ngx_iclock_store_job_t *job)
{
    ngx_str_t                    *sn;
    ngx_uint_t                    i;
    ngx_http_iclock_main_conf_t  *imcf;

    imcf = job->data;
    imcf->polling = 0;

    sn = job->serial_numbers.elts;

    for (i = 0; i < job->serial_numbers.nelts; i++) {
        ngx_http_iclock_zone_mark(imcf->zone, &sn[i]);
    }

    ngx_iclock_store_job_destroy(job);
}


/* punches ask for maintenance, but not before maintain() wants to be called */

static void
ngx_http_iclock_maintain_soon(ngx_http_iclock_main_conf_t *imcf)
{
    ngx_msec_int_t  wait;

    wait = (ngx_msec_int_t) (imcf->maintain_after - ngx_current_msec);

    ngx_http_iclock_timer(&imcf->maintain,
                          ngx_max(wait, NGX_HTTP_ICLOCK_MAINTAIN_SOON));
}


static void
ngx_http_iclock_maintain_handler(ngx_event_t *ev)
{
    ngx_iclock_store_job_t       *job;
    ngx_http_iclock_main_conf_t  *imcf;

    imcf = ev->data;

    if (ngx_http_iclock_stopping()) {
        return;
    }

    job = imcf->maintaining ? NULL
          : ngx_http_iclock_own_job(imcf, ngx_http_iclock_maintain_done, imcf);

    if (job == NULL
        || ngx_http_iclock_submit_own(job, ngx_iclock_store_maintain(job))
           != NGX_OK)
    {
        ngx_http_iclock_timer(ev, NGX_HTTP_ICLOCK_RETRY);
        return;
    }

    imcf->maintaining = 1;
}


static void
ngx_http_iclock_maintain_done(ngx_iclock_store_job_t *job)
{
    ngx_msec_t                    pause;
    ngx_http_iclock_main_conf_t  *imcf;

    imcf = job->data;
    imcf->maintaining = 0;

    pause = ngx_http_iclock_maintain_pause(imcf, job);

    ngx_iclock_store_job_destroy(job);

    /* a full hour means that all is done, and punches may ask for more */

    imcf->maintain_after = ngx_current_msec;

    if (pause < NGX_HTTP_ICLOCK_MAINTAIN) {
        imcf->maintain_after += pause;
    }

    /*
     * punches that came meanwhile have set the timer already, and may have
     * come too late for maintain() to see them
     */

    if (imcf->maintain.timer_set) {

        if (pause == NGX_HTTP_ICLOCK_MAINTAIN) {
            return;
        }

        ngx_del_timer(&imcf->maintain);
    }

    ngx_http_iclock_timer(&imcf->maintain, pause);
}


static ngx_msec_t
ngx_http_iclock_maintain_pause(ngx_http_iclock_main_conf_t *imcf,
    ngx_iclock_store_job_t *job)
{
    ngx_int_t   seconds;
    ngx_msec_t  pause;

    if (job->rc == NGX_OK) {
        imcf->maintain_failures = 0;

        seconds = ngx_atoi(job->text.data, job->text.len);

        pause = (seconds == NGX_ERROR
                 || seconds > NGX_HTTP_ICLOCK_MAINTAIN / 1000)
                ? NGX_HTTP_ICLOCK_MAINTAIN : (ngx_msec_t) seconds * 1000;

        return ngx_max(pause, NGX_HTTP_ICLOCK_MAINTAIN_SOON);
    }

    pause = NGX_HTTP_ICLOCK_RETRY << imcf->maintain_failures;

    if (imcf->maintain_failures < NGX_HTTP_ICLOCK_MAINTAIN_DOUBLED) {
        imcf->maintain_failures++;
    }

    return ngx_min(pause, NGX_HTTP_ICLOCK_MAINTAIN_FAILED);
}
