
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


/*
 * Photos: of users and for comparison, which are lines of base64 (attendance
 * PUSH 2.4.1, sections 11.13 and 11.15), and those taken at a punch, which
 * are a whole body (sections 11.3 and 11.8) in one of five forms:
 *
 *     PIN=<file>\nSN=...\nsize=...\nCMD=uploadphoto\0<JPEG>
 *     PIN=<file>\nSN=...\nsize=...\nCMD=uploadphoto\npicture=<base64>
 *     PIN=<file>\nSN=...\nsize=...\nCMD=uploadphoto<base64>
 *     PIN=<pin>\tSN=...\tsize=...\tphoto=<base64>
 *     <JPEG>, with PIN and time in the request line
 *
 * The file name is <time>[-<pin>].jpg, without a PIN if nobody was
 * recognized, or <time>-<result>-<pin>-<identity number>.jpg.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_crc32.h>
#include "iclock_proto.h"
#include "iclock_proto_private.h"


#define NGX_ICLOCK_PHOTO_VERIFIED  0
#define NGX_ICLOCK_PHOTO_FAILED    1

/* YYYYMMDDHHMMSS */
#define NGX_ICLOCK_PHOTO_TIME_LEN  14


static ngx_int_t ngx_iclock_read_photo_header(ngx_iclock_reading_t *r,
    ngx_str_t *header);
static ngx_int_t ngx_iclock_read_photo_command(ngx_iclock_reading_t *r,
    const ngx_iclock_key_t *key, ngx_str_t *text);
static u_char *ngx_iclock_photo_header_end(u_char *p, u_char *last);
static ngx_int_t ngx_iclock_read_photo_name(ngx_iclock_reading_t *r);
static void ngx_iclock_read_dated_name(ngx_iclock_reading_t *r,
    ngx_str_t *base);
static ngx_int_t ngx_iclock_make_photo_name(ngx_iclock_reading_t *r,
    ngx_str_t *pin);
static size_t ngx_iclock_photo_extension(ngx_str_t *name);
static ngx_uint_t ngx_iclock_is_jpeg(u_char *p, u_char *last);


const ngx_iclock_key_t  ngx_iclock_photo_keys[] = {

    { ngx_string("PIN"),
      NGX_ICLOCK_PHOTO_PIN, ngx_iclock_read_word, NGX_ICLOCK_NEEDED },

    { ngx_string("FileName"),
      NGX_ICLOCK_PHOTO_FILE_NAME, ngx_iclock_read_short_text,
      NGX_ICLOCK_STRICT },

    { ngx_string("Type"),
      NGX_ICLOCK_PHOTO_TYPE, ngx_iclock_read_number, 0 },

    { ngx_string("Content"),
      NGX_ICLOCK_PHOTO_CONTENT, ngx_iclock_read_base64, NGX_ICLOCK_NEEDED },

    { ngx_string("Size"), 0, NULL, 0 },
    { ngx_string("No"), 0, NULL, 0 },
    { ngx_string("Index"), 0, NULL, 0 },

    { ngx_null_string, 0, NULL, 0 }
};


static const ngx_iclock_key_t  ngx_iclock_photo_header_keys[] = {

    /* a PIN or a file name, taken apart later */
    { ngx_string("PIN"),
      NGX_ICLOCK_PHOTO_FILE_NAME, ngx_iclock_read_word, NGX_ICLOCK_STRICT },

    /* may have the content in it, but is not a value of its own */
    { ngx_string("CMD"),
      NGX_ICLOCK_PHOTO_KIND, ngx_iclock_read_photo_command, 0 },

    { ngx_string("picture"),
      NGX_ICLOCK_PHOTO_CONTENT, ngx_iclock_read_base64, NGX_ICLOCK_NEEDED },

    { ngx_string("photo"),
      NGX_ICLOCK_PHOTO_CONTENT, ngx_iclock_read_base64, NGX_ICLOCK_NEEDED },

    { ngx_string("SN"), 0, NULL, 0 },
    { ngx_string("size"), 0, NULL, 0 },

    { ngx_null_string, 0, NULL, 0 }
};


static const ngx_iclock_key_t  ngx_iclock_photo_content_key =
    ngx_iclock_column_key(NGX_ICLOCK_PHOTO_CONTENT, ngx_iclock_read_base64,
                          NGX_ICLOCK_STRICT);


static const ngx_str_t  ngx_iclock_photo_commands[] = {
    ngx_string("uploadphoto"),
    ngx_string("realupload"),
    ngx_null_string
};


static const ngx_str_t  ngx_iclock_photo_extensions[] = {
    ngx_string(".jpg"),
    ngx_string(".jpeg"),
    ngx_string(".bmp"),
    ngx_string(".png"),
    ngx_null_string
};


