
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


/* lines of commands, attendance PUSH 2.4.1, section 12 */


#include <ngx_config.h>
#include <ngx_core.h>
#include "iclock_proto.h"
#include "iclock_proto_private.h"


static ngx_uint_t ngx_iclock_is_utf8_command(ngx_str_t *text);


/* one command that cannot be encoded is sent as it is, and no other */

ngx_int_t
ngx_iclock_write_commands(ngx_str_t *reply, ngx_array_t *commands,
    ngx_uint_t encoding, ngx_pool_t *pool)
{
    size_t                 len;
    u_char                *p;
    ngx_uint_t             i;
    ngx_iclock_command_t  *command;

    len = 0;
    command = commands->elts;

    for (i = 0; i < commands->nelts; i++) {

        if (!ngx_iclock_is_utf8_command(&command[i].text)
            && ngx_iclock_encode_text(&command[i].text, encoding, pool)
               == NGX_ERROR)
        {
            return NGX_ERROR;
        }

        len += sizeof("C::\n") - 1 + command[i].id.len + command[i].text.len;
    }

    p = ngx_pnalloc(pool, len + 1);
    if (p == NULL) {
        return NGX_ERROR;
    }

    reply->data = p;
    reply->len = len;

    for (i = 0; i < commands->nelts; i++) {
        p = ngx_cpymem(p, "C:", 2);
        p = ngx_cpymem(p, command[i].id.data, command[i].id.len);
        *p++ = ':';
        p = ngx_cpymem(p, command[i].text.data, command[i].text.len);
        *p++ = LF;
    }

    return NGX_OK;
}


/* attendance PUSH 2.4.1, section 12.1.1.2 */

static ngx_uint_t
ngx_iclock_is_utf8_command(ngx_str_t *text)
{
    static ngx_str_t  card = ngx_string("DATA UPDATE IDCARD ");

    return text->len > card.len
           && ngx_strncasecmp(text->data, card.data, card.len) == 0;
}
