
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


/*
 * Command replies, attendance PUSH 2.4.1, section 13.  One body holds any
 * number of them; each begins a line with "ID=".  Its fields are separated
 * by "&" or by newlines, in any order.  The reply to INFO goes on with lines
 * of options; that of Shell and GetFile ends with "Content=", after which
 * the whole rest of the body is payload, whatever it looks like.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include "iclock_proto.h"
#include "iclock_proto_private.h"


typedef enum {
    NGX_ICLOCK_FIELD_OTHER = 0,
    NGX_ICLOCK_FIELD_ID,
    NGX_ICLOCK_FIELD_RETURN,
    NGX_ICLOCK_FIELD_COMMAND,
    NGX_ICLOCK_FIELD_SN,
    NGX_ICLOCK_FIELD_FILE_NAME,
    NGX_ICLOCK_FIELD_CONTENT
} ngx_iclock_field_e;


typedef struct {
    ngx_str_t     name;        /* with the "=" */
    ngx_uint_t    field;
} ngx_iclock_field_t;


static ngx_int_t ngx_iclock_cut_line(ngx_iclock_cutter_t *c,
    ngx_str_t *line);
static ngx_int_t ngx_iclock_cut_fields(ngx_iclock_cutter_t *c,
    ngx_str_t *line);
static ngx_int_t ngx_iclock_cut_field(ngx_iclock_cutter_t *c,
    ngx_str_t *field);
static void ngx_iclock_cut_command(ngx_iclock_cutter_t *c,
    ngx_str_t *command);
static ngx_int_t ngx_iclock_end_reply(ngx_iclock_cutter_t *c, u_char *end);
static ngx_uint_t ngx_iclock_find_field(ngx_str_t *field, ngx_str_t *value);
static ngx_uint_t ngx_iclock_begins(ngx_str_t *text, char *word, size_t len);
static u_char *ngx_iclock_field_end(ngx_iclock_reading_t *r, u_char *p,
    u_char *last);
static ngx_uint_t ngx_iclock_next_field(ngx_iclock_reading_t *r, u_char **p,
    u_char *last, ngx_str_t *field, ngx_str_t *value);
static ngx_int_t ngx_iclock_parse_reply(ngx_iclock_reading_t *r,
    const ngx_iclock_item_t *item);
static ngx_int_t ngx_iclock_read_reply_field(ngx_iclock_reading_t *r,
    ngx_uint_t field, ngx_str_t *value);
static void ngx_iclock_add_reply(ngx_str_t *reply, ngx_str_t *field);


static const ngx_iclock_field_t  ngx_iclock_fields[] = {
    { ngx_string("ID="), NGX_ICLOCK_FIELD_ID },
    { ngx_string("Return="), NGX_ICLOCK_FIELD_RETURN },
    { ngx_string("CMD="), NGX_ICLOCK_FIELD_COMMAND },
    { ngx_string("SN="), NGX_ICLOCK_FIELD_SN },
    { ngx_string("FILENAME="), NGX_ICLOCK_FIELD_FILE_NAME },
    { ngx_string("Content="), NGX_ICLOCK_FIELD_CONTENT },
    { ngx_null_string, NGX_ICLOCK_FIELD_OTHER }
};


static const ngx_iclock_key_t  ngx_iclock_reply_return_key =
    ngx_iclock_column_key(NGX_ICLOCK_REPLY_RETURN_CODE,
                          ngx_iclock_read_number, 0);

static const ngx_iclock_key_t  ngx_iclock_reply_command_key =
    ngx_iclock_column_key(NGX_ICLOCK_REPLY_COMMAND, ngx_iclock_read_text, 0);


static const ngx_iclock_tag_t  ngx_iclock_reply_tag = {
    ngx_null_string, NGX_ICLOCK_REPLY, ngx_iclock_parse_reply,
    NULL, ngx_null_string, 0, 0
};

/* the same with a payload, so that Content= is known to end it */

static const ngx_iclock_tag_t  ngx_iclock_file_reply_tag = {
    ngx_null_string, NGX_ICLOCK_REPLY, ngx_iclock_parse_reply,
    NULL, ngx_string("file"), 0, 0
};


static const ngx_iclock_tag_t  ngx_iclock_not_reply_tag =
    ngx_iclock_rejected_tag("not a command reply");


void
ngx_iclock_begin_replies(ngx_iclock_cutter_t *c, ngx_iclock_upload_t *upload,
    ngx_str_t *body)
{
    c->upload = upload;
    c->start = NULL;
    c->last = body->data + body->len;
    c->info = 0;
    c->file = 0;
}


ngx_int_t
ngx_iclock_cut_replies(ngx_iclock_cutter_t *c, ngx_str_t *rest)
{
    size_t      size;
    ngx_int_t   rc;
    ngx_str_t   line;
    ngx_uint_t  i;

    size = rest->len;

    for (i = 0; ngx_iclock_step_goes_on(i, size - rest->len); i++) {

        if (!ngx_iclock_next_line(rest, &line)) {
            return ngx_iclock_end_reply(c, c->last);
        }

        if (ngx_iclock_blank(&line)) {
            continue;
        }

        rc = ngx_iclock_cut_line(c, &line);

        if (rc == NGX_DONE) {
            return NGX_OK;
        }

        if (rc != NGX_OK) {
            return NGX_ERROR;
        }
    }

    return NGX_AGAIN;
}


