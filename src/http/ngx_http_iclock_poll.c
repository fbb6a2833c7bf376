
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


#include "ngx_http_iclock_steps.h"


static ngx_int_t ngx_http_iclock_poll(ngx_http_request_t *r,
    ngx_http_iclock_ctx_t *ctx);
static ngx_int_t ngx_http_iclock_poll_store(ngx_http_request_t *r,
    ngx_http_iclock_ctx_t *ctx);
static ngx_int_t ngx_http_iclock_poll_done(ngx_http_request_t *r,
    ngx_http_iclock_ctx_t *ctx);
static ngx_int_t ngx_http_iclock_poll_reply(ngx_http_request_t *r,
    ngx_http_iclock_ctx_t *ctx);
static ngx_uint_t ngx_http_iclock_poll_gone(ngx_http_request_t *r);
static void ngx_http_iclock_poll_cleanup(void *data);
static void ngx_http_iclock_poll_return(ngx_http_request_t *r,
    ngx_http_iclock_ctx_t *ctx);
static ngx_int_t ngx_http_iclock_replies_body(ngx_http_request_t *r,
    ngx_http_iclock_ctx_t *ctx);
static ngx_int_t ngx_http_iclock_replies_submit(ngx_http_request_t *r,
    ngx_http_iclock_ctx_t *ctx);
static ngx_int_t ngx_http_iclock_reply_of_uri(ngx_http_request_t *r,
    ngx_http_iclock_ctx_t *ctx);
static ngx_int_t ngx_http_iclock_replies_done(ngx_http_request_t *r,
    ngx_http_iclock_ctx_t *ctx);
static ngx_int_t ngx_http_iclock_pong(ngx_http_request_t *r,
    ngx_http_iclock_ctx_t *ctx);


ngx_int_t
ngx_http_iclock_getrequest(ngx_http_request_t *r, ngx_http_iclock_ctx_t *ctx)
{
    return ngx_http_iclock_admit(r, ctx,
                                 NGX_HTTP_ICLOCK_POLLS|NGX_HTTP_ICLOCK_STALE,
                                 ngx_http_iclock_poll);
}


/*
 * Nearly all requests are polls without anything to fetch or to store: they
 * are answered from the zone.
 */

static ngx_int_t
ngx_http_iclock_poll(ngx_http_request_t *r, ngx_http_iclock_ctx_t *ctx)
{
    ngx_log_debug2(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                   "iclock poll: marked:%d, news:%d",
                   ctx->known.marked, ctx->known.news);

    if (ctx->known.marked || ctx->known.news) {
        return ngx_http_iclock_poll_store(r, ctx);
    }

    return ngx_http_iclock_reply_ok(r);
}


static ngx_int_t
ngx_http_iclock_poll_store(ngx_http_request_t *r, ngx_http_iclock_ctx_t *ctx)
{
    ngx_iclock_store_job_t       *job;
    ngx_http_iclock_loc_conf_t   *ilcf;
    ngx_iclock_command_limits_t   limits;
    ngx_http_iclock_main_conf_t  *imcf;

    ilcf = ngx_http_get_module_loc_conf(r, ngx_http_iclock_module);

    job = ngx_http_iclock_job(r, ctx);
    if (job == NULL) {
        goto failed;
    }

    ngx_str_set(&job->table, "INFO");

    if (ctx->known.news) {
        if (ngx_iclock_split_info(&job->upload, &ctx->args.info, job->pool)
            != NGX_OK)
        {
            goto failed;
        }

        ctx->records = job->upload.lines;
    }

    limits.count = ilcf->command_count;
    limits.bytes = ilcf->command_bytes;
    limits.timeout = ilcf->command_timeout;
    limits.attempts = ilcf->command_attempts;

    if (ctx->known.marked
        && ngx_iclock_store_dequeue(job, &limits) != NGX_OK)
    {
        goto failed;
    }

    if (job->upload.items.nelts == 0 && job->nops == 0) {
        return ngx_http_iclock_reply_ok(r);
    }

    ctx->poll = job->poll;

    return ngx_http_iclock_submit_in_order(r, ctx, ngx_http_iclock_poll_done);

failed:

    if (ctx->known.marked) {
        imcf = ngx_http_get_module_main_conf(r, ngx_http_iclock_module);
        ngx_http_iclock_zone_mark(imcf->zone, &ctx->args.sn);
    }

    return NGX_HTTP_INTERNAL_SERVER_ERROR;
}


