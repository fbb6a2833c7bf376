
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


#include "ngx_http_iclock_console.h"
#include "ngx_http_iclock_setting.h"


typedef struct {
    ngx_str_t                   name;
    ngx_str_t                   value;
    ngx_uint_t                  tls;        /* over TLS only */
} ngx_http_iclock_console_header_t;


static ngx_int_t ngx_http_iclock_console_handler(ngx_http_request_t *r);
static ngx_int_t ngx_http_iclock_console_page(ngx_http_request_t *r);
static ngx_int_t ngx_http_iclock_console_refuse(ngx_http_request_t *r,
    ngx_uint_t status);
static ngx_uint_t ngx_http_iclock_console_found(ngx_http_request_t *r);
static ngx_int_t ngx_http_iclock_console_headers(ngx_http_request_t *r);
static ngx_table_elt_t *ngx_http_iclock_console_header(ngx_http_request_t *r,
    const char *name, ngx_str_t *value);
static ngx_uint_t ngx_http_iclock_console_gzip(ngx_http_request_t *r);
static ngx_uint_t ngx_http_iclock_console_coding(u_char *p, u_char *last);
static ngx_uint_t ngx_http_iclock_console_valid_api(ngx_str_t *text);
static ngx_uint_t ngx_http_iclock_console_valid_terminals(ngx_str_t *text);
static ngx_uint_t ngx_http_iclock_console_visible(ngx_str_t *text);
static void *ngx_http_iclock_console_create_loc_conf(ngx_conf_t *cf);
static char *ngx_http_iclock_console_merge_loc_conf(ngx_conf_t *cf,
    void *parent, void *child);
static char *ngx_http_iclock_console(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);


static ngx_http_iclock_param_t  ngx_http_iclock_console_params[] = {

    { ngx_string("api="),
      offsetof(ngx_http_iclock_console_loc_conf_t, api),
      ngx_http_iclock_text(ngx_http_iclock_console_valid_api, "/v1") },

    { ngx_string("terminals="),
      offsetof(ngx_http_iclock_console_loc_conf_t, terminals),
      ngx_http_iclock_text(ngx_http_iclock_console_valid_terminals, "") },

    { ngx_null_string, 0, NULL }
};


static ngx_command_t  ngx_http_iclock_console_commands[] = {

    { ngx_string("iclock_console"),
      NGX_HTTP_LOC_CONF|NGX_CONF_NOARGS|NGX_CONF_TAKE12,
      ngx_http_iclock_console,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      ngx_http_iclock_console_params },

      ngx_null_command
};


static ngx_http_module_t  ngx_http_iclock_console_module_ctx = {
    NULL,                                  /* preconfiguration */
    NULL,                                  /* postconfiguration */

    NULL,                                  /* create main configuration */
    NULL,                                  /* init main configuration */

    NULL,                                  /* create server configuration */
    NULL,                                  /* merge server configuration */

    ngx_http_iclock_console_create_loc_conf,
                                           /* create location configuration */
    ngx_http_iclock_console_merge_loc_conf /* merge location configuration */
};


ngx_module_t  ngx_http_iclock_console_module = {
    NGX_MODULE_V1,
    &ngx_http_iclock_console_module_ctx,   /* module context */
    ngx_http_iclock_console_commands,      /* module directives */
    NGX_HTTP_MODULE,                       /* module type */
    NULL,                                  /* init master */
    NULL,                                  /* init module */
    NULL,                                  /* init process */
    NULL,                                  /* init thread */
    NULL,                                  /* exit thread */
    NULL,                                  /* exit process */
    NULL,                                  /* exit master */
    NGX_MODULE_V1_PADDING
};


/* of the page and of all that is answered in its place */

static ngx_http_iclock_console_header_t
    ngx_http_iclock_console_header_rows[] =
{
    { ngx_string("X-Frame-Options"), ngx_string("DENY"), 0 },
    { ngx_string("X-Content-Type-Options"), ngx_string("nosniff"), 0 },
    { ngx_string("Referrer-Policy"), ngx_string("no-referrer"), 0 },
    { ngx_string("Cross-Origin-Opener-Policy"), ngx_string("same-origin"), 1 },
    { ngx_string("Cross-Origin-Resource-Policy"), ngx_string("same-origin"),
      0 },
    { ngx_string("Permissions-Policy"),
      ngx_string("camera=(), microphone=(), geolocation=(), usb=(), "
                 "payment=()"), 0 },
    { ngx_string("Cache-Control"), ngx_string("no-cache"), 0 },
    { ngx_string("Vary"), ngx_string("Accept-Encoding"), 0 },

    { ngx_null_string, ngx_null_string, 0 }
};


