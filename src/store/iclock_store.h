
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


/*
 * What the module says to PostgreSQL: the only floor with SQL.  A job is
 * what one request wants committed; it goes into the group commit of the
 * floor below together with those of other requests.
 */


#ifndef _ICLOCK_STORE_H_INCLUDED_
#define _ICLOCK_STORE_H_INCLUDED_


#include "iclock_proto.h"
#include "iclock_pg_conf.h"
#include "iclock_store_tables.h"


/* the newest migration that the statements need */
#define NGX_ICLOCK_SCHEMA  18


/* settings of the pool, and what all workers count together */
typedef ngx_iclock_pg_pool_conf_t      ngx_iclock_store_conf_t;
typedef ngx_iclock_pg_stat_t           ngx_iclock_store_stat_t;

typedef struct ngx_iclock_store_s      ngx_iclock_store_t;
typedef struct ngx_iclock_store_job_s  ngx_iclock_store_job_t;
typedef struct ngx_iclock_store_work_s ngx_iclock_store_work_t;


typedef void (*ngx_iclock_store_handler_pt)(ngx_iclock_store_job_t *job);


typedef enum {
    NGX_ICLOCK_DEVICE_UNKNOWN = 0,
    NGX_ICLOCK_DEVICE_PENDING,
    NGX_ICLOCK_DEVICE_ACTIVE,
    NGX_ICLOCK_DEVICE_BLOCKED
} ngx_iclock_device_status_e;


/* of a device that gets no time zone; no zone has this offset */
#define NGX_ICLOCK_NO_OFFSET    -32768


/* types of NGX_ICLOCK_EACH_DEVICE_COLUMN() */
#define ngx_iclock_device_bigint    int64_t
#define ngx_iclock_device_integer   ngx_int_t
#define ngx_iclock_device_boolean   ngx_uint_t
#define ngx_iclock_device_text      ngx_str_t
#define ngx_iclock_device_status    ngx_uint_t     /* NGX_ICLOCK_DEVICE_* */
#define ngx_iclock_device_dialect   ngx_uint_t     /* NGX_ICLOCK_DIALECT_* */
#define ngx_iclock_device_stamps    ngx_array_t    /* of ngx_keyval_t */

#define ngx_iclock_device_field(field, type, expression)                     \
    ngx_iclock_device_##type  field;

typedef struct {
    NGX_ICLOCK_EACH_DEVICE_COLUMN(ngx_iclock_device_field)
} ngx_iclock_device_t;


/* what a device tells of itself when it shakes hands */
typedef struct {
    ngx_str_t                   serial_number;
    ngx_str_t                   push_version;
    ngx_str_t                   language;
    ngx_uint_t                  dialect;        /* NGX_ICLOCK_DIALECT_* */

    /* and what the reply sends: the zone of the location, its offset */
    ngx_str_t                   timezone;
    ngx_int_t                   told_offset;
    ngx_int_t                   told_delay;     /* seconds */
} ngx_iclock_greeting_t;


/* attendance PUSH 2.4.1, section 12 */
typedef struct {
    ngx_uint_t                  count;
    size_t                      bytes;
    time_t                      timeout;        /* seconds */
    ngx_uint_t                  attempts;
} ngx_iclock_command_limits_t;


typedef struct {
    int64_t                     id;             /* of the device */
    int64_t                     age;            /* milliseconds */
    ngx_str_t                   address;
} ngx_iclock_presence_t;


/* a device that was refused, though nobody has blocked it */
typedef struct {
    int64_t                     id;
    int64_t                     age;            /* milliseconds */
    ngx_uint_t                  outside;    /* for its address, not its key */
    ngx_str_t                   address;
} ngx_iclock_refusal_t;


struct ngx_iclock_store_job_s {
    ngx_pool_t                 *pool;
    ngx_iclock_store_work_t    *work;           /* of the store alone */

    /* set by the caller before the job is submitted */
    int64_t                     device_id;      /* of the records */

