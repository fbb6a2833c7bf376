
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


#include "ngx_http_iclock.h"


/* what a device asks for, and a function of the database answers */
typedef struct {
    ngx_str_t   name;       /* of "type" or "table" */
    size_t      selector;   /* which of them */
    ngx_uint_t  call;
} ngx_http_iclock_question_t;


static ngx_int_t ngx_http_iclock_ask(ngx_http_request_t *r,
    ngx_http_iclock_ctx_t *ctx);
static ngx_int_t ngx_http_iclock_answered(ngx_http_request_t *r,
    ngx_http_iclock_ctx_t *ctx);
static ngx_int_t ngx_http_iclock_decision_body(ngx_http_request_t *r,
    ngx_http_iclock_ctx_t *ctx);
static ngx_int_t ngx_http_iclock_decision_stored(ngx_http_request_t *r,
    ngx_http_iclock_ctx_t *ctx);
static ngx_int_t ngx_http_iclock_decision_done(ngx_http_request_t *r,
    ngx_http_iclock_ctx_t *ctx);


static const ngx_http_iclock_question_t  ngx_http_iclock_questions[] = {

    /* SDK 3.2.0, section 14 */
    { ngx_string("LastPunch"), offsetof(ngx_http_iclock_args_t, type),
      NGX_ICLOCK_CALL_LAST_PUNCH },

    /* SDK 3.2.0, section 13.3 */
    { ngx_string("SELFSERVICEDATA"), offsetof(ngx_http_iclock_args_t, table),
      NGX_ICLOCK_CALL_SELF_SERVICE },

    /* attendance PUSH 2.4.1, section 14 */
    { ngx_string("RemoteAtt"), offsetof(ngx_http_iclock_args_t, table),
      NGX_ICLOCK_CALL_REMOTE_ATTENDANCE },

    { ngx_null_string, 0, 0 }
};


ngx_int_t
ngx_http_iclock_question(ngx_http_request_t *r, ngx_http_iclock_ctx_t *ctx)
{
    ngx_str_t                         *value;
    const ngx_http_iclock_question_t  *q;

    for (q = ngx_http_iclock_questions; q->name.len; q++) {

        value = (ngx_str_t *) ((u_char *) &ctx->args + q->selector);

        if (value->len == q->name.len
            && ngx_strncasecmp(value->data, q->name.data, q->name.len) == 0)
        {
            ctx->call = q->call;
            return ngx_http_iclock_admit(r, ctx, 0, ngx_http_iclock_ask);
        }
    }

    return NGX_DECLINED;
}


static ngx_int_t
ngx_http_iclock_ask(ngx_http_request_t *r, ngx_http_iclock_ctx_t *ctx)
{
    ngx_iclock_store_job_t  *job;

    job = ngx_http_iclock_job(r, ctx);

    if (job == NULL
        || ngx_iclock_store_call(job, ctx->call, &ctx->args.pin,
                                 &ctx->args.service)
           != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_iclock_submit(r, ctx, ngx_http_iclock_answered);
}


static ngx_int_t
ngx_http_iclock_answered(ngx_http_request_t *r, ngx_http_iclock_ctx_t *ctx)
{
    ngx_str_t  text;

    if (ctx->job->rc != NGX_OK) {
        return ngx_http_iclock_unavailable(r);
    }

    /* the text belongs to the job, which ends with this handler */

    text.len = ctx->job->text.len;
    text.data = ngx_pnalloc(r->pool, text.len + 1);
    if (text.data == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_memcpy(text.data, ctx->job->text.data, text.len);

    if (ngx_iclock_encode_text(&text, ctx->known.encoding, r->pool)
        == NGX_ERROR)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_iclock_reply(r, &text);
}


/*
 * Attendance PUSH 2.4.1, section 12.8.3.  What is posted is documented
 * nowhere: it is kept as it is, and a function of the site decides.
 */

ngx_int_t
ngx_http_iclock_decision(ngx_http_request_t *r, ngx_http_iclock_ctx_t *ctx)
{
    return ngx_http_iclock_admit(r, ctx, NGX_HTTP_ICLOCK_READS,
                                 ngx_http_iclock_decision_body);
}


static ngx_int_t
ngx_http_iclock_decision_body(ngx_http_request_t *r,
    ngx_http_iclock_ctx_t *ctx)
{
    ngx_iclock_store_job_t  *job;

    if (ngx_http_iclock_body(r, &ctx->body.text) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (ctx->body.text.len == 0) {
        return ngx_http_iclock_reply_ok(r);
    }

    job = ngx_http_iclock_job(r, ctx);
    if (job == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    job->held = ctx->body.text.len;
    job->table = ctx->args.type;

    if (ngx_iclock_split_raw(&job->upload, &ctx->body.text, job->pool)
        != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_iclock_submit(r, ctx, ngx_http_iclock_decision_stored);
}


static ngx_int_t
ngx_http_iclock_decision_stored(ngx_http_request_t *r,
    ngx_http_iclock_ctx_t *ctx)
{
    ngx_iclock_store_job_t  *job;

    if (ctx->job->rc != NGX_OK) {
        return ngx_http_iclock_unavailable(r);
    }

    job = ngx_http_iclock_job(r, ctx);
    if (job == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    job->held = ctx->body.text.len;

    if (ngx_iclock_store_call(job, NGX_ICLOCK_CALL_VERIFY_DECISION,
                              &ctx->body.text, NULL)
        != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_iclock_submit(r, ctx, ngx_http_iclock_decision_done);
}


static ngx_int_t
ngx_http_iclock_decision_done(ngx_http_request_t *r,
    ngx_http_iclock_ctx_t *ctx)
{
    /* the data is kept; a function that fails is no reason to send it again */

    if (ctx->job->rc != NGX_OK || ctx->job->text.len == 0) {
        return ngx_http_iclock_reply_ok(r);
    }

    return ngx_http_iclock_answered(r, ctx);
}
