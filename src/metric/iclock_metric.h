
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


/*
 * Counting: each process has a slot of its own in shared memory, and what is
 * counted is one relaxed atomic there.  Without a location that shows it the
 * slot is memory of the process.  This floor knows nothing of what is counted
 * but the table.
 */


#ifndef _ICLOCK_METRIC_H_INCLUDED_
#define _ICLOCK_METRIC_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "iclock_metric_table.h"


/* processes that have a slot at the same time; others share one */
#define NGX_ICLOCK_METRIC_SLOTS    64

/* the longest turns are kept for so many times five seconds */
#define NGX_ICLOCK_METRIC_WINDOWS  12


/* numbers of labels: NGX_ICLOCK_L_<list>_<name>, NGX_ICLOCK_N_<list> */

#define ngx_iclock_label_constant(list, name, text)                          \
    NGX_ICLOCK_L_##list##_##name,

#define ngx_iclock_label_constants(list, label)                              \
    enum {                                                                   \
        NGX_ICLOCK_LABELS_##list(ngx_iclock_label_constant, list)            \
        NGX_ICLOCK_N_##list                                                  \
    };

NGX_ICLOCK_EACH_LABEL(ngx_iclock_label_constants)

enum {
    NGX_ICLOCK_N_OPERATION = NGX_ICLOCK_MAX_OPERATIONS
};

#undef ngx_iclock_label_constant
#undef ngx_iclock_label_constants


#define ngx_iclock_label_number(list, label)  NGX_ICLOCK_LABEL_##list,

enum {
    NGX_ICLOCK_EACH_LABEL(ngx_iclock_label_number)
    NGX_ICLOCK_LABEL_OPERATION,
    NGX_ICLOCK_LABELS
};

#undef ngx_iclock_label_number


/* cells of one value: of a histogram its buckets, all above, and the sum */

#define ngx_iclock_bucket_count(a, number, text)  + 1

#define ngx_iclock_bucket_constants(buckets)                                 \
    enum {                                                                   \
        NGX_ICLOCK_B_##buckets = 0                                           \
            NGX_ICLOCK_BUCKETS_##buckets(ngx_iclock_bucket_count, 0),        \
        NGX_ICLOCK_W_##buckets = NGX_ICLOCK_B_##buckets                      \
                                 ? NGX_ICLOCK_B_##buckets + 2 : 1            \
    };

NGX_ICLOCK_EACH_BUCKETS(ngx_iclock_bucket_constants)

#undef ngx_iclock_bucket_count
#undef ngx_iclock_bucket_constants


/* numbers of metrics, and where their cells begin */

#define ngx_iclock_metric_number(id, name, type, a, b, buckets, source,      \
    room, path, help)                                                        \
    NGX_ICLOCK_METRIC_##id,

enum {
    NGX_ICLOCK_EACH_METRIC(ngx_iclock_metric_number)
    NGX_ICLOCK_METRICS
};

#define ngx_iclock_metric_place(id, name, type, a, b, buckets, source, room, \
    path, help)                                                              \
    NGX_ICLOCK_AT_##id,                                                      \
    NGX_ICLOCK_STEP_##id = NGX_ICLOCK_N_##b,                                 \
    NGX_ICLOCK_LAST_##id = NGX_ICLOCK_AT_##id                                \
        + NGX_ICLOCK_N_##a * NGX_ICLOCK_N_##b * NGX_ICLOCK_W_##buckets - 1,

enum {
    NGX_ICLOCK_EACH_METRIC(ngx_iclock_metric_place)
    NGX_ICLOCK_METRIC_CELLS
};

#undef ngx_iclock_metric_number
#undef ngx_iclock_metric_place


typedef enum {
    NGX_ICLOCK_METRIC_COUNTER = 0,
    NGX_ICLOCK_METRIC_GAUGE,
    NGX_ICLOCK_METRIC_HISTOGRAM,
    NGX_ICLOCK_METRIC_INFO
} ngx_iclock_metric_type_e;


typedef enum {
    NGX_ICLOCK_METRIC_COUNT = 0,
    NGX_ICLOCK_METRIC_NOW,
    NGX_ICLOCK_METRIC_ASKED,
    NGX_ICLOCK_METRIC_READ
} ngx_iclock_metric_source_e;


typedef enum {
    NGX_ICLOCK_ROOM_ALL = 0,
    NGX_ICLOCK_ROOM_DEVICES,
    NGX_ICLOCK_ROOM_DATABASE,
    NGX_ICLOCK_ROOM_API,
    NGX_ICLOCK_ROOM_FEED,
    NGX_ICLOCK_ROOM_WEBHOOKS,
    NGX_ICLOCK_ROOM_STREAM,
    NGX_ICLOCK_ROOMS
} ngx_iclock_metric_room_e;


typedef struct {
    ngx_str_t                   name;
    const ngx_str_t            *values;
    ngx_uint_t                  n;
} ngx_iclock_label_t;


