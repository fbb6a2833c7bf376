
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


/*
 * Processes that do with the shared zone what polls do, and nothing else.
 * Linked with the files of the zone and with nginx's locks and slabs; what a
 * configuration of nginx would do for them is here.
 *
 * usage: zone size devices shards processes work seconds
 *
 * "shards" is 1 for one lock, 0 for as many as there are.  "work" is what a
 * process does between two visits, in nanoseconds.  Prints JSON.
 */


#include "ngx_http_iclock.h"

#include <sys/wait.h>


#define ZONE_PARTS  64


typedef struct {
    uint64_t  visits;
    uint64_t  waits;
    uint64_t  admitted;
    uint64_t  cpu;                      /* ns */
} zone_count_t;


static void zone_die(const char *what);
static uint64_t zone_clock(clockid_t id);
static uint64_t zone_turn(void);
static void zone_nginx(void);
static ngx_http_iclock_zone_t *zone_create(char *size);
static void zone_name(ngx_str_t *sn, u_char *buf, uint32_t n);
static void zone_greet(ngx_http_iclock_zone_t *zone, uint32_t n);
static void zone_work(uint64_t loops);
static uint64_t zone_loops(uint64_t ns);
static void zone_visits(ngx_http_iclock_zone_t *zone, uint32_t devices,
    uint64_t loops, uint64_t until, zone_count_t *count);
static void zone_run(ngx_http_iclock_zone_t *zone, uint32_t devices,
    ngx_uint_t processes, uint64_t loops, double seconds,
    zone_count_t *sum);


/* what nginx would have */

ngx_int_t              ngx_ncpu;
ngx_pid_t              ngx_pid;
volatile ngx_cycle_t  *ngx_cycle;
volatile ngx_time_t   *ngx_cached_time;
volatile ngx_msec_t    ngx_current_msec;
ngx_module_t           ngx_http_iclock_module;

static ngx_log_t       zone_log;
static ngx_cycle_t     zone_cycle;
static ngx_time_t      zone_time;
static ngx_shm_zone_t  zone_parts[ZONE_PARTS];
static ngx_uint_t      zone_nparts;


static void
zone_die(const char *what)
{
    fprintf(stderr, "zone: %s\n", what);
    exit(1);
}


static uint64_t
zone_clock(clockid_t id)
{
    struct timespec  ts;

    clock_gettime(id, &ts);

    return ts.tv_sec * 1000000000ull + ts.tv_nsec;
}


/* what nginx would do in each turn of its event loop */

static uint64_t
zone_turn(void)
{
    uint64_t  now;

    now = zone_clock(CLOCK_MONOTONIC);
    ngx_current_msec = now / 1000000;

    return now;
}


ngx_shm_zone_t *
ngx_shared_memory_add(ngx_conf_t *cf, ngx_str_t *name, size_t size, void *tag)
{
    ngx_shm_zone_t  *part;

    if (zone_nparts == ZONE_PARTS) {
        zone_die("too many parts");
    }

    part = &zone_parts[zone_nparts++];

    part->shm.name = *name;
    part->shm.size = size;
    part->shm.log = &zone_log;

    part->shm.addr = mmap(NULL, size, PROT_READ|PROT_WRITE,
                          MAP_ANON|MAP_SHARED, -1, 0);

    if (part->shm.addr == MAP_FAILED) {
        zone_die("no memory");
    }

    return part;
}


void
ngx_conf_log_error(ngx_uint_t level, ngx_conf_t *cf, ngx_err_t err,
    const char *fmt, ...)
{
    zone_die(fmt);
}


void
ngx_log_error_core(ngx_uint_t level, ngx_log_t *log, ngx_err_t err,
    const char *fmt, ...)
{
    zone_die(fmt);
}


void
ngx_debug_point(void)
{
    abort();
}


/* these are not asked for anything here */

size_t
ngx_inet_ntop(int family, void *addr, u_char *text, size_t len)
{
    return 0;
}


ngx_uint_t
ngx_iclock_encoding(ngx_str_t *encoding, ngx_str_t *language)
{
    return 0;
}


