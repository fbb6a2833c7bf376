
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


#include "ngx_http_iclock_steps.h"


/* bytes of a body, unless it is packed, that is split at once */
#define NGX_HTTP_ICLOCK_AT_ONCE  32768


static ngx_int_t ngx_http_iclock_split_turn(ngx_http_request_t *r,
    ngx_http_iclock_ctx_t *ctx);
static ngx_int_t ngx_http_iclock_split_step(ngx_http_request_t *r,
    ngx_http_iclock_ctx_t *ctx);
static ngx_iclock_split_t *ngx_http_iclock_split_create(
    ngx_http_iclock_ctx_t *ctx);
static ngx_uint_t ngx_http_iclock_split_packed(ngx_http_iclock_ctx_t *ctx);


ngx_int_t
ngx_http_iclock_split(ngx_http_request_t *r, ngx_http_iclock_ctx_t *ctx,
    ngx_http_iclock_handler_pt handler)
{
    ngx_int_t  rc;

    if (ctx->body.unread || ctx->body.text.len > NGX_HTTP_ICLOCK_AT_ONCE
        || ngx_http_iclock_split_packed(ctx))
    {
        return ngx_http_iclock_steps(r, ctx, ngx_http_iclock_body_size(r),
                                     ngx_http_iclock_split_turn, handler);
    }

    do {
        rc = ngx_http_iclock_split_step(r, ctx);
    } while (rc == NGX_AGAIN);

    return (rc == NGX_OK) ? handler(r, ctx) : NGX_HTTP_INTERNAL_SERVER_ERROR;
}


static ngx_int_t
ngx_http_iclock_split_turn(ngx_http_request_t *r, ngx_http_iclock_ctx_t *ctx)
{
    size_t     held, items;
    ngx_int_t  rc;

    rc = ngx_http_iclock_split_step(r, ctx);

    if (rc == NGX_ERROR || ctx->split == NULL) {
        return rc;
    }

    held = ngx_http_iclock_body_size(r) + ngx_iclock_split_held(ctx->split);

    if (ngx_http_iclock_steps_hold(r, ctx, held) != NGX_OK) {
        return NGX_BUSY;
    }

    if (rc == NGX_OK) {
        /* the same when it is submitted, where its items are added */
        items = ctx->job->upload.items.nelts * sizeof(ngx_iclock_item_t);
        ctx->job->held = (held > items) ? held - items : 0;
    }

    return rc;
}


static ngx_int_t
ngx_http_iclock_split_step(ngx_http_request_t *r, ngx_http_iclock_ctx_t *ctx)
{
    if (ctx->body.unread) {
        return (ngx_http_iclock_body_more(r, &ctx->body) == NGX_ERROR)
               ? NGX_ERROR : NGX_AGAIN;
    }

    if (ctx->split) {
        return ngx_iclock_split_step(ctx->split);
    }

    ctx->split = ngx_http_iclock_split_create(ctx);

    return ctx->split ? NGX_AGAIN : NGX_ERROR;
}


static ngx_iclock_split_t *
ngx_http_iclock_split_create(ngx_http_iclock_ctx_t *ctx)
{
    ngx_str_t               *text;
    ngx_iclock_store_job_t  *job;

    job = ctx->job;
    text = &ctx->body.text;

    job->held = text->len;

    if (ctx->table == NULL) {
        return ngx_iclock_split_create_replies(&job->upload, text, job->pool);
    }

    if (ngx_http_iclock_split_packed(ctx)) {
        return ngx_iclock_split_create_packed(&job->upload, ctx->table, text,
                                              &job->context, job->pool);
    }

    return ngx_iclock_split_create(&job->upload, ctx->table, text,
                                   &job->context, job->pool);
}


static ngx_uint_t
ngx_http_iclock_split_packed(ngx_http_iclock_ctx_t *ctx)
{
    return ctx->table
           && ngx_http_iclock_arg_is(&ctx->args.content_type, "tgz");
}
