
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


#include "ngx_http_iclock_setting.h"


typedef void (*ngx_http_iclock_setting_pt)(ngx_http_iclock_setting_t *setting,
    void *prev, void *field);


static char *ngx_http_iclock_set_field(ngx_conf_t *cf, ngx_command_t *cmd,
    ngx_http_iclock_setting_t *setting, void *field, ngx_str_t *arg,
    size_t skip);
static ngx_int_t ngx_http_iclock_setting_value(
    ngx_http_iclock_setting_t *setting, ngx_str_t *value);
static ngx_int_t ngx_http_iclock_setting_number(ngx_uint_t type,
    ngx_str_t *value);
static void ngx_http_iclock_setting_walk(ngx_command_t *cmd,
    ngx_uint_t which, void *prev, void *conf,
    ngx_http_iclock_setting_pt handler);
static void ngx_http_iclock_unset(ngx_http_iclock_setting_t *setting,
    void *prev, void *field);
static void ngx_http_iclock_merge(ngx_http_iclock_setting_t *setting,
    void *prev, void *field);


ngx_conf_enum_t  ngx_http_iclock_off[] = {
    { ngx_string("off"), 0 },
    { ngx_null_string, 0 }
};


ngx_conf_enum_t  ngx_http_iclock_on_off[] = {
    { ngx_string("on"), 1 },
    { ngx_string("off"), 0 },
    { ngx_null_string, 0 }
};


char *
ngx_http_iclock_set(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_str_t  *value;

    value = cf->args->elts;

    return ngx_http_iclock_set_field(cf, cmd, cmd->post,
                                     (char *) conf + cmd->offset, &value[1],
                                     0);
}


char *
ngx_http_iclock_set_params(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    char                     *rv;
    ngx_str_t                *value;
    ngx_uint_t                i;
    ngx_http_iclock_param_t  *p;

    value = cf->args->elts;

    for (i = 1; i < cf->args->nelts; i++) {

        for (p = cmd->post; p->name.len; p++) {
            if (value[i].len > p->name.len
                && ngx_strncmp(value[i].data, p->name.data, p->name.len) == 0)
            {
                break;
            }
        }

        if (p->name.len == 0) {
            return ngx_http_iclock_invalid(cf, cmd, &value[i]);
        }

        rv = ngx_http_iclock_set_field(cf, cmd, p->setting,
                                       (char *) conf + cmd->offset + p->offset,
                                       &value[i], p->name.len);
        if (rv != NGX_CONF_OK) {
            return rv;
        }
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_iclock_set_field(ngx_conf_t *cf, ngx_command_t *cmd,
    ngx_http_iclock_setting_t *setting, void *field, ngx_str_t *arg,
    size_t skip)
{
    ngx_int_t  *word;
    ngx_str_t  *text, value;

    value.data = arg->data + skip;
    value.len = arg->len - skip;

    if (setting->type == NGX_HTTP_ICLOCK_TEXT) {
        text = field;

        if (text->data) {
            return "is duplicate";
        }

        if (setting->valid && !setting->valid(&value)) {
            return ngx_http_iclock_invalid(cf, cmd, arg);
        }

        *text = value;

        return NGX_CONF_OK;
    }

    word = field;

    if (*word != NGX_CONF_UNSET) {
        return "is duplicate";
    }

    *word = ngx_http_iclock_setting_value(setting, &value);

    return (*word == NGX_ERROR) ? ngx_http_iclock_invalid(cf, cmd, arg)
                                : NGX_CONF_OK;
}


static ngx_int_t
ngx_http_iclock_setting_value(ngx_http_iclock_setting_t *setting,
    ngx_str_t *value)
{
    ngx_int_t         n;
    ngx_conf_enum_t  *word;

    for (word = setting->words; word && word->name.len; word++) {

        if (word->name.len == value->len
            && ngx_strncasecmp(word->name.data, value->data, value->len) == 0)
        {
            return word->value;
        }
    }

    n = ngx_http_iclock_setting_number(setting->type, value);

    return (n >= setting->min && n <= setting->max) ? n : NGX_ERROR;
}


static ngx_int_t
ngx_http_iclock_setting_number(ngx_uint_t type, ngx_str_t *value)
{
    switch (type) {

    case NGX_HTTP_ICLOCK_NUMBER:
        return ngx_atoi(value->data, value->len);

    case NGX_HTTP_ICLOCK_SIZE:
        return ngx_parse_size(value);

    case NGX_HTTP_ICLOCK_MSEC:
        return ngx_parse_time(value, 0);

    case NGX_HTTP_ICLOCK_SEC:
        return ngx_parse_time(value, 1);

    default: /* NGX_HTTP_ICLOCK_WORD */
        return NGX_ERROR;
    }
}


char *
ngx_http_iclock_invalid(ngx_conf_t *cf, ngx_command_t *cmd, ngx_str_t *arg)
{
    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "invalid value \"%V\" in \"%V\"",
                       arg, &cmd->name);

    return NGX_CONF_ERROR;
}


void
ngx_http_iclock_unset_all(ngx_command_t *cmd, ngx_uint_t which, void *conf)
{
    ngx_http_iclock_setting_walk(cmd, which, NULL, conf,
                                 ngx_http_iclock_unset);
}


void
ngx_http_iclock_merge_all(ngx_command_t *cmd, ngx_uint_t which, void *prev,
    void *conf)
{
    ngx_http_iclock_setting_walk(cmd, which, prev, conf,
                                 ngx_http_iclock_merge);
}


static void
ngx_http_iclock_setting_walk(ngx_command_t *cmd, ngx_uint_t which,
    void *prev, void *conf, ngx_http_iclock_setting_pt handler)
{
    size_t                    offset;
    ngx_http_iclock_param_t  *p;

    for ( /* void */ ; cmd->name.len; cmd++) {

        if (cmd->conf != which || cmd->post == NULL) {
            continue;
        }

        if (cmd->set != ngx_http_iclock_set_params) {
            handler(cmd->post, prev ? (char *) prev + cmd->offset : NULL,
                    (char *) conf + cmd->offset);
            continue;
        }

        for (p = cmd->post; p->name.len; p++) {
            offset = cmd->offset + p->offset;

            handler(p->setting, prev ? (char *) prev + offset : NULL,
                    (char *) conf + offset);
        }
    }
}


static void
ngx_http_iclock_unset(ngx_http_iclock_setting_t *setting, void *prev,
    void *field)
{
    ngx_int_t  *word;

    /* a text without data is unset */

    if (setting->type != NGX_HTTP_ICLOCK_TEXT) {
        word = field;
        *word = NGX_CONF_UNSET;
    }
}


static void
ngx_http_iclock_merge(ngx_http_iclock_setting_t *setting, void *prev,
    void *field)
{
    ngx_int_t  *word, *prev_word;
    ngx_str_t  *text, *prev_text;

    if (setting->type == NGX_HTTP_ICLOCK_TEXT) {
        text = field;
        prev_text = prev;

        if (text->data == NULL) {
            *text = (prev && prev_text->data) ? *prev_text : setting->text;
        }

        return;
    }

    word = field;
    prev_word = prev;

    if (*word == NGX_CONF_UNSET) {
        *word = (prev && *prev_word != NGX_CONF_UNSET) ? *prev_word
                                                       : setting->value;
    }
}
