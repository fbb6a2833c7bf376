
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


#include "ngx_http_iclock_webhooks.h"
#include "ngx_http_iclock_api_json.h"


/* columns of work */
enum {
    NGX_HTTP_ICLOCK_WORK_WEBHOOK = 0,
    NGX_HTTP_ICLOCK_WORK_KIND,
    NGX_HTTP_ICLOCK_WORK_CURSOR,
    NGX_HTTP_ICLOCK_WORK_SETTLED,
    NGX_HTTP_ICLOCK_WORK_ID,
    NGX_HTTP_ICLOCK_WORK_TYPE,
    NGX_HTTP_ICLOCK_WORK_ATTEMPT,
    NGX_HTTP_ICLOCK_WORK_FIRST,
    NGX_HTTP_ICLOCK_WORK_PAYLOAD,
    NGX_HTTP_ICLOCK_WORK_COLUMNS
};


/* of an endpoint, beside its id, its place, and what it has seen */
#define NGX_HTTP_ICLOCK_WORK_WANTED  (128 + NGX_HTTP_ICLOCK_WEBHOOK_TERMS)

/* events of all endpoints in one look, which must end in time */
#define NGX_HTTP_ICLOCK_WORK_MOST    2000
#define NGX_HTTP_ICLOCK_WORK_SHARE   500
#define NGX_HTTP_ICLOCK_WORK_BESIDE  256    /* of others beside prompt ones */

/* whose turn it is in a look */
#define NGX_HTTP_ICLOCK_WORK_LATE    0      /* the last one had no room */
#define NGX_HTTP_ICLOCK_WORK_PROMPT  1
#define NGX_HTTP_ICLOCK_WORK_OTHER   2


typedef struct {
    u_char                     *start;
    ngx_uint_t                  most;
    ngx_queue_t                *first;      /* there was no room for it */
} ngx_http_iclock_wishes_t;


static void ngx_http_iclock_webhooks_look(ngx_http_iclock_sender_t *s);
static ngx_int_t ngx_http_iclock_webhooks_wanted(ngx_http_iclock_sender_t *s,
    ngx_iclock_query_t *q);
static ngx_uint_t ngx_http_iclock_webhooks_begin(ngx_http_iclock_sender_t *s);
static u_char *ngx_http_iclock_webhooks_wishes(ngx_http_iclock_sender_t *s,
    u_char *p, ngx_uint_t turn, ngx_http_iclock_wishes_t *wishes);
static ngx_uint_t ngx_http_iclock_webhook_turn(ngx_http_iclock_webhook_t *w,
    ngx_uint_t turn);
static size_t ngx_http_iclock_webhooks_size(ngx_http_iclock_sender_t *s);
static u_char *ngx_http_iclock_webhook_wish(u_char *p,
    ngx_http_iclock_webhook_t *w);
static void ngx_http_iclock_webhooks_next(ngx_http_iclock_sender_t *s,
    ngx_queue_t *first);
static ngx_uint_t ngx_http_iclock_webhook_room(ngx_http_iclock_webhook_t *w);
static ngx_uint_t ngx_http_iclock_webhook_window(
    ngx_http_iclock_webhook_t *w);
static void ngx_http_iclock_webhooks_worked(ngx_iclock_query_t *q);
static void ngx_http_iclock_webhooks_row(ngx_http_iclock_sender_t *s,
    ngx_http_iclock_look_t **look, ngx_str_t *row);
static void ngx_http_iclock_webhook_event(ngx_http_iclock_webhook_t *w,
    ngx_str_t *row);
static void ngx_http_iclock_webhook_retry(ngx_http_iclock_webhook_t *w,
    ngx_str_t *row);
static ngx_http_iclock_letter_t *ngx_http_iclock_letter_create(
    ngx_http_iclock_webhook_t *w, ngx_str_t *row, ngx_uint_t retry);
static u_char *ngx_http_iclock_letter_text(u_char *p, ngx_str_t *dst,
    ngx_str_t *src);


/*
 * One look at a time; who asks meanwhile is served by the next one.  Each
 * endpoint is looked for once, in as many looks as that takes.
 */

void
ngx_http_iclock_webhooks_work(ngx_http_iclock_sender_t *s)
{
    ngx_queue_t                *e;
    ngx_http_iclock_webhook_t  *w;

    for (e = ngx_queue_head(&s->all);
         e != ngx_queue_sentinel(&s->all);
         e = ngx_queue_next(e))
    {
        w = ngx_queue_data(e, ngx_http_iclock_webhook_t, queue);
        w->due = 1;
    }

    ngx_http_iclock_webhooks_look(s);
}


