
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


/*
 * What bodies look like, for openapi.json.
 */


#include "ngx_http_iclock_api_gate.h"


/*
 * Members are words "name:type": text, integer, number, boolean, time, date,
 * object, any, or a schema; "[type]" is an array, "|null" may follow, and "!"
 * if requests have to have it.  Answers have all of theirs but those with "?".
 */
typedef struct {
    const char                 *name;
    const char                 *members;
} ngx_http_iclock_api_schema_t;


/* what the operation is sent on a path that ends so; NULL: on each */
typedef struct {
    const char                 *operation;
    const char                 *action;
    const char                 *schema;
} ngx_http_iclock_api_input_t;


/* words of members */
typedef struct {
    const char                 *name;
    const char                 *json;
} ngx_http_iclock_api_type_t;


static void ngx_http_iclock_api_schema(ngx_http_iclock_api_text_t *out,
    const ngx_http_iclock_api_schema_t *schema);
static void ngx_http_iclock_api_schema_members(
    ngx_http_iclock_api_text_t *out, const char *members, ngx_uint_t input,
    ngx_uint_t required);
static void ngx_http_iclock_api_schema_type(ngx_http_iclock_api_text_t *out,
    ngx_str_t *type);
static void ngx_http_iclock_api_schema_plain(ngx_http_iclock_api_text_t *out,
    ngx_str_t *type);
static ngx_uint_t ngx_http_iclock_api_schema_ends(const char *name,
    const char *end);


#define NGX_HTTP_ICLOCK_API_DEVICE_MEMBERS                                   \
    "name:text|null location:text|null site:text|null timezone:text|null "   \
    "comm_key:text|null muted_until:time|null note:text|null"

#define NGX_HTTP_ICLOCK_API_USER_MEMBERS                                     \
    "name:text|null department:text|null card:any privilege:integer|null "   \
    "password:any group:integer|null valid_from:text|null "                  \
    "valid_until:text|null templates:[TemplateInput] photo:text|null"

#define NGX_HTTP_ICLOCK_API_WEBHOOK_MEMBERS                                  \
    "description:text|null types:any sites:any devices:any "                 \
    "ordered:boolean|null concurrency:integer|null batch:integer|null "      \
    "headers:object|null body:any"


