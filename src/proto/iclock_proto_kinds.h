
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


/*
 * The kinds of records and their columns.  Everything else that tells them
 * is made from these lists: the constants below, ngx_iclock_kinds[], and the
 * parameters of the statements that store records.
 */


#ifndef _ICLOCK_PROTO_KINDS_H_INCLUDED_
#define _ICLOCK_PROTO_KINDS_H_INCLUDED_


/* X(kind, name), in the order in which records are stored */

#define NGX_ICLOCK_EACH_KIND(X)                                              \
    X(NGX_ICLOCK_PUNCH, punch)                                               \
    X(NGX_ICLOCK_OPERATION, operation)                                       \
    X(NGX_ICLOCK_USER, user)                                                 \
    X(NGX_ICLOCK_TEMPLATE, template)                                         \
    X(NGX_ICLOCK_PHOTO, photo)                                               \
    X(NGX_ICLOCK_IDENTITY_CARD, identity_card)                               \
    X(NGX_ICLOCK_WORK_CODE, work_code)                                       \
    X(NGX_ICLOCK_DEVICE_ERROR, device_error)                                 \
    X(NGX_ICLOCK_OPTION, option)                                             \
    X(NGX_ICLOCK_REPLY, reply)                                               \
    X(NGX_ICLOCK_REJECTED, rejected)


/* X(constant, name, type): NGX_ICLOCK_<type> of ngx_iclock_type_e */

#define NGX_ICLOCK_PUNCH_COLUMNS(X)                                          \
    X(NGX_ICLOCK_PUNCH_PIN, "pin", TEXT)                                     \
    X(NGX_ICLOCK_PUNCH_TIME, "local_time", TIMESTAMP)                        \
    X(NGX_ICLOCK_PUNCH_STATUS, "status", INTEGER)                            \
    X(NGX_ICLOCK_PUNCH_VERIFY, "verify", INTEGER)                            \
    X(NGX_ICLOCK_PUNCH_WORK_CODE, "work_code", TEXT)                         \
    X(NGX_ICLOCK_PUNCH_ID_NUMBER, "id_number", TEXT)                         \
    X(NGX_ICLOCK_PUNCH_RECORD_TYPE, "record_type", INTEGER)                  \
    X(NGX_ICLOCK_PUNCH_MASK, "mask", INTEGER)                                \
    X(NGX_ICLOCK_PUNCH_TEMPERATURE, "temperature", TEXT)                     \
    X(NGX_ICLOCK_PUNCH_JOB_CODES, "job_codes", TEXT)                         \
    X(NGX_ICLOCK_PUNCH_TIP_CODES, "tip_codes", TEXT)                         \
    X(NGX_ICLOCK_PUNCH_EXTRA, "extra", TEXT)                                 \
    X(NGX_ICLOCK_PUNCH_UTC_OFFSET, "utc_offset", INTEGER)


#define NGX_ICLOCK_OPERATION_COLUMNS(X)                                      \
    X(NGX_ICLOCK_OPERATION_TIME, "local_time", TIMESTAMP)                    \
    X(NGX_ICLOCK_OPERATION_CODE, "code", INTEGER)                            \
    X(NGX_ICLOCK_OPERATION_OPERATOR, "operator", TEXT)                       \
    X(NGX_ICLOCK_OPERATION_OBJECT1, "object1", TEXT)                         \
    X(NGX_ICLOCK_OPERATION_OBJECT2, "object2", TEXT)                         \
    X(NGX_ICLOCK_OPERATION_OBJECT3, "object3", TEXT)                         \
    X(NGX_ICLOCK_OPERATION_OBJECT4, "object4", TEXT)


