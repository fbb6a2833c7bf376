
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


#include "iclock_pg_private.h"


/* so many jobs are done in a turn of the event loop: each makes its reply */
#define NGX_ICLOCK_PG_TURN_DONE   64

/* a worker that shuts down goes on as long as this timer is set, in ms */
#define NGX_ICLOCK_PG_DONE_TIMER  1000

/* so long after a large part was too slow none goes out, in ms */
#define NGX_ICLOCK_PG_SLOW        600000


static void ngx_iclock_pg_queue_put(ngx_iclock_pg_pool_t *pool,
    ngx_iclock_pg_job_t *job);
static void ngx_iclock_pg_queue_count(ngx_iclock_pg_pool_t *pool,
    ngx_iclock_pg_job_t *job, ngx_int_t n);
static size_t ngx_iclock_pg_queue_size(ngx_iclock_pg_job_t *job,
    ngx_uint_t n);
static ngx_uint_t ngx_iclock_pg_queue_part(ngx_iclock_pg_pool_t *pool,
    ngx_iclock_pg_batch_t *batch, ngx_iclock_pg_job_t *job);
static ngx_uint_t ngx_iclock_pg_queue_slice(ngx_iclock_pg_pool_t *pool,
    ngx_iclock_pg_job_t *job, ngx_uint_t max, size_t *size);
static ngx_int_t ngx_iclock_pg_queue_take(ngx_iclock_pg_pool_t *pool,
    ngx_iclock_pg_batch_t *batch, ngx_iclock_pg_job_t *job, ngx_uint_t n);
static void ngx_iclock_pg_queue_expire_handler(ngx_event_t *ev);
static void ngx_iclock_pg_queue_settle_slice(ngx_iclock_pg_pool_t *pool,
    ngx_iclock_pg_slice_t *slice, ngx_int_t rc, ngx_queue_t *done);
static void ngx_iclock_pg_queue_done(ngx_iclock_pg_pool_t *pool,
    ngx_queue_t *done);
static void ngx_iclock_pg_queue_done_handler(ngx_event_t *ev);
static void ngx_iclock_pg_queue_done_some(ngx_iclock_pg_pool_t *pool);


void
ngx_iclock_pg_queue_init(ngx_iclock_pg_pool_t *pool)
{
    ngx_queue_init(&pool->jobs);
    ngx_queue_init(&pool->redo);
    ngx_queue_init(&pool->later);
    ngx_queue_init(&pool->settled);

    pool->expire.handler = ngx_iclock_pg_queue_expire_handler;
    pool->expire.data = pool;
    pool->expire.log = pool->log;

    pool->done.handler = ngx_iclock_pg_queue_done_handler;
    pool->done.data = pool;
    pool->done.log = pool->log;

    ngx_iclock_pg_gather_init(pool);
}


/*
 * One job alone may be larger than all are allowed to be; those that hold
 * nothing go on beside it.
 */

ngx_uint_t
ngx_iclock_pg_full(ngx_iclock_pg_pool_t *pool, size_t held)
{
    return pool->njobs >= pool->conf->queue
           || (held && pool->held + pool->coming
               && pool->held + pool->coming + held > pool->conf->queue_bytes);
}


/* memory that others hold before they are submitted need not be theirs then */

ngx_uint_t
ngx_iclock_pg_queue_full(ngx_iclock_pg_pool_t *pool, size_t held)
{
    return pool->njobs >= pool->conf->queue
           || (held && pool->held
               && pool->held + held > pool->conf->queue_bytes);
}


void
ngx_iclock_pg_hold(ngx_iclock_pg_pool_t *pool, ssize_t bytes)
{
    pool->coming += bytes;
}


ngx_uint_t
ngx_iclock_pg_may_hold(ngx_iclock_pg_pool_t *pool, size_t bytes,
    ngx_uint_t first)
{
    return pool->held + pool->coming + bytes <= pool->conf->queue_bytes
           || (first && pool->held == 0);
}


void
ngx_iclock_pg_queue_add(ngx_iclock_pg_pool_t *pool, ngx_iclock_pg_job_t *job)
{
    job->next = 0;
    job->running = 0;
    job->rc = NGX_OK;
    job->cancelled = 0;
    job->settled = 0;

    pool->held += job->held;

    ngx_iclock_pg_gather_came(pool, job);
    ngx_iclock_pg_queue_put(pool, job);
}


static void
ngx_iclock_pg_queue_put(ngx_iclock_pg_pool_t *pool,
    ngx_iclock_pg_job_t *job)
{
    job->deadline = ngx_current_msec + pool->conf->timeout;
    job->queued = 1;

    ngx_queue_insert_tail(&pool->jobs, &job->queue);
    ngx_iclock_pg_queue_count(pool, job, 1);

    ngx_iclock_pg_pool_post(pool);
}


