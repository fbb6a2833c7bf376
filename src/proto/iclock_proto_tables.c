
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include "iclock_proto.h"
#include "iclock_proto_private.h"


#define ngx_iclock_keyed_tag(name, kind, keys)                               \
    { ngx_string(name), kind, ngx_iclock_parse_keyed, keys,                  \
      ngx_null_string, 0, 0 }

#define ngx_iclock_template_tag(name, source, type, version)                 \
    { ngx_string(name), NGX_ICLOCK_TEMPLATE, ngx_iclock_parse_template,      \
      ngx_iclock_template_keys, ngx_string(source), type, version }

#define ngx_iclock_photo_tag(name, kind)                                     \
    { ngx_string(name), NGX_ICLOCK_PHOTO, ngx_iclock_parse_photo_line,       \
      ngx_iclock_photo_keys, ngx_string(kind), 0, 0 }


static ngx_uint_t ngx_iclock_too_long(const ngx_iclock_item_t *item);
static ngx_uint_t ngx_iclock_tag_ends(const ngx_iclock_tag_t *tag,
    u_char *p, u_char *last);


/* the keys of records that are read by nothing else; section 11.5 */

static const ngx_iclock_key_t  ngx_iclock_user_keys[] = {

    { ngx_string("PIN"),
      NGX_ICLOCK_USER_PIN, ngx_iclock_read_word, NGX_ICLOCK_NEEDED },

    { ngx_string("Name"),
      NGX_ICLOCK_USER_NAME, ngx_iclock_read_text, 0 },

    { ngx_string("Pri"),
      NGX_ICLOCK_USER_PRIVILEGE, ngx_iclock_read_number, 0 },

    { ngx_string("Privilege"),
      NGX_ICLOCK_USER_PRIVILEGE, ngx_iclock_read_number, 0 },

    { ngx_string("Passwd"),
      NGX_ICLOCK_USER_PASSWORD, ngx_iclock_read_text, 0 },

    { ngx_string("Password"),
      NGX_ICLOCK_USER_PASSWORD, ngx_iclock_read_text, 0 },

    { ngx_string("Card"),
      NGX_ICLOCK_USER_CARD, ngx_iclock_read_card, 0 },

    { ngx_string("Grp"),
      NGX_ICLOCK_USER_ACCESS_GROUP, ngx_iclock_read_number, 0 },

    { ngx_string("Group"),
      NGX_ICLOCK_USER_ACCESS_GROUP, ngx_iclock_read_number, 0 },

    { ngx_string("TZ"),
      NGX_ICLOCK_USER_TIME_ZONE, ngx_iclock_read_text, 0 },

    { ngx_string("Verify"),
      NGX_ICLOCK_USER_VERIFY, ngx_iclock_read_number, 0 },

    { ngx_string("VerifyMode"),
      NGX_ICLOCK_USER_VERIFY, ngx_iclock_read_number, 0 },

    { ngx_string("ViceCard"),
      NGX_ICLOCK_USER_VICE_CARD, ngx_iclock_read_card, 0 },

    { ngx_string("StartDatetime"),
      NGX_ICLOCK_USER_STARTS_AT, ngx_iclock_read_user_time, 0 },

    { ngx_string("EndDatetime"),
      NGX_ICLOCK_USER_ENDS_AT, ngx_iclock_read_user_time, 0 },

    { ngx_null_string, 0, NULL, 0 }
};


/* section 11.6 */

