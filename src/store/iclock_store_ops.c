
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


/* operations: what a job does besides storing its records */


#include "iclock_store_private.h"


static ngx_int_t ngx_iclock_store_add_op(ngx_iclock_store_job_t *job,
    ngx_uint_t statement, void *data, size_t size);


/* the caller's data need not live as long as the job */

static ngx_int_t
ngx_iclock_store_add_op(ngx_iclock_store_job_t *job, ngx_uint_t statement,
    void *data, size_t size)
{
    void                     *copy;
    ngx_uint_t                flags;
    ngx_iclock_store_op_t    *op;
    ngx_iclock_store_work_t  *work;

    work = job->work;

    if (job->nops == sizeof(work->ops) / sizeof(work->ops[0])) {
        return NGX_ERROR;
    }

    copy = NULL;

    if (size) {
        copy = ngx_palloc(job->pool, size);
        if (copy == NULL) {
            return NGX_ERROR;
        }

        ngx_memcpy(copy, data, size);
    }

    op = &work->ops[job->nops++];
    op->statement = statement;
    op->data = copy;

    flags = ngx_iclock_store_statements[statement].flags;

    if (flags & NGX_ICLOCK_ST_ALONE) {
        work->pg.alone = 1;
    }

    if (flags & NGX_ICLOCK_ST_ONCE) {
        work->pg.once = 1;
    }

    if (flags & NGX_ICLOCK_ST_EVENTS) {
        work->events = 1;
    }

    return NGX_OK;
}


ngx_int_t
ngx_iclock_store_greet(ngx_iclock_store_job_t *job,
    ngx_iclock_greeting_t *greeting)
{
    return ngx_iclock_store_add_op(job, NGX_ICLOCK_ST_GREET, greeting,
                                   sizeof(ngx_iclock_greeting_t));
}


ngx_int_t
ngx_iclock_store_register(ngx_iclock_store_job_t *job,
    ngx_str_t *serial_number, ngx_uint_t status, ngx_uint_t pending_limit)
{
    ngx_iclock_registration_t  r;

    r.serial_number = *serial_number;
    r.status = status;
    r.pending_limit = pending_limit;

    return ngx_iclock_store_add_op(job, NGX_ICLOCK_ST_REGISTER, &r,
                                   sizeof(ngx_iclock_registration_t));
}


ngx_int_t
ngx_iclock_store_lookup(ngx_iclock_store_job_t *job, ngx_str_t *serial_number,
    ngx_str_t *address)
{
    ngx_iclock_lookup_t  l;

    l.serial_number = *serial_number;
    l.address = *address;

    return ngx_iclock_store_add_op(job, NGX_ICLOCK_ST_LOOKUP, &l,
                                   sizeof(ngx_iclock_lookup_t));
}


ngx_int_t
ngx_iclock_store_stamp(ngx_iclock_store_job_t *job, ngx_str_t *table,
    ngx_str_t *stamp)
{
    ngx_keyval_t  kv;

    kv.key = *table;
    kv.value = *stamp;

    return ngx_iclock_store_add_op(job, NGX_ICLOCK_ST_STAMP, &kv,
                                   sizeof(ngx_keyval_t));
}


ngx_int_t
ngx_iclock_store_dequeue(ngx_iclock_store_job_t *job,
    ngx_iclock_command_limits_t *limits)
{
    /* no other poll of the device has it: there are not many in a second */

    job->poll = ((int64_t) (ngx_time() & 0x7fffffff) << 32)
                | (uint32_t) ngx_random();

    return ngx_iclock_store_add_op(job, NGX_ICLOCK_ST_DEQUEUE, limits,
                                   sizeof(ngx_iclock_command_limits_t));
}


ngx_int_t
ngx_iclock_store_return(ngx_iclock_store_job_t *job, int64_t poll)
{
    return ngx_iclock_store_add_op(job, NGX_ICLOCK_ST_RETURN, &poll,
                                   sizeof(int64_t));
}


/* it shares no locks with uploads, and holds none while they wait */

ngx_int_t
ngx_iclock_store_presence(ngx_iclock_store_job_t *job, ngx_array_t *presence,
    ngx_array_t *refusals)
{
    if (refusals->nelts
        && ngx_iclock_store_add_op(job, NGX_ICLOCK_ST_REFUSALS, refusals,
                                   sizeof(ngx_array_t))
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (presence->nelts == 0) {
        return NGX_OK;
    }

    if (ngx_iclock_store_add_op(job, NGX_ICLOCK_ST_PRESENCE, presence,
                                sizeof(ngx_array_t))
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_iclock_store_add_op(job, NGX_ICLOCK_ST_LAST_SEEN, presence,
                                   sizeof(ngx_array_t));
}


ngx_int_t
ngx_iclock_store_due(ngx_iclock_store_job_t *job, time_t timeout)
{
    return ngx_iclock_store_add_op(job, NGX_ICLOCK_ST_DUE, &timeout,
                                   sizeof(time_t));
}


ngx_int_t
ngx_iclock_store_verify(ngx_iclock_store_job_t *job, time_t interval)
{
    return ngx_iclock_store_add_op(job, NGX_ICLOCK_ST_VERIFY, &interval,
                                   sizeof(time_t));
}


ngx_int_t
ngx_iclock_store_maintain(ngx_iclock_store_job_t *job)
{
    return ngx_iclock_store_add_op(job, NGX_ICLOCK_ST_MAINTAIN, NULL, 0);
}


ngx_int_t
ngx_iclock_store_refresh_timezones(ngx_iclock_store_job_t *job)
{
    return ngx_iclock_store_add_op(job, NGX_ICLOCK_ST_TIMEZONES, NULL, 0);
}


ngx_int_t
ngx_iclock_store_watch_events(ngx_iclock_store_job_t *job)
{
    return ngx_iclock_store_add_op(job, NGX_ICLOCK_ST_WATCH_EVENTS, NULL, 0);
}


ngx_int_t
ngx_iclock_store_wake_readers(ngx_iclock_store_job_t *job)
{
    return ngx_iclock_store_add_op(job, NGX_ICLOCK_ST_WAKE_READERS, NULL, 0);
}


ngx_int_t
ngx_iclock_store_statistics(ngx_iclock_store_job_t *job)
{
    return ngx_iclock_store_add_op(job, NGX_ICLOCK_ST_STATISTICS, NULL, 0);
}


ngx_int_t
ngx_iclock_store_call(ngx_iclock_store_job_t *job, ngx_uint_t call,
    ngx_str_t *a, ngx_str_t *b)
{
    ngx_iclock_arguments_t  args;

    args.a = *a;
    ngx_str_null(&args.b);

    if (b) {
        args.b = *b;
    }

    return ngx_iclock_store_add_op(job, NGX_ICLOCK_ST_CALL + call, &args,
                                   sizeof(ngx_iclock_arguments_t));
}
