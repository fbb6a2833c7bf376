
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


#include "iclock_pg_private.h"


/* seconds in which repeated failures are only counted */
#define NGX_ICLOCK_PG_LOG_INTERVAL  60


void
ngx_iclock_pg_log_failure(ngx_iclock_pg_stat_t *stat, ngx_log_t *log,
    const char *what, u_char *message, size_t len)
{
    ngx_uint_t         unlogged;
    ngx_atomic_uint_t  last, now;

    now = ngx_time();
    last = stat->logged;

    if ((last && now - last < NGX_ICLOCK_PG_LOG_INTERVAL)
        || !ngx_atomic_cmp_set(&stat->logged, last, now))
    {
        (void) ngx_atomic_fetch_add(&stat->unlogged, 1);
        ngx_log_error(NGX_LOG_INFO, log, 0, "iclock: %s: %*s", what, len,
                      message);
        return;
    }

    unlogged = stat->unlogged;
    stat->unlogged = 0;

    if (unlogged) {
        ngx_log_error(NGX_LOG_ERR, log, 0,
                      "iclock: %s: %*s, %ui more such failures since then",
                      what, len, message, unlogged);
        return;
    }

    ngx_log_error(NGX_LOG_ERR, log, 0, "iclock: %s: %*s", what, len, message);
}


size_t
ngx_iclock_pg_message(u_char *dst, size_t size, const char *message)
{
    u_char  *p, *last;

    p = dst;
    last = dst + size;

    while (*message && p < last) {

        if ((u_char) *message >= ' ' && *message != 0x7f) {
            *p++ = *message;

        } else if (p > dst && p[-1] != ' ') {
            *p++ = ' ';
        }

        message++;
    }

    while (p > dst && p[-1] == ' ') {
        p--;
    }

    return p - dst;
}
