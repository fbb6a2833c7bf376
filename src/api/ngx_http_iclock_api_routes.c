
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


#include "ngx_http_iclock_api_gate.h"


static ngx_int_t ngx_http_iclock_api_path(ngx_http_request_t *r,
    ngx_http_iclock_api_ctx_t *ctx);
static ngx_int_t ngx_http_iclock_api_segment(ngx_http_request_t *r,
    ngx_http_iclock_api_ctx_t *ctx, ngx_str_t *raw, ngx_uint_t escaped);
static ngx_uint_t ngx_http_iclock_api_plain(ngx_str_t *segment);
static ngx_uint_t ngx_http_iclock_api_matches(ngx_http_iclock_api_ctx_t *ctx,
    const ngx_http_iclock_api_route_t *route);


#define ngx_http_iclock_api_flags1(a)                                        \
    NGX_HTTP_ICLOCK_API_##a

#define ngx_http_iclock_api_flags2(a, b)                                     \
    NGX_HTTP_ICLOCK_API_##a|NGX_HTTP_ICLOCK_API_##b

#define ngx_http_iclock_api_flags3(a, b, c)                                  \
    NGX_HTTP_ICLOCK_API_##a|NGX_HTTP_ICLOCK_API_##b|NGX_HTTP_ICLOCK_API_##c

#define ngx_http_iclock_api_scope_text(constant, name)                       \
    name,


/*
 * What is answered, in the order in which it is looked for: a name before
 * "{...}".  Each operation is a function of the schema iclock_api, unless
 * there is a handler here.
 */

