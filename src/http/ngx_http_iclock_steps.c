
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


#include "ngx_http_iclock_steps.h"


/*
 * What would take longer than a turn of the event loop may is done in steps,
 * as many a turn as begin within a millisecond.
 *
 * Requests that are done after a few steps come before those that are not: a
 * small packet does not wait until large ones are unpacked.  Every second step
 * is one of the others, of which only the first goes on, since what a body is
 * made into takes memory.
 *
 * What a device sends goes to PostgreSQL in the order in which it came: a
 * request waits behind those of the same device that are here.
 */


/* steps of one turn begin within so many microseconds */
#define NGX_HTTP_ICLOCK_STEPS_TURN   1000

/* what is not done after so many steps is long */
#define NGX_HTTP_ICLOCK_STEPS_SHORT  8

/* a worker that shuts down goes on as long as this timer is set, in ms */
#define NGX_HTTP_ICLOCK_STEPS_TIMER  60000


/* a request that is worked on step by step, or waits for such a one */
struct ngx_http_iclock_turn_s {
    ngx_rbtree_node_t             node;     /* of the first of a device, */
    ngx_queue_t                   behind;   /* and the others of it */
    ngx_queue_t                   queue;
    ngx_http_request_t           *request;
    ngx_http_iclock_handler_pt    step;     /* NULL: it only waits */
    ngx_http_iclock_handler_pt    handler;
    size_t                        held;
    ngx_uint_t                    steps;    /* that were done */
    unsigned                      first:1;
    unsigned                      waits:1;
};


/* those of this worker */
struct ngx_http_iclock_steps_s {
    ngx_queue_t                   brief;
    ngx_queue_t                   lengthy;
    ngx_uint_t                    second;   /* one of these is next */
    ngx_rbtree_t                  devices;  /* the first of each */
    ngx_rbtree_node_t             sentinel;
    ngx_event_t                   event;
};


static ngx_http_iclock_turn_t *ngx_http_iclock_steps_find(
    ngx_http_iclock_steps_t *steps, int64_t device);
static void ngx_http_iclock_steps_first(ngx_http_iclock_steps_t *steps,
    ngx_http_iclock_turn_t *turn, ngx_rbtree_key_t device);
static void ngx_http_iclock_steps_leave(ngx_http_iclock_main_conf_t *imcf,
    ngx_http_iclock_turn_t *turn);
static void ngx_http_iclock_steps_post(ngx_http_iclock_steps_t *steps);
static void ngx_http_iclock_steps_handler(ngx_event_t *ev);
static ngx_http_iclock_turn_t *ngx_http_iclock_steps_next(
    ngx_http_iclock_steps_t *steps);
static void ngx_http_iclock_steps_run(ngx_http_iclock_main_conf_t *imcf,
    ngx_http_iclock_turn_t *turn);
static ngx_int_t ngx_http_iclock_steps_result(ngx_http_iclock_turn_t *turn,
    ngx_int_t rc);


ngx_int_t
ngx_http_iclock_steps_init(ngx_http_iclock_main_conf_t *imcf,
    ngx_cycle_t *cycle)
{
    ngx_http_iclock_steps_t  *steps;

    steps = ngx_pcalloc(cycle->pool, sizeof(ngx_http_iclock_steps_t));
    if (steps == NULL) {
        return NGX_ERROR;
    }

    ngx_queue_init(&steps->brief);
    ngx_queue_init(&steps->lengthy);
    ngx_rbtree_init(&steps->devices, &steps->sentinel,
                    ngx_rbtree_insert_value);

    steps->event.handler = ngx_http_iclock_steps_handler;
    steps->event.data = imcf;
    steps->event.log = cycle->log;

    imcf->steps = steps;

    return NGX_OK;
}


