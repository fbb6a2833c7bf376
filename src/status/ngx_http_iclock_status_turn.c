
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


#include "ngx_http_iclock_status.h"


/*
 * A turn begins when the wait for events is over, and ends when nginx is about
 * to wait again, which is when it calls this function.  Nobody is told of the
 * beginning, but the first thing that nginx does then is to look at the clock,
 * which it keeps in milliseconds: so turns are measured to a millisecond, at
 * the cost of one look at the clock and without another system call.  It is the
 * clock that goes on whatever is done to the time of day.
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
    uint64_t  now, usec;

    now = ngx_iclock_metric_clock();

    if (ngx_http_iclock_status_ended) {

        /* milliseconds may have begun again from 0 */

        usec = (uint64_t) (ngx_msec_t) ((ngx_msec_t) (now / 1000)
                                        - ngx_current_msec)
               * 1000 + now % 1000;

        /* it began after the last one had ended */

        ngx_iclock_metric_turn(ngx_min(usec, now
                                             - ngx_http_iclock_status_ended),
                               now);
    }

    ngx_http_iclock_status_ended = now;

    return ngx_http_iclock_status_next(cycle, timer, flags);
}
