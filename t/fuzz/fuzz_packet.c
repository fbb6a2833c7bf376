
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


/* a data packet of OPERLOG */


#include "unit.h"


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ngx_str_t                  body, name;
    ngx_pool_t                *pool;
    ngx_iclock_upload_t        upload;
    ngx_iclock_context_t       context;
    const ngx_iclock_table_t  *table;

    static FILE  *sink;

    if (sink == NULL) {
        sink = fopen("/dev/null", "w");
    }

    ngx_memzero(&context, sizeof(context));
    ngx_str_set(&name, "OPERLOG");

    body.data = (u_char *) data;
    body.len = size;

    pool = unit_pool();
    table = ngx_iclock_find_table(&name);

    if (table == NULL
        || ngx_iclock_split_packet(&upload, table, &body, pool) != NGX_OK)
    {
        abort();
    }

    unit_dump(sink, &upload, &context, pool);

    ngx_destroy_pool(pool);

    return 0;
}
