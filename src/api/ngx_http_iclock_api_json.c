
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


#include "ngx_http_iclock_api_json.h"

#include "iclock_store_query.h"


typedef enum {
    NGX_HTTP_ICLOCK_API_VALUE = 0,      /* begins */
    NGX_HTTP_ICLOCK_API_FIRST,          /* value of an array, or its end */
    NGX_HTTP_ICLOCK_API_NAME,           /* of an object */
    NGX_HTTP_ICLOCK_API_FIRST_NAME,     /* or its end */
    NGX_HTTP_ICLOCK_API_NEXT            /* a value has ended */
} ngx_http_iclock_api_state_e;


/* a reading of a text */
typedef struct {
    u_char                     *p;
    u_char                     *last;
    const char                 *error;
    ngx_uint_t                  state;
    ngx_uint_t                  depth;
    u_char                      open[NGX_HTTP_ICLOCK_API_JSON_DEPTH];
} ngx_http_iclock_api_reading_t;


static ngx_int_t ngx_http_iclock_api_json_step(
    ngx_http_iclock_api_reading_t *in);
static ngx_int_t ngx_http_iclock_api_json_value(
    ngx_http_iclock_api_reading_t *in);
static ngx_int_t ngx_http_iclock_api_json_enter(
    ngx_http_iclock_api_reading_t *in);
static ngx_int_t ngx_http_iclock_api_json_leave(
    ngx_http_iclock_api_reading_t *in);
static ngx_int_t ngx_http_iclock_api_json_name(
    ngx_http_iclock_api_reading_t *in);
static ngx_int_t ngx_http_iclock_api_json_string(
    ngx_http_iclock_api_reading_t *in);
static ngx_int_t ngx_http_iclock_api_json_unicode(
    ngx_http_iclock_api_reading_t *in);
static ngx_int_t ngx_http_iclock_api_json_word(
    ngx_http_iclock_api_reading_t *in);
static ngx_int_t ngx_http_iclock_api_json_number(
    ngx_http_iclock_api_reading_t *in);
static u_char *ngx_http_iclock_api_json_digits(
    ngx_http_iclock_api_reading_t *in);
static u_char *ngx_http_iclock_api_json_blanks(u_char *p, u_char *last);
static u_char *ngx_http_iclock_api_json_skip(u_char *p, u_char *last);
static u_char *ngx_http_iclock_api_json_unescape(u_char *dst, u_char **src,
    u_char *last);


#define ngx_http_iclock_api_blank(c)                                         \
    ((c) == ' ' || (c) == '\n' || (c) == '\r' || (c) == '\t')


ngx_int_t
ngx_http_iclock_api_json_check(ngx_str_t *text, const char **error,
    size_t *at)
{
    ngx_int_t                      rc;
    ngx_http_iclock_api_reading_t  in;

    ngx_memzero(&in, sizeof(ngx_http_iclock_api_reading_t));

    in.p = ngx_http_iclock_api_json_blanks(text->data,
                                           text->data + text->len);
    in.last = text->data + text->len;
    in.error = "not JSON";

    if (!ngx_iclock_valid_text(text)) {
        in.error = "not UTF-8 without NUL";
        in.p = text->data;
        rc = NGX_DECLINED;

    } else if (in.p == in.last || *in.p != '{') {
        in.error = "not an object";
        rc = NGX_DECLINED;

    } else {
        do {
            rc = ngx_http_iclock_api_json_step(&in);
            in.p = ngx_http_iclock_api_json_blanks(in.p, in.last);
        } while (rc == NGX_OK && in.depth);

        if (rc == NGX_OK && in.p != in.last) {
            rc = NGX_DECLINED;
        }
    }

    *error = in.error;
    *at = in.p - text->data;

    return rc;
}


