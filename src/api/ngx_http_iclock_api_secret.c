
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


/*
 * A sealed secret is "iclocks1", the id of the key, a nonce, the bytes of the
 * secret in AES-256-GCM, and its tag, which covers what comes before, too.
 */


#include "ngx_http_iclock_api.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rand.h>


#define NGX_HTTP_ICLOCK_SECRET_MAGIC   "iclocks1"
#define NGX_HTTP_ICLOCK_SECRET_CLEAR   "whsec_"
#define NGX_HTTP_ICLOCK_SECRET_SEALED  "sealed_"

#define NGX_HTTP_ICLOCK_SECRET_KEY     32
#define NGX_HTTP_ICLOCK_SECRET_ID      8
#define NGX_HTTP_ICLOCK_SECRET_NONCE   12
#define NGX_HTTP_ICLOCK_SECRET_TAG     16
#define NGX_HTTP_ICLOCK_SECRET_NEW     32   /* bytes of a new secret */
#define NGX_HTTP_ICLOCK_SECRET_MAX     64   /* bytes of any */

/* what is not encrypted */
#define NGX_HTTP_ICLOCK_SECRET_HEAD                                          \
    (sizeof(NGX_HTTP_ICLOCK_SECRET_MAGIC) - 1 + NGX_HTTP_ICLOCK_SECRET_ID)

#define NGX_HTTP_ICLOCK_SECRET_MORE                                          \
    (NGX_HTTP_ICLOCK_SECRET_HEAD + NGX_HTTP_ICLOCK_SECRET_NONCE              \
     + NGX_HTTP_ICLOCK_SECRET_TAG)

#define NGX_HTTP_ICLOCK_SECRET_ROOM                                          \
    (NGX_HTTP_ICLOCK_SECRET_MAX + NGX_HTTP_ICLOCK_SECRET_MORE)

#define NGX_HTTP_ICLOCK_SECRET_FILE    4096

/* the id of a key is the hash of that, and of the key */
#define NGX_HTTP_ICLOCK_SECRET_SALT    "iclock secret key "
#define NGX_HTTP_ICLOCK_SECRET_NAMED                                         \
    (sizeof(NGX_HTTP_ICLOCK_SECRET_SALT) - 1 + NGX_HTTP_ICLOCK_SECRET_KEY)


typedef struct {
    u_char                      id[NGX_HTTP_ICLOCK_SECRET_ID];
    u_char                      key[NGX_HTTP_ICLOCK_SECRET_KEY];
} ngx_http_iclock_secret_key_t;


static ssize_t ngx_http_iclock_secret_read(ngx_conf_t *cf, ngx_str_t *file,
    u_char *text);
static ngx_int_t ngx_http_iclock_secret_lines(ngx_conf_t *cf,
    ngx_http_iclock_keyring_t *ring, ngx_str_t *text);
static ngx_int_t ngx_http_iclock_secret_line(ngx_http_iclock_keyring_t *ring,
    ngx_str_t *line);
static ngx_int_t ngx_http_iclock_secret_ids(ngx_conf_t *cf,
    ngx_http_iclock_keyring_t *ring);
static ngx_http_iclock_secret_key_t *ngx_http_iclock_secret_find(
    ngx_http_iclock_keyring_t *ring, u_char *id);
static ngx_uint_t ngx_http_iclock_secret_begins(ngx_str_t *text,
    const char *prefix);
static ngx_int_t ngx_http_iclock_secret_bytes(ngx_str_t *text,
    const char *prefix, u_char *room, ngx_str_t *bytes);
static ngx_int_t ngx_http_iclock_secret_text(ngx_pool_t *pool,
    const char *prefix, ngx_str_t *bytes, ngx_str_t *text);
static ngx_int_t ngx_http_iclock_secret_close(ngx_http_iclock_keyring_t *ring,
    ngx_pool_t *pool, ngx_str_t *bytes, ngx_str_t *sealed);
static ngx_int_t ngx_http_iclock_secret_cipher(
    ngx_http_iclock_secret_key_t *key, u_char *head, u_char *data, size_t len,
    ngx_uint_t encrypt);


