
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


#include "ngx_http_iclock.h"


static void ngx_http_iclock_init_connection(ngx_connection_t *c);
static ssize_t ngx_http_iclock_recv(ngx_connection_t *c, u_char *buf,
    size_t size);
static void ngx_http_iclock_close_spaces(u_char *start, u_char *end);


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

        if (ls[i].handler == ngx_http_init_connection) {
            ls[i].handler = ngx_http_iclock_init_connection;
        }
    }

    return NGX_OK;
}


static void
ngx_http_iclock_init_connection(ngx_connection_t *c)
{
    if (c->recv == ngx_recv) {
        c->recv = ngx_http_iclock_recv;
    }

    ngx_http_init_connection(c);
}


static ssize_t
ngx_http_iclock_recv(ngx_connection_t *c, u_char *buf, size_t size)
{
    u_char   *lf;
    ssize_t   n;

    n = ngx_recv(c, buf, size);

    if (n < (ssize_t) (sizeof("GET / HTTP/1.0\n") - 1)
        || (ngx_strncmp(buf, "GET /", 5) != 0
            && ngx_strncmp(buf, "POST /", 6) != 0))
    {
        return n;
    }

    lf = ngx_strlchr(buf, buf + n, LF);

    if (lf) {
        ngx_http_iclock_close_spaces(buf, lf);
    }

    return n;
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
