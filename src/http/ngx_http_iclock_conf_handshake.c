
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


#include "ngx_http_iclock_conf.h"


#define NGX_HTTP_ICLOCK_ZONEINFO  "/usr/share/zoneinfo/"

/* bytes of a name, of which PostgreSQL takes no more */
#define NGX_HTTP_ICLOCK_ZONENAME  63


static ngx_uint_t ngx_http_iclock_is_zoneinfo(u_char *path);


/* an unknown name would fail every statement, so it is refused here */

ngx_uint_t
ngx_http_iclock_valid_timezone(ngx_str_t *name)
{
    u_char           *p, *last;
    u_char            path[sizeof(NGX_HTTP_ICLOCK_ZONEINFO)
                           + NGX_HTTP_ICLOCK_ZONENAME];
    ngx_file_info_t   fi;

    if (name->len == 0 || name->len > NGX_HTTP_ICLOCK_ZONENAME
        || name->data[0] == '/')
    {
        return 0;
    }

    last = name->data + name->len;

    for (p = name->data; p < last; p++) {
        if ((*p < '0' || *p > '9')
            && ((*p | 0x20) < 'a' || (*p | 0x20) > 'z')
            && ngx_strchr("+-_/", *p) == NULL)
        {
            return 0;
        }
    }

    ngx_sprintf(path, NGX_HTTP_ICLOCK_ZONEINFO "%V%Z", name);

    return ngx_file_info(NGX_HTTP_ICLOCK_ZONEINFO, &fi) == NGX_FILE_ERROR
           || ngx_http_iclock_is_zoneinfo(path);
}


/* there are other files and directories among them */

static ngx_uint_t
ngx_http_iclock_is_zoneinfo(u_char *path)
{
    u_char    magic[4];
    ssize_t   n;
    ngx_fd_t  fd;

    fd = ngx_open_file(path, NGX_FILE_RDONLY, NGX_FILE_OPEN, 0);

    if (fd == NGX_INVALID_FILE) {
        return 0;
    }

    n = ngx_read_fd(fd, magic, sizeof(magic));

    (void) ngx_close_file(fd);

    return n == sizeof(magic)
           && ngx_strncmp(magic, "TZif", sizeof(magic)) == 0;
}


/* up to ten times of day, separated by semicolons */

ngx_uint_t
ngx_http_iclock_valid_times(ngx_str_t *times)
{
    u_char      *p, *last;
    ngx_int_t    hour, minute;
    ngx_uint_t   n;

    last = times->data + times->len;

    for (p = times->data, n = 0; p < last; p += 6, n++) {

        if (last - p < 5 || p[2] != ':' || (p + 5 < last && p[5] != ';')) {
            return 0;
        }

        hour = ngx_atoi(p, 2);
        minute = ngx_atoi(p + 3, 2);

        if (hour == NGX_ERROR || hour > 23
            || minute == NGX_ERROR || minute > 59)
        {
            return 0;
        }
    }

    return n <= 10;
}


/* numbers that are separated by single dots */

ngx_uint_t
ngx_http_iclock_valid_version(ngx_str_t *version)
{
    size_t   i;
    u_char  *p;

    p = version->data;

    for (i = 0; i < version->len; i++) {
        if ((p[i] < '0' || p[i] > '9')
            && (p[i] != '.' || i == 0
                || i + 1 == version->len || p[i + 1] == '.'))
        {
            return 0;
        }
    }

    return version->len >= 3 && version->len <= 16;
}


/* it becomes the value of one line of the handshake */

ngx_uint_t
ngx_http_iclock_valid_list(ngx_str_t *list)
{
    size_t  i;

    for (i = 0; i < list->len; i++) {
        if (list->data[i] <= ' ' || list->data[i] >= 0x7f) {
            return 0;
        }
    }

    return list->len <= 900;
}


char *
ngx_http_iclock_trans_flag(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_iclock_loc_conf_t *ilcf = conf;

    u_char      *p;
    size_t       len;
    ngx_str_t   *value, s;
    ngx_uint_t   i;

    if (ilcf->trans_style != NGX_CONF_UNSET_UINT) {
        return "is duplicate";
    }

    value = cf->args->elts;
    len = 0;

    for (i = 1; i < cf->args->nelts; i++) {
        len += value[i].len + 1;
    }

    s.data = ngx_pnalloc(cf->pool, len);
    if (s.data == NULL) {
        return NGX_CONF_ERROR;
    }

    p = s.data;

    for (i = 1; i < cf->args->nelts; i++) {
        p = ngx_cpymem(p, value[i].data, value[i].len);
        *p++ = ' ';
    }

    s.len = p - s.data - 1;

    if (ngx_iclock_parse_trans_flag(&s, &ilcf->trans_style,
                                    &ilcf->trans_words)
        != NGX_OK)
    {
        return ngx_http_iclock_invalid(cf, cmd, &s);
    }

    return NGX_CONF_OK;
}
