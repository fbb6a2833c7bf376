
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


/* operations: attendance PUSH 2.4.1, section 11.4, appendices 3 and 4 */


#include <ngx_config.h>
#include <ngx_core.h>
#include "iclock_proto.h"
#include "iclock_proto_private.h"


/* the order of the columns */

static const ngx_iclock_key_t  ngx_iclock_operation_fields[] = {

    { ngx_string("OpType"),
      NGX_ICLOCK_OPERATION_CODE, ngx_iclock_read_number,
      NGX_ICLOCK_NEEDED },

    { ngx_string("OpWho"),
      NGX_ICLOCK_OPERATION_OPERATOR, ngx_iclock_read_short_text, 0 },

    { ngx_string("OpTime"),
      NGX_ICLOCK_OPERATION_TIME, ngx_iclock_read_time, NGX_ICLOCK_NEEDED },

    { ngx_string("Value1"),
      NGX_ICLOCK_OPERATION_OBJECT1, ngx_iclock_read_short_text, 0 },

    { ngx_string("Value2"),
      NGX_ICLOCK_OPERATION_OBJECT2, ngx_iclock_read_short_text, 0 },

    { ngx_string("Value3"),
      NGX_ICLOCK_OPERATION_OBJECT3, ngx_iclock_read_short_text, 0 },

    { ngx_string("Reserved"),
      NGX_ICLOCK_OPERATION_OBJECT4, ngx_iclock_read_short_text, 0 },

    { ngx_null_string, 0, NULL, 0 }
};


ngx_int_t
ngx_iclock_parse_operation(ngx_iclock_reading_t *r,
    const ngx_iclock_item_t *item)
{
    ngx_int_t                rc;
    ngx_str_t                line, empty, fields[NGX_ICLOCK_MAX_FIELDS];
    ngx_uint_t               i, n;
    const ngx_iclock_key_t  *key;

    /* operator and objects are a part of the key, hence never null */

    ngx_str_set(&empty, "");

    for (i = NGX_ICLOCK_OPERATION_OPERATOR;
         i <= NGX_ICLOCK_OPERATION_OBJECT4;
         i++)
    {
        ngx_iclock_set_text(r, i, &empty);
    }

    line = item->data;
    ngx_iclock_skip_tag(item->tag, &line);

    n = ngx_iclock_split_columns(&line, fields, r->pool);
    if (n == 0) {
        return NGX_ERROR;
    }

    key = ngx_iclock_operation_fields;

    for (i = 0; i < n && key->name.len; i++, key++) {

        rc = key->read(r, key, &fields[i]);
        if (rc != NGX_OK) {
            return rc;
        }
    }

    return ngx_iclock_check_needed(r, ngx_iclock_operation_fields);
}