ngx_int_t
ngx_http_iclock_steps(ngx_http_request_t *r, ngx_http_iclock_ctx_t *ctx,
    size_t held, ngx_http_iclock_handler_pt step,
    ngx_http_iclock_handler_pt handler)
{
    ngx_http_iclock_turn_t       *turn, *first;
    ngx_http_iclock_main_conf_t  *imcf;

    imcf = ngx_http_get_module_main_conf(r, ngx_http_iclock_module);

    if (ctx->turn == NULL) {
        ctx->turn = ngx_palloc(r->pool, sizeof(ngx_http_iclock_turn_t));
        if (ctx->turn == NULL) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }
    }

    turn = ctx->turn;

    ngx_memzero(turn, sizeof(ngx_http_iclock_turn_t));

    turn->request = r;
    turn->step = step;
    turn->handler = handler;
    turn->held = held;
    turn->waits = 1;

    ngx_iclock_store_hold(imcf->store, (ssize_t) held);

    first = ngx_http_iclock_steps_find(imcf->steps, ctx->known.id);

    ngx_log_debug2(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                   "iclock steps: %uz bytes%s", held,
                   first ? ", behind others of the device" : "");

    if (first) {
        ngx_queue_insert_tail(&first->behind, &turn->queue);

    } else {
        ngx_http_iclock_steps_first(imcf->steps, turn,
                                    (ngx_rbtree_key_t) ctx->known.id);
    }

    /* as while a job is waited for */

    r->main->count++;
    r->read_event_handler = ngx_http_block_reading;
    r->write_event_handler = ngx_http_request_empty_handler;

    return NGX_DONE;
}


ngx_uint_t
ngx_http_iclock_steps_behind(ngx_http_request_t *r,
    ngx_http_iclock_ctx_t *ctx)
{
    ngx_http_iclock_turn_t       *first;
    ngx_http_iclock_main_conf_t  *imcf;

    imcf = ngx_http_get_module_main_conf(r, ngx_http_iclock_module);

    first = ngx_http_iclock_steps_find(imcf->steps, ctx->known.id);

    return first != NULL && first != ctx->turn;
}


/* devices that share a key share their turn */

static ngx_http_iclock_turn_t *
ngx_http_iclock_steps_find(ngx_http_iclock_steps_t *steps, int64_t device)
{
    ngx_rbtree_key_t    key;
    ngx_rbtree_node_t  *node;

    key = (ngx_rbtree_key_t) device;
    node = steps->devices.root;

    while (node != &steps->sentinel) {

        if (key == node->key) {
            return (ngx_http_iclock_turn_t *) node;
        }

        node = (key < node->key) ? node->left : node->right;
    }

    return NULL;
}


static void
ngx_http_iclock_steps_first(ngx_http_iclock_steps_t *steps,
    ngx_http_iclock_turn_t *turn, ngx_rbtree_key_t device)
{
    turn->first = 1;
    turn->node.key = device;

    ngx_queue_init(&turn->behind);
    ngx_rbtree_insert(&steps->devices, &turn->node);

    ngx_queue_insert_tail(&steps->brief, &turn->queue);
    ngx_http_iclock_steps_post(steps);
}


ngx_int_t
ngx_http_iclock_steps_hold(ngx_http_request_t *r, ngx_http_iclock_ctx_t *ctx,
    size_t held)
{
    ngx_queue_t                  *q;
    ngx_http_iclock_turn_t       *turn;
    ngx_http_iclock_steps_t      *steps;
    ngx_http_iclock_main_conf_t  *imcf;

    imcf = ngx_http_get_module_main_conf(r, ngx_http_iclock_module);
    steps = imcf->steps;
    turn = ctx->turn;

    if (held <= turn->held) {
        return NGX_OK;
    }

    q = ngx_queue_head(ngx_queue_empty(&steps->lengthy) ? &steps->brief
                                                        : &steps->lengthy);

    if (!ngx_iclock_store_may_hold(imcf->store, held - turn->held,
                                   q == &turn->queue))
    {
        return NGX_BUSY;
    }

    ngx_iclock_store_hold(imcf->store, (ssize_t) (held - turn->held));

    turn->held = held;

    return NGX_OK;
}


void
ngx_http_iclock_steps_cancel(ngx_http_iclock_ctx_t *ctx)
{
    ngx_http_iclock_turn_t       *turn;
    ngx_http_iclock_main_conf_t  *imcf;

    turn = ctx->turn;

    if (turn == NULL || !turn->waits) {
        return;
    }

    imcf = ngx_http_get_module_main_conf(turn->request,
                                         ngx_http_iclock_module);

    ngx_http_iclock_steps_leave(imcf, turn);
}


/* the next one of its device takes its place */