ngx_int_t
ngx_iclock_push_reply(ngx_iclock_upload_t *upload, ngx_str_t *reply)
{
    upload->lines++;

    return ngx_iclock_push_item(upload, &ngx_iclock_reply_tag, reply->data,
                                reply->data + reply->len);
}


/* returns NGX_OK, NGX_DONE if the rest of the body is payload, NGX_ERROR */

static ngx_int_t
ngx_iclock_cut_line(ngx_iclock_cutter_t *c, ngx_str_t *line)
{
    ngx_str_t  value;

    while (line->len && (*line->data == ' ' || *line->data == '\0')) {
        line->data++;
        line->len--;
    }

    if (ngx_iclock_find_field(line, &value) == NGX_ICLOCK_FIELD_ID) {

        if (ngx_iclock_end_reply(c, line->data) != NGX_OK) {
            return NGX_ERROR;
        }

        c->start = line->data;
        c->info = 0;
        c->file = 0;
        c->upload->lines++;

    } else if (c->start == NULL) {

        c->upload->lines++;

        return ngx_iclock_push_item(c->upload, &ngx_iclock_not_reply_tag,
                                    line->data, line->data + line->len);
    }

    if (c->info
        && ngx_iclock_find_field(line, &value) == NGX_ICLOCK_FIELD_OTHER)
    {
        return ngx_iclock_push_options(c->upload, line, 0);
    }

    return ngx_iclock_cut_fields(c, line);
}