const ngx_http_iclock_api_route_t  ngx_http_iclock_api_routes[] = {

    { NGX_HTTP_GET, ngx_string("/"), ngx_string("service"),
      NGX_HTTP_ICLOCK_API_NO_SCOPE, ngx_http_iclock_api_flags1(OPEN),
      ngx_http_iclock_api_service, 200, "Service",
      "",
      "What this is" },

    { NGX_HTTP_GET, ngx_string("/health"), ngx_string("health"),
      NGX_HTTP_ICLOCK_API_NO_SCOPE, ngx_http_iclock_api_flags1(OPEN),
      ngx_http_iclock_api_health, 200, "Health",
      "",
      "Whether it works" },

    { NGX_HTTP_GET, ngx_string("/openapi.json"), ngx_string("openapi"),
      NGX_HTTP_ICLOCK_API_NO_SCOPE, ngx_http_iclock_api_flags1(OPEN),
      ngx_http_iclock_api_openapi, 200, "Object",
      "",
      "This document" },

    { NGX_HTTP_GET, ngx_string("/key"), ngx_string("key_get"),
      NGX_HTTP_ICLOCK_API_NO_SCOPE, ngx_http_iclock_api_flags1(SERVER),
      NULL, 200, "Key",
      "",
      "What the key may do, and who answers" },

    { NGX_HTTP_GET, ngx_string("/summary"), ngx_string("summary_get"),
      NGX_HTTP_ICLOCK_API_DEVICES_READ, ngx_http_iclock_api_flags1(SERVER),
      ngx_http_iclock_api_summary, 200, "Summary",
      "",
      "How everything is doing, some seconds old at most" },

    { NGX_HTTP_GET, ngx_string("/devices"), ngx_string("devices_list"),
      NGX_HTTP_ICLOCK_API_DEVICES_READ, ngx_http_iclock_api_flags1(LIST),
      NULL, 200, "DeviceList",
      "status site online q condition fields",
      "Terminals" },

    { NGX_HTTP_POST, ngx_string("/devices"), ngx_string("devices_create"),
      NGX_HTTP_ICLOCK_API_DEVICES_WRITE,
      ngx_http_iclock_api_flags2(BODY, OR_OK),
      NULL, 201, "Device",
      "",
      "Registers a terminal" },

    { NGX_HTTP_GET, ngx_string("/devices/{sn}"), ngx_string("devices_get"),
      NGX_HTTP_ICLOCK_API_DEVICES_READ, 0,
      NULL, 200, "Device",
      "",
      "A terminal" },

    { NGX_HTTP_PATCH, ngx_string("/devices/{sn}"), ngx_string("devices_update"),
      NGX_HTTP_ICLOCK_API_DEVICES_WRITE, ngx_http_iclock_api_flags1(BODY),
      NULL, 200, "Device",
      "",
      "Changes a terminal" },

    { NGX_HTTP_PUT, ngx_string("/devices/{sn}"), ngx_string("devices_update"),
      NGX_HTTP_ICLOCK_API_DEVICES_WRITE, ngx_http_iclock_api_flags1(BODY),
      NULL, 200, "Device",
      "",
      "Changes what is given of a terminal" },

    { NGX_HTTP_DELETE, ngx_string("/devices/{sn}"),
      ngx_string("devices_delete"),
      NGX_HTTP_ICLOCK_API_DEVICES_WRITE, 0,
      NULL, 204, "None",
      "purge",
      "Removes a terminal, and keeps its punches" },

    { NGX_HTTP_POST, ngx_string("/devices/{sn}/approve"),
      ngx_string("devices_action"),
      NGX_HTTP_ICLOCK_API_DEVICES_WRITE,
      ngx_http_iclock_api_flags3(MAY_BODY, PREFER, ACTION),
      NULL, 200, "Device",
      "",
      "Admits a terminal that waits" },

    { NGX_HTTP_POST, ngx_string("/devices/{sn}/block"),
      ngx_string("devices_action"),
      NGX_HTTP_ICLOCK_API_DEVICES_WRITE,
      ngx_http_iclock_api_flags3(MAY_BODY, PREFER, ACTION),
      NULL, 200, "Device",
      "",
      "Refuses a terminal" },

    { NGX_HTTP_POST, ngx_string("/devices/{sn}/reboot"),
      ngx_string("devices_action"),
      NGX_HTTP_ICLOCK_API_DEVICES_WRITE,
      ngx_http_iclock_api_flags3(MAY_BODY, PREFER, ACTION),
      NULL, 202, "Action",
      "",
      "Starts a terminal anew" },

    { NGX_HTTP_POST, ngx_string("/devices/{sn}/sync-time"),
      ngx_string("devices_action"),
      NGX_HTTP_ICLOCK_API_DEVICES_WRITE,
      ngx_http_iclock_api_flags3(MAY_BODY, PREFER, ACTION),
      NULL, 202, "Action",
      "",
      "Sets the clock of a terminal" },

    { NGX_HTTP_POST, ngx_string("/devices/{sn}/reupload"),
      ngx_string("devices_action"),
      NGX_HTTP_ICLOCK_API_DEVICES_WRITE,
      ngx_http_iclock_api_flags3(MAY_BODY, PREFER, ACTION),
      NULL, 202, "Action",
      "",
      "Has a terminal send again what it holds" },

    { NGX_HTTP_GET, ngx_string("/devices/{sn}/users"),
      ngx_string("device_users"),
      NGX_HTTP_ICLOCK_API_USERS_READ, ngx_http_iclock_api_flags1(LIST),
      NULL, 200, "DeviceUserList",
      "",
      "People as they are on a terminal" },

    { NGX_HTTP_POST, ngx_string("/devices/{sn}/verify"),
      ngx_string("devices_verify"),
      NGX_HTTP_ICLOCK_API_COMMANDS_WRITE,
      ngx_http_iclock_api_flags2(MAY_BODY, PREFER),
      NULL, 202, "Action",
      "",
      "Compares punches, and fetches those that are missing" },

    { NGX_HTTP_GET, ngx_string("/devices/{sn}/errors"),
      ngx_string("device_errors"),
      NGX_HTTP_ICLOCK_API_DEVICES_READ, ngx_http_iclock_api_flags1(LIST),
      NULL, 200, "DeviceErrorList",
      "",
      "Errors that a terminal has reported" },

    { NGX_HTTP_GET, ngx_string("/devices/{sn}/operations"),
      ngx_string("device_operations"),
      NGX_HTTP_ICLOCK_API_DEVICES_READ, ngx_http_iclock_api_flags1(LIST),
      NULL, 200, "OperationList",
      "",
      "What was done at a terminal" },

    { NGX_HTTP_GET, ngx_string("/devices/{sn}/settings"),
      ngx_string("device_settings"),
      NGX_HTTP_ICLOCK_API_DEVICES_READ, ngx_http_iclock_api_flags1(LIST),
      NULL, 200, "SettingList",
      "",
      "How a terminal is set" },

    { NGX_HTTP_GET, ngx_string("/users"), ngx_string("users_list"),
      NGX_HTTP_ICLOCK_API_USERS_READ, ngx_http_iclock_api_flags1(LIST),
      NULL, 200, "UserList",
      "device_id site q",
      "People" },

    { NGX_HTTP_POST, ngx_string("/users"), ngx_string("users_create"),
      NGX_HTTP_ICLOCK_API_USERS_WRITE, ngx_http_iclock_api_flags2(BODY, PREFER),
      NULL, 201, "UserWritten",
      "",
      "Puts a person on terminals" },

    { NGX_HTTP_POST, ngx_string("/users/batch"), ngx_string("users_batch"),
      NGX_HTTP_ICLOCK_API_USERS_WRITE,
      ngx_http_iclock_api_flags3(BODY, PREFER, OR_OK),
      NULL, 201, "Batch",
      "",
      "Puts many people on terminals" },

    { NGX_HTTP_GET, ngx_string("/users/{id}"), ngx_string("users_get"),
      NGX_HTTP_ICLOCK_API_USERS_READ, 0,
      NULL, 200, "User",
      "",
      "A person" },

    { NGX_HTTP_PATCH, ngx_string("/users/{id}"), ngx_string("users_update"),
      NGX_HTTP_ICLOCK_API_USERS_WRITE, ngx_http_iclock_api_flags2(BODY, PREFER),
      NULL, 200, "UserWritten",
      "device_id site",
      "Changes a person" },

    { NGX_HTTP_PUT, ngx_string("/users/{id}"), ngx_string("users_update"),
      NGX_HTTP_ICLOCK_API_USERS_WRITE, ngx_http_iclock_api_flags2(BODY, PREFER),
      NULL, 200, "UserWritten",
      "device_id site",
      "Changes what is given of a person" },

    { NGX_HTTP_DELETE, ngx_string("/users/{id}"), ngx_string("users_delete"),
      NGX_HTTP_ICLOCK_API_USERS_WRITE, ngx_http_iclock_api_flags1(PREFER),
      NULL, 202, "Action",
      "device_id site",
      "Removes a person from terminals" },

    { NGX_HTTP_POST, ngx_string("/users/{id}/enroll"),
      ngx_string("users_enroll"),
      NGX_HTTP_ICLOCK_API_USERS_WRITE, ngx_http_iclock_api_flags2(BODY, PREFER),
      NULL, 202, "Action",
      "",
      "Has a terminal ask for a finger or a face" },

    { NGX_HTTP_GET, ngx_string("/users/{id}/templates"),
      ngx_string("templates_list"),
      NGX_HTTP_ICLOCK_API_TEMPLATES_READ, ngx_http_iclock_api_flags1(LIST),
      NULL, 200, "TemplateList",
      "device_id site include",
      "Templates of a person" },

    { NGX_HTTP_GET, ngx_string("/logs"), ngx_string("logs_list"),
      NGX_HTTP_ICLOCK_API_LOGS_READ, ngx_http_iclock_api_flags2(LIST, FORMATS),
      NULL, 200, "LogList",
      "start_date end_date user_id device_id site type method order",
      "Punches" },

    { NGX_HTTP_GET, ngx_string("/attendance/daily"), ngx_string("daily_list"),
      NGX_HTTP_ICLOCK_API_LOGS_READ, ngx_http_iclock_api_flags2(LIST, FORMATS),
      NULL, 200, "DayList",
      "start_date end_date user_id site",
      "First and last punch of each day" },

    { NGX_HTTP_GET, ngx_string("/rejected"), ngx_string("rejected_list"),
      NGX_HTTP_ICLOCK_API_LOGS_READ, ngx_http_iclock_api_flags1(LIST),
      NULL, 200, "RejectedList",
      "device_id table reason since",
      "Lines that could not be stored" },

    { NGX_HTTP_GET, ngx_string("/reconciliation"),
      ngx_string("reconciliation_list"),
      NGX_HTTP_ICLOCK_API_LOGS_READ, ngx_http_iclock_api_flags1(LIST),
      NULL, 200, "CheckList",
      "device_id status missing",
      "Whether punches on terminals have all arrived" },

    { NGX_HTTP_GET, ngx_string("/events"), ngx_string("events_list"),
      NGX_HTTP_ICLOCK_API_EVENTS_READ, ngx_http_iclock_api_flags2(POLL, STREAM),
      NULL, 200, "EventList",
      "after types device_id site limit wait",
      "Events, as a list or as a stream" },

    { NGX_HTTP_GET, ngx_string("/events/{event_id}"), ngx_string("events_get"),
      NGX_HTTP_ICLOCK_API_EVENTS_READ, 0,
      NULL, 200, "Event",
      "",
      "An event" },

    { NGX_HTTP_POST, ngx_string("/stream-tokens"), ngx_string("stream_token"),
      NGX_HTTP_ICLOCK_API_EVENTS_READ, ngx_http_iclock_api_flags1(MAY_BODY),
      NULL, 201, "StreamToken",
      "",
      "A token that opens a stream once" },

    { NGX_HTTP_GET, ngx_string("/commands"), ngx_string("commands_list"),
      NGX_HTTP_ICLOCK_API_COMMANDS_READ,
      ngx_http_iclock_api_flags2(LIST, SERVER),
      NULL, 200, "CommandList",
      "device_id status user_id since finished_since created_by",
      "Commands for terminals" },

    { NGX_HTTP_GET, ngx_string("/commands/{id}"), ngx_string("commands_get"),
      NGX_HTTP_ICLOCK_API_COMMANDS_READ, ngx_http_iclock_api_flags1(SERVER),
      NULL, 200, "Command",
      "",
      "A command" },

    { NGX_HTTP_DELETE, ngx_string("/commands/{id}"),
      ngx_string("commands_delete"),
      NGX_HTTP_ICLOCK_API_COMMANDS_WRITE, 0,
      NULL, 200, "Command",
      "",
      "Cancels a command" },

    { NGX_HTTP_POST, ngx_string("/commands/{id}/repeat"),
      ngx_string("commands_repeat"),
      NGX_HTTP_ICLOCK_API_COMMANDS_WRITE,
      ngx_http_iclock_api_flags1(MAY_BODY),
      NULL, 201, "Command",
      "",
      "Queues a command again that has ended, if the key may queue such" },

    { NGX_HTTP_GET, ngx_string("/webhooks"), ngx_string("webhooks_list"),
      NGX_HTTP_ICLOCK_API_WEBHOOKS_MANAGE, ngx_http_iclock_api_flags1(LIST),
      NULL, 200, "WebhookList",
      "status",
      "Webhooks" },

    { NGX_HTTP_POST, ngx_string("/webhooks"), ngx_string("webhooks_create"),
      NGX_HTTP_ICLOCK_API_WEBHOOKS_MANAGE,
      ngx_http_iclock_api_flags3(BODY, SECRET, SERVER),
      NULL, 201, "Webhook",
      "",
      "Makes a webhook" },

    { NGX_HTTP_GET, ngx_string("/webhooks/{id}"), ngx_string("webhooks_get"),
      NGX_HTTP_ICLOCK_API_WEBHOOKS_MANAGE, 0,
      NULL, 200, "Webhook",
      "",
      "A webhook" },

    { NGX_HTTP_PATCH, ngx_string("/webhooks/{id}"),
      ngx_string("webhooks_update"),
      NGX_HTTP_ICLOCK_API_WEBHOOKS_MANAGE,
      ngx_http_iclock_api_flags2(BODY, SERVER),
      NULL, 200, "Webhook",
      "",
      "Changes a webhook" },

    { NGX_HTTP_DELETE, ngx_string("/webhooks/{id}"),
      ngx_string("webhooks_delete"),
      NGX_HTTP_ICLOCK_API_WEBHOOKS_MANAGE, 0,
      NULL, 204, "None",
      "",
      "Removes a webhook" },

    { NGX_HTTP_POST, ngx_string("/webhooks/{id}/test"),
      ngx_string("webhooks_action"),
      NGX_HTTP_ICLOCK_API_WEBHOOKS_MANAGE,
      ngx_http_iclock_api_flags2(MAY_BODY, ACTION),
      NULL, 202, "WebhookTest",
      "",
      "Sends a test" },

    { NGX_HTTP_POST, ngx_string("/webhooks/{id}/pause"),
      ngx_string("webhooks_action"),
      NGX_HTTP_ICLOCK_API_WEBHOOKS_MANAGE,
      ngx_http_iclock_api_flags2(MAY_BODY, ACTION),
      NULL, 200, "Webhook",
      "",
      "Sends nothing for a while" },

    { NGX_HTTP_POST, ngx_string("/webhooks/{id}/resume"),
      ngx_string("webhooks_action"),
      NGX_HTTP_ICLOCK_API_WEBHOOKS_MANAGE,
      ngx_http_iclock_api_flags2(MAY_BODY, ACTION),
      NULL, 200, "Webhook",
      "",
      "Sends again" },

    { NGX_HTTP_POST, ngx_string("/webhooks/{id}/rotate-secret"),
      ngx_string("webhooks_action"),
      NGX_HTTP_ICLOCK_API_WEBHOOKS_MANAGE,
      ngx_http_iclock_api_flags3(MAY_BODY, ACTION, SECRET),
      NULL, 200, "Webhook",
      "",
      "Makes a new secret" },

    { NGX_HTTP_POST, ngx_string("/webhooks/{id}/resend"),
      ngx_string("webhooks_action"),
      NGX_HTTP_ICLOCK_API_WEBHOOKS_MANAGE,
      ngx_http_iclock_api_flags2(BODY, ACTION),
      NULL, 202, "Count",
      "",
      "Sends events again" },

    { NGX_HTTP_GET, ngx_string("/webhooks/{id}/attempts"),
      ngx_string("webhook_attempts"),
      NGX_HTTP_ICLOCK_API_WEBHOOKS_MANAGE, ngx_http_iclock_api_flags1(LIST),
      NULL, 200, "AttemptList",
      "event_id",
      "What was tried of late" },

    { NGX_HTTP_GET, ngx_string("/webhooks/{id}/dead"),
      ngx_string("webhook_dead"),
      NGX_HTTP_ICLOCK_API_WEBHOOKS_MANAGE, ngx_http_iclock_api_flags1(LIST),
      NULL, 200, "DeadEventList",
      "",
      "Events that could not be delivered" },

    { NGX_HTTP_POST, ngx_string("/sandbox/devices"),
      ngx_string("sandbox_devices"),
      NGX_HTTP_ICLOCK_API_DEVICES_WRITE, ngx_http_iclock_api_flags1(BODY),
      NULL, 201, "Device",
      "",
      "Makes a simulated terminal, for keys of tests" },

    { NGX_HTTP_POST, ngx_string("/sandbox/devices/{sn}/punches"),
      ngx_string("sandbox_punches"),
      NGX_HTTP_ICLOCK_API_DEVICES_WRITE, ngx_http_iclock_api_flags1(BODY),
      NULL, 201, "Stored",
      "",
      "Stores punches of a simulated terminal" },

    { 0, ngx_null_string, ngx_null_string, 0, 0, NULL, 0, NULL, NULL, NULL }
};


