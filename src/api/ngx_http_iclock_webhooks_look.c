
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


/*
 * How far an endpoint has read.  Transactions end in another order than they
 * begin: while one is open, events behind its place are there and are sent,
 * and others may still come before them.
 *
 * All before "position" has come, and what "seen" shows.  So a look brings what
 * that snapshot does not show.  If it was too much for one look, the next one
 * goes on at "reached"; "pass" is the snapshot of the first of them, and takes
 * the place of "seen" at the end.  While there is no end to it, what was
 * committed late before "reached" is read by looks of its own, which begin at
 * "behind"; "late" is the snapshot of the first of those, and takes the place
 * of "pass".
 *
 * Nothing can come any more before an event that is below the place where a
 * snapshot is settled, when all has been read that it shows.
 */


#include "ngx_http_iclock_webhooks.h"


/* letters ahead of the feed that make it worth to look for stragglers */
#define NGX_HTTP_ICLOCK_LOOK_STRAGGLERS  256


static ngx_http_iclock_look_t *ngx_http_iclock_look_hold(
    ngx_http_iclock_look_t *look);
static ngx_int_t ngx_http_iclock_look_order(ngx_str_t *one, ngx_str_t *two);
static void ngx_http_iclock_look_place(ngx_str_t *dst, ngx_str_t *src);
static void ngx_http_iclock_webhook_stragglers(ngx_http_iclock_webhook_t *w,
    ngx_http_iclock_look_t *look, ngx_str_t *place);
static void ngx_http_iclock_webhook_settle(ngx_http_iclock_webhook_t *w,
    ngx_str_t *bound);


/* NULL: there is no memory, or PostgreSQL is not the one that it was */

ngx_http_iclock_look_t *
ngx_http_iclock_look_create(ngx_http_iclock_sender_t *s, ngx_str_t *settled,
    ngx_str_t *snapshot)
{
    u_char                     *p;
    ngx_queue_t                *q, *next;
    ngx_http_iclock_look_t     *look;
    ngx_http_iclock_webhook_t  *w;

    if (settled->len > sizeof(s->text)) {
        return NULL;
    }

    if (ngx_http_iclock_look_order(settled, &s->settled) < 0) {

        ngx_log_error(NGX_LOG_NOTICE, s->log, 0,
                      "the event feed has gone back: webhooks begin anew");

        for (q = ngx_queue_head(&s->all);
             q != ngx_queue_sentinel(&s->all);
             q = next)
        {
            next = ngx_queue_next(q);
            w = ngx_queue_data(q, ngx_http_iclock_webhook_t, queue);

            ngx_http_iclock_webhook_lose(w);
        }

        s->settled.len = 0;

        return NULL;
    }

    look = ngx_alloc(sizeof(ngx_http_iclock_look_t) + settled->len
                     + snapshot->len, s->log);
    if (look == NULL) {
        return NULL;
    }

    p = (u_char *) (look + 1);

    look->refs = 1;
    look->settled.data = p;
    look->settled.len = settled->len;
    p = ngx_cpymem(p, settled->data, settled->len);

    look->snapshot.data = p;
    look->snapshot.len = snapshot->len;
    ngx_memcpy(p, snapshot->data, snapshot->len);

    s->settled.data = s->text;
    ngx_http_iclock_look_place(&s->settled, settled);

    return look;
}


static ngx_http_iclock_look_t *
ngx_http_iclock_look_hold(ngx_http_iclock_look_t *look)
{
    look->refs++;

    return look;
}


void
ngx_http_iclock_look_release(ngx_http_iclock_look_t **look)
{
    if (*look && --(*look)->refs == 0) {
        ngx_free(*look);
    }

    *look = NULL;
}


/* texts of cursors are in the order of the feed; an empty one is before all */

static ngx_int_t
ngx_http_iclock_look_order(ngx_str_t *one, ngx_str_t *two)
{
    ngx_int_t  rc;

    rc = ngx_memcmp(one->data, two->data, ngx_min(one->len, two->len));

    return rc ? rc : (ngx_int_t) one->len - (ngx_int_t) two->len;
}


static void
ngx_http_iclock_look_place(ngx_str_t *dst, ngx_str_t *src)
{
    ngx_memcpy(dst->data, src->data, src->len);
    dst->len = src->len;
}


/* where the next look for it begins, and what it need not bring */

void
ngx_http_iclock_webhook_place(ngx_http_iclock_webhook_t *w, ngx_str_t *after,
    ngx_str_t *seen)
{
    ngx_http_iclock_look_t  *look;

    if (w->pass && w->behind.len == 0
        && w->nahead >= NGX_HTTP_ICLOCK_LOOK_STRAGGLERS
        && ngx_http_iclock_look_order(&w->sender->settled, &w->pass->settled)
           > 0)
    {
        ngx_http_iclock_look_place(&w->behind, &w->position);
    }

    if (w->behind.len) {
        *after = w->behind;
        look = w->pass;

    } else {
        *after = w->reached.len ? w->reached : w->position;
        look = w->seen;
    }

    ngx_str_null(seen);

    if (look) {
        *seen = look->snapshot;
    }
}


/* it was read up to a place, or to the end: NULL */

