
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


#include "ngx_http_iclock.h"


/*
 * Many devices of these languages speak UTF-8: text that is not UTF-8 is
 * decoded so, but nothing is sent so.
 */
#define NGX_HTTP_ICLOCK_GUESS  0x80


/* the zone keeps the number; names are those of iconv */

static ngx_str_t  ngx_http_iclock_encodings[] = {
    ngx_null_string,                /* UTF-8 */
    ngx_string("GB18030"),
    ngx_string("WINDOWS-1256"),
    ngx_string("WINDOWS-1251"),
    ngx_string("ISO-8859-1"),
    ngx_string("WINDOWS-1252"),
    ngx_string("WINDOWS-1250"),
    ngx_string("WINDOWS-1253"),
    ngx_string("WINDOWS-1254"),
    ngx_string("WINDOWS-1255"),
    ngx_string("WINDOWS-1258"),
    ngx_string("WINDOWS-874"),
    ngx_string("BIG5"),
    ngx_string("EUC-KR"),
    ngx_string("SHIFT_JIS"),
    ngx_null_string
};


ngx_uint_t
ngx_http_iclock_encoding(ngx_iclock_device_t *device)
{
    ngx_str_t   name;
    ngx_uint_t  i;

    name = device->encoding.len
           ? device->encoding
           : ngx_iclock_language_encoding(&device->language);

    if ((name.len == 6 && ngx_strncasecmp(name.data, (u_char *) "GB2312", 6)
                          == 0)
        || (name.len == 3 && ngx_strncasecmp(name.data, (u_char *) "GBK", 3)
                             == 0))
    {
        /* both are subsets of it */
        return 1;
    }

    for (i = 1; ngx_http_iclock_encodings[i].len; i++) {

        if (ngx_http_iclock_encodings[i].len == name.len
            && ngx_strncasecmp(ngx_http_iclock_encodings[i].data, name.data,
                               name.len)
               == 0)
        {
            break;
        }
    }

    if (ngx_http_iclock_encodings[i].len == 0) {
        return 0;
    }

    /* by its language alone only Chinese is documented not to be UTF-8 */

    return (device->encoding.len || i == 1) ? i : (i | NGX_HTTP_ICLOCK_GUESS);
}


ngx_str_t
ngx_http_iclock_encoding_name(ngx_uint_t encoding)
{
    return ngx_http_iclock_encodings[encoding & ~NGX_HTTP_ICLOCK_GUESS];
}


ngx_int_t
ngx_http_iclock_encode(ngx_http_request_t *r, ngx_uint_t encoding,
    ngx_str_t *text)
{
    size_t     i;
    ngx_str_t  name;

    if (encoding == 0 || (encoding & NGX_HTTP_ICLOCK_GUESS)) {
        return NGX_OK;
    }

    for (i = 0; i < text->len; i++) {
        if (text->data[i] >= 0x80) {
            break;
        }
    }

    if (i == text->len) {
        return NGX_OK;
    }

    name = ngx_http_iclock_encoding_name(encoding);

    return (ngx_iclock_encode_text(text, &name, r->pool) == NGX_ERROR)
           ? NGX_ERROR : NGX_OK;
}
