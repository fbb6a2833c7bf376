
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


#include "ngx_http_iclock_api_gate.h"


ngx_int_t
ngx_http_iclock_api_openapi(ngx_http_request_t *r,
    ngx_http_iclock_api_ctx_t *ctx)
{
    ngx_str_set(&ctx->reply, "{}");

    return ngx_http_iclock_api_send_json(r, ctx, NGX_HTTP_OK);
}
