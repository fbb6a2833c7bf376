
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

/* seconds, SDK 3.2.0, section 2.2 */
#define NGX_ICLOCK_SDK_TIMEOUT     60
#define NGX_ICLOCK_SDK_SYNC_TIME   3600

/* components of a protocol version, and their digits */
#define NGX_ICLOCK_VERSION_PARTS   4
#define NGX_ICLOCK_VERSION_DIGITS  6


typedef struct {
    ngx_str_t     name;         /* of the line, with the "=" */
    ngx_str_t     table;        /* whose stamp it is */
    ngx_str_t     missing;      /* if there is none; empty: no line */
} ngx_iclock_stamp_line_t;


typedef struct {
    const u_char  *words;
    ngx_uint_t     nwords;
    ngx_uint_t     ndigits;
    ngx_str_t      head;        /* of the form with words */
    size_t         max;         /* of the form with words; 0: no limit */
} ngx_iclock_trans_form_t;


static size_t ngx_iclock_handshake_size(ngx_iclock_handshake_t *handshake);
static u_char *ngx_iclock_write_stamps(u_char *p,
    ngx_iclock_handshake_t *handshake, const ngx_iclock_stamp_line_t *lines);
static u_char *ngx_iclock_write_line(u_char *p, const char *name,
    const ngx_str_t *value);
static u_char *ngx_iclock_write_number(u_char *p, const char *name,
    int64_t value);
static u_char *ngx_iclock_write_list(u_char *p, const char *name,
    const ngx_str_t *value);
static u_char *ngx_iclock_write_trans_flag(u_char *p,
    const ngx_iclock_trans_form_t *form, ngx_uint_t style, ngx_uint_t words);
static u_char *ngx_iclock_write_photo_lines(u_char *p);
static u_char *ngx_iclock_write_sdk_lines(u_char *p,
    ngx_iclock_handshake_t *handshake);
static u_char *ngx_iclock_write_timezone(u_char *p, ngx_int_t offset);
static ngx_uint_t ngx_iclock_parse_version(ngx_str_t *version,
    ngx_str_t *text, ngx_int_t *parts);


static const ngx_str_t  ngx_iclock_trans_styles[] = {
    ngx_string("tabs"),
    ngx_string("spaces"),
    ngx_string("bits"),
    ngx_null_string
};


/* the digits of TransFlag stand for the first twelve, section 5 */

static const ngx_str_t  ngx_iclock_trans_words[] = {
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
    /* SDK 3.2.0 only */
    ngx_string("EnrollFACE"),
    ngx_string("ChgFACE"),
    ngx_null_string
};


/*
 * What TransFlag consists of: words by number, of which the first so many
 * have a digit.
 */

static const u_char  ngx_iclock_trans_order[] = {
    0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11
};

static const ngx_iclock_trans_form_t  ngx_iclock_trans_form = {
    ngx_iclock_trans_order, 12, 12, ngx_string("TransData "), 0
};


/* SDK 3.2.0, table 2-1 */

static const u_char  ngx_iclock_sdk_trans_order[] = {
    0, 1, 2, 4, 6, 3, 7, 5, 12, 13, 8
};

static const ngx_iclock_trans_form_t  ngx_iclock_sdk_trans_form = {
    ngx_iclock_sdk_trans_order, 11, 10, ngx_null_string, 90
};


/*
 * Stamps; "0" asks for everything, which is right for what was never
 * uploaded.  The first ones are those of the first protocol.
 */

static const ngx_iclock_stamp_line_t  ngx_iclock_bare_stamps[] = {
    { ngx_string("Stamp="), ngx_string("ATTLOG"), ngx_string("0") },
    { ngx_string("OpStamp="), ngx_string("OPERLOG"), ngx_string("0") },
    { ngx_string("PhotoStamp="), ngx_string("ATTPHOTO"), ngx_string("0") },
    { ngx_null_string, ngx_null_string, ngx_null_string }
};


static const ngx_iclock_stamp_line_t  ngx_iclock_table_stamps[] = {
    { ngx_string("ATTLOGStamp="), ngx_string("ATTLOG"), ngx_string("0") },
    { ngx_string("OPERLOGStamp="), ngx_string("OPERLOG"), ngx_string("0") },
    { ngx_string("ATTPHOTOStamp="), ngx_string("ATTPHOTO"),
      ngx_string("0") },
    { ngx_string("BIODATAStamp="), ngx_string("BIODATA"), ngx_string("0") },
    { ngx_string("IDCARDStamp="), ngx_string("IDCARD"), ngx_string("0") },
    { ngx_string("ERRORLOGStamp="), ngx_string("ERRORLOG"),
      ngx_string("0") },
    { ngx_null_string, ngx_null_string, ngx_null_string }
};


