
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


/*
 * The HTTP interface for other programs: a module of its own in the same
 * file.  It matches a request with a route, checks key, scope, rate and form,
 * and hands the rest to a function of the database.
 */


#ifndef _NGX_HTTP_ICLOCK_API_H_INCLUDED_
#define _NGX_HTTP_ICLOCK_API_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "iclock_store_query.h"


/* of the text that names a key, see iclock.create_api_key() */
#define NGX_HTTP_ICLOCK_API_KEY_ID    12
#define NGX_HTTP_ICLOCK_API_KEY_HASH  32


/*
 * The shared zone
 */

typedef struct {
    ngx_rbtree_t                rbtree;
    ngx_rbtree_node_t           sentinel;
    ngx_queue_t                 queue;      /* least recently used first */
    ngx_uint_t                  nodes;

    uint32_t                    generation; /* raised: all keys are doubtful */
    uint64_t                    changes;    /* counts notifications */

    /* raised when the feed has something new, see the watchers */
    ngx_atomic_t                events;
    ngx_atomic_t                listening;

    ngx_iclock_store_stat_t     pg;
} ngx_http_iclock_api_shctx_t;


/* of one configuration: those before and after a reload share the memory */
typedef struct {
    ngx_http_iclock_api_shctx_t  *sh;
    ngx_slab_pool_t            *shpool;
} ngx_http_iclock_api_zone_t;


/*
 * Configuration
 */

typedef struct {
    ngx_iclock_store_conf_t     pool;       /* iclock_api_pool */
    ngx_iclock_store_conf_t     listen;
    ngx_msec_t                  key_cache;
    ngx_uint_t                  webhooks;
    ngx_uint_t                  event_retention;    /* seconds */
    ngx_uint_t                  locations;  /* with "iclock_api" */
    ngx_http_iclock_api_zone_t  *zone;      /* NULL: nothing uses it */

    /* of this worker process */
    ngx_iclock_queries_t       *queries;
    ngx_event_t                 second;     /* of worker 0 */
    ngx_event_t                 watch;
    ngx_queue_t                 watchers;
    ngx_atomic_uint_t           watched;    /* sh->events, when last seen */
} ngx_http_iclock_api_main_conf_t;


typedef struct {
    ngx_uint_t                  enable;
} ngx_http_iclock_api_loc_conf_t;


extern ngx_module_t  ngx_http_iclock_api_module;


/* ngx_http_iclock_api_conf.c */

extern ngx_command_t  ngx_http_iclock_api_commands[];

void *ngx_http_iclock_api_create_main_conf(ngx_conf_t *cf);
char *ngx_http_iclock_api_init_main_conf(ngx_conf_t *cf, void *conf);
void *ngx_http_iclock_api_create_loc_conf(ngx_conf_t *cf);
char *ngx_http_iclock_api_merge_loc_conf(ngx_conf_t *cf, void *parent,
    void *child);


/* ngx_http_iclock_api_request.c: the content handler */

ngx_int_t ngx_http_iclock_api_handler(ngx_http_request_t *r);


/* ngx_http_iclock_api_zone.c */

/* NULL: an error, which is logged */
ngx_http_iclock_api_zone_t *ngx_http_iclock_api_zone_add(ngx_conf_t *cf);


/* ngx_http_iclock_api_worker.c */

ngx_int_t ngx_http_iclock_api_init_process(ngx_cycle_t *cycle);
void ngx_http_iclock_api_exit_process(ngx_cycle_t *cycle);


/*
 * Whoever waits for something new in the feed.  The handler is called by each
 * change, and once a second while nothing is notified, until unwatch(); it may
 * call that itself.
 */
typedef struct {
    ngx_queue_t                 queue;
    void                      (*handler)(void *data);
    void                       *data;
} ngx_http_iclock_api_watch_t;

void ngx_http_iclock_api_watch(ngx_http_iclock_api_main_conf_t *amcf,
    ngx_http_iclock_api_watch_t *watch);
void ngx_http_iclock_api_unwatch(ngx_http_iclock_api_watch_t *watch);


#endif /* _NGX_HTTP_ICLOCK_API_H_INCLUDED_ */
