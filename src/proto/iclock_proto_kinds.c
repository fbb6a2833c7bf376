
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include "iclock_proto.h"
#include "iclock_proto_private.h"


#define ngx_iclock_kind(name, columns)                                       \
    { ngx_string(name), sizeof(columns) / sizeof(columns[0]), columns }


static const ngx_iclock_column_t  ngx_iclock_punch_columns[] = {
    { ngx_string("pin"), NGX_ICLOCK_TEXT },
    { ngx_string("local_time"), NGX_ICLOCK_TIMESTAMP },
    { ngx_string("status"), NGX_ICLOCK_INTEGER },
    { ngx_string("verify"), NGX_ICLOCK_INTEGER },
    { ngx_string("work_code"), NGX_ICLOCK_TEXT },
    { ngx_string("id_number"), NGX_ICLOCK_TEXT },
    { ngx_string("record_type"), NGX_ICLOCK_INTEGER },
    { ngx_string("mask"), NGX_ICLOCK_INTEGER },
    { ngx_string("temperature"), NGX_ICLOCK_TEXT },
    { ngx_string("job_codes"), NGX_ICLOCK_TEXT },
    { ngx_string("tip_codes"), NGX_ICLOCK_TEXT },
    { ngx_string("extra"), NGX_ICLOCK_TEXT },
    { ngx_string("utc_offset"), NGX_ICLOCK_INTEGER }
};


static const ngx_iclock_column_t  ngx_iclock_operation_columns[] = {
    { ngx_string("local_time"), NGX_ICLOCK_TIMESTAMP },
    { ngx_string("code"), NGX_ICLOCK_INTEGER },
    { ngx_string("operator"), NGX_ICLOCK_TEXT },
    { ngx_string("object1"), NGX_ICLOCK_TEXT },
    { ngx_string("object2"), NGX_ICLOCK_TEXT },
    { ngx_string("object3"), NGX_ICLOCK_TEXT },
    { ngx_string("object4"), NGX_ICLOCK_TEXT }
};


static const ngx_iclock_column_t  ngx_iclock_user_columns[] = {
    { ngx_string("pin"), NGX_ICLOCK_TEXT },
    { ngx_string("name"), NGX_ICLOCK_TEXT },
    { ngx_string("privilege"), NGX_ICLOCK_INTEGER },
    { ngx_string("password"), NGX_ICLOCK_TEXT },
    { ngx_string("card"), NGX_ICLOCK_TEXT },
    { ngx_string("access_group"), NGX_ICLOCK_INTEGER },
    { ngx_string("time_zone"), NGX_ICLOCK_TEXT },
    { ngx_string("verify"), NGX_ICLOCK_INTEGER },
    { ngx_string("vice_card"), NGX_ICLOCK_TEXT },
    { ngx_string("starts_at"), NGX_ICLOCK_TIMESTAMP },
    { ngx_string("ends_at"), NGX_ICLOCK_TIMESTAMP }
};


static const ngx_iclock_column_t  ngx_iclock_template_columns[] = {
    { ngx_string("pin"), NGX_ICLOCK_TEXT },
    { ngx_string("type"), NGX_ICLOCK_INTEGER },
    { ngx_string("no"), NGX_ICLOCK_INTEGER },
    { ngx_string("index"), NGX_ICLOCK_INTEGER },
    { ngx_string("major_version"), NGX_ICLOCK_INTEGER },
    { ngx_string("minor_version"), NGX_ICLOCK_INTEGER },
    { ngx_string("format"), NGX_ICLOCK_INTEGER },
    { ngx_string("valid"), NGX_ICLOCK_INTEGER },
    { ngx_string("duress"), NGX_ICLOCK_INTEGER },
    { ngx_string("source"), NGX_ICLOCK_TEXT },
    { ngx_string("data"), NGX_ICLOCK_BYTEA }
};


