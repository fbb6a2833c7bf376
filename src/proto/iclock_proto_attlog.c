
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


/*
 * Punches: attendance PUSH 2.4.1, sections 11.2 and 11.7, push SDK 3.2.0,
 * section 2.4.  Firmwares disagree on what follows the seventh column; only
 * what cannot be mistaken is understood, and everything is kept as sent.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include "iclock_proto.h"
#include "iclock_proto_private.h"


/* the columns that every firmware agrees on */
#define NGX_ICLOCK_PUNCH_FIELDS     7

/* with job codes and tip codes */
#define NGX_ICLOCK_PUNCH_CODES      16

/* so many letters and digits make an identity number */
#define NGX_ICLOCK_MIN_ID_NUMBER    6

/* seconds: no zone is further from UTC, or differs by less */
#define NGX_ICLOCK_MAX_UTC_OFFSET   (14 * 3600)
#define NGX_ICLOCK_UTC_OFFSET_STEP  900

/* the longest temperature: "-273.15", generously */
#define NGX_ICLOCK_MAX_TEMPERATURE  16


static ngx_int_t ngx_iclock_read_punch_fields(ngx_iclock_reading_t *r,
    ngx_str_t *fields, ngx_uint_t n);
static ngx_int_t ngx_iclock_read_punch_rest(ngx_iclock_reading_t *r,
    ngx_str_t *fields, ngx_uint_t n, u_char *last);
static ngx_int_t ngx_iclock_read_punch_card(ngx_iclock_reading_t *r,
    ngx_str_t *rest);
static ngx_int_t ngx_iclock_read_punch_mask(ngx_iclock_reading_t *r,
    ngx_str_t *rest, ngx_uint_t offset);
static ngx_int_t ngx_iclock_read_punch_codes(ngx_iclock_reading_t *r,
    ngx_str_t *rest);
static ngx_int_t ngx_iclock_read_slice(ngx_iclock_reading_t *r,
    const ngx_iclock_key_t *key, u_char *start, u_char *end);
static ngx_int_t ngx_iclock_read_optional_number(ngx_iclock_reading_t *r,
    const ngx_iclock_key_t *key, ngx_str_t *text);
static ngx_int_t ngx_iclock_read_decimal(ngx_iclock_reading_t *r,
    const ngx_iclock_key_t *key, ngx_str_t *text);
static void ngx_iclock_read_utc_offset(ngx_iclock_reading_t *r,
    ngx_str_t *text);
static ngx_uint_t ngx_iclock_is_id_number(ngx_str_t *text);


/* the order of the columns */

static const ngx_iclock_key_t  ngx_iclock_punch_fields[] = {

    { ngx_string("PIN"),
      NGX_ICLOCK_PUNCH_PIN, ngx_iclock_read_word, NGX_ICLOCK_NEEDED },

    { ngx_string("Time"),
      NGX_ICLOCK_PUNCH_TIME, ngx_iclock_read_time, NGX_ICLOCK_NEEDED },

    { ngx_string("Status"),
      NGX_ICLOCK_PUNCH_STATUS, ngx_iclock_read_number, NGX_ICLOCK_STRICT },

    { ngx_string("Verify"),
      NGX_ICLOCK_PUNCH_VERIFY, ngx_iclock_read_number, NGX_ICLOCK_STRICT },

    { ngx_string("Workcode"),
      NGX_ICLOCK_PUNCH_WORK_CODE, ngx_iclock_read_text, 0 },

    { ngx_null_string, 0, NULL, 0 }
};


/* the keyed form of some firmwares */

const ngx_iclock_key_t  ngx_iclock_punch_keys[] = {

    { ngx_string("PIN"),
      NGX_ICLOCK_PUNCH_PIN, ngx_iclock_read_word, NGX_ICLOCK_NEEDED },

    { ngx_string("DateTime"),
      NGX_ICLOCK_PUNCH_TIME, ngx_iclock_read_time, NGX_ICLOCK_NEEDED },

    { ngx_string("Time"),
      NGX_ICLOCK_PUNCH_TIME, ngx_iclock_read_time, NGX_ICLOCK_NEEDED },

    { ngx_string("Status"),
      NGX_ICLOCK_PUNCH_STATUS, ngx_iclock_read_number, NGX_ICLOCK_STRICT },

    { ngx_string("Verified"),
      NGX_ICLOCK_PUNCH_VERIFY, ngx_iclock_read_number, NGX_ICLOCK_STRICT },

    { ngx_string("Verify"),
      NGX_ICLOCK_PUNCH_VERIFY, ngx_iclock_read_number, NGX_ICLOCK_STRICT },

    { ngx_string("WorkCode"),
      NGX_ICLOCK_PUNCH_WORK_CODE, ngx_iclock_read_text, 0 },

    { ngx_string("IDNum"),
      NGX_ICLOCK_PUNCH_ID_NUMBER, ngx_iclock_read_text, 0 },

    { ngx_string("Type"),
      NGX_ICLOCK_PUNCH_RECORD_TYPE, ngx_iclock_read_optional_number, 0 },

    { ngx_string("MaskFlag"),
      NGX_ICLOCK_PUNCH_MASK, ngx_iclock_read_optional_number, 0 },

    { ngx_string("Temperature"),
      NGX_ICLOCK_PUNCH_TEMPERATURE, ngx_iclock_read_decimal, 0 },

    { ngx_string("Reserved1"), 0, NULL, 0 },
    { ngx_string("Reserved2"), 0, NULL, 0 },
    { ngx_string("SN"), 0, NULL, 0 },

    { ngx_null_string, NGX_ICLOCK_PUNCH_EXTRA, ngx_iclock_read_text, 0 }
};


