
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


#include "iclock_store_private.h"


/* so many punches are looked upon as new ones */
#define NGX_ICLOCK_STORE_MANY      32

/*
 * unless some came that were stored already, or PostgreSQL had no function for
 * that, so many milliseconds ago
 */
#define NGX_ICLOCK_STORE_REPEATED  60000


typedef struct {
    ngx_iclock_store_t         *store;
    ngx_iclock_pg_batch_t      *batch;
    ngx_iclock_store_group_t   *groups[NGX_ICLOCK_STATEMENTS];
} ngx_iclock_store_build_t;


static ngx_int_t ngx_iclock_store_build_slice(ngx_iclock_store_build_t *build,
    ngx_iclock_pg_slice_t *slice);
static ngx_int_t ngx_iclock_store_build_op(ngx_iclock_store_build_t *build,
    ngx_iclock_store_job_t *job, ngx_iclock_store_op_t *op);
static ngx_int_t ngx_iclock_store_build_item(ngx_iclock_store_build_t *build,
    ngx_iclock_store_job_t *job, ngx_uint_t n);
static ngx_int_t ngx_iclock_store_build_record(
    ngx_iclock_store_build_t *build, ngx_iclock_store_job_t *job,
    ngx_iclock_record_t *record);
static ngx_int_t ngx_iclock_store_build_single(
    ngx_iclock_store_build_t *build, ngx_iclock_store_job_t *job,
    ngx_iclock_record_t *record);
static ngx_int_t ngx_iclock_store_single_value(
    ngx_iclock_store_build_t *build, ngx_iclock_pg_exec_t *exec, ngx_uint_t n,
    ngx_iclock_value_t *value, ngx_uint_t type);
static ngx_int_t ngx_iclock_store_build_value(ngx_iclock_pg_array_t *array,
    ngx_iclock_value_t *value, ngx_uint_t type);
static ngx_int_t ngx_iclock_store_build_rejected(
    ngx_iclock_store_build_t *build, ngx_iclock_store_job_t *job,
    ngx_iclock_item_t *item, ngx_str_t *reason, ngx_uint_t refused);
static ngx_iclock_store_group_t *ngx_iclock_store_build_group(
    ngx_iclock_store_build_t *build, ngx_uint_t statement);
static ngx_int_t ngx_iclock_store_build_exec(ngx_iclock_store_build_t *build,
    ngx_iclock_store_group_t *group);
static ngx_uint_t ngx_iclock_store_build_statement(
    ngx_iclock_store_build_t *build, ngx_iclock_store_group_t *group);
static ngx_uint_t ngx_iclock_store_build_usual(
    ngx_iclock_store_group_t *group);
static Oid ngx_iclock_store_element_type(Oid array);
static ngx_str_t *ngx_iclock_store_refused(ngx_iclock_store_job_t *job,
    ngx_uint_t item);
static ngx_int_t ngx_iclock_store_build_count(
    ngx_iclock_store_build_t *build);
static ngx_int_t ngx_iclock_store_build_execs(
    ngx_iclock_store_build_t *build);


/*
 * Items are parsed here, when they are sent, and again if they have to be
 * sent again: an upload that waits takes no more memory than its body.
 */

ngx_int_t
ngx_iclock_store_build(ngx_iclock_pg_batch_t *batch, void *data)
{
    ngx_int_t                 rc;
    ngx_uint_t                i;
    ngx_iclock_pg_slice_t    *slice;
    ngx_iclock_store_build_t  build;

    ngx_memzero(&build, sizeof(ngx_iclock_store_build_t));

    build.store = data;
    build.batch = batch;
    rc = NGX_OK;
    slice = batch->slices.elts;

    for (i = 0; i < batch->slices.nelts && rc == NGX_OK; i++) {
        rc = ngx_iclock_store_build_slice(&build, &slice[i]);
    }

    if (rc != NGX_OK) {
        return rc;
    }

    return ngx_iclock_store_build_execs(&build);
}


