
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


/* deliveries: signatures, addresses, URLs, headers, what receivers say */


#include "unit.h"
#include "iclock_hook.h"


typedef struct {
    const char  *address;
    ngx_uint_t   refused;
} unit_address_t;


typedef struct {
    const char  *url;
    const char  *wrong;     /* NULL: nothing is */
    ngx_uint_t   http;
} unit_url_t;


typedef struct {
    const char  *name;
    const char  *value;
    ngx_uint_t   valid;
} unit_header_t;


typedef struct {
    const char  *value;
    ngx_int_t    seconds;
} unit_retry_t;


typedef struct {
    const char  *sent;
    const char  *text;
} unit_said_t;


static void unit_set(ngx_str_t *s, const char *text);
static void unit_test_signatures(void);
static void unit_test_addresses(void);
static void unit_test_allowed(void);
static void unit_test_listening(void);
static void unit_test_wildcard(void);
static void unit_listen(ngx_iclock_hook_rules_t *rules, const char *address,
    ngx_pool_t *pool);
static void unit_test_urls(void);
static void unit_test_headers(void);
static void unit_test_retry(void);
static void unit_test_said(void);
static ngx_uint_t unit_refused(ngx_iclock_hook_rules_t *rules,
    const char *address, in_port_t port);


/* each network at both ends, and what stands right beside it */

static const unit_address_t  unit_addresses[] = {
    { "0.0.0.0", 1 },
    { "0.255.255.255", 1 },
    { "1.0.0.0", 0 },
    { "8.8.8.8", 0 },
    { "9.255.255.255", 0 },
    { "10.0.0.0", 1 },
    { "10.255.255.255", 1 },
    { "11.0.0.0", 0 },
    { "100.63.255.255", 0 },
    { "100.64.0.0", 1 },
    { "100.127.255.255", 1 },
    { "100.128.0.0", 0 },
    { "126.255.255.255", 0 },
    { "127.0.0.1", 1 },
    { "127.255.255.255", 1 },
    { "128.0.0.0", 0 },
    { "169.253.255.255", 0 },
    { "169.254.169.254", 1 },
    { "169.255.0.0", 0 },
    { "172.15.255.255", 0 },
    { "172.16.0.0", 1 },
    { "172.31.255.255", 1 },
    { "172.32.0.0", 0 },
    { "191.255.255.255", 0 },
    { "192.0.0.1", 1 },
    { "192.0.1.0", 0 },
    { "192.0.2.255", 1 },
    { "192.0.3.0", 0 },
    { "192.88.99.1", 1 },
    { "192.88.100.1", 0 },
    { "192.167.255.255", 0 },
    { "192.168.0.0", 1 },
    { "192.168.255.255", 1 },
    { "192.169.0.0", 0 },
    { "198.17.255.255", 0 },
    { "198.18.0.0", 1 },
    { "198.19.255.255", 1 },
    { "198.20.0.0", 0 },
    { "198.51.100.7", 1 },
    { "198.51.101.7", 0 },
    { "203.0.113.7", 1 },
    { "203.0.114.7", 0 },
    { "223.255.255.255", 0 },
    { "224.0.0.1", 1 },
    { "239.255.255.255", 1 },
    { "240.0.0.1", 1 },
    { "255.255.255.254", 1 },
    { "::", 1 },
    { "::1", 1 },
    { "::127.0.0.1", 1 },
    { "::ffff:10.0.0.1", 1 },
    { "::ffff:127.0.0.1", 1 },
    { "::ffff:8.8.8.8", 0 },
    { "64:ff9b::10.0.0.1", 1 },
    { "64:ff9b::8.8.8.8", 0 },
    { "64:ff9b:1::1", 1 },
    { "64:ff9b:2::1", 0 },
    { "100::1", 1 },
    { "100:0:0:1::1", 0 },
    { "2001::1", 1 },
    { "2001:1ff:ffff::1", 1 },
    { "2001:200::1", 0 },
    { "2001:db8::1", 1 },
    { "2001:db9::1", 0 },
    { "2001:4860:4860::8888", 0 },
    { "::ffff:0:10.0.0.1", 1 },
    { "::ffff:0:8.8.8.8", 0 },
    { "2002:0a00:0001::1", 1 },
    { "2002:7f00:0001::1", 1 },
    { "2002:0808:0808::1", 0 },
    { "2003::1", 0 },
    { "3fff:fff::1", 1 },
    { "3fff:1000::1", 0 },
    { "5f00::1", 1 },
    { "5f01::1", 0 },
    { "fbff::1", 0 },
    { "fc00::1", 1 },
    { "fdff::1", 1 },
    { "fe80::1", 1 },
    { "febf::1", 1 },
    { "fec0::1", 1 },
    { "feff::1", 1 },
    { "ff02::1", 1 },
    { NULL, 0 }
};