static void
ngx_http_iclock_webhooks_look(ngx_http_iclock_sender_t *s)
{
    if (ngx_http_iclock_sender_leaving(s)) {
        return;
    }

    if (s->working) {
        s->again = 1;
        return;
    }

    (void) ngx_http_iclock_webhooks_ask(s);
}


ngx_int_t
ngx_http_iclock_webhooks_ask(ngx_http_iclock_sender_t *s)
{
    ngx_int_t            rc;
    ngx_iclock_query_t  *q;

    q = ngx_iclock_query_create(s->amcf->queries,
                                NGX_ICLOCK_QUERY_WEBHOOK_WORK, s->log);
    if (q == NULL) {
        return NGX_ERROR;
    }

    q->params[0] = s->conf->name;
    s->again = 0;

    rc = ngx_http_iclock_webhooks_wanted(s, q);

    if (rc == NGX_OK) {
        q->data = s;
        q->handler = ngx_http_iclock_webhooks_worked;

        rc = ngx_iclock_query_submit(q);
    }

    if (rc != NGX_OK) {
        ngx_iclock_query_destroy(q);
        return rc;
    }

    s->working = 1;

    return NGX_OK;
}


/* [{"id":"...","after":"...","max":n}]; NGX_DECLINED: nothing is wanted */

static ngx_int_t
ngx_http_iclock_webhooks_wanted(ngx_http_iclock_sender_t *s,
    ngx_iclock_query_t *q)
{
    u_char                     *p;
    ngx_uint_t                  prompt, beside, rest;
    ngx_http_iclock_wishes_t    wishes;

    p = ngx_pnalloc(q->pool, ngx_http_iclock_webhooks_size(s));
    if (p == NULL) {
        return NGX_ERROR;
    }

    q->params[1].data = p;

    prompt = ngx_http_iclock_webhooks_begin(s);

    wishes.start = p;
    wishes.first = NULL;

    /*
     * Many others do not keep those waiting that answer soon; nor do these,
     * who may want all there is, keep the others from ever having their turn.
     * What others get, all wait for: it is less then, in more looks.
     */

    beside = prompt ? NGX_HTTP_ICLOCK_WORK_BESIDE
                    : NGX_HTTP_ICLOCK_WORK_MOST / 2;

    wishes.most = beside;
    p = ngx_http_iclock_webhooks_wishes(s, p, NGX_HTTP_ICLOCK_WORK_LATE,
                                        &wishes);

    rest = wishes.most;

    wishes.most += NGX_HTTP_ICLOCK_WORK_MOST - beside;
    p = ngx_http_iclock_webhooks_wishes(s, p, NGX_HTTP_ICLOCK_WORK_PROMPT,
                                        &wishes);

    wishes.most = prompt ? ngx_min(wishes.most, rest) : wishes.most;
    p = ngx_http_iclock_webhooks_wishes(s, p, NGX_HTTP_ICLOCK_WORK_OTHER,
                                        &wishes);

    ngx_http_iclock_webhooks_next(s, wishes.first);

    if (p == q->params[1].data) {
        return NGX_DECLINED;
    }

    *p++ = ']';

    q->params[1].len = p - q->params[1].data;

    return NGX_OK;
}


/* whether somebody is known to answer soon */

static ngx_uint_t
ngx_http_iclock_webhooks_begin(ngx_http_iclock_sender_t *s)
{
    ngx_uint_t                  prompt;
    ngx_queue_t                *e;
    ngx_http_iclock_webhook_t  *w;

    prompt = 0;

    for (e = ngx_queue_head(&s->all);
         e != ngx_queue_sentinel(&s->all);
         e = ngx_queue_next(e))
    {
        w = ngx_queue_data(e, ngx_http_iclock_webhook_t, queue);

        w->got = 0;
        w->asked = 0;
        w->missed = 0;
        prompt |= ngx_http_iclock_webhook_prompt(w);
    }

    return prompt;
}


