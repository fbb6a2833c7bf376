
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


#include "iclock_pg_private.h"


/* dimensions, null flag, element type, length and lower bound */
#define NGX_ICLOCK_PG_ARRAY_HEADER  20
#define NGX_ICLOCK_PG_ARRAY_SIZE    256


static u_char *ngx_iclock_pg_array_push(ngx_iclock_pg_array_t *array,
    size_t size, int32_t len);
static ngx_int_t ngx_iclock_pg_array_grow(ngx_iclock_pg_array_t *array,
    size_t size);
static u_char *ngx_iclock_pg_write32(u_char *p, uint32_t n);


/* without memory: most columns of punches have no value in a whole batch */

void
ngx_iclock_pg_array_init(ngx_iclock_pg_array_t *array, ngx_pool_t *pool,
    Oid type)
{
    ngx_memzero(array, sizeof(ngx_iclock_pg_array_t));

    array->type = type;
    array->pool = pool;
}


ngx_int_t
ngx_iclock_pg_array_null(ngx_iclock_pg_array_t *array)
{
    array->nulls++;

    if (array->start == NULL) {

        /* the first value writes it */

        array->nelts++;

        return NGX_OK;
    }

    return ngx_iclock_pg_array_push(array, 0, -1) ? NGX_OK : NGX_ERROR;
}


ngx_int_t
ngx_iclock_pg_array_int4(ngx_iclock_pg_array_t *array, int32_t n)
{
    u_char  *p;

    p = ngx_iclock_pg_array_push(array, 4, 4);
    if (p == NULL) {
        return NGX_ERROR;
    }

    (void) ngx_iclock_pg_int4(p, n);

    return NGX_OK;
}


ngx_int_t
ngx_iclock_pg_array_int8(ngx_iclock_pg_array_t *array, int64_t n)
{
    u_char  *p;

    p = ngx_iclock_pg_array_push(array, 8, 8);
    if (p == NULL) {
        return NGX_ERROR;
    }

    (void) ngx_iclock_pg_int8(p, n);

    return NGX_OK;
}


ngx_int_t
ngx_iclock_pg_array_bytes(ngx_iclock_pg_array_t *array, ngx_str_t *s)
{
    u_char  *p;

    p = ngx_iclock_pg_array_push(array, s->len, (int32_t) s->len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(p, s->data, s->len);

    return NGX_OK;
}


int
ngx_iclock_pg_int4(u_char *p, int32_t n)
{
    (void) ngx_iclock_pg_write32(p, (uint32_t) n);

    return 4;
}


int
ngx_iclock_pg_int8(u_char *p, int64_t n)
{
    p = ngx_iclock_pg_write32(p, (uint32_t) ((uint64_t) n >> 32));
    (void) ngx_iclock_pg_write32(p, (uint32_t) ((uint64_t) n & 0xffffffff));

    return 8;
}


void
ngx_iclock_pg_array_value(ngx_iclock_pg_array_t *array, const char **value,
    int *length)
{
    u_char  *p;

    if (array->start == NULL) {
        *value = NULL;
        *length = 0;
        return;
    }

    p = ngx_iclock_pg_write32(array->start, 1);
    p = ngx_iclock_pg_write32(p, array->nulls ? 1 : 0);
    p = ngx_iclock_pg_write32(p, array->type);
    p = ngx_iclock_pg_write32(p, array->nelts);
    (void) ngx_iclock_pg_write32(p, 1);

    *value = (char *) array->start;
    *length = array->last - array->start;
}


void
ngx_iclock_pg_array_only(ngx_iclock_pg_array_t *array, const char **value,
    int *length)
{
    u_char  *p;

    if (array->nulls) {
        *value = NULL;
        *length = 0;
        return;
    }

    /* behind its length */

    p = array->start + NGX_ICLOCK_PG_ARRAY_HEADER + 4;

    *value = (char *) p;
    *length = array->last - p;
}


/* room for an element: writes its length, and leaves its bytes to the caller */

static u_char *
ngx_iclock_pg_array_push(ngx_iclock_pg_array_t *array, size_t size,
    int32_t len)
{
    u_char  *p;

    if ((array->start == NULL
         || (size_t) (array->end - array->last) < size + 4)
        && ngx_iclock_pg_array_grow(array, size + 4) != NGX_OK)
    {
        return NULL;
    }

    p = ngx_iclock_pg_write32(array->last, (uint32_t) len);

    array->last = p + size;
    array->nelts++;

    return p;
}


/* until now there may have been no value: what is then written are NULLs */

static ngx_int_t
ngx_iclock_pg_array_grow(ngx_iclock_pg_array_t *array, size_t size)
{
    u_char  *p;
    size_t   used, need;

    if (array->start) {
        used = array->last - array->start;
        need = 2 * (size_t) (array->end - array->start);

    } else {
        used = NGX_ICLOCK_PG_ARRAY_HEADER + 4 * array->nulls;
        need = NGX_ICLOCK_PG_ARRAY_SIZE;
    }

    need = ngx_max(need, used + size);

    p = ngx_palloc(array->pool, need);
    if (p == NULL) {
        return NGX_ERROR;
    }

    if (array->start) {
        ngx_memcpy(p, array->start, used);
        (void) ngx_pfree(array->pool, array->start);

    } else {
        /* -1 is the length of a NULL */
        ngx_memset(p + NGX_ICLOCK_PG_ARRAY_HEADER, 0xff, 4 * array->nulls);
    }

    array->start = p;
    array->last = p + used;
    array->end = p + need;

    return NGX_OK;
}


static u_char *
ngx_iclock_pg_write32(u_char *p, uint32_t n)
{
    *p++ = (u_char) (n >> 24);
    *p++ = (u_char) (n >> 16);
    *p++ = (u_char) (n >> 8);
    *p++ = (u_char) n;

    return p;
}
