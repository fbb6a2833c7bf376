
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


/* tells the database for how long events are kept */


#include "ngx_http_iclock_api.h"


static void ngx_http_iclock_api_retained(ngx_iclock_query_t *q);


/* once; again after a failure, and when the database may be another one */

void
ngx_http_iclock_api_retain(ngx_http_iclock_api_main_conf_t *amcf)
{
    ngx_str_t           *age;
    ngx_iclock_query_t  *q;

    if (amcf->retained) {
        return;
    }

    q = ngx_iclock_query_create(amcf->queries, NGX_ICLOCK_QUERY_EVENTS_KEEP,
                                ngx_cycle->log);
    if (q == NULL) {
        return;
    }

    age = &q->params[0];

    age->data = ngx_pnalloc(q->pool, NGX_INT_T_LEN);
    if (age->data == NULL) {
        ngx_iclock_query_destroy(q);
        return;
    }

    age->len = ngx_sprintf(age->data, "%ui", amcf->event_retention)
               - age->data;

    q->handler = ngx_http_iclock_api_retained;
    q->data = amcf;

    if (ngx_iclock_query_submit(q) != NGX_OK) {
        ngx_iclock_query_destroy(q);
        return;
    }

    amcf->retained = 1;
}


static void
ngx_http_iclock_api_retained(ngx_iclock_query_t *q)
{
    ngx_http_iclock_api_main_conf_t  *amcf;

    amcf = q->data;

    ngx_http_iclock_api_heard(amcf, q);

    if (q->rc != NGX_OK) {
        amcf->retained = 0;
    }

    ngx_iclock_query_destroy(q);
}
