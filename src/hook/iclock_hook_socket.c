
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


#include "iclock_hook_private.h"


/* what Linux tells by TCP_INFO: C libraries have more or less of it */
typedef struct {
    uint64_t                    others[16];
    uint64_t                    bytes_received;
} ngx_iclock_hook_tcp_info_t;


static ngx_connection_t *ngx_iclock_hook_attach(ngx_iclock_transfer_t *t,
    curl_socket_t fd);
static void ngx_iclock_hook_detach(ngx_iclock_hook_t *hook,
    ngx_connection_t *c);
static uint64_t ngx_iclock_hook_received(ngx_socket_t fd);
static void ngx_iclock_hook_heard(ngx_connection_t *c);
static void ngx_iclock_hook_socket_handler(ngx_event_t *ev);
static ngx_int_t ngx_iclock_hook_want(ngx_event_t *ev, ngx_int_t event,
    ngx_uint_t want);


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
    ngx_connection_t   *c;
    ngx_iclock_hook_t  *hook;

    hook = t->hook;

    c = ngx_get_connection(fd, hook->log);
    if (c == NULL) {
        return NULL;
    }

    /* whoever closes the connection leaves the descriptor alone */

    c->shared = 1;
    c->data = t;
    c->read->log = hook->log;
    c->write->log = hook->log;
    c->read->handler = ngx_iclock_hook_socket_handler;
    c->write->handler = ngx_iclock_hook_socket_handler;
    c->number = ngx_atomic_fetch_add(ngx_connection_counter, 1);

    hook->sockets++;
    ngx_iclock_count(WEBHOOK_CONNECTIONS, 1);
    t->before = ngx_iclock_hook_received(fd);

    curl_multi_assign(hook->multi, fd, c);

    return c;
}


/*
 * A socket that has not been connected in time libcurl closes before it says
 * so: nothing knows of its events any more.
 */

static void
ngx_iclock_hook_detach(ngx_iclock_hook_t *hook, ngx_connection_t *c)
{
    ngx_uint_t  flags;

    curl_multi_assign(hook->multi, c->fd, NULL);

    flags = (fcntl(c->fd, F_GETFD) == -1) ? NGX_CLOSE_EVENT : 0;

    if (c->read->active) {
        (void) ngx_del_event(c->read, NGX_READ_EVENT, flags);
    }

    if (c->write->active) {
        (void) ngx_del_event(c->write, NGX_WRITE_EVENT, flags);
    }

    hook->sockets--;
    ngx_iclock_count(WEBHOOK_CONNECTIONS, -1);

    ngx_close_connection(c);
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
    ngx_connection_t       *c;
    ngx_atomic_uint_t       number;
    ngx_iclock_transfer_t  *t;

    c = ev->data;
    t = c->data;
    number = c->number;

    ngx_iclock_hook_action(t->hook, c->fd,
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
    ngx_iclock_transfer_t  *t;

    t = c->data;

    if (ngx_iclock_hook_received(c->fd) > t->before + NGX_ICLOCK_HOOK_WIRE) {
        ngx_iclock_hook_end(t, "the answer is too long");
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
