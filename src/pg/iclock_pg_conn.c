
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


#include "iclock_pg_private.h"


/* what is added to the operator's options: room for host, port and others */
#define NGX_ICLOCK_PG_EXTRA_OPTIONS  8


static void ngx_iclock_pg_conn_next(ngx_iclock_pg_conn_t *conn);
static void ngx_iclock_pg_conn_resolved(ngx_resolver_ctx_t *ctx);
static void ngx_iclock_pg_conn_configured(ngx_iclock_pg_conn_t *conn,
    ngx_iclock_pg_host_t *host);
static void ngx_iclock_pg_conn_unknown(ngx_iclock_pg_conn_t *conn,
    ngx_iclock_pg_host_t *host);
static void ngx_iclock_pg_conn_start(ngx_iclock_pg_conn_t *conn,
    ngx_iclock_pg_host_t *host, ngx_str_t *addr);
static void ngx_iclock_pg_conn_start_pg(ngx_iclock_pg_conn_t *conn,
    ngx_iclock_pg_host_t *host, ngx_str_t *addr);
static ngx_int_t ngx_iclock_pg_conn_attach(ngx_iclock_pg_conn_t *conn);
static void ngx_iclock_pg_conn_detach(ngx_iclock_pg_conn_t *conn);
static void ngx_iclock_pg_conn_forget(ngx_connection_t *c);
static ngx_int_t ngx_iclock_pg_conn_same_socket(ngx_iclock_pg_conn_t *conn);
static ngx_int_t ngx_iclock_pg_conn_want(ngx_iclock_pg_conn_t *conn,
    ngx_uint_t rd, ngx_uint_t wr);
static void ngx_iclock_pg_conn_poll(ngx_iclock_pg_conn_t *conn);
static void ngx_iclock_pg_conn_setup(ngx_iclock_pg_conn_t *conn);
static void ngx_iclock_pg_conn_setup_input(ngx_iclock_pg_conn_t *conn);
static void ngx_iclock_pg_conn_identify(ngx_iclock_pg_conn_t *conn,
    PGresult *res);
static void ngx_iclock_pg_conn_attempt_failed(ngx_iclock_pg_conn_t *conn,
    const char *message);
static void ngx_iclock_pg_conn_event_handler(ngx_event_t *ev);
static void ngx_iclock_pg_conn_io(ngx_iclock_pg_conn_t *conn,
    ngx_uint_t write);
static ngx_int_t ngx_iclock_pg_conn_consume(ngx_iclock_pg_conn_t *conn);
static void ngx_iclock_pg_conn_timer_handler(ngx_event_t *ev);
static void ngx_iclock_pg_conn_release(ngx_iclock_pg_conn_t *conn);
static void ngx_iclock_pg_notice(void *arg, const PGresult *res);


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

    conn->timer.handler = ngx_iclock_pg_conn_timer_handler;
    conn->timer.data = conn;
    conn->timer.log = conn->log;
}


void
ngx_iclock_pg_conn_open(ngx_iclock_pg_conn_t *conn)
{
    conn->host = 0;
    conn->addr = 0;
    conn->nresolved = 0;
    conn->established = 0;
    conn->timedout = 0;
    conn->setup_failed = 0;
    conn->error_len = 0;

    conn->pool = ngx_create_pool(1024, conn->log);
    if (conn->pool == NULL) {
        conn->state = NGX_ICLOCK_PG_CLOSED;
        conn->handlers->closed(conn);
        return;
    }

    ngx_iclock_pg_conn_next(conn);
}


/* goes on with the next address or host of the attempt */

static void
ngx_iclock_pg_conn_next(ngx_iclock_pg_conn_t *conn)
{
    ngx_int_t              rc;
    ngx_str_t             *addr;
    ngx_iclock_pg_host_t  *host;

    for ( ;; ) {

        if (conn->host == conn->conf->server->hosts.nelts) {
            ngx_iclock_pg_conn_close(conn);
            conn->handlers->closed(conn);
            return;
        }

        host = conn->conf->server->hosts.elts;
        host += conn->host;

        if (conn->nresolved == 0) {
            conn->state = NGX_ICLOCK_PG_RESOLVING;

            rc = ngx_iclock_pg_resolve(conn, host,
                                       ngx_iclock_pg_conn_resolved);

            if (rc == NGX_AGAIN) {
                return;
            }

            ngx_iclock_pg_conn_configured(conn, host);
        }

        if (conn->addr < conn->nresolved) {
            addr = &conn->resolved[conn->addr++];
            ngx_iclock_pg_conn_start(conn, host, addr);
            return;
        }

        if (conn->nresolved == 0) {
            ngx_iclock_pg_conn_unknown(conn, host);
        }

        conn->host++;
        conn->addr = 0;
        conn->nresolved = 0;
    }
}


