
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


#include "ngx_http_iclock_steps.h"


/* bytes of a file, say, that are read into memory in one step */
#define NGX_HTTP_ICLOCK_BODY_STEP  (512 * 1024)


static void ngx_http_iclock_body_handler(ngx_http_request_t *r);
static ngx_int_t ngx_http_iclock_join_body(ngx_http_request_t *r,
    ngx_str_t *body);
static ngx_int_t ngx_http_iclock_joined_body(ngx_http_request_t *r,
    ngx_str_t *body);
static ngx_int_t ngx_http_iclock_read_buf(ngx_http_request_t *r,
    ngx_http_iclock_body_t *body, ngx_buf_t *b, size_t size);


ngx_int_t
ngx_http_iclock_read_body(ngx_http_request_t *r, ngx_http_iclock_ctx_t *ctx,
    ngx_http_iclock_handler_pt handler)
{
    ngx_int_t  rc;

    ctx->next = handler;

    r->request_body_in_single_buf = 1;

    rc = ngx_http_read_client_request_body(r, ngx_http_iclock_body_handler);

    return (rc >= NGX_HTTP_SPECIAL_RESPONSE) ? rc : NGX_DONE;
}


static void
ngx_http_iclock_body_handler(ngx_http_request_t *r)
{
    size_t                        size;
    ngx_http_iclock_ctx_t        *ctx;
    ngx_http_iclock_main_conf_t  *imcf;

    ctx = ngx_http_get_module_ctx(r, ngx_http_iclock_module);
    imcf = ngx_http_get_module_main_conf(r, ngx_http_iclock_module);

    size = ngx_http_iclock_body_size(r);

    ngx_log_debug1(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                   "iclock body: %uz bytes", size);

    ngx_iclock_count(BODY_BYTES, size);

    /* a body in a file is read into memory only if it may wait there */

    if (ngx_iclock_store_full(imcf->store, size)) {
        ctx->unavailable = NGX_ICLOCK_L_REFUSAL_QUEUE;
        ngx_http_finalize_request(r, ngx_http_iclock_unavailable(r));
        return;
    }

    ngx_http_finalize_request(r, ctx->next(r, ctx));
}


size_t
ngx_http_iclock_body_size(ngx_http_request_t *r)
{
    size_t        size;
    ngx_chain_t  *cl;

    size = 0;

    for (cl = r->request_body ? r->request_body->bufs : NULL;
         cl;
         cl = cl->next)
    {
        size += ngx_buf_size(cl->buf);
    }

    return size;
}


ngx_int_t
ngx_http_iclock_body(ngx_http_request_t *r, ngx_str_t *text)
{
    ngx_int_t               rc;
    ngx_http_iclock_body_t  body;

    rc = ngx_http_iclock_body_begin(r, &body);

    while (rc == NGX_AGAIN) {
        rc = ngx_http_iclock_body_more(r, &body);
    }

    *text = body.text;

    return rc;
}


ngx_int_t
ngx_http_iclock_body_begin(ngx_http_request_t *r, ngx_http_iclock_body_t *body)
{
    size_t     size;
    ngx_int_t  rc;

    ngx_memzero(body, sizeof(ngx_http_iclock_body_t));

    if (r->request_body == NULL || r->request_body->bufs == NULL) {
        return NGX_OK;
    }

    rc = ngx_http_iclock_join_body(r, &body->text);

    if (rc != NGX_DECLINED) {
        return rc;
    }

    size = ngx_http_iclock_body_size(r);

    body->text.data = ngx_pnalloc(r->pool, size ? size : 1);
    if (body->text.data == NULL) {
        return NGX_ERROR;
    }

    body->unread = r->request_body->bufs;

    return NGX_AGAIN;
}


/*
 * A body in memory usually comes as a part that was read with the header and
 * pieces that adjoin each other, in a buffer with room for that part.  They
 * are joined in place, since a body may be large.  Whoever else has the
 * request, a subrequest of "mirror" say, must find the bytes where they were.
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

        /* the request itself, and reading its body */

        if ((size_t) (buf->end - last) < size || r->main->count > 2) {
            return NGX_DECLINED;
        }

        ngx_memmove(start + size, start, last - start);
        ngx_memcpy(start, head->pos, size);
        last += size;
    }

    body->data = start;
    body->len = last - start;

    return size ? ngx_http_iclock_joined_body(r, body) : NGX_OK;
}


/* "error_page" may pass the body on to another handler */

static ngx_int_t
ngx_http_iclock_joined_body(ngx_http_request_t *r, ngx_str_t *body)
{
    ngx_buf_t    *b;
    ngx_chain_t  *cl;

    b = ngx_calloc_buf(r->pool);
    cl = ngx_alloc_chain_link(r->pool);

    if (b == NULL || cl == NULL) {
        return NGX_ERROR;
    }

    b->start = body->data;
    b->pos = body->data;
    b->last = body->data + body->len;
    b->end = r->request_body->buf->end;
    b->temporary = 1;
    b->last_buf = 1;

    cl->buf = b;
    cl->next = NULL;

    r->request_body->bufs = cl;

    return NGX_OK;
}


ngx_int_t
ngx_http_iclock_body_more(ngx_http_request_t *r, ngx_http_iclock_body_t *body)
{
    off_t       size;
    ngx_buf_t  *b;

    if (body->unread == NULL) {
        return NGX_OK;
    }

    b = body->unread->buf;
    size = ngx_min(ngx_buf_size(b) - body->offset, NGX_HTTP_ICLOCK_BODY_STEP);

    /* "Content-Length: 0" yields a buffer without memory and file */

    if (size && ngx_http_iclock_read_buf(r, body, b, size) != NGX_OK) {
        return NGX_ERROR;
    }

    body->text.len += size;
    body->offset += size;

    if (body->offset == ngx_buf_size(b)) {
        body->unread = body->unread->next;
        body->offset = 0;
    }

    return body->unread ? NGX_AGAIN : NGX_OK;
}


static ngx_int_t
ngx_http_iclock_read_buf(ngx_http_request_t *r, ngx_http_iclock_body_t *body,
    ngx_buf_t *b, size_t size)
{
    u_char   *p;
    ssize_t   n;

    p = body->text.data + body->text.len;

    if (ngx_buf_in_memory(b)) {
        ngx_memcpy(p, b->pos + body->offset, size);
        return NGX_OK;
    }

    n = ngx_read_file(b->file, p, size, b->file_pos + body->offset);

    if (n < 0 || (size_t) n != size) {
        ngx_log_error(NGX_LOG_CRIT, r->connection->log, 0,
                      "iclock: request body in \"%V\" could not be read",
                      &b->file->name);
        return NGX_ERROR;
    }

    return NGX_OK;
}
