
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


/*
 * The gateway: from a request to a call of the database, and back.
 */


#ifndef _NGX_HTTP_ICLOCK_API_GATE_H_INCLUDED_
#define _NGX_HTTP_ICLOCK_API_GATE_H_INCLUDED_


#include "ngx_http_iclock.h"
#include "ngx_http_iclock_api.h"
#include "iclock_hook.h"
#include "ngx_http_iclock_api_json.h"


/* "ik_live_", the id, "_", the secret */
#define NGX_HTTP_ICLOCK_API_KEY_LEN     (8 + 12 + 1 + 43)

/* segments of a path, and parameters behind it */
#define NGX_HTTP_ICLOCK_API_SEGMENTS    5
#define NGX_HTTP_ICLOCK_API_PARAMS      64

/* of an Idempotency-Key */
#define NGX_HTTP_ICLOCK_API_IDEMPOTENCY 255

/* of SHA-256, or more */
#define NGX_HTTP_ICLOCK_API_DIGEST      64

/* of a cursor that the database has made */
#define NGX_HTTP_ICLOCK_API_CURSOR      1024

/* the same, whoever has found it */
#define NGX_HTTP_ICLOCK_API_NOT_VALID   "the key is not valid"

#define NGX_HTTP_ICLOCK_API_VERSION     NGX_ICLOCK_HOOK_VERSION

/* seconds that an answer may be held */
#define NGX_HTTP_ICLOCK_API_WAIT        30


/*
 * What a key may do: X(constant, name), in the order of their bits
 */

#define NGX_HTTP_ICLOCK_API_EACH_SCOPE(X)                                    \
    X(DEVICES_READ, "devices:read")                                          \
    X(DEVICES_WRITE, "devices:write")                                        \
    X(USERS_READ, "users:read")                                              \
    X(USERS_WRITE, "users:write")                                            \
    X(TEMPLATES_READ, "templates:read")                                      \
    X(LOGS_READ, "logs:read")                                                \
    X(EVENTS_READ, "events:read")                                            \
    X(COMMANDS_READ, "commands:read")                                        \
    X(COMMANDS_WRITE, "commands:write")                                      \
    X(DOORS_READ, "doors:read")                                              \
    X(DOORS_CONTROL, "doors:control")                                        \
    X(WEBHOOKS_MANAGE, "webhooks:manage")

#define ngx_http_iclock_api_scope_constant(constant, name)                   \
    NGX_HTTP_ICLOCK_API_##constant,

typedef enum {
    NGX_HTTP_ICLOCK_API_NO_SCOPE = 0,
    NGX_HTTP_ICLOCK_API_EACH_SCOPE(ngx_http_iclock_api_scope_constant)
    NGX_HTTP_ICLOCK_API_SCOPES
} ngx_http_iclock_api_scope_e;


/*
 * What goes wrong: X(constant, code, status, title)
 */

#define NGX_HTTP_ICLOCK_API_EACH_PROBLEM(X)                                  \
    X(BAD_JSON, "bad_json", 400, "The body is not JSON as expected")         \
    X(BAD_REQUEST, "bad_request", 400, "The request is malformed")           \
    X(UNKNOWN_FIELD, "unknown_field", 400, "The body has an unknown member") \
    X(BAD_CURSOR, "bad_cursor", 400, "The cursor is not of this list")       \
    X(BAD_IDEMPOTENCY_KEY, "bad_idempotency_key", 400,                       \
      "The Idempotency-Key is malformed")                                    \
    X(NO_KEY, "no_key", 401, "An API key is required")                       \
    X(BAD_KEY, "bad_key", 401, "The API key is not valid")                   \
    X(SCOPE, "scope", 403, "The API key may not do this")                    \
    X(ADDRESS, "address", 403, "The API key may not be used from here")      \
    X(SANDBOX, "sandbox", 403, "This is for keys of the other mode")         \
    X(NOT_FOUND, "not_found", 404, "There is no such thing")                 \
    X(NO_ROUTE, "no_route", 404, "There is no such route")                   \
    X(METHOD, "method", 405, "The route does not take this method")          \
    X(NOT_ACCEPTABLE, "not_acceptable", 406,                                 \
      "There is no answer of this type")                                     \
    X(EXISTS, "exists", 409, "It exists already")                            \
    X(BUSY_KEY, "busy_key", 409,                                             \
      "The request with this Idempotency-Key is not answered yet")           \
    X(CONFLICT, "conflict", 409, "The state of things forbids this")         \
    X(BY_SQL, "by_sql", 409, "This is done by SQL only")                     \
    X(GONE, "gone", 410, "It is not kept any more")                          \
    X(TOO_LARGE, "too_large", 413, "The request is too large")               \
    X(MEDIA_TYPE, "media_type", 415, "The body is not application/json")     \
    X(INVALID, "invalid", 422, "A value is not valid")                       \
    X(REUSED_KEY, "reused_key", 422,                                         \
      "The Idempotency-Key was used for another request")                    \
    X(RATE, "rate", 429, "Too many requests")                                \
    X(INTERNAL, "internal", 500, "Something went wrong here")                \
    X(UNAVAILABLE, "unavailable", 503, "Try again later")

