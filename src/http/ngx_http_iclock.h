
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


#ifndef _NGX_HTTP_ICLOCK_H_INCLUDED_
#define _NGX_HTTP_ICLOCK_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "iclock_store.h"


#if !(NGX_PCRE)
#error "ngx_http_iclock_module requires nginx built with PCRE"
#endif


/* bytes of a serial number, whatever iclock_serial_pattern allows */
#define NGX_HTTP_ICLOCK_MAX_SN  64


typedef struct ngx_http_iclock_ctx_s       ngx_http_iclock_ctx_t;
typedef struct ngx_http_iclock_endpoint_s  ngx_http_iclock_endpoint_t;


typedef enum {
    NGX_HTTP_ICLOCK_HOLD = 0,
    NGX_HTTP_ICLOCK_ACCEPT,
    NGX_HTTP_ICLOCK_REJECT
} ngx_http_iclock_unknown_e;


/*
 * The shared zone
 */

/* what a look-up of a request tells; see ngx_http_iclock_zone_find() */
typedef struct {
    int64_t                     id;
    ngx_uint_t                  status;     /* NGX_ICLOCK_DEVICE_* */
    ngx_int_t                   utc_offset;
    ngx_uint_t                  encoding;
    unsigned                    fresh:1;    /* no need to ask PostgreSQL */
    unsigned                    marked:1;   /* commands may wait */
    unsigned                    refused:1;  /* this address gave a wrong key */
} ngx_http_iclock_known_t;


/* addresses as 16 bytes; IPv4 ones are mapped; all zero: none */
typedef struct {
    u_char                      data[16];
} ngx_http_iclock_addr_t;


typedef struct {
    int64_t                     id;
    time_t                      seen;
    ngx_http_iclock_addr_t      addr;
    size_t                      len;
    u_char                      sn[NGX_HTTP_ICLOCK_MAX_SN];
} ngx_http_iclock_seen_t;


/* counters of all workers; see the table of metrics */
typedef struct {
    ngx_atomic_t                requests;
    ngx_atomic_t                polls;
    ngx_atomic_t                polls_from_zone;
    ngx_atomic_t                handshakes;
    ngx_atomic_t                uploads;
    ngx_atomic_t                records;
    ngx_atomic_t                rejected_lines;
    ngx_atomic_t                commands;
    ngx_atomic_t                replies;
    ngx_atomic_t                refused;
    ngx_atomic_t                unknown;
    ngx_atomic_t                unavailable;
    ngx_atomic_t                evicted;
} ngx_http_iclock_counters_t;


typedef struct {
    ngx_rbtree_t                rbtree;
    ngx_rbtree_node_t           sentinel;

    /* least recently used ones first */
    ngx_queue_t                 registered;
    ngx_queue_t                 unregistered;
    ngx_queue_t                 unsaved;    /* presence to be flushed */

    ngx_uint_t                  version;    /* of this layout */
    ngx_uint_t                  nodes;
    uint32_t                    generation;
    u_char                      salt[16];

    ngx_iclock_pg_stat_t        pg;
    ngx_http_iclock_counters_t  counters;
} ngx_http_iclock_shctx_t;


typedef struct {
    ngx_http_iclock_shctx_t    *sh;
    ngx_slab_pool_t            *shpool;
} ngx_http_iclock_zone_t;


/*
 * Configuration
 */

typedef struct {
    ngx_iclock_pg_pool_conf_t   pool;
    ngx_iclock_pg_pool_conf_t   listen;
    ngx_str_t                   passfile;
    ngx_shm_zone_t             *shm_zone;
    ngx_http_iclock_zone_t     *zone;
    ngx_msec_t                  presence_interval;
    time_t                      verify_interval;    /* 0: off */
    ngx_uint_t                  locations;      /* with "iclock" */

    /* of this worker process */
    ngx_iclock_store_t         *store;
    ngx_event_t                 presence;
    ngx_event_t                 due;
    ngx_event_t                 maintain;
    ngx_uint_t                  maintaining;
    ngx_uint_t                  maintain_failures;
    ngx_msec_t                  maintain_after;
    ngx_uint_t                  flushing;
    ngx_uint_t                  polling;
    ngx_uint_t                  deaf_rounds;
    time_t                      timezones;          /* last looked at */
    time_t                      command_timeout;    /* the shortest */
} ngx_http_iclock_main_conf_t;


