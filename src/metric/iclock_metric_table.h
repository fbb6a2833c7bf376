
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


/*
 * The one table of metrics.  Memory, both formats, docs/metrics.md and
 * docs/status.schema.json are made from it; tools/metrics reads it without
 * nginx, so nothing is included here.
 */


#ifndef _ICLOCK_METRIC_TABLE_H_INCLUDED_
#define _ICLOCK_METRIC_TABLE_H_INCLUDED_


/*
 * Labels: L(A, name, text).  What is not in a list is its last word, "other",
 * if there is one.  Nothing that is unbounded may ever be a label.
 */

#define NGX_ICLOCK_LABELS_NONE(L, A)                                         \
    L(A, ALL, "")

#define NGX_ICLOCK_LABELS_ENDPOINT(L, A)                                     \
    L(A, CDATA, "cdata")                                                     \
    L(A, GETREQUEST, "getrequest")                                           \
    L(A, DEVICECMD, "devicecmd")                                             \
    L(A, CONTROL, "control")                                                 \
    L(A, PING, "ping")                                                       \
    L(A, FDATA, "fdata")                                                     \
    L(A, FILE, "file")                                                       \
    L(A, EXCHANGE, "exchange")                                               \
    L(A, REGISTRY, "registry")                                               \
    L(A, PUSH, "push")                                                       \
    L(A, QUERYDATA, "querydata")                                             \
    L(A, RTDATA, "rtdata")                                                   \
    L(A, OTHER, "other")

#define NGX_ICLOCK_LABELS_CODE(L, A)                                         \
    L(A, 200, "200")                                                         \
    L(A, 206, "206")                                                         \
    L(A, 400, "400")                                                         \
    L(A, 401, "401")                                                         \
    L(A, 403, "403")                                                         \
    L(A, 404, "404")                                                         \
    L(A, 405, "405")                                                         \
    L(A, 413, "413")                                                         \
    L(A, 499, "499")                                                         \
    L(A, 503, "503")                                                         \
    L(A, OTHER, "other")

/* the first ones of ENDPOINT */
#define NGX_ICLOCK_LABELS_TIMED(L, A)                                        \
    L(A, CDATA, "cdata")                                                     \
    L(A, GETREQUEST, "getrequest")                                           \
    L(A, DEVICECMD, "devicecmd")                                             \
    L(A, OTHER, "other")

#define NGX_ICLOCK_LABELS_REFUSAL(L, A)                                      \
    L(A, PENDING, "pending")                                                 \
    L(A, BLOCKED, "blocked")                                                 \
    L(A, KEY, "key")                                                         \
    L(A, NETWORK, "network")                                                 \
    L(A, UNKNOWN, "unknown")                                                 \
    L(A, SERIAL, "serial")                                                   \
    L(A, PATH, "path")                                                       \
    L(A, METHOD, "method")                                                   \
    L(A, SIZE, "size")                                                       \
    L(A, PENDING_LIMIT, "pending_limit")                                     \
    L(A, DATABASE, "database")                                               \
    L(A, QUEUE, "queue")                                                     \
    L(A, TIMEOUT, "timeout")

#define NGX_ICLOCK_LABELS_KIND(L, A)                                         \
    L(A, PUNCH, "punch")                                                     \
    L(A, OPERATION, "operation")                                             \
    L(A, USER, "user")                                                       \
    L(A, TEMPLATE, "template")                                               \
    L(A, PHOTO, "photo")                                                     \
    L(A, IDENTITY_CARD, "identity_card")                                     \
    L(A, WORK_CODE, "work_code")                                             \
    L(A, ERROR, "error")                                                     \
    L(A, OPTION, "option")                                                   \
    L(A, DOOR_EVENT, "door_event")                                           \
    L(A, OTHER, "other")

#define NGX_ICLOCK_LABELS_RECORD(L, A)                                       \
    L(A, STORED, "stored")                                                   \
    L(A, DUPLICATE, "duplicate")                                             \
    L(A, REJECTED, "rejected")

#define NGX_ICLOCK_LABELS_CAUSE(L, A)                                        \
    L(A, FORMAT, "format")                                                   \
    L(A, ENCODING, "encoding")                                               \
    L(A, DATE, "date")                                                       \
    L(A, DATABASE, "database")                                               \
    L(A, TABLE, "table")                                                     \
    L(A, PACKET, "packet")