static const ngx_iclock_key_t  ngx_iclock_identity_keys[] = {

    { ngx_string("PIN"),
      NGX_ICLOCK_IDENTITY_PIN, ngx_iclock_read_word, 0 },

    { ngx_string("SNNum"),
      NGX_ICLOCK_IDENTITY_SN_NUMBER, ngx_iclock_read_utf8, 0 },

    { ngx_string("IDNum"),
      NGX_ICLOCK_IDENTITY_ID_NUMBER, ngx_iclock_read_word,
      NGX_ICLOCK_NEEDED },

    { ngx_string("DNNum"),
      NGX_ICLOCK_IDENTITY_DN_NUMBER, ngx_iclock_read_utf8, 0 },

    { ngx_string("Name"),
      NGX_ICLOCK_IDENTITY_NAME, ngx_iclock_read_utf8, 0 },

    { ngx_string("Gender"),
      NGX_ICLOCK_IDENTITY_GENDER, ngx_iclock_read_number, 0 },

    { ngx_string("Nation"),
      NGX_ICLOCK_IDENTITY_NATION, ngx_iclock_read_number, 0 },

    { ngx_string("Birthday"),
      NGX_ICLOCK_IDENTITY_BIRTHDAY, ngx_iclock_read_utf8, 0 },

    { ngx_string("ValidInfo"),
      NGX_ICLOCK_IDENTITY_VALID_INFO, ngx_iclock_read_utf8, 0 },

    { ngx_string("Address"),
      NGX_ICLOCK_IDENTITY_ADDRESS, ngx_iclock_read_utf8, 0 },

    { ngx_string("AdditionalInfo"),
      NGX_ICLOCK_IDENTITY_ADDITIONAL_INFO, ngx_iclock_read_utf8, 0 },

    { ngx_string("Issuer"),
      NGX_ICLOCK_IDENTITY_ISSUER, ngx_iclock_read_utf8, 0 },

    { ngx_string("Photo"),
      NGX_ICLOCK_IDENTITY_PHOTO, ngx_iclock_read_base64, 0 },

    { ngx_string("FPTemplate1"),
      NGX_ICLOCK_IDENTITY_FP_TEMPLATE1, ngx_iclock_read_base64, 0 },

    { ngx_string("FPTemplate2"),
      NGX_ICLOCK_IDENTITY_FP_TEMPLATE2, ngx_iclock_read_base64, 0 },

    { ngx_string("Reserve"),
      NGX_ICLOCK_IDENTITY_RESERVE, ngx_iclock_read_utf8, 0 },

    { ngx_string("Notice"),
      NGX_ICLOCK_IDENTITY_NOTICE, ngx_iclock_read_utf8, 0 },

    { ngx_null_string, 0, NULL, 0 }
};


/* section 12.1.1.12 */

static const ngx_iclock_key_t  ngx_iclock_work_code_keys[] = {

    { ngx_string("Code"),
      NGX_ICLOCK_WORK_CODE_CODE, ngx_iclock_read_word, NGX_ICLOCK_NEEDED },

    { ngx_string("Name"),
      NGX_ICLOCK_WORK_CODE_NAME, ngx_iclock_read_text, 0 },

    { ngx_string("PIN"),
      NGX_ICLOCK_WORK_CODE_PIN, ngx_iclock_read_word, 0 },

    { ngx_null_string, 0, NULL, 0 }
};


/* section 11.16 */

static const ngx_iclock_key_t  ngx_iclock_error_keys[] = {

    { ngx_string("ErrCode"),
      NGX_ICLOCK_ERROR_CODE, ngx_iclock_read_text, 0 },

    { ngx_string("ErrMsg"),
      NGX_ICLOCK_ERROR_MESSAGE, ngx_iclock_read_text, 0 },

    { ngx_string("DataOrigin"),
      NGX_ICLOCK_ERROR_ORIGIN, ngx_iclock_read_text, 0 },

    { ngx_string("CmdId"),
      NGX_ICLOCK_ERROR_COMMAND_ID, ngx_iclock_read_text, 0 },

    { ngx_string("Additional"),
      NGX_ICLOCK_ERROR_ADDITIONAL, ngx_iclock_read_text, 0 },

    { ngx_null_string, 0, NULL, 0 }
};


/*
 * The records that one body of OPERLOG mixes, and the other names they go by.
 * The template itself shows the version of a fingerprint.
 */

