
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


/*
 * Worker 0 reads the feed once for the streams of all workers, while there are
 * some, and puts what it finds into the ring.
 */


#include "ngx_http_iclock_api_stream.h"


/* what takes longer, in milliseconds, is not done again at once */
#define NGX_HTTP_ICLOCK_API_STREAM_SLOW   20


static void ngx_http_iclock_api_stream_end_done(ngx_iclock_query_t *q);
static void ngx_http_iclock_api_stream_fill_done(ngx_iclock_query_t *q);
static ngx_int_t ngx_http_iclock_api_stream_publish(
    ngx_http_iclock_api_main_conf_t *amcf, ngx_iclock_query_t *q,
    ngx_uint_t rows);
static u_char *ngx_http_iclock_api_stream_record(u_char *p,
    ngx_str_t *value, ngx_str_t *frame);
static void ngx_http_iclock_api_stream_count(ngx_str_t *type);
static size_t ngx_http_iclock_api_stream_record_size(ngx_str_t *value,
    ngx_str_t *frame);
static void ngx_http_iclock_api_stream_rest(
    ngx_http_iclock_api_streams_t *streams, ngx_uint_t again,
    ngx_msec_t elapsed);
static void ngx_http_iclock_api_stream_pause_handler(ngx_event_t *ev);
static void ngx_http_iclock_api_stream_forget(
    ngx_http_iclock_api_streams_t *streams);


void
ngx_http_iclock_api_stream_own(ngx_http_iclock_api_main_conf_t *amcf,
    ngx_cycle_t *cycle)
{
    ngx_http_iclock_api_streams_t  *streams;

    streams = amcf->streams;
    streams->fills = 1;

    streams->pause.handler = ngx_http_iclock_api_stream_pause_handler;
    streams->pause.data = amcf;
    streams->pause.log = cycle->log;
    streams->pause.cancelable = 1;

    ngx_http_iclock_api_ring_own(amcf->ring);
}


void
ngx_http_iclock_api_stream_fill(ngx_http_iclock_api_main_conf_t *amcf)
{
    ngx_iclock_query_t             *q;
    ngx_http_iclock_api_streams_t  *streams;

    streams = amcf->streams;

    if (!streams->fills || ngx_exiting || ngx_terminate || ngx_quit) {
        return;
    }

    if (streams->query || streams->pause.timer_set) {
        streams->again = 1;
        return;
    }

    if (!ngx_http_iclock_api_ring_wanted(amcf->ring)) {

        if (streams->filled.text.data) {
            ngx_http_iclock_api_ring_end(amcf->ring);
            ngx_http_iclock_api_stream_forget(streams);
        }

        return;
    }

    q = ngx_iclock_query_create(amcf->queries,
                                streams->filled.text.data
                                ? NGX_ICLOCK_QUERY_STREAM_READ
                                : NGX_ICLOCK_QUERY_STREAM_END,
                                ngx_cycle->log);
    if (q == NULL) {
        return;
    }

    q->data = amcf;
    q->handler = streams->filled.text.data
                 ? ngx_http_iclock_api_stream_fill_done
                 : ngx_http_iclock_api_stream_end_done;

    streams->again = 0;

    if ((streams->filled.text.data
         && ngx_http_iclock_api_place_query(&streams->filled, q, NULL)
            != NGX_OK)
        || ngx_iclock_query_submit(q) != NGX_OK)
    {
        /* it is tried again each second */
        ngx_iclock_query_destroy(q);
        return;
    }

    streams->query = q;
}


/* the ring begins where the feed ends now */

static void
ngx_http_iclock_api_stream_end_done(ngx_iclock_query_t *q)
{
    ngx_str_t                        *place;
    ngx_http_iclock_api_streams_t    *streams;
    ngx_http_iclock_api_main_conf_t  *amcf;

    amcf = q->data;
    streams = amcf->streams;
    streams->query = NULL;

    if (q->rc == NGX_OK && q->nrows == 1 && q->values[0].len) {

        place = &q->values[0];

        if (ngx_http_iclock_api_place_set(&streams->filled, place->data,
                                          place->len)
            == NGX_OK)
        {
            ngx_http_iclock_api_ring_begin(amcf->ring, &streams->filled.text);
            streams->again = 1;
        }
    }

    ngx_iclock_query_destroy(q);

    if (streams->again) {
        ngx_http_iclock_api_stream_fill(amcf);
    }
}


static void
ngx_http_iclock_api_stream_fill_done(ngx_iclock_query_t *q)
{
    ngx_uint_t                        rows, more;
    ngx_msec_t                        elapsed;
    ngx_http_iclock_api_streams_t    *streams;
    ngx_http_iclock_api_main_conf_t  *amcf;

    amcf = q->data;
    streams = amcf->streams;
    streams->query = NULL;
    elapsed = q->elapsed;

    if (q->rc != NGX_OK) {
        ngx_iclock_query_destroy(q);
        return;
    }

    /* also if the place is not there any more */

    if (ngx_http_iclock_api_place_move(&streams->filled, q, &rows, &more)
        != NGX_OK
        || ngx_http_iclock_api_stream_publish(amcf, q, rows) != NGX_OK)
    {
        /* streams look into the feed themselves, until it begins anew */
        ngx_http_iclock_api_ring_end(amcf->ring);
        ngx_http_iclock_api_stream_forget(streams);
        ngx_iclock_query_destroy(q);
        return;
    }

    ngx_iclock_query_destroy(q);

    if (rows) {
        ngx_http_iclock_api_stream_news(amcf);
    }

    ngx_http_iclock_api_stream_rest(streams, more, elapsed);
}


