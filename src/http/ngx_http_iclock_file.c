
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


#include "ngx_http_iclock.h"


/* bytes of a file that are read and encoded at a time: a multiple of 3 */
#define NGX_HTTP_ICLOCK_SLICE   (48 * 1024)

/* slices in a row */
#define NGX_HTTP_ICLOCK_SLICES  4


/* a file that is sent as base64: one buffer serves for all slices */
struct ngx_http_iclock_base64_s {
    ngx_file_t   file;
    off_t        size;
    off_t        offset;
    ngx_buf_t    buf;
    ngx_chain_t  out;
    u_char      *raw;
};


static ngx_int_t ngx_http_iclock_file_put(ngx_http_request_t *r,
    ngx_http_iclock_ctx_t *ctx);
static ngx_int_t ngx_http_iclock_file_asked(ngx_http_request_t *r,
    ngx_http_iclock_ctx_t *ctx);
static ngx_int_t ngx_http_iclock_file_named(ngx_http_request_t *r,
    ngx_http_iclock_ctx_t *ctx);
static ngx_int_t ngx_http_iclock_open_file(ngx_http_request_t *r,
    ngx_str_t *name, ngx_open_file_info_t *of, ngx_str_t *path);
static ngx_uint_t ngx_http_iclock_climbs(ngx_str_t *name);
static ngx_int_t ngx_http_iclock_send_file(ngx_http_request_t *r,
    ngx_str_t *name);
static ngx_buf_t *ngx_http_iclock_file_buf(ngx_http_request_t *r,
    ngx_open_file_info_t *of, ngx_str_t *path);
static ngx_int_t ngx_http_iclock_send_base64(ngx_http_request_t *r,
    ngx_str_t *name);
static ngx_http_iclock_base64_t *ngx_http_iclock_open_base64(
    ngx_http_request_t *r, ngx_open_file_info_t *of, ngx_str_t *path);
static ngx_int_t ngx_http_iclock_send_slices(ngx_http_request_t *r,
    ngx_http_iclock_base64_t *b64);
static ngx_int_t ngx_http_iclock_read_slice(ngx_http_iclock_base64_t *b64);
static ngx_int_t ngx_http_iclock_wait_client(ngx_http_request_t *r);
static void ngx_http_iclock_slices_handler(ngx_http_request_t *r);


ngx_int_t
ngx_http_iclock_file(ngx_http_request_t *r, ngx_http_iclock_ctx_t *ctx)
{
    ngx_http_iclock_loc_conf_t  *ilcf;

    ilcf = ngx_http_get_module_loc_conf(r, ngx_http_iclock_module);

    if (ilcf->files.len == 0) {
        return NGX_HTTP_NOT_FOUND;
    }

    /* PutFile, attendance PUSH 2.4.1, section 12.5.2 */

    if (ctx->path.len) {
        return ctx->sn_valid
               ? ngx_http_iclock_admit(r, ctx, 0, ngx_http_iclock_file_put)
               : ngx_http_iclock_admit_nameless(r, ctx,
                                                ngx_http_iclock_file_put);
    }

    /* UPGRADE, section 12.8.2 */

    if (!ctx->sn_valid || ctx->args.url.len == 0) {
        return NGX_HTTP_NOT_FOUND;
    }

    return ngx_http_iclock_admit(r, ctx, 0, ngx_http_iclock_file_asked);
}


static ngx_int_t
ngx_http_iclock_file_put(ngx_http_request_t *r, ngx_http_iclock_ctx_t *ctx)
{
    return ngx_http_iclock_send_file(r, &ctx->path);
}


/*
 * A URL that a device sends is never mapped to a file: the database tells
 * which file the open command was queued with.
 */