static const ngx_iclock_key_t  ngx_iclock_punch_id_number =
    ngx_iclock_column_key(NGX_ICLOCK_PUNCH_ID_NUMBER, ngx_iclock_read_text, 0);

static const ngx_iclock_key_t  ngx_iclock_punch_record_type =
    ngx_iclock_column_key(NGX_ICLOCK_PUNCH_RECORD_TYPE, NULL, 0);

static const ngx_iclock_key_t  ngx_iclock_punch_mask =
    ngx_iclock_column_key(NGX_ICLOCK_PUNCH_MASK, NULL, 0);

static const ngx_iclock_key_t  ngx_iclock_punch_temperature =
    ngx_iclock_column_key(NGX_ICLOCK_PUNCH_TEMPERATURE, NULL, 0);

static const ngx_iclock_key_t  ngx_iclock_punch_job_codes =
    ngx_iclock_column_key(NGX_ICLOCK_PUNCH_JOB_CODES, ngx_iclock_read_text, 0);

static const ngx_iclock_key_t  ngx_iclock_punch_tip_codes =
    ngx_iclock_column_key(NGX_ICLOCK_PUNCH_TIP_CODES, ngx_iclock_read_text, 0);

static const ngx_iclock_key_t  ngx_iclock_punch_extra =
    ngx_iclock_column_key(NGX_ICLOCK_PUNCH_EXTRA, ngx_iclock_read_text, 0);


ngx_int_t
ngx_iclock_parse_punch(ngx_iclock_reading_t *r, const ngx_iclock_item_t *item)
{
    u_char      *p, *last;
    ngx_int_t    rc;
    ngx_str_t    line, fields[NGX_ICLOCK_MAX_FIELDS];
    ngx_uint_t   n;

    ngx_iclock_set_number(r, NGX_ICLOCK_PUNCH_STATUS, NGX_ICLOCK_NOT_SENT);
    ngx_iclock_set_number(r, NGX_ICLOCK_PUNCH_VERIFY, NGX_ICLOCK_NOT_SENT);

    line = item->data;

    p = line.data;
    last = p + line.len;

    while (p < last && *p == ' ') {
        p++;
    }

    if (ngx_iclock_find_key(ngx_iclock_punch_keys, p, last) != NULL) {

        rc = ngx_iclock_read_keyed(r, ngx_iclock_punch_keys, &line);
        if (rc != NGX_OK) {
            return rc;
        }

        return ngx_iclock_check_needed(r, ngx_iclock_punch_keys);
    }

    n = ngx_iclock_split_columns(&line, fields, r->pool);
    if (n == 0) {
        return NGX_ERROR;
    }

    /* the trailing TAB is the one before the last tip code, which is empty */

    if (n == NGX_ICLOCK_PUNCH_CODES - 1 && last[-1] == '\t') {
        fields[n].data = last;
        fields[n].len = 0;
        n++;
    }

    rc = ngx_iclock_read_punch_fields(r, fields, n);
    if (rc != NGX_OK || n <= NGX_ICLOCK_PUNCH_FIELDS) {
        return rc;
    }

    return ngx_iclock_read_punch_rest(r, fields, n, line.data + line.len);
}


static ngx_int_t
ngx_iclock_read_punch_fields(ngx_iclock_reading_t *r, ngx_str_t *fields,
    ngx_uint_t n)
{
    ngx_int_t                rc;
    ngx_uint_t               i;
    const ngx_iclock_key_t  *key;

    key = ngx_iclock_punch_fields;

    for (i = 0; i < n && key->name.len; i++, key++) {

        if (fields[i].len == 0) {
            continue;
        }

        rc = key->read(r, key, &fields[i]);
        if (rc != NGX_OK) {
            return rc;
        }
    }

    return ngx_iclock_check_needed(r, ngx_iclock_punch_fields);
}


