
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


#include "ngx_http_iclock_steps.h"


#define NGX_HTTP_ICLOCK_MAX_STAMP  64


static ngx_uint_t ngx_http_iclock_decides(ngx_str_t *type);
static void ngx_http_iclock_photo_table(ngx_http_iclock_args_t *args);
static ngx_int_t ngx_http_iclock_time(ngx_http_request_t *r,
    ngx_http_iclock_ctx_t *ctx);
static const ngx_iclock_table_t *ngx_http_iclock_upload_table(
    ngx_http_iclock_args_t *args, ngx_str_t *name);
static ngx_int_t ngx_http_iclock_upload(ngx_http_request_t *r,
    ngx_http_iclock_ctx_t *ctx);
static ngx_int_t ngx_http_iclock_upload_body(ngx_http_request_t *r,
    ngx_http_iclock_ctx_t *ctx);
static ngx_int_t ngx_http_iclock_upload_submit(ngx_http_request_t *r,
    ngx_http_iclock_ctx_t *ctx);
static ngx_str_t *ngx_http_iclock_upload_stamp(ngx_http_iclock_ctx_t *ctx);
static ngx_int_t ngx_http_iclock_upload_done(ngx_http_request_t *r,
    ngx_http_iclock_ctx_t *ctx);
static ngx_int_t ngx_http_iclock_upload_reply(ngx_http_request_t *r,
    ngx_http_iclock_ctx_t *ctx);


static ngx_str_t  ngx_http_iclock_attlog = ngx_string("ATTLOG");
static ngx_str_t  ngx_http_iclock_operlog = ngx_string("OPERLOG");
static ngx_str_t  ngx_http_iclock_attphoto = ngx_string("ATTPHOTO");
static ngx_str_t  ngx_http_iclock_no_table = ngx_string("none");


ngx_int_t
ngx_http_iclock_cdata(ngx_http_request_t *r, ngx_http_iclock_ctx_t *ctx)
{
    ngx_int_t                rc;
    ngx_http_iclock_args_t  *args;

    args = &ctx->args;

    if (r->method == NGX_HTTP_POST) {

        return ngx_http_iclock_decides(&args->type)
               ? ngx_http_iclock_decision(r, ctx)
               : ngx_http_iclock_upload(r, ctx);
    }

    rc = ngx_http_iclock_question(r, ctx);

    if (rc != NGX_DECLINED) {
        return rc;
    }

    if (ngx_http_iclock_arg_is(&args->type, "time")) {
        return ngx_http_iclock_admit(r, ctx, NGX_HTTP_ICLOCK_ASKS,
                                     ngx_http_iclock_time);
    }

    /* old firmware sends an empty POST as a GET */

    if (args->options.len == 0
        && (args->table.len || args->stamp.len || args->op_stamp.len
            || args->photo_stamp.len))
    {
        return ngx_http_iclock_upload(r, ctx);
    }

    if (args->options.len || args->type.len == 0) {
        return ngx_http_iclock_handshake(r, ctx);
    }

    /* a question that nobody answers here */

    return ngx_http_iclock_decides(&args->type) ? NGX_HTTP_NOT_ALLOWED
                                                : NGX_HTTP_NOT_FOUND;
}


/* attendance PUSH 2.4.1, section 12.8.3 */

static ngx_uint_t
ngx_http_iclock_decides(ngx_str_t *type)
{
    return ngx_http_iclock_arg_is(type, "PostVerifyData")
           || ngx_http_iclock_arg_is(type, "PostRecordData");
}


ngx_int_t
ngx_http_iclock_fdata(ngx_http_request_t *r, ngx_http_iclock_ctx_t *ctx)
{
    ngx_http_iclock_photo_table(&ctx->args);

    return ngx_http_iclock_upload(r, ctx);
}


/* photos of old firmware, attendance PUSH 2.4.1, section 11.3 */

static void
ngx_http_iclock_photo_table(ngx_http_iclock_args_t *args)
{
    if (args->table.len == 0) {
        args->table = ngx_http_iclock_attphoto;
    }
}


/*
 * SDK 3.2.0, section 2.3.  The offset changes with the seasons, so the one in
 * the zone would age: the device's row has been read instead.  The handshake
 * sends SyncTime=0 to a clock that keeps its own time; if it asks all the
 * same, it gets 404.
 */

