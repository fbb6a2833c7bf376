
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


/*
 * The sender of webhooks: one worker of an nginx leases endpoints, reads what
 * waits for them, hands it to src/hook, and tells PostgreSQL what came of it.
 */


#ifndef _NGX_HTTP_ICLOCK_WEBHOOKS_H_INCLUDED_
#define _NGX_HTTP_ICLOCK_WEBHOOKS_H_INCLUDED_


#include "ngx_http_iclock_api.h"
#include "iclock_hook.h"


/* how often leases are renewed, work is looked for, and results are told */
#define NGX_HTTP_ICLOCK_WEBHOOK_TICK     1000
#define NGX_HTTP_ICLOCK_WEBHOOK_LEASE    5000   /* of many endpoints */
#define NGX_HTTP_ICLOCK_WEBHOOK_MANY     100
#define NGX_HTTP_ICLOCK_WEBHOOK_FLUSH    200
#define NGX_HTTP_ICLOCK_WEBHOOK_RESULTS  256
#define NGX_HTTP_ICLOCK_WEBHOOK_RETRY    1000   /* a query that failed */

/* a lease of 30 seconds, less what it may take to notice that it has ended */
#define NGX_HTTP_ICLOCK_WEBHOOK_OURS     29000

/* secrets that one statement seals, about */
#define NGX_HTTP_ICLOCK_WEBHOOK_SEALS    100

/* "wh_...", with room */
#define NGX_HTTP_ICLOCK_WEBHOOK_ID       64

/* of an endpoint: sent before everything before them was settled */
#define NGX_HTTP_ICLOCK_WEBHOOK_AHEAD    65536

/* of an endpoint: SHA-256 in hexadecimal, with room */
#define NGX_HTTP_ICLOCK_WEBHOOK_TERMS    64

/* events of an endpoint that wait here; of all, in bytes */
#define NGX_HTTP_ICLOCK_WEBHOOK_WAITING  2000
#define NGX_HTTP_ICLOCK_WEBHOOK_MEMORY   (64 * 1024 * 1024)

/* bytes of results that are not stored yet: nothing is sent from there on */
#define NGX_HTTP_ICLOCK_WEBHOOK_UNTOLD   (8 * 1024 * 1024)

/* failures in a row that make us ask before we go on */
#define NGX_HTTP_ICLOCK_WEBHOOK_FAILURES 5

/*
 * A request that takes longer gives its place to another one: soon, if it is
 * to an endpoint whose last answer was not prompt, or that has given none yet.
 */
#define NGX_HTTP_ICLOCK_WEBHOOK_YOUNG    1000
#define NGX_HTTP_ICLOCK_WEBHOOK_TRIAL    25


/* columns of a lease */
enum {
    NGX_HTTP_ICLOCK_LEASE_ID = 0,
    NGX_HTTP_ICLOCK_LEASE_URL,
    NGX_HTTP_ICLOCK_LEASE_SECRET,
    NGX_HTTP_ICLOCK_LEASE_PREVIOUS,
    NGX_HTTP_ICLOCK_LEASE_HEADERS,
    NGX_HTTP_ICLOCK_LEASE_ORDERED,
    NGX_HTTP_ICLOCK_LEASE_CONCURRENCY,
    NGX_HTTP_ICLOCK_LEASE_BATCH,
    NGX_HTTP_ICLOCK_LEASE_CURSOR,
    NGX_HTTP_ICLOCK_LEASE_STATUS,
    NGX_HTTP_ICLOCK_LEASE_PROBE,
    NGX_HTTP_ICLOCK_LEASE_PAUSED,
    NGX_HTTP_ICLOCK_LEASE_TERMS,
    NGX_HTTP_ICLOCK_LEASE_COLUMNS
};


typedef struct ngx_http_iclock_sender_s    ngx_http_iclock_sender_t;
typedef struct ngx_http_iclock_webhook_s   ngx_http_iclock_webhook_t;
typedef struct ngx_http_iclock_letter_s    ngx_http_iclock_letter_t;
typedef struct ngx_http_iclock_parcel_s    ngx_http_iclock_parcel_t;
typedef struct ngx_http_iclock_result_s    ngx_http_iclock_result_t;
typedef struct ngx_http_iclock_look_s      ngx_http_iclock_look_t;


typedef struct {
    ngx_uint_t                  endpoints;
    ngx_uint_t                  concurrency;
    ngx_msec_t                  timeout;
    ngx_msec_t                  connect_timeout;
    ngx_uint_t                  idle;
} ngx_http_iclock_webhook_limits_t;


