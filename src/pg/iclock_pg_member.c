
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


#include "iclock_pg_private.h"


/* how often a batch is sent again after a failure that may pass */
#define NGX_ICLOCK_PG_RETRIES     1

/* after a deadlock the other one goes first, in milliseconds */
#define NGX_ICLOCK_PG_YIELD       50

/*
 * What has failed once because of a lock or its slowness may not hold up
 * others as long again, in tenths of the time that a transaction may take.
 */
#define NGX_ICLOCK_PG_APART_LOCK       1
#define NGX_ICLOCK_PG_APART_STATEMENT  3

/* a connection lost sooner is not replaced at once */
#define NGX_ICLOCK_PG_SHORT_LIFE  1000


static void ngx_iclock_pg_member_overdue(ngx_iclock_pg_member_t *member,
    ngx_iclock_pg_batch_t *batch);
static ngx_int_t ngx_iclock_pg_member_guard(ngx_iclock_pg_member_t *member,
    ngx_iclock_pg_batch_t *batch);
static ngx_int_t ngx_iclock_pg_member_send(ngx_iclock_pg_member_t *member);
static ngx_int_t ngx_iclock_pg_member_send_apart(
    ngx_iclock_pg_member_t *member);
static ngx_int_t ngx_iclock_pg_member_send_exec(
    ngx_iclock_pg_member_t *member, ngx_uint_t n);
static ngx_int_t ngx_iclock_pg_member_step(ngx_iclock_pg_member_t *member,
    ngx_uint_t exec, ngx_uint_t prepare);
static void ngx_iclock_pg_member_result(ngx_iclock_pg_member_t *member,
    PGresult *res);
static void ngx_iclock_pg_member_error(ngx_iclock_pg_member_t *member,
    PGresult *res);
static void ngx_iclock_pg_member_finished(ngx_iclock_pg_member_t *member);
static void ngx_iclock_pg_member_reconnect(ngx_iclock_pg_member_t *member,
    ngx_iclock_pg_batch_t *batch);
static void ngx_iclock_pg_member_data_error(ngx_iclock_pg_member_t *member,
    ngx_iclock_pg_batch_t *batch);
static void ngx_iclock_pg_member_apart(ngx_iclock_pg_member_t *member,
    ngx_iclock_pg_batch_t *batch, ngx_int_t rc);
static void ngx_iclock_pg_member_deadline(ngx_iclock_pg_member_t *member,
    ngx_iclock_pg_batch_t *batch);
static void ngx_iclock_pg_member_retry(ngx_iclock_pg_member_t *member,
    ngx_iclock_pg_batch_t *batch, ngx_int_t rc);
static void ngx_iclock_pg_member_redo(ngx_iclock_pg_member_t *member);
static void ngx_iclock_pg_member_log(ngx_iclock_pg_member_t *member);
static void ngx_iclock_pg_member_connected(ngx_iclock_pg_conn_t *conn);
static ngx_uint_t ngx_iclock_pg_member_disown(ngx_iclock_pg_member_t *member,
    ngx_iclock_pg_batch_t *batch);
static void ngx_iclock_pg_member_closed(ngx_iclock_pg_conn_t *conn);
static void ngx_iclock_pg_member_input(ngx_iclock_pg_conn_t *conn);
static void ngx_iclock_pg_member_shutdown(ngx_iclock_pg_conn_t *conn);


static ngx_iclock_pg_conn_handlers_t  ngx_iclock_pg_member_handlers = {
    ngx_iclock_pg_member_connected,
    ngx_iclock_pg_member_closed,
    ngx_iclock_pg_member_input,
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

    } else {
        batch = ngx_iclock_pg_pool_collect(member->pool);

        if (batch && ngx_iclock_pg_member_disown(member, batch)) {
            ngx_iclock_pg_pool_prune(member->pool, batch);
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

    (void) ngx_iclock_pg_member_disown(member, batch);

    if (batch->apart) {
        ngx_iclock_pg_member_overdue(member, batch);
    }

    /* jobs may have failed or been cancelled meanwhile */
    ngx_iclock_pg_pool_prune(member->pool, batch);

    return batch;
}


/* those that are run one by one do not wait for all that come before them */

static void
ngx_iclock_pg_member_overdue(ngx_iclock_pg_member_t *member,
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

        (void) ngx_atomic_fetch_add(&member->pool->stat->timeouts, 1);
    }
}