static ngx_int_t
ngx_http_iclock_api_json_step(ngx_http_iclock_api_reading_t *in)
{
    if (in->p == in->last) {
        in->error = "not complete";
        return NGX_DECLINED;
    }

    switch (in->state) {

    case NGX_HTTP_ICLOCK_API_FIRST:
        if (*in->p == ']') {
            return ngx_http_iclock_api_json_leave(in);
        }

        return ngx_http_iclock_api_json_value(in);

    case NGX_HTTP_ICLOCK_API_FIRST_NAME:
        if (*in->p == '}') {
            return ngx_http_iclock_api_json_leave(in);
        }

        return ngx_http_iclock_api_json_name(in);

    case NGX_HTTP_ICLOCK_API_NAME:
        return ngx_http_iclock_api_json_name(in);

    case NGX_HTTP_ICLOCK_API_NEXT:
        if (*in->p == ',') {
            in->p++;
            in->state = (in->open[in->depth - 1] == '}')
                        ? NGX_HTTP_ICLOCK_API_NAME
                        : NGX_HTTP_ICLOCK_API_VALUE;
            return NGX_OK;
        }

        if (*in->p == in->open[in->depth - 1]) {
            return ngx_http_iclock_api_json_leave(in);
        }

        return NGX_DECLINED;

    default: /* NGX_HTTP_ICLOCK_API_VALUE */
        return ngx_http_iclock_api_json_value(in);
    }
}


static ngx_int_t
ngx_http_iclock_api_json_value(ngx_http_iclock_api_reading_t *in)
{
    in->state = NGX_HTTP_ICLOCK_API_NEXT;

    switch (*in->p) {

    case '{':
    case '[':
        return ngx_http_iclock_api_json_enter(in);

    case '"':
        return ngx_http_iclock_api_json_string(in);

    case 't':
    case 'f':
    case 'n':
        return ngx_http_iclock_api_json_word(in);

    default:
        return ngx_http_iclock_api_json_number(in);
    }
}


static ngx_int_t
ngx_http_iclock_api_json_enter(ngx_http_iclock_api_reading_t *in)
{
    if (in->depth == NGX_HTTP_ICLOCK_API_JSON_DEPTH) {
        in->error = "too deep";
        return NGX_DECLINED;
    }

    if (*in->p == '{') {
        in->open[in->depth++] = '}';
        in->state = NGX_HTTP_ICLOCK_API_FIRST_NAME;

    } else {
        in->open[in->depth++] = ']';
        in->state = NGX_HTTP_ICLOCK_API_FIRST;
    }

    in->p++;

    return NGX_OK;
}


static ngx_int_t
ngx_http_iclock_api_json_leave(ngx_http_iclock_api_reading_t *in)
{
    in->p++;
    in->depth--;
    in->state = NGX_HTTP_ICLOCK_API_NEXT;

    return NGX_OK;
}


static ngx_int_t
ngx_http_iclock_api_json_name(ngx_http_iclock_api_reading_t *in)
{
    if (*in->p != '"' || ngx_http_iclock_api_json_string(in) != NGX_OK) {
        return NGX_DECLINED;
    }

    in->p = ngx_http_iclock_api_json_blanks(in->p, in->last);

    if (in->p == in->last || *in->p != ':') {
        return NGX_DECLINED;
    }

    in->p++;
    in->state = NGX_HTTP_ICLOCK_API_VALUE;

    return NGX_OK;
}


static ngx_int_t
ngx_http_iclock_api_json_string(ngx_http_iclock_api_reading_t *in)
{
    for (in->p++; in->p < in->last; in->p++) {

        if (*in->p == '"') {
            in->p++;
            return NGX_OK;
        }

        if (*in->p < 0x20) {
            in->error = "a control character in a string";
            return NGX_DECLINED;
        }

        if (*in->p != '\\') {
            continue;
        }

        if (++in->p == in->last) {
            break;
        }

        if (*in->p == 'u') {
            if (ngx_http_iclock_api_json_unicode(in) != NGX_OK) {
                return NGX_DECLINED;
            }

        } else if (ngx_strchr("\"\\/bfnrt", *in->p) == NULL) {
            return NGX_DECLINED;
        }
    }

    in->error = "not complete";

    return NGX_DECLINED;
}


