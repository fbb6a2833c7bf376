
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include "iclock_proto.h"
#include "iclock_proto_private.h"


/* a card number in brackets has at most so many digits */
#define NGX_ICLOCK_MAX_CARD_HEX  16


static ngx_int_t ngx_iclock_unreadable(ngx_iclock_reading_t *r,
    const ngx_iclock_key_t *key, char *why);
static ngx_int_t ngx_iclock_set_decoded(ngx_iclock_reading_t *r,
    const ngx_iclock_key_t *key, ngx_int_t rc, ngx_str_t *text, char *why);
static ngx_uint_t ngx_iclock_has_controls(ngx_str_t *text);
static void ngx_iclock_unpack_time(u_char *digits, off_t seconds);
static ngx_uint_t ngx_iclock_card_hex(ngx_str_t *text, uint64_t *card);


void
ngx_iclock_set_text(ngx_iclock_reading_t *r, ngx_uint_t column,
    ngx_str_t *text)
{
    r->record->values[column].text = *text;
    r->record->values[column].null = 0;
}


void
ngx_iclock_set_number(ngx_iclock_reading_t *r, ngx_uint_t column,
    int64_t number)
{
    r->record->values[column].number = number;
    r->record->values[column].null = 0;
}


ngx_int_t
ngx_iclock_reject(ngx_iclock_reading_t *r, char *reason)
{
    r->record->reason.data = (u_char *) reason;
    r->record->reason.len = ngx_strlen(reason);

    return NGX_DECLINED;
}


/*
 * The reason names the column; of several reasons the first is kept, and that
 * of a rejection in any case.
 */

static ngx_int_t
ngx_iclock_unreadable(ngx_iclock_reading_t *r, const ngx_iclock_key_t *key,
    char *why)
{
    size_t            len;
    u_char           *p;
    const ngx_str_t  *name;

    if (r->record->reason.len == 0 || key->flags) {
        name = &ngx_iclock_kinds[r->record->kind].columns[key->column].name;
        len = name->len + ngx_strlen(why);

        p = ngx_pnalloc(r->pool, len);
        if (p == NULL) {
            return NGX_ERROR;
        }

        r->record->reason.data = p;
        r->record->reason.len = len;

        p = ngx_cpymem(p, name->data, name->len);
        ngx_memcpy(p, why, ngx_strlen(why));
    }

    return key->flags ? NGX_DECLINED : NGX_OK;
}


static ngx_uint_t
ngx_iclock_has_controls(ngx_str_t *text)
{
    size_t  i;

    for (i = 0; i < text->len; i++) {
        if (text->data[i] < 0x20 || text->data[i] == 0x7f) {
            return 1;
        }
    }

    return 0;
}


/* what a decoder has returned, and has made of the text */

static ngx_int_t
ngx_iclock_set_decoded(ngx_iclock_reading_t *r, const ngx_iclock_key_t *key,
    ngx_int_t rc, ngx_str_t *text, char *why)
{
    if (rc == NGX_DECLINED) {
        return ngx_iclock_unreadable(r, key, why);
    }

    if (rc == NGX_OK) {
        ngx_iclock_set_text(r, key->column, text);
    }

    return rc;
}


ngx_int_t
ngx_iclock_read_text(ngx_iclock_reading_t *r, const ngx_iclock_key_t *key,
    ngx_str_t *text)
{
    ngx_int_t  rc;
    ngx_str_t  s;

    if (text->len > NGX_ICLOCK_LINE_BYTES) {
        return ngx_iclock_unreadable(r, key, " is too long");
    }

    s = *text;
    rc = ngx_iclock_decode_text(&s, r->context->encoding, r->pool);

    return ngx_iclock_set_decoded(r, key, rc, &s, " is not valid text");
}


/* identity cards: attendance PUSH 2.4.1, section 11.6 */

