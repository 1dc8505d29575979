/* API keys: generated from a template, or read from a file.  The form "TEXT.{hmac}" carries its
 * own proof (HMAC-SHA256 over TEXT, lower-case hex), so that a server accepts any number of
 * distinct keys. */
#ifndef IDENT_APIKEY_H
#define IDENT_APIKEY_H

#include "base/diag.h"
#include "profile/plan.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define APIKEY_MAX 8192 /* bytes of one key: more than servers take as a header */

/* Checks the template: known fields, and what can be sent as a header.  False with mistakes. */
bool apikey_check(const struct plan *plan, const struct plan_apikey *section, struct diag *diag)
    __attribute__((warn_unused_result));
/* Key number n.  The caller frees it. */
char *apikey_generate(const struct plan_apikey *section, uint64_t n, const char *run_id)
    __attribute__((warn_unused_result));
/* A key of the same form that no server knows: one character of its secret part is another, or
 * where it has none, it is random.  The caller frees it. */
char *apikey_spoil(const char *key) __attribute__((warn_unused_result));
/* The keys of a file, one a line, blank lines and # comments left out; n >= 1 or 0 with
 * mistakes. */
size_t apikey_load(const struct plan *plan, const struct plan_apikey *section, char ***ret_keys,
                   struct diag *diag) __attribute__((warn_unused_result));
/* True when `key` ends in ".HEX" with the right tag over what stands before the last dot. */
bool apikey_verify(const char *key, size_t len, const char *secret, size_t secret_len)
    __attribute__((warn_unused_result));

#endif
