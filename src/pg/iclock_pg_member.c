
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


#include "iclock_pg_private.h"


/* the back-off between attempts to connect, in milliseconds */
#define NGX_ICLOCK_PG_BACKOFF_MIN  250
#define NGX_ICLOCK_PG_BACKOFF_MAX  5000

/* a connection lost sooner is not replaced at once */
#define NGX_ICLOCK_PG_SHORT_LIFE   1000


static void ngx_iclock_pg_member_fail_overdue(ngx_iclock_pg_member_t *member,
    ngx_iclock_pg_batch_t *batch);
static ngx_uint_t ngx_iclock_pg_member_fail_foreign(
    ngx_iclock_pg_member_t *member, ngx_iclock_pg_batch_t *batch);
static void ngx_iclock_pg_member_connected(ngx_iclock_pg_conn_t *conn);
static void ngx_iclock_pg_member_closed(ngx_iclock_pg_conn_t *conn);
static void ngx_iclock_pg_member_lost(ngx_iclock_pg_member_t *member,
    ngx_iclock_pg_batch_t *batch);
static void ngx_iclock_pg_member_backoff(ngx_iclock_pg_pool_t *pool);
static void ngx_iclock_pg_member_shutdown(ngx_iclock_pg_conn_t *conn);


static ngx_iclock_pg_conn_handlers_t  ngx_iclock_pg_member_handlers = {
    ngx_iclock_pg_member_connected,
    ngx_iclock_pg_member_closed,
    ngx_iclock_pg_pipeline_input,
    ngx_iclock_pg_member_shutdown
};


ngx_int_t
ngx_iclock_pg_member_init(ngx_iclock_pg_member_t *member,
    ngx_iclock_pg_pool_t *pool, ngx_pool_t *memory)
{
    ngx_iclock_pg_conn_init(&member->conn, pool->conf,
                            &ngx_iclock_pg_member_handlers, member);

    member->conn.application = (char *) pool->application;
    member->conn.setup = (char *) pool->setup;
    member->pool = pool;

    ngx_queue_init(&member->todo);

    return ngx_array_init(&member->steps, memory, 32,
                          sizeof(ngx_iclock_pg_step_t));
}


ngx_iclock_pg_batch_t *
ngx_iclock_pg_member_next(ngx_iclock_pg_member_t *member)
{
    ngx_queue_t            *q;
    ngx_iclock_pg_batch_t  *batch;

    if (!ngx_queue_empty(&member->todo)) {
        q = ngx_queue_head(&member->todo);

    } else if (!ngx_queue_empty(&member->pool->redo)) {
        q = ngx_queue_head(&member->pool->redo);

    } else if (ngx_iclock_pg_gather(member->pool)) {
        return NULL;

    } else {
        batch = ngx_iclock_pg_queue_collect(member->pool);

        if (batch && ngx_iclock_pg_member_fail_foreign(member, batch)) {
            ngx_iclock_pg_queue_prune(member->pool, batch);
        }

        return batch;
    }

    ngx_queue_remove(q);

    batch = ngx_queue_data(q, ngx_iclock_pg_batch_t, queue);

    /* what comes after it is run here, too */

    if (!ngx_queue_empty(&batch->rest)) {
        ngx_queue_add(&member->todo, &batch->rest);
        ngx_queue_init(&batch->rest);
    }

    (void) ngx_iclock_pg_member_fail_foreign(member, batch);

    if (batch->apart) {
        ngx_iclock_pg_member_fail_overdue(member, batch);
    }

    /* jobs may have failed or been cancelled meanwhile */
    ngx_iclock_pg_queue_prune(member->pool, batch);

    return batch;
}


/* those that are run one by one do not wait for all that come before them */

static void
ngx_iclock_pg_member_fail_overdue(ngx_iclock_pg_member_t *member,
    ngx_iclock_pg_batch_t *batch)
{
    ngx_uint_t              i;
    ngx_iclock_pg_job_t    *job;
    ngx_iclock_pg_slice_t  *slice;

    slice = batch->slices.elts;

    for (i = 0; i < batch->slices.nelts; i++) {

        job = slice[i].job;

        if (job->rc != NGX_OK
            || (ngx_msec_int_t) (job->deadline - ngx_current_msec) > 0)
        {
            continue;
        }

        job->rc = NGX_BUSY;

        ngx_iclock_pg_trace_job(job, "has waited for too long");
    }
}


/*
 * The ids of a job may be of another database than the one that answers now:
 * after a reload, or when a backup was restored.  Returns how many failed.
 */

