
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include "iclock_proto.h"
#include "iclock_proto_private.h"


_Static_assert(NGX_ICLOCK_KINDS <= 32, "ngx_iclock_upload_t.kinds");


static ngx_int_t ngx_iclock_split_some_lines(ngx_iclock_upload_t *upload,
    ngx_str_t *rest, const ngx_iclock_tag_t *tag, ngx_uint_t tagged);
static ngx_int_t ngx_iclock_spaces_to_tabs(ngx_str_t *line,
    ngx_pool_t *pool);
static ngx_uint_t ngx_iclock_date_and_time(u_char *date, u_char *end,
    u_char *time, u_char *last);


static const ngx_iclock_tag_t  ngx_iclock_nul_tag =
    ngx_iclock_rejected_tag("NUL byte in the line");


/* an upload of at most n items grows nowhere; more of them may follow */

ngx_int_t
ngx_iclock_init_upload(ngx_iclock_upload_t *upload, ngx_uint_t n,
    ngx_pool_t *pool)
{
    upload->lines = 0;
    upload->bytes = 0;
    upload->kinds = 0;
    upload->others = 0;

    return ngx_array_init(&upload->items, pool, ngx_max(n, 1),
                          sizeof(ngx_iclock_item_t));
}


ngx_int_t
ngx_iclock_count_lines(ngx_str_t *rest, ngx_uint_t *n)
{
    size_t      size;
    ngx_str_t   line;
    ngx_uint_t  i;

    size = rest->len;

    for (i = 0; ngx_iclock_step_goes_on(i, size - rest->len); i++) {

        if (!ngx_iclock_next_line(rest, &line)) {
            return NGX_OK;
        }

        if (!ngx_iclock_blank(&line)) {
            (*n)++;
        }
    }

    return NGX_AGAIN;
}


ngx_int_t
ngx_iclock_push_item(ngx_iclock_upload_t *upload,
    const ngx_iclock_tag_t *tag, u_char *start, u_char *end)
{
    ngx_iclock_item_t  *item;

    item = ngx_array_push(&upload->items);
    if (item == NULL) {
        return NGX_ERROR;
    }

    item->tag = tag;
    item->data.data = start;
    item->data.len = end - start;

    upload->bytes += item->data.len;
    upload->kinds |= (uint32_t) 1 << tag->kind;

    if (!ngx_iclock_comparison_photo(tag)) {
        upload->others = 1;
    }

    return NGX_OK;
}


ngx_uint_t
ngx_iclock_next_line(ngx_str_t *rest, ngx_str_t *line)
{
    u_char  *p, *last, *end;

    if (rest->len == 0) {
        return 0;
    }

    p = rest->data;
    last = p + rest->len;

    end = memchr(p, LF, rest->len);

    rest->data = (end == NULL) ? last : end + 1;
    rest->len = last - rest->data;

    if (end == NULL) {
        end = last;
    }

    while (end > p && (end[-1] == CR || end[-1] == '\0')) {
        end--;
    }

    line->data = p;
    line->len = end - p;

    return 1;
}


ngx_uint_t
ngx_iclock_blank(ngx_str_t *text)
{
    size_t  i;

    for (i = 0; i < text->len; i++) {

        switch (text->data[i]) {

        case '\0':
        case ' ':
        case '\t':
        case CR:
        case LF:
            continue;

        default:
            return 0;
        }
    }

    return 1;
}


ngx_int_t
ngx_iclock_split_lines(ngx_iclock_upload_t *upload, ngx_str_t *body,
    const ngx_iclock_tag_t *tag)
{
    return ngx_iclock_split_some_lines(upload, body, tag, 0);
}


/* each line has its own tag, or else that of the table */

ngx_int_t
ngx_iclock_split_tagged(ngx_iclock_upload_t *upload, ngx_str_t *body,
    const ngx_iclock_tag_t *tag)
{
    return ngx_iclock_split_some_lines(upload, body, tag, 1);
}


