
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


#include "ngx_http_iclock_api_gate.h"


typedef struct {
    ngx_uint_t                  method;
    ngx_str_t                   name;
} ngx_http_iclock_api_method_t;


static ngx_int_t ngx_http_iclock_api_headers(ngx_http_request_t *r,
    ngx_http_iclock_api_ctx_t *ctx);
static ngx_int_t ngx_http_iclock_api_quota_headers(ngx_http_request_t *r,
    ngx_http_iclock_api_ctx_t *ctx);
static ngx_int_t ngx_http_iclock_api_add_header(ngx_http_request_t *r,
    ngx_str_t *name, ngx_str_t *value);
static ngx_int_t ngx_http_iclock_api_copy_header(ngx_http_request_t *r,
    ngx_str_t *name, ngx_str_t *value);
static ngx_uint_t ngx_http_iclock_api_own_header(ngx_str_t *name);
static ngx_uint_t ngx_http_iclock_api_clean_header(ngx_str_t *name,
    ngx_str_t *value);


static ngx_http_iclock_api_method_t  ngx_http_iclock_api_names[] = {
    { NGX_HTTP_GET, ngx_string("GET") },
    { NGX_HTTP_HEAD, ngx_string("HEAD") },
    { NGX_HTTP_POST, ngx_string("POST") },
    { NGX_HTTP_PUT, ngx_string("PUT") },
    { NGX_HTTP_PATCH, ngx_string("PATCH") },
    { NGX_HTTP_DELETE, ngx_string("DELETE") },
    { 0, ngx_null_string }
};


ngx_int_t
ngx_http_iclock_api_send(ngx_http_request_t *r,
    ngx_http_iclock_api_ctx_t *ctx)
{
    ngx_int_t     rc;
    ngx_buf_t    *b;
    ngx_chain_t   out;

    b = ngx_calloc_buf(r->pool);
    if (b == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    rc = ngx_http_iclock_api_send_header(r, ctx, ctx->reply.len);

    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        return rc;
    }

    if (ctx->reply.len) {
        b->pos = ctx->reply.data;
        b->last = b->pos + ctx->reply.len;
        b->memory = 1;
    }

    b->last_buf = (r == r->main) ? 1 : 0;
    b->last_in_chain = 1;

    out.buf = b;
    out.next = NULL;

    return ngx_http_output_filter(r, &out);
}


ngx_int_t
ngx_http_iclock_api_send_header(ngx_http_request_t *r,
    ngx_http_iclock_api_ctx_t *ctx, off_t length)
{
    if (r->request_body == NULL
        && ngx_http_discard_request_body(r) != NGX_OK)
    {
        r->keepalive = 0;
    }

    if (ngx_http_iclock_api_headers(r, ctx) != NGX_OK) {
        return NGX_ERROR;
    }

    r->headers_out.status = ctx->status;
    r->headers_out.content_length_n = length;

    if (ctx->status == NGX_HTTP_NO_CONTENT) {
        r->header_only = 1;

    } else {
        r->headers_out.content_type = ctx->content_type;
        r->headers_out.content_type_len = ctx->content_type.len;
        r->headers_out.content_type_lowcase = NULL;
    }

    ngx_http_iclock_api_count_answer(r, ctx);

    ngx_log_debug2(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                   "iclock api reply: %ui, %O bytes", ctx->status, length);

    return ngx_http_send_header(r);
}


