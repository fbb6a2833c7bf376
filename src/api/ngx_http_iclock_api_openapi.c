
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


/*
 * openapi.json, version 3.1, made from the table of routes.
 */


#include "ngx_http_iclock_api_gate.h"


/* a parameter that is no plain text */
typedef struct {
    const char                 *name;
    const char                 *schema;
} ngx_http_iclock_api_typed_t;


static void ngx_http_iclock_api_openapi_paths(
    ngx_http_iclock_api_text_t *out);
static ngx_uint_t ngx_http_iclock_api_openapi_first(
    const ngx_http_iclock_api_route_t *route);
static void ngx_http_iclock_api_openapi_path(ngx_http_iclock_api_text_t *out,
    const ngx_http_iclock_api_route_t *first);
static void ngx_http_iclock_api_openapi_operation(
    ngx_http_iclock_api_text_t *out, const ngx_http_iclock_api_route_t *route);
static void ngx_http_iclock_api_openapi_id(ngx_http_iclock_api_text_t *out,
    const ngx_http_iclock_api_route_t *route);
static void ngx_http_iclock_api_openapi_tag(ngx_http_iclock_api_text_t *out,
    const ngx_http_iclock_api_route_t *route);
static void ngx_http_iclock_api_openapi_parameters(
    ngx_http_iclock_api_text_t *out, const ngx_http_iclock_api_route_t *route);
static void ngx_http_iclock_api_openapi_words(ngx_http_iclock_api_text_t *out,
    const char *words, ngx_uint_t *n);
static void ngx_http_iclock_api_openapi_parameter(
    ngx_http_iclock_api_text_t *out, ngx_str_t *name, const char *in,
    ngx_uint_t *n);
static void ngx_http_iclock_api_openapi_body(ngx_http_iclock_api_text_t *out,
    const ngx_http_iclock_api_route_t *route);
static void ngx_http_iclock_api_openapi_responses(
    ngx_http_iclock_api_text_t *out, const ngx_http_iclock_api_route_t *route);
static void ngx_http_iclock_api_openapi_success(
    ngx_http_iclock_api_text_t *out, const ngx_http_iclock_api_route_t *route,
    ngx_uint_t status);
static void ngx_http_iclock_api_openapi_ref(ngx_http_iclock_api_text_t *out,
    const char *schema);


/* an answer that is a problem, with further headers */
#define NGX_HTTP_ICLOCK_API_OPENAPI_PROBLEM(headers)                         \
    "{\"description\":\"A problem, RFC 9457\",\"headers\":{"                 \
    "\"X-Request-Id\":{\"$ref\":\"#/components/headers/RequestId\"}"         \
    headers "},\"content\":{\"application/problem+json\":{\"schema\":"       \
    "{\"$ref\":\"#/components/schemas/Problem\"}}}}"


static const char  ngx_http_iclock_api_openapi_head[] =
    "{\"openapi\":\"3.1.0\",\"info\":{\"title\":\"iclock\",\"version\":\""
    NGX_HTTP_ICLOCK_API_VERSION "\",\"description\":\"Attendance terminals, "
    "people, punches, events and webhooks.\",\"license\":{\"name\":"
    "\"BSD-2-Clause\",\"identifier\":\"BSD-2-Clause\"}},"
    "\"servers\":[{\"url\":";

static const char  ngx_http_iclock_api_openapi_tail[] =
    "},\"securitySchemes\":{\"bearer\":{\"type\":\"http\",\"scheme\":"
    "\"bearer\",\"description\":\"A key: ik_live_... or ik_test_...\"},"
    "\"header\":{\"type\":\"apiKey\",\"in\":\"header\",\"name\":"
    "\"X-API-Key\"}},\"headers\":{\"RequestId\":{\"description\":"
    "\"The request, as logs name it\",\"required\":true,\"schema\":"
    "{\"type\":\"string\"}},\"RetryAfter\":{\"description\":"
    "\"Seconds until the next attempt\",\"required\":true,\"schema\":"
    "{\"type\":\"integer\",\"minimum\":1}},\"WWWAuthenticate\":"
    "{\"description\":\"How to present a key\",\"required\":true,"
    "\"schema\":{\"type\":\"string\"}}},\"responses\":{\"Problem\":"
    NGX_HTTP_ICLOCK_API_OPENAPI_PROBLEM("") ",\"BadKey\":"
    NGX_HTTP_ICLOCK_API_OPENAPI_PROBLEM(",\"WWW-Authenticate\":"
    "{\"$ref\":\"#/components/headers/WWWAuthenticate\"}") ",\"Later\":"
    NGX_HTTP_ICLOCK_API_OPENAPI_PROBLEM(",\"Retry-After\":"
    "{\"$ref\":\"#/components/headers/RetryAfter\"}") "}}}";


