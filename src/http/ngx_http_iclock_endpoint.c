
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


#include "ngx_http_iclock.h"


#define NGX_HTTP_ICLOCK_BOTH  (NGX_HTTP_GET|NGX_HTTP_POST)


static void ngx_http_iclock_strip_doubles(ngx_str_t *name);
static void ngx_http_iclock_strip_end(ngx_str_t *name);
static ngx_uint_t ngx_http_iclock_strip_prefix(ngx_http_request_t *r,
    ngx_str_t *name);


static const ngx_http_iclock_endpoint_t  ngx_http_iclock_endpoints[] = {

    { ngx_string("cdata"), ngx_string("cdata"),
      NGX_HTTP_ICLOCK_BOTH, 0, ngx_http_iclock_cdata },

    /* resellers' firmware */
    { ngx_string("AIData"), ngx_string("cdata"),
      NGX_HTTP_ICLOCK_BOTH, 0, ngx_http_iclock_cdata },

    { ngx_string("getrequest"), ngx_string("getrequest"),
      NGX_HTTP_ICLOCK_BOTH, NGX_HTTP_ICLOCK_STALE,
      ngx_http_iclock_getrequest },

    { ngx_string("getreq"), ngx_string("getrequest"),
      NGX_HTTP_ICLOCK_BOTH, NGX_HTTP_ICLOCK_STALE,
      ngx_http_iclock_getrequest },

    /* old firmware sends an empty POST as a GET */
    { ngx_string("devicecmd"), ngx_string("devicecmd"),
      NGX_HTTP_ICLOCK_BOTH, 0, ngx_http_iclock_devicecmd },

    { ngx_string("service/control"), ngx_string("control"),
      NGX_HTTP_ICLOCK_BOTH, 0, ngx_http_iclock_control },

    { ngx_string("ping"), ngx_string("ping"),
      NGX_HTTP_ICLOCK_BOTH, NGX_HTTP_ICLOCK_STALE, ngx_http_iclock_ping },

    /* photos of old firmware */
    { ngx_string("fdata"), ngx_string("fdata"),
      NGX_HTTP_POST, 0, ngx_http_iclock_fdata },

    /* encryption */
    { ngx_string("exchange"), ngx_string("exchange"),
      NGX_HTTP_ICLOCK_BOTH, NGX_HTTP_ICLOCK_ABSENT, ngx_http_iclock_exchange },

    /* downloads, by URL or by path */
    { ngx_string("file"), ngx_string("file"),
      NGX_HTTP_GET, NGX_HTTP_ICLOCK_ANONYMOUS, ngx_http_iclock_file },

    { ngx_null_string, ngx_null_string, 0, 0, NULL }
};


const ngx_http_iclock_endpoint_t *
ngx_http_iclock_find_endpoint(ngx_http_request_t *r, ngx_str_t *path)
{
    u_char                            *p;
    ngx_str_t                          name;
    ngx_uint_t                         tail;
    const ngx_http_iclock_endpoint_t  *e;

    tail = ngx_http_iclock_strip_prefix(r, &name);
    ngx_http_iclock_strip_doubles(&name);

    ngx_str_null(path);

    if (name.len > 5
        && ngx_strncasecmp(name.data, (u_char *) "file/", 5) == 0)
    {
        path->data = name.data + 4;
        path->len = name.len - 4;
        name.len = 4;
    }

    ngx_http_iclock_strip_end(&name);

    for (e = ngx_http_iclock_endpoints; e->name.len; e++) {

        if (e->name.len > name.len) {
            continue;
        }

        p = name.data + name.len - e->name.len;

        if (ngx_strncasecmp(e->name.data, p, e->name.len) == 0
            && (p == name.data || (tail && p[-1] == '/')))
        {
            return e;
        }
    }

    return NULL;
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
        || ngx_filename_cmp(name->data, clcf->name.data, clcf->name.len) != 0)
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