#define ngx_http_iclock_api_problem_constant(constant, code, status, title)  \
    NGX_HTTP_ICLOCK_PROBLEM_##constant,

typedef enum {
    NGX_HTTP_ICLOCK_API_EACH_PROBLEM(ngx_http_iclock_api_problem_constant)
    NGX_HTTP_ICLOCK_PROBLEMS
} ngx_http_iclock_api_problem_e;


/*
 * Routes
 */

typedef struct ngx_http_iclock_api_ctx_s    ngx_http_iclock_api_ctx_t;
typedef struct ngx_http_iclock_api_route_s  ngx_http_iclock_api_route_t;

typedef ngx_int_t (*ngx_http_iclock_api_handler_pt)(ngx_http_request_t *r,
    ngx_http_iclock_api_ctx_t *ctx);


/* no key is asked for */
#define NGX_HTTP_ICLOCK_API_OPEN        0x0001
/* a body has to be there, or may be there */
#define NGX_HTTP_ICLOCK_API_BODY        0x0002
#define NGX_HTTP_ICLOCK_API_MAY_BODY    0x0004
/* pages: "limit" and "cursor" */
#define NGX_HTTP_ICLOCK_API_LIST        0x0008
/* "format" may be ndjson or csv */
#define NGX_HTTP_ICLOCK_API_FORMATS     0x0010
/* "wait" holds an empty answer */
#define NGX_HTTP_ICLOCK_API_POLL        0x0020
/* "Prefer: wait" holds the answer until commands have ended */
#define NGX_HTTP_ICLOCK_API_PREFER      0x0040
/* text/event-stream may be asked for */
#define NGX_HTTP_ICLOCK_API_STREAM      0x0080
/* the last segment of the path is the action */
#define NGX_HTTP_ICLOCK_API_ACTION      0x0100
/* makes a secret, which the answer shows */
#define NGX_HTTP_ICLOCK_API_SECRET      0x0200
/* the operation is told of this nginx */
#define NGX_HTTP_ICLOCK_API_SERVER      0x0400
/* 200 is a success, too: it was there already, or not all of it was done */
#define NGX_HTTP_ICLOCK_API_OR_OK       0x0800


struct ngx_http_iclock_api_route_s {
    ngx_uint_t                      method;
    ngx_str_t                       path;
    ngx_str_t                       operation;
    ngx_uint_t                      scope;
    ngx_uint_t                      flags;
    ngx_http_iclock_api_handler_pt  handler;    /* NULL: calls it */

    /* for openapi.json */
    ngx_uint_t                      status;     /* of success */
    const char                     *schema;     /* of what is answered */
    const char                     *query;      /* names of parameters */
    const char                     *summary;
};


typedef struct {
    ngx_uint_t                  limit;          /* 0: none */
    ngx_uint_t                  left;
    ngx_uint_t                  reset;          /* seconds */
    ngx_uint_t                  retry;          /* seconds; 0: go on */
} ngx_http_iclock_api_quota_t;


struct ngx_http_iclock_api_ctx_s {
    const ngx_http_iclock_api_route_t  *route;
    ngx_uint_t                  number;         /* of the route, from 1 */
    ngx_str_t                   prefix;         /* of the location */
    ngx_str_t                   segments[NGX_HTTP_ICLOCK_API_SEGMENTS];
    ngx_uint_t                  nsegments;
    ngx_uint_t                  methods;        /* of this path */
    ngx_array_t                 query;          /* of ngx_keyval_t */
    ngx_str_t                   request_id;
    ngx_str_t                   base;

    ngx_str_t                   key_text;
    ngx_str_t                   key_id;         /* once it is verified */
    ngx_str_t                   candidate;      /* until then */
    ngx_str_t                   token;          /* in its place */
    ngx_http_iclock_api_key_t   key;
    ngx_http_iclock_api_quota_t quota;

