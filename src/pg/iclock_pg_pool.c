
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


#include "iclock_pg_private.h"

#if (__GLIBC__)
#include <malloc.h>
#endif


/*
 * The buffers of libpq grow with what is sent and received, and are never
 * given back: a connection with more than that is replaced when it is idle.
 */
#define NGX_ICLOCK_PG_BUFFERS    (1024 * 1024)

/*
 * How often connections with large buffers are replaced, in milliseconds: not
 * after each of the photos that come one after the other.
 */
#define NGX_ICLOCK_PG_SHRINK     1000

/*
 * Once so many items or bytes were built in a turn of the event loop the other
 * connections get theirs in the next one.
 */
#define NGX_ICLOCK_PG_TURN_ITEMS  512
#define NGX_ICLOCK_PG_TURN_BYTES  (512 * 1024)


static void ngx_iclock_pg_pool_setup(ngx_iclock_pg_pool_t *pool);
static void ngx_iclock_pg_pool_dispatch(ngx_event_t *ev);
static void ngx_iclock_pg_pool_feed(ngx_iclock_pg_pool_t *pool,
    ngx_iclock_pg_member_t *member);
static ngx_uint_t ngx_iclock_pg_pool_turn(ngx_iclock_pg_pool_t *pool);
static ngx_uint_t ngx_iclock_pg_pool_has(ngx_iclock_pg_pool_t *pool,
    ngx_uint_t last);
static void ngx_iclock_pg_pool_open(ngx_iclock_pg_pool_t *pool);
static void ngx_iclock_pg_pool_backoff_handler(ngx_event_t *ev);
static void ngx_iclock_pg_pool_yield_handler(ngx_event_t *ev);
static ngx_uint_t ngx_iclock_pg_pool_grown(ngx_iclock_pg_member_t *member);
static void ngx_iclock_pg_pool_shrink_handler(ngx_event_t *ev);


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

    ngx_iclock_pg_queue_init(pool);

    ngx_iclock_count_by(QUEUE_LIMIT, conf->connector, conf->queue);

    pool->dispatch.handler = ngx_iclock_pg_pool_dispatch;
    pool->dispatch.data = pool;
    pool->dispatch.log = cycle->log;

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
    ngx_msec_t                 timeout;
    ngx_iclock_pg_handlers_t  *handlers;

    handlers = pool->handlers;

    /* the server gives up before we do */

    timeout = pool->conf->timeout - pool->conf->timeout / 10;

    ngx_snprintf(pool->application, NGX_ICLOCK_PG_APPLICATION_LEN,
                 "iclock/%ui%s%Z", ngx_worker,
                 handlers->name ? handlers->name : "");

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
                 /* Citus sends rows to nodes by the values of parameters */
                 "SELECT set_config('plan_cache_mode', 'auto', false)"
                 " FROM pg_catalog.pg_extension WHERE extname = 'citus';"
                 /* statements are short, compiling one takes longer */
                 "SET jit = off;"
                 /* what is acknowledged has to survive a crash */
                 "SELECT set_config('synchronous_commit', 'on', false)"
                 " WHERE current_setting('synchronous_commit') = 'off';"
                 "%s%s%Z",
                 timeout, timeout, timeout,
                 handlers->settings ? handlers->settings : "",
                 handlers->identity ? handlers->identity : "");
}


uint32_t
ngx_iclock_pg_pool_database(ngx_iclock_pg_pool_t *pool)
{
    return pool->database;
}


ngx_uint_t
ngx_iclock_pg_connected(ngx_iclock_pg_pool_t *pool)
{
    ngx_uint_t  i;

    for (i = 0; i < pool->conf->connections; i++) {
        if (pool->members[i].conn.state >= NGX_ICLOCK_PG_IDLE) {
            return 1;
        }
    }

    return 0;
}


ngx_int_t
ngx_iclock_pg_submit(ngx_iclock_pg_pool_t *pool, ngx_iclock_pg_job_t *job)
{
    if (ngx_iclock_pg_queue_full(pool, job->held)) {
        return NGX_BUSY;
    }

    if (pool->backoff.timer_set
        && !ngx_iclock_pg_pool_has(pool, NGX_ICLOCK_PG_BUSY))
    {
        return NGX_DECLINED;
    }

    ngx_iclock_pg_queue_add(pool, job);

    return NGX_OK;
}