static ngx_uint_t
ngx_iclock_pg_member_fail_foreign(ngx_iclock_pg_member_t *member,
    ngx_iclock_pg_batch_t *batch)
{
    ngx_uint_t              i, n;
    ngx_iclock_pg_job_t    *job;
    ngx_iclock_pg_slice_t  *slice;

    slice = batch->slices.elts;
    n = 0;

    for (i = 0; i < batch->slices.nelts; i++) {

        job = slice[i].job;
        job->ran = member->conn.database;

        if (job->database == 0 || job->database == job->ran) {
            continue;
        }

        if (job->rc == NGX_OK) {
            job->rc = NGX_DECLINED;
            ngx_iclock_pg_trace_job(job, "its ids are of another database");
        }

        n++;
    }

    return n;
}


static void
ngx_iclock_pg_member_connected(ngx_iclock_pg_conn_t *conn)
{
    ngx_iclock_pg_pool_t    *pool;
    ngx_iclock_pg_member_t  *member;

    member = conn->data;
    pool = member->pool;

    if (pool->database != conn->database) {
        /* the others may be connected to what was there before */
        pool->database = conn->database;
        pool->generation++;
    }

    member->prepared = 0;
    member->largest = 0;
    member->generation = pool->generation;

    if (PQenterPipelineMode(conn->pg) == 0) {
        ngx_iclock_pg_conn_lost(conn, NULL);
        return;
    }

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

    ngx_iclock_pg_pool_post(pool);

    if (!conn->established) {
        ngx_iclock_pg_log_failure(pool->stat, pool->log,
                                  "no connection to PostgreSQL",
                                  conn->error, conn->error_len);
        ngx_iclock_pg_member_backoff(pool);
        return;
    }

    if (ngx_current_msec - conn->since < NGX_ICLOCK_PG_SHORT_LIFE) {
        ngx_iclock_pg_member_backoff(pool);
    }

    if (batch == NULL) {
        ngx_log_error(NGX_LOG_INFO, pool->log, 0,
                      "iclock: idle connection to PostgreSQL was closed: %*s",
                      conn->error_len, conn->error);
        return;
    }

    ngx_iclock_pg_member_lost(member, batch);
}


/* nobody knows whether the batch was committed */

static void
ngx_iclock_pg_member_lost(ngx_iclock_pg_member_t *member,
    ngx_iclock_pg_batch_t *batch)
{
    ngx_iclock_pg_conn_t   *conn;
    ngx_iclock_pg_pool_t   *pool;
    ngx_iclock_pg_slice_t  *slice;

    conn = &member->conn;
    pool = member->pool;
    slice = batch->slices.elts;

    slice->job->doubtful = slice->job->once;

    ngx_iclock_pg_trace(batch, conn->timedout ? "no answer in time"
                                              : "connection is lost", NULL);

    if (conn->timedout) {
        ngx_iclock_pg_recover_pass_on(member);
        ngx_iclock_pg_log_failure(pool->stat, pool->log,
                                  "PostgreSQL is too slow", conn->error,
                                  conn->error_len);
        ngx_iclock_pg_queue_settle(pool, batch, NGX_BUSY);
        return;
    }

    ngx_iclock_count_by(ERRORS, NGX_ICLOCK_L_SQLSTATE_08, 1);

    ngx_iclock_pg_log_failure(pool->stat, pool->log,
                              "connection to PostgreSQL is lost",
                              conn->error, conn->error_len);

    if (slice->job->once) {
        ngx_iclock_pg_queue_settle(pool, batch, NGX_DECLINED);
        return;
    }

    ngx_iclock_pg_recover_retry(member, batch, NGX_DECLINED);
    ngx_iclock_pg_recover_pass_on(member);
}


static void
ngx_iclock_pg_member_backoff(ngx_iclock_pg_pool_t *pool)
{
    if (!pool->backoff.timer_set) {
        ngx_iclock_pg_connect_later(&pool->backoff, &pool->delay,
                                    NGX_ICLOCK_PG_BACKOFF_MIN,
                                    NGX_ICLOCK_PG_BACKOFF_MAX);
    }
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

    if (!force && (ngx_iclock_pg_queue_has_work(member->pool)
                   || !ngx_queue_empty(&member->todo)))
    {
        /* the dispatcher closes it when the work is done */
        conn->connection->close = 0;
        return;
    }

    ngx_iclock_pg_conn_close(conn);
}


void
ngx_iclock_pg_member_close(ngx_iclock_pg_member_t *member)
{
    ngx_iclock_pg_conn_close(&member->conn);
    ngx_iclock_pg_recover_pass_on(member);
}