#define NGX_ICLOCK_USER_COLUMNS(X)                                           \
    X(NGX_ICLOCK_USER_PIN, "pin", TEXT)                                      \
    X(NGX_ICLOCK_USER_NAME, "name", TEXT)                                    \
    X(NGX_ICLOCK_USER_PRIVILEGE, "privilege", INTEGER)                       \
    X(NGX_ICLOCK_USER_PASSWORD, "password", TEXT)                            \
    X(NGX_ICLOCK_USER_CARD, "card", TEXT)                                    \
    X(NGX_ICLOCK_USER_ACCESS_GROUP, "access_group", INTEGER)                 \
    X(NGX_ICLOCK_USER_TIME_ZONE, "time_zone", TEXT)                          \
    X(NGX_ICLOCK_USER_VERIFY, "verify", INTEGER)                             \
    X(NGX_ICLOCK_USER_VICE_CARD, "vice_card", TEXT)                          \
    X(NGX_ICLOCK_USER_STARTS_AT, "starts_at", TIMESTAMP)                     \
    X(NGX_ICLOCK_USER_ENDS_AT, "ends_at", TIMESTAMP)


#define NGX_ICLOCK_TEMPLATE_COLUMNS(X)                                       \
    X(NGX_ICLOCK_TEMPLATE_PIN, "pin", TEXT)                                  \
    X(NGX_ICLOCK_TEMPLATE_TYPE, "type", INTEGER)                             \
    X(NGX_ICLOCK_TEMPLATE_NO, "no", INTEGER)                                 \
    X(NGX_ICLOCK_TEMPLATE_INDEX, "index", INTEGER)                           \
    X(NGX_ICLOCK_TEMPLATE_MAJOR_VERSION, "major_version", INTEGER)           \
    X(NGX_ICLOCK_TEMPLATE_MINOR_VERSION, "minor_version", INTEGER)           \
    X(NGX_ICLOCK_TEMPLATE_FORMAT, "format", INTEGER)                         \
    X(NGX_ICLOCK_TEMPLATE_VALID, "valid", INTEGER)                           \
    X(NGX_ICLOCK_TEMPLATE_DURESS, "duress", INTEGER)                         \
    X(NGX_ICLOCK_TEMPLATE_SOURCE, "source", TEXT)                            \
    X(NGX_ICLOCK_TEMPLATE_DATA, "data", BYTEA)


#define NGX_ICLOCK_PHOTO_COLUMNS(X)                                          \
    X(NGX_ICLOCK_PHOTO_KIND, "kind", TEXT)                                   \
    X(NGX_ICLOCK_PHOTO_FILE_NAME, "file_name", TEXT)                         \
    X(NGX_ICLOCK_PHOTO_PIN, "pin", TEXT)                                     \
    X(NGX_ICLOCK_PHOTO_TAKEN_AT, "taken_at", TIMESTAMP)                      \
    X(NGX_ICLOCK_PHOTO_RESULT, "result", INTEGER)                            \
    X(NGX_ICLOCK_PHOTO_TYPE, "type", INTEGER)                                \
    X(NGX_ICLOCK_PHOTO_ID_NUMBER, "id_number", TEXT)                         \
    X(NGX_ICLOCK_PHOTO_CONTENT, "content", BYTEA)


#define NGX_ICLOCK_IDENTITY_CARD_COLUMNS(X)                                  \
    X(NGX_ICLOCK_IDENTITY_PIN, "pin", TEXT)                                  \
    X(NGX_ICLOCK_IDENTITY_SN_NUMBER, "sn_number", TEXT)                      \
    X(NGX_ICLOCK_IDENTITY_ID_NUMBER, "id_number", TEXT)                      \
    X(NGX_ICLOCK_IDENTITY_DN_NUMBER, "dn_number", TEXT)                      \
    X(NGX_ICLOCK_IDENTITY_NAME, "name", TEXT)                                \
    X(NGX_ICLOCK_IDENTITY_GENDER, "gender", INTEGER)                         \
    X(NGX_ICLOCK_IDENTITY_NATION, "nation", INTEGER)                         \
    X(NGX_ICLOCK_IDENTITY_BIRTHDAY, "birthday", TEXT)                        \
    X(NGX_ICLOCK_IDENTITY_VALID_INFO, "valid_info", TEXT)                    \
    X(NGX_ICLOCK_IDENTITY_ADDRESS, "address", TEXT)                          \
    X(NGX_ICLOCK_IDENTITY_ADDITIONAL_INFO, "additional_info", TEXT)          \
    X(NGX_ICLOCK_IDENTITY_ISSUER, "issuer", TEXT)                            \
    X(NGX_ICLOCK_IDENTITY_PHOTO, "photo", BYTEA)                             \
    X(NGX_ICLOCK_IDENTITY_FP_TEMPLATE1, "fp_template1", BYTEA)               \
    X(NGX_ICLOCK_IDENTITY_FP_TEMPLATE2, "fp_template2", BYTEA)               \
    X(NGX_ICLOCK_IDENTITY_RESERVE, "reserve", TEXT)                          \
    X(NGX_ICLOCK_IDENTITY_NOTICE, "notice", TEXT)


