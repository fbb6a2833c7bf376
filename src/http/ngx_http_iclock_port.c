
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


#include "ngx_http_iclock.h"


typedef struct {
    ngx_int_t   family;
    in_port_t   port;
    ngx_uint_t  devices;    /* unsigned  devices:1; */
} ngx_http_iclock_port_t;


static ngx_int_t ngx_http_iclock_find_port(ngx_conf_t *cf,
    ngx_http_iclock_main_conf_t *imcf, ngx_array_t *addrs);
static ngx_array_t *ngx_http_iclock_port_servers(ngx_conf_t *cf,
    ngx_array_t *addrs);
static ngx_http_iclock_port_t *ngx_http_iclock_is_port(
    ngx_http_iclock_main_conf_t *imcf, struct sockaddr *sockaddr);
static void ngx_http_iclock_init_connection(ngx_connection_t *c);
static void ngx_http_iclock_init_masked(ngx_connection_t *c);


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
        if (ngx_http_iclock_find_port(cf, imcf, &port[i].addrs) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_iclock_find_port(ngx_conf_t *cf, ngx_http_iclock_main_conf_t *imcf,
    ngx_array_t *addrs)
{
    ngx_uint_t                    i, devices, tokens;
    ngx_array_t                  *servers;
    struct sockaddr              *sockaddr;
    ngx_http_conf_addr_t         *addr;
    ngx_http_iclock_port_t       *port;
    ngx_http_iclock_srv_conf_t  **iscf;

    servers = ngx_http_iclock_port_servers(cf, addrs);
    if (servers == NULL) {
        return NGX_ERROR;
    }

    iscf = servers->elts;
    devices = 0;
    tokens = 0;

    for (i = 0; i < servers->nelts; i++) {
        devices |= iscf[i]->devices;
        tokens |= iscf[i]->tokens;
    }

    if (!devices && !tokens) {
        return NGX_OK;
    }

    /* a device that names no server, or another one, comes to one of these */

    for (i = 0; i < servers->nelts; i++) {
        iscf[i]->masks = 1;
    }

    addr = addrs->elts;
    sockaddr = addr[0].opt.sockaddr;

    port = ngx_array_push(&imcf->ports);
    if (port == NULL) {
        return NGX_ERROR;
    }

    port->family = sockaddr->sa_family;
    port->port = ngx_inet_get_port(sockaddr);
    port->devices = devices;

    return NGX_OK;
}


static ngx_array_t *
ngx_http_iclock_port_servers(ngx_conf_t *cf, ngx_array_t *addrs)
{
    ngx_uint_t                    i, n;
    ngx_array_t                  *servers;
    ngx_http_conf_addr_t         *addr;
    ngx_http_core_srv_conf_t    **cscf;
    ngx_http_iclock_srv_conf_t  **iscf;

    servers = ngx_array_create(cf->temp_pool, 4,
                               sizeof(ngx_http_iclock_srv_conf_t *));
    if (servers == NULL) {
        return NULL;
    }

    addr = addrs->elts;

    for (i = 0; i < addrs->nelts; i++) {

        cscf = addr[i].servers.elts;

        for (n = 0; n < addr[i].servers.nelts; n++) {

            iscf = ngx_array_push(servers);
            if (iscf == NULL) {
                return NULL;
            }

            *iscf = cscf[n]->ctx->srv_conf[ngx_http_iclock_module.ctx_index];
        }
    }

    return servers;
}


ngx_int_t
ngx_http_iclock_init_module(ngx_cycle_t *cycle)
{
    ngx_uint_t                    i;
    ngx_listening_t              *ls;
    ngx_http_iclock_port_t       *port;
    ngx_http_iclock_main_conf_t  *imcf;

    imcf = ngx_http_cycle_get_module_main_conf(cycle, ngx_http_iclock_module);

    if (imcf == NULL) {
        return NGX_OK;
    }

    ls = cycle->listening.elts;

    for (i = 0; i < cycle->listening.nelts; i++) {

        if (ls[i].handler != ngx_http_init_connection) {
            continue;
        }

        port = ngx_http_iclock_is_port(imcf, ls[i].sockaddr);

        if (port) {
            ls[i].handler = port->devices ? ngx_http_iclock_init_connection
                                          : ngx_http_iclock_init_masked;
        }
    }

    return NGX_OK;
}


static ngx_http_iclock_port_t *
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
            return &port[i];
        }
    }

    return NULL;
}


static void
ngx_http_iclock_init_connection(ngx_connection_t *c)
{
    ngx_http_iclock_mend_lines(c);
    ngx_http_iclock_init_masked(c);
}


static void
ngx_http_iclock_init_masked(ngx_connection_t *c)
{
    /*
     * With "deferred" the first bytes are there already, and nginx would
     * handle the request, with the key in it, before the log is wrapped.  So
     * the event loop has to report them first, as it does for other listeners.
     */

    c->read->ready = 0;

    ngx_http_init_connection(c);

    if (c->fd == (ngx_socket_t) -1) {
        /* it could not be watched, and is closed */
        return;
    }

    ngx_http_iclock_wrap_log(c);
}
