
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


/*
 * What a data packet takes from the pool, which counts against what may wait.
 * These are tar alone, which libarchive reads as well; t/packet.t has the
 * others.
 */


#include "unit.h"


#define UNIT_BLOCK  512


typedef struct {
    const char  *name;
    const char  *text;      /* of the only file */
    ngx_uint_t   items;
    size_t       held;      /* besides that of the items */
} unit_packet_t;


static void unit_test_packet_of(const unit_packet_t *p);
static void unit_pack(ngx_str_t *body, const char *text);


static const unit_packet_t  unit_packets[] = {
    { "lines", "USER PIN=1\nUSER PIN=2\n", 2, sizeof("USER PIN=1\n") * 2 - 1 },
    { "a line without an end", "USER PIN=1", 1, sizeof("USER PIN=1") },
    { "a packet in a packet", "\x1f\x8bUSER PIN=1\n", 1, 0 },
    { NULL, NULL, 0, 0 }
};


void
unit_test_packet(void)
{
    const unit_packet_t  *p;

    for (p = unit_packets; p->name; p++) {
        unit_test_packet_of(p);
    }
}


static void
unit_test_packet_of(const unit_packet_t *p)
{
    size_t                 held;
    ngx_str_t              body, name;
    ngx_pool_t            *pool;
    ngx_iclock_split_t    *split;
    ngx_iclock_upload_t    upload;
    ngx_iclock_context_t   context;

    pool = unit_pool();

    unit_pack(&body, p->text);
    ngx_str_set(&name, "OPERLOG");
    ngx_memzero(&context, sizeof(context));

    split = ngx_iclock_split_create_packed(&upload,
                                           ngx_iclock_find_table(&name),
                                           &body, &context, pool);

    while (ngx_iclock_split_step(split) == NGX_AGAIN) {
        /* void */
    }

    /* one that is refused has no items of its own: it is one */

    held = p->held ? p->held + p->items * sizeof(ngx_iclock_item_t) : 0;

    unit_ok(upload.items.nelts == p->items, "packet: %s: items", p->name);
    unit_ok(ngx_iclock_split_held(split) == held, "packet: %s: it holds %u",
            p->name, (unsigned) held);

    ngx_destroy_pool(pool);
    free(body.data);
}


static void
unit_pack(ngx_str_t *body, const char *text)
{
    u_char    *header;
    size_t     size, i;
    unsigned   sum;

    size = strlen(text);

    /* a header, the file, and the end */

    body->len = 4 * UNIT_BLOCK;
    body->data = calloc(1, body->len);

    header = body->data;

    (void) strcpy((char *) header, "lines");
    (void) strcpy((char *) header + 100, "0000644");
    (void) sprintf((char *) header + 124, "%011o", (unsigned) size);
    (void) strcpy((char *) header + 136, "00000000000");
    ngx_memset(header + 148, ' ', 8);
    header[156] = '0';
    ngx_memcpy(header + 257, "ustar\00000", 8);

    sum = 0;

    for (i = 0; i < UNIT_BLOCK; i++) {
        sum += header[i];
    }

    (void) sprintf((char *) header + 148, "%06o", sum);

    ngx_memcpy(body->data + UNIT_BLOCK, text, size);
}
