
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


#include "ngx_http_iclock_api_gate.h"


static ngx_int_t ngx_http_iclock_api_context(ngx_http_request_t *r,
    ngx_http_iclock_api_ctx_t *ctx);
static ngx_int_t ngx_http_iclock_api_form(ngx_http_request_t *r,
    ngx_http_iclock_api_ctx_t *ctx);
static void ngx_http_iclock_api_form_wait(ngx_http_iclock_api_ctx_t *ctx);
static ngx_int_t ngx_http_iclock_api_form_format(ngx_http_request_t *r,
    ngx_http_iclock_api_ctx_t *ctx);
static ngx_int_t ngx_http_iclock_api_go_on(ngx_http_request_t *r,
    ngx_http_iclock_api_ctx_t *ctx);


ngx_int_t
ngx_http_iclock_api_handler(ngx_http_request_t *r)
{
    ngx_int_t                         rc;
    ngx_http_iclock_api_ctx_t        *ctx;
    ngx_http_iclock_api_main_conf_t  *amcf;

    amcf = ngx_http_get_module_main_conf(r, ngx_http_iclock_api_module);

    if (amcf->queries == NULL) {
        /* only workers have some */
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ctx = ngx_pcalloc(r->pool, sizeof(ngx_http_iclock_api_ctx_t));

    if (ctx == NULL || ngx_http_iclock_api_context(r, ctx) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (r->internal && r->err_status) {
        return ngx_http_iclock_api_error(r, ctx);
    }

    rc = ngx_http_iclock_api_find_route(r, ctx);

    ngx_log_debug2(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                   "iclock api route: %i, \"%s\"", rc,
                   ctx->route ? (char *) ctx->route->operation.data : "");

    if (rc == NGX_DECLINED) {
        return ngx_http_iclock_api_problem(r, ctx,
                                           NGX_HTTP_ICLOCK_PROBLEM_NO_ROUTE,
                                           "nothing is served there");
    }

    rc = ngx_http_iclock_api_cross_origin(r, ctx);

    if (rc != NGX_DECLINED) {
        return rc;
    }

    if (ctx->route == NULL) {
        return ngx_http_iclock_api_problem(r, ctx,
                                           NGX_HTTP_ICLOCK_PROBLEM_METHOD,
                                           "see the header Allow");
    }

    if (ctx->route->flags & NGX_HTTP_ICLOCK_API_OPEN) {
        return ctx->route->handler(r, ctx);
    }

    return ngx_http_iclock_api_authenticate(r, ctx);
}


static ngx_int_t
ngx_http_iclock_api_context(ngx_http_request_t *r,
    ngx_http_iclock_api_ctx_t *ctx)
{
    ngx_http_core_loc_conf_t         *clcf;
    ngx_http_variable_value_t        *v;
    ngx_http_iclock_api_main_conf_t  *amcf;

    amcf = ngx_http_get_module_main_conf(r, ngx_http_iclock_api_module);
    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    ngx_http_set_ctx(r, ctx, ngx_http_iclock_api_module);

    ctx->prefix = clcf->name;

    if (ctx->prefix.len && ctx->prefix.data[ctx->prefix.len - 1] == '/') {
        ctx->prefix.len--;
    }

    ngx_str_set(&ctx->format, "json");

    v = ngx_http_get_indexed_variable(r, amcf->request_id);

    if (v == NULL || v->not_found) {
        return NGX_ERROR;
    }

    ctx->request_id.data = v->data;
    ctx->request_id.len = v->len;

    return NGX_OK;
}


ngx_int_t
ngx_http_iclock_api_lacks_scope(ngx_http_request_t *r,
    ngx_http_iclock_api_ctx_t *ctx)
{
    char  text[64];

    (void) ngx_sprintf((u_char *) text, "this needs the scope %s%Z",
                       ngx_http_iclock_api_scope_name(ctx->route->scope));

    return ngx_http_iclock_api_problem(r, ctx, NGX_HTTP_ICLOCK_PROBLEM_SCOPE,
                                       text);
}


ngx_int_t
ngx_http_iclock_api_admitted(ngx_http_request_t *r,
    ngx_http_iclock_api_ctx_t *ctx)
{
    ngx_int_t    rc;
    const char  *error;

    error = NULL;
    rc = ngx_http_iclock_api_query_params(r, &ctx->query, &error);

    if (rc == NGX_ERROR) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (rc != NGX_OK) {
        return ngx_http_iclock_api_problem(r, ctx,
                                           NGX_HTTP_ICLOCK_PROBLEM_BAD_REQUEST,
                                           error);
    }

    return ngx_http_iclock_api_wants_stream(r, ctx)
           ? ngx_http_iclock_api_stream_handler(r, ctx)
           : ngx_http_iclock_api_form(r, ctx);
}


/* what headers and parameters say about the way it is served */

static ngx_int_t
ngx_http_iclock_api_form(ngx_http_request_t *r,
    ngx_http_iclock_api_ctx_t *ctx)
{
    ngx_int_t  rc;

    if (ngx_http_iclock_api_form_format(r, ctx) != NGX_OK) {
        return ngx_http_iclock_api_problem(r, ctx,
                                           NGX_HTTP_ICLOCK_PROBLEM_BAD_REQUEST,
                                           "format is json, ndjson or csv");
    }

    if (ctx->route->flags & NGX_HTTP_ICLOCK_API_PREFER) {
        ctx->wait = ngx_http_iclock_api_prefer_wait(r);
    }

    if (ctx->route->flags & NGX_HTTP_ICLOCK_API_POLL) {
        ngx_http_iclock_api_form_wait(ctx);
    }

    ctx->until = ngx_current_msec + 1000 * ctx->wait;

    if (ctx->route->method & (NGX_HTTP_POST|NGX_HTTP_PATCH)) {

        rc = ngx_http_iclock_api_idempotency_key(r, ctx);

        if (rc == NGX_ERROR) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        if (rc != NGX_OK) {
            return ngx_http_iclock_api_problem(r, ctx,
                                   NGX_HTTP_ICLOCK_PROBLEM_BAD_IDEMPOTENCY_KEY,
                                   "it has 1 to 255 printable characters");
        }
    }

    if (ctx->route->flags & (NGX_HTTP_ICLOCK_API_BODY
                             |NGX_HTTP_ICLOCK_API_MAY_BODY))
    {
        return ngx_http_iclock_api_read_body(r, ctx,
                                             ngx_http_iclock_api_go_on);
    }

    return ngx_http_iclock_api_go_on(r, ctx);
}


/* whether the number is one, the operation says */

static void
ngx_http_iclock_api_form_wait(ngx_http_iclock_api_ctx_t *ctx)
{
    ngx_int_t   n;
    ngx_str_t  *value;

    value = ngx_http_iclock_api_param(ctx, "wait");

    if (value == NULL) {
        return;
    }

    n = ngx_atoi(value->data, value->len);

    if (n > 0) {
        ctx->wait = ngx_min(n, NGX_HTTP_ICLOCK_API_WAIT);
    }
}


static ngx_int_t
ngx_http_iclock_api_form_format(ngx_http_request_t *r,
    ngx_http_iclock_api_ctx_t *ctx)
{
    ngx_str_t  *value;

    if (!(ctx->route->flags & NGX_HTTP_ICLOCK_API_FORMATS)) {
        return NGX_OK;
    }

    value = ngx_http_iclock_api_param(ctx, "format");

    if (value == NULL) {
        return NGX_OK;
    }

    if (!ngx_http_iclock_api_is(value, "json")
        && !ngx_http_iclock_api_is(value, "ndjson")
        && !ngx_http_iclock_api_is(value, "csv"))
    {
        return NGX_DECLINED;
    }

    ctx->format = *value;

    return NGX_OK;
}


static ngx_int_t
ngx_http_iclock_api_go_on(ngx_http_request_t *r,
    ngx_http_iclock_api_ctx_t *ctx)
{
    if (ctx->idempotency.len
        && ngx_http_iclock_api_fingerprint(r, ctx) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (ctx->route->handler) {
        return ctx->route->handler(r, ctx);
    }

    return ngx_http_iclock_api_call(r, ctx, ngx_http_iclock_api_answered);
}