#define NGX_ICLOCK_LABELS_COMMIT(L, A)                                       \
    L(A, COMMITTED, "committed")                                             \
    L(A, RETRIED, "retried")                                                 \
    L(A, SPLIT, "split")                                                     \
    L(A, FAILED, "failed")

/* POOL is the beginning of CONNECTOR */
#define NGX_ICLOCK_LABELS_POOL(L, A)                                         \
    L(A, DEVICE, "device")                                                   \
    L(A, API, "api")

#define NGX_ICLOCK_LABELS_CONNECTOR(L, A)                                    \
    L(A, DEVICE, "device")                                                   \
    L(A, API, "api")                                                         \
    L(A, LISTEN, "listen")

#define NGX_ICLOCK_LABELS_CONNECTION(L, A)                                   \
    L(A, IDLE, "idle")                                                       \
    L(A, BUSY, "busy")                                                       \
    L(A, CONNECTING, "connecting")

#define NGX_ICLOCK_LABELS_ATTEMPT(L, A)                                      \
    L(A, OK, "ok")                                                           \
    L(A, FAILED, "failed")

#define NGX_ICLOCK_LABELS_SQLSTATE(L, A)                                     \
    L(A, 08, "08")                                                           \
    L(A, 22, "22")                                                           \
    L(A, 23, "23")                                                           \
    L(A, 25, "25")                                                           \
    L(A, 40, "40")                                                           \
    L(A, 42, "42")                                                           \
    L(A, 53, "53")                                                           \
    L(A, 55, "55")                                                           \
    L(A, 57, "57")                                                           \
    L(A, OTHER, "other")

#define NGX_ICLOCK_LABELS_DEVICE(L, A)                                       \
    L(A, ACTIVE, "active")                                                   \
    L(A, PENDING, "pending")                                                 \
    L(A, BLOCKED, "blocked")

#define NGX_ICLOCK_LABELS_CONDITION(L, A)                                    \
    L(A, BLOCKED, "blocked")                                                 \
    L(A, KEY, "key")                                                         \
    L(A, NETWORK, "network")                                                 \
    L(A, NEW, "new")                                                         \
    L(A, SILENT, "silent")                                                   \
    L(A, SILENT_DAY, "silent_day")                                           \
    L(A, NEVER, "never")                                                     \
    L(A, LINES, "lines")                                                     \
    L(A, MISSING, "missing")                                                 \
    L(A, CLOCK, "clock")                                                     \
    L(A, QUIET, "quiet")                                                     \
    L(A, FULL, "full")                                                       \
    L(A, COMMANDS, "commands")                                               \
    L(A, FAILED, "failed")

#define NGX_ICLOCK_LABELS_WAITING(L, A)                                      \
    L(A, QUEUED, "queued")                                                   \
    L(A, SENT, "sent")

#define NGX_ICLOCK_LABELS_FINISHED(L, A)                                     \
    L(A, DONE, "done")                                                       \
    L(A, FAILED, "failed")                                                   \
    L(A, EXPIRED, "expired")                                                 \
    L(A, CANCELLED, "cancelled")                                             \
    L(A, SUPERSEDED, "superseded")

#define NGX_ICLOCK_LABELS_RECONCILED(L, A)                                   \
    L(A, AGREED, "agreed")                                                   \
    L(A, SURPLUS, "surplus")                                                 \
    L(A, DIFFERS, "differs")                                                 \
    L(A, FAILED, "failed")

/* of OPERATION src/api tells the names; the last is of requests without one */
#define NGX_ICLOCK_MAX_OPERATIONS  96

#define NGX_ICLOCK_LABELS_CLASS(L, A)                                        \
    L(A, 2XX, "2xx")                                                         \
    L(A, 4XX, "4xx")                                                         \
    L(A, 5XX, "5xx")

#define NGX_ICLOCK_LABELS_API_REFUSAL(L, A)                                  \
    L(A, NO_KEY, "no_key")                                                   \
    L(A, BAD_KEY, "bad_key")                                                 \
    L(A, SCOPE, "scope")                                                     \
    L(A, ADDRESS, "address")                                                 \
    L(A, RATE, "rate")                                                       \
    L(A, SIZE, "size")

