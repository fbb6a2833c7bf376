
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


#include "ngx_http_iclock.h"


/* used if there is no iclock_zone: about 60,000 devices */
#define NGX_HTTP_ICLOCK_ZONE_SIZE  (16 * 1024 * 1024)

/* what the device's row shows, and what tells which templates fit */
#define NGX_HTTP_ICLOCK_PUSH_OPTIONS                                         \
    "FWVersion,IPAddress,UserCount,FPCount,FaceCount,TransactionCount,"      \
    "FingerFunOn,FaceFunOn,FPVersion,FaceVersion,MultiBioDataSupport,"       \
    "MultiBioPhotoSupport,MultiBioVersion,MultiBioDataCount,"                \
    "MultiBioPhotoCount,MaxMultiBioDataCount,MaxMultiBioPhotoCount"

/* without these newer devices upload no templates and no photos */
#define NGX_HTTP_ICLOCK_MULTI_BIO_DATA   "0:1:1:0:0:0:1:1:1:1"
#define NGX_HTTP_ICLOCK_MULTI_BIO_PHOTO  "0:0:1:0:0:0:0:0:0:1"

#define NGX_HTTP_ICLOCK_ZONEINFO   "/usr/share/zoneinfo/"


/* one "name=value" parameter of a directive */
typedef struct {
    ngx_str_t   name;       /* with "=" */
    ngx_uint_t  type;
    size_t      offset;
    ngx_int_t   min;
    ngx_int_t   max;
} ngx_http_iclock_param_t;


enum {
    NGX_HTTP_ICLOCK_NUMBER = 0,
    NGX_HTTP_ICLOCK_SIZE,
    NGX_HTTP_ICLOCK_MSEC
};


