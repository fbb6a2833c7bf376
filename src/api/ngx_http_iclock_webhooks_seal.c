
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


/*
 * Secrets that the database has in clear, or sealed by a key that is about to
 * go, are sealed by the sender that has leased their endpoints.
 */


#include "ngx_http_iclock_webhooks.h"
#include "ngx_http_iclock_api_json.h"

#include <openssl/evp.h>


static ngx_uint_t ngx_http_iclock_webhooks_stale(ngx_http_iclock_sender_t *s,
    ngx_iclock_query_t *lease);
static ngx_int_t ngx_http_iclock_webhooks_seal_all(
    ngx_http_iclock_sender_t *s, ngx_iclock_query_t *lease,
    ngx_iclock_query_t *q);
static ngx_int_t ngx_http_iclock_webhooks_seal_one(
    ngx_http_iclock_sender_t *s, ngx_http_iclock_api_text_t *out,
    ngx_uint_t n, ngx_str_t *id, ngx_str_t *secret);
static void ngx_http_iclock_webhooks_sealed(ngx_iclock_query_t *q);


void
ngx_http_iclock_webhooks_seal(ngx_http_iclock_sender_t *s,
    ngx_iclock_query_t *lease)
{
    ngx_iclock_query_t  *q;

    if (s->amcf->keyring == NULL || s->sealing
        || !ngx_http_iclock_webhooks_stale(s, lease))
    {
        return;
    }

    q = ngx_iclock_query_create(s->amcf->queries,
                                NGX_ICLOCK_QUERY_WEBHOOK_SEAL, s->log);
    if (q == NULL) {
        return;
    }

    q->params[0] = s->conf->name;
    q->data = s;
    q->handler = ngx_http_iclock_webhooks_sealed;

    /* NGX_DECLINED: there is nothing that could be sealed */

    if (ngx_http_iclock_webhooks_seal_all(s, lease, q) != NGX_OK
        || ngx_iclock_query_submit(q) != NGX_OK)
    {
        ngx_iclock_query_destroy(q);
        return;
    }

    s->sealing = 1;
}


static ngx_uint_t
ngx_http_iclock_webhooks_stale(ngx_http_iclock_sender_t *s,
    ngx_iclock_query_t *lease)
{
    ngx_str_t   *row;
    ngx_uint_t   i;

    for (i = 0; i < lease->nrows; i++) {
        row = ngx_iclock_query_value(lease, i, 0);

        if (ngx_http_iclock_secret_stale(s->amcf->keyring,
                                         &row[NGX_HTTP_ICLOCK_LEASE_SECRET])
            || ngx_http_iclock_secret_stale(s->amcf->keyring,
                                         &row[NGX_HTTP_ICLOCK_LEASE_PREVIOUS]))
        {
            return 1;
        }
    }

    return 0;
}


static ngx_int_t
ngx_http_iclock_webhooks_seal_all(ngx_http_iclock_sender_t *s,
    ngx_iclock_query_t *lease, ngx_iclock_query_t *q)
{
    ngx_int_t                    rc;
    ngx_str_t                   *row;
    ngx_uint_t                   i, j, n;
    ngx_http_iclock_api_text_t   out;

    ngx_http_iclock_api_text_init(&out, q->pool, 1024);

    n = 0;

    for (i = 0; i < lease->nrows && n < NGX_HTTP_ICLOCK_WEBHOOK_SEALS; i++) {

        row = ngx_iclock_query_value(lease, i, 0);

        for (j = NGX_HTTP_ICLOCK_LEASE_SECRET;
             j <= NGX_HTTP_ICLOCK_LEASE_PREVIOUS;
             j++)
        {
            if (!ngx_http_iclock_secret_stale(s->amcf->keyring, &row[j])) {
                continue;
            }

            rc = ngx_http_iclock_webhooks_seal_one(s, &out, n,
                     &row[NGX_HTTP_ICLOCK_LEASE_ID], &row[j]);

            if (rc == NGX_ERROR) {
                return NGX_ERROR;
            }

            if (rc == NGX_OK) {
                n++;
            }
        }
    }

    ngx_http_iclock_api_text_raw(&out, "]");

    q->params[1] = out.text;

    if (out.failed) {
        return NGX_ERROR;
    }

    return n ? NGX_OK : NGX_DECLINED;
}


/*
 * What it takes the place of is named by its hash.  NGX_DECLINED: somebody has
 * changed it, which concerns none of the others; the lease tells the log.
 */

