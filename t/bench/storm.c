
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


/*
 * Terminals that are all switched on at once: handshake, options, INFO, the
 * punches that they hold, polls.  Each request has a connection of its own,
 * as most terminals do it.  Who gets 503, or no answer at all, comes back.
 *
 * usage: storm port terminals connections lines spread
 *
 * "connections" is how many requests are under way at most, "spread" the
 * seconds within which all terminals begin.  Prints JSON.  Gives up when no
 * terminal has got on for five minutes.
 */


#define _GNU_SOURCE

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>


#define STORM_PATIENCE  60              /* seconds for an answer */
#define STORM_STUCK     300             /* seconds without any progress */
#define STORM_EVENTS    512


enum {
    STORM_HANDSHAKE = 0,
    STORM_OPTIONS,
    STORM_INFO,
    STORM_PUNCHES,
    STORM_POLL,
    STORM_LAST_POLL,
    STORM_STEPS
};


typedef struct {
    double    due;                      /* when it goes on */
    uint32_t  n;
} storm_wait_t;


typedef struct {
    size_t    len;
    char     *text;
} storm_body_t;


typedef struct {
    int       fd;
    uint32_t  n;                        /* the terminal */
    double    since;
    char     *out;
    size_t    sent;
    size_t    size;
    char      in[2048];
    size_t    got;
} storm_conn_t;


typedef struct {
    uint64_t  requests;
    uint64_t  refused;                  /* answers with 503 */
    uint64_t  lost;                     /* no answer */
    uint64_t  bad;                      /* any other answer */
    uint64_t  acknowledged;             /* punches */
    unsigned  most;                     /* times that a request was sent */
} storm_count_t;


static void storm_sift_down(void);
static void storm_wait(uint32_t n, double due);
static uint32_t storm_next(void);
static double storm_now(void);
static double storm_random(double seconds);
static void storm_descriptors(void);
static size_t storm_body(char *p, size_t size, unsigned step);
static void storm_bodies_make(void);
static void storm_format(storm_conn_t *c);
static void storm_open(storm_conn_t *c, uint32_t n);
static void storm_close(storm_conn_t *c);
static void storm_again(storm_conn_t *c, double seconds);
static void storm_answered(storm_conn_t *c);
static void storm_write(storm_conn_t *c);
static void storm_read(storm_conn_t *c);
static void storm_event(storm_conn_t *c, uint32_t events);
static void storm_impatient(double now);
static void storm_run(void);


static const char *const  storm_targets[] = {
    "GET /iclock/cdata?SN=STORM%07u&options=all&pushver=2.4.1&language=69",
    "POST /iclock/cdata?SN=STORM%07u&table=options",
    "GET /iclock/getrequest?SN=STORM%07u&INFO=Ver%%208.0.4.3,20,30,%u,"
        "10.0.0.1,10,7,12,15,111",
    "POST /iclock/cdata?SN=STORM%07u&table=ATTLOG&Stamp=9999",
    "GET /iclock/getrequest?SN=STORM%07u",
    "GET /iclock/getrequest?SN=STORM%07u"
};


static int             storm_port, storm_ep;
static unsigned        storm_lines;
static uint32_t        storm_terminals, storm_connections, storm_done;
static uint8_t        *storm_steps;     /* of each terminal */
static uint16_t       *storm_tries;
static storm_wait_t   *storm_waits;     /* a heap */
static uint32_t        storm_nwaits;
static storm_conn_t   *storm_conns, **storm_free;
static uint32_t        storm_nfree;
static storm_body_t    storm_bodies[STORM_STEPS];
static double          storm_progress;  /* when a terminal got on */
static storm_count_t   storm_count;


static void
storm_sift_down(void)
{
    uint32_t      i, child;
    storm_wait_t  last;

    last = storm_waits[storm_nwaits];

    for (i = 0; 2 * i + 1 < storm_nwaits; i = child) {
        child = 2 * i + 1;

        if (child + 1 < storm_nwaits
            && storm_waits[child + 1].due < storm_waits[child].due)
        {
            child++;
        }

        if (last.due <= storm_waits[child].due) {
            break;
        }

        storm_waits[i] = storm_waits[child];
    }

    storm_waits[i] = last;
}


static void
storm_wait(uint32_t n, double due)
{
    uint32_t  i, parent;

    for (i = storm_nwaits++; i > 0; i = parent) {
        parent = (i - 1) / 2;

        if (storm_waits[parent].due <= due) {
            break;
        }

        storm_waits[i] = storm_waits[parent];
    }

    storm_waits[i].due = due;
    storm_waits[i].n = n;
}


static uint32_t
storm_next(void)
{
    uint32_t  n;

    n = storm_waits[0].n;
    storm_nwaits--;
    storm_sift_down();

    return n;
}


static double
storm_now(void)
{
    struct timespec  ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);

    return ts.tv_sec + ts.tv_nsec / 1e9;
}


static double
storm_random(double seconds)
{
    return seconds * random() / RAND_MAX;
}


/* it is better to fail at once than in the middle */

