
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


#include "iclock_hook.h"

#include <ifaddrs.h>


/* an IPv4 address is in these bytes of an IPv6 address */
typedef struct {
    const char  *network;
    ngx_uint_t   offset;
} ngx_iclock_hook_embedded_t;


static ngx_int_t ngx_iclock_hook_own(ngx_iclock_hook_rules_t *rules,
    ngx_array_t *listening, ngx_pool_t *pool);
static ngx_int_t ngx_iclock_hook_own_any(ngx_iclock_hook_rules_t *rules,
    ngx_sockaddr_t *any, struct ifaddrs *interfaces);
static ngx_int_t ngx_iclock_hook_own_add(ngx_iclock_hook_rules_t *rules,
    struct sockaddr *sockaddr, in_port_t port);
static ngx_uint_t ngx_iclock_hook_is_own(ngx_iclock_hook_rules_t *rules,
    struct sockaddr *sockaddr);
#if (NGX_HAVE_INET6)
static void ngx_iclock_hook_unwrap(ngx_sockaddr_t *sa);
#endif
static ngx_int_t ngx_iclock_hook_cidr(ngx_cidr_t *cidr, const char *text);


/* what is not a host of the public internet: the registries of the IANA */

static const char  *ngx_iclock_hook_networks[] = {
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.88.99.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/4",
    "240.0.0.0/4",
#if (NGX_HAVE_INET6)
    "64:ff9b:1::/48",
    "100::/64",
    "2001::/23",
    "2001:db8::/32",
    "3fff::/20",
    "5f00::/16",
    "fc00::/7",
    "fe80::/10",
    "fec0::/10",
    "ff00::/8",
#endif
    NULL
};


#if (NGX_HAVE_INET6)

/* :: and ::1 count as 0.0.0.0 and 0.0.0.1 */

static const ngx_iclock_hook_embedded_t  ngx_iclock_hook_embedded[] = {
    { "::/96", 12 },
    { "::ffff:0:0/96", 12 },
    { "::ffff:0:0:0/96", 12 },
    { "64:ff9b::/96", 12 },
    { "2002::/16", 2 },
    { NULL, 0 }
};

#endif


