
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


#include "iclock_store_options.h"
#include "iclock_store_punches.h"
#include "iclock_store_rows.h"


#define I4  NGX_ICLOCK_PG_INT4_ARRAY
#define I8  NGX_ICLOCK_PG_INT8_ARRAY
#define TX  NGX_ICLOCK_PG_TEXT_ARRAY

/* a constant within the text of a statement */
#define ngx_iclock_text(constant)   ngx_iclock_text_(constant)
#define ngx_iclock_text_(constant)  #constant

#define ngx_iclock_statement(name, text)                                     \
    { "iclock_" #name, text,                                                 \
      sizeof(ngx_iclock_##name##_types) / sizeof(Oid),                       \
      ngx_iclock_##name##_types }


/*
 * Every statement is idempotent: it may be sent again when nobody knows
 * whether it was committed.  Rows of the same key within one batch are
 * merged before ON CONFLICT DO UPDATE, which refuses to see a key twice;
 * what came last wins.  Rows are inserted in the order of their keys, so that
 * transactions that insert the same ones wait for each other and do not lock
 * each other out.  What is stored already is left out before ON CONFLICT DO
 * UPDATE, which would lock, and so write, the row all the same.
 */


#define NGX_ICLOCK_PUNCH_FORM  ZONED

static const char  ngx_iclock_punch_text[] =
    ngx_iclock_insert_punches("ANY ($1)",
                              ngx_iclock_rows(NGX_ICLOCK_PUNCH, "u"),
                              ngx_iclock_at_offset,
                              ngx_iclock_seldom_columns,
                              ngx_iclock_seldom_values);


/* the same for punches that have nothing that few have */

static const Oid  ngx_iclock_usual_punches_types[] = {
    I8, TX, TX, NGX_ICLOCK_PG_TIMESTAMP_ARRAY, I4, I4, TX
};

static const char  ngx_iclock_usual_punches_text[] =
    ngx_iclock_insert_punches("ANY ($1)", ngx_iclock_usual_rows("unnest(", ")"),
                              ngx_iclock_at_zone, "", "");


/* and for one of them that has no other beside it, whose values are sent */

static const Oid  ngx_iclock_one_punch_types[] = {
    NGX_ICLOCK_PG_INT8, NGX_ICLOCK_PG_TEXT, NGX_ICLOCK_PG_TEXT,
    NGX_ICLOCK_PG_TIMESTAMP, NGX_ICLOCK_PG_INT4, NGX_ICLOCK_PG_INT4,
    NGX_ICLOCK_PG_TEXT
};

static const char  ngx_iclock_one_punch_text[] =
    ngx_iclock_insert_punches("$1", ngx_iclock_usual_rows("", ""),
                              ngx_iclock_at_zone, "", "");


/* the same for many, in the way that is short when none is stored yet */

static const Oid  ngx_iclock_new_punches_types[] = {
    ngx_iclock_types(NGX_ICLOCK_PUNCH)
};

static const char  ngx_iclock_new_punches_text[] =
    "SELECT iclock.store_punches(" ngx_iclock_numbers(NGX_ICLOCK_PUNCH) ")";


#define NGX_ICLOCK_OPERATION_FORM  ZONED

static const char  ngx_iclock_operation_text[] =
    "WITH known AS MATERIALIZED (SELECT id, " ngx_iclock_clock_zone
    " AS zone FROM iclock.device WHERE id = ANY ($1))"
    " INSERT INTO iclock.operation (device_id, local_time, code, operator,"
    " object1, object2, object3, object4, operated_at)"
    " SELECT u.device_id, u.local_time, u.code, coalesce(u.operator, ''),"
    " coalesce(u.object1, ''), coalesce(u.object2, ''),"
    " coalesce(u.object3, ''), coalesce(u.object4, ''),"
    " u.local_time AT TIME ZONE coalesce(d.zone, u.zone)"
    " FROM " ngx_iclock_rows(NGX_ICLOCK_OPERATION, "u")
    " LEFT JOIN known d ON d.id = u.device_id"
    " ORDER BY u.device_id, u.local_time, u.code, u.operator COLLATE \"C\","
    " u.object1 COLLATE \"C\", u.object2 COLLATE \"C\","
    " u.object3 COLLATE \"C\", u.object4 COLLATE \"C\""
    " ON CONFLICT DO NOTHING";


/*
 * Without it PostgreSQL expects ten rows of unnest(), and to find them in
 * a fleet of some hundred devices it reads them all.  It expects a tenth of
 * a LIMIT that it does not know: one device, which it looks up.
 */

#define ngx_iclock_few  " LIMIT cardinality($1)"


/*
 * Whoever locks several devices, and waits for those that are locked, locks
 * them by their ids: others who do the same then wait for each other and do not
 * lock each other out.  A loop over ids that are in order keeps the order.
 * A hash join, which PostgreSQL prefers in small fleets, takes that of the
 * table, and there is none for this.
 */

#define ngx_iclock_one_of(id)  " = ANY (ARRAY[" id "])"


/* what was not sent, by any line of the batch, stays as it is stored */

#define ngx_iclock_last(column)                                              \
    "(array_agg(u." column " ORDER BY u.ord DESC)"                           \
    " FILTER (WHERE u." column " IS NOT NULL))[1] AS " column

#define NGX_ICLOCK_USER_FORM  ORDERED

static const char  ngx_iclock_user_text[] =
    "INSERT INTO iclock.device_user AS t (device_id, pin, name, privilege,"
    " password, card, access_group, time_zone, verify, vice_card, starts_at,"
    " ends_at)"
    " SELECT s.device_id, s.pin, coalesce(s.name, o.name, ''),"
    " coalesce(s.privilege, o.privilege, -1),"
    " coalesce(s.password, o.password, ''), coalesce(s.card, o.card, ''),"
    " coalesce(s.access_group, o.access_group, -1),"
    " coalesce(s.time_zone, o.time_zone, ''),"
    " coalesce(s.verify, o.verify, -1),"
    " coalesce(s.vice_card, o.vice_card, ''),"
    " coalesce(s.starts_at, o.starts_at), coalesce(s.ends_at, o.ends_at)"
    " FROM (SELECT u.device_id, u.pin, "
    ngx_iclock_last("name") ", " ngx_iclock_last("privilege") ", "
    ngx_iclock_last("password") ", " ngx_iclock_last("card") ", "
    ngx_iclock_last("access_group") ", " ngx_iclock_last("time_zone") ", "
    ngx_iclock_last("verify") ", " ngx_iclock_last("vice_card") ", "
    ngx_iclock_last("starts_at") ", " ngx_iclock_last("ends_at")
    " FROM " ngx_iclock_rows(NGX_ICLOCK_USER, "u")
    " GROUP BY u.device_id, u.pin) s"
    " LEFT JOIN iclock.device_user o"
    " ON o.device_id = s.device_id AND o.pin = s.pin"
    " WHERE o.pin IS NULL"
    " OR (coalesce(s.name, o.name), coalesce(s.privilege, o.privilege),"
    " coalesce(s.password, o.password), coalesce(s.card, o.card),"
    " coalesce(s.access_group, o.access_group),"
    " coalesce(s.time_zone, o.time_zone), coalesce(s.verify, o.verify),"
    " coalesce(s.vice_card, o.vice_card),"
    " coalesce(s.starts_at, o.starts_at), coalesce(s.ends_at, o.ends_at))"
    " IS DISTINCT FROM (o.name, o.privilege, o.password, o.card,"
    " o.access_group, o.time_zone, o.verify, o.vice_card, o.starts_at,"
    " o.ends_at)"
    " ORDER BY s.device_id, s.pin COLLATE \"C\""
    " ON CONFLICT (device_id, pin) DO UPDATE SET name = EXCLUDED.name,"
    " privilege = EXCLUDED.privilege, password = EXCLUDED.password,"
    " card = EXCLUDED.card, access_group = EXCLUDED.access_group,"
    " time_zone = EXCLUDED.time_zone, verify = EXCLUDED.verify,"
    " vice_card = EXCLUDED.vice_card, starts_at = EXCLUDED.starts_at,"
    " ends_at = EXCLUDED.ends_at, updated_at = now()"
    " WHERE (t.name, t.privilege, t.password, t.card, t.access_group,"
    " t.time_zone, t.verify, t.vice_card, t.starts_at, t.ends_at)"
    " IS DISTINCT FROM (EXCLUDED.name, EXCLUDED.privilege,"
    " EXCLUDED.password, EXCLUDED.card, EXCLUDED.access_group,"
    " EXCLUDED.time_zone, EXCLUDED.verify, EXCLUDED.vice_card,"
    " EXCLUDED.starts_at, EXCLUDED.ends_at)";


#define NGX_ICLOCK_TEMPLATE_FORM  ORDERED

static const char  ngx_iclock_template_text[] =
    "INSERT INTO iclock.template AS t (device_id, pin, type, no, index,"
    " major_version, minor_version, format, valid, duress, source, data)"
    " SELECT n.*"
    " FROM (SELECT DISTINCT ON (u.device_id, u.pin, u.type, u.no, u.index,"
    " u.major_version) u.device_id, u.pin, u.type, u.no, u.index,"
    " u.major_version, u.minor_version, u.format, u.valid, u.duress,"
    " u.source, u.data"
    " FROM (SELECT device_id, pin, coalesce(type, -1) AS type,"
    " coalesce(no, -1) AS no, coalesce(index, -1) AS index,"
    " coalesce(major_version, -1) AS major_version,"
    " coalesce(minor_version, -1) AS minor_version,"
    " coalesce(format, -1) AS format, coalesce(valid, -1) AS valid,"
    " coalesce(duress, -1) AS duress, coalesce(source, '') AS source, data,"
    " ord FROM " ngx_iclock_rows(NGX_ICLOCK_TEMPLATE, "v") ") u"
    " ORDER BY u.device_id, u.pin, u.type, u.no, u.index, u.major_version,"
    " u.ord DESC) n"
    " WHERE NOT EXISTS (SELECT FROM iclock.template o"
    " WHERE o.device_id = n.device_id AND o.pin = n.pin AND o.type = n.type"
    " AND o.no = n.no AND o.index = n.index"
    " AND o.major_version = n.major_version"
    " AND (o.minor_version, o.format, o.valid, o.duress, o.source, o.data)"
    " IS NOT DISTINCT FROM (n.minor_version, n.format, n.valid, n.duress,"
    " n.source, n.data))"
    " ORDER BY n.device_id, n.pin, n.type, n.no, n.index, n.major_version"
    " ON CONFLICT (device_id, pin, type, no, index, major_version)"
    " DO UPDATE SET minor_version = EXCLUDED.minor_version,"
    " format = EXCLUDED.format, valid = EXCLUDED.valid,"
    " duress = EXCLUDED.duress, source = EXCLUDED.source,"
    " data = EXCLUDED.data, updated_at = now()"
    " WHERE (t.minor_version, t.format, t.valid, t.duress, t.source, t.data)"
    " IS DISTINCT FROM (EXCLUDED.minor_version, EXCLUDED.format,"
    " EXCLUDED.valid, EXCLUDED.duress, EXCLUDED.source, EXCLUDED.data)";


/* pictures are large: each is a statement, whose value is not copied */

#define NGX_ICLOCK_PHOTO_FORM  SINGLE

_Static_assert(NGX_ICLOCK_PHOTO_NCOLUMNS == 8, "parameters of iclock_photo");

static const char  ngx_iclock_photo_text[] =
    "INSERT INTO iclock.photo AS t (device_id, kind, file_name, pin,"
    " taken_at, result, type, id_number, content)"
    " SELECT $1, $2, $3, coalesce($4, ''), $5, coalesce($6, -1),"
    " coalesce($7, -1), coalesce($8, ''), $9"
    " WHERE NOT EXISTS (SELECT FROM iclock.photo o"
    " WHERE o.device_id = $1 AND o.kind = $2 AND o.file_name = $3"
    " AND o.type = coalesce($7, -1) AND o.content = $9)"
    " ON CONFLICT (device_id, kind, file_name, type) DO UPDATE"
    " SET pin = EXCLUDED.pin, taken_at = EXCLUDED.taken_at,"
    " result = EXCLUDED.result,"
    " id_number = EXCLUDED.id_number, content = EXCLUDED.content,"
    " received_at = now()"
    " WHERE t.content IS DISTINCT FROM EXCLUDED.content";


/*
 * As with users, what was not sent stays as it is stored: the columns of what
 * the batch says, "s", and of what that makes of what is there already, "o".
 */

#define ngx_iclock_sent(constant, name, type)  ", " ngx_iclock_last(name)

#define ngx_iclock_kept(constant, name, type)                                \
    ", coalesce(s." name ", o." name ngx_iclock_else_##type ") AS " name

#define ngx_iclock_else_TEXT     ", ''"
#define ngx_iclock_else_INTEGER  ", -1"
#define ngx_iclock_else_BYTEA    ""


#define NGX_ICLOCK_IDENTITY_CARD_FORM  ORDERED

#define ngx_iclock_card_columns(row)                                         \
    row ".pin, " row ".sn_number, " row ".dn_number, " row ".name, "         \
    row ".gender, " row ".nation, " row ".birthday, " row ".valid_info, "    \
    row ".address, " row ".additional_info, " row ".issuer, " row ".photo, " \
    row ".fp_template1, " row ".fp_template2, " row ".reserve, " row ".notice"

static const char  ngx_iclock_identity_card_text[] =
    "INSERT INTO iclock.identity_card AS t (device_id"
    NGX_ICLOCK_IDENTITY_CARD_COLUMNS(ngx_iclock_name) ")"
    " SELECT n.* FROM (SELECT u.device_id"
    NGX_ICLOCK_IDENTITY_CARD_COLUMNS(ngx_iclock_sent)
    " FROM " ngx_iclock_rows(NGX_ICLOCK_IDENTITY_CARD, "u")
    " GROUP BY u.device_id, u.id_number) s"
    " LEFT JOIN iclock.identity_card o"
    " ON o.device_id = s.device_id AND o.id_number = s.id_number"
    " CROSS JOIN LATERAL (SELECT s.device_id"
    NGX_ICLOCK_IDENTITY_CARD_COLUMNS(ngx_iclock_kept) ") n"
    " WHERE o.id_number IS NULL"
    " OR (" ngx_iclock_card_columns("o") ") IS DISTINCT FROM ("
    ngx_iclock_card_columns("n") ")"
    " ORDER BY n.device_id, n.id_number"
    " ON CONFLICT (device_id, id_number) DO UPDATE SET pin = EXCLUDED.pin,"
    " sn_number = EXCLUDED.sn_number, dn_number = EXCLUDED.dn_number,"
    " name = EXCLUDED.name, gender = EXCLUDED.gender,"
    " nation = EXCLUDED.nation, birthday = EXCLUDED.birthday,"
    " valid_info = EXCLUDED.valid_info, address = EXCLUDED.address,"
    " additional_info = EXCLUDED.additional_info, issuer = EXCLUDED.issuer,"
    " photo = EXCLUDED.photo, fp_template1 = EXCLUDED.fp_template1,"
    " fp_template2 = EXCLUDED.fp_template2, reserve = EXCLUDED.reserve,"
    " notice = EXCLUDED.notice, updated_at = now()"
    " WHERE (" ngx_iclock_card_columns("t") ") IS DISTINCT FROM ("
    ngx_iclock_card_columns("EXCLUDED") ")";


#define NGX_ICLOCK_WORK_CODE_FORM  ORDERED

static const char  ngx_iclock_work_code_text[] =
    "INSERT INTO iclock.work_code AS t (device_id"
    NGX_ICLOCK_WORK_CODE_COLUMNS(ngx_iclock_name) ")"
    " SELECT n.* FROM (SELECT u.device_id"
    NGX_ICLOCK_WORK_CODE_COLUMNS(ngx_iclock_sent)
    " FROM " ngx_iclock_rows(NGX_ICLOCK_WORK_CODE, "u")
    " GROUP BY u.device_id, u.code) s"
    " LEFT JOIN iclock.work_code o"
    " ON o.device_id = s.device_id AND o.code = s.code"
    " CROSS JOIN LATERAL (SELECT s.device_id"
    NGX_ICLOCK_WORK_CODE_COLUMNS(ngx_iclock_kept) ") n"
    " WHERE o.code IS NULL OR (o.name, o.pin) IS DISTINCT FROM (n.name, n.pin)"
    " ORDER BY n.device_id, n.code"
    " ON CONFLICT (device_id, code) DO UPDATE SET name = EXCLUDED.name,"
    " pin = EXCLUDED.pin, updated_at = now()"
    " WHERE (t.name, t.pin) IS DISTINCT FROM (EXCLUDED.name, EXCLUDED.pin)";


/* ids are in the order of the upload all the same */

#define NGX_ICLOCK_DEVICE_ERROR_FORM  ROWS

static const char  ngx_iclock_device_error_text[] =
    "INSERT INTO iclock.device_error (id, device_id, code, message, origin,"
    " command_id, additional)"
    " SELECT u.* FROM (SELECT nextval('iclock.device_error_id_seq'),"
    " v.device_id, coalesce(v.code, '') AS code,"
    " coalesce(v.message, '') AS message, coalesce(v.origin, '') AS origin,"
    " coalesce(v.command_id, '') AS command_id,"
    " coalesce(v.additional, '') AS additional"
    " FROM " ngx_iclock_rows(NGX_ICLOCK_DEVICE_ERROR, "v") ") u"
    " ORDER BY u.device_id, u.code COLLATE \"C\", u.message COLLATE \"C\","
    " u.origin COLLATE \"C\", u.command_id COLLATE \"C\","
    " u.additional COLLATE \"C\""
    " ON CONFLICT DO NOTHING";


#define NGX_ICLOCK_OPTION_FORM  ORDERED

#define ngx_iclock_option_rows                                               \
    "WITH o AS (INSERT INTO iclock.device_option AS t"                       \
    " (device_id, name, value) SELECT n.* FROM (SELECT DISTINCT ON"          \
    " (u.device_id, u.name) u.device_id, u.name, coalesce(u.value, '')"      \
    " AS value FROM (SELECT v.device_id,"                                    \
    " ltrim(v.name, '~') AS name, v.value, v.ord FROM "                      \
    ngx_iclock_rows(NGX_ICLOCK_OPTION, "v") ") AS u"                         \
    " ORDER BY u.device_id, u.name, u.ord DESC) n"                           \
    " WHERE NOT EXISTS (SELECT FROM iclock.device_option o"                  \
    " WHERE o.device_id = n.device_id AND o.name = n.name"                   \
    " AND o.value = n.value)"                                                \
    " ORDER BY n.device_id, n.name"                                          \
    " ON CONFLICT (device_id, name) DO UPDATE SET value = EXCLUDED.value,"   \
    " updated_at = now() WHERE t.value IS DISTINCT FROM EXCLUDED.value"      \
    " RETURNING t.device_id, t.name AS option, t.value),"                    \
    " s AS (SELECT o.device_id, "                                            \
    ngx_iclock_told("FWVersion") " AS firmware, "                            \
    ngx_iclock_told_number("UserCount") " AS users, "                        \
    ngx_iclock_told_number("FPCount") " AS fingerprints, "                   \
    ngx_iclock_told_number("TransactionCount") " AS punches, "               \
    ngx_iclock_told_number("FaceCount") " AS faces, "                        \
    "coalesce(" ngx_iclock_told("FPVersion") ", "                            \
    ngx_iclock_told("ZKFPVersion") ") AS fp_version, "                       \
    "coalesce(" ngx_iclock_told("FaceVersion") ", "                          \
    ngx_iclock_told("ZKFaceVersion") ") AS face_version, "                   \
    ngx_iclock_told_address " AS address, "                                  \
    ngx_iclock_told("MultiBioVersion") " AS bio_version, "                   \
    "coalesce(" ngx_iclock_told("MultiBioDataCount") ", "                    \
    ngx_iclock_told("MultiBioCount") ") AS bio_data, "                       \
    ngx_iclock_told("MultiBioPhotoCount") " AS bio_photo"                    \
    " FROM o GROUP BY o.device_id ORDER BY o.device_id" ngx_iclock_few ")"

static const char  ngx_iclock_option_text[] =
    ngx_iclock_option_rows "," ngx_iclock_option_told ")"
    " SELECT count(*) FROM o";


/*
 * The same where handshakes follow in the transaction: options and handshakes
 * each lock devices by their ids, but both together would not.  So before the
 * first device is changed those of both are locked, unless no option is new.
 * Options themselves are locked before devices, here as there.
 */

_Static_assert(NGX_ICLOCK_OPTION_NCOLUMNS == 2, "iclock_greeted_option");

static const Oid  ngx_iclock_greeted_option_types[] = {
    ngx_iclock_types(NGX_ICLOCK_OPTION) TX
};

static const char  ngx_iclock_greeted_option_text[] =
    ngx_iclock_option_rows ","
    " held AS (SELECT d.id FROM iclock.device d WHERE d.id = ANY (ARRAY("
    "SELECT s.device_id FROM s UNION ALL SELECT g.id"
    " FROM (SELECT unnest($5) AS serial_number LIMIT cardinality($5)) v"
    " JOIN iclock.device g ON g.serial_number = v.serial_number"
    " WHERE EXISTS (SELECT FROM s)))"
    " ORDER BY d.id FOR NO KEY UPDATE),"
    ngx_iclock_option_told " AND (SELECT count(*) FROM held) > 0)"
    " SELECT count(*) FROM o";


#define NGX_ICLOCK_REPLY_FORM  ORDERED

static const char  ngx_iclock_reply_text[] =
    "SELECT iclock.answer_commands(array_agg(u.device_id ORDER BY u.ord),"
    " array_agg(u.command_id ORDER BY u.ord),"
    " array_agg(u.return_code ORDER BY u.ord),"
    " array_agg(u.reply ORDER BY u.ord))"
    " FROM " ngx_iclock_rows(NGX_ICLOCK_REPLY, "u")
    " WHERE u.command_id IS NOT NULL";


/* these, too */

#define NGX_ICLOCK_REJECTED_FORM  ROWS

static const char  ngx_iclock_rejected_text[] =
    "INSERT INTO iclock.rejected_line (id, device_id, table_name, line,"
    " reason) SELECT u.* FROM (SELECT nextval('iclock.rejected_line_id_seq'),"
    " v.device_id, v.table_name, v.line, v.reason"
    " FROM " ngx_iclock_rows(NGX_ICLOCK_REJECTED, "v") ") u"
    " ORDER BY u.device_id, md5(u.line), u.table_name COLLATE \"C\","
    " u.reason COLLATE \"C\""
    " ON CONFLICT DO NOTHING";


/* whoever shakes hands has called: presence, which follows, may take a while */

static const Oid  ngx_iclock_greet_types[] = {
    TX, TX, TX, TX, TX, I4, I4, I4
};

static const char  ngx_iclock_greet_text[] =
    "WITH u AS MATERIALIZED (SELECT DISTINCT ON (d.id) d.id, v.*,"
    " (d.push_version, d.language, d.recognized_dialect,"
    " d.default_timezone, d.told_offset, d.told_delay)"
    " IS DISTINCT FROM"
    " (coalesce(v.push_version, d.push_version),"
    " coalesce(v.language, d.language),"
    " coalesce(v.dialect, d.recognized_dialect), v.zone, v.told_offset,"
    " v.told_delay) AS news"
    " FROM (SELECT n.serial_number, n.push_version, n.language, n.dialect,"
    " n.zone, nullif(n.told_offset, " ngx_iclock_text(NGX_ICLOCK_NO_OFFSET) ")"
    " AS told_offset, n.told_delay, n.ord"
    " FROM (SELECT unnest($1), unnest($2), unnest($3), unnest($4),"
    " unnest($5), unnest($6), unnest($7), unnest($8))"
    " AS n (serial_number, push_version, language, dialect, zone,"
    " told_offset, told_delay, ord)" ngx_iclock_few ") v"
    " JOIN iclock.device d ON d.serial_number = v.serial_number"
    " ORDER BY d.id, v.ord DESC),"
    " told AS (UPDATE iclock.upload_stamp s SET requested = false"
    " FROM u WHERE s.device_id = u.id AND s.requested)"
    " UPDATE iclock.device d SET"
    " push_version = coalesce(u.push_version, d.push_version),"
    " language = coalesce(u.language, d.language),"
    " recognized_dialect = coalesce(u.dialect, d.recognized_dialect),"
    " default_timezone = u.zone, told_offset = u.told_offset,"
    " told_delay = u.told_delay,"
    " first_seen = coalesce(d.first_seen, now()),"
    " last_seen = coalesce(d.last_seen, now())"
    " FROM u WHERE d.id" ngx_iclock_one_of("u.id") " AND u.news";


static const Oid  ngx_iclock_register_types[] = { TX, TX, I4 };

static const char  ngx_iclock_register_text[] =
    "SELECT iclock.register_devices($1, $2, $3)";


static const Oid  ngx_iclock_lookup_types[] = { TX, TX, TX, I4 };

#define ngx_iclock_device_column(field, type, expression)  ", " expression

static const char  ngx_iclock_lookup_text[] =
    "SELECT u.ord" NGX_ICLOCK_EACH_DEVICE_COLUMN(ngx_iclock_device_column)
    " FROM (SELECT unnest($1), unnest($2), unnest($3), unnest($4)"
    ngx_iclock_few ") AS u (serial_number, zone, address, ord)"
    " JOIN iclock.device d ON d.serial_number = u.serial_number"
    " CROSS JOIN LATERAL (SELECT"
    " string_agg(t.table_name || E'\\t' || t.stamp, E'\\n') AS stamps,"
    " coalesce(bool_or(t.requested), false) AS requested"
    " FROM iclock.upload_stamp t WHERE t.device_id = d.id) s";


/* a stamp that the device has not read yet must not be overwritten */

static const Oid  ngx_iclock_stamp_types[] = { I8, TX, TX, I4 };

static const char  ngx_iclock_stamp_text[] =
    "INSERT INTO iclock.upload_stamp AS t (device_id, table_name, stamp)"
    " SELECT n.* FROM (SELECT DISTINCT ON (u.device_id, u.table_name)"
    " u.device_id, u.table_name, u.stamp"
    " FROM (SELECT unnest($1), unnest($2), unnest($3), unnest($4))"
    " AS u (device_id, table_name, stamp, ord)"
    " ORDER BY u.device_id, u.table_name, u.ord DESC) n"
    " WHERE NOT EXISTS (SELECT FROM iclock.upload_stamp o"
    " WHERE o.device_id = n.device_id AND o.table_name = n.table_name"
    " AND (o.stamp = n.stamp OR o.requested))"
    " ORDER BY n.device_id, n.table_name"
    " ON CONFLICT (device_id, table_name) DO UPDATE"
    " SET stamp = EXCLUDED.stamp, updated_at = now()"
    " WHERE NOT t.requested AND t.stamp IS DISTINCT FROM EXCLUDED.stamp";


static const Oid  ngx_iclock_return_types[] = { I8, I8 };

static const char  ngx_iclock_return_text[] =
    "SELECT iclock.return_commands($1, $2)";


/*
 * The number of the poll makes it safe to send this again when nobody knows
 * whether it was committed: a poll that has taken commands gets the same ones,
 * and they are not counted twice.
 */

static const Oid  ngx_iclock_dequeue_types[] = { I8, I4, I4, I4, I4, I8 };

static const char  ngx_iclock_dequeue_text[] =
    "SELECT c.ord, c.id % " ngx_iclock_text(NGX_ICLOCK_WIRE_IDS) ", c.body"
    " FROM iclock.dequeue_commands($1, $2, $3, $4, $5, $6) c";


/*
 * Before presence is stored, which says whether the device was served since;
 * what is there already was before.
 */

static const Oid  ngx_iclock_refusals_types[] = { I8, TX, I8, TX };

static const char  ngx_iclock_refusals_text[] =
    "WITH u AS MATERIALIZED (SELECT DISTINCT ON (v.id) v.id, v.reason,"
    " greatest(now() - v.age * interval '1 ms',"
    " CASE WHEN p.last_seen < now() THEN p.last_seen END) AS at,"
    " v.address::inet AS address"
    " FROM (SELECT unnest($1), unnest($2), unnest($3), unnest($4))"
    " AS v (id, reason, age, address)"
    " LEFT JOIN iclock.device_presence p ON p.device_id = v.id"
    " ORDER BY v.id, v.age),"
    " free AS MATERIALIZED (SELECT d.id FROM iclock.device d"
    " WHERE d.id = ANY ($1) ORDER BY d.id FOR KEY SHARE SKIP LOCKED)"
    " INSERT INTO iclock.device_refusal AS r"
    " (device_id, reason, first_at, last_at, address)"
    " SELECT u.id, u.reason, u.at, u.at, u.address"
    " FROM u JOIN free ON free.id = u.id ORDER BY u.id"
    " ON CONFLICT (device_id) DO UPDATE SET reason = excluded.reason,"
    " first_at = CASE WHEN r.reason = excluded.reason AND NOT EXISTS"
    " (SELECT FROM iclock.device_presence p WHERE p.device_id = r.device_id"
    " AND p.last_seen > r.last_at) THEN"
    " least(r.first_at, excluded.first_at) ELSE excluded.first_at END,"
    " last_at = excluded.last_at, address = excluded.address";


static const Oid  ngx_iclock_presence_types[] = { I8, I8, TX };

static const char  ngx_iclock_presence_text[] =
    "WITH u AS MATERIALIZED (SELECT DISTINCT ON (v.id) v.id,"
    " now() - v.age * interval '1 ms' AS seen, v.address::inet AS address"
    " FROM (SELECT unnest($1), unnest($2), unnest($3))"
    " AS v (id, age, address)"
    " ORDER BY v.id, v.age),"
    " free AS MATERIALIZED (SELECT p.device_id FROM iclock.device_presence p"
    " WHERE p.device_id = ANY ($1) ORDER BY p.device_id"
    " FOR UPDATE SKIP LOCKED),"
    " known AS (UPDATE iclock.device_presence p"
    " SET last_seen = CASE WHEN p.last_seen > clock_timestamp()"
    " THEN u.seen ELSE greatest(p.last_seen, u.seen) END,"
    " address = coalesce(u.address, p.address)"
    " FROM u JOIN free ON free.device_id = u.id WHERE p.device_id = u.id"
    " RETURNING p.device_id),"
    " fresh AS MATERIALIZED (SELECT d.id FROM iclock.device d"
    " WHERE d.id = ANY ($1) AND NOT EXISTS (SELECT"
    " FROM iclock.device_presence p WHERE p.device_id = d.id)"
    " ORDER BY d.id FOR KEY SHARE SKIP LOCKED),"
    " added AS (INSERT INTO iclock.device_presence"
    " (device_id, last_seen, address) SELECT u.id, u.seen, u.address"
    " FROM u JOIN fresh ON fresh.id = u.id ORDER BY u.id"
    " ON CONFLICT DO NOTHING RETURNING device_id)"
    " SELECT 1, u.id FROM u WHERE u.id NOT IN (SELECT device_id FROM known"
    " UNION ALL SELECT device_id FROM added)"
    " AND EXISTS (SELECT FROM iclock.device d WHERE d.id = u.id)";


/* what the device's own row shows need not be exact, but not of the future */

static const Oid  ngx_iclock_last_seen_types[] = { I8 };

static const char  ngx_iclock_last_seen_text[] =
    "WITH free AS MATERIALIZED (SELECT d.id, p.last_seen, p.address"
    " FROM iclock.device d JOIN iclock.device_presence p"
    " ON p.device_id = d.id WHERE d.id = ANY ($1)"
    " AND (d.last_seen IS NULL OR d.first_seen IS NULL"
    " OR d.last_seen < p.last_seen - interval '5 minutes'"
    " OR d.last_seen > clock_timestamp()"
    " OR d.remote_address IS NULL AND p.address IS NOT NULL)"
    " ORDER BY d.id FOR NO KEY UPDATE OF d SKIP LOCKED)"
    " UPDATE iclock.device d SET"
    " last_seen = CASE WHEN d.last_seen > clock_timestamp()"
    " THEN free.last_seen ELSE greatest(d.last_seen, free.last_seen) END,"
    " first_seen = CASE WHEN d.first_seen > clock_timestamp()"
    " THEN free.last_seen ELSE coalesce(d.first_seen, free.last_seen) END,"
    " remote_address = coalesce(free.address, d.remote_address)"
    " FROM free WHERE d.id = free.id";


static const Oid  ngx_iclock_due_types[] = { I4 };

static const char  ngx_iclock_due_text[] =
    "SELECT u.ord, s.serial_number"
    " FROM unnest($1) WITH ORDINALITY AS u (timeout, ord)"
    " CROSS JOIN LATERAL iclock.due_devices(u.timeout) AS s (serial_number)";


static const Oid  ngx_iclock_maintain_types[] = { I4 };

static const char  ngx_iclock_maintain_text[] =
    "SELECT u.ord, iclock.maintain()::text"
    " FROM unnest($1) WITH ORDINALITY AS u (nothing, ord)";


static const Oid  ngx_iclock_timezones_types[] = { I4 };

static const char  ngx_iclock_timezones_text[] =
    "SELECT iclock.refresh_timezones() WHERE $1 IS NOT NULL";


static const Oid  ngx_iclock_verify_types[] = { I4 };

static const char  ngx_iclock_verify_text[] =
    "SELECT u.ord, iclock.verify_due(u.seconds)"
    " FROM unnest($1) WITH ORDINALITY AS u (seconds, ord)";


static const Oid  ngx_iclock_watch_events_types[] = { I4 };

static const char  ngx_iclock_watch_events_text[] =
    "SELECT u.ord, iclock.watch_events()::text"
    " FROM unnest($1) WITH ORDINALITY AS u (nothing, ord)";


/*
 * A NOTIFY within a transaction that stores something would make all commits
 * of the cluster wait for each other.
 */

static const Oid  ngx_iclock_wake_readers_types[] = { I4 };

static const char  ngx_iclock_wake_readers_text[] =
    "SELECT pg_notify('iclock_event', '') WHERE $1 IS NOT NULL";


static const Oid  ngx_iclock_statistics_types[] = { I4 };

static const char  ngx_iclock_statistics_text[] =
    "SELECT u.ord, " NGX_ICLOCK_STATISTICS
    " FROM unnest($1) WITH ORDINALITY AS u (nothing, ord)"
    " CROSS JOIN LATERAL iclock.statistics() s GROUP BY u.ord";


static const Oid  ngx_iclock_commands_types[] = { I8 };

static const char  ngx_iclock_commands_text[] =
    "SELECT c.result, c.seconds FROM iclock.counted_commands($1) c";


/* the texts of NGX_ICLOCK_EACH_CALL() */

#define ngx_iclock_call(function)                                            \
    "SELECT u.ord, iclock." function " FROM unnest($1, $2, $3)"              \
    " WITH ORDINALITY AS u (device_id, a, b, ord)"                           \
    " JOIN iclock.device d ON d.id = u.device_id"

#define ngx_iclock_file_call(function)                                       \
    "SELECT u.ord, f.path || E'\\t' || f.encoding FROM unnest($1, $2, $3)"   \
    " WITH ORDINALITY AS u (device_id, a, b, ord)"                           \
    " CROSS JOIN LATERAL iclock." function " AS f (path, encoding)"


#define ngx_iclock_call_types(constant, name, type, flags, text)             \
    static const Oid  ngx_iclock_##name##_types[] = {                        \
        I8, NGX_ICLOCK_ARRAY_##type, TX                                      \
    };

NGX_ICLOCK_EACH_CALL(ngx_iclock_call_types)


/* the parameters of the kinds of records */

#define ngx_iclock_kind_types(kind, name)                                    \
    static const Oid  ngx_iclock_##name##_types[] = {                        \
        ngx_iclock_types(kind)                                               \
    };

NGX_ICLOCK_EACH_KIND(ngx_iclock_kind_types)


#define ngx_iclock_kind_statement(kind, name)                                \
    { ngx_iclock_statement(name, ngx_iclock_##name##_text),                  \
      ngx_iclock_form(NGX_ICLOCK_ST_, kind), NULL, NULL },

#define ngx_iclock_operation_statement(constant, name, flags, add, row)      \
    { ngx_iclock_statement(name, ngx_iclock_##name##_text),                  \
      flags, add, row },

#define ngx_iclock_call_statement(constant, name, type, flags, text)         \
    { ngx_iclock_statement(name, text), NGX_ICLOCK_ST_ALONE|flags,           \
      ngx_iclock_store_add_call, ngx_iclock_store_text_row },

const ngx_iclock_store_statement_t  ngx_iclock_store_statements[] = {
    NGX_ICLOCK_EACH_KIND(ngx_iclock_kind_statement)
    NGX_ICLOCK_EACH_OPERATION(ngx_iclock_operation_statement)
    NGX_ICLOCK_EACH_CALL(ngx_iclock_call_statement)
};
