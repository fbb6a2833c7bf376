
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
#include "ngx_http_iclock_setting.h"
#include "ngx_http_iclock_api_secret.h"
#include "iclock_metric.h"


/* of the text that names a key, see iclock.create_api_key() */
#define NGX_HTTP_ICLOCK_API_KEY_ID    12
#define NGX_HTTP_ICLOCK_API_KEY_HASH  32


/*
 * The shared zone
 */

/* what names a node: the id of a key, or an address as 16 bytes */
typedef enum {
    NGX_HTTP_ICLOCK_API_KEY = 0,
    NGX_HTTP_ICLOCK_API_ADDRESS,            /* its wrong keys */
    NGX_HTTP_ICLOCK_API_ASKING              /* its keys nobody knows yet */
} ngx_http_iclock_api_node_e;

#define NGX_HTTP_ICLOCK_API_NAME      16


typedef enum {
    NGX_HTTP_ICLOCK_API_KEY_UNKNOWN = 0,
    NGX_HTTP_ICLOCK_API_KEY_ENDED,          /* expired, revoked, replaced */
    NGX_HTTP_ICLOCK_API_KEY_ACTIVE
} ngx_http_iclock_api_key_e;


/* a key, as PostgreSQL tells of it */
typedef struct {
    ngx_uint_t                  state;      /* ngx_http_iclock_api_key_e */
    u_char                      hash[NGX_HTTP_ICLOCK_API_KEY_HASH];
    uint32_t                    scopes;     /* bits */
    uint32_t                    rate;       /* a minute; 0: the location's */
    uint32_t                    burst;      /* the same */

    /* when PostgreSQL was asked: what changed since is not in its answer */
    uint32_t                    generation;
    uint64_t                    changes;
} ngx_http_iclock_api_key_t;


/* what a meter says: left after this one, and milliseconds */
typedef struct {
    ngx_uint_t                  left;
    ngx_msec_t                  wait;       /* until the next one may pass */
    ngx_msec_t                  full;       /* until all is there again */
} ngx_http_iclock_api_meter_t;


typedef struct {
    ngx_rbtree_t                rbtree;
    ngx_rbtree_node_t           sentinel;

    /* least recently used first: keys that exist, all else */
    ngx_queue_t                 keys;
    ngx_queue_t                 others;
    ngx_uint_t                  nodes;

    uint32_t                    generation; /* raised: all keys are doubtful */
    uint64_t                    changes;    /* counts notifications */

    /* raised when the feed has something new, see the watchers */
    ngx_atomic_t                events;
    ngx_atomic_t                listening;

    /* the database answers that we may not, or that its schema is another */
    ngx_atomic_t                refused;

    ngx_iclock_store_stat_t     pg;
} ngx_http_iclock_api_shctx_t;


/* of one configuration: those before and after a reload share the memory */
typedef struct {
    ngx_http_iclock_api_shctx_t  *sh;
    ngx_slab_pool_t            *shpool;
} ngx_http_iclock_api_zone_t;


/* of the live stream, see ngx_http_iclock_api_ring.c */

typedef struct ngx_http_iclock_api_ring_sh_s  ngx_http_iclock_api_ring_sh_t;
typedef struct ngx_http_iclock_api_streams_s  ngx_http_iclock_api_streams_t;
typedef struct ngx_http_iclock_api_stream_s   ngx_http_iclock_api_stream_t;

typedef struct {
    ngx_http_iclock_api_ring_sh_t  *sh;
    ngx_slab_pool_t            *shpool;
    size_t                      size;
} ngx_http_iclock_api_ring_t;


/*
 * Configuration
 */

typedef struct {
    ngx_iclock_store_conf_t     pool;       /* iclock_api_pool */
    ngx_iclock_store_conf_t     listen;
    ngx_msec_t                  key_cache;
    ngx_uint_t                  webhooks;
    ngx_uint_t                  webhook_http;   /* without TLS, too */
    ngx_http_iclock_keyring_t  *keyring;    /* NULL: secrets are in clear */
    ngx_uint_t                  event_retention;    /* seconds */
    ngx_uint_t                  locations;  /* with "iclock_api" */
    ngx_int_t                   request_id; /* index of the variable */
    ngx_http_iclock_api_zone_t  *zone;      /* NULL: nothing uses it */
    ngx_http_iclock_api_ring_t  *ring;
    size_t                      stream_buffer;
    ngx_uint_t                  stream_clients;     /* of a worker */
    ngx_msec_t                  stream_heartbeat;

    /* of this worker process */
    ngx_iclock_queries_t       *queries;
    ngx_http_iclock_api_streams_t  *streams;
    ngx_event_t                 second;     /* of worker 0 */
    ngx_uint_t                  retained;   /* the database knows */
    ngx_uint_t                  seconds;    /* since it was asked that */
    ngx_event_t                 watch;
    ngx_queue_t                 watchers;
    ngx_atomic_uint_t           watched;    /* sh->events, when last seen */
    ngx_uint_t                  changed;    /* counts news of webhooks */
} ngx_http_iclock_api_main_conf_t;


