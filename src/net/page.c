#include "net/page.h"

#include "base/mem.h"
#include "base/mono.h"
#include "ident/cert_one.h"
#include "net/fetch.h"
#include "net/fetch_plain.h"
#include "net/policy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_ADDRS = 4 };

struct page {
    struct page_kind kind;
    struct fetch *fetch;   /* https */
    struct cert_one *cert; /* https; NULL: none */
    struct addr addrs[MAX_ADDRS];
    size_t n_addrs; /* http */
    char *body;     /* http: kind.body_max bytes; NULL: none are kept */
};

static bool open_secure(struct page *page, const struct plan *plan, struct diag *diag)
{
    page->fetch = fetch_new(plan, page->kind.target, diag);
    if (page->fetch == NULL) {
        return false;
    }
    if (page->kind.body_max > 0) {
        fetch_keep(page->fetch, page->kind.body_max);
    }
    if (page->kind.cert != NULL) {
        page->cert = cert_one_new(plan, page->kind.cert, diag);
    }
    return page->kind.cert == NULL || page->cert != NULL;
}

static bool open_plain(struct page *page, const struct plan *plan, struct diag *diag)
{
    if (page->kind.body_max > 0) {
        page->body = xmalloc(page->kind.body_max);
    }
    page->n_addrs = policy_resolve(plan, page->kind.target, page->kind.origin, page->addrs,
                                   MAX_ADDRS, NULL, diag);
    return page->n_addrs > 0;
}

struct page *page_new(const struct plan *plan, const struct page_kind *kind, struct diag *diag)
{
    struct page *page = xcalloc(1, sizeof *page);

    page->kind = *kind;
    if (!(kind->tls ? open_secure(page, plan, diag) : open_plain(page, plan, diag))) {
        page_free(page);
        return NULL;
    }
    return page;
}

void page_free(struct page *page)
{
    if (page != NULL) {
        fetch_free(page->fetch);
        cert_one_free(page->cert);
        free(page->body);
        free(page);
    }
}

static bool get_plain(struct page *page, uint64_t until_ns, int stop_fd,
                      struct page_answer *ret_answer, char *why, size_t size)
{
    struct fetch_plain fetch = {
        .target = page->kind.target,
        .addrs = page->addrs,
        .n_addrs = page->n_addrs,
        .until_ns = until_ns,
        .stop_fd = stop_fd,
        .body = page->body,
        .body_size = page->kind.body_max,
    };
    size_t len = 0;
    int status = fetch_plain(&fetch, &len, why, size);

    if (status == 0) {
        return false;
    }
    *ret_answer = (struct page_answer){
        .status = status,
        .body = page->body != NULL ? xstrndup(page->body, len) : NULL,
        .len = len,
    };
    return true;
}

/* Its waits have the deadlines of the target. */
static bool get_secure(struct page *page, uint64_t until_ns, struct page_answer *ret_answer,
                       char *why, size_t size)
{
    const struct plan_target *target = page->kind.target;
    const struct cert *cert =
        page->cert != NULL ? cert_one_get(page->cert, (int64_t)mono_wall_s()) : NULL;
    CLEANUP_FREE char *head =
        xasprintf("GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\nAccept: */*\r\n\r\n",
                  target->url_path, target->host_header);
    struct fetch_answer answer;

    fetch_perform(page->fetch, cert, head, strlen(head), NULL, 0, &answer);
    bool late = mono_now_ns() > until_ns;
    if (answer.outcome != OUTCOME_OK || late) {
        (void)snprintf(why, size, "%s",
                       answer.outcome != OUTCOME_OK ? outcome_info(answer.outcome)->text
                                                    : "no answer before the deadline");
        free(answer.body);
        return false;
    }
    *ret_answer = (struct page_answer){.status = answer.status, .len = answer.body_len};
    if (page->kind.body_max > 0) {
        ret_answer->body = answer.body;
    } else {
        free(answer.body);
    }
    return true;
}

bool page_get(struct page *page, uint64_t until_ns, int stop_fd, struct page_answer *ret_answer,
              char *why, size_t size)
{
    bool ok = page->kind.tls ? get_secure(page, until_ns, ret_answer, why, size)
                             : get_plain(page, until_ns, stop_fd, ret_answer, why, size);

    if (ok) {
        ret_answer->cut = page->kind.body_max > 0 && ret_answer->len == page->kind.body_max;
    }
    return ok;
}