static void
ngx_http_iclock_steps_leave(ngx_http_iclock_main_conf_t *imcf,
    ngx_http_iclock_turn_t *turn)
{
    ngx_queue_t              *q;
    ngx_http_iclock_turn_t   *next;
    ngx_http_iclock_steps_t  *steps;

    steps = imcf->steps;

    turn->waits = 0;

    ngx_iclock_store_hold(imcf->store, - (ssize_t) turn->held);
    ngx_queue_remove(&turn->queue);

    if (turn->first) {

        ngx_rbtree_delete(&steps->devices, &turn->node);

        if (!ngx_queue_empty(&turn->behind)) {

            q = ngx_queue_head(&turn->behind);
            ngx_queue_remove(q);

            next = ngx_queue_data(q, ngx_http_iclock_turn_t, queue);

            ngx_http_iclock_steps_first(steps, next, turn->node.key);

            if (!ngx_queue_empty(&turn->behind)) {
                ngx_queue_add(&next->behind, &turn->behind);
            }
        }
    }

    ngx_http_iclock_steps_post(steps);
}


static void
ngx_http_iclock_steps_post(ngx_http_iclock_steps_t *steps)
{
    if (ngx_queue_empty(&steps->brief) && ngx_queue_empty(&steps->lengthy)) {

        if (steps->event.timer_set) {
            ngx_del_timer(&steps->event);
        }

        return;
    }

    ngx_post_event(&steps->event, &ngx_posted_next_events);

    if (!steps->event.timer_set) {
        ngx_add_timer(&steps->event, NGX_HTTP_ICLOCK_STEPS_TIMER);
    }
}


static void
ngx_http_iclock_steps_handler(ngx_event_t *ev)
{
    uint64_t                      began;
    ngx_http_iclock_turn_t       *turn;
    ngx_http_iclock_main_conf_t  *imcf;

    imcf = ev->data;
    began = ngx_iclock_metric_clock();

    do {
        turn = ngx_http_iclock_steps_next(imcf->steps);

        if (turn == NULL) {
            break;
        }

        ngx_http_iclock_steps_run(imcf, turn);
    } while (ngx_iclock_metric_clock() - began < NGX_HTTP_ICLOCK_STEPS_TURN);

    ngx_http_iclock_steps_post(imcf->steps);
}


static ngx_http_iclock_turn_t *
ngx_http_iclock_steps_next(ngx_http_iclock_steps_t *steps)
{
    ngx_queue_t  *queue;

    steps->second = !steps->second;

    queue = steps->second ? &steps->lengthy : &steps->brief;

    if (ngx_queue_empty(queue)) {
        queue = steps->second ? &steps->brief : &steps->lengthy;
    }

    return ngx_queue_empty(queue)
           ? NULL
           : ngx_queue_data(ngx_queue_head(queue), ngx_http_iclock_turn_t,
                            queue);
}


static void
ngx_http_iclock_steps_run(ngx_http_iclock_main_conf_t *imcf,
    ngx_http_iclock_turn_t *turn)
{
    ngx_int_t               rc;
    ngx_connection_t       *c;
    ngx_http_request_t     *r;
    ngx_http_iclock_ctx_t  *ctx;

    r = turn->request;
    c = r->connection;
    ctx = ngx_http_get_module_ctx(r, ngx_http_iclock_module);

    ngx_http_set_log_request(c->log, r);

    rc = turn->step ? turn->step(r, ctx) : NGX_OK;

    if (rc == NGX_AGAIN) {

        if (++turn->steps == NGX_HTTP_ICLOCK_STEPS_SHORT) {
            ngx_queue_remove(&turn->queue);
            ngx_queue_insert_tail(&imcf->steps->lengthy, &turn->queue);
        }

        return;
    }

    rc = ngx_http_iclock_steps_result(turn, rc);

    ngx_http_iclock_steps_leave(imcf, turn);

    ngx_http_finalize_request(r, rc);
    ngx_http_run_posted_requests(c);
}


static ngx_int_t
ngx_http_iclock_steps_result(ngx_http_iclock_turn_t *turn, ngx_int_t rc)
{
    ngx_http_request_t     *r;
    ngx_http_iclock_ctx_t  *ctx;

    r = turn->request;
    ctx = ngx_http_get_module_ctx(r, ngx_http_iclock_module);

    switch (rc) {

    case NGX_OK:
        return turn->handler(r, ctx);

    case NGX_BUSY:
        ctx->unavailable = NGX_ICLOCK_L_REFUSAL_QUEUE;
        return ngx_http_iclock_unavailable(r);

    default:
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }
}