static ngx_int_t
ngx_iclock_store_build_slice(ngx_iclock_store_build_t *build,
    ngx_iclock_pg_slice_t *slice)
{
    ngx_int_t                 rc;
    ngx_uint_t                i, n;
    ngx_iclock_store_job_t   *job;
    ngx_iclock_store_work_t  *work;

    work = (ngx_iclock_store_work_t *) slice->job;
    job = &work->job;
    n = job->upload.items.nelts;

    for (i = slice->first; i < slice->first + slice->n; i++) {

        if (i < n) {
            rc = ngx_iclock_store_build_item(build, job, i);

        } else {
            rc = ngx_iclock_store_build_op(build, job, &work->ops[i - n]);
        }

        if (rc != NGX_OK) {
            return rc;
        }
    }

    work->counted = ngx_max(work->counted, slice->first + slice->n);

    return NGX_OK;
}


static ngx_int_t
ngx_iclock_store_build_op(ngx_iclock_store_build_t *build,
    ngx_iclock_store_job_t *job, ngx_iclock_store_op_t *op)
{
    ngx_iclock_store_job_t    **owner;
    ngx_iclock_store_group_t   *group;

    group = ngx_iclock_store_build_group(build, op->statement);
    if (group == NULL) {
        return NGX_ERROR;
    }

    owner = ngx_array_push(&group->jobs);
    if (owner == NULL) {
        return NGX_ERROR;
    }

    *owner = job;

    return ngx_iclock_store_statements[op->statement].add(group, job,
                                                          op->data);
}


