
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


#include "ngx_http_iclock_status.h"


typedef struct {
    void                      (*write)(ngx_http_iclock_status_out_t *out,
                                       ngx_http_iclock_status_values_t *v);
    ngx_str_t                   name;
    ngx_str_t                   type;
} ngx_http_iclock_status_format_t;


/* the document that was written last, of this worker */
typedef struct {
    u_char                     *data;       /* NULL: none */
    size_t                      len;
    ngx_msec_t                  written;
    void                       *metrics;    /* of which memory */
} ngx_http_iclock_status_document_t;


static ngx_int_t ngx_http_iclock_status_format(ngx_http_request_t *r,
    ngx_uint_t *format);
static ngx_http_iclock_status_document_t *ngx_http_iclock_status_document(
    ngx_http_request_t *r, ngx_uint_t format);
static ngx_int_t ngx_http_iclock_status_send(ngx_http_request_t *r,
    ngx_uint_t format, ngx_http_iclock_status_document_t *document);


static const ngx_http_iclock_status_format_t
    ngx_http_iclock_status_formats[] = {

    { ngx_http_iclock_status_json, ngx_string("json"),
      ngx_string("application/json") },

    { ngx_http_iclock_status_text, ngx_string("prometheus"),
      ngx_string("text/plain; version=0.0.4; charset=utf-8") }
};


static ngx_http_iclock_status_document_t
    ngx_http_iclock_status_documents[NGX_HTTP_ICLOCK_STATUS_FORMATS];


ngx_int_t
ngx_http_iclock_status_handler(ngx_http_request_t *r)
{
    ngx_int_t                           rc;
    ngx_uint_t                          format;
    ngx_http_iclock_status_document_t  *document;

    if (!(r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD))) {
        return NGX_HTTP_NOT_ALLOWED;
    }

    rc = ngx_http_discard_request_body(r);

    if (rc != NGX_OK) {
        return rc;
    }

    if (ngx_http_iclock_status_format(r, &format) != NGX_OK) {
        return NGX_HTTP_BAD_REQUEST;
    }

    document = ngx_http_iclock_status_document(r, format);

    ngx_log_debug2(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                   "iclock status: %V, %uz bytes",
                   &ngx_http_iclock_status_formats[format].name,
                   document ? document->len : 0);

    if (document == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_iclock_status_send(r, format, document);
}


static ngx_int_t
ngx_http_iclock_status_format(ngx_http_request_t *r, ngx_uint_t *format)
{
    ngx_str_t                           value;
    ngx_uint_t                          i;
    ngx_http_iclock_status_loc_conf_t  *slcf;

    if (ngx_http_arg(r, (u_char *) "format", 6, &value) != NGX_OK) {
        slcf = ngx_http_get_module_loc_conf(r, ngx_http_iclock_status_module);
        *format = slcf->format;
        return NGX_OK;
    }

    for (i = 0; i < NGX_HTTP_ICLOCK_STATUS_FORMATS; i++) {

        if (value.len == ngx_http_iclock_status_formats[i].name.len
            && ngx_strncmp(value.data,
                           ngx_http_iclock_status_formats[i].name.data,
                           value.len)
               == 0)
        {
            *format = i;
            return NGX_OK;
        }
    }

    return NGX_DECLINED;
}


/* a document serves all who ask within a tenth of a second */

static ngx_http_iclock_status_document_t *
ngx_http_iclock_status_document(ngx_http_request_t *r, ngx_uint_t format)
{
    ngx_http_iclock_status_out_t         out;
    ngx_http_iclock_status_document_t   *document;
    ngx_http_iclock_status_main_conf_t  *smcf;

    static ngx_http_iclock_status_values_t  values;

    smcf = ngx_http_get_module_main_conf(r, ngx_http_iclock_status_module);

    document = &ngx_http_iclock_status_documents[format];

    if (document->data == NULL) {
        document->data = ngx_alloc(NGX_HTTP_ICLOCK_STATUS_SIZE,
                                   ngx_cycle->log);
        if (document->data == NULL) {
            return NULL;
        }

    } else if (document->metrics == smcf->metrics
               && ngx_current_msec - document->written
                  < NGX_HTTP_ICLOCK_STATUS_FRESH)
    {
        return document;
    }

    ngx_http_iclock_status_values(&values, smcf,
                  ngx_http_get_module_main_conf(r, ngx_http_iclock_module),
                  ngx_http_get_module_main_conf(r, ngx_http_iclock_api_module));

    out.pos = document->data;
    out.end = document->data + NGX_HTTP_ICLOCK_STATUS_SIZE;

    ngx_http_iclock_status_formats[format].write(&out, &values);

    document->len = out.pos - document->data;
    document->written = ngx_current_msec;
    document->metrics = smcf->metrics;

    return document;
}


/* a client may take longer than the document lives */

static ngx_int_t
ngx_http_iclock_status_send(ngx_http_request_t *r, ngx_uint_t format,
    ngx_http_iclock_status_document_t *document)
{
    ngx_str_t                  type;
    ngx_table_elt_t           *h;
    ngx_http_complex_value_t   cv;

    h = ngx_list_push(&r->headers_out.headers);
    if (h == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    h->hash = 1;
    ngx_str_set(&h->key, "Cache-Control");
    ngx_str_set(&h->value, "no-store");

#if (nginx_version >= 1023000)
    h->next = NULL;
#endif

    ngx_memzero(&cv, sizeof(ngx_http_complex_value_t));

    cv.value.len = document->len;
    cv.value.data = ngx_pnalloc(r->pool, document->len);
    if (cv.value.data == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_memcpy(cv.value.data, document->data, document->len);

    type = ngx_http_iclock_status_formats[format].type;

    return ngx_http_send_response(r, NGX_HTTP_OK, &type, &cv);
}