static char *ngx_http_iclock(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
static char *ngx_http_iclock_database(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_http_iclock_pool(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_http_iclock_batch(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_http_iclock_command_limit(ngx_conf_t *cf,
    ngx_command_t *cmd, void *conf);
static char *ngx_http_iclock_params(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf, ngx_http_iclock_param_t *params);
static ngx_int_t ngx_http_iclock_param_value(ngx_str_t *value,
    ngx_uint_t type);
static char *ngx_http_iclock_serial_pattern(ngx_conf_t *cf,
    ngx_command_t *cmd, void *conf);
static ngx_http_regex_t *ngx_http_iclock_pattern(ngx_conf_t *cf,
    ngx_str_t *pattern);
static char *ngx_http_iclock_timezone(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static ngx_int_t ngx_http_iclock_zone_file(u_char *path);
static char *ngx_http_iclock_comm_key(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_http_iclock_trans_flag(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_http_iclock_trans_times(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_http_iclock_push_version(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_http_iclock_list(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_http_iclock_unknown_devices(ngx_conf_t *cf,
    ngx_command_t *cmd, void *conf);
static char *ngx_http_iclock_time(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_http_iclock_interval(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_http_iclock_number(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_http_iclock_files(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_http_iclock_verify_interval(ngx_conf_t *cf,
    ngx_command_t *cmd, void *conf);
static char *ngx_http_iclock_invalid(ngx_conf_t *cf, ngx_command_t *cmd,
    ngx_str_t *value);
static char *ngx_http_iclock_default_zone(ngx_conf_t *cf,
    ngx_http_iclock_main_conf_t *imcf);


static ngx_conf_enum_t  ngx_http_iclock_unknown[] = {
    { ngx_string("hold"), NGX_HTTP_ICLOCK_HOLD },
    { ngx_string("accept"), NGX_HTTP_ICLOCK_ACCEPT },
    { ngx_string("reject"), NGX_HTTP_ICLOCK_REJECT },
    { ngx_null_string, 0 }
};


#define NGX_HTTP_ICLOCK_ALL_CONF                                             \
    (NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF)

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
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_http_iclock_main_conf_t, pool),
      NULL },

    { ngx_string("iclock_listen_database"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_http_iclock_database,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_http_iclock_main_conf_t, listen),
      NULL },

    { ngx_string("iclock_database_passfile"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_str_slot,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_http_iclock_main_conf_t, passfile),
      NULL },

    { ngx_string("iclock_pool"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_1MORE,
      ngx_http_iclock_pool,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("iclock_batch"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_1MORE,
      ngx_http_iclock_batch,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("iclock_zone"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_http_iclock_zone_directive,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("iclock_presence_interval"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_http_iclock_interval,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_http_iclock_main_conf_t, presence_interval),
      NULL },

    { ngx_string("iclock_unknown_devices"),
      NGX_HTTP_ICLOCK_ALL_CONF|NGX_CONF_TAKE1,
      ngx_http_iclock_unknown_devices,
      ngx_http_iclock_loc(unknown_devices),
      NULL },

    { ngx_string("iclock_pending_limit"),
      NGX_HTTP_ICLOCK_ALL_CONF|NGX_CONF_TAKE1,
      ngx_http_iclock_number,
      ngx_http_iclock_loc(pending_limit),
      NULL },

    { ngx_string("iclock_serial_pattern"),
      NGX_HTTP_ICLOCK_ALL_CONF|NGX_CONF_TAKE1,
      ngx_http_iclock_serial_pattern,
      ngx_http_iclock_loc(serial_pattern),
      NULL },

    { ngx_string("iclock_comm_key"),
      NGX_HTTP_ICLOCK_ALL_CONF|NGX_CONF_TAKE12,
      ngx_http_iclock_comm_key,
      ngx_http_iclock_loc(comm_key),
      NULL },

    { ngx_string("iclock_timezone"),
      NGX_HTTP_ICLOCK_ALL_CONF|NGX_CONF_TAKE1,
      ngx_http_iclock_timezone,
      ngx_http_iclock_loc(timezone),
      NULL },

    { ngx_string("iclock_send_timezone"),
      NGX_HTTP_ICLOCK_ALL_CONF|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      ngx_http_iclock_loc(send_timezone),
      NULL },

    { ngx_string("iclock_delay"),
      NGX_HTTP_ICLOCK_ALL_CONF|NGX_CONF_TAKE1,
      ngx_http_iclock_time,
      ngx_http_iclock_loc(delay),
      NULL },

    { ngx_string("iclock_error_delay"),
      NGX_HTTP_ICLOCK_ALL_CONF|NGX_CONF_TAKE1,
      ngx_http_iclock_time,
      ngx_http_iclock_loc(error_delay),
      NULL },

    { ngx_string("iclock_realtime"),
      NGX_HTTP_ICLOCK_ALL_CONF|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      ngx_http_iclock_loc(realtime),
      NULL },

    { ngx_string("iclock_trans_times"),
      NGX_HTTP_ICLOCK_ALL_CONF|NGX_CONF_TAKE1,
      ngx_http_iclock_trans_times,
      ngx_http_iclock_loc(trans_times),
      NULL },

    { ngx_string("iclock_trans_interval"),
      NGX_HTTP_ICLOCK_ALL_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_sec_slot,
      ngx_http_iclock_loc(trans_interval),
      NULL },

    { ngx_string("iclock_trans_flag"),
      NGX_HTTP_ICLOCK_ALL_CONF|NGX_CONF_1MORE,
      ngx_http_iclock_trans_flag,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("iclock_push_version"),
      NGX_HTTP_ICLOCK_ALL_CONF|NGX_CONF_TAKE1,
      ngx_http_iclock_push_version,
      ngx_http_iclock_loc(push_version),
      NULL },

    { ngx_string("iclock_push_options"),
      NGX_HTTP_ICLOCK_ALL_CONF|NGX_CONF_TAKE1,
      ngx_http_iclock_list,
      ngx_http_iclock_loc(push_options),
      NULL },

    { ngx_string("iclock_multi_bio_data"),
      NGX_HTTP_ICLOCK_ALL_CONF|NGX_CONF_TAKE1,
      ngx_http_iclock_list,
      ngx_http_iclock_loc(multi_bio_data),
      NULL },

    { ngx_string("iclock_multi_bio_photo"),
      NGX_HTTP_ICLOCK_ALL_CONF|NGX_CONF_TAKE1,
      ngx_http_iclock_list,
      ngx_http_iclock_loc(multi_bio_photo),
      NULL },

    { ngx_string("iclock_command_limit"),
      NGX_HTTP_ICLOCK_ALL_CONF|NGX_CONF_1MORE,
      ngx_http_iclock_command_limit,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("iclock_command_timeout"),
      NGX_HTTP_ICLOCK_ALL_CONF|NGX_CONF_TAKE1,
      ngx_http_iclock_time,
      ngx_http_iclock_loc(command_timeout),
      NULL },

    { ngx_string("iclock_command_attempts"),
      NGX_HTTP_ICLOCK_ALL_CONF|NGX_CONF_TAKE1,
      ngx_http_iclock_number,
      ngx_http_iclock_loc(command_attempts),
      NULL },

    { ngx_string("iclock_files"),
      NGX_HTTP_ICLOCK_ALL_CONF|NGX_CONF_TAKE1,
      ngx_http_iclock_files,
      ngx_http_iclock_loc(files),
      NULL },

    { ngx_string("iclock_verify_interval"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_http_iclock_verify_interval,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_http_iclock_main_conf_t, verify_interval),
      NULL },

      ngx_null_command
};


static ngx_http_iclock_param_t  ngx_http_iclock_pool_params[] = {

    { ngx_string("connections="), NGX_HTTP_ICLOCK_NUMBER,
      offsetof(ngx_iclock_pg_pool_conf_t, connections), 1, 64 },

    { ngx_string("queue="), NGX_HTTP_ICLOCK_NUMBER,
      offsetof(ngx_iclock_pg_pool_conf_t, queue), 1, 1000000 },

    { ngx_string("queue_bytes="), NGX_HTTP_ICLOCK_SIZE,
      offsetof(ngx_iclock_pg_pool_conf_t, queue_bytes), 64 * 1024,
      NGX_MAX_INT_T_VALUE },

    { ngx_string("timeout="), NGX_HTTP_ICLOCK_MSEC,
      offsetof(ngx_iclock_pg_pool_conf_t, timeout), 100, 3600000 },

    { ngx_string("connect_timeout="), NGX_HTTP_ICLOCK_MSEC,
      offsetof(ngx_iclock_pg_pool_conf_t, connect_timeout), 100, 3600000 },

    { ngx_null_string, 0, 0, 0, 0 }
};


static ngx_http_iclock_param_t  ngx_http_iclock_batch_params[] = {

    { ngx_string("requests="), NGX_HTTP_ICLOCK_NUMBER,
      offsetof(ngx_iclock_pg_pool_conf_t, batch_requests), 1, 100000 },

    { ngx_string("records="), NGX_HTTP_ICLOCK_NUMBER,
      offsetof(ngx_iclock_pg_pool_conf_t, batch_records), 1, 1000000 },

    { ngx_string("bytes="), NGX_HTTP_ICLOCK_SIZE,
      offsetof(ngx_iclock_pg_pool_conf_t, batch_bytes), 1024,
      512 * 1024 * 1024 },

    { ngx_null_string, 0, 0, 0, 0 }
};


static ngx_http_iclock_param_t  ngx_http_iclock_limit_params[] = {

    { ngx_string("count="), NGX_HTTP_ICLOCK_NUMBER,
      offsetof(ngx_http_iclock_loc_conf_t, command_count), 1, 10000 },

    { ngx_string("bytes="), NGX_HTTP_ICLOCK_SIZE,
      offsetof(ngx_http_iclock_loc_conf_t, command_bytes), 128,
      64 * 1024 * 1024 },

    { ngx_null_string, 0, 0, 0, 0 }
};


void *
ngx_http_iclock_create_main_conf(ngx_conf_t *cf)
{
    ngx_http_iclock_main_conf_t  *imcf;

    imcf = ngx_pcalloc(cf->pool, sizeof(ngx_http_iclock_main_conf_t));
    if (imcf == NULL) {
        return NULL;
    }

    /*
     * set by ngx_pcalloc():
     *
     *     imcf->pool.server = NULL;
     *     imcf->listen.server = NULL;
     *     imcf->passfile = { 0, NULL };
     *     imcf->shm_zone = NULL;
     *     imcf->zone = NULL;
     *     imcf->locations = 0;
     *     imcf->store = NULL;
     */

    imcf->pool.connections = NGX_CONF_UNSET_UINT;
    imcf->pool.queue = NGX_CONF_UNSET_UINT;
    imcf->pool.queue_bytes = NGX_CONF_UNSET_SIZE;
    imcf->pool.timeout = NGX_CONF_UNSET_MSEC;
    imcf->pool.connect_timeout = NGX_CONF_UNSET_MSEC;
    imcf->pool.batch_requests = NGX_CONF_UNSET_UINT;
    imcf->pool.batch_records = NGX_CONF_UNSET_UINT;
    imcf->pool.batch_bytes = NGX_CONF_UNSET_SIZE;
    imcf->presence_interval = NGX_CONF_UNSET_MSEC;
    imcf->verify_interval = NGX_CONF_UNSET;

    return imcf;
}


char *
ngx_http_iclock_init_main_conf(ngx_conf_t *cf, void *conf)
{
    ngx_http_iclock_main_conf_t *imcf = conf;

    char                    *rv;
    ngx_iclock_pg_server_t  *server;

    ngx_conf_init_uint_value(imcf->pool.connections, 4);
    ngx_conf_init_uint_value(imcf->pool.queue, 8192);
    ngx_conf_init_size_value(imcf->pool.queue_bytes, 64 * 1024 * 1024);
    ngx_conf_init_msec_value(imcf->pool.timeout, 10000);
    ngx_conf_init_msec_value(imcf->pool.connect_timeout, 5000);
    ngx_conf_init_uint_value(imcf->pool.batch_requests, 512);
    ngx_conf_init_uint_value(imcf->pool.batch_records, 20000);
    ngx_conf_init_size_value(imcf->pool.batch_bytes, 8 * 1024 * 1024);
    ngx_conf_init_msec_value(imcf->presence_interval, 30000);
    ngx_conf_init_value(imcf->verify_interval, 0);

    if (imcf->passfile.len && imcf->pool.server == NULL) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"iclock_database_passfile\" without "
                           "\"iclock_database\"");
        return NGX_CONF_ERROR;
    }

    if (imcf->passfile.len) {
        rv = ngx_iclock_pg_server_passfile(cf, imcf->pool.server,
                                           &imcf->passfile);

        if (rv == NGX_CONF_OK && imcf->listen.server) {
            rv = ngx_iclock_pg_server_passfile(cf, imcf->listen.server,
                                               &imcf->passfile);
        }

        if (rv != NGX_CONF_OK) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "invalid value \"%V\" "
                               "in \"iclock_database_passfile\"",
                               &imcf->passfile);
            return rv;
        }
    }

    server = imcf->listen.server ? imcf->listen.server : imcf->pool.server;
    imcf->listen = imcf->pool;
    imcf->listen.server = server;

    return NGX_CONF_OK;
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

    /*
     * set by ngx_pcalloc():
     *
     *     ilcf->enable = 0;
     *     ilcf->comm_key = { 0, NULL };
     *     ilcf->comm_key_required = 0;
     *     ilcf->timezone = { 0, NULL };
     *     ilcf->trans_times = { 0, NULL };
     *     ilcf->push_version = { 0, NULL };
     *     ilcf->push_options = { 0, NULL };
     *     ilcf->multi_bio_data = { 0, NULL };
     *     ilcf->multi_bio_photo = { 0, NULL };
     *     ilcf->files = { 0, NULL };
     */

    ilcf->unknown_devices = NGX_CONF_UNSET_UINT;
    ilcf->pending_limit = NGX_CONF_UNSET_UINT;
    ilcf->serial_pattern = NGX_CONF_UNSET_PTR;
    ilcf->send_timezone = NGX_CONF_UNSET;
    ilcf->delay = NGX_CONF_UNSET;
    ilcf->error_delay = NGX_CONF_UNSET;
    ilcf->realtime = NGX_CONF_UNSET;
    ilcf->trans_interval = NGX_CONF_UNSET;
    ilcf->trans_style = NGX_CONF_UNSET_UINT;
    ilcf->trans_words = NGX_CONF_UNSET_UINT;
    ilcf->command_count = NGX_CONF_UNSET_UINT;
    ilcf->command_bytes = NGX_CONF_UNSET_SIZE;
    ilcf->command_timeout = NGX_CONF_UNSET;
    ilcf->command_attempts = NGX_CONF_UNSET_UINT;

    return ilcf;
}


char *
ngx_http_iclock_merge_loc_conf(ngx_conf_t *cf, void *parent, void *child)
{
    ngx_http_iclock_loc_conf_t *prev = parent;
    ngx_http_iclock_loc_conf_t *conf = child;

    ngx_http_core_loc_conf_t     *clcf;
    ngx_http_iclock_srv_conf_t   *iscf;
    ngx_http_iclock_main_conf_t  *imcf;

    static ngx_str_t  pattern = ngx_string("^[A-Za-z0-9_-]{4,32}$");

    imcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_iclock_module);

    ngx_conf_merge_uint_value(conf->unknown_devices, prev->unknown_devices,
                              NGX_HTTP_ICLOCK_HOLD);
    ngx_conf_merge_uint_value(conf->pending_limit, prev->pending_limit, 1000);
    ngx_conf_merge_ptr_value(conf->serial_pattern, prev->serial_pattern,
                             NULL);
    if (conf->comm_key.data == NULL) {
        conf->comm_key_required = prev->comm_key_required;
    }

    ngx_conf_merge_str_value(conf->comm_key, prev->comm_key, "");
    ngx_conf_merge_str_value(conf->timezone, prev->timezone, "UTC");
    ngx_conf_merge_value(conf->send_timezone, prev->send_timezone, 1);
    ngx_conf_merge_sec_value(conf->delay, prev->delay, 10);
    ngx_conf_merge_sec_value(conf->error_delay, prev->error_delay, 30);
    ngx_conf_merge_value(conf->realtime, prev->realtime, 1);
    ngx_conf_merge_str_value(conf->trans_times, prev->trans_times,
                             "00:00;14:05");
    ngx_conf_merge_sec_value(conf->trans_interval, prev->trans_interval, 60);
    ngx_conf_merge_uint_value(conf->trans_style, prev->trans_style,
                              NGX_ICLOCK_TRANS_TABS);
    ngx_conf_merge_uint_value(conf->trans_words, prev->trans_words,
                              NGX_ICLOCK_TRANS_ALL);
    ngx_conf_merge_str_value(conf->push_version, prev->push_version, "2.4.1");
    ngx_conf_merge_str_value(conf->push_options, prev->push_options,
                             NGX_HTTP_ICLOCK_PUSH_OPTIONS);
    ngx_conf_merge_str_value(conf->multi_bio_data, prev->multi_bio_data,
                             NGX_HTTP_ICLOCK_MULTI_BIO_DATA);
    ngx_conf_merge_str_value(conf->multi_bio_photo, prev->multi_bio_photo,
                             NGX_HTTP_ICLOCK_MULTI_BIO_PHOTO);
    ngx_conf_merge_uint_value(conf->command_count, prev->command_count, 200);
    ngx_conf_merge_size_value(conf->command_bytes, prev->command_bytes,
                              40 * 1024);
    ngx_conf_merge_sec_value(conf->command_timeout, prev->command_timeout,
                             600);
    ngx_conf_merge_uint_value(conf->command_attempts, prev->command_attempts,
                              3);
    ngx_conf_merge_str_value(conf->files, prev->files, "");

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    if (clcf->noname && clcf->handler == NULL && prev->enable) {
        /* "if" within the location */
        conf->enable = 1;
        clcf->handler = ngx_http_iclock_handler;
    }

    if (!conf->enable) {
        return NGX_CONF_OK;
    }

    if (imcf->pool.server == NULL) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "no \"iclock_database\" is defined for \"iclock\"");
        return NGX_CONF_ERROR;
    }

    if (conf->serial_pattern == NULL) {
        conf->serial_pattern = ngx_http_iclock_pattern(cf, &pattern);

        if (conf->serial_pattern == NULL) {
            return NGX_CONF_ERROR;
        }
    }

    imcf->locations++;

    iscf = ngx_http_conf_get_module_srv_conf(cf, ngx_http_iclock_module);
    iscf->devices = 1;

    if (imcf->command_timeout == 0
        || imcf->command_timeout > conf->command_timeout)
    {
        imcf->command_timeout = conf->command_timeout;
    }

    return ngx_http_iclock_default_zone(cf, imcf);
}


static char *
ngx_http_iclock_default_zone(ngx_conf_t *cf,
    ngx_http_iclock_main_conf_t *imcf)
{
    char         *rv;
    ngx_str_t    *value;
    ngx_conf_t    save;
    ngx_array_t  *args;

    if (imcf->shm_zone) {
        return NGX_CONF_OK;
    }

    args = ngx_array_create(cf->pool, 2, sizeof(ngx_str_t));
    if (args == NULL) {
        return NGX_CONF_ERROR;
    }

    value = ngx_array_push_n(args, 2);
    if (value == NULL) {
        return NGX_CONF_ERROR;
    }

    ngx_str_set(&value[0], "iclock_zone");
    ngx_str_set(&value[1], "iclock:16m");

    save = *cf;
    cf->args = args;

    rv = ngx_http_iclock_zone_directive(cf, NULL, imcf);

    *cf = save;

    return rv;
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
ngx_http_iclock_database(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_iclock_main_conf_t *imcf = conf;

    char                       *err;
    ngx_str_t                  *value;
    ngx_iclock_pg_pool_conf_t  *pool;

    pool = (ngx_iclock_pg_pool_conf_t *) ((char *) imcf + cmd->offset);

    if (pool->server) {
        return "is duplicate";
    }

    value = cf->args->elts;

    pool->server = ngx_iclock_pg_server_create(cf, &value[1], &err);

    if (pool->server == NULL) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "%s in \"%V\"", err,
                           &cmd->name);
        return NGX_CONF_ERROR;
    }

    if (pool == &imcf->pool) {
        imcf->origin = ngx_iclock_pg_server_hash(pool->server);
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_iclock_pool(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_iclock_main_conf_t *imcf = conf;

    return ngx_http_iclock_params(cf, cmd, &imcf->pool,
                                  ngx_http_iclock_pool_params);
}


static char *
ngx_http_iclock_batch(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_iclock_main_conf_t *imcf = conf;

    return ngx_http_iclock_params(cf, cmd, &imcf->pool,
                                  ngx_http_iclock_batch_params);
}


static char *
ngx_http_iclock_command_limit(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    return ngx_http_iclock_params(cf, cmd, conf,
                                  ngx_http_iclock_limit_params);
}


/* all parameters are stored as words, so one pointer type serves for all */

static char *
ngx_http_iclock_params(ngx_conf_t *cf, ngx_command_t *cmd, void *conf,
    ngx_http_iclock_param_t *params)
{
    ngx_int_t                 n, *field;
    ngx_str_t                *value, s;
    ngx_uint_t                i;
    ngx_http_iclock_param_t  *p;

    value = cf->args->elts;

    for (i = 1; i < cf->args->nelts; i++) {

        for (p = params; p->name.len; p++) {
            if (value[i].len > p->name.len
                && ngx_strncmp(value[i].data, p->name.data, p->name.len) == 0)
            {
                break;
            }
        }

        if (p->name.len == 0) {
            return ngx_http_iclock_invalid(cf, cmd, &value[i]);
        }

        s.data = value[i].data + p->name.len;
        s.len = value[i].len - p->name.len;

        n = ngx_http_iclock_param_value(&s, p->type);

        if (n == NGX_ERROR || n < p->min || n > p->max) {
            return ngx_http_iclock_invalid(cf, cmd, &value[i]);
        }

        field = (ngx_int_t *) ((char *) conf + p->offset);

        if (*field != NGX_CONF_UNSET) {
            return "is duplicate";
        }

        *field = n;
    }

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_iclock_param_value(ngx_str_t *value, ngx_uint_t type)
{
    switch (type) {

    case NGX_HTTP_ICLOCK_SIZE:
        return ngx_parse_size(value);

    case NGX_HTTP_ICLOCK_MSEC:
        return ngx_parse_time(value, 0);

    default: /* NGX_HTTP_ICLOCK_NUMBER */
        return ngx_atoi(value->data, value->len);
    }
}


static char *
ngx_http_iclock_invalid(ngx_conf_t *cf, ngx_command_t *cmd, ngx_str_t *value)
{
    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "invalid value \"%V\" in \"%V\"",
                       value, &cmd->name);

    return NGX_CONF_ERROR;
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


/* an unknown name would fail every statement, so it is refused here */

static char *
ngx_http_iclock_timezone(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_iclock_loc_conf_t *ilcf = conf;

    size_t            i;
    u_char            path[sizeof(NGX_HTTP_ICLOCK_ZONEINFO) + 64];
    ngx_str_t        *value;
    ngx_file_info_t   fi;

    if (ilcf->timezone.data) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (value[1].len == 0 || value[1].len > 63 || value[1].data[0] == '/') {
        return ngx_http_iclock_invalid(cf, cmd, &value[1]);
    }

    for (i = 0; i < value[1].len; i++) {
        if (!((value[1].data[i] >= '0' && value[1].data[i] <= '9')
              || ((value[1].data[i] | 0x20) >= 'a'
                  && (value[1].data[i] | 0x20) <= 'z')
              || ngx_strchr("+-_/", value[1].data[i])))
        {
            return ngx_http_iclock_invalid(cf, cmd, &value[1]);
        }
    }

    ngx_sprintf(path, NGX_HTTP_ICLOCK_ZONEINFO "%V%Z", &value[1]);

    if (ngx_file_info(NGX_HTTP_ICLOCK_ZONEINFO, &fi) != NGX_FILE_ERROR
        && ngx_http_iclock_zone_file(path) != NGX_OK)
    {
        return ngx_http_iclock_invalid(cf, cmd, &value[1]);
    }

    ilcf->timezone = value[1];

    return NGX_CONF_OK;
}


/* there are other files and directories among them */

static ngx_int_t
ngx_http_iclock_zone_file(u_char *path)
{
    u_char    magic[4];
    ssize_t   n;
    ngx_fd_t  fd;

    fd = ngx_open_file(path, NGX_FILE_RDONLY, NGX_FILE_OPEN, 0);

    if (fd == NGX_INVALID_FILE) {
        return NGX_DECLINED;
    }

    n = ngx_read_fd(fd, magic, sizeof(magic));

    (void) ngx_close_file(fd);

    return (n == sizeof(magic)
            && ngx_strncmp(magic, "TZif", sizeof(magic)) == 0)
           ? NGX_OK : NGX_DECLINED;
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


/* up to ten times of day, separated by semicolons */

static char *
ngx_http_iclock_trans_times(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_iclock_loc_conf_t *ilcf = conf;

    u_char      *p, *last;
    ngx_int_t    hour, minute;
    ngx_str_t   *value;
    ngx_uint_t   n;

    if (ilcf->trans_times.data) {
        return "is duplicate";
    }

    value = cf->args->elts;
    last = value[1].data + value[1].len;

    for (p = value[1].data, n = 0; p < last; p += 6, n++) {

        if (last - p < 5 || p[2] != ':' || (p + 5 < last && p[5] != ';')) {
            return ngx_http_iclock_invalid(cf, cmd, &value[1]);
        }

        hour = ngx_atoi(p, 2);
        minute = ngx_atoi(p + 3, 2);

        if (hour == NGX_ERROR || hour > 23
            || minute == NGX_ERROR || minute > 59)
        {
            return ngx_http_iclock_invalid(cf, cmd, &value[1]);
        }
    }

    if (n > 10) {
        return ngx_http_iclock_invalid(cf, cmd, &value[1]);
    }

    ilcf->trans_times = value[1];

    return NGX_CONF_OK;
}


static char *
ngx_http_iclock_push_version(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    char  *p = conf;

    size_t      i;
    ngx_str_t  *value, *field;

    field = (ngx_str_t *) (p + cmd->offset);

    if (field->data) {
        return "is duplicate";
    }

    value = cf->args->elts;

    for (i = 0; i < value[1].len; i++) {
        if ((value[1].data[i] < '0' || value[1].data[i] > '9')
            && (value[1].data[i] != '.' || i == 0
                || i + 1 == value[1].len || value[1].data[i + 1] == '.'))
        {
            return ngx_http_iclock_invalid(cf, cmd, &value[1]);
        }
    }

    if (value[1].len < 3 || value[1].len > 16) {
        return ngx_http_iclock_invalid(cf, cmd, &value[1]);
    }

    *field = value[1];

    return NGX_CONF_OK;
}


/* a list that becomes the value of one line of the handshake */

static char *
ngx_http_iclock_list(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    char  *p = conf;

    size_t      i;
    ngx_str_t  *value, *field;

    field = (ngx_str_t *) (p + cmd->offset);

    if (field->data) {
        return "is duplicate";
    }

    value = cf->args->elts;

    for (i = 0; i < value[1].len; i++) {
        if (value[1].data[i] <= ' ' || value[1].data[i] >= 0x7f) {
            return ngx_http_iclock_invalid(cf, cmd, &value[1]);
        }
    }

    if (value[1].len > 900) {
        return ngx_http_iclock_invalid(cf, cmd, &value[1]);
    }

    *field = value[1];

    return NGX_CONF_OK;
}


static char *
ngx_http_iclock_unknown_devices(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_http_iclock_loc_conf_t *ilcf = conf;

    ngx_str_t        *value;
    ngx_conf_enum_t  *e;

    if (ilcf->unknown_devices != NGX_CONF_UNSET_UINT) {
        return "is duplicate";
    }

    value = cf->args->elts;

    for (e = ngx_http_iclock_unknown; e->name.len; e++) {

        if (e->name.len == value[1].len
            && ngx_strcasecmp(e->name.data, value[1].data) == 0)
        {
            ilcf->unknown_devices = e->value;
            return NGX_CONF_OK;
        }
    }

    return ngx_http_iclock_invalid(cf, cmd, &value[1]);
}


/* milliseconds: 100 at least, a timer of 0 would spin */

static char *
ngx_http_iclock_interval(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    char  *p = conf;

    char        *rv;
    ngx_str_t   *value;
    ngx_msec_t  *field;

    rv = ngx_conf_set_msec_slot(cf, cmd, conf);

    value = cf->args->elts;
    field = (ngx_msec_t *) (p + cmd->offset);

    if (rv == NGX_CONF_OK && *field < 100) {
        return ngx_http_iclock_invalid(cf, cmd, &value[1]);
    }

    return rv;
}


/* seconds, from one to a day */

static char *
ngx_http_iclock_time(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    char  *p = conf;

    char       *rv;
    time_t     *field;
    ngx_str_t  *value;

    rv = ngx_conf_set_sec_slot(cf, cmd, conf);

    value = cf->args->elts;
    field = (time_t *) (p + cmd->offset);

    if (rv == NGX_CONF_OK && *field > 0 && *field <= 86400) {
        return NGX_CONF_OK;
    }

    if (rv != NGX_CONF_OK && *field != NGX_ERROR) {
        return rv;
    }

    return ngx_http_iclock_invalid(cf, cmd, &value[1]);
}


/* from one to a million */

static char *
ngx_http_iclock_number(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    char  *p = conf;

    ngx_int_t   n, *field;
    ngx_str_t  *value;

    field = (ngx_int_t *) (p + cmd->offset);

    if (*field != NGX_CONF_UNSET) {
        return "is duplicate";
    }

    value = cf->args->elts;

    n = ngx_atoi(value[1].data, value[1].len);

    if (n == NGX_ERROR || n < 1 || n > 1000000) {
        return ngx_http_iclock_invalid(cf, cmd, &value[1]);
    }

    *field = n;

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


/* "off", or seconds from a minute to a year */

static char *
ngx_http_iclock_verify_interval(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_http_iclock_main_conf_t *imcf = conf;

    ngx_str_t  *value;

    if (imcf->verify_interval != NGX_CONF_UNSET) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (ngx_strcmp(value[1].data, "off") == 0) {
        imcf->verify_interval = 0;
        return NGX_CONF_OK;
    }

    imcf->verify_interval = ngx_parse_time(&value[1], 1);

    if (imcf->verify_interval == NGX_ERROR || imcf->verify_interval < 60
        || imcf->verify_interval > 31536000)
    {
        return ngx_http_iclock_invalid(cf, cmd, &value[1]);
    }

    return NGX_CONF_OK;
}
