
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


#include "iclock_store_private.h"


#define NGX_ICLOCK_STORE_JOB_POOL  1024


static void ngx_iclock_store_result(ngx_iclock_pg_batch_t *batch,
    ngx_iclock_pg_exec_t *exec, void *data);
static ngx_uint_t ngx_iclock_store_side(uint32_t kinds);
static ngx_int_t ngx_iclock_store_reject(ngx_iclock_pg_job_t *pgjob,
    ngx_uint_t item, ngx_str_t *sqlstate, ngx_str_t *message, void *data);
static ngx_int_t ngx_iclock_store_refuse(ngx_iclock_store_job_t *job,
    ngx_uint_t item, ngx_str_t *reason);
static void ngx_iclock_store_done(ngx_iclock_pg_job_t *pgjob, void *data);
static void ngx_iclock_store_failed(ngx_iclock_pg_job_t *pgjob,
    ngx_str_t *sqlstate, ngx_str_t *message, void *data);
static size_t ngx_iclock_store_size(ngx_iclock_pg_job_t *pgjob,
    ngx_uint_t item);
static void ngx_iclock_store_notified(const char *channel,
    const char *payload, void *data);


/*
 * Ids are those of a table, until another backup is restored into it, which
 * begins by emptying it and so gives it another file, or a server takes over
 * that may have lost the last ones.  Whoever has no right to the schema is told
 * so by a statement, not by this.
 */

#define NGX_ICLOCK_STORE_IDENTITY                                            \
    "SELECT oidsend(d.oid) AS iclock_identity,"                              \
    " textsend(pg_relation_filepath(d.oid)),"                                \
    " timestamptz_send(pg_postmaster_start_time())"                          \
    " FROM (SELECT (SELECT c.oid FROM pg_class c"                            \
    " JOIN pg_namespace n ON n.oid = c.relnamespace"                         \
    " WHERE n.nspname = 'iclock' AND c.relname = 'device')"                  \
    " AS oid OFFSET 0) d"


/*
 * The table is named so that it is locked, and the statement planned anew if
 * there is another one: whoever replaces it waits for the end of the
 * transaction, or is seen here.  This begins every transaction: it reads no
 * catalog, and turns no number into a text.
 */

static const Oid  ngx_iclock_store_guard_types[] = {
    NGX_ICLOCK_PG_OID, NGX_ICLOCK_PG_TEXT, NGX_ICLOCK_PG_TIMESTAMPTZ
};

static const ngx_iclock_pg_statement_t  ngx_iclock_store_guard = {
    "iclock_guard",
    "SELECT iclock.other_database()"
    " FROM (SELECT count(*) FROM iclock.device WHERE false) t"
    " WHERE $1 IS DISTINCT FROM 'iclock.device'::regclass::oid"
    " OR $2 IS DISTINCT FROM pg_relation_filepath('iclock.device')"
    " OR $3 IS DISTINCT FROM pg_postmaster_start_time()",
    3,
    ngx_iclock_store_guard_types
};


static ngx_iclock_pg_handlers_t  ngx_iclock_store_pg_handlers = {
    NGX_ICLOCK_STORE_IDENTITY,
    &ngx_iclock_store_guard,
    ngx_iclock_store_build,
    ngx_iclock_store_result,
    ngx_iclock_store_reject,
    ngx_iclock_store_done,
    ngx_iclock_store_failed,
    NULL,
    NULL,
    ngx_iclock_store_size
};


/* in the order of NGX_ICLOCK_CHANNEL_* */

static const char  *ngx_iclock_store_channels[] = {
    "iclock_command",
    "iclock_device",
    "iclock_maintain",
    "iclock_events",
    NULL
};


char *
ngx_iclock_store_server(ngx_conf_t *cf, ngx_iclock_store_conf_t *conf,
    ngx_str_t *conninfo)
{
    char  *err;

    conf->server = ngx_iclock_pg_server_create(cf, conninfo, &err);

    return conf->server ? NGX_CONF_OK : err;
}


