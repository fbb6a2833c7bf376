
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


#include "ngx_http_iclock.h"

#include <ngx_sha1.h>


static ngx_uint_t ngx_http_iclock_key_equal(u_char *a, u_char *b, size_t len);


/*
 * Salted with bytes that never leave the zone, so that what is in it is of
 * no use elsewhere.
 */

void
ngx_http_iclock_key_digest(ngx_http_iclock_zone_t *zone, ngx_str_t *key,
    ngx_http_iclock_digest_t *digest)
{
    u_char      sha1[20];
    ngx_sha1_t  ctx;

    ngx_sha1_init(&ctx);
    ngx_sha1_update(&ctx, zone->sh->salt, sizeof(zone->sh->salt));
    ngx_sha1_update(&ctx, key->data, key->len);
    ngx_sha1_final(sha1, &ctx);

    ngx_memcpy(digest->data, sha1, sizeof(ngx_http_iclock_digest_t));
}


void
ngx_http_iclock_key_show(ngx_http_iclock_visit_t *visit,
    ngx_http_iclock_zone_t *zone, ngx_str_t *sent, ngx_str_t *location)
{
    visit->key_sent = (sent->len != 0);

    if (visit->key_sent) {
        ngx_http_iclock_key_digest(zone, sent, &visit->digest);
    }

    if (location->len == 0) {
        visit->location_key = NGX_HTTP_ICLOCK_KEY_UNNEEDED;

    } else if (sent->len == 0) {
        visit->location_key = NGX_HTTP_ICLOCK_KEY_ABSENT;

    } else if (sent->len == location->len
               && ngx_http_iclock_key_equal(sent->data, location->data,
                                            sent->len))
    {
        visit->location_key = NGX_HTTP_ICLOCK_KEY_RIGHT;

    } else {
        visit->location_key = NGX_HTTP_ICLOCK_KEY_WRONG;
    }
}


ngx_uint_t
ngx_http_iclock_key_compare(ngx_http_iclock_visit_t *visit, ngx_uint_t own,
    ngx_http_iclock_digest_t *digest)
{
    if (own == NGX_HTTP_ICLOCK_KEY_NONE) {
        return visit->location_key;
    }

    if (!visit->key_sent) {
        return NGX_HTTP_ICLOCK_KEY_ABSENT;
    }

    return ngx_http_iclock_key_equal(visit->digest.data, digest->data,
                                     sizeof(ngx_http_iclock_digest_t))
           ? NGX_HTTP_ICLOCK_KEY_RIGHT : NGX_HTTP_ICLOCK_KEY_WRONG;
}


/* the time must not tell how much of the key was right */

static ngx_uint_t
ngx_http_iclock_key_equal(u_char *a, u_char *b, size_t len)
{
    u_char  diff;
    size_t  i;

    diff = 0;

    for (i = 0; i < len; i++) {
        diff |= a[i] ^ b[i];
    }

    return diff == 0;
}
