
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


#include "iclock_hook_private.h"


static ngx_int_t ngx_iclock_hook_host(ngx_iclock_transfer_t *t);
static ngx_uint_t ngx_iclock_hook_is_name(ngx_str_t *host);
static void ngx_iclock_hook_resolved(ngx_resolver_ctx_t *ctx);
static ngx_int_t ngx_iclock_hook_addrs(ngx_iclock_transfer_t *t,
    ngx_resolver_ctx_t *ctx);


/* NGX_OK: an answer comes, or the transfer has ended */

ngx_int_t
ngx_iclock_hook_resolve(ngx_iclock_transfer_t *t)
{
    ngx_msec_t               timeout;
    ngx_resolver_ctx_t      *ctx;
    ngx_iclock_hook_conf_t  *conf;

    conf = t->hook->conf;

    if (conf->resolver == NULL) {
        return NGX_DECLINED;
    }

    if (ngx_iclock_hook_host(t) != NGX_OK) {
        ngx_iclock_hook_end(t, "the URL has no host");
        return NGX_OK;
    }

    if (!ngx_iclock_hook_is_name(&t->host)) {
        return NGX_DECLINED;
    }

    ctx = ngx_resolve_start(conf->resolver, NULL);

    if (ctx == NULL || ctx == NGX_NO_RESOLVER) {
        ngx_iclock_hook_end(t, "the name was not looked up");
        return NGX_OK;
    }

    timeout = ngx_min(conf->resolver_timeout, t->delivery->timeout);

    ctx->name = t->host;
    ctx->handler = ngx_iclock_hook_resolved;
    ctx->data = t;
    ctx->timeout = timeout;

    t->resolving = ctx;

    if (ngx_resolve_name(ctx) != NGX_OK) {
        /* it is freed already */
        t->resolving = NULL;
        ngx_iclock_hook_end(t, "the name was not looked up");
    }

    return NGX_OK;
}


static ngx_int_t
ngx_iclock_hook_host(ngx_iclock_transfer_t *t)
{
    char       *host, *port;
    CURLU      *u;
    CURLUcode   rc;

    u = curl_url();
    if (u == NULL) {
        return NGX_ERROR;
    }

    host = NULL;
    port = NULL;

    rc = curl_url_set(u, CURLUPART_URL, (char *) t->delivery->url.data, 0);

    if (rc == CURLUE_OK) {
        rc = curl_url_get(u, CURLUPART_HOST, &host, 0);
    }

    if (rc == CURLUE_OK) {
        rc = curl_url_get(u, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT);
    }

    if (rc == CURLUE_OK) {
        t->port = ngx_atoi((u_char *) port, ngx_strlen(port));
        t->host.len = ngx_strlen(host);
        t->host.data = ngx_alloc(t->host.len, t->hook->log);

        if (t->host.data) {
            ngx_memcpy(t->host.data, host, t->host.len);
        }
    }

    curl_free(host);
    curl_free(port);
    curl_url_cleanup(u);

    return t->host.data ? NGX_OK : NGX_ERROR;
}


/* libcurl has the addresses of these by itself */

static ngx_uint_t
ngx_iclock_hook_is_name(ngx_str_t *host)
{
    size_t      len;
    ngx_str_t   local;

    ngx_str_set(&local, ".localhost");

    len = host->len;

    if (host->data[0] == '['
        || ngx_inet_addr(host->data, len) != INADDR_NONE)
    {
        return 0;
    }

    if (len == local.len - 1
        && ngx_strncasecmp(host->data, local.data + 1, len) == 0)
    {
        return 0;
    }

    return len < local.len
           || ngx_strncasecmp(host->data + len - local.len, local.data,
                              local.len)
              != 0;
}


static void
ngx_iclock_hook_resolved(ngx_resolver_ctx_t *ctx)
{
    ngx_int_t               rc;
    ngx_iclock_transfer_t  *t;

    t = ctx->data;

    if (ctx->state) {
        ngx_sprintf((u_char *) t->error, "the name was not found: %s%Z",
                    ngx_resolver_strerror(ctx->state));
        rc = NGX_ERROR;

    } else {
        rc = ngx_iclock_hook_addrs(t, ctx);
    }

    t->resolving = NULL;

    ngx_resolve_name_done(ctx);

    if (rc != NGX_OK) {
        ngx_iclock_hook_end(t, NULL);
        return;
    }

    ngx_iclock_hook_start(t);
}


/* "host:port:address,address" */

static ngx_int_t
ngx_iclock_hook_addrs(ngx_iclock_transfer_t *t, ngx_resolver_ctx_t *ctx)
{
    u_char      text[NGX_ICLOCK_HOOK_URL + 32
                     + NGX_ICLOCK_HOOK_ADDRS * (NGX_SOCKADDR_STRLEN + 3)];
    u_char     *p;
    ngx_uint_t  i, in6;

    p = ngx_sprintf(text, "%V:%ui:", &t->host, t->port);

    for (i = 0; i < ctx->naddrs && i < NGX_ICLOCK_HOOK_ADDRS; i++) {

        if (i) {
            *p++ = ',';
        }

        in6 = (ctx->addrs[i].sockaddr->sa_family != AF_INET);

        if (in6) {
            *p++ = '[';
        }

        p += ngx_sock_ntop(ctx->addrs[i].sockaddr, ctx->addrs[i].socklen, p,
                           NGX_SOCKADDR_STRLEN, 0);

        if (in6) {
            *p++ = ']';
        }
    }

    *p = '\0';

    t->resolved = curl_slist_append(NULL, (char *) text);

    return t->resolved ? NGX_OK : NGX_ERROR;
}
