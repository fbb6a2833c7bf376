
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


/* A letter is an event for an endpoint: where it stands until it is done. */


#include "ngx_http_iclock_webhooks.h"


/* a second attempt, which may be given to us once more */

void
ngx_http_iclock_letter_know(ngx_http_iclock_letter_t *l)
{
    l->known = 1;
    l->node.str = l->id;
    l->node.node.key = ngx_crc32_short(l->id.data, l->id.len);

    ngx_rbtree_insert(&l->webhook->known, &l->node.node);
}


/* one key for all: they are in the order of their cursors */

void
ngx_http_iclock_letter_ahead(ngx_http_iclock_letter_t *l)
{
    l->ahead = 1;
    l->node.str = l->cursor;
    l->node.node.key = 0;

    ngx_rbtree_insert(&l->webhook->ahead, &l->node.node);
    l->webhook->nahead++;
}


void
ngx_http_iclock_letter_settle(ngx_http_iclock_letter_t *l)
{
    ngx_http_iclock_webhook_t  *w;

    w = l->webhook;

    ngx_rbtree_delete(&w->ahead, &l->node.node);
    w->nahead--;

    l->ahead = 0;
    l->ordered = 1;

    ngx_queue_insert_tail(&w->order, &l->order);

    ngx_memcpy(w->position.data, l->cursor.data, l->cursor.len);
    w->position.len = l->cursor.len;
}


void
ngx_http_iclock_letter_wait(ngx_http_iclock_letter_t *l, ngx_uint_t first)
{
    ngx_queue_t                *queue;
    ngx_http_iclock_webhook_t  *w;

    w = l->webhook;
    queue = l->retry ? &w->retries : &w->ready;

    if (first) {
        ngx_queue_insert_head(queue, &l->ready);

    } else {
        ngx_queue_insert_tail(queue, &l->ready);
    }

    l->waiting = 1;
    w->waiting++;
}


void
ngx_http_iclock_letter_take(ngx_http_iclock_letter_t *l)
{
    ngx_queue_remove(&l->ready);

    l->waiting = 0;
    l->webhook->waiting--;
}


void
ngx_http_iclock_letter_free(ngx_http_iclock_letter_t *l)
{
    ngx_http_iclock_webhook_t  *w;

    w = l->webhook;

    if (l->waiting) {
        ngx_http_iclock_letter_take(l);
    }

    if (l->ordered) {
        ngx_queue_remove(&l->order);
    }

    if (l->known) {
        ngx_rbtree_delete(&w->known, &l->node.node);
    }

    if (l->ahead) {
        ngx_rbtree_delete(&w->ahead, &l->node.node);
        w->nahead--;
    }

    w->sender->bytes -= l->size;

    ngx_free(l);
}


void
ngx_http_iclock_webhook_advance(ngx_http_iclock_webhook_t *w)
{
    ngx_queue_t               *q;
    ngx_http_iclock_letter_t  *l;

    while (!ngx_queue_empty(&w->order)) {

        q = ngx_queue_head(&w->order);
        l = ngx_queue_data(q, ngx_http_iclock_letter_t, order);

        if (!l->done) {
            return;
        }

        ngx_memcpy(w->cursor.data, l->cursor.data, l->cursor.len);
        w->cursor.len = l->cursor.len;

        if (!w->moved && !w->lost) {
            w->moved = 1;
            ngx_http_iclock_sender_timer(&w->sender->flush,
                                         NGX_HTTP_ICLOCK_WEBHOOK_FLUSH);
        }

        ngx_http_iclock_letter_free(l);
    }
}


/*
 * Results that come later are told, but not the cursor: it would pass over
 * events that were refused, of which nobody has heard.
 */

void
ngx_http_iclock_webhook_lose(ngx_http_iclock_webhook_t *w)
{
    w->lost = 1;
    w->moved = 0;

    ngx_http_iclock_webhook_drop(w);
}


/* what was not sent is read anew; nothing else is on its way */

void
ngx_http_iclock_webhook_reset(ngx_http_iclock_webhook_t *w)
{
    ngx_queue_t               *q;
    ngx_http_iclock_letter_t  *l;

    while (!ngx_queue_empty(&w->ready)) {
        q = ngx_queue_head(&w->ready);
        l = ngx_queue_data(q, ngx_http_iclock_letter_t, ready);
        ngx_http_iclock_letter_free(l);
    }

    ngx_memcpy(w->position.data, w->cursor.data, w->cursor.len);
    w->position.len = w->cursor.len;
    ngx_http_iclock_webhook_unlook(w);
    w->asked = 0;
}
