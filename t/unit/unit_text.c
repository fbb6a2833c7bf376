
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


/* texts, times, versions, languages, tables */


#include "unit.h"


typedef struct {
    const char  *text;
    int64_t      time;    /* seconds since 2000, or -1: not a time */
} unit_time_t;


typedef struct {
    ngx_str_t    text;
    ngx_uint_t   valid;
} unit_utf8_t;


typedef struct {
    const char  *device;
    const char  *server;
    const char  *lower;
} unit_version_t;


typedef struct {
    const char  *encoding;
    const char  *text;
    const char  *sent;
    ngx_int_t    rc;
} unit_sent_t;


typedef struct {
    const char  *key;
    const char  *value;   /* NULL: nothing is found */
} unit_pair_t;


static void unit_set(ngx_str_t *s, const char *text);
static void unit_test_times(void);
static void unit_test_utf8(void);
static void unit_test_versions(void);
static void unit_test_names(void);
static void unit_test_encode(void);


static const unit_time_t  unit_times[] = {
    { "2000-01-01 00:00:00", 0 },
    { "2026-07-15 09:00:00", 837421200 },
    { "2026-07-15T09:00:00", 837421200 },
    { " 2026-07-15   09:00:00 ", 837421200 },
    { "1999-12-31 23:59:59", -2 + 1 },
    { "2000-02-29 00:00:00", 5097600 },
    { "2024-02-29 12:00:00", 762523200 },
    { "9999-12-31 23:59:59", 252455615999LL },
    { "0001-01-01 00:00:00", -63082281600LL },
    { "0000-00-00 00:00:00", -1 },
    { "0000-01-01 00:00:00", -1 },
    { "2026-02-30 10:00:00", -1 },
    { "2026-02-29 10:00:00", -1 },
    { "1900-02-29 10:00:00", -1 },
    { "2026-00-10 10:00:00", -1 },
    { "2026-13-10 10:00:00", -1 },
    { "2026-99-20 16:33:44", -1 },
    { "2026-04-31 10:00:00", -1 },
    { "2026-04-00 10:00:00", -1 },
    { "2026-04-30 24:00:00", -1 },
    { "2026-04-30 23:60:00", -1 },
    { "2026-04-30 23:59:60", -1 },
    { "2026-04-30", -1 },
    { "2026-04-30 23:59", -1 },
    { "2026-04-30 23:59:5", -1 },
    { "2026-04-30 23:59:59Z", -1 },
    { "2026-04-3023:59:59", -1 },
    { "2026/04/30 23:59:59", -1 },
    { "-026-04-30 23:59:59", -1 },
    { "20260430235959", -1 },
    { "yesterday", -1 },
    { "", -1 },
    { NULL, 0 }
};


static const unit_utf8_t  unit_utf8[] = {
    { unit_string(""), 1 },
    { unit_string("abc\x7f\t\n"), 1 },
    { unit_string("\xc2\x80"), 1 },
    { unit_string("\xdf\xbf"), 1 },
    { unit_string("\xe0\xa0\x80"), 1 },
    { unit_string("\xed\x9f\xbf"), 1 },
    { unit_string("\xee\x80\x80"), 1 },
    { unit_string("\xf0\x90\x80\x80"), 1 },
    { unit_string("\xf4\x8f\xbf\xbf"), 1 },
    { unit_string("a\0b"), 0 },
    { unit_string("\x80"), 0 },
    { unit_string("\xc0\x80"), 0 },
    { unit_string("\xc1\xbf"), 0 },
    { unit_string("\xc2"), 0 },
    { unit_string("\xc2\x20"), 0 },
    { unit_string("\xe0\x9f\xbf"), 0 },
    { unit_string("\xe1\x80"), 0 },
    { unit_string("\xe1\x80\x20"), 0 },
    { unit_string("\xed\xa0\x80"), 0 },
    { unit_string("\xf0\x8f\xbf\xbf"), 0 },
    { unit_string("\xf4\x90\x80\x80"), 0 },
    { unit_string("\xf5\x80\x80\x80"), 0 },
    { unit_string("\xf1\x80\x80"), 0 },
    { unit_string("\xff"), 0 },
    { ngx_null_string, 2 }
};


static const unit_version_t  unit_versions[] = {
    { "2.4.1", "2.4.1", "2.4.1" },
    { "2.4.0", "2.4.1", "2.4.0" },
    { "2.4.1", "2.2.14", "2.2.14" },
    { "2.0.33S-20220613", "2.4.1", "2.0.33" },
    { "2.0.33S", "2.4.1", "2.0.33" },
    { "2.0.1", "2.4.1", "2.0.1" },
    { "2.10.0", "2.9.9", "2.9.9" },
    { "3.1.2", "2.4.1", "2.4.1" },
    { "3", "4", "3" },
    { "2.4.", "2.4.1", "2.4" },
    { "", "2.4.1", "2.2.14" },
    { "", "2.2.10", "2.2.10" },
    { "None", "2.4.1", "2.2.14" },
    { "99999999999999999999.1", "2.4.1", "2.2.14" },
    { "2.4.1", "", "2.2.14" },
    { "1.2.3.4.5", "2.4.1", "1.2.3.4" },
    { NULL, NULL, NULL }
};


static const unit_pair_t  unit_encodings[] = {
    { "83", "GB18030" },
    { "66", "WINDOWS-1256" },
    { "82", "WINDOWS-1251" },
    { "69", "" },
    { "8", "" },
    { "833", "" },
    { "English", "" },
    { "", "" },
    { NULL, NULL }
};


