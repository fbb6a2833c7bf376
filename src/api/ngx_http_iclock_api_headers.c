
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


/*
 * What headers and parameters of a request say.
 */


#include "ngx_http_iclock_api_gate.h"


static ngx_int_t ngx_http_iclock_api_add_param(ngx_http_request_t *r,
    ngx_array_t *query, u_char *p, u_char *last, const char **error);
static ngx_int_t ngx_http_iclock_api_decode(ngx_http_request_t *r, u_char *p,
    u_char *last, ngx_str_t *text);
static u_char *ngx_http_iclock_api_unquote(u_char *dst, u_char *p,
    u_char *last);
static ngx_uint_t ngx_http_iclock_api_wait_value(u_char *p, u_char *last);


ngx_uint_t
ngx_http_iclock_api_is(const ngx_str_t *text, const char *is)
{
    return text->len == ngx_strlen(is)
           && ngx_strncmp(text->data, is, text->len) == 0;
}


ngx_table_elt_t *
ngx_http_iclock_api_find_header(ngx_http_request_t *r, ngx_str_t *name)
{
    ngx_uint_t        i;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    for (part = &r->headers_in.headers.part; part; part = part->next) {

        h = part->elts;

        for (i = 0; i < part->nelts; i++) {

            if (h[i].key.len == name->len
                && ngx_strncasecmp(h[i].key.data, name->data, name->len) == 0)
            {
                return &h[i];
            }
        }
    }

    return NULL;
}