static void
zone_nginx(void)
{
    ngx_pid = getpid();
    ngx_pagesize = getpagesize();
    ngx_cacheline_size = NGX_CPU_CACHE_LINE;
    ngx_ncpu = sysconf(_SC_NPROCESSORS_ONLN);

    for (ngx_pagesize_shift = 0; ngx_pagesize >> (ngx_pagesize_shift + 1);
         ngx_pagesize_shift++)
    {
        /* void */
    }

    zone_time.sec = time(NULL);
    ngx_cached_time = &zone_time;
    (void) zone_turn();

    zone_cycle.log = &zone_log;
    ngx_cycle = &zone_cycle;

    if (ngx_crc32_table_init() != NGX_OK) {
        zone_die("crc32");
    }

    ngx_slab_sizes_init();
}


/* what the directive and nginx do */

static ngx_http_iclock_zone_t *
zone_create(char *size)
{
    u_char                        buf[64];
    ngx_str_t                    *value;
    ngx_conf_t                    cf;
    ngx_uint_t                    i;
    ngx_array_t                   args;
    ngx_slab_pool_t              *shpool;
    ngx_http_iclock_main_conf_t   imcf;

    ngx_memzero(&cf, sizeof(ngx_conf_t));
    ngx_memzero(&imcf, sizeof(ngx_http_iclock_main_conf_t));

    cf.pool = ngx_create_pool(16384, &zone_log);

    if (cf.pool == NULL
        || ngx_array_init(&args, cf.pool, 2, sizeof(ngx_str_t)) != NGX_OK)
    {
        zone_die("no memory");
    }

    value = ngx_array_push_n(&args, 2);
    value[1].data = buf;
    value[1].len = ngx_snprintf(buf, sizeof(buf) - 1, "bench:%s%Z", size)
                   - buf - 1;
    cf.args = &args;

    if (ngx_http_iclock_zone_directive(&cf, NULL, &imcf) != NGX_CONF_OK) {
        zone_die("iclock_zone");
    }

    for (i = 0; i < zone_nparts; i++) {
        shpool = (ngx_slab_pool_t *) zone_parts[i].shm.addr;

        shpool->end = zone_parts[i].shm.addr + zone_parts[i].shm.size;
        shpool->min_shift = 3;
        shpool->addr = zone_parts[i].shm.addr;

        if (ngx_shmtx_create(&shpool->mutex, &shpool->lock, NULL) != NGX_OK) {
            zone_die("ngx_shmtx_create");
        }

        ngx_slab_init(shpool);

        if (zone_parts[i].init(&zone_parts[i], NULL) != NGX_OK) {
            zone_die("init");
        }
    }

    return imcf.zone;
}


static void
zone_name(ngx_str_t *sn, u_char *buf, uint32_t n)
{
    sn->data = buf;
    sn->len = ngx_sprintf(buf, "CJDE%09uD", n) - buf;
}


/* PostgreSQL has told of a device */

static void
zone_greet(ngx_http_iclock_zone_t *zone, uint32_t n)
{
    u_char                   buf[NGX_HTTP_ICLOCK_MAX_SN];
    ngx_str_t                sn;
    ngx_iclock_device_t      device;
    ngx_http_iclock_known_t  known;
    ngx_http_iclock_visit_t  visit;

    ngx_memzero(&device, sizeof(ngx_iclock_device_t));
    ngx_memzero(&visit, sizeof(ngx_http_iclock_visit_t));

    zone_name(&sn, buf, n);
    visit.sn = &sn;

    ngx_http_iclock_zone_visit(zone, &visit, &known);

    device.id = n + 1;
    device.status = NGX_ICLOCK_DEVICE_ACTIVE;
    device.allowed = 1;

    ngx_http_iclock_zone_store(zone, &visit, &device, &known);
}


static void
zone_work(uint64_t loops)
{
    volatile uint64_t  i;

    for (i = 0; i < loops; i++) {
        /* void */
    }
}


/* how many take so long; the fastest of some tries */

static uint64_t
zone_loops(uint64_t ns)
{
    uint64_t    start, took, best;
    ngx_uint_t  i;

    best = (uint64_t) -1;

    for (i = 0; i < 20; i++) {
        start = zone_clock(CLOCK_MONOTONIC);
        zone_work(100000);
        took = zone_clock(CLOCK_MONOTONIC) - start;
        best = ngx_min(best, took);
    }

    return ns * 100000 / best;
}


