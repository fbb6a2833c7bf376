
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


/*
 * Data packets, attendance PUSH 2.4.1, section 11.14: a body that is a tar
 * archive packed by gzip, whose files hold the lines of an upload.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <archive.h>
#include <archive_entry.h>
#include "iclock_proto.h"
#include "iclock_proto_private.h"


/*
 * A packet that unpacks to more is refused, as is one of more files.  Lines of
 * records shrink to a tenth or so; what shrinks to much less is made to keep
 * a worker busy.
 */
#define NGX_ICLOCK_PACKET_SIZE   (16 * 1024 * 1024)
#define NGX_ICLOCK_PACKET_SMALL  (64 * 1024)
#define NGX_ICLOCK_PACKET_RATIO  64
#define NGX_ICLOCK_PACKET_FILES  64

#define NGX_ICLOCK_PACKET_READ   65536


typedef struct {
    ngx_str_t                body;       /* what libarchive has not had yet */
    ngx_str_t                text;
    size_t                   size;       /* allocated */
    size_t                   max;        /* of the text */
    ngx_uint_t               files;
    const ngx_iclock_tag_t  *refused;    /* why; NULL: it is not */
    ngx_pool_t              *pool;
} ngx_iclock_packet_t;


static ngx_int_t ngx_iclock_unpack(ngx_iclock_packet_t *packet,
    ngx_str_t *body);
static la_ssize_t ngx_iclock_packet_read(struct archive *a, void *data,
    const void **buf);
static ngx_int_t ngx_iclock_packet_failed(ngx_iclock_packet_t *packet,
    struct archive *a);
static ngx_int_t ngx_iclock_unpack_entries(ngx_iclock_packet_t *packet,
    struct archive *a, struct archive_entry *entry);
static ngx_int_t ngx_iclock_unpack_entry(ngx_iclock_packet_t *packet,
    struct archive *a);
static const ngx_iclock_tag_t *ngx_iclock_check_entry(
    struct archive_entry *entry);
static ngx_int_t ngx_iclock_packet_room(ngx_iclock_packet_t *packet);


static const ngx_iclock_tag_t  ngx_iclock_not_packet_tag =
    ngx_iclock_rejected_tag("not a packet of tar and gzip");

static const ngx_iclock_tag_t  ngx_iclock_large_packet_tag =
    ngx_iclock_rejected_tag("packet is too large");

static const ngx_iclock_tag_t  ngx_iclock_many_files_tag =
    ngx_iclock_rejected_tag("packet has too many files");

static const ngx_iclock_tag_t  ngx_iclock_bad_path_tag =
    ngx_iclock_rejected_tag("packet has a path that leads out of it");

static const ngx_iclock_tag_t  ngx_iclock_bad_file_tag =
    ngx_iclock_rejected_tag("packet has something else than plain files");

static const ngx_iclock_tag_t  ngx_iclock_nested_tag =
    ngx_iclock_rejected_tag("packet has another packet in it");


ngx_int_t
ngx_iclock_split_packet(ngx_iclock_upload_t *upload,
    const ngx_iclock_table_t *table, ngx_str_t *body, ngx_pool_t *pool)
{
    ngx_iclock_packet_t  packet;

    ngx_memzero(&packet, sizeof(ngx_iclock_packet_t));

    packet.pool = pool;
    packet.max = ngx_min(NGX_ICLOCK_PACKET_SIZE,
                         NGX_ICLOCK_PACKET_SMALL
                         + NGX_ICLOCK_PACKET_RATIO * body->len);

    if (ngx_iclock_unpack(&packet, body) != NGX_OK) {
        return NGX_ERROR;
    }

    if (packet.refused == NULL) {
        return ngx_iclock_split_upload(upload, table, &packet.text, pool);
    }

    /* kept as a whole; it is acknowledged, or would come again for ever */

    if (ngx_iclock_init_upload(upload, 1, pool) != NGX_OK) {
        return NGX_ERROR;
    }

    if (body->len == 0) {
        return NGX_OK;
    }

    upload->lines = 1;

    return ngx_iclock_push_item(upload, packet.refused, body->data,
                                body->data + body->len);
}


static ngx_int_t
ngx_iclock_unpack(ngx_iclock_packet_t *packet, ngx_str_t *body)
{
    ngx_int_t              rc;
    struct archive        *a;
    struct archive_entry  *entry;

    a = archive_read_new();
    if (a == NULL) {
        return NGX_ERROR;
    }

    entry = archive_entry_new2(a);
    if (entry == NULL) {
        (void) archive_read_free(a);
        return NGX_ERROR;
    }

    packet->body = *body;

    /*
     * archive_read_open_memory() and archive_read_next_header() would crash
     * when they get no memory themselves
     */

    if (archive_read_support_filter_gzip(a) != ARCHIVE_OK
        || archive_read_support_format_tar(a) != ARCHIVE_OK
        || archive_read_set_read_callback(a, ngx_iclock_packet_read)
           != ARCHIVE_OK
        || archive_read_set_callback_data(a, packet) != ARCHIVE_OK
        || archive_read_open1(a) != ARCHIVE_OK)
    {
        rc = ngx_iclock_packet_failed(packet, a);

    } else {
        rc = ngx_iclock_unpack_entries(packet, a, entry);
    }

    archive_entry_free(entry);
    (void) archive_read_free(a);

    return rc;
}


