
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


/* the reply to a handshake */


#include "unit.h"


#define unit_stamps_line                                                     \
    "ATTLOGStamp=9999\nOPERLOGStamp=2026-01-01T00:00:00\n"                   \
    "ATTPHOTOStamp=0\nBIODATAStamp=0\nIDCARDStamp=0\nERRORLOGStamp=None\n"

#define unit_words                                                           \
    "AttLog\tOpLog\tAttPhoto\tEnrollFP\tEnrollUser\tFPImag\tChgUser\tChgFP"  \
    "\tFACE\tUserPic\tWORKCODE\tBioPhoto\n"


typedef struct {
    ngx_int_t    offset;
    const char  *line;    /* an empty one: none is sent */
} unit_offset_t;


typedef struct {
    const char  *version;
    ngx_uint_t   dialect;
} unit_dialect_t;


typedef struct {
    const char  *version;
    ngx_uint_t   needed;
} unit_bare_t;


static void unit_handshake(ngx_iclock_handshake_t *handshake,
    ngx_pool_t *pool);
static void unit_reply_is(ngx_iclock_handshake_t *handshake,
    const char *expected, const char *name);
static ngx_uint_t unit_reply_has(ngx_iclock_handshake_t *handshake,
    const char *line);
static void unit_test_offsets(ngx_iclock_handshake_t *handshake);
static void unit_test_styles(ngx_iclock_handshake_t *handshake);
static void unit_test_sdk(ngx_iclock_handshake_t *handshake);
static void unit_test_dialects(void);
static void unit_test_injection(ngx_iclock_handshake_t *handshake);
static void unit_test_long_lists(ngx_iclock_handshake_t *handshake);


static const ngx_keyval_t  unit_stamps[] = {
    { ngx_string("ATTLOG"), ngx_string("9999") },
    { ngx_string("operlog"), ngx_string("2026-01-01T00:00:00") },
    { ngx_string("ERRORLOG"), ngx_string("None") },
    { ngx_string("FOO"), ngx_string("1") }
};


static const unit_dialect_t  unit_dialects[] = {
    { "2.0", NGX_ICLOCK_DIALECT_3_2 },
    { "2.0.1", NGX_ICLOCK_DIALECT_3_2 },
    { "2.0.3.636", NGX_ICLOCK_DIALECT_3_2 },
    { "2.2.14", NGX_ICLOCK_DIALECT_2_4 },
    { "2.3.0", NGX_ICLOCK_DIALECT_2_4 },
    { "2.4.1", NGX_ICLOCK_DIALECT_2_4 },
    { "3.1.2", NGX_ICLOCK_DIALECT_2_4 },
    { "2.2.13", NGX_ICLOCK_DIALECT_UNKNOWN },
    { "2.1", NGX_ICLOCK_DIALECT_UNKNOWN },
    { "1.0", NGX_ICLOCK_DIALECT_UNKNOWN },
    { "2", NGX_ICLOCK_DIALECT_UNKNOWN },
    { "2.0.33S-20220613", NGX_ICLOCK_DIALECT_UNKNOWN },
    { "2.0.33S", NGX_ICLOCK_DIALECT_UNKNOWN },
    { "2.4.1x", NGX_ICLOCK_DIALECT_UNKNOWN },
    { "2.0.", NGX_ICLOCK_DIALECT_UNKNOWN },
    { "new", NGX_ICLOCK_DIALECT_UNKNOWN },
    { "", NGX_ICLOCK_DIALECT_UNKNOWN },
    { NULL, NGX_ICLOCK_DIALECT_UNKNOWN }
};


static const unit_bare_t  unit_bare[] = {
    { "2.0", 1 },
    { "2.0.1", 1 },
    { "2.0.2.999", 1 },
    { "2.0.3", 0 },
    { "2.0.3.636", 0 },
    { "2.4.1", 0 },
    { "", 0 },
    { NULL, 0 }
};


static const unit_offset_t  unit_offsets[] = {
    { 0, "\nTimeZone=0\n" },
    { 480, "\nTimeZone=8\n" },
    { -300, "\nTimeZone=-5\n" },
    { 660, "\nTimeZone=11\n" },
    { 720, "\nTimeZone=720\n" },
    { -660, "\nTimeZone=-11\n" },
    { -720, "\nTimeZone=-720\n" },
    { 780, "\nTimeZone=780\n" },
    { 840, "\nTimeZone=840\n" },
    { 330, "\nTimeZone=330\n" },
    { 345, "\nTimeZone=345\n" },
    { -210, "\nTimeZone=-210\n" },
    { 630, "\nTimeZone=630\n" },
    { -570, "\nTimeZone=-570\n" },
    { 765, "\nTimeZone=765\n" },
    { 825, "\nTimeZone=825\n" },
    { 60, "\nTimeZone=1\n" },
    { 90, "\nTimeZone=90\n" },
    { 20, "" },
    { -45, "" },
    { 0, NULL }
};


