
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


#include "iclock_hook_private.h"


/* what Linux tells by TCP_INFO: C libraries have more or less of it */
typedef struct {
    uint64_t                    others[16];
    uint64_t                    bytes_received;
} ngx_iclock_hook_tcp_info_t;


static curl_socket_t ngx_iclock_hook_number(ngx_iclock_transfer_t *t,
    curl_socket_t fd);
static ngx_uint_t ngx_iclock_hook_known(ngx_iclock_transfer_t *t,
    curl_socket_t fd);
static ngx_connection_t *ngx_iclock_hook_attach(ngx_iclock_transfer_t *t,
    curl_socket_t fd);
static ngx_uint_t ngx_iclock_hook_same(ngx_iclock_hook_socket_t *s);
static void ngx_iclock_hook_detach(ngx_iclock_hook_t *hook,
    ngx_connection_t *c);
static uint64_t ngx_iclock_hook_received(ngx_socket_t fd);
static void ngx_iclock_hook_heard(ngx_connection_t *c);
static void ngx_iclock_hook_socket_handler(ngx_event_t *ev);
static ngx_int_t ngx_iclock_hook_want(ngx_event_t *ev, ngx_int_t event,
    ngx_uint_t want);


curl_socket_t
ngx_iclock_hook_open(void *data, curlsocktype purpose,
    struct curl_sockaddr *addr)
{
    ngx_iclock_transfer_t *t = data;

    curl_socket_t  fd;

    /* libcurl sends again what a connection that was kept has lost */

    if (t->hook->leaving && !t->opened) {
        t->undone = 1;
        return CURL_SOCKET_BAD;
    }

    if (ngx_iclock_hook_refused(&t->hook->rules, &addr->addr)) {
        t->refused = 1;
        return CURL_SOCKET_BAD;
    }

    t->opened = 1;

    fd = socket(addr->family, addr->socktype | SOCK_CLOEXEC, addr->protocol);

    return ngx_iclock_hook_number(t, fd);
}


/*
 * libcurl closes a socket that has not been connected in time without a word,
 * and at once may open one for another address of the name.  If that had the
 * same number, libcurl would take it for the one that it has told us of, and
 * the kernel, which forgot the events with the old one, would tell us nothing.
 */

static curl_socket_t
ngx_iclock_hook_number(ngx_iclock_transfer_t *t, curl_socket_t fd)
{
    curl_socket_t  other;

    while (fd != CURL_SOCKET_BAD && ngx_iclock_hook_known(t, fd)) {

        other = fcntl(fd, F_DUPFD_CLOEXEC, fd + 1);

        (void) ngx_close_socket(fd);

        fd = other;
    }

    return fd;
}


static ngx_uint_t
ngx_iclock_hook_known(ngx_iclock_transfer_t *t, curl_socket_t fd)
{
    ngx_queue_t               *q;
    ngx_iclock_hook_socket_t  *s;

    for (q = ngx_queue_head(&t->sockets);
         q != ngx_queue_sentinel(&t->sockets);
         q = ngx_queue_next(q))
    {
        s = ngx_queue_data(q, ngx_iclock_hook_socket_t, queue);

        if (s->connection->fd == fd) {
            return 1;
        }
    }

    return 0;
}


/* libcurl says what it wants to know of a socket, which stays its own */

int
ngx_iclock_hook_socket(CURL *easy, curl_socket_t fd, int what, void *data,
    void *socket)
{
    ngx_iclock_hook_t *hook = data;

    ngx_connection_t       *c;
    ngx_iclock_transfer_t  *t;

    c = socket;

    if (what == CURL_POLL_REMOVE) {

        if (c) {
            ngx_iclock_hook_detach(hook, c);
        }

        return 0;
    }

    t = NULL;

    if (curl_easy_getinfo(easy, CURLINFO_PRIVATE, &t) != CURLE_OK || t == NULL)
    {
        return 0;
    }

    if (c == NULL) {
        c = ngx_iclock_hook_attach(t, fd);
    }

    if (c == NULL
        || ngx_iclock_hook_want(c->read, NGX_READ_EVENT, what & CURL_POLL_IN)
           != NGX_OK
        || ngx_iclock_hook_want(c->write, NGX_WRITE_EVENT,
                                what & CURL_POLL_OUT)
           != NGX_OK)
    {
        /* an error returned from here would end all transfers */

        t->starved = 1;
        ngx_iclock_hook_end(t, "no connection of nginx is left");
    }

    return 0;
}


