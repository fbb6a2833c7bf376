
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


#include "iclock_pg_private.h"


/* the back-off between attempts to connect, in milliseconds */
#define NGX_ICLOCK_PG_BACKOFF_MIN   250
#define NGX_ICLOCK_PG_BACKOFF_MAX   5000

/* items of one job in one batch, so that large uploads hold up no one */
#define NGX_ICLOCK_PG_SLICE         512

/* how often a batch is sent again after a failure that may pass */
#define NGX_ICLOCK_PG_RETRIES       1

/* after a deadlock the other one goes first, in milliseconds */
#define NGX_ICLOCK_PG_YIELD         50

/* a connection lost sooner is not replaced at once */
#define NGX_ICLOCK_PG_SHORT_LIFE    1000


/* a connection of the pool and what it works on */
typedef struct {
    ngx_iclock_pg_conn_t        conn;
    ngx_iclock_pg_pool_t       *pool;

    ngx_iclock_pg_batch_t      *batch;      /* running */
    ngx_queue_t                 todo;       /* to be run here, in order */

    uint64_t                    prepared;   /* statements by number */
    ngx_uint_t                  generation; /* of the statements */
    ngx_array_t                 steps;      /* ngx_iclock_pg_step_t */
    ngx_uint_t                  step;       /* whose results are next */

    unsigned                    failed:1;
    u_char                      sqlstate[NGX_ICLOCK_PG_SQLSTATE_LEN + 1];
    size_t                      message_len;
    u_char                      message[NGX_ICLOCK_PG_ERROR_LEN + 1];
} ngx_iclock_pg_member_t;


/* one command of a pipeline */
typedef struct {
    ngx_uint_t                  exec;
    ngx_uint_t                  prepare;    /* unsigned  prepare:1; */
} ngx_iclock_pg_step_t;


struct ngx_iclock_pg_pool_s {
    ngx_iclock_pg_pool_conf_t  *conf;
    ngx_iclock_pg_handlers_t   *handlers;
    ngx_iclock_pg_stat_t       *stat;
    void                       *data;
    ngx_log_t                  *log;

    ngx_iclock_pg_member_t     *members;
    ngx_queue_t                 jobs;       /* waiting, in order */
    ngx_uint_t                  njobs;
    ngx_queue_t                 redo;       /* batches to be sent again */
    ngx_queue_t                 later;      /* the same, after a while */

    ngx_uint_t                  generation; /* older connections are closed */

    ngx_event_t                 dispatch;   /* posted */
    ngx_event_t                 expire;     /* of the first waiting job */
    ngx_event_t                 yield;      /* of batches for later */
    ngx_event_t                 backoff;
    ngx_msec_t                  delay;

    u_char                      application[sizeof("iclock/") + NGX_INT_T_LEN];
    u_char                      setup[1024];

    unsigned                    unprepared:1;
};


static void ngx_iclock_pg_pool_setup(ngx_iclock_pg_pool_t *pool);
static void ngx_iclock_pg_pool_post(ngx_iclock_pg_pool_t *pool);
static void ngx_iclock_pg_pool_dispatch(ngx_event_t *ev);
static ngx_uint_t ngx_iclock_pg_pool_has_work(ngx_iclock_pg_pool_t *pool);
static ngx_uint_t ngx_iclock_pg_pool_count(ngx_iclock_pg_pool_t *pool,
    ngx_uint_t state, ngx_uint_t last);
static void ngx_iclock_pg_pool_open(ngx_iclock_pg_pool_t *pool);
static void ngx_iclock_pg_pool_backoff(ngx_iclock_pg_pool_t *pool);
static void ngx_iclock_pg_pool_backoff_handler(ngx_event_t *ev);
static void ngx_iclock_pg_pool_expire(ngx_iclock_pg_pool_t *pool);
static void ngx_iclock_pg_pool_expire_handler(ngx_event_t *ev);
static void ngx_iclock_pg_pool_yield_handler(ngx_event_t *ev);
static void ngx_iclock_pg_pool_fail_all(ngx_iclock_pg_pool_t *pool);
static void ngx_iclock_pg_pool_enqueue(ngx_iclock_pg_pool_t *pool,
    ngx_iclock_pg_job_t *job);