ngx_int_t
ngx_iclock_parse_photo_line(ngx_iclock_reading_t *r,
    const ngx_iclock_item_t *item)
{
    u_char              *p;
    ngx_int_t            rc;
    ngx_str_t            kind, name;
    ngx_iclock_value_t  *values;

    kind = item->tag->label;
    ngx_iclock_set_text(r, NGX_ICLOCK_PHOTO_KIND, &kind);

    rc = ngx_iclock_parse_keyed(r, item);
    if (rc != NGX_OK) {
        return rc;
    }

    values = r->record->values;

    if (values[NGX_ICLOCK_PHOTO_FILE_NAME].text.len) {
        return NGX_OK;
    }

    /* SDK 3.2.0 knows no file names; the others are the PIN as well */

    name = values[NGX_ICLOCK_PHOTO_PIN].text;

    p = ngx_pnalloc(r->pool, name.len + sizeof(".jpg") - 1);
    if (p == NULL) {
        return NGX_ERROR;
    }

    name.len = ngx_sprintf(p, "%V.jpg", &name) - p;
    name.data = p;

    ngx_iclock_set_text(r, NGX_ICLOCK_PHOTO_FILE_NAME, &name);

    return NGX_OK;
}


ngx_int_t
ngx_iclock_parse_photo_body(ngx_iclock_reading_t *r,
    const ngx_iclock_item_t *item)
{
    u_char     *last, *end;
    ngx_int_t   rc;
    ngx_str_t   kind, header, content;

    kind = item->tag->label;
    ngx_iclock_set_text(r, NGX_ICLOCK_PHOTO_KIND, &kind);

    last = item->data.data + item->data.len;
    end = ngx_iclock_photo_header_end(item->data.data, last);

    header.data = item->data.data;
    header.len = end - header.data;

    rc = ngx_iclock_read_photo_header(r, &header);
    if (rc != NGX_OK) {
        return rc;
    }

    content.data = (end < last && *end == '\0') ? end + 1 : end;
    content.len = last - content.data;

    if (content.len) {
        ngx_iclock_set_text(r, NGX_ICLOCK_PHOTO_CONTENT, &content);
    }

    rc = ngx_iclock_check_needed(r, ngx_iclock_photo_header_keys);
    if (rc != NGX_OK) {
        return rc;
    }

    return ngx_iclock_read_photo_name(r);
}


/* the header ends at a NUL, or where the JPEG begins without one */

static u_char *
ngx_iclock_photo_header_end(u_char *p, u_char *last)
{
    u_char      *end;
    ngx_uint_t   n;

    end = (p < last) ? memchr(p, '\0', last - p) : NULL;

    if (end == NULL) {
        end = last;
    }

    for (n = 0; p < end && n < NGX_ICLOCK_LINE_WORDS; n++) {

        p = memchr(p, 0xff, end - p);

        if (p == NULL) {
            break;
        }

        if (ngx_iclock_is_jpeg(p, last)) {
            return p;
        }

        p++;
    }

    return end;
}


static ngx_uint_t
ngx_iclock_is_jpeg(u_char *p, u_char *last)
{
    return last - p >= 3 && p[0] == 0xff && p[1] == 0xd8 && p[2] == 0xff;
}


/*
 * Unknown lines are passed over, but not once there is a picture: they would
 * be the rest of it.
 */

static ngx_int_t
ngx_iclock_read_photo_header(ngx_iclock_reading_t *r, ngx_str_t *header)
{
    ngx_int_t  rc;
    ngx_str_t  rest, line;

    rest = *header;

    while (ngx_iclock_next_line(&rest, &line)) {

        if (++r->words > NGX_ICLOCK_LINE_WORDS) {
            return ngx_iclock_reject(r, "too many words");
        }

        if (ngx_iclock_blank(&line)) {
            continue;
        }

        if (r->record->values[NGX_ICLOCK_PHOTO_CONTENT].null
            && ngx_iclock_find_key(ngx_iclock_photo_header_keys, line.data,
                                   line.data + line.len)
               == NULL
            && ngx_iclock_option_name(line.data, line.data + line.len))
        {
            continue;
        }

        rc = ngx_iclock_read_keyed(r, ngx_iclock_photo_header_keys, &line);
        if (rc != NGX_OK) {
            return rc;
        }
    }

    return NGX_OK;
}


/* what follows the word immediately is the picture */

static ngx_int_t
ngx_iclock_read_photo_command(ngx_iclock_reading_t *r,
    const ngx_iclock_key_t *key, ngx_str_t *text)
{
    ngx_str_t         s;
    const ngx_str_t  *command;

    for (command = ngx_iclock_photo_commands; command->len; command++) {

        if (text->len <= command->len
            || ngx_strncasecmp(text->data, command->data, command->len) != 0)
        {
            continue;
        }

        s.data = text->data + command->len;
        s.len = text->len - command->len;

        return ngx_iclock_read_base64(r, &ngx_iclock_photo_content_key, &s);
    }

    return NGX_OK;
}


