
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


/*
 * The live stream: worker 0 reads the feed once for all and fills a ring in
 * shared memory; each worker hands out what is new to its streams.
 */


#ifndef _NGX_HTTP_ICLOCK_API_RING_H_INCLUDED_
#define _NGX_HTTP_ICLOCK_API_RING_H_INCLUDED_


#include "ngx_http_iclock_api.h"


/* streams of one key, of all workers together */
#define NGX_HTTP_ICLOCK_API_STREAMS   5

/* "<place>@<snapshot>": longer ones lose the snapshot */
#define NGX_HTTP_ICLOCK_API_PLACE     2048


/* an event of the ring: this, then the strings, up to a multiple of 8 bytes */
typedef struct {
    uint32_t                    size;       /* of all */
    uint32_t                    frame;      /* lengths */
    uint64_t                    xid;
    uint64_t                    created;    /* milliseconds; 0: unknown */
    uint16_t                    type;
    uint16_t                    site;
    uint16_t                    device;
    uint8_t                     sandbox;
    uint8_t                     sited;      /* it has a site */
} ngx_http_iclock_api_record_t;

#define ngx_http_iclock_api_record_text(rec)                                 \
    ((u_char *) (rec) + sizeof(ngx_http_iclock_api_record_t))

/* what one string of it may have */
#define NGX_HTTP_ICLOCK_API_RECORD_TEXT  65535


/* where a reader is, and what there is to read */
typedef struct {
    uint64_t                    position;
    uint32_t                    epoch;      /* 0: nobody fills it */
} ngx_http_iclock_api_mark_t;


/* ngx_http_iclock_api_ring.c */

/* this worker fills it from now on; all readers begin anew */
void ngx_http_iclock_api_ring_own(ngx_http_iclock_api_ring_t *ring);

/* it is filled from that place on, or not any more */
void ngx_http_iclock_api_ring_begin(ngx_http_iclock_api_ring_t *ring,
    ngx_str_t *place);
void ngx_http_iclock_api_ring_end(ngx_http_iclock_api_ring_t *ring);

/*
 * Appends records; whoever has read them is at that place of the feed.
 * NGX_DECLINED: it belongs to another worker by now.
 */
ngx_int_t ngx_http_iclock_api_ring_publish(ngx_http_iclock_api_ring_t *ring,
    u_char *records, size_t len, ngx_str_t *place);

/* where the ring ends now, and the place of the feed that belongs to it */
void ngx_http_iclock_api_ring_mark(ngx_http_iclock_api_ring_t *ring,
    ngx_http_iclock_api_mark_t *mark, ngx_str_t *place);

/*
 * Copies what is between two positions; the caller frees it.  NGX_DECLINED:
 * that is overwritten, or another epoch has begun.
 */
ngx_int_t ngx_http_iclock_api_ring_copy(ngx_http_iclock_api_ring_t *ring,
    ngx_http_iclock_api_mark_t *from, uint64_t to, u_char **records,
    ngx_log_t *log);

/* there are streams: it is to be filled */
void ngx_http_iclock_api_ring_want(ngx_http_iclock_api_ring_t *ring);
ngx_uint_t ngx_http_iclock_api_ring_wanted(ngx_http_iclock_api_ring_t *ring);

/*
 * A stream of the key begins: NGX_OK, or NGX_BUSY, it has as many as it may.
 * The slot is to be given back.
 */
ngx_int_t ngx_http_iclock_api_ring_enter(ngx_http_iclock_api_ring_t *ring,
    u_char *id, ngx_int_t *slot);
void ngx_http_iclock_api_ring_leave(ngx_http_iclock_api_ring_t *ring,
    ngx_int_t slot);

/* how many have changed until now */
uint64_t ngx_http_iclock_api_ring_changes(ngx_http_iclock_api_ring_t *ring);

/* whether it was notified since; moves "since" on */
ngx_uint_t ngx_http_iclock_api_ring_changed(ngx_http_iclock_api_ring_t *ring,
    u_char *id, uint64_t *since);


#endif /* _NGX_HTTP_ICLOCK_API_RING_H_INCLUDED_ */
