
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


/* the reply to a handshake, of values as they come */


#include "fuzz.h"


/* SDK 3.2.0 with both styles of stamps */
#define FUZZ_MAX_LINES  29


static void fuzz_value(ngx_str_t *value, const uint8_t **data, size_t *size);
static void fuzz_check(ngx_str_t *reply);


/* a byte of length, and as many of value */

static void
fuzz_value(ngx_str_t *value, const uint8_t **data, size_t *size)
{
    size_t  len;

    ngx_str_null(value);

    if (*size == 0) {
        return;
    }

    /* some must be longer than a line */

    len = (size_t) (*data)[0] * 8;

    (*data)++;
    (*size)--;

    len = ngx_min(len, *size);

    value->data = (u_char *) *data;
    value->len = len;

    *data += len;
    *size -= len;
}


/* every line ends, is short enough and is one that was meant */

static void
fuzz_check(ngx_str_t *reply)
{
    u_char      *p, *last, *line;
    ngx_uint_t   lines;

    line = reply->data;
    last = reply->data + reply->len;
    lines = 0;

    for (p = line; p < last; p++) {

        if (*p == CR || *p == 0) {
            abort();
        }

        if (*p == LF) {

            if (p + 1 - line > 1024
                || ngx_strncmp(line, "ICLOCKSVRURL", 12) == 0)
            {
                abort();
            }

            lines++;
            line = p + 1;
        }
    }

    if (line != last || lines > FUZZ_MAX_LINES) {
        abort();
    }
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ngx_str_t                reply;
    ngx_uint_t               i;
    ngx_pool_t              *pool;
    ngx_keyval_t            *stamp;
    ngx_iclock_handshake_t   h;

    static const char  *tables[] = {
        "ATTLOG", "OPERLOG", "ATTPHOTO", "BIODATA", "IDCARD", "ERRORLOG",
        "USERINFO", "FINGERTMP", "FACETMP", "USERPIC", "SMS", "USER_SMS"
    };

    if (size < 8) {
        return 0;
    }

    pool = unit_pool();

    ngx_memzero(&h, sizeof(h));

    h.bare_stamps = data[0] & 1;
    h.send_timezone = data[0] >> 1 & 1;
    h.realtime = data[0] >> 2 & 1;
    h.dialect = data[0] >> 5 & 3;
    h.trans_style = data[0] >> 3 & 3;
    h.trans_words = data[1] << 8 | data[2];
    h.utc_offset = (int16_t) (data[3] << 8 | data[4]);
    h.delay = data[5];
    h.error_delay = -data[6];
    h.trans_interval = data[7];

    data += 8;
    size -= 8;

    h.stamps = ngx_array_create(pool, 3, sizeof(ngx_keyval_t));

    /* the last ones share their values with the first */

    for (i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
        stamp = ngx_array_push(h.stamps);
        stamp->key.data = (u_char *) tables[i];
        stamp->key.len = ngx_strlen(tables[i]);

        if (i < 3) {
            fuzz_value(&stamp->value, &data, &size);

        } else {
            stamp->value = stamp[-3].value;
        }
    }

    fuzz_value(&h.serial_number, &data, &size);
    fuzz_value(&h.trans_times, &data, &size);
    fuzz_value(&h.device_version, &data, &size);
    fuzz_value(&h.server_version, &data, &size);
    fuzz_value(&h.push_options, &data, &size);
    fuzz_value(&h.multi_bio_data, &data, &size);
    fuzz_value(&h.multi_bio_photo, &data, &size);

    if (ngx_iclock_handshake_reply(&reply, &h, pool) != NGX_OK) {
        abort();
    }

    fuzz_check(&reply);

    ngx_destroy_pool(pool);

    return 0;
}
