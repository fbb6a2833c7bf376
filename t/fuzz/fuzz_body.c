
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


/* the body of the targets that read one */


#include "fuzz.h"


int
fuzz_body(const char *table, const ngx_iclock_context_t *context,
    const uint8_t *data, size_t size)
{
    ngx_str_t  body;

    static const ngx_iclock_context_t  none = unit_no_context;

    body.data = (u_char *) data;
    body.len = size;

    (void) unit_read(unit_sink(), table, &body, context ? context : &none);

    return 0;
}
