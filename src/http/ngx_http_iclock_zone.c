
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


#include "ngx_http_iclock_zone.h"


static char *ngx_http_iclock_zone_add(ngx_conf_t *cf,
    ngx_http_iclock_main_conf_t *imcf, ngx_str_t *name, size_t size);
static ngx_int_t ngx_http_iclock_zone_init(ngx_shm_zone_t *shm_zone,
    void *data);
static ngx_int_t ngx_http_iclock_zone_salt(ngx_http_iclock_zone_t *zone,
    ngx_log_t *log);
static void ngx_http_iclock_rbtree_insert(ngx_rbtree_node_t *temp,
    ngx_rbtree_node_t *node, ngx_rbtree_node_t *sentinel);
static ngx_int_t ngx_http_iclock_node_cmp(ngx_http_iclock_node_t *node,
    u_char *sn, size_t len);
static ngx_int_t ngx_http_iclock_zone_evict(ngx_http_iclock_zone_t *zone,
    ngx_uint_t registered);
static void ngx_http_iclock_zone_free(ngx_http_iclock_zone_t *zone,
    ngx_http_iclock_node_t *node);


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

    return ngx_http_iclock_zone_add(cf, imcf, &name, size);
}


/* used if there is no directive: about 60,000 devices */

char *
ngx_http_iclock_zone_default(ngx_conf_t *cf,
    ngx_http_iclock_main_conf_t *imcf)
{
    ngx_str_t  name = ngx_string("iclock");

    if (imcf->shm_zone) {
        return NGX_CONF_OK;
    }

    return ngx_http_iclock_zone_add(cf, imcf, &name, 16 * 1024 * 1024);
}


static char *
ngx_http_iclock_zone_add(ngx_conf_t *cf, ngx_http_iclock_main_conf_t *imcf,
    ngx_str_t *name, size_t size)
{
    imcf->zone = ngx_pcalloc(cf->pool, sizeof(ngx_http_iclock_zone_t));
    if (imcf->zone == NULL) {
        return NGX_CONF_ERROR;
    }

    imcf->shm_zone = ngx_shared_memory_add(cf, name, size,
                                           &ngx_http_iclock_module);
    if (imcf->shm_zone == NULL) {
        return NGX_CONF_ERROR;
    }

    if (imcf->shm_zone->data) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "zone \"%V\" in \"iclock_zone\" is already bound",
                           name);
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
    ngx_http_iclock_zone_t  *zone;

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

    zone->sh = ngx_slab_calloc(zone->shpool, sizeof(ngx_http_iclock_shctx_t));
    if (zone->sh == NULL) {
        return NGX_ERROR;
    }

    zone->shpool->data = zone->sh;
    zone->sh->generation = 1;

    if (ngx_http_iclock_zone_salt(zone, shm_zone->shm.log) != NGX_OK) {
        return NGX_ERROR;
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


static ngx_int_t
ngx_http_iclock_zone_salt(ngx_http_iclock_zone_t *zone, ngx_log_t *log)
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

    n = ngx_read_fd(fd, zone->sh->salt, sizeof(zone->sh->salt));

    (void) ngx_close_file(fd);

    if (n != sizeof(zone->sh->salt)) {
        ngx_log_error(NGX_LOG_EMERG, log, ngx_errno,
                      ngx_read_fd_n " \"/dev/urandom\" failed");
        return NGX_ERROR;
    }

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


ngx_http_iclock_node_t *
ngx_http_iclock_zone_open(ngx_http_iclock_zone_t *zone, ngx_str_t *sn)
{
    uint32_t                 hash;
    ngx_int_t                rc;
    ngx_rbtree_node_t       *node, *sentinel;
    ngx_http_iclock_node_t  *n;

    /* those that collide are told apart, and the tree stays balanced */

    hash = ngx_crc32_long(sn->data, sn->len);

    ngx_shmtx_lock(&zone->shpool->mutex);

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


void
ngx_http_iclock_zone_close(ngx_http_iclock_zone_t *zone)
{
    ngx_shmtx_unlock(&zone->shpool->mutex);
}


ngx_http_iclock_node_t *
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

    node->node.key = ngx_crc32_long(sn->data, sn->len);
    node->len = (u_char) sn->len;
    node->changed = zone->sh->lost;
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

    ngx_iclock_count(EVICTIONS, 1);

    return NGX_OK;
}


static void
ngx_http_iclock_zone_free(ngx_http_iclock_zone_t *zone,
    ngx_http_iclock_node_t *node)
{
    if (node->dirty) {
        ngx_queue_remove(&node->unsaved);
    }

    zone->sh->lost = ngx_max(zone->sh->lost, node->changed);

    ngx_rbtree_delete(&zone->sh->rbtree, &node->node);
    ngx_slab_free_locked(zone->shpool, node);
    zone->sh->nodes--;
}


void
ngx_http_iclock_zone_enqueue(ngx_http_iclock_zone_t *zone,
    ngx_http_iclock_node_t *node)
{
    ngx_queue_insert_tail(ngx_http_iclock_registered(node)
                          ? &zone->sh->registered : &zone->sh->unregistered,
                          &node->queue);
}


void
ngx_http_iclock_zone_note_seen(ngx_http_iclock_zone_t *zone,
    ngx_http_iclock_node_t *node)
{
    if (!node->dirty) {
        node->dirty = 1;
        ngx_queue_insert_tail(&zone->sh->unsaved, &node->unsaved);
    }
}


void
ngx_http_iclock_zone_note_denied(ngx_http_iclock_zone_t *zone,
    ngx_http_iclock_node_t *node, ngx_uint_t outside)
{
    if (node->status == NGX_ICLOCK_DEVICE_UNKNOWN) {
        return;
    }

    node->denied = (uint32_t) ngx_time();
    node->outside = outside ? 1 : 0;

    ngx_http_iclock_zone_note_seen(zone, node);
}
