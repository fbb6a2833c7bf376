
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


#include "ngx_http_iclock.h"


/* how much of a request line may follow its first space */
#define NGX_HTTP_ICLOCK_HELD  2048


/* the end of a request line that is not complete */
typedef struct {
    size_t  len;
    u_char  data[NGX_HTTP_ICLOCK_HELD];
} ngx_http_iclock_held_t;


static ssize_t ngx_http_iclock_recv(ngx_connection_t *c, u_char *buf,
    size_t size);
static u_char *ngx_http_iclock_line_start(ngx_connection_t *c, u_char *buf);
static void ngx_http_iclock_mend_headers(ngx_connection_t *c, u_char *buf,
    u_char *last);
static u_char *ngx_http_iclock_skip(u_char *p, u_char *last);
static u_char *ngx_http_iclock_mend(u_char *start, u_char *buf, u_char *last);
static ngx_uint_t ngx_http_iclock_mendable(u_char *p, u_char *last);
static void ngx_http_iclock_mend_line(u_char *start, u_char *lf,
    u_char *last);
static ngx_uint_t ngx_http_iclock_hostless(u_char *p, u_char *last);
static ngx_uint_t ngx_http_iclock_names_serial(u_char *args, u_char *last);
static ngx_http_iclock_held_t *ngx_http_iclock_held(ngx_connection_t *c);
static ngx_int_t ngx_http_iclock_hold(ngx_connection_t *c, u_char *p,
    u_char *last);
static void ngx_http_iclock_held_cleanup(void *data);


/*
 * Old firmware does not escape the spaces of "INFO=Ver 2.0.12,0,0,0", and some
 * sends no Host with HTTP/1.1.  nginx answers 400 to such requests before any
 * module sees them.  So they are mended where they are received, and only where
 * they would be refused otherwise and name a serial number: spaces are closed,
 * and what has no Host is taken for HTTP/1.0, which needs none.
 */

void
ngx_http_iclock_mend_lines(ngx_connection_t *c)
{
    if (c->recv == ngx_recv) {
        c->recv = ngx_http_iclock_recv;
    }
}


/*
 * Only a complete line shows whether its spaces must be closed.  Until then it
 * is held back from its first space on, since nginx would refuse what follows.
 */

static ssize_t
ngx_http_iclock_recv(ngx_connection_t *c, u_char *buf, size_t size)
{
    u_char                  *start, *p, *last;
    size_t                   len;
    ssize_t                  n;
    ngx_http_iclock_held_t  *held;

    start = ngx_http_iclock_line_start(c, buf);

    if (start == NULL) {
        n = ngx_recv(c, buf, size);

        if (n > 0) {
            ngx_http_iclock_mend_headers(c, buf, buf + n);
        }

        return n;
    }

    held = ngx_http_iclock_held(c);
    len = held ? ngx_min(held->len, size) : 0;

    if (len) {
        ngx_memcpy(buf, held->data, len);
    }

    n = ngx_recv(c, buf + len, size - len);

    if (n <= 0) {
        return n;
    }

    if (held) {
        held->len = 0;
    }

    last = buf + len + n;
    p = ngx_http_iclock_mend(start, buf, last);

    /* at the end of the stream, or of the buffer, nothing will follow */

    if (p == NULL || last == buf + size || c->read->pending_eof
        || ngx_http_iclock_hold(c, p, last) != NGX_OK)
    {
        return last - buf;
    }

    return (p == buf) ? NGX_AGAIN : p - buf;
}


/* where the request line began that is being received; NULL: none is */

static u_char *
ngx_http_iclock_line_start(ngx_connection_t *c, u_char *buf)
{
    ngx_http_request_t  *r;
    ngx_http_log_ctx_t  *ctx;

    ctx = c->log->data;
    r = ctx->request;

    if (r == NULL) {
        return (c->buffer && c->buffer->last == buf) ? c->buffer->pos : NULL;
    }

    if (r->request_line.len || r->header_in == NULL
        || r->header_in->last != buf)
    {
        return NULL;
    }

    return r->request_start ? r->request_start : r->header_in->pos;
}


/* header lines that come after the request line, some of them before buf */

static void
ngx_http_iclock_mend_headers(ngx_connection_t *c, u_char *buf, u_char *last)
{
    ngx_http_request_t  *r;
    ngx_http_log_ctx_t  *ctx;

    ctx = c->log->data;
    r = ctx->request;

    if (r == NULL
        || r->http_version != NGX_HTTP_VERSION_11
        || r->headers_in.host
        || r->header_in == NULL
        || r->header_in->last != buf
        || !ngx_http_iclock_names_serial(r->args.data,
                                         r->args.data + r->args.len))
    {
        return;
    }

    /* a state that is not 0 is within a line */

    if (ngx_http_iclock_hostless(r->state ? r->header_name_start : buf, last)) {
        r->http_version = NGX_HTTP_VERSION_10;
    }
}


/* empty lines, and what "proxy_protocol" puts before the first line */

static u_char *
ngx_http_iclock_skip(u_char *p, u_char *last)
{
    u_char  *lf;
    size_t   len;

    if (last - p >= 16
        && ngx_memcmp(p, "\r\n\r\n\0\r\nQUIT\n", 12) == 0)
    {
        len = 16 + p[14] * 256 + p[15];

        if ((size_t) (last - p) <= len) {
            return last;
        }

        p += len;

    } else if (last - p > 6 && ngx_memcmp(p, "PROXY ", 6) == 0) {

        lf = ngx_strlchr(p, last, LF);

        if (lf == NULL) {
            return last;
        }

        p = lf + 1;
    }

    while (p < last && (*p == CR || *p == LF)) {
        p++;
    }

    return p;
}