void
unit_test_handshake(void)
{
    ngx_pool_t              *pool;
    ngx_iclock_handshake_t   h;

    pool = unit_pool();

    unit_handshake(&h, pool);

    unit_reply_is(&h,
                  "GET OPTION FROM: AJE0000000133\n"
                  "Stamp=9999\n"
                  "OpStamp=2026-01-01T00:00:00\n"
                  "PhotoStamp=0\n"
                  unit_stamps_line
                  "ErrorDelay=30\n"
                  "Delay=10\n"
                  "TransTimes=00:00;14:05\n"
                  "TransInterval=1\n"
                  "TransFlag=TransData " unit_words
                  "TimeZone=8\n"
                  "Realtime=1\n"
                  "Encrypt=0\n"
                  "EncryptFlag=00000000\n"
                  "ATTPHOTOBase64=0\n"
                  "ServerVer=2.4.1\n"
                  "PushProtVer=2.2.14\n"
                  "PushOptionsFlag=1\n"
                  "PushOptions=FingerFunOn,FaceFunOn\n"
                  "MultiBioDataSupport=0:1:1\n"
                  "MultiBioPhotoSupport=0:0:1\n",
                  "handshake: everything");

    unit_test_offsets(&h);
    unit_test_styles(&h);
    unit_test_sdk(&h);
    unit_test_dialects();
    unit_test_injection(&h);
    unit_test_long_lists(&h);

    h.bare_stamps = 0;
    h.stamps = NULL;
    h.send_timezone = 0;
    h.realtime = 0;
    h.trans_words = 0;
    ngx_str_null(&h.push_options);
    ngx_str_null(&h.multi_bio_data);
    ngx_str_null(&h.multi_bio_photo);
    ngx_str_null(&h.trans_times);

    unit_reply_is(&h,
                  "GET OPTION FROM: AJE0000000133\n"
                  "ATTLOGStamp=0\n"
                  "OPERLOGStamp=0\n"
                  "ATTPHOTOStamp=0\n"
                  "BIODATAStamp=0\n"
                  "IDCARDStamp=0\n"
                  "ERRORLOGStamp=0\n"
                  "ErrorDelay=30\n"
                  "Delay=10\n"
                  "TransTimes=\n"
                  "TransInterval=1\n"
                  "TransFlag=TransData\n"
                  "Realtime=0\n"
                  "Encrypt=0\n"
                  "EncryptFlag=00000000\n"
                  "ATTPHOTOBase64=0\n"
                  "ServerVer=2.4.1\n"
                  "PushProtVer=2.2.14\n"
                  "PushOptionsFlag=1\n",
                  "handshake: nothing set");

    ngx_destroy_pool(pool);
}


static void
unit_handshake(ngx_iclock_handshake_t *handshake, ngx_pool_t *pool)
{
    ngx_uint_t  i;

    ngx_memzero(handshake, sizeof(ngx_iclock_handshake_t));

    handshake->stamps = ngx_array_create(pool, 4, sizeof(ngx_keyval_t));

    for (i = 0; i < sizeof(unit_stamps) / sizeof(unit_stamps[0]); i++) {
        *(ngx_keyval_t *) ngx_array_push(handshake->stamps) = unit_stamps[i];
    }

    ngx_str_set(&handshake->serial_number, "AJE0000000133");
    handshake->bare_stamps = 1;
    handshake->error_delay = 30;
    handshake->delay = 10;
    ngx_str_set(&handshake->trans_times, "00:00;14:05");
    handshake->trans_interval = 1;
    handshake->trans_style = NGX_ICLOCK_TRANS_TABS;
    handshake->trans_words = NGX_ICLOCK_TRANS_ALL;
    handshake->send_timezone = 1;
    handshake->utc_offset = 480;
    handshake->realtime = 1;
    ngx_str_set(&handshake->device_version, "2.2.14");
    ngx_str_set(&handshake->server_version, "2.4.1");
    ngx_str_set(&handshake->push_options, "FingerFunOn,FaceFunOn");
    ngx_str_set(&handshake->multi_bio_data, "0:1:1");
    ngx_str_set(&handshake->multi_bio_photo, "0:0:1");
}


