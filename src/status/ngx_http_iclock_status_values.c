
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


#include "ngx_http_iclock_status.h"

#include <math.h>


static void ngx_http_iclock_status_rooms(ngx_http_iclock_status_values_t *v,
    ngx_http_iclock_main_conf_t *imcf, ngx_http_iclock_api_main_conf_t *amcf);
static void ngx_http_iclock_status_asked(ngx_http_iclock_status_values_t *v,
    ngx_http_iclock_main_conf_t *imcf, ngx_http_iclock_api_main_conf_t *amcf);
static uint64_t ngx_http_iclock_status_connected(
    ngx_http_iclock_status_values_t *v, ngx_uint_t pool);


void
ngx_http_iclock_status_values(ngx_http_iclock_status_values_t *v,
    ngx_http_iclock_status_main_conf_t *smcf,
    ngx_http_iclock_main_conf_t *imcf, ngx_http_iclock_api_main_conf_t *amcf)
{
    uint64_t               bits, longest;
    ngx_uint_t             i, processes;
    ngx_iclock_metrics_t  *metrics;

    metrics = smcf->metrics;

    v->time = *ngx_timeofday();
    v->since = metrics->since;

    ngx_iclock_metric_sums(metrics, v->cells, &processes, &longest);

    for (i = 0; i < NGX_ICLOCK_METRIC_CELLS; i++) {
        bits = __atomic_load_n(&metrics->read[i], __ATOMIC_RELAXED);
        ngx_memcpy(&v->read[i], &bits, sizeof(uint64_t));
    }

    ngx_http_iclock_status_rooms(v, imcf, amcf);
    ngx_http_iclock_status_asked(v, imcf, amcf);

    v->asked[NGX_ICLOCK_METRIC_WORKERS] = processes;
    v->asked[NGX_ICLOCK_METRIC_TURN_MAX] = (double) longest / 1000000;
}


static void
ngx_http_iclock_status_rooms(ngx_http_iclock_status_values_t *v,
    ngx_http_iclock_main_conf_t *imcf, ngx_http_iclock_api_main_conf_t *amcf)
{
    v->rooms[NGX_ICLOCK_ROOM_ALL] = 1;
    v->rooms[NGX_ICLOCK_ROOM_DEVICES] = imcf->locations != 0;
    v->rooms[NGX_ICLOCK_ROOM_FEED] = amcf->zone != NULL;
    v->rooms[NGX_ICLOCK_ROOM_API] = amcf->locations != 0;
    v->rooms[NGX_ICLOCK_ROOM_WEBHOOKS] = amcf->zone && amcf->webhooks;
    v->rooms[NGX_ICLOCK_ROOM_STREAM] = amcf->ring != NULL;
    v->rooms[NGX_ICLOCK_ROOM_DATABASE] = imcf->locations || amcf->zone;
}


static void
ngx_http_iclock_status_asked(ngx_http_iclock_status_values_t *v,
    ngx_http_iclock_main_conf_t *imcf, ngx_http_iclock_api_main_conf_t *amcf)
{
    uint64_t                 listeners;
    ngx_uint_t               version;
    ngx_http_iclock_usage_t  usage;

    version = ngx_iclock_store_libpq_version();
    ngx_sprintf(v->libpq, "%ui.%ui%Z", version / 10000, version % 10000);

    v->asked[NGX_ICLOCK_METRIC_BUILD] = 1;
    v->asked[NGX_ICLOCK_METRIC_START] = v->since;
    v->asked[NGX_ICLOCK_METRIC_SCHEMA_REQUIRED] = NGX_ICLOCK_SCHEMA;

    v->asked[NGX_ICLOCK_METRIC_DATABASE_UP] =
        ngx_http_iclock_status_connected(v, NGX_ICLOCK_L_CONNECTOR_DEVICE)
        + ngx_http_iclock_status_connected(v, NGX_ICLOCK_L_CONNECTOR_API) != 0;

    listeners = (v->rooms[NGX_ICLOCK_ROOM_DEVICES] != 0)
                + (v->rooms[NGX_ICLOCK_ROOM_FEED] != 0);

    v->asked[NGX_ICLOCK_METRIC_LISTENER_UP] =
        (listeners && v->cells[NGX_ICLOCK_AT_LISTENER_UP] >= listeners);

    if (imcf->zone == NULL) {
        return;
    }

    ngx_http_iclock_zone_usage(imcf->zone, &usage);

    v->asked[NGX_ICLOCK_METRIC_ZONE_SIZE] = usage.size;
    v->asked[NGX_ICLOCK_METRIC_ZONE_USED] = usage.used;
    v->asked[NGX_ICLOCK_METRIC_ZONE_DEVICES] = usage.devices;
}


