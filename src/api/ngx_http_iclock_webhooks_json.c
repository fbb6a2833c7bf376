
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


#include "ngx_http_iclock_webhooks.h"


typedef struct {
    u_char                     *p;
    u_char                     *last;
    ngx_pool_t                 *pool;
} ngx_http_iclock_reader_t;


static ngx_int_t ngx_http_iclock_read_token(ngx_http_iclock_reader_t *r,
    u_char token);
static ngx_int_t ngx_http_iclock_read_text(ngx_http_iclock_reader_t *r,
    ngx_str_t *text);
static u_char *ngx_http_iclock_read_escape(ngx_http_iclock_reader_t *r,
    u_char *out);
static u_char *ngx_http_iclock_write_utf8(u_char *out, ngx_uint_t c);


ngx_array_t *
ngx_http_iclock_webhook_headers(ngx_str_t *json, ngx_pool_t *pool)
{
    ngx_array_t               *headers;
    ngx_keyval_t              *header;
    ngx_http_iclock_reader_t   r;

    r.p = json->data;
    r.last = json->data + json->len;
    r.pool = pool;

    headers = ngx_array_create(pool, 4, sizeof(ngx_keyval_t));

    if (headers == NULL || ngx_http_iclock_read_token(&r, '{') != NGX_OK) {
        return NULL;
    }

    if (ngx_http_iclock_read_token(&r, '}') == NGX_OK) {
        return headers;
    }

    do {
        header = ngx_array_push(headers);

        if (header == NULL
            || ngx_http_iclock_read_text(&r, &header->key) != NGX_OK
            || ngx_http_iclock_read_token(&r, ':') != NGX_OK
            || ngx_http_iclock_read_text(&r, &header->value) != NGX_OK)
        {
            return NULL;
        }
    } while (ngx_http_iclock_read_token(&r, ',') == NGX_OK);

    return (ngx_http_iclock_read_token(&r, '}') == NGX_OK) ? headers : NULL;
}


static ngx_int_t
ngx_http_iclock_read_token(ngx_http_iclock_reader_t *r, u_char token)
{
    while (r->p < r->last && *r->p <= ' ') {
        r->p++;
    }

    if (r->p == r->last || *r->p != token) {
        return NGX_DECLINED;
    }

    r->p++;

    return NGX_OK;
}


static ngx_int_t
ngx_http_iclock_read_text(ngx_http_iclock_reader_t *r, ngx_str_t *text)
{
    u_char  *out;

    if (ngx_http_iclock_read_token(r, '"') != NGX_OK) {
        return NGX_ERROR;
    }

    /* what is escaped gets shorter */

    out = ngx_pnalloc(r->pool, r->last - r->p + 1);
    if (out == NULL) {
        return NGX_ERROR;
    }

    text->data = out;

    while (r->p < r->last && *r->p != '"') {

        if (*r->p != '\\') {
            *out++ = *r->p++;
            continue;
        }

        out = ngx_http_iclock_read_escape(r, out);
        if (out == NULL) {
            return NGX_ERROR;
        }
    }

    text->len = out - text->data;

    return (ngx_http_iclock_read_token(r, '"') == NGX_OK) ? NGX_OK : NGX_ERROR;
}


/* pairs of surrogates are no part of a header that anybody wants */

static u_char *
ngx_http_iclock_read_escape(ngx_http_iclock_reader_t *r, u_char *out)
{
    u_char     c;
    ngx_int_t  n;

    if (r->last - r->p < 2) {
        return NULL;
    }

    c = r->p[1];
    r->p += 2;

    switch (c) {

    case 'b':
        *out++ = '\b';
        return out;

    case 'f':
        *out++ = '\f';
        return out;

    case 'n':
        *out++ = '\n';
        return out;

    case 'r':
        *out++ = '\r';
        return out;

    case 't':
        *out++ = '\t';
        return out;

    case 'u':
        break;

    default:
        *out++ = c;
        return out;
    }

    n = (r->last - r->p < 4) ? NGX_ERROR : ngx_hextoi(r->p, 4);

    if (n == NGX_ERROR) {
        return NULL;
    }

    r->p += 4;

    return ngx_http_iclock_write_utf8(out, n);
}


static u_char *
ngx_http_iclock_write_utf8(u_char *out, ngx_uint_t c)
{
    if (c < 0x80) {
        *out++ = (u_char) c;
        return out;
    }

    if (c < 0x800) {
        *out++ = (u_char) (0xc0 | (c >> 6));
        *out++ = (u_char) (0x80 | (c & 0x3f));
        return out;
    }

    *out++ = (u_char) (0xe0 | (c >> 12));
    *out++ = (u_char) (0x80 | ((c >> 6) & 0x3f));
    *out++ = (u_char) (0x80 | (c & 0x3f));

    return out;
}
