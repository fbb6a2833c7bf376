
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


#include "ngx_http_iclock.h"


/* to be raised with every change of the structures below */
#define NGX_HTTP_ICLOCK_ZONE_VERSION  1

/* seconds for which it is believed that a device may not speak */
#define NGX_HTTP_ICLOCK_RECHECK       30


/* at most 256 bytes, serial number included */
typedef struct {
    ngx_rbtree_node_t           node;
    ngx_queue_t                 queue;
    ngx_queue_t                 unsaved;
    int64_t                     id;
    uint32_t                    generation;
    uint32_t                    checked;    /* seconds */
    uint32_t                    seen;       /* seconds */
    uint32_t                    info;       /* hash of the last INFO */
    ngx_http_iclock_addr_t      addr;
    ngx_http_iclock_addr_t      refused;
    int16_t                     utc_offset; /* minutes */
    u_char                      status;
    u_char                      encoding;
    u_char                      len;
    unsigned                    networks:1;
    unsigned                    marked:1;
    unsigned                    expired:1;
    unsigned                    dirty:1;    /* in the unsaved queue */
    unsigned                    plain:1;    /* wanted to encrypt, in vain */
    u_char                      sn[1];
} ngx_http_iclock_node_t;


static ngx_int_t ngx_http_iclock_zone_init(ngx_shm_zone_t *shm_zone,
    void *data);
static void ngx_http_iclock_rbtree_insert(ngx_rbtree_node_t *temp,
    ngx_rbtree_node_t *node, ngx_rbtree_node_t *sentinel);
static ngx_int_t ngx_http_iclock_node_cmp(ngx_http_iclock_node_t *node,
    u_char *sn, size_t len);
static ngx_http_iclock_node_t *ngx_http_iclock_zone_lookup(
    ngx_http_iclock_zone_t *zone, ngx_str_t *sn);
static ngx_http_iclock_node_t *ngx_http_iclock_zone_create(
    ngx_http_iclock_zone_t *zone, ngx_str_t *sn, ngx_uint_t registered);
static ngx_int_t ngx_http_iclock_zone_evict(ngx_http_iclock_zone_t *zone,
    ngx_uint_t registered);
static void ngx_http_iclock_zone_free(ngx_http_iclock_zone_t *zone,
    ngx_http_iclock_node_t *node);
static void ngx_http_iclock_zone_enqueue(ngx_http_iclock_zone_t *zone,
    ngx_http_iclock_node_t *node);
static void ngx_http_iclock_zone_touch(ngx_http_iclock_zone_t *zone,
    ngx_http_iclock_node_t *node, ngx_http_iclock_addr_t *addr);
static ngx_uint_t ngx_http_iclock_zone_fresh(ngx_http_iclock_zone_t *zone,
    ngx_http_iclock_node_t *node, ngx_http_iclock_addr_t *addr);


static ngx_http_iclock_addr_t  ngx_http_iclock_no_addr;