static ngx_int_t
ngx_http_iclock_file_asked(ngx_http_request_t *r, ngx_http_iclock_ctx_t *ctx)
{
    ngx_iclock_store_job_t  *job;

    job = ngx_http_iclock_job(r, ctx);

    if (job == NULL
        || ngx_iclock_store_call(job, NGX_ICLOCK_CALL_UPGRADE_FILE,
                                 &ctx->args.url, NULL)
           != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_iclock_submit(r, ctx, ngx_http_iclock_file_named);
}


static ngx_int_t
ngx_http_iclock_file_named(ngx_http_request_t *r, ngx_http_iclock_ctx_t *ctx)
{
    u_char     *tab;
    ngx_str_t   name, encoding, *text;

    if (ctx->job->rc != NGX_OK) {
        return ngx_http_iclock_unavailable(r);
    }

    text = &ctx->job->text;
    tab = text->len ? ngx_strlchr(text->data, text->data + text->len, '\t')
                    : NULL;

    if (tab == NULL) {
        return NGX_HTTP_NOT_FOUND;
    }

    name.data = text->data;
    name.len = tab - text->data;

    encoding.data = tab + 1;
    encoding.len = text->data + text->len - encoding.data;

    return ngx_http_iclock_arg_is(&encoding, "base64")
           ? ngx_http_iclock_send_base64(r, &name)
           : ngx_http_iclock_send_file(r, &name);
}


/*
 * The path is allocated with a terminating NUL.  The reply will be the file,
 * so that the body of the request is not needed any more.
 */

static ngx_int_t
ngx_http_iclock_open_file(ngx_http_request_t *r, ngx_str_t *name,
    ngx_open_file_info_t *of, ngx_str_t *path)
{
    ngx_http_core_loc_conf_t    *clcf;
    ngx_http_iclock_loc_conf_t  *ilcf;

    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);
    ilcf = ngx_http_get_module_loc_conf(r, ngx_http_iclock_module);

    /* nginx has resolved dots in a URI; names of the database are checked */

    if (ngx_http_iclock_climbs(name)) {
        return NGX_HTTP_NOT_FOUND;
    }

    path->len = ilcf->files.len + 1 + name->len;
    path->data = ngx_pnalloc(r->pool, path->len + 1);
    if (path->data == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_sprintf(path->data, "%V/%V%Z", &ilcf->files, name);

    ngx_memzero(of, sizeof(ngx_open_file_info_t));

    of->read_ahead = clcf->read_ahead;
    of->directio = NGX_OPEN_FILE_DIRECTIO_OFF;
    of->valid = clcf->open_file_cache_valid;
    of->min_uses = clcf->open_file_cache_min_uses;
    of->errors = clcf->open_file_cache_errors;
    of->events = clcf->open_file_cache_events;

    if (ngx_http_set_disable_symlinks(r, clcf, path, of) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (ngx_open_cached_file(clcf->open_file_cache, path, of, r->pool)
        == NGX_OK
        && of->is_file)
    {
        return ngx_http_discard_request_body(r);
    }

    if (of->err && of->err != NGX_ENOENT && of->err != NGX_ENOTDIR
        && of->err != NGX_ENAMETOOLONG)
    {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, of->err,
                      "%s \"%V\" failed", of->failed, path);
    }

    return NGX_HTTP_NOT_FOUND;
}


/* whether the name leads out of its directory, or ends before its end */

static ngx_uint_t
ngx_http_iclock_climbs(ngx_str_t *name)
{
    u_char  *p, *last;

    last = name->data + name->len;

    for (p = name->data; p < last; p++) {
        if (*p == '\0'
            || (*p == '.' && last - p > 1 && p[1] == '.'
                && (p == name->data || p[-1] == '/')
                && (last - p == 2 || p[2] == '/')))
        {
            return 1;
        }
    }

    return 0;
}


static ngx_int_t
ngx_http_iclock_send_file(ngx_http_request_t *r, ngx_str_t *name)
{
    ngx_int_t              rc;
    ngx_str_t              path;
    ngx_chain_t            out;
    ngx_open_file_info_t   of;

    rc = ngx_http_iclock_open_file(r, name, &of, &path);

    if (rc != NGX_OK) {
        return rc;
    }

    out.next = NULL;
    out.buf = ngx_http_iclock_file_buf(r, &of, &path);

    if (out.buf == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_log_debug1(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                   "iclock reply: 200, file of %O bytes", of.size);

    r->headers_out.status = NGX_HTTP_OK;
    r->headers_out.content_length_n = of.size;
    r->headers_out.last_modified_time = of.mtime;
    ngx_str_set(&r->headers_out.content_type, "application/octet-stream");
    r->headers_out.content_type_len = r->headers_out.content_type.len;

    /* terminals load large files in pieces */
    r->allow_ranges = 1;

    rc = ngx_http_send_header(r);

    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        return rc;
    }

    return ngx_http_output_filter(r, &out);
}


static ngx_buf_t *
ngx_http_iclock_file_buf(ngx_http_request_t *r, ngx_open_file_info_t *of,
    ngx_str_t *path)
{
    ngx_buf_t  *b;

    b = ngx_calloc_buf(r->pool);
    if (b == NULL) {
        return NULL;
    }

    b->file = ngx_pcalloc(r->pool, sizeof(ngx_file_t));
    if (b->file == NULL) {
        return NULL;
    }

    b->file_pos = 0;
    b->file_last = of->size;
    b->in_file = b->file_last ? 1 : 0;
    b->last_buf = (r == r->main) ? 1 : 0;
    b->last_in_chain = 1;

    b->file->fd = of->fd;
    b->file->name = *path;
    b->file->log = r->connection->log;

    return b;
}


/* section 12.8.2, method 1 */

static ngx_int_t
ngx_http_iclock_send_base64(ngx_http_request_t *r, ngx_str_t *name)
{
    ngx_int_t                  rc;
    ngx_str_t                  path;
    ngx_open_file_info_t       of;
    ngx_http_iclock_ctx_t     *ctx;
    ngx_http_iclock_base64_t  *b64;

    rc = ngx_http_iclock_open_file(r, name, &of, &path);

    if (rc != NGX_OK) {
        return rc;
    }

    b64 = ngx_http_iclock_open_base64(r, &of, &path);
    if (b64 == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

#if (NGX_HTTP_GZIP)
    r->gzip_tested = 1;
    r->gzip_ok = 0;
#endif

    ngx_log_debug1(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                   "iclock reply: 200, base64 of %O bytes", of.size);

    r->headers_out.status = NGX_HTTP_OK;
    r->headers_out.content_length_n = ngx_base64_encoded_length(of.size);
    ngx_str_set(&r->headers_out.content_type, "text/plain");
    r->headers_out.content_type_len = r->headers_out.content_type.len;

    rc = ngx_http_send_header(r);

    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        return rc;
    }

    ctx = ngx_http_get_module_ctx(r, ngx_http_iclock_module);
    ctx->base64 = b64;

    rc = ngx_http_iclock_send_slices(r, b64);

    if (rc == NGX_AGAIN && b64->offset < b64->size) {
        r->main->count++;
        return NGX_DONE;
    }

    return rc;
}


static ngx_http_iclock_base64_t *
ngx_http_iclock_open_base64(ngx_http_request_t *r, ngx_open_file_info_t *of,
    ngx_str_t *path)
{
    size_t                     size;
    ngx_http_iclock_base64_t  *b64;

    b64 = ngx_pcalloc(r->pool, sizeof(ngx_http_iclock_base64_t));
    if (b64 == NULL) {
        return NULL;
    }

    b64->file.fd = of->fd;
    b64->file.name = *path;
    b64->file.log = r->connection->log;
    b64->size = of->size;

    size = (size_t) ngx_min(of->size, NGX_HTTP_ICLOCK_SLICE);

    b64->raw = ngx_pnalloc(r->pool, size + 1);
    b64->buf.start = ngx_pnalloc(r->pool,
                                 ngx_base64_encoded_length(size) + 1);

    if (b64->raw == NULL || b64->buf.start == NULL) {
        return NULL;
    }

    b64->out.buf = &b64->buf;

    return b64;
}


/* NGX_AGAIN before the end of the file: the rest follows later */

static ngx_int_t
ngx_http_iclock_send_slices(ngx_http_request_t *r,
    ngx_http_iclock_base64_t *b64)
{
    ngx_int_t   rc;
    ngx_uint_t  n;

    for (n = 0; n < NGX_HTTP_ICLOCK_SLICES; n++) {

        if (ngx_http_iclock_read_slice(b64) != NGX_OK) {
            return NGX_ERROR;
        }

        b64->buf.last_buf = (b64->offset == b64->size && r == r->main);
        b64->buf.last_in_chain = (b64->offset == b64->size);

        rc = ngx_http_output_filter(r, &b64->out);

        if (rc == NGX_ERROR || b64->offset == b64->size) {
            return rc;
        }

        if (r->buffered || r->connection->buffered) {
            return ngx_http_iclock_wait_client(r);
        }
    }

    /* other requests get their turn, however fast this client is */

    r->read_event_handler = ngx_http_test_reading;
    r->write_event_handler = ngx_http_iclock_slices_handler;

    ngx_post_event(r->connection->write, &ngx_posted_next_events);

    return NGX_AGAIN;
}


static ngx_int_t
ngx_http_iclock_read_slice(ngx_http_iclock_base64_t *b64)
{
    ssize_t    n;
    ngx_str_t  raw, text;

    raw.data = b64->raw;
    raw.len = (size_t) ngx_min(b64->size - b64->offset,
                               NGX_HTTP_ICLOCK_SLICE);

    n = ngx_read_file(&b64->file, raw.data, raw.len, b64->offset);

    if (n < 0 || (size_t) n != raw.len) {
        return NGX_ERROR;
    }

    text.data = b64->buf.start;
    ngx_encode_base64(&text, &raw);

    b64->offset += n;

    b64->buf.pos = text.data;
    b64->buf.last = text.data + text.len;
    b64->buf.end = b64->buf.last;
    b64->buf.temporary = (text.len != 0);
    b64->buf.flush = 1;

    return NGX_OK;
}


static ngx_int_t
ngx_http_iclock_wait_client(ngx_http_request_t *r)
{
    ngx_event_t               *wev;
    ngx_http_core_loc_conf_t  *clcf;

    wev = r->connection->write;
    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    r->read_event_handler = ngx_http_test_reading;
    r->write_event_handler = ngx_http_iclock_slices_handler;

    if (!wev->delayed) {
        ngx_add_timer(wev, clcf->send_timeout);
    }

    return (ngx_handle_write_event(wev, clcf->send_lowat) == NGX_OK)
           ? NGX_AGAIN : NGX_ERROR;
}


static void
ngx_http_iclock_slices_handler(ngx_http_request_t *r)
{
    ngx_int_t               rc;
    ngx_event_t            *wev;
    ngx_connection_t       *c;
    ngx_http_iclock_ctx_t  *ctx;

    c = r->connection;
    wev = c->write;

    if (wev->timedout) {
        ngx_log_error(NGX_LOG_INFO, c->log, NGX_ETIMEDOUT,
                      "client timed out");
        c->timedout = 1;
        ngx_http_finalize_request(r, NGX_HTTP_REQUEST_TIME_OUT);
        return;
    }

    rc = ngx_http_output_filter(r, NULL);

    if (rc == NGX_ERROR) {
        ngx_http_finalize_request(r, rc);
        return;
    }

    if (wev->delayed || r->buffered || c->buffered) {

        if (ngx_http_iclock_wait_client(r) != NGX_AGAIN) {
            ngx_http_finalize_request(r, NGX_ERROR);
        }

        return;
    }

    if (wev->timer_set) {
        ngx_del_timer(wev);
    }

    ctx = ngx_http_get_module_ctx(r, ngx_http_iclock_module);

    rc = ngx_http_iclock_send_slices(r, ctx->base64);

    if (rc != NGX_AGAIN || ctx->base64->offset == ctx->base64->size) {
        ngx_http_finalize_request(r, rc);
    }
}
