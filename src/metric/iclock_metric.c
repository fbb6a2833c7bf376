
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


#include "iclock_metric.h"

#include <math.h>


/* seconds of a window of the longest turns */
#define NGX_ICLOCK_METRIC_WINDOW  5

/* of microseconds of ngx_iclock_metric_clock() */
#define ngx_iclock_metric_window(usec)                                       \
    ((usec) / (NGX_ICLOCK_METRIC_WINDOW * 1000000))


static void ngx_iclock_metric_forget(ngx_iclock_metric_slot_t *slot);
static void ngx_iclock_metric_sum(ngx_iclock_metric_slot_t *slot,
    uint64_t *cells, ngx_uint_t lives);


#define ngx_iclock_label_text(a, name, text)  ngx_string(text),

#define ngx_iclock_label_texts(list, label)                                  \
    static const ngx_str_t  ngx_iclock_texts_##list[] = {                    \
        NGX_ICLOCK_LABELS_##list(ngx_iclock_label_text, 0)                   \
    };

NGX_ICLOCK_EACH_LABEL(ngx_iclock_label_texts)


#define ngx_iclock_label_row(list, label)                                    \
    { ngx_string(label), ngx_iclock_texts_##list, NGX_ICLOCK_N_##list },

ngx_iclock_label_t  ngx_iclock_labels[] = {
    NGX_ICLOCK_EACH_LABEL(ngx_iclock_label_row)
    { ngx_string("operation"), NULL, 0 }
};


#define ngx_iclock_bucket_row(a, number, text)  { number, ngx_string(text) },

#define ngx_iclock_bucket_rows(buckets)                                      \
    static const ngx_iclock_bucket_t  ngx_iclock_buckets_##buckets[] = {     \
        NGX_ICLOCK_BUCKETS_##buckets(ngx_iclock_bucket_row, 0)               \
        { (uint64_t) -1, ngx_string("+Inf") }                                \
    };

NGX_ICLOCK_EACH_BUCKETS(ngx_iclock_bucket_rows)


