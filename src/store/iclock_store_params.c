
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


/*
 * The parameters of operations: each function adds a row, whose types are
 * ngx_iclock_<name>_types, to the arrays of a statement.
 */


#include "iclock_store_private.h"


static ngx_int_t ngx_iclock_store_add_text(ngx_iclock_pg_array_t *param,
    ngx_str_t *s);
static ngx_int_t ngx_iclock_store_add_number(ngx_iclock_store_group_t *group,
    ngx_uint_t n);


/* by ngx_iclock_device_status_e */

const ngx_str_t  ngx_iclock_device_statuses[] = {
    ngx_string("unknown"),
    ngx_string("pending"),
    ngx_string("active"),
    ngx_string("blocked")
};


/* by ngx_iclock_dialect_e */

const ngx_str_t  ngx_iclock_dialects[] = {
    ngx_null_string,
    ngx_string("2.4"),
    ngx_string("3.2")
};


/* text that is NULL where it is empty */

static ngx_int_t
ngx_iclock_store_add_text(ngx_iclock_pg_array_t *param, ngx_str_t *s)
{
    if (s->len == 0) {
        return ngx_iclock_pg_array_null(param);
    }

    return ngx_iclock_pg_array_bytes(param, s);
}


/*
 * Of the row: results name it, and of several about the same the last one
 * counts.
 */

static ngx_int_t
ngx_iclock_store_add_number(ngx_iclock_store_group_t *group, ngx_uint_t n)
{
    return ngx_iclock_pg_array_int4(&group->params[n],
                                    (int32_t) group->jobs.nelts);
}


