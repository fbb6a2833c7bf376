
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


/*
 * Records of "Key=value" fields (attendance PUSH 2.4.1, section 11.5 and
 * others).  Keys come in any case and order; unknown ones are passed over, or
 * kept together where the table of keys says so.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include "iclock_proto.h"
#include "iclock_proto_private.h"


static ngx_int_t ngx_iclock_add_unknown(ngx_iclock_reading_t *r,
    ngx_str_t *unknown, ngx_str_t *field, ngx_str_t *line);
static u_char *ngx_iclock_value_end(const ngx_iclock_key_t *keys, u_char *p,
    u_char *last, ngx_uint_t tabs);


const ngx_iclock_key_t  ngx_iclock_user_keys[] = {

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

const ngx_iclock_key_t  ngx_iclock_identity_keys[] = {

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

const ngx_iclock_key_t  ngx_iclock_work_code_keys[] = {

    { ngx_string("Code"),
      NGX_ICLOCK_WORK_CODE_CODE, ngx_iclock_read_word, NGX_ICLOCK_NEEDED },

    { ngx_string("Name"),
      NGX_ICLOCK_WORK_CODE_NAME, ngx_iclock_read_text, 0 },

    { ngx_string("PIN"),
      NGX_ICLOCK_WORK_CODE_PIN, ngx_iclock_read_word, 0 },

    { ngx_null_string, 0, NULL, 0 }
};


/* section 11.16 */

const ngx_iclock_key_t  ngx_iclock_error_keys[] = {

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


ngx_int_t
ngx_iclock_parse_keyed(ngx_iclock_reading_t *r, const ngx_iclock_item_t *item)
{
    ngx_int_t  rc;
    ngx_str_t  line;

    line = item->data;
    ngx_iclock_skip_tag(item->tag, &line);

    rc = ngx_iclock_read_keyed(r, item->tag->keys, &line);
    if (rc != NGX_OK) {
        return rc;
    }

    return ngx_iclock_check_needed(r, item->tag->keys);
}


ngx_int_t
ngx_iclock_read_keyed(ngx_iclock_reading_t *r, const ngx_iclock_key_t *keys,
    ngx_str_t *line)
{
    u_char                  *p, *last;
    ngx_int_t                rc;
    ngx_str_t                value, unknown;
    ngx_uint_t               tabs, found, seen, bit;
    const ngx_iclock_key_t  *key;

    p = line->data;
    last = p + line->len;

    while (last > p && last[-1] == '\t') {
        last--;
    }

    tabs = (memchr(p, '\t', last - p) != NULL);
    found = 0;
    seen = 0;
    ngx_str_null(&unknown);

    while (p < last) {

        if (*p == ' ' || *p == '\t') {
            p++;
            continue;
        }

        key = ngx_iclock_find_key(keys, p, last);

        value.data = key ? p + key->name.len + 1 : p;
        p = ngx_iclock_value_end(keys, value.data, last, tabs);
        value.len = p - value.data;

        if (key == NULL) {

            if (ngx_iclock_add_unknown(r, &unknown, &value, line) != NGX_OK) {
                return NGX_ERROR;
            }

            continue;
        }

        found = 1;

        if (key->read == NULL
            || (value.len == 4 && ngx_strncmp(value.data, "null", 4) == 0))
        {
            continue;
        }

        /* of a key that is repeated the first counts: reading has a price */

        bit = (ngx_uint_t) 1 << key->column;

        if (seen & bit) {
            continue;
        }

        seen |= bit;

        rc = key->read(r, key, &value);
        if (rc != NGX_OK) {
            return rc;
        }
    }

    if (!found) {
        return ngx_iclock_reject(r, "no known field");
    }

    for (key = keys; key->name.len; key++) {
        /* void */
    }

    return (key->read && unknown.len) ? key->read(r, key, &unknown) : NGX_OK;
}


/* fields as they were sent, separated by TABs; all of them fit into a line */

static ngx_int_t
ngx_iclock_add_unknown(ngx_iclock_reading_t *r, ngx_str_t *unknown,
    ngx_str_t *field, ngx_str_t *line)
{
    u_char  *p;

    if (unknown->data == NULL) {
        unknown->data = ngx_pnalloc(r->pool, line->len + 1);
        if (unknown->data == NULL) {
            return NGX_ERROR;
        }
    }

    p = unknown->data + unknown->len;

    if (unknown->len) {
        *p++ = '\t';
    }

    p = ngx_cpymem(p, field->data, field->len);
    unknown->len = p - unknown->data;

    return NGX_OK;
}


/*
 * Values end at a TAB.  In a line without TABs they end at a space, but only
 * where a known key comes next: names are made of several words.
 */

static u_char *
ngx_iclock_value_end(const ngx_iclock_key_t *keys, u_char *p, u_char *last,
    ngx_uint_t tabs)
{
    u_char  *space;

    if (tabs) {
        p = memchr(p, '\t', last - p);
        return p ? p : last;
    }

    while (p < last) {

        if (*p != ' ') {
            p++;
            continue;
        }

        space = p;

        while (p < last && *p == ' ') {
            p++;
        }

        if (ngx_iclock_find_key(keys, p, last) != NULL) {
            return space;
        }
    }

    return last;
}


const ngx_iclock_key_t *
ngx_iclock_find_key(const ngx_iclock_key_t *keys, u_char *p, u_char *last)
{
    size_t                   len;
    const ngx_iclock_key_t  *key;

    for (key = keys; key->name.len; key++) {
        len = key->name.len;

        if ((size_t) (last - p) > len
            && p[len] == '='
            && ngx_strncasecmp(p, key->name.data, len) == 0)
        {
            return key;
        }
    }

    return NULL;
}


ngx_int_t
ngx_iclock_check_needed(ngx_iclock_reading_t *r, const ngx_iclock_key_t *keys)
{
    u_char                     *p;
    ngx_str_t                  *reason;
    ngx_iclock_value_t         *value;
    const ngx_iclock_key_t     *key;
    const ngx_iclock_column_t  *column;

    for (key = keys; key->name.len; key++) {

        if (!(key->flags & NGX_ICLOCK_NEEDED)) {
            continue;
        }

        value = &r->record->values[key->column];
        column = &ngx_iclock_kinds[r->record->kind].columns[key->column];

        if (!value->null
            && (column->type == NGX_ICLOCK_INTEGER
                || column->type == NGX_ICLOCK_TIMESTAMP
                || value->text.len))
        {
            continue;
        }

        reason = &r->record->reason;

        p = ngx_pnalloc(r->pool, column->name.len + sizeof(" is empty") - 1);
        if (p == NULL) {
            return NGX_ERROR;
        }

        reason->data = p;
        reason->len = ngx_sprintf(p, "%V is empty", &column->name) - p;

        return NGX_DECLINED;
    }

    return NGX_OK;
}