static void
storm_descriptors(void)
{
    rlim_t         needed;
    struct rlimit  limit;

    needed = storm_connections + 64;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < needed) {
        limit.rlim_cur = needed;

        if (limit.rlim_max < needed) {
            limit.rlim_max = needed;
        }

        if (setrlimit(RLIMIT_NOFILE, &limit) == -1) {
            perror("storm: so many descriptors");
            exit(1);
        }
    }
}


/* what a terminal posts at a step */

static size_t
storm_body(char *p, size_t size, unsigned step)
{
    size_t    len;
    unsigned  i;

    if (step == STORM_OPTIONS) {
        return snprintf(p, size, "~DeviceName=F18,MAC=00:17:61:00:00:01,"
                        "TransactionCount=%u,UserCount=20,FPVersion=10,"
                        "FWVersion=Ver 8.0.4.3,IPAddress=10.0.0.1",
                        storm_lines);
    }

    len = 0;

    for (i = 0; i < storm_lines; i++) {
        len += snprintf(p + len, size - len,
                        "%u\t2026-11-%02u %02u:%02u:%02u\t%u\t1\t0\t0\t0\n",
                        1 + i % 20, 2 + i / 40 % 20, 7 + i % 12,
                        i * 7 % 60, i / 60 % 60, i % 2);
    }

    return len;
}


/* the same of all terminals: it is made once */

static void
storm_bodies_make(void)
{
    size_t    room;
    unsigned  step;

    room = 512 + 64 * (size_t) storm_lines;

    for (step = 0; step < STORM_STEPS; step++) {

        if (step == STORM_OPTIONS || step == STORM_PUNCHES) {
            storm_bodies[step].text = malloc(room);
            storm_bodies[step].len = storm_body(storm_bodies[step].text, room,
                                                step);
        }
    }
}


static void
storm_format(storm_conn_t *c)
{
    uint8_t        step;
    storm_body_t  *body;

    step = storm_steps[c->n];
    body = &storm_bodies[step];

    c->out = malloc(1024 + body->len);
    c->size = sprintf(c->out, storm_targets[step], c->n, storm_lines);
    c->size += sprintf(c->out + c->size, " HTTP/1.1\r\nHost: localhost\r\n"
                       "Connection: close\r\n");

    if (body->len) {
        c->size += sprintf(c->out + c->size, "Content-Type: text/plain\r\n"
                           "Content-Length: %zu\r\n\r\n", body->len);
        memcpy(c->out + c->size, body->text, body->len);
        c->size += body->len;
        return;
    }

    c->size += sprintf(c->out + c->size, "\r\n");
}


/* each terminal has an address of its own, so there are ports enough */

static void
storm_open(storm_conn_t *c, uint32_t n)
{
    int                 one;
    struct sockaddr_in  sin;
    struct epoll_event  ee;

    c->n = n;
    c->since = storm_now();
    c->sent = 0;
    c->got = 0;
    c->out = NULL;

    storm_count.requests++;

    if (++storm_tries[n] > storm_count.most) {
        storm_count.most = storm_tries[n];
    }

    one = 1;
    memset(&sin, 0, sizeof(sin));
    sin.sin_family = AF_INET;
    sin.sin_addr.s_addr = htonl(0x7f010000 + n % 0xfd0000);

    c->fd = socket(AF_INET, SOCK_STREAM|SOCK_NONBLOCK, 0);

    if (c->fd == -1) {
        perror("socket");
        exit(1);
    }

    setsockopt(c->fd, SOL_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof(one));

    if (bind(c->fd, (struct sockaddr *) &sin, sizeof(sin)) == -1) {
        perror("bind");
        exit(1);
    }

    sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    sin.sin_port = htons(storm_port);

    if (connect(c->fd, (struct sockaddr *) &sin, sizeof(sin)) == -1
        && errno != EINPROGRESS)
    {
        storm_count.lost++;
        storm_again(c, 1);
        return;
    }

    storm_format(c);

    ee.events = EPOLLIN|EPOLLOUT|EPOLLRDHUP|EPOLLET;
    ee.data.ptr = c;
    epoll_ctl(storm_ep, EPOLL_CTL_ADD, c->fd, &ee);
}


static void
storm_close(storm_conn_t *c)
{
    close(c->fd);
    free(c->out);

    c->fd = -1;
    c->out = NULL;
    storm_free[storm_nfree++] = c;
}


/* the same request after so many seconds, and up to as many more */

static void
storm_again(storm_conn_t *c, double seconds)
{
    storm_wait(c->n, storm_now() + seconds + storm_random(seconds));
    storm_close(c);
}


/* the whole answer is there, or what has come of it */

