
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


#include "ngx_http_iclock_api_ring.h"


/* streams whose keys are counted */
#define NGX_HTTP_ICLOCK_API_SLOTS    8192

/* keys that were notified last */
#define NGX_HTTP_ICLOCK_API_CHANGED  32

/* how long it is filled after the last stream has ended, in seconds */
#define NGX_HTTP_ICLOCK_API_WANTED   5


typedef struct {
    ngx_pid_t                   pid;        /* 0: free */
    u_char                      id[NGX_HTTP_ICLOCK_API_KEY_ID];
} ngx_http_iclock_api_slot_t;


struct ngx_http_iclock_api_ring_sh_s {
    ngx_pid_t                   owner;
    uint32_t                    epoch;
    ngx_uint_t                  filled;
    time_t                      wanted;

    /* bytes that were ever written, and the first of those that are there */
    uint64_t                    head;
    uint64_t                    tail;
    size_t                      size;

    size_t                      place_len;
    u_char                      place[NGX_HTTP_ICLOCK_API_PLACE];

    ngx_atomic_t                changes;
    u_char                      changed[NGX_HTTP_ICLOCK_API_CHANGED]
                                       [NGX_HTTP_ICLOCK_API_KEY_ID];

    ngx_http_iclock_api_slot_t  slots[NGX_HTTP_ICLOCK_API_SLOTS];

    u_char                      data[8];
};


static ngx_int_t ngx_http_iclock_api_ring_init(ngx_shm_zone_t *shm_zone,
    void *data);
static ngx_uint_t ngx_http_iclock_api_slot_used(
    ngx_http_iclock_api_slot_t *slot);
static void ngx_http_iclock_api_ring_note(ngx_http_iclock_api_ring_sh_t *sh,
    ngx_str_t *place);
static void ngx_http_iclock_api_ring_write(
    ngx_http_iclock_api_ring_sh_t *sh, u_char *records, size_t len);
static void ngx_http_iclock_api_ring_read(ngx_http_iclock_api_ring_sh_t *sh,
    uint64_t from, u_char *p, size_t len);


#define ngx_http_iclock_api_ring_lock(ring)                                  \
    ngx_shmtx_lock(&(ring)->shpool->mutex)

#define ngx_http_iclock_api_ring_unlock(ring)                                \
    ngx_shmtx_unlock(&(ring)->shpool->mutex)


ngx_int_t
ngx_http_iclock_api_ring_add(ngx_conf_t *cf,
    ngx_http_iclock_api_main_conf_t *amcf)
{
    size_t                       size;
    ngx_shm_zone_t              *shm_zone;
    ngx_http_iclock_api_ring_t  *ring;

    static ngx_str_t  name = ngx_string("iclock_stream");

    ring = ngx_pcalloc(cf->pool, sizeof(ngx_http_iclock_api_ring_t));
    if (ring == NULL) {
        return NGX_ERROR;
    }

    ring->size = ngx_align(amcf->stream_buffer, 8);

    /* pages need descriptors */

    size = ring->size + sizeof(ngx_http_iclock_api_ring_sh_t);
    size += size / 64 + 16 * ngx_pagesize;

    shm_zone = ngx_shared_memory_add(cf, &name, size,
                                     &ngx_http_iclock_api_module);
    if (shm_zone == NULL) {
        return NGX_ERROR;
    }

    shm_zone->init = ngx_http_iclock_api_ring_init;
    shm_zone->data = ring;

    amcf->ring = ring;

    return NGX_OK;
}


static ngx_int_t
ngx_http_iclock_api_ring_init(ngx_shm_zone_t *shm_zone, void *data)
{
    ngx_http_iclock_api_ring_t *oring = data;

    ngx_http_iclock_api_ring_t  *ring;

    ring = shm_zone->data;

    if (oring) {
        ring->sh = oring->sh;
        ring->shpool = oring->shpool;
        return NGX_OK;
    }

    ring->shpool = (ngx_slab_pool_t *) shm_zone->shm.addr;

    if (shm_zone->shm.exists) {
        ring->sh = ring->shpool->data;
        return NGX_OK;
    }

    ring->sh = ngx_slab_calloc(ring->shpool,
                               sizeof(ngx_http_iclock_api_ring_sh_t)
                               + ring->size);
    if (ring->sh == NULL) {
        return NGX_ERROR;
    }

    ring->shpool->data = ring->sh;
    ring->sh->size = ring->size;

    return NGX_OK;
}