static void
unit_reply_is(ngx_iclock_handshake_t *handshake, const char *expected,
    const char *name)
{
    ngx_str_t    reply;
    ngx_pool_t  *pool;

    pool = unit_pool();

    if (ngx_iclock_handshake_reply(&reply, handshake, pool) != NGX_OK) {
        ngx_str_null(&reply);
    }

    unit_is((char *) reply.data, reply.len, expected, name);

    ngx_destroy_pool(pool);
}


/* an empty line stands for no line of TimeZone */

static ngx_uint_t
unit_reply_has(ngx_iclock_handshake_t *handshake, const char *line)
{
    char        *text;
    ngx_str_t    reply;
    ngx_uint_t   found;
    ngx_pool_t  *pool;

    pool = unit_pool();

    if (ngx_iclock_handshake_reply(&reply, handshake, pool) != NGX_OK) {
        return 0;
    }

    text = ngx_pnalloc(pool, reply.len + 1);
    ngx_memcpy(text, reply.data, reply.len);
    text[reply.len] = '\0';

    found = *line ? strstr(text, line) != NULL
                  : strstr(text, "TimeZone") == NULL;

    ngx_destroy_pool(pool);

    return found;
}


static void
unit_test_offsets(ngx_iclock_handshake_t *handshake)
{
    const unit_offset_t  *o;

    for (o = unit_offsets; o->line; o++) {
        handshake->utc_offset = o->offset;
        unit_ok(unit_reply_has(handshake, o->line), "handshake: offset %d",
                (int) o->offset);
    }
}


static void
unit_test_styles(ngx_iclock_handshake_t *handshake)
{
    handshake->trans_words = 0x005;
    handshake->trans_style = NGX_ICLOCK_TRANS_SPACES;

    unit_ok(unit_reply_has(handshake,
                           "\nTransFlag=TransData AttLog AttPhoto\n"),
            "handshake: words and spaces");

    handshake->trans_style = NGX_ICLOCK_TRANS_BITS;

    unit_ok(unit_reply_has(handshake, "\nTransFlag=101000000000\n"),
            "handshake: bits");

    handshake->trans_style = NGX_ICLOCK_TRANS_TABS;

    unit_ok(unit_reply_has(handshake,
                           "\nTransFlag=TransData AttLog\tAttPhoto\n"),
            "handshake: words and TABs");
}


/* push SDK 3.2.0, section 2.2: at most 90 characters of words, own digits */

static void
unit_test_sdk(ngx_iclock_handshake_t *handshake)
{
    ngx_keyval_t            *stamp;
    ngx_iclock_handshake_t   h;

    h = *handshake;
    h.dialect = NGX_ICLOCK_DIALECT_3_2;
    h.bare_stamps = 0;
    h.utc_offset = -300;
    h.trans_words = NGX_ICLOCK_TRANS_ALL;

    stamp = ngx_array_push(h.stamps);
    ngx_str_set(&stamp->key, "FINGERTMP");
    ngx_str_set(&stamp->value, "2026-01-02T00:00:00");

    unit_reply_is(&h,
                  "GET OPTION FROM: AJE0000000133\n"
                  "ATTLOGStamp=9999\n"
                  "OPERLOGStamp=2026-01-01T00:00:00\n"
                  "ATTPHOTOStamp=0\n"
                  "FINGERTMPStamp=2026-01-02T00:00:00\n"
                  "ErrorDelay=30\n"
                  "Delay=10\n"
                  "TransTimes=00:00;14:05\n"
                  "TransInterval=1\n"
                  "TransFlag=AttLog\tOpLog\tAttPhoto\tEnrollUser\tChgUser"
                  "\tEnrollFP\tChgFP\tFPImag\tEnrollFACE\tChgFACE\tFACE\n"
                  "TimeZone=-5\n"
                  "Realtime=1\n"
                  "Encrypt=0\n"
                  "Timeout=60\n"
                  "SyncTime=3600\n"
                  "ServerVer=2.4.1\n"
                  "PushProtVer=2.2.14\n"
                  "PushOptionsFlag=1\n"
                  "PushOptions=FingerFunOn,FaceFunOn\n"
                  "MultiBioDataSupport=0:1:1\n"
                  "MultiBioPhotoSupport=0:0:1\n",
                  "handshake: SDK 3.2.0");

    h.send_timezone = 0;
    unit_ok(unit_reply_has(&h, "\nSyncTime=0\n") && unit_reply_has(&h, ""),
            "handshake: SDK 3.2.0, its clock is left alone");

    h.trans_words = 0;
    unit_ok(unit_reply_has(&h, "\nTransFlag=\n"),
            "handshake: SDK 3.2.0, no words");

    /* EnrollUser, ChgFP, ChgFACE, and one of the other dialect */
    h.trans_words = 0x2890;
    h.trans_style = NGX_ICLOCK_TRANS_SPACES;
    unit_ok(unit_reply_has(&h, "\nTransFlag=EnrollUser ChgFP ChgFACE\n"),
            "handshake: SDK 3.2.0, words and spaces");

    h.trans_style = NGX_ICLOCK_TRANS_BITS;
    unit_ok(unit_reply_has(&h, "\nTransFlag=0001001001\n"),
            "handshake: SDK 3.2.0, bits");

    h.stamps->nelts--;
}


