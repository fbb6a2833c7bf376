
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


/*
 * What needs no database: what this is, whether it works, and what browsers
 * ask before they ask.
 */


#include "ngx_http_iclock_api_gate.h"


static ngx_int_t ngx_http_iclock_api_preflight(ngx_http_request_t *r,
    ngx_http_iclock_api_ctx_t *ctx);
static ngx_uint_t ngx_http_iclock_api_known_origin(ngx_http_request_t *r,
    ngx_str_t *origin);


ngx_int_t
ngx_http_iclock_api_service(ngx_http_request_t *r,
    ngx_http_iclock_api_ctx_t *ctx)
{
    u_char    *p;
    ngx_tm_t   tm;

    p = ngx_pnalloc(r->pool, 160);
    if (p == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_gmtime(ngx_time(), &tm);

    ctx->reply.data = p;
    ctx->reply.len = ngx_sprintf(p, "{\"service\":\"iclock\","
                                 "\"version\":\"%s\",\"time\":"
                                 "\"%04d-%02d-%02dT%02d:%02d:%02dZ\"}",
                                 NGX_HTTP_ICLOCK_API_VERSION,
                                 tm.ngx_tm_year, tm.ngx_tm_mon,
                                 tm.ngx_tm_mday, tm.ngx_tm_hour,
                                 tm.ngx_tm_min, tm.ngx_tm_sec)
                     - p;

    return ngx_http_iclock_api_send_json(r, ctx, NGX_HTTP_OK);
}


/* for load balancers: asked often, and no SQL */

ngx_int_t
ngx_http_iclock_api_health(ngx_http_request_t *r,
    ngx_http_iclock_api_ctx_t *ctx)
{
    u_char                           *p;
    ngx_uint_t                        database;
    ngx_http_iclock_api_main_conf_t  *amcf;

    amcf = ngx_http_get_module_main_conf(r, ngx_http_iclock_api_module);

    p = ngx_pnalloc(r->pool, 80);
    if (p == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    database = ngx_iclock_query_connected(amcf->queries)
               && !amcf->zone->sh->refused;

    ctx->reply.data = p;
    ctx->reply.len = ngx_sprintf(p, "{\"database\":%s,\"listening\":%s,"
                                 "\"webhooks\":%s}",
                                 database ? "true" : "false",
                                 amcf->zone->sh->listening ? "true" : "false",
                                 amcf->webhooks ? "true" : "false")
                     - p;

    return ngx_http_iclock_api_send_json(r, ctx, database
                                         ? NGX_HTTP_OK
                                         : NGX_HTTP_SERVICE_UNAVAILABLE);
}


ngx_int_t
ngx_http_iclock_api_send_json(ngx_http_request_t *r,
    ngx_http_iclock_api_ctx_t *ctx, ngx_uint_t status)
{
    ngx_str_t  soon;

    if (status == NGX_HTTP_SERVICE_UNAVAILABLE) {
        ngx_str_set(&soon, "1");

        if (ngx_http_iclock_api_header(r, "Retry-After", &soon) != NGX_OK) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }
    }

    ctx->status = status;
    ngx_str_set(&ctx->content_type, "application/json");

    return ngx_http_iclock_api_send(r, ctx);
}


/* what browsers are told about pages of other servers */

ngx_int_t
ngx_http_iclock_api_cross_origin(ngx_http_request_t *r,
    ngx_http_iclock_api_ctx_t *ctx)
{
    ngx_str_t                        vary, exposed;
    ngx_table_elt_t                 *h;
    ngx_http_iclock_api_loc_conf_t  *alcf;

    static ngx_str_t  name = ngx_string("Origin");

    alcf = ngx_http_get_module_loc_conf(r, ngx_http_iclock_api_module);

    if (alcf->cors == NULL) {
        return NGX_DECLINED;
    }

    ngx_str_set(&vary, "Origin");

    if (ngx_http_iclock_api_header(r, "Vary", &vary) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    h = ngx_http_iclock_api_find_header(r, &name);

    if (h == NULL || !ngx_http_iclock_api_known_origin(r, &h->value)) {
        return NGX_DECLINED;
    }

    ngx_str_set(&exposed, "Link, Location, RateLimit, RateLimit-Policy, "
                "Retry-After, X-Request-Id, Idempotency-Replayed, "
                "Preference-Applied");

    if (ngx_http_iclock_api_header(r, "Access-Control-Allow-Origin",
                                   &h->value)
        != NGX_OK
        || ngx_http_iclock_api_header(r, "Access-Control-Expose-Headers",
                                      &exposed)
           != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return (r->method == NGX_HTTP_OPTIONS)
           ? ngx_http_iclock_api_preflight(r, ctx) : NGX_DECLINED;
}


static ngx_uint_t
ngx_http_iclock_api_known_origin(ngx_http_request_t *r, ngx_str_t *origin)
{
    ngx_str_t                       *known;
    ngx_uint_t                       i;
    ngx_http_iclock_api_loc_conf_t  *alcf;

    alcf = ngx_http_get_module_loc_conf(r, ngx_http_iclock_api_module);

    known = alcf->cors->elts;

    for (i = 0; i < alcf->cors->nelts; i++) {

        if (known[i].len == 1 && known[i].data[0] == '*') {
            return 1;
        }

        if (known[i].len == origin->len
            && ngx_strncasecmp(known[i].data, origin->data, origin->len) == 0)
        {
            return 1;
        }
    }

    return 0;
}


static ngx_int_t
ngx_http_iclock_api_preflight(ngx_http_request_t *r,
    ngx_http_iclock_api_ctx_t *ctx)
{
    ngx_str_t  methods, headers, age;

    ngx_str_set(&headers, "Authorization, X-API-Key, Content-Type, "
                "Idempotency-Key, Prefer, Last-Event-ID");
    ngx_str_set(&age, "600");

    methods.data = ngx_pnalloc(r->pool, 64);
    if (methods.data == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    methods.len = ngx_http_iclock_api_methods(methods.data, ctx->methods);

    if (ngx_http_iclock_api_header(r, "Access-Control-Allow-Methods",
                                   &methods)
        != NGX_OK
        || ngx_http_iclock_api_header(r, "Access-Control-Allow-Headers",
                                      &headers)
           != NGX_OK
        || ngx_http_iclock_api_header(r, "Access-Control-Max-Age", &age)
           != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ctx->status = NGX_HTTP_NO_CONTENT;

    return ngx_http_iclock_api_send(r, ctx);
}
