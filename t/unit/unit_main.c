
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


#include "unit.h"


/* the tests of one file, by its name: a table of bodies, or a function */
typedef struct {
    const char         *name;
    const unit_case_t  *cases;
    void              (*test)(void);
} unit_file_t;


static ngx_uint_t unit_known(const char *name);
static ngx_uint_t unit_wanted(const char *name, char **names);
static void unit_run_cases(const unit_case_t *cases);
static void unit_run_cut(const unit_case_t *cases);
static void unit_comment(const char *p, size_t len);


static ngx_uint_t  unit_number;
static ngx_uint_t  unit_failed;


static const unit_file_t  unit_files[] = {
    { "attlog", unit_attlog_cases, NULL },
    { "operlog", unit_operlog_cases, NULL },
    { "records", unit_record_cases, NULL },
    { "photo", unit_photo_cases, NULL },
    { "options", unit_option_cases, NULL },
    { "reply", unit_reply_cases, NULL },
    { "packet", NULL, unit_test_packet },
    { "text", NULL, unit_test_text },
    { "handshake", NULL, unit_test_handshake },
    { "hostile", NULL, unit_test_hostile },
    { "long", NULL, unit_test_long },
    { "hook", NULL, unit_test_hook },
    { NULL, NULL, NULL }
};


/* usage: run [file ...]: "run attlog text" runs those of two files */

int
main(int argc, char **argv)
{
    char               **name;
    const unit_file_t   *f;

    for (name = argv + 1; *name; name++) {
        if (!unit_known(*name)) {
            fprintf(stderr, "no unit tests \"%s\"\n", *name);
            return 2;
        }
    }

    /* what was tested last is known after a crash */
    (void) setvbuf(stdout, NULL, _IOLBF, 0);

    for (f = unit_files; f->name; f++) {

        if (!unit_wanted(f->name, argv + 1)) {
            continue;
        }

        if (f->cases) {
            unit_run_cases(f->cases);
            unit_run_cut(f->cases);

        } else {
            f->test();
        }
    }

    printf("1..%u\n", (unsigned) unit_number);

    return unit_failed != 0;
}


static ngx_uint_t
unit_known(const char *name)
{
    const unit_file_t  *f;

    for (f = unit_files; f->name; f++) {
        if (ngx_strcmp(f->name, name) == 0) {
            return 1;
        }
    }

    return 0;
}


/* without names all are */

static ngx_uint_t
unit_wanted(const char *name, char **names)
{
    if (*names == NULL) {
        return 1;
    }

    for ( /* void */ ; *names; names++) {
        if (ngx_strcmp(name, *names) == 0) {
            return 1;
        }
    }

    return 0;
}


static void
unit_run_cases(const unit_case_t *cases)
{
    char               *got;
    FILE               *out;
    size_t              len;
    ngx_uint_t          lines;
    const unit_case_t  *c;

    for (c = cases; c->name; c++) {

        out = open_memstream(&got, &len);
        lines = unit_read(out, c->table, &c->body, &c->context);

        fclose(out);

        unit_is(got, len, c->expected, c->name);
        unit_ok(lines == c->lines, "%s: %u lines, read %u", c->name,
                (unsigned) c->lines, (unsigned) lines);

        free(got);
    }
}


/* a body may end anywhere */

static void
unit_run_cut(const unit_case_t *cases)
{
    ngx_str_t           body;
    const unit_case_t  *c;

    for (c = cases; c->name; c++) {

        for (body = c->body; body.len; body.len--) {
            (void) unit_read(unit_sink(), c->table, &body, &c->context);
        }

        unit_ok(1, "%s: cut anywhere", c->name);
    }
}


void
unit_ok(ngx_uint_t ok, const char *format, ...)
{
    va_list  args;

    unit_number++;
    unit_failed += !ok;

    printf("%sok %u - ", ok ? "" : "not ", (unsigned) unit_number);

    va_start(args, format);
    vprintf(format, args);
    va_end(args);

    printf("\n");
}


void
unit_is(const char *got, size_t len, const char *expected, const char *name)
{
    ngx_uint_t  ok;

    ok = (len == ngx_strlen(expected)
          && ngx_memcmp(got, expected, len) == 0);

    unit_ok(ok, "%s", name);

    if (!ok) {
        printf("# expected:\n");
        unit_comment(expected, ngx_strlen(expected));
        printf("# got:\n");
        unit_comment(got, len);
    }
}


static void
unit_comment(const char *p, size_t len)
{
    size_t  i;

    for (i = 0; i < len; i++) {

        if (i == 0 || p[i - 1] == '\n') {
            printf("#   ");
        }

        putchar(p[i]);
    }

    if (len && p[len - 1] != '\n') {
        printf("\n");
    }
}
