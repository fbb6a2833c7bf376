
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


#include "ngx_http_iclock_api_stream.h"


/* how soon a worker sees what is new in the ring */
#define NGX_HTTP_ICLOCK_API_STREAM_TICK    50

/* keys that are looked at again in one tick because they may have expired */
#define NGX_HTTP_ICLOCK_API_STREAM_CHECKS  4


/* all streams of a worker, one by one; any of them may end meanwhile */
typedef struct {
    ngx_queue_t                 due;
    ngx_http_iclock_api_streams_t  *streams;
} ngx_http_iclock_api_walk_t;


static void ngx_http_iclock_api_walk(ngx_http_iclock_api_walk_t *walk,
    ngx_http_iclock_api_streams_t *streams);
static ngx_http_iclock_api_stream_t *ngx_http_iclock_api_walk_next(
    ngx_http_iclock_api_walk_t *walk);
static void ngx_http_iclock_api_stream_tick_handler(ngx_event_t *ev);
static void ngx_http_iclock_api_stream_bye(
    ngx_http_iclock_api_streams_t *streams);
static void ngx_http_iclock_api_stream_heartbeat(
    ngx_http_iclock_api_main_conf_t *amcf);
static void ngx_http_iclock_api_stream_look(
    ngx_http_iclock_api_main_conf_t *amcf);
static void ngx_http_iclock_api_stream_lost(
    ngx_http_iclock_api_streams_t *streams, ngx_str_t *place);
static void ngx_http_iclock_api_stream_hand(ngx_http_iclock_api_stream_t *s,
    u_char *records, size_t len);


ngx_int_t
ngx_http_iclock_api_stream_init(ngx_cycle_t *cycle,
    ngx_http_iclock_api_main_conf_t *amcf)
{
    ngx_http_iclock_api_streams_t  *streams;

    streams = ngx_pcalloc(cycle->pool, sizeof(ngx_http_iclock_api_streams_t));
    if (streams == NULL) {
        return NGX_ERROR;
    }

    ngx_queue_init(&streams->queue);

    streams->place.data = streams->place_data;

    /* what waits for it is told before the worker exits */

    streams->tick.handler = ngx_http_iclock_api_stream_tick_handler;
    streams->tick.data = amcf;
    streams->tick.log = cycle->log;

    amcf->streams = streams;

    return NGX_OK;
}


/* walks over what was there at the beginning */

static void
ngx_http_iclock_api_walk(ngx_http_iclock_api_walk_t *walk,
    ngx_http_iclock_api_streams_t *streams)
{
    walk->streams = streams;

    ngx_queue_init(&walk->due);

    if (!ngx_queue_empty(&streams->queue)) {
        ngx_queue_add(&walk->due, &streams->queue);
        ngx_queue_init(&streams->queue);
    }
}


static ngx_http_iclock_api_stream_t *
ngx_http_iclock_api_walk_next(ngx_http_iclock_api_walk_t *walk)
{
    ngx_queue_t  *q;

    if (ngx_queue_empty(&walk->due)) {
        return NULL;
    }

    q = ngx_queue_head(&walk->due);
    ngx_queue_remove(q);
    ngx_queue_insert_tail(&walk->streams->queue, q);

    return ngx_queue_data(q, ngx_http_iclock_api_stream_t, queue);
}


void
ngx_http_iclock_api_stream_begin(ngx_http_iclock_api_stream_t *s)
{
    ngx_http_iclock_api_streams_t    *streams;
    ngx_http_iclock_api_main_conf_t  *amcf;

    amcf = s->amcf;
    streams = amcf->streams;

    ngx_http_iclock_api_ring_want(amcf->ring);

    if (ngx_queue_empty(&streams->queue)) {
        ngx_http_iclock_api_ring_mark(amcf->ring, &streams->mark,
                                      &streams->place);

        streams->heartbeat = ngx_current_msec + amcf->stream_heartbeat;

        if (!streams->tick.timer_set) {
            ngx_add_timer(&streams->tick, NGX_HTTP_ICLOCK_API_STREAM_TICK);
        }
    }

    ngx_queue_insert_tail(&streams->queue, &s->queue);

    /* this may be worker 0 */
    ngx_http_iclock_api_stream_fill(amcf);

    ngx_http_iclock_api_stream_read(s);
}


