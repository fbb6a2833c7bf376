
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


#include "iclock_pg_private.h"


/*
 * Defaults of ours where libpq's own block or never notice a dead peer: it
 * would ask the name service for the home directory of the worker's user, to
 * look for files there.
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
static const char *ngx_iclock_pg_option(PQconninfoOption *options,
    const char *keyword);
static char *ngx_iclock_pg_server_refused(PQconninfoOption *options);
static ngx_int_t ngx_iclock_pg_server_add(ngx_pool_t *pool,
    ngx_iclock_pg_server_t *server, const char *keyword, const char *value);
static void ngx_iclock_pg_server_identify(ngx_iclock_pg_server_t *server,
    ngx_str_t *hosts, ngx_str_t *ports);
static ngx_int_t ngx_iclock_pg_server_hosts(ngx_conf_t *cf,
    ngx_iclock_pg_server_t *server, ngx_str_t *hosts, ngx_str_t *addrs,
    ngx_str_t *ports, char **err);
static ngx_uint_t ngx_iclock_pg_count(ngx_str_t *list);
static ngx_int_t ngx_iclock_pg_element(ngx_pool_t *pool, ngx_str_t *list,
    ngx_uint_t n, ngx_str_t *element);
static ngx_int_t ngx_iclock_pg_server_addrs(ngx_conf_t *cf,
    ngx_iclock_pg_host_t *host, ngx_str_t *addr);
static ngx_int_t ngx_iclock_pg_server_lookup(ngx_conf_t *cf,
    ngx_iclock_pg_host_t *host);
static ngx_int_t ngx_iclock_pg_copy(ngx_pool_t *pool, ngx_str_t *dst,
    const char *src);
static ngx_uint_t ngx_iclock_pg_passfile_match(u_char **line, u_char *end,
    ngx_str_t *value, const char *fallback);
static ngx_int_t ngx_iclock_pg_passfile_host(ngx_conf_t *cf,
    ngx_iclock_pg_server_t *server, ngx_iclock_pg_host_t *host,
    ngx_str_t *text);


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
    ngx_str_t            hosts, addrs, ports, *target;
    PQconninfoOption    *o;
    const ngx_keyval_t  *def;

    *err = ngx_iclock_pg_server_refused(options);

    if (*err) {
        return NGX_ERROR;
    }

    *err = "out of memory";

    ngx_str_null(&hosts);
    ngx_str_null(&addrs);
    ngx_str_null(&ports);

    if (ngx_array_init(&server->options, cf->pool, 16, sizeof(ngx_keyval_t))
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    for (def = ngx_iclock_pg_defaults; def->key.len; def++) {

        if (ngx_iclock_pg_option(options, (char *) def->key.data) == NULL
            && ngx_iclock_pg_server_add(cf->pool, server,
                                        (char *) def->key.data,
                                        (char *) def->value.data)
               != NGX_OK)
        {
            return NGX_ERROR;
        }
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

    ngx_iclock_pg_server_identify(server, hosts.len ? &hosts : &addrs, &ports);

    return ngx_iclock_pg_server_hosts(cf, server, &hosts, &addrs, &ports, err);
}


static void
ngx_iclock_pg_server_identify(ngx_iclock_pg_server_t *server,
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
ngx_iclock_pg_server_hosts(ngx_conf_t *cf, ngx_iclock_pg_server_t *server,
    ngx_str_t *hosts, ngx_str_t *addrs, ngx_str_t *ports, char **err)
{
    ngx_str_t              addr;
    ngx_uint_t             i, n, nports;
    ngx_iclock_pg_host_t  *host;

    n = ngx_max(ngx_iclock_pg_count(hosts), ngx_iclock_pg_count(addrs));
    n = ngx_max(n, 1);

    nports = ngx_iclock_pg_count(ports);

    if ((hosts->len && ngx_iclock_pg_count(hosts) != n)
        || (addrs->len && ngx_iclock_pg_count(addrs) != n)
        || (nports > 1 && nports != n))
    {
        *err = "different numbers of hosts, addresses and ports";
        return NGX_ERROR;
    }

    if (ngx_array_init(&server->hosts, cf->pool, n,
                       sizeof(ngx_iclock_pg_host_t))
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    for (i = 0; i < n; i++) {

        host = ngx_array_push(&server->hosts);
        if (host == NULL) {
            return NGX_ERROR;
        }

        ngx_memzero(host, sizeof(ngx_iclock_pg_host_t));

        if (ngx_iclock_pg_element(cf->pool, hosts, i, &host->name) != NGX_OK
            || ngx_iclock_pg_element(cf->pool, addrs, i, &addr) != NGX_OK
            || ngx_iclock_pg_element(cf->pool, ports, nports > 1 ? i : 0,
                                     &host->port)
               != NGX_OK
            || ngx_iclock_pg_server_addrs(cf, host, &addr) != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static ngx_uint_t
ngx_iclock_pg_count(ngx_str_t *list)
{
    size_t      i;
    ngx_uint_t  n;

    if (list->len == 0) {
        return 0;
    }

    n = 1;

    for (i = 0; i < list->len; i++) {
        if (list->data[i] == ',') {
            n++;
        }
    }

    return n;
}


/* element n of a list separated by commas, empty if there is none */