static void
ngx_iclock_pg_conn_resolved(ngx_resolver_ctx_t *ctx)
{
    ngx_iclock_pg_conn_t  *conn;
    ngx_iclock_pg_host_t  *host;

    conn = ctx->data;
    conn->resolving = NULL;

    conn->nresolved = ngx_iclock_pg_resolved(conn, ctx);

    ngx_resolve_name_done(ctx);

    host = conn->conf->server->hosts.elts;
    host += conn->host;

    if (conn->nresolved == 0) {
        ngx_iclock_pg_conn_configured(conn, host);
    }

    if (conn->nresolved == 0) {
        ngx_iclock_pg_conn_unknown(conn, host);
        conn->host++;
    }

    ngx_iclock_pg_conn_next(conn);
}


/* the addresses that were found when the configuration was read */

static void
ngx_iclock_pg_conn_configured(ngx_iclock_pg_conn_t *conn,
    ngx_iclock_pg_host_t *host)
{
    conn->nresolved = host->naddrs;
    conn->resolved = host->addrs;
}


static void
ngx_iclock_pg_conn_unknown(ngx_iclock_pg_conn_t *conn,
    ngx_iclock_pg_host_t *host)
{
    conn->error_len = ngx_snprintf(conn->error, NGX_ICLOCK_PG_ERROR_LEN,
                                   "host \"%V\" is not found", &host->name)
                      - conn->error;
}


static void
ngx_iclock_pg_conn_start(ngx_iclock_pg_conn_t *conn,
    ngx_iclock_pg_host_t *host, ngx_str_t *addr)
{
    conn->state = NGX_ICLOCK_PG_CONNECTING;

    ngx_iclock_pg_conn_start_pg(conn, host, addr);

    if (conn->pg == NULL) {
        ngx_iclock_pg_conn_attempt_failed(conn, "out of memory");
        return;
    }

    if (PQstatus(conn->pg) == CONNECTION_BAD
        || PQsetnonblocking(conn->pg, 1) != 0)
    {
        ngx_iclock_pg_conn_attempt_failed(conn, NULL);
        return;
    }

    if (ngx_iclock_pg_conn_attach(conn) != NGX_OK) {
        ngx_iclock_pg_conn_attempt_failed(conn,
                                          "worker_connections are not enough");
        return;
    }

    (void) PQsetNoticeReceiver(conn->pg, ngx_iclock_pg_notice, conn);

    /* details quote rows, which must not get into the log */
    (void) PQsetErrorVerbosity(conn->pg, PQERRORS_TERSE);

    conn->timer.cancelable = 0;
    ngx_add_timer(&conn->timer, conn->conf->connect_timeout);

    /* libpq wants the first wait to be for writing */

    if (ngx_iclock_pg_conn_want(conn, 0, 1) != NGX_OK) {
        ngx_iclock_pg_conn_attempt_failed(conn, "event failure");
    }
}


static void
ngx_iclock_pg_conn_start_pg(ngx_iclock_pg_conn_t *conn,
    ngx_iclock_pg_host_t *host, ngx_str_t *addr)
{
    ngx_uint_t               i, n;
    const char             **keys, **values;
    ngx_keyval_t            *option;
    ngx_iclock_pg_server_t  *server;

    server = conn->conf->server;
    option = server->options.elts;

    n = server->options.nelts + NGX_ICLOCK_PG_EXTRA_OPTIONS;

    keys = ngx_pcalloc(conn->pool, n * sizeof(char *));
    values = ngx_pcalloc(conn->pool, n * sizeof(char *));

    if (keys == NULL || values == NULL) {
        conn->pg = NULL;
        return;
    }

    for (i = 0; i < server->options.nelts; i++) {
        keys[i] = (char *) option[i].key.data;
        values[i] = (char *) option[i].value.data;
    }

    /*
     * one address an attempt: libpq must neither look up a name, which
     * blocks, nor change to another address behind our back
     */

    if (host->name.len) {
        keys[i] = "host";
        values[i++] = (char *) host->name.data;
    }

    if (addr->len) {
        keys[i] = "hostaddr";
        values[i++] = (char *) addr->data;
    }

    if (host->port.len) {
        keys[i] = "port";
        values[i++] = (char *) host->port.data;
    }

    if (host->password.len) {
        keys[i] = "password";
        values[i++] = (char *) host->password.data;
    }

    keys[i] = "fallback_application_name";
    values[i++] = conn->application;

    conn->pg = PQconnectStartParams(keys, values, 0);
}


/* gives the socket of libpq an nginx connection; libpq stays its owner */