/* one more job waits, or less (-1): as it was when it began to */

static void
ngx_iclock_pg_queue_count(ngx_iclock_pg_pool_t *pool,
    ngx_iclock_pg_job_t *job, ngx_int_t n)
{
    ngx_uint_t                items;
    ngx_iclock_pg_waiting_t  *waiting;

    items = job->nitems - job->next;
    waiting = &pool->waiting;

    pool->njobs += n;

    waiting->items += n * items;
    waiting->bytes += n * ngx_iclock_pg_queue_size(job, items);
    waiting->alone += job->alone ? n : 0;
    waiting->sides[job->side] += n;

    ngx_iclock_count_by(QUEUE, pool->conf->connector, n);
}


/* of so many items */

static size_t
ngx_iclock_pg_queue_size(ngx_iclock_pg_job_t *job, ngx_uint_t n)
{
    return job->nitems ? job->bytes / job->nitems * n : 0;
}


void
ngx_iclock_pg_cancel(ngx_iclock_pg_pool_t *pool, ngx_iclock_pg_job_t *job)
{
    ngx_iclock_pg_trace_job(job, "its request is gone");

    job->cancelled = 1;

    if (job->settled) {
        /* done() is about to be called */
        return;
    }

    if (job->queued) {
        ngx_queue_remove(&job->queue);
        job->queued = 0;
        ngx_iclock_pg_queue_count(pool, job, -1);
    }

    if (job->running == 0) {
        pool->held -= job->held;
        pool->handlers->done(job, pool->data);
    }
}


ngx_uint_t
ngx_iclock_pg_queue_has_work(ngx_iclock_pg_pool_t *pool)
{
    return !ngx_queue_empty(&pool->jobs) || !ngx_queue_empty(&pool->redo);
}


ngx_iclock_pg_batch_t *
ngx_iclock_pg_queue_collect(ngx_iclock_pg_pool_t *pool)
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

        n = ngx_iclock_pg_queue_part(pool, batch, job);
        n = ngx_min(n, job->nitems - job->next);
        n = ngx_min(n, pool->conf->batch_records - batch->nitems);
        n = ngx_iclock_pg_queue_slice(pool, job, n, &size);

        if (batch->slices.nelts
            && (job->alone || (job->side | side) == NGX_ICLOCK_PG_SIDES
                || bytes + size > pool->conf->batch_bytes))
        {
            break;
        }

        if (ngx_iclock_pg_queue_take(pool, batch, job, n) != NGX_OK) {
            break;
        }

        bytes += size;
        side |= job->side;

        if (job->alone) {
            break;
        }
    }

    if (batch->slices.nelts == 0) {
        ngx_iclock_pg_batch_destroy(batch);
        return NULL;
    }

    batch->bytes = bytes;

    return batch;
}


/*
 * Others that wait, or come along, do not wait for much of one job.  Where
 * there are none, each transaction that is left out is one flush less; but what
 * was too much for the time that a transaction may take would be so again.
 */

static ngx_uint_t
ngx_iclock_pg_queue_part(ngx_iclock_pg_pool_t *pool,
    ngx_iclock_pg_batch_t *batch, ngx_iclock_pg_job_t *job)
{
    ngx_uint_t  n;

    if (!job->cheap || pool->njobs > 1 || batch->slices.nelts
        || (pool->slow
            && ngx_current_msec - pool->slow < NGX_ICLOCK_PG_SLOW))
    {
        return NGX_ICLOCK_PG_SLICE;
    }

    n = ngx_min(job->nitems / NGX_ICLOCK_PG_SLICE_PART,
                NGX_ICLOCK_PG_SLICE_MAX);

    return ngx_max(n, NGX_ICLOCK_PG_SLICE);
}


/*
 * How many of the next items go out together, and their bytes: long lines may
 * come one after the other among many that are short.
 */

static ngx_uint_t
ngx_iclock_pg_queue_slice(ngx_iclock_pg_pool_t *pool,
    ngx_iclock_pg_job_t *job, ngx_uint_t max, size_t *size)
{
    size_t      bytes, all, limit;
    ngx_uint_t  n;

    all = 0;
    limit = ngx_min(pool->conf->batch_bytes, NGX_ICLOCK_PG_SLICE_BYTES);

    for (n = 0; n < max; n++) {

        bytes = pool->handlers->size
                ? pool->handlers->size(job, job->next + n)
                : ngx_iclock_pg_queue_size(job, 1);

        if (n && all + bytes > limit) {
            break;
        }

        all += bytes;
    }

    *size = all;

    return n;
}


