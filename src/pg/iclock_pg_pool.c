
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


#include "iclock_pg_private.h"

#if (__GLIBC__)
#include <malloc.h>
#endif


/* the back-off between attempts to connect, in milliseconds */
#define NGX_ICLOCK_PG_BACKOFF_MIN  250
#define NGX_ICLOCK_PG_BACKOFF_MAX  5000

/*
 * How often connections with large buffers are replaced, in milliseconds: not
 * after each of the photos that come one after the other.
 */
#define NGX_ICLOCK_PG_SHRINK       1000

/* items of one job in one batch, so that large uploads hold up no one */
#define NGX_ICLOCK_PG_SLICE        512


static void ngx_iclock_pg_pool_setup(ngx_iclock_pg_pool_t *pool);
static void ngx_iclock_pg_pool_dispatch(ngx_event_t *ev);
static ngx_uint_t ngx_iclock_pg_pool_count(ngx_iclock_pg_pool_t *pool,
    ngx_uint_t state, ngx_uint_t last);
static void ngx_iclock_pg_pool_open(ngx_iclock_pg_pool_t *pool);
static void ngx_iclock_pg_pool_backoff_handler(ngx_event_t *ev);
static void ngx_iclock_pg_pool_expire(ngx_iclock_pg_pool_t *pool);
static void ngx_iclock_pg_pool_expire_handler(ngx_event_t *ev);
static void ngx_iclock_pg_pool_yield_handler(ngx_event_t *ev);
static void ngx_iclock_pg_pool_shrink_handler(ngx_event_t *ev);
static void ngx_iclock_pg_pool_fail_all(ngx_iclock_pg_pool_t *pool);
static void ngx_iclock_pg_pool_enqueue(ngx_iclock_pg_pool_t *pool,
    ngx_iclock_pg_job_t *job);
static void ngx_iclock_pg_pool_settle_slice(ngx_iclock_pg_pool_t *pool,
    ngx_iclock_pg_slice_t *slice, ngx_int_t rc, ngx_queue_t *done);
static void ngx_iclock_pg_pool_done(ngx_iclock_pg_pool_t *pool,
    ngx_queue_t *done);


ngx_iclock_pg_pool_t *
ngx_iclock_pg_pool_create(ngx_cycle_t *cycle, ngx_iclock_pg_pool_conf_t *conf,
    ngx_iclock_pg_handlers_t *handlers, ngx_iclock_pg_stat_t *stat,
    void *data)
{
    ngx_uint_t             i;
    ngx_iclock_pg_pool_t  *pool;

    pool = ngx_pcalloc(cycle->pool, sizeof(ngx_iclock_pg_pool_t));
    if (pool == NULL
        || ngx_iclock_pg_server_user(conf->server, cycle->pool) != NGX_OK)
    {
        return NULL;
    }

    pool->conf = conf;
    pool->handlers = handlers;
    pool->stat = stat;
    pool->data = data;
    pool->log = cycle->log;

    ngx_queue_init(&pool->jobs);
    ngx_queue_init(&pool->redo);
    ngx_queue_init(&pool->later);

    pool->dispatch.handler = ngx_iclock_pg_pool_dispatch;
    pool->dispatch.data = pool;
    pool->dispatch.log = cycle->log;

    pool->expire.handler = ngx_iclock_pg_pool_expire_handler;
    pool->expire.data = pool;
    pool->expire.log = cycle->log;

    pool->yield.handler = ngx_iclock_pg_pool_yield_handler;
    pool->yield.data = pool;
    pool->yield.log = cycle->log;

    pool->shrink.handler = ngx_iclock_pg_pool_shrink_handler;
    pool->shrink.data = pool;
    pool->shrink.log = cycle->log;
    pool->shrink.cancelable = 1;

    pool->backoff.handler = ngx_iclock_pg_pool_backoff_handler;
    pool->backoff.data = pool;
    pool->backoff.log = cycle->log;
    pool->backoff.cancelable = 1;

    ngx_iclock_pg_pool_setup(pool);

    pool->members = ngx_pcalloc(cycle->pool,
                           conf->connections * sizeof(ngx_iclock_pg_member_t));
    if (pool->members == NULL) {
        return NULL;
    }

    for (i = 0; i < conf->connections; i++) {

        if (ngx_iclock_pg_member_init(&pool->members[i], pool, cycle->pool)
            != NGX_OK)
        {
            return NULL;
        }
    }

    ngx_iclock_pg_pool_open(pool);

    return pool;
}


/*
 * Settings that the statements rely on, whatever the server's defaults are.
 * They are no startup options since poolers refuse those.
 */

