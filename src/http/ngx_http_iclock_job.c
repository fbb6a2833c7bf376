
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


#include "ngx_http_iclock_steps.h"


static ngx_int_t ngx_http_iclock_submit_waiting(ngx_http_request_t *r,
    ngx_http_iclock_ctx_t *ctx);
static void ngx_http_iclock_job_done(ngx_iclock_store_job_t *job);
static void ngx_http_iclock_cleanup(void *data);


ngx_iclock_store_job_t *
ngx_http_iclock_job(ngx_http_request_t *r, ngx_http_iclock_ctx_t *ctx)
{
    ngx_http_cleanup_t           *cln;
    ngx_iclock_store_job_t       *job;
    ngx_http_iclock_loc_conf_t   *ilcf;
    ngx_http_iclock_main_conf_t  *imcf;

    imcf = ngx_http_get_module_main_conf(r, ngx_http_iclock_module);
    ilcf = ngx_http_get_module_loc_conf(r, ngx_http_iclock_module);

    if (!ctx->cleanup) {
        cln = ngx_http_cleanup_add(r, 0);
        if (cln == NULL) {
            return NULL;
        }

        cln->handler = ngx_http_iclock_cleanup;
        cln->data = ctx;
        ctx->cleanup = 1;
    }

    job = ngx_iclock_store_job_create(imcf->store, r->connection->log);
    if (job == NULL) {
        return NULL;
    }

    job->device_id = ctx->known.id;
    job->database = ctx->known.database;
    job->timezone = ilcf->timezone;
    job->data = r;

    if (ctx->job && !ctx->settling) {
        ngx_iclock_store_job_destroy(ctx->job);
    }

    ctx->settling = 0;
    ctx->job = job;

    return job;
}


ngx_int_t
ngx_http_iclock_submit(ngx_http_request_t *r, ngx_http_iclock_ctx_t *ctx,
    ngx_http_iclock_handler_pt handler)
{
    ngx_int_t  rc;

    ctx->db_used = 1;
    ctx->next = handler;
    ctx->job->handler = ngx_http_iclock_job_done;

    rc = ngx_iclock_store_submit(ctx->job);

    ngx_log_debug3(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                   "iclock job: %ui records, %ui operations, submit: %i",
                   ctx->job->upload.items.nelts, ctx->job->nops, rc);

    if (rc != NGX_OK) {
        ctx->job->rc = rc;
        ctx->unavailable = (rc == NGX_BUSY) ? NGX_ICLOCK_L_REFUSAL_QUEUE
                                            : NGX_ICLOCK_L_REFUSAL_DATABASE;
        return handler(r, ctx);
    }

    ctx->submitted = 1;

    /*
     * what was received is stored even if the client leaves: nothing watches
     * the connection until there is a reply
     */

    r->main->count++;
    r->read_event_handler = ngx_http_block_reading;
    r->write_event_handler = ngx_http_request_empty_handler;

    return NGX_DONE;
}


ngx_int_t
ngx_http_iclock_submit_in_order(ngx_http_request_t *r,
    ngx_http_iclock_ctx_t *ctx, ngx_http_iclock_handler_pt handler)
{
    ngx_int_t  rc;

    if (!ngx_http_iclock_steps_behind(r, ctx)) {
        return ngx_http_iclock_submit(r, ctx, handler);
    }

    ctx->next = handler;

    rc = ngx_http_iclock_steps(r, ctx, ctx->job->held, NULL,
                               ngx_http_iclock_submit_waiting);

    if (rc != NGX_DONE) {
        ctx->job->rc = NGX_ERROR;
        ctx->unavailable = NGX_ICLOCK_L_REFUSAL_QUEUE;
        return handler(r, ctx);
    }

    return NGX_DONE;
}


static ngx_int_t
ngx_http_iclock_submit_waiting(ngx_http_request_t *r,
    ngx_http_iclock_ctx_t *ctx)
{
    return ngx_http_iclock_submit(r, ctx, ctx->next);
}


static void
ngx_http_iclock_job_done(ngx_iclock_store_job_t *job)
{
    ngx_int_t               rc;
    ngx_connection_t       *c;
    ngx_http_request_t     *r;
    ngx_http_iclock_ctx_t  *ctx;

    r = job->data;
    c = r->connection;
    ctx = ngx_http_get_module_ctx(r, ngx_http_iclock_module);

    ngx_http_set_log_request(c->log, r);

    ctx->submitted = 0;
    ctx->settling = 1;
    ctx->db_time += job->elapsed;
    ctx->rejected += job->rejected;
    ctx->unavailable = (job->rc == NGX_BUSY) ? NGX_ICLOCK_L_REFUSAL_TIMEOUT
                                             : NGX_ICLOCK_L_REFUSAL_DATABASE;

    ngx_log_debug3(NGX_LOG_DEBUG_HTTP, c->log, 0,
                   "iclock job done: %i, %ui lines rejected, %M ms",
                   job->rc, job->rejected, job->elapsed);

    rc = ctx->next(r, ctx);

    ngx_iclock_store_job_destroy(job);

    if (ctx->job == job) {
        ctx->job = NULL;
    }

    ctx->settling = 0;

    ngx_http_finalize_request(r, rc);
    ngx_http_run_posted_requests(c);
}


ngx_iclock_store_job_t *
ngx_http_iclock_own_job(ngx_http_iclock_main_conf_t *imcf,
    ngx_iclock_store_handler_pt handler, void *data)
{
    ngx_iclock_store_job_t  *job;

    job = ngx_iclock_store_job_create(imcf->store, ngx_cycle->log);

    if (job) {
        job->handler = handler;
        job->data = data;
    }

    return job;
}


ngx_int_t
ngx_http_iclock_submit_own(ngx_iclock_store_job_t *job, ngx_int_t rc)
{
    if (rc == NGX_OK && ngx_iclock_store_submit(job) == NGX_OK) {
        return NGX_OK;
    }

    ngx_iclock_store_job_destroy(job);

    return NGX_ERROR;
}


/* the request ends, perhaps by force */

static void
ngx_http_iclock_cleanup(void *data)
{
    ngx_http_iclock_ctx_t *ctx = data;

    ngx_iclock_store_job_t  *job;

    ngx_http_iclock_steps_cancel(ctx);

    job = ctx->job;

    if (job == NULL || ctx->settling) {
        return;
    }

    ctx->job = NULL;

    if (ctx->submitted) {
        ngx_iclock_store_cancel(job);
        return;
    }

    ngx_iclock_store_job_destroy(job);
}
