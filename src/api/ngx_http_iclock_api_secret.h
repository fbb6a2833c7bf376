
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


/*
 * Secrets of webhooks, as the database keeps them: sealed by a key that it
 * does not have (iclock_secret_key).
 */


#ifndef _NGX_HTTP_ICLOCK_API_SECRET_H_INCLUDED_
#define _NGX_HTTP_ICLOCK_API_SECRET_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/* keys of a file */
#define NGX_HTTP_ICLOCK_SECRET_KEYS  16


/* the keys of a file: the first one seals, all of them open */
typedef struct {
    ngx_array_t                 keys;
    ngx_str_t                   ids;        /* "{id,id}" */
} ngx_http_iclock_keyring_t;


/* iclock_secret_key: sets a pointer to a ring; NULL: off */
char *ngx_http_iclock_secret_key(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

/* a text "sealed_..."; ring may be NULL below */
ngx_uint_t ngx_http_iclock_secret_sealed(ngx_str_t *text);

/* whether it is to be sealed: it is not, or not by the first key */
ngx_uint_t ngx_http_iclock_secret_stale(ngx_http_iclock_keyring_t *ring,
    ngx_str_t *text);

/* a new secret, sealed */
ngx_int_t ngx_http_iclock_secret_make(ngx_http_iclock_keyring_t *ring,
    ngx_pool_t *pool, ngx_str_t *sealed);

/* of a text "whsec_..." */
ngx_int_t ngx_http_iclock_secret_seal(ngx_http_iclock_keyring_t *ring,
    ngx_pool_t *pool, ngx_str_t *text, ngx_str_t *sealed);

/*
 * The text "whsec_...", which is shorter than the sealed one.  NGX_DECLINED:
 * no key opens it, or somebody has changed it.
 */
ngx_int_t ngx_http_iclock_secret_open(ngx_http_iclock_keyring_t *ring,
    ngx_pool_t *pool, ngx_str_t *sealed, ngx_str_t *text);


#endif /* _NGX_HTTP_ICLOCK_API_SECRET_H_INCLUDED_ */
