/* Sets of public keys that tokens are verified with: written and read as JSON (RFC 7517; members of
 * RFC 7518 section 6 and RFC 8037 section 2), or a single one from PEM. */
#ifndef IDENT_JWKS_H
#define IDENT_JWKS_H

#include "base/sink.h"
#include "profile/plan.h"

#include <stdbool.h>
#include <stddef.h>

#define JWKS_ERROR 256

struct jwks;
struct evp_pkey_st;

/* A key to be written; borrows. */
struct jwks_entry {
    enum jwt_alg alg; /* not HS* */
    const char *kid;  /* NULL: none */
    const struct evp_pkey_st *key;
};

void jwks_write(struct sink *sink, const struct jwks_entry *entries, size_t n);
/* The keys that can verify `alg`; others and what is of no known type are left out, as RFC 7517
 * section 5 asks.  NULL with a reason when none is left of some; an empty set is one whose keys are
 * yet to come.  The caller frees it. */
struct jwks *jwks_parse(const char *text, size_t len, enum jwt_alg alg, char error[JWKS_ERROR])
    __attribute__((warn_unused_result));
/* One key without a kid, from PEM: a public key, a private one, or a certificate. */
struct jwks *jwks_from_pem(const char *text, size_t len, enum jwt_alg alg, char error[JWKS_ERROR])
    __attribute__((warn_unused_result));
void jwks_free(struct jwks *jwks);
/* The key that the token's header asks for by its kid; a set of one that has no kid serves every
 * token, and a token without a kid is served by a set of one.  NULL: there is none.  Borrows. */
struct evp_pkey_st *jwks_find(const struct jwks *jwks, const char *token, size_t len)
    __attribute__((warn_unused_result));

#endif