static ngx_int_t
ngx_iclock_pg_element(ngx_pool_t *pool, ngx_str_t *list, ngx_uint_t n,
    ngx_str_t *element)
{
    u_char  *p, *last, *comma;

    ngx_str_null(element);

    p = list->data;
    last = list->data + list->len;

    while (n-- && p < last) {
        comma = ngx_strlchr(p, last, ',');
        p = comma ? comma + 1 : last;
    }

    if (p == last) {
        return NGX_OK;
    }

    comma = ngx_strlchr(p, last, ',');

    element->len = (comma ? comma : last) - p;
    element->data = ngx_pnalloc(pool, element->len + 1);
    if (element->data == NULL) {
        return NGX_ERROR;
    }

    ngx_cpystrn(element->data, p, element->len + 1);

    return NGX_OK;
}


static ngx_int_t
ngx_iclock_pg_server_addrs(ngx_conf_t *cf, ngx_iclock_pg_host_t *host,
    ngx_str_t *addr)
{
    /* a path, or nothing, needs no address; the same goes for an IP */

    if (addr->len == 0 && host->name.len && host->name.data[0] != '/'
        && host->name.data[0] != '@')
    {
        return ngx_iclock_pg_server_lookup(cf, host);
    }

    host->addrs = ngx_palloc(cf->pool, sizeof(ngx_str_t));
    if (host->addrs == NULL) {
        return NGX_ERROR;
    }

    host->addrs[0] = *addr;
    host->naddrs = 1;

    return NGX_OK;
}


