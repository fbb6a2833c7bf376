
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


/*
 * The reply to a handshake, attendance PUSH 2.4.1, section 5.  Old firmware
 * drops lines that are too long and a last line without its newline, and
 * obeys some lines that must never come from outside text.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include "iclock_proto.h"
#include "iclock_proto_private.h"


/* the longest line, with its LF */
#define NGX_ICLOCK_MAX_LINE        1024

/* more than all the lines with values of a fixed length take */
#define NGX_ICLOCK_HANDSHAKE_SIZE  2048

/* components of a protocol version, and their digits */
#define NGX_ICLOCK_VERSION_PARTS   4
#define NGX_ICLOCK_VERSION_DIGITS  6


typedef struct {
    ngx_str_t     name;         /* of the line, with the "=" */
    ngx_str_t     table;        /* whose stamp it is */
} ngx_iclock_stamp_line_t;


static size_t ngx_iclock_handshake_size(ngx_iclock_handshake_t *handshake);
static u_char *ngx_iclock_write_stamps(u_char *p,
    const ngx_iclock_stamp_line_t *lines, ngx_array_t *stamps);
static u_char *ngx_iclock_write_line(u_char *p, const char *name,
    const ngx_str_t *value);
static u_char *ngx_iclock_write_number(u_char *p, const char *name,
    int64_t value);
static u_char *ngx_iclock_write_list(u_char *p, const char *name,
    const ngx_str_t *value);
static u_char *ngx_iclock_write_trans_flag(u_char *p, ngx_uint_t style,
    ngx_uint_t words);
static u_char *ngx_iclock_write_timezone(u_char *p, ngx_int_t offset);
static ngx_uint_t ngx_iclock_parse_version(ngx_str_t *version,
    ngx_str_t *text, ngx_int_t *parts);


/* the digits of TransFlag stand for these, section 5 */

const ngx_str_t  ngx_iclock_trans_words[] = {
    ngx_string("AttLog"),
    ngx_string("OpLog"),
    ngx_string("AttPhoto"),
    ngx_string("EnrollFP"),
    ngx_string("EnrollUser"),
    ngx_string("FPImag"),
    ngx_string("ChgUser"),
    ngx_string("ChgFP"),
    ngx_string("FACE"),
    ngx_string("UserPic"),
    ngx_string("WORKCODE"),
    ngx_string("BioPhoto"),
    ngx_null_string
};


/* the stamps of the first protocol */

static const ngx_iclock_stamp_line_t  ngx_iclock_bare_stamps[] = {
    { ngx_string("Stamp="), ngx_string("ATTLOG") },
    { ngx_string("OpStamp="), ngx_string("OPERLOG") },
    { ngx_string("PhotoStamp="), ngx_string("ATTPHOTO") },
    { ngx_null_string, ngx_null_string }
};


static const ngx_iclock_stamp_line_t  ngx_iclock_table_stamps[] = {
    { ngx_string("ATTLOGStamp="), ngx_string("ATTLOG") },
    { ngx_string("OPERLOGStamp="), ngx_string("OPERLOG") },
    { ngx_string("ATTPHOTOStamp="), ngx_string("ATTPHOTO") },
    { ngx_string("BIODATAStamp="), ngx_string("BIODATA") },
    { ngx_string("IDCARDStamp="), ngx_string("IDCARD") },
    { ngx_string("ERRORLOGStamp="), ngx_string("ERRORLOG") },
    { ngx_null_string, ngx_null_string }
};


