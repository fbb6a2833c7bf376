
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


#ifndef _ICLOCK_STORE_PRIVATE_H_INCLUDED_
#define _ICLOCK_STORE_PRIVATE_H_INCLUDED_


#include "iclock_pg.h"
#include "iclock_store.h"


/* of a statement: a device, a time zone or a number, and the columns */
#define NGX_ICLOCK_STORE_PARAMS  (NGX_ICLOCK_MAX_COLUMNS + 2)


/*
 * Statements in the order in which they are sent: those that store records,
 * by ngx_iclock_kind_e, then the others; but registrations are the first.
 */

#define ngx_iclock_operation_constant(constant, name, flags, add, row)       \
    constant,

enum {
    NGX_ICLOCK_ST_RECORDS = NGX_ICLOCK_KINDS - 1,
    NGX_ICLOCK_EACH_OPERATION(ngx_iclock_operation_constant)
    NGX_ICLOCK_ST_CALL,
    NGX_ICLOCK_STATEMENTS = NGX_ICLOCK_ST_CALL + NGX_ICLOCK_CALLS
};

_Static_assert(NGX_ICLOCK_STATEMENTS <= 63, "ngx_iclock_pg_batch_add()");


/* how records are sent, see iclock_store_rows.h */
#define NGX_ICLOCK_ST_ROWS     0x00
#define NGX_ICLOCK_ST_ZONED    0x01
#define NGX_ICLOCK_ST_SINGLE   0x02
#define NGX_ICLOCK_ST_ORDERED  0x20

/* in a transaction of its own: what it waits for or fails at is its own */
#define NGX_ICLOCK_ST_ALONE    0x04

/* not idempotent: never sent again */
#define NGX_ICLOCK_ST_ONCE     0x08

/* it may write events, as records do */
#define NGX_ICLOCK_ST_EVENTS   0x10


/* the rows that one statement of a batch is about */
typedef struct {
    ngx_uint_t                  statement;
    ngx_iclock_pg_array_t       params[NGX_ICLOCK_STORE_PARAMS];
    ngx_array_t                 jobs;       /* whose row it is, by position */

    /* of rejected lines, for metrics */
    ngx_uint_t                  kinds[NGX_ICLOCK_N_KIND];
    ngx_uint_t                  causes[NGX_ICLOCK_N_CAUSE];
} ngx_iclock_store_group_t;


/* a record that the database refused, by its number in the upload */
typedef struct {
    ngx_uint_t                  item;
    ngx_str_t                   reason;
} ngx_iclock_store_refused_t;


typedef struct {
    ngx_uint_t                  statement;
    void                       *data;
} ngx_iclock_store_op_t;


/* a job and what its caller need not see */
struct ngx_iclock_store_work_s {
    ngx_iclock_pg_job_t         pg;         /* the first: src/pg hands it on */
    ngx_iclock_store_job_t      job;
    ngx_iclock_store_t         *store;
    ngx_iclock_store_op_t       ops[4];
    ngx_array_t                 refused;    /* ngx_iclock_store_refused_t */
    ngx_uint_t                  counted;    /* items, for job->rejected */
    ngx_uint_t                  events;     /* it may write some */
    ngx_msec_t                  started;
};


/* what operations are about, besides what iclock_store.h has */

typedef struct {
    ngx_str_t                   serial_number;
    ngx_uint_t                  status;
    ngx_uint_t                  pending_limit;
} ngx_iclock_registration_t;


typedef struct {
    ngx_str_t                   serial_number;
    ngx_str_t                   address;
} ngx_iclock_lookup_t;


typedef struct {
    ngx_str_t                   a;
    ngx_str_t                   b;
} ngx_iclock_arguments_t;


typedef struct {
    ngx_iclock_pg_statement_t   pg;

    ngx_uint_t                  flags;      /* NGX_ICLOCK_ST_* */

    /* adds the row of an operation to the group */
    ngx_int_t                 (*add)(ngx_iclock_store_group_t *group,
                                     ngx_iclock_store_job_t *job, void *data);

    /* takes one row of the result over */
    ngx_int_t                 (*row)(ngx_iclock_store_job_t *job,
                                     PGresult *res, int row);
} ngx_iclock_store_statement_t;