static void
ngx_iclock_pg_pool_setup(ngx_iclock_pg_pool_t *pool)
{
    ngx_msec_t  timeout;

    /* the server is to give up before we do */

    timeout = pool->conf->timeout - pool->conf->timeout / 10;

    ngx_sprintf(pool->application, "iclock/%ui%Z", ngx_worker);

    ngx_snprintf(pool->setup, sizeof(pool->setup),
                 "SET statement_timeout = %M;"
                 "SET lock_timeout = %M;"
                 "SET idle_in_transaction_session_timeout = %M;"
                 NGX_ICLOCK_PG_SETTINGS
                 "SET timezone = 'UTC';"
                 "SET datestyle = 'ISO';"
                 "SET bytea_output = 'hex';"
                 "SET search_path = pg_catalog;"
                 "SET standard_conforming_strings = on;"
                 "SET row_security = on;"
                 "SET default_transaction_read_only = off;"
                 "SET default_transaction_isolation = 'read committed';"
                 "SET plan_cache_mode = force_generic_plan;"
                 /* statements are short, compiling one takes longer */
                 "SET jit = off;"
                 /* what is acknowledged has to survive a crash */
                 "SELECT set_config('synchronous_commit', 'on', false)"
                 " WHERE current_setting('synchronous_commit') = 'off';"
                 "%s%Z",
                 timeout, timeout, timeout,
                 pool->handlers->identity ? pool->handlers->identity : "");
}


uint32_t
ngx_iclock_pg_pool_database(ngx_iclock_pg_pool_t *pool)
{
    return pool->database;
}


/*
 * One job alone may be larger than all are allowed to be; those that hold
 * nothing go on beside it.
 */

ngx_uint_t
ngx_iclock_pg_full(ngx_iclock_pg_pool_t *pool, size_t held)
{
    return pool->njobs >= pool->conf->queue
           || (held && pool->held
               && pool->held + held > pool->conf->queue_bytes);
}


ngx_int_t
ngx_iclock_pg_submit(ngx_iclock_pg_pool_t *pool, ngx_iclock_pg_job_t *job)
{
    if (ngx_iclock_pg_full(pool, job->held)) {
        (void) ngx_atomic_fetch_add(&pool->stat->refused, 1);
        return NGX_BUSY;
    }

    if (pool->backoff.timer_set
        && ngx_iclock_pg_pool_count(pool, NGX_ICLOCK_PG_RESOLVING,
                                    NGX_ICLOCK_PG_BUSY)
           == 0)
    {
        (void) ngx_atomic_fetch_add(&pool->stat->refused, 1);
        return NGX_DECLINED;
    }

    job->next = 0;
    job->running = 0;
    job->rc = NGX_OK;
    job->cancelled = 0;
    job->settled = 0;

    pool->held += job->held;

    ngx_iclock_pg_pool_enqueue(pool, job);

    return NGX_OK;
}


static void
ngx_iclock_pg_pool_enqueue(ngx_iclock_pg_pool_t *pool,
    ngx_iclock_pg_job_t *job)
{
    job->deadline = ngx_current_msec + pool->conf->timeout;
    job->queued = 1;

    ngx_queue_insert_tail(&pool->jobs, &job->queue);
    pool->njobs++;

    ngx_iclock_pg_pool_post(pool);
}


void
ngx_iclock_pg_cancel(ngx_iclock_pg_pool_t *pool, ngx_iclock_pg_job_t *job)
{
    job->cancelled = 1;

    if (job->settled) {
        /* done() is about to be called */
        return;
    }

    if (job->queued) {
        ngx_queue_remove(&job->queue);
        job->queued = 0;
        pool->njobs--;
    }

    if (job->running == 0) {
        pool->held -= job->held;
        pool->handlers->done(job, pool->data);
    }
}


/*
 * Requests that arrive in one turn of the event loop go out together, and
 * nothing is started from within someone else's handler.
 */

void
ngx_iclock_pg_pool_post(ngx_iclock_pg_pool_t *pool)
{
    ngx_post_event(&pool->dispatch, &ngx_posted_events);
}


