
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


#include "iclock_pg_private.h"


static ngx_int_t ngx_iclock_pg_passfile_read(ngx_conf_t *cf, ngx_str_t *name,
    ngx_str_t *text);
static ngx_int_t ngx_iclock_pg_passfile_host(ngx_conf_t *cf,
    ngx_iclock_pg_server_t *server, ngx_iclock_pg_host_t *host,
    ngx_str_t *text);
static ngx_uint_t ngx_iclock_pg_passfile_match(u_char **line, u_char *end,
    ngx_str_t *value, const char *fallback);


char *
ngx_iclock_pg_server_passfile(ngx_conf_t *cf, ngx_iclock_pg_server_t *server,
    ngx_str_t *file)
{
    char                  *rv;
    ngx_str_t              name, text;
    ngx_uint_t             i;
    ngx_iclock_pg_host_t  *host;

    name = *file;

    if (ngx_conf_full_name(cf->cycle, &name, 1) != NGX_OK
        || ngx_iclock_pg_passfile_read(cf, &name, &text) != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    rv = NGX_CONF_OK;
    host = server->hosts.elts;

    for (i = 0; i < server->hosts.nelts; i++) {

        if (ngx_iclock_pg_passfile_host(cf, server, &host[i], &text)
            != NGX_OK)
        {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "no line of \"%V\" matches the database", &name);
            rv = NGX_CONF_ERROR;
            break;
        }
    }

    ngx_explicit_memzero(text.data, text.len);

    return rv;
}


static ngx_int_t
ngx_iclock_pg_passfile_read(ngx_conf_t *cf, ngx_str_t *name, ngx_str_t *text)
{
    size_t           size;
    ssize_t          n;
    ngx_fd_t         fd;
    ngx_file_info_t  fi;

    fd = ngx_open_file(name->data, NGX_FILE_RDONLY, NGX_FILE_OPEN, 0);

    if (fd == NGX_INVALID_FILE) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, ngx_errno,
                           ngx_open_file_n " \"%V\" failed", name);
        return NGX_ERROR;
    }

    text->data = NULL;
    n = -1;
    size = 0;

    if (ngx_fd_info(fd, &fi) != NGX_FILE_ERROR) {

        if (fi.st_mode & (S_IROTH|S_IWOTH)) {
            ngx_conf_log_error(NGX_LOG_WARN, cf, 0,
                               "\"iclock_database_passfile\": \"%V\" is open "
                               "to everybody", name);
        }

        size = (size_t) ngx_file_size(&fi);
        text->data = ngx_pnalloc(cf->temp_pool, size + 1);
    }

    if (text->data) {
        n = ngx_read_fd(fd, text->data, size);
    }

    (void) ngx_close_file(fd);

    if (n < 0 || (size_t) n != size) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, ngx_errno,
                           ngx_read_file_n " \"%V\" failed", name);
        return NGX_ERROR;
    }

    text->len = n;

    return NGX_OK;
}


/* lines are host:port:database:user:password, as in ~/.pgpass */

static ngx_int_t
ngx_iclock_pg_passfile_host(ngx_conf_t *cf, ngx_iclock_pg_server_t *server,
    ngx_iclock_pg_host_t *host, ngx_str_t *text)
{
    u_char     *p, *last, *end, *dst;
    ngx_str_t  *name;

    /* as libpq does it: what has no name is known by its address */

    name = host->name.len ? &host->name : host->addrs;

    p = text->data;
    last = text->data + text->len;

    for ( /* void */ ; p < last; p = end + 1) {

        end = ngx_strlchr(p, last, LF);
        if (end == NULL) {
            end = last;
        }

        if (*p == '#') {
            continue;
        }

        if (!ngx_iclock_pg_passfile_match(&p, end, name, "localhost")
            || !ngx_iclock_pg_passfile_match(&p, end, &host->port, "5432")
            || !ngx_iclock_pg_passfile_match(&p, end, &server->dbname, "")
            || !ngx_iclock_pg_passfile_match(&p, end, &server->user, ""))
        {
            continue;
        }

        dst = ngx_pnalloc(cf->pool, end - p + 1);
        if (dst == NULL) {
            return NGX_ERROR;
        }

        host->password.data = dst;

        while (p < end && *p != CR) {

            if (*p == '\\' && p + 1 < end) {
                p++;
            }

            *dst++ = *p++;
        }

        host->password.len = dst - host->password.data;
        *dst = '\0';

        return NGX_OK;
    }

    return NGX_DECLINED;
}


/* compares one field, with its escapes, and goes behind its colon */

static ngx_uint_t
ngx_iclock_pg_passfile_match(u_char **line, u_char *end, ngx_str_t *value,
    const char *fallback)
{
    u_char      *p;
    size_t       i;
    ngx_str_t    v;
    ngx_uint_t   same, star;

    v = *value;

    if (v.len == 0) {
        v.data = (u_char *) fallback;
        v.len = ngx_strlen(fallback);
    }

    p = *line;
    same = 1;
    star = (p + 1 < end && p[0] == '*' && p[1] == ':');

    for (i = 0; p < end && *p != ':'; p++, i++) {

        if (*p == '\\' && p + 1 < end) {
            p++;
        }

        if (i >= v.len || v.data[i] != *p) {
            same = 0;
        }
    }

    if (p == end) {
        return 0;
    }

    *line = p + 1;

    return star || (same && i == v.len);
}