void
ngx_http_iclock_api_stream_end(ngx_http_iclock_api_stream_t *s)
{
    ngx_http_iclock_api_streams_t  *streams;

    streams = s->amcf->streams;

    ngx_queue_remove(&s->queue);

    /* the timer would keep a worker that exits */

    if (streams->n == 0 && streams->tick.timer_set) {
        ngx_del_timer(&streams->tick);
    }
}


static void
ngx_http_iclock_api_stream_tick_handler(ngx_event_t *ev)
{
    ngx_http_iclock_api_streams_t    *streams;
    ngx_http_iclock_api_main_conf_t  *amcf;

    amcf = ev->data;
    streams = amcf->streams;

    if (ngx_exiting || ngx_terminate || ngx_quit) {
        ngx_http_iclock_api_stream_bye(streams);

    } else {
        ngx_http_iclock_api_ring_want(amcf->ring);
        ngx_http_iclock_api_stream_news(amcf);
        ngx_http_iclock_api_stream_look(amcf);

        if ((ngx_msec_int_t) (ngx_current_msec - streams->heartbeat) >= 0) {
            streams->heartbeat = ngx_current_msec + amcf->stream_heartbeat;
            ngx_http_iclock_api_stream_heartbeat(amcf);
        }
    }

    if (streams->n && !ev->timer_set) {
        ngx_add_timer(ev, NGX_HTTP_ICLOCK_API_STREAM_TICK);
    }
}


/* clients connect anew, to another worker */

static void
ngx_http_iclock_api_stream_bye(ngx_http_iclock_api_streams_t *streams)
{
    ngx_http_iclock_api_walk_t     walk;
    ngx_http_iclock_api_stream_t  *s;

    ngx_http_iclock_api_walk(&walk, streams);

    while ((s = ngx_http_iclock_api_walk_next(&walk)) != NULL) {
        ngx_http_iclock_api_stream_leave(s);
    }
}


static void
ngx_http_iclock_api_stream_heartbeat(ngx_http_iclock_api_main_conf_t *amcf)
{
    ngx_http_iclock_api_walk_t     walk;
    ngx_http_iclock_api_stream_t  *s;

    static u_char  ping[] = ": ping\n\n";

    ngx_http_iclock_api_walk(&walk, amcf->streams);

    while ((s = ngx_http_iclock_api_walk_next(&walk)) != NULL) {

        if (ngx_http_iclock_api_stream_add(s, ping, sizeof(ping) - 1)
            == NGX_OK)
        {
            (void) ngx_http_iclock_api_stream_send(s);
        }
    }
}


/* those that do not follow the ring, and keys that have changed */

static void
ngx_http_iclock_api_stream_look(ngx_http_iclock_api_main_conf_t *amcf)
{
    ngx_uint_t                      checks;
    ngx_http_iclock_api_walk_t      walk;
    ngx_http_iclock_api_stream_t   *s;
    ngx_http_iclock_api_streams_t  *streams;

    streams = amcf->streams;
    checks = 0;

    ngx_http_iclock_api_walk(&walk, streams);

    while ((s = ngx_http_iclock_api_walk_next(&walk)) != NULL) {

        if (ngx_http_iclock_api_ring_changed(amcf->ring, s->id, &s->changes)) {
            s->stale = 1;
        }

        if ((ngx_msec_int_t) (ngx_current_msec - s->checked) >= 0
            && checks < NGX_HTTP_ICLOCK_API_STREAM_CHECKS)
        {
            s->stale = 1;
            checks++;
        }

        if (s->stale && s->check == NULL) {
            ngx_http_iclock_api_stream_check(s);
        }

        if (s->ring || s->query) {
            continue;
        }

        if (s->failing) {

            if ((ngx_msec_int_t) (ngx_current_msec - s->retry) >= 0) {
                ngx_http_iclock_api_stream_read(s);
            }

            continue;
        }

        if (s->more || s->events != amcf->zone->sh->events
            || s->mark.epoch != streams->mark.epoch)
        {
            ngx_http_iclock_api_stream_read(s);
        }
    }
}


