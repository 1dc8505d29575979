/* JSON Web Tokens (RFC 7519, RFC 7515): minted from a claims template, and verified for the demo
 * server and the tests. */
#ifndef IDENT_JWT_H
#define IDENT_JWT_H

#include "base/diag.h"
#include "profile/plan.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct jwt_signer;

/* Checks the claims template (a JSON object) and the key; NULL with mistakes. */
struct jwt_signer *jwt_signer_new(const struct plan *plan, const struct plan_jwt *section,
                                  struct diag *diag) __attribute__((warn_unused_result));
void jwt_signer_free(struct jwt_signer *signer);
/* False when the claims template sets exp itself: such tokens cannot be renewed. */
bool jwt_signer_sets_exp(const struct jwt_signer *signer);
/* Token number n in compact form; ret_not_after_s is its exp.  The caller frees it. */
char *jwt_mint(const struct jwt_signer *signer, uint64_t n, const char *run_id, int64_t now_s,
               size_t *ret_len, int64_t *ret_not_after_s) __attribute__((warn_unused_result));
/* HS256 only (the demo server's): true when the tag is right and exp is not past.  `sub` gets the
 * subject when there is one. */
bool jwt_verify_hs256(const char *token, size_t len, const char *secret, size_t secret_len,
                      int64_t now_s, char *sub, size_t sub_size)
    __attribute__((warn_unused_result));

#endif
