
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


/* streams of this worker: for their own files only */


#ifndef _NGX_HTTP_ICLOCK_API_STREAM_H_INCLUDED_
#define _NGX_HTTP_ICLOCK_API_STREAM_H_INCLUDED_


#include "ngx_http_iclock_api_gate.h"
#include "ngx_http_iclock_api_ring.h"


/* rows of one reading of the feed, and where reading ahead ends */
#define NGX_HTTP_ICLOCK_API_STREAM_PAGE   500
#define NGX_HTTP_ICLOCK_API_STREAM_AHEAD  65536

/* how often a key may be looked at again, in milliseconds */
#define NGX_HTTP_ICLOCK_API_CHECK         1000

/* columns of NGX_ICLOCK_QUERY_STREAM_READ */
typedef enum {
    NGX_HTTP_ICLOCK_API_EVENT_PLACE = 0,
    NGX_HTTP_ICLOCK_API_EVENT_GONE,         /* the oldest place, or NULL */
    NGX_HTTP_ICLOCK_API_EVENT_CURSOR,
    NGX_HTTP_ICLOCK_API_EVENT_SETTLED,
    NGX_HTTP_ICLOCK_API_EVENT_ID,
    NGX_HTTP_ICLOCK_API_EVENT_TYPE,
    NGX_HTTP_ICLOCK_API_EVENT_SITE,
    NGX_HTTP_ICLOCK_API_EVENT_DEVICE,
    NGX_HTTP_ICLOCK_API_EVENT_SANDBOX,
    NGX_HTTP_ICLOCK_API_EVENT_PAYLOAD
} ngx_http_iclock_api_event_e;


/* a place in the feed, and how many rows are read from there at once */
typedef struct {
    ngx_str_t                   text;       /* allocated by ngx_alloc() */
    ngx_uint_t                  most;
    ngx_uint_t                  waits;      /* for some to be settled */
} ngx_http_iclock_api_place_t;


/* what a stream shows; NULL is all */
typedef struct {
    ngx_pool_t                 *pool;
    ngx_str_t                   mode;
    ngx_str_t                   types;      /* for read_events() */
    ngx_str_t                   sites;
    ngx_str_t                   devices;
    ngx_array_t                 type;       /* of ngx_str_t */
    ngx_array_t                 site;
    ngx_array_t                 device;
    ngx_str_t                   cursor;
    ngx_str_t                   reset;
} ngx_http_iclock_api_filter_t;


struct ngx_http_iclock_api_stream_s {
    ngx_queue_t                 queue;
    ngx_http_request_t         *request;
    ngx_http_iclock_api_main_conf_t  *amcf;
    ngx_str_t                   call;       /* the request for events_stream */
    u_char                      id[NGX_HTTP_ICLOCK_API_KEY_ID];
    ngx_int_t                   slot;
    ngx_http_iclock_api_filter_t  filter;
    ngx_iclock_query_t         *query;      /* that runs */
    ngx_iclock_query_t         *check;      /* of the key, the same */

    ngx_http_iclock_api_place_t place;
    ngx_http_iclock_api_mark_t  mark;       /* when the feed was asked */
    ngx_atomic_uint_t           events;     /* sh->events, the same */
    uint64_t                    changes;    /* of keys */
    ngx_msec_t                  checked;
    ngx_msec_t                  retry;      /* not before that time */

    ngx_chain_t                *free;
    ngx_chain_t                *busy;
    ngx_chain_t                *out;
    ngx_chain_t               **last;
    size_t                      unsent;

    unsigned                    ring:1;     /* it follows the ring */
    unsigned                    handed:1;   /* it has got something there */
    unsigned                    more:1;     /* the page was full */
    unsigned                    failing:1;
    unsigned                    stale:1;    /* the key may have changed */
};


/* of this worker */
struct ngx_http_iclock_api_streams_s {
    ngx_queue_t                 queue;
    ngx_uint_t                  n;
    ngx_event_t                 tick;
    ngx_msec_t                  heartbeat;  /* the next */

    /* until where the ring is read, and which place of the feed that is */
    ngx_http_iclock_api_mark_t  mark;
    ngx_str_t                   place;
    u_char                      place_data[NGX_HTTP_ICLOCK_API_PLACE];

    /* of worker 0, which fills the ring */
    ngx_iclock_query_t         *query;      /* that runs */
    ngx_http_iclock_api_place_t filled;     /* until there */
    ngx_event_t                 pause;
    ngx_uint_t                  again;      /* unsigned  again:1; */
    ngx_uint_t                  fills;      /* unsigned  fills:1; */
};


/* ngx_http_iclock_api_stream.c */

