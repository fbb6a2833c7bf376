
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


/*
 * Deliveries by HTTP: signed requests to other people's servers, out of the
 * event loop of a worker.  This floor knows libcurl, and neither SQL nor
 * devices.  Nothing of a delivery but its outcome ever gets into a log.
 */


#ifndef _ICLOCK_HOOK_H_INCLUDED_
#define _ICLOCK_HOOK_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


#define NGX_ICLOCK_HOOK_VERSION    "0.3.0"

/* of a URL */
#define NGX_ICLOCK_HOOK_URL        2048

/* of a header */
#define NGX_ICLOCK_HOOK_HEADER_NAME   128
#define NGX_ICLOCK_HOOK_HEADER_VALUE  4096

/* how much of an answer is read, and how much of it is kept */
#define NGX_ICLOCK_HOOK_READ       65536
/* with all that HTTP and TLS add */
#define NGX_ICLOCK_HOOK_WIRE       (4 * NGX_ICLOCK_HOOK_READ)
#define NGX_ICLOCK_HOOK_RESPONSE   1024

/* seconds; a receiver cannot put off an event for longer at once */
#define NGX_ICLOCK_HOOK_RETRY      3600

/* lengths of signatures: "v1," and base64 of SHA-256; hex of it */
#define NGX_ICLOCK_HOOK_V1         (3 + 44)
#define NGX_ICLOCK_HOOK_HEX        64


typedef struct ngx_iclock_hook_s      ngx_iclock_hook_t;
typedef struct ngx_iclock_delivery_s  ngx_iclock_delivery_t;

typedef void (*ngx_iclock_delivery_pt)(ngx_iclock_delivery_t *d);


typedef enum {
    NGX_ICLOCK_HOOK_DELIVERED = 0,
    NGX_ICLOCK_HOOK_FAILED,
    NGX_ICLOCK_HOOK_GONE,       /* the receiver wants nothing any more */
    NGX_ICLOCK_HOOK_ABORT,      /* it does not want this message */
    NGX_ICLOCK_HOOK_ADDRESS     /* its addresses must not be called */
} ngx_iclock_hook_outcome_e;


/* which addresses may be called */
typedef struct {
    ngx_array_t                *refused;    /* of ngx_cidr_t */
    ngx_array_t                *allowed;    /* of ngx_cidr_t, or NULL */
    ngx_array_t                *own;        /* of ngx_sockaddr_t */
} ngx_iclock_hook_rules_t;


typedef struct {
    ngx_uint_t                  idle;       /* connections kept, no more */
    ngx_uint_t                  http;       /* without TLS, too */
    ngx_str_t                   trusted_certificate;    /* ends with NUL */
    ngx_array_t                *allowed;    /* of ngx_cidr_t, or NULL */
    ngx_resolver_t             *resolver;   /* NULL: libcurl looks up names */
    ngx_msec_t                  resolver_timeout;
} ngx_iclock_hook_conf_t;


/* what belongs to it lives until its handler was called, or it was cancelled */
struct ngx_iclock_delivery_s {
    ngx_str_t                   url;        /* ends with NUL */
    ngx_str_t                   id;
    ngx_str_t                   event;      /* its type */
    ngx_uint_t                  attempt;
    ngx_str_t                   body;
    ngx_str_t                   secret;
    ngx_str_t                   previous_secret;    /* empty: none */
    ngx_array_t                *headers;    /* of ngx_keyval_t, or NULL */
    ngx_msec_t                  timeout;
    ngx_msec_t                  connect_timeout;

    /* is never called out of ngx_iclock_hook_send() */
    ngx_iclock_delivery_pt      handler;
    void                       *data;

    /* what came of it, unless it was not sent */
    ngx_uint_t                  undone;     /* since we leave */
    ngx_iclock_hook_outcome_e   outcome;
    ngx_uint_t                  status;     /* 0: none */
    ngx_msec_t                  ms;
    ngx_int_t                   retry_after;    /* seconds, or -1 */
    ngx_str_t                   error;      /* empty if there was a status */
    ngx_str_t                   response;   /* text, as UTF-8 */

    void                       *transfer;
};


/* of a worker process */
ngx_iclock_hook_t *ngx_iclock_hook_create(ngx_cycle_t *cycle,
    ngx_iclock_hook_conf_t *conf);
void ngx_iclock_hook_close(ngx_iclock_hook_t *hook);
/* none begins any more, nor once more: those that would are undone */
void ngx_iclock_hook_leave(ngx_iclock_hook_t *hook);

/* NGX_BUSY: this worker has no connections left for it */
ngx_int_t ngx_iclock_hook_send(ngx_iclock_hook_t *hook,
    ngx_iclock_delivery_t *d);
void ngx_iclock_hook_cancel(ngx_iclock_delivery_t *d);
/* how many there may be at once, those under way among them */
ngx_uint_t ngx_iclock_hook_room(ngx_iclock_hook_t *hook);
/* less than half of the connections that it might have are left */
ngx_uint_t ngx_iclock_hook_scarce(ngx_iclock_hook_t *hook);

/* NULL, or what is wrong */
const char *ngx_iclock_hook_check_url(ngx_str_t *url, ngx_uint_t http);
/* of a header that an endpoint wants to have besides those of the message */
ngx_uint_t ngx_iclock_hook_header_valid(ngx_str_t *name, ngx_str_t *value);

/* writes NGX_ICLOCK_HOOK_V1 bytes; fails if the secret is not one */
ngx_int_t ngx_iclock_hook_sign(u_char *signature, ngx_str_t *secret,
    ngx_str_t *id, time_t timestamp, ngx_str_t *body);
/* writes NGX_ICLOCK_HOOK_HEX bytes */
ngx_int_t ngx_iclock_hook_sign_hex(u_char *signature, ngx_str_t *secret,
    ngx_str_t *body);

/* for what strangers say */
size_t ngx_iclock_hook_text(u_char *dst, size_t size, u_char *src,
    size_t len);
ngx_int_t ngx_iclock_hook_retry_after(u_char *value, size_t len, time_t now);

ngx_int_t ngx_iclock_hook_rules(ngx_iclock_hook_rules_t *rules,
    ngx_array_t *allowed, ngx_array_t *listening, ngx_pool_t *pool);
ngx_uint_t ngx_iclock_hook_refused(ngx_iclock_hook_rules_t *rules,
    struct sockaddr *sockaddr);


#endif /* _ICLOCK_HOOK_H_INCLUDED_ */
