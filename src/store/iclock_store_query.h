
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


/*
 * What other programs ask of the database: one statement each, texts in, rows
 * of texts out, in a transaction of its own and on a pool of its own, so that
 * no report takes a connection that a device needs.
 */


#ifndef _ICLOCK_STORE_QUERY_H_INCLUDED_
#define _ICLOCK_STORE_QUERY_H_INCLUDED_


#include "iclock_store.h"


/* of one statement, at most */
#define NGX_ICLOCK_QUERY_PARAMS  8


typedef struct ngx_iclock_queries_s     ngx_iclock_queries_t;
typedef struct ngx_iclock_query_s       ngx_iclock_query_t;
typedef struct ngx_iclock_query_work_s  ngx_iclock_query_work_t;


typedef void (*ngx_iclock_query_handler_pt)(ngx_iclock_query_t *q);


#define ngx_iclock_query_constant(constant, name, nparams, text)             \
    constant,

typedef enum {
    NGX_ICLOCK_EACH_QUERY(ngx_iclock_query_constant)
    NGX_ICLOCK_QUERIES
} ngx_iclock_query_e;


struct ngx_iclock_query_s {
    ngx_pool_t                 *pool;           /* its own */
    ngx_iclock_query_work_t    *work;           /* of the store alone */
    ngx_uint_t                  statement;      /* NGX_ICLOCK_QUERY_* */

    /*
     * Set by the caller before the query is submitted.  Valid text without
     * NUL that lives as long as the query; without data it is NULL.
     */
    ngx_str_t                   params[NGX_ICLOCK_QUERY_PARAMS];
    size_t                      held;   /* by the caller meanwhile */
    ngx_uint_t                  once;   /* not idempotent: never sent again */
    ngx_iclock_query_handler_pt handler;
    void                       *data;

    /*
     * results for the handler: NGX_OK (committed), NGX_ERROR, NGX_BUSY (too
     * slow), NGX_DECLINED (the database cannot be reached)
     */
    ngx_int_t                   rc;
    ngx_uint_t                  doubtful;   /* "once": perhaps committed */

    /* of the transaction that failed last; empty: none */
    ngx_str_t                   sqlstate;
    ngx_str_t                   message;

    /* row by row; all end with NUL besides; without data: NULL */
    ngx_uint_t                  nrows;
    ngx_uint_t                  ncols;
    ngx_str_t                  *values;
    ngx_msec_t                  elapsed;
};


enum {
    NGX_ICLOCK_QUERY_CHANNEL_KEY = 0,   /* this key has changed */
    NGX_ICLOCK_QUERY_CHANNEL_EVENT,     /* the feed has something new */
    NGX_ICLOCK_QUERY_CHANNEL_ALL        /* after a gap in listening */
};


/* the payload is NULL after a gap */
typedef void (*ngx_iclock_query_notify_pt)(ngx_uint_t channel,
    ngx_str_t *payload, void *data);


/* of this worker, in cycle->pool; NULL: out of memory */
ngx_iclock_queries_t *ngx_iclock_queries_create(ngx_cycle_t *cycle,
    ngx_iclock_store_conf_t *conf, ngx_iclock_store_stat_t *stat);

/* at most one worker should listen */
ngx_int_t ngx_iclock_queries_listen(ngx_iclock_queries_t *queries,
    ngx_cycle_t *cycle, ngx_iclock_store_conf_t *conf,
    ngx_iclock_store_stat_t *stat, ngx_iclock_query_notify_pt notify,
    void *data);

ngx_uint_t ngx_iclock_queries_listening(ngx_iclock_queries_t *queries);

void ngx_iclock_queries_close(ngx_iclock_queries_t *queries);


/*
 * A query lives in its own pool, since it may outlast the request.  NULL: out
 * of memory.
 */
ngx_iclock_query_t *ngx_iclock_query_create(ngx_iclock_queries_t *queries,
    ngx_uint_t statement, ngx_log_t *log);
void ngx_iclock_query_destroy(ngx_iclock_query_t *q);

/* whether the database could be asked now */
ngx_uint_t ngx_iclock_query_connected(ngx_iclock_queries_t *queries);

/* whether a query that holds that much would be refused */
ngx_uint_t ngx_iclock_query_full(ngx_iclock_queries_t *queries, size_t held);

/*
 * Returns NGX_OK (the handler will be called), NGX_BUSY or NGX_DECLINED.  The
 * query remains the caller's to destroy.
 */
ngx_int_t ngx_iclock_query_submit(ngx_iclock_query_t *q);

/*
 * The caller is gone, and what the parameters point to.  The query is
 * destroyed as soon as it does not run any more.
 */
void ngx_iclock_query_cancel(ngx_iclock_query_t *q);

/* the value of a row and a column */
#define ngx_iclock_query_value(q, row, column)                               \
    (&(q)->values[(row) * (q)->ncols + (column)])


#endif /* _ICLOCK_STORE_QUERY_H_INCLUDED_ */
