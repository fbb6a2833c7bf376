
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


#include "ngx_http_iclock.h"


/* longer values of these arguments are not believed */
#define NGX_HTTP_ICLOCK_MAX_ARG  64


static ngx_int_t ngx_http_iclock_welcome(ngx_http_request_t *r,
    ngx_http_iclock_ctx_t *ctx);
static ngx_int_t ngx_http_iclock_greet(ngx_http_request_t *r,
    ngx_http_iclock_ctx_t *ctx);
static ngx_uint_t ngx_http_iclock_no_news(ngx_str_t *said, ngx_str_t *known);
static ngx_uint_t ngx_http_iclock_dialect(ngx_http_iclock_ctx_t *ctx);
static ngx_int_t ngx_http_iclock_greeted(ngx_http_request_t *r,
    ngx_http_iclock_ctx_t *ctx);
static ngx_int_t ngx_http_iclock_options(ngx_http_request_t *r,
    ngx_http_iclock_ctx_t *ctx);
static ngx_int_t ngx_http_iclock_no_exchange(ngx_http_request_t *r,
    ngx_http_iclock_ctx_t *ctx);
static void ngx_http_iclock_settings(ngx_http_iclock_loc_conf_t *ilcf,
    ngx_iclock_device_t *device, ngx_iclock_handshake_t *hs);


#define ngx_http_iclock_override(value, conf)                                \
    ((value) >= 0 ? (value) : (ngx_int_t) (conf))

#define ngx_http_iclock_override_str(value, conf)                            \
    ((value).data ? (value) : (conf))


/* the last one that knows no encryption of all data */
static ngx_str_t  ngx_http_iclock_plain_version = ngx_string("2.2.14");


/* attendance PUSH 2.4.1, section 5: always answered from the device's row */

ngx_int_t
ngx_http_iclock_handshake(ngx_http_request_t *r, ngx_http_iclock_ctx_t *ctx)
{
    return ngx_http_iclock_admit(r, ctx,
                                 NGX_HTTP_ICLOCK_GREETS|NGX_HTTP_ICLOCK_ASKS,
                                 ngx_http_iclock_welcome);
}


