
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


/*
 * Settings, and what the shared zone holds of this floor.  Nothing here is
 * libpq's, which src/http does not see.
 */


#ifndef _ICLOCK_PG_CONF_H_INCLUDED_
#define _ICLOCK_PG_CONF_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


typedef struct ngx_iclock_pg_server_s  ngx_iclock_pg_server_t;


typedef struct {
    ngx_iclock_pg_server_t     *server;
    ngx_uint_t                  connections;
    ngx_uint_t                  queue;
    size_t                      queue_bytes;
    ngx_msec_t                  timeout;
    ngx_msec_t                  connect_timeout;
    ngx_uint_t                  batch_requests;
    ngx_uint_t                  batch_records;
    size_t                      batch_bytes;
    ngx_resolver_t             *resolver;   /* NULL: none */
    ngx_msec_t                  resolver_timeout;
    ngx_uint_t                  connector;  /* in metrics */
} ngx_iclock_pg_pool_conf_t;


/* failures that are logged independently; the first: without SQLSTATE */
#define NGX_ICLOCK_PG_LOG_SLOTS  32


/* in shared memory, of all workers */
typedef struct {
    ngx_atomic_t                batches;    /* numbers of transactions */

    /*
     * Of failures by their SQLSTATE: seconds since the epoch when one was
     * logged last, by any worker, and how many were not since then.
     */
    ngx_atomic_t                kinds[NGX_ICLOCK_PG_LOG_SLOTS];
    ngx_atomic_t                logged[NGX_ICLOCK_PG_LOG_SLOTS];
    ngx_atomic_t                unlogged[NGX_ICLOCK_PG_LOG_SLOTS];
} ngx_iclock_pg_stat_t;


#endif /* _ICLOCK_PG_CONF_H_INCLUDED_ */