void
ngx_http_iclock_webhook_looked(ngx_http_iclock_webhook_t *w,
    ngx_http_iclock_look_t *look, ngx_str_t *place)
{
    ngx_str_t        *bound;
    static ngx_str_t  end = ngx_string("the end");

    if (w->missed || (place && place->len > sizeof(w->texts[0]))) {
        return;
    }

    ngx_log_debug6(NGX_LOG_DEBUG_HTTP, w->sender->log, 0,
                   "iclock webhooks: \"%V\" was read to %V by %V,"
                   " from \"%V\", got %ui, ahead %ui",
                   &w->node.str, place ? place : &end, &look->snapshot,
                   w->behind.len ? &w->behind : &w->reached, w->got,
                   w->nahead);

    if (w->behind.len) {
        ngx_http_iclock_webhook_stragglers(w, look, place);
        w->due = 1;
        w->sender->again = 1;
        return;
    }

    if (w->pass == NULL) {
        w->pass = ngx_http_iclock_look_hold(look);
    }

    bound = &w->pass->settled;

    if (place && ngx_http_iclock_look_order(place, bound) < 0) {
        bound = place;
    }

    ngx_http_iclock_webhook_settle(w, bound);

    if (place == NULL) {
        ngx_http_iclock_look_release(&w->seen);
        w->seen = w->pass;
        w->pass = NULL;
        w->reached.len = 0;
        return;
    }

    w->more = !w->failing;

    if (w->got < w->asked) {
        w->due = 1;
        w->sender->again = 1;
    }

    if (bound == place && w->nahead == 0) {
        ngx_http_iclock_look_release(&w->seen);
        ngx_http_iclock_look_release(&w->pass);
        ngx_http_iclock_look_place(&w->position, place);
        w->reached.len = 0;
        return;
    }

    ngx_http_iclock_look_place(&w->reached, place);
}


/* endpoints that were read to the end: "id,id" */

void
ngx_http_iclock_webhooks_ended(ngx_http_iclock_sender_t *s,
    ngx_http_iclock_look_t *look, ngx_str_t *ids)
{
    u_char                     *p, *last;
    ngx_str_t                   id;
    ngx_http_iclock_webhook_t  *w;

    if (look == NULL) {
        return;
    }

    p = ids->data;
    last = p + ids->len;

    while (p < last) {

        id.data = p;
        p = ngx_strlchr(p, last, ',');

        if (p == NULL) {
            p = last;
        }

        id.len = p - id.data;
        p++;

        w = ngx_http_iclock_webhook_find(s, &id);

        if (w && !w->gone && w->asked) {
            ngx_http_iclock_webhook_looked(w, look, NULL);
        }
    }
}


/* what was committed late, before the place that others were read up to */

static void
ngx_http_iclock_webhook_stragglers(ngx_http_iclock_webhook_t *w,
    ngx_http_iclock_look_t *look, ngx_str_t *place)
{
    ngx_str_t  *bound;

    if (w->late == NULL) {
        w->late = ngx_http_iclock_look_hold(look);
    }

    if (place && ngx_http_iclock_look_order(place, &w->reached) < 0) {
        ngx_http_iclock_look_place(&w->behind, place);
        return;
    }

    ngx_http_iclock_look_release(&w->pass);
    w->pass = w->late;
    w->late = NULL;
    w->behind.len = 0;

    bound = &w->pass->settled;

    if (ngx_http_iclock_look_order(&w->reached, bound) < 0) {
        bound = &w->reached;
    }

    ngx_http_iclock_webhook_settle(w, bound);
}


/* letters before this place get their place in the order */

static void
ngx_http_iclock_webhook_settle(ngx_http_iclock_webhook_t *w, ngx_str_t *bound)
{
    ngx_rbtree_node_t         *node;
    ngx_http_iclock_letter_t  *l;

    while (w->ahead.root != w->ahead.sentinel) {

        node = ngx_rbtree_min(w->ahead.root, w->ahead.sentinel);
        l = (ngx_http_iclock_letter_t *) node;

        if (ngx_http_iclock_look_order(&l->cursor, bound) > 0) {
            break;
        }

        ngx_http_iclock_letter_settle(l);
    }

    ngx_http_iclock_webhook_advance(w);
}


/* nothing is known any more */

void
ngx_http_iclock_webhook_unlook(ngx_http_iclock_webhook_t *w)
{
    ngx_http_iclock_look_release(&w->seen);
    ngx_http_iclock_look_release(&w->pass);
    ngx_http_iclock_look_release(&w->late);

    w->reached.len = 0;
    w->behind.len = 0;
}


/*
 * Before they are given back: what was sent ahead of the feed may have got its
 * place since the last look, and comes once more if nobody is told of that.
 */

ngx_int_t
ngx_http_iclock_webhooks_last(ngx_http_iclock_sender_t *s)
{
    ngx_uint_t                  n;
    ngx_queue_t                *e;
    ngx_http_iclock_webhook_t  *w;

    n = 0;

    for (e = ngx_queue_head(&s->all);
         e != ngx_queue_sentinel(&s->all);
         e = ngx_queue_next(e))
    {
        w = ngx_queue_data(e, ngx_http_iclock_webhook_t, queue);

        w->due = (w->nahead && w->sending == 0 && !w->held && !w->last
                  && !w->released);

        if (w->due) {
            w->last = 1;
            n++;
        }
    }

    return n ? ngx_http_iclock_webhooks_ask(s) : NGX_DECLINED;
}
