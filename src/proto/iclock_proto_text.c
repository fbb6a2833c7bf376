
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include "iclock_proto.h"
#include "iclock_proto_private.h"


/* the longest sequence of digits that cannot overflow 64 bits */
#define NGX_ICLOCK_MAX_DIGITS  18


/* no character of base64 */
#define XX  0x80


static ngx_int_t ngx_iclock_decode_base64_text(u_char *d, u_char *s,
    size_t len);
static size_t ngx_iclock_utf8_sequence(u_char *p, u_char *last);
static ngx_int_t ngx_iclock_set_time(u_char *digits, int64_t *time);


static const u_char  ngx_iclock_base64[] = {
    XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX,
    XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX,
    XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, 62, XX, XX, XX, 63,
    52, 53, 54, 55, 56, 57, 58, 59, 60, 61, XX, XX, XX, XX, XX, XX,
    XX,  0,  1,  2,  3,  4,  5,  6,  7,  8,  9, 10, 11, 12, 13, 14,
    15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, XX, XX, XX, XX, XX,
    XX, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40,
    41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, XX, XX, XX, XX, XX,
    XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX,
    XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX,
    XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX,
    XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX,
    XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX,
    XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX,
    XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX,
    XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX
};


ngx_uint_t
ngx_iclock_valid_text(ngx_str_t *text)
{
    size_t   n;
    u_char  *p, *last;

    p = text->data;
    last = p + text->len;

    while (p < last) {

        if (*p < 0x80) {
            if (*p++ == '\0') {
                return 0;
            }

            continue;
        }

        n = ngx_iclock_utf8_sequence(p, last);
        if (n == 0) {
            return 0;
        }

        p += n;
    }

    return 1;
}


/* the length of a sequence of more than one byte, 0 if it is not valid */

static size_t
ngx_iclock_utf8_sequence(u_char *p, u_char *last)
{
    size_t  n, i;
    u_char  low, high;

    low = 0x80;
    high = 0xbf;

    if (*p >= 0xc2 && *p <= 0xdf) {
        n = 2;

    } else if (*p >= 0xe0 && *p <= 0xef) {
        n = 3;

        if (*p == 0xe0) {
            /* a shorter form exists */
            low = 0xa0;

        } else if (*p == 0xed) {
            /* surrogates */
            high = 0x9f;
        }

    } else if (*p >= 0xf0 && *p <= 0xf4) {
        n = 4;

        if (*p == 0xf0) {
            low = 0x90;

        } else if (*p == 0xf4) {
            /* above U+10FFFF */
            high = 0x8f;
        }

    } else {
        return 0;
    }

    if ((size_t) (last - p) < n || p[1] < low || p[1] > high) {
        return 0;
    }

    for (i = 2; i < n; i++) {
        if ((p[i] & 0xc0) != 0x80) {
            return 0;
        }
    }

    return n;
}


void
ngx_iclock_trim(ngx_str_t *text)
{
    while (text->len && (text->data[0] == ' ' || text->data[0] == '\t')) {
        text->data++;
        text->len--;
    }

    while (text->len
           && (text->data[text->len - 1] == ' '
               || text->data[text->len - 1] == '\t'
               || text->data[text->len - 1] == '\r'))
    {
        text->len--;
    }
}


ngx_uint_t
ngx_iclock_digits(u_char *p, u_char *last)
{
    ngx_uint_t  n;

    for (n = 0; p < last && *p >= '0' && *p <= '9'; p++) {
        n++;
    }

    return n;
}


ngx_int_t
ngx_iclock_parse_number(ngx_str_t *text, int64_t *number)
{
    u_char      *p, *last;
    int64_t      value;
    ngx_str_t    s;
    ngx_uint_t   minus, n;

    s = *text;
    ngx_iclock_trim(&s);

    p = s.data;
    last = p + s.len;
    minus = 0;

    if (p < last && (*p == '-' || *p == '+')) {
        minus = (*p++ == '-');
    }

    n = ngx_iclock_digits(p, last);

    if (n == 0 || p + n != last) {
        return NGX_DECLINED;
    }

    while (p < last && *p == '0') {
        p++;
    }

    if (last - p > NGX_ICLOCK_MAX_DIGITS) {
        return NGX_ABORT;
    }

    for (value = 0; p < last; p++) {
        value = value * 10 + (*p - '0');
    }

    if (minus) {
        value = -value;
    }

    if (value < -2147483647 - 1 || value > 2147483647) {
        return NGX_ABORT;
    }

    *number = value;

    return NGX_OK;
}