static void
unit_test_dialects(void)
{
    ngx_str_t              s;
    ngx_uint_t             i;
    const unit_dialect_t  *d;

    for (d = unit_dialects; d->version; d++) {

        s.data = (u_char *) d->version;
        s.len = ngx_strlen(d->version);

        unit_ok(ngx_iclock_recognize_dialect(&s) == d->dialect,
                "dialect of \"%s\"", d->version);
    }

    for (i = 0; unit_bare[i].version; i++) {

        s.data = (u_char *) unit_bare[i].version;
        s.len = ngx_strlen(unit_bare[i].version);

        unit_ok(ngx_iclock_needs_bare_stamps(NGX_ICLOCK_DIALECT_3_2, &s)
                == unit_bare[i].needed
                && ngx_iclock_needs_bare_stamps(NGX_ICLOCK_DIALECT_2_4, &s),
                "bare stamps of \"%s\"", unit_bare[i].version);
    }
}


/* nothing from outside begins a line of its own */

static void
unit_test_injection(ngx_iclock_handshake_t *handshake)
{
    ngx_keyval_t            *stamps;
    ngx_iclock_handshake_t   h;

    h = *handshake;
    stamps = h.stamps->elts;

    ngx_str_set(&stamps[0].value, "1\nICLOCKSVRURL=http://x/");
    ngx_str_set(&h.push_options, "A\rB");
    ngx_str_set(&h.multi_bio_data, "A\0B");
    ngx_str_set(&h.device_version, "2.0\nUN=1");

    unit_ok(!unit_reply_has(&h, "ICLOCKSVRURL"), "handshake: stamp");
    unit_ok(!unit_reply_has(&h, "\nATTLOGStamp"), "handshake: its line");
    unit_ok(unit_reply_has(&h, "\nOPERLOGStamp="), "handshake: next line");
    unit_ok(!unit_reply_has(&h, "PushOptions="), "handshake: options");
    unit_ok(!unit_reply_has(&h, "MultiBioData"), "handshake: bio data");
    unit_ok(unit_reply_has(&h, "\nPushProtVer=2.0\n"), "handshake: version");

    ngx_str_set(&stamps[0].value, "9999");
}


static void
unit_test_long_lists(ngx_iclock_handshake_t *handshake)
{
    u_char                  *p, *last, *line;
    size_t                   i, longest;
    ngx_str_t                reply;
    ngx_pool_t              *pool;
    ngx_iclock_handshake_t   h;

    static u_char  list[5000];

    h = *handshake;
    pool = unit_pool();

    for (i = 0; i < sizeof(list); i++) {
        list[i] = (i % 10 == 9) ? ',' : 'a';
    }

    h.push_options.data = list;
    h.push_options.len = sizeof(list);
    h.serial_number = h.push_options;
    h.trans_times = h.push_options;

    if (ngx_iclock_handshake_reply(&reply, &h, pool) != NGX_OK) {
        return;
    }

    longest = 0;
    last = reply.data + reply.len;
    line = reply.data;

    for (p = reply.data; p < last; p++) {
        if (*p == LF) {
            longest = ngx_max(longest, (size_t) (p + 1 - line));
            line = p + 1;
        }
    }

    unit_ok(line == last, "handshake: long list, last line ended");
    unit_ok(longest > 1000 && longest <= 1024, "handshake: longest line %u",
            (unsigned) longest);
    unit_ok(ngx_strnstr(reply.data, "aaaaaaaaa\nMulti", reply.len) != NULL,
            "handshake: list cut at a comma");

    ngx_destroy_pool(pool);
}
