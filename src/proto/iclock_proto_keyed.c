
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


static ngx_int_t ngx_iclock_read_value(ngx_iclock_reading_t *r,
    const ngx_iclock_key_t *key, ngx_str_t *value, ngx_uint_t *seen);
static ngx_int_t ngx_iclock_add_unknown(ngx_iclock_reading_t *r,
    ngx_str_t *unknown, ngx_str_t *field, ngx_str_t *line);
static ngx_int_t ngx_iclock_read_unknown(ngx_iclock_reading_t *r,
    const ngx_iclock_key_t *keys, ngx_str_t *unknown);
static u_char *ngx_iclock_value_end(ngx_iclock_reading_t *r,
    const ngx_iclock_key_t *keys, u_char *p, u_char *last, ngx_uint_t tabs);


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
    ngx_uint_t               tabs, found, seen;
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
        p = ngx_iclock_value_end(r, keys, value.data, last, tabs);
        value.len = p - value.data;

        if (r->words > NGX_ICLOCK_LINE_WORDS) {
            return ngx_iclock_reject(r, "too many words");
        }

        if (key == NULL) {

            if (ngx_iclock_add_unknown(r, &unknown, &value, line) != NGX_OK) {
                return NGX_ERROR;
            }

            continue;
        }

        found = 1;

        rc = ngx_iclock_read_value(r, key, &value, &seen);
        if (rc != NGX_OK) {
            return rc;
        }
    }

    if (!found) {
        return ngx_iclock_reject(r, "no known field");
    }

    return ngx_iclock_read_unknown(r, keys, &unknown);
}


static ngx_int_t
ngx_iclock_read_unknown(ngx_iclock_reading_t *r, const ngx_iclock_key_t *keys,
    ngx_str_t *unknown)
{
    const ngx_iclock_key_t  *key;

    for (key = keys; key->name.len; key++) {
        /* void */
    }

    return (key->read && unknown->len) ? key->read(r, key, unknown) : NGX_OK;
}


/* of a key that is repeated the first counts: reading has a price */

static ngx_int_t
ngx_iclock_read_value(ngx_iclock_reading_t *r, const ngx_iclock_key_t *key,
    ngx_str_t *value, ngx_uint_t *seen)
{
    ngx_uint_t  bit;

    bit = (ngx_uint_t) 1 << key->column;

    if (key->read == NULL
        || (*seen & bit)
        || (value->len == 4 && ngx_strncmp(value->data, "null", 4) == 0))
    {
        return NGX_OK;
    }

    *seen |= bit;

    return key->read(r, key, value);
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
ngx_iclock_value_end(ngx_iclock_reading_t *r, const ngx_iclock_key_t *keys,
    u_char *p, u_char *last, ngx_uint_t tabs)
{
    u_char  *space;

    if (tabs) {
        r->words++;

        p = memchr(p, '\t', last - p);
        return p ? p : last;
    }

    while (p < last && r->words++ <= NGX_ICLOCK_LINE_WORDS) {

        space = memchr(p, ' ', last - p);
        if (space == NULL) {
            break;
        }

        for (p = space; p < last && *p == ' '; p++) {
            /* void */
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