static void
zone_visits(ngx_http_iclock_zone_t *zone, uint32_t devices, uint64_t loops,
    uint64_t until, zone_count_t *count)
{
    u_char                   buf[NGX_HTTP_ICLOCK_MAX_SN];
    uint64_t                 i, cpu;
    ngx_str_t                sn;
    ngx_http_iclock_known_t  known;
    ngx_http_iclock_visit_t  visit;

    ngx_pid = getpid();
    srandom(ngx_pid);

    ngx_memzero(&visit, sizeof(ngx_http_iclock_visit_t));
    visit.sn = &sn;
    visit.polls = 1;

    cpu = zone_clock(CLOCK_PROCESS_CPUTIME_ID);

    for (i = 0; i % 64 || zone_turn() < until; i++) {
        zone_name(&sn, buf, random() % devices);
        ngx_http_iclock_zone_visit(zone, &visit, &known);

        if (known.fresh && known.verdict == NGX_HTTP_ICLOCK_ADMITTED) {
            count->admitted++;
        }

        zone_work(loops);
    }

    count->visits = i;
    count->cpu = zone_clock(CLOCK_PROCESS_CPUTIME_ID) - cpu;
    count->waits = ngx_iclock_metric_slot->cells[NGX_ICLOCK_AT_ZONE_WAITS];
}


static void
zone_run(ngx_http_iclock_zone_t *zone, uint32_t devices, ngx_uint_t processes,
    uint64_t loops, double seconds, zone_count_t *sum)
{
    uint64_t       until;
    ngx_uint_t     i;
    zone_count_t  *counts;

    counts = mmap(NULL, processes * sizeof(zone_count_t),
                  PROT_READ|PROT_WRITE, MAP_ANON|MAP_SHARED, -1, 0);

    if (counts == MAP_FAILED) {
        zone_die("no memory");
    }

    until = zone_clock(CLOCK_MONOTONIC) + (uint64_t) (seconds * 1e9);

    for (i = 0; i < processes; i++) {

        switch (fork()) {

        case -1:
            zone_die("fork");
            break;

        case 0:
            zone_visits(zone, devices, loops, until, &counts[i]);
            _exit(0);
        }
    }

    while (wait(NULL) != -1) {
        /* void */
    }

    for (i = 0; i < processes; i++) {
        sum->visits += counts[i].visits;
        sum->waits += counts[i].waits;
        sum->admitted += counts[i].admitted;
        sum->cpu += counts[i].cpu;
    }
}


int
main(int argc, char **argv)
{
    double                    seconds;
    uint32_t                  n, devices;
    uint64_t                  began, filled, loops;
    zone_count_t              sum;
    ngx_http_iclock_zone_t   *zone;
    ngx_http_iclock_usage_t   usage;

    if (argc != 7) {
        zone_die("usage: zone size devices shards processes work seconds");
    }

    zone_nginx();

    zone = zone_create(argv[1]);
    devices = atoi(argv[2]);
    seconds = atof(argv[6]);
    loops = zone_loops(atoi(argv[5]));

    if (atoi(argv[3]) == 1) {
        zone->nshards = 1;
    }

    began = zone_clock(CLOCK_PROCESS_CPUTIME_ID);

    for (n = 0; n < devices; n++) {
        zone_greet(zone, n);
    }

    filled = zone_clock(CLOCK_PROCESS_CPUTIME_ID) - began;

    ngx_memzero(&sum, sizeof(zone_count_t));
    zone_run(zone, devices, atoi(argv[4]), loops, seconds, &sum);

    ngx_http_iclock_zone_usage(zone, &usage);

    printf("{\"shards\":%lu,\"devices\":%lu,\"size\":%zu,\"used\":%zu,"
           "\"evictions\":%llu,\"fill_ns\":%.1f,\"visits\":%llu,"
           "\"admitted\":%llu,\"waits\":%llu,\"visit_ns\":%.1f}\n",
           zone->nshards, usage.devices, usage.size, usage.used,
           (unsigned long long)
               ngx_iclock_metric_slot->cells[NGX_ICLOCK_AT_EVICTIONS],
           (double) filled / devices, (unsigned long long) sum.visits,
           (unsigned long long) sum.admitted, (unsigned long long) sum.waits,
           (double) sum.cpu / sum.visits);

    return 0;
}