static const unit_url_t  unit_urls[] = {
    { "https://example.com/hook", NULL, 0 },
    { "https://example.com", NULL, 0 },
    { "https://example.com:8443/a?b=c", NULL, 0 },
    { "https://[2001:db8::1]/", NULL, 0 },
    { "HTTPS://EXAMPLE.COM/", NULL, 0 },
    { "http://example.com/", NULL, 1 },
    { "http://example.com/", "is not https", 0 },
    { "", "is empty", 1 },
    { "example.com/hook", "is not a URL", 1 },
    { "//example.com/hook", "is not a URL", 1 },
    { "https://", "is not a URL", 1 },
    { "https:///path", "has no host", 1 },
    { "https://user@example.com/", "has a user", 1 },
    { "https://user:pass@example.com/", "has a user", 1 },
    { "https://:@example.com/", "has a user", 1 },
    { "https://example.com/#part", "has a fragment", 1 },
    { "https://example.com/#", "has a fragment", 1 },
    { "ftp://example.com/", "is neither https nor http", 1 },
    { "file:///etc/passwd", "has no host", 1 },
    { "gopher://example.com/", "is neither https nor http", 1 },
    { "javascript:alert(1)", "is not a URL", 1 },
    { "https://example.com:99999/", "is not a URL", 1 },
    { "https://exa mple.com/", "has a character that URLs do not have", 1 },
    { "https://example.com/\r\nX: y", "has a character that URLs do not have",
      1 },
    { "https://example.com\\@10.0.0.1/",
      "has a character that URLs do not have", 1 },
    { "https://m\xc3\xbcller.example/",
      "has a character that URLs do not have", 1 },
    { NULL, NULL, 0 }
};


static const unit_header_t  unit_headers[] = {
    { "X-Api-Token", "abc", 1 },
    { "Authorization", "Bearer abc", 1 },
    { "X_Under", "", 1 },
    { "x.a!#$%&'*+^`|~", "abc", 1 },
    { "X(a)", "abc", 0 },
    { "", "abc", 0 },
    { "X Blank", "abc", 0 },
    { "X:Colon", "abc", 0 },
    { "X-Line", "a\r\nHost: b", 0 },
    { "Host", "example.com", 0 },
    { "content-LENGTH", "3", 0 },
    { "Transfer-Encoding", "chunked", 0 },
    { "Connection", "close", 0 },
    { "User-Agent", "me", 0 },
    { "webhook-id", "evt_1", 0 },
    { "Webhook-Anything", "x", 0 },
    { "X-Signature", "x", 0 },
    { "Iclock-Attempt", "1", 0 },
    { NULL, NULL, 0 }
};


/* at 2026-10-18 00:00:00 */

static const unit_retry_t  unit_retries[] = {
    { "7", 7 },
    { " 120 \r\n", 120 },
    { "0", 0 },
    { "3600", 3600 },
    { "86400", 3600 },
    { "999999999999999999999999", -1 },
    { "-5", -1 },
    { "5x", -1 },
    { "", -1 },
    { "soon", -1 },
    { "Sun, 18 Oct 2026 00:01:00 GMT", 60 },
    { "Sun, 18 Oct 2026 09:00:00 GMT", 3600 },
    { "Sat, 17 Oct 2026 00:00:00 GMT", 0 },
    { NULL, 0 }
};


static const unit_said_t  unit_said[] = {
    { "ok", "ok" },
    { "a\r\n\tb\001\033[31m\177c", "a   b  [31m c" },
    { "J\xc3\xbcrgen \xe2\x82\xac", "J\xc3\xbcrgen \xe2\x82\xac" },
    { "\xc2\x85 next", "  next" },
    { "\xff\xfe", "??" },
    { "\xed\xa0\x80", "???" },
    { "\xec\xc1\x81", "???" },
    { "\xc3\xc3", "??" },
    { "\xf0\x9f\xff\x80z", "????z" },
    { "\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80" },
    { "cut \xf0\x9f\x98", "cut ???" },
    { NULL, NULL }
};


void
unit_test_hook(void)
{
    unit_test_signatures();
    unit_test_addresses();
    unit_test_allowed();
    unit_test_listening();
    unit_test_wildcard();
    unit_test_urls();
    unit_test_headers();
    unit_test_retry();
    unit_test_said();
}


static void
unit_set(ngx_str_t *s, const char *text)
{
    s->data = (u_char *) text;
    s->len = ngx_strlen(text);
}