static ngx_int_t
ngx_http_iclock_api_stream_publish(ngx_http_iclock_api_main_conf_t *amcf,
    ngx_iclock_query_t *q, ngx_uint_t rows)
{
    size_t       size;
    u_char      *p, *records;
    ngx_str_t   *frame, settled;
    ngx_uint_t   i;

    ngx_http_iclock_api_place_settled(&amcf->streams->filled, &settled);

    frame = ngx_palloc(q->pool, (rows + 1) * sizeof(ngx_str_t));
    if (frame == NULL) {
        return NGX_ERROR;
    }

    size = 0;

    for (i = 0; i < rows; i++) {

        if (ngx_http_iclock_api_event_frame(q, i, &settled, &frame[i])
            != NGX_OK)
        {
            return NGX_ERROR;
        }

        size += ngx_http_iclock_api_stream_record_size(
                    ngx_iclock_query_value(q, i, 0), &frame[i]);
    }

    records = ngx_palloc(q->pool, size + 1);
    if (records == NULL) {
        return NGX_ERROR;
    }

    p = records;

    for (i = 0; i < rows; i++) {
        p = ngx_http_iclock_api_stream_record(p,
                                   ngx_iclock_query_value(q, i, 0), &frame[i]);

        ngx_http_iclock_api_stream_count(ngx_iclock_query_value(q, i,
                                              NGX_HTTP_ICLOCK_API_EVENT_TYPE));
    }

    ngx_log_debug2(NGX_LOG_DEBUG_HTTP, ngx_cycle->log, 0,
                   "iclock api stream: %ui events, %uz bytes in the ring",
                   rows, size);

    return ngx_http_iclock_api_ring_publish(amcf->ring, records, size,
                                            &amcf->streams->filled.text);
}


static void
ngx_http_iclock_api_stream_count(ngx_str_t *type)
{
    ngx_iclock_count_by(EVENTS,
                        ngx_iclock_label_find(NGX_ICLOCK_LABEL_EVENT,
                                              type->data, type->len), 1);
}


static size_t
ngx_http_iclock_api_stream_record_size(ngx_str_t *value, ngx_str_t *frame)
{
    return ngx_align(sizeof(ngx_http_iclock_api_record_t)
                     + value[NGX_HTTP_ICLOCK_API_EVENT_TYPE].len
                     + value[NGX_HTTP_ICLOCK_API_EVENT_SITE].len
                     + value[NGX_HTTP_ICLOCK_API_EVENT_DEVICE].len
                     + frame->len, 8);
}


static u_char *
ngx_http_iclock_api_stream_record(u_char *p, ngx_str_t *value,
    ngx_str_t *frame)
{
    u_char                        *last;
    ngx_str_t                     *type, *site, *device, *sandbox;
    ngx_http_iclock_api_record_t  *rec;

    type = &value[NGX_HTTP_ICLOCK_API_EVENT_TYPE];
    site = &value[NGX_HTTP_ICLOCK_API_EVENT_SITE];
    device = &value[NGX_HTTP_ICLOCK_API_EVENT_DEVICE];
    sandbox = &value[NGX_HTTP_ICLOCK_API_EVENT_SANDBOX];

    rec = (ngx_http_iclock_api_record_t *) p;

    rec->size = ngx_http_iclock_api_stream_record_size(value, frame);
    rec->frame = frame->len;
    rec->xid = ngx_http_iclock_api_event_xid(
                                        &value[NGX_HTTP_ICLOCK_API_EVENT_ID]);
    rec->created = ngx_http_iclock_api_created(
                                   &value[NGX_HTTP_ICLOCK_API_EVENT_PAYLOAD]);
    rec->type = type->len;
    rec->site = site->len;
    rec->device = device->len;
    rec->sited = site->data != NULL;
    rec->sandbox = sandbox->data && ngx_strcmp(sandbox->data, "true") == 0;

    last = ngx_http_iclock_api_record_text(rec);
    last = ngx_cpymem(last, type->data, type->len);
    last = ngx_cpymem(last, site->data, site->len);
    last = ngx_cpymem(last, device->data, device->len);
    ngx_memcpy(last, frame->data, frame->len);

    return p + rec->size;
}


/* what is slow is not done all the time */

static void
ngx_http_iclock_api_stream_rest(ngx_http_iclock_api_streams_t *streams,
    ngx_uint_t again, ngx_msec_t elapsed)
{
    streams->again |= again;

    if (elapsed > NGX_HTTP_ICLOCK_API_STREAM_SLOW && !ngx_exiting) {
        ngx_add_timer(&streams->pause, elapsed);
        return;
    }

    if (streams->again) {
        ngx_http_iclock_api_stream_fill(streams->pause.data);
    }
}


static void
ngx_http_iclock_api_stream_pause_handler(ngx_event_t *ev)
{
    ngx_http_iclock_api_main_conf_t  *amcf;

    amcf = ev->data;

    if (amcf->streams->again) {
        ngx_http_iclock_api_stream_fill(amcf);
    }
}


static void
ngx_http_iclock_api_stream_forget(ngx_http_iclock_api_streams_t *streams)
{
    ngx_free(streams->filled.text.data);

    streams->filled.text.data = NULL;
    streams->filled.text.len = 0;
    streams->filled.most = 0;
    streams->filled.waits = 0;
}
