
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


#include "ngx_http_iclock_webhooks.h"
#include "ngx_http_iclock_setting.h"

#include <openssl/err.h>
#include <openssl/x509.h>


static void *ngx_http_iclock_webhooks_create_conf(ngx_conf_t *cf);
static char *ngx_http_iclock_webhooks_init_conf(ngx_conf_t *cf, void *conf);
static ngx_int_t ngx_http_iclock_webhooks_init(ngx_conf_t *cf);
static char *ngx_http_iclock_webhooks_trust(ngx_conf_t *cf,
    ngx_command_t *cmd, void *conf);
static ngx_int_t ngx_http_iclock_webhooks_certificate(ngx_conf_t *cf,
    ngx_http_iclock_webhooks_conf_t *wcf);
static ngx_uint_t ngx_http_iclock_webhooks_authorities(ngx_str_t *file);
static ngx_int_t ngx_http_iclock_webhooks_name(ngx_conf_t *cf,
    ngx_http_iclock_webhooks_conf_t *wcf);
static char *ngx_http_iclock_webhooks_allow(ngx_conf_t *cf,
    ngx_command_t *cmd, void *conf);
static ngx_int_t ngx_http_iclock_webhooks_init_process(ngx_cycle_t *cycle);
static void ngx_http_iclock_webhooks_exit_process(ngx_cycle_t *cycle);


#define ngx_http_iclock_webhooks_limit(field)                                \
    offsetof(ngx_http_iclock_webhook_limits_t, field)


static ngx_http_iclock_param_t  ngx_http_iclock_webhook_limit_params[] = {

    { ngx_string("endpoints="), ngx_http_iclock_webhooks_limit(endpoints),
      ngx_http_iclock_range(NUMBER, 1, 100000, 1000) },

    { ngx_string("concurrency="), ngx_http_iclock_webhooks_limit(concurrency),
      ngx_http_iclock_range(NUMBER, 1, 4096, 64) },

    { ngx_string("timeout="), ngx_http_iclock_webhooks_limit(timeout),
      ngx_http_iclock_range(MSEC, 100, 300000, 15000) },

    { ngx_string("connect_timeout="),
      ngx_http_iclock_webhooks_limit(connect_timeout),
      ngx_http_iclock_range(MSEC, 100, 300000, 5000) },

    { ngx_string("idle="), ngx_http_iclock_webhooks_limit(idle),
      ngx_http_iclock_range(NUMBER, 1, 65536, 256) },

    { ngx_null_string, 0, NULL }
};


#define ngx_http_iclock_webhooks_main(field)                                 \
    NGX_HTTP_MAIN_CONF_OFFSET,                                               \
    offsetof(ngx_http_iclock_webhooks_conf_t, field)