char *
ngx_http_iclock_secret_key(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    char  *p = conf;

    u_char                       room[NGX_HTTP_ICLOCK_SECRET_FILE];
    ssize_t                      n;
    ngx_int_t                    rc;
    ngx_str_t                   *value, file, text;
    ngx_http_iclock_keyring_t   *ring, **field;

    field = (ngx_http_iclock_keyring_t **) (p + cmd->offset);

    if (*field != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (ngx_strcmp(value[1].data, "off") == 0) {
        *field = NULL;
        return NGX_CONF_OK;
    }

    file = value[1];

    ring = ngx_pcalloc(cf->pool, sizeof(ngx_http_iclock_keyring_t));

    if (ring == NULL
        || ngx_conf_full_name(cf->cycle, &file, 1) != NGX_OK
        || ngx_array_init(&ring->keys, cf->pool, NGX_HTTP_ICLOCK_SECRET_KEYS,
                          sizeof(ngx_http_iclock_secret_key_t))
           != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    n = ngx_http_iclock_secret_read(cf, &file, room);
    if (n == NGX_ERROR) {
        return NGX_CONF_ERROR;
    }

    text.data = room;
    text.len = n;

    rc = ngx_http_iclock_secret_lines(cf, ring, &text);

    ngx_explicit_memzero(room, sizeof(room));

    if (rc != NGX_OK || ngx_http_iclock_secret_ids(cf, ring) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    *field = ring;

    return NGX_CONF_OK;
}


static ssize_t
ngx_http_iclock_secret_read(ngx_conf_t *cf, ngx_str_t *file, u_char *text)
{
    ssize_t          n;
    ngx_fd_t         fd;
    ngx_file_info_t  fi;

    fd = ngx_open_file(file->data, NGX_FILE_RDONLY, NGX_FILE_OPEN, 0);

    if (fd == NGX_INVALID_FILE) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, ngx_errno,
                           "\"iclock_secret_key\": "
                           ngx_open_file_n " \"%V\" failed", file);
        return NGX_ERROR;
    }

    if (ngx_fd_info(fd, &fi) != NGX_FILE_ERROR
        && (fi.st_mode & (S_IROTH|S_IWOTH)))
    {
        ngx_conf_log_error(NGX_LOG_WARN, cf, 0,
                           "\"iclock_secret_key\": \"%V\" is open to "
                           "everybody", file);
    }

    n = ngx_read_fd(fd, text, NGX_HTTP_ICLOCK_SECRET_FILE);

    if (n == -1) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, ngx_errno,
                           "\"iclock_secret_key\": "
                           ngx_read_fd_n " \"%V\" failed", file);
        n = NGX_ERROR;

    } else if (n == NGX_HTTP_ICLOCK_SECRET_FILE) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"iclock_secret_key\": \"%V\" is no file of keys",
                           file);
        n = NGX_ERROR;
    }

    if (ngx_close_file(fd) == NGX_FILE_ERROR) {
        ngx_conf_log_error(NGX_LOG_ALERT, cf, ngx_errno,
                           ngx_close_file_n " \"%V\" failed", file);
    }

    return n;
}


/* a key in each line, besides comments */

