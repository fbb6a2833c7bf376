
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


#include "iclock_pg_private.h"


/* after a deadlock the other one goes first, in milliseconds */
#define NGX_ICLOCK_PG_YIELD  50


static void ngx_iclock_pg_recover_tell(ngx_iclock_pg_member_t *member,
    ngx_iclock_pg_batch_t *batch);
static void ngx_iclock_pg_recover_reconnect(ngx_iclock_pg_member_t *member,
    ngx_iclock_pg_batch_t *batch);
static void ngx_iclock_pg_recover_split(ngx_iclock_pg_member_t *member,
    ngx_iclock_pg_batch_t *batch);
static void ngx_iclock_pg_recover_reject(ngx_iclock_pg_member_t *member,
    ngx_iclock_pg_batch_t *batch);
static void ngx_iclock_pg_recover_apart(ngx_iclock_pg_member_t *member,
    ngx_iclock_pg_batch_t *batch, ngx_int_t rc);
static void ngx_iclock_pg_recover_deadline(ngx_iclock_pg_member_t *member,
    ngx_iclock_pg_batch_t *batch);
static void ngx_iclock_pg_recover_log(ngx_iclock_pg_member_t *member);


void
ngx_iclock_pg_recover(ngx_iclock_pg_member_t *member,
    ngx_iclock_pg_batch_t *batch)
{
    ngx_uint_t  action;

    ngx_iclock_pg_trace(batch, "failed, SQLSTATE ", member->sqlstate);

    ngx_iclock_count_by(ERRORS,
                        ngx_iclock_label_find(NGX_ICLOCK_LABEL_SQLSTATE,
                                              member->sqlstate, 2), 1);

    if (member->pool->handlers->failed) {
        ngx_iclock_pg_recover_tell(member, batch);
    }

    action = ngx_iclock_pg_error_action((char *) member->sqlstate);

    if (action == NGX_ICLOCK_PG_RECONNECT && batch->tries
        && ngx_strncmp(member->sqlstate, "0A", 2) == 0)
    {
        /* no plan is out of date: some function of the site raises it */
        action = NGX_ICLOCK_PG_APART;
    }

    switch (action) {

    case NGX_ICLOCK_PG_DATA:
        ngx_iclock_pg_recover_split(member, batch);
        return;

    case NGX_ICLOCK_PG_RECONNECT:
        ngx_iclock_pg_recover_reconnect(member, batch);
        return;

    case NGX_ICLOCK_PG_RETRY:
        ngx_iclock_pg_recover_retry(member, batch, NGX_BUSY);
        return;

    case NGX_ICLOCK_PG_APART:
        ngx_iclock_pg_recover_apart(member, batch, NGX_ERROR);
        return;

    default:
        ngx_iclock_pg_recover_log(member);
        ngx_iclock_pg_queue_settle(member->pool, batch, NGX_ERROR);
        return;
    }
}


static void
ngx_iclock_pg_recover_tell(ngx_iclock_pg_member_t *member,
    ngx_iclock_pg_batch_t *batch)
{
    ngx_str_t               sqlstate, message;
    ngx_uint_t              i;
    ngx_iclock_pg_pool_t   *pool;
    ngx_iclock_pg_slice_t  *slice;

    pool = member->pool;
    slice = batch->slices.elts;

    sqlstate.data = member->sqlstate;
    sqlstate.len = ngx_strlen(member->sqlstate);
    message.data = member->message;
    message.len = member->message_len;

    for (i = 0; i < batch->slices.nelts; i++) {
        pool->handlers->failed(slice[i].job, &sqlstate, &message, pool->data);
    }
}


/* what this connection knows is out of date */