/* fails to compile if they are not all counted */
typedef u_char  ngx_http_iclock_api_routes_fit_t[
    (sizeof(ngx_http_iclock_api_routes) / sizeof(ngx_http_iclock_api_route_t)
     <= NGX_ICLOCK_MAX_OPERATIONS) ? 1 : -1];


static const char  *ngx_http_iclock_api_scope_names[] = {
    NULL,
    NGX_HTTP_ICLOCK_API_EACH_SCOPE(ngx_http_iclock_api_scope_text)
};


const char *
ngx_http_iclock_api_scope_name(ngx_uint_t scope)
{
    return ngx_http_iclock_api_scope_names[scope];
}


ngx_int_t
ngx_http_iclock_api_find_route(ngx_http_request_t *r,
    ngx_http_iclock_api_ctx_t *ctx)
{
    ngx_uint_t                          method;
    const ngx_http_iclock_api_route_t  *route;

    if (ngx_http_iclock_api_path(r, ctx) != NGX_OK) {
        return NGX_DECLINED;
    }

    method = (r->method == NGX_HTTP_HEAD) ? NGX_HTTP_GET : r->method;

    for (route = ngx_http_iclock_api_routes; route->path.len; route++) {

        if (!ngx_http_iclock_api_matches(ctx, route)) {
            continue;
        }

        ctx->methods |= route->method;

        if (route->method == method) {
            ctx->route = route;
            ctx->number = route - ngx_http_iclock_api_routes + 1;
            return NGX_OK;
        }
    }

    return ctx->methods ? NGX_ABORT : NGX_DECLINED;
}