/* at the "u" of an escape; leaves p at its last digit */

static ngx_int_t
ngx_http_iclock_api_json_unicode(ngx_http_iclock_api_reading_t *in)
{
    ngx_int_t  n, low;

    if (in->last - in->p < 5) {
        return NGX_DECLINED;
    }

    n = ngx_hextoi(in->p + 1, 4);

    if (n == NGX_ERROR) {
        return NGX_DECLINED;
    }

    if (n == 0) {
        in->error = "\\u0000 is no text";
        return NGX_DECLINED;
    }

    in->p += 4;

    if (n < 0xd800 || n > 0xdfff) {
        return NGX_OK;
    }

    in->error = "half of a surrogate pair";

    if (n > 0xdbff || in->last - in->p < 7
        || in->p[1] != '\\' || in->p[2] != 'u')
    {
        return NGX_DECLINED;
    }

    low = ngx_hextoi(in->p + 3, 4);

    if (low < 0xdc00 || low > 0xdfff) {
        return NGX_DECLINED;
    }

    in->p += 6;

    return NGX_OK;
}


static ngx_int_t
ngx_http_iclock_api_json_word(ngx_http_iclock_api_reading_t *in)
{
    ngx_uint_t  i;

    static const ngx_str_t  words[] = {
        ngx_string("true"),
        ngx_string("false"),
        ngx_string("null")
    };

    for (i = 0; i < 3; i++) {

        if ((size_t) (in->last - in->p) >= words[i].len
            && ngx_strncmp(in->p, words[i].data, words[i].len) == 0)
        {
            in->p += words[i].len;
            return NGX_OK;
        }
    }

    return NGX_DECLINED;
}


static ngx_int_t
ngx_http_iclock_api_json_number(ngx_http_iclock_api_reading_t *in)
{
    u_char  *p;

    if (*in->p == '-') {
        in->p++;
    }

    p = in->p;

    if (ngx_http_iclock_api_json_digits(in) == p
        || (*p == '0' && in->p - p > 1))
    {
        return NGX_DECLINED;
    }

    if (in->p < in->last && *in->p == '.') {
        p = ++in->p;

        if (ngx_http_iclock_api_json_digits(in) == p) {
            return NGX_DECLINED;
        }
    }

    if (in->p < in->last && (*in->p | 0x20) == 'e') {
        in->p++;

        if (in->p < in->last && (*in->p == '+' || *in->p == '-')) {
            in->p++;
        }

        p = in->p;

        if (ngx_http_iclock_api_json_digits(in) == p) {
            return NGX_DECLINED;
        }
    }

    return NGX_OK;
}


static u_char *
ngx_http_iclock_api_json_digits(ngx_http_iclock_api_reading_t *in)
{
    while (in->p < in->last && *in->p >= '0' && *in->p <= '9') {
        in->p++;
    }

    return in->p;
}


static u_char *
ngx_http_iclock_api_json_blanks(u_char *p, u_char *last)
{
    while (p < last && ngx_http_iclock_api_blank(*p)) {
        p++;
    }

    return p;
}


void
ngx_http_iclock_api_json_compact(ngx_str_t *text)
{
    u_char      *src, *dst, *last;
    ngx_uint_t   quoted;

    src = text->data;
    last = src + text->len;
    quoted = 0;

    for (dst = src; src < last; src++) {

        if (quoted) {
            if (*src == '\\' && src + 1 < last) {
                *dst++ = *src++;

            } else if (*src == '"') {
                quoted = 0;
            }

        } else if (ngx_http_iclock_api_blank(*src)) {
            continue;

        } else if (*src == '"') {
            quoted = 1;
        }

        *dst++ = *src;
    }

    text->len = dst - text->data;
}


