
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


#include "ngx_http_iclock_api_json.h"


static u_char *ngx_http_iclock_api_text_room(ngx_http_iclock_api_text_t *out,
    size_t len);


void
ngx_http_iclock_api_text_init(ngx_http_iclock_api_text_t *out,
    ngx_pool_t *pool, size_t size)
{
    out->pool = pool;
    out->size = size;
    out->failed = 0;
    out->text.len = 0;

    out->text.data = ngx_pnalloc(pool, size);

    if (out->text.data == NULL) {
        out->failed = 1;
        out->size = 0;
    }
}


/* bytes that are to be written behind the text; NULL: no memory */

static u_char *
ngx_http_iclock_api_text_room(ngx_http_iclock_api_text_t *out, size_t len)
{
    u_char  *data;
    size_t   size;

    if (out->failed) {
        return NULL;
    }

    if (out->size - out->text.len >= len) {
        return out->text.data + out->text.len;
    }

    size = ngx_max(2 * out->size, out->text.len + len);

    data = ngx_pnalloc(out->pool, size);
    if (data == NULL) {
        out->failed = 1;
        return NULL;
    }

    ngx_memcpy(data, out->text.data, out->text.len);
    ngx_pfree(out->pool, out->text.data);

    out->text.data = data;
    out->size = size;

    return data + out->text.len;
}


void
ngx_http_iclock_api_text_add(ngx_http_iclock_api_text_t *out, u_char *data,
    size_t len)
{
    u_char  *p;

    p = ngx_http_iclock_api_text_room(out, len);

    if (p && len) {
        ngx_memcpy(p, data, len);
        out->text.len += len;
    }
}


void
ngx_http_iclock_api_text_raw(ngx_http_iclock_api_text_t *out,
    const char *json)
{
    ngx_http_iclock_api_text_add(out, (u_char *) json, ngx_strlen(json));
}


void
ngx_http_iclock_api_text_str(ngx_http_iclock_api_text_t *out, ngx_str_t *json)
{
    ngx_http_iclock_api_text_add(out, json->data, json->len);
}


void
ngx_http_iclock_api_text_string(ngx_http_iclock_api_text_t *out,
    ngx_str_t *text)
{
    u_char  *p;
    size_t   len;

    if (text->data == NULL) {
        ngx_http_iclock_api_text_raw(out, "null");
        return;
    }

    len = text->len + ngx_escape_json(NULL, text->data, text->len);

    p = ngx_http_iclock_api_text_room(out, len + 2);
    if (p == NULL) {
        return;
    }

    *p++ = '"';
    p = (u_char *) ngx_escape_json(p, text->data, text->len);
    *p = '"';

    out->text.len += len + 2;
}


void
ngx_http_iclock_api_text_member(ngx_http_iclock_api_text_t *out,
    const char *name, ngx_str_t *text)
{
    ngx_http_iclock_api_text_raw(out, ",\"");
    ngx_http_iclock_api_text_raw(out, name);
    ngx_http_iclock_api_text_raw(out, "\":");
    ngx_http_iclock_api_text_string(out, text);
}


void
ngx_http_iclock_api_text_number(ngx_http_iclock_api_text_t *out,
    const char *name, ngx_int_t n)
{
    u_char  *p, buf[NGX_INT_T_LEN];

    p = ngx_sprintf(buf, "%i", n);

    ngx_http_iclock_api_text_raw(out, ",\"");
    ngx_http_iclock_api_text_raw(out, name);
    ngx_http_iclock_api_text_raw(out, "\":");
    ngx_http_iclock_api_text_add(out, buf, p - buf);
}
