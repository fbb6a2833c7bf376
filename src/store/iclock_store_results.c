
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


/* results of operations: each function takes one row over into its job */


#include "iclock_store_private.h"


/* columns of the look-up, in the order of its SELECT list */
enum {
    NGX_ICLOCK_COL_ORD = 0,
    NGX_ICLOCK_COL_ID,
    NGX_ICLOCK_COL_STATUS,
    NGX_ICLOCK_COL_COMM_KEY,
    NGX_ICLOCK_COL_ENCODING,
    NGX_ICLOCK_COL_LANGUAGE,
    NGX_ICLOCK_COL_PUSH_VERSION,
    NGX_ICLOCK_COL_UTC_OFFSET,
    NGX_ICLOCK_COL_TOLD_OFFSET,
    NGX_ICLOCK_COL_DEFAULT_TIMEZONE,
    NGX_ICLOCK_COL_DIALECT,
    NGX_ICLOCK_COL_RECOGNIZED_DIALECT,
    NGX_ICLOCK_COL_DIALECT_CHOSEN,
    NGX_ICLOCK_COL_NETWORKS,
    NGX_ICLOCK_COL_ALLOWED,
    NGX_ICLOCK_COL_DELAY,
    NGX_ICLOCK_COL_ERROR_DELAY,
    NGX_ICLOCK_COL_TRANS_TIMES,
    NGX_ICLOCK_COL_TRANS_INTERVAL,
    NGX_ICLOCK_COL_TRANS_FLAG,
    NGX_ICLOCK_COL_REALTIME,
    NGX_ICLOCK_COL_SEND_TIMEZONE,
    NGX_ICLOCK_COL_BARE_STAMPS,
    NGX_ICLOCK_COL_PUSH_OPTIONS,
    NGX_ICLOCK_COL_MULTI_BIO_DATA,
    NGX_ICLOCK_COL_MULTI_BIO_PHOTO,
    NGX_ICLOCK_COL_MAX_PUSH_VERSION,
    NGX_ICLOCK_COL_STAMPS,
    NGX_ICLOCK_COL_REUPLOAD
};


typedef struct {
    ngx_uint_t  column;
    size_t      offset;     /* in ngx_iclock_device_t */
} ngx_iclock_store_field_t;


static ngx_int_t ngx_iclock_store_copy(ngx_pool_t *pool, ngx_str_t *s,
    PGresult *res, int row, int column);
static ngx_int_t ngx_iclock_store_integer(PGresult *res, int row, int column);
static ngx_uint_t ngx_iclock_store_boolean(PGresult *res, int row,
    int column);
static ngx_uint_t ngx_iclock_store_dialect(PGresult *res, int row,
    int column);
static ngx_int_t ngx_iclock_store_stamps(ngx_iclock_store_job_t *job,
    PGresult *res, int row);


static const ngx_iclock_store_field_t  ngx_iclock_device_texts[] = {
    { NGX_ICLOCK_COL_COMM_KEY, offsetof(ngx_iclock_device_t, comm_key) },
    { NGX_ICLOCK_COL_ENCODING, offsetof(ngx_iclock_device_t, encoding) },
    { NGX_ICLOCK_COL_LANGUAGE, offsetof(ngx_iclock_device_t, language) },
    { NGX_ICLOCK_COL_PUSH_VERSION,
      offsetof(ngx_iclock_device_t, push_version) },
    { NGX_ICLOCK_COL_DEFAULT_TIMEZONE,
      offsetof(ngx_iclock_device_t, default_timezone) },
    { NGX_ICLOCK_COL_TRANS_TIMES,
      offsetof(ngx_iclock_device_t, trans_times) },
    { NGX_ICLOCK_COL_TRANS_FLAG, offsetof(ngx_iclock_device_t, trans_flag) },
    { NGX_ICLOCK_COL_PUSH_OPTIONS,
      offsetof(ngx_iclock_device_t, push_options) },
    { NGX_ICLOCK_COL_MULTI_BIO_DATA,
      offsetof(ngx_iclock_device_t, multi_bio_data) },
    { NGX_ICLOCK_COL_MULTI_BIO_PHOTO,
      offsetof(ngx_iclock_device_t, multi_bio_photo) },
    { NGX_ICLOCK_COL_MAX_PUSH_VERSION,
      offsetof(ngx_iclock_device_t, max_push_version) },
    { 0, 0 }
};


static const ngx_iclock_store_field_t  ngx_iclock_device_integers[] = {
    { NGX_ICLOCK_COL_UTC_OFFSET, offsetof(ngx_iclock_device_t, utc_offset) },
    { NGX_ICLOCK_COL_TOLD_OFFSET,
      offsetof(ngx_iclock_device_t, told_offset) },
    { NGX_ICLOCK_COL_DELAY, offsetof(ngx_iclock_device_t, delay) },
    { NGX_ICLOCK_COL_ERROR_DELAY,
      offsetof(ngx_iclock_device_t, error_delay) },
    { NGX_ICLOCK_COL_TRANS_INTERVAL,
      offsetof(ngx_iclock_device_t, trans_interval) },
    { NGX_ICLOCK_COL_REALTIME, offsetof(ngx_iclock_device_t, realtime) },
    { NGX_ICLOCK_COL_SEND_TIMEZONE,
      offsetof(ngx_iclock_device_t, send_timezone) },
    { NGX_ICLOCK_COL_BARE_STAMPS,
      offsetof(ngx_iclock_device_t, bare_stamps) },
    { NGX_ICLOCK_COL_REUPLOAD, offsetof(ngx_iclock_device_t, reupload) },
    { 0, 0 }
};