typedef struct {
    ngx_http_iclock_webhook_limits_t  limits;
    ngx_array_t                *allow;      /* of ngx_cidr_t */
    ngx_uint_t                  http;
    ngx_str_t                   trusted_certificate;

    ngx_iclock_hook_conf_t      hook;

    /*
     * Who leases.  The worker that follows one that has died has its name, and
     * gets its endpoints at once; that of another configuration has not.
     */
    ngx_str_t                   name;

    ngx_http_iclock_sender_t   *sender;     /* of this worker process */
} ngx_http_iclock_webhooks_conf_t;


/* the results of one statement, which are told until they are stored */
typedef struct {
    ngx_pool_t                 *pool;       /* NULL: none */
    ngx_str_t                   json;
    ngx_queue_t                 results;
} ngx_http_iclock_report_t;


/* a snapshot that the feed was read by, and below which place it has all */
struct ngx_http_iclock_look_s {
    ngx_uint_t                  refs;
    ngx_str_t                   settled;
    ngx_str_t                   snapshot;
};


/* endpoints that may have something to be sent, and whose turn comes */
typedef struct {
    ngx_queue_t                 turn;
    ngx_queue_t                 young;      /* parcels, the oldest first */
    ngx_uint_t                  nyoung;
    ngx_msec_t                  age;        /* until which they are */
} ngx_http_iclock_places_t;


/* endpoints whose secrets were changed in the database */
typedef struct {
    ngx_pool_t                 *pool;
    ngx_rbtree_t                ids;        /* of ngx_str_node_t */
    ngx_rbtree_node_t           sentinel;
    ngx_uint_t                  n;
    ngx_str_t                   first;      /* nobody was told of */
} ngx_http_iclock_damaged_t;


struct ngx_http_iclock_sender_s {
    ngx_http_iclock_webhooks_conf_t  *conf;
    ngx_http_iclock_api_main_conf_t  *amcf;
    ngx_iclock_hook_t          *hook;
    ngx_log_t                  *log;

    ngx_rbtree_t                webhooks;   /* of ngx_str_node_t */
    ngx_rbtree_node_t           sentinel;
    ngx_queue_t                 all;
    ngx_http_iclock_places_t    prompt;
    ngx_http_iclock_places_t    trial;
    ngx_uint_t                  sending;
    size_t                      bytes;

    ngx_queue_t                 results;
    ngx_uint_t                  nresults;
    size_t                      untold;     /* bytes, of the report, too */
    ngx_http_iclock_report_t    report;
    ngx_uint_t                  refused;    /* how often it was */

    ngx_http_iclock_api_watch_t watch;
    ngx_event_t                 tick;
    ngx_event_t                 soon;       /* something is to be sent */
    ngx_event_t                 flush;
    ngx_event_t                 farewell;
    ngx_connection_t           *alarm;      /* told when nginx shuts down */

    ngx_msec_t                  leased;     /* when the lease was last taken */
    ngx_msec_t                  renewed;    /* by one that was answered */
    ngx_uint_t                  round;      /* of leases */
    ngx_uint_t                  nwebhooks;
    ngx_uint_t                  changed;    /* endpoints, when last leased */
    ngx_uint_t                  closed;     /* endpoints no key opens */
    ngx_http_iclock_damaged_t  *damaged;    /* when last leased */
    ngx_str_t                   settled;    /* by the last look */
    u_char                      text[64];

    unsigned                    leasing:1;
    unsigned                    sealing:1;
    unsigned                    working:1;
    unsigned                    again:1;    /* work came meanwhile */
    unsigned                    telling:1;
    unsigned                    leaving:1;
    unsigned                    late:1;     /* nothing more is told */
    unsigned                    left:1;
};


/* an endpoint that is leased to us */
struct ngx_http_iclock_webhook_s {
    ngx_str_node_t              node;       /* its id */
    ngx_queue_t                 queue;
    ngx_queue_t                 turn;
    ngx_http_iclock_sender_t   *sender;

    ngx_pool_t                 *pool;       /* of what follows */
    ngx_str_t                   raw;        /* of which it was read */
    ngx_str_t                   url;
    ngx_str_t                   secret;
    ngx_str_t                   previous_secret;
    ngx_array_t                *headers;    /* of ngx_keyval_t */

    ngx_uint_t                  concurrency;
    ngx_uint_t                  batch;

    /* what it gets, and where: of all that waits here, and is read for it */
    ngx_str_t                   terms;
    u_char                      terms_text[NGX_HTTP_ICLOCK_WEBHOOK_TERMS];

    ngx_event_t                 look;       /* for another attempt */
    ngx_connection_t            dummy;

    /*
     * Letters in the order of the feed; those that have no place in it yet,
     * because something before them may still come; second attempts; and what
     * waits to be sent.
     */
    ngx_queue_t                 order;
    ngx_rbtree_t                ahead;      /* by cursors */
    ngx_rbtree_node_t           ahead_sentinel;
    ngx_uint_t                  nahead;
    ngx_rbtree_t                known;      /* by identifiers */
    ngx_rbtree_node_t           sentinel;
    ngx_queue_t                 ready;
    ngx_queue_t                 retries;
    ngx_uint_t                  waiting;    /* in both */
    ngx_uint_t                  asked;
    ngx_uint_t                  got;

