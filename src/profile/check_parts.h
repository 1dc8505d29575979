/* The parts that a plan is checked in; each has a file of its own, and fills in what is derived.
 * More than eight functions: one a part. */
#ifndef PROFILE_CHECK_PARTS_H
#define PROFILE_CHECK_PARTS_H

#include "profile/check_internal.h"

void check_target(const struct checker *c);
/* target.allow and target.source, as lists. */
void check_reach(const struct checker *c);
/* The target of a token_url, in all but the URL and the CA like [target], which is checked. */
void check_token_target(const struct checker *c, struct plan_jwt *jwt);
/* The target of an https URL of [memory], in all but the URL, the CA and the deadline like
 * [target]. */
void check_secure_page(const struct checker *c, const struct plan_memory *memory, char *const *url,
                       const char *key, struct plan_target *ret_target);
/* A single section, whoever uses it. */
void check_cert(const struct checker *c, struct plan_cert *cert);
void check_apikey(const struct checker *c, struct plan_apikey *apikey);
void check_jwt(const struct checker *c, struct plan_jwt *jwt);
/* cert, apikey and jwt, and which of them go together. */
void check_identities(const struct checker *c);
/* After the identities. */
void check_refuses(const struct checker *c);
void check_requests(const struct checker *c);
/* After the attribution. */
void check_memories(const struct checker *c);

#endif
