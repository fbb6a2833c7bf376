
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

/* so much is unpacked by one call of libarchive */
#define NGX_ICLOCK_PACKET_READ   65536

/*
 * It gets the packet in pieces, each of which becomes a thousand times as much
 * at most.  What brings a worker no further with so many bytes of it, or with
 * so many that are unpacked, is made to keep it busy.
 */
#define NGX_ICLOCK_PACKET_PIECE  512
#define NGX_ICLOCK_PACKET_TAKEN  (2 * NGX_ICLOCK_PACKET_READ)
#define NGX_ICLOCK_PACKET_GIVEN  (4 * NGX_ICLOCK_PACKET_READ)


struct ngx_iclock_packet_s {
    ngx_str_t                body;       /* what libarchive has not had yet */
    ngx_str_t                text;
    size_t                   max;        /* of the text */
    size_t                   taken;      /* of the body, by this call */
    la_int64_t               given;      /* unpacked, before this call */
    size_t                   before;     /* the text before this file */
    ngx_uint_t               files;
    const ngx_iclock_tag_t  *refused;    /* why; NULL: it is not */
    struct archive          *archive;
    struct archive_entry    *entry;
    ngx_pool_t              *pool;
    unsigned                 inside:1;   /* a file */
};


static void ngx_iclock_packet_call(ngx_iclock_packet_t *packet);
static ngx_int_t ngx_iclock_packet_open(ngx_iclock_packet_t *packet);
static void ngx_iclock_packet_close(void *data);
static la_ssize_t ngx_iclock_packet_read(struct archive *a, void *data,
    const void **buf);
static ngx_int_t ngx_iclock_packet_failed(ngx_iclock_packet_t *packet);
static ngx_int_t ngx_iclock_unpack_header(ngx_iclock_packet_t *packet);
static const ngx_iclock_tag_t *ngx_iclock_check_entry(
    struct archive_entry *entry);
static ngx_int_t ngx_iclock_unpack_data(ngx_iclock_packet_t *packet);
static void ngx_iclock_unpacked_file(ngx_iclock_packet_t *packet);


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


ngx_iclock_packet_t *
ngx_iclock_packet_create(ngx_str_t *body, ngx_pool_t *pool)
{
    ngx_pool_cleanup_t   *cln;
    ngx_iclock_packet_t  *packet;

    cln = ngx_pool_cleanup_add(pool, sizeof(ngx_iclock_packet_t));
    if (cln == NULL) {
        return NULL;
    }

    packet = cln->data;

    ngx_memzero(packet, sizeof(ngx_iclock_packet_t));

    cln->handler = ngx_iclock_packet_close;

    packet->body = *body;
    packet->pool = pool;
    packet->max = ngx_min(NGX_ICLOCK_PACKET_SIZE,
                          NGX_ICLOCK_PACKET_SMALL
                          + NGX_ICLOCK_PACKET_RATIO * body->len);

    return packet;
}


ngx_int_t
ngx_iclock_packet_step(ngx_iclock_packet_t *packet)
{
    size_t     start;
    ngx_int_t  rc;

    if (packet->archive == NULL) {
        rc = ngx_iclock_packet_open(packet);

    } else if (!packet->inside) {
        ngx_iclock_packet_call(packet);
        rc = ngx_iclock_unpack_header(packet);

    } else {
        start = packet->text.len;

        do {
            ngx_iclock_packet_call(packet);
            rc = ngx_iclock_unpack_data(packet);
        } while (rc == NGX_AGAIN && packet->inside
                 && packet->text.len - start < NGX_ICLOCK_STEP_BYTES);
    }

    if (rc != NGX_AGAIN) {
        ngx_iclock_packet_close(packet);
    }

    if (packet->refused) {
        /* the packet itself is what is kept, for as long as it takes */
        (void) ngx_pfree(packet->pool, packet->text.data);
        ngx_str_null(&packet->text);
    }

    return rc;
}


/* libarchive is about to be called */

static void
ngx_iclock_packet_call(ngx_iclock_packet_t *packet)
{
    packet->taken = 0;
    packet->given = archive_filter_bytes(packet->archive, 0);
}


const ngx_iclock_tag_t *
ngx_iclock_packet_text(ngx_iclock_packet_t *packet, ngx_str_t *text)
{
    *text = packet->text;

    return packet->refused;
}


