
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


/*
 * A body may be large: it is unpacked, counted and cut in steps, between
 * which the caller may do something else.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include "iclock_proto.h"
#include "iclock_proto_private.h"


struct ngx_iclock_split_s {
    ngx_iclock_upload_t         *upload;
    const ngx_iclock_table_t    *table;     /* NULL: replies */
    ngx_iclock_context_t        *context;
    ngx_pool_t                  *pool;
    ngx_iclock_packet_t         *packet;
    ngx_str_t                    body;      /* as it was sent, or unpacked */
    ngx_str_t                    rest;
    ngx_uint_t                   n;         /* items that were counted */
    size_t                       unpacked;
    ngx_iclock_cutter_t          cutter;    /* of replies */
    ngx_iclock_settling_t        settling;

    /* what comes next; the same return codes as those of the whole */
    ngx_int_t                  (*step)(ngx_iclock_split_t *split);

    unsigned                     counted:1;
};


static ngx_int_t ngx_iclock_split_unpack(ngx_iclock_split_t *split);
static ngx_int_t ngx_iclock_split_count(ngx_iclock_split_t *split);
static ngx_int_t ngx_iclock_split_count_items(ngx_iclock_split_t *split);
static ngx_int_t ngx_iclock_split_cut(ngx_iclock_split_t *split);
static ngx_int_t ngx_iclock_split_cut_replies(ngx_iclock_split_t *split);
static ngx_int_t ngx_iclock_split_settle(ngx_iclock_split_t *split);


ngx_iclock_split_t *
ngx_iclock_split_create(ngx_iclock_upload_t *upload,
    const ngx_iclock_table_t *table, ngx_str_t *body,
    ngx_iclock_context_t *context, ngx_pool_t *pool)
{
    ngx_iclock_split_t  *split;

    split = ngx_pcalloc(pool, sizeof(ngx_iclock_split_t));
    if (split == NULL) {
        return NULL;
    }

    split->upload = upload;
    split->table = table;
    split->context = context;
    split->pool = pool;
    split->body = *body;
    split->rest = *body;
    split->step = ngx_iclock_split_count;

    return split;
}


ngx_iclock_split_t *
ngx_iclock_split_create_packed(ngx_iclock_upload_t *upload,
    const ngx_iclock_table_t *table, ngx_str_t *body,
    ngx_iclock_context_t *context, ngx_pool_t *pool)
{
    ngx_iclock_split_t  *split;

    split = ngx_iclock_split_create(upload, table, body, context, pool);
    if (split == NULL) {
        return NULL;
    }

    split->packet = ngx_iclock_packet_create(body, pool);
    if (split->packet == NULL) {
        return NULL;
    }

    split->step = ngx_iclock_split_unpack;

    return split;
}


ngx_iclock_split_t *
ngx_iclock_split_create_replies(ngx_iclock_upload_t *upload, ngx_str_t *body,
    ngx_pool_t *pool)
{
    ngx_iclock_split_t  *split;

    split = ngx_iclock_split_create(upload, NULL, body, NULL, pool);

    if (split) {
        ngx_iclock_begin_replies(&split->cutter, upload, body);
    }

    return split;
}


ngx_int_t
ngx_iclock_split_step(ngx_iclock_split_t *split)
{
    return split->step(split);
}


size_t
ngx_iclock_split_held(ngx_iclock_split_t *split)
{
    ngx_uint_t    n;
    ngx_array_t  *items;

    if (!split->counted) {
        return split->unpacked;
    }

    items = &split->upload->items;
    n = items->nalloc;

    if (n > split->n) {
        /* it has grown, and left as much behind in the pool */
        n *= 2;

    } else if (split->table == NULL) {
        /* the lines of a file that a device sends are counted, and no items */
        n = items->nelts;
    }

    return split->unpacked + n * sizeof(ngx_iclock_item_t);
}


static ngx_int_t
ngx_iclock_split_unpack(ngx_iclock_split_t *split)
{
    ngx_int_t                rc;
    const ngx_iclock_tag_t  *refused;

    rc = ngx_iclock_packet_step(split->packet);

    refused = ngx_iclock_packet_text(split->packet, &split->rest);

    split->unpacked = split->rest.len;

    if (rc != NGX_OK) {
        return rc;
    }

    if (refused == NULL) {
        split->body = split->rest;
        split->step = ngx_iclock_split_count;
        return NGX_AGAIN;
    }

    /* kept as a whole; it is acknowledged, or would come again for ever */

    if (ngx_iclock_init_upload(split->upload, 1, split->pool) != NGX_OK) {
        return NGX_ERROR;
    }

    if (split->body.len == 0) {
        return NGX_OK;
    }

    split->upload->lines = 1;

    return ngx_iclock_push_item(split->upload, refused, split->body.data,
                                split->body.data + split->body.len);
}


/*
 * The items are counted first: an array that doubles would leave twice its
 * size in the pool, and be copied in one step.
 */

static ngx_int_t
ngx_iclock_split_count(ngx_iclock_split_t *split)
{
    if (ngx_iclock_split_count_items(split) == NGX_AGAIN) {
        return NGX_AGAIN;
    }

    if (ngx_iclock_init_upload(split->upload, split->n, split->pool)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    split->counted = 1;
    split->rest = split->body;
    split->step = split->table ? ngx_iclock_split_cut
                               : ngx_iclock_split_cut_replies;

    return NGX_AGAIN;
}


static ngx_int_t
ngx_iclock_split_count_items(ngx_iclock_split_t *split)
{
    if (split->table && split->table->split == ngx_iclock_split_whole) {
        split->n = 1;
        return NGX_OK;
    }

    if (split->table && split->table->split == ngx_iclock_split_options) {
        return ngx_iclock_count_options(&split->rest, &split->n);
    }

    return ngx_iclock_count_lines(&split->rest, &split->n);
}


static ngx_int_t
ngx_iclock_split_cut(ngx_iclock_split_t *split)
{
    ngx_int_t  rc;

    rc = split->table->split(split->upload, &split->rest, split->table->tag);

    if (rc != NGX_OK || split->context == NULL) {
        return rc;
    }

    split->step = ngx_iclock_split_settle;

    return NGX_AGAIN;
}


static ngx_int_t
ngx_iclock_split_cut_replies(ngx_iclock_split_t *split)
{
    return ngx_iclock_cut_replies(&split->cutter, &split->rest);
}


static ngx_int_t
ngx_iclock_split_settle(ngx_iclock_split_t *split)
{
    return ngx_iclock_settle_encoding(split->context, split->upload,
                                      &split->settling);
}
