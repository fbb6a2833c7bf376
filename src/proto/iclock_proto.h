
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


/*
 * The device protocol: bytes to records and records to bytes.  This floor
 * knows neither HTTP nor SQL; it is unit-tested and fuzzed without a server.
 *
 * An upload is read twice, so that memory stays near the size of the
 * body.  ngx_iclock_split_*() cuts a body into items, a few words each, that
 * point into it; ngx_iclock_parse_item() turns one item into the values of
 * one record whenever they are needed.  Nothing here is ever fatal to an
 * upload: what does not parse is a rejected line with a reason.
 */


#ifndef _ICLOCK_PROTO_H_INCLUDED_
#define _ICLOCK_PROTO_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include "iclock_proto_kinds.h"


/* a number that was not sent */
#define NGX_ICLOCK_NOT_SENT     -1

/* before and after all timestamps */
#define NGX_ICLOCK_TIME_MIN     INT64_MIN
#define NGX_ICLOCK_TIME_MAX     INT64_MAX


typedef enum {
    NGX_ICLOCK_INTEGER = 0,    /* 32 bits, in value.number */
    NGX_ICLOCK_BIGINT,         /* 64 bits, in value.number */
    NGX_ICLOCK_TIMESTAMP,      /* microseconds since 2000-01-01 00:00:00,
                                  without a zone, in value.number */
    NGX_ICLOCK_TEXT,           /* valid UTF-8 without NUL, in value.text */
    NGX_ICLOCK_BYTEA           /* any bytes, in value.text */
} ngx_iclock_type_e;


typedef struct {
    ngx_str_t                   name;
    ngx_uint_t                  type;
} ngx_iclock_column_t;


typedef struct {
    ngx_str_t                   name;
    ngx_uint_t                  ncolumns;
    const ngx_iclock_column_t  *columns;
} ngx_iclock_kind_t;


/*
 * What each kind of record consists of, indexed by ngx_iclock_kind_e.  The
 * store floor sends the columns in this order.
 */
extern const ngx_iclock_kind_t  ngx_iclock_kinds[];


typedef struct {
    ngx_str_t                   text;
    int64_t                     number;
    unsigned                    null:1;  /* not sent */
} ngx_iclock_value_t;


/*
 * One record of an upload: where it lies in the body, and the row of the
 * parsers' table that can read it.
 */
typedef struct {
    const struct ngx_iclock_tag_s  *tag;
    ngx_str_t                       data;
} ngx_iclock_item_t;


typedef struct {
    ngx_uint_t                  kind;
    ngx_iclock_value_t          values[NGX_ICLOCK_MAX_COLUMNS];

    /*
     * why the bytes of the item are kept as a rejected line; an empty string
     * if nothing is wrong with them
     */
    ngx_str_t                   reason;
} ngx_iclock_record_t;


/* the encodings of ngx_iclock_encoding(), GB2312 being a part of GB18030 */
typedef enum {
    NGX_ICLOCK_UTF_8 = 0,
    NGX_ICLOCK_GB18030,
    NGX_ICLOCK_WINDOWS_1256,
    NGX_ICLOCK_WINDOWS_1251,
    NGX_ICLOCK_ISO_8859_1,
    NGX_ICLOCK_WINDOWS_1252,
    NGX_ICLOCK_WINDOWS_1250,
    NGX_ICLOCK_WINDOWS_1253,
    NGX_ICLOCK_WINDOWS_1254,
    NGX_ICLOCK_WINDOWS_1255,
    NGX_ICLOCK_WINDOWS_1258,
    NGX_ICLOCK_WINDOWS_874,
    NGX_ICLOCK_BIG5,
    NGX_ICLOCK_EUC_KR,
    NGX_ICLOCK_SHIFT_JIS
} ngx_iclock_encoding_e;


/* what the request tells besides its body */
typedef struct {
    /* of the texts, see ngx_iclock_encoding() */
    ngx_uint_t                  encoding;
    /* "PIN" and "time" of the URI, for photos sent as a bare JPEG */
    ngx_str_t                   pin;
    ngx_str_t                   time;
} ngx_iclock_context_t;


typedef enum {
    NGX_ICLOCK_OK = 0,         /* "OK" */
    NGX_ICLOCK_OK_COUNT        /* "OK: n" */
} ngx_iclock_reply_e;


typedef struct ngx_iclock_table_s  ngx_iclock_table_t;
typedef struct ngx_iclock_split_s  ngx_iclock_split_t;


typedef struct {
    ngx_array_t                 items;    /* of ngx_iclock_item_t */
    ngx_uint_t                  lines;    /* the n of "OK: n": every line
                                             received, blank ones apart */
    size_t                      bytes;    /* of all items */
    uint32_t                    kinds;    /* of them, a bit for each */
    unsigned                    others:1; /* not only comparison photos */
} ngx_iclock_upload_t;


