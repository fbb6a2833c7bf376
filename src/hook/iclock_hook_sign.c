
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


#include "iclock_hook.h"

#include <openssl/err.h>
#include <openssl/evp.h>


#define NGX_ICLOCK_HOOK_PREFIX  "whsec_"

/* of the bytes that the text of a secret stands for */
#define NGX_ICLOCK_HOOK_SECRET  128
#define NGX_ICLOCK_HOOK_SHA256  32


static size_t ngx_iclock_hook_hash(u_char *hash, u_char *key, size_t len,
    ngx_str_t *part, ngx_uint_t n);
static ngx_int_t ngx_iclock_hook_secret(u_char *bytes, size_t *len,
    ngx_str_t *secret);


/* of "id.timestamp.body", as Standard Webhooks say */

ngx_int_t
ngx_iclock_hook_sign(u_char *signature, ngx_str_t *secret, ngx_str_t *id,
    time_t timestamp, ngx_str_t *body)
{
    size_t      len;
    u_char     *p;
    u_char      key[NGX_ICLOCK_HOOK_SECRET];
    u_char      hash[NGX_ICLOCK_HOOK_SHA256];
    u_char      time[NGX_TIME_T_LEN + 2];
    ngx_str_t   src, dst, part[3];

    if (ngx_iclock_hook_secret(key, &len, secret) != NGX_OK) {
        return NGX_ERROR;
    }

    p = ngx_sprintf(time, ".%T.", timestamp);

    part[0] = *id;
    part[1].data = time;
    part[1].len = p - time;
    part[2] = *body;

    src.data = hash;
    src.len = ngx_iclock_hook_hash(hash, key, len, part, 3);

    ngx_explicit_memzero(key, sizeof(key));

    if (src.len == 0) {
        return NGX_ERROR;
    }

    dst.data = ngx_cpymem(signature, "v1,", 3);

    ngx_encode_base64(&dst, &src);

    return NGX_OK;
}


/* of the body alone, by the whole text of the secret: it has no time in it */

ngx_int_t
ngx_iclock_hook_sign_hex(u_char *signature, ngx_str_t *secret,
    ngx_str_t *body)
{
    u_char  hash[NGX_ICLOCK_HOOK_SHA256];

    if (ngx_iclock_hook_hash(hash, secret->data, secret->len, body, 1) == 0) {
        return NGX_ERROR;
    }

    ngx_hex_dump(signature, hash, sizeof(hash));

    return NGX_OK;
}


/* HMAC-SHA256 of the parts in a row; returns the length of the hash, or 0 */

static size_t
ngx_iclock_hook_hash(u_char *hash, u_char *key, size_t len, ngx_str_t *part,
    ngx_uint_t n)
{
    size_t       size;
    EVP_PKEY    *pkey;
    ngx_uint_t   i;
    EVP_MD_CTX  *ctx;

    size = 0;
    pkey = EVP_PKEY_new_raw_private_key(EVP_PKEY_HMAC, NULL, key, len);
    ctx = EVP_MD_CTX_new();

    if (pkey == NULL || ctx == NULL
        || EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, pkey) != 1)
    {
        goto done;
    }

    for (i = 0; i < n; i++) {
        if (EVP_DigestSignUpdate(ctx, part[i].data, part[i].len) != 1) {
            goto done;
        }
    }

    size = NGX_ICLOCK_HOOK_SHA256;

    if (EVP_DigestSignFinal(ctx, hash, &size) != 1) {
        size = 0;
    }

done:

    EVP_MD_CTX_free(ctx);
    EVP_PKEY_free(pkey);

    /* nginx believes that what is in there is its own */

    ERR_clear_error();

    return size;
}


static ngx_int_t
ngx_iclock_hook_secret(u_char *bytes, size_t *len, ngx_str_t *secret)
{
    ngx_str_t  src, dst;

    src = *secret;

    if (src.len > sizeof(NGX_ICLOCK_HOOK_PREFIX) - 1
        && ngx_strncmp(src.data, NGX_ICLOCK_HOOK_PREFIX,
                       sizeof(NGX_ICLOCK_HOOK_PREFIX) - 1)
           == 0)
    {
        src.data += sizeof(NGX_ICLOCK_HOOK_PREFIX) - 1;
        src.len -= sizeof(NGX_ICLOCK_HOOK_PREFIX) - 1;
    }

    if (src.len == 0
        || ngx_base64_decoded_length(src.len) > NGX_ICLOCK_HOOK_SECRET)
    {
        return NGX_ERROR;
    }

    dst.data = bytes;

    if (ngx_decode_base64(&dst, &src) != NGX_OK || dst.len == 0) {
        ngx_explicit_memzero(bytes, NGX_ICLOCK_HOOK_SECRET);
        return NGX_ERROR;
    }

    *len = dst.len;

    return NGX_OK;
}