    ngx_str_t                   body;
    off_t                       received;       /* of it */
    ngx_str_t                   idempotency;
    ngx_str_t                   fingerprint;
    ngx_str_t                   format;         /* "json", "ndjson", "csv" */
    ngx_uint_t                  wait;           /* seconds; 0: no */
    ngx_msec_t                  until;          /* when it is over */

    /* what the request waits for */
    ngx_http_iclock_api_handler_pt  next;
    ngx_iclock_query_t         *call;
    ngx_iclock_query_t         *kept;           /* its rows are being sent */
    ngx_http_iclock_api_watch_t  watch;
    ngx_http_iclock_api_main_conf_t  *watched;
    ngx_event_t                 timer;
    ngx_msec_t                  looked;
    ngx_uint_t                  unsettled;      /* looks at such events */
    ngx_uint_t                  vain;           /* looks since it was quiet */
    ngx_atomic_uint_t           events;         /* sh->events, then */

    /* the answer */
    ngx_uint_t                  status;
    ngx_str_t                   content_type;
    ngx_str_t                   reply;
    size_t                      room;           /* for it */
    ngx_buf_t                   page;
    ngx_uint_t                  tries;          /* for the next one */
    ngx_uint_t                  rows;
    ngx_str_t                   code;           /* of a problem */

    /* where the next call begins; empty: as the request says */
    ngx_str_t                   cursor;
    u_char                      cursor_text[NGX_HTTP_ICLOCK_API_CURSOR];

    ngx_http_iclock_api_stream_t  *stream;      /* of events */

    unsigned                    submitted:1;
    unsigned                    settling:1;     /* a handler has its query */
    unsigned                    cleanup:1;
    unsigned                    watching:1;
    unsigned                    holding:1;      /* no query runs */
    unsigned                    again:1;        /* something is new */
    unsigned                    settles:1;      /* commands are waited for */
    unsigned                    applied:1;      /* Prefer: wait */
    unsigned                    streaming:1;    /* rows, page by page */
    unsigned                    draining:1;     /* the client has to read */
};


extern const ngx_http_iclock_api_route_t  ngx_http_iclock_api_routes[];


/* ngx_http_iclock_api_routes.c */

/*
 * Finds the route: NGX_OK, NGX_DECLINED (no such path), or NGX_ABORT (the
 * path has other methods: ctx->methods).
 */
ngx_int_t ngx_http_iclock_api_find_route(ngx_http_request_t *r,
    ngx_http_iclock_api_ctx_t *ctx);

/* takes the first part from a path; "/" has none */
ngx_uint_t ngx_http_iclock_api_part(ngx_str_t *path, ngx_str_t *part);

const char *ngx_http_iclock_api_scope_name(ngx_uint_t scope);


/* ngx_http_iclock_api_count.c: for metrics */

/* tells the names of operations */
ngx_int_t ngx_http_iclock_api_init_count(ngx_conf_t *cf);

void ngx_http_iclock_api_count_answer(ngx_http_request_t *r,
    ngx_http_iclock_api_ctx_t *ctx);
void ngx_http_iclock_api_count_problem(ngx_str_t *code);


/* ngx_http_iclock_api_request.c */

/* the key may not do this */
ngx_int_t ngx_http_iclock_api_lacks_scope(ngx_http_request_t *r,
    ngx_http_iclock_api_ctx_t *ctx);

/* it may */
ngx_int_t ngx_http_iclock_api_admitted(ngx_http_request_t *r,
    ngx_http_iclock_api_ctx_t *ctx);


/* ngx_http_iclock_api_headers.c: what headers and parameters say */

ngx_uint_t ngx_http_iclock_api_is(const ngx_str_t *text, const char *is);

/* NULL: there is none */
ngx_table_elt_t *ngx_http_iclock_api_find_header(ngx_http_request_t *r,
    ngx_str_t *name);

/* into ngx_keyval_t; NGX_DECLINED: *error says what is wrong */
ngx_int_t ngx_http_iclock_api_query_params(ngx_http_request_t *r,
    ngx_array_t *query, const char **error);

/* the value of a parameter; NULL: it is not there */
ngx_str_t *ngx_http_iclock_api_param(ngx_http_iclock_api_ctx_t *ctx,
    const char *name);

/* of the parameter that says where a page begins */
const char *ngx_http_iclock_api_cursor_name(ngx_http_iclock_api_ctx_t *ctx);

