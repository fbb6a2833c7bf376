
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


/*
 * A library to be preloaded into nginx and PostgreSQL: their clocks go as
 * fast as ever, and are ahead or behind by what a file says, which the test
 * writes.  All processes look at the same file, so they agree, and a year
 * passes while nobody waits.
 *
 * Both the time of day and the time since the start of the machine are moved,
 * or else timers would not notice; with CLOCK_WALL in the environment only the
 * time of day is, as when somebody sets the clock.  With CLOCK_STILL the time
 * since the start of the machine stands still, and so do timers, but for the
 * milliseconds that the file lets pass.  A process that sleeps in
 * epoll_wait() looks at the clock again and again, so that what it waits for
 * falls due when the clock is moved.  Timers of the kernel, which only bound
 * how long a statement may take, go by the real clock.
 */


#define _GNU_SOURCE

#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>


/* how long a process may sleep without a look at the clock, in milliseconds */
#define CLOCK_NAP  20


static void clock_init(void) __attribute__((constructor));
static int64_t clock_moved(void);
static void clock_stand(struct timespec *ts);
static int64_t clock_now(void);


/* seconds; and milliseconds, of a clock that stands still */
static int64_t  *clock_offset;

/* whether the time since the start of the machine stays as it is */
static int  clock_wall;

/* or stands still, from here on */
static int              clock_still;
static struct timespec  clock_start;


static void
clock_init(void)
{
    int          fd;
    void        *p;
    const char  *name;

    clock_wall = getenv("CLOCK_WALL") != NULL;

    /* children have the same start */

    (void) syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &clock_start);

    clock_still = getenv("CLOCK_STILL") != NULL;

    name = getenv("CLOCK_OFFSET");
    if (name == NULL) {
        return;
    }

    fd = open(name, O_RDONLY|O_CLOEXEC);
    if (fd == -1) {
        return;
    }

    p = mmap(NULL, 2 * sizeof(int64_t), PROT_READ, MAP_SHARED, fd, 0);

    (void) close(fd);

    /* children inherit the mapping */

    if (p != MAP_FAILED) {
        clock_offset = p;
    }
}


static int64_t
clock_moved(void)
{
    return clock_offset ? __atomic_load_n(clock_offset, __ATOMIC_SEQ_CST) : 0;
}


static void
clock_stand(struct timespec *ts)
{
    int64_t  passed;

    passed = __atomic_load_n(clock_offset + 1, __ATOMIC_SEQ_CST);

    *ts = clock_start;
    ts->tv_sec += passed / 1000;
    ts->tv_nsec += passed % 1000 * 1000000;

    if (ts->tv_nsec >= 1000000000) {
        ts->tv_nsec -= 1000000000;
        ts->tv_sec++;
    }
}


int
clock_gettime(clockid_t id, struct timespec *ts)
{
    static int  (*real)(clockid_t, struct timespec *);

    int  rc;

    if (real == NULL) {
        *(void **) &real = dlsym(RTLD_NEXT, "clock_gettime");
    }

    rc = real ? real(id, ts) : (int) syscall(SYS_clock_gettime, id, ts);

    switch (id) {

    case CLOCK_REALTIME:
    case CLOCK_REALTIME_COARSE:
        ts->tv_sec += clock_moved();
        break;

    case CLOCK_MONOTONIC:
    case CLOCK_MONOTONIC_COARSE:
    case CLOCK_MONOTONIC_RAW:
    case CLOCK_BOOTTIME:
        if (clock_still && clock_offset) {
            clock_stand(ts);
            break;
        }

        ts->tv_sec += clock_wall ? 0 : clock_moved();
        break;

    default:
        break;
    }

    return rc;
}


int
gettimeofday(struct timeval *restrict tv, void *restrict tz)
{
    struct timespec  ts;

    (void) tz;

    if (clock_gettime(CLOCK_REALTIME, &ts) != 0) {
        return -1;
    }

    tv->tv_sec = ts.tv_sec;
    tv->tv_usec = ts.tv_nsec / 1000;

    return 0;
}


time_t
time(time_t *t)
{
    struct timespec  ts;

    (void) clock_gettime(CLOCK_REALTIME, &ts);

    if (t) {
        *t = ts.tv_sec;
    }

    return ts.tv_sec;
}


static int64_t
clock_now(void)
{
    struct timespec  ts;

    (void) clock_gettime(CLOCK_MONOTONIC, &ts);

    return (int64_t) ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}


int
epoll_wait(int fd, struct epoll_event *events, int n, int timeout)
{
    static int  (*real)(int, struct epoll_event *, int, int);

    int      rc;
    int64_t  left, until;

    if (real == NULL) {
        *(void **) &real = dlsym(RTLD_NEXT, "epoll_wait");
    }

    if (clock_still && timeout > CLOCK_NAP) {
        /* the caller sees that no time has passed, or looks how much */
        timeout = CLOCK_NAP;
    }

    if (timeout <= 0 || clock_still) {
        return real(fd, events, n, timeout);
    }

    until = clock_now() + timeout;

    for ( ;; ) {

        left = until - clock_now();

        rc = real(fd, events, n,
                  left > CLOCK_NAP ? CLOCK_NAP : left > 0 ? (int) left : 0);

        if (rc != 0 || left <= 0) {
            return rc;
        }
    }
}
