
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


#include "ngx_http_iclock.h"


#define ngx_http_iclock_within(part, whole)                                  \
    ((part)->data >= (whole)->data                                           \
     && (part)->data + (part)->len <= (whole)->data + (whole)->len)


static u_char *ngx_http_iclock_log_line(ngx_log_t *log, u_char *buf,
    size_t len);
static ngx_int_t ngx_http_iclock_log_handler(ngx_http_request_t *r);
static void ngx_http_iclock_mask_request(ngx_http_request_t *r);
static ngx_uint_t ngx_http_iclock_mask(ngx_str_t *s);
static ngx_uint_t ngx_http_iclock_mask_copy(ngx_http_request_t *r,
    ngx_str_t *s, ngx_uint_t bare);
static void ngx_http_iclock_forget_args(ngx_http_request_t *r);


/*
 * The communication key is an argument, and so it would be in every log.  It
 * is masked there, and only when the log is written: a backend of "mirror"
 * or "error_page" gets what the device has sent.
 */


/* what nginx adds to a line of the error log */
static ngx_log_handler_pt  ngx_http_iclock_next_log_line;


ngx_int_t
ngx_http_iclock_init_log(ngx_conf_t *cf)
{
    ngx_array_t                *handlers;
    ngx_http_handler_pt        *h;
    ngx_http_core_main_conf_t  *cmcf;

    cmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);

    /* before those that write logs */

    handlers = &cmcf->phases[NGX_HTTP_LOG_PHASE].handlers;

    if (ngx_array_push(handlers) == NULL) {
        return NGX_ERROR;
    }

    h = handlers->elts;

    ngx_memmove(&h[1], &h[0],
                (handlers->nelts - 1) * sizeof(ngx_http_handler_pt));

    h[0] = ngx_http_iclock_log_handler;

    return NGX_OK;
}


void
ngx_http_iclock_wrap_log(ngx_connection_t *c)
{
    if (c->log->handler == NULL
        || c->log->handler == ngx_http_iclock_log_line)
    {
        return;
    }

    /* it is the same for all connections */

    ngx_http_iclock_next_log_line = c->log->handler;
    c->log->handler = ngx_http_iclock_log_line;
}


static u_char *
ngx_http_iclock_log_line(ngx_log_t *log, u_char *buf, size_t len)
{
    u_char  *last;

    last = ngx_http_iclock_next_log_line(log, buf, len);

    (void) ngx_http_iclock_mask_keys(buf, last, 0, 1);

    return last;
}


static ngx_int_t
ngx_http_iclock_log_handler(ngx_http_request_t *r)
{
    ngx_http_iclock_srv_conf_t  *iscf;

    iscf = ngx_http_get_module_srv_conf(r, ngx_http_iclock_module);

    if (iscf->masks) {

        if (r == r->main) {
            ngx_http_iclock_mask_request(r);

        } else {
            (void) ngx_http_iclock_mask_copy(r, &r->request_line, 0);
            (void) ngx_http_iclock_mask_copy(r, &r->unparsed_uri, 0);
            (void) ngx_http_iclock_mask_copy(r, &r->args, 1);
        }
    }

    ngx_http_iclock_mend_pipelined(r);

    return NGX_OK;
}


static void
ngx_http_iclock_mask_request(ngx_http_request_t *r)
{
    ngx_uint_t  found;

    found = ngx_http_iclock_mask(&r->request_line);

    /* nearly always the others are parts of it, and it has no key */

    if (found || !ngx_http_iclock_within(&r->unparsed_uri, &r->request_line)) {
        (void) ngx_http_iclock_mask(&r->unparsed_uri);
    }

    if (r->headers_in.referer) {
        (void) ngx_http_iclock_mask(&r->headers_in.referer->value);
    }

    if (!found && ngx_http_iclock_within(&r->args, &r->request_line)) {
        return;
    }

    if (ngx_http_iclock_mask_copy(r, &r->args, 1)) {
        ngx_http_iclock_forget_args(r);
    }
}


/* in place, since variables may point there already */

static ngx_uint_t
ngx_http_iclock_mask(ngx_str_t *s)
{
    return ngx_http_iclock_mask_keys(s->data, s->data + s->len, 0, 1);
}


/* what the configuration or another request may still need is not touched */

static ngx_uint_t
ngx_http_iclock_mask_copy(ngx_http_request_t *r, ngx_str_t *s,
    ngx_uint_t bare)
{
    u_char  *p;

    if (!ngx_http_iclock_mask_keys(s->data, s->data + s->len, bare, 0)) {
        return 0;
    }

    p = ngx_pnalloc(r->pool, s->len);

    if (p == NULL) {
        /* nothing of it is logged then */
        ngx_str_null(s);
        return 1;
    }

    ngx_memcpy(p, s->data, s->len);
    s->data = p;

    (void) ngx_http_iclock_mask_keys(p, p + s->len, bare, 1);

    return 1;
}


/* "$arg_comkey" may have been asked for before, say by "if" */

static void
ngx_http_iclock_forget_args(ngx_http_request_t *r)
{
    ngx_uint_t                  i;
    ngx_http_variable_t        *v;
    ngx_http_core_main_conf_t  *cmcf;

    cmcf = ngx_http_get_module_main_conf(r, ngx_http_core_module);

    v = cmcf->variables.elts;

    for (i = 0; i < cmcf->variables.nelts; i++) {

        if (v[i].name.len > 4
            && ngx_strncmp(v[i].name.data, "arg_", 4) == 0
            && ngx_http_iclock_is_key(v[i].name.data + 4, v[i].name.len - 4))
        {
            r->variables[i].valid = 0;
            r->variables[i].not_found = 0;
        }
    }
}