static ngx_command_t  ngx_http_iclock_webhooks_commands[] = {

    { ngx_string("iclock_webhook_limits"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_1MORE,
      ngx_http_iclock_set_params,
      ngx_http_iclock_webhooks_main(limits),
      ngx_http_iclock_webhook_limit_params },

    { ngx_string("iclock_webhook_http"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_http_iclock_set,
      ngx_http_iclock_webhooks_main(http),
      ngx_http_iclock_flag(0) },

    { ngx_string("iclock_webhook_trusted_certificate"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_http_iclock_webhooks_trust,
      ngx_http_iclock_webhooks_main(trusted_certificate),
      ngx_http_iclock_text(NULL, "/etc/ssl/certs/ca-certificates.crt") },

    { ngx_string("iclock_webhook_allow"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_1MORE,
      ngx_http_iclock_webhooks_allow,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

      ngx_null_command
};


static ngx_http_module_t  ngx_http_iclock_webhooks_module_ctx = {
    NULL,                                  /* preconfiguration */
    ngx_http_iclock_webhooks_init,         /* postconfiguration */

    ngx_http_iclock_webhooks_create_conf,  /* create main configuration */
    ngx_http_iclock_webhooks_init_conf,    /* init main configuration */

    NULL,                                  /* create server configuration */
    NULL,                                  /* merge server configuration */

    NULL,                                  /* create location configuration */
    NULL                                   /* merge location configuration */
};


ngx_module_t  ngx_http_iclock_webhooks_module = {
    NGX_MODULE_V1,
    &ngx_http_iclock_webhooks_module_ctx,  /* module context */
    ngx_http_iclock_webhooks_commands,     /* module directives */
    NGX_HTTP_MODULE,                       /* module type */
    NULL,                                  /* init master */
    NULL,                                  /* init module */
    ngx_http_iclock_webhooks_init_process, /* init process */
    NULL,                                  /* init thread */
    NULL,                                  /* exit thread */
    ngx_http_iclock_webhooks_exit_process, /* exit process */
    NULL,                                  /* exit master */
    NGX_MODULE_V1_PADDING
};


static void *
ngx_http_iclock_webhooks_create_conf(ngx_conf_t *cf)
{
    ngx_http_iclock_webhooks_conf_t  *wcf;

    wcf = ngx_pcalloc(cf->pool, sizeof(ngx_http_iclock_webhooks_conf_t));
    if (wcf == NULL) {
        return NULL;
    }

    wcf->allow = NGX_CONF_UNSET_PTR;

    ngx_http_iclock_unset_all(ngx_http_iclock_webhooks_commands,
                              NGX_HTTP_MAIN_CONF_OFFSET, wcf);

    return wcf;
}


static char *
ngx_http_iclock_webhooks_init_conf(ngx_conf_t *cf, void *conf)
{
    ngx_http_iclock_webhooks_conf_t *wcf = conf;

    ngx_http_iclock_merge_all(ngx_http_iclock_webhooks_commands,
                              NGX_HTTP_MAIN_CONF_OFFSET, NULL, wcf);

    ngx_conf_init_ptr_value(wcf->allow, NULL);

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_iclock_webhooks_init(ngx_conf_t *cf)
{
    ngx_http_iclock_webhooks_conf_t  *wcf;
    ngx_http_iclock_api_main_conf_t  *amcf;

    wcf = ngx_http_conf_get_module_main_conf(cf,
                                             ngx_http_iclock_webhooks_module);
    amcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_iclock_api_module);

    if (!amcf->webhooks) {
        return NGX_OK;
    }

    wcf->hook.idle = wcf->limits.idle;
    wcf->hook.http = wcf->http;
    wcf->hook.allowed = wcf->allow;
    wcf->hook.resolver = amcf->pool.resolver;
    wcf->hook.resolver_timeout = amcf->pool.resolver_timeout;

    /* who makes a webhook is told at once */

    amcf->webhook_http = wcf->http;

    if (wcf->hook.trusted_certificate.data == NULL
        && ngx_http_iclock_webhooks_certificate(cf, wcf) != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_iclock_webhooks_name(cf, wcf);
}


static char *
ngx_http_iclock_webhooks_trust(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    char  *rv;

    rv = ngx_http_iclock_set(cf, cmd, conf);

    if (rv != NGX_CONF_OK) {
        return rv;
    }

    return (ngx_http_iclock_webhooks_certificate(cf, conf) == NGX_OK)
           ? NGX_CONF_OK : NGX_CONF_ERROR;
}


static ngx_int_t
ngx_http_iclock_webhooks_certificate(ngx_conf_t *cf,
    ngx_http_iclock_webhooks_conf_t *wcf)
{
    ngx_fd_t   fd;
    ngx_str_t  file;

    file = wcf->trusted_certificate;

    if (ngx_conf_full_name(cf->cycle, &file, 1) != NGX_OK) {
        return NGX_ERROR;
    }

    fd = ngx_open_file(file.data, NGX_FILE_RDONLY, NGX_FILE_OPEN, 0);

    if (fd == NGX_INVALID_FILE) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, ngx_errno,
                           "\"iclock_webhook_trusted_certificate\": "
                           ngx_open_file_n " \"%V\" failed", &file);
        return NGX_ERROR;
    }

    if (ngx_close_file(fd) == NGX_FILE_ERROR) {
        ngx_conf_log_error(NGX_LOG_ALERT, cf, ngx_errno,
                           ngx_close_file_n " \"%V\" failed", &file);
    }

    if (!ngx_http_iclock_webhooks_authorities(&file)) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"iclock_webhook_trusted_certificate\": \"%V\" "
                           "is no file of certificates", &file);
        return NGX_ERROR;
    }

    wcf->hook.trusted_certificate = file;

    return NGX_OK;
}


/* what libcurl will read: one that is damaged spoils the others */

static ngx_uint_t
ngx_http_iclock_webhooks_authorities(ngx_str_t *file)
{
    int           n;
    X509_STORE   *store;
    X509_LOOKUP  *lookup;

    n = 0;
    store = X509_STORE_new();

    if (store) {
        lookup = X509_STORE_add_lookup(store, X509_LOOKUP_file());

        if (lookup) {
            n = X509_load_cert_file(lookup, (char *) file->data,
                                    X509_FILETYPE_PEM);
        }

        X509_STORE_free(store);
    }

    /* nginx believes that what is in there is its own */

    ERR_clear_error();

    return n > 0;
}


static ngx_int_t
ngx_http_iclock_webhooks_name(ngx_conf_t *cf,
    ngx_http_iclock_webhooks_conf_t *wcf)
{
    size_t  len;

    len = cf->cycle->hostname.len + NGX_INT64_LEN + 18;

    wcf->name.data = ngx_pnalloc(cf->pool, len);
    if (wcf->name.data == NULL) {
        return NGX_ERROR;
    }

    wcf->name.len = ngx_sprintf(wcf->name.data, "%V:%P:%08xD%08xD",
                                &cf->cycle->hostname, ngx_pid,
                                (uint32_t) ngx_random(),
                                (uint32_t) ngx_current_msec)
                    - wcf->name.data;

    return NGX_OK;
}


static char *
ngx_http_iclock_webhooks_allow(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_iclock_webhooks_conf_t *wcf = conf;

    ngx_int_t    rc;
    ngx_str_t   *value;
    ngx_cidr_t  *cidr;
    ngx_uint_t   i;

    value = cf->args->elts;

    if (ngx_strcmp(value[1].data, "off") == 0 && cf->args->nelts == 2) {

        if (wcf->allow != NGX_CONF_UNSET_PTR) {
            return "is duplicate";
        }

        wcf->allow = NULL;
        return NGX_CONF_OK;
    }

    if (wcf->allow == NULL) {
        return "is duplicate";
    }

    if (wcf->allow == NGX_CONF_UNSET_PTR) {

        wcf->allow = ngx_array_create(cf->pool, 4, sizeof(ngx_cidr_t));
        if (wcf->allow == NULL) {
            return NGX_CONF_ERROR;
        }
    }

    for (i = 1; i < cf->args->nelts; i++) {

        cidr = ngx_array_push(wcf->allow);
        if (cidr == NULL) {
            return NGX_CONF_ERROR;
        }

        rc = ngx_ptocidr(&value[i], cidr);

        if (rc == NGX_ERROR) {
            return ngx_http_iclock_invalid(cf, cmd, &value[i]);
        }

        if (rc == NGX_DONE) {
            ngx_conf_log_error(NGX_LOG_WARN, cf, 0,
                               "low address bits of %V are meaningless",
                               &value[i]);
        }
    }

    return NGX_CONF_OK;
}


/* the pool of queries is made by the module before this one */

static ngx_int_t
ngx_http_iclock_webhooks_init_process(ngx_cycle_t *cycle)
{
    ngx_http_iclock_webhooks_conf_t  *wcf;
    ngx_http_iclock_api_main_conf_t  *amcf;

    wcf = ngx_http_cycle_get_module_main_conf(cycle,
                                              ngx_http_iclock_webhooks_module);
    amcf = ngx_http_cycle_get_module_main_conf(cycle,
                                               ngx_http_iclock_api_module);

    if (amcf == NULL || !amcf->webhooks || amcf->queries == NULL) {
        return NGX_OK;
    }

    if (ngx_process == NGX_PROCESS_WORKER && ngx_worker != 0) {
        return NGX_OK;
    }

    return ngx_http_iclock_sender_start(cycle, wcf, amcf);
}


static void
ngx_http_iclock_webhooks_exit_process(ngx_cycle_t *cycle)
{
    ngx_http_iclock_webhooks_conf_t  *wcf;

    wcf = ngx_http_cycle_get_module_main_conf(cycle,
                                              ngx_http_iclock_webhooks_module);

    if (wcf == NULL || wcf->sender == NULL) {
        return;
    }

    ngx_http_iclock_sender_stop(wcf->sender);
    wcf->sender = NULL;
}
