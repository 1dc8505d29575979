/* A page that is got again and again over http or https, blocking: an endpoint of the server that
 * measures or prepares it (metrics, a forced collection), beside the load.  Each GET is a
 * connection of its own. */
#ifndef NET_PAGE_H
#define NET_PAGE_H

#include "base/diag.h"
#include "profile/plan.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct page;

struct page_kind {
    const struct plan_target *target; /* borrows; its derived fields say where to dial */
    struct origin origin;             /* of its URL, for mistakes */
    bool tls;
    const struct plan_cert *cert; /* with tls: whose first certificate is presented; NULL: none */
    size_t body_max;              /* what is kept of the body; 0: nothing */
};

struct page_answer {
    int status;
    char *body; /* NUL-terminated; NULL with body_max 0; the caller frees it */
    size_t len;
    bool cut; /* there was more of it */
};

/* Resolves the name, which the policy must permit, and loads CA and certificate; NULL with
 * mistakes. */
struct page *page_new(const struct plan *plan, const struct page_kind *kind, struct diag *diag)
    __attribute__((warn_unused_result));
void page_free(struct page *page);
/* True with a complete response of any status; else false with one sentence in `why`: there was
 * none before until_ns (monotonic), or `stop_fd` became readable (over https that is seen at the
 * end only, after the deadlines of the target at the latest). */
bool page_get(struct page *page, uint64_t until_ns, int stop_fd, struct page_answer *ret_answer,
              char *why, size_t size) __attribute__((warn_unused_result));

#endif
