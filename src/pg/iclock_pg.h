
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


/*
 * PostgreSQL on nginx's event loop: connections, a pool with group commit
 * and a listener.  This floor knows neither devices nor HTTP; it calls up
 * through the handlers it was given.
 */


#ifndef _ICLOCK_PG_H_INCLUDED_
#define _ICLOCK_PG_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include <libpq-fe.h>

#include "iclock_metric.h"
#include "iclock_pg_conf.h"


/* type object ids of pg_type that the floors above send and read */
#define NGX_ICLOCK_PG_BOOL              16
#define NGX_ICLOCK_PG_BYTEA             17
#define NGX_ICLOCK_PG_INT8              20
#define NGX_ICLOCK_PG_INT4              23
#define NGX_ICLOCK_PG_TEXT              25
#define NGX_ICLOCK_PG_OID               26
#define NGX_ICLOCK_PG_TIMESTAMP         1114
#define NGX_ICLOCK_PG_BYTEA_ARRAY       1001
#define NGX_ICLOCK_PG_INT4_ARRAY        1007
#define NGX_ICLOCK_PG_TEXT_ARRAY        1009
#define NGX_ICLOCK_PG_INT8_ARRAY        1016
#define NGX_ICLOCK_PG_TIMESTAMP_ARRAY   1115
#define NGX_ICLOCK_PG_TIMESTAMPTZ       1184

#define NGX_ICLOCK_PG_SQLSTATE_LEN      5

/* what the guard raises */
#define NGX_ICLOCK_PG_OTHER_DATABASE    "IC001"

/* a schema that is older than the statement */
#define NGX_ICLOCK_PG_NO_FUNCTION       "42883"


typedef struct ngx_iclock_pg_pool_s    ngx_iclock_pg_pool_t;
typedef struct ngx_iclock_pg_batch_s   ngx_iclock_pg_batch_t;
typedef struct ngx_iclock_pg_job_s     ngx_iclock_pg_job_t;
typedef struct ngx_iclock_pg_listen_s  ngx_iclock_pg_listen_t;


/*
 * Where to connect
 */

/*
 * Reads a connection string or URI.  Host names are looked up once, here;
 * a failure is no error, since a resolver may find them later.  The server
 * is allocated from cf->pool.  Returns NULL with *err set to a message for
 * the operator, which never holds the string itself.
 */
ngx_iclock_pg_server_t *ngx_iclock_pg_server_create(ngx_conf_t *cf,
    ngx_str_t *conninfo, char **err);

/*
 * Hash of the hosts, ports and name of the database: what else a connection
 * string says, passwords above all, may change without another database.
 */
uint32_t ngx_iclock_pg_server_hash(ngx_iclock_pg_server_t *server);

/*
 * Reads the password of the server from a file in the format of .pgpass,
 * with the rights of the master process.  Returns NGX_CONF_OK,
 * NGX_CONF_ERROR (logged) or a message.
 */
char *ngx_iclock_pg_server_passfile(ngx_conf_t *cf,
    ngx_iclock_pg_server_t *server, ngx_str_t *file);


/*
 * Statements and their parameters
 */

typedef struct {
    const char                 *name;       /* of the prepared statement */
    const char                 *text;
    ngx_uint_t                  nparams;
    const Oid                  *types;
} ngx_iclock_pg_statement_t;


/*
 * An array parameter in binary format that grows as values are added.  As long
 * as all of them are NULL it takes no memory.
 */
typedef struct {
    u_char                     *start;
    u_char                     *last;
    u_char                     *end;
    ngx_uint_t                  nelts;
    ngx_uint_t                  nulls;      /* of these */
    Oid                         type;       /* of the elements */
    ngx_pool_t                 *pool;
} ngx_iclock_pg_array_t;


void ngx_iclock_pg_array_init(ngx_iclock_pg_array_t *array, ngx_pool_t *pool,
    Oid type);

/* all return NGX_OK or NGX_ERROR (out of memory) */
ngx_int_t ngx_iclock_pg_array_null(ngx_iclock_pg_array_t *array);
ngx_int_t ngx_iclock_pg_array_int4(ngx_iclock_pg_array_t *array, int32_t n);
ngx_int_t ngx_iclock_pg_array_int8(ngx_iclock_pg_array_t *array, int64_t n);
ngx_int_t ngx_iclock_pg_array_bytes(ngx_iclock_pg_array_t *array,
    ngx_str_t *s);

/* single values in binary format; return their length */
int ngx_iclock_pg_int4(u_char *p, int32_t n);
int ngx_iclock_pg_int8(u_char *p, int64_t n);

/*
 * The parameter value; valid until the next value is added.  It is NULL if no
 * value of the array is anything else.
 */
void ngx_iclock_pg_array_value(ngx_iclock_pg_array_t *array,
    const char **value, int *length);

