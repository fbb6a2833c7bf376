
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


#ifndef _ICLOCK_PG_PRIVATE_H_INCLUDED_
#define _ICLOCK_PG_PRIVATE_H_INCLUDED_


#include "iclock_pg.h"


#define NGX_ICLOCK_PG_ERROR_LEN  512

#define NGX_ICLOCK_PG_SETUP_LEN  2048

/* columns of the identity, and the bytes of all of them */
#define NGX_ICLOCK_PG_IDENTITY      3
#define NGX_ICLOCK_PG_IDENTITY_LEN  128

/* of names in PostgreSQL, with the NUL */
#define NGX_ICLOCK_PG_APPLICATION_LEN  64

/* the number of the guard, after those of other statements */
#define NGX_ICLOCK_PG_GUARD      63

/* items of one job in one batch, so that large uploads hold up no one */
#define NGX_ICLOCK_PG_SLICE        512

/*
 * And while there is no one else, of a job whose items are cheap: a part of it,
 * so that its parameters take little memory beside it, but no more than what
 * takes a turn of the event loop for 3 ms.
 */
#define NGX_ICLOCK_PG_SLICE_PART   8
#define NGX_ICLOCK_PG_SLICE_MAX    4096

/* and their bytes: what is built takes a turn of the event loop */
#define NGX_ICLOCK_PG_SLICE_BYTES  (1024 * 1024)

/* how often a batch is sent again after a failure that may pass */
#define NGX_ICLOCK_PG_RETRIES    1

/*
 * Settings of every connection.  On levels below "notice" PostgreSQL says what
 * must not get into the log, parameters of statements among it.  Not every
 * version knows all names in the list.
 */
#define NGX_ICLOCK_PG_SETTINGS                                               \
    "SET client_min_messages = notice;"                                      \
    "SELECT set_config(name, '0', false) FROM pg_catalog.pg_settings"        \
    " WHERE name IN ('idle_session_timeout', 'transaction_timeout');"


typedef struct {
    ngx_str_t                   name;       /* empty, a path or a name */
    ngx_str_t                   port;       /* all strings end with NUL */
    unsigned                    resolve:1;  /* a name to look up */
    ngx_str_t                   password;   /* from the password file */
    ngx_uint_t                  naddrs;
    ngx_str_t                  *addrs;
} ngx_iclock_pg_host_t;


/* the connection string, taken apart */
struct ngx_iclock_pg_server_s {
    ngx_array_t                 hosts;      /* ngx_iclock_pg_host_t */
    ngx_array_t                 options;    /* ngx_keyval_t, NUL-terminated */
    ngx_str_t                   dbname;
    ngx_str_t                   user;
    uint32_t                    hash;       /* of hosts, ports and dbname */
};


typedef enum {
    NGX_ICLOCK_PG_CLOSED = 0,
    NGX_ICLOCK_PG_RESOLVING,
    NGX_ICLOCK_PG_CONNECTING,
    NGX_ICLOCK_PG_SETUP,
    NGX_ICLOCK_PG_IDLE,
    NGX_ICLOCK_PG_BUSY
} ngx_iclock_pg_state_e;


typedef struct ngx_iclock_pg_conn_s  ngx_iclock_pg_conn_t;


typedef struct {
    /* the connection is idle and set up */
    void                      (*connected)(ngx_iclock_pg_conn_t *conn);

    /*
     * It is closed already, conn->error tells why: it could not be
     * established, was lost, or timed out (conn->timedout).
     */
    void                      (*closed)(ngx_iclock_pg_conn_t *conn);

    /* input was consumed */
    void                      (*input)(ngx_iclock_pg_conn_t *conn);

    /* the worker is about to exit, or must exit now (c->error) */
    void                      (*shutdown)(ngx_iclock_pg_conn_t *conn);
} ngx_iclock_pg_conn_handlers_t;


struct ngx_iclock_pg_conn_s {
    ngx_uint_t                  state;
    PGconn                     *pg;
    ngx_connection_t           *connection;
    ino_t                       inode;      /* the socket's identity */
    ngx_event_t                 timer;

    /* the socket can be read or written */
    void                      (*ready)(ngx_iclock_pg_conn_t *conn,
                                       ngx_uint_t write);

