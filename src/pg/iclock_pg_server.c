
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


#include "iclock_pg_private.h"


/*
 * Our defaults, where libpq's own would block or never notice a dead peer.  To
 * look for files it would ask the name service for the home directory of the
 * worker's user.
 */

#define NGX_ICLOCK_PG_NO_FILE  "/nonexistent"

static const ngx_keyval_t  ngx_iclock_pg_defaults[] = {
    { ngx_string("gssencmode"), ngx_string("disable") },
    { ngx_string("client_encoding"), ngx_string("UTF8") },
    { ngx_string("keepalives_idle"), ngx_string("30") },
    { ngx_string("keepalives_interval"), ngx_string("10") },
    { ngx_string("keepalives_count"), ngx_string("3") },
    { ngx_string("tcp_user_timeout"), ngx_string("20000") },
    { ngx_string("passfile"), ngx_string(NGX_ICLOCK_PG_NO_FILE) },
    { ngx_string("sslcert"), ngx_string(NGX_ICLOCK_PG_NO_FILE) },
    { ngx_string("sslkey"), ngx_string(NGX_ICLOCK_PG_NO_FILE) },
    { ngx_string("sslrootcert"), ngx_string(NGX_ICLOCK_PG_NO_FILE) },
    { ngx_string("sslcrl"), ngx_string(NGX_ICLOCK_PG_NO_FILE) },
    { ngx_null_string, ngx_null_string }
};


static ngx_int_t ngx_iclock_pg_server_options(ngx_conf_t *cf,
    ngx_iclock_pg_server_t *server, PQconninfoOption *options, char **err);
static ngx_int_t ngx_iclock_pg_server_defaults(ngx_pool_t *pool,
    ngx_iclock_pg_server_t *server, PQconninfoOption *options);
static void ngx_iclock_pg_server_set_hash(ngx_iclock_pg_server_t *server,
    ngx_str_t *hosts, ngx_str_t *ports);
static const char *ngx_iclock_pg_option(PQconninfoOption *options,
    const char *keyword);
static char *ngx_iclock_pg_server_refused(PQconninfoOption *options);
static ngx_int_t ngx_iclock_pg_server_add(ngx_pool_t *pool,
    ngx_iclock_pg_server_t *server, const char *keyword, const char *value);
static ngx_int_t ngx_iclock_pg_copy(ngx_pool_t *pool, ngx_str_t *dst,
    const char *src);


ngx_iclock_pg_server_t *
ngx_iclock_pg_server_create(ngx_conf_t *cf, ngx_str_t *conninfo, char **err)
{
    char                    *message;
    ngx_str_t                s;
    ngx_int_t                rc;
    PQconninfoOption        *options;
    ngx_iclock_pg_server_t  *server;

    *err = "invalid connection string";

    if (ngx_iclock_pg_copy(cf->pool, &s, (char *) conninfo->data) != NGX_OK) {
        return NULL;
    }

    message = NULL;

    options = PQconninfoParse((char *) s.data, &message);

    if (options == NULL) {

        /*
         * the message of libpq may quote the string, which may hold a
         * password
         */

        PQfreemem(message);
        return NULL;
    }

    server = ngx_pcalloc(cf->pool, sizeof(ngx_iclock_pg_server_t));

    rc = server ? ngx_iclock_pg_server_options(cf, server, options, err)
                : NGX_ERROR;

    PQconninfoFree(options);

    return (rc == NGX_OK) ? server : NULL;
}


