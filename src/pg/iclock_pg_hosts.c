
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


#include "iclock_pg_private.h"


static ngx_uint_t ngx_iclock_pg_count(ngx_str_t *list);
static ngx_int_t ngx_iclock_pg_element(ngx_pool_t *pool, ngx_str_t *list,
    ngx_uint_t n, ngx_str_t *element);
static ngx_int_t ngx_iclock_pg_hosts_addrs(ngx_conf_t *cf,
    ngx_iclock_pg_host_t *host, ngx_str_t *addr);
static ngx_int_t ngx_iclock_pg_hosts_lookup(ngx_conf_t *cf,
    ngx_iclock_pg_host_t *host);


ngx_int_t
ngx_iclock_pg_hosts_create(ngx_conf_t *cf, ngx_iclock_pg_server_t *server,
    ngx_str_t *hosts, ngx_str_t *addrs, ngx_str_t *ports, char **err)
{
    ngx_str_t              addr;
    ngx_uint_t             i, n, nports;
    ngx_iclock_pg_host_t  *host;

    n = ngx_max(ngx_iclock_pg_count(hosts), ngx_iclock_pg_count(addrs));
    n = ngx_max(n, 1);

    nports = ngx_iclock_pg_count(ports);

    if ((hosts->len && ngx_iclock_pg_count(hosts) != n)
        || (addrs->len && ngx_iclock_pg_count(addrs) != n)
        || (nports > 1 && nports != n))
    {
        *err = "different numbers of hosts, addresses and ports";
        return NGX_ERROR;
    }

    if (ngx_array_init(&server->hosts, cf->pool, n,
                       sizeof(ngx_iclock_pg_host_t))
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    for (i = 0; i < n; i++) {

        host = ngx_array_push(&server->hosts);
        if (host == NULL) {
            return NGX_ERROR;
        }

        ngx_memzero(host, sizeof(ngx_iclock_pg_host_t));

        if (ngx_iclock_pg_element(cf->pool, hosts, i, &host->name) != NGX_OK
            || ngx_iclock_pg_element(cf->pool, addrs, i, &addr) != NGX_OK
            || ngx_iclock_pg_element(cf->pool, ports, nports > 1 ? i : 0,
                                     &host->port)
               != NGX_OK
            || ngx_iclock_pg_hosts_addrs(cf, host, &addr) != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static ngx_uint_t
ngx_iclock_pg_count(ngx_str_t *list)
{
    size_t      i;
    ngx_uint_t  n;

    if (list->len == 0) {
        return 0;
    }

    n = 1;

    for (i = 0; i < list->len; i++) {
        if (list->data[i] == ',') {
            n++;
        }
    }

    return n;
}


/* element n of a list separated by commas, empty if there is none */

static ngx_int_t
ngx_iclock_pg_element(ngx_pool_t *pool, ngx_str_t *list, ngx_uint_t n,
    ngx_str_t *element)
{
    u_char  *p, *last, *comma;

    ngx_str_null(element);

    p = list->data;
    last = list->data + list->len;

    while (n-- && p < last) {
        comma = ngx_strlchr(p, last, ',');
        p = comma ? comma + 1 : last;
    }

    if (p == last) {
        return NGX_OK;
    }

    comma = ngx_strlchr(p, last, ',');

    element->len = (comma ? comma : last) - p;
    element->data = ngx_pnalloc(pool, element->len + 1);
    if (element->data == NULL) {
        return NGX_ERROR;
    }

    ngx_cpystrn(element->data, p, element->len + 1);

    return NGX_OK;
}


static ngx_int_t
ngx_iclock_pg_hosts_addrs(ngx_conf_t *cf, ngx_iclock_pg_host_t *host,
    ngx_str_t *addr)
{
    /* a path, or nothing, needs no address; the same goes for an IP */

    if (addr->len == 0 && host->name.len && host->name.data[0] != '/'
        && host->name.data[0] != '@')
    {
        return ngx_iclock_pg_hosts_lookup(cf, host);
    }

    host->addrs = ngx_palloc(cf->pool, sizeof(ngx_str_t));
    if (host->addrs == NULL) {
        return NGX_ERROR;
    }

    host->addrs[0] = *addr;
    host->naddrs = 1;

    return NGX_OK;
}


static ngx_int_t
ngx_iclock_pg_hosts_lookup(ngx_conf_t *cf, ngx_iclock_pg_host_t *host)
{
    u_char      *p;
    ngx_url_t    u;
    ngx_addr_t   addr;
    ngx_uint_t   i;

    /* an address is no name */

    host->resolve = (ngx_parse_addr(cf->temp_pool, &addr, host->name.data,
                                    host->name.len)
                     != NGX_OK);

    ngx_memzero(&u, sizeof(ngx_url_t));
    u.host = host->name;

    if (ngx_inet_resolve_host(cf->pool, &u) != NGX_OK) {
        ngx_conf_log_error(NGX_LOG_WARN, cf, 0,
                           "host \"%V\" of PostgreSQL is not found now, "
                           "it needs a \"resolver\" to be found later",
                           &host->name);
        return NGX_OK;
    }

    host->addrs = ngx_palloc(cf->pool, u.naddrs * sizeof(ngx_str_t));
    if (host->addrs == NULL) {
        return NGX_ERROR;
    }

    host->naddrs = u.naddrs;

    for (i = 0; i < u.naddrs; i++) {

        p = ngx_pcalloc(cf->pool, NGX_SOCKADDR_STRLEN + 1);
        if (p == NULL) {
            return NGX_ERROR;
        }

        host->addrs[i].data = p;
        host->addrs[i].len = ngx_sock_ntop(u.addrs[i].sockaddr,
                                           u.addrs[i].socklen, p,
                                           NGX_SOCKADDR_STRLEN, 0);
    }

    return NGX_OK;
}