    ngx_iclock_pg_pool_conf_t  *conf;
    const char                 *application;
    const char                 *setup;      /* sent once connected */
    ngx_iclock_pg_conn_handlers_t
                               *handlers;
    void                       *data;
    ngx_log_t                  *log;

    ngx_uint_t                  host;       /* the next to try */
    ngx_uint_t                  addr;
    ngx_resolver_ctx_t         *resolving;
    ngx_uint_t                  nresolved;
    ngx_str_t                  *resolved;
    ngx_pool_t                 *pool;       /* of the attempt */

    ngx_msec_t                  since;      /* it was established */
    uint32_t                    database;   /* hash of its identity */
    ngx_uint_t                  nidentity;  /* columns, one after the other */
    int                         identity_len[NGX_ICLOCK_PG_IDENTITY];
    u_char                      identity[NGX_ICLOCK_PG_IDENTITY_LEN];

    unsigned                    established:1;
    unsigned                    timedout:1;
    unsigned                    setup_failed:1;

    size_t                      error_len;
    u_char                      error[NGX_ICLOCK_PG_ERROR_LEN];
};


/* iclock_pg_server.c */

/*
 * If the connection string names no user it is the worker's own, who is
 * looked up once.  Returns NGX_OK or NGX_ERROR (out of memory).
 */
ngx_int_t ngx_iclock_pg_server_user(ngx_iclock_pg_server_t *server,
    ngx_pool_t *pool);


/* iclock_pg_hosts.c */

/*
 * Takes the lists of a connection string apart, and looks names up.  Returns
 * NGX_OK or NGX_ERROR, with *err set unless memory has run out.
 */
ngx_int_t ngx_iclock_pg_hosts_create(ngx_conf_t *cf,
    ngx_iclock_pg_server_t *server, ngx_str_t *hosts, ngx_str_t *addrs,
    ngx_str_t *ports, char **err);


/* iclock_pg_connect.c: until a connection is set up */

/* starts an attempt through all hosts and addresses */
void ngx_iclock_pg_connect(ngx_iclock_pg_conn_t *conn);

/*
 * Sets the timer of the next attempt after a delay that is doubled from time
 * to time; with jitter, since all workers lose a server at the same time.
 */
void ngx_iclock_pg_connect_later(ngx_event_t *timer, ngx_msec_t *delay,
    ngx_msec_t min, ngx_msec_t max);


/* iclock_pg_conn.c: from then on */

void ngx_iclock_pg_conn_init(ngx_iclock_pg_conn_t *conn,
    ngx_iclock_pg_pool_conf_t *conf, ngx_iclock_pg_conn_handlers_t *handlers,
    void *data);

/* metrics show the state */
void ngx_iclock_pg_conn_state(ngx_iclock_pg_conn_t *conn, ngx_uint_t state);

/* the state is idle for the first time; calls connected() */
void ngx_iclock_pg_conn_established(ngx_iclock_pg_conn_t *conn);

/* reads what has come; NGX_OK or NGX_ERROR (lost) */
ngx_int_t ngx_iclock_pg_conn_consume(ngx_iclock_pg_conn_t *conn);

/* sends what libpq holds, also later; NGX_OK or NGX_ERROR (lost) */
ngx_int_t ngx_iclock_pg_conn_flush(ngx_iclock_pg_conn_t *conn);

/* the state is idle: shutdown may close it, nothing waits for a timer */
void ngx_iclock_pg_conn_idle(ngx_iclock_pg_conn_t *conn);

/* the state is busy, for at most the given time */
void ngx_iclock_pg_conn_busy(ngx_iclock_pg_conn_t *conn, ngx_msec_t timeout);

/* closes and calls closed(); the message may be NULL: libpq's own */
void ngx_iclock_pg_conn_lost(ngx_iclock_pg_conn_t *conn, const char *message);

/* closes without calling closed() */
void ngx_iclock_pg_conn_close(ngx_iclock_pg_conn_t *conn);

/* gives the socket back; the attempt may go on with another one */
void ngx_iclock_pg_conn_release(ngx_iclock_pg_conn_t *conn);


/* iclock_pg_socket.c: the socket of libpq as a connection of nginx */