static ngx_int_t
ngx_iclock_cut_fields(ngx_iclock_cutter_t *c, ngx_str_t *line)
{
    u_char     *p, *last;
    ngx_int_t   rc;
    ngx_str_t   field, value;

    p = line->data;
    last = p + ngx_min(line->len, NGX_ICLOCK_LINE_BYTES);

    while (p < last) {

        /* a file is as long as it is, options are not */

        if (c->info && line->len > NGX_ICLOCK_LINE_BYTES) {
            c->upload->lines++;
            return ngx_iclock_push_item(c->upload, &ngx_iclock_option_tag,
                                        line->data, line->data + line->len);
        }

        field.data = p;

        p = ngx_strlchr(p, last, '&');
        if (p == NULL) {
            p = last;
        }

        field.len = p - field.data;

        if (c->info
            && ngx_iclock_find_field(&field, &value)
               == NGX_ICLOCK_FIELD_CONTENT)
        {
            value.len = last - value.data;
            return ngx_iclock_push_options(c->upload, &value, 1);
        }

        rc = ngx_iclock_cut_field(c, &field);
        if (rc != NGX_OK) {
            return rc;
        }

        p++;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_iclock_cut_field(ngx_iclock_cutter_t *c, ngx_str_t *field)
{
    ngx_str_t  value;

    switch (ngx_iclock_find_field(field, &value)) {

    case NGX_ICLOCK_FIELD_COMMAND:
        ngx_iclock_cut_command(c, &value);
        return NGX_OK;

    case NGX_ICLOCK_FIELD_FILE_NAME:
        c->file = 1;
        return NGX_OK;

    case NGX_ICLOCK_FIELD_CONTENT:
        if (c->file) {
            if (ngx_iclock_push_item(c->upload, &ngx_iclock_file_reply_tag,
                                     c->start, c->last)
                != NGX_OK)
            {
                return NGX_ERROR;
            }

            return NGX_DONE;
        }

        return NGX_OK;

    case NGX_ICLOCK_FIELD_OTHER:
        if (c->info && ngx_iclock_option_name(field->data,
                                              field->data + field->len))
        {
            return ngx_iclock_push_options(c->upload, field, 0);
        }

        return NGX_OK;

    default:
        return NGX_OK;
    }
}


static void
ngx_iclock_cut_command(ngx_iclock_cutter_t *c, ngx_str_t *command)
{
    if (ngx_iclock_begins(command, "INFO", 4)) {
        c->info = 1;

    } else if (ngx_iclock_begins(command, "Shell", 5)
               || ngx_iclock_begins(command, "GetFile", 7))
    {
        c->file = 1;
    }
}


static ngx_int_t
ngx_iclock_end_reply(ngx_iclock_cutter_t *c, u_char *end)
{
    if (c->start == NULL) {
        return NGX_OK;
    }

    while (end > c->start
           && (end[-1] == LF || end[-1] == CR || end[-1] == '\0'))
    {
        end--;
    }

    return ngx_iclock_push_item(c->upload, &ngx_iclock_reply_tag, c->start,
                                end);
}


static ngx_uint_t
ngx_iclock_find_field(ngx_str_t *field, ngx_str_t *value)
{
    const ngx_iclock_field_t  *f;

    for (f = ngx_iclock_fields; f->name.len; f++) {

        if (ngx_iclock_begins(field, (char *) f->name.data, f->name.len)) {
            value->data = field->data + f->name.len;
            value->len = field->len - f->name.len;
            break;
        }
    }

    return f->field;
}


static ngx_uint_t
ngx_iclock_begins(ngx_str_t *text, char *word, size_t len)
{
    return text->len >= len
           && ngx_strncasecmp(text->data, (u_char *) word, len) == 0;
}


/* of too many fields all that are left are one */

static u_char *
ngx_iclock_field_end(ngx_iclock_reading_t *r, u_char *p, u_char *last)
{
    if (++r->words > NGX_ICLOCK_LINE_WORDS) {
        return last;
    }

    while (p < last && *p != '&' && *p != LF) {
        p++;
    }

    return p;
}


static ngx_uint_t
ngx_iclock_next_field(ngx_iclock_reading_t *r, u_char **p, u_char *last,
    ngx_str_t *field, ngx_str_t *value)
{
    field->data = *p;
    *p = ngx_iclock_field_end(r, *p, last);
    field->len = *p - field->data;

    if (field->len && field->data[field->len - 1] == CR) {
        field->len--;
    }

    *value = *field;

    if (r->words > NGX_ICLOCK_LINE_WORDS) {
        return NGX_ICLOCK_FIELD_OTHER;
    }

    return ngx_iclock_find_field(field, value);
}


/*
 * What is no field of its own becomes the reply: fields of that command, or
 * the options of INFO, with what separates them, or the content.  Of too many
 * fields the rest is, too.
 */

static ngx_int_t
ngx_iclock_parse_reply(ngx_iclock_reading_t *r,
    const ngx_iclock_item_t *item)
{
    u_char      *p, *last;
    ngx_int_t    rc;
    ngx_str_t    field, value, reply;
    ngx_uint_t   id;

    p = item->data.data;
    last = p + item->data.len;

    reply.len = 0;
    reply.data = ngx_pnalloc(r->pool, item->data.len + 1);
    if (reply.data == NULL) {
        return NGX_ERROR;
    }

    while (p < last) {

        id = ngx_iclock_next_field(r, &p, last, &field, &value);

        if (id == NGX_ICLOCK_FIELD_CONTENT) {
            field = value;

            if (item->tag == &ngx_iclock_file_reply_tag) {
                /* the payload is the whole reply */
                reply.len = 0;
                field.len = last - field.data;
                p = last;
            }

            id = NGX_ICLOCK_FIELD_OTHER;
        }

        if (id == NGX_ICLOCK_FIELD_OTHER) {
            ngx_iclock_add_reply(&reply, &field);

        } else {
            rc = ngx_iclock_read_reply_field(r, id, &value);
            if (rc != NGX_OK) {
                return rc;
            }
        }

        p++;
    }

    if (reply.len) {
        ngx_iclock_set_text(r, NGX_ICLOCK_REPLY_REPLY, &reply);
    }

    return NGX_OK;
}


/* with what separates it from the one before; all of them fit into the item */

static void
ngx_iclock_add_reply(ngx_str_t *reply, ngx_str_t *field)
{
    u_char  *p;

    if (field->len == 0) {
        return;
    }

    p = reply->data + reply->len;

    if (reply->len) {
        *p++ = field->data[-1];
    }

    p = ngx_cpymem(p, field->data, field->len);
    reply->len = p - reply->data;
}


/* of fields that occur twice the first counts: later ones are options */

static ngx_int_t
ngx_iclock_read_reply_field(ngx_iclock_reading_t *r, ngx_uint_t field,
    ngx_str_t *value)
{
    int64_t              number;
    ngx_iclock_value_t  *values;

    values = r->record->values;

    switch (field) {

    case NGX_ICLOCK_FIELD_ID:
        ngx_iclock_trim(value);

        if (values[NGX_ICLOCK_REPLY_COMMAND_ID].null
            && value->len <= NGX_ICLOCK_WIRE_DIGITS
            && ngx_iclock_digits(value->data, value->data + value->len)
               == value->len
            && ngx_iclock_parse_number(value, &number) == NGX_OK)
        {
            ngx_iclock_set_number(r, NGX_ICLOCK_REPLY_COMMAND_ID, number);
        }

        return NGX_OK;

    case NGX_ICLOCK_FIELD_RETURN:
        if (!values[NGX_ICLOCK_REPLY_RETURN_CODE].null) {
            return NGX_OK;
        }

        return ngx_iclock_read_number(r, &ngx_iclock_reply_return_key,
                                      value);

    case NGX_ICLOCK_FIELD_COMMAND:
        if (!values[NGX_ICLOCK_REPLY_COMMAND].null) {
            return NGX_OK;
        }

        return ngx_iclock_read_text(r, &ngx_iclock_reply_command_key, value);

    default:
        return NGX_OK;
    }
}
