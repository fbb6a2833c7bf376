
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


#include "ngx_http_iclock.h"


static ngx_int_t ngx_http_iclock_variable_sn(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_iclock_variable_endpoint(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_iclock_variable_table(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_iclock_variable_number(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_iclock_variable_db_time(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_iclock_variable_status(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static const ngx_http_iclock_endpoint_t *ngx_http_iclock_variable_find(
    ngx_http_request_t *r);
static ngx_int_t ngx_http_iclock_variable_set(ngx_http_variable_value_t *v,
    const ngx_str_t *value);


static ngx_http_variable_t  ngx_http_iclock_variables[] = {

    { ngx_string("iclock_sn"), NULL, ngx_http_iclock_variable_sn, 0,
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("iclock_endpoint"), NULL, ngx_http_iclock_variable_endpoint,
      0, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("iclock_table"), NULL, ngx_http_iclock_variable_table, 0,
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("iclock_records"), NULL, ngx_http_iclock_variable_number,
      offsetof(ngx_http_iclock_ctx_t, records), NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("iclock_rejected"), NULL, ngx_http_iclock_variable_number,
      offsetof(ngx_http_iclock_ctx_t, rejected),
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("iclock_commands"), NULL, ngx_http_iclock_variable_number,
      offsetof(ngx_http_iclock_ctx_t, commands),
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("iclock_db_time"), NULL, ngx_http_iclock_variable_db_time,
      0, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("iclock_device_status"), NULL,
      ngx_http_iclock_variable_status, 0, NGX_HTTP_VAR_NOCACHEABLE, 0 },

      ngx_http_null_variable
};


ngx_int_t
ngx_http_iclock_add_variables(ngx_conf_t *cf)
{
    ngx_http_variable_t  *var, *v;

    for (v = ngx_http_iclock_variables; v->name.len; v++) {

        var = ngx_http_add_variable(cf, &v->name, v->flags);
        if (var == NULL) {
            return NGX_ERROR;
        }

        var->get_handler = v->get_handler;
        var->data = v->data;
    }

    return NGX_OK;
}


/*
 * What the URI says is available before the content phase, too, so that "map"
 * and "limit_req" can use it; the serial number is not checked against the
 * pattern then.
 */

static ngx_int_t
ngx_http_iclock_variable_sn(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_http_iclock_ctx_t   *ctx;
    ngx_http_iclock_args_t   args;

    ctx = ngx_http_get_module_ctx(r, ngx_http_iclock_module);

    if (ctx) {
        return ngx_http_iclock_variable_set(v, ctx->sn_valid ? &ctx->args.sn
                                                             : NULL);
    }

    ngx_memzero(&args, sizeof(ngx_http_iclock_args_t));

    if (ngx_http_iclock_parse_args(r, &args) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_http_iclock_variable_set(v, args.sn.len ? &args.sn : NULL);
}


static ngx_int_t
ngx_http_iclock_variable_endpoint(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_http_iclock_ctx_t             *ctx;
    const ngx_http_iclock_endpoint_t  *endpoint;

    ctx = ngx_http_get_module_ctx(r, ngx_http_iclock_module);

    endpoint = ctx ? ctx->endpoint : ngx_http_iclock_variable_find(r);

    return ngx_http_iclock_variable_set(v, endpoint ? &endpoint->label
                                                    : NULL);
}


static ngx_int_t
ngx_http_iclock_variable_table(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_str_t                          name;
    ngx_http_iclock_ctx_t             *ctx;
    ngx_http_iclock_args_t             args;
    const ngx_http_iclock_endpoint_t  *endpoint;

    ctx = ngx_http_get_module_ctx(r, ngx_http_iclock_module);

    if (ctx) {
        return ngx_http_iclock_variable_set(v, ctx->table ? &ctx->table_name
                                                          : NULL);
    }

    endpoint = ngx_http_iclock_variable_find(r);

    if (endpoint == NULL || r->method != NGX_HTTP_POST) {
        return ngx_http_iclock_variable_set(v, NULL);
    }

    ngx_memzero(&args, sizeof(ngx_http_iclock_args_t));

    if (ngx_http_iclock_parse_args(r, &args) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_http_iclock_variable_set(v,
                       ngx_http_iclock_posted_table(endpoint, &args, &name)
                       ? &name : NULL);
}


/* before the content phase, or of what nginx has answered itself */

static const ngx_http_iclock_endpoint_t *
ngx_http_iclock_variable_find(ngx_http_request_t *r)
{
    ngx_str_t                    path;
    ngx_http_iclock_loc_conf_t  *ilcf;

    ilcf = ngx_http_get_module_loc_conf(r, ngx_http_iclock_module);

    return ilcf->enable ? ngx_http_iclock_find_endpoint(r, &path) : NULL;
}


static ngx_int_t
ngx_http_iclock_variable_number(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    u_char                 *p;
    ngx_str_t               value;
    ngx_http_iclock_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_iclock_module);

    if (ctx == NULL) {
        return ngx_http_iclock_variable_set(v, NULL);
    }

    p = ngx_pnalloc(r->pool, NGX_INT_T_LEN);
    if (p == NULL) {
        return NGX_ERROR;
    }

    value.data = p;
    value.len = ngx_sprintf(p, "%ui", *(ngx_uint_t *) ((char *) ctx + data))
                - p;

    return ngx_http_iclock_variable_set(v, &value);
}


/* seconds with milliseconds, as $upstream_response_time */

static ngx_int_t
ngx_http_iclock_variable_db_time(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    u_char                 *p;
    ngx_str_t               value;
    ngx_http_iclock_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_iclock_module);

    if (ctx == NULL || !ctx->db_used) {
        return ngx_http_iclock_variable_set(v, NULL);
    }

    p = ngx_pnalloc(r->pool, NGX_TIME_T_LEN + 4);
    if (p == NULL) {
        return NGX_ERROR;
    }

    value.data = p;
    value.len = ngx_sprintf(p, "%T.%03M", (time_t) (ctx->db_time / 1000),
                            ctx->db_time % 1000)
                - p;

    return ngx_http_iclock_variable_set(v, &value);
}


static ngx_int_t
ngx_http_iclock_variable_status(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_http_iclock_ctx_t   *ctx;

    /* by NGX_ICLOCK_DEVICE_* */

    static const ngx_str_t  statuses[] = {
        ngx_string("unknown"),
        ngx_string("pending"),
        ngx_string("active"),
        ngx_string("blocked")
    };

    ctx = ngx_http_get_module_ctx(r, ngx_http_iclock_module);

    return ngx_http_iclock_variable_set(v, ctx ? &statuses[ctx->known.status]
                                               : NULL);
}


static ngx_int_t
ngx_http_iclock_variable_set(ngx_http_variable_value_t *v,
    const ngx_str_t *value)
{
    if (value == NULL) {
        v->not_found = 1;
        return NGX_OK;
    }

    v->len = value->len;
    v->data = value->data;
    v->valid = 1;
    v->no_cacheable = 0;
    v->not_found = 0;

    return NGX_OK;
}
