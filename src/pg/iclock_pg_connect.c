
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


#include "iclock_pg_private.h"


/* what is added to the operator's options: room for host, port and others */
#define NGX_ICLOCK_PG_EXTRA_OPTIONS  8


static void ngx_iclock_pg_connect_next(ngx_iclock_pg_conn_t *conn);
static void ngx_iclock_pg_connect_resolved(ngx_resolver_ctx_t *ctx);
static void ngx_iclock_pg_connect_configured(ngx_iclock_pg_conn_t *conn,
    ngx_iclock_pg_host_t *host);
static void ngx_iclock_pg_connect_unknown(ngx_iclock_pg_conn_t *conn,
    ngx_iclock_pg_host_t *host);
static void ngx_iclock_pg_connect_start(ngx_iclock_pg_conn_t *conn,
    ngx_iclock_pg_host_t *host, ngx_str_t *addr);
static void ngx_iclock_pg_connect_start_pg(ngx_iclock_pg_conn_t *conn,
    ngx_iclock_pg_host_t *host, ngx_str_t *addr);
static void ngx_iclock_pg_connect_ready(ngx_iclock_pg_conn_t *conn,
    ngx_uint_t write);
static void ngx_iclock_pg_connect_poll(ngx_iclock_pg_conn_t *conn);
static void ngx_iclock_pg_connect_setup(ngx_iclock_pg_conn_t *conn);
static void ngx_iclock_pg_connect_input(ngx_iclock_pg_conn_t *conn);
static void ngx_iclock_pg_connect_identify(ngx_iclock_pg_conn_t *conn,
    PGresult *res);
static void ngx_iclock_pg_connect_failed(ngx_iclock_pg_conn_t *conn,
    const char *message);
static void ngx_iclock_pg_connect_timer_handler(ngx_event_t *ev);
static void ngx_iclock_pg_notice(void *arg, const PGresult *res);


void
ngx_iclock_pg_connect(ngx_iclock_pg_conn_t *conn)
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
        ngx_iclock_pg_conn_state(conn, NGX_ICLOCK_PG_CLOSED);
        conn->handlers->closed(conn);
        return;
    }

    ngx_iclock_pg_connect_next(conn);
}


/* goes on with the next address or host of the attempt */

static void
ngx_iclock_pg_connect_next(ngx_iclock_pg_conn_t *conn)
{
    ngx_int_t              rc;
    ngx_str_t             *addr;
    ngx_iclock_pg_host_t  *host;

    for ( ;; ) {

        if (conn->host == conn->conf->server->hosts.nelts) {
            ngx_iclock_count_by_both(CONNECTS, conn->conf->connector,
                                     NGX_ICLOCK_L_ATTEMPT_FAILED, 1);

            ngx_iclock_pg_conn_close(conn);
            conn->handlers->closed(conn);
            return;
        }

        host = conn->conf->server->hosts.elts;
        host += conn->host;

        if (conn->nresolved == 0) {
            ngx_iclock_pg_conn_state(conn, NGX_ICLOCK_PG_RESOLVING);

            rc = ngx_iclock_pg_resolve(conn, host,
                                       ngx_iclock_pg_connect_resolved);

            if (rc == NGX_AGAIN) {
                return;
            }

            ngx_iclock_pg_connect_configured(conn, host);
        }

        if (conn->addr < conn->nresolved) {
            addr = &conn->resolved[conn->addr++];
            ngx_iclock_pg_connect_start(conn, host, addr);
            return;
        }

        if (conn->nresolved == 0) {
            ngx_iclock_pg_connect_unknown(conn, host);
        }

        conn->host++;
        conn->addr = 0;
        conn->nresolved = 0;
    }
}


static void
ngx_iclock_pg_connect_resolved(ngx_resolver_ctx_t *ctx)
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
        ngx_iclock_pg_connect_configured(conn, host);
    }

    if (conn->nresolved == 0) {
        ngx_iclock_pg_connect_unknown(conn, host);
        conn->host++;
    }

    ngx_iclock_pg_connect_next(conn);
}


/* the addresses that were found when the configuration was read */

static void
ngx_iclock_pg_connect_configured(ngx_iclock_pg_conn_t *conn,
    ngx_iclock_pg_host_t *host)
{
    conn->nresolved = host->naddrs;
    conn->resolved = host->addrs;
}


static void
ngx_iclock_pg_connect_unknown(ngx_iclock_pg_conn_t *conn,
    ngx_iclock_pg_host_t *host)
{
    conn->error_len = ngx_snprintf(conn->error, NGX_ICLOCK_PG_ERROR_LEN,
                                   "host \"%V\" is not found", &host->name)
                      - conn->error;
}


static void
ngx_iclock_pg_connect_start(ngx_iclock_pg_conn_t *conn,
    ngx_iclock_pg_host_t *host, ngx_str_t *addr)
{
    ngx_iclock_pg_conn_state(conn, NGX_ICLOCK_PG_CONNECTING);

    ngx_iclock_pg_connect_start_pg(conn, host, addr);

    if (conn->pg == NULL) {
        ngx_iclock_pg_connect_failed(conn, "out of memory");
        return;
    }

    if (PQstatus(conn->pg) == CONNECTION_BAD
        || PQsetnonblocking(conn->pg, 1) != 0)
    {
        ngx_iclock_pg_connect_failed(conn, NULL);
        return;
    }

    if (ngx_iclock_pg_socket_attach(conn) != NGX_OK) {
        ngx_iclock_pg_connect_failed(conn,
                                          "worker_connections are not enough");
        return;
    }

    (void) PQsetNoticeReceiver(conn->pg, ngx_iclock_pg_notice, conn);

    /* details quote rows, which must not get into the log */
    (void) PQsetErrorVerbosity(conn->pg, PQERRORS_TERSE);

    conn->ready = ngx_iclock_pg_connect_ready;
    conn->timer.handler = ngx_iclock_pg_connect_timer_handler;
    conn->timer.cancelable = 0;
    ngx_add_timer(&conn->timer, conn->conf->connect_timeout);

    /* libpq wants the first wait to be for writing */

    if (ngx_iclock_pg_socket_want(conn, 0, 1) != NGX_OK) {
        ngx_iclock_pg_connect_failed(conn, "event failure");
    }
}