ngx_int_t
ngx_http_iclock_api_query_params(ngx_http_request_t *r, ngx_array_t *query,
    const char **error)
{
    u_char     *p, *end, *last;
    ngx_int_t   rc;

    if (ngx_array_init(query, r->pool, 4, sizeof(ngx_keyval_t)) != NGX_OK) {
        return NGX_ERROR;
    }

    last = r->args.data + r->args.len;

    for (p = r->args.data; p < last; p = end + 1) {

        end = ngx_strlchr(p, last, '&');
        end = end ? end : last;

        if (end == p) {
            continue;
        }

        rc = ngx_http_iclock_api_add_param(r, query, p, end, error);

        if (rc != NGX_OK) {
            return rc;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_iclock_api_add_param(ngx_http_request_t *r, ngx_array_t *query,
    u_char *p, u_char *last, const char **error)
{
    u_char        *equals;
    ngx_int_t      rc;
    ngx_str_t      name, value;
    ngx_uint_t     i;
    ngx_keyval_t  *param;

    equals = ngx_strlchr(p, last, '=');

    rc = ngx_http_iclock_api_decode(r, p, equals ? equals : last, &name);

    if (rc == NGX_OK) {
        rc = ngx_http_iclock_api_decode(r, equals ? equals + 1 : last, last,
                                        &value);
    }

    if (rc != NGX_OK) {
        *error = "a parameter is not UTF-8 without NUL";
        return rc;
    }

    param = query->elts;

    for (i = 0; i < query->nelts; i++) {

        if (param[i].key.len == name.len
            && ngx_strncmp(param[i].key.data, name.data, name.len) == 0)
        {
            *error = "a parameter is there twice";
            return NGX_DECLINED;
        }
    }

    if (query->nelts == NGX_HTTP_ICLOCK_API_PARAMS) {
        *error = "there are too many parameters";
        return NGX_DECLINED;
    }

    param = ngx_array_push(query);
    if (param == NULL) {
        return NGX_ERROR;
    }

    param->key = name;
    param->value = value;

    return NGX_OK;
}


/* as forms write it: "+" is a blank */

static ngx_int_t
ngx_http_iclock_api_decode(ngx_http_request_t *r, u_char *p, u_char *last,
    ngx_str_t *text)
{
    u_char     *dst;
    ngx_int_t   n;

    text->data = ngx_pnalloc(r->pool, last - p + 1);
    if (text->data == NULL) {
        return NGX_ERROR;
    }

    for (dst = text->data; p < last; p++) {

        if (*p == '+') {
            *dst++ = ' ';
            continue;
        }

        if (*p != '%') {
            *dst++ = *p;
            continue;
        }

        n = (last - p > 2) ? ngx_hextoi(p + 1, 2) : NGX_ERROR;

        if (n == NGX_ERROR) {
            return NGX_DECLINED;
        }

        *dst++ = (u_char) n;
        p += 2;
    }

    text->len = dst - text->data;

    return ngx_iclock_valid_text(text) ? NGX_OK : NGX_DECLINED;
}


ngx_str_t *
ngx_http_iclock_api_param(ngx_http_iclock_api_ctx_t *ctx, const char *name)
{
    ngx_uint_t     i;
    ngx_keyval_t  *param;

    param = ctx->query.elts;

    for (i = 0; i < ctx->query.nelts; i++) {
        if (ngx_http_iclock_api_is(&param[i].key, name)) {
            return &param[i].value;
        }
    }

    return NULL;
}


const char *
ngx_http_iclock_api_cursor_name(ngx_http_iclock_api_ctx_t *ctx)
{
    return (ctx->route->flags & NGX_HTTP_ICLOCK_API_POLL) ? "after"
                                                          : "cursor";
}


ngx_uint_t
ngx_http_iclock_api_is_cursor(ngx_http_iclock_api_ctx_t *ctx,
    const ngx_str_t *name)
{
    return ngx_http_iclock_api_is(name, ngx_http_iclock_api_cursor_name(ctx))
           || ngx_http_iclock_api_is(name, "cursor");
}


/* a string of RFC 8941, in quotes, or what is in them alone */

ngx_int_t
ngx_http_iclock_api_idempotency_key(ngx_http_request_t *r,
    ngx_http_iclock_api_ctx_t *ctx)
{
    size_t            i;
    u_char           *last;
    ngx_str_t        *value, *key;
    ngx_table_elt_t  *h;

    static ngx_str_t  name = ngx_string("Idempotency-Key");

    h = ngx_http_iclock_api_find_header(r, &name);

    if (h == NULL) {
        return NGX_OK;
    }

    value = &h->value;
    key = &ctx->idempotency;

    key->data = ngx_pnalloc(r->pool, value->len + 1);
    if (key->data == NULL) {
        return NGX_ERROR;
    }

    if (value->len && value->data[0] == '"') {
        last = ngx_http_iclock_api_unquote(key->data, value->data + 1,
                                           value->data + value->len);
        if (last == NULL) {
            return NGX_DECLINED;
        }

    } else {
        last = ngx_cpymem(key->data, value->data, value->len);
    }

    key->len = last - key->data;

    if (key->len == 0 || key->len > NGX_HTTP_ICLOCK_API_IDEMPOTENCY) {
        return NGX_DECLINED;
    }

    for (i = 0; i < key->len; i++) {
        if (key->data[i] < 0x20 || key->data[i] > 0x7e) {
            return NGX_DECLINED;
        }
    }

    return NGX_OK;
}


static u_char *
ngx_http_iclock_api_unquote(u_char *dst, u_char *p, u_char *last)
{
    for ( /* void */ ; p < last; p++) {

        if (*p == '"') {
            return (p + 1 == last) ? dst : NULL;
        }

        if (*p == '\\' && ++p == last) {
            return NULL;
        }

        *dst++ = *p;
    }

    return NULL;
}


ngx_uint_t
ngx_http_iclock_api_prefer_wait(ngx_http_request_t *r)
{
    u_char           *p, *last;
    ngx_uint_t        n;
    ngx_table_elt_t  *h;

    static ngx_str_t  name = ngx_string("Prefer");

    h = ngx_http_iclock_api_find_header(r, &name);

    if (h == NULL) {
        return 0;
    }

    last = h->value.data + h->value.len;

    for (p = h->value.data; p < last; p++) {

        while (p < last && (*p == ' ' || *p == ',')) {
            p++;
        }

        n = ngx_http_iclock_api_wait_value(p, last);

        if (n) {
            return ngx_min(n, NGX_HTTP_ICLOCK_API_WAIT);
        }

        p = ngx_strlchr(p, last, ',');

        if (p == NULL) {
            break;
        }
    }

    return 0;
}


/* 0: it is another preference, or none that means something */

static ngx_uint_t
ngx_http_iclock_api_wait_value(u_char *p, u_char *last)
{
    ngx_uint_t  n, digits;

    if (last - p < 6 || ngx_strncasecmp(p, (u_char *) "wait", 4) != 0) {
        return 0;
    }

    p += 4;

    while (p < last && (*p == ' ' || *p == '=' || *p == '"')) {
        p++;
    }

    n = 0;

    for (digits = 0; p < last && *p >= '0' && *p <= '9' && digits < 6; p++) {
        n = n * 10 + (*p - '0');
        digits++;
    }

    return n;
}


ngx_int_t
ngx_http_iclock_api_fingerprint(ngx_http_request_t *r,
    ngx_http_iclock_api_ctx_t *ctx)
{
    u_char  hash[NGX_HTTP_ICLOCK_API_DIGEST];

    if (ngx_http_iclock_api_sha256(hash, &r->method_name, &r->unparsed_uri,
                                   &ctx->body)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    ctx->fingerprint.len = 64;
    ctx->fingerprint.data = ngx_pnalloc(r->pool, 64);

    if (ctx->fingerprint.data == NULL) {
        return NGX_ERROR;
    }

    ngx_hex_dump(ctx->fingerprint.data, hash, 32);

    return NGX_OK;
}
