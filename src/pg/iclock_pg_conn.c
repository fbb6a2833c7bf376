
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


#include "iclock_pg_private.h"


static void ngx_iclock_pg_conn_ready(ngx_iclock_pg_conn_t *conn,
    ngx_uint_t write);
static void ngx_iclock_pg_conn_timer_handler(ngx_event_t *ev);


void
ngx_iclock_pg_conn_init(ngx_iclock_pg_conn_t *conn,
    ngx_iclock_pg_pool_conf_t *conf, ngx_iclock_pg_conn_handlers_t *handlers,
    void *data)
{
    conn->state = NGX_ICLOCK_PG_CLOSED;
    conn->conf = conf;
    conn->handlers = handlers;
    conn->data = data;
    conn->log = ngx_cycle->log;

    conn->timer.data = conn;
    conn->timer.log = conn->log;
}


void
ngx_iclock_pg_conn_state(ngx_iclock_pg_conn_t *conn, ngx_uint_t state)
{
    ngx_uint_t  connector;

    /* by ngx_iclock_pg_state_e; there is none of what is closed */

    static const ngx_uint_t  shown[] = {
        0,
        NGX_ICLOCK_L_CONNECTION_CONNECTING,
        NGX_ICLOCK_L_CONNECTION_CONNECTING,
        NGX_ICLOCK_L_CONNECTION_CONNECTING,
        NGX_ICLOCK_L_CONNECTION_IDLE,
        NGX_ICLOCK_L_CONNECTION_BUSY
    };

    connector = conn->conf->connector;

    if (conn->state != NGX_ICLOCK_PG_CLOSED) {
        ngx_iclock_count_by_both(CONNECTIONS, connector, shown[conn->state],
                                 -1);
    }

    conn->state = state;

    if (state != NGX_ICLOCK_PG_CLOSED) {
        ngx_iclock_count_by_both(CONNECTIONS, connector, shown[state], 1);
    }
}


void
ngx_iclock_pg_conn_established(ngx_iclock_pg_conn_t *conn)
{
    ngx_iclock_pg_conn_idle(conn);

    ngx_iclock_count_by_both(CONNECTS, conn->conf->connector,
                             NGX_ICLOCK_L_ATTEMPT_OK, 1);

    conn->established = 1;
    conn->since = ngx_current_msec;
    conn->ready = ngx_iclock_pg_conn_ready;
    conn->timer.handler = ngx_iclock_pg_conn_timer_handler;

    conn->handlers->connected(conn);
}


static void
ngx_iclock_pg_conn_ready(ngx_iclock_pg_conn_t *conn, ngx_uint_t write)
{
    if (!write && ngx_iclock_pg_conn_consume(conn) != NGX_OK) {

        /*
         * results that were received before the connection was lost tell
         * more than its loss
         */

        if (conn->state == NGX_ICLOCK_PG_BUSY) {
            conn->handlers->input(conn);

            if (conn->state != NGX_ICLOCK_PG_BUSY) {
                return;
            }
        }

        ngx_iclock_pg_conn_lost(conn, NULL);
        return;
    }

    if ((write || conn->connection->write->active)
        && ngx_iclock_pg_conn_flush(conn) != NGX_OK)
    {
        ngx_iclock_pg_conn_lost(conn, NULL);
        return;
    }

    if (!write) {
        conn->handlers->input(conn);
    }
}


ngx_int_t
ngx_iclock_pg_conn_consume(ngx_iclock_pg_conn_t *conn)
{
#if (NGX_SSL)
    SSL  *ssl;
#endif

    for ( ;; ) {

        if (PQconsumeInput(conn->pg) == 0) {
#if (NGX_SSL)
            /* nginx and libpq share the error queue of OpenSSL */
            ERR_clear_error();
#endif
            return NGX_ERROR;
        }

#if (NGX_SSL)
        /* the kernel does not know of bytes that are decrypted already */

        ssl = PQsslStruct(conn->pg, "OpenSSL");

        if (ssl != NULL && SSL_pending(ssl) > 0) {
            continue;
        }
#endif

        return NGX_OK;
    }
}


ngx_int_t
ngx_iclock_pg_conn_flush(ngx_iclock_pg_conn_t *conn)
{
    int  rc;

    rc = PQflush(conn->pg);

    if (rc == -1) {
#if (NGX_SSL)
        ERR_clear_error();
#endif
        return NGX_ERROR;
    }

    /* while we cannot send, the server may wait for us to read */

    return ngx_iclock_pg_socket_want(conn, 1, rc == 1);
}


void
ngx_iclock_pg_conn_idle(ngx_iclock_pg_conn_t *conn)
{
    if (conn->timer.timer_set) {
        ngx_del_timer(&conn->timer);
    }

    ngx_iclock_pg_conn_state(conn, NGX_ICLOCK_PG_IDLE);
    conn->connection->idle = 1;
}


void
ngx_iclock_pg_conn_busy(ngx_iclock_pg_conn_t *conn, ngx_msec_t timeout)
{
    ngx_iclock_pg_conn_state(conn, NGX_ICLOCK_PG_BUSY);
    conn->connection->idle = 0;

    /* not cancelable: a worker that shuts down has to wait for the answer */

    conn->timer.cancelable = 0;
    ngx_add_timer(&conn->timer, timeout);
}


static void
ngx_iclock_pg_conn_timer_handler(ngx_event_t *ev)
{
    ngx_iclock_pg_conn_t  *conn;

    conn = ev->data;
    conn->timedout = 1;

    ngx_iclock_pg_conn_lost(conn, "no answer in time");
}


void
ngx_iclock_pg_conn_lost(ngx_iclock_pg_conn_t *conn, const char *message)
{
    if (message == NULL) {
        message = PQerrorMessage(conn->pg);
    }

    conn->error_len = ngx_iclock_pg_message(conn->error,
                                            NGX_ICLOCK_PG_ERROR_LEN, message);

    ngx_iclock_count_by(LOSSES, conn->conf->connector, 1);

    ngx_iclock_pg_conn_close(conn);
    conn->handlers->closed(conn);
}


void
ngx_iclock_pg_conn_close(ngx_iclock_pg_conn_t *conn)
{
    ngx_iclock_pg_resolve_cancel(conn);
    ngx_iclock_pg_conn_release(conn);

    if (conn->pool) {
        ngx_destroy_pool(conn->pool);
        conn->pool = NULL;
    }

    ngx_iclock_pg_conn_state(conn, NGX_ICLOCK_PG_CLOSED);
}


void
ngx_iclock_pg_conn_release(ngx_iclock_pg_conn_t *conn)
{
    if (conn->timer.timer_set) {
        ngx_del_timer(&conn->timer);
    }

    if (conn->pg == NULL) {
        return;
    }

    ngx_iclock_pg_socket_detach(conn);

    PQfinish(conn->pg);
    conn->pg = NULL;

#if (NGX_SSL)
    ERR_clear_error();
#endif
}