static void
ngx_iclock_pg_pool_dispatch(ngx_event_t *ev)
{
    ngx_uint_t             i;
    ngx_iclock_pg_pool_t  *pool;

    pool = ev->data;
    pool->items = 0;
    pool->bytes = 0;
    pool->ndone = 0;
    pool->more = 0;

    for (i = 0; i < pool->conf->connections; i++) {
        ngx_iclock_pg_pool_feed(pool, &pool->members[i]);
    }

    ngx_iclock_pg_queue_expire(pool);

    if (pool->more) {
        /* for connections that are idle now */
        return;
    }

    /* one connection is always kept open */

    if (!ngx_iclock_pg_queue_has_work(pool)
        && (ngx_exiting || ngx_iclock_pg_pool_has(pool, NGX_ICLOCK_PG_BUSY)))
    {
        return;
    }

    if (!pool->backoff.timer_set
        && !ngx_iclock_pg_pool_has(pool, NGX_ICLOCK_PG_SETUP))
    {
        ngx_iclock_pg_pool_open(pool);
        return;
    }

    if (!ngx_iclock_pg_pool_has(pool, NGX_ICLOCK_PG_BUSY)) {
        ngx_iclock_pg_queue_fail(pool);
    }
}


/* gives what waits to a connection that is idle */

static void
ngx_iclock_pg_pool_feed(ngx_iclock_pg_pool_t *pool,
    ngx_iclock_pg_member_t *member)
{
    size_t                  bytes;
    ngx_uint_t              items;
    ngx_iclock_pg_batch_t  *batch;

    if (member->conn.state == NGX_ICLOCK_PG_IDLE
        && member->generation != pool->generation)
    {
        ngx_iclock_pg_member_close(member);
    }

    if (ngx_iclock_pg_pool_grown(member) && !pool->shrink.timer_set) {
        ngx_add_timer(&pool->shrink, NGX_ICLOCK_PG_SHRINK);
    }

    while (member->conn.state == NGX_ICLOCK_PG_IDLE) {

        if (ngx_iclock_pg_pool_turn(pool)) {
            return;
        }

        batch = ngx_iclock_pg_member_next(member);

        if (batch == NULL) {
            break;
        }

        items = batch->nitems;
        bytes = batch->bytes;

        ngx_iclock_pg_pipeline_run(member, batch);

        /* its timer keeps a worker that shuts down until the next turn */

        if (member->conn.state == NGX_ICLOCK_PG_BUSY) {
            pool->items += items;
            pool->bytes += bytes;
        }
    }

    if (member->conn.state == NGX_ICLOCK_PG_IDLE
        && (ngx_exiting || ngx_terminate))
    {
        ngx_iclock_pg_conn_close(&member->conn);
    }
}


/* whether what is left to be built has to wait for the next turn */

static ngx_uint_t
ngx_iclock_pg_pool_turn(ngx_iclock_pg_pool_t *pool)
{
    if ((pool->items < NGX_ICLOCK_PG_TURN_ITEMS
         && pool->bytes < NGX_ICLOCK_PG_TURN_BYTES)
        || !ngx_iclock_pg_queue_has_work(pool))
    {
        return 0;
    }

    ngx_post_event(&pool->dispatch, &ngx_posted_next_events);
    pool->more = 1;

    return 1;
}


/* whether a connection is in that state, or on its way to it */

static ngx_uint_t
ngx_iclock_pg_pool_has(ngx_iclock_pg_pool_t *pool, ngx_uint_t last)
{
    ngx_uint_t  i, state;

    for (i = 0; i < pool->conf->connections; i++) {
        state = pool->members[i].conn.state;

        if (state >= NGX_ICLOCK_PG_RESOLVING && state <= last) {
            return 1;
        }
    }

    return 0;
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


static void
ngx_iclock_pg_pool_backoff_handler(ngx_event_t *ev)
{
    ngx_iclock_pg_pool_t  *pool;

    pool = ev->data;

    if (ngx_exiting || ngx_terminate) {
        return;
    }

    if (!ngx_iclock_pg_pool_has(pool, NGX_ICLOCK_PG_BUSY)) {
        ngx_iclock_pg_pool_open(pool);
        return;
    }

    ngx_iclock_pg_pool_post(pool);
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


static ngx_uint_t
ngx_iclock_pg_pool_grown(ngx_iclock_pg_member_t *member)
{
    return member->conn.state == NGX_ICLOCK_PG_IDLE
           && member->largest > NGX_ICLOCK_PG_BUFFERS;
}


static void
ngx_iclock_pg_pool_shrink_handler(ngx_event_t *ev)
{
    ngx_uint_t               i, closed;
    ngx_iclock_pg_pool_t    *pool;
    ngx_iclock_pg_member_t  *member;

    pool = ev->data;
    closed = 0;

    for (i = 0; i < pool->conf->connections; i++) {
        member = &pool->members[i];

        if (ngx_iclock_pg_pool_grown(member)) {
            ngx_iclock_pg_member_close(member);
            closed = 1;
        }
    }

#if (__GLIBC__)
    /*
     * the C library would keep free memory that lies below a smaller block in
     * use
     */
    (void) malloc_trim(0);

    /* and once more: a slow client may have kept its body until now */

    if (closed) {
        ngx_add_timer(ev, 10 * NGX_ICLOCK_PG_SHRINK);
    }
#endif

    ngx_iclock_pg_pool_post(pool);
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

    ngx_iclock_pg_gather_close(pool);
    ngx_iclock_pg_queue_close(pool);

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