/* what there is no character for becomes a question mark */

static const unit_sent_t  unit_sent[] = {
    { "GB18030", "", "", NGX_OK },
    { "GB18030", "abc\t1\n", "abc\t1\n", NGX_OK },
    { "GB18030", "\xe5\xbc\xa0\xe4\xbc\x9f", "\xd5\xc5\xce\xb0", NGX_OK },
    { "GB18030", "\xc3\xab", "\x81\x30\x8a\x35", NGX_OK },
    { "GB18030", "\xf0\x9f\x98\x80", "\x94\x39\xfc\x36", NGX_OK },
    { "WINDOWS-1252", "Zo\xc3\xab \xe2\x82\xac", "Zo\xeb \x80", NGX_OK },
    { "WINDOWS-1252", "a\xe5\xbc\xa0\xe4\xbc\x9f" "b", "a??b", NGX_OK },
    { "WINDOWS-1252", "\xf0\x9f\x98\x80\n", "?\n", NGX_OK },
    { "WINDOWS-1251", "\xd0\x96", "\xc6", NGX_OK },
    { "WINDOWS-1251", "\xff\xfe" "a\xd0", "??a?", NGX_OK },
    { "NO-SUCH", "\xd0\x96", "\xd0\x96", NGX_DECLINED },
    { "UTF-8//IGNORE", "\xd0\x96", "\xd0\x96", NGX_DECLINED },
    { "", "\xd0\x96", "\xd0\x96", NGX_DECLINED },
    { NULL, NULL, NULL, 0 }
};


static const unit_pair_t  unit_table_names[] = {
    { "ATTLOG", "ATTLOG" },
    { "attlog", "ATTLOG" },
    { " ATTLOG ", "ATTLOG" },
    { "OperLog", "OPERLOG" },
    { "options", "options" },
    { "OPTIONS", "options" },
    { "templateV10", "templatev10" },
    { "FOO", "unknown" },
    { "ATTLOGX", "unknown" },
    { "", NULL },
    { " ", NULL },
    { NULL, NULL }
};


void
unit_test_text(void)
{
    unit_test_times();
    unit_test_utf8();
    unit_test_versions();
    unit_test_names();
    unit_test_encode();
}


static void
unit_set(ngx_str_t *s, const char *text)
{
    s->data = (u_char *) text;
    s->len = ngx_strlen(text);
}


static void
unit_test_times(void)
{
    int64_t             time;
    ngx_int_t           rc;
    ngx_str_t           s;
    const unit_time_t  *t;

    for (t = unit_times; t->text; t++) {

        unit_set(&s, t->text);

        time = 0;
        rc = ngx_iclock_parse_time(&s, &time);

        if (t->time == -1 && t->text[0] != '1') {
            unit_ok(rc == NGX_DECLINED, "time: not \"%s\"", t->text);

        } else if (rc == NGX_OK) {
            unit_ok(time == t->time * 1000000, "time: \"%s\"", t->text);

        } else {
            unit_ok(t->time == -1, "time: \"%s\" is none", t->text);
        }
    }
}


static void
unit_test_utf8(void)
{
    ngx_str_t           s;
    const unit_utf8_t  *u;

    for (u = unit_utf8; u->valid != 2; u++) {
        s = u->text;
        unit_ok(ngx_iclock_valid_text(&s) == u->valid, "utf-8: %d",
                (int) (u - unit_utf8));
    }
}


static void
unit_test_versions(void)
{
    ngx_str_t              device, server, lower;
    const unit_version_t  *v;

    for (v = unit_versions; v->device; v++) {

        unit_set(&device, v->device);
        unit_set(&server, v->server);

        lower = ngx_iclock_lower_version(&device, &server);

        unit_ok(lower.len == ngx_strlen(v->lower)
                && ngx_memcmp(lower.data, v->lower, lower.len) == 0,
                "version: \"%s\" and \"%s\"", v->device, v->server);
    }
}


static void
unit_test_names(void)
{
    ngx_str_t                  s, found;
    const unit_pair_t         *p;
    const ngx_iclock_table_t  *table;

    for (p = unit_encodings; p->key; p++) {

        unit_set(&s, p->key);
        found = ngx_iclock_language_encoding(&s);

        unit_ok(found.len == ngx_strlen(p->value)
                && ngx_memcmp(found.data ? found.data : (u_char *) "",
                              p->value, found.len) == 0,
                "language: \"%s\"", p->key);
    }

    for (p = unit_table_names; p->key; p++) {

        unit_set(&s, p->key);
        table = ngx_iclock_find_table(&s);

        unit_ok(p->value ? table
                           && ngx_strcmp(table->name.data, p->value) == 0
                         : table == NULL,
                "table: \"%s\"", p->key);
    }

    unit_ok(ngx_iclock_kinds[NGX_ICLOCK_REJECTED].ncolumns == 0,
            "rejected lines have no columns");
}


static void
unit_test_encode(void)
{
    ngx_int_t           rc;
    ngx_str_t           text, encoding;
    ngx_pool_t         *pool;
    const unit_sent_t  *e;

    pool = unit_pool();

    for (e = unit_sent; e->encoding; e++) {

        unit_set(&encoding, e->encoding);
        unit_set(&text, e->text);

        rc = ngx_iclock_encode_text(&text, &encoding, pool);

        unit_ok(rc == e->rc && text.len == ngx_strlen(e->sent)
                && ngx_memcmp(text.data, e->sent, text.len) == 0,
                "encode: \"%s\" in \"%s\"", e->sent, e->encoding);
    }

    ngx_destroy_pool(pool);
}