/* libpq stays its owner; returns NGX_OK or NGX_ERROR */
ngx_int_t ngx_iclock_pg_socket_attach(ngx_iclock_pg_conn_t *conn);
void ngx_iclock_pg_socket_detach(ngx_iclock_pg_conn_t *conn);

/* whether it is the one that was attached: NGX_OK or NGX_DECLINED */
ngx_int_t ngx_iclock_pg_socket_same(ngx_iclock_pg_conn_t *conn);

/* watches for reading, for writing, or both; returns NGX_OK or NGX_ERROR */
ngx_int_t ngx_iclock_pg_socket_want(ngx_iclock_pg_conn_t *conn,
    ngx_uint_t rd, ngx_uint_t wr);


/* iclock_pg_resolve.c */

/*
 * Looks a host name up if there is a resolver.  Returns NGX_AGAIN (handler
 * will be called), NGX_DECLINED (no resolver) or NGX_ERROR.
 */
ngx_int_t ngx_iclock_pg_resolve(ngx_iclock_pg_conn_t *conn,
    ngx_iclock_pg_host_t *host, ngx_resolver_handler_pt handler);

void ngx_iclock_pg_resolve_cancel(ngx_iclock_pg_conn_t *conn);

/* takes the addresses over; returns their number */
ngx_uint_t ngx_iclock_pg_resolved(ngx_iclock_pg_conn_t *conn,
    ngx_resolver_ctx_t *ctx);


/* iclock_pg_log.c */

/*
 * Logs a failure of the database: the first one with the SQLSTATE that the
 * message begins with, or of those without any, at once; repetitions within a
 * minute are counted only, over all workers.
 */
void ngx_iclock_pg_log_failure(ngx_iclock_pg_stat_t *stat, ngx_log_t *log,
    const char *what, u_char *message, size_t len);

/* one line of printable text from a message of libpq */
size_t ngx_iclock_pg_message(u_char *dst, size_t size, const char *message);


/* iclock_pg_trace.c */

/*
 * Lines of the debug log: what happens to a job, or to each job of a batch.
 * They bear the number of the connection whose request it is.
 */

#if (NGX_DEBUG)

void ngx_iclock_pg_trace_job(ngx_iclock_pg_job_t *job, const char *what);

/* the SQLSTATE may be NULL */
void ngx_iclock_pg_trace(ngx_iclock_pg_batch_t *batch, const char *what,
    u_char *sqlstate);

#else

#define ngx_iclock_pg_trace_job(job, what)
#define ngx_iclock_pg_trace(batch, what, sqlstate)

#endif


/* iclock_pg_batch.c */

ngx_iclock_pg_batch_t *ngx_iclock_pg_batch_create(ngx_log_t *log);
void ngx_iclock_pg_batch_destroy(ngx_iclock_pg_batch_t *batch);

/* forgets what belongs to one run */
void ngx_iclock_pg_batch_reset(ngx_iclock_pg_batch_t *batch);
ngx_int_t ngx_iclock_pg_batch_prepare(ngx_iclock_pg_batch_t *batch,
    ngx_log_t *log);

ngx_int_t ngx_iclock_pg_batch_slice(ngx_iclock_pg_batch_t *batch,
    ngx_iclock_pg_job_t *job, ngx_uint_t first, ngx_uint_t n);

/* moves the second half of the items to a new batch; NULL: no memory */
ngx_iclock_pg_batch_t *ngx_iclock_pg_batch_split(ngx_iclock_pg_batch_t *batch,
    ngx_log_t *log);

/* moves the last of several jobs to a new batch; NULL: no memory */
ngx_iclock_pg_batch_t *ngx_iclock_pg_batch_pop(ngx_iclock_pg_batch_t *batch,
    ngx_log_t *log);


/* iclock_pg_error.c */

typedef enum {
    NGX_ICLOCK_PG_FAIL = 0,     /* the jobs fail */
    NGX_ICLOCK_PG_APART,        /* some job is at fault */
    NGX_ICLOCK_PG_DATA,         /* some record is at fault */
    NGX_ICLOCK_PG_RETRY,        /* once more, same connection */
    NGX_ICLOCK_PG_RECONNECT     /* once more, another connection */
} ngx_iclock_pg_action_e;


ngx_uint_t ngx_iclock_pg_error_action(const char *sqlstate);