ngx_int_t
ngx_iclock_store_add_greeting(ngx_iclock_store_group_t *group,
    ngx_iclock_store_job_t *job, void *data)
{
    ngx_iclock_greeting_t *g = data;

    ngx_str_t  dialect;

    dialect = ngx_iclock_dialects[g->dialect];

    if (ngx_iclock_pg_array_bytes(&group->params[0], &g->serial_number)
        != NGX_OK
        || ngx_iclock_store_add_text(&group->params[1], &g->push_version)
           != NGX_OK
        || ngx_iclock_store_add_text(&group->params[2], &g->language)
           != NGX_OK
        || ngx_iclock_store_add_text(&group->params[3], &dialect) != NGX_OK
        || ngx_iclock_pg_array_bytes(&group->params[4], &g->timezone)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (ngx_iclock_pg_array_int4(&group->params[5], (int32_t) g->told_offset)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (ngx_iclock_pg_array_int4(&group->params[6], (int32_t) g->told_delay)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_iclock_store_add_number(group, 7);
}


ngx_int_t
ngx_iclock_store_add_registration(ngx_iclock_store_group_t *group,
    ngx_iclock_store_job_t *job, void *data)
{
    ngx_iclock_registration_t *r = data;

    ngx_str_t  status;

    status = ngx_iclock_device_statuses[r->status];

    if (ngx_iclock_pg_array_bytes(&group->params[0], &r->serial_number)
        != NGX_OK
        || ngx_iclock_pg_array_bytes(&group->params[1], &status) != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_iclock_pg_array_int4(&group->params[2],
                                    (int32_t) r->pending_limit);
}


ngx_int_t
ngx_iclock_store_add_lookup(ngx_iclock_store_group_t *group,
    ngx_iclock_store_job_t *job, void *data)
{
    ngx_iclock_lookup_t *l = data;

    if (ngx_iclock_pg_array_bytes(&group->params[0], &l->serial_number)
        != NGX_OK
        || ngx_iclock_pg_array_bytes(&group->params[1], &job->timezone)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (ngx_iclock_store_add_text(&group->params[2], &l->address) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_iclock_store_add_number(group, 3);
}


ngx_int_t
ngx_iclock_store_add_stamp(ngx_iclock_store_group_t *group,
    ngx_iclock_store_job_t *job, void *data)
{
    ngx_keyval_t *kv = data;

    if (ngx_iclock_pg_array_int8(&group->params[0], job->device_id) != NGX_OK
        || ngx_iclock_pg_array_bytes(&group->params[1], &kv->key) != NGX_OK
        || ngx_iclock_pg_array_bytes(&group->params[2], &kv->value) != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_iclock_store_add_number(group, 3);
}


ngx_int_t
ngx_iclock_store_add_dequeue(ngx_iclock_store_group_t *group,
    ngx_iclock_store_job_t *job, void *data)
{
    ngx_iclock_command_limits_t *l = data;

    if (ngx_iclock_pg_array_int8(&group->params[0], job->device_id) != NGX_OK
        || ngx_iclock_pg_array_int4(&group->params[1], (int32_t) l->count)
           != NGX_OK
        || ngx_iclock_pg_array_int4(&group->params[2], (int32_t) l->bytes)
           != NGX_OK
        || ngx_iclock_pg_array_int4(&group->params[3], (int32_t) l->timeout)
           != NGX_OK
        || ngx_iclock_pg_array_int4(&group->params[4], (int32_t) l->attempts)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_iclock_pg_array_int8(&group->params[5], job->poll);
}


ngx_int_t
ngx_iclock_store_add_return(ngx_iclock_store_group_t *group,
    ngx_iclock_store_job_t *job, void *data)
{
    int64_t  *poll = data;

    if (ngx_iclock_pg_array_int8(&group->params[0], job->device_id) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_iclock_pg_array_int8(&group->params[1], *poll);
}


/* that of the last time seen reads what was just stored: ids will do */

ngx_int_t
ngx_iclock_store_add_presence(ngx_iclock_store_group_t *group,
    ngx_iclock_store_job_t *job, void *data)
{
    ngx_array_t *presence = data;

    ngx_uint_t              i;
    ngx_iclock_presence_t  *p;

    p = presence->elts;

    for (i = 0; i < presence->nelts; i++) {

        if (ngx_iclock_pg_array_int8(&group->params[0], p[i].id) != NGX_OK) {
            return NGX_ERROR;
        }

        if (group->statement == NGX_ICLOCK_ST_LAST_SEEN) {
            continue;
        }

        if (ngx_iclock_pg_array_int8(&group->params[1], p[i].age) != NGX_OK
            || ngx_iclock_store_add_text(&group->params[2], &p[i].address)
               != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


ngx_int_t
ngx_iclock_store_add_refusals(ngx_iclock_store_group_t *group,
    ngx_iclock_store_job_t *job, void *data)
{
    ngx_array_t *refusals = data;

    ngx_str_t              reason;
    ngx_uint_t             i;
    ngx_iclock_refusal_t  *d;

    d = refusals->elts;

    for (i = 0; i < refusals->nelts; i++) {

        if (d[i].outside) {
            ngx_str_set(&reason, "network");

        } else {
            ngx_str_set(&reason, "key");
        }

        if (ngx_iclock_pg_array_int8(&group->params[0], d[i].id) != NGX_OK
            || ngx_iclock_pg_array_bytes(&group->params[1], &reason) != NGX_OK
            || ngx_iclock_pg_array_int8(&group->params[2], d[i].age) != NGX_OK
            || ngx_iclock_store_add_text(&group->params[3], &d[i].address)
               != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


ngx_int_t
ngx_iclock_store_add_seconds(ngx_iclock_store_group_t *group,
    ngx_iclock_store_job_t *job, void *data)
{
    time_t *timeout = data;

    return ngx_iclock_pg_array_int4(&group->params[0], (int32_t) *timeout);
}


ngx_int_t
ngx_iclock_store_add_call(ngx_iclock_store_group_t *group,
    ngx_iclock_store_job_t *job, void *data)
{
    ngx_iclock_arguments_t *args = data;

    if (ngx_iclock_pg_array_int8(&group->params[0], job->device_id) != NGX_OK
        || ngx_iclock_pg_array_bytes(&group->params[1], &args->a) != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_iclock_store_add_text(&group->params[2], &args->b);
}


ngx_int_t
ngx_iclock_store_add_nothing(ngx_iclock_store_group_t *group,
    ngx_iclock_store_job_t *job, void *data)
{
    return ngx_iclock_pg_array_int4(&group->params[0], 0);
}