static const ngx_iclock_tag_t  ngx_iclock_tags[] = {

    ngx_iclock_keyed_tag("USER", NGX_ICLOCK_USER, ngx_iclock_user_keys),
    ngx_iclock_keyed_tag("USERINFO", NGX_ICLOCK_USER, ngx_iclock_user_keys),

    ngx_iclock_template_tag("FP", "FP", NGX_ICLOCK_FINGERPRINT, 0),
    ngx_iclock_template_tag("FPTMP", "FP", NGX_ICLOCK_FINGERPRINT, 0),
    ngx_iclock_template_tag("FINGERTMP", "FP", NGX_ICLOCK_FINGERPRINT, 0),
    ngx_iclock_template_tag("TEMPLATEV10", "FP", NGX_ICLOCK_FINGERPRINT, 0),
    ngx_iclock_template_tag("FACE", "FACE", NGX_ICLOCK_FACE, 7),
    ngx_iclock_template_tag("FACETMP", "FACE", NGX_ICLOCK_FACE, 7),
    ngx_iclock_template_tag("FACETMPV10", "FACE", NGX_ICLOCK_FACE, 7),
    ngx_iclock_template_tag("FVEIN", "FVEIN", NGX_ICLOCK_FINGER_VEIN, 3),
    ngx_iclock_template_tag("BIODATA", "BIODATA", 0, 0),

    ngx_iclock_photo_tag("USERPIC", "user"),
    ngx_iclock_photo_tag("BIOPHOTO", "comparison"),

    ngx_iclock_keyed_tag("IDCARD", NGX_ICLOCK_IDENTITY_CARD,
                         ngx_iclock_identity_keys),
    ngx_iclock_keyed_tag("ERRORLOG", NGX_ICLOCK_DEVICE_ERROR,
                         ngx_iclock_error_keys),
    ngx_iclock_keyed_tag("WORKCODE", NGX_ICLOCK_WORK_CODE,
                         ngx_iclock_work_code_keys),

    { ngx_string("OPLOG"), NGX_ICLOCK_OPERATION, ngx_iclock_parse_operation,
      NULL, ngx_null_string, 0, 0 },

    { ngx_null_string, 0, NULL, NULL, ngx_null_string, 0, 0 }
};


/* records without a tag, by the table they came in */

static const ngx_iclock_tag_t  ngx_iclock_punch_tag = {
    ngx_null_string, NGX_ICLOCK_PUNCH, ngx_iclock_parse_punch,
    ngx_iclock_punch_keys, ngx_null_string, 0, 0
};

static const ngx_iclock_tag_t  ngx_iclock_attendance_photo_tag = {
    ngx_null_string, NGX_ICLOCK_PHOTO, ngx_iclock_parse_photo_body,
    NULL, ngx_string("attendance"), 0, 0
};

static const ngx_iclock_tag_t  ngx_iclock_user_tag =
    ngx_iclock_keyed_tag("", NGX_ICLOCK_USER, ngx_iclock_user_keys);

static const ngx_iclock_tag_t  ngx_iclock_identity_tag =
    ngx_iclock_keyed_tag("", NGX_ICLOCK_IDENTITY_CARD,
                         ngx_iclock_identity_keys);

static const ngx_iclock_tag_t  ngx_iclock_work_code_tag =
    ngx_iclock_keyed_tag("", NGX_ICLOCK_WORK_CODE,
                         ngx_iclock_work_code_keys);

static const ngx_iclock_tag_t  ngx_iclock_error_tag =
    ngx_iclock_keyed_tag("", NGX_ICLOCK_DEVICE_ERROR, ngx_iclock_error_keys);

static const ngx_iclock_tag_t  ngx_iclock_fingerprint_tag =
    ngx_iclock_template_tag("", "FP", NGX_ICLOCK_FINGERPRINT, 0);

static const ngx_iclock_tag_t  ngx_iclock_face_tag =
    ngx_iclock_template_tag("", "FACE", NGX_ICLOCK_FACE, 7);

static const ngx_iclock_tag_t  ngx_iclock_finger_vein_tag =
    ngx_iclock_template_tag("", "FVEIN", NGX_ICLOCK_FINGER_VEIN, 3);

static const ngx_iclock_tag_t  ngx_iclock_biodata_tag =
    ngx_iclock_template_tag("", "BIODATA", 0, 0);

static const ngx_iclock_tag_t  ngx_iclock_user_photo_tag =
    ngx_iclock_photo_tag("", "user");

static const ngx_iclock_tag_t  ngx_iclock_comparison_photo_tag =
    ngx_iclock_photo_tag("", "comparison");

static const ngx_iclock_tag_t  ngx_iclock_no_tag =
    ngx_iclock_rejected_tag("unknown record");

