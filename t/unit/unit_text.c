
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


/* texts, times, versions, languages, tables */


#include "unit.h"
#include "iclock_proto_private.h"


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
    const char  *language;
    const char  *text;
    const char  *sent;
} unit_sent_t;


typedef struct {
    const char  *encoding;
    const char  *language;
    const char  *sent;    /* names, with "|" between them */
    const char  *names;   /* NULL: it is not text */
} unit_decoded_t;


typedef struct {
    const char  *key;
    const char  *value;   /* NULL: nothing is found */
} unit_pair_t;


static void unit_set(ngx_str_t *s, const char *text);
static ngx_uint_t unit_same(const ngx_str_t *s, const char *text);
static void unit_test_times(void);
static void unit_test_utf8(void);
static void unit_test_versions(void);
static void unit_test_names(void);
static void unit_test_encode(void);
static void unit_test_decode(void);
static void unit_read_names(u_char *got, const unit_decoded_t *d,
    ngx_pool_t *pool);
static void unit_test_commands(void);
static void unit_test_base64(void);


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


/*
 * The names of one upload, by the encoding of the device's row and by its
 * language.  D6 A3 CE B0, a common name, is valid UTF-8 as well, as is much of
 * what other devices send valid GB2312.
 */

static const unit_decoded_t  unit_decoded[] = {
    /* what the document says */
    { "", "83", "\xd6\xa3\xce\xb0", "\xe9\x83\x91\xe4\xbc\x9f" },
    { "", "83", "\xd5\xc5\xc8\xfd", "\xe5\xbc\xa0\xe4\xb8\x89" },
    { "", "83", "\x81\x39\xef\x30", "\xe3\x90\x81" },
    { "", "83", "Zhang", "Zhang" },
    { "", "83", "\xff", NULL },

    /* firmware of that language that sends UTF-8 */
    { "", "83", "\xe5\xbc\xa0", "\xe5\xbc\xa0" },
    { "", "83", "\xe9\x83\x91\xe4\xbc\x9f", "\xe9\x83\x91\xe4\xbc\x9f" },
    { "", "83", "\xe4\xa1\xb9\xe4\xbd\xa1", "\xe4\xa1\xb9\xe4\xbd\xa1" },
    { "", "83", "\xe9\x98\xbf\xc2\xb7\xe4\xb9\xb0",
      "\xe9\x98\xbf\xc2\xb7\xe4\xb9\xb0" },
    { "", "83", "\xd0\x98\xd0\xb2\xd0\xb0\xd0\xbd",
      "\xd0\x98\xd0\xb2\xd0\xb0\xd0\xbd" },

    /* one that is certain decides */
    { "", "83", "Jos\xc3\xa9", "Jos\xe8\x8c\x85" },
    { "", "83", "Jos\xc3\xa9|\xe5\xbc\xa0", "Jos\xc3\xa9|\xe5\xbc\xa0" },
    { "", "83", "\xe9\x83\x91\xe4\xbc\x9f|Jos\xc3\xa9",
      "\xe9\x83\x91\xe4\xbc\x9f|Jos\xc3\xa9" },
    { "", "83", "\xe4\xa1\xb9\xe4\xbd\xa1|\xd5\xc5",
      "\xe4\xa1\xb9\xe4\xbd\xa1|\xe5\xbc\xa0" },
    { "", "83", "Jos\xc3\xa9|\xd5\xc5|\xe5\xbc\xa0",
      "Jos\xe8\x8c\x85|\xe5\xbc\xa0|\xe5\xbc\xa0" },
    { "", "83", "\xd6\xa3\xce\xb0|\xff", "\xe9\x83\x91\xe4\xbc\x9f|" },

    /* the row wins */
    { "GB18030", "69", "\xd6\xa3\xce\xb0", "\xe9\x83\x91\xe4\xbc\x9f" },
    { "gb2312", "", "Jos\xc3\xa9", "Jos\xe8\x8c\x85" },
    { "GBK", "", "\xd6\xa3|\xe5\xbc\xa0", "\xe9\x83\x91|\xe5\xbc\xa0" },
    { "UTF-8", "83", "\xd6\xa3\xce\xb0", "\xd6\xa3\xce\xb0" },
    { "UTF-8", "83", "\xd5\xc5", NULL },
    { "utf8", "82", "\xc8\xe2", NULL },
    { "WINDOWS-1251", "83", "\xc3\xa9", "\xd0\x93\xc2\xa9" },
    { "NO-SUCH", "83", "\xd5\xc5", NULL },
    { "UTF-8//IGNORE", "83", "\xd5\xc5", NULL },

    /* what is undocumented counts where it is not UTF-8 */
    { "", "65", "\xc3\xcd\xe3\xcf", "\xd8\xa3\xd8\xad\xd9\x85\xd8\xaf" },
    { "", "66", "\xc3\xcd\xe3\xcf", "\xd8\xa3\xd8\xad\xd9\x85\xd8\xaf" },
    { "", "66", "\xd8\xa3", "\xd8\xa3" },
    { "", "82", "\xc8\xe2\xe0\xed", "\xd0\x98\xd0\xb2\xd0\xb0\xd0\xbd" },
    { "", "82", "\xd0\x98", "\xd0\x98" },
    { "", "69", "\xd6\xa3\xce\xb0", "\xd6\xa3\xce\xb0" },
    { "", "69", "\xd5\xc5", NULL },
    { "", "833", "\xd5\xc5", NULL },
    { "", "8", "\xd5\xc5", NULL },
    { "", "English", "Zo\xc3\xab", "Zo\xc3\xab" },
    { "", "", "Zo\xeb", NULL },

    /* the others */
    { "WINDOWS-1256", "", "\xc3", "\xd8\xa3" },
    { "windows-1251", "", "\xc8\xe2", "\xd0\x98\xd0\xb2" },
    { "ISO-8859-1", "", "Jos\xe9", "Jos\xc3\xa9" },
    { "WINDOWS-1252", "", "\x80 Zo\xeb", "\xe2\x82\xac Zo\xc3\xab" },
    { "WINDOWS-1252", "", "\xc3\x81", "\xc3\x81" },
    { "WINDOWS-1250", "", "\xf8", "\xc5\x99" },
    { "WINDOWS-1253", "", "\xe1", "\xce\xb1" },
    { "WINDOWS-1254", "", "\xfe", "\xc5\x9f" },
    { "WINDOWS-1255", "", "\xe0", "\xd7\x90" },
    { "WINDOWS-1258", "", "\xd0", "\xc4\x90" },
    { "WINDOWS-874", "", "\xa1", "\xe0\xb8\x81" },
    { "BIG5", "", "\xb1\x69", "\xe5\xbc\xb5" },
    { "EUC-KR", "", "\xb1\xe8", "\xea\xb9\x80" },
    { "SHIFT_JIS", "", "\x8d\xb2", "\xe4\xbd\x90" },
    { "SHIFT_JIS", "", "a\\b~", "a\\b~" },
    { NULL, NULL, NULL, NULL }
};