/* the key may have changed: asks again */
void ngx_http_iclock_api_stream_check(ngx_http_iclock_api_stream_t *s);

/* says that events are missing; NGX_OK or NGX_ERROR */
ngx_int_t ngx_http_iclock_api_stream_reset(ngx_http_iclock_api_stream_t *s,
    ngx_str_t *oldest);

/* says good bye, and ends it */
void ngx_http_iclock_api_stream_leave(ngx_http_iclock_api_stream_t *s);

/* ends it at once */
void ngx_http_iclock_api_stream_close(ngx_http_iclock_api_stream_t *s,
    const char *why);


/* ngx_http_iclock_api_stream_filter.c */

/* lines of iclock_api.events_stream(); NGX_OK or NGX_ERROR */
ngx_int_t ngx_http_iclock_api_filter_parse(
    ngx_http_iclock_api_filter_t *filter, ngx_str_t *lines, ngx_log_t *log);
void ngx_http_iclock_api_filter_free(ngx_http_iclock_api_filter_t *filter);

ngx_uint_t ngx_http_iclock_api_filter_match(
    ngx_http_iclock_api_filter_t *filter, ngx_http_iclock_api_record_t *rec);


/* ngx_http_iclock_api_stream_feed.c: reading the feed, for one or for all */

ngx_int_t ngx_http_iclock_api_place_set(ngx_http_iclock_api_place_t *place,
    u_char *data, size_t len);

/* parameters of a query that goes on from there; filter NULL: all */
ngx_int_t ngx_http_iclock_api_place_query(ngx_http_iclock_api_place_t *place,
    ngx_iclock_query_t *q, ngx_http_iclock_api_filter_t *filter);

/*
 * Moves the place behind the rows of the query, and says how many of them
 * count, and whether there are more.  NGX_DECLINED: what comes after the place
 * is not kept any more, or the place is of another cluster; now it is the end.
 */
ngx_int_t ngx_http_iclock_api_place_move(ngx_http_iclock_api_place_t *place,
    ngx_iclock_query_t *q, ngx_uint_t *rows, ngx_uint_t *more);

/* the text of a row for clients; NGX_OK or NGX_ERROR */
ngx_int_t ngx_http_iclock_api_event_frame(ngx_iclock_query_t *q,
    ngx_uint_t row, ngx_str_t *settled, ngx_str_t *frame);

/* the cursor that clients are told, if a row is not settled */
void ngx_http_iclock_api_place_settled(ngx_http_iclock_api_place_t *place,
    ngx_str_t *settled);

/* whether a place has seen what this transaction did */
ngx_uint_t ngx_http_iclock_api_place_saw(ngx_http_iclock_api_place_t *place,
    uint64_t xid);

uint64_t ngx_http_iclock_api_event_xid(ngx_str_t *id);


/* ngx_http_iclock_api_stream_read.c: catching up */

void ngx_http_iclock_api_stream_read(ngx_http_iclock_api_stream_t *s);


/* ngx_http_iclock_api_stream_worker.c: all streams of this worker */

void ngx_http_iclock_api_stream_begin(ngx_http_iclock_api_stream_t *s);
void ngx_http_iclock_api_stream_end(ngx_http_iclock_api_stream_t *s);

/*
 * Hands out what the ring has from there to where this worker has read it: to
 * all streams that follow it, or to one.  NGX_DECLINED: it was overwritten.
 */
ngx_int_t ngx_http_iclock_api_stream_hand_out(
    ngx_http_iclock_api_main_conf_t *amcf, ngx_http_iclock_api_mark_t *from,
    ngx_http_iclock_api_stream_t *only);

/* the ring has something new */
void ngx_http_iclock_api_stream_news(ngx_http_iclock_api_main_conf_t *amcf);


/* ngx_http_iclock_api_stream_send.c */

/* NGX_OK or NGX_ERROR */
ngx_int_t ngx_http_iclock_api_stream_add(ngx_http_iclock_api_stream_t *s,
    u_char *data, size_t len);

/* NGX_ERROR: the stream has been closed */
ngx_int_t ngx_http_iclock_api_stream_send(ngx_http_iclock_api_stream_t *s);

/* NGX_ERROR: it is to be closed, for that reason */
ngx_int_t ngx_http_iclock_api_stream_flush(ngx_http_iclock_api_stream_t *s,
    const char **why);

/* whether nginx holds something that is not sent yet */
ngx_uint_t ngx_http_iclock_api_stream_pending(
    ngx_http_iclock_api_stream_t *s);

void ngx_http_iclock_api_stream_write_handler(ngx_http_request_t *r);


#endif /* _NGX_HTTP_ICLOCK_API_STREAM_H_INCLUDED_ */