static const ngx_iclock_tag_t  ngx_iclock_no_table_tag =
    ngx_iclock_rejected_tag("unknown table");

static const ngx_iclock_tag_t  ngx_iclock_raw_tag =
    ngx_iclock_rejected_tag("not documented");


static const ngx_iclock_table_t  ngx_iclock_tables[] = {

    { ngx_string("ATTLOG"), NGX_ICLOCK_OK_COUNT,
      ngx_iclock_split_lines, &ngx_iclock_punch_tag },

    { ngx_string("OPERLOG"), NGX_ICLOCK_OK_COUNT,
      ngx_iclock_split_tagged, &ngx_iclock_no_tag },

    { ngx_string("ATTPHOTO"), NGX_ICLOCK_OK,
      ngx_iclock_split_whole, &ngx_iclock_attendance_photo_tag },

    { ngx_string("options"), NGX_ICLOCK_OK,
      ngx_iclock_split_options, &ngx_iclock_option_tag },

    { ngx_string("USERINFO"), NGX_ICLOCK_OK_COUNT,
      ngx_iclock_split_tagged, &ngx_iclock_user_tag },

    { ngx_string("BIODATA"), NGX_ICLOCK_OK_COUNT,
      ngx_iclock_split_tagged, &ngx_iclock_biodata_tag },

    { ngx_string("FINGERTMP"), NGX_ICLOCK_OK_COUNT,
      ngx_iclock_split_tagged, &ngx_iclock_fingerprint_tag },

    { ngx_string("FPTMP"), NGX_ICLOCK_OK_COUNT,
      ngx_iclock_split_tagged, &ngx_iclock_fingerprint_tag },

    { ngx_string("templatev10"), NGX_ICLOCK_OK_COUNT,
      ngx_iclock_split_tagged, &ngx_iclock_fingerprint_tag },

    { ngx_string("FACE"), NGX_ICLOCK_OK_COUNT,
      ngx_iclock_split_tagged, &ngx_iclock_face_tag },

    { ngx_string("FACETMP"), NGX_ICLOCK_OK_COUNT,
      ngx_iclock_split_tagged, &ngx_iclock_face_tag },

    { ngx_string("facetmpv10"), NGX_ICLOCK_OK_COUNT,
      ngx_iclock_split_tagged, &ngx_iclock_face_tag },

    { ngx_string("FVEIN"), NGX_ICLOCK_OK_COUNT,
      ngx_iclock_split_tagged, &ngx_iclock_finger_vein_tag },

    { ngx_string("USERPIC"), NGX_ICLOCK_OK_COUNT,
      ngx_iclock_split_tagged, &ngx_iclock_user_photo_tag },

    { ngx_string("BIOPHOTO"), NGX_ICLOCK_OK_COUNT,
      ngx_iclock_split_tagged, &ngx_iclock_comparison_photo_tag },

    { ngx_string("IDCARD"), NGX_ICLOCK_OK_COUNT,
      ngx_iclock_split_tagged, &ngx_iclock_identity_tag },

    { ngx_string("WORKCODE"), NGX_ICLOCK_OK_COUNT,
      ngx_iclock_split_tagged, &ngx_iclock_work_code_tag },

    { ngx_string("ERRORLOG"), NGX_ICLOCK_OK,
      ngx_iclock_split_tagged, &ngx_iclock_error_tag },

    { ngx_null_string, 0, NULL, NULL }
};


static const ngx_iclock_table_t  ngx_iclock_unknown_table = {
    ngx_string("unknown"), NGX_ICLOCK_OK_COUNT,
    ngx_iclock_split_lines, &ngx_iclock_no_table_tag
};


const ngx_iclock_table_t *
ngx_iclock_find_table(ngx_str_t *name)
{
    ngx_str_t                  s;
    const ngx_iclock_table_t  *table;

    s = *name;
    ngx_iclock_trim(&s);

    if (s.len == 0) {
        return NULL;
    }

    for (table = ngx_iclock_tables; table->name.len; table++) {

        if (s.len == table->name.len
            && ngx_strncasecmp(s.data, table->name.data, s.len) == 0)
        {
            return table;
        }
    }

    return &ngx_iclock_unknown_table;
}


