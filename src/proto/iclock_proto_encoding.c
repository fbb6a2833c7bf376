
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


/*
 * Text that is not UTF-8: attendance PUSH 2.4.1, section 11.5.  Devices send
 * names in the encoding of their language.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <iconv.h>
#include "iclock_proto.h"
#include "iclock_proto_private.h"


/* the longest name of an encoding that is handed to iconv */
#define NGX_ICLOCK_MAX_ENCODING  31


typedef struct {
    ngx_str_t     language;
    ngx_str_t     encoding;
} ngx_iclock_language_t;


/* opening reads files, so the last converter each way is kept */
typedef struct {
    iconv_t       cd;
    u_char        name[NGX_ICLOCK_MAX_ENCODING + 1];
} ngx_iclock_converter_t;


static ngx_int_t ngx_iclock_convert(ngx_str_t *text,
    const ngx_str_t *encoding, ngx_pool_t *pool);
static iconv_t ngx_iclock_open_encoding(ngx_iclock_converter_t *converter,
    const ngx_str_t *encoding);
static ngx_uint_t ngx_iclock_valid_encoding(const ngx_str_t *encoding);


/*
 * Attendance PUSH 2.4.1, section 11.5 and appendix 2.  Only Chinese devices
 * are documented to leave UTF-8; text is tried as UTF-8 first, so an entry
 * here cannot harm a device that keeps to it.
 */
static const ngx_iclock_language_t  ngx_iclock_languages[] = {
    { ngx_string("83"), ngx_string("GB18030") },       /* simplified Chinese */
    { ngx_string("65"), ngx_string("WINDOWS-1256") },  /* Persian */
    { ngx_string("66"), ngx_string("WINDOWS-1256") },  /* Arabic */
    { ngx_string("82"), ngx_string("WINDOWS-1251") },  /* Russian */
    { ngx_null_string, ngx_null_string }
};


static ngx_iclock_converter_t  ngx_iclock_decoder = { (iconv_t) -1, "" };
static ngx_iclock_converter_t  ngx_iclock_encoder = { (iconv_t) -1, "" };


ngx_str_t
ngx_iclock_language_encoding(ngx_str_t *language)
{
    const ngx_iclock_language_t  *l;

    for (l = ngx_iclock_languages; l->language.len; l++) {

        if (language->len == l->language.len
            && ngx_strncmp(language->data, l->language.data, language->len)
               == 0)
        {
            break;
        }
    }

    return l->encoding;
}


ngx_int_t
ngx_iclock_decode_text(ngx_str_t *text, const ngx_str_t *encoding,
    ngx_pool_t *pool)
{
    if (ngx_iclock_valid_text(text)) {
        return NGX_OK;
    }

    if (!ngx_iclock_valid_encoding(encoding)) {
        return NGX_DECLINED;
    }

    return ngx_iclock_convert(text, encoding, pool);
}


static ngx_int_t
ngx_iclock_convert(ngx_str_t *text, const ngx_str_t *encoding,
    ngx_pool_t *pool)
{
    char       *in, *out;
    size_t      inleft, outleft, size, rc;
    iconv_t     cd;
    ngx_str_t   decoded;

    cd = ngx_iclock_open_encoding(&ngx_iclock_decoder, encoding);
    if (cd == (iconv_t) -1) {
        return NGX_DECLINED;
    }

    /* no character of an encoding in use grows to more */
    size = text->len * 3;

    decoded.data = ngx_pnalloc(pool, size);
    if (decoded.data == NULL) {
        return NGX_ERROR;
    }

    in = (char *) text->data;
    inleft = text->len;
    out = (char *) decoded.data;
    outleft = size;

    rc = iconv(cd, &in, &inleft, &out, &outleft);

    if (rc != (size_t) -1) {
        rc = iconv(cd, NULL, NULL, &out, &outleft);
    }

    if (rc == (size_t) -1) {
        return NGX_DECLINED;
    }

    decoded.len = size - outleft;

    if (!ngx_iclock_valid_text(&decoded)) {
        return NGX_DECLINED;
    }

    *text = decoded;

    return NGX_OK;
}


/* the other way; what the encoding has no character for becomes "?" */

ngx_int_t
ngx_iclock_encode_text(ngx_str_t *text, const ngx_str_t *encoding,
    ngx_pool_t *pool)
{
    char       *in, *out;
    size_t      inleft, outleft, size;
    iconv_t     cd;
    ngx_str_t   encoded;

    if (!ngx_iclock_valid_encoding(encoding)) {
        return NGX_DECLINED;
    }

    cd = ngx_iclock_open_encoding(&ngx_iclock_encoder, encoding);
    if (cd == (iconv_t) -1) {
        return NGX_DECLINED;
    }

    /* four bytes in GB18030 for two in UTF-8 */
    size = text->len * 2;

    encoded.data = ngx_pnalloc(pool, size);
    if (encoded.data == NULL) {
        return NGX_ERROR;
    }

    in = (char *) text->data;
    inleft = text->len;
    out = (char *) encoded.data;
    outleft = size;

    while (inleft && iconv(cd, &in, &inleft, &out, &outleft) == (size_t) -1) {

        if ((ngx_errno != EILSEQ && ngx_errno != EINVAL) || outleft == 0) {
            return NGX_DECLINED;
        }

        *out++ = '?';
        outleft--;

        do {
            in++;
            inleft--;
        } while (inleft && (*in & 0xc0) == 0x80);
    }

    encoded.len = size - outleft;
    *text = encoded;

    return NGX_OK;
}


/* a name that does not exist is kept as well */

static iconv_t
ngx_iclock_open_encoding(ngx_iclock_converter_t *converter,
    const ngx_str_t *encoding)
{
    u_char  wanted[NGX_ICLOCK_MAX_ENCODING + 1];

    ngx_cpystrn(wanted, encoding->data, encoding->len + 1);

    if (ngx_strcmp(wanted, converter->name) != 0) {

        if (converter->cd != (iconv_t) -1) {
            (void) iconv_close(converter->cd);
        }

        converter->cd = (converter == &ngx_iclock_decoder)
                        ? iconv_open("UTF-8", (char *) wanted)
                        : iconv_open((char *) wanted, "UTF-8");

        ngx_cpystrn(converter->name, wanted, sizeof(converter->name));
    }

    if (converter->cd != (iconv_t) -1) {
        /* to its initial state, whatever the last text left it in */
        (void) iconv(converter->cd, NULL, NULL, NULL, NULL);
    }

    return converter->cd;
}


/* iconv understands "//" and the like in a name */

static ngx_uint_t
ngx_iclock_valid_encoding(const ngx_str_t *encoding)
{
    size_t  i;
    u_char  ch;

    if (encoding->len == 0 || encoding->len > NGX_ICLOCK_MAX_ENCODING) {
        return 0;
    }

    for (i = 0; i < encoding->len; i++) {
        ch = ngx_tolower(encoding->data[i]);

        if (!((ch >= 'a' && ch <= 'z') || (ch >= '0' && ch <= '9')
              || ch == '-' || ch == '_'))
        {
            return 0;
        }
    }

    return 1;
}
