
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


/*
 * Text that is not UTF-8.  Attendance PUSH 2.4.1, sections 1.2 and 11.5:
 * Chinese devices send names in GB2312, all others in UTF-8; what is on an
 * identity card is UTF-8 everywhere (section 11.6).
 *
 * Some Chinese firmware sends UTF-8 all the same, and the bytes of a name may
 * be valid in both.  What is valid in one of them is certain.  What is valid
 * in both is taken for UTF-8 if it then reads as Chinese, since GB2312 reads
 * as other scripts, or if its characters are not of GB2312; and it is read
 * as the certain names of the same upload are.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <iconv.h>
#include "iclock_proto.h"
#include "iclock_proto_private.h"


/* the longest name of an encoding that is handed to iconv */
#define NGX_ICLOCK_MAX_ENCODING    31

/* GB2312 by the language: some of these devices send UTF-8 */
#define NGX_ICLOCK_TEXT_DOCUMENTED  0x40
/* by the language, but documented nowhere: only for what is not UTF-8 */
#define NGX_ICLOCK_TEXT_GUESSED     0x80

#define NGX_ICLOCK_TEXT_NUMBER      0x3f


typedef struct {
    ngx_str_t     name;
    ngx_uint_t    encoding;
} ngx_iclock_encoding_name_t;


/* opening reads files, so the last converter each way is kept */
typedef struct {
    iconv_t       cd;
    ngx_uint_t    encoding;
} ngx_iclock_converter_t;


/* of one text */
typedef struct {
    iconv_t       cd;
    char         *in;
    char         *out;
    size_t        inleft;
    size_t        outleft;
    u_char       *start;    /* of what is written */
} ngx_iclock_conversion_t;


/* what can be said of a text that may be GB2312 or UTF-8 */
typedef enum {
    NGX_ICLOCK_SCRIPT_ANY = 0,   /* both, or ASCII only */
    NGX_ICLOCK_SCRIPT_UTF_8,
    NGX_ICLOCK_SCRIPT_GB
} ngx_iclock_script_e;


static ngx_uint_t ngx_iclock_find_encoding(
    const ngx_iclock_encoding_name_t *names, ngx_str_t *name);
static ngx_int_t ngx_iclock_convert(ngx_str_t *text, ngx_uint_t encoding,
    ngx_pool_t *pool);
static ngx_int_t ngx_iclock_begin_conversion(ngx_iclock_conversion_t *c,
    ngx_iclock_converter_t *converter, ngx_uint_t encoding, ngx_str_t *text,
    size_t size, ngx_pool_t *pool);
static iconv_t ngx_iclock_open_encoding(ngx_iclock_converter_t *converter,
    ngx_uint_t encoding);
static ngx_uint_t ngx_iclock_wide(ngx_str_t *text);
static ngx_uint_t ngx_iclock_script(ngx_str_t *text);
static ngx_uint_t ngx_iclock_chinese_utf8(ngx_str_t *text);
static ngx_uint_t ngx_iclock_is_gb18030(ngx_str_t *text);
static ngx_uint_t ngx_iclock_is_gb2312(ngx_str_t *text);


/* names of iconv, in the order of ngx_iclock_encoding_e */

static const char  *ngx_iclock_iconv_names[] = {
    "UTF-8",
    "GB18030",
    "WINDOWS-1256",
    "WINDOWS-1251",
    "ISO-8859-1",
    "WINDOWS-1252",
    "WINDOWS-1250",
    "WINDOWS-1253",
    "WINDOWS-1254",
    "WINDOWS-1255",
    "WINDOWS-1258",
    "WINDOWS-874",
    "BIG5",
    "EUC-KR",
    "SHIFT_JIS"
};


