
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


#include "iclock_hook.h"


/*
 * What a stranger has sent becomes text that may be stored and shown: UTF-8
 * without controls.  Returns its length, which is not above that of src.
 */

size_t
ngx_iclock_hook_text(u_char *dst, size_t size, u_char *src, size_t len)
{
    u_char    *p, *q, *last, *start, *out;
    uint32_t   c;

    p = src;
    last = src + len;
    out = dst;

    while (p < last) {

        start = p;

        if (*p < 0x80) {
            c = *p++;

        } else {
            c = ngx_utf8_decode(&p, last - p);
        }

        /* nginx takes any byte from 0x80 on behind the first one */

        for (q = start + 1; q < p; q++) {
            if ((*q & 0xc0) != 0x80) {
                c = 0xffffffff;
            }
        }

        if (c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff)) {
            p = start + 1;
            c = '?';

        } else if (c < 0x20 || (c >= 0x7f && c < 0xa0)) {
            c = ' ';
        }

        /* a character that was replaced takes one byte */

        if (c < 0x80) {

            if (out == dst + size) {
                break;
            }

            *out++ = (u_char) c;
            continue;
        }

        if (p - start > dst + size - out) {
            break;
        }

        out = ngx_cpymem(out, start, p - start);
    }

    return out - dst;
}


/* seconds, or a date; -1: neither */

ngx_int_t
ngx_iclock_hook_retry_after(u_char *value, size_t len, time_t now)
{
    time_t     at;
    ngx_int_t  n;

    while (len && (*value == ' ' || *value == '\t')) {
        value++;
        len--;
    }

    while (len && value[len - 1] <= ' ') {
        len--;
    }

    if (len == 0) {
        return -1;
    }

    if (*value >= '0' && *value <= '9') {

        n = ngx_atoi(value, len);

        if (n == NGX_ERROR) {
            return -1;
        }

        return ngx_min(n, NGX_ICLOCK_HOOK_RETRY);
    }

    at = ngx_parse_http_time(value, len);

    if (at == (time_t) NGX_ERROR) {
        return -1;
    }

    if (at <= now) {
        return 0;
    }

    return ngx_min(at - now, NGX_ICLOCK_HOOK_RETRY);
}
