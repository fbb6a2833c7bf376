
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


#include "ngx_http_iclock_console.h"
#include "iclock_hook.h"

#include <ngx_crc32.h>
#include <ngx_md5.h>

#include "ngx_http_iclock_console_page.h"


static ngx_int_t ngx_http_iclock_console_settings(ngx_conf_t *cf,
    ngx_http_iclock_console_loc_conf_t *conf);
static u_char *ngx_http_iclock_console_meta(u_char *p, const char *name,
    ngx_str_t *content);
static ngx_int_t ngx_http_iclock_console_deflate(ngx_conf_t *cf,
    ngx_http_iclock_console_loc_conf_t *conf);
static ngx_int_t ngx_http_iclock_console_etags(ngx_conf_t *cf,
    ngx_http_iclock_console_loc_conf_t *conf);
static u_char *ngx_http_iclock_console_number(u_char *p, uint32_t n,
    ngx_uint_t bytes);


#define NGX_HTTP_ICLOCK_CONSOLE_GZIP    10
#define NGX_HTTP_ICLOCK_CONSOLE_STORED  5


ngx_str_t  ngx_http_iclock_console_policy = ngx_string(
    "default-src 'none'; script-src '" NGX_HTTP_ICLOCK_CONSOLE_SCRIPT "'; "
    "style-src '" NGX_HTTP_ICLOCK_CONSOLE_STYLE "'; img-src data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'; require-trusted-types-for 'script'; "
    "trusted-types 'none'");