static ngx_connection_t *
ngx_iclock_hook_attach(ngx_iclock_transfer_t *t, curl_socket_t fd)
{
    struct stat                sb;
    ngx_connection_t          *c;
    ngx_iclock_hook_t         *hook;
    ngx_iclock_hook_socket_t  *s;

    hook = t->hook;

    if (fstat(fd, &sb) == -1) {
        ngx_log_error(NGX_LOG_ALERT, hook->log, ngx_errno,
                      "fstat() of a socket of libcurl failed");
        return NULL;
    }

    s = ngx_alloc(sizeof(ngx_iclock_hook_socket_t), hook->log);
    if (s == NULL) {
        return NULL;
    }

    c = ngx_get_connection(fd, hook->log);
    if (c == NULL) {
        ngx_free(s);
        return NULL;
    }

    s->transfer = t;
    s->connection = c;
    s->inode = sb.st_ino;
    s->before = ngx_iclock_hook_received(fd);

    ngx_queue_insert_tail(&t->sockets, &s->queue);

    /* whoever closes the connection leaves the descriptor alone */

    c->shared = 1;
    c->data = s;
    c->read->log = hook->log;
    c->write->log = hook->log;
    c->read->handler = ngx_iclock_hook_socket_handler;
    c->write->handler = ngx_iclock_hook_socket_handler;
    c->number = ngx_atomic_fetch_add(ngx_connection_counter, 1);

    hook->sockets++;
    ngx_iclock_count(WEBHOOK_CONNECTIONS, 1);

    curl_multi_assign(hook->multi, fd, c);

    return c;
}


/*
 * A socket that has not been connected in time libcurl closes before it says
 * so: nothing knows of its events any more.  A thread that looks up a name may
 * have opened another one of that number since then.
 */

static void
ngx_iclock_hook_detach(ngx_iclock_hook_t *hook, ngx_connection_t *c)
{
    ngx_uint_t                 flags;
    ngx_iclock_hook_socket_t  *s;

    s = c->data;

    curl_multi_assign(hook->multi, c->fd, NULL);

    flags = ngx_iclock_hook_same(s) ? 0 : NGX_CLOSE_EVENT;

    if (c->read->active) {
        (void) ngx_del_event(c->read, NGX_READ_EVENT, flags);
    }

    if (c->write->active) {
        (void) ngx_del_event(c->write, NGX_WRITE_EVENT, flags);
    }

    hook->sockets--;
    ngx_iclock_count(WEBHOOK_CONNECTIONS, -1);

    ngx_queue_remove(&s->queue);
    ngx_free(s);

    ngx_close_connection(c);
}


static ngx_uint_t
ngx_iclock_hook_same(ngx_iclock_hook_socket_t *s)
{
    struct stat  sb;

    return fstat(s->connection->fd, &sb) == 0 && sb.st_ino == s->inode;
}


/* level-triggered: libcurl need not read to the end */

static ngx_int_t
ngx_iclock_hook_want(ngx_event_t *ev, ngx_int_t event, ngx_uint_t want)
{
    if (want && !ev->active) {
        return ngx_add_event(ev, event, NGX_LEVEL_EVENT);
    }

    if (!want && ev->active) {
        return ngx_del_event(ev, event, 0);
    }

    return NGX_OK;
}


static void
ngx_iclock_hook_socket_handler(ngx_event_t *ev)
{
    ngx_connection_t          *c;
    ngx_atomic_uint_t          number;
    ngx_iclock_hook_socket_t  *s;

    c = ev->data;
    s = c->data;
    number = c->number;

    ngx_iclock_hook_action(s->transfer->hook, c->fd,
                           ev->write ? CURL_CSELECT_OUT : CURL_CSELECT_IN);

    /* it may be another one now, or none */

    if (c->number == number && c->fd != (ngx_socket_t) -1 && !ev->write) {
        ngx_iclock_hook_heard(c);
    }
}


/*
 * libcurl counts what it hands on.  What it reads over, such as extensions of
 * chunks, may be endless, too.
 */

static void
ngx_iclock_hook_heard(ngx_connection_t *c)
{
    ngx_iclock_hook_socket_t  *s;

    s = c->data;

    if (ngx_iclock_hook_received(c->fd) > s->before + NGX_ICLOCK_HOOK_WIRE) {
        ngx_iclock_hook_end(s->transfer, "the answer is too long");
    }
}


/* bytes of the connection since it was made; 0: nobody knows */

static uint64_t
ngx_iclock_hook_received(ngx_socket_t fd)
{
#if (NGX_LINUX)
    socklen_t                   len;
    ngx_iclock_hook_tcp_info_t  tcp;

    len = sizeof(ngx_iclock_hook_tcp_info_t);

    ngx_memzero(&tcp, sizeof(ngx_iclock_hook_tcp_info_t));

    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &tcp, &len) == -1) {
        return 0;
    }

    return tcp.bytes_received;
#else
    return 0;
#endif
}
