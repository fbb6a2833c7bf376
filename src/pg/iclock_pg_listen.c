
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


#include "iclock_pg_private.h"


/* how often a notification to ourselves shows that the channel lives */
#define NGX_ICLOCK_PG_PROBE_INTERVAL  30000

/*
 * How long it may take after its commit: some poolers accept LISTEN and deliver
 * nothing.  The commit itself waits for those of others who notify.
 */
#define NGX_ICLOCK_PG_PROBE_TIMEOUT   2000

#define NGX_ICLOCK_PG_LISTEN_MIN      500
#define NGX_ICLOCK_PG_LISTEN_MAX      10000


struct ngx_iclock_pg_listen_s {
    ngx_iclock_pg_conn_t        conn;
    ngx_iclock_pg_notify_pt     notify;
    ngx_iclock_pg_stat_t       *stat;
    void                       *data;
    ngx_log_t                  *log;

    const char                 *probe_channel;
    u_char                      probe[64];      /* its payload */
    ngx_uint_t                  nprobes;
    ngx_event_t                 timer;          /* next probe or attempt */
    ngx_msec_t                  delay;

    u_char                      setup[NGX_ICLOCK_PG_SETUP_LEN];

    unsigned                    listening:1;
    unsigned                    warned:1;
};


static void ngx_iclock_pg_listen_connected(ngx_iclock_pg_conn_t *conn);
static void ngx_iclock_pg_listen_deaf(ngx_iclock_pg_listen_t *listen);
static void ngx_iclock_pg_listen_closed(ngx_iclock_pg_conn_t *conn);
static void ngx_iclock_pg_listen_input(ngx_iclock_pg_conn_t *conn);
static void ngx_iclock_pg_listen_shutdown(ngx_iclock_pg_conn_t *conn);
static void ngx_iclock_pg_listen_timer_handler(ngx_event_t *ev);
static void ngx_iclock_pg_listen_probe(ngx_iclock_pg_listen_t *listen);
static void ngx_iclock_pg_listen_wait(ngx_iclock_pg_listen_t *listen,
    ngx_msec_t timeout);
static void ngx_iclock_pg_listen_notify(ngx_iclock_pg_listen_t *listen,
    PGnotify *notify);
static void ngx_iclock_pg_listen_retry(ngx_iclock_pg_listen_t *listen);


static ngx_iclock_pg_conn_handlers_t  ngx_iclock_pg_listen_conn_handlers = {
    ngx_iclock_pg_listen_connected,
    ngx_iclock_pg_listen_closed,
    ngx_iclock_pg_listen_input,
    ngx_iclock_pg_listen_shutdown
};


ngx_iclock_pg_listen_t *
ngx_iclock_pg_listen_create(ngx_cycle_t *cycle,
    ngx_iclock_pg_pool_conf_t *conf, const char *application,
    const char **channels, ngx_iclock_pg_notify_pt notify,
    ngx_iclock_pg_stat_t *stat, void *data)
{
    u_char                  *p, *last;
    ngx_uint_t               i;
    ngx_iclock_pg_listen_t  *listen;

    listen = ngx_pcalloc(cycle->pool, sizeof(ngx_iclock_pg_listen_t));
    if (listen == NULL
        || ngx_iclock_pg_server_user(conf->server, cycle->pool) != NGX_OK)
    {
        return NULL;
    }

    listen->notify = notify;
    listen->stat = stat;
    listen->data = data;
    listen->log = cycle->log;
    listen->probe_channel = channels[0];

    listen->timer.handler = ngx_iclock_pg_listen_timer_handler;
    listen->timer.data = listen;
    listen->timer.log = cycle->log;
    listen->timer.cancelable = 1;

    last = listen->setup + sizeof(listen->setup) - 1;
    p = ngx_slprintf(listen->setup, last, "%s", NGX_ICLOCK_PG_SETTINGS);

    for (i = 0; channels[i]; i++) {
        p = ngx_slprintf(p, last, "LISTEN %s;", channels[i]);
    }

    *p = '\0';

    ngx_iclock_pg_conn_init(&listen->conn, conf,
                            &ngx_iclock_pg_listen_conn_handlers, listen);

    listen->conn.application = application;
    listen->conn.setup = (char *) listen->setup;

    ngx_iclock_pg_connect(&listen->conn);

    return listen;
}


