
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


/*
 * The same in JSON: the path of a row is the place of its values, and rows of
 * one member stand together.  docs/status.schema.json describes it.
 */


#include "ngx_http_iclock_status.h"

#include <math.h>


/* where in the document a value goes */
typedef struct {
    ngx_http_iclock_status_out_t     *out;
    ngx_http_iclock_status_values_t  *values;
    ngx_str_t                         member;   /* that is open; empty: none */
    ngx_uint_t                        absent;   /* it is null */
    ngx_uint_t                        first;    /* nothing is in it yet */
} ngx_http_iclock_status_place_t;


static void ngx_http_iclock_status_begin(
    ngx_http_iclock_status_place_t *place);
static void ngx_http_iclock_status_row(ngx_http_iclock_status_place_t *place,
    const ngx_iclock_metric_t *m);
static ngx_uint_t ngx_http_iclock_status_open(
    ngx_http_iclock_status_place_t *place, const ngx_iclock_metric_t *m,
    ngx_str_t *name);
static void ngx_http_iclock_status_close(
    ngx_http_iclock_status_place_t *place);
static void ngx_http_iclock_status_age(ngx_http_iclock_status_place_t *place);
static void ngx_http_iclock_status_versions(
    ngx_http_iclock_status_place_t *place);
static void ngx_http_iclock_status_labels(
    ngx_http_iclock_status_place_t *place, const ngx_iclock_metric_t *m);
static void ngx_http_iclock_status_one(ngx_http_iclock_status_place_t *place,
    const ngx_iclock_metric_t *m, ngx_uint_t a, ngx_uint_t b);
static void ngx_http_iclock_status_buckets(
    ngx_http_iclock_status_place_t *place, const ngx_iclock_metric_t *m,
    ngx_uint_t cell);
static double ngx_http_iclock_status_quantile(
    ngx_http_iclock_status_values_t *v, const ngx_iclock_metric_t *m,
    ngx_uint_t cell, double quantile);
static void ngx_http_iclock_status_maybe(ngx_http_iclock_status_out_t *out,
    double n);


void
ngx_http_iclock_status_json(ngx_http_iclock_status_out_t *out,
    ngx_http_iclock_status_values_t *v)
{
    ngx_uint_t                      i;
    ngx_http_iclock_status_place_t  place;

    ngx_memzero(&place, sizeof(ngx_http_iclock_status_place_t));

    place.out = out;
    place.values = v;

    ngx_http_iclock_status_begin(&place);

    for (i = 0; i < NGX_ICLOCK_METRICS; i++) {
        ngx_http_iclock_status_row(&place, &ngx_iclock_metric_table[i]);
    }

    ngx_http_iclock_status_close(&place);
    ngx_http_iclock_status_write(out, "}\n");
}


static void
ngx_http_iclock_status_begin(ngx_http_iclock_status_place_t *place)
{
    ngx_tm_t                          tm;
    ngx_http_iclock_status_values_t  *v;

    v = place->values;

    ngx_gmtime(v->time.sec, &tm);

    ngx_http_iclock_status_write(place->out,
                             "{\"schema\":%d,\"time\":"
                             "\"%4d-%02d-%02dT%02d:%02d:%02d.%03MZ\","
                             "\"uptime_seconds\":%T",
                             NGX_HTTP_ICLOCK_STATUS_SCHEMA, tm.ngx_tm_year,
                             tm.ngx_tm_mon, tm.ngx_tm_mday, tm.ngx_tm_hour,
                             tm.ngx_tm_min, tm.ngx_tm_sec, v->time.msec,
                             v->time.sec - v->since);
}


static void
ngx_http_iclock_status_row(ngx_http_iclock_status_place_t *place,
    const ngx_iclock_metric_t *m)
{
    ngx_str_t  name;

    if (!ngx_http_iclock_status_open(place, m, &name)) {
        return;
    }

    if (name.len) {
        ngx_http_iclock_status_write(place->out, "%s\"%V\":",
                                     place->first ? "" : ",", &name);
        place->first = 0;
    }

    if (m->type == NGX_ICLOCK_METRIC_INFO) {
        ngx_http_iclock_status_versions(place);

    } else {
        ngx_http_iclock_status_labels(place, m);
    }
}