static const ngx_http_iclock_api_schema_t  ngx_http_iclock_api_schema_rows[] = {

    { "Service", "service:text version:text time:time" },

    { "Health", "database:boolean listening:boolean webhooks:boolean" },

    { "Key", "id:text name:text mode:text scopes:[text] "
      "sites:any devices:any expires_at:time|null rate:KeyRate|null "
      "page:KeyPage server:Server features:[text] conditions:[ConditionType]" },

    { "KeyRate", "limit:integer window:integer" },

    { "KeyPage", "default:integer max:integer" },

    { "Server", "version:text nginx:text postgresql:text schema:integer "
      "schema_required:integer time:time" },

    { "ConditionType", "name:text warn_after:integer|null" },

    { "Summary", "at:time devices:SummaryDevices punches:SummaryPunches "
      "commands:SummaryCommands rejected_24h:integer "
      "missing_punches:integer server:SummaryServer" },

    { "SummaryDevices", "total:integer active:integer online:integer "
      "pending:integer blocked:integer muted:integer needs:integer "
      "by_condition:object by_site:[SummarySite]" },

    { "SummarySite", "site:text|null total:integer needs:integer" },

    { "SummaryPunches", "today:integer last_at:time|null per_5min:[integer]" },

    { "SummaryCommands", "queued:integer sent:integer failed_24h:integer" },

    { "SummaryServer", "database_ms:number listening:boolean|null "
      "horizon_seconds:number webhooks:object" },

    { "Problem", "type:text title:text status:integer code:text "
      "detail:text|null error:text|null instance:text errors:[ProblemAt]? "
      "violated-policies:[text]? oldest:text?" },

    { "ProblemAt", "pointer:text detail:text" },

    /* fields=compact leaves some out */

    { "Device", "id:text serial_number:text? name:text|null "
      "location:text|null? site:text|null timezone:text|null status:text "
      "status_since:time|null? status_by:text|null? conditions:[Condition] "
      "muted_until:time|null note:text|null? users:integer|null? "
      "logs:integer|null? storage:text|null? storage_ratio:number|null "
      "firmware:text|null? push_version:text|null? ip_address:text|null? "
      "address:text|null? last_seen:time|null last_punch_at:time|null "
      "clock_skew_seconds:number|null waiting_commands:integer" },

    { "Condition", "name:text since:time|null value:number|null" },

    { "DeviceInput", "serial_number:text! "
      NGX_HTTP_ICLOCK_API_DEVICE_MEMBERS },

    { "DeviceChangeInput", "serial_number:text|null "
      NGX_HTTP_ICLOCK_API_DEVICE_MEMBERS },

    { "CommandRef", "id:integer device_id:text status:text" },

    { "Action", "commands:[CommandRef]" },

    { "EmptyInput", "" },

    { "TableInput", "table:text!" },

    { "TemplateRef", "type:text index:integer|null version:text|null" },

    { "DeviceUser", "user_id:text name:text|null privilege:integer|null "
      "card:text|null group:integer|null templates:[TemplateRef] "
      "updated_at:time|null" },

    { "UserDevice", "device_id:text status:text card:text|null "
      "privilege:integer|null templates:[TemplateRef]" },

    { "User", "user_id:text name:text|null department:text|null "
      "devices:[UserDevice]" },

    { "Skipped", "device_id:text what:text reason:text" },

    { "UserWritten", "user_id:text name:text|null? department:text|null? "
      "status:text commands:[CommandRef] skipped:[Skipped]" },

    { "TemplateInput", "type:text! data:text! index:integer version:any" },

    { "UserInput", "user_id:any! device_id:text device_ids:[text] site:text "
      NGX_HTTP_ICLOCK_API_USER_MEMBERS },

    { "UserChangeInput", NGX_HTTP_ICLOCK_API_USER_MEMBERS },

    { "BatchInput", "device_id:text device_ids:[text] site:text "
      "users:[BatchUserInput]! partial:boolean|null" },

    { "BatchUserInput", "user_id:any! " NGX_HTTP_ICLOCK_API_USER_MEMBERS },

    { "Batch", "results:[BatchResult] commands:[CommandRef]" },

    { "BatchResult", "user_id:text|null status:integer error:text|null "
      "skipped:[Skipped]?" },

    { "EnrollInput", "device_id:text! type:text index:integer "
      "overwrite:boolean" },

    { "Template", "device_id:text type:text index:integer|null "
      "version:text|null valid:boolean|null duress:boolean|null "
      "size:integer|null updated_at:time|null data:text|null" },

    { "Log", "id:text user_id:text user_name:text|null punch_type:text "
      "method:text timestamp:time|null local_time:text timezone:text|null "
      "device_id:text device_name:text|null site:text|null "
      "status:integer|null verify:integer|null temperature:number|null "
      "mask_detected:boolean|null work_code:text|null received_at:time" },

    { "Day", "date:date user_id:text user_name:text|null "
      "department:text|null site:text|null first:time|null last:time|null "
      "first_local_time:text last_local_time:text span:integer|null "
      "punches:integer devices:[text]" },

    { "Event", "type:text event:text event_id:text sequence:integer "
      "timestamp:time created_at:time late:boolean device:EventDevice|null "
      "user:EventUser? punch:EventPunch? photo:object? template:object? "
      "command:object? door:object? webhook:object?" },

    { "EventDevice", "id:text name:text|null location:text|null "
      "site:text|null timezone:text|null" },

    { "EventUser", "id:text name:text|null" },

    { "EventPunch", "type:text method:text timestamp:time|null "
      "local_time:text status:integer|null verify:integer|null "
      "work_code:text|null temperature:number|null "
      "mask_detected:boolean|null" },

    { "StreamToken", "token:text expires_at:time" },

    { "Command", "id:integer device_id:text command:text|null words:text "
      "user_id:text|null status:text return_code:integer|null "
      "result:any attempts:integer created_at:time created_by:text "
      "sent_at:time|null answer_due_at:time|null finished_at:time|null "
      "not_before:time|null expires_at:time|null" },

    { "Rejected", "id:integer device_id:text table:text reason:text "
      "words:text detail:text line:text|null size:integer received_at:time" },

    { "Check", "id:integer device_id:text starts:text ends:text status:text "
      "device_count:integer|null stored_count:integer|null "
      "missing:integer|null words:text attempts:integer "
      "command_id:integer|null created_at:time created_by:text "
      "finished_at:time|null" },

    { "DeviceError", "id:integer code:text words:text message:text "
      "origin:text|null command_id:integer|null command:text|null "
      "user_id:text|null received_at:time" },

    { "Operation", "code:integer words:text|null operator:text|null "
      "alarm:text|null objects:[text] local_time:text timestamp:time|null "
      "received_at:time" },

    { "Setting", "name:text value:text updated_at:time" },

    { "VerifyInput", "starts:text ends:text" },

    { "Webhook", "id:text url:text description:text|null types:any "
      "sites:any devices:any mode:text status:text status_reason:text|null "
      "ordered:boolean concurrency:integer batch:integer headers:object "
      "body:any failures:integer failing_since:time|null "
      "next_attempt_at:time|null retrying:integer dead:integer "
      "previous_secret_until:time|null created_at:time "
      "secret:text|null?" },

    { "WebhookInput", "url:text! " NGX_HTTP_ICLOCK_API_WEBHOOK_MEMBERS },

    { "WebhookChangeInput", "url:text|null "
      NGX_HTTP_ICLOCK_API_WEBHOOK_MEMBERS },

    { "ResumeInput", "from_now:boolean|null" },

    { "RotateInput", "overlap:number|null" },

    { "Attempt", "event_id:text attempt:integer at:time "
      "duration_ms:integer|null status:integer|null error:text|null "
      "response:text|null" },

    { "DeadEvent", "event_id:text type:text|null attempts:integer "
      "first_at:time dead_at:time|null status:integer|null "
      "error:text|null" },

    { "ResendInput", "event_ids:[text] since:time|null until:time|null "
      "state:text|null" },

    { "Count", "count:integer" },

    { "WebhookTest", "event_id:text" },

    { "Stored", "stored:integer known:integer" },

    { "SandboxInput", "serial_number:text|null name:text|null "
      "location:text|null site:text|null timezone:text|null" },

    { "PunchesInput", "punches:[PunchInput]!" },

    { "PunchInput", "user_id:text! name:text|null timestamp:text|null "
      "type:text|null method:text|null work_code:text|null "
      "temperature:number|null mask_detected:boolean|null" },

    { "Object", "" },
    { NULL, NULL }
};