    /* the database that device_id is of, 0: any; then that of the results */
    uint32_t                    database;

    size_t                      held;           /* by the caller meanwhile */

    ngx_str_t                   timezone;       /* for devices without one */
    ngx_str_t                   table;          /* of rejected lines */
    ngx_iclock_context_t        context;
    ngx_iclock_upload_t         upload;         /* the records */
    ngx_uint_t                  nops;           /* operations added */
    ngx_iclock_store_handler_pt handler;
    void                       *data;

    /*
     * results for the handler: NGX_OK (committed), NGX_ERROR, NGX_BUSY (too
     * slow), NGX_DECLINED (the database cannot be reached)
     */
    ngx_int_t                   rc;
    ngx_iclock_device_t        *device;         /* NULL: unknown */
    ngx_array_t                 commands;       /* of ngx_iclock_command_t */
    int64_t                     poll;           /* number of the dequeue */
    ngx_array_t                 serial_numbers; /* of ngx_str_t: due ones */
    ngx_array_t                 unsaved;        /* of int64_t: devices */
    ngx_str_t                   text;           /* of a call; NULL: no data */
    ngx_uint_t                  rejected;       /* lines */
    ngx_msec_t                  elapsed;
};


/* functions of the database that answer a device */

#define ngx_iclock_call_constant(constant, name, type, flags, text)          \
    constant,

typedef enum {
    NGX_ICLOCK_EACH_CALL(ngx_iclock_call_constant)
    NGX_ICLOCK_CALLS
} ngx_iclock_call_e;


enum {
    NGX_ICLOCK_CHANNEL_COMMAND = 0,     /* a command waits */
    NGX_ICLOCK_CHANNEL_DEVICE,          /* the device's row has changed */
    NGX_ICLOCK_CHANNEL_MAINTAIN,        /* iclock.maintain() has work */
    NGX_ICLOCK_CHANNEL_EVENTS,          /* events are written, or not */
    NGX_ICLOCK_CHANNEL_ALL              /* after a gap in listening */
};


/*
 * The serial number is NULL if all may have changed.  Of channel EVENTS
 * it is "on" or "off".
 */
typedef void (*ngx_iclock_store_notify_pt)(ngx_uint_t channel,
    ngx_str_t *serial_number, void *data);


/*
 * Reads a connection string or URI into conf->server.  Returns NGX_CONF_OK or
 * a message for the operator, which never holds the string itself.
 */
char *ngx_iclock_store_server(ngx_conf_t *cf, ngx_iclock_store_conf_t *conf,
    ngx_str_t *conninfo);

/* hash of what tells one database from another in a connection string */
uint32_t ngx_iclock_store_origin(ngx_iclock_store_conf_t *conf);

/*
 * Reads the password from a file in the format of .pgpass.  Returns
 * NGX_CONF_OK, NGX_CONF_ERROR (logged) or a message.
 */
char *ngx_iclock_store_passfile(ngx_conf_t *cf, ngx_iclock_store_conf_t *conf,
    ngx_str_t *file);


/* of this worker, in cycle->pool; NULL: out of memory */
ngx_iclock_store_t *ngx_iclock_store_create(ngx_cycle_t *cycle,
    ngx_iclock_store_conf_t *conf, ngx_iclock_store_stat_t *stat);

/* at most one worker should listen */
ngx_int_t ngx_iclock_store_listen(ngx_iclock_store_t *store,
    ngx_cycle_t *cycle, ngx_iclock_store_conf_t *conf,
    ngx_iclock_store_stat_t *stat, ngx_iclock_store_notify_pt notify,
    void *data);

/*
 * Has it called after each commit of what may have written events: records,
 * answers, commands that were taken or have expired.
 */
void ngx_iclock_store_watch_commits(ngx_iclock_store_t *store,
    void (*committed)(void *data), void *data);

ngx_uint_t ngx_iclock_store_listening(ngx_iclock_store_t *store);

/* as PQlibVersion() says it */
ngx_uint_t ngx_iclock_store_libpq_version(void);

