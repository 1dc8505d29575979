/* Where tlsoak may be pointed.  Loopback is free.  Elsewhere somebody must have agreed: by a line
 * of target.allow, or by the server itself, which in one handshake asks for a client certificate,
 * accepts ours and answers the request (consent; load/consent.h asks for it).  A private address
 * needs one of the two, a public one both.  A name in target.allow says nothing of the addresses
 * that it will have tomorrow, so under a name consent is asked all the same.  What no server can
 * have (multicast, unspecified, reserved) is never dialled.
 *
 * Addresses are judged after the name is resolved and are pinned then: nothing else is dialled.
 * Every name of a run is resolved here. */
#ifndef NET_POLICY_H
#define NET_POLICY_H

#include "base/diag.h"
#include "base/sink.h"
#include "net/addr.h"
#include "profile/plan.h"

#include <stdbool.h>
#include <stddef.h>

enum policy_class {
    POLICY_LOOPBACK, /* 127/8, ::1 */
    POLICY_PRIVATE, /* RFC 1918, RFC 4193, link local, RFC 6598 (carriers), RFC 2544 (benchmarks) */
    POLICY_PUBLIC,
    POLICY_NO_HOST /* multicast, unspecified, reserved, broadcast */
};

enum policy_answer {
    POLICY_FREE,
    POLICY_CONSENT, /* after a handshake that shows it */
    POLICY_REFUSED
};

#define POLICY_ADDRS 8

/* The pinned addresses of plan->target, and which of them must consent first. */
struct policy_ruling {
    struct addr addrs[POLICY_ADDRS];
    bool consent[POLICY_ADDRS];
    size_t n_addrs;
    bool refused; /* by the policy; else it was the name that could not be resolved */
};

enum policy_class policy_classify(const struct addr *addr);
/* Of an address of plan->target. */
enum policy_answer policy_judge(const struct plan *plan, const struct addr *addr);
/* Resolves and judges the target and the other endpoints of the plan (token_url, settle).  False
 * with a mistake for each thing refused, which ends with the line that would allow it. */
bool policy_permit(const struct plan *plan, struct policy_ruling *ret_ruling, struct diag *diag)
    __attribute__((warn_unused_result));
/* Holds the plan against its ceilings; false with mistakes. */
bool policy_ceilings(const struct plan *plan, const struct policy_ruling *ruling, struct diag *diag)
    __attribute__((warn_unused_result));
/* The addresses of another endpoint than the target (`origin`: where it was written), which must be
 * loopback or in target.allow: nothing asks it for consent.  0 with mistakes; *ret_refused (may be
 * NULL) is set when it was the policy that refused. */
size_t policy_resolve(const struct plan *plan, const struct plan_target *endpoint,
                      struct origin origin, struct addr *ret_addrs, size_t max, bool *ret_refused,
                      struct diag *diag) __attribute__((warn_unused_result));
/* "allow = 10.0.0.5:8443": the line of [target] that names an address of `endpoint` beside what is
 * named already; the caller frees it. */
char *policy_line(const struct plan *plan, const struct plan_target *endpoint,
                  const struct addr *addr) __attribute__((warn_unused_result));
/* One line an address of the target: its class, and what a run needs before it may load it. */
void policy_show(const struct plan *plan, const struct policy_ruling *ruling, struct sink *sink);

#endif
