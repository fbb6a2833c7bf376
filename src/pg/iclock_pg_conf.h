
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


/*
 * Settings and counters: what the configuration and the shared zone hold of
 * this floor.  Nothing here is libpq's, which src/http does not see.
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
} ngx_iclock_pg_pool_conf_t;


/*
 * What the pools of all workers count together, a line each: the name, whether
 * it only grows ("counter") or may fall ("gauge"), and what it says.
 */
#define NGX_ICLOCK_PG_COUNTERS(C)                                            \
                                                                             \
    C(connects, counter, "connections made to PostgreSQL")                   \
    C(failures, counter, "connections and transactions that failed")         \
    C(batches, counter, "transactions sent")                                 \
    C(splits, counter, "transactions taken apart, to find who is at fault")  \
    C(retries, counter, "transactions sent once more")                       \
    C(timeouts, counter, "jobs and transactions that took too long")         \
    C(refused, counter, "jobs refused: a full queue, or no connection")

#define ngx_iclock_pg_counter_field(name, type, help)                        \
    ngx_atomic_t                name;


/* in shared memory */
typedef struct {
    NGX_ICLOCK_PG_COUNTERS(ngx_iclock_pg_counter_field)

    /* seconds since the epoch of the last logged failure, all workers */
    ngx_atomic_t                logged;
    ngx_atomic_t                unlogged;
} ngx_iclock_pg_stat_t;

#undef ngx_iclock_pg_counter_field


#endif /* _ICLOCK_PG_CONF_H_INCLUDED_ */
