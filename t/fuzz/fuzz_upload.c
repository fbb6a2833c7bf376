
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


/* an upload; its first byte selects the table and the context */


#include "unit.h"


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);


#define FUZZ_TABLES  (sizeof(fuzz_tables) / sizeof(fuzz_tables[0]))


static const char  *fuzz_tables[] = {
    "ATTLOG", "OPERLOG", "ATTPHOTO", "options", "USERINFO", "BIODATA",
    "FINGERTMP", "templatev10", "FACETMP", "FVEIN", "USERPIC", "BIOPHOTO",
    "IDCARD", "WORKCODE", "ERRORLOG", "FOO"
};


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ngx_str_t              body;
    ngx_pool_t            *pool;
    ngx_iclock_upload_t    upload;
    ngx_iclock_context_t   context;

    static FILE  *sink;

    if (sink == NULL) {
        sink = fopen("/dev/null", "w");
    }

    if (size == 0) {
        return 0;
    }

    ngx_memzero(&context, sizeof(context));

    if (data[0] & 0x80) {
        context.encoding = NGX_ICLOCK_GB18030;
        ngx_str_set(&context.pin, "20150731103012-123.jpg");

    } else {
        ngx_str_set(&context.pin, "123");
        ngx_str_set(&context.time, "2026-05-05 17:40:20");
    }

    body.data = (u_char *) data + 1;
    body.len = size - 1;

    pool = unit_pool();

    if (unit_split(&upload, fuzz_tables[(data[0] & 0x7f) % FUZZ_TABLES],
                   &body, pool)
        != NGX_OK)
    {
        abort();
    }

    unit_dump(sink, &upload, &context, pool);

    ngx_destroy_pool(pool);

    return 0;
}