#define NGX_ICLOCK_WORK_CODE_COLUMNS(X)                                      \
    X(NGX_ICLOCK_WORK_CODE_CODE, "code", TEXT)                               \
    X(NGX_ICLOCK_WORK_CODE_NAME, "name", TEXT)                               \
    X(NGX_ICLOCK_WORK_CODE_PIN, "pin", TEXT)


#define NGX_ICLOCK_DEVICE_ERROR_COLUMNS(X)                                   \
    X(NGX_ICLOCK_ERROR_CODE, "code", TEXT)                                   \
    X(NGX_ICLOCK_ERROR_MESSAGE, "message", TEXT)                             \
    X(NGX_ICLOCK_ERROR_ORIGIN, "origin", TEXT)                               \
    X(NGX_ICLOCK_ERROR_COMMAND_ID, "command_id", TEXT)                       \
    X(NGX_ICLOCK_ERROR_ADDITIONAL, "additional", TEXT)


#define NGX_ICLOCK_OPTION_COLUMNS(X)                                         \
    X(NGX_ICLOCK_OPTION_NAME, "name", TEXT)                                  \
    X(NGX_ICLOCK_OPTION_VALUE, "value", TEXT)


#define NGX_ICLOCK_REPLY_COLUMNS(X)                                          \
    X(NGX_ICLOCK_REPLY_COMMAND_ID, "command_id", BIGINT)                     \
    X(NGX_ICLOCK_REPLY_RETURN_CODE, "return_code", INTEGER)                  \
    X(NGX_ICLOCK_REPLY_COMMAND, "command", TEXT)                             \
    X(NGX_ICLOCK_REPLY_REPLY, "reply", BYTEA)


/* what could not be read: a line of an upload, whole */

#define NGX_ICLOCK_REJECTED_COLUMNS(X)                                       \
    X(NGX_ICLOCK_REJECTED_TABLE, "table_name", TEXT)                         \
    X(NGX_ICLOCK_REJECTED_LINE, "line", BYTEA)                               \
    X(NGX_ICLOCK_REJECTED_REASON, "reason", TEXT)


#define ngx_iclock_kind_constant(kind, name)                                 \
    kind,

typedef enum {
    NGX_ICLOCK_EACH_KIND(ngx_iclock_kind_constant)
    NGX_ICLOCK_KINDS
} ngx_iclock_kind_e;


/* an enum of the columns of each kind, and NGX_ICLOCK_PUNCH_NCOLUMNS etc. */

#define ngx_iclock_column_constant(constant, name, type)                     \
    constant,

#define ngx_iclock_column_constants(kind, name)                              \
    enum {                                                                   \
        kind##_COLUMNS(ngx_iclock_column_constant)                           \
        kind##_NCOLUMNS                                                      \
    };

NGX_ICLOCK_EACH_KIND(ngx_iclock_column_constants)


/* as many as the widest kind has */

#define ngx_iclock_column_space(kind, name)                                  \
    char  name[kind##_NCOLUMNS];

enum {
    NGX_ICLOCK_MAX_COLUMNS = sizeof(union {
        NGX_ICLOCK_EACH_KIND(ngx_iclock_column_space)
    })
};


#endif /* _ICLOCK_PROTO_KINDS_H_INCLUDED_ */
