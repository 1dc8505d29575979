/* Which tokens may come in: verified with a secret, a public key or a set of keys in a file, which
 * is read again when it changes (a broken one is told of, and the old set stays). */
#ifndef DEMO_POLICY_H
#define DEMO_POLICY_H

#include "demo/serve.h"

struct policy;

/* Reads secret or keys.  NULL with mistakes.  The caller frees it. */
struct policy *policy_new(const struct serve_options *options, struct diag *diag)
    __attribute__((warn_unused_result));
void policy_free(struct policy *policy);
/* False: tokens are not asked for. */
bool policy_is_strict(const struct policy *policy);
/* `thumbprint`: 32 bytes, SHA-256 of the client's certificate. */
bool policy_admits(struct policy *policy, const char *token, size_t len,
                   const unsigned char *thumbprint) __attribute__((warn_unused_result));
/* A few times a second. */
void policy_tick(struct policy *policy);
/* What tokens can be signed with: the secret or the text of --jwt-key; NULL: neither.  Borrows. */
const char *policy_key(const struct policy *policy);

#endif