static ngx_int_t
ngx_http_iclock_webhooks_seal_one(ngx_http_iclock_sender_t *s,
    ngx_http_iclock_api_text_t *out, ngx_uint_t n, ngx_str_t *id,
    ngx_str_t *secret)
{
    u_char      hash[EVP_MAX_MD_SIZE], hex[2 * EVP_MAX_MD_SIZE];
    unsigned    len;
    ngx_int_t   rc;
    ngx_str_t   text, sealed, old;

    text = *secret;

    if (ngx_http_iclock_secret_sealed(secret)) {
        rc = ngx_http_iclock_secret_open(s->amcf->keyring, out->pool, secret,
                                         &text);
        if (rc != NGX_OK) {
            return rc;
        }
    }

    rc = ngx_http_iclock_secret_seal(s->amcf->keyring, out->pool, &text,
                                     &sealed);

    if (text.data != secret->data) {
        ngx_explicit_memzero(text.data, text.len);
    }

    if (rc != NGX_OK
        || EVP_Digest(secret->data, secret->len, hash, &len, EVP_sha256(),
                      NULL)
           != 1)
    {
        return NGX_ERROR;
    }

    old.data = hex;
    old.len = ngx_hex_dump(hex, hash, len) - hex;

    ngx_http_iclock_api_text_raw(out, n ? ",{\"id\":" : "[{\"id\":");
    ngx_http_iclock_api_text_string(out, id);
    ngx_http_iclock_api_text_member(out, "old", &old);
    ngx_http_iclock_api_text_member(out, "new", &sealed);
    ngx_http_iclock_api_text_raw(out, "}");

    return NGX_OK;
}


static void
ngx_http_iclock_webhooks_sealed(ngx_iclock_query_t *q)
{
    ngx_http_iclock_sender_t  *s;

    s = q->data;
    s->sealing = 0;

    ngx_log_debug1(NGX_LOG_DEBUG_HTTP, s->log, 0,
                   "iclock webhooks: secrets sealed: %i", q->rc);

    ngx_iclock_query_destroy(q);
}


/* NGX_DECLINED: somebody has changed the secret of this row of a lease */

ngx_int_t
ngx_http_iclock_webhooks_opens(ngx_http_iclock_sender_t *s, ngx_str_t *row)
{
    ngx_int_t    rc;
    ngx_str_t   *secret, text;
    ngx_pool_t  *pool;

    secret = &row[NGX_HTTP_ICLOCK_LEASE_SECRET];

    if (!ngx_http_iclock_secret_sealed(secret)) {
        return NGX_OK;
    }

    pool = ngx_create_pool(1024, s->log);
    if (pool == NULL) {
        return NGX_ERROR;
    }

    rc = ngx_http_iclock_secret_open(s->amcf->keyring, pool, secret, &text);
    if (rc == NGX_OK) {
        ngx_explicit_memzero(text.data, text.len);
    }

    ngx_destroy_pool(pool);

    return rc;
}


/* one of those whose secrets nobody can read any more; an empty list is NULL */

void
ngx_http_iclock_webhooks_damaged(ngx_http_iclock_sender_t *s,
    ngx_http_iclock_damaged_t **damaged, ngx_str_t *id)
{
    ngx_pool_t                 *pool;
    ngx_str_node_t             *node;
    ngx_http_iclock_damaged_t  *d;

    d = *damaged;

    if (d == NULL) {
        pool = ngx_create_pool(1024, s->log);
        if (pool == NULL) {
            return;
        }

        d = ngx_pcalloc(pool, sizeof(ngx_http_iclock_damaged_t));
        if (d == NULL) {
            ngx_destroy_pool(pool);
            return;
        }

        d->pool = pool;
        ngx_rbtree_init(&d->ids, &d->sentinel, ngx_str_rbtree_insert_value);

        *damaged = d;
    }

    node = ngx_palloc(d->pool, sizeof(ngx_str_node_t));
    if (node == NULL) {
        return;
    }

    node->str.len = id->len;
    node->str.data = ngx_pstrdup(d->pool, id);

    if (node->str.data == NULL) {
        return;
    }

    node->node.key = ngx_crc32_short(id->data, id->len);

    ngx_rbtree_insert(&d->ids, &node->node);
    d->n++;

    if (d->first.len == 0
        && (s->damaged == NULL
            || ngx_str_rbtree_lookup(&s->damaged->ids, id, node->node.key)
               == NULL))
    {
        d->first = node->str;
    }
}


/* when one is among them that was not the last time */

void
ngx_http_iclock_webhooks_tell(ngx_http_iclock_sender_t *s,
    ngx_http_iclock_damaged_t *damaged)
{
    if (damaged && damaged->first.len) {
        ngx_log_error(NGX_LOG_ERR, s->log, 0,
                      "webhooks get nothing, as their secrets were changed "
                      "in the database: %ui; a new secret mends one, by "
                      "\"SELECT iclock.rotate_webhook_secret('%V')\"",
                      damaged->n, &damaged->first);
    }

    if (s->damaged) {
        ngx_destroy_pool(s->damaged->pool);
    }

    s->damaged = damaged;
}


/* secrets are among what was answered */

void
ngx_http_iclock_webhooks_forget(ngx_iclock_query_t *lease)
{
    ngx_str_t   *value;
    ngx_uint_t   i;

    value = lease->values;

    for (i = 0; value && i < lease->nrows * lease->ncols; i++) {
        if (value[i].data) {
            ngx_explicit_memzero(value[i].data, value[i].len);
        }
    }

    ngx_iclock_query_destroy(lease);
}