/* headers of requests that write */

static const char  ngx_http_iclock_api_openapi_idempotency[] =
    "{\"name\":\"Idempotency-Key\",\"in\":\"header\",\"description\":"
    "\"The same request with the same key is done once, within 24 hours\","
    "\"schema\":{\"type\":\"string\",\"minLength\":1,\"maxLength\":255}}";

static const char  ngx_http_iclock_api_openapi_prefer[] =
    "{\"name\":\"Prefer\",\"in\":\"header\",\"description\":"
    "\"wait=n: the answer is held until the commands have ended, n seconds "
    "at most\",\"schema\":{\"type\":\"string\",\"examples\":[\"wait=10\"]}}";


static const ngx_http_iclock_api_typed_t  ngx_http_iclock_api_typed[] = {
    { "limit", "{\"type\":\"integer\",\"minimum\":1,\"description\":"
      "\"Items of a page; ndjson and csv come whole, without it\"}" },
    { "wait", "{\"type\":\"integer\",\"minimum\":0,\"maximum\":30}" },
    { "online", "{\"type\":\"boolean\"}" },
    { "purge", "{\"type\":\"boolean\"}" },
    { "missing", "{\"type\":\"boolean\"}" },
    { "since", "{\"type\":\"string\",\"format\":\"date-time\"}" },
    { "finished_since", "{\"type\":\"string\",\"format\":\"date-time\"}" },
    { "fields", "{\"type\":\"string\",\"enum\":[\"compact\"]}" },
    { "start_date", "{\"type\":\"string\",\"format\":\"date\"}" },
    { "end_date", "{\"type\":\"string\",\"format\":\"date\"}" },
    { "order", "{\"type\":\"string\",\"enum\":[\"asc\",\"desc\"]}" },
    { "format",
      "{\"type\":\"string\",\"enum\":[\"json\",\"ndjson\",\"csv\"]}" },
    { "include", "{\"type\":\"string\",\"enum\":[\"data\"]}" },
    { NULL, "{\"type\":\"string\"}" }
};


