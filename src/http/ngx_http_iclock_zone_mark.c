
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


#include "ngx_http_iclock_zone.h"


void
ngx_http_iclock_zone_mark(ngx_http_iclock_zone_t *zone, ngx_str_t *sn)
{
    ngx_http_iclock_node_t  *node;

    node = ngx_http_iclock_zone_open(zone, sn);

    if (node) {
        node->marked = 1;
    }

    ngx_http_iclock_zone_close(zone);

    ngx_log_debug2(NGX_LOG_DEBUG_HTTP, ngx_cycle->log, 0,
                   "iclock mark: device \"%V\", known:%d", sn, node != NULL);
}


void
ngx_http_iclock_zone_polled(ngx_http_iclock_zone_t *zone,
    ngx_http_iclock_visit_t *visit, ngx_uint_t news, ngx_uint_t more)
{
    ngx_http_iclock_node_t  *node;

    node = ngx_http_iclock_zone_open(zone, visit->sn);

    if (node && news) {
        node->info = visit->info;
    }

    if (node && more) {
        node->marked = 1;
    }

    ngx_http_iclock_zone_close(zone);
}


void
ngx_http_iclock_zone_expire(ngx_http_iclock_zone_t *zone, ngx_str_t *sn)
{
    ngx_http_iclock_node_t  *node;

    node = ngx_http_iclock_zone_open(zone, sn);

    zone->sh->changes++;

    if (node) {
        node->expired = 1;
        node->changed = zone->sh->changes;

    } else {
        /* it may be looked up at this moment */
        zone->sh->lost = zone->sh->changes;
    }

    ngx_http_iclock_zone_close(zone);
}


void
ngx_http_iclock_zone_expire_all(ngx_http_iclock_zone_t *zone)
{
    ngx_shmtx_lock(&zone->shpool->mutex);

    zone->sh->generation++;

    ngx_shmtx_unlock(&zone->shpool->mutex);
}


ngx_int_t
ngx_http_iclock_zone_set_plain(ngx_http_iclock_zone_t *zone, ngx_str_t *sn)
{
    ngx_int_t                rc;
    ngx_http_iclock_node_t  *node;

    rc = NGX_DECLINED;

    node = ngx_http_iclock_zone_open(zone, sn);

    if (node && !node->plain) {
        node->plain = 1;
        rc = NGX_OK;
    }

    ngx_http_iclock_zone_close(zone);

    return rc;
}


ngx_uint_t
ngx_http_iclock_zone_take_seen(ngx_http_iclock_zone_t *zone,
    uint32_t database, ngx_http_iclock_seen_t *seen, ngx_uint_t n,
    ngx_uint_t *more)
{
    ngx_uint_t               i;
    ngx_queue_t             *q;
    ngx_http_iclock_node_t  *node;

    i = 0;

    ngx_shmtx_lock(&zone->shpool->mutex);

    while (n-- && !ngx_queue_empty(&zone->sh->unsaved)) {

        q = ngx_queue_head(&zone->sh->unsaved);
        ngx_queue_remove(q);

        node = ngx_queue_data(q, ngx_http_iclock_node_t, unsaved);
        node->dirty = 0;

        if (node->origin != zone->origin || node->database != database) {
            /* it is noted again when it has been looked up */
            continue;
        }

        seen[i].id = node->id;
        seen[i].seen = node->seen;
        seen[i].addr = node->addr;
        seen[i].denied = node->denied;
        seen[i].outside = node->outside;
        seen[i].stranger = node->outside ? node->outsider : node->refused;
        seen[i].len = node->len;
        node->denied = 0;
        ngx_memcpy(seen[i].sn, node->sn, node->len);
        i++;
    }

    *more = !ngx_queue_empty(&zone->sh->unsaved);

    ngx_shmtx_unlock(&zone->shpool->mutex);

    return i;
}


void
ngx_http_iclock_zone_return_seen(ngx_http_iclock_zone_t *zone,
    ngx_http_iclock_seen_t *seen)
{
    ngx_str_t                sn;
    ngx_http_iclock_node_t  *node;

    sn.data = seen->sn;
    sn.len = seen->len;

    node = ngx_http_iclock_zone_open(zone, &sn);

    if (node && node->id == seen->id && (seen->seen || seen->denied)) {

        if (node->denied == 0) {
            node->denied = (uint32_t) seen->denied;
        }

        ngx_http_iclock_zone_note_seen(zone, node);
    }

    ngx_http_iclock_zone_close(zone);
}
