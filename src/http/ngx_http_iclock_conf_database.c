
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


#include "ngx_http_iclock_conf.h"


static char *ngx_http_iclock_passfile(ngx_conf_t *cf,
    ngx_http_iclock_main_conf_t *imcf);


#define ngx_http_iclock_pool(field)                                          \
    offsetof(ngx_iclock_store_conf_t, field)


ngx_http_iclock_param_t  ngx_http_iclock_pool_params[] = {

    { ngx_string("connections="), ngx_http_iclock_pool(connections),
      ngx_http_iclock_range(NUMBER, 1, 64, 4) },

    { ngx_string("queue="), ngx_http_iclock_pool(queue),
      ngx_http_iclock_range(NUMBER, 1, 1000000, 8192) },

    { ngx_string("queue_bytes="), ngx_http_iclock_pool(queue_bytes),
      ngx_http_iclock_range(SIZE, 64 * 1024, NGX_MAX_INT_T_VALUE,
                            64 * 1024 * 1024) },

    { ngx_string("timeout="), ngx_http_iclock_pool(timeout),
      ngx_http_iclock_range(MSEC, 100, 3600000, 10000) },

    { ngx_string("connect_timeout="), ngx_http_iclock_pool(connect_timeout),
      ngx_http_iclock_range(MSEC, 100, 3600000, 5000) },

    { ngx_null_string, 0, NULL }
};


ngx_http_iclock_param_t  ngx_http_iclock_batch_params[] = {

    { ngx_string("requests="), ngx_http_iclock_pool(batch_requests),
      ngx_http_iclock_range(NUMBER, 1, 100000, 512) },

    { ngx_string("records="), ngx_http_iclock_pool(batch_records),
      ngx_http_iclock_range(NUMBER, 1, 1000000, 4096) },

    { ngx_string("bytes="), ngx_http_iclock_pool(batch_bytes),
      ngx_http_iclock_range(SIZE, 1024, 512 * 1024 * 1024, 1024 * 1024) },

    { ngx_null_string, 0, NULL }
};


char *
ngx_http_iclock_database(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_iclock_main_conf_t *imcf = conf;

    char                     *err;
    ngx_str_t                *value;
    ngx_iclock_store_conf_t  *pool;

    pool = (ngx_iclock_store_conf_t *) ((char *) imcf + cmd->offset);

    if (pool->server) {
        return "is duplicate";
    }

    value = cf->args->elts;

    err = ngx_iclock_store_server(cf, pool, &value[1]);

    if (err != NGX_CONF_OK) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "%s in \"%V\"", err,
                           &cmd->name);
        return NGX_CONF_ERROR;
    }

    if (pool == &imcf->pool) {
        imcf->origin = ngx_iclock_store_origin(pool);
    }

    return NGX_CONF_OK;
}


char *
ngx_http_iclock_init_database(ngx_conf_t *cf,
    ngx_http_iclock_main_conf_t *imcf)
{
    ngx_iclock_store_conf_t  listen;

    if (imcf->passfile.len
        && ngx_http_iclock_passfile(cf, imcf) != NGX_CONF_OK)
    {
        return NGX_CONF_ERROR;
    }

    listen = imcf->listen;
    imcf->listen = imcf->pool;

    if (listen.server) {
        imcf->listen.server = listen.server;
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_iclock_passfile(ngx_conf_t *cf, ngx_http_iclock_main_conf_t *imcf)
{
    char  *rv;

    if (imcf->pool.server == NULL) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"iclock_database_passfile\" without "
                           "\"iclock_database\"");
        return NGX_CONF_ERROR;
    }

    rv = ngx_iclock_store_passfile(cf, &imcf->pool, &imcf->passfile);

    if (rv == NGX_CONF_OK && imcf->listen.server) {
        rv = ngx_iclock_store_passfile(cf, &imcf->listen, &imcf->passfile);
    }

    if (rv != NGX_CONF_OK) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "invalid value \"%V\" in "
                           "\"iclock_database_passfile\"", &imcf->passfile);
    }

    return rv;
}
