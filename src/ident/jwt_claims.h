/* The claims of tokens: the template is taken apart once, into fixed pieces and fields, so that
 * those of one token are copies and numbers.  There is a form for each way to be bad.  Private to
 * ident.  Const once made, and shared by all threads that mint. */
#ifndef IDENT_JWT_CLAIMS_H
#define IDENT_JWT_CLAIMS_H

#include "ident/jwt.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define JWT_CLAIMS_ERROR 256

struct jwt_claims;

/* `section->claims` has passed template_check.  NULL with a reason. */
struct jwt_claims *jwt_claims_new(const struct plan_jwt *section, char error[JWT_CLAIMS_ERROR])
    __attribute__((warn_unused_result));
void jwt_claims_free(struct jwt_claims *claims);
/* The exp that the template sets; 0: it sets none. */
int64_t jwt_claims_fixed_exp_s(const struct jwt_claims *claims);
/* Whether two numbers have different claims. */
bool jwt_claims_is_distinct(const struct jwt_claims *claims) __attribute__((warn_unused_result));
/* Bytes that hold the claims of this order. */
size_t jwt_claims_room(const struct jwt_claims *claims, const struct jwt_order *order);
/* Writes them (not terminated) and returns the length; ret_exp_s is their exp, in whole seconds. */
size_t jwt_claims_write(const struct jwt_claims *claims, const struct jwt_order *order, char *to,
                        int64_t *ret_exp_s);

#endif
