
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


/*
 * What the files of the protocol floor share.  Nothing outside of src/proto
 * includes this.
 */


#ifndef _ICLOCK_PROTO_PRIVATE_H_INCLUDED_
#define _ICLOCK_PROTO_PRIVATE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include "iclock_proto.h"


/*
 * The longest text that may be part of a database key: more than any device
 * sends, and short enough that no index row of PostgreSQL (2704 bytes)
 * overflows, which would make a record that can never be stored.
 */
#define NGX_ICLOCK_MAX_KEY      255

/* an upload of more columns is read up to here */
#define NGX_ICLOCK_MAX_FIELDS   18

/* a record without this value is rejected */
#define NGX_ICLOCK_NEEDED       0x01
/* a record in which this value cannot be read is rejected */
#define NGX_ICLOCK_STRICT       0x02


/* types of templates, attendance PUSH 2.4.1, appendix 10 */
#define NGX_ICLOCK_FINGERPRINT  1
#define NGX_ICLOCK_FACE         2
#define NGX_ICLOCK_FINGER_VEIN  7


/*
 * A step ends after so many lines, or when so many bytes have been read; in
 * t/unit and t/fuzz after each line.
 */
#ifndef NGX_ICLOCK_STEP_LINES
#define NGX_ICLOCK_STEP_LINES   4096
#endif
#define NGX_ICLOCK_STEP_BYTES   (256 * 1024)

#define ngx_iclock_step_goes_on(lines, bytes)                                \
    ((lines) < NGX_ICLOCK_STEP_LINES && (bytes) < NGX_ICLOCK_STEP_BYTES)


/*
 * Nobody else gets a turn while a record is read.  Longer lines are not, unless
 * they may hold a template, a photo or a file, nor are longer texts in these,
 * nor records of more lines, fields and words.
 */
#define NGX_ICLOCK_LINE_BYTES   (64 * 1024)
#define NGX_ICLOCK_LINE_WORDS   8192


typedef struct ngx_iclock_tag_s     ngx_iclock_tag_t;
typedef struct ngx_iclock_key_s     ngx_iclock_key_t;
typedef struct ngx_iclock_packet_s  ngx_iclock_packet_t;


/* one record in the making */
typedef struct {
    ngx_iclock_record_t         *record;
    const ngx_iclock_context_t  *context;
    ngx_pool_t                  *pool;
    ngx_uint_t                   words;    /* that were read, and lines */
} ngx_iclock_reading_t;


/*
 * Reads a text of the item into key->column of the record.  Returns NGX_OK,
 * NGX_DECLINED with the reason set (the record is to be rejected), or
 * NGX_ERROR (out of memory).  A text that cannot be read leaves the value
 * null and sets the reason; it is NGX_DECLINED only for strict keys.
 */
typedef ngx_int_t (*ngx_iclock_read_pt)(ngx_iclock_reading_t *r,
    const ngx_iclock_key_t *key, ngx_str_t *text);

/* sets the values of the record; the same return codes */
typedef ngx_int_t (*ngx_iclock_parse_pt)(ngx_iclock_reading_t *r,
    const ngx_iclock_item_t *item);


/*
 * A key of "Key=value" records, in any case, or a column of the others.  Tables
 * of keys end with an empty name, which may have a column for what is unknown.
 */
struct ngx_iclock_key_s {
    ngx_str_t                    name;
    ngx_uint_t                   column;
    ngx_iclock_read_pt           read;     /* NULL: known, but of no use */
    ngx_uint_t                   flags;
};


/* a record tag: how its items are read */
struct ngx_iclock_tag_s {
    ngx_str_t                    name;     /* at the head of the line */
    ngx_uint_t                   kind;
    ngx_iclock_parse_pt          parse;
    const ngx_iclock_key_t      *keys;
    ngx_str_t                    label;    /* the source of a template, the
                                              kind of a photo, the reason of
                                              a rejection */
    ngx_int_t                    type;     /* of templates: if not sent */
    ngx_int_t                    version;  /* of templates: if not sent */
};


/* tables */

extern const ngx_iclock_tag_t  ngx_iclock_option_tag;

extern const ngx_iclock_key_t  ngx_iclock_punch_keys[];
extern const ngx_iclock_key_t  ngx_iclock_template_keys[];
extern const ngx_iclock_key_t  ngx_iclock_photo_keys[];

/* that the line begins with; NULL: none */
const ngx_iclock_tag_t *ngx_iclock_find_tag(ngx_str_t *line);

/* section 11.15 */
ngx_uint_t ngx_iclock_comparison_photo(const ngx_iclock_tag_t *tag);


/* upload: adding an item; NGX_OK or NGX_ERROR */

ngx_int_t ngx_iclock_push_item(ngx_iclock_upload_t *upload,
    const ngx_iclock_tag_t *tag, u_char *start, u_char *end);