struct ngx_iclock_store_s {
    ngx_iclock_pg_pool_t       *pool;
    ngx_iclock_pg_listen_t     *listen;
    ngx_msec_t                  repeated;   /* punches were; 0: never */
    ngx_iclock_store_notify_pt  notify;
    void                       *data;
    void                      (*committed)(void *data);
    void                       *committed_data;
};


/* iclock_store_statements.c */

/* by number */
extern const ngx_iclock_store_statement_t  ngx_iclock_store_statements[];


/* iclock_store_params.c */

extern const ngx_str_t  ngx_iclock_device_statuses[];
extern const ngx_str_t  ngx_iclock_dialects[];

ngx_int_t ngx_iclock_store_add_greeting(ngx_iclock_store_group_t *group,
    ngx_iclock_store_job_t *job, void *data);
ngx_int_t ngx_iclock_store_add_registration(ngx_iclock_store_group_t *group,
    ngx_iclock_store_job_t *job, void *data);
ngx_int_t ngx_iclock_store_add_lookup(ngx_iclock_store_group_t *group,
    ngx_iclock_store_job_t *job, void *data);
ngx_int_t ngx_iclock_store_add_stamp(ngx_iclock_store_group_t *group,
    ngx_iclock_store_job_t *job, void *data);
ngx_int_t ngx_iclock_store_add_dequeue(ngx_iclock_store_group_t *group,
    ngx_iclock_store_job_t *job, void *data);
ngx_int_t ngx_iclock_store_add_return(ngx_iclock_store_group_t *group,
    ngx_iclock_store_job_t *job, void *data);
ngx_int_t ngx_iclock_store_add_presence(ngx_iclock_store_group_t *group,
    ngx_iclock_store_job_t *job, void *data);
ngx_int_t ngx_iclock_store_add_refusals(ngx_iclock_store_group_t *group,
    ngx_iclock_store_job_t *job, void *data);
ngx_int_t ngx_iclock_store_add_seconds(ngx_iclock_store_group_t *group,
    ngx_iclock_store_job_t *job, void *data);
ngx_int_t ngx_iclock_store_add_call(ngx_iclock_store_group_t *group,
    ngx_iclock_store_job_t *job, void *data);
ngx_int_t ngx_iclock_store_add_nothing(ngx_iclock_store_group_t *group,
    ngx_iclock_store_job_t *job, void *data);


/* iclock_store_results.c */

ngx_int_t ngx_iclock_store_lookup_row(ngx_iclock_store_job_t *job,
    PGresult *res, int row);
ngx_int_t ngx_iclock_store_command_row(ngx_iclock_store_job_t *job,
    PGresult *res, int row);
ngx_int_t ngx_iclock_store_presence_row(ngx_iclock_store_job_t *job,
    PGresult *res, int row);
ngx_int_t ngx_iclock_store_due_row(ngx_iclock_store_job_t *job,
    PGresult *res, int row);
ngx_int_t ngx_iclock_store_text_row(ngx_iclock_store_job_t *job,
    PGresult *res, int row);


/* iclock_store_count.c: what has become of records, for metrics */

/* in the group of rejected lines; refused: by the database */
void ngx_iclock_store_count_rejected(ngx_iclock_store_group_t *group,
    ngx_uint_t kind, ngx_uint_t refused, ngx_str_t *reason);

/* the statement was committed; returns the records that were stored before */
ngx_uint_t ngx_iclock_store_count(ngx_iclock_pg_exec_t *exec);


/* iclock_store_build.c */

ngx_int_t ngx_iclock_store_build(ngx_iclock_pg_batch_t *batch, void *data);


#endif /* _ICLOCK_STORE_PRIVATE_H_INCLUDED_ */
