
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


#include "ngx_http_iclock_api_gate.h"


static char *ngx_http_iclock_api(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);


#define ngx_http_iclock_api_pool(field)                                      \
    offsetof(ngx_iclock_store_conf_t, field)


static ngx_http_iclock_param_t  ngx_http_iclock_api_pool_params[] = {

    { ngx_string("connections="), ngx_http_iclock_api_pool(connections),
      ngx_http_iclock_range(NUMBER, 1, 64, 2) },

    { ngx_string("queue="), ngx_http_iclock_api_pool(queue),
      ngx_http_iclock_range(NUMBER, 1, 1000000, 512) },

    { ngx_string("timeout="), ngx_http_iclock_api_pool(timeout),
      ngx_http_iclock_range(MSEC, 100, 3600000, 5000) },

    { ngx_null_string, 0, NULL }
};


#define ngx_http_iclock_api_stream(field)                                    \
    offsetof(ngx_http_iclock_api_main_conf_t, stream_##field)


static ngx_http_iclock_param_t  ngx_http_iclock_api_stream_params[] = {

    { ngx_string("buffer="), ngx_http_iclock_api_stream(buffer),
      ngx_http_iclock_range(SIZE, 65536, 1024 * 1024 * 1024, 1024 * 1024) },

    { ngx_string("clients="), ngx_http_iclock_api_stream(clients),
      ngx_http_iclock_range(NUMBER, 1, 1000000, 256) },

    { ngx_string("heartbeat="), ngx_http_iclock_api_stream(heartbeat),
      ngx_http_iclock_range(MSEC, 1000, 3600000, 15000) },

    { ngx_null_string, 0, NULL }
};


#define ngx_http_iclock_api_main(field)                                      \
    NGX_HTTP_MAIN_CONF_OFFSET,                                               \
    offsetof(ngx_http_iclock_api_main_conf_t, field)


ngx_command_t  ngx_http_iclock_api_commands[] = {

    { ngx_string("iclock_api"),
      NGX_HTTP_LOC_CONF|NGX_CONF_NOARGS,
      ngx_http_iclock_api,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("iclock_api_pool"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_1MORE,
      ngx_http_iclock_set_params,
      ngx_http_iclock_api_main(pool),
      ngx_http_iclock_api_pool_params },

    { ngx_string("iclock_api_key_cache"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_http_iclock_set,
      ngx_http_iclock_api_main(key_cache),
      ngx_http_iclock_range(MSEC, 0, 86400000, 60000) },

    { ngx_string("iclock_webhooks"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_FLAG,
      ngx_http_iclock_set,
      ngx_http_iclock_api_main(webhooks),
      ngx_http_iclock_flag(0) },

    { ngx_string("iclock_secret_key"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_http_iclock_secret_key,
      ngx_http_iclock_api_main(keyring),
      NULL },

    { ngx_string("iclock_event_retention"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_http_iclock_set,
      ngx_http_iclock_api_main(event_retention),
      ngx_http_iclock_range(SEC, 3600, 31536000, 7 * 86400) },

    { ngx_string("iclock_api_rate"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE12,
      ngx_http_iclock_api_rate,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("iclock_api_page"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE12,
      ngx_http_iclock_api_page,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("iclock_api_batch"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_iclock_set,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_iclock_api_loc_conf_t, batch),
      ngx_http_iclock_range(NUMBER, 1, 100000, 1000) },

    { ngx_string("iclock_api_cors"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_1MORE,
      ngx_http_iclock_api_cors,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("iclock_api_base"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_iclock_set,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_iclock_api_loc_conf_t, base),
      ngx_http_iclock_text(ngx_http_iclock_api_valid_base, "") },

    { ngx_string("iclock_stream"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_1MORE,
      ngx_http_iclock_set_params,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      ngx_http_iclock_api_stream_params },

      ngx_null_command
};


void *
ngx_http_iclock_api_create_main_conf(ngx_conf_t *cf)
{
    ngx_http_iclock_api_main_conf_t  *amcf;

    /* what is no setting of the table is zero */

    amcf = ngx_pcalloc(cf->pool, sizeof(ngx_http_iclock_api_main_conf_t));
    if (amcf == NULL) {
        return NULL;
    }

    ngx_http_iclock_unset_all(ngx_http_iclock_api_commands,
                              NGX_HTTP_MAIN_CONF_OFFSET, amcf);

    amcf->keyring = NGX_CONF_UNSET_PTR;

    return amcf;
}


char *
ngx_http_iclock_api_init_main_conf(ngx_conf_t *cf, void *conf)
{
    ngx_http_iclock_api_main_conf_t *amcf = conf;

    ngx_http_iclock_merge_all(ngx_http_iclock_api_commands,
                              NGX_HTTP_MAIN_CONF_OFFSET, NULL, amcf);

    ngx_conf_init_ptr_value(amcf->keyring, NULL);

    return NGX_CONF_OK;
}


void *
ngx_http_iclock_api_create_loc_conf(ngx_conf_t *cf)
{
    ngx_http_iclock_api_loc_conf_t  *alcf;

    alcf = ngx_pcalloc(cf->pool, sizeof(ngx_http_iclock_api_loc_conf_t));
    if (alcf == NULL) {
        return NULL;
    }

    ngx_http_iclock_unset_all(ngx_http_iclock_api_commands,
                              NGX_HTTP_LOC_CONF_OFFSET, alcf);

    alcf->rate = NGX_CONF_UNSET_UINT;
    alcf->burst = NGX_CONF_UNSET_UINT;
    alcf->page_default = NGX_CONF_UNSET_UINT;
    alcf->page_max = NGX_CONF_UNSET_UINT;
    alcf->cors = NGX_CONF_UNSET_PTR;

    return alcf;
}


char *
ngx_http_iclock_api_merge_loc_conf(ngx_conf_t *cf, void *parent, void *child)
{
    ngx_http_iclock_api_loc_conf_t *prev = parent;
    ngx_http_iclock_api_loc_conf_t *conf = child;

    ngx_http_core_loc_conf_t         *clcf;
    ngx_http_iclock_srv_conf_t       *iscf;
    ngx_http_iclock_main_conf_t      *imcf;
    ngx_http_iclock_api_main_conf_t  *amcf;

    ngx_http_iclock_merge_all(ngx_http_iclock_api_commands,
                              NGX_HTTP_LOC_CONF_OFFSET, prev, conf);

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    if (clcf->noname && clcf->handler == NULL && prev->enable) {
        /* "if" within the location */
        conf->enable = 1;
        clcf->handler = ngx_http_iclock_api_handler;
    }

    if (conf->enable) {
        amcf = ngx_http_conf_get_module_main_conf(cf,
                                                  ngx_http_iclock_api_module);
        amcf->locations++;

        /* tokens of streams are arguments */

        imcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_iclock_module);
        iscf = ngx_http_conf_get_module_srv_conf(cf, ngx_http_iclock_module);
        imcf->tokens = 1;
        iscf->tokens = 1;

        if (ngx_http_iclock_api_error_pages(cf, clcf) != NGX_OK) {
            return NGX_CONF_ERROR;
        }

        /* whoever exceeds it gets a problem document, see _body.c */

        conf->body_max = clcf->client_max_body_size;
        clcf->client_max_body_size = 0;
    }

    ngx_http_iclock_api_merge_others(prev, conf);

    return NGX_CONF_OK;
}


static char *
ngx_http_iclock_api(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_iclock_api_loc_conf_t *alcf = conf;

    ngx_http_core_loc_conf_t         *clcf;
    ngx_http_iclock_api_main_conf_t  *amcf;

    static ngx_str_t  name = ngx_string("request_id");

    if (alcf->enable) {
        return "is duplicate";
    }

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    /* a route is what follows the prefix */

    if (clcf->named || clcf->regex) {
        return "needs a location with a prefix";
    }

    alcf->enable = 1;
    clcf->handler = ngx_http_iclock_api_handler;

    amcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_iclock_api_module);
    amcf->request_id = ngx_http_get_variable_index(cf, &name);

    return (amcf->request_id == NGX_ERROR) ? NGX_CONF_ERROR : NGX_CONF_OK;
}