ngx_int_t
ngx_iclock_parse_time(ngx_str_t *text, int64_t *time)
{
    u_char      *p, *last, *mask, digits[14];
    ngx_str_t    s;
    ngx_uint_t   n;

    s = *text;
    ngx_iclock_trim(&s);

    p = s.data;
    last = p + s.len;
    n = 0;

    for (mask = (u_char *) "dddd-dd-dd dd:dd:dd"; *mask; mask++) {

        if (p == last) {
            return NGX_DECLINED;
        }

        switch (*mask) {

        case 'd':
            if (*p < '0' || *p > '9') {
                return NGX_DECLINED;
            }

            digits[n++] = *p++;
            break;

        case ' ':
            if (*p == 'T') {
                p++;
                break;
            }

            if (*p != ' ') {
                return NGX_DECLINED;
            }

            while (p < last && *p == ' ') {
                p++;
            }

            break;

        default:
            if (*p++ != *mask) {
                return NGX_DECLINED;
            }
        }
    }

    if (p != last) {
        return NGX_DECLINED;
    }

    return ngx_iclock_set_time(digits, time);
}


ngx_int_t
ngx_iclock_parse_compact_time(ngx_str_t *text, int64_t *time)
{
    u_char  *last;

    last = text->data + text->len;

    if (text->len != 14 || ngx_iclock_digits(text->data, last) != 14) {
        return NGX_DECLINED;
    }

    return ngx_iclock_set_time(text->data, time);
}


/* fourteen digits, from the year to the second */

static ngx_int_t
ngx_iclock_set_time(u_char *digits, int64_t *time)
{
    int64_t     days;
    ngx_int_t   year, month, day, hour, min, sec, leap;

    static const ngx_int_t  length[] = {
        31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31
    };

    year = ngx_atoi(digits, 4);
    month = ngx_atoi(digits + 4, 2);
    day = ngx_atoi(digits + 6, 2);
    hour = ngx_atoi(digits + 8, 2);
    min = ngx_atoi(digits + 10, 2);
    sec = ngx_atoi(digits + 12, 2);

    if (year < 1 || month < 1 || month > 12 || day < 1) {
        return NGX_DECLINED;
    }

    leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

    if (day > length[month - 1] + (month == 2 && leap)) {
        return NGX_DECLINED;
    }

    if (hour > 23 || min > 59 || sec > 59) {
        return NGX_DECLINED;
    }

    /* the year begins in March, so that a leap day comes last (Gauss) */

    if (month <= 2) {
        month += 12;
        year--;
    }

    days = (int64_t) year * 365 + year / 4 - year / 100 + year / 400
           + (153 * (month - 3) + 2) / 5 + day - 1;

    /* 730425 days from 0000-03-01 to 2000-01-01 */

    *time = (((days - 730425) * 24 + hour) * 60 + min) * 60 + sec;
    *time *= 1000000;

    return NGX_OK;
}


ngx_int_t
ngx_iclock_decode_base64(ngx_str_t *dst, ngx_str_t *src, ngx_pool_t *pool)
{
    size_t      i;
    ngx_str_t   s;

    s = *src;

    for (i = 0; i < 2 && s.len && s.data[s.len - 1] == '='; i++) {
        s.len--;
    }

    if (s.len % 4 == 1) {
        return NGX_DECLINED;
    }

    dst->data = ngx_pnalloc(pool, ngx_base64_decoded_length(s.len) + 1);
    if (dst->data == NULL) {
        return NGX_ERROR;
    }

    dst->len = s.len / 4 * 3 + (s.len % 4 ? s.len % 4 - 1 : 0);

    if (ngx_iclock_decode_base64_text(dst->data, s.data, s.len) != NGX_OK) {
        (void) ngx_pfree(pool, dst->data);
        return NGX_DECLINED;
    }

    return NGX_OK;
}


/*
 * Photos have megabytes, and everybody waits for them: nginx's own decoder
 * looks at each character twice.
 */

static ngx_int_t
ngx_iclock_decode_base64_text(u_char *d, u_char *s, size_t len)
{
    u_char    bad;
    uint32_t  a, b, c, e;

    bad = 0;

    for ( /* void */ ; len > 3; len -= 4) {
        a = ngx_iclock_base64[s[0]];
        b = ngx_iclock_base64[s[1]];
        c = ngx_iclock_base64[s[2]];
        e = ngx_iclock_base64[s[3]];

        bad |= a | b | c | e;
        a = a << 18 | b << 12 | c << 6 | e;

        d[0] = (u_char) (a >> 16);
        d[1] = (u_char) (a >> 8);
        d[2] = (u_char) a;

        d += 3;
        s += 4;
    }

    if (len > 1) {
        a = ngx_iclock_base64[s[0]];
        b = ngx_iclock_base64[s[1]];
        c = (len > 2) ? ngx_iclock_base64[s[2]] : 0;

        bad |= a | b | c;

        *d++ = (u_char) (a << 2 | b >> 4);

        if (len > 2) {
            *d = (u_char) (b << 4 | c >> 2);
        }
    }

    return (bad & XX) ? NGX_DECLINED : NGX_OK;
}
