
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


/*
 * What the database has answered.
 */


#include "ngx_http_iclock_api_gate.h"


static ngx_int_t ngx_http_iclock_api_accepted(ngx_http_request_t *r,
    ngx_http_iclock_api_ctx_t *ctx, ngx_str_t *body, ngx_str_t *meta);
static ngx_int_t ngx_http_iclock_api_reveal(ngx_http_request_t *r,
    ngx_http_iclock_api_ctx_t *ctx);
static ngx_int_t ngx_http_iclock_api_refused(ngx_http_request_t *r,
    ngx_http_iclock_api_ctx_t *ctx, ngx_str_t *problem, ngx_str_t *meta);
static ngx_int_t ngx_http_iclock_api_link(ngx_http_request_t *r,
    ngx_http_iclock_api_ctx_t *ctx, ngx_str_t *next);
static void ngx_http_iclock_api_link_part(ngx_http_iclock_api_text_t *out,
    const char *before, ngx_str_t *text);


ngx_int_t
ngx_http_iclock_api_answered(ngx_http_request_t *r,
    ngx_http_iclock_api_ctx_t *ctx)
{
    ngx_int_t   status;
    ngx_str_t  *value, *meta, problem;

    if (ctx->call->rc != NGX_OK) {
        return ngx_http_iclock_api_failed(r, ctx);
    }

    value = ctx->call->values;

    status = (ctx->call->nrows == 1 && ctx->call->ncols == 4)
             ? ngx_atoi(value[0].data, value[0].len) : NGX_ERROR;

    if (status < 200 || status > 599) {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "iclock: operation \"%V\" has no valid status",
                      &ctx->route->operation);
        return ngx_http_iclock_api_problem(r, ctx,
                                           NGX_HTTP_ICLOCK_PROBLEM_INTERNAL,
                                           "the log of the server says more");
    }

    ctx->status = status;
    meta = &value[3];

    ngx_http_iclock_api_take_rows(r, ctx, meta);

    if (ngx_http_iclock_api_may_hold(ctx, meta) && !ctx->settles) {
        return ngx_http_iclock_api_hold(r, ctx);
    }

    ngx_http_iclock_api_release(ctx);

    if (ngx_http_iclock_api_reply_headers(r, ctx, &value[1]) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (ngx_http_iclock_api_json_member(meta, "problem", &problem) == NGX_OK) {
        return ngx_http_iclock_api_refused(r, ctx, &problem, meta);
    }

    return ngx_http_iclock_api_accepted(r, ctx, &value[2], meta);
}


static ngx_int_t
ngx_http_iclock_api_accepted(ngx_http_request_t *r,
    ngx_http_iclock_api_ctx_t *ctx, ngx_str_t *body, ngx_str_t *meta)
{
    ngx_str_t  next;

    if (ctx->content_type.len == 0) {
        ngx_str_set(&ctx->content_type, "application/json");
    }

    if (!ngx_http_iclock_api_is(&ctx->format, "json")) {
        return ngx_http_iclock_api_rows(r, ctx, meta);
    }

    if (ngx_http_iclock_api_json_member(meta, "next", &next) == NGX_OK
        && ngx_http_iclock_api_link(r, ctx, &next) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (ngx_http_iclock_api_take_body(r, ctx, body) != NGX_OK
        || ngx_http_iclock_api_reveal(r, ctx) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ctx->settles ? ngx_http_iclock_api_hold(r, ctx)
                        : ngx_http_iclock_api_send(r, ctx);
}


/* a secret that was made sealed takes the place of what the database has */

static ngx_int_t
ngx_http_iclock_api_reveal(ngx_http_request_t *r,
    ngx_http_iclock_api_ctx_t *ctx)
{
    u_char                           *p, *last;
    ngx_int_t                         rc;
    ngx_str_t                         value, sealed, text;
    ngx_http_iclock_api_main_conf_t  *amcf;

    if (!(ctx->route->flags & NGX_HTTP_ICLOCK_API_SECRET)
        || ngx_http_iclock_api_json_member(&ctx->reply, "secret", &value)
           != NGX_OK
        || ngx_http_iclock_api_json_text(r->pool, &value, &sealed) != NGX_OK
        || !ngx_http_iclock_secret_sealed(&sealed))
    {
        return NGX_OK;
    }

    amcf = ngx_http_get_module_main_conf(r, ngx_http_iclock_api_module);

    rc = ngx_http_iclock_secret_open(amcf->keyring, r->pool, &sealed, &text);

    if (rc == NGX_ERROR) {
        return NGX_ERROR;
    }

    last = ctx->reply.data + ctx->reply.len;

    if (rc == NGX_DECLINED) {
        /* an answer that was kept, and its key has gone */

        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "iclock: no key of \"iclock_secret_key\" opens the "
                      "secret of an answer");

        p = ngx_cpymem(value.data, "null", sizeof("null") - 1);

    } else {
        p = ngx_cpymem(value.data + 1, text.data, text.len);
        *p++ = '"';

        ngx_explicit_memzero(text.data, text.len);
    }

    ngx_memmove(p, value.data + value.len, last - (value.data + value.len));

    ctx->reply.len -= value.data + value.len - p;

    return NGX_OK;
}


/* whoever may not know has the same answer from here and from there */

static ngx_int_t
ngx_http_iclock_api_refused(ngx_http_request_t *r,
    ngx_http_iclock_api_ctx_t *ctx, ngx_str_t *problem, ngx_str_t *meta)
{
    ngx_str_t                         why;
    ngx_http_iclock_api_main_conf_t  *amcf;

    if (ctx->status == NGX_HTTP_UNAUTHORIZED) {
        amcf = ngx_http_get_module_main_conf(r, ngx_http_iclock_api_module);

        ngx_http_iclock_api_zone_drop(amcf, &ctx->key_id);

        ngx_str_null(&ctx->key_id);
        ctx->quota.limit = 0;

        return ngx_http_iclock_api_problem(r, ctx,
                                           NGX_HTTP_ICLOCK_PROBLEM_BAD_KEY,
                                           NGX_HTTP_ICLOCK_API_NOT_VALID);
    }

    if (ngx_http_iclock_api_json_member(meta, "log", &why) == NGX_OK) {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "iclock: operation \"%V\" failed: %V",
                      &ctx->route->operation, &why);
    }

    return ngx_http_iclock_api_problem_of(r, ctx, ctx->status, problem);
}


