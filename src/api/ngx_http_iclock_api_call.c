
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


/*
 * A call of an operation: what is asked, in JSON.
 */


#include "ngx_http_iclock_api_gate.h"


static ngx_int_t ngx_http_iclock_api_call_request(ngx_http_request_t *r,
    ngx_http_iclock_api_ctx_t *ctx, ngx_iclock_query_t *q);
static void ngx_http_iclock_api_call_path(ngx_http_iclock_api_ctx_t *ctx,
    ngx_http_iclock_api_text_t *out);
static ngx_int_t ngx_http_iclock_api_call_sender(ngx_http_request_t *r,
    ngx_http_iclock_api_ctx_t *ctx, ngx_http_iclock_api_text_t *out);
static ngx_int_t ngx_http_iclock_api_call_secret(ngx_http_request_t *r,
    ngx_http_iclock_api_ctx_t *ctx, ngx_http_iclock_api_text_t *out);
static void ngx_http_iclock_api_call_query(ngx_http_iclock_api_ctx_t *ctx,
    ngx_http_iclock_api_text_t *out);
static void ngx_http_iclock_api_call_limits(ngx_http_request_t *r,
    ngx_http_iclock_api_ctx_t *ctx, ngx_http_iclock_api_text_t *out);
static void ngx_http_iclock_api_call_server(ngx_http_request_t *r,
    ngx_http_iclock_api_ctx_t *ctx, ngx_http_iclock_api_text_t *out);
static void ngx_http_iclock_api_base_host(ngx_http_request_t *r,
    ngx_str_t *host);


