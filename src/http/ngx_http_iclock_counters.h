
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


/*
 * What the workers count together, a line each: the name, whether it only
 * grows ("counter") or may fall ("gauge"), and what it says.  Everything that
 * has to know all of them is made from this list.
 */


#ifndef _NGX_HTTP_ICLOCK_COUNTERS_H_INCLUDED_
#define _NGX_HTTP_ICLOCK_COUNTERS_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


#define NGX_HTTP_ICLOCK_COUNTERS(C)                                          \
                                                                             \
    C(requests, counter, "requests to locations with \"iclock\"")            \
                                                                             \
    C(polls, counter, "polls of devices for commands")                       \
    C(polls_from_zone, counter, "polls answered without PostgreSQL")         \
    C(commands, counter, "commands sent to devices")                         \
    C(replies, counter, "requests with answers to commands")                 \
                                                                             \
    C(handshakes, counter, "handshakes")                                     \
                                                                             \
    C(uploads, counter, "requests with uploads")                             \
    C(records, counter, "lines of uploads, also rejected ones")              \
    C(rejected_lines, counter, "lines kept as they are: unreadable ones")    \
                                                                             \
    C(refused, counter, "requests refused for key, address or a block")      \
    C(unknown, counter, "requests refused since the device is unknown")      \
    C(pending, counter, "requests of devices that wait to be approved")      \
    C(unavailable, counter, "requests refused for want of PostgreSQL")       \
                                                                             \
    C(evicted, counter, "devices that the full zone had to forget")


#define ngx_http_iclock_counter_field(name, type, help)                      \
    ngx_atomic_t                name;


typedef struct {
    NGX_HTTP_ICLOCK_COUNTERS(ngx_http_iclock_counter_field)
} ngx_http_iclock_counters_t;


#undef ngx_http_iclock_counter_field


/* to the main configuration of the module, whose zone has the counters */

#define ngx_http_iclock_count(imcf, counter)                                 \
    ngx_http_iclock_count_n(imcf, counter, 1)

#define ngx_http_iclock_count_n(imcf, counter, n)                            \
    (void) ngx_atomic_fetch_add(&(imcf)->zone->sh->counters.counter, n)


#endif /* _NGX_HTTP_ICLOCK_COUNTERS_H_INCLUDED_ */
