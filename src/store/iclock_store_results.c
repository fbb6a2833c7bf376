
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


/* results of operations: each function takes one row over into its job */


#include "iclock_store_private.h"


/* how a column of the look-up is read into its field */

typedef struct {
    size_t       offset;
    ngx_int_t  (*read)(ngx_pool_t *pool, void *field, PGresult *res, int row,
                       int column);
} ngx_iclock_store_column_t;


static ngx_int_t ngx_iclock_store_read_bigint(ngx_pool_t *pool, void *field,
    PGresult *res, int row, int column);
static ngx_int_t ngx_iclock_store_read_integer(ngx_pool_t *pool, void *field,
    PGresult *res, int row, int column);
static ngx_int_t ngx_iclock_store_read_boolean(ngx_pool_t *pool, void *field,
    PGresult *res, int row, int column);
static ngx_int_t ngx_iclock_store_read_text(ngx_pool_t *pool, void *field,
    PGresult *res, int row, int column);
static ngx_int_t ngx_iclock_store_read_status(ngx_pool_t *pool, void *field,
    PGresult *res, int row, int column);
static ngx_int_t ngx_iclock_store_read_dialect(ngx_pool_t *pool, void *field,
    PGresult *res, int row, int column);
static ngx_int_t ngx_iclock_store_read_stamps(ngx_pool_t *pool, void *field,
    PGresult *res, int row, int column);
static ngx_uint_t ngx_iclock_store_word(const ngx_str_t *words,
    ngx_uint_t last, const char *value);
static void *ngx_iclock_store_push(ngx_iclock_store_job_t *job,
    ngx_array_t *array, size_t size);