uint32_t
ngx_iclock_store_origin(ngx_iclock_store_conf_t *conf)
{
    return ngx_iclock_pg_server_hash(conf->server);
}


char *
ngx_iclock_store_passfile(ngx_conf_t *cf, ngx_iclock_store_conf_t *conf,
    ngx_str_t *file)
{
    return ngx_iclock_pg_server_passfile(cf, conf->server, file);
}


ngx_iclock_store_t *
ngx_iclock_store_create(ngx_cycle_t *cycle, ngx_iclock_store_conf_t *conf,
    ngx_iclock_store_stat_t *stat)
{
    ngx_iclock_store_t  *store;

    store = ngx_pcalloc(cycle->pool, sizeof(ngx_iclock_store_t));
    if (store == NULL) {
        return NULL;
    }

    store->pool = ngx_iclock_pg_pool_create(cycle, conf,
                                            &ngx_iclock_store_pg_handlers,
                                            stat, store);
    if (store->pool == NULL) {
        return NULL;
    }

    return store;
}


ngx_int_t
ngx_iclock_store_listen(ngx_iclock_store_t *store, ngx_cycle_t *cycle,
    ngx_iclock_store_conf_t *conf, ngx_iclock_store_stat_t *stat,
    ngx_iclock_store_notify_pt notify, void *data)
{
    store->notify = notify;
    store->data = data;

    store->listen = ngx_iclock_pg_listen_create(cycle, conf, "iclock/listen",
                                                ngx_iclock_store_channels,
                                                ngx_iclock_store_notified,
                                                stat, store);

    return store->listen ? NGX_OK : NGX_ERROR;
}


void
ngx_iclock_store_watch_commits(ngx_iclock_store_t *store,
    void (*committed)(void *data), void *data)
{
    store->committed = committed;
    store->committed_data = data;
}


ngx_uint_t
ngx_iclock_store_listening(ngx_iclock_store_t *store)
{
    return store->listen && ngx_iclock_pg_listening(store->listen);
}


ngx_uint_t
ngx_iclock_store_libpq_version(void)
{
    return PQlibVersion();
}


uint32_t
ngx_iclock_store_database(ngx_iclock_store_t *store)
{
    return ngx_iclock_pg_pool_database(store->pool);
}


void
ngx_iclock_store_close(ngx_iclock_store_t *store)
{
    if (store->listen) {
        ngx_iclock_pg_listen_close(store->listen);
    }

    ngx_iclock_pg_pool_close(store->pool);
}


static void
ngx_iclock_store_notified(const char *channel, const char *payload,
    void *data)
{
    ngx_iclock_store_t *store = data;

    ngx_str_t   serial_number;
    ngx_uint_t  i;

    if (channel == NULL) {
        store->notify(NGX_ICLOCK_CHANNEL_ALL, NULL, store->data);
        return;
    }

    serial_number.data = (u_char *) payload;
    serial_number.len = ngx_strlen(payload);

    for (i = 0; ngx_iclock_store_channels[i]; i++) {

        if (ngx_strcmp(channel, ngx_iclock_store_channels[i]) == 0) {
            store->notify(i, &serial_number, store->data);
            return;
        }
    }
}


ngx_iclock_store_job_t *
ngx_iclock_store_job_create(ngx_iclock_store_t *store, ngx_log_t *log)
{
    ngx_pool_t               *pool;
    ngx_iclock_store_work_t  *work;

    pool = ngx_create_pool(NGX_ICLOCK_STORE_JOB_POOL, log);
    if (pool == NULL) {
        return NULL;
    }

    /* it may outlast the connection whose log this is */
    pool->log = ngx_cycle->log;

    work = ngx_pcalloc(pool, sizeof(ngx_iclock_store_work_t));
    if (work == NULL) {
        ngx_destroy_pool(pool);
        return NULL;
    }

    work->store = store;
    work->job.pool = pool;
    work->job.work = work;
    work->pg.connection = log->connection;
    work->pg.debug = log->log_level & NGX_LOG_DEBUG_CONNECTION;

    return &work->job;
}