struct ngx_iclock_table_s {
    ngx_str_t                   name;     /* as stamps and rejected lines
                                             are stored under */
    ngx_uint_t                  reply;
    /* a step: takes what it has read off the body; NGX_AGAIN: not all */
    ngx_int_t                 (*split)(ngx_iclock_upload_t *upload,
                                       ngx_str_t *body,
                                       const struct ngx_iclock_tag_s *tag);
    const struct ngx_iclock_tag_s
                               *tag;
};


/*
 * Finds the row of an upload's "table" argument, in any case.  Returns NULL
 * for an empty name.  An unknown name yields the row of unknown tables,
 * whose lines are all kept as rejected ones.
 */
const ngx_iclock_table_t *ngx_iclock_find_table(ngx_str_t *name);

/* whether it is not the row of unknown tables */
ngx_uint_t ngx_iclock_known_table(const ngx_iclock_table_t *table);

/*
 * To cut a body into items that point into it.  upload->items is created in
 * the pool.  Where the language leaves two encodings possible, the names of
 * the upload that are valid in only one of them decide for the others: then
 * context->encoding is changed, unless the context is NULL.  NULL: out of
 * memory.
 */
ngx_iclock_split_t *ngx_iclock_split_create(ngx_iclock_upload_t *upload,
    const ngx_iclock_table_t *table, ngx_str_t *body,
    ngx_iclock_context_t *context, ngx_pool_t *pool);

/*
 * The same for a data packet (section 11.14), which is unpacked into the
 * pool, to 16 megabytes at most.  One that is larger, nested, damaged or has
 * odd paths in it becomes a single rejected item.
 */
ngx_iclock_split_t *ngx_iclock_split_create_packed(
    ngx_iclock_upload_t *upload, const ngx_iclock_table_t *table,
    ngx_str_t *body, ngx_iclock_context_t *context, ngx_pool_t *pool);

/*
 * The same for the body of a devicecmd (section 13): reply records, and the
 * options that an INFO reply brings along.
 */
ngx_iclock_split_t *ngx_iclock_split_create_replies(
    ngx_iclock_upload_t *upload, ngx_str_t *body, ngx_pool_t *pool);

/* adds a reply that is not in the body, after those that are */
ngx_int_t ngx_iclock_push_reply(ngx_iclock_upload_t *upload,
    ngx_str_t *reply);

/*
 * Does a part of it, a millisecond or so.  Returns NGX_AGAIN (more is to be
 * done), NGX_OK or NGX_ERROR (out of memory).
 */
ngx_int_t ngx_iclock_split_step(ngx_iclock_split_t *split);

/* bytes that it has taken from the pool for the items, or to unpack them */
size_t ngx_iclock_split_held(ngx_iclock_split_t *split);

/*
 * At once, for data that no document describes: one item, kept as a rejected
 * line.  Returns NGX_OK or NGX_ERROR (out of memory).
 */
ngx_int_t ngx_iclock_split_raw(ngx_iclock_upload_t *upload, ngx_str_t *body,
    ngx_pool_t *pool);

/*
 * The same for the "INFO" argument of a poll (attendance PUSH 2.4.1, section
 * 9), already unescaped: an option record for each value.
 */
ngx_int_t ngx_iclock_split_info(ngx_iclock_upload_t *upload, ngx_str_t *info,
    ngx_pool_t *pool);

/*
 * How the upload is acknowledged: as its table is, but for comparison photos
 * within OPERLOG (section 11.15).
 */
ngx_uint_t ngx_iclock_upload_reply(ngx_iclock_upload_t *upload,
    const ngx_iclock_table_t *table);

/* what the item becomes */
ngx_uint_t ngx_iclock_item_kind(const ngx_iclock_item_t *item);

/*
 * Reads one item.  Text values may point into the item or be allocated from
 * the pool.  Returns
 *   NGX_OK        values are set; a reason tells that a part of the record
 *                 could not be read and is to be kept as a rejected line
 *   NGX_DECLINED  the item is to be kept as a rejected line, reason is set
 *   NGX_ERROR     out of memory
 */
ngx_int_t ngx_iclock_parse_item(ngx_iclock_record_t *record,
    const ngx_iclock_item_t *item, const ngx_iclock_context_t *context,
    ngx_pool_t *pool);


/* the forms of TransFlag, field notes of several models */
typedef enum {
    NGX_ICLOCK_TRANS_TABS = 0,
    NGX_ICLOCK_TRANS_SPACES,
    NGX_ICLOCK_TRANS_BITS
} ngx_iclock_trans_style_e;


/* a bit mask of all words of TransFlag */
#define NGX_ICLOCK_TRANS_ALL    0x3fff