static ngx_int_t
ngx_http_iclock_api_headers(ngx_http_request_t *r,
    ngx_http_iclock_api_ctx_t *ctx)
{
    ngx_str_t  value;

    ngx_str_set(&value, "no-store");

    if (ngx_http_iclock_api_header(r, "Cache-Control", &value) != NGX_OK
        || ngx_http_iclock_api_header(r, "X-Request-Id", &ctx->request_id)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (ctx->applied) {
        value.data = ngx_pnalloc(r->pool, sizeof("wait=") + NGX_INT_T_LEN);
        if (value.data == NULL) {
            return NGX_ERROR;
        }

        value.len = ngx_sprintf(value.data, "wait=%ui", ctx->wait)
                    - value.data;

        if (ngx_http_iclock_api_header(r, "Preference-Applied", &value)
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return ctx->quota.limit ? ngx_http_iclock_api_quota_headers(r, ctx)
                            : NGX_OK;
}


static ngx_int_t
ngx_http_iclock_api_quota_headers(ngx_http_request_t *r,
    ngx_http_iclock_api_ctx_t *ctx)
{
    u_char     *p;
    ngx_str_t   policy, left;

    p = ngx_pnalloc(r->pool, 2 * sizeof("\"default\";q=;w=60")
                             + 3 * NGX_INT_T_LEN);
    if (p == NULL) {
        return NGX_ERROR;
    }

    policy.data = p;
    p = ngx_sprintf(p, "\"default\";q=%ui;w=60", ctx->quota.limit);
    policy.len = p - policy.data;

    left.data = p;
    p = ngx_sprintf(p, "\"default\";r=%ui;t=%ui", ctx->quota.left,
                    ctx->quota.reset);
    left.len = p - left.data;

    if (ngx_http_iclock_api_header(r, "RateLimit", &left) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_http_iclock_api_header(r, "RateLimit-Policy", &policy);
}


ngx_int_t
ngx_http_iclock_api_header(ngx_http_request_t *r, const char *name,
    ngx_str_t *value)
{
    ngx_str_t  key;

    key.data = (u_char *) name;
    key.len = ngx_strlen(name);

    return ngx_http_iclock_api_add_header(r, &key, value);
}


static ngx_int_t
ngx_http_iclock_api_add_header(ngx_http_request_t *r, ngx_str_t *name,
    ngx_str_t *value)
{
    ngx_table_elt_t  *h;

    h = ngx_list_push(&r->headers_out.headers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    h->hash = 1;
    h->key = *name;
    h->value = *value;
#if (nginx_version >= 1023000)
    h->next = NULL;
#endif

    return NGX_OK;
}


ngx_int_t
ngx_http_iclock_api_reply_headers(ngx_http_request_t *r,
    ngx_http_iclock_api_ctx_t *ctx, ngx_str_t *headers)
{
    u_char     *p;
    ngx_int_t   rc;
    ngx_str_t   name, raw, value;

    p = NULL;

    while (headers->data
           && ngx_http_iclock_api_json_next(headers, &p, &name, &raw)
              == NGX_OK)
    {
        rc = ngx_http_iclock_api_json_text(r->pool, &raw, &value);

        if (rc == NGX_ERROR) {
            return NGX_ERROR;
        }

        if (rc != NGX_OK || !ngx_http_iclock_api_clean_header(&name, &value)
            || ngx_http_iclock_api_own_header(&name))
        {
            ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                          "iclock: the database answered with a header that "
                          "cannot be sent");
            continue;
        }

        if (name.len == sizeof("Content-Type") - 1
            && ngx_strncasecmp(name.data, (u_char *) "Content-Type", name.len)
               == 0)
        {
            ctx->content_type = value;
            continue;
        }

        if (ngx_http_iclock_api_copy_header(r, &name, &value) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_iclock_api_copy_header(ngx_http_request_t *r, ngx_str_t *name,
    ngx_str_t *value)
{
    ngx_str_t  key;

    /* the name belongs to the query, which ends before the reply is sent */

    key.len = name->len;
    key.data = ngx_pstrdup(r->pool, name);

    if (key.data == NULL) {
        return NGX_ERROR;
    }

    return ngx_http_iclock_api_add_header(r, &key, value);
}


/* those that nginx writes, or that would change what the answer is */

static ngx_uint_t
ngx_http_iclock_api_own_header(ngx_str_t *name)
{
    ngx_uint_t  i;

    static const ngx_str_t  own[] = {
        ngx_string("Connection"),
        ngx_string("Content-Encoding"),
        ngx_string("Content-Length"),
        ngx_string("Date"),
        ngx_string("Keep-Alive"),
        ngx_string("Server"),
        ngx_string("Trailer"),
        ngx_string("Transfer-Encoding"),
        ngx_string("Upgrade"),
        ngx_string("X-Accel-Redirect"),
        ngx_null_string
    };

    for (i = 0; own[i].len; i++) {

        if (own[i].len == name->len
            && ngx_strncasecmp(own[i].data, name->data, name->len) == 0)
        {
            return 1;
        }
    }

    return 0;
}


static ngx_uint_t
ngx_http_iclock_api_clean_header(ngx_str_t *name, ngx_str_t *value)
{
    size_t  i;
    u_char  c;

    for (i = 0; i < name->len; i++) {
        c = name->data[i];

        if (c != '-' && (c < '0' || c > '9') && ((c | 0x20) < 'a'
                                                 || (c | 0x20) > 'z'))
        {
            return 0;
        }
    }

    for (i = 0; i < value->len; i++) {
        if (value->data[i] < 0x20 || value->data[i] == 0x7f) {
            return 0;
        }
    }

    return name->len != 0;
}


size_t
ngx_http_iclock_api_methods(u_char *p, ngx_uint_t methods)
{
    size_t                               len;
    const ngx_http_iclock_api_method_t  *m;

    len = 0;

    if (methods & NGX_HTTP_GET) {
        methods |= NGX_HTTP_HEAD;
    }

    for (m = ngx_http_iclock_api_names; m->method; m++) {

        if (!(methods & m->method)) {
            continue;
        }

        if (p) {
            p = ngx_cpymem(p, ", ", len ? 2 : 0);
            p = ngx_cpymem(p, m->name.data, m->name.len);
        }

        len += m->name.len + (len ? 2 : 0);
    }

    return len;
}


ngx_str_t *
ngx_http_iclock_api_method_name(ngx_uint_t method)
{
    ngx_http_iclock_api_method_t  *m;

    for (m = ngx_http_iclock_api_names; m->method; m++) {
        if (m->method == method) {
            break;
        }
    }

    return &m->name;
}