void
ngx_iclock_store_job_destroy(ngx_iclock_store_job_t *job)
{
    ngx_destroy_pool(job->pool);
}


ngx_uint_t
ngx_iclock_store_full(ngx_iclock_store_t *store, size_t bytes)
{
    return ngx_iclock_pg_full(store->pool, bytes);
}


void
ngx_iclock_store_hold(ngx_iclock_store_t *store, ssize_t bytes)
{
    ngx_iclock_pg_hold(store->pool, bytes);
}


ngx_uint_t
ngx_iclock_store_may_hold(ngx_iclock_store_t *store, size_t bytes,
    ngx_uint_t first)
{
    return ngx_iclock_pg_may_hold(store->pool, bytes, first);
}


ngx_int_t
ngx_iclock_store_submit(ngx_iclock_store_job_t *job)
{
    ngx_iclock_store_work_t  *work;

    work = job->work;

    if (ngx_array_init(&work->refused, job->pool, 1,
                       sizeof(ngx_iclock_store_refused_t))
        != NGX_OK)
    {
        return NGX_DECLINED;
    }

    work->pg.bytes = job->upload.bytes;
    work->pg.side = ngx_iclock_store_side(job->upload.kinds);
    work->pg.cheap = (job->upload.kinds == (uint32_t) 1 << NGX_ICLOCK_PUNCH);
    work->pg.database = job->database;

    /* the records are parts of the body, or of what was unpacked from it */

    work->pg.held = ngx_max(work->pg.bytes, job->held)
                    + job->upload.items.nelts * sizeof(ngx_iclock_item_t);
    work->pg.nitems = job->upload.items.nelts + job->nops;
    work->started = ngx_current_msec;

    return ngx_iclock_pg_submit(work->store->pool, &work->pg);
}


/*
 * Answers write what devices hold, as uploads of people do, and in the same
 * order.  In one transaction there would be no such order: the answers come
 * after the uploads.
 */

static ngx_uint_t
ngx_iclock_store_side(uint32_t kinds)
{
    ngx_uint_t  side;

    side = 0;

    if (kinds & (uint32_t) 1 << NGX_ICLOCK_REPLY) {
        side |= NGX_ICLOCK_PG_SIDE_A;
    }

    if (kinds & ((uint32_t) 1 << NGX_ICLOCK_USER
                 | (uint32_t) 1 << NGX_ICLOCK_TEMPLATE
                 | (uint32_t) 1 << NGX_ICLOCK_PHOTO
                 | (uint32_t) 1 << NGX_ICLOCK_WORK_CODE))
    {
        side |= NGX_ICLOCK_PG_SIDE_B;
    }

    return side;
}


void
ngx_iclock_store_cancel(ngx_iclock_store_job_t *job)
{
    job->handler = NULL;

    ngx_iclock_pg_cancel(job->work->store->pool, &job->work->pg);
}


/* rows of a result begin with the position of what they answer */

static void
ngx_iclock_store_result(ngx_iclock_pg_batch_t *batch,
    ngx_iclock_pg_exec_t *exec, void *data)
{
    ngx_iclock_store_t *store = data;

    int                                  row;
    ngx_int_t                            ord;
    ngx_uint_t                           repeated;
    const char                          *value;
    ngx_iclock_store_job_t             **owner;
    ngx_iclock_store_group_t            *group;
    const ngx_iclock_store_statement_t  *st;

    repeated = ngx_iclock_store_count(exec);

    group = exec->data;

    if (group == NULL) {
        return;
    }

    if (repeated && group->statement == NGX_ICLOCK_PUNCH) {
        store->repeated = ngx_current_msec;
    }

    st = &ngx_iclock_store_statements[group->statement];

    if (st->row == NULL) {
        return;
    }

    owner = group->jobs.elts;

    for (row = 0; row < PQntuples(exec->result); row++) {

        value = PQgetvalue(exec->result, row, 0);
        ord = ngx_atoi((u_char *) value, ngx_strlen(value));

        if (ord < 1 || (ngx_uint_t) ord > group->jobs.nelts) {
            continue;
        }

        if (st->row(owner[ord - 1], exec->result, row) != NGX_OK) {
            owner[ord - 1]->rc = NGX_ERROR;
        }
    }
}