/* the query ends before the reply is sent; a newer body takes the room */

ngx_int_t
ngx_http_iclock_api_take_body(ngx_http_request_t *r,
    ngx_http_iclock_api_ctx_t *ctx, ngx_str_t *body)
{
    if (ctx->room < body->len + 1) {

        if (ctx->room) {
            (void) ngx_pfree(r->pool, ctx->reply.data);
        }

        ctx->room = body->len + 1;
        ctx->reply.data = ngx_pnalloc(r->pool, ctx->room);

        if (ctx->reply.data == NULL) {
            ctx->room = 0;
            return NGX_ERROR;
        }
    }

    ctx->reply.len = body->len;

    if (body->len) {
        ngx_memcpy(ctx->reply.data, body->data, body->len);
    }

    if (ngx_http_iclock_api_is(&ctx->content_type, "application/json")) {
        ngx_http_iclock_api_json_compact(&ctx->reply);
    }

    return NGX_OK;
}


void
ngx_http_iclock_api_take_rows(ngx_http_request_t *r,
    ngx_http_iclock_api_ctx_t *ctx, ngx_str_t *meta)
{
    ngx_int_t  n;
    ngx_str_t  value;

    if (ngx_http_iclock_api_json_member(meta, "rows", &value) != NGX_OK) {
        return;
    }

    n = ngx_atoi(value.data, value.len);

    if (n > 0) {
        ctx->rows += n;
    }
}


ngx_int_t
ngx_http_iclock_api_take_cursor(ngx_http_iclock_api_ctx_t *ctx,
    ngx_str_t *meta, const char *name)
{
    ngx_str_t  value;

    ctx->cursor.data = ctx->cursor_text;
    ctx->cursor.len = 0;

    if (ngx_http_iclock_api_json_member(meta, name, &value) != NGX_OK) {
        return NGX_DECLINED;
    }

    /* cursors have nothing to be escaped */

    if (value.len < 2 || value.len - 2 > sizeof(ctx->cursor_text)
        || value.data[0] != '"')
    {
        return NGX_ERROR;
    }

    ctx->cursor.len = value.len - 2;
    ngx_memcpy(ctx->cursor.data, value.data + 1, ctx->cursor.len);

    return NGX_OK;
}


/* Link: <https://example.com/v1/logs?user_id=7&cursor=...>; rel="next" */

static ngx_int_t
ngx_http_iclock_api_link(ngx_http_request_t *r,
    ngx_http_iclock_api_ctx_t *ctx, ngx_str_t *next)
{
    ngx_str_t                    name, cursor;
    ngx_uint_t                   i;
    ngx_keyval_t                *param;
    ngx_http_iclock_api_text_t   out;

    if (ngx_http_iclock_api_json_text(r->pool, next, &cursor) != NGX_OK
        || ngx_http_iclock_api_base(r, ctx) != NGX_OK)
    {
        return NGX_ERROR;
    }

    name.data = (u_char *) ngx_http_iclock_api_cursor_name(ctx);
    name.len = ngx_strlen(name.data);

    ngx_http_iclock_api_text_init(&out, r->pool, 256);

    ngx_http_iclock_api_text_raw(&out, "<");
    ngx_http_iclock_api_text_str(&out, &ctx->base);

    for (i = 0; i < ctx->nsegments; i++) {
        ngx_http_iclock_api_link_part(&out, "/", &ctx->segments[i]);
    }

    ngx_http_iclock_api_text_raw(&out, "?");

    param = ctx->query.elts;

    for (i = 0; i < ctx->query.nelts; i++) {

        if (ngx_http_iclock_api_is_cursor(ctx, &param[i].key)) {
            continue;
        }

        ngx_http_iclock_api_link_part(&out, "", &param[i].key);
        ngx_http_iclock_api_link_part(&out, "=", &param[i].value);
        ngx_http_iclock_api_text_raw(&out, "&");
    }

    ngx_http_iclock_api_text_str(&out, &name);
    ngx_http_iclock_api_link_part(&out, "=", &cursor);
    ngx_http_iclock_api_text_raw(&out, ">; rel=\"next\"");

    return out.failed ? NGX_ERROR
                      : ngx_http_iclock_api_header(r, "Link", &out.text);
}


static void
ngx_http_iclock_api_link_part(ngx_http_iclock_api_text_t *out,
    const char *before, ngx_str_t *text)
{
    u_char     *p;
    uintptr_t   n;

    n = ngx_escape_uri(NULL, text->data, text->len,
                       NGX_ESCAPE_URI_COMPONENT);

    p = ngx_pnalloc(out->pool, text->len + 2 * n + 1);
    if (p == NULL) {
        out->failed = 1;
        return;
    }

    ngx_escape_uri(p, text->data, text->len, NGX_ESCAPE_URI_COMPONENT);

    ngx_http_iclock_api_text_raw(out, before);
    ngx_http_iclock_api_text_add(out, p, text->len + 2 * n);
}