static void
ngx_iclock_pg_recover_reconnect(ngx_iclock_pg_member_t *member,
    ngx_iclock_pg_batch_t *batch)
{
    ngx_iclock_pg_pool_t  *pool;

    pool = member->pool;

    if (ngx_strcmp(member->sqlstate, NGX_ICLOCK_PG_OTHER_DATABASE) == 0) {

        ngx_log_error(NGX_LOG_NOTICE, pool->log, 0,
                      "iclock: the database was replaced, connecting anew");

        /* the others do not know it either, unless one is connected anew */

        if (member->conn.database == pool->database) {
            pool->generation++;
        }

    } else {
        ngx_iclock_pg_recover_log(member);
    }

    if (ngx_strncmp(member->sqlstate, "26", 2) == 0
        || ngx_strcmp(member->sqlstate, "42P05") == 0
        || ngx_strcmp(member->sqlstate, "08P01") == 0)
    {
        /* prepared statements do not live long behind some poolers */
        pool->unprepared = 1;
    }

    if (ngx_strncmp(member->sqlstate, "0A", 2) == 0 && batch->tries == 0) {
        /* a table has changed, which no connection knows of */
        pool->generation++;
    }

    ngx_iclock_pg_conn_close(&member->conn);
    ngx_iclock_pg_recover_retry(member, batch, NGX_DECLINED);
    ngx_iclock_pg_recover_pass_on(member);
}


/*
 * Some record is at fault.  Both halves are run again, in their order and on
 * this connection, until the record stands alone.
 */

static void
ngx_iclock_pg_recover_split(ngx_iclock_pg_member_t *member,
    ngx_iclock_pg_batch_t *batch)
{
    ngx_iclock_pg_pool_t   *pool;
    ngx_iclock_pg_batch_t  *rest;

    pool = member->pool;

    ngx_iclock_pg_batch_count(pool, NGX_ICLOCK_L_COMMIT_SPLIT);

    if (batch->nitems > 1) {

        ngx_iclock_pg_trace(batch, "split", NULL);

        rest = ngx_iclock_pg_batch_split(batch, pool->log);

        if (rest == NULL) {
            ngx_iclock_pg_queue_settle(pool, batch, NGX_ERROR);
            return;
        }

        ngx_queue_insert_head(&member->todo, &rest->queue);
        ngx_queue_insert_head(&member->todo, &batch->queue);
        return;
    }

    if (!batch->failed_alone) {

        /* what fails in company, or once, may pass alone and later */

        ngx_iclock_pg_trace(batch, "retried alone", NULL);

        batch->failed_alone = 1;
        ngx_queue_insert_head(&member->todo, &batch->queue);
        return;
    }

    ngx_iclock_pg_recover_reject(member, batch);
}


/* a single item fails again and again */

static void
ngx_iclock_pg_recover_reject(ngx_iclock_pg_member_t *member,
    ngx_iclock_pg_batch_t *batch)
{
    ngx_str_t               sqlstate, message;
    ngx_iclock_pg_pool_t   *pool;
    ngx_iclock_pg_slice_t  *slice;

    pool = member->pool;
    slice = batch->slices.elts;

    if (slice->job->cancelled) {
        /* what the item points to is gone */
        ngx_iclock_pg_queue_settle(pool, batch, NGX_ERROR);
        return;
    }

    sqlstate.data = member->sqlstate;
    sqlstate.len = ngx_strlen(member->sqlstate);
    message.data = member->message;
    message.len = member->message_len;

    if (batch->rejected
        || pool->handlers->reject(slice->job, slice->first, &sqlstate,
                                  &message, pool->data)
           != NGX_OK)
    {
        ngx_iclock_pg_recover_log(member);
        ngx_iclock_pg_queue_settle(pool, batch, NGX_ERROR);
        return;
    }

    ngx_iclock_pg_trace(batch, "record refused", NULL);

    batch->rejected = 1;
    ngx_queue_insert_head(&member->todo, &batch->queue);
}


/*
 * Some job waited too long for a lock, say.  Each is run again by itself, so
 * that the others do not fail with it.
 */

