
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


/* the INFO argument of a poll */


#include "unit.h"


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);


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

    ngx_memzero(&context, sizeof(context));

    body.data = (u_char *) data;
    body.len = size;

    pool = unit_pool();

    if (unit_split(&upload, ":info", &body, pool) != NGX_OK) {
        abort();
    }

    unit_dump(sink, &upload, &context, pool);

    ngx_destroy_pool(pool);

    return 0;
}
