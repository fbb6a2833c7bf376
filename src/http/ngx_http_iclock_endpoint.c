
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


#include "ngx_http_iclock.h"


#define NGX_HTTP_ICLOCK_BOTH  (NGX_HTTP_GET|NGX_HTTP_POST)


static void ngx_http_iclock_strip_doubles(ngx_str_t *name);
static void ngx_http_iclock_strip_end(ngx_str_t *name);
static ngx_uint_t ngx_http_iclock_strip_prefix(ngx_http_request_t *r,
    ngx_str_t *name);
static ngx_uint_t ngx_http_iclock_split_path(const ngx_str_t *name,
    ngx_str_t *uri, ngx_str_t *path);
static ngx_uint_t ngx_http_iclock_is_name(const ngx_str_t *name,
    ngx_str_t *uri, ngx_uint_t tail);


static const ngx_http_iclock_endpoint_t  ngx_http_iclock_endpoints[] = {

    /* downloads, by URL or by path, which may end like any other name */
    { ngx_string("file"), ngx_string("file"),
      NGX_ICLOCK_L_ENDPOINT_FILE,
      NGX_HTTP_GET, NGX_HTTP_ICLOCK_ANONYMOUS|NGX_HTTP_ICLOCK_PATH,
      ngx_http_iclock_file },

    { ngx_string("cdata"), ngx_string("cdata"),
      NGX_ICLOCK_L_ENDPOINT_CDATA,
      NGX_HTTP_ICLOCK_BOTH, 0, ngx_http_iclock_cdata },

    /* resellers' firmware */
    { ngx_string("AIData"), ngx_string("cdata"),
      NGX_ICLOCK_L_ENDPOINT_CDATA,
      NGX_HTTP_ICLOCK_BOTH, 0, ngx_http_iclock_cdata },

    { ngx_string("getrequest"), ngx_string("getrequest"),
      NGX_ICLOCK_L_ENDPOINT_GETREQUEST,
      NGX_HTTP_ICLOCK_BOTH, 0, ngx_http_iclock_getrequest },

    { ngx_string("getreq"), ngx_string("getrequest"),
      NGX_ICLOCK_L_ENDPOINT_GETREQUEST,
      NGX_HTTP_ICLOCK_BOTH, 0, ngx_http_iclock_getrequest },

    /* old firmware sends an empty POST as a GET */
    { ngx_string("devicecmd"), ngx_string("devicecmd"),
      NGX_ICLOCK_L_ENDPOINT_DEVICECMD,
      NGX_HTTP_ICLOCK_BOTH, 0, ngx_http_iclock_devicecmd },

    { ngx_string("service/control"), ngx_string("control"),
      NGX_ICLOCK_L_ENDPOINT_CONTROL,
      NGX_HTTP_ICLOCK_BOTH, 0, ngx_http_iclock_control },

    { ngx_string("ping"), ngx_string("ping"),
      NGX_ICLOCK_L_ENDPOINT_PING,
      NGX_HTTP_ICLOCK_BOTH, NGX_HTTP_ICLOCK_STALE, ngx_http_iclock_ping },

    /* photos of old firmware */
    { ngx_string("fdata"), ngx_string("fdata"),
      NGX_ICLOCK_L_ENDPOINT_FDATA,
      NGX_HTTP_POST, 0, ngx_http_iclock_fdata },

    /* encryption */
    { ngx_string("exchange"), ngx_string("exchange"),
      NGX_ICLOCK_L_ENDPOINT_EXCHANGE,
      NGX_HTTP_ICLOCK_BOTH, NGX_HTTP_ICLOCK_ABSENT, ngx_http_iclock_exchange },

    { ngx_null_string, ngx_null_string, 0, 0, 0, NULL }
};