ngx_uint_t
ngx_iclock_known_table(const ngx_iclock_table_t *table)
{
    return table != &ngx_iclock_unknown_table;
}


ngx_uint_t
ngx_iclock_upload_reply(ngx_iclock_upload_t *upload,
    const ngx_iclock_table_t *table)
{
    return (upload->items.nelts && !upload->others) ? NGX_ICLOCK_OK
                                                    : table->reply;
}


ngx_uint_t
ngx_iclock_comparison_photo(const ngx_iclock_tag_t *tag)
{
    static const ngx_str_t  photo = ngx_string("BIOPHOTO");

    return tag->name.len == photo.len
           && ngx_strncmp(tag->name.data, photo.data, photo.len) == 0;
}


/* of "FACE" and "FACETMP" the longer one is meant */

const ngx_iclock_tag_t *
ngx_iclock_find_tag(ngx_str_t *line)
{
    u_char                  *p, *last;
    const ngx_iclock_tag_t  *tag, *found;

    p = line->data;
    last = p + line->len;

    while (p < last && (*p == ' ' || *p == '\t')) {
        p++;
    }

    found = NULL;

    for (tag = ngx_iclock_tags; tag->name.len; tag++) {

        if ((size_t) (last - p) >= tag->name.len
            && ngx_strncasecmp(p, tag->name.data, tag->name.len) == 0
            && (found == NULL || found->name.len < tag->name.len)
            && ngx_iclock_tag_ends(tag, p + tag->name.len, last))
        {
            found = tag;
        }
    }

    return found;
}


/* the space after a tag may be missing: "FPPIN=12", "OPLOG5" */

static ngx_uint_t
ngx_iclock_tag_ends(const ngx_iclock_tag_t *tag, u_char *p, u_char *last)
{
    if (p == last || *p == ' ' || *p == '\t') {
        return 1;
    }

    if (tag->keys == NULL) {
        return ngx_iclock_digits(p, last) != 0;
    }

    return ngx_iclock_find_key(tag->keys, p, last) != NULL;
}


ngx_uint_t
ngx_iclock_item_kind(const ngx_iclock_item_t *item)
{
    return item->tag->kind;
}


ngx_int_t
ngx_iclock_parse_item(ngx_iclock_record_t *record,
    const ngx_iclock_item_t *item, const ngx_iclock_context_t *context,
    ngx_pool_t *pool)
{
    ngx_int_t             rc;
    ngx_uint_t            i;
    ngx_iclock_reading_t  r;

    r.record = record;
    r.context = context;
    r.pool = pool;
    r.words = 0;

    record->kind = item->tag->kind;
    ngx_str_null(&record->reason);

    for (i = 0; i < NGX_ICLOCK_MAX_COLUMNS; i++) {
        ngx_str_null(&record->values[i].text);
        record->values[i].number = 0;
        record->values[i].null = 1;
    }

    rc = ngx_iclock_too_long(item) ? ngx_iclock_reject(&r, "line is too long")
                                   : item->tag->parse(&r, item);

    if (rc == NGX_DECLINED) {
        record->kind = NGX_ICLOCK_REJECTED;
    }

    return rc;
}


static ngx_uint_t
ngx_iclock_too_long(const ngx_iclock_item_t *item)
{
    if (item->data.len <= NGX_ICLOCK_LINE_BYTES) {
        return 0;
    }

    switch (item->tag->kind) {

    case NGX_ICLOCK_TEMPLATE:
    case NGX_ICLOCK_PHOTO:
    case NGX_ICLOCK_IDENTITY_CARD:
    case NGX_ICLOCK_REPLY:
    case NGX_ICLOCK_REJECTED:
        return 0;

    default:
        return 1;
    }
}


ngx_int_t
ngx_iclock_split_raw(ngx_iclock_upload_t *upload, ngx_str_t *body,
    ngx_pool_t *pool)
{
    if (ngx_iclock_init_upload(upload, 1, pool) != NGX_OK) {
        return NGX_ERROR;
    }

    upload->lines = 1;

    return ngx_iclock_push_item(upload, &ngx_iclock_raw_tag, body->data,
                                body->data + body->len);
}
