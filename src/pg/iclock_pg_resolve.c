
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


#include "iclock_pg_private.h"


ngx_int_t
ngx_iclock_pg_resolve(ngx_iclock_pg_conn_t *conn, ngx_iclock_pg_host_t *host,
    ngx_resolver_handler_pt handler)
{
    ngx_resolver_ctx_t  *ctx, temp;

    if (!host->resolve || conn->conf->resolver == NULL) {
        return NGX_DECLINED;
    }

    temp.name = host->name;

    ctx = ngx_resolve_start(conn->conf->resolver, &temp);

    if (ctx == NULL) {
        return NGX_ERROR;
    }

    if (ctx == NGX_NO_RESOLVER) {
        return NGX_DECLINED;
    }

    ctx->name = host->name;
    ctx->handler = handler;
    ctx->data = conn;
    ctx->timeout = conn->conf->resolver_timeout;

    /* jobs that wait have a timer of their own */
    ctx->cancelable = 1;

    conn->resolving = ctx;

    if (ngx_resolve_name(ctx) != NGX_OK) {
        conn->resolving = NULL;
        return NGX_ERROR;
    }

    return NGX_AGAIN;
}


void
ngx_iclock_pg_resolve_cancel(ngx_iclock_pg_conn_t *conn)
{
    if (conn->resolving) {
        ngx_resolve_name_done(conn->resolving);
        conn->resolving = NULL;
    }
}


ngx_uint_t
ngx_iclock_pg_resolved(ngx_iclock_pg_conn_t *conn, ngx_resolver_ctx_t *ctx)
{
    u_char      *p;
    ngx_uint_t   i;

    if (ctx->state) {
        return 0;
    }

    conn->resolved = ngx_palloc(conn->pool, ctx->naddrs * sizeof(ngx_str_t));
    if (conn->resolved == NULL) {
        return 0;
    }

    for (i = 0; i < ctx->naddrs; i++) {

        p = ngx_pcalloc(conn->pool, NGX_SOCKADDR_STRLEN + 1);
        if (p == NULL) {
            return 0;
        }

        conn->resolved[i].data = p;
        conn->resolved[i].len = ngx_sock_ntop(ctx->addrs[i].sockaddr,
                                              ctx->addrs[i].socklen, p,
                                              NGX_SOCKADDR_STRLEN, 0);
    }

    return ctx->naddrs;
}
