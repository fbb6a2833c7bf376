
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


#include "iclock_pg_private.h"


#define NGX_ICLOCK_PG_BATCH_POOL  1024
#define NGX_ICLOCK_PG_RUN_POOL    4096


static void ngx_iclock_pg_batch_clear_results(ngx_iclock_pg_batch_t *batch);


ngx_iclock_pg_batch_t *
ngx_iclock_pg_batch_create(ngx_log_t *log)
{
    ngx_pool_t             *pool;
    ngx_iclock_pg_batch_t  *batch;

    pool = ngx_create_pool(NGX_ICLOCK_PG_BATCH_POOL, log);
    if (pool == NULL) {
        return NULL;
    }

    batch = ngx_pcalloc(pool, sizeof(ngx_iclock_pg_batch_t));
    if (batch == NULL) {
        ngx_destroy_pool(pool);
        return NULL;
    }

    batch->own = pool;

    ngx_queue_init(&batch->rest);

    if (ngx_array_init(&batch->slices, pool, 16,
                       sizeof(ngx_iclock_pg_slice_t))
        != NGX_OK)
    {
        ngx_destroy_pool(pool);
        return NULL;
    }

    return batch;
}


void
ngx_iclock_pg_batch_destroy(ngx_iclock_pg_batch_t *batch)
{
    ngx_iclock_pg_batch_reset(batch);
    ngx_destroy_pool(batch->own);
}


ngx_int_t
ngx_iclock_pg_batch_prepare(ngx_iclock_pg_batch_t *batch, ngx_log_t *log)
{
    batch->pool = ngx_create_pool(NGX_ICLOCK_PG_RUN_POOL, log);
    if (batch->pool == NULL) {
        return NGX_ERROR;
    }

    batch->params = ngx_create_pool(NGX_ICLOCK_PG_RUN_POOL, log);
    if (batch->params == NULL) {
        return NGX_ERROR;
    }

    return ngx_array_init(&batch->execs, batch->pool, 8,
                          sizeof(ngx_iclock_pg_exec_t));
}


void
ngx_iclock_pg_batch_reset(ngx_iclock_pg_batch_t *batch)
{
    if (batch->pool) {
        ngx_iclock_pg_batch_clear_results(batch);
        ngx_destroy_pool(batch->pool);
        batch->pool = NULL;
    }

    if (batch->params) {
        ngx_destroy_pool(batch->params);
        batch->params = NULL;
    }

    ngx_memzero(&batch->execs, sizeof(ngx_array_t));
}


static void
ngx_iclock_pg_batch_clear_results(ngx_iclock_pg_batch_t *batch)
{
    ngx_uint_t             i;
    ngx_iclock_pg_exec_t  *exec;

    exec = batch->execs.elts;

    for (i = 0; i < batch->execs.nelts; i++) {
        PQclear(exec[i].result);
    }
}


ngx_iclock_pg_exec_t *
ngx_iclock_pg_batch_add(ngx_iclock_pg_batch_t *batch,
    const ngx_iclock_pg_statement_t *statement, ngx_uint_t number,
    void *data)
{
    ngx_iclock_pg_exec_t  *exec;

    exec = ngx_array_push(&batch->execs);
    if (exec == NULL) {
        return NULL;
    }

    exec->statement = statement;
    exec->number = number;
    exec->data = data;
    exec->result = NULL;

    exec->values = ngx_pcalloc(batch->params,
                               (statement->nparams + 1) * sizeof(char *));
    exec->lengths = ngx_pcalloc(batch->params,
                                (statement->nparams + 1) * sizeof(int));

    if (exec->values == NULL || exec->lengths == NULL) {
        return NULL;
    }

    return exec;
}


ngx_int_t
ngx_iclock_pg_batch_slice(ngx_iclock_pg_batch_t *batch,
    ngx_iclock_pg_job_t *job, ngx_uint_t first, ngx_uint_t n)
{
    ngx_iclock_pg_slice_t  *slice;

    slice = ngx_array_push(&batch->slices);
    if (slice == NULL) {
        return NGX_ERROR;
    }

    slice->job = job;
    slice->first = first;
    slice->n = n;

    batch->nitems += n;

    return NGX_OK;
}


ngx_iclock_pg_batch_t *
ngx_iclock_pg_batch_split(ngx_iclock_pg_batch_t *batch, ngx_log_t *log)
{
    ngx_uint_t              i, left, keep;
    ngx_iclock_pg_slice_t  *slice;
    ngx_iclock_pg_batch_t  *rest;

    rest = ngx_iclock_pg_batch_create(log);
    if (rest == NULL) {
        return NULL;
    }

    slice = batch->slices.elts;
    left = batch->nitems / 2;

    /* what of each slice stays; the first pass changes nothing here */

    for (i = 0; i < batch->slices.nelts; i++) {

        keep = ngx_min(left, slice[i].n);
        left -= keep;

        if (keep < slice[i].n
            && ngx_iclock_pg_batch_slice(rest, slice[i].job,
                                         slice[i].first + keep,
                                         slice[i].n - keep)
               != NGX_OK)
        {
            ngx_iclock_pg_batch_destroy(rest);
            return NULL;
        }
    }

    batch->nitems /= 2;
    left = batch->nitems;

    for (i = 0; left > 0; i++) {
        slice[i].n = ngx_min(left, slice[i].n);
        left -= slice[i].n;
    }

    batch->slices.nelts = i;

    return rest;
}


ngx_iclock_pg_batch_t *
ngx_iclock_pg_batch_pop(ngx_iclock_pg_batch_t *batch, ngx_log_t *log)
{
    ngx_iclock_pg_slice_t  *slice;
    ngx_iclock_pg_batch_t  *rest;

    rest = ngx_iclock_pg_batch_create(log);
    if (rest == NULL) {
        return NULL;
    }

    slice = batch->slices.elts;
    slice += batch->slices.nelts - 1;

    if (ngx_iclock_pg_batch_slice(rest, slice->job, slice->first, slice->n)
        != NGX_OK)
    {
        ngx_iclock_pg_batch_destroy(rest);
        return NULL;
    }

    batch->nitems -= slice->n;
    batch->slices.nelts--;

    return rest;
}
