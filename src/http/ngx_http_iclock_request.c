
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


#include "ngx_http_iclock.h"


static ngx_int_t ngx_http_iclock_check_serial(ngx_http_request_t *r,
    ngx_http_iclock_ctx_t *ctx);
static ngx_int_t ngx_http_iclock_usual_serial(ngx_str_t *sn);


ngx_int_t
ngx_http_iclock_handler(ngx_http_request_t *r)
{
    ngx_int_t                          rc;
    ngx_str_t                          path;
    ngx_http_iclock_ctx_t             *ctx;
    ngx_http_iclock_main_conf_t       *imcf;
    const ngx_http_iclock_endpoint_t  *endpoint;

    imcf = ngx_http_get_module_main_conf(r, ngx_http_iclock_module);

    if (imcf->store == NULL) {
        /* only workers have a store */
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    endpoint = ngx_http_iclock_find_endpoint(r, &path);

    if (endpoint == NULL) {
        ngx_log_debug1(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                       "iclock endpoint: none at \"%V\"", &r->uri);
        ngx_iclock_count_by(REFUSALS, NGX_ICLOCK_L_REFUSAL_PATH, 1);
        return NGX_HTTP_NOT_FOUND;
    }

    if (!(r->method & endpoint->methods)) {
        ngx_iclock_count_by(REFUSALS, NGX_ICLOCK_L_REFUSAL_METHOD, 1);
        return (endpoint->flags & NGX_HTTP_ICLOCK_ABSENT)
               ? NGX_HTTP_NOT_FOUND : NGX_HTTP_NOT_ALLOWED;
    }

    ctx = ngx_pcalloc(r->pool, sizeof(ngx_http_iclock_ctx_t));
    if (ctx == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ctx->endpoint = endpoint;
    ctx->flags = endpoint->flags;
    ctx->path = path;
    ngx_http_set_ctx(r, ctx, ngx_http_iclock_module);

    if (ngx_http_iclock_parse_args(r, &ctx->args) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    rc = ngx_http_iclock_check_serial(r, ctx);

    ngx_log_debug3(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                   "iclock endpoint \"%V\", device \"%V\", serial: %i",
                   &endpoint->label, &ctx->args.sn, rc);

    if (rc != NGX_OK && !(endpoint->flags & NGX_HTTP_ICLOCK_ANONYMOUS)) {
        ngx_iclock_count_by(REFUSALS, NGX_ICLOCK_L_REFUSAL_SERIAL, 1);
        return (endpoint->flags & NGX_HTTP_ICLOCK_ABSENT)
               ? NGX_HTTP_NOT_FOUND : rc;
    }

    return endpoint->handler(r, ctx);
}


static ngx_int_t
ngx_http_iclock_check_serial(ngx_http_request_t *r,
    ngx_http_iclock_ctx_t *ctx)
{
    ngx_int_t                    rc;
    ngx_http_iclock_loc_conf_t  *ilcf;

    ilcf = ngx_http_get_module_loc_conf(r, ngx_http_iclock_module);

    if (ctx->args.sn.len == 0 || ctx->args.sn.len > NGX_HTTP_ICLOCK_MAX_SN) {
        return NGX_HTTP_BAD_REQUEST;
    }

    rc = ilcf->serial_pattern
         ? ngx_http_regex_exec(r, ilcf->serial_pattern, &ctx->args.sn)
         : ngx_http_iclock_usual_serial(&ctx->args.sn);

    if (rc == NGX_ERROR) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (rc == NGX_DECLINED) {
        return NGX_HTTP_BAD_REQUEST;
    }

    ctx->sn_valid = 1;

    return NGX_OK;
}


/* "^[A-Za-z0-9_-]{4,32}$", for each request, without PCRE */

static ngx_int_t
ngx_http_iclock_usual_serial(ngx_str_t *sn)
{
    u_char  c;
    size_t  i;

    static const uint32_t  usual[] = {
        0x00000000, /* 0000 0000 0000 0000  0000 0000 0000 0000 */

                    /* ?>=< ;:98 7654 3210  /.-, +*)( '&%$ #"!  */
        0x03ff2000, /* 0000 0011 1111 1111  0010 0000 0000 0000 */

                    /* _^]\ [ZYX WVUT SRQP  ONML KJIH GFED CBA@ */
        0x87fffffe, /* 1000 0111 1111 1111  1111 1111 1111 1110 */

                    /*  ~}| {zyx wvut srqp  onml kjih gfed cba` */
        0x07fffffe, /* 0000 0111 1111 1111  1111 1111 1111 1110 */
        0x00000000, 0x00000000, 0x00000000, 0x00000000
    };

    if (sn->len < 4 || sn->len > 32) {
        return NGX_DECLINED;
    }

    for (i = 0; i < sn->len; i++) {
        c = sn->data[i];

        if (!(usual[c >> 5] & (1U << (c & 0x1f)))) {
            return NGX_DECLINED;
        }
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_iclock_unavailable(ngx_http_request_t *r)
{
    ngx_http_iclock_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_iclock_module);

    ngx_iclock_count_by(REFUSALS, ctx->unavailable, 1);

    return ngx_http_iclock_retry_later(r);
}


ngx_int_t
ngx_http_iclock_retry_later(ngx_http_request_t *r)
{
    ngx_table_elt_t             *h;
    ngx_http_iclock_loc_conf_t  *ilcf;

    ilcf = ngx_http_get_module_loc_conf(r, ngx_http_iclock_module);

    h = ngx_list_push(&r->headers_out.headers);
    if (h == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    h->hash = 1;
    ngx_str_set(&h->key, "Retry-After");

    h->value.data = ngx_pnalloc(r->pool, NGX_INT_T_LEN);
    if (h->value.data == NULL) {
        h->hash = 0;
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    h->value.len = ngx_sprintf(h->value.data, "%ui", ilcf->error_delay)
                   - h->value.data;

    ngx_log_debug1(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                   "iclock reply: 503, again in %ui s", ilcf->error_delay);

#if (nginx_version >= 1023000)
    h->next = NULL;
#endif

    return NGX_HTTP_SERVICE_UNAVAILABLE;
}


ngx_int_t
ngx_http_iclock_reply(ngx_http_request_t *r, ngx_str_t *text)
{
    ngx_http_complex_value_t  cv;

    static ngx_str_t  type = ngx_string("text/plain");

#if (NGX_HTTP_GZIP)
    /* devices read no compressed replies, whatever they accept */
    r->gzip_tested = 1;
    r->gzip_ok = 0;
#endif

    ngx_memzero(&cv, sizeof(ngx_http_complex_value_t));
    cv.value = *text;

    ngx_log_debug1(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                   "iclock reply: 200, %uz bytes", text->len);

    return ngx_http_send_response(r, NGX_HTTP_OK, &type, &cv);
}


ngx_int_t
ngx_http_iclock_reply_ok(ngx_http_request_t *r)
{
    static ngx_str_t  ok = ngx_string("OK");

    return ngx_http_iclock_reply(r, &ok);
}
