
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


#include "iclock_pg_private.h"


typedef struct {
    const char  *prefix;    /* of a SQLSTATE */
    ngx_uint_t   action;
    const char  *advice;
} ngx_iclock_pg_error_t;


/* the first row that matches counts; appendix A of the PostgreSQL manual */

static const ngx_iclock_pg_error_t  ngx_iclock_pg_errors[] = {

    { "21", NGX_ICLOCK_PG_DATA, NULL },
    { "22", NGX_ICLOCK_PG_DATA, NULL },
    { "23", NGX_ICLOCK_PG_DATA, NULL },

    /* deadlocks and serialization failures */
    { "40", NGX_ICLOCK_PG_RETRY, NULL },

    /* a prepared statement that is gone, known already, or out of date */
    { "26", NGX_ICLOCK_PG_RECONNECT, NULL },
    { "42P05", NGX_ICLOCK_PG_RECONNECT, NULL },
    { "0A000", NGX_ICLOCK_PG_RECONNECT, NULL },

    { NGX_ICLOCK_PG_OTHER_DATABASE, NGX_ICLOCK_PG_RECONNECT, NULL },

    { "08", NGX_ICLOCK_PG_RECONNECT, NULL },
    { "57P", NGX_ICLOCK_PG_RECONNECT, NULL },
    { "25006", NGX_ICLOCK_PG_RECONNECT,
      ", the server is read-only: add target_session_attrs=read-write" },

    /* no memory, no space, too many connections; input and output */
    { "53", NGX_ICLOCK_PG_FAIL, NULL },
    { "58", NGX_ICLOCK_PG_FAIL, NULL },

    { "55P03", NGX_ICLOCK_PG_APART,
      ", a lock was held for longer than the timeout of iclock_pool" },
    { "57014", NGX_ICLOCK_PG_APART,
      ", the statement took longer than the timeout of iclock_pool" },
    { "3F000", NGX_ICLOCK_PG_FAIL,
      ", install the schema: psql -f sql/install.sql" },
    { "42P01", NGX_ICLOCK_PG_FAIL,
      ", install or upgrade the schema: psql -f sql/install.sql" },
    { NGX_ICLOCK_PG_NO_FUNCTION, NGX_ICLOCK_PG_FAIL,
      ", upgrade the schema: psql -f sql/install.sql" },
    { "42703", NGX_ICLOCK_PG_FAIL,
      ", upgrade the schema: psql -f sql/install.sql" },
    { "42501", NGX_ICLOCK_PG_FAIL,
      ", grant the role iclock_module (and for the HTTP API iclock_api) to "
      "the user of iclock_database" },

    { NULL, 0, NULL }
};


static const ngx_iclock_pg_error_t *ngx_iclock_pg_error_find(
    const char *sqlstate);


static const ngx_iclock_pg_error_t *
ngx_iclock_pg_error_find(const char *sqlstate)
{
    const ngx_iclock_pg_error_t  *e;

    for (e = ngx_iclock_pg_errors; e->prefix; e++) {
        if (ngx_strncmp(sqlstate, e->prefix, ngx_strlen(e->prefix)) == 0) {
            return e;
        }
    }

    return NULL;
}


ngx_uint_t
ngx_iclock_pg_error_action(const char *sqlstate)
{
    const ngx_iclock_pg_error_t  *e;

    e = ngx_iclock_pg_error_find(sqlstate);

    return e ? e->action : NGX_ICLOCK_PG_APART;
}


const char *
ngx_iclock_pg_error_advice(const char *sqlstate)
{
    const ngx_iclock_pg_error_t  *e;

    e = ngx_iclock_pg_error_find(sqlstate);

    return e ? e->advice : NULL;
}
