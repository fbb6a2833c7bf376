
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


/* the text format of Prometheus, version 0.0.4 */


#include "ngx_http_iclock_status.h"

#include <math.h>


static void ngx_http_iclock_status_metric(ngx_http_iclock_status_out_t *out,
    ngx_http_iclock_status_values_t *v, const ngx_iclock_metric_t *m);
static ngx_uint_t ngx_http_iclock_status_unknown(
    ngx_http_iclock_status_values_t *v, const ngx_iclock_metric_t *m);
static void ngx_http_iclock_status_series(ngx_http_iclock_status_out_t *out,
    ngx_http_iclock_status_values_t *v, const ngx_iclock_metric_t *m,
    ngx_uint_t a, ngx_uint_t b);
static void ngx_http_iclock_status_histogram(
    ngx_http_iclock_status_out_t *out, ngx_http_iclock_status_values_t *v,
    const ngx_iclock_metric_t *m, ngx_uint_t a, ngx_uint_t cell);
static void ngx_http_iclock_status_name(ngx_http_iclock_status_out_t *out,
    const ngx_iclock_metric_t *m, const char *suffix, ngx_uint_t a,
    ngx_uint_t b, const ngx_str_t *le);


/* by ngx_iclock_metric_type_e */

static const char  *ngx_http_iclock_status_types[] = {
    "counter", "gauge", "histogram", "gauge"
};


void
ngx_http_iclock_status_text(ngx_http_iclock_status_out_t *out,
    ngx_http_iclock_status_values_t *v)
{
    ngx_uint_t                  i;
    const ngx_iclock_metric_t  *m;

    for (i = 0; i < NGX_ICLOCK_METRICS; i++) {

        m = &ngx_iclock_metric_table[i];

        if (ngx_http_iclock_status_shown(v, m)
            && !ngx_http_iclock_status_unknown(v, m))
        {
            ngx_http_iclock_status_metric(out, v, m);
        }
    }
}


/* nothing of it was read from the database */

static ngx_uint_t
ngx_http_iclock_status_unknown(ngx_http_iclock_status_values_t *v,
    const ngx_iclock_metric_t *m)
{
    ngx_uint_t  i;

    if (m->source != NGX_ICLOCK_METRIC_READ) {
        return 0;
    }

    for (i = 0; i < m->count; i++) {
        if (!isnan(v->read[m->at + i])) {
            return 0;
        }
    }

    return 1;
}


static void
ngx_http_iclock_status_metric(ngx_http_iclock_status_out_t *out,
    ngx_http_iclock_status_values_t *v, const ngx_iclock_metric_t *m)
{
    ngx_uint_t  a, b;

    ngx_http_iclock_status_write(out, "# HELP %V %V\n# TYPE %V %s\n",
                                 &m->name, &m->help, &m->name,
                                 ngx_http_iclock_status_types[m->type]);

    if (m->type == NGX_ICLOCK_METRIC_INFO) {
        ngx_http_iclock_status_write(out, "%V{version=\"%s\","
                                     "nginx_version=\"%s\","
                                     "libpq_version=\"%s\"} 1\n",
                                     &m->name, NGX_HTTP_ICLOCK_STATUS_VERSION,
                                     NGINX_VERSION, v->libpq);
        return;
    }

    for (a = 0; a < ngx_iclock_labels[m->labels[0]].n; a++) {

        if (!ngx_http_iclock_status_has(v, m, a)) {
            continue;
        }

        for (b = 0; b < ngx_iclock_labels[m->labels[1]].n; b++) {
            ngx_http_iclock_status_series(out, v, m, a, b);
        }
    }
}


static void
ngx_http_iclock_status_series(ngx_http_iclock_status_out_t *out,
    ngx_http_iclock_status_values_t *v, const ngx_iclock_metric_t *m,
    ngx_uint_t a, ngx_uint_t b)
{
    double      value;
    ngx_uint_t  cell;

    cell = ngx_http_iclock_status_cell(m, a, b);

    if (m->type == NGX_ICLOCK_METRIC_HISTOGRAM) {
        ngx_http_iclock_status_histogram(out, v, m, a, cell);
        return;
    }

    value = ngx_http_iclock_status_value(v, m, cell);

    if (isnan(value)) {
        return;
    }

    ngx_http_iclock_status_name(out, m, "", a, b, NULL);
    ngx_http_iclock_status_number(out, value);
    ngx_http_iclock_status_write(out, "\n");
}


/* histograms have one label at most */

static void
ngx_http_iclock_status_histogram(ngx_http_iclock_status_out_t *out,
    ngx_http_iclock_status_values_t *v, const ngx_iclock_metric_t *m,
    ngx_uint_t a, ngx_uint_t cell)
{
    uint64_t    n;
    ngx_uint_t  i;

    n = 0;

    for (i = 0; i <= m->nbuckets; i++) {
        n += v->cells[cell + i];

        ngx_http_iclock_status_name(out, m, "_bucket", a, 0,
                                    &m->buckets[i].text);
        ngx_http_iclock_status_write(out, "%uL\n", n);
    }

    ngx_http_iclock_status_name(out, m, "_sum", a, 0, NULL);
    ngx_http_iclock_status_number(out, ngx_http_iclock_status_sum(v, m, cell));
    ngx_http_iclock_status_write(out, "\n");

    ngx_http_iclock_status_name(out, m, "_count", a, 0, NULL);
    ngx_http_iclock_status_write(out, "%uL\n", n);
}


static void
ngx_http_iclock_status_name(ngx_http_iclock_status_out_t *out,
    const ngx_iclock_metric_t *m, const char *suffix, ngx_uint_t a,
    ngx_uint_t b, const ngx_str_t *le)
{
    char                 c;
    ngx_uint_t           i, n[2];
    ngx_iclock_label_t  *l;

    ngx_http_iclock_status_write(out, "%V%s", &m->name, suffix);

    c = '{';
    n[0] = a;
    n[1] = b;

    for (i = 0; i < 2; i++) {

        if (m->labels[i] == NGX_ICLOCK_LABEL_NONE) {
            continue;
        }

        l = &ngx_iclock_labels[m->labels[i]];

        ngx_http_iclock_status_write(out, "%c%V=\"%V\"", c, &l->name,
                                     &l->values[n[i]]);
        c = ',';
    }

    if (le) {
        ngx_http_iclock_status_write(out, "%cle=\"%V\"", c, le);
        c = ',';
    }

    ngx_http_iclock_status_write(out, (c == ',') ? "} " : " ");
}