static u_char *
ngx_http_iclock_webhooks_wishes(ngx_http_iclock_sender_t *s, u_char *p,
    ngx_uint_t turn, ngx_http_iclock_wishes_t *wishes)
{
    ngx_uint_t                  room;
    ngx_queue_t                *e;
    ngx_http_iclock_webhook_t  *w;

    for (e = ngx_queue_head(&s->all);
         e != ngx_queue_sentinel(&s->all);
         e = ngx_queue_next(e))
    {
        w = ngx_queue_data(e, ngx_http_iclock_webhook_t, queue);

        if (!ngx_http_iclock_webhook_turn(w, turn)) {
            continue;
        }

        room = ngx_http_iclock_webhook_room(w);

        if (room == 0) {
            continue;
        }

        if (wishes->most == 0) {

            if (wishes->first == NULL) {
                wishes->first = e;
            }

            if (turn != NGX_HTTP_ICLOCK_WORK_LATE) {
                w->left = 1;
                s->again = 1;
            }

            continue;
        }

        w->due = 0;
        w->left = 0;
        w->asked = room;
        w->more = 0;
        w->looked = ngx_current_msec;
        wishes->most -= ngx_min(wishes->most, room);

        *p = (p == wishes->start) ? '[' : ',';

        p = ngx_http_iclock_webhook_wish(p + 1, w);
    }

    return p;
}


static ngx_uint_t
ngx_http_iclock_webhook_turn(ngx_http_iclock_webhook_t *w, ngx_uint_t turn)
{
    if (!w->due || w->asked) {
        return 0;
    }

    if (turn == NGX_HTTP_ICLOCK_WORK_LATE) {
        return w->left;
    }

    return ngx_http_iclock_webhook_prompt(w)
           == (turn == NGX_HTTP_ICLOCK_WORK_PROMPT);
}


static size_t
ngx_http_iclock_webhooks_size(ngx_http_iclock_sender_t *s)
{
    size_t                      size;
    ngx_str_t                   after, seen;
    ngx_queue_t                *e;
    ngx_http_iclock_webhook_t  *w;

    size = 2;

    for (e = ngx_queue_head(&s->all);
         e != ngx_queue_sentinel(&s->all);
         e = ngx_queue_next(e))
    {
        w = ngx_queue_data(e, ngx_http_iclock_webhook_t, queue);

        ngx_http_iclock_webhook_place(w, &after, &seen);

        size += NGX_HTTP_ICLOCK_WORK_WANTED + w->node.str.len + after.len
                + seen.len;
    }

    return size;
}


/* nothing of one that is idle is under way: what it has passed is over */

static u_char *
ngx_http_iclock_webhook_wish(u_char *p, ngx_http_iclock_webhook_t *w)
{
    ngx_str_t   after, seen;
    ngx_uint_t  idle;

    ngx_http_iclock_webhook_place(w, &after, &seen);

    p = ngx_sprintf(p, "{\"id\":\"%V\",\"terms\":\"%V\",\"max\":%ui,"
                       "\"after\":\"%V\"",
                    &w->node.str, &w->terms, w->asked, &after);

    if (!w->ordered) {
        idle = ngx_queue_empty(&w->order) && w->nahead == 0
               && w->untold == 0 && w->pass == NULL;

        p = ngx_sprintf(p, ",\"seen\":\"%V\",\"idle\":%s",
                        &seen, idle ? "true" : "false");
    }

    return ngx_cpymem(p, "}", 1);
}


/* a look begins with the first one that the last look had no room for */

static void
ngx_http_iclock_webhooks_next(ngx_http_iclock_sender_t *s, ngx_queue_t *first)
{
    if (first == NULL) {
        return;
    }

    ngx_queue_remove(&s->all);
    ngx_queue_insert_tail(first, &s->all);
}


static ngx_uint_t
ngx_http_iclock_webhook_room(ngx_http_iclock_webhook_t *w)
{
    ngx_uint_t  window;

    if (w->gone || w->held) {
        return 0;
    }

    /* nothing is sent any more: it is to hear what is settled */

    if (w->sender->leaving) {
        return 1;
    }

    /* now and then, to hear what is settled */

    if (w->nahead >= NGX_HTTP_ICLOCK_WEBHOOK_AHEAD) {
        return (ngx_current_msec - w->looked >= NGX_HTTP_ICLOCK_WEBHOOK_TICK);
    }

    /* one that is failing gets a single one, which is a probe */

    if (w->failing) {
        return (w->sending || (w->probe && w->waiting)) ? 0 : 1;
    }

    if (w->sender->bytes > NGX_HTTP_ICLOCK_WEBHOOK_MEMORY) {
        return (w->waiting || w->sending) ? 0 : 1;
    }

    window = ngx_http_iclock_webhook_window(w);

    return (w->waiting < window) ? window - w->waiting : 0;
}