typedef struct {
    ngx_uint_t                  enable;
    ngx_uint_t                  rate;       /* a minute; 0: off */
    ngx_uint_t                  burst;
    ngx_uint_t                  page_default;
    ngx_uint_t                  page_max;
    ngx_uint_t                  batch;
    off_t                       body_max;   /* 0: any */
    ngx_str_t                   base;       /* empty: of the request */
    ngx_array_t                *cors;       /* of ngx_str_t; NULL: off */
} ngx_http_iclock_api_loc_conf_t;


extern ngx_module_t  ngx_http_iclock_api_module;


/* ngx_http_iclock_api_conf.c */

extern ngx_command_t  ngx_http_iclock_api_commands[];

void *ngx_http_iclock_api_create_main_conf(ngx_conf_t *cf);
char *ngx_http_iclock_api_init_main_conf(ngx_conf_t *cf, void *conf);
void *ngx_http_iclock_api_create_loc_conf(ngx_conf_t *cf);
char *ngx_http_iclock_api_merge_loc_conf(ngx_conf_t *cf, void *parent,
    void *child);


/* ngx_http_iclock_api_conf_location.c: what locations have */

char *ngx_http_iclock_api_rate(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_iclock_api_page(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_iclock_api_cors(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
ngx_uint_t ngx_http_iclock_api_valid_base(ngx_str_t *text);

void ngx_http_iclock_api_merge_others(ngx_http_iclock_api_loc_conf_t *prev,
    ngx_http_iclock_api_loc_conf_t *conf);


/* ngx_http_iclock_api_retention.c */

void ngx_http_iclock_api_retain(ngx_http_iclock_api_main_conf_t *amcf);


/* ngx_http_iclock_api_request.c: the content handler */

ngx_int_t ngx_http_iclock_api_handler(ngx_http_request_t *r);


/* ngx_http_iclock_api_count.c */

/* "created_at" in the text of an event, in milliseconds; 0: it has none */
uint64_t ngx_http_iclock_api_created(ngx_str_t *payload);

/* microseconds since then */
uint64_t ngx_http_iclock_api_since(uint64_t created);


/* ngx_http_iclock_api_zone.c */

/* NULL: an error, which is logged */
ngx_http_iclock_api_zone_t *ngx_http_iclock_api_zone_add(ngx_conf_t *cf);

/*
 * What is known of a key: NGX_OK, also if it is known to be unknown, or
 * NGX_DECLINED, PostgreSQL is to be asked at once; the answer is stored with
 * the same key.  The id has NGX_HTTP_ICLOCK_API_KEY_ID bytes.
 */
ngx_int_t ngx_http_iclock_api_zone_find(ngx_http_iclock_api_main_conf_t *amcf,
    u_char *id, ngx_http_iclock_api_key_t *key);
/* whether it is a key that was right when PostgreSQL was last asked */
ngx_uint_t ngx_http_iclock_api_zone_was(ngx_http_iclock_api_main_conf_t *amcf,
    u_char *id, u_char *hash);
void ngx_http_iclock_api_zone_store(ngx_http_iclock_api_main_conf_t *amcf,
    u_char *id, ngx_http_iclock_api_key_t *key);

/* this key has changed */
void ngx_http_iclock_api_zone_drop(ngx_http_iclock_api_main_conf_t *amcf,
    ngx_str_t *id);

/* every key may have changed */
void ngx_http_iclock_api_zone_drop_all(ngx_http_iclock_api_main_conf_t *amcf);

/*
 * Takes n (0: looks only) of what the name may have, "rate" a minute and
 * "burst" at once, of all workers together.  NGX_OK, or NGX_BUSY: it has to
 * wait, and nothing is taken.  The name has NGX_HTTP_ICLOCK_API_KEY_ID or
 * NGX_HTTP_ICLOCK_API_NAME bytes.
 */
ngx_int_t ngx_http_iclock_api_zone_meter(
    ngx_http_iclock_api_main_conf_t *amcf, ngx_uint_t type, u_char *name,
    ngx_uint_t n, ngx_uint_t rate, ngx_uint_t burst,
    ngx_http_iclock_api_meter_t *meter);


/* ngx_http_iclock_api_ring.c */

ngx_int_t ngx_http_iclock_api_ring_add(ngx_conf_t *cf,
    ngx_http_iclock_api_main_conf_t *amcf);

/* this key has changed; NULL: any may have */
void ngx_http_iclock_api_ring_key(ngx_http_iclock_api_ring_t *ring,
    ngx_str_t *id);


/* ngx_http_iclock_api_stream_worker.c: all streams of this worker */

ngx_int_t ngx_http_iclock_api_stream_init(ngx_cycle_t *cycle,
    ngx_http_iclock_api_main_conf_t *amcf);


/* ngx_http_iclock_api_stream_fill.c: what worker 0 does for all of them */

void ngx_http_iclock_api_stream_own(ngx_http_iclock_api_main_conf_t *amcf,
    ngx_cycle_t *cycle);

/* the feed has something new, or it is time to look */
void ngx_http_iclock_api_stream_fill(ngx_http_iclock_api_main_conf_t *amcf);


/* ngx_http_iclock_api_worker.c */

ngx_int_t ngx_http_iclock_api_init_process(ngx_cycle_t *cycle);

/* what the end of a query says of the database, for /health */
void ngx_http_iclock_api_heard(ngx_http_iclock_api_main_conf_t *amcf,
    ngx_iclock_query_t *q);
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
