
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


#include "ngx_http_iclock_zone.h"


/* for how many seconds the zone believes that a stamp is stored */
#define NGX_HTTP_ICLOCK_STAMPED  900


static ngx_uint_t ngx_http_iclock_shard_take_seen(
    ngx_http_iclock_shard_t *shard, uint32_t database,
    ngx_http_iclock_seen_t *seen, ngx_uint_t *left);


/* what most uploads are about */

static const ngx_str_t  ngx_http_iclock_stamp_tables[] = {
    ngx_string("ATTLOG"),
    ngx_string("OPERLOG")
};

_Static_assert(sizeof(ngx_http_iclock_stamp_tables) / sizeof(ngx_str_t)
               == NGX_HTTP_ICLOCK_STAMPS, "ngx_http_iclock_stamp_tables[]");


void
ngx_http_iclock_zone_mark(ngx_http_iclock_zone_t *zone, ngx_str_t *sn)
{
    ngx_http_iclock_node_t   *node;
    ngx_http_iclock_shard_t  *shard;

    shard = ngx_http_iclock_zone_open(zone, sn, &node);

    if (node) {
        node->marked = 1;
    }

    ngx_http_iclock_zone_close(shard);

    ngx_log_debug2(NGX_LOG_DEBUG_HTTP, ngx_cycle->log, 0,
                   "iclock mark: device \"%V\", known:%d", sn, node != NULL);
}


void
ngx_http_iclock_zone_polled(ngx_http_iclock_zone_t *zone,
    ngx_http_iclock_visit_t *visit, ngx_uint_t news, ngx_uint_t more)
{
    ngx_http_iclock_node_t   *node;
    ngx_http_iclock_shard_t  *shard;

    shard = ngx_http_iclock_zone_open(zone, visit->sn, &node);

    if (node && news) {
        node->info = visit->info;
    }

    if (node && more) {
        node->marked = 1;
    }

    ngx_http_iclock_zone_close(shard);
}


/*
 * A stamp that the zone takes for stored though it is not makes a device send
 * again what it has sent: a look-up tells what is stored, and with a handshake
 * there always is one.
 */

void
ngx_http_iclock_zone_stamped(ngx_http_iclock_zone_t *zone,
    ngx_http_iclock_visit_t *visit, ngx_http_iclock_known_t *known)
{
    ngx_http_iclock_node_t   *node;
    ngx_http_iclock_shard_t  *shard;

    shard = ngx_http_iclock_zone_open(zone, visit->sn, &node);

    if (node && node->id == known->id && node->database == known->database
        && ngx_http_iclock_node_stamped(node))
    {
        ngx_http_iclock_node_stamps(node)[visit->table] = visit->stamp;
    }

    ngx_http_iclock_zone_close(shard);
}


/*
 * The time is part of the hash: what other servers do to a stamp is not
 * noticed for longer.
 */

uint32_t
ngx_http_iclock_zone_stamp(ngx_str_t *table, ngx_str_t *stamp, ngx_uint_t *n)
{
    time_t            period;
    uint32_t          hash;
    const ngx_str_t  *name;

    name = ngx_http_iclock_stamp_tables;

    for (*n = 0; *n < NGX_HTTP_ICLOCK_STAMPS; (*n)++) {

        if (name[*n].len != table->len
            || ngx_memcmp(name[*n].data, table->data, table->len) != 0)
        {
            continue;
        }

        period = ngx_time() / NGX_HTTP_ICLOCK_STAMPED;

        ngx_crc32_init(hash);
        ngx_crc32_update(&hash, stamp->data, stamp->len);
        ngx_crc32_update(&hash, (u_char *) &period, sizeof(time_t));
        ngx_crc32_final(hash);

        return hash ? hash : 1;
    }

    return 0;
}