typedef struct {
    ngx_uint_t                  enable;
    ngx_uint_t                  unknown_devices;
    ngx_uint_t                  pending_limit;
    ngx_http_regex_t           *serial_pattern;
    ngx_str_t                   comm_key;
    ngx_str_t                   timezone;
    ngx_flag_t                  send_timezone;
    time_t                      delay;
    time_t                      error_delay;
    ngx_flag_t                  realtime;
    ngx_str_t                   trans_times;
    time_t                      trans_interval;
    ngx_uint_t                  trans_style;
    ngx_uint_t                  trans_words;
    ngx_str_t                   push_version;
    ngx_str_t                   push_options;
    ngx_str_t                   multi_bio_data;
    ngx_str_t                   multi_bio_photo;
    ngx_uint_t                  command_count;
    size_t                      command_bytes;
    time_t                      command_timeout;
    ngx_uint_t                  command_attempts;
    ngx_str_t                   files;          /* empty: off */
} ngx_http_iclock_loc_conf_t;


/*
 * Requests
 */

typedef ngx_int_t (*ngx_http_iclock_handler_pt)(ngx_http_request_t *r,
    ngx_http_iclock_ctx_t *ctx);


/* served while PostgreSQL is away */
#define NGX_HTTP_ICLOCK_STALE      0x01
/* 404 in any case */
#define NGX_HTTP_ICLOCK_ABSENT     0x02
/* without a serial number, too */
#define NGX_HTTP_ICLOCK_ANONYMOUS  0x04


struct ngx_http_iclock_endpoint_s {
    ngx_str_t                   name;
    ngx_str_t                   label;          /* $iclock_endpoint */
    ngx_uint_t                  methods;
    ngx_uint_t                  flags;
    ngx_http_iclock_handler_pt  handler;
};


/* what the URI says */
typedef struct {
    ngx_str_t                   sn;
    ngx_str_t                   options;
    ngx_str_t                   table;
    ngx_str_t                   type;
    ngx_str_t                   stamp;
    ngx_str_t                   op_stamp;
    ngx_str_t                   photo_stamp;
    ngx_str_t                   content_type;
    ngx_str_t                   info;
    ngx_str_t                   push_version;
    ngx_str_t                   language;
    ngx_str_t                   comm_key;
    ngx_str_t                   pin;
    ngx_str_t                   time;
    ngx_str_t                   id;
    ngx_str_t                   return_code;
    ngx_str_t                   service;
    ngx_str_t                   url;
} ngx_http_iclock_args_t;


struct ngx_http_iclock_ctx_s {
    const ngx_http_iclock_endpoint_t  *endpoint;
    ngx_http_iclock_args_t             args;
    ngx_http_iclock_addr_t             addr;
    ngx_http_iclock_known_t            known;
    uint32_t                           info_hash;

    ngx_iclock_store_job_t            *job;
    ngx_http_iclock_handler_pt         resume;  /* when the job is done */
    ngx_http_iclock_handler_pt         admit;   /* when the device may speak */
    ngx_http_iclock_handler_pt         read;    /* when the body is there */
    const ngx_iclock_table_t          *table;
    ngx_str_t                          table_name;
    ngx_str_t                          body;
    ngx_str_t                          path;    /* behind the endpoint */
    ngx_uint_t                         call;    /* NGX_ICLOCK_CALL_* */

    ngx_str_t                          reply;   /* to a handshake */
    ngx_int_t                          told_offset;

    ngx_uint_t                         records;
    ngx_uint_t                         rejected;
    ngx_uint_t                         commands;
    ngx_msec_t                         db_time;

    unsigned                           sn_valid:1;
    unsigned                           db_used:1;
    unsigned                           submitted:1;
    unsigned                           settling:1;
    unsigned                           cleanup:1;
};


extern ngx_module_t  ngx_http_iclock_module;


/* ngx_http_iclock_conf.c */

extern ngx_command_t  ngx_http_iclock_commands[];

void *ngx_http_iclock_create_main_conf(ngx_conf_t *cf);
char *ngx_http_iclock_init_main_conf(ngx_conf_t *cf, void *conf);
void *ngx_http_iclock_create_loc_conf(ngx_conf_t *cf);
char *ngx_http_iclock_merge_loc_conf(ngx_conf_t *cf, void *parent,
    void *child);


/* ngx_http_iclock_endpoint.c */

/* path is what follows "file"; NULL: nothing is served there */
const ngx_http_iclock_endpoint_t *ngx_http_iclock_find_endpoint(
    ngx_http_request_t *r, ngx_str_t *path);


/* ngx_http_iclock_args.c */

/* returns NGX_OK or NGX_ERROR (out of memory) */
ngx_int_t ngx_http_iclock_parse_args(ngx_http_request_t *r,
    ngx_http_iclock_args_t *args);