/* returns whether there is a place for it; its name may be that of a member */

static ngx_uint_t
ngx_http_iclock_status_open(ngx_http_iclock_status_place_t *place,
    const ngx_iclock_metric_t *m, ngx_str_t *name)
{
    u_char     *dot;
    ngx_str_t   member;

    member = m->path;
    ngx_str_null(name);

    dot = ngx_strlchr(m->path.data, m->path.data + m->path.len, '.');

    if (dot) {
        member.len = dot - m->path.data;
        name->data = dot + 1;
        name->len = m->path.data + m->path.len - name->data;
    }

    if (member.len == place->member.len
        && ngx_strncmp(member.data, place->member.data, member.len) == 0)
    {
        return !place->absent;
    }

    ngx_http_iclock_status_close(place);

    ngx_http_iclock_status_write(place->out, ",\"%V\":", &member);

    if (!ngx_http_iclock_status_shown(place->values, m)) {
        ngx_http_iclock_status_write(place->out, "null");
        place->member = member;
        place->absent = 1;
        return 0;
    }

    if (dot) {
        ngx_http_iclock_status_write(place->out, "{");
        place->member = member;
        place->first = 1;
    }

    if (ngx_strncmp(m->path.data, "devices.", 8) == 0) {
        ngx_http_iclock_status_age(place);
    }

    return 1;
}


static void
ngx_http_iclock_status_close(ngx_http_iclock_status_place_t *place)
{
    if (place->member.len && !place->absent) {
        ngx_http_iclock_status_write(place->out, "}");
    }

    ngx_str_null(&place->member);
    place->absent = 0;
}


/* of all that was read from the database */

static void
ngx_http_iclock_status_age(ngx_http_iclock_status_place_t *place)
{
    double                            age;
    ngx_http_iclock_status_values_t  *v;

    v = place->values;

    age = (double) v->time.sec - v->read[NGX_ICLOCK_AT_STATISTICS];

    ngx_http_iclock_status_write(place->out, "\"age_seconds\":");
    ngx_http_iclock_status_maybe(place->out, age < 0 ? 0 : age);

    place->first = 0;
}


static void
ngx_http_iclock_status_versions(ngx_http_iclock_status_place_t *place)
{
    ngx_http_iclock_status_write(place->out,
                                 "{\"version\":\"%s\",\"nginx_version\":"
                                 "\"%s\",\"libpq_version\":\"%s\"}",
                                 NGX_HTTP_ICLOCK_STATUS_VERSION, NGINX_VERSION,
                                 place->values->libpq);
}


static void
ngx_http_iclock_status_labels(ngx_http_iclock_status_place_t *place,
    const ngx_iclock_metric_t *m)
{
    ngx_uint_t                     a, b, n;
    ngx_iclock_label_t            *x, *y;
    ngx_http_iclock_status_out_t  *out;

    out = place->out;
    x = &ngx_iclock_labels[m->labels[0]];
    y = &ngx_iclock_labels[m->labels[1]];

    if (m->labels[0] == NGX_ICLOCK_LABEL_NONE) {
        ngx_http_iclock_status_one(place, m, 0, 0);
        return;
    }

    ngx_http_iclock_status_write(out, "{");
    n = 0;

    for (a = 0; a < x->n; a++) {

        if (!ngx_http_iclock_status_has(place->values, m, a)) {
            continue;
        }

        ngx_http_iclock_status_write(out, "%s\"%V\":", n++ ? "," : "",
                                     &x->values[a]);

        if (m->labels[1] == NGX_ICLOCK_LABEL_NONE) {
            ngx_http_iclock_status_one(place, m, a, 0);
            continue;
        }

        for (b = 0; b < y->n; b++) {
            ngx_http_iclock_status_write(out, "%c\"%V\":", b ? ',' : '{',
                                         &y->values[b]);
            ngx_http_iclock_status_one(place, m, a, b);
        }

        ngx_http_iclock_status_write(out, "}");
    }

    ngx_http_iclock_status_write(out, "}");
}


