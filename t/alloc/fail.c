
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


/*
 * Allocations of a worker that fail when a test says so.  Compiled twice:
 * with FAIL_MALLOC as a library to be preloaded, in which malloc() and its
 * kind fail, whoever calls; without it as a part of the module, in which what
 * the module itself asks nginx for fails (the linker's --wrap).
 *
 * FAIL_CONTROL names a file of the test, which says which of them fails.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>
#include <sys/mman.h>


typedef struct {
    int64_t           at;       /* the allocation to fail; 0: none */
    int64_t           more;     /* and all after it */
    int64_t           seen;
    int64_t           failed;
} fail_control_t;


static void fail_init(void) __attribute__((constructor));
static int fail_now(void);


static fail_control_t  *fail_control;
static pid_t            fail_master;


static void
fail_init(void)
{
    int          fd;
    void        *p;
    const char  *name;

    name = getenv("FAIL_CONTROL");
    if (name == NULL) {
        return;
    }

    fd = open(name, O_RDWR);
    if (fd == -1) {
        return;
    }

    p = mmap(NULL, sizeof(fail_control_t), PROT_READ|PROT_WRITE, MAP_SHARED,
             fd, 0);

    (void) close(fd);

    if (p == MAP_FAILED) {
        return;
    }

    /* the workers are forked from here and inherit the mapping */

    fail_master = getpid();
    fail_control = p;
}


static int
fail_now(void)
{
    int64_t          n;
    fail_control_t  *control;

    control = fail_control;

    if (control == NULL
        || __atomic_load_n(&control->at, __ATOMIC_SEQ_CST) == 0
        || getpid() == fail_master)
    {
        return 0;
    }

    n = __atomic_add_fetch(&control->seen, 1, __ATOMIC_SEQ_CST);

    if (n != control->at && !(control->more && n > control->at)) {
        return 0;
    }

    (void) __atomic_add_fetch(&control->failed, 1, __ATOMIC_SEQ_CST);

    errno = ENOMEM;

    return 1;
}


#ifdef FAIL_MALLOC


void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t size);
void *__libc_memalign(size_t alignment, size_t size);


void *
malloc(size_t size)
{
    return fail_now() ? NULL : __libc_malloc(size);
}


void *
calloc(size_t n, size_t size)
{
    return fail_now() ? NULL : __libc_calloc(n, size);
}


void *
realloc(void *p, size_t size)
{
    return fail_now() ? NULL : __libc_realloc(p, size);
}


int
posix_memalign(void **p, size_t alignment, size_t size)
{
    *p = fail_now() ? NULL : __libc_memalign(alignment, size);

    return *p ? 0 : ENOMEM;
}


#else


#define fail_wrap(name, type, params, args)                                   \
                                                                              \
    type __real_##name params;                                                \
    type __wrap_##name params;                                                \
                                                                              \
    type                                                                      \
    __wrap_##name params                                                      \
    {                                                                         \
        return fail_now() ? NULL : __real_##name args;                        \
    }


fail_wrap(ngx_alloc, void *, (size_t size, ngx_log_t *log), (size, log))
fail_wrap(ngx_calloc, void *, (size_t size, ngx_log_t *log), (size, log))
fail_wrap(ngx_palloc, void *, (ngx_pool_t *pool, size_t size), (pool, size))
fail_wrap(ngx_pnalloc, void *, (ngx_pool_t *pool, size_t size), (pool, size))
fail_wrap(ngx_pcalloc, void *, (ngx_pool_t *pool, size_t size), (pool, size))
fail_wrap(ngx_pmemalign, void *,
          (ngx_pool_t *pool, size_t size, size_t alignment),
          (pool, size, alignment))
fail_wrap(ngx_create_pool, ngx_pool_t *, (size_t size, ngx_log_t *log),
          (size, log))
fail_wrap(ngx_pool_cleanup_add, ngx_pool_cleanup_t *,
          (ngx_pool_t *pool, size_t size), (pool, size))
fail_wrap(ngx_http_cleanup_add, ngx_http_cleanup_t *,
          (ngx_http_request_t *r, size_t size), (r, size))
fail_wrap(ngx_get_connection, ngx_connection_t *,
          (ngx_socket_t s, ngx_log_t *log), (s, log))
fail_wrap(ngx_array_create, ngx_array_t *,
          (ngx_pool_t *pool, ngx_uint_t n, size_t size), (pool, n, size))
fail_wrap(ngx_array_push, void *, (ngx_array_t *array), (array))
fail_wrap(ngx_array_push_n, void *, (ngx_array_t *array, ngx_uint_t n),
          (array, n))
fail_wrap(ngx_list_push, void *, (ngx_list_t *list), (list))
fail_wrap(ngx_create_temp_buf, ngx_buf_t *, (ngx_pool_t *pool, size_t size),
          (pool, size))
fail_wrap(ngx_alloc_chain_link, ngx_chain_t *, (ngx_pool_t *pool), (pool))
fail_wrap(ngx_slab_alloc, void *, (ngx_slab_pool_t *pool, size_t size),
          (pool, size))
fail_wrap(ngx_slab_calloc, void *, (ngx_slab_pool_t *pool, size_t size),
          (pool, size))
fail_wrap(ngx_slab_alloc_locked, void *,
          (ngx_slab_pool_t *pool, size_t size), (pool, size))
fail_wrap(ngx_slab_calloc_locked, void *,
          (ngx_slab_pool_t *pool, size_t size), (pool, size))


#endif