static ngx_int_t
ngx_http_iclock_time(ngx_http_request_t *r, ngx_http_iclock_ctx_t *ctx)
{
    ngx_tm_t                     tm;
    ngx_int_t                    offset;
    ngx_str_t                    text;
    ngx_iclock_device_t         *device;
    ngx_http_iclock_loc_conf_t  *ilcf;

    ilcf = ngx_http_get_module_loc_conf(r, ngx_http_iclock_module);
    device = ctx->job->device;

    if ((device->send_timezone >= 0 ? device->send_timezone
                                    : ilcf->send_timezone)
        == 0)
    {
        return NGX_HTTP_NOT_FOUND;
    }

    offset = device->utc_offset;

    ngx_gmtime(ngx_time() + offset * 60, &tm);

    text.data = ngx_pnalloc(r->pool,
                            sizeof("Time=2011-05-05T17:40:20-05:00"));
    if (text.data == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    text.len = ngx_sprintf(text.data,
                           "Time=%4d-%02d-%02dT%02d:%02d:%02d%c%02i:%02i",
                           tm.ngx_tm_year, tm.ngx_tm_mon, tm.ngx_tm_mday,
                           tm.ngx_tm_hour, tm.ngx_tm_min, tm.ngx_tm_sec,
                           offset < 0 ? '-' : '+', ngx_abs(offset) / 60,
                           ngx_abs(offset) % 60)
               - text.data;

    return ngx_http_iclock_reply(r, &text);
}


/* the name is that which stamps and lines of the table are kept under */

static const ngx_iclock_table_t *
ngx_http_iclock_upload_table(ngx_http_iclock_args_t *args, ngx_str_t *name)
{
    ngx_str_t                 *sent;
    const ngx_iclock_table_t  *table;

    sent = args->table.len ? &args->table
           : args->stamp.len ? &ngx_http_iclock_attlog
           : args->op_stamp.len ? &ngx_http_iclock_operlog
           : args->photo_stamp.len ? &ngx_http_iclock_attphoto
           : &ngx_http_iclock_no_table;

    table = ngx_iclock_find_table(sent);

    if (table == NULL) {
        /* nothing but spaces */
        sent = &ngx_http_iclock_no_table;
        table = ngx_iclock_find_table(sent);
    }

    /* lines of unknown tables are kept under the name that was sent */

    *name = ngx_iclock_known_table(table) ? table->name : *sent;

    return table;
}


ngx_uint_t
ngx_http_iclock_posted_table(const ngx_http_iclock_endpoint_t *endpoint,
    ngx_http_iclock_args_t *args, ngx_str_t *name)
{
    if (endpoint->handler == ngx_http_iclock_fdata) {
        ngx_http_iclock_photo_table(args);

    } else if (endpoint->handler != ngx_http_iclock_cdata
               || ngx_http_iclock_decides(&args->type))
    {
        return 0;
    }

    (void) ngx_http_iclock_upload_table(args, name);

    return 1;
}


static ngx_int_t
ngx_http_iclock_upload(ngx_http_request_t *r, ngx_http_iclock_ctx_t *ctx)
{
    ngx_str_t  *stamp;

    ctx->table = ngx_http_iclock_upload_table(&ctx->args, &ctx->table_name);

    stamp = ngx_http_iclock_upload_stamp(ctx);

    if (stamp->len) {
        ctx->visit.stamp = ngx_http_iclock_zone_stamp(&ctx->table_name, stamp,
                                                      &ctx->visit.table);
    }

    return ngx_http_iclock_admit(r, ctx, NGX_HTTP_ICLOCK_READS,
                                 ngx_http_iclock_upload_body);
}


static ngx_int_t
ngx_http_iclock_upload_body(ngx_http_request_t *r, ngx_http_iclock_ctx_t *ctx)
{
    ngx_iclock_store_job_t  *job;

    if (ngx_http_iclock_body_begin(r, &ctx->body) == NGX_ERROR) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    job = ngx_http_iclock_job(r, ctx);
    if (job == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    job->table = ctx->table_name;
    job->context.encoding = ctx->known.encoding;
    job->context.pin = ctx->args.pin;
    job->context.time = ctx->args.time;

    return ngx_http_iclock_split(r, ctx, ngx_http_iclock_upload_submit);
}


static ngx_int_t
ngx_http_iclock_upload_submit(ngx_http_request_t *r,
    ngx_http_iclock_ctx_t *ctx)
{
    ngx_str_t               *stamp;
    ngx_iclock_store_job_t  *job;

    job = ctx->job;

    ctx->records = job->upload.lines;

    stamp = ngx_http_iclock_upload_stamp(ctx);

    if (stamp->len && !ctx->known.stamped
        && ngx_iclock_store_stamp(job, &ctx->table_name, stamp) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (job->upload.items.nelts == 0 && job->nops == 0) {
        return ngx_http_iclock_upload_reply(r, ctx);
    }

    return ngx_http_iclock_submit_in_order(r, ctx,
                                           ngx_http_iclock_upload_done);
}


/* devices send any of them, whatever the table; empty: nothing to be kept */

static ngx_str_t *
ngx_http_iclock_upload_stamp(ngx_http_iclock_ctx_t *ctx)
{
    ngx_str_t               *stamp;
    ngx_http_iclock_args_t  *args;
    static ngx_str_t         none = ngx_null_string;

    args = &ctx->args;

    stamp = args->stamp.len ? &args->stamp
            : args->op_stamp.len ? &args->op_stamp
            : &args->photo_stamp;

    return (stamp->len <= NGX_HTTP_ICLOCK_MAX_STAMP
            && ngx_iclock_known_table(ctx->table))
           ? stamp : &none;
}


static ngx_int_t
ngx_http_iclock_upload_done(ngx_http_request_t *r, ngx_http_iclock_ctx_t *ctx)
{
    ngx_http_iclock_main_conf_t  *imcf;

    if (ctx->job->rc != NGX_OK) {
        return ngx_http_iclock_unavailable(r);
    }

    if (ctx->visit.stamp && !ctx->known.stamped) {
        imcf = ngx_http_get_module_main_conf(r, ngx_http_iclock_module);

        ngx_http_iclock_zone_stamped(imcf->zone, &ctx->visit, &ctx->known);
    }

    return ngx_http_iclock_upload_reply(r, ctx);
}


static ngx_int_t
ngx_http_iclock_upload_reply(ngx_http_request_t *r,
    ngx_http_iclock_ctx_t *ctx)
{
    ngx_str_t  text;

    if (ngx_iclock_upload_reply(&ctx->job->upload, ctx->table)
        == NGX_ICLOCK_OK)
    {
        return ngx_http_iclock_reply_ok(r);
    }

    text.data = ngx_pnalloc(r->pool, sizeof("OK: ") + NGX_INT_T_LEN);
    if (text.data == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    text.len = ngx_sprintf(text.data, "OK: %ui", ctx->records) - text.data;

    return ngx_http_iclock_reply(r, &text);
}