ngx_int_t
ngx_iclock_read_utf8(ngx_iclock_reading_t *r, const ngx_iclock_key_t *key,
    ngx_str_t *text)
{
    ngx_int_t  rc;
    ngx_str_t  s;

    if (text->len > NGX_ICLOCK_LINE_BYTES) {
        return ngx_iclock_unreadable(r, key, " is too long");
    }

    s = *text;
    rc = ngx_iclock_decode_utf8(&s, r->context->encoding, r->pool);

    return ngx_iclock_set_decoded(r, key, rc, &s, " is not valid text");
}


ngx_int_t
ngx_iclock_read_short_text(ngx_iclock_reading_t *r,
    const ngx_iclock_key_t *key, ngx_str_t *text)
{
    ngx_int_t  rc;
    ngx_str_t  s;

    if (text->len > NGX_ICLOCK_MAX_KEY) {
        return ngx_iclock_unreadable(r, key, " is too long");
    }

    s = *text;
    rc = ngx_iclock_decode_text(&s, r->context->encoding, r->pool);

    if (rc == NGX_OK && s.len > NGX_ICLOCK_MAX_KEY) {
        return ngx_iclock_unreadable(r, key, " is too long");
    }

    return ngx_iclock_set_decoded(r, key, rc, &s, " is not valid text");
}


ngx_int_t
ngx_iclock_read_word(ngx_iclock_reading_t *r, const ngx_iclock_key_t *key,
    ngx_str_t *text)
{
    ngx_str_t  s;

    s = *text;
    ngx_iclock_trim(&s);

    if (s.len > NGX_ICLOCK_MAX_KEY) {
        return ngx_iclock_unreadable(r, key, " is too long");
    }

    if (!ngx_iclock_valid_text(&s)) {
        return ngx_iclock_unreadable(r, key, " is invalid UTF-8");
    }

    if (ngx_iclock_has_controls(&s)) {
        return ngx_iclock_unreadable(r, key, " holds a control character");
    }

    ngx_iclock_set_text(r, key->column, &s);

    return NGX_OK;
}


ngx_int_t
ngx_iclock_read_number(ngx_iclock_reading_t *r, const ngx_iclock_key_t *key,
    ngx_str_t *text)
{
    int64_t    number;
    ngx_str_t  s;

    s = *text;
    ngx_iclock_trim(&s);

    if (s.len == 0) {
        return NGX_OK;
    }

    switch (ngx_iclock_parse_number(&s, &number)) {

    case NGX_OK:
        ngx_iclock_set_number(r, key->column, number);
        return NGX_OK;

    case NGX_ABORT:
        return ngx_iclock_unreadable(r, key, " is out of range");

    default:
        return ngx_iclock_unreadable(r, key, " is not a number");
    }
}


/* nothing and 0 stand for no time */

ngx_int_t
ngx_iclock_read_time(ngx_iclock_reading_t *r, const ngx_iclock_key_t *key,
    ngx_str_t *text)
{
    int64_t    time;
    ngx_str_t  s;

    s = *text;
    ngx_iclock_trim(&s);

    if (s.len == 0 || (s.len == 1 && s.data[0] == '0')) {
        return NGX_OK;
    }

    if (ngx_iclock_parse_time(&s, &time) != NGX_OK) {
        return ngx_iclock_unreadable(r, key, " is not a date and time");
    }

    ngx_iclock_set_number(r, key->column, time);

    return NGX_OK;
}


/*
 * When a user is valid, documented nowhere: a date and time, or a number as
 * access controllers have it, which is a date (the last one counts to its end)
 * or seconds in a calendar where each month has 31 days; 0 takes a limit back.
 */