/*
 * One round of what may be under way at once; four and some hundreds of events,
 * shared with others, if it is prompt: a look has a price of its own.
 */

static ngx_uint_t
ngx_http_iclock_webhook_window(ngx_http_iclock_webhook_t *w)
{
    ngx_uint_t  n, share;

    n = w->ordered ? w->batch : w->batch * w->concurrency;

    if (ngx_http_iclock_webhook_prompt(w)) {
        share = NGX_HTTP_ICLOCK_WORK_MOST / w->sender->nwebhooks;

        n = ngx_max(ngx_max(16, 4 * n),
                    ngx_min(share, NGX_HTTP_ICLOCK_WORK_SHARE));
    }

    return ngx_min(n, NGX_HTTP_ICLOCK_WEBHOOK_WAITING);
}


static void
ngx_http_iclock_webhooks_worked(ngx_iclock_query_t *q)
{
    ngx_uint_t                  i, n;
    ngx_queue_t                *e;
    ngx_http_iclock_look_t     *look;
    ngx_http_iclock_sender_t   *s;
    ngx_http_iclock_webhook_t  *w;

    s = q->data;
    s->working = 0;

    n = (q->rc == NGX_OK && q->ncols == NGX_HTTP_ICLOCK_WORK_COLUMNS)
        ? q->nrows : 0;

    ngx_log_debug2(NGX_LOG_DEBUG_HTTP, s->log, 0,
                   "iclock webhooks: looked for work: %i, events: %ui",
                   q->rc, q->nrows);

    look = NULL;

    for (i = 0; i < n; i++) {
        ngx_http_iclock_webhooks_row(s, &look,
                                     ngx_iclock_query_value(q, i, 0));
    }

    ngx_http_iclock_look_release(&look);

    if (q->rc != NGX_OK) {
        /* the tick asks again: what is refused would be refused at once */
        s->again = 0;
    }

    ngx_iclock_query_destroy(q);

    if (n) {
        for (e = ngx_queue_head(&s->all);
             e != ngx_queue_sentinel(&s->all);
             e = ngx_queue_next(e))
        {
            w = ngx_queue_data(e, ngx_http_iclock_webhook_t, queue);

            if (w->asked && w->ordered) {
                w->more = (w->got >= w->asked && !w->failing);
            }

            if (w->got) {
                ngx_http_iclock_webhook_ready(w);
            }
        }
    }

    n = s->again;

    ngx_http_iclock_webhooks_send(s);

    if (n) {
        ngx_http_iclock_webhooks_look(s);
    }

    ngx_http_iclock_sender_leave(s);
}


static void
ngx_http_iclock_webhooks_row(ngx_http_iclock_sender_t *s,
    ngx_http_iclock_look_t **look, ngx_str_t *row)
{
    ngx_str_t                  *kind;
    ngx_http_iclock_webhook_t  *w;

    kind = &row[NGX_HTTP_ICLOCK_WORK_KIND];

    if (kind->len == sizeof("look") - 1
        && ngx_strncmp(kind->data, "look", kind->len) == 0)
    {
        ngx_http_iclock_look_release(look);
        *look = ngx_http_iclock_look_create(s,
                                            &row[NGX_HTTP_ICLOCK_WORK_CURSOR],
                                            &row[NGX_HTTP_ICLOCK_WORK_PAYLOAD]);

        ngx_http_iclock_webhooks_ended(s, *look,
                                       &row[NGX_HTTP_ICLOCK_WORK_TYPE]);
        return;
    }

    w = ngx_http_iclock_webhook_find(s, &row[NGX_HTTP_ICLOCK_WORK_WEBHOOK]);

    /* what was asked for before a reset begins in the wrong place */

    if (w == NULL || w->gone || w->asked == 0) {
        return;
    }

    if (kind->len == sizeof("part") - 1
        && ngx_strncmp(kind->data, "part", kind->len) == 0)
    {
        if (*look) {
            ngx_http_iclock_webhook_looked(w, *look,
                                           &row[NGX_HTTP_ICLOCK_WORK_CURSOR]);
        }

        return;
    }

    if (w->failing) {
        w->probe = 1;
    }

    if (kind->len == sizeof("retry") - 1
        && ngx_strncmp(kind->data, "retry", kind->len) == 0)
    {
        ngx_http_iclock_webhook_retry(w, row);

    } else {
        ngx_http_iclock_webhook_event(w, row);
    }
}