static ngx_int_t
ngx_http_iclock_welcome(ngx_http_request_t *r, ngx_http_iclock_ctx_t *ctx)
{
    if (ngx_http_iclock_options(r, ctx) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_iclock_greet(r, ctx);
}


/*
 * What the device says of itself is stored if it is news, and not before it
 * has shown who it is.
 */

static ngx_int_t
ngx_http_iclock_greet(ngx_http_request_t *r, ngx_http_iclock_ctx_t *ctx)
{
    ngx_iclock_device_t         *device;
    ngx_iclock_greeting_t        greeting;
    ngx_http_iclock_loc_conf_t  *ilcf;

    ilcf = ngx_http_get_module_loc_conf(r, ngx_http_iclock_module);
    device = ctx->job->device;

    greeting.serial_number = ctx->args.sn;
    greeting.push_version = ctx->args.push_version;
    greeting.language = ctx->args.language;
    greeting.dialect = ngx_iclock_recognize_dialect(&ctx->args.push_version);
    greeting.timezone = ilcf->timezone;
    greeting.told_offset = ctx->told_offset;
    greeting.told_delay = ctx->told_delay;

    if (ngx_http_iclock_no_news(&greeting.push_version,
                                &device->push_version))
    {
        greeting.push_version.len = 0;
    }

    if (ngx_http_iclock_no_news(&greeting.language, &device->language)) {
        greeting.language.len = 0;
    }

    if (greeting.dialect == device->recognized_dialect) {
        greeting.dialect = NGX_ICLOCK_DIALECT_UNKNOWN;
    }

    /* a device that reads its stamps may change them again */

    if (!device->reupload
        && greeting.push_version.len == 0 && greeting.language.len == 0
        && greeting.dialect == NGX_ICLOCK_DIALECT_UNKNOWN
        && greeting.told_offset == device->told_offset
        && greeting.told_delay == device->told_delay
        && ngx_http_iclock_no_news(&greeting.timezone,
                                   &device->default_timezone))
    {
        return ngx_http_iclock_reply(r, &ctx->reply);
    }

    if (ngx_http_iclock_job(r, ctx) == NULL
        || ngx_iclock_store_greet(ctx->job, &greeting) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_iclock_submit_in_order(r, ctx, ngx_http_iclock_greeted);
}


static ngx_uint_t
ngx_http_iclock_no_news(ngx_str_t *said, ngx_str_t *known)
{
    return said->len > NGX_HTTP_ICLOCK_MAX_ARG
           || (said->len == known->len
               && ngx_memcmp(said->data, known->data, said->len) == 0);
}


/* what an operator has set counts, then what the device makes certain */

static ngx_uint_t
ngx_http_iclock_dialect(ngx_http_iclock_ctx_t *ctx)
{
    ngx_uint_t            dialect;
    ngx_iclock_device_t  *device;

    device = ctx->job->device;
    dialect = NGX_ICLOCK_DIALECT_UNKNOWN;

    if (!device->dialect_chosen) {
        dialect = ngx_iclock_recognize_dialect(&ctx->args.push_version);
    }

    return (dialect == NGX_ICLOCK_DIALECT_UNKNOWN) ? device->dialect
                                                   : dialect;
}


static ngx_int_t
ngx_http_iclock_greeted(ngx_http_request_t *r, ngx_http_iclock_ctx_t *ctx)
{
    ngx_http_iclock_main_conf_t  *imcf;

    if (ctx->job->rc != NGX_OK) {
        return ngx_http_iclock_unavailable(r);
    }

    /* the encoding of its texts may be another one now */

    imcf = ngx_http_get_module_main_conf(r, ngx_http_iclock_module);

    ngx_http_iclock_zone_expire(imcf->zone, &ctx->args.sn);

    return ngx_http_iclock_reply(r, &ctx->reply);
}


static ngx_int_t
ngx_http_iclock_options(ngx_http_request_t *r, ngx_http_iclock_ctx_t *ctx)
{
    ngx_iclock_handshake_t       hs;
    ngx_http_iclock_loc_conf_t  *ilcf;

    ilcf = ngx_http_get_module_loc_conf(r, ngx_http_iclock_module);

    ngx_memzero(&hs, sizeof(ngx_iclock_handshake_t));

    hs.serial_number = ctx->args.sn;
    hs.device_version = ctx->args.push_version;

    hs.dialect = ngx_http_iclock_dialect(ctx);

    ngx_http_iclock_settings(ilcf, ctx->job->device, &hs);

    ctx->told_offset = hs.send_timezone ? hs.utc_offset
                                        : NGX_ICLOCK_NO_OFFSET;
    ctx->told_delay = hs.delay;

    if (ctx->known.plain) {
        hs.server_version = ngx_iclock_lower_version(
                                                &ngx_http_iclock_plain_version,
                                                &hs.server_version);
    }

    return ngx_iclock_handshake_reply(&ctx->reply, &hs, r->pool);
}


/*
 * Sections 6 and 7: the algorithms that exchange keys are published nowhere.
 * A device that asks for them gets the last version without encryption at its
 * next handshake.
 */

ngx_int_t
ngx_http_iclock_exchange(ngx_http_request_t *r, ngx_http_iclock_ctx_t *ctx)
{
    return ngx_http_iclock_admit(r, ctx, 0, ngx_http_iclock_no_exchange);
}


static ngx_int_t
ngx_http_iclock_no_exchange(ngx_http_request_t *r, ngx_http_iclock_ctx_t *ctx)
{
    ngx_http_iclock_main_conf_t  *imcf;

    imcf = ngx_http_get_module_main_conf(r, ngx_http_iclock_module);

    if (ngx_http_iclock_zone_set_plain(imcf->zone, &ctx->args.sn) == NGX_OK) {
        ngx_log_error(NGX_LOG_NOTICE, r->connection->log, 0,
                      "iclock: device \"%V\" wants to encrypt, it is offered "
                      "protocol version %V from now on", &ctx->args.sn,
                      &ngx_http_iclock_plain_version);
    }

    return NGX_HTTP_NOT_FOUND;
}


/* a row of iclock.device overrides the directives */

static void
ngx_http_iclock_settings(ngx_http_iclock_loc_conf_t *ilcf,
    ngx_iclock_device_t *device, ngx_iclock_handshake_t *hs)
{
    hs->stamps = &device->stamps;
    hs->bare_stamps = ngx_http_iclock_override(device->bare_stamps,
                              ngx_iclock_needs_bare_stamps(hs->dialect,
                                                         &hs->device_version));
    hs->error_delay = ngx_http_iclock_override(device->error_delay,
                                               ilcf->error_delay);
    hs->delay = ngx_http_iclock_override(device->delay, ilcf->delay);
    hs->trans_times = ngx_http_iclock_override_str(device->trans_times,
                                                   ilcf->trans_times);
    hs->trans_interval = ngx_http_iclock_override(device->trans_interval,
                                                  ilcf->trans_interval / 60);
    hs->send_timezone = ngx_http_iclock_override(device->send_timezone,
                                                 ilcf->send_timezone);
    hs->utc_offset = device->utc_offset;
    hs->realtime = ngx_http_iclock_override(device->realtime, ilcf->realtime);
    hs->push_options = ngx_http_iclock_override_str(device->push_options,
                                                    ilcf->push_options);
    hs->multi_bio_data = ngx_http_iclock_override_str(device->multi_bio_data,
                                                      ilcf->multi_bio_data);
    hs->multi_bio_photo = ngx_http_iclock_override_str(
                                                      device->multi_bio_photo,
                                                      ilcf->multi_bio_photo);

    hs->server_version = ilcf->push_version;

    if (device->max_push_version.len) {
        hs->server_version = ngx_iclock_lower_version(
                                                    &device->max_push_version,
                                                    &ilcf->push_version);
    }

    hs->trans_style = ilcf->trans_style;
    hs->trans_words = ilcf->trans_words;

    if (device->trans_flag.len) {
        (void) ngx_iclock_parse_trans_flag(&device->trans_flag,
                                           &hs->trans_style,
                                           &hs->trans_words);
    }
}
