
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


#include "ngx_http_iclock_api_gate.h"


static ngx_int_t ngx_http_iclock_api_init(ngx_conf_t *cf);


static ngx_http_module_t  ngx_http_iclock_api_module_ctx = {
    ngx_http_iclock_api_add_variables,     /* preconfiguration */
    ngx_http_iclock_api_init,              /* postconfiguration */

    ngx_http_iclock_api_create_main_conf,  /* create main configuration */
    ngx_http_iclock_api_init_main_conf,    /* init main configuration */

    NULL,                                  /* create server configuration */
    NULL,                                  /* merge server configuration */

    ngx_http_iclock_api_create_loc_conf,   /* create location configuration */
    ngx_http_iclock_api_merge_loc_conf     /* merge location configuration */
};


ngx_module_t  ngx_http_iclock_api_module = {
    NGX_MODULE_V1,
    &ngx_http_iclock_api_module_ctx,       /* module context */
    ngx_http_iclock_api_commands,          /* module directives */
    NGX_HTTP_MODULE,                       /* module type */
    NULL,                                  /* init master */
    NULL,                                  /* init module */
    ngx_http_iclock_api_init_process,      /* init process */
    NULL,                                  /* init thread */
    NULL,                                  /* exit thread */
    ngx_http_iclock_api_exit_process,      /* exit process */
    NULL,                                  /* exit master */
    NGX_MODULE_V1_PADDING
};


/*
 * The database, passwords and names are those of the device module, which has
 * settled them before: its place in the list of modules comes first.
 */

static ngx_int_t
ngx_http_iclock_api_init(ngx_conf_t *cf)
{
    ngx_iclock_store_conf_t           pool;
    ngx_http_iclock_main_conf_t      *imcf;
    ngx_http_iclock_api_main_conf_t  *amcf;

    imcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_iclock_module);
    amcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_iclock_api_module);

    if (amcf->locations == 0 && !amcf->webhooks) {
        return NGX_OK;
    }

    if (imcf->pool.server == NULL) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "no \"iclock_database\" is defined for \"%s\"",
                           amcf->locations ? "iclock_api" : "iclock_webhooks");
        return NGX_ERROR;
    }

    pool = amcf->pool;

    amcf->pool = imcf->pool;
    amcf->pool.connections = pool.connections;
    amcf->pool.queue = pool.queue;
    amcf->pool.timeout = pool.timeout;
    amcf->pool.connector = NGX_ICLOCK_L_CONNECTOR_API;

    amcf->listen = imcf->listen;

    if (ngx_http_iclock_api_init_count(cf) != NGX_OK) {
        return NGX_ERROR;
    }

    amcf->zone = ngx_http_iclock_api_zone_add(cf);
    if (amcf->zone == NULL) {
        return NGX_ERROR;
    }

    if (amcf->locations == 0) {
        return NGX_OK;
    }

    if (ngx_http_iclock_api_ring_add(cf, amcf) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_http_iclock_api_init_body();

    return ngx_http_iclock_api_init_log(cf);
}
