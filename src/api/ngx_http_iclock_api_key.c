
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


#include "ngx_http_iclock_api_gate.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>


/* wrong keys of an address, a minute */
#define NGX_HTTP_ICLOCK_API_WRONG  20

/* keys of an address that nobody knows: asked for at once, and a minute */
#define NGX_HTTP_ICLOCK_API_ASKED  100
#define NGX_HTTP_ICLOCK_API_ASKS   1200


static ngx_uint_t ngx_http_iclock_api_key_text(ngx_http_request_t *r,
    ngx_str_t *text);
static ngx_uint_t ngx_http_iclock_api_key_shape(ngx_str_t *text,
    ngx_str_t *id);
static ngx_int_t ngx_http_iclock_api_key_find(ngx_http_request_t *r,
    ngx_http_iclock_api_ctx_t *ctx);
static ngx_uint_t ngx_http_iclock_api_key_was_right(ngx_http_request_t *r,
    ngx_http_iclock_api_ctx_t *ctx);
static ngx_uint_t ngx_http_iclock_api_key_token(ngx_http_request_t *r,
    ngx_http_iclock_api_ctx_t *ctx);
static ngx_int_t ngx_http_iclock_api_key_ask_token(ngx_http_request_t *r,
    ngx_http_iclock_api_ctx_t *ctx);
static ngx_int_t ngx_http_iclock_api_key_asked_token(ngx_http_request_t *r,
    ngx_http_iclock_api_ctx_t *ctx);
static ngx_int_t ngx_http_iclock_api_key_ask(ngx_http_request_t *r,
    ngx_http_iclock_api_ctx_t *ctx);
static ngx_int_t ngx_http_iclock_api_key_asked(ngx_http_request_t *r,
    ngx_http_iclock_api_ctx_t *ctx);
static ngx_int_t ngx_http_iclock_api_key_row(ngx_iclock_query_t *q,
    ngx_http_iclock_api_key_t *key);
static uint32_t ngx_http_iclock_api_key_scopes(ngx_str_t *text);
static ngx_int_t ngx_http_iclock_api_key_judge(ngx_http_request_t *r,
    ngx_http_iclock_api_ctx_t *ctx);
static ngx_int_t ngx_http_iclock_api_key_wrong(ngx_http_request_t *r,
    ngx_http_iclock_api_ctx_t *ctx, ngx_uint_t n);
static ngx_int_t ngx_http_iclock_api_key_doubtful(ngx_http_request_t *r,
    ngx_http_iclock_api_ctx_t *ctx, u_char *addr);
static ngx_int_t ngx_http_iclock_api_key_rate(ngx_http_request_t *r,
    ngx_http_iclock_api_ctx_t *ctx);
static ngx_int_t ngx_http_iclock_api_key_meter(ngx_http_request_t *r,
    ngx_http_iclock_api_ctx_t *ctx, ngx_uint_t rate, ngx_uint_t burst);


ngx_int_t
ngx_http_iclock_api_authenticate(ngx_http_request_t *r,
    ngx_http_iclock_api_ctx_t *ctx)
{
    if (!ngx_http_iclock_api_key_text(r, &ctx->key_text)) {

        if (ngx_http_iclock_api_key_token(r, ctx)) {
            return ngx_http_iclock_api_key_wrong(r, ctx, 0);
        }

        return ngx_http_iclock_api_problem(r, ctx,
                                           NGX_HTTP_ICLOCK_PROBLEM_NO_KEY,
                                           "send \"Authorization: Bearer\" "
                                           "or \"X-API-Key\" with a key");
    }

    if (!ngx_http_iclock_api_key_shape(&ctx->key_text, &ctx->candidate)) {
        return ngx_http_iclock_api_key_wrong(r, ctx, 1);
    }

    return ngx_http_iclock_api_key_find(r, ctx);
}


