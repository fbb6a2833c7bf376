
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


#include "ngx_http_iclock.h"


/* how much of a request line may follow its first space */
#define NGX_HTTP_ICLOCK_HELD  2048


typedef struct {
    ngx_int_t  family;
    in_port_t  port;
} ngx_http_iclock_port_t;


/* the end of a request line that is not complete */
typedef struct {
    size_t  len;
    u_char  data[NGX_HTTP_ICLOCK_HELD];
} ngx_http_iclock_held_t;


static ngx_int_t ngx_http_iclock_find_port(ngx_http_iclock_main_conf_t *imcf,
    ngx_array_t *addrs);
static ngx_uint_t ngx_http_iclock_port_servers(ngx_array_t *addrs,
    ngx_uint_t found);
static ngx_uint_t ngx_http_iclock_is_port(ngx_http_iclock_main_conf_t *imcf,
    struct sockaddr *sockaddr);
static void ngx_http_iclock_init_connection(ngx_connection_t *c);
static ssize_t ngx_http_iclock_recv(ngx_connection_t *c, u_char *buf,
    size_t size);
static u_char *ngx_http_iclock_line_start(ngx_connection_t *c, u_char *buf);
static u_char *ngx_http_iclock_skip(u_char *p, u_char *last);
static u_char *ngx_http_iclock_mend(u_char *start, u_char *buf, u_char *last);
static void ngx_http_iclock_close_spaces(u_char *start, u_char *end);
static ngx_http_iclock_held_t *ngx_http_iclock_held(ngx_connection_t *c);
static ngx_int_t ngx_http_iclock_hold(ngx_connection_t *c, u_char *p,
    u_char *last);
static void ngx_http_iclock_held_cleanup(void *data);


/*
 * Old firmware does not escape the spaces of "INFO=Ver 2.0.12,0,0,0", and
 * nginx answers 400 to such a request line before any module sees it.  So
 * the line is mended where it is received, and only where it would be
 * refused otherwise and names a serial number.
 */

ngx_int_t
ngx_http_iclock_init_module(ngx_cycle_t *cycle)
{
    ngx_uint_t                    i;
    ngx_listening_t              *ls;
    ngx_http_iclock_main_conf_t  *imcf;

    imcf = ngx_http_cycle_get_module_main_conf(cycle, ngx_http_iclock_module);

    if (imcf == NULL || imcf->locations == 0) {
        return NGX_OK;
    }

    ls = cycle->listening.elts;

    for (i = 0; i < cycle->listening.nelts; i++) {

        if (ls[i].handler == ngx_http_init_connection
            && ngx_http_iclock_is_port(imcf, ls[i].sockaddr))
        {
            ls[i].handler = ngx_http_iclock_init_connection;
        }
    }

    return NGX_OK;
}


/* ports are shared by servers, and listeners by addresses of a port */