ngx_int_t
ngx_http_iclock_console_build(ngx_conf_t *cf,
    ngx_http_iclock_console_loc_conf_t *conf)
{
    if (ngx_http_iclock_console_settings(cf, conf) != NGX_OK
        || ngx_http_iclock_console_deflate(cf, conf) != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_iclock_console_etags(cf, conf);
}


/* outside of script and style, whose hashes the policy has */

static ngx_int_t
ngx_http_iclock_console_settings(ngx_conf_t *cf,
    ngx_http_iclock_console_loc_conf_t *conf)
{
    u_char     *p;
    size_t      len;
    ngx_str_t   version;

    ngx_str_set(&version, NGX_ICLOCK_HOOK_VERSION);

    /* an escaped character takes at most 6 bytes */

    len = 6 * (conf->api.len + conf->terminals.len + version.len)
          + 3 * sizeof("<meta name=\"iclock-terminals\" content=\"\">\n");

    p = ngx_pnalloc(cf->pool, len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    conf->settings.data = p;

    p = ngx_http_iclock_console_meta(p, "api", &conf->api);
    p = ngx_http_iclock_console_meta(p, "terminals", &conf->terminals);
    p = ngx_http_iclock_console_meta(p, "version", &version);

    conf->settings.len = p - conf->settings.data;

    return NGX_OK;
}


static u_char *
ngx_http_iclock_console_meta(u_char *p, const char *name, ngx_str_t *content)
{
    p = ngx_sprintf(p, "<meta name=\"iclock-%s\" content=\"", name);
    p = (u_char *) ngx_escape_html(p, content->data, content->len);

    return ngx_cpymem(p, "\">\n", 3);
}


/*
 * The larger part was deflated when nginx was built.  Before it stands what
 * differs between locations, as a block that is stored as it is: so nothing
 * has to be compressed, and no zlib be linked.
 */

static ngx_int_t
ngx_http_iclock_console_deflate(ngx_conf_t *cf,
    ngx_http_iclock_console_loc_conf_t *conf)
{
    u_char    *p;
    size_t     stored;
    uint32_t   crc;

    static u_char  header[NGX_HTTP_ICLOCK_CONSOLE_GZIP] =
        { 0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 2, 3 };

    stored = sizeof(ngx_http_iclock_console_head) + conf->settings.len;

    p = ngx_pnalloc(cf->pool, NGX_HTTP_ICLOCK_CONSOLE_GZIP
                              + NGX_HTTP_ICLOCK_CONSOLE_STORED + stored);
    if (p == NULL) {
        return NGX_ERROR;
    }

    conf->lead.data = p;

    /* a block that is neither the last one nor compressed, and its length */

    p = ngx_cpymem(p, header, NGX_HTTP_ICLOCK_CONSOLE_GZIP);
    *p++ = 0;
    p = ngx_http_iclock_console_number(p, stored, 2);
    p = ngx_http_iclock_console_number(p, ~stored, 2);
    p = ngx_cpymem(p, ngx_http_iclock_console_head,
                   sizeof(ngx_http_iclock_console_head));
    p = ngx_cpymem(p, conf->settings.data, conf->settings.len);

    conf->lead.len = p - conf->lead.data;

    ngx_crc32_init(crc);
    ngx_crc32_update(&crc, p - stored, stored);
    ngx_crc32_update(&crc, (u_char *) ngx_http_iclock_console_rest,
                     sizeof(ngx_http_iclock_console_rest));
    ngx_crc32_final(crc);

    p = ngx_http_iclock_console_number(conf->trailer, crc, 4);
    (void) ngx_http_iclock_console_number(p,
               stored + sizeof(ngx_http_iclock_console_rest), 4);

    return NGX_OK;
}


static u_char *
ngx_http_iclock_console_number(u_char *p, uint32_t n, ngx_uint_t bytes)
{
    while (bytes--) {
        *p++ = (u_char) n;
        n >>= 8;
    }

    return p;
}


/* the two ways to send it have different bytes, so their tags differ */

static ngx_int_t
ngx_http_iclock_console_etags(ngx_conf_t *cf,
    ngx_http_iclock_console_loc_conf_t *conf)
{
    u_char     *p, hash[16];
    ngx_md5_t   md5;

    ngx_md5_init(&md5);
    ngx_md5_update(&md5, ngx_http_iclock_console_head,
                   sizeof(ngx_http_iclock_console_head));
    ngx_md5_update(&md5, conf->settings.data, conf->settings.len);
    ngx_md5_update(&md5, ngx_http_iclock_console_rest,
                   sizeof(ngx_http_iclock_console_rest));
    ngx_md5_final(hash, &md5);

    p = ngx_pnalloc(cf->pool, 2 * (32 + sizeof("\"\"") + sizeof("-gzip")));
    if (p == NULL) {
        return NGX_ERROR;
    }

    conf->plain_etag.data = p;
    *p++ = '"';
    p = ngx_hex_dump(p, hash, 16);
    *p++ = '"';
    conf->plain_etag.len = p - conf->plain_etag.data;

    conf->gzip_etag.data = p;
    p = ngx_cpymem(p, conf->plain_etag.data, conf->plain_etag.len - 1);
    p = ngx_cpymem(p, "-gzip\"", sizeof("-gzip\"") - 1);
    conf->gzip_etag.len = p - conf->gzip_etag.data;

    return NGX_OK;
}


ngx_int_t
ngx_http_iclock_console_send(ngx_http_request_t *r,
    ngx_http_iclock_console_loc_conf_t *conf, ngx_uint_t gzip)
{
    ngx_int_t     rc;
    ngx_str_t     part[3];
    ngx_buf_t    *b;
    ngx_uint_t    i;
    ngx_chain_t   out[3];

    if (gzip) {
        part[0] = conf->lead;
        part[1].data = (u_char *) ngx_http_iclock_console_deflated;
        part[1].len = sizeof(ngx_http_iclock_console_deflated);
        part[2].data = conf->trailer;
        part[2].len = NGX_HTTP_ICLOCK_CONSOLE_TRAILER;

    } else {
        part[0].data = (u_char *) ngx_http_iclock_console_head;
        part[0].len = sizeof(ngx_http_iclock_console_head);
        part[1] = conf->settings;
        part[2].data = (u_char *) ngx_http_iclock_console_rest;
        part[2].len = sizeof(ngx_http_iclock_console_rest);
    }

    r->headers_out.content_length_n = part[0].len + part[1].len + part[2].len;

    rc = ngx_http_send_header(r);

    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        return rc;
    }

    for (i = 0; i < 3; i++) {

        b = ngx_calloc_buf(r->pool);
        if (b == NULL) {
            return NGX_ERROR;
        }

        b->pos = part[i].data;
        b->last = part[i].data + part[i].len;
        b->memory = 1;

        out[i].buf = b;
        out[i].next = &out[i + 1];
    }

    out[2].buf->last_buf = (r == r->main) ? 1 : 0;
    out[2].buf->last_in_chain = 1;
    out[2].next = NULL;

    return ngx_http_output_filter(r, out);
}