static ngx_int_t
ngx_http_iclock_api_key_find(ngx_http_request_t *r,
    ngx_http_iclock_api_ctx_t *ctx)
{
    ngx_int_t                         rc;
    ngx_http_iclock_api_main_conf_t  *amcf;

    amcf = ngx_http_get_module_main_conf(r, ngx_http_iclock_api_module);

    rc = ngx_http_iclock_api_zone_find(amcf, ctx->candidate.data, &ctx->key);

    ngx_log_debug2(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                   "iclock api key: \"%V\", zone: %i", &ctx->candidate, rc);

    if (rc == NGX_OK) {
        return ngx_http_iclock_api_key_judge(r, ctx);
    }

    if (ngx_http_iclock_api_key_was_right(r, ctx)) {
        return ngx_http_iclock_api_key_ask(r, ctx);
    }

    return ngx_http_iclock_api_key_wrong(r, ctx, 0);
}


/*
 * What was right once and is to be looked up again: whatever others try from
 * the same address, it need not wait.
 */

static ngx_uint_t
ngx_http_iclock_api_key_was_right(ngx_http_request_t *r,
    ngx_http_iclock_api_ctx_t *ctx)
{
    u_char                            hash[NGX_HTTP_ICLOCK_API_DIGEST];
    ngx_http_iclock_api_main_conf_t  *amcf;

    amcf = ngx_http_get_module_main_conf(r, ngx_http_iclock_api_module);

    return ctx->token.len == 0
           && ngx_http_iclock_api_sha256(hash, &ctx->key_text, NULL, NULL)
              == NGX_OK
           && ngx_http_iclock_api_zone_was(amcf, ctx->candidate.data, hash);
}


/* "?token=": a browser cannot send a key when it opens a stream */

static ngx_uint_t
ngx_http_iclock_api_key_token(ngx_http_request_t *r,
    ngx_http_iclock_api_ctx_t *ctx)
{
    return ngx_http_iclock_api_wants_stream(r, ctx)
           && ngx_http_arg(r, (u_char *) "token", 5, &ctx->token) == NGX_OK
           && ctx->token.len
           && ngx_iclock_valid_text(&ctx->token);
}