/* keeps the communication key of the request line out of logs */
void ngx_http_iclock_hide_key(ngx_http_request_t *r);

#define ngx_http_iclock_arg_is(arg, name)                                    \
    ((arg)->len == sizeof(name) - 1                                          \
     && ngx_strncasecmp((arg)->data, (u_char *) name, sizeof(name) - 1) == 0)


/* ngx_http_iclock_request.c: the content handler, and what is common */

ngx_int_t ngx_http_iclock_handler(ngx_http_request_t *r);

/*
 * Makes sure that the device is known and may speak, then calls the handler.
 * Returns what a content handler returns.
 */
ngx_int_t ngx_http_iclock_admit(ngx_http_request_t *r,
    ngx_http_iclock_ctx_t *ctx, ngx_http_iclock_handler_pt handler);

/*
 * Asks PostgreSQL for the device, and registers it before if that is wanted.
 * The handler finds it in ctx->job->device.  Returns as submit() does.
 */
ngx_int_t ngx_http_iclock_lookup(ngx_http_request_t *r,
    ngx_http_iclock_ctx_t *ctx, ngx_uint_t registration,
    ngx_http_iclock_handler_pt handler);

/* remembers what a look-up told, and returns the status of the device */
ngx_uint_t ngx_http_iclock_remember(ngx_http_request_t *r,
    ngx_http_iclock_ctx_t *ctx);

/* the verdict over a device: NGX_OK or a status */
ngx_int_t ngx_http_iclock_verdict(ngx_http_request_t *r, ngx_uint_t status);

/* a job for this request; NULL: out of memory */
ngx_iclock_store_job_t *ngx_http_iclock_job(ngx_http_request_t *r,
    ngx_http_iclock_ctx_t *ctx);

/*
 * Submits ctx->job; handler is called once it is done, with ctx->job->rc.
 * Returns NGX_DONE, or calls the handler at once if the job was refused.
 */
ngx_int_t ngx_http_iclock_submit(ngx_http_request_t *r,
    ngx_http_iclock_ctx_t *ctx, ngx_http_iclock_handler_pt handler);

ngx_int_t ngx_http_iclock_unavailable(ngx_http_request_t *r);

/* 200 and text/plain; the text has to live as long as the request */
ngx_int_t ngx_http_iclock_reply(ngx_http_request_t *r, ngx_str_t *text);
ngx_int_t ngx_http_iclock_reply_ok(ngx_http_request_t *r);

/* reads the body in one piece; handler gets it by ngx_http_iclock_body() */
ngx_int_t ngx_http_iclock_read_body(ngx_http_request_t *r,
    ngx_http_iclock_ctx_t *ctx, ngx_http_iclock_handler_pt handler);
ngx_int_t ngx_http_iclock_body(ngx_http_request_t *r, ngx_str_t *body);


/* ngx_http_iclock_handshake.c */

ngx_int_t ngx_http_iclock_handshake(ngx_http_request_t *r,
    ngx_http_iclock_ctx_t *ctx);

ngx_int_t ngx_http_iclock_exchange(ngx_http_request_t *r,
    ngx_http_iclock_ctx_t *ctx);

/* whether the key of the request fits the device's or the location's */
ngx_uint_t ngx_http_iclock_key_fits(ngx_http_request_t *r,
    ngx_http_iclock_ctx_t *ctx, ngx_iclock_device_t *device);


/* ngx_http_iclock_upload.c */

ngx_int_t ngx_http_iclock_cdata(ngx_http_request_t *r,
    ngx_http_iclock_ctx_t *ctx);
ngx_int_t ngx_http_iclock_fdata(ngx_http_request_t *r,
    ngx_http_iclock_ctx_t *ctx);


/* ngx_http_iclock_served.c */

/* requests that the database answers; NGX_DECLINED: it is none of them */
ngx_int_t ngx_http_iclock_served(ngx_http_request_t *r,
    ngx_http_iclock_ctx_t *ctx);
ngx_int_t ngx_http_iclock_decision(ngx_http_request_t *r,
    ngx_http_iclock_ctx_t *ctx);


/* ngx_http_iclock_file.c */

/* "file/<path>" and "file?SN=&url=" */
ngx_int_t ngx_http_iclock_file(ngx_http_request_t *r,
    ngx_http_iclock_ctx_t *ctx);


/* ngx_http_iclock_poll.c */

ngx_int_t ngx_http_iclock_getrequest(ngx_http_request_t *r,
    ngx_http_iclock_ctx_t *ctx);
