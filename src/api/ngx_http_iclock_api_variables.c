
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


#include "ngx_http_iclock_api_gate.h"


static ngx_int_t ngx_http_iclock_api_variable_text(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_iclock_api_variable_operation(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_iclock_api_variable_rows(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_iclock_api_variable_set(ngx_http_variable_value_t *v,
    const ngx_str_t *value);


static ngx_http_variable_t  ngx_http_iclock_api_variables[] = {

    { ngx_string("iclock_api_key"), NULL, ngx_http_iclock_api_variable_text,
      offsetof(ngx_http_iclock_api_ctx_t, key_id),
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("iclock_api_operation"), NULL,
      ngx_http_iclock_api_variable_operation, 0, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("iclock_api_code"), NULL, ngx_http_iclock_api_variable_text,
      offsetof(ngx_http_iclock_api_ctx_t, code),
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("iclock_api_rows"), NULL, ngx_http_iclock_api_variable_rows,
      0, NGX_HTTP_VAR_NOCACHEABLE, 0 },

      ngx_http_null_variable
};


ngx_int_t
ngx_http_iclock_api_add_variables(ngx_conf_t *cf)
{
    ngx_http_variable_t  *var, *v;

    for (v = ngx_http_iclock_api_variables; v->name.len; v++) {

        var = ngx_http_add_variable(cf, &v->name, v->flags);
        if (var == NULL) {
            return NGX_ERROR;
        }

        var->get_handler = v->get_handler;
        var->data = v->data;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_iclock_api_variable_text(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_http_iclock_api_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_iclock_api_module);

    return ngx_http_iclock_api_variable_set(v, ctx
                                            ? (ngx_str_t *)
                                              ((char *) ctx + data) : NULL);
}


static ngx_int_t
ngx_http_iclock_api_variable_operation(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_http_iclock_api_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_iclock_api_module);

    return ngx_http_iclock_api_variable_set(v, (ctx && ctx->route)
                                            ? &ctx->route->operation : NULL);
}


static ngx_int_t
ngx_http_iclock_api_variable_rows(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    u_char                     *p;
    ngx_str_t                   value;
    ngx_http_iclock_api_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_iclock_api_module);

    if (ctx == NULL) {
        return ngx_http_iclock_api_variable_set(v, NULL);
    }

    p = ngx_pnalloc(r->pool, NGX_INT_T_LEN);
    if (p == NULL) {
        return NGX_ERROR;
    }

    value.data = p;
    value.len = ngx_sprintf(p, "%ui", ctx->rows) - p;

    return ngx_http_iclock_api_variable_set(v, &value);
}


static ngx_int_t
ngx_http_iclock_api_variable_set(ngx_http_variable_value_t *v,
    const ngx_str_t *value)
{
    if (value == NULL || value->len == 0) {
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