static ngx_int_t
ngx_iclock_pg_queue_take(ngx_iclock_pg_pool_t *pool,
    ngx_iclock_pg_batch_t *batch, ngx_iclock_pg_job_t *job, ngx_uint_t n)
{
    if (ngx_iclock_pg_batch_slice(batch, job, job->next, n) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_iclock_observe_since(QUEUE_WAIT, pool->conf->connector,
                             job->deadline - pool->conf->timeout);

    ngx_queue_remove(&job->queue);
    ngx_iclock_pg_queue_count(pool, job, -1);

    job->next += n;
    job->running += n;
    job->queued = 0;

    return NGX_OK;
}


void
ngx_iclock_pg_queue_expire(ngx_iclock_pg_pool_t *pool)
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
ngx_iclock_pg_queue_expire_handler(ngx_event_t *ev)
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
        ngx_iclock_pg_queue_count(pool, job, -1);

        ngx_iclock_pg_trace_job(job, "has waited for too long");
    }

    ngx_iclock_pg_queue_expire(pool);
    ngx_iclock_pg_queue_done(pool, &done);
}


void
ngx_iclock_pg_queue_fail(ngx_iclock_pg_pool_t *pool)
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

        ngx_iclock_pg_queue_settle(pool, batch, NGX_DECLINED);
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
        ngx_iclock_pg_queue_count(pool, job, -1);

        ngx_iclock_pg_trace_job(job, "nothing is connected");
    }

    ngx_iclock_pg_queue_expire(pool);
    ngx_iclock_pg_queue_done(pool, &done);
}


void
ngx_iclock_pg_queue_settle(ngx_iclock_pg_pool_t *pool,
    ngx_iclock_pg_batch_t *batch, ngx_int_t rc)
{
    ngx_uint_t              i;
    ngx_queue_t             done;
    ngx_iclock_pg_slice_t  *slice;

    if (rc != NGX_OK) {
        ngx_iclock_pg_trace(batch, "given up", NULL);
        ngx_iclock_pg_batch_count(pool, NGX_ICLOCK_L_COMMIT_FAILED);
    }

    ngx_queue_init(&done);

    slice = batch->slices.elts;

    for (i = 0; i < batch->slices.nelts; i++) {
        ngx_iclock_pg_queue_settle_slice(pool, &slice[i], rc, &done);
    }

    ngx_iclock_pg_batch_destroy(batch);
    ngx_iclock_pg_queue_done(pool, &done);
}


void
ngx_iclock_pg_queue_prune(ngx_iclock_pg_pool_t *pool,
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
            ngx_iclock_pg_queue_settle_slice(pool, &slice[i], NGX_ERROR, &done);
            continue;
        }

        slice[n++] = slice[i];
    }

    batch->slices.nelts = n;

    ngx_iclock_pg_queue_done(pool, &done);
}


static void
ngx_iclock_pg_queue_settle_slice(ngx_iclock_pg_pool_t *pool,
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
        ngx_iclock_pg_queue_put(pool, job);
        return;
    }

    job->settled = 1;
    ngx_queue_insert_tail(done, &job->queue);
}


/* in their order, and behind those that are left of an earlier turn */

static void
ngx_iclock_pg_queue_done(ngx_iclock_pg_pool_t *pool, ngx_queue_t *done)
{
    if (ngx_queue_empty(done)) {
        return;
    }

    ngx_queue_add(&pool->settled, done);

    if (!pool->done.posted) {
        ngx_iclock_pg_queue_done_some(pool);
    }
}


static void
ngx_iclock_pg_queue_done_handler(ngx_event_t *ev)
{
    ngx_iclock_pg_pool_t  *pool;

    pool = ev->data;
    pool->ndone = 0;

    ngx_iclock_pg_queue_done_some(pool);
}


static void
ngx_iclock_pg_queue_done_some(ngx_iclock_pg_pool_t *pool)
{
    ngx_queue_t          *q;
    ngx_iclock_pg_job_t  *job;

    while (!ngx_queue_empty(&pool->settled)) {

        if (pool->ndone == NGX_ICLOCK_PG_TURN_DONE) {

            ngx_post_event(&pool->done, &ngx_posted_next_events);

            if (!pool->done.timer_set) {
                ngx_add_timer(&pool->done, NGX_ICLOCK_PG_DONE_TIMER);
            }

            return;
        }

        pool->ndone++;

        q = ngx_queue_head(&pool->settled);
        ngx_queue_remove(q);

        job = ngx_queue_data(q, ngx_iclock_pg_job_t, queue);

        ngx_iclock_pg_gather_done(pool, job);

        pool->held -= job->held;
        pool->handlers->done(job, pool->data);
    }

    if (pool->done.timer_set) {
        ngx_del_timer(&pool->done);
    }
}


void
ngx_iclock_pg_queue_close(ngx_iclock_pg_pool_t *pool)
{
    if (pool->expire.timer_set) {
        ngx_del_timer(&pool->expire);
    }

    if (pool->done.posted) {
        ngx_delete_posted_event(&pool->done);
    }

    if (pool->done.timer_set) {
        ngx_del_timer(&pool->done);
    }
}