/* the same for the only element of an array, which is no array then */
void ngx_iclock_pg_array_only(ngx_iclock_pg_array_t *array,
    const char **value, int *length);


/*
 * Group commit
 *
 * A job is what must be committed before someone can be answered.  It
 * consists of items, the units that are taken apart when one of them turns
 * out to be poison.  While all connections are busy jobs queue; when one
 * falls idle, all that waits goes out as one pipeline, which is one
 * transaction: at once if there is no other one, or else as soon as enough
 * jobs wait, or have waited for a moment.
 */

#define NGX_ICLOCK_PG_SIDE_A    1
#define NGX_ICLOCK_PG_SIDE_B    2
#define NGX_ICLOCK_PG_SIDES     3


struct ngx_iclock_pg_job_s {
    ngx_queue_t                 queue;
    ngx_uint_t                  nitems;
    size_t                      bytes;      /* of all items, about */
    size_t                      held;       /* in memory, until it is done */
    ngx_uint_t                  alone;      /* in its transaction */
    ngx_uint_t                  cheap;      /* its items are, to PostgreSQL */

    /* NGX_ICLOCK_PG_SIDE_*, which do not share a transaction; 0: of either */
    ngx_uint_t                  side;

    /*
     * Hash of the database that its ids are of, 0: it has none.  It fails
     * with NGX_DECLINED on a connection to another one.
     */
    uint32_t                    database;
    uint32_t                    ran;        /* on a connection to that one */
    ngx_uint_t                  once;       /* alone, and not idempotent */
    ngx_uint_t                  doubtful;   /* "once": perhaps committed */

    /*
     * Number of its request's connection, 0: it has none, and whether
     * "debug_connection" names that one.  The job may outlast its log.
     */
    ngx_atomic_uint_t           connection;
    ngx_uint_t                  debug;

    /* private to the pool */
    ngx_uint_t                  next;       /* first item not handed out */
    ngx_uint_t                  running;    /* items handed out */
    ngx_msec_t                  deadline;
    ngx_int_t                   rc;
    unsigned                    queued:1;
    unsigned                    cancelled:1;
    unsigned                    settled:1;
};


/* a run of one job's items in a batch */
typedef struct {
    ngx_iclock_pg_job_t        *job;
    ngx_uint_t                  first;
    ngx_uint_t                  n;
} ngx_iclock_pg_slice_t;


/* one statement of a batch */
typedef struct {
    const ngx_iclock_pg_statement_t  *statement;
    ngx_uint_t                  number;     /* of the statement */
    const char                **values;     /* binary */
    int                        *lengths;
    void                       *data;       /* of the build handler */
    PGresult                   *result;
} ngx_iclock_pg_exec_t;


struct ngx_iclock_pg_batch_s {
    ngx_queue_t                 queue;
    ngx_array_t                 slices;     /* ngx_iclock_pg_slice_t */
    ngx_uint_t                  nitems;
    size_t                      bytes;      /* when it was collected, about */

    /* of one run: microseconds, and records that the build handler counts */
    uint64_t                    started;
    ngx_uint_t                  records;

    /* the build handler allocates here */
    ngx_pool_t                 *pool;
    ngx_pool_t                 *params;     /* until the batch is sent */
    ngx_array_t                 execs;      /* ngx_iclock_pg_exec_t */

    /* private to the pool */
    ngx_uint_t                  number;     /* of one run, for the log */
    ngx_pool_t                 *own;
    ngx_queue_t                 rest;       /* to be run after this one */
    ngx_uint_t                  tries;
    unsigned                    apart:1;    /* run by itself, job by job */
    unsigned                    failed_alone:1; /* with a single item */
    unsigned                    rejected:1; /* that item, by reject() */
};


