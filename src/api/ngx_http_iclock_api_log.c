
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


/*
 * On the level "debug" nginx quotes headers and arguments.  What is secret in
 * them is masked before a line is written anywhere: in front of the log of a
 * server there is one that writes nothing, and changes the line.
 */


#include "ngx_http_iclock_api_gate.h"


static ngx_int_t ngx_http_iclock_api_mask_log(ngx_conf_t *cf, ngx_log_t *log);
static void ngx_http_iclock_api_unmask_log(void *data);
static void ngx_http_iclock_api_log_writer(ngx_log_t *log, ngx_uint_t level,
    u_char *buf, size_t len);
static u_char *ngx_http_iclock_api_mask(u_char *p, u_char *last);


typedef struct {
    ngx_str_t                   start;
    size_t                      shown;      /* behind it */
} ngx_http_iclock_api_secret_t;


static ngx_http_iclock_api_secret_t  ngx_http_iclock_api_secrets[] = {
    { ngx_string("ik_live_"), NGX_HTTP_ICLOCK_API_KEY_ID + 1 },
    { ngx_string("ik_test_"), NGX_HTTP_ICLOCK_API_KEY_ID + 1 },
    { ngx_string("token="), 0 },
    { ngx_null_string, 0 }
};


ngx_int_t
ngx_http_iclock_api_init_log(ngx_conf_t *cf)
{
    ngx_uint_t                   i;
    ngx_http_core_loc_conf_t    *clcf;
    ngx_http_core_srv_conf_t   **cscf;
    ngx_http_core_main_conf_t   *cmcf;

    cmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);

    if (ngx_http_iclock_api_mask_log(cf, &cf->cycle->new_log) != NGX_OK) {
        return NGX_ERROR;
    }

    cscf = cmcf->servers.elts;

    for (i = 0; i < cmcf->servers.nelts; i++) {
        clcf = cscf[i]->ctx->loc_conf[ngx_http_core_module.ctx_index];

        if (ngx_http_iclock_api_mask_log(cf, clcf->error_log) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_iclock_api_mask_log(ngx_conf_t *cf, ngx_log_t *log)
{
    ngx_log_t           *next;
    ngx_pool_cleanup_t  *cln;

    /* servers share logs; one without a directive has no debug level */

    if (log == NULL || log->log_level == 0
        || log->writer == ngx_http_iclock_api_log_writer)
    {
        return NGX_OK;
    }

    next = ngx_palloc(cf->pool, sizeof(ngx_log_t));
    cln = ngx_pool_cleanup_add(cf->pool, 0);

    if (next == NULL || cln == NULL) {
        return NGX_ERROR;
    }

    cln->handler = ngx_http_iclock_api_unmask_log;
    cln->data = log;

    *next = *log;

    log->writer = ngx_http_iclock_api_log_writer;
    log->wdata = NULL;
    log->next = next;

    return NGX_OK;
}


/* nginx unloads the module before it has written its last line */

static void
ngx_http_iclock_api_unmask_log(void *data)
{
    ngx_log_t *log = data;

    log->writer = log->next->writer;
    log->wdata = log->next->wdata;
    log->next = log->next->next;
}


static void
ngx_http_iclock_api_log_writer(ngx_log_t *log, ngx_uint_t level, u_char *buf,
    size_t len)
{
    u_char                        *p, *last;
    ngx_http_iclock_api_secret_t  *secret;

    last = buf + len;

    for (secret = ngx_http_iclock_api_secrets; secret->start.len; secret++) {

        for (p = buf; p < last; /* void */ ) {

            p = ngx_strlcasestrn(p, last, secret->start.data,
                                 secret->start.len - 1);
            if (p == NULL) {
                break;
            }

            p = ngx_http_iclock_api_mask(p + secret->start.len
                                           + secret->shown, last);
        }
    }
}


/* returns where the secret has ended */

static u_char *
ngx_http_iclock_api_mask(u_char *p, u_char *last)
{
    for ( /* void */ ; p < last; p++) {

        if ((*p < '0' || *p > '9') && ((*p | 0x20) < 'a' || (*p | 0x20) > 'z')
            && *p != '_' && *p != '-' && *p != '%')
        {
            break;
        }

        *p = '*';
    }

    return p;
}