static const ngx_http_iclock_api_input_t  ngx_http_iclock_api_inputs[] = {
    { "devices_create", NULL, "DeviceInput" },
    { "devices_update", NULL, "DeviceChangeInput" },
    { "devices_action", "/reupload", "TableInput" },
    { "devices_verify", NULL, "VerifyInput" },
    { "users_create", NULL, "UserInput" },
    { "users_batch", NULL, "BatchInput" },
    { "users_update", NULL, "UserChangeInput" },
    { "users_enroll", NULL, "EnrollInput" },
    { "webhooks_create", NULL, "WebhookInput" },
    { "webhooks_update", NULL, "WebhookChangeInput" },
    { "webhooks_action", "/resume", "ResumeInput" },
    { "webhooks_action", "/rotate-secret", "RotateInput" },
    { "webhooks_action", "/resend", "ResendInput" },
    { "sandbox_devices", NULL, "SandboxInput" },
    { "sandbox_punches", NULL, "PunchesInput" },
    { NULL, NULL, "EmptyInput" }
};


static const ngx_http_iclock_api_type_t  ngx_http_iclock_api_types[] = {
    { "text", "\"string\"" },
    { "time", "\"string\"" },
    { "date", "\"string\"" },
    { "integer", "\"integer\"" },
    { "number", "\"number\"" },
    { "boolean", "\"boolean\"" },
    { "object", "\"object\"" },
    { NULL, NULL }
};


const char *
ngx_http_iclock_api_input(const ngx_http_iclock_api_route_t *route)
{
    const ngx_http_iclock_api_input_t  *input;

    for (input = ngx_http_iclock_api_inputs; input->operation; input++) {

        if (!ngx_http_iclock_api_is(&route->operation, input->operation)) {
            continue;
        }

        if (input->action == NULL
            || ngx_http_iclock_api_schema_ends((char *) route->path.data,
                                               input->action))
        {
            break;
        }
    }

    return input->schema;
}


void
ngx_http_iclock_api_schemas(ngx_http_iclock_api_text_t *out)
{
    ngx_uint_t                           n;
    const ngx_http_iclock_api_route_t   *route;
    const ngx_http_iclock_api_schema_t  *schema;

    n = 0;

    for (schema = ngx_http_iclock_api_schema_rows; schema->name; schema++) {
        ngx_http_iclock_api_text_raw(out, n++ ? "," : "");
        ngx_http_iclock_api_schema(out, schema);
    }

    /* lists of them */

    for (route = ngx_http_iclock_api_routes; route->path.len; route++) {

        if (!ngx_http_iclock_api_schema_ends(route->schema, "List")) {
            continue;
        }

        ngx_http_iclock_api_text_raw(out, ",\"");
        ngx_http_iclock_api_text_raw(out, route->schema);
        ngx_http_iclock_api_text_raw(out, "\":{\"type\":\"object\","
                                     "\"required\":[\"data\",\"has_more\","
                                     "\"next_cursor\"],\"properties\":"
                                     "{\"data\":{\"type\":\"array\","
                                     "\"items\":{\"$ref\":"
                                     "\"#/components/schemas/");
        ngx_http_iclock_api_text_add(out, (u_char *) route->schema,
                                     ngx_strlen(route->schema)
                                     - sizeof("List") + 1);
        ngx_http_iclock_api_text_raw(out, "\"}},\"has_more\":{\"type\":"
                                     "\"boolean\"},\"next_cursor\":{\"type\":"
                                     "[\"string\",\"null\"]}}}");
    }
}