static void
ngx_iclock_pg_connect_start_pg(ngx_iclock_pg_conn_t *conn,
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


static void
ngx_iclock_pg_connect_ready(ngx_iclock_pg_conn_t *conn, ngx_uint_t write)
{
    if (conn->state == NGX_ICLOCK_PG_CONNECTING) {
        ngx_iclock_pg_connect_poll(conn);
        return;
    }

    if ((!write && ngx_iclock_pg_conn_consume(conn) != NGX_OK)
        || ((write || conn->connection->write->active)
            && ngx_iclock_pg_conn_flush(conn) != NGX_OK))
    {
        ngx_iclock_pg_connect_failed(conn, NULL);
        return;
    }

    if (!write) {
        ngx_iclock_pg_connect_input(conn);
    }
}


static void
ngx_iclock_pg_connect_poll(ngx_iclock_pg_conn_t *conn)
{
    ngx_int_t                  rc;
    PostgresPollingStatusType  status;

    status = PQconnectPoll(conn->pg);

    if (status == PGRES_POLLING_FAILED) {
        ngx_iclock_pg_connect_failed(conn, NULL);
        return;
    }

    if (ngx_iclock_pg_socket_same(conn) != NGX_OK) {
        ngx_iclock_pg_socket_detach(conn);

        if (ngx_iclock_pg_socket_attach(conn) != NGX_OK) {
            ngx_iclock_pg_connect_failed(conn, "no connection slot");
            return;
        }
    }

    switch (status) {

    case PGRES_POLLING_WRITING:
        rc = ngx_iclock_pg_socket_want(conn, 0, 1);
        break;

    case PGRES_POLLING_OK:
        ngx_iclock_pg_connect_setup(conn);
        return;

    default:
        rc = ngx_iclock_pg_socket_want(conn, 1, 0);
        break;
    }

    if (rc != NGX_OK) {
        ngx_iclock_pg_connect_failed(conn, "event failure");
    }
}


static void
ngx_iclock_pg_connect_setup(ngx_iclock_pg_conn_t *conn)
{
    ngx_iclock_pg_conn_state(conn, NGX_ICLOCK_PG_SETUP);
    conn->database = 0;
    conn->nidentity = 0;

    if (PQsendQuery(conn->pg, conn->setup) == 0
        || ngx_iclock_pg_conn_flush(conn) != NGX_OK)
    {
        ngx_iclock_pg_connect_failed(conn, NULL);
    }
}


static void
ngx_iclock_pg_connect_input(ngx_iclock_pg_conn_t *conn)
{
    PGresult  *res;

    while (PQisBusy(conn->pg) == 0) {

        res = PQgetResult(conn->pg);

        if (res == NULL) {

            if (conn->setup_failed || PQstatus(conn->pg) != CONNECTION_OK) {
                ngx_iclock_pg_connect_failed(conn,
                                     conn->setup_failed ? "" : NULL);
                return;
            }

            ngx_destroy_pool(conn->pool);
            conn->pool = NULL;
            ngx_iclock_pg_conn_established(conn);
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

        ngx_iclock_pg_connect_identify(conn, res);

        PQclear(res);
    }
}


/*
 * The setup may ask for a column of this name, and others behind it: bytes of
 * values, or NULL.
 */

static void
ngx_iclock_pg_connect_identify(ngx_iclock_pg_conn_t *conn, PGresult *res)
{
    int          i, n, len;
    u_char      *p, *last;
    uint32_t     hash;
    const char  *value;

    n = PQnfields(res);

    if (PQntuples(res) != 1 || PQfnumber(res, "iclock_identity") != 0
        || n > NGX_ICLOCK_PG_IDENTITY)
    {
        return;
    }

    p = conn->identity;
    last = p + NGX_ICLOCK_PG_IDENTITY_LEN;

    for (i = 0; i < n; i++) {

        if (PQgetisnull(res, 0, i)) {
            conn->identity_len[i] = -1;
            continue;
        }

        /* \x and two digits for each byte */

        value = PQgetvalue(res, 0, i);
        len = PQgetlength(res, 0, i) / 2 - 1;

        if (len > last - p) {
            return;
        }

        conn->identity_len[i] = len;

        while (len-- > 0) {
            value += 2;
            *p++ = (u_char) ngx_hextoi((u_char *) value, 2);
        }
    }

    conn->nidentity = n;

    hash = ngx_crc32_long(conn->identity, p - conn->identity);
    conn->database = hash ? hash : 1;
}


/* a NULL message stands for libpq's own, an empty one for the one set */

static void
ngx_iclock_pg_connect_failed(ngx_iclock_pg_conn_t *conn,
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
    ngx_iclock_pg_connect_next(conn);
}


static void
ngx_iclock_pg_connect_timer_handler(ngx_event_t *ev)
{
    ngx_iclock_pg_connect_failed(ev->data, "connection timed out");
}


void
ngx_iclock_pg_connect_later(ngx_event_t *timer, ngx_msec_t *delay,
    ngx_msec_t min, ngx_msec_t max)
{
    *delay = ngx_max(min, ngx_min(*delay * 2, max));

    ngx_add_timer(timer, *delay / 2
                         + (ngx_msec_t) ngx_random() % (*delay / 2 + 1));
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
