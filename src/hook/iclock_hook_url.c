
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


#include "iclock_hook.h"

#include <curl/curl.h>


static const char *ngx_iclock_hook_check_parts(CURLU *u, const char *url,
    ngx_uint_t http);
static ngx_uint_t ngx_iclock_hook_has(CURLU *u, CURLUPart part);


/* what the message itself has, and what belongs to the connection */

static ngx_str_t  ngx_iclock_hook_reserved[] = {
    ngx_string("connection"),
    ngx_string("content-length"),
    ngx_string("content-type"),
    ngx_string("expect"),
    ngx_string("host"),
    ngx_string("keep-alive"),
    ngx_string("proxy-authenticate"),
    ngx_string("proxy-authorization"),
    ngx_string("proxy-connection"),
    ngx_string("te"),
    ngx_string("trailer"),
    ngx_string("transfer-encoding"),
    ngx_string("upgrade"),
    ngx_string("user-agent"),
    ngx_string("x-signature"),
    ngx_null_string
};


/* it is read by libcurl itself, which is to understand the same by it */

const char *
ngx_iclock_hook_check_url(ngx_str_t *url, ngx_uint_t http)
{
    const char  *wrong;
    CURLU       *u;
    u_char       text[NGX_ICLOCK_HOOK_URL + 1];
    ngx_uint_t   i;

    if (url->len == 0) {
        return "is empty";
    }

    if (url->len > NGX_ICLOCK_HOOK_URL) {
        return "is too long";
    }

    for (i = 0; i < url->len; i++) {

        if (url->data[i] <= ' ' || url->data[i] >= 0x7f
            || url->data[i] == '\\')
        {
            return "has a character that URLs do not have";
        }

        if (url->data[i] == '#') {
            return "has a fragment";
        }
    }

    (void) ngx_cpystrn(text, url->data, url->len + 1);

    /* libcurl overlooks a slash too much */

    if (ngx_strstr(text, ":///")) {
        return "has no host";
    }

    u = curl_url();
    if (u == NULL) {
        return "was not read";
    }

    wrong = ngx_iclock_hook_check_parts(u, (char *) text, http);

    curl_url_cleanup(u);

    return wrong;
}


static const char *
ngx_iclock_hook_check_parts(CURLU *u, const char *url, ngx_uint_t http)
{
    char         *scheme;
    ngx_uint_t    plain, secure;

    if (curl_url_set(u, CURLUPART_URL, url, CURLU_NON_SUPPORT_SCHEME)
        != CURLUE_OK)
    {
        return "is not a URL";
    }

    if (curl_url_get(u, CURLUPART_SCHEME, &scheme, 0) != CURLUE_OK) {
        return "has no scheme";
    }

    secure = (ngx_strcasecmp((u_char *) scheme, (u_char *) "https") == 0);
    plain = (ngx_strcasecmp((u_char *) scheme, (u_char *) "http") == 0);

    curl_free(scheme);

    if (!secure && !(plain && http)) {
        return plain ? "is not https" : "is neither https nor http";
    }

    if (ngx_iclock_hook_has(u, CURLUPART_USER)
        || ngx_iclock_hook_has(u, CURLUPART_PASSWORD)
        || ngx_iclock_hook_has(u, CURLUPART_OPTIONS))
    {
        return "has a user";
    }

    if (!ngx_iclock_hook_has(u, CURLUPART_HOST)) {
        return "has no host";
    }

    return NULL;
}


static ngx_uint_t
ngx_iclock_hook_has(CURLU *u, CURLUPart part)
{
    char  *text;

    if (curl_url_get(u, part, &text, 0) != CURLUE_OK) {
        return 0;
    }

    curl_free(text);

    return 1;
}


/* the database lets nothing else in: what it takes is sent */

ngx_uint_t
ngx_iclock_hook_header_valid(ngx_str_t *name, ngx_str_t *value)
{
    u_char      c;
    ngx_str_t  *reserved;
    ngx_uint_t  i;

    if (name->len == 0 || name->len > NGX_ICLOCK_HOOK_HEADER_NAME
        || value->len > NGX_ICLOCK_HOOK_HEADER_VALUE)
    {
        return 0;
    }

    for (i = 0; i < name->len; i++) {

        c = ngx_tolower(name->data[i]);

        if ((c < 'a' || c > 'z') && (c < '0' || c > '9')
            && (c == '\0' || ngx_strchr("!#$%&'*+-.^_`|~", c) == NULL))
        {
            return 0;
        }
    }

    for (i = 0; i < value->len; i++) {
        if (value->data[i] < ' ' || value->data[i] == 0x7f) {
            return 0;
        }
    }

    for (reserved = ngx_iclock_hook_reserved; reserved->len; reserved++) {

        if (name->len == reserved->len
            && ngx_strncasecmp(name->data, reserved->data, name->len) == 0)
        {
            return 0;
        }
    }

    return ngx_strncasecmp(name->data, (u_char *) "webhook-", 8) != 0
           && ngx_strncasecmp(name->data, (u_char *) "iclock-", 7) != 0;
}
