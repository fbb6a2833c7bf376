
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


/* requests are counted when they have ended, whoever has answered them */


#include "ngx_http_iclock.h"


static ngx_int_t ngx_http_iclock_count_handler(ngx_http_request_t *r);
static ngx_uint_t ngx_http_iclock_count_status(ngx_http_request_t *r);
static ngx_uint_t ngx_http_iclock_count_code(ngx_uint_t status);


ngx_int_t
ngx_http_iclock_init_count(ngx_conf_t *cf)
{
    ngx_http_handler_pt        *h;
    ngx_http_core_main_conf_t  *cmcf;

    cmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);

    h = ngx_array_push(&cmcf->phases[NGX_HTTP_LOG_PHASE].handlers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    *h = ngx_http_iclock_count_handler;

    return NGX_OK;
}


static ngx_int_t
ngx_http_iclock_count_handler(ngx_http_request_t *r)
{
    ngx_str_t                          path;
    ngx_time_t                        *tp;
    ngx_uint_t                         endpoint, status;
    ngx_msec_int_t                     ms;
    ngx_http_iclock_ctx_t             *ctx;
    ngx_http_iclock_loc_conf_t        *ilcf;
    const ngx_http_iclock_endpoint_t  *e;

    ilcf = ngx_http_get_module_loc_conf(r, ngx_http_iclock_module);

    if (!ilcf->enable) {
        return NGX_OK;
    }

    /* nginx may have answered before the handler was called */

    ctx = ngx_http_get_module_ctx(r, ngx_http_iclock_module);
    e = ctx ? ctx->endpoint : ngx_http_iclock_find_endpoint(r, &path);
    endpoint = e ? e->metric : NGX_ICLOCK_L_ENDPOINT_OTHER;

    status = ngx_http_iclock_count_status(r);

    ngx_iclock_count_by_both(REQUESTS, endpoint,
                             ngx_http_iclock_count_code(status), 1);

    if (status == NGX_HTTP_REQUEST_ENTITY_TOO_LARGE) {
        ngx_iclock_count_by(REFUSALS, NGX_ICLOCK_L_REFUSAL_SIZE, 1);
    }

    tp = ngx_timeofday();
    ms = (ngx_msec_int_t) ((tp->sec - r->start_sec) * 1000
                           + (ngx_msec_int_t) tp->msec
                           - (ngx_msec_int_t) r->start_msec);

    ngx_iclock_observe(REQUEST_DURATION,
                       ngx_min(endpoint, NGX_ICLOCK_L_TIMED_OTHER),
                       ngx_max(ms, 0) * 1000);

    return NGX_OK;
}


static ngx_uint_t
ngx_http_iclock_count_status(ngx_http_request_t *r)
{
    return r->err_status ? r->err_status : r->headers_out.status;
}


static ngx_uint_t
ngx_http_iclock_count_code(ngx_uint_t status)
{
    ngx_uint_t  i;

    /* in the order of the labels */

    static const ngx_uint_t  codes[] = {
        200, 206, 400, 401, 403, 404, 405, 413, 499, 503
    };

    for (i = 0; i < NGX_ICLOCK_L_CODE_OTHER; i++) {
        if (status == codes[i]) {
            break;
        }
    }

    return i;
}


_Static_assert(NGX_ICLOCK_L_CODE_OTHER == 10, "codes[]");