/*
 * Something may still come in front of an event.  It is sent nevertheless,
 * unless the order matters: then PostgreSQL gives only what is settled.
 */

static void
ngx_http_iclock_webhook_event(ngx_http_iclock_webhook_t *w, ngx_str_t *row)
{
    ngx_str_t                 *cursor;
    ngx_http_iclock_letter_t  *l;

    cursor = &row[NGX_HTTP_ICLOCK_WORK_CURSOR];

    if (w->missed || cursor->len == 0 || cursor->len > sizeof(w->texts[0])) {
        return;
    }

    /* the same may come twice before all was read once */

    if (ngx_str_rbtree_lookup(&w->ahead, cursor, 0)) {
        return;
    }

    l = ngx_http_iclock_letter_create(w, row, 0);

    if (l == NULL) {
        w->missed = 1;
        return;
    }

    w->got++;
    ngx_http_iclock_letter_wait(l, 0);
    ngx_http_iclock_letter_ahead(l);

    if (w->ordered) {
        ngx_http_iclock_letter_settle(l);
    }
}


/*
 * It may come again before its result was stored.  If somebody has asked for it
 * meanwhile, that result is of another "first", and PostgreSQL gives it anew.
 */

static void
ngx_http_iclock_webhook_retry(ngx_http_iclock_webhook_t *w, ngx_str_t *row)
{
    ngx_str_t                 *id;
    ngx_http_iclock_letter_t  *l;

    id = &row[NGX_HTTP_ICLOCK_WORK_ID];

    if (ngx_str_rbtree_lookup(&w->known, id,
                              ngx_crc32_short(id->data, id->len)))
    {
        return;
    }

    l = ngx_http_iclock_letter_create(w, row, 1);
    if (l == NULL) {
        return;
    }

    w->got++;

    ngx_http_iclock_letter_know(l);
    ngx_http_iclock_letter_wait(l, 0);
}


static ngx_http_iclock_letter_t *
ngx_http_iclock_letter_create(ngx_http_iclock_webhook_t *w, ngx_str_t *row,
    ngx_uint_t retry)
{
    u_char                    *p;
    size_t                     size;
    ngx_str_t                  first;
    ngx_int_t                  attempt;
    ngx_http_iclock_letter_t  *l;

    ngx_str_null(&first);

    if (retry) {
        first = row[NGX_HTTP_ICLOCK_WORK_FIRST];
    }

    size = sizeof(ngx_http_iclock_letter_t)
           + row[NGX_HTTP_ICLOCK_WORK_CURSOR].len
           + row[NGX_HTTP_ICLOCK_WORK_ID].len
           + row[NGX_HTTP_ICLOCK_WORK_TYPE].len
           + row[NGX_HTTP_ICLOCK_WORK_PAYLOAD].len
           + first.len;

    l = ngx_alloc(size, w->sender->log);
    if (l == NULL) {
        return NULL;
    }

    ngx_memzero(l, sizeof(ngx_http_iclock_letter_t));

    l->webhook = w;
    l->size = size;
    l->retry = retry;

    attempt = ngx_atoi(row[NGX_HTTP_ICLOCK_WORK_ATTEMPT].data,
                       row[NGX_HTTP_ICLOCK_WORK_ATTEMPT].len);
    l->attempt = ngx_max(attempt, 1);

    p = (u_char *) (l + 1);

    p = ngx_http_iclock_letter_text(p, &l->cursor,
                                    &row[NGX_HTTP_ICLOCK_WORK_CURSOR]);
    p = ngx_http_iclock_letter_text(p, &l->id, &row[NGX_HTTP_ICLOCK_WORK_ID]);
    p = ngx_http_iclock_letter_text(p, &l->type,
                                    &row[NGX_HTTP_ICLOCK_WORK_TYPE]);
    p = ngx_http_iclock_letter_text(p, &l->payload,
                                    &row[NGX_HTTP_ICLOCK_WORK_PAYLOAD]);
    (void) ngx_http_iclock_letter_text(p, &l->first, &first);

    ngx_http_iclock_api_json_compact(&l->payload);

    w->sender->bytes += size;

    return l;
}


static u_char *
ngx_http_iclock_letter_text(u_char *p, ngx_str_t *dst, ngx_str_t *src)
{
    dst->data = p;
    dst->len = src->len;

    return ngx_cpymem(p, src->data, src->len);
}
