
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


#include "ngx_http_iclock_api_stream.h"


#define NGX_HTTP_ICLOCK_API_STREAM_BUFFER  4096

/* a client with more than that unsent is too slow */
#define NGX_HTTP_ICLOCK_API_STREAM_UNSENT  (1024 * 1024)


static ngx_buf_t *ngx_http_iclock_api_stream_buf(
    ngx_http_iclock_api_stream_t *s);
static ngx_int_t ngx_http_iclock_api_stream_wait(
    ngx_http_iclock_api_stream_t *s);
static void ngx_http_iclock_api_stream_count(ngx_http_iclock_api_stream_t *s);


ngx_int_t
ngx_http_iclock_api_stream_add(ngx_http_iclock_api_stream_t *s, u_char *data,
    size_t len)
{
    size_t      n;
    ngx_buf_t  *b;

    b = (s->out && *s->last) ? (*s->last)->buf : NULL;

    while (len) {

        if (b == NULL || b->last == b->end) {
            b = ngx_http_iclock_api_stream_buf(s);

            if (b == NULL) {
                return NGX_ERROR;
            }
        }

        n = ngx_min(len, (size_t) (b->end - b->last));

        b->last = ngx_cpymem(b->last, data, n);
        data += n;
        len -= n;
    }

    return NGX_OK;
}


/* s->last points to where the last link hangs */

static ngx_buf_t *
ngx_http_iclock_api_stream_buf(ngx_http_iclock_api_stream_t *s)
{
    ngx_buf_t           *b;
    ngx_chain_t         *cl;
    ngx_http_request_t  *r;

    r = s->request;

    cl = ngx_chain_get_free_buf(r->pool, &s->free);
    if (cl == NULL) {
        return NULL;
    }

    b = cl->buf;

    if (b->start == NULL) {
        b->start = ngx_palloc(r->pool, NGX_HTTP_ICLOCK_API_STREAM_BUFFER);
        if (b->start == NULL) {
            return NULL;
        }

        b->end = b->start + NGX_HTTP_ICLOCK_API_STREAM_BUFFER;
        b->temporary = 1;
        b->tag = (ngx_buf_tag_t) &ngx_http_iclock_api_stream_send;
    }

    b->pos = b->start;
    b->last = b->start;
    b->flush = 0;

    if (s->out) {
        s->last = &(*s->last)->next;
    }

    *s->last = cl;

    return b;
}


ngx_int_t
ngx_http_iclock_api_stream_send(ngx_http_iclock_api_stream_t *s)
{
    const char  *why;

    if (ngx_http_iclock_api_stream_flush(s, &why) != NGX_OK) {
        ngx_http_iclock_api_stream_close(s, why);
        return NGX_ERROR;
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_iclock_api_stream_flush(ngx_http_iclock_api_stream_t *s,
    const char **why)
{
    ngx_int_t            rc;
    ngx_chain_t         *out;
    ngx_http_request_t  *r;

    r = s->request;
    out = s->out;

    if (out) {
        (*s->last)->buf->flush = 1;

    } else if (!ngx_http_iclock_api_stream_pending(s)) {
        return NGX_OK;
    }

    s->out = NULL;
    s->last = &s->out;

    rc = ngx_http_output_filter(r, out);

    ngx_chain_update_chains(r->pool, &s->free, &s->busy, &out,
                            (ngx_buf_tag_t) &ngx_http_iclock_api_stream_send);

    ngx_http_iclock_api_stream_count(s);

    if (rc == NGX_ERROR || r->connection->error) {
        *why = "the client is gone";
        return NGX_ERROR;
    }

    /* while it catches up the next page waits for it */

    if (s->ring && s->unsent > NGX_HTTP_ICLOCK_API_STREAM_UNSENT) {
        *why = "the client reads too slowly";
        ngx_iclock_count(STREAMS_DROPPED, 1);
        return NGX_ERROR;
    }

    if (ngx_http_iclock_api_stream_wait(s) != NGX_OK) {
        *why = "the client cannot be watched";
        return NGX_ERROR;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_iclock_api_stream_wait(ngx_http_iclock_api_stream_t *s)
{
    ngx_event_t               *wev;
    ngx_http_core_loc_conf_t  *clcf;

    wev = s->request->connection->write;
    clcf = ngx_http_get_module_loc_conf(s->request, ngx_http_core_module);

    if (!wev->delayed) {

        if (!ngx_http_iclock_api_stream_pending(s)) {

            if (wev->timer_set) {
                ngx_del_timer(wev);
            }

        } else if (!wev->timer_set) {
            ngx_add_timer(wev, clcf->send_timeout);
        }
    }

    return ngx_handle_write_event(wev, clcf->send_lowat);
}


ngx_uint_t
ngx_http_iclock_api_stream_pending(ngx_http_iclock_api_stream_t *s)
{
    ngx_http_request_t  *r;

    r = s->request;

    return s->unsent || r->buffered || r->connection->buffered;
}


static void
ngx_http_iclock_api_stream_count(ngx_http_iclock_api_stream_t *s)
{
    ngx_chain_t  *cl;

    s->unsent = 0;

    for (cl = s->busy; cl; cl = cl->next) {
        s->unsent += ngx_buf_size(cl->buf);
    }
}


void
ngx_http_iclock_api_stream_write_handler(ngx_http_request_t *r)
{
    ngx_event_t                   *wev;
    ngx_http_iclock_api_ctx_t     *ctx;
    ngx_http_iclock_api_stream_t  *s;

    ctx = ngx_http_get_module_ctx(r, ngx_http_iclock_api_module);
    wev = r->connection->write;
    s = ctx->stream;

    if (s == NULL) {
        return;
    }

    if (wev->timedout && !wev->delayed) {
        r->connection->timedout = 1;
        ngx_iclock_count(STREAMS_DROPPED, 1);
        ngx_http_iclock_api_stream_close(s, "the client takes nothing");
        return;
    }

    if (!ngx_http_iclock_api_stream_pending(s)) {
        return;
    }

    /* progress: the timer begins anew */

    if (wev->timer_set && !wev->delayed) {
        ngx_del_timer(wev);
    }

    if (ngx_http_iclock_api_stream_send(s) == NGX_OK && s->more) {
        ngx_http_iclock_api_stream_read(s);
    }
}
