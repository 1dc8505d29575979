/* Is the server's chain good?  One trust store a worker and a small cache of verdicts: the key is
 * the hash of the whole chain and the name that it must carry, a verdict lives for a minute but
 * never longer than the certificates, and the first check of a chain is always the full one.
 * Private to the TLS files of net. */
#ifndef NET_TRUST_H
#define NET_TRUST_H

#include "base/diag.h"
#include "profile/plan.h"
#include "record/outcome.h"

#include <stdint.h>

struct stack_st_CRYPTO_BUFFER;
struct trust;

/* Loads the target's server_ca, or the system's store where the profile names none; NULL with
 * mistakes. */
struct trust *trust_new(const struct plan *plan, const struct plan_target *target,
                        struct diag *diag) __attribute__((warn_unused_result));
void trust_free(struct trust *trust);
/* OUTCOME_OK or OUTCOME_SERVER_CERT_*.  `chain`: leaf first, as the server sent it. */
enum outcome trust_verify(struct trust *trust, const struct stack_st_CRYPTO_BUFFER *chain,
                          uint64_t now_ns);
/* How many times a chain was verified in full (the rest came from the cache). */
uint64_t trust_full_checks(const struct trust *trust);

#endif