ngx_uint_t
ngx_iclock_pg_listening(ngx_iclock_pg_listen_t *listen)
{
    return listen->listening;
}


/* PostgreSQL has accepted LISTEN; a probe shows whether anything arrives */

static void
ngx_iclock_pg_listen_connected(ngx_iclock_pg_conn_t *conn)
{
    ngx_iclock_pg_listen_t  *listen;

    listen = conn->data;
    listen->delay = 0;

    ngx_iclock_pg_listen_probe(listen);
}


static void
ngx_iclock_pg_listen_probe(ngx_iclock_pg_listen_t *listen)
{
    const char  *values[2];

    ngx_sprintf(listen->probe, "probe %P %ui %xD%Z", ngx_pid,
                ++listen->nprobes, (uint32_t) ngx_random());

    values[0] = listen->probe_channel;
    values[1] = (char *) listen->probe;

    if (PQsendQueryParams(listen->conn.pg,
                          "SELECT pg_catalog.pg_notify($1, $2)", 2, NULL,
                          values, NULL, NULL, 0)
        == 0)
    {
        ngx_iclock_pg_conn_lost(&listen->conn, NULL);
        return;
    }

    ngx_iclock_pg_listen_wait(listen, listen->conn.conf->timeout);

    if (ngx_iclock_pg_conn_flush(&listen->conn) != NGX_OK) {
        ngx_iclock_pg_conn_lost(&listen->conn, NULL);
    }
}


static void
ngx_iclock_pg_listen_wait(ngx_iclock_pg_listen_t *listen, ngx_msec_t timeout)
{
    ngx_iclock_pg_conn_busy(&listen->conn, timeout);

    /* nobody waits for it: a worker that shuts down need not either */

    listen->conn.timer.cancelable = 1;
    listen->conn.connection->idle = 1;
}


static void
ngx_iclock_pg_listen_input(ngx_iclock_pg_conn_t *conn)
{
    PGnotify                *notify;
    PGresult                *res;
    ngx_iclock_pg_listen_t  *listen;

    listen = conn->data;

    while (conn->state == NGX_ICLOCK_PG_BUSY && PQisBusy(conn->pg) == 0) {

        res = PQgetResult(conn->pg);
        if (res == NULL) {
            break;
        }

        if (PQresultStatus(res) == PGRES_FATAL_ERROR) {
            ngx_log_error(NGX_LOG_INFO, listen->log, 0,
                          "iclock: probe of notifications was refused");
        }

        ngx_iclock_pg_listen_wait(listen, NGX_ICLOCK_PG_PROBE_TIMEOUT);

        PQclear(res);
    }

    if (PQstatus(conn->pg) != CONNECTION_OK) {
        ngx_iclock_pg_conn_lost(conn, NULL);
        return;
    }

    /* the handler may not close the connection */

    while ((notify = PQnotifies(conn->pg)) != NULL) {
        ngx_iclock_pg_listen_notify(listen, notify);
        PQfreemem(notify);
    }
}


