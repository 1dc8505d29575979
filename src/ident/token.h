/* How tokens are fetched from a token endpoint: ident knows no network, so whoever starts a mint
 * hands this in (net/fetch_token.h has the real one).  Called by the mint's fetching thread and,
 * one after the other, while the pools are filled; blocking. */
#ifndef IDENT_TOKEN_H
#define IDENT_TOKEN_H

#include "base/diag.h"
#include "profile/plan.h"

#include <stdbool.h>
#include <stddef.h>

#define TOKEN_ERROR 256

struct cert;

struct token_fetcher {
    /* For one section with a token_url: resolves the name, loads the CA.  NULL with mistakes. */
    void *(*open)(const struct plan *plan, const struct plan_jwt *section, struct diag *diag);
    /* POSTs a form body; `cert` may be NULL.  *ret_body is the response of a 200, NUL-terminated,
     * which the caller wipes and frees; false with a reason without secrets in `error`. */
    bool (*fetch)(void *state, const struct cert *cert, const char *form, size_t form_len,
                  char **ret_body, char error[TOKEN_ERROR]);
    void (*close)(void *state);
};

#endif
