
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


/* an upload; its first byte selects the table and the context */


#include "fuzz.h"


#define FUZZ_TABLES  (sizeof(fuzz_tables) / sizeof(fuzz_tables[0]))


static const char  *fuzz_tables[] = {
    "ATTLOG", "OPERLOG", "ATTPHOTO", "options", "USERINFO", "BIODATA",
    "FINGERTMP", "templatev10", "FACETMP", "FVEIN", "USERPIC", "BIOPHOTO",
    "IDCARD", "WORKCODE", "ERRORLOG", "FOO"
};


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char            *table;
    ngx_iclock_context_t   context;

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

    table = fuzz_tables[(data[0] & 0x7f) % FUZZ_TABLES];

    return fuzz_body(table, &context, data + 1, size - 1);
}