static ngx_int_t
ngx_http_iclock_secret_lines(ngx_conf_t *cf, ngx_http_iclock_keyring_t *ring,
    ngx_str_t *text)
{
    u_char      *p, *last, *end;
    ngx_str_t    line;
    ngx_uint_t   n;

    last = text->data + text->len;
    n = 0;

    for (p = text->data; p < last; p = end + 1) {

        n++;
        end = ngx_strlchr(p, last, '\n');
        end = end ? end : last;

        line.data = p;
        line.len = end - p;

        while (line.len && line.data[line.len - 1] <= ' ') {
            line.len--;
        }

        if (line.len == 0 || line.data[0] == '#') {
            continue;
        }

        if (ngx_http_iclock_secret_line(ring, &line) != NGX_OK) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "\"iclock_secret_key\": line %ui of the file "
                               "is not another key of 32 bytes in base64", n);
            return NGX_ERROR;
        }
    }

    n = ring->keys.nelts;

    if (n == 0 || n > NGX_HTTP_ICLOCK_SECRET_KEYS) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"iclock_secret_key\": the file has %ui keys, "
                           "not 1 to %d", n, NGX_HTTP_ICLOCK_SECRET_KEYS);
        return NGX_ERROR;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_iclock_secret_line(ngx_http_iclock_keyring_t *ring, ngx_str_t *line)
{
    u_char                         hash[EVP_MAX_MD_SIZE];
    u_char                         room[NGX_HTTP_ICLOCK_SECRET_KEY + 3];
    u_char                         named[NGX_HTTP_ICLOCK_SECRET_NAMED];
    ngx_int_t                      rc;
    ngx_str_t                      bytes;
    ngx_http_iclock_secret_key_t  *key;

    if (ngx_base64_decoded_length(line->len) > sizeof(room)) {
        return NGX_ERROR;
    }

    bytes.data = room;
    rc = NGX_ERROR;

    if (ngx_decode_base64(&bytes, line) != NGX_OK
        || bytes.len != NGX_HTTP_ICLOCK_SECRET_KEY)
    {
        goto done;
    }

    ngx_memcpy(ngx_cpymem(named, NGX_HTTP_ICLOCK_SECRET_SALT,
                          sizeof(NGX_HTTP_ICLOCK_SECRET_SALT) - 1),
               room, NGX_HTTP_ICLOCK_SECRET_KEY);

    if (EVP_Digest(named, sizeof(named), hash, NULL, EVP_sha256(), NULL) != 1
        || ngx_http_iclock_secret_find(ring, hash) != NULL)
    {
        goto done;
    }

    key = ngx_array_push(&ring->keys);
    if (key == NULL) {
        goto done;
    }

    ngx_memcpy(key->id, hash, NGX_HTTP_ICLOCK_SECRET_ID);
    ngx_memcpy(key->key, room, NGX_HTTP_ICLOCK_SECRET_KEY);
    rc = NGX_OK;

done:

    ngx_explicit_memzero(room, sizeof(room));
    ngx_explicit_memzero(named, sizeof(named));
    ERR_clear_error();

    return rc;
}


static ngx_int_t
ngx_http_iclock_secret_ids(ngx_conf_t *cf, ngx_http_iclock_keyring_t *ring)
{
    u_char                        *p;
    ngx_uint_t                     i;
    ngx_http_iclock_secret_key_t  *key;

    key = ring->keys.elts;

    p = ngx_pnalloc(cf->pool, ring->keys.nelts
                              * (2 * NGX_HTTP_ICLOCK_SECRET_ID + 1) + 1);
    if (p == NULL) {
        return NGX_ERROR;
    }

    ring->ids.data = p;

    for (i = 0; i < ring->keys.nelts; i++) {
        *p++ = i ? ',' : '{';
        p = ngx_hex_dump(p, key[i].id, NGX_HTTP_ICLOCK_SECRET_ID);
    }

    *p++ = '}';
    ring->ids.len = p - ring->ids.data;

    return NGX_OK;
}


static ngx_http_iclock_secret_key_t *
ngx_http_iclock_secret_find(ngx_http_iclock_keyring_t *ring, u_char *id)
{
    ngx_uint_t                     i;
    ngx_http_iclock_secret_key_t  *key;

    key = ring->keys.elts;

    for (i = 0; i < ring->keys.nelts; i++) {
        if (ngx_memcmp(key[i].id, id, NGX_HTTP_ICLOCK_SECRET_ID) == 0) {
            return &key[i];
        }
    }

    return NULL;
}


static ngx_uint_t
ngx_http_iclock_secret_begins(ngx_str_t *text, const char *prefix)
{
    size_t  len;

    len = ngx_strlen(prefix);

    return text->len > len && ngx_strncmp(text->data, prefix, len) == 0;
}


ngx_uint_t
ngx_http_iclock_secret_sealed(ngx_str_t *text)
{
    return ngx_http_iclock_secret_begins(text, NGX_HTTP_ICLOCK_SECRET_SEALED);
}


ngx_uint_t
ngx_http_iclock_secret_stale(ngx_http_iclock_keyring_t *ring, ngx_str_t *text)
{
    u_char                         room[NGX_HTTP_ICLOCK_SECRET_ROOM + 3];
    ngx_str_t                      bytes;
    ngx_http_iclock_secret_key_t  *key;

    if (ring == NULL || text->len == 0) {
        return 0;
    }

    if (!ngx_http_iclock_secret_sealed(text)) {
        return 1;
    }

    key = ring->keys.elts;

    return ngx_http_iclock_secret_bytes(text, NGX_HTTP_ICLOCK_SECRET_SEALED,
                                        room, &bytes)
           == NGX_OK
           && bytes.len > NGX_HTTP_ICLOCK_SECRET_MORE
           && ngx_memcmp(room + sizeof(NGX_HTTP_ICLOCK_SECRET_MAGIC) - 1,
                         key[0].id, NGX_HTTP_ICLOCK_SECRET_ID)
              != 0;
}


