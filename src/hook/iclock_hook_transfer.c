
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


#include "iclock_hook_private.h"

#include <openssl/err.h>


/* connections are opened anew after that many seconds: names change */
#define NGX_ICLOCK_HOOK_LIFETIME   300L
#define NGX_ICLOCK_HOOK_UPLOAD     16384L

/* name, colon and blank, value, zero */
#define NGX_ICLOCK_HOOK_LINE                                                  \
    (NGX_ICLOCK_HOOK_HEADER_NAME + 2 + NGX_ICLOCK_HOOK_HEADER_VALUE + 1)


static CURL *ngx_iclock_hook_handle(ngx_iclock_hook_t *hook);
static void ngx_iclock_hook_options(ngx_iclock_transfer_t *t);
static void ngx_iclock_hook_limits(ngx_iclock_transfer_t *t);
static ngx_int_t ngx_iclock_hook_signatures(ngx_iclock_transfer_t *t,
    time_t now);
static ngx_int_t ngx_iclock_hook_add(ngx_iclock_transfer_t *t,
    const char *format, ...);


/* NGX_ERROR: the transfer has ended */

ngx_int_t
ngx_iclock_hook_prepare(ngx_iclock_transfer_t *t)
{
    const char             *wrong;
    ngx_iclock_hook_t      *hook;
    ngx_iclock_delivery_t  *d;

    hook = t->hook;
    d = t->delivery;

    wrong = ngx_iclock_hook_check_url(&d->url, hook->conf->http);

    if (wrong) {
        ngx_sprintf((u_char *) t->error, "the URL %s%Z", wrong);
        ngx_iclock_hook_end(t, NULL);
        return NGX_ERROR;
    }

    t->easy = ngx_iclock_hook_handle(hook);

    if (t->easy == NULL) {
        ngx_iclock_hook_end(t, "no memory");
        return NGX_ERROR;
    }

    if (ngx_iclock_hook_headers(t) != NGX_OK) {
        ngx_iclock_hook_end(t, "the request was not signed");
        return NGX_ERROR;
    }

    ngx_iclock_hook_options(t);
    ngx_iclock_hook_limits(t);

    return NGX_OK;
}


static CURL *
ngx_iclock_hook_handle(ngx_iclock_hook_t *hook)
{
    if (hook->nhandles) {
        return hook->handles[--hook->nhandles];
    }

    return curl_easy_init();
}


static void
ngx_iclock_hook_options(ngx_iclock_transfer_t *t)
{
    CURL                   *easy;
    ngx_iclock_delivery_t  *d;

    d = t->delivery;
    easy = t->easy;

    curl_easy_setopt(easy, CURLOPT_PRIVATE, t);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, t->error);

    curl_easy_setopt(easy, CURLOPT_URL, d->url.data);
    curl_easy_setopt(easy, CURLOPT_POST, 1L);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, d->body.data);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE,
                     (curl_off_t) d->body.len);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, t->headers);
    curl_easy_setopt(easy, CURLOPT_USERAGENT,
                     "iclock-webhooks/" NGX_ICLOCK_HOOK_VERSION);

    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, ngx_iclock_hook_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, t);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, ngx_iclock_hook_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, t);

    /* each address that is really connected to comes along here */

    curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, ngx_iclock_hook_open);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, t);
}


/* nothing of the environment counts, and nobody leads us elsewhere */

static void
ngx_iclock_hook_limits(ngx_iclock_transfer_t *t)
{
    CURL                    *easy;
    ngx_iclock_delivery_t   *d;
    ngx_iclock_hook_conf_t  *conf;

    d = t->delivery;
    conf = t->hook->conf;
    easy = t->easy;

    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_REDIR_PROTOCOLS_STR, "https");
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(easy, CURLOPT_PROXY, "");
    curl_easy_setopt(easy, CURLOPT_NETRC, (long) CURL_NETRC_IGNORED);
    curl_easy_setopt(easy, CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION,
                     (long) CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(easy, CURLOPT_TCP_NODELAY, 1L);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
    curl_easy_setopt(easy, CURLOPT_UPLOAD_BUFFERSIZE, NGX_ICLOCK_HOOK_UPLOAD);
    curl_easy_setopt(easy, CURLOPT_MAXLIFETIME_CONN,
                     NGX_ICLOCK_HOOK_LIFETIME);

    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L);
    curl_easy_setopt(easy, CURLOPT_SSLVERSION,
                     (long) CURL_SSLVERSION_TLSv1_2);
    curl_easy_setopt(easy, CURLOPT_CAINFO, conf->trusted_certificate.data);
    curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);

    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS,
                     (long) d->connect_timeout);
}


/* names are known now, or libcurl looks them up */

