
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


/* what unit tests and fuzz targets share */


#include "unit.h"


static ngx_int_t unit_steps(ngx_iclock_split_t *split,
    ngx_iclock_upload_t *counted);
static const ngx_iclock_table_t *unit_table(const char *name);
static void unit_dump_value(FILE *out, ngx_uint_t type,
    const ngx_iclock_value_t *value);
static void unit_dump_bytes(FILE *out, const ngx_str_t *s);
static void unit_check_record(ngx_iclock_record_t *record);
static void unit_abort(const char *why);
static void unit_free(void *data);


ngx_pool_t *
unit_pool(void)
{
    static ngx_log_t        log;
    static ngx_open_file_t  file;

    file.fd = STDERR_FILENO;
    log.file = &file;
    log.log_level = NGX_LOG_EMERG;

    if (ngx_pagesize == 0) {
        ngx_pagesize = getpagesize();
        ngx_cacheline_size = NGX_CPU_CACHE_LINE;
    }

    return ngx_create_pool(4096, &log);
}


static void
unit_free(void *data)
{
    free(data);
}


FILE *
unit_sink(void)
{
    static FILE  *sink;

    if (sink == NULL) {
        sink = fopen("/dev/null", "w");
    }

    return sink;
}


ngx_uint_t
unit_read(FILE *out, const char *table, const ngx_str_t *body,
    const ngx_iclock_context_t *context)
{
    ngx_uint_t            lines;
    ngx_pool_t           *pool;
    ngx_iclock_upload_t   upload;

    pool = unit_pool();

    unit_split(&upload, table, body, NULL, pool);
    unit_dump(out, &upload, context, pool);

    lines = upload.lines;

    ngx_destroy_pool(pool);

    return lines;
}


void
unit_split(ngx_iclock_upload_t *upload, const char *table,
    const ngx_str_t *body, ngx_iclock_context_t *context, ngx_pool_t *pool)
{
    ngx_int_t            rc;
    ngx_str_t            copy;
    ngx_pool_cleanup_t  *cln;

    copy.len = body->len;
    copy.data = malloc(body->len + !body->len);

    cln = ngx_pool_cleanup_add(pool, 0);

    if (copy.data == NULL || cln == NULL) {
        unit_abort("out of memory");
    }

    cln->handler = unit_free;
    cln->data = copy.data;

    ngx_memcpy(copy.data, body->data, body->len);

    if (ngx_strcmp(table, ":info") == 0) {
        rc = ngx_iclock_split_info(upload, &copy, pool);

    } else if (ngx_strcmp(table, ":replies") == 0) {
        rc = unit_steps(ngx_iclock_split_create_replies(upload, &copy, pool),
                        NULL);

    } else if (ngx_strcmp(table, ":packet") == 0) {
        rc = unit_steps(ngx_iclock_split_create_packed(upload,
                            unit_table("OPERLOG"), &copy, context, pool),
                        upload);

    } else {
        rc = unit_steps(ngx_iclock_split_create(upload, unit_table(table),
                                                &copy, context, pool),
                        upload);
    }

    if (rc != NGX_OK) {
        unit_abort("not split");
    }
}


/* the items of uploads are counted before they are cut: no array grows */

static ngx_int_t
unit_steps(ngx_iclock_split_t *split, ngx_iclock_upload_t *counted)
{
    ngx_int_t  rc;

    if (split == NULL) {
        return NGX_ERROR;
    }

    do {
        rc = ngx_iclock_split_step(split);
    } while (rc == NGX_AGAIN);

    if (counted
        && counted->items.nalloc != ngx_max(counted->items.nelts, 1))
    {
        unit_abort("items were miscounted");
    }

    return rc;
}


static const ngx_iclock_table_t *
unit_table(const char *name)
{
    ngx_str_t                  s;
    const ngx_iclock_table_t  *table;

    s.data = (u_char *) name;
    s.len = ngx_strlen(name);

    table = ngx_iclock_find_table(&s);
    if (table == NULL) {
        unit_abort("no table");
    }

    return table;
}