ngx_int_t ngx_http_iclock_devicecmd(ngx_http_request_t *r,
    ngx_http_iclock_ctx_t *ctx);
ngx_int_t ngx_http_iclock_control(ngx_http_request_t *r,
    ngx_http_iclock_ctx_t *ctx);
ngx_int_t ngx_http_iclock_ping(ngx_http_request_t *r,
    ngx_http_iclock_ctx_t *ctx);


/* ngx_http_iclock_zone.c */

char *ngx_http_iclock_zone_directive(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

/*
 * Looks a device up and notes that it was seen.  Returns NGX_OK, or
 * NGX_DECLINED if the zone does not know it.
 */
ngx_int_t ngx_http_iclock_zone_find(ngx_http_iclock_zone_t *zone,
    ngx_str_t *sn, ngx_http_iclock_addr_t *addr,
    ngx_http_iclock_known_t *known);

/*
 * Stores what PostgreSQL knows of a device; NULL: nothing.  A full zone gives
 * up its oldest device, but no registered one for one that is not.
 */
void ngx_http_iclock_zone_store(ngx_http_iclock_zone_t *zone, ngx_str_t *sn,
    ngx_iclock_device_t *device, ngx_http_iclock_addr_t *addr,
    ngx_uint_t status);

/* NGX_OK: commands may wait, and now count as fetched; else NGX_DECLINED */
ngx_int_t ngx_http_iclock_zone_take_mark(ngx_http_iclock_zone_t *zone,
    ngx_str_t *sn);
void ngx_http_iclock_zone_mark(ngx_http_iclock_zone_t *zone, ngx_str_t *sn);

/* the device's row has changed */
void ngx_http_iclock_zone_expire(ngx_http_iclock_zone_t *zone, ngx_str_t *sn);

/* everything may have changed */
void ngx_http_iclock_zone_expire_all(ngx_http_iclock_zone_t *zone);

/* a wrong key came from the address (refused), or the right one (not) */
void ngx_http_iclock_zone_refuse(ngx_http_iclock_zone_t *zone, ngx_str_t *sn,
    ngx_http_iclock_addr_t *addr, ngx_uint_t refused);

/* whether this INFO is stored already; and that it is */
ngx_uint_t ngx_http_iclock_zone_info_known(ngx_http_iclock_zone_t *zone,
    ngx_str_t *sn, uint32_t hash);
void ngx_http_iclock_zone_info_stored(ngx_http_iclock_zone_t *zone,
    ngx_str_t *sn, uint32_t hash);

/*
 * Whether the device has asked for the encryption that is published nowhere,
 * and, if set, that it has now.
 */
ngx_uint_t ngx_http_iclock_zone_plain(ngx_http_iclock_zone_t *zone,
    ngx_str_t *sn, ngx_uint_t set);

/* takes at most n devices whose presence is unsaved; returns their number */
ngx_uint_t ngx_http_iclock_zone_unsaved(ngx_http_iclock_zone_t *zone,
    ngx_http_iclock_seen_t *seen, ngx_uint_t n);

/* the presence of this device could not be saved */
void ngx_http_iclock_zone_unsave(ngx_http_iclock_zone_t *zone,
    ngx_http_iclock_seen_t *seen);

uint32_t ngx_http_iclock_zone_hash(ngx_http_iclock_zone_t *zone,
    ngx_str_t *s);

void ngx_http_iclock_addr_set(ngx_http_iclock_addr_t *addr,
    struct sockaddr *sockaddr);
ngx_int_t ngx_http_iclock_addr_text(ngx_http_iclock_addr_t *addr,
    ngx_pool_t *pool, ngx_str_t *text);


/* ngx_http_iclock_spaces.c */

ngx_int_t ngx_http_iclock_init_module(ngx_cycle_t *cycle);


/* ngx_http_iclock_worker.c */

ngx_int_t ngx_http_iclock_init_process(ngx_cycle_t *cycle);
void ngx_http_iclock_exit_process(ngx_cycle_t *cycle);


/* ngx_http_iclock_variables.c */

ngx_int_t ngx_http_iclock_add_variables(ngx_conf_t *cf);


#define ngx_http_iclock_count(imcf, counter)                                 \
    (void) ngx_atomic_fetch_add(&(imcf)->zone->sh->counters.counter, 1)

#define ngx_http_iclock_count_n(imcf, counter, n)                            \
    (void) ngx_atomic_fetch_add(&(imcf)->zone->sh->counters.counter, n)


#endif /* _NGX_HTTP_ICLOCK_H_INCLUDED_ */