const ngx_http_iclock_endpoint_t *
ngx_http_iclock_find_endpoint(ngx_http_request_t *r, ngx_str_t *path)
{
    ngx_str_t                          uri, name;
    ngx_uint_t                         tail;
    const ngx_http_iclock_endpoint_t  *e;

    tail = ngx_http_iclock_strip_prefix(r, &uri);
    ngx_http_iclock_strip_doubles(&uri);

    name = uri;
    ngx_http_iclock_strip_end(&name);

    ngx_str_null(path);

    for (e = ngx_http_iclock_endpoints; e->name.len; e++) {

        if (((e->flags & NGX_HTTP_ICLOCK_PATH)
             && ngx_http_iclock_split_path(&e->name, &uri, path))
            || ngx_http_iclock_is_name(&e->name, &name, tail))
        {
            return e;
        }
    }

    return NULL;
}


/* a path begins with "/" and is taken as it is */

static ngx_uint_t
ngx_http_iclock_split_path(const ngx_str_t *name, ngx_str_t *uri,
    ngx_str_t *path)
{
    if (uri->len <= name->len + 1 || uri->data[name->len] != '/'
        || ngx_strncasecmp(name->data, uri->data, name->len) != 0)
    {
        return 0;
    }

    path->data = uri->data + name->len;
    path->len = uri->len - name->len;

    return 1;
}


static ngx_uint_t
ngx_http_iclock_is_name(const ngx_str_t *name, ngx_str_t *uri,
    ngx_uint_t tail)
{
    u_char  *p;

    if (name->len > uri->len) {
        return 0;
    }

    p = uri->data + uri->len - name->len;

    if (p != uri->data && !(tail && p[-1] == '/')) {
        return 0;
    }

    /* nearly all write it like this */

    return ngx_memcmp(name->data, p, name->len) == 0
           || ngx_strncasecmp(name->data, p, name->len) == 0;
}


/*
 * The forms in which firmware wraps a name: "iclock/cdata", "cdata.aspx",
 * "cdata/".
 */

static void
ngx_http_iclock_strip_doubles(ngx_str_t *name)
{
    for ( ;; ) {

        if (name->len && name->data[0] == '/') {
            name->data++;
            name->len--;
            continue;
        }

        if (name->len > 7
            && ngx_strncasecmp(name->data, (u_char *) "iclock/", 7) == 0)
        {
            name->data += 7;
            name->len -= 7;
            continue;
        }

        return;
    }
}


static void
ngx_http_iclock_strip_end(ngx_str_t *name)
{
    while (name->len && name->data[name->len - 1] == '/') {
        name->len--;
    }

    if (name->len > 5
        && ngx_strncasecmp(name->data + name->len - 5, (u_char *) ".aspx", 5)
           == 0)
    {
        name->len -= 5;
    }
}


/*
 * What stands behind the location's prefix.  Returns 1 if the prefix is
 * unknown: the name is what the whole URI ends with.
 */

static ngx_uint_t
ngx_http_iclock_strip_prefix(ngx_http_request_t *r, ngx_str_t *name)
{
    ngx_http_core_loc_conf_t  *clcf;

    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    *name = r->uri;

    /* a regular expression, "location =", "location @" */

    if (clcf->exact_match || clcf->named) {
        return 1;
    }

#if (NGX_PCRE)

    if (clcf->regex) {
        return 1;
    }

#endif

    if (name->len < clcf->name.len
        || (ngx_memcmp(name->data, clcf->name.data, clcf->name.len) != 0
            && ngx_filename_cmp(name->data, clcf->name.data, clcf->name.len)
               != 0))
    {
        return clcf->noname;
    }

    name->data += clcf->name.len;
    name->len -= clcf->name.len;

    /* "location /iclock" is tried with "/iclockcdata", too */

    if (name->len && name->data[0] != '/' && name->data[-1] != '/') {
        name->len = 0;
    }

    /* "if" and "limit_except" bear the name of a location of any kind */

    if (clcf->noname && name->len == 0) {
        *name = r->uri;
        return 1;
    }

    return 0;
}