static void
storm_answered(storm_conn_t *c)
{
    int        status;
    char      *text;
    uint32_t   n;
    unsigned   after, lines;

    n = c->n;
    c->in[c->got] = '\0';

    if (sscanf(c->in, "HTTP/1.1 %d ", &status) != 1
        || (text = strstr(c->in, "\r\n\r\n")) == NULL)
    {
        storm_count.lost++;
        storm_again(c, 1);
        return;
    }

    if (status == 503) {
        storm_count.refused++;
        text = strcasestr(c->in, "\r\nRetry-After: ");
        after = (text == NULL) ? 1 : atoi(text + 15);
        storm_again(c, after ? after : 1);
        return;
    }

    lines = 0;

    if (storm_steps[n] == STORM_PUNCHES
        && (sscanf(text + 4, "OK: %u", &lines) != 1 || lines != storm_lines))
    {
        status = 0;
    }

    if (status != 200) {
        storm_count.bad++;
        fprintf(stderr, "%.*s\n", 300, c->in);
    }

    storm_count.acknowledged += lines;
    storm_progress = storm_now();
    storm_tries[n] = 0;

    if (++storm_steps[n] == STORM_STEPS || status != 200) {
        storm_done++;

    } else {
        storm_wait(n, 0);
    }

    storm_close(c);
}


static void
storm_write(storm_conn_t *c)
{
    ssize_t  n;

    while (c->sent < c->size) {
        n = send(c->fd, c->out + c->sent, c->size - c->sent, MSG_NOSIGNAL);

        if (n == -1) {
            return;
        }

        c->sent += n;
    }
}


static void
storm_read(storm_conn_t *c)
{
    char     rest[4096];
    ssize_t  n;

    for ( ;; ) {

        if (c->got < sizeof(c->in) - 1) {
            n = recv(c->fd, c->in + c->got, sizeof(c->in) - 1 - c->got, 0);
            c->got += (n > 0) ? n : 0;

        } else {
            n = recv(c->fd, rest, sizeof(rest), 0);
        }

        if (n == -1 && errno == EAGAIN) {
            return;
        }

        if (n <= 0) {
            storm_answered(c);
            return;
        }
    }
}


static void
storm_event(storm_conn_t *c, uint32_t events)
{
    if (events & EPOLLOUT) {
        storm_write(c);
    }

    if (events & (EPOLLIN|EPOLLHUP|EPOLLRDHUP|EPOLLERR)) {
        storm_read(c);
    }
}


static void
storm_impatient(double now)
{
    uint32_t       i;
    storm_conn_t  *c;

    for (i = 0; i < storm_connections; i++) {
        c = &storm_conns[i];

        if (c->fd != -1 && now - c->since > STORM_PATIENCE) {
            storm_count.lost++;
            storm_again(c, 1);
        }
    }
}


static void
storm_run(void)
{
    int                 i, n;
    double              now, looked;
    struct epoll_event  list[STORM_EVENTS];

    looked = storm_now();

    while (storm_done < storm_terminals) {
        now = storm_now();

        while (storm_nwaits && storm_nfree && storm_waits[0].due <= now) {
            storm_open(storm_free[--storm_nfree], storm_next());
        }

        n = epoll_wait(storm_ep, list, STORM_EVENTS, 5);

        for (i = 0; i < n; i++) {
            storm_event(list[i].data.ptr, list[i].events);
        }

        if (now - looked > 1) {
            looked = now;
            storm_impatient(now);

            if (now - storm_progress > STORM_STUCK) {
                fprintf(stderr, "storm: no terminal gets on, %u of %u are"
                        " served\n", storm_done, storm_terminals);
                return;
            }
        }
    }
}


int
main(int argc, char *const *argv)
{
    double    began;
    uint32_t  i;

    if (argc != 6) {
        fprintf(stderr, "usage: storm port terminals connections lines"
                " spread\n");
        return 1;
    }

    storm_port = atoi(argv[1]);
    storm_terminals = atoi(argv[2]);
    storm_connections = atoi(argv[3]);
    storm_lines = atoi(argv[4]);

    storm_descriptors();
    storm_bodies_make();

    storm_ep = epoll_create1(0);
    storm_steps = calloc(storm_terminals, 1);
    storm_tries = calloc(storm_terminals, sizeof(uint16_t));
    storm_waits = calloc(storm_terminals + 1, sizeof(storm_wait_t));
    storm_conns = calloc(storm_connections, sizeof(storm_conn_t));
    storm_free = calloc(storm_connections, sizeof(storm_conn_t *));

    for (i = 0; i < storm_connections; i++) {
        storm_conns[i].fd = -1;
        storm_free[storm_nfree++] = &storm_conns[i];
    }

    began = storm_now();
    storm_progress = began + atof(argv[5]);

    for (i = 0; i < storm_terminals; i++) {
        storm_wait(i, began + storm_random(atof(argv[5])));
    }

    storm_run();

    printf("{\"seconds\":%.3f,\"requests\":%llu,\"refused\":%llu,"
           "\"lost\":%llu,\"bad\":%llu,\"acknowledged\":%llu,\"most\":%u,"
           "\"served\":%u}\n",
           storm_now() - began, (unsigned long long) storm_count.requests,
           (unsigned long long) storm_count.refused,
           (unsigned long long) storm_count.lost,
           (unsigned long long) storm_count.bad,
           (unsigned long long) storm_count.acknowledged, storm_count.most,
           storm_done);

    return 0;
}
