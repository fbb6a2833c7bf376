
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


#include "ngx_http_iclock.h"


/* nginx's own default, which is merged into servers only */
#define NGX_HTTP_ICLOCK_RESOLVER_TIMEOUT  30000


static ngx_int_t ngx_http_iclock_init(ngx_conf_t *cf);


static ngx_http_module_t  ngx_http_iclock_module_ctx = {
    ngx_http_iclock_add_variables,         /* preconfiguration */
    ngx_http_iclock_init,                  /* postconfiguration */

    ngx_http_iclock_create_main_conf,      /* create main configuration */
    ngx_http_iclock_init_main_conf,        /* init main configuration */

    ngx_http_iclock_create_srv_conf,       /* create server configuration */
    NULL,                                  /* merge server configuration */

    ngx_http_iclock_create_loc_conf,       /* create location configuration */
    ngx_http_iclock_merge_loc_conf         /* merge location configuration */
};


ngx_module_t  ngx_http_iclock_module = {
    NGX_MODULE_V1,
    &ngx_http_iclock_module_ctx,           /* module context */
    ngx_http_iclock_commands,              /* module directives */
    NGX_HTTP_MODULE,                       /* module type */
    NULL,                                  /* init master */
    ngx_http_iclock_init_module,           /* init module */
    ngx_http_iclock_init_process,          /* init process */
    NULL,                                  /* init thread */
    NULL,                                  /* exit thread */
    ngx_http_iclock_exit_process,          /* exit process */
    NULL,                                  /* exit master */
    NGX_MODULE_V1_PADDING
};


static ngx_int_t
ngx_http_iclock_init(ngx_conf_t *cf)
{
    ngx_msec_t                    timeout;
    ngx_http_core_loc_conf_t     *clcf;
    ngx_http_iclock_main_conf_t  *imcf;

    imcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_iclock_module);
    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    if (imcf->zone) {
        imcf->zone->origin = imcf->origin;
    }

    imcf->pool.connector = NGX_ICLOCK_L_CONNECTOR_DEVICE;
    imcf->listen.connector = NGX_ICLOCK_L_CONNECTOR_LISTEN;

    if (clcf->resolver && clcf->resolver->connections.nelts) {
        timeout = clcf->resolver_timeout;
        ngx_conf_init_msec_value(timeout, NGX_HTTP_ICLOCK_RESOLVER_TIMEOUT);

        imcf->pool.resolver = clcf->resolver;
        imcf->pool.resolver_timeout = timeout;

        imcf->listen.resolver = clcf->resolver;
        imcf->listen.resolver_timeout = timeout;
    }

    if (imcf->locations == 0 && imcf->tokens == 0) {
        return NGX_OK;
    }

    if (ngx_http_iclock_find_ports(cf) != NGX_OK) {
        return NGX_ERROR;
    }

    if (imcf->locations && ngx_http_iclock_init_count(cf) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_http_iclock_init_log(cf);
}