static const ngx_iclock_encoding_name_t  ngx_iclock_encoding_names[] = {
    { ngx_string("UTF-8"), NGX_ICLOCK_UTF_8 },
    { ngx_string("UTF8"), NGX_ICLOCK_UTF_8 },
    { ngx_string("GB18030"), NGX_ICLOCK_GB18030 },
    /* both are subsets of it */
    { ngx_string("GB2312"), NGX_ICLOCK_GB18030 },
    { ngx_string("GBK"), NGX_ICLOCK_GB18030 },
    { ngx_string("WINDOWS-1256"), NGX_ICLOCK_WINDOWS_1256 },
    { ngx_string("WINDOWS-1251"), NGX_ICLOCK_WINDOWS_1251 },
    { ngx_string("ISO-8859-1"), NGX_ICLOCK_ISO_8859_1 },
    { ngx_string("WINDOWS-1252"), NGX_ICLOCK_WINDOWS_1252 },
    { ngx_string("WINDOWS-1250"), NGX_ICLOCK_WINDOWS_1250 },
    { ngx_string("WINDOWS-1253"), NGX_ICLOCK_WINDOWS_1253 },
    { ngx_string("WINDOWS-1254"), NGX_ICLOCK_WINDOWS_1254 },
    { ngx_string("WINDOWS-1255"), NGX_ICLOCK_WINDOWS_1255 },
    { ngx_string("WINDOWS-1258"), NGX_ICLOCK_WINDOWS_1258 },
    { ngx_string("WINDOWS-874"), NGX_ICLOCK_WINDOWS_874 },
    { ngx_string("BIG5"), NGX_ICLOCK_BIG5 },
    { ngx_string("EUC-KR"), NGX_ICLOCK_EUC_KR },
    { ngx_string("SHIFT_JIS"), NGX_ICLOCK_SHIFT_JIS },
    { ngx_null_string, NGX_ICLOCK_UTF_8 }
};


/* numbers of appendix 2 */

static const ngx_iclock_encoding_name_t  ngx_iclock_languages[] = {
    /* simplified Chinese */
    { ngx_string("83"), NGX_ICLOCK_GB18030|NGX_ICLOCK_TEXT_DOCUMENTED },
    /* Persian */
    { ngx_string("65"), NGX_ICLOCK_WINDOWS_1256|NGX_ICLOCK_TEXT_GUESSED },
    /* Arabic */
    { ngx_string("66"), NGX_ICLOCK_WINDOWS_1256|NGX_ICLOCK_TEXT_GUESSED },
    /* Russian */
    { ngx_string("82"), NGX_ICLOCK_WINDOWS_1251|NGX_ICLOCK_TEXT_GUESSED },
    { ngx_null_string, NGX_ICLOCK_UTF_8 }
};


static ngx_iclock_converter_t  ngx_iclock_decoder = {
    (iconv_t) -1, NGX_ICLOCK_UTF_8
};

static ngx_iclock_converter_t  ngx_iclock_encoder = {
    (iconv_t) -1, NGX_ICLOCK_UTF_8
};


ngx_uint_t
ngx_iclock_encoding(ngx_str_t *name, ngx_str_t *language)
{
    return name->len
           ? ngx_iclock_find_encoding(ngx_iclock_encoding_names, name)
           : ngx_iclock_find_encoding(ngx_iclock_languages, language);
}


static ngx_uint_t
ngx_iclock_find_encoding(const ngx_iclock_encoding_name_t *names,
    ngx_str_t *name)
{
    const ngx_iclock_encoding_name_t  *n;

    for (n = names; n->name.len; n++) {

        if (name->len == n->name.len
            && ngx_strncasecmp(name->data, n->name.data, name->len) == 0)
        {
            break;
        }
    }

    return n->encoding;
}


/* only names of users are documented to be of the language's encoding */

ngx_int_t
ngx_iclock_settle_encoding(ngx_iclock_context_t *context,
    ngx_iclock_upload_t *upload, ngx_iclock_settling_t *settling)
{
    size_t              bytes;
    ngx_uint_t          i, last, script;
    ngx_iclock_item_t  *items;

    if (!(context->encoding & NGX_ICLOCK_TEXT_DOCUMENTED)) {
        return NGX_OK;
    }

    bytes = 0;
    items = upload->items.elts;
    last = ngx_min(settling->item + NGX_ICLOCK_STEP_LINES,
                   upload->items.nelts);

    for (i = settling->item; i < last && bytes < NGX_ICLOCK_STEP_BYTES; i++) {

        if (items[i].tag->kind != NGX_ICLOCK_USER
            || items[i].data.len > NGX_ICLOCK_LINE_BYTES)
        {
            continue;
        }

        bytes += items[i].data.len;
        script = ngx_iclock_script(&items[i].data);

        if (script == NGX_ICLOCK_SCRIPT_ANY || script == settling->script) {
            continue;
        }

        if (settling->script != NGX_ICLOCK_SCRIPT_ANY) {
            /* each name for itself */
            return NGX_OK;
        }

        settling->script = script;
    }

    settling->item = i;

    if (i < upload->items.nelts) {
        return NGX_AGAIN;
    }

    if (settling->script == NGX_ICLOCK_SCRIPT_ANY) {
        return NGX_OK;
    }

    context->encoding &= ~NGX_ICLOCK_TEXT_DOCUMENTED;

    if (settling->script == NGX_ICLOCK_SCRIPT_UTF_8) {
        context->encoding |= NGX_ICLOCK_TEXT_GUESSED;
    }

    return NGX_OK;
}