/* what there is no character for becomes a question mark */

static const unit_sent_t  unit_sent[] = {
    { "GB18030", "", "", "" },
    { "GB18030", "", "abc\t1\n", "abc\t1\n" },
    { "GB18030", "", "\xe5\xbc\xa0\xe4\xbc\x9f", "\xd5\xc5\xce\xb0" },
    { "GB18030", "", "\xc3\xab", "\x81\x30\x8a\x35" },
    { "GB18030", "", "\xf0\x9f\x98\x80", "\x94\x39\xfc\x36" },
    { "", "83", "\xe5\xbc\xa0\xe4\xbc\x9f", "\xd5\xc5\xce\xb0" },
    { "UTF-8", "83", "\xe5\xbc\xa0", "\xe5\xbc\xa0" },
    { "", "82", "\xd0\x96", "\xd0\x96" },
    { "WINDOWS-1252", "", "Zo\xc3\xab \xe2\x82\xac", "Zo\xeb \x80" },
    { "WINDOWS-1252", "", "a\xe5\xbc\xa0\xe4\xbc\x9f" "b", "a??b" },
    { "WINDOWS-1252", "", "\xf0\x9f\x98\x80\n", "?\n" },
    { "WINDOWS-1251", "", "\xd0\x96", "\xc6" },
    { "WINDOWS-1251", "", "\xff\xfe" "a\xd0", "??a?" },
    { "NO-SUCH", "83", "\xd0\x96", "\xd0\x96" },
    { "", "", "\xd0\x96", "\xd0\x96" },
    { NULL, NULL, NULL, NULL }
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


/* ids and texts */

static const unit_pair_t  unit_commands[] = {
    { "7", "DATA UPDATE USERINFO PIN=1\tName=\xe5\xbc\xa0" },
    { "999999999", "DATA UPDATE IDCARD PIN=1\tName=\xe5\xbc\xa0" },
    { "0", "DATA UPDATE SMS MSG=\xff\xe4\xbc\x9f" },
    { "8", "LOG" },
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
    unit_test_decode();
    unit_test_commands();
    unit_test_base64();
}


static void
unit_set(ngx_str_t *s, const char *text)
{
    s->data = (u_char *) text;
    s->len = ngx_strlen(text);
}


static ngx_uint_t
unit_same(const ngx_str_t *s, const char *text)
{
    return s->len == ngx_strlen(text)
           && ngx_memcmp(s->data, text, s->len) == 0;
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

        unit_ok(unit_same(&lower, v->lower), "version: \"%s\" and \"%s\"",
                v->device, v->server);
    }
}


