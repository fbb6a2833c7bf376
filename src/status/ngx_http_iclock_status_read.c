
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


/*
 * One worker reads what the database knows, in one statement, and leaves it in
 * shared memory for all.
 */


#include "ngx_http_iclock_status.h"


static void ngx_http_iclock_status_timer_handler(ngx_event_t *ev);
static ngx_int_t ngx_http_iclock_status_ask(
    ngx_http_iclock_status_main_conf_t *smcf);
static void ngx_http_iclock_status_job_done(ngx_iclock_store_job_t *job);
static void ngx_http_iclock_status_query_done(ngx_iclock_query_t *q);
static void ngx_http_iclock_status_told(
    ngx_http_iclock_status_main_conf_t *smcf, ngx_int_t rc, ngx_str_t *text);
static void ngx_http_iclock_status_line(ngx_iclock_metrics_t *metrics,
    u_char *p, u_char *last);


void
ngx_http_iclock_status_start(ngx_cycle_t *cycle,
    ngx_http_iclock_status_main_conf_t *smcf)
{
    ngx_memzero(&smcf->timer, sizeof(ngx_event_t));

    smcf->timer.handler = ngx_http_iclock_status_timer_handler;
    smcf->timer.data = smcf;
    smcf->timer.log = cycle->log;
    smcf->timer.cancelable = 1;

    ngx_add_timer(&smcf->timer, NGX_HTTP_ICLOCK_STATUS_SOON);
}


static void
ngx_http_iclock_status_timer_handler(ngx_event_t *ev)
{
    ngx_http_iclock_status_main_conf_t  *smcf;

    smcf = ev->data;

    if (ngx_exiting || ngx_terminate || ngx_quit) {
        return;
    }

    if (!smcf->reading && ngx_http_iclock_status_ask(smcf) == NGX_OK) {
        smcf->reading = 1;
        ngx_add_timer(ev, NGX_HTTP_ICLOCK_STATUS_INTERVAL);
        return;
    }

    /* the first connection is not there yet, say */

    ngx_add_timer(ev, smcf->succeeded ? NGX_HTTP_ICLOCK_STATUS_INTERVAL
                                      : NGX_HTTP_ICLOCK_STATUS_SOON);
}


/* on the connections of the HTTP interface if there are any */

static ngx_int_t
ngx_http_iclock_status_ask(ngx_http_iclock_status_main_conf_t *smcf)
{
    ngx_iclock_query_t               *q;
    ngx_iclock_store_job_t           *job;
    ngx_http_iclock_main_conf_t      *imcf;
    ngx_http_iclock_api_main_conf_t  *amcf;

    amcf = ngx_http_cycle_get_module_main_conf(ngx_cycle,
                                               ngx_http_iclock_api_module);

    if (amcf && amcf->queries) {

        q = ngx_iclock_query_create(amcf->queries,
                                    NGX_ICLOCK_QUERY_STATISTICS,
                                    ngx_cycle->log);
        if (q == NULL) {
            return NGX_ERROR;
        }

        q->data = smcf;
        q->handler = ngx_http_iclock_status_query_done;

        if (ngx_iclock_query_submit(q) != NGX_OK) {
            ngx_iclock_query_destroy(q);
            return NGX_ERROR;
        }

        return NGX_OK;
    }

    imcf = ngx_http_cycle_get_module_main_conf(ngx_cycle,
                                               ngx_http_iclock_module);

    job = (imcf && imcf->store)
          ? ngx_http_iclock_own_job(imcf, ngx_http_iclock_status_job_done,
                                    smcf)
          : NULL;

    return job ? ngx_http_iclock_submit_own(job,
                                            ngx_iclock_store_statistics(job))
               : NGX_ERROR;
}


static void
ngx_http_iclock_status_job_done(ngx_iclock_store_job_t *job)
{
    ngx_http_iclock_status_told(job->data, job->rc, &job->text);
    ngx_iclock_store_job_destroy(job);
}


static void
ngx_http_iclock_status_query_done(ngx_iclock_query_t *q)
{
    static ngx_str_t  nothing = ngx_null_string;

    ngx_http_iclock_status_told(q->data, q->rc,
                                q->nrows ? &q->values[0] : &nothing);
    ngx_iclock_query_destroy(q);
}


/* lines of the name, the label and the value */

static void
ngx_http_iclock_status_told(ngx_http_iclock_status_main_conf_t *smcf,
    ngx_int_t rc, ngx_str_t *text)
{
    u_char     *p, *last, *end;
    ngx_str_t   name, label;

    smcf->reading = 0;

    ngx_log_debug2(NGX_LOG_DEBUG_HTTP, ngx_cycle->log, 0,
                   "iclock status: read %i, %uz bytes", rc, text->len);

    if (rc != NGX_OK || text->len == 0) {

        if (!smcf->succeeded && smcf->timer.timer_set && !ngx_exiting) {
            ngx_add_timer(&smcf->timer, NGX_HTTP_ICLOCK_STATUS_SOON);
        }

        return;
    }

    last = text->data + text->len;

    for (p = text->data; p < last; p = end + 1) {

        end = ngx_strlchr(p, last, LF);
        if (end == NULL) {
            end = last;
        }

        ngx_http_iclock_status_line(smcf->metrics, p, end);
    }

    ngx_str_set(&name, "statistics_timestamp_seconds");
    ngx_str_set(&label, "");

    ngx_iclock_metric_read(smcf->metrics, &name, &label, (double) ngx_time());

    smcf->succeeded = 1;
}


static void
ngx_http_iclock_status_line(ngx_iclock_metrics_t *metrics, u_char *p,
    u_char *last)
{
    char        number[64];
    u_char     *tab, *value;
    ngx_str_t   name, label;

    tab = ngx_strlchr(p, last, '\t');
    value = tab ? ngx_strlchr(tab + 1, last, '\t') : NULL;

    if (value == NULL || last - value > (ptrdiff_t) sizeof(number)) {
        return;
    }

    name.data = p;
    name.len = tab - p;
    label.data = tab + 1;
    label.len = value - label.data;

    ngx_cpystrn((u_char *) number, value + 1, last - value);

    ngx_iclock_metric_read(metrics, &name, &label, strtod(number, NULL));
}
