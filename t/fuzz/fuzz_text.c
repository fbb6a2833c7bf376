
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


/* texts, times, versions, names */


#include "fuzz.h"


static ngx_uint_t fuzz_valid(const uint8_t *p, size_t size);


/* a second opinion on UTF-8, by decoding it */

static ngx_uint_t
fuzz_valid(const uint8_t *p, size_t size)
{
    size_t    i, k, n;
    uint32_t  code;

    static const uint32_t  least[] = { 0, 1, 0x80, 0x800, 0x10000 };

    for (i = 0; i < size; i += n) {

        n = p[i] < 0x80 ? 1 : p[i] >> 5 == 6 ? 2 : p[i] >> 4 == 14 ? 3
            : p[i] >> 3 == 30 ? 4 : 0;

        if (n == 0 || i + n > size) {
            return 0;
        }

        code = n == 1 ? p[i] : (uint32_t) (p[i] & (0x7f >> n));

        for (k = 1; k < n; k++) {
            if (p[i + k] >> 6 != 2) {
                return 0;
            }

            code = code << 6 | (p[i + k] & 0x3f);
        }

        if (code < least[n] || code > 0x10ffff
            || (code >= 0xd800 && code <= 0xdfff))
        {
            return 0;
        }
    }

    return 1;
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char        text[64];
    time_t      t;
    int64_t     time;
    ngx_str_t   s, lower, server;
    struct tm   tm;

    s.data = malloc(size + !size);
    s.len = size;
    ngx_memcpy(s.data, data, size);

    if (ngx_iclock_valid_text(&s) != fuzz_valid(data, size)) {
        abort();
    }

    if (ngx_iclock_parse_time(&s, &time) == NGX_OK && size == 19) {
        t = (time_t) (time / 1000000) + 946684800;
        gmtime_r(&t, &tm);
        ngx_memzero(text, sizeof(text));
        (void) snprintf(text, sizeof(text), "%04d-%02d-%02d %02d:%02d:%02d",
                        tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday,
                        tm.tm_hour, tm.tm_min, tm.tm_sec);

        if (ngx_memcmp(text, data, 10) != 0
            || ngx_memcmp(text + 11, data + 11, 8) != 0)
        {
            abort();
        }
    }

    ngx_str_set(&server, "2.4.1");
    lower = ngx_iclock_lower_version(&s, &server);

    if (lower.len == 0 || lower.len > 32) {
        abort();
    }

    (void) ngx_iclock_encoding(&s, &s);
    (void) ngx_iclock_find_table(&s);

    free(s.data);

    return 0;
}