static void
ngx_iclock_pg_pool_dispatch(ngx_event_t *ev)
{
    ngx_uint_t               i;
    ngx_iclock_pg_pool_t    *pool;
    ngx_iclock_pg_batch_t   *batch;
    ngx_iclock_pg_member_t  *member;

    pool = ev->data;

    for (i = 0; i < pool->conf->connections; i++) {
        member = &pool->members[i];

        if (member->conn.state == NGX_ICLOCK_PG_IDLE
            && member->generation != pool->generation)
        {
            ngx_iclock_pg_member_close(member);
        }

        while (member->conn.state == NGX_ICLOCK_PG_IDLE) {

            batch = ngx_iclock_pg_member_next(member);

            if (batch == NULL) {
                break;
            }

            ngx_iclock_pg_member_run(member, batch);
        }

        if (member->conn.state == NGX_ICLOCK_PG_IDLE
            && (ngx_exiting || ngx_terminate))
        {
            ngx_iclock_pg_conn_close(&member->conn);
        }
    }

    ngx_iclock_pg_pool_expire(pool);

    /* one connection is always kept open */

    if (!ngx_iclock_pg_pool_has_work(pool)
        && (ngx_exiting
            || ngx_iclock_pg_pool_count(pool, NGX_ICLOCK_PG_RESOLVING,
                                        NGX_ICLOCK_PG_BUSY)))
    {
        return;
    }

    if (!pool->backoff.timer_set
        && ngx_iclock_pg_pool_count(pool, NGX_ICLOCK_PG_RESOLVING,
                                    NGX_ICLOCK_PG_SETUP)
           == 0)
    {
        ngx_iclock_pg_pool_open(pool);
        return;
    }

    if (ngx_iclock_pg_pool_count(pool, NGX_ICLOCK_PG_RESOLVING,
                                 NGX_ICLOCK_PG_BUSY)
        == 0)
    {
        ngx_iclock_pg_pool_fail_all(pool);
    }
}


ngx_uint_t
ngx_iclock_pg_pool_has_work(ngx_iclock_pg_pool_t *pool)
{
    return !ngx_queue_empty(&pool->jobs) || !ngx_queue_empty(&pool->redo);
}


/* the number of connections whose state lies between two, inclusively */

static ngx_uint_t
ngx_iclock_pg_pool_count(ngx_iclock_pg_pool_t *pool, ngx_uint_t state,
    ngx_uint_t last)
{
    ngx_uint_t  i, n, s;

    n = 0;

    for (i = 0; i < pool->conf->connections; i++) {
        s = pool->members[i].conn.state;

        if (s >= state && s <= last) {
            n++;
        }
    }

    return n;
}


/* opens one more connection if there may be one */

static void
ngx_iclock_pg_pool_open(ngx_iclock_pg_pool_t *pool)
{
    ngx_uint_t  i;

    for (i = 0; i < pool->conf->connections; i++) {

        if (pool->members[i].conn.state == NGX_ICLOCK_PG_CLOSED) {
            ngx_iclock_pg_connect(&pool->members[i].conn);
            return;
        }
    }
}


/* with jitter, since all workers lose a server at the same time */

void
ngx_iclock_pg_pool_backoff(ngx_iclock_pg_pool_t *pool)
{
    if (pool->backoff.timer_set) {
        return;
    }

    pool->delay = pool->delay ? ngx_min(pool->delay * 2,
                                        NGX_ICLOCK_PG_BACKOFF_MAX)
                              : NGX_ICLOCK_PG_BACKOFF_MIN;

    ngx_add_timer(&pool->backoff,
                  pool->delay / 2 + (ngx_msec_t) ngx_random()
                                    % (pool->delay / 2 + 1));
}


static void
ngx_iclock_pg_pool_backoff_handler(ngx_event_t *ev)
{
    ngx_iclock_pg_pool_t  *pool;

    pool = ev->data;

    if (ngx_exiting || ngx_terminate) {
        return;
    }

    if (ngx_iclock_pg_pool_count(pool, NGX_ICLOCK_PG_RESOLVING,
                                 NGX_ICLOCK_PG_BUSY)
        == 0)
    {
        ngx_iclock_pg_pool_open(pool);
        return;
    }

    ngx_iclock_pg_pool_post(pool);
}


static void
ngx_iclock_pg_pool_expire(ngx_iclock_pg_pool_t *pool)
{
    ngx_msec_int_t        left;
    ngx_iclock_pg_job_t  *job;

    if (pool->expire.timer_set) {
        ngx_del_timer(&pool->expire);
    }

    if (ngx_queue_empty(&pool->jobs)) {
        return;
    }

    job = ngx_queue_data(ngx_queue_head(&pool->jobs), ngx_iclock_pg_job_t,
                         queue);

    left = (ngx_msec_int_t) (job->deadline - ngx_current_msec);

    ngx_add_timer(&pool->expire, (ngx_msec_t) ngx_max(left, 1));
}


