
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


#ifndef _ICLOCK_HOOK_PRIVATE_H_INCLUDED_
#define _ICLOCK_HOOK_PRIVATE_H_INCLUDED_


#include "iclock_hook.h"
#include "iclock_metric.h"

#include <ngx_event.h>
#include <curl/curl.h>


/* nginx connections that are left to everybody else */
#define NGX_ICLOCK_HOOK_SPARE      16
/* of one transfer: two attempts to connect, and the pair of a look-up */
#define NGX_ICLOCK_HOOK_SOCKETS    3

/* handles of libcurl that wait for the next transfer */
#define NGX_ICLOCK_HOOK_HANDLES    64

/* of a name */
#define NGX_ICLOCK_HOOK_ADDRS      8


typedef struct ngx_iclock_transfer_s  ngx_iclock_transfer_t;


/* of libcurl, on nginx's event loop */
typedef struct {
    ngx_queue_t                 queue;      /* of its transfer */
    ngx_iclock_transfer_t      *transfer;
    ngx_connection_t           *connection;
    ino_t                       inode;
    uint64_t                    before;     /* bytes of its connection */
} ngx_iclock_hook_socket_t;


struct ngx_iclock_hook_s {
    CURLM                      *multi;
    ngx_iclock_hook_conf_t     *conf;
    ngx_iclock_hook_rules_t     rules;
    ngx_log_t                  *log;
    ngx_pool_t                 *pool;

    ngx_queue_t                 transfers;
    ngx_queue_t                 ended;      /* without libcurl */
    ngx_uint_t                  running;
    ngx_uint_t                  sockets;    /* with an nginx connection */

    /* libcurl wants to be called: by the time, or by the next round */
    ngx_event_t                 timer;
    ngx_event_t                 posted;
    ngx_event_t                 guard;
    ngx_connection_t            dummy;
    ngx_uint_t                  due;
    ngx_uint_t                  inside;
    ngx_uint_t                  leaving;

    CURL                       *handles[NGX_ICLOCK_HOOK_HANDLES];
    ngx_uint_t                  nhandles;
};


struct ngx_iclock_transfer_s {
    ngx_queue_t                 queue;
    ngx_iclock_hook_t          *hook;
    ngx_iclock_delivery_t      *delivery;
    CURL                       *easy;
    struct curl_slist          *headers;
    struct curl_slist          *resolved;
    ngx_resolver_ctx_t         *resolving;
    ngx_str_t                   host;
    ngx_uint_t                  port;
    ngx_msec_t                  start;
    ngx_queue_t                 sockets;

    unsigned                    added:1;    /* to the multi handle */
    unsigned                    ended:1;
    unsigned                    refused:1;  /* an address */
    unsigned                    opened:1;   /* a socket */
    unsigned                    cut:1;      /* the answer was too long */
    unsigned                    abort:1;
    unsigned                    starved:1;  /* of connections */
    unsigned                    undone:1;

    size_t                      received;
    ngx_int_t                   retry_after;
    size_t                      response_len;
    char                        error[CURL_ERROR_SIZE];
    u_char                      response[NGX_ICLOCK_HOOK_RESPONSE];
    u_char                      text[NGX_ICLOCK_HOOK_RESPONSE];
};


/* calls libcurl: CURL_SOCKET_TIMEOUT, or a socket and what it is ready for */
void ngx_iclock_hook_action(ngx_iclock_hook_t *hook, curl_socket_t fd,
    int ready);
void ngx_iclock_hook_post(ngx_iclock_hook_t *hook);

/* sockets of libcurl on nginx's event loop */
curl_socket_t ngx_iclock_hook_open(void *data, curlsocktype purpose,
    struct curl_sockaddr *addr);
int ngx_iclock_hook_socket(CURL *easy, curl_socket_t fd, int what, void *data,
    void *socket);

/* from a delivery to a transfer of libcurl */
ngx_int_t ngx_iclock_hook_prepare(ngx_iclock_transfer_t *t);
ngx_int_t ngx_iclock_hook_headers(ngx_iclock_transfer_t *t);
void ngx_iclock_hook_start(ngx_iclock_transfer_t *t);
void ngx_iclock_hook_end(ngx_iclock_transfer_t *t, const char *error);
void ngx_iclock_hook_release(ngx_iclock_transfer_t *t);

/* names; NGX_DECLINED if that is libcurl's business */
ngx_int_t ngx_iclock_hook_resolve(ngx_iclock_transfer_t *t);

/* what came of it */
size_t ngx_iclock_hook_header(char *data, size_t size, size_t n, void *t);
size_t ngx_iclock_hook_body(char *data, size_t size, size_t n, void *t);
void ngx_iclock_hook_outcome(ngx_iclock_transfer_t *t, CURLcode rc);
void ngx_iclock_hook_count(ngx_iclock_delivery_t *d, CURLcode rc);


#endif /* _ICLOCK_HOOK_PRIVATE_H_INCLUDED_ */
