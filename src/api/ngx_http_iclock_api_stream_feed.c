
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


#include "ngx_http_iclock_api_stream.h"


/*
 * A place is "<xid>_<seq>", behind which nothing settled was read, and behind
 * "@" the snapshot of whoever has read ahead: what it shows is known.
 */


static ngx_int_t ngx_http_iclock_api_place_page(
    ngx_http_iclock_api_place_t *place, ngx_iclock_query_t *q,
    ngx_uint_t *rows, ngx_uint_t *more);
static ngx_int_t ngx_http_iclock_api_place_after(
    ngx_http_iclock_api_place_t *place, ngx_str_t *cursor);
static uint64_t ngx_http_iclock_api_decimal(u_char **p, u_char *last);


ngx_int_t
ngx_http_iclock_api_place_set(ngx_http_iclock_api_place_t *place,
    u_char *data, size_t len)
{
    u_char  *p, *at;

    if (len > NGX_HTTP_ICLOCK_API_PLACE) {
        /* what was read ahead is read once more */
        at = ngx_strlchr(data, data + len, '@');
        len = at ? (size_t) (at - data) : 0;
    }

    p = ngx_alloc(len + 1, ngx_cycle->log);
    if (p == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(p, data, len);

    if (place->text.data) {
        ngx_free(place->text.data);
    }

    place->text.data = p;
    place->text.len = len;

    return NGX_OK;
}


ngx_int_t
ngx_http_iclock_api_place_query(ngx_http_iclock_api_place_t *place,
    ngx_iclock_query_t *q, ngx_http_iclock_api_filter_t *filter)
{
    u_char  *p;

    if (place->most == 0) {
        place->most = NGX_HTTP_ICLOCK_API_STREAM_PAGE;
    }

    p = ngx_pnalloc(q->pool, place->text.len + NGX_INT_T_LEN);
    if (p == NULL) {
        return NGX_ERROR;
    }

    q->params[0].data = p;
    q->params[0].len = place->text.len;

    p = ngx_cpymem(p, place->text.data, place->text.len);

    q->params[5].data = p;
    q->params[5].len = ngx_sprintf(p, "%ui", place->most) - p;

    if (filter) {
        q->params[1] = filter->types;
        q->params[2] = filter->sites;
        q->params[3] = filter->devices;
        q->params[4] = filter->mode;
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_iclock_api_place_move(ngx_http_iclock_api_place_t *place,
    ngx_iclock_query_t *q, ngx_uint_t *rows, ngx_uint_t *more)
{
    ngx_str_t  *value;

    *more = 0;
    *rows = q->nrows;

    if (q->nrows == 0) {
        return NGX_ERROR;
    }

    value = ngx_iclock_query_value(q, 0, 0);

    if (value[NGX_HTTP_ICLOCK_API_EVENT_GONE].data) {
        *rows = 0;
        place->waits = 0;
        value = &value[NGX_HTTP_ICLOCK_API_EVENT_PLACE];

        return (ngx_http_iclock_api_place_set(place, value->data, value->len)
                == NGX_OK)
               ? NGX_DECLINED : NGX_ERROR;
    }

    if (q->nrows < place->most) {

        if (ngx_iclock_query_value(q, 0, NGX_HTTP_ICLOCK_API_EVENT_CURSOR)
            ->data == NULL)
        {
            *rows = 0;
        }

        place->most = NGX_HTTP_ICLOCK_API_STREAM_PAGE;
        place->waits = 0;

        value = ngx_iclock_query_value(q, 0, NGX_HTTP_ICLOCK_API_EVENT_PLACE);

        return ngx_http_iclock_api_place_set(place, value->data, value->len);
    }

    return ngx_http_iclock_api_place_page(place, q, rows, more);
}


/* a full page: behind the last settled row, others may come before the rest */

static ngx_int_t
ngx_http_iclock_api_place_page(ngx_http_iclock_api_place_t *place,
    ngx_iclock_query_t *q, ngx_uint_t *rows, ngx_uint_t *more)
{
    ngx_str_t  *value;

    while (*rows) {
        value = ngx_iclock_query_value(q, *rows - 1,
                                       NGX_HTTP_ICLOCK_API_EVENT_SETTLED);

        if (ngx_strcmp(value->data, "true") == 0) {
            break;
        }

        (*rows)--;
    }

    if (*rows == 0) {

        if (place->waits
            || place->most >= NGX_HTTP_ICLOCK_API_STREAM_AHEAD)
        {
            /* until some are settled, which the first page tells */

            place->most = NGX_HTTP_ICLOCK_API_STREAM_PAGE;
            place->waits = 1;

            return NGX_OK;
        }

        place->most = ngx_min(place->most * 4,
                              NGX_HTTP_ICLOCK_API_STREAM_AHEAD);
        *more = 1;
        return NGX_OK;
    }

    place->waits = 0;
    *more = 1;

    value = ngx_iclock_query_value(q, *rows - 1,
                                   NGX_HTTP_ICLOCK_API_EVENT_CURSOR);

    return ngx_http_iclock_api_place_after(place, value);
}


/* the snapshot stays: what it shows behind there was read, too */

static ngx_int_t
ngx_http_iclock_api_place_after(ngx_http_iclock_api_place_t *place,
    ngx_str_t *cursor)
{
    u_char     *p, *last, *at;
    ngx_str_t   text;

    last = place->text.data + place->text.len;
    at = ngx_strlchr(place->text.data, last, '@');
    at = at ? at : last;

    text.len = cursor->len + (last - at);

    text.data = ngx_alloc(text.len + 1, ngx_cycle->log);
    if (text.data == NULL) {
        return NGX_ERROR;
    }

    p = ngx_cpymem(text.data, cursor->data, cursor->len);
    ngx_memcpy(p, at, last - at);

    if (place->text.data) {
        ngx_free(place->text.data);
    }

    place->text = text;

    return NGX_OK;
}


ngx_int_t
ngx_http_iclock_api_event_frame(ngx_iclock_query_t *q, ngx_uint_t row,
    ngx_str_t *settled, ngx_str_t *frame)
{
    ngx_str_t  *value, *id, payload;

    value = ngx_iclock_query_value(q, row, 0);

    id = (ngx_strcmp(value[NGX_HTTP_ICLOCK_API_EVENT_SETTLED].data, "true")
          == 0)
         ? &value[NGX_HTTP_ICLOCK_API_EVENT_CURSOR] : settled;

    payload = value[NGX_HTTP_ICLOCK_API_EVENT_PAYLOAD];

    ngx_http_iclock_api_json_compact(&payload);

    frame->data = ngx_pnalloc(q->pool, sizeof("id: \nevent: \ndata: \n\n")
                                       + id->len + payload.len
                              + value[NGX_HTTP_ICLOCK_API_EVENT_TYPE].len);
    if (frame->data == NULL) {
        return NGX_ERROR;
    }

    frame->len = ngx_sprintf(frame->data, "id: %V\nevent: %V\ndata: %V\n\n",
                             id, &value[NGX_HTTP_ICLOCK_API_EVENT_TYPE],
                             &payload)
                 - frame->data;

    return NGX_OK;
}


void
ngx_http_iclock_api_place_settled(ngx_http_iclock_api_place_t *place,
    ngx_str_t *settled)
{
    u_char  *at;

    *settled = place->text;

    at = ngx_strlchr(settled->data, settled->data + settled->len, '@');

    if (at) {
        settled->len = at - settled->data;
    }
}


/* a snapshot is "xmin:xmax:" and those between that were under way */

ngx_uint_t
ngx_http_iclock_api_place_saw(ngx_http_iclock_api_place_t *place,
    uint64_t xid)
{
    u_char    *p, *last;
    uint64_t   xmin, xmax;

    last = place->text.data + place->text.len;
    p = ngx_strlchr(place->text.data, last, '@');

    if (p == NULL) {
        return 0;
    }

    p++;
    xmin = ngx_http_iclock_api_decimal(&p, last);
    xmax = ngx_http_iclock_api_decimal(&p, last);

    if (xid < xmin || xid >= xmax) {
        return xid < xmin;
    }

    while (p < last) {
        if (ngx_http_iclock_api_decimal(&p, last) == xid) {
            return 0;
        }
    }

    return 1;
}


/* also skips what ends it */

static uint64_t
ngx_http_iclock_api_decimal(u_char **p, u_char *last)
{
    uint64_t  n;

    n = 0;

    while (*p < last && **p >= '0' && **p <= '9') {
        n = n * 10 + (*(*p)++ - '0');
    }

    if (*p < last) {
        (*p)++;
    }

    return n;
}


/* evt_<xid>_<seq>, each of 16 hexadecimal digits */

uint64_t
ngx_http_iclock_api_event_xid(ngx_str_t *id)
{
    u_char       c;
    uint64_t     n;
    ngx_uint_t   i;

    n = 0;

    for (i = 4; i < 20 && i < id->len; i++) {
        c = id->data[i];
        n = n * 16 + (c <= '9' ? c - '0' : c - 'a' + 10);
    }

    return n;
}
