
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


#include "ngx_http_iclock_zone.h"


/* shards of a zone that has so many pages for each of them; else one */
#define NGX_HTTP_ICLOCK_SHARDS       16
#define NGX_HTTP_ICLOCK_SHARD_PAGES  64

/* the smallest zone, and the memory of what all shards share */
#define NGX_HTTP_ICLOCK_ZONE_PAGES   8


static char *ngx_http_iclock_zone_add(ngx_conf_t *cf,
    ngx_http_iclock_main_conf_t *imcf, ngx_str_t *name, size_t size);
static ngx_shm_zone_t *ngx_http_iclock_zone_memory(ngx_conf_t *cf,
    ngx_str_t *name, size_t size, void *tag);
static char *ngx_http_iclock_zone_shards(ngx_conf_t *cf,
    ngx_http_iclock_zone_t *zone, ngx_str_t *name, size_t size);
static ngx_int_t ngx_http_iclock_zone_init(ngx_shm_zone_t *shm_zone,
    void *data);
static ngx_int_t ngx_http_iclock_zone_salt(ngx_http_iclock_shctx_t *sh,
    ngx_log_t *log);
static ngx_int_t ngx_http_iclock_shard_init(ngx_shm_zone_t *shm_zone,
    void *data);
static void *ngx_http_iclock_zone_found(ngx_shm_zone_t *shm_zone, void *data);
static void *ngx_http_iclock_zone_begin(ngx_shm_zone_t *shm_zone, size_t size);
static void ngx_http_iclock_devices_init(ngx_http_iclock_devices_t *devices);
static void ngx_http_iclock_rbtree_insert(ngx_rbtree_node_t *temp,
    ngx_rbtree_node_t *node, ngx_rbtree_node_t *sentinel);
static ngx_int_t ngx_http_iclock_node_cmp(ngx_http_iclock_node_t *node,
    u_char *sn, size_t len);
static ngx_int_t ngx_http_iclock_zone_evict(ngx_http_iclock_shard_t *shard,
    ngx_uint_t registered);
static void ngx_http_iclock_zone_free(ngx_http_iclock_shard_t *shard,
    ngx_http_iclock_node_t *node);


/* its address: nginx gives no memory of a zone with shards to one without */
static ngx_uint_t  ngx_http_iclock_shard;


char *
ngx_http_iclock_zone_directive(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_iclock_main_conf_t *imcf = conf;

    u_char     *p;
    size_t      least;
    ssize_t     size;
    ngx_str_t  *value, name, s;

    value = cf->args->elts;

    if (imcf->zone) {
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
    least = NGX_HTTP_ICLOCK_ZONE_PAGES * ngx_pagesize;

    if (size == NGX_ERROR || size < (ssize_t) least) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid zone size \"%V\" in \"iclock_zone\", it "
                           "must be at least %uz bytes", &value[1], least);
        return NGX_CONF_ERROR;
    }

    return ngx_http_iclock_zone_add(cf, imcf, &name, size);
}


/* used if there is no directive: about 60,000 devices */

char *
ngx_http_iclock_zone_default(ngx_conf_t *cf,
    ngx_http_iclock_main_conf_t *imcf)
{
    ngx_str_t  name = ngx_string("iclock");

    if (imcf->zone) {
        return NGX_CONF_OK;
    }

    return ngx_http_iclock_zone_add(cf, imcf, &name, 16 * 1024 * 1024);
}


static char *
ngx_http_iclock_zone_add(ngx_conf_t *cf, ngx_http_iclock_main_conf_t *imcf,
    ngx_str_t *name, size_t size)
{
    void                    *tag;
    size_t                   rest;
    ngx_http_iclock_zone_t  *zone;

    zone = ngx_pcalloc(cf->pool, sizeof(ngx_http_iclock_zone_t));
    if (zone == NULL) {
        return NGX_CONF_ERROR;
    }

    rest = 0;
    tag = &ngx_http_iclock_module;
    zone->nshards = 1;

    if (size / ngx_pagesize
        >= NGX_HTTP_ICLOCK_SHARDS * NGX_HTTP_ICLOCK_SHARD_PAGES)
    {
        tag = &ngx_http_iclock_shard;
        zone->nshards = NGX_HTTP_ICLOCK_SHARDS;

        rest = size - NGX_HTTP_ICLOCK_ZONE_PAGES * ngx_pagesize;
        size -= rest;
    }

    zone->shm_zone = ngx_http_iclock_zone_memory(cf, name, size, tag);
    if (zone->shm_zone == NULL) {
        return NGX_CONF_ERROR;
    }

    zone->shm_zone->init = ngx_http_iclock_zone_init;
    zone->shm_zone->data = zone;

    imcf->zone = zone;

    return ngx_http_iclock_zone_shards(cf, zone, name, rest);
}