static ngx_int_t
ngx_http_iclock_api_key_ask_token(ngx_http_request_t *r,
    ngx_http_iclock_api_ctx_t *ctx)
{
    ngx_iclock_query_t  *q;

    q = ngx_http_iclock_api_query(r, ctx, NGX_ICLOCK_QUERY_STREAM_TOKEN);
    if (q == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    q->params[0] = ctx->token;
    q->once = 1;

    return ngx_http_iclock_api_submit(r, ctx,
                                      ngx_http_iclock_api_key_asked_token);
}


/* it stands for the key that has asked for it */

static ngx_int_t
ngx_http_iclock_api_key_asked_token(ngx_http_request_t *r,
    ngx_http_iclock_api_ctx_t *ctx)
{
    ngx_str_t  *id;

    if (ctx->call->rc != NGX_OK) {
        return ngx_http_iclock_api_failed(r, ctx);
    }

    id = ctx->call->values;

    if (ctx->call->nrows != 1 || id->len != NGX_HTTP_ICLOCK_API_KEY_ID) {
        return ngx_http_iclock_api_key_wrong(r, ctx, 1);
    }

    ctx->candidate.len = id->len;
    ctx->candidate.data = ngx_pstrdup(r->pool, id);

    if (ctx->candidate.data == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_iclock_api_key_find(r, ctx);
}


static ngx_uint_t
ngx_http_iclock_api_key_text(ngx_http_request_t *r, ngx_str_t *text)
{
    ngx_str_t        *value;
    ngx_table_elt_t  *h;

    static ngx_str_t  name = ngx_string("X-API-Key");

    if (r->headers_in.authorization) {
        value = &r->headers_in.authorization->value;

        if (value->len > 7
            && ngx_strncasecmp(value->data, (u_char *) "Bearer ", 7) == 0)
        {
            text->data = value->data + 7;
            text->len = value->len - 7;

            while (text->len && *text->data == ' ') {
                text->data++;
                text->len--;
            }

            return 1;
        }
    }

    h = ngx_http_iclock_api_find_header(r, &name);

    if (h == NULL || h->value.len == 0) {
        return 0;
    }

    *text = h->value;

    return 1;
}


/* ik_<live|test>_<id>_<secret> */

static ngx_uint_t
ngx_http_iclock_api_key_shape(ngx_str_t *text, ngx_str_t *id)
{
    size_t  i;
    u_char  c;

    if (text->len != NGX_HTTP_ICLOCK_API_KEY_LEN
        || (ngx_strncmp(text->data, "ik_live_", 8) != 0
            && ngx_strncmp(text->data, "ik_test_", 8) != 0)
        || text->data[8 + NGX_HTTP_ICLOCK_API_KEY_ID] != '_')
    {
        return 0;
    }

    id->data = text->data + 8;
    id->len = NGX_HTTP_ICLOCK_API_KEY_ID;

    for (i = 0; i < id->len; i++) {
        c = id->data[i];

        if ((c < 'a' || c > 'z') && (c < '2' || c > '7')) {
            return 0;
        }
    }

    return 1;
}


static ngx_int_t
ngx_http_iclock_api_key_ask(ngx_http_request_t *r,
    ngx_http_iclock_api_ctx_t *ctx)
{
    ngx_iclock_query_t  *q;

    if (ctx->candidate.len == 0) {
        return ngx_http_iclock_api_key_ask_token(r, ctx);
    }

    q = ngx_http_iclock_api_query(r, ctx, NGX_ICLOCK_QUERY_API_KEY);
    if (q == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    q->params[0] = ctx->candidate;

    return ngx_http_iclock_api_submit(r, ctx, ngx_http_iclock_api_key_asked);
}


static ngx_int_t
ngx_http_iclock_api_key_asked(ngx_http_request_t *r,
    ngx_http_iclock_api_ctx_t *ctx)
{
    ngx_http_iclock_api_main_conf_t  *amcf;

    if (ctx->call->rc != NGX_OK) {
        return ngx_http_iclock_api_failed(r, ctx);
    }

    amcf = ngx_http_get_module_main_conf(r, ngx_http_iclock_api_module);

    if (ctx->call->nrows
        && ngx_http_iclock_api_key_row(ctx->call, &ctx->key) != NGX_OK)
    {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "iclock: the database answered with a key that is none");

        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_http_iclock_api_zone_store(amcf, ctx->candidate.data, &ctx->key);

    return ngx_http_iclock_api_key_judge(r, ctx);
}


static ngx_int_t
ngx_http_iclock_api_key_row(ngx_iclock_query_t *q,
    ngx_http_iclock_api_key_t *key)
{
    ngx_int_t   n;
    ngx_str_t  *value;
    ngx_uint_t  i;

    value = ngx_iclock_query_value(q, 0, 0);

    if (q->ncols != 5
        || value[0].len != 2 * NGX_HTTP_ICLOCK_API_KEY_HASH)
    {
        return NGX_ERROR;
    }

    for (i = 0; i < NGX_HTTP_ICLOCK_API_KEY_HASH; i++) {
        n = ngx_hextoi(value[0].data + 2 * i, 2);

        if (n == NGX_ERROR) {
            return NGX_ERROR;
        }

        key->hash[i] = (u_char) n;
    }

    key->scopes = ngx_http_iclock_api_key_scopes(&value[1]);

    n = ngx_atoi(value[2].data, value[2].len);
    key->rate = (n > 0) ? n : 0;

    n = ngx_atoi(value[3].data, value[3].len);
    key->burst = (n > 0) ? n : 0;

    key->state = ngx_http_iclock_api_is(&value[4], "active")
                 ? NGX_HTTP_ICLOCK_API_KEY_ACTIVE
                 : NGX_HTTP_ICLOCK_API_KEY_ENDED;

    return NGX_OK;
}


/* names with blanks between them; those that nobody knows mean nothing */

static uint32_t
ngx_http_iclock_api_key_scopes(ngx_str_t *text)
{
    u_char      *p, *last;
    uint32_t     scopes;
    ngx_str_t    name;
    ngx_uint_t   i;

    scopes = 0;
    last = text->data + text->len;

    for (name.data = text->data; name.data < last; name.data = p + 1) {

        p = ngx_strlchr(name.data, last, ' ');
        p = p ? p : last;
        name.len = p - name.data;

        for (i = 1; i < NGX_HTTP_ICLOCK_API_SCOPES; i++) {

            if (ngx_http_iclock_api_is(&name,
                                       ngx_http_iclock_api_scope_name(i)))
            {
                scopes |= (uint32_t) 1 << i;
            }
        }
    }

    return scopes;
}


static ngx_int_t
ngx_http_iclock_api_key_judge(ngx_http_request_t *r,
    ngx_http_iclock_api_ctx_t *ctx)
{
    u_char      hash[NGX_HTTP_ICLOCK_API_DIGEST];
    ngx_uint_t  right;

    if (ngx_http_iclock_api_sha256(hash, &ctx->key_text, NULL, NULL)
        != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    /* a key that there is not has a hash of zeros */

    right = ctx->token.len
            || CRYPTO_memcmp(hash, ctx->key.hash,
                             NGX_HTTP_ICLOCK_API_KEY_HASH)
               == 0;

    ngx_log_debug2(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                   "iclock api key: state:%ui, right:%ui", ctx->key.state,
                   right);

    if (ctx->key.state != NGX_HTTP_ICLOCK_API_KEY_ACTIVE || !right) {
        return ngx_http_iclock_api_key_wrong(r, ctx, 1);
    }

    ctx->key_id = ctx->candidate;

    return ngx_http_iclock_api_key_rate(r, ctx);
}


/*
 * Counts a wrong key (n is 1), or looks whether too many came from there
 * before the database is asked.  A right key that is known serves all along.
 */

static ngx_int_t
ngx_http_iclock_api_key_wrong(ngx_http_request_t *r,
    ngx_http_iclock_api_ctx_t *ctx, ngx_uint_t n)
{
    ngx_int_t                         rc;
    ngx_http_iclock_addr_t            addr;
    ngx_http_iclock_api_meter_t       meter;
    ngx_http_iclock_api_main_conf_t  *amcf;

    static u_char  mapped[] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };

    amcf = ngx_http_get_module_main_conf(r, ngx_http_iclock_api_module);

    ngx_http_iclock_addr_set(&addr, r->connection->sockaddr);

    if (ngx_memcmp(addr.data, mapped, sizeof(mapped)) != 0) {
        /* a customer of a provider has a /64 */
        ngx_memzero(&addr.data[8], 8);
    }

    rc = ngx_http_iclock_api_zone_meter(amcf, NGX_HTTP_ICLOCK_API_ADDRESS,
                                        addr.data, n,
                                        NGX_HTTP_ICLOCK_API_WRONG,
                                        NGX_HTTP_ICLOCK_API_WRONG, &meter);

    if (rc != NGX_OK) {
        ctx->quota.retry = (meter.wait + 999) / 1000;
        return ngx_http_iclock_api_problem(r, ctx, NGX_HTTP_ICLOCK_PROBLEM_RATE,
                                           "too many wrong keys came from "
                                           "this address");
    }

    if (n == 0) {
        return ngx_http_iclock_api_key_doubtful(r, ctx, addr.data);
    }

    return ngx_http_iclock_api_problem(r, ctx, NGX_HTTP_ICLOCK_PROBLEM_BAD_KEY,
                                       NGX_HTTP_ICLOCK_API_NOT_VALID);
}


/*
 * The database is asked, but not of any number at once that an address has made
 * up: only the answers show which were wrong.
 */

static ngx_int_t
ngx_http_iclock_api_key_doubtful(ngx_http_request_t *r,
    ngx_http_iclock_api_ctx_t *ctx, u_char *addr)
{
    ngx_http_iclock_api_meter_t       meter;
    ngx_http_iclock_api_main_conf_t  *amcf;

    amcf = ngx_http_get_module_main_conf(r, ngx_http_iclock_api_module);

    if ((ctx->candidate.len == 0 || ctx->token.len == 0)
        && ngx_http_iclock_api_zone_meter(amcf, NGX_HTTP_ICLOCK_API_ASKING,
                                          addr, 1, NGX_HTTP_ICLOCK_API_ASKS,
                                          NGX_HTTP_ICLOCK_API_ASKED, &meter)
           != NGX_OK)
    {
        ctx->quota.retry = (meter.wait + 999) / 1000;
        return ngx_http_iclock_api_problem(r, ctx, NGX_HTTP_ICLOCK_PROBLEM_RATE,
                                           "too many keys that are not known "
                                           "came from this address");
    }

    return ngx_http_iclock_api_key_ask(r, ctx);
}


static ngx_int_t
ngx_http_iclock_api_key_rate(ngx_http_request_t *r,
    ngx_http_iclock_api_ctx_t *ctx)
{
    ngx_uint_t                       rate, burst;
    ngx_http_iclock_api_loc_conf_t  *alcf;

    alcf = ngx_http_get_module_loc_conf(r, ngx_http_iclock_api_module);

    /* its own rate, if it has one, is its own burst, too */

    rate = ctx->key.rate ? ctx->key.rate : alcf->rate;
    burst = ctx->key.rate ? ctx->key.rate : alcf->burst;
    burst = ctx->key.burst ? ctx->key.burst : burst;

    if (rate
        && ngx_http_iclock_api_key_meter(r, ctx, rate, burst) != NGX_OK)
    {
        return ngx_http_iclock_api_problem(r, ctx, NGX_HTTP_ICLOCK_PROBLEM_RATE,
                                           "the key has used up its requests "
                                           "for now");
    }

    if (ctx->route->scope
        && !(ctx->key.scopes & ((uint32_t) 1 << ctx->route->scope)))
    {
        return ngx_http_iclock_api_lacks_scope(r, ctx);
    }

    return ngx_http_iclock_api_admitted(r, ctx);
}


static ngx_int_t
ngx_http_iclock_api_key_meter(ngx_http_request_t *r,
    ngx_http_iclock_api_ctx_t *ctx, ngx_uint_t rate, ngx_uint_t burst)
{
    ngx_int_t                         rc;
    ngx_http_iclock_api_meter_t       meter;
    ngx_http_iclock_api_main_conf_t  *amcf;

    amcf = ngx_http_get_module_main_conf(r, ngx_http_iclock_api_module);

    rc = ngx_http_iclock_api_zone_meter(amcf, NGX_HTTP_ICLOCK_API_KEY,
                                        ctx->key_id.data, 1, rate, burst,
                                        &meter);

    ctx->quota.limit = rate;
    ctx->quota.left = meter.left;

    if (rc == NGX_OK) {
        ctx->quota.reset = (meter.full + 999) / 1000;

    } else {
        ctx->quota.retry = (meter.wait + 999) / 1000;
        ctx->quota.reset = ctx->quota.retry;
    }

    ngx_log_debug3(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                   "iclock api rate: %ui a minute, left: %ui, retry: %ui",
                   rate, ctx->quota.left, ctx->quota.retry);

    return rc;
}


ngx_int_t
ngx_http_iclock_api_sha256(u_char *hash, ngx_str_t *a, ngx_str_t *b,
    ngx_str_t *c)
{
    unsigned     len;
    ngx_int_t    rc;
    EVP_MD_CTX  *md;

    md = EVP_MD_CTX_new();
    if (md == NULL) {
        return NGX_ERROR;
    }

    rc = NGX_ERROR;

    if (EVP_DigestInit_ex(md, EVP_sha256(), NULL)
        && EVP_DigestUpdate(md, a->data, a->len)
        && (b == NULL || EVP_DigestUpdate(md, b->data, b->len))
        && (c == NULL || EVP_DigestUpdate(md, c->data, c->len))
        && EVP_DigestFinal_ex(md, hash, &len))
    {
        rc = NGX_OK;
    }

    EVP_MD_CTX_free(md);

    return rc;
}