static ngx_iclock_pg_batch_t *ngx_iclock_pg_pool_collect(
    ngx_iclock_pg_pool_t *pool);

static ngx_iclock_pg_batch_t *ngx_iclock_pg_member_next(
    ngx_iclock_pg_member_t *member);
static void ngx_iclock_pg_member_run(ngx_iclock_pg_member_t *member,
    ngx_iclock_pg_batch_t *batch);
static ngx_int_t ngx_iclock_pg_member_send(ngx_iclock_pg_member_t *member);
static ngx_int_t ngx_iclock_pg_member_send_exec(
    ngx_iclock_pg_member_t *member, ngx_uint_t n);
static ngx_int_t ngx_iclock_pg_member_step(ngx_iclock_pg_member_t *member,
    ngx_uint_t exec, ngx_uint_t prepare);
static void ngx_iclock_pg_member_result(ngx_iclock_pg_member_t *member,
    PGresult *res);
static void ngx_iclock_pg_member_error(ngx_iclock_pg_member_t *member,
    PGresult *res);
static void ngx_iclock_pg_member_finished(ngx_iclock_pg_member_t *member);
static void ngx_iclock_pg_member_data_error(ngx_iclock_pg_member_t *member,
    ngx_iclock_pg_batch_t *batch);
static void ngx_iclock_pg_member_retry(ngx_iclock_pg_member_t *member,
    ngx_iclock_pg_batch_t *batch, ngx_int_t rc);
static void ngx_iclock_pg_member_close(ngx_iclock_pg_member_t *member);
static void ngx_iclock_pg_member_redo(ngx_iclock_pg_member_t *member);
static void ngx_iclock_pg_member_log(ngx_iclock_pg_member_t *member);

static void ngx_iclock_pg_member_connected(ngx_iclock_pg_conn_t *conn);
static void ngx_iclock_pg_member_closed(ngx_iclock_pg_conn_t *conn);
static void ngx_iclock_pg_member_input(ngx_iclock_pg_conn_t *conn);
static void ngx_iclock_pg_member_shutdown(ngx_iclock_pg_conn_t *conn);

static void ngx_iclock_pg_pool_settle(ngx_iclock_pg_pool_t *pool,
    ngx_iclock_pg_batch_t *batch, ngx_int_t rc);
static void ngx_iclock_pg_pool_prune(ngx_iclock_pg_pool_t *pool,
    ngx_iclock_pg_batch_t *batch);
static void ngx_iclock_pg_pool_settle_slice(ngx_iclock_pg_pool_t *pool,
    ngx_iclock_pg_slice_t *slice, ngx_int_t rc, ngx_queue_t *done);
static void ngx_iclock_pg_pool_done(ngx_iclock_pg_pool_t *pool,
    ngx_queue_t *done);


static ngx_iclock_pg_conn_handlers_t  ngx_iclock_pg_member_handlers = {
    ngx_iclock_pg_member_connected,
    ngx_iclock_pg_member_closed,
    ngx_iclock_pg_member_input,
    ngx_iclock_pg_member_shutdown
};


ngx_iclock_pg_pool_t *
ngx_iclock_pg_pool_create(ngx_cycle_t *cycle, ngx_iclock_pg_pool_conf_t *conf,
    ngx_iclock_pg_handlers_t *handlers, ngx_iclock_pg_stat_t *stat,
    void *data)
{
    ngx_uint_t               i;
    ngx_iclock_pg_pool_t    *pool;
    ngx_iclock_pg_member_t  *member;

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
        member = &pool->members[i];

        ngx_iclock_pg_conn_init(&member->conn, conf,
                                &ngx_iclock_pg_member_handlers, member);

        member->conn.application = (char *) pool->application;
        member->conn.setup = (char *) pool->setup;
        member->pool = pool;
        ngx_queue_init(&member->todo);

        if (ngx_array_init(&member->steps, cycle->pool, 32,
                           sizeof(ngx_iclock_pg_step_t))
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
                 "SET timezone = 'UTC';"
                 "SET datestyle = 'ISO';"
                 "SET bytea_output = 'hex';"
                 "SET search_path = pg_catalog;"
                 "SET plan_cache_mode = force_generic_plan;"
                 /* what is acknowledged has to survive a crash */
                 "SELECT set_config('synchronous_commit', 'on', false)"
                 " WHERE current_setting('synchronous_commit') = 'off'%Z",
                 timeout, timeout, timeout);
}