static void
unit_test_signatures(void)
{
    u_char      v1[NGX_ICLOCK_HOOK_V1];
    u_char      hex[NGX_ICLOCK_HOOK_HEX];
    ngx_str_t   secret, id, body;
    ngx_int_t   rc;

    unit_set(&secret, "whsec_AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=");
    unit_set(&id, "evt_00000000000002f1_0000000000000007");
    unit_set(&body, "{\"id\":\"evt_00000000000002f1_0000000000000007\","
                    "\"type\":\"attendance.punch\"}");

    rc = ngx_iclock_hook_sign(v1, &secret, &id, 1792483200, &body);

    unit_ok(rc == NGX_OK && body.len == 72, "a message is signed");
    unit_is((char *) v1, sizeof(v1),
            "v1,6e5dmHWzb71bwdOtlnjL/iKdIBoDvUyN7ds2U1qdyBM=",
            "as Standard Webhooks say");

    rc = ngx_iclock_hook_sign_hex(hex, &secret, &body);

    unit_ok(rc == NGX_OK, "a body is signed");
    unit_is((char *) hex, sizeof(hex),
            "a91ee00040b7b51fa4d6c59d140ca8bdfa99d232929a78805e2b4a9c7de115bc",
            "in hex");

    unit_set(&secret, "whsec_");
    rc = ngx_iclock_hook_sign(v1, &secret, &id, 1792483200, &body);
    unit_ok(rc == NGX_ERROR, "an empty secret signs nothing");

    unit_set(&secret, "whsec_not base64!");
    rc = ngx_iclock_hook_sign(v1, &secret, &id, 1792483200, &body);
    unit_ok(rc == NGX_ERROR, "a text that is not base64 signs nothing");
}


static ngx_uint_t
unit_refused(ngx_iclock_hook_rules_t *rules, const char *address,
    in_port_t port)
{
    ngx_str_t       text;
    ngx_addr_t      addr;
    ngx_uint_t      refused;
    ngx_pool_t     *pool;

    pool = unit_pool();

    unit_set(&text, address);

    if (ngx_parse_addr(pool, &addr, text.data, text.len) != NGX_OK) {
        abort();
    }

    ngx_inet_set_port(addr.sockaddr, port);

    refused = ngx_iclock_hook_refused(rules, addr.sockaddr);

    ngx_destroy_pool(pool);

    return refused;
}


static void
unit_test_addresses(void)
{
    ngx_uint_t                refused;
    ngx_pool_t               *pool;
    struct sockaddr_un        un;
    const unit_address_t     *a;
    ngx_iclock_hook_rules_t   rules;

    pool = unit_pool();

    if (ngx_iclock_hook_rules(&rules, NULL, NULL, pool) != NGX_OK) {
        abort();
    }

    for (a = unit_addresses; a->address; a++) {
        refused = unit_refused(&rules, a->address, 443);

        unit_ok(refused == a->refused, "%s is%s refused", a->address,
                a->refused ? "" : " not");
    }

    ngx_memzero(&un, sizeof(un));
    un.sun_family = AF_UNIX;

    unit_ok(ngx_iclock_hook_refused(&rules, (struct sockaddr *) &un),
            "a unix socket is refused");

    ngx_destroy_pool(pool);
}


static void
unit_test_allowed(void)
{
    ngx_str_t                 text;
    ngx_cidr_t               *cidr;
    ngx_pool_t               *pool;
    ngx_array_t              *allowed;
    ngx_iclock_hook_rules_t   rules;

    pool = unit_pool();

    allowed = ngx_array_create(pool, 1, sizeof(ngx_cidr_t));
    cidr = ngx_array_push(allowed);
    unit_set(&text, "10.1.0.0/16");

    if (ngx_ptocidr(&text, cidr) != NGX_OK
        || ngx_iclock_hook_rules(&rules, allowed, NULL, pool) != NGX_OK)
    {
        abort();
    }

    unit_ok(!unit_refused(&rules, "10.1.2.3", 443), "allowed by its network");
    unit_ok(!unit_refused(&rules, "::ffff:10.1.2.3", 443),
            "allowed by the address that is wrapped");
    unit_ok(!unit_refused(&rules, "64:ff9b::10.1.2.3", 443),
            "however it is wrapped");
    unit_ok(unit_refused(&rules, "10.2.0.1", 443),
            "beside that network it is refused");
    unit_ok(unit_refused(&rules, "127.0.0.1", 443), "others are refused");

    ngx_destroy_pool(pool);
}


static void
unit_test_listening(void)
{
    ngx_pool_t               *pool;
    ngx_iclock_hook_rules_t   rules;

    pool = unit_pool();

    unit_listen(&rules, "8.8.8.8", pool);

    unit_ok(unit_refused(&rules, "8.8.8.8", 8443), "own address is refused");
    unit_ok(unit_refused(&rules, "::ffff:8.8.8.8", 8443), "wrapped, too");
    unit_ok(!unit_refused(&rules, "8.8.8.8", 443), "another port is not");
    unit_ok(!unit_refused(&rules, "8.8.4.4", 8443), "nor another address");

    ngx_destroy_pool(pool);
}


