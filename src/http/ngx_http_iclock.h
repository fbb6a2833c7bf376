
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


#ifndef _NGX_HTTP_ICLOCK_H_INCLUDED_
#define _NGX_HTTP_ICLOCK_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "iclock_store.h"
#include "iclock_metric.h"


#if !(NGX_PCRE)
#error "ngx_http_iclock_module requires nginx built with PCRE"
#endif


/* bytes of a serial number, whatever iclock_serial_pattern allows */
#define NGX_HTTP_ICLOCK_MAX_SN  64

/* tables whose stamps the zone knows, see ngx_http_iclock_zone_stamp() */
#define NGX_HTTP_ICLOCK_STAMPS  2


typedef struct ngx_http_iclock_ctx_s       ngx_http_iclock_ctx_t;
typedef struct ngx_http_iclock_endpoint_s  ngx_http_iclock_endpoint_t;
typedef struct ngx_http_iclock_base64_s    ngx_http_iclock_base64_t;
typedef struct ngx_http_iclock_steps_s     ngx_http_iclock_steps_t;
typedef struct ngx_http_iclock_turn_s      ngx_http_iclock_turn_t;


typedef enum {
    NGX_HTTP_ICLOCK_HOLD = 0,
    NGX_HTTP_ICLOCK_ACCEPT,
    NGX_HTTP_ICLOCK_REJECT
} ngx_http_iclock_unknown_e;


/*
 * The shared zone
 */

/* addresses as 16 bytes; IPv4 ones are mapped; all zero: none */
typedef struct {
    u_char                      data[16];
} ngx_http_iclock_addr_t;


/* of a communication key: the zone never holds the key itself */
typedef struct {
    u_char                      data[16];
} ngx_http_iclock_digest_t;


/* the communication key of a device's row */
typedef enum {
    NGX_HTTP_ICLOCK_KEY_NONE = 0,       /* the location's counts */
    NGX_HTTP_ICLOCK_KEY_OWN
} ngx_http_iclock_own_key_e;


/* how the key of a request compares with the one that counts */
typedef enum {
    NGX_HTTP_ICLOCK_KEY_UNNEEDED = 0,   /* there is none */
    NGX_HTTP_ICLOCK_KEY_RIGHT,
    NGX_HTTP_ICLOCK_KEY_ABSENT,
    NGX_HTTP_ICLOCK_KEY_WRONG
} ngx_http_iclock_key_e;


/* whether a device may speak; see the table of refusals */
typedef enum {
    NGX_HTTP_ICLOCK_ADMITTED = 0,
    NGX_HTTP_ICLOCK_BAD_NETWORK,
    NGX_HTTP_ICLOCK_BAD_KEY,
    NGX_HTTP_ICLOCK_BLOCKED,
    NGX_HTTP_ICLOCK_STRANGER,           /* unknown ones are rejected */
    NGX_HTTP_ICLOCK_PENDING,
    NGX_HTTP_ICLOCK_UNRECORDED,         /* too many are pending already */
    NGX_HTTP_ICLOCK_UNAVAILABLE,
    NGX_HTTP_ICLOCK_VERDICTS
} ngx_http_iclock_verdict_e;


/* what a request shows at the door */
typedef struct {
    ngx_str_t                  *sn;
    ngx_http_iclock_addr_t      addr;
    ngx_http_iclock_digest_t    digest;     /* of the key that was sent */
    ngx_uint_t                  location_key;   /* how it compares with it */
    ngx_uint_t                  unknown_devices;
    uint16_t                    policy;     /* hash of what is done to them */
    uint32_t                    info;       /* hash of INFO; 0: none */
    uint32_t                    stamp;      /* of its stamp; 0: none */
    ngx_uint_t                  table;      /* whose stamp it is */

    /* whose ids are believed, 0: any; then the one that was asked */
    uint32_t                    database;

    /* when PostgreSQL was asked: what changed since is not in its answer */
    uint32_t                    generation;
    uint64_t                    changes;

    unsigned                    key_sent:1;
    unsigned                    key_needed:1;
    unsigned                    asks:1;     /* PostgreSQL is always asked */
    unsigned                    polls:1;    /* the mark is taken */
} ngx_http_iclock_visit_t;