/*
 * nginx has decoded the URI and taken "//" and ".." out of it.  What a client
 * has written is looked at instead, so that nothing but the path of a route
 * reaches its function.
 */

static ngx_int_t
ngx_http_iclock_api_path(ngx_http_request_t *r,
    ngx_http_iclock_api_ctx_t *ctx)
{
    u_char     *p, *last;
    ngx_str_t   raw, *uri;

    uri = r->valid_unparsed_uri ? &r->unparsed_uri : &r->uri;
    p = uri->data;

    last = r->valid_unparsed_uri ? ngx_strlchr(p, p + uri->len, '?') : NULL;

    if (last == NULL) {
        last = p + uri->len;
    }

    if ((size_t) (last - p) < ctx->prefix.len
        || ngx_strncmp(p, ctx->prefix.data, ctx->prefix.len) != 0)
    {
        return NGX_DECLINED;
    }

    p += ctx->prefix.len;

    if (p == last || (last - p == 1 && *p == '/')) {
        return NGX_OK;
    }

    while (p < last) {

        if (*p++ != '/') {
            return NGX_DECLINED;
        }

        raw.data = p;
        p = ngx_strlchr(p, last, '/');
        p = p ? p : last;
        raw.len = p - raw.data;

        if (ngx_http_iclock_api_segment(r, ctx, &raw, r->valid_unparsed_uri)
            != NGX_OK)
        {
            return NGX_DECLINED;
        }

        if (p == last) {
            return NGX_OK;
        }
    }

    return NGX_DECLINED;
}


