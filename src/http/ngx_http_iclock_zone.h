
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


/* devices as the shared zone has them: for its own files only */


#ifndef _NGX_HTTP_ICLOCK_ZONE_H_INCLUDED_
#define _NGX_HTTP_ICLOCK_ZONE_H_INCLUDED_


#include "ngx_http_iclock.h"


/*
 * 256 bytes: what the allocator takes for any of them, four lines of the cache.
 * Who looks for a device reads the first line of others.  A poll without
 * anything to note reads the first three of its own, and what moves a device to
 * the end of its list writes to the third one of its neighbours.
 */
typedef struct {
    ngx_rbtree_node_t           node;
    int64_t                     id;
    uint32_t                    generation;
    uint32_t                    origin;     /* configured database */
    uint32_t                    database;   /* of the id */
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
    unsigned                    outside:1;  /* denied for its address */

    union {
        u_char                  sn[NGX_HTTP_ICLOCK_MAX_SN];
        uint32_t                words[NGX_HTTP_ICLOCK_MAX_SN / 4];
    };

    uint32_t                    seen;       /* moment: to be saved; 0: no */
    uint32_t                    denied;     /* moment: to be saved; 0: no */
    uint32_t                    info;       /* hash of the last INFO */
    ngx_http_iclock_addr_t      addr;
    uint16_t                    policy;     /* towards an unknown device */
    int16_t                     utc_offset; /* minutes */
    uint32_t                    checked;    /* seconds */
    uint32_t                    banned;     /* seconds: outsider was seen */
    uint64_t                    changed;    /* number of the last change */
    ngx_queue_t                 queue;

    ngx_queue_t                 unsaved;
    ngx_http_iclock_addr_t      refused;    /* it gave a wrong key */
    ngx_http_iclock_addr_t      outsider;   /* not in allowed_networks */
    ngx_http_iclock_digest_t    key;
} ngx_http_iclock_node_t;


/* fails to compile if a device takes more */
typedef u_char  ngx_http_iclock_node_fits_t[
    (sizeof(ngx_http_iclock_node_t) <= 256) ? 1 : -1];

_Static_assert(NGX_PTR_SIZE != 8
               || (offsetof(ngx_http_iclock_node_t, sn) == 64
                   && offsetof(ngx_http_iclock_node_t, seen) == 128
                   && offsetof(ngx_http_iclock_node_t, unsaved) == 192),
               "lines of ngx_http_iclock_node_t");


/*
 * The stamps that are stored, behind the serial number: hashes, 0 for none.
 * The longest serial numbers leave no room for them.
 */

#define ngx_http_iclock_node_stamps(node)                                    \
    (&(node)->words[NGX_HTTP_ICLOCK_MAX_SN / 4 - NGX_HTTP_ICLOCK_STAMPS])

#define ngx_http_iclock_node_stamped(node)                                   \
    ((node)->len <= NGX_HTTP_ICLOCK_MAX_SN - 4 * NGX_HTTP_ICLOCK_STAMPS)


/* only an administrator makes a device registered */
#define ngx_http_iclock_registered(node)                                     \
    ((node)->status == NGX_ICLOCK_DEVICE_ACTIVE                              \
     || (node)->status == NGX_ICLOCK_DEVICE_BLOCKED)


/* a change of it may be missed by who looks at it at the same time */
#define ngx_http_iclock_zone_generation(zone)                                \
    ((uint32_t) (zone)->sh->generation)


/*
 * Locks the shard that the device belongs to, and looks the device up; node
 * becomes NULL if it is not there.
 */
ngx_http_iclock_shard_t *ngx_http_iclock_zone_open(
    ngx_http_iclock_zone_t *zone, ngx_str_t *sn,
    ngx_http_iclock_node_t **node);
void ngx_http_iclock_zone_close(ngx_http_iclock_shard_t *shard);

/* without looking for any device; it is closed as others are */
void ngx_http_iclock_zone_lock(ngx_http_iclock_shard_t *shard);

/* those below: while the shard is open */

/* a node in no queue; NULL: there is no room for such a device */
ngx_http_iclock_node_t *ngx_http_iclock_zone_create(
    ngx_http_iclock_shard_t *shard, ngx_str_t *sn, ngx_uint_t registered);

/* the last one to be given up; it must be in no queue */
void ngx_http_iclock_zone_enqueue(ngx_http_iclock_shard_t *shard,
    ngx_http_iclock_node_t *node);

/* its presence is to be saved */
void ngx_http_iclock_zone_note_seen(ngx_http_iclock_shard_t *shard,
    ngx_http_iclock_node_t *node);

/* that it was refused is to be saved: for its address, or for its key */
void ngx_http_iclock_zone_note_denied(ngx_http_iclock_shard_t *shard,
    ngx_http_iclock_node_t *node, ngx_uint_t outside);


#endif /* _NGX_HTTP_ICLOCK_ZONE_H_INCLUDED_ */
