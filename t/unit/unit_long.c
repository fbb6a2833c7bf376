
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


/* records that are longer than what is read of one */


#include "unit.h"


/* so many times the piece, between head and tail; how the records begin */
typedef struct {
    const char   *name;
    const char   *table;
    const char   *head;
    const char   *piece;
    ngx_uint_t    times;
    const char   *tail;
    const char   *expected;
} unit_long_t;


static void unit_long(const unit_long_t *l);


static const unit_long_t  unit_longs[] = {

    { "fields of a reply", ":replies",
      "ID=1", "&a", 8190, "&Return=5",
      "reply command_id=1 return_code=5 reply=" },

    { "one more is not looked at", ":replies",
      "ID=1", "&a", 8191, "&Return=5",
      "reply command_id=1 reply=" },

    { "options in a line of a reply", ":replies",
      "ID=1&CMD=INFO", "&a=b", 16380, "&c=",
      "option name='a' value='b'\n" },

    { "a longer line", ":replies",
      "ID=1&CMD=INFO", "&a=b", 16380, "&cd=",
      "rejected (line is too long): ID=1&CMD=INFO" },

    { "a line of it has no options for commas either", ":replies",
      "ID=1&CMD=INFO\nContent=a=b", ",a=b", 16382, "",
      "rejected (line is too long): Content=a=b" },

    { "a file is of any length", ":replies",
      "ID=1&FILENAME=a&Return=5&Content=", "&", 70000, "",
      "reply command_id=1 return_code=5 reply=" },

    { "lines before a photo", "ATTPHOTO",
      "PIN=1\n", "a=1\n", 8188, "photo=QUJD",
      "photo kind='attendance' file_name=" },

    { "one more", "ATTPHOTO",
      "PIN=1\n", "a=1\n", 8189, "photo=QUJD",
      "rejected (too many words): PIN=1" },

    { "empty lines before a photo", "ATTPHOTO",
      "PIN=1\n", "\n", 8189, "photo=QUJD",
      "rejected (too many words): PIN=1" },

    { "what may begin a JPEG", "ATTPHOTO",
      "PIN=1\nSN=", "\xff", 8191, "\xff\xd8\xff",
      "photo kind='attendance' file_name=" },

    { "is looked for so often", "ATTPHOTO",
      "PIN=1\nSN=", "\xff", 8192, "\xff\xd8\xff",
      "rejected (content is empty): PIN=1" },

    { "a text in a long line", "IDCARD",
      "IDNum=1\tName=", "a", 65536, "",
      "identity_card id_number='1' name='a" },

    { "a longer one", "IDCARD",
      "IDNum=1\tName=", "a", 65537, "",
      "identity_card id_number='1' (name is too long)\n" },

    { "another one of a reply", ":replies",
      "ID=1&CMD=", "a", 65537, "",
      "reply command_id=1 (command is too long)\n" },

    { NULL, NULL, NULL, NULL, 0, NULL, NULL }
};


void
unit_test_long(void)
{
    const unit_long_t  *l;

    for (l = unit_longs; l->name; l++) {
        unit_long(l);
    }
}


static void
unit_long(const unit_long_t *l)
{
    char        *got;
    FILE        *out;
    size_t       len, n;
    u_char      *p;
    ngx_str_t    body;
    ngx_uint_t   i;

    static const ngx_iclock_context_t  context = unit_no_context;

    n = ngx_strlen(l->piece);

    body.len = ngx_strlen(l->head) + n * l->times + ngx_strlen(l->tail);
    body.data = malloc(body.len);

    p = ngx_cpymem(body.data, l->head, ngx_strlen(l->head));

    for (i = 0; i < l->times; i++) {
        p = ngx_cpymem(p, l->piece, n);
    }

    ngx_memcpy(p, l->tail, ngx_strlen(l->tail));

    out = open_memstream(&got, &len);
    (void) unit_read(out, l->table, &body, &context);
    fclose(out);

    unit_is(got, ngx_min(len, ngx_strlen(l->expected)), l->expected, l->name);

    free(got);
    free(body.data);
}
