
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


#include "ngx_http_iclock.h"


/* seconds for which it is believed that a device may not speak */
#define NGX_HTTP_ICLOCK_RECHECK       30


/* at most 256 bytes with a serial number of NGX_HTTP_ICLOCK_MAX_SN */
typedef struct {
    ngx_rbtree_node_t           node;
    ngx_queue_t                 queue;
    ngx_queue_t                 unsaved;
    int64_t                     id;
    uint64_t                    changed;    /* number of the last change */
    uint32_t                    generation;
    uint32_t                    checked;    /* seconds */
    uint32_t                    seen;       /* seconds */
    uint32_t                    info;       /* hash of the last INFO */
    uint32_t                    banned;     /* seconds: outsider was seen */
    uint32_t                    origin;     /* configured database */
    uint32_t                    database;   /* that the id is of */
    uint16_t                    policy;     /* towards an unknown device */
    int16_t                     utc_offset; /* minutes */
    ngx_http_iclock_addr_t      addr;
    ngx_http_iclock_addr_t      refused;    /* it gave a wrong key */
    ngx_http_iclock_addr_t      outsider;   /* not in allowed_networks */
    ngx_http_iclock_digest_t    key;
    u_char                      status;
    u_char                      encoding;
    u_char                      len;
    unsigned                    networks:1;
    unsigned                    inside:1;   /* addr is in those networks */
    unsigned                    marked:1;
    unsigned                    expired:1;
    unsigned                    dirty:1;    /* in the unsaved queue */
    unsigned                    plain:1;    /* wanted to encrypt, in vain */
    unsigned                    own_key:1;
    u_char                      sn[1];
} ngx_http_iclock_node_t;


/* fails to compile if a device takes more */
typedef u_char  ngx_http_iclock_node_fits_t[
    (offsetof(ngx_http_iclock_node_t, sn) + NGX_HTTP_ICLOCK_MAX_SN <= 256)
    ? 1 : -1];


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
static ngx_uint_t ngx_http_iclock_zone_inside(ngx_http_iclock_node_t *node,
    ngx_http_iclock_visit_t *visit);
static ngx_uint_t ngx_http_iclock_zone_fresh(ngx_http_iclock_zone_t *zone,
    ngx_http_iclock_node_t *node, ngx_http_iclock_visit_t *visit);
static ngx_uint_t ngx_http_iclock_zone_judge(ngx_http_iclock_node_t *node,
    ngx_http_iclock_visit_t *visit, ngx_uint_t outsider, ngx_uint_t key);
static void ngx_http_iclock_zone_enter(ngx_http_iclock_zone_t *zone,
    ngx_http_iclock_node_t *node, ngx_http_iclock_visit_t *visit,
    ngx_http_iclock_known_t *known, ngx_uint_t key);
static void ngx_http_iclock_zone_describe(ngx_http_iclock_zone_t *zone,
    ngx_http_iclock_node_t *node, ngx_http_iclock_visit_t *visit,
    ngx_iclock_device_t *device);
static void ngx_http_iclock_zone_update(ngx_http_iclock_zone_t *zone,
    ngx_http_iclock_node_t *node, ngx_http_iclock_node_t *described,
    ngx_http_iclock_visit_t *visit, ngx_uint_t outsider);
static ngx_int_t ngx_http_iclock_zone_salt(ngx_http_iclock_zone_t *zone,
    ngx_log_t *log);


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


