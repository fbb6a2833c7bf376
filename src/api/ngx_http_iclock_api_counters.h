
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


/*
 * What the workers count together of the HTTP interface, see also
 * ngx_http_iclock_counters.h.
 */


#ifndef _NGX_HTTP_ICLOCK_API_COUNTERS_H_INCLUDED_
#define _NGX_HTTP_ICLOCK_API_COUNTERS_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/* routes, the last one for requests without; classes of status codes */
#define NGX_HTTP_ICLOCK_API_COUNT_ROUTES    64
#define NGX_HTTP_ICLOCK_API_COUNT_CLASSES   4

/* codes of problems */
#define NGX_HTTP_ICLOCK_API_COUNT_PROBLEMS  32


/* what lasts for so many milliseconds at most; the others last longer */

#define NGX_HTTP_ICLOCK_API_EACH_BUCKET(B)                                   \
    B(5)                                                                     \
    B(10)                                                                    \
    B(25)                                                                    \
    B(50)                                                                    \
    B(100)                                                                   \
    B(250)                                                                   \
    B(1000)                                                                  \
    B(5000)                                                                  \
    B(30000)


#define NGX_HTTP_ICLOCK_API_COUNTERS(C)                                      \
                                                                             \
    C(requests, counter, "requests to locations with \"iclock_api\"")        \
    C(milliseconds, counter, "until their answers began, of all")            \
    C(rows, counter, "rows of lists and of other long results")              \
    C(asked_keys, counter, "keys that PostgreSQL was asked for")             \
    C(waiting, gauge, "requests whose answers are held")


#define ngx_http_iclock_api_counter_field(name, type, help)                  \
    ngx_atomic_t                name;

#define ngx_http_iclock_api_bucket_field(milliseconds)                       \
    ngx_atomic_t                at_most_##milliseconds;


typedef struct {
    NGX_HTTP_ICLOCK_API_COUNTERS(ngx_http_iclock_api_counter_field)
    NGX_HTTP_ICLOCK_API_EACH_BUCKET(ngx_http_iclock_api_bucket_field)

    ngx_atomic_t                routes[NGX_HTTP_ICLOCK_API_COUNT_ROUTES]
                                      [NGX_HTTP_ICLOCK_API_COUNT_CLASSES];
    ngx_atomic_t                problems[NGX_HTTP_ICLOCK_API_COUNT_PROBLEMS];
} ngx_http_iclock_api_counters_t;


#undef ngx_http_iclock_api_counter_field
#undef ngx_http_iclock_api_bucket_field


/* to the main configuration, whose zone has the counters */

#define ngx_http_iclock_api_count(amcf, counter, n)                          \
    (void) ngx_atomic_fetch_add(&(amcf)->zone->sh->counters.counter, n)


#endif /* _NGX_HTTP_ICLOCK_API_COUNTERS_H_INCLUDED_ */
