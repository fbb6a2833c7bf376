
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


#include "iclock_pg_private.h"


#if (NGX_DEBUG)


static ngx_uint_t ngx_iclock_pg_trace_log(ngx_iclock_pg_job_t *job,
    ngx_log_t *log);


void
ngx_iclock_pg_trace_job(ngx_iclock_pg_job_t *job, const char *what)
{
    ngx_log_t  log;

    if (ngx_iclock_pg_trace_log(job, &log)) {
        ngx_log_debug1(NGX_LOG_DEBUG_HTTP, &log, 0, "iclock job: %s", what);
    }
}


void
ngx_iclock_pg_trace(ngx_iclock_pg_batch_t *batch, const char *what,
    u_char *sqlstate)
{
    ngx_log_t               log;
    ngx_uint_t              i;
    ngx_iclock_pg_slice_t  *slice;

    slice = batch->slices.elts;

    for (i = 0; i < batch->slices.nelts; i++) {

        if (!ngx_iclock_pg_trace_log(slice[i].job, &log)) {
            continue;
        }

        ngx_log_debug7(NGX_LOG_DEBUG_HTTP, &log, 0,
                       "iclock batch %ui: %s%s, items %ui..%ui of %ui, "
                       "jobs: %ui", batch->number, what,
                       sqlstate ? sqlstate : (u_char *) "",
                       slice[i].first + 1, slice[i].first + slice[i].n,
                       slice[i].job->nitems, batch->slices.nelts);
    }
}


/*
 * A job may outlast its request, and so the log of that connection.  The line
 * bears its number, and goes where those of the worker go.
 */

static ngx_uint_t
ngx_iclock_pg_trace_log(ngx_iclock_pg_job_t *job, ngx_log_t *log)
{
    if (!(ngx_cycle->log->log_level & NGX_LOG_DEBUG_HTTP) && !job->debug) {
        return 0;
    }

    *log = *ngx_cycle->log;
    log->connection = job->connection;

    if (job->debug) {
        log->log_level |= NGX_LOG_DEBUG_CONNECTION|NGX_LOG_DEBUG_ALL;
    }

    return 1;
}


#endif