void
ngx_http_iclock_api_stream_news(ngx_http_iclock_api_main_conf_t *amcf)
{
    u_char                          text[NGX_HTTP_ICLOCK_API_PLACE];
    ngx_str_t                       place;
    ngx_http_iclock_api_mark_t      from;
    ngx_http_iclock_api_streams_t  *streams;

    streams = amcf->streams;

    if (ngx_queue_empty(&streams->queue)) {
        return;
    }

    from = streams->mark;
    place.data = text;
    place.len = streams->place.len;
    ngx_memcpy(text, streams->place.data, place.len);

    ngx_http_iclock_api_ring_mark(amcf->ring, &streams->mark,
                                  &streams->place);

    if (from.epoch != streams->mark.epoch
        || (from.position != streams->mark.position
            && ngx_http_iclock_api_stream_hand_out(amcf, &from, NULL)
               != NGX_OK))
    {
        ngx_http_iclock_api_stream_lost(streams, &place);
    }
}


/* who followed the ring goes on in the feed, at the place that it was at */

static void
ngx_http_iclock_api_stream_lost(ngx_http_iclock_api_streams_t *streams,
    ngx_str_t *place)
{
    ngx_queue_t                   *q;
    ngx_http_iclock_api_stream_t  *s;

    for (q = ngx_queue_head(&streams->queue);
         q != ngx_queue_sentinel(&streams->queue);
         q = ngx_queue_next(q))
    {
        s = ngx_queue_data(q, ngx_http_iclock_api_stream_t, queue);

        if (!s->ring) {
            continue;
        }

        s->ring = 0;
        s->more = 1;

        /* what it has read itself may be newer than what the ring had then */

        if (place->len && s->handed) {
            /* without memory it sees some events once more */
            (void) ngx_http_iclock_api_place_set(&s->place, place->data,
                                                 place->len);
        }
    }
}


ngx_int_t
ngx_http_iclock_api_stream_hand_out(ngx_http_iclock_api_main_conf_t *amcf,
    ngx_http_iclock_api_mark_t *from, ngx_http_iclock_api_stream_t *only)
{
    size_t                          len;
    u_char                         *records;
    ngx_http_iclock_api_walk_t      walk;
    ngx_http_iclock_api_stream_t   *s;
    ngx_http_iclock_api_streams_t  *streams;

    streams = amcf->streams;

    if (ngx_http_iclock_api_ring_copy(amcf->ring, from,
                                      streams->mark.position, &records,
                                      ngx_cycle->log)
        != NGX_OK)
    {
        return NGX_DECLINED;
    }

    len = streams->mark.position - from->position;

    if (only) {
        ngx_http_iclock_api_stream_hand(only, records, len);
        ngx_free(records);
        return NGX_OK;
    }

    ngx_http_iclock_api_walk(&walk, streams);

    while ((s = ngx_http_iclock_api_walk_next(&walk)) != NULL) {
        if (s->ring) {
            s->handed = 1;
            ngx_http_iclock_api_stream_hand(s, records, len);
        }
    }

    ngx_free(records);

    return NGX_OK;
}


static void
ngx_http_iclock_api_stream_hand(ngx_http_iclock_api_stream_t *s,
    u_char *records, size_t len)
{
    u_char                        *p, *frame;
    ngx_http_iclock_api_record_t  *rec;

    for (p = records; p < records + len; p += rec->size) {

        rec = (ngx_http_iclock_api_record_t *) p;

        if (!ngx_http_iclock_api_filter_match(&s->filter, rec)
            || ngx_http_iclock_api_place_saw(&s->place, rec->xid))
        {
            continue;
        }

        frame = ngx_http_iclock_api_record_text(rec) + rec->type + rec->site
                + rec->device;

        if (ngx_http_iclock_api_stream_add(s, frame, rec->frame) != NGX_OK) {
            ngx_http_iclock_api_stream_close(s, "out of memory");
            return;
        }

        if (rec->created) {
            ngx_iclock_observe(STREAM_DELAY, 0,
                               ngx_http_iclock_api_since(rec->created));
        }
    }

    if (s->out) {
        (void) ngx_http_iclock_api_stream_send(s);
    }
}