ngx_int_t ngx_iclock_init_upload(ngx_iclock_upload_t *upload, ngx_uint_t n,
    ngx_pool_t *pool);


/* lines: splitters of upload tables, and columns within a line */

/* a step: counts those that are not blank, and takes them off the text */
ngx_int_t ngx_iclock_count_lines(ngx_str_t *rest, ngx_uint_t *n);

ngx_int_t ngx_iclock_split_lines(ngx_iclock_upload_t *upload,
    ngx_str_t *body, const ngx_iclock_tag_t *tag);
ngx_int_t ngx_iclock_split_tagged(ngx_iclock_upload_t *upload,
    ngx_str_t *body, const ngx_iclock_tag_t *tag);
ngx_int_t ngx_iclock_split_whole(ngx_iclock_upload_t *upload,
    ngx_str_t *body, const ngx_iclock_tag_t *tag);

/* cuts the next line off "rest", without its end; 0 if nothing is left */
ngx_uint_t ngx_iclock_next_line(ngx_str_t *rest, ngx_str_t *line);

/* NULs and white space only */
ngx_uint_t ngx_iclock_blank(ngx_str_t *text);

/* steps over the name of the tag, if the line begins with it */
void ngx_iclock_skip_tag(const ngx_iclock_tag_t *tag, ngx_str_t *line);

/*
 * Cuts a line into columns: at TABs, or, if it has none, at runs of spaces,
 * where date and time stay together; the line is then copied to have TABs.
 * Returns the number of columns, of which the first NGX_ICLOCK_MAX_FIELDS
 * are set, one trailing TAB apart; 0 if out of memory.
 */
ngx_uint_t ngx_iclock_split_columns(ngx_str_t *line, ngx_str_t *fields,
    ngx_pool_t *pool);


/* packets */

/* NULL: out of memory */
ngx_iclock_packet_t *ngx_iclock_packet_create(ngx_str_t *body,
    ngx_pool_t *pool);

/* NGX_AGAIN, NGX_OK: it is unpacked or refused, or NGX_ERROR */
ngx_int_t ngx_iclock_packet_step(ngx_iclock_packet_t *packet);

/* what was in it; returns why it is refused, NULL: it is not */
const ngx_iclock_tag_t *ngx_iclock_packet_text(ngx_iclock_packet_t *packet,
    ngx_str_t *text);


/* keyed: "Key=value" records */

ngx_int_t ngx_iclock_parse_keyed(ngx_iclock_reading_t *r,
    const ngx_iclock_item_t *item);
ngx_int_t ngx_iclock_read_keyed(ngx_iclock_reading_t *r,
    const ngx_iclock_key_t *keys, ngx_str_t *line);
ngx_int_t ngx_iclock_check_needed(ngx_iclock_reading_t *r,
    const ngx_iclock_key_t *keys);

/* the key that the text begins with, followed by "="; NULL if there is none */
const ngx_iclock_key_t *ngx_iclock_find_key(const ngx_iclock_key_t *keys,
    u_char *p, u_char *last);


/*
 * Readers of values.  A text is any text; a short text may be part of a
 * database key; a word is a short text that is sent back to devices, such as
 * a PIN: always UTF-8, and nothing that could end a line of a command.
 */

ngx_int_t ngx_iclock_read_text(ngx_iclock_reading_t *r,
    const ngx_iclock_key_t *key, ngx_str_t *text);
ngx_int_t ngx_iclock_read_short_text(ngx_iclock_reading_t *r,
    const ngx_iclock_key_t *key, ngx_str_t *text);
ngx_int_t ngx_iclock_read_utf8(ngx_iclock_reading_t *r,
    const ngx_iclock_key_t *key, ngx_str_t *text);
ngx_int_t ngx_iclock_read_word(ngx_iclock_reading_t *r,
    const ngx_iclock_key_t *key, ngx_str_t *text);
ngx_int_t ngx_iclock_read_number(ngx_iclock_reading_t *r,
    const ngx_iclock_key_t *key, ngx_str_t *text);
ngx_int_t ngx_iclock_read_time(ngx_iclock_reading_t *r,
    const ngx_iclock_key_t *key, ngx_str_t *text);
ngx_int_t ngx_iclock_read_user_time(ngx_iclock_reading_t *r,
    const ngx_iclock_key_t *key, ngx_str_t *text);
ngx_int_t ngx_iclock_read_card(ngx_iclock_reading_t *r,
    const ngx_iclock_key_t *key, ngx_str_t *text);
ngx_int_t ngx_iclock_read_base64(ngx_iclock_reading_t *r,
    const ngx_iclock_key_t *key, ngx_str_t *text);

/* a column of the record, not null from now on */
void ngx_iclock_set_text(ngx_iclock_reading_t *r, ngx_uint_t column,
    ngx_str_t *text);
