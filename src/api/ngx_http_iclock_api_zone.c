
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


#include "ngx_http_iclock_api.h"

#include <openssl/crypto.h>


/* about 16,000 keys and addresses */
#define NGX_HTTP_ICLOCK_API_ZONE_SIZE  (4 * 1024 * 1024)

/* how long an id is believed to be unknown, in seconds */
#define NGX_HTTP_ICLOCK_API_UNKNOWN    10

/* of a meter: a minute */
#define NGX_HTTP_ICLOCK_API_MINUTE     60000000


/* a key, or an address that sends wrong ones */
typedef struct {
    ngx_rbtree_node_t           node;
    ngx_queue_t                 queue;
    uint64_t                    full;       /* the meter, in microseconds */
    uint32_t                    checked;    /* seconds */
    uint32_t                    generation;
    uint32_t                    scopes;
    uint32_t                    rate;
    uint32_t                    burst;
    u_char                      hash[NGX_HTTP_ICLOCK_API_KEY_HASH];
    u_char                      name[NGX_HTTP_ICLOCK_API_NAME];
    u_char                      type;
    u_char                      state;
    unsigned                    known:1;    /* PostgreSQL was asked */
} ngx_http_iclock_api_node_t;


/* fails to compile if a key takes more */
typedef u_char  ngx_http_iclock_api_node_fits_t[
    (sizeof(ngx_http_iclock_api_node_t) <= 256) ? 1 : -1];


static ngx_int_t ngx_http_iclock_api_zone_init(ngx_shm_zone_t *shm_zone,
    void *data);
static ngx_int_t ngx_http_iclock_api_zone_reset(
    ngx_http_iclock_api_zone_t *zone);
static void ngx_http_iclock_api_rbtree_insert(ngx_rbtree_node_t *temp,
    ngx_rbtree_node_t *node, ngx_rbtree_node_t *sentinel);
static ngx_int_t ngx_http_iclock_api_node_cmp(
    ngx_http_iclock_api_node_t *node, ngx_uint_t type, u_char *name);
static uint32_t ngx_http_iclock_api_node_key(ngx_uint_t type, u_char *name);
static ngx_http_iclock_api_node_t *ngx_http_iclock_api_zone_open(
    ngx_http_iclock_api_zone_t *zone, ngx_uint_t type, u_char *name);
static void ngx_http_iclock_api_zone_close(ngx_http_iclock_api_zone_t *zone);
static ngx_http_iclock_api_node_t *ngx_http_iclock_api_zone_node(
    ngx_http_iclock_api_zone_t *zone, ngx_uint_t type, u_char *name);
static ngx_int_t ngx_http_iclock_api_zone_evict(
    ngx_http_iclock_api_zone_t *zone);
static void ngx_http_iclock_api_zone_used(ngx_http_iclock_api_zone_t *zone,
    ngx_http_iclock_api_node_t *node);
static ngx_uint_t ngx_http_iclock_api_node_fresh(
    ngx_http_iclock_api_main_conf_t *amcf, ngx_http_iclock_api_node_t *node);


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

    return ngx_http_iclock_api_zone_reset(zone);
}