static ngx_int_t
ngx_iclock_read_photo_name(ngx_iclock_reading_t *r)
{
    int64_t              time;
    ngx_int_t            rc;
    ngx_str_t            base, date;
    ngx_iclock_value_t  *name;

    name = &r->record->values[NGX_ICLOCK_PHOTO_FILE_NAME];

    if (name->text.len == 0) {
        base = r->context->pin;

        rc = ngx_iclock_read_word(r, &ngx_iclock_photo_header_keys[0],
                                  &base);
        if (rc != NGX_OK) {
            return rc;
        }
    }

    base = name->text;
    base.len -= ngx_iclock_photo_extension(&base);

    if (base.len == 0) {
        return ngx_iclock_reject(r, "pin is empty");
    }

    if (ngx_iclock_digits(base.data, base.data + base.len)
        != NGX_ICLOCK_PHOTO_TIME_LEN
        || (base.len > NGX_ICLOCK_PHOTO_TIME_LEN
            && base.data[NGX_ICLOCK_PHOTO_TIME_LEN] != '-'))
    {
        return ngx_iclock_make_photo_name(r, &base);
    }

    date.data = base.data;
    date.len = NGX_ICLOCK_PHOTO_TIME_LEN;

    if (ngx_iclock_parse_compact_time(&date, &time) == NGX_OK) {
        ngx_iclock_set_number(r, NGX_ICLOCK_PHOTO_TAKEN_AT, time);

    } else if (base.len == date.len) {
        /* a long PIN */
        return ngx_iclock_make_photo_name(r, &base);
    }

    base.data += date.len;
    base.len -= date.len;

    ngx_iclock_read_dated_name(r, &base);

    return NGX_OK;
}


/* what follows the time: nothing, "-pin" or "-result-pin-id" */

static void
ngx_iclock_read_dated_name(ngx_iclock_reading_t *r, ngx_str_t *base)
{
    u_char     *p, *last, *dash;
    int64_t     result;
    ngx_str_t   pin, id;

    p = base->data;
    last = p + base->len;

    if (last - p < 2) {
        ngx_iclock_set_number(r, NGX_ICLOCK_PHOTO_RESULT,
                              NGX_ICLOCK_PHOTO_FAILED);
        return;
    }

    /* the dash */
    p++;

    result = NGX_ICLOCK_PHOTO_VERIFIED;

    for (dash = last - 1; dash > p + 1 && *dash != '-'; dash--) {
        /* void */
    }

    if (last - p >= 3 && *p >= '0' && *p <= '9' && p[1] == '-'
        && dash > p + 1)
    {
        result = *p - '0';

        id.data = dash + 1;
        id.len = last - id.data;

        if (id.len) {
            ngx_iclock_set_text(r, NGX_ICLOCK_PHOTO_ID_NUMBER, &id);
        }

        p += 2;
        last = dash;
    }

    ngx_iclock_set_number(r, NGX_ICLOCK_PHOTO_RESULT, result);

    pin.data = p;
    pin.len = last - p;

    if (pin.len) {
        ngx_iclock_set_text(r, NGX_ICLOCK_PHOTO_PIN, &pin);
    }
}


/*
 * A photo that came with a PIN instead of a file name gets the name that a
 * device would have given it.  Without a time it is told from others of that
 * user by its content, so that only the same photo replaces it.
 */

static ngx_int_t
ngx_iclock_make_photo_name(ngx_iclock_reading_t *r, ngx_str_t *pin)
{
    u_char     *p, *last, *dst;
    int64_t     time;
    ngx_str_t   name, date, *content;

    ngx_iclock_set_text(r, NGX_ICLOCK_PHOTO_PIN, pin);
    ngx_iclock_set_number(r, NGX_ICLOCK_PHOTO_RESULT,
                          NGX_ICLOCK_PHOTO_VERIFIED);

    dst = ngx_pnalloc(r->pool, pin->len + sizeof("YYYYMMDDHHMMSS-.jpg"));
    if (dst == NULL) {
        return NGX_ERROR;
    }

    name.data = dst;

    date = r->context->time;
    ngx_iclock_trim(&date);

    if (ngx_iclock_parse_time(&date, &time) == NGX_OK
        || ngx_iclock_parse_compact_time(&date, &time) == NGX_OK)
    {
        ngx_iclock_set_number(r, NGX_ICLOCK_PHOTO_TAKEN_AT, time);

        last = date.data + date.len;

        for (p = date.data; p < last; p++) {
            if (*p >= '0' && *p <= '9') {
                *dst++ = *p;
            }
        }

        dst = ngx_sprintf(dst, "-%V.jpg", pin);

    } else {
        content = &r->record->values[NGX_ICLOCK_PHOTO_CONTENT].text;

        dst = ngx_sprintf(dst, "%V-%08xD.jpg", pin,
                          ngx_crc32_long(content->data, content->len));
    }

    name.len = dst - name.data;

    ngx_iclock_set_text(r, NGX_ICLOCK_PHOTO_FILE_NAME, &name);

    return NGX_OK;
}


static size_t
ngx_iclock_photo_extension(ngx_str_t *name)
{
    const ngx_str_t  *ext;

    for (ext = ngx_iclock_photo_extensions; ext->len; ext++) {

        if (name->len >= ext->len
            && ngx_strncasecmp(name->data + name->len - ext->len, ext->data,
                               ext->len)
               == 0)
        {
            return ext->len;
        }
    }

    return 0;
}