#define NGX_ICLOCK_LABELS_ACCESS(L, A)                                       \
    L(A, READ, "read")                                                       \
    L(A, WRITE, "write")                                                     \
    L(A, PAGE, "page")

#define NGX_ICLOCK_LABELS_EVENT(L, A)                                        \
    L(A, PUNCH, "attendance.punch")                                          \
    L(A, PHOTO, "attendance.photo")                                          \
    L(A, DEVICE_PENDING, "device.pending")                                   \
    L(A, DEVICE_APPROVED, "device.approved")                                 \
    L(A, DEVICE_BLOCKED, "device.blocked")                                   \
    L(A, DEVICE_ONLINE, "device.online")                                     \
    L(A, DEVICE_OFFLINE, "device.offline")                                   \
    L(A, DEVICE_REMOVED, "device.removed")                                   \
    L(A, USER_ENROLLED, "user.enrolled")                                     \
    L(A, USER_UPDATED, "user.updated")                                       \
    L(A, USER_DELETED, "user.deleted")                                       \
    L(A, TEMPLATE_ENROLLED, "template.enrolled")                             \
    L(A, COMMAND_FINISHED, "command.finished")                               \
    L(A, DOOR_EVENT, "door.event")                                           \
    L(A, DOOR_ALARM, "door.alarm")                                           \
    L(A, DOOR_STATE, "door.state")                                           \
    L(A, WEBHOOK_DISABLED, "webhook.disabled")                               \
    L(A, WEBHOOK_TEST, "webhook.test")                                       \
    L(A, OTHER, "other")

#define NGX_ICLOCK_LABELS_WEBHOOK(L, A)                                      \
    L(A, ACTIVE, "active")                                                   \
    L(A, FAILING, "failing")                                                 \
    L(A, PAUSED, "paused")                                                   \
    L(A, DISABLED, "disabled")

#define NGX_ICLOCK_LABELS_OUTCOME(L, A)                                      \
    L(A, OK, "ok")                                                           \
    L(A, STATUS, "status")                                                   \
    L(A, TIMEOUT, "timeout")                                                 \
    L(A, CONNECT, "connect")                                                 \
    L(A, TLS, "tls")                                                         \
    L(A, ADDRESS, "address")


/* X(list, name of the label), and OPERATION besides */

#define NGX_ICLOCK_EACH_LABEL(X)                                             \
    X(NONE, "")                                                              \
    X(ENDPOINT, "endpoint")                                                  \
    X(CODE, "code")                                                          \
    X(TIMED, "endpoint")                                                     \
    X(REFUSAL, "reason")                                                     \
    X(KIND, "kind")                                                          \
    X(RECORD, "result")                                                      \
    X(CAUSE, "cause")                                                        \
    X(COMMIT, "result")                                                      \
    X(POOL, "pool")                                                          \
    X(CONNECTOR, "pool")                                                     \
    X(CONNECTION, "state")                                                   \
    X(ATTEMPT, "result")                                                     \
    X(SQLSTATE, "class")                                                     \
    X(DEVICE, "status")                                                      \
    X(CONDITION, "condition")                                                \
    X(WAITING, "status")                                                     \
    X(FINISHED, "result")                                                    \
    X(RECONCILED, "status")                                                  \
    X(CLASS, "class")                                                        \
    X(API_REFUSAL, "reason")                                                 \
    X(ACCESS, "kind")                                                        \
    X(EVENT, "type")                                                         \
    X(WEBHOOK, "state")                                                      \
    X(OUTCOME, "outcome")


/*
 * Upper bounds of histograms: B(A, number, text).  Seconds are counted as
 * microseconds.
 */

#define NGX_ICLOCK_BUCKETS_NONE(B, A)

#define NGX_ICLOCK_BUCKETS_SHORT(B, A)                                       \
    B(A, 1000, "0.001")                                                      \
    B(A, 2500, "0.0025")                                                     \
    B(A, 5000, "0.005")                                                      \
    B(A, 10000, "0.01")                                                      \
    B(A, 25000, "0.025")                                                     \
    B(A, 50000, "0.05")                                                      \
    B(A, 100000, "0.1")                                                      \
    B(A, 250000, "0.25")                                                     \
    B(A, 500000, "0.5")                                                      \
    B(A, 1000000, "1")                                                       \
    B(A, 2500000, "2.5")                                                     \
    B(A, 5000000, "5")                                                       \
    B(A, 10000000, "10")

