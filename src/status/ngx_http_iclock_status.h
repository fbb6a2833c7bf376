
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


/*
 * Status and metrics: a module of its own in the same file.  What is counted
 * is summed when somebody asks, what the database knows is read beforehand by
 * one worker; no request asks the database or takes a lock.
 */


#ifndef _NGX_HTTP_ICLOCK_STATUS_H_INCLUDED_
#define _NGX_HTTP_ICLOCK_STATUS_H_INCLUDED_


#include "ngx_http_iclock.h"
#include "ngx_http_iclock_api.h"
#include "iclock_hook.h"
#include "iclock_metric.h"


#define NGX_HTTP_ICLOCK_STATUS_VERSION   NGX_ICLOCK_HOOK_VERSION

/* of "schema" in the JSON: raised when a member changes its meaning */
#define NGX_HTTP_ICLOCK_STATUS_SCHEMA    1

/* bytes of a document, more than all series can take */
#define NGX_HTTP_ICLOCK_STATUS_SIZE      (512 * 1024)

/* milliseconds that a worker gives out the same document */
#define NGX_HTTP_ICLOCK_STATUS_FRESH     100

/* how often the database is read, and until that has succeeded once */
#define NGX_HTTP_ICLOCK_STATUS_INTERVAL  30000
#define NGX_HTTP_ICLOCK_STATUS_SOON      1000


enum {
    NGX_HTTP_ICLOCK_STATUS_JSON = 0,
    NGX_HTTP_ICLOCK_STATUS_PROMETHEUS,
    NGX_HTTP_ICLOCK_STATUS_FORMATS
};


typedef struct {
    ngx_uint_t                  locations;  /* with "iclock_status" */
    ngx_iclock_metrics_t       *metrics;    /* in shared memory */

    /* of this worker process: the one that reads the database */
    ngx_event_t                 timer;
    ngx_uint_t                  reading;
    ngx_uint_t                  succeeded;
} ngx_http_iclock_status_main_conf_t;


typedef struct {
    ngx_uint_t                  enable;
    ngx_uint_t                  format;     /* if none is asked for */
} ngx_http_iclock_status_loc_conf_t;


/* all values at one time */
typedef struct {
    ngx_time_t                  time;
    time_t                      since;
    ngx_uint_t                  rooms[NGX_ICLOCK_ROOMS];
    double                      asked[NGX_ICLOCK_METRICS];
    uint64_t                    cells[NGX_ICLOCK_METRIC_CELLS];
    double                      read[NGX_ICLOCK_METRIC_CELLS];
    u_char                      libpq[NGX_INT_T_LEN * 2 + 2];
} ngx_http_iclock_status_values_t;


/* a document that is being written; what does not fit is cut off */
typedef struct {
    u_char                     *pos;
    u_char                     *end;
} ngx_http_iclock_status_out_t;


extern ngx_module_t  ngx_http_iclock_status_module;


/* ngx_http_iclock_status_values.c */

void ngx_http_iclock_status_values(ngx_http_iclock_status_values_t *v,
    ngx_http_iclock_status_main_conf_t *smcf,
    ngx_http_iclock_main_conf_t *imcf, ngx_http_iclock_api_main_conf_t *amcf);

/* whether this metric is there, and whether it is for its first label */
ngx_uint_t ngx_http_iclock_status_shown(ngx_http_iclock_status_values_t *v,
    const ngx_iclock_metric_t *m);
ngx_uint_t ngx_http_iclock_status_has(ngx_http_iclock_status_values_t *v,
    const ngx_iclock_metric_t *m, ngx_uint_t label);

/* the number of the first cell of a value */
ngx_uint_t ngx_http_iclock_status_cell(const ngx_iclock_metric_t *m,
    ngx_uint_t a, ngx_uint_t b);

/* of a counter or gauge; NAN: not known */
double ngx_http_iclock_status_value(ngx_http_iclock_status_values_t *v,
    const ngx_iclock_metric_t *m, ngx_uint_t cell);

/* of a histogram: how many there are, and what they sum up to */
uint64_t ngx_http_iclock_status_total(ngx_http_iclock_status_values_t *v,
    const ngx_iclock_metric_t *m, ngx_uint_t cell);
double ngx_http_iclock_status_sum(ngx_http_iclock_status_values_t *v,
    const ngx_iclock_metric_t *m, ngx_uint_t cell);
ngx_uint_t ngx_http_iclock_status_seconds(const ngx_iclock_metric_t *m);

void ngx_http_iclock_status_write(ngx_http_iclock_status_out_t *out,
    const char *fmt, ...);
void ngx_http_iclock_status_number(ngx_http_iclock_status_out_t *out,
    double n);


/* ngx_http_iclock_status_text.c, ngx_http_iclock_status_json.c */

void ngx_http_iclock_status_text(ngx_http_iclock_status_out_t *out,
    ngx_http_iclock_status_values_t *v);
void ngx_http_iclock_status_json(ngx_http_iclock_status_out_t *out,
    ngx_http_iclock_status_values_t *v);


/* ngx_http_iclock_status_request.c */

ngx_int_t ngx_http_iclock_status_handler(ngx_http_request_t *r);


/* ngx_http_iclock_status_read.c: what the database knows */

void ngx_http_iclock_status_start(ngx_cycle_t *cycle,
    ngx_http_iclock_status_main_conf_t *smcf);


/* ngx_http_iclock_status_turn.c: turns of the event loop */

void ngx_http_iclock_status_watch_turns(void);


#endif /* _NGX_HTTP_ICLOCK_STATUS_H_INCLUDED_ */