void ngx_iclock_set_number(ngx_iclock_reading_t *r, ngx_uint_t column,
    int64_t number);

/* the reason for a rejection; returns NGX_DECLINED */
ngx_int_t ngx_iclock_reject(ngx_iclock_reading_t *r, char *reason);


/* parsers of items */

ngx_int_t ngx_iclock_parse_punch(ngx_iclock_reading_t *r,
    const ngx_iclock_item_t *item);
ngx_int_t ngx_iclock_parse_operation(ngx_iclock_reading_t *r,
    const ngx_iclock_item_t *item);
ngx_int_t ngx_iclock_parse_template(ngx_iclock_reading_t *r,
    const ngx_iclock_item_t *item);
ngx_int_t ngx_iclock_parse_photo_line(ngx_iclock_reading_t *r,
    const ngx_iclock_item_t *item);
ngx_int_t ngx_iclock_parse_photo_body(ngx_iclock_reading_t *r,
    const ngx_iclock_item_t *item);
ngx_int_t ngx_iclock_parse_option(ngx_iclock_reading_t *r,
    const ngx_iclock_item_t *item);
ngx_int_t ngx_iclock_parse_rejected(ngx_iclock_reading_t *r,
    const ngx_iclock_item_t *item);


/* options */

/* a step: the same as that of lines */
ngx_int_t ngx_iclock_count_options(ngx_str_t *rest, ngx_uint_t *n);

ngx_int_t ngx_iclock_split_options(ngx_iclock_upload_t *upload,
    ngx_str_t *body, const ngx_iclock_tag_t *tag);

/*
 * Adds the options of a text that commas separate, or only newlines if
 * "commas" is not set.
 */
ngx_int_t ngx_iclock_push_options(ngx_iclock_upload_t *upload,
    ngx_str_t *text, ngx_uint_t commas);

/* the length of "name=" at the head of a text, 0 if it is none */
size_t ngx_iclock_option_name(u_char *p, u_char *last);


/* replies: a body of them while it is cut */
typedef struct {
    ngx_iclock_upload_t         *upload;
    u_char                      *start;    /* of the current reply, or NULL */
    u_char                      *last;     /* the end of the body */
    unsigned                     info:1;   /* the reply to INFO */
    unsigned                     file:1;   /* that of Shell or GetFile */
} ngx_iclock_cutter_t;

void ngx_iclock_begin_replies(ngx_iclock_cutter_t *c,
    ngx_iclock_upload_t *upload, ngx_str_t *body);

/* a step; NGX_AGAIN, NGX_OK or NGX_ERROR */
ngx_int_t ngx_iclock_cut_replies(ngx_iclock_cutter_t *c, ngx_str_t *rest);


/* encodings */

/* how far the names of an upload have been looked at */
typedef struct {
    ngx_uint_t                   item;     /* the next one */
    ngx_uint_t                   script;   /* of those before it */
} ngx_iclock_settling_t;

/* a step, see ngx_iclock_split_create(); NGX_AGAIN or NGX_OK */
ngx_int_t ngx_iclock_settle_encoding(ngx_iclock_context_t *context,
    ngx_iclock_upload_t *upload, ngx_iclock_settling_t *settling);


/* texts */

void ngx_iclock_trim(ngx_str_t *text);
ngx_uint_t ngx_iclock_digits(u_char *p, u_char *last);

/* NGX_OK, NGX_DECLINED: not a number, NGX_ABORT: out of 32 bits */
ngx_int_t ngx_iclock_parse_number(ngx_str_t *text, int64_t *number);

/* "20260715090000" */
ngx_int_t ngx_iclock_parse_compact_time(ngx_str_t *text, int64_t *time);

/*
 * Makes valid UTF-8 of a text.  Returns NGX_OK, NGX_DECLINED if it cannot be
 * done, NGX_ERROR (out of memory).
 */
ngx_int_t ngx_iclock_decode_text(ngx_str_t *text, ngx_uint_t encoding,
    ngx_pool_t *pool);

/* the same for text that is documented to be UTF-8 */
ngx_int_t ngx_iclock_decode_utf8(ngx_str_t *text, ngx_uint_t encoding,
    ngx_pool_t *pool);

/* missing padding is accepted, white space is not; the same return codes */
ngx_int_t ngx_iclock_decode_base64(ngx_str_t *dst, ngx_str_t *src,
    ngx_pool_t *pool);


/* a value that is found by its place, not by a key */
#define ngx_iclock_column_key(column, read, flags)                           \
    { ngx_null_string, column, read, flags }

/* a tag whose items are kept as rejected lines */
#define ngx_iclock_rejected_tag(reason)                                      \
    { ngx_null_string, NGX_ICLOCK_REJECTED, ngx_iclock_parse_rejected, NULL, \
      ngx_string(reason), 0, 0 }


#endif /* _ICLOCK_PROTO_PRIVATE_H_INCLUDED_ */
