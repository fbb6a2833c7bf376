
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


#include "ngx_http_iclock.h"


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
            return i;
        }
    }

    return 0;
}


ngx_str_t
ngx_http_iclock_encoding_name(ngx_uint_t encoding)
{
    return ngx_http_iclock_encodings[encoding];
}