/* the bytes that a text stands for: room is for NGX_..._ROOM + 3 */

static ngx_int_t
ngx_http_iclock_secret_bytes(ngx_str_t *text, const char *prefix,
    u_char *room, ngx_str_t *bytes)
{
    ngx_str_t  src;

    if (!ngx_http_iclock_secret_begins(text, prefix)) {
        return NGX_DECLINED;
    }

    src.data = text->data + ngx_strlen(prefix);
    src.len = text->len - ngx_strlen(prefix);

    if (ngx_base64_decoded_length(src.len) > NGX_HTTP_ICLOCK_SECRET_ROOM + 3) {
        return NGX_DECLINED;
    }

    bytes->data = room;

    return (ngx_decode_base64(bytes, &src) == NGX_OK) ? NGX_OK : NGX_DECLINED;
}


static ngx_int_t
ngx_http_iclock_secret_text(ngx_pool_t *pool, const char *prefix,
    ngx_str_t *bytes, ngx_str_t *text)
{
    size_t     len;
    ngx_str_t  dst;

    len = ngx_strlen(prefix);

    text->data = ngx_pnalloc(pool, len + ngx_base64_encoded_length(bytes->len));
    if (text->data == NULL) {
        return NGX_ERROR;
    }

    dst.data = ngx_cpymem(text->data, prefix, len);
    ngx_encode_base64(&dst, bytes);
    text->len = len + dst.len;

    return NGX_OK;
}


ngx_int_t
ngx_http_iclock_secret_make(ngx_http_iclock_keyring_t *ring, ngx_pool_t *pool,
    ngx_str_t *sealed)
{
    u_char     secret[NGX_HTTP_ICLOCK_SECRET_NEW];
    ngx_int_t  rc;
    ngx_str_t  bytes;

    bytes.data = secret;
    bytes.len = sizeof(secret);

    if (RAND_bytes(secret, sizeof(secret)) != 1) {
        ERR_clear_error();
        return NGX_ERROR;
    }

    rc = ngx_http_iclock_secret_close(ring, pool, &bytes, sealed);

    ngx_explicit_memzero(secret, sizeof(secret));

    return rc;
}


ngx_int_t
ngx_http_iclock_secret_seal(ngx_http_iclock_keyring_t *ring, ngx_pool_t *pool,
    ngx_str_t *text, ngx_str_t *sealed)
{
    u_char     room[NGX_HTTP_ICLOCK_SECRET_ROOM + 3];
    ngx_int_t  rc;
    ngx_str_t  bytes;

    if (ngx_http_iclock_secret_bytes(text, NGX_HTTP_ICLOCK_SECRET_CLEAR, room,
                                     &bytes)
        != NGX_OK
        || bytes.len > NGX_HTTP_ICLOCK_SECRET_MAX)
    {
        return NGX_ERROR;
    }

    rc = ngx_http_iclock_secret_close(ring, pool, &bytes, sealed);

    ngx_explicit_memzero(room, sizeof(room));

    return rc;
}