void
ngx_http_iclock_zone_expire(ngx_http_iclock_zone_t *zone, ngx_str_t *sn)
{
    ngx_http_iclock_node_t   *node;
    ngx_http_iclock_shard_t  *shard;

    shard = ngx_http_iclock_zone_open(zone, sn, &node);

    shard->sh->changes++;

    if (node) {
        node->expired = 1;
        node->changed = shard->sh->changes;

    } else {
        /* it may be looked up at this moment */
        shard->sh->lost = shard->sh->changes;
    }

    ngx_http_iclock_zone_close(shard);
}


void
ngx_http_iclock_zone_expire_all(ngx_http_iclock_zone_t *zone)
{
    (void) ngx_atomic_fetch_add(&zone->sh->generation, 1);
}


ngx_int_t
ngx_http_iclock_zone_set_plain(ngx_http_iclock_zone_t *zone, ngx_str_t *sn)
{
    ngx_int_t                 rc;
    ngx_http_iclock_node_t   *node;
    ngx_http_iclock_shard_t  *shard;

    rc = NGX_DECLINED;

    shard = ngx_http_iclock_zone_open(zone, sn, &node);

    if (node && !node->plain) {
        node->plain = 1;
        rc = NGX_OK;
    }

    ngx_http_iclock_zone_close(shard);

    return rc;
}


/*
 * Devices that are returned queue up behind the others of their shard, and
 * each time another shard is the first: none waits for those of another one.
 */

ngx_uint_t
ngx_http_iclock_zone_take_seen(ngx_http_iclock_zone_t *zone,
    uint32_t database, ngx_http_iclock_seen_t *seen, ngx_uint_t n,
    ngx_uint_t *more)
{
    ngx_uint_t                i, k, left;
    ngx_http_iclock_shard_t  *shard;

    k = 0;
    left = n;
    *more = 0;

    for (i = 0; i < zone->nshards; i++) {
        shard = &zone->shards[(zone->next + i) & (zone->nshards - 1)];

        ngx_http_iclock_zone_lock(shard);

        k += ngx_http_iclock_shard_take_seen(shard, database, &seen[k],
                                             &left);

        if (!ngx_queue_empty(&shard->sh->unsaved)) {
            *more = 1;
        }

        ngx_http_iclock_zone_close(shard);
    }

    zone->next++;

    return k;
}


static ngx_uint_t
ngx_http_iclock_shard_take_seen(ngx_http_iclock_shard_t *shard,
    uint32_t database, ngx_http_iclock_seen_t *seen, ngx_uint_t *left)
{
    ngx_uint_t               i;
    ngx_queue_t             *q;
    ngx_http_iclock_node_t  *node;

    for (i = 0; *left && !ngx_queue_empty(&shard->sh->unsaved); (*left)--) {

        q = ngx_queue_head(&shard->sh->unsaved);
        ngx_queue_remove(q);

        node = ngx_queue_data(q, ngx_http_iclock_node_t, unsaved);
        node->dirty = 0;

        if (node->origin != shard->zone->origin
            || node->database != database)
        {
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
        node->seen = 0;
        node->denied = 0;
        ngx_memcpy(seen[i].sn, node->sn, node->len);
        i++;
    }

    return i;
}


void
ngx_http_iclock_zone_return_seen(ngx_http_iclock_zone_t *zone,
    ngx_http_iclock_seen_t *seen)
{
    ngx_str_t                 sn;
    ngx_http_iclock_node_t   *node;
    ngx_http_iclock_shard_t  *shard;

    sn.data = seen->sn;
    sn.len = seen->len;

    shard = ngx_http_iclock_zone_open(zone, &sn, &node);

    if (node && node->id == seen->id && (seen->seen || seen->denied)) {

        if (node->seen == 0) {
            node->seen = seen->seen;
        }

        if (node->denied == 0) {
            node->denied = seen->denied;
        }

        ngx_http_iclock_zone_note_seen(shard, node);
    }

    ngx_http_iclock_zone_close(shard);
}