    /* how far it was read, see ngx_http_iclock_webhooks_look.c */
    ngx_http_iclock_look_t     *seen;
    ngx_http_iclock_look_t     *pass;
    ngx_http_iclock_look_t     *late;
    ngx_str_t                   position;
    ngx_str_t                   reached;
    ngx_str_t                   behind;
    ngx_msec_t                  looked;

    ngx_str_t                   cursor;     /* how far all is done */
    u_char                      texts[4][64];

    ngx_queue_t                 parcels;    /* under way, oldest first */
    ngx_uint_t                  sending;
    ngx_uint_t                  untold;     /* results not stored yet */
    ngx_uint_t                  told;       /* of them, on their way */
    ngx_uint_t                  failures;   /* in a row */
    ngx_uint_t                  round;

    unsigned                    ordered:1;
    unsigned                    failing:1;
    unsigned                    gone:1;     /* no longer ours */
    unsigned                    disabled:1; /* and that is logged */
    unsigned                    held:1;     /* until results are told */
    unsigned                    probe:1;    /* one may be sent */
    unsigned                    moved:1;    /* the cursor, and nobody knows */
    unsigned                    lost:1;     /* nobody is told where it is */
    unsigned                    waits:1;    /* is in the turn */
    unsigned                    more:1;     /* than there was room for */
    unsigned                    last:1;     /* look, before it is released */
    unsigned                    released:1;
    unsigned                    prompt:1;   /* the last answer was */
    unsigned                    missed:1;   /* a letter, for want of memory */
    unsigned                    due:1;      /* a look is to ask for it */
    unsigned                    left:1;     /* the last one had no room */
};


/* an event for an endpoint, in one piece with its texts */
struct ngx_http_iclock_letter_s {
    ngx_str_node_t              node;       /* of those ahead, or known */
    ngx_queue_t                 order;
    ngx_queue_t                 ready;
    ngx_http_iclock_webhook_t  *webhook;
    ngx_str_t                   cursor;
    ngx_str_t                   id;
    ngx_str_t                   type;
    ngx_str_t                   payload;
    ngx_str_t                   first;      /* of a second attempt */
    ngx_uint_t                  attempt;
    size_t                      size;

    /* no bit fields: the analyzer of gcc takes those for uninitialized */
    u_char                      retry;
    u_char                      ahead;
    u_char                      known;
    u_char                      ordered;    /* is in the order */
    u_char                      waiting;
    u_char                      done;
};


/* letters in one request */
struct ngx_http_iclock_parcel_s {
    ngx_iclock_delivery_t       delivery;
    ngx_http_iclock_webhook_t  *webhook;
    ngx_pool_t                 *pool;
    ngx_queue_t                 queue;      /* of the young ones */
    ngx_queue_t                 sent;       /* of its endpoint */
    ngx_msec_t                  start;
    ngx_array_t                 letters;    /* of pointers */
    ngx_http_iclock_places_t   *places;     /* NULL: has grown old */
};


/* what came of a letter, or that the cursor has moved */
struct ngx_http_iclock_result_s {
    ngx_queue_t                 queue;
    ngx_http_iclock_webhook_t  *webhook;
    ngx_http_iclock_letter_t   *letter;     /* a second attempt, or NULL */
    ngx_str_t                   json;       /* empty: no letter */
    size_t                      size;
    ngx_uint_t                  weight;
};


extern ngx_module_t  ngx_http_iclock_webhooks_module;


/* ngx_http_iclock_webhooks_sender.c */
ngx_int_t ngx_http_iclock_sender_start(ngx_cycle_t *cycle,
    ngx_http_iclock_webhooks_conf_t *wcf,
    ngx_http_iclock_api_main_conf_t *amcf);
void ngx_http_iclock_sender_stop(ngx_http_iclock_sender_t *s);
ngx_uint_t ngx_http_iclock_sender_leaving(ngx_http_iclock_sender_t *s);
/* nothing is on its way any more: endpoints are given back */
void ngx_http_iclock_sender_leave(ngx_http_iclock_sender_t *s);
void ngx_http_iclock_sender_timer(ngx_event_t *ev, ngx_msec_t delay);

/* ngx_http_iclock_webhooks_lease.c */
void ngx_http_iclock_webhooks_lease(ngx_http_iclock_sender_t *s);
ngx_http_iclock_webhook_t *ngx_http_iclock_webhook_find(
    ngx_http_iclock_sender_t *s, ngx_str_t *id);
void ngx_http_iclock_webhook_status(ngx_http_iclock_webhook_t *w,
    ngx_str_t *status, ngx_str_t *probe_in);
