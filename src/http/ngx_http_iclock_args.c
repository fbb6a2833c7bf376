
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


#include "ngx_http_iclock.h"


typedef struct {
    ngx_str_t  name;
    size_t     offset;
} ngx_http_iclock_arg_t;


static ngx_int_t ngx_http_iclock_parse_arg(ngx_http_request_t *r,
    ngx_http_iclock_args_t *args, u_char *name, u_char *end);
static ngx_uint_t ngx_http_iclock_keyless(u_char *start, u_char *last);
static u_char ngx_http_iclock_next_char(u_char **p, u_char *last);
static ngx_uint_t ngx_http_iclock_key_ends(u_char *p, u_char *last);
static ngx_uint_t ngx_http_iclock_quoted(u_char *p, u_char *last);
static const ngx_http_iclock_arg_t *ngx_http_iclock_find_arg(u_char *name,
    size_t len);
static ngx_uint_t ngx_http_iclock_usual(u_char *p, u_char *end,
    ngx_uint_t plus);
static ngx_int_t ngx_http_iclock_unescape(ngx_pool_t *pool, ngx_str_t *value,
    u_char *p, u_char *end, ngx_uint_t plus);
static ngx_uint_t ngx_http_iclock_plain(ngx_str_t *value);


/* what names of arguments begin or end with: " ", "%", "&", "=", "?" */
#define ngx_http_iclock_parts(c)                                             \
    ((c) >= 0x20 && (c) < 0x40                                               \
     && (((uint32_t) 0xa0000061 >> ((c) - 0x20)) & 1))


/* what names of keys end with, those that ngx_http_iclock_is_key() knows */
#define ngx_http_iclock_key_letter(c)                                        \
    ((c) == 'y' || (c) == 'Y' || (c) == 'n')


/* names in any case: firmware disagrees on it */

#define ngx_http_iclock_arg(name, field)                                     \
    { ngx_string(name), offsetof(ngx_http_iclock_args_t, field) }

static const ngx_http_iclock_arg_t  ngx_http_iclock_arg_names[] = {
    ngx_http_iclock_arg("SN", sn),
    ngx_http_iclock_arg("options", options),
    ngx_http_iclock_arg("table", table),
    ngx_http_iclock_arg("type", type),
    ngx_http_iclock_arg("Stamp", stamp),
    ngx_http_iclock_arg("OpStamp", op_stamp),
    ngx_http_iclock_arg("PhotoStamp", photo_stamp),
    ngx_http_iclock_arg("ContentType", content_type),
    ngx_http_iclock_arg("INFO", info),
    ngx_http_iclock_arg("pushver", push_version),
    ngx_http_iclock_arg("language", language),
    ngx_http_iclock_arg("pushcommkey", comm_key),
    ngx_http_iclock_arg("ComKey", comm_key),
    ngx_http_iclock_arg("PIN", pin),
    ngx_http_iclock_arg("time", time),
    ngx_http_iclock_arg("ID", id),
    ngx_http_iclock_arg("Return", return_code),
    ngx_http_iclock_arg("ServiceNum", service),
    ngx_http_iclock_arg("url", url),
    { ngx_null_string, 0 }
};