ngx_int_t
ngx_http_iclock_api_openapi(ngx_http_request_t *r,
    ngx_http_iclock_api_ctx_t *ctx)
{
    ngx_http_iclock_api_text_t  out;

    if (ngx_http_iclock_api_base(r, ctx) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_http_iclock_api_text_init(&out, r->pool, 65536);

    ngx_http_iclock_api_text_raw(&out, ngx_http_iclock_api_openapi_head);
    ngx_http_iclock_api_text_string(&out, &ctx->base);
    ngx_http_iclock_api_text_raw(&out, "}],\"security\":[{\"bearer\":[]},"
                                 "{\"header\":[]}],\"paths\":{");

    ngx_http_iclock_api_openapi_paths(&out);

    ngx_http_iclock_api_text_raw(&out, "},\"components\":{\"schemas\":{");
    ngx_http_iclock_api_schemas(&out);
    ngx_http_iclock_api_text_raw(&out, ngx_http_iclock_api_openapi_tail);

    if (out.failed) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ctx->reply = out.text;

    return ngx_http_iclock_api_send_json(r, ctx, NGX_HTTP_OK);
}


static void
ngx_http_iclock_api_openapi_paths(ngx_http_iclock_api_text_t *out)
{
    const ngx_http_iclock_api_route_t  *route;

    for (route = ngx_http_iclock_api_routes; route->path.len; route++) {

        if (!ngx_http_iclock_api_openapi_first(route)) {
            continue;
        }

        if (route != ngx_http_iclock_api_routes) {
            ngx_http_iclock_api_text_raw(out, ",");
        }

        ngx_http_iclock_api_openapi_path(out, route);
    }
}


/* of those with the same path */

static ngx_uint_t
ngx_http_iclock_api_openapi_first(const ngx_http_iclock_api_route_t *route)
{
    const ngx_http_iclock_api_route_t  *other;

    for (other = ngx_http_iclock_api_routes; other < route; other++) {

        if (ngx_http_iclock_api_is(&other->path, (char *) route->path.data)) {
            return 0;
        }
    }

    return 1;
}


static void
ngx_http_iclock_api_openapi_path(ngx_http_iclock_api_text_t *out,
    const ngx_http_iclock_api_route_t *first)
{
    ngx_str_t                           path;
    const ngx_http_iclock_api_route_t  *route;

    path = first->path;

    ngx_http_iclock_api_text_string(out, &path);
    ngx_http_iclock_api_text_raw(out, ":{");

    for (route = first; route->path.len; route++) {

        if (!ngx_http_iclock_api_is(&route->path, (char *) path.data)) {
            continue;
        }

        if (route != first) {
            ngx_http_iclock_api_text_raw(out, ",");
        }

        ngx_http_iclock_api_openapi_operation(out, route);
    }

    ngx_http_iclock_api_text_raw(out, "}");
}


static void
ngx_http_iclock_api_openapi_operation(ngx_http_iclock_api_text_t *out,
    const ngx_http_iclock_api_route_t *route)
{
    u_char      lower[8];
    ngx_str_t  *name, summary;

    name = ngx_http_iclock_api_method_name(route->method);
    ngx_strlow(lower, name->data, name->len);

    summary.data = (u_char *) route->summary;
    summary.len = ngx_strlen(summary.data);

    ngx_http_iclock_api_text_raw(out, "\"");
    ngx_http_iclock_api_text_add(out, lower, name->len);
    ngx_http_iclock_api_text_raw(out, "\":{\"operationId\":\"");
    ngx_http_iclock_api_openapi_id(out, route);
    ngx_http_iclock_api_text_raw(out, "\",\"tags\":[\"");
    ngx_http_iclock_api_openapi_tag(out, route);
    ngx_http_iclock_api_text_raw(out, "\"]");
    ngx_http_iclock_api_text_member(out, "summary", &summary);

    if (route->flags & NGX_HTTP_ICLOCK_API_OPEN) {
        ngx_http_iclock_api_text_raw(out, ",\"security\":[]");

    } else if (route->scope) {
        ngx_http_iclock_api_text_raw(out, ",\"description\":\"Scope ");
        ngx_http_iclock_api_text_raw(out,
                               ngx_http_iclock_api_scope_name(route->scope));
        ngx_http_iclock_api_text_raw(out, "\"");
    }

    ngx_http_iclock_api_openapi_parameters(out, route);
    ngx_http_iclock_api_openapi_body(out, route);
    ngx_http_iclock_api_openapi_responses(out, route);
    ngx_http_iclock_api_text_raw(out, "}");
}


/* the name of the operation, with what tells routes of one from each other */

static void
ngx_http_iclock_api_openapi_id(ngx_http_iclock_api_text_t *out,
    const ngx_http_iclock_api_route_t *route)
{
    ngx_str_t  path, part;

    path = route->path;
    ngx_str_null(&part);

    ngx_http_iclock_api_text_raw(out, (char *) route->operation.data);

    if (route->flags & NGX_HTTP_ICLOCK_API_ACTION) {

        while (ngx_http_iclock_api_part(&path, &part)) {
            /* the last one */
        }

        ngx_http_iclock_api_text_raw(out, "_");
        ngx_http_iclock_api_text_str(out, &part);

    } else if (route->method == NGX_HTTP_PUT) {
        ngx_http_iclock_api_text_raw(out, "_put");
    }
}


/* the beginning of the path */

static void
ngx_http_iclock_api_openapi_tag(ngx_http_iclock_api_text_t *out,
    const ngx_http_iclock_api_route_t *route)
{
    ngx_str_t  path, part;

    path = route->path;

    if (route->scope == NGX_HTTP_ICLOCK_API_NO_SCOPE
        || !ngx_http_iclock_api_part(&path, &part))
    {
        ngx_str_set(&part, "service");
    }

    ngx_http_iclock_api_text_str(out, &part);
}


static void
ngx_http_iclock_api_openapi_parameters(ngx_http_iclock_api_text_t *out,
    const ngx_http_iclock_api_route_t *route)
{
    ngx_str_t   path, part;
    ngx_uint_t  n;

    n = 0;
    path = route->path;

    ngx_http_iclock_api_text_raw(out, ",\"parameters\":[");

    while (ngx_http_iclock_api_part(&path, &part)) {

        if (part.data[0] == '{') {
            part.data++;
            part.len -= 2;
            ngx_http_iclock_api_openapi_parameter(out, &part, "path", &n);
        }
    }

    ngx_http_iclock_api_openapi_words(out, route->query, &n);

    if (route->flags & NGX_HTTP_ICLOCK_API_LIST) {
        ngx_http_iclock_api_openapi_words(out, "limit cursor", &n);
    }

    if (route->flags & NGX_HTTP_ICLOCK_API_FORMATS) {
        ngx_http_iclock_api_openapi_words(out, "format", &n);
    }

    if (route->method & (NGX_HTTP_POST|NGX_HTTP_PATCH)) {
        ngx_http_iclock_api_text_raw(out, n++ ? "," : "");
        ngx_http_iclock_api_text_raw(out,
                                     ngx_http_iclock_api_openapi_idempotency);
    }

    if (route->flags & NGX_HTTP_ICLOCK_API_PREFER) {
        ngx_http_iclock_api_text_raw(out, n++ ? "," : "");
        ngx_http_iclock_api_text_raw(out, ngx_http_iclock_api_openapi_prefer);
    }

    ngx_http_iclock_api_text_raw(out, "]");
}


static void
ngx_http_iclock_api_openapi_words(ngx_http_iclock_api_text_t *out,
    const char *words, ngx_uint_t *n)
{
    u_char     *p, *last;
    ngx_str_t   name;

    last = (u_char *) words + ngx_strlen(words);

    for (name.data = (u_char *) words; name.data < last; name.data = p + 1) {

        p = ngx_strlchr(name.data, last, ' ');
        p = p ? p : last;
        name.len = p - name.data;

        ngx_http_iclock_api_openapi_parameter(out, &name, "query", n);
    }
}


static void
ngx_http_iclock_api_openapi_parameter(ngx_http_iclock_api_text_t *out,
    ngx_str_t *name, const char *in, ngx_uint_t *n)
{
    const ngx_http_iclock_api_typed_t  *typed;

    for (typed = ngx_http_iclock_api_typed; typed->name; typed++) {
        if (ngx_http_iclock_api_is(name, typed->name)) {
            break;
        }
    }

    ngx_http_iclock_api_text_raw(out, (*n)++ ? ",{\"name\":" : "{\"name\":");
    ngx_http_iclock_api_text_string(out, name);
    ngx_http_iclock_api_text_raw(out, ",\"in\":\"");
    ngx_http_iclock_api_text_raw(out, in);
    ngx_http_iclock_api_text_raw(out, in[0] == 'p' ? "\",\"required\":true"
                                                   : "\"");
    ngx_http_iclock_api_text_raw(out, ",\"schema\":");
    ngx_http_iclock_api_text_raw(out, typed->schema);
    ngx_http_iclock_api_text_raw(out, "}");
}


static void
ngx_http_iclock_api_openapi_body(ngx_http_iclock_api_text_t *out,
    const ngx_http_iclock_api_route_t *route)
{
    if (!(route->flags & (NGX_HTTP_ICLOCK_API_BODY
                          |NGX_HTTP_ICLOCK_API_MAY_BODY)))
    {
        return;
    }

    ngx_http_iclock_api_text_raw(out, ",\"requestBody\":{\"required\":");
    ngx_http_iclock_api_text_raw(out, (route->flags & NGX_HTTP_ICLOCK_API_BODY)
                                      ? "true" : "false");
    ngx_http_iclock_api_text_raw(out, ",\"content\":{\"application/json\":");
    ngx_http_iclock_api_openapi_ref(out, ngx_http_iclock_api_input(route));
    ngx_http_iclock_api_text_raw(out, "}}");
}


static void
ngx_http_iclock_api_openapi_responses(ngx_http_iclock_api_text_t *out,
    const ngx_http_iclock_api_route_t *route)
{
    ngx_http_iclock_api_text_raw(out, ",\"responses\":{");
    ngx_http_iclock_api_openapi_success(out, route, route->status);

    if (route->flags & NGX_HTTP_ICLOCK_API_OR_OK) {
        ngx_http_iclock_api_text_raw(out, ",");
        ngx_http_iclock_api_openapi_success(out, route, NGX_HTTP_OK);
    }

    if (!(route->flags & NGX_HTTP_ICLOCK_API_OPEN)) {
        ngx_http_iclock_api_text_raw(out, ",\"401\":{\"$ref\":"
                                     "\"#/components/responses/BadKey\"}");
    }

    ngx_http_iclock_api_text_raw(out, ",\"429\":{\"$ref\":"
                                 "\"#/components/responses/Later\"},"
                                 "\"4XX\":{\"$ref\":"
                                 "\"#/components/responses/Problem\"},"
                                 "\"503\":");

    ngx_http_iclock_api_text_raw(out,
                            ngx_http_iclock_api_is(&route->operation, "health")
                            ? "{\"description\":\"It does not work\","
                              "\"headers\":{\"X-Request-Id\":{\"$ref\":"
                              "\"#/components/headers/RequestId\"},"
                              "\"Retry-After\":{\"$ref\":"
                              "\"#/components/headers/RetryAfter\"}},"
                              "\"content\":{\"application/json\":{\"schema\":"
                              "{\"$ref\":\"#/components/schemas/Health\"}}}}"
                            : "{\"$ref\":\"#/components/responses/Later\"}");

    ngx_http_iclock_api_text_raw(out, ",\"5XX\":{\"$ref\":"
                                 "\"#/components/responses/Problem\"}}");
}


static void
ngx_http_iclock_api_openapi_success(ngx_http_iclock_api_text_t *out,
    const ngx_http_iclock_api_route_t *route, ngx_uint_t status)
{
    u_char  *p, buf[NGX_INT_T_LEN];

    p = ngx_sprintf(buf, "%ui", status);

    ngx_http_iclock_api_text_raw(out, "\"");
    ngx_http_iclock_api_text_add(out, buf, p - buf);
    ngx_http_iclock_api_text_raw(out, "\":{\"description\":\"Done\","
                                 "\"headers\":{\"X-Request-Id\":{\"$ref\":"
                                 "\"#/components/headers/RequestId\"}}");

    if (route->status != NGX_HTTP_NO_CONTENT) {
        ngx_http_iclock_api_text_raw(out,
                                     ",\"content\":{\"application/json\":");
        ngx_http_iclock_api_openapi_ref(out, route->schema);

        if (route->flags & NGX_HTTP_ICLOCK_API_FORMATS) {
            ngx_http_iclock_api_text_raw(out, ",\"application/x-ndjson\":"
                                         "{\"schema\":{\"type\":\"string\"}},"
                                         "\"text/csv\":{\"schema\":"
                                         "{\"type\":\"string\"}}");
        }

        if (route->flags & NGX_HTTP_ICLOCK_API_STREAM) {
            ngx_http_iclock_api_text_raw(out, ",\"text/event-stream\":"
                                         "{\"schema\":"
                                         "{\"type\":\"string\"}}");
        }

        ngx_http_iclock_api_text_raw(out, "}");
    }

    ngx_http_iclock_api_text_raw(out, "}");
}


static void
ngx_http_iclock_api_openapi_ref(ngx_http_iclock_api_text_t *out,
    const char *schema)
{
    ngx_http_iclock_api_text_raw(out, "{\"schema\":{\"$ref\":"
                                 "\"#/components/schemas/");
    ngx_http_iclock_api_text_raw(out, schema);
    ngx_http_iclock_api_text_raw(out, "\"}}");
}
