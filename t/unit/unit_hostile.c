
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


/*
 * Large bodies made to be slow: the parsers must read each in a time that
 * grows with its size only.
 */


#include "unit.h"


#define UNIT_HOSTILE_SIZE     (1024 * 1024)
/* of the processor, with sanitizers; quadratic time takes much more */
#define UNIT_HOSTILE_SECONDS  5


typedef struct {
    const char   *name;
    ngx_str_t     head;
    ngx_str_t     piece;    /* repeated */
} unit_hostile_t;


static void unit_hostile(const char *table, const unit_hostile_t *h);


static const char  *unit_hostile_tables[] = {
    "ATTLOG", "OPERLOG", "ATTPHOTO", "options", "USERINFO", "BIODATA",
    "USERPIC", "IDCARD", "FOO", ":info", ":replies", NULL
};


static const unit_hostile_t  unit_hostiles[] = {
    { "one letter", ngx_null_string, unit_string("a") },
    { "newlines", ngx_null_string, unit_string("a\n") },
    { "NULs", ngx_null_string, unit_string("\0") },
    { "NULs in lines", unit_string("a"), unit_string("\0\r\n") },
    { "spaces", ngx_null_string, unit_string("a ") },
    { "TABs", ngx_null_string, unit_string("\t") },
    { "only spaces", unit_string("USER PIN=1 Name=x"), unit_string(" ") },
    { "commas", unit_string("A=1"), unit_string(",a") },
    { "options", unit_string("A=1"), unit_string(",a=") },
    { "keys", unit_string("USER"), unit_string(" PIN=1") },
    { "almost keys", unit_string("USER PIN=1"), unit_string(" PIN") },
    { "keys with TABs", unit_string("USER PIN=1"), unit_string("\tPIN=1") },
    { "names", unit_string("USER PIN=1"), unit_string("\tName=\xd6\xd0") },
    { "bad numbers", unit_string("USER PIN=1"), unit_string("\tPri=x") },
    { "templates", unit_string("FP PIN=1"), unit_string("\tTMP=QUJD") },
    { "base64", unit_string("FP PIN=1\tTMP="), unit_string("QUJD") },
    { "photo", unit_string("PIN=1\nCMD=uploadphoto"), unit_string("QUJD") },
    { "almost JPEG", unit_string("PIN=1\n"), unit_string("\xff\xd8") },
    { "punches", ngx_null_string, unit_string("1\t2026-01-01 00:00:00\n") },
    { "ampersands", unit_string("ID=1"), unit_string("&") },
    { "fields", unit_string("ID=1"), unit_string("&CMD=INFO") },
    { "contents", unit_string("ID=1"), unit_string("&Content=a") },
    { "info", unit_string("ID=1&CMD=INFO\n"), unit_string("A=b&c\n") },
    { "info contents", unit_string("ID=1&CMD=INFO"),
      unit_string("\nContent=A=1,B=2") },
    { "replies", ngx_null_string, unit_string("ID=1\n") },
    { "digits", unit_string("1\t2026-01-01 00:00:00\t"), unit_string("9") },
    { NULL, ngx_null_string, ngx_null_string }
};


void
unit_test_hostile(void)
{
    ngx_uint_t             i;
    const unit_hostile_t  *h;

    for (i = 0; unit_hostile_tables[i]; i++) {
        for (h = unit_hostiles; h->name; h++) {
            unit_hostile(unit_hostile_tables[i], h);
        }
    }
}


static void
unit_hostile(const char *table, const unit_hostile_t *h)
{
    u_char                *p;
    clock_t                start, spent;
    ngx_str_t              body;
    ngx_iclock_context_t   context;

    ngx_memzero(&context, sizeof(context));
    context.encoding = NGX_ICLOCK_GB18030;

    start = clock();

    body.data = malloc(UNIT_HOSTILE_SIZE);

    p = ngx_cpymem(body.data, h->head.data, h->head.len);

    while (p + h->piece.len <= body.data + UNIT_HOSTILE_SIZE) {
        p = ngx_cpymem(p, h->piece.data, h->piece.len);
    }

    body.len = p - body.data;

    (void) unit_read(unit_sink(), table, &body, &context);

    free(body.data);

    spent = (clock() - start) / CLOCKS_PER_SEC;

    unit_ok(spent < UNIT_HOSTILE_SECONDS,
            "hostile: %s as %s", h->name, table);
}