ngx_int_t
ngx_iclock_decode_text(ngx_str_t *text, ngx_uint_t encoding,
    ngx_pool_t *pool)
{
    ngx_int_t   rc;
    ngx_uint_t  valid;

    valid = ngx_iclock_valid_text(text);

    if (valid
        && ((encoding & NGX_ICLOCK_TEXT_GUESSED)
            || !ngx_iclock_wide(text)
            || ((encoding & NGX_ICLOCK_TEXT_DOCUMENTED)
                && ngx_iclock_script(text) == NGX_ICLOCK_SCRIPT_UTF_8)))
    {
        return NGX_OK;
    }

    encoding &= NGX_ICLOCK_TEXT_NUMBER;

    rc = (encoding == NGX_ICLOCK_UTF_8)
         ? NGX_DECLINED
         : ngx_iclock_convert(text, encoding, pool);

    return (rc == NGX_DECLINED && valid) ? NGX_OK : rc;
}


ngx_int_t
ngx_iclock_decode_utf8(ngx_str_t *text, ngx_uint_t encoding, ngx_pool_t *pool)
{
    return ngx_iclock_decode_text(text, encoding | NGX_ICLOCK_TEXT_GUESSED,
                                  pool);
}


static ngx_uint_t
ngx_iclock_wide(ngx_str_t *text)
{
    size_t  i;

    for (i = 0; i < text->len; i++) {
        if (text->data[i] >= 0x80) {
            return 1;
        }
    }

    return 0;
}


static ngx_uint_t
ngx_iclock_script(ngx_str_t *text)
{
    if (!ngx_iclock_valid_text(text)) {
        return ngx_iclock_is_gb18030(text) ? NGX_ICLOCK_SCRIPT_GB
                                           : NGX_ICLOCK_SCRIPT_ANY;
    }

    if (ngx_iclock_wide(text)
        && (ngx_iclock_chinese_utf8(text) || !ngx_iclock_is_gb2312(text)))
    {
        return NGX_ICLOCK_SCRIPT_UTF_8;
    }

    return NGX_ICLOCK_SCRIPT_ANY;
}


/*
 * Whether valid UTF-8 has no other wide characters than those from U+3000 to
 * U+9FFF, and the dot that is written between the parts of foreign names.
 */

static ngx_uint_t
ngx_iclock_chinese_utf8(ngx_str_t *text)
{
    u_char      *p, *last;
    ngx_uint_t   n;

    n = 0;
    p = text->data;
    last = p + text->len;

    while (p < last) {

        if (*p < 0x80) {
            p++;

        } else if (*p >= 0xe3 && *p <= 0xe9) {
            n++;
            p += 3;

        } else if (*p == 0xc2 && p[1] == 0xb7) {
            p += 2;

        } else {
            return 0;
        }
    }

    return n != 0;
}


/* by its bytes; whether each pair has a character is not looked up */

static ngx_uint_t
ngx_iclock_is_gb18030(ngx_str_t *text)
{
    u_char  *p, *last;

    p = text->data;
    last = p + text->len;

    while (p < last) {

        if (*p < 0x80) {
            p++;
            continue;
        }

        if (*p == 0x80 || *p == 0xff || last - p < 2) {
            return 0;
        }

        if (p[1] >= 0x40 && p[1] != 0x7f && p[1] != 0xff) {
            p += 2;
            continue;
        }

        if (last - p < 4
            || p[1] < '0' || p[1] > '9'
            || p[2] < 0x81 || p[2] > 0xfe
            || p[3] < '0' || p[3] > '9')
        {
            return 0;
        }

        p += 4;
    }

    return 1;
}


/* symbols in rows 1 to 9, Chinese in rows 16 to 87 */

static ngx_uint_t
ngx_iclock_is_gb2312(ngx_str_t *text)
{
    u_char  *p, *last;

    p = text->data;
    last = p + text->len;

    while (p < last) {

        if (*p < 0x80) {
            p++;
            continue;
        }

        if (!((*p >= 0xa1 && *p <= 0xa9) || (*p >= 0xb0 && *p <= 0xf7))
            || last - p < 2 || p[1] < 0xa1 || p[1] > 0xfe)
        {
            return 0;
        }

        p += 2;
    }

    return 1;
}


