
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


#include "ngx_http_iclock_conf.h"


/* what the device's row shows, and what tells which templates fit */
#define NGX_HTTP_ICLOCK_PUSH_OPTIONS                                         \
    "FWVersion,IPAddress,UserCount,FPCount,FaceCount,TransactionCount,"      \
    "FingerFunOn,FaceFunOn,FPVersion,FaceVersion,MultiBioDataSupport,"       \
    "MultiBioPhotoSupport,MultiBioVersion,MultiBioDataCount,"                \
    "MultiBioPhotoCount,MaxMultiBioDataCount,MaxMultiBioPhotoCount"


static void ngx_http_iclock_merge_others(ngx_http_iclock_loc_conf_t *prev,
    ngx_http_iclock_loc_conf_t *conf);
static char *ngx_http_iclock_init_location(ngx_conf_t *cf,
    ngx_http_iclock_loc_conf_t *ilcf);
static char *ngx_http_iclock(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
static uint16_t ngx_http_iclock_policy(ngx_http_iclock_loc_conf_t *ilcf);
static char *ngx_http_iclock_serial_pattern(ngx_conf_t *cf,
    ngx_command_t *cmd, void *conf);
static ngx_http_regex_t *ngx_http_iclock_pattern(ngx_conf_t *cf,
    ngx_str_t *pattern);
static char *ngx_http_iclock_comm_key(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_http_iclock_files(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);


static ngx_conf_enum_t  ngx_http_iclock_unknown[] = {
    { ngx_string("hold"), NGX_HTTP_ICLOCK_HOLD },
    { ngx_string("accept"), NGX_HTTP_ICLOCK_ACCEPT },
    { ngx_string("reject"), NGX_HTTP_ICLOCK_REJECT },
    { ngx_null_string, 0 }
};


static ngx_http_iclock_param_t  ngx_http_iclock_limit_params[] = {

    { ngx_string("count="),
      offsetof(ngx_http_iclock_loc_conf_t, command_count),
      ngx_http_iclock_range(NUMBER, 1, 10000, 200) },

    { ngx_string("bytes="),
      offsetof(ngx_http_iclock_loc_conf_t, command_bytes),
      ngx_http_iclock_range(SIZE, 128, 64 * 1024 * 1024, 40 * 1024) },

    { ngx_null_string, 0, NULL }
};


#define NGX_HTTP_ICLOCK_ALL_CONF                                             \
    (NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF)

#define ngx_http_iclock_main(field)                                          \
    NGX_HTTP_MAIN_CONF_OFFSET, offsetof(ngx_http_iclock_main_conf_t, field)

#define ngx_http_iclock_loc(field)                                           \
    NGX_HTTP_LOC_CONF_OFFSET, offsetof(ngx_http_iclock_loc_conf_t, field)


ngx_command_t  ngx_http_iclock_commands[] = {

    { ngx_string("iclock"),
      NGX_HTTP_LOC_CONF|NGX_CONF_NOARGS,
      ngx_http_iclock,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("iclock_database"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_http_iclock_database,
      ngx_http_iclock_main(pool),
      NULL },

    { ngx_string("iclock_listen_database"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_http_iclock_database,
      ngx_http_iclock_main(listen),
      NULL },

    { ngx_string("iclock_database_passfile"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_str_slot,
      ngx_http_iclock_main(passfile),
      NULL },

    { ngx_string("iclock_pool"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_1MORE,
      ngx_http_iclock_set_params,
      ngx_http_iclock_main(pool),
      ngx_http_iclock_pool_params },

    { ngx_string("iclock_batch"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_1MORE,
      ngx_http_iclock_set_params,
      ngx_http_iclock_main(pool),
      ngx_http_iclock_batch_params },

    { ngx_string("iclock_zone"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_http_iclock_zone_directive,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("iclock_presence_interval"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_http_iclock_set,
      ngx_http_iclock_main(presence_interval),
      ngx_http_iclock_range(MSEC, 100, NGX_MAX_INT_T_VALUE, 30000) },

    { ngx_string("iclock_unknown_devices"),
      NGX_HTTP_ICLOCK_ALL_CONF|NGX_CONF_TAKE1,
      ngx_http_iclock_set,
      ngx_http_iclock_loc(unknown_devices),
      ngx_http_iclock_word(ngx_http_iclock_unknown, NGX_HTTP_ICLOCK_HOLD) },

    { ngx_string("iclock_pending_limit"),
      NGX_HTTP_ICLOCK_ALL_CONF|NGX_CONF_TAKE1,
      ngx_http_iclock_set,
      ngx_http_iclock_loc(pending_limit),
      ngx_http_iclock_range(NUMBER, 1, 1000000, 1000) },

    { ngx_string("iclock_serial_pattern"),
      NGX_HTTP_ICLOCK_ALL_CONF|NGX_CONF_TAKE1,
      ngx_http_iclock_serial_pattern,
      ngx_http_iclock_loc(serial_pattern),
      NULL },

    { ngx_string("iclock_comm_key"),
      NGX_HTTP_ICLOCK_ALL_CONF|NGX_CONF_TAKE12,
      ngx_http_iclock_comm_key,
      ngx_http_iclock_loc(comm_key),
      ngx_http_iclock_text(NULL, "") },

    { ngx_string("iclock_timezone"),
      NGX_HTTP_ICLOCK_ALL_CONF|NGX_CONF_TAKE1,
      ngx_http_iclock_set,
      ngx_http_iclock_loc(timezone),
      ngx_http_iclock_text(ngx_http_iclock_valid_timezone, "UTC") },

    { ngx_string("iclock_send_timezone"),
      NGX_HTTP_ICLOCK_ALL_CONF|NGX_CONF_FLAG,
      ngx_http_iclock_set,
      ngx_http_iclock_loc(send_timezone),
      ngx_http_iclock_flag(1) },

    { ngx_string("iclock_delay"),
      NGX_HTTP_ICLOCK_ALL_CONF|NGX_CONF_TAKE1,
      ngx_http_iclock_set,
      ngx_http_iclock_loc(delay),
      ngx_http_iclock_range(SEC, 1, 86400, 10) },

    { ngx_string("iclock_error_delay"),
      NGX_HTTP_ICLOCK_ALL_CONF|NGX_CONF_TAKE1,
      ngx_http_iclock_set,
      ngx_http_iclock_loc(error_delay),
      ngx_http_iclock_range(SEC, 1, 86400, 30) },

    { ngx_string("iclock_realtime"),
      NGX_HTTP_ICLOCK_ALL_CONF|NGX_CONF_FLAG,
      ngx_http_iclock_set,
      ngx_http_iclock_loc(realtime),
      ngx_http_iclock_flag(1) },

    { ngx_string("iclock_trans_times"),
      NGX_HTTP_ICLOCK_ALL_CONF|NGX_CONF_TAKE1,
      ngx_http_iclock_set,
      ngx_http_iclock_loc(trans_times),
      ngx_http_iclock_text(ngx_http_iclock_valid_times, "00:00;14:05") },

    { ngx_string("iclock_trans_interval"),
      NGX_HTTP_ICLOCK_ALL_CONF|NGX_CONF_TAKE1,
      ngx_http_iclock_set,
      ngx_http_iclock_loc(trans_interval),
      ngx_http_iclock_range(SEC, 0, NGX_MAX_INT_T_VALUE, 60) },

    { ngx_string("iclock_trans_flag"),
      NGX_HTTP_ICLOCK_ALL_CONF|NGX_CONF_1MORE,
      ngx_http_iclock_trans_flag,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("iclock_push_version"),
      NGX_HTTP_ICLOCK_ALL_CONF|NGX_CONF_TAKE1,
      ngx_http_iclock_set,
      ngx_http_iclock_loc(push_version),
      ngx_http_iclock_text(ngx_http_iclock_valid_version, "2.4.1") },

    { ngx_string("iclock_push_options"),
      NGX_HTTP_ICLOCK_ALL_CONF|NGX_CONF_TAKE1,
      ngx_http_iclock_set,
      ngx_http_iclock_loc(push_options),
      ngx_http_iclock_text(ngx_http_iclock_valid_list,
                           NGX_HTTP_ICLOCK_PUSH_OPTIONS) },

    /* without these two newer devices upload no templates and no photos */

    { ngx_string("iclock_multi_bio_data"),
      NGX_HTTP_ICLOCK_ALL_CONF|NGX_CONF_TAKE1,
      ngx_http_iclock_set,
      ngx_http_iclock_loc(multi_bio_data),
      ngx_http_iclock_text(ngx_http_iclock_valid_list, "0:1:1:0:0:0:1:1:1:1") },

    { ngx_string("iclock_multi_bio_photo"),
      NGX_HTTP_ICLOCK_ALL_CONF|NGX_CONF_TAKE1,
      ngx_http_iclock_set,
      ngx_http_iclock_loc(multi_bio_photo),
      ngx_http_iclock_text(ngx_http_iclock_valid_list, "0:0:1:0:0:0:0:0:0:1") },

    { ngx_string("iclock_command_limit"),
      NGX_HTTP_ICLOCK_ALL_CONF|NGX_CONF_1MORE,
      ngx_http_iclock_set_params,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      ngx_http_iclock_limit_params },

    { ngx_string("iclock_command_timeout"),
      NGX_HTTP_ICLOCK_ALL_CONF|NGX_CONF_TAKE1,
      ngx_http_iclock_set,
      ngx_http_iclock_loc(command_timeout),
      ngx_http_iclock_range(SEC, 1, 86400, 600) },

    { ngx_string("iclock_command_attempts"),
      NGX_HTTP_ICLOCK_ALL_CONF|NGX_CONF_TAKE1,
      ngx_http_iclock_set,
      ngx_http_iclock_loc(command_attempts),
      ngx_http_iclock_range(NUMBER, 1, 1000000, 3) },

    { ngx_string("iclock_files"),
      NGX_HTTP_ICLOCK_ALL_CONF|NGX_CONF_TAKE1,
      ngx_http_iclock_files,
      ngx_http_iclock_loc(files),
      ngx_http_iclock_text(NULL, "") },

    { ngx_string("iclock_verify_interval"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_http_iclock_set,
      ngx_http_iclock_main(verify_interval),
      ngx_http_iclock_range_or_off(SEC, 60, 31536000) },

      ngx_null_command
};


void *
ngx_http_iclock_create_main_conf(ngx_conf_t *cf)
{
    ngx_http_iclock_main_conf_t  *imcf;

    /* what is no setting of the table is zero */

    imcf = ngx_pcalloc(cf->pool, sizeof(ngx_http_iclock_main_conf_t));
    if (imcf == NULL) {
        return NULL;
    }

    ngx_http_iclock_unset_all(ngx_http_iclock_commands,
                              NGX_HTTP_MAIN_CONF_OFFSET, imcf);

    return imcf;
}


char *
ngx_http_iclock_init_main_conf(ngx_conf_t *cf, void *conf)
{
    ngx_http_iclock_main_conf_t *imcf = conf;

    ngx_http_iclock_merge_all(ngx_http_iclock_commands,
                              NGX_HTTP_MAIN_CONF_OFFSET, NULL, imcf);

    return ngx_http_iclock_init_database(cf, imcf);
}


void *
ngx_http_iclock_create_srv_conf(ngx_conf_t *cf)
{
    return ngx_pcalloc(cf->pool, sizeof(ngx_http_iclock_srv_conf_t));
}


void *
ngx_http_iclock_create_loc_conf(ngx_conf_t *cf)
{
    ngx_http_iclock_loc_conf_t  *ilcf;

    ilcf = ngx_pcalloc(cf->pool, sizeof(ngx_http_iclock_loc_conf_t));
    if (ilcf == NULL) {
        return NULL;
    }

    ngx_http_iclock_unset_all(ngx_http_iclock_commands,
                              NGX_HTTP_LOC_CONF_OFFSET, ilcf);

    ilcf->serial_pattern = NGX_CONF_UNSET_PTR;
    ilcf->trans_style = NGX_CONF_UNSET_UINT;
    ilcf->trans_words = NGX_CONF_UNSET_UINT;

    return ilcf;
}


char *
ngx_http_iclock_merge_loc_conf(ngx_conf_t *cf, void *parent, void *child)
{
    ngx_http_iclock_loc_conf_t *prev = parent;
    ngx_http_iclock_loc_conf_t *conf = child;

    ngx_http_core_loc_conf_t  *clcf;

    ngx_http_iclock_merge_others(prev, conf);

    ngx_http_iclock_merge_all(ngx_http_iclock_commands,
                              NGX_HTTP_LOC_CONF_OFFSET, prev, conf);

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    if (clcf->noname && clcf->handler == NULL && prev->enable) {
        /* "if" within the location */
        conf->enable = 1;
        clcf->handler = ngx_http_iclock_handler;
    }

    return conf->enable ? ngx_http_iclock_init_location(cf, conf)
                        : NGX_CONF_OK;
}


/* what a directive sets besides the field of its row */

static void
ngx_http_iclock_merge_others(ngx_http_iclock_loc_conf_t *prev,
    ngx_http_iclock_loc_conf_t *conf)
{
    ngx_conf_merge_ptr_value(conf->serial_pattern, prev->serial_pattern,
                             NULL);

    if (conf->comm_key.data == NULL) {
        conf->comm_key_required = prev->comm_key_required;
    }

    ngx_conf_merge_uint_value(conf->trans_style, prev->trans_style,
                              NGX_ICLOCK_TRANS_TABS);
    ngx_conf_merge_uint_value(conf->trans_words, prev->trans_words,
                              NGX_ICLOCK_TRANS_ALL);
}


/* a hash of what is done to unknown devices */

static uint16_t
ngx_http_iclock_policy(ngx_http_iclock_loc_conf_t *ilcf)
{
    uint32_t    hash;
    ngx_uint_t  policy[2];

    policy[0] = ilcf->unknown_devices;
    policy[1] = ilcf->pending_limit;

    hash = ngx_crc32_long((u_char *) policy, sizeof(policy));

    return (uint16_t) (hash ^ (hash >> 16));
}


static char *
ngx_http_iclock_init_location(ngx_conf_t *cf,
    ngx_http_iclock_loc_conf_t *ilcf)
{
    ngx_http_iclock_srv_conf_t   *iscf;
    ngx_http_iclock_main_conf_t  *imcf;

    imcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_iclock_module);
    iscf = ngx_http_conf_get_module_srv_conf(cf, ngx_http_iclock_module);

    if (imcf->pool.server == NULL) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "no \"iclock_database\" is defined for \"iclock\"");
        return NGX_CONF_ERROR;
    }

    ilcf->policy = ngx_http_iclock_policy(ilcf);

    imcf->locations++;
    iscf->devices = 1;

    if (imcf->command_timeout == 0
        || imcf->command_timeout > ilcf->command_timeout)
    {
        imcf->command_timeout = ilcf->command_timeout;
    }

    return ngx_http_iclock_zone_default(cf, imcf);
}


static char *
ngx_http_iclock(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_iclock_loc_conf_t *ilcf = conf;

    ngx_http_core_loc_conf_t  *clcf;

    if (ilcf->enable) {
        return "is duplicate";
    }

    ilcf->enable = 1;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);
    clcf->handler = ngx_http_iclock_handler;

    return NGX_CONF_OK;
}


static char *
ngx_http_iclock_serial_pattern(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_iclock_loc_conf_t *ilcf = conf;

    ngx_str_t  *value;

    if (ilcf->serial_pattern != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (value[1].len == 0) {
        return ngx_http_iclock_invalid(cf, cmd, &value[1]);
    }

    ilcf->serial_pattern = ngx_http_iclock_pattern(cf, &value[1]);

    if (ilcf->serial_pattern == NULL) {
        return ngx_http_iclock_invalid(cf, cmd, &value[1]);
    }

    return NGX_CONF_OK;
}


static ngx_http_regex_t *
ngx_http_iclock_pattern(ngx_conf_t *cf, ngx_str_t *pattern)
{
    u_char               errstr[NGX_MAX_CONF_ERRSTR];
    ngx_regex_compile_t  rc;

    ngx_memzero(&rc, sizeof(ngx_regex_compile_t));

    rc.pattern = *pattern;
    rc.err.len = NGX_MAX_CONF_ERRSTR;
    rc.err.data = errstr;

    return ngx_http_regex_compile(cf, &rc);
}


static char *
ngx_http_iclock_comm_key(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_iclock_loc_conf_t *ilcf = conf;

    ngx_str_t  *value;

    if (ilcf->comm_key.data) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (value[1].len == 0 || value[1].len > 100) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid length of key in \"%V\"", &cmd->name);
        return NGX_CONF_ERROR;
    }

    if (cf->args->nelts == 3) {

        if (ngx_strcmp(value[2].data, "required") != 0) {
            return ngx_http_iclock_invalid(cf, cmd, &value[2]);
        }

        ilcf->comm_key_required = 1;
    }

    /* with "required", devices may have keys of their own */

    if (ngx_strcmp(value[1].data, "off") == 0) {
        ngx_str_set(&ilcf->comm_key, "");
        return NGX_CONF_OK;
    }

    ilcf->comm_key = value[1];

    return NGX_CONF_OK;
}


static char *
ngx_http_iclock_files(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_iclock_loc_conf_t *ilcf = conf;

    ngx_str_t  *value;

    if (ilcf->files.data) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (ngx_strcmp(value[1].data, "off") == 0) {
        ngx_str_set(&ilcf->files, "");
        return NGX_CONF_OK;
    }

    if (value[1].len == 0) {
        return ngx_http_iclock_invalid(cf, cmd, &value[1]);
    }

    ilcf->files = value[1];

    if (ngx_conf_full_name(cf->cycle, &ilcf->files, 0) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    while (ilcf->files.len > 1
           && ilcf->files.data[ilcf->files.len - 1] == '/')
    {
        ilcf->files.len--;
    }

    return NGX_CONF_OK;
}