static ngx_int_t
ngx_iclock_store_reject(ngx_iclock_pg_job_t *pgjob, ngx_uint_t item,
    ngx_str_t *sqlstate, ngx_str_t *message, void *data)
{
    ngx_str_t                text, reason;
    ngx_iclock_store_job_t  *job;

    job = &((ngx_iclock_store_work_t *) pgjob)->job;

    if (item >= job->upload.items.nelts) {
        return NGX_DECLINED;
    }

    text = *message;

    /* a long message may have been cut within a character */

    while (text.len && !ngx_iclock_valid_text(&text)) {
        text.len--;
    }

    reason.data = ngx_pnalloc(job->pool, sqlstate->len + 2 + text.len);
    if (reason.data == NULL) {
        return NGX_DECLINED;
    }

    reason.len = ngx_sprintf(reason.data, "%V: %V", sqlstate, &text)
                 - reason.data;

    if (ngx_iclock_store_refuse(job, item, &reason) != NGX_OK) {
        return NGX_DECLINED;
    }

    job->rejected++;

    /* the line is kept; what it holds must not get into the log */

    ngx_log_error(NGX_LOG_INFO, ngx_cycle->log, 0,
                  "iclock: PostgreSQL refused a record for table \"%V\" of "
                  "device %L, SQLSTATE %V",
                  &job->table, job->device_id, sqlstate);

    return NGX_OK;
}


/* keeps the refused items in their order, in which they are searched */

static ngx_int_t
ngx_iclock_store_refuse(ngx_iclock_store_job_t *job, ngx_uint_t item,
    ngx_str_t *reason)
{
    ngx_uint_t                   i;
    ngx_iclock_store_refused_t  *refused;

    if (ngx_array_push(&job->work->refused) == NULL) {
        return NGX_ERROR;
    }

    refused = job->work->refused.elts;

    for (i = job->work->refused.nelts - 1; i > 0; i--) {

        if (refused[i - 1].item < item) {
            break;
        }

        refused[i] = refused[i - 1];
    }

    refused[i].item = item;
    refused[i].reason = *reason;

    return NGX_OK;
}


static void
ngx_iclock_store_done(ngx_iclock_pg_job_t *pgjob, void *data)
{
    ngx_iclock_store_job_t   *job;
    ngx_iclock_store_work_t  *work;

    work = (ngx_iclock_store_work_t *) pgjob;
    job = &work->job;

    if (work->store->committed && work->pg.rc == NGX_OK
        && (work->events || job->upload.items.nelts))
    {
        work->store->committed(work->store->committed_data);
    }

    if (job->handler == NULL) {
        ngx_iclock_store_job_destroy(job);
        return;
    }

    if (job->rc == NGX_OK) {
        job->rc = work->pg.rc;
    }

    job->database = work->pg.ran;
    job->elapsed = ngx_current_msec - work->started;

    job->handler(job);
}


/*
 * A schema that is older than this module has no function for many punches:
 * they are stored as few are when the devices send them again.
 */

static void
ngx_iclock_store_failed(ngx_iclock_pg_job_t *pgjob, ngx_str_t *sqlstate,
    ngx_str_t *message, void *data)
{
    ngx_iclock_store_t *store = data;

    if (ngx_strncmp(sqlstate->data, NGX_ICLOCK_PG_NO_FUNCTION,
                    NGX_ICLOCK_PG_SQLSTATE_LEN)
        == 0)
    {
        store->repeated = ngx_current_msec;
    }
}


/* other items are operations, which have little */

static size_t
ngx_iclock_store_size(ngx_iclock_pg_job_t *pgjob, ngx_uint_t item)
{
    ngx_iclock_item_t       *items;
    ngx_iclock_store_job_t  *job;

    job = &((ngx_iclock_store_work_t *) pgjob)->job;
    items = job->upload.items.elts;

    return (item < job->upload.items.nelts) ? items[item].data.len : 0;
}