static la_ssize_t
ngx_iclock_packet_read(struct archive *a, void *data, const void **buf)
{
    size_t                size;
    ngx_iclock_packet_t  *packet = data;

    size = packet->body.len;

    *buf = packet->body.data;
    packet->body.len = 0;

    return size;
}


/* what was not read for want of memory is not acknowledged */

static ngx_int_t
ngx_iclock_packet_failed(ngx_iclock_packet_t *packet, struct archive *a)
{
    if (archive_errno(a) == ENOMEM) {
        return NGX_ERROR;
    }

    packet->refused = &ngx_iclock_not_packet_tag;

    return NGX_OK;
}


static ngx_int_t
ngx_iclock_unpack_entries(ngx_iclock_packet_t *packet, struct archive *a,
    struct archive_entry *entry)
{
    int  rc;

    while (packet->refused == NULL) {

        rc = archive_read_next_header2(a, entry);

        if (rc == ARCHIVE_EOF) {

            if (packet->files == 0) {
                packet->refused = &ngx_iclock_not_packet_tag;
            }

            return NGX_OK;
        }

        if (rc != ARCHIVE_OK) {
            return ngx_iclock_packet_failed(packet, a);
        }

        if (++packet->files > NGX_ICLOCK_PACKET_FILES) {
            packet->refused = &ngx_iclock_many_files_tag;
            return NGX_OK;
        }

        packet->refused = ngx_iclock_check_entry(entry);

        if (packet->refused == NULL
            && archive_entry_filetype(entry) == AE_IFREG
            && ngx_iclock_unpack_entry(packet, a) != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


/* nothing is ever written to a path, but such an archive is no packet */

static const ngx_iclock_tag_t *
ngx_iclock_check_entry(struct archive_entry *entry)
{
    const char  *path, *p;

    path = archive_entry_pathname(entry);

    if (path == NULL || path[0] == '/') {
        return &ngx_iclock_bad_path_tag;
    }

    for (p = path; p; p = ngx_strchr(p, '/')) {

        while (*p == '/') {
            p++;
        }

        if (p[0] == '.' && p[1] == '.' && (p[2] == '/' || p[2] == '\0')) {
            return &ngx_iclock_bad_path_tag;
        }
    }

    if (archive_entry_hardlink(entry)
        || (archive_entry_filetype(entry) != AE_IFREG
            && archive_entry_filetype(entry) != AE_IFDIR))
    {
        return &ngx_iclock_bad_file_tag;
    }

    return NULL;
}


static ngx_int_t
ngx_iclock_unpack_entry(ngx_iclock_packet_t *packet, struct archive *a)
{
    u_char   *start;
    size_t    before;
    ssize_t   n;

    before = packet->text.len;

    for ( ;; ) {

        if (ngx_iclock_packet_room(packet) != NGX_OK) {
            return NGX_ERROR;
        }

        n = archive_read_data(a, packet->text.data + packet->text.len,
                              NGX_ICLOCK_PACKET_READ);

        if (n < 0) {
            return ngx_iclock_packet_failed(packet, a);
        }

        if (n == 0) {
            break;
        }

        packet->text.len += n;

        if (packet->text.len > packet->max) {
            packet->refused = &ngx_iclock_large_packet_tag;
            return NGX_OK;
        }
    }

    start = packet->text.data + before;

    if (packet->text.len - before > 2 && start[0] == 0x1f
        && start[1] == 0x8b)
    {
        packet->refused = &ngx_iclock_nested_tag;
        return NGX_OK;
    }

    /* the last line of a file may lack its end */

    packet->text.data[packet->text.len++] = LF;

    return NGX_OK;
}


/* room for one more read, and for a line end */

static ngx_int_t
ngx_iclock_packet_room(ngx_iclock_packet_t *packet)
{
    u_char  *p;
    size_t   size;

    if (packet->size - packet->text.len > NGX_ICLOCK_PACKET_READ) {
        return NGX_OK;
    }

    size = 2 * packet->size + 2 * NGX_ICLOCK_PACKET_READ;

    p = ngx_palloc(packet->pool, size);
    if (p == NULL) {
        return NGX_ERROR;
    }

    if (packet->text.len) {
        ngx_memcpy(p, packet->text.data, packet->text.len);
        (void) ngx_pfree(packet->pool, packet->text.data);
    }

    packet->text.data = p;
    packet->size = size;

    return NGX_OK;
}