/*
 * A wildcard stands for each address of this machine.  The only one that is
 * known here is refused anyway, so that no network is refused in this test.
 */

static void
unit_test_wildcard(void)
{
    ngx_pool_t               *pool;
    ngx_iclock_hook_rules_t   rules;

    pool = unit_pool();

    unit_listen(&rules, "0.0.0.0", pool);
    rules.refused->nelts = 0;

    unit_ok(unit_refused(&rules, "127.0.0.1", 8443),
            "a wildcard: an address of the machine is refused");
    unit_ok(unit_refused(&rules, "::ffff:127.0.0.1", 8443),
            "a wildcard: wrapped, too");
    unit_ok(!unit_refused(&rules, "127.0.0.1", 443),
            "a wildcard: another port is not");
    unit_ok(!unit_refused(&rules, "8.8.8.8", 8443),
            "a wildcard: nor the address of another machine");

    unit_listen(&rules, "::", pool);
    rules.refused->nelts = 0;

    unit_ok(unit_refused(&rules, "127.0.0.1", 8443),
            "a wildcard of IPv6 stands for addresses of IPv4, too");
    unit_ok(!unit_refused(&rules, "127.0.0.1", 443),
            "with its port alone");

    ngx_destroy_pool(pool);
}


/* the rules of an nginx that listens on port 8443 of this address */

static void
unit_listen(ngx_iclock_hook_rules_t *rules, const char *address,
    ngx_pool_t *pool)
{
    ngx_str_t         text;
    ngx_addr_t        addr;
    ngx_array_t      *listening;
    ngx_listening_t  *ls;

    listening = ngx_array_create(pool, 1, sizeof(ngx_listening_t));
    ls = ngx_array_push(listening);
    unit_set(&text, address);

    if (ngx_parse_addr(pool, &addr, text.data, text.len) != NGX_OK) {
        abort();
    }

    ngx_inet_set_port(addr.sockaddr, 8443);
    ngx_memzero(ls, sizeof(ngx_listening_t));
    ls->sockaddr = addr.sockaddr;
    ls->socklen = addr.socklen;

    if (ngx_iclock_hook_rules(rules, NULL, listening, pool) != NGX_OK) {
        abort();
    }
}


static void
unit_test_urls(void)
{
    u_char             text[NGX_ICLOCK_HOOK_URL + 1];
    ngx_str_t          url;
    const char        *wrong;
    const unit_url_t  *u;

    for (u = unit_urls; u->url; u++) {
        unit_set(&url, u->url);

        wrong = ngx_iclock_hook_check_url(&url, u->http);

        unit_ok(wrong == u->wrong
                || (wrong && u->wrong && ngx_strcmp(wrong, u->wrong) == 0),
                "URL %u: %s", (unsigned) (u - unit_urls),
                wrong ? wrong : "is right");
    }

    ngx_memset(text, 'a', sizeof(text));
    ngx_memcpy(text, "https://example.com/", 20);

    url.data = text;
    url.len = NGX_ICLOCK_HOOK_URL;

    unit_ok(ngx_iclock_hook_check_url(&url, 0) == NULL, "2048 bytes");

    url.len++;

    unit_ok(ngx_iclock_hook_check_url(&url, 0) != NULL, "not 2049");
}


static void
unit_test_headers(void)
{
    ngx_str_t             name, value;
    const unit_header_t  *h;

    for (h = unit_headers; h->name; h++) {
        unit_set(&name, h->name);
        unit_set(&value, h->value);

        unit_ok(ngx_iclock_hook_header_valid(&name, &value) == h->valid,
                "header %u \"%s\" is%s valid", (unsigned) (h - unit_headers),
                h->name, h->valid ? "" : " not");
    }
}


static void
unit_test_retry(void)
{
    ngx_int_t            seconds;
    const unit_retry_t  *r;

    for (r = unit_retries; r->value; r++) {

        seconds = ngx_iclock_hook_retry_after((u_char *) r->value,
                                              ngx_strlen(r->value),
                                              1792281600);

        unit_ok(seconds == r->seconds, "Retry-After %u: %d",
                (unsigned) (r - unit_retries), (int) seconds);
    }
}


static void
unit_test_said(void)
{
    u_char              text[NGX_ICLOCK_HOOK_RESPONSE];
    size_t              len;
    const unit_said_t  *s;

    for (s = unit_said; s->sent; s++) {

        len = ngx_iclock_hook_text(text, sizeof(text), (u_char *) s->sent,
                                   ngx_strlen(s->sent));

        unit_is((char *) text, len, s->text, "what a receiver says");
    }

    len = ngx_iclock_hook_text(text, 3, (u_char *) "\xc3\xbc\xc3\xbc", 4);

    unit_is((char *) text, len, "\xc3\xbc", "no character is cut");
}
