
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


/*
 * Biometric templates: attendance PUSH 2.4.1, sections 11.9 to 11.12.  Type,
 * number, index and algorithm version tell one template from another, so a
 * record where they cannot be read is rejected.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include "iclock_proto.h"
#include "iclock_proto_private.h"


/* algorithms of fingerprints, as the major version of a template */
#define NGX_ICLOCK_FINGERPRINT_9   9
#define NGX_ICLOCK_FINGERPRINT_10  10


static void ngx_iclock_set_fingerprint_version(ngx_iclock_reading_t *r);


const ngx_iclock_key_t  ngx_iclock_template_keys[] = {

    { ngx_string("PIN"),
      NGX_ICLOCK_TEMPLATE_PIN, ngx_iclock_read_word, NGX_ICLOCK_NEEDED },

    { ngx_string("No"),
      NGX_ICLOCK_TEMPLATE_NO, ngx_iclock_read_number, NGX_ICLOCK_STRICT },

    { ngx_string("FID"),
      NGX_ICLOCK_TEMPLATE_NO, ngx_iclock_read_number, NGX_ICLOCK_STRICT },

    { ngx_string("FingerID"),
      NGX_ICLOCK_TEMPLATE_NO, ngx_iclock_read_number, NGX_ICLOCK_STRICT },

    { ngx_string("FaceID"),
      NGX_ICLOCK_TEMPLATE_NO, ngx_iclock_read_number, NGX_ICLOCK_STRICT },

    { ngx_string("Index"),
      NGX_ICLOCK_TEMPLATE_INDEX, ngx_iclock_read_number,
      NGX_ICLOCK_STRICT },

    { ngx_string("Type"),
      NGX_ICLOCK_TEMPLATE_TYPE, ngx_iclock_read_number, NGX_ICLOCK_STRICT },

    { ngx_string("MajorVer"),
      NGX_ICLOCK_TEMPLATE_MAJOR_VERSION, ngx_iclock_read_number,
      NGX_ICLOCK_STRICT },

    { ngx_string("MinorVer"),
      NGX_ICLOCK_TEMPLATE_MINOR_VERSION, ngx_iclock_read_number, 0 },

    { ngx_string("Format"),
      NGX_ICLOCK_TEMPLATE_FORMAT, ngx_iclock_read_number, 0 },

    { ngx_string("Valid"),
      NGX_ICLOCK_TEMPLATE_VALID, ngx_iclock_read_number, 0 },

    { ngx_string("Duress"),
      NGX_ICLOCK_TEMPLATE_DURESS, ngx_iclock_read_number, 0 },

    { ngx_string("Tmp"),
      NGX_ICLOCK_TEMPLATE_DATA, ngx_iclock_read_base64, NGX_ICLOCK_NEEDED },

    { ngx_string("Template"),
      NGX_ICLOCK_TEMPLATE_DATA, ngx_iclock_read_base64, NGX_ICLOCK_NEEDED },

    { ngx_string("Face"),
      NGX_ICLOCK_TEMPLATE_DATA, ngx_iclock_read_base64, NGX_ICLOCK_NEEDED },

    /* no model counts the size in the same way as the next one */
    { ngx_string("Size"), 0, NULL, 0 },

    { ngx_string("UID"), 0, NULL, 0 },
    { ngx_string("Resverd"), 0, NULL, 0 },
    { ngx_string("Reserve"), 0, NULL, 0 },
    { ngx_string("EndTag"), 0, NULL, 0 },

    { ngx_null_string, 0, NULL, 0 }
};


ngx_int_t
ngx_iclock_parse_template(ngx_iclock_reading_t *r,
    const ngx_iclock_item_t *item)
{
    ngx_int_t                rc;
    ngx_str_t                source;
    const ngx_iclock_tag_t  *tag;

    tag = item->tag;
    source = tag->label;

    /* the defaults of section 11.12 */

    ngx_iclock_set_number(r, NGX_ICLOCK_TEMPLATE_TYPE, tag->type);
    ngx_iclock_set_number(r, NGX_ICLOCK_TEMPLATE_NO, 0);
    ngx_iclock_set_number(r, NGX_ICLOCK_TEMPLATE_INDEX, 0);
    ngx_iclock_set_number(r, NGX_ICLOCK_TEMPLATE_MINOR_VERSION, 0);
    ngx_iclock_set_number(r, NGX_ICLOCK_TEMPLATE_FORMAT, 0);
    ngx_iclock_set_number(r, NGX_ICLOCK_TEMPLATE_VALID, 1);
    ngx_iclock_set_number(r, NGX_ICLOCK_TEMPLATE_DURESS, 0);
    ngx_iclock_set_text(r, NGX_ICLOCK_TEMPLATE_SOURCE, &source);

    rc = ngx_iclock_parse_keyed(r, item);
    if (rc != NGX_OK) {
        return rc;
    }

    if (r->record->values[NGX_ICLOCK_TEMPLATE_MAJOR_VERSION].null) {
        ngx_iclock_set_number(r, NGX_ICLOCK_TEMPLATE_MAJOR_VERSION,
                              tag->version);

        if (tag->type == NGX_ICLOCK_FINGERPRINT) {
            ngx_iclock_set_fingerprint_version(r);
        }
    }

    return NGX_OK;
}


/* a template of algorithm 9 begins "oco" in base64 */

static void
ngx_iclock_set_fingerprint_version(ngx_iclock_reading_t *r)
{
    int64_t     version;
    ngx_str_t  *data;

    data = &r->record->values[NGX_ICLOCK_TEMPLATE_DATA].text;

    version = NGX_ICLOCK_FINGERPRINT_10;

    /* 18 bits of the text are the first two bytes and the top of the third */

    if (data->len >= 3
        && data->data[0] == 0xa1
        && data->data[1] == 0xca
        && (data->data[2] & 0xc0) == 0x00)
    {
        version = NGX_ICLOCK_FINGERPRINT_9;
    }

    ngx_iclock_set_number(r, NGX_ICLOCK_TEMPLATE_MAJOR_VERSION, version);
}