ngx_int_t
ngx_iclock_pg_submit(ngx_iclock_pg_pool_t *pool, ngx_iclock_pg_job_t *job)
{
    if (pool->njobs >= pool->conf->queue) {
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
        pool->handlers->done(job, pool->data);
    }
}


/*
 * Requests that arrive in one turn of the event loop go out together, and
 * nothing is started from within someone else's handler.
 */

static void
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


static ngx_uint_t
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
            ngx_iclock_pg_conn_open(&pool->members[i].conn);
            return;
        }
    }
}


/* with jitter, since all workers lose a server at the same time */

static void
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

static ngx_iclock_pg_batch_t *
ngx_iclock_pg_pool_collect(ngx_iclock_pg_pool_t *pool)
{
    size_t                  bytes, size;
    ngx_uint_t              n;
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
            && (job->alone || bytes + size > pool->conf->batch_bytes))
        {
            break;
        }

        if (ngx_iclock_pg_batch_slice(batch, job, job->next, n) != NGX_OK) {
            break;
        }

        bytes += size;
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


static ngx_iclock_pg_batch_t *
ngx_iclock_pg_member_next(ngx_iclock_pg_member_t *member)
{
    ngx_queue_t            *q;
    ngx_iclock_pg_batch_t  *batch;

    if (!ngx_queue_empty(&member->todo)) {
        q = ngx_queue_head(&member->todo);

    } else if (!ngx_queue_empty(&member->pool->redo)) {
        q = ngx_queue_head(&member->pool->redo);

    } else {
        return ngx_iclock_pg_pool_collect(member->pool);
    }

    ngx_queue_remove(q);

    batch = ngx_queue_data(q, ngx_iclock_pg_batch_t, queue);

    /* jobs may have failed or been cancelled meanwhile */
    ngx_iclock_pg_pool_prune(member->pool, batch);

    return batch;
}


static void
ngx_iclock_pg_member_run(ngx_iclock_pg_member_t *member,
    ngx_iclock_pg_batch_t *batch)
{
    ngx_iclock_pg_pool_t  *pool;

    pool = member->pool;

    ngx_iclock_pg_batch_reset(batch);

    if (batch->slices.nelts == 0) {
        ngx_iclock_pg_pool_settle(pool, batch, NGX_OK);
        return;
    }

    if (ngx_iclock_pg_batch_prepare(batch, pool->log) != NGX_OK
        || pool->handlers->build(batch, pool->data) != NGX_OK)
    {
        ngx_iclock_pg_pool_settle(pool, batch, NGX_ERROR);
        return;
    }

    if (batch->execs.nelts == 0) {
        ngx_iclock_pg_pool_settle(pool, batch, NGX_OK);
        return;
    }

    member->batch = batch;
    member->failed = 0;
    member->sqlstate[0] = '\0';
    member->message_len = 0;
    member->steps.nelts = 0;
    member->step = 0;

    ngx_iclock_pg_conn_busy(&member->conn, pool->conf->timeout);

    (void) ngx_atomic_fetch_add(&pool->stat->batches, 1);

    if (ngx_iclock_pg_member_send(member) != NGX_OK) {
        ngx_iclock_pg_conn_lost(&member->conn, NULL);
        return;
    }

    /* libpq has copied the parameters */

    ngx_destroy_pool(batch->params);
    batch->params = NULL;
}