static void
unit_test_names(void)
{
    ngx_str_t                  s;
    const unit_pair_t         *p;
    const ngx_iclock_table_t  *table;

    for (p = unit_table_names; p->key; p++) {

        unit_set(&s, p->key);
        table = ngx_iclock_find_table(&s);

        unit_ok(p->value ? table
                           && ngx_strcmp(table->name.data, p->value) == 0
                         : table == NULL,
                "table: \"%s\"", p->key);
    }
}


static void
unit_test_encode(void)
{
    ngx_int_t           rc;
    ngx_str_t           text, name, language;
    ngx_pool_t         *pool;
    const unit_sent_t  *e;

    pool = unit_pool();

    for (e = unit_sent; e->encoding; e++) {

        unit_set(&name, e->encoding);
        unit_set(&language, e->language);
        unit_set(&text, e->text);

        rc = ngx_iclock_encode_text(&text,
                                    ngx_iclock_encoding(&name, &language),
                                    pool);

        unit_ok(rc == NGX_OK && unit_same(&text, e->sent),
                "encode: \"%s\" in \"%s%s\"", e->sent, e->encoding,
                e->language);
    }

    ngx_destroy_pool(pool);
}


static void
unit_test_decode(void)
{
    u_char                 got[256];
    ngx_pool_t            *pool;
    const unit_decoded_t  *d;

    pool = unit_pool();

    for (d = unit_decoded; d->encoding; d++) {

        unit_read_names(got, d, pool);

        unit_ok(ngx_strcmp(got, d->names ? d->names : "") == 0,
                "decode: \"%s\" in \"%s%s\"", d->sent, d->encoding,
                d->language);
    }

    ngx_destroy_pool(pool);
}


/* an upload of users, whose names are put together again */