/* hash of the database that was connected last; 0: none until now */
uint32_t ngx_iclock_store_database(ngx_iclock_store_t *store);

void ngx_iclock_store_close(ngx_iclock_store_t *store);


/*
 * A job lives in its own pool, since it may outlast the request.  NULL: out
 * of memory.
 */
ngx_iclock_store_job_t *ngx_iclock_store_job_create(
    ngx_iclock_store_t *store, ngx_log_t *log);
void ngx_iclock_store_job_destroy(ngx_iclock_store_job_t *job);

/*
 * What a job does besides storing its records.  Strings have to live as long
 * as the job, and to be valid text.  All return NGX_OK or NGX_ERROR.
 */
ngx_int_t ngx_iclock_store_greet(ngx_iclock_store_job_t *job,
    ngx_iclock_greeting_t *greeting);
ngx_int_t ngx_iclock_store_register(ngx_iclock_store_job_t *job,
    ngx_str_t *serial_number, ngx_uint_t status, ngx_uint_t pending_limit);
ngx_int_t ngx_iclock_store_lookup(ngx_iclock_store_job_t *job,
    ngx_str_t *serial_number, ngx_str_t *address);
ngx_int_t ngx_iclock_store_stamp(ngx_iclock_store_job_t *job,
    ngx_str_t *table, ngx_str_t *stamp);
ngx_int_t ngx_iclock_store_dequeue(ngx_iclock_store_job_t *job,
    ngx_iclock_command_limits_t *limits);
/* what the dequeue of that number took goes back to the queue */
ngx_int_t ngx_iclock_store_return(ngx_iclock_store_job_t *job, int64_t poll);
/* rows that are locked are passed over: they are in job->unsaved */
ngx_int_t ngx_iclock_store_presence(ngx_iclock_store_job_t *job,
    ngx_array_t *presence, ngx_array_t *refusals);
ngx_int_t ngx_iclock_store_due(ngx_iclock_store_job_t *job, time_t timeout);
/* job->text: after how many seconds it wants to be called again */
ngx_int_t ngx_iclock_store_maintain(ngx_iclock_store_job_t *job);
ngx_int_t ngx_iclock_store_refresh_timezones(ngx_iclock_store_job_t *job);
ngx_int_t ngx_iclock_store_verify(ngx_iclock_store_job_t *job,
    time_t interval);
/* job->text: "true" if events are written */
ngx_int_t ngx_iclock_store_watch_events(ngx_iclock_store_job_t *job);
/* job->text: what iclock.statistics() says */
ngx_int_t ngx_iclock_store_statistics(ngx_iclock_store_job_t *job);
/* those who read events have something to read */
ngx_int_t ngx_iclock_store_wake_readers(ngx_iclock_store_job_t *job);
/* b may be NULL; the result is job->text */
ngx_int_t ngx_iclock_store_call(ngx_iclock_store_job_t *job, ngx_uint_t call,
    ngx_str_t *a, ngx_str_t *b);

/* whether a job with records of that size would be refused */
ngx_uint_t ngx_iclock_store_full(ngx_iclock_store_t *store, size_t bytes);

/* a job that is being made holds so much more memory, or less */
void ngx_iclock_store_hold(ngx_iclock_store_t *store, ssize_t bytes);

/* whether it may; the first of them may, unless others were submitted */
ngx_uint_t ngx_iclock_store_may_hold(ngx_iclock_store_t *store, size_t bytes,
    ngx_uint_t first);

/*
 * Returns NGX_OK (the handler will be called), NGX_BUSY or NGX_DECLINED.
 * The job remains the caller's to destroy.
 */
ngx_int_t ngx_iclock_store_submit(ngx_iclock_store_job_t *job);

/*
 * The request is gone, and with it the bytes that the records point to.  The
 * job is destroyed as soon as nothing runs any more.
 */
void ngx_iclock_store_cancel(ngx_iclock_store_job_t *job);


#endif /* _ICLOCK_STORE_H_INCLUDED_ */
