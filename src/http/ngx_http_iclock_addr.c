
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


#include "ngx_http_iclock.h"


static ngx_http_iclock_addr_t  ngx_http_iclock_no_addr;


void
ngx_http_iclock_addr_set(ngx_http_iclock_addr_t *addr,
    struct sockaddr *sockaddr)
{
    struct sockaddr_in   *sin;
#if (NGX_HAVE_INET6)
    struct sockaddr_in6  *sin6;
#endif

    ngx_memzero(addr, sizeof(ngx_http_iclock_addr_t));

    switch (sockaddr->sa_family) {

    case AF_INET:
        sin = (struct sockaddr_in *) sockaddr;
        addr->data[10] = 0xff;
        addr->data[11] = 0xff;
        ngx_memcpy(&addr->data[12], &sin->sin_addr, 4);
        break;

#if (NGX_HAVE_INET6)
    case AF_INET6:
        sin6 = (struct sockaddr_in6 *) sockaddr;
        ngx_memcpy(addr->data, &sin6->sin6_addr, 16);
        break;
#endif

    default: /* AF_UNIX */
        break;
    }
}


ngx_int_t
ngx_http_iclock_addr_text(ngx_http_iclock_addr_t *addr, ngx_pool_t *pool,
    ngx_str_t *text)
{
    static u_char  mapped[] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };

    ngx_str_null(text);

    if (ngx_memcmp(addr, &ngx_http_iclock_no_addr,
                   sizeof(ngx_http_iclock_addr_t))
        == 0)
    {
        return NGX_OK;
    }

    text->data = ngx_pnalloc(pool, NGX_INET6_ADDRSTRLEN);
    if (text->data == NULL) {
        return NGX_ERROR;
    }

    if (ngx_memcmp(addr->data, mapped, sizeof(mapped)) == 0) {
        text->len = ngx_inet_ntop(AF_INET, &addr->data[12], text->data,
                                  NGX_INET6_ADDRSTRLEN);
        return NGX_OK;
    }

#if (NGX_HAVE_INET6)
    text->len = ngx_inet_ntop(AF_INET6, addr->data, text->data,
                              NGX_INET6_ADDRSTRLEN);
#endif

    return NGX_OK;
}


ngx_uint_t
ngx_http_iclock_addr_same(ngx_http_iclock_addr_t *a,
    ngx_http_iclock_addr_t *b)
{
    return ngx_memcmp(a, b, sizeof(ngx_http_iclock_addr_t)) == 0
           && ngx_memcmp(a, &ngx_http_iclock_no_addr,
                         sizeof(ngx_http_iclock_addr_t))
              != 0;
}
