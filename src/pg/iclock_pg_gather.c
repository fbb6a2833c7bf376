
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


/*
 * When the next transaction begins.  Each takes PostgreSQL and nginx as long as
 * a dozen punches do, and its commit is flushed after those of others.  So
 * while others are under way, or were answered just now and so may be back
 * soon, jobs wait for them and share a transaction.  Where there are many, some
 * go out while others are under way: PostgreSQL is not idle then while nginx
 * makes replies, or while a commit is being flushed.
 */


#include "iclock_pg_private.h"


/*
 * For how long they wait at most, in milliseconds: fewer may come, and what is
 * under way may be held up by a lock.  Within that time those who were answered
 * last are back, if they have more; and no terminal notices it.
 */
#define NGX_ICLOCK_PG_GATHER       2

/* beside what so many jobs take, a transaction itself takes little */
#define NGX_ICLOCK_PG_GATHER_JOBS  32


static ngx_uint_t ngx_iclock_pg_gather_enough(ngx_iclock_pg_pool_t *pool);
static ngx_uint_t ngx_iclock_pg_gather_running(ngx_iclock_pg_pool_t *pool);
static ngx_uint_t ngx_iclock_pg_gather_expected(ngx_iclock_pg_pool_t *pool);
static void ngx_iclock_pg_gather_handler(ngx_event_t *ev);


void
ngx_iclock_pg_gather_init(ngx_iclock_pg_pool_t *pool)
{
    pool->gather.handler = ngx_iclock_pg_gather_handler;
    pool->gather.data = pool;
    pool->gather.log = pool->log;
}


ngx_uint_t
ngx_iclock_pg_gather(ngx_iclock_pg_pool_t *pool)
{
    if (ngx_queue_empty(&pool->jobs)) {
        return 0;
    }

    /* what waits does so for all connections of this turn */

    if (pool->more) {
        return 1;
    }

    if (!pool->gather.timedout && !ngx_iclock_pg_gather_enough(pool)) {

        /* not cancelable: a worker that shuts down has to do this work */

        if (!pool->gather.timer_set) {
            ngx_add_timer(&pool->gather, NGX_ICLOCK_PG_GATHER);
        }

        pool->more = 1;

        return 1;
    }

    if (pool->gather.timer_set) {
        ngx_del_timer(&pool->gather);
    }

    pool->gather.timedout = 0;

    return 0;
}


/* whether nothing is gained by jobs that are still to come */

static ngx_uint_t
ngx_iclock_pg_gather_enough(ngx_iclock_pg_pool_t *pool)
{
    ngx_uint_t                  n, running;
    ngx_iclock_pg_waiting_t    *waiting;
    ngx_iclock_pg_pool_conf_t  *conf;

    conf = pool->conf;
    waiting = &pool->waiting;

    if (ngx_exiting || ngx_terminate) {
        return 1;
    }

    /* they would come after what does not share a transaction with these */

    if (waiting->alone
        || waiting->sides[NGX_ICLOCK_PG_SIDES]
        || (waiting->sides[NGX_ICLOCK_PG_SIDE_A]
            && waiting->sides[NGX_ICLOCK_PG_SIDE_B]))
    {
        return 1;
    }

    /* a commit takes little beside so many records */

    if (waiting->items >= ngx_min(conf->batch_records, NGX_ICLOCK_PG_SLICE)
        || waiting->bytes >= ngx_min(conf->batch_bytes,
                                     NGX_ICLOCK_PG_SLICE_BYTES))
    {
        return 1;
    }

    running = ngx_iclock_pg_gather_running(pool);

    if (running == 0 && ngx_iclock_pg_gather_expected(pool) == 0) {
        return 1;
    }

    /* nor may they wait where there is no room for more */

    n = ngx_min(conf->batch_requests, conf->queue);
    n = ngx_min(n, ngx_max(running, NGX_ICLOCK_PG_GATHER_JOBS));

    return pool->njobs >= n;
}


/*
 * jobs in transactions that are under way, besides those that are alone and
 * those that nginx has of its own accord
 */

static ngx_uint_t
ngx_iclock_pg_gather_running(ngx_iclock_pg_pool_t *pool)
{
    ngx_uint_t              i, n;
    ngx_iclock_pg_batch_t  *batch;
    ngx_iclock_pg_slice_t  *slice;

    n = 0;

    for (i = 0; i < pool->conf->connections; i++) {

        batch = pool->members[i].batch;

        if (batch == NULL) {
            continue;
        }

        slice = batch->slices.elts;

        if (slice->job->alone
            || (batch->slices.nelts == 1 && slice->job->connection == 0))
        {
            continue;
        }

        n += batch->slices.nelts;
    }

    return n;
}


/* jobs that were done just now, and were not followed by as many others yet */

static ngx_uint_t
ngx_iclock_pg_gather_expected(ngx_iclock_pg_pool_t *pool)
{
    if (ngx_current_msec - pool->done_last >= NGX_ICLOCK_PG_GATHER) {
        pool->expected = 0;
    }

    return pool->expected;
}


/* what nginx asks of its own accord has no client that may come back */

void
ngx_iclock_pg_gather_came(ngx_iclock_pg_pool_t *pool, ngx_iclock_pg_job_t *job)
{
    if (job->connection && !job->alone && pool->expected) {
        pool->expected--;
    }
}


void
ngx_iclock_pg_gather_done(ngx_iclock_pg_pool_t *pool, ngx_iclock_pg_job_t *job)
{
    if (job->connection == 0 || job->alone || job->rc != NGX_OK
        || job->cancelled)
    {
        return;
    }

    pool->expected = ngx_iclock_pg_gather_expected(pool) + 1;
    pool->done_last = ngx_current_msec;
}


static void
ngx_iclock_pg_gather_handler(ngx_event_t *ev)
{
    ngx_iclock_pg_pool_t  *pool;

    pool = ev->data;

    if (ngx_queue_empty(&pool->jobs)) {
        /* they were cancelled: the next ones begin to wait anew */
        ev->timedout = 0;
        return;
    }

    ngx_iclock_pg_pool_post(pool);
}


void
ngx_iclock_pg_gather_close(ngx_iclock_pg_pool_t *pool)
{
    if (pool->gather.timer_set) {
        ngx_del_timer(&pool->gather);
    }
}