/* what the zone, or PostgreSQL, tells of the visitor */
typedef struct {
    int64_t                     id;
    uint32_t                    database;   /* of the id */
    ngx_uint_t                  status;     /* NGX_ICLOCK_DEVICE_* */
    ngx_int_t                   utc_offset;
    ngx_uint_t                  encoding;
    ngx_uint_t                  verdict;    /* ngx_http_iclock_verdict_e */
    unsigned                    fresh:1;    /* no need to ask PostgreSQL */
    unsigned                    marked:1;   /* commands may wait */
    unsigned                    news:1;     /* this INFO is not stored yet */
    unsigned                    stamped:1;  /* this stamp is stored */
    unsigned                    plain:1;    /* wanted to encrypt, in vain */
} ngx_http_iclock_known_t;


/*
 * Milliseconds since some time, by a clock that nobody sets and all workers
 * have; never 0.
 */
#define ngx_http_iclock_moment()  ((uint32_t) ngx_current_msec | 1)


typedef struct {
    int64_t                     id;
    uint32_t                    seen;       /* moment; 0: not served */
    ngx_http_iclock_addr_t      addr;
    uint32_t                    denied;     /* moment; 0: not refused */
    ngx_uint_t                  outside;    /* for its address, not its key */
    ngx_http_iclock_addr_t      stranger;   /* that address */
    size_t                      len;
    u_char                      sn[NGX_HTTP_ICLOCK_MAX_SN];
} ngx_http_iclock_seen_t;


/* the devices of a shard, behind its lock */
typedef struct {
    ngx_rbtree_t                rbtree;
    ngx_rbtree_node_t           sentinel;

    /* least recently used ones first */
    ngx_queue_t                 registered;
    ngx_queue_t                 unregistered;
    ngx_queue_t                 unsaved;    /* presence to be flushed */

    ngx_uint_t                  nodes;
    uint64_t                    changes;    /* counts notifications */
    uint64_t                    lost;       /* last one without a node */
} ngx_http_iclock_devices_t;


/*
 * What all shards share, without a lock.  Each request reads the generation:
 * it is not beside what transactions write.
 */
typedef struct {
    ngx_iclock_store_stat_t     pg;
    ngx_http_iclock_devices_t   devices;    /* of the only shard */
    u_char                      salt[16];
    ngx_atomic_t                generation; /* raised: all is doubtful */
    ngx_atomic_t                events;     /* they are written */
} ngx_http_iclock_shctx_t;


typedef struct ngx_http_iclock_zone_s  ngx_http_iclock_zone_t;


/*
 * Some of the devices, by their serial numbers.  To nginx it is a zone, whose
 * lock the master gives free if a worker dies that has it.
 */
typedef struct {
    ngx_http_iclock_devices_t  *sh;
    ngx_slab_pool_t            *shpool;
    ngx_shm_zone_t             *shm_zone;
    ngx_http_iclock_zone_t     *zone;
} ngx_http_iclock_shard_t;


/* of one configuration: those before and after a reload share the memory */
struct ngx_http_iclock_zone_s {
    ngx_http_iclock_shctx_t    *sh;
    ngx_shm_zone_t             *shm_zone;   /* of that */
    ngx_http_iclock_shard_t    *shards;
    ngx_uint_t                  nshards;    /* a power of two */
    ngx_uint_t                  next;       /* to be looked at for presence */
    uint32_t                    origin;     /* of iclock_database */
};


typedef struct {
    size_t                      size;
    size_t                      used;
    ngx_uint_t                  devices;
} ngx_http_iclock_usage_t;


/*
 * Configuration
 */

/* so that refusals of one kind cannot flood the log */
typedef struct {
    time_t                      second;
    ngx_uint_t                  logged;
    ngx_uint_t                  unlogged;
} ngx_http_iclock_quiet_t;


typedef struct {
    ngx_iclock_store_conf_t     pool;
    ngx_iclock_store_conf_t     listen;
    ngx_str_t                   passfile;
    uint32_t                    origin;     /* of iclock_database */
    ngx_http_iclock_zone_t     *zone;
    ngx_msec_t                  presence_interval;
    ngx_uint_t                  verify_interval;    /* seconds; 0: off */
    ngx_uint_t                  locations;      /* with "iclock" */
    ngx_uint_t                  tokens;         /* others with secrets */
    ngx_array_t                 ports;          /* of their servers */

    /* of this worker process */
    ngx_iclock_store_t         *store;
    ngx_event_t                 presence;
    ngx_event_t                 due;
    ngx_event_t                 maintain;
    ngx_event_t                 watch;
    ngx_event_t                 wake;
    ngx_http_iclock_steps_t    *steps;
    ngx_msec_t                  woken;
    ngx_uint_t                  waking;
    ngx_uint_t                  wake_again;
    ngx_uint_t                  watching;
    ngx_uint_t                  watch_again;
    ngx_uint_t                  maintaining;
    ngx_uint_t                  maintain_failures;
    ngx_msec_t                  maintain_after;
    ngx_uint_t                  flushing;
    ngx_uint_t                  polling;
    ngx_uint_t                  deaf_rounds;
    ngx_msec_t                  timezones;          /* last looked at */
    ngx_uint_t                  command_timeout;    /* the shortest */
    ngx_http_iclock_quiet_t     quiet[NGX_HTTP_ICLOCK_VERDICTS];
} ngx_http_iclock_main_conf_t;


