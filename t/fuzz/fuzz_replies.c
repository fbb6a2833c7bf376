
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


/* the body of devicecmd */


#include "fuzz.h"


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return fuzz_body(":replies", NULL, data, size);
}