static ngx_http_iclock_node_t *
ngx_http_iclock_zone_lookup(ngx_http_iclock_zone_t *zone, ngx_str_t *sn)
{
    uint32_t                 hash;
    ngx_int_t                rc;
    ngx_rbtree_node_t       *node, *sentinel;
    ngx_http_iclock_node_t  *n;

    /* those that collide are told apart, and the tree stays balanced */

    hash = ngx_crc32_long(sn->data, sn->len);

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
ngx_http_iclock_zone_visit(ngx_http_iclock_zone_t *zone,
    ngx_http_iclock_visit_t *visit, ngx_http_iclock_known_t *known)
{
    ngx_uint_t               key, outsider;
    ngx_http_iclock_node_t  *node;

    ngx_memzero(known, sizeof(ngx_http_iclock_known_t));

    ngx_shmtx_lock(&zone->shpool->mutex);

    node = ngx_http_iclock_zone_lookup(zone, visit->sn);

    /* during a reload there may be workers with another database */

    if (node == NULL || node->origin != zone->origin) {
        ngx_shmtx_unlock(&zone->shpool->mutex);
        return;
    }

    known->id = node->id;
    known->database = node->database;
    known->status = node->status;
    known->utc_offset = node->utc_offset;
    known->encoding = node->encoding;
    known->plain = node->plain;

    outsider = !ngx_http_iclock_zone_inside(node, visit);
    key = ngx_http_iclock_key_compare(visit, node->own_key, &node->key);

    known->fresh = ngx_http_iclock_zone_fresh(zone, node, visit);
    known->verdict = ngx_http_iclock_zone_judge(node, visit, outsider, key);

    if (known->fresh) {
        ngx_http_iclock_zone_enter(zone, node, visit, known, key);
    }

    ngx_shmtx_unlock(&zone->shpool->mutex);
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
ngx_http_iclock_zone_fresh(ngx_http_iclock_zone_t *zone,
    ngx_http_iclock_node_t *node, ngx_http_iclock_visit_t *visit)
{
    if (visit->asks || node->expired
        || node->generation != zone->sh->generation
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
ngx_http_iclock_zone_enter(ngx_http_iclock_zone_t *zone,
    ngx_http_iclock_node_t *node, ngx_http_iclock_visit_t *visit,
    ngx_http_iclock_known_t *known, ngx_uint_t key)
{
    switch (known->verdict) {

    case NGX_HTTP_ICLOCK_BAD_NETWORK:
        return;

    case NGX_HTTP_ICLOCK_BAD_KEY:
        node->refused = visit->addr;
        return;

    default:

        if (key == NGX_HTTP_ICLOCK_KEY_RIGHT
            && ngx_http_iclock_addr_same(&node->refused, &visit->addr))
        {
            node->refused = ngx_http_iclock_no_addr;
        }
    }

    ngx_http_iclock_zone_touch(zone, node, &visit->addr);

    if (known->verdict != NGX_HTTP_ICLOCK_ADMITTED || !visit->polls) {
        return;
    }

    known->marked = node->marked;
    known->news = (visit->info && visit->info != node->info);
    node->marked = 0;
}


static void
ngx_http_iclock_zone_touch(ngx_http_iclock_zone_t *zone,
    ngx_http_iclock_node_t *node, ngx_http_iclock_addr_t *addr)
{
    node->seen = (uint32_t) ngx_time();
    node->addr = *addr;
    node->inside = 1;

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
ngx_http_iclock_zone_ask(ngx_http_iclock_zone_t *zone,
    ngx_http_iclock_visit_t *visit)
{
    ngx_shmtx_lock(&zone->shpool->mutex);

    visit->generation = zone->sh->generation;
    visit->changes = zone->sh->changes;

    ngx_shmtx_unlock(&zone->shpool->mutex);
}


void
ngx_http_iclock_zone_store(ngx_http_iclock_zone_t *zone,
    ngx_http_iclock_visit_t *visit, ngx_iclock_device_t *device,
    ngx_http_iclock_known_t *known)
{
    ngx_uint_t               key, outsider, registered;
    ngx_http_iclock_node_t  *node, described;

    ngx_memzero(&described, sizeof(ngx_http_iclock_node_t));
    ngx_http_iclock_zone_describe(zone, &described, visit, device);

    registered = (described.status == NGX_ICLOCK_DEVICE_ACTIVE
                  || described.status == NGX_ICLOCK_DEVICE_BLOCKED);

    outsider = (device && !device->allowed);
    key = ngx_http_iclock_key_compare(visit, described.own_key,
                                      &described.key);

    ngx_shmtx_lock(&zone->shpool->mutex);

    node = ngx_http_iclock_zone_lookup(zone, visit->sn);

    if (node) {
        ngx_queue_remove(&node->queue);

    } else {
        node = ngx_http_iclock_zone_create(zone, visit->sn, registered);
    }

    if (node) {
        ngx_http_iclock_zone_update(zone, node, &described, visit, outsider);
        known->plain = node->plain;

    } else {
        /* the zone is full: nothing is remembered */
        node = &described;
    }

    known->id = described.id;
    known->database = visit->database;
    known->status = described.status;
    known->utc_offset = described.utc_offset;
    known->encoding = described.encoding;
    known->verdict = ngx_http_iclock_zone_judge(node, visit, outsider, key);

    if (node != &described) {
        ngx_http_iclock_zone_enter(zone, node, visit, known, key);

    } else {
        known->marked = 1;
        known->news = (visit->info != 0);
    }

    ngx_shmtx_unlock(&zone->shpool->mutex);
}


/* what PostgreSQL says, as the zone keeps it */

static void
ngx_http_iclock_zone_describe(ngx_http_iclock_zone_t *zone,
    ngx_http_iclock_node_t *node, ngx_http_iclock_visit_t *visit,
    ngx_iclock_device_t *device)
{
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

    if (device->comm_key.len) {
        node->own_key = NGX_HTTP_ICLOCK_KEY_OWN;
        ngx_http_iclock_key_digest(zone, &device->comm_key, &node->key);
    }
}


/* takes the description over, but for what the zone knows better */

static void
ngx_http_iclock_zone_update(ngx_http_iclock_zone_t *zone,
    ngx_http_iclock_node_t *node, ngx_http_iclock_node_t *described,
    ngx_http_iclock_visit_t *visit, ngx_uint_t outsider)
{
    if (node->id != described->id || node->database != visit->database) {
        node->info = 0;
        node->inside = 0;
    }

    /* the networks may be others than those that this address was in */

    if (!node->networks || node->expired
        || node->generation != zone->sh->generation)
    {
        node->inside = 0;
    }

    node->origin = zone->origin;
    node->database = visit->database;

    node->id = described->id;
    node->status = described->status;
    node->utc_offset = described->utc_offset;
    node->networks = described->networks;
    node->encoding = described->encoding;
    node->policy = described->policy;
    node->own_key = described->own_key;
    node->key = described->key;

    /* it was read before what has been notified since */

    node->generation = visit->generation;
    node->expired = (node->changed > visit->changes);
    node->checked = (uint32_t) ngx_time();

    /* whether commands wait is found out by the next poll */
    node->marked = 1;

    if (outsider) {
        node->outsider = visit->addr;
        node->banned = node->checked;

        if (ngx_http_iclock_addr_same(&node->addr, &visit->addr)) {
            node->inside = 0;
        }
    }

    ngx_http_iclock_zone_enqueue(zone, node);
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

    zone->sh->lost = ngx_max(zone->sh->lost, node->changed);

    ngx_rbtree_delete(&zone->sh->rbtree, &node->node);
    ngx_slab_free_locked(zone->shpool, node);
    zone->sh->nodes--;
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

    zone->sh->changes++;

    if (node) {
        node->expired = 1;
        node->changed = zone->sh->changes;

    } else {
        /* it may be looked up at this moment */
        zone->sh->lost = zone->sh->changes;
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


ngx_int_t
ngx_http_iclock_zone_set_plain(ngx_http_iclock_zone_t *zone, ngx_str_t *sn)
{
    ngx_int_t                rc;
    ngx_http_iclock_node_t  *node;

    rc = NGX_DECLINED;

    ngx_shmtx_lock(&zone->shpool->mutex);

    node = ngx_http_iclock_zone_lookup(zone, sn);

    if (node && !node->plain) {
        node->plain = 1;
        rc = NGX_OK;
    }

    ngx_shmtx_unlock(&zone->shpool->mutex);

    return rc;
}


ngx_uint_t
ngx_http_iclock_zone_unsaved(ngx_http_iclock_zone_t *zone,
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
        seen[i].len = node->len;
        ngx_memcpy(seen[i].sn, node->sn, node->len);
        i++;
    }

    *more = !ngx_queue_empty(&zone->sh->unsaved);

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
