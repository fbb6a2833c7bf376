
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


#include "ngx_http_iclock_status.h"


static void *ngx_http_iclock_status_create_main_conf(ngx_conf_t *cf);
static void *ngx_http_iclock_status_create_loc_conf(ngx_conf_t *cf);
static char *ngx_http_iclock_status_merge_loc_conf(ngx_conf_t *cf,
    void *parent, void *child);
static ngx_int_t ngx_http_iclock_status_init(ngx_conf_t *cf);
static ngx_int_t ngx_http_iclock_status_init_zone(ngx_shm_zone_t *shm_zone,
    void *data);
static char *ngx_http_iclock_status(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static ngx_int_t ngx_http_iclock_status_init_module(ngx_cycle_t *cycle);
static ngx_int_t ngx_http_iclock_status_init_process(ngx_cycle_t *cycle);
static void ngx_http_iclock_status_exit_process(ngx_cycle_t *cycle);


static ngx_conf_enum_t  ngx_http_iclock_status_words[] = {
    { ngx_string("json"), NGX_HTTP_ICLOCK_STATUS_JSON },
    { ngx_string("prometheus"), NGX_HTTP_ICLOCK_STATUS_PROMETHEUS },
    { ngx_null_string, 0 }
};


static ngx_command_t  ngx_http_iclock_status_commands[] = {

    { ngx_string("iclock_status"),
      NGX_HTTP_LOC_CONF|NGX_CONF_NOARGS|NGX_CONF_TAKE1,
      ngx_http_iclock_status,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

      ngx_null_command
};


static ngx_http_module_t  ngx_http_iclock_status_module_ctx = {
    NULL,                                  /* preconfiguration */
    ngx_http_iclock_status_init,           /* postconfiguration */

    ngx_http_iclock_status_create_main_conf, /* create main configuration */
    NULL,                                  /* init main configuration */

    NULL,                                  /* create server configuration */
    NULL,                                  /* merge server configuration */

    ngx_http_iclock_status_create_loc_conf, /* create location configuration */
    ngx_http_iclock_status_merge_loc_conf  /* merge location configuration */
};


ngx_module_t  ngx_http_iclock_status_module = {
    NGX_MODULE_V1,
    &ngx_http_iclock_status_module_ctx,    /* module context */
    ngx_http_iclock_status_commands,       /* module directives */
    NGX_HTTP_MODULE,                       /* module type */
    NULL,                                  /* init master */
    ngx_http_iclock_status_init_module,    /* init module */
    ngx_http_iclock_status_init_process,   /* init process */
    NULL,                                  /* init thread */
    NULL,                                  /* exit thread */
    ngx_http_iclock_status_exit_process,   /* exit process */
    NULL,                                  /* exit master */
    NGX_MODULE_V1_PADDING
};


static void *
ngx_http_iclock_status_create_main_conf(ngx_conf_t *cf)
{
    return ngx_pcalloc(cf->pool, sizeof(ngx_http_iclock_status_main_conf_t));
}


static void *
ngx_http_iclock_status_create_loc_conf(ngx_conf_t *cf)
{
    return ngx_pcalloc(cf->pool, sizeof(ngx_http_iclock_status_loc_conf_t));
}


static char *
ngx_http_iclock_status_merge_loc_conf(ngx_conf_t *cf, void *parent,
    void *child)
{
    ngx_http_iclock_status_loc_conf_t *prev = parent;
    ngx_http_iclock_status_loc_conf_t *conf = child;

    ngx_http_core_loc_conf_t  *clcf;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    if (clcf->noname && clcf->handler == NULL && prev->enable) {
        /* "if" within the location */
        *conf = *prev;
        clcf->handler = ngx_http_iclock_status_handler;
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_iclock_status(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_iclock_status_loc_conf_t *slcf = conf;

    ngx_str_t                           *value;
    ngx_conf_enum_t                     *word;
    ngx_http_core_loc_conf_t            *clcf;
    ngx_http_iclock_status_main_conf_t  *smcf;

    if (slcf->enable) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (cf->args->nelts == 2) {

        for (word = ngx_http_iclock_status_words; word->name.len; word++) {
            if (value[1].len == word->name.len
                && ngx_strcmp(value[1].data, word->name.data) == 0)
            {
                break;
            }
        }

        if (word->name.len == 0) {
            return ngx_http_iclock_invalid(cf, cmd, &value[1]);
        }

        slcf->format = word->value;
    }

    slcf->enable = 1;

    smcf = ngx_http_conf_get_module_main_conf(cf,
                                              ngx_http_iclock_status_module);
    smcf->locations++;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);
    clcf->handler = ngx_http_iclock_status_handler;

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_iclock_status_init(ngx_conf_t *cf)
{
    size_t                               size;
    ngx_shm_zone_t                      *shm_zone;
    ngx_http_iclock_status_main_conf_t  *smcf;

    static ngx_str_t  name = ngx_string("iclock_status");

    smcf = ngx_http_conf_get_module_main_conf(cf,
                                              ngx_http_iclock_status_module);

    if (smcf->locations == 0) {
        return NGX_OK;
    }

    /* nginx has its own use for the first pages */

    size = ngx_align(sizeof(ngx_iclock_metrics_t), ngx_pagesize)
           + sizeof(ngx_iclock_metrics_t) / 64 + 16 * ngx_pagesize;

    shm_zone = ngx_shared_memory_add(cf, &name, size,
                                     &ngx_http_iclock_status_module);
    if (shm_zone == NULL) {
        return NGX_ERROR;
    }

    shm_zone->init = ngx_http_iclock_status_init_zone;
    shm_zone->data = smcf;

    return NGX_OK;
}


static ngx_int_t
ngx_http_iclock_status_init_zone(ngx_shm_zone_t *shm_zone, void *data)
{
    ngx_http_iclock_status_main_conf_t *old = data;

    ngx_slab_pool_t                     *shpool;
    ngx_http_iclock_status_main_conf_t  *smcf;

    smcf = shm_zone->data;

    if (old) {
        smcf->metrics = old->metrics;
        return NGX_OK;
    }

    shpool = (ngx_slab_pool_t *) shm_zone->shm.addr;

    if (shm_zone->shm.exists) {
        smcf->metrics = shpool->data;
        return NGX_OK;
    }

    smcf->metrics = ngx_slab_calloc(shpool, sizeof(ngx_iclock_metrics_t));
    if (smcf->metrics == NULL) {
        return NGX_ERROR;
    }

    shpool->data = smcf->metrics;

    ngx_iclock_metric_init(smcf->metrics);

    return NGX_OK;
}


/* without a master the zone of the last configuration may be about to go */

static ngx_int_t
ngx_http_iclock_status_init_module(ngx_cycle_t *cycle)
{
    ngx_iclock_metric_detach();

    return NGX_OK;
}


/* the other modules come before: what they have counted is taken over */

static ngx_int_t
ngx_http_iclock_status_init_process(ngx_cycle_t *cycle)
{
    ngx_http_iclock_status_main_conf_t  *smcf;

    if (ngx_process != NGX_PROCESS_WORKER
        && ngx_process != NGX_PROCESS_SINGLE)
    {
        return NGX_OK;
    }

    smcf = ngx_http_cycle_get_module_main_conf(cycle,
                                               ngx_http_iclock_status_module);

    if (smcf == NULL || smcf->locations == 0) {
        return NGX_OK;
    }

    /* no other process that lives has the number of this one */

    ngx_iclock_metric_attach(smcf->metrics, ngx_process_slot);

    ngx_http_iclock_status_watch_turns();

    if (ngx_process == NGX_PROCESS_SINGLE || ngx_worker == 0) {
        ngx_http_iclock_status_start(cycle, smcf);
    }

    return NGX_OK;
}


static void
ngx_http_iclock_status_exit_process(ngx_cycle_t *cycle)
{
    ngx_iclock_metric_detach();
}
