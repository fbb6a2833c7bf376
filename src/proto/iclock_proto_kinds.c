
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include "iclock_proto.h"
#include "iclock_proto_private.h"


#define ngx_iclock_column(constant, name, type)                              \
    { ngx_string(name), NGX_ICLOCK_##type },

#define ngx_iclock_columns(kind, name)                                       \
    static const ngx_iclock_column_t  ngx_iclock_##name##_columns[] = {      \
        kind##_COLUMNS(ngx_iclock_column)                                    \
    };

NGX_ICLOCK_EACH_KIND(ngx_iclock_columns)


#define ngx_iclock_kind(kind, name)                                          \
    { ngx_string(#name), kind##_NCOLUMNS, ngx_iclock_##name##_columns },

const ngx_iclock_kind_t  ngx_iclock_kinds[] = {
    NGX_ICLOCK_EACH_KIND(ngx_iclock_kind)
};