static const ngx_iclock_column_t  ngx_iclock_photo_columns[] = {
    { ngx_string("kind"), NGX_ICLOCK_TEXT },
    { ngx_string("file_name"), NGX_ICLOCK_TEXT },
    { ngx_string("pin"), NGX_ICLOCK_TEXT },
    { ngx_string("taken_at"), NGX_ICLOCK_TIMESTAMP },
    { ngx_string("result"), NGX_ICLOCK_INTEGER },
    { ngx_string("type"), NGX_ICLOCK_INTEGER },
    { ngx_string("id_number"), NGX_ICLOCK_TEXT },
    { ngx_string("content"), NGX_ICLOCK_BYTEA }
};


static const ngx_iclock_column_t  ngx_iclock_identity_columns[] = {
    { ngx_string("pin"), NGX_ICLOCK_TEXT },
    { ngx_string("sn_number"), NGX_ICLOCK_TEXT },
    { ngx_string("id_number"), NGX_ICLOCK_TEXT },
    { ngx_string("dn_number"), NGX_ICLOCK_TEXT },
    { ngx_string("name"), NGX_ICLOCK_TEXT },
    { ngx_string("gender"), NGX_ICLOCK_INTEGER },
    { ngx_string("nation"), NGX_ICLOCK_INTEGER },
    { ngx_string("birthday"), NGX_ICLOCK_TEXT },
    { ngx_string("valid_info"), NGX_ICLOCK_TEXT },
    { ngx_string("address"), NGX_ICLOCK_TEXT },
    { ngx_string("additional_info"), NGX_ICLOCK_TEXT },
    { ngx_string("issuer"), NGX_ICLOCK_TEXT },
    { ngx_string("photo"), NGX_ICLOCK_BYTEA },
    { ngx_string("fp_template1"), NGX_ICLOCK_BYTEA },
    { ngx_string("fp_template2"), NGX_ICLOCK_BYTEA },
    { ngx_string("reserve"), NGX_ICLOCK_TEXT },
    { ngx_string("notice"), NGX_ICLOCK_TEXT }
};


static const ngx_iclock_column_t  ngx_iclock_work_code_columns[] = {
    { ngx_string("code"), NGX_ICLOCK_TEXT },
    { ngx_string("name"), NGX_ICLOCK_TEXT },
    { ngx_string("pin"), NGX_ICLOCK_TEXT }
};


static const ngx_iclock_column_t  ngx_iclock_error_columns[] = {
    { ngx_string("code"), NGX_ICLOCK_TEXT },
    { ngx_string("message"), NGX_ICLOCK_TEXT },
    { ngx_string("origin"), NGX_ICLOCK_TEXT },
    { ngx_string("command_id"), NGX_ICLOCK_TEXT },
    { ngx_string("additional"), NGX_ICLOCK_TEXT }
};


static const ngx_iclock_column_t  ngx_iclock_option_columns[] = {
    { ngx_string("name"), NGX_ICLOCK_TEXT },
    { ngx_string("value"), NGX_ICLOCK_TEXT }
};


static const ngx_iclock_column_t  ngx_iclock_reply_columns[] = {
    { ngx_string("command_id"), NGX_ICLOCK_BIGINT },
    { ngx_string("return_code"), NGX_ICLOCK_INTEGER },
    { ngx_string("command"), NGX_ICLOCK_TEXT },
    { ngx_string("reply"), NGX_ICLOCK_BYTEA }
};


const ngx_iclock_kind_t  ngx_iclock_kinds[] = {
    ngx_iclock_kind("punch", ngx_iclock_punch_columns),
    ngx_iclock_kind("operation", ngx_iclock_operation_columns),
    ngx_iclock_kind("user", ngx_iclock_user_columns),
    ngx_iclock_kind("template", ngx_iclock_template_columns),
    ngx_iclock_kind("photo", ngx_iclock_photo_columns),
    ngx_iclock_kind("identity_card", ngx_iclock_identity_columns),
    ngx_iclock_kind("work_code", ngx_iclock_work_code_columns),
    ngx_iclock_kind("device_error", ngx_iclock_error_columns),
    ngx_iclock_kind("option", ngx_iclock_option_columns),
    ngx_iclock_kind("reply", ngx_iclock_reply_columns),
    { ngx_string("rejected"), 0, NULL }
};