ngx_int_t
ngx_http_iclock_find_ports(ngx_conf_t *cf)
{
    ngx_uint_t                    i;
    ngx_http_conf_port_t         *port;
    ngx_http_core_main_conf_t    *cmcf;
    ngx_http_iclock_main_conf_t  *imcf;

    imcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_iclock_module);
    cmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);

    if (ngx_array_init(&imcf->ports, cf->pool, 2,
                       sizeof(ngx_http_iclock_port_t))
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (cmcf->ports == NULL) {
        return NGX_OK;
    }

    port = cmcf->ports->elts;

    for (i = 0; i < cmcf->ports->nelts; i++) {
        if (ngx_http_iclock_find_port(imcf, &port[i].addrs) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_iclock_find_port(ngx_http_iclock_main_conf_t *imcf,
    ngx_array_t *addrs)
{
    struct sockaddr         *sockaddr;
    ngx_http_conf_addr_t    *addr;
    ngx_http_iclock_port_t  *port;

    if (!ngx_http_iclock_port_servers(addrs, 0)) {
        return NGX_OK;
    }

    /* a device that names no server, or another one, comes to one of these */

    (void) ngx_http_iclock_port_servers(addrs, 1);

    addr = addrs->elts;
    sockaddr = addr[0].opt.sockaddr;

    port = ngx_array_push(&imcf->ports);
    if (port == NULL) {
        return NGX_ERROR;
    }

    port->family = sockaddr->sa_family;
    port->port = ngx_inet_get_port(sockaddr);

    return NGX_OK;
}


/* whether devices come to any of them, or else lets all know of it */

static ngx_uint_t
ngx_http_iclock_port_servers(ngx_array_t *addrs, ngx_uint_t found)
{
    ngx_uint_t                    i, n;
    ngx_http_conf_addr_t         *addr;
    ngx_http_core_srv_conf_t    **cscf;
    ngx_http_iclock_srv_conf_t   *iscf;

    addr = addrs->elts;

    for (i = 0; i < addrs->nelts; i++) {

        cscf = addr[i].servers.elts;

        for (n = 0; n < addr[i].servers.nelts; n++) {

            iscf = cscf[n]->ctx->srv_conf[ngx_http_iclock_module.ctx_index];

            if (found) {
                iscf->masks = 1;

            } else if (iscf->devices) {
                return 1;
            }
        }
    }

    return 0;
}


static ngx_uint_t
ngx_http_iclock_is_port(ngx_http_iclock_main_conf_t *imcf,
    struct sockaddr *sockaddr)
{
    ngx_uint_t               i;
    ngx_http_iclock_port_t  *port;

    port = imcf->ports.elts;

    for (i = 0; i < imcf->ports.nelts; i++) {

        if (port[i].family == sockaddr->sa_family
            && port[i].port == ngx_inet_get_port(sockaddr))
        {
            return 1;
        }
    }

    return 0;
}


static void
ngx_http_iclock_init_connection(ngx_connection_t *c)
{
    if (c->recv == ngx_recv) {
        c->recv = ngx_http_iclock_recv;
    }

    /*
     * With "deferred" the first bytes are there already, and nginx would
     * handle the request before the log is wrapped, with the key in it.  So
     * the event loop is to tell of them, as it does for other listeners.
     */

    c->read->ready = 0;

    ngx_http_init_connection(c);

    if (c->fd == (ngx_socket_t) -1) {
        /* it could not be watched, and is closed */
        return;
    }

    ngx_http_iclock_wrap_log(c);
}


/*
 * Whether the spaces of a line are to be closed is known when all of it is
 * there.  Until then it is held back from its first space on, since nginx
 * would refuse what follows.
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
        return ngx_recv(c, buf, size);
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
 * Closes the spaces of a line that is complete; buf is what was not seen
 * before.  Otherwise returns its first space, if it is in the query.
 */

static u_char *
ngx_http_iclock_mend(u_char *start, u_char *buf, u_char *last)
{
    u_char  *lf, *args;

    start = ngx_http_iclock_skip(start, last);

    if (last - start < 6
        || (ngx_strncmp(start, "GET /", 5) != 0
            && ngx_strncmp(start, "POST /", 6) != 0))
    {
        return NULL;
    }

    lf = ngx_strlchr(ngx_max(start, buf), last, LF);

    if (lf) {
        ngx_http_iclock_close_spaces(start, lf);
        return NULL;
    }

    args = ngx_strlchr(start, last, '?');

    return args ? ngx_strlchr(ngx_max(args, buf), last, ' ') : NULL;
}


/* a plus sign stands for a space in a query */

static void
ngx_http_iclock_close_spaces(u_char *start, u_char *end)
{
    u_char  *p, *last, *args;

    if (end > start && end[-1] == CR) {
        end--;
    }

    last = end - (sizeof(" HTTP/1.1") - 1);

    if (last <= start || ngx_strncmp(last, " HTTP/1.", 8) != 0) {
        return;
    }

    args = ngx_strlchr(start, last, '?');

    if (args == NULL || ngx_strlchr(args, last, ' ') == NULL
        || ngx_strlcasestrn(args, last, (u_char *) "sn=", 3 - 1) == NULL)
    {
        return;
    }

    for (p = args; p < last; p++) {
        if (*p == ' ') {
            *p = '+';
        }
    }
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