static void
ngx_iclock_pg_pool_expire_handler(ngx_event_t *ev)
{
    ngx_queue_t            done;
    ngx_iclock_pg_job_t   *job;
    ngx_iclock_pg_pool_t  *pool;

    pool = ev->data;

    ngx_queue_init(&done);

    while (!ngx_queue_empty(&pool->jobs)) {

        job = ngx_queue_data(ngx_queue_head(&pool->jobs),
                             ngx_iclock_pg_job_t, queue);

        if ((ngx_msec_int_t) (job->deadline - ngx_current_msec) > 0) {
            break;
        }

        ngx_queue_remove(&job->queue);
        ngx_queue_insert_tail(&done, &job->queue);

        job->queued = 0;
        job->settled = 1;
        job->rc = NGX_BUSY;
        pool->njobs--;

        (void) ngx_atomic_fetch_add(&pool->stat->timeouts, 1);
    }

    ngx_iclock_pg_pool_expire(pool);
    ngx_iclock_pg_pool_done(pool, &done);
}


static void
ngx_iclock_pg_pool_yield_handler(ngx_event_t *ev)
{
    ngx_iclock_pg_pool_t  *pool;

    pool = ev->data;

    if (!ngx_queue_empty(&pool->later)) {
        ngx_queue_add(&pool->redo, &pool->later);
        ngx_queue_init(&pool->later);
    }

    ngx_iclock_pg_pool_post(pool);
}


void
ngx_iclock_pg_pool_shrink(ngx_iclock_pg_pool_t *pool)
{
    if (!pool->shrink.timer_set) {
        ngx_add_timer(&pool->shrink, NGX_ICLOCK_PG_SHRINK);
    }
}


static void
ngx_iclock_pg_pool_shrink_handler(ngx_event_t *ev)
{
    ngx_uint_t               i;
    ngx_iclock_pg_pool_t    *pool;
    ngx_iclock_pg_member_t  *member;

    pool = ev->data;

    for (i = 0; i < pool->conf->connections; i++) {
        member = &pool->members[i];

        if (member->conn.state == NGX_ICLOCK_PG_IDLE
            && member->largest > NGX_ICLOCK_PG_BUFFERS)
        {
            ngx_iclock_pg_member_close(member);
        }
    }

#if (__GLIBC__)
    /* what lies below something smaller would be kept for the process */
    (void) malloc_trim(0);
#endif

    ngx_iclock_pg_pool_post(pool);
}


/* the database is away: no one waits for it */

static void
ngx_iclock_pg_pool_fail_all(ngx_iclock_pg_pool_t *pool)
{
    ngx_queue_t            *q, done;
    ngx_iclock_pg_job_t    *job;
    ngx_iclock_pg_batch_t  *batch;

    while (!ngx_queue_empty(&pool->redo)) {
        q = ngx_queue_head(&pool->redo);
        ngx_queue_remove(q);

        batch = ngx_queue_data(q, ngx_iclock_pg_batch_t, queue);

        if (!ngx_queue_empty(&batch->rest)) {
            ngx_queue_add(&pool->redo, &batch->rest);
            ngx_queue_init(&batch->rest);
        }

        ngx_iclock_pg_pool_settle(pool, batch, NGX_DECLINED);
    }

    ngx_queue_init(&done);

    while (!ngx_queue_empty(&pool->jobs)) {
        q = ngx_queue_head(&pool->jobs);
        ngx_queue_remove(q);
        ngx_queue_insert_tail(&done, q);

        job = ngx_queue_data(q, ngx_iclock_pg_job_t, queue);
        job->queued = 0;
        job->settled = 1;
        job->rc = NGX_DECLINED;
        pool->njobs--;

        (void) ngx_atomic_fetch_add(&pool->stat->refused, 1);
    }

    ngx_iclock_pg_pool_expire(pool);
    ngx_iclock_pg_pool_done(pool, &done);
}


/* makes a batch of what waits, within the bounds of a transaction */