static ngx_shm_zone_t *
ngx_http_iclock_zone_memory(ngx_conf_t *cf, ngx_str_t *name, size_t size,
    void *tag)
{
    ngx_shm_zone_t  *shm_zone;

    shm_zone = ngx_shared_memory_add(cf, name, size, tag);
    if (shm_zone == NULL) {
        return NULL;
    }

    if (shm_zone->data) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "zone \"%V\" in \"iclock_zone\" is already bound",
                           name);
        return NULL;
    }

    return shm_zone;
}


/*
 * The only shard lives in the zone that has the name.  Of many, nginx takes
 * those over that have the same size as before.  What is in them relies on the
 * salt and on the generation: these are always taken over then, since their
 * memory has the same size in any zone with shards.
 */

static char *
ngx_http_iclock_zone_shards(ngx_conf_t *cf, ngx_http_iclock_zone_t *zone,
    ngx_str_t *name, size_t size)
{
    size_t                    part;
    ngx_str_t                 s;
    ngx_uint_t                i;
    ngx_shm_zone_t           *shm_zone;
    ngx_http_iclock_shard_t  *shard;

    zone->shards = ngx_pcalloc(cf->pool, zone->nshards
                                         * sizeof(ngx_http_iclock_shard_t));
    if (zone->shards == NULL) {
        return NGX_CONF_ERROR;
    }

    for (i = 0; i < zone->nshards; i++) {
        shard = &zone->shards[i];
        shard->zone = zone;

        if (zone->nshards == 1) {
            shard->shm_zone = zone->shm_zone;
            break;
        }

        s.data = ngx_pnalloc(cf->pool, name->len + 1 + NGX_INT_T_LEN);
        if (s.data == NULL) {
            return NGX_CONF_ERROR;
        }

        s.len = ngx_sprintf(s.data, "%V/%ui", name, i) - s.data;

        part = size / (zone->nshards - i);
        size -= part;

        shm_zone = ngx_http_iclock_zone_memory(cf, &s, part,
                                               &ngx_http_iclock_shard);
        if (shm_zone == NULL) {
            return NGX_CONF_ERROR;
        }

        shm_zone->init = ngx_http_iclock_shard_init;
        shm_zone->data = shard;
        shard->shm_zone = shm_zone;
    }

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_iclock_zone_init(ngx_shm_zone_t *shm_zone, void *data)
{
    ngx_http_iclock_zone_t  *zone;

    zone = shm_zone->data;
    zone->sh = ngx_http_iclock_zone_found(shm_zone, data);

    if (zone->sh == NULL) {
        zone->sh = ngx_http_iclock_zone_begin(shm_zone,
                                              sizeof(ngx_http_iclock_shctx_t));

        if (zone->sh == NULL
            || ngx_http_iclock_zone_salt(zone->sh, shm_zone->shm.log)
               != NGX_OK)
        {
            return NGX_ERROR;
        }

        zone->sh->generation = 1;
        ngx_http_iclock_devices_init(&zone->sh->devices);
    }

    if (zone->nshards == 1) {
        zone->shards[0].sh = &zone->sh->devices;
        zone->shards[0].shpool = (ngx_slab_pool_t *) shm_zone->shm.addr;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_iclock_zone_salt(ngx_http_iclock_shctx_t *sh, ngx_log_t *log)
{
    ssize_t   n;
    ngx_fd_t  fd;

    fd = ngx_open_file((u_char *) "/dev/urandom", NGX_FILE_RDONLY,
                       NGX_FILE_OPEN, 0);

    if (fd == NGX_INVALID_FILE) {
        ngx_log_error(NGX_LOG_EMERG, log, ngx_errno,
                      ngx_open_file_n " \"/dev/urandom\" failed");
        return NGX_ERROR;
    }

    n = ngx_read_fd(fd, sh->salt, sizeof(sh->salt));

    (void) ngx_close_file(fd);

    if (n != sizeof(sh->salt)) {
        ngx_log_error(NGX_LOG_EMERG, log, ngx_errno,
                      ngx_read_fd_n " \"/dev/urandom\" failed");
        return NGX_ERROR;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_iclock_shard_init(ngx_shm_zone_t *shm_zone, void *data)
{
    ngx_http_iclock_shard_t  *shard;

    shard = shm_zone->data;
    shard->shpool = (ngx_slab_pool_t *) shm_zone->shm.addr;
    shard->sh = ngx_http_iclock_zone_found(shm_zone, data);

    if (shard->sh) {
        return NGX_OK;
    }

    shard->sh = ngx_http_iclock_zone_begin(shm_zone,
                                           sizeof(ngx_http_iclock_devices_t));
    if (shard->sh == NULL) {
        return NGX_ERROR;
    }

    ngx_http_iclock_devices_init(shard->sh);

    return NGX_OK;
}


/* what a former configuration has left there; NULL: nothing */

static void *
ngx_http_iclock_zone_found(ngx_shm_zone_t *shm_zone, void *data)
{
    ngx_slab_pool_t  *shpool;

    shpool = (ngx_slab_pool_t *) shm_zone->shm.addr;

    return (data || shm_zone->shm.exists) ? shpool->data : NULL;
}


static void *
ngx_http_iclock_zone_begin(ngx_shm_zone_t *shm_zone, size_t size)
{
    size_t            len;
    ngx_slab_pool_t  *shpool;

    shpool = (ngx_slab_pool_t *) shm_zone->shm.addr;

    shpool->data = ngx_slab_calloc(shpool, size);
    if (shpool->data == NULL) {
        return NULL;
    }

    len = sizeof(" in iclock_zone \"\"") + shm_zone->shm.name.len;

    shpool->log_ctx = ngx_slab_alloc(shpool, len);
    if (shpool->log_ctx == NULL) {
        return NULL;
    }

    ngx_sprintf(shpool->log_ctx, " in iclock_zone \"%V\"%Z",
                &shm_zone->shm.name);

    shpool->log_nomem = 0;

    return shpool->data;
}


static void
ngx_http_iclock_devices_init(ngx_http_iclock_devices_t *devices)
{
    ngx_rbtree_init(&devices->rbtree, &devices->sentinel,
                    ngx_http_iclock_rbtree_insert);

    ngx_queue_init(&devices->registered);
    ngx_queue_init(&devices->unregistered);
    ngx_queue_init(&devices->unsaved);
}


void
ngx_http_iclock_zone_usage(ngx_http_iclock_zone_t *zone,
    ngx_http_iclock_usage_t *usage)
{
    ngx_uint_t                i;
    ngx_slab_pool_t          *shpool;
    ngx_http_iclock_shard_t  *shard;

    ngx_memzero(usage, sizeof(ngx_http_iclock_usage_t));

    if (zone->nshards > 1) {
        shpool = (ngx_slab_pool_t *) zone->shm_zone->shm.addr;

        usage->size = zone->shm_zone->shm.size;
        usage->used = usage->size - shpool->pfree * ngx_pagesize;
    }

    for (i = 0; i < zone->nshards; i++) {
        shard = &zone->shards[i];

        usage->size += shard->shm_zone->shm.size;
        usage->used += shard->shm_zone->shm.size
                       - shard->shpool->pfree * ngx_pagesize;
        usage->devices += shard->sh->nodes;
    }
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


ngx_http_iclock_shard_t *
ngx_http_iclock_zone_open(ngx_http_iclock_zone_t *zone, ngx_str_t *sn,
    ngx_http_iclock_node_t **found)
{
    uint32_t                  hash;
    ngx_int_t                 rc;
    ngx_rbtree_node_t        *node, *sentinel;
    ngx_http_iclock_node_t   *n;
    ngx_http_iclock_shard_t  *shard;

    /* those that collide are told apart, and the tree stays balanced */

    hash = ngx_crc32_long(sn->data, sn->len);

    /* numbers that follow one another are spread evenly */

    shard = &zone->shards[hash & (zone->nshards - 1)];

    *found = NULL;

    ngx_http_iclock_zone_lock(shard);

    node = shard->sh->rbtree.root;
    sentinel = shard->sh->rbtree.sentinel;

    while (node != sentinel) {

        if (hash != node->key) {
            node = (hash < node->key) ? node->left : node->right;
            continue;
        }

        n = (ngx_http_iclock_node_t *) node;
        rc = ngx_http_iclock_node_cmp(n, sn->data, sn->len);

        if (rc == 0) {
            *found = n;
            break;
        }

        node = (rc > 0) ? node->left : node->right;
    }

    return shard;
}


void
ngx_http_iclock_zone_lock(ngx_http_iclock_shard_t *shard)
{
    if (ngx_shmtx_trylock(&shard->shpool->mutex)) {
        return;
    }

    ngx_iclock_count(ZONE_WAITS, 1);

    ngx_shmtx_lock(&shard->shpool->mutex);
}


void
ngx_http_iclock_zone_close(ngx_http_iclock_shard_t *shard)
{
    ngx_shmtx_unlock(&shard->shpool->mutex);
}


ngx_http_iclock_node_t *
ngx_http_iclock_zone_create(ngx_http_iclock_shard_t *shard, ngx_str_t *sn,
    ngx_uint_t registered)
{
    ngx_http_iclock_node_t  *node;

    for ( ;; ) {

        node = ngx_slab_calloc_locked(shard->shpool,
                                      sizeof(ngx_http_iclock_node_t));
        if (node) {
            break;
        }

        if (ngx_http_iclock_zone_evict(shard, registered) != NGX_OK) {
            return NULL;
        }
    }

    node->node.key = ngx_crc32_long(sn->data, sn->len);
    node->len = (u_char) sn->len;
    node->changed = shard->sh->lost;
    ngx_memcpy(node->sn, sn->data, sn->len);

    ngx_rbtree_insert(&shard->sh->rbtree, &node->node);
    shard->sh->nodes++;

    return node;
}


static ngx_int_t
ngx_http_iclock_zone_evict(ngx_http_iclock_shard_t *shard,
    ngx_uint_t registered)
{
    ngx_queue_t             *queue;
    ngx_http_iclock_node_t  *node;

    queue = &shard->sh->unregistered;

    if (ngx_queue_empty(queue)) {

        queue = &shard->sh->registered;

        if (!registered || ngx_queue_empty(queue)) {
            return NGX_DECLINED;
        }
    }

    node = ngx_queue_data(ngx_queue_head(queue), ngx_http_iclock_node_t,
                          queue);

    ngx_queue_remove(&node->queue);
    ngx_http_iclock_zone_free(shard, node);

    ngx_iclock_count(EVICTIONS, 1);

    return NGX_OK;
}


static void
ngx_http_iclock_zone_free(ngx_http_iclock_shard_t *shard,
    ngx_http_iclock_node_t *node)
{
    if (node->dirty) {
        ngx_queue_remove(&node->unsaved);
    }

    shard->sh->lost = ngx_max(shard->sh->lost, node->changed);

    ngx_rbtree_delete(&shard->sh->rbtree, &node->node);
    ngx_slab_free_locked(shard->shpool, node);
    shard->sh->nodes--;
}


void
ngx_http_iclock_zone_enqueue(ngx_http_iclock_shard_t *shard,
    ngx_http_iclock_node_t *node)
{
    ngx_queue_insert_tail(ngx_http_iclock_registered(node)
                          ? &shard->sh->registered : &shard->sh->unregistered,
                          &node->queue);
}


void
ngx_http_iclock_zone_note_seen(ngx_http_iclock_shard_t *shard,
    ngx_http_iclock_node_t *node)
{
    if (!node->dirty) {
        node->dirty = 1;
        ngx_queue_insert_tail(&shard->sh->unsaved, &node->unsaved);
    }
}


void
ngx_http_iclock_zone_note_denied(ngx_http_iclock_shard_t *shard,
    ngx_http_iclock_node_t *node, ngx_uint_t outside)
{
    if (node->status == NGX_ICLOCK_DEVICE_UNKNOWN) {
        return;
    }

    node->denied = ngx_http_iclock_moment();
    node->outside = outside ? 1 : 0;

    ngx_http_iclock_zone_note_seen(shard, node);
}
