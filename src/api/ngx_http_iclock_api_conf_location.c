
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


#include "ngx_http_iclock_api.h"


#define NGX_HTTP_ICLOCK_API_MAX_RATE  1000000


static ngx_int_t ngx_http_iclock_api_rate_value(ngx_str_t *text);
static ngx_uint_t ngx_http_iclock_api_valid_origin(ngx_str_t *text);
static ngx_uint_t ngx_http_iclock_api_valid_url(ngx_str_t *text,
    const char *allowed);


#define ngx_http_iclock_api_location(field)                                  \
    offsetof(ngx_http_iclock_api_loc_conf_t, field)


static ngx_http_iclock_param_t  ngx_http_iclock_api_page_params[] = {

    { ngx_string("default="), ngx_http_iclock_api_location(page_default),
      ngx_http_iclock_range(NUMBER, 1, 10000, 0) },

    { ngx_string("max="), ngx_http_iclock_api_location(page_max),
      ngx_http_iclock_range(NUMBER, 1, 10000, 0) },

    { ngx_null_string, 0, NULL }
};


/* "rate=100r/m burst=50", or "off"; as many at once as in a minute */

char *
ngx_http_iclock_api_rate(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_iclock_api_loc_conf_t *alcf = conf;

    ngx_int_t    n;
    ngx_str_t   *value, text;
    ngx_uint_t   i;

    value = cf->args->elts;

    if (alcf->rate != NGX_CONF_UNSET_UINT) {
        return "is duplicate";
    }

    alcf->rate = 0;
    alcf->burst = 0;

    if (cf->args->nelts == 2 && ngx_strcmp(value[1].data, "off") == 0) {
        return NGX_CONF_OK;
    }

    for (i = 1; i < cf->args->nelts; i++) {

        n = NGX_ERROR;

        if (ngx_strncmp(value[i].data, "rate=", 5) == 0 && !alcf->rate) {
            text.data = value[i].data + 5;
            text.len = value[i].len - 5;
            n = ngx_http_iclock_api_rate_value(&text);
            alcf->rate = n;

        } else if (ngx_strncmp(value[i].data, "burst=", 6) == 0
                   && !alcf->burst)
        {
            n = ngx_atoi(value[i].data + 6, value[i].len - 6);
            alcf->burst = n;
        }

        if (n < 1 || n > NGX_HTTP_ICLOCK_API_MAX_RATE) {
            return ngx_http_iclock_invalid(cf, cmd, &value[i]);
        }
    }

    if (alcf->rate == 0) {
        return "needs \"rate=\"";
    }

    if (alcf->burst == 0) {
        alcf->burst = alcf->rate;
    }

    return NGX_CONF_OK;
}


/* a minute */

static ngx_int_t
ngx_http_iclock_api_rate_value(ngx_str_t *text)
{
    u_char     *unit;
    ngx_int_t   n, scale;

    if (text->len < 4) {
        return NGX_ERROR;
    }

    unit = text->data + text->len - 3;

    if (ngx_strncmp(unit, "r/m", 3) == 0) {
        scale = 1;

    } else if (ngx_strncmp(unit, "r/s", 3) == 0) {
        scale = 60;

    } else {
        return NGX_ERROR;
    }

    n = ngx_atoi(text->data, text->len - 3);

    return (n > NGX_HTTP_ICLOCK_API_MAX_RATE) ? NGX_ERROR : n * scale;
}


char *
ngx_http_iclock_api_page(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_iclock_api_loc_conf_t *alcf = conf;

    char           *rv;
    ngx_command_t   params;

    params = *cmd;
    params.post = ngx_http_iclock_api_page_params;

    rv = ngx_http_iclock_set_params(cf, &params, conf);

    if (rv == NGX_CONF_OK
        && alcf->page_default != NGX_CONF_UNSET_UINT
        && alcf->page_default > alcf->page_max)
    {
        return "has a \"default\" larger than \"max\"";
    }

    return rv;
}


char *
ngx_http_iclock_api_cors(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_iclock_api_loc_conf_t *alcf = conf;

    ngx_str_t   *value, *origin;
    ngx_uint_t   i;

    value = cf->args->elts;

    if (alcf->cors != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }

    alcf->cors = NULL;

    if (cf->args->nelts == 2 && ngx_strcmp(value[1].data, "off") == 0) {
        return NGX_CONF_OK;
    }

    alcf->cors = ngx_array_create(cf->pool, cf->args->nelts - 1,
                                  sizeof(ngx_str_t));
    if (alcf->cors == NULL) {
        return NGX_CONF_ERROR;
    }

    for (i = 1; i < cf->args->nelts; i++) {

        if (!ngx_http_iclock_api_valid_origin(&value[i])) {
            return ngx_http_iclock_invalid(cf, cmd, &value[i]);
        }

        origin = ngx_array_push(alcf->cors);
        if (origin == NULL) {
            return NGX_CONF_ERROR;
        }

        *origin = value[i];
    }

    return NGX_CONF_OK;
}


/* as browsers send it: "https://example.com:8443"; or any: "*" */

static ngx_uint_t
ngx_http_iclock_api_valid_origin(ngx_str_t *text)
{
    return (text->len == 1 && text->data[0] == '*')
           || ngx_http_iclock_api_valid_url(text, ".-:[]");
}


ngx_uint_t
ngx_http_iclock_api_valid_base(ngx_str_t *text)
{
    return ngx_http_iclock_api_valid_url(text, ".-:[]_~/")
           && text->data[text->len - 1] != '/';
}


static ngx_uint_t
ngx_http_iclock_api_valid_url(ngx_str_t *text, const char *allowed)
{
    size_t  i, scheme;
    u_char  c;

    if (text->len > 8 && ngx_strncmp(text->data, "https://", 8) == 0) {
        scheme = 8;

    } else if (text->len > 7 && ngx_strncmp(text->data, "http://", 7) == 0) {
        scheme = 7;

    } else {
        return 0;
    }

    if (text->data[scheme] == '/') {
        return 0;
    }

    for (i = scheme; i < text->len; i++) {
        c = text->data[i];

        if ((c < '0' || c > '9') && ((c | 0x20) < 'a' || (c | 0x20) > 'z')
            && ngx_strchr(allowed, c) == NULL)
        {
            return 0;
        }
    }

    return 1;
}


void
ngx_http_iclock_api_merge_others(ngx_http_iclock_api_loc_conf_t *prev,
    ngx_http_iclock_api_loc_conf_t *conf)
{
    ngx_conf_merge_uint_value(conf->rate, prev->rate, 100);
    ngx_conf_merge_uint_value(conf->burst, prev->burst, 100);
    ngx_conf_merge_uint_value(conf->page_default, prev->page_default, 100);
    ngx_conf_merge_uint_value(conf->page_max, prev->page_max, 1000);
    ngx_conf_merge_ptr_value(conf->cors, prev->cors, NULL);

    /* they may come from two levels */

    conf->page_default = ngx_min(conf->page_default, conf->page_max);
}
