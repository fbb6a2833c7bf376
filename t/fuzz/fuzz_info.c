
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


/* the INFO argument of a poll */


#include "fuzz.h"


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return fuzz_body(":info", NULL, data, size);
}