typedef struct {
    ngx_uint_t                  devices;        /* has such locations */
    ngx_uint_t                  tokens;         /* others with secrets */
    ngx_uint_t                  masks;          /* or shares a port */
} ngx_http_iclock_srv_conf_t;


typedef struct {
    ngx_uint_t                  enable;
    ngx_uint_t                  unknown_devices;
    ngx_uint_t                  pending_limit;
    uint16_t                    policy;         /* hash of both */
    ngx_http_regex_t           *serial_pattern; /* NULL: the default */
    ngx_str_t                   comm_key;
    ngx_uint_t                  comm_key_required;
    ngx_str_t                   timezone;
    ngx_flag_t                  send_timezone;
    ngx_uint_t                  delay;          /* times are seconds */
    ngx_uint_t                  error_delay;
    ngx_flag_t                  realtime;
    ngx_str_t                   trans_times;
    ngx_uint_t                  trans_interval;
    ngx_uint_t                  trans_style;
    ngx_uint_t                  trans_words;
    ngx_str_t                   push_version;
    ngx_str_t                   push_options;
    ngx_str_t                   multi_bio_data;
    ngx_str_t                   multi_bio_photo;
    ngx_uint_t                  command_count;
    size_t                      command_bytes;
    ngx_uint_t                  command_timeout;
    ngx_uint_t                  command_attempts;
    ngx_str_t                   files;          /* empty: off */
} ngx_http_iclock_loc_conf_t;


/*
 * Requests
 */

typedef ngx_int_t (*ngx_http_iclock_handler_pt)(ngx_http_request_t *r,
    ngx_http_iclock_ctx_t *ctx);


/* served while PostgreSQL is unreachable */
#define NGX_HTTP_ICLOCK_STALE      0x01
/* 404 in any case */
#define NGX_HTTP_ICLOCK_ABSENT     0x02
/* without a serial number, too */
#define NGX_HTTP_ICLOCK_ANONYMOUS  0x04
/* a path may follow the name */
#define NGX_HTTP_ICLOCK_PATH       0x08

/* what the door does differently, besides: */

/* a handshake: it shows the key */
#define NGX_HTTP_ICLOCK_GREETS     0x10
/* a poll: it takes the mark along */
#define NGX_HTTP_ICLOCK_POLLS      0x20
/* the body is read before the handler is called */
#define NGX_HTTP_ICLOCK_READS      0x40
/* the device's row is read */
#define NGX_HTTP_ICLOCK_ASKS       0x80


struct ngx_http_iclock_endpoint_s {
    ngx_str_t                   name;
    ngx_str_t                   label;          /* $iclock_endpoint */
    ngx_uint_t                  metric;         /* the same in metrics */
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


/* a body on its way into memory, in one piece */
typedef struct {
    ngx_str_t                   text;
    ngx_chain_t                *unread;
    off_t                       offset;         /* in its first buffer */
} ngx_http_iclock_body_t;


struct ngx_http_iclock_ctx_s {
    const ngx_http_iclock_endpoint_t  *endpoint;
    ngx_http_iclock_args_t             args;
    ngx_uint_t                         flags;   /* of endpoint and request */
    ngx_http_iclock_visit_t            visit;
    ngx_http_iclock_known_t            known;

    ngx_http_iclock_handler_pt         admitted;    /* behind the door */

    /* called when the body or the job that the request waits for is there */
    ngx_http_iclock_handler_pt         next;
    ngx_iclock_store_job_t            *job;
    const ngx_iclock_table_t          *table;
    ngx_str_t                          table_name;
    ngx_http_iclock_body_t             body;
    ngx_iclock_split_t                *split;
    ngx_http_iclock_turn_t            *turn;
    ngx_str_t                          path;    /* after the endpoint */
    ngx_uint_t                         call;    /* NGX_ICLOCK_CALL_* */