static ngx_int_t
ngx_iclock_read_punch_rest(ngx_iclock_reading_t *r, ngx_str_t *fields,
    ngx_uint_t n, u_char *last)
{
    ngx_int_t   rc;
    ngx_str_t  *rest;

    rest = &fields[NGX_ICLOCK_PUNCH_FIELDS];

    rc = ngx_iclock_read_slice(r, &ngx_iclock_punch_extra, rest[0].data,
                               last);
    if (rc != NGX_OK) {
        return rc;
    }

    switch (n) {

    case 9:
        return ngx_iclock_read_punch_card(r, rest);

    case 10:
    case 11:
    case 12:
        return ngx_iclock_read_punch_mask(r, rest, n > 10);

    case NGX_ICLOCK_PUNCH_CODES:
    case NGX_ICLOCK_PUNCH_CODES + 1:
        return ngx_iclock_read_punch_codes(r, rest);

    default:
        return NGX_OK;
    }
}


/* identity card terminals: number and type of record */

static ngx_int_t
ngx_iclock_read_punch_card(ngx_iclock_reading_t *r, ngx_str_t *rest)
{
    if (!ngx_iclock_is_id_number(&rest[0])) {
        return NGX_OK;
    }

    if (ngx_iclock_read_optional_number(r, &ngx_iclock_punch_record_type,
                                        &rest[1])
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_iclock_read_text(r, &ngx_iclock_punch_id_number, &rest[0]);
}


/* mask and temperature, then time offset and extended data */

static ngx_int_t
ngx_iclock_read_punch_mask(ngx_iclock_reading_t *r, ngx_str_t *rest,
    ngx_uint_t offset)
{
    if (offset) {
        ngx_iclock_read_utc_offset(r, &rest[3]);
    }

    if (ngx_iclock_read_optional_number(r, &ngx_iclock_punch_mask, &rest[0])
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_iclock_read_decimal(r, &ngx_iclock_punch_temperature,
                                   &rest[1]);
}


/* six job codes, three tip codes */

static ngx_int_t
ngx_iclock_read_punch_codes(ngx_iclock_reading_t *r, ngx_str_t *rest)
{
    ngx_int_t  rc;

    rc = ngx_iclock_read_slice(r, &ngx_iclock_punch_job_codes, rest[0].data,
                               rest[5].data + rest[5].len);
    if (rc != NGX_OK) {
        return rc;
    }

    return ngx_iclock_read_slice(r, &ngx_iclock_punch_tip_codes,
                                 rest[6].data, rest[8].data + rest[8].len);
}


static ngx_int_t
ngx_iclock_read_slice(ngx_iclock_reading_t *r, const ngx_iclock_key_t *key,
    u_char *start, u_char *end)
{
    ngx_str_t  s;

    if (start == end) {
        return NGX_OK;
    }

    s.data = start;
    s.len = end - start;

    return ngx_iclock_read_text(r, key, &s);
}


/* what is no number here may well be something else */

static ngx_int_t
ngx_iclock_read_optional_number(ngx_iclock_reading_t *r,
    const ngx_iclock_key_t *key, ngx_str_t *text)
{
    int64_t  number;

    if (ngx_iclock_parse_number(text, &number) == NGX_OK) {
        ngx_iclock_set_number(r, key->column, number);
    }

    return NGX_OK;
}


/* "+28800": what has no sign is something else */

static void
ngx_iclock_read_utc_offset(ngx_iclock_reading_t *r, ngx_str_t *text)
{
    int64_t  offset;

    if (text->len == 0
        || (text->data[0] != '+' && text->data[0] != '-')
        || ngx_iclock_parse_number(text, &offset) != NGX_OK
        || offset % NGX_ICLOCK_UTC_OFFSET_STEP
        || offset < -NGX_ICLOCK_MAX_UTC_OFFSET
        || offset > NGX_ICLOCK_MAX_UTC_OFFSET)
    {
        return;
    }

    ngx_iclock_set_number(r, NGX_ICLOCK_PUNCH_UTC_OFFSET, offset);
}


static ngx_int_t
ngx_iclock_read_decimal(ngx_iclock_reading_t *r, const ngx_iclock_key_t *key,
    ngx_str_t *text)
{
    u_char      *p, *last;
    ngx_str_t    s;
    ngx_uint_t   n;

    s = *text;
    ngx_iclock_trim(&s);

    p = s.data;
    last = p + s.len;

    if (s.len == 0 || s.len > NGX_ICLOCK_MAX_TEMPERATURE) {
        return NGX_OK;
    }

    if (*p == '-') {
        p++;
    }

    n = ngx_iclock_digits(p, last);
    if (n == 0) {
        return NGX_OK;
    }

    p += n;

    if (p < last) {

        if (*p++ != '.') {
            return NGX_OK;
        }

        n = ngx_iclock_digits(p, last);
        if (n == 0 || p + n != last) {
            return NGX_OK;
        }
    }

    ngx_iclock_set_text(r, key->column, &s);

    return NGX_OK;
}


static ngx_uint_t
ngx_iclock_is_id_number(ngx_str_t *text)
{
    size_t  i;
    u_char  ch;

    for (i = 0; i < text->len; i++) {
        ch = ngx_tolower(text->data[i]);

        if (!((ch >= '0' && ch <= '9') || (ch >= 'a' && ch <= 'z'))) {
            return 0;
        }
    }

    return text->len >= NGX_ICLOCK_MIN_ID_NUMBER;
}