void
unit_dump(FILE *out, ngx_iclock_upload_t *upload,
    const ngx_iclock_context_t *context, ngx_pool_t *pool)
{
    ngx_int_t                 rc;
    ngx_uint_t                i, n;
    ngx_iclock_item_t        *items;
    ngx_iclock_value_t       *value;
    ngx_iclock_record_t       record;
    const ngx_iclock_kind_t  *kind;

    items = upload->items.elts;

    for (i = 0; i < upload->items.nelts; i++) {

        ngx_memset(&record, 0x5a, sizeof(record));

        rc = ngx_iclock_parse_item(&record, &items[i], context, pool);

        if (rc == NGX_DECLINED) {

            if (record.reason.len == 0) {
                unit_abort("rejected without a reason");
            }

            fprintf(out, "rejected (%.*s): ", (int) record.reason.len,
                    record.reason.data);
            unit_dump_bytes(out, &items[i].data);
            fprintf(out, "\n");
            continue;
        }

        if (rc != NGX_OK) {
            unit_abort("out of memory");
        }

        unit_check_record(&record);

        kind = &ngx_iclock_kinds[record.kind];

        fprintf(out, "%s", (char *) kind->name.data);

        for (n = 0; n < kind->ncolumns; n++) {
            value = &record.values[n];

            if (value->null) {
                continue;
            }

            fprintf(out, " %s=", (char *) kind->columns[n].name.data);
            unit_dump_value(out, kind->columns[n].type, value);
        }

        if (record.reason.len) {
            fprintf(out, " (%.*s)", (int) record.reason.len,
                    record.reason.data);
        }

        fprintf(out, "\n");
    }
}


static void
unit_dump_value(FILE *out, ngx_uint_t type, const ngx_iclock_value_t *value)
{
    time_t     t;
    struct tm  tm;

    switch (type) {

    case NGX_ICLOCK_TIMESTAMP:
        if (value->number == NGX_ICLOCK_TIME_MIN
            || value->number == NGX_ICLOCK_TIME_MAX)
        {
            fprintf(out, value->number < 0 ? "-infinity" : "infinity");
            return;
        }

        t = (time_t) (value->number / 1000000) + 946684800;
        gmtime_r(&t, &tm);
        fprintf(out, "%04d-%02d-%02dT%02d:%02d:%02d", tm.tm_year + 1900,
                tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec);
        return;

    case NGX_ICLOCK_TEXT:
    case NGX_ICLOCK_BYTEA:
        fprintf(out, "'");
        unit_dump_bytes(out, &value->text);
        fprintf(out, "'");
        return;

    default:
        fprintf(out, "%lld", (long long) value->number);
    }
}


static void
unit_dump_bytes(FILE *out, const ngx_str_t *s)
{
    size_t  i;

    for (i = 0; i < s->len; i++) {

        if (s->data[i] == '\t') {
            fprintf(out, "|");

        } else if (s->data[i] < 0x20 || s->data[i] > 0x7e) {
            fprintf(out, "<%02x>", s->data[i]);

        } else {
            fputc(s->data[i], out);
        }
    }
}


/* what the store floor relies on */

static void
unit_check_record(ngx_iclock_record_t *record)
{
    ngx_uint_t                  i;
    ngx_iclock_value_t         *value;
    const ngx_iclock_kind_t    *kind;
    const ngx_iclock_column_t  *column;

    if (record->kind >= NGX_ICLOCK_REJECTED) {
        unit_abort("no kind");
    }

    kind = &ngx_iclock_kinds[record->kind];

    for (i = 0; i < kind->ncolumns; i++) {
        value = &record->values[i];
        column = &kind->columns[i];

        if (value->null) {
            continue;
        }

        switch (column->type) {

        case NGX_ICLOCK_TEXT:
            if (!ngx_iclock_valid_text(&value->text)) {
                unit_abort("invalid text");
            }

            break;

        case NGX_ICLOCK_INTEGER:
            if (value->number < -2147483647 - 1
                || value->number > 2147483647)
            {
                unit_abort("integer out of range");
            }

            break;

        case NGX_ICLOCK_TIMESTAMP:
            /* the years 1 to 9999 */
            if ((value->number < -63082281600000000LL
                 || value->number > 252455615999000000LL)
                && value->number != NGX_ICLOCK_TIME_MIN
                && value->number != NGX_ICLOCK_TIME_MAX)
            {
                unit_abort("time out of range");
            }

            break;
        }
    }
}


static void
unit_abort(const char *why)
{
    fprintf(stderr, "broken contract: %s\n", why);
    abort();
}