#define NGX_ICLOCK_BUCKETS_DELAY(B, A)                                       \
    NGX_ICLOCK_BUCKETS_SHORT(B, A)                                           \
    B(A, 30000000, "30")                                                     \
    B(A, 60000000, "60")                                                     \
    B(A, 600000000, "600")                                                   \
    B(A, 3600000000, "3600")

#define NGX_ICLOCK_BUCKETS_LONG(B, A)                                        \
    B(A, 1000000, "1")                                                       \
    B(A, 2000000, "2")                                                       \
    B(A, 5000000, "5")                                                       \
    B(A, 10000000, "10")                                                     \
    B(A, 15000000, "15")                                                     \
    B(A, 30000000, "30")                                                     \
    B(A, 60000000, "60")                                                     \
    B(A, 120000000, "120")                                                   \
    B(A, 300000000, "300")                                                   \
    B(A, 600000000, "600")                                                   \
    B(A, 1800000000, "1800")                                                 \
    B(A, 3600000000, "3600")                                                 \
    B(A, 21600000000, "21600")                                               \
    B(A, 86400000000, "86400")

#define NGX_ICLOCK_BUCKETS_TURN(B, A)                                        \
    B(A, 1000, "0.001")                                                      \
    B(A, 2000, "0.002")                                                      \
    B(A, 5000, "0.005")                                                      \
    B(A, 10000, "0.01")                                                      \
    B(A, 20000, "0.02")                                                      \
    B(A, 50000, "0.05")                                                      \
    B(A, 100000, "0.1")                                                      \
    B(A, 200000, "0.2")                                                      \
    B(A, 500000, "0.5")                                                      \
    B(A, 1000000, "1")

#define NGX_ICLOCK_BUCKETS_REQUESTS(B, A)                                    \
    B(A, 1, "1")                                                             \
    B(A, 2, "2")                                                             \
    B(A, 4, "4")                                                             \
    B(A, 8, "8")                                                             \
    B(A, 16, "16")                                                           \
    B(A, 32, "32")                                                           \
    B(A, 64, "64")                                                           \
    B(A, 128, "128")                                                         \
    B(A, 256, "256")                                                         \
    B(A, 512, "512")

#define NGX_ICLOCK_BUCKETS_RECORDS(B, A)                                     \
    B(A, 1, "1")                                                             \
    B(A, 2, "2")                                                             \
    B(A, 5, "5")                                                             \
    B(A, 10, "10")                                                           \
    B(A, 20, "20")                                                           \
    B(A, 50, "50")                                                           \
    B(A, 100, "100")                                                         \
    B(A, 200, "200")                                                         \
    B(A, 500, "500")                                                         \
    B(A, 1000, "1000")                                                       \
    B(A, 2000, "2000")                                                       \
    B(A, 5000, "5000")                                                       \
    B(A, 10000, "10000")                                                     \
    B(A, 20000, "20000")

#define NGX_ICLOCK_EACH_BUCKETS(X)                                           \
    X(NONE)                                                                  \
    X(SHORT)                                                                 \
    X(DELAY)                                                                 \
    X(LONG)                                                                  \
    X(TURN)                                                                  \
    X(REQUESTS)                                                              \
    X(RECORDS)


/*
 * X(constant, name, type, labels, labels, buckets, source, room, path, help)
 *
 * source: COUNT  counted by this nginx, in a slot for each process
 *         NOW    of processes that live: what one has left is not added
 *         ASKED  computed when somebody wants to know
 *         READ   read from the database by one worker, every 30 seconds
 * room:   what has to be configured, else it is not there: see
 *         ngx_http_iclock_status_rooms()
 * path:   of the JSON; labels come below it.  Rows of one member stand
 *         together.  Of INFO the labels are told at run time.
 */