ngx_int_t
ngx_http_iclock_api_json_next(ngx_str_t *object, u_char **p, ngx_str_t *name,
    ngx_str_t *value)
{
    u_char  *s, *last;

    s = *p ? *p : object->data;
    last = object->data + object->len;

    while (s < last && *s != '"') {

        if (*s == '}' || (*p == NULL && *s != '{' && *s != ' ')) {
            return NGX_DONE;
        }

        s++;
    }

    if (s == last) {
        return NGX_DONE;
    }

    name->data = s + 1;
    s = ngx_http_iclock_api_json_skip(s, last);
    name->len = s - name->data - 1;

    while (s < last && (*s == ':' || ngx_http_iclock_api_blank(*s))) {
        s++;
    }

    value->data = s;
    s = ngx_http_iclock_api_json_skip(s, last);
    value->len = s - value->data;

    *p = s;

    return NGX_OK;
}


/* behind the value that begins here */

static u_char *
ngx_http_iclock_api_json_skip(u_char *p, u_char *last)
{
    ngx_uint_t  depth, quoted;

    depth = 0;
    quoted = 0;

    for ( /* void */ ; p < last; p++) {

        if (quoted) {
            if (*p == '\\') {
                p++;

            } else if (*p == '"') {
                quoted = 0;

                if (depth == 0) {
                    return p + 1;
                }
            }

            continue;
        }

        switch (*p) {

        case '"':
            quoted = 1;
            break;

        case '{':
        case '[':
            depth++;
            break;

        case '}':
        case ']':
            if (depth == 0) {
                return p;
            }

            if (--depth == 0) {
                return p + 1;
            }

            break;

        default:
            if (depth == 0 && (*p == ',' || ngx_http_iclock_api_blank(*p))) {
                return p;
            }
        }
    }

    return last;
}


ngx_int_t
ngx_http_iclock_api_json_member(ngx_str_t *object, const char *name,
    ngx_str_t *value)
{
    size_t     len;
    u_char    *p;
    ngx_str_t  found;

    p = NULL;
    len = ngx_strlen(name);

    while (object->data
           && ngx_http_iclock_api_json_next(object, &p, &found, value)
              == NGX_OK)
    {
        if (found.len == len && ngx_strncmp(found.data, name, len) == 0) {

            return (value->len == 4
                    && ngx_strncmp(value->data, "null", 4) == 0)
                   ? NGX_DECLINED : NGX_OK;
        }
    }

    ngx_str_null(value);

    return NGX_DECLINED;
}


ngx_int_t
ngx_http_iclock_api_json_text(ngx_pool_t *pool, ngx_str_t *value,
    ngx_str_t *text)
{
    u_char  *p, *dst, *last;

    if (value->len < 2 || value->data[0] != '"') {
        return NGX_DECLINED;
    }

    p = value->data + 1;
    last = value->data + value->len - 1;

    text->data = ngx_pnalloc(pool, value->len);
    if (text->data == NULL) {
        return NGX_ERROR;
    }

    for (dst = text->data; p < last; /* void */ ) {

        if (*p == '\\' && p + 1 < last) {
            dst = ngx_http_iclock_api_json_unescape(dst, &p, last);

        } else {
            *dst++ = *p++;
        }
    }

    text->len = dst - text->data;

    return NGX_OK;
}


/* PostgreSQL writes all but controls as they are: \u is one of those */

static u_char *
ngx_http_iclock_api_json_unescape(u_char *dst, u_char **src, u_char *last)
{
    char      *at;
    u_char    *p;
    ngx_int_t  n;

    static const char  names[] = "bfnrt";
    static const char  means[] = "\b\f\n\r\t";

    p = *src + 1;

    if (*p == 'u' && last - p > 4) {
        n = ngx_hextoi(p + 1, 4);
        *dst++ = (n > 0 && n < 0x80) ? (u_char) n : '?';
        *src = p + 5;
        return dst;
    }

    at = ngx_strchr(names, *p);
    *dst++ = at ? (u_char) means[at - names] : *p;
    *src = p + 1;

    return dst;
}