static ngx_int_t
ngx_iclock_convert(ngx_str_t *text, ngx_uint_t encoding, ngx_pool_t *pool)
{
    size_t                   n;
    ngx_int_t                rc;
    ngx_str_t                decoded;
    ngx_iclock_conversion_t  c;

    /* no character of an encoding in use grows to more */

    rc = ngx_iclock_begin_conversion(&c, &ngx_iclock_decoder, encoding, text,
                                     text->len * 3, pool);
    if (rc != NGX_OK) {
        return rc;
    }

    n = iconv(c.cd, &c.in, &c.inleft, &c.out, &c.outleft);

    if (n != (size_t) -1) {
        n = iconv(c.cd, NULL, NULL, &c.out, &c.outleft);
    }

    if (n == (size_t) -1) {
        return NGX_DECLINED;
    }

    decoded.data = c.start;
    decoded.len = (u_char *) c.out - c.start;

    if (!ngx_iclock_valid_text(&decoded)) {
        return NGX_DECLINED;
    }

    *text = decoded;

    return NGX_OK;
}


/* the other way; what the encoding has no character for becomes "?" */

ngx_int_t
ngx_iclock_encode_text(ngx_str_t *text, ngx_uint_t encoding, ngx_pool_t *pool)
{
    ngx_int_t                rc;
    ngx_iclock_conversion_t  c;

    /* nothing that is only guessed is sent */

    if ((encoding & NGX_ICLOCK_TEXT_GUESSED) || !ngx_iclock_wide(text)) {
        return NGX_OK;
    }

    encoding &= NGX_ICLOCK_TEXT_NUMBER;

    if (encoding == NGX_ICLOCK_UTF_8) {
        return NGX_OK;
    }

    /* four bytes in GB18030 for two in UTF-8 */

    rc = ngx_iclock_begin_conversion(&c, &ngx_iclock_encoder, encoding, text,
                                     text->len * 2, pool);
    if (rc != NGX_OK) {
        return rc;
    }

    while (c.inleft
           && iconv(c.cd, &c.in, &c.inleft, &c.out, &c.outleft)
              == (size_t) -1)
    {
        if ((ngx_errno != EILSEQ && ngx_errno != EINVAL) || c.outleft == 0) {
            return NGX_DECLINED;
        }

        *c.out++ = '?';
        c.outleft--;

        do {
            c.in++;
            c.inleft--;
        } while (c.inleft && (*c.in & 0xc0) == 0x80);
    }

    text->data = c.start;
    text->len = (u_char *) c.out - c.start;

    return NGX_OK;
}


/* NGX_OK, NGX_DECLINED if the system lacks the encoding, NGX_ERROR */

static ngx_int_t
ngx_iclock_begin_conversion(ngx_iclock_conversion_t *c,
    ngx_iclock_converter_t *converter, ngx_uint_t encoding, ngx_str_t *text,
    size_t size, ngx_pool_t *pool)
{
    c->cd = ngx_iclock_open_encoding(converter, encoding);
    if (c->cd == (iconv_t) -1) {
        return NGX_DECLINED;
    }

    c->start = ngx_pnalloc(pool, size);
    if (c->start == NULL) {
        return NGX_ERROR;
    }

    c->in = (char *) text->data;
    c->inleft = text->len;
    c->out = (char *) c->start;
    c->outleft = size;

    return NGX_OK;
}


/* an encoding that the system does not have is kept as well */

static iconv_t
ngx_iclock_open_encoding(ngx_iclock_converter_t *converter,
    ngx_uint_t encoding)
{
    const char  *name;

    if (encoding != converter->encoding) {

        if (converter->cd != (iconv_t) -1) {
            (void) iconv_close(converter->cd);
        }

        name = ngx_iclock_iconv_names[encoding];

        converter->cd = (converter == &ngx_iclock_decoder)
                        ? iconv_open("UTF-8", name)
                        : iconv_open(name, "UTF-8");

        converter->encoding = encoding;
    }

    if (converter->cd != (iconv_t) -1) {
        /* to its initial state, whatever the last text left it in */
        (void) iconv(converter->cd, NULL, NULL, NULL, NULL);
    }

    return converter->cd;
}