    ngx_str_t                          reply;   /* to a handshake */
    ngx_int_t                          told_offset;
    ngx_int_t                          told_delay;     /* seconds */
    ngx_http_iclock_base64_t          *base64;  /* file being sent */

    ngx_uint_t                         records;
    ngx_uint_t                         rejected;
    ngx_uint_t                         commands;
    ngx_uint_t                         unavailable; /* why, in metrics */
    int64_t                            poll;    /* that took them */
    ngx_msec_t                         db_time;

    unsigned                           sn_valid:1;
    unsigned                           db_used:1;
    unsigned                           submitted:1;
    unsigned                           settling:1;
    unsigned                           cleanup:1;
    unsigned                           registered:1;
};


extern ngx_module_t  ngx_http_iclock_module;


/* ngx_http_iclock_conf.c */

extern ngx_command_t  ngx_http_iclock_commands[];

void *ngx_http_iclock_create_main_conf(ngx_conf_t *cf);
char *ngx_http_iclock_init_main_conf(ngx_conf_t *cf, void *conf);
void *ngx_http_iclock_create_srv_conf(ngx_conf_t *cf);
void *ngx_http_iclock_create_loc_conf(ngx_conf_t *cf);
char *ngx_http_iclock_merge_loc_conf(ngx_conf_t *cf, void *parent,
    void *child);


/* ngx_http_iclock_endpoint.c */

/* path is what follows the name; NULL: nothing is served there */
const ngx_http_iclock_endpoint_t *ngx_http_iclock_find_endpoint(
    ngx_http_request_t *r, ngx_str_t *path);


/* ngx_http_iclock_count.c: requests, when they have ended */

ngx_int_t ngx_http_iclock_init_count(ngx_conf_t *cf);


/* ngx_http_iclock_args.c */

/* into args that are zero; returns NGX_OK or NGX_ERROR (out of memory) */
ngx_int_t ngx_http_iclock_parse_args(ngx_http_request_t *r,
    ngx_http_iclock_args_t *args);


/*
 * Overwrites the values of keys in text that holds arguments, after "?" or,
 * if bare, from its beginning.  Returns whether there were any; without
 * write it only looks.
 */
ngx_uint_t ngx_http_iclock_mask_keys(u_char *start, u_char *last,
    ngx_uint_t bare, ngx_uint_t write);

/* a name of a communication key in any case, or of a token of src/api */
ngx_uint_t ngx_http_iclock_is_key(u_char *name, size_t len);

#define ngx_http_iclock_arg_is(arg, name)                                    \
    ((arg)->len == sizeof(name) - 1                                          \
     && ngx_strncasecmp((arg)->data, (u_char *) name, sizeof(name) - 1) == 0)


/* ngx_http_iclock_request.c: the content handler, and replies */

ngx_int_t ngx_http_iclock_handler(ngx_http_request_t *r);

ngx_int_t ngx_http_iclock_unavailable(ngx_http_request_t *r);

/* 503 and Retry-After */
ngx_int_t ngx_http_iclock_retry_later(ngx_http_request_t *r);

/* 200 and text/plain; the text has to live as long as the request */
ngx_int_t ngx_http_iclock_reply(ngx_http_request_t *r, ngx_str_t *text);
ngx_int_t ngx_http_iclock_reply_ok(ngx_http_request_t *r);


/* ngx_http_iclock_admission.c: the one door */

/*
 * Makes sure that the device is known and may speak, then calls the handler;
 * that of a handshake finds the device's row in ctx->job->device.  The flags
 * come on top of the endpoint's.  Returns what a content handler returns.
 */
ngx_int_t ngx_http_iclock_admit(ngx_http_request_t *r,
    ngx_http_iclock_ctx_t *ctx, ngx_uint_t flags,
    ngx_http_iclock_handler_pt handler);

/* the same for a request that names no device: only its key is looked at */
ngx_int_t ngx_http_iclock_admit_nameless(ngx_http_request_t *r,
    ngx_http_iclock_ctx_t *ctx, ngx_http_iclock_handler_pt handler);


/* ngx_http_iclock_job.c */

/* a job for this request; NULL: out of memory */
ngx_iclock_store_job_t *ngx_http_iclock_job(ngx_http_request_t *r,
    ngx_http_iclock_ctx_t *ctx);

/*
 * Submits ctx->job; handler is called once it is done, with ctx->job->rc.
 * Returns NGX_DONE, or calls the handler at once if the job was refused.
 */
ngx_int_t ngx_http_iclock_submit(ngx_http_request_t *r,
    ngx_http_iclock_ctx_t *ctx, ngx_http_iclock_handler_pt handler);

/* the same after what the device has sent before */
ngx_int_t ngx_http_iclock_submit_in_order(ngx_http_request_t *r,
    ngx_http_iclock_ctx_t *ctx, ngx_http_iclock_handler_pt handler);

/*
 * A job of this worker, and of no request; its handler has to destroy it.
 * NULL: out of memory.
 */
ngx_iclock_store_job_t *ngx_http_iclock_own_job(
    ngx_http_iclock_main_conf_t *imcf, ngx_iclock_store_handler_pt handler,
    void *data);

/* what could not be made (rc), or is not accepted, is destroyed: NGX_ERROR */
ngx_int_t ngx_http_iclock_submit_own(ngx_iclock_store_job_t *job,
    ngx_int_t rc);


/* ngx_http_iclock_body.c; in steps: ngx_http_iclock_steps.h */

/* has nginx read the body; handler gets it by what follows */
ngx_int_t ngx_http_iclock_read_body(ngx_http_request_t *r,
    ngx_http_iclock_ctx_t *ctx, ngx_http_iclock_handler_pt handler);

/* in one piece, of any request: NGX_OK or NGX_ERROR */
ngx_int_t ngx_http_iclock_body(ngx_http_request_t *r, ngx_str_t *text);


/* ngx_http_iclock_key.c: communication keys */

void ngx_http_iclock_key_digest(ngx_http_iclock_zone_t *zone, ngx_str_t *key,
    ngx_http_iclock_digest_t *digest);

/* notes how the key of the request compares with the location's */
void ngx_http_iclock_key_show(ngx_http_iclock_visit_t *visit,
    ngx_http_iclock_zone_t *zone, ngx_str_t *sent, ngx_str_t *location);

/* compares with the key of the device's row, or else with the location's */
ngx_uint_t ngx_http_iclock_key_compare(ngx_http_iclock_visit_t *visit,
    ngx_uint_t own, ngx_http_iclock_digest_t *digest);


/* ngx_http_iclock_handshake.c */

ngx_int_t ngx_http_iclock_handshake(ngx_http_request_t *r,
    ngx_http_iclock_ctx_t *ctx);

ngx_int_t ngx_http_iclock_exchange(ngx_http_request_t *r,
    ngx_http_iclock_ctx_t *ctx);


/* ngx_http_iclock_upload.c */

ngx_int_t ngx_http_iclock_cdata(ngx_http_request_t *r,
    ngx_http_iclock_ctx_t *ctx);
ngx_int_t ngx_http_iclock_fdata(ngx_http_request_t *r,
    ngx_http_iclock_ctx_t *ctx);

/* of a POST that is not served yet; 0: it is no upload */
ngx_uint_t ngx_http_iclock_posted_table(
    const ngx_http_iclock_endpoint_t *endpoint, ngx_http_iclock_args_t *args,
    ngx_str_t *name);


/* ngx_http_iclock_question.c */

/* what the database answers; NGX_DECLINED: it is none of its questions */
ngx_int_t ngx_http_iclock_question(ngx_http_request_t *r,
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

/* makes sure that there is a zone */
char *ngx_http_iclock_zone_default(ngx_conf_t *cf,
    ngx_http_iclock_main_conf_t *imcf);

/* nothing is locked: numbers may be of different moments */
void ngx_http_iclock_zone_usage(ngx_http_iclock_zone_t *zone,
    ngx_http_iclock_usage_t *usage);


/* ngx_http_iclock_zone_visit.c: what requests ask */

/*
 * Looks the visitor up.  If what the zone knows is enough (known->fresh) it
 * judges, notes that the device was seen, and takes the mark of a poll.  If
 * not, PostgreSQL is to be asked at once.
 */
void ngx_http_iclock_zone_visit(ngx_http_iclock_zone_t *zone,
    ngx_http_iclock_visit_t *visit, ngx_http_iclock_known_t *known);

/*
 * Judges the visitor by what PostgreSQL knows of it, and stores that; NULL:
 * nothing.  A full zone gives up its oldest device, but no registered one for
 * one that is not.
 */
void ngx_http_iclock_zone_store(ngx_http_iclock_zone_t *zone,
    ngx_http_iclock_visit_t *visit, ngx_iclock_device_t *device,
    ngx_http_iclock_known_t *known);


/* ngx_http_iclock_zone_mark.c: what is noted besides */

/* commands may wait */
void ngx_http_iclock_zone_mark(ngx_http_iclock_zone_t *zone, ngx_str_t *sn);

/* a poll was stored: its INFO (news), and whether more commands may wait */
void ngx_http_iclock_zone_polled(ngx_http_iclock_zone_t *zone,
    ngx_http_iclock_visit_t *visit, ngx_uint_t news, ngx_uint_t more);

/* an upload was stored, and the stamp of the visit with it */
void ngx_http_iclock_zone_stamped(ngx_http_iclock_zone_t *zone,
    ngx_http_iclock_visit_t *visit, ngx_http_iclock_known_t *known);

/* hash of a stamp, and the number of its table; 0: of a table not known */
uint32_t ngx_http_iclock_zone_stamp(ngx_str_t *table, ngx_str_t *stamp,
    ngx_uint_t *n);

/* the device's row has changed */
void ngx_http_iclock_zone_expire(ngx_http_iclock_zone_t *zone, ngx_str_t *sn);

/* everything may have changed */
void ngx_http_iclock_zone_expire_all(ngx_http_iclock_zone_t *zone);

/*
 * The device has asked for the encryption that is published nowhere.  Returns
 * NGX_OK, or NGX_DECLINED if that was known.
 */
ngx_int_t ngx_http_iclock_zone_set_plain(ngx_http_iclock_zone_t *zone,
    ngx_str_t *sn);

/*
 * Looks at n devices whose presence is unsaved, and takes those of this
 * database; returns their number, and whether more are left to be looked at.
 */
ngx_uint_t ngx_http_iclock_zone_take_seen(ngx_http_iclock_zone_t *zone,
    uint32_t database, ngx_http_iclock_seen_t *seen, ngx_uint_t n,
    ngx_uint_t *more);

/* the presence of this device could not be saved */
void ngx_http_iclock_zone_return_seen(ngx_http_iclock_zone_t *zone,
    ngx_http_iclock_seen_t *seen);


/* ngx_http_iclock_addr.c */

void ngx_http_iclock_addr_set(ngx_http_iclock_addr_t *addr,
    struct sockaddr *sockaddr);
ngx_int_t ngx_http_iclock_addr_text(ngx_http_iclock_addr_t *addr,
    ngx_pool_t *pool, ngx_str_t *text);

/* "no address" equals nothing */
ngx_uint_t ngx_http_iclock_addr_same(ngx_http_iclock_addr_t *a,
    ngx_http_iclock_addr_t *b);


/* ngx_http_iclock_port.c */

/* finds the ports whose listeners init_module() puts its hook into */
ngx_int_t ngx_http_iclock_find_ports(ngx_conf_t *cf);
ngx_int_t ngx_http_iclock_init_module(ngx_cycle_t *cycle);


/* ngx_http_iclock_spaces.c */

/* the request lines of this connection */
void ngx_http_iclock_mend_lines(ngx_connection_t *c);

/* the request ends, another one may be in the buffer */
void ngx_http_iclock_mend_pipelined(ngx_http_request_t *r);


/* ngx_http_iclock_log.c */

/* keeps communication keys out of logs */
ngx_int_t ngx_http_iclock_init_log(ngx_conf_t *cf);
void ngx_http_iclock_wrap_log(ngx_connection_t *c);


/* ngx_http_iclock_events.c */

void ngx_http_iclock_events_init(ngx_http_iclock_main_conf_t *imcf,
    ngx_cycle_t *cycle, ngx_uint_t first);
/* asks whether events are written */
void ngx_http_iclock_watch_events(ngx_http_iclock_main_conf_t *imcf);
void ngx_http_iclock_events_told(ngx_http_iclock_main_conf_t *imcf,
    ngx_str_t *state);


/* ngx_http_iclock_worker.c */

ngx_int_t ngx_http_iclock_init_process(ngx_cycle_t *cycle);
void ngx_http_iclock_exit_process(ngx_cycle_t *cycle);


/* ngx_http_iclock_variables.c */

ngx_int_t ngx_http_iclock_add_variables(ngx_conf_t *cf);


#endif /* _NGX_HTTP_ICLOCK_H_INCLUDED_ */