char *
ngx_http_iclock_zone_directive(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_iclock_main_conf_t *imcf = conf;

    u_char     *p;
    ssize_t     size;
    ngx_str_t  *value, name, s;

    value = cf->args->elts;

    if (imcf->shm_zone) {
        return "is duplicate";
    }

    p = (u_char *) ngx_strchr(value[1].data, ':');

    if (p == NULL || p == value[1].data) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid value \"%V\" in \"iclock_zone\", it must "
                           "be name:size", &value[1]);
        return NGX_CONF_ERROR;
    }

    name.data = value[1].data;
    name.len = p - value[1].data;

    s.data = p + 1;
    s.len = value[1].data + value[1].len - s.data;

    size = ngx_parse_size(&s);

    if (size == NGX_ERROR || size < (ssize_t) (8 * ngx_pagesize)) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid zone size \"%V\" in \"iclock_zone\", it "
                           "must be at least %uz bytes", &value[1],
                           (size_t) (8 * ngx_pagesize));
        return NGX_CONF_ERROR;
    }

    imcf->zone = ngx_pcalloc(cf->pool, sizeof(ngx_http_iclock_zone_t));
    if (imcf->zone == NULL) {
        return NGX_CONF_ERROR;
    }

    imcf->shm_zone = ngx_shared_memory_add(cf, &name, size,
                                           &ngx_http_iclock_module);
    if (imcf->shm_zone == NULL) {
        return NGX_CONF_ERROR;
    }

    if (imcf->shm_zone->data) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "zone \"%V\" in \"iclock_zone\" is already bound",
                           &name);
        return NGX_CONF_ERROR;
    }

    imcf->shm_zone->init = ngx_http_iclock_zone_init;
    imcf->shm_zone->data = imcf->zone;

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_iclock_zone_init(ngx_shm_zone_t *shm_zone, void *data)
{
    ngx_http_iclock_zone_t *ozone = data;

    size_t                   len;
    ngx_uint_t               i;
    ngx_http_iclock_zone_t  *zone;

    zone = shm_zone->data;

    if (ozone) {

        if (ozone->sh->version != NGX_HTTP_ICLOCK_ZONE_VERSION) {
            ngx_log_error(NGX_LOG_EMERG, shm_zone->shm.log, 0,
                          "iclock zone \"%V\" has another layout, nginx has "
                          "to be restarted", &shm_zone->shm.name);
            return NGX_ERROR;
        }

        zone->sh = ozone->sh;
        zone->shpool = ozone->shpool;
        return NGX_OK;
    }

    zone->shpool = (ngx_slab_pool_t *) shm_zone->shm.addr;

    if (shm_zone->shm.exists) {
        zone->sh = zone->shpool->data;
        return NGX_OK;
    }

    zone->sh = ngx_slab_calloc(zone->shpool, sizeof(ngx_http_iclock_shctx_t));
    if (zone->sh == NULL) {
        return NGX_ERROR;
    }

    zone->shpool->data = zone->sh;
    zone->sh->version = NGX_HTTP_ICLOCK_ZONE_VERSION;
    zone->sh->generation = 1;

    for (i = 0; i < sizeof(zone->sh->salt); i++) {
        zone->sh->salt[i] = (u_char) ngx_random();
    }

    ngx_rbtree_init(&zone->sh->rbtree, &zone->sh->sentinel,
                    ngx_http_iclock_rbtree_insert);

    ngx_queue_init(&zone->sh->registered);
    ngx_queue_init(&zone->sh->unregistered);
    ngx_queue_init(&zone->sh->unsaved);

    len = sizeof(" in iclock_zone \"\"") + shm_zone->shm.name.len;

    zone->shpool->log_ctx = ngx_slab_alloc(zone->shpool, len);
    if (zone->shpool->log_ctx == NULL) {
        return NGX_ERROR;
    }

    ngx_sprintf(zone->shpool->log_ctx, " in iclock_zone \"%V\"%Z",
                &shm_zone->shm.name);

    zone->shpool->log_nomem = 0;

    return NGX_OK;
}