/*
 * The text has all its room at once: it could not grow without being copied.
 * Pages that it does not need are never touched.
 */

static ngx_int_t
ngx_iclock_packet_open(ngx_iclock_packet_t *packet)
{
    struct archive  *a;

    packet->text.data = ngx_palloc(packet->pool, packet->max
                                                 + NGX_ICLOCK_PACKET_READ
                                                 + NGX_ICLOCK_PACKET_FILES);
    if (packet->text.data == NULL) {
        return NGX_ERROR;
    }

    a = archive_read_new();
    if (a == NULL) {
        return NGX_ERROR;
    }

    packet->archive = a;

    packet->entry = archive_entry_new2(a);
    if (packet->entry == NULL) {
        return NGX_ERROR;
    }

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
        return ngx_iclock_packet_failed(packet);
    }

    return NGX_AGAIN;
}


/* also when the pool is destroyed before all is unpacked */

static void
ngx_iclock_packet_close(void *data)
{
    ngx_iclock_packet_t *packet = data;

    if (packet->entry) {
        archive_entry_free(packet->entry);
        packet->entry = NULL;
    }

    if (packet->archive) {
        (void) archive_read_free(packet->archive);
        packet->archive = NULL;
    }
}


static la_ssize_t
ngx_iclock_packet_read(struct archive *a, void *data, const void **buf)
{
    size_t                size;
    ngx_iclock_packet_t  *packet = data;

    if (packet->taken >= NGX_ICLOCK_PACKET_TAKEN
        || archive_filter_bytes(a, 0) - packet->given
           > NGX_ICLOCK_PACKET_GIVEN)
    {
        archive_set_error(a, EINVAL, "too little in too many bytes");
        return ARCHIVE_FATAL;
    }

    size = ngx_min(packet->body.len, NGX_ICLOCK_PACKET_PIECE);

    *buf = packet->body.data;

    packet->body.data += size;
    packet->body.len -= size;
    packet->taken += size;

    return size;
}


/* what was not read for want of memory is not acknowledged */

static ngx_int_t
ngx_iclock_packet_failed(ngx_iclock_packet_t *packet)
{
    if (archive_errno(packet->archive) == ENOMEM) {
        return NGX_ERROR;
    }

    packet->refused = &ngx_iclock_not_packet_tag;

    return NGX_OK;
}


static ngx_int_t
ngx_iclock_unpack_header(ngx_iclock_packet_t *packet)
{
    int  rc;

    rc = archive_read_next_header2(packet->archive, packet->entry);

    if (rc == ARCHIVE_EOF) {

        if (packet->files == 0) {
            packet->refused = &ngx_iclock_not_packet_tag;
        }

        return NGX_OK;
    }

    if (rc != ARCHIVE_OK) {
        return ngx_iclock_packet_failed(packet);
    }

    if (++packet->files > NGX_ICLOCK_PACKET_FILES) {
        packet->refused = &ngx_iclock_many_files_tag;
        return NGX_OK;
    }

    packet->refused = ngx_iclock_check_entry(packet->entry);

    if (packet->refused) {
        return NGX_OK;
    }

    packet->before = packet->text.len;
    packet->inside = (archive_entry_filetype(packet->entry) == AE_IFREG);

    return NGX_AGAIN;
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
ngx_iclock_unpack_data(ngx_iclock_packet_t *packet)
{
    ssize_t  n;

    n = archive_read_data(packet->archive,
                          packet->text.data + packet->text.len,
                          NGX_ICLOCK_PACKET_READ);

    if (n < 0) {
        return ngx_iclock_packet_failed(packet);
    }

    if (n == 0) {
        ngx_iclock_unpacked_file(packet);

    } else {
        packet->text.len += n;

        if (packet->text.len > packet->max) {
            packet->refused = &ngx_iclock_large_packet_tag;
        }
    }

    return packet->refused ? NGX_OK : NGX_AGAIN;
}


static void
ngx_iclock_unpacked_file(ngx_iclock_packet_t *packet)
{
    u_char  *start;

    packet->inside = 0;

    start = packet->text.data + packet->before;

    if (packet->text.len - packet->before > 2 && start[0] == 0x1f
        && start[1] == 0x8b)
    {
        packet->refused = &ngx_iclock_nested_tag;
        return;
    }

    /* the last line of a file may lack its end */

    packet->text.data[packet->text.len++] = LF;
}
