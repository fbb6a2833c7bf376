
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


#include "iclock_pg_private.h"


static void ngx_iclock_pg_socket_handler(ngx_event_t *ev);
static void ngx_iclock_pg_socket_forget(ngx_connection_t *c);


ngx_int_t
ngx_iclock_pg_socket_attach(ngx_iclock_pg_conn_t *conn)
{
    int                fd;
    struct stat        sb;
    ngx_connection_t  *c;

    fd = PQsocket(conn->pg);

    if (fd == -1) {
        return NGX_ERROR;
    }

    if (fstat(fd, &sb) == -1) {
        ngx_log_error(NGX_LOG_ALERT, conn->log, ngx_errno,
                      "fstat() of the PostgreSQL socket failed");
        return NGX_ERROR;
    }

    c = ngx_get_connection(fd, conn->log);
    if (c == NULL) {
        return NGX_ERROR;
    }

    c->shared = 1;
    c->idle = 1;
    c->data = conn;
    c->read->log = conn->log;
    c->write->log = conn->log;
    c->read->handler = ngx_iclock_pg_socket_handler;
    c->write->handler = ngx_iclock_pg_socket_handler;
    c->number = ngx_atomic_fetch_add(ngx_connection_counter, 1);

    conn->inode = sb.st_ino;
    conn->connection = c;

    return NGX_OK;
}


static void
ngx_iclock_pg_socket_handler(ngx_event_t *ev)
{
    ngx_connection_t      *c;
    ngx_iclock_pg_conn_t  *conn;

    c = ev->data;
    conn = c->data;

    if (c->close) {
        conn->handlers->shutdown(conn);
        return;
    }

    conn->ready(conn, ev->write);
}


void
ngx_iclock_pg_socket_detach(ngx_iclock_pg_conn_t *conn)
{
    ngx_connection_t  *c;

    c = conn->connection;

    if (c == NULL) {
        return;
    }

    conn->connection = NULL;

    if (c->fd != PQsocket(conn->pg)
        || ngx_iclock_pg_socket_same(conn) != NGX_OK)
    {
        ngx_iclock_pg_socket_forget(c);
    }

    if (c->read->active) {
        ngx_del_event(c->read, NGX_READ_EVENT, 0);
    }

    if (c->write->active) {
        ngx_del_event(c->write, NGX_WRITE_EVENT, 0);
    }

    ngx_close_connection(c);
}


/*
 * libpq has closed the socket, and so the kernel forgot its events.  The event
 * methods that hand nginx's own list to the kernel, "poll" and "select", still
 * have them in there.
 */

static void
ngx_iclock_pg_socket_forget(ngx_connection_t *c)
{
    if (ngx_event_flags & NGX_USE_LEVEL_EVENT) {
        return;
    }

    c->read->active = 0;
    c->write->active = 0;
}


/*
 * The number of a descriptor is no identity: libpq closes and opens sockets
 * while it connects, and gets the same number again.
 */

ngx_int_t
ngx_iclock_pg_socket_same(ngx_iclock_pg_conn_t *conn)
{
    int          fd;
    struct stat  sb;

    fd = PQsocket(conn->pg);

    if (fd == -1 || fstat(fd, &sb) == -1 || sb.st_ino != conn->inode) {
        return NGX_DECLINED;
    }

    return NGX_OK;
}


/*
 * Events are level-triggered: PQconsumeInput() reads once and may leave
 * bytes in the kernel, for which an edge would never come again.
 */

ngx_int_t
ngx_iclock_pg_socket_want(ngx_iclock_pg_conn_t *conn, ngx_uint_t rd,
    ngx_uint_t wr)
{
    ngx_event_t  *rev, *wev;

    rev = conn->connection->read;
    wev = conn->connection->write;

    if (rd && !rev->active
        && ngx_add_event(rev, NGX_READ_EVENT, NGX_LEVEL_EVENT) != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (wr && !wev->active
        && ngx_add_event(wev, NGX_WRITE_EVENT, NGX_LEVEL_EVENT) != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (!rd && rev->active
        && ngx_del_event(rev, NGX_READ_EVENT, 0) != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (!wr && wev->active
        && ngx_del_event(wev, NGX_WRITE_EVENT, 0) != NGX_OK)
    {
        return NGX_ERROR;
    }

    return NGX_OK;
}
