
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


#include "iclock_pg_private.h"


/* seconds in which repeated failures are only counted */
#define NGX_ICLOCK_PG_LOG_INTERVAL  60

/* "SQLSTATE 42501", with which what PostgreSQL says begins */
#define NGX_ICLOCK_PG_SQLSTATE      14


static ngx_uint_t ngx_iclock_pg_log_slot(ngx_iclock_pg_stat_t *stat,
    u_char *message, size_t len);


void
ngx_iclock_pg_log_failure(ngx_iclock_pg_stat_t *stat, ngx_log_t *log,
    const char *what, u_char *message, size_t len)
{
    ngx_uint_t         slot, unlogged;
    ngx_atomic_uint_t  last, now;

    slot = ngx_iclock_pg_log_slot(stat, message, len);
    now = ngx_time();
    last = stat->logged[slot];

    if ((last && now - last < NGX_ICLOCK_PG_LOG_INTERVAL)
        || !ngx_atomic_cmp_set(&stat->logged[slot], last, now))
    {
        (void) ngx_atomic_fetch_add(&stat->unlogged[slot], 1);
        ngx_log_error(NGX_LOG_INFO, log, 0, "iclock: %s: %*s", what, len,
                      message);
        return;
    }

    unlogged = stat->unlogged[slot];
    stat->unlogged[slot] = 0;

    if (unlogged) {
        ngx_log_error(NGX_LOG_ERR, log, 0,
                      "iclock: %s: %*s, %ui more such failures since then",
                      what, len, message, unlogged);
        return;
    }

    ngx_log_error(NGX_LOG_ERR, log, 0, "iclock: %s: %*s", what, len, message);
}


/* that of its SQLSTATE; 0: it has none, or there are too many */

static ngx_uint_t
ngx_iclock_pg_log_slot(ngx_iclock_pg_stat_t *stat, u_char *message,
    size_t len)
{
    ngx_uint_t         slot;
    ngx_atomic_uint_t  hash;

    if (len < NGX_ICLOCK_PG_SQLSTATE
        || ngx_strncmp(message, "SQLSTATE ", sizeof("SQLSTATE ") - 1) != 0)
    {
        return 0;
    }

    hash = ngx_crc32_short(message, NGX_ICLOCK_PG_SQLSTATE) | 1;

    for (slot = 1; slot < NGX_ICLOCK_PG_LOG_SLOTS; slot++) {

        if (stat->kinds[slot] == 0) {
            (void) ngx_atomic_cmp_set(&stat->kinds[slot], 0, hash);
        }

        if (stat->kinds[slot] == hash) {
            return slot;
        }
    }

    return 0;
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