static void
ngx_http_iclock_rbtree_insert(ngx_rbtree_node_t *temp,
    ngx_rbtree_node_t *node, ngx_rbtree_node_t *sentinel)
{
    ngx_rbtree_node_t       **p;
    ngx_http_iclock_node_t   *n;

    n = (ngx_http_iclock_node_t *) node;

    for ( ;; ) {

        if (node->key != temp->key) {
            p = (node->key < temp->key) ? &temp->left : &temp->right;

        } else {
            p = (ngx_http_iclock_node_cmp((ngx_http_iclock_node_t *) temp,
                                          n->sn, n->len)
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
ngx_http_iclock_node_cmp(ngx_http_iclock_node_t *node, u_char *sn, size_t len)
{
    return ngx_memn2cmp(node->sn, sn, node->len, len);
}


static ngx_http_iclock_node_t *
ngx_http_iclock_zone_lookup(ngx_http_iclock_zone_t *zone, ngx_str_t *sn)
{
    uint32_t                 hash;
    ngx_int_t                rc;
    ngx_rbtree_node_t       *node, *sentinel;
    ngx_http_iclock_node_t  *n;

    hash = ngx_http_iclock_zone_hash(zone, sn);

    node = zone->sh->rbtree.root;
    sentinel = zone->sh->rbtree.sentinel;

    while (node != sentinel) {

        if (hash != node->key) {
            node = (hash < node->key) ? node->left : node->right;
            continue;
        }

        n = (ngx_http_iclock_node_t *) node;
        rc = ngx_http_iclock_node_cmp(n, sn->data, sn->len);

        if (rc == 0) {
            return n;
        }

        node = (rc > 0) ? node->left : node->right;
    }

    return NULL;
}


/* salted, so that nobody can choose serial numbers that collide */

uint32_t
ngx_http_iclock_zone_hash(ngx_http_iclock_zone_t *zone, ngx_str_t *s)
{
    uint32_t  hash;

    ngx_crc32_init(hash);
    ngx_crc32_update(&hash, zone->sh->salt, sizeof(zone->sh->salt));
    ngx_crc32_update(&hash, s->data, s->len);
    ngx_crc32_final(hash);

    return hash;
}


ngx_int_t
ngx_http_iclock_zone_find(ngx_http_iclock_zone_t *zone, ngx_str_t *sn,
    ngx_http_iclock_addr_t *addr, ngx_http_iclock_known_t *known)
{
    ngx_http_iclock_node_t  *node;

    ngx_shmtx_lock(&zone->shpool->mutex);

    node = ngx_http_iclock_zone_lookup(zone, sn);

    if (node == NULL) {
        ngx_shmtx_unlock(&zone->shpool->mutex);
        ngx_memzero(known, sizeof(ngx_http_iclock_known_t));
        return NGX_DECLINED;
    }

    known->id = node->id;
    known->status = node->status;
    known->utc_offset = node->utc_offset;
    known->encoding = node->encoding;
    known->marked = node->marked;
    known->fresh = ngx_http_iclock_zone_fresh(zone, node, addr);
    known->refused = (ngx_memcmp(&node->refused, &ngx_http_iclock_no_addr,
                                 sizeof(ngx_http_iclock_addr_t))
                      != 0
                      && ngx_memcmp(&node->refused, addr,
                                    sizeof(ngx_http_iclock_addr_t))
                         == 0);

    if (known->fresh && !known->refused) {
        ngx_http_iclock_zone_touch(zone, node, addr);
    }

    ngx_shmtx_unlock(&zone->shpool->mutex);

    return NGX_OK;
}


static ngx_uint_t
ngx_http_iclock_zone_fresh(ngx_http_iclock_zone_t *zone,
    ngx_http_iclock_node_t *node, ngx_http_iclock_addr_t *addr)
{
    if (node->expired || node->generation != zone->sh->generation) {
        return 0;
    }

    if (node->status != NGX_ICLOCK_DEVICE_ACTIVE
        && (uint32_t) ngx_time() - node->checked > NGX_HTTP_ICLOCK_RECHECK)
    {
        return 0;
    }

    /* networks are compared in PostgreSQL, so the address counts with them */

    return !node->networks
           || ngx_memcmp(&node->addr, addr, sizeof(ngx_http_iclock_addr_t))
              == 0;
}


static void
ngx_http_iclock_zone_touch(ngx_http_iclock_zone_t *zone,
    ngx_http_iclock_node_t *node, ngx_http_iclock_addr_t *addr)
{
    node->seen = (uint32_t) ngx_time();
    node->addr = *addr;

    ngx_queue_remove(&node->queue);
    ngx_http_iclock_zone_enqueue(zone, node);

    if (node->status == NGX_ICLOCK_DEVICE_UNKNOWN || node->dirty) {
        return;
    }

    node->dirty = 1;
    ngx_queue_insert_tail(&zone->sh->unsaved, &node->unsaved);
}


/* only an administrator makes a device registered */

static void
ngx_http_iclock_zone_enqueue(ngx_http_iclock_zone_t *zone,
    ngx_http_iclock_node_t *node)
{
    ngx_queue_insert_tail((node->status == NGX_ICLOCK_DEVICE_ACTIVE
                           || node->status == NGX_ICLOCK_DEVICE_BLOCKED)
                          ? &zone->sh->registered : &zone->sh->unregistered,
                          &node->queue);
}


void
ngx_http_iclock_zone_store(ngx_http_iclock_zone_t *zone, ngx_str_t *sn,
    ngx_iclock_device_t *device, ngx_http_iclock_addr_t *addr,
    ngx_uint_t status)
{
    ngx_uint_t               registered;
    ngx_http_iclock_node_t  *node;

    registered = (status == NGX_ICLOCK_DEVICE_ACTIVE
                  || status == NGX_ICLOCK_DEVICE_BLOCKED);

    ngx_shmtx_lock(&zone->shpool->mutex);

    node = ngx_http_iclock_zone_lookup(zone, sn);

    if (node) {
        ngx_queue_remove(&node->queue);

    } else {
        node = ngx_http_iclock_zone_create(zone, sn, registered);

        if (node == NULL) {
            ngx_shmtx_unlock(&zone->shpool->mutex);
            return;
        }
    }

    if (device && node->id != device->id) {
        node->info = 0;
    }

    node->id = device ? device->id : 0;
    node->utc_offset = device ? (int16_t) device->utc_offset : 0;
    node->networks = device ? device->networks : 0;
    node->encoding = device ? (u_char) ngx_iclock_encoding(&device->encoding,
                                                           &device->language)
                            : 0;
    node->status = (u_char) status;
    node->generation = zone->sh->generation;
    node->checked = (uint32_t) ngx_time();
    node->expired = 0;

    /* whether commands wait is found out by the next poll */
    node->marked = 1;

    ngx_http_iclock_zone_enqueue(zone, node);
    ngx_http_iclock_zone_touch(zone, node, addr);

    ngx_shmtx_unlock(&zone->shpool->mutex);
}


static ngx_http_iclock_node_t *
ngx_http_iclock_zone_create(ngx_http_iclock_zone_t *zone, ngx_str_t *sn,
    ngx_uint_t registered)
{
    size_t                   size;
    ngx_http_iclock_node_t  *node;

    size = offsetof(ngx_http_iclock_node_t, sn) + sn->len;

    while ((node = ngx_slab_calloc_locked(zone->shpool, size)) == NULL) {

        if (ngx_http_iclock_zone_evict(zone, registered) != NGX_OK) {
            return NULL;
        }
    }

    node->node.key = ngx_http_iclock_zone_hash(zone, sn);
    node->len = (u_char) sn->len;
    ngx_memcpy(node->sn, sn->data, sn->len);

    ngx_rbtree_insert(&zone->sh->rbtree, &node->node);
    zone->sh->nodes++;

    return node;
}


static ngx_int_t
ngx_http_iclock_zone_evict(ngx_http_iclock_zone_t *zone,
    ngx_uint_t registered)
{
    ngx_queue_t             *queue;
    ngx_http_iclock_node_t  *node;

    queue = &zone->sh->unregistered;

    if (ngx_queue_empty(queue)) {

        queue = &zone->sh->registered;

        if (!registered || ngx_queue_empty(queue)) {
            return NGX_DECLINED;
        }
    }

    node = ngx_queue_data(ngx_queue_head(queue), ngx_http_iclock_node_t,
                          queue);

    ngx_queue_remove(&node->queue);
    ngx_http_iclock_zone_free(zone, node);

    (void) ngx_atomic_fetch_add(&zone->sh->counters.evicted, 1);

    return NGX_OK;
}


static void
ngx_http_iclock_zone_free(ngx_http_iclock_zone_t *zone,
    ngx_http_iclock_node_t *node)
{
    if (node->dirty) {
        ngx_queue_remove(&node->unsaved);
    }

    ngx_rbtree_delete(&zone->sh->rbtree, &node->node);
    ngx_slab_free_locked(zone->shpool, node);
    zone->sh->nodes--;
}


ngx_int_t
ngx_http_iclock_zone_take_mark(ngx_http_iclock_zone_t *zone, ngx_str_t *sn)
{
    ngx_int_t                rc;
    ngx_http_iclock_node_t  *node;

    rc = NGX_DECLINED;

    ngx_shmtx_lock(&zone->shpool->mutex);

    node = ngx_http_iclock_zone_lookup(zone, sn);

    if (node == NULL || node->marked) {
        rc = NGX_OK;
    }

    if (node) {
        node->marked = 0;
    }

    ngx_shmtx_unlock(&zone->shpool->mutex);

    return rc;
}


void
ngx_http_iclock_zone_mark(ngx_http_iclock_zone_t *zone, ngx_str_t *sn)
{
    ngx_http_iclock_node_t  *node;

    ngx_shmtx_lock(&zone->shpool->mutex);

    node = ngx_http_iclock_zone_lookup(zone, sn);

    if (node) {
        node->marked = 1;
    }

    ngx_shmtx_unlock(&zone->shpool->mutex);
}


void
ngx_http_iclock_zone_expire(ngx_http_iclock_zone_t *zone, ngx_str_t *sn)
{
    ngx_http_iclock_node_t  *node;

    ngx_shmtx_lock(&zone->shpool->mutex);

    node = ngx_http_iclock_zone_lookup(zone, sn);

    if (node) {
        node->expired = 1;
    }

    ngx_shmtx_unlock(&zone->shpool->mutex);
}


void
ngx_http_iclock_zone_expire_all(ngx_http_iclock_zone_t *zone)
{
    ngx_shmtx_lock(&zone->shpool->mutex);

    zone->sh->generation++;

    ngx_shmtx_unlock(&zone->shpool->mutex);
}


void
ngx_http_iclock_zone_refuse(ngx_http_iclock_zone_t *zone, ngx_str_t *sn,
    ngx_http_iclock_addr_t *addr, ngx_uint_t refused)
{
    ngx_http_iclock_node_t  *node;

    ngx_shmtx_lock(&zone->shpool->mutex);

    node = ngx_http_iclock_zone_lookup(zone, sn);

    if (node && refused) {
        node->refused = *addr;

    } else if (node && ngx_memcmp(&node->refused, addr,
                                  sizeof(ngx_http_iclock_addr_t))
                       == 0)
    {
        node->refused = ngx_http_iclock_no_addr;
    }

    ngx_shmtx_unlock(&zone->shpool->mutex);
}


ngx_uint_t
ngx_http_iclock_zone_info_known(ngx_http_iclock_zone_t *zone, ngx_str_t *sn,
    uint32_t hash)
{
    ngx_uint_t               known;
    ngx_http_iclock_node_t  *node;

    ngx_shmtx_lock(&zone->shpool->mutex);

    node = ngx_http_iclock_zone_lookup(zone, sn);
    known = (node && node->info == hash);

    ngx_shmtx_unlock(&zone->shpool->mutex);

    return known;
}


void
ngx_http_iclock_zone_info_stored(ngx_http_iclock_zone_t *zone, ngx_str_t *sn,
    uint32_t hash)
{
    ngx_http_iclock_node_t  *node;

    ngx_shmtx_lock(&zone->shpool->mutex);

    node = ngx_http_iclock_zone_lookup(zone, sn);

    if (node) {
        node->info = hash;
    }

    ngx_shmtx_unlock(&zone->shpool->mutex);
}


ngx_uint_t
ngx_http_iclock_zone_plain(ngx_http_iclock_zone_t *zone, ngx_str_t *sn,
    ngx_uint_t set)
{
    ngx_uint_t               plain;
    ngx_http_iclock_node_t  *node;

    ngx_shmtx_lock(&zone->shpool->mutex);

    node = ngx_http_iclock_zone_lookup(zone, sn);
    plain = (node && node->plain);

    if (node && set) {
        node->plain = 1;
    }

    ngx_shmtx_unlock(&zone->shpool->mutex);

    return plain;
}


ngx_uint_t
ngx_http_iclock_zone_unsaved(ngx_http_iclock_zone_t *zone,
    ngx_http_iclock_seen_t *seen, ngx_uint_t n)
{
    ngx_uint_t               i;
    ngx_queue_t             *q;
    ngx_http_iclock_node_t  *node;

    i = 0;

    ngx_shmtx_lock(&zone->shpool->mutex);

    while (i < n && !ngx_queue_empty(&zone->sh->unsaved)) {

        q = ngx_queue_head(&zone->sh->unsaved);
        ngx_queue_remove(q);

        node = ngx_queue_data(q, ngx_http_iclock_node_t, unsaved);
        node->dirty = 0;

        seen[i].id = node->id;
        seen[i].seen = node->seen;
        seen[i].addr = node->addr;
        seen[i].len = node->len;
        ngx_memcpy(seen[i].sn, node->sn, node->len);
        i++;
    }

    ngx_shmtx_unlock(&zone->shpool->mutex);

    return i;
}


void
ngx_http_iclock_zone_unsave(ngx_http_iclock_zone_t *zone,
    ngx_http_iclock_seen_t *seen)
{
    ngx_str_t                sn;
    ngx_http_iclock_node_t  *node;

    sn.data = seen->sn;
    sn.len = seen->len;

    ngx_shmtx_lock(&zone->shpool->mutex);

    node = ngx_http_iclock_zone_lookup(zone, &sn);

    if (node && node->id == seen->id && !node->dirty) {
        node->dirty = 1;
        ngx_queue_insert_tail(&zone->sh->unsaved, &node->unsaved);
    }

    ngx_shmtx_unlock(&zone->shpool->mutex);
}


void
ngx_http_iclock_addr_set(ngx_http_iclock_addr_t *addr,
    struct sockaddr *sockaddr)
{
    struct sockaddr_in   *sin;
#if (NGX_HAVE_INET6)
    struct sockaddr_in6  *sin6;
#endif

    ngx_memzero(addr, sizeof(ngx_http_iclock_addr_t));

    switch (sockaddr->sa_family) {

    case AF_INET:
        sin = (struct sockaddr_in *) sockaddr;
        addr->data[10] = 0xff;
        addr->data[11] = 0xff;
        ngx_memcpy(&addr->data[12], &sin->sin_addr, 4);
        break;

#if (NGX_HAVE_INET6)
    case AF_INET6:
        sin6 = (struct sockaddr_in6 *) sockaddr;
        ngx_memcpy(addr->data, &sin6->sin6_addr, 16);
        break;
#endif

    default: /* AF_UNIX */
        break;
    }
}


ngx_int_t
ngx_http_iclock_addr_text(ngx_http_iclock_addr_t *addr, ngx_pool_t *pool,
    ngx_str_t *text)
{
    static u_char  mapped[] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };

    ngx_str_null(text);

    if (ngx_memcmp(addr, &ngx_http_iclock_no_addr,
                   sizeof(ngx_http_iclock_addr_t))
        == 0)
    {
        return NGX_OK;
    }

    text->data = ngx_pnalloc(pool, NGX_INET6_ADDRSTRLEN);
    if (text->data == NULL) {
        return NGX_ERROR;
    }

    if (ngx_memcmp(addr->data, mapped, sizeof(mapped)) == 0) {
        text->len = ngx_inet_ntop(AF_INET, &addr->data[12], text->data,
                                  NGX_INET6_ADDRSTRLEN);
        return NGX_OK;
    }

#if (NGX_HAVE_INET6)
    text->len = ngx_inet_ntop(AF_INET6, addr->data, text->data,
                              NGX_INET6_ADDRSTRLEN);
#endif

    return NGX_OK;
}
