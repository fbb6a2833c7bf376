
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


#include "ngx_http_iclock.h"


/* refusals of one kind that a worker logs in a second */
#define NGX_HTTP_ICLOCK_LOGGED  10


typedef struct {
    ngx_uint_t  status;     /* of a reply to anything but a handshake */
    ngx_uint_t  metric;     /* NGX_ICLOCK_L_REFUSAL_* */
    char       *reason;     /* NULL: logged elsewhere */
} ngx_http_iclock_refusal_t;


static void ngx_http_iclock_knock(ngx_http_request_t *r,
    ngx_http_iclock_ctx_t *ctx);
static ngx_int_t ngx_http_iclock_lookup(ngx_http_request_t *r,
    ngx_http_iclock_ctx_t *ctx);
static ngx_int_t ngx_http_iclock_looked_up(ngx_http_request_t *r,
    ngx_http_iclock_ctx_t *ctx);
static ngx_int_t ngx_http_iclock_newcomer(ngx_http_request_t *r,
    ngx_http_iclock_ctx_t *ctx);
static ngx_int_t ngx_http_iclock_away(ngx_http_request_t *r,
    ngx_http_iclock_ctx_t *ctx);
static ngx_int_t ngx_http_iclock_decide(ngx_http_request_t *r,
    ngx_http_iclock_ctx_t *ctx);
static ngx_int_t ngx_http_iclock_refuse(ngx_http_request_t *r,
    ngx_http_iclock_ctx_t *ctx, ngx_uint_t verdict);
static void ngx_http_iclock_log_refusal(ngx_http_request_t *r,
    ngx_http_iclock_ctx_t *ctx, ngx_uint_t verdict);


/* by ngx_http_iclock_verdict_e */

static const ngx_http_iclock_refusal_t  ngx_http_iclock_refusals[] = {

    /* NGX_HTTP_ICLOCK_ADMITTED */
    { NGX_HTTP_OK, 0, NULL },

    /* NGX_HTTP_ICLOCK_BAD_NETWORK */
    { NGX_HTTP_FORBIDDEN, NGX_ICLOCK_L_REFUSAL_NETWORK,
      "its address is outside of \"allowed_networks\"" },

    /* NGX_HTTP_ICLOCK_BAD_KEY */
    { NGX_HTTP_FORBIDDEN, NGX_ICLOCK_L_REFUSAL_KEY,
      "wrong or missing communication key" },

    /* NGX_HTTP_ICLOCK_BLOCKED */
    { NGX_HTTP_FORBIDDEN, NGX_ICLOCK_L_REFUSAL_BLOCKED,
      "it is blocked" },

    /* NGX_HTTP_ICLOCK_STRANGER */
    { NGX_HTTP_FORBIDDEN, NGX_ICLOCK_L_REFUSAL_UNKNOWN,
      "it is unknown" },

    /* NGX_HTTP_ICLOCK_PENDING */
    { NGX_HTTP_SERVICE_UNAVAILABLE, NGX_ICLOCK_L_REFUSAL_PENDING,
      "it waits to be approved" },

    /* NGX_HTTP_ICLOCK_UNRECORDED */
    { NGX_HTTP_SERVICE_UNAVAILABLE, NGX_ICLOCK_L_REFUSAL_PENDING_LIMIT,
      "it is unknown, and too many devices wait to be approved" },

    /* NGX_HTTP_ICLOCK_UNAVAILABLE */
    { NGX_HTTP_SERVICE_UNAVAILABLE, NGX_ICLOCK_L_REFUSAL_DATABASE,
      NULL }
};