/* forgets what waits for it, and it itself once nothing is on its way */
void ngx_http_iclock_webhook_drop(ngx_http_iclock_webhook_t *w);
void ngx_http_iclock_webhook_free(ngx_http_iclock_webhook_t *w);
void ngx_http_iclock_webhook_wipe_secrets(ngx_http_iclock_webhook_t *w);

/* ngx_http_iclock_webhooks_seal.c: those of an answer that need it */
ngx_int_t ngx_http_iclock_webhooks_opens(ngx_http_iclock_sender_t *s,
    ngx_str_t *row);
void ngx_http_iclock_webhooks_damaged(ngx_http_iclock_sender_t *s,
    ngx_http_iclock_damaged_t **damaged, ngx_str_t *id);
void ngx_http_iclock_webhooks_tell(ngx_http_iclock_sender_t *s,
    ngx_http_iclock_damaged_t *damaged);
void ngx_http_iclock_webhooks_seal(ngx_http_iclock_sender_t *s,
    ngx_iclock_query_t *lease);
void ngx_http_iclock_webhooks_forget(ngx_iclock_query_t *lease);

/* ngx_http_iclock_webhooks_work.c */
void ngx_http_iclock_webhooks_work(ngx_http_iclock_sender_t *s);
/* for those that are due; NGX_DECLINED: nothing is wanted */
ngx_int_t ngx_http_iclock_webhooks_ask(ngx_http_iclock_sender_t *s);

/* ngx_http_iclock_webhooks_letter.c */
void ngx_http_iclock_letter_know(ngx_http_iclock_letter_t *l);
/* something may still come before it */
void ngx_http_iclock_letter_ahead(ngx_http_iclock_letter_t *l);
void ngx_http_iclock_letter_free(ngx_http_iclock_letter_t *l);
/* puts it behind those that wait, or before them */
void ngx_http_iclock_letter_wait(ngx_http_iclock_letter_t *l,
    ngx_uint_t first);
void ngx_http_iclock_letter_take(ngx_http_iclock_letter_t *l);
/* nothing comes before it any more */
void ngx_http_iclock_letter_settle(ngx_http_iclock_letter_t *l);
/* moves the cursor over what is done */
void ngx_http_iclock_webhook_advance(ngx_http_iclock_webhook_t *w);
/* drops it, and its cursor: what came of it PostgreSQL does not know */
void ngx_http_iclock_webhook_lose(ngx_http_iclock_webhook_t *w);
void ngx_http_iclock_webhook_reset(ngx_http_iclock_webhook_t *w);

/* ngx_http_iclock_webhooks_look.c */
ngx_http_iclock_look_t *ngx_http_iclock_look_create(
    ngx_http_iclock_sender_t *s, ngx_str_t *settled, ngx_str_t *snapshot);
void ngx_http_iclock_look_release(ngx_http_iclock_look_t **look);
void ngx_http_iclock_webhook_place(ngx_http_iclock_webhook_t *w,
    ngx_str_t *after, ngx_str_t *seen);
void ngx_http_iclock_webhook_looked(ngx_http_iclock_webhook_t *w,
    ngx_http_iclock_look_t *look, ngx_str_t *place);
/* "id,id": they were read to the end */
void ngx_http_iclock_webhooks_ended(ngx_http_iclock_sender_t *s,
    ngx_http_iclock_look_t *look, ngx_str_t *ids);
void ngx_http_iclock_webhook_unlook(ngx_http_iclock_webhook_t *w);
/* of a worker that leaves; NGX_OK: sender_leave() is called once more */
ngx_int_t ngx_http_iclock_webhooks_last(ngx_http_iclock_sender_t *s);

/* ngx_http_iclock_webhooks_send.c */
void ngx_http_iclock_webhook_ready(ngx_http_iclock_webhook_t *w);
/* it is known to answer soon */
ngx_uint_t ngx_http_iclock_webhook_prompt(ngx_http_iclock_webhook_t *w);
void ngx_http_iclock_webhooks_send(ngx_http_iclock_sender_t *s);

/* ngx_http_iclock_webhooks_result.c */
void ngx_http_iclock_webhooks_result(ngx_http_iclock_parcel_t *p);
ngx_http_iclock_result_t *ngx_http_iclock_result_create(
    ngx_http_iclock_webhook_t *w, size_t size, ngx_uint_t weight);

/* ngx_http_iclock_webhooks_report.c */
void ngx_http_iclock_webhooks_flush(ngx_http_iclock_sender_t *s);

/* ngx_http_iclock_webhooks_json.c */
/* a flat object of texts; NULL: it is not */
ngx_array_t *ngx_http_iclock_webhook_headers(ngx_str_t *json,
    ngx_pool_t *pool);


#endif /* _NGX_HTTP_ICLOCK_WEBHOOKS_H_INCLUDED_ */
