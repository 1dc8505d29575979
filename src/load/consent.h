/* Consent by handshake: a server away from loopback shows that it may be loaded when it asks for a
 * client certificate, accepts ours and answers one request as the plan expects.  Whoever set it up
 * so has given us credentials.  In TLS 1.3 a certificate that is refused shows only at the first
 * read, so the handshake alone would prove nothing. */
#ifndef LOAD_CONSENT_H
#define LOAD_CONSENT_H

#include "base/diag.h"
#include "ident/mint.h"
#include "net/policy.h"
#include "profile/plan.h"

#include <stdbool.h>

/* One connection to each address of the ruling that must consent.  False with a mistake for each
 * that did not, which says what it did and ends with the line that would allow it, where one
 * would.  Before the load: it takes from the first worker's pools. */
bool consent_ask(const struct plan *plan, const struct policy_ruling *ruling, struct mint *mint,
                 struct diag *diag) __attribute__((warn_unused_result));

#endif