ngx_int_t
ngx_http_iclock_admit(ngx_http_request_t *r, ngx_http_iclock_ctx_t *ctx,
    ngx_uint_t flags, ngx_http_iclock_handler_pt handler)
{
    ngx_http_iclock_main_conf_t  *imcf;

    imcf = ngx_http_get_module_main_conf(r, ngx_http_iclock_module);

    ctx->flags |= flags;
    ctx->admitted = handler;

    ngx_http_iclock_knock(r, ctx);

    ngx_http_iclock_zone_visit(imcf->zone, &ctx->visit, &ctx->known);

    ngx_log_debug3(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                   "iclock admission: zone: device %L, fresh:%d, verdict:%ui",
                   ctx->known.id, ctx->known.fresh, ctx->known.verdict);

    if (ctx->known.fresh) {
        return ngx_http_iclock_decide(r, ctx);
    }

    if (ngx_http_iclock_job(r, ctx) == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_iclock_lookup(r, ctx);
}


ngx_int_t
ngx_http_iclock_admit_nameless(ngx_http_request_t *r,
    ngx_http_iclock_ctx_t *ctx, ngx_http_iclock_handler_pt handler)
{
    ngx_uint_t  key;

    ngx_http_iclock_knock(r, ctx);

    key = ctx->visit.location_key;

    if (key == NGX_HTTP_ICLOCK_KEY_WRONG
        || (key == NGX_HTTP_ICLOCK_KEY_ABSENT && ctx->visit.key_needed))
    {
        return ngx_http_iclock_refuse(r, ctx, NGX_HTTP_ICLOCK_BAD_KEY);
    }

    return handler(r, ctx);
}


/* what the request shows */

static void
ngx_http_iclock_knock(ngx_http_request_t *r, ngx_http_iclock_ctx_t *ctx)
{
    ngx_http_iclock_visit_t      *visit;
    ngx_http_iclock_loc_conf_t   *ilcf;
    ngx_http_iclock_main_conf_t  *imcf;

    imcf = ngx_http_get_module_main_conf(r, ngx_http_iclock_module);
    ilcf = ngx_http_get_module_loc_conf(r, ngx_http_iclock_module);

    visit = &ctx->visit;

    visit->sn = &ctx->args.sn;
    visit->database = ngx_iclock_store_database(imcf->store);
    visit->asks = (ctx->flags & NGX_HTTP_ICLOCK_ASKS) ? 1 : 0;
    visit->polls = (ctx->flags & NGX_HTTP_ICLOCK_POLLS) ? 1 : 0;
    visit->key_needed = (ctx->flags & NGX_HTTP_ICLOCK_GREETS)
                        || ilcf->comm_key_required;
    visit->unknown_devices = ilcf->unknown_devices;
    visit->policy = ilcf->policy;

    if (visit->polls && ctx->args.info.len) {
        visit->info = ngx_crc32_long(ctx->args.info.data,
                                     ctx->args.info.len);
    }

    ngx_http_iclock_addr_set(&visit->addr, r->connection->sockaddr);

    ngx_http_iclock_key_show(visit, imcf->zone, &ctx->args.comm_key,
                             &ilcf->comm_key);
}


/* adds the look-up to ctx->job, and submits it */

static ngx_int_t
ngx_http_iclock_lookup(ngx_http_request_t *r, ngx_http_iclock_ctx_t *ctx)
{
    ngx_str_t  address;

    if (ngx_http_iclock_addr_text(&ctx->visit.addr, ctx->job->pool, &address)
        != NGX_OK
        || ngx_iclock_store_lookup(ctx->job, &ctx->args.sn, &address)
           != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    /* a serial number is the same everywhere */
    ctx->job->database = 0;

    return ngx_http_iclock_submit(r, ctx, ngx_http_iclock_looked_up);
}


static ngx_int_t
ngx_http_iclock_looked_up(ngx_http_request_t *r, ngx_http_iclock_ctx_t *ctx)
{
    ngx_iclock_device_t          *device;
    ngx_http_iclock_main_conf_t  *imcf;

    if (ctx->job->rc != NGX_OK) {
        return ngx_http_iclock_away(r, ctx);
    }

    device = ctx->job->device;

    if (device == NULL && !ctx->registered
        && !(ctx->flags & NGX_HTTP_ICLOCK_ABSENT)
        && ctx->visit.unknown_devices != NGX_HTTP_ICLOCK_REJECT)
    {
        return ngx_http_iclock_newcomer(r, ctx);
    }

    imcf = ngx_http_get_module_main_conf(r, ngx_http_iclock_module);

    ctx->visit.database = ctx->job->database;

    ngx_http_iclock_zone_store(imcf->zone, &ctx->visit, device, &ctx->known);

    ngx_log_debug3(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                   "iclock admission: row: device %L, status:%ui, "
                   "verdict:%ui", ctx->known.id, ctx->known.status,
                   ctx->known.verdict);

    return ngx_http_iclock_decide(r, ctx);
}


/* a device that is in no table: it is recorded as the location wants it */

static ngx_int_t
ngx_http_iclock_newcomer(ngx_http_request_t *r, ngx_http_iclock_ctx_t *ctx)
{
    ngx_uint_t                   status;
    ngx_iclock_store_job_t      *job;
    ngx_http_iclock_loc_conf_t  *ilcf;

    ilcf = ngx_http_get_module_loc_conf(r, ngx_http_iclock_module);

    if (ctx->visit.location_key == NGX_HTTP_ICLOCK_KEY_ABSENT
        || ctx->visit.location_key == NGX_HTTP_ICLOCK_KEY_WRONG)
    {
        return ngx_http_iclock_refuse(r, ctx, NGX_HTTP_ICLOCK_BAD_KEY);
    }

    ctx->registered = 1;

    ngx_log_debug0(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                   "iclock admission: unknown device, to be recorded");

    job = ngx_http_iclock_job(r, ctx);
    if (job == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    status = (ilcf->unknown_devices == NGX_HTTP_ICLOCK_ACCEPT)
             ? NGX_ICLOCK_DEVICE_ACTIVE : NGX_ICLOCK_DEVICE_PENDING;

    if (ngx_iclock_store_register(job, &ctx->args.sn, status,
                                  ilcf->pending_limit)
        != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_iclock_lookup(r, ctx);
}


/*
 * PostgreSQL does not answer.  What stores nothing is served to a device that
 * the zone has known, so that it stays online.
 */

static ngx_int_t
ngx_http_iclock_away(ngx_http_request_t *r, ngx_http_iclock_ctx_t *ctx)
{
    if ((ctx->flags & NGX_HTTP_ICLOCK_STALE)
        && ctx->known.id
        && ctx->known.verdict == NGX_HTTP_ICLOCK_ADMITTED)
    {
        ctx->known.marked = 0;
        ctx->known.news = 0;

        return ngx_http_iclock_decide(r, ctx);
    }

    return ngx_http_iclock_refuse(r, ctx, NGX_HTTP_ICLOCK_UNAVAILABLE);
}


static ngx_int_t
ngx_http_iclock_decide(ngx_http_request_t *r, ngx_http_iclock_ctx_t *ctx)
{
    if (ctx->known.verdict != NGX_HTTP_ICLOCK_ADMITTED) {
        return ngx_http_iclock_refuse(r, ctx, ctx->known.verdict);
    }

    if (ctx->flags & NGX_HTTP_ICLOCK_READS) {
        return ngx_http_iclock_read_body(r, ctx, ctx->admitted);
    }

    return ctx->admitted(r, ctx);
}


static ngx_int_t
ngx_http_iclock_refuse(ngx_http_request_t *r, ngx_http_iclock_ctx_t *ctx,
    ngx_uint_t verdict)
{
    const ngx_http_iclock_refusal_t  *refusal;

    refusal = &ngx_http_iclock_refusals[verdict];

    ngx_log_debug1(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                   "iclock admission: refused, %s",
                   refusal->reason ? refusal->reason
                                   : "PostgreSQL does not answer");

    ngx_iclock_count_by(REFUSALS, (verdict == NGX_HTTP_ICLOCK_UNAVAILABLE)
                                  ? ctx->unavailable : refusal->metric, 1);

    ngx_http_iclock_log_refusal(r, ctx, verdict);

    if (refusal->status != NGX_HTTP_SERVICE_UNAVAILABLE) {
        return refusal->status;
    }

    if (ctx->flags & NGX_HTTP_ICLOCK_ABSENT) {
        return NGX_HTTP_NOT_FOUND;
    }

    if ((ctx->flags & NGX_HTTP_ICLOCK_GREETS)
        && verdict != NGX_HTTP_ICLOCK_UNAVAILABLE)
    {
        /* any status but 200 makes a device ask again later */
        return NGX_HTTP_UNAUTHORIZED;
    }

    return ngx_http_iclock_retry_later(r);
}


static void
ngx_http_iclock_log_refusal(ngx_http_request_t *r, ngx_http_iclock_ctx_t *ctx,
    ngx_uint_t verdict)
{
    ngx_http_iclock_quiet_t      *quiet;
    ngx_http_iclock_main_conf_t  *imcf;

    if (ngx_http_iclock_refusals[verdict].reason == NULL) {
        return;
    }

    imcf = ngx_http_get_module_main_conf(r, ngx_http_iclock_module);

    quiet = &imcf->quiet[verdict];

    if (quiet->second != ngx_time()) {

        if (quiet->unlogged) {
            ngx_log_error(NGX_LOG_INFO, r->connection->log, 0,
                          "iclock: %ui more requests were refused like the "
                          "next one", quiet->unlogged);
        }

        quiet->second = ngx_time();
        quiet->logged = 0;
        quiet->unlogged = 0;
    }

    if (quiet->logged >= NGX_HTTP_ICLOCK_LOGGED) {
        quiet->unlogged++;
        return;
    }

    quiet->logged++;

    ngx_log_error(NGX_LOG_INFO, r->connection->log, 0,
                  "iclock: device \"%V\" is refused: %s", &ctx->args.sn,
                  ngx_http_iclock_refusals[verdict].reason);
}