static void
ngx_http_iclock_status_one(ngx_http_iclock_status_place_t *place,
    const ngx_iclock_metric_t *m, ngx_uint_t a, ngx_uint_t b)
{
    ngx_uint_t  cell;

    cell = ngx_http_iclock_status_cell(m, a, b);

    if (m->type == NGX_ICLOCK_METRIC_HISTOGRAM) {
        ngx_http_iclock_status_buckets(place, m, cell);
        return;
    }

    ngx_http_iclock_status_maybe(place->out,
                          ngx_http_iclock_status_value(place->values, m,
                                                       cell));
}


/* the numbers of buckets are those of all below, as in the text */

static void
ngx_http_iclock_status_buckets(ngx_http_iclock_status_place_t *place,
    const ngx_iclock_metric_t *m, ngx_uint_t cell)
{
    uint64_t                          n;
    ngx_uint_t                        i;
    const char                       *unit;
    ngx_http_iclock_status_out_t     *out;
    ngx_http_iclock_status_values_t  *v;

    out = place->out;
    v = place->values;
    unit = ngx_http_iclock_status_seconds(m) ? "_seconds" : "";

    ngx_http_iclock_status_write(out, "{\"count\":%uL,\"sum%s\":",
                                 ngx_http_iclock_status_total(v, m, cell),
                                 unit);
    ngx_http_iclock_status_number(out, ngx_http_iclock_status_sum(v, m, cell));

    ngx_http_iclock_status_write(out, ",\"p50%s\":", unit);
    ngx_http_iclock_status_maybe(out,
                        ngx_http_iclock_status_quantile(v, m, cell, 0.50));

    ngx_http_iclock_status_write(out, ",\"p99%s\":", unit);
    ngx_http_iclock_status_maybe(out,
                        ngx_http_iclock_status_quantile(v, m, cell, 0.99));

    ngx_http_iclock_status_write(out, ",\"buckets\":[");
    n = 0;

    for (i = 0; i < m->nbuckets; i++) {
        n += v->cells[cell + i];

        ngx_http_iclock_status_write(out, "%s[%V,%uL]", i ? "," : "",
                                     &m->buckets[i].text, n);
    }

    ngx_http_iclock_status_write(out, "]}");
}


/* within its bucket, as histogram_quantile() of Prometheus; NAN: of nothing */

static double
ngx_http_iclock_status_quantile(ngx_http_iclock_status_values_t *v,
    const ngx_iclock_metric_t *m, ngx_uint_t cell, double quantile)
{
    double      rank, below, from, to;
    uint64_t    total;
    ngx_uint_t  i;

    total = ngx_http_iclock_status_total(v, m, cell);

    if (total == 0) {
        return NAN;
    }

    rank = quantile * (double) total;
    below = 0;

    for (i = 0; i < m->nbuckets; i++) {

        if (below + (double) v->cells[cell + i] >= rank) {
            break;
        }

        below += (double) v->cells[cell + i];
    }

    from = i ? (double) m->buckets[i - 1].most : 0;
    to = from;

    if (i < m->nbuckets && v->cells[cell + i]) {
        to += ((double) m->buckets[i].most - from) * (rank - below)
              / (double) v->cells[cell + i];
    }

    return ngx_http_iclock_status_seconds(m) ? to / 1000000 : to;
}


static void
ngx_http_iclock_status_maybe(ngx_http_iclock_status_out_t *out, double n)
{
    if (isnan(n)) {
        ngx_http_iclock_status_write(out, "null");
        return;
    }

    ngx_http_iclock_status_number(out, n);
}