/*
 * The ids of a job may be of another database than the one that answers now:
 * after a reload, or when a backup was restored.  Returns how many failed.
 */

static ngx_uint_t
ngx_iclock_pg_member_disown(ngx_iclock_pg_member_t *member,
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
        }

        n++;
    }

    return n;
}


void
ngx_iclock_pg_member_run(ngx_iclock_pg_member_t *member,
    ngx_iclock_pg_batch_t *batch)
{
    ngx_uint_t             guards;
    ngx_iclock_pg_pool_t  *pool;

    pool = member->pool;

    ngx_iclock_pg_batch_reset(batch);

    if (batch->slices.nelts == 0) {
        ngx_iclock_pg_pool_settle(pool, batch, NGX_OK);
        return;
    }

    if (ngx_iclock_pg_batch_prepare(batch, pool->log) != NGX_OK
        || ngx_iclock_pg_member_guard(member, batch) != NGX_OK)
    {
        ngx_iclock_pg_pool_settle(pool, batch, NGX_ERROR);
        return;
    }

    guards = batch->execs.nelts;

    if (pool->handlers->build(batch, pool->data) != NGX_OK) {
        ngx_iclock_pg_pool_settle(pool, batch, NGX_ERROR);
        return;
    }

    if (batch->execs.nelts == guards) {
        ngx_iclock_pg_pool_settle(pool, batch, NGX_OK);
        return;
    }

    member->batch = batch;
    member->failed = 0;
    member->sqlstate[0] = '\0';
    member->message_len = 0;
    member->steps.nelts = 0;
    member->step = 0;
    member->preparing = 0;
    member->sent = 0;

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


/*
 * A backup may be restored below a connection: prepared statements are planned
 * again, and ids are those of others.
 */

static ngx_int_t
ngx_iclock_pg_member_guard(ngx_iclock_pg_member_t *member,
    ngx_iclock_pg_batch_t *batch)
{
    ngx_iclock_pg_exec_t  *exec;
    ngx_iclock_pg_conn_t  *conn;

    conn = &member->conn;

    if (conn->identity_len == 0) {
        return NGX_OK;
    }

    exec = ngx_iclock_pg_batch_add(batch, member->pool->handlers->guard,
                                   NGX_ICLOCK_PG_GUARD, NULL);
    if (exec == NULL) {
        return NGX_ERROR;
    }

    exec->values[0] = (char *) conn->identity;
    exec->lengths[0] = (int) conn->identity_len;

    return NGX_OK;
}


static ngx_int_t
ngx_iclock_pg_member_send(ngx_iclock_pg_member_t *member)
{
    ngx_uint_t  n;

    if (member->batch->apart
        && ngx_iclock_pg_member_send_apart(member) != NGX_OK)
    {
        return NGX_ERROR;
    }

    for (n = 0; n < member->batch->execs.nelts; n++) {
        if (ngx_iclock_pg_member_send_exec(member, n) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    if (PQpipelineSync(member->conn.pg) == 0) {
        return NGX_ERROR;
    }

    member->largest = ngx_max(member->largest, member->sent);

    return ngx_iclock_pg_conn_flush(&member->conn);
}


static ngx_int_t
ngx_iclock_pg_member_send_apart(ngx_iclock_pg_member_t *member)
{
    u_char       lock[NGX_INT_T_LEN + 1], statement[NGX_INT_T_LEN + 1];
    ngx_msec_t   timeout;
    const char  *values[2];

    timeout = member->pool->conf->timeout;

    ngx_sprintf(lock, "%M%Z", timeout * NGX_ICLOCK_PG_APART_LOCK / 10);
    ngx_sprintf(statement, "%M%Z",
                timeout * NGX_ICLOCK_PG_APART_STATEMENT / 10);

    values[0] = (char *) lock;
    values[1] = (char *) statement;

    if (PQsendQueryParams(member->conn.pg,
                          "SELECT set_config('lock_timeout', $1, true),"
                          " set_config('statement_timeout', $2, true)", 2,
                          NULL, values, NULL, NULL, 0)
        == 0)
    {
        return NGX_ERROR;
    }

    return ngx_iclock_pg_member_step(member, NGX_ICLOCK_PG_NO_EXEC, 0);
}


static ngx_int_t
ngx_iclock_pg_member_send_exec(ngx_iclock_pg_member_t *member, ngx_uint_t n)
{
    int                               i, nparams, *formats;
    PGconn                           *pg;
    uint64_t                          bit;
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
        member->sent += exec->lengths[i];
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

    /* a statement may be in a pipeline more than once */

    bit = (uint64_t) 1 << exec->number;

    if (!((member->prepared | member->preparing) & bit)) {

        member->preparing |= bit;

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
    ngx_iclock_pg_slice_t   *slice;
    ngx_iclock_pg_member_t  *member;

    member = conn->data;
    pool = member->pool;

    batch = member->batch;
    member->batch = NULL;

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

    slice = batch->slices.elts;

    if (conn->timedout) {
        ngx_iclock_pg_member_redo(member);
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

    if (slice->job->once) {
        /* nobody knows whether it was committed */
        ngx_iclock_pg_pool_settle(pool, batch, NGX_DECLINED);
        return;
    }

    ngx_iclock_pg_member_retry(member, batch, NGX_DECLINED);
    ngx_iclock_pg_member_redo(member);
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

            /* the end of one command's results, or of a failed commit's */

            if (member->step++ >= member->steps.nelts + member->failed
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

        if (step->exec == NGX_ICLOCK_PG_NO_EXEC) {
            PQclear(res);
            return;
        }

        exec += step->exec;

        if (step->prepare) {
            member->prepared |= (uint64_t) 1 << exec->number;
            PQclear(res);
            return;
        }

        member->largest = ngx_max(member->largest, PQresultMemorySize(res));

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
    ngx_uint_t              i, action;
    ngx_iclock_pg_exec_t   *exec;
    ngx_iclock_pg_pool_t   *pool;
    ngx_iclock_pg_batch_t  *batch;

    pool = member->pool;
    batch = member->batch;
    member->batch = NULL;

    ngx_iclock_pg_conn_idle(&member->conn);
    ngx_iclock_pg_pool_post(pool);

    if (member->largest > NGX_ICLOCK_PG_BUFFERS) {
        ngx_iclock_pg_pool_shrink(pool);
    }

    if (!member->failed) {
        exec = batch->execs.elts;

        for (i = 0; i < batch->execs.nelts; i++) {
            pool->handlers->result(batch, &exec[i], pool->data);
        }

        ngx_iclock_pg_pool_settle(pool, batch, NGX_OK);
        return;
    }

    action = ngx_iclock_pg_error_action((char *) member->sqlstate);

    if (action == NGX_ICLOCK_PG_RECONNECT && batch->tries
        && ngx_strncmp(member->sqlstate, "0A", 2) == 0)
    {
        /* no plan is out of date: some function of the site raises it */
        action = NGX_ICLOCK_PG_APART;
    }

    switch (action) {

    case NGX_ICLOCK_PG_DATA:
        ngx_iclock_pg_member_data_error(member, batch);
        return;

    case NGX_ICLOCK_PG_RECONNECT:
        ngx_iclock_pg_member_reconnect(member, batch);
        return;

    case NGX_ICLOCK_PG_RETRY:
        ngx_iclock_pg_member_retry(member, batch, NGX_BUSY);
        return;

    case NGX_ICLOCK_PG_APART:
        ngx_iclock_pg_member_apart(member, batch, NGX_ERROR);
        return;

    default:
        ngx_iclock_pg_member_log(member);
        ngx_iclock_pg_pool_settle(pool, batch, NGX_ERROR);
        return;
    }
}


/* what this connection knows is out of date */

static void
ngx_iclock_pg_member_reconnect(ngx_iclock_pg_member_t *member,
    ngx_iclock_pg_batch_t *batch)
{
    ngx_iclock_pg_pool_t  *pool;

    pool = member->pool;

    if (ngx_strcmp(member->sqlstate, NGX_ICLOCK_PG_OTHER_DATABASE) == 0) {

        ngx_log_error(NGX_LOG_NOTICE, pool->log, 0,
                      "iclock: the database was replaced, connecting anew");

        /* the others do not know it either */
        pool->generation++;

    } else {
        ngx_iclock_pg_member_log(member);
    }

    if (ngx_strncmp(member->sqlstate, "26", 2) == 0
        || ngx_strcmp(member->sqlstate, "42P05") == 0
        || ngx_strcmp(member->sqlstate, "08P01") == 0)
    {
        /* prepared statements do not live long behind some poolers */
        pool->unprepared = 1;
    }

    if (ngx_strncmp(member->sqlstate, "0A", 2) == 0 && batch->tries == 0) {
        /* a table has changed, which no connection knows of */
        pool->generation++;
    }

    ngx_iclock_pg_conn_close(&member->conn);
    ngx_iclock_pg_member_retry(member, batch, NGX_DECLINED);
    ngx_iclock_pg_member_redo(member);
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

    if (slice->job->cancelled) {
        /* what the item points to is gone */
        ngx_iclock_pg_pool_settle(pool, batch, NGX_ERROR);
        return;
    }

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
 * Some job waited too long for a lock, say.  Each is run again by itself, so
 * that the others do not fail with it.
 */

static void
ngx_iclock_pg_member_apart(ngx_iclock_pg_member_t *member,
    ngx_iclock_pg_batch_t *batch, ngx_int_t rc)
{
    ngx_iclock_pg_pool_t   *pool;
    ngx_iclock_pg_batch_t  *rest;

    pool = member->pool;

    if (batch->apart || batch->slices.nelts == 1) {
        ngx_iclock_pg_member_log(member);
        ngx_iclock_pg_pool_settle(pool, batch, rc);
        return;
    }

    (void) ngx_atomic_fetch_add(&pool->stat->splits, 1);

    while (batch->slices.nelts > 1) {

        rest = ngx_iclock_pg_batch_pop(batch, pool->log);

        if (rest == NULL) {
            break;
        }

        rest->apart = 1;
        ngx_iclock_pg_member_deadline(member, rest);
        ngx_queue_insert_head(&member->todo, &rest->queue);
    }

    batch->apart = 1;
    ngx_iclock_pg_member_deadline(member, batch);
    ngx_queue_insert_head(&member->todo, &batch->queue);
}


/* another chance for those that are not at fault */

static void
ngx_iclock_pg_member_deadline(ngx_iclock_pg_member_t *member,
    ngx_iclock_pg_batch_t *batch)
{
    ngx_uint_t              i;
    ngx_iclock_pg_slice_t  *slice;

    slice = batch->slices.elts;

    for (i = 0; i < batch->slices.nelts; i++) {
        slice[i].job->deadline = ngx_current_msec
                                 + member->pool->conf->timeout;
    }
}


/*
 * All statements are idempotent, so a batch may be sent again even if it is
 * unknown whether it was committed; only what counts for the eyes of operators
 * may count it twice.
 */

static void
ngx_iclock_pg_member_retry(ngx_iclock_pg_member_t *member,
    ngx_iclock_pg_batch_t *batch, ngx_int_t rc)
{
    ngx_iclock_pg_pool_t  *pool;

    pool = member->pool;

    if (batch->tries++ >= NGX_ICLOCK_PG_RETRIES) {

        if (rc == NGX_BUSY) {
            ngx_iclock_pg_member_apart(member, batch, rc);
            return;
        }

        ngx_iclock_pg_pool_settle(pool, batch, rc);
        return;
    }

    (void) ngx_atomic_fetch_add(&pool->stat->retries, 1);

    /* halves are run in their order, since what comes last wins */

    if (!ngx_queue_empty(&member->todo)) {
        ngx_queue_add(&batch->rest, &member->todo);
        ngx_queue_init(&member->todo);
    }

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


void
ngx_iclock_pg_member_close(ngx_iclock_pg_member_t *member)
{
    ngx_iclock_pg_conn_close(&member->conn);
    ngx_iclock_pg_member_redo(member);
}


/* what was to be run on a connection that is closed, another has to run */

static void
ngx_iclock_pg_member_redo(ngx_iclock_pg_member_t *member)
{
    ngx_queue_t            *q;
    ngx_iclock_pg_batch_t  *batch;

    if (ngx_queue_empty(&member->todo)) {
        return;
    }

    q = ngx_queue_head(&member->todo);
    ngx_queue_remove(q);

    batch = ngx_queue_data(q, ngx_iclock_pg_batch_t, queue);

    if (!ngx_queue_empty(&member->todo)) {
        ngx_queue_add(&batch->rest, &member->todo);
        ngx_queue_init(&member->todo);
    }

    ngx_queue_insert_head(&member->pool->redo, q);
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