ngx_int_t
ngx_iclock_handshake_reply(ngx_str_t *reply,
    ngx_iclock_handshake_t *handshake, ngx_pool_t *pool)
{
    u_char     *p;
    ngx_str_t   version;

    p = ngx_pnalloc(pool, ngx_iclock_handshake_size(handshake));
    if (p == NULL) {
        return NGX_ERROR;
    }

    reply->data = p;

    version = ngx_iclock_lower_version(&handshake->device_version,
                                       &handshake->server_version);

    p = ngx_iclock_write_line(p, "GET OPTION FROM: ",
                              &handshake->serial_number);

    if (handshake->bare_stamps) {
        p = ngx_iclock_write_stamps(p, ngx_iclock_bare_stamps,
                                    handshake->stamps);
    }

    p = ngx_iclock_write_stamps(p, ngx_iclock_table_stamps,
                                handshake->stamps);

    p = ngx_iclock_write_number(p, "ErrorDelay=", handshake->error_delay);
    p = ngx_iclock_write_number(p, "Delay=", handshake->delay);
    p = ngx_iclock_write_line(p, "TransTimes=", &handshake->trans_times);
    p = ngx_iclock_write_number(p, "TransInterval=",
                                (int64_t) handshake->trans_interval);
    p = ngx_iclock_write_trans_flag(p, handshake->trans_style,
                                    handshake->trans_words);

    if (handshake->send_timezone) {
        p = ngx_iclock_write_timezone(p, handshake->utc_offset);
    }

    p = ngx_iclock_write_number(p, "Realtime=", handshake->realtime != 0);
    p = ngx_iclock_write_number(p, "Encrypt=", 0);
    p = ngx_iclock_write_line(p, "ServerVer=", &handshake->server_version);
    p = ngx_iclock_write_line(p, "PushProtVer=", &version);
    p = ngx_iclock_write_number(p, "PushOptionsFlag=", 1);

    p = ngx_iclock_write_list(p, "PushOptions=", &handshake->push_options);
    p = ngx_iclock_write_list(p, "MultiBioDataSupport=",
                              &handshake->multi_bio_data);
    p = ngx_iclock_write_list(p, "MultiBioPhotoSupport=",
                              &handshake->multi_bio_photo);

    reply->len = p - reply->data;

    return NGX_OK;
}


/* each value is written at most once, but for stamps */

static size_t
ngx_iclock_handshake_size(ngx_iclock_handshake_t *handshake)
{
    size_t         size;
    ngx_uint_t     i;
    ngx_keyval_t  *stamps;

    size = NGX_ICLOCK_HANDSHAKE_SIZE
           + handshake->serial_number.len
           + handshake->trans_times.len
           + handshake->server_version.len * 2
           + handshake->device_version.len
           + handshake->push_options.len
           + handshake->multi_bio_data.len
           + handshake->multi_bio_photo.len;

    if (handshake->stamps == NULL) {
        return size;
    }

    stamps = handshake->stamps->elts;

    for (i = 0; i < handshake->stamps->nelts; i++) {
        size += stamps[i].value.len * 2;
    }

    return size;
}


/* "0" asks for everything, which is right for what was never uploaded */

static u_char *
ngx_iclock_write_stamps(u_char *p, const ngx_iclock_stamp_line_t *lines,
    ngx_array_t *stamps)
{
    ngx_str_t                       value, zero;
    ngx_uint_t                      i, n;
    ngx_keyval_t                   *stamp;
    const ngx_iclock_stamp_line_t  *line;

    ngx_str_set(&zero, "0");

    stamp = stamps ? stamps->elts : NULL;
    n = stamps ? stamps->nelts : 0;

    for (line = lines; line->name.len; line++) {
        value = zero;

        for (i = 0; i < n; i++) {

            if (stamp[i].key.len == line->table.len
                && ngx_strncasecmp(stamp[i].key.data, line->table.data,
                                   line->table.len)
                   == 0)
            {
                value = stamp[i].value;
                break;
            }
        }

        p = ngx_iclock_write_line(p, (char *) line->name.data, &value);
    }

    return p;
}


/*
 * A value that could begin another line, or does not fit into one, is left
 * out with its line.
 */

static u_char *
ngx_iclock_write_line(u_char *p, const char *name, const ngx_str_t *value)
{
    size_t  i, len;

    len = ngx_strlen(name);

    if (len + value->len + 1 > NGX_ICLOCK_MAX_LINE) {
        return p;
    }

    for (i = 0; i < value->len; i++) {

        if (value->data[i] == CR
            || value->data[i] == LF
            || value->data[i] == '\0')
        {
            return p;
        }
    }

    p = ngx_cpymem(p, name, len);
    p = ngx_cpymem(p, value->data, value->len);
    *p++ = LF;

    return p;
}


static u_char *
ngx_iclock_write_number(u_char *p, const char *name, int64_t value)
{
    return ngx_sprintf(p, "%s%L\n", name, value);
}


/* a list may be empty, and loses its last entries if it is too long */