ngx_int_t
ngx_iclock_hook_rules(ngx_iclock_hook_rules_t *rules, ngx_array_t *allowed,
    ngx_array_t *listening, ngx_pool_t *pool)
{
    ngx_cidr_t   *cidr;
    const char  **network;

    rules->allowed = allowed;

    rules->refused = ngx_array_create(pool, 32, sizeof(ngx_cidr_t));
    rules->own = ngx_array_create(pool, 8, sizeof(ngx_sockaddr_t));

    if (rules->refused == NULL || rules->own == NULL) {
        return NGX_ERROR;
    }

    for (network = ngx_iclock_hook_networks; *network; network++) {

        cidr = ngx_array_push(rules->refused);

        if (cidr == NULL || ngx_iclock_hook_cidr(cidr, *network) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    return listening ? ngx_iclock_hook_own(rules, listening, pool) : NGX_OK;
}


static ngx_int_t
ngx_iclock_hook_cidr(ngx_cidr_t *cidr, const char *text)
{
    ngx_str_t  s;

    s.data = (u_char *) text;
    s.len = ngx_strlen(text);

    return ngx_ptocidr(&s, cidr);
}


/* what nginx listens on; a wildcard stands for each address of the machine */

static ngx_int_t
ngx_iclock_hook_own(ngx_iclock_hook_rules_t *rules, ngx_array_t *listening,
    ngx_pool_t *pool)
{
    ngx_int_t         rc;
    ngx_uint_t        i;
    struct ifaddrs   *interfaces;
    ngx_listening_t  *ls;

    if (getifaddrs(&interfaces) == -1) {
        ngx_log_error(NGX_LOG_ERR, pool->log, ngx_errno,
                      "getifaddrs() failed");
        interfaces = NULL;
    }

    ls = listening->elts;
    rc = NGX_OK;

    for (i = 0; i < listening->nelts && rc == NGX_OK; i++) {

        if (ls[i].sockaddr->sa_family != AF_INET
#if (NGX_HAVE_INET6)
            && ls[i].sockaddr->sa_family != AF_INET6
#endif
            )
        {
            continue;
        }

        if (ngx_inet_wildcard(ls[i].sockaddr)) {
            rc = ngx_iclock_hook_own_any(rules,
                                         (ngx_sockaddr_t *) ls[i].sockaddr,
                                         interfaces);
            continue;
        }

        rc = ngx_iclock_hook_own_add(rules, ls[i].sockaddr,
                                     ngx_inet_get_port(ls[i].sockaddr));
    }

    if (interfaces) {
        freeifaddrs(interfaces);
    }

    return rc;
}


static ngx_int_t
ngx_iclock_hook_own_any(ngx_iclock_hook_rules_t *rules, ngx_sockaddr_t *any,
    struct ifaddrs *interfaces)
{
    struct ifaddrs  *ifa;

    for (ifa = interfaces; ifa; ifa = ifa->ifa_next) {

        if (ifa->ifa_addr == NULL) {
            continue;
        }

        /* a wildcard of IPv6 may take connections of IPv4, too */

        if (ifa->ifa_addr->sa_family != AF_INET
#if (NGX_HAVE_INET6)
            && (ifa->ifa_addr->sa_family != AF_INET6
                || any->sockaddr.sa_family == AF_INET)
#endif
            )
        {
            continue;
        }

        if (ngx_iclock_hook_own_add(rules, ifa->ifa_addr,
                                    ngx_inet_get_port(&any->sockaddr))
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_iclock_hook_own_add(ngx_iclock_hook_rules_t *rules,
    struct sockaddr *sockaddr, in_port_t port)
{
    ngx_sockaddr_t  *own;

    own = ngx_array_push(rules->own);
    if (own == NULL) {
        return NGX_ERROR;
    }

    ngx_memzero(own, sizeof(ngx_sockaddr_t));

#if (NGX_HAVE_INET6)
    if (sockaddr->sa_family == AF_INET6) {
        own->sockaddr_in6 = *(struct sockaddr_in6 *) sockaddr;
        ngx_inet_set_port(&own->sockaddr, port);
        return NGX_OK;
    }
#endif

    own->sockaddr_in = *(struct sockaddr_in *) sockaddr;
    ngx_inet_set_port(&own->sockaddr, port);

    return NGX_OK;
}


static ngx_uint_t
ngx_iclock_hook_is_own(ngx_iclock_hook_rules_t *rules,
    struct sockaddr *sockaddr)
{
    ngx_uint_t       i;
    ngx_sockaddr_t  *own;

    own = rules->own->elts;

    for (i = 0; i < rules->own->nelts; i++) {

        if (ngx_cmp_sockaddr(&own[i].sockaddr, sizeof(ngx_sockaddr_t),
                             sockaddr, sizeof(ngx_sockaddr_t), 1)
            == NGX_OK)
        {
            return 1;
        }
    }

    return 0;
}


/* with its port */

ngx_uint_t
ngx_iclock_hook_refused(ngx_iclock_hook_rules_t *rules,
    struct sockaddr *sockaddr)
{
    ngx_sockaddr_t  sa;

    ngx_memzero(&sa, sizeof(ngx_sockaddr_t));

    switch (sockaddr->sa_family) {

    case AF_INET:
        sa.sockaddr_in = *(struct sockaddr_in *) sockaddr;
        break;

#if (NGX_HAVE_INET6)
    case AF_INET6:
        sa.sockaddr_in6 = *(struct sockaddr_in6 *) sockaddr;
        ngx_iclock_hook_unwrap(&sa);
        break;
#endif

    default:
        return 1;
    }

    if (rules->allowed
        && ngx_cidr_match(&sa.sockaddr, rules->allowed) == NGX_OK)
    {
        return 0;
    }

    return ngx_cidr_match(&sa.sockaddr, rules->refused) == NGX_OK
           || ngx_iclock_hook_is_own(rules, &sa.sockaddr);
}


#if (NGX_HAVE_INET6)


/* an address that only wraps one of IPv4 is judged by that */

static void
ngx_iclock_hook_unwrap(ngx_sockaddr_t *sa)
{
    u_char                            *p;
    in_port_t                          port;
    ngx_cidr_t                         cidr;
    ngx_uint_t                         k;
    const ngx_iclock_hook_embedded_t  *e;

    p = sa->sockaddr_in6.sin6_addr.s6_addr;

    for (e = ngx_iclock_hook_embedded; e->network; e++) {

        if (ngx_iclock_hook_cidr(&cidr, e->network) == NGX_ERROR) {
            continue;
        }

        for (k = 0; k < 16; k++) {
            if ((p[k] & cidr.u.in6.mask.s6_addr[k])
                != cidr.u.in6.addr.s6_addr[k])
            {
                break;
            }
        }

        if (k < 16) {
            continue;
        }

        port = sa->sockaddr_in6.sin6_port;

        /* the bytes overlap those that they are copied to */

        ngx_memmove(&sa->sockaddr_in.sin_addr, p + e->offset, 4);

        sa->sockaddr_in.sin_family = AF_INET;
        sa->sockaddr_in.sin_port = port;
        return;
    }
}

#endif