static ngx_int_t
ngx_http_iclock_api_zone_reset(ngx_http_iclock_api_zone_t *zone)
{
    ngx_http_iclock_api_shctx_t  *sh;

    static u_char  log_ctx[] = " in zone \"iclock_api\"";

    sh = ngx_slab_calloc(zone->shpool, sizeof(ngx_http_iclock_api_shctx_t));
    if (sh == NULL) {
        return NGX_ERROR;
    }

    zone->sh = sh;
    zone->shpool->data = sh;

    sh->generation = 1;

    ngx_rbtree_init(&sh->rbtree, &sh->sentinel,
                    ngx_http_iclock_api_rbtree_insert);

    ngx_queue_init(&sh->keys);
    ngx_queue_init(&sh->others);

    zone->shpool->log_ctx = ngx_slab_alloc(zone->shpool, sizeof(log_ctx));
    if (zone->shpool->log_ctx == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(zone->shpool->log_ctx, log_ctx, sizeof(log_ctx));

    zone->shpool->log_nomem = 0;

    return NGX_OK;
}


static void
ngx_http_iclock_api_rbtree_insert(ngx_rbtree_node_t *temp,
    ngx_rbtree_node_t *node, ngx_rbtree_node_t *sentinel)
{
    ngx_rbtree_node_t           **p;
    ngx_http_iclock_api_node_t   *n;

    n = (ngx_http_iclock_api_node_t *) node;

    for ( ;; ) {

        if (node->key != temp->key) {
            p = (node->key < temp->key) ? &temp->left : &temp->right;

        } else {
            p = (ngx_http_iclock_api_node_cmp(
                     (ngx_http_iclock_api_node_t *) temp, n->type, n->name)
                 > 0)
                ? &temp->left : &temp->right;
        }

        if (*p == sentinel) {
            break;
        }

        temp = *p;
    }

    *p = node;
    node->parent = temp;
    node->left = sentinel;
    node->right = sentinel;
    ngx_rbt_red(node);
}


static ngx_int_t
ngx_http_iclock_api_node_cmp(ngx_http_iclock_api_node_t *node,
    ngx_uint_t type, u_char *name)
{
    if (node->type != type) {
        return (node->type < type) ? -1 : 1;
    }

    return ngx_memcmp(node->name, name,
                      (type == NGX_HTTP_ICLOCK_API_KEY)
                      ? NGX_HTTP_ICLOCK_API_KEY_ID : NGX_HTTP_ICLOCK_API_NAME);
}


static uint32_t
ngx_http_iclock_api_node_key(ngx_uint_t type, u_char *name)
{
    return ngx_crc32_short(name, (type == NGX_HTTP_ICLOCK_API_KEY)
                                 ? NGX_HTTP_ICLOCK_API_KEY_ID
                                 : NGX_HTTP_ICLOCK_API_NAME);
}


/* locks the zone, and looks the name up; NULL: it is not there */

static ngx_http_iclock_api_node_t *
ngx_http_iclock_api_zone_open(ngx_http_iclock_api_zone_t *zone,
    ngx_uint_t type, u_char *name)
{
    uint32_t                     key;
    ngx_int_t                    rc;
    ngx_rbtree_node_t           *node, *sentinel;
    ngx_http_iclock_api_node_t  *n;

    key = ngx_http_iclock_api_node_key(type, name);

    ngx_shmtx_lock(&zone->shpool->mutex);

    node = zone->sh->rbtree.root;
    sentinel = zone->sh->rbtree.sentinel;

    while (node != sentinel) {

        if (key != node->key) {
            node = (key < node->key) ? node->left : node->right;
            continue;
        }

        n = (ngx_http_iclock_api_node_t *) node;
        rc = ngx_http_iclock_api_node_cmp(n, type, name);

        if (rc == 0) {
            return n;
        }

        node = (rc > 0) ? node->left : node->right;
    }

    return NULL;
}


static void
ngx_http_iclock_api_zone_close(ngx_http_iclock_api_zone_t *zone)
{
    ngx_shmtx_unlock(&zone->shpool->mutex);
}


/* a new node, while the zone is open; NULL: there is no room at all */

static ngx_http_iclock_api_node_t *
ngx_http_iclock_api_zone_node(ngx_http_iclock_api_zone_t *zone,
    ngx_uint_t type, u_char *name)
{
    ngx_http_iclock_api_node_t  *node;

    while ((node = ngx_slab_calloc_locked(zone->shpool,
                                          sizeof(ngx_http_iclock_api_node_t)))
           == NULL)
    {
        if (ngx_http_iclock_api_zone_evict(zone) != NGX_OK) {
            return NULL;
        }
    }

    node->node.key = ngx_http_iclock_api_node_key(type, name);
    node->type = (u_char) type;

    ngx_memcpy(node->name, name,
               (type == NGX_HTTP_ICLOCK_API_KEY) ? NGX_HTTP_ICLOCK_API_KEY_ID
                                                 : NGX_HTTP_ICLOCK_API_NAME);

    ngx_rbtree_insert(&zone->sh->rbtree, &node->node);
    ngx_queue_insert_tail(&zone->sh->others, &node->queue);
    zone->sh->nodes++;

    return node;
}


/* who guesses ids must not drive out those that exist */

static ngx_int_t
ngx_http_iclock_api_zone_evict(ngx_http_iclock_api_zone_t *zone)
{
    ngx_queue_t                 *queue;
    ngx_http_iclock_api_node_t  *node;

    queue = ngx_queue_empty(&zone->sh->others) ? &zone->sh->keys
                                               : &zone->sh->others;

    if (ngx_queue_empty(queue)) {
        return NGX_DECLINED;
    }

    node = ngx_queue_data(ngx_queue_head(queue), ngx_http_iclock_api_node_t,
                          queue);

    ngx_queue_remove(&node->queue);
    ngx_rbtree_delete(&zone->sh->rbtree, &node->node);
    ngx_slab_free_locked(zone->shpool, node);
    zone->sh->nodes--;

    return NGX_OK;
}


static void
ngx_http_iclock_api_zone_used(ngx_http_iclock_api_zone_t *zone,
    ngx_http_iclock_api_node_t *node)
{
    ngx_queue_remove(&node->queue);

    ngx_queue_insert_tail((node->state == NGX_HTTP_ICLOCK_API_KEY_UNKNOWN)
                          ? &zone->sh->others : &zone->sh->keys,
                          &node->queue);
}


static ngx_uint_t
ngx_http_iclock_api_node_fresh(ngx_http_iclock_api_main_conf_t *amcf,
    ngx_http_iclock_api_node_t *node)
{
    ngx_msec_t  age;

    if (!node->known || node->generation != amcf->zone->sh->generation) {
        return 0;
    }

    age = (ngx_msec_t) ((uint32_t) ngx_time() - node->checked) * 1000;

    if (node->state == NGX_HTTP_ICLOCK_API_KEY_UNKNOWN) {
        return age < NGX_HTTP_ICLOCK_API_UNKNOWN * 1000
               && age <= amcf->key_cache;
    }

    return age < amcf->key_cache;
}


ngx_int_t
ngx_http_iclock_api_zone_find(ngx_http_iclock_api_main_conf_t *amcf,
    u_char *id, ngx_http_iclock_api_key_t *key)
{
    ngx_int_t                    rc;
    ngx_http_iclock_api_node_t  *node;
    ngx_http_iclock_api_zone_t  *zone;

    zone = amcf->zone;

    ngx_memzero(key, sizeof(ngx_http_iclock_api_key_t));

    node = ngx_http_iclock_api_zone_open(zone, NGX_HTTP_ICLOCK_API_KEY, id);

    key->generation = zone->sh->generation;
    key->changes = zone->sh->changes;

    rc = NGX_DECLINED;

    if (node && ngx_http_iclock_api_node_fresh(amcf, node)) {
        key->state = node->state;
        key->scopes = node->scopes;
        key->rate = node->rate;
        key->burst = node->burst;
        ngx_memcpy(key->hash, node->hash, NGX_HTTP_ICLOCK_API_KEY_HASH);

        ngx_http_iclock_api_zone_used(zone, node);

        rc = NGX_OK;
    }

    ngx_http_iclock_api_zone_close(zone);

    return rc;
}


ngx_uint_t
ngx_http_iclock_api_zone_was(ngx_http_iclock_api_main_conf_t *amcf,
    u_char *id, u_char *hash)
{
    ngx_uint_t                   was;
    ngx_http_iclock_api_node_t  *node;

    node = ngx_http_iclock_api_zone_open(amcf->zone, NGX_HTTP_ICLOCK_API_KEY,
                                         id);

    was = node && node->state == NGX_HTTP_ICLOCK_API_KEY_ACTIVE
          && CRYPTO_memcmp(node->hash, hash, NGX_HTTP_ICLOCK_API_KEY_HASH)
             == 0;

    ngx_http_iclock_api_zone_close(amcf->zone);

    return was;
}


/* what has changed while PostgreSQL was asked is doubtful at once */

void
ngx_http_iclock_api_zone_store(ngx_http_iclock_api_main_conf_t *amcf,
    u_char *id, ngx_http_iclock_api_key_t *key)
{
    ngx_http_iclock_api_node_t  *node;
    ngx_http_iclock_api_zone_t  *zone;

    zone = amcf->zone;

    node = ngx_http_iclock_api_zone_open(zone, NGX_HTTP_ICLOCK_API_KEY, id);

    if (node == NULL) {
        node = ngx_http_iclock_api_zone_node(zone, NGX_HTTP_ICLOCK_API_KEY,
                                             id);
    }

    if (node) {
        node->state = (u_char) key->state;
        node->scopes = key->scopes;
        node->rate = key->rate;
        node->burst = key->burst;
        ngx_memcpy(node->hash, key->hash, NGX_HTTP_ICLOCK_API_KEY_HASH);

        node->generation = key->generation;
        node->checked = (uint32_t) ngx_time();
        node->known = (key->changes == zone->sh->changes);

        ngx_http_iclock_api_zone_used(zone, node);
    }

    ngx_http_iclock_api_zone_close(zone);
}


void
ngx_http_iclock_api_zone_drop(ngx_http_iclock_api_main_conf_t *amcf,
    ngx_str_t *id)
{
    ngx_http_iclock_api_node_t  *node;

    if (id->len != NGX_HTTP_ICLOCK_API_KEY_ID) {
        ngx_http_iclock_api_zone_drop_all(amcf);
        return;
    }

    node = ngx_http_iclock_api_zone_open(amcf->zone, NGX_HTTP_ICLOCK_API_KEY,
                                         id->data);

    amcf->zone->sh->changes++;

    /* the meter goes on */

    if (node) {
        node->known = 0;
    }

    ngx_http_iclock_api_zone_close(amcf->zone);
}


void
ngx_http_iclock_api_zone_drop_all(ngx_http_iclock_api_main_conf_t *amcf)
{
    ngx_shmtx_lock(&amcf->zone->shpool->mutex);

    amcf->zone->sh->generation++;
    amcf->zone->sh->changes++;

    ngx_shmtx_unlock(&amcf->zone->shpool->mutex);
}


/*
 * The generic cell rate algorithm: a node knows when all will be there again,
 * and each one that is taken moves that by its share of a minute.
 */

ngx_int_t
ngx_http_iclock_api_zone_meter(ngx_http_iclock_api_main_conf_t *amcf,
    ngx_uint_t type, u_char *name, ngx_uint_t n, ngx_uint_t rate,
    ngx_uint_t burst, ngx_http_iclock_api_meter_t *meter)
{
    uint64_t                     now, full, share, most;
    ngx_int_t                    rc;
    ngx_http_iclock_api_node_t  *node;

    now = (uint64_t) ngx_current_msec * 1000;
    share = NGX_HTTP_ICLOCK_API_MINUTE / rate;
    most = share * burst;

    node = ngx_http_iclock_api_zone_open(amcf->zone, type, name);

    if (node == NULL && n) {
        node = ngx_http_iclock_api_zone_node(amcf->zone, type, name);
    }

    full = (node && node->full > now) ? node->full : now;
    rc = (full + share * ngx_max(n, 1) > now + most) ? NGX_BUSY : NGX_OK;

    if (rc == NGX_OK) {
        full += share * n;
    }

    if (node && n) {
        node->full = full;
        ngx_http_iclock_api_zone_used(amcf->zone, node);
    }

    ngx_http_iclock_api_zone_close(amcf->zone);

    /* the burst may have been larger before */

    full -= now;

    meter->left = (full < most) ? (most - full) / share : 0;
    meter->full = (full + 999) / 1000;
    meter->wait = (full + share > most) ? (full + share - most + 999) / 1000
                                        : 0;

    return rc;
}