static u_char *
ngx_iclock_write_list(u_char *p, const char *name, const ngx_str_t *value)
{
    size_t     max;
    ngx_str_t  s;

    s = *value;

    if (s.len == 0) {
        return p;
    }

    max = NGX_ICLOCK_MAX_LINE - ngx_strlen(name) - 1;

    if (s.len > max) {
        s.len = max + 1;

        do {
            s.len--;
        } while (s.len && s.data[s.len] != ',');

        if (s.len == 0) {
            return p;
        }
    }

    return ngx_iclock_write_line(p, name, &s);
}


static u_char *
ngx_iclock_write_trans_flag(u_char *p, ngx_uint_t style, ngx_uint_t words)
{
    u_char            separator;
    ngx_uint_t        bit;
    const ngx_str_t  *word;

    p = ngx_cpymem(p, "TransFlag=", sizeof("TransFlag=") - 1);

    if (style == NGX_ICLOCK_TRANS_BITS) {

        for (bit = 0; ngx_iclock_trans_words[bit].len; bit++) {
            *p++ = (words >> bit & 1) ? '1' : '0';
        }

        *p++ = LF;

        return p;
    }

    p = ngx_cpymem(p, "TransData", sizeof("TransData") - 1);

    separator = ' ';

    for (bit = 0; ngx_iclock_trans_words[bit].len; bit++) {

        if (!(words >> bit & 1)) {
            continue;
        }

        word = &ngx_iclock_trans_words[bit];

        *p++ = separator;
        p = ngx_cpymem(p, word->data, word->len);

        if (style == NGX_ICLOCK_TRANS_TABS) {
            separator = '\t';
        }
    }

    *p++ = LF;

    return p;
}


/*
 * Devices read the value with atoi() and take less than 25 for hours, some
 * of them only what is less than 12.  No zone in use is a part of an hour
 * from Greenwich; such an offset cannot be told, so the line is left out.
 */

static u_char *
ngx_iclock_write_timezone(u_char *p, ngx_int_t offset)
{
    if (offset % 60 == 0 && offset > -12 * 60 && offset < 12 * 60) {
        return ngx_iclock_write_number(p, "TimeZone=", offset / 60);
    }

    if (offset >= -60 && offset <= 60) {
        return p;
    }

    return ngx_iclock_write_number(p, "TimeZone=", offset);
}


ngx_str_t
ngx_iclock_lower_version(ngx_str_t *device, ngx_str_t *server)
{
    ngx_str_t   text[2];
    ngx_int_t   parts[2][NGX_ICLOCK_VERSION_PARTS];
    ngx_uint_t  i;

    static ngx_str_t  oldest = ngx_string("2.2.14");

    if (!ngx_iclock_parse_version(device, &text[0], parts[0])) {
        (void) ngx_iclock_parse_version(&oldest, &text[0], parts[0]);
    }

    if (!ngx_iclock_parse_version(server, &text[1], parts[1])) {
        (void) ngx_iclock_parse_version(&oldest, &text[1], parts[1]);
    }

    for (i = 0; i < NGX_ICLOCK_VERSION_PARTS; i++) {

        if (parts[0][i] != parts[1][i]) {
            return parts[0][i] < parts[1][i] ? text[0] : text[1];
        }
    }

    return text[1];
}


/* "text" is what of the version could be read, 0 is returned for nothing */

static ngx_uint_t
ngx_iclock_parse_version(ngx_str_t *version, ngx_str_t *text,
    ngx_int_t *parts)
{
    u_char      *p, *last;
    ngx_uint_t   i, n;

    p = version->data;
    last = p + version->len;

    text->data = p;
    text->len = 0;

    ngx_memzero(parts, NGX_ICLOCK_VERSION_PARTS * sizeof(ngx_int_t));

    for (i = 0; i < NGX_ICLOCK_VERSION_PARTS; i++) {

        n = ngx_iclock_digits(p, last);

        if (n == 0) {
            break;
        }

        if (n > NGX_ICLOCK_VERSION_DIGITS) {
            return 0;
        }

        parts[i] = ngx_atoi(p, n);

        p += n;
        text->len = p - text->data;

        if (p == last || *p != '.') {
            break;
        }

        p++;
    }

    return text->len != 0;
}
