
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


#include "ngx_http_iclock_api.h"


/* no route is served yet */

ngx_int_t
ngx_http_iclock_api_handler(ngx_http_request_t *r)
{
    return NGX_HTTP_NOT_FOUND;
}