static void
ngx_iclock_pg_listen_notify(ngx_iclock_pg_listen_t *listen, PGnotify *notify)
{
    if (ngx_strncmp(notify->extra, "probe ", 6) != 0) {
        listen->notify(notify->relname, notify->extra, listen->data);
        return;
    }

    /* another instance probes the same channel */

    if (ngx_strcmp(notify->extra, listen->probe) != 0
        || listen->conn.state != NGX_ICLOCK_PG_BUSY)
    {
        return;
    }

    ngx_iclock_pg_conn_idle(&listen->conn);
    ngx_add_timer(&listen->timer, NGX_ICLOCK_PG_PROBE_INTERVAL);

    if (listen->listening) {
        return;
    }

    listen->listening = 1;
    ngx_iclock_count(LISTENER_UP, 1);
    listen->warned = 0;

    ngx_log_error(NGX_LOG_NOTICE, listen->log, 0,
                  "iclock: listening for notifications of PostgreSQL");

    /* what was notified before is lost: everything may have changed */

    listen->notify(NULL, NULL, listen->data);
}


static void
ngx_iclock_pg_listen_deaf(ngx_iclock_pg_listen_t *listen)
{
    if (listen->listening) {
        listen->listening = 0;
        ngx_iclock_count(LISTENER_UP, -1);
    }
}


static void
ngx_iclock_pg_listen_closed(ngx_iclock_pg_conn_t *conn)
{
    ngx_iclock_pg_listen_t  *listen;

    listen = conn->data;
    ngx_iclock_pg_listen_deaf(listen);

    if (listen->timer.timer_set) {
        ngx_del_timer(&listen->timer);
    }

    if (conn->setup_failed && !listen->warned) {
        listen->warned = 1;

        ngx_log_error(NGX_LOG_ERR, listen->log, 0,
                      "iclock: PostgreSQL refuses to listen for notifications, "
                      "polling instead: %*s", conn->error_len, conn->error);

    } else if (conn->established && conn->timedout && !listen->warned) {
        listen->warned = 1;

        ngx_log_error(NGX_LOG_ERR, listen->log, 0,
                      "iclock: notifications of PostgreSQL do not arrive, "
                      "polling instead; behind a transaction pooler set "
                      "\"iclock_listen_database\" to a direct connection");

    } else if (!conn->established && !conn->setup_failed) {
        ngx_iclock_pg_log_failure(listen->stat, listen->log,
                                  "no connection to PostgreSQL for "
                                  "notifications",
                                  conn->error, conn->error_len);

    } else {
        ngx_log_error(NGX_LOG_INFO, listen->log, 0,
                      "iclock: connection for notifications is lost: %*s",
                      conn->error_len, conn->error);
    }

    ngx_iclock_pg_listen_retry(listen);
}


static void
ngx_iclock_pg_listen_retry(ngx_iclock_pg_listen_t *listen)
{
    if (ngx_exiting || ngx_terminate) {
        return;
    }

    ngx_iclock_pg_connect_later(&listen->timer, &listen->delay,
                                listen->warned ? NGX_ICLOCK_PG_LISTEN_MAX
                                               : NGX_ICLOCK_PG_LISTEN_MIN,
                                NGX_ICLOCK_PG_LISTEN_MAX);
}


static void
ngx_iclock_pg_listen_timer_handler(ngx_event_t *ev)
{
    ngx_iclock_pg_listen_t  *listen;

    listen = ev->data;

    if (ngx_exiting || ngx_terminate) {
        return;
    }

    if (listen->conn.state == NGX_ICLOCK_PG_CLOSED) {
        ngx_iclock_pg_connect(&listen->conn);
        return;
    }

    if (listen->conn.state == NGX_ICLOCK_PG_IDLE) {
        ngx_iclock_pg_listen_probe(listen);
    }
}


static void
ngx_iclock_pg_listen_shutdown(ngx_iclock_pg_conn_t *conn)
{
    ngx_iclock_pg_listen_close(conn->data);
}


void
ngx_iclock_pg_listen_close(ngx_iclock_pg_listen_t *listen)
{
    ngx_iclock_pg_conn_close(&listen->conn);
    ngx_iclock_pg_listen_deaf(listen);

    if (listen->timer.timer_set) {
        ngx_del_timer(&listen->timer);
    }
}