static ngx_int_t
ngx_http_iclock_api_segment(ngx_http_request_t *r,
    ngx_http_iclock_api_ctx_t *ctx, ngx_str_t *raw, ngx_uint_t escaped)
{
    u_char     *src, *dst;
    ngx_str_t  *segment;

    if (raw->len == 0 || ctx->nsegments == NGX_HTTP_ICLOCK_API_SEGMENTS) {
        return NGX_DECLINED;
    }

    segment = &ctx->segments[ctx->nsegments++];
    *segment = *raw;

    if (escaped && ngx_strlchr(raw->data, raw->data + raw->len, '%')) {

        segment->data = ngx_pnalloc(r->pool, raw->len);
        if (segment->data == NULL) {
            return NGX_ERROR;
        }

        src = raw->data;
        dst = segment->data;
        ngx_unescape_uri(&dst, &src, raw->len, 0);
        segment->len = dst - segment->data;
    }

    return ngx_http_iclock_api_plain(segment) ? NGX_OK : NGX_DECLINED;
}


/* nothing that means a file or another path somewhere */

static ngx_uint_t
ngx_http_iclock_api_plain(ngx_str_t *segment)
{
    size_t  i;

    static const ngx_str_t  page = ngx_string(".aspx");

    if (segment->len == 0 || !ngx_iclock_valid_text(segment)) {
        return 0;
    }

    if (segment->data[0] == '.'
        && (segment->len == 1
            || (segment->len == 2 && segment->data[1] == '.')))
    {
        return 0;
    }

    if (segment->len >= page.len
        && ngx_strncasecmp(segment->data + segment->len - page.len,
                           page.data, page.len)
           == 0)
    {
        return 0;
    }

    for (i = 0; i < segment->len; i++) {
        if (segment->data[i] < 0x20 || segment->data[i] == 0x7f
            || segment->data[i] == '/' || segment->data[i] == '\\')
        {
            return 0;
        }
    }

    return 1;
}


static ngx_uint_t
ngx_http_iclock_api_matches(ngx_http_iclock_api_ctx_t *ctx,
    const ngx_http_iclock_api_route_t *route)
{
    ngx_str_t   path, part;
    ngx_uint_t  i;

    path = route->path;

    for (i = 0; ngx_http_iclock_api_part(&path, &part); i++) {

        if (i == ctx->nsegments) {
            return 0;
        }

        if (part.data[0] == '{') {
            continue;
        }

        if (part.len != ctx->segments[i].len
            || ngx_strncmp(part.data, ctx->segments[i].data, part.len) != 0)
        {
            return 0;
        }
    }

    return i == ctx->nsegments;
}


ngx_uint_t
ngx_http_iclock_api_part(ngx_str_t *path, ngx_str_t *part)
{
    u_char  *p, *last;

    if (path->len < 2) {
        return 0;
    }

    last = path->data + path->len;

    part->data = path->data + 1;
    p = ngx_strlchr(part->data, last, '/');
    p = p ? p : last;
    part->len = p - part->data;

    path->data = p;
    path->len = last - p;

    return 1;
}
