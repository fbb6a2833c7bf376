
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


#include "ngx_http_iclock_zone.h"


/* for how many seconds the zone believes that a device may not speak */
#define NGX_HTTP_ICLOCK_RECHECK  30

/* how exact presence is, and who is given up first: milliseconds */
#define NGX_HTTP_ICLOCK_TOUCHED  1000


static void ngx_http_iclock_zone_recognize(ngx_http_iclock_shard_t *shard,
    ngx_http_iclock_node_t *node, ngx_http_iclock_visit_t *visit,
    ngx_http_iclock_known_t *known);
static void ngx_http_iclock_zone_tell(ngx_http_iclock_node_t *node,
    ngx_http_iclock_known_t *known);
static ngx_uint_t ngx_http_iclock_zone_inside(ngx_http_iclock_node_t *node,
    ngx_http_iclock_visit_t *visit);
static ngx_uint_t ngx_http_iclock_zone_fresh(ngx_http_iclock_shard_t *shard,
    ngx_http_iclock_node_t *node, ngx_http_iclock_visit_t *visit);
static ngx_uint_t ngx_http_iclock_zone_judge(ngx_http_iclock_node_t *node,
    ngx_http_iclock_visit_t *visit, ngx_uint_t outsider, ngx_uint_t key);
static void ngx_http_iclock_zone_enter(ngx_http_iclock_shard_t *shard,
    ngx_http_iclock_node_t *node, ngx_http_iclock_visit_t *visit,
    ngx_http_iclock_known_t *known, ngx_uint_t key);
static void ngx_http_iclock_zone_touch(ngx_http_iclock_shard_t *shard,
    ngx_http_iclock_node_t *node, ngx_http_iclock_addr_t *addr);
static ngx_uint_t ngx_http_iclock_zone_touched(ngx_http_iclock_node_t *node,
    ngx_http_iclock_addr_t *addr, uint32_t now);
static void ngx_http_iclock_zone_describe(ngx_http_iclock_zone_t *zone,
    ngx_http_iclock_node_t *node, ngx_http_iclock_visit_t *visit,
    ngx_iclock_device_t *device);
static void ngx_http_iclock_zone_describe_stamps(
    ngx_http_iclock_node_t *node, ngx_array_t *stamps);
static void ngx_http_iclock_zone_update(ngx_http_iclock_shard_t *shard,
    ngx_http_iclock_node_t *node, ngx_http_iclock_node_t *described,
    ngx_http_iclock_visit_t *visit, ngx_uint_t outsider);


static ngx_http_iclock_addr_t  ngx_http_iclock_no_addr;


void
ngx_http_iclock_zone_visit(ngx_http_iclock_zone_t *zone,
    ngx_http_iclock_visit_t *visit, ngx_http_iclock_known_t *known)
{
    ngx_http_iclock_node_t   *node;
    ngx_http_iclock_shard_t  *shard;

    ngx_memzero(known, sizeof(ngx_http_iclock_known_t));

    shard = ngx_http_iclock_zone_open(zone, visit->sn, &node);

    /* if PostgreSQL has to be asked it is asked now */

    visit->generation = ngx_http_iclock_zone_generation(zone);
    visit->changes = shard->sh->changes;

    /* during a reload there may be workers with another database */

    if (node && node->origin == zone->origin) {
        ngx_http_iclock_zone_recognize(shard, node, visit, known);
    }

    ngx_http_iclock_zone_close(shard);
}


static void
ngx_http_iclock_zone_recognize(ngx_http_iclock_shard_t *shard,
    ngx_http_iclock_node_t *node, ngx_http_iclock_visit_t *visit,
    ngx_http_iclock_known_t *known)
{
    ngx_uint_t  key, outsider;

    ngx_http_iclock_zone_tell(node, known);

    outsider = !ngx_http_iclock_zone_inside(node, visit);
    key = ngx_http_iclock_key_compare(visit, node->own_key, &node->key);

    known->fresh = ngx_http_iclock_zone_fresh(shard, node, visit);
    known->verdict = ngx_http_iclock_zone_judge(node, visit, outsider, key);

    if (known->fresh) {
        ngx_http_iclock_zone_enter(shard, node, visit, known, key);
    }
}


static void
ngx_http_iclock_zone_tell(ngx_http_iclock_node_t *node,
    ngx_http_iclock_known_t *known)
{
    known->id = node->id;
    known->database = node->database;
    known->status = node->status;
    known->utc_offset = node->utc_offset;
    known->encoding = node->encoding;
    known->plain = node->plain;
}


/* networks are compared in PostgreSQL, so the address counts with them */

static ngx_uint_t
ngx_http_iclock_zone_inside(ngx_http_iclock_node_t *node,
    ngx_http_iclock_visit_t *visit)
{
    return !node->networks
           || (node->inside
               && ngx_http_iclock_addr_same(&node->addr, &visit->addr));
}


