/* An OAuth 2 token endpoint as one section of the plan has it: what is asked for client n, and what
 * of the answer is a token (RFC 6749 sections 4.4 and 5.1).  The network is the fetcher's.  For one
 * thread at a time, since it blocks.  Private to ident. */
#ifndef IDENT_ENDPOINT_H
#define IDENT_ENDPOINT_H

#include "ident/token.h"

#include "base/diag.h"
#include "profile/plan.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct endpoint;

/* Checks the templates, and opens it by the fetcher; NULL with mistakes.  Without a fetcher (then
 * it is only a check) nothing is opened.  Borrows plan, section, run_id and fetcher. */
struct endpoint *endpoint_new(const struct plan *plan, const struct plan_jwt *section,
                              const char *run_id, const struct token_fetcher *fetcher,
                              struct diag *diag) __attribute__((warn_unused_result));
void endpoint_free(struct endpoint *endpoint);
/* The token of client n, who shows `cert` (NULL: none).  ret_not_after_s: by expires_in, else the
 * token's own exp, else 0.  The caller wipes and frees it.  NULL with a reason without secrets. */
char *endpoint_fetch(const struct endpoint *endpoint, uint64_t n, const struct cert *cert,
                     int64_t now_s, int64_t *ret_not_after_s, char error[TOKEN_ERROR])
    __attribute__((warn_unused_result));
/* The form of client n, as it is sent: for tests.  The caller wipes and frees it. */
char *endpoint_form(const struct endpoint *endpoint, uint64_t n)
    __attribute__((warn_unused_result));

#endif
