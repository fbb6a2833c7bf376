
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


/* a data packet of OPERLOG */


#include "fuzz.h"


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return fuzz_body(":packet", NULL, data, size);
}