/*
 * SDK 3.2.0, table 2-2.  Most clocks upload the last ones within OPERLOG and
 * would send everything again at each handshake.
 */

static const ngx_iclock_stamp_line_t  ngx_iclock_sdk_stamps[] = {
    { ngx_string("ATTLOGStamp="), ngx_string("ATTLOG"), ngx_string("0") },
    { ngx_string("OPERLOGStamp="), ngx_string("OPERLOG"), ngx_string("0") },
    { ngx_string("ATTPHOTOStamp="), ngx_string("ATTPHOTO"),
      ngx_string("0") },
    { ngx_string("USERINFOStamp="), ngx_string("USERINFO"),
      ngx_null_string },
    { ngx_string("FINGERTMPStamp="), ngx_string("FINGERTMP"),
      ngx_null_string },
    { ngx_string("FACETMPStamp="), ngx_string("FACETMP"), ngx_null_string },
    { ngx_string("USERPICStamp="), ngx_string("USERPIC"), ngx_null_string },
    { ngx_string("SMSStamp="), ngx_string("SMS"), ngx_null_string },
    { ngx_string("USER_SMSStamp="), ngx_string("USER_SMS"),
      ngx_null_string },
    { ngx_null_string, ngx_null_string, ngx_null_string }
};


ngx_int_t
ngx_iclock_handshake_reply(ngx_str_t *reply,
    ngx_iclock_handshake_t *handshake, ngx_pool_t *pool)
{
    u_char      *p;
    ngx_str_t    version;
    ngx_uint_t   sdk;

    p = ngx_pnalloc(pool, ngx_iclock_handshake_size(handshake));
    if (p == NULL) {
        return NGX_ERROR;
    }

    reply->data = p;

    sdk = (handshake->dialect == NGX_ICLOCK_DIALECT_3_2);

    version = ngx_iclock_lower_version(&handshake->device_version,
                                       &handshake->server_version);

    p = ngx_iclock_write_line(p, "GET OPTION FROM: ",
                              &handshake->serial_number);

    if (handshake->bare_stamps) {
        p = ngx_iclock_write_stamps(p, handshake, ngx_iclock_bare_stamps);
    }

    p = ngx_iclock_write_stamps(p, handshake, sdk ? ngx_iclock_sdk_stamps
                                                  : ngx_iclock_table_stamps);

    p = ngx_iclock_write_number(p, "ErrorDelay=", handshake->error_delay);
    p = ngx_iclock_write_number(p, "Delay=", handshake->delay);
    p = ngx_iclock_write_line(p, "TransTimes=", &handshake->trans_times);
    p = ngx_iclock_write_number(p, "TransInterval=",
                                (int64_t) handshake->trans_interval);
    p = ngx_iclock_write_trans_flag(p, sdk ? &ngx_iclock_sdk_trans_form
                                           : &ngx_iclock_trans_form,
                                    handshake->trans_style,
                                    handshake->trans_words);

    if (handshake->send_timezone) {
        p = ngx_iclock_write_timezone(p, handshake->utc_offset);
    }

    p = ngx_iclock_write_number(p, "Realtime=", handshake->realtime != 0);
    p = ngx_iclock_write_number(p, "Encrypt=", 0);
    p = sdk ? ngx_iclock_write_sdk_lines(p, handshake)
            : ngx_iclock_write_photo_lines(p);
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


/* nothing is encrypted, and photos need no base64 */

static u_char *
ngx_iclock_write_photo_lines(u_char *p)
{
    return ngx_cpymem(p, "EncryptFlag=00000000\nATTPHOTOBase64=0\n",
                      sizeof("EncryptFlag=00000000\nATTPHOTOBase64=0\n") - 1);
}


/*
 * How long a clock waits for a reply, and how often it asks for the time; one
 * that gets no zone keeps its own time.
 */

static u_char *
ngx_iclock_write_sdk_lines(u_char *p, ngx_iclock_handshake_t *handshake)
{
    p = ngx_iclock_write_number(p, "Timeout=", NGX_ICLOCK_SDK_TIMEOUT);

    return ngx_iclock_write_number(p, "SyncTime=",
                                   handshake->send_timezone
                                   ? NGX_ICLOCK_SDK_SYNC_TIME : 0);
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


static u_char *
ngx_iclock_write_stamps(u_char *p, ngx_iclock_handshake_t *handshake,
    const ngx_iclock_stamp_line_t *lines)
{
    ngx_str_t                       value;
    ngx_uint_t                      i, n;
    ngx_keyval_t                   *stamp;
    const ngx_iclock_stamp_line_t  *line;

    stamp = handshake->stamps ? handshake->stamps->elts : NULL;
    n = handshake->stamps ? handshake->stamps->nelts : 0;

    for (line = lines; line->name.len; line++) {
        value = line->missing;

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

        if (value.len) {
            p = ngx_iclock_write_line(p, (char *) line->name.data, &value);
        }
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


/* words that do not fit are left out, the last ones first */

static u_char *
ngx_iclock_write_trans_flag(u_char *p, const ngx_iclock_trans_form_t *form,
    ngx_uint_t style, ngx_uint_t words)
{
    u_char           *start;
    ngx_uint_t        i;
    const ngx_str_t  *word;

    p = ngx_cpymem(p, "TransFlag=", sizeof("TransFlag=") - 1);

    if (style == NGX_ICLOCK_TRANS_BITS) {

        for (i = 0; i < form->ndigits; i++) {
            *p++ = (words >> form->words[i] & 1) ? '1' : '0';
        }

        *p++ = LF;

        return p;
    }

    p = ngx_cpymem(p, form->head.data, form->head.len);
    start = p;

    for (i = 0; i < form->nwords; i++) {

        word = &ngx_iclock_trans_words[form->words[i]];

        if (!(words >> form->words[i] & 1)
            || (form->max && p - start + 1 + word->len > form->max))
        {
            continue;
        }

        if (p > start) {
            *p++ = (style == NGX_ICLOCK_TRANS_TABS) ? '\t' : ' ';
        }

        p = ngx_cpymem(p, word->data, word->len);
    }

    /* no word at all: "TransData" */

    if (p == start && form->head.len) {
        p--;
    }

    *p++ = LF;

    return p;
}


ngx_int_t
ngx_iclock_parse_trans_flag(ngx_str_t *value, ngx_uint_t *style,
    ngx_uint_t *words)
{
    u_char           *p, *last, *end;
    ngx_uint_t        i, n, set;
    const ngx_str_t  *names;

    last = value->data + value->len;
    set = 0;
    n = 0;

    for (p = value->data; p < last; p = end + 1, n++) {

        end = ngx_strlchr(p, last, ' ');
        if (end == NULL) {
            end = last;
        }

        names = n ? ngx_iclock_trans_words : ngx_iclock_trans_styles;

        for (i = 0; names[i].len; i++) {
            if (names[i].len == (size_t) (end - p)
                && ngx_strncasecmp(names[i].data, p, names[i].len) == 0)
            {
                break;
            }
        }

        if (names[i].len == 0) {
            return NGX_DECLINED;
        }

        if (n == 0) {
            *style = i;

        } else {
            set |= (ngx_uint_t) 1 << i;
        }
    }

    if (n == 0) {
        return NGX_DECLINED;
    }

    *words = (n == 1) ? NGX_ICLOCK_TRANS_ALL : set;

    return NGX_OK;
}


/*
 * Devices read the value with atoi() and take less than 25 for hours, some of
 * them only what is less than 12; those of SDK 3.2.0, which documents hh:mm,
 * fetch the time with its offset besides.  No zone in use is less than an hour
 * from Greenwich; there is no way to send such an offset, so its line is left
 * out.
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


/*
 * SDK 3.2.0 is of clocks of 2.0, attendance PUSH begins with 2.2.14.  What
 * has more than digits in it is the version of something else: some firmware
 * of today sends that of its push library, "2.0.33S-20220613".
 */

ngx_uint_t
ngx_iclock_recognize_dialect(ngx_str_t *push_version)
{
    ngx_str_t  text, lower;
    ngx_int_t  parts[NGX_ICLOCK_VERSION_PARTS];

    static ngx_str_t  oldest = ngx_string("2.2.14");

    if (!ngx_iclock_parse_version(push_version, &text, parts)
        || text.len < sizeof("2.0") - 1
        || text.len != push_version->len)
    {
        return NGX_ICLOCK_DIALECT_UNKNOWN;
    }

    if (parts[0] == 2 && parts[1] == 0) {
        return NGX_ICLOCK_DIALECT_3_2;
    }

    lower = ngx_iclock_lower_version(push_version, &oldest);

    return (lower.data == oldest.data) ? NGX_ICLOCK_DIALECT_2_4
                                       : NGX_ICLOCK_DIALECT_UNKNOWN;
}


/* push SDK 3.2.0, section 2.2: until 2.0.3 they were among its options */

ngx_uint_t
ngx_iclock_needs_bare_stamps(ngx_uint_t dialect, ngx_str_t *push_version)
{
    ngx_str_t  lower;

    static ngx_str_t  first = ngx_string("2.0.3");

    if (dialect != NGX_ICLOCK_DIALECT_3_2) {
        return 1;
    }

    lower = ngx_iclock_lower_version(push_version, &first);

    return lower.data != first.data;
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
