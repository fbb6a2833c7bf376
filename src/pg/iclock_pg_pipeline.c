
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


#include "iclock_pg_private.h"


/*
 * A batch that has failed because of a lock, or was too slow, must not hold up
 * others as long again; in tenths of the time that a transaction may take.
 */
#define NGX_ICLOCK_PG_APART_LOCK       1
#define NGX_ICLOCK_PG_APART_STATEMENT  3


/* a step whose result is of no interest */
#define NGX_ICLOCK_PG_NO_EXEC  ((ngx_uint_t) -1)


static ngx_int_t ngx_iclock_pg_pipeline_guard(ngx_iclock_pg_member_t *member,
    ngx_iclock_pg_batch_t *batch);
static ngx_int_t ngx_iclock_pg_pipeline_send(ngx_iclock_pg_member_t *member);
static ngx_int_t ngx_iclock_pg_pipeline_send_apart(
    ngx_iclock_pg_member_t *member);
static ngx_int_t ngx_iclock_pg_pipeline_send_exec(
    ngx_iclock_pg_member_t *member, ngx_uint_t n);
static ngx_int_t ngx_iclock_pg_pipeline_prepare(
    ngx_iclock_pg_member_t *member, ngx_iclock_pg_exec_t *exec, ngx_uint_t n);
static ngx_int_t ngx_iclock_pg_pipeline_step(ngx_iclock_pg_member_t *member,
    ngx_uint_t exec, ngx_uint_t prepare);
static void ngx_iclock_pg_pipeline_result(ngx_iclock_pg_member_t *member,
    PGresult *res);
static void ngx_iclock_pg_pipeline_error(ngx_iclock_pg_member_t *member,
    PGresult *res);
static void ngx_iclock_pg_pipeline_finished(ngx_iclock_pg_member_t *member);
static void ngx_iclock_pg_pipeline_count(ngx_iclock_pg_pool_t *pool,
    ngx_iclock_pg_batch_t *batch);


void
ngx_iclock_pg_pipeline_run(ngx_iclock_pg_member_t *member,
    ngx_iclock_pg_batch_t *batch)
{
    ngx_uint_t             guards;
    ngx_iclock_pg_pool_t  *pool;

    pool = member->pool;

    ngx_iclock_pg_batch_reset(batch);

    if (batch->slices.nelts == 0) {
        ngx_iclock_pg_queue_settle(pool, batch, NGX_OK);
        return;
    }

    if (ngx_iclock_pg_batch_prepare(batch, pool->log) != NGX_OK
        || ngx_iclock_pg_pipeline_guard(member, batch) != NGX_OK)
    {
        ngx_iclock_pg_queue_settle(pool, batch, NGX_ERROR);
        return;
    }

    guards = batch->execs.nelts;
    batch->records = 0;

    if (pool->handlers->build(batch, pool->data) != NGX_OK) {
        ngx_iclock_pg_queue_settle(pool, batch, NGX_ERROR);
        return;
    }

    if (batch->execs.nelts == guards) {
        ngx_iclock_pg_queue_settle(pool, batch, NGX_OK);
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

    batch->number = ngx_atomic_fetch_add(&pool->stat->batches, 1) + 1;
    batch->started = ngx_iclock_metric_clock();

    if (ngx_iclock_pg_pipeline_send(member) != NGX_OK) {
        ngx_iclock_pg_conn_lost(&member->conn, NULL);
        return;
    }

    ngx_iclock_pg_trace(batch, batch->tries ? "sent again" : "sent", NULL);

    /* libpq has copied the parameters */

    ngx_destroy_pool(batch->params);
    batch->params = NULL;
}


/*
 * A backup may be restored below a connection: prepared statements are planned
 * again, and ids are those of others.
 */

static ngx_int_t
ngx_iclock_pg_pipeline_guard(ngx_iclock_pg_member_t *member,
    ngx_iclock_pg_batch_t *batch)
{
    u_char                *p;
    ngx_uint_t             i;
    ngx_iclock_pg_exec_t  *exec;
    ngx_iclock_pg_conn_t  *conn;

    conn = &member->conn;

    if (conn->nidentity == 0) {
        return NGX_OK;
    }

    exec = ngx_iclock_pg_batch_add(batch, member->pool->handlers->guard,
                                   NGX_ICLOCK_PG_GUARD, NULL);
    if (exec == NULL) {
        return NGX_ERROR;
    }

    p = conn->identity;

    for (i = 0; i < conn->nidentity; i++) {

        if (conn->identity_len[i] < 0) {
            /* a NULL pointer is NULL */
            continue;
        }

        exec->values[i] = (char *) p;
        exec->lengths[i] = conn->identity_len[i];

        p += conn->identity_len[i];
    }

    return NGX_OK;
}


static ngx_int_t
ngx_iclock_pg_pipeline_send(ngx_iclock_pg_member_t *member)
{
    ngx_uint_t  n;

    if (member->batch->apart
        && ngx_iclock_pg_pipeline_send_apart(member) != NGX_OK)
    {
        return NGX_ERROR;
    }

    for (n = 0; n < member->batch->execs.nelts; n++) {
        if (ngx_iclock_pg_pipeline_send_exec(member, n) != NGX_OK) {
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
ngx_iclock_pg_pipeline_send_apart(ngx_iclock_pg_member_t *member)
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

    return ngx_iclock_pg_pipeline_step(member, NGX_ICLOCK_PG_NO_EXEC, 0);
}


static ngx_int_t
ngx_iclock_pg_pipeline_send_exec(ngx_iclock_pg_member_t *member, ngx_uint_t n)
{
    int                               i, nparams, sent, *formats;
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
        member->sent += exec->lengths[i];
    }

    if (member->pool->unprepared) {
        sent = PQsendQueryParams(pg, st->text, nparams, st->types,
                                 exec->values, exec->lengths, formats, 0);

    } else {
        if (ngx_iclock_pg_pipeline_prepare(member, exec, n) != NGX_OK) {
            return NGX_ERROR;
        }

        sent = PQsendQueryPrepared(pg, st->name, nparams, exec->values,
                                   exec->lengths, formats, 0);
    }

    return sent ? ngx_iclock_pg_pipeline_step(member, n, 0) : NGX_ERROR;
}


/* a statement may be in a pipeline more than once */

static ngx_int_t
ngx_iclock_pg_pipeline_prepare(ngx_iclock_pg_member_t *member,
    ngx_iclock_pg_exec_t *exec, ngx_uint_t n)
{
    uint64_t                          bit;
    const ngx_iclock_pg_statement_t  *st;

    bit = (uint64_t) 1 << exec->number;

    if ((member->prepared | member->preparing) & bit) {
        return NGX_OK;
    }

    member->preparing |= bit;

    st = exec->statement;

    if (PQsendPrepare(member->conn.pg, st->name, st->text, (int) st->nparams,
                      st->types)
        == 0)
    {
        return NGX_ERROR;
    }

    return ngx_iclock_pg_pipeline_step(member, n, 1);
}


static ngx_int_t
ngx_iclock_pg_pipeline_step(ngx_iclock_pg_member_t *member, ngx_uint_t exec,
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


void
ngx_iclock_pg_pipeline_input(ngx_iclock_pg_conn_t *conn)
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
            ngx_iclock_pg_pipeline_finished(member);
            return;
        }

        ngx_iclock_pg_pipeline_result(member, res);

        if (conn->state != NGX_ICLOCK_PG_BUSY) {
            return;
        }
    }
}


