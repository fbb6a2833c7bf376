
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


/* records are counted by what PostgreSQL says of the statement of their kind */


#include "iclock_store_private.h"


/* a part of the reason of a rejected line; what is in none is FORMAT */
typedef struct {
    const char  *part;
    ngx_uint_t   cause;
} ngx_iclock_store_cause_t;


static ngx_uint_t ngx_iclock_store_cause(ngx_str_t *reason);
static ngx_uint_t ngx_iclock_store_stored(PGresult *res);
static void ngx_iclock_store_count_commands(PGresult *res);


/* kinds are numbered as their labels are */

_Static_assert((int) NGX_ICLOCK_PUNCH == NGX_ICLOCK_L_KIND_PUNCH
               && (int) NGX_ICLOCK_OPERATION == NGX_ICLOCK_L_KIND_OPERATION
               && (int) NGX_ICLOCK_USER == NGX_ICLOCK_L_KIND_USER
               && (int) NGX_ICLOCK_TEMPLATE == NGX_ICLOCK_L_KIND_TEMPLATE
               && (int) NGX_ICLOCK_PHOTO == NGX_ICLOCK_L_KIND_PHOTO
               && (int) NGX_ICLOCK_IDENTITY_CARD
                  == NGX_ICLOCK_L_KIND_IDENTITY_CARD
               && (int) NGX_ICLOCK_WORK_CODE == NGX_ICLOCK_L_KIND_WORK_CODE
               && (int) NGX_ICLOCK_DEVICE_ERROR == NGX_ICLOCK_L_KIND_ERROR
               && (int) NGX_ICLOCK_OPTION == NGX_ICLOCK_L_KIND_OPTION,
               "NGX_ICLOCK_LABELS_KIND()");


static const ngx_iclock_store_cause_t  ngx_iclock_store_causes[] = {
    { "packet", NGX_ICLOCK_L_CAUSE_PACKET },
    { "not valid text", NGX_ICLOCK_L_CAUSE_ENCODING },
    { "invalid UTF-8", NGX_ICLOCK_L_CAUSE_ENCODING },
    { "date and time", NGX_ICLOCK_L_CAUSE_DATE },
    { "unknown table", NGX_ICLOCK_L_CAUSE_TABLE },
    { "unknown record", NGX_ICLOCK_L_CAUSE_TABLE },
    { "not documented", NGX_ICLOCK_L_CAUSE_TABLE },
    { NULL, NGX_ICLOCK_L_CAUSE_FORMAT }
};


void
ngx_iclock_store_count_rejected(ngx_iclock_store_group_t *group,
    ngx_uint_t kind, ngx_uint_t refused, ngx_str_t *reason)
{
    group->kinds[(kind <= NGX_ICLOCK_OPTION) ? kind
                                             : NGX_ICLOCK_L_KIND_OTHER]++;

    group->causes[refused ? NGX_ICLOCK_L_CAUSE_DATABASE
                          : ngx_iclock_store_cause(reason)]++;
}


static ngx_uint_t
ngx_iclock_store_cause(ngx_str_t *reason)
{
    size_t                           n;
    u_char                          *p, *last;
    const ngx_iclock_store_cause_t  *c;

    for (c = ngx_iclock_store_causes; c->part; c++) {

        n = ngx_strlen(c->part);
        last = reason->data + reason->len;

        for (p = reason->data; (size_t) (last - p) >= n; p++) {
            if (ngx_strncmp(p, c->part, n) == 0) {
                return c->cause;
            }
        }
    }

    return c->cause;
}


ngx_uint_t
ngx_iclock_store_count(ngx_iclock_pg_exec_t *exec)
{
    ngx_uint_t                 i, kind, sent, stored;
    ngx_iclock_store_group_t  *group;

    group = exec->data;

    if (exec->number == NGX_ICLOCK_REJECTED && group) {

        for (i = 0; i < NGX_ICLOCK_N_KIND; i++) {
            ngx_iclock_count_by_both(RECORDS, i, NGX_ICLOCK_L_RECORD_REJECTED,
                                     group->kinds[i]);
        }

        for (i = 0; i < NGX_ICLOCK_N_CAUSE; i++) {
            ngx_iclock_count_by(REJECTED_LINES, i, group->causes[i]);
        }
    }

    if (exec->number == NGX_ICLOCK_ST_COMMANDS) {
        ngx_iclock_store_count_commands(exec->result);
        return 0;
    }

    switch (exec->number) {

    case NGX_ICLOCK_ST_NEW_PUNCHES:
    case NGX_ICLOCK_ST_USUAL_PUNCHES:
    case NGX_ICLOCK_ST_ONE_PUNCH:
        kind = NGX_ICLOCK_PUNCH;
        break;

    case NGX_ICLOCK_ST_GREETED_OPTION:
        kind = NGX_ICLOCK_OPTION;
        break;

    default:
        kind = exec->number;
        break;
    }

    if (kind > NGX_ICLOCK_OPTION) {
        return 0;
    }

    /* of a picture there is no group: it is one */

    sent = group ? group->params[0].nelts : 1;
    stored = ngx_min(ngx_iclock_store_stored(exec->result), sent);

    ngx_iclock_count_by_both(RECORDS, kind, NGX_ICLOCK_L_RECORD_STORED,
                             stored);
    ngx_iclock_count_by_both(RECORDS, kind, NGX_ICLOCK_L_RECORD_DUPLICATE,
                             sent - stored);

    return sent - stored;
}


/* a number in its only row, or else that of the rows that it has written */

static ngx_uint_t
ngx_iclock_store_stored(PGresult *res)
{
    ngx_int_t    n;
    const char  *text;

    text = (PQntuples(res) == 1) ? PQgetvalue(res, 0, 0) : PQcmdTuples(res);
    n = ngx_atoi((u_char *) text, ngx_strlen(text));

    return (n == NGX_ERROR) ? 0 : n;
}


static void
ngx_iclock_store_count_commands(PGresult *res)
{
    int          row;
    double       seconds;
    ngx_int_t    n;
    const char  *result;

    for (row = 0; row < PQntuples(res); row++) {

        result = PQgetvalue(res, row, 0);
        seconds = ngx_max(strtod(PQgetvalue(res, row, 1), NULL), 0);

        if (ngx_strcmp(result, "given") == 0) {
            ngx_iclock_observe(DELIVERY, 0, (uint64_t) (seconds * 1000000));
            continue;
        }

        n = ngx_iclock_label_find(NGX_ICLOCK_LABEL_FINISHED,
                                  (const u_char *) result, ngx_strlen(result));

        if (n != NGX_ERROR) {
            ngx_iclock_count_by(FINISHED, n, 1);
        }

        if (!PQgetisnull(res, row, 1)) {
            ngx_iclock_observe(ANSWER, 0, (uint64_t) (seconds * 1000000));
        }
    }
}