#define NGX_ICLOCK_EACH_METRIC(X)                                            \
                                                                             \
    X(BUILD, "build_info", INFO, NONE, NONE, NONE, ASKED, ALL,               \
      "build", "Always 1; versions of what runs")                            \
    X(START, "start_time_seconds", GAUGE, NONE, NONE, NONE, ASKED, ALL,      \
      "start_time_seconds", "Unix time when these counters began")           \
    X(WORKERS, "workers", GAUGE, NONE, NONE, NONE, ASKED, ALL,               \
      "workers", "Workers that serve")                                       \
                                                                             \
    X(REQUESTS, "requests_total", COUNTER, ENDPOINT, CODE, NONE, COUNT,      \
      DEVICES, "requests.total", "Requests of terminals")                    \
    X(REQUEST_DURATION, "request_duration_seconds", HISTOGRAM, TIMED, NONE,  \
      SHORT, COUNT, DEVICES, "requests.duration",                            \
      "From the first byte to the end of the reply")                         \
    X(REFUSALS, "refusals_total", COUNTER, REFUSAL, NONE, NONE, COUNT,       \
      DEVICES, "requests.refusals", "Requests refused by the module")        \
    X(BODY_BYTES, "request_body_bytes_total", COUNTER, NONE, NONE, NONE,     \
      COUNT, DEVICES, "requests.body_bytes", "Bytes of bodies received")     \
                                                                             \
    X(RECORDS, "records_total", COUNTER, KIND, RECORD, NONE, COUNT, DEVICES, \
      "records", "Lines of uploads after their commit")                      \
    X(REJECTED_LINES, "rejected_lines_total", COUNTER, CAUSE, NONE, NONE,    \
      COUNT, DEVICES, "rejected_lines", "Lines kept in rejected_line")       \
                                                                             \
    X(COMMITS, "commits_total", COUNTER, COMMIT, NONE, NONE, COUNT, DEVICES, \
      "commits.total", "Shared transactions")                                \
    X(COMMIT_DURATION, "commit_duration_seconds", HISTOGRAM, NONE, NONE,     \
      SHORT, COUNT, DEVICES, "commits.duration", "Time of a transaction")    \
    X(COMMIT_REQUESTS, "commit_requests", HISTOGRAM, NONE, NONE, REQUESTS,   \
      COUNT, DEVICES, "commits.requests", "Requests in a transaction")       \
    X(COMMIT_RECORDS, "commit_records", HISTOGRAM, NONE, NONE, RECORDS,      \
      COUNT, DEVICES, "commits.records", "Records in a transaction")         \
                                                                             \
    X(QUEUE, "queue_requests", GAUGE, POOL, NONE, NONE, NOW, DATABASE,       \
      "queue.requests", "Requests that wait for a connection")               \
    X(QUEUE_LIMIT, "queue_limit_requests", GAUGE, POOL, NONE, NONE, NOW,     \
      DATABASE, "queue.limit", "Requests that may wait")                     \
    X(QUEUE_WAIT, "queue_wait_seconds", HISTOGRAM, POOL, NONE, SHORT, COUNT, \
      DATABASE, "queue.wait", "Time that requests have waited")              \
                                                                             \
    X(CONNECTIONS, "pool_connections", GAUGE, CONNECTOR, CONNECTION, NONE,   \
      NOW, DATABASE, "pools.connections", "Connections to PostgreSQL")       \
    X(CONNECTS, "pool_connects_total", COUNTER, CONNECTOR, ATTEMPT, NONE,    \
      COUNT, DATABASE, "pools.connects", "Attempts to connect")              \
    X(LOSSES, "pool_losses_total", COUNTER, CONNECTOR, NONE, NONE, COUNT,    \
      DATABASE, "pools.losses", "Connections lost in use")                   \
                                                                             \
    X(DATABASE_UP, "database_up", GAUGE, NONE, NONE, NONE, ASKED, DATABASE,  \
      "database.up", "1 while a worker has a connection")                    \
    X(LISTENER_UP, "listener_up", GAUGE, NONE, NONE, NONE, ASKED, DATABASE,  \
      "database.listener_up", "1 while notifications arrive")                \
    X(ERRORS, "database_errors_total", COUNTER, SQLSTATE, NONE, NONE, COUNT, \
      DATABASE, "database.errors", "Errors by class of SQLSTATE")            \
    X(SCHEMA, "schema_version", GAUGE, NONE, NONE, NONE, READ, DATABASE,     \
      "database.schema_version", "Version of the schema in the database")    \
    X(SCHEMA_REQUIRED, "schema_version_required", GAUGE, NONE, NONE, NONE,   \
      ASKED, DATABASE, "database.schema_version_required",                   \
      "Version of the schema that this module needs")                        \
    X(PARTITIONS, "partitions_ahead", GAUGE, NONE, NONE, NONE, READ,         \
      DATABASE, "database.partitions_ahead",                                 \
      "Months ahead that have a partition")                                  \
    X(DEFAULT_ROWS, "default_partition_rows", GAUGE, NONE, NONE, NONE, READ, \
      DATABASE, "database.default_partition_rows",                           \
      "Punches outside of all partitions")                                   \
    X(MAINTAINED, "maintenance_last_success_timestamp_seconds", GAUGE, NONE, \
      NONE, NONE, READ, DATABASE, "database.maintained",                     \
      "Unix time when maintenance last succeeded")                           \
    X(STATISTICS, "statistics_timestamp_seconds", GAUGE, NONE, NONE, NONE,   \
      READ, DATABASE, "database.statistics",                                 \
      "Unix time when values of the database were read")                     \
                                                                             \
    X(DEVICES, "devices", GAUGE, DEVICE, NONE, NONE, READ, DATABASE,         \
      "devices.by_status", "Devices by status")                              \
    X(ONLINE, "devices_online", GAUGE, NONE, NONE, NONE, READ, DATABASE,     \
      "devices.online", "Active devices that are online")                    \
    X(CONDITIONS, "devices_with_condition", GAUGE, CONDITION, NONE, NONE,    \
      READ, DATABASE, "devices.conditions", "Devices with a condition")      \
                                                                             \
    X(COMMANDS, "commands", GAUGE, WAITING, NONE, NONE, READ, DATABASE,      \
      "commands.by_status", "Commands under way")                            \
    X(COMMAND_WAITING, "command_oldest_waiting_seconds", GAUGE, NONE, NONE,  \
      NONE, READ, DATABASE, "commands.oldest_waiting_seconds",               \
      "Time since the oldest command was due, of devices that are online "   \
      "and not muted")                                                       \
    X(HANDED_OUT, "commands_handed_out_total", COUNTER, NONE, NONE, NONE,    \
      COUNT, DATABASE, "commands.handed_out", "Commands given in polls")     \
    X(FINISHED, "commands_finished_total", COUNTER, FINISHED, NONE, NONE,    \
      COUNT, DATABASE, "commands.finished", "Commands that have ended")      \
    X(DELIVERY, "command_delivery_seconds", HISTOGRAM, NONE, NONE, LONG,     \
      COUNT, DATABASE, "commands.delivery", "Queued to given")               \
    X(ANSWER, "command_answer_seconds", HISTOGRAM, NONE, NONE, LONG, COUNT,  \
      DATABASE, "commands.answer", "Given to answered")                      \
                                                                             \
    X(RECONCILED, "reconciliation_devices", GAUGE, RECONCILED, NONE, NONE,   \
      READ, DATABASE, "reconciliation.devices",                              \
      "Devices by the result of their last check")                           \
    X(MISSING, "reconciliation_missing_punches", GAUGE, NONE, NONE, NONE,    \
      READ, DATABASE, "reconciliation.missing_punches",                      \
      "Punches that are on terminals and not here")                          \
                                                                             \
    X(ZONE_SIZE, "zone_size_bytes", GAUGE, NONE, NONE, NONE, ASKED, DEVICES, \
      "zone.size_bytes", "Size of the shared zone")                          \
    X(ZONE_USED, "zone_used_bytes", GAUGE, NONE, NONE, NONE, ASKED, DEVICES, \
      "zone.used_bytes", "Bytes of the shared zone in use")                  \
    X(ZONE_DEVICES, "zone_devices", GAUGE, NONE, NONE, NONE, ASKED, DEVICES, \
      "zone.devices", "Devices in the shared zone")                          \
    X(EVICTIONS, "zone_evictions_total", COUNTER, NONE, NONE, NONE, COUNT,   \
      DEVICES, "zone.evictions", "Devices forgotten for want of room")       \
    X(ZONE_WAITS, "zone_waits_total", COUNTER, NONE, NONE, NONE, COUNT,      \
      DEVICES, "zone.waits", "Times that workers waited for each other")     \
                                                                             \
    X(TURN, "event_loop_turn_duration_seconds", HISTOGRAM, NONE, NONE, TURN, \
      COUNT, ALL, "event_loop.turn", "Turns of the event loop")              \
    X(TURN_MAX, "event_loop_turn_max_seconds", GAUGE, NONE, NONE, NONE,      \
      ASKED, ALL, "event_loop.max_seconds",                                  \
      "Longest turn of the last 60 seconds")                                 \
                                                                             \
    X(API_REQUESTS, "api_requests_total", COUNTER, OPERATION, CLASS, NONE,   \
      COUNT, API, "api.requests", "REST requests")                           \
    X(API_REFUSALS, "api_rejected_total", COUNTER, API_REFUSAL, NONE, NONE,  \
      COUNT, API, "api.rejected", "REST requests refused")                   \
    X(API_DURATION, "api_request_duration_seconds", HISTOGRAM, ACCESS, NONE, \
      SHORT, COUNT, API, "api.duration",                                     \
      "Time until a REST request is answered")                               \
                                                                             \
    X(EVENTS, "events_total", COUNTER, EVENT, NONE, NONE, COUNT, FEED,       \
      "events.total", "Events delivered to the ring")                        \
    X(HORIZON, "event_horizon_age_seconds", GAUGE, NONE, NONE, NONE, READ,   \
      FEED, "events.horizon_age_seconds",                                    \
      "Age of the oldest event that is not settled")                         \
                                                                             \
    X(WEBHOOKS, "webhook_endpoints", GAUGE, WEBHOOK, NONE, NONE, READ,       \
      WEBHOOKS, "webhooks.endpoints", "Endpoints by state")                  \
    X(WEBHOOK_LAG, "webhook_lag_max_seconds", GAUGE, NONE, NONE, NONE, READ, \
      WEBHOOKS, "webhooks.lag_max_seconds",                                  \
      "Age of the oldest undelivered event of all endpoints")                \
    X(WEBHOOK_DEAD, "webhook_dead_events", GAUGE, NONE, NONE, NONE, READ,    \
      WEBHOOKS, "webhooks.dead_events", "Events given up")                   \
    X(ATTEMPTS, "webhook_attempts_total", COUNTER, OUTCOME, NONE, NONE,      \
      COUNT, WEBHOOKS, "webhooks.attempts", "Attempts to deliver")           \
    X(WEBHOOK_DURATION, "webhook_request_duration_seconds", HISTOGRAM, NONE, \
      NONE, SHORT, COUNT, WEBHOOKS, "webhooks.duration",                     \
      "Time of an attempt")                                                  \
    X(WEBHOOK_DELAY, "webhook_delivery_delay_seconds", HISTOGRAM, NONE,      \
      NONE, DELAY, COUNT, WEBHOOKS, "webhooks.delay",                        \
      "From the commit to the first request")                                \
    X(WEBHOOK_CONNECTIONS, "webhook_connections", GAUGE, NONE, NONE, NONE,   \
      NOW, WEBHOOKS, "webhooks.connections", "Open connections")             \
                                                                             \
    X(STREAMS, "stream_clients", GAUGE, NONE, NONE, NONE, NOW, STREAM,       \
      "stream.clients", "Open streams")                                      \
    X(STREAMS_REFUSED, "stream_clients_refused_total", COUNTER, NONE, NONE,  \
      NONE, COUNT, STREAM, "stream.refused", "Streams refused")              \
    X(STREAMS_DROPPED, "stream_clients_dropped_total", COUNTER, NONE, NONE,  \
      NONE, COUNT, STREAM, "stream.dropped",                                 \
      "Streams closed because their clients were too slow")                  \
    X(STREAM_DELAY, "stream_delay_seconds", HISTOGRAM, NONE, NONE, DELAY,    \
      COUNT, STREAM, "stream.delay", "From the commit to the write")


#endif /* _ICLOCK_METRIC_TABLE_H_INCLUDED_ */