ngx_int_t
ngx_iclock_read_user_time(ngx_iclock_reading_t *r,
    const ngx_iclock_key_t *key, ngx_str_t *text)
{
    u_char      digits[sizeof("YYYYMMDDHHMMSS")];
    int64_t     time;
    ngx_str_t   s;
    ngx_uint_t  n;

    s = *text;
    ngx_iclock_trim(&s);

    n = ngx_iclock_digits(s.data, s.data + s.len);

    if (s.len == 0 || n != s.len || n > sizeof(digits) - 1) {
        return ngx_iclock_read_time(r, key, text);
    }

    if (ngx_atoof(s.data, s.len) == 0) {
        ngx_iclock_set_number(r, key->column,
                              key->column == NGX_ICLOCK_USER_ENDS_AT
                              ? NGX_ICLOCK_TIME_MAX : NGX_ICLOCK_TIME_MIN);
        return NGX_OK;
    }

    if (n == sizeof("YYYYMMDD") - 1) {
        ngx_sprintf(digits, "%V%s", &s,
                    key->column == NGX_ICLOCK_USER_ENDS_AT ? "235959"
                                                           : "000000");

    } else if (n == sizeof(digits) - 1) {
        ngx_memcpy(digits, s.data, n);

    } else {
        ngx_iclock_unpack_time(digits, ngx_atoof(s.data, s.len));
    }

    s.data = digits;
    s.len = sizeof(digits) - 1;

    if (ngx_iclock_parse_compact_time(&s, &time) != NGX_OK) {
        return ngx_iclock_unreadable(r, key, " is not a date and time");
    }

    ngx_iclock_set_number(r, key->column, time);

    return NGX_OK;
}


static void
ngx_iclock_unpack_time(u_char *digits, off_t seconds)
{
    off_t  days, year;

    days = seconds / 86400;
    seconds %= 86400;
    year = 2000 + days / (12 * 31);

    ngx_sprintf(digits, "%04O%02O%02O%02O%02O%02O", ngx_min(year, 9999),
                days / 31 % 12 + 1, days % 31 + 1, seconds / 3600,
                seconds / 60 % 60, seconds % 60);
}


/*
 * Attendance PUSH 2.4.1, section 11.5: decimal, or the bytes of the number
 * in hexadecimal, the lowest first.  No card is sent as nothing, 0 or [000].
 */

ngx_int_t
ngx_iclock_read_card(ngx_iclock_reading_t *r, const ngx_iclock_key_t *key,
    ngx_str_t *text)
{
    size_t      zeros;
    u_char     *p;
    uint64_t    card;
    ngx_str_t   s, digits;

    s = *text;
    ngx_iclock_trim(&s);

    digits = s;

    if (s.len >= 2 && s.data[0] == '[' && s.data[s.len - 1] == ']') {
        digits.data++;
        digits.len -= 2;
    }

    for (zeros = 0; zeros < digits.len; zeros++) {
        if (digits.data[zeros] != '0') {
            break;
        }
    }

    if (zeros == digits.len) {
        s.len = 0;

    } else if (digits.len != s.len && ngx_iclock_card_hex(&digits, &card)) {

        p = ngx_pnalloc(r->pool, NGX_INT64_LEN);
        if (p == NULL) {
            return NGX_ERROR;
        }

        s.data = p;
        s.len = ngx_sprintf(p, "%uL", card) - p;
    }

    return ngx_iclock_read_text(r, key, &s);
}


static ngx_uint_t
ngx_iclock_card_hex(ngx_str_t *text, uint64_t *card)
{
    size_t      i;
    uint64_t    value;
    ngx_int_t   byte;

    if (text->len % 2 || text->len > NGX_ICLOCK_MAX_CARD_HEX) {
        return 0;
    }

    value = 0;

    for (i = text->len; i; i -= 2) {
        byte = ngx_hextoi(text->data + i - 2, 2);
        if (byte == NGX_ERROR) {
            return 0;
        }

        value = value << 8 | (uint64_t) byte;
    }

    *card = value;

    return 1;
}


ngx_int_t
ngx_iclock_read_base64(ngx_iclock_reading_t *r, const ngx_iclock_key_t *key,
    ngx_str_t *text)
{
    ngx_int_t  rc;
    ngx_str_t  s, data;

    s = *text;
    ngx_iclock_trim(&s);

    rc = ngx_iclock_decode_base64(&data, &s, r->pool);

    return ngx_iclock_set_decoded(r, key, rc, &data, " is not base64");
}
