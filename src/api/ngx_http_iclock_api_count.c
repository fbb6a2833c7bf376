
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


#include "ngx_http_iclock_api_gate.h"


/* of a payload, where created_at is looked for: it stands at the front */
#define NGX_HTTP_ICLOCK_API_FRONT  512


static ngx_uint_t ngx_http_iclock_api_operation(ngx_uint_t route);


/* by route, and the last one of all: the number of its operation */
static ngx_uint_t
    ngx_http_iclock_api_operations[NGX_ICLOCK_MAX_OPERATIONS];

static ngx_str_t  ngx_http_iclock_api_names[NGX_ICLOCK_MAX_OPERATIONS];


ngx_int_t
ngx_http_iclock_api_init_count(ngx_conf_t *cf)
{
    ngx_uint_t           i, k, n;
    ngx_iclock_label_t  *label;

    n = 0;

    for (i = 0; ngx_http_iclock_api_routes[i].method; i++) {

        for (k = 0; k < n; k++) {
            if (ngx_strcmp(ngx_http_iclock_api_names[k].data,
                           ngx_http_iclock_api_routes[i].operation.data)
                == 0)
            {
                break;
            }
        }

        if (k == n) {
            ngx_http_iclock_api_names[n++] =
                                       ngx_http_iclock_api_routes[i].operation;
        }

        ngx_http_iclock_api_operations[i] = k;
    }

    ngx_str_set(&ngx_http_iclock_api_names[n], "other");

    label = &ngx_iclock_labels[NGX_ICLOCK_LABEL_OPERATION];

    label->values = ngx_http_iclock_api_names;
    label->n = n + 1;

    return NGX_OK;
}


static ngx_uint_t
ngx_http_iclock_api_operation(ngx_uint_t route)
{
    return route ? ngx_http_iclock_api_operations[route - 1]
                 : ngx_iclock_labels[NGX_ICLOCK_LABEL_OPERATION].n - 1;
}


/* what is neither an error nor a success of its own kind is one: 304 */

void
ngx_http_iclock_api_count_answer(ngx_http_request_t *r,
    ngx_http_iclock_api_ctx_t *ctx)
{
    ngx_uint_t       class, kind;
    ngx_time_t      *tp;
    ngx_msec_int_t   passed;

    class = (ctx->status < 400) ? NGX_ICLOCK_L_CLASS_2XX
            : (ctx->status < 500) ? NGX_ICLOCK_L_CLASS_4XX
            : NGX_ICLOCK_L_CLASS_5XX;

    ngx_iclock_count_by_both(API_REQUESTS,
                             ngx_http_iclock_api_operation(ctx->number),
                             class, 1);

    kind = (r->method & ~(NGX_HTTP_GET|NGX_HTTP_HEAD))
           ? NGX_ICLOCK_L_ACCESS_WRITE
           : (ctx->route && (ctx->route->flags & NGX_HTTP_ICLOCK_API_LIST))
           ? NGX_ICLOCK_L_ACCESS_PAGE : NGX_ICLOCK_L_ACCESS_READ;

    if (r->method == NGX_HTTP_DELETE && ctx->status == NGX_HTTP_OK
        && ctx->route
        && ngx_strcmp(ctx->route->operation.data, "commands_delete") == 0)
    {
        ngx_iclock_count_by(FINISHED, NGX_ICLOCK_L_FINISHED_CANCELLED, 1);
    }

    tp = ngx_timeofday();
    passed = (ngx_msec_int_t) ((tp->sec - r->start_sec) * 1000
                               + (ngx_msec_int_t) tp->msec
                               - (ngx_msec_int_t) r->start_msec);

    ngx_iclock_observe(API_DURATION, kind, ngx_max(passed, 0) * 1000);
}


void
ngx_http_iclock_api_count_problem(ngx_str_t *code)
{
    ngx_int_t            n;
    static ngx_str_t     size = ngx_string("size");
    static ngx_str_t     large = ngx_string("too_large");

    if (code->len == large.len
        && ngx_strncmp(code->data, large.data, large.len) == 0)
    {
        code = &size;
    }

    n = ngx_iclock_label_find(NGX_ICLOCK_LABEL_API_REFUSAL, code->data,
                              code->len);

    if (n != NGX_ERROR) {
        ngx_iclock_count_by(API_REFUSALS, n, 1);
    }
}


/* "created_at":"2026-03-27T08:30:12.431Z" */

uint64_t
ngx_http_iclock_api_created(ngx_str_t *payload)
{
    u_char     *p, *last;
    time_t      sec;
    struct tm   tm;
    ngx_int_t   n[7];
    ngx_uint_t  i;

    static u_char      name[] = "\"created_at\":\"";
    static const char  places[] = { 0, 5, 8, 11, 14, 17, 20 };

    last = payload->data + ngx_min(payload->len, NGX_HTTP_ICLOCK_API_FRONT);

    p = ngx_strlcasestrn(payload->data, last, name, sizeof(name) - 2);

    if (p == NULL || last - p < (ptrdiff_t) sizeof(name) - 1 + 24) {
        return 0;
    }

    p += sizeof(name) - 1;

    for (i = 0; i < 7; i++) {
        n[i] = ngx_atoi(p + places[i], (i == 0) ? 4 : (i == 6) ? 3 : 2);

        if (n[i] < 0) {
            return 0;
        }
    }

    ngx_memzero(&tm, sizeof(struct tm));

    tm.tm_year = (int) n[0] - 1900;
    tm.tm_mon = (int) n[1] - 1;
    tm.tm_mday = (int) n[2];
    tm.tm_hour = (int) n[3];
    tm.tm_min = (int) n[4];
    tm.tm_sec = (int) n[5];

    sec = timegm(&tm);

    return (sec > 0) ? (uint64_t) sec * 1000 + n[6] : 0;
}


uint64_t
ngx_http_iclock_api_since(uint64_t created)
{
    uint64_t     now;
    ngx_time_t  *tp;

    tp = ngx_timeofday();
    now = (uint64_t) tp->sec * 1000 + tp->msec;

    return (now > created) ? (now - created) * 1000 : 0;
}
