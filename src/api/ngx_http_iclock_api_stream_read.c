
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


/*
 * A stream that catches up reads the feed by itself, page by page, as fast as
 * its client takes it.  When it has got all there is, it follows the ring.
 */


#include "ngx_http_iclock_api_stream.h"


/* no further page before the client has taken the last ones */
#define NGX_HTTP_ICLOCK_API_STREAM_WAIT   (64 * 1024)

#define NGX_HTTP_ICLOCK_API_STREAM_RETRY  1000


static void ngx_http_iclock_api_stream_read_done(ngx_iclock_query_t *q);
static ngx_int_t ngx_http_iclock_api_stream_rows(
    ngx_http_iclock_api_stream_t *s, ngx_iclock_query_t *q);
static void ngx_http_iclock_api_stream_follow(
    ngx_http_iclock_api_stream_t *s);


void
ngx_http_iclock_api_stream_read(ngx_http_iclock_api_stream_t *s)
{
    ngx_iclock_query_t               *q;
    ngx_http_iclock_api_main_conf_t  *amcf;

    amcf = s->amcf;

    if (s->query || s->unsent > NGX_HTTP_ICLOCK_API_STREAM_WAIT) {
        return;
    }

    s->retry = ngx_current_msec + NGX_HTTP_ICLOCK_API_STREAM_RETRY;
    s->failing = 1;

    q = ngx_iclock_query_create(amcf->queries, NGX_ICLOCK_QUERY_STREAM_READ,
                                s->request->connection->log);
    if (q == NULL) {
        return;
    }

    q->handler = ngx_http_iclock_api_stream_read_done;
    q->data = s;

    /* what comes after that is in the ring, or seen by this query */

    s->mark = amcf->streams->mark;
    s->events = amcf->zone->sh->events;

    if (ngx_http_iclock_api_place_query(&s->place, q, &s->filter) != NGX_OK
        || ngx_iclock_query_submit(q) != NGX_OK)
    {
        ngx_iclock_query_destroy(q);
        return;
    }

    s->query = q;
    s->failing = 0;
}


static void
ngx_http_iclock_api_stream_read_done(ngx_iclock_query_t *q)
{
    ngx_int_t                      rc;
    ngx_http_iclock_api_stream_t  *s;

    s = q->data;
    s->query = NULL;

    ngx_log_debug3(NGX_LOG_DEBUG_HTTP, s->request->connection->log, 0,
                   "iclock api stream: read, rc: %i, rows: %ui, %M ms",
                   q->rc, q->nrows, q->elapsed);

    if (q->rc != NGX_OK) {

        if (q->sqlstate.len
            && ngx_strncmp(q->sqlstate.data, "22", 2) == 0)
        {
            /* it would fail again and again */
            ngx_iclock_query_destroy(q);
            ngx_http_iclock_api_stream_close(s, "its place is none");
            return;
        }

        s->failing = 1;
        ngx_iclock_query_destroy(q);
        return;
    }

    rc = ngx_http_iclock_api_stream_rows(s, q);

    ngx_iclock_query_destroy(q);

    if (rc != NGX_OK) {
        ngx_http_iclock_api_stream_close(s, "out of memory");
        return;
    }

    if (ngx_http_iclock_api_stream_send(s) != NGX_OK) {
        return;
    }

    if (s->unsent > NGX_HTTP_ICLOCK_API_STREAM_WAIT) {
        /* who lives has to take what comes */
        s->more = 1;
    }

    if (s->more) {
        ngx_http_iclock_api_stream_read(s);
        return;
    }

    if (s->place.waits) {
        /* the ring has what comes, and not what waits: it is asked again */
        s->failing = 1;
        return;
    }

    ngx_http_iclock_api_stream_follow(s);
}


static ngx_int_t
ngx_http_iclock_api_stream_rows(ngx_http_iclock_api_stream_t *s,
    ngx_iclock_query_t *q)
{
    ngx_int_t   rc;
    ngx_str_t   settled, frame;
    ngx_uint_t  i, rows, more;

    rc = ngx_http_iclock_api_place_move(&s->place, q, &rows, &more);

    s->more = more;

    if (rc == NGX_DECLINED) {
        return ngx_http_iclock_api_stream_reset(s,
            ngx_iclock_query_value(q, 0, NGX_HTTP_ICLOCK_API_EVENT_GONE));
    }

    if (rc != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_http_iclock_api_place_settled(&s->place, &settled);

    for (i = 0; i < rows; i++) {

        if (ngx_http_iclock_api_event_frame(q, i, &settled, &frame) != NGX_OK
            || ngx_http_iclock_api_stream_add(s, frame.data, frame.len)
               != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static void
ngx_http_iclock_api_stream_follow(ngx_http_iclock_api_stream_t *s)
{
    ngx_http_iclock_api_streams_t  *streams;

    streams = s->amcf->streams;

    if (s->mark.epoch == 0 || s->mark.epoch != streams->mark.epoch) {
        return;
    }

    /* the stream may end while it is handed out; lapped: once more */

    s->ring = 1;
    s->handed = 0;

    if (ngx_http_iclock_api_stream_hand_out(s->amcf, &s->mark, s) != NGX_OK) {
        s->ring = 0;
        s->more = 1;
    }
}