typedef struct {
    uint64_t                    most;
    ngx_str_t                   text;
} ngx_iclock_bucket_t;


typedef struct {
    ngx_str_t                   name;
    ngx_uint_t                  type;
    ngx_uint_t                  labels[2];  /* NGX_ICLOCK_LABEL_* */
    const ngx_iclock_bucket_t  *buckets;
    ngx_uint_t                  nbuckets;
    ngx_uint_t                  source;
    ngx_uint_t                  room;
    ngx_str_t                   path;
    ngx_str_t                   help;
    ngx_uint_t                  at;         /* the first cell */
    ngx_uint_t                  width;      /* cells of one value */
    ngx_uint_t                  count;      /* values, of all labels */
} ngx_iclock_metric_t;


typedef struct {
    /* 0: nobody's; what has died leaves its number behind */
    ngx_atomic_t                pid;

    /* microseconds, and the five seconds since the epoch that they are of */
    uint64_t                    longest[NGX_ICLOCK_METRIC_WINDOWS];
    uint64_t                    window[NGX_ICLOCK_METRIC_WINDOWS];

    uint64_t                    cells[NGX_ICLOCK_METRIC_CELLS];
} ngx_iclock_metric_slot_t;


/*
 * In shared memory.  It outlives a reload only under the same binary: nginx
 * gives a zone to nobody whose tag is another, and the tag is an address.
 */
typedef struct {
    time_t                      since;
    ngx_atomic_t                used;       /* slots that were ever taken */

    /* of the database: bits of a double; NAN: not read */
    uint64_t                    read[NGX_ICLOCK_METRIC_CELLS];

    ngx_iclock_metric_slot_t    slots[NGX_ICLOCK_METRIC_SLOTS];
} ngx_iclock_metrics_t;


extern const ngx_iclock_metric_t  ngx_iclock_metric_table[];
extern ngx_iclock_label_t  ngx_iclock_labels[];

/* of this process; never NULL */
extern ngx_iclock_metric_slot_t  *ngx_iclock_metric_slot;


/*
 * Counting.  The labels are numbers; a metric without them has the number 0.
 */

#define ngx_iclock_metric_add(cell, n)                                       \
    (void) __atomic_fetch_add(&ngx_iclock_metric_slot->cells[cell],          \
                              (uint64_t) (n), __ATOMIC_RELAXED)

#define ngx_iclock_count(id, n)                                              \
    ngx_iclock_metric_add(NGX_ICLOCK_AT_##id, n)

#define ngx_iclock_count_by(id, a, n)                                        \
    ngx_iclock_metric_add(NGX_ICLOCK_AT_##id + (a), n)

#define ngx_iclock_count_by_both(id, a, b, n)                                \
    ngx_iclock_metric_add(NGX_ICLOCK_AT_##id                                 \
                          + (a) * NGX_ICLOCK_STEP_##id + (b), n)

/* of a histogram; seconds are microseconds */
#define ngx_iclock_observe(id, a, value)                                     \
    ngx_iclock_metric_observe(NGX_ICLOCK_METRIC_##id, a, value)

void ngx_iclock_metric_observe(ngx_uint_t metric, ngx_uint_t label,
    uint64_t value);

/* of a time in the past by ngx_current_msec */
#define ngx_iclock_observe_since(id, a, msec)                                \
    ngx_iclock_observe(id, a,                                                \
                       (uint64_t) (ngx_msec_t) (ngx_current_msec - (msec))   \
                       * 1000)

/* microseconds that go on whatever is done to the clock */
uint64_t ngx_iclock_metric_clock(void);

/* a turn of the event loop has taken so long, until now by that clock */
void ngx_iclock_metric_turn(uint64_t usec, uint64_t now);

/* the number of a text in a list; that of "other", or else NGX_ERROR */
ngx_int_t ngx_iclock_label_find(ngx_uint_t label, const u_char *text,
    size_t len);


/*
 * Memory
 */

void ngx_iclock_metric_init(ngx_iclock_metrics_t *metrics);

/* this process counts there from now on, also what it has counted before */
void ngx_iclock_metric_attach(ngx_iclock_metrics_t *metrics,
    ngx_uint_t number);

/* whether anybody can see what this process counts */
ngx_uint_t ngx_iclock_metric_shared(void);

/* it ends: what it has now goes with it, what it has counted stays */
void ngx_iclock_metric_detach(void);

/* a value of the database; what the table does not have is passed over */
void ngx_iclock_metric_read(ngx_iclock_metrics_t *metrics, ngx_str_t *name,
    ngx_str_t *label, double value);

/* sums of all slots; the number of processes that live, the longest turn */
void ngx_iclock_metric_sums(ngx_iclock_metrics_t *metrics, uint64_t *cells,
    ngx_uint_t *processes, uint64_t *longest);


#endif /* _ICLOCK_METRIC_H_INCLUDED_ */
