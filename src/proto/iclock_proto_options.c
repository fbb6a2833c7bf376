
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


/*
 * What devices tell of themselves: table=options (attendance PUSH 2.4.1,
 * section 8), the INFO argument of a poll (section 9) and the reply to an
 * INFO command (section 12.4.3).
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include "iclock_proto.h"
#include "iclock_proto_private.h"


#define NGX_ICLOCK_INFO_VALUES      13

/* push SDK 3.2.0 sends nine values, without the faces required */
#define NGX_ICLOCK_SDK_INFO_VALUES  9
#define NGX_ICLOCK_FACES_REQUIRED   7

#define ngx_iclock_info_tag(name)                                            \
    { ngx_string(name), NGX_ICLOCK_OPTION, ngx_iclock_parse_info, NULL,      \
      ngx_null_string, 0, 0 }


static void ngx_iclock_next_option(ngx_str_t *text, ngx_str_t *option,
    ngx_uint_t commas);
static u_char *ngx_iclock_option_end(u_char *p, u_char *last,
    ngx_uint_t commas);
static ngx_int_t ngx_iclock_push_option(ngx_iclock_upload_t *upload,
    ngx_str_t *option);
static ngx_uint_t ngx_iclock_count_values(ngx_str_t *info);
static ngx_int_t ngx_iclock_parse_info(ngx_iclock_reading_t *r,
    const ngx_iclock_item_t *item);
static ngx_int_t ngx_iclock_read_option(ngx_iclock_reading_t *r,
    ngx_str_t *name, ngx_str_t *value);


/* the values of INFO in their order, by the names that options give them */

static const ngx_iclock_tag_t  ngx_iclock_info_tags[] = {
    ngx_iclock_info_tag("FWVersion"),
    ngx_iclock_info_tag("UserCount"),
    ngx_iclock_info_tag("FPCount"),
    ngx_iclock_info_tag("TransactionCount"),
    ngx_iclock_info_tag("IPAddress"),
    ngx_iclock_info_tag("FPVersion"),
    ngx_iclock_info_tag("FaceVersion"),
    ngx_iclock_info_tag("FaceMinCount"),
    ngx_iclock_info_tag("FaceCount"),
    ngx_iclock_info_tag("FunctionFlags"),
    ngx_iclock_info_tag("Info11"),
    ngx_iclock_info_tag("Info12"),
    ngx_iclock_info_tag("Info13")
};


const ngx_iclock_tag_t  ngx_iclock_option_tag = {
    ngx_null_string, NGX_ICLOCK_OPTION, ngx_iclock_parse_option,
    NULL, ngx_null_string, 0, 0
};

static const ngx_iclock_tag_t  ngx_iclock_not_option_tag =
    ngx_iclock_rejected_tag("not an option");


static const ngx_iclock_key_t  ngx_iclock_option_name_key =
    ngx_iclock_column_key(NGX_ICLOCK_OPTION_NAME, ngx_iclock_read_word,
                          NGX_ICLOCK_STRICT);

/* an option without a value is of no use */

static const ngx_iclock_key_t  ngx_iclock_option_value_key =
    ngx_iclock_column_key(NGX_ICLOCK_OPTION_VALUE, ngx_iclock_read_text,
                          NGX_ICLOCK_STRICT);


ngx_int_t
ngx_iclock_count_options(ngx_str_t *rest, ngx_uint_t *n)
{
    size_t      size;
    ngx_str_t   option;
    ngx_uint_t  i;

    size = rest->len;

    for (i = 0; ngx_iclock_step_goes_on(i, size - rest->len); i++) {

        if (rest->len == 0) {
            return NGX_OK;
        }

        ngx_iclock_next_option(rest, &option, 1);

        if (!ngx_iclock_blank(&option)) {
            (*n)++;
        }
    }

    return NGX_AGAIN;
}