static ngx_int_t
ngx_http_iclock_poll_done(ngx_http_request_t *r, ngx_http_iclock_ctx_t *ctx)
{
    ngx_int_t                     rc;
    ngx_http_iclock_main_conf_t  *imcf;

    imcf = ngx_http_get_module_main_conf(r, ngx_http_iclock_module);

    if (ctx->job->rc != NGX_OK) {

        /* the device loses nothing by coming again later */

        if (ctx->job->nops) {
            ngx_http_iclock_zone_mark(imcf->zone, &ctx->args.sn);
        }

        if (ctx->poll && !ngx_exiting) {
            /*
             * nobody knows whether some were taken; a worker that has to go
             * does not wait to find out
             */
            ngx_http_iclock_poll_return(r, ctx);
        }

        return ngx_http_iclock_reply_ok(r);
    }

    ctx->commands = ctx->job->commands.nelts;

    ngx_log_debug1(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                   "iclock poll: %ui commands", ctx->commands);

    /* there may be more commands than go into this reply */

    if (ctx->known.news || ctx->commands) {
        ngx_http_iclock_zone_polled(imcf->zone, &ctx->visit, ctx->known.news,
                                    ctx->commands);
    }

    if (ctx->commands == 0) {
        return ngx_http_iclock_reply_ok(r);
    }

    ngx_iclock_count(HANDED_OUT, ctx->commands);

    if (ngx_http_iclock_poll_gone(r)) {
        ngx_http_iclock_poll_return(r, ctx);
        return NGX_HTTP_CLIENT_CLOSED_REQUEST;
    }

    rc = ngx_http_iclock_poll_reply(r, ctx);

    if (rc == NGX_ERROR || rc >= NGX_HTTP_SPECIAL_RESPONSE) {
        ngx_http_iclock_poll_return(r, ctx);
    }

    return rc;
}


/* while PostgreSQL was at work nobody looked at the connection */

static ngx_uint_t
ngx_http_iclock_poll_gone(ngx_http_request_t *r)
{
    u_char             buf[1];
    ssize_t            n;
    ngx_err_t          err;
    ngx_connection_t  *c;

    c = r->connection;

    if (c->error || c->read->pending_eof) {
        return 1;
    }

    if (r->http_version >= NGX_HTTP_VERSION_20) {
        /* the socket is not of this request alone */
        return 0;
    }

    n = recv(c->fd, (char *) buf, 1, MSG_PEEK);

    if (n == -1) {
        err = ngx_socket_errno;
        return err != NGX_EAGAIN && err != NGX_EINTR;
    }

    return n == 0;
}


/* the request ends, and its reply may not have got into the socket */

static void
ngx_http_iclock_poll_cleanup(void *data)
{
    ngx_http_request_t *r = data;

    ngx_connection_t       *c;
    ngx_http_iclock_ctx_t  *ctx;

    c = r->connection;
    ctx = ngx_http_get_module_ctx(r, ngx_http_iclock_module);

    if (ctx && ctx->poll && (c->error || c->timedout || r->out)) {
        ngx_http_iclock_poll_return(r, ctx);
    }
}


/* the job is of no request: this one is about to end */

static void
ngx_http_iclock_poll_return(ngx_http_request_t *r, ngx_http_iclock_ctx_t *ctx)
{
    int64_t                       poll;
    ngx_iclock_store_job_t       *job;
    ngx_http_iclock_main_conf_t  *imcf;

    imcf = ngx_http_get_module_main_conf(r, ngx_http_iclock_module);

    poll = ctx->poll;
    ctx->poll = 0;

    ngx_log_error(NGX_LOG_INFO, r->connection->log, 0,
                  "iclock: commands for device \"%V\" could not be handed "
                  "over, they wait again",
                  &ctx->args.sn);

    job = ngx_iclock_store_job_create(imcf->store, r->connection->log);
    if (job == NULL) {
        return;
    }

    job->device_id = ctx->known.id;
    job->database = ctx->known.database;
    job->handler = ngx_iclock_store_job_destroy;

    /* if that fails they are sent again when no answer has come */

    (void) ngx_http_iclock_submit_own(job, ngx_iclock_store_return(job, poll));
}


