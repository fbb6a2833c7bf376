
/*
 * Copyright (C) the ngx_http_iclock_module authors
 */


#include "ngx_http_iclock_api_gate.h"


typedef struct {
    ngx_str_t                   code;
    ngx_uint_t                  status;
    const char                 *title;
} ngx_http_iclock_api_problem_t;


/* what nginx has found itself, in phases before the handler */
typedef struct {
    ngx_uint_t                  status;
    ngx_uint_t                  problem;
    const char                 *detail;
} ngx_http_iclock_api_found_t;


static const ngx_http_iclock_api_problem_t *ngx_http_iclock_api_find_problem(
    ngx_str_t *code);
static ngx_int_t ngx_http_iclock_api_send_problem(ngx_http_request_t *r,
    ngx_http_iclock_api_ctx_t *ctx,
    const ngx_http_iclock_api_problem_t *problem, ngx_str_t *detail,
    ngx_str_t *more);
static void ngx_http_iclock_api_problem_more(ngx_http_iclock_api_text_t *out,
    ngx_str_t *more);
static ngx_int_t ngx_http_iclock_api_problem_headers(ngx_http_request_t *r,
    ngx_http_iclock_api_ctx_t *ctx, ngx_uint_t status);
static ngx_int_t ngx_http_iclock_api_allow(ngx_http_request_t *r,
    ngx_http_iclock_api_ctx_t *ctx);


#define ngx_http_iclock_api_problem_row(constant, code, status, title)       \
    { ngx_string(code), status, title },


static const ngx_http_iclock_api_problem_t  ngx_http_iclock_api_problems[] = {
    NGX_HTTP_ICLOCK_API_EACH_PROBLEM(ngx_http_iclock_api_problem_row)
    { ngx_null_string, 0, NULL }
};


static const ngx_http_iclock_api_found_t  ngx_http_iclock_api_founds[] = {

    { NGX_HTTP_REQUEST_ENTITY_TOO_LARGE, NGX_HTTP_ICLOCK_PROBLEM_TOO_LARGE,
      "the body is larger than the server takes" },

    { NGX_HTTP_TOO_MANY_REQUESTS, NGX_HTTP_ICLOCK_PROBLEM_RATE,
      "too many requests" },

    { NGX_HTTP_SERVICE_UNAVAILABLE, NGX_HTTP_ICLOCK_PROBLEM_UNAVAILABLE,
      "the service is not available now" },

    { 0, NGX_HTTP_ICLOCK_PROBLEM_INTERNAL, "the request could not be served" }
};


ngx_int_t
ngx_http_iclock_api_problem(ngx_http_request_t *r,
    ngx_http_iclock_api_ctx_t *ctx, ngx_uint_t problem, const char *detail)
{
    ngx_str_t  text, none;

    text.data = (u_char *) detail;
    text.len = ngx_strlen(detail);
    ngx_str_null(&none);

    return ngx_http_iclock_api_send_problem(r, ctx,
                                            &ngx_http_iclock_api_problems[
                                                problem],
                                            &text, &none);
}


ngx_int_t
ngx_http_iclock_api_problem_of(ngx_http_request_t *r,
    ngx_http_iclock_api_ctx_t *ctx, ngx_uint_t status, ngx_str_t *problem)
{
    ngx_str_t                             code, detail, value;
    ngx_http_iclock_api_problem_t         other;
    const ngx_http_iclock_api_problem_t  *p;

    if (ngx_http_iclock_api_json_member(problem, "code", &value) != NGX_OK
        || ngx_http_iclock_api_json_text(r->pool, &value, &code) != NGX_OK)
    {
        ngx_str_set(&code, "internal");
    }

    if (ngx_http_iclock_api_json_member(problem, "detail", &value) != NGX_OK
        || ngx_http_iclock_api_json_text(r->pool, &value, &detail) != NGX_OK)
    {
        ngx_str_null(&detail);
    }

    p = ngx_http_iclock_api_find_problem(&code);

    other.code = code;
    other.status = status ? status : p->status;
    other.title = p->title;

    return ngx_http_iclock_api_send_problem(r, ctx, &other, &detail, problem);
}


/* a code that is not in the table has the title of an inner error */

static const ngx_http_iclock_api_problem_t *
ngx_http_iclock_api_find_problem(ngx_str_t *code)
{
    const ngx_http_iclock_api_problem_t  *p;

    for (p = ngx_http_iclock_api_problems; p->code.len; p++) {

        if (p->code.len == code->len
            && ngx_strncmp(p->code.data, code->data, code->len) == 0)
        {
            return p;
        }
    }

    return &ngx_http_iclock_api_problems[NGX_HTTP_ICLOCK_PROBLEM_INTERNAL];
}


ngx_int_t
ngx_http_iclock_api_error(ngx_http_request_t *r,
    ngx_http_iclock_api_ctx_t *ctx)
{
    const ngx_http_iclock_api_found_t  *found;

    for (found = ngx_http_iclock_api_founds; found->status; found++) {
        if (found->status == r->err_status) {
            break;
        }
    }

    return ngx_http_iclock_api_problem(r, ctx, found->problem, found->detail);
}


