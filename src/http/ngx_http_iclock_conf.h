
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


/* what the table of directives names, by the file that has it */


#ifndef _NGX_HTTP_ICLOCK_CONF_H_INCLUDED_
#define _NGX_HTTP_ICLOCK_CONF_H_INCLUDED_


#include "ngx_http_iclock.h"
#include "ngx_http_iclock_setting.h"


/* ngx_http_iclock_conf_database.c */

extern ngx_http_iclock_param_t  ngx_http_iclock_pool_params[];
extern ngx_http_iclock_param_t  ngx_http_iclock_batch_params[];

char *ngx_http_iclock_database(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

/* takes passwords from the file, and lets the listener have its settings */
char *ngx_http_iclock_init_database(ngx_conf_t *cf,
    ngx_http_iclock_main_conf_t *imcf);


/* ngx_http_iclock_conf_handshake.c: what a location tells its devices */

char *ngx_http_iclock_trans_flag(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

ngx_uint_t ngx_http_iclock_valid_timezone(ngx_str_t *name);
ngx_uint_t ngx_http_iclock_valid_times(ngx_str_t *times);
ngx_uint_t ngx_http_iclock_valid_version(ngx_str_t *version);
ngx_uint_t ngx_http_iclock_valid_list(ngx_str_t *list);


#endif /* _NGX_HTTP_ICLOCK_CONF_H_INCLUDED_ */