static ngx_int_t
ngx_iclock_pg_server_lookup(ngx_conf_t *cf, ngx_iclock_pg_host_t *host)
{
    u_char      *p;
    ngx_url_t    u;
    ngx_addr_t   addr;
    ngx_uint_t   i;

    /* an address is no name */

    host->resolve = (ngx_parse_addr(cf->temp_pool, &addr, host->name.data,
                                    host->name.len)
                     != NGX_OK);

    ngx_memzero(&u, sizeof(ngx_url_t));
    u.host = host->name;

    if (ngx_inet_resolve_host(cf->pool, &u) != NGX_OK) {
        ngx_conf_log_error(NGX_LOG_WARN, cf, 0,
                           "host \"%V\" of PostgreSQL is not found now, "
                           "it needs a \"resolver\" to be found later",
                           &host->name);
        return NGX_OK;
    }

    host->addrs = ngx_palloc(cf->pool, u.naddrs * sizeof(ngx_str_t));
    if (host->addrs == NULL) {
        return NGX_ERROR;
    }

    host->naddrs = u.naddrs;

    for (i = 0; i < u.naddrs; i++) {

        p = ngx_pcalloc(cf->pool, NGX_SOCKADDR_STRLEN + 1);
        if (p == NULL) {
            return NGX_ERROR;
        }

        host->addrs[i].data = p;
        host->addrs[i].len = ngx_sock_ntop(u.addrs[i].sockaddr,
                                           u.addrs[i].socklen, p,
                                           NGX_SOCKADDR_STRLEN, 0);
    }

    return NGX_OK;
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


char *
ngx_iclock_pg_server_passfile(ngx_conf_t *cf, ngx_iclock_pg_server_t *server,
    ngx_str_t *file)
{
    size_t                 size;
    ssize_t                n;
    ngx_fd_t               fd;
    ngx_str_t              name, text;
    ngx_uint_t             i;
    ngx_file_info_t        fi;
    ngx_iclock_pg_host_t  *host;

    name = *file;

    if (ngx_conf_full_name(cf->cycle, &name, 1) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    fd = ngx_open_file(name.data, NGX_FILE_RDONLY, NGX_FILE_OPEN, 0);

    if (fd == NGX_INVALID_FILE) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, ngx_errno,
                           ngx_open_file_n " \"%V\" failed", &name);
        return NGX_CONF_ERROR;
    }

    text.data = NULL;
    n = -1;
    size = 0;

    if (ngx_fd_info(fd, &fi) != NGX_FILE_ERROR) {
        size = (size_t) ngx_file_size(&fi);
        text.data = ngx_pnalloc(cf->temp_pool, size + 1);
    }

    if (text.data) {
        n = ngx_read_fd(fd, text.data, size);
    }

    (void) ngx_close_file(fd);

    if (n < 0 || (size_t) n != size) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, ngx_errno,
                           ngx_read_file_n " \"%V\" failed", &name);
        return NGX_CONF_ERROR;
    }

    text.len = n;

    host = server->hosts.elts;

    for (i = 0; i < server->hosts.nelts; i++) {

        if (ngx_iclock_pg_passfile_host(cf, server, &host[i], &text)
            != NGX_OK)
        {
            ngx_explicit_memzero(text.data, text.len);
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "no line of \"%V\" fits the database", &name);
            return NGX_CONF_ERROR;
        }
    }

    ngx_explicit_memzero(text.data, text.len);

    return NGX_CONF_OK;
}


/* lines are host:port:database:user:password, as in ~/.pgpass */

static ngx_int_t
ngx_iclock_pg_passfile_host(ngx_conf_t *cf, ngx_iclock_pg_server_t *server,
    ngx_iclock_pg_host_t *host, ngx_str_t *text)
{
    u_char  *p, *last, *end, *dst;

    p = text->data;
    last = text->data + text->len;

    for ( /* void */ ; p < last; p = end + 1) {

        end = ngx_strlchr(p, last, LF);
        if (end == NULL) {
            end = last;
        }

        if (*p == '#') {
            continue;
        }

        if (!ngx_iclock_pg_passfile_match(&p, end, &host->name, "localhost")
            || !ngx_iclock_pg_passfile_match(&p, end, &host->port, "5432")
            || !ngx_iclock_pg_passfile_match(&p, end, &server->dbname, "")
            || !ngx_iclock_pg_passfile_match(&p, end, &server->user, ""))
        {
            continue;
        }

        dst = ngx_pnalloc(cf->pool, end - p + 1);
        if (dst == NULL) {
            return NGX_ERROR;
        }

        host->password.data = dst;

        while (p < end && *p != CR) {

            if (*p == '\\' && p + 1 < end) {
                p++;
            }

            *dst++ = *p++;
        }

        host->password.len = dst - host->password.data;
        *dst = '\0';

        return NGX_OK;
    }

    return NGX_DECLINED;
}


/* compares one field, with its escapes, and goes behind its colon */

static ngx_uint_t
ngx_iclock_pg_passfile_match(u_char **line, u_char *end, ngx_str_t *value,
    const char *fallback)
{
    u_char      *p;
    size_t       i;
    ngx_str_t    v;
    ngx_uint_t   same, star;

    v = *value;

    if (v.len == 0) {
        v.data = (u_char *) fallback;
        v.len = ngx_strlen(fallback);
    }

    p = *line;
    same = 1;
    star = (p + 1 < end && p[0] == '*' && p[1] == ':');

    for (i = 0; p < end && *p != ':'; p++, i++) {

        if (*p == '\\' && p + 1 < end) {
            p++;
        }

        if (i >= v.len || v.data[i] != *p) {
            same = 0;
        }
    }

    if (p == end) {
        return 0;
    }

    *line = p + 1;

    return star || (same && i == v.len);
}
