
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


#include "iclock_pg.h"
#include "iclock_store_query.h"


#define NGX_ICLOCK_QUERY_POOL  2048


/* a query and what its caller need not see */
struct ngx_iclock_query_work_s {
    ngx_iclock_pg_job_t         pg;         /* the first: src/pg hands it on */
    ngx_iclock_query_t          query;
    ngx_iclock_queries_t       *queries;
    ngx_msec_t                  started;
};


struct ngx_iclock_queries_s {
    ngx_iclock_pg_pool_t       *pool;
    ngx_iclock_pg_listen_t     *listen;
    ngx_iclock_query_notify_pt  notify;
    void                       *data;
};


static ngx_int_t ngx_iclock_query_build(ngx_iclock_pg_batch_t *batch,
    void *data);
static void ngx_iclock_query_result(ngx_iclock_pg_batch_t *batch,
    ngx_iclock_pg_exec_t *exec, void *data);
static ngx_int_t ngx_iclock_query_values(ngx_iclock_query_t *q,
    PGresult *res);
static ngx_int_t ngx_iclock_query_text(ngx_pool_t *pool, ngx_str_t *text,
    const u_char *data, size_t len);
static ngx_int_t ngx_iclock_query_reject(ngx_iclock_pg_job_t *pgjob,
    ngx_uint_t item, ngx_str_t *sqlstate, ngx_str_t *message, void *data);
static void ngx_iclock_query_failed(ngx_iclock_pg_job_t *pgjob,
    ngx_str_t *sqlstate, ngx_str_t *message, void *data);
static void ngx_iclock_query_done(ngx_iclock_pg_job_t *pgjob, void *data);
static void ngx_iclock_query_notified(const char *channel,
    const char *payload, void *data);


static const Oid  ngx_iclock_query_types[NGX_ICLOCK_QUERY_PARAMS] = {
    NGX_ICLOCK_PG_TEXT, NGX_ICLOCK_PG_TEXT, NGX_ICLOCK_PG_TEXT,
    NGX_ICLOCK_PG_TEXT, NGX_ICLOCK_PG_TEXT, NGX_ICLOCK_PG_TEXT,
    NGX_ICLOCK_PG_TEXT, NGX_ICLOCK_PG_TEXT
};