static ngx_int_t
ngx_iclock_split_some_lines(ngx_iclock_upload_t *upload, ngx_str_t *rest,
    const ngx_iclock_tag_t *tag, ngx_uint_t tagged)
{
    size_t                   size;
    ngx_str_t                line;
    ngx_uint_t               i;
    const ngx_iclock_tag_t  *t;

    size = rest->len;

    for (i = 0; ngx_iclock_step_goes_on(i, size - rest->len); i++) {

        if (!ngx_iclock_next_line(rest, &line)) {
            return NGX_OK;
        }

        if (ngx_iclock_blank(&line)) {
            continue;
        }

        upload->lines++;

        t = memchr(line.data, '\0', line.len) ? &ngx_iclock_nul_tag
            : tagged ? ngx_iclock_find_tag(&line) : NULL;

        if (ngx_iclock_push_item(upload, t ? t : tag, line.data,
                                 line.data + line.len)
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return NGX_AGAIN;
}


/* the body is one record, whatever bytes it is made of */

ngx_int_t
ngx_iclock_split_whole(ngx_iclock_upload_t *upload, ngx_str_t *body,
    const ngx_iclock_tag_t *tag)
{
    if (ngx_iclock_blank(body)) {
        return NGX_OK;
    }

    upload->lines++;

    return ngx_iclock_push_item(upload, tag, body->data,
                                body->data + body->len);
}


void
ngx_iclock_skip_tag(const ngx_iclock_tag_t *tag, ngx_str_t *line)
{
    ngx_str_t  s;

    s = *line;

    while (s.len && (*s.data == ' ' || *s.data == '\t')) {
        s.data++;
        s.len--;
    }

    if (tag->name.len == 0
        || s.len < tag->name.len
        || ngx_strncasecmp(s.data, tag->name.data, tag->name.len) != 0)
    {
        return;
    }

    s.data += tag->name.len;
    s.len -= tag->name.len;

    while (s.len && (*s.data == ' ' || *s.data == '\t')) {
        s.data++;
        s.len--;
    }

    *line = s;
}


ngx_uint_t
ngx_iclock_split_columns(ngx_str_t *line, ngx_str_t *fields,
    ngx_pool_t *pool)
{
    u_char      *p, *end, *last;
    ngx_uint_t   n;

    if (line->len == 0 || memchr(line->data, '\t', line->len) == NULL) {
        if (ngx_iclock_spaces_to_tabs(line, pool) != NGX_OK) {
            return 0;
        }
    }

    if (line->len && line->data[line->len - 1] == '\t') {
        line->len--;
    }

    p = line->data;
    last = p + line->len;

    for (n = 0; /* void */ ; n++) {

        end = ngx_strlchr(p, last, '\t');

        if (n < NGX_ICLOCK_MAX_FIELDS) {
            fields[n].data = p;
            fields[n].len = (end ? end : last) - p;
        }

        if (end == NULL) {
            return n + 1;
        }

        p = end + 1;
    }
}


static ngx_int_t
ngx_iclock_spaces_to_tabs(ngx_str_t *line, ngx_pool_t *pool)
{
    u_char  *p, *last, *word, *start, *dst;

    p = line->data;
    last = p + line->len;

    dst = ngx_pnalloc(pool, line->len + 1);
    if (dst == NULL) {
        return NGX_ERROR;
    }

    start = dst;
    word = p;

    while (p < last) {

        if (*p != ' ') {
            *dst++ = *p++;
            continue;
        }

        line->data = p;

        while (p < last && *p == ' ') {
            p++;
        }

        if (p == last) {
            break;
        }

        /* spaces at the head of the line separate nothing */

        if (dst != start) {
            *dst++ = ngx_iclock_date_and_time(word, line->data, p, last)
                     ? ' ' : '\t';
        }

        word = p;
    }

    line->data = start;
    line->len = dst - start;

    return NGX_OK;
}


/* "2026-09-22" and "10:", each at the head of a word */

static ngx_uint_t
ngx_iclock_date_and_time(u_char *date, u_char *end, u_char *time,
    u_char *last)
{
    return end - date == 10 && date[4] == '-' && date[7] == '-'
           && ngx_iclock_digits(date, end) == 4
           && last - time >= 3 && time[2] == ':'
           && ngx_iclock_digits(time, last) == 2;
}


ngx_int_t
ngx_iclock_parse_rejected(ngx_iclock_reading_t *r,
    const ngx_iclock_item_t *item)
{
    r->record->reason = item->tag->label;

    return NGX_DECLINED;
}