ngx_int_t
ngx_http_iclock_parse_args(ngx_http_request_t *r,
    ngx_http_iclock_args_t *args)
{
    u_char  *p, *last, *end;

    last = r->args.data + r->args.len;

    for (p = r->args.data; p < last; p = end + 1) {

        end = memchr(p, '&', last - p);
        if (end == NULL) {
            end = last;
        }

        if (ngx_http_iclock_parse_arg(r, args, p, end) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


ngx_uint_t
ngx_http_iclock_mask_keys(u_char *start, u_char *last, ngx_uint_t bare,
    ngx_uint_t write)
{
    u_char      *p, *name, *mark;
    ngx_uint_t   found;

    if (ngx_http_iclock_keyless(start, last)) {
        return 0;
    }

    found = 0;
    name = bare ? start : NULL;

    for (p = start; p < last; p++) {

        if (!ngx_http_iclock_parts(*p)) {
            continue;
        }

        mark = p;

        switch (ngx_http_iclock_next_char(&p, last)) {

        case '?':
        case '&':
            name = p + 1;
            break;

        case '=':

            if (name == NULL || !ngx_http_iclock_is_key(name, mark - name)) {
                name = NULL;
                break;
            }

            found = 1;
            name = NULL;

            /* what is in a key may have been sent as it is, spaces, too */

            while (p + 1 < last && !ngx_http_iclock_key_ends(p + 1, last)) {
                p++;

                if (write) {
                    *p = '*';
                }
            }

            break;

        case ' ':
            name = NULL;
            break;

        default:
            break;
        }
    }

    return found;
}


/*
 * Whether it has no name of a key for certain.  So it is with most of what is
 * logged, and the C library looks for a character faster than a loop does.
 */

static ngx_uint_t
ngx_http_iclock_keyless(u_char *start, u_char *last)
{
    u_char  *p;

    if (start == last) {
        return 1;
    }

    /* what stands around names may be escaped */

    if (memchr(start, '%', last - start)) {
        return 0;
    }

    for (p = start; /* void */ ; p++) {

        p = memchr(p, '=', last - p);

        if (p == NULL) {
            return 1;
        }

        if (p > start && ngx_http_iclock_key_letter(p[-1])) {
            return 0;
        }
    }
}


/* a character that may be escaped, of which *p becomes the last one */

static u_char
ngx_http_iclock_next_char(u_char **p, u_char *last)
{
    ngx_int_t  c;

    if (**p != '%' || last - *p < 3) {
        return **p;
    }

    c = ngx_hextoi(*p + 1, 2);

    if (c != '?' && c != '&' && c != '=') {
        return '%';
    }

    *p += 2;

    return (u_char) c;
}


static ngx_uint_t
ngx_http_iclock_key_ends(u_char *p, u_char *last)
{
    if (*p == '&' || ngx_http_iclock_quoted(p, last)) {
        return 1;
    }

    if (last - p < 9 || ngx_strncmp(p, " HTTP/", 6) != 0) {
        return 0;
    }

    p += sizeof(" HTTP/1.1") - 1;

    return p == last || ngx_http_iclock_quoted(p, last);
}


/* the end of what a line of the error log quotes; a key may hold quotes */

static ngx_uint_t
ngx_http_iclock_quoted(u_char *p, u_char *last)
{
    if (*p++ != '"') {
        return 0;
    }

    if (p == last) {
        return 1;
    }

    /* as in: ", host: "localhost" */

    if (last - p < 2 || p[0] != ',' || p[1] != ' ') {
        return 0;
    }

    for (p += 2; p < last; p++) {
        if (*p < 'a' || *p > 'z') {
            break;
        }
    }

    return last - p > 2 && ngx_strncmp(p, ": \"", 3) == 0;
}


ngx_uint_t
ngx_http_iclock_is_key(u_char *name, size_t len)
{
    const ngx_http_iclock_arg_t  *arg;

    if (len == 5 && ngx_strncmp(name, "token", 5) == 0) {
        return 1;
    }

    arg = ngx_http_iclock_find_arg(name, len);

    return arg && arg->offset == offsetof(ngx_http_iclock_args_t, comm_key);
}


static ngx_int_t
ngx_http_iclock_parse_arg(ngx_http_request_t *r, ngx_http_iclock_args_t *args,
    u_char *name, u_char *end)
{
    u_char                       *p;
    ngx_str_t                    *value;
    ngx_uint_t                    plus;
    const ngx_http_iclock_arg_t  *arg;

    p = ngx_strlchr(name, end, '=');

    if (p == NULL) {
        return NGX_OK;
    }

    arg = ngx_http_iclock_find_arg(name, p - name);

    if (arg == NULL) {
        return NGX_OK;
    }

    value = (ngx_str_t *) ((u_char *) args + arg->offset);

    if (value->len) {
        /* an argument may be repeated, the first one counts */
        return NGX_OK;
    }

    /*
     * Some hold spaces and never a plus, which keys may hold.  So do stamps,
     * unless they are times with a zone, "2026-01-02T03:04:05+08:00".
     */

    plus = (value == &args->info || value == &args->table
            || value == &args->time
            || ((value == &args->stamp || value == &args->op_stamp
                 || value == &args->photo_stamp)
                && ngx_strlchr(p, end, 'T') == NULL));

    /* what is logged has asterisks in place of the key: that is a copy */

    if (value != &args->comm_key && ngx_http_iclock_usual(p + 1, end, plus)) {
        value->data = p + 1;
        value->len = end - value->data;
        return NGX_OK;
    }

    return ngx_http_iclock_unescape(r->pool, value, p + 1, end, plus);
}


static const ngx_http_iclock_arg_t *
ngx_http_iclock_find_arg(u_char *name, size_t len)
{
    const ngx_http_iclock_arg_t  *arg;

    for (arg = ngx_http_iclock_arg_names; arg->name.len; arg++) {

        if (arg->name.len == len
            && ngx_strncasecmp(arg->name.data, name, len) == 0)
        {
            return arg;
        }
    }

    return NULL;
}


/* text that stands in the URI as it is: nginx keeps that with the request */

static ngx_uint_t
ngx_http_iclock_usual(u_char *p, u_char *end, ngx_uint_t plus)
{
    for ( /* void */ ; p < end; p++) {

        if (*p < ' ' || *p > '~' || *p == '%' || (*p == '+' && plus)) {
            return 0;
        }
    }

    return 1;
}


static ngx_int_t
ngx_http_iclock_unescape(ngx_pool_t *pool, ngx_str_t *value, u_char *p,
    u_char *end, ngx_uint_t plus)
{
    u_char  *dst, *src;

    value->data = ngx_pnalloc(pool, end - p + 1);
    if (value->data == NULL) {
        return NGX_ERROR;
    }

    for (dst = value->data; p < end; p++) {
        *dst++ = (plus && *p == '+') ? ' ' : *p;
    }

    end = dst;
    src = value->data;
    dst = value->data;

    ngx_unescape_uri(&dst, &src, end - src, 0);

    value->len = dst - value->data;

    /* what cannot be text was not sent */

    if (!ngx_http_iclock_plain(value)) {
        value->len = 0;
    }

    return NGX_OK;
}


static ngx_uint_t
ngx_http_iclock_plain(ngx_str_t *value)
{
    size_t  i;

    for (i = 0; i < value->len; i++) {
        if (value->data[i] < ' ' || value->data[i] == 0x7f) {
            return 0;
        }
    }

    return ngx_iclock_valid_text(value);
}