/* or is another name of it, which the feed has */
ngx_uint_t ngx_http_iclock_api_is_cursor(ngx_http_iclock_api_ctx_t *ctx,
    const ngx_str_t *name);

/* NGX_DECLINED: it is none */
ngx_int_t ngx_http_iclock_api_idempotency_key(ngx_http_request_t *r,
    ngx_http_iclock_api_ctx_t *ctx);
ngx_int_t ngx_http_iclock_api_fingerprint(ngx_http_request_t *r,
    ngx_http_iclock_api_ctx_t *ctx);

/* seconds of "Prefer: wait=10"; 0: none */
ngx_uint_t ngx_http_iclock_api_prefer_wait(ngx_http_request_t *r);


/* ngx_http_iclock_api_key.c */

/* finds and judges the key, and what it may do; then it is admitted */
ngx_int_t ngx_http_iclock_api_authenticate(ngx_http_request_t *r,
    ngx_http_iclock_api_ctx_t *ctx);

/* of texts one after the other; b and c may be NULL */
ngx_int_t ngx_http_iclock_api_sha256(u_char *hash, ngx_str_t *a,
    ngx_str_t *b, ngx_str_t *c);


/* ngx_http_iclock_api_body.c */

/* bodies are measured while they are read */
void ngx_http_iclock_api_init_body(void);

/* reads and checks the body; then the handler is called */
ngx_int_t ngx_http_iclock_api_read_body(ngx_http_request_t *r,
    ngx_http_iclock_api_ctx_t *ctx, ngx_http_iclock_api_handler_pt handler);


/* ngx_http_iclock_api_query.c */

/* a query of this request, ctx->call; NULL: out of memory */
ngx_iclock_query_t *ngx_http_iclock_api_query(ngx_http_request_t *r,
    ngx_http_iclock_api_ctx_t *ctx, ngx_uint_t statement);

/*
 * Submits ctx->call; handler is called once it is done, with ctx->call->rc.
 * Returns NGX_DONE, or calls the handler at once if it was refused.
 */
ngx_int_t ngx_http_iclock_api_submit(ngx_http_request_t *r,
    ngx_http_iclock_api_ctx_t *ctx, ngx_http_iclock_api_handler_pt handler);

/* sends the problem that a query has met */
ngx_int_t ngx_http_iclock_api_failed(ngx_http_request_t *r,
    ngx_http_iclock_api_ctx_t *ctx);


/* ngx_http_iclock_api_call.c */

/* calls the operation of the route, as ngx_http_iclock_api_submit() */
ngx_int_t ngx_http_iclock_api_call(ngx_http_request_t *r,
    ngx_http_iclock_api_ctx_t *ctx, ngx_http_iclock_api_handler_pt handler);

/* makes sure that there is ctx->base: where the API is for the client */
ngx_int_t ngx_http_iclock_api_base(ngx_http_request_t *r,
    ngx_http_iclock_api_ctx_t *ctx);


/* ngx_http_iclock_api_reply.c: what the operation has answered */

ngx_int_t ngx_http_iclock_api_answered(ngx_http_request_t *r,
    ngx_http_iclock_api_ctx_t *ctx);

/* copies and compacts the body; adds the number of rows */
ngx_int_t ngx_http_iclock_api_take_body(ngx_http_request_t *r,
    ngx_http_iclock_api_ctx_t *ctx, ngx_str_t *body);
void ngx_http_iclock_api_take_rows(ngx_http_request_t *r,
    ngx_http_iclock_api_ctx_t *ctx, ngx_str_t *meta);

/* the member of that name becomes ctx->cursor; NGX_DECLINED: there is none */
ngx_int_t ngx_http_iclock_api_take_cursor(ngx_http_iclock_api_ctx_t *ctx,
    ngx_str_t *meta, const char *name);


/* ngx_http_iclock_api_wait.c */

/* whether the client wants that this answer is held */
ngx_uint_t ngx_http_iclock_api_may_hold(ngx_http_iclock_api_ctx_t *ctx,
    ngx_str_t *meta);

/* waits, and asks again; returns what a content handler returns */
ngx_int_t ngx_http_iclock_api_hold(ngx_http_request_t *r,
    ngx_http_iclock_api_ctx_t *ctx);
void ngx_http_iclock_api_release(ngx_http_iclock_api_ctx_t *ctx);


/* ngx_http_iclock_api_rows.c */