static ngx_int_t
ngx_http_iclock_console_handler(ngx_http_request_t *r)
{
    ngx_int_t  rc;
    ngx_str_t  value;

    if (ngx_http_iclock_console_headers(r) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (!(r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD))) {
        ngx_str_set(&value, "GET, HEAD");

        if (ngx_http_iclock_console_header(r, "Allow", &value) == NULL) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        return ngx_http_iclock_console_refuse(r, NGX_HTTP_NOT_ALLOWED);
    }

    if (!ngx_http_iclock_console_found(r)) {
        return ngx_http_iclock_console_refuse(r, NGX_HTTP_NOT_FOUND);
    }

    rc = ngx_http_discard_request_body(r);

    if (rc != NGX_OK) {
        return rc;
    }

    return ngx_http_iclock_console_page(r);
}


static ngx_int_t
ngx_http_iclock_console_page(ngx_http_request_t *r)
{
    ngx_str_t                            value;
    ngx_uint_t                           gzip;
    ngx_table_elt_t                     *h;
    ngx_http_iclock_console_loc_conf_t  *conf;

    conf = ngx_http_get_module_loc_conf(r, ngx_http_iclock_console_module);

    gzip = ngx_http_iclock_console_gzip(r);

    if (gzip) {
        ngx_str_set(&value, "gzip");

        h = ngx_http_iclock_console_header(r, "Content-Encoding", &value);
        if (h == NULL) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        r->headers_out.content_encoding = h;
    }

    h = ngx_http_iclock_console_header(r, "ETag", gzip ? &conf->gzip_etag
                                                       : &conf->plain_etag);
    if (h == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    r->headers_out.etag = h;
    r->headers_out.status = NGX_HTTP_OK;
    ngx_str_set(&r->headers_out.content_type, "text/html");
    r->headers_out.content_type_len = r->headers_out.content_type.len;
    ngx_str_set(&r->headers_out.charset, "utf-8");

    ngx_log_debug1(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                   "iclock console: the page, gzip: %ui", gzip);

    return ngx_http_iclock_console_send(r, conf, gzip);
}


static ngx_int_t
ngx_http_iclock_console_refuse(ngx_http_request_t *r, ngx_uint_t status)
{
    ngx_http_complex_value_t  cv;

    static ngx_str_t  type = ngx_string("text/plain");

    ngx_memzero(&cv, sizeof(ngx_http_complex_value_t));

    if (status == NGX_HTTP_NOT_FOUND) {
        ngx_str_set(&cv.value, "There is no such page." CRLF);

    } else {
        ngx_str_set(&cv.value, "The page can be read only." CRLF);
    }

    ngx_log_debug1(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                   "iclock console: refused, %ui", status);

    return ngx_http_send_response(r, status, &type, &cv);
}


/* all views of the page have one address: what tells them apart stands in
 * the browser behind "#" */

static ngx_uint_t
ngx_http_iclock_console_found(ngx_http_request_t *r)
{
    size_t                     len;
    ngx_http_core_loc_conf_t  *clcf;

    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    len = clcf->name.len;

    return r->uri.len == len
           || (r->uri.len == len + 1 && r->uri.data[len] == '/');
}


static ngx_int_t
ngx_http_iclock_console_headers(ngx_http_request_t *r)
{
    ngx_uint_t                         tls;
    ngx_http_iclock_console_header_t  *row;

    tls = 0;

#if (NGX_HTTP_SSL)

    if (r->connection->ssl) {
        tls = 1;
    }

#endif

    if (ngx_http_iclock_console_header(r, "Content-Security-Policy",
                                       &ngx_http_iclock_console_policy)
        == NULL)
    {
        return NGX_ERROR;
    }

    for (row = ngx_http_iclock_console_header_rows; row->name.len; row++) {

        if (row->tls && !tls) {
            continue;
        }

        if (ngx_http_iclock_console_header(r, (char *) row->name.data,
                                           &row->value)
            == NULL)
        {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static ngx_table_elt_t *
ngx_http_iclock_console_header(ngx_http_request_t *r, const char *name,
    ngx_str_t *value)
{
    ngx_table_elt_t  *h;

    h = ngx_list_push(&r->headers_out.headers);
    if (h == NULL) {
        return NULL;
    }

    h->hash = 1;
    h->key.data = (u_char *) name;
    h->key.len = ngx_strlen(name);
    h->value = *value;
#if (nginx_version >= 1023000)
    h->next = NULL;
#endif

    return h;
}


/* what the client says counts; "gzip" of nginx and its conditions do not */

static ngx_uint_t
ngx_http_iclock_console_gzip(ngx_http_request_t *r)
{
#if (NGX_HTTP_GZIP)

    u_char           *p, *last, *end;
    ngx_table_elt_t  *h;

    h = r->headers_in.accept_encoding;

    if (h == NULL) {
        return 0;
    }

    p = h->value.data;
    last = p + h->value.len;

    while (p < last) {

        end = ngx_strlchr(p, last, ',');

        if (end == NULL) {
            end = last;
        }

        if (ngx_http_iclock_console_coding(p, end)) {
            return 1;
        }

        p = end + 1;
    }

#endif

    return 0;
}


/* "gzip", also with a weight that is not 0 */

static ngx_uint_t
ngx_http_iclock_console_coding(u_char *p, u_char *last)
{
    while (p < last && (*p == ' ' || *p == '\t')) {
        p++;
    }

    if (last - p < 4 || ngx_strncasecmp(p, (u_char *) "gzip", 4) != 0) {
        return 0;
    }

    p += 4;

    while (p < last && (*p == ' ' || *p == '\t')) {
        p++;
    }

    if (p == last) {
        return 1;
    }

    if (*p != ';') {
        return 0;
    }

    /* "q=0.000" is all that says no */

    while (++p < last) {
        if (*p >= '1' && *p <= '9') {
            return 1;
        }
    }

    return 0;
}


/* a path of the same server: others must not get the key */

static ngx_uint_t
ngx_http_iclock_console_valid_api(ngx_str_t *text)
{
    if (text->len == 0 || text->data[0] != '/'
        || (text->len > 1 && (text->data[1] == '/' || text->data[1] == '\\'))
        || !ngx_http_iclock_console_visible(text))
    {
        return 0;
    }

    return ngx_strlchr(text->data, text->data + text->len, '?') == NULL
           && ngx_strlchr(text->data, text->data + text->len, '#') == NULL;
}


static ngx_uint_t
ngx_http_iclock_console_valid_terminals(ngx_str_t *text)
{
    return ((text->len > 7 && ngx_strncmp(text->data, "http://", 7) == 0)
            || (text->len > 8 && ngx_strncmp(text->data, "https://", 8) == 0))
           && ngx_http_iclock_console_visible(text);
}


static ngx_uint_t
ngx_http_iclock_console_visible(ngx_str_t *text)
{
    size_t  i;

    for (i = 0; i < text->len; i++) {
        if (text->data[i] <= 0x20 || text->data[i] >= 0x7f) {
            return 0;
        }
    }

    return 1;
}


static void *
ngx_http_iclock_console_create_loc_conf(ngx_conf_t *cf)
{
    return ngx_pcalloc(cf->pool, sizeof(ngx_http_iclock_console_loc_conf_t));
}


/* a page belongs to its location; nothing is inherited */

static char *
ngx_http_iclock_console_merge_loc_conf(ngx_conf_t *cf, void *parent,
    void *child)
{
    ngx_http_iclock_console_loc_conf_t *conf = child;

    if (!conf->enable) {
        return NGX_CONF_OK;
    }

    if (conf->api.data == NULL) {
        ngx_str_set(&conf->api, "/v1");
    }

    return (ngx_http_iclock_console_build(cf, conf) == NGX_OK)
           ? NGX_CONF_OK : NGX_CONF_ERROR;
}


static char *
ngx_http_iclock_console(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_iclock_console_loc_conf_t *ccf = conf;

    ngx_http_core_loc_conf_t  *clcf;

    if (ccf->enable) {
        return "is duplicate";
    }

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

#if (NGX_PCRE)

    if (clcf->regex) {
        return "needs a location with a prefix";
    }

#endif

    if (clcf->named) {
        return "needs a location with a prefix";
    }

    ccf->enable = 1;
    clcf->handler = ngx_http_iclock_console_handler;

    return ngx_http_iclock_set_params(cf, cmd, conf);
}
