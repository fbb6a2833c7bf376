
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


/*
 * What nginx's ngx_command_t does not say of a directive: the values that it
 * takes, and the one that counts if it is not there.  A row of a table of
 * commands, of any module, bears it as "post"; its field is set, inherited
 * and given its default by that row.
 */


#ifndef _NGX_HTTP_ICLOCK_SETTING_H_INCLUDED_
#define _NGX_HTTP_ICLOCK_SETTING_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>


/* how values are written; fields are ngx_str_t, or else of a word's size */
typedef enum {
    NGX_HTTP_ICLOCK_TEXT = 0,
    NGX_HTTP_ICLOCK_WORD,
    NGX_HTTP_ICLOCK_NUMBER,
    NGX_HTTP_ICLOCK_SIZE,
    NGX_HTTP_ICLOCK_MSEC,
    NGX_HTTP_ICLOCK_SEC
} ngx_http_iclock_type_e;


typedef struct {
    ngx_uint_t                  type;
    ngx_int_t                   min;
    ngx_int_t                   max;
    ngx_int_t                   value;      /* if there is no directive */
    ngx_conf_enum_t            *words;      /* of values; NULL: none */

    /* of texts; NULL: any will do */
    ngx_uint_t                (*valid)(ngx_str_t *text);
    ngx_str_t                   text;       /* if there is no directive */
} ngx_http_iclock_setting_t;


/* "name=value": a directive with several ones has a table of them */
typedef struct {
    ngx_str_t                   name;       /* with "=" */
    size_t                      offset;     /* from that of the directive */
    ngx_http_iclock_setting_t  *setting;
} ngx_http_iclock_param_t;


/* the settings that rows are made of; the last argument is the default */

#define ngx_http_iclock_range(type, min, max, value)                         \
    &(ngx_http_iclock_setting_t) { NGX_HTTP_ICLOCK_##type, min, max, value,  \
                                   NULL, NULL, ngx_null_string }

/* "off" is 0, and the default */
#define ngx_http_iclock_range_or_off(type, min, max)                         \
    &(ngx_http_iclock_setting_t) { NGX_HTTP_ICLOCK_##type, min, max, 0,      \
                                   ngx_http_iclock_off, NULL,                \
                                   ngx_null_string }

#define ngx_http_iclock_word(words, value)                                   \
    &(ngx_http_iclock_setting_t) { NGX_HTTP_ICLOCK_WORD, 0, 0, value, words, \
                                   NULL, ngx_null_string }

#define ngx_http_iclock_flag(value)                                          \
    ngx_http_iclock_word(ngx_http_iclock_on_off, value)

#define ngx_http_iclock_text(valid, text)                                    \
    &(ngx_http_iclock_setting_t) { NGX_HTTP_ICLOCK_TEXT, 0, 0, 0, NULL,      \
                                   valid, ngx_string(text) }


extern ngx_conf_enum_t  ngx_http_iclock_off[];
extern ngx_conf_enum_t  ngx_http_iclock_on_off[];


/* for rows of ngx_command_t: post is a setting, or a table of parameters */
char *ngx_http_iclock_set(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_http_iclock_set_params(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

/* logs that this argument is wrong */
char *ngx_http_iclock_invalid(ngx_conf_t *cf, ngx_command_t *cmd,
    ngx_str_t *arg);

/*
 * All settings of a table whose configuration is conf: NGX_HTTP_..._OFFSET
 * says which.  They are made unset when it is created; those that are still
 * unset are taken from prev later (NULL: from none), or else by default.
 */
void ngx_http_iclock_unset_all(ngx_command_t *cmd, ngx_uint_t which,
    void *conf);
void ngx_http_iclock_merge_all(ngx_command_t *cmd, ngx_uint_t which,
    void *prev, void *conf);


#endif /* _NGX_HTTP_ICLOCK_SETTING_H_INCLUDED_ */