static uint64_t
ngx_http_iclock_status_connected(ngx_http_iclock_status_values_t *v,
    ngx_uint_t pool)
{
    uint64_t  *cell;

    cell = &v->cells[NGX_ICLOCK_AT_CONNECTIONS
                     + pool * NGX_ICLOCK_STEP_CONNECTIONS];

    return cell[NGX_ICLOCK_L_CONNECTION_IDLE]
           + cell[NGX_ICLOCK_L_CONNECTION_BUSY];
}


ngx_uint_t
ngx_http_iclock_status_shown(ngx_http_iclock_status_values_t *v,
    const ngx_iclock_metric_t *m)
{
    return v->rooms[m->room];
}


ngx_uint_t
ngx_http_iclock_status_has(ngx_http_iclock_status_values_t *v,
    const ngx_iclock_metric_t *m, ngx_uint_t label)
{
    if (m->labels[0] != NGX_ICLOCK_LABEL_POOL
        && m->labels[0] != NGX_ICLOCK_LABEL_CONNECTOR)
    {
        return 1;
    }

    switch (label) {

    case NGX_ICLOCK_L_CONNECTOR_DEVICE:
        return v->rooms[NGX_ICLOCK_ROOM_DEVICES];

    case NGX_ICLOCK_L_CONNECTOR_API:
        return v->rooms[NGX_ICLOCK_ROOM_FEED];

    default:
        return 1;
    }
}


ngx_uint_t
ngx_http_iclock_status_cell(const ngx_iclock_metric_t *m, ngx_uint_t a,
    ngx_uint_t b)
{
    return m->at + (a * ngx_iclock_labels[m->labels[1]].n + b) * m->width;
}


double
ngx_http_iclock_status_value(ngx_http_iclock_status_values_t *v,
    const ngx_iclock_metric_t *m, ngx_uint_t cell)
{
    switch (m->source) {

    case NGX_ICLOCK_METRIC_READ:
        return v->read[cell];

    case NGX_ICLOCK_METRIC_ASKED:
        return v->asked[m - ngx_iclock_metric_table];

    case NGX_ICLOCK_METRIC_NOW:
        return (double) (int64_t) v->cells[cell];

    default: /* NGX_ICLOCK_METRIC_COUNT */
        return (double) v->cells[cell];
    }
}


uint64_t
ngx_http_iclock_status_total(ngx_http_iclock_status_values_t *v,
    const ngx_iclock_metric_t *m, ngx_uint_t cell)
{
    uint64_t    n;
    ngx_uint_t  i;

    n = 0;

    for (i = 0; i <= m->nbuckets; i++) {
        n += v->cells[cell + i];
    }

    return n;
}


double
ngx_http_iclock_status_sum(ngx_http_iclock_status_values_t *v,
    const ngx_iclock_metric_t *m, ngx_uint_t cell)
{
    double  sum;

    sum = (double) v->cells[cell + m->nbuckets + 1];

    return ngx_http_iclock_status_seconds(m) ? sum / 1000000 : sum;
}


ngx_uint_t
ngx_http_iclock_status_seconds(const ngx_iclock_metric_t *m)
{
    size_t  len;

    len = sizeof("_seconds") - 1;

    return m->name.len > len
           && ngx_strncmp(m->name.data + m->name.len - len, "_seconds", len)
              == 0;
}


void
ngx_http_iclock_status_write(ngx_http_iclock_status_out_t *out,
    const char *fmt, ...)
{
    va_list  args;

    va_start(args, fmt);
    out->pos = ngx_vslprintf(out->pos, out->end, fmt, args);
    va_end(args);
}


void
ngx_http_iclock_status_number(ngx_http_iclock_status_out_t *out, double n)
{
    /* exact integers, and what nginx can print */

    if (n > -1e15 && n < 1e15 && n == (double) (int64_t) n) {
        ngx_http_iclock_status_write(out, "%L", (int64_t) n);
        return;
    }

    if (n > -1e15 && n < 1e15) {
        ngx_http_iclock_status_write(out, "%.6f", n);
        return;
    }

    ngx_http_iclock_status_write(out, "%s1000000000000000",
                                 (n < 0) ? "-" : "");
}