/* sends ctx->call, and further pages as long as there are some */
ngx_int_t ngx_http_iclock_api_rows(ngx_http_request_t *r,
    ngx_http_iclock_api_ctx_t *ctx, ngx_str_t *meta);


/* ngx_http_iclock_api_send.c */

/* ctx->reply, with ctx->status and ctx->content_type */
ngx_int_t ngx_http_iclock_api_send(ngx_http_request_t *r,
    ngx_http_iclock_api_ctx_t *ctx);

/* the header alone; length -1: it is not known */
ngx_int_t ngx_http_iclock_api_send_header(ngx_http_request_t *r,
    ngx_http_iclock_api_ctx_t *ctx, off_t length);

/* the name lives for ever, the value as long as the request */
ngx_int_t ngx_http_iclock_api_header(ngx_http_request_t *r, const char *name,
    ngx_str_t *value);

/* those that the database has answered with, an object of texts */
ngx_int_t ngx_http_iclock_api_reply_headers(ngx_http_request_t *r,
    ngx_http_iclock_api_ctx_t *ctx, ngx_str_t *headers);

/* writes "GET, HEAD" unless p is NULL, and returns the length */
size_t ngx_http_iclock_api_methods(u_char *p, ngx_uint_t methods);
ngx_str_t *ngx_http_iclock_api_method_name(ngx_uint_t method);


/* ngx_http_iclock_api_problem.c */

/* sends a problem document; returns what a content handler returns */
ngx_int_t ngx_http_iclock_api_problem(ngx_http_request_t *r,
    ngx_http_iclock_api_ctx_t *ctx, ngx_uint_t problem, const char *detail);

/* the same of what the database has said, in JSON */
ngx_int_t ngx_http_iclock_api_problem_of(ngx_http_request_t *r,
    ngx_http_iclock_api_ctx_t *ctx, ngx_uint_t status, ngx_str_t *problem);

/* the same of an error that nginx has found: error_page leads here */
ngx_int_t ngx_http_iclock_api_error(ngx_http_request_t *r,
    ngx_http_iclock_api_ctx_t *ctx);
ngx_int_t ngx_http_iclock_api_error_pages(ngx_conf_t *cf,
    ngx_http_core_loc_conf_t *clcf);


/* ngx_http_iclock_api_local.c: what needs no database */

ngx_int_t ngx_http_iclock_api_service(ngx_http_request_t *r,
    ngx_http_iclock_api_ctx_t *ctx);
ngx_int_t ngx_http_iclock_api_health(ngx_http_request_t *r,
    ngx_http_iclock_api_ctx_t *ctx);
ngx_int_t ngx_http_iclock_api_send_json(ngx_http_request_t *r,
    ngx_http_iclock_api_ctx_t *ctx, ngx_uint_t status);

/* for pages of other servers; NGX_DECLINED: the request goes on */
ngx_int_t ngx_http_iclock_api_cross_origin(ngx_http_request_t *r,
    ngx_http_iclock_api_ctx_t *ctx);


/* ngx_http_iclock_api_summary.c: an answer that is kept for some seconds */

ngx_int_t ngx_http_iclock_api_summary(ngx_http_request_t *r,
    ngx_http_iclock_api_ctx_t *ctx);


/* ngx_http_iclock_api_openapi.c */

ngx_int_t ngx_http_iclock_api_openapi(ngx_http_request_t *r,
    ngx_http_iclock_api_ctx_t *ctx);


/* ngx_http_iclock_api_schema.c */

/* all of them; the name of that of a request's body */
void ngx_http_iclock_api_schemas(ngx_http_iclock_api_text_t *out);
const char *ngx_http_iclock_api_input(
    const ngx_http_iclock_api_route_t *route);


/* ngx_http_iclock_api_log.c */

/* keeps keys out of logs */
ngx_int_t ngx_http_iclock_api_init_log(ngx_conf_t *cf);


/* ngx_http_iclock_api_variables.c */

ngx_int_t ngx_http_iclock_api_add_variables(ngx_conf_t *cf);


/* ngx_http_iclock_api_stream.c */

/* "Accept: text/event-stream" */
ngx_uint_t ngx_http_iclock_api_wants_stream(ngx_http_request_t *r,
    ngx_http_iclock_api_ctx_t *ctx);

ngx_int_t ngx_http_iclock_api_stream_handler(ngx_http_request_t *r,
    ngx_http_iclock_api_ctx_t *ctx);


#endif /* _NGX_HTTP_ICLOCK_API_GATE_H_INCLUDED_ */