static ngx_uint_t
ngx_http_iclock_zone_fresh(ngx_http_iclock_shard_t *shard,
    ngx_http_iclock_node_t *node, ngx_http_iclock_visit_t *visit)
{
    if (visit->asks || node->expired
        || node->generation != ngx_http_iclock_zone_generation(shard->zone)
        || (visit->database && visit->database != node->database))
    {
        return 0;
    }

    if (node->status != NGX_ICLOCK_DEVICE_ACTIVE
        && (uint32_t) ngx_time() - node->checked > NGX_HTTP_ICLOCK_RECHECK)
    {
        return 0;
    }

    /* another location may do something else with unknown devices */

    if (node->status == NGX_ICLOCK_DEVICE_UNKNOWN) {
        return node->policy == visit->policy;
    }

    if (ngx_http_iclock_zone_inside(node, visit)) {
        return 1;
    }

    return ngx_http_iclock_addr_same(&node->outsider, &visit->addr)
           && (uint32_t) ngx_time() - node->banned <= NGX_HTTP_ICLOCK_RECHECK;
}


static ngx_uint_t
ngx_http_iclock_zone_judge(ngx_http_iclock_node_t *node,
    ngx_http_iclock_visit_t *visit, ngx_uint_t outsider, ngx_uint_t key)
{
    if (outsider) {
        return NGX_HTTP_ICLOCK_BAD_NETWORK;
    }

    if (key == NGX_HTTP_ICLOCK_KEY_WRONG) {
        return NGX_HTTP_ICLOCK_BAD_KEY;
    }

    if (key == NGX_HTTP_ICLOCK_KEY_ABSENT
        && (visit->key_needed
            || ngx_http_iclock_addr_same(&node->refused, &visit->addr)))
    {
        return NGX_HTTP_ICLOCK_BAD_KEY;
    }

    switch (node->status) {

    case NGX_ICLOCK_DEVICE_ACTIVE:
        return NGX_HTTP_ICLOCK_ADMITTED;

    case NGX_ICLOCK_DEVICE_BLOCKED:
        return NGX_HTTP_ICLOCK_BLOCKED;

    case NGX_ICLOCK_DEVICE_UNKNOWN:
        return (visit->unknown_devices == NGX_HTTP_ICLOCK_REJECT)
               ? NGX_HTTP_ICLOCK_STRANGER : NGX_HTTP_ICLOCK_UNRECORDED;

    default: /* NGX_ICLOCK_DEVICE_PENDING */
        return NGX_HTTP_ICLOCK_PENDING;
    }
}


/* what the visit leaves behind */

static void
ngx_http_iclock_zone_enter(ngx_http_iclock_shard_t *shard,
    ngx_http_iclock_node_t *node, ngx_http_iclock_visit_t *visit,
    ngx_http_iclock_known_t *known, ngx_uint_t key)
{
    switch (known->verdict) {

    case NGX_HTTP_ICLOCK_BAD_NETWORK:
        ngx_http_iclock_zone_note_denied(shard, node, 1);
        return;

    case NGX_HTTP_ICLOCK_BAD_KEY:
        node->refused = visit->addr;
        ngx_http_iclock_zone_note_denied(shard, node, 0);
        return;

    default:

        if (key == NGX_HTTP_ICLOCK_KEY_RIGHT
            && ngx_http_iclock_addr_same(&node->refused, &visit->addr))
        {
            node->refused = ngx_http_iclock_no_addr;
        }
    }

    ngx_http_iclock_zone_touch(shard, node, &visit->addr);

    if (known->verdict != NGX_HTTP_ICLOCK_ADMITTED) {
        return;
    }

    known->stamped = (visit->stamp && ngx_http_iclock_node_stamped(node)
                      && ngx_http_iclock_node_stamps(node)[visit->table]
                         == visit->stamp);

    if (!visit->polls) {
        return;
    }

    known->marked = node->marked;
    known->news = (visit->info && visit->info != node->info);

    if (node->marked) {
        node->marked = 0;
    }
}


/*
 * Memory that is written has to be fetched anew by the processors of all other
 * workers, that of the neighbours in the list, too: a second is exact enough.
 */

static void
ngx_http_iclock_zone_touch(ngx_http_iclock_shard_t *shard,
    ngx_http_iclock_node_t *node, ngx_http_iclock_addr_t *addr)
{
    uint32_t  now;

    now = ngx_http_iclock_moment();

    if (ngx_http_iclock_zone_touched(node, addr, now)) {
        return;
    }

    node->seen = now;
    node->addr = *addr;

    if (!node->inside) {
        node->inside = 1;
    }

    ngx_queue_remove(&node->queue);
    ngx_http_iclock_zone_enqueue(shard, node);

    if (node->status != NGX_ICLOCK_DEVICE_UNKNOWN) {
        ngx_http_iclock_zone_note_seen(shard, node);
    }
}


/*
 * Whether all of it was noted less than a second ago.  What has been saved is
 * noted again, and so is who was refused meanwhile: it was served since.
 */

static ngx_uint_t
ngx_http_iclock_zone_touched(ngx_http_iclock_node_t *node,
    ngx_http_iclock_addr_t *addr, uint32_t now)
{
    if (node->seen == 0 || now - node->seen >= NGX_HTTP_ICLOCK_TOUCHED
        || node->denied || !node->inside)
    {
        return 0;
    }

    if (!node->dirty && node->status != NGX_ICLOCK_DEVICE_UNKNOWN) {
        return 0;
    }

    return ngx_memcmp(&node->addr, addr, sizeof(ngx_http_iclock_addr_t)) == 0;
}