ngx_int_t
ngx_iclock_split_options(ngx_iclock_upload_t *upload, ngx_str_t *body,
    const ngx_iclock_tag_t *tag)
{
    size_t      size;
    ngx_str_t   option;
    ngx_uint_t  i;

    size = body->len;

    for (i = 0; ngx_iclock_step_goes_on(i, size - body->len); i++) {

        if (body->len == 0) {
            return NGX_OK;
        }

        ngx_iclock_next_option(body, &option, 1);

        if (ngx_iclock_push_option(upload, &option) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    return NGX_AGAIN;
}


ngx_int_t
ngx_iclock_push_options(ngx_iclock_upload_t *upload, ngx_str_t *text,
    ngx_uint_t commas)
{
    ngx_str_t  rest, option;

    rest = *text;

    while (rest.len) {
        ngx_iclock_next_option(&rest, &option, commas);

        if (ngx_iclock_push_option(upload, &option) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


/* takes it off the text, without what may follow it; it may be blank */

static void
ngx_iclock_next_option(ngx_str_t *text, ngx_str_t *option, ngx_uint_t commas)
{
    u_char  *start, *last, *end;

    start = text->data;
    last = start + text->len;
    end = ngx_iclock_option_end(start, last, commas);

    text->data = (end == last) ? last : end + 1;
    text->len = last - text->data;

    while (end > start
           && (end[-1] == '\0' || end[-1] == CR || end[-1] == ' '))
    {
        end--;
    }

    option->data = start;
    option->len = end - start;
}


/* commas occur in values, so one separates only if an option follows it */

static u_char *
ngx_iclock_option_end(u_char *p, u_char *last, ngx_uint_t commas)
{
    for ( /* void */ ; p < last; p++) {

        if (*p == LF) {
            return p;
        }

        if (commas && *p == ',' && ngx_iclock_option_name(p + 1, last)) {
            return p;
        }
    }

    return last;
}


static ngx_int_t
ngx_iclock_push_option(ngx_iclock_upload_t *upload, ngx_str_t *option)
{
    u_char                  *start, *end;
    const ngx_iclock_tag_t  *tag;

    if (ngx_iclock_blank(option)) {
        return NGX_OK;
    }

    start = option->data;
    end = start + option->len;

    upload->lines++;

    tag = ngx_iclock_option_name(start, end) ? &ngx_iclock_option_tag
                                             : &ngx_iclock_not_option_tag;

    return ngx_iclock_push_item(upload, tag, start, end);
}


size_t
ngx_iclock_option_name(u_char *p, u_char *last)
{
    u_char  *start, ch;

    start = p;

    if (p < last && *p == '~') {
        p++;
    }

    if (p == last) {
        return 0;
    }

    ch = ngx_tolower(*p);

    if (ch < 'a' || ch > 'z') {
        return 0;
    }

    while (p < last) {
        ch = ngx_tolower(*p);

        if ((ch < 'a' || ch > 'z') && (ch < '0' || ch > '9') && ch != '_') {
            break;
        }

        p++;
    }

    return (p < last && *p == '=') ? p + 1 - start : 0;
}


ngx_int_t
ngx_iclock_split_info(ngx_iclock_upload_t *upload, ngx_str_t *info,
    ngx_pool_t *pool)
{
    u_char      *p, *last, *end;
    ngx_str_t    value;
    ngx_uint_t   i, sdk;

    if (ngx_iclock_init_upload(upload, NGX_ICLOCK_INFO_VALUES, pool)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    sdk = (ngx_iclock_count_values(info) == NGX_ICLOCK_SDK_INFO_VALUES);

    p = info->data;
    last = p + info->len;

    for (i = 0; i < NGX_ICLOCK_INFO_VALUES && p < last; i++) {

        if (sdk && i == NGX_ICLOCK_FACES_REQUIRED) {
            i++;
        }

        end = ngx_strlchr(p, last, ',');

        value.data = p;
        value.len = (end ? end : last) - p;

        p = end ? end + 1 : last;

        ngx_iclock_trim(&value);

        if (i == 0
            && value.len >= 3
            && ngx_strncasecmp(value.data, (u_char *) "Ver", 3) == 0
            && (value.len == 3 || value.data[3] == ' '))
        {
            value.data += 3;
            value.len -= 3;
            ngx_iclock_trim(&value);
        }

        if (value.len == 0) {
            continue;
        }

        upload->lines++;

        if (ngx_iclock_push_item(upload, &ngx_iclock_info_tags[i],
                                 value.data, value.data + value.len)
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static ngx_uint_t
ngx_iclock_count_values(ngx_str_t *info)
{
    size_t      i;
    ngx_uint_t  n;

    n = 1;

    for (i = 0; i < info->len; i++) {
        if (info->data[i] == ',') {
            n++;
        }
    }

    return n;
}


static ngx_int_t
ngx_iclock_parse_info(ngx_iclock_reading_t *r, const ngx_iclock_item_t *item)
{
    ngx_str_t  name, value;

    name = item->tag->name;
    value = item->data;

    return ngx_iclock_read_option(r, &name, &value);
}


ngx_int_t
ngx_iclock_parse_option(ngx_iclock_reading_t *r,
    const ngx_iclock_item_t *item)
{
    size_t     n;
    ngx_str_t  name, value;

    n = ngx_iclock_option_name(item->data.data,
                               item->data.data + item->data.len);
    if (n == 0) {
        return ngx_iclock_reject(r, "not an option");
    }

    name.data = item->data.data;
    name.len = n - 1;

    value.data = item->data.data + n;
    value.len = item->data.len - n;

    return ngx_iclock_read_option(r, &name, &value);
}


static ngx_int_t
ngx_iclock_read_option(ngx_iclock_reading_t *r, ngx_str_t *name,
    ngx_str_t *value)
{
    ngx_int_t  rc;

    rc = ngx_iclock_read_word(r, &ngx_iclock_option_name_key, name);
    if (rc != NGX_OK) {
        return rc;
    }

    return ngx_iclock_read_text(r, &ngx_iclock_option_value_key, value);
}