static ngx_int_t
ngx_iclock_store_build_item(ngx_iclock_store_build_t *build,
    ngx_iclock_store_job_t *job, ngx_uint_t n)
{
    ngx_int_t             rc;
    ngx_str_t            *refused;
    ngx_iclock_item_t    *item;
    ngx_iclock_record_t   record;

    item = job->upload.items.elts;
    item += n;

    refused = ngx_iclock_store_refused(job, n);

    if (refused) {
        return ngx_iclock_store_build_rejected(build, job, item, refused, 1);
    }

    rc = ngx_iclock_parse_item(&record, item, &job->context,
                               build->batch->params);

    if (rc == NGX_ERROR) {
        return NGX_ERROR;
    }

    build->batch->records++;

    if (rc == NGX_OK
        && ngx_iclock_store_build_record(build, job, &record) != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (record.reason.len == 0) {
        return NGX_OK;
    }

    /* a run that is repeated does not count again */

    if (n >= job->work->counted) {
        job->rejected++;
    }

    return ngx_iclock_store_build_rejected(build, job, item, &record.reason,
                                           0);
}


static ngx_int_t
ngx_iclock_store_build_record(ngx_iclock_store_build_t *build,
    ngx_iclock_store_job_t *job, ngx_iclock_record_t *record)
{
    ngx_uint_t                 i, flags;
    const ngx_iclock_kind_t   *kind;
    ngx_iclock_pg_array_t     *param;
    ngx_iclock_store_group_t  *group;

    flags = ngx_iclock_store_statements[record->kind].flags;

    if (flags & NGX_ICLOCK_ST_SINGLE) {
        return ngx_iclock_store_build_single(build, job, record);
    }

    group = ngx_iclock_store_build_group(build, record->kind);
    if (group == NULL) {
        return NGX_ERROR;
    }

    param = group->params;

    if (ngx_iclock_pg_array_int8(param++, job->device_id) != NGX_OK) {
        return NGX_ERROR;
    }

    if ((flags & NGX_ICLOCK_ST_ZONED)
        && ngx_iclock_pg_array_bytes(param++, &job->timezone) != NGX_OK)
    {
        return NGX_ERROR;
    }

    if ((flags & NGX_ICLOCK_ST_ORDERED)
        && ngx_iclock_pg_array_int4(param++, (int32_t) group->params[0].nelts)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    kind = &ngx_iclock_kinds[record->kind];

    for (i = 0; i < kind->ncolumns; i++) {

        if (ngx_iclock_store_build_value(param++, &record->values[i],
                                         kind->columns[i].type)
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


/* values that are sent from where they are; no copies of large ones */

static ngx_int_t
ngx_iclock_store_build_single(ngx_iclock_store_build_t *build,
    ngx_iclock_store_job_t *job, ngx_iclock_record_t *record)
{
    ngx_uint_t                i;
    ngx_iclock_value_t        id;
    ngx_iclock_pg_exec_t     *exec;
    const ngx_iclock_kind_t  *kind;

    exec = ngx_iclock_pg_batch_add(build->batch,
                              &ngx_iclock_store_statements[record->kind].pg,
                              record->kind, NULL);
    if (exec == NULL) {
        return NGX_ERROR;
    }

    ngx_memzero(&id, sizeof(ngx_iclock_value_t));
    id.number = job->device_id;

    if (ngx_iclock_store_single_value(build, exec, 0, &id, NGX_ICLOCK_BIGINT)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    kind = &ngx_iclock_kinds[record->kind];

    for (i = 0; i < kind->ncolumns; i++) {

        if (ngx_iclock_store_single_value(build, exec, i + 1,
                                          &record->values[i],
                                          kind->columns[i].type)
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_iclock_store_single_value(ngx_iclock_store_build_t *build,
    ngx_iclock_pg_exec_t *exec, ngx_uint_t n, ngx_iclock_value_t *value,
    ngx_uint_t type)
{
    u_char  *p;

    static u_char  empty[1];

    if (value->null) {
        /* a NULL pointer is NULL */
        return NGX_OK;
    }

    switch (type) {

    case NGX_ICLOCK_TEXT:
    case NGX_ICLOCK_BYTEA:
        p = value->text.len ? value->text.data : empty;
        exec->lengths[n] = (int) value->text.len;
        break;

    default:
        p = ngx_palloc(build->batch->params, 8);
        if (p == NULL) {
            return NGX_ERROR;
        }

        exec->lengths[n] = (type == NGX_ICLOCK_INTEGER)
                           ? ngx_iclock_pg_int4(p, (int32_t) value->number)
                           : ngx_iclock_pg_int8(p, value->number);
        break;
    }

    exec->values[n] = (char *) p;

    return NGX_OK;
}


static ngx_int_t
ngx_iclock_store_build_value(ngx_iclock_pg_array_t *array,
    ngx_iclock_value_t *value, ngx_uint_t type)
{
    if (value->null) {
        return ngx_iclock_pg_array_null(array);
    }

    switch (type) {

    case NGX_ICLOCK_INTEGER:
        return ngx_iclock_pg_array_int4(array, (int32_t) value->number);

    case NGX_ICLOCK_BIGINT:
    case NGX_ICLOCK_TIMESTAMP:
        return ngx_iclock_pg_array_int8(array, value->number);

    default: /* NGX_ICLOCK_TEXT, NGX_ICLOCK_BYTEA */
        return ngx_iclock_pg_array_bytes(array, &value->text);
    }
}


static ngx_int_t
ngx_iclock_store_build_rejected(ngx_iclock_store_build_t *build,
    ngx_iclock_store_job_t *job, ngx_iclock_item_t *item, ngx_str_t *reason,
    ngx_uint_t refused)
{
    ngx_iclock_record_t        record;
    ngx_iclock_store_group_t  *group;

    group = ngx_iclock_store_build_group(build, NGX_ICLOCK_REJECTED);
    if (group == NULL) {
        return NGX_ERROR;
    }

    ngx_iclock_store_count_rejected(group, ngx_iclock_item_kind(item),
                                    refused, reason);

    ngx_memzero(&record, sizeof(ngx_iclock_record_t));

    record.kind = NGX_ICLOCK_REJECTED;
    record.values[NGX_ICLOCK_REJECTED_TABLE].text = job->table;
    record.values[NGX_ICLOCK_REJECTED_LINE].text = item->data;
    record.values[NGX_ICLOCK_REJECTED_REASON].text = *reason;

    return ngx_iclock_store_build_record(build, job, &record);
}


static ngx_iclock_store_group_t *
ngx_iclock_store_build_group(ngx_iclock_store_build_t *build,
    ngx_uint_t statement)
{
    ngx_uint_t                           i;
    ngx_iclock_store_group_t            *group;
    const ngx_iclock_store_statement_t  *st;

    if (build->groups[statement]) {
        return build->groups[statement];
    }

    group = ngx_pcalloc(build->batch->pool, sizeof(ngx_iclock_store_group_t));
    if (group == NULL) {
        return NULL;
    }

    group->statement = statement;
    st = &ngx_iclock_store_statements[statement];

    for (i = 0; i < st->pg.nparams; i++) {
        ngx_iclock_pg_array_init(&group->params[i], build->batch->params,
                             ngx_iclock_store_element_type(st->pg.types[i]));
    }

    if (ngx_array_init(&group->jobs, build->batch->pool, 4,
                       sizeof(ngx_iclock_store_job_t *))
        != NGX_OK)
    {
        return NULL;
    }

    build->groups[statement] = group;

    return group;
}


static Oid
ngx_iclock_store_element_type(Oid array)
{
    switch (array) {

    case NGX_ICLOCK_PG_INT4_ARRAY:
        return NGX_ICLOCK_PG_INT4;

    case NGX_ICLOCK_PG_INT8_ARRAY:
        return NGX_ICLOCK_PG_INT8;

    case NGX_ICLOCK_PG_TIMESTAMP_ARRAY:
        return NGX_ICLOCK_PG_TIMESTAMP;

    case NGX_ICLOCK_PG_BYTEA_ARRAY:
        return NGX_ICLOCK_PG_BYTEA;

    default: /* NGX_ICLOCK_PG_TEXT_ARRAY */
        return NGX_ICLOCK_PG_TEXT;
    }
}


static ngx_str_t *
ngx_iclock_store_refused(ngx_iclock_store_job_t *job, ngx_uint_t item)
{
    ngx_uint_t                   left, right, middle;
    ngx_iclock_store_refused_t  *refused;

    refused = job->work->refused.elts;
    left = 0;
    right = job->work->refused.nelts;

    while (left < right) {
        middle = (left + right) / 2;

        if (refused[middle].item == item) {
            return &refused[middle].reason;
        }

        if (refused[middle].item < item) {
            left = middle + 1;

        } else {
            right = middle;
        }
    }

    return NULL;
}


/*
 * Registrations are the first: they wait for each other, which must not be
 * while devices are locked that a handshake beside a registration waits for.
 */

static ngx_int_t
ngx_iclock_store_build_execs(ngx_iclock_store_build_t *build)
{
    ngx_uint_t                 n;
    ngx_iclock_store_group_t  *group;

    group = build->groups[NGX_ICLOCK_ST_REGISTER];

    if (group && ngx_iclock_store_build_exec(build, group) != NGX_OK) {
        return NGX_ERROR;
    }

    for (n = 0; n < NGX_ICLOCK_STATEMENTS; n++) {

        if (n != NGX_ICLOCK_ST_REGISTER
            && build->groups[n]
            && ngx_iclock_store_build_exec(build, build->groups[n]) != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return ngx_iclock_store_build_count(build);
}


/*
 * A column that no row of the batch has is sent as NULL, and not as an array of
 * NULLs: unnest() makes the same of both.  PostgreSQL goes over each array by
 * itself.
 */

static ngx_int_t
ngx_iclock_store_build_exec(ngx_iclock_store_build_t *build,
    ngx_iclock_store_group_t *group)
{
    ngx_uint_t                           i, n;
    ngx_iclock_pg_exec_t                *exec;
    ngx_iclock_pg_array_t               *param;
    const ngx_iclock_store_statement_t  *st;

    n = ngx_iclock_store_build_statement(build, group);
    st = &ngx_iclock_store_statements[n];

    exec = ngx_iclock_pg_batch_add(build->batch, &st->pg, n, group);
    if (exec == NULL) {
        return NGX_ERROR;
    }

    for (i = 0; i < st->pg.nparams; i++) {
        param = &group->params[i];

        if (n == NGX_ICLOCK_ST_GREETED_OPTION && i == st->pg.nparams - 1) {
            /* serial numbers */
            param = &build->groups[NGX_ICLOCK_ST_GREET]->params[0];
        }

        if (n == NGX_ICLOCK_ST_ONE_PUNCH) {
            ngx_iclock_pg_array_only(param, &exec->values[i],
                                     &exec->lengths[i]);
            continue;
        }

        ngx_iclock_pg_array_value(param, &exec->values[i], &exec->lengths[i]);
    }

    return NGX_OK;
}


/*
 * The statements that store punches have the same parameters, but that those
 * for usual ones end with the work code, and that for one has values instead of
 * arrays.  That for options beside handshakes has one more.
 */

static ngx_uint_t
ngx_iclock_store_build_statement(ngx_iclock_store_build_t *build,
    ngx_iclock_store_group_t *group)
{
    ngx_uint_t  n;
    ngx_msec_t  repeated;

    if (group->statement == NGX_ICLOCK_OPTION
        && build->groups[NGX_ICLOCK_ST_GREET])
    {
        return NGX_ICLOCK_ST_GREETED_OPTION;
    }

    if (group->statement != NGX_ICLOCK_PUNCH) {
        return group->statement;
    }

    n = group->params[0].nelts;
    repeated = build->store->repeated;

    if (n >= NGX_ICLOCK_STORE_MANY
        && (repeated == 0
            || ngx_current_msec - repeated >= NGX_ICLOCK_STORE_REPEATED))
    {
        return NGX_ICLOCK_ST_NEW_PUNCHES;
    }

    if (!ngx_iclock_store_build_usual(group)) {
        return NGX_ICLOCK_PUNCH;
    }

    return (n == 1) ? NGX_ICLOCK_ST_ONE_PUNCH : NGX_ICLOCK_ST_USUAL_PUNCHES;
}


/* what few punches have is behind what all may have */

_Static_assert((int) NGX_ICLOCK_PUNCH_PIN == 0
               && (int) NGX_ICLOCK_PUNCH_TIME == 1
               && (int) NGX_ICLOCK_PUNCH_STATUS == 2
               && (int) NGX_ICLOCK_PUNCH_VERIFY == 3
               && (int) NGX_ICLOCK_PUNCH_WORK_CODE == 4,
               "ngx_iclock_usual_rows()");


/* whether no punch has anything that few have */

static ngx_uint_t
ngx_iclock_store_build_usual(ngx_iclock_store_group_t *group)
{
    ngx_uint_t  i, n;

    i = ngx_iclock_store_statements[NGX_ICLOCK_ST_USUAL_PUNCHES].pg.nparams;
    n = ngx_iclock_store_statements[NGX_ICLOCK_PUNCH].pg.nparams;

    while (i < n && group->params[i].nulls == group->params[i].nelts) {
        i++;
    }

    return i == n;
}


/* what becomes of commands is asked in the same transaction, for metrics */

static ngx_int_t
ngx_iclock_store_build_count(ngx_iclock_store_build_t *build)
{
    ngx_iclock_pg_exec_t      *exec;
    ngx_iclock_store_group_t  *group;

    group = build->groups[NGX_ICLOCK_ST_DEQUEUE];

    if (group == NULL) {
        group = build->groups[NGX_ICLOCK_REPLY];
    }

    if (group == NULL || !ngx_iclock_metric_shared()) {
        return NGX_OK;
    }

    exec = ngx_iclock_pg_batch_add(build->batch,
                     &ngx_iclock_store_statements[NGX_ICLOCK_ST_COMMANDS].pg,
                     NGX_ICLOCK_ST_COMMANDS, NULL);
    if (exec == NULL) {
        return NGX_ERROR;
    }

    /* both have the devices first */

    ngx_iclock_pg_array_value(&group->params[0], &exec->values[0],
                              &exec->lengths[0]);

    return NGX_OK;
}