static void
ngx_http_iclock_api_schema(ngx_http_iclock_api_text_t *out,
    const ngx_http_iclock_api_schema_t *schema)
{
    ngx_uint_t  input;

    input = ngx_http_iclock_api_schema_ends(schema->name, "Input");

    ngx_http_iclock_api_text_raw(out, "\"");
    ngx_http_iclock_api_text_raw(out, schema->name);
    ngx_http_iclock_api_text_raw(out, "\":{\"type\":\"object\","
                                 "\"required\":[");
    ngx_http_iclock_api_schema_members(out, schema->members, input, 1);
    ngx_http_iclock_api_text_raw(out, "],\"properties\":{");
    ngx_http_iclock_api_schema_members(out, schema->members, input, 0);
    ngx_http_iclock_api_text_raw(out, input
                                      ? "},\"additionalProperties\":false}"
                                      : "}}");
}


/* the names of those that are required, or all with their types */

static void
ngx_http_iclock_api_schema_members(ngx_http_iclock_api_text_t *out,
    const char *members, ngx_uint_t input, ngx_uint_t required)
{
    u_char      *p, *last;
    ngx_str_t    name, type;
    ngx_uint_t   n, needed;

    n = 0;
    last = (u_char *) members + ngx_strlen(members);

    for (name.data = (u_char *) members; name.data < last; name.data = p + 1) {

        type.data = ngx_strlchr(name.data, last, ':') + 1;
        name.len = type.data - name.data - 1;

        p = ngx_strlchr(type.data, last, ' ');
        p = p ? p : last;
        type.len = p - type.data;

        needed = !input;

        if (type.data[type.len - 1] == (input ? '!' : '?')) {
            needed = input;
            type.len--;
        }

        if (required && !needed) {
            continue;
        }

        ngx_http_iclock_api_text_raw(out, n++ ? "," : "");
        ngx_http_iclock_api_text_string(out, &name);

        if (!required) {
            ngx_http_iclock_api_text_raw(out, ":");
            ngx_http_iclock_api_schema_type(out, &type);
        }
    }
}


static void
ngx_http_iclock_api_schema_type(ngx_http_iclock_api_text_t *out,
    ngx_str_t *type)
{
    ngx_str_t  item;

    if (type->data[0] != '[') {
        ngx_http_iclock_api_schema_plain(out, type);
        return;
    }

    item.data = type->data + 1;
    item.len = type->len - 2;

    ngx_http_iclock_api_text_raw(out, "{\"type\":\"array\",\"items\":");
    ngx_http_iclock_api_schema_plain(out, &item);
    ngx_http_iclock_api_text_raw(out, "}");
}


static void
ngx_http_iclock_api_schema_plain(ngx_http_iclock_api_text_t *out,
    ngx_str_t *type)
{
    ngx_str_t                          name;
    ngx_uint_t                         null;
    const ngx_http_iclock_api_type_t  *t;

    name = *type;
    null = name.len > 5
           && ngx_strncmp(name.data + name.len - 5, "|null", 5) == 0;
    name.len -= null ? 5 : 0;

    if (ngx_http_iclock_api_is(&name, "any")) {
        ngx_http_iclock_api_text_raw(out, "{}");
        return;
    }

    for (t = ngx_http_iclock_api_types; t->name; t++) {

        if (!ngx_http_iclock_api_is(&name, t->name)) {
            continue;
        }

        ngx_http_iclock_api_text_raw(out, null ? "{\"type\":[" : "{\"type\":");
        ngx_http_iclock_api_text_raw(out, t->json);
        ngx_http_iclock_api_text_raw(out, null ? ",\"null\"]" : "");

        if (ngx_http_iclock_api_is(&name, "time")) {
            ngx_http_iclock_api_text_raw(out, ",\"format\":\"date-time\"");

        } else if (ngx_http_iclock_api_is(&name, "date")) {
            ngx_http_iclock_api_text_raw(out, ",\"format\":\"date\"");
        }

        ngx_http_iclock_api_text_raw(out, "}");
        return;
    }

    ngx_http_iclock_api_text_raw(out, null ? "{\"anyOf\":[{\"type\":\"null\"},"
                                           : "");
    ngx_http_iclock_api_text_raw(out, "{\"$ref\":\"#/components/schemas/");
    ngx_http_iclock_api_text_str(out, &name);
    ngx_http_iclock_api_text_raw(out, null ? "\"}]}" : "\"}");
}


static ngx_uint_t
ngx_http_iclock_api_schema_ends(const char *name, const char *end)
{
    size_t  len, n;

    len = ngx_strlen(name);
    n = ngx_strlen(end);

    return len > n && ngx_strcmp(name + len - n, end) == 0;
}