ngx_iclock_pg_batch_t *
ngx_iclock_pg_pool_collect(ngx_iclock_pg_pool_t *pool)
{
    size_t                  bytes, size;
    ngx_uint_t              n, side;
    ngx_iclock_pg_job_t    *job;
    ngx_iclock_pg_batch_t  *batch;

    if (ngx_queue_empty(&pool->jobs)) {
        return NULL;
    }

    batch = ngx_iclock_pg_batch_create(pool->log);
    if (batch == NULL) {
        return NULL;
    }

    bytes = 0;
    side = 0;

    while (!ngx_queue_empty(&pool->jobs)
           && batch->slices.nelts < pool->conf->batch_requests
           && batch->nitems < pool->conf->batch_records)
    {
        job = ngx_queue_data(ngx_queue_head(&pool->jobs),
                             ngx_iclock_pg_job_t, queue);

        n = ngx_min(job->nitems - job->next, NGX_ICLOCK_PG_SLICE);
        n = ngx_min(n, pool->conf->batch_records - batch->nitems);

        size = job->nitems ? job->bytes / job->nitems * n : 0;

        if (batch->slices.nelts
            && (job->alone || (job->side | side) == NGX_ICLOCK_PG_SIDES
                || bytes + size > pool->conf->batch_bytes))
        {
            break;
        }

        if (ngx_iclock_pg_batch_slice(batch, job, job->next, n) != NGX_OK) {
            break;
        }

        bytes += size;
        side |= job->side;
        job->next += n;
        job->running += n;
        job->queued = 0;

        ngx_queue_remove(&job->queue);
        pool->njobs--;

        if (job->alone) {
            break;
        }
    }

    if (batch->slices.nelts == 0) {
        ngx_iclock_pg_batch_destroy(batch);
        return NULL;
    }

    return batch;
}


/* all slices of the batch have come to an end; the batch is destroyed */

void
ngx_iclock_pg_pool_settle(ngx_iclock_pg_pool_t *pool,
    ngx_iclock_pg_batch_t *batch, ngx_int_t rc)
{
    ngx_uint_t              i;
    ngx_queue_t             done;
    ngx_iclock_pg_slice_t  *slice;

    ngx_queue_init(&done);

    slice = batch->slices.elts;

    for (i = 0; i < batch->slices.nelts; i++) {
        ngx_iclock_pg_pool_settle_slice(pool, &slice[i], rc, &done);
    }

    ngx_iclock_pg_batch_destroy(batch);
    ngx_iclock_pg_pool_done(pool, &done);
}


/* drops the slices of jobs that failed or were cancelled meanwhile */

void
ngx_iclock_pg_pool_prune(ngx_iclock_pg_pool_t *pool,
    ngx_iclock_pg_batch_t *batch)
{
    ngx_uint_t              i, n;
    ngx_queue_t             done;
    ngx_iclock_pg_slice_t  *slice;

    ngx_queue_init(&done);

    slice = batch->slices.elts;
    n = 0;

    for (i = 0; i < batch->slices.nelts; i++) {

        if (slice[i].job->cancelled || slice[i].job->rc != NGX_OK) {
            batch->nitems -= slice[i].n;
            ngx_iclock_pg_pool_settle_slice(pool, &slice[i], NGX_ERROR, &done);
            continue;
        }

        slice[n++] = slice[i];
    }

    batch->slices.nelts = n;

    ngx_iclock_pg_pool_done(pool, &done);
}


static void
ngx_iclock_pg_pool_settle_slice(ngx_iclock_pg_pool_t *pool,
    ngx_iclock_pg_slice_t *slice, ngx_int_t rc, ngx_queue_t *done)
{
    ngx_iclock_pg_job_t  *job;

    job = slice->job;

    if (rc != NGX_OK && job->rc == NGX_OK) {
        job->rc = rc;
    }

    job->running -= slice->n;

    if (job->running) {
        return;
    }

    if (job->rc == NGX_OK && !job->cancelled && job->next < job->nitems) {
        ngx_iclock_pg_pool_enqueue(pool, job);
        return;
    }

    job->settled = 1;
    ngx_queue_insert_tail(done, &job->queue);
}


static void
ngx_iclock_pg_pool_done(ngx_iclock_pg_pool_t *pool, ngx_queue_t *done)
{
    ngx_queue_t          *q;
    ngx_iclock_pg_job_t  *job;

    while (!ngx_queue_empty(done)) {
        q = ngx_queue_head(done);
        ngx_queue_remove(q);

        job = ngx_queue_data(q, ngx_iclock_pg_job_t, queue);

        pool->held -= job->held;
        pool->handlers->done(job, pool->data);
    }
}


void
ngx_iclock_pg_pool_close(ngx_iclock_pg_pool_t *pool)
{
    ngx_uint_t  i;

    for (i = 0; i < pool->conf->connections; i++) {
        ngx_iclock_pg_conn_close(&pool->members[i].conn);
    }

    if (pool->dispatch.posted) {
        ngx_delete_posted_event(&pool->dispatch);
    }

    if (pool->expire.timer_set) {
        ngx_del_timer(&pool->expire);
    }

    if (pool->yield.timer_set) {
        ngx_del_timer(&pool->yield);
    }

    if (pool->shrink.timer_set) {
        ngx_del_timer(&pool->shrink);
    }

    if (pool->backoff.timer_set) {
        ngx_del_timer(&pool->backoff);
    }
}