static ngx_int_t
ngx_http_iclock_secret_close(ngx_http_iclock_keyring_t *ring, ngx_pool_t *pool,
    ngx_str_t *bytes, ngx_str_t *sealed)
{
    u_char                        *p;
    u_char                         room[NGX_HTTP_ICLOCK_SECRET_ROOM];
    ngx_int_t                      rc;
    ngx_str_t                      whole;
    ngx_http_iclock_secret_key_t  *key;

    key = ring->keys.elts;

    p = ngx_cpymem(room, NGX_HTTP_ICLOCK_SECRET_MAGIC,
                   sizeof(NGX_HTTP_ICLOCK_SECRET_MAGIC) - 1);
    p = ngx_cpymem(p, key->id, NGX_HTTP_ICLOCK_SECRET_ID);

    rc = (RAND_bytes(p, NGX_HTTP_ICLOCK_SECRET_NONCE) == 1) ? NGX_OK
                                                            : NGX_ERROR;
    p += NGX_HTTP_ICLOCK_SECRET_NONCE;

    ngx_memcpy(p, bytes->data, bytes->len);

    whole.data = room;
    whole.len = bytes->len + NGX_HTTP_ICLOCK_SECRET_MORE;

    if (rc == NGX_OK) {
        rc = ngx_http_iclock_secret_cipher(key, room, p, bytes->len, 1);
    }

    if (rc == NGX_OK) {
        rc = ngx_http_iclock_secret_text(pool, NGX_HTTP_ICLOCK_SECRET_SEALED,
                                         &whole, sealed);
    }

    ngx_explicit_memzero(room, sizeof(room));
    ERR_clear_error();

    return rc;
}


ngx_int_t
ngx_http_iclock_secret_open(ngx_http_iclock_keyring_t *ring, ngx_pool_t *pool,
    ngx_str_t *sealed, ngx_str_t *text)
{
    size_t                         before;
    u_char                         room[NGX_HTTP_ICLOCK_SECRET_ROOM + 3];
    ngx_int_t                      rc;
    ngx_str_t                      bytes;
    ngx_http_iclock_secret_key_t  *key;

    before = NGX_HTTP_ICLOCK_SECRET_HEAD + NGX_HTTP_ICLOCK_SECRET_NONCE;

    if (ring == NULL
        || ngx_http_iclock_secret_bytes(sealed, NGX_HTTP_ICLOCK_SECRET_SEALED,
                                        room, &bytes)
           != NGX_OK
        || bytes.len <= NGX_HTTP_ICLOCK_SECRET_MORE
        || bytes.len > NGX_HTTP_ICLOCK_SECRET_ROOM
        || ngx_strncmp(room, NGX_HTTP_ICLOCK_SECRET_MAGIC,
                       sizeof(NGX_HTTP_ICLOCK_SECRET_MAGIC) - 1)
           != 0)
    {
        return NGX_DECLINED;
    }

    key = ngx_http_iclock_secret_find(ring,
              room + sizeof(NGX_HTTP_ICLOCK_SECRET_MAGIC) - 1);

    bytes.len -= NGX_HTTP_ICLOCK_SECRET_MORE;
    bytes.data = room + before;

    if (key == NULL
        || ngx_http_iclock_secret_cipher(key, room, bytes.data, bytes.len, 0)
           != NGX_OK)
    {
        return NGX_DECLINED;
    }

    rc = ngx_http_iclock_secret_text(pool, NGX_HTTP_ICLOCK_SECRET_CLEAR,
                                     &bytes, text);

    ngx_explicit_memzero(room, sizeof(room));

    return rc;
}


/* in place: the nonce is between head and data, the tag behind the data */

static ngx_int_t
ngx_http_iclock_secret_cipher(ngx_http_iclock_secret_key_t *key, u_char *head,
    u_char *data, size_t len, ngx_uint_t encrypt)
{
    int              n, ok;
    EVP_CIPHER_CTX  *ctx;

    ctx = EVP_CIPHER_CTX_new();

    ok = ctx != NULL
         && EVP_CipherInit_ex(ctx, EVP_aes_256_gcm(), NULL, key->key,
                              head + NGX_HTTP_ICLOCK_SECRET_HEAD, encrypt)
            == 1
         && (encrypt
             || EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_SET_TAG,
                                    NGX_HTTP_ICLOCK_SECRET_TAG, data + len)
                == 1)
         && EVP_CipherUpdate(ctx, NULL, &n, head, NGX_HTTP_ICLOCK_SECRET_HEAD)
            == 1
         && EVP_CipherUpdate(ctx, data, &n, data, len) == 1
         && EVP_CipherFinal_ex(ctx, data + len, &n) == 1
         && (!encrypt
             || EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_GET_TAG,
                                    NGX_HTTP_ICLOCK_SECRET_TAG, data + len)
                == 1);

    EVP_CIPHER_CTX_free(ctx);

    /* nginx believes that what is in there is its own */

    ERR_clear_error();

    return ok ? NGX_OK : NGX_ERROR;
}