ngx_int_t
ngx_iclock_store_lookup_row(ngx_iclock_store_job_t *job, PGresult *res,
    int row)
{
    u_char                          *base;
    ngx_uint_t                       i;
    const char                      *value;
    ngx_iclock_device_t             *device;
    const ngx_iclock_store_field_t  *f;

    device = ngx_pcalloc(job->pool, sizeof(ngx_iclock_device_t));
    if (device == NULL) {
        return NGX_ERROR;
    }

    base = (u_char *) device;

    value = PQgetvalue(res, row, NGX_ICLOCK_COL_ID);
    device->id = ngx_atoof((u_char *) value, ngx_strlen(value));

    value = PQgetvalue(res, row, NGX_ICLOCK_COL_STATUS);

    for (i = NGX_ICLOCK_DEVICE_PENDING; i <= NGX_ICLOCK_DEVICE_BLOCKED; i++) {
        if (ngx_strcmp(value, ngx_iclock_device_statuses[i].data) == 0) {
            device->status = i;
        }
    }

    for (f = ngx_iclock_device_texts; f->column; f++) {
        if (ngx_iclock_store_copy(job->pool, (ngx_str_t *) (base + f->offset),
                                  res, row, (int) f->column)
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    for (f = ngx_iclock_device_integers; f->column; f++) {
        *(ngx_int_t *) (base + f->offset) =
                         ngx_iclock_store_integer(res, row, (int) f->column);
    }

    device->networks = ngx_iclock_store_boolean(res, row,
                                                NGX_ICLOCK_COL_NETWORKS);
    device->allowed = ngx_iclock_store_boolean(res, row,
                                               NGX_ICLOCK_COL_ALLOWED);

    device->dialect = ngx_iclock_store_dialect(res, row,
                                               NGX_ICLOCK_COL_DIALECT);
    device->recognized_dialect = ngx_iclock_store_dialect(res, row,
                                           NGX_ICLOCK_COL_RECOGNIZED_DIALECT);
    device->dialect_chosen = ngx_iclock_store_boolean(res, row,
                                               NGX_ICLOCK_COL_DIALECT_CHOSEN);

    if (ngx_array_init(&device->stamps, job->pool, 6, sizeof(ngx_keyval_t))
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    job->device = device;

    return ngx_iclock_store_stamps(job, res, row);
}


/* lines of a table's name, a TAB and its stamp */

static ngx_int_t
ngx_iclock_store_stamps(ngx_iclock_store_job_t *job, PGresult *res, int row)
{
    u_char        *p, *last, *tab, *end;
    ngx_str_t      text;
    ngx_keyval_t  *kv;

    if (ngx_iclock_store_copy(job->pool, &text, res, row,
                              NGX_ICLOCK_COL_STAMPS)
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

        kv = ngx_array_push(&job->device->stamps);
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

    if (job->commands.elts == NULL
        && ngx_array_init(&job->commands, job->pool, 4,
                          sizeof(ngx_iclock_command_t))
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    command = ngx_array_push(&job->commands);
    if (command == NULL) {
        return NGX_ERROR;
    }

    if (ngx_iclock_store_copy(job->pool, &command->id, res, row, 1)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_iclock_store_copy(job->pool, &command->text, res, row, 2);
}


ngx_int_t
ngx_iclock_store_presence_row(ngx_iclock_store_job_t *job, PGresult *res,
    int row)
{
    int64_t     *id;
    const char  *value;

    if (job->unsaved.elts == NULL
        && ngx_array_init(&job->unsaved, job->pool, 16, sizeof(int64_t))
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    id = ngx_array_push(&job->unsaved);
    if (id == NULL) {
        return NGX_ERROR;
    }

    value = PQgetvalue(res, row, 1);
    *id = ngx_atoof((u_char *) value, ngx_strlen(value));

    return NGX_OK;
}


ngx_int_t
ngx_iclock_store_due_row(ngx_iclock_store_job_t *job, PGresult *res, int row)
{
    ngx_str_t  *s;

    if (job->serial_numbers.elts == NULL
        && ngx_array_init(&job->serial_numbers, job->pool, 16,
                          sizeof(ngx_str_t))
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    s = ngx_array_push(&job->serial_numbers);
    if (s == NULL) {
        return NGX_ERROR;
    }

    return ngx_iclock_store_copy(job->pool, s, res, row, 1);
}


ngx_int_t
ngx_iclock_store_text_row(ngx_iclock_store_job_t *job, PGresult *res, int row)
{
    return ngx_iclock_store_copy(job->pool, &job->text, res, row, 1);
}


static ngx_int_t
ngx_iclock_store_copy(ngx_pool_t *pool, ngx_str_t *s, PGresult *res, int row,
    int column)
{
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
ngx_iclock_store_integer(PGresult *res, int row, int column)
{
    ngx_int_t    n;
    const char  *value;

    if (PQgetisnull(res, row, column)) {
        return -1;
    }

    value = PQgetvalue(res, row, column);

    if (value[0] == '-') {
        n = ngx_atoi((u_char *) value + 1, ngx_strlen(value + 1));
        return -n;
    }

    return ngx_atoi((u_char *) value, ngx_strlen(value));
}


static ngx_uint_t
ngx_iclock_store_boolean(PGresult *res, int row, int column)
{
    return PQgetvalue(res, row, column)[0] == 't';
}


static ngx_uint_t
ngx_iclock_store_dialect(PGresult *res, int row, int column)
{
    ngx_uint_t   i;
    const char  *value;

    value = PQgetvalue(res, row, column);

    for (i = NGX_ICLOCK_DIALECT_3_2; i > NGX_ICLOCK_DIALECT_UNKNOWN; i--) {
        if (ngx_strcmp(value, ngx_iclock_dialects[i].data) == 0) {
            break;
        }
    }

    return i;
}