/*
 * Reads "tabs AttLog OpLog": a style, and words in any case; all of them if
 * there is none.  Returns NGX_OK or NGX_DECLINED.
 */
ngx_int_t ngx_iclock_parse_trans_flag(ngx_str_t *value, ngx_uint_t *style,
    ngx_uint_t *words);


/* the two documents, which differ in codes, commands and handshakes */
typedef enum {
    NGX_ICLOCK_DIALECT_UNKNOWN = 0,
    NGX_ICLOCK_DIALECT_2_4,    /* attendance PUSH 2.2.14 to 2.4.1 */
    NGX_ICLOCK_DIALECT_3_2     /* push SDK 3.2.0 */
} ngx_iclock_dialect_e;

/* what "pushver" makes certain */
ngx_uint_t ngx_iclock_recognize_dialect(ngx_str_t *push_version);

/* whether a device needs Stamp, OpStamp and PhotoStamp, by default */
ngx_uint_t ngx_iclock_needs_bare_stamps(ngx_uint_t dialect,
    ngx_str_t *push_version);


/* attendance PUSH 2.4.1, section 5; push SDK 3.2.0, section 2.2 */
typedef struct {
    ngx_uint_t                  dialect;
    ngx_str_t                   serial_number;
    ngx_array_t                *stamps;      /* of ngx_keyval_t: table name
                                                and its last stamp */
    ngx_flag_t                  bare_stamps; /* Stamp, OpStamp, PhotoStamp */
    time_t                      error_delay; /* seconds */
    time_t                      delay;       /* seconds */
    ngx_str_t                   trans_times;
    ngx_uint_t                  trans_interval;  /* minutes */
    ngx_uint_t                  trans_style;
    ngx_uint_t                  trans_words;
    ngx_flag_t                  send_timezone;
    ngx_int_t                   utc_offset;  /* minutes, east positive */
    ngx_flag_t                  realtime;
    ngx_str_t                   device_version;  /* "pushver", may be empty */
    ngx_str_t                   server_version;
    ngx_str_t                   push_options;    /* may be empty */
    ngx_str_t                   multi_bio_data;  /* may be empty */
    ngx_str_t                   multi_bio_photo; /* may be empty */
} ngx_iclock_handshake_t;


/*
 * Writes the reply to a handshake.  Values that hold CR, LF or NUL are left
 * out with their line.  Returns NGX_OK or NGX_ERROR (out of memory).
 */
ngx_int_t ngx_iclock_handshake_reply(ngx_str_t *reply,
    ngx_iclock_handshake_t *handshake, ngx_pool_t *pool);

/*
 * The lower of two protocol versions (appendix 6); an empty or unreadable
 * one counts as 2.2.14.  "2.0.33S-20220613" reads as 2.0.33.
 */
ngx_str_t ngx_iclock_lower_version(ngx_str_t *device, ngx_str_t *server);

/*
 * How the text of a device is encoded, in eight bits: by the name that its
 * row gives (one that is not known stands for UTF-8), or by its language
 * (section 11.5, appendix 2) if the name is empty.
 */
ngx_uint_t ngx_iclock_encoding(ngx_str_t *name, ngx_str_t *language);

/*
 * Makes UTF-8 text of that encoding: NGX_OK, NGX_ERROR, or NGX_DECLINED if
 * the system lacks it.
 */
ngx_int_t ngx_iclock_encode_text(ngx_str_t *text, ngx_uint_t encoding,
    ngx_pool_t *pool);


/*
 * The number of a command on the wire has nine digits at most: the remainder
 * of its id in the database.
 */
#define NGX_ICLOCK_WIRE_DIGITS  9
#define NGX_ICLOCK_WIRE_IDS     1000000000


/* one command for a device (section 12) */
typedef struct {
    ngx_str_t                   id;         /* on the wire */
    ngx_str_t                   text;
} ngx_iclock_command_t;


/*
 * Writes the reply to a poll: a line of "C:<id>:<text>" for each of the
 * commands, which are encoded in place.  Returns NGX_OK or NGX_ERROR (out of
 * memory).
 */
ngx_int_t ngx_iclock_write_commands(ngx_str_t *reply, ngx_array_t *commands,
    ngx_uint_t encoding, ngx_pool_t *pool);

/*
 * Valid UTF-8 without NUL, as PostgreSQL understands it: shortest forms
 * only, no surrogates, up to U+10FFFF.
 */
ngx_uint_t ngx_iclock_valid_text(ngx_str_t *text);

/*
 * Reads "2026-07-15 09:00:00" (also with "T") into microseconds since
 * 2000-01-01.  Returns NGX_OK or NGX_DECLINED.
 */
ngx_int_t ngx_iclock_parse_time(ngx_str_t *text, int64_t *time);


#endif /* _ICLOCK_PROTO_H_INCLUDED_ */