ngx_int_t
ngx_http_iclock_api_error_pages(ngx_conf_t *cf,
    ngx_http_core_loc_conf_t *clcf)
{
    ngx_uint_t                          i, n;
    ngx_array_t                        *pages;
    ngx_http_err_page_t                *page;
    const ngx_http_iclock_api_found_t  *found;

    pages = ngx_array_create(cf->pool, 8, sizeof(ngx_http_err_page_t));
    if (pages == NULL) {
        return NGX_ERROR;
    }

    /* those of the configuration come first, and count */

    n = clcf->error_pages ? clcf->error_pages->nelts : 0;

    for (i = 0; i < n; i++) {
        page = ngx_array_push(pages);
        if (page == NULL) {
            return NGX_ERROR;
        }

        *page = ((ngx_http_err_page_t *) clcf->error_pages->elts)[i];
    }

    for (found = ngx_http_iclock_api_founds; found->status; found++) {
        page = ngx_array_push(pages);
        if (page == NULL) {
            return NGX_ERROR;
        }

        ngx_memzero(page, sizeof(ngx_http_err_page_t));

        page->status = found->status;
        page->overwrite = -1;
        page->value.value = clcf->name;
    }

    clcf->error_pages = pages;

    return NGX_OK;
}


static ngx_int_t
ngx_http_iclock_api_send_problem(ngx_http_request_t *r,
    ngx_http_iclock_api_ctx_t *ctx,
    const ngx_http_iclock_api_problem_t *problem, ngx_str_t *detail,
    ngx_str_t *more)
{
    ngx_str_t                   code, title;
    ngx_http_iclock_api_text_t  out;

    code = problem->code;
    ngx_http_iclock_api_count_problem(&code);

    title.data = (u_char *) problem->title;
    title.len = ngx_strlen(title.data);

    ngx_http_iclock_api_text_init(&out, r->pool, 512);

    if (ngx_http_iclock_api_is(&code, "rate")) {
        ngx_http_iclock_api_text_raw(&out, "{\"type\":\"https://iana.org/"
                                     "assignments/http-problem-types#"
                                     "quota-exceeded\"");

    } else {
        ngx_http_iclock_api_text_raw(&out,
                                     "{\"type\":\"urn:iclock:problem:");
        ngx_http_iclock_api_text_str(&out, &code);
        ngx_http_iclock_api_text_raw(&out, "\"");
    }

    ngx_http_iclock_api_text_member(&out, "title", &title);
    ngx_http_iclock_api_text_number(&out, "status", problem->status);
    ngx_http_iclock_api_text_member(&out, "code", &code);
    ngx_http_iclock_api_text_member(&out, "detail", detail);
    ngx_http_iclock_api_text_member(&out, "error", detail);
    ngx_http_iclock_api_text_raw(&out, ",\"instance\":\"urn:request:");
    ngx_http_iclock_api_text_str(&out, &ctx->request_id);
    ngx_http_iclock_api_text_raw(&out, "\"");

    if (ngx_http_iclock_api_is(&code, "rate")) {
        ngx_http_iclock_api_text_raw(&out,
                                     ",\"violated-policies\":[\"default\"]");
    }

    ngx_http_iclock_api_problem_more(&out, more);
    ngx_http_iclock_api_text_raw(&out, "}");

    ngx_log_debug2(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                   "iclock api problem: \"%V\", %ui", &code, problem->status);

    if (out.failed
        || ngx_http_iclock_api_problem_headers(r, ctx, problem->status)
           != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ctx->code = code;
    ctx->status = problem->status;
    ctx->reply = out.text;
    ngx_str_set(&ctx->content_type, "application/problem+json");

    return ngx_http_iclock_api_send(r, ctx);
}


/* "errors", and what else the database has to say */

static void
ngx_http_iclock_api_problem_more(ngx_http_iclock_api_text_t *out,
    ngx_str_t *more)
{
    u_char     *p;
    ngx_str_t   name, value;

    p = NULL;

    while (more->data
           && ngx_http_iclock_api_json_next(more, &p, &name, &value)
              == NGX_OK)
    {
        if (ngx_http_iclock_api_is(&name, "code")
            || ngx_http_iclock_api_is(&name, "detail")
            || ngx_http_iclock_api_is(&value, "null"))
        {
            continue;
        }

        ngx_http_iclock_api_json_compact(&value);

        ngx_http_iclock_api_text_raw(out, ",\"");
        ngx_http_iclock_api_text_str(out, &name);
        ngx_http_iclock_api_text_raw(out, "\":");
        ngx_http_iclock_api_text_str(out, &value);
    }
}


static ngx_int_t
ngx_http_iclock_api_problem_headers(ngx_http_request_t *r,
    ngx_http_iclock_api_ctx_t *ctx, ngx_uint_t status)
{
    u_char     *p;
    ngx_str_t   value;

    switch (status) {

    case NGX_HTTP_UNAUTHORIZED:
        ngx_str_set(&value, "Bearer realm=\"iclock\"");
        return ngx_http_iclock_api_header(r, "WWW-Authenticate", &value);

    case NGX_HTTP_NOT_ALLOWED:
        return ngx_http_iclock_api_allow(r, ctx);

    case NGX_HTTP_TOO_MANY_REQUESTS:
    case NGX_HTTP_SERVICE_UNAVAILABLE:
        p = ngx_pnalloc(r->pool, NGX_INT_T_LEN);
        if (p == NULL) {
            return NGX_ERROR;
        }

        value.data = p;
        value.len = ngx_sprintf(p, "%ui", ctx->quota.retry ? ctx->quota.retry
                                                           : 1)
                    - p;

        return ngx_http_iclock_api_header(r, "Retry-After", &value);

    default:
        return NGX_OK;
    }
}


static ngx_int_t
ngx_http_iclock_api_allow(ngx_http_request_t *r,
    ngx_http_iclock_api_ctx_t *ctx)
{
    u_char     *p;
    ngx_str_t   value;

    value.len = ngx_http_iclock_api_methods(NULL, ctx->methods);

    p = ngx_pnalloc(r->pool, value.len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    value.data = p;
    (void) ngx_http_iclock_api_methods(p, ctx->methods);

    return ngx_http_iclock_api_header(r, "Allow", &value);
}
