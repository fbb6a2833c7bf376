
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


#include "ngx_http_iclock.h"


static ngx_int_t ngx_http_iclock_check_serial(ngx_http_request_t *r,
    ngx_http_iclock_ctx_t *ctx);
static ngx_int_t ngx_http_iclock_looked_up(ngx_http_request_t *r,
    ngx_http_iclock_ctx_t *ctx);
static ngx_int_t ngx_http_iclock_newcomer(ngx_http_request_t *r,
    ngx_http_iclock_ctx_t *ctx);
static ngx_int_t ngx_http_iclock_found(ngx_http_request_t *r,
    ngx_http_iclock_ctx_t *ctx);
static ngx_int_t ngx_http_iclock_admitted(ngx_http_request_t *r,
    ngx_http_iclock_ctx_t *ctx);
static void ngx_http_iclock_job_done(ngx_iclock_store_job_t *job);
static void ngx_http_iclock_cleanup(void *data);
static void ngx_http_iclock_body_handler(ngx_http_request_t *r);
static ngx_int_t ngx_http_iclock_join_body(ngx_http_request_t *r,
    ngx_str_t *body);
static ngx_int_t ngx_http_iclock_retry_after(ngx_http_request_t *r);


ngx_int_t
ngx_http_iclock_handler(ngx_http_request_t *r)
{
    ngx_int_t                          rc;
    ngx_str_t                          path;
    ngx_http_iclock_ctx_t             *ctx;
    ngx_http_iclock_main_conf_t       *imcf;
    const ngx_http_iclock_endpoint_t  *endpoint;

    imcf = ngx_http_get_module_main_conf(r, ngx_http_iclock_module);

    if (imcf->store == NULL) {
        /* a process without connections: there is none that serves requests */
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_http_iclock_count(imcf, requests);

    endpoint = ngx_http_iclock_find_endpoint(r, &path);

    if (endpoint == NULL) {
        return NGX_HTTP_NOT_FOUND;
    }

    if (!(r->method & endpoint->methods)) {
        return (endpoint->flags & NGX_HTTP_ICLOCK_ABSENT)
               ? NGX_HTTP_NOT_FOUND : NGX_HTTP_NOT_ALLOWED;
    }

    ctx = ngx_pcalloc(r->pool, sizeof(ngx_http_iclock_ctx_t));
    if (ctx == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ctx->endpoint = endpoint;
    ctx->path = path;
    ngx_http_set_ctx(r, ctx, ngx_http_iclock_module);

    ngx_http_iclock_addr_set(&ctx->addr, r->connection->sockaddr);

    if (ngx_http_iclock_parse_args(r, &ctx->args) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (ctx->args.comm_key.len) {
        ngx_http_iclock_hide_key(r);
    }

    rc = ngx_http_iclock_check_serial(r, ctx);

    if (rc != NGX_OK && !(endpoint->flags & NGX_HTTP_ICLOCK_ANONYMOUS)) {
        return (endpoint->flags & NGX_HTTP_ICLOCK_ABSENT)
               ? NGX_HTTP_NOT_FOUND : rc;
    }

    return endpoint->handler(r, ctx);
}


static ngx_int_t
ngx_http_iclock_check_serial(ngx_http_request_t *r,
    ngx_http_iclock_ctx_t *ctx)
{
    ngx_int_t                    rc;
    ngx_http_iclock_loc_conf_t  *ilcf;

    ilcf = ngx_http_get_module_loc_conf(r, ngx_http_iclock_module);

    if (ctx->args.sn.len == 0 || ctx->args.sn.len > NGX_HTTP_ICLOCK_MAX_SN) {
        return NGX_HTTP_BAD_REQUEST;
    }

    rc = ngx_http_regex_exec(r, ilcf->serial_pattern, &ctx->args.sn);

    if (rc == NGX_ERROR) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (rc == NGX_DECLINED) {
        return NGX_HTTP_BAD_REQUEST;
    }

    ctx->sn_valid = 1;

    return NGX_OK;
}


ngx_int_t
ngx_http_iclock_admit(ngx_http_request_t *r, ngx_http_iclock_ctx_t *ctx,
    ngx_http_iclock_handler_pt handler)
{
    ngx_http_iclock_main_conf_t  *imcf;

    imcf = ngx_http_get_module_main_conf(r, ngx_http_iclock_module);

    ctx->admit = handler;

    (void) ngx_http_iclock_zone_find(imcf->zone, &ctx->args.sn, &ctx->addr,
                                     &ctx->known);

    if (ctx->known.fresh) {
        return ngx_http_iclock_admitted(r, ctx);
    }

    return ngx_http_iclock_lookup(r, ctx, 0, ngx_http_iclock_looked_up);
}


/* whether a known device may go on is decided by its status */

static ngx_int_t
ngx_http_iclock_admitted(ngx_http_request_t *r, ngx_http_iclock_ctx_t *ctx)
{
    ngx_int_t                     rc;
    ngx_http_iclock_main_conf_t  *imcf;

    if (ctx->known.refused) {
        imcf = ngx_http_get_module_main_conf(r, ngx_http_iclock_module);
        ngx_http_iclock_count(imcf, refused);
        return NGX_HTTP_FORBIDDEN;
    }

    rc = ngx_http_iclock_verdict(r, ctx->known.status);

    if (rc != NGX_OK) {
        return rc;
    }

    return ctx->admit(r, ctx);
}


ngx_int_t
ngx_http_iclock_verdict(ngx_http_request_t *r, ngx_uint_t status)
{
    ngx_http_iclock_loc_conf_t   *ilcf;
    ngx_http_iclock_main_conf_t  *imcf;

    imcf = ngx_http_get_module_main_conf(r, ngx_http_iclock_module);
    ilcf = ngx_http_get_module_loc_conf(r, ngx_http_iclock_module);

    switch (status) {

    case NGX_ICLOCK_DEVICE_ACTIVE:
        return NGX_OK;

    case NGX_ICLOCK_DEVICE_BLOCKED:
        ngx_http_iclock_count(imcf, refused);
        return NGX_HTTP_FORBIDDEN;

    case NGX_ICLOCK_DEVICE_UNKNOWN:
        ngx_http_iclock_count(imcf, unknown);

        if (ilcf->unknown_devices == NGX_HTTP_ICLOCK_REJECT) {
            return NGX_HTTP_FORBIDDEN;
        }

        /* too many devices are pending already */

        break;

    default: /* NGX_ICLOCK_DEVICE_PENDING */
        break;
    }

    if (ngx_http_iclock_retry_after(r) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return NGX_HTTP_SERVICE_UNAVAILABLE;
}


ngx_int_t
ngx_http_iclock_lookup(ngx_http_request_t *r, ngx_http_iclock_ctx_t *ctx,
    ngx_uint_t registration, ngx_http_iclock_handler_pt handler)
{
    ngx_str_t                    address;
    ngx_uint_t                   status;
    ngx_iclock_store_job_t      *job;
    ngx_http_iclock_loc_conf_t  *ilcf;

    ilcf = ngx_http_get_module_loc_conf(r, ngx_http_iclock_module);

    job = ngx_http_iclock_job(r, ctx);
    if (job == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    status = (ilcf->unknown_devices == NGX_HTTP_ICLOCK_ACCEPT)
             ? NGX_ICLOCK_DEVICE_ACTIVE : NGX_ICLOCK_DEVICE_PENDING;

    if (ngx_http_iclock_addr_text(&ctx->addr, job->pool, &address) != NGX_OK
        || (registration
            && ngx_iclock_store_register(job, &ctx->args.sn, status,
                                         ilcf->pending_limit)
               != NGX_OK)
        || ngx_iclock_store_lookup(job, &ctx->args.sn, &address) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_iclock_submit(r, ctx, handler);
}


static ngx_int_t
ngx_http_iclock_looked_up(ngx_http_request_t *r, ngx_http_iclock_ctx_t *ctx)
{
    ngx_http_iclock_loc_conf_t  *ilcf;

    if (ctx->job->rc != NGX_OK) {

        if ((ctx->endpoint->flags & NGX_HTTP_ICLOCK_STALE)
            && ctx->known.status == NGX_ICLOCK_DEVICE_ACTIVE
            && !ctx->known.refused)
        {
            /* the zone has known it, and nothing is to be stored */
            return ctx->admit(r, ctx);
        }

        return ngx_http_iclock_unavailable(r);
    }

    ilcf = ngx_http_get_module_loc_conf(r, ngx_http_iclock_module);

    if (ctx->job->device == NULL
        && ilcf->unknown_devices != NGX_HTTP_ICLOCK_REJECT)
    {
        return ngx_http_iclock_newcomer(r, ctx);
    }

    return ngx_http_iclock_found(r, ctx);
}


/* a device that is in no table: it is recorded as the location wants it */

static ngx_int_t
ngx_http_iclock_newcomer(ngx_http_request_t *r, ngx_http_iclock_ctx_t *ctx)
{
    ngx_http_iclock_main_conf_t  *imcf;

    if (!ngx_http_iclock_key_fits(r, ctx, NULL)) {
        imcf = ngx_http_get_module_main_conf(r, ngx_http_iclock_module);
        ngx_http_iclock_count(imcf, refused);
        return NGX_HTTP_FORBIDDEN;
    }

    return ngx_http_iclock_lookup(r, ctx, 1, ngx_http_iclock_found);
}


static ngx_int_t
ngx_http_iclock_found(ngx_http_request_t *r, ngx_http_iclock_ctx_t *ctx)
{
    ngx_int_t                     rc;
    ngx_uint_t                    status;
    ngx_http_iclock_main_conf_t  *imcf;

    if (ctx->job->rc != NGX_OK) {
        return ngx_http_iclock_unavailable(r);
    }

    status = ngx_http_iclock_remember(r, ctx);

    rc = ngx_http_iclock_verdict(r, status);

    if (rc != NGX_OK) {
        return rc;
    }

    if (!ctx->job->device->allowed
        || (ctx->args.comm_key.len
            && !ngx_http_iclock_key_fits(r, ctx, ctx->job->device)))
    {
        imcf = ngx_http_get_module_main_conf(r, ngx_http_iclock_module);
        ngx_http_iclock_count(imcf, refused);
        return NGX_HTTP_FORBIDDEN;
    }

    return ctx->admit(r, ctx);
}


ngx_uint_t
ngx_http_iclock_remember(ngx_http_request_t *r, ngx_http_iclock_ctx_t *ctx)
{
    ngx_uint_t                    status;
    ngx_iclock_device_t          *device;
    ngx_http_iclock_main_conf_t  *imcf;

    imcf = ngx_http_get_module_main_conf(r, ngx_http_iclock_module);

    device = ctx->job->device;
    status = device ? device->status : NGX_ICLOCK_DEVICE_UNKNOWN;

    ctx->known.status = status;

    if (device) {
        ctx->known.id = device->id;
        ctx->known.utc_offset = device->utc_offset;
        ctx->known.encoding = ngx_iclock_encoding(&device->encoding,
                                                  &device->language);
        ctx->known.marked = 1;

        if (!device->allowed) {
            /* another address may be, so this one is not remembered */
            return status;
        }
    }

    ngx_http_iclock_zone_store(imcf->zone, &ctx->args.sn, device, &ctx->addr,
                               status);

    return status;
}


ngx_iclock_store_job_t *
ngx_http_iclock_job(ngx_http_request_t *r, ngx_http_iclock_ctx_t *ctx)
{
    ngx_http_cleanup_t           *cln;
    ngx_iclock_store_job_t       *job;
    ngx_http_iclock_loc_conf_t   *ilcf;
    ngx_http_iclock_main_conf_t  *imcf;

    imcf = ngx_http_get_module_main_conf(r, ngx_http_iclock_module);
    ilcf = ngx_http_get_module_loc_conf(r, ngx_http_iclock_module);

    if (!ctx->cleanup) {
        cln = ngx_http_cleanup_add(r, 0);
        if (cln == NULL) {
            return NULL;
        }

        cln->handler = ngx_http_iclock_cleanup;
        cln->data = ctx;
        ctx->cleanup = 1;
    }

    job = ngx_iclock_store_job_create(imcf->store, r->connection->log);
    if (job == NULL) {
        return NULL;
    }

    job->device_id = ctx->known.id;
    job->timezone = ilcf->timezone;
    job->data = r;

    if (ctx->job && !ctx->settling) {
        ngx_iclock_store_job_destroy(ctx->job);
    }

    ctx->settling = 0;
    ctx->job = job;

    return job;
}


ngx_int_t
ngx_http_iclock_submit(ngx_http_request_t *r, ngx_http_iclock_ctx_t *ctx,
    ngx_http_iclock_handler_pt handler)
{
    ngx_int_t  rc;

    ctx->db_used = 1;
    ctx->resume = handler;
    ctx->job->handler = ngx_http_iclock_job_done;

    rc = ngx_iclock_store_submit(ctx->job);

    if (rc != NGX_OK) {
        ctx->job->rc = rc;
        return handler(r, ctx);
    }

    ctx->submitted = 1;

    /*
     * what was received is stored even if the client leaves: it is not
     * looked after until there is something to tell it
     */

    r->main->count++;
    r->read_event_handler = ngx_http_block_reading;
    r->write_event_handler = ngx_http_request_empty_handler;

    return NGX_DONE;
}


static void
ngx_http_iclock_job_done(ngx_iclock_store_job_t *job)
{
    ngx_int_t               rc;
    ngx_connection_t       *c;
    ngx_http_request_t     *r;
    ngx_http_iclock_ctx_t  *ctx;

    r = job->data;
    c = r->connection;
    ctx = ngx_http_get_module_ctx(r, ngx_http_iclock_module);

    ngx_http_set_log_request(c->log, r);

    ctx->submitted = 0;
    ctx->settling = 1;
    ctx->db_time += job->elapsed;
    ctx->rejected += job->rejected;

    rc = ctx->resume(r, ctx);

    ngx_iclock_store_job_destroy(job);

    if (ctx->job == job) {
        ctx->job = NULL;
    }

    ctx->settling = 0;

    ngx_http_finalize_request(r, rc);
    ngx_http_run_posted_requests(c);
}


/* the request ends, perhaps by force */

static void
ngx_http_iclock_cleanup(void *data)
{
    ngx_http_iclock_ctx_t *ctx = data;

    ngx_iclock_store_job_t  *job;

    job = ctx->job;

    if (job == NULL || ctx->settling) {
        return;
    }

    ctx->job = NULL;

    if (ctx->submitted) {
        ngx_iclock_store_cancel(job);
        return;
    }

    ngx_iclock_store_job_destroy(job);
}


ngx_int_t
ngx_http_iclock_unavailable(ngx_http_request_t *r)
{
    ngx_http_iclock_main_conf_t  *imcf;

    imcf = ngx_http_get_module_main_conf(r, ngx_http_iclock_module);

    ngx_http_iclock_count(imcf, unavailable);

    if (ngx_http_iclock_retry_after(r) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return NGX_HTTP_SERVICE_UNAVAILABLE;
}


static ngx_int_t
ngx_http_iclock_retry_after(ngx_http_request_t *r)
{
    ngx_table_elt_t             *h;
    ngx_http_iclock_loc_conf_t  *ilcf;

    ilcf = ngx_http_get_module_loc_conf(r, ngx_http_iclock_module);

    h = ngx_list_push(&r->headers_out.headers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    h->hash = 1;
    ngx_str_set(&h->key, "Retry-After");

    h->value.data = ngx_pnalloc(r->pool, NGX_TIME_T_LEN);
    if (h->value.data == NULL) {
        h->hash = 0;
        return NGX_ERROR;
    }

    h->value.len = ngx_sprintf(h->value.data, "%T", ilcf->error_delay)
                   - h->value.data;

#if (nginx_version >= 1023000)
    h->next = NULL;
#endif

    return NGX_OK;
}


ngx_int_t
ngx_http_iclock_reply(ngx_http_request_t *r, ngx_str_t *text)
{
    ngx_int_t                 rc;
    ngx_http_complex_value_t  cv;

    static ngx_str_t  type = ngx_string("text/plain");

    rc = ngx_http_discard_request_body(r);

    if (rc != NGX_OK) {
        return rc;
    }

#if (NGX_HTTP_GZIP)
    /* devices read no compressed replies, whatever they accept */
    r->gzip_tested = 1;
    r->gzip_ok = 0;
#endif

    ngx_memzero(&cv, sizeof(ngx_http_complex_value_t));
    cv.value = *text;

    return ngx_http_send_response(r, NGX_HTTP_OK, &type, &cv);
}


ngx_int_t
ngx_http_iclock_reply_ok(ngx_http_request_t *r)
{
    static ngx_str_t  ok = ngx_string("OK");

    return ngx_http_iclock_reply(r, &ok);
}


ngx_int_t
ngx_http_iclock_read_body(ngx_http_request_t *r, ngx_http_iclock_ctx_t *ctx,
    ngx_http_iclock_handler_pt handler)
{
    ngx_int_t  rc;

    ctx->read = handler;

    r->request_body_in_single_buf = 1;

    rc = ngx_http_read_client_request_body(r, ngx_http_iclock_body_handler);

    return (rc >= NGX_HTTP_SPECIAL_RESPONSE) ? rc : NGX_DONE;
}


static void
ngx_http_iclock_body_handler(ngx_http_request_t *r)
{
    ngx_http_iclock_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_iclock_module);

    ngx_http_finalize_request(r, ctx->read(r, ctx));
}


/*
 * A body in memory usually comes as a part that was read with the header and
 * pieces that adjoin each other, in a buffer with room for that part.  They
 * are joined in place, since a body may be large.
 */

static ngx_int_t
ngx_http_iclock_join_body(ngx_http_request_t *r, ngx_str_t *body)
{
    u_char       *start, *last;
    size_t        size;
    ngx_buf_t    *head, *buf;
    ngx_chain_t  *cl;

    head = r->request_body->bufs->buf;
    buf = r->request_body->buf;

    if (!ngx_buf_in_memory(head)) {
        return NGX_DECLINED;
    }

    start = head->pos;
    last = head->last;
    size = 0;

    for (cl = r->request_body->bufs->next; cl; cl = cl->next) {

        if (!ngx_buf_in_memory(cl->buf)) {
            return NGX_DECLINED;
        }

        if (cl->buf->pos == last) {
            last = cl->buf->last;
            continue;
        }

        if (cl != r->request_body->bufs->next || buf == NULL
            || cl->buf->pos != buf->start)
        {
            return NGX_DECLINED;
        }

        size = head->last - head->pos;
        start = cl->buf->pos;
        last = cl->buf->last;
    }

    if (size) {

        if ((size_t) (buf->end - last) < size) {
            return NGX_DECLINED;
        }

        ngx_memmove(start + size, start, last - start);
        ngx_memcpy(start, head->pos, size);
        last += size;
    }

    body->data = start;
    body->len = last - start;

    return NGX_OK;
}


ngx_int_t
ngx_http_iclock_body(ngx_http_request_t *r, ngx_str_t *body)
{
    u_char       *p;
    size_t        len, size;
    ssize_t       n;
    ngx_buf_t    *b;
    ngx_chain_t  *cl;

    ngx_str_null(body);

    if (r->request_body == NULL || r->request_body->bufs == NULL) {
        return NGX_OK;
    }

    if (ngx_http_iclock_join_body(r, body) == NGX_OK) {
        return NGX_OK;
    }

    len = 0;

    for (cl = r->request_body->bufs; cl; cl = cl->next) {
        len += ngx_buf_size(cl->buf);
    }

    body->data = ngx_pnalloc(r->pool, len ? len : 1);
    if (body->data == NULL) {
        return NGX_ERROR;
    }

    p = body->data;

    for (cl = r->request_body->bufs; cl; cl = cl->next) {

        b = cl->buf;
        size = ngx_buf_size(b);

        if (size == 0) {
            /* "Content-Length: 0" yields a buffer without memory and file */
            continue;
        }

        if (ngx_buf_in_memory(b)) {
            p = ngx_cpymem(p, b->pos, size);
            continue;
        }

        n = ngx_read_file(b->file, p, size, b->file_pos);

        if (n < 0 || (size_t) n != size) {
            ngx_log_error(NGX_LOG_CRIT, r->connection->log, 0,
                          "iclock: request body in \"%V\" could not be read",
                          &b->file->name);
            return NGX_ERROR;
        }

        p += n;
    }

    body->len = p - body->data;

    return NGX_OK;
}
