
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


#include "ngx_http_iclock_api.h"


/* about 16,000 keys and addresses */
#define NGX_HTTP_ICLOCK_API_ZONE_SIZE  (4 * 1024 * 1024)


static ngx_int_t ngx_http_iclock_api_zone_init(ngx_shm_zone_t *shm_zone,
    void *data);


ngx_http_iclock_api_zone_t *
ngx_http_iclock_api_zone_add(ngx_conf_t *cf)
{
    ngx_shm_zone_t              *shm_zone;
    ngx_http_iclock_api_zone_t  *zone;

    static ngx_str_t  name = ngx_string("iclock_api");

    zone = ngx_pcalloc(cf->pool, sizeof(ngx_http_iclock_api_zone_t));
    if (zone == NULL) {
        return NULL;
    }

    shm_zone = ngx_shared_memory_add(cf, &name, NGX_HTTP_ICLOCK_API_ZONE_SIZE,
                                     &ngx_http_iclock_api_module);
    if (shm_zone == NULL) {
        return NULL;
    }

    shm_zone->init = ngx_http_iclock_api_zone_init;
    shm_zone->data = zone;

    return zone;
}


static ngx_int_t
ngx_http_iclock_api_zone_init(ngx_shm_zone_t *shm_zone, void *data)
{
    ngx_http_iclock_api_zone_t *ozone = data;

    ngx_http_iclock_api_zone_t  *zone;

    static char  log_ctx[] = " in zone \"iclock_api\"";

    zone = shm_zone->data;

    if (ozone) {
        zone->sh = ozone->sh;
        zone->shpool = ozone->shpool;
        return NGX_OK;
    }

    zone->shpool = (ngx_slab_pool_t *) shm_zone->shm.addr;

    if (shm_zone->shm.exists) {
        zone->sh = zone->shpool->data;
        return NGX_OK;
    }

    zone->sh = ngx_slab_calloc(zone->shpool,
                               sizeof(ngx_http_iclock_api_shctx_t));
    if (zone->sh == NULL) {
        return NGX_ERROR;
    }

    zone->shpool->data = zone->sh;
    zone->sh->generation = 1;

    ngx_rbtree_init(&zone->sh->rbtree, &zone->sh->sentinel,
                    ngx_rbtree_insert_value);
    ngx_queue_init(&zone->sh->queue);

    zone->shpool->log_ctx = ngx_slab_alloc(zone->shpool, sizeof(log_ctx));
    if (zone->shpool->log_ctx == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(zone->shpool->log_ctx, log_ctx, sizeof(log_ctx));

    zone->shpool->log_nomem = 0;

    return NGX_OK;
}