#define ngx_iclock_store_column(field, type, expression)                     \
    { offsetof(ngx_iclock_device_t, field),                                  \
      ngx_iclock_store_read_##type },

static const ngx_iclock_store_column_t  ngx_iclock_store_columns[] = {
    NGX_ICLOCK_EACH_DEVICE_COLUMN(ngx_iclock_store_column)
};


/* column 0 of every result is for ngx_iclock_store_result() */

ngx_int_t
ngx_iclock_store_lookup_row(ngx_iclock_store_job_t *job, PGresult *res,
    int row)
{
    u_char                           *device;
    ngx_uint_t                        i, n;
    const ngx_iclock_store_column_t  *column;

    device = ngx_pcalloc(job->pool, sizeof(ngx_iclock_device_t));
    if (device == NULL) {
        return NGX_ERROR;
    }

    column = ngx_iclock_store_columns;
    n = sizeof(ngx_iclock_store_columns) / sizeof(ngx_iclock_store_column_t);

    for (i = 0; i < n; i++) {
        if (column[i].read(job->pool, device + column[i].offset, res, row,
                           (int) i + 1)
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    job->device = (ngx_iclock_device_t *) device;

    return NGX_OK;
}


static ngx_int_t
ngx_iclock_store_read_bigint(ngx_pool_t *pool, void *field, PGresult *res,
    int row, int column)
{
    int64_t *n = field;

    const char  *value;

    value = PQgetvalue(res, row, column);
    *n = ngx_atoof((u_char *) value, ngx_strlen(value));

    return NGX_OK;
}


static ngx_int_t
ngx_iclock_store_read_integer(ngx_pool_t *pool, void *field, PGresult *res,
    int row, int column)
{
    ngx_int_t *n = field;

    const char  *value;

    if (PQgetisnull(res, row, column)) {
        *n = -1;
        return NGX_OK;
    }

    value = PQgetvalue(res, row, column);

    *n = (value[0] == '-')
         ? -ngx_atoi((u_char *) value + 1, ngx_strlen(value + 1))
         : ngx_atoi((u_char *) value, ngx_strlen(value));

    return NGX_OK;
}


static ngx_int_t
ngx_iclock_store_read_boolean(ngx_pool_t *pool, void *field, PGresult *res,
    int row, int column)
{
    ngx_uint_t *yes = field;

    *yes = (PQgetvalue(res, row, column)[0] == 't');

    return NGX_OK;
}


static ngx_int_t
ngx_iclock_store_read_text(ngx_pool_t *pool, void *field, PGresult *res,
    int row, int column)
{
    ngx_str_t *s = field;

    ngx_str_null(s);

    if (PQgetisnull(res, row, column)) {
        return NGX_OK;
    }

    s->len = PQgetlength(res, row, column);
    s->data = ngx_pnalloc(pool, s->len + 1);
    if (s->data == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(s->data, PQgetvalue(res, row, column), s->len + 1);

    return NGX_OK;
}


static ngx_int_t
ngx_iclock_store_read_status(ngx_pool_t *pool, void *field, PGresult *res,
    int row, int column)
{
    ngx_uint_t *status = field;

    *status = ngx_iclock_store_word(ngx_iclock_device_statuses,
                                    NGX_ICLOCK_DEVICE_BLOCKED,
                                    PQgetvalue(res, row, column));

    return NGX_OK;
}


static ngx_int_t
ngx_iclock_store_read_dialect(ngx_pool_t *pool, void *field, PGresult *res,
    int row, int column)
{
    ngx_uint_t *dialect = field;

    *dialect = ngx_iclock_store_word(ngx_iclock_dialects,
                                     NGX_ICLOCK_DIALECT_3_2,
                                     PQgetvalue(res, row, column));

    return NGX_OK;
}


/* the number of one of these words, 0 for any other */

static ngx_uint_t
ngx_iclock_store_word(const ngx_str_t *words, ngx_uint_t last,
    const char *value)
{
    ngx_uint_t  i;

    for (i = last; i > 0; i--) {
        if (ngx_strcmp(value, words[i].data) == 0) {
            break;
        }
    }

    return i;
}


/* lines of a table's name, a TAB and its stamp */

static ngx_int_t
ngx_iclock_store_read_stamps(ngx_pool_t *pool, void *field, PGresult *res,
    int row, int column)
{
    ngx_array_t *stamps = field;

    u_char        *p, *last, *tab, *end;
    ngx_str_t      text;
    ngx_keyval_t  *kv;

    if (ngx_array_init(stamps, pool, 6, sizeof(ngx_keyval_t)) != NGX_OK
        || ngx_iclock_store_read_text(pool, &text, res, row, column)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    last = text.data + text.len;

    for (p = text.data; p < last; p = end + 1) {

        end = ngx_strlchr(p, last, LF);
        if (end == NULL) {
            end = last;
        }

        tab = ngx_strlchr(p, end, '\t');
        if (tab == NULL) {
            continue;
        }

        kv = ngx_array_push(stamps);
        if (kv == NULL) {
            return NGX_ERROR;
        }

        kv->key.data = p;
        kv->key.len = tab - p;
        kv->value.data = tab + 1;
        kv->value.len = end - tab - 1;
    }

    return NGX_OK;
}


ngx_int_t
ngx_iclock_store_command_row(ngx_iclock_store_job_t *job, PGresult *res,
    int row)
{
    ngx_iclock_command_t  *command;

    command = ngx_iclock_store_push(job, &job->commands,
                                    sizeof(ngx_iclock_command_t));

    if (command == NULL
        || ngx_iclock_store_read_text(job->pool, &command->id, res, row, 1)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_iclock_store_read_text(job->pool, &command->text, res, row, 2);
}


ngx_int_t
ngx_iclock_store_presence_row(ngx_iclock_store_job_t *job, PGresult *res,
    int row)
{
    int64_t  *id;

    id = ngx_iclock_store_push(job, &job->unsaved, sizeof(int64_t));
    if (id == NULL) {
        return NGX_ERROR;
    }

    return ngx_iclock_store_read_bigint(job->pool, id, res, row, 1);
}


ngx_int_t
ngx_iclock_store_due_row(ngx_iclock_store_job_t *job, PGresult *res, int row)
{
    ngx_str_t  *s;

    s = ngx_iclock_store_push(job, &job->serial_numbers, sizeof(ngx_str_t));
    if (s == NULL) {
        return NGX_ERROR;
    }

    return ngx_iclock_store_read_text(job->pool, s, res, row, 1);
}


ngx_int_t
ngx_iclock_store_text_row(ngx_iclock_store_job_t *job, PGresult *res, int row)
{
    return ngx_iclock_store_read_text(job->pool, &job->text, res, row, 1);
}


/* an element of an array that exists once there is something in it */

static void *
ngx_iclock_store_push(ngx_iclock_store_job_t *job, ngx_array_t *array,
    size_t size)
{
    if (array->elts == NULL
        && ngx_array_init(array, job->pool, 8, size) != NGX_OK)
    {
        return NULL;
    }

    return ngx_array_push(array);
}