ngx_int_t
ngx_http_iclock_api_call(ngx_http_request_t *r,
    ngx_http_iclock_api_ctx_t *ctx, ngx_http_iclock_api_handler_pt handler)
{
    ngx_iclock_query_t               *q;
    ngx_http_iclock_api_main_conf_t  *amcf;

    q = ngx_http_iclock_api_query(r, ctx, NGX_ICLOCK_QUERY_API_CALL);

    if (q == NULL || ngx_http_iclock_api_call_request(r, ctx, q) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    q->params[0] = ctx->route->operation;

    /* what may be done but once, unless the client has named it */

    q->once = (ctx->route->method & (NGX_HTTP_POST|NGX_HTTP_DELETE))
              && ctx->idempotency.len == 0;

    if (ctx->body.len) {
        q->params[2] = ctx->body;
    }

    /* what is notified from now on, the query may not see */

    amcf = ngx_http_get_module_main_conf(r, ngx_http_iclock_api_module);
    ctx->events = amcf->zone->sh->events;

    return ngx_http_iclock_api_submit(r, ctx, handler);
}


static ngx_int_t
ngx_http_iclock_api_call_request(ngx_http_request_t *r,
    ngx_http_iclock_api_ctx_t *ctx, ngx_iclock_query_t *q)
{
    ngx_str_t                   scope, path;
    ngx_http_iclock_api_text_t  out;

    path = ctx->route->path;

    ngx_str_null(&scope);

    if (ctx->route->scope) {
        scope.data = (u_char *)
                     ngx_http_iclock_api_scope_name(ctx->route->scope);
        scope.len = ngx_strlen(scope.data);
    }

    ngx_http_iclock_api_text_init(&out, q->pool, 1024);

    ngx_http_iclock_api_text_raw(&out, "{\"key\":");
    ngx_http_iclock_api_text_string(&out, &ctx->key_id);
    ngx_http_iclock_api_text_member(&out, "scope", &scope);
    ngx_http_iclock_api_text_member(&out, "method",
                 ngx_http_iclock_api_method_name(ctx->route->method));
    ngx_http_iclock_api_text_member(&out, "route", &path);

    ngx_http_iclock_api_text_raw(&out, ",\"path\":{");
    ngx_http_iclock_api_call_path(ctx, &out);
    ngx_http_iclock_api_text_raw(&out, "},\"query\":{");
    ngx_http_iclock_api_call_query(ctx, &out);
    ngx_http_iclock_api_text_raw(&out, "}");

    if (ngx_http_iclock_api_call_sender(r, ctx, &out) != NGX_OK
        || ngx_http_iclock_api_call_secret(r, ctx, &out) != NGX_OK)
    {
        return NGX_ERROR;
    }

    ngx_http_iclock_api_call_limits(r, ctx, &out);

    if (ctx->route->flags & NGX_HTTP_ICLOCK_API_SERVER) {
        ngx_http_iclock_api_call_server(r, ctx, &out);
    }

    ngx_http_iclock_api_text_raw(&out, "}");

    q->params[1] = out.text;

    return out.failed ? NGX_ERROR : NGX_OK;
}


static void
ngx_http_iclock_api_call_path(ngx_http_iclock_api_ctx_t *ctx,
    ngx_http_iclock_api_text_t *out)
{
    ngx_str_t   path, part;
    ngx_uint_t  i, n;

    n = 0;
    path = ctx->route->path;

    for (i = 0; ngx_http_iclock_api_part(&path, &part); i++) {

        if (part.data[0] == '{') {
            part.data++;
            part.len -= 2;

        } else if ((ctx->route->flags & NGX_HTTP_ICLOCK_API_ACTION)
                   && path.len == 0)
        {
            ngx_str_set(&part, "action");

        } else {
            continue;
        }

        ngx_http_iclock_api_text_raw(out, n++ ? "," : "");
        ngx_http_iclock_api_text_string(out, &part);
        ngx_http_iclock_api_text_raw(out, ":");
        ngx_http_iclock_api_text_string(out, &ctx->segments[i]);
    }
}


static ngx_int_t
ngx_http_iclock_api_call_sender(ngx_http_request_t *r,
    ngx_http_iclock_api_ctx_t *ctx, ngx_http_iclock_api_text_t *out)
{
    ngx_str_t               text;
    ngx_http_iclock_addr_t  addr;

    ngx_http_iclock_addr_set(&addr, r->connection->sockaddr);

    if (ngx_http_iclock_addr_text(&addr, out->pool, &text) != NGX_OK
        || ngx_http_iclock_api_base(r, ctx) != NGX_OK)
    {
        return NGX_ERROR;
    }

    ngx_http_iclock_api_text_member(out, "address", &text);
    ngx_http_iclock_api_text_member(out, "request_id", &ctx->request_id);
    ngx_http_iclock_api_text_member(out, "base", &ctx->base);

    if (ctx->idempotency.len) {
        ngx_http_iclock_api_text_member(out, "idempotency_key",
                                        &ctx->idempotency);
        ngx_http_iclock_api_text_member(out, "fingerprint",
                                        &ctx->fingerprint);
    }

    if (ctx->wait && (ctx->route->flags & NGX_HTTP_ICLOCK_API_PREFER)) {
        ngx_http_iclock_api_text_number(out, "wait", ctx->wait);
    }

    ngx_http_iclock_api_text_member(out, "format", &ctx->format);

    if (ctx->streaming) {
        ngx_http_iclock_api_text_raw(out, ",\"continued\":true");
    }

    return NGX_OK;
}


/* the database gets a secret that it cannot read, see _reply.c */

static ngx_int_t
ngx_http_iclock_api_call_secret(ngx_http_request_t *r,
    ngx_http_iclock_api_ctx_t *ctx, ngx_http_iclock_api_text_t *out)
{
    ngx_str_t                         sealed;
    ngx_http_iclock_api_main_conf_t  *amcf;

    amcf = ngx_http_get_module_main_conf(r, ngx_http_iclock_api_module);

    if (amcf->keyring == NULL
        || !(ctx->route->flags & NGX_HTTP_ICLOCK_API_SECRET))
    {
        return NGX_OK;
    }

    if (ngx_http_iclock_secret_make(amcf->keyring, out->pool, &sealed)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    ngx_http_iclock_api_text_member(out, "sealed", &sealed);

    return NGX_OK;
}


/* what an earlier answer has said takes the place of the client's cursor */

static void
ngx_http_iclock_api_call_query(ngx_http_iclock_api_ctx_t *ctx,
    ngx_http_iclock_api_text_t *out)
{
    const char    *name;
    ngx_uint_t     i, n;
    ngx_keyval_t  *param;

    n = 0;
    name = ngx_http_iclock_api_cursor_name(ctx);
    param = ctx->query.elts;

    for (i = 0; i < ctx->query.nelts; i++) {

        if (ctx->cursor.len
            && ngx_http_iclock_api_is_cursor(ctx, &param[i].key))
        {
            continue;
        }

        ngx_http_iclock_api_text_raw(out, n++ ? "," : "");
        ngx_http_iclock_api_text_string(out, &param[i].key);
        ngx_http_iclock_api_text_raw(out, ":");
        ngx_http_iclock_api_text_string(out, &param[i].value);
    }

    if (ctx->cursor.len) {
        ngx_http_iclock_api_text_raw(out, n ? ",\"" : "\"");
        ngx_http_iclock_api_text_raw(out, name);
        ngx_http_iclock_api_text_raw(out, "\":");
        ngx_http_iclock_api_text_string(out, &ctx->cursor);
    }
}


static void
ngx_http_iclock_api_call_limits(ngx_http_request_t *r,
    ngx_http_iclock_api_ctx_t *ctx, ngx_http_iclock_api_text_t *out)
{
    ngx_http_iclock_api_loc_conf_t   *alcf;
    ngx_http_iclock_api_main_conf_t  *amcf;

    alcf = ngx_http_get_module_loc_conf(r, ngx_http_iclock_api_module);
    amcf = ngx_http_get_module_main_conf(r, ngx_http_iclock_api_module);

    ngx_http_iclock_api_text_number(out, "page_default", alcf->page_default);
    ngx_http_iclock_api_text_number(out, "page_max", alcf->page_max);
    ngx_http_iclock_api_text_number(out, "batch_max", alcf->batch);
    ngx_http_iclock_api_text_number(out, "event_retention",
                                    amcf->event_retention);
}


/* what the database cannot know */

static void
ngx_http_iclock_api_call_server(ngx_http_request_t *r,
    ngx_http_iclock_api_ctx_t *ctx, ngx_http_iclock_api_text_t *out)
{
    ngx_http_iclock_main_conf_t      *imcf;
    ngx_http_iclock_api_main_conf_t  *amcf;

    amcf = ngx_http_get_module_main_conf(r, ngx_http_iclock_api_module);
    imcf = ngx_http_get_module_main_conf(r, ngx_http_iclock_module);

    ngx_http_iclock_api_text_raw(out, ",\"server\":{\"version\":\""
                                 NGX_HTTP_ICLOCK_API_VERSION
                                 "\",\"nginx\":\"" NGINX_VERSION "\"");
    ngx_http_iclock_api_text_number(out, "schema_required",
                                    NGX_ICLOCK_SCHEMA);
    ngx_http_iclock_api_text_number(out, "rate", ctx->quota.limit);
    ngx_http_iclock_api_text_number(out, "command_timeout",
                                    imcf->command_timeout);
    ngx_http_iclock_api_text_raw(out, ",\"listening\":");
    ngx_http_iclock_api_text_raw(out, amcf->zone->sh->listening ? "true"
                                                                : "false");
    ngx_http_iclock_api_text_raw(out, ",\"webhooks\":");
    ngx_http_iclock_api_text_raw(out, amcf->webhooks ? "true" : "false");
    ngx_http_iclock_api_text_raw(out, ",\"webhook_http\":");
    ngx_http_iclock_api_text_raw(out, amcf->webhook_http ? "true}"
                                                         : "false}");
}


ngx_int_t
ngx_http_iclock_api_base(ngx_http_request_t *r,
    ngx_http_iclock_api_ctx_t *ctx)
{
    u_char                          *p;
    ngx_str_t                        host;
    const char                      *scheme;
    ngx_http_iclock_api_loc_conf_t  *alcf;

    alcf = ngx_http_get_module_loc_conf(r, ngx_http_iclock_api_module);

    if (ctx->base.len) {
        return NGX_OK;
    }

    if (alcf->base.len) {
        ctx->base = alcf->base;
        return NGX_OK;
    }

    scheme = "http";

#if (NGX_HTTP_SSL)
    if (r->connection->ssl) {
        scheme = "https";
    }
#endif

    ngx_http_iclock_api_base_host(r, &host);

    p = ngx_pnalloc(r->pool, sizeof("https://") + host.len + ctx->prefix.len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    ctx->base.data = p;
    ctx->base.len = ngx_sprintf(p, "%s://%V%V", scheme, &host, &ctx->prefix)
                    - p;

    return NGX_OK;
}


/* that of the request, unless it would have to be quoted */

static void
ngx_http_iclock_api_base_host(ngx_http_request_t *r, ngx_str_t *host)
{
    size_t                     i;
    u_char                     c;
    ngx_http_core_srv_conf_t  *cscf;

    cscf = ngx_http_get_module_srv_conf(r, ngx_http_core_module);

    *host = cscf->server_name;

    if (r->headers_in.host == NULL) {
        return;
    }

    for (i = 0; i < r->headers_in.host->value.len; i++) {
        c = r->headers_in.host->value.data[i];

        if ((c < '0' || c > '9') && ((c | 0x20) < 'a' || (c | 0x20) > 'z')
            && ngx_strchr(".-:[]_", c) == NULL)
        {
            return;
        }
    }

    *host = r->headers_in.host->value;
}