static ngx_int_t
ngx_iclock_pg_conn_attach(ngx_iclock_pg_conn_t *conn)
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
    c->read->handler = ngx_iclock_pg_conn_event_handler;
    c->write->handler = ngx_iclock_pg_conn_event_handler;
    c->number = ngx_atomic_fetch_add(ngx_connection_counter, 1);

    conn->inode = sb.st_ino;
    conn->connection = c;

    return NGX_OK;
}


static void
ngx_iclock_pg_conn_detach(ngx_iclock_pg_conn_t *conn)
{
    ngx_connection_t  *c;

    c = conn->connection;

    if (c == NULL) {
        return;
    }

    conn->connection = NULL;

    if (c->fd != PQsocket(conn->pg)
        || ngx_iclock_pg_conn_same_socket(conn) != NGX_OK)
    {
        ngx_iclock_pg_conn_forget(c);
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
ngx_iclock_pg_conn_forget(ngx_connection_t *c)
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

static ngx_int_t
ngx_iclock_pg_conn_same_socket(ngx_iclock_pg_conn_t *conn)
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

static ngx_int_t
ngx_iclock_pg_conn_want(ngx_iclock_pg_conn_t *conn, ngx_uint_t rd,
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


static void
ngx_iclock_pg_conn_poll(ngx_iclock_pg_conn_t *conn)
{
    ngx_int_t                  rc;
    PostgresPollingStatusType  status;

    status = PQconnectPoll(conn->pg);

    if (status == PGRES_POLLING_FAILED) {
        ngx_iclock_pg_conn_attempt_failed(conn, NULL);
        return;
    }

    if (ngx_iclock_pg_conn_same_socket(conn) != NGX_OK) {
        ngx_iclock_pg_conn_detach(conn);

        if (ngx_iclock_pg_conn_attach(conn) != NGX_OK) {
            ngx_iclock_pg_conn_attempt_failed(conn, "no connection slot");
            return;
        }
    }

    switch (status) {

    case PGRES_POLLING_WRITING:
        rc = ngx_iclock_pg_conn_want(conn, 0, 1);
        break;

    case PGRES_POLLING_OK:
        ngx_iclock_pg_conn_setup(conn);
        return;

    default:
        rc = ngx_iclock_pg_conn_want(conn, 1, 0);
        break;
    }

    if (rc != NGX_OK) {
        ngx_iclock_pg_conn_attempt_failed(conn, "event failure");
    }
}


static void
ngx_iclock_pg_conn_setup(ngx_iclock_pg_conn_t *conn)
{
    conn->state = NGX_ICLOCK_PG_SETUP;
    conn->database = 0;
    conn->identity_len = 0;

    if (PQsendQuery(conn->pg, conn->setup) == 0
        || ngx_iclock_pg_conn_flush(conn) != NGX_OK)
    {
        ngx_iclock_pg_conn_attempt_failed(conn, NULL);
    }
}


static void
ngx_iclock_pg_conn_setup_input(ngx_iclock_pg_conn_t *conn)
{
    PGresult  *res;

    while (PQisBusy(conn->pg) == 0) {

        res = PQgetResult(conn->pg);

        if (res == NULL) {

            if (conn->setup_failed || PQstatus(conn->pg) != CONNECTION_OK) {
                ngx_iclock_pg_conn_attempt_failed(conn,
                                     conn->setup_failed ? "" : NULL);
                return;
            }

            ngx_destroy_pool(conn->pool);
            conn->pool = NULL;
            conn->established = 1;
            conn->since = ngx_current_msec;

            ngx_iclock_pg_conn_idle(conn);
            conn->handlers->connected(conn);
            return;
        }

        if (PQresultStatus(res) != PGRES_COMMAND_OK
            && PQresultStatus(res) != PGRES_TUPLES_OK)
        {
            conn->setup_failed = 1;
            conn->error_len = ngx_iclock_pg_message(conn->error,
                                                    NGX_ICLOCK_PG_ERROR_LEN,
                                                    PQresultErrorMessage(res));
        }

        ngx_iclock_pg_conn_identify(conn, res);

        PQclear(res);
    }
}


/* the setup may ask for a column of this name */

static void
ngx_iclock_pg_conn_identify(ngx_iclock_pg_conn_t *conn, PGresult *res)
{
    size_t     len;
    u_char    *p;
    uint32_t   hash;

    if (PQntuples(res) != 1 || PQfnumber(res, "iclock_identity") != 0) {
        return;
    }

    p = (u_char *) PQgetvalue(res, 0, 0);
    len = ngx_min(ngx_strlen(p), NGX_ICLOCK_PG_IDENTITY_LEN);
    hash = ngx_crc32_long(p, len);

    ngx_memcpy(conn->identity, p, len);
    conn->identity_len = len;

    conn->database = hash ? hash : 1;
}


/* a NULL message stands for libpq's own, an empty one for the one set */

static void
ngx_iclock_pg_conn_attempt_failed(ngx_iclock_pg_conn_t *conn,
    const char *message)
{
    if (message == NULL) {
        message = PQerrorMessage(conn->pg);
    }

    if (message[0] != '\0') {
        conn->error_len = ngx_iclock_pg_message(conn->error,
                                                NGX_ICLOCK_PG_ERROR_LEN,
                                                message);
    }

    ngx_iclock_pg_conn_release(conn);
    ngx_iclock_pg_conn_next(conn);
}


static void
ngx_iclock_pg_conn_event_handler(ngx_event_t *ev)
{
    ngx_connection_t      *c;
    ngx_iclock_pg_conn_t  *conn;

    c = ev->data;
    conn = c->data;

    if (c->close) {
        conn->handlers->shutdown(conn);
        return;
    }

    if (conn->state == NGX_ICLOCK_PG_CONNECTING) {
        ngx_iclock_pg_conn_poll(conn);
        return;
    }

    ngx_iclock_pg_conn_io(conn, ev->write);
}


static void
ngx_iclock_pg_conn_io(ngx_iclock_pg_conn_t *conn, ngx_uint_t write)
{
    if (!write && ngx_iclock_pg_conn_consume(conn) != NGX_OK) {

        if (conn->state == NGX_ICLOCK_PG_SETUP) {
            ngx_iclock_pg_conn_attempt_failed(conn, NULL);
            return;
        }

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
        if (conn->state == NGX_ICLOCK_PG_SETUP) {
            ngx_iclock_pg_conn_attempt_failed(conn, NULL);
            return;
        }

        ngx_iclock_pg_conn_lost(conn, NULL);
        return;
    }

    if (write) {
        return;
    }

    if (conn->state == NGX_ICLOCK_PG_SETUP) {
        ngx_iclock_pg_conn_setup_input(conn);
        return;
    }

    conn->handlers->input(conn);
}


static ngx_int_t
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

    /* while something is left to send the server may have to be read, too */

    return ngx_iclock_pg_conn_want(conn, 1, rc == 1);
}


void
ngx_iclock_pg_conn_idle(ngx_iclock_pg_conn_t *conn)
{
    if (conn->timer.timer_set) {
        ngx_del_timer(&conn->timer);
    }

    conn->state = NGX_ICLOCK_PG_IDLE;
    conn->connection->idle = 1;
}


void
ngx_iclock_pg_conn_busy(ngx_iclock_pg_conn_t *conn, ngx_msec_t timeout)
{
    conn->state = NGX_ICLOCK_PG_BUSY;
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

    if (conn->state == NGX_ICLOCK_PG_BUSY) {
        conn->timedout = 1;
        ngx_iclock_pg_conn_lost(conn, "no answer in time");
        return;
    }

    ngx_iclock_pg_conn_attempt_failed(conn, "connection timed out");
}


void
ngx_iclock_pg_conn_lost(ngx_iclock_pg_conn_t *conn, const char *message)
{
    if (message == NULL) {
        message = PQerrorMessage(conn->pg);
    }

    conn->error_len = ngx_iclock_pg_message(conn->error,
                                            NGX_ICLOCK_PG_ERROR_LEN, message);

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

    conn->state = NGX_ICLOCK_PG_CLOSED;
}


/* gives the socket back; the attempt may go on with another one */

static void
ngx_iclock_pg_conn_release(ngx_iclock_pg_conn_t *conn)
{
    if (conn->timer.timer_set) {
        ngx_del_timer(&conn->timer);
    }

    if (conn->pg == NULL) {
        return;
    }

    ngx_iclock_pg_conn_detach(conn);

    PQfinish(conn->pg);
    conn->pg = NULL;

#if (NGX_SSL)
    ERR_clear_error();
#endif
}


/* libpq would write notices to stderr */

static void
ngx_iclock_pg_notice(void *arg, const PGresult *res)
{
    ngx_iclock_pg_conn_t *conn = arg;

    size_t  len;
    u_char  buf[NGX_ICLOCK_PG_ERROR_LEN];

    len = ngx_iclock_pg_message(buf, NGX_ICLOCK_PG_ERROR_LEN,
                                PQresultErrorMessage(res));

    ngx_log_error(NGX_LOG_INFO, conn->log, 0, "iclock: PostgreSQL says: %*s",
                  len, buf);
}


size_t
ngx_iclock_pg_message(u_char *dst, size_t size, const char *message)
{
    u_char  *p, *last;

    p = dst;
    last = dst + size;

    while (*message && p < last) {

        if ((u_char) *message >= ' ' && *message != 0x7f) {
            *p++ = *message;

        } else if (p > dst && p[-1] != ' ') {
            *p++ = ' ';
        }

        message++;
    }

    while (p > dst && p[-1] == ' ') {
        p--;
    }

    return p - dst;
}