#define ngx_iclock_query_statement(constant, name, nparams, text)            \
    { "iclock_" #name, text, nparams, ngx_iclock_query_types },

static const ngx_iclock_pg_statement_t  ngx_iclock_query_statements[] = {
    NGX_ICLOCK_EACH_QUERY(ngx_iclock_query_statement)
};


/* filters may be there or not, which a generic plan does not know */

static ngx_iclock_pg_handlers_t  ngx_iclock_query_pg_handlers = {
    NULL,
    NULL,
    ngx_iclock_query_build,
    ngx_iclock_query_result,
    ngx_iclock_query_reject,
    ngx_iclock_query_done,
    ngx_iclock_query_failed,
    "/api",
    "SET plan_cache_mode = auto;",
    NULL
};


/* in the order of NGX_ICLOCK_QUERY_CHANNEL_* */

static const char  *ngx_iclock_query_channels[] = {
    "iclock_api_key",
    "iclock_event",
    NULL
};


ngx_iclock_queries_t *
ngx_iclock_queries_create(ngx_cycle_t *cycle, ngx_iclock_store_conf_t *conf,
    ngx_iclock_store_stat_t *stat)
{
    ngx_iclock_queries_t  *queries;

    queries = ngx_pcalloc(cycle->pool, sizeof(ngx_iclock_queries_t));
    if (queries == NULL) {
        return NULL;
    }

    queries->pool = ngx_iclock_pg_pool_create(cycle, conf,
                                              &ngx_iclock_query_pg_handlers,
                                              stat, queries);

    return queries->pool ? queries : NULL;
}


ngx_int_t
ngx_iclock_queries_listen(ngx_iclock_queries_t *queries, ngx_cycle_t *cycle,
    ngx_iclock_store_conf_t *conf, ngx_iclock_store_stat_t *stat,
    ngx_iclock_query_notify_pt notify, void *data)
{
    queries->notify = notify;
    queries->data = data;

    queries->listen = ngx_iclock_pg_listen_create(cycle, conf,
                                                  "iclock/listen/api",
                                                  ngx_iclock_query_channels,
                                                  ngx_iclock_query_notified,
                                                  stat, queries);

    return queries->listen ? NGX_OK : NGX_ERROR;
}


ngx_uint_t
ngx_iclock_queries_listening(ngx_iclock_queries_t *queries)
{
    return queries->listen && ngx_iclock_pg_listening(queries->listen);
}


void
ngx_iclock_queries_close(ngx_iclock_queries_t *queries)
{
    if (queries->listen) {
        ngx_iclock_pg_listen_close(queries->listen);
    }

    ngx_iclock_pg_pool_close(queries->pool);
}


static void
ngx_iclock_query_notified(const char *channel, const char *payload,
    void *data)
{
    ngx_iclock_queries_t *queries = data;

    ngx_str_t   text;
    ngx_uint_t  i;

    if (channel == NULL) {
        queries->notify(NGX_ICLOCK_QUERY_CHANNEL_ALL, NULL, queries->data);
        return;
    }

    text.data = (u_char *) payload;
    text.len = ngx_strlen(payload);

    for (i = 0; ngx_iclock_query_channels[i]; i++) {

        if (ngx_strcmp(channel, ngx_iclock_query_channels[i]) == 0) {
            queries->notify(i, &text, queries->data);
            return;
        }
    }
}


ngx_iclock_query_t *
ngx_iclock_query_create(ngx_iclock_queries_t *queries, ngx_uint_t statement,
    ngx_log_t *log)
{
    ngx_pool_t               *pool;
    ngx_iclock_query_work_t  *work;

    pool = ngx_create_pool(NGX_ICLOCK_QUERY_POOL, log);
    if (pool == NULL) {
        return NULL;
    }

    /* it may outlast the connection whose log this is */
    pool->log = ngx_cycle->log;

    work = ngx_pcalloc(pool, sizeof(ngx_iclock_query_work_t));
    if (work == NULL) {
        ngx_destroy_pool(pool);
        return NULL;
    }

    work->queries = queries;
    work->query.pool = pool;
    work->query.work = work;
    work->query.statement = statement;
    work->pg.connection = log->connection;
    work->pg.debug = log->log_level & NGX_LOG_DEBUG_CONNECTION;

    return &work->query;
}


void
ngx_iclock_query_destroy(ngx_iclock_query_t *q)
{
    ngx_destroy_pool(q->pool);
}


ngx_uint_t
ngx_iclock_query_connected(ngx_iclock_queries_t *queries)
{
    return ngx_iclock_pg_connected(queries->pool);
}


ngx_uint_t
ngx_iclock_query_full(ngx_iclock_queries_t *queries, size_t held)
{
    return ngx_iclock_pg_full(queries->pool, held);
}


ngx_int_t
ngx_iclock_query_submit(ngx_iclock_query_t *q)
{
    ngx_uint_t                i;
    ngx_iclock_query_work_t  *work;

    work = q->work;

    work->pg.nitems = 1;
    work->pg.alone = 1;
    work->pg.once = q->once;

    for (i = 0; i < NGX_ICLOCK_QUERY_PARAMS; i++) {
        work->pg.bytes += q->params[i].len;
    }

    work->pg.held = ngx_max(work->pg.bytes, q->held);
    work->started = ngx_current_msec;

    return ngx_iclock_pg_submit(work->queries->pool, &work->pg);
}


void
ngx_iclock_query_cancel(ngx_iclock_query_t *q)
{
    q->handler = NULL;

    ngx_iclock_pg_cancel(q->work->queries->pool, &q->work->pg);
}


static ngx_int_t
ngx_iclock_query_build(ngx_iclock_pg_batch_t *batch, void *data)
{
    ngx_uint_t                        i;
    ngx_iclock_query_t               *q;
    ngx_iclock_pg_exec_t             *exec;
    ngx_iclock_pg_slice_t            *slice;
    const ngx_iclock_pg_statement_t  *st;

    slice = batch->slices.elts;

    if (slice->job->cancelled) {
        /* what the parameters point to is gone */
        return NGX_OK;
    }

    q = &((ngx_iclock_query_work_t *) slice->job)->query;
    st = &ngx_iclock_query_statements[q->statement];

    exec = ngx_iclock_pg_batch_add(batch, st, q->statement, q);
    if (exec == NULL) {
        return NGX_ERROR;
    }

    for (i = 0; i < st->nparams; i++) {

        if (q->params[i].data) {
            exec->values[i] = (char *) q->params[i].data;
            exec->lengths[i] = (int) q->params[i].len;
        }
    }

    return NGX_OK;
}


static void
ngx_iclock_query_result(ngx_iclock_pg_batch_t *batch,
    ngx_iclock_pg_exec_t *exec, void *data)
{
    ngx_iclock_query_t  *q;

    q = exec->data;

    q->sqlstate.len = 0;
    q->message.len = 0;

    q->rc = q->handler ? ngx_iclock_query_values(q, exec->result) : NGX_OK;
}


static ngx_int_t
ngx_iclock_query_values(ngx_iclock_query_t *q, PGresult *res)
{
    int         row, column;
    ngx_str_t  *value;

    q->nrows = PQntuples(res);
    q->ncols = PQnfields(res);

    q->values = ngx_pcalloc(q->pool,
                            (q->nrows * q->ncols + 1) * sizeof(ngx_str_t));
    if (q->values == NULL) {
        return NGX_ERROR;
    }

    value = q->values;

    for (row = 0; row < (int) q->nrows; row++) {
        for (column = 0; column < (int) q->ncols; column++) {

            if (!PQgetisnull(res, row, column)
                && ngx_iclock_query_text(q->pool, value,
                                 (u_char *) PQgetvalue(res, row, column),
                                 PQgetlength(res, row, column))
                   != NGX_OK)
            {
                return NGX_ERROR;
            }

            value++;
        }
    }

    return NGX_OK;
}


/* ends with NUL besides */

static ngx_int_t
ngx_iclock_query_text(ngx_pool_t *pool, ngx_str_t *text, const u_char *data,
    size_t len)
{
    text->data = ngx_pnalloc(pool, len + 1);
    if (text->data == NULL) {
        return NGX_ERROR;
    }

    text->len = len;

    ngx_memcpy(text->data, data, len);
    text->data[len] = '\0';

    return NGX_OK;
}


/* there is nothing else to make of it */

static ngx_int_t
ngx_iclock_query_reject(ngx_iclock_pg_job_t *pgjob, ngx_uint_t item,
    ngx_str_t *sqlstate, ngx_str_t *message, void *data)
{
    return NGX_DECLINED;
}


static void
ngx_iclock_query_failed(ngx_iclock_pg_job_t *pgjob, ngx_str_t *sqlstate,
    ngx_str_t *message, void *data)
{
    ngx_iclock_query_t  *q;

    q = &((ngx_iclock_query_work_t *) pgjob)->query;

    if (ngx_iclock_query_text(q->pool, &q->sqlstate, sqlstate->data,
                              sqlstate->len)
        != NGX_OK
        || ngx_iclock_query_text(q->pool, &q->message, message->data,
                                 message->len)
           != NGX_OK)
    {
        q->sqlstate.len = 0;
        q->message.len = 0;
    }
}


static void
ngx_iclock_query_done(ngx_iclock_pg_job_t *pgjob, void *data)
{
    ngx_iclock_query_t       *q;
    ngx_iclock_query_work_t  *work;

    work = (ngx_iclock_query_work_t *) pgjob;
    q = &work->query;

    if (q->handler == NULL) {
        ngx_iclock_query_destroy(q);
        return;
    }

    if (q->rc == NGX_OK) {
        q->rc = work->pg.rc;
    }

    q->doubtful = work->pg.doubtful;
    q->elapsed = ngx_current_msec - work->started;

    q->handler(q);
}
