
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


#include "ngx_http_iclock_api_stream.h"


/* a line of iclock_api.events_stream(), by its first word */
typedef struct {
    ngx_str_t                   name;       /* with the blank */
    size_t                      offset;     /* of the filter */
    ngx_uint_t                  list;       /* unsigned  list:1; */
} ngx_http_iclock_api_line_t;


static ngx_int_t ngx_http_iclock_api_filter_line(
    ngx_http_iclock_api_filter_t *filter, u_char *line, u_char *end);
static ngx_uint_t ngx_http_iclock_api_filter_has(ngx_array_t *list,
    u_char *data, size_t len);


#define ngx_http_iclock_api_line(field)                                      \
    offsetof(ngx_http_iclock_api_filter_t, field)

static ngx_http_iclock_api_line_t  ngx_http_iclock_api_lines[] = {
    { ngx_string("cursor "), ngx_http_iclock_api_line(cursor), 0 },
    { ngx_string("reset "), ngx_http_iclock_api_line(reset), 0 },
    { ngx_string("mode "), ngx_http_iclock_api_line(mode), 0 },
    { ngx_string("types "), ngx_http_iclock_api_line(types), 0 },
    { ngx_string("sites "), ngx_http_iclock_api_line(sites), 0 },
    { ngx_string("devices "), ngx_http_iclock_api_line(devices), 0 },
    { ngx_string("type "), ngx_http_iclock_api_line(type), 1 },
    { ngx_string("site "), ngx_http_iclock_api_line(site), 1 },
    { ngx_string("device "), ngx_http_iclock_api_line(device), 1 },
    { ngx_null_string, 0, 0 }
};


ngx_int_t
ngx_http_iclock_api_filter_parse(ngx_http_iclock_api_filter_t *filter,
    ngx_str_t *lines, ngx_log_t *log)
{
    u_char      *p, *end, *last;
    ngx_pool_t  *pool;

    pool = ngx_create_pool(1024, log);
    if (pool == NULL) {
        return NGX_ERROR;
    }

    ngx_memzero(filter, sizeof(ngx_http_iclock_api_filter_t));

    filter->pool = pool;

    p = ngx_pnalloc(pool, lines->len + 1);

    if (p == NULL
        || ngx_array_init(&filter->type, pool, 4, sizeof(ngx_str_t)) != NGX_OK
        || ngx_array_init(&filter->site, pool, 4, sizeof(ngx_str_t)) != NGX_OK
        || ngx_array_init(&filter->device, pool, 4, sizeof(ngx_str_t))
           != NGX_OK)
    {
        goto failed;
    }

    last = ngx_cpymem(p, lines->data, lines->len);

    for ( /* void */ ; p < last; p = end + 1) {

        end = ngx_strlchr(p, last, '\n');
        end = end ? end : last;

        if (ngx_http_iclock_api_filter_line(filter, p, end) != NGX_OK) {
            goto failed;
        }
    }

    if (filter->cursor.len && filter->mode.len) {
        return NGX_OK;
    }

failed:

    ngx_http_iclock_api_filter_free(filter);

    return NGX_ERROR;
}


static ngx_int_t
ngx_http_iclock_api_filter_line(ngx_http_iclock_api_filter_t *filter,
    u_char *line, u_char *end)
{
    void                        *field;
    ngx_str_t                   *text;
    ngx_http_iclock_api_line_t  *l;

    for (l = ngx_http_iclock_api_lines; l->name.len; l++) {

        if ((size_t) (end - line) < l->name.len
            || ngx_strncmp(line, l->name.data, l->name.len) != 0)
        {
            continue;
        }

        field = (u_char *) filter + l->offset;
        text = l->list ? ngx_array_push(field) : field;

        if (text == NULL) {
            return NGX_ERROR;
        }

        /* nothing said twice widens what was said first */

        if (!l->list && text->data) {
            return NGX_ERROR;
        }

        text->data = line + l->name.len;
        text->len = end - text->data;

        return NGX_OK;
    }

    return NGX_OK;
}


void
ngx_http_iclock_api_filter_free(ngx_http_iclock_api_filter_t *filter)
{
    if (filter->pool) {
        ngx_destroy_pool(filter->pool);
        filter->pool = NULL;
    }
}


/* the same as iclock.read_events() does; what is of no device has no limits */

ngx_uint_t
ngx_http_iclock_api_filter_match(ngx_http_iclock_api_filter_t *filter,
    ngx_http_iclock_api_record_t *rec)
{
    u_char      *text;
    ngx_uint_t   test;

    text = ngx_http_iclock_api_record_text(rec);
    test = ngx_strncmp(filter->mode.data, "test", 4) == 0;

    if (rec->sandbox != test) {
        return 0;
    }

    if (filter->types.data
        && !ngx_http_iclock_api_filter_has(&filter->type, text, rec->type))
    {
        return 0;
    }

    text += rec->type;

    if (filter->sites.data
        && (!rec->sited
            || !ngx_http_iclock_api_filter_has(&filter->site, text,
                                               rec->site)))
    {
        return 0;
    }

    text += rec->site;

    return filter->devices.data == NULL
           || (rec->device
               && ngx_http_iclock_api_filter_has(&filter->device, text,
                                                 rec->device));
}


static ngx_uint_t
ngx_http_iclock_api_filter_has(ngx_array_t *list, u_char *data, size_t len)
{
    ngx_str_t   *text;
    ngx_uint_t   i;

    text = list->elts;

    for (i = 0; i < list->nelts; i++) {

        if (text[i].len == len && ngx_memcmp(text[i].data, data, len) == 0) {
            return 1;
        }
    }

    return 0;
}