void
ngx_http_iclock_api_ring_own(ngx_http_iclock_api_ring_t *ring)
{
    ngx_uint_t                   i;
    ngx_http_iclock_api_slot_t  *slots;

    slots = ring->sh->slots;

    ngx_http_iclock_api_ring_lock(ring);

    ring->sh->owner = ngx_pid;
    ring->sh->filled = 0;

    for (i = 0; i < NGX_HTTP_ICLOCK_API_SLOTS; i++) {
        if (!ngx_http_iclock_api_slot_used(&slots[i])) {
            slots[i].pid = 0;
        }
    }

    ngx_http_iclock_api_ring_unlock(ring);
}


/* a worker that was killed gives nothing back */

static ngx_uint_t
ngx_http_iclock_api_slot_used(ngx_http_iclock_api_slot_t *slot)
{
    return slot->pid
           && (slot->pid == ngx_pid || kill(slot->pid, 0) == 0
               || ngx_errno != NGX_ESRCH);
}


void
ngx_http_iclock_api_ring_begin(ngx_http_iclock_api_ring_t *ring,
    ngx_str_t *place)
{
    ngx_http_iclock_api_ring_lock(ring);

    if (ring->sh->owner == ngx_pid) {
        ring->sh->filled = 1;
        ring->sh->epoch++;
        ring->sh->tail = ring->sh->head;
        ngx_http_iclock_api_ring_note(ring->sh, place);
    }

    ngx_http_iclock_api_ring_unlock(ring);
}


void
ngx_http_iclock_api_ring_end(ngx_http_iclock_api_ring_t *ring)
{
    ngx_http_iclock_api_ring_lock(ring);

    if (ring->sh->owner == ngx_pid) {
        ring->sh->filled = 0;
    }

    ngx_http_iclock_api_ring_unlock(ring);
}


static void
ngx_http_iclock_api_ring_note(ngx_http_iclock_api_ring_sh_t *sh,
    ngx_str_t *place)
{
    sh->place_len = ngx_min(place->len, NGX_HTTP_ICLOCK_API_PLACE);
    ngx_memcpy(sh->place, place->data, sh->place_len);
}


ngx_int_t
ngx_http_iclock_api_ring_publish(ngx_http_iclock_api_ring_t *ring,
    u_char *records, size_t len, ngx_str_t *place)
{
    ngx_http_iclock_api_ring_sh_t  *sh;

    sh = ring->sh;

    ngx_http_iclock_api_ring_lock(ring);

    if (sh->owner != ngx_pid || !sh->filled) {
        ngx_http_iclock_api_ring_unlock(ring);
        return NGX_DECLINED;
    }

    if (len > sh->size) {
        /* readers find it in the feed */
        sh->epoch++;
        sh->tail = sh->head;

    } else {
        ngx_http_iclock_api_ring_write(sh, records, len);
    }

    /* at last: if we are killed before, these come once more */

    ngx_http_iclock_api_ring_note(sh, place);

    ngx_http_iclock_api_ring_unlock(ring);

    return NGX_OK;
}


static void
ngx_http_iclock_api_ring_write(ngx_http_iclock_api_ring_sh_t *sh,
    u_char *records, size_t len)
{
    size_t                        at, n;
    ngx_http_iclock_api_record_t  rec;

    /* the oldest records make room */

    while (sh->head + len - sh->tail > sh->size) {
        ngx_http_iclock_api_ring_read(sh, sh->tail, (u_char *) &rec,
                                      sizeof(ngx_http_iclock_api_record_t));
        sh->tail += rec.size;
    }

    at = sh->head % sh->size;
    n = ngx_min(len, sh->size - at);

    ngx_memcpy(sh->data + at, records, n);
    ngx_memcpy(sh->data, records + n, len - n);

    sh->head += len;
}


static void
ngx_http_iclock_api_ring_read(ngx_http_iclock_api_ring_sh_t *sh,
    uint64_t from, u_char *p, size_t len)
{
    size_t  at, n;

    at = from % sh->size;
    n = ngx_min(len, sh->size - at);

    ngx_memcpy(p, sh->data + at, n);
    ngx_memcpy(p + n, sh->data, len - n);
}


void
ngx_http_iclock_api_ring_mark(ngx_http_iclock_api_ring_t *ring,
    ngx_http_iclock_api_mark_t *mark, ngx_str_t *place)
{
    ngx_http_iclock_api_ring_sh_t  *sh;

    sh = ring->sh;

    ngx_http_iclock_api_ring_lock(ring);

    mark->position = sh->head;
    mark->epoch = sh->filled ? sh->epoch : 0;

    place->len = sh->place_len;
    ngx_memcpy(place->data, sh->place, place->len);

    ngx_http_iclock_api_ring_unlock(ring);
}