#define ngx_iclock_metric_row(id, name, type, a, b, buckets, source, room,   \
    path, help)                                                              \
    { ngx_string("iclock_" name), NGX_ICLOCK_METRIC_##type,                  \
      { NGX_ICLOCK_LABEL_##a, NGX_ICLOCK_LABEL_##b },                        \
      ngx_iclock_buckets_##buckets, NGX_ICLOCK_B_##buckets,                  \
      NGX_ICLOCK_METRIC_##source, NGX_ICLOCK_ROOM_##room,                    \
      ngx_string(path), ngx_string(help), NGX_ICLOCK_AT_##id,                \
      NGX_ICLOCK_W_##buckets, NGX_ICLOCK_N_##a * NGX_ICLOCK_N_##b },

const ngx_iclock_metric_t  ngx_iclock_metric_table[] = {
    NGX_ICLOCK_EACH_METRIC(ngx_iclock_metric_row)
};


static ngx_iclock_metric_slot_t  ngx_iclock_metric_own;

ngx_iclock_metric_slot_t  *ngx_iclock_metric_slot = &ngx_iclock_metric_own;


void
ngx_iclock_metric_observe(ngx_uint_t metric, ngx_uint_t label, uint64_t value)
{
    ngx_uint_t                  i, cell;
    const ngx_iclock_metric_t  *m;

    m = &ngx_iclock_metric_table[metric];
    cell = m->at + label * m->width;

    for (i = 0; i < m->nbuckets && value > m->buckets[i].most; i++) {
        /* void */
    }

    ngx_iclock_metric_add(cell + i, 1);
    ngx_iclock_metric_add(cell + m->nbuckets + 1, value);
}


uint64_t
ngx_iclock_metric_clock(void)
{
    struct timespec  ts;

    (void) clock_gettime(CLOCK_MONOTONIC, &ts);

    return (uint64_t) ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}


void
ngx_iclock_metric_turn(uint64_t usec, uint64_t now)
{
    uint64_t                   window;
    ngx_uint_t                 i;
    ngx_iclock_metric_slot_t  *slot;

    ngx_iclock_observe(TURN, 0, usec);

    slot = ngx_iclock_metric_slot;
    window = ngx_iclock_metric_window(now);
    i = window % NGX_ICLOCK_METRIC_WINDOWS;

    if (slot->window[i] != window) {
        slot->longest[i] = 0;
        slot->window[i] = window;
    }

    if (slot->longest[i] < usec) {
        slot->longest[i] = usec;
    }
}


ngx_int_t
ngx_iclock_label_find(ngx_uint_t label, const u_char *text, size_t len)
{
    ngx_uint_t           i;
    ngx_iclock_label_t  *l;

    l = &ngx_iclock_labels[label];

    for (i = 0; i < l->n; i++) {
        if (l->values[i].len == len
            && ngx_strncmp(l->values[i].data, text, len) == 0)
        {
            return i;
        }
    }

    if (l->n && ngx_strcmp(l->values[l->n - 1].data, "other") == 0) {
        return l->n - 1;
    }

    return NGX_ERROR;
}


/* the memory is zero */

void
ngx_iclock_metric_init(ngx_iclock_metrics_t *metrics)
{
    double      none;
    ngx_uint_t  i;

    metrics->since = ngx_time();

    none = NAN;

    for (i = 0; i < NGX_ICLOCK_METRIC_CELLS; i++) {
        ngx_memcpy(&metrics->read[i], &none, sizeof(uint64_t));
    }
}


/*
 * A slot outlives its process: who comes next goes on counting, but what the
 * last one had, connections for one, is not there any more.
 */

void
ngx_iclock_metric_attach(ngx_iclock_metrics_t *metrics, ngx_uint_t number)
{
    uint64_t                   n;
    ngx_uint_t                 i;
    ngx_atomic_uint_t          used;
    ngx_iclock_metric_slot_t  *slot, *own;

    number %= NGX_ICLOCK_METRIC_SLOTS;

    own = ngx_iclock_metric_slot;
    slot = &metrics->slots[number];

    if (own == slot) {
        return;
    }

    do {
        used = metrics->used;
    } while (used <= number
             && !ngx_atomic_cmp_set(&metrics->used, used, number + 1));

    ngx_iclock_metric_forget(slot);

    slot->pid = ngx_pid;

    for (i = 0; i < NGX_ICLOCK_METRIC_CELLS; i++) {
        n = __atomic_exchange_n(&own->cells[i], 0, __ATOMIC_RELAXED);
        (void) __atomic_fetch_add(&slot->cells[i], n, __ATOMIC_RELAXED);
    }

    ngx_iclock_metric_slot = slot;
}


ngx_uint_t
ngx_iclock_metric_shared(void)
{
    return ngx_iclock_metric_slot != &ngx_iclock_metric_own;
}


void
ngx_iclock_metric_detach(void)
{
    if (ngx_iclock_metric_slot == &ngx_iclock_metric_own) {
        return;
    }

    ngx_iclock_metric_forget(ngx_iclock_metric_slot);

    ngx_iclock_metric_slot->pid = 0;
    ngx_iclock_metric_slot = &ngx_iclock_metric_own;
}


static void
ngx_iclock_metric_forget(ngx_iclock_metric_slot_t *slot)
{
    ngx_uint_t                  i, n;
    const ngx_iclock_metric_t  *m;

    for (i = 0; i < NGX_ICLOCK_METRICS; i++) {

        m = &ngx_iclock_metric_table[i];

        if (m->source == NGX_ICLOCK_METRIC_COUNT) {
            continue;
        }

        for (n = 0; n < m->count; n++) {
            __atomic_store_n(&slot->cells[m->at + n], 0, __ATOMIC_RELAXED);
        }
    }
}


void
ngx_iclock_metric_read(ngx_iclock_metrics_t *metrics, ngx_str_t *name,
    ngx_str_t *label, double value)
{
    uint64_t                    bits;
    ngx_int_t                   n;
    ngx_uint_t                  i;
    const ngx_iclock_metric_t  *m;

    for (i = 0; i < NGX_ICLOCK_METRICS; i++) {

        m = &ngx_iclock_metric_table[i];

        if (m->source != NGX_ICLOCK_METRIC_READ
            || m->name.len != name->len + sizeof("iclock_") - 1
            || ngx_strncmp(m->name.data + sizeof("iclock_") - 1, name->data,
                           name->len)
               != 0)
        {
            continue;
        }

        n = ngx_iclock_label_find(m->labels[0], label->data, label->len);

        if (n != NGX_ERROR) {
            ngx_memcpy(&bits, &value, sizeof(uint64_t));
            __atomic_store_n(&metrics->read[m->at + n], bits,
                             __ATOMIC_RELAXED);
        }

        return;
    }
}


void
ngx_iclock_metric_sums(ngx_iclock_metrics_t *metrics, uint64_t *cells,
    ngx_uint_t *processes, uint64_t *longest)
{
    uint64_t                   window;
    ngx_uint_t                 i, n, lives, used;
    ngx_iclock_metric_slot_t  *slot;

    ngx_memzero(cells, NGX_ICLOCK_METRIC_CELLS * sizeof(uint64_t));

    *processes = 0;
    *longest = 0;
    window = ngx_iclock_metric_window(ngx_iclock_metric_clock());
    used = metrics->used;

    for (i = 0; i < used; i++) {

        slot = &metrics->slots[i];

        lives = slot->pid != 0
                && (kill((ngx_pid_t) slot->pid, 0) == 0
                    || ngx_errno != NGX_ESRCH);

        *processes += lives;

        for (n = 0; n < NGX_ICLOCK_METRIC_WINDOWS; n++) {
            if (slot->window[n] + NGX_ICLOCK_METRIC_WINDOWS > window
                && slot->longest[n] > *longest)
            {
                *longest = slot->longest[n];
            }
        }

        ngx_iclock_metric_sum(slot, cells, lives);
    }
}


static void
ngx_iclock_metric_sum(ngx_iclock_metric_slot_t *slot, uint64_t *cells,
    ngx_uint_t lives)
{
    ngx_uint_t                  i, n;
    const ngx_iclock_metric_t  *m;

    for (i = 0; i < NGX_ICLOCK_METRICS; i++) {

        m = &ngx_iclock_metric_table[i];

        if (m->source != NGX_ICLOCK_METRIC_COUNT && !lives) {
            continue;
        }

        for (n = m->at; n < m->at + m->count * m->width; n++) {
            cells[n] += __atomic_load_n(&slot->cells[n], __ATOMIC_RELAXED);
        }
    }
}