static void
unit_read_names(u_char *got, const unit_decoded_t *d, ngx_pool_t *pool)
{
    u_char                *p;
    ngx_str_t              name, language, body;
    ngx_uint_t             i;
    const char            *sent;
    ngx_iclock_item_t     *items;
    ngx_iclock_upload_t    upload;
    ngx_iclock_record_t    record;
    ngx_iclock_context_t   context;

    unit_set(&name, d->encoding);
    unit_set(&language, d->language);

    ngx_memzero(&context, sizeof(context));
    context.encoding = ngx_iclock_encoding(&name, &language);

    body.data = ngx_pnalloc(pool, 1024);
    p = ngx_cpymem(body.data, "USER PIN=1\tName=", 16);

    for (sent = d->sent; *sent; sent++) {

        if (*sent == '|') {
            p = ngx_cpymem(p, "\nUSER PIN=1\tName=", 17);

        } else {
            *p++ = *sent;
        }
    }

    /* these are UTF-8 and decide nothing */
    p = ngx_cpymem(p, "\nIDCARD IDNum=1\tName=\xe5\xbc\xa0\n", 24);

    body.len = p - body.data;

    unit_split(&upload, "OPERLOG", &body, &context, pool);

    items = upload.items.elts;

    for (i = 0; i < upload.items.nelts; i++) {

        (void) ngx_iclock_parse_item(&record, &items[i], &context, pool);

        if (record.kind == NGX_ICLOCK_IDENTITY_CARD) {
            unit_ok(unit_same(&record.values[4].text, "\xe5\xbc\xa0"),
                    "decode: identity card in \"%s%s\"", d->encoding,
                    d->language);
            continue;
        }

        if (i) {
            *got++ = '|';
        }

        got = ngx_cpymem(got, record.values[1].text.data,
                         record.values[1].text.len);
    }

    *got = '\0';
}


/* each for itself, and identity cards in UTF-8 */

static void
unit_test_commands(void)
{
    ngx_str_t              reply, name, language;
    ngx_pool_t            *pool;
    ngx_array_t           *commands;
    const unit_pair_t     *p;
    ngx_iclock_command_t  *c;

    pool = unit_pool();
    commands = ngx_array_create(pool, 4, sizeof(ngx_iclock_command_t));

    for (p = unit_commands; p->key; p++) {
        c = ngx_array_push(commands);
        unit_set(&c->id, p->key);
        unit_set(&c->text, p->value);
    }

    unit_set(&name, "");
    unit_set(&language, "83");

    (void) ngx_iclock_write_commands(&reply, commands,
                                     ngx_iclock_encoding(&name, &language),
                                     pool);

    unit_is((char *) reply.data, reply.len,
            "C:7:DATA UPDATE USERINFO PIN=1\tName=\xd5\xc5\n"
            "C:999999999:DATA UPDATE IDCARD PIN=1\tName=\xe5\xbc\xa0\n"
            "C:0:DATA UPDATE SMS MSG=?\xce\xb0\n"
            "C:8:LOG\n",
            "commands: encoded one by one");

    ngx_destroy_pool(pool);
}


/* each character at each place, against the decoder of nginx */

static void
unit_test_base64(void)
{
    u_char       text[12], expected[12];
    ngx_int_t    rc, expected_rc;
    ngx_str_t    src, dst, wanted;
    ngx_uint_t   len, i, ch, differ;
    ngx_pool_t  *pool;

    for (len = 0; len <= sizeof(text); len++) {

        pool = unit_pool();
        differ = 0;

        for (i = 0; i < ngx_max(len, 1); i++) {
            for (ch = 0; ch < 256; ch++) {

                ngx_memcpy(text, "QUJDREVGR0hJ", sizeof(text));

                if (len) {
                    text[i] = (u_char) ch;
                }

                src.data = text;
                src.len = len;
                wanted.data = expected;

                expected_rc = (ngx_strlchr(text, text + len, '=') == NULL)
                              ? ngx_decode_base64(&wanted, &src) : NGX_ERROR;

                if (ch == '=' && len && i == len - 1) {
                    src.len--;
                    expected_rc = ngx_decode_base64(&wanted, &src);
                    src.len++;
                }

                rc = ngx_iclock_decode_base64(&dst, &src, pool);

                if ((rc == NGX_OK) != (expected_rc == NGX_OK)
                    || (rc == NGX_OK
                        && (dst.len != wanted.len
                            || ngx_memcmp(dst.data, expected, dst.len) != 0)))
                {
                    differ++;
                }
            }
        }

        unit_ok(differ == 0, "base64: %u characters", (unsigned) len);

        ngx_destroy_pool(pool);
    }
}