/* what the operator can do about it; NULL: nothing special */
const char *ngx_iclock_pg_error_advice(const char *sqlstate);


/* the pool, its members and what they work on */

/* a connection of the pool and what it works on */
typedef struct {
    ngx_iclock_pg_conn_t        conn;
    ngx_iclock_pg_pool_t       *pool;

    ngx_iclock_pg_batch_t      *batch;      /* running */
    ngx_queue_t                 todo;       /* to be run here, in order */

    uint64_t                    prepared;   /* statements by number */
    uint64_t                    preparing;  /* in this pipeline */
    ngx_uint_t                  generation; /* of the statements */
    ngx_array_t                 steps;      /* ngx_iclock_pg_step_t */
    ngx_uint_t                  step;       /* whose results are next */

    size_t                      sent;       /* bytes of this pipeline */
    size_t                      largest;    /* since it was connected */

    unsigned                    failed:1;
    u_char                      sqlstate[NGX_ICLOCK_PG_SQLSTATE_LEN + 1];
    size_t                      message_len;
    u_char                      message[NGX_ICLOCK_PG_ERROR_LEN + 1];
} ngx_iclock_pg_member_t;


/* one command of a pipeline */
typedef struct {
    ngx_uint_t                  exec;
    ngx_uint_t                  prepare;    /* unsigned  prepare:1; */
} ngx_iclock_pg_step_t;


/* of all jobs that wait */
typedef struct {
    ngx_uint_t                  items;      /* not handed out */
    size_t                      bytes;      /* of these, about */

    /* how many of the jobs are alone; how many have which side */
    ngx_uint_t                  alone;
    ngx_uint_t                  sides[NGX_ICLOCK_PG_SIDES + 1];
} ngx_iclock_pg_waiting_t;


struct ngx_iclock_pg_pool_s {
    ngx_iclock_pg_pool_conf_t  *conf;
    ngx_iclock_pg_handlers_t   *handlers;
    ngx_iclock_pg_stat_t       *stat;
    void                       *data;
    ngx_log_t                  *log;

    ngx_iclock_pg_member_t     *members;
    ngx_queue_t                 jobs;       /* waiting, in order */
    ngx_uint_t                  njobs;
    ngx_iclock_pg_waiting_t     waiting;
    size_t                      held;       /* by all jobs, also running */
    size_t                      coming;     /* held by those being made */
    ngx_queue_t                 redo;       /* batches to be sent again */
    ngx_queue_t                 later;      /* the same, after a while */
    ngx_queue_t                 settled;    /* jobs that are about to be done */

    ngx_uint_t                  generation; /* older connections are closed */

    ngx_uint_t                  items;      /* built in this turn */
    size_t                      bytes;
    ngx_uint_t                  more;       /* is left for idle connections */
    ngx_uint_t                  ndone;      /* jobs, in this turn */
    ngx_uint_t                  expected;   /* jobs that may follow soon */
    ngx_msec_t                  done_last;  /* when a client was answered */
    ngx_event_t                 dispatch;   /* posted */
    ngx_event_t                 done;       /* posted: of settled jobs */
    ngx_event_t                 gather;     /* of jobs that wait for others */
    ngx_event_t                 expire;     /* of the first waiting job */
    ngx_event_t                 yield;      /* of batches for later */
    ngx_event_t                 shrink;     /* of idle connections */
    ngx_event_t                 backoff;
    ngx_msec_t                  delay;
    ngx_msec_t                  slow;       /* a large part was; 0: never */

    u_char                      application[NGX_ICLOCK_PG_APPLICATION_LEN];
    u_char                      setup[NGX_ICLOCK_PG_SETUP_LEN];
    uint32_t                    database;   /* connected last */

    unsigned                    unprepared:1;
};


/*
 * Something may be waiting for an idle connection.  Requests that arrive in
 * one turn of the event loop go out together, and nothing is started from
 * within someone else's handler.
 */
#define ngx_iclock_pg_pool_post(pool)                                        \
    ngx_post_event(&(pool)->dispatch, &ngx_posted_events)


/* shared transactions are those of devices */
#define ngx_iclock_pg_batch_count(pool, what)                                \
    if ((pool)->conf->connector == NGX_ICLOCK_L_CONNECTOR_DEVICE) {          \
        ngx_iclock_count_by(COMMITS, what, 1);                               \
    }