typedef struct {
    /*
     * A query that returns one row, which differs where ids mean something
     * else: the bytes of each value in binary format, as bytea.  The first
     * column is "iclock_identity".  NULL: there is none.
     */
    const char                 *identity;

    /*
     * The statement that begins each transaction.  It raises
     * NGX_ICLOCK_PG_OTHER_DATABASE if its parameters, as many as the identity
     * has columns, are not what that is now.
     */
    const ngx_iclock_pg_statement_t  *guard;

    /*
     * Turns the slices of the batch into statements by
     * ngx_iclock_pg_batch_add().  Returns NGX_OK or NGX_ERROR.
     */
    ngx_int_t                 (*build)(ngx_iclock_pg_batch_t *batch,
                                       void *data);

    /* the batch was committed: the result of each of its statements */
    void                      (*result)(ngx_iclock_pg_batch_t *batch,
                                        ngx_iclock_pg_exec_t *exec,
                                        void *data);

    /*
     * PostgreSQL refuses the item even by itself: build() has to make
     * something else of it from now on.  Returns NGX_OK, or NGX_DECLINED if
     * it cannot; the job fails then.
     */
    ngx_int_t                 (*reject)(ngx_iclock_pg_job_t *job,
                                        ngx_uint_t item, ngx_str_t *sqlstate,
                                        ngx_str_t *message, void *data);

    /*
     * All items of the job are committed (job->rc is NGX_OK), or the job
     * failed (NGX_ERROR, NGX_BUSY: too slow, NGX_DECLINED: no connection).
     * Called for each submitted job exactly once.  It may submit jobs.
     */
    void                      (*done)(ngx_iclock_pg_job_t *job, void *data);

    /*
     * What PostgreSQL says of a transaction that the job was in; it may be
     * run again.  NULL: nobody wants to know.
     */
    void                      (*failed)(ngx_iclock_pg_job_t *job,
                                        ngx_str_t *sqlstate,
                                        ngx_str_t *message, void *data);

    /* what follows "iclock/<worker>" in the name of the application */
    const char                 *name;

    /* settings of connections besides those of every pool, each with ";" */
    const char                 *settings;

    /* bytes of an item of the job; NULL: all of them have about the same */
    size_t                    (*size)(ngx_iclock_pg_job_t *job,
                                      ngx_uint_t item);
} ngx_iclock_pg_handlers_t;


/*
 * Creates the pool of this worker process in cycle->pool and opens its first
 * connection.  The statistics are shared by all workers.  Returns NULL when
 * out of memory; a database that cannot be reached is no error.
 */
ngx_iclock_pg_pool_t *ngx_iclock_pg_pool_create(ngx_cycle_t *cycle,
    ngx_iclock_pg_pool_conf_t *conf, ngx_iclock_pg_handlers_t *handlers,
    ngx_iclock_pg_stat_t *stat, void *data);

/* whether a job that is to hold that much memory would be refused */
ngx_uint_t ngx_iclock_pg_full(ngx_iclock_pg_pool_t *pool, size_t held);

/*
 * So much more memory is held, or less, by jobs that are still being made; for
 * others to come there is less of it.
 */
void ngx_iclock_pg_hold(ngx_iclock_pg_pool_t *pool, ssize_t bytes);

/*
 * Whether they may hold that much more.  The first of them always may unless
 * others were submitted, so that one of them comes to its end.
 */
ngx_uint_t ngx_iclock_pg_may_hold(ngx_iclock_pg_pool_t *pool, size_t bytes,
    ngx_uint_t first);

/*
 * Queues a job, whose nitems, bytes and held are set and which stays with the
 * caller.  Returns NGX_OK, NGX_BUSY (the queue is full) or NGX_DECLINED
 * (nothing is connected); done() is called only after NGX_OK.
 */
ngx_int_t ngx_iclock_pg_submit(ngx_iclock_pg_pool_t *pool,
    ngx_iclock_pg_job_t *job);

/*
 * The caller is about to free what the items point to.  What was sent already
 * goes on, nothing more is built from the job.  done() may be called at once.
 */
void ngx_iclock_pg_cancel(ngx_iclock_pg_pool_t *pool,
    ngx_iclock_pg_job_t *job);

/*
 * Adds a statement; the caller fills in its values and lengths.  The number is
 * 0 to 62 and the same for the same statement.  NULL: out of memory.
 */
ngx_iclock_pg_exec_t *ngx_iclock_pg_batch_add(ngx_iclock_pg_batch_t *batch,
    const ngx_iclock_pg_statement_t *statement, ngx_uint_t number,
    void *data);

/* whether there is a connection, or one that is busy */
ngx_uint_t ngx_iclock_pg_connected(ngx_iclock_pg_pool_t *pool);

/* hash of the database that was connected last; 0: none until now */
uint32_t ngx_iclock_pg_pool_database(ngx_iclock_pg_pool_t *pool);

/* closes everything at once; for exit_process */
void ngx_iclock_pg_pool_close(ngx_iclock_pg_pool_t *pool);


/*
 * The listener
 */

/* a notification, or the gap before it has ended: channel is NULL */
typedef void (*ngx_iclock_pg_notify_pt)(const char *channel,
    const char *payload, void *data);


/*
 * Listens on the channels, a list ended by NULL; the first of them serves to
 * probe whether notifications arrive at all.  The connection bears the name of
 * the application.  In cycle->pool.
 */
ngx_iclock_pg_listen_t *ngx_iclock_pg_listen_create(ngx_cycle_t *cycle,
    ngx_iclock_pg_pool_conf_t *conf, const char *application,
    const char **channels, ngx_iclock_pg_notify_pt notify,
    ngx_iclock_pg_stat_t *stat, void *data);

/* whether notifications arrive now */
ngx_uint_t ngx_iclock_pg_listening(ngx_iclock_pg_listen_t *listen);

void ngx_iclock_pg_listen_close(ngx_iclock_pg_listen_t *listen);


#endif /* _ICLOCK_PG_H_INCLUDED_ */
