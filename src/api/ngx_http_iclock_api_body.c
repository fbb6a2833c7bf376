
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


#include "ngx_http_iclock_api_gate.h"


static ngx_int_t ngx_http_iclock_api_body_filter(ngx_http_request_t *r,
    ngx_chain_t *in);
static ngx_uint_t ngx_http_iclock_api_media_type(ngx_http_request_t *r);
static ngx_uint_t ngx_http_iclock_api_is_json(u_char *p, size_t len);
static ngx_uint_t ngx_http_iclock_api_charset(u_char *p, u_char *last);
static void ngx_http_iclock_api_body_handler(ngx_http_request_t *r);
static ngx_int_t ngx_http_iclock_api_body_check(ngx_http_request_t *r,
    ngx_http_iclock_api_ctx_t *ctx);


static ngx_http_request_body_filter_pt  ngx_http_iclock_api_next_filter;


void
ngx_http_iclock_api_init_body(void)
{
    ngx_http_iclock_api_next_filter = ngx_http_top_request_body_filter;
    ngx_http_top_request_body_filter = ngx_http_iclock_api_body_filter;
}


/* a body whose length is not known before */

static ngx_int_t
ngx_http_iclock_api_body_filter(ngx_http_request_t *r, ngx_chain_t *in)
{
    ngx_chain_t                     *cl;
    ngx_http_iclock_api_ctx_t       *ctx;
    ngx_http_iclock_api_loc_conf_t  *alcf;

    ctx = ngx_http_get_module_ctx(r, ngx_http_iclock_api_module);

    if (ctx) {
        alcf = ngx_http_get_module_loc_conf(r, ngx_http_iclock_api_module);

        for (cl = in; cl; cl = cl->next) {
            ctx->received += ngx_buf_size(cl->buf);
        }

        if (alcf->body_max && ctx->received > alcf->body_max) {
            return NGX_HTTP_REQUEST_ENTITY_TOO_LARGE;
        }
    }

    return ngx_http_iclock_api_next_filter(r, in);
}


ngx_int_t
ngx_http_iclock_api_read_body(ngx_http_request_t *r,
    ngx_http_iclock_api_ctx_t *ctx, ngx_http_iclock_api_handler_pt handler)
{
    ngx_int_t                        rc;
    ngx_http_iclock_api_loc_conf_t  *alcf;

    static ngx_str_t  encoding = ngx_string("Content-Encoding");

    alcf = ngx_http_get_module_loc_conf(r, ngx_http_iclock_api_module);

    if (alcf->body_max && r->headers_in.content_length_n > alcf->body_max) {
        return ngx_http_iclock_api_problem(r, ctx,
                                           NGX_HTTP_ICLOCK_PROBLEM_TOO_LARGE,
                                           "the body is larger than the "
                                           "server takes");
    }

    if (r->headers_in.content_length_n > 0 || r->headers_in.chunked) {

        if (!ngx_http_iclock_api_media_type(r)
            || ngx_http_iclock_api_find_header(r, &encoding))
        {
            return ngx_http_iclock_api_problem(r, ctx,
                                           NGX_HTTP_ICLOCK_PROBLEM_MEDIA_TYPE,
                                           "send application/json, as UTF-8 "
                                           "and not packed");
        }
    }

    ctx->next = handler;

    r->request_body_in_single_buf = 1;

    rc = ngx_http_read_client_request_body(r,
                                           ngx_http_iclock_api_body_handler);

    return (rc >= NGX_HTTP_SPECIAL_RESPONSE) ? rc : NGX_DONE;
}


/* none, application/json, or application/<...>+json */

static ngx_uint_t
ngx_http_iclock_api_media_type(ngx_http_request_t *r)
{
    u_char     *p, *last;
    ngx_str_t  *value;

    if (r->headers_in.content_type == NULL
        || r->headers_in.content_type->value.len == 0)
    {
        return 1;
    }

    value = &r->headers_in.content_type->value;
    last = value->data + value->len;

    p = ngx_strlchr(value->data, last, ';');

    if (p && !ngx_http_iclock_api_charset(p, last)) {
        return 0;
    }

    p = p ? p : last;

    while (p > value->data && p[-1] == ' ') {
        p--;
    }

    return ngx_http_iclock_api_is_json(value->data, p - value->data);
}


static ngx_uint_t
ngx_http_iclock_api_is_json(u_char *p, size_t len)
{
    static ngx_str_t  start = ngx_string("application/");
    static ngx_str_t  suffix = ngx_string("+json");

    if (len < start.len + 4
        || ngx_strncasecmp(p, start.data, start.len) != 0)
    {
        return 0;
    }

    if (len == start.len + 4) {
        return ngx_strncasecmp(p + start.len, (u_char *) "json", 4) == 0;
    }

    return len > start.len + suffix.len
           && ngx_strncasecmp(p + len - suffix.len, suffix.data, suffix.len)
              == 0;
}


/* a charset, if one is named, has to be UTF-8 */

static ngx_uint_t
ngx_http_iclock_api_charset(u_char *p, u_char *last)
{
    p = ngx_strlcasestrn(p, last, (u_char *) "charset=", 8 - 1);

    if (p == NULL) {
        return 1;
    }

    p += 8;

    if (p < last && *p == '"') {
        p++;
    }

    return last - p >= 5 && ngx_strncasecmp(p, (u_char *) "utf-8", 5) == 0;
}


static void
ngx_http_iclock_api_body_handler(ngx_http_request_t *r)
{
    ngx_http_iclock_api_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_iclock_api_module);

    ngx_http_finalize_request(r, ngx_http_iclock_api_body_check(r, ctx));
}


static ngx_int_t
ngx_http_iclock_api_body_check(ngx_http_request_t *r,
    ngx_http_iclock_api_ctx_t *ctx)
{
    size_t                            at;
    ngx_int_t                         rc;
    const char                       *error;
    char                              text[128];
    ngx_http_iclock_api_main_conf_t  *amcf;

    amcf = ngx_http_get_module_main_conf(r, ngx_http_iclock_api_module);

    if (r->headers_in.content_length_n > 0
        && ngx_iclock_query_full(amcf->queries,
                                 (size_t) r->headers_in.content_length_n))
    {
        return ngx_http_iclock_api_problem(r, ctx,
                                           NGX_HTTP_ICLOCK_PROBLEM_UNAVAILABLE,
                                           "too much is to be done now");
    }

    if (ngx_http_iclock_body(r, &ctx->body) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_log_debug1(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                   "iclock api body: %uz bytes", ctx->body.len);

    if (ctx->body.len == 0
        && (ctx->route->flags & NGX_HTTP_ICLOCK_API_MAY_BODY))
    {
        return ctx->next(r, ctx);
    }

    rc = ngx_http_iclock_api_json_check(&ctx->body, &error, &at);

    if (rc != NGX_OK) {
        (void) ngx_sprintf((u_char *) text, "%s, at byte %uz%Z", error, at);

        return ngx_http_iclock_api_problem(r, ctx,
                                           NGX_HTTP_ICLOCK_PROBLEM_BAD_JSON,
                                           text);
    }

    return ctx->next(r, ctx);
}