/*
 * Mends a line that is complete; buf is what was not seen before.  Otherwise
 * returns its first space, if it is in the query.
 */

static u_char *
ngx_http_iclock_mend(u_char *start, u_char *buf, u_char *last)
{
    u_char  *p, *lf, *args;

    start = ngx_http_iclock_skip(start, last);

    if (!ngx_http_iclock_mendable(start, last)) {
        return NULL;
    }

    p = ngx_max(start, buf);
    lf = memchr(p, LF, last - p);

    if (lf) {
        ngx_http_iclock_mend_line(start, lf, last);
        return NULL;
    }

    args = memchr(start, '?', last - start);

    if (args == NULL) {
        return NULL;
    }

    p = ngx_max(args, buf);

    return memchr(p, ' ', last - p);
}


/* push SDK 3.2.0, section 2.4.5, has a poll that names the server */

static ngx_uint_t
ngx_http_iclock_mendable(u_char *p, u_char *last)
{
    if (last - p > 4 && ngx_strncmp(p, "GET ", 4) == 0) {
        p += 4;

    } else if (last - p > 5 && ngx_strncmp(p, "POST ", 5) == 0) {
        p += 5;

    } else {
        return 0;
    }

    return *p == '/'
           || (last - p > 7
               && ngx_strncasecmp(p, (u_char *) "http://", 7) == 0);
}


static void
ngx_http_iclock_mend_line(u_char *start, u_char *lf, u_char *last)
{
    u_char      *p, *end, *version, *args;
    ngx_uint_t   hostless;

    end = (lf > start && lf[-1] == CR) ? lf - 1 : lf;

    version = end - (sizeof(" HTTP/1.1") - 1);

    if (version <= start || ngx_strncmp(version, " HTTP/1.", 8) != 0) {
        return;
    }

    args = memchr(start, '?', version - start);

    if (args == NULL) {
        return;
    }

    hostless = (end[-1] == '1' && ngx_http_iclock_hostless(lf + 1, last));

    if ((!hostless && memchr(args, ' ', version - args) == NULL)
        || !ngx_http_iclock_names_serial(args, version))
    {
        return;
    }

    /* a plus sign stands for a space in a query */

    for (p = args; p < version; p++) {
        if (*p == ' ') {
            *p = '+';
        }
    }

    if (hostless) {
        end[-1] = '0';
    }
}


/* whether these are all the header lines, and none of them is a Host */

static ngx_uint_t
ngx_http_iclock_hostless(u_char *p, u_char *last)
{
    u_char  *lf;

    while (p < last) {

        lf = memchr(p, LF, last - p);

        if (lf == NULL) {
            return 0;
        }

        if (lf == p || (lf == p + 1 && *p == CR)) {
            return 1;
        }

        if (lf - p >= 5 && ngx_strncasecmp(p, (u_char *) "Host:", 5) == 0) {
            return 0;
        }

        p = lf + 1;
    }

    return 0;
}


static ngx_uint_t
ngx_http_iclock_names_serial(u_char *args, u_char *last)
{
    return last - args > 3
           && ngx_strlcasestrn(args, last, (u_char *) "sn=", 3 - 1) != NULL;
}


/* the next request is in the buffer already when this one ends */

void
ngx_http_iclock_mend_pipelined(ngx_http_request_t *r)
{
    u_char            *p;
    ngx_buf_t         *b;
    ngx_connection_t  *c;

    c = r->connection;
    b = r->header_in;

    if (r != r->main || c->recv != ngx_http_iclock_recv
        || b == NULL || b->pos >= b->last)
    {
        return;
    }

#if (NGX_HTTP_V2)

    if (r->stream) {
        return;
    }

#endif

    p = ngx_http_iclock_mend(b->pos, b->pos, b->last);

    if (p && b->last < b->end
        && ngx_http_iclock_hold(c, p, b->last) == NGX_OK)
    {
        b->last = p;
    }
}


static ngx_http_iclock_held_t *
ngx_http_iclock_held(ngx_connection_t *c)
{
    ngx_pool_cleanup_t  *cln;

    for (cln = c->pool->cleanup; cln; cln = cln->next) {
        if (cln->handler == ngx_http_iclock_held_cleanup) {
            return cln->data;
        }
    }

    return NULL;
}


static ngx_int_t
ngx_http_iclock_hold(ngx_connection_t *c, u_char *p, u_char *last)
{
    ngx_pool_cleanup_t      *cln;
    ngx_http_iclock_held_t  *held;

    if (last - p > NGX_HTTP_ICLOCK_HELD) {
        return NGX_DECLINED;
    }

    held = ngx_http_iclock_held(c);

    if (held == NULL) {
        cln = ngx_pool_cleanup_add(c->pool, sizeof(ngx_http_iclock_held_t));
        if (cln == NULL) {
            return NGX_ERROR;
        }

        cln->handler = ngx_http_iclock_held_cleanup;
        held = cln->data;
    }

    held->len = last - p;
    ngx_memcpy(held->data, p, held->len);

    return NGX_OK;
}


/* marks the data of the connection, which go with its pool */

static void
ngx_http_iclock_held_cleanup(void *data)
{
}