/* takes the result over */

static void
ngx_iclock_pg_pipeline_result(ngx_iclock_pg_member_t *member, PGresult *res)
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
        ngx_iclock_pg_pipeline_error(member, res);
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
ngx_iclock_pg_pipeline_error(ngx_iclock_pg_member_t *member, PGresult *res)
{
    const char  *sqlstate, *message;

    if (member->failed) {
        return;
    }

    sqlstate = PQresultErrorField(res, PG_DIAG_SQLSTATE);

    if (sqlstate == NULL) {

        /*
         * PostgreSQL has rolled back what it reports, but this comes from
         * libpq, which may not be able to read what was committed
         */

        ngx_iclock_pg_conn_lost(&member->conn, PQresultErrorMessage(res));
        return;
    }

    member->failed = 1;

    message = PQresultErrorField(res, PG_DIAG_MESSAGE_PRIMARY);

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
ngx_iclock_pg_pipeline_finished(ngx_iclock_pg_member_t *member)
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
        ngx_iclock_pg_trace(batch, "committed", NULL);
        ngx_iclock_pg_pipeline_count(pool, batch);

        exec = batch->execs.elts;

        for (i = 0; i < batch->execs.nelts; i++) {
            pool->handlers->result(batch, &exec[i], pool->data);
        }

        ngx_iclock_pg_queue_settle(pool, batch, NGX_OK);
        return;
    }

    ngx_iclock_pg_recover(member, batch);
}


/* what each request has alone, on the other pool, is nothing to be counted */

static void
ngx_iclock_pg_pipeline_count(ngx_iclock_pg_pool_t *pool,
    ngx_iclock_pg_batch_t *batch)
{
    if (pool->conf->connector != NGX_ICLOCK_L_CONNECTOR_DEVICE) {
        return;
    }

    ngx_iclock_pg_batch_count(pool, NGX_ICLOCK_L_COMMIT_COMMITTED);

    ngx_iclock_observe(COMMIT_DURATION, 0,
                       ngx_iclock_metric_clock() - batch->started);
    ngx_iclock_observe(COMMIT_REQUESTS, 0, batch->slices.nelts);
    ngx_iclock_observe(COMMIT_RECORDS, 0, batch->records);
}