void
ngx_iclock_hook_start(ngx_iclock_transfer_t *t)
{
    CURLMcode               rc;
    ngx_msec_t              passed;
    ngx_iclock_delivery_t  *d;

    d = t->delivery;
    passed = ngx_current_msec - t->start;

    if (t->hook->leaving) {
        t->undone = 1;
        ngx_iclock_hook_end(t, "nginx shuts down");
        return;
    }

    if (passed >= d->timeout) {
        ngx_iclock_hook_end(t, "timed out");
        return;
    }

    curl_easy_setopt(t->easy, CURLOPT_TIMEOUT_MS,
                     (long) (d->timeout - passed));

    if (t->resolved) {
        curl_easy_setopt(t->easy, CURLOPT_RESOLVE, t->resolved);
    }

    rc = curl_multi_add_handle(t->hook->multi, t->easy);

    ERR_clear_error();

    if (rc != CURLM_OK) {
        ngx_iclock_hook_end(t, curl_multi_strerror(rc));
        return;
    }

    t->added = 1;
}


void
ngx_iclock_hook_release(ngx_iclock_transfer_t *t)
{
    ngx_iclock_hook_t  *hook;

    hook = t->hook;

    if (t->resolving) {
        ngx_resolve_name_done(t->resolving);
        t->resolving = NULL;
    }

    if (t->easy) {

        if (t->added) {
            curl_multi_remove_handle(hook->multi, t->easy);
        }

        /* its connection stays with the multi handle */

        curl_easy_reset(t->easy);

        if (hook->nhandles < NGX_ICLOCK_HOOK_HANDLES) {
            hook->handles[hook->nhandles++] = t->easy;

        } else {
            curl_easy_cleanup(t->easy);
        }

        t->easy = NULL;

        ERR_clear_error();
    }

    curl_slist_free_all(t->headers);
    curl_slist_free_all(t->resolved);

    t->headers = NULL;
    t->resolved = NULL;

    ngx_free(t->host.data);
    t->host.data = NULL;
}


ngx_int_t
ngx_iclock_hook_headers(ngx_iclock_transfer_t *t)
{
    time_t                  now;
    ngx_uint_t              i;
    ngx_keyval_t           *header;
    ngx_iclock_delivery_t  *d;

    d = t->delivery;
    now = ngx_time();

    /* what ends with a colon is not sent */

    if (ngx_iclock_hook_add(t, "Content-Type: application/json") != NGX_OK
        || ngx_iclock_hook_add(t, "Accept:") != NGX_OK
        || ngx_iclock_hook_add(t, "Expect:") != NGX_OK
        || ngx_iclock_hook_add(t, "webhook-id: %V", &d->id) != NGX_OK
        || ngx_iclock_hook_add(t, "webhook-timestamp: %T", now) != NGX_OK
        || ngx_iclock_hook_signatures(t, now) != NGX_OK
        || ngx_iclock_hook_add(t, "iclock-attempt: %ui", d->attempt) != NGX_OK
        || ngx_iclock_hook_add(t, "iclock-event: %V", &d->event) != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (d->headers == NULL) {
        return NGX_OK;
    }

    header = d->headers->elts;

    for (i = 0; i < d->headers->nelts; i++) {

        if (!ngx_iclock_hook_header_valid(&header[i].key, &header[i].value)) {
            continue;
        }

        /* a semicolon stands for a header without a value */

        if (ngx_iclock_hook_add(t, header[i].value.len ? "%V: %V" : "%V;",
                                &header[i].key, &header[i].value)
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_iclock_hook_signatures(ngx_iclock_transfer_t *t, time_t now)
{
    u_char                  hex[NGX_ICLOCK_HOOK_HEX];
    u_char                  v1[2][NGX_ICLOCK_HOOK_V1];
    ngx_int_t               rc;
    ngx_iclock_delivery_t  *d;

    d = t->delivery;

    if (ngx_iclock_hook_sign(v1[0], &d->secret, &d->id, now, &d->body)
        != NGX_OK
        || ngx_iclock_hook_sign_hex(hex, &d->secret, &d->body) != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (d->previous_secret.len
        && ngx_iclock_hook_sign(v1[1], &d->previous_secret, &d->id, now,
                                &d->body)
           == NGX_OK)
    {
        rc = ngx_iclock_hook_add(t, "webhook-signature: %*s %*s",
                                 sizeof(v1[0]), v1[0], sizeof(v1[1]), v1[1]);

    } else {
        rc = ngx_iclock_hook_add(t, "webhook-signature: %*s", sizeof(v1[0]),
                                 v1[0]);
    }

    if (rc != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_iclock_hook_add(t, "X-Signature: %*s", sizeof(hex), hex);
}


static ngx_int_t
ngx_iclock_hook_add(ngx_iclock_transfer_t *t, const char *format, ...)
{
    u_char              line[NGX_ICLOCK_HOOK_LINE];
    u_char             *p;
    va_list             args;
    struct curl_slist  *list;

    va_start(args, format);
    p = ngx_vslprintf(line, line + sizeof(line) - 1, format, args);
    va_end(args);

    *p = '\0';

    list = curl_slist_append(t->headers, (char *) line);
    if (list == NULL) {
        return NGX_ERROR;
    }

    t->headers = list;

    return NGX_OK;
}
