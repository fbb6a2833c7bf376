
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


#include "iclock_hook_private.h"


static ngx_uint_t ngx_iclock_hook_is(char *data, size_t len, const char *name);
static void ngx_iclock_hook_judge(ngx_iclock_transfer_t *t);
static void ngx_iclock_hook_error(ngx_iclock_transfer_t *t, CURLcode rc);
static ngx_uint_t ngx_iclock_hook_count_error(CURLcode rc);


/* a line of the head of an answer */

size_t
ngx_iclock_hook_header(char *data, size_t size, size_t n, void *transfer)
{
    ngx_iclock_transfer_t *t = transfer;

    size_t  len;

    len = size * n;

    if (ngx_iclock_hook_is(data, len, "HTTP/")) {
        /* what was before it was no more than "go on" */
        t->retry_after = -1;
        t->abort = 0;

    } else if (ngx_iclock_hook_is(data, len, "retry-after:")) {
        t->retry_after = ngx_iclock_hook_retry_after(
                             (u_char *) data + sizeof("retry-after:") - 1,
                             len - (sizeof("retry-after:") - 1), ngx_time());

    } else if (ngx_iclock_hook_is(data, len, "webhook-delivery:")) {
        t->abort = (ngx_strlcasestrn((u_char *) data, (u_char *) data + len,
                                     (u_char *) "abort-message",
                                     sizeof("abort-message") - 2)
                    != NULL);
    }

    t->received += len;

    if (t->received > NGX_ICLOCK_HOOK_READ) {
        t->cut = 1;
        return 0;
    }

    return len;
}


static ngx_uint_t
ngx_iclock_hook_is(char *data, size_t len, const char *name)
{
    size_t  n;

    n = ngx_strlen(name);

    return len >= n
           && ngx_strncasecmp((u_char *) data, (u_char *) name, n) == 0;
}


size_t
ngx_iclock_hook_body(char *data, size_t size, size_t n, void *transfer)
{
    ngx_iclock_transfer_t *t = transfer;

    size_t  len, rest;

    len = size * n;
    rest = NGX_ICLOCK_HOOK_RESPONSE - t->response_len;

    rest = ngx_min(rest, len);

    ngx_memcpy(t->response + t->response_len, data, rest);
    t->response_len += rest;

    t->received += len;

    if (t->received > NGX_ICLOCK_HOOK_READ) {
        t->cut = 1;
        return 0;
    }

    return len;
}


void
ngx_iclock_hook_outcome(ngx_iclock_transfer_t *t, CURLcode rc)
{
    long                    status;
    ngx_iclock_delivery_t  *d;

    d = t->delivery;

    d->outcome = NGX_ICLOCK_HOOK_FAILED;
    d->status = 0;
    d->retry_after = -1;
    ngx_str_null(&d->error);
    ngx_str_null(&d->response);

    d->undone = t->undone;

    if (t->ended) {
        ngx_iclock_hook_error(t, CURLE_OK);
        return;
    }

    status = 0;
    curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);

    if (status >= 200) {
        d->status = (ngx_uint_t) status;
        d->response.data = t->text;
        d->response.len = ngx_iclock_hook_text(t->text, sizeof(t->text),
                                               t->response, t->response_len);
    }

    /* who says more than we want to hear has answered */

    if (rc == CURLE_OK || (rc == CURLE_WRITE_ERROR && t->cut)) {

        if (d->status) {
            ngx_iclock_hook_judge(t);
            return;
        }

        rc = CURLE_GOT_NOTHING;
    }

    if (t->refused && !t->opened) {
        d->outcome = NGX_ICLOCK_HOOK_ADDRESS;
        (void) ngx_cpystrn((u_char *) t->error,
                           (u_char *) "the address must not be called",
                           CURL_ERROR_SIZE);
    }

    ngx_iclock_hook_error(t, rc);
}


static void
ngx_iclock_hook_judge(ngx_iclock_transfer_t *t)
{
    ngx_iclock_delivery_t  *d;

    d = t->delivery;

    if (d->status >= 200 && d->status < 300) {
        d->outcome = NGX_ICLOCK_HOOK_DELIVERED;
        return;
    }

    if (d->status == 410) {
        d->outcome = NGX_ICLOCK_HOOK_GONE;
        return;
    }

    if (t->abort) {
        d->outcome = NGX_ICLOCK_HOOK_ABORT;
        return;
    }

    switch (d->status) {

    case 429:
    case 502:
    case 503:
    case 504:
        d->retry_after = t->retry_after;
        break;

    default:
        break;
    }
}


static void
ngx_iclock_hook_error(ngx_iclock_transfer_t *t, CURLcode rc)
{
    char                   *text;
    size_t                  len;
    ngx_iclock_delivery_t  *d;

    d = t->delivery;

    if (t->error[0] == '\0') {
        text = (char *) curl_easy_strerror(rc);
        (void) ngx_cpystrn((u_char *) t->error, (u_char *) text,
                           CURL_ERROR_SIZE);
    }

    /* in place: the text gets no longer */

    len = ngx_strlen(t->error);

    d->error.data = (u_char *) t->error;
    d->error.len = ngx_iclock_hook_text(d->error.data, CURL_ERROR_SIZE,
                                        d->error.data, len);
}


void
ngx_iclock_hook_count(ngx_iclock_delivery_t *d, CURLcode rc)
{
    ngx_uint_t  outcome;

    if (d->outcome == NGX_ICLOCK_HOOK_DELIVERED) {
        outcome = NGX_ICLOCK_L_OUTCOME_OK;

    } else if (d->outcome == NGX_ICLOCK_HOOK_ADDRESS) {
        outcome = NGX_ICLOCK_L_OUTCOME_ADDRESS;

    } else if (d->status) {
        outcome = NGX_ICLOCK_L_OUTCOME_STATUS;

    } else {
        outcome = ngx_iclock_hook_count_error(rc);
    }

    ngx_iclock_count_by(ATTEMPTS, outcome, 1);
    ngx_iclock_observe(WEBHOOK_DURATION, 0, (uint64_t) d->ms * 1000);
}


static ngx_uint_t
ngx_iclock_hook_count_error(CURLcode rc)
{
    switch (rc) {

    case CURLE_OPERATION_TIMEDOUT:
        return NGX_ICLOCK_L_OUTCOME_TIMEOUT;

    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_PINNEDPUBKEYNOTMATCH:
    case CURLE_SSL_INVALIDCERTSTATUS:
    case CURLE_USE_SSL_FAILED:
        return NGX_ICLOCK_L_OUTCOME_TLS;

    default:
        return NGX_ICLOCK_L_OUTCOME_CONNECT;
    }
}
