
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


#include "ngx_http_iclock_status.h"


/*
 * A turn begins when the wait for events is over, and ends when nginx is about
 * to wait again, which is when it calls this function.  Nobody is told of the
 * beginning, but the first thing that nginx does then is to look at the clock,
 * which it keeps in milliseconds: so turns are measured to a millisecond, at
 * the cost of one look at the clock and without another system call.
 */


static ngx_int_t ngx_http_iclock_status_process_events(ngx_cycle_t *cycle,
    ngx_msec_t timer, ngx_uint_t flags);


static ngx_int_t  (*ngx_http_iclock_status_next)(ngx_cycle_t *cycle,
    ngx_msec_t timer, ngx_uint_t flags);

/* microseconds when the last turn ended; 0: there was none */
static uint64_t  ngx_http_iclock_status_ended;


void
ngx_http_iclock_status_watch_turns(void)
{
    if (ngx_process_events == ngx_http_iclock_status_process_events) {
        return;
    }

    ngx_http_iclock_status_next = ngx_process_events;
    ngx_process_events = ngx_http_iclock_status_process_events;

    ngx_http_iclock_status_ended = 0;
}


static ngx_int_t
ngx_http_iclock_status_process_events(ngx_cycle_t *cycle, ngx_msec_t timer,
    ngx_uint_t flags)
{
    uint64_t         now, began;
    ngx_time_t      *tp;
    struct timeval   tv;

    ngx_gettimeofday(&tv);
    now = (uint64_t) tv.tv_sec * 1000000 + tv.tv_usec;

    if (ngx_http_iclock_status_ended) {
        tp = ngx_timeofday();

        began = (uint64_t) tp->sec * 1000000 + (uint64_t) tp->msec * 1000;

        /* it began after the last one had ended */

        began = ngx_max(began, ngx_http_iclock_status_ended);

        ngx_iclock_metric_turn(now > began ? now - began : 0, tv.tv_sec);
    }

    ngx_http_iclock_status_ended = now;

    return ngx_http_iclock_status_next(cycle, timer, flags);
}