static ngx_int_t
ngx_iclock_pg_server_options(ngx_conf_t *cf, ngx_iclock_pg_server_t *server,
    PQconninfoOption *options, char **err)
{
    ngx_str_t          hosts, addrs, ports, *target;
    PQconninfoOption  *o;

    *err = ngx_iclock_pg_server_refused(options);

    if (*err) {
        return NGX_ERROR;
    }

    *err = "out of memory";

    ngx_str_null(&hosts);
    ngx_str_null(&addrs);
    ngx_str_null(&ports);

    if (ngx_array_init(&server->options, cf->pool, 16, sizeof(ngx_keyval_t))
        != NGX_OK
        || ngx_iclock_pg_server_defaults(cf->pool, server, options) != NGX_OK)
    {
        return NGX_ERROR;
    }

    for (o = options; o->keyword; o++) {

        if (o->val == NULL || o->val[0] == '\0') {
            continue;
        }

        target = (ngx_strcmp(o->keyword, "host") == 0) ? &hosts
                 : (ngx_strcmp(o->keyword, "hostaddr") == 0) ? &addrs
                 : (ngx_strcmp(o->keyword, "port") == 0) ? &ports
                 : NULL;

        if ((target ? ngx_iclock_pg_copy(cf->pool, target, o->val)
                    : ngx_iclock_pg_server_add(cf->pool, server, o->keyword,
                                               o->val))
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    if (server->dbname.len == 0) {
        server->dbname = server->user;
    }

    ngx_iclock_pg_server_set_hash(server, hosts.len ? &hosts : &addrs, &ports);

    return ngx_iclock_pg_hosts_create(cf, server, &hosts, &addrs, &ports, err);
}


static ngx_int_t
ngx_iclock_pg_server_defaults(ngx_pool_t *pool,
    ngx_iclock_pg_server_t *server, PQconninfoOption *options)
{
    const ngx_keyval_t  *def;

    for (def = ngx_iclock_pg_defaults; def->key.len; def++) {

        if (ngx_iclock_pg_option(options, (char *) def->key.data) == NULL
            && ngx_iclock_pg_server_add(pool, server,
                                        (char *) def->key.data,
                                        (char *) def->value.data)
               != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static void
ngx_iclock_pg_server_set_hash(ngx_iclock_pg_server_t *server,
    ngx_str_t *hosts, ngx_str_t *ports)
{
    uint32_t  hash;

    ngx_crc32_init(hash);
    ngx_crc32_update(&hash, hosts->data, hosts->len);
    ngx_crc32_update(&hash, (u_char *) "", 1);
    ngx_crc32_update(&hash, ports->data, ports->len);
    ngx_crc32_update(&hash, (u_char *) "", 1);
    ngx_crc32_update(&hash, server->dbname.data, server->dbname.len);
    ngx_crc32_final(hash);

    server->hash = hash;
}


uint32_t
ngx_iclock_pg_server_hash(ngx_iclock_pg_server_t *server)
{
    return server->hash;
}


/* the value of an option that is set, or NULL */

static const char *
ngx_iclock_pg_option(PQconninfoOption *options, const char *keyword)
{
    PQconninfoOption  *o;

    for (o = options; o->keyword; o++) {
        if (ngx_strcmp(o->keyword, keyword) == 0) {
            return (o->val && o->val[0]) ? o->val : NULL;
        }
    }

    return NULL;
}


/* files that libpq would read in a worker, which must not wait for them */

static char *
ngx_iclock_pg_server_refused(PQconninfoOption *options)
{
    const char  *mode;

    if (ngx_iclock_pg_option(options, "service")) {
        return "\"service\" is not supported";
    }

    if (ngx_iclock_pg_option(options, "passfile")) {
        return "use \"iclock_database_passfile\" instead of \"passfile\"";
    }

    mode = ngx_iclock_pg_option(options, "sslmode");

    if (mode && ngx_strncmp(mode, "verify", 6) == 0
        && ngx_iclock_pg_option(options, "sslrootcert") == NULL)
    {
        return "\"sslmode\" verifies nothing without \"sslrootcert\"";
    }

    return NULL;
}


static ngx_int_t
ngx_iclock_pg_server_add(ngx_pool_t *pool, ngx_iclock_pg_server_t *server,
    const char *keyword, const char *value)
{
    ngx_keyval_t  *option;

    option = ngx_array_push(&server->options);

    if (option == NULL
        || ngx_iclock_pg_copy(pool, &option->key, keyword) != NGX_OK
        || ngx_iclock_pg_copy(pool, &option->value, value) != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (ngx_strcmp(keyword, "dbname") == 0) {
        server->dbname = option->value;

    } else if (ngx_strcmp(keyword, "user") == 0) {
        server->user = option->value;
    }

    return NGX_OK;
}


ngx_int_t
ngx_iclock_pg_server_user(ngx_iclock_pg_server_t *server, ngx_pool_t *pool)
{
    struct passwd  *pw;

    if (server->user.len) {
        return NGX_OK;
    }

    pw = getpwuid(geteuid());

    if (pw == NULL) {
        /* libpq will tell */
        return NGX_OK;
    }

    return ngx_iclock_pg_server_add(pool, server, "user", pw->pw_name);
}


static ngx_int_t
ngx_iclock_pg_copy(ngx_pool_t *pool, ngx_str_t *dst, const char *src)
{
    dst->len = ngx_strlen(src);
    dst->data = ngx_pnalloc(pool, dst->len + 1);

    if (dst->data == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(dst->data, src, dst->len + 1);

    return NGX_OK;
}