void
ngx_http_iclock_zone_store(ngx_http_iclock_zone_t *zone,
    ngx_http_iclock_visit_t *visit, ngx_iclock_device_t *device,
    ngx_http_iclock_known_t *known)
{
    ngx_uint_t                key, outsider;
    ngx_http_iclock_node_t   *node, described;
    ngx_http_iclock_shard_t  *shard;

    ngx_memzero(&described, sizeof(ngx_http_iclock_node_t));
    ngx_http_iclock_zone_describe(zone, &described, visit, device);

    outsider = (device && !device->allowed);
    key = ngx_http_iclock_key_compare(visit, described.own_key,
                                      &described.key);

    shard = ngx_http_iclock_zone_open(zone, visit->sn, &node);

    if (node) {
        ngx_queue_remove(&node->queue);

    } else {
        node = ngx_http_iclock_zone_create(shard, visit->sn,
                                      ngx_http_iclock_registered(&described));
    }

    if (node) {
        ngx_http_iclock_zone_update(shard, node, &described, visit, outsider);
        ngx_http_iclock_zone_tell(node, known);

        known->verdict = ngx_http_iclock_zone_judge(node, visit, outsider,
                                                    key);

        ngx_http_iclock_zone_enter(shard, node, visit, known, key);

    } else {
        /* the zone is full: nothing is remembered */

        ngx_http_iclock_zone_tell(&described, known);

        known->verdict = ngx_http_iclock_zone_judge(&described, visit,
                                                    outsider, key);
        known->marked = 1;
        known->news = (visit->info != 0);
    }

    ngx_http_iclock_zone_close(shard);
}


/* what PostgreSQL says, as the zone keeps it */

static void
ngx_http_iclock_zone_describe(ngx_http_iclock_zone_t *zone,
    ngx_http_iclock_node_t *node, ngx_http_iclock_visit_t *visit,
    ngx_iclock_device_t *device)
{
    node->database = visit->database;
    node->policy = visit->policy;

    if (device == NULL) {
        node->status = NGX_ICLOCK_DEVICE_UNKNOWN;
        return;
    }

    node->id = device->id;
    node->status = (u_char) device->status;
    node->utc_offset = (int16_t) device->utc_offset;
    node->networks = device->networks ? 1 : 0;
    node->encoding = (u_char) ngx_iclock_encoding(&device->encoding,
                                                  &device->language);

    ngx_http_iclock_zone_describe_stamps(node, &device->stamps);

    if (device->comm_key.len) {
        node->own_key = NGX_HTTP_ICLOCK_KEY_OWN;
        ngx_http_iclock_key_digest(zone, &device->comm_key, &node->key);
    }
}


static void
ngx_http_iclock_zone_describe_stamps(ngx_http_iclock_node_t *node,
    ngx_array_t *stamps)
{
    uint32_t       hash;
    ngx_uint_t     i, n;
    ngx_keyval_t  *kv;

    kv = stamps->elts;

    for (i = 0; i < stamps->nelts; i++) {
        hash = ngx_http_iclock_zone_stamp(&kv[i].key, &kv[i].value, &n);

        if (hash) {
            ngx_http_iclock_node_stamps(node)[n] = hash;
        }
    }
}


/* takes the description over, but for what the zone knows better */

static void
ngx_http_iclock_zone_update(ngx_http_iclock_shard_t *shard,
    ngx_http_iclock_node_t *node, ngx_http_iclock_node_t *described,
    ngx_http_iclock_visit_t *visit, ngx_uint_t outsider)
{
    if (node->id != described->id || node->database != described->database) {
        node->info = 0;
        node->inside = 0;
    }

    /* the networks may be others than those that this address was in */

    if (!node->networks || node->expired
        || node->generation != ngx_http_iclock_zone_generation(shard->zone))
    {
        node->inside = 0;
    }

    node->origin = shard->zone->origin;
    node->database = described->database;
    node->id = described->id;
    node->status = described->status;
    node->utc_offset = described->utc_offset;
    node->networks = described->networks;
    node->encoding = described->encoding;
    node->policy = described->policy;
    node->own_key = described->own_key;
    node->key = described->key;

    if (ngx_http_iclock_node_stamped(node)) {
        ngx_memcpy(ngx_http_iclock_node_stamps(node),
                   ngx_http_iclock_node_stamps(described),
                   NGX_HTTP_ICLOCK_STAMPS * sizeof(uint32_t));
    }

    /* it was read before what has been notified since */

    node->generation = visit->generation;
    node->expired = (node->changed > visit->changes);
    node->checked = (uint32_t) ngx_time();

    /* the next poll finds out whether commands wait */
    node->marked = 1;

    if (outsider) {
        node->outsider = visit->addr;
        node->banned = node->checked;

        if (ngx_http_iclock_addr_same(&node->addr, &visit->addr)) {
            node->inside = 0;
        }
    }

    ngx_http_iclock_zone_enqueue(shard, node);
}
