
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


#ifndef _FUZZ_H_INCLUDED_
#define _FUZZ_H_INCLUDED_


#include "unit.h"


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* reads an input as a body of the table; without a context of an empty one */
int fuzz_body(const char *table, const ngx_iclock_context_t *context,
    const uint8_t *data, size_t size);


#endif /* _FUZZ_H_INCLUDED_ */