static void
ngx_iclock_pg_recover_apart(ngx_iclock_pg_member_t *member,
    ngx_iclock_pg_batch_t *batch, ngx_int_t rc)
{
    ngx_iclock_pg_pool_t   *pool;
    ngx_iclock_pg_batch_t  *rest;

    pool = member->pool;

    if (batch->apart || batch->slices.nelts == 1) {

        if (batch->nitems > NGX_ICLOCK_PG_SLICE) {
            /* it comes again, and goes out in small parts then */
            pool->slow = ngx_current_msec;
        }

        ngx_iclock_pg_recover_log(member);
        ngx_iclock_pg_queue_settle(pool, batch, rc);
        return;
    }

    ngx_iclock_pg_batch_count(pool, NGX_ICLOCK_L_COMMIT_SPLIT);

    ngx_iclock_pg_trace(batch, "taken apart, job by job", NULL);

    while (batch->slices.nelts > 1) {

        rest = ngx_iclock_pg_batch_pop(batch, pool->log);

        if (rest == NULL) {
            break;
        }

        rest->apart = 1;
        ngx_iclock_pg_recover_deadline(member, rest);
        ngx_queue_insert_head(&member->todo, &rest->queue);
    }

    batch->apart = 1;
    ngx_iclock_pg_recover_deadline(member, batch);
    ngx_queue_insert_head(&member->todo, &batch->queue);
}


/* another chance for those that are not at fault */

static void
ngx_iclock_pg_recover_deadline(ngx_iclock_pg_member_t *member,
    ngx_iclock_pg_batch_t *batch)
{
    ngx_uint_t              i;
    ngx_iclock_pg_slice_t  *slice;

    slice = batch->slices.elts;

    for (i = 0; i < batch->slices.nelts; i++) {
        slice[i].job->deadline = ngx_current_msec
                                 + member->pool->conf->timeout;
    }
}


/*
 * All statements but those of a job with "once" are idempotent, so a batch may
 * be sent again even if nobody knows whether it was committed; only numbers
 * that operators look at may count it twice.
 */

void
ngx_iclock_pg_recover_retry(ngx_iclock_pg_member_t *member,
    ngx_iclock_pg_batch_t *batch, ngx_int_t rc)
{
    ngx_iclock_pg_pool_t  *pool;

    pool = member->pool;

    if (batch->tries++ >= NGX_ICLOCK_PG_RETRIES) {

        if (rc == NGX_BUSY) {
            ngx_iclock_pg_recover_apart(member, batch, rc);
            return;
        }

        ngx_iclock_pg_queue_settle(pool, batch, rc);
        return;
    }

    ngx_iclock_pg_batch_count(pool, NGX_ICLOCK_L_COMMIT_RETRIED);

    ngx_iclock_pg_trace(batch, "retried", NULL);

    /* halves are run in their order, since what comes last wins */

    if (!ngx_queue_empty(&member->todo)) {
        ngx_queue_add(&batch->rest, &member->todo);
        ngx_queue_init(&member->todo);
    }

    if (rc != NGX_BUSY) {
        ngx_queue_insert_tail(&pool->redo, &batch->queue);
        return;
    }

    ngx_queue_insert_tail(&pool->later, &batch->queue);

    if (!pool->yield.timer_set) {
        ngx_add_timer(&pool->yield,
                      NGX_ICLOCK_PG_YIELD
                      + (ngx_msec_t) ngx_random() % NGX_ICLOCK_PG_YIELD);
    }
}


void
ngx_iclock_pg_recover_pass_on(ngx_iclock_pg_member_t *member)
{
    ngx_queue_t            *q;
    ngx_iclock_pg_batch_t  *batch;

    if (ngx_queue_empty(&member->todo)) {
        return;
    }

    q = ngx_queue_head(&member->todo);
    ngx_queue_remove(q);

    batch = ngx_queue_data(q, ngx_iclock_pg_batch_t, queue);

    if (!ngx_queue_empty(&member->todo)) {
        ngx_queue_add(&batch->rest, &member->todo);
        ngx_queue_init(&member->todo);
    }

    ngx_queue_insert_head(&member->pool->redo, q);
}


static void
ngx_iclock_pg_recover_log(ngx_iclock_pg_member_t *member)
{
    size_t       len;
    u_char       buf[2 * NGX_ICLOCK_PG_ERROR_LEN];
    const char  *advice;

    advice = ngx_iclock_pg_error_advice((char *) member->sqlstate);

    len = ngx_snprintf(buf, sizeof(buf), "SQLSTATE %s: %*s%s",
                       member->sqlstate, member->message_len, member->message,
                       advice ? advice : "")
          - buf;

    ngx_iclock_pg_log_failure(member->pool->stat, member->pool->log,
                              "PostgreSQL refused a transaction", buf, len);
}