static ngx_int_t
ngx_http_iclock_poll_reply(ngx_http_request_t *r, ngx_http_iclock_ctx_t *ctx)
{
    ngx_str_t            text;
    ngx_http_cleanup_t  *cln;

    cln = ngx_http_cleanup_add(r, 0);
    if (cln == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    cln->handler = ngx_http_iclock_poll_cleanup;
    cln->data = r;

    if (ngx_iclock_write_commands(&text, &ctx->job->commands,
                                  ctx->known.encoding, r->pool)
        != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_iclock_reply(r, &text);
}


/* attendance PUSH 2.4.1, section 13 */

ngx_int_t
ngx_http_iclock_devicecmd(ngx_http_request_t *r, ngx_http_iclock_ctx_t *ctx)
{
    return ngx_http_iclock_admit(r, ctx, NGX_HTTP_ICLOCK_READS,
                                 ngx_http_iclock_replies_body);
}


static ngx_int_t
ngx_http_iclock_replies_body(ngx_http_request_t *r,
    ngx_http_iclock_ctx_t *ctx)
{
    ngx_iclock_store_job_t  *job;

    if (ngx_http_iclock_body_begin(r, &ctx->body) == NGX_ERROR) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    job = ngx_http_iclock_job(r, ctx);
    if (job == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_str_set(&job->table, "devicecmd");
    job->context.encoding = ctx->known.encoding;

    return ngx_http_iclock_split(r, ctx, ngx_http_iclock_replies_submit);
}


static ngx_int_t
ngx_http_iclock_replies_submit(ngx_http_request_t *r,
    ngx_http_iclock_ctx_t *ctx)
{
    ngx_iclock_store_job_t  *job;

    job = ctx->job;

    if (ngx_http_iclock_reply_of_uri(r, ctx) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ctx->records = job->upload.lines;

    if (job->upload.items.nelts == 0) {
        return ngx_http_iclock_reply_ok(r);
    }

    return ngx_http_iclock_submit_in_order(r, ctx,
                                           ngx_http_iclock_replies_done);
}


/* some firmware answers in the query and sends no body, or none that answers */

static ngx_int_t
ngx_http_iclock_reply_of_uri(ngx_http_request_t *r,
    ngx_http_iclock_ctx_t *ctx)
{
    ngx_str_t                reply;
    ngx_iclock_upload_t     *upload;
    ngx_http_iclock_args_t  *args;

    args = &ctx->args;
    upload = &ctx->job->upload;

    if (args->id.len == 0 || args->return_code.len == 0
        || upload->kinds & (uint32_t) 1 << NGX_ICLOCK_REPLY)
    {
        return NGX_OK;
    }

    reply.data = ngx_pnalloc(r->pool, sizeof("ID=&Return=") + args->id.len
                                      + args->return_code.len);
    if (reply.data == NULL) {
        return NGX_ERROR;
    }

    reply.len = ngx_sprintf(reply.data, "ID=%V&Return=%V", &args->id,
                            &args->return_code)
                - reply.data;

    return ngx_iclock_push_reply(upload, &reply);
}


static ngx_int_t
ngx_http_iclock_replies_done(ngx_http_request_t *r,
    ngx_http_iclock_ctx_t *ctx)
{
    if (ctx->job->rc != NGX_OK) {
        return ngx_http_iclock_unavailable(r);
    }

    return ngx_http_iclock_reply_ok(r);
}


ngx_int_t
ngx_http_iclock_control(ngx_http_request_t *r, ngx_http_iclock_ctx_t *ctx)
{
    return (r->method == NGX_HTTP_POST) ? ngx_http_iclock_devicecmd(r, ctx)
                                        : ngx_http_iclock_getrequest(r, ctx);
}


ngx_int_t
ngx_http_iclock_ping(ngx_http_request_t *r, ngx_http_iclock_ctx_t *ctx)
{
    return ngx_http_iclock_admit(r, ctx, 0, ngx_http_iclock_pong);
}


static ngx_int_t
ngx_http_iclock_pong(ngx_http_request_t *r, ngx_http_iclock_ctx_t *ctx)
{
    return ngx_http_iclock_reply_ok(r);
}
