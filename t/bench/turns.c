
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


/*
 * A library that nginx preloads: how long a turn of the event loop takes, from
 * epoll_wait() to the next one.  The file TURNS/<pid> has the numbers; whoever
 * writes zeros into it begins anew.
 */


#define _GNU_SOURCE

#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>


typedef struct {
    uint64_t  turns;
    uint64_t  longest;          /* ns */
    uint64_t  longest_cpu;      /* ns of processor time */
    uint64_t  long_ones;        /* longer than 5 ms */
    uint64_t  long_cpu;         /* the same by processor time */
} turns_t;


static uint64_t clock_ns(clockid_t id);
static turns_t *map(void);


static turns_t  *turns;


static uint64_t
clock_ns(clockid_t id)
{
    struct timespec  ts;

    clock_gettime(id, &ts);

    return (uint64_t) ts.tv_sec * 1000000000 + ts.tv_nsec;
}


static turns_t *
map(void)
{
    int          fd;
    char         name[4096];
    void        *p;
    const char  *dir;

    dir = getenv("TURNS");

    if (dir == NULL) {
        return NULL;
    }

    snprintf(name, sizeof(name), "%s/%d", dir, (int) getpid());

    fd = open(name, O_RDWR|O_CREAT|O_CLOEXEC, 0644);

    if (fd == -1 || ftruncate(fd, sizeof(turns_t)) == -1) {
        return NULL;
    }

    p = mmap(NULL, sizeof(turns_t), PROT_READ|PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);

    return (p == MAP_FAILED) ? NULL : p;
}


int
epoll_wait(int ep, struct epoll_event *list, int n, int timeout)
{
    static uint64_t  began, cpu;
    static int     (*next)(int, struct epoll_event *, int, int);

    int       rc;
    uint64_t  ns;

    if (next == NULL) {
        *(void **) &next = dlsym(RTLD_NEXT, "epoll_wait");
        turns = map();
    }

    if (turns && began) {
        ns = clock_ns(CLOCK_MONOTONIC) - began;

        turns->turns++;
        turns->long_ones += (ns > 5000000);

        if (ns > turns->longest) {
            turns->longest = ns;
        }

        ns = clock_ns(CLOCK_THREAD_CPUTIME_ID) - cpu;

        turns->long_cpu += (ns > 5000000);

        if (ns > turns->longest_cpu) {
            turns->longest_cpu = ns;
        }
    }

    rc = next(ep, list, n, timeout);

    began = clock_ns(CLOCK_MONOTONIC);
    cpu = clock_ns(CLOCK_THREAD_CPUTIME_ID);

    return rc;
}