/* iclock_pg_queue.c: jobs that wait, and jobs that are done */

void ngx_iclock_pg_queue_init(ngx_iclock_pg_pool_t *pool);

void ngx_iclock_pg_queue_add(ngx_iclock_pg_pool_t *pool,
    ngx_iclock_pg_job_t *job);

/* whether a job that holds that much memory is refused */
ngx_uint_t ngx_iclock_pg_queue_full(ngx_iclock_pg_pool_t *pool, size_t held);
ngx_uint_t ngx_iclock_pg_queue_has_work(ngx_iclock_pg_pool_t *pool);

/* a batch of what waits, within the bounds of a transaction; NULL: none */
ngx_iclock_pg_batch_t *ngx_iclock_pg_queue_collect(
    ngx_iclock_pg_pool_t *pool);

/* sets the timer of the job that has waited for longest */
void ngx_iclock_pg_queue_expire(ngx_iclock_pg_pool_t *pool);

/* nothing is connected, nor will be soon: all that waits fails */
void ngx_iclock_pg_queue_fail(ngx_iclock_pg_pool_t *pool);

/* all slices of the batch have come to an end; the batch is destroyed */
void ngx_iclock_pg_queue_settle(ngx_iclock_pg_pool_t *pool,
    ngx_iclock_pg_batch_t *batch, ngx_int_t rc);

/* drops the slices of jobs that failed or were cancelled meanwhile */
void ngx_iclock_pg_queue_prune(ngx_iclock_pg_pool_t *pool,
    ngx_iclock_pg_batch_t *batch);

void ngx_iclock_pg_queue_close(ngx_iclock_pg_pool_t *pool);


/* iclock_pg_gather.c: when the next transaction begins */

void ngx_iclock_pg_gather_init(ngx_iclock_pg_pool_t *pool);

/*
 * Whether the jobs that wait, and could begin now, have to wait for more.  If
 * so the dispatcher is posted in time.
 */
ngx_uint_t ngx_iclock_pg_gather(ngx_iclock_pg_pool_t *pool);

/* a job is queued, and a job is about to be done */
void ngx_iclock_pg_gather_came(ngx_iclock_pg_pool_t *pool,
    ngx_iclock_pg_job_t *job);
void ngx_iclock_pg_gather_done(ngx_iclock_pg_pool_t *pool,
    ngx_iclock_pg_job_t *job);

void ngx_iclock_pg_gather_close(ngx_iclock_pg_pool_t *pool);


/* iclock_pg_member.c: a connection of the pool */

/* returns NGX_OK or NGX_ERROR (out of memory) */
ngx_int_t ngx_iclock_pg_member_init(ngx_iclock_pg_member_t *member,
    ngx_iclock_pg_pool_t *pool, ngx_pool_t *memory);

/* what an idle connection runs next; NULL: nothing, or more is to come */
ngx_iclock_pg_batch_t *ngx_iclock_pg_member_next(
    ngx_iclock_pg_member_t *member);

/* leaves its work to the other connections */
void ngx_iclock_pg_member_close(ngx_iclock_pg_member_t *member);


/* iclock_pg_pipeline.c: a batch on its way to PostgreSQL and back */

/* builds and sends it */
void ngx_iclock_pg_pipeline_run(ngx_iclock_pg_member_t *member,
    ngx_iclock_pg_batch_t *batch);

/* takes the results */
void ngx_iclock_pg_pipeline_input(ngx_iclock_pg_conn_t *conn);


/* iclock_pg_recover.c: batches that were not committed */

/* does what member->sqlstate leads to */
void ngx_iclock_pg_recover(ngx_iclock_pg_member_t *member,
    ngx_iclock_pg_batch_t *batch);

/* sends the batch again, or gives up and settles it with rc */
void ngx_iclock_pg_recover_retry(ngx_iclock_pg_member_t *member,
    ngx_iclock_pg_batch_t *batch, ngx_int_t rc);

/* the connection is closed: another one runs what it had to do */
void ngx_iclock_pg_recover_pass_on(ngx_iclock_pg_member_t *member);


#endif /* _ICLOCK_PG_PRIVATE_H_INCLUDED_ */