ngx_int_t
ngx_http_iclock_api_ring_copy(ngx_http_iclock_api_ring_t *ring,
    ngx_http_iclock_api_mark_t *from, uint64_t to, u_char **records,
    ngx_log_t *log)
{
    u_char                         *p;
    ngx_int_t                       rc;
    ngx_http_iclock_api_ring_sh_t  *sh;

    sh = ring->sh;
    *records = NULL;

    /* positions of other epochs may be anything */

    if (to < from->position || to - from->position > sh->size) {
        return NGX_DECLINED;
    }

    p = ngx_alloc(to - from->position + 1, log);
    if (p == NULL) {
        return NGX_DECLINED;
    }

    ngx_http_iclock_api_ring_lock(ring);

    rc = NGX_DECLINED;

    if (sh->filled && sh->epoch == from->epoch && sh->tail <= from->position) {
        ngx_http_iclock_api_ring_read(sh, from->position, p,
                                      to - from->position);
        rc = NGX_OK;
    }

    ngx_http_iclock_api_ring_unlock(ring);

    if (rc != NGX_OK) {
        ngx_free(p);
        return rc;
    }

    *records = p;

    return NGX_OK;
}


void
ngx_http_iclock_api_ring_want(ngx_http_iclock_api_ring_t *ring)
{
    ring->sh->wanted = ngx_time();
}


ngx_uint_t
ngx_http_iclock_api_ring_wanted(ngx_http_iclock_api_ring_t *ring)
{
    return ngx_time() - ring->sh->wanted <= NGX_HTTP_ICLOCK_API_WANTED;
}


ngx_int_t
ngx_http_iclock_api_ring_enter(ngx_http_iclock_api_ring_t *ring, u_char *id,
    ngx_int_t *slot)
{
    ngx_uint_t                   i, n;
    ngx_http_iclock_api_slot_t  *slots;

    slots = ring->sh->slots;
    n = 0;

    /* with more streams than slots those that come last are not counted */
    *slot = -1;

    ngx_http_iclock_api_ring_lock(ring);

    for (i = 0; i < NGX_HTTP_ICLOCK_API_SLOTS; i++) {

        if (slots[i].pid
            && ngx_memcmp(slots[i].id, id, NGX_HTTP_ICLOCK_API_KEY_ID) == 0)
        {
            if (ngx_http_iclock_api_slot_used(&slots[i])) {
                n++;
                continue;
            }

            slots[i].pid = 0;
        }

        if (slots[i].pid == 0 && *slot == -1) {
            *slot = i;
        }
    }

    if (n < NGX_HTTP_ICLOCK_API_STREAMS && *slot != -1) {
        slots[*slot].pid = ngx_pid;
        ngx_memcpy(slots[*slot].id, id, NGX_HTTP_ICLOCK_API_KEY_ID);
    }

    ngx_http_iclock_api_ring_unlock(ring);

    return (n < NGX_HTTP_ICLOCK_API_STREAMS) ? NGX_OK : NGX_BUSY;
}


void
ngx_http_iclock_api_ring_leave(ngx_http_iclock_api_ring_t *ring,
    ngx_int_t slot)
{
    if (slot != -1) {
        ring->sh->slots[slot].pid = 0;
    }
}


void
ngx_http_iclock_api_ring_key(ngx_http_iclock_api_ring_t *ring, ngx_str_t *id)
{
    ngx_http_iclock_api_ring_sh_t  *sh;

    sh = ring->sh;

    ngx_http_iclock_api_ring_lock(ring);

    if (id && id->len == NGX_HTTP_ICLOCK_API_KEY_ID) {
        ngx_memcpy(sh->changed[sh->changes % NGX_HTTP_ICLOCK_API_CHANGED],
                   id->data, NGX_HTTP_ICLOCK_API_KEY_ID);
        sh->changes++;

    } else {
        sh->changes += NGX_HTTP_ICLOCK_API_CHANGED + 1;
    }

    ngx_http_iclock_api_ring_unlock(ring);
}


uint64_t
ngx_http_iclock_api_ring_changes(ngx_http_iclock_api_ring_t *ring)
{
    return ring->sh->changes;
}


ngx_uint_t
ngx_http_iclock_api_ring_changed(ngx_http_iclock_api_ring_t *ring, u_char *id,
    uint64_t *since)
{
    ngx_uint_t                      changed;
    ngx_http_iclock_api_ring_sh_t  *sh;

    sh = ring->sh;

    if (*since == sh->changes) {
        return 0;
    }

    ngx_http_iclock_api_ring_lock(ring);

    changed = sh->changes - *since > NGX_HTTP_ICLOCK_API_CHANGED;

    for ( /* void */ ; !changed && *since < sh->changes; (*since)++) {

        changed = ngx_memcmp(sh->changed[*since % NGX_HTTP_ICLOCK_API_CHANGED],
                             id, NGX_HTTP_ICLOCK_API_KEY_ID)
                  == 0;
    }

    *since = sh->changes;

    ngx_http_iclock_api_ring_unlock(ring);

    return changed;
}