static ngx_int_t
ngx_iclock_pg_member_send(ngx_iclock_pg_member_t *member)
{
    ngx_uint_t  n;

    for (n = 0; n < member->batch->execs.nelts; n++) {
        if (ngx_iclock_pg_member_send_exec(member, n) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    if (PQpipelineSync(member->conn.pg) == 0) {
        return NGX_ERROR;
    }

    return ngx_iclock_pg_conn_flush(&member->conn);
}


static ngx_int_t
ngx_iclock_pg_member_send_exec(ngx_iclock_pg_member_t *member, ngx_uint_t n)
{
    int                               i, nparams, *formats;
    PGconn                           *pg;
    ngx_iclock_pg_exec_t             *exec;
    const ngx_iclock_pg_statement_t  *st;

    pg = member->conn.pg;
    exec = (ngx_iclock_pg_exec_t *) member->batch->execs.elts + n;
    st = exec->statement;
    nparams = (int) st->nparams;

    formats = ngx_palloc(member->batch->params, (nparams + 1) * sizeof(int));
    if (formats == NULL) {
        return NGX_ERROR;
    }

    for (i = 0; i < nparams; i++) {
        formats[i] = 1;
    }

    if (member->pool->unprepared) {

        if (PQsendQueryParams(pg, st->text, nparams, st->types, exec->values,
                              exec->lengths, formats, 0)
            == 0)
        {
            return NGX_ERROR;
        }

        return ngx_iclock_pg_member_step(member, n, 0);
    }

    if (!(member->prepared & ((uint64_t) 1 << exec->number))) {

        if (PQsendPrepare(pg, st->name, st->text, nparams, st->types) == 0
            || ngx_iclock_pg_member_step(member, n, 1) != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    if (PQsendQueryPrepared(pg, st->name, nparams, exec->values,
                            exec->lengths, formats, 0)
        == 0)
    {
        return NGX_ERROR;
    }

    return ngx_iclock_pg_member_step(member, n, 0);
}


static ngx_int_t
ngx_iclock_pg_member_step(ngx_iclock_pg_member_t *member, ngx_uint_t exec,
    ngx_uint_t prepare)
{
    ngx_iclock_pg_step_t  *step;

    step = ngx_array_push(&member->steps);
    if (step == NULL) {
        return NGX_ERROR;
    }

    step->exec = exec;
    step->prepare = prepare;

    return NGX_OK;
}


static void
ngx_iclock_pg_member_connected(ngx_iclock_pg_conn_t *conn)
{
    ngx_iclock_pg_pool_t    *pool;
    ngx_iclock_pg_member_t  *member;

    member = conn->data;
    pool = member->pool;

    member->prepared = 0;
    member->generation = pool->generation;

    if (PQenterPipelineMode(conn->pg) == 0) {
        ngx_iclock_pg_conn_lost(conn, NULL);
        return;
    }

    (void) ngx_atomic_fetch_add(&pool->stat->connects, 1);

    if (pool->delay) {
        ngx_log_error(NGX_LOG_NOTICE, pool->log, 0,
                      "iclock: connected to PostgreSQL again");
    }

    pool->delay = 0;

    if (pool->backoff.timer_set) {
        ngx_del_timer(&pool->backoff);
    }

    ngx_iclock_pg_pool_post(pool);
}


static void
ngx_iclock_pg_member_closed(ngx_iclock_pg_conn_t *conn)
{
    ngx_iclock_pg_pool_t    *pool;
    ngx_iclock_pg_batch_t   *batch;
    ngx_iclock_pg_member_t  *member;

    member = conn->data;
    pool = member->pool;

    batch = member->batch;
    member->batch = NULL;

    ngx_iclock_pg_member_redo(member);
    ngx_iclock_pg_pool_post(pool);

    if (!conn->established) {
        (void) ngx_atomic_fetch_add(&pool->stat->failures, 1);
        ngx_iclock_pg_log_failure(pool->stat, pool->log,
                                  "no connection to PostgreSQL",
                                  conn->error, conn->error_len);
        ngx_iclock_pg_pool_backoff(pool);
        return;
    }

    if (ngx_current_msec - conn->since < NGX_ICLOCK_PG_SHORT_LIFE) {
        ngx_iclock_pg_pool_backoff(pool);
    }

    if (batch == NULL) {
        ngx_log_error(NGX_LOG_INFO, pool->log, 0,
                      "iclock: idle connection to PostgreSQL was closed: %*s",
                      conn->error_len, conn->error);
        return;
    }

    if (conn->timedout) {
        (void) ngx_atomic_fetch_add(&pool->stat->timeouts, 1);
        ngx_iclock_pg_log_failure(pool->stat, pool->log,
                                  "PostgreSQL is too slow", conn->error,
                                  conn->error_len);
        ngx_iclock_pg_pool_settle(pool, batch, NGX_BUSY);
        return;
    }

    ngx_iclock_pg_log_failure(pool->stat, pool->log,
                              "connection to PostgreSQL is lost",
                              conn->error, conn->error_len);

    ngx_iclock_pg_member_retry(member, batch, NGX_DECLINED);
}


static void
ngx_iclock_pg_member_input(ngx_iclock_pg_conn_t *conn)
{
    PGresult                *res;
    ngx_iclock_pg_member_t  *member;

    member = conn->data;

    if (conn->state == NGX_ICLOCK_PG_IDLE) {

        /* a notice or a changed setting, libpq has dealt with it */

        if (PQstatus(conn->pg) != CONNECTION_OK) {
            ngx_iclock_pg_conn_lost(conn, NULL);
        }

        return;
    }

    while (PQisBusy(conn->pg) == 0) {

        res = PQgetResult(conn->pg);

        if (res == NULL) {

            /* the end of one command's results */

            if (member->step++ >= member->steps.nelts
                || (member->failed && PQstatus(conn->pg) != CONNECTION_OK))
            {
                ngx_iclock_pg_conn_lost(conn, member->failed
                                              ? (char *) member->message
                                              : "unexpected end of results");
                return;
            }

            continue;
        }

        if (PQresultStatus(res) == PGRES_PIPELINE_SYNC) {
            PQclear(res);
            ngx_iclock_pg_member_finished(member);
            return;
        }

        ngx_iclock_pg_member_result(member, res);

        if (conn->state != NGX_ICLOCK_PG_BUSY) {
            return;
        }
    }
}


/* takes the result over */

static void
ngx_iclock_pg_member_result(ngx_iclock_pg_member_t *member, PGresult *res)
{
    ngx_iclock_pg_exec_t  *exec;
    ngx_iclock_pg_step_t  *step;

    step = member->steps.elts;
    exec = member->batch->execs.elts;

    switch (PQresultStatus(res)) {

    case PGRES_COMMAND_OK:
    case PGRES_TUPLES_OK:

        if (member->step >= member->steps.nelts) {
            break;
        }

        step += member->step;
        exec += step->exec;

        if (step->prepare) {
            member->prepared |= (uint64_t) 1 << exec->number;
            PQclear(res);
            return;
        }

        PQclear(exec->result);
        exec->result = res;
        return;

    case PGRES_FATAL_ERROR:
        ngx_iclock_pg_member_error(member, res);
        PQclear(res);
        return;

    case PGRES_PIPELINE_ABORTED:
        PQclear(res);
        return;

    default:
        break;
    }

    PQclear(res);
    ngx_iclock_pg_conn_lost(&member->conn, "unexpected result");
}


/* keeps the first error of a pipeline, the others follow from it */

static void
ngx_iclock_pg_member_error(ngx_iclock_pg_member_t *member, PGresult *res)
{
    const char  *sqlstate, *message;

    if (member->failed) {
        return;
    }

    member->failed = 1;

    sqlstate = PQresultErrorField(res, PG_DIAG_SQLSTATE);
    message = PQresultErrorField(res, PG_DIAG_MESSAGE_PRIMARY);

    if (sqlstate == NULL) {
        sqlstate = "08006";
    }

    if (message == NULL) {
        message = PQresultErrorMessage(res);
    }

    ngx_cpystrn(member->sqlstate, (u_char *) sqlstate,
                NGX_ICLOCK_PG_SQLSTATE_LEN + 1);

    member->message_len = ngx_iclock_pg_message(member->message,
                                                NGX_ICLOCK_PG_ERROR_LEN,
                                                message);
    member->message[member->message_len] = '\0';
}


/* the pipeline has come to its end, the connection is ours again */

static void
ngx_iclock_pg_member_finished(ngx_iclock_pg_member_t *member)
{
    ngx_uint_t              i;
    ngx_iclock_pg_exec_t   *exec;
    ngx_iclock_pg_pool_t   *pool;
    ngx_iclock_pg_batch_t  *batch;

    pool = member->pool;
    batch = member->batch;
    member->batch = NULL;

    ngx_iclock_pg_conn_idle(&member->conn);
    ngx_iclock_pg_pool_post(pool);

    if (!member->failed) {
        exec = batch->execs.elts;

        for (i = 0; i < batch->execs.nelts; i++) {
            pool->handlers->result(batch, &exec[i], pool->data);
        }

        ngx_iclock_pg_pool_settle(pool, batch, NGX_OK);
        return;
    }

    switch (ngx_iclock_pg_error_action((char *) member->sqlstate)) {

    case NGX_ICLOCK_PG_DATA:
        ngx_iclock_pg_member_data_error(member, batch);
        return;

    case NGX_ICLOCK_PG_RECONNECT:
        ngx_iclock_pg_member_log(member);

        if (ngx_strncmp(member->sqlstate, "26", 2) == 0
            || ngx_strcmp(member->sqlstate, "42P05") == 0)
        {
            /* prepared statements do not live long behind some poolers */
            pool->unprepared = 1;
        }

        if (ngx_strncmp(member->sqlstate, "0A", 2) == 0 && batch->tries == 0) {
            /* a table has changed, which no connection knows of */
            pool->generation++;
        }

        ngx_iclock_pg_member_close(member);
        ngx_iclock_pg_member_retry(member, batch, NGX_DECLINED);
        return;

    case NGX_ICLOCK_PG_RETRY:
        ngx_iclock_pg_member_retry(member, batch, NGX_BUSY);
        return;

    default:
        ngx_iclock_pg_member_log(member);
        ngx_iclock_pg_pool_settle(pool, batch, NGX_ERROR);
        return;
    }
}


/*
 * Some record is at fault.  Both halves are run again, in their order and on
 * this connection, until the record stands alone.
 */

static void
ngx_iclock_pg_member_data_error(ngx_iclock_pg_member_t *member,
    ngx_iclock_pg_batch_t *batch)
{
    ngx_str_t               sqlstate, message;
    ngx_iclock_pg_pool_t   *pool;
    ngx_iclock_pg_slice_t  *slice;
    ngx_iclock_pg_batch_t  *rest;

    pool = member->pool;

    (void) ngx_atomic_fetch_add(&pool->stat->splits, 1);

    if (batch->nitems > 1) {

        rest = ngx_iclock_pg_batch_split(batch, pool->log);

        if (rest == NULL) {
            ngx_iclock_pg_pool_settle(pool, batch, NGX_ERROR);
            return;
        }

        ngx_queue_insert_head(&member->todo, &rest->queue);
        ngx_queue_insert_head(&member->todo, &batch->queue);
        return;
    }

    if (!batch->alone) {

        /* what fails in company, or once, may pass alone and later */

        batch->alone = 1;
        ngx_queue_insert_head(&member->todo, &batch->queue);
        return;
    }

    slice = batch->slices.elts;

    sqlstate.data = member->sqlstate;
    sqlstate.len = ngx_strlen(member->sqlstate);
    message.data = member->message;
    message.len = member->message_len;

    if (batch->rejected
        || pool->handlers->reject(slice->job, slice->first, &sqlstate,
                                  &message, pool->data)
           != NGX_OK)
    {
        ngx_iclock_pg_member_log(member);
        ngx_iclock_pg_pool_settle(pool, batch, NGX_ERROR);
        return;
    }

    batch->rejected = 1;
    ngx_queue_insert_head(&member->todo, &batch->queue);
}


/*
 * All statements are idempotent, so a batch may be sent again even if it is
 * unknown whether it was committed.  Commands that were fetched in vain are
 * fetched again when their timeout has passed.
 */

static void
ngx_iclock_pg_member_retry(ngx_iclock_pg_member_t *member,
    ngx_iclock_pg_batch_t *batch, ngx_int_t rc)
{
    ngx_iclock_pg_pool_t  *pool;

    pool = member->pool;

    if (batch->tries++ >= NGX_ICLOCK_PG_RETRIES) {

        if (rc == NGX_BUSY) {
            ngx_iclock_pg_member_log(member);
        }

        ngx_iclock_pg_pool_settle(pool, batch, rc);
        return;
    }

    (void) ngx_atomic_fetch_add(&pool->stat->retries, 1);

    if (rc != NGX_BUSY) {
        ngx_queue_insert_tail(&pool->redo, &batch->queue);
        return;
    }

    ngx_queue_insert_tail(&pool->later, &batch->queue);

    if (!pool->yield.timer_set) {
        ngx_add_timer(&pool->yield,
                      NGX_ICLOCK_PG_YIELD
                      + (ngx_msec_t) ngx_random() % NGX_ICLOCK_PG_YIELD);
    }
}


static void
ngx_iclock_pg_member_close(ngx_iclock_pg_member_t *member)
{
    ngx_iclock_pg_conn_close(&member->conn);
    ngx_iclock_pg_member_redo(member);
}


/* what was to be run on a connection that is closed, others have to run */

static void
ngx_iclock_pg_member_redo(ngx_iclock_pg_member_t *member)
{
    ngx_queue_t  *q;

    while (!ngx_queue_empty(&member->todo)) {
        q = ngx_queue_last(&member->todo);
        ngx_queue_remove(q);
        ngx_queue_insert_head(&member->pool->redo, q);
    }
}


static void
ngx_iclock_pg_member_log(ngx_iclock_pg_member_t *member)
{
    size_t       len;
    u_char       buf[2 * NGX_ICLOCK_PG_ERROR_LEN];
    const char  *advice;

    advice = ngx_iclock_pg_error_advice((char *) member->sqlstate);

    len = ngx_snprintf(buf, sizeof(buf), "SQLSTATE %s: %*s%s",
                       member->sqlstate, member->message_len, member->message,
                       advice ? advice : "")
          - buf;

    (void) ngx_atomic_fetch_add(&member->pool->stat->failures, 1);

    ngx_iclock_pg_log_failure(member->pool->stat, member->pool->log,
                              "PostgreSQL refused a transaction", buf, len);
}


static void
ngx_iclock_pg_member_shutdown(ngx_iclock_pg_conn_t *conn)
{
    ngx_uint_t               force;
    ngx_iclock_pg_member_t  *member;

    member = conn->data;
    force = conn->connection->error;

    if (member->batch) {
        /* there is no time left to send it again */
        member->batch->tries = NGX_ICLOCK_PG_RETRIES;
        ngx_iclock_pg_conn_lost(conn, "worker is shutting down");
        return;
    }

    if (!force && (ngx_iclock_pg_pool_has_work(member->pool)
                   || !ngx_queue_empty(&member->todo)))
    {
        /* the dispatcher closes it when the work is done */
        conn->connection->close = 0;
        return;
    }

    ngx_iclock_pg_conn_close(conn);
}


/* all slices of the batch have come to an end; the batch is destroyed */

static void
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

static void
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

    if (pool->backoff.timer_set) {
        ngx_del_timer(&pool->backoff);
    }
}
